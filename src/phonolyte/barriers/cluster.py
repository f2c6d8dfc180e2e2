"""Hops by ``neb.x`` of Quantum ESPRESSO: folders of input to run on a cluster or here, and results from their output.

    OUT/jobs/submit.sh, tasks.txt      the script, and the folders that it works off
    OUT/jobs/pseudo/                   the pseudopotentials, so that the folder can be copied elsewhere
    OUT/jobs/ID-DIGEST/HOP/            neb.in, and neb.out after the run

``neb.x`` relaxes both ends itself before it moves the images between them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.barriers.calculation import BarrierCalculation
from phonolyte.barriers.hops import Hop
from phonolyte.barriers.material import Material, chosen_hops, prepare, record_of
from phonolyte.barriers.neb import NebResult, NebSettings, remarks
from phonolyte.barriers.paths import first_path, write_path
from phonolyte.chemistry.ions import check_ion
from phonolyte.errors import EngineError, SettingsError
from phonolyte.forces.espresso import PlaneWaves
from phonolyte.runs.calculation import WaitingError
from phonolyte.runs.records import Record, in_one_step
from phonolyte.runs.slurm import JOBS, PSEUDO, RUNNING, Script, copy_once
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from ase import Atoms

COMMAND = "srun neb.x"
INPUT, OUTPUT, PREFIX = "neb.in", "neb.out", "hop"

_TABLE_HEAD = re.compile(r"image\s+energy \(eV\)\s+error \(eV/A\)\s+frozen\s*\n")
_TABLE_ROW = re.compile(r"\s*\d+\s+(-?\d+\.\d+)\s+(-?\d+\.\d+)\s+[TF]\s*$")
_STEPS = re.compile(r"iteration\s+(\d+)")
_WALL = re.compile(r"NEB\s*:.*CPU\s+(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:([\d.]+)s)?\s*WALL")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarriersOnCluster(BarrierCalculation):
    """Barriers whose hops are computed by ``neb.x`` elsewhere, taken one step on at each call.

    The crystals must be relaxed already: nothing is relaxed but the ends of hops.

    Attributes
    ----------
    waves
        Settings of the plane waves.
    """

    waves: PlaneWaves

    def decides(self) -> Mapping[str, object]:
        """Return ion, plane waves and settings."""
        waves = self.waves.with_charge(self.settings.charge)
        return {
            "ion": self.ion,
            "program": "neb.x",
            "waves": dict(waves.provenance),
            "settings": self.settings.deciding,
        }

    def check(self) -> None:
        """Refuse crystals that are to be relaxed, and a time limit."""
        check_ion(self.ion)
        if self.settings.relax:
            raise SettingsError(
                "neb.x does not relax the crystal",
                fix="Add --no-relax, and give relaxed crystals: relaxed.parquet of phonolyte phonons --cluster.",
            )
        if self.settings.limit_s is not None:
            raise SettingsError("limit_s does not bound jobs of a cluster", fix="Put #SBATCH --time into the header.")

    @property
    def retries_failures(self) -> bool:
        """Whether what failed is tried again: its output may have been mended since."""
        return True

    def is_done(self, record: Record) -> bool:
        """Whether every hop is done, or has failed with an output that is still there."""
        jobs = [Path(str(path)) for path in record.details.get("failed_outputs", ())]
        return all(path.exists() for path in jobs)

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Read the hops that have been run of one crystal, and write the input of the rest."""
        jobs = folder.parent / JOBS / f"{folder.name}-{self.digest(crystal)[:8]}"
        (folder.parent / JOBS / PSEUDO).mkdir(parents=True, exist_ok=True)
        material = prepare(crystal, self.ion, self.engine, self.settings)
        waves = self.waves.with_charge(self.settings.charge)
        to_run, running, rows = [], [], []
        for hop in chosen_hops(material.network, self.settings):
            task = jobs / hop.name
            if (task / RUNNING).exists() and "JOB DONE" not in _text(task / OUTPUT):
                running.append(task)
            elif not (task / OUTPUT).exists():
                write_input(task, hop, material, waves, self.settings)
                to_run.append(task)
            else:
                rows.append(_row(task, hop, self.settings, folder))
        if to_run or running:
            raise WaitingError(to_run, running)
        record = record_of(material, rows, "espresso", self.settings)
        failed = [str(jobs / str(row["hop"]) / OUTPUT) for row in rows if row["error"]]
        return Record(record.row, record.tables, details={"failed_outputs": failed})


def neb_script(command: str, header: str) -> Script:
    """Return the script that runs ``neb.x`` in each folder."""
    return Script(command, INPUT, OUTPUT, "neb.x", header)


