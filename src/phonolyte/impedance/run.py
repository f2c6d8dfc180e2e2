"""Many spectra to tables: each tested, fitted and turned into conductivities; what cannot be read is a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from functools import partial
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.errors import Failure, SettingsError, SpectrumError
from phonolyte.impedance.arrhenius import ArrheniusFit, Form, distinct, fault, regimes
from phonolyte.impedance.circuits import circuit_of
from phonolyte.impedance.conductivity import (
    BOUNDARY_F_CM,
    ELECTRODE_F_CM,
    Geometry,
    Intercept,
    conductivity_s_cm,
    intercept,
    resistances,
)
from phonolyte.impedance.fitting import Fit, Weighting, best_fit, fit
from phonolyte.impedance.readers import read_spectrum
from phonolyte.impedance.spectrum import Spectrum
from phonolyte.impedance.validation import KramersKronig, kramers_kronig
from phonolyte.units import ZERO_C_K

STAGE = "impedance"
FORMS: tuple[Form, ...] = ("ln_sigma_t", "ln_sigma")
SPECTRUM_COLUMNS = (
    "file", "temperature_k", "process", "resistance_ohm", "resistance_low_ohm", "resistance_high_ohm", "capacitance_f",
    "sigma_s_cm", "sigma_std_s_cm", "circuit", "fit_rms", "kramers_kronig", "kramers_kronig_rms", "notes",
)  # fmt: skip


FAR_BEYOND = 3.0
"""Resistances that add up to so many times what was measured are a guess of the circuit."""

FAR_APART = 2.0
"""Factor between the total and what is read off the axis from which on one of both is wrong."""

BOUNDS = {"resistance_ohm": "≥ ", "sigma_s_cm": "≤ "}
"""What stands before the values of a spectrum that ends before the real axis."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read.

    Attributes
    ----------
    temperatures_c
        By the name of the spectrum, or one for all under ``""``; what files say unless given.
    frequency_unit, impedance_unit
        Where files do not say them.
    circuit
        The one to fit; the simplest adequate one unless given.
    weighting
        Of the fit.
    """

    temperatures_c: tuple[tuple[str, float], ...] = ()
    frequency_unit: str = ""
    impedance_unit: str = ""
    circuit: str = ""
    weighting: Weighting = "modulus"


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that is made of one spectrum."""

    spectrum: Spectrum
    test: KramersKronig
    fit: Fit
    tried: Sequence[Fit]
    intercept: Intercept
    notes: tuple[str, ...]

    @property
    def beyond(self) -> float:
        """Resistances of the circuit, as a multiple of the largest impedance that was measured."""
        ohm = sum(self.fit[name] for name in self.fit.names if name.startswith("R"))
        return float(ohm / np.abs(self.spectrum.impedance_ohm).max())

    def rows(self, geometry: Geometry | None, boundary_f_cm: float = BOUNDARY_F_CM) -> list[dict[str, Any]]:
        """One row a process; conductivities where the geometry is known."""
        constant = geometry.constant_per_cm if geometry else None
        shared = {
            "file": self.spectrum.name,
            "temperature_k": self.spectrum.temperature_k,
            "circuit": self.fit.circuit,
            "fit_rms": self.fit.rms,
            "kramers_kronig": self.test.verdict,
            "kramers_kronig_rms": self.test.rms,
            "notes": "; ".join(self.notes),
        }
        parts = resistances(self.fit, constant, boundary_f_cm=boundary_f_cm, rivals=self.tried)
        rows = []
        for process, ohm, low, high, spread, capacitance in parts:
            row: dict[str, Any] = {"process": process, "resistance_ohm": ohm, "resistance_low_ohm": low,
                                   "resistance_high_ohm": high, "capacitance_f": capacitance}  # fmt: skip
            if geometry:
                sigma = conductivity_s_cm(ohm, geometry)
                row |= {"sigma_s_cm": sigma, "sigma_std_s_cm": sigma * float(np.hypot(spread, geometry.relative_std))}
            rows.append({**shared, **row})
        shown = self.intercept
        row = {"process": "intercept" if shown.complete else "at_least", "resistance_ohm": shown.ohm}
        if geometry:
            row["sigma_s_cm"] = conductivity_s_cm(shown.ohm, geometry)
        return [*rows, {**shared, **row}]


