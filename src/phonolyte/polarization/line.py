"""Electronic resistance: the slope of steady currents against voltages, with its interval, offset and ohmic check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, nan

import numpy as np
from scipy.special import chdtrc, ndtri, stdtrit

from phonolyte.arrays import Flags, Floats
from phonolyte.errors import CurveError
from phonolyte.impedance.geometry import Geometry
from phonolyte.polarization.decay import CONFIDENCE, Decay

SAME_V, SAME_SHARE = 5e-4, 0.01
"""Voltages nearer than one of these (V, share) are one voltage."""

LEAST_V = 1e-4
"""A voltage below this is zero: its current is the offset, and not a conductance."""

OHMIC_SHARE, OHMIC_CHANCE = 0.05, 0.01
"""A line is not ohmic where a current is off it by this share of the range of currents, and chance would make it in
fewer cases than this."""

AGAINST = 3.0
"""A current flows against its voltage where it is farther from zero than its interval is wide, by this factor: noise
alone does so within its interval once in forty times."""

NORMAL = float(ndtri(0.5 + CONFIDENCE / 2))


@dataclass(frozen=True, slots=True)
class Conductance:
    """Electronic conductance of a pellet between ion-blocking electrodes.

    Attributes
    ----------
    siemens, std_siemens, low_siemens, high_siemens
        Slope of current against voltage, its standard deviation, and the ends of its 95 % interval; NaN but for the
        last where there is an upper bound only.
    offset_a, offset_low_a, offset_high_a
        Current of the line at zero voltage with its interval; NaN for a single voltage.
    n
        Voltages that the slope rests on.
    ohmic
        Whether the currents are on a line; None with fewer than three voltages, which are on one always.
    upper_bound
        Whether only an upper bound is known: the current has not settled, is below the floor, or is zero in its
        interval.
    notes
        What is to be known of it, in sentences.
    """

    siemens: float
    std_siemens: float
    low_siemens: float
    high_siemens: float
    offset_a: float = nan
    offset_low_a: float = nan
    offset_high_a: float = nan
    n: int = 1
    ohmic: bool | None = None
    upper_bound: bool = False
    notes: tuple[str, ...] = field(default=())

    def ohm(self) -> tuple[float, float, float]:
        """Resistance and the ends of its interval; the first NaN and the last infinite for an upper bound."""
        high = 1 / self.low_siemens if self.low_siemens > 0 else inf
        return 1 / self.siemens, 1 / self.high_siemens, high

    def conductivity_s_cm(self, geometry: Geometry) -> tuple[float, float, float]:
        """Conductivity and the ends of its interval, S/cm, with the deviations of the pellet's size."""
        constant, share = geometry.constant_per_cm, NORMAL * geometry.relative_std
        if self.upper_bound:
            return nan, nan, self.high_siemens * constant * (1 + share)
        middle = self.siemens
        low = middle - float(np.hypot(middle - self.low_siemens, share * middle))
        high = middle + float(np.hypot(self.high_siemens - middle, share * middle))
        return middle * constant, max(low, 0.0) * constant, high * constant


def fit_conductance(
    voltages_v: Sequence[float] | Floats, decays: Sequence[Decay], *, floor_a: float = 0.0
) -> Conductance:
    """Fit the electronic conductance of one pellet to steady currents at one or several voltages.

    The line is weighted by the intervals of the currents; its own interval is by them, or by the scatter about the
    line where that is wider (Student's t). Currents that have not settled take no part where others have; where none
    has, the largest voltage gives an upper bound.

    Parameters
    ----------
    voltages_v
        Voltages, (n,), of either sign; one at zero shows the offset.
    decays
        Decay of the current at each of them.
    floor_a
        Current that the instrument cannot distinguish from zero.

    Raises
    ------
    CurveError
        Without a voltage, where the current flows against it, and where it still rises at the end.
    """
    v = np.asarray(voltages_v, float)
    if not len(v) or np.abs(v).max() < LEAST_V:
        raise CurveError("no voltage was applied", why="all are zero", fix="Give the file of a polarization.")
    settled = np.array([decay.settled for decay in decays])
    notes: list[str] = []
    if not (settled & (np.abs(v) >= LEAST_V)).any():
        return _bound_unsettled(v, decays, floor_a)
    if not settled.all():
        volts = ", ".join(f"{volt:g}" for volt in v[~settled])
        notes.append(f"the current has not settled at {volts} V, which takes no part in the slope")
    v, settled_decays = v[settled], [decay for decay, good in zip(decays, settled, strict=True) if good]
    current = np.array([decay.steady_a for decay in settled_decays])
    std = np.array(
        [max((decay.high_a - decay.low_a) / 2 / NORMAL, 1e-6 * abs(decay.steady_a)) for decay in settled_decays]
    )
    n = _count_voltages(v)
    result = _fit_line(v, current, std, notes) if n > 1 else _divide(v, current, std, floor_a, notes)
    span = float(np.ptp(current)) if n > 1 else float(np.abs(current).max())
    return _bound_small(result, span, float(np.ptp(v) if n > 1 else np.abs(v).max()), floor_a)


