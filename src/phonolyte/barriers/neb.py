"""Hop by a nudged elastic band (NEB) with a climbing image: ends, path, barriers, and whether to trust them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.barriers.ends import Ends
from phonolyte.barriers.hops import Carrier, Hop
from phonolyte.barriers.optimize import LONGEST_STEP_A, Step, remember, run_steps
from phonolyte.barriers.paths import check_atoms, first_path, put_into_one_cell
from phonolyte.errors import SettingsError
from phonolyte.forces.cells import supercell_matrix
from phonolyte.runs.records import checksum

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine

CLIMB_BELOW = 4.0
"""The highest image begins to climb when the forces are below this many times the threshold."""

NEB = "Nudged elastic band"
"""Heading of the options of this method."""

SPRING_EV_A2 = 0.1
DIP_EV = 0.05
"""An image this much lower than both ends is a site of its own on the way."""

SAVED_EVERY = 5
"""Steps after which the path is written."""


@dataclass(frozen=True, slots=True)
class NebSettings:
    """How hops are computed.

    Attributes
    ----------
    supercell
        Multiples of the primitive cell ((2, 2, 2) in the study), or None for the smallest that is `min_length_a` wide.
    min_length_a
        Least distance in angstrom between an atom and its images in the supercell.
    images
        Between the two ends (10 in the study).
    fmax_ev_a
        Largest force in eV/angstrom perpendicular to a converged path, and on the climbing image.
    ends_fmax_ev_a
        Largest force in eV/angstrom on the atoms of the relaxed ends.
    max_steps
        Largest number of steps of each relaxation, and of the NEB path.
    cutoff_a
        Longest hop, angstrom.
    hops
        Names of those to be computed; the shortest that percolate in as many dimensions as all do, unless given.
    relax
        Whether the primitive cell is relaxed first, its symmetry kept.
    symprec_a
        Tolerance in angstrom within which symmetry is found.
    carrier
        What moves: a vacancy, or an additional ion between interstitial sites, which are taken from the bond-valence
        site energies.
    charge
        Charge of the cell with the defect, in elementary charges (-1 where Li+ is gone, 1 where it is added); None
        for a neutral atom removed or added, which is all that potentials without charges know.
    paths
        Names of hops, and files with a first path for each. Only the images between the ends are taken from a file:
        the ends are relaxed here.
    limit_s
        Seconds after which a hop is given up; None for no limit.
    """

    supercell: Annotated[tuple[int, int, int] | None, "Multiples of the primitive cell. Default: by length.", NEB] = (
        None
    )
    min_length_a: Annotated[float, "Least distance of an atom from its image, angstrom.", NEB] = 8.0
    images: Annotated[int, "Images between the ends of a hop.", NEB] = 5
    fmax_ev_a: Annotated[float, "Largest force of a converged path, eV/angstrom.", NEB] = 0.05
    ends_fmax_ev_a: Annotated[float, "Largest force of the relaxed ends, eV/angstrom.", NEB] = 0.02
    max_steps: Annotated[int, "Steps of each relaxation, and of the path.", NEB] = 200
    cutoff_a: Annotated[float, "Longest hop, angstrom.", NEB] = 5.0
    hops: Annotated[
        tuple[str, ...] | None, "Name of a hop, such as Li-2.85. Default: the shortest that percolate.", NEB, "--hop"
    ] = None
    relax: Annotated[bool, "Relax cell and positions first, the symmetry kept.", NEB] = True
    symprec_a: Annotated[float, "Tolerance of the symmetry, angstrom.", NEB] = 0.01
    carrier: Annotated[Carrier, "What moves, a vacancy or one more ion.", NEB] = "vacancy"
    charge: Annotated[
        float | None, "Charge of the cell with the defect, -1 for Li+ removed; with espresso only.", NEB
    ] = None
    paths: Annotated[
        tuple[tuple[str, str], ...],
        "First path of a hop as HOP=FILE (extXYZ); else interpolated.",
        NEB,
        "--path",
    ] = ()
    limit_s: Annotated[float | None, "Seconds for one hop. Default: no limit.", NEB] = None

    def __post_init__(self) -> None:
        for name in ("min_length_a", "images", "fmax_ev_a", "ends_fmax_ev_a", "max_steps", "cutoff_a", "symprec_a"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a positive number.")
        if self.carrier not in get_args(Carrier):
            raise SettingsError(f"carrier is {self.carrier!r}", fix="Choose vacancy or interstitial.")
        for hop, file in self.paths:
            if not Path(file).is_file():
                raise SettingsError(f"the path of {hop}, {file}, is not a file", fix="Give the images as extended XYZ.")

    def supercell_of(self, primitive: Atoms) -> Ints:
        """Supercell (3, 3) of a primitive cell, rows in units of its vectors."""
        return supercell_matrix(
            primitive, supercell=self.supercell, min_length_a=self.min_length_a, symprec_a=self.symprec_a
        )

    @property
    def deciding(self) -> Mapping[str, object]:
        """What decides the result of a hop, files by their content."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "limit_s"}
        return values | {"paths": [(hop, checksum(file)) for hop, file in self.paths]}


