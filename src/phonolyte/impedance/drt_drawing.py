"""Figures of distributions of relaxation times as files: one of each spectrum, and all of a series in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.errors import Failure
from phonolyte.impedance.drawing import MOST_PDF, STAGE, spectrum_stem
from phonolyte.runs.settings import AS_USUAL, FigureFiles
from phonolyte.units import ZERO_C_K

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from phonolyte.impedance.analysis import Analysis
    from phonolyte.impedance.series import Series

FOLDER = "drt"
MOST_DRAWN = MOST_PDF
"""Spectra of which each distribution is drawn: drawing takes longer than computing all."""


def draw_distributions(
    series: Series, folder: Path, *, files: FigureFiles = AS_USUAL
) -> tuple[list[Failure], list[str]]:
    """Draw the distributions of a series into a folder.

    Returns
    -------
    tuple
        Figures that could not be drawn, and notes on those that were not tried.
    """
    analyses = [analysis for analysis in series.analyses if analysis.distribution]
    failures = [failure for each in analyses[:MOST_DRAWN] if (failure := _draw_safely(each, folder, files))]
    if analyses:
        failures += [failure] if (failure := _draw_stack(analyses[:MOST_DRAWN], folder, files)) else []
    left = len(analyses) - MOST_DRAWN
    notes = [f"distributions of relaxation times are drawn of {MOST_DRAWN} spectra, and not of {left} more"]
    return failures, notes if left > 0 else []


def plot_distribution(analysis: Analysis) -> Figure:
    """The distribution of relaxation times of a spectrum with its peaks.

    Raises
    ------
    ValueError
        For an analysis that has none.
    """
    from phonolyte.figures.relaxation_times import distribution_figure

    distribution, omega = analysis.distribution, 2 * np.pi * analysis.spectrum.frequency_hz
    if distribution is None:
        raise ValueError(f"{analysis.name} has no distribution of relaxation times")
    return distribution_figure(
        distribution.tau_s, distribution.gamma_ohm, low_ohm=distribution.low_ohm, high_ohm=distribution.high_ohm,
        peaks=[(peak.tau_s, peak.resistance_ohm) for peak in distribution.peaks],
        measured_s=(float(1 / omega[0]), float(1 / omega[-1])), name=analysis.name,
    )  # fmt: skip


def _draw_safely(analysis: Analysis, folder: Path, files: FigureFiles) -> Failure | None:
    from phonolyte.figures.style import save

    stem = folder / FOLDER / spectrum_stem(folder, analysis.name).name
    try:
        save(plot_distribution(analysis), stem, ("png",), files=files)
    except Exception as error:  # matplotlib can raise anything, and the other figures are drawn
        return Failure.from_error(error, material_id=analysis.name, stage=STAGE, source=analysis.spectrum.source)
    return None


def _draw_stack(analyses: list[Analysis], folder: Path, files: FigureFiles) -> Failure | None:
    from phonolyte.figures.relaxation_times import Curve, stack_figure
    from phonolyte.figures.style import save

    coldest = sorted(analyses, key=lambda analysis: analysis.spectrum.temperature_k or 0.0)
    curves = []
    for analysis in coldest:
        distribution, spectrum = analysis.distribution, analysis.spectrum
        omega, kelvin = 2 * np.pi * spectrum.frequency_hz, spectrum.temperature_k
        if distribution:
            inside = (distribution.tau_s >= 1 / omega[0]) & (distribution.tau_s <= 1 / omega[-1])
            name = analysis.name if kelvin is None else f"{kelvin - ZERO_C_K:.0f} °C"
            curves.append(Curve(name, distribution.tau_s[inside], distribution.gamma_ohm[inside]))
    try:
        save(stack_figure(curves), folder / "drt", files=files)
    except Exception as error:  # as above
        return Failure.from_error(error, material_id="drt", stage=STAGE)
    return None
