"""Shells of neighbors around the sites of a crystal: Hoppe's weights and the directions of bonds (compiled)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.features.elemental import Species
from phonolyte.structures.neighbors import Pairs
from phonolyte.structures.sorting import accumulate

FAINTEST = 1e-3
"""Least weight of a bond that counts in angles."""

NEGLIGIBLE = 1.75
"""Relative length, over that which Hoppe's weights refer to, from which on they are below 1e-12 and left out."""

LONGEST_MEAN = 1.5
"""Bound of the weighted mean of relative lengths, in units of the shortest: weights beyond 1.3 are below 0.03."""

N_SHAPE = 10
"""Numbers that describe the directions of the neighbors in a shell: :func:`shell_shape`."""

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
"""Factors of the recursions of associated Legendre polynomials, normalized as Schmidt does."""


class Shells(NamedTuple):
    """Shells of neighbors: those of one species that are equally far from a site, one or more.

    `distance` (m,), `shape` (m, 10) as :func:`shell_shape` gives it, and `harmonics` (m, 34), those of
    :func:`harmonics` summed over the shell. The shells of a site are given as ranges `first` to `last` (s,), one for
    each species, in which distances increase.
    """

    distance: Floats
    shape: Floats
    harmonics: Floats


@kernel
def close_shells(pairs: Pairs, species_of_site: Ints, species: Species) -> tuple[Shells, Ints, Ints]:
    """Each neighbor that can have a weight as a shell, without the harmonics, and the ranges of the sites (n, s)."""
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
    accumulate(counts)
    k = counts[len(counts) - 1]
    first = counts[: len(counts) - 1].reshape(n, len(species.element))
    last = first.copy()
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
            invert(shells.shape, at)
    return shells, first, last


@kernel
def shell_shape(vector: Floats, f: int, distance: float, shape: Floats, at: int) -> None:
    """Describe neighbor `f` as a shell in row `at` of `shape`.

    With its unit vector r they are its count, r, and xx, yy, zz, xy, xz, yz of r r^T: they add up in a shell.
    """
    x, y, z = vector[f, 0] / distance, vector[f, 1] / distance, vector[f, 2] / distance
    shape[at, 0], shape[at, 1], shape[at, 2], shape[at, 3] = 1.0, x, y, z
    shape[at, 4], shape[at, 5], shape[at, 6] = x * x, y * y, z * z
    shape[at, 7], shape[at, 8], shape[at, 9] = x * y, x * z, y * z


@kernel
def invert(shape: Floats, at: int) -> None:
    """Describe the shell in row `at` of `shape` as it is seen from the other end."""
    for axis in range(1, 4):
        shape[at, axis] = -shape[at, axis]


@kernel
def hoppe_weights(
    species_of_site: Ints, scale: float, species: Species, shells: Shells, first: Ints, last: Ints, shares: Floats,
    shortest: Floats,
) -> None:  # fmt: skip
    """Hoppe's weight of a neighbor in each close shell of n sites, or kinds of sites.

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


@kernel
def _hoppe(ratio: float) -> float:
    cube = ratio * ratio * ratio
    return math.exp(1.0 - cube * cube)


@kernel
def harmonics(shape: Floats, f: int, values: Floats) -> None:
    """Real spherical harmonics of the orders 2, 3, 4 and 6 of the unit vector in row `f` of `shape`.

    They go into row `f` of `values` (m, 34), normalized so that the sum of products of those of one order of two
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