def write_input(task: Path, hop: Hop, material: Material, waves: PlaneWaves, settings: NebSettings) -> None:
    """Write ``neb.in`` for a hop, the path of pair potentials as its first one.

    Raises
    ------
    MigrationError
        When the straight line goes through an atom, or the supercell is too small.
    """
    ends = material.ends(hop)
    images = first_path(hop, ends, settings.images, dict(settings.paths))
    task.mkdir(parents=True, exist_ok=True)
    copy_once(waves.potentials(ends.start.symbols).values(), task.parents[1] / PSEUDO)
    heads, positions = zip(*(_input_of(image, waves) for image in images), strict=True)
    text = _INPUT.format(
        steps=settings.max_steps,
        images=len(images),
        fmax=settings.fmax_ev_a,
        engine=heads[0],
        first=positions[0],
        between="".join(f"INTERMEDIATE_IMAGE\n{block}" for block in positions[1:-1]),
        last=positions[-1],
    )
    with in_one_step(task / INPUT) as partial:
        partial.write_text(text, encoding="utf-8")
    write_path(images, task / "start.xyz")


def read_output(task: Path, hop: Hop, settings: NebSettings) -> NebResult:
    """The result of a hop from the files that ``neb.x`` leaves.

    Raises
    ------
    EngineError
        When the run was stopped, or gave up.
    """
    from ase.io import read

    text = _text(task / OUTPUT)
    tables = _TABLE_HEAD.split(text)
    if "JOB DONE" not in text or len(tables) < 2:
        raise EngineError(
            f"neb.x failed in {task}",
            why="there is no JOB DONE" if "JOB DONE" not in text else "there is no table of energies",
            fix=f"Look at the end of {OUTPUT} there; delete it, and give the command again to run it anew.",
        )
    rows = [match for match in map(_TABLE_ROW.match, tables[-1].strip("\n").split("\n")) if match]
    energies = np.array([float(match.group(1)) for match in rows])
    force = max(float(match.group(2)) for match in rows)
    like = read(task / "start.xyz", index=0)
    images = read(task / f"{PREFIX}.xyz", index=f"-{len(energies)}:", format="xyz")
    for image, energy in zip(images, energies, strict=True):
        image.set_cell(like.cell)
        image.pbc = True
        _keep_energy(image, energy)
    converged = "neb: convergence achieved" in text
    steps = max((int(number) for number in _STEPS.findall(text)), default=0)
    return NebResult(
        hop=hop,
        images=images,
        energies_ev=energies,
        converged=converged,
        why=remarks(energies, force, settings, converged=converged),
        steps=steps,
        max_force_ev_a=force,
        seconds=_wall_s(text),
    )


def _row(task: Path, hop: Hop, settings: NebSettings, folder: Path) -> dict[str, Any]:
    known = {"hop": hop.name, "length_a": hop.length_a, "clearance_a": hop.clearance_a, "error": "", "kind": ""}
    try:
        result = read_output(task, hop, settings)
    except EngineError as error:
        return {**known, "error": str(error), "kind": "EngineError"}
    folder.mkdir(exist_ok=True)
    write_path(result.images, folder / f"{hop.name}.xyz", {"hop": hop.name})
    return {**known, **result.row()}


def _input_of(atoms: Atoms, waves: PlaneWaves) -> tuple[str, str]:
    """The input of ``pw.x`` without the positions, and the positions."""
    from ase.io import write

    parameters = waves.parameters(atoms)
    control = parameters["input_data"]["control"]
    control |= {"prefix": PREFIX, "pseudo_dir": f"../../{PSEUDO}", "outdir": "."}
    for name in ("calculation", "disk_io", "tstress"):
        control.pop(name, None)
    stream = io.StringIO()
    write(stream, atoms, format="espresso-in", **parameters)
    head, mark, positions = stream.getvalue().partition("ATOMIC_POSITIONS")
    return head.rstrip() + "\n", mark + positions.rstrip() + "\n"


_INPUT = """BEGIN
BEGIN_PATH_INPUT
&PATH
  string_method = 'neb'
  restart_mode = 'from_scratch'
  nstep_path = {steps}
  num_of_images = {images}
  opt_scheme = 'broyden'
  CI_scheme = 'auto'
  first_last_opt = .true.
  path_thr = {fmax}
  k_max = 0.3
  k_min = 0.2
/
END_PATH_INPUT
BEGIN_ENGINE_INPUT
{engine}BEGIN_POSITIONS
FIRST_IMAGE
{first}{between}LAST_IMAGE
{last}END_POSITIONS
END_ENGINE_INPUT
END
"""


def _keep_energy(image: Atoms, energy: float) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator

    image.calc = SinglePointCalculator(image, energy=energy)


def _wall_s(text: str) -> float:
    match = _WALL.search(text)
    if not match:
        return 0.0
    return sum(float(count or 0) * unit for count, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
