"""Figures of polarizations and transference numbers: arrays in, matplotlib figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.figures.impedance import PREFIXES as OHM_PREFIXES
from phonolyte.figures.nyquist import Complexes
from phonolyte.figures.style import COLORS, DASHED, FAINT, INK, MANY, STYLE, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PREFIXES = {1e-12: "p", 1e-9: "n", 1e-6: "µ", 1e-3: "m", 1.0: ""}
TIMES = {86400.0: "d", 3600.0: "h", 60.0: "min", 1.0: "s"}
MOST_NAMED = 8
"""Voltages that a legend names."""

LONGEST_TITLE = 90


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Current against time at one voltage, and its fit.

    Attributes
    ----------
    time_s, current_a
        Points, (n,).
    curve_s, curve_a
        Fit, (m,).
    voltage_v
        Voltage.
    steady_a, low_a, high_a
        Constant of the fit, and the ends of its interval.
    settled
        Whether the current has come to it.
    """

    time_s: Floats
    current_a: Floats
    curve_s: Floats
    curve_a: Floats
    voltage_v: float
    steady_a: float
    low_a: float
    high_a: float
    settled: bool


@dataclass(frozen=True, slots=True)
class SlopeBand:
    """Line of steady currents against voltages: slope with its ends, offset; S and A, NaN for an upper bound."""

    siemens: float
    low_siemens: float
    high_siemens: float
    offset_a: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Units of the axes of a decay, in ampere and second."""

    ampere: float
    second: float


def polarization_figure(traces: Sequence[Trace], band: SlopeBand, *, title: str = "", subtitle: str = "") -> Figure:
    """Decays of the current with their fits, and the steady currents against the voltages with their line.

    Parameters
    ----------
    traces
        Decays, a voltage each.
    band
        Line through the steady currents.
    title, subtitle
        Written above: name of the sample, and its result.
    """
    from matplotlib import rc_context

    order = sorted(range(len(traces)), key=lambda at: -traces[at].voltage_v)
    with rc_context(STYLE):
        figure = new_figure(7.0, 3.3)
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        scale = Scale(_current_unit(traces), _time_unit(traces))
        for number, at in enumerate(order):
            _draw_trace(left, traces[at], COLORS[number % len(COLORS)], scale, named=number < MOST_NAMED)
        _finish_decay(left, traces, scale)
        left.legend(loc="best", fontsize=7.5, handlelength=1.2, markerscale=1.6)
        _draw_line(right, [traces[at] for at in order], band)
        figure.suptitle(f"{plain(title, LONGEST_TITLE)}{subtitle}", x=0.01, ha="left", fontsize=9)
    return figure


def transference_figure(
    trace: Trace, initial_a: float, spectra: Sequence[tuple[str, Complexes, Complexes]], *, title: str = "",
    subtitle: str = "",
) -> Figure:  # fmt: skip
    """Spectra before and after a polarization with their fits, and its current with the initial and the steady one.

    Parameters
    ----------
    trace
        Polarization.
    initial_a
        Initial current.
    spectra
        Name, measured impedance, and that of the fitted circuit at frequencies between, of each spectrum, ohm.
    title, subtitle
        Written above: name of the cell, and its result.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(7.0, 3.3)
        left, right = figure.subplots(1, 2, width_ratios=(1.1, 1.0))
        _draw_spectra(left, spectra)
        scale = Scale(_current_unit([trace]), _time_unit([trace]))
        _draw_trace(right, trace, COLORS[0], scale, named=False)
        _finish_decay(right, [trace], scale)
        for value, name, color in ((initial_a, "I$_0$", COLORS[1]), (trace.steady_a, "I$_{ss}$", COLORS[2])):
            right.axhline(value / scale.ampere, color=color, lw=0.9, ls=DASHED, zorder=1)
            end = (trace.time_s[-1] / scale.second, value / scale.ampere)
            right.annotate(name, end, (-2, 3), textcoords="offset points", ha="right", va="bottom", color=color)
        figure.suptitle(f"{plain(title, LONGEST_TITLE)}{subtitle}", x=0.01, ha="left", fontsize=9)
    return figure


def _current_unit(traces: Sequence[Trace]) -> float:
    """Ampere in the unit of the axis: of steady currents, but of the first ones where those are nearly zero."""
    largest = max(float(np.quantile(np.abs(trace.current_a), 0.9)) for trace in traces)
    return max((unit for unit in PREFIXES if unit <= largest), default=1e-12)


def _time_unit(traces: Sequence[Trace]) -> float:
    longest = max(float(trace.time_s[-1]) for trace in traces)
    return next((unit for unit in TIMES if longest >= 3 * unit), 1.0)


