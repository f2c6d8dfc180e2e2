"""Spectra from the files of instruments: the header says what a column is; what it does not say is guessed, and noted.

One reader serves text of every instrument, since all have a line that names the columns: CSV, ZIVE, Gamry ``.DTA``,
BioLogic ``.mpt``, ZPlot ``.z``, Autolab, Zahner, Solartron. The binary ``.mpr`` of BioLogic goes through galvani.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import MissingExtraError, SpectrumError
from phonolyte.impedance.spectrum import Spectrum
from phonolyte.impedance.temperature import find_temperature
from phonolyte.units import ZERO_C_K

ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")
QUARTER_TURN = 1.7
"""No phase of a capacitive spectrum is larger in radians; in degrees all are larger somewhere."""

LARGEST_BYTES = 50_000_000

_OTHER = re.compile(r"admittance|capacitance|permittivity|modulus\s+\(m|^[yc]['\"(_ ]|^z2\b|zce|zwe|^error|applied")
"""What looks like an impedance and is not, or is that of another electrode."""

_FOREIGN = re.compile(
    r"admittance|voltage|current|potential|permittivity|capacitance|conductance|susceptance|^[ym]\s*['\"’′]|^eps|^ε|^tan"
    r"|^time|^zeit|^[iue]\b|spannung|strom|admittanz|leitwert|kapazit"
)
"""What columns of other measurements are called."""

_NAMES = {
    "frequency": r"(frequency|freq|fre|frequenz|fréquence)\b|^f\b",
    "time": r"^(time|t\s*/\s*s|elapsed|zeit)",
    "temperature": r"^(temperature|temperatur|température|temp|t\s*[/([]\s*(°?\s*c|k))\b",
    "phase": r"phase|theta|zphz|phz|φ|ϕ|^-?\s*deg",
    "imaginary": r"imagin(ä|ae)rteil|z\s*_?s?(\'\'|\"|”|’’|′′|″)|z\s*_?(imag|img|im|imaginary)\b|\bim(ag)?\s*[(\[]?\s*z"
    r"|impedance\s*imag|^-?\s*imag|^-?\s*im\b|reactance",
    "real": r"realteil|z\s*_?s?(\'|’|′)|z\s*_?(real|re)\b|\bre(al)?\s*[(\[]?\s*z|impedance\s*real"
    r"|^real\b|^re\b|^resistance\b",
    "modulus": r"^impedanz|^betrag|\|\s*z\s*\||z\s*_?(mod|mag|abs|modulus|magnitude)\b|\bmodulus\b"
    r"|^impedance|^z\s*([\[(/]|$)|magnitude",
}
"""What columns are called, the more special names first."""

_UNITS = {"k": 1e3, "m": 1e-3, "M": 1e6, "G": 1e9, "µ": 1e-6, "μ": 1e-6, "": 1.0}
_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eEdD][-+]?\d+)?$|[-+]?nan$|[-+]?inf$", re.IGNORECASE)


_MISSING = re.compile(r"n\.?/?a\.?|#.*|[-–—.*]+|null|none|error|ovl|over(load|flow|range)?", re.IGNORECASE)
"""What stands in a cell instead of a number."""

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(,\d{3})+\.\d")
"""A number with commas between thousands."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of a file holds.

    Attributes
    ----------
    kind
        A key of the names above.
    index
        Where it is.
    factor
        To hertz, ohm, degrees or kelvin; negative for ``-Z''`` and ``-phase``.
    unit
        As stated, empty when it is not.
    """

    kind: str
    index: int
    factor: float
    unit: str


def read_spectrum(path: str | Path, *, frequency_unit: str = "", impedance_unit: str = "") -> Spectrum:
    """Read a spectrum from a file of an instrument.

    Parameters
    ----------
    path
        Text with a header, or ``.mpr``.
    frequency_unit, impedance_unit
        Such as ``kHz`` and ``kohm``, where the file does not say them, or says them wrong.

    Raises
    ------
    SpectrumError
        For a file that holds no spectrum.
    MissingExtraError
        For ``.mpr`` without galvani.
    """
    path = Path(path)
    if path.suffix.lower() == ".mpr":
        return _mpr(path)
    lines = _text(path).splitlines()
    notes: list[str] = []
    columns, rows = _table(lines, path.name, notes)
    given = {
        "frequency": frequency_unit,
        "real": impedance_unit,
        "imaginary": impedance_unit,
        "modulus": impedance_unit,
    }
    for kind, unit in given.items():
        if unit and kind in columns:
            columns[kind] = _with_unit(columns[kind], unit)
    _say_units(columns, notes)

    def values(kind: str) -> Floats:
        return rows[:, columns[kind].index] * columns[kind].factor

    if "real" in columns and "imaginary" in columns:
        impedance = values("real") + 1j * values("imaginary")
    else:
        columns["phase"] = _phase(columns["phase"], rows, notes)
        impedance = values("modulus") * np.exp(1j * np.deg2rad(values("phase")))
    known = values("temperature") + _offset(columns["temperature"]) if "temperature" in columns else None
    temperature, guesses = find_temperature(path.stem, lines, known)
    notes += guesses
    return Spectrum.from_arrays(
        path.stem, values("frequency"), impedance, notes=notes, temperature_k=temperature, source=str(path)
    )


def _table(lines: Sequence[str], name: str, notes: list[str]) -> tuple[dict[str, Column], Floats]:
    """The columns by kind, and the longest block of numbers under their names."""
    lines = _without_thousands(lines, notes)
    headers = list(_headers(lines))
    for at, split in headers:
        below = [line for line in lines[at + 1 :] if line.strip()]
        for cut in (split, _by(";"), _by(","), str.split):  # a header in quotes can stand above rows of another kind
            rows, unread = _numbers([cut(line) for line in below], len(split(lines[at])))
            if unread and len(rows):
                notes.append(f"the table ends before the file: {unread} more lines of numbers are unread")
            if len(rows):
                return _with_row_of_units(_columns(split(lines[at])), split(lines[at + 1])), rows
    if headers:
        raise SpectrumError(
            f"{name} holds no spectrum", why="below the names of its columns no line has three numbers",
            fix="Check what was exported.",
        )  # fmt: skip
    _refuse_others(lines, name)
    commas = not any(";" in line or "\t" in line for line in lines)  # else they stand in numbers
    rows = _longest_block([re.split(r"[;,\s]+" if commas else r"[;\s]+", line.strip()) for line in lines])
    if len(rows) and rows.shape[1] >= 3:
        notes.append(
            "no header names the columns: the first three were taken for frequency, Z' and Z'' "
            "(write a header where they are |Z| and phase)"
        )
        kinds = ("frequency", "real", "imaginary")
        return {kind: Column(kind, index, 1.0, "") for index, kind in enumerate(kinds)}, rows
    raise SpectrumError(
        f"{name} holds no spectrum",
        why="no line names a frequency and an impedance, and there are no three columns of numbers",
        fix="Export it as text with a header such as: frequency (Hz), Z' (ohm), Z'' (ohm).",
    )


def _headers(lines: Sequence[str]) -> Iterator[tuple[int, Callable[[str], list[str]]]]:
    """Lines that name a spectrum's columns, and how each is split."""
    for split in (_by("\t"), _by(";"), _by(","), _by_gaps, str.split):
        for at, line in enumerate(lines):
            if _columns(split(line)):
                yield at, split


