"""The ionic conductivity at room temperature: learned near measured compounds, and physics alone far from them.

Two parts differ in how far they carry. A *score*, linear in the barrier of percolation, the size of the anions and, for
refined crystals, the share of partly empty sites of the ion, holds for families that were never measured. A Gaussian
process with the same score as its mean, over descriptors of the ions and the composition, holds among relatives of
measured compounds. The distance to these decides between the two. Intervals and probabilities are what such models
missed by when relatives were left out, at that distance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.errors import ModelError
from phonolyte.files import parse_json, read_arrays
from phonolyte.models.trees import damaged
from phonolyte.units import CONDUCTOR_S_CM

CONDUCTOR = math.log10(CONDUCTOR_S_CM)
"""Decimal logarithm of the conductivity, S/cm, from which on a compound conducts."""

FORMAT = 1
MANIFEST, ARRAYS = "model.json", "model.npz"

HIGHEST_EV = 1.5
"""Barriers above this count as this: where nothing moves it does not matter how much."""

NUMBERS = {"barrier_3d_ev": (0.7, -0.45), "anion_radius_a": (1.55, 0.2), "open_share": (0.6, 0.45)}
"""Middle and scale of the numbers of the score; the sign is that of what helps."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is fixed before anything is learned: decades, and standard deviations of descriptors.

    Attributes
    ----------
    slope, slope_deviation
        Slopes of the score in the mean of the process, and how far they may be off.
    level_variance
        Variance of the level of the process around the median.
    far_variance, far_length
        Squared exponential over descriptors.
    near_variance, near_length
        Matern 3/2 over the roots of the fractions of elements.
    noise
        Variance of one measurement: that of repeated ones is 0.52.
    ridge
        Penalty of the slopes of the score.
    near, far
        Distances up to which the process counts alone, and from which on it counts least.
    least
        Its weight there.
    neighbors
        Measured compounds whose distance counts.
    floor
        Logarithms below this are only known to be low.
    window
        Width in the logarithm of the distance of what left-out compounds are compared by.
    smooth
        Decades over which residuals are smoothed.
    """

    slope: float = 0.7
    slope_deviation: float = 0.35
    level_variance: float = 1.0
    far_variance: float = 2.0
    far_length: float = 0.7
    near_variance: float = 1.0
    near_length: float = 0.3
    noise: float = 0.5
    ridge: float = 10.0
    near: float = 0.3
    far: float = 0.6
    least: float = 0.3
    neighbors: int = 3
    floor: float = -10.0
    window: float = 0.35
    smooth: float = 0.3


PRIOR = Prior()
FURTHEST = 4.0
"""Standard deviations at which descriptors are clipped."""

ROUNDS = 3
"""Rounds in which upper bounds are replaced by what is expected below them."""


class Compounds(NamedTuple):
    """What the model sees of n compounds.

    Attributes
    ----------
    score
        (n, s) numbers of the score, standardized.
    descriptors
        (n, d) descriptors of the ions.
    roots
        (n, 104) square roots of the fractions of elements, by atomic number.
    """

    score: Floats
    descriptors: Floats
    roots: Floats

    def take(self, rows: Any) -> Compounds:
        """Some of them."""
        return Compounds(self.score[rows], self.descriptors[rows], self.roots[rows])


class Parts(NamedTuple):
    """Predictions (n,) of log10(sigma / (S/cm)): gated, of the score, of the process; the process' weight, distance."""

    gated: Floats
    score: Floats
    process: Floats
    weight: Floats
    distance: Floats


class Predicted(NamedTuple):
    """Predictions of n compounds.

    Attributes
    ----------
    log_sigma
        (n,) log10(sigma / (S/cm)).
    lower, upper
        (n,) 90 % interval of it.
    p_conductor
        (n,) probability of 1e-4 S/cm or more.
    weight
        (n,) weight of the process; the rest is that of the score.
    distance
        (n,) distance to measured compounds.
    """

    log_sigma: Floats
    lower: Floats
    upper: Floats
    p_conductor: Floats
    weight: Floats
    distance: Floats


def standardize(numbers: Mapping[str, Floats], names: tuple[str, ...]) -> Floats:
    """Numbers of the score (n, s) from columns (n,) by name; barriers are capped, unknown ones count as the cap."""
    columns = []
    for name in names:
        middle, scale = NUMBERS[name]
        values = np.asarray(numbers[name], dtype=float)
        if name == "barrier_3d_ev":
            values = np.nan_to_num(np.minimum(values, HIGHEST_EV), nan=HIGHEST_EV)
        columns.append((values - middle) / scale)
    return np.column_stack(columns)


