"""Conductivities of virtual compounds, as the learned model of the conductivity sees them, block by block.

Composition and predicted volume are those of the compound. The barrier of percolation is the parent's: all compounds of
a parent share its paths, and each one's own barrier would cost a thousand times what the rest does. States are those
that the slots give: of each element the ion whose charge is nearest to the parent's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.charges import nearest_state
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS, electronegativity
from phonolyte.chemistry.ions import nearest_ions
from phonolyte.errors import PhonolyteError
from phonolyte.features.conduction import DESCRIPTORS, NO_FRAMEWORK, anion_radius_a, cation_radius_a
from phonolyte.models.conductivity import Compounds, ConductivityModel, GatedModel, standardize
from phonolyte.percolation import COARSE, compute_percolation
from phonolyte.virtual.parents import Parent, Slot
from phonolyte.virtual.space import Space

MOBILE, ANION, FRAMEWORK = slice(0, 1), slice(1, 7), slice(7, 14)
"""Columns of what an element adds to the sums over a compound.

Mobile ions; anions, their radii, squares of radii, electronegativities, charges and spheres; other cations, their
radii, charges and electronegativities, and squares of each.
"""


@dataclass(frozen=True, slots=True, eq=False)
class ConductionOfParent:
    """What the predicted conductivities of all compounds of a parent share.

    Attributes
    ----------
    parent
        With s slots.
    mobile
        (m,) slots of the mobile ion.
    ion
        Its atomic number.
    sums
        (s, Z + 1, 14) what each element on each slot adds to the sums; NaN for an anion without a negative state.
    barrier_3d_ev
        Barrier of the parent, infinite where nothing percolates.
    model
        Model for ordered crystals.
    """

    parent: Parent
    mobile: Ints
    ion: int
    sums: Floats
    barrier_3d_ev: float
    model: GatedModel

    @classmethod
    def from_space(cls, space: Space) -> Self | None:
        """Prepare a space; None where the model has nothing to say.

        It has not where the parent's mobile ion is another one than the model's, where the charges of the parent are
        not known, and where its percolation cannot be computed.
        """
        model, slots = ConductivityModel.embedded(), space.parent.slots
        names = {rule.name for rule in space.rules.slots if rule.mobile}
        mobile = [place for place, slot in enumerate(slots) if slot.name in names]
        charges = [slot.ion.charge if slot.ion else 0 for slot in slots]
        if not mobile or any(slots[place].element != model.ion for place in mobile):
            return None
        if not all(charges) or min(charges) > 0:
            return None
        try:
            barrier_ev = float(compute_percolation(space.parent.crystal, model.ion, COARSE).row()["barrier_3d_ev"])
        except PhonolyteError:
            return None
        sums = np.array([_sums_of(slot, charge, model.ion) for slot, charge in zip(slots, charges, strict=True)])
        return cls(space.parent, np.array(mobile), ATOMIC_NUMBERS[model.ion], sums, barrier_ev, model.ordered)

    def __call__(self, numbers: Ints, volume_a3: Floats) -> Floats:
        """Predicted log10(sigma / (S/cm)) (n,), NaN for none.

        Parameters
        ----------
        numbers
            Atomic numbers (n, s) on the slots.
        volume_a3
            Predicted volume an atom (n,).
        """
        log_sigma = np.full(len(numbers), np.nan)
        descriptors = self.descriptors(numbers, volume_a3)
        rows = np.flatnonzero(self._known(numbers) & np.isfinite(descriptors).all(axis=1))
        if not len(rows):
            return log_sigma
        descriptors = descriptors[rows]
        score = {"barrier_3d_ev": np.full(len(rows), self.barrier_3d_ev), "anion_radius_a": descriptors[:, 0]}
        roots = np.sqrt(self.parent.fractions(numbers[rows]))
        log_sigma[rows] = self.model.parts(Compounds(standardize(score, self.model.names), descriptors, roots)).gated
        return log_sigma

    def descriptors(self, numbers: Ints, volume_a3: Floats) -> Floats:
        """The descriptors (n, 14) of :func:`phonolyte.features.conduction.ionic_descriptors`."""
        sums = self.sums[np.arange(numbers.shape[1]), numbers].sum(axis=1)
        lithium, anions, framework = sums[:, MOBILE].T[0], sums[:, ANION].T, sums[:, FRAMEWORK].T
        n, cell = anions[0], volume_a3 * self.parent.counts.sum()
        radius, radius_2, negativity, charge = anions[1:5] / n
        descriptors = np.empty((len(numbers), len(DESCRIPTORS)))
        descriptors[:, :4] = np.column_stack([radius, _deviation(radius, radius_2), negativity, charge])
        descriptors[:, 4:6] = np.column_stack([lithium, framework[0]]) / n[:, None]
        descriptors[:, 6:12] = _of_framework(framework)
        descriptors[:, 12:] = np.column_stack([cell / n, anions[5] / cell])
        return descriptors

    def _known(self, numbers: Ints) -> Flags:
        return np.asarray((numbers[:, self.mobile] == self.ion).all(axis=1))


def _of_framework(sums: Floats) -> Floats:
    """Radius, charge and electronegativity (n, 6) of the other cations, each with its spread."""
    n = sums[0]
    means = sums[1:] / np.where(n > 0, n, 1.0)
    columns = [each for k in (0, 2, 4) for each in (means[k], _deviation(means[k], means[k + 1]))]
    return np.where((n > 0)[:, None], np.column_stack(columns), NO_FRAMEWORK)


def _deviation(mean: Floats, mean_of_squares: Floats) -> Floats:
    return np.sqrt(np.maximum(mean_of_squares - mean * mean, 0.0))


def _sums_of(slot: Slot, charge: int, ion: str) -> Floats:
    """What each element on a slot adds to the sums, (Z + 1, 14)."""
    sums = np.full((len(SYMBOLS), FRAMEWORK.stop), np.nan)
    for symbol, z in ATOMIC_NUMBERS.items():
        sums[z] = len(slot.sites) * _of_element(symbol, charge, ion)
    return sums


def _of_element(symbol: str, charge: int, ion: str) -> Floats:
    """What one atom adds on a slot whose ion in the parent has a charge."""
    sums = np.zeros(FRAMEWORK.stop)
    nearest = nearest_ions(charge).get(symbol)
    state = nearest.charge if nearest else nearest_state(symbol, charge)
    negativity = electronegativity(symbol)
    if charge < 0:
        radius = anion_radius_a(symbol)
        sums[ANION] = 1.0, radius, radius**2, negativity, -state, 4 / 3 * math.pi * radius**3
        return sums if state < 0 else np.full(len(sums), np.nan)
    if symbol == ion:
        sums[MOBILE] = 1.0
        return sums
    radius = cation_radius_a(symbol, state)
    sums[FRAMEWORK] = 1.0, radius, radius**2, state, state**2, negativity, negativity**2
    return sums
