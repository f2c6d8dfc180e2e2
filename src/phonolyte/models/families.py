"""Families of compounds: whether a model has learned from any compound that is built like a new one.

A family is a stoichiometry with the class of the anion, the most electronegative element: K2NaAlF6 and Cs2RbBF6 are of
one family, Cs2NaYCl6 is of another. A compound is of a known family when

- its formula is of a family that was learned, or has more than 10 atoms, where formulas are too many to know; and
- its anion was learned together with as many metals, metalloids and other anions as it has.

All of it follows from the composition, so that it costs a microsecond, and needs no structure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS, electronegativity
from phonolyte.compiling import kernel
from phonolyte.models.trees import damaged

LONGEST_FORMULA = 10
"""Atoms in a formula unit up to which the counts matter."""

MOST_OTHERS = 12
"""Elements besides the anion that a key has room for."""

TOLERANCE = 1e-6
"""How far the amount of an element in a formula may be from a whole number."""

LONG = -1
"""In place of the key of a formula that has more atoms, or no whole numbers of them."""

ANIONS = ("F", "Cl Br I", "O", "S Se Te", "N", "P As Sb Bi", "C", "Si Ge Sn Pb", "H", "B")
"""Anions that are alike. Where the most electronegative element is a metal, that is one more kind."""

KINDS = ("H", "B C Si Ge N P As Sb Bi", "O", "S Se Te", "F", "Cl Br I")
"""Elements that are not metals; all others are."""


@dataclass(frozen=True, slots=True, eq=False)
class Families:
    """The families that a model has learned from.

    Attributes
    ----------
    formulas
        (m,) keys of the formulas, ascending.
    kinds
        (k,) keys of the kinds of elements that occur together, ascending.
    """

    formulas: Ints
    kinds: Ints

    @classmethod
    def fit(cls, fractions: Floats) -> Self:
        """Learn from the fractions (n, Z) of the elements in n compounds, by atomic number from 1."""
        formulas, kinds = family_keys(fractions)
        return cls(np.unique(formulas[formulas != LONG]), np.unique(kinds))

    def contains(self, fractions: Floats) -> Flags:
        """Whether each of n compounds, with the fractions (n, Z) of the elements, is of a learned family, (n,)."""
        formulas, kinds = family_keys(fractions)
        learned = (formulas == LONG) | np.isin(formulas, self.formulas)
        return np.asarray(learned & np.isin(kinds, self.kinds))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for ``numpy.savez``."""
        return {"family_formulas": self.formulas, "family_kinds": self.kinds}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`.

        Raises
        ------
        ModelError
            When one is missing, of another type, or not ascending.
        """
        return cls(_keys(arrays, "family_formulas"), _keys(arrays, "family_kinds"))


def family_keys(fractions: Floats) -> tuple[Ints, Ints]:
    """Keys (n,) of the formulas of n compounds, and keys (n,) of the kinds of elements in them.

    Parameters
    ----------
    fractions
        (n, Z) fractions of the elements, by atomic number from 1.
    """
    return _family_keys(fractions, *_tables())


@kernel
def _family_keys(fractions: Floats, strength: Floats, anions: Ints, kinds: Ints) -> tuple[Ints, Ints]:
    n = len(fractions)
    formulas, mixtures = np.empty(n, np.int64), np.empty(n, np.int64)
    elements, counts = np.empty(fractions.shape[1], np.int64), np.empty(fractions.shape[1], np.int64)
    for row in range(n):
        amounts, m = fractions[row], 0
        anion = -1
        for z in range(len(amounts)):
            if amounts[z] != 0.0:
                elements[m] = z
                m += 1
                anion = z if anion < 0 or strength[z] > strength[anion] else anion
        mixture = 0
        for z in elements[:m]:
            if z != anion:
                mixture += 1 << 4 * kinds[z]  # at most 15 of a kind are distinguished
        mixtures[row] = mixture << 4 | anions[anion]
        formulas[row] = LONG
        n_atoms = _formula_unit(amounts, elements[:m]) if m - 1 <= MOST_OTHERS else 0
        if n_atoms > 0:
            k = 0
            for z in elements[:m]:
                if z != anion:
                    at, count = k, round(amounts[z] * n_atoms)
                    while at > 0 and counts[at - 1] > count:  # in its place, so that counts ascend
                        counts[at] = counts[at - 1]
                        at -= 1
                    counts[at] = count
                    k += 1
            formulas[row] = _packed(counts[:k], anions[anion] << 4 | round(amounts[anion] * n_atoms))
    return formulas, mixtures


@kernel
def _formula_unit(amounts: Floats, elements: Ints) -> int:
    """Atoms in the shortest formula with whole numbers of these elements; 0 where it is too long."""
    for n_atoms in range(1, LONGEST_FORMULA + 1):
        is_whole = True
        for z in elements:
            is_whole &= abs(amounts[z] * n_atoms - np.rint(amounts[z] * n_atoms)) < TOLERANCE
        if is_whole:
            return n_atoms
    return 0


@kernel
def _packed(counts: Ints, key: int) -> int:
    """Counts below 16 in ascending order behind a key."""
    for count in counts:
        key = key << 4 | count
    return key


@cache
def _tables() -> tuple[Floats, Ints, Ints]:
    """Electronegativity (Z,), class of anion (Z,) and kind (Z,) of each element, by atomic number from 1."""
    strength = np.array([electronegativity(symbol) for symbol in SYMBOLS[1:]], dtype=float)
    return np.where(np.isfinite(strength), strength, 0.0), _classes(ANIONS), _classes(KINDS)


def _classes(groups: Sequence[str]) -> Ints:
    """Class of each element (Z,), from 1; that of elements in none of the groups comes last."""
    classes = np.full(len(SYMBOLS) - 1, len(groups) + 1)
    for number, group in enumerate(groups, start=1):
        classes[[ATOMIC_NUMBERS[symbol] - 1 for symbol in group.split()]] = number
    return classes


def _keys(arrays: Mapping[str, NDArray[Any]], name: str) -> Ints:
    array = arrays.get(name)
    if array is None or array.dtype.kind != "i" or array.ndim != 1 or (np.diff(array) <= 0).any():
        raise damaged(f"the {name.replace('_', ' ')}", "they are not a list of ascending whole numbers")
    return array.astype(np.int64)
