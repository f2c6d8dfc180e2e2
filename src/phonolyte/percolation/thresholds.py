"""At which level a field on a periodic grid percolates in one, two and three dimensions: exact, in one pass."""

from __future__ import annotations

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel


def thresholds(field: Floats, highest: float = np.inf) -> Floats:
    """The lowest levels at which points not above them join into a path through all cells in 1, 2 and 3 dimensions.

    Points are joined to their 26 neighbors from low to high. Each group knows, for every point of it, in which cell
    that lies as seen from the group's root; a join that meets its own group in another cell is a period of the group,
    and the number of independent periods is the number of dimensions that it extends in.

    Parameters
    ----------
    field
        (nx, ny, nz), periodic: the point after the last is the first.
    highest
        Points above this are not looked at, which saves most of the time.

    Returns
    -------
    numpy.ndarray
        (3,), each at least the one before; infinite where there is no path up to the highest level.
    """
    values = np.ascontiguousarray(field).ravel()
    low = np.flatnonzero(values <= highest)
    order = low[np.argsort(values[low])]
    return np.asarray(_levels(values, order.astype(np.int32), *field.shape))


@kernel
def _levels(values: Floats, order: Ints, nx: int, ny: int, nz: int) -> Floats:
    levels = np.full(3, np.inf)
    n = len(values)
    parent = np.full(n, -1, np.int32)  # -1 is not there yet
    cell = np.zeros((n, 3), np.int32)  # of a point as seen from its parent
    size = np.ones(n, np.int32)
    rank = np.zeros(n, np.int8)  # of a root: its periods
    periods = np.zeros((n, 3, 3), np.int32)
    apart = np.zeros(3, np.int32)
    for point in order:
        parent[point] = point
        x, y, z = point // (ny * nz), (point // nz) % ny, point % nz
        a = point
        for dx in range(-1, 2):
            other_x, shift_x = _wrap(x + dx, nx)
            for dy in range(-1, 2):
                other_y, shift_y = _wrap(y + dy, ny)
                start = (other_x * ny + other_y) * nz
                for dz in range(-1, 2):
                    other_z, shift_z = _wrap(z + dz, nz)
                    other = start + other_z
                    if parent[other] < 0:
                        continue
                    b = _root(parent, cell, other)
                    # the root of the other as seen from the root of the point
                    apart[0] = cell[point, 0] + shift_x - cell[other, 0]
                    apart[1] = cell[point, 1] + shift_y - cell[other, 1]
                    apart[2] = cell[point, 2] + shift_z - cell[other, 2]
                    if a == b and apart[0] == 0 and apart[1] == 0 and apart[2] == 0:
                        continue
                    if a == b:
                        rank[a] = _with_period(periods[a], rank[a], apart)
                    else:
                        a = _join(parent, cell, size, rank, periods, a, b, apart)
                        _root(parent, cell, point)
                    for dimension in range(rank[a]):
                        if levels[dimension] == np.inf:
                            levels[dimension] = values[point]
                    if rank[a] == 3:
                        return levels
    return levels


@kernel
def _wrap(place: int, n: int) -> tuple[int, int]:
    """A place along an axis in the first cell, and the cell that it was in; it is at most one point outside."""
    if place < 0:
        return place + n, -1
    if place >= n:
        return place - n, 1
    return place, 0


@kernel
def _join(
    parent: Ints, cell: Ints, size: Ints, rank: Ints, periods: Ints, a: int, b: int, apart: Ints
) -> int:  # fmt: skip
    """Join two groups by their roots, small to large, and return the root of both."""
    sign = 1
    if size[a] < size[b]:
        a, b, sign = b, a, -1
    parent[b] = a
    for axis in range(3):
        cell[b, axis] = sign * apart[axis]
    size[a] += size[b]
    for known in range(rank[b]):
        rank[a] = _with_period(periods[a], rank[a], periods[b, known])
    return a


@kernel
def _root(parent: Ints, cell: Ints, point: int) -> int:
    """The root of a point; makes it the point's parent, and its cell the one seen from the root."""
    root = parent[point]
    while parent[root] != root:
        root = parent[root]
    while parent[point] != root:  # groups are joined small to large, so that the way is short
        above = parent[point]
        at = above
        while at != root:
            for axis in range(3):
                cell[point, axis] += cell[at, axis]
            at = parent[at]
        parent[point] = root
        point = above
    return root


@kernel
def _with_period(periods: Ints, rank: int, new: Ints) -> int:
    """Add a period to those of a group where it does not depend on them; their number."""
    x, y, z = new[0], new[1], new[2]
    if rank == 3 or (x == 0 and y == 0 and z == 0):
        return rank
    a, b = periods[0], periods[1]
    if rank == 1:
        independent = a[1] * z - a[2] * y != 0 or a[2] * x - a[0] * z != 0 or a[0] * y - a[1] * x != 0
    else:
        normal = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
        independent = normal[0] * x + normal[1] * y + normal[2] * z != 0
    if rank == 0 or independent:
        periods[rank, 0], periods[rank, 1], periods[rank, 2] = x, y, z
        return rank + 1
    return rank
