"""Campaigns for a cluster: with `pw.x` where it is installed, and with one made of EMT that writes the same output."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from ase.units import Bohr, Ry
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.cli.tier import check_cluster
from phonolyte.errors import Failure, SettingsError
from phonolyte.forces import cells, open_engine
from phonolyte.forces.espresso import PlaneWaves
from phonolyte.phonons import PhononCalculation, PhononSettings, workflow
from phonolyte.phonons.cluster import PhononsOnCluster, pw_script
from phonolyte.phonons.jobs import wall_s
from phonolyte.phonons.workflow import Spectrum, spectrum
from phonolyte.runs.campaign import Outcome, run_campaign
from phonolyte.runs.run import Run
from phonolyte.runs.slurm import JOBS, LARGEST_ARRAY, write_jobs, write_script
from phonolyte.structures import Crystal

COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
ORDERED = Crystal.from_arrays("AuCu3", np.eye(3) * 3.8, ["Au", "Cu", "Cu", "Cu"],
                     [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip
LITHIUM = Crystal.from_ase(bulk("Li", "bcc", a=3.5), material_id="lithium")
FAST = PhononSettings(supercell=(2, 2, 2), mesh=(9, 9, 9))
STILL = replace(FAST, relax=False)
DEBIAN_PSEUDO = Path("/usr/share/espresso/pseudo")


@pytest.fixture
def waves(tmp_path: Path) -> PlaneWaves:
    """Pseudopotentials of copper and gold that nobody reads."""
    folder = tmp_path / "upf"
    folder.mkdir()
    for name in ("Cu", "Au"):
        (folder / f"{name}.upf").write_text(f"{name}")
    return PlaneWaves(folder, ecutwfc_ry=30)


@dataclass(frozen=True)
class Call:
    """Result of one call of the command: an outcome, the notes, the folder of jobs, and what is to run in it."""

    outcome: Outcome
    notes: list[str]
    jobs: Path
    tasks: list[str]

    @property
    def table(self) -> pd.DataFrame:
        return self.outcome.table

    @property
    def failures(self) -> list[Failure]:
        return list(self.outcome.failures)

    @property
    def waiting(self) -> list[str]:
        return list(self.outcome.waiting)

    @property
    def running(self) -> list[str]:
        waiting = self.outcome.waiting.values()
        return [path.relative_to(self.jobs).as_posix() for each in waiting for path in each.running]


def call(
    crystals: list[Crystal], waves: PlaneWaves, folder: Path, settings: PhononSettings, command: str = "srun pw.x",
    **more: Any,
) -> Call:  # fmt: skip
    """Take phonons one step on, in a run folder that goes on under any settings."""
    calculation = PhononsOnCluster(waves.engine(command), settings, waves=waves, **more)
    with Run(folder, "phonons", identity="phonons") as run:
        outcome = run_campaign(calculation, crystals, run)
        notes = write_jobs(folder, outcome.waiting, pw_script(command, ""))
        return Call(outcome, notes, folder / JOBS, (folder / JOBS / "tasks.txt").read_text().split())


def format_numbers(row: np.ndarray, digits: int) -> str:
    return " ".join(f"{number:.{digits}f}" for number in row)


def write_output(atoms: Atoms, title: str, *, relax: bool) -> str:
    """Output of `pw.x`, as far as it is read: forces and stress by EMT."""
    vectors = "\n".join(f"a({i}) = ( {format_numbers(row, 9)} )" for i, row in enumerate(atoms.cell.array / Bohr))
    sites = "\n".join(
        f"{i} {symbol} tau( {i}) = ( {format_numbers(row, 9)} )"
        for i, (symbol, row) in enumerate(zip(atoms.symbols, atoms.positions / Bohr, strict=True))
    )
    start = f"""     Program PWSCF v.6.7MaX starts
     Title:
     {title}
     number of atoms/cell      = {len(atoms)}
     celldm(1)=   1.000000  celldm(2)=   0.000000
     crystal axes: (cart. coord. in units of alat)
{vectors}
     site n.     atom                  positions (alat units)
{sites}
"""
    if relax:
        atoms = cells.relax(atoms, open_engine("emt"), fmax_ev_a=FAST.fmax_ev_a, max_steps=FAST.max_steps)
        cell = "\n".join(format_numbers(row, 12) for row in atoms.cell.array)
        positions = "\n".join(f"{atom.symbol} {format_numbers(atom.position, 12)}" for atom in atoms)
        start += f"bfgs converged\n\nCELL_PARAMETERS (angstrom)\n{cell}\n\nATOMIC_POSITIONS (angstrom)\n{positions}\n\n"
    atoms.calc = EMT()
    forces = "\n".join(
        f"atom {i} type 1 force = {format_numbers(row, 14)}" for i, row in enumerate(atoms.get_forces() * Bohr / Ry)
    )
    stress = "\n".join(format_numbers(row, 12) for row in -atoms.get_stress(voigt=False) * Bohr**3 / Ry)
    return f"""{start}!    total energy              = {atoms.get_potential_energy() / Ry:.10f} Ry
     Forces acting on atoms (cartesian axes, Ry/au):

