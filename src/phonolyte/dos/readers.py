"""Readers of phonon densities of states, from the files that people have."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.dos.bonds import highest_bond_mode_mev
from phonolyte.dos.density import PhononDos
from phonolyte.dos.frequency import MEV_PER_UNIT, check_phonons, find_unit, mev_per
from phonolyte.dos.numbers import number_table
from phonolyte.dos.programs import CASTEP_MARK, abinit_dos, castep_dos, is_netcdf
from phonolyte.errors import DosError, Failure
from phonolyte.files import parse_json, plain_name, read_bytes, well_formed
from phonolyte.structures.dictionaries import crystal_from_pymatgen

Unit = Literal["meV", "THz", "cm-1", "eV", "K", "Ha", "rad/ps"]

STAGE = "dos"
_INNER = ("phonon_dos", "ph_dos", "dos")
"""Keys of a record under which the Materials Project has had the density of states."""

_UNIT_KEYS = ("unit", "units", "frequency_unit", "frequencies_unit")
_DEFAULT_UNITS = {"phonopy": "THz", "phonopy, projected": "THz", "gpumd": "rad/ps"}
"""Units that programs use unless a comment states another one."""


def read_dos(path: str | Path, *, unit: str | None = None, symbols: Sequence[str] | None = None) -> list[PhononDos]:
    """Read every phonon DOS in a file; its kind is recognized by its content.

    Parameters
    ----------
    path
        JSON of pymatgen's ``PhononDos`` or ``CompletePhononDos`` and of the Materials Project (also JSON lines, also
        packed), phonopy ``total_dos.dat`` or ``projected_dos.dat``, Quantum ESPRESSO ``matdyn`` output, CASTEP
        ``.phonon_dos``, ABINIT ``PHDOS.nc``, GPUMD ``dos.out``, the CSV with columns
        ``mp_id, structure, phfreq, phdos`` (cm^-1), or two columns of text.
    unit
        Unit of the frequencies, for text and JSON that do not state it: one of :data:`Unit`.
    symbols
        Element of each atom, for projected densities in text (one column an atom).

    Raises
    ------
    DosError
        For what cannot be read or makes no sense; :func:`read_all` turns it into rows instead.
    """
    return [_made(make, path) for make in _parts(Path(path), unit, symbols)]


def read_all(
    paths: str | Path | Iterable[str | Path], *, unit: str | None = None, symbols: Sequence[str] | None = None
) -> tuple[list[PhononDos], list[Failure]]:
    """Read many files; what cannot be read becomes a failure, and the rest goes on."""
    densities: list[PhononDos] = []
    failures: list[Failure] = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        try:
            for number, part in enumerate(_parts(Path(path), unit, symbols), start=1):
                try:
                    densities.append(_made(part, path))
                except DosError as error:
                    name = part[0].get("material_id") or f"{Path(path).stem}-{number}"
                    failures.append(_failure(error, name, path))
        except DosError as error:
            failures.append(_failure(error, Path(path).stem, path))
    return densities, failures


def _failure(error: DosError, name: str, path: str | Path) -> Failure:
    return Failure.from_error(error, material_id=well_formed(name), stage=STAGE, source=well_formed(path))


# A part is the keyword arguments of a PhononDos, still unchecked, and where it came from.
Part = tuple[dict[str, Any], str]


def _made(part: Part, path: str | Path) -> PhononDos:
    arguments, kind = part
    if kind.startswith("error: "):
        raise DosError(f"{Path(path).name}: {kind.removeprefix('error: ')}", fix="Repair or remove the record.")
    try:
        return check_phonons(PhononDos(**arguments))
    except DosError as error:
        raise DosError(f"{Path(path).name}: {error.what}", why=error.why, fix=error.fix) from None


def _parts(path: Path, unit: str | None, symbols: Sequence[str] | None) -> Iterator[Part]:
    raw = read_bytes(path, error=DosError)
    name = {"material_id": path.name.partition(".")[0]}
    if is_netcdf(path, raw):
        return iter([(name | abinit_dos(raw, path.name), "abinit")])
    text = _text(raw, path)
    head = text.lstrip()[:2000]
    if head.startswith(("{", "[")):
        return _json_parts(text, path, unit)
    if plain_name(path).endswith(".csv"):
        return _csv_parts(text, path)
    if CASTEP_MARK in text:
        return iter([(name | castep_dos(text, path.name), "castep")])
    return iter([_text_part(text, path, unit, symbols)])


def _text(raw: bytes, path: Path) -> str:
    if b"\0" in raw or not raw.strip():
        raise DosError(
            f"{path.name} holds no phonon DOS",
            why="it is empty" if not raw.strip() else "it is a binary file",
        )
    return raw.decode("utf-8-sig", errors="replace")


def _json_parts(text: str, path: Path, unit: str | None) -> Iterator[Part]:
    try:
        records = parse_json(text)
    except ValueError as error:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2 or not _is_record(lines[0]):
            raise DosError(f"{path.name} is not complete JSON", why=str(error), fix="Write it again.") from None
        for number, line in enumerate(lines, start=1):
            yield from _line_parts(line, number, path, unit)
        return
    yield from _records(records if isinstance(records, list) else [records], path, unit)


def _is_record(line: str) -> bool:
    """Whether a line is JSON of its own."""
    try:
        return isinstance(parse_json(line), (dict, list))
    except ValueError:
        return False


def _line_parts(line: str, number: int, path: Path, unit: str | None) -> Iterator[Part]:
    try:
        record = parse_json(line)
    except ValueError as error:
        yield {"material_id": f"{path.stem}-{number}"}, f"error: line {number} is not JSON ({error})"
        return
    yield from _records([record], path, unit)


def _records(records: list[Any], path: Path, unit: str | None) -> Iterator[Part]:
    for record in records:
        inner = next((record[key] for key in _INNER if key in record), record) if isinstance(record, dict) else None
        if not isinstance(inner, dict) or "frequencies" not in inner or "densities" not in inner:
            name = record.get("material_id") if isinstance(record, dict) else None
            yield {"material_id": well_formed(name or "")}, "error: a record has no 'frequencies' and 'densities'"
            continue
        name = record.get("material_id")
        name = well_formed(path.name.partition(".")[0] if name in (None, "") else name)
        yield _pymatgen_part(inner, name, unit or next((record[key] for key in _UNIT_KEYS if key in record), None))


def _pymatgen_part(record: dict[str, Any], material_id: str, unit: str | None) -> Part:
    """PhononDos or CompletePhononDos as pymatgen writes it: THz unless stated, states per unit and cell."""
    try:
        structure = record.get("structure")
        crystal = crystal_from_pymatgen(structure) if structure else None
        scale = mev_per(unit or "THz")
        projected = record.get("pdos") or record.get("projected_densities") or []
        arguments = {
            "energies_mev": np.array(record["frequencies"], float) * scale,
            "total": np.array(record["densities"], float) / scale,
            "material_id": material_id,
        }
        if crystal is not None:
            arguments |= {"n_atoms": float(len(crystal)), "formula": crystal.formula}
            arguments["highest_bond_mode_mev"] = highest_bond_mode_mev(crystal)
            arguments["per_element"] = _by_element(np.array(projected, float) / scale, crystal.symbols)
        return arguments, "pymatgen"
    except Exception as error:  # a foreign file can hold anything
        return {"material_id": material_id}, f"error: {_said(error)}"


def _csv_parts(text: str, path: Path) -> Iterator[Part]:
    """The public CSV form: frequencies in cm^-1, densities scaled to a maximum of 1."""
    csv.field_size_limit(2**31 - 1)
    try:
        rows = csv.DictReader(io.StringIO(text))
        missing = {"phfreq", "phdos"} - set(rows.fieldnames or ())
        if missing:
            raise DosError(f"{path.name} lacks the columns {', '.join(sorted(missing))}", fix="Give phfreq and phdos.")
        for row in rows:
            name = well_formed(row.get("mp_id") or row.get("material_id") or "")
            try:
                arguments = _csv_part(row, name)
            except Exception as error:  # a foreign file can hold anything
                yield {"material_id": name}, f"error: {_said(error)}"
                continue
            yield arguments, "csv"
    except csv.Error as error:
        raise DosError(f"{path.name} is not CSV", why=str(error), fix="Write it again.") from None


def _csv_part(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    scale = MEV_PER_UNIT["cm-1"]
    crystal = crystal_from_pymatgen(parse_json(row["structure"])) if row.get("structure") else None
    return {
        "energies_mev": np.array(parse_json(row["phfreq"]), float) * scale,
        "total": np.array(parse_json(row["phdos"]), float) / scale,
        "material_id": name,
        "formula": crystal.formula if crystal else row.get("formula") or "",
        "highest_bond_mode_mev": highest_bond_mode_mev(crystal) if crystal else None,
    }


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _text_part(text: str, path: Path, unit: str | None, symbols: Sequence[str] | None) -> Part:
    """Columns of numbers: frequency, density, and perhaps the density of each atom."""
    comments = [line for line in text.splitlines() if line.lstrip().startswith(("#", "!", "&"))]
    rows = [line for line in text.splitlines() if line.strip() and line not in comments]
    table = number_table(rows, path.name)
    comment = " ".join(comments)
    kind = _kind(comment, path, columns=table.shape[1])
    unit_of_file = unit or find_unit(comment, path.name) or _DEFAULT_UNITS.get(kind)
    scale = mev_per(unit_of_file, source=path.name)
    if kind == "phonopy, projected":  # one column an atom, no total
        total, projected = table[:, 1:].sum(axis=1), table[:, 1:].T
    elif kind == "gpumd":  # along x, y and z
        total, projected = table[:, 1:].sum(axis=1), table[:, :0].T
    else:  # further columns of a plain table can be anything
        total, projected = table[:, 1], table[:, 2:].T if kind == "matdyn" else table[:, :0].T
    arguments: dict[str, Any] = {"energies_mev": table[:, 0] * scale, "total": total / scale}
    arguments["material_id"] = path.name.partition(".")[0]
    if len(projected):
        arguments |= {
            "per_element": _by_element(projected / scale, symbols, kind),
            "n_atoms": float(len(projected)),
        }
    return arguments, "text"


def _kind(comment: str, path: Path, *, columns: int) -> str:
    """Whose file it is, by its comments first and its name second."""
    if "PDOS" in comment and "cm^-1" in comment:
        return "matdyn"
    if plain_name(path) == "dos.out" and columns == 4:
        return "gpumd"
    by_name = re.search(r"(?:total|projected|partial)_dos", path.name)
    if comment.lstrip("# ").startswith(("Sigma", "Tetrahedron")) or by_name:
        return "phonopy, projected" if columns > 2 else "phonopy"
    return "columns"


def _by_element(projected: Floats, symbols: Sequence[str] | None, kind: str = "pymatgen") -> dict[str, Floats]:
    """Sum the densities of atoms (n_atoms, n) by element; matdyn's may stay unnamed."""
    if len(projected) == 0:
        return {}
    if symbols is None:
        if kind == "phonopy, projected":
            raise DosError(
                "the projected DOS does not name its atoms",
                why=f"it has {len(projected)} columns",
                fix="Give symbols=[...], one for each column.",
            )
        return {}
    if len(symbols) != len(projected):
        raise DosError(f"{len(projected)} projected densities but {len(symbols)} atoms", fix="Give one an atom.")
    sums: dict[str, Floats] = defaultdict(lambda: np.zeros(projected.shape[1]))
    for symbol, density in zip(symbols, projected, strict=True):
        sums[symbol] = sums[symbol] + density
    return dict(sums)
