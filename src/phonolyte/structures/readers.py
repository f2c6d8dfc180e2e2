"""Readers: one small function a format, from a file to records of a crystal still unchecked.

Each reader gives ``(material_id or "", make)`` for every structure in its file, where ``make(id)`` builds the
:class:`Crystal` or raises; so one bad record costs one row, not the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from phonolyte.errors import ReadError
from phonolyte.files import open_unpacked, plain_name, read_bytes
from phonolyte.structures.cif import blocks_with_a_cell, crystal_from_cif
from phonolyte.structures.crystal import Crystal
from phonolyte.structures.crystal_table import Record, read_rows
from phonolyte.structures.json_records import ID_KEYS, fail_with, record_of, records_in_json, records_in_lines
from phonolyte.structures.poscar import crystal_from_poscar, frames_of_xdatcar
from phonolyte.structures.programs import frames_of_text, frames_of_trajectory, rows_of_database, text_format

Frame = Literal["first", "last", "all"]
"""Which frames of a trajectory are crystals."""

HEAD = 20_000
"""Bytes of a file that show its format."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads a format.

    Attributes
    ----------
    read
        Gives the records of a file.
    frame
        Frames that count unless others are requested; None for a format whose entries are not frames.
    """

    read: Callable[[Path], Iterable[Record]]
    frame: Frame | None = None

    def records(self, path: Path, frame: Frame | None) -> tuple[list[Record], Exception | None]:
        """The records of a file, of a trajectory those of its requested frames, and the error that ended reading."""
        records: list[Record] = []
        error = None
        try:
            records.extend(self.read(path))
        except Exception as reason:  # a foreign parser can raise anything at a bad file
            error = reason
        chosen = (frame or self.frame) if self.frame else "all"
        return {"first": records[:1], "last": records[-1:], "all": records}[chosen], error


def reader_for(path: Path) -> Reader | None:
    """The reader that suits a file, by content first and name second; None when nothing suits."""
    head = _head(path)
    name = plain_name(path).lower()
    if head.startswith(b"PAR1"):
        return Reader(read_rows)
    if head.startswith(b"SQLite format 3"):
        return Reader(rows_of_database)
    if head.startswith(b"- of Ulm"):
        return Reader(_read_trajectory, "last")
    by_name = next((reader for endings, reader in _BY_NAME.items() if name.endswith(endings)), None)
    if by_name is not None:
        return by_name
    if head.lstrip()[:1] in (b"{", b"["):
        return Reader(_read_json)
    if re.search(rb"(?mi)^\s*data_|^\s*_cell_length_a", head):
        return Reader(_read_cif)
    if re.search(r"(^|[._-])xdatcar", name):
        return Reader(_read_xdatcar, "last")
    if re.search(r"(^|[._-])(poscar|contcar)([._-]|$)|\.vasp$", name):
        return Reader(_read_poscar)
    kind = text_format(head.decode("utf-8", errors="replace"))
    if kind is not None:
        return Reader(partial(_read_text, kind), "last")
    return {"cif": Reader(_read_cif), "mcif": Reader(_read_cif), "parquet": Reader(read_rows)}.get(
        name.rpartition(".")[2]
    )


def _read_cif(path: Path) -> Iterator[Record]:
    """Crystallographic Information File; every data block with a cell is a crystal."""
    blocks = blocks_with_a_cell(_text(path))
    if not blocks:
        raise ReadError(f"{path.name} holds no structure", fix="Give a CIF with a cell and atom sites.")
    return (("", partial(_name, crystal_from_cif, block)) for block in blocks)


def _name(make: Callable[..., Crystal], content: object, name: str) -> Crystal:
    return make(content, material_id=name)


def _read_poscar(path: Path) -> Iterator[Record]:
    """VASP POSCAR or CONTCAR, of version 4 where something names the elements."""
    yield "", partial(_name, crystal_from_poscar, _text(path))


def _read_xdatcar(path: Path) -> Iterator[Record]:
    return (("", make) for make in frames_of_xdatcar(_text(path)))


def _read_trajectory(path: Path) -> Iterator[Record]:
    return (("", make) for make in frames_of_trajectory(path))


def _read_text(kind: str, path: Path) -> Iterator[Record]:
    return (("", make) for make in frames_of_text(_text(path), kind))


def _read_json(path: Path) -> Iterator[Record]:
    return records_in_json(_text(path), path.name)


def _read_jsonl(path: Path) -> Iterator[Record]:
    return records_in_lines(_text(path), path.name)


def _read_extxyz(path: Path) -> Iterator[Record]:
    """Extended XYZ, through ASE; a column ``occupancies`` (also ``occupancy``, ``occ``) has shares of sites."""
    for frame in _frames(_text(path).split("\n")):
        comment = frame[1] if len(frame) > 1 else ""
        matches = (re.search(rf"(?:^|\s){key}=(?:\"([^\"]*)\"|(\S+))", comment) for key in ID_KEYS)
        name = next((match.group(1) or match.group(2) for match in matches if match), "")
        yield name, partial(_from_frame, frame)


def _frames(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Lines of each frame; a frame begins with the number of its atoms, so a bad one does not spoil the next."""
    start = 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        count = int(lines[start]) if re.fullmatch(r"\s*[0-9]{1,9}\s*", lines[start]) else 0
        yield lines[start : start + count + 2]
        start += count + 2


