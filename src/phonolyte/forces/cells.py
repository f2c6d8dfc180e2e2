"""Cells that calculations start from: primitive, relaxed, supercell."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import EngineError, PhonolyteError, PhononError, first_line
from phonolyte.structures import Crystal
from phonolyte.structures.crystal import refuse_disorder

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces.engines import Engine

MOST_MULTIPLES = 8
"""Largest multiple of an edge that is tried."""

SLACK_A = 0.1
"""A supercell that is shorter than required by up to this length is accepted."""

SYMPREC_A = 0.01
"""Default tolerance of symmetry, angstrom."""


def primitive_cell(crystal: Crystal, *, symprec_a: float = SYMPREC_A) -> Atoms:
    """Return the standardized primitive cell, by spglib.

    Raises
    ------
    StructureError
        For a disordered crystal.
    """
    import spglib
    from ase import Atoms

    refuse_disorder(crystal)
    cell = (crystal.lattice, crystal.frac_coords, crystal.numbers)
    standard = spglib.standardize_cell(cell, to_primitive=True, no_idealize=False, symprec=symprec_a)
    lattice, positions, numbers = cell if standard is None else standard
    return Atoms(numbers=numbers, cell=lattice, scaled_positions=positions, pbc=True)


def relax(
    atoms: Atoms,
    engine: Engine,
    *,
    fmax_ev_a: float = 1e-3,
    max_steps: int = 300,
    symprec_a: float = SYMPREC_A,
    check: Callable[[], None] = lambda: None,
) -> Atoms:
    """Relax cell and positions, keeping the symmetry.

    Parameters
    ----------
    atoms
        Cell to relax; it is not changed.
    engine
        Source of forces and stress.
    fmax_ev_a
        Largest force in eV/angstrom (and stress times volume per atom, in eV) of the relaxed cell.
    max_steps
        Largest number of steps.
    symprec_a
        Tolerance of the symmetry that is kept, angstrom.
    check
        Called at every step; may raise.

    Raises
    ------
    PhononError
        When forces stay above the threshold.
    """
    relaxed, converged = relax_steps(
        atoms, engine, fmax_ev_a=fmax_ev_a, max_steps=max_steps, symprec_a=symprec_a, check=check
    )
    if not converged:
        raise _not_converged(fmax_ev_a, max_steps)
    return relaxed


def relax_steps(
    atoms: Atoms,
    engine: Engine,
    *,
    fmax_ev_a: float,
    max_steps: int,
    symprec_a: float = SYMPREC_A,
    check: Callable[[], None] = lambda: None,
) -> tuple[Atoms, bool]:
    """Relax as :func:`relax`; return the last cell, and whether forces are below the threshold."""
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter

    atoms = atoms.copy()
    atoms.calc = engine.calculator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms.set_constraint(FixSymmetry(atoms, symprec=symprec_a))
        _, converged = _minimize(FrechetCellFilter(atoms), fmax_ev_a, max_steps, check)
    atoms.set_constraint()
    return atoms, converged


def relax_positions(
    atoms: Atoms,
    engine: Engine,
    *,
    fmax_ev_a: float = 1e-3,
    max_steps: int = 300,
    hessian: Floats | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Atoms, Floats | None]:
    """Relax positions in a cell that stays, with no symmetry imposed; other arguments are those of :func:`relax`.

    Parameters
    ----------
    hessian
        Hessian (3 n, 3 n) in eV/angstrom^2 to begin with, as the relaxation of a similar cell has learned it.

    Returns
    -------
    tuple
        Relaxed atoms, and the Hessian that was learned on the way; None where nothing moved and none was given.
    """
    atoms = atoms.copy()
    atoms.calc = engine.calculator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learned, converged = _minimize(atoms, fmax_ev_a, max_steps, check, hessian)
    if not converged:
        raise _not_converged(fmax_ev_a, max_steps)
    return atoms, learned


def _minimize(
    target: Any, fmax_ev_a: float, max_steps: int, check: Callable[[], None], hessian: Floats | None = None
) -> tuple[Floats | None, bool]:
    """Move atoms, or what a filter makes of them; the Hessian, and whether no force is above the threshold."""
    from ase.optimize import BFGS

    optimizer = BFGS(target, logfile=None)
    if hessian is not None:
        optimizer.H0 = hessian
    for _ in optimizer.irun(fmax=fmax_ev_a, steps=max_steps):
        check()
    learned = np.asarray(optimizer.H) if optimizer.nsteps else hessian
    return learned, bool(optimizer.converged(optimizer.optimizable.get_gradient()))


def _not_converged(fmax_ev_a: float, max_steps: int) -> PhononError:
    return PhononError(
        "the relaxation does not converge",
        why=f"forces stay above {fmax_ev_a:g} eV/angstrom after {max_steps} steps",
        fix="Allow more steps, start from a better structure, or try another engine.",
    )


def relaxed_energy(atoms: Atoms, engine: Engine, *, fmax_ev_a: float = 0.05, max_steps: int = 100) -> float:
    """Energy in eV an atom after the positions have been relaxed, in a cell that stays, by at most so many steps.

    Raises
    ------
    EngineError
        When the engine fails, or gives an energy that is not finite.
    """
    from ase.optimize import FIRE

    atoms = atoms.copy()
    atoms.calc = engine.calculator
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            FIRE(atoms, logfile=None).run(fmax=fmax_ev_a, steps=max_steps)
        energy = float(atoms.get_potential_energy()) / len(atoms)
    except PhonolyteError:
        raise
    except Exception as error:  # a foreign engine can raise anything
        raise EngineError(f"{engine.name} failed", why=first_line(error)) from error
    if not math.isfinite(energy):
        raise EngineError(f"{engine.name} gives an energy that is not finite", fix="Try another engine.")
    return energy


def supercell_matrix(
    primitive: Atoms,
    *,
    supercell: tuple[int, int, int] | None = None,
    min_length_a: float = 8.0,
    symprec_a: float = SYMPREC_A,
) -> Ints:
    """Return the supercell (3, 3) whose rows are lattice vectors in units of the primitive ones.

    Without `supercell` (multiples of the primitive cell) it is the smallest multiple of the primitive or the
    conventional cell in which no atom is nearer to an image of itself than `min_length_a` angstrom. Edges of equal
    length are multiplied alike, which keeps the symmetry.

    Raises
    ------
    PhononError
        When not even :data:`MOST_MULTIPLES` of each edge are that long.
    """
    if supercell is not None:
        return np.diag(supercell)
    lattice = primitive.cell.array
    bases = (np.eye(3, dtype=int), _conventional(primitive, symprec_a))
    multiples = [matrix for base in bases if (matrix := _multiple(base, lattice, min_length_a)) is not None]
    if not multiples:
        raise PhononError(
            f"no supercell keeps atoms {min_length_a:g} angstrom from their images",
            why=f"up to {MOST_MULTIPLES} multiples of each edge were tried",
            fix="Give a shorter length, or the supercell itself.",
        )
    return _symmetric(min(multiples, key=lambda matrix: abs(round(np.linalg.det(matrix)))))


def count_atoms(primitive: Atoms, supercell: Ints) -> int:
    """Return the number of atoms of a supercell (3, 3), rows in units of the vectors of the primitive cell."""
    return len(primitive) * abs(round(float(np.linalg.det(supercell))))


class Clock:
    """Wall time spent on one crystal, and its limit in seconds (None: no limit)."""

    def __init__(self, limit_s: float | None, name: str) -> None:
        self.start, self.limit_s, self.name = time.perf_counter(), limit_s, name

    @property
    def seconds(self) -> float:
        """Seconds since the clock was started."""
        return time.perf_counter() - self.start

    def check(self) -> None:
        """Raise a PhononError when the limit has passed."""
        if self.limit_s is not None and self.seconds > self.limit_s:
            raise PhononError(
                f"{self.name} takes longer than the limit",
                why=f"{self.seconds:.0f} s have passed, the limit is {self.limit_s:.0f} s",
                fix="Raise the limit, or shorten the supercell.",
            )


def _symmetric(matrix: Ints) -> Ints:
    """Order and sign the vectors of a supercell so that its matrix is symmetric, where that is possible.

    Euphonic 2.1 takes phonopy's matrix for its transpose, and opens no other.
    """
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            ordered = np.array(signs)[:, None] * matrix[list(order)]
            if (ordered == ordered.T).all() and np.linalg.det(ordered) > 0:
                return ordered
    return matrix


def _conventional(primitive: Atoms, symprec_a: float) -> Ints:
    """Vectors of the conventional cell as rows, in units of the primitive ones."""
    import spglib

    cell = (primitive.cell.array, primitive.get_scaled_positions(), primitive.numbers)
    standard = spglib.standardize_cell(cell, to_primitive=False, no_idealize=True, symprec=symprec_a)
    if standard is None:
        return np.eye(3, dtype=int)
    return np.asarray(np.rint(standard[0] @ np.linalg.inv(primitive.cell.array)), dtype=int)


def _multiple(base: Ints, lattice: Floats, length_a: float) -> Ints | None:
    """Return the smallest multiple of a cell with no lattice vector shorter than the length; None without one."""
    from phonolyte.structures.neighbors import reduce_lattice

    edges = np.linalg.norm(base @ lattice, axis=1)
    alike = np.abs(edges[:, None] - edges) < 1e-3 * edges
    counts = sorted(np.ndindex(MOST_MULTIPLES, MOST_MULTIPLES, MOST_MULTIPLES), key=lambda n: np.prod(np.add(n, 1)))
    for count in np.array(counts) + 1:
        if (alike & (count[:, None] != count)).any():
            continue
        matrix = np.diag(count) @ base
        if np.linalg.norm(reduce_lattice(matrix @ lattice), axis=1).min() >= length_a - SLACK_A:
            return matrix
    return None
