"""The two ends of a hop: built from the crystal, and relaxed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.barriers.hops import Edge
from phonolyte.barriers.optimize import LONGEST_STEP_A, remember, run_steps
from phonolyte.errors import MigrationError

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine

BASIN = 0.5
"""A relaxed end whose ions have moved more than this share of the hop is another one than was meant."""


class Ends(NamedTuple):
    """The two ends of a hop in the supercell, and which atom hops.

    Attributes
    ----------
    start, end
        The same atoms in the same order; positions go on from one to the other without a jump over a cell border.
    ion
        Index of the atom that hops.
    """

    start: Atoms
    end: Atoms
    ion: int


def vacancy_ends(primitive: Atoms, supercell: Ints, edge: Edge) -> Ends:
    """The supercell with the ion before and after its hop into a vacancy.

    Parameters
    ----------
    primitive
        The relaxed primitive cell.
    supercell
        (3, 3) lattice vectors as rows in units of the primitive ones.
    edge
        The hop.

    Raises
    ------
    MigrationError
        When the supercell is so small that both sites are the same in it.
    """
    from ase.build import make_supercell

    full_cell = make_supercell(primitive, supercell)
    start_at = primitive.positions[edge.start]
    line = primitive.positions[edge.end] + np.array(edge.image) @ primitive.cell.array - start_at
    ion, vacancy = _atom_at(full_cell, start_at), _atom_at(full_cell, start_at + line)
    if ion == vacancy:
        raise MigrationError(
            "the supercell is smaller than the hop",
            why="the ion would hop onto its own image",
            fix="Widen the supercell.",
            kind="SmallSupercell",
        )
    start, end = full_cell.copy(), full_cell.copy()
    end.positions[ion] += line
    for cell in (start, end):
        del cell[vacancy]
    return Ends(start, end, ion - (vacancy < ion))


def interstitial_ends(primitive: Atoms, supercell: Ints, start: Floats, line: Floats, ion: str) -> Ends:
    """The supercell with one more ion before and after its hop from one empty site to another.

    Parameters
    ----------
    primitive
        The relaxed primitive cell.
    supercell
        (3, 3) lattice vectors as rows in units of the primitive ones.
    start, line
        Where the ion is, and the way it goes, (3,) in angstrom.
    ion
        Its symbol.
    """
    from ase import Atoms
    from ase.build import make_supercell

    full_cell = make_supercell(primitive, supercell)
    ends = [full_cell + Atoms(ion, positions=[position]) for position in (start, start + line)]
    return Ends(ends[0], ends[1], len(full_cell))


def relax_ends(
    ends: Ends, engine: Engine, *, fmax_ev_a: float, max_steps: int, check: Callable[[], None] = lambda: None
) -> Ends:
    """Relax both ends in the fixed cell.

    Parameters
    ----------
    ends
        Ends of a hop, not changed.
    engine
        Source of energies and forces.
    fmax_ev_a
        Largest force of the relaxed ends, eV/angstrom.
    max_steps
        Largest number of steps.
    check
        Called at every step; may raise.

    Raises
    ------
    MigrationError
        When one does not converge, or leaves its basin: the ion slips to the other end, or another ion fills the
        vacancy.
    EngineError
        When energies are not finite.
    """
    length = float(np.linalg.norm(ends.end.positions[ends.ion] - ends.start.positions[ends.ion]))
    relaxed_ends = []
    for name, cell in (("start", ends.start), ("end", ends.end)):
        relaxed = _relax(cell, engine, name, fmax_ev_a, max_steps, check)
        moved = np.linalg.norm(relaxed.positions - cell.positions, axis=1)
        farthest = int(moved.argmax())
        if moved[farthest] > BASIN * length:
            who = "the ion" if farthest == ends.ion else f"{cell.symbols[farthest]} {farthest}"
            raise MigrationError(
                f"the {name} of the hop is not where it should be",
                why=f"{who} moved {moved[farthest]:.2f} angstrom as it relaxed: there is no site, or another ion "
                "fills the vacancy",
                fix="Look at the relaxed end, and take shorter hops of which this one is made.",
                kind="LeftBasin",
            )
        relaxed_ends.append(relaxed)
    return Ends(relaxed_ends[0], relaxed_ends[1], ends.ion)


def _relax(
    cell: Atoms, engine: Engine, name: str, fmax_ev_a: float, max_steps: int, check: Callable[[], None]
) -> Atoms:
    from ase.optimize import LBFGS

    relaxed = cell.copy()
    relaxed.calc = remember(engine.calculator)
    optimizer = LBFGS(relaxed, logfile=None, maxstep=LONGEST_STEP_A)
    done = False
    for step in run_steps(optimizer, fmax_ev_a, max_steps, engine):
        check()
        done = step.done
    if not done:
        raise MigrationError(
            f"the {name} of the hop does not relax",
            why=f"forces stay above {fmax_ev_a:g} eV/angstrom after {max_steps} steps",
            fix="Allow more steps, or try another engine.",
            kind="NotRelaxed",
        )
    return relaxed


def _atom_at(cell: Atoms, position: Floats) -> int:
    apart = cell.get_scaled_positions(wrap=False) - position @ np.linalg.inv(cell.cell.array)
    return int(np.linalg.norm((apart - np.rint(apart)) @ cell.cell.array, axis=1).argmin())
