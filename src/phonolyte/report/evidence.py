"""What tiers have computed of the candidates of a screen: it changes whether they are candidates, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.arrays import Flags
from phonolyte.settings import settings_of
from phonolyte.tiers import find_tier


def add_evidence(
    table: pd.DataFrame, computed: Mapping[str, pd.DataFrame], criteria: Mapping[str, Any]
) -> pd.DataFrame:
    """Judge the candidates of a screen by what was computed of them.

    A candidate that a tier rules out, by the criteria of the screen and else by the limits that a study has unless its
    file says others, is one no longer, and the reason names the tier. Of the others, within a mobile ion, those with
    imaginary modes come last, and those that more tiers have confirmed first. Then they keep their order by
    probability; a screen without one orders by center, the computed one where there is one.

    Parameters
    ----------
    table
        Ranked table of a screen.
    computed
        Tables of tiers by their names, indexed by `material_id`.
    criteria
        Criteria of the screen by name.

    Returns
    -------
    pandas.DataFrame
        The table in its new order, with ``computed_mev`` and ``confirmed`` (tiers that confirm a candidate).
    """
    ids = table["material_id"].astype(str)
    verdicts = {name: _verdicts(name, results, ids, criteria) for name, results in computed.items()}
    if not any(verdicts.values()):
        return table
    table = table.assign(computed_mev=ids.map(_centers(computed)).to_numpy(float))
    unstable = _unstable(computed)
    table["confirmed"] = [
        ", ".join(n for n, of in verdicts.items() if of.get(name) == "" and not (n == "phonons" and name in unstable))
        for name in ids
    ]
    for name, of in verdicts.items():
        out = (table["passes"].astype(bool) & ids.map(lambda each, of=of: bool(of.get(each, "")))).to_numpy()
        table.loc[out, "rejected_by"] = name
        table.loc[out, "reason"] = [of[each] for each in ids[out]]
        table.loc[out, "passes"] = False
    return _ordered(table, ids.isin(unstable).to_numpy(bool))


def _ordered(table: pd.DataFrame, unstable: Flags) -> pd.DataFrame:
    ions = {ion: place for place, ion in enumerate(dict.fromkeys(table["ion"]))} if "ion" in table else {}
    has_probability = "p_conductor" in table and table["p_conductor"].notna().any()
    keys = pd.DataFrame(
        {
            "out": ~table["passes"].astype(bool),
            "ion": table["ion"].map(ions) if ions else 0,
            "unstable": unstable,
            "confirmed": -table["confirmed"].map(lambda names: len(names.split(", ")) if names else 0),
            "rest": range(len(table)) if has_probability else table["computed_mev"].fillna(table["band_center_mev"]),
        },
        index=table.index,
    )
    order = keys.sort_values(["out", "ion", "unstable", "confirmed", "rest"], kind="stable").index
    table = table.loc[order].reset_index(drop=True)
    table["rank"] = pd.Series(np.arange(1, len(table) + 1), dtype="Int64").where(table["passes"].astype(bool))
    return table


def _verdicts(tier: str, results: pd.DataFrame, ids: pd.Series, criteria: Mapping[str, Any]) -> dict[str, str]:
    """Why each material is ruled out by a tier; empty where it is not."""
    kind = find_tier(tier)
    limits: Any = None
    if kind.limits_kind:
        names = {setting.name for setting in settings_of(kind.limits_kind)}
        limits = kind.limits_kind(**{name: value for name, value in criteria.items() if name in names})
    shared = results[results.index.astype(str).isin(set(ids))]
    rows = shared.to_dict("records")
    return {
        str(name): kind.judge({str(key): value for key, value in row.items()}, limits)
        for name, row in zip(shared.index, rows, strict=True)
    }


def _unstable(computed: Mapping[str, pd.DataFrame]) -> set[str]:
    """Materials that have imaginary modes."""
    phonons = computed.get("phonons")
    return set() if phonons is None else set(phonons.index[~phonons["stable"].fillna(True).astype(bool)].astype(str))


def _centers(computed: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Computed band center of each material, the calibrated one where there is one."""
    phonons = computed.get("phonons")
    if phonons is None:
        return {}
    centers = phonons["calibrated_mev"].astype(float).fillna(phonons["band_center_mev"].astype(float))
    return {str(name): float(center) for name, center in centers.items()}
