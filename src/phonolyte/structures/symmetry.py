"""The symmetry of crystals: their system in words, and their primitive cell."""

from __future__ import annotations

from itertools import pairwise

from phonolyte.structures.crystal import Crystal
from phonolyte.structures.sites import sites_of

TOLERANCE_A = 0.01
"""Atoms that are moved by less, in angstrom, are where symmetry has them."""

SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
_FIRST = (1, 3, 16, 75, 143, 168, 195, 231)
"""Space group that each system begins with."""


def crystal_system(crystal: Crystal) -> str:
    """Crystal system by the space group that spglib finds, one of :data:`SYSTEMS`; ``unknown`` where it finds none.

    That of a disordered crystal is the one of its average structure: sites with the same occupancies are equal.
    """
    import spglib

    try:
        found = spglib.get_symmetry_dataset(sites_of(crystal).spglib_cell, symprec=TOLERANCE_A)
    except Exception:  # newer versions raise an error of their own where older ones give None
        found = None
    return system_of(found.number) if found else "unknown"


def primitive_crystal(crystal: Crystal) -> Crystal:
    """The primitive cell, whose origin and orientation spglib may choose anew; of the average structure."""
    import spglib

    sites = sites_of(crystal)
    found = spglib.find_primitive(sites.spglib_cell, symprec=TOLERANCE_A)
    if found is None:
        return crystal
    cell = sites.in_cell(found)
    ions = [(symbol, place, part) for place, share in enumerate(cell.shares) for symbol, part in share.items()]
    symbols, places, occupancies = zip(*ions, strict=True)
    return Crystal.of(
        crystal.material_id, cell.lattice, symbols, cell.positions[list(places)], occupancies=occupancies,
        properties=crystal.properties, source=crystal.source, oxidation_states=crystal.oxidation_states,
    )  # fmt: skip


def system_of(space_group: int) -> str:
    """Crystal system of a space group by its number, 1 to 230."""
    spans = zip(SYSTEMS, pairwise(_FIRST), strict=True)
    return next(name for name, (first, after) in spans if first <= space_group < after)
