"""Perovskites and antiperovskites: octahedra that share corners, and Goldschmidt's tolerance factor.

Goldschmidt, Naturwissenschaften 14, 477 (1926), 10.1007/BF01507527; ions as in Shannon, 10.1107/S0567739476001551.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.structures.neighbors import bin_atoms, neighbors_within
from phonolyte.virtual.parents import Parent

BONDED = 1.25
"""Ions at up to so many times the nearest distance are bonded to the center of an octahedron."""

AROUND = 1.5
"""The same for the large ion between octahedra, whose surroundings tilts make uneven; eight at least are around it."""

REACH = 2.5
"""Where neighbors are looked for, in units of the atomic spacing (volume per atom)^(1/3)."""

TOLERATED = (0.8, 1.06)
"""Tolerance factors of known perovskites."""


@dataclass(frozen=True, slots=True, eq=False)
class Framework:
    """Shares of the slots in the three places of a perovskite ABX3, each (s,) and adding up to 1.

    Attributes
    ----------
    a
        Between the octahedra.
    b
        Centers of the octahedra.
    x
        Their corners.
    """

    a: Floats
    b: Floats
    x: Floats

    @classmethod
    def from_parent(cls, parent: Parent) -> Self | None:
        """The framework of a parent, or None where it is not a perovskite."""
        places = _places(parent)
        if places is None:
            return None
        slot, n = parent.slot_of_site, len(parent.slots)
        return cls(*(np.bincount(slot[place], minlength=n) / place.sum() for place in places))

    def tolerance_factor(self, six: Floats, twelve: Floats, numbers: Ints) -> Floats:
        """Goldschmidt's t = (r_A + r_X) / sqrt(2) / (r_B + r_X) of compounds with atomic numbers (n, s), (n,).

        Mixed places have the mean radius. Radii (s, Z + 1) are in angstrom, with six and with twelve neighbors; what
        is unknown is nan.
        """
        slots = np.arange(numbers.shape[1])
        around, octahedra = twelve[slots, numbers], six[slots, numbers]
        a, b, x = ((np.where(mask > 0, radii, 0.0) @ mask) for mask, radii in
                   ((self.a, around), (self.b, octahedra), (self.x, octahedra)))  # fmt: skip
        return np.asarray((a + x) / np.sqrt(2) / (b + x))


def _places(parent: Parent) -> tuple[Flags, Flags, Flags] | None:
    """Which sites are A, B and X; None unless every X joins two octahedra, and A has eight X around it at least."""
    crystal, n = parent.crystal, len(parent.crystal)
    charges = np.array([slot.ion.charge if slot.ion else 0 for slot in parent.slots])[parent.slot_of_site]
    x = next((charges * sign > 0 for sign in (1, -1) if 5 * (charges * sign > 0).sum() == 3 * n), None)
    if x is None:
        return None
    bins = bin_atoms(crystal.lattice, crystal.frac_coords)
    reach = REACH * (abs(np.linalg.det(crystal.lattice)) / n) ** (1 / 3)
    bonds, around = np.zeros((n, n), dtype=int), np.zeros(n, dtype=int)
    for site in np.flatnonzero(~x):
        near = neighbors_within(bins, site, reach)
        distance, corner = near.distance[x[near.site]], near.site[x[near.site]]
        np.add.at(bonds[site], corner[distance <= BONDED * distance[0]], 1)
        around[site] = (distance <= AROUND * distance[0]).sum()
    b = bonds.sum(axis=1) == 6
    a = ~x & ~b & (around >= 8)
    joined = (bonds[b].sum(axis=0)[x] == 2).all()
    return (a, b, x) if 5 * a.sum() == 5 * b.sum() == n and joined else None
