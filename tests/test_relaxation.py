from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.forces import Engine, open_engine
from phonolyte.phonons import PhononSettings, compute_phonons
from phonolyte.relaxation import relax_crystals
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen import ScreenSettings
from phonolyte.structures import Crystal, read

CORNERS = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
SILVER = Crystal.from_arrays("stretched", np.eye(3) * 4.3, ["Ag"] * 4, CORNERS, properties={"e_hull_ev": 0.0})
ALLOY = Crystal.from_arrays("alloy", np.eye(3) * 3.9, ["Ag", "Cu", "Cu", "Cu"], CORNERS)
LITHIUM = Crystal.from_arrays("lithium", np.eye(3) * 3.5, ["Li", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
HERE = ExecutorSettings(jobs=1)
TABLES = OutputSettings(figures=False, report=False)
NO_CRITERIA = ScreenSettings(without=("band_center", "e_hull", "band_gap", "likely_metal"))


@pytest.fixture(scope="module")
def emt() -> Engine:
    return open_engine("emt")


def test_a_stretched_crystal_is_relaxed_to_the_cell_of_its_potential(emt: Engine, tmp_path: Path):
    with Run(tmp_path / "run", "screen") as run:
        relaxed = relax_crystals(read([SILVER, LITHIUM]), emt, run)
        (silver,) = relaxed.crystals
        assert silver.material_id == "stretched"
        assert silver.properties["e_hull_ev"] == 0.0
        # ASE's EMT has silver at 4.065 angstrom (a primitive cell is a quarter of the cubic one)
        assert silver.volume_a3 == pytest.approx(4.065**3 / 4, rel=2e-3)
        (failure,) = relaxed.failures
        assert (failure.material_id, failure.stage) == ("lithium", "relaxation")
        assert len(run.failures) == 1
    row = pd.read_parquet(tmp_path / "run" / "relaxation.parquet").iloc[0]
    assert row["volume_change"] == pytest.approx(silver.volume_a3 * 4 / 4.3**3 - 1)
    assert silver.properties["mode_mean_mev"] == row["mode_mean_mev"]


def test_modes_of_a_small_supercell_are_those_of_phonons(emt: Engine, tmp_path: Path):
    with Run(tmp_path / "run", "screen") as run:
        (silver,) = relax_crystals(read([SILVER]), emt, run).crystals
    settings = PhononSettings(supercell=(2, 2, 2), relax=False, mesh=(2, 2, 2))
    whole = compute_phonons(silver, emt, settings).dos.band_center_mev
    # the mesh has the wave vectors of the supercell, and its mean the three translations as well
    assert silver.properties["mode_mean_mev"] == pytest.approx(whole * 24 / 21, rel=0.01)
    assert silver.properties["mode_rms_mev"] > silver.properties["mode_mean_mev"]
    assert silver.properties["mode_atoms"] == 8


def test_a_crystal_without_modes_is_a_failure_of_the_model_of_relaxed_cells(tmp_path: Path):
    result = verbs.screen([ALLOY], folder=tmp_path, settings=NO_CRITERIA, model="relaxed", output=TABLES, executor=HERE)
    (failure,) = result.failures
    assert failure.error == "NoModes"
    assert "--relax-with" in failure.message


def test_what_was_relaxed_by_a_killed_run_is_not_relaxed_again(emt: Engine, tmp_path: Path):
    def relax() -> float:
        with Run(tmp_path / "run", "screen", identity="same") as run:
            relax_crystals(read([SILVER]), emt, run)
        return (tmp_path / "run" / "items" / "stretched.json").stat().st_mtime_ns

    assert relax() == relax()


def test_a_screen_of_relaxed_crystals_counts_what_does_not_relax(emt: Engine, tmp_path: Path):
    crystals = [SILVER, ALLOY, LITHIUM]
    result = verbs.screen(
        crystals, folder=tmp_path / "run", settings=NO_CRITERIA, relax_with=emt, output=TABLES, executor=HERE
    )
    assert [step.kept for step in result.funnel[:2]] == [3, 2]
    assert sorted(result.table["material_id"]) == sorted({"stretched", "alloy"})
    assert [failure.material_id for failure in result.failures] == ["lithium"]
    assert result.table["band_center_mev"].between(5.0, 60.0).all()
    assert "learned cells by dpa4, and these are by emt" in (tmp_path / "run" / "run.toml").read_text()


def test_options_of_an_engine_need_one(tmp_path: Path):
    result = CliRunner().invoke(app, ["screen", "-o", str(tmp_path / "run"), "--option", "threads=1"])
    assert result.exit_code != 0
    assert "--relax-with" in str(result.exception or result.output)


def test_an_unknown_engine_is_refused_before_anything_is_written(tmp_path: Path):
    result = CliRunner().invoke(app, ["screen", "-o", str(tmp_path / "run"), "--relax-with", "emtt"])
    assert result.exit_code != 0
    assert not (tmp_path / "run").exists()