def _without_thousands(lines: Sequence[str], notes: list[str]) -> Sequence[str]:
    """The lines without commas between thousands, where a comma and a point in one number show that they are such."""
    separated = [at for at, line in enumerate(lines) if ";" in line or "\t" in line]
    if not any(_THOUSANDS.search(lines[at]) for at in separated):
        return lines
    notes.append("commas in numbers were taken for separators of thousands")
    found = list(lines)
    for at in separated:
        found[at] = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", lines[at])
    return found


def _refuse_others(lines: Sequence[str], name: str) -> None:
    """Columns of numbers are a spectrum only where no header says that they are something else."""
    for line in lines:
        cells = [cell.strip() for cell in re.split(r"[;,\t]|\s{2,}", line) if cell.strip()]
        if len(cells) > 1 and sum(bool(_FOREIGN.search(cell.lower())) for cell in cells) > 1:
            raise SpectrumError(
                f"{name} holds no impedance",
                why=f"its columns are {', '.join(cells[:6])}",
                fix="Export frequency, Z' and Z'', or |Z| and phase.",
            )


def _columns(cells: Sequence[str]) -> dict[str, Column]:
    """What a header says, where it names a spectrum; empty where it does not."""
    found: dict[str, Column] = {}
    for index, cell in enumerate(cells):
        text = cell.strip().strip('"')
        named = "" if _OTHER.search(text.lower()) else text.lower()
        kind = next((kind for kind, names in _NAMES.items() if re.search(names, named)), None)
        if kind and kind not in found:
            unit = _unit(text, kind)
            sign = -1.0 if kind in ("imaginary", "phase") and text.lstrip().startswith(("-", "−", "–")) else 1.0
            found[kind] = Column(kind, index, sign * _factor(unit, kind), unit)
    polar = {"modulus", "phase"} <= set(found)
    cartesian = {"real", "imaginary"} <= set(found)
    return found if "frequency" in found and (polar or cartesian) else {}


