"""Transference number of a cation by Bruce and Vincent: a polarization between two spectra of a symmetric cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf, nan
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import CurveError
from phonolyte.impedance.analysis import Analysis
from phonolyte.polarization.curve import Curve
from phonolyte.polarization.decay import Decay, fit_decay
from phonolyte.polarization.interfaces import CellResistances, find_resistances

Initial = Literal["auto", "extrapolated", "ohm"]

LINEAR_V = 0.02
"""Voltage above which the equation, of small perturbations, is not that of the cell: kT/e is 0.026 V."""

CHARGED = 5.0
"""Time constants of the interfaces after which their capacitors are charged."""

RESOLVED_STEPS = 2.0
"""Steps of sampling that the fastest exponential lasts at least, where the current at time zero is extrapolated."""

DRAWS, SEED = 20_000, 0

CHANGED_SHARE, CHANGED_FACTOR, APART = 0.1, 2.0, 0.1
"""Change of the electrolyte, factor of change of the interfaces, and share by which initial currents differ, from
which on a note says so."""

MOST_SHARE = 0.9
"""Share of the voltage at the interfaces from which on the result is a small difference."""

Value = TypeVar("Value", float, Floats)


class Number(NamedTuple):
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Transference:
    """Transference number of a cation.

    Attributes
    ----------
    t_plus
        By Bruce and Vincent; the value is NaN where only the upper end is known.
    t_plus_watanabe
        By Watanabe: the same with the initial current of Ohm's law.
    initial_a, steady_a
        Initial and steady current, of the sign of the voltage.
    ohm_a
        Initial current by Ohm's law, voltage over all resistances before the polarization.
    initial_by
        ``extrapolated`` or ``ohm``, what the initial current is.
    before, after
        Resistances of the cell.
    curve, decay
        Polarization.
    upper_bound
        Whether the current has not settled, so that the number is an upper bound.
    fault
        Why the result is not a transference number; empty where it is one.
    notes
        What else is to be known.
    """

    t_plus: Number
    t_plus_watanabe: Number
    initial_a: Number
    steady_a: Number
    ohm_a: Number
    initial_by: str
    before: CellResistances = field(repr=False)
    after: CellResistances = field(repr=False)
    curve: Curve = field(repr=False)
    decay: Decay = field(repr=False)
    upper_bound: bool = False
    fault: str = ""
    notes: tuple[str, ...] = ()


def bruce_vincent(voltage_v: Value, initial_a: Value, steady_a: Value, before_ohm: Value, after_ohm: Value) -> Value:
    """Transference number t = Iss (V - I0 R0) / (I0 (V - Iss Rss)).

    Parameters
    ----------
    voltage_v
        Voltage.
    initial_a, steady_a
        Current at first and in the steady state.
    before_ohm, after_ohm
        Resistance of both interfaces before and after the polarization.

    Notes
    -----
    Bruce and Vincent, 10.1016/0022-0728(87)80001-3; Evans, Vincent and Bruce, 10.1016/0032-3861(87)90394-6. It holds
    for dilute binary electrolytes; in concentrated ones it is the share of current in the steady state.
    """
    return steady_a * (voltage_v - initial_a * before_ohm) / (initial_a * (voltage_v - steady_a * after_ohm))


def watanabe(voltage_v: Value, steady_a: Value, electrolyte_ohm: Value, after_ohm: Value) -> Value:
    """Transference number t = Rb / (V / Iss - Rss): that of Bruce and Vincent for I0 = V / (Rb + R0).

    Parameters
    ----------
    voltage_v, steady_a
        Voltage and steady current.
    electrolyte_ohm, after_ohm
        Resistance of the electrolyte before, and of both interfaces after the polarization.

    Notes
    -----
    Watanabe, Nagano, Sanui and Ogata, 10.1016/0167-2738(88)90303-7.
    """
    return electrolyte_ohm / (voltage_v / steady_a - after_ohm)


def measure_transference(
    curve: Curve, before: Analysis, after: Analysis, *, interfaces: Sequence[str] = (), initial: Initial = "auto"
) -> Transference:
    """Measure a transference number from a polarization curve and the spectra before and after it.

    The initial current is that of the fitted decay at time zero, after the interfaces are charged, where sampling
    resolves the decay; else it is that of Ohm's law. Intervals are those of 20,000 random draws of all currents,
    resistances (with their covariance) and the voltage.

    Parameters
    ----------
    curve
        Current against time at one small voltage.
    before, after
        Spectra of the cell before the polarization and in the steady state.
    interfaces
        Names of the resistors of the interfaces; default: by their capacitance.
    initial
        What the initial current is; default: extrapolated where it can be.

    Raises
    ------
    CurveError
        For a curve that is too short, and without a voltage or with a current against it.
    SpectrumError
        For spectra without an interface that they determine.
    """
    old, new = (find_resistances(each, interfaces) for each in (before, after))
    _check_curve(curve)
    decay = fit_decay(curve.time_s, curve.current_a)
    charged = CHARGED * old.charging_s
    if charged > float(curve.time_s[1]) and np.count_nonzero(curve.time_s > charged) > len(curve) / 2:
        decay = fit_decay(curve.time_s, curve.current_a, after_s=charged)
    by, why = _choose_initial(curve, decay, initial)
    sign = float(np.sign(curve.voltage_v))
    drawn = _draw(curve, decay, old, new, by, sign)
    result = Transference(
        _interval(bruce_vincent(*drawn.middle), bruce_vincent(*drawn.samples)),
        _interval(watanabe(*drawn.middle_watanabe), watanabe(*drawn.samples_watanabe)),
        _give_sign(drawn.initial, sign), _give_sign(drawn.steady, sign), _give_sign(drawn.ohm, sign), by, old, new,
        curve, decay, notes=(*curve.notes, *old.notes, *new.notes, *why),
    )  # fmt: skip
    return _judge(result, drawn)


def _check_curve(curve: Curve) -> None:
    if abs(curve.voltage_v) < 1e-5:
        raise CurveError(f"the voltage of {curve.label} is {curve.voltage_v:g} V", fix="Give --voltage-mv.")
    if np.median(curve.current_a) * curve.voltage_v < 0:
        raise CurveError(
            f"the current of {curve.label} flows against its voltage", why="its sign is that of another convention, "
            "or the voltage is not that across the cell", fix="Turn the sign of one column, or give --voltage-mv.",
        )  # fmt: skip


def _choose_initial(curve: Curve, decay: Decay, initial: Initial) -> tuple[str, tuple[str, ...]]:
    """Which initial current is taken, and a note where the measured one cannot be."""
    step = float(np.median(np.diff(curve.time_s[:6])))
    late = decay.from_s > step
    coarse = len(decay.taus_s) > 0 and decay.taus_s[0] < RESOLVED_STEPS * step
    if initial != "auto":
        return initial, ()
    if late or coarse:
        why = "its beginning is not a sum of exponentials" if late else "sampling is too slow for its beginning"
        return "ohm", (f"the initial current is that of Ohm's law: the curve does not show it, {why}",)
    return "extrapolated", ()


class _Drawn(NamedTuple):
    """Values and random draws of what the equations take, and the currents with their intervals."""

    middle: tuple[float, float, float, float, float]
    samples: tuple[Floats, Floats, Floats, Floats, Floats]
    middle_watanabe: tuple[float, float, float, float]
    samples_watanabe: tuple[Floats, Floats, Floats, Floats]
    initial: Number
    steady: Number
    ohm: Number


def _draw(curve: Curve, decay: Decay, old: CellResistances, new: CellResistances, by: str, sign: float) -> _Drawn:
    generator = np.random.default_rng(SEED)
    v, std = abs(curve.voltage_v), curve.voltage_std_v / np.sqrt(len(curve))
    volts = v + std * generator.standard_normal(DRAWS)
    electrolyte, before = old.draw(generator, DRAWS)
    _, after = new.draw(generator, DRAWS)
    heavy = generator.standard_t(decay.freedom, (2, DRAWS))
    steady, first = sign * decay.steady_a, sign * decay.start_a
    many_steady = steady + decay.steady_std_a * heavy[0]
    ohm, many_ohm = v / (old.electrolyte_ohm + old.interface_ohm), volts / (electrolyte + before)
    extrapolated = by == "extrapolated"
    many_first = first + decay.start_std_a * heavy[1] if extrapolated else many_ohm
    first = first if extrapolated else ohm
    return _Drawn(
        (v, first, steady, old.interface_ohm, new.interface_ohm), (volts, many_first, many_steady, before, after),
        (v, steady, old.electrolyte_ohm, new.interface_ohm), (volts, many_steady, electrolyte, after),
        _interval(first, many_first), _interval(steady, many_steady), _interval(ohm, many_ohm),
    )  # fmt: skip


def _interval(value: float, samples: Floats) -> Number:
    low, high = np.quantile(samples, (0.025, 0.975))
    return Number(float(value), float(low), float(high))


def _give_sign(number: Number, sign: float) -> Number:
    return number if sign > 0 else Number(-number.value, -number.high, -number.low)


def _judge(result: Transference, drawn: _Drawn) -> Transference:
    """The result with its verdict and notes."""
    v, first, steady, before, after = drawn.middle
    volts, many_first, many_steady, many_before, many_after = drawn.samples
    notes = [*result.notes, *_list_remarks(result, v, first, before)]
    if min(v - first * before, v - steady * after) <= 0:
        none = Number(nan, nan, nan)
        fault = "the interfaces alone would take more than the voltage: a resistance or the voltage is wrong"
        return replace(result, t_plus=none, t_plus_watanabe=none, fault=fault, notes=tuple(notes))
    lost = np.minimum(volts - many_first * many_before, volts - many_steady * many_after) <= 0
    if lost.mean() > 0.01:
        result = replace(result, t_plus=result.t_plus._replace(low=-inf, high=inf),
                         t_plus_watanabe=result.t_plus_watanabe._replace(low=-inf, high=inf))  # fmt: skip
        notes.append("the errors are as large as what the interfaces leave of the voltage: there is no interval")
    if result.decay.rises:
        fault = f"{result.decay.fault}, and what it comes to is not known"
        none = Number(nan, nan, nan)
        return replace(result, t_plus=none, t_plus_watanabe=none, fault=fault, notes=tuple(notes))
    if not result.decay.settled:
        most = result.decay.bound_a
        notes.append(f"{result.decay.fault}: the transference number is an upper bound")
        bounds = [bruce_vincent(v, first, most, before, after), watanabe(v, most, drawn.middle_watanabe[2], after)]
        spans = [estimate.high - estimate.value for estimate in (result.t_plus, result.t_plus_watanabe)]
        t_plus, other = (Number(nan, nan, bound + span) for bound, span in zip(bounds, spans, strict=True))
        return replace(result, t_plus=t_plus, t_plus_watanabe=other, upper_bound=True, notes=tuple(notes))
    fault = ""
    if not 0 <= result.t_plus.value <= 1:
        fault = f"{result.t_plus.value:.2f} is not between 0 and 1"
        inside = result.t_plus.low <= 1 and result.t_plus.high >= 0
        fault += ", which its interval reaches" if inside else ": a current, a resistance or the voltage is wrong"
    return replace(result, fault=fault, notes=tuple(notes))


def _list_remarks(result: Transference, v: float, first: float, before: float) -> list[str]:
    old, new, remarks = result.before, result.after, []
    if v > LINEAR_V:
        remarks.append(f"{v * 1e3:.3g} mV are beyond the linear range of the equation: 10 mV are usual")
    if abs(new.electrolyte_ohm / max(old.electrolyte_ohm, 1e-12) - 1) > CHANGED_SHARE:
        remarks.append(
            f"the resistance of the electrolyte changed from {old.electrolyte_ohm:.3g} to {new.electrolyte_ohm:.3g} ohm"
        )
    if not 1 / CHANGED_FACTOR < new.interface_ohm / old.interface_ohm < CHANGED_FACTOR:
        remarks.append(
            f"the resistance of the interfaces changed from {old.interface_ohm:.3g} to {new.interface_ohm:.3g} ohm"
        )
    measured, ohm = abs(result.decay.start_a), abs(result.ohm_a.value)
    if abs(measured / ohm - 1) > APART:
        remarks.append(
            f"the current at time zero, {measured:.3g} A, is not that of Ohm's law, {ohm:.3g} A: "
            "the spectra are of another state, or sampling is too slow"
        )
    if first * before > MOST_SHARE * v:
        remarks.append(f"the interfaces take {first * before / v:.0%} of the voltage: the result is a small difference")
    return remarks
