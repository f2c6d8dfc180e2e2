"""Figures of impedance spectra: arrays and tables in, matplotlib figures out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats
from phonolyte.figures.style import COLOURS, FAINT, INK, STYLE, WASH, new_figure, plain
from phonolyte.units import KB_EV_K, ZERO_C_K

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Complexes = NDArray[np.complex128]

PREFIXES = {1e-3: "m", 1.0: "", 1e3: "k", 1e6: "M", 1e9: "G"}
APART = 0.06
"""Names of frequencies nearer than this share of the plot would cover each other."""

NEAR_DECADE = 0.12
"""Decades by which a frequency may be off a power of ten that it is named for."""

SMALL, MARGIN = 0.2, 0.6
"""Share of the plotted width below which arcs are too small to be seen, and what is then shown beyond them."""

NYQUIST_SIDES = 2.6
"""Width of the plot, as a multiple of its height."""

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
        Resistance before the arcs, and that of all arcs: where the whole spectrum would make them too small to be seen,
        the Nyquist plot ends behind them.
    name, subtitle
        Written above.
    """
    from matplotlib import rc_context

    f, z = frequency_hz, impedance_ohm
    window = _find_window(z, before_ohm, across_ohm)
    with rc_context(STYLE):
        figure = new_figure(6.8, 5.0)
        panels = figure.subplot_mosaic([["nyquist", "nyquist"], ["bode", "residuals"]], height_ratios=(1.25, 1.0))
        _draw_nyquist(panels["nyquist"], z, curve_ohm, list(left_out), window)
        size = window[1] - window[0] if window else max(np.ptp(z.real), np.ptp(z.imag))
        _name_decades(panels["nyquist"], f, z, _find_unit(z, window), APART * size)
        _draw_bode(panels["bode"], f, z, curve_hz, curve_ohm)
        _draw_residuals(panels["residuals"], f, fit_residuals, test_residuals)
        figure.suptitle(f"{plain(name, LONGEST_TITLE)}{subtitle}", x=0.01, ha="left", fontsize=9)
    return figure


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
        for color, process in zip(COLOURS, dict.fromkeys(points["process"]), strict=False):
            part = points[points["process"] == process]
            t, sigma = part["temperature_k"].to_numpy(float), part["sigma_s_cm"].to_numpy(float)
            spread = part["sigma_std_s_cm"].to_numpy(float)
            axes.errorbar(1000 / t, sigma * t, yerr=1.96 * spread * t, fmt="o", ms=4, color=color, capsize=2, lw=0.8)
            _draw_lines(axes, part, lines[lines["process"] == process], NAMES.get(process, process), color)
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


def _find_window(z: Complexes, before_ohm: float, across_ohm: float) -> tuple[float, float] | None:
    """Resistances between which the arcs are, where the whole spectrum would make them too small to be seen."""
    width = max(np.ptp(z.real), NYQUIST_SIDES * np.ptp(z.imag))
    if not 0 < across_ohm < SMALL * width:
        return None
    return before_ohm - 0.05 * across_ohm, before_ohm + across_ohm + MARGIN * (before_ohm + across_ohm)


def _find_unit(z: Complexes, window: tuple[float, float] | None) -> float:
    """Ohm in the unit of the axes."""
    largest = window[1] if window else float(np.abs(z.real).max())
    return max((scale for scale in PREFIXES if scale <= largest), default=1e-3)


def _draw_nyquist(
    axes: Axes, z: Complexes, curve_ohm: Complexes, left_out: list[int], window: tuple[float, float] | None
) -> None:
    unit = _find_unit(z, window)
    fitted = curve_ohm / unit
    axes.axhline(0, color=FAINT, lw=0.6)
    axes.plot(fitted.real, -fitted.imag, color=COLOURS[1], lw=1.2, label="fit")
    axes.plot(z.real / unit, -z.imag / unit, "o", ms=3.5, color=COLOURS[0], mec="white", mew=0.3, label="measured")
    if left_out:
        off = z[left_out] / unit
        axes.plot(off.real, -off.imag, "x", ms=6, color=INK, mew=1, label="left out")
    axes.set_aspect("equal", adjustable="box" if window else "datalim", anchor="W")
    axes.margins(0.04, 0.12)
    if window:
        left, right = window
        axes.set_xlim(left / unit, right / unit)
        axes.set_ylim(-0.05 * (right - left) / NYQUIST_SIDES / unit, 0.95 * (right - left) / NYQUIST_SIDES / unit)
        axes.text(0.99, 0.1, "the arcs; what follows is outside of the plot", transform=axes.transAxes, ha="right",
                  va="bottom", fontsize=7, color=FAINT)  # fmt: skip
    axes.set_xlabel(f"Z' ({PREFIXES[unit]}Ω)")
    axes.set_ylabel(f"-Z'' ({PREFIXES[unit]}Ω)")
    axes.legend(loc="upper left")


