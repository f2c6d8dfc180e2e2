from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.cli.study import _further
from phonolyte.errors import SettingsError
from phonolyte.forces import open_engine
from phonolyte.references import reference_compounds
from phonolyte.structures import Crystal
from phonolyte.study import STEPS, FollowSettings, follow

REFERENCES = {crystal.material_id: crystal for crystal in reference_compounds().crystals}
OXIDE, CHLORIDE = REFERENCES["ref-Cu2O"], REFERENCES["ref-CuCl"]
COPPER = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
CRYSTALS = [OXIDE, CHLORIDE, COPPER, REFERENCES["ref-Li2O"]]
RANKED = pd.DataFrame({"material_id": [c.material_id for c in CRYSTALS], "band_center_mev": [20.0, 21.0, 22.0, 50.0]})
EASY = FollowSettings(ion="Cu", max_barrier_ev=5.0, min_length_a=6.0, images=3)


def test_each_candidate_says_where_it_stopped_and_counts_add_up(tmp_path: Path):
    engine = open_engine("emt")
    found = follow(CRYSTALS, RANKED, engine, tmp_path, EASY)
    stopped = found.table.set_index("material_id")["stopped"]
    assert set(stopped.index) == {"ref-Cu2O", "ref-CuCl", "copper"}  # the oxide of lithium has no copper
    assert stopped["copper"].startswith("percolation: failed, copper has no oxidation states")
    assert stopped["ref-CuCl"].startswith("phonons: failed")
    assert stopped["ref-Cu2O"].startswith("neb: ")
    for step in found.steps:
        assert step.came == step.kept + step.rejected + step.failed + step.not_reached
    assert [step.came for step in found.steps] == [3, 2, 1]
    assert json.loads((tmp_path / STEPS).read_text())["settings"]["ion"] == "Cu"
    assert pd.read_csv(tmp_path / "followed.csv")["material_id"].tolist() == found.table["material_id"].tolist()
    row = found.table.set_index("material_id").loc["ref-Cu2O"]
    assert row["band_center_mev"] > 0
    assert row["percolation_ev"] > 0


def test_criteria_reject_and_the_rest_of_the_room_is_told(tmp_path: Path):
    engine = open_engine("emt")
    strict = replace(EASY, percolation_top=1, max_barrier_ev=0.01)
    found = follow(CRYSTALS, RANKED, engine, tmp_path, strict)
    stopped = found.table.set_index("material_id")["stopped"]
    assert stopped["ref-Cu2O"].startswith("percolation: a barrier of 0.1")
    assert stopped["copper"] == "percolation: no room"
    assert [step.kept for step in found.steps] == [0, 0, 0]


def test_without_time_nothing_is_begun_and_a_second_run_goes_on(tmp_path: Path):
    engine = open_engine("emt")
    found = follow([OXIDE], RANKED.head(1), engine, tmp_path, replace(EASY, budget_h=1e-12))
    assert found.table["stopped"].tolist() == ["percolation: time was up"]
    assert found.steps[0].not_reached == 1
    again = follow([OXIDE], RANKED.head(1), engine, tmp_path, EASY)
    assert again.table["stopped"][0].startswith("neb: ")


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(SettingsError, match="neb_top"):
        FollowSettings(neb_top=0)


def test_an_ion_that_no_candidate_has_is_told(tmp_path: Path):
    with pytest.raises(SettingsError, match="no candidate contains Na"):
        follow(CRYSTALS, RANKED, open_engine("emt"), tmp_path, replace(EASY, ion="Na"))


def test_the_ion_to_follow_is_that_of_the_screen():
    assert _further({"screen": {"ion": "Na"}, "follow": {}})["ion"] == "Na"
    assert _further({"screen": {"ion": "Na"}, "follow": {"ion": "Li"}})["ion"] == "Li"
    with pytest.raises(SettingsError, match="whole number"):
        _further({"follow": {"neb_top": 2.9}})


def test_the_study_follows_its_best(tmp_path: Path):
    from ase.io import write

    write(tmp_path / "oxide.cif", OXIDE.to_ase())
    (tmp_path / "study.toml").write_text(
        '[screen]\ninputs = "oxide.cif"\nion = "Cu"\nmax_center_mev = 100\n'
        '[follow]\nion = "Cu"\nengine = "emt"\nmax_barrier_ev = 5\nmin_length_a = 6\nimages = 3\nmax_center_mev = 10\n'
    )
    result = CliRunner().invoke(app, ["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "Followed" in result.output
    (row,) = pd.read_csv(tmp_path / "out" / "followed.csv").to_dict("records")
    assert row["stopped"].startswith("phonons: a band center of")
    assert "No candidate was followed to the end" in (tmp_path / "out" / "report.html").read_text()
    for picture in ("percolation/oxide/site_energy.png", "phonons/oxide/bands.png"):
        assert (tmp_path / "out" / picture).is_file()


def test_an_engine_that_is_not_there_is_told_before_the_screen(tmp_path: Path):
    (tmp_path / "study.toml").write_text('[follow]\nengine = "dream"\n')
    result = CliRunner().invoke(app, ["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, SettingsError)
    assert not (tmp_path / "out").exists()
