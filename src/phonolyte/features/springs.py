"""Springs between the atoms of a crystal, and what each site feels of them (compiled).

Springs follow from elements and distances alone, by three rules: bond valence, Badger's and Gordy's. Force constants
are mdyn/angstrom, masses atomic mass units (u), lengths angstrom, frequencies meV. The equation of each quantity stands
in :data:`phonolyte.features.physical.QUANTITIES`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numba import njit

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, property_table
from phonolyte.dos.bonds import BADGER_MDYN_A2, CLOSEST_APPROACH_A, CORE_RADIUS_A, MEV
from phonolyte.structures.neighbours import bin_atoms, neighbours_within
from phonolyte.units import KB_EV_K

REACH_A = 6.5
"""How far springs reach."""

SOFTNESS_A = 0.37
"""Distance over which a bond valence falls by a factor of e (10.1021/ja00009a002)."""

GORDY_MDYN_A = 1.67
"""Gordy's rule k = 1.67 N (x_i x_j / d^2)^(3/4), bond order N, electronegativities x (10.1063/1.1724138)."""

EV_PER_MDYN_A = 6.241509
"""One millidyne angstrom in eV."""

LINDEMANN = 0.1
"""Amplitude at the melting point over the length of a bond (Lindemann's criterion)."""

FAINTEST = 1e-3
"""Least weight of a bond that counts in angles."""

TRANSVERSE = 0.1
"""Stiffness of a spring across its direction, relative to that along it."""

ELEMENTAL = (
    "mass", "bond-valence size", "bond-valence electronegativity", "covalent radius", "electronegativity",
    "share in Badger's d", "melting point",
)  # fmt: skip
"""Columns of :func:`elemental_table`."""

N_QUANTITIES = 30
"""Numbers that :func:`site_quantities` gives of each site."""


@cache
def elemental_table() -> Floats:
    """What the springs need to know of each element, (Z + 1, 7); NaN where there is no value.

    Mass (u), size (angstrom) and electronegativity of bond valences, covalent radius (angstrom), electronegativity,
    share in Badger's d (angstrom), melting point (K).

    Size and electronegativity of the bond valences: O'Keeffe and Brese (10.1021/ja00009a002). Four elements of the
    fifth and sixth row, the noble gases and most actinides are not in their table: straight lines through those that
    are, over the covalent radius (10.1039/b801115j) and Pauling's electronegativity, stand in.
    """
    from pymatgen.analysis.bond_valence import BV_PARAMS

    properties = property_table()
    mass, radius, pauling, row, melting = (
        properties[:, PROPERTIES.index(name)]
        for name in ("AtomicWeight", "CovalentRadius", "Electronegativity", "Row", "MeltingT")
    )
    size, hold = np.full(len(mass), np.nan), np.full(len(mass), np.nan)
    for element, parameters in BV_PARAMS.items():
        z = ATOMIC_NUMBERS.get(element.symbol)
        if z is not None:
            size[z], hold[z] = parameters["r"], parameters["c"]
    radius = radius / 100.0
    core = np.append(CORE_RADIUS_A, np.nan)[np.where(np.isnan(row), -1, row).astype(int)]
    columns = mass, _completed(size, radius), _completed(hold, pauling), radius, pauling, core, melting
    return np.column_stack(columns)


def _completed(values: Floats, guide: Floats) -> Floats:
    """Values whose gaps are filled from a straight line over `guide`."""
    both = ~np.isnan(values) & ~np.isnan(guide)
    slope, offset = np.polyfit(guide[both], values[both], 1)
    return np.where(np.isnan(values), slope * guide + offset, values)


@njit(cache=True, nogil=True)
def bond_valence_length(size_i: float, hold_i: float, size_j: float, hold_j: float) -> float:
    """Length of a bond of one valence unit, angstrom: equation 2 of O'Keeffe and Brese (10.1021/ja00009a002)."""
    difference = math.sqrt(hold_i) - math.sqrt(hold_j)
    return size_i + size_j - size_i * size_j * difference * difference / (hold_i * size_i + hold_j * size_j)


@njit(cache=True, nogil=True)
def site_quantities(lattice: Floats, frac_coords: Floats, numbers: Ints, elemental: Floats) -> Floats:
    """Quantities of each site, (n, N_QUANTITIES); NaN of a site without neighbours.

    Their order is that of :data:`phonolyte.features.physical.QUANTITIES`.

    Parameters
    ----------
    lattice, frac_coords, numbers
        (3, 3) angstrom, (n, 3) and (n,) atomic numbers.
    elemental
        What :func:`elemental_table` gives.
    """
    n = len(numbers)
    elements = np.unique(numbers)
    kind = np.searchsorted(elements, numbers)
    pairs = _pairs(elemental[elements])
    bins = bin_atoms(lattice, frac_coords)
    values = np.empty((n, N_QUANTITIES))
    weights = np.zeros((n, n))
    for i in range(n):
        near = neighbours_within(bins, i, REACH_A)
        _site(i, near.distance, near.vector, near.site, kind, elemental[elements], pairs, values[i], weights[i])
    for i in range(n):
        values[i, 12] = 0.0
        for j in range(n):
            values[i, 12] += weights[i, j] * values[j, 6]
    return values


@njit(cache=True, nogil=True)
def _pairs(of_elements: Floats) -> Floats:
    """Per pair of elements: bond valence length, sum of covalent radii, Badger's d, Gordy's factor, (e, e, 4)."""
    n = len(of_elements)
    pairs = np.empty((n, n, 4))
    for a in range(n):
        for b in range(n):
            x, y = of_elements[a], of_elements[b]
            pairs[a, b, 0] = bond_valence_length(x[1], x[2], y[1], y[2])
            pairs[a, b, 1] = x[3] + y[3]
            pairs[a, b, 2] = x[5] + y[5]
            pairs[a, b, 3] = GORDY_MDYN_A * (x[4] * y[4]) ** 0.75
    return pairs


