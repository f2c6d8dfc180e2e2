"""CIF through gemmi, which is strict and fast; what it lets pass is checked here and in `asymmetric_unit`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import gemmi
import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.formulas import composition_of
from phonolyte.errors import ReadError, StructureError, first_line
from phonolyte.structures.asymmetric_unit import Contents, Stated, fill_cell
from phonolyte.structures.crystal import Crystal, mean_states
from phonolyte.structures.space_groups import (
    IDENTITY,
    Settings,
    parse_operations,
    settings_by_hall,
    settings_by_name,
    settings_by_number,
)  # fmt: skip
from phonolyte.structures.species import charge_of, element_of

OPERATIONS = ("space_group_symop_operation_xyz", "symmetry_equiv_pos_as_xyz")
HALL = ("space_group_name_hall", "symmetry_space_group_name_hall")
NAMES = ("space_group_name_h-m_alt", "symmetry_space_group_name_h-m", "space_group_name_h-m_full")
NUMBERS = ("space_group_it_number", "symmetry_int_tables_number")
MAGNETIC = ("space_group_symop_magn_operation_xyz", "space_group_symop_magn_centering_xyz")
MODULATED = (
    "space_group_ssg_name", "space_group_ssg_name_it", "space_group_symop_ssg_operation_algebraic",
    "space_group_symop_magn_ssg_operation_algebraic", "cell_wave_vector_x",
)  # fmt: skip
MULTIPLICITIES = ("atom_site_site_symmetry_multiplicity", "atom_site_symmetry_multiplicity")

_SPELLINGS = {0x2212: "-", 0xA0: " "}
"""A minus and a blank that editors put into numbers; CIF itself is ASCII."""

FULL = 1e-3
"""An occupancy that misses 1 by no more than this is 1: files round to four digits."""

VOLUME_TOLERANCE = 0.001
"""Share by which the volume of the cell may miss the one that the file states."""


class CifBlock:
    """One data block: values by the name of their tag, whose capitals and dots do not count.

    Parameters
    ----------
    block
        As gemmi reads it, with tags that may come twice.
    """

    def __init__(self, block: gemmi.cif.Block) -> None:
        self._pairs: dict[str, str] = {}
        self._loops: dict[str, tuple[gemmi.cif.Loop, int]] = {}
        self._twice: set[str] = set()
        items: Iterator[Any] = iter(block)  # which gemmi types as an iterator of objects
        for item in items:
            if item.pair is not None:
                self._add(item.pair[0], item.pair[1])
            elif item.loop is not None:
                for column, tag in enumerate(item.loop.tags):
                    self._add(tag, (item.loop, column))

    def _add(self, tag: str, value: str | tuple[gemmi.cif.Loop, int]) -> None:
        name = tag[1:].lower().replace(".", "_")
        if isinstance(value, str):
            earlier = self._pairs.get(name, "")
            if name in self._loops or (_is_given(earlier) and _is_given(value) and earlier != value):
                self._twice.add(name)
            elif _is_given(value) or not earlier:
                self._pairs[name] = value
        elif name in self:
            self._twice.add(name)
        else:
            self._loops[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._pairs or name in self._loops

    def values(self, name: str) -> list[str]:
        """Values of a tag, without quotes; empty ones, and an empty list, where nothing is given."""
        if name in self._twice:
            raise ReadError(f"the CIF gives _{name} twice", fix="Keep the one that is right.")
        if name in self._pairs:
            return [gemmi.cif.as_string(self._pairs[name]).strip()]
        if name not in self._loops:
            return []
        loop, column = self._loops[name]
        return [gemmi.cif.as_string(value).strip() for value in loop.values[column :: len(loop.tags)]]

    def first(self, *names: str) -> str:
        """The first of the tags that has a value; empty where none has."""
        return next((values[0] for name in names if (values := self.values(name)) and values[0]), "")

    def row_texts(self, name: str) -> list[str]:
        """All values of the loop that a tag is in, row after row."""
        loop, _ = self._loops[name]
        return list(map(gemmi.cif.as_string, loop.values))

    def width(self, name: str) -> int:
        """Number of tags in the loop of a tag; 0 where it is in none."""
        return len(self._loops[name][0].tags) if name in self._loops else 0


def _is_given(value: str) -> bool:
    return bool(gemmi.cif.as_string(value).strip())


def blocks_with_a_cell(text: str) -> list[CifBlock]:
    """The data blocks of a CIF that describe a crystal.

    Raises
    ------
    ReadError
        For a text that breaks the grammar of CIF.
    """
    ascii_text = text.translate(_SPELLINGS).encode("ascii", "replace")
    try:
        blocks = [CifBlock(block) for block in gemmi.cif.read_string(ascii_text, 0)]
    except (RuntimeError, ValueError) as error:
        why = re.sub(r"^\w+:(\d+)(?::\d+\(\d+\))?:?(?: in)?", r"line \1:", first_line(error))
        raise ReadError("the CIF cannot be read", why=why, fix="Correct the line, or get the whole file.") from None
    return [block for block in blocks if "cell_length_a" in block]


def crystal_from_cif(block: CifBlock, *, material_id: str = "") -> Crystal:
    """The crystal in one data block.

    Raises
    ------
    ReadError, StructureError
        As :func:`contents_from_cif` does, and for sites that are more than full.
    """
    contents = contents_from_cif(block)
    states = mean_states(zip(contents.elements, contents.states, strict=True))
    return Crystal.from_arrays(
        material_id, contents.lattice, contents.elements, contents.positions, oxidation_states=states,
        occupancies=contents.occupancies, disorder_groups=contents.groups,
    )  # fmt: skip


def contents_from_cif(block: CifBlock) -> Contents:
    """The sites in the cell of one data block, with their occupancies.

    Raises
    ------
    ReadError
        For a cell, a coordinate, an occupancy or an operation that is missing or not a number.
    StructureError
        For sites that are not elements, operations that are not a group or contradict its name or the cell, sites
        that do not make up formula, Z and density in the file, symmetry that is left open, and modulated structures.
    """
    _refuse_modulated(block)
    unit = _asymmetric_unit(block, _lattice(block))
    return fill_cell(unit, _settings(block), _read_stated(block, len(unit.elements)))


def _refuse_modulated(block: CifBlock) -> None:
    dimension = block.first("cell_modulation_dimension")
    if dimension not in ("", "0") or any(block.first(name) for name in MODULATED):
        raise StructureError(
            "the structure is modulated",
            why="its atoms repeat in more than three dimensions, and the sites of the file are an average",
            fix="Give a commensurate approximant in a supercell.",
            kind="ModulatedStructure",
        )


def _lattice(block: CifBlock) -> Floats:
    edges = np.array([_cell_number(block, f"cell_length_{axis}") for axis in "abc"])
    angles = np.array([_cell_number(block, f"cell_angle_{angle}") for angle in ("alpha", "beta", "gamma")])
    cosines = np.cos(np.radians(angles))
    square = 1.0 + 2.0 * cosines.prod() - (cosines**2).sum()
    possible = (edges > 0).all() and ((angles > 0) & (angles < 180)).all()
    if not (possible and square > 0.0):
        values = ", ".join(f"{x:g}" for x in edges), ", ".join(f"{x:g}" for x in angles)
        raise StructureError(
            "the cell is impossible",
            why=f"edges {values[0]} A, angles {values[1]} degrees",
            fix="Correct the cell in the CIF.",
            kind="DegenerateCell",
        )
    volume, volume_of_file = edges.prod() * np.sqrt(square), _number(block.first("cell_volume"))
    if volume_of_file is not None and volume_of_file > 0.0 and abs(volume / volume_of_file - 1.0) > VOLUME_TOLERANCE:
        raise StructureError(
            "the cell does not have its volume",
            why=f"the file says {volume_of_file:g} A^3, edges and angles give {volume:.6g}",
            fix="Correct the cell in the CIF.",
            kind="DegenerateCell",
        )
    from pymatgen.core.lattice import Lattice

    return np.array(Lattice.from_parameters(*edges, *angles).matrix)


def _cell_number(block: CifBlock, name: str) -> float:
    text = block.first(name)
    value = _number(text)
    if value is None:
        why = f"{text[:20]!r} stands for a number" if text else f"_{name} is missing: the file may be cut short"
        raise ReadError("the CIF has no complete cell", why=why, fix="Get the whole file.")
    return value


def _asymmetric_unit(block: CifBlock, lattice: Floats) -> Contents:
    positions = _positions(block, lattice)
    n = len(positions)
    labels, types = (_column(block, f"atom_site_{name}", n) for name in ("label", "type_symbol"))
    occupancies = [_occupancy(text, labels[i]) for i, text in enumerate(_column(block, "atom_site_occupancy", n))]
    dummies = _column(block, "atom_site_calc_flag", n)
    _refuse_attached_hydrogens(block, labels)
    in_formula = frozenset(_formula(block))
    used = [i for i in range(n) if dummies[i].lower() != "dum" and occupancies[i] > 0.0]
    names = [f"{labels[i] or types[i] or f'site {i + 1}'}" for i in used]
    _refuse_missing(positions[used], names)
    elements = tuple(element_of(types[i], labels[i], in_formula) for i in used)
    states = tuple(_oxidation_state(block, types[i]) for i in used)
    groups = _disorder_groups(block, n)
    return Contents(
        lattice, elements, positions[used], np.array([occupancies[i] for i in used]), states,
        tuple(groups[i] for i in used),
    )  # fmt: skip


def _disorder_groups(block: CifBlock, n: int) -> list[str]:
    """Assembly and group of each site, as ``A/1``; empty for a site that is in none."""
    assemblies, groups = (_column(block, f"atom_site_disorder_{name}", n) for name in ("assembly", "group"))
    return [
        "" if group in ("", "0") else f"{assembly}/{group}" for assembly, group in zip(assemblies, groups, strict=True)
    ]


def _oxidation_state(block: CifBlock, type_symbol: str) -> float | None:
    """Oxidation state of a type of atoms: by the list of types, else by the charge in its symbol."""
    symbols, numbers = block.values("atom_type_symbol"), block.values("atom_type_oxidation_number")
    if type_symbol in symbols and len(symbols) == len(numbers):
        return _number(numbers[symbols.index(type_symbol)])
    return charge_of(type_symbol)


def _refuse_missing(positions: Floats, names: Sequence[str]) -> None:
    for position, name in zip(positions, names, strict=True):
        if not np.isfinite(position).all():
            raise ReadError(
                f"{name} has no coordinates",
                why=f"{'xyz'[int(np.argmin(np.isfinite(position)))]} is missing or not a number",
                fix="Give its coordinates, or remove the site.",
            )


def _positions(block: CifBlock, lattice: Floats) -> Floats:
    """Fractional coordinates (n, 3), NaN where one is not a number.

    Cartesian ones are those of a along x and b in the plane of x and y, which matters in a cell that is not
    orthogonal: there they are refused.
    """
    for kind in ("fract", "cartn"):
        columns = [block.values(f"atom_site_{kind}_{axis}") for axis in "xyz"]
        if not any(columns):
            continue
        if len({len(column) for column in columns}) > 1:
            raise ReadError("the sites are incomplete", why="x, y or z is missing", fix="Get the whole file.")
        values = np.array([[_number(text) for text in column] for column in columns], dtype=float).T
        if kind == "fract":
            return values
        if np.abs(lattice - np.diag(np.diag(lattice))).max() > 1e-6:
            raise StructureError(
                "the sites have Cartesian coordinates only",
                why="in a cell that is not orthogonal their axes are a matter of convention",
                fix="Export the CIF with fractional coordinates.",
                kind="CartesianCoordinates",
            )
        return np.asarray(values @ np.linalg.inv(lattice))
    raise ReadError("the CIF lists no atom sites", why="the file may be cut short", fix="Get the whole file.")


def _column(block: CifBlock, name: str, length: int) -> list[str]:
    values = block.values(name)
    if values and len(values) != length:
        raise ReadError(
            f"_{name} does not fit the sites", why=f"{len(values)} values for {length}", fix="Export the CIF again."
        )
    return values or [""] * length


def _occupancy(text: str, label: str) -> float:
    value = 1.0 if not text else _number(text)
    if value is None or not 0.0 <= value <= 1.0 + FULL:
        raise StructureError(
            f"the occupancy of {label or 'a site'} is {text[:20]}",
            why="it has to be a number from 0 to 1",
            fix="Correct the occupancy.",
            kind="BadOccupancy",
        )
    return 1.0 if value >= 1.0 - FULL else value


def _refuse_attached_hydrogens(block: CifBlock, labels: Sequence[str]) -> None:
    counts = _column(block, "atom_site_attached_hydrogens", len(labels))
    site = next((label for label, text in zip(labels, counts, strict=True) if _number(text)), None)
    if site is not None:
        raise StructureError(
            f"hydrogens of {site} are missing",
            why="the file says that they are attached to it and does not say where",
            fix="Add the hydrogens as sites.",
            kind="FormulaMismatch",
        )


def _read_stated(block: CifBlock, sites: int) -> Stated:
    is_magnetic = any(name in block for name in MAGNETIC)  # whose multiplicities may be those of another cell
    columns = () if is_magnetic else MULTIPLICITIES
    multiplicities = next((values for name in columns if (values := block.values(name))), [])
    integers = [int(text) for text in multiplicities if text.isdecimal() and len(text) < 4]
    return Stated(
        _formula(block),
        block.first("chemical_formula_sum")[:80],
        _number(block.first("cell_formula_units_z")),
        _number(block.first("exptl_crystal_density_diffrn")),
        tuple(integers) if len(integers) == sites else (),
    )


def _formula(block: CifBlock) -> dict[str, float]:
    """Atoms of each element in the formula; empty for one that is missing or cannot be read: a CIF need not have it."""
    text = re.sub(r"\s+", "", block.first("chemical_formula_sum"))[:2000]
    try:
        return dict(composition_of(text)) if text else {}
    except StructureError:
        return {}


def _settings(block: CifBlock) -> Settings:
    """The settings that the file can mean: what it lists counts before what it names, unless they contradict."""
    hall, name, number = (block.first(*tags) for tags in (HALL, NAMES, NUMBERS))
    by_number = settings_by_number(int(number)) if number.isdecimal() and len(number) < 4 else ()
    meanings = [_read_listed(block), settings_by_hall(hall), settings_by_name(name), by_number]
    meanings = [settings for settings in meanings if settings]
    if meanings:
        agree = len({settings[0][0].number for settings in meanings} - {0}) <= 1
        return meanings[0] if agree else (tuple(setting for settings in meanings for setting in settings[0]),)
    if hall or name or number or any(tag in block for tag in (*NAMES, *NUMBERS)):
        group = (name or hall or number)[:60]
        raise StructureError(
            f"the operations of space group {group or '(empty)'} are unknown",
            why=f"the CIF lists no operations, and {'this is not the name of one' if group else 'names no group'}",
            fix="Export the CIF with its symmetry operations.",
            kind="UnknownSymmetry",
        )
    return ((IDENTITY,),)


def _read_listed(block: CifBlock) -> Settings:
    """The setting whose operations the file lists; empty where it lists none."""
    for name in OPERATIONS:
        triplets = [text for text in block.values(name) if text]
        if triplets:
            operations = triplets if all(text.count(",") == 2 for text in triplets) else _join(block, name)
            return ((parse_operations(tuple(operations)),),)
    turned, centering = (tuple(_spatial(text) for text in block.values(name) if text) for name in MAGNETIC)
    return ((parse_operations(turned, centering),),) if turned else ()


def _join(block: CifBlock, name: str) -> list[str]:
    """Operations that stand without quotes, so that ``x, y, z`` is three values; a column of numbers may go before."""
    width, parts = block.width(name), iter(block.row_texts(name))
    triplets = []
    for part in parts:
        triplet = next(parts, "") if width == 2 else part
        while triplet.count(",") < 2 or triplet.endswith(","):
            following = next(parts, None)
            if following is None:
                break
            triplet += following
        triplets.append(triplet)
    return triplets


def _spatial(triplet: str) -> str:
    """A magnetic operation, such as ``-x,y,z,+1``, less its time reversal."""
    return ",".join(triplet.split(",")[:3])


def _number(text: str) -> float | None:
    """A CIF number, whose uncertainty in parentheses is dropped; None for what is not one."""
    value = float(gemmi.cif.as_number(text))
    return value if np.isfinite(value) else None
