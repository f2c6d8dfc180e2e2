"""Figures of impedance spectra."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte import __version__
from phonolyte.arrays import Floats
from phonolyte.figures.style import COLOURS, FAINT, INK, STYLE, WASH, new_figure, plain, save, source_of
from phonolyte.impedance.arrhenius import ArrheniusFit, fault
from phonolyte.impedance.circuits import circuit_of
from phonolyte.impedance.run import Analysis
from phonolyte.impedance.spectrum import Complexes
from phonolyte.units import KB_EV_K, ZERO_C_K

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PREFIXES = {1e-3: "m", 1.0: "", 1e3: "k", 1e6: "M", 1e9: "G"}
APART = 0.06
"""Names of frequencies nearer than this share of the plot would cover each other."""

DRAWN = 2
"""Of the way spectra are drawn: another one, and what an earlier version drew is drawn anew."""

SMALL, MARGIN = 0.2, 0.6
"""Share of the plotted width below which arcs are too small to be seen, and what is then shown beyond them."""

NYQUIST_SIDES = 2.6
"""Width of the plot, as a multiple of its height."""

LONGEST_TITLE = 100
"""Characters of a spectrum's name above its figure."""

NAMES = {"bulk": "bulk", "grain_boundary": "grain boundaries", "total": "total"}


def spectrum_figure(analysis: Analysis) -> Figure:
    """Nyquist plot with fit and decades of frequency, Bode plot, residuals of fit and Kramers-Kronig test."""
    from matplotlib import rc_context

    spectrum = analysis.spectrum
    with rc_context(STYLE):
        figure = new_figure(6.8, 5.0)
        panels = figure.subplot_mosaic([["nyquist", "nyquist"], ["bode", "residuals"]], height_ratios=(1.25, 1.0))
        _nyquist(panels["nyquist"], analysis)
        _bode(panels["bode"], analysis)
        _residuals(panels["residuals"], analysis)
        warmth = "" if spectrum.temperature_k is None else f", {spectrum.temperature_k - ZERO_C_K:.0f} °C"
        figure.suptitle(
            f"{plain(spectrum.name, LONGEST_TITLE)}{warmth}   {analysis.fit.circuit}", x=0.01, ha="left", fontsize=9
        )
    return figure


def draw(analysis: Analysis, folder: Path, formats: Sequence[str] = ("pdf", "png")) -> Path:
    """Draw a spectrum, PNG last, unless the same drawing is there; the path of the PNG."""
    stem = folder / _safe(analysis.spectrum.name)
    png, source = Path(f"{stem}.png"), _digest(analysis)
    there = all(Path(f"{stem}.{kind}").is_file() for kind in formats)
    if not (there and source_of(png) == source):
        save(spectrum_figure(analysis), stem, formats, source=source)
    return png


