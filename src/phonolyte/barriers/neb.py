"""One hop by a nudged elastic band with a climbing image: ends relaxed, path, barriers, and whether to trust them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.barriers.hops import Carrier, Edge, Hop
from phonolyte.errors import EngineError, MigrationError, PhonolyteError, SettingsError
from phonolyte.forces.cells import supercell_matrix
from phonolyte.runs.records import checksum, in_one_step

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from phonolyte.forces import Engine

CLIMB_BELOW = 4.0
"""The highest image begins to climb when the forces are below this many times the threshold."""

SPRING_EV_A2 = 0.1
LONGEST_STEP_A = 0.1
BASIN = 0.5
"""A relaxed end whose ions have moved more than this share of the hop is another one than was meant."""

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
        Of each relaxation, and of the band.
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
        Of the cell with the defect, in elementary charges (-1 where Li+ is gone, 1 where it is added); None for
        a neutral atom removed or added, which is all that potentials without charges know.
    paths
        Names of hops, and files with a first path for each. Only the images between the ends are taken from a file:
        the ends are relaxed here.
    limit_s
        Seconds after which a hop is given up; None for no limit.
    """

    supercell: tuple[int, int, int] | None = None
    min_length_a: float = 8.0
    images: int = 5
    fmax_ev_a: float = 0.05
    ends_fmax_ev_a: float = 0.02
    max_steps: int = 200
    cutoff_a: float = 5.0
    hops: tuple[str, ...] | None = None
    relax: bool = True
    symprec_a: float = 0.01
    carrier: Carrier = "vacancy"
    charge: float | None = None
    paths: tuple[tuple[str, str], ...] = ()
    limit_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("min_length_a", "images", "fmax_ev_a", "ends_fmax_ev_a", "max_steps", "cutoff_a", "symprec_a"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a positive number.")
        if self.carrier not in get_args(Carrier):
            raise SettingsError(f"carrier is {self.carrier!r}", fix="Choose vacancy or interstitial.")
        for hop, file in self.paths:
            if not Path(file).is_file():
                raise SettingsError(f"the path of {hop}, {file}, is no file", fix="Give the images as extended XYZ.")

    def supercell_of(self, primitive: Atoms) -> Ints:
        """Supercell (3, 3) of a primitive cell, rows in units of its vectors."""
        return supercell_matrix(
            primitive, supercell=self.supercell, min_length_a=self.min_length_a, symprec_a=self.symprec_a
        )

    @property
    def deciding(self) -> list[tuple[str, Any]]:
        """What decides the result of a hop, files by their content."""
        known = asdict(self) | {"paths": [(hop, checksum(file)) for hop, file in self.paths]}
        return sorted((name, value) for name, value in known.items() if name != "limit_s")


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
        Of the images, total, (n,).
    converged
        Whether forces are below the threshold.
    why
        In words: why not, or what else is to be known.
    steps
        Of the band.
    max_force_ev_a
        What is left.
    seconds
        Wall time of the band.
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

    whole = make_supercell(primitive, supercell)
    start_at = primitive.positions[edge.start]
    line = primitive.positions[edge.end] + np.array(edge.image) @ primitive.cell.array - start_at
    ion, vacancy = _atom_at(whole, start_at), _atom_at(whole, start_at + line)
    if ion == vacancy:
        raise MigrationError(
            "the supercell is smaller than the hop",
            why="the ion would hop onto its own image",
            fix="Widen the supercell.",
            kind="SmallSupercell",
        )
    start, end = whole.copy(), whole.copy()
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

    whole = make_supercell(primitive, supercell)
    ends = [whole + Atoms(ion, positions=[position]) for position in (start, start + line)]
    return Ends(ends[0], ends[1], len(whole))


def relax_ends(ends: Ends, engine: Engine, settings: NebSettings, check: Callable[[], None] = lambda: None) -> Ends:
    """Relax both ends in the fixed cell.

    Raises
    ------
    MigrationError
        When one does not converge, or leaves its basin: the ion slips to the other end, or another ion fills the
        vacancy.
    EngineError
        When energies are not finite.
    """
    length = float(np.linalg.norm(ends.end.positions[ends.ion] - ends.start.positions[ends.ion]))
    found = []
    for name, cell in (("start", ends.start), ("end", ends.end)):
        relaxed = _relaxed(cell, engine, settings, name, check)
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
        found.append(relaxed)
    return Ends(found[0], found[1], ends.ion)


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
    images = list(path) if path else first_path(hop, ends, settings)
    _same_atoms(images, ends)
    if path:
        _in_one_cell(images, ends)
    for image in images:
        image.calc = _remembering(engine.calculator)
    steps, converged = 0, False
    for step in _bands(images, engine, settings):
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


def write_path(images: Sequence[Atoms], file: Path, info: Mapping[str, Any] | None = None) -> None:
    """Write a path as extended XYZ, energies and forces with it, in one step."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frozen = []
    for image in images:
        still = image.copy()
        still.info.update(info or {})
        if image.calc is not None and image.calc.results:
            known = {name: image.calc.results[name] for name in ("energy", "forces") if name in image.calc.results}
            still.calc = SinglePointCalculator(still, **known)
        frozen.append(still)
    with in_one_step(file) as partial:
        write(partial, frozen, format="extxyz")


def lengths_a(images: Sequence[Atoms]) -> Floats:
    """How far each image is along the path in angstrom, all atoms counted, (n,)."""
    steps = [np.linalg.norm(after.positions - before.positions) for before, after in pairwise(images)]
    return np.concatenate(([0.0], np.cumsum(steps)))


def read_path(file: Path) -> list[Atoms]:
    """Read a path that :func:`write_path` or anything else wrote.

    Raises
    ------
    MigrationError
        When there is none in the file.
    """
    from ase.io import read

    try:
        images = read(file, index=":")
    except Exception as error:  # ASE's readers can raise anything
        raise MigrationError(f"{file} has no path", why=str(error), fix="Give the images as extended XYZ.") from None
    return list(images)


class _Step(NamedTuple):
    """Where an optimisation stands."""

    number: int
    done: bool


def _bands(images: Sequence[Atoms], engine: Engine, settings: NebSettings) -> Iterator[_Step]:
    """Move the images, first all downhill, then the highest uphill."""
    from ase.mep import NEB
    from ase.optimize import FIRE, LBFGS

    band = NEB(list(images), k=SPRING_EV_A2, method="improvedtangent")
    taken = 0
    for climbing, threshold in ((False, CLIMB_BELOW * settings.fmax_ev_a), (True, settings.fmax_ev_a)):
        band.climb = climbing
        for make in (LBFGS, FIRE):  # the second is slower, and comes to an end where the first overshoots
            left = settings.max_steps - taken
            optimizer = make(band, logfile=None, maxstep=LONGEST_STEP_A)
            for step in _steps(optimizer, threshold, left // 2 if make is LBFGS else left, engine):
                yield _Step(taken + step.number, step.done and climbing)
            taken += step.number
            if step.done:
                break


def _steps(optimizer: Any, fmax_ev_a: float, most: int, engine: Engine) -> Iterator[_Step]:
    """The steps of an optimiser, the state before the first one included, with errors of ours."""
    try:
        for number, done in enumerate(optimizer.irun(fmax=fmax_ev_a, steps=most)):
            yield _Step(number, bool(done))
    except PhonolyteError:
        raise
    except Exception as error:  # a foreign engine can raise anything
        raise EngineError(f"{engine.name} failed", why=str(error).split("\n")[0]) from error


def _relaxed(cell: Atoms, engine: Engine, settings: NebSettings, name: str, check: Callable[[], None]) -> Atoms:
    from ase.optimize import LBFGS

    relaxed = cell.copy()
    relaxed.calc = _remembering(engine.calculator)
    optimizer = LBFGS(relaxed, logfile=None, maxstep=LONGEST_STEP_A)
    done = False
    for step in _steps(optimizer, settings.ends_fmax_ev_a, settings.max_steps, engine):
        check()
        done = step.done
    if not done:
        raise MigrationError(
            f"the {name} of the hop does not relax",
            why=f"forces stay above {settings.ends_fmax_ev_a:g} eV/angstrom after {settings.max_steps} steps",
            fix="Allow more steps, or try another engine.",
            kind="NotRelaxed",
        )
    return relaxed


def first_path(hop: Hop, ends: Ends, settings: NebSettings) -> list[Atoms]:
    """A path between the ends: as given, else from image-dependent pair potentials (10.1063/1.4878664).

    Raises
    ------
    MigrationError
        When the straight line goes through an atom, and no path is given.
    """
    from ase.mep.neb import idpp_interpolate, interpolate

    file = dict(settings.paths).get(hop.name)
    if file is not None:
        return [ends.start.copy(), *read_path(Path(file))[1:-1], ends.end.copy()]
    if hop.crosses:
        raise MigrationError(
            f"{hop.name} crosses an atom",
            why=f"{hop.nearest} is {hop.clearance_a:.2f} angstrom off the straight line",
            fix=f"Give a path around it: --path {hop.name}=FILE.",
            kind="CrossesAtom",
        )
    images = [ends.start.copy(), *(ends.start.copy() for _ in range(settings.images)), ends.end.copy()]
    interpolate(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tangents, which pair potentials do not mind
        idpp_interpolate(images, traj=None, log=None, fmax=0.1)
    return images


def _same_atoms(images: Sequence[Atoms], ends: Ends) -> None:
    for image in images:
        if len(image) != len(ends.start) or (image.numbers != ends.start.numbers).any():
            raise MigrationError(
                "the path has other atoms than the ends",
                why=f"{image.symbols.formula} beside {ends.start.symbols.formula}",
                fix="Give images with the atoms of the supercell with its vacancy, in their order.",
                kind="OtherAtoms",
            )
    if len(images) < 3:
        raise MigrationError("the path has no image between its ends", fix="Give one at least.", kind="NoImages")


def _in_one_cell(images: Sequence[Atoms], ends: Ends) -> None:
    """Give images that were read the cell of the ends, and let no atom jump over a border from one to the next."""
    cell = ends.start.cell.array
    before = ends.start.positions
    for image in images:
        image.set_cell(cell)
        image.pbc = True
        steps = (image.positions - before) @ np.linalg.inv(cell)
        image.positions -= np.rint(steps) @ cell
        before = image.positions


def _forces(images: Sequence[Atoms]) -> float:
    """The largest force of a climbing band."""
    from ase.mep import NEB

    band = NEB(list(images), k=SPRING_EV_A2, climb=True, method="improvedtangent")
    return float(np.linalg.norm(band.get_forces(), axis=1).max())


def remarks(energies: Floats, force: float, settings: NebSettings, *, converged: bool) -> str:
    """What is to be known of a path besides its barriers, in words."""
    said = []
    if not converged:
        said.append(f"forces are at {force:.3f} eV/angstrom after {settings.max_steps} steps")
    top = int(energies.argmax())
    if top in (0, len(energies) - 1):
        said.append("no saddle between the ends")
    if energies[1:-1].min() < min(energies[0], energies[-1]) - DIP_EV:
        said.append("a site lies on the way, lower than both ends")
    return "; ".join(said)


def _atom_at(cell: Atoms, position: Floats) -> int:
    apart = cell.get_scaled_positions(wrap=False) - position @ np.linalg.inv(cell.cell.array)
    return int(np.linalg.norm((apart - np.rint(apart)) @ cell.cell.array, axis=1).argmin())


def _remembering(calculator: Calculator) -> Calculator:
    """A calculator of one image over the one of all: what it has computed is not computed again.

    Optimisers ask for the forces of a band several times a step. Numbers that are not finite are an error here.
    """
    from ase.calculators.calculator import Calculator, all_changes

    class Remembering(Calculator):  # type: ignore[misc]
        implemented_properties = ("energy", "forces")

        def calculate(
            self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            forces = np.array(calculator.get_forces(self.atoms), dtype=float)
            energy = float(calculator.get_potential_energy(self.atoms))
            if not (np.isfinite(energy) and np.isfinite(forces).all()):
                raise EngineError(
                    "the engine gives energies or forces that are not finite",
                    fix="Look at the path, or try another engine.",
                )
            self.results = {"energy": energy, "forces": forces}

    return Remembering()
