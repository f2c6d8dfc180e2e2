"""Rows of the tables of a series: resistances by process, parameters of circuits, Arrhenius lines and their points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phonolyte.errors import SpectrumError
from phonolyte.impedance.arrhenius import (
    FEWEST,
    ArrheniusFit,
    Form,
    count_temperatures,
    find_fault,
    fit_arrhenius,
    fit_regimes,
)
from phonolyte.impedance.conductivity import BOUNDARY_F_CM, Resistance, list_resistances
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.pressure import group_pressures
from phonolyte.impedance.spectrum import name_sweep
from phonolyte.units import NORMAL_95

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from phonolyte.impedance.analysis import Analysis

BOUNDS = {"resistance_ohm": "≥ ", "sigma_s_cm": "≤ "}
"""What stands before the values of a spectrum that ends before the real axis."""

ON_LINES = ("bulk", "grain_boundary", "total")
"""Processes that have Arrhenius lines."""


NO_LINE = ArrheniusFit(
    form="ln_sigma", ea_ev=nan, ea_std_ev=nan, ea_low_ev=nan, ea_high_ev=nan, prefactor=nan, prefactor_low=nan,
    prefactor_high=nan, sigma_25c_s_cm=nan, sigma_25c_low_s_cm=nan, sigma_25c_high_s_cm=nan, outliers=(),
    temperatures_k=(nan, nan), n=0,
)  # fmt: skip
"""What stands beside a line through ln(sigma T) where none through ln(sigma) could be fitted."""


@dataclass(frozen=True, slots=True)
class SpectrumRow:
    """Row of ``spectra.parquet``: one process of one spectrum; NaN where a value is not known."""

    file: str
    sweep: int
    temperature_k: float
    pressure_mpa: float
    process: str
    resistance_ohm: float
    resistance_low_ohm: float
    resistance_high_ohm: float
    area_resistance_ohm_cm2: float
    capacitance_f: float
    sigma_s_cm: float
    sigma_std_s_cm: float
    sigma_low_s_cm: float
    sigma_high_s_cm: float
    circuit: str
    fit_rms: float
    kramers_kronig: str
    kramers_kronig_rms: float
    notes: str


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """Row of ``parameters.parquet``: one parameter of one circuit with its 95 % interval."""

    file: str
    sweep: int
    circuit: str
    parameter: str
    value: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class PointRow:
    """Row of ``points.csv``: one conductivity on an Arrhenius line, or off it."""

    file: str
    sweep: int
    temperature_k: float
    pressure_mpa: float
    process: str
    regime: str
    sigma_s_cm: float
    sigma_std_s_cm: float
    off_line: bool


@dataclass(frozen=True, slots=True)
class ArrheniusRow:
    """Row of ``arrhenius.parquet``: a line through ln(sigma T) of one process, the one through ln(sigma) beside it.

    Attributes
    ----------
    process, regime
        What the line is of; ``"1 of 1"`` unless the process has two lines, the colder one first.
    pressure_mpa
        Pressure of its spectra; NaN where none is known.
    ea_ev, ea_std_ev, ea_low_ev, ea_high_ev
        Activation energy, its standard deviation, and the ends of its 95 % interval.
    prefactor, prefactor_low, prefactor_high
        At infinite temperature, S K/cm; those through ln(sigma) in S/cm.
    sigma_25c_s_cm, sigma_25c_low_s_cm, sigma_25c_high_s_cm
        At 25 degrees Celsius, extrapolated where that is not among the temperatures.
    n, from_k, to_k
        Points, and their lowest and highest temperature.
    outliers, outliers_ln_sigma
        Spectra off the line.
    fault, fault_ln_sigma
        Why the line is not of thermal activation; empty where it is.
    """

    process: str
    regime: str
    pressure_mpa: float
    ea_ev: float
    ea_std_ev: float
    ea_low_ev: float
    ea_high_ev: float
    prefactor: float
    prefactor_low: float
    prefactor_high: float
    sigma_25c_s_cm: float
    sigma_25c_low_s_cm: float
    sigma_25c_high_s_cm: float
    ea_ln_sigma_ev: float
    ea_ln_sigma_std_ev: float
    ea_ln_sigma_low_ev: float
    ea_ln_sigma_high_ev: float
    prefactor_ln_sigma: float
    prefactor_ln_sigma_low: float
    prefactor_ln_sigma_high: float
    sigma_25c_ln_sigma_s_cm: float
    sigma_25c_ln_sigma_low_s_cm: float
    sigma_25c_ln_sigma_high_s_cm: float
    n: int
    from_k: float
    to_k: float
    outliers: str
    fault: str
    outliers_ln_sigma: str
    fault_ln_sigma: str


def make_table(rows: Iterable[DataclassInstance], kind: type[DataclassInstance]) -> pd.DataFrame:
    """Table of rows of one kind; its columns are there without a row, too."""
    return pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(kind)])


def list_spectrum_rows(analysis: Analysis, boundary_f_cm: float = BOUNDARY_F_CM) -> list[SpectrumRow]:
    """One row a process, and one of what is read off without a fit; conductivities where the geometry is known.

    A resistance that the spectrum says nothing of has a row without it; the notes of the analysis say so.
    """
    geometry = analysis.spectrum.geometry
    constant = geometry.constant_per_cm if geometry else None
    resistances = list_resistances(analysis.fit, constant, boundary_f_cm=boundary_f_cm, rivals=analysis.tried)
    blank = _make_blank(analysis)
    rows = []
    for resistance in resistances:
        row = replace(blank, process=resistance.process, capacitance_f=resistance.capacitance_f)
        if resistance.is_known:
            sigma, spread = _compute_conductivity(resistance.ohm, resistance.relative_std, geometry)
            low, high = _compute_interval(resistance, geometry)
            row = replace(row, resistance_ohm=resistance.ohm, resistance_low_ohm=resistance.low_ohm,
                          resistance_high_ohm=resistance.high_ohm,
                          area_resistance_ohm_cm2=_times_area(resistance.ohm, geometry), sigma_s_cm=sigma,
                          sigma_std_s_cm=spread, sigma_low_s_cm=low, sigma_high_s_cm=high)  # fmt: skip
        rows.append(row)
    point = analysis.intercept
    ohm, process = (point.ohm if point.is_resistance else nan), ("intercept" if point.complete else "at_least")
    sigma, _ = _compute_conductivity(ohm, nan, geometry)
    area = _times_area(ohm, geometry)
    return [*rows, replace(blank, process=process, resistance_ohm=ohm, area_resistance_ohm_cm2=area, sigma_s_cm=sigma)]


def _times_area(ohm: float, geometry: Geometry | None) -> float:
    """Area-specific resistance, ohm cm2; NaN where the geometry is not known."""
    return nan if geometry is None else ohm * geometry.area_cm2


def _compute_conductivity(ohm: float, relative_std: float, geometry: Geometry | None) -> tuple[float, float]:
    """Conductivity and its standard deviation, S/cm; NaN where the geometry is not known."""
    if geometry is None:
        return nan, nan
    sigma = geometry.conductivity_s_cm(ohm)
    return sigma, sigma * float(np.hypot(relative_std, geometry.relative_std))


def _compute_interval(resistance: Resistance, geometry: Geometry | None) -> tuple[float, float]:
    """Ends of the 95 % interval of a conductivity, S/cm: that of its resistance, widened by the size of the pellet."""
    if geometry is None:
        return nan, nan
    sigma, of_size = geometry.conductivity_s_cm(resistance.ohm), NORMAL_95 * geometry.relative_std
    below, above = resistance.high_ohm / resistance.ohm, resistance.ohm / resistance.low_ohm
    return sigma * float(np.exp(-np.hypot(np.log(below), of_size))), sigma * float(
        np.exp(np.hypot(np.log(above), of_size))
    )


def _make_blank(analysis: Analysis) -> SpectrumRow:
    """Row with what all processes of a spectrum share."""
    spectrum, test = analysis.spectrum, analysis.test
    return SpectrumRow(
        file=spectrum.name,
        sweep=spectrum.sweep,
        temperature_k=nan if spectrum.temperature_k is None else spectrum.temperature_k,
        pressure_mpa=nan if spectrum.pressure_mpa is None else spectrum.pressure_mpa,
        process="",
        resistance_ohm=nan,
        resistance_low_ohm=nan,
        resistance_high_ohm=nan,
        area_resistance_ohm_cm2=nan,
        capacitance_f=nan,
        sigma_s_cm=nan,
        sigma_std_s_cm=nan,
        sigma_low_s_cm=nan,
        sigma_high_s_cm=nan,
        circuit=analysis.fit.circuit,
        fit_rms=analysis.fit.rms,
        kramers_kronig=test.verdict,
        kramers_kronig_rms=test.rms,
        notes="; ".join(analysis.notes),
    )


def list_parameter_rows(analysis: Analysis) -> list[ParameterRow]:
    """One row a parameter of the circuit."""
    fit = analysis.fit
    rows = zip(fit.names, fit.values.tolist(), fit.low.tolist(), fit.high.tolist(), fit.units, strict=True)
    spectrum = analysis.spectrum
    return [ParameterRow(spectrum.name, spectrum.sweep, fit.circuit, *row) for row in rows]


@dataclass(frozen=True, slots=True)
class Line:
    """Arrhenius line of a process, or of a regime of it, with its points."""

    row: ArrheniusRow
    points: tuple[PointRow, ...]


def split_by_process(spectra: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The conductivities of each process that three temperatures at least have."""
    known = spectra[
        spectra["temperature_k"].notna()
        & np.isfinite(spectra["sigma_s_cm"].astype(float))
        & (spectra["sigma_s_cm"] > 0)
        & np.isfinite(spectra["sigma_std_s_cm"].astype(float))
    ]
    by_process = {
        str(process): points.sort_values("temperature_k", kind="stable") for process, points in known.groupby("process")
    }
    return {
        name: by_process[name]
        for name in ON_LINES
        if name in by_process and count_temperatures(by_process[name]["temperature_k"].to_numpy(float)) >= FEWEST
    }


