"""Files from anywhere: read within bounds, whole, and without running anything that is in them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from numbers import Number
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from phonolyte.errors import ModelError, PhonolyteError, ReadError, TableError

if TYPE_CHECKING:
    import pandas as pd

LARGEST_BYTES = 2 * 1024**3
"""Most that a packed file may hold unpacked: two gibibytes."""

LARGEST_RATIO = 250
"""Most by which a packed file may shrink; tables and structures do so by 3 to 30, zeros alone by 1000."""

SMALL_BYTES = 64 * 1024**2
"""Unpacked size up to which the ratio does not matter."""

DEEPEST = 2000
"""Calls of Python within each other while a file is parsed; Python's own limit is 1000."""

PACKED = (".gz", ".bz2", ".xz", ".zip")
"""Endings of packed files, which are unpacked when they are read."""

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>")
"""Words for a number that is not there; a name may be any of them."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
_CHUNK = 2**20
_DAMAGED = (OSError, EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What packers raise for a file that is missing, cut short, damaged, encrypted or packed in an unknown way."""


def plain_name(path: Path) -> str:
    """Name of a file less the ending of what packs it: ``a.cif`` of ``a.cif.gz``."""
    stem, dot, ending = path.name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in PACKED else path.name


def read_bytes(path: Path, *, error: type[PhonolyteError] = ReadError) -> bytes:
    """Content of a file, unpacked where its name ends in one of :data:`PACKED`.

    Parameters
    ----------
    path
        The file; an archive (``.zip``) must hold one file.
    error
        Class of what is raised.

    Raises
    ------
    PhonolyteError
        When it cannot be read, or unpacks to more than :data:`LARGEST_BYTES` or :data:`LARGEST_RATIO` allow.
    """
    try:
        with open_unpacked(path) as stream:
            return _read_within_bounds(stream, path, error) if plain_name(path) != path.name else stream.read()
    except _DAMAGED as reason:
        why = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        raise error(f"{path} cannot be read", why=why, fix="Check the path, and that the file is whole.") from None


@contextmanager
def open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The content of a file as a stream, unpacked where its name ends in one of :data:`PACKED`."""
    ending = path.suffix.lower()
    with ExitStack() as stack:
        if ending == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(path))
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise zipfile.BadZipFile(f"the archive holds {len(members)} files instead of one: unpack it")
            yield stack.enter_context(archive.open(members[0]))
        else:
            opener: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(ending, open)
            yield stack.enter_context(opener(path, "rb"))


def is_archive(path: Path) -> bool:
    """Whether a file is a ``.zip`` of several files."""
    if path.suffix.lower() != ".zip":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(not member.is_dir() for member in archive.infolist()) > 1
    except _DAMAGED:
        return False


def unpack_archive(path: Path, folder: Path) -> Path:
    """Unpack a ``.zip`` of several files into a new folder within `folder`, which is returned.

    Raises
    ------
    ReadError
        When it is damaged, or unpacks to more than :data:`LARGEST_BYTES` or :data:`LARGEST_RATIO` allow.
    """
    target = folder / "files"
    most = min(LARGEST_BYTES, max(SMALL_BYTES, LARGEST_RATIO * path.stat().st_size))
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > most:
                raise zipfile.BadZipFile(f"{path.stat().st_size:,} bytes unpack to {size:,}")
            archive.extractall(target)  # which keeps names within the folder, and reads no more than is stated
    except _DAMAGED as error:
        raise ReadError(f"{path} cannot be unpacked", why=str(error), fix="Unpack it and give the folder.") from None
    return target


def _read_within_bounds(stream: IO[bytes], path: Path, error: type[PhonolyteError]) -> bytes:
    most = min(LARGEST_BYTES, max(SMALL_BYTES, LARGEST_RATIO * path.stat().st_size))
    chunks, size = [], 0
    while chunk := stream.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise error(
                f"{path.name} is too large unpacked",
                why=f"{path.stat().st_size:,} bytes unpack to more than {most:,}",
                fix="Split it into several files, or unpack it first if it is what it should be.",
            )
    return b"".join(chunks)


def parse_json(text: str) -> Any:
    """The value written as JSON, made of plain dictionaries, lists, text and numbers.

    Raises
    ------
    ValueError
        With the reason: for what is not JSON, a key that comes twice in one dictionary (only the last would count),
        nesting or numbers beyond what Python takes.
    """
    try:
        with usual_recursion():
            return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise ValueError("a number has too many digits" if "digits" in str(error) else str(error)) from None


@contextmanager
def usual_recursion() -> Iterator[None]:
    """Keep Python's limit of recursion near its own while something is parsed.

    symfc, below phonopy, sets it to 100,000, which is beyond the stack: deep nesting would end the process.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit, DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!r} comes twice")
    return record