def spectrum_files(inputs: Sequence[str]) -> list[Path]:
    """Files from paths, folders and globs, in the order of their names in each.

    Raises
    ------
    SettingsError
        When one of them names nothing.
    """
    found: dict[Path, None] = {}
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        elif path.is_file():
            files = [path]
        else:
            files = [Path(name) for name in sorted(glob(given)) if Path(name).is_file()]
        if not files:
            raise SettingsError(f"{given} names no file", fix="Check the path.")
        found |= dict.fromkeys(files)
    return list(found)


def analyse(spectrum: Spectrum, circuit: str = "", *, weighting: Weighting = "modulus") -> Analysis:
    """Test a spectrum, fit it, and read its resistance off without a fit.

    Raises
    ------
    SpectrumError
        For a circuit that there is not, and spectra that none can be fitted to.
    """
    test = kramers_kronig(spectrum)
    kept = spectrum.without(test.off)
    if circuit:
        found = fit(kept, circuit, weighting=weighting)
        tried = [found]
    else:
        found, tried = best_fit(kept, weighting=weighting)
    found = replace(found, impedance_ohm=circuit_of(found.circuit).impedance_ohm(found.values, spectrum.frequency_hz))
    analysis = Analysis(spectrum, test, found, tried, intercept(kept), spectrum.notes)
    return replace(analysis, notes=(*spectrum.notes, *_remarks(analysis)))


def _remarks(analysis: Analysis) -> list[str]:
    """What whoever reads the result must know."""
    spectrum, test, found, shown = analysis.spectrum, analysis.test, analysis.fit, analysis.intercept
    said = []
    if test.off:
        where = ", ".join(f"{spectrum.frequency_hz[point]:.3g}" for point in test.off)
        said.append(f"points off by the Kramers-Kronig test were left out of the fit: {where} Hz")
    if test.verdict != "good":
        said.append(
            f"the Kramers-Kronig test is {test.verdict}: {test.rms:.1%} of the modulus is left over, "
            f"{test.systematic:.1%} of it is no noise"
        )
    if found.widened > 1:
        said.append(
            f"the circuit leaves {found.rms:.2%} of the modulus, more than noise: "
            f"intervals are {found.widened:.1f} times as wide for it"
        )
    if not found.resolved:
        said.append("the spectrum does not determine all resistances of any circuit: mind the intervals")
    if analysis.beyond > FAR_BEYOND:
        said.append(
            f"the resistances of the circuit add up to {analysis.beyond:.0f} times the largest impedance that "
            "was measured: they are extrapolated"
        )
    if not shown.complete:
        said.append(f"the spectrum ends before it meets the real axis: the resistance is at least {shown.ohm:.3g} ohm")
    return said


def compared(analyses: Sequence[Analysis], geometry: Geometry | None) -> list[Analysis]:
    """The analyses, with a note where the total and what is read off the axis are far apart, and no note says why.

    That is known only of a whole series: with the pellet's size arcs of electrodes are no part of the total.
    """
    boundary = boundary_f_cm(analyses, geometry)
    return [_compared(one, geometry, boundary) for one in analyses]


def _compared(one: Analysis, geometry: Geometry | None, boundary: float) -> Analysis:
    parts = resistances(one.fit, geometry.constant_per_cm if geometry else None, boundary_f_cm=boundary)
    total = next((part.ohm for part in parts if part.process == "total"), None)
    read = one.intercept.ohm
    if total is None or not one.intercept.complete or one.beyond > FAR_BEYOND or read <= 0:
        return one
    if 1 / FAR_APART <= total / read <= FAR_APART:
        return one
    note = f"the total of the circuit, {total:.3g} ohm, is far from what is read off the real axis, {read:.3g} ohm"
    return one if note in one.notes else replace(one, notes=(*one.notes, note))


def analyse_files(
    files: Sequence[Path],
    reading: Reading | None = None,
    *,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Analysis], list[Failure]]:
    """Analyse many files; those that hold no spectrum are failures, and together with the analyses they are all."""
    found, failures = [], []
    work = partial(_one, reading=reading or Reading())
    for result in executor.map(work, files) if executor else map(work, files):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            found.append(result)
        if progress:
            progress(1)
    return _distinct(found), failures


