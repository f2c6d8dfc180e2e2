"""Trees of few leaves, applied to many rows at once (compiled): each split strikes out leaves instead of a walk.

A bit stands for each leaf, the leftmost lowest. A row goes right at a split that it exceeds, which strikes out the
leaves on the left; the lowest bit that is left after all splits, in whatever order, is the leaf that the row reaches
(QuickScorer, 10.1145/2766462.2767733). Splits are the same for all rows, so that many rows are compared at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel

MOST_LEAVES = 32
"""Leaves of a tree, as many as bits in a mask."""

ROWS = 64
"""Rows that are compared at once."""

ALL = np.uint32(2**32 - 1)
ONE = np.uint32(1)

DE_BRUIJN, SHIFT = np.uint32(0x077CB531), np.uint32(27)
"""The upper five bits of this number times a power of two are different for each of the 32 powers."""


class ShallowTrees(NamedTuple):
    """Splits of T trees, one tree after the other.

    `start` (T + 1,) first split of each tree; `feature`, `threshold` and `mask` (m,) of each split, of which the mask
    has the leaves that remain where the threshold is exceeded; `value` (T, 32) of the leaves, in the order of
    :func:`_place`.
    """

    start: Ints
    feature: Ints
    threshold: NDArray[np.float32]
    mask: NDArray[np.uint32]
    value: Floats


@kernel
def count_leaves(left: Ints, right: Ints) -> Ints:
    """Leaves (n,) that can be reached from each node; children come after their parents."""
    count = np.ones(len(left), np.int64)
    for node in range(len(left) - 1, -1, -1):
        if left[node] >= 0:
            count[node] = count[left[node]] + count[right[node]]
    return count


def pack_shallow(
    roots: Ints, feature: Ints, threshold: NDArray[np.float32], left: Ints, right: Ints, value: Floats, count: Ints
) -> ShallowTrees:
    """Pack the n nodes of trees, each of which has `count` (n,) leaves below it."""
    splits = np.flatnonzero(left >= 0)
    start = np.append(np.searchsorted(splits, roots), len(splits))
    mask, values = _masks(roots, left, right, value, count)
    return ShallowTrees(start, feature[splits], threshold[splits], mask[splits], values)


@kernel
def _masks(roots: Ints, left: Ints, right: Ints, value: Floats, count: Ints) -> tuple[NDArray[np.uint32], Floats]:
    """Leaves (n,) that each split leaves, and the values of the leaves of each tree."""
    n, n_trees = len(left), len(roots)
    mask, first, tree = np.empty(n, np.uint32), np.zeros(n, np.int64), -1
    values = np.zeros((n_trees, MOST_LEAVES))
    for node in range(n):
        if tree + 1 < n_trees and node == roots[tree + 1]:
            tree += 1
        if left[node] < 0:
            values[tree, _place(np.uint32(1 << first[node]))] = value[node]
            continue
        on_left = count[left[node]]
        first[left[node]], first[right[node]] = first[node], first[node] + on_left
        mask[node] = ALL ^ np.uint32(((1 << on_left) - 1) << first[node])
    return mask, values


@kernel
def sum_leaves(X: NDArray[np.float32], trees: ShallowTrees) -> Floats:
    """Sum and sum of squares over the trees of the leaf each row of `X` reaches, (2, n)."""
    n = len(X)
    sums = np.zeros((2, n))
    columns, remaining = np.empty((X.shape[1], ROWS), np.float32), np.empty(ROWS, np.uint32)
    for first in range(0, n, ROWS):
        for row in range(ROWS):  # the last row fills up the last columns
            for column in range(X.shape[1]):
                columns[column, row] = X[min(first + row, n - 1), column]
        for tree in range(len(trees.value)):
            remaining[:] = ALL
            for split in range(trees.start[tree], trees.start[tree + 1]):
                _strike_out(columns[trees.feature[split]], trees.threshold[split], trees.mask[split], remaining)
            for row in range(min(ROWS, n - first)):
                leaf = trees.value[tree, _place(remaining[row])]
                sums[0, first + row] += leaf
                sums[1, first + row] += leaf * leaf
    return sums


@kernel
def _strike_out(column: NDArray[np.float32], threshold: float, mask: int, remaining: NDArray[np.uint32]) -> None:
    for row in range(ROWS):
        remaining[row] = np.uint32(remaining[row] & mask) if column[row] > threshold else remaining[row]


@kernel
def _place(bits: int) -> int:
    """Place of the value of the lowest of the bits."""
    lowest = np.uint32(bits & np.uint32(~bits + ONE))
    return int(np.uint32(lowest * DE_BRUIJN) >> SHIFT)