{forces}
     total   stress  (Ry/bohr**3)                   (kbar)     P=       0.0
{stress}
     PWSCF        :      1.00s CPU      1m 2.50s WALL
   JOB DONE.
"""


def run_here(run: Call) -> None:
    """Do what `pw.x` would do in the folders that are to be run."""
    for name in (run.jobs / "tasks.txt").read_text().split():
        text = (run.jobs / name / "pw.in").read_text()
        (title,) = re.findall(r"title\s*=\s*'(.*)'", text)
        atoms = read(run.jobs / name / "pw.in", format="espresso-in")
        (run.jobs / name / "pw.out").write_text(write_output(atoms, title, relax="vc-relax" in text))


def finish(waves: PlaneWaves, folder: Path, *crystals: Crystal, settings: PhononSettings) -> Call:
    for _ in range(5):
        run = call([*crystals], waves, folder, settings)
        if not run.tasks:
            return run
        run_here(run)
    raise AssertionError("it does not end")


def test_what_runs_elsewhere_is_what_runs_here(waves: PlaneWaves, tmp_path: Path):
    with Run(tmp_path / "here", "phonons") as run:
        local = run_campaign(PhononCalculation(open_engine("emt"), FAST, ion="Cu"), [COPPER, ORDERED], run).table
    remote = finish(waves, tmp_path / "there", COPPER, ORDERED, settings=FAST)
    assert remote.failures == remote.waiting == remote.notes == []
    again = call([COPPER, ORDERED], waves, tmp_path / "there", FAST, ion="Cu").table
    other = ["seconds", "engine", "lowest_mode_mev", "lowest_commensurate_mev"]
    pd.testing.assert_frame_equal(again.drop(columns=other), local.drop(columns=other), rtol=1e-6)
    np.testing.assert_allclose(again["lowest_mode_mev"], local["lowest_mode_mev"], atol=1e-3)
    assert set(again["engine"]) == {"espresso"}
    assert again.set_index("material_id").loc["copper", "seconds"] == 3 * 62.5  # relax, rest, disp-001
    for name in ("items/copper.json", "dos/AuCu3.parquet", "AuCu3/phonopy_params.yaml", "jobs/pseudo/Au.upf"):
        assert (tmp_path / "there" / name).is_file()
    assert not (tmp_path / "there" / "jobs" / "submit.sh").exists()


def test_each_call_lists_what_is_left(waves: PlaneWaves, tmp_path: Path):
    first = call([COPPER, ORDERED], waves, tmp_path / "run", STILL)
    assert first.waiting == ["copper", "AuCu3"]
    assert [Path(task).name for task in first.tasks[:2]] == ["rest", "disp-001"]
    assert f"#SBATCH --array=1-{len(first.tasks)}\n" in (first.jobs / "submit.sh").read_text()
    before = {path: path.read_bytes() for path in first.jobs.rglob("pw.in")}
    run_here(first)
    (first.jobs / first.tasks[-1] / "pw.out").unlink()
    second = call([COPPER, ORDERED], waves, tmp_path / "run", STILL)
    assert second.table["material_id"].tolist() == ["copper"]
    assert second.waiting == ["AuCu3"]
    assert second.tasks == first.tasks[-1:]
    assert {path: path.read_bytes() for path in first.jobs.rglob("pw.in")} == before
    (second.jobs / second.tasks[0] / "pw.running").touch()
    third = call([COPPER, ORDERED], waves, tmp_path / "run", STILL)
    assert (third.tasks, third.running) == ([], second.tasks)
    assert "being run" in third.notes[0]
    assert third.waiting == ["AuCu3"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("JOB DONE.", "", "no JOB DONE"),
        (
            "   JOB DONE.",
            "%" * 40 + "\n Error in routine setup (1):\n  too bad\n" + "%" * 40,
            "routine setup .* too bad",
        ),
        ("!    total", "convergence NOT achieved after 100 iterations\n!    total", "did not converge"),
        ("phonolyte ", "phonolyte 0", "another crystal or other settings"),
        ("tau( 0) = ( 0.0", "tau( 0) = ( 0.1", "other atoms"),
        ("Forces acting", "Forces", "cannot be read"),
    ],
)
def test_a_run_that_failed_is_a_row_until_it_is_mended(
    waves: PlaneWaves, tmp_path: Path, old: str, new: str, message: str
):
    crystals = [COPPER, LITHIUM, ORDERED]
    run = call(crystals, waves, tmp_path / "run", STILL)
    assert [failure.material_id for failure in run.failures] == ["lithium"]
    assert "no pseudopotential of Li" in run.failures[0].message
    run_here(run)
    bad = next(run.jobs.glob("copper-*")) / "rest" / "pw.out"
    whole = bad.read_text()
    assert old in whole
    bad.write_text(whole.replace(old, new))
    run = call(crystals, waves, tmp_path / "run", STILL)
    assert run.table["material_id"].tolist() == ["AuCu3"]
    assert [failure.material_id for failure in run.failures] == ["copper", "lithium"]
    assert re.search(message, run.failures[0].message)
    assert str(bad.parent) in run.failures[0].message
    assert len(pd.read_parquet(tmp_path / "run" / "failures.parquet")) == 2
    bad.unlink()
    assert call(crystals, waves, tmp_path / "run", STILL).waiting == ["copper"]
    bad.write_text(whole)
    assert len(call(crystals, waves, tmp_path / "run", STILL).table) == 2


def test_other_settings_have_folders_of_their_own(waves: PlaneWaves, tmp_path: Path):
    finish(waves, tmp_path / "run", COPPER, settings=STILL)
    finer = call([COPPER], waves, tmp_path / "run", replace(STILL, mesh=(11, 11, 11)))
    assert len(finer.table) == 1  # only what is made of the forces has changed
    same = replace(waves, ecutwfc_ry=30.0)
    assert not call([COPPER], same, tmp_path / "run", STILL).tasks
    higher = replace(waves, ecutwfc_ry=40)
    for other in ((waves, replace(STILL, displacement_a=0.02)), (higher, STILL)):
        run = call([COPPER], other[0], tmp_path / "run", other[1])
        assert run.waiting == ["copper"]
    assert len(list(run.jobs.glob("copper-*"))) == 3
    (waves.pseudo_dir / "Cu.upf").write_text("other")
    with pytest.raises(SettingsError, match=r"pseudo/Cu.upf is another file"):
        call([COPPER], waves, tmp_path / "run", STILL)


def test_a_relaxation_that_leaves_pressure_goes_on(waves: PlaneWaves, tmp_path: Path):
    run = call([COPPER], waves, tmp_path / "run", FAST)
    text = (run.jobs / run.tasks[0] / "pw.in").read_text()
    assert "press_conv_thr" in text
    assert "np.float64" not in text
    run_here(run)
    output = run.jobs / run.tasks[0] / "pw.out"
    whole = output.read_text()
    output.write_text(re.sub(r"(P= +0\.0)\n\S+", r"\1\n 0.00001", whole))  # 1.5 kbar
    assert [Path(task).name for task in call([COPPER], waves, tmp_path / "run", FAST).tasks] == ["relax-2"]
    output.write_text(whole.replace("bfgs converged", "bfgs failed"))
    (failure,) = call([COPPER], waves, tmp_path / "run", FAST).failures
    assert "the relaxation did not converge" in failure.message


def test_an_instability_is_confirmed_in_folders_of_its_own(
    waves: PlaneWaves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def make_unstable(phonon: object, settings: PhononSettings) -> Spectrum:
        result = spectrum(phonon, settings)  # type: ignore[arg-type]
        return result._replace(lowest_mode_mev=-5.0) if settings.min_length_a < 6 else result

    monkeypatch.setattr(workflow, "spectrum", make_unstable)
    run = finish(waves, tmp_path / "run", COPPER, settings=PhononSettings(min_length_a=5, mesh=(9, 9, 9)))
    assert run.table["stable"].all()
    assert {path.parent.name for path in run.jobs.rglob("pw.out")} == {"relax", "rest", "disp-001", "wide-001"}


def submit(jobs: Path, *numbers: int) -> list[int]:
    """Exit codes of elements of the array, run as Slurm does."""
    codes = []
    for number in numbers:
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number), "SLURM_SUBMIT_DIR": str(jobs)}
        codes.append(
            subprocess.run(["bash", str(jobs / "submit.sh")], cwd="/", env=environment, check=False).returncode
        )
    return codes


def test_the_script_runs_its_folder_and_no_other(tmp_path: Path):
    program = tmp_path / "fake.sh"
    program.write_text('echo "$@ in $(basename $PWD)" >> ../log; test $(basename $PWD) != c && echo JOB DONE')
    for name in "abcd":
        (tmp_path / "jobs" / name).mkdir(parents=True)
    jobs = tmp_path / "jobs"
    write_script(jobs, list("abcd"), pw_script(f"bash {program}", "#SBATCH --account=x\nexport A=1"))
    assert (jobs / "tasks.txt").read_text() == "a\nb\nc\nd\n"
    text = (jobs / "submit.sh").read_text()
    assert text.startswith("#!/bin/bash\n#SBATCH")
    assert text.index("--account=x") < text.index("set -u")
    (jobs / "d" / "pw.running").touch()
    (jobs / "tasks.txt").write_text("d\n")  # a later call must not change what waits in the queue
    assert submit(jobs, 2, 2, 3, 4) == [0, 0, 1, 0]
    assert (jobs / "log").read_text() == "-in pw.in in b\n-in pw.in in c\n"
    assert not (jobs / "c" / "pw.running").exists()


def test_a_long_list_fits_into_one_array(tmp_path: Path):
    names = [f"f{number}" for number in range(LARGEST_ARRAY + 2)]
    write_script(tmp_path, names, pw_script("echo JOB DONE", ""))
    assert f"--array=1-{LARGEST_ARRAY}\n" in (tmp_path / "submit.sh").read_text()
    for name in (names[1], names[2], names[-1]):
        (tmp_path / name).mkdir()
    assert submit(tmp_path, 2) == [0]
    assert sorted(path.parent.name for path in tmp_path.rglob("pw.out")) == [names[1], names[-1]]


def test_times_of_pw_are_read(tmp_path: Path):
    for text, seconds in (("0.51s CPU      1.16s WALL", 1.16), ("1h 2m CPU   1d 2h 3m WALL", 93780), ("", 0)):
        (tmp_path / "pw.out").write_text(f"     PWSCF        :  {text}\n")
        assert wall_s(tmp_path / "pw.out") == seconds


def test_what_makes_no_sense_is_reported(waves: PlaneWaves, tmp_path: Path):
    folder = str(waves.pseudo_dir)
    for engine, options, message in (
        ("emt", {}, "emt does not run as jobs"),
        ("espresso", {}, "needs pseudo_dir"),
        ("espresso", {"pseudo_dir": folder, "scratch": "x"}, "no option 'scratch' here"),
        ("espresso", {"pseudo_dir": folder + "x"}, "is not a folder"),
    ):
        with pytest.raises(SettingsError, match=message):
            check_cluster(True, engine, options, None, "srun pw.x")
    header = tmp_path / "header"
    for text, message in ((None, "cannot be read"), ("#SBATCH --array=1-3", "sets the array")):
        if text:
            header.write_text(text)
        with pytest.raises(SettingsError, match=message):
            check_cluster(True, "espresso", {"pseudo_dir": folder}, header, "srun pw.x")
    with pytest.raises(SettingsError, match="limit_s does not bound jobs"):
        call([COPPER], waves, tmp_path / "run", replace(STILL, limit_s=1.0))
    for more in (["--slurm-header", str(header)], ["--cluster", "--converge"]):
        assert isinstance(CliRunner().invoke(app, ["phonons", "x.cif", *more]).exception, SettingsError)


@pytest.mark.skipif(
    shutil.which("pw.x") is None or not DEBIAN_PSEUDO.is_dir(), reason="Quantum ESPRESSO is not installed"
)
@pytest.mark.filterwarnings("ignore:Warning. Point group symmetries")
def test_pw_gives_the_same_through_its_jobs_as_at_once(tmp_path: Path):
    (tmp_path / "pseudo").mkdir()
    shutil.copy(DEBIAN_PSEUDO / "Si.pbe-rrkj.UPF", tmp_path / "pseudo")
    Crystal.from_ase(bulk("Si", a=5.46), material_id="Si").to_pymatgen().to(str(tmp_path / "Si.cif"))
    (tmp_path / "header").write_text("#!/bin/bash\n#SBATCH --partition=short\n")
    options = {"pseudo_dir": str(tmp_path / "pseudo"), "ecutwfc_ry": 10, "k_spacing_inv_a": 1.2, "command": "pw.x"}
    arguments = ["phonons", str(tmp_path / "Si.cif"), "--engine", "espresso", "--no-relax", "--mesh", "7", "7", "7"]
    arguments += ["--supercell", "2", "1", "1"]
    for name, value in options.items():
        arguments += ["--option", f"{name}={value}"]
    on_cluster = [*arguments, "--cluster", "--slurm-header", str(tmp_path / "header"), "-o", str(tmp_path / "there")]
    written = CliRunner().invoke(app, on_cluster)
    assert written.exit_code == 0, written.output
    assert "sbatch" in written.output
    jobs = tmp_path / "there" / "jobs"
    assert "--partition=short" in (jobs / "submit.sh").read_text()
    tasks = (jobs / "tasks.txt").read_text().split()
    assert submit(jobs, *range(1, len(tasks) + 1)) == [0] * len(tasks)
    collected = CliRunner().invoke(app, on_cluster)
    assert collected.exit_code == 0, collected.output
    assert CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "here")]).exit_code == 0
    at_once, by_jobs = (pd.read_parquet(tmp_path / name / "phonons.parquet") for name in ("here", "there"))
    # the same input gives the same output, but for the last digits that pw.x prints: 1e-4 meV
    pd.testing.assert_frame_equal(at_once.drop(columns="seconds"), by_jobs.drop(columns="seconds"), atol=1e-4)


@pytest.mark.skipif(
    shutil.which("pw.x") is None or not DEBIAN_PSEUDO.is_dir(), reason="Quantum ESPRESSO is not installed"
)
def test_pw_relaxes_to_the_cell_that_is_found_here(tmp_path: Path):
    (tmp_path / "pseudo").mkdir()
    shutil.copy(DEBIAN_PSEUDO / "Si.pbe-rrkj.UPF", tmp_path / "pseudo")
    waves = PlaneWaves(tmp_path / "pseudo", ecutwfc_ry=10, k_spacing_inv_a=1.2)
    settings = PhononSettings(supercell=(1, 1, 1), mesh=(3, 3, 3))
    silicon = Crystal.from_ase(bulk("Si", a=5.46), material_id="Si")
    for _ in range(5):
        run = call([silicon], waves, tmp_path / "run", settings, "pw.x")
        if "relax" not in "".join(run.tasks):
            break
        assert submit(run.jobs, 1) == [0]
    cell = read(run.jobs / run.tasks[0] / "pw.in", format="espresso-in")
    here = cells.relax(silicon.to_ase(), waves.engine("pw.x"), fmax_ev_a=settings.fmax_ev_a)
    assert cell.get_volume() == pytest.approx(here.get_volume(), rel=2e-3)  # half a kbar: 5e-4
    assert run.failures == []
