from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import write
from typer.testing import CliRunner

from phonolyte.barriers.paths import read_path
from phonolyte.chemistry.charges import mobile_charge
from phonolyte.cli import app
from phonolyte.dynamics import DynamicsCalculation, DynamicsSettings, calculation
from phonolyte.dynamics.calculation import DIFFUSIVITIES, _run_row
from phonolyte.dynamics.diffusion import (
    FEWEST_HOPS,
    MELTED_A,
    Diffusivity,
    arrhenius,
    conductivity_s_cm,
    count_hops,
    diffusivity,
    unwrap_positions,
)
from phonolyte.errors import Failure, MigrationError, SettingsError
from phonolyte.forces import Engine, open_engine
from phonolyte.runs.campaign import run_campaign
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal
from phonolyte.units import KB_EV_K

COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")


@pytest.fixture(scope="module")
def emt() -> Engine:
    return open_engine("emt")


def compute_dynamics(
    crystal: Crystal, engine: Engine, folder: Path, settings: DynamicsSettings
) -> tuple[pd.DataFrame, list[Failure]]:
    """Table and failures of the diffusion of copper in a run folder that goes on under any settings."""
    with Run(folder, "dynamics", identity="dynamics") as run:
        outcome = run_campaign(DynamicsCalculation("Cu", engine, settings), [crystal], run)
    return outcome.table, list(outcome.failures)


def walk(n_ions: int, n_frames: int, step_a: float, seed: int = 0) -> list[Atoms]:
    """Ions that walk at random in a framework that stands still."""
    rng = np.random.default_rng(seed)
    cell = Atoms(f"Li{n_ions}O2", positions=rng.random((n_ions + 2, 3)) * 10, cell=[10, 10, 10], pbc=True)
    moves = rng.normal(0, step_a, (n_frames, n_ions, 3)).cumsum(axis=0)
    frames = []
    for move in moves:
        frame = cell.copy()
        frame.positions[:n_ions] += move
        frame.wrap()
        frames.append(frame)
    return frames


def test_settings_are_those_of_the_documentation_and_the_help():
    md = DynamicsSettings()
    assert (md.temperatures_k, md.time_ps, md.settle_ps) == ((600.0, 800.0, 1000.0), 20.0, 2.0)
    assert (md.timestep_fs, md.sample_fs, md.min_length_a, md.symprec_a, md.seed) == (2.0, 20.0, 8.0, 0.01, 0)


@pytest.mark.long
def test_the_diffusivity_of_a_random_walk_lies_in_its_interval():
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    step = 0.35
    exact = 3 * step**2 / (6 * 0.02) * 1e-4  # cm2/s
    inside = 0
    for seed in range(5):
        estimate = diffusivity(walk(24, 1000, step, seed), "Li", settings, 2.0, 2.0)
        low, high = np.percentile(estimate.samples_cm2_s, (2.5, 97.5))
        assert low < np.median(estimate.samples_cm2_s) < high
        assert np.median(estimate.samples_cm2_s) == pytest.approx(exact, rel=0.5)
        inside += low < exact < high
    assert inside >= 3


def test_too_few_hops_are_refused_with_a_bound():
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    estimate = diffusivity(walk(24, 1000, 1e-4), "Li", settings, 1.0, 2.0)
    assert estimate.hops == 0
    assert len(estimate.samples_cm2_s) == 0
    assert estimate.below_cm2_s == pytest.approx(2.9957 * 4 / (6 * 24 * 19.98) * 1e-4, rel=0.01)


def test_a_melt_gives_no_diffusivity():
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    frames = walk(24, 1000, 0.35)
    for frame in frames:
        frame.symbols[12:] = "Na"
    estimate = diffusivity(frames, "Li", settings, 2.0, 2.0)
    assert estimate.framework_a > MELTED_A
    assert estimate.hops > FEWEST_HOPS
    assert len(estimate.samples_cm2_s) == 0


def move_ion(distance_a: float, frames: int | None = None) -> list[Atoms]:
    """One ion that goes over a distance, and comes back after a number of frames of 20 fs."""
    still = walk(2, 200, 1e-6)
    for frame in still[100 : None if frames is None else 100 + frames]:
        frame.positions[0, 1] += distance_a
    return still