@dataclass(frozen=True, slots=True, eq=False)
class NebResult:
    """The path of one hop.

    Attributes
    ----------
    hop
        Which.
    images
        From end to end.
    energies_ev
        Total energy of each image, (n,), eV.
    converged
        Whether forces are below the threshold.
    why
        Reason why not, or a note on the path.
    steps
        Number of steps of the NEB path.
    max_force_ev_a
        What is left.
    seconds
        Wall time of the NEB path.
    """

    hop: Hop
    images: Sequence[Atoms] = field(repr=False)
    energies_ev: Floats
    converged: bool
    why: str
    steps: int
    max_force_ev_a: float
    seconds: float

    @property
    def saddle(self) -> int:
        """The highest image."""
        return int(self.energies_ev.argmax())

    @property
    def saddle_ev(self) -> float:
        """Total energy of the highest image."""
        return float(self.energies_ev.max())

    @property
    def barrier_ev(self) -> float:
        """From the start to the saddle."""
        return float(self.energies_ev.max() - self.energies_ev[0])

    @property
    def reverse_ev(self) -> float:
        """From the end to the saddle."""
        return float(self.energies_ev.max() - self.energies_ev[-1])

    def row(self) -> dict[str, Any]:
        """What a table shows of it."""
        return {
            "hop": self.hop.name,
            "length_a": self.hop.length_a,
            "clearance_a": self.hop.clearance_a,
            "barrier_ev": self.barrier_ev,
            "reverse_ev": self.reverse_ev,
            "start_ev": float(self.energies_ev[0]),
            "end_ev": float(self.energies_ev[-1]),
            "saddle_ev": self.saddle_ev,
            "lowest_ev": float(self.energies_ev.min()),
            "saddle_image": self.saddle,
            "converged": self.converged,
            "why": self.why,
            "steps": self.steps,
            "max_force_ev_a": self.max_force_ev_a,
            "n_images": len(self.images) - 2,
            "supercell_atoms": len(self.images[0]),
            "seconds": self.seconds,
        }


def climb(
    hop: Hop,
    ends: Ends,
    engine: Engine,
    settings: NebSettings,
    *,
    path: Sequence[Atoms] | None = None,
    save: Callable[[Sequence[Atoms]], None] | None = None,
    check: Callable[[], None] = lambda: None,
) -> NebResult:
    """Find the path of a hop between its relaxed ends, the highest image climbing to the saddle.

    The tangents are improved ones (Henkelman and Jonsson, 10.1063/1.1323224), the climbing image that of Henkelman,
    Uberuaga and Jonsson (10.1063/1.1329672), the first path from image-dependent pair potentials (10.1063/1.4878664).

    Parameters
    ----------
    hop
        Which.
    ends
        As :func:`relax_ends` gives them.
    engine
        Source of energies and forces.
    settings
        How.
    path
        A first path, both ends included; by pair potentials unless given.
    save
        Called with the images every few steps.
    check
        Called at every step; may raise.

    Raises
    ------
    MigrationError
        When a given path has other atoms than the ends, or the straight line goes through an atom and there is no
        given path.
    EngineError
        When energies or forces are not finite.
    """
    start = time.perf_counter()
    images = list(path) if path else first_path(hop, ends, settings.images, dict(settings.paths))
    if path:
        check_atoms(images, ends)
        put_into_one_cell(images, ends)
    for image in images:
        image.calc = remember(engine.calculator)
    steps, converged = 0, False
    for step in _move_images(images, engine, settings):
        check()
        steps, converged = step.number, step.done
        if save and steps % SAVED_EVERY == 0:
            save(images)
    forces, energies = _forces(images), np.array([image.get_potential_energy() for image in images])
    return NebResult(
        hop=hop,
        images=images,
        energies_ev=energies,
        converged=converged,
        why=remarks(energies, forces, settings, converged=converged),
        steps=steps,
        max_force_ev_a=forces,
        seconds=time.perf_counter() - start,
    )


def _move_images(images: Sequence[Atoms], engine: Engine, settings: NebSettings) -> Iterator[Step]:
    """Move the images, first all downhill, then the highest uphill."""
    from ase.mep import NEB
    from ase.optimize import FIRE, LBFGS

    path = NEB(list(images), k=SPRING_EV_A2, method="improvedtangent")
    taken = 0
    for climbing, threshold in ((False, CLIMB_BELOW * settings.fmax_ev_a), (True, settings.fmax_ev_a)):
        path.climb = climbing
        for make in (LBFGS, FIRE):  # the second is slower, and comes to an end where the first overshoots
            left = settings.max_steps - taken
            optimizer = make(path, logfile=None, maxstep=LONGEST_STEP_A)
            for step in run_steps(optimizer, threshold, left // 2 if make is LBFGS else left, engine):
                yield Step(taken + step.number, step.done and climbing)
            taken += step.number
            if step.done:
                break


def _forces(images: Sequence[Atoms]) -> float:
    """The largest force on the images of a climbing NEB path."""
    from ase.mep import NEB

    path = NEB(list(images), k=SPRING_EV_A2, climb=True, method="improvedtangent")
    return float(np.linalg.norm(path.get_forces(), axis=1).max())


def remarks(energies: Floats, force: float, settings: NebSettings, *, converged: bool) -> str:
    """Notes on a path besides its barriers."""
    notes = []
    if not converged:
        notes.append(f"forces are at {force:.3f} eV/angstrom after {settings.max_steps} steps")
    top = int(energies.argmax())
    if top in (0, len(energies) - 1):
        notes.append("no saddle between the ends")
    if energies[1:-1].min() < min(energies[0], energies[-1]) - DIP_EV:
        notes.append("a site lies on the way, lower than both ends")
    return "; ".join(notes)
