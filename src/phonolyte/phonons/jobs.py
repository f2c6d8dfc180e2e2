"""What ``pw.x`` runs for one crystal on a cluster: its folders, their input, and results from their output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import EngineError
from phonolyte.forces.cells import primitive_cell
from phonolyte.forces.espresso import PlaneWaves
from phonolyte.phonons.workflow import PhononResult, PhononSettings, atoms_of, on_supercell, phonons_from
from phonolyte.runs.calculation import WaitingError
from phonolyte.runs.digest import digest_of
from phonolyte.runs.records import checksum, in_one_step
from phonolyte.runs.slurm import PSEUDO, RUNNING, copy_once
from phonolyte.structures import Crystal
from phonolyte.units import BOHR_A, KBAR_EV_A3, RY_EV

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

INPUT, OUTPUT = "pw.in", "pw.out"

RELAXATIONS = ("relax", "relax-2", "relax-3", "relax-4", "relax-5")
RESIDUAL_KBAR = 0.5
"""A relaxation keeps the plane waves of the cell it starts from. Where those of the cell it ends in give more pressure
than this, which moves phonons by about 0.1 %, it goes on from there."""

AFTERWARDS = ("mesh", "mesh_length_a", "force_constants", "tolerance_mev", "confirm", "limit_s")
"""Settings that only say what is made of the forces: they may change without a new run of ``pw.x``."""

SAME_A = 1e-3
"""Distance in angstrom within which an atom of an output is where the input had it; outputs have seven digits."""


@dataclass(frozen=True, slots=True)
class Job:
    """All runs of ``pw.x`` for one crystal.

    Attributes
    ----------
    crystal, waves, settings
        What is computed, and how.
    folder
        Folder of its runs, named by crystal and digest.
    digest
        Digest of all that decides its runs.
    """

    crystal: Crystal
    waves: PlaneWaves
    settings: PhononSettings
    folder: Path
    digest: str

    @classmethod
    def from_crystal(cls, crystal: Crystal, waves: PlaneWaves, settings: PhononSettings, jobs: Path, name: str) -> Self:
        """The job of a crystal in the folder of jobs.

        Raises
        ------
        EngineError
            When a pseudopotential is missing.
        """
        digest = _digest(crystal, waves, settings)
        return cls(crystal, waves, settings, jobs / f"{name}-{digest[:8]}", digest)

    def result(self) -> PhononResult:
        """The phonons, from output.

        Raises
        ------
        WaitingError
            When runs are missing; their input is then there.
        EngineError
            When runs have failed.
        """
        primitive = primitive_cell(self.crystal, symprec_a=self.settings.symprec_a)
        if self.settings.relax:
            primitive = self._relax(primitive)
        names = iter(("disp", "wide"))
        result = phonons_from(
            self.crystal, primitive, lambda phonon: self._net_forces(phonon, next(names)), self.settings
        )
        return replace(result, seconds=sum(map(wall_s, self.folder.glob(f"*/{OUTPUT}"))))

    def _relax(self, atoms: Atoms) -> Atoms:
        for name in RELAXATIONS:
            (end,) = self._outputs([Task(self.folder / name, atoms, relax=True)])
            stress = end.get_stress()
            atoms = end.copy()
            if np.abs(stress).max() < RESIDUAL_KBAR * KBAR_EV_A3:
                return atoms
        raise EngineError(
            f"the relaxation of {self.crystal.material_id} does not converge",
            why=f"the stress is above {RESIDUAL_KBAR:g} kbar in the cell of the last, {self.folder / RELAXATIONS[-1]}",
            fix="Raise ecutwfc_ry, or start from a better structure.",
        )

    def _net_forces(self, phonon: Phonopy, name: str) -> Floats:
        """Forces (displacements, n, 3) in eV/angstrom on displaced supercells, those at rest taken off."""
        cells = [atoms_of(cell) for cell in phonon.supercells_with_displacements]
        tasks = [Task(self.folder / f"{name}-{number:03d}", cell) for number, cell in enumerate(cells, start=1)]
        rest, *moved = self._outputs([Task(self.folder / "rest", atoms_of(phonon.unitcell)), *tasks])
        return np.array([end.get_forces() for end in moved]) - on_supercell(phonon, rest.get_forces())

    def _outputs(self, tasks: Sequence[Task]) -> list[Atoms]:
        """What each task ended with; writes the input of those that have not run."""
        outputs, to_run, running, broken = [], [], [], {}
        for task in tasks:
            if (task.folder / RUNNING).exists() and not task.is_done:
                running.append(task.folder)
            elif not (task.folder / OUTPUT).exists():
                to_run.append(task.folder)
                self._write(task)
            else:
                try:
                    outputs.append(task.read(self.title))
                except EngineError as error:
                    broken[task.folder] = error.what
        if broken:
            raise _broken_error(broken)
        if to_run or running:
            raise WaitingError(to_run, running)
        return outputs

    @property
    def title(self) -> str:
        """Title of each input, which an output repeats."""
        return f"phonolyte {self.digest[:32]}"

    def _write(self, task: Task) -> None:
        from ase.io import write

        task.folder.mkdir(parents=True, exist_ok=True)
        copy_once(self.waves.potentials(task.atoms.symbols).values(), self.folder.parent / PSEUDO)
        parameters = self.waves.parameters(task.atoms)
        control = parameters["input_data"]["control"]
        control |= {"title": self.title, "pseudo_dir": f"../../{PSEUDO}", "outdir": "."}
        if task.relax:
            control |= {"calculation": "vc-relax", "nstep": self.settings.max_steps}
            control["forc_conv_thr"] = self.settings.fmax_ev_a * BOHR_A / RY_EV
            parameters["input_data"] |= {"ions": {}, "cell": {"press_conv_thr": self._pressure_kbar(task.atoms)}}
        with in_one_step(task.folder / INPUT) as partial:
            write(partial, task.atoms, format="espresso-in", **parameters)

    def _pressure_kbar(self, atoms: Atoms) -> float:
        """The threshold of a relaxation that corresponds to `fmax_ev_a`."""
        pressure = self.settings.fmax_ev_a * len(atoms) / float(atoms.get_volume())
        return min(pressure / KBAR_EV_A3, RESIDUAL_KBAR)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One run of ``pw.x``: a folder with its input and, after the run, its output.

    Attributes
    ----------
    folder
        With ``pw.in`` and ``pw.out``.
    atoms
        What it starts from.
    relax
        Whether cell and positions are relaxed; else the forces are computed.
    """

    folder: Path
    atoms: Atoms
    relax: bool = False

    @property
    def is_done(self) -> bool:
        """Whether ``pw.x`` came to its end."""
        output = self.folder / OUTPUT
        return output.exists() and "JOB DONE" in _text(output)

    def read(self, title: str) -> Atoms:
        """The atoms that the output ends with, and their forces and stress.

        Raises
        ------
        EngineError
            When the output is not whole, not converged, or not of this task.
        """
        from ase.io import read

        path = self.folder / OUTPUT
        text = _text(path)
        if why := _fault(text, title, relax=self.relax):
            raise EngineError(why)
        try:
            first = read(path, format="espresso-out", index=0, results_required=False)
            last = read(path, format="espresso-out", index=-1)
            last.get_forces()
        except Exception as error:  # a foreign reader on a foreign file
            raise EngineError(f"its output cannot be read ({type(error).__name__}: {error})") from error
        if not _same(first, self.atoms):
            raise EngineError("its output is of other atoms than its input")
        return last


