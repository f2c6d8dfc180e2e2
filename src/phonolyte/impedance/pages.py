"""Pages of a file: its text, the sheets of a workbook, the measurements of a session, the loops of a binary file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.errors import MissingExtraError, SpectrumError, first_line
from phonolyte.files import usual_recursion
from phonolyte.impedance.blocks import IMPEDANCE, Block, Vocabulary, find_blocks
from phonolyte.impedance.headers import read_header

ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")
LARGEST_BYTES = 50_000_000

MOST_ROWS = 1_000_000
"""Rows of a sheet; a workbook that was packed to mislead has more."""


@dataclass(frozen=True, slots=True)
class Page:
    """Blocks of one text, sheet or measurement.

    Attributes
    ----------
    title
        Name of the sheet or the measurement, empty where the file is one page.
    blocks
        Blocks of numbers.
    lines
        Lines of the text, in which a temperature may stand.
    """

    title: str
    blocks: tuple[Block, ...]
    lines: tuple[str, ...] = ()


def read_pages(path: Path, vocabulary: Vocabulary | None = None) -> tuple[list[Page], list[str]]:
    """Read the pages of a file that hold spectra, or measurements of another vocabulary, and note those that do not.

    Raises
    ------
    SpectrumError
        For a file that cannot be read, or holds no spectrum.
    MissingExtraError
        For a format whose reader is not installed.
    """
    reader = READERS.get(path.suffix.lower(), _read_text)
    _check_size(path)
    if reader is _read_text:
        return [_read_text(path, vocabulary)], []
    try:
        texts = list(reader(path) if reader is not _read_mpr else _read_mpr(path, vocabulary))
    except (SpectrumError, MissingExtraError):
        raise
    except Exception as error:  # a foreign reader on a foreign file
        raise SpectrumError(
            f"{path.name} cannot be read", why=first_line(error) or type(error).__name__, fix="Export it as text."
        ) from None
    return _choose_pages(texts, path.name, vocabulary)


def _choose_pages(
    pages: list[Page | tuple[str, list[str]]], name: str, vocabulary: Vocabulary | None
) -> tuple[list[Page], list[str]]:
    """Pages with measurements, and notes on those without."""
    noun = (vocabulary or IMPEDANCE).noun
    pages_with_spectra: list[Page] = []
    errors: list[SpectrumError] = []
    empty: list[str] = []
    for page in pages:
        if isinstance(page, Page):
            pages_with_spectra.append(page)
            continue
        title, lines = page
        try:
            pages_with_spectra.append(
                Page(title, tuple(find_blocks(lines, f"{name}, {title}", vocabulary)), tuple(lines))
            )
        except SpectrumError as error:
            errors.append(error)
            empty += [title] if any(line.strip() for line in lines) else []
    if not pages_with_spectra:
        raise errors[0] if errors else SpectrumError(f"{name} holds no {noun}", fix="Check what was exported.")
    return pages_with_spectra, [f"without a {noun}: {', '.join(empty)}"] if empty else []


def _read_text(path: Path, vocabulary: Vocabulary | None = None) -> Page:
    lines = decode(path).splitlines()
    return Page("", tuple(find_blocks(lines, path.name, vocabulary)), tuple(lines))


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SpectrumError(f"{path} cannot be read", why=error.strerror or "", fix="Check the path.") from None
    if size > LARGEST_BYTES:
        raise SpectrumError(f"{path.name} is too large for a measurement", fix="Give the export of one measurement.")


def decode(path: Path) -> str:
    """Text of a file, whatever its encoding.

    Raises
    ------
    SpectrumError
        For a file that is not there, and one that is not text.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SpectrumError(f"{path} cannot be read", why=error.strerror or "", fix="Check the path.") from None
    if raw[1:2] == b"\0" and raw[3:4] == b"\0":
        raw = b"\xff\xfe" + raw  # UTF-16 without its mark
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SpectrumError(f"{path.name} is not text", fix="Export it as text.")
    for encoding in ENCODINGS:
        try:
            if encoding != "utf-16" or raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


# Workbooks


def _read_workbook(path: Path, engine: str) -> Iterator[tuple[str, list[str]]]:
    """Sheets of a workbook, their cells with tabs between them."""
    import pandas as pd

    with pd.ExcelFile(path, engine=engine) as book:  # type: ignore[arg-type]
        for name in book.sheet_names:
            cells = book.parse(name, header=None, dtype=object, nrows=MOST_ROWS)
            yield str(name), ["\t".join(map(_write_cell, row)) for row in cells.itertuples(index=False)]


