"""Fractions of the elements as a feature set."""

from __future__ import annotations

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.structures import Crystal


def fraction_names() -> list[str]:
    """Names of the columns, by atomic number."""
    return [f"fraction_{symbol}" for symbol in SYMBOLS[1:]]


class ElementFractions:
    """The share of each element in the atoms of a crystal; of a disordered one by its occupancies."""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return fraction_names()

    def check(self, crystal: Crystal) -> None:
        """Accept every crystal."""

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Fractions (Z,) of the elements; the ordering does not matter."""
        row = np.zeros(len(SYMBOLS) - 1)
        for symbol, amount in crystal.amounts.items():
            row[ATOMIC_NUMBERS[symbol] - 1] = amount
        return np.asarray(row / row.sum())
