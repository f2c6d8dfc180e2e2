"""What phonons of a crystal take: displacements and atoms of the supercell, from its symmetry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.forces.registry import ENGINES
from phonolyte.phonons.workflow import PhononSettings
from phonolyte.runs.workload import Workload
from phonolyte.structures import Crystal

OTHER_S = 2.0
"""Seconds that any crystal takes beside its forces: density of states, files."""

RELAXATION = 30
"""Force calculations that the relaxation of a primitive cell takes, as a rule."""

DIRECTIONS = 6
"""Displacements of an atom whose site has no symmetry: three directions, to and fro."""

SYMPREC_A = 0.01


def phonon_cost_s(crystals: Sequence[Crystal], *, min_length_a: float = 8.0) -> Floats:
    """Estimate the cpu-seconds (n,) of the phonons of n ordered crystals, by a potential as fast as DPA4.

    Of use to compare crystals: an engine that is ten times as slow takes ten times as long for all of them.

    Parameters
    ----------
    crystals
        Ordered crystals.
    min_length_a
        Least distance of an atom from its image in the supercell, angstrom.
    """
    counts = [displacements_and_atoms(crystal, min_length_a=min_length_a) for crystal in crystals]
    n_displacements, n_atoms = np.array(counts, dtype=float).reshape(-1, 2).T
    seconds_per_atom = ENGINES["dpa4"].seconds_per_atom or 0.0
    return np.asarray(OTHER_S + seconds_per_atom * n_displacements * n_atoms)


def phonon_workload(crystal: Crystal, settings: PhononSettings) -> Workload:
    """Estimate what phonons of an ordered crystal take."""
    n_displacements, n_atoms, n_primitive = _count(crystal, settings.min_length_a)
    if settings.supercell:
        n_atoms = n_primitive * math.prod(settings.supercell)
    n_relaxed = RELAXATION if settings.relax else 0
    return Workload(n_displacements + n_relaxed, n_displacements * n_atoms + n_relaxed * n_primitive, other_s=OTHER_S)


def displacements_and_atoms(crystal: Crystal, *, min_length_a: float = 8.0) -> tuple[int, int]:
    """Estimate the displacements that the symmetry leaves, and the atoms of each supercell.

    A site whose group has g operations needs 6 / g displacements, at least one.
    """
    return _count(crystal, min_length_a)[:2]


def _count(crystal: Crystal, min_length_a: float) -> tuple[int, int, int]:
    """Displacements, atoms of each supercell, and those of the primitive cell."""
    symmetry = _symmetry(crystal)
    if symmetry is None:
        n = len(crystal)
        return DIRECTIONS * n, _supercell_atoms(crystal.lattice, n, min_length_a), n
    _, sizes = np.unique(symmetry.equivalent_atoms, return_counts=True)
    of_sites = len(symmetry.rotations) / sizes
    n_displacements = sum(max(1, math.ceil(DIRECTIONS / order - 1e-6)) for order in of_sites)
    n_primitive = int(symmetry.mapping_to_primitive.max()) + 1
    return n_displacements, _supercell_atoms(symmetry.primitive_lattice, n_primitive, min_length_a), n_primitive


def _symmetry(crystal: Crystal) -> Any:
    """Symmetry by spglib; None where it finds none."""
    import spglib

    try:
        cell = (crystal.lattice, crystal.frac_coords, crystal.numbers)
        return spglib.get_symmetry_dataset(cell, symprec=SYMPREC_A)
    except Exception:  # newer versions raise an error of their own where older ones give None
        return None


def _supercell_atoms(lattice: Floats, n: int, min_length_a: float) -> int:
    """Atoms of the supercell whose reduced vectors are each multiplied up to the length."""
    from phonolyte.structures.neighbors import reduce_lattice

    lengths = np.linalg.norm(reduce_lattice(lattice), axis=1)
    return int(n * np.prod(np.ceil((min_length_a - 0.1) / lengths)))
