"""Crystals of a finished run as input of another one, with what the run has computed of them as their properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from phonolyte.structures.crystal import Crystal, plain
from phonolyte.structures.crystal_table import TABLE_COLUMNS

RUN_RECORD = "run.toml"
"""A folder with this file is a run folder."""

CRYSTALS = "crystals.parquet"
"""Crystal table of a run folder: the crystals that its other tables name."""

ORDERINGS = "orderings.parquet"
"""Crystal table of a run folder with the ordered representatives of its disordered crystals, by their names."""

OF_CRITERIA = ("e_hull_ev", "band_gap_ev")
"""Columns of a screen that are known, and not predicted."""

SCREENED = "ranked.parquet"

NOT_RESULTS = (*TABLE_COLUMNS, "seconds", "stage", "error", "message", "source")
"""Columns that say nothing of the crystal: those of the crystal table, of failures, and the time."""


def is_run(folder: Path) -> bool:
    """Whether a folder is what a run wrote."""
    return (folder / RUN_RECORD).is_file()


def results_beside(crystals: Path) -> Mapping[str, Mapping[str, Any]]:
    """What a run has computed of each crystal of its table, by material_id; empty for any other file.

    The band center of phonons is the calibrated one where there is one. Predictions are left out: a screen gives
    energies above the hull and band gaps alone.
    """
    if crystals.name != CRYSTALS or not is_run(crystals.parent):
        return {}
    tables = sorted(path for path in crystals.parent.glob("*.parquet") if path.name != CRYSTALS)
    return _results(tuple((str(path), path.stat().st_mtime_ns) for path in tables))


def with_results(crystal: Crystal, results: Mapping[str, Mapping[str, Any]]) -> Crystal:
    """The crystal with its results among its properties."""
    values = results.get(crystal.material_id)
    if not values:
        return crystal
    return replace(crystal, properties={**crystal.properties, **values})


@lru_cache(maxsize=4)
def _results(tables: tuple[tuple[str, int], ...]) -> dict[str, dict[str, Any]]:
    import pandas as pd

    results: dict[str, dict[str, Any]] = {}
    for path, _ in tables:
        table = pd.read_parquet(path)
        if "material_id" not in table or table["material_id"].duplicated().any():
            continue
        if Path(path).name == SCREENED:
            table = table[["material_id", *OF_CRITERIA]]
        columns = [name for name in table if name not in NOT_RESULTS]
        if not columns:
            continue
        for name, row in zip(table["material_id"].astype(str), table[columns].to_dict("records"), strict=True):
            known = {str(key): value for key, value in row.items() if isinstance(value, (str, bool, int, float))}
            results.setdefault(name, {}).update(plain({key: value for key, value in known.items() if value == value}))
    for values in results.values():
        if "calibrated_mev" in values:
            values |= {"uncalibrated_mev": values.get("band_center_mev"), "band_center_mev": values["calibrated_mev"]}
    return results