@dataclass(frozen=True, slots=True, eq=False)
class GatedModel:
    """Score and process, and what they missed by on left-out compounds.

    Attributes
    ----------
    names
        Numbers of the score.
    mean, scale
        (d,) of the descriptors.
    learned
        Compounds learned from, their descriptors standardized.
    weights
        (n,) inverse covariance times what is above the prior mean.
    level
        Median of the logarithms.
    slopes
        (s + 1,) constant and slopes of the score alone.
    left_out
        (m, 2) distance, and measured less predicted, of left-out compounds.
    """

    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    learned: Compounds
    weights: Floats
    level: float
    slopes: Floats
    left_out: Floats

    @classmethod
    def fit(cls, names: tuple[str, ...], x: Compounds, log_sigma: Floats, bounds: Flags, groups: Ints) -> Self:
        """Learn from measured compounds.

        Parameters
        ----------
        names
            Numbers of the score.
        x
            n compounds.
        log_sigma
            (n,) log10(sigma / (S/cm)).
        bounds
            (n,) which of them are upper bounds.
        groups
            (n,) sets of elements, which are left out together.
        """
        model = cls._fit(names, x, log_sigma, bounds)
        left_out = []
        for test in _left_out(model.learned.descriptors, groups):
            rows = np.setdiff1d(np.arange(len(log_sigma)), test)
            parts = cls._fit(names, x.take(rows), log_sigma[rows], bounds[rows]).parts(x.take(test))
            left_out.append(np.column_stack([parts.distance, log_sigma[test] - parts.gated]))
        return replace(model, left_out=np.vstack(left_out))

    @classmethod
    def _fit(cls, names: tuple[str, ...], x: Compounds, log_sigma: Floats, bounds: Flags) -> Self:
        bounds = bounds | (log_sigma < PRIOR.floor)
        y = np.maximum(log_sigma, PRIOR.floor)
        mean, scale = x.descriptors.mean(axis=0), x.descriptors.std(axis=0)
        scale = np.where(scale > 1e-9, scale, np.inf)
        learned = Compounds(x.score, _standard(x.descriptors, mean, scale), x.roots)
        design = np.column_stack([np.ones(len(y)), x.score])
        penalty = np.diag([1e-6, *[PRIOR.ridge] * x.score.shape[1]])
        slopes = np.linalg.solve(design.T @ design + penalty, design.T @ y)
        level = float(np.median(y))
        inverse = np.linalg.inv(_covariance(learned, learned) + PRIOR.noise * np.eye(len(y)))
        above = np.asarray(y - level - PRIOR.slope * x.score.sum(axis=1))
        weights = inverse @ _below_bounds(above, bounds, inverse)
        return cls(names, mean, scale, learned, weights, level, slopes, np.empty((0, 2)))

    def parts(self, x: Compounds) -> Parts:
        """Predictions of n compounds by both parts."""
        scaled = Compounds(x.score, _standard(x.descriptors, self.mean, self.scale), x.roots)
        score = self.slopes[0] + x.score @ self.slopes[1:]
        squares = _squares(scaled.descriptors, self.learned.descriptors)
        process = (
            self.level + PRIOR.slope * x.score.sum(axis=1) + _covariance(scaled, self.learned, squares) @ self.weights
        )
        distance = np.sqrt(_mean_of_least(squares, PRIOR.neighbors))
        weight = 1.0 - (1.0 - PRIOR.least) * np.clip((distance - PRIOR.near) / (PRIOR.far - PRIOR.near), 0.0, 1.0)
        return Parts(weight * process + (1.0 - weight) * score, score, process, weight, distance)

    def predict(self, x: Compounds) -> Predicted:
        """Predictions of n compounds with intervals."""
        parts = self.parts(x)
        distance, residual = self.left_out.T
        apart = (np.log(parts.distance[:, None] + 0.1) - np.log(distance + 0.1)) / PRIOR.window
        exponents = -0.5 * apart**2
        weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        likely = (weights * ndtr((parts.gated[:, None] + residual - CONDUCTOR) / PRIOR.smooth)).sum(axis=1)
        order = np.argsort(residual)
        total = np.cumsum(weights[:, order], axis=1)
        lower, upper = (
            parts.gated + residual[order][np.minimum((total < share).sum(axis=1), len(order) - 1)]
            for share in (0.05, 0.95)
        )
        return Predicted(parts.gated, lower, upper, likely, parts.weight, parts.distance)

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for ``numpy.savez``."""
        arrays = {
            "mean": self.mean, "scale": self.scale, "score": self.learned.score, "roots": self.learned.roots,
            "descriptors": self.learned.descriptors, "weights": self.weights, "level": np.array(self.level),
            "slopes": self.slopes, "left_out": self.left_out,
        }  # fmt: skip
        return {f"{prefix}_{name}": values for name, values in arrays.items()}

    @classmethod
    def from_arrays(cls, prefix: str, names: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`arrays`.

        Raises
        ------
        ModelError
            When one is missing, of another shape, or not finite.
        """
        values = {
            name: np.asarray(arrays[f"{prefix}_{name}"], dtype=float)
            for name in ("mean", "scale", "score", "roots", "descriptors", "weights", "level", "slopes", "left_out")
        }
        n, s, d = len(values["weights"]), len(names), len(values["mean"])
        shapes = {
            "mean": (d,), "scale": (d,), "score": (n, s), "roots": (n, values["roots"].shape[-1]),
            "descriptors": (n, d), "weights": (n,), "level": (), "slopes": (s + 1,),
            "left_out": (len(values["left_out"]), 2),
        }  # fmt: skip
        for name, shape in shapes.items():
            if (
                values[name].shape != shape
                or (name != "scale" and not np.isfinite(values[name]).all())
                or not values[name].size
            ):
                raise damaged(f"the array {prefix}_{name}", f"it has the shape {values[name].shape}, or is not finite")
        learned = Compounds(values["score"], values["descriptors"], values["roots"])
        return cls(
            names, values["mean"], values["scale"], learned, values["weights"], float(values["level"]),
            values["slopes"], values["left_out"],
        )  # fmt: skip