def fit_lines(spectra: pd.DataFrame) -> list[Line]:
    """Arrhenius lines of all processes; a process that none can be fitted to has none, and costs no other a line.

    Each pressure has lines of its own: one across pressures would mix both.
    """
    return [
        line
        for pressure_mpa, isobar in split_by_pressure(spectra)
        for process, points in split_by_process(isobar).items()
        for line in fit_process(process, points, pressure_mpa)
    ]


def split_by_pressure(spectra: pd.DataFrame) -> list[tuple[float, pd.DataFrame]]:
    """The rows at each pressure, the lowest first; those without one last, as NaN."""
    if "pressure_mpa" not in spectra:  # a table of an earlier version
        return [(nan, spectra)]
    pressures = pd.Series(group_pressures(spectra["pressure_mpa"].to_numpy(float)), index=spectra.index)
    known = [float(value) for value in np.unique(pressures.dropna())]
    parts = [(value, spectra[pressures == value]) for value in known]
    bare = spectra[pressures.isna()]
    return [*parts, (nan, bare)] if len(bare) else parts


def fit_process(process: str, points: pd.DataFrame, pressure_mpa: float = nan) -> list[Line]:
    """Lines through the conductivities of one process at one pressure."""
    regimes = _fit_safely(points, "ln_sigma_t", regimes=True)
    lines = []
    for number, fit in enumerate(regimes, start=1):
        inside = points[points["temperature_k"].between(*fit.temperatures_k)].reset_index(drop=True)
        beside = next(iter(_fit_safely(inside, "ln_sigma", regimes=False)), None)
        line = _make_line(process, f"{number} of {len(regimes)}", inside, fit, beside)
        lines.append(replace(line, row=replace(line.row, pressure_mpa=pressure_mpa)))
    return lines