def tables(analyses: Sequence[Analysis], geometry: Geometry | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of ``spectra.parquet`` and, where there are three temperatures, of ``arrhenius.parquet``.

    Their notes are those of the analyses; :func:`compared` adds what a whole series tells.
    """
    boundary = boundary_f_cm(analyses, geometry)
    rows = [row for analysis in analyses for row in analysis.rows(geometry, boundary)]
    spectra = pd.DataFrame(rows).reindex(columns=list(SPECTRUM_COLUMNS))
    spectra = spectra.sort_values(["temperature_k", "file"], kind="stable", ignore_index=True)
    lines = [
        {"process": process, "form": one.form, "regime": f"{number} of {len(found)}", **_line_row(one, part)}
        for process, part in series(spectra).items()
        for form in FORMS
        for found in [arrhenius_of(part, form)]
        for number, one in enumerate(found, start=1)
    ]
    return spectra, pd.DataFrame(lines)


def boundary_f_cm(analyses: Sequence[Analysis], geometry: Geometry | None) -> float:
    """Capacitance, times thickness over area, between bulk and grain boundaries, from spectra that show both.

    So that a series at several temperatures calls one arc by one name, also where the other is not seen.
    """
    if geometry is None:
        return BOUNDARY_F_CM
    each = [[c * geometry.constant_per_cm for _, _, c in analysis.fit.arcs] for analysis in analyses]
    ionic = [[c for c in capacitances if c < ELECTRODE_F_CM] for capacitances in each]
    both = [float(np.log(capacitances).mean()) for capacitances in ionic if len(capacitances) == 2]
    return float(np.exp(np.median(both))) if len(both) >= 2 else BOUNDARY_F_CM


def parameters(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """The table of ``parameters.parquet``: each parameter of each circuit with its 95 % interval."""
    columns = ("file", "circuit", "parameter", "value", "low", "high", "unit")
    rows = [
        (analysis.spectrum.name, analysis.fit.circuit, *row)
        for analysis in analyses
        for row in zip(
            analysis.fit.names,
            analysis.fit.values,
            analysis.fit.low,
            analysis.fit.high,
            analysis.fit.units,
            strict=True,
        )
    ]
    return pd.DataFrame(rows, columns=list(columns))


def series(spectra: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The conductivities of each process that three temperatures at least have."""
    known = spectra[
        spectra["temperature_k"].notna()
        & np.isfinite(spectra["sigma_s_cm"].astype(float))
        & (spectra["sigma_s_cm"] > 0)
        & np.isfinite(spectra["sigma_std_s_cm"].astype(float))
    ]
    parts = {str(process): part.sort_values("temperature_k") for process, part in known.groupby("process")}
    return {
        name: parts[name]
        for name in ("bulk", "grain_boundary", "total")
        if name in parts and distinct(parts[name]["temperature_k"].to_numpy(float)) >= 3
    }


def arrhenius_of(part: pd.DataFrame, form: Form) -> list[ArrheniusFit]:
    """The lines of one process; none where it has none, which must not cost the tables of spectra."""
    sigma = part["sigma_s_cm"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):  # refused below
        spread = part["sigma_std_s_cm"].to_numpy(float) / sigma
    try:
        return regimes(part["temperature_k"].to_numpy(float), sigma, spread, form)
    except (SpectrumError, np.linalg.LinAlgError, ArithmeticError, ValueError):
        return []


def _line_row(found: ArrheniusFit, part: pd.DataFrame) -> dict[str, Any]:
    row = {name: value for name, value in asdict(found).items() if name not in ("form", "outliers", "temperatures_k")}
    low, high = found.temperatures_k
    inside = part[part["temperature_k"].between(low, high)].reset_index(drop=True)
    files = ", ".join(str(inside["file"][i]) for i in found.outliers)
    doubt = fault(found.ea_ev, found.ea_low_ev, found.ea_high_ev)
    return {**row, "from_k": low, "to_k": high, "outliers": files, "fault": doubt}


def _one(file: Path, reading: Reading) -> Analysis | Failure:
    try:
        spectrum = read_spectrum(file, frequency_unit=reading.frequency_unit, impedance_unit=reading.impedance_unit)
        given = dict(reading.temperatures_c)
        if (celsius := given.get(spectrum.name, given.get(file.name, given.get("")))) is not None:
            kept = tuple(note for note in spectrum.notes if "temperature" not in note)
            spectrum = replace(spectrum, temperature_k=celsius + ZERO_C_K, notes=kept)
        return analyse(spectrum, reading.circuit, weighting=reading.weighting)
    except Exception as error:  # a foreign library can raise anything, and the batch goes on
        return Failure.of(error, material_id=file.stem, stage=STAGE, source=str(file))


def _distinct(analyses: Sequence[Analysis]) -> list[Analysis]:
    """Analyses whose names differ: files of one name in different folders get a number."""
    seen: dict[str, int] = {}
    found = []
    for analysis in analyses:
        name = analysis.spectrum.name
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            analysis = replace(analysis, spectrum=replace(analysis.spectrum, name=f"{name} ({seen[name]})"))
        found.append(analysis)
    return found
