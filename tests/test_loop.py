from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from pymatgen.core import Structure
from typer.testing import CliRunner

from phonolyte import learning_set
from phonolyte.cli import app
from phonolyte.errors import SettingsError, TableError
from phonolyte.forces import open_engine
from phonolyte.loop import Loop, LoopSettings, Rounds
from phonolyte.loop.learning import FILE, Known, read_given, read_known, write_known
from phonolyte.loop.pool import leave_out_known, open_crystals
from phonolyte.loop.rounds import CHOSEN_FILE, SUMMARY, TABLE
from phonolyte.models import BandCenterModel
from phonolyte.models.compounds import read_learning_set
from phonolyte.models.domain import Domain, Intervals
from phonolyte.models.selection import CorrelationSelector
from phonolyte.models.trees import TreeEnsemble
from phonolyte.phonons import PhononCalculation, PhononSettings
from phonolyte.references import reference_compounds
from phonolyte.runs.run import Run
from phonolyte.screen import Criteria
from phonolyte.screen.describe import Models
from phonolyte.screen.funnel import rank_crystals
from phonolyte.structures import Crystal
from phonolyte.study import read_study

METALS = {"Cu": 3.61, "Ag": 4.09, "Au": 4.08, "Ni": 3.52, "Pd": 3.89, "Pt": 3.92, "Al": 4.05}
POOL = [Crystal.from_ase(bulk(name, "fcc", a=a), material_id=f"fcc-{name}") for name, a in METALS.items()]
UNSTABLE = Crystal.from_ase(bulk("Cu", "bcc", a=2.87), material_id="bcc-Cu")
HOPELESS = next(crystal for crystal in reference_compounds().crystals if crystal.material_id == "ref-LiCl")
QUICK = PhononSettings(min_length_a=5.0, mesh_length_a=20.0)


