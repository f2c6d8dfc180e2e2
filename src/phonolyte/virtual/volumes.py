"""Volumes of virtual compounds: the sums of the learned valence sum, tabulated once for each parent.

On one geometry the elements are but factors exp(R / 0.37 A) of sums over contacts, which depend on the length alone:
see :mod:`phonolyte.models.volume`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.features.elemental import SOFTNESS_A
from phonolyte.models.volume import (
    LONGEST_STEP_A,
    MOST_STEPS,
    START_A,
    TOLERANCE_A,
    VolumeModel,
    contacts_of,
    newton_step,
    site_valence,
)
from phonolyte.structures import Crystal
from phonolyte.virtual.parents import Parent

GRID_A, GRID_STEP_A, GRID_POINTS = 1.0, 0.01, 601
"""Lengths x at which the sums of a parent are tabulated, and interpolated between by cubic Hermite polynomials."""

SAME_DISTANCE = 1e-6
"""Difference in units of (V / n)^(1/3) below which distances of contacts are one, where kinds of sites are
distinguished."""


class Sums(NamedTuple):
    """Sums over the contacts of k kinds of sites with the slots.

    `start` (k + 1,), `partner` (p,) slots in contact with each kind, `table` (p, GRID_POINTS, 2) sum of
    exp(-x d / 0.37 A) and its derivative by x; `owner` (k,) slot of each kind, `share` (k,) sites of it.
    """

    start: Ints
    partner: Ints
    table: Floats
    owner: Ints
    share: Floats


@dataclass(frozen=True, slots=True, eq=False)
class VolumeOfParent:
    """What the predicted volumes of all compounds of a parent share."""

    parent: Parent
    volumes: VolumeModel
    sums: Sums
    factors: Floats

    @classmethod
    def from_parent(cls, parent: Parent, volumes: VolumeModel) -> Self:
        """Tabulate the sums of a parent."""
        return cls(parent, volumes, _tabulate(parent), np.exp(volumes.pairs / SOFTNESS_A))

    def __call__(self, numbers: Ints) -> Floats:
        """Volume an atom (n,), cubic angstrom, of compounds with atomic numbers (n, s) on the slots; NaN for none."""
        lengths = _solve(self.sums, numbers, self.factors, self.volumes.polarity, self.volumes.valence)
        for row in np.flatnonzero(np.isnan(lengths)):  # beyond the table, or without data
            built = self.volumes.volume_a3(self.parent.substituted(numbers[row]))
            lengths[row] = (built / math.exp(self.volumes.log_factor)) ** (1.0 / 3.0)
        return np.asarray(math.exp(self.volumes.log_factor) * lengths**3)

    def crystal(self, numbers: Ints, *, material_id: str = "") -> Crystal:
        """One compound, with atomic numbers (s,) on the slots, as a crystal of its predicted volume."""
        parent = self.parent.crystal
        scale = float((self(numbers[None])[0] * len(parent) / parent.volume_a3) ** (1.0 / 3.0))
        return self.parent.substituted(numbers, material_id=material_id, scale=scale)


def _tabulate(parent: Parent) -> Sums:
    slots, contacts = parent.slot_of_site, contacts_of(parent.crystal)
    kinds: dict[tuple[int, bytes], int] = {}
    share: list[float] = []
    owner: list[int] = []
    start, partner, table = [0], [], []
    for site, slot in enumerate(slots.tolist()):
        near = slice(contacts.start[site], contacts.start[site + 1])
        to_slot, distance = slots[contacts.partner[near]], contacts.distance[near]
        rounded = np.rint(distance / SAME_DISTANCE).astype(np.int64)
        order = np.lexsort((rounded, to_slot))
        key = slot, np.column_stack([to_slot, rounded])[order].tobytes()
        if key in kinds:
            share[kinds[key]] += 1.0
            continue
        kinds[key] = len(owner)
        share.append(1.0)
        owner.append(slot)
        for other in np.unique(to_slot).tolist():
            partner.append(other)
            table.append(_sums_over(distance[to_slot == other]))
        start.append(len(partner))
    return Sums(np.array(start), np.array(partner), np.array(table), np.array(owner), np.array(share))


def _sums_over(distance: Floats) -> Floats:
    """Sum of exp(-x d / 0.37 A) over distances d, and its derivative by x, on the grid of lengths (GRID_POINTS, 2)."""
    x = GRID_A + GRID_STEP_A * np.arange(GRID_POINTS)
    bonds = np.exp(-x[:, None] * distance / SOFTNESS_A)
    return np.stack([bonds.sum(axis=1), -(bonds @ distance) / SOFTNESS_A], axis=1)


@kernel
def _solve(p: Sums, numbers: Ints, factors: Floats, polarity: Floats, valence: Floats) -> Floats:
    """Lengths x (n,) of the cube of an atom at which the sums agree, angstrom; NaN where there is none on the grid."""
    lengths = np.full(len(numbers), np.nan)
    for row in range(len(numbers)):
        x = START_A
        for _ in range(MOST_STEPS):
            total, slope, wanted, wanted_slope = _add_up(p, numbers[row], x, factors, polarity, valence)
            if not (total > 0.0 and wanted > 0.0):
                break
            step = newton_step(total, slope, wanted, wanted_slope)
            x += min(max(step, -LONGEST_STEP_A), LONGEST_STEP_A)
            if not GRID_A <= x < GRID_A + GRID_STEP_A * (GRID_POINTS - 1):
                break
            if abs(step) < TOLERANCE_A:
                lengths[row] = x
                break
    return lengths


@kernel
def _add_up(
    p: Sums, numbers: Ints, x: float, factors: Floats, polarity: Floats, valence: Floats
) -> tuple[float, float, float, float]:
    """Sum of bond valences and of site valences, and their derivatives by x, from the table."""
    at = (x - GRID_A) / GRID_STEP_A
    g = int(at)
    u = at - g
    v = 1.0 - u
    h0, h1 = (1.0 + 2.0 * u) * v * v, u * v * v * GRID_STEP_A
    h2, h3 = u * u * (3.0 - 2.0 * u), -u * u * v * GRID_STEP_A
    d0, d1, d3 = -6.0 * u * v / GRID_STEP_A, v * (1.0 - 3.0 * u), u * (3.0 * u - 2.0)
    total = slope = wanted = wanted_slope = 0.0
    for kind in range(len(p.owner)):
        element = numbers[p.owner[kind]]
        s = ds = a = da = 0.0
        for f in range(p.start[kind], p.start[kind + 1]):
            other = numbers[p.partner[f]]
            y0, z0, y1, z1 = p.table[f, g, 0], p.table[f, g, 1], p.table[f, g + 1, 0], p.table[f, g + 1, 1]
            bond = factors[element, other] * (h0 * y0 + h1 * z0 + h2 * y1 + h3 * z1)
            change = factors[element, other] * (d0 * (y0 - y1) + d1 * z0 + d3 * z1)
            s += bond
            ds += change
            a += bond * polarity[element, other]
            da += change * polarity[element, other]
        v, dv = site_valence(valence[element], s, ds, a, da)
        total += p.share[kind] * s
        slope += p.share[kind] * ds
        wanted += p.share[kind] * v
        wanted_slope += p.share[kind] * dv
    return total, slope, wanted, wanted_slope
