"""Spectra from the files of instruments: the header says what a column is; what it does not say is guessed, and noted.

One reader serves text of every instrument, since all have a line that names the columns: CSV, ZIVE, Gamry ``.DTA``,
BioLogic ``.mpt``, ZPlot ``.z``, Autolab, Zahner, Solartron. A file may hold many spectra: below each other, side by
side, on sheets, or in loops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.counts import are, count, were
from phonolyte.errors import SpectrumError
from phonolyte.impedance.blocks import Block
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.headers import OHMIC, Column, add_unit
from phonolyte.impedance.pages import Page, read_pages
from phonolyte.impedance.pressure import read_pressure_name, read_pressure_words
from phonolyte.impedance.quantities import compute_impedance
from phonolyte.impedance.sets import ColumnSet, list_sets
from phonolyte.impedance.spectrum import Complexes, Spectrum, name_sweep
from phonolyte.impedance.sweeps import SHARED, share_decades, split_sweeps
from phonolyte.impedance.temperature import find_temperature, read_name, read_words
from phonolyte.units import ZERO_C_K

HOT_C = 200.0
"""A temperature without a unit is taken for one in Celsius below this; above it may be one in kelvin."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One sweep of a file as it stands there: not yet checked.

    Attributes
    ----------
    name, number
        Name of the file without its suffix, and number of the sweep in it, from 1.
    frequency_hz, impedance_ohm
        Points, (n,).
    temperature_k
        Temperature, where one is known.
    notes
        What was guessed, chosen or assumed.
    source
        Path of the file.
    pressure_mpa
        Pressure, where one is known.
    """

    name: str
    number: int
    frequency_hz: Floats
    impedance_ohm: Complexes
    temperature_k: float | None
    notes: tuple[str, ...]
    source: str
    pressure_mpa: float | None = None

    @property
    def label(self) -> str:
        """Name of the sweep in tables."""
        return name_sweep(self.name, self.number)

    def to_spectrum(self) -> Spectrum:
        """Spectrum of the sweep.

        Raises
        ------
        SpectrumError
            For values that are not a spectrum.
        """
        spectrum = Spectrum.from_arrays(
            self.name, self.frequency_hz, self.impedance_ohm, notes=self.notes, temperature_k=self.temperature_k,
            source=self.source, sweep=self.number,
        )  # fmt: skip
        return replace(spectrum, pressure_mpa=self.pressure_mpa)


def read_spectra(
    path: str | Path, *, frequency_unit: str = "", impedance_unit: str = "", geometry: Geometry | None = None
) -> list[Spectrum]:
    """Read all spectra of a file of an instrument.

    Parameters
    ----------
    path
        Text with headers, a workbook, or one of the formats of :mod:`phonolyte.impedance.pages`.
    frequency_unit, impedance_unit
        Such as ``kHz`` and ``kohm``, where the file does not say them, or says them wrong.
    geometry
        Size of the pellet, for columns that are per area or length.

    Raises
    ------
    SpectrumError
        For a file that holds no spectrum, or one that cannot be used.
    MissingExtraError
        For a format whose reader is not installed.
    """
    sweeps = list_sweeps(path, frequency_unit=frequency_unit, impedance_unit=impedance_unit, geometry=geometry)
    return [sweep.to_spectrum() for sweep in sweeps]


def read_spectrum(
    path: str | Path, *, frequency_unit: str = "", impedance_unit: str = "", geometry: Geometry | None = None
) -> Spectrum:
    """Read the spectrum of a file that has one; arguments as :func:`read_spectra` takes them.

    Raises
    ------
    SpectrumError
        As :func:`read_spectra`, and for a file with several spectra.
    MissingExtraError
        As :func:`read_spectra`.
    """
    sweeps = list_sweeps(path, frequency_unit=frequency_unit, impedance_unit=impedance_unit, geometry=geometry)
    if len(sweeps) > 1:
        raise SpectrumError(f"{Path(path).name} holds {len(sweeps)} spectra", fix="Read them by read_spectra.")
    return sweeps[0].to_spectrum()


def list_sweeps(
    path: str | Path, *, frequency_unit: str = "", impedance_unit: str = "", geometry: Geometry | None = None
) -> list[Sweep]:
    """List the sweeps of a file, unchecked, so that one that is not a spectrum costs the others nothing.

    Arguments and errors are those of :func:`read_spectra`.
    """
    path = Path(path)
    units = Units(frequency_unit, impedance_unit)
    pages, notes = read_pages(path)
    drafts = [draft for page in pages for draft in _read_page(page, units, geometry)]
    last: list[Draft] = []
    for draft in drafts:  # a run below a caption that goes on where the one before ended is not a sweep
        if draft.captioned and last and not _repeats(last[-1], draft):
            unread = f"the table ends before the file: {len(draft.frequency_hz)} more lines of numbers are unread"
            last[-1] = replace(last[-1], notes=(*last[-1].notes, unread))
        else:
            last.append(draft)
    several = len(last) > 1
    return [
        _finish(draft, number, path, (*notes, *draft.notes), several=several) for number, draft in enumerate(last, 1)
    ]


@dataclass(frozen=True, slots=True)
class Units:
    """Units that were given for a file.

    Attributes
    ----------
    frequency, impedance
        Empty where the file is to say them.
    """

    frequency: str = ""
    impedance: str = ""

    def apply(self, column: Column) -> Column:
        """The column in the unit that was given.

        Raises
        ------
        SpectrumError
            For what is not a unit.
        """
        is_frequency = column.kind.endswith("frequency")
        unit = self.frequency if is_frequency else self.impedance if column.kind in OHMIC else ""
        if not unit:
            return column
        pattern = r"[kKMGmµμ]?\s*hz|rad\s*/\s*s" if is_frequency else r"[kKMGTmµμ]?\s*(ohms?|Ω|Ω).*"
        with_unit = add_unit(column, unit)
        if not re.fullmatch(pattern, unit.strip(), re.IGNORECASE) or not with_unit.unit or with_unit.doubt:
            raise SpectrumError(
                f"{unit!r} is not a unit of a spectrum", fix="Give Hz, kHz or MHz; ohm, kohm, Mohm, ohm cm2 or ohm cm."
            )
        return with_unit


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Points of one sweep, and where its temperature may be known from.

    Attributes
    ----------
    frequency_hz, impedance_ohm
        Points, (n,).
    column_k
        Temperatures of the points, K, where there is such a column.
    words
        Temperature that the lines above the sweep state, K.
    names
        Header and name of the sheet, which may have a temperature in them.
    preface
        Temperature that the beginning of the file states, K.
    notes
        As of a sweep.
    captioned
        Whether it stands below a line of words, under the header of the one before.
    shared
        Whether the lines above it are those of other sweeps, too.
    pressure_mpa
        Pressure that a column or lines of words state.
    """

    frequency_hz: Floats
    impedance_ohm: Complexes
    column_k: Floats | None
    words: float | None
    names: tuple[str, ...]
    preface: float | None
    notes: tuple[str, ...]
    captioned: bool
    shared: bool
    pressure_mpa: float | None = None


