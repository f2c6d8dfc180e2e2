"""Distribution of relaxation times of a spectrum: which arcs it has, without a circuit for them.

The impedance is taken for ``R + j omega L + integral of gamma(ln tau) / (1 + j omega tau) d ln tau``, plus what blocks.
That is linear in gamma, and has no single solution with noise: the one that is also smooth is taken (Tikhonov's
regularization; Wan et al., 10.1016/j.electacta.2015.09.097).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import nnls

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError
from phonolyte.impedance.circuits import Element, InSeries, parse_circuit
from phonolyte.impedance.elements import Grid
from phonolyte.impedance.problem import Fit
from phonolyte.impedance.spectrum import Complexes, Spectrum

PER_DECADE = 12
"""Relaxation times in a decade."""

BEYOND = 1.0
"""Decades by which relaxation times reach beyond the frequencies on either side."""

STRENGTHS = np.logspace(-3, 2, 41)
"""Weights of smoothness that are tried, where one is that of the data: below, a distribution is single lines."""

ROBUST = 0.3
"""Share of the plain score in the robust one; the rest grows with what noise is let through."""

AS_GOOD = 0.2
"""Share by which the score of a smoother distribution may be worse than the best: scores are that flat, and a rough
distribution shows peaks of noise."""

STANDARDS = 2.0
"""Standard deviations of the noise that an interval is to either side."""

OTHERS = (0.1, 10.0)
"""Weights of smoothness, as multiples of the one that was chosen, whose distributions are a part of an interval."""

SHALLOW = 0.9
"""Two peaks are one where the dip between them is above this share of the lower one."""

LEAST_SHARE = 0.05
"""Share of the largest peak's resistance below which a bump is not a peak."""

MOST_STEPS = 50
"""Steps of the solver, for each relaxation time."""

BLOCKS = 3.0
"""An element blocks whose impedance grows by this factor or more where the lowest frequency falls a thousandfold."""


