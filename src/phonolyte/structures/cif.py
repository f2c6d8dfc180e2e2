"""CIF through pymatgen, with a check of what pymatgen lets pass: its silence would give another crystal."""

from __future__ import annotations

import io
import re
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.errors import ReadError, StructureError

if TYPE_CHECKING:
    from pymatgen.core.composition import Composition
    from pymatgen.core.structure import Structure
    from pymatgen.io.cif import CifBlock

OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
GROUPS = (
    "_space_group_name_Hall", "_symmetry_space_group_name_Hall", "_symmetry_space_group_name_H-M",
    "_space_group_name_H-M_alt", "_space_group_name_H-M",
)  # fmt: skip
_NAMES = (
    *OPERATIONS, *GROUPS, "_cell_length_a", "_cell_length_b", "_cell_length_c", "_cell_angle_alpha", "_cell_angle_beta",
    "_cell_angle_gamma", "_atom_site_label", "_atom_site_type_symbol", "_atom_site_fract_x", "_atom_site_fract_y",
    "_atom_site_fract_z", "_atom_site_Cartn_x", "_atom_site_Cartn_y", "_atom_site_Cartn_z", "_atom_site_occupancy",
    "_symmetry_Int_Tables_number", "_space_group_IT_number", "_chemical_formula_sum",
)  # fmt: skip
LONGEST_OPERATION = 200
"""Characters of an operation, such as ``-x+1/2, y, z``, however its numbers are written."""

_CANONICAL = {name.lower(): name for name in _NAMES}
"""CIF does not distinguish capitals, pymatgen does."""


def blocks_with_a_cell(text: str) -> list[str]:
    """The data blocks of a CIF that describe a crystal."""
    blocks = re.split(r"(?mi)^(?=data_)", text)
    return [re.sub(r"(?i)^data_", "data_", block) for block in blocks if "_cell_length_a" in block.lower()]


def structure_of(text: str) -> Structure:
    """The structure in one data block.

    Raises
    ------
    StructureError
        For a cell that cannot be, a space group whose operations are neither given nor known, and sites that do
        not make up the formula in the file.
    """
    from pymatgen.io.cif import CifFile, CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        block = next(iter(CifFile.from_str(text).data.values()))
        _canonical(block)
        _check_cell(block)
        _check_sites(block)
        _check_operations(block)
        _add_operations(block)
        parser = CifParser(io.StringIO(str(block)), occupancy_tolerance=1.001)
        (structure,) = parser.parse_structures(primitive=False, symmetrized=False, on_error="raise")
    _check_formula(block, structure.composition)
    return structure


def _canonical(block: CifBlock) -> None:
    """Spell the names as pymatgen expects them, and write out the default occupancy."""
    renamed = {key: _CANONICAL.get(key.lower(), key) for key in block.data}
    block.data = {renamed[key]: value for key, value in block.data.items()}
    block.loops = [[renamed.get(key, key) for key in loop] for loop in block.loops]
    occupancy = block.data.get("_atom_site_occupancy")
    if isinstance(occupancy, list):
        block.data["_atom_site_occupancy"] = ["1" if value in (".", "?") else value for value in occupancy]


def _check_cell(block: CifBlock) -> None:
    """Refuse edges and angles that no cell has, and that pymatgen would bend into one."""
    edges = np.array([_number(block.data.get(f"_cell_length_{axis}")) for axis in "abc"])
    angles = np.array([_number(block.data.get(f"_cell_angle_{angle}")) for angle in ("alpha", "beta", "gamma")])
    cosines = np.cos(np.radians(angles))
    possible = (edges > 0).all() and ((angles > 0) & (angles < 180)).all()
    if not (possible and 1.0 + 2.0 * cosines.prod() > (cosines**2).sum()):
        values = ", ".join(f"{x:g}" for x in edges), ", ".join(f"{x:g}" for x in angles)
        raise StructureError(
            "the cell is impossible",
            why=f"edges {values[0]} A, angles {values[1]} degrees",
            fix="Correct the cell in the CIF.",
            kind="DegenerateCell",
        )


