"""Springs between the atoms of a crystal, and what each site feels of them (compiled).

Springs follow from elements and distances alone, by three rules: bond valence, Badger's and Gordy's. Force constants
are mdyn/angstrom, masses atomic mass units (u), lengths angstrom, frequencies meV. The equation of each quantity stands
in :data:`phonolyte.features.physical.QUANTITIES`.

A bond valence s = exp((R0 - d) / 0.37) is a factor of two elements times one of the distance. The quantities of a site
therefore need only sums over its neighbors of one species that do not depend on what the species is, here *lattice
sums* (:func:`add_shell`), and, in addition, its nearest neighbors one by one. Virtual compounds share the lattice sums
of their parent.
"""

from __future__ import annotations

import math

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.dos.bonds import BADGER_MDYN_A2, CLOSEST_APPROACH_A, MEV
from phonolyte.features.elemental import SOFTNESS_A, TRANSVERSE, Species, pair_table
from phonolyte.features.shells import (
    FAINTEST,
    N_HARMONICS,
    N_SHAPE,
    ORDERS,
    Shells,
    close_shells,
    harmonics,
    hoppe_weights,
    invert,
    shell_shape,
)
from phonolyte.structures.neighbors import Pairs, bin_atoms, list_pairs
from phonolyte.structures.sorting import count_elements
from phonolyte.units import KB_EV_K

REACH_A = 6.5
"""How far springs reach."""

EV_PER_MDYN_A = 6.241509
"""One millidyne angstrom in eV."""

LINDEMANN = 0.1
"""Amplitude at the melting point over the length of a bond (Lindemann's criterion)."""

N_QUANTITIES = 30
"""Numbers that :func:`site_quantities` gives of each site."""

N_SUMS = 15
"""Lattice sums of a site over its neighbors of one species."""


@kernel
def site_quantities(lattice: Floats, frac_coords: Floats, numbers: Ints, elemental: Floats) -> Floats:
    """Quantities of each site, (n, N_QUANTITIES); NaN of a site without neighbors.

    Their order is that of :data:`phonolyte.features.physical.QUANTITIES`.

    Parameters
    ----------
    lattice, frac_coords, numbers
        (3, 3) angstrom, (n, 3) and (n,) atomic numbers.
    elemental
        What :func:`phonolyte.features.elemental.elemental_table` gives.
    """
    n = len(numbers)
    elements, species_of_site, _ = count_elements(numbers)
    properties, rows = np.empty((len(elements), elemental.shape[1])), np.empty(len(elements), np.int64)
    for row in range(len(elements)):
        rows[row] = row
        for column in range(elemental.shape[1]):
            properties[row, column] = elemental[elements[row], column]
    species = Species(rows, properties, pair_table(properties))
    pairs = list_pairs(bin_atoms(lattice, frac_coords), REACH_A)
    values, sums, reach = np.empty((n, N_QUANTITIES)), np.zeros((n, len(elements), N_SUMS)), np.zeros((n, n))
    _add_pairs(pairs, species_of_site, sums, reach)
    shells, first, last = close_shells(pairs, species_of_site, species)
    shares, shortest = np.empty(len(shells.distance)), np.empty(n)
    hoppe_weights(species_of_site, 1.0, species, shells, first, last, shares, shortest)
    for i in range(n):
        for t in range(len(elements)):
            for f in range(first[i, t], last[i, t]):
                if shares[f] > FAINTEST:
                    harmonics(shells.shape, f, shells.harmonics)
    quantities(species_of_site, 1.0, species, sums, shells, first, last, shares, shortest, values)
    neighbor_frequencies(species_of_site, species, reach, values)
    return values


@kernel
def _add_pairs(pairs: Pairs, species_of_site: Ints, sums: Floats, reach: Floats) -> None:
    """Add both atoms of each pair, as a shell of the other, to the lattice sums (n, s, 15) and to `reach` (n, n)."""
    shape = np.empty((1, N_SHAPE))
    for f in range(len(pairs.distance)):
        i, j, d = pairs.first[f], pairs.second[f], pairs.distance[f]
        shell_shape(pairs.vector, f, d, shape, 0)
        reach[i, j] += add_shell(sums, i, species_of_site[j], d, shape, 0)
        invert(shape, 0)
        reach[j, i] += add_shell(sums, j, species_of_site[i], d, shape, 0)


@kernel
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


@kernel
def quantities(
    species_of_site: Ints, scale: float, species: Species, sums: Floats, shells: Shells, first: Ints, last: Ints,
    shares: Floats, shortest: Floats, values: Floats,
) -> None:  # fmt: skip
    """Quantities of n sites, or kinds of sites, into `values` (n, 30), but for the frequency of their neighbors.

    Parameters
    ----------
    species_of_site
        (n,) species of each site.
    scale
        Factor on the distances of the shells.
    species
        All species.
    sums
        (n, s, 15) lattice sums over the neighbors of each species.
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
        inverse_reduced = neighbor_mass = polarity = 0.0
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
            neighbor_mass += s * species.pairs[z, other, 6]
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
        values[i, 22] = math.exp(neighbor_mass / valence)
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


@kernel
def neighbor_frequencies(species_of_site: Ints, species: Species, reach: Floats, values: Floats) -> None:
    """Fill in the frequency of the neighbors of n sites, or kinds of sites, in `values` (n, 30).

    `reach` (n, n) is the first lattice sum of each over neighbors that are another.
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


@kernel
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


@kernel
def _deviator(
    xx: float, yy: float, zz: float, xy: float, xz: float, yz: float
) -> tuple[float, float, float, float, float]:
    """Components of a symmetric tensor without its trace, in an orthonormal basis."""
    root = math.sqrt(2.0)
    return (xx - yy) / root, (2.0 * zz - xx - yy) / math.sqrt(6.0), root * xy, root * xz, root * yz
