"""Hyperparameters of a Gaussian process: those of highest marginal likelihood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import cho_solve, lapack

from phonolyte.arrays import Floats

JITTER = 1e-8
START_NOISE = 0.01
"""Variance of the noise at the start of the search, in units of that of the target."""

START_LENGTH = 1.0
"""Natural logarithm of the lengths at the start of the search."""

BOUNDS = (-12.0, 6.0)
"""Natural logarithms between which every hyperparameter is searched."""

SAMPLE = 500
"""Points on which the search starts; with all of them it ends."""

FIRST_STEPS, LAST_STEPS = 100, 12
"""Iterations of L-BFGS on the sample, and on all points."""


@dataclass(frozen=True, slots=True)
class Term:
    """One part of the covariance of two points at the distance r, or with the scalar product p of their columns.

    A rational quadratic term, variance (1 + r^2 / 4)^-2, has a length for each block: those that say nothing get a long
    one. A linear term is variance times p. Squares and products are per column of a block.
    """

    kind: Literal["rational_quadratic", "linear"]
    blocks: tuple[str, ...]

    @property
    def n_logs(self) -> int:
        """Number of its hyperparameters: a variance, and the lengths of a rational quadratic term."""
        return 1 + (len(self.blocks) if self.kind == "rational_quadratic" else 0)


def search_hyperparameters(
    blocks: Mapping[str, Floats], target: Floats, *, terms: Sequence[Term], known: Floats | float = 0.0, seed: int = 0
) -> Floats:
    """Natural logarithms (p,) of the hyperparameters that maximize the marginal likelihood.

    Parameters
    ----------
    blocks
        (n, d) standardized columns of each block.
    target
        (n,) standardized.
    terms
        Parts of the covariance.
    known
        (n,) variance of each target that is known already, and comes on top of the noise.
    seed
        Seed for the sample on which the search starts.

    Returns
    -------
    numpy.ndarray
        A variance and, of a rational quadratic term, a length for each block, term by term; then the variance of the
        noise.
    """
    logs = _first_guess(terms)
    known = np.broadcast_to(known, target.shape)
    if len(target) > SAMPLE:
        rows = np.random.default_rng(seed).choice(len(target), SAMPLE, replace=False)
        sample = {name: values[rows] for name, values in blocks.items()}
        logs = Likelihood(terms, sample, target[rows], known[rows]).climb(logs, FIRST_STEPS)
        return Likelihood(terms, blocks, target, known).climb(logs, LAST_STEPS)
    return Likelihood(terms, blocks, target, known).climb(logs, FIRST_STEPS)


def by_term(terms: Sequence[Term], logs: Floats) -> list[Floats]:
    """Hyperparameters of each term."""
    return np.split(logs[:-1], np.cumsum([term.n_logs for term in terms])[:-1])


def _first_guess(terms: Sequence[Term]) -> Floats:
    logs: list[float] = []
    for term in terms:
        logs += [0.0] if term.kind == "linear" else [0.5, *[START_LENGTH] * len(term.blocks)]
    return np.array([*logs, np.log(START_NOISE)])


class Likelihood:
    """Marginal likelihood of a target, as a function of the hyperparameters; `known` is a variance of each target."""

    def __init__(
        self, terms: Sequence[Term], blocks: Mapping[str, Floats], target: Floats, known: Floats | float = 0.0
    ) -> None:
        self.terms = tuple(terms)
        self.squares = [tuple(_square(term.kind, blocks[name]) for name in term.blocks) for term in terms]
        self.target, self.known = target, known

    def climb(self, start: Floats, most_steps: int) -> Floats:
        """Logarithms of the hyperparameters (p,) where L-BFGS ends."""
        from scipy.optimize import minimize  # predictions start sooner without

        end = minimize(
            self.loss, start, jac=True, method="L-BFGS-B", bounds=[BOUNDS] * len(start),
            options={"maxiter": most_steps, "ftol": 1e-6},
        )  # fmt: skip
        return np.asarray(end.x)

    def loss(self, logs: Floats) -> tuple[float, Floats]:
        """Negative logarithm of the marginal likelihood of the n targets, over n, and its gradient (p,)."""
        n, noise = len(self.target), np.exp(logs[-1])
        parts = [self._term(number, logs_of_term) for number, logs_of_term in enumerate(by_term(self.terms, logs))]
        covariance = np.sum([covariance_of_term for covariance_of_term, _ in parts], axis=0)
        covariance[np.diag_indices(n)] += noise + JITTER + self.known
        factor, failed = lapack.dpotrf(covariance, lower=True, overwrite_a=True)
        if failed:
            return 1e6, np.zeros_like(logs)
        weights = cho_solve((factor, True), self.target, check_finite=False)
        value = 0.5 * self.target @ weights + np.log(np.diag(factor)).sum() + 0.5 * n * np.log(2.0 * np.pi)
        inverse, _ = lapack.dpotri(factor, lower=True)
        lower = np.tril(inverse, -1)
        sensitivity = lower + lower.T - np.outer(weights, weights)
        sensitivity[np.diag_indices(n)] += np.diag(inverse)
        gradient: list[float] = []
        for number, (logs_of_term, covariance_of_term) in enumerate(zip(by_term(self.terms, logs), parts, strict=True)):
            gradient += self._gradient(number, logs_of_term, *covariance_of_term, sensitivity)
        return value / n, 0.5 * np.array([*gradient, noise * np.trace(sensitivity)]) / n

    def _term(self, number: int, logs: Floats) -> tuple[Floats, Floats]:
        """Covariance of a term, and what its derivatives by the lengths share."""
        squares = self.squares[number]
        if self.terms[number].kind == "linear":
            covariance = np.exp(logs[0]) * np.sum(squares, axis=0)
            return covariance, covariance
        total = np.ones_like(squares[0])
        for length, square in zip(logs[1:], squares, strict=True):
            total += 0.25 * np.exp(-2.0 * length) * square
        covariance = np.exp(logs[0]) / (total * total)
        return covariance, covariance / total

    def _gradient(
        self, number: int, logs: Floats, covariance: Floats, shared: Floats, sensitivity: Floats
    ) -> list[float]:
        """Sum over the covariance of its derivatives by the hyperparameters of a term, times the sensitivity."""
        gradient = [float(np.vdot(sensitivity, covariance))]
        if self.terms[number].kind == "linear":
            return gradient
        weighted = sensitivity * shared
        lengths = zip(logs[1:], self.squares[number], strict=True)
        return gradient + [float(np.exp(-2.0 * length) * np.vdot(weighted, square)) for length, square in lengths]


def _square(kind: str, values: Floats) -> Floats:
    """Squared distance, of a linear term scalar product, of all pairs of rows, per column."""
    product = values @ values.T
    if kind != "linear":
        norms = np.diag(product).copy()
        product = np.maximum(norms[:, None] + norms - 2.0 * product, 0.0)
    return np.asarray(product / values.shape[1])
