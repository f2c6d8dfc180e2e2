"""Tables of distributions of relaxation times: the distributions themselves, and their peaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phonolyte.impedance.conductivity import BOUNDARY_F_CM, ELECTRODE_F_CM
from phonolyte.impedance.tables import make_table

if TYPE_CHECKING:
    from phonolyte.impedance.analysis import Analysis
    from phonolyte.impedance.drt import Distribution
    from phonolyte.impedance.geometry import Geometry
    from phonolyte.impedance.spectrum import Spectrum

COLUMNS = ("file", "sweep", "relaxation_time_s", "gamma_ohm", "gamma_low_ohm", "gamma_high_ohm")


@dataclass(frozen=True, slots=True)
class PeakRow:
    """Row of ``drt_peaks.parquet``: one peak of a distribution; NaN where a value is not known.

    Attributes
    ----------
    file, sweep, temperature_k
        Spectrum.
    peak
        Number of the peak, the fastest is 1.
    process
        What its capacitance is of, where the size of the pellet is known.
    relaxation_time_s, frequency_hz
        Relaxation time, and the frequency at the top of the arc.
    resistance_ohm, resistance_from_ohm, resistance_to_ohm
        Resistance with its interval.
    capacitance_f
        Time over resistance.
    sigma_s_cm
        Conductivity of the resistance.
    """

    file: str
    sweep: int
    temperature_k: float
    peak: int
    process: str
    relaxation_time_s: float
    frequency_hz: float
    resistance_ohm: float
    resistance_from_ohm: float
    resistance_to_ohm: float
    capacitance_f: float
    sigma_s_cm: float


def list_peaks(analyses: Iterable[Analysis], boundary_f_cm: float = BOUNDARY_F_CM) -> pd.DataFrame:
    """Table of ``drt_peaks.parquet``: a row a peak of each spectrum."""
    return make_table((row for analysis in analyses for row in _list_rows(analysis, boundary_f_cm)), PeakRow)


def _list_rows(analysis: Analysis, boundary_f_cm: float) -> list[PeakRow]:
    spectrum, geometry = analysis.spectrum, analysis.spectrum.geometry
    peaks = analysis.distribution.peaks if analysis.distribution else ()
    return [
        PeakRow(
            file=spectrum.name,
            sweep=spectrum.sweep,
            temperature_k=nan if spectrum.temperature_k is None else spectrum.temperature_k,
            peak=number,
            process=name_process(peak.capacitance_f, geometry, boundary_f_cm),
            relaxation_time_s=peak.tau_s,
            frequency_hz=peak.frequency_hz,
            resistance_ohm=peak.resistance_ohm,
            resistance_from_ohm=peak.low_ohm,
            resistance_to_ohm=peak.high_ohm,
            capacitance_f=peak.capacitance_f,
            sigma_s_cm=geometry.conductivity_s_cm(peak.resistance_ohm) if geometry else nan,
        )
        for number, peak in enumerate(peaks, start=1)
    ]


def name_process(capacitance_f: float, geometry: Geometry | None, boundary_f_cm: float = BOUNDARY_F_CM) -> str:
    """Name what a capacitance is of; empty without the size of the pellet, without which it says nothing."""
    if geometry is None:
        return ""
    specific = capacitance_f * geometry.constant_per_cm
    if specific >= ELECTRODE_F_CM:
        return "electrode"
    return "grain_boundary" if specific >= boundary_f_cm else "bulk"


def list_distributions(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Table of ``drt.parquet``: a row a relaxation time of each spectrum."""
    tables = [_make_table(analysis.spectrum, analysis.distribution) for analysis in analyses if analysis.distribution]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _make_table(spectrum: Spectrum, distribution: Distribution) -> pd.DataFrame:
    m = len(distribution.tau_s)
    values = (np.repeat(spectrum.name, m), np.repeat(spectrum.sweep, m), distribution.tau_s, distribution.gamma_ohm,
              distribution.low_ohm, distribution.high_ohm)  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
