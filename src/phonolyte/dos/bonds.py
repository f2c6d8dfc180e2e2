"""How high the bonds of a crystal vibrate: an estimate without any calculation of forces."""

from __future__ import annotations

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import PROPERTIES, property_table
from phonolyte.structures import Crystal

BADGER_MDYN_A2 = 1.86
"""Badger's rule k = 1.86 / (r - d)^3, k in mdyn/angstrom and lengths in angstrom (10.1063/1.1749581)."""

CORE_RADIUS_A = np.array([0.0, 0.0, 0.34, 0.57, 0.65, 0.65, 0.65, 0.65])
"""Badger's d of a pair as a sum over its atoms, by row of the periodic table (his table, to 0.04 angstrom)."""

CLOSEST_APPROACH_A = 0.3
LONGEST_BOND_A = 3.0
MEV = 161.525
"""hbar sqrt(1 mdyn/angstrom / atomic mass unit) in meV."""


def highest_bond_mode_mev(crystal: Crystal) -> float:
    """Highest zone-center mode (meV) of the crystal with a spring along every bond.

    Spring constants follow from bond lengths by Badger's rule. On ordinary crystals the estimate is within
    a quarter of the true end of the spectrum: enough to see that a grid ends before it.
    """
    from phonolyte.structures.neighbors import bin_atoms, neighbors_within

    n = len(crystal)
    mass, row = (property_table()[crystal.numbers, PROPERTIES.index(name)] for name in ("AtomicWeight", "Row"))
    core = CORE_RADIUS_A[row.astype(int)]
    bins = bin_atoms(crystal.lattice, crystal.frac_coords)
    dynamical = np.zeros((n, 3, n, 3))
    for i in range(n):
        near = neighbors_within(bins, i, LONGEST_BOND_A)
        for distance, vector, j in zip(near.distance, near.vector, near.site, strict=True):
            spring = _spring(vector, distance, max(distance - core[i] - core[j], CLOSEST_APPROACH_A))
            dynamical[i, :, i, :] += spring / mass[i]
            dynamical[i, :, j, :] -= spring / np.sqrt(mass[i] * mass[j])
    highest = np.linalg.eigvalsh(dynamical.reshape(3 * n, 3 * n))[-1]
    return float(MEV * np.sqrt(max(highest, 0.0)))


def _spring(vector: Floats, distance: float, gap: float) -> Floats:
    return BADGER_MDYN_A2 / gap**3 * np.outer(vector, vector) / distance**2