def _fit_safely(points: pd.DataFrame, form: Form, *, regimes: bool) -> list[ArrheniusFit]:
    t, sigma = points["temperature_k"].to_numpy(float), points["sigma_s_cm"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):  # refused below
        spread = points["sigma_std_s_cm"].to_numpy(float) / sigma
    try:
        return fit_regimes(t, sigma, spread, form) if regimes else [fit_arrhenius(t, sigma, spread, form)]
    except (SpectrumError, np.linalg.LinAlgError, ArithmeticError, ValueError):
        return []


def _make_line(process: str, regime: str, points: pd.DataFrame, fit: ArrheniusFit, beside: ArrheniusFit | None) -> Line:
    files, off = points["file"].astype(str).tolist(), set(fit.outliers)
    names = [name_sweep(file, int(sweep)) for file, sweep in zip(files, points["sweep"], strict=True)]
    pressures = points["pressure_mpa"] if "pressure_mpa" in points else [nan] * len(points)
    numbers = zip(
        files, points["sweep"], points["temperature_k"], pressures, points["sigma_s_cm"], points["sigma_std_s_cm"],
        strict=True,
    )  # fmt: skip
    return Line(
        _make_row(process, regime, fit, beside or NO_LINE, names),
        tuple(
            PointRow(
                name, int(sweep), float(kelvin), float(mpa), process, regime, float(sigma), float(spread), at in off
            )
            for at, (name, sweep, kelvin, mpa, sigma, spread) in enumerate(numbers)
        ),
    )


