"""Pressure on a sample: from a column, the text of a file, or its name; and activation volumes from several of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import SpectrumError
from phonolyte.impedance.arrhenius import CONFIDENCE, FEWEST, fit_line, weigh
from phonolyte.impedance.headers import UNITS_MPA
from phonolyte.impedance.temperature import is_of_measurement
from phonolyte.units import GAS_J_MOL_K

SAME_SHARE, SAME_MPA = 0.05, 0.05
"""Pressures nearer than this share, or than this, are one: a load changes with temperature."""

SAME_K = 2.0
"""Temperatures of one isotherm are at most so far apart: a thermocouple never says the same twice."""

LINES = 200
"""Lines of a file in which a pressure is looked for."""

_UNIT = r"(GPa|MPa|kPa|kbar|bar)"
_NAME = re.compile(rf"(?<![\d.,])(\d+(?:[.,]\d+)?)\s*_?{_UNIT}(?![A-Za-z])", re.IGNORECASE)
_WORDS = re.compile(
    rf"\b(?:pressure|druck)\s*(?:[\[(/]\s*{_UNIT}\s*[\])]?)?\s*[:=,;\s]\s*(\d+(?:[.,]\d+)?)\s*{_UNIT}?(?![A-Za-z])",
    re.IGNORECASE,
)


def read_pressure_words(lines: Sequence[str]) -> float | None:
    """Pressure that lines of words state with its unit, MPa."""
    for line in lines[:LINES]:
        match = _WORDS.search(line)
        if match and (unit := match.group(1) or match.group(3)) and is_of_measurement(line[: match.start()]):
            return float(match.group(2).replace(",", ".")) * UNITS_MPA[unit.lower()]
    return None


def read_pressure_name(stem: str) -> tuple[float | None, list[str]]:
    """Pressure in the name of a file, a sheet or a column, MPa, and a note on it."""
    pressures = {(text.replace(",", "."), unit) for text, unit in _NAME.findall(stem)}
    if len(pressures) > 1:
        return None, [f"the name {stem} says several pressures: none was taken"]
    for text, unit in pressures:
        note = f"the pressure, {text} {unit}, is from the name: it counts as that of the measurement"
        return float(text) * UNITS_MPA[unit.lower()], [note]
    return None, []


def group_pressures(pressures_mpa: Sequence[float] | Floats) -> Floats:
    """Pressures of which those that are one have the value of the lowest; NaN where none is known."""
    values = np.asarray(pressures_mpa, float)
    grouped = values.copy()
    lowest = np.nan
    for value in np.unique(values[np.isfinite(values)]):
        if not value - lowest <= max(SAME_SHARE * abs(value), SAME_MPA):
            lowest = value
        grouped[values == value] = lowest
    return grouped


def name_pressures(table: pd.DataFrame, pressures_mpa: Sequence[float] | Floats) -> pd.DataFrame:
    """The table with the pressure in the name of the process, that of some pressures which is nearest.

    Where there is one pressure, or none is known, names are as they are.
    """
    known = np.unique(np.asarray(pressures_mpa, float))
    if len(known) < 2:
        return table
    names = []
    for process, mpa in zip(table["process"].astype(str), table["pressure_mpa"].astype(float), strict=True):
        nearest = known[int(np.nanargmin(np.abs(known - mpa)))] if np.isfinite(mpa) else np.nan
        pressure = f"{nearest:.4g} MPa" if np.isfinite(nearest) else "no pressure stated"
        names.append(f"{process.replace('_', ' ')}, {pressure}")
    return table.assign(process=names)


@dataclass(frozen=True, slots=True)
class PressureRow:
    """Row of ``pressure.parquet``: conductivity of a process against pressure at one temperature.

    Attributes
    ----------
    process, temperature_k
        What the line is of.
    activation_volume_cm3_mol, activation_volume_std_cm3_mol, activation_volume_low_cm3_mol, \