def _name_decades(axes: Axes, f: Floats, z: Complexes, unit: float, apart_ohm: float) -> None:
    """Powers of ten among the frequencies, those that would cover each other once."""
    from matplotlib.patheffects import withStroke

    named: list[complex] = []
    for decade in range(int(np.ceil(np.log10(f[-1]))), int(np.floor(np.log10(f[0]))) + 1):
        near = int(np.abs(np.log10(f) - decade).argmin())
        if abs(np.log10(f[near]) - decade) >= NEAR_DECADE:
            continue
        at = (z[near].real / unit, -z[near].imag / unit)
        axes.plot(*at, "o", ms=5, color=INK, mec="white", mew=0.5)
        if all(abs(z[near] - other) > apart_ohm for other in named):
            axes.annotate(_hertz(decade), at, (0, 6), textcoords="offset points", fontsize=7.5, ha="center",
                          path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip
            named.append(complex(z[near]))


def _draw_bode(axes: Axes, f: Floats, z: Complexes, curve_hz: Floats, curve_ohm: Complexes) -> None:
    axes.loglog(curve_hz, np.abs(curve_ohm), color=COLOURS[1], lw=1)
    axes.loglog(f, np.abs(z), "o", ms=2.8, color=COLOURS[0], mec="white", mew=0.2)
    axes.set_xlabel("Frequency (Hz)")
    axes.set_ylabel("|Z| (Ω)", color=COLOURS[0])
    phase = axes.twinx()
    phase.plot(curve_hz, -np.angle(curve_ohm, deg=True), color=COLOURS[1], lw=1)
    phase.plot(f, -np.angle(z, deg=True), "s", ms=2.5, color=COLOURS[2], mec="white", mew=0.2)
    phase.set_ylabel("-phase (°)", color=COLOURS[2])
    phase.spines["right"].set_visible(True)


def _draw_residuals(axes: Axes, f: Floats, fit: Complexes, test: Complexes) -> None:
    axes.axhspan(-1, 1, color=WASH, lw=0)
    for name, residuals, color in (("fit", fit, COLOURS[1]), ("KK", test, COLOURS[0])):
        axes.semilogx(f, residuals.real * 100, "-", color=color, lw=0.8, label=f"{name}, real")
        axes.semilogx(f, residuals.imag * 100, ":", color=color, lw=0.8, label=f"{name}, imag.")
    axes.set_xlabel("Frequency (Hz)")
    axes.set_ylabel("Residual (% of |Z|)")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -1.5), max(high, 1.5) + 0.5 * (max(high, 1.5) - min(low, -1.5)))
    axes.legend(ncols=2, fontsize=6.5, loc="upper center", columnspacing=1, handlelength=1.2)


def _hertz(decade: int) -> str:
    unit = {0: "Hz", 1: "kHz", 2: "MHz", -1: "mHz"}[int(np.floor(decade / 3)) if -3 <= decade < 9 else 0]
    return f"{10 ** (decade % 3 if -3 <= decade < 9 else decade):g} {unit}"


def _step(span: float) -> float:
    return next((step for step in (5, 10, 20, 25, 50, 100, 200) if span / step <= 8), 500)


def _to_celsius(x: Any) -> Any:
    return 1000 / np.maximum(x, 1e-3) - ZERO_C_K


def _from_celsius(t: Any) -> Any:
    return 1000 / np.maximum(np.asarray(t) + ZERO_C_K, 1.0)
