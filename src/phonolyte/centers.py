"""Computed band centers that come with Phonolyte: phonons of stable insulating lithium compounds, by a potential.

The crystals are those of the Materials Project (Jain et al., 10.1063/1.4812323, CC BY 4.0); ``card.md`` beside the
table says how they were computed, and how far such centers are from those of density functional theory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.columns import Column, register
from phonolyte.structures import Crystal

SOURCE = "computed centers of Phonolyte"

FILE = "centers.parquet"
CARD = "card.md"

CENTERS = ("band_center_mev", "lower_mev", "upper_mev", "ion_center_mev", "ion_lower_mev", "ion_upper_mev")
"""Columns that stand for predicted ones, meV."""

BY, COMPUTED, PREDICTED = "center_by", "computed", "predicted"

register(
    Column(BY, "center by", kind="choice", shown=False,
           words="band center by", hint="Whether the band center is predicted, or computed: from "
           "phonons of this crystal that come with Phonolyte."),
)  # fmt: skip


def folder() -> Path:
    """Where the table is."""
    return Path(str(files("phonolyte") / "data" / "centers"))


@dataclass(frozen=True, slots=True, eq=False)
class ComputedCenters:
    """Crystals with computed centers, to be compared with others.

    Attributes
    ----------
    table
        One row a crystal: its crystal, :data:`CENTERS`, `raw_mev`, `lowest_mode_mev`, `stable`, the share of imaginary
        modes where it is known (`imaginary_share`), `engine` and percolation.
    by_formula
        Rows of each formula; those with imaginary modes are left out, since their centers replace no others.
    known
        Values, crystal and fingerprint of the rows that have been compared.
    """

    table: pd.DataFrame
    by_formula: Mapping[str, Sequence[int]] = field(repr=False)
    known: dict[int, tuple[dict[str, Any], Crystal, Floats]] = field(default_factory=dict, repr=False)

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> Self:
        """Crystals of a table."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, (formula, stable) in enumerate(zip(table["formula"], table["stable"], strict=True)):
            if stable:
                rows[str(formula)].append(row)
        return cls(table, dict(rows))

    def find(self, formula: str, own_print: Floats, make_crystal: Callable[[], Crystal]) -> dict[str, Any] | None:
        """Return the row of a crystal, or None.

        Parameters
        ----------
        formula
            Its reduced formula.
        own_print
            Its fingerprint (n,), as :func:`phonolyte.structures.duplicates.fingerprint` gives it.
        make_crystal
            Makes it, where fingerprints alone do not decide.
        """
        from phonolyte.structures.duplicates import TOLERANCE, match_repeats  # compiled

        for row in self.by_formula.get(formula, ()):
            values, crystal, known = self._describe(row)
            if np.abs(known - own_print).max() <= TOLERANCE and match_repeats(
                [crystal, make_crystal()], np.stack([known, own_print])
            ):
                return values
        return None

    def _describe(self, row: int) -> tuple[dict[str, Any], Crystal, Floats]:
        """Values, crystal and fingerprint of a row, computed once."""
        from phonolyte.structures.duplicates import fingerprint

        if row not in self.known:
            values = {str(key): value for key, value in self.table.iloc[row].items()}
            crystal = Crystal.from_row(values)
            self.known[row] = values, crystal, fingerprint(crystal)
        return self.known[row]


@cache
def computed_centers() -> ComputedCenters:
    """The computed centers that come with Phonolyte."""
    return ComputedCenters.from_table(pd.read_parquet(folder() / FILE))
