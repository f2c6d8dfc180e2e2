"""How far a crystal is from what a model learned, and how wide its interval must be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints, Matrix
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.files import as_number
from phonolyte.models.trees import damaged

TYPICAL_SHARE = 0.99
"""Share of the learning set that counts as inside its own domain."""

CONFIDENCE = 0.9
"""Share of new compounds whose center should lie inside their interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """The region of features and the elements a model knows.

    A crystal is inside when its Mahalanobis distance from the learning set, in a set of features of which
    none repeats another, is one that 99 % of the learning set keeps, and all its elements occur there.

    Attributes
    ----------
    features
        Names of the d features.
    mean, scale
        (d,) of the learning set.
    precision
        (d, d) inverse covariance of the standardized features (Ledoit-Wolf, 10.1016/S0047-259X(03)00096-4).
    limit
        Largest distance inside.
    elements
        Symbols of the elements in the learning set.
    """

    features: tuple[str, ...]
    mean: Floats
    scale: Floats
    precision: Floats
    limit: float
    elements: frozenset[str]

    @classmethod
    def fit(cls, table: pd.DataFrame, elements: Sequence[Collection[str]]) -> Self:
        """Learn the domain from features (n, d) and the elements of each of the n compounds."""
        from sklearn.covariance import LedoitWolf

        values = table.to_numpy(float)
        mean, scale = values.mean(axis=0), values.std(axis=0)
        precision = LedoitWolf().fit((values - mean) / scale).precision_
        known = frozenset(symbol for of_compound in elements for symbol in of_compound)
        domain = cls(tuple(table.columns), mean, scale, precision, np.inf, known)
        limit = float(np.quantile(domain.distance(table), TYPICAL_SHARE))
        return cls(domain.features, mean, scale, precision, limit, known)

    def distance(self, table: pd.DataFrame) -> Floats:
        """Mahalanobis distance (n,) of each row from the learning set."""
        return self._distance(table[list(self.features)].to_numpy(float))

    def _distance(self, values: Floats) -> Floats:
        z = (values - self.mean) / self.scale
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", z @ self.precision, z)))

    def contains(self, table: pd.DataFrame, elements: Sequence[Collection[str]]) -> Matrix:
        """Whether each of n crystals is inside, (n,) booleans."""
        known = np.array([self.elements.issuperset(of_crystal) for of_crystal in elements], dtype=bool)
        return np.asarray((self.distance(table) <= self.limit) & known)

    def contains_numbers(self, values: Floats, numbers: Ints) -> Matrix:
        """The same from the d features (n, d) as an array, and atomic numbers (n, s)."""
        known = np.zeros(len(SYMBOLS), dtype=bool)
        known[[ATOMIC_NUMBERS[symbol] for symbol in self.elements]] = True
        return np.asarray((self._distance(values) <= self.limit) & known[numbers].all(axis=1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for ``numpy.savez``."""
        return {
            "domain_features": np.array(self.features),
            "domain_mean": self.mean,
            "domain_scale": self.scale,
            "domain_precision": self.precision,
            "domain_limit": np.array(self.limit),
            "domain_elements": np.array(sorted(self.elements)),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`.

        Raises
        ------
        ModelError
            When one is missing, of another type, or they do not describe a region.
        """
        features, elements = (_words(arrays, name) for name in ("domain_features", "domain_elements"))
        d = len(features)
        shapes = {"domain_mean": (d,), "domain_scale": (d,), "domain_precision": (d, d), "domain_limit": ()}
        mean, scale, precision, limit = (_finite(arrays, name, shape) for name, shape in shapes.items())
        if not (scale > 0).all() or not limit > 0:
            raise damaged("the domain", "a scale or the limit is not positive")
        if not np.allclose(precision, precision.T, rtol=1e-6) or not _is_positive(precision):
            raise damaged("the domain", "its precision is not that of a distance")
        unknown = [symbol for symbol in elements if symbol not in ATOMIC_NUMBERS]
        if unknown:
            raise damaged("the domain", f"it names the element {unknown[0][:20]!r}")
        return cls(tuple(features), mean, scale, precision, float(limit), frozenset(elements))


def _words(arrays: Mapping[str, NDArray[Any]], name: str) -> list[str]:
    array = arrays.get(name)
    if array is None or array.dtype.kind != "U" or array.ndim != 1 or len(set(array.tolist())) < max(len(array), 1):
        raise damaged(f"the {name.replace('_', ' ')}", "they are not a list of different words")
    return [str(word) for word in array.tolist()]


def _finite(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> Floats:
    array = arrays.get(name)
    if array is None or array.dtype.kind not in "iuf" or array.shape != shape or not np.isfinite(array).all():
        raise damaged(f"the {name.replace('_', ' ')}", f"it is not an array of shape {shape} of finite numbers")
    return array.astype(np.float64)


def _is_positive(matrix: Floats) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


NORMAL_90 = 1.6449
"""Half of the width of the 90 % interval of a normal distribution, in standard deviations."""


def over_orderings(center_mev: pd.Series, half_width_mev: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Center and half of the interval's width of each crystal, meV, from those of its orderings, whose index repeats.

    The center is their mean; their spread is added to the width in quadrature, as that of a normal distribution.
    """
    centers = center_mev.groupby(level=0, sort=False)
    squares = (half_width_mev**2).groupby(level=0, sort=False)
    return centers.mean(), np.sqrt(squares.mean() + (NORMAL_90 * centers.std().fillna(0.0)) ** 2)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Conformal prediction intervals, center ± factor x (spread + floor), in meV.

    The spread is that between the trees, or the standard deviation of a process.

    Calibrated on held-out compounds (10.1080/01621459.2017.1307116); an ensemble without a spread that means
    anything has ``per_spread`` 0 and intervals of one width.
    """

    factor: float
    floor_mev: float
    per_spread: float = 1.0

    def record(self) -> dict[str, float]:
        """Numbers for JSON."""
        return {"factor": self.factor, "floor_mev": self.floor_mev, "per_spread": self.per_spread}

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """Read from JSON.

        Raises
        ------
        ModelError
            When a number is missing, not finite or negative.
        """
        names = ("factor", "floor_mev", "per_spread")
        if not isinstance(record, Mapping) or set(record) != set(names):
            raise damaged("the intervals", f"they need {', '.join(names)}")
        values = [as_number(record[name]) for name in names]
        if not all(0.0 <= value < np.inf for value in values):
            raise damaged("the intervals", f"they are {', '.join(str(record[name])[:20] for name in names)}")
        return cls(*values)

    @classmethod
    def calibrate(
        cls,
        residual_mev: Floats,
        spread_mev: Floats | None,
        *,
        floor_mev: float | None = None,
        confidence: float = CONFIDENCE,
    ) -> Self:
        """Learn from compounds that each fit had not seen.

        Parameters
        ----------
        residual_mev, spread_mev
            (n,) error of each prediction, and its spread, where it has one.
        floor_mev
            What is added to the spread; default: its median.
        confidence
            Share of these compounds that the intervals cover.
        """
        from crepes import ConformalRegressor

        if floor_mev is None:
            floor_mev = 1.0 if spread_mev is None else float(np.median(spread_mev))
        rule = cls(1.0, floor_mev, 0.0 if spread_mev is None else 1.0)
        spread = np.zeros_like(residual_mev) if spread_mev is None else spread_mev
        conformal = ConformalRegressor()
        conformal.fit(residual_mev, sigmas=rule.half_width(spread))
        factor = float(conformal.predict_int(np.zeros(1), sigmas=np.ones(1), confidence=confidence)[0, 1])
        return cls(factor, floor_mev, rule.per_spread)

    def half_width(self, spread_mev: Floats) -> Floats:
        """Half of the interval's width (n,) in meV."""
        return self.factor * (self.per_spread * spread_mev + self.floor_mev)
