"""What springs need to know of the elements, and of each pair of them: masses, radii and bond valences.

Lengths are angstrom, masses atomic mass units (u), force constants mdyn/angstrom.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import PROPERTIES, bond_valence_table, property_table
from phonolyte.compiling import kernel
from phonolyte.dos.bonds import CORE_RADIUS_A

SOFTNESS_A = 0.37
"""Distance over which a bond valence falls by a factor of e (10.1021/ja00009a002)."""

GORDY_MDYN_A = 1.67
"""Gordy's rule k = 1.67 N (x_i x_j / d^2)^(3/4), bond order N, electronegativities x (10.1063/1.1724138)."""

TRANSVERSE = 0.1
"""Stiffness of a spring across its direction, relative to that along it."""

ELEMENTAL = (
    "mass", "bond-valence size", "bond-valence electronegativity", "covalent radius", "electronegativity",
    "share in Badger's d", "melting point",
)  # fmt: skip
"""Columns of :func:`elemental_table`."""


@cache
def elemental_table() -> Floats:
    """What the springs need to know of each element, (Z + 1, 7); NaN where there is no value.

    Mass (u), size (angstrom) and electronegativity of bond valences, covalent radius (angstrom), electronegativity,
    share in Badger's d (angstrom), melting point (K).

    Size and electronegativity of the bond valences: O'Keeffe and Brese (10.1021/ja00009a002). Four elements of the
    fifth and sixth row, the noble gases and most actinides are not in their table: straight lines through those that
    are, over the covalent radius (10.1039/b801115j) and Pauling's electronegativity, stand in.
    """
    properties = property_table()
    mass, radius, pauling, row, melting = (
        properties[:, PROPERTIES.index(name)]
        for name in ("AtomicWeight", "CovalentRadius", "Electronegativity", "Row", "MeltingT")
    )
    size, hold = bond_valence_table().T
    radius = radius / 100.0
    core = np.append(CORE_RADIUS_A, np.nan)[np.where(np.isnan(row), -1, row).astype(int)]
    columns = mass, _complete(size, radius), _complete(hold, pauling), radius, pauling, core, melting
    return np.column_stack(columns)


def _complete(values: Floats, guide: Floats) -> Floats:
    """Values whose gaps are filled from a straight line over `guide`."""
    both = ~np.isnan(values) & ~np.isnan(guide)
    slope, offset = np.polyfit(guide[both], values[both], 1)
    return np.where(np.isnan(values), slope * guide + offset, values)


@kernel
def bond_valence_length(size_i: float, hold_i: float, size_j: float, hold_j: float) -> float:
    """Length of a bond of one valence unit, angstrom: equation 2 of O'Keeffe and Brese (10.1021/ja00009a002)."""
    difference = math.sqrt(hold_i) - math.sqrt(hold_j)
    return size_i + size_j - size_i * size_j * difference * difference / (hold_i * size_i + hold_j * size_j)


@cache
def element_pairs() -> Floats:
    """What springs need to know of each pair of elements, (Z + 1, Z + 1, 8): :func:`pair_table` of all elements."""
    pairs: Floats = pair_table(elemental_table())
    return pairs


@kernel
def pair_table(properties: Floats) -> Floats:
    """What springs need to know of each pair of e elements with properties (e, 7), (e, e, 8).

    exp(R0 / 0.37), 1 over the sum of covalent radii, Badger's d, factor of Gordy's k, difference of
    electronegativities, 1 / m_a + 1 / m_b, ln m_b, and the factor of the squares of k in the fourth moment.
    """
    n = len(properties)
    pairs = np.empty((n, n, 8))
    transverse = 1.0 + 2.0 * TRANSVERSE + 3.0 * TRANSVERSE * TRANSVERSE
    for a in range(n):
        for b in range(n):
            x, y = properties[a], properties[b]
            valence = math.exp(bond_valence_length(x[1], x[2], y[1], y[2]) / SOFTNESS_A)
            gordy = valence * GORDY_MDYN_A * (x[4] * y[4]) ** 0.75
            pairs[a, b, 0] = valence
            pairs[a, b, 1] = 1.0 / (x[3] + y[3])
            pairs[a, b, 2] = x[5] + y[5]
            pairs[a, b, 3] = gordy
            pairs[a, b, 4] = abs(x[4] - y[4])
            pairs[a, b, 5] = 1.0 / x[0] + 1.0 / y[0]
            pairs[a, b, 6] = math.log(y[0])
            pairs[a, b, 7] = gordy * gordy * transverse / (x[0] * y[0])
    return pairs


class Species(NamedTuple):
    """Species of a crystal: `element` (s,) is the row of each in `properties` (e, 7) and `pairs` (e, e, 8)."""

    element: Ints
    properties: Floats
    pairs: Floats