def _count_voltages(v: Floats) -> int:
    """How many voltages are different."""
    ordered = np.sort(v)
    return int((np.diff(ordered, prepend=-inf) > np.maximum(SAME_V, SAME_SHARE * np.abs(ordered))).sum())


def _divide(v: Floats, current: Floats, std: Floats, floor_a: float, notes: list[str]) -> Conductance:
    """Conductance of a single voltage: the current over it."""
    weight = (v / std) ** 2
    middle = float(weight @ (current / v) / weight.sum())
    spread = 1 / float(np.sqrt(weight.sum()))
    if len(v) > 1:
        spread = max(spread, float(np.std(current / v, ddof=1) / np.sqrt(len(v))))
    quantile = NORMAL if len(v) < 3 else float(stdtrit(len(v) - 1, 0.5 + CONFIDENCE / 2))
    half = quantile * spread + floor_a / float(np.abs(v).max())
    notes.append("one voltage shows neither an offset of the current nor whether the pellet is ohmic")
    return Conductance(middle, spread, middle - half, middle + half, n=1, notes=tuple(notes))


def _fit_line(v: Floats, current: Floats, std: Floats, notes: list[str]) -> Conductance:
    """Slope and offset of a weighted line, about the mean of the voltages."""
    weight = 1 / std**2
    total = float(weight.sum())
    center, height = float(weight @ v) / total, float(weight @ current) / total
    width = float(weight @ (v - center) ** 2)
    slope = float(weight @ ((v - center) * (current - height))) / width
    off = current - height - slope * (v - center)
    square, freedom = float(weight @ off**2), len(v) - 2
    factor = NORMAL
    if freedom:
        factor = max(NORMAL, float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * np.sqrt(square / freedom))
    spread, at_zero = 1 / np.sqrt(width), np.sqrt(1 / total + center**2 / width)
    offset = height - slope * center
    ohmic = _check_ohmic(v, current, off, square, notes)
    if abs(offset) > factor * at_zero and abs(offset) > OHMIC_SHARE * np.abs(current).max():
        notes.append(f"the line has {offset:.2g} A at zero voltage: an offset, which the slope is free of")
    if (v > LEAST_V).all() or (v < -LEAST_V).all():
        notes.append("all voltages have one sign: measuring the other one too would show rectification")
    return Conductance(
        slope, float(factor / NORMAL * spread), float(slope - factor * spread), float(slope + factor * spread),
        offset, float(offset - factor * at_zero), float(offset + factor * at_zero), _count_voltages(v), ohmic,
        notes=tuple(notes),
    )  # fmt: skip


def _check_ohmic(v: Floats, current: Floats, off: Floats, square: float, notes: list[str]) -> bool | None:
    """Whether the currents are on a line; None where any would be."""
    if _count_voltages(v) < 3:
        notes.append("two voltages do not show whether the pellet is ohmic")
        return None
    share = float(np.abs(off).max() / np.ptp(current)) if np.ptp(current) else inf
    curved: Flags = np.array([share > OHMIC_SHARE, chdtrc(len(v) - 2, square) < OHMIC_CHANCE])
    if not curved.all():
        return True
    notes.append(f"not ohmic: currents are off the line by {share:.0%} of their range, and the slope is a mean")
    return False


def _bound_unsettled(v: Floats, decays: Sequence[Decay], floor_a: float) -> Conductance:
    """Upper bound by the largest voltage at which the current falls, where none has settled.

    Raises
    ------
    CurveError
        Where all still rise: what they come to is above all that was measured.
    """
    falls = np.array([not decay.rises for decay in decays])
    at = int(np.argmax(np.where(falls, np.abs(v), -1.0)))
    if not falls[at]:
        raise CurveError(
            f"no current has settled: at {v[at]:g} V {decays[at].fault}", why="what it comes to is above what was "
            "measured, and is not known", fix="Hold the voltage for longer.",
        )  # fmt: skip
    high = max(decays[at].bound_a, floor_a) / abs(float(v[at]))
    note = f"no current has settled: that at the end of {v[at]:g} V is an upper bound ({decays[at].fault})"
    return Conductance(nan, nan, nan, high, upper_bound=True, notes=(note,))


def _bound_small(result: Conductance, span_a: float, span_v: float, floor_a: float) -> Conductance:
    """The result, an upper bound where it cannot be distinguished from zero.

    Raises
    ------
    CurveError
        Where the current flows against the voltage, by more than :data:`AGAINST` times its interval.
    """
    half = result.high_siemens - result.siemens
    if result.siemens + AGAINST * half < 0 and span_a > floor_a:
        raise CurveError(
            f"the current flows against the voltage: {result.siemens:.2g} S", why="its sign is that of another "
            "convention, or the leads are swapped", fix="Turn the sign of one column.",
        )  # fmt: skip
    if result.low_siemens > 0 and span_a > floor_a:
        return result
    why = "is zero within its interval" if result.low_siemens <= 0 else f"is below the floor of {floor_a:.2g} A"
    high = max(max(result.siemens, 0.0) + half, floor_a / span_v)
    return Conductance(
        nan, nan, nan, high, result.offset_a, result.offset_low_a, result.offset_high_a, result.n, result.ohmic,
        upper_bound=True, notes=(*result.notes, f"the steady current {why}: the conductivity is an upper bound"),
    )  # fmt: skip