def _repeats(earlier: Draft, later: Draft) -> bool:
    """Whether a sweep measures again what another one measured."""
    f, g = (draft.frequency_hz[np.isfinite(draft.frequency_hz)] for draft in (earlier, later))
    return not len(f) or not len(g) or g.min() <= 0 or f.min() <= 0 or share_decades(f, g) >= SHARED


def _read_page(page: Page, units: Units, geometry: Geometry | None) -> Iterator[Draft]:
    """Sweeps of a page."""
    later = any(read_words(block.context) is not None for block in page.blocks[1:])
    preface = None if later else read_words(page.blocks[0].context or page.lines)
    for block in page.blocks:
        sets = list_sets([units.apply(column) for column in block.columns], block.above)
        for each in sets:
            for draft in _read_set(each, block, page.title, preface, geometry, several=len(sets) > 1):
                pressure_mpa = draft.pressure_mpa
                if pressure_mpa is None:
                    pressure_mpa = read_pressure_words(page.blocks[0].context or page.lines)
                yield replace(draft, pressure_mpa=pressure_mpa)


def _read_set(
    each: ColumnSet, block: Block, title: str, preface: float | None, geometry: Geometry | None, *, several: bool
) -> Iterator[Draft]:
    """Sweeps of one set of columns of a block."""
    rows = block.rows
    if several:  # columns of several lengths side by side
        rows = rows[np.isfinite(rows[:, [column.index for column in each.chosen.columns]]).any(axis=1)]
    f, z, notes = compute_impedance(each.chosen, rows, geometry)
    notes = [*block.notes, *notes]
    open_circuit = f == 0
    if open_circuit.any() and (f > 0).any():
        n = int(np.count_nonzero(open_circuit))
        notes.append(f"{count(n, 'row')} at 0 Hz {are(n)} of open circuit and {were(n)} left out")
        f, z, rows = f[~open_circuit], z[~open_circuit], rows[~open_circuit]
    kelvin = _read_kelvin(each.temperature, rows, notes) if each.temperature else None
    pressure = _read_pressures(each.pressure, rows, notes)
    usable = np.flatnonzero(np.isfinite(f) & (f > 0))
    if (f <= 0).any() or not len(usable):
        sweeps = [np.arange(len(f))]  # refused when it is checked
    else:
        groups = [column.read(rows)[usable] for column in each.sweeps]
        sweeps, more = split_sweeps(f[usable], groups, None if kelvin is None else kelvin[usable])
        notes += more
        sweeps = [_with_gaps(usable[points], f) for points in sweeps]
    for points in sweeps:
        yield Draft(f[points], z[points], None if kelvin is None else kelvin[points], read_words(block.context),
                    tuple(filter(None, (each.label, title))), preface, tuple(notes), block.captioned,
                    several or len(sweeps) > 1, _find_pressure(pressure, points, block.context))  # fmt: skip


