"""Figures of impedance spectra: arrays and tables in, matplotlib figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Flags, Floats
from phonolyte.figures.circuit import Schematic, draw_circuit
from phonolyte.figures.nyquist import SIDES, Complexes, Decade, find_window, name_decades
from phonolyte.figures.style import COLORS, FAINT, INK, STYLE, WASH, new_figure, plain
from phonolyte.units import KB_EV_K, NORMAL_95, ZERO_C_K

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PREFIXES = {1e-3: "m", 1.0: "", 1e3: "k", 1e6: "M", 1e9: "G"}
WIDTH_IN, LEFT_IN, RIGHT_IN, BETWEEN_IN = 6.8, 0.72, 0.1, 0.68
"""Width of the figure of a spectrum, its margins, and what is between two plots side by side: a layout that matplotlib
would look for in each figure takes longer than drawing it."""

NYQUIST_IN, REST_IN, AXIS_IN, MOST_CIRCUIT_IN, TITLE_IN = 1.9, 1.6, 0.48, 1.9, 0.32
"""Heights of plots of a spectrum, of what is below each, of the drawing of its circuit at most, and of the title."""

MARGIN = 1.12
"""Part of a Nyquist plot that is filled: the inverse."""

LONGEST_TITLE = 100
"""Characters of a spectrum's name above its figure."""

NAMES = {"bulk": "bulk", "grain_boundary": "grain boundaries", "total": "total"}


def spectrum_figure(
    frequency_hz: Floats,
    impedance_ohm: Complexes,
    *,
    curve_hz: Floats,
    curve_ohm: Complexes,
    fit_residuals: Complexes,
    test_residuals: Complexes,
    left_out: Sequence[int] = (),
    before_ohm: float = 0.0,
    across_ohm: float = 0.0,
    circuit: Schematic | None = None,
    values: Mapping[str, Sequence[str]] | None = None,
    name: str = "",
    subtitle: str = "",
) -> Figure:
    """Nyquist plot with fit and decades of frequency, Bode plot, residuals of fit and Kramers-Kronig test.

    Parameters
    ----------
    frequency_hz, impedance_ohm
        What was measured, (n,).
    curve_hz, curve_ohm
        The fitted circuit, at frequencies between, (m,).
    fit_residuals, test_residuals
        What fit and test leave over, as shares of the modulus, (n,), complex.
    left_out
        Indices of points that took no part in the fit.
    before_ohm, across_ohm
        Resistance before the arcs, and that of all arcs: where the whole spectrum makes them too small to be seen, a
        second Nyquist plot has them alone.
    circuit, values
        Drawing of the circuit, and the lines below its symbols by the names of elements; default: no drawing.
    name, subtitle
        Written above.
    """
    from matplotlib import rc_context

    f, z = frequency_hz, impedance_ohm
    window = find_window(z, before_ohm, across_ohm, WIDTH_IN / NYQUIST_IN)
    inner_in = WIDTH_IN - LEFT_IN - RIGHT_IN
    circuit_in = min(MOST_CIRCUIT_IN, circuit.height * inner_in / circuit.width, circuit.height) if circuit else 0.0
    top_in = 2 * AXIS_IN + REST_IN + NYQUIST_IN + 0.1
    with rc_context(STYLE):
        figure = new_figure(WIDTH_IN, top_in + circuit_in + TITLE_IN)
        figure.set_layout_engine("none")
        if circuit:
            axes = _place(figure, LEFT_IN, top_in, inner_in, circuit_in)
            draw_circuit(axes, circuit, values or {}, width_in=inner_in, height_in=circuit_in)
        width_in = (inner_in - BETWEEN_IN) / 2 if window else inner_in
        for at, limits in enumerate((None, window) if window else (None,)):
            left_in = LEFT_IN + at * (width_in + BETWEEN_IN)
            axes = _place(figure, left_in, 2 * AXIS_IN + REST_IN, width_in, NYQUIST_IN)
            _draw_nyquist(axes, f, z, curve_ohm, list(left_out), limits, width_in)
        figure.axes[-2 if window else -1].legend(loc="upper right" if window else "upper left")
        half_in = (inner_in - 2 * BETWEEN_IN) / 2
        _draw_bode(_place(figure, LEFT_IN, AXIS_IN, half_in, REST_IN), f, z, curve_hz, curve_ohm)
        axes = _place(figure, LEFT_IN + half_in + 2 * BETWEEN_IN, AXIS_IN, half_in, REST_IN)
        _draw_residuals(axes, f, fit_residuals, test_residuals)
        figure.suptitle(f"{plain(name, LONGEST_TITLE)}{subtitle}", x=0.01, y=0.99, ha="left", fontsize=9)
    return figure