def _from_frame(lines: Sequence[str], name: str) -> Crystal:
    from ase.io import read

    match = re.search(r"(?i)properties=\"?([\w:]*)", lines[1] if len(lines) > 1 else "")
    widths = [int(width) for width in re.findall(r":(\d{1,9})(?::|$)", match.group(1))] if match else []
    if len(lines) > 2 and sum(widths) > len(lines[2].split()):
        raise ReadError(
            "the frame cannot be read",
            why=f"its properties have {sum(widths):,} columns, its first atom {len(lines[2].split())}",
            fix="Write it again.",
        )
    uncharged = [*lines[:2], *(re.sub(r"^(\s*[A-Z][a-z]?)\d*[+-]\d*(?=\s)", r"\1", line) for line in lines[2:])]
    atoms = read(io.StringIO("\n".join(uncharged) + "\n"), format="extxyz")
    return Crystal.from_ase(atoms, material_id=name)


def _read_csv(path: Path) -> Iterator[Record]:
    """CSV with a ``structure`` column that holds pymatgen dictionaries as JSON."""
    csv.field_size_limit(2**31 - 1)
    mark = "\t" if ".tsv" in path.name.lower() else ","
    rows = csv.DictReader(io.StringIO(_text(path)), delimiter=mark, strict=True)
    if "structure" not in (rows.fieldnames or ()):
        raise ReadError(
            f"{path.name} has no column 'structure'",
            fix="A CSV of crystals needs pymatgen structures as JSON; properties go to --properties.",
        )
    for row in rows:
        if None in row:
            why = f"it has more cells than the {len(row) - 1} columns"
            error = ReadError(f"row {rows.line_num} of {path.name} is not a record", why=why, fix="Quote commas.")
            yield "", fail_with(error)
        else:
            yield record_of(dict(row))


_BY_NAME: Mapping[tuple[str, ...], Reader] = {
    (".jsonl", ".ndjson"): Reader(_read_jsonl),
    (".json",): Reader(_read_json),
    (".csv", ".tsv"): Reader(_read_csv),
    (".xyz", ".extxyz"): Reader(_read_extxyz, "all"),
}


def _head(path: Path) -> bytes:
    try:
        with open_unpacked(path) as stream:
            return bytes(stream.read(HEAD))
    except Exception:  # each packer has errors of its own for a damaged file
        return b""


def _text(path: Path) -> str:
    raw = read_bytes(path)
    if b"\0" in raw:
        raise ReadError(f"{path.name} is a binary file", fix="Give a text file such as CIF or POSCAR.")
    return raw.decode("utf-8-sig", errors="replace")
