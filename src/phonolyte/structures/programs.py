"""Inputs and outputs of other programs, through the readers of ASE and phonopy."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.errors import MissingExtraError, ReadError
from phonolyte.structures.castep import crystal_from_castep
from phonolyte.structures.crystal import Crystal, plain
from phonolyte.units import BOHR_A

if TYPE_CHECKING:
    from ase import Atoms

Frames = list[Callable[[str], Crystal]]
"""What makes the crystal of each frame of a file under a name, or raises."""

TEXTS: Mapping[str, tuple[str, str]] = {
    "espresso-out": ("Quantum ESPRESSO output", r"Program PWSCF"),
    "espresso-in": ("Quantum ESPRESSO input", r"^\s*&(control|system)\b|^\s*ATOMIC_POSITIONS"),
    "castep": ("CASTEP cell", r"^\s*%block\s+(lattice|positions)_"),
    "abinit-in": ("ABINIT input", r"^\s*(znucl|typat|rprim|acell|xred|xcart)\s"),
    "aims": ("FHI-aims geometry", r"^\s*(lattice_vector|atom_frac|atom)\s+[-\d.]"),
    "xsf": ("XSF", r"^\s*(PRIMVEC|ANIMSTEPS|CRYSTAL)\b"),
    "phonopy": ("phonopy YAML", r"^(phonopy|primitive_cell|unit_cell|supercell)\s*:"),
}
"""Format, by the name that ASE has for it where its reader serves: what it is, and what its first lines show."""


SEVERAL = ("espresso-out", "xsf")
"""Formats that can hold several frames."""


def text_format(head: str) -> str | None:
    """Format of a text by its beginning, a key of :data:`TEXTS`."""
    return next((name for name, (_, mark) in TEXTS.items() if re.search(f"(?mi){mark}", head)), None)


def frames_of_text(text: str, kind: str) -> Frames:
    """The frames of a text of another program.

    Parameters
    ----------
    text
        Content of the file.
    kind
        A key of :data:`TEXTS`.

    Raises
    ------
    MissingExtraError
        For YAML of phonopy without phonopy.
    ReadError
        When the reader of that program finds no crystal.
    """
    if kind == "phonopy":
        return [lambda name: _from_phonopy(text, name)]
    if kind == "castep":
        return [lambda name: crystal_from_castep(text, material_id=name)]
    from ase.io import read

    with warnings.catch_warnings(), TemporaryDirectory() as scratch:
        warnings.simplefilter("ignore")
        file = Path(scratch) / "file"  # not every reader takes a stream
        file.write_text(_repeat_values(text) if kind == "abinit-in" else text, encoding="utf-8")
        try:
            images = read(file, index=":" if kind in SEVERAL else None, format=kind)
        except Exception as error:  # a foreign parser can raise anything at a bad file
            raise _unreadable(TEXTS[kind][0], error) from None
    return [_maker(atoms) for atoms in (images if isinstance(images, list) else [images])]


def _repeat_values(text: str) -> str:
    """Write out values such as ``3*10.2`` of an ABINIT input, which the reader of ASE does not take everywhere."""
    return re.sub(r"(?<![\w.])(\d{1,4})\*([-+\d.][\w.+-]*)", lambda match: " ".join([match[2]] * int(match[1])), text)


def frames_of_trajectory(path: Path) -> Frames:
    """The frames of a trajectory of ASE (``.traj``): cells and atoms, and nothing else of what it holds.

    Raises
    ------
    ReadError
        For a file that is not one, or is damaged.
    """
    from ase.io import ulm

    try:
        with ulm.open(path) as reader:
            numbers, pbc, count = np.asarray(reader[0].numbers), np.asarray(reader[0].pbc), len(reader)
    except Exception as error:  # ulm raises whatever numpy and json do
        raise _unreadable("trajectory of ASE", error) from None

    def frame(index: int) -> Callable[[str], Crystal]:
        def make(name: str) -> Crystal:
            from ase import Atoms

            with ulm.open(path) as reader:
                positions, cell = np.asarray(reader[index].positions), np.asarray(reader[index].cell)
            atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)
            return Crystal.from_ase(atoms, material_id=name)

        return make

    return [frame(index) for index in range(count)]


def rows_of_database(path: Path) -> Iterator[tuple[str, Callable[[str], Crystal]]]:
    """Name and crystal of each row of a database of ASE (``.db``); its key-value pairs are properties.

    Raises
    ------
    ReadError
        For a file that is not one, or is damaged.
    """
    from ase.db import connect

    try:
        rows = list(connect(path, type="db").select())
    except Exception as error:  # sqlite, json and numpy each have errors of their own for a damaged file
        raise _unreadable("database of ASE", error) from None
    for row in rows:
        pairs = dict(row.key_value_pairs)
        name = next((str(pairs.pop(key)) for key in ("material_id", "mp_id", "task_id") if key in pairs), "")
        yield name or f"{path.name.partition('.')[0]}-{row.id}", _row_maker(row, pairs)


def _row_maker(row: Any, pairs: Mapping[str, Any]) -> Callable[[str], Crystal]:
    def make(name: str) -> Crystal:
        from ase import Atoms

        atoms = Atoms(numbers=row.numbers, positions=row.positions, cell=row.cell, pbc=row.pbc)
        return Crystal.from_ase(atoms, material_id=name, properties=plain(pairs))

    return make


def _maker(atoms: Atoms) -> Callable[[str], Crystal]:
    return lambda name: Crystal.from_ase(atoms, material_id=name, properties={})


def _from_phonopy(text: str, name: str) -> Crystal:
    """The unit cell of phonopy's YAML, else its primitive cell or supercell; lengths of some programs are bohr."""
    try:
        from phonopy.interface.phonopy_yaml import load_phonopy_yaml, load_yaml
    except ImportError:
        raise MissingExtraError("phonopy is not installed", fix="pip install 'phonolyte[phonons]'") from None
    try:
        data = load_yaml(io.StringIO(text))
        content = load_phonopy_yaml(data)
        cells = (content.unitcell, content.primitive, content.supercell)
        cell = next(cell for cell in cells if cell is not None)
        length = str((data.get("physical_unit") or {}).get("length", "angstrom")).lower()
        scale = {"angstrom": 1.0, "au": BOHR_A, "bohr": BOHR_A}[length]
    except Exception as error:  # whatever YAML and phonopy raise, a unit that is not known, a file without a cell
        raise _unreadable("phonopy YAML", error) from None
    return Crystal.from_arrays(name, cell.cell * scale, list(cell.symbols), cell.scaled_positions)


def _unreadable(kind: str, error: Exception) -> ReadError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return ReadError(f"the {kind} cannot be read", why=reason, fix="Check that the file is complete.")