def _digest(analysis: Analysis) -> str:
    """The same digest, the same drawing."""
    spectrum, found = analysis.spectrum, analysis.fit
    text = repr((__version__, DRAWN, spectrum.name, spectrum.temperature_k, found.circuit, analysis.test.off))
    digest = hashlib.sha256(text.encode())
    for array in (spectrum.frequency_hz, spectrum.impedance_ohm, found.values):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _safe(name: str) -> str:
    """A name as a file: what file systems do not take is replaced, and then a checksum tells it from others."""
    safe = re.sub(r"[^\w.() -]", "_", name)[:100] or "spectrum"
    return safe if safe == name and safe != "arrhenius" else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def arrhenius_figure(
    parts: Mapping[str, pd.DataFrame], lines: Mapping[str, Sequence[ArrheniusFit]], *, title: str = ""
) -> Figure:
    """Conductivities times temperature against the inverse temperature, with their lines and energies.

    Parameters
    ----------
    parts
        By process the rows with `temperature_k`, `sigma_s_cm`, `sigma_std_s_cm`.
    lines
        By process the fits of ln(sigma T).
    title
        Of the figure.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(4.2, 3.8)
        axes = figure.subplots()
        for colour, (process, part) in zip(COLOURS, parts.items(), strict=False):
            t, sigma = part["temperature_k"].to_numpy(float), part["sigma_s_cm"].to_numpy(float)
            spread = part["sigma_std_s_cm"].to_numpy(float)
            axes.errorbar(1000 / t, sigma * t, yerr=1.96 * spread * t, fmt="o", ms=4, color=colour, capsize=2, lw=0.8)
            name = NAMES.get(process, process)
            for number, line in enumerate(lines[process]):
                if fault(line.ea_ev, line.ea_low_ev, line.ea_high_ev):
                    axes.plot([], [], "o", ms=4, color=colour, label=f"{name}: no Arrhenius line")
                    continue
                ends = np.array(line.temperatures_k)
                label = f"{name}: {line.ea_ev:.3f} ± {line.ea_high_ev - line.ea_ev:.3f} eV"
                axes.plot(
                    1000 / ends, line.prefactor * np.exp(-line.ea_ev / (KB_EV_K * ends)), color=colour,
                    ls="-" if number == 0 else "--", label=label,
                )  # fmt: skip
                if line.outliers:
                    inside = part[part["temperature_k"].between(*line.temperatures_k)]
                    off = inside.iloc[list(line.outliers)]
                    axes.plot(
                        1000 / off["temperature_k"], off["sigma_s_cm"] * off["temperature_k"], "o", ms=9, mfc="none",
                        mec=INK, mew=0.8,
                    )  # fmt: skip
        axes.set_yscale("log")
        axes.set_xlabel("1000 / T (1/K)")
        axes.set_ylabel("σT (S K/cm)")
        figure.legend(loc="outside lower center")
        axes.set_title(title)
        top = axes.secondary_xaxis("top", functions=(_to_celsius, _from_celsius))
        low, high = (float(_to_celsius(np.array(edge))) for edge in axes.get_xlim()[::-1])
        top.set_xticks([tick for tick in np.arange(-200, 1500, _step(high - low)) if low <= tick <= high])
        top.set_xlabel("°C", labelpad=2)
    return figure


def _nyquist(axes: Axes, analysis: Analysis) -> None:
    from matplotlib.patheffects import withStroke

    f, z = analysis.spectrum.frequency_hz, analysis.spectrum.impedance_ohm
    limits = _of_arcs(analysis)
    largest = limits[1] if limits else float(np.abs(z.real).max())
    unit = max((scale for scale in PREFIXES if scale <= largest), default=1e-3)
    fitted = _curve(analysis)[1] / unit
    axes.axhline(0, color=FAINT, lw=0.6)
    axes.plot(fitted.real, -fitted.imag, color=COLOURS[1], lw=1.2, label="fit")
    axes.plot(z.real / unit, -z.imag / unit, "o", ms=3.5, color=COLOURS[0], mec="white", mew=0.3, label="measured")
    off = list(analysis.test.off)
    if off:
        axes.plot(z[off].real / unit, -z[off].imag / unit, "x", ms=6, color=INK, mew=1, label="left out")
    axes.set_aspect("equal", adjustable="box" if limits else "datalim", anchor="W")
    axes.margins(0.04, 0.12)
    if limits:
        left, right = limits
        axes.set_xlim(left / unit, right / unit)
        axes.set_ylim(-0.05 * (right - left) / NYQUIST_SIDES / unit, 0.95 * (right - left) / NYQUIST_SIDES / unit)
        axes.text(0.99, 0.1, "the arcs; what follows is outside of the plot", transform=axes.transAxes, ha="right",
                  va="bottom", fontsize=7, color=FAINT)  # fmt: skip
    axes.set_xlabel(f"Z' ({PREFIXES[unit]}Ω)")
    axes.set_ylabel(f"-Z'' ({PREFIXES[unit]}Ω)")
    axes.legend(loc="upper left")
    size = limits[1] - limits[0] if limits else max(np.ptp(z.real), np.ptp(z.imag))
    named: list[complex] = []
    for decade in range(int(np.ceil(np.log10(f[-1]))), int(np.floor(np.log10(f[0]))) + 1):
        near = int(np.abs(np.log10(f) - decade).argmin())
        if abs(np.log10(f[near]) - decade) < 0.12:
            at = (z[near].real / unit, -z[near].imag / unit)
            axes.plot(*at, "o", ms=5, color=INK, mec="white", mew=0.5)
            if all(abs(z[near] - other) > APART * size for other in named):
                axes.annotate(_hertz(decade), at, (0, 6), textcoords="offset points", fontsize=7.5, ha="center",
                              path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip
                named.append(complex(z[near]))


def _of_arcs(analysis: Analysis) -> tuple[float, float] | None:
    """Resistances between which the arcs are, where the whole spectrum would make them too small to be seen."""
    z, found = analysis.spectrum.impedance_ohm, analysis.fit
    across = sum(ohm for _, ohm, _ in found.arcs)
    before = sum(found[name] for name in found.names if name.startswith("R")) - across
    width = max(np.ptp(z.real), NYQUIST_SIDES * np.ptp(z.imag))
    if not 0 < across < SMALL * width:
        return None
    return before - 0.05 * across, before + across + MARGIN * (before + across)


def _curve(analysis: Analysis) -> tuple[Floats, Complexes]:
    """Frequencies between the measured ones, and the fitted circuit there."""
    f = analysis.spectrum.frequency_hz
    fine = np.geomspace(f[0], f[-1], 300)
    return fine, circuit_of(analysis.fit.circuit).impedance_ohm(analysis.fit.values, fine)


def _bode(axes: Axes, analysis: Analysis) -> None:
    f, z = analysis.spectrum.frequency_hz, analysis.spectrum.impedance_ohm
    fine, fitted = _curve(analysis)
    axes.loglog(fine, np.abs(fitted), color=COLOURS[1], lw=1)
    axes.loglog(f, np.abs(z), "o", ms=2.8, color=COLOURS[0], mec="white", mew=0.2)
    axes.set_xlabel("Frequency (Hz)")
    axes.set_ylabel("|Z| (Ω)", color=COLOURS[0])
    phase = axes.twinx()
    phase.plot(fine, -np.angle(fitted, deg=True), color=COLOURS[1], lw=1)
    phase.plot(f, -np.angle(z, deg=True), "s", ms=2.5, color=COLOURS[2], mec="white", mew=0.2)
    phase.set_ylabel("-phase (°)", color=COLOURS[2])
    phase.spines["right"].set_visible(True)


def _residuals(axes: Axes, analysis: Analysis) -> None:
    f, z = analysis.spectrum.frequency_hz, analysis.spectrum.impedance_ohm
    left_over = (z - analysis.fit.impedance_ohm) / np.abs(z) * 100
    axes.axhspan(-1, 1, color=WASH, lw=0)
    axes.semilogx(f, left_over.real, "-", color=COLOURS[1], lw=0.8, label="fit, real")
    axes.semilogx(f, left_over.imag, ":", color=COLOURS[1], lw=0.8, label="fit, imag.")
    axes.semilogx(f, analysis.test.real * 100, "-", color=COLOURS[0], lw=0.8, label="KK, real")
    axes.semilogx(f, analysis.test.imaginary * 100, ":", color=COLOURS[0], lw=0.8, label="KK, imag.")
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