def choose_known(n: int = 40) -> list[Known]:
    """Known crystals, every so many of the learning set, elements left out: fcc metals of it would repeat the pool."""
    alloys = [known for known in read_given("")[0] if len(set(known.crystal.symbols)) > 1]
    return alloys[:: len(alloys) // n][:n]


def learn(file: Path, folder: Path) -> BandCenterModel:
    """A quick model: ten trees, intervals by the spread between them."""
    from sklearn.ensemble import ExtraTreesRegressor

    data, failures = read_learning_set(file)
    assert not failures
    trees = ExtraTreesRegressor(10, random_state=0).fit(data.table, data.target)
    names = CorrelationSelector().fit(data.table).get_feature_names_out()
    domain = Domain.fit(data.table[names], data.elements)
    model = BandCenterModel(TreeEnsemble.from_estimator(trees), tuple(data.table), Intervals(1.6, 1.0), domain)
    model.save(folder)
    return model


class Killed(BaseException):
    """Stand-in for a signal: nothing in the program catches it."""


def run_loop(
    folder: Path, crystals: list[Crystal], *, engine: Any = None, known: list[Known] | None = None, **settings: Any
) -> Rounds:
    calculation = PhononCalculation(engine or open_engine("emt"), QUICK, "Cu")
    chosen = LoopSettings(**{"rounds": 2, "crystals": 2, "decision_mev": 25.0, "thrift": 0.0, **settings})
    loop = Loop(chosen, learn, calculation)
    known = known if known is not None else choose_known()
    with Run(folder, "study") as run:
        return loop.run(run, crystals, known, model=loop.begin(known, run.path("rounds")))


def add_up(rounds: Rounds) -> None:
    for each in rounds.rounds:
        assert each.chosen == each.computed + each.failed + each.not_reached
        assert each.unstable <= each.computed


def test_rounds_choose_compute_and_learn(tmp_path: Path):
    result = run_loop(tmp_path, POOL)
    add_up(result)
    assert result.stopped == "all rounds are done"
    assert [each.chosen for each in result.rounds] == [0, 2, 2]
    assert [each.learned for each in result.rounds] == [40, 42, 44]
    chosen = [pd.read_csv(tmp_path / "rounds" / str(n) / CHOSEN_FILE) for n in (1, 2)]
    assert not set(chosen[0]["material_id"]) & set(chosen[1]["material_id"])
    first = pd.read_csv(tmp_path / TABLE).iloc[1]
    assert first["mae_mev"] == pytest.approx((chosen[0]["predicted_mev"] - chosen[0]["computed_mev"]).abs().mean())
    record = json.loads((tmp_path / SUMMARY).read_text())
    assert record["decision_mev"] == 25.0
    assert [row["round"] for row in record["rounds"]] == [0, 1, 2]
    phonons = pd.read_parquet(tmp_path / "rounds" / "phonons" / "phonons.parquet").set_index("material_id")
    learned = pd.read_parquet(tmp_path / "rounds" / "2" / FILE).set_index("material_id")
    for name in [*chosen[0]["material_id"], *chosen[1]["material_id"]]:
        assert learned.loc[name, "band_center_mev"] == pytest.approx(phonons.loc[name, "band_center_mev"])
        assert learned.loc[name, "engine"] == "emt"
    assert learned["round"].value_counts().to_dict() == {0: 40, 1: 2, 2: 2}


def test_predictions_are_those_of_a_model_that_had_not_learned_the_crystals(tmp_path: Path):
    run_loop(tmp_path, POOL)
    for number in (1, 2):
        before = BandCenterModel.load(tmp_path / "rounds" / str(number - 1) / "model")
        chosen = pd.read_csv(tmp_path / "rounds" / str(number) / CHOSEN_FILE).set_index("material_id")
        own = before.predict_crystals([crystal for crystal in POOL if crystal.material_id in chosen.index])
        assert chosen["predicted_mev"].to_numpy() == pytest.approx(own.loc[chosen.index, "band_center_mev"].to_numpy())


def test_a_killed_loop_goes_on_and_computes_nothing_twice(tmp_path: Path):
    whole = run_loop(tmp_path / "whole", POOL)
    computed: list[str] = []
    deaths = [3]

    def compute(self: PhononCalculation, crystal: Crystal, folder: Path, earlier: Any = None) -> Any:
        if len(computed) == deaths[0]:
            deaths[0] = -1
            raise Killed
        computed.append(crystal.material_id)
        return original(self, crystal, folder, earlier)

    original = PhononCalculation.compute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PhononCalculation, "compute", compute)
        with pytest.raises(Killed):
            run_loop(tmp_path / "killed", POOL)
        again = run_loop(tmp_path / "killed", POOL)
    assert len(computed) == len(set(computed)) == 4
    assert [replace(each, seconds=0.0) for each in again.rounds] == [replace(r, seconds=0.0) for r in whole.rounds]
    for number in (0, 1, 2):
        own, other = (tmp_path / name / "rounds" / str(number) / FILE for name in ("whole", "killed"))
        assert own.read_bytes() == other.read_bytes()


def test_flags_and_errors_of_a_table_of_text_count(tmp_path: Path):
    records = [
        {"material_id": "a", "band_center_mev": 30.0, "stable": True},
        {"material_id": "b", "band_center_mev": 31.0, "stable": False},
        {"material_id": "c", "band_center_mev": 32.0, "stable": False, "center_error": 0.2, "imaginary_share": 0.2},
    ]
    silver = Structure(4.09 * np.eye(3), ["Ag"], [[0, 0, 0]]).as_dict()
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(each | {"structure": silver}) for each in records))
    pd.DataFrame([each | {"structure": json.dumps(silver)} for each in records]).to_csv(tmp_path / "x.csv", index=False)
    for name in ("x.jsonl", "x.csv"):
        known, failures = read_known(tmp_path / name)
        assert [failure.error for failure in failures] == ["Unstable"]
        assert [(each.crystal.material_id, each.stable, each.error, each.imaginary_share) for each in known] == [
            ("a", True, 0.0, 0.0), ("c", False, 0.2, 0.2)
        ]  # fmt: skip