@njit(cache=True, nogil=True)
def _site(
    i: int, distance: Floats, vector: Floats, site: Ints, kind: Ints, of_elements: Floats, pairs: Floats,
    values: Floats, weights: Floats,
) -> None:  # fmt: skip
    own = kind[i]
    mass, n_near = of_elements[own, 0], len(distance)
    if n_near == 0:
        values[:] = np.nan
        return
    shortest = np.inf
    for f in range(n_near):
        shortest = min(shortest, distance[f] / pairs[own, kind[site[f]], 1])
    top = bottom = 0.0
    for f in range(n_near):  # weighted mean of relative lengths, to which Hoppe's weights refer
        relative = distance[f] / pairs[own, kind[site[f]], 1]
        if relative > 2.0 * shortest:
            continue
        weight = math.exp(1.0 - (relative / shortest) ** 6)
        top += weight * relative
        bottom += weight
    average = top / bottom
    shares = np.empty(n_near)
    tensor = np.zeros((3, 3))
    asymmetry = np.zeros(3)
    spring = badger = gordy = squares = valence = valence_squares = 0.0
    coordination = length = relative_length = stiffness = far = 0.0
    inverse_reduced = neighbour_mass = polarity = stiffest = 0.0
    for f in range(n_near):
        other = kind[site[f]]
        d, m = distance[f], of_elements[other, 0]
        relative = d / pairs[own, other, 1]
        s = math.exp((pairs[own, other, 0] - d) / SOFTNESS_A)
        k = s / (d * d)
        spring += k
        valence += s
        valence_squares += s * s
        g = s * pairs[own, other, 3] / (d * math.sqrt(d))
        gordy += g
        stiffness += g * d * d
        squares += g * g / (mass * m) * (1.0 + 2.0 * TRANSVERSE + 3.0 * TRANSVERSE * TRANSVERSE)
        inverse_reduced += s * (1.0 / mass + 1.0 / m)
        neighbour_mass += s * math.log(m)
        polarity += s * abs(of_elements[own, 4] - of_elements[other, 4])
        stiffest = max(stiffest, g * (1.0 / mass + 1.0 / m))
        weights[site[f]] += s
        for a in range(3):
            asymmetry[a] += s * vector[f, a] / d
            for b in range(3):
                tensor[a, b] += g * vector[f, a] * vector[f, b] / (d * d)
        weight = math.exp(1.0 - (relative / average) ** 6) if relative < 2.0 * average else 0.0
        shares[f] = weight
        if weight > 0.0:
            coordination += weight
            length += weight * d
            relative_length += weight * relative
            badger += weight * BADGER_MDYN_A2 / max(d - pairs[own, other, 2], CLOSEST_APPROACH_A) ** 3
        far += (1.0 - min(weight, 1.0)) * g
    weights /= valence
    values[26:30] = _order(vector, distance, shares)
    for a in range(3):
        tensor[a, a] += TRANSVERSE * gordy
    tensor /= mass
    axes = np.linalg.eigvalsh(tensor)
    second = axes.mean()
    fourth = (axes**2).mean() + squares / 3.0
    values[0], values[1], values[2], values[3] = mass, spring, badger, gordy
    values[4] = MEV * math.sqrt(spring / mass)
    values[5] = MEV * math.sqrt(badger / mass)
    values[6] = MEV * math.sqrt(gordy / mass)
    values[7] = MEV * math.sqrt(stiffest)
    values[8] = MEV * fourth**0.25
    values[9] = MEV * math.sqrt(second) * (fourth / (second * second)) ** -0.125
    values[10] = MEV * np.sqrt(axes).mean()
    values[11] = MEV * math.sqrt(axes[0])
    thermal = 3.0 * KB_EV_K * of_elements[own, 6] / EV_PER_MDYN_A
    values[13] = MEV * math.sqrt(thermal / mass) / (LINDEMANN * length / coordination)
    values[14] = valence
    values[15] = math.sqrt((asymmetry**2).sum()) / valence
    values[16] = valence_squares / valence
    values[17], values[18], values[19] = coordination, length / coordination, relative_length / coordination
    values[20] = shortest
    values[21] = valence / inverse_reduced
    values[22] = math.exp(neighbour_mass / valence)
    values[23] = polarity / valence
    values[24] = far / gordy
    values[25] = stiffness


@njit(cache=True, nogil=True)
def _order(vector: Floats, distance: Floats, shares: Floats) -> Floats:
    """Weighted mean over pairs of bonds of the Legendre polynomials 2, 3, 4 and 6 of the cosine between them, (4,)."""
    order, total = np.zeros(4), 0.0
    bonds = np.flatnonzero(shares > FAINTEST)
    for f in bonds:
        for g in bonds:
            x = 0.0
            for a in range(3):
                x += vector[f, a] * vector[g, a]
            x /= distance[f] * distance[g]
            y, weight = x * x, shares[f] * shares[g]
            total += weight
            order[0] += weight * (1.5 * y - 0.5)
            order[1] += weight * (2.5 * y - 1.5) * x
            order[2] += weight * ((4.375 * y - 3.75) * y + 0.375)
            order[3] += weight * (((14.4375 * y - 19.6875) * y + 6.5625) * y - 0.3125)
    return order / total
