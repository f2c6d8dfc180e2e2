"""The band center as a spring frequency times a learned quotient: a Gaussian process, boosted trees and their mean.

Both learn the natural logarithm of center / spring frequency, which varies by a tenth where the center varies by a
factor of twenty. The process sees logarithms of the physical columns, Magpie's statistics of the composition and square
roots of the element fractions; the trees see the physical columns and all of Magpie's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import PROPERTIES
from phonolyte.features.attributes import N_MAGPIE, N_STRUCTURE
from phonolyte.features.feature_sets import PHYSICAL
from phonolyte.features.modes import MODES
from phonolyte.features.physical import N_PHYSICAL, REFERENCE, logarithmic, physical_blocks, physical_names
from phonolyte.models.likelihood import Term
from phonolyte.models.process import FAINTEST, GaussianProcess
from phonolyte.models.trees import TreeEnsemble, damaged

BLOCKS = ("springs", "moments", "bonds", "valence", "coordination", "angles", "masses", "scale", "elastic")
"""Blocks of physical columns in the process; the trees have that of neighbors, too, which made the process worse."""

SEEN = N_PHYSICAL + N_MAGPIE
"""Columns that the trees see, but those of modes."""

N_COLUMNS = sum(len(each.names) for each in PHYSICAL)
"""Columns of a table without modes."""

TERMS = (
    Term("rational_quadratic", BLOCKS), Term("linear", BLOCKS), Term("rational_quadratic", ("composition",)),
    Term("rational_quadratic", ("elements",)),
)  # fmt: skip
"""Covariance of the process."""

MODES_BLOCK = "modes"
"""Block of the modes of a small supercell, where an engine has computed them."""

LOWEST_MODE_MEV = 1.0
"""Means of modes below this, of unstable crystals, count as this."""

ROOT_FRACTION = 0.1
"""Typical deviation of the square root of an element's fraction, by which these are divided."""

USUAL_ERROR = 0.03
"""Relative error of a prediction: compounds whose centers are known to so much have half of the weight of others."""

BOOSTING = {
    "n_estimators": 600, "learning_rate": 0.04, "max_depth": 5, "min_child_weight": 3.0, "subsample": 0.7,
    "colsample_bytree": 0.3, "reg_lambda": 2.0,
}  # fmt: skip
"""Settings of the boosted trees, as usual for a thousand compounds; nothing is searched."""


class Predictions(NamedTuple):
    """Centers (n,): the mean of both models, the standard deviation of the process, and each model's own, meV."""

    center_mev: Floats
    deviation_mev: Floats
    process_mev: Floats
    boosted_mev: Floats