def read_arrays(path: Path) -> dict[str, Any]:
    """Arrays of an ``.npz`` file, without pickles.

    Raises
    ------
    ModelError
        For a file that is cut short or damaged, holds objects, or unpacks to more than a packed file may.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something that is not an array")
        return arrays
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each have errors of their own for a damaged file
        why = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ModelError(f"{path} is damaged", why=why, fix="Copy it again.") from None


def read_table(path: str | Path, *, names: Sequence[str] = ("material_id", "formula")) -> pd.DataFrame:
    """A table from CSV(.gz), TSV(.gz), Parquet or JSONL(.gz).

    Parameters
    ----------
    path
        The file.
    names
        Columns of text, whose values stay as they are written: ``0012``, ``NaN``. One without a value is empty.

    Raises
    ------
    TableError
        When it cannot be read, or has two columns of one name.
    """
    import pandas as pd

    path = Path(path)
    kind = plain_name(path).lower().rpartition(".")[2]
    try:
        if kind == "parquet":
            table = pd.read_parquet(path)
        elif kind in ("jsonl", "ndjson"):
            table = _lines_table(path)
        else:
            table = _csv_table(path, "\t" if kind == "tsv" else ",", names)
    except PhonolyteError:
        raise
    except Exception as error:  # a foreign parser can raise anything at a bad file
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise TableError(f"{path} cannot be read", why=why, fix="Give CSV, Parquet or JSONL.") from None
    if table.index.name in names and table.index.name not in table:
        table = table.reset_index()
    for name in names:
        if name in table:
            table[name] = table[name].astype(object).where(table[name].notna(), "").map(well_formed)
    return table


def column_names(path: Path) -> list[str]:
    """Names of the columns of a table in CSV(.gz), TSV(.gz) or Parquet, without reading the rest.

    Raises
    ------
    TableError
        When it cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            return list(pq.read_schema(path).names)
        with open_unpacked(path) as stream:
            text = stream.read(_CHUNK).decode("utf-8-sig", errors="replace")
        mark = "\t" if ".tsv" in path.name.lower() else ","
        return next(csv.reader(io.StringIO(text), delimiter=mark), [])
    except Exception as error:  # a foreign parser can raise anything at a bad file
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise TableError(f"{path} cannot be read", why=why, fix="Give CSV or Parquet.") from None


def _csv_table(path: Path, mark: str, names: Sequence[str]) -> pd.DataFrame:
    """A table of delimited text; a row of more cells than there are columns is an error, not another row."""
    import pandas as pd

    text = read_bytes(path, error=TableError).decode("utf-8-sig", errors="replace")
    header = next(csv.reader(io.StringIO(text), delimiter=mark), [])
    repeated = next((name for name in header if name and header.count(name) > 1), None)
    if repeated is not None:
        raise TableError(f"{path.name} has two columns {repeated!r}", fix="Keep one of them.")
    missing = {name: list(MISSING) for name in header if name not in names}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # which says that cells are dropped
        return pd.read_csv(
            io.StringIO(text), sep=mark, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=missing,
            index_col=False,
        )  # fmt: skip


def _lines_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    lines = read_bytes(path, error=TableError).decode("utf-8-sig", errors="replace").split("\n")
    records = [parse_json(line) for line in lines if line.strip()]
    if not all(isinstance(record, dict) for record in records):
        raise TableError(f"{path.name} is not a table", why="a line is not a record", fix="Give a record a line.")
    return pd.DataFrame(records)


def as_numbers(values: pd.Series) -> pd.Series:
    """The values as numbers, NaN where one is not a number; words, dates, lists and truth values are not."""
    if values.dtype.kind in "iuf":
        return values.astype(float)
    return values.astype(object).map(as_number).astype(float)


def as_number(value: Any) -> float:
    """The value as a number, also one written as text; NaN where it is not one."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else float("nan")
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Number):
        return float("nan")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):  # complex, signaling, beyond all floats
        return float("nan")


def as_flag(value: Any) -> bool | None:
    """The value as a truth value, also one written as text or as 0 and 1; None where it is not one."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    number = as_number(value)
    return bool(number) if number in (0.0, 1.0) else None


_FLAGS = {"true": True, "yes": True, "1": True, "1.0": True, "false": False, "no": False, "0": False, "0.0": False}


def well_formed(name: Any) -> str:
    """A name as text that every table can hold: half characters of file systems and JSON become ``?``."""
    return str(name).encode("utf-8", "replace").decode("utf-8")


def files_in(folder: Path, *, leave: Callable[[Path], bool], above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Files of a folder and the folders in it, less hidden ones.

    Parameters
    ----------
    folder
        Where to look.
    leave
        Whether a folder in it is left out.
    above
        Folders on the way here; a link back to one of them is not followed, which would never end.
    """
    on_the_way = above | {folder.resolve()}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and path.resolve() not in on_the_way and not leave(path):
            yield from files_in(path, leave=leave, above=on_the_way)
