"""Parents: crystals whose sites are grouped into slots, each of which takes one element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.chemistry.ions import Ion
from phonolyte.chemistry.neutrality import neutral_ions
from phonolyte.errors import SettingsError
from phonolyte.references import ordered_model
from phonolyte.structures import Crystal
from phonolyte.structures.crystal import refuse_disorder

BUILT_IN = {
    "nasicon": "ref-LiGe2P3O12",
    "garnet": "ref-Li7La3Zr2O12",
    "li2tio3": "ref-Li2TiO3",
    "argyrodite": "ref-Li6PS5Cl",
    "lgps": "ref-Li10GeP2S12",
    "li3ps4": "ref-Li3PS4-Pnma",
}
"""The six prototypes of the study (10.1155/2024/2138847), and the reference compounds that they are.

Where the real crystal is disordered the reference compound is an ordered one; its `note` says how it was ordered.
"""

SYMMETRY_A = 0.01
"""How far atoms of one orbit may be from where symmetry puts them, angstrom."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """Sites that change together.

    Attributes
    ----------
    name
        Its column in tables.
    sites
        (k,) indices of its atoms in the parent.
    element
        Symbol of the element that the parent has there.
    ion
        The same as an ion; None where the parent's charges do not add up to zero.
    """

    name: str
    sites: Ints
    element: str
    ion: Ion | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Parent:
    """A crystal and its slots, which hold each site once."""

    name: str
    crystal: Crystal
    slots: tuple[Slot, ...]

    @property
    def slot_of_site(self) -> Ints:
        """Index of the slot of each site, (n,)."""
        slots = np.empty(len(self.crystal), dtype=np.int64)
        for number, slot in enumerate(self.slots):
            slots[slot.sites] = number
        return slots

    @property
    def counts(self) -> Ints:
        """Sites of each slot, (s,)."""
        return np.array([len(slot.sites) for slot in self.slots])

    def fractions(self, numbers: Ints) -> Floats:
        """Fractions of the elements (n, Z + 1) of compounds with atomic numbers (n, s) on the slots."""
        fractions = np.zeros((len(numbers), len(SYMBOLS)))
        rows, share = np.arange(len(numbers)), self.counts / self.counts.sum()
        for slot in range(numbers.shape[1]):
            fractions[rows, numbers[:, slot]] += share[slot]
        return fractions

    def substituted(self, numbers: Sequence[int] | Ints, *, material_id: str = "", scale: float = 1.0) -> Crystal:
        """The crystal with other elements.

        Parameters
        ----------
        numbers
            (s,) atomic number for each slot.
        material_id
            Name of the new crystal.
        scale
            Factor on all lengths.
        """
        species = np.asarray(numbers)[self.slot_of_site]
        return Crystal.from_arrays(
            material_id, self.crystal.lattice * scale, species.tolist(), self.crystal.frac_coords
        )


def built_in(name: str) -> Crystal:
    """One of the crystals in :data:`BUILT_IN`.

    Raises
    ------
    SettingsError
        For another name.
    """
    if name.lower() not in BUILT_IN:
        raise SettingsError(f"there is no prototype {name!r}", fix=f"Choose among {', '.join(BUILT_IN)}.")
    return ordered_model(BUILT_IN[name.lower()])


def parent_of(crystal: Crystal, sites: Mapping[str, Sequence[str | int]] | None = None, *, name: str = "") -> Parent:
    """Group the sites of a crystal into slots.

    Parameters
    ----------
    crystal
        The parent.
    sites
        For each slot its name, and what belongs to it: element symbols (``"S"``), orbits (``"S 4c"``, an element and a
        Wyckoff position, numbered from the second of the same label on: ``"O 36f 2"``), or indices of sites, from 0.
        Sites that are not named stay with their element, each in a slot of that name. Without it each element is one.
    name
        The `material_id` unless given.

    Raises
    ------
    SettingsError
        When something that is named is not in the crystal, or a site is in two slots.
    StructureError
        For a disordered crystal.
    """
    refuse_disorder(crystal)
    orbits = orbit_labels(crystal)
    owner: dict[int, str] = {}
    for slot, names in (sites or {}).items():
        for member in names:
            for site in _sites_of(crystal, orbits, slot, member):
                if owner.setdefault(site, slot) != slot:
                    raise SettingsError(
                        f"site {site} ({orbits[site]}) is in the slots {owner[site]} and {slot}",
                        fix="Name each site once.",
                    )
    groups: dict[str, list[int]] = {slot: [] for slot in (sites or {})}
    for site, symbol in enumerate(crystal.symbols):
        groups.setdefault(owner.get(site, symbol), []).append(site)
    ions = _ions(crystal)
    slots = []
    for slot, members in groups.items():
        elements = {crystal.symbols[site] for site in members}
        symbol = crystal.symbols[members[0]]
        slots.append(Slot(slot, np.array(members), symbol, ions.get(symbol) if len(elements) == 1 else None))
    return Parent(name or crystal.material_id, crystal, tuple(slots))


def orbit_labels(crystal: Crystal) -> list[str]:
    """Element and Wyckoff position of each site, such as ``O 36f`` and, for the second such orbit, ``O 36f 2``."""
    import spglib

    cell = (crystal.lattice, crystal.frac_coords, crystal.numbers)
    data = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_A)
    if data is None:
        return [f"{symbol} 1a" for symbol in crystal.symbols]
    per_conventional = len(data.std_types) / len(crystal)
    labels: dict[int, str] = {}
    for site, orbit in enumerate(data.crystallographic_orbits):
        if orbit in labels:
            continue
        copies = int((data.crystallographic_orbits == orbit).sum() * per_conventional + 0.5)
        label = f"{crystal.symbols[site]} {copies}{data.wyckoffs[site]}"
        same = sum(known == label or known.startswith(f"{label} ") for known in labels.values())
        labels[orbit] = label if not same else f"{label} {same + 1}"
    return [labels[orbit] for orbit in data.crystallographic_orbits]


def _sites_of(crystal: Crystal, orbits: Sequence[str], slot: str, name: str | int) -> list[int]:
    if isinstance(name, int):
        sites = [name] if 0 <= name < len(crystal) else []
    elif name in ATOMIC_NUMBERS:
        sites = [site for site, symbol in enumerate(crystal.symbols) if symbol == name]
    else:
        sites = [site for site, label in enumerate(orbits) if label == name]
    if not sites:
        raise SettingsError(
            f"slot {slot} names {name!r}, which {crystal.material_id or 'the parent'} does not have",
            why=f"it has {', '.join(dict.fromkeys(orbits))}, and sites 0 to {len(crystal) - 1}",
            fix="Name elements, orbits or sites of the parent.",
        )
    return sites


def _ions(crystal: Crystal) -> dict[str, Ion]:
    symbols = sorted(set(crystal.symbols))
    if len(symbols) < 2:
        return {}
    counts = [crystal.symbols.count(symbol) for symbol in symbols]
    return {ion.symbol: ion for ion in neutral_ions(symbols, counts)}
