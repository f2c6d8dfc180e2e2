"""The decay of a current to a constant: sums of exponentials, as diffusion gives them, and the constant's interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy.ndimage import median_filter
from scipy.optimize import least_squares
from scipy.special import stdtrit

from phonolyte.arrays import Floats
from phonolyte.errors import CurveError
from phonolyte.polarization.curve import FEWEST
from phonolyte.units import NORMAL_95

CONFIDENCE = 0.95

MOST_TERMS = 3
"""Exponentials that are tried; the fourth term of diffusion has a sixteenth of the time constant of the first."""

BETTER = 6.0
"""Information criterion by which a further exponential must be better, and within which a fit with another number
of them widens the interval."""

BINS, FIRST_SHARE = 200, 1 / 200
"""Averages that stand for a curve, and the share of its length over which their width grows from the first one on."""

SPIKE, WINDOW = 7.0, 5
"""A point this many noises off the median of so many neighbors is a spike; more than a twentieth of them is noise."""

SETTLED_LENGTHS = 3.0
"""Time constants of the slowest exponential that a hold must last."""

SETTLED_SHARE = 0.05
"""Share of the constant that may still be to decay at the end."""

DOUBT = 0.2
"""Share of what is still to decay at the end that the interval of the constant covers: the fit extrapolates it."""

LAST_SHARE, LAST_QUARTER = 0.1, 0.25
"""Shares of the hold whose mean is the current at its end, and along which that may not move, whatever the fit says."""

NOISES = 2.5
"""Standard deviations of the noise within which nothing is distinguished from zero."""

STEPS = 14
"""Time constants that are tried as starts."""

BEGINNINGS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35)
"""Shares of the hold that are left out at its beginning until the rest is described to its noise: what comes first
(charging, further terms of diffusion) says nothing of the constant."""

EXCESS = 1.2
"""Reduced chi square, besides three of its standard deviations, up to which a fit is one to the noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Decay:
    """A current that decays to a constant: I(t) = steady + sum of amplitude exp(-t / tau).

    Attributes
    ----------
    steady_a, steady_std_a, low_a, high_a
        Constant, its standard deviation, and the ends of its 95 % interval, which covers other numbers of exponentials
        that describe the curve nearly as well.
    start_a, start_std_a
        Current extrapolated to time zero.
    end_a, end_std_a
        Current over the last tenth of the hold.
    amplitudes_a, taus_s
        Amplitude in A and time constant in s of each exponential, (k,), the fastest first.
    freedom
        Degrees of freedom of the fit.
    noise_a
        Standard deviation of a point about the fit.
    spikes
        Points that were left out.
    duration_s
        Time from the first point to the last.
    from_s
        Time from which on the fit describes the current to its noise; later than `after_s` where the beginning is not
        a sum of three exponentials.
    fault
        Why the steady state is not reached; empty where it is.
    rises
        Whether it is not reached since the modulus of the current still rises.
    """

    steady_a: float
    steady_std_a: float
    low_a: float
    high_a: float
    start_a: float
    start_std_a: float
    end_a: float
    end_std_a: float
    amplitudes_a: Floats = field(repr=False)
    taus_s: Floats = field(repr=False)
    freedom: int
    noise_a: float
    spikes: int
    duration_s: float
    from_s: float
    fault: str
    rises: bool = False

    @property
    def settled(self) -> bool:
        """Whether the steady state is reached."""
        return not self.fault

    @property
    def bound_a(self) -> float:
        """Modulus of the steady current at most: that at the end with its interval; infinite where it still rises."""
        return float("inf") if self.rises else abs(self.end_a) + NORMAL_95 * self.end_std_a

    def current_a(self, time_s: Floats) -> Floats:
        """Current of the fit at some times."""
        terms: Floats = np.exp(-np.asarray(time_s, float)[:, None] / self.taus_s) @ self.amplitudes_a
        return self.steady_a + terms


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """A sum of exponentials, scaled: constant and amplitudes, logarithms of time constants, and their covariance.

    The square is the mean one of the residuals.
    """

    linear: Floats
    log_tau: Floats
    covariance: Floats
    square: float
    bic: float
    freedom: int

    @property
    def half_width(self) -> float:
        return float(stdtrit(self.freedom, 0.5 + CONFIDENCE / 2) * np.sqrt(max(self.covariance[0, 0], 0.0)))