activation_volume_high_cm3_mol
        Activation volume, its standard deviation, and the ends of its 95 % interval.
    sigma_0mpa_s_cm
        Conductivity without pressure by the line.
    n, from_mpa, to_mpa
        Points, and their lowest and highest pressure.
    """

    process: str
    temperature_k: float
    activation_volume_cm3_mol: float
    activation_volume_std_cm3_mol: float
    activation_volume_low_cm3_mol: float
    activation_volume_high_cm3_mol: float
    sigma_0mpa_s_cm: float
    n: int
    from_mpa: float
    to_mpa: float


def fit_activation_volume(
    process: str,
    temperature_k: float,
    pressures_mpa: Sequence[float] | Floats,
    sigma_s_cm: Sequence[float] | Floats,
    relative_std: Sequence[float] | Floats,
) -> PressureRow:
    """Fit ln(sigma) against pressure at one temperature: its slope times -RT is the activation volume.

    That neglects what compression does to the attempt frequency and the cell (Faka et al., 10.1039/D3YA00424D).

    Raises
    ------
    SpectrumError
        With fewer than three pressures.
    """
    pressure, sigma = np.asarray(pressures_mpa, float), np.asarray(sigma_s_cm, float)
    different = len(np.unique(group_pressures(pressure)))
    if different < FEWEST:
        raise SpectrumError(
            f"an activation volume needs three pressures, there are {different}", fix="Measure more of them."
        )
    line = fit_line(pressure, np.log(sigma), weigh(relative_std))
    times = -GAS_J_MOL_K * temperature_k  # J/(mol MPa) is cm3/mol
    volume, spread = times * line.slope, abs(times) * line.slope_std
    wide = float(stdtrit(len(pressure) - 2, 0.5 + CONFIDENCE / 2)) * spread
    return PressureRow(
        process, temperature_k, volume, spread, volume - wide, volume + wide,
        float(np.exp(np.clip(line.intercept, -700.0, 700.0))), len(pressure), float(pressure.min()),
        float(pressure.max()),
    )  # fmt: skip


def fit_volumes(spectra: pd.DataFrame, processes: Sequence[str]) -> list[PressureRow]:
    """Activation volumes of each process at each temperature that has three pressures, from the table of spectra."""
    return [
        fit_activation_volume(
            process, float(isotherm["temperature_k"].mean()), isotherm["pressure_mpa"].to_numpy(float),
            isotherm["sigma_s_cm"].to_numpy(float),
            (isotherm["sigma_std_s_cm"] / isotherm["sigma_s_cm"]).to_numpy(float),
        )
        for process, isotherm in split_isotherms(spectra, processes)
    ]  # fmt: skip


def _number_isotherms(sorted_k: Floats) -> Ints:
    """Number of the isotherm of each of some temperatures that rise: one is at most :data:`SAME_K` wide."""
    numbers, lowest = np.zeros(len(sorted_k), np.int64), -np.inf
    for at, kelvin in enumerate(sorted_k):
        begins = kelvin - lowest > SAME_K
        lowest = kelvin if begins else lowest
        numbers[at] = (numbers[at - 1] if at else 0) + begins
    return numbers


def split_isotherms(spectra: pd.DataFrame, processes: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Conductivities of each process at each temperature that has three pressures."""
    sigma, spread = spectra["sigma_s_cm"].astype(float), spectra["sigma_std_s_cm"].astype(float)
    known = spectra[(sigma > 0) & np.isfinite(sigma) & np.isfinite(spread) & spectra["pressure_mpa"].notna()
                    & spectra["temperature_k"].notna()]  # fmt: skip
    known = known.sort_values(["temperature_k", "pressure_mpa"], kind="stable")
    for _, isotherm in known.groupby(_number_isotherms(known["temperature_k"].to_numpy(float)), sort=True):
        for process in processes:
            of_process = isotherm[isotherm["process"] == process]
            if len(np.unique(group_pressures(of_process["pressure_mpa"].to_numpy(float)))) >= FEWEST:
                yield process, of_process