@pytest.mark.parametrize(
    ("distance_a", "frames", "hops"),
    [
        (1.38, None, 0),  # 0.7 of the 2 angstrom between sites are 1.4
        (1.42, None, 1),
        (3.0, 4, 0),  # over 10 frames, 0.2 ps, the mean of four is 1.2 angstrom
        (3.0, 5, 2),  # and that of five 1.5
    ],
)
def test_an_ion_hops_seven_tenths_of_the_way_for_a_fifth_of_a_picosecond(
    distance_a: float, frames: int | None, hops: int
):
    settings = DynamicsSettings(settle_ps=0.02, time_ps=4.0)
    assert diffusivity(move_ion(distance_a, frames), "Li", settings, 2.0, 2.0).hops == hops


def test_an_interval_leaves_out_two_and_a_half_percent_on_either_side():
    estimate = Diffusivity(50, 1.0, np.arange(1001.0), 1e-7, 0.2)
    row = _run_row(estimate, 600.0, 24, 1, 1000.0)
    interval = [row[name] for name in ("diffusivity_cm2_s", "diffusivity_low_cm2_s", "diffusivity_high_cm2_s")]
    assert interval == pytest.approx([500.0, 25.0, 975.0])


def strain_framework(apart_a: float) -> list[Atoms]:
    """Ions that walk at random while two atoms of the framework go apart, each by so many angstrom, at once."""
    frames = walk(24, 1000, 0.35)
    for frame in frames[2:]:
        frame.positions[24:, 0] += apart_a, -apart_a
        frame.wrap()
    return frames


@pytest.mark.parametrize(("apart_a", "melts"), [(1.45, False), (1.55, True)])
def test_a_crystal_melts_where_all_other_atoms_have_moved_by_more_than_one_and_a_half_angstrom(
    apart_a: float, melts: bool
):
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    estimate = diffusivity(strain_framework(apart_a), "Li", settings, 2.0, 2.0)
    assert estimate.framework_a == pytest.approx(apart_a)
    assert (len(estimate.samples_cm2_s) == 0) == melts
    row = _run_row(estimate, 600.0, 24, 1, 1000.0)
    assert ("the crystal melts" in row["why"]) == melts
    assert (row["sigma_s_cm"] is None) == melts
    assert row["below_cm2_s"] is None


def test_a_crystal_without_hops_that_melts_has_no_bound_of_its_diffusivity():
    """The bound is the other place that the limit of a melt decides."""
    for moved_a, has_bound in ((1.45, True), (1.55, False)):
        row = _run_row(Diffusivity(3, 0.1, np.array([]), 1e-7, moved_a), 600.0, 24, 1, 1000.0)
        assert (row["below_cm2_s"] == 1e-7) == has_bound


@pytest.mark.parametrize(("n_hops", "known"), [(19, False), (20, True)])
def test_a_diffusivity_takes_twenty_hops(n_hops: int, known: bool):
    settings = DynamicsSettings(settle_ps=0.02, time_ps=20.0)
    frames = walk(24, 1000, 1e-3)
    for hop in range(n_hops):
        for frame in frames[100 + 40 * hop :]:
            frame.positions[hop, 1] += 2.0
    estimate = diffusivity(frames, "Li", settings, 2.0, 2.0)
    assert estimate.hops == n_hops
    assert (len(estimate.samples_cm2_s) > 0) == known


def test_a_conductor_of_copper_is_one_of_single_charges():
    assert mobile_charge("Cu") == 1
    assert mobile_charge("Mg") == 2


def test_hops_are_counted_and_vibrations_are_not():
    rng = np.random.default_rng(0)
    paths = rng.normal(0, 0.3, (1000, 3, 3))
    paths[300:, 0, 0] += 3.0
    paths[600:, 0, 0] -= 3.0
    paths[500:, 2, 1] += 3.0
    assert count_hops(paths, 2.0, 10) == 3


def test_paths_go_on_over_borders_and_leave_the_drift_out():
    frames = []
    for i in range(30):
        frame = Atoms("LiO", positions=[[1, 1, 1], [5, 5, 5]], cell=[10, 10, 10], pbc=True)
        frame.positions += [0.5 * i, 0, 0]
        frame.positions[0, 1] += i
        frame.wrap()
        frames.append(frame)
    paths = unwrap_positions(frames, "Li")
    assert paths[-1, 0] - paths[0, 0] == pytest.approx([0, 29, 0])


def test_conductivity_follows_nernst_and_einstein():
    sigma = conductivity_s_cm(np.array(1e-7), 24, 1, 1000.0, 300.0)
    assert float(sigma) == pytest.approx(24 / 1e-21 * 1.602e-19 * 1e-7 / (8.617e-5 * 300), rel=1e-3)


