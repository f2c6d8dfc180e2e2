"""From conductivities at several temperatures to an activation energy: lines, points off them, regimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtrit

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import SpectrumError
from phonolyte.units import KB_EV_K, ROOM_K

CONFIDENCE = 0.95
OUTLIER_SHARE = 0.02
"""Share of straight lines with noise in which any point may be called off the line."""

ROUNDED_K = 0.05
"""Temperatures that are nearer than this are one."""

LEAST_CHANGE_EV = 0.03
"""Two regimes differ in energy by this at least."""

WIDEST_EV = 2.0
"""Interval of an energy from which on a line says nothing: every ion conductor is inside of one so wide."""

FEWEST = 3
"""Temperatures that a line needs: two leave no freedom, and no interval."""

BETTER_TWO = 10.0
"""Information criterion by which two lines must be better than one: odds of more than a hundred to one."""

FLOOR = 0.01
"""Least relative uncertainty of a conductivity as a weight: a fit cannot know what the temperature was to better."""

Form = Literal["ln_sigma_t", "ln_sigma"]


@dataclass(frozen=True, slots=True, eq=False)
class ArrheniusFit:
    """A straight line through ln(sigma T), or ln(sigma), against 1/T.

    Attributes
    ----------
    form
        Which of both.
    ea_ev, ea_std_ev, ea_low_ev, ea_high_ev
        Activation energy, its standard deviation, and the ends of its 95 % interval.
    prefactor, prefactor_low, prefactor_high
        In S K/cm, or S/cm.
    sigma_25c_s_cm, sigma_25c_low_s_cm, sigma_25c_high_s_cm
        At 25 degrees Celsius, extrapolated where that is not among the temperatures.
    outliers
        Indices of points off the line.
    temperatures_k
        Lowest and highest.
    n
        Points.
    """

    form: Form
    ea_ev: float
    ea_std_ev: float
    ea_low_ev: float
    ea_high_ev: float
    prefactor: float
    prefactor_low: float
    prefactor_high: float
    sigma_25c_s_cm: float
    sigma_25c_low_s_cm: float
    sigma_25c_high_s_cm: float
    outliers: tuple[int, ...]
    temperatures_k: tuple[float, float]
    n: int


def fit_arrhenius(
    temperatures_k: Sequence[float] | Floats,
    sigma_s_cm: Sequence[float] | Floats,
    relative_std: Sequence[float] | Floats,
    form: Form = "ln_sigma_t",
) -> ArrheniusFit:
    """Fit an activation energy, weighted, with intervals by Student's t from the scatter about the line.

    Raises
    ------
    SpectrumError
        With fewer than three temperatures, from which there is no interval, and for what has no logarithm.
    """
    t, sigma = np.asarray(temperatures_k, float), np.asarray(sigma_s_cm, float)
    _check_points(t, sigma, np.asarray(relative_std, float))
    y, weight = _ordinate(t, sigma, form), weigh(relative_std)
    line = fit_line(1 / t, y, weight)
    quantile = float(stdtrit(len(t) - 2, 0.5 + CONFIDENCE / 2))
    energy, spread = -line.slope * KB_EV_K, line.slope_std * KB_EV_K
    room, room_std = line.at(1 / ROOM_K)
    by = ROOM_K if form == "ln_sigma_t" else 1.0
    start, start_std = line.at(0.0)
    starts = [_exp(start + sign * quantile * start_std) for sign in (0, -1, 1)]
    rooms = [_exp(room + sign * quantile * room_std) / by for sign in (0, -1, 1)]
    return ArrheniusFit(
        form=form,
        ea_ev=energy,
        ea_std_ev=spread,
        ea_low_ev=energy - quantile * spread,
        ea_high_ev=energy + quantile * spread,
        prefactor=starts[0],
        prefactor_low=starts[1],
        prefactor_high=starts[2],
        sigma_25c_s_cm=rooms[0],
        sigma_25c_low_s_cm=rooms[1],
        sigma_25c_high_s_cm=rooms[2],
        outliers=_find_outliers(1 / t, y, weight),
        temperatures_k=(float(t.min()), float(t.max())),
        n=len(t),
    )


def fit_regimes(
    temperatures_k: Sequence[float] | Floats,
    sigma_s_cm: Sequence[float] | Floats,
    relative_std: Sequence[float] | Floats,
    form: Form = "ln_sigma_t",
) -> list[ArrheniusFit]:
    """Fit one line, or two where the data demand it, from low to high temperatures.

    Two lines must be better than one by `BETTER_TWO` in the Bayesian information criterion, and the intervals of their
    energies must not meet, and must differ by what a mechanism would change, `LEAST_CHANGE_EV`.

    Raises
    ------
    SpectrumError
        As :func:`fit_arrhenius`.
    """
    t = np.asarray(temperatures_k, float)
    order = np.argsort(t, kind="stable")
    t, sigma, spread = t[order], np.asarray(sigma_s_cm, float)[order], np.asarray(relative_std, float)[order]
    single = fit_arrhenius(t, sigma, spread, form)
    cut, gain = _find_cut(t, _ordinate(t, sigma, form), weigh(spread))
    if gain <= BETTER_TWO:
        return [single]
    low, high = (
        fit_arrhenius(t[points], sigma[points], spread[points], form) for points in (slice(0, cut), slice(cut, None))
    )
    apart = low.ea_high_ev < high.ea_low_ev or high.ea_high_ev < low.ea_low_ev
    matters = abs(low.ea_ev - high.ea_ev) >= LEAST_CHANGE_EV
    return [low, high] if apart and matters else [single]


def _check_points(t: Floats, sigma: Floats, relative_std: Floats) -> None:
    different = count_temperatures(t)
    if different < FEWEST:
        raise SpectrumError(
            f"an activation energy needs three temperatures, there are {different}", fix="Measure more of them."
        )
    if not (np.isfinite(sigma) & (sigma > 0)).all() or not np.isfinite(relative_std).all():
        raise SpectrumError(
            "there is no Arrhenius line", why="a conductivity is zero or not a number", fix="Leave its spectrum out."
        )


def _ordinate(t: Floats, sigma: Floats, form: Form) -> Floats:
    return np.log(sigma * t) if form == "ln_sigma_t" else np.log(sigma)


def weigh(relative_std: Sequence[float] | Floats) -> Floats:
    """Weights of logarithms of conductivities, whose relative standard deviations are `FLOOR` at least."""
    weights: Floats = 1 / np.maximum(np.asarray(relative_std, float), FLOOR) ** 2
    return weights


def _find_cut(t: Floats, y: Floats, weight: Floats) -> tuple[int, float]:
    """First point of the second of two lines, and by how much of the information criterion they are better than one."""
    n = len(t)

    def square(points: slice) -> float:
        return fit_line(1 / t[points], y[points], weight[points]).square

    cuts = [
        cut for cut in range(FEWEST, n - FEWEST + 1)
        if count_temperatures(t[cut - 1 : cut + 1]) == 2
        and min(count_temperatures(t[:cut]), count_temperatures(t[cut:])) >= FEWEST
    ]  # fmt: skip
    if not cuts:
        return 0, -np.inf
    best = min(cuts, key=lambda cut: square(slice(0, cut)) + square(slice(cut, n)))
    two = square(slice(0, best)) + square(slice(best, n))
    least = 1e-12 * n  # of points without noise
    return best, float(n * np.log(max(square(slice(0, n)), least) / max(two, least)) - 3 * np.log(n))


def count_temperatures(temperatures_k: Sequence[float] | Floats) -> int:
    """How many temperatures differ by more than their rounding."""
    sorted_k = np.sort(np.asarray(temperatures_k, float))
    return int((np.diff(sorted_k, prepend=-np.inf) > ROUNDED_K).sum())


def find_fault(ea_ev: float, ea_low_ev: float, ea_high_ev: float) -> str:
    """Reason why a line is not of thermal activation, in words; empty where it is."""
    if not np.isfinite([ea_ev, ea_low_ev, ea_high_ev]).all():
        return "its energy is not a number"
    if ea_ev <= 0:
        return "the conductivity does not rise with temperature"
    if ea_high_ev - ea_low_ev > WIDEST_EV:
        return f"the 95 % interval of its energy, {ea_low_ev:.1f} to {ea_high_ev:.1f} eV, says nothing"
    return ""


def _exp(value: float) -> float:
    """The exponential of what may be far outside of all numbers: a line through noise."""
    return float(np.exp(np.clip(value, -700.0, 700.0)))


class StraightLine(NamedTuple):
    """A weighted straight line: intercept, slope, their covariance (2, 2), and the weighted sum of squares."""

    intercept: float
    slope: float
    covariance: Floats
    square: float

    @property
    def slope_std(self) -> float:
        """Standard deviation of the slope."""
        return float(np.sqrt(self.covariance[1, 1]))

    def at(self, x: float) -> tuple[float, float]:
        """The value at a point, and its standard deviation."""
        where = np.array([1.0, x])
        return self.intercept + self.slope * x, float(np.sqrt(max(where @ self.covariance @ where, 0.0)))


def fit_line(x: Floats, y: Floats, weight: Floats) -> StraightLine:
    """A weighted line, about the mean of x: a matrix of normal equations is singular where temperatures are close."""
    total = float(weight.sum())
    center, height = float(weight @ x) / total, float(weight @ y) / total
    width = float(weight @ (x - center) ** 2)
    slope = float(weight @ ((x - center) * (y - height))) / width
    square = float(weight @ (y - height - slope * (x - center)) ** 2)
    inverse = np.array([[1 / total + center**2 / width, -center / width], [-center / width, 1 / width]])
    return StraightLine(height - slope * center, slope, inverse * square / max(len(x) - 2, 1), square)


def _find_outliers(x: Floats, y: Floats, weight: Floats) -> tuple[int, ...]:
    """Points that are far off the line through the others."""
    if len(x) < 5:
        return ()
    off = []
    far = float(stdtrit(len(x) - 3, 1 - OUTLIER_SHARE / (2 * len(x))))  # each of n points may be the one
    everything: Ints = np.arange(len(x))
    for point in everything:
        rest = everything != point
        if count_temperatures(1 / x[rest]) < FEWEST:
            continue  # two temperatures leave no freedom to say that a third is off
        line = fit_line(x[rest], y[rest], weight[rest])
        expected, spread = line.at(float(x[point]))
        noise = line.square / (rest.sum() - 2) / weight[point]
        if abs(y[point] - expected) > far * np.sqrt(spread**2 + noise):
            off.append(int(point))
    return tuple(off)
