"""A Gaussian process whose covariance is a sum of terms over blocks of columns, fast enough for millions of rows.

Rasmussen and Williams, Gaussian Processes for Machine Learning (2006): algorithm 2.1 and equations 4.19 (rational
quadratic), 5.9 (gradient of the marginal likelihood). The mean is exact; the variance is that of the deterministic
training conditional on basis points (Quiñonero-Candela and Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005), equation
20b), which are chosen greedily. Distances are those of projections on the directions in which learned points differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, qr, solve_triangular
from scipy.linalg.blas import dtrmm

from phonolyte.arrays import Floats, Ints
from phonolyte.models.covariance import Singles, means
from phonolyte.models.likelihood import JITTER, Term, by_term, search_hyperparameters
from phonolyte.models.trees import damaged

FAINTEST = 1e-2
"""Default of the difference, root mean square in units of the length, from which on directions count."""

BASIS = 256
"""Basis points of the variance."""

ROWS = 512
"""Rows that are worked on at once."""

Layout = Mapping[str, slice]
"""Columns of each block."""


class Standard(NamedTuple):
    """Mean (d,) and scale (d,) of columns; those that never changed have an infinite scale, and become 0."""

    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, values: Floats) -> Self:
        """Learn from (n, d)."""
        mean, scale = values.mean(axis=0), values.std(axis=0)
        return cls(mean, np.where(scale > 1e-9 * (1.0 + np.abs(mean)), scale, np.inf))

    def apply(self, values: Floats) -> Floats:
        """Standardized columns (n, d)."""
        return (values - self.mean) / self.scale


@dataclass(frozen=True, slots=True, eq=False)
class GaussianProcess:
    """A fitted process of n points, in T terms with R projected coordinates together; the first b points are the basis.

    Attributes
    ----------
    standard
        Standardization of the d columns.
    variances
        (T,) variance of each rational quadratic term.
    starts
        (T + 1,) first coordinate of each of these terms.
    metric
        (d, T) squared inverse length of each column in each of them.
    projection
        (d, R) from standardized columns to coordinates.
    points
        (R, n) coordinates of the learned points.
    linear, slope
        (d,) variance of each column in the linear term, and what the mean gains for each.
    basis
        (d, b) standardized columns of the basis.
    weights
        (n,) inverse covariance times standardized target.
    root
        (b, b) root of the matrix that learning takes from the variance, lower triangular.
    noise
        Variance of the noise.
    target
        Mean and scale of the target.
    """

    standard: Standard
    variances: Floats
    starts: Ints
    metric: Floats
    projection: Floats
    points: Singles
    linear: Floats
    slope: Floats
    basis: Floats
    weights: Floats
    root: Floats
    noise: float
    target: tuple[float, float]

    @classmethod
    def fit(
        cls, columns: Floats, target: Floats, *, layout: Layout, terms: Sequence[Term], fixed: Sequence[str] = (),
        errors: Floats | None = None, faintest: float = FAINTEST, seed: int = 0,
    ) -> Self:  # fmt: skip
        """Fit with the hyperparameters that maximize the marginal likelihood.

        Parameters
        ----------
        columns
            (n, d) in any units.
        target
            (n,) in any unit.
        layout
            Columns of each block.
        terms
            Parts of the covariance.
        fixed
            Blocks whose columns have their scale already, and are not standardized.
        errors
            (n,) known standard deviation of each target, on top of the noise; default: none.
        faintest
            Directions in which the learned points differ by less, root mean square in units of the length, are left
            out.
        seed
            Seed for the sample on which the search starts.
        """
        standard = Standard.fit(columns)
        for name in fixed:
            standard.mean[layout[name]], standard.scale[layout[name]] = 0.0, 1.0
        values = standard.apply(columns)
        scaled = (target - target.mean()) / target.std()
        blocks = {name: values[:, where] for name, where in layout.items()}
        known = np.zeros(len(target)) if errors is None else np.square(errors / target.std())
        logs = search_hyperparameters(blocks, scaled, terms=terms, known=known, seed=seed)
        return cls._condition(standard, values, target, layout, terms, logs, faintest, known)

    @classmethod
    def _condition(
        cls, standard: Standard, values: Floats, target: Floats, layout: Layout, terms: Sequence[Term], logs: Floats,
        faintest: float, known: Floats,
    ) -> Self:  # fmt: skip
        """The process with these hyperparameters (logarithms), conditioned on standardized columns and a target.

        `known` (n,) is a variance of each target, in units of that of all, on top of the noise.
        """
        metric, variances, linear = _unfold(values.shape[1], layout, terms, logs)
        projections = [_directions(values, squares, faintest) for squares in metric.T]
        starts = np.concatenate(([0], np.cumsum([p.shape[1] for p in projections])))
        projection = np.hstack(projections).astype(np.float32).astype(np.float64)
        points = np.ascontiguousarray((values @ projection).T, dtype=np.float32)
        covariance = _covariance(points, variances, starts) + (values * linear) @ values.T
        noise, b = float(np.exp(logs[-1])), min(BASIS, len(values))
        order = _pivots(covariance, b)
        covariance, values, points = covariance[np.ix_(order, order)], values[order], points[:, order]
        mean, scale = float(target.mean()), float(target.std())
        noises = noise + JITTER + known[order]
        noisy = covariance + np.diag(noises)
        weights = cho_solve((cholesky(noisy, lower=True), True), (target[order] - mean) / scale)
        root = _triangular(_root(covariance[:b], noises))
        slope, basis = linear * (values.T @ weights), values[:b].T
        return cls(
            standard, variances, starts, metric, projection, np.ascontiguousarray(points),
            linear, slope, np.ascontiguousarray(basis), weights, root, noise, (mean, scale),
        )  # fmt: skip

    def predict(self, columns: Floats) -> tuple[Floats, Floats]:
        """Mean (m,) and standard deviation (m,) of a new observation, noise included, in the unit of the target."""
        parts = [self._predict(columns[i : i + ROWS]) for i in range(0, len(columns), ROWS)]
        mean, deviation = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
        return mean, deviation

    def _predict(self, columns: Floats) -> Floats:
        values = self.standard.apply(columns)
        squared, used = values * values, np.flatnonzero(self.linear)
        coordinates = self._project(values)
        known = np.add.reduceat(coordinates * coordinates, self.starts[:-1], axis=1)
        beyond = np.maximum(squared @ self.metric - known, 0.0)  # along directions that no learned point has
        mean, near = means(
            coordinates.astype(np.float32), beyond.astype(np.float32), self.points, self.weights.astype(np.float32),
            len(self.root), self.variances, self.starts,
        )  # fmt: skip
        near += (values[:, used] * self.linear[used]) @ self.basis[used]
        explained = dtrmm(1.0, self.root, near.T, lower=1, trans_a=1)  # root.T @ near.T
        prior = self.variances.sum() + squared @ self.linear
        variance = np.maximum(prior - np.einsum("ji,ji->i", explained, explained), 0.0) + self.noise
        center, scale = self.target
        return np.array([center + scale * (mean + values @ self.slope), scale * np.sqrt(variance)])

    def _project(self, values: Floats) -> Floats:
        """Coordinates (m, R) of standardized columns (m, d): each term looks at a part of them."""
        coordinates = np.empty((len(values), self.starts[-1]))
        for metric, first, end in zip(self.metric.T, self.starts[:-1], self.starts[1:], strict=True):
            used = np.flatnonzero(metric)
            span = slice(used[0], used[-1] + 1)
            np.matmul(values[:, span], self.projection[span, first:end], out=coordinates[:, first:end])
        return coordinates

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the process learned, for ``numpy.savez``."""
        arrays = {name: getattr(self, name) for name in _SHAPES} | {
            "mean": self.standard.mean, "scale": self.standard.scale, "starts": self.starts,
            "noise": np.array([self.noise, *self.target]),
        }  # fmt: skip
        return {f"process_{name}": array for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`.

        Raises
        ------
        ModelError
            When one is missing, of another type or shape, or not finite.
        """
        sizes: dict[str, int] = {}
        values = {name: _array(arrays, name, shape, sizes) for name, shape in _SHAPES.items()}
        starts = _array(arrays, "starts", ("S",), sizes, kinds="iu").astype(np.int64)
        noise, *target = _array(arrays, "noise", ("3",), sizes).tolist()
        mean, scale = _array(arrays, "mean", "d", sizes), _array(arrays, "scale", "d", sizes, finite=False)
        n_terms, n_coordinates = sizes["T"], sizes["R"]
        if len(starts) != n_terms + 1 or starts[0] != 0 or starts[-1] != n_coordinates or (np.diff(starts) < 1).any():
            raise damaged("the process", "its coordinates do not belong to its terms")
        if sizes["b"] > sizes["n"] or sizes["3"] != 3:
            raise damaged("the process", "its basis is larger than what it learned, or its noise is not a number")
        positive = (scale, target[1:], noise)
        negative = any((values[name] < 0).any() for name in ("metric", "variances", "linear"))
        if negative or not all((np.asarray(value) > 0).all() for value in positive):
            raise damaged("the process", "a scale, a length or a variance is not positive")
        points = np.ascontiguousarray(values.pop("points"), dtype=np.float32)
        values["root"] = _triangular(values["root"])
        return cls(
            Standard(mean, scale), starts=starts, points=points, noise=noise, target=(target[0], target[1]), **values
        )


_SHAPES = {
    "variances": "T", "metric": "dT", "projection": "dR", "points": "Rn", "linear": "d", "slope": "d", "basis": "db",
    "weights": "n", "root": "bb",
}  # fmt: skip
"""Arrays of a process, and a letter for the size of each of their dimensions."""


def _array(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: Sequence[str], sizes: dict[str, int], *, kinds: str = "iuf",
    finite: bool = True,
) -> Floats:  # fmt: skip
    """One array of a file, whose dimensions have the sizes of others with the same letters."""
    array = arrays.get(f"process_{name}")
    if array is None or array.dtype.kind not in kinds or array.ndim != len(shape) or not array.size:
        raise damaged("the process", f"its {name} is not an array of numbers in {len(shape)} dimensions")
    agrees = all(sizes.setdefault(letter, size) == size for letter, size in zip(shape, array.shape, strict=True))
    if not agrees or np.isnan(array).any() or (finite and np.isinf(array).any()):
        raise damaged("the process", f"its {name} has the shape {array.shape}, or is not finite")
    return array.astype(np.float64)


def _unfold(d: int, layout: Layout, terms: Sequence[Term], logs: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared inverse lengths (d, T) and variances (T,) of rational quadratic terms; variances (d,) of linear ones."""
    metric, variances, linear = [], [], np.zeros(d)
    for term, logs_of_term in zip(terms, by_term(terms, logs), strict=True):
        lengths = np.zeros(len(term.blocks)) if term.kind == "linear" else logs_of_term[1:]
        squares = np.zeros(d)
        for name, length in zip(term.blocks, lengths, strict=True):
            where = layout[name]
            squares[where] = np.exp(-2.0 * length) / (where.stop - where.start)
        if term.kind == "linear":
            linear += np.exp(logs_of_term[0]) * squares
        else:
            metric.append(squares)
            variances.append(np.exp(logs_of_term[0]))
    return np.column_stack(metric), np.array(variances), linear


def _covariance(points: Singles, variances: Floats, starts: Ints) -> Floats:
    """Covariance (n, n) of the points with each other in the rational quadratic terms."""
    total = np.zeros((points.shape[1], points.shape[1]))
    for variance, first, end in zip(variances, starts[:-1], starts[1:], strict=True):
        coordinates = points[first:end].T.astype(np.float64)
        product = coordinates @ coordinates.T
        norms = np.diag(product)
        total += variance / (1.0 + 0.25 * np.maximum(norms[:, None] + norms - 2.0 * product, 0.0)) ** 2
    return total


def _directions(values: Floats, squares: Floats, faintest: float) -> Floats:
    """Projection (d, r) of standardized columns (n, d) on the directions in which they differ, in units of lengths."""
    lengths = np.sqrt(squares)
    used = np.flatnonzero(lengths)
    _, sizes, directions = np.linalg.svd(values[:, used] * lengths[used], full_matrices=False)
    basis = directions[sizes > max(faintest * np.sqrt(len(values)), 1e-9 * sizes[0])]
    projection = np.zeros((len(squares), max(len(basis), 1)))
    projection[used] = (basis if len(basis) else directions[:1]).T * lengths[used, None]
    return projection


def _pivots(covariance: Floats, n: int) -> Ints:
    """Order (m,) of the points in which the first n leave least variance: those of a Cholesky factor with pivoting."""
    rest = np.diag(covariance).copy()
    factor = np.zeros((n, len(rest)))
    chosen: list[int] = []
    for k in range(n):
        pivot = int(np.argmax(rest))
        factor[k] = (covariance[pivot] - factor[:k, pivot] @ factor[:k]) / np.sqrt(max(rest[pivot], JITTER))
        rest = np.maximum(rest - factor[k] ** 2, 0.0)
        rest[[*chosen, pivot]] = -1.0
        chosen.append(pivot)
    others = np.setdiff1d(np.arange(len(rest)), chosen)
    return np.concatenate((chosen, others))


def _root(covariance: Floats, noises: Floats) -> Floats:
    """Root (b, b) of K^-1 - (K + K_bn N^-1 K_nb)^-1, from the covariance (b, n) of the basis with all points.

    N is diagonal, the variance (n,) of the noise of each point.
    """
    b = len(covariance)
    factor = cholesky(covariance[:, :b] + 1e-7 * covariance[:, :b].trace() / b * np.eye(b), lower=True)
    learned = solve_triangular(factor, covariance / np.sqrt(noises), lower=True)
    values, vectors = np.linalg.eigh(learned @ learned.T)
    share = vectors * np.sqrt(np.maximum(values, 0.0) / (1.0 + np.maximum(values, 0.0)))
    return np.asarray(solve_triangular(factor, share, lower=True, trans="T"))


def _triangular(root: Floats) -> Floats:
    """Lower triangular root (b, b) of the same matrix, in Fortran's order: half as much to multiply."""
    lower = qr(root.T, mode="r")[0].T if np.triu(root, 1).any() else root
    return np.asfortranarray(lower)