def test_unstable_crystals_are_learned_as_what_they_are_and_failures_are_rows(tmp_path: Path):
    result = run_loop(tmp_path, [UNSTABLE, HOPELESS], rounds=3)
    add_up(result)
    (done,) = result.rounds[1:]
    assert (done.computed, done.unstable, done.failed) == (1, 1, 1)
    assert result.stopped == "nothing is left to choose"
    assert [failure.material_id for failure in result.failures] == ["ref-LiCl"]
    outcome = pd.read_csv(tmp_path / "rounds" / "1" / CHOSEN_FILE).set_index("material_id")["outcome"]
    assert outcome["bcc-Cu"] == "unstable"
    assert outcome["ref-LiCl"].startswith("failed: ")
    row = pd.read_parquet(tmp_path / "rounds" / "1" / FILE).set_index("material_id").loc["bcc-Cu"]
    assert not row["stable"]
    assert 0 < row["center_error"] == row["imaginary_share"] < 1
    data, failures = read_learning_set(tmp_path / "rounds" / "1" / FILE)
    assert not failures
    assert data.errors is not None
    assert dict(zip(data.table.index, data.errors, strict=True))["bcc-Cu"] == row["center_error"]


def test_without_time_nothing_is_begun_and_a_second_run_goes_on(tmp_path: Path):
    result = run_loop(tmp_path, POOL, budget_h=1e-9)
    assert [each.chosen for each in result.rounds] in ([0], [0, 2])
    assert result.stopped == "the time was up"
    assert result.rounds[-1].computed == 0
    again = run_loop(tmp_path, POOL)
    assert [each.computed for each in again.rounds] == [0, 2, 2]


def test_there_is_no_round_where_there_is_nothing_to_learn(tmp_path: Path):
    assert run_loop(tmp_path / "far", POOL, decision_mev=900.0).stopped == "no interval contains the decision"
    none = run_loop(tmp_path / "none", [])
    assert none.stopped == "no interval contains the decision"
    assert none.rounds[0].chosen == 0


def test_what_is_known_is_not_chosen(tmp_path: Path):
    copper = Known(replace(POOL[0], material_id="another name"), 20.0)
    same_name = Known(replace(UNSTABLE, material_id="fcc-Ag"), 20.0)
    left = leave_out_known(POOL, [copper, same_name])
    assert [crystal.material_id for crystal in left] == [f"fcc-{name}" for name in METALS if name not in ("Cu", "Ag")]
    assert len(leave_out_known([POOL[0], replace(POOL[0], material_id="twin")], [])) == 1


def test_the_pool_is_what_a_center_decides(tmp_path: Path):
    names = ("ref-LiCl", "ref-Li2O", "ref-NaCl", "ref-Li3N", "ref-Li3PO4-Pnma")
    crystals = [crystal for crystal in reference_compounds().crystals if crystal.material_id in names]
    model = learn(write(choose_known(), tmp_path / FILE), tmp_path / "model")
    screening = rank_crystals(crystals, models=Models(model), criteria=Criteria(max_center_mev=30.0))
    rejected = set(screening.table.loc[screening.table["rejected_by"] == "band_center", "material_id"])
    assert rejected
    assert {crystal.material_id for crystal in open_crystals(screening)} == set(names)
    assert {crystal.material_id for crystal in open_crystals(screening, "Li")} == set(names) - {"ref-NaCl"}
    assert open_crystals(screening, "K") == []


def test_disordered_crystals_are_chosen_as_their_representatives(tmp_path: Path):
    mixed = next(crystal for crystal in reference_compounds().crystals if not crystal.is_ordered)
    model = learn(write(choose_known(), tmp_path / FILE), tmp_path / "model")
    (own,) = open_crystals(rank_crystals([mixed], models=Models(model), criteria=Criteria(ion=None)))
    assert own.is_ordered
    assert own.material_id == mixed.material_id


def write(known: list[Known], path: Path) -> Path:
    write_known(known, path)
    return path


def test_the_own_learning_set_is_scaled_to_density_functional_theory():
    known, failures = read_given("")
    assert not failures
    own = learning_set.crystals().crystals[0]
    assert known[0].center_mev == pytest.approx(1.0448 * own.properties["band_center_mev"])
    assert known[0].crystal.volume_a3 == pytest.approx(0.991**3 * own.volume_a3)


def test_a_learning_set_is_read_as_it_was_written(tmp_path: Path):
    known = [*choose_known(25), Known(UNSTABLE, 21.0, 0.2, False, 0.2, "emt", 1)]
    again, failures = read_given(write(known, tmp_path / FILE))
    assert not failures
    assert [(k.center_mev, k.error, k.stable, k.engine, k.round) for k in again] == [
        (k.center_mev, k.error, k.stable, k.engine, k.round) for k in known
    ]
    assert np.allclose(again[-1].crystal.lattice, UNSTABLE.lattice)