def _with_row_of_units(columns: dict[str, Column], cells: Sequence[str]) -> dict[str, Column]:
    """The columns with the units of the line below their names, where that is one of units, as Gamry writes it."""
    found = dict(columns)
    for kind, column in columns.items():
        unit = _unit(cells[column.index], kind) if column.index < len(cells) and not column.unit else ""
        if unit and _number(cells[column.index]) is None:
            found[kind] = Column(kind, column.index, column.factor * _factor(unit, kind), unit)
    return found


def _unit(text: str, kind: str) -> str:
    pattern = {
        "frequency": r"([kMGmµμ]?)hz",
        "phase": r"(grad|deg|°|rad)",
        "temperature": r"(°?\s*c|k)\b",
    }.get(kind, r"(?<![A-Za-z])([kMGmµμ]?)\s*(?:ohms?|Ω|Ω)")
    found = re.search(pattern, text, re.IGNORECASE)
    return found.group(0).strip() if found else ""


def _factor(unit: str, kind: str) -> float:
    if kind == "phase":
        return float(np.rad2deg(1.0)) if unit.lower() == "rad" else 1.0
    if kind in ("temperature", "time") or not unit:
        return 1.0
    prefix = re.match(r"([kKMGmµμ]?)\s*(?:hz|ohm|Ω|Ω)", unit, re.IGNORECASE)
    return _UNITS.get(prefix.group(1).replace("K", "k"), 1.0) if prefix else 1.0


def _with_unit(column: Column, unit: str) -> Column:
    factor = _factor(unit, column.kind)
    if not re.match(r"[kKMGmµμ]?\s*(hz|ohms?|Ω|Ω)$", unit, re.IGNORECASE):
        raise SpectrumError(f"{unit!r} is not a unit of a spectrum", fix="Give Hz, kHz, MHz, ohm, kohm or Mohm.")
    return Column(column.kind, column.index, np.sign(column.factor) * factor, unit)


def _phase(column: Column, rows: Floats, notes: list[str]) -> Column:
    """The column of phases; where it states no unit, by what values say."""
    if column.unit:
        return column
    radians = bool(np.nanmax(np.abs(rows[:, column.index])) <= QUARTER_TURN)
    notes.append(f"the unit of the phase is not stated: {'radians' if radians else 'degrees'} assumed from its values")
    return replace(column, factor=column.factor * float(np.rad2deg(1.0))) if radians else column


def _say_units(columns: dict[str, Column], notes: list[str]) -> None:
    silent = [kind for kind in ("frequency", "real", "modulus") if kind in columns and not columns[kind].unit]
    if silent:
        names = {"frequency": "Hz", "real": "ohm", "modulus": "ohm"}
        notes.append(f"units are not stated: {' and '.join(dict.fromkeys(names[kind] for kind in silent))} assumed")
    scaled = (kind for kind in ("frequency", "real", "modulus") if kind in columns and abs(columns[kind].factor) != 1.0)
    notes += [f"{kind} was in {columns[kind].unit}" for kind in scaled]


