"""Table of pellets: size, temperature and a note for each file, or for single sweeps of one."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from math import inf, nan
from pathlib import Path

from phonolyte.errors import PhonolyteError, SettingsError
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.pages import decode
from phonolyte.units import ZERO_C_K

COLUMNS = ("file", "thickness_mm", "diameter_mm", "temperature_c", "pressure_mpa", "note")
SHOWN = 5
"""Files that an error names."""


@dataclass(frozen=True, slots=True)
class Pellet:
    """Row of a table of pellets.

    Attributes
    ----------
    file
        Name of a file, with or without its suffix.
    sweep
        Number of the sweep that the row is of, 0 for all sweeps of the file.
    geometry
        Size, None where the row gives none.
    temperature_c
        Temperature, Celsius, None where the row gives none.
    pressure_mpa
        Pressure during the measurement, MPa, None where the row gives none.
    note
        What is to be known of the sample.
    """

    file: str
    sweep: int = 0
    geometry: Geometry | None = None
    temperature_c: float | None = None
    pressure_mpa: float | None = None
    note: str = ""

    def filled(self, whole: Pellet | None) -> Pellet:
        """The row with what it leaves open taken from that of the whole file."""
        if whole is None:
            return self
        more = ("geometry", "temperature_c", "pressure_mpa")
        known = {name: getattr(whole, name) for name in more if getattr(self, name) is None}
        return replace(self, **known, note=self.note or whole.note)

    def names(self, path: Path) -> bool:
        """Whether the row is of a file."""
        return self.file in (path.name, path.stem)


def read_pellets(
    path: str | Path, *, thickness_mm: float | None = None, diameter_mm: float | None = None,
    thickness_std_mm: float = 0.0, diameter_std_mm: float = 0.0,
) -> tuple[Pellet, ...]:  # fmt: skip
    """Read a table of pellets: CSV with the column ``file`` and any of the others.

    Parameters
    ----------
    path
        The table. ``FILE#2`` in ``file`` is the second sweep of a file.
    thickness_mm, diameter_mm
        Size where a row leaves it empty.
    thickness_std_mm, diameter_std_mm
        Standard deviations of all rows.

    Raises
    ------
    SettingsError
        For a table that is not one of pellets, and rows that make no sense.
    """
    path = Path(path)
    pellets = []
    for line, row in _read_rows(path):
        where = f"line {line} of {path.name}"
        thickness, diameter = (
            _number(row.get(key, ""), key, where) or general
            for key, general in (("thickness_mm", thickness_mm), ("diameter_mm", diameter_mm))
        )
        celsius = _number(row.get("temperature_c", ""), "temperature_c", where)
        if celsius is not None and not -ZERO_C_K < celsius < inf:
            raise SettingsError(f"{where}: {celsius} is not a temperature", fix="Write it in Celsius.")
        geometry = None
        if row.get("thickness_mm") or row.get("diameter_mm"):
            geometry = _make_geometry(thickness, diameter, thickness_std_mm, diameter_std_mm, where)
        stem, mark, number = row["file"].rpartition("#")
        sweep = int(number) if mark and number.isdigit() else 0
        pressure = _number(row.get("pressure_mpa", ""), "pressure_mpa", where)
        if pressure is not None and pressure < 0:
            raise SettingsError(f"{where}: pressure_mpa is {pressure}", fix="Write a number, zero without a load.")
        name = stem if sweep else row["file"]
        pellets.append(Pellet(name, sweep, geometry, celsius, pressure, row.get("note", "")))
    return tuple(pellets)


def _make_geometry(
    thickness: float | None, diameter: float | None, thickness_std: float, diameter_std: float, where: str
) -> Geometry:
    if thickness is None or diameter is None:
        missing = "thickness" if thickness is None else "diameter"
        raise SettingsError(f"{where} has no {missing}", fix=f"Fill {missing}_mm, or give --{missing}-mm for all.")
    try:
        return Geometry.from_mm(thickness, diameter_mm=diameter, thickness_std_mm=thickness_std,
                                diameter_std_mm=diameter_std)  # fmt: skip
    except SettingsError as error:
        raise SettingsError(f"{where}: {error.what}", fix=error.fix) from None


def _read_rows(path: Path) -> Iterable[tuple[int, dict[str, str]]]:
    """Lines of the table with their numbers, the cells by column."""
    try:
        text = decode(path)
    except PhonolyteError as error:
        raise SettingsError(error.what, why=error.why, fix="Give a CSV file with --table.") from None
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(StringIO(text), delimiter=mark, strict=True))
    except csv.Error as error:
        raise SettingsError(f"{path.name} is not a table", why=str(error), fix="Write it as CSV.") from None
    names = [name.strip() for name in lines[0]] if lines else []
    _check_names(path, names)
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names) or not cells[names.index("file")].strip():
            raise SettingsError(
                f"line {number} of {path.name} has {len(cells)} cells, and the table {len(names)} columns"
                if len(cells) != len(names) else f"line {number} of {path.name} names no file",
                fix="Write one row a file, and notes with commas in quotes.",
            )  # fmt: skip
        rows.append((number, {name: cell.strip() for name, cell in zip(names, cells, strict=True)}))
    if not rows:
        raise SettingsError(f"{path.name} has no row", fix="Write one row a file.")
    return rows


def _check_names(path: Path, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if "file" not in names or unknown or repeated:
        what = f"the column {unknown[0]!r}, which it cannot have" if unknown else "no column 'file'"
        what = f"the column {repeated[0]!r} twice" if repeated and not unknown else what
        raise SettingsError(f"{path.name} has {what}", fix=f"It may have {', '.join(COLUMNS)}; it needs file.")


def _number(text: str, column: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", ".")) if text.count(",") == 1 and "." not in text else float(text)
    except ValueError:
        value = nan
    if not -inf < value < inf:
        raise SettingsError(f"{where}: {column} is {text!r}", fix="Write a number.")
    if column not in ("temperature_c", "pressure_mpa") and value <= 0:
        raise SettingsError(f"{where}: {column} is {text}", fix="Write a number above zero.")
    return value


def check_pellets(pellets: Sequence[Pellet], files: Sequence[Path], table: Path) -> None:
    """Refuse a table that does not fit the files: each row is of one file, each file has a row.

    Raises
    ------
    SettingsError
        For a row that names no file or several, a file that has no row, and rows that repeat each other.
    """
    for pellet in pellets:
        named = [path for path in files if pellet.names(path)]
        if len(named) != 1:
            what = "names no file" if not named else f"names {len(named)} files"
            raise SettingsError(f"{pellet.file!r} in {table.name} {what}", fix=f"There are {list_some(files)}.")
    owners = Counter((next(path for path in files if pellet.names(path)), pellet.sweep) for pellet in pellets)
    repeated = [path.name for (path, _), n in owners.items() if n > 1]
    if repeated:
        raise SettingsError(f"{table.name} has several rows of {repeated[0]}", fix="Write one row a file or sweep.")
    missing = [path for path in files if not any(pellet.names(path) for pellet in pellets)]
    if missing:
        raise SettingsError(
            f"{table.name} has no row of {list_some(missing)}",
            why=f"{len(files) - len(missing)} of {len(files)} files have one",
            fix="Add the rows, with empty cells where nothing is known.",
        )


def list_some(files: Sequence[Path]) -> str:
    """Names of the first files, for a message."""
    return ", ".join(path.name for path in files[:SHOWN]) + (", ..." if len(files) > SHOWN else "")
