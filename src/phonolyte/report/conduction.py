"""What speaks for and against a compound as a conductor, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.columns import column, format_value
from phonolyte.conduction import BETWEEN, FAR, NEAR, NO_DATA, NO_PATH, NO_PERCOLATION

LEVELS = {NEAR: "high", BETWEEN: "medium", FAR: "low"}
"""Confidence by what a probability rests on."""

LOW_EV, HIGH_EV = 0.5, 1.0
"""Barriers in three dimensions below and above which one speaks for or against a compound: of 95 measured crystals
below 0.5 eV 58 % reach 1e-4 S/cm, of 63 above 1 eV 14 %, of all 235 with a barrier 36 %."""

BASES = {
    NEAR: "Compounds like it were measured, and the predicted conductivity rests on them.",
    BETWEEN: "Only distant relatives were measured: the predicted conductivity rests on them and on "
    "percolation in equal parts.",
    FAR: "Nothing like it was measured: the predicted conductivity rests on percolation and the size of the "
    "anions, which hold for families as such and not for each compound.",
    NO_PERCOLATION: "There is no prediction: bond-valence parameters or charges are not known for it.",
    NO_DATA: "There is no prediction: conductivities of this ion are not in the data; percolation alone orders it.",
}

FEW_RELATIVES = (
    "Few compounds like it were measured: the prediction rests on percolation and the size of the "
    "anions, which hold for families as such and not for each compound."
)
"""What it rests on where the compound itself was measured, and hardly another one like it."""


def conduction_words(row: Mapping[str, Any]) -> str:
    """Return what was measured, what the prediction rests on, and what percolation says, in a few sentences."""
    basis = row.get("sigma_basis")
    if not isinstance(basis, str) or basis not in BASES:
        return ""
    measured = _of_measurement(row)
    rests_on = FEW_RELATIVES if measured and basis == FAR else BASES[basis]
    return " ".join(filter(None, (measured, rests_on, _of_percolation(row))))


def _of_measurement(row: Mapping[str, Any]) -> str:
    value = row.get("measured_sigma_s_cm")
    if value is None or pd.isna(value):
        return ""
    bound = "at most " if row.get("measured_at_most") is True else ""
    n = row.get("measured_n")
    several = f" (the middle one of {n:.0f} measurements)" if n is not None and pd.notna(n) and n > 1 else ""
    return f"Measured at room temperature: {bound}{format_value(value, column('measured_sigma_s_cm'))}{several}."


def _of_percolation(row: Mapping[str, Any]) -> str:
    if row.get("percolation") == NO_PATH:
        return "Against it: no path through the framework below 5 eV in three dimensions."
    in_3d, in_1d = row.get("barrier_3d_ev"), row.get("barrier_1d_ev")
    if in_3d is None or in_1d is None or pd.isna(in_3d):
        return ""
    paths = f"paths in three dimensions open at {in_3d:.2f} eV"
    if in_3d <= LOW_EV:
        return f"For it: {paths}."
    if in_3d >= HIGH_EV:
        return f"Against it: {paths}" + (f", and in one alone at {in_1d:.2f} eV." if in_1d < LOW_EV else ".")
    return f"Percolation leaves it open: {paths}."


def levels(table: pd.DataFrame, level: Any) -> Any:
    """Return how sure each probability is; where there is none, the given level."""
    by_basis = table["sigma_basis"].map(LEVELS).to_numpy(object)
    return np.where(pd.isna(by_basis), level, by_basis)
