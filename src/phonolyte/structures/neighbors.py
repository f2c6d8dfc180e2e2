"""Periodic neighbors of every atom, in any cell: the geometry under checks, fingerprints and tessellation.

All functions are compiled (numba) and release the GIL. Lengths are angstrom; lattice rows are the vectors. Small sums
are loops: linear algebra and sorting of NumPy take numba several times as long to compile, at the first run of all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.structures.sorting import accumulate, ascending

WIDTH = 1.2
"""Width of bins, in units of the spacing of atoms, with which neighbors within 5 to 8 angstrom are listed fastest."""


class Bins(NamedTuple):
    """Atoms of a reduced cell sorted into a grid of bins.

    `lattice` (3, 3) is the reduced cell, `cart` (n, 3) the wrapped positions, `heights` (3,) the
    perpendicular height of one bin, `shape` (3,) the bins along each axis, `place` (n, 3) each atom's
    position in bins, `start` and `order` the atoms of each bin in compressed-row form.
    """

    lattice: Floats
    cart: Floats
    heights: Floats
    shape: Ints
    place: Floats
    start: Ints
    order: Ints


class Neighbors(NamedTuple):
    """Neighbors of one atom, nearest first: `distance` (m,), `vector` (m, 3), `site` (m,), `image` (m, 3).

    `image` counts lattice vectors of the reduced cell.
    """

    distance: Floats
    vector: Floats
    site: Ints
    image: Ints


class Pairs(NamedTuple):
    """Pairs of atoms, each once: `first` (m,), `second` (m,), `distance` (m,), `vector` (m, 3) from first to second.

    An atom is paired with its own images, too: with one of each two opposite ones.
    """

    first: Ints
    second: Ints
    distance: Floats
    vector: Floats


class Distances(NamedTuple):
    """Distances from each of n atoms in compressed-row form: `start` (n + 1,), `distance` (m,), `site` (m,)."""

    start: Ints
    distance: Floats
    site: Ints


@kernel
def reduce_lattice(lattice: Floats) -> Floats:
    """Reduce a lattice (3, 3) until no vector shortens by adding a combination of the two others.

    The reduced cell is as compact as a periodic search needs. Pairwise (Gauss) reduction first, then
    Semaev's closest-vector step in three dimensions (10.1007/3-540-44670-2_13).
    """
    cell = lattice.copy()
    for _ in range(10_000):
        changed = False
        for i in range(3):
            best, by_j, by_k = _dot(cell, i, i) * (1 - 1e-12), 0.0, 0.0
            j, k = (i + 1) % 3, (i + 2) % 3
            p = -float(round(_dot(cell, i, j) / _dot(cell, j, j)))
            q = -float(round(_dot(cell, i, k) / _dot(cell, k, k)))
            for x in (p, 0.0, 1.0, -1.0):
                for y in (q, 0.0, 1.0, -1.0):
                    length = 0.0
                    for axis in range(3):
                        length += (cell[i, axis] + (x * cell[j, axis] + y * cell[k, axis])) ** 2
                    if length < best:
                        best, by_j, by_k, changed = length, x, y, True
            for axis in range(3):
                cell[i, axis] += by_j * cell[j, axis] + by_k * cell[k, axis]
        if not changed:
            break
    return cell


@kernel
def _dot(cell: Floats, i: int, j: int) -> float:
    """Product of two vectors of a cell."""
    return cell[i, 0] * cell[j, 0] + cell[i, 1] * cell[j, 1] + cell[i, 2] * cell[j, 2]


@kernel
def cell_volume(lattice: Floats) -> float:
    """Volume of a cell, cubic angstrom."""
    a, b, c = lattice
    return abs(
        a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    )


@kernel
def reciprocal_lattice(lattice: Floats) -> Floats:
    """Inverse (3, 3) of a lattice, without a factor of 2 pi: cartesian coordinates times it are fractional."""
    inverse, determinant = np.empty((3, 3)), 0.0
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for x in range(3):
            y, z = (x + 1) % 3, (x + 2) % 3
            inverse[x, i] = lattice[j, y] * lattice[k, z] - lattice[j, z] * lattice[k, y]
    for x in range(3):
        determinant += lattice[0, x] * inverse[x, 0]
    for i in range(3):
        for x in range(3):
            inverse[x, i] /= determinant
    return inverse


@kernel
def bin_atoms(lattice: Floats, frac_coords: Floats) -> Bins:
    """Sort the atoms of a cell into bins."""
    n = len(frac_coords)
    cell = reduce_lattice(lattice)
    reciprocal = reciprocal_lattice(cell)
    frac = _transform(_transform(frac_coords, lattice), reciprocal)
    for i in range(n):
        for axis in range(3):
            frac[i, axis] -= math.floor(frac[i, axis])
            if frac[i, axis] >= 1.0:  # -1e-17 wraps to 1.0
                frac[i, axis] = 0.0
    spacing = (cell_volume(cell) / n) ** (1 / 3)
    heights, shape = np.empty(3), np.empty(3, np.int64)
    for axis in range(3):
        normal = reciprocal[:, axis]
        height = 1 / math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        shape[axis] = max(1, int(height / (WIDTH * spacing)))
        heights[axis] = height / shape[axis]
    flat, place = np.zeros(n, np.int64), np.empty((n, 3))
    for i in range(n):
        for axis in range(3):
            place[i, axis] = frac[i, axis] * shape[axis]
            flat[i] = flat[i] * shape[axis] + min(int(place[i, axis]), shape[axis] - 1)
    start = np.zeros(shape[0] * shape[1] * shape[2] + 1, np.int64)
    for i in range(n):
        start[flat[i] + 1] += 1
    accumulate(start)
    order, end = np.empty(n, np.int64), start.copy()
    for i in range(n):
        order[end[flat[i]]] = i
        end[flat[i]] += 1
    return Bins(cell, _transform(frac, cell), heights, shape, place, start, order)


@kernel
def _transform(coords: Floats, matrix: Floats) -> Floats:
    """Coordinates (n, 3) times a matrix (3, 3)."""
    product = np.empty((len(coords), 3))
    for i in range(len(coords)):
        for x in range(3):
            product[i, x] = coords[i, 0] * matrix[0, x] + coords[i, 1] * matrix[1, x] + coords[i, 2] * matrix[2, x]
    return product


@kernel
def neighbors_within(bins: Bins, atom: int, radius: float) -> Neighbors:
    """All periodic neighbors of one atom within `radius` (angstrom), nearest first, itself left out."""
    near = list_neighbors(bins, atom, radius)
    return _nearest_first(near.distance, near.vector, near.site, near.image)


@kernel
def list_neighbors(bins: Bins, atom: int, radius: float) -> Neighbors:
    """The same in the order of the bins, which takes half the time where there are many."""
    capacity, count = 128, 0
    distance = np.empty(capacity)
    vector = np.empty((capacity, 3))
    site = np.empty(capacity, np.int64)
    image = np.empty((capacity, 3), np.int64)
    _, low, high = _bins_around(bins, atom, radius)
    shape, cell, limit = bins.shape, bins.lattice, radius * radius
    for a in range(low[0], high[0] + 1):
        ia, ba = a // shape[0], a % shape[0]
        for b in range(low[1], high[1] + 1):
            ib, bb = b // shape[1], b % shape[1]
            row = (ba * shape[1] + bb) * shape[2]
            for ic in range(low[2] // shape[2], high[2] // shape[2] + 1):  # bins of one image stand in a row
                dx = ia * cell[0, 0] + ib * cell[1, 0] + ic * cell[2, 0] - bins.cart[atom, 0]
                dy = ia * cell[0, 1] + ib * cell[1, 1] + ic * cell[2, 1] - bins.cart[atom, 1]
                dz = ia * cell[0, 2] + ib * cell[1, 2] + ic * cell[2, 2] - bins.cart[atom, 2]
                home = ia == 0 and ib == 0 and ic == 0
                begin = bins.start[row + max(low[2] - ic * shape[2], 0)]
                end = bins.start[row + min(high[2] - ic * shape[2] + 1, shape[2])]
                for slot in range(begin, end):
                    j = bins.order[slot]
                    x, y, z = bins.cart[j, 0] + dx, bins.cart[j, 1] + dy, bins.cart[j, 2] + dz
                    square = x * x + y * y + z * z
                    if square > limit or (home and j == atom):
                        continue
                    if count == capacity:
                        capacity *= 2
                        distance = grown(distance, capacity)
                        vector = grown(vector, capacity)
                        site = grown(site, capacity)
                        image = grown(image, capacity)
                    distance[count] = math.sqrt(square)
                    vector[count, 0], vector[count, 1], vector[count, 2] = x, y, z
                    site[count] = j
                    image[count, 0], image[count, 1], image[count, 2] = ia, ib, ic
                    count += 1
    return Neighbors(distance[:count], vector[:count], site[:count], image[:count])


@kernel
def _bins_around(bins: Bins, atom: int, radius: float) -> tuple[Ints, Ints, Ints]:
    """The bin of an atom, and the first and the last one within `radius` along each axis, (3,) each."""
    home, low, high = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3, np.int64)
    for axis in range(3):
        home[axis] = min(int(bins.place[atom, axis]), bins.shape[axis] - 1)
        low[axis] = math.floor(bins.place[atom, axis] - radius / bins.heights[axis])
        high[axis] = math.floor(bins.place[atom, axis] + radius / bins.heights[axis])
    return home, low, high


@kernel
def list_pairs(bins: Bins, radius: float) -> Pairs:
    """Every pair of atoms within `radius` (angstrom) once: from each atom, those in its own bin and the ones after."""
    capacity, count = 64 * len(bins.cart), 0
    first, second = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    distance, vector = np.empty(capacity), np.empty((capacity, 3))
    shape, cell, limit = bins.shape, bins.lattice, radius * radius
    for at in range(len(bins.cart)):
        i = bins.order[at]
        home, low, high = _bins_around(bins, i, radius)
        for a in range(home[0], high[0] + 1):
            ia, ba = a // shape[0], a % shape[0]
            for b in range(home[1] if a == home[0] else low[1], high[1] + 1):
                ib, bb = b // shape[1], b % shape[1]
                row = (ba * shape[1] + bb) * shape[2]
                begins_here = a == home[0] and b == home[1]
                least = home[2] if begins_here else low[2]
                for ic in range(least // shape[2], high[2] // shape[2] + 1):
                    dx = ia * cell[0, 0] + ib * cell[1, 0] + ic * cell[2, 0] - bins.cart[i, 0]
                    dy = ia * cell[0, 1] + ib * cell[1, 1] + ic * cell[2, 1] - bins.cart[i, 1]
                    dz = ia * cell[0, 2] + ib * cell[1, 2] + ic * cell[2, 2] - bins.cart[i, 2]
                    begin = bins.start[row + max(least - ic * shape[2], 0)]
                    end = bins.start[row + min(high[2] - ic * shape[2] + 1, shape[2])]
                    if begins_here and ic == 0:
                        begin = at + 1
                    if count + end - begin > capacity:
                        capacity = 2 * (count + end - begin)
                        first, second = grown(first, capacity), grown(second, capacity)
                        distance, vector = grown(distance, capacity), grown(vector, capacity)
                    for slot in range(begin, end):
                        j = bins.order[slot]
                        x, y, z = bins.cart[j, 0] + dx, bins.cart[j, 1] + dy, bins.cart[j, 2] + dz
                        square = x * x + y * y + z * z
                        if square <= limit:
                            first[count], second[count], distance[count] = i, j, math.sqrt(square)
                            vector[count, 0], vector[count, 1], vector[count, 2] = x, y, z
                            count += 1
    return Pairs(first[:count], second[:count], distance[:count], vector[:count])


@kernel
def list_distances(pairs: Pairs, n: int) -> Distances:
    """Pairs of n atoms as distances from each of both."""
    start = np.zeros(n + 1, np.int64)
    for f in range(len(pairs.distance)):
        start[pairs.first[f] + 1] += 1
        start[pairs.second[f] + 1] += 1
    accumulate(start)
    end = start.copy()
    distance, site = np.empty(start[n]), np.empty(start[n], np.int64)
    for f in range(len(pairs.distance)):
        for at, to in ((pairs.first[f], pairs.second[f]), (pairs.second[f], pairs.first[f])):
            distance[end[at]], site[end[at]] = pairs.distance[f], to
            end[at] += 1
    return Distances(start, distance, site)


@kernel
def _nearest_first(distance: Floats, vector: Floats, site: Ints, image: Ints) -> Neighbors:
    count = len(distance)
    order = ascending(distance)
    sorted_ = Neighbors(
        np.empty(count), np.empty((count, 3)), np.empty(count, np.int64), np.empty((count, 3), np.int64)
    )
    for to in range(count):
        at = order[to]
        sorted_.distance[to], sorted_.site[to] = distance[at], site[at]
        for axis in range(3):
            sorted_.vector[to, axis], sorted_.image[to, axis] = vector[at, axis], image[at, axis]
    return sorted_


@kernel
def grown(values: Any, capacity: int) -> Any:
    """A copy of `values` with room for `capacity` rows."""
    larger = np.empty((capacity,) + values.shape[1:], values.dtype)  # noqa: RUF005 (numba)
    to, of = larger.reshape(-1), values.reshape(-1)
    for i in range(len(of)):  # a slice would have numba compile its message for arrays that do not fit
        to[i] = of[i]
    return larger


@kernel
def shortest_contact(lattice: Floats, frac_coords: Floats, limit: float) -> tuple[float, int, int]:
    """The shortest distance below `limit` (angstrom) and its two sites; sites are -1 when there is none."""
    if len(frac_coords) == 0:
        return limit, -1, -1
    bins = bin_atoms(lattice, frac_coords)
    shortest, first, second = limit, -1, -1
    for atom in range(len(frac_coords)):
        near = neighbors_within(bins, atom, shortest)
        if len(near.distance) and near.distance[0] < shortest:
            shortest, first, second = near.distance[0], atom, near.site[0]
    return shortest, first, second
