from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from phonolyte.barriers import BarrierCalculation, NebSettings
from phonolyte.cli import app
from phonolyte.errors import SettingsError
from phonolyte.forces import open_engine
from phonolyte.percolation import PercolationCalculation
from phonolyte.percolation.calculation import PercolationLimits
from phonolyte.phonons import PhononCalculation, PhononSettings
from phonolyte.references import reference_compounds
from phonolyte.runs.run import Run
from phonolyte.stability import StabilityLimits
from phonolyte.structures import Crystal
from phonolyte.study import Followed, FollowSettings, follow_candidates, read_study
from phonolyte.tiers import FOLLOWED_STEPS

REFERENCES = {crystal.material_id: crystal for crystal in reference_compounds().crystals}
OXIDE, CHLORIDE = REFERENCES["ref-Cu2O"], REFERENCES["ref-CuCl"]
COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
CRYSTALS = [OXIDE, CHLORIDE, COPPER, REFERENCES["ref-Li2O"]]
RANKED = pd.DataFrame({"material_id": [c.material_id for c in CRYSTALS], "band_center_mev": [20.0, 21.0, 22.0, 50.0]})


def follow(
    crystals: list[Crystal], folder: Path, *, ion: str = "Cu", max_barrier_ev: float = 5.0, first: int = 50,
    budget_h: float = 1.0,
) -> Followed:  # fmt: skip
    engine = open_engine("emt")
    calculations = [
        PercolationCalculation(ion, limits=PercolationLimits(max_barrier_ev)),
        PhononCalculation(engine, PhononSettings(min_length_a=6.0), ion),
        BarrierCalculation(ion, engine, NebSettings(min_length_a=6.0, images=3)),
    ]
    with Run(folder, "study") as run:
        return follow_candidates(
            run, crystals, RANKED.head(len(crystals)), calculations, ion=ion, tops=(first, 10, 3), budget_h=budget_h
        )


def test_each_candidate_says_where_it_stopped_and_counts_add_up(tmp_path: Path):
    result = follow(CRYSTALS, tmp_path)
    stopped = result.table.set_index("material_id")["stopped"]
    assert set(stopped.index) == {"ref-Cu2O", "ref-CuCl", "copper"}  # the oxide of lithium has no copper
    assert stopped["copper"].startswith("percolation: failed, copper has no element with bond-valence parameters")
    assert stopped["ref-CuCl"].startswith("phonons: failed")
    assert stopped["ref-Cu2O"].startswith("barriers: ")
    for step in result.steps:
        assert step.came == step.kept + step.rejected + step.failed + step.not_reached
    assert [step.came for step in result.steps] == [3, 2, 1]
    assert [step["tier"] for step in json.loads((tmp_path / FOLLOWED_STEPS).read_text())["steps"]] == [
        "percolation", "phonons", "barriers",
    ]  # fmt: skip
    assert [failure.material_id for failure in result.failures] == ["copper", "ref-CuCl", "ref-Cu2O"]
    assert pd.read_csv(tmp_path / "followed.csv")["material_id"].tolist() == result.table["material_id"].tolist()
    row = result.table.set_index("material_id").loc["ref-Cu2O"]
    assert row["band_center_mev"] > 0
    assert row["percolation_ev"] > 0


def test_criteria_reject_and_the_rest_of_the_room_is_reported(tmp_path: Path):
    result = follow(CRYSTALS, tmp_path, first=1, max_barrier_ev=0.01)
    stopped = result.table.set_index("material_id")["stopped"]
    assert stopped["ref-Cu2O"].startswith("percolation: a barrier of 0.1")
    assert stopped["copper"] == "percolation: no room"
    assert [step.kept for step in result.steps] == [0, 0, 0]


