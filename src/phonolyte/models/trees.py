"""Tree ensembles as plain arrays: saved without pickles, applied without the library that grew them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import ModelError

_ROWS_PER_TASK = 512


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

    @classmethod
    def of(cls, estimator: Any) -> Self:
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
            why="it is no ensemble of regression trees",
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
                    "threshold": np.nextafter(condition, np.float32(-np.inf)),  # XGBoost asks x < condition
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
        parts = [table[i : i + _ROWS_PER_TASK] for i in range(0, len(table), _ROWS_PER_TASK)]
        with ThreadPoolExecutor(os.cpu_count()) as executor:  # the kernel releases the GIL
            sums = list(executor.map(self._sums, parts))
        total, squares = np.concatenate(sums, axis=1) if sums else np.zeros((2, 0))
        n = len(self.roots)
        spread = np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0.0))
        return self.base + self.weight * total, spread

    def _sums(self, part: NDArray[np.float32]) -> Floats:
        return np.asarray(_leaf_sums(part, self.roots, self.feature, self.threshold, self.left, self.right, self.value))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The ensemble as arrays in the smallest type that holds them, for ``numpy.savez``."""
        small = {"roots": np.int32, "feature": np.int16, "left": np.int32, "right": np.int32, "value": np.float32}
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        return {name: array.astype(small.get(name, array.dtype)) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`."""
        wide = {
            "roots": np.int64,
            "feature": np.int64,
            "left": np.int64,
            "right": np.int64,
            "value": np.float64,
        }
        parts: dict[str, Any] = {name: arrays[name].astype(dtype) for name, dtype in wide.items()}
        return cls(threshold=arrays["threshold"], base=float(arrays["base"]), weight=float(arrays["weight"]), **parts)


def _rounded_down(threshold: Floats) -> NDArray[np.float32]:
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)


@njit(cache=True, nogil=True)
def _leaf_sums(
    X: Floats, roots: Ints, feature: Ints, threshold: Floats, left: Ints, right: Ints, value: Floats
) -> Floats:
    """Sum and sum of squares over the trees of the leaf each row reaches, (2, n)."""
    sums = np.zeros((2, len(X)))
    for root in roots:  # tree by tree: the nodes of one tree stay in the cache
        for row in range(len(X)):
            node = root
            while left[node] >= 0:
                node = left[node] if X[row, feature[node]] <= threshold[node] else right[node]
            sums[0, row] += value[node]
            sums[1, row] += value[node] * value[node]
    return sums