def _offset(column: Column) -> float:
    return 0.0 if column.unit.upper().endswith("K") else ZERO_C_K


def _numbers(cells: Sequence[Sequence[str]], width: int) -> tuple[Floats, int]:
    """The first block of numbers, as wide as the header, and how many lines of numbers follow it unread.

    Words between header and block are units or comments. A row of a point that is not there, its cells empty or words
    such as ``n/a``, does not end the block.
    """
    block: list[list[float]] = []
    for at, row in enumerate(cells):
        filled = [cell for cell in row if cell.strip()]
        if _is_point(filled):
            padded = [_number(cell) for cell in row]
            block.append([np.nan if number is None else number for number in (padded + [None] * width)[:width]])
        elif block and row and not filled:
            continue  # a row of separators alone
        elif block and filled and all(_number(cell) is not None or _MISSING.fullmatch(cell.strip()) for cell in filled):
            block.append([np.nan] * width)
        elif block:
            unread = sum(_is_point([cell for cell in later if cell.strip()]) for later in cells[at:])
            return np.array(block, dtype=float), unread
    return np.array(block, dtype=float).reshape(len(block), width), 0


def _is_point(filled: Sequence[str]) -> bool:
    """Whether the cells of a row are numbers, but for a few."""
    numbers = sum(_number(cell) is not None for cell in filled)
    return len(filled) >= 2 and numbers >= max(2, len(filled) - 3)


def _longest_block(cells: Sequence[Sequence[str]]) -> Floats:
    best: list[list[float]] = []
    block: list[list[float]] = []
    for row in [*cells, []]:
        numbers = [_number(cell) for cell in row]
        if len(numbers) >= 3 and None not in numbers and (not block or len(numbers) == len(block[0])):
            block.append([number for number in numbers if number is not None])
        else:
            best, block = max(best, block, key=len), []
    return np.array(best, dtype=float)


def _number(cell: str) -> float | None:
    text = cell.strip().strip('"')
    if not _NUMBER.match(text):
        return None
    return float(text.replace(",", ".").replace("D", "E").replace("d", "e"))


def _by(mark: str) -> Callable[[str], list[str]]:
    return lambda line: line.split(mark) if mark in line else []


def _by_gaps(line: str) -> list[str]:
    """Cells between two spaces or more, so that names may have one."""
    text = line.strip().strip('"').strip()
    return re.split(r"\s{2,}|\t", text) if "  " in text else []


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise SpectrumError(f"{path.name} is too large for a spectrum", fix="Give the export of one spectrum.")
        raw = path.read_bytes()
    except OSError as error:
        raise SpectrumError(f"{path} cannot be read", why=error.strerror or "", fix="Check the path.") from None
    if raw[1:2] == b"\0" and raw[3:4] == b"\0":
        raw = b"\xff\xfe" + raw  # UTF-16 without its mark
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SpectrumError(f"{path.name} is not text", fix="Export the spectrum as text.")
    for encoding in ENCODINGS:
        try:
            if encoding != "utf-16" or raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _mpr(path: Path) -> Spectrum:
    try:
        from galvani import BioLogic
    except ImportError:
        raise MissingExtraError(
            "galvani is not installed, which reads .mpr", fix="pip install galvani, or export it as .mpt"
        ) from None
    try:
        with path.open("rb") as stream:
            data = BioLogic.MPRfile(stream).data
        names = {name.lower(): name for name in data.dtype.names}
        frequency, real = (np.asarray(data[names[key]], dtype=float) for key in ("freq/hz", "re(z)/ohm"))
        imaginary = -np.asarray(data[names["-im(z)/ohm"]], dtype=float)
    except Exception as error:  # a foreign reader on a foreign file
        raise SpectrumError(
            f"{path.name} cannot be read",
            why=str(error).split("\n")[0] or type(error).__name__,
            fix="Export it as text.",
        ) from None
    temperature, notes = find_temperature(path.stem, (), None)
    measured = frequency > 0
    return Spectrum.from_arrays(path.stem, frequency[measured], (real + 1j * imaginary)[measured], notes=notes,
                       temperature_k=temperature, source=str(path))  # fmt: skip