@pytest.mark.long
def test_without_time_nothing_is_begun_and_a_second_run_goes_on(tmp_path: Path):
    result = follow([OXIDE], tmp_path, budget_h=1e-12)
    assert result.table["stopped"].tolist() == ["percolation: time was up"]
    assert result.steps[0].not_reached == 1
    again = follow([OXIDE], tmp_path)
    assert again.table["stopped"][0].startswith("barriers: ")


def write_settings(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("barriers_top = 0", "barriers_top is 0. Give a whole number"),
        ("barriers_top = 2.9", "barriers_top is 2.9. Give a whole number"),
        ("barriers_top = true", "barriers_top is True"),
        ("budget_h = 0", "budget_h is 0"),
        ("neb_top = 3", "has no setting 'neb_top'"),
        ('tiers = ["dance"]', "'dance' is not a tier"),
        ("[follow.barriers]\nimage = 3", r"\[follow.barriers\] has no setting 'image'"),
        ("barriers = 3", r"Write it as a table: \[barriers\]"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, table: str, message: str):
    with pytest.raises(SettingsError, match=message):
        read_study(write_settings(tmp_path, f"[follow]\n{table}\n"))


def test_a_tier_has_settings_and_limits_of_its_own(tmp_path: Path):
    file = write_settings(
        tmp_path,
        "[screen]\nmax_center_mev = 30\n[follow]\nmax_barrier_ev = 0.2\nphonons_top = 7\nstable = true\n"
        "[follow.barriers]\nimages = 3\n",
    )
    percolation, stability, phonons, barriers = read_study(file).plans
    assert percolation.limits == PercolationLimits(0.2)
    assert stability.limits == StabilityLimits(max_e_hull_ev=0.05)  # the screen's
    assert (phonons.top, phonons.limits.max_center_mev, phonons.limits.stable) == (7, 30.0, True)
    assert (barriers.top, barriers.settings, barriers.limits) == (3, NebSettings(images=3), None)


def test_an_ion_that_no_candidate_has_is_reported(tmp_path: Path):
    with pytest.raises(SettingsError, match="no candidate contains Na"):
        follow(CRYSTALS, tmp_path, ion="Na")


def test_the_ion_to_follow_is_that_of_the_screen(tmp_path: Path):
    assert read_study(write_settings(tmp_path, "[screen]\nion = 'Na'\n[follow]\n")).ion == "Na"
    assert read_study(write_settings(tmp_path, "[screen]\nion = 'Na'\n[follow]\nion = 'Li'\n")).ion == "Li"
    assert read_study(write_settings(tmp_path, "[follow]\n")).ion == "Li"
    assert FollowSettings().tiers == ("percolation", "stability", "phonons", "barriers")


def test_the_study_follows_its_best(tmp_path: Path):
    from ase.io import write

    write(tmp_path / "oxide.cif", OXIDE.to_ase())
    (tmp_path / "study.toml").write_text(
        '[screen]\ninputs = "oxide.cif"\nion = "Cu"\nmax_center_mev = 100\n'
        '[follow]\nion = "Cu"\nengine = "emt"\nmax_barrier_ev = 5\nmax_center_mev = 10\n'
        "[follow.phonons]\nmin_length_a = 6\n[follow.barriers]\nimages = 3\nmin_length_a = 6\n"
    )
    result = CliRunner().invoke(app, ["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "Followed" in result.output
    (row,) = pd.read_csv(tmp_path / "out" / "followed.csv").to_dict("records")
    assert row["stopped"].startswith("phonons: a band center of")
    assert "No candidate was followed to the end" in (tmp_path / "out" / "report.html").read_text()
    for picture in ("percolation/oxide/site_energy.png", "phonons/oxide/bands.png"):
        assert (tmp_path / "out" / picture).is_file()


def test_an_engine_that_is_not_there_is_reported_before_the_screen(tmp_path: Path):
    (tmp_path / "study.toml").write_text('[follow]\nengine = "dream"\n')
    result = CliRunner().invoke(app, ["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, SettingsError)
    assert not (tmp_path / "out").exists()