REFINED, ORDERED = ("barrier_3d_ev", "anion_radius_a", "open_share"), ("barrier_3d_ev", "anion_radius_a")
"""Numbers of the score for crystals with refined occupancies, and for ordered ones, whose sites all are full because
they were written so and not because they were measured so."""


@dataclass(frozen=True, slots=True, eq=False)
class ConductivityModel:
    """A model of the conductivity of one ion.

    Attributes
    ----------
    ion
        Symbol of the ion.
    refined, ordered
        Models for crystals with refined occupancies, and for ordered ones.
    provenance
        Where it comes from: data, number of compounds, prior.
    """

    ion: str
    refined: GatedModel
    ordered: GatedModel
    provenance: Mapping[str, Any]

    @classmethod
    def fit(
        cls, ion: str, numbers: Mapping[str, Floats], descriptors: Floats, roots: Floats, log_sigma: Floats,
        bounds: Flags, groups: Ints, *, provenance: Mapping[str, Any] | None = None,
    ) -> Self:  # fmt: skip
        """Learn from n measured compounds.

        Parameters
        ----------
        ion
            Symbol of the ion.
        numbers
            Columns (n,) of :data:`NUMBERS`, all of them known.
        descriptors, roots
            (n, d) and (n, 104), as :class:`Compounds` has them.
        log_sigma, bounds, groups
            As :meth:`GatedModel.fit` takes them.
        provenance
            For the record.
        """

        def fit(names: tuple[str, ...]) -> GatedModel:
            x = Compounds(standardize(numbers, names), descriptors, roots)
            return GatedModel.fit(names, x, log_sigma, bounds, groups)

        more = {"n": len(log_sigma), "prior": asdict(PRIOR), **(provenance or {})}
        return cls(ion, fit(REFINED), fit(ORDERED), more)

    def predict(self, numbers: Mapping[str, Floats], descriptors: Floats, roots: Floats) -> Predicted:
        """Predict n crystals; an unknown `open_share` (NaN) is that of an ordered crystal."""
        refined = ~np.isnan(numbers["open_share"])
        predictions = np.empty((len(Predicted._fields), len(refined)))
        for model, rows in ((self.refined, refined), (self.ordered, ~refined)):
            if rows.any():
                columns_of_group = {name: np.asarray(values)[rows] for name, values in numbers.items()}
                x = Compounds(standardize(columns_of_group, model.names), descriptors[rows], roots[rows])
                predictions[:, rows] = model.predict(x)
        return Predicted(*predictions)

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``model.npz`` (plain arrays, no pickle) into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"format": FORMAT, "ion": self.ion, "provenance": dict(self.provenance)}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        with (folder / ARRAYS).open("wb") as stream:
            arrays: dict[str, Any] = {**self.refined.arrays("refined"), **self.ordered.arrays("ordered")}
            np.savez_compressed(stream, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model.

        Raises
        ------
        ModelError
            When it is missing, damaged, or of another format.
        """
        try:
            manifest = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise damaged("the format", f"it is {str(manifest['format'])[:40]}")
            arrays = read_arrays(folder / ARRAYS)
            refined = GatedModel.from_arrays("refined", REFINED, arrays)
            ordered = GatedModel.from_arrays("ordered", ORDERED, arrays)
            return cls(str(manifest["ion"]), refined, ordered, dict(manifest["provenance"]))
        except ModelError:
            raise
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise ModelError(f"the model in {folder} is damaged", why=str(error)[:200]) from None

    @classmethod
    @cache
    def embedded(cls) -> Self:
        """The model that comes with Phonolyte, of lithium."""
        return cls.load(Path(str(files("phonolyte") / "data" / "conductivity_model")))


def _standard(descriptors: Floats, mean: Floats, scale: Floats) -> Floats:
    """Standardized descriptors whose squared distances are means over the descriptors."""
    return np.asarray(np.clip((descriptors - mean) / scale, -FURTHEST, FURTHEST) / np.sqrt(len(mean)))


def _squares(a: Floats, b: Floats) -> Floats:
    squares = a @ (-2.0 * b.T)  # one array, changed in place: the rest is in the cache
    squares += (a**2).sum(axis=1)[:, None]
    squares += (b**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0.0, out=squares))


def _mean_of_least(values: Floats, n: int) -> Floats:
    """Mean of the n least of each row, for few of them: a tenth of the time of a sort."""
    left, rows = values.copy(), np.arange(len(values))
    n = min(n, values.shape[1])
    total = np.zeros(len(values))
    for _ in range(n):
        least = left.argmin(axis=1)
        total += left[rows, least]
        left[rows, least] = np.inf
    return total / n


def _covariance(a: Compounds, b: Compounds, squares: Floats | None = None) -> Floats:
    """Covariance (n, m) of the process, but noise; `squares` are those of the descriptors, where they are known."""
    squares = _squares(a.descriptors, b.descriptors) if squares is None else squares
    covariance = np.exp(squares * (-0.5 / PRIOR.far_length**2))
    covariance *= PRIOR.far_variance
    r = _squares(a.roots, b.roots)
    r *= 3.0
    r += 1e-12
    np.sqrt(r, out=r)
    r /= PRIOR.near_length
    near = np.exp(-r)
    r += 1.0
    near *= r
    near *= PRIOR.near_variance
    covariance += near
    covariance += PRIOR.level_variance + PRIOR.slope_deviation**2 * a.score @ b.score.T
    return np.asarray(covariance)


def _below_bounds(above: NDArray[Any], bounds: Flags, inverse: NDArray[Any]) -> Floats:
    """Targets in which upper bounds are replaced by what is expected below them, given all others."""
    from scipy.stats import norm

    shifted, top = above.copy(), above[bounds]
    for _ in range(ROUNDS if bounds.any() else 0):
        variance = 1.0 / np.diag(inverse)[bounds]
        middle = shifted[bounds] - (inverse @ shifted)[bounds] * variance
        z = (top - middle) / np.sqrt(variance)
        shifted[bounds] = middle - np.sqrt(variance) * np.exp(norm.logpdf(z) - norm.logcdf(z))
    return shifted


def _left_out(descriptors: Floats, groups: Ints) -> list[Ints]:
    """Rows that are left out together: ten folds of sets of elements, and clusters, fine and coarse."""
    from sklearn.cluster import KMeans
    from sklearn.model_selection import GroupKFold

    n = len(groups)
    folds = [test for _, test in GroupKFold(min(10, len(np.unique(groups))), shuffle=True, random_state=0).split(
        descriptors, groups=groups)]  # fmt: skip
    for k in (5, 12):
        labels = KMeans(min(k, max(2, n // 10)), n_init=2, random_state=0).fit_predict(descriptors)
        folds += [np.flatnonzero(labels == each) for each in np.unique(labels)]
    return folds
