"""At which level a field on a periodic grid percolates in one, two and three dimensions: exact, in one pass."""

from __future__ import annotations

import numpy as np
from numba import njit

from phonolyte.arrays import Floats, Ints


def thresholds(field: Floats) -> Floats:
    """The lowest levels at which points not above them join into a path through all cells in 1, 2 and 3 dimensions.

    Points are joined to their 26 neighbours from low to high. Each group knows, for every point of it, in which cell
    that lies as seen from the group's root; a join that meets its own group in another cell is a period of the group,
    and the number of independent periods is the number of dimensions that it extends in.

    Parameters
    ----------
    field
        (nx, ny, nz), periodic: the point after the last is the first.

    Returns
    -------
    numpy.ndarray
        (3,), each at least the one before.
    """
    order = np.argsort(field, axis=None, kind="stable")
    return np.asarray(_levels(np.ascontiguousarray(field).ravel(), order, np.array(field.shape)))


@njit(cache=True, nogil=True)
def _levels(values: Floats, order: Ints, shape: Ints) -> Floats:
    found = np.full(3, np.inf)
    n = len(values)
    parent = np.full(n, -1)  # -1 is not there yet
    cell = np.zeros((n, 3), np.int64)  # of a point as seen from its parent
    size = np.ones(n, np.int64)
    rank = np.zeros(n, np.int64)  # of a root: its periods
    periods = np.zeros((n, 3, 3), np.int32)
    ny, nz = shape[1], shape[2]
    shift, apart = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for point in order:
        parent[point] = point
        x, y, z = point // (ny * nz), (point // nz) % ny, point % nz
        for step in range(27):
            if step == 13:
                continue
            here = (x + step // 9 - 1, y + (step // 3) % 3 - 1, z + step % 3 - 1)
            for axis in range(3):
                shift[axis] = here[axis] // shape[axis]
            other = ((here[0] % shape[0]) * ny + here[1] % ny) * nz + here[2] % nz
            if parent[other] < 0:
                continue
            a, b = _root(parent, cell, point), _root(parent, cell, other)
            apart[:] = cell[point] + shift - cell[other]  # the root of the other as seen from the root of the point
            if a == b:
                rank[a] = _with_period(periods[a], rank[a], apart)
            else:
                if size[a] < size[b]:
                    a, b = b, a
                    apart[:] = -apart
                parent[b] = a
                cell[b] = apart
                size[a] += size[b]
                for known in range(rank[b]):
                    rank[a] = _with_period(periods[a], rank[a], periods[b, known])
            for dimension in range(rank[a]):
                if found[dimension] == np.inf:
                    found[dimension] = values[point]
            if found[2] < np.inf:
                return found
    return found


@njit(cache=True, nogil=True)
def _root(parent: Ints, cell: Ints, point: int) -> int:
    """The root of a point; makes it the point's parent, and its cell the one seen from the root."""
    root = point
    while parent[root] != root:
        root = parent[root]
    while parent[point] != root:  # groups are joined small to large, so that the way is short
        above = parent[point]
        at = above
        while at != root:
            cell[point] += cell[at]
            at = parent[at]
        parent[point] = root
        point = above
    return root


@njit(cache=True, nogil=True)
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
