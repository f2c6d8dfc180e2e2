"""Readers: one small function a format, from a file to records of a crystal still unchecked.

Each reader yields ``(material_id or "", make)`` for every structure in its file, where ``make(id)`` builds
the :class:`Crystal` or raises; so one bad record costs one row, not the file.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.errors import ReadError, StructureError
from phonolyte.structures.cif import blocks_with_a_cell, structure_of
from phonolyte.structures.crystal import Crystal, plain
from phonolyte.structures.crystal_table import Record, read_rows

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = Poscar.from_str(text).structure
    yield "", lambda name: Crystal.from_pymatgen(structure, material_id=name)


def read_extxyz(path: Path) -> Iterator[Record]:
    """Extended XYZ, every frame, through ASE."""
    for frame in _frames(_text(path).splitlines()):
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
        count = int(lines[start]) if lines[start].strip().isdigit() else 0
        yield lines[start : start + count + 2]
        start += count + 2


def _from_frame(lines: list[str], name: str) -> Crystal:
    from ase.io import read

    atoms = read(io.StringIO("\n".join(lines) + "\n"), format="extxyz")
    return Crystal.from_ase(atoms, material_id=name)


def read_json(path: Path) -> Iterator[Record]:
    """JSON: a pymatgen structure, a record with one, a list or mapping of them, or an ASE database."""
    text = _text(path)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        if "\n" in text.strip() and error.msg == "Extra data":
            yield from read_jsonl(path)
            return
        raise
    yield from _from_json(data, path)


def read_jsonl(path: Path) -> Iterator[Record]:
    """JSON lines: records with ``material_id`` and ``structure`` (further keys are properties)."""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if line.strip():
            yield from _from_line(line, number, path)


def read_crystal_table(path: Path) -> Iterator[Record]:
    """The crystal table (Parquet): material_id, lattice (9), species, frac_coords (3 n), properties."""
    return read_rows(path)


def read_csv(path: Path) -> Iterator[Record]:
    """CSV with a ``structure`` column that holds pymatgen dictionaries as JSON."""
    import pandas as pd

    table = pd.read_csv(path, sep="\t" if ".tsv" in path.name else ",", dtype=str, keep_default_na=False)
    if "structure" not in table:
        raise ReadError(
            f"{path.name} has no column 'structure'",
            fix="A CSV of crystals needs pymatgen structures as JSON; properties go to --properties.",
        )
    for row in table.to_dict("records"):
        yield _record({str(key): value for key, value in row.items()})


def _from_line(line: str, number: int, path: Path) -> Iterator[Record]:
    name = f"{path.name.partition('.')[0]}-{number}"
    try:
        for inner, make in _from_json(json.loads(line), path):
            yield inner or name, make
    except json.JSONDecodeError as error:
        why = f"{error.msg} at column {error.colno}"
        yield name, _fails(ReadError(f"line {number} of {path.name} is no JSON", why=why, fix="Write it again."))


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
        yield from _ase_database(path)
    elif "structure" in data:
        yield _record(data)
    elif "lattice" in data and "sites" in data:
        yield "", lambda name: Crystal.from_pymatgen(_structure(data), material_id=name)
    elif "positions" in data and "cell" in data:
        yield "", lambda name: Crystal.from_ase(_ase_atoms(data), material_id=name)
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
    name = next((str(data[key]) for key in _ID_KEYS if data.get(key)), "")
    properties = plain({k: v for k, v in data.items() if k not in ("structure", *_ID_KEYS)})
    return name, lambda i: Crystal.from_pymatgen(_structure(data["structure"]), material_id=i, properties=properties)


def _structure(data: Any) -> Any:
    from pymatgen.core.structure import Structure

    if isinstance(data, str):
        data = json.loads(data)
    if not isinstance(data, dict) or "lattice" not in data or "sites" not in data:
        raise ReadError(
            "the structure is no pymatgen dictionary",
            why="it has no 'lattice' and 'sites'",
            fix="Write it with Structure.as_dict().",
        )
    return Structure.from_dict(data)


def _ase_atoms(data: Mapping[str, Any]) -> Any:
    from ase import Atoms

    numbers = data["numbers"]
    return Atoms(
        numbers=np.asarray(numbers, int),
        positions=data["positions"],
        cell=data["cell"],
        pbc=data.get("pbc", True),
    )


def _ase_database(path: Path) -> Iterator[Record]:
    from ase.io.jsonio import decode

    data = decode(_text(path), always_array=False)
    for key in data["ids"]:
        row = data[key] if key in data else data[str(key)]
        name = row.get("key_value_pairs", {}).get("material_id") or f"{path.stem}-{key}"
        yield str(name), lambda i, r=row: Crystal.from_ase(_ase_atoms(r), material_id=i)  # type: ignore[misc]


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
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    if b"\0" in raw:
        raise ReadError(f"{path.name} is a binary file", fix="Give a text file such as CIF or POSCAR.")
    return raw.decode("utf-8-sig", errors="replace")
