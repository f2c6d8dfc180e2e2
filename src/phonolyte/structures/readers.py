"""Readers: one small function a format, from a file to records of a crystal still unchecked.

Each reader yields ``(material_id or "", make)`` for every structure in its file, where ``make(id)`` builds
the :class:`Crystal` or raises; so one bad record costs one row, not the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from phonolyte.errors import ReadError, StructureError
from phonolyte.files import parse_json, read_bytes
from phonolyte.structures.cif import blocks_with_a_cell, structure_of
from phonolyte.structures.crystal import Crystal, plain
from phonolyte.structures.crystal_table import Record, read_rows
from phonolyte.structures.dictionaries import crystal_from_ase, crystal_from_pymatgen

Reader = Callable[[Path], Iterator[Record]]

_ID_KEYS = ("material_id", "mp_id", "task_id", "id")


def reader_for(path: Path) -> Reader | None:
    """The reader that suits a file, by content first and name second; None when nothing suits."""
    head = _head(path)
    name = path.name.lower().removesuffix(".gz")
    if head.startswith(b"PAR1"):
        return read_crystal_table
    if name.endswith((".jsonl", ".ndjson")):
        return read_jsonl
    if name.endswith(".json") or head.lstrip()[:1] in (b"{", b"["):
        return read_json
    if name.endswith((".csv", ".tsv")):
        return read_csv
    if re.search(rb"(?mi)^\s*data_|^\s*_cell_length_a", head):
        return read_cif
    if _is_poscar_name(path.name):
        return read_poscar
    if name.endswith((".xyz", ".extxyz")):
        return read_extxyz
    if name.endswith((".cif", ".mcif")):
        return read_cif
    if name.endswith(".parquet"):
        return read_crystal_table
    return None


def read_cif(path: Path) -> Iterator[Record]:
    """Crystallographic Information File, through pymatgen; every data block with a cell is a crystal."""
    blocks = blocks_with_a_cell(_text(path))
    if not blocks:
        raise ReadError(f"{path.name} holds no structure", fix="Give a CIF with a cell and atom sites.")
    for block in blocks:
        yield "", lambda name, b=block: Crystal.from_pymatgen(structure_of(b), material_id=name)  # type: ignore[misc]


def read_poscar(path: Path) -> Iterator[Record]:
    """VASP POSCAR or CONTCAR, through pymatgen; element symbols must be in the file."""
    from pymatgen.io.vasp.inputs import Poscar

    text = _text(path)
    lines = text.splitlines()
    if len(lines) < 7:
        raise ReadError(f"{path.name} is no complete POSCAR", why=f"it has {len(lines)} lines", fix="Copy it again.")
    if not re.match(r"\s*[A-Za-z]", lines[5]):
        raise ReadError(
            f"{path.name} names no elements",
            why="line 6 of a VASP 4 POSCAR gives counts only, and guessing elements would be wrong",
            fix="Write the element symbols on a line before the counts (VASP 5 format).",
        )
    counts = re.findall(r"\d+", lines[6])
    if any(len(count) > 9 for count in counts) or sum(map(int, counts)) > len(lines):
        raise ReadError(
            f"{path.name} cannot be read",
            why=f"line 7 counts {lines[6].strip()[:40]} atoms, and the file has {len(lines)} lines",
            fix="Copy it again.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = Poscar.from_str(text).structure
    yield "", lambda name: Crystal.from_pymatgen(structure, material_id=name)


def read_extxyz(path: Path) -> Iterator[Record]:
    """Extended XYZ, every frame, through ASE."""
    for frame in _frames(_text(path).split("\n")):
        comment = frame[1] if len(frame) > 1 else ""
        found = (re.search(rf"(?:^|\s){key}=(?:\"([^\"]*)\"|(\S+))", comment) for key in _ID_KEYS)
        name = next((match.group(1) or match.group(2) for match in found if match), "")
        yield name, lambda i, f=frame: _from_frame(f, i)  # type: ignore[misc]


def _frames(lines: list[str]) -> Iterator[list[str]]:
    """Lines of each frame; a frame begins with the number of its atoms, so a bad one does not spoil the next."""
    start = 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        count = int(lines[start]) if re.fullmatch(r"\s*[0-9]{1,9}\s*", lines[start]) else 0
        yield lines[start : start + count + 2]
        start += count + 2


def _from_frame(lines: list[str], name: str) -> Crystal:
    from ase.io import read

    stated = re.search(r"(?i)properties=\"?([\w:]*)", lines[1] if len(lines) > 1 else "")
    widths = [int(width) for width in re.findall(r":(\d{1,9})(?::|$)", stated.group(1))] if stated else []
    if len(lines) > 2 and sum(widths) > len(lines[2].split()):
        raise ReadError(
            "the frame cannot be read",
            why=f"its properties have {sum(widths):,} columns, its first atom {len(lines[2].split())}",
            fix="Write it again.",
        )
    atoms = read(io.StringIO("\n".join(lines) + "\n"), format="extxyz")
    return Crystal.from_ase(atoms, material_id=name)


def read_json(path: Path) -> Iterator[Record]:
    """JSON: a pymatgen structure, a record with one, a list or mapping of them, or an ASE database."""
    text = _text(path)
    try:
        data = parse_json(text)
    except ValueError as error:
        if _is_first_line_whole(text):
            yield from read_jsonl(path)
            return
        raise ReadError(
            f"{path.name} cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix="Check that the file is complete, or write it again.",
        ) from None
    yield from _from_json(data, path)


def _is_first_line_whole(text: str) -> bool:
    """Whether a text that is not JSON begins with a line that is."""
    first, _, rest = text.strip().partition("\n")
    try:
        return bool(rest.strip()) and isinstance(parse_json(first), (dict, list))
    except ValueError:
        return False


def read_jsonl(path: Path) -> Iterator[Record]:
    """JSON lines: records with ``material_id`` and ``structure`` (further keys are properties)."""
    for number, line in enumerate(_text(path).split("\n"), start=1):  # other ends of lines may stand in a name
        if line.strip():
            yield from _from_line(line, number, path)


def read_crystal_table(path: Path) -> Iterator[Record]:
    """The crystal table (Parquet): material_id, lattice (9), species, frac_coords (3 n), properties."""
    return read_rows(path)


def read_csv(path: Path) -> Iterator[Record]:
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
            yield (
                "",
                _fails(ReadError(f"row {rows.line_num} of {path.name} is no record", why=why, fix="Quote commas.")),
            )
        else:
            yield _record(dict(row))


def _from_line(line: str, number: int, path: Path) -> Iterator[Record]:
    name = f"{path.name.partition('.')[0]}-{number}"
    try:
        records = list(_from_json(parse_json(line), path))
    except ValueError as error:
        yield name, _fails(ReadError(f"line {number} of {path.name} is no JSON", why=str(error), fix="Write it again."))
        return
    for inner, make in records:
        yield inner or name, make


def _from_json(data: Any, path: Path) -> Iterator[Record]:
    if isinstance(data, list):
        for entry in data:
            yield from _from_json(entry, path)
    elif not isinstance(data, dict):
        yield (
            "",
            _fails(
                ReadError(
                    f"{path.name} holds no structure",
                    why=f"a record is {str(data)[:40]!r}",
                    fix="Give pymatgen's as_dict(), or a record with 'material_id' and 'structure'.",
                )
            ),
        )
    elif "ids" in data and "nextid" in data:
        yield from _ase_database(data, path)
    elif "structure" in data:
        yield _record(data)
    elif "lattice" in data and "sites" in data:
        yield "", lambda name: crystal_from_pymatgen(data, material_id=name)
    elif "positions" in data and "cell" in data:
        yield "", lambda name: crystal_from_ase(data, material_id=name)
    elif data and all(isinstance(value, dict) for value in data.values()):
        for name, value in data.items():
            for inner, make in _from_json(value, path):
                yield inner or str(name), make
    else:
        keys = ", ".join(list(map(str, data))[:6]) or "no keys"
        yield (
            "",
            _fails(
                ReadError(
                    f"{path.name} holds no structure",
                    why=f"a record has {keys}",
                    fix="Give pymatgen's as_dict(), or a record with 'material_id' and 'structure'.",
                )
            ),
        )


def _record(data: dict[str, Any]) -> Record:
    name = next((_name(data[key]) for key in _ID_KEYS if _name(data.get(key))), "")
    properties = plain({k: v for k, v in data.items() if k not in ("structure", *_ID_KEYS)})
    return name, lambda i: crystal_from_pymatgen(_structure(data["structure"]), material_id=i, properties=properties)


def _name(value: Any) -> str:
    """A material_id as text; empty where there is none. 0 is a name, NaN is what a table has for none."""
    return "" if value is None or value != value else str(value)


def _structure(data: Any) -> Any:
    """The dictionary of a structure, which a table has as text."""
    if not isinstance(data, str):
        return data
    try:
        return parse_json(data)
    except ValueError as error:
        raise ReadError("the structure is no JSON", why=str(error), fix="Write it with json.dumps.") from None


def _ase_database(data: Mapping[str, Any], path: Path) -> Iterator[Record]:
    """Rows of a database of ASE that was written as JSON; one that is listed and not there is a failure."""
    keys = data["ids"] if isinstance(data["ids"], list) else [data["ids"]]
    for key in keys:
        row = data.get(str(key))
        if not isinstance(row, dict):
            yield f"{path.stem}-{key}", _fails(ReadError(f"{path.name} has no row {key}", fix="Write it again."))
            continue
        pairs = row.get("key_value_pairs")
        name = _name(pairs.get("material_id")) if isinstance(pairs, dict) else ""
        yield name or f"{path.stem}-{key}", lambda i, r=row: crystal_from_ase(r, material_id=i)  # type: ignore[misc]


def _fails(error: StructureError) -> Callable[[str], Crystal]:
    def make(name: str) -> Crystal:
        raise error

    return make


def _is_poscar_name(name: str) -> bool:
    return bool(re.search(r"(?i)(^|[._-])(poscar|contcar)([._-]|$)|\.vasp$", name.removesuffix(".gz")))


def _head(path: Path) -> bytes:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            return bytes(stream.read(20_000))
    except (OSError, EOFError, zlib.error):
        return b""


def _text(path: Path) -> str:
    raw = read_bytes(path)
    if b"\0" in raw:
        raise ReadError(f"{path.name} is a binary file", fix="Give a text file such as CIF or POSCAR.")
    return raw.decode("utf-8-sig", errors="replace")
