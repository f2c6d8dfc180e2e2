"""How sure the prediction of each row of a page is, in a level and a few sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from phonolyte.centers import BY, COMPUTED
from phonolyte.report.conduction import LEVELS, conduction_words, levels
from phonolyte.report.contents import Contents

WIDE = 1.5
"""An interval that is so many times as wide as the one in the middle is wide."""

FROM_PHONONS = (
    "This center is computed, not predicted: from phonons of this crystal by a machine-learned potential. Its interval "
    "is that of the calibration."
)

CENTER, CONDUCTIVITY = "band center", "predicted conductivity"
"""What a level of confidence is of."""


def confidence(contents: Contents) -> pd.DataFrame:
    """How sure each prediction is: ``level`` (high, medium, low, or empty), of what, and ``sure``, a few sentences."""
    table = contents.table
    if not {"lower_mev", "upper_mev", "in_domain"} <= set(table.columns):
        return pd.DataFrame({"level": "", "sure_of": CENTER, "sure": ""}, index=table.index)
    of = np.full(len(table), CENTER, object)
    width = (table["upper_mev"] - table["lower_mev"]).to_numpy(float)
    inside = table["in_domain"].fillna(False).astype(bool).to_numpy()
    wide = width > WIDE * np.nanmedian(width) if len(width) else np.zeros(0, bool)
    known = ~np.isnan(width)
    level = np.select([~known, ~inside, wide], ["", "low", "medium"], "high")
    sentences = {
        "": "There is no prediction for this compound.",
        "low": "Take the center as a guess: the model has learned from no compound like this one.",
        "medium": "Medium confidence: the model has learned from such compounds, but its interval is wider than usual.",
        "high": "High confidence: the model has learned from such compounds, and its interval is as narrow as usual.",
    }
    sure = pd.Series(level).map(sentences).to_numpy(object)
    limit = contents.limits.get("band_center_mev")
    if limit is not None:
        low, high = table["lower_mev"].to_numpy(float), table["upper_mev"].to_numpy(float)
        sure = sure + np.select(
            [(high <= limit) & known, (low > limit) & known, known],
            [
                f" Even the upper end of the interval is below {limit:g} meV.",
                f" Even the lower end of the interval is above {limit:g} meV.",
                f" The interval crosses {limit:g} meV: it may lie on either side.",
            ],
            "",
        )
    if "cell" in table:
        cell = table["cell"].fillna("").astype(str).to_numpy(object)
        unlike = [f" Its cell is unusually {size} for its elements, which widens the interval: check its volume."
                  for size in ("small", "large")]  # fmt: skip
        sure = sure + np.select([(cell == "small") & known, (cell == "large") & known], unlike, "")
    if "ordered_as" in table:
        disordered = table["ordered_as"].fillna("").astype(str).to_numpy(object) != ""
        sure = sure + np.where(
            disordered & known, " It is disordered: the interval holds the spread of its orderings.", ""
        )
    if BY in table:
        from_phonons = (table[BY] == COMPUTED).to_numpy(bool)
        level, sure = np.where(from_phonons, "high", level), np.where(from_phonons, FROM_PHONONS, sure)
    if "computed_mev" in table:
        level, sure = _computed_confidence(table, level, sure)
    if "sigma_basis" in table and contents.settings.get("recipe") != "study":
        words = [conduction_words({str(key): value for key, value in row.items()}) for row in table.to_dict("records")]
        sure = np.array(
            [
                f"{conduction} Of the center: {old}" if conduction else old
                for conduction, old in zip(words, sure, strict=True)
            ],
            object,
        )
        level = levels(table, level)
        of = np.where(table["sigma_basis"].isin(LEVELS), CONDUCTIVITY, of)
    return pd.DataFrame({"level": level, "sure_of": of, "sure": sure}, index=table.index)


def _computed_confidence(table: pd.DataFrame, level: Any, sure: Any) -> tuple[Any, Any]:
    """Level and sentences where the center was computed: how it compares with the prediction."""
    computed, low, high = (table[name].to_numpy(float) for name in ("computed_mev", "lower_mev", "upper_mev"))
    known, unstable = ~np.isnan(computed), ~table["confirmed"].str.contains("phonons").to_numpy(bool)
    inside = (low <= computed) & (computed <= high)
    for row in np.flatnonzero(known):
        where = "inside" if inside[row] else "outside"
        sure[row] = (
            f"Computed: {computed[row]:.1f} meV, {where} the interval of the prediction ({low[row]:.0f} to "
            f"{high[row]:.0f} meV)."
        )
        if unstable[row] and table["passes"].iloc[row]:
            sure[row] += " It has imaginary modes: it distorts, or it is an ordered model of what is disordered."
    return np.where(known, np.where(unstable, "low", "high"), level), sure
