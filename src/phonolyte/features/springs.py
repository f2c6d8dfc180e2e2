"""Springs between the atoms of a crystal, and what each site feels of them (compiled).

Springs follow from elements and distances alone, by three rules: bond valence, Badger's and Gordy's. Force constants
are mdyn/angstrom, masses atomic mass units (u), lengths angstrom, frequencies meV. The equation of each quantity stands
in :data:`phonolyte.features.physical.QUANTITIES`.

A bond valence s = exp((R0 - d) / 0.37) is a factor of two elements times one of the distance. The quantities of a site
therefore need only sums over its neighbours of one species that do not depend on what the species is, here *lattice
sums* (:func:`add_shell`), and, in addition, its nearest neighbours one by one. Virtual compounds share the lattice sums
of their parent.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, property_table
from phonolyte.dos.bonds import BADGER_MDYN_A2, CLOSEST_APPROACH_A, CORE_RADIUS_A, MEV
from phonolyte.structures.neighbours import Pairs, bin_atoms, list_pairs
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

NEGLIGIBLE = 1.75
"""Relative length, over that which Hoppe's weights refer to, from which on they are below 1e-12 and left out."""

LONGEST_MEAN = 1.5
"""Bound of the weighted mean of relative lengths, in units of the shortest: weights beyond 1.3 are below 0.03."""

TRANSVERSE = 0.1
"""Stiffness of a spring across its direction, relative to that along it."""

ELEMENTAL = (
    "mass", "bond-valence size", "bond-valence electronegativity", "covalent radius", "electronegativity",
    "share in Badger's d", "melting point",
)  # fmt: skip
"""Columns of :func:`elemental_table`."""

N_QUANTITIES = 30
"""Numbers that :func:`site_quantities` gives of each site."""

N_SUMS = 15
"""Lattice sums of a site over its neighbours of one species."""

N_SHAPE = 10
"""Numbers that describe the directions of the neighbours in a shell: :func:`shell_shape`."""

ORDERS = (2, 3, 4, 6)
"""Orders of the Legendre polynomials between bonds."""

HIGHEST = max(ORDERS)
N_HARMONICS = sum(2 * order + 1 for order in ORDERS)
_START = np.array([sum(2 * o + 1 for o in ORDERS if o < order) if order in ORDERS else -1
                   for order in range(HIGHEST + 1)])  # fmt: skip
_M, _ORDER = np.arange(HIGHEST + 1.0)[:, None], np.arange(HIGHEST + 1.0)
_WIDTH = np.where(_M < _ORDER, _ORDER**2 - _M**2, np.inf)
_RISE = (2.0 * _ORDER - 1.0) / np.sqrt(_WIDTH)
_FALL = np.sqrt(np.maximum((_ORDER - 1.0) ** 2 - _M**2, 0.0) / _WIDTH)
_SECTORAL = np.sqrt(1.0 - 0.5 / np.maximum(_ORDER, 1.0))
"""Factors of the recursions of associated Legendre polynomials, normalised as Schmidt does."""


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


@cache
def element_pairs() -> Floats:
    """What springs need to know of each pair of elements, (Z + 1, Z + 1, 8): :func:`pair_table` of all elements."""
    pairs: Floats = pair_table(elemental_table())
    return pairs


@njit(cache=True, nogil=True)
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


class Shells(NamedTuple):
    """Shells of neighbours: those of one species that are equally far from a site, one or more.

    `distance` (m,), `shape` (m, 10) as :func:`shell_shape` gives it, and `harmonics` (m, 34), those of
    :func:`harmonics` summed over the shell. The shells of a site are given as ranges `first` to `last` (s,), one for
    each species, in which distances increase.
    """

    distance: Floats
    shape: Floats
    harmonics: Floats


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
    species_of_site = np.searchsorted(elements, numbers)
    properties = elemental[elements]
    species = Species(np.arange(len(elements)), properties, pair_table(properties))
    pairs = list_pairs(bin_atoms(lattice, frac_coords), REACH_A)
    values, sums, reach = np.empty((n, N_QUANTITIES)), np.zeros((n, len(elements), N_SUMS)), np.zeros((n, n))
    _add_pairs(pairs, species_of_site, sums, reach)
    shells, first, last = _close_shells(pairs, species_of_site, species)
    shares, shortest = np.empty(len(shells.distance)), np.empty(n)
    hoppe_weights(species_of_site, 1.0, species, shells, first, last, shares, shortest)
    for i in range(n):
        for t in range(len(elements)):
            for f in range(first[i, t], last[i, t]):
                if shares[f] > FAINTEST:
                    harmonics(shells.shape, f, shells.harmonics)
    quantities(species_of_site, 1.0, species, sums, shells, first, last, shares, shortest, values)
    neighbour_frequencies(species_of_site, species, reach, values)
    return values