def _read_pressures(column: Column | None, rows: Floats, notes: list[str]) -> Floats | None:
    """Pressures of the rows, MPa; None where there is no column of them, or its unit is not stated."""
    if column is None:
        return None
    if not column.unit:
        notes.append(f"the unit of the column {column.name!r} is not stated: the pressure was not taken")
        return None
    return column.read(rows)


def _find_pressure(values: Floats | None, points: np.ndarray, context: tuple[str, ...]) -> float | None:
    """Pressure of a sweep, MPa, by its column or the lines above it."""
    known = values[points][np.isfinite(values[points])] if values is not None else np.empty(0)
    return float(known.mean()) if len(known) else read_pressure_words(context)


def _with_gaps(points: np.ndarray, f: Floats) -> np.ndarray:
    """The rows of a sweep with those inside of it that have no frequency, so that they are counted."""
    inside = np.arange(points.min(), points.max() + 1)
    return np.sort(np.concatenate((points, inside[~np.isfinite(f[inside])])))


def _read_kelvin(column: Column, rows: Floats, notes: list[str]) -> Floats | None:
    """Temperatures of the rows, K; None where the unit is doubtful."""
    values = column.read(rows)
    unit = column.unit.upper()
    if unit.endswith("K"):
        return values
    if unit.endswith("F"):
        return (values - 32) / 1.8 + ZERO_C_K
    finite = values[np.isfinite(values)]
    if not unit and len(finite) and np.median(finite) > HOT_C:
        notes.append(f"the temperature of the column {column.name!r} has no unit and may be in kelvin: not taken")
        return None
    if not unit:
        notes.append(f"the unit of the column {column.name!r} is not stated: Celsius assumed for the temperature")
    return values + ZERO_C_K


def _finish(draft: Draft, number: int, path: Path, notes: tuple[str, ...], *, several: bool) -> Sweep:
    """Sweep of a draft, with its temperature: from its column, header, caption or sheet, the file or its name."""
    temperature, guesses = find_temperature("", (), draft.column_k)
    if temperature is None:
        temperature = next((kelvin for name in draft.names if (kelvin := read_name(name)[0]) is not None), None)
    if temperature is None and (draft.words or draft.preface):
        temperature = draft.words or draft.preface
        if several and (draft.shared or draft.preface):
            guesses = ["the temperature is stated once, and was taken for several spectra"]
    if temperature is None:
        temperature, guesses = read_name(path.stem, several=several)
    pressure, more = draft.pressure_mpa, list[str]()
    for name in (*draft.names, path.stem):
        if pressure is None:
            pressure, more = read_pressure_name(name)
    return Sweep(
        path.stem, number, draft.frequency_hz, draft.impedance_ohm, temperature, (*notes, *guesses, *more), str(path),
        pressure,
    )  # fmt: skip
