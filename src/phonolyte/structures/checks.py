"""What a crystal has to be: what no calculation could use is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phonolyte.chemistry.elements import SYMBOLS
from phonolyte.errors import StructureError

if TYPE_CHECKING:
    from phonolyte.structures.crystal import Crystal

SHORTEST_DISTANCE_A = 0.5
"""Atoms nearer than this overlap; the shortest bond there is, H-H, has 0.74 angstrom."""

LARGEST_A3 = 10_000.0
"""Volume per atom of no crystal; the emptiest ones of databases have 700 cubic angstrom."""

FLATTEST_CELL = 1e-3
"""A cell whose volume is below this share of the product of its edges is degenerate."""

OVERFULL = 0.01
"""Share by which occupancies may exceed 1: files round them, and refinements have errors."""

EMPTIEST = 0.25
"""In every crystal some site is filled to more than this share; below, occupancies are in another unit."""


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
    if crystal.volume_a3 > LARGEST_A3 * crystal.n_atoms:
        raise StructureError(
            "the cell is far too large for its atoms",
            why=f"{crystal.volume_a3 / crystal.n_atoms:,.0f} A^3 an atom",
            fix="Lengths are in angstrom; atoms may be missing.",
            kind="HugeCell",
        )
    if not crystal.is_ordered:
        _check_sites(crystal)
    _check_overlaps(crystal)


def _check_sites(crystal: Crystal) -> None:
    """Refuse sites that are more than full, and crystals without a framework."""
    from phonolyte.structures.sites import sites_of

    fullest = max(sum(share.values()) for share in sites_of(crystal).shares)  # which refuses a site that is overfull
    if fullest < EMPTIEST:
        raise StructureError(
            "no site is filled",
            why=f"the largest occupancy is {fullest:.3g}",
            fix="Occupancies are shares of a site, 1 where it is full: correct them.",
            kind="BadOccupancy",
        )


def _check_overlaps(crystal: Crystal) -> None:
    """Refuse atoms that overlap; ions of partly filled sites may be near each other, and exclude each other."""
    from phonolyte.structures.neighbors import shortest_contact

    full = np.flatnonzero(np.ones(len(crystal)) if crystal.occupancies is None else crystal.occupancies == 1.0)
    distance, a, b = shortest_contact(crystal.lattice, crystal.frac_coords[full], SHORTEST_DISTANCE_A)
    if a >= 0:
        i, j = full[a], full[b]
        raise StructureError(
            "atoms overlap",
            why=f"sites {i + 1} ({SYMBOLS[crystal.numbers[i]]}) and {j + 1} ({SYMBOLS[crystal.numbers[j]]}) "
            f"are {distance:.3f} A apart",
            fix="Remove repeated or alternative positions; coordinates may also be in the wrong unit.",
            kind="OverlappingAtoms",
        )
