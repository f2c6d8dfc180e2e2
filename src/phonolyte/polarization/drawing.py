"""Figures of polarizations and transference numbers from their results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.errors import Failure
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.spectrum import Complexes
from phonolyte.runs.settings import AS_USUAL, FigureFiles
from phonolyte.units import ZERO_C_K

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from phonolyte.figures.polarization import Trace
    from phonolyte.impedance.analysis import Analysis
    from phonolyte.polarization.batch import Sample
    from phonolyte.polarization.curve import Curve
    from phonolyte.polarization.decay import Decay
    from phonolyte.polarization.transference import Transference

STAGE = "figures"
MOST_POINTS = 1500
"""Points of a curve that are drawn."""


def plot_polarization(sample: Sample) -> Figure:
    """Decays of the current of a sample, and its steady currents against voltages."""
    from phonolyte.figures.polarization import SlopeBand, polarization_figure

    line = sample.conductance
    traces = [_trace(*pair) for pair in zip(sample.curves, sample.decays, strict=True)]
    band = SlopeBand(line.siemens, line.low_siemens, line.high_siemens, line.offset_a)
    celsius = "" if sample.temperature_k is None else f", {sample.temperature_k - ZERO_C_K:.0f} °C"
    return polarization_figure(traces, band, title=sample.name, subtitle=f"{celsius}   {describe_result(sample)}")


def describe_result(sample: Sample) -> str:
    """Return the electronic conductivity of a sample in a line; its resistance where the pellet's size is missing."""
    middle, low, high = sample.sigma_s_cm
    if sample.geometry is None:
        ohm = sample.conductance.ohm()
        return f"R ≥ {ohm[1]:.2g} Ω" if sample.conductance.upper_bound else f"R = {ohm[0]:.3g} Ω"
    if sample.conductance.upper_bound:
        return f"σ electronic ≤ {high:.2g} S/cm"
    return f"σ electronic = {middle:.3g} S/cm, {low:.3g} to {high:.3g}"


def plot_transference(result: Transference, before: Analysis, after: Analysis) -> Figure:
    """Spectra before and after, and the current with its initial and steady value."""
    from phonolyte.figures.polarization import transference_figure

    spectra = [
        (name, analysis.spectrum.impedance_ohm, _fine_curve(analysis))
        for name, analysis in (("before", before), ("after", after))
    ]
    return transference_figure(
        _trace(result.curve, result.decay), result.initial_a.value, spectra, title=result.curve.label,
        subtitle=f"   {describe_number(result)}",
    )  # fmt: skip


def _fine_curve(analysis: Analysis) -> Complexes:
    f = analysis.spectrum.frequency_hz
    return parse_circuit(analysis.fit.circuit).impedance_ohm(analysis.fit.values, np.geomspace(f[0], f[-1], 300))


def describe_number(result: Transference) -> str:
    """Return a transference number in a line."""
    value, low, high = result.t_plus
    if result.upper_bound:
        return f"t+ ≤ {high:.2f}"
    return f"t+ = {value:.2f}, {low:.2f} to {high:.2f}" if np.isfinite(value) else "no transference number"


def draw_samples(samples: Sequence[Sample], folder: Path, *, files: FigureFiles = AS_USUAL) -> tuple[Failure, ...]:
    """Draw the figures of samples into a folder; one that cannot be drawn is a failure, and the others are drawn."""
    from phonolyte.figures.style import save

    failures = []
    for sample, stem in zip(samples, name_figures([sample.label for sample in samples]), strict=True):
        try:
            save(plot_polarization(sample), folder / stem, files=files)
        except Exception as error:  # matplotlib can raise anything, and the other figures are drawn
            failures.append(Failure.from_error(error, material_id=sample.label, stage=STAGE))
    return tuple(failures)


def name_figures(labels: Sequence[str]) -> list[str]:
    """Return the stem of each figure of samples, by their labels: safe in any file system, each once."""
    stems: list[str] = []
    for number, label in enumerate(labels, start=1):
        stem = re.sub(r"[^\w.()-]", "_", label)[:80] or "sample"
        taken = stem.lower() in (each.lower() for each in stems)
        stems.append(f"{stem}-{number}" if taken else stem)
    return stems


def _trace(curve: Curve, decay: Decay) -> Trace:
    from phonolyte.figures.polarization import Trace

    thin = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), MOST_POINTS)).astype(int))
    fine = np.linspace(decay.from_s, decay.duration_s, 400)
    return Trace(
        curve.time_s[thin], curve.current_a[thin], fine, decay.current_a(fine), curve.voltage_v, decay.steady_a,
        decay.low_a, decay.high_a, decay.settled,
    )  # fmt: skip
