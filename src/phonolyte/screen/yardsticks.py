"""Known conductors as the yardsticks of a screen: reference compounds that were measured, and where each would stand.

What is predicted of them comes with Phonolyte (``scripts/yardsticks.py`` computes it), so that a screen of any input
shows them at no cost. The conductivity model has learned from their measurements: a yardstick, and not a test.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from phonolyte.columns import Column, register
from phonolyte.conduction import COLUMNS
from phonolyte.measured import ION, folder
from phonolyte.screen.ranking import FALLBACKS, SCORE, Ranking

FILE = "yardsticks.csv"
"""File of the yardsticks, in the package and in the run folder of a screen."""

CENTERS = {"physical": "center_physical_mev", "study": "center_study_mev"}
"""Columns of the package's table with the center by each model that takes cells as they are."""

WOULD_RANK = "would_rank"

register(
    Column(WOULD_RANK, "would rank", hint="Rank that a known conductor would have among the candidates of its ion.")
)


@cache
def _shipped() -> pd.DataFrame:
    return pd.read_csv(folder() / FILE, comment="#", dtype={"measured_at_most": "boolean", "measured_n": "Int64"})


def known_conductors(model: str = "") -> pd.DataFrame:
    """Measured reference compounds with what is predicted of them, the best conductor first.

    Parameters
    ----------
    model
        Name of the model that came with Phonolyte and predicts `band_center_mev` (meV); missing by any other.

    Returns
    -------
    pandas.DataFrame
        ``material_id``, ``formula``, ``ion``, ``band_center_mev`` and :data:`phonolyte.conduction.COLUMNS`.
    """
    table = _shipped()
    centers = table[CENTERS[model]] if model in CENTERS else np.nan
    table = table.assign(band_center_mev=centers)[["material_id", "formula", "ion", "band_center_mev", *COLUMNS]]
    return table.sort_values("measured_sigma_s_cm", ascending=False, ignore_index=True)


def place_conductors(table: pd.DataFrame, ranking: Ranking, model: str = "") -> pd.DataFrame:
    """Return the known conductors with the rank that each would have among the candidates of a screen.

    Parameters
    ----------
    table
        Ranked table of the screen.
    ranking
        What ordered it.
    model
        As :func:`known_conductors` takes it.

    Returns
    -------
    pandas.DataFrame
        As :func:`known_conductors` gives it, with ``would_rank``, null where the ranking needs what is not known of
        a conductor; no rows where the screen has no candidate of their ion.
    """
    candidates = table[table["passes"].to_numpy(bool) & (table["ion"] == ION).to_numpy(bool)]
    known = known_conductors(model)
    if not len(candidates):
        return known.head(0).assign(**{WOULD_RANK: pd.Series(dtype="Int64")})
    keys = [key for key, _ in ranking.weights] or [ranking.by]
    judged = known.reindex(columns=keys).notna().all(axis=1)
    columns = [key for key in dict.fromkeys((*keys, *FALLBACKS)) if key in candidates]
    both = pd.concat(
        [rows.reindex(columns=columns).astype(float) for rows in (known, candidates)], ignore_index=True
    )  # in this order, so that a conductor that is a candidate stands before itself
    if ranking.weights:
        both[SCORE] = ranking.score(both)
    order = ranking.places(both)
    better = np.empty(len(both), dtype=np.int64)
    better[order] = np.cumsum(order >= len(known))
    ranks = pd.Series(better[: len(known)] + 1, index=known.index, dtype="Int64")
    return known.assign(**{WOULD_RANK: ranks.where(judged)})