def _check_sites(block: CifBlock) -> None:
    positions = block.data.get("_atom_site_fract_z") or block.data.get("_atom_site_Cartn_z")
    if not positions:
        raise ReadError("the CIF lists no atom sites", why="the file may be cut short", fix="Get the whole file.")


def _check_operations(block: CifBlock) -> None:
    """Refuse operations that are none: pymatgen's patterns take hours for a long text."""
    for name in OPERATIONS:
        values = block.data.get(name) or []
        for value in [values] if isinstance(values, str) else values:
            if len(str(value)) > LONGEST_OPERATION:
                raise ReadError(
                    f"{str(value)[:30]!r}... is no symmetry operation", why="it is too long", fix="Get the whole file."
                )


def _add_operations(block: CifBlock) -> None:
    """Write out the operations of a group that the file only names."""
    from pymatgen.core.operations import SymmOp

    if any(name in block.data for name in OPERATIONS):
        return
    named = [str(block.data[name]) for name in GROUPS if block.data.get(name) not in (None, "?", ".")]
    hall = next((halls()[key] for name in named if (key := _squeezed(name)) in halls()), None)
    if hall is None:
        number = block.data.get("_symmetry_Int_Tables_number") or block.data.get("_space_group_IT_number")
        if named or number not in (None, "?", ".", "1"):
            group = named[0] if named else f"number {number}"
            raise StructureError(
                f"the operations of space group {group} are unknown",
                why="the CIF names the group but lists no operations, and the name tells no setting",
                fix="Export the CIF with its symmetry operations.",
                kind="UnknownSymmetry",
            )
        return
    import spglib

    symmetry = spglib.get_symmetry_from_database(hall)
    pairs = zip(symmetry["rotations"], symmetry["translations"], strict=True)
    block.data[OPERATIONS[0]] = [SymmOp.from_rotation_and_translation(r, t).as_xyz_str() for r, t in pairs]
    block.loops.append([OPERATIONS[0]])


@cache
def halls() -> dict[str, int]:
    """Hall number of every symbol of a space group that spglib knows, without blanks and underscores."""
    import spglib

    found: dict[str, int] = {}
    for number in range(1, 531):
        kind = spglib.get_spacegroup_type(number)
        symbols = {kind.international_short, kind.international_full, *kind.international.split("=")}
        symbols |= {re.sub(r"^([A-Z])1([^1].*)1$", r"\1\2", _squeezed(symbol)) for symbol in symbols}
        with_choice = {f"{symbol}:{kind.choice}" for symbol in symbols} if kind.choice else set()
        for symbol in (kind.hall_symbol, *symbols, *with_choice):
            found.setdefault(_squeezed(symbol), number)
    return found


def _check_formula(block: CifBlock, composition: Composition) -> None:
    """Compare what the sites make up with the formula in the file."""
    from pymatgen.core.composition import Composition

    text = str(block.data.get("_chemical_formula_sum", "?")).strip("'\" ")[:2000]
    try:
        stated = Composition(re.sub(r"\s+", "", text))
    except Exception:  # not every formula can be read, and a CIF need not have one
        return
    if stated.num_atoms and not stated.fractional_composition.almost_equals(
        composition.element_composition.fractional_composition, atol=5e-3
    ):
        raise StructureError(
            "the sites do not make up the formula",
            why=f"the CIF says {text}, its sites give {composition.reduced_formula}",
            fix="Add the sites that are missing (often hydrogen), or correct the formula.",
            kind="FormulaMismatch",
        )


def _squeezed(symbol: str) -> str:
    return re.sub(r"[\s_'\"]", "", symbol)


def _number(value: Any) -> float:
    """A CIF number; its uncertainty in parentheses is dropped."""
    text = re.sub(r"\(.*\)", "", str(value))
    try:
        return float(text)
    except ValueError:
        why = "the file may be cut short" if value is None else f"{text[:20]!r} stands for a number"
        raise ReadError("the CIF has no complete cell", why=why, fix="Get the whole file.") from None
