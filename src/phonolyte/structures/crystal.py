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
from phonolyte.files import as_flag
from phonolyte.notebooks import Shown
from phonolyte.structures.checks import OVERFULL, check

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

FULL = 1e-8
"""An occupancy that misses 1 by no more than this is 1."""

_SPECIES = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*[+-]|[+-]\d*\.?\d*)?$")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Crystal(Shown):
    """A periodic crystal, ordered or with partial occupancies.

    Attributes
    ----------
    material_id
        Its name in every table.
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    numbers
        (n,) atomic numbers of its ions; several ions of a disordered crystal may share a position.
    frac_coords
        (n, 3) fractional coordinates, wrapped into [0, 1), in the order of the source.
    properties
        Whatever came along in the source (``e_hull_ev``, ``band_center_mev``, ...).
    source
        The file it was read from, empty for one made in memory.
    oxidation_states
        Oxidation state of each element as the source gives it, the mean over its sites; empty where it gives none.
    occupancies
        (n,) share of its site that each ion fills, above 0 and up to 1; None for an ordered crystal.
    disorder_groups
        Alternative that each ion of a disordered crystal belongs to, as ``ASSEMBLY/GROUP`` of a CIF: near ions of
        different groups of one assembly exclude each other. Empty text where an ion belongs to none; () where no ion
        does.
    """

    material_id: str
    lattice: Floats
    numbers: Ints
    frac_coords: Floats
    properties: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    oxidation_states: Mapping[str, float] = field(default_factory=dict)
    occupancies: Floats | None = None
    disorder_groups: tuple[str, ...] = ()

    def _facts(self) -> dict[str, object]:
        sites = None if self.is_ordered else f"{len(self)} partly filled"
        return {
            "name": self.material_id, "formula": self.formula, "atoms": f"{self.n_atoms:g}", "ions": sites,
            "volume": f"{self.volume_a3:.1f} Å³", "properties": len(self.properties) or None,
        }  # fmt: skip

    @classmethod
    def from_arrays(
        cls,
        material_id: str,
        lattice: Sequence[float] | Floats,
        species: Iterable[str | int],
        frac_coords: Sequence[float] | Floats,
        *,
        properties: Mapping[str, Any] | None = None,
        source: str = "",
        oxidation_states: Mapping[str, float] | None = None,
        occupancies: Sequence[float] | Floats | None = None,
        disorder_groups: Sequence[str] = (),
    ) -> Crystal:
        """Make a crystal from plain values: wrap it, check it; one without a name goes by its formula.

        Ions with an occupancy of 0 are left out; a crystal whose sites are all full is an ordered one.

        Raises
        ------
        StructureError
            For anything :func:`check` finds, and for species that are not elements.
        """
        try:
            cell = np.array(lattice, dtype=float).reshape(3, 3)
            coords = np.array(frac_coords, dtype=float).reshape(-1, 3)
            shares = None if occupancies is None else np.array(occupancies, dtype=float).reshape(-1)
        except (TypeError, ValueError) as error:
            raise StructureError(
                "the cell or the coordinates are not numbers of the right count",
                why=str(error),
                fix="Give 9 lattice components and 3 coordinates an atom.",
                kind="BadShape",
            ) from None
        numbers = np.array([atomic_number(s) for s in species], dtype=np.int64)
        crystal = cls(material_id, cell, numbers, wrap(coords), properties or {}, source, oxidation_states or {})
        if shares is not None:
            crystal = _with_occupancies(crystal, shares, tuple(disorder_groups))
        check(crystal)
        return crystal if material_id else replace(crystal, material_id=crystal.formula)

    @classmethod
    def from_pymatgen(cls, structure: Structure, *, material_id: str = "", **more: Any) -> Crystal:
        """Convert a pymatgen ``Structure``, which may be disordered; site properties are dropped."""
        ions = [(species, site.frac_coords, share) for site in structure for species, share in site.species.items()]
        species, coords, shares = zip(*ions, strict=True) if ions else ((), (), ())
        symbols = [_symbol_of(each) for each in species]
        more.setdefault("properties", plain(structure.properties))
        states = [(symbol, getattr(each, "oxi_state", None)) for symbol, each in zip(symbols, species, strict=True)]
        more.setdefault("oxidation_states", mean_states(states))
        return cls.from_arrays(material_id, structure.lattice.matrix, symbols, coords, occupancies=shares, **more)

    @classmethod
    def from_ase(cls, atoms: Atoms, *, material_id: str = "", **more: Any) -> Crystal:
        """Convert ASE ``Atoms`` that are periodic in all three directions.

        Partial occupancies are those of ASE's reader of CIFs (``info["occupancy"]`` by ``spacegroup_kinds``), or an
        array ``occupancies`` with a value an atom.
        """
        if not all(atoms.pbc) or atoms.cell.rank < 3:
            raise StructureError(
                "not a crystal",
                why="it has no cell that repeats in all three directions",
                fix="Give a cell and pbc = True (plain XYZ has none: use extended XYZ).",
                kind="NotPeriodic",
            )
        more.setdefault("properties", plain(atoms.info))
        species, positions, shares = _ions_of_ase(atoms)
        return cls.from_arrays(material_id, atoms.cell.array, species, positions, occupancies=shares, **more)

    def to_pymatgen(self) -> Structure:
        """The same crystal as a pymatgen ``Structure``; ions that share a position are one site."""
        from pymatgen.core.lattice import Lattice
        from pymatgen.core.structure import Structure

        if self.is_ordered:
            return Structure(Lattice(self.lattice), self.symbols, self.frac_coords)
        from phonolyte.structures.sites import sites_of

        sites = sites_of(self)
        return Structure(Lattice(sites.lattice), [dict(share) for share in sites.shares], sites.positions)

    def to_ase(self) -> Atoms:
        """The same crystal as ASE ``Atoms``.

        Raises
        ------
        StructureError
            For a disordered crystal.
        """
        from ase import Atoms

        refuse_disorder(self)
        return Atoms(numbers=self.numbers, scaled_positions=self.frac_coords, cell=self.lattice, pbc=True)

    @classmethod
    def from_row(cls, row: Mapping[str, Any], **more: Any) -> Crystal:
        """Make a crystal from what :meth:`row` gives.

        Raises
        ------
        KeyError, StructureError
            When it is not such a row.
        """
        more.setdefault("oxidation_states", states_of(row["species"], row.get("oxidation_states")))
        return cls.from_arrays(
            str(row["material_id"]), row["lattice"], row["species"], row["frac_coords"],
            occupancies=row.get("occupancies"), disorder_groups=row.get("disorder_groups") or (), **more,
        )  # fmt: skip

    def row(self) -> dict[str, Any]:
        """Its row of the crystal table: `material_id`, `formula`, `lattice` (9), `species`, `frac_coords` (3 n).

        That of a disordered crystal has `occupancies` (n) and `disorder_groups` (n or 0), too, that of one whose source
        states them `oxidation_states` (n).
        """
        row = {
            "material_id": self.material_id,
            "formula": self.formula,
            "lattice": self.lattice.ravel().tolist(),
            "species": self.symbols,
            "frac_coords": self.frac_coords.ravel().tolist(),
        }
        if self.occupancies is not None:
            row |= {"occupancies": self.occupancies.tolist(), "disorder_groups": list(self.disorder_groups)}
        if (states := self.states) is not None:
            row["oxidation_states"] = states
        return row

    @property
    def states(self) -> list[float] | None:
        """Oxidation state of each ion (n), that of its element; None where the source does not give all of them."""
        if not self.oxidation_states or not set(self.symbols) <= set(self.oxidation_states):
            return None
        return [float(self.oxidation_states[symbol]) for symbol in self.symbols]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def symbols(self) -> list[str]:
        """Element symbol of each site."""
        return [SYMBOLS[z] for z in self.numbers]

    @property
    def is_ordered(self) -> bool:
        """Whether every site is full."""
        return self.occupancies is None

    @property
    def identity(self) -> tuple[object, ...]:
        """What a calculation depends on, for digests."""
        disorder = () if self.occupancies is None else (self.occupancies, self.disorder_groups)
        states = self.states
        stated = () if states is None else ("oxidation states", np.array(states))
        return (self.lattice, self.numbers, self.frac_coords, *disorder, *stated)

    @property
    def amounts(self) -> dict[str, Any]:
        """Atoms of each element in the cell, which occupancies may make fractions."""
        totals = np.bincount(self.numbers, weights=self.occupancies)
        return {SYMBOLS[z]: totals[z].item() for z in np.flatnonzero(totals)}

    @property
    def n_atoms(self) -> float:
        """Atoms in the cell, the sum of the occupancies."""
        return float(len(self) if self.occupancies is None else self.occupancies.sum())

    @property
    def composition(self) -> dict[str, float]:
        """Atoms of each element in the reduced formula, cations first (by electronegativity).

        The formula unit of a disordered crystal is that of its full sites, whatever they hold: that of
        ``Li6.5La3Zr1.5Ta0.5O12`` has 3 sites of La, 2 of Zr and Ta, and 12 of O.
        """
        amounts = self.amounts
        if self.is_ordered:
            units = gcd(*amounts.values())
            reduced = {symbol: amount // units for symbol, amount in amounts.items()}
        else:
            units = self._formula_units()
            reduced = {symbol: amount / units for symbol, amount in amounts.items()}
        return {symbol: reduced[symbol] for symbol in sorted(reduced, key=lambda s: (electronegativity(s), s))}

    def _formula_units(self) -> int:
        """Formula units in a disordered cell: what divides the number of full sites of each kind."""
        from phonolyte.structures.sites import is_full, sites_of

        return gcd(*(n for kind, n in sites_of(self).kind_sizes.items() if is_full(dict(kind)))) or 1

    @property
    def formula(self) -> str:
        """Reduced formula, such as ``Li3PO4``, with at most two decimals: ``Li5.5PS4.5Cl1.5``."""
        return _text_of(self.composition)

    @property
    def cell_formula(self) -> str:
        """Atoms in the cell, such as ``Li24P4S20Cl4``."""
        amounts = self.amounts
        return _text_of({symbol: amounts[symbol] for symbol in self.composition})

    @property
    def volume_a3(self) -> float:
        """Cell volume in cubic angstrom."""
        return abs(float(np.linalg.det(self.lattice)))


def _text_of(amounts: Mapping[str, float]) -> str:
    rounded = {symbol: round(count, 2) or count for symbol, count in amounts.items()}
    return "".join(f"{symbol}{f'{count:.10g}' if count != 1 else ''}" for symbol, count in rounded.items())


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


def atomic_number(species: str | int) -> int:
    """Atomic number of an element given by symbol (an oxidation state may follow) or number.

    Raises
    ------
    StructureError
        For deuterium and tritium, dummy species and anything that is not an element up to lawrencium.
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
        why="it is not an element up to lawrencium (dummy or pseudo species cannot be used)",
        fix="Correct the symbol or remove the site.",
        kind="UnknownElement",
    )


def _symbol_of(species: Any) -> str:
    """Symbol of a pymatgen Element or Species; dummy species keep a name that is refused later."""
    if type(species).__name__ == "DummySpecies":
        return f"{species} (dummy species)"
    element = getattr(species, "element", species)
    return str(getattr(element, "name", element))  # the symbol of deuterium would be H


def _ions_of_ase(atoms: Atoms) -> tuple[list[Any], Floats, list[float] | None]:
    """Species, fractional coordinates (n, 3) and occupancies of ASE's atoms; None where it knows of no disorder."""
    positions = atoms.get_scaled_positions(wrap=False)
    for name in ("occupancies", "occupancy", "occ"):
        if name in atoms.arrays:
            return atoms.numbers.tolist(), positions, np.asarray(atoms.arrays[name], dtype=float).tolist()
    by_kind = atoms.info.get("occupancy")
    if not isinstance(by_kind, Mapping):
        return atoms.numbers.tolist(), positions, None
    kinds = atoms.arrays.get("spacegroup_kinds")
    shares = {str(kind): dict(share) for kind, share in by_kind.items()}
    if kinds is None or any(str(kind) not in shares for kind in kinds):
        raise StructureError(
            "the occupancies cannot be assigned",
            why="info['occupancy'] does not know the kind ('spacegroup_kinds') of every atom",
            fix="Read the CIF itself, or give an array 'occupancies'.",
            kind="BadOccupancy",
        )
    ions = [(symbol, place, share) for place, kind in enumerate(kinds) for symbol, share in shares[str(kind)].items()]
    species, places, values = zip(*ions, strict=True)
    return list(species), positions[list(places)], [float(value) for value in values]


def _with_occupancies(crystal: Crystal, occupancies: Floats, groups: tuple[str, ...]) -> Crystal:
    """The crystal with the occupancies of its ions, less those of 0; ordered where all of them are 1."""
    if len(occupancies) != len(crystal) or (groups and len(groups) != len(crystal)):
        raise StructureError(
            f"{len(crystal)} ions but {len(occupancies)} occupancies and {len(groups)} disorder groups",
            fix="Give one occupancy an ion.",
            kind="BadShape",
        )
    good = np.isfinite(occupancies) & (occupancies >= 0.0) & (occupancies <= 1.0 + OVERFULL)
    if not good.all():
        i = int(np.argmin(good))
        raise StructureError(
            f"the occupancy of site {i + 1} ({SYMBOLS[crystal.numbers[i]]}) is {occupancies[i]:g}",
            why="it has to be a number from 0 to 1",
            fix="Correct the occupancy.",
            kind="BadOccupancy",
        )
    held = np.flatnonzero(occupancies > 0.0)
    shares = np.where(occupancies >= 1.0 - FULL, 1.0, occupancies)[held]
    crystal = replace(crystal, numbers=crystal.numbers[held], frac_coords=crystal.frac_coords[held])
    if (shares == 1.0).all():
        return crystal
    groups_held = tuple(groups[i] for i in held) if any(groups) else ()
    return replace(crystal, occupancies=shares, disorder_groups=groups_held)


def refuse_disorder(crystal: Crystal) -> None:
    """Refuse a crystal with partial occupancies.

    Raises
    ------
    StructureError
        Saying which site is not full.
    """
    if crystal.occupancies is not None:
        first = int(np.argmax(crystal.occupancies < 1.0))
        raise StructureError(
            "partial occupancy",
            why=f"a site holds {SYMBOLS[crystal.numbers[first]]}:{crystal.occupancies[first]:g}",
            fix="Order it first: phonolyte order INPUT -o ordered/, whose folder is input of every other command.",
            kind="PartialOccupancy",
        )


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


def states_of(species: Sequence[str], states: Sequence[float] | None) -> dict[str, float]:
    """Oxidation states by element from those of the ions (n), as :attr:`Crystal.states` has them; empty without any."""
    if states is None or len(states) != len(species):
        return {}
    return {symbol: float(state) for symbol, state in zip(species, states, strict=True)}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a table can hold, under Phonolyte's names; a metal has a band gap of 0."""
    scalars = {str(key): value.item() if isinstance(value, np.generic) else value for key, value in values.items()}
    held = {key: value for key, value in scalars.items() if value is None or isinstance(value, (str, int, float))}
    for theirs, ours in PROPERTY_NAMES.items():
        if held.get(theirs) is not None and held.get(ours) is None:
            held[ours] = held[theirs]
    if as_flag(held.get("is_metal")) and held.get("band_gap_ev") is None:
        held["band_gap_ev"] = 0.0
    return held