def _make_row(process: str, regime: str, fit: ArrheniusFit, beside: ArrheniusFit, names: list[str]) -> ArrheniusRow:
    return ArrheniusRow(
        process=process,
        regime=regime,
        pressure_mpa=nan,
        ea_ev=fit.ea_ev,
        ea_std_ev=fit.ea_std_ev,
        ea_low_ev=fit.ea_low_ev,
        ea_high_ev=fit.ea_high_ev,
        prefactor=fit.prefactor,
        prefactor_low=fit.prefactor_low,
        prefactor_high=fit.prefactor_high,
        sigma_25c_s_cm=fit.sigma_25c_s_cm,
        sigma_25c_low_s_cm=fit.sigma_25c_low_s_cm,
        sigma_25c_high_s_cm=fit.sigma_25c_high_s_cm,
        ea_ln_sigma_ev=beside.ea_ev,
        ea_ln_sigma_std_ev=beside.ea_std_ev,
        ea_ln_sigma_low_ev=beside.ea_low_ev,
        ea_ln_sigma_high_ev=beside.ea_high_ev,
        prefactor_ln_sigma=beside.prefactor,
        prefactor_ln_sigma_low=beside.prefactor_low,
        prefactor_ln_sigma_high=beside.prefactor_high,
        sigma_25c_ln_sigma_s_cm=beside.sigma_25c_s_cm,
        sigma_25c_ln_sigma_low_s_cm=beside.sigma_25c_low_s_cm,
        sigma_25c_ln_sigma_high_s_cm=beside.sigma_25c_high_s_cm,
        n=fit.n,
        from_k=fit.temperatures_k[0],
        to_k=fit.temperatures_k[1],
        outliers=", ".join(names[i] for i in fit.outliers),
        fault=find_fault(fit.ea_ev, fit.ea_low_ev, fit.ea_high_ev),
        outliers_ln_sigma=", ".join(names[i] for i in beside.outliers),
        fault_ln_sigma=find_fault(beside.ea_ev, beside.ea_low_ev, beside.ea_high_ev),
    )