def _draw_trace(axes: Axes, trace: Trace, color: str, scale: Scale, *, named: bool) -> None:
    """Points and fit of one voltage."""
    label = f"{trace.voltage_v:.4g} V" + ("" if trace.settled else ", not settled")
    axes.plot(trace.time_s / scale.second, trace.current_a / scale.ampere, ".", ms=5, color=color, alpha=0.5, mew=0,
              rasterized=len(trace.time_s) > MANY, label=label if named else None)  # fmt: skip
    axes.plot(trace.curve_s / scale.second, trace.curve_a / scale.ampere, color=INK, lw=0.9,
              ls="-" if trace.settled else DASHED)  # fmt: skip


def _finish_decay(axes: Axes, traces: Sequence[Trace], scale: Scale) -> None:
    """Labels, and limits that show the decay and not the first points of charging."""
    values = np.concatenate([np.quantile(trace.current_a, (0.02, 0.98)) for trace in traces])
    ends = np.concatenate([[*trace.curve_a, trace.steady_a] if trace.settled else trace.curve_a for trace in traces])
    low, high = float(min(values.min(), ends.min(), 0)), float(max(values.max(), ends.max(), 0))
    margin = 0.1 * (high - low)
    axes.set_ylim((low - margin) / scale.ampere, (high + margin) / scale.ampere)
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)
    axes.set_xlabel(f"Time ({TIMES[scale.second]})")
    axes.set_ylabel(f"Current ({PREFIXES[scale.ampere]}A)")


def _draw_line(axes: Axes, traces: Sequence[Trace], band: SlopeBand) -> None:
    """Steady currents with their intervals against voltages; hollow where the current has not settled."""
    levels = [trace.steady_a if trace.settled else _end_of(trace) for trace in traces]
    unit = max((unit for unit in PREFIXES if unit <= max(map(abs, levels))), default=1e-12)
    for number, (trace, level) in enumerate(zip(traces, levels, strict=True)):
        color = COLORS[number % len(COLORS)]
        spread = np.array([[level - trace.low_a], [trace.high_a - level]]) / unit if trace.settled else None
        axes.errorbar(trace.voltage_v, level / unit, spread, fmt="o" if trace.settled else "v", ms=5, color=color,
                      mfc=color if trace.settled else "white", capsize=2.5, lw=1, zorder=3)  # fmt: skip
    volts = np.array([trace.voltage_v for trace in traces])
    x = np.linspace(min(0.0, 1.08 * volts.min()), max(0.0, 1.08 * volts.max()), 50)
    if np.isfinite(band.siemens):
        _draw_band(axes, x, float(np.mean(volts)), band, unit)
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)
    axes.axvline(0, color=FAINT, lw=0.6, zorder=0)
    if not all(trace.settled for trace in traces):
        axes.text(0.98, 0.1, "hollow: at the end, not settled", transform=axes.transAxes, ha="right", va="bottom",
                  fontsize=7.5, color=FAINT)  # fmt: skip
    axes.margins(0.1, 0.1)
    axes.set_xlabel("Voltage (V)")
    axes.set_ylabel(f"Steady current ({PREFIXES[unit]}A)")


def _end_of(trace: Trace) -> float:
    return float(np.mean(trace.current_a[-max(len(trace.current_a) // 10, 1) :]))


def _draw_band(axes: Axes, x: Floats, middle_v: float, band: SlopeBand, unit: float) -> None:
    """The line with the ends of its slope, about the mean of the voltages, or about zero without an offset."""
    fitted = np.isfinite(band.offset_a)
    offset, about = (band.offset_a, middle_v) if fitted else (0.0, 0.0)
    axes.plot(x, (offset + band.siemens * x) / unit, color=INK, lw=1, zorder=2)
    low, high = (offset + band.siemens * about + end * (x - about) for end in (band.low_siemens, band.high_siemens))
    axes.fill_between(x, low / unit, high / unit, color=INK, alpha=0.12, lw=0, zorder=1)


def _draw_spectra(axes: Axes, spectra: Sequence[tuple[str, Complexes, Complexes]]) -> None:
    """Nyquist plots of some spectra in one."""
    largest = max(float(np.abs(z.real).max()) for _, z, _ in spectra)
    unit = max((scale for scale in OHM_PREFIXES if scale <= largest), default=1e-3)
    axes.axhline(0, color=FAINT, lw=0.6)
    for (name, z, fitted), color in zip(spectra, COLORS, strict=False):
        axes.plot(z.real / unit, -z.imag / unit, "o", ms=3.2, color=color, mec="white", mew=0.3, label=name)
        axes.plot(fitted.real / unit, -fitted.imag / unit, color=color, lw=1)
    top = max(float((-z.imag).max()) for _, z, _ in spectra)
    axes.set_ylim(-0.08 * top / unit, 1.35 * top / unit)
    axes.set_aspect("equal", adjustable="box", anchor="SW")
    axes.set_xlabel(f"Z' ({OHM_PREFIXES[unit]}Ω)")
    axes.set_ylabel(f"-Z'' ({OHM_PREFIXES[unit]}Ω)")
    axes.legend(loc="upper left")
