"""Computed centers in place of predicted ones, for the crystals whose phonons come with Phonolyte."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.centers import BY, CENTERS, COMPUTED, PREDICTED, computed_centers
from phonolyte.screen.describe import Part
from phonolyte.screen.repeats import PartStore


def replace_predicted(table: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """Return the table with computed centers where there are any, and ``center_by``.

    Parameters
    ----------
    table
        Rows of all crystals in the order of the input, with `formula`, `disordered` and the predicted columns.
    parts
        Described batches that they come from, with their fingerprints and crystals.
    """
    known, store = computed_centers(), PartStore(parts)
    formulas = table["formula"].astype(str).to_numpy(object)
    candidates = table["formula"].isin(list(known.by_formula)) & ~table["disordered"].astype(bool)
    by_row: dict[int, dict[str, Any]] = {}
    for row in np.flatnonzero(candidates).tolist():
        computed = known.find(formulas[row], store.fingerprint(row), partial(store.crystal, row))
        if computed is not None:
            by_row[row] = computed
    rows = list(by_row)
    columns = {name: table[name].to_numpy(float).copy() for name in CENTERS}
    for name, values in columns.items():
        values[rows] = [computed[name] for computed in by_row.values()]
    inside, by = table["in_domain"].to_numpy(bool).copy(), np.full(len(table), PREDICTED, dtype=object)
    inside[rows], by[rows] = True, COMPUTED
    return table.assign(**columns, in_domain=inside, **{BY: by})


def computed_note(table: pd.DataFrame) -> list[str]:
    """Return how many centers are computed ones."""
    n = int((table[BY] == COMPUTED).sum())
    verb = "center is" if n == 1 else "centers are"
    return [f"{n:,} {verb} not predicted but computed: phonons of these crystals come with Phonolyte"] if n else []
