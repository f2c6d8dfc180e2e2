"""A crystal as a value: cell, atoms, name; converted from and to pymatgen and ASE, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS, electronegativity
from phonolyte.errors import StructureError

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

SHORTEST_DISTANCE_A = 0.5
"""Atoms nearer than this overlap; the shortest bond there is, H-H, has 0.74 angstrom."""

LARGEST_A3 = 10_000.0
"""Volume per atom of no crystal; the emptiest ones of databases have 700 cubic angstrom."""

FLATTEST_CELL = 1e-3
"""A cell whose volume is below this share of the product of its edges is degenerate."""

_SPECIES = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*[+-]|[+-]\d*\.?\d*)?$")


class DisorderedError(StructureError):
    """A crystal has partial occupancies; it can be ordered.

    Parameters
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    elements
        Symbol of each of n ions; several may share a position.
    frac_coords
        (n, 3) fractional coordinates.
    occupancies
        (n,) share of its site that each ion fills.
    """

    def __init__(
        self, lattice: Floats, elements: Sequence[str], frac_coords: Floats, occupancies: Sequence[float] | Floats
    ) -> None:
        self.lattice, self.elements, self.frac_coords = lattice, tuple(elements), frac_coords
        self.occupancies = np.asarray(occupancies, dtype=float)
        first = int(np.argmax(self.occupancies < 1.0))
        super().__init__(
            "partial occupancy",
            why=f"a site holds {self.elements[first]}:{self.occupancies[first]:g}",
            fix="Order it first: phonolyte order INPUT -o ordered/, whose folder is input of every other command.",
            kind="PartialOccupancy",
        )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.lattice, self.elements, self.frac_coords, self.occupancies)


@dataclass(frozen=True, slots=True, eq=False)
class Crystal:
    """A fully ordered periodic crystal.

    Attributes
    ----------
    material_id
        Its name in every table.
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    numbers
        (n,) atomic numbers.
    frac_coords
        (n, 3) fractional coordinates, wrapped into [0, 1), in the order of the source.
    properties
        Whatever came along in the source (``e_hull_ev``, ``band_center_mev``, ...).
    source
        The file it was read from, empty for one made in memory.
    oxidation_states
        Oxidation state of each element as the source gives it, the mean over its sites; empty where it gives none.
    """

    material_id: str
    lattice: Floats
    numbers: Ints
    frac_coords: Floats
    properties: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    oxidation_states: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        material_id: str,
        lattice: Sequence[float] | Floats,
        species: Iterable[str | int],
        frac_coords: Sequence[float] | Floats,
        *,
        properties: Mapping[str, Any] | None = None,
        source: str = "",
        oxidation_states: Mapping[str, float] | None = None,
    ) -> Crystal:
        """Make a crystal from plain values: wrap it, check it; one without a name goes by its formula.

        Raises
        ------
        StructureError
            For anything :func:`check` finds, and for species that are no elements.
        """
        try:
            cell = np.array(lattice, dtype=float).reshape(3, 3)
            coords = np.array(frac_coords, dtype=float).reshape(-1, 3)
        except (TypeError, ValueError) as error:
            raise StructureError(
                "the cell or the coordinates are not numbers of the right count",
                why=str(error),
                fix="Give 9 lattice components and 3 coordinates an atom.",
                kind="BadShape",
            ) from None
        numbers = np.array([atomic_number(s) for s in species], dtype=np.int64)
        crystal = cls(material_id, cell, numbers, wrap(coords), properties or {}, source, oxidation_states or {})
        check(crystal)
        return crystal if material_id else replace(crystal, material_id=crystal.formula)

    @classmethod
    def from_pymatgen(cls, structure: Structure, *, material_id: str = "", **more: Any) -> Crystal:
        """Convert a pymatgen ``Structure``; site properties are dropped."""
        if not structure.is_ordered:
            raise _disordered(structure)
        symbols = [_symbol_of(site.specie) for site in structure]
        more.setdefault("properties", plain(structure.properties))
        states = [
            (symbol, getattr(site.specie, "oxi_state", None)) for symbol, site in zip(symbols, structure, strict=True)
        ]
        more.setdefault("oxidation_states", mean_states(states))
        return cls.of(material_id, structure.lattice.matrix, symbols, structure.frac_coords, **more)

    @classmethod
    def from_ase(cls, atoms: Atoms, *, material_id: str = "", **more: Any) -> Crystal:
        """Convert ASE ``Atoms`` that are periodic in all three directions."""
        if not all(atoms.pbc) or atoms.cell.rank < 3:
            raise StructureError(
                "not a crystal",
                why="it has no cell that repeats in all three directions",
                fix="Give a cell and pbc = True (plain XYZ has none: use extended XYZ).",
                kind="NotPeriodic",
            )
        more.setdefault("properties", plain(atoms.info))
        return cls.of(
            material_id, atoms.cell.array, atoms.numbers.tolist(), atoms.get_scaled_positions(wrap=False), **more
        )

    def to_pymatgen(self) -> Structure:
        """The same crystal as a pymatgen ``Structure``."""
        from pymatgen.core.lattice import Lattice
        from pymatgen.core.structure import Structure

        return Structure(Lattice(self.lattice), self.symbols, self.frac_coords)

    def to_ase(self) -> Atoms:
        """The same crystal as ASE ``Atoms``."""
        from ase import Atoms

        return Atoms(numbers=self.numbers, scaled_positions=self.frac_coords, cell=self.lattice, pbc=True)

    def row(self) -> dict[str, Any]:
        """Its row of the crystal table: `material_id`, `formula`, `lattice` (9), `species`, `frac_coords` (3 n)."""
        return {
            "material_id": self.material_id,
            "formula": self.formula,
            "lattice": self.lattice.ravel().tolist(),
            "species": self.symbols,
            "frac_coords": self.frac_coords.ravel().tolist(),
        }

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def symbols(self) -> list[str]:
        """Element symbol of each site."""
        return [SYMBOLS[z] for z in self.numbers]

    @property
    def composition(self) -> dict[str, int]:
        """Atoms of each element in the reduced formula, cations first (by electronegativity)."""
        elements, counts = np.unique(self.numbers, return_counts=True)
        divisor = gcd(*counts.tolist())
        reduced = {SYMBOLS[z]: int(count) // divisor for z, count in zip(elements, counts, strict=True)}
        return {symbol: reduced[symbol] for symbol in sorted(reduced, key=lambda s: (electronegativity(s), s))}

    @property
    def formula(self) -> str:
        """Reduced formula, such as ``Li3PO4``."""
        return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in self.composition.items())

    @property
    def volume_a3(self) -> float:
        """Cell volume in cubic angstrom."""
        return abs(float(np.linalg.det(self.lattice)))


def as_crystal(material: Crystal | Structure | Atoms, *, material_id: str = "") -> Crystal:
    """Take a crystal in any of the three forms the API accepts.

    Raises
    ------
    StructureError
        When the object is of another kind, or cannot be used.
    """
    if isinstance(material, Crystal):
        return material
    if _is_ase(material):
        return Crystal.from_ase(material, material_id=material_id)
    if _is_pymatgen(material):
        return Crystal.from_pymatgen(material, material_id=material_id)
    raise StructureError(
        f"{type(material).__name__} is not a crystal",
        fix="Give a phonolyte Crystal, a pymatgen Structure or ASE Atoms.",
        kind="BadType",
    )


def is_material(value: object) -> bool:
    """Whether :func:`as_crystal` takes the object."""
    return isinstance(value, Crystal) or _is_ase(value) or _is_pymatgen(value)


def _is_ase(value: object) -> bool:
    return any(base.__module__.startswith("ase.") for base in type(value).__mro__)


def _is_pymatgen(value: object) -> bool:
    return hasattr(value, "lattice") and hasattr(value, "sites")


def check(crystal: Crystal) -> None:
    """Refuse what no calculation could use.

    Raises
    ------
    StructureError
        For an empty, degenerate or far too large cell, values that are not finite, and overlapping atoms.
    """
    if len(crystal) == 0:
        raise StructureError("the cell holds no atoms", fix="Check the site list.", kind="EmptyCell")
    if len(crystal) != len(crystal.frac_coords):
        raise StructureError(
            f"{len(crystal)} species but {len(crystal.frac_coords)} positions",
            fix="Give one position an atom.",
            kind="BadShape",
        )
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.frac_coords).all()):
        raise StructureError(
            "the cell or a position is not a number",
            why="NaN or infinity among lattice or coordinates",
            fix="Repair the file, or relax the structure again.",
            kind="NotFinite",
        )
    edges = np.linalg.norm(crystal.lattice, axis=1)
    if edges.min() < SHORTEST_DISTANCE_A or crystal.volume_a3 < FLATTEST_CELL * edges.prod():
        raise StructureError(
            "the cell is degenerate",
            why=f"edges {', '.join(f'{x:.3g}' for x in edges)} A, volume {crystal.volume_a3:.3g} A^3",
            fix="Three independent lattice vectors in angstrom are needed.",
            kind="DegenerateCell",
        )
    if crystal.volume_a3 > LARGEST_A3 * len(crystal):
        raise StructureError(
            "the cell is far too large for its atoms",
            why=f"{crystal.volume_a3 / len(crystal):,.0f} A^3 an atom",
            fix="Lengths are in angstrom; atoms may be missing.",
            kind="HugeCell",
        )
    _check_overlaps(crystal)


def _check_overlaps(crystal: Crystal) -> None:
    from phonolyte.structures.neighbours import shortest_contact

    distance, i, j = shortest_contact(crystal.lattice, crystal.frac_coords, SHORTEST_DISTANCE_A)
    if i >= 0:
        raise StructureError(
            "atoms overlap",
            why=f"sites {i + 1} ({SYMBOLS[crystal.numbers[i]]}) and {j + 1} ({SYMBOLS[crystal.numbers[j]]}) "
            f"are {distance:.3f} A apart",
            fix="Remove repeated or alternative positions; coordinates may also be in the wrong unit.",
            kind="OverlappingAtoms",
        )


def atomic_number(species: str | int) -> int:
    """Atomic number of an element given by symbol (an oxidation state may follow) or number.

    Raises
    ------
    StructureError
        For deuterium and tritium, dummy species and anything that is no element up to lawrencium.
    """
    if isinstance(species, str):
        match = _SPECIES.match(species.strip())
        symbol = match.group(1) if match else species.strip()
    else:
        symbol = SYMBOLS[species] if 0 < species < len(SYMBOLS) else f"Z = {species}"
    if symbol in ATOMIC_NUMBERS:
        return ATOMIC_NUMBERS[symbol]
    if symbol in ("D", "T"):
        raise StructureError(
            f"{symbol} is an isotope of hydrogen",
            why="the model knows elements with their natural mass only, and phonons depend on the mass",
            fix="Replace it by H if hydrogen's values will do.",
            kind="UnknownElement",
        )
    raise StructureError(
        f"unknown element {symbol[:40]!r}",
        why="it is no element up to lawrencium (dummy or pseudo species cannot be used)",
        fix="Correct the symbol or remove the site.",
        kind="UnknownElement",
    )


def _symbol_of(species: Any) -> str:
    """Symbol of a pymatgen Element or Species; dummy species keep a name that is refused later."""
    if type(species).__name__ == "DummySpecies":
        return f"{species} (dummy species)"
    element = getattr(species, "element", species)
    return str(getattr(element, "name", element))  # the symbol of deuterium would be H


def _disordered(structure: Structure) -> DisorderedError:
    """What is raised for a pymatgen ``Structure`` with partial occupancies."""
    ions = [
        (_symbol_of(species), site.frac_coords, share) for site in structure for species, share in site.species.items()
    ]
    symbols, coords, shares = zip(*ions, strict=True)
    return DisorderedError(np.array(structure.lattice.matrix), symbols, np.array(coords), shares)


def mean_states(sites: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """Mean oxidation state of each element over its sites; empty where a site has none."""
    states: dict[str, list[float]] = {}
    for symbol, state in sites:
        if state is None or not np.isfinite(state):
            return {}
        states.setdefault(symbol, []).append(float(state))
    return {symbol: sum(values) / len(values) for symbol, values in states.items()} if states else {}


def wrap(frac_coords: Floats) -> Floats:
    """Return fractional coordinates (n, 3) wrapped into [0, 1)."""
    with np.errstate(invalid="ignore"):  # infinity is refused later, with words
        wrapped = frac_coords - np.floor(frac_coords)
    wrapped[wrapped > 1.0 - 1e-12] = 0.0  # -1e-17 would stay at 1.0
    return wrapped


PROPERTY_NAMES = {"energy_above_hull": "e_hull_ev", "e_above_hull": "e_hull_ev", "band_gap": "band_gap_ev"}
"""Properties as documents of the Materials Project name them, and as Phonolyte does: both in eV."""


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a table can hold, under Phonolyte's names; a metal has a band gap of 0."""
    scalars = {str(key): value.item() if isinstance(value, np.generic) else value for key, value in values.items()}
    held = {key: value for key, value in scalars.items() if value is None or isinstance(value, (str, int, float))}
    for theirs, ours in PROPERTY_NAMES.items():
        if held.get(theirs) is not None and held.get(ours) is None:
            held[ours] = held[theirs]
    if held.get("is_metal") is True and held.get("band_gap_ev") is None:
        held["band_gap_ev"] = 0.0
    return held