def fit_decay(time_s: Sequence[float] | Floats, current_a: Sequence[float] | Floats, *, after_s: float = 0.0) -> Decay:
    """Fit the decay of a current to a constant.

    The number of exponentials is that of the lowest Bayesian information criterion; those of a sum have one sign, as
    the terms of a diffusion equation have (Yokota, 10.1143/JPSJ.16.2213). Spikes are left out, the curve is averaged
    over intervals that widen with time, and the covariance is scaled by what the fit leaves over, neighbors that
    follow each other included. As much of the beginning is left out as no such sum describes, a third at most.

    Parameters
    ----------
    time_s, current_a
        Points, (n,), rising in time from 0.
    after_s
        Time before which the current charges the cell, which is left out.

    Raises
    ------
    CurveError
        With too few points.
    """
    t, i = np.asarray(time_s, float), np.asarray(current_a, float)
    late = t >= after_s
    t, i = t[late], i[late]
    if len(t) < FEWEST:
        raise CurveError(
            f"{len(t)} points of the current are later than {after_s:.3g} s", why=f"a decay needs {FEWEST}",
            fix="Hold the voltage for longer.",
        )  # fmt: skip
    good = _without_spikes(i)
    t, i, spikes = t[good], i[good], int(np.count_nonzero(~good))
    scale, noise = float(np.abs(i).max()) or 1.0, _estimate_noise(i)
    for share in BEGINNINGS:
        settled = t >= t[0] + share * (t[-1] - t[0])
        if np.count_nonzero(settled) < FEWEST:
            break
        fits = list(_fit_each(*_average(t[settled], i[settled] / scale)))
        best, used = _choose(fits), settled
        if best.square <= (EXCESS + 3 * np.sqrt(2 / best.freedom)) * (noise / scale) ** 2:
            break
    decay = _describe(best, _cover(best, fits, t[-1]), t[used], i[used], scale, spikes)
    if decay.fault:
        return decay
    fault, rises = _find_drift(t, i, noise)
    return replace(decay, fault=fault, rises=rises)


def _estimate_noise(i: Floats) -> float:
    """Standard deviation of the noise of a point, from second differences."""
    return float(1.4826 * np.median(np.abs(np.diff(i, 2))) / np.sqrt(6))


def _without_spikes(i: Floats) -> np.ndarray:
    """Which points are not spikes; all, where so many are off that they are noise."""
    off = np.abs(i - median_filter(i, WINDOW, mode="nearest"))
    around = median_filter(off, 51, mode="nearest")  # noise may change along a curve, as its range does
    noise = 1.4826 * np.maximum(around, np.median(off))
    good: np.ndarray = (off <= SPIKE * noise) | (noise == 0)
    good[:2] = good[-2:] = True  # ends have no neighbors on one side
    return good if np.count_nonzero(~good) <= len(i) / 20 else np.ones(len(i), bool)


