"""Figures of a series as files: which are drawn, and from what; a drawing that is there from an earlier run is kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.errors import Failure
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.schematic import draw_schematic, list_values
from phonolyte.runs.settings import AS_USUAL, FigureFiles
from phonolyte.units import ZERO_C_K

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from phonolyte.impedance.analysis import Analysis
    from phonolyte.impedance.series import Series

STAGE = "figures"

DRAWN = 3
"""Version of the way spectra are drawn: what an earlier version drew is drawn anew."""

MOST_PDF = 50
"""Spectra that are drawn as PDF too; it takes longer than the rest together."""

CURVE_POINTS = 300
"""Frequencies at which a fitted circuit is drawn."""


@dataclass(frozen=True, slots=True)
class Drawings:
    """Files of the figures of a series.

    Attributes
    ----------
    spectra
        Figure of each spectrum (PNG, else the first format chosen); none where it could not be drawn.
    arrhenius
        Figure of the Arrhenius lines, where there are any.
    failures
        Figures that could not be drawn.
    """

    spectra: tuple[Path | None, ...]
    arrhenius: Path | None = None
    failures: tuple[Failure, ...] = ()


def draw(
    series: Series,
    folder: Path,
    *,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
    files: FigureFiles = AS_USUAL,
) -> Drawings:
    """Draw all figures of a series into a folder; a figure that cannot be drawn is a failure, and the others are drawn.

    Parameters
    ----------
    series
        What is drawn.
    folder
        Made if it does not exist.
    executor
        Where spectra are drawn; default: one after another in this process.
    progress
        Called with 1 after each spectrum.
    files
        Formats and resolution; default: PNG and PDF, of many spectra PNG alone.
    """
    from phonolyte.figures.style import USUAL

    formats = USUAL if len(series.analyses) <= MOST_PDF else ("png",)
    work = partial(_draw_safely, folder=folder, formats=files.choose(formats), files=files)
    results: list[Path | Failure] = []
    for result in executor.map(work, series.analyses) if executor else map(work, series.analyses):
        results.append(result)
        if progress:
            progress(1)
    lines = _draw_arrhenius(series, folder, files)
    failures = [result for result in (*results, lines) if isinstance(result, Failure)]
    pictures = [None if isinstance(result, Failure) else result for result in results]
    return Drawings(tuple(pictures), None if isinstance(lines, Failure) else lines, tuple(failures))


def draw_spectrum(
    analysis: Analysis, folder: Path, formats: Sequence[str] = (), *, files: FigureFiles = AS_USUAL
) -> Path:
    """Draw a spectrum, PNG last, unless the same drawing is there; the path of the PNG, else of the first format.

    Only a PNG says what it shows: without one, a spectrum is drawn anew.
    """
    from phonolyte.figures.style import USUAL, remove, save, source_of

    stem = spectrum_stem(folder, analysis.name)
    formats = sorted(formats or USUAL, key=lambda kind: kind == "png")
    png, source = Path(f"{stem}.png"), _digest(analysis) + (f" {files.dpi} dpi" if files.dpi else "")
    complete = "png" in formats and all(Path(f"{stem}.{kind}").is_file() for kind in formats)
    if not (complete and source_of(png) == source):
        remove([stem])
        save(plot_spectrum(analysis), stem, formats, source=source, files=FigureFiles(dpi=files.dpi))
    return png if "png" in formats else Path(f"{stem}.{formats[0]}")


def plot_spectrum(analysis: Analysis) -> Figure:
    """Nyquist plot with fit and decades of frequency, Bode plot, residuals of fit and Kramers-Kronig test."""
    from phonolyte.figures.impedance import spectrum_figure

    spectrum, fit, test = analysis.spectrum, analysis.fit, analysis.test
    f, z = spectrum.frequency_hz, spectrum.impedance_ohm
    fine = np.geomspace(f[0], f[-1], CURVE_POINTS)
    across = sum(ohm for _, ohm, _ in fit.arcs)
    circuit = parse_circuit(fit.circuit)
    celsius = "" if spectrum.temperature_k is None else f", {spectrum.temperature_k - ZERO_C_K:.0f} °C"
    return spectrum_figure(
        f,
        z,
        curve_hz=fine,
        curve_ohm=circuit.impedance_ohm(fit.values, fine),
        fit_residuals=(z - fit.impedance_ohm) / np.abs(z),
        test_residuals=test.real + 1j * test.imaginary,
        left_out=test.off,
        before_ohm=sum(fit[name] for name in fit.names if name.startswith("R")) - across,
        across_ohm=across,
        circuit=draw_schematic(fit.circuit),
        values=list_values(circuit, fit.values.tolist()),
        name=spectrum.label,
        subtitle=f"{celsius}   {fit.circuit}",
    )


def plot_arrhenius(series: Series, *, title: str = "") -> Figure:
    """Conductivities times temperature against the inverse temperature, with their lines and energies."""
    from phonolyte.figures.impedance import arrhenius_figure
    from phonolyte.impedance.pressure import name_pressures

    pressures = series.arrhenius["pressure_mpa"].to_numpy(float)
    points, lines = (name_pressures(table, pressures) for table in (series.points, series.arrhenius))
    return arrhenius_figure(points, lines, title=title)


def _draw_safely(analysis: Analysis, folder: Path, formats: Sequence[str], files: FigureFiles) -> Path | Failure:
    try:
        return draw_spectrum(analysis, folder, formats, files=files)
    except Exception as error:  # matplotlib can raise anything, and the other figures are drawn
        return Failure.from_error(error, material_id=analysis.name, stage=STAGE, source=analysis.spectrum.source)


def _draw_arrhenius(series: Series, folder: Path, files: FigureFiles) -> Path | Failure | None:
    from phonolyte.figures.style import remove, save

    remove([folder / "arrhenius"])
    if series.points.empty:
        return None
    try:
        return save(plot_arrhenius(series), folder / "arrhenius", files=files)[0]
    except Exception as error:  # as above
        return Failure.from_error(error, material_id="arrhenius", stage=STAGE)


def _digest(analysis: Analysis) -> str:
    """The same digest, the same drawing."""
    spectrum, fit = analysis.spectrum, analysis.fit
    text = repr((DRAWN, spectrum.label, spectrum.temperature_k, fit.circuit, analysis.test.off))
    digest = hashlib.sha256(text.encode())
    for array in (spectrum.frequency_hz, spectrum.impedance_ohm, fit.values):
        digest.update(array.tobytes())
    return digest.hexdigest()


def spectrum_stem(folder: Path, name: str) -> Path:
    """Return the path, less its ending, of the figure of a spectrum in a folder of figures."""
    return folder / "spectra" / _make_stem(name)


def _make_stem(name: str) -> str:
    """A name as a file: what file systems do not take is replaced, and then a checksum distinguishes it from others."""
    safe = re.sub(r"[^\w.() -]", "_", name)[:100] or "spectrum"
    return safe if safe == name and safe != "arrhenius" else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