def test_an_activation_energy_comes_back_with_its_interval():
    rng = np.random.default_rng(0)
    samples = {t: 1e-3 * np.exp(-0.3 / (KB_EV_K * t)) * rng.lognormal(0, 0.1, 500) for t in (600.0, 800.0, 1000.0)}
    fit = arrhenius(samples, 24, 1, 1000.0)
    low, high = np.percentile(fit.energies_ev, (2.5, 97.5))
    assert low < 0.3 < high
    assert high - low < 0.15
    assert np.percentile(fit.sigma_25c_s_cm, 97.5) > np.percentile(fit.sigma_25c_s_cm, 2.5) > 0
    with pytest.raises(MigrationError, match="two temperatures"):
        arrhenius({600.0: samples[600.0]}, 24, 1, 1000.0)


SHORT = DynamicsSettings(temperatures_k=(600.0,), time_ps=0.2, settle_ps=0.1, timestep_fs=2.0, min_length_a=6.0)


@pytest.mark.long
def test_a_crystal_that_stands_still_is_refused_and_a_longer_run_goes_on(emt: Engine, tmp_path: Path):
    table, failures = compute_dynamics(COPPER, emt, tmp_path, SHORT)
    assert not failures
    assert table["barrier_ev"].isna().all()
    runs = pd.read_parquet(tmp_path / DIFFUSIVITIES)
    assert "fewer than" in runs["why"][0]
    (file,) = (tmp_path / "copper").glob("*.traj")
    first = read_path(file)
    compute_dynamics(COPPER, emt, tmp_path, replace(SHORT, time_ps=0.4))
    longer = read_path(file)
    assert len(longer) == len(first) + 10
    assert np.array_equal(longer[len(first) - 1].positions, first[-1].positions)
    assert longer[-1].info["step"] == 250


def test_the_displacement_is_that_of_the_hottest_run(emt: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def measure(file: Path, *_: Any) -> Diffusivity:
        kelvin = float(file.name.removeprefix("md-").partition("K")[0])
        return Diffusivity(0, kelvin / 100, np.empty(0), 1e-7, 0.1)

    monkeypatch.setattr(calculation, "run_dynamics", lambda *_: None)
    monkeypatch.setattr(calculation, "read_frames", lambda file, settings: file)
    monkeypatch.setattr(calculation, "diffusivity", measure)
    table, failures = compute_dynamics(COPPER, emt, tmp_path, replace(SHORT, temperatures_k=(1000.0, 600.0)))
    assert not failures
    assert table["msd_a2"].tolist() == [10.0]


def test_a_crystal_that_flies_apart_is_reported(tmp_path: Path):
    hot = Engine("lj", LennardJones(sigma=2.3, epsilon=0.4, rc=6.0))
    wild = replace(SHORT, timestep_fs=80.0, sample_fs=80.0, time_ps=40.0, relax=False)
    _, failures = compute_dynamics(COPPER, hot, tmp_path, wild)
    assert "flies apart" in failures[0].message


@pytest.mark.parametrize(
    "settings",
    [{"temperatures_k": ()}, {"temperatures_k": (600.0, 600.0)}, {"time_ps": 0.0}, {"sample_fs": 1.0}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]):
    with pytest.raises(SettingsError):
        DynamicsSettings(**settings)


def test_a_quick_look_is_one_short_run():
    quick = DynamicsSettings(seed=4).shorten()
    assert (quick.temperatures_k, quick.time_ps, quick.settle_ps, quick.seed) == ((1000.0,), 5.0, 1.0, 4)
    result = CliRunner().invoke(app, ["migrate", "x.cif", "--quick"])
    assert "--quick does not go with --method bvse" in str(result.exception or result.output)


def test_the_command_computes_tabulates_and_draws(tmp_path: Path):
    write(tmp_path / "copper.cif", bulk("Cu", cubic=True))
    arguments = ["migrate", str(tmp_path / "copper.cif"), "--method", "md", "--engine", "emt", "--ion", "Cu",
                 "--min-length-a", "6", "--temperature-k", "500", "--time-ps", "0.5", "--no-relax",
                 "-o", str(tmp_path / "out")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "copper" in result.output
    assert (tmp_path / "out" / "copper" / "diffusivity.png").stat().st_size > 5000
    assert len(pd.read_parquet(tmp_path / "out" / "dynamics.parquet")) == 1