def _fault(text: str, title: str, *, relax: bool) -> str:
    """What is wrong with an output; nothing when it will do."""
    if "JOB DONE" not in text:
        match = _COMPLAINT.search(text)
        return "it was stopped: there is no JOB DONE" if match is None else " ".join(match.group(1).split())[:200]
    if "convergence NOT achieved" in text:
        return "the density did not converge"
    if title not in text:
        return "its output is of another crystal or other settings: the title differs"
    if relax and "bfgs converged" not in text:
        return "the relaxation did not converge"
    return ""


_COMPLAINT = re.compile(r"%{20,}\s(.+?)\s%{20,}", re.DOTALL)
"""What ``pw.x`` prints when it gives up."""


def _broken_error(faults: Mapping[Path, str]) -> EngineError:
    folder, why = next(iter(faults.items()))
    others = f" and {len(faults) - 1} more folders: {_names(list(faults)[1:])}" if len(faults) > 1 else ""
    return EngineError(
        f"pw.x failed in {folder}{others}",
        why=why,
        fix=f"Look at the end of {OUTPUT} there. To run it again (with more time, say) delete that file and give the "
        "command again; other settings get folders of their own.",
    )


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(folder.name for folder in folders[:5]) + (", ..." if len(folders) > 5 else "")


def _same(first: Atoms, second: Atoms) -> bool:
    if first.get_chemical_symbols() != second.get_chemical_symbols():
        return False
    cells = np.abs(first.cell.array - second.cell.array).max()
    return bool(max(cells, np.abs(first.positions - second.positions).max()) < SAME_A)


_WALL = re.compile(r"PWSCF\s*:.*CPU\s+(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:([\d.]+)s)?\s*WALL")


def wall_s(output: Path) -> float:
    """Seconds that a run of ``pw.x`` took by its own account, such as ``1h 2m WALL``; 0 where it gives none."""
    match = _WALL.search(_text(output))
    if not match:
        return 0.0
    return sum(float(count or 0) * unit for count, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _digest(crystal: Crystal, waves: PlaneWaves, settings: PhononSettings) -> str:
    """What decides the runs of a crystal: neither versions nor what is made of the forces afterwards."""
    known = {name: value for name, value in asdict(settings).items() if name not in AFTERWARDS}
    potentials = {symbol: checksum(path) for symbol, path in waves.potentials(crystal.symbols).items()}
    return digest_of(waves.numbers, known, potentials, crystal.lattice, crystal.numbers, crystal.frac_coords)
