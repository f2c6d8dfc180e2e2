"""Polarization curves from files of instruments: CSV, BioLogic ``.mpt`` and ``.mpr``, Gamry ``.DTA``, workbooks.

They are read by the readers of spectra, with other names of columns. A file may hold many voltages: one after another,
in steps, curves, or on sheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import CurveError, SpectrumError
from phonolyte.impedance.blocks import Block
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.headers import Column
from phonolyte.impedance.pages import read_pages
from phonolyte.impedance.spectrum import name_sweep
from phonolyte.impedance.temperature import find_temperature, read_name, read_words
from phonolyte.polarization.curve import Curve
from phonolyte.polarization.holds import POTENTIOSTATIC, split_holds
from phonolyte.polarization.names import CURVES, add_unit
from phonolyte.units import ZERO_C_K

SUFFIXES = (".pssession", ".dfr", ".idf", ".ids")
"""Formats whose readers give spectra only."""

_DEGREES = re.compile(r"(?<![\d.,A-Za-z])-?\d{1,4}(?:[.,]\d+)?\s*_?(?:°\s*C|degC|C|K)(?![A-Za-z])")
_VOLTAGE = re.compile(r"(?<![\d.,A-Za-z])([-+]?\d+(?:[.,]\d+)?)\s*_?(m?)V(?![A-Za-z])")


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """Rows of one voltage as a file has them: not yet checked; attributes as of :class:`Curve`."""

    name: str
    number: int
    time_s: Floats
    current_a: Floats
    voltage_v: float
    voltage_std_v: float
    temperature_k: float | None
    notes: tuple[str, ...]
    source: str
    sample: str

    @property
    def label(self) -> str:
        """Name of the hold in tables."""
        return name_sweep(self.name, self.number)

    def to_curve(self, geometry: Geometry | None = None) -> Curve:
        """Curve of the hold.

        Raises
        ------
        CurveError
            For values that are not a polarization curve.
        """
        return Curve.from_arrays(
            self.name, self.time_s, self.current_a, self.voltage_v, number=self.number, sample=self.sample,
            voltage_std_v=self.voltage_std_v, temperature_k=self.temperature_k, notes=self.notes, source=self.source,
            geometry=geometry,
        )  # fmt: skip


def read_curves(
    path: str | Path, *, voltage_v: float | None = None, current_unit: str = "", geometry: Geometry | None = None
) -> list[Curve]:
    """Read the polarization curves of a file, one a voltage that is held.

    Parameters
    ----------
    path
        Text with headers for time and current (and voltage), a workbook, or ``.mpr``.
    voltage_v
        Voltage of a file without a column of it; default: what its name says.
    current_unit
        Such as ``nA``, where the file does not state it, or states it wrong.
    geometry
        Size of the pellet.

    Raises
    ------
    CurveError
        For a file that holds no polarization curve, and one that cannot be used.
    MissingExtraError
        For a format whose reader is not installed.
    """
    holds = list_holds(path, voltage_v=voltage_v, current_unit=current_unit)
    return [hold.to_curve(geometry) for hold in holds]


def list_holds(path: str | Path, *, voltage_v: float | None = None, current_unit: str = "") -> list[Hold]:
    """List the holds of a file, unchecked, so that one that cannot be used costs the others nothing.

    Arguments and errors are those of :func:`read_curves`.
    """
    path = Path(path)
    if path.suffix.lower() in SUFFIXES:
        raise CurveError(f"{path.name} is read for spectra only", fix="Export time, current and voltage as text.")
    try:
        pages, notes = read_pages(path, CURVES)
    except SpectrumError as error:
        raise CurveError(error.what, why=error.why, fix=error.fix) from None
    preface = read_words(pages[0].lines)
    holds = [
        hold for page in pages for block in page.blocks
        for hold in _read_block(block, path, voltage_v, current_unit, preface)
    ]  # fmt: skip
    if not holds:
        raise CurveError(
            f"{path.name} holds no voltage", why="all of its rows are at open circuit or at a set current",
            fix="Give the file of chronoamperometry.",
        )  # fmt: skip
    return [replace(hold, number=number, notes=(*notes, *hold.notes)) for number, hold in enumerate(holds, start=1)]


def _read_block(
    block: Block, path: Path, given_v: float | None, current_unit: str, preface: float | None
) -> Iterator[Hold]:
    """Holds of one block of numbers."""
    notes = list(block.notes)
    time = _in_seconds(_choose(block.columns, "time", notes), notes)
    current = _in_ampere(_choose(block.columns, "current", notes), current_unit, path.name)
    measured, control, mode, warmth = (
        None if column is None else column.read(block.rows)
        for column in (_find(block.columns, kind) for kind in ("voltage", "control", "mode", "temperature"))
    )
    rows = block.rows[np.isfinite(time.read(block.rows))]
    keep = np.isfinite(time.read(block.rows))
    t, i = time.read(rows), current.read(rows)
    measured, control, mode, warmth = (
        None if values is None else values[keep] for values in (measured, control, mode, warmth)
    )
    if mode is not None and not (mode == POTENTIOSTATIC).any():
        return
    steps = [column.read(rows) for column in block.columns if column.kind == "step"]
    holds, more = split_holds(t, measured, control, steps, mode)
    for points in holds:
        volts = _find_voltage(points, measured, control, given_v, path)
        kelvin, guesses = _find_temperature(_find(block.columns, "temperature"), warmth, points, preface, path)
        yield Hold(path.stem, 1, t[points], i[points], volts[0], volts[1], kelvin,
                   (*notes, *more, *volts[2], *guesses), str(path), name_sample(path.stem))  # fmt: skip


def _find(columns: Sequence[Column], kind: str) -> Column | None:
    return next((column for column in columns if column.kind == kind), None)


def _choose(columns: Sequence[Column], kind: str, notes: list[str]) -> Column:
    """First column of a kind that is there, a set value last; a note where there are several."""
    matches = sorted((column for column in columns if column.kind == kind), key=_is_set)
    if len(matches) > 1:
        notes.append(f"the column {matches[0].name!r} was taken, and not {matches[1].name!r}")
    return matches[0]


def _is_set(column: Column) -> bool:
    """Whether a column has what was set, and not what was measured, by its name."""
    return re.match(r"(?:set|applied|nominal|target)\b", column.name.replace("_", " ").lower()) is not None


def _in_seconds(column: Column, notes: list[str]) -> Column:
    if not column.unit:
        notes.append(f"the unit of the column {column.name!r} is not stated: seconds assumed")
    return column


def _in_ampere(column: Column, unit: str, name: str) -> Column:
    """The column with its unit, which must be known: it decides the result by orders of magnitude."""
    if unit:
        column = add_unit(replace(column, unit="", doubt=""), unit)
        if not column.unit or column.doubt:
            raise CurveError(f"{unit!r} is not a unit of current", fix="Give A, mA, uA, nA or pA.")
    if column.doubt:
        raise CurveError(
            f"the column {column.name!r} of {name} is a current density", why=f"its unit is {column.doubt}",
            fix="Export the current, and give the size of the pellet.",
        )  # fmt: skip
    if not column.unit:
        raise CurveError(
            f"the column {column.name!r} of {name} has no unit", why="A, mA and nA are all usual",
            fix="Write it into the header, or give --current-unit.",
        )  # fmt: skip
    return column


def _find_voltage(
    points: Ints, measured: Floats | None, control: Floats | None, given_v: float | None, path: Path
) -> tuple[float, float, tuple[str, ...]]:
    """Voltage of a hold, its standard deviation, and notes: given, measured, set, or in the name of the file.

    Raises
    ------
    CurveError
        Where none of them says it.
    """
    if given_v is not None:
        return given_v, 0.0, ()
    for values in (measured, control):
        if values is not None and np.isfinite(values[points]).any():
            level = values[points][np.isfinite(values[points])]
            spread = 1.4826 * float(np.median(np.abs(level - np.median(level))))
            return float(np.median(level)), spread, ()
    named = {round(float(text.replace(",", ".")) * (1e-3 if milli else 1.0), 9)
             for text, milli in _VOLTAGE.findall(path.stem)}  # fmt: skip
    if len(named) != 1:
        raise CurveError(
            f"the voltage of {path.name} is not known", why="it has no column of it, and its name does not say one"
            if not named else "its name says several", fix="Give --voltage-v, as 0.5 or NAME=0.5.",
        )  # fmt: skip
    volts = named.pop()
    return volts, 0.0, (f"the voltage, {volts:g} V, is from the name of the file",)


def _find_temperature(
    column: Column | None, warmth: Floats | None, points: Ints, preface: float | None, path: Path
) -> tuple[float | None, list[str]]:
    """Temperature of a hold, K: from its column, the lines of the file, or its name."""
    if column is not None and warmth is not None and column.unit:
        kelvin, notes = find_temperature("", (), warmth[points] + (0.0 if column.unit == "K" else ZERO_C_K))
        if kelvin is not None:
            return kelvin, notes
    return (preface, []) if preface is not None else read_name(path.stem)


def name_sample(stem: str) -> str:
    """Return the name of a sample: that of its file without voltage and temperature, so that its files share it."""
    bare = re.sub(r"[\s_.-]{2,}", "_", _DEGREES.sub("", _VOLTAGE.sub("", stem))).strip(" _-.")
    return bare or stem