def test_what_cannot_be_learned_is_a_failure_of_the_loop(tmp_path: Path):
    records = [{"material_id": k.crystal.material_id, "structure": k.crystal.to_pymatgen().as_dict(),
                "band_center_mev": k.center_mev} for k in choose_known(25)]  # fmt: skip
    records[3]["band_center_mev"] = None
    records[4]["stable"] = False
    records[5]["structure"] = {"lattice": "broken"}
    file = tmp_path / "set.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    known, failures = read_given(file)
    assert len(known) == 22
    assert sorted(failure.error for failure in failures)[:1] == ["NoBandCenter"]
    assert {failure.material_id for failure in failures} == {records[row]["material_id"] for row in (3, 4, 5)}


def test_a_learning_set_needs_crystals(tmp_path: Path):
    with pytest.raises(TableError, match="3 stable crystals"):
        read_given(write(choose_known()[:3], tmp_path / FILE))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("rounds = -1", "rounds is -1"),
        ("crystals = 0", "crystals is 0"),
        ("budget_h = 0", "budget_h is 0"),
        ("thrift = -1", "thrift is -1"),
        ("round = 3", r"\[loop\] has no setting 'round'"),
        ("[loop.phonons]\nlength = 3", r"\[loop.phonons\] has no setting 'length'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, table: str, message: str):
    file = tmp_path / "study.toml"
    file.write_text(f"[loop]\n{table}\n")
    with pytest.raises(SettingsError, match=message):
        read_study(file)


def test_settings_of_a_loop(tmp_path: Path):
    file = tmp_path / "study.toml"
    file.write_text("[loop]\nrounds = 2\ncrystals = 7\n[loop.phonons]\nmin_length_a = 6\n")
    assert read_study(file).loop == LoopSettings(2, 7, phonons=PhononSettings(min_length_a=6.0))
    assert read_study(file).with_rounds(0).loop == LoopSettings(0, 7, phonons=PhononSettings(min_length_a=6.0))
    file.write_text("[screen]\n")
    assert read_study(file).loop is None
    assert read_study(file).with_rounds(4).loop == LoopSettings(4)


@pytest.mark.long
def test_a_study_with_rounds_screens_by_what_it_has_learned(tmp_path: Path):
    from ase.io import write as write_cif

    for crystal in POOL[:4]:
        write_cif(tmp_path / f"{crystal.material_id}.cif", crystal.to_ase())
    write(choose_known(), tmp_path / "known.parquet")
    (tmp_path / "study.toml").write_text(
        '[train]\ndata = "known.parquet"\nrecipe = "study"\nalgorithm = "decision_tree"\ncompare = false\n'
        '[screen]\ninputs = "*.cif"\nion = "Cu"\nrecipe = "study"\nwithout = ["ion", "e_hull"]\npercolation = "none"\n'
        '[loop]\nengine = "emt"\ncrystals = 2\ndecision_mev = 25\n'
        "[loop.phonons]\nmin_length_a = 5\nmesh_length_a = 20\n"
    )
    command = ["study", str(tmp_path / "study.toml"), "--rounds", "1", "-o", str(tmp_path / "out"), "--no-figures"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "Rounds" in result.output
    assert "stopped: all rounds are done" in result.output
    assert "Rounds of choosing, computing and learning" in (tmp_path / "out" / "report.html").read_text()
    last = BandCenterModel.load(tmp_path / "out" / "rounds" / "1" / "model")
    assert BandCenterModel.load(tmp_path / "out" / "model").fingerprint == last.fingerprint
    ranked = pd.read_parquet(tmp_path / "out" / "ranked.parquet").set_index("material_id")
    expected = last.predict_crystals(POOL[:4])["band_center_mev"]
    assert ranked["band_center_mev"].to_dict() == pytest.approx(expected.to_dict())


def test_a_recipe_that_cannot_learn_in_rounds_is_refused(tmp_path: Path):
    (tmp_path / "study.toml").write_text('[train]\nrecipe = "virtual"\n[loop]\nengine = "emt"\n')
    result = CliRunner().invoke(app, ["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, SettingsError)
    assert "virtual" in str(result.exception)
