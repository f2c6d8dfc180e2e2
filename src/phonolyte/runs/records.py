"""Files of a run folder: written in one step, named safely, read with care; and the record of one crystal."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np
import pandas as pd

from phonolyte.errors import Failure
from phonolyte.structures import Crystal
from phonolyte.structures.crystal_table import crystal_table

Row = Mapping[str, Any]
"""One row of a table: column -> value."""

ITEMS = "items"
"""Folder of a run folder with the record of each crystal."""

RELAXED = "relaxed.parquet"
"""Crystal table of a run folder with the crystals that were computed, where they were relaxed."""

FAILURES = "failures.parquet"
FAILURE_COLUMNS = ("material_id", "stage", "error", "message", "source")

KEPT_CRYSTALS = ("crystal", "ordering")
"""Fields of a record that are crystals."""

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~+-]{0,99}")
_PART = re.compile(r"\..+\.[^/]+-[0-9]+-[0-9a-f]{6}\.partial")
_RESERVED = re.compile(
    r"(?i)(items|dos|jobs|figures|virtual|structures|model|percolation|phonons|barriers|dynamics|stability|elastic|competing"
    r"|neb|con|nul|aux|prn)(\..*)?|.*\.(parquet|csv|toml|json|html|bib|lock|part|partial|yaml|md|npz|log)"
)
"""Names of a run folder that are not those of a crystal, and names that Windows keeps for devices."""


@dataclass(frozen=True, slots=True)
class Record:
    """Result of a calculation for one crystal, as its file in ``items/`` holds it.

    Attributes
    ----------
    row
        Row of the main table of the calculation.
    tables
        Rows of further tables, by the name of their file.
    crystal
        Crystal that was computed, relaxed where the calculation relaxes; None where it is not kept.
    details
        Further values (JSON) that the calculation needs to go on, or to make its row.
    ordering
        Ordered representative that was computed in place of a disordered crystal; None where there was none.
    """

    row: Row
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    crystal: Crystal | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    ordering: Crystal | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` takes."""
        crystals = {name: crystal.row() for name in KEPT_CRYSTALS if (crystal := getattr(self, name)) is not None}
        return {"row": self.row, "tables": self.tables, "details": self.details, **crystals}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a record.

        Raises
        ------
        KeyError, TypeError, StructureError
            When it is not one.
        """
        crystals = {name: Crystal.from_row(row) for name in KEPT_CRYSTALS if (row := data.get(name))}
        return cls(dict(data["row"]), dict(data["tables"]), details=dict(data["details"]), **crystals)


def file_name(material_id: str) -> str:
    """Return a file name for a `material_id`: itself where it is safe, with a checksum where it is not."""
    if _SAFE.fullmatch(material_id) and not _RESERVED.fullmatch(material_id):
        return material_id
    checksum = hashlib.sha256(material_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', material_id)[:60]}-{checksum}"


def folder_of(run: Path, material_id: str) -> Path:
    """Return the folder of a crystal in a run folder."""
    return run / file_name(material_id)


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """Give a file to write, which then replaces another: a kill leaves the old one or the new one, never half.

    An exception leaves the old one, and nothing beside it; a kill may leave a part, for :func:`remove_parts`.
    """
    partial = path.with_name(f".{path.name[:80]}.{socket.gethostname()[:20]}-{os.getpid()}-{uuid4().hex[:6]}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove what killed processes have left half-written in a folder that no other process writes into."""
    for path in folder.rglob(".*.partial"):
        if _PART.fullmatch(path.name):
            path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None where there is none that can be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def write_json(path: Path, record: object, *, indent: int | None = None) -> None:
    """Write JSON in one step."""
    with in_one_step(path) as partial:
        partial.write_text(json.dumps(record, default=_plain, indent=indent) + "\n", encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write text in one step."""
    with in_one_step(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table in one step."""
    with in_one_step(path) as partial:
        table.to_parquet(partial, index=False)


def write_csv(table: pd.DataFrame, path: Path, *, float_format: str | None = None) -> None:
    """Write a table as CSV in one step."""
    with in_one_step(path) as partial:
        table.to_csv(partial, index=False, float_format=float_format)


def write_failure_table(failures: Sequence[Failure], path: Path) -> None:
    """Write a table of failures, also when there are none: an empty table says so."""
    rows = [asdict(failure) for failure in failures]
    write_parquet(pd.DataFrame(rows, columns=list(FAILURE_COLUMNS), dtype=str), path)


def write_crystals(crystals: Sequence[Crystal], path: Path) -> list[str]:
    """Write a crystal table column by column: a screen has a million atoms; returns its columns."""
    from pyarrow import parquet

    table = crystal_table(crystals)
    with in_one_step(path) as partial:
        parquet.write_table(table, partial, compression="zstd")
    return list(table.column_names)


def checksum(path: str | Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    """Plain value of what JSON does not know: numbers of NumPy, crystals never."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return float(value)