def _average(t: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Means of times and currents over intervals that widen, and the number of points of each."""
    if len(t) <= BINS:
        return t, y, np.ones(len(t))
    u = np.log1p((t - t[0]) / ((t[-1] - t[0]) * FIRST_SHARE))
    which = np.minimum((u / u[-1] * BINS).astype(int), BINS - 1)
    count = np.bincount(which, minlength=BINS).astype(float)
    filled = count > 0
    mean_t, mean_y = (np.bincount(which, values, BINS)[filled] / count[filled] for values in (t, y))
    return mean_t, mean_y, count[filled]


def _fit_each(x: Floats, y: Floats, weight: Floats) -> Iterable[_Fit]:
    """Fits with each number of exponentials that the points allow."""
    step, length = float(np.median(np.diff(x[: max(3, len(x) // 20)]))), float(x[-1] - x[0])
    edges = np.log(max(step, length * 1e-4)), np.log(3 * length)
    starts = np.linspace(edges[0], edges[1] - np.log(2), STEPS)
    for terms in range(MOST_TERMS + 1):
        if len(x) < 2 * (1 + 2 * terms):
            return
        fit = _fit_terms(x, y, weight, starts, edges, terms)
        if fit is not None:
            yield fit


def _fit_terms(
    x: Floats, y: Floats, weight: Floats, starts: Floats, edges: tuple[float, float], terms: int
) -> _Fit | None:
    """Fit with a number of exponentials; None where those of a sum have no common sign."""
    root = np.sqrt(weight)

    def leave(log_tau: Floats) -> Floats:
        design = _design(x, log_tau) * root[:, None]
        left: Floats = root * y - design @ np.linalg.lstsq(design, root * y, rcond=None)[0]
        return left

    log_tau = np.zeros(0)
    if terms:
        begun = min(combinations(starts, terms), key=lambda each: float(np.sum(leave(np.array(each)) ** 2)))
        solved = least_squares(
            leave, np.array(begun), bounds=(edges[0] - 1, edges[1]), x_scale=1.0, ftol=1e-10, max_nfev=200
        )
        log_tau = np.sort(solved.x)
    design = _design(x, log_tau) * root[:, None]
    linear: Floats = np.asarray(np.linalg.lstsq(design, root * y, rcond=None)[0], float)
    if terms > 1 and (np.ptp(np.sign(linear[1:])) > 0 or np.diff(log_tau).min() < np.log(1.5)):
        return None
    return _measure(x, y, root, linear, log_tau)


def _design(x: Floats, log_tau: Floats) -> Floats:
    return np.concatenate((np.ones((len(x), 1)), np.exp(-x[:, None] / np.exp(log_tau))), axis=1)


def _measure(x: Floats, y: Floats, root: Floats, linear: Floats, log_tau: Floats) -> _Fit:
    """The fit with its covariance and its information criterion."""
    tau = np.exp(log_tau)
    decays = np.exp(-x[:, None] / tau)
    slopes = decays * linear[1:] * x[:, None] / tau
    jac = np.concatenate((np.ones((len(x), 1)), decays, slopes), axis=1) * root[:, None]
    off = root * (y - linear[0] - decays @ linear[1:])
    k, m = jac.shape[1], len(x)
    square = max(float(off @ off), 1e-26 * m)
    size = np.maximum(np.linalg.norm(jac, axis=0), 1e-12)
    inverse = np.linalg.pinv((jac / size).T @ (jac / size), rcond=1e-13, hermitian=True) / np.outer(size, size)
    covariance = inverse * square / (m - k) * _widen(off) ** 2
    return _Fit(linear, log_tau, covariance, square / (m - k), float(m * np.log(square / m) + k * np.log(m)), m - k)


def _widen(off: Floats) -> float:
    """Factor on standard deviations where residuals follow their neighbors, and fewer of them count."""
    square = float(off @ off)
    r = float(off[1:] @ off[:-1]) / square if square > 0 else 0.0
    if r < 2 / np.sqrt(len(off)):
        return 1.0
    r = min(r, 0.95)
    return float(np.sqrt((1 + r) / (1 - r)))


def _choose(fits: Sequence[_Fit]) -> _Fit:
    """The fit with the fewest exponentials that no other one is better than by :data:`BETTER`."""
    best = fits[0]
    for fit in fits[1:]:
        if fit.bic < best.bic - BETTER:
            best = fit
    return best


def _cover(best: _Fit, fits: Sequence[_Fit], end_s: float) -> tuple[float, float]:
    """Ends of the interval of the constant, over all fits that are nearly as good and no drift."""
    steady = [fit for fit in fits if not len(fit.log_tau) or np.exp(fit.log_tau[-1]) * SETTLED_LENGTHS <= end_s]
    near = [best, *(fit for fit in steady if fit is not best and fit.bic < best.bic + BETTER)]
    lows, highs = ([fit.linear[0] + sign * fit.half_width for fit in near] for sign in (-1, 1))
    return float(min(lows)), float(max(highs))


def _describe(best: _Fit, interval: tuple[float, float], t: Floats, i: Floats, scale: float, spikes: int) -> Decay:
    """The decay with its verdict."""
    tau = np.exp(best.log_tau)
    constant, amplitudes = float(best.linear[0]), best.linear[1:]
    rest = float(np.exp(-float(t[-1]) / tau) @ amplitudes)
    low = constant - float(np.hypot(constant - interval[0], DOUBT * rest))
    high = constant + float(np.hypot(interval[1] - constant, DOUBT * rest))
    at_start = np.concatenate((np.ones(1 + len(tau)), np.zeros(len(tau))))
    spread = float(np.sqrt(max(float(at_start @ best.covariance @ at_start), 0.0)))
    left = i / scale - constant - np.exp(-t[:, None] / tau) @ amplitudes
    noise = float(np.std(left) * np.sqrt(len(t) / max(len(t) - 1 - 2 * len(tau), 1)))
    last = t >= t[-1] - LAST_SHARE * (t[-1] - t[0])
    end = float(np.mean(i[last]) / scale)
    end_std = noise * _widen(left) / np.sqrt(np.count_nonzero(last))
    quantile = float(stdtrit(best.freedom, 0.5 + CONFIDENCE / 2))
    fault, rises = _find_fault(constant, rest, float(end_std), tau, amplitudes, float(t[-1]))
    return Decay(
        steady_a=constant * scale, steady_std_a=(high - low) / 2 / quantile * scale, low_a=low * scale,
        high_a=high * scale, start_a=(constant + float(amplitudes.sum())) * scale, start_std_a=spread * scale,
        end_a=end * scale, end_std_a=float(end_std * scale), amplitudes_a=amplitudes * scale, taus_s=tau,
        freedom=best.freedom, noise_a=noise * scale, spikes=spikes, duration_s=float(t[-1]), from_s=float(t[0]),
        fault=fault, rises=rises,
    )  # fmt: skip


def _find_fault(
    constant: float, rest: float, noise: float, tau: Floats, amplitudes: Floats, length_s: float
) -> tuple[str, bool]:
    """Why the fit has not come to its constant, empty where it has, and whether that is a rise."""
    if not len(tau):
        return "", False
    slow = float(tau[-1])
    rises = bool(amplitudes[-1] * (constant + rest) < 0)
    still = f"the current still {_DIRECTIONS[rises]}"
    if slow * SETTLED_LENGTHS > length_s:
        return f"{still}: {length_s:.3g} s are {length_s / slow:.2g} of its slowest time constant", rises
    if abs(rest) > max(SETTLED_SHARE * abs(constant), NOISES * noise):
        return f"{still}, by {abs(rest / constant):.0%} of what it comes to", rises
    return "", False


_DIRECTIONS = {True: "rises", False: "falls"}


def _find_drift(t: Floats, i: Floats, noise_a: float) -> tuple[str, bool]:
    """Why the last quarter of the current is not constant, by a line through it, and whether that is a rise."""
    last = t >= t[-1] - LAST_QUARTER * (t[-1] - t[0])
    if np.count_nonzero(last) < 3:
        last = np.arange(len(t)) >= len(t) - 3
    x, level = t[last] - t[last].mean(), float(i[last].mean())
    width = float(x @ x)
    change = float(x @ i[last]) / width * float(np.ptp(x))
    if abs(change) <= max(SETTLED_SHARE * abs(level), NOISES * noise_a / np.sqrt(width) * float(np.ptp(x))):
        return "", False
    rises = bool(change * level > 0)
    return f"the current still {_DIRECTIONS[rises]}, by {abs(change / level):.0%} along the last quarter", rises