class Peak(NamedTuple):
    """Peak of a distribution of relaxation times.

    Attributes
    ----------
    tau_s
        Relaxation time of its top.
    resistance_ohm, low_ohm, high_ohm
        Area of it, and the ends of its interval.
    """

    tau_s: float
    resistance_ohm: float
    low_ohm: float
    high_ohm: float

    @property
    def frequency_hz(self) -> float:
        """Frequency at the top of its arc."""
        return float(1 / (2 * np.pi * self.tau_s))

    @property
    def capacitance_f(self) -> float:
        """Capacitance that has this time with the resistance."""
        return self.tau_s / self.resistance_ohm


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Distribution of relaxation times of a spectrum.

    Attributes
    ----------
    tau_s
        Relaxation times, rising, equally spaced in their logarithm, (m,).
    gamma_ohm
        Resistance for each unit of ln tau, ohm, none below zero, (m,): its integral over ln tau is the resistance of
        all arcs.
    low_ohm, high_ohm
        Interval of it, two standard deviations of the noise to either side, (m,).
    series_ohm, inductance_h
        Resistance and inductance at infinite frequency.
    strength
        Weight of smoothness that was chosen, as a multiple of that of the data.
    rms
        What is left over, as a share of the modulus.
    peaks
        Peaks within the frequencies, the fastest first.
    """

    tau_s: Floats
    gamma_ohm: Floats
    low_ohm: Floats
    high_ohm: Floats
    series_ohm: float
    inductance_h: float
    strength: float
    rms: float
    peaks: tuple[Peak, ...] = field(default=())


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """A spectrum as linear equations for a distribution.

    Attributes
    ----------
    tau_s, step
        Relaxation times, (m,), and their distance in ln tau.
    scale_ohm
        Modulus at the frequency of each relaxation time, (m,): unknowns are shares of it, so that smoothness means the
        same for a small arc and a large one.
    units
        Resistance and inductance in ohm and henry of one of their unknowns.
    design, target
        Equations, (2n, k) and (2n,), as shares of the modulus; the first m unknowns are the distribution.
    roughness
        Differences of neighbors, (m - 1, k).
    """

    tau_s: Floats
    step: float
    scale_ohm: Floats
    units: tuple[float, float]
    design: Floats
    target: Floats
    roughness: Floats

    @classmethod
    def from_spectrum(cls, spectrum: Spectrum, blocking: Sequence[Complexes]) -> _Problem:
        f, z = spectrum.frequency_hz, spectrum.impedance_ohm
        omega, size = 2 * np.pi * f, np.abs(z)
        low, high = -np.log(omega[0]) - BEYOND * np.log(10), -np.log(omega[-1]) + BEYOND * np.log(10)
        log_tau = np.linspace(low, high, round(PER_DECADE * (high - low) / np.log(10)) + 1)
        step = float(log_tau[1] - log_tau[0])
        scale = np.exp(np.interp(-log_tau[::-1], np.log(omega[::-1]), np.log(size[::-1]))[::-1])
        arcs = step * scale / (1 + 1j * omega[:, None] * np.exp(log_tau))
        units = (float(size.min()), float(size[0] / omega[0]))
        others = [np.full(len(f), units[0], complex), 1j * omega * units[1]]
        others += [tail * size[-1] / np.abs(tail[-1]) for tail in blocking]
        design = np.concatenate((arcs, np.stack(others, axis=1)), axis=1) / size[:, None]
        share = z / size
        rough = np.diff(np.eye(len(log_tau), design.shape[1]), axis=0) / np.sqrt(step)
        rough[:, len(log_tau) :] = 0.0
        return cls(
            np.exp(log_tau), step, scale, units, np.concatenate((design.real, design.imag)),
            np.concatenate((share.real, share.imag)), rough,
        )  # fmt: skip

    def choose_strength(self) -> tuple[float, float]:
        """The weight of smoothness by generalized cross-validation, and the same as a multiple of that of the data.

        Both quadratic forms are made diagonal at once, so that all weights cost as much as one (Golub, Heath and Wahba,
        10.1080/00401706.1979.10489751). Where residuals are not independent the plain score knows no limit to
        roughness; the robust one has (Lukas, 10.1088/0266-5611/22/5/021). Of scores that are as good, the smoothest is
        taken.
        """
        data, smooth = self.design.T @ self.design, self.roughness.T @ self.roughness
        balance = float(np.trace(data) / np.trace(smooth))
        jitter = 1e-10 * np.trace(data) / len(data) * np.eye(len(data))
        share, vectors = eigh(data, data + balance * smooth + jitter)
        share = np.clip(share, 0.0, 1.0)
        square = (vectors.T @ (self.design.T @ self.target)) ** 2
        damped = share + STRENGTHS[:, None] * (1 - share)
        damped = np.maximum(damped, 1e-300)
        left = self.target @ self.target - (2 * square / damped - share * square / damped**2).sum(axis=1)
        used, n = share / damped, len(self.target)
        free = np.maximum(n - used.sum(axis=1), 1e-9)
        score = np.maximum(left, 1e-18) / free**2 * (ROBUST + (1 - ROBUST) * (used**2).sum(axis=1) / n)
        best = float(STRENGTHS[np.flatnonzero(score <= (1 + AS_GOOD) * score.min())[-1]])
        return best * balance, best

    def solve(self, weight: float) -> Floats:
        """Unknowns, none below zero, for a weight of smoothness."""
        rows = np.concatenate((self.design, np.sqrt(weight) * self.roughness))
        target = np.concatenate((self.target, np.zeros(len(self.roughness))))
        return np.asarray(nnls(rows, target, maxiter=MOST_STEPS * rows.shape[1])[0])

    def compute_covariance(self, x: Floats, weight: float) -> Floats:
        """Covariance of the unknowns (k, k) by the noise, those at zero held there."""
        free = np.flatnonzero(x > 0)
        data = self.design[:, free].T @ self.design[:, free]
        smooth = self.roughness[:, free].T @ self.roughness[:, free]
        inverse = np.linalg.pinv(data + weight * smooth, hermitian=True)
        off = self.design @ x - self.target
        freedom = max(len(off) - float(np.sum(inverse * data)), 1.0)
        covariance = np.zeros((len(x), len(x)))
        covariance[np.ix_(free, free)] = inverse * float(off @ off) / freedom
        return covariance


def compute_distribution(spectrum: Spectrum, fit: Fit | None = None) -> Distribution:
    """Compute the distribution of relaxation times of a spectrum.

    Parameters
    ----------
    spectrum
        Without points that are off.
    fit
        Circuit fitted to it. What blocks in it, as a constant phase element in series, is not a relaxation and would
        fill the slow end of the distribution: it is an unknown of the shape that the circuit has. Nothing else of the
        circuit is used.

    Raises
    ------
    SpectrumError
        When there is no solution.
    """
    problem = _Problem.from_spectrum(spectrum, _list_blocking(spectrum, fit))
    try:
        weight, strength = problem.choose_strength()
        x = problem.solve(weight)
        others = [problem.solve(times * weight) for times in OTHERS]
        covariance = problem.compute_covariance(x, weight)
    except (RuntimeError, np.linalg.LinAlgError) as error:
        raise SpectrumError(
            f"{spectrum.label} has no distribution of relaxation times", why=str(error), fix="Look at its points."
        ) from None
    m = len(problem.tau_s)
    gamma = x[:m] * problem.scale_ohm
    wide = STANDARDS * np.sqrt(np.maximum(np.diag(covariance)[:m], 0.0)) * problem.scale_ohm
    off = problem.design @ x - problem.target
    return Distribution(
        tau_s=problem.tau_s,
        gamma_ohm=gamma,
        low_ohm=np.maximum(gamma - wide, 0.0),
        high_ohm=gamma + wide,
        series_ohm=float(x[m]) * problem.units[0],
        inductance_h=float(x[m + 1]) * problem.units[1],
        strength=strength,
        rms=float(np.sqrt(np.mean(off**2))),
        peaks=tuple(_list_peaks(problem, spectrum, x, others, covariance)),
    )


def _list_blocking(spectrum: Spectrum, fit: Fit | None) -> list[Complexes]:
    """Impedances of what blocks in a circuit: elements in series that grow without an end."""
    if fit is None:
        return [np.asarray(-1j / spectrum.frequency_hz, np.complex128)]
    part = parse_circuit(fit.circuit).part
    parts = part.parts if isinstance(part, InSeries) else (part,)
    f = spectrum.frequency_hz
    grid = Grid.from_frequencies(np.append(f, f[-1] / 1000))
    responses = []
    for element in parts:
        if isinstance(element, Element):
            values = fit.values[element.first : element.first + len(element.kind.units)]
            z = element.kind.respond(values, grid)[0]
            if np.abs(z[-1]) >= BLOCKS * np.abs(z[-2]):
                responses.append(z[:-1])
    return responses


def _list_peaks(
    problem: _Problem, spectrum: Spectrum, x: Floats, others: Sequence[Floats], covariance: Floats
) -> list[Peak]:
    """Peaks within the frequencies that are above what noise and the choice of smoothness make.

    A small one is a part of the larger of its neighbors: an arc of a constant phase element has long wings, and bumps
    on them.
    """
    gamma, omega = x[: len(problem.tau_s)] * problem.scale_ohm, 2 * np.pi * spectrum.frequency_hz
    tops = _find_tops(gamma)
    cuts = [0, *(a + int(np.argmin(gamma[a : b + 1])) for a, b in pairwise(tops)), len(gamma) - 1]
    spans = [*zip(cuts[:-1], tops, cuts[1:], strict=True)] if tops else []
    while spans:
        peaks = [_measure_peak(problem, span, x, others, covariance) for span in spans]
        inside = [at for at, peak in enumerate(peaks) if 1 / omega[0] <= peak.tau_s <= 1 / omega[-1]]
        sure = [at for at in inside if peaks[at].low_ohm > 0]
        largest = max((peaks[at].resistance_ohm for at in sure), default=0.0)
        small = [at for at in inside if peaks[at].resistance_ohm < LEAST_SHARE * largest]
        if not small:
            return [peaks[at] for at in sure]
        at = min(small, key=lambda at: peaks[at].resistance_ohm)
        beside = [other for other in (at - 1, at + 1) if other in inside]
        if not beside:
            return [peaks[at] for at in sure if at not in small]
        into = max(beside, key=lambda other: peaks[other].resistance_ohm)
        first, last = spans[min(at, into)][0], spans[max(at, into)][2]
        spans[min(at, into) : max(at, into) + 1] = [(first, spans[into][1], last)]
    return []


def _measure_peak(
    problem: _Problem, span: tuple[int, int, int], x: Floats, others: Sequence[Floats], covariance: Floats
) -> Peak:
    """The peak between two cuts; `span` has the cut before it, its top, and the cut behind.

    The interval of a resistance has three parts: noise; what ten times as much smoothness, or a tenth, changes; and,
    where it meets another peak, the distribution at the border, which may lie one unit of ln tau to either side.
    """
    start, top, end = span
    m = len(problem.tau_s)
    gamma = x[:m] * problem.scale_ohm
    weights = np.zeros(len(x))
    weights[start : end + 1] = problem.step * problem.scale_ohm[start : end + 1]
    weights[[start, end]] /= 2
    noise = STANDARDS * np.sqrt(max(float(weights @ covariance @ weights), 0.0))
    choice = max(abs(float(weights @ (other - x))) for other in others)
    borders = [gamma[cut] for cut in (start, end) if 0 < cut < m - 1]
    ohm, wide = float(weights @ x), float(np.sqrt(noise**2 + choice**2 + sum(border**2 for border in borders)))
    return Peak(_find_top(problem.tau_s, gamma, top), ohm, max(ohm - wide, 0.0), ohm + wide)


def _find_tops(gamma: Floats) -> list[int]:
    """Indices of the tops of a distribution, those with a shallow dip between them as one."""
    inner = np.flatnonzero((gamma[1:-1] > gamma[:-2]) & (gamma[1:-1] >= gamma[2:])) + 1
    ends = ([0] if gamma[0] > gamma[1] else []), ([len(gamma) - 1] if gamma[-1] > gamma[-2] else [])
    tops: list[int] = [*ends[0], *inner.tolist(), *ends[1]]
    while len(tops) > 1:
        dips = [gamma[a : b + 1].min() / min(gamma[a], gamma[b]) for a, b in pairwise(tops)]
        at = int(np.argmax(dips))
        if dips[at] < SHALLOW:
            break
        tops.pop(at if gamma[tops[at]] < gamma[tops[at + 1]] else at + 1)
    return tops


def _find_top(tau_s: Floats, gamma: Floats, top: int) -> float:
    """Relaxation time of a top, by the parabola through its neighbors."""
    if not 0 < top < len(gamma) - 1:
        return float(tau_s[top])
    left, here, right = gamma[top - 1 : top + 2]
    bend = left - 2 * here + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(tau_s[top] * (tau_s[1] / tau_s[0]) ** shift)
