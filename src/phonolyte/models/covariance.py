"""Covariances of new points with learned ones (compiled), in single precision: differences first, then squares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel

Singles = NDArray[np.float32]

AT_ONCE = 4
"""New points that are worked on at once: each learned point is loaded once for all of them."""


@kernel
def means(
    rows: Singles, beyond: Singles, points: Singles, weights: Singles, n_near: int, variances: Floats, starts: Ints
) -> tuple[Floats, Floats]:
    """Weighted sum (m,) over the learned points of their covariance with each new one, and the first of these (m, b).

    The covariance at the distance r is the sum over terms of variance (1 + r^2 / 4)^-2.

    Parameters
    ----------
    rows
        (m, R) coordinates of the new points.
    beyond
        (m, T) squared distance in each term that no coordinate has.
    points, weights
        (R, n) coordinates of the learned points, and their weights (n,).
    n_near
        Number b of covariances that are returned.
    variances, starts
        (T,) and (T + 1,): variance and first coordinate of each term.
    """
    m, n = len(rows), points.shape[1]
    mean, near = np.empty(m), np.empty((m, n_near))
    squares, total = np.empty((AT_ONCE, n), np.float32), np.empty((AT_ONCE, n), np.float32)
    group = np.empty((AT_ONCE, rows.shape[1]), np.float32)
    beyond_of_group = np.empty((AT_ONCE, len(variances)), np.float32)
    for first in range(0, m, AT_ONCE):
        for k in range(AT_ONCE):  # the last row fills up the last group
            row = min(first + k, m - 1)
            for i in range(rows.shape[1]):
                group[k, i] = rows[row, i]
            for i in range(len(variances)):
                beyond_of_group[k, i] = beyond[row, i]
        total[:] = 0.0
        for term in range(len(variances)):
            _squares(group, beyond_of_group[:, term], points, starts[term], starts[term + 1], squares)
            _add(np.float32(variances[term]), squares, total)
        for k in range(min(AT_ONCE, m - first)):
            mean[first + k] = _weighted(total[k], weights)
            for i in range(n_near):
                near[first + k, i] = total[k, i]
    return mean, near


@kernel(fastmath={"contract"})
def _squares(group: Singles, beyond: Singles, points: Singles, first: int, end: int, squares: Singles) -> None:
    """Squared distances (4, n) of four new points in the coordinates of one term, four coordinates at once."""
    a, b, c, d = squares[0], squares[1], squares[2], squares[3]
    for i in range(points.shape[1]):
        a[i], b[i], c[i], d[i] = beyond[0], beyond[1], beyond[2], beyond[3]
    for k in range(first, end - 3, 4):
        p, q, r, s = points[k], points[k + 1], points[k + 2], points[k + 3]
        a0, b0, c0, d0 = group[0, k], group[1, k], group[2, k], group[3, k]
        a1, b1, c1, d1 = group[0, k + 1], group[1, k + 1], group[2, k + 1], group[3, k + 1]
        a2, b2, c2, d2 = group[0, k + 2], group[1, k + 2], group[2, k + 2], group[3, k + 2]
        a3, b3, c3, d3 = group[0, k + 3], group[1, k + 3], group[2, k + 3], group[3, k + 3]
        for i in range(points.shape[1]):
            x, y, z, u = p[i], q[i], r[i], s[i]
            a[i] = a[i] + (a0 - x) * (a0 - x) + (a1 - y) * (a1 - y) + (a2 - z) * (a2 - z) + (a3 - u) * (a3 - u)
            b[i] = b[i] + (b0 - x) * (b0 - x) + (b1 - y) * (b1 - y) + (b2 - z) * (b2 - z) + (b3 - u) * (b3 - u)
            c[i] = c[i] + (c0 - x) * (c0 - x) + (c1 - y) * (c1 - y) + (c2 - z) * (c2 - z) + (c3 - u) * (c3 - u)
            d[i] = d[i] + (d0 - x) * (d0 - x) + (d1 - y) * (d1 - y) + (d2 - z) * (d2 - z) + (d3 - u) * (d3 - u)
    for k in range(end - (end - first) % 4, end):
        p = points[k]
        for i in range(points.shape[1]):
            a[i] += (group[0, k] - p[i]) ** 2
            b[i] += (group[1, k] - p[i]) ** 2
            c[i] += (group[2, k] - p[i]) ** 2
            d[i] += (group[3, k] - p[i]) ** 2


@kernel(fastmath={"contract", "arcp"}, error_model="numpy")
def _add(variance: float, squares: Singles, total: Singles) -> None:
    for k in range(len(total)):
        s, t = squares[k], total[k]
        for i in range(len(s)):
            b = np.float32(1.0) + np.float32(0.25) * s[i]
            t[i] += variance / (b * b)


@kernel(fastmath={"contract", "reassoc", "nsz"})
def _weighted(total: Singles, weights: Singles) -> float:
    mean = 0.0
    for i in range(len(total)):
        mean += float(total[i]) * float(weights[i])
    return mean
