"""The symmetry of crystals: their system in words, and their primitive cell."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.ions import simple_anions
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
    number = crystal_group(crystal)
    return system_of(number) if number else "unknown"


def crystal_group(crystal: Crystal, *, tolerance_a: float = TOLERANCE_A) -> int:
    """Space group by its number; 0 where spglib finds none. Of a disordered crystal that of its average structure."""
    return _group(sites_of(crystal).spglib_cell, tolerance_a)


def primitive_crystal(crystal: Crystal) -> Crystal:
    """The primitive cell, whose origin and orientation spglib may choose anew; of the average structure."""
    import spglib

    sites = sites_of(crystal)
    standard = spglib.find_primitive(sites.spglib_cell, symprec=TOLERANCE_A)
    if standard is None:
        return crystal
    cell = sites.in_cell(standard)
    ions = [(symbol, place, amount) for place, share in enumerate(cell.shares) for symbol, amount in share.items()]
    symbols, places, occupancies = zip(*ions, strict=True)
    return Crystal.from_arrays(
        crystal.material_id, cell.lattice, symbols, cell.positions[list(places)], occupancies=occupancies,
        properties=crystal.properties, source=crystal.source, oxidation_states=crystal.oxidation_states,
    )  # fmt: skip


def find_conventional(
    lattice: Floats, positions: Floats, kinds: Ints, *, tolerance_a: float = TOLERANCE_A
) -> tuple[Floats, Floats] | None:
    """Find the standardized conventional cell of a crystal by spglib, not idealized.

    Parameters
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    positions
        (n, 3) fractional coordinates of its sites.
    kinds
        (n,) kind of each site.
    tolerance_a
        Distance within which atoms are where symmetry has them, angstrom.

    Returns
    -------
    tuple or None
        M (3, 3) and s (3,): the conventional lattice has the rows M @ `lattice`, and a site at x of the given cell is
        at inv(M).T @ x + s of the conventional one. None where spglib finds no space group.
    """
    found = _dataset((lattice, positions, kinds), tolerance_a)
    if found is None:
        return None
    return np.linalg.inv(found.transformation_matrix).T, np.asarray(found.origin_shift)


def framework_group(crystal: Crystal, ion: str, *, tolerance_a: float) -> int:
    """Space group, by its number, of the average framework around a mobile ion; 0 where spglib finds none.

    Sites that hold the ion alone are left out, and the others are anions or not. An ordered model of a disordered
    crystal, whose atoms are near where the average structure has them, has the group of that structure.

    Parameters
    ----------
    crystal
        Ordered or disordered.
    ion
        Symbol of the mobile ion.
    tolerance_a
        Distance within which atoms are where symmetry has them, angstrom.
    """
    sites = sites_of(crystal)
    anions = simple_anions(crystal.symbols)
    places = [place for place, share in enumerate(sites.shares) if set(share) - {ion}]
    kinds = [1 + (2 * sum(sites.shares[i].get(a, 0.0) for a in anions) > sum(sites.shares[i].values())) for i in places]
    return _group((sites.lattice, sites.positions[places], np.array(kinds)), tolerance_a)


def _group(cell: tuple[Floats, Floats, Ints], tolerance_a: float) -> int:
    found = _dataset(cell, tolerance_a)
    return int(found.number) if found else 0


def _dataset(cell: tuple[Floats, Floats, Ints], tolerance_a: float) -> Any:
    import spglib

    try:
        return spglib.get_symmetry_dataset(cell, symprec=tolerance_a)
    except Exception:  # newer versions raise an error of their own where older ones give None
        return None


def system_of(space_group: int) -> str:
    """Crystal system of a space group by its number, 1 to 230."""
    spans = zip(SYSTEMS, pairwise(_FIRST), strict=True)
    return next(name for name, (first, after) in spans if first <= space_group < after)