def _place(figure: Figure, left_in: float, bottom_in: float, width_in: float, height_in: float) -> Axes:
    """Axes at a place in inches."""
    whole_in = figure.get_figheight()
    return figure.add_axes(
        (left_in / WIDTH_IN, bottom_in / whole_in, width_in / WIDTH_IN, height_in / whole_in)
    )  # fmt: skip


def arrhenius_figure(points: pd.DataFrame, lines: pd.DataFrame, *, title: str = "") -> Figure:
    """Conductivities times temperature against the inverse temperature, with their lines and energies.

    Parameters
    ----------
    points
        Rows with `process`, `temperature_k`, `sigma_s_cm`, `sigma_std_s_cm` and `off_line`.
    lines
        Rows with `process`, `from_k`, `to_k`, `prefactor`, `ea_ev`, `ea_high_ev` and `fault`, of ln(sigma T).
    title
        Written above.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(4.2, 3.8)
        axes = figure.subplots()
        for color, process in zip(COLORS, dict.fromkeys(points["process"]), strict=False):
            of_process = points[points["process"] == process]
            t, sigma = of_process["temperature_k"].to_numpy(float), of_process["sigma_s_cm"].to_numpy(float)
            spread = of_process["sigma_std_s_cm"].to_numpy(float)
            axes.errorbar(
                1000 / t, sigma * t, yerr=NORMAL_95 * spread * t, fmt="o", ms=4, color=color, capsize=2, lw=0.8
            )
            _draw_lines(axes, of_process, lines[lines["process"] == process], NAMES.get(process, process), color)
        axes.set_yscale("log")
        axes.set_xlabel("1000 / T (1/K)")
        axes.set_ylabel("σT (S K/cm)")
        figure.legend(loc="outside lower center")
        axes.set_title(title)
        _add_celsius(axes)
    return figure


def _draw_lines(axes: Axes, points: pd.DataFrame, lines: pd.DataFrame, name: str, color: str) -> None:
    """Lines of one process with rings around the points off them; a faulty one is only named."""
    for number, line in enumerate(lines.to_dict("records")):
        if line["fault"]:
            axes.plot([], [], "o", ms=4, color=color, label=f"{name}: no Arrhenius line")
            continue
        ends = np.array([line["from_k"], line["to_k"]])
        label = f"{name}: {line['ea_ev']:.3f} ± {line['ea_high_ev'] - line['ea_ev']:.3f} eV"
        axes.plot(
            1000 / ends, line["prefactor"] * np.exp(-line["ea_ev"] / (KB_EV_K * ends)), color=color,
            ls="-" if number == 0 else "--", label=label,
        )  # fmt: skip
        off = points[points["temperature_k"].between(*ends) & points["off_line"].astype(bool)]
        if len(off):
            axes.plot(
                1000 / off["temperature_k"], off["sigma_s_cm"] * off["temperature_k"], "o", ms=9, mfc="none",
                mec=INK, mew=0.8,
            )  # fmt: skip


def _add_celsius(axes: Axes) -> None:
    top = axes.secondary_xaxis("top", functions=(_to_celsius, _from_celsius))
    low, high = (float(_to_celsius(np.array(edge))) for edge in axes.get_xlim()[::-1])
    top.set_xticks([tick for tick in np.arange(-200, 1500, _step(high - low)) if low <= tick <= high])
    top.set_xlabel("°C", labelpad=2)


def _find_unit(largest_ohm: float) -> float:
    """Ohm in the unit of axes that reach so far."""
    return max((scale for scale in PREFIXES if scale <= largest_ohm), default=1e-3)


def _draw_nyquist(
    axes: Axes, f: Floats, z: Complexes, curve_ohm: Complexes, left_out: list[int],
    window: tuple[float, float] | None, width_in: float,
) -> None:  # fmt: skip
    """A Nyquist plot with equal axes: of all, or of what is between two resistances."""
    drawn_ohm = np.concatenate((z, curve_ohm))
    left, right = window or (float(drawn_ohm.real.min()), float(drawn_ohm.real.max()))
    low, high = min(float(-drawn_ohm.imag.max()), 0.0), float(-drawn_ohm.imag.min())
    ohm_per_in = MARGIN * max((right - left) / width_in, 0.0 if window else (high - low) / NYQUIST_IN)
    span, tall = ohm_per_in * width_in, ohm_per_in * NYQUIST_IN
    start = left - min(0.12 * span, (span - right + left) / 2)
    bottom = (0.0 if window else low) - 0.06 * tall
    unit = _find_unit(max(abs(start + span) if window else abs(right), 0.0 if window else high))
    fitted = curve_ohm / unit
    axes.axhline(0, color=FAINT, lw=0.6)
    axes.plot(fitted.real, -fitted.imag, color=COLORS[1], lw=1.2, label="fit")
    axes.plot(z.real / unit, -z.imag / unit, "o", ms=3.5, color=COLORS[0], mec="white", mew=0.3, label="measured")
    if left_out:
        off = z[left_out] / unit
        axes.plot(off.real, -off.imag, "x", ms=6, color=INK, mew=1, label="left out")
    axes.set_xlim(start / unit, (start + span) / unit)
    axes.set_ylim(bottom / unit, (bottom + tall) / unit)
    axes.set_aspect("equal", adjustable="box", anchor="W")
    axes.set_xlabel(f"Z' ({PREFIXES[unit]}Ω){', the arcs' if window else ''}")
    axes.set_ylabel(f"-Z'' ({PREFIXES[unit]}Ω)")
    shown = np.array([start + 0.03 * span, start + 0.97 * span - 1j * (bottom + 0.94 * tall)])
    seen = (z.real > start) & (z.real < start + span) & (-z.imag < bottom + tall)
    _name_decades(axes, f, z, unit, name_decades(f, z, ohm_per_point=ohm_per_in / 72, shown_ohm=shown), seen)


def _name_decades(axes: Axes, f: Floats, z: Complexes, unit: float, decades: list[Decade], seen: Flags) -> None:
    """Points of the powers of ten among the frequencies, with their names where there is room."""
    from matplotlib.patheffects import withStroke

    places = {"top": ("center", "bottom"), "bottom": ("center", "top"), "left": ("right", "center"),
              "right": ("left", "center")}  # fmt: skip
    for point, name, side in decades:
        if not seen[point]:
            continue
        at = (z[point].real / unit, -z[point].imag / unit)
        axes.plot(*at, "o", ms=5, color=INK, mec="white", mew=0.5)
        if side:
            horizontal, vertical = places[side]
            axes.annotate(name, at, (4 * SIDES[side][0], 4 * SIDES[side][1]), textcoords="offset points", fontsize=7.5,
                          ha=horizontal, va=vertical,
                          path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip


def _draw_bode(axes: Axes, f: Floats, z: Complexes, curve_hz: Floats, curve_ohm: Complexes) -> None:
    axes.loglog(curve_hz, np.abs(curve_ohm), color=COLORS[1], lw=1)
    axes.loglog(f, np.abs(z), "o", ms=2.8, color=COLORS[0], mec="white", mew=0.2)
    axes.set_xlabel("Frequency (Hz)")
    axes.set_ylabel("|Z| (Ω)", color=COLORS[0])
    phase = axes.twinx()
    phase.plot(curve_hz, -np.angle(curve_ohm, deg=True), color=COLORS[1], lw=1)
    phase.plot(f, -np.angle(z, deg=True), "s", ms=2.5, color=COLORS[2], mec="white", mew=0.2)
    phase.set_ylabel("-phase (°)", color=COLORS[2])
    phase.spines["right"].set_visible(True)


def _draw_residuals(axes: Axes, f: Floats, fit: Complexes, test: Complexes) -> None:
    axes.axhspan(-1, 1, color=WASH, lw=0)
    for name, residuals, color in (("fit", fit, COLORS[1]), ("KK", test, COLORS[0])):
        axes.semilogx(f, residuals.real * 100, "-", color=color, lw=0.8, label=f"{name}, real")
        axes.semilogx(f, residuals.imag * 100, ":", color=color, lw=0.8, label=f"{name}, imag.")
    axes.set_xlabel("Frequency (Hz)")
    axes.set_ylabel("Residual (% of |Z|)")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -1.5), max(high, 1.5) + 0.5 * (max(high, 1.5) - min(low, -1.5)))
    axes.legend(ncols=2, fontsize=6.5, loc="upper center", columnspacing=1, handlelength=1.2)


def _step(span: float) -> float:
    return next((step for step in (5, 10, 20, 25, 50, 100, 200) if span / step <= 8), 500)


def _to_celsius(x: Any) -> Any:
    return 1000 / np.maximum(x, 1e-3) - ZERO_C_K


def _from_celsius(t: Any) -> Any:
    return 1000 / np.maximum(np.asarray(t) + ZERO_C_K, 1.0)
