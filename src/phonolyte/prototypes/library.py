"""The prototypes: those named in this package, the AFLOW library's, and the reference compounds."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.resources import files
from math import gcd
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.ions import EXCLUDED, METALLOIDS, METALS, Ion, atomic_volume_a3
from phonolyte.chemistry.neutrality import neutral_ions
from phonolyte.errors import MissingExtraError
from phonolyte.references import conventional_cell, ordered_models
from phonolyte.structures import Crystal
from phonolyte.structures.symmetry import primitive_crystal

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher

Kind = Literal["ionic", "metallic", "listed"]

SOURCE = "candidates of Phonolyte"

MOST_ATOMS = 16
"""Atoms in the largest primitive cell that is used."""

MOST_SPECIES = 4

SYMMETRY_A = 0.01
"""How far positions may be from those of a symmetric crystal, angstrom."""


@dataclass(frozen=True, slots=True)
class Prototype:
    """A crystal whose elements can be replaced.

    Attributes
    ----------
    name
        Prototypes that share a name have the same structure.
    crystal
        The crystal whose cell and positions are used, in a primitive cell.
    species
        Its elements, in the order in which other elements replace them.
    kind
        By which rule elements may be replaced; a listed one has its known compounds only.
    real
        Elements of known compounds.
    ions
        The ions of `species`; empty unless the charges are balanced.
    """

    name: str
    crystal: Crystal
    species: tuple[str, ...]
    kind: Kind
    real: tuple[tuple[str, ...], ...]
    ions: tuple[Ion, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Atoms of each of `species` in the cell."""
        amounts = Counter(self.crystal.symbols)
        return tuple(amounts[symbol] for symbol in self.species)

    @property
    def proportions(self) -> tuple[int, ...]:
        """Atoms of each of `species` in the reduced formula."""
        divisor = gcd(*self.counts)
        return tuple(count // divisor for count in self.counts)

    def substituted(self, elements: Sequence[str]) -> Crystal:
        """The crystal with other elements, scaled by their radii.

        Raises
        ------
        StructureError
            When atoms overlap.
        """
        return _replace_species(self.crystal, self.species, elements, self.linear_scale(elements), self.name)

    def linear_scale(self, elements: Sequence[str]) -> float:
        """Length in the crystal with other elements over that in the prototype.

        The sums of ionic radii of cations and anions decide where both crystals are ionic with the same signs,
        and else the volumes of atoms: compared with those of the prototype if that is metallic, too.
        """
        signs = tuple(ion.charge > 0 for ion in self.ions)
        ions = neutral_ions(elements, self.counts, signs) if signs else ()
        if tuple(elements) == self.species:
            return 1.0
        if ions:
            return _bond_a(ions, self.counts) / _bond_a(self.ions, self.counts)
        old = self.crystal.volume_a3 if self.ions else _volume_a3(self.species, self.counts)
        return float((_volume_a3(elements, self.counts) / old) ** (1 / 3))


def _replace_species(crystal: Crystal, old: Sequence[str], new: Sequence[str], scale: float, name: str) -> Crystal:
    element = dict(zip(old, new, strict=True))
    species = [element[symbol] for symbol in crystal.symbols]
    made = Crystal.from_arrays("", crystal.lattice * scale, species, crystal.frac_coords, source=SOURCE)
    return replace(made, material_id=f"proto-{made.formula}-{name}", properties={"prototype": name})


def _bond_a(ions: Sequence[Ion], counts: Sequence[int]) -> float:
    """Mean radius of the cations plus that of the anions, angstrom."""
    bond = 0.0
    for positive in (True, False):
        chosen = [(ion.radius_a, n) for ion, n in zip(ions, counts, strict=True) if (ion.charge > 0) == positive]
        bond += sum(radius * n for radius, n in chosen) / sum(n for _, n in chosen)
    return bond


def _volume_a3(elements: Sequence[str], counts: Sequence[int]) -> float:
    return sum(n * atomic_volume_a3(symbol) for symbol, n in zip(elements, counts, strict=True))


@cache
def prototypes(most_atoms: int = MOST_ATOMS) -> tuple[Prototype, ...]:
    """All prototypes with at most so many atoms in the primitive cell, the named ones first.

    Raises
    ------
    MissingExtraError
        Without the prototypes that pymatgen distributes.
    """
    record = tomllib.loads((files("phonolyte") / "data" / "prototypes.toml").read_text(encoding="utf-8"))
    excluded = set(record["exclude"].split())
    library = _aflow() | {crystal.material_id: crystal for crystal in ordered_models()}
    all_prototypes = [_make_named(entry, library) for entry in record["prototype"]]
    known = _Shapes()
    for prototype in all_prototypes:
        known.add(prototype)
    for name, crystal in library.items():
        if _is_usable(crystal, most_atoms) and not {name, name.partition("/")[0]} & excluded:
            all_prototypes.append(_make_unnamed(name, crystal, known))
    return tuple(prototype for prototype in all_prototypes if len(prototype.crystal) <= most_atoms)


def _is_usable(crystal: Crystal, most_atoms: int) -> bool:
    elements = set(crystal.symbols)
    is_small = len(crystal) <= most_atoms and 1 < len(elements) <= MOST_SPECIES
    return crystal.is_ordered and is_small and not elements & EXCLUDED


def _aflow() -> dict[str, Crystal]:
    """The prototypes that pymatgen distributes, in primitive cells, by label and formula."""
    try:
        aflow = import_module("pymatgen.analysis.prototypes")
    except ImportError:
        raise MissingExtraError(
            "the AFLOW prototypes are not installed",
            why="they come with pymatgen, not with pymatgen-core",
            fix="Run: pip install pymatgen",
        ) from None
    crystals: dict[str, Crystal] = {}
    for entry in aflow.AFLOW_PROTOTYPE_LIBRARY:
        structure = entry["snl"].structure
        name = f"{entry['tags']['aflow']}/{structure.composition.reduced_formula}"
        crystals.setdefault(name, Crystal.from_pymatgen(structure.get_primitive_structure(), material_id=name))
    return crystals


def _make_named(entry: Mapping[str, Any], library: Mapping[str, Crystal]) -> Prototype:
    name, species = entry["name"], tuple(entry["species"])
    crystal = _source(entry, library)
    real = tuple(dict.fromkeys(tuple(composition_of(formula)) for formula in entry["real"].split()))
    if "like" in entry:  # written for the opposite charges
        like = tuple(composition_of(entry["like"]))
        counts = Counter(crystal.symbols)
        old, new = (_volume_a3(s, [counts[x] for x in species]) for s in (species, like))
        crystal, species = _replace_species(crystal, species, like, (new / old) ** (1 / 3), name), like
    return _prototype(name, crystal, species, real, entry.get("kind"))


def _source(entry: Mapping[str, Any], library: Mapping[str, Crystal]) -> Crystal:
    if "from" not in entry:
        return primitive_crystal(conventional_cell(dict(entry)))
    wanted = entry["from"]
    if wanted in library:
        return library[wanted]
    return next(crystal for name, crystal in library.items() if name.partition("/")[0] == wanted)


def _make_unnamed(name: str, crystal: Crystal, known: _Shapes) -> Prototype:
    """A prototype for itself, or one known compound more of a prototype that is known."""
    species = tuple(crystal.composition)
    same = known.name_of(crystal, species)
    if same:
        return _prototype(same, crystal, species, (species,), "listed")
    label = name.replace("_", "").replace("/", "-").lower().removeprefix("ref-")
    prototype = _prototype(label, crystal, species, (species,), None)
    known.add(prototype)
    return prototype


def _prototype(
    name: str, crystal: Crystal, species: tuple[str, ...], real: tuple[tuple[str, ...], ...], kind: Kind | None
) -> Prototype:
    counts = Counter(crystal.symbols)
    ions = neutral_ions(species, [counts[symbol] for symbol in species]) if len(species) > 1 else ()
    guess: Kind = "ionic" if ions else "metallic" if set(species) <= {*METALS, *METALLOIDS} else "listed"
    return Prototype(name, crystal, species, kind or guess, real, ions)


class _Shapes:
    """Structures that are known, whatever their elements."""

    def __init__(self) -> None:
        self._by_kind: dict[tuple[object, ...], list[Prototype]] = {}

    def add(self, prototype: Prototype) -> None:
        self._by_kind.setdefault(_shape(prototype.crystal), []).append(prototype)

    def name_of(self, crystal: Crystal, species: Sequence[str]) -> str:
        """Name of a prototype with this structure, if possible one with the same signs; or nothing."""
        counts = Counter(crystal.symbols)
        signs = _signs(neutral_ions(species, [counts[s] for s in species]), [counts[s] for s in species])
        match = _matcher().fit_anonymous
        same = sorted(self._by_kind.get(_shape(crystal), ()), key=lambda p: _signs(p.ions, p.counts) != signs)
        return next((p.name for p in same if match(crystal.to_pymatgen(), p.crystal.to_pymatgen())), "")


def _signs(ions: Sequence[Ion], counts: Sequence[int]) -> list[tuple[int, bool]]:
    """How many atoms of each element there are, and whether these are cations."""
    return sorted((n, ion.charge > 0) for n, ion in zip(counts, ions, strict=False))


def _shape(crystal: Crystal) -> tuple[object, ...]:
    """Space group, atoms and proportions: equal for crystals of one structure."""
    import spglib

    dataset = spglib.get_symmetry_dataset((crystal.lattice, crystal.frac_coords, crystal.numbers), symprec=SYMMETRY_A)
    _, counts = np.unique(crystal.numbers, return_counts=True)
    return (dataset.number if dataset else 0, tuple(sorted(counts.tolist())))


@cache
def _matcher() -> StructureMatcher:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher()
