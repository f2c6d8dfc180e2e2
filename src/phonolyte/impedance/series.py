"""Spectra of one sample, analyzed: the value that tables, notes, figures and the page are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from phonolyte.errors import Failure
from phonolyte.impedance.analysis import Analysis, compare_with_intercept
from phonolyte.impedance.conductivity import BOUNDARY_F_CM, ELECTRODE_F_CM
from phonolyte.impedance.drt_tables import list_distributions, list_peaks
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.notes import list_line_notes, list_series_notes, merge_notes
from phonolyte.impedance.pressure import PressureRow, fit_volumes
from phonolyte.impedance.spectrum import name_sweep
from phonolyte.impedance.tables import (
    ON_LINES,
    ArrheniusRow,
    Line,
    ParameterRow,
    PointRow,
    SpectrumRow,
    fit_lines,
    list_parameter_rows,
    list_spectrum_rows,
    make_table,
)
from phonolyte.notebooks import Shown
from phonolyte.units import ZERO_C_K

STAGE = "impedance"


@dataclass(frozen=True, eq=False, repr=False)
class Series(Shown):
    """Analyses of the spectra of one sample.

    Attributes
    ----------
    analyses
        Analyses of all spectra that could be analyzed; their names differ.
    geometry
        Size of the pellet of those spectra that have none of their own, where it is known.
    failures
        Spectra that could not be analyzed: together with the analyses they are all.
    """

    analyses: tuple[Analysis, ...]
    geometry: Geometry | None = None
    failures: tuple[Failure, ...] = ()

    @classmethod
    def from_analyses(
        cls, analyses: Iterable[Analysis], geometry: Geometry | None = None, failures: Iterable[Failure] = ()
    ) -> Series:
        """Series of some analyses: their names are made to differ, and what only a whole series shows is noted.

        An analysis that has no rows in the tables becomes a failure.
        """
        named = _name_distinctly(_size(analysis, geometry) for analysis in analyses)
        boundary = find_boundary_f_cm(named)
        renamed, lost = [], []
        for analysis in named:
            try:
                compared = compare_with_intercept(analysis, analysis.spectrum.geometry, boundary)
                list_spectrum_rows(compared, boundary)
                renamed.append(compared)
            except Exception as error:  # one spectrum must not end the batch, whatever is wrong with it
                source = analysis.spectrum.source
                lost.append(Failure.from_error(error, material_id=analysis.name, stage=STAGE, source=source))
        return cls(tuple(renamed), geometry, (*failures, *lost))

    def _facts(self) -> dict[str, object]:
        kelvin = [analysis.spectrum.temperature_k for analysis in self.analyses]
        celsius = [f"{value - ZERO_C_K:.0f}" for value in sorted(value for value in kelvin if value is not None)]
        ends = " to ".join(dict.fromkeys((celsius[0], celsius[-1]))) + " °C" if celsius else None
        return {
            "spectra": len(self.analyses), "failures": len(self.failures) or None, "temperatures": ends,
            "pellet": "known" if self.is_sized else "not known",
        }  # fmt: skip

    @property
    def is_sized(self) -> bool:
        """Whether the size of any pellet is known."""
        return any(analysis.spectrum.geometry is not None for analysis in self.analyses)

    @cached_property
    def boundary_f_cm(self) -> float:
        """Capacitance, times thickness over area, from which on an arc is of grain boundaries."""
        return find_boundary_f_cm(self.analyses)

    @cached_property
    def spectra(self) -> pd.DataFrame:
        """Table of ``spectra.parquet``: one row a process and spectrum, the coldest first."""
        rows = [
            row for analysis in self.analyses for row in list_spectrum_rows(analysis, self.boundary_f_cm)
        ]  # fmt: skip
        table = make_table(rows, SpectrumRow)
        return table.sort_values(["temperature_k", "file", "sweep"], kind="stable", ignore_index=True)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """Table of ``parameters.parquet``: each parameter of each circuit with its 95 % interval."""
        return make_table((row for analysis in self.analyses for row in list_parameter_rows(analysis)), ParameterRow)

    @cached_property
    def drt(self) -> pd.DataFrame:
        """Table of ``drt.parquet``: distributions of relaxation times, one row a time."""
        return list_distributions(self.analyses)

    @cached_property
    def drt_peaks(self) -> pd.DataFrame:
        """Table of ``drt_peaks.parquet``: peaks of the distributions, one row a peak."""
        return list_peaks(self.analyses, self.boundary_f_cm)

    @cached_property
    def arrhenius(self) -> pd.DataFrame:
        """Table of ``arrhenius.parquet``: a row a process that has three temperatures, two for two regimes."""
        return make_table((line.row for line in self._lines), ArrheniusRow)

    @cached_property
    def volumes(self) -> pd.DataFrame:
        """Table of ``pressure.parquet``: activation volumes, a row a process and temperature with three pressures."""
        return make_table(fit_volumes(self.spectra, ON_LINES), PressureRow)

    @cached_property
    def points(self) -> pd.DataFrame:
        """Table of ``points.csv``: the conductivities that the lines go through."""
        return make_table((point for line in self._lines for point in line.points), PointRow)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is missing, what cannot be, and which lines are not Arrhenius lines."""
        about = list_series_notes(self.analyses, self.geometry, self.boundary_f_cm)
        return (*about, *list_line_notes(self.spectra, self.arrhenius))

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """Notes on single spectra, those that differ in numbers only once."""
        return tuple(merge_notes(self.analyses))

    @cached_property
    def _lines(self) -> list[Line]:
        return fit_lines(self.spectra)


def _size(analysis: Analysis, geometry: Geometry | None) -> Analysis:
    """The analysis with the size of its pellet, that of the series where it has none of its own."""
    if geometry is None or analysis.spectrum.geometry is not None:
        return analysis
    return replace(analysis, spectrum=replace(analysis.spectrum, geometry=geometry))


def find_boundary_f_cm(analyses: Sequence[Analysis]) -> float:
    """Capacitance, times thickness over area, between bulk and grain boundaries, from spectra that show both.

    So that a series at several temperatures calls one arc by one name, also where the other is not seen.
    """
    each = [
        [c * analysis.spectrum.geometry.constant_per_cm for _, _, c in analysis.fit.arcs]
        for analysis in analyses
        if analysis.spectrum.geometry is not None
    ]
    ionic = [[c for c in capacitances if 0 < c < ELECTRODE_F_CM] for capacitances in each]
    both = [float(np.log(capacitances).mean()) for capacitances in ionic if len(capacitances) == 2]
    return float(np.exp(np.median(both))) if len(both) >= 2 else BOUNDARY_F_CM


def _name_distinctly(analyses: Iterable[Analysis]) -> list[Analysis]:
    """Analyses whose names differ: files of one name in different folders get a number."""
    taken: Counter[str] = Counter()
    named = []
    for analysis in analyses:
        spectrum, number = analysis.spectrum, 1
        while taken[name_sweep(_count(spectrum.name, number), spectrum.sweep)]:
            number += 1
        if number > 1:
            analysis = replace(analysis, spectrum=replace(spectrum, name=_count(spectrum.name, number)))
        taken[analysis.name] += 1
        named.append(analysis)
    return named


def _count(name: str, number: int) -> str:
    return name if number == 1 else f"{name} ({number})"
