"""Tree ensembles as plain arrays: saved without pickles, applied without the library that grew them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.errors import ModelError
from phonolyte.models.shallow import MOST_LEAVES, ShallowTrees, count_leaves, pack_shallow, sum_leaves

_ROWS_PER_TASK = 1024

MOST_FEATURES = 2**15 - 1
"""Columns beyond those of any table of features."""


@dataclass(frozen=True, slots=True, eq=False)
class TreeEnsemble:
    """A sum of regression trees: prediction = base + weight x sum over trees of the leaf reached.

    Nodes of all trees stand in one list; a node sends a row left when ``x[feature] <= threshold`` in single
    precision, as scikit-learn does, and is a leaf where ``left`` is -1.

    Attributes
    ----------
    roots
        (n_trees,) the first node of each tree.
    feature, threshold, left, right
        (n_nodes,) the split of each node.
    value
        (n_nodes,) prediction at a leaf, in the unit of the target; 0 at the others, which files pack well.
    base, weight
        Constant term, and factor of the sum (1 / n_trees for a forest, the learning rate for boosting).
    """

    roots: Ints
    feature: Ints
    threshold: NDArray[np.float32]
    left: Ints
    right: Ints
    value: Floats
    base: float
    weight: float
    packed: tuple[Ints, NDArray[np.float32], Floats] | ShallowTrees = field(init=False, repr=False)
    """Nodes for compiled code."""
    n_features: int = field(init=False)
    """Fewest features that a table must have."""

    def __post_init__(self) -> None:
        check_trees(self)  # compiled code follows the links wherever they lead
        object.__setattr__(self, "n_features", int(self.feature[self.left >= 0].max(initial=0)) + 1)
        nodes = self.roots, self.feature, self.threshold, self.left, self.right, self.value
        count = count_leaves(self.left, self.right)
        packed = pack_shallow(*nodes, count) if count.max() <= MOST_LEAVES else _pack(*nodes)
        object.__setattr__(self, "packed", packed)

    @classmethod
    def from_estimator(cls, estimator: Any) -> Self:
        """Take the trees out of a fitted scikit-learn tree, forest or gradient boosting, or XGBoost regressor.

        Raises
        ------
        ModelError
            For any other estimator.
        """
        if hasattr(estimator, "get_booster"):
            return cls._of_xgboost(json.loads(estimator.get_booster().save_raw("json")))
        if hasattr(estimator, "tree_"):
            return cls._of_sklearn([estimator.tree_], base=0.0, weight=1.0)
        members = getattr(estimator, "estimators_", None)
        if members is not None and hasattr(estimator, "init_"):
            base = float(np.ravel(estimator.init_.constant_)[0])
            trees = [tree.tree_ for tree in np.ravel(members)]
            return cls._of_sklearn(trees, base=base, weight=estimator.learning_rate)
        if members is not None and all(hasattr(member, "tree_") for member in members):
            return cls._of_sklearn([m.tree_ for m in members], base=0.0, weight=1.0 / len(members))
        raise ModelError(
            f"{type(estimator).__name__} cannot be saved",
            why="it is not an ensemble of regression trees",
            fix="Choose extra trees, gradient boosting, XGBoost or a decision tree.",
        )

    @classmethod
    def _of_sklearn(cls, trees: list[Any], *, base: float, weight: float) -> Self:
        nodes = [
            {
                "feature": tree.feature,
                # the largest single-precision number not above the threshold decides alike
                "threshold": _rounded_down(tree.threshold),
                "left": tree.children_left,
                "right": tree.children_right,
                "value": np.where(tree.children_left < 0, tree.value[:, 0, 0], 0.0),
            }
            for tree in trees
        ]
        return cls._joined(nodes, base=base, weight=weight)

    @classmethod
    def _of_xgboost(cls, model: dict[str, Any]) -> Self:
        learner = model["learner"]
        nodes = []
        for tree in learner["gradient_booster"]["model"]["trees"]:
            condition = np.array(tree["split_conditions"], np.float32)
            left = np.array(tree["left_children"])
            nodes.append(
                {
                    "feature": np.array(tree["split_indices"]),
                    "threshold": np.nextafter(condition, np.float32(-np.inf)),  # XGBoost tests x < condition
                    "left": left,
                    "right": np.array(tree["right_children"]),
                    "value": np.where(left < 0, condition, 0.0),
                }
            )
        base = float(np.ravel(json.loads(learner["learner_model_param"]["base_score"]))[0])
        return cls._joined(nodes, base=base, weight=1.0)

    @classmethod
    def _joined(cls, trees: list[dict[str, Any]], *, base: float, weight: float) -> Self:
        sizes = [len(tree["left"]) for tree in trees]
        roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        shifted = [
            np.where(t[k] < 0, -1, t[k] + root) for t, root in zip(trees, roots, strict=True) for k in ("left", "right")
        ]
        return cls(
            roots=roots,
            feature=np.concatenate([t["feature"] for t in trees]).astype(np.int64),
            threshold=np.concatenate([t["threshold"] for t in trees]).astype(np.float32),
            left=np.concatenate(shifted[0::2]).astype(np.int64),
            right=np.concatenate(shifted[1::2]).astype(np.int64),
            value=np.concatenate([t["value"] for t in trees]).astype(np.float64),
            base=base,
            weight=weight,
        )  # fmt: skip

    def predict(self, X: Any) -> Floats:
        """Prediction (n,) for a table (n, n_features)."""
        return self.predict_with_spread(X)[0]

    def predict_with_spread(self, X: Any) -> tuple[Floats, Floats]:
        """Prediction (n,), and the standard deviation between the trees (n,), both in the target's unit.

        The spread means something for forests, whose trees each predict the target.
        """
        table = np.ascontiguousarray(X, dtype=np.float32)
        if table.ndim != 2 or table.shape[1] < self.n_features:
            raise ModelError(
                f"the table has the shape {table.shape}",
                why=f"the trees look at {self.n_features} features",
                fix="Give all features, a column each.",
            )
        parts = [table[i : i + _ROWS_PER_TASK] for i in range(0, len(table), _ROWS_PER_TASK)]
        if len(parts) > 1:
            with ThreadPoolExecutor(os.cpu_count()) as executor:  # the kernel releases the GIL
                sums = list(executor.map(self._sums, parts))
        else:  # a caller with threads of its own
            sums = [self._sums(table)]
        total, squares = np.concatenate(sums, axis=1)
        n = len(self.roots)
        spread = np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0.0))
        return self.base + self.weight * total, spread

    def _sums(self, rows: NDArray[np.float32]) -> Floats:
        if isinstance(self.packed, ShallowTrees):
            return np.asarray(sum_leaves(rows, self.packed))
        return np.asarray(_leaf_sums(rows, self.roots, *self.packed))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The ensemble as arrays in the smallest type that holds them, for ``numpy.savez``."""
        small = {"roots": np.int32, "feature": np.int16, "left": np.int32, "right": np.int32, "value": np.float32}
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.init}
        return {name: array.astype(small.get(name, array.dtype)) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`.

        Raises
        ------
        ModelError
            When one is missing, of another type, or they do not make up trees.
        """
        wide = {"roots": np.int64, "feature": np.int64, "left": np.int64, "right": np.int64, "value": np.float64,
                "threshold": np.float32, "base": np.float64, "weight": np.float64}  # fmt: skip
        parts: dict[str, Any] = {}
        for name, dtype in wide.items():
            array = arrays.get(name)
            kinds = "iu" if dtype == np.int64 else "iuf"
            if array is None or array.dtype.kind not in kinds or array.ndim != (name not in ("base", "weight")):
                why = "it is missing" if array is None else f"it is {array.dtype} of shape {array.shape}"
                raise damaged(f"their {name}", why)
            parts[name] = array.astype(dtype)
        parts |= {name: float(parts[name]) for name in ("base", "weight")}
        return cls(**parts)


def check_trees(trees: TreeEnsemble) -> None:
    """Make sure that the nodes make up trees, each on its own and whole.

    Raises
    ------
    ModelError
        When they do not.
    """
    n = len(trees.left)
    arrays = (trees.feature, trees.threshold, trees.right, trees.value)
    if not n or any(len(array) != n for array in arrays):
        raise damaged("its nodes", f"arrays have {n} and {', '.join(str(len(array)) for array in arrays)} of them")
    roots = trees.roots
    if not len(roots) or roots[0] != 0 or (np.diff(roots) <= 0).any() or roots[-1] >= n:
        raise damaged("its roots", "they do not increase from 0 to the last tree")
    nodes = np.flatnonzero(trees.left >= 0)
    ends = np.append(roots[1:], n)[np.searchsorted(roots, nodes, side="right") - 1]
    times_child = np.zeros(n, np.int64)
    for child in (trees.left[nodes], trees.right[nodes]):
        if ((child <= nodes) | (child >= ends)).any():
            raise damaged("a tree", "a node has a child before itself or in another tree")
        times_child += np.bincount(child, minlength=n)
    expected = np.ones(n, np.int64)
    expected[roots] = 0
    if (times_child != expected).any() or (trees.right[trees.left < 0] >= 0).any():
        raise damaged("a tree", "a node is the child of none, or of several")
    _check_numbers(trees, nodes)


def _check_numbers(trees: TreeEnsemble, nodes: Ints) -> None:
    """Make sure that features can be columns, and that thresholds and predictions are finite."""
    feature = trees.feature[nodes]
    if ((feature < 0) | (feature > MOST_FEATURES)).any():
        raise damaged("a node", f"its feature has the number {feature[(feature < 0) | (feature > MOST_FEATURES)][0]}")
    finite = (trees.threshold[nodes], trees.value, np.array([trees.base, trees.weight]))
    if not all(np.isfinite(array).all() for array in finite):
        raise damaged("a node", "a threshold or a prediction is not a finite number")


def damaged(what: str, why: str) -> ModelError:
    """The error about a part of a model that cannot be."""
    return ModelError(f"{what} of the model cannot be", why=why, fix="Fit it again, or copy it again.")


def _rounded_down(threshold: Floats) -> NDArray[np.float32]:
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)


@kernel
def _pack(
    roots: Ints, feature: Ints, threshold: Floats, left: Ints, right: Ints, value: Floats
) -> tuple[Ints, NDArray[np.float32], Floats]:
    """Nodes in the order of their depth: link (feature and left child, counted from the root), threshold and value.

    The right child follows the left one. A leaf is its own left child, with a threshold that nothing exceeds: a row
    that has come to its leaf stays there while others go on.
    """
    n = len(left)
    link, thresholds, values = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n)
    queue = np.empty(n, np.int64)
    for tree in range(len(roots)):
        root = roots[tree]
        queue[root] = root
        last = root
        for place in range(root, roots[tree + 1] if tree + 1 < len(roots) else n):
            node = queue[place]
            values[place] = value[node]
            if left[node] < 0:
                link[place], thresholds[place] = place - root, np.inf
                continue
            link[place], thresholds[place] = feature[node] << 32 | (last + 1 - root), threshold[node]
            queue[last + 1], queue[last + 2] = left[node], right[node]
            last += 2
    return link, thresholds, values


@kernel
def _child(link: Ints, threshold: Floats, row: Floats, node: int) -> int:
    return (link[node] & 0xFFFFFFFF) + (row[link[node] >> 32] > threshold[node])


@kernel
def _leaf_sums(X: Floats, roots: Ints, link: Ints, threshold: Floats, value: Floats) -> Floats:
    """Sum and sum of squares over the trees of the leaf each row reaches, (2, n).

    Tree by tree, whose nodes then stay in the cache, and eight rows at once: each waits for memory while the others do.
    """
    n = len(X)
    sums = np.zeros((2, n))
    for root in roots:
        nodes, limit, leaf = link[root:], threshold[root:], value[root:]
        for row in range(0, n - n % 8, 8):
            x0, x1, x2, x3 = X[row], X[row + 1], X[row + 2], X[row + 3]
            x4, x5, x6, x7 = X[row + 4], X[row + 5], X[row + 6], X[row + 7]
            a = b = c = d = e = f = g = h = np.int64(0)
            moving = True
            while moving:
                was = a, b, c, d, e, f, g, h
                a, b = _child(nodes, limit, x0, a), _child(nodes, limit, x1, b)
                c, d = _child(nodes, limit, x2, c), _child(nodes, limit, x3, d)
                e, f = _child(nodes, limit, x4, e), _child(nodes, limit, x5, f)
                g, h = _child(nodes, limit, x6, g), _child(nodes, limit, x7, h)
                moving = was != (a, b, c, d, e, f, g, h)
            for place, node in enumerate((a, b, c, d, e, f, g, h)):
                sums[0, row + place] += leaf[node]
                sums[1, row + place] += leaf[node] * leaf[node]
        for row in range(n - n % 8, n):
            node, before = np.int64(0), np.int64(-1)
            while node != before:
                before, node = node, _child(nodes, limit, X[row], node)
            sums[0, row] += leaf[node]
            sums[1, row] += leaf[node] * leaf[node]
    return sums