@dataclass(frozen=True, slots=True, eq=False)
class QuotientModel:
    """A Gaussian process and boosted trees of log(center / spring frequency).

    Tables have the columns of :data:`phonolyte.features.feature_sets.PHYSICAL`, in their order, and those of
    :class:`phonolyte.features.modes.Modes` behind them, or not.
    """

    process: GaussianProcess
    trees: TreeEnsemble

    @classmethod
    def fit(
        cls, values: Floats, center_mev: Floats, *, errors: Floats | None = None, faintest: float = FAINTEST,
        seed: int = 0,
    ) -> Self:  # fmt: skip
        """Learn from columns (n, m) and band centers (n,) of n crystals.

        `errors` (n,) are known relative errors of the centers: to the process they are noise, to the trees less weight.
        `faintest` is that of :meth:`phonolyte.models.process.GaussianProcess.fit`.
        """
        from xgboost import XGBRegressor  # a second to import: only where it is used

        target = np.log(center_mev / _reference_mev(values))
        process = GaussianProcess.fit(
            _columns(values), target, layout=_layout(values.shape[1]), terms=_terms(values.shape[1]),
            fixed=("elements",), errors=errors, faintest=faintest, seed=seed,
        )  # fmt: skip
        weights = None if errors is None else 1.0 / (1.0 + np.square(errors / USUAL_ERROR))
        boosted = XGBRegressor(**BOOSTING, random_state=seed, n_jobs=1)
        boosted.fit(_seen_by_trees(values), target, sample_weight=weights)
        return cls(process, TreeEnsemble.from_estimator(boosted))

    def predict(self, values: Floats) -> Predictions:
        """Predict the band centers (n,) of n crystals from their columns (n, m)."""
        reference = _reference_mev(values)
        mean, deviation = self.process.predict(_columns(values))
        process = reference * np.exp(mean)
        boosted = reference * np.exp(self.trees.predict(_seen_by_trees(values)))
        return Predictions(np.sqrt(process * boosted), process * deviation, process, boosted)

    def predict_with_spread(self, values: Any) -> tuple[Floats, Floats]:
        """Predict the band centers (n,) and their standard deviations (n,), meV."""
        predictions = self.predict(np.asarray(values, dtype=np.float64))
        return predictions.center_mev, predictions.deviation_mev

    @property
    def n_features(self) -> int:
        """Columns that a table must have."""
        return N_COLUMNS + len(self.process.standard.mean) - _columns_used()[0].size

    @property
    def importances(self) -> Floats:
        """Share of each column (m,) in the splits of the boosted trees."""
        splits = np.bincount(self.trees.feature[self.trees.left >= 0], minlength=SEEN + self.n_features - N_COLUMNS)
        unseen = np.zeros(N_COLUMNS - SEEN, dtype=splits.dtype)
        return np.asarray(np.concatenate([splits[:SEEN], unseen, splits[SEEN:]]) / splits.sum())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for ``numpy.savez``."""
        return {**self.process.arrays(), **self.trees.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`.

        Raises
        ------
        ModelError
            When one is missing, of another type or shape, or does not belong to the others.
        """
        process, trees = GaussianProcess.from_arrays(arrays), TreeEnsemble.from_arrays(arrays)
        extra = len(process.standard.mean) - _columns_used()[0].size
        if extra not in (0, len(MODES)):
            raise damaged("the process", f"it looks at {len(process.standard.mean)} columns")
        if trees.n_features > SEEN + extra:
            raise damaged("a tree", f"it looks at column {trees.n_features}")
        return cls(process, trees)


def _reference_mev(values: Floats) -> Floats:
    return values[:, _reference_column()]


@cache
def _reference_column() -> int:
    return physical_names().index(REFERENCE)


def _seen_by_trees(values: Floats) -> Floats:
    return _with_modes(values[:, :SEEN], values)


def _columns(values: Floats) -> Floats:
    """Columns of the process: logarithms of positive quantities, and square roots of fractions."""
    used, logs, roots = _columns_used()
    columns = values[:, used]
    columns[:, logs] = np.log(columns[:, logs])
    columns[:, roots] = np.sqrt(columns[:, roots]) / ROOT_FRACTION
    return _with_modes(columns, values)


def _with_modes(columns: Floats, values: Floats) -> Floats:
    """Columns with the logarithms of the modes over the spring frequency, and of their atoms, where these are known."""
    if values.shape[1] == N_COLUMNS:
        return columns
    modes = np.maximum(values[:, N_COLUMNS:-1], LOWEST_MODE_MEV) / _reference_mev(values)[:, None]
    return np.hstack([columns, np.log(modes), np.log(values[:, -1:])])


def _terms(n_columns: int) -> tuple[Term, ...]:
    """Covariance of the process of tables with so many columns."""
    if n_columns == N_COLUMNS:
        return TERMS
    return tuple(Term(term.kind, (*term.blocks, MODES_BLOCK)) if term.blocks == BLOCKS else term for term in TERMS)


@cache
def _columns_used() -> tuple[Ints, Ints, slice]:
    """Columns of the process; those among them whose logarithm, and those whose root is taken."""
    of_block = np.array(physical_blocks())
    physical = np.concatenate([np.flatnonzero(of_block == name) for name in BLOCKS])
    statistics = N_PHYSICAL + N_STRUCTURE + 6 + np.arange(6 * len(PROPERTIES))
    used = np.concatenate([physical, statistics, np.arange(SEEN, N_COLUMNS)])
    return used, np.flatnonzero(logarithmic()[physical]), slice(len(physical) + len(statistics), len(used))


@cache
def _layout(n_columns: int) -> dict[str, slice]:
    """Columns of each block in the process of tables with so many columns."""
    sizes = {name: physical_blocks().count(name) for name in BLOCKS}
    sizes["composition"] = 6 * len(PROPERTIES)
    sizes["elements"] = len(PHYSICAL[-1].names)
    if n_columns > N_COLUMNS:
        sizes[MODES_BLOCK] = n_columns - N_COLUMNS
    ends = np.cumsum(list(sizes.values())).tolist()
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}