def _write_cell(value: Any) -> str:
    """A cell as text, a number with all of its digits."""
    if value is None or value != value:
        return ""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return repr(float(value)) if number else str(value).replace("\t", " ").replace("\n", " ")


def _read_xlsx(path: Path) -> Iterator[tuple[str, list[str]]]:
    _require("openpyxl", "openpyxl", ".xlsx")
    return _read_workbook(path, "openpyxl")


def _read_ods(path: Path) -> Iterator[tuple[str, list[str]]]:
    _require("odf", "odfpy", ".ods")
    return _read_workbook(path, "odf")


def _require(module: str, package: str, suffix: str) -> None:
    from importlib import import_module

    try:
        import_module(module)
    except ImportError:
        raise MissingExtraError(
            f"{package} is not installed, which reads {suffix}",
            fix="pip install 'phonolyte[sheets]', or export it as text.",
        ) from None


# PalmSens


def _read_session(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Measurements of impedance of a PalmSens session, JSON in UTF-16."""
    text = decode(path).strip("\ufeff\0 \r\n")
    with usual_recursion():
        session = json.loads(text)
    for number, measurement in enumerate(session["Measurements"], start=1):
        columns: dict[str, list[float]] = {}
        for array in measurement["DataSet"]["Values"]:
            unit = str((array.get("Unit") or {}).get("Type", ""))
            kind = next((kind for mark, kind in _SESSION.items() if mark in unit), "")
            if kind and kind not in columns:
                columns[kind] = [float(point["V"]) for point in array["DataValues"]]
        title = str(measurement.get("Title") or f"measurement {number}")
        rows = zip(*columns.values(), strict=True) if len(columns) == len(_SESSION) else ()
        yield title, ["\t".join(columns), *("\t".join(map(repr, row)) for row in rows)]


_SESSION = {"Hertz": "Frequency (Hz)", "ZRe": "Z' (ohm)", "ZIm": "-Z'' (ohm)"}
"""Units of a session, which identify its columns, as headers."""


# BioLogic


def _read_mpr(path: Path, vocabulary: Vocabulary | None = None) -> Iterator[Page]:
    """Loops of a binary file of EC-Lab."""
    names, rows = _load_mpr(path)
    if vocabulary:
        columns = tuple(vocabulary.read(names))
    else:
        columns = tuple(column for index, name in enumerate(names) if (column := read_header(name, index)))
    if columns or not vocabulary:
        yield Page("", (Block(columns, rows),))


def _load_mpr(path: Path) -> tuple[list[str], np.ndarray]:
    """Names and columns of a binary file, with the number of the loop where it has loops."""
    try:
        from galvani import BioLogic
    except ImportError:
        raise MissingExtraError(
            "galvani is not installed, which reads .mpr", fix="pip install galvani, or export it as .mpt"
        ) from None
    try:
        with path.open("rb") as stream:
            file = BioLogic.MPRfile(stream)
    except Exception as error:  # a newer file than it knows
        raise SpectrumError(
            f"{path.name} cannot be read by galvani",
            why=first_line(error) or type(error).__name__,
            fix="Export it as .mpt in EC-Lab, or install a newer galvani.",
        ) from None
    names = [name for name in file.data.dtype.names if np.issubdtype(file.data[name].dtype, np.number)]
    columns = [np.asarray(file.data[name], dtype=float) for name in names]
    starts = getattr(file, "loop_index", None)
    if starts is not None and len(starts) > 1:
        names.append("loop_index")
        columns.append(np.searchsorted(starts, np.arange(len(file.data)), side="right").astype(float))
    return names, np.stack(columns, axis=1)


# Through pyimpspec


def _read_pyimpspec(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Spectra of a format that pyimpspec reads."""
    try:
        import pyimpspec
    except ImportError:
        raise MissingExtraError(
            f"pyimpspec is not installed, which reads {path.suffix}", fix="pip install pyimpspec, or export it as text."
        ) from None
    for data in pyimpspec.parse_data(str(path)):
        points = zip(data.get_frequencies(), data.get_impedances(), strict=True)
        rows = [f"{float(f)!r}\t{float(z.real)!r}\t{float(z.imag)!r}" for f, z in points]
        yield str(data.get_label()), ["Frequency (Hz)\tZ' (ohm)\tZ'' (ohm)", *rows]


READERS: dict[str, Callable[[Path], Any]] = {
    ".mpr": _read_mpr, ".xlsx": _read_xlsx, ".xlsm": _read_xlsx, ".ods": _read_ods, ".pssession": _read_session,
    ".dfr": _read_pyimpspec, ".idf": _read_pyimpspec, ".ids": _read_pyimpspec,
}  # fmt: skip
"""Readers of what is not text, by the ending of the file."""
