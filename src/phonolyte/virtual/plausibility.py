"""How likely a compound is to exist, without any energy: charges, radii, and substitutions that nature made.

A number between 0 and 1, the parent having 1: the product of

- 1 where charges of the parent's signs add up to zero, and 0.1 where they do not;
- exp(-(m / ln 1.45)^2 / 2) with the largest mismatch m of the ratio of two radii (Shannon), and 0.1 where one is
  unknown;
- where the parent is a perovskite or an antiperovskite, exp(-(d / 0.05)^2 / 2) with d by how much the logarithm of
  Goldschmidt's tolerance factor lies outside 0.8 to 1.06;
- the geometric mean, over the slots, of the probability that the new ion takes the place of the old one, relative to
  the old one itself (Hautier et al., 10.1021/ic102031h, with pymatgen's table of the ICSD).
"""

from __future__ import annotations

import inspect
import json
import math
from functools import cache
from pathlib import Path

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.charges import nearest_state
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.chemistry.ions import Ion
from phonolyte.virtual.perovskite import TOLERATED
from phonolyte.virtual.space import Space

UNBALANCED = 0.1
UNKNOWN_RADIUS = 0.1
TYPICAL_MISMATCH = math.log(1.45)
TYPICAL_BEYOND = 0.05
UNTOLD = math.log(1e-3)
"""Logarithm of the substitution's probability where the parent's ion is not known."""

NEVER_SEEN = -5.0
"""Weight of a substitution that the table does not have, as pymatgen sets it."""


class Plausibility:
    """The plausibility of the compounds of a space."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.substitution = np.array([_of_ion(slot.ion) for slot in space.parent.slots])

    def __call__(self, numbers: Ints, balanced: Flags) -> Floats:
        """Plausibility (n,) of compounds with atomic numbers (n, s), some of them balanced (n,)."""
        mismatch = self.space.mismatch(numbers)
        sizes = np.exp(-0.5 * (np.minimum(mismatch, 99.0) / TYPICAL_MISMATCH) ** 2)
        sizes = np.where(np.isfinite(mismatch), sizes, UNKNOWN_RADIUS)
        sizes *= self._compute_tolerance(numbers)
        logs = self.substitution[np.arange(numbers.shape[1]), numbers].mean(axis=1)
        return np.asarray(np.where(balanced, 1.0, UNBALANCED) * sizes * np.exp(logs))

    def _compute_tolerance(self, numbers: Ints) -> Floats | float:
        """The part (n,) that the tolerance factor has in the plausibility; an unknown radius has been counted."""
        factor = self.space.tolerance_factor(numbers)
        if factor is None:
            return 1.0
        beyond = np.log(factor / np.clip(factor, *TOLERATED))
        return np.where(np.isfinite(factor), np.exp(-0.5 * (beyond / TYPICAL_BEYOND) ** 2), 1.0)


@cache
def _of_ion(ion: Ion | None) -> Floats:
    """Logarithm of the probability (Z + 1,) of each element in the place of an ion, relative to the ion's own."""
    weights = np.full(len(SYMBOLS), UNTOLD)
    if ion is None:
        return weights
    seen = _substitutions()
    old = (ion.symbol, ion.charge)
    itself = seen.get(frozenset([old]), NEVER_SEEN)
    for symbol, z in ATOMIC_NUMBERS.items():
        new = (symbol, nearest_state(symbol, ion.charge))
        weights[z] = min(seen.get(frozenset([old, new]), NEVER_SEEN) - itself, 0.0)
    weights[ATOMIC_NUMBERS[ion.symbol]] = 0.0
    return weights


@cache
def _substitutions() -> dict[frozenset[tuple[str, int]], float]:
    """Weight of each pair of ions that replace one another in the ICSD.

    Read from the file of pymatgen's SubstitutionProbability: the class takes a second to normalize what cancels here.
    """
    from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability

    path = Path(inspect.getfile(SubstitutionProbability)).parent / "data" / "lambda.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    pairs = ((_ion_named(first), _ion_named(second), float(weight)) for first, second, weight in rows)
    return {frozenset([first, second]): weight for first, second, weight in pairs if first and second}


@cache
def _ion_named(text: str) -> tuple[str, int] | None:
    """Symbol and charge of ``Li1+``, ``O2-`` or ``Ag+``; None for what is neither (deuterium, fractional charges)."""
    from pymatgen.core.periodic_table import Species

    try:
        species = Species.from_str(text)
    except ValueError:
        return None
    symbol, charge = species.element.name, species.oxi_state  # the symbol of deuterium would be H
    if symbol not in ATOMIC_NUMBERS or charge is None or not float(charge).is_integer():
        return None
    return symbol, int(charge)