@njit(cache=True, nogil=True)
def _add_pairs(pairs: Pairs, species_of_site: Ints, sums: Floats, reach: Floats) -> None:
    """Add both atoms of each pair, as a shell of the other, to the lattice sums (n, s, 15) and to `reach` (n, n)."""
    shape = np.empty((1, N_SHAPE))
    for f in range(len(pairs.distance)):
        i, j, d = pairs.first[f], pairs.second[f], pairs.distance[f]
        shell_shape(pairs.vector, f, d, shape, 0)
        reach[i, j] += add_shell(sums, i, species_of_site[j], d, shape, 0)
        _invert(shape, 0)
        reach[j, i] += add_shell(sums, j, species_of_site[i], d, shape, 0)


@njit(cache=True, nogil=True)
def _close_shells(pairs: Pairs, species_of_site: Ints, species: Species) -> tuple[Shells, Ints, Ints]:
    """Each neighbour that can have a weight as a shell, without the harmonics, and the ranges of the sites (n, s)."""
    n, m = len(species_of_site), len(pairs.distance)
    relative, least = np.empty(m), np.full(n, np.inf)
    for f in range(m):
        i, j = pairs.first[f], pairs.second[f]
        z, other = species.element[species_of_site[i]], species.element[species_of_site[j]]
        relative[f] = pairs.distance[f] * species.pairs[z, other, 1]
        least[i], least[j] = min(least[i], relative[f]), min(least[j], relative[f])
    counts = np.zeros(n * len(species.element) + 1, np.int64)
    for f in range(m):
        for here, there in ((pairs.first[f], pairs.second[f]), (pairs.second[f], pairs.first[f])):
            if relative[f] <= NEGLIGIBLE * LONGEST_MEAN * least[here]:
                counts[here * len(species.element) + species_of_site[there] + 1] += 1
    first = np.cumsum(counts)[:-1].reshape(n, len(species.element))
    last, k = first.copy(), counts.sum()
    shells, end = Shells(np.empty(k), np.empty((k, N_SHAPE)), np.empty((k, N_HARMONICS))), np.empty(k, np.int64)
    for f in range(m):
        for side, here, there in ((0, pairs.first[f], pairs.second[f]), (1, pairs.second[f], pairs.first[f])):
            if relative[f] <= NEGLIGIBLE * LONGEST_MEAN * least[here]:
                t = species_of_site[there]
                at = last[here, t]
                while at > first[here, t] and shells.distance[at - 1] > pairs.distance[f]:
                    shells.distance[at], end[at] = shells.distance[at - 1], end[at - 1]
                    at -= 1
                shells.distance[at], end[at] = pairs.distance[f], 2 * f + side
                last[here, t] += 1
    for at in range(k):
        shell_shape(pairs.vector, end[at] // 2, shells.distance[at], shells.shape, at)
        if end[at] % 2 == 1:
            _invert(shells.shape, at)
    return shells, first, last


@njit(cache=True, nogil=True)
def shell_shape(vector: Floats, f: int, distance: float, shape: Floats, at: int) -> None:
    """Describe neighbour `f` as a shell in row `at` of `shape`.

    With its unit vector r they are its count, r, and xx, yy, zz, xy, xz, yz of r r^T: they add up in a shell.
    """
    x, y, z = vector[f, 0] / distance, vector[f, 1] / distance, vector[f, 2] / distance
    shape[at, 0], shape[at, 1], shape[at, 2], shape[at, 3] = 1.0, x, y, z
    shape[at, 4], shape[at, 5], shape[at, 6] = x * x, y * y, z * z
    shape[at, 7], shape[at, 8], shape[at, 9] = x * y, x * z, y * z


@njit(cache=True, nogil=True)
def _invert(shape: Floats, at: int) -> None:
    """Describe the shell in row `at` of `shape` as it is seen from the other end."""
    for axis in range(1, 4):
        shape[at, axis] = -shape[at, axis]


@njit(cache=True, nogil=True)
def add_shell(sums: Floats, i: int, t: int, distance: float, shape: Floats, f: int) -> float:
    """Add shell `f` to the lattice sums (n, s, 15) of site `i` over species `t`; returns what it adds to the first.

    With e = exp(-d / 0.37) and unit vectors r they are sums of e, e / d^2, e^2, e d^(1/2), e^2 / d^3, the six of
    e d^(-3/2) r r^T, the three of e r, and the largest e d^(-3/2).
    """
    e = math.exp(-distance / SOFTNESS_A)
    inverse = 1.0 / distance
    gordy = e * inverse * math.sqrt(inverse)
    reach = shape[f, 0] * e
    sums[i, t, 0] += reach
    sums[i, t, 1] += reach * inverse * inverse
    sums[i, t, 2] += reach * e
    sums[i, t, 3] += shape[f, 0] * gordy * distance * distance
    sums[i, t, 4] += shape[f, 0] * gordy * gordy
    for a in range(6):
        sums[i, t, 5 + a] += gordy * shape[f, 4 + a]
    for a in range(3):
        sums[i, t, 11 + a] += e * shape[f, 1 + a]
    sums[i, t, 14] = max(sums[i, t, 14], gordy)
    return reach


@njit(cache=True, nogil=True)
def hoppe_weights(
    species_of_site: Ints, scale: float, species: Species, shells: Shells, first: Ints, last: Ints, shares: Floats,
    shortest: Floats,
) -> None:  # fmt: skip
    """Hoppe's weight of a neighbour in each close shell of n sites, or kinds of sites.

    Parameters
    ----------
    species_of_site
        (n,) species of each site.
    scale
        Factor on the distances of the shells.
    species
        All species.
    shells, first, last
        Shells of the sites, and their ranges (n, s); `last` is set to the first shell that is not close.
    shares
        (m,) weights, of which those of close shells are set.
    shortest
        (n,) shortest relative length of each site, which is set; infinite without shells.
    """
    n_species = len(species.element)
    for i in range(len(species_of_site)):
        z = species.element[species_of_site[i]]
        least = np.inf
        for t in range(n_species):
            if first[i, t] < last[i, t]:
                relative = scale * shells.distance[first[i, t]] * species.pairs[z, species.element[t], 1]
                least = min(least, relative)
        shortest[i] = least
        top = bottom = 0.0
        for t in range(n_species):  # weighted mean of relative lengths, to which the weights refer
            inverse = scale * species.pairs[z, species.element[t], 1] / least
            for f in range(first[i, t], last[i, t]):
                relative = shells.distance[f] * inverse
                if relative > NEGLIGIBLE:
                    break
                weight = shells.shape[f, 0] * _hoppe(relative)
                top += weight * relative
                bottom += weight
        for t in range(n_species):
            f = first[i, t]
            if f < last[i, t]:
                inverse = scale * species.pairs[z, species.element[t], 1] / least * bottom / top
                while f < last[i, t] and shells.distance[f] * inverse <= NEGLIGIBLE:
                    shares[f] = _hoppe(shells.distance[f] * inverse)
                    f += 1
                last[i, t] = f


@njit(cache=True, nogil=True)
def _hoppe(ratio: float) -> float:
    cube = ratio * ratio * ratio
    return math.exp(1.0 - cube * cube)


@njit(cache=True, nogil=True)
def quantities(
    species_of_site: Ints, scale: float, species: Species, sums: Floats, shells: Shells, first: Ints, last: Ints,
    shares: Floats, shortest: Floats, values: Floats,
) -> None:  # fmt: skip
    """Quantities of n sites, or kinds of sites, into `values` (n, 30), but for the frequency of their neighbours.

    Parameters
    ----------
    species_of_site
        (n,) species of each site.
    scale
        Factor on the distances of the shells.
    species
        All species.
    sums
        (n, s, 15) lattice sums over the neighbours of each species.
    shells, first, last, shares, shortest
        Close shells of the sites, their ranges (n, s), and what :func:`hoppe_weights` gives; the harmonics of shells
        whose weight is above :data:`FAINTEST` are needed.
    """
    n_species, direction = len(species.element), np.empty(N_HARMONICS)
    for i in range(len(species_of_site)):
        if not shortest[i] < np.inf:
            for q in range(N_QUANTITIES):
                values[i, q] = np.nan
            continue
        z = species.element[species_of_site[i]]
        mass = species.properties[z, 0]
        spring = squares = valence = valence_squares = stiffness = stiffest = 0.0
        inverse_reduced = neighbour_mass = polarity = 0.0
        xx = yy = zz = xy = xz = yz = rx = ry = rz = 0.0
        for t in range(n_species):
            other = species.element[t]
            e, g = species.pairs[z, other, 0], species.pairs[z, other, 3]
            s = e * sums[i, t, 0]
            valence += s
            spring += e * sums[i, t, 1]
            valence_squares += e * e * sums[i, t, 2]
            stiffness += g * sums[i, t, 3]
            polarity += s * species.pairs[z, other, 4]
            inverse_reduced += s * species.pairs[z, other, 5]
            neighbour_mass += s * species.pairs[z, other, 6]
            squares += species.pairs[z, other, 7] * sums[i, t, 4]
            stiffest = max(stiffest, g * species.pairs[z, other, 5] * sums[i, t, 14])
            xx, yy, zz = xx + g * sums[i, t, 5], yy + g * sums[i, t, 6], zz + g * sums[i, t, 7]
            xy, xz, yz = xy + g * sums[i, t, 8], xz + g * sums[i, t, 9], yz + g * sums[i, t, 10]
            rx, ry, rz = rx + e * sums[i, t, 11], ry + e * sums[i, t, 12], rz + e * sums[i, t, 13]
        gordy = xx + yy + zz
        badger = coordination = length = relative_length = near = bonds = 0.0
        for a in range(N_HARMONICS):
            direction[a] = 0.0
        for t in range(n_species):
            other = species.element[t]
            inverse, core, g = species.pairs[z, other, 1], species.pairs[z, other, 2], species.pairs[z, other, 3]
            for f in range(first[i, t], last[i, t]):
                share, d = shares[f], scale * shells.distance[f]
                weight, gap = share * shells.shape[f, 0], max(d - core, CLOSEST_APPROACH_A)
                coordination += weight
                length += weight * d
                relative_length += weight * d * inverse
                badger += weight * BADGER_MDYN_A2 / (gap * gap * gap)
                near += shells.shape[f, 0] * min(share, 1.0) * g * math.exp(-d / SOFTNESS_A) / (d * math.sqrt(d))
                if share > FAINTEST:
                    bonds += weight
                    for a in range(N_HARMONICS):
                        direction[a] += share * shells.harmonics[f, a]
        transverse = TRANSVERSE * gordy
        low, middle, high = eigenvalues(xx, yy, zz, xy, xz, yz)
        low, middle, high = (low + transverse) / mass, (middle + transverse) / mass, (high + transverse) / mass
        second = (low + middle + high) / 3.0
        fourth = (low * low + middle * middle + high * high + squares) / 3.0
        values[i, 0], values[i, 1], values[i, 2], values[i, 3] = mass, spring, badger, gordy
        values[i, 4] = MEV * math.sqrt(spring / mass)
        values[i, 5] = MEV * math.sqrt(badger / mass)
        values[i, 6] = MEV * math.sqrt(gordy / mass)
        values[i, 7] = MEV * math.sqrt(stiffest)
        values[i, 8] = MEV * math.sqrt(math.sqrt(fourth))
        values[i, 9] = MEV * math.sqrt(second / math.sqrt(math.sqrt(fourth / (second * second))))
        values[i, 10] = MEV * (math.sqrt(low) + math.sqrt(middle) + math.sqrt(high)) / 3.0
        values[i, 11] = MEV * math.sqrt(low)
        thermal = 3.0 * KB_EV_K * species.properties[z, 6] / EV_PER_MDYN_A
        values[i, 13] = MEV * math.sqrt(thermal / mass) / (LINDEMANN * length / coordination)
        values[i, 14] = valence
        values[i, 15] = math.sqrt(rx * rx + ry * ry + rz * rz) / valence
        values[i, 16] = valence_squares / valence
        values[i, 17] = coordination
        values[i, 18] = length / coordination
        values[i, 19] = relative_length / coordination
        values[i, 20] = shortest[i]
        values[i, 21] = valence / inverse_reduced
        values[i, 22] = math.exp(neighbour_mass / valence)
        values[i, 23] = polarity / valence
        values[i, 24] = (gordy - near) / gordy
        values[i, 25] = stiffness
        at = 0
        for order in range(len(ORDERS)):
            square = 0.0
            for _ in range(2 * ORDERS[order] + 1):
                square += direction[at] * direction[at]
                at += 1
            values[i, 26 + order] = square / (bonds * bonds)


@njit(cache=True, nogil=True)
def neighbour_frequencies(species_of_site: Ints, species: Species, reach: Floats, values: Floats) -> None:
    """Fill in the frequency of the neighbours of n sites, or kinds of sites, in `values` (n, 30).

    `reach` (n, n) is the first lattice sum of each over neighbours that are another.
    """
    n = len(values)
    valence = np.empty(len(species.element))
    for i in range(n):
        for t in range(len(valence)):
            valence[t] = species.pairs[species.element[species_of_site[i]], species.element[t], 0]
        total = 0.0
        for j in range(n):
            total += valence[species_of_site[j]] * reach[i, j] * values[j, 6]
        values[i, 12] = total / values[i, 14]


@njit(cache=True, nogil=True)
def eigenvalues(xx: float, yy: float, zz: float, xy: float, xz: float, yz: float) -> tuple[float, float, float]:
    """Eigenvalues of a symmetric tensor, the lowest first, as exact as those of LAPACK.

    Symmetric tensors A without trace have five dimensions. There A and A^2 enclose the angle that the trigonometric
    solution divides by three. Taken from both their products, inner and outer, it is exact where eigenvalues coincide.
    """
    mean = (xx + yy + zz) / 3.0
    x, y, z = xx - mean, yy - mean, zz - mean
    a = _deviator(x, y, z, xy, xz, yz)
    b = _deviator(
        x * x + xy * xy + xz * xz, y * y + xy * xy + yz * yz, z * z + xz * xz + yz * yz,
        x * xy + xy * y + xz * yz, x * xz + xy * yz + xz * z, xy * xz + y * yz + yz * z,
    )  # fmt: skip
    inner = outer = square = 0.0
    for i in range(5):
        inner += a[i] * b[i]
        square += a[i] * a[i]
        for j in range(i):
            minor = a[i] * b[j] - a[j] * b[i]
            outer += minor * minor
    angle = math.atan2(math.sqrt(outer), inner) / 3.0
    size = math.sqrt(square / 6.0)
    along, across = size * math.cos(angle), math.sqrt(3.0) * size * math.sin(angle)
    return mean - along - across, mean - along + across, mean + 2.0 * along


@njit(cache=True, nogil=True)
def _deviator(
    xx: float, yy: float, zz: float, xy: float, xz: float, yz: float
) -> tuple[float, float, float, float, float]:
    """Components of a symmetric tensor without its trace, in an orthonormal basis."""
    root = math.sqrt(2.0)
    return (xx - yy) / root, (2.0 * zz - xx - yy) / math.sqrt(6.0), root * xy, root * xz, root * yz


@njit(cache=True, nogil=True)
def harmonics(shape: Floats, f: int, values: Floats) -> None:
    """Real spherical harmonics of the orders 2, 3, 4 and 6 of the unit vector in row `f` of `shape`.

    They go into row `f` of `values` (m, 34), normalised so that the sum of products of those of one order of two
    vectors is the Legendre polynomial of the cosine between them (Schmidt's). The square of their sum over bonds is
    thus the sum over pairs of bonds.
    """
    x, y, z = shape[f, 1], shape[f, 2], shape[f, 3]
    cosine, sine, sectoral = 1.0, 0.0, 1.0
    for m in range(HIGHEST + 1):
        if m > 0:
            cosine, sine = x * cosine - y * sine, x * sine + y * cosine
        if m > 1:
            sectoral *= _SECTORAL[m]
        before, now = 0.0, sectoral
        for order in range(m, HIGHEST + 1):
            if order > m:
                before, now = now, _RISE[m, order] * z * now - _FALL[m, order] * before
            at = _START[order]
            if at >= 0 and m == 0:
                values[f, at] = now
            elif at >= 0:
                values[f, at + 2 * m - 1], values[f, at + 2 * m] = cosine * now, sine * now
