from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from typer.testing import CliRunner

from phonolyte import conduction, verbs
from phonolyte.cli import app
from phonolyte.cli.screen import show_screening
from phonolyte.conduction import BARRIERS, NO_DATA, PREDICTED
from phonolyte.errors import ModelError, SettingsError
from phonolyte.features.conduction import DESCRIPTORS, ionic_descriptors, open_share
from phonolyte.measured import folder, learning_columns, load_measured
from phonolyte.models.conductivity import PRIOR, ConductivityModel
from phonolyte.percolation import COARSE
from phonolyte.references import ordered_model, reference_compound
from phonolyte.report import card_of, read_run
from phonolyte.report.conduction import conduction_words
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen import ScreenSettings
from phonolyte.screen.ranking import Ranking
from phonolyte.structures import Crystal
from phonolyte.structures.symmetry import framework_group

TABLES, HERE = OutputSettings(figures=False, report=False), ExecutorSettings(jobs=1)
CORNERS = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
SALT = Crystal.from_arrays("salt", np.eye(3) * 5.64, ["Na"] * 4 + ["Cl"] * 4, [*CORNERS, *(CORNERS + 0.5)])
PHOSPHIDE = Crystal.from_arrays("phosphide", np.eye(3) * 5.6, ["Li"] * 4 + ["P"] * 4, [*CORNERS, *(CORNERS + 0.5)])


@pytest.fixture(scope="module")
def columns() -> dict[str, object]:
    return learning_columns(load_measured().table)


def select_rows(columns: dict, rows: np.ndarray) -> dict:
    numbers = {name: values[rows] for name, values in columns["numbers"].items()}
    return {"numbers": numbers, **{name: values[rows] for name, values in columns.items() if name != "numbers"}}


def predict(model: ConductivityModel, columns: dict):
    return model.predict(columns["numbers"], columns["descriptors"], columns["roots"])


def test_every_measurement_has_its_paper_and_its_license():
    table = load_measured().table
    assert len(table) == 478
    assert table["doi"].notna().all()
    assert table["family"].notna().all()
    assert int(table["at_most"].sum()) == 29
    assert "CC BY 4.0" in (folder() / "measured.csv").read_text()[:300]


@pytest.mark.parametrize(
    ("name", "sigma"),
    [("ref-Li10GeP2S12", 1.2e-2), ("ref-Li6PS5Cl", 1.3e-3), ("ref-Li3N", 5.8e-4), ("ref-Li3PS4-Pmn2_1", 2.6e-7)],
)
def test_a_compound_that_was_measured_has_its_conductivity(name: str, sigma: float):
    match = load_measured().match(reference_compound(name))
    assert match is not None
    assert match.sigma_s_cm == pytest.approx(sigma, rel=0.05)
    assert match.doi.startswith("10.")


def test_an_ordered_model_has_the_measurement_of_the_disordered_crystal():
    match = load_measured().match(ordered_model("ref-Li10GeP2S12"))
    assert match is not None
    assert match.sigma_s_cm == pytest.approx(1.2e-2, rel=0.05)


def test_tetragonal_and_cubic_llzo_are_two_compounds():
    tetragonal = load_measured().match(ordered_model("ref-Li7La3Zr2O12"))
    cubic = load_measured().match(reference_compound("ref-Li6.26Al0.24La3Zr2O12"))
    assert tetragonal is not None
    assert tetragonal.sigma_s_cm == pytest.approx(1.63e-6)
    assert cubic is not None
    assert cubic.sigma_s_cm == pytest.approx(3.1e-4, rel=0.05)


def test_a_formula_alone_is_not_a_match():
    lgps = reference_compound("ref-Li10GeP2S12")
    wide = Crystal.from_arrays("wide", 1.1 * lgps.lattice, lgps.symbols, lgps.frac_coords, occupancies=lgps.occupancies)
    assert load_measured().match(wide) is None  # a third more volume
    heavier = [symbol.replace("Ge", "Pb") for symbol in lgps.symbols]
    other = Crystal.from_arrays("other", lgps.lattice, heavier, lgps.frac_coords, occupancies=lgps.occupancies)
    assert load_measured().match(other) is None
    assert load_measured().match(SALT) is None


def test_the_framework_of_an_ordered_model_has_the_group_of_the_average():
    assert framework_group(reference_compound("ref-Li6PS5Cl"), "Li", tolerance_a=0.15) == 216
    assert framework_group(ordered_model("ref-Li10GeP2S12"), "Li", tolerance_a=0.5) == 137


def test_descriptors_are_those_of_the_ions():
    crystal = reference_compound("ref-Li3PS4-Pmn2_1")
    amounts = {symbol: float(n) for symbol, n in crystal.amounts.items()}
    values = dict(zip(DESCRIPTORS, ionic_descriptors(amounts, crystal.volume_a3, "Li"), strict=True))
    assert values["anion_radius_a"] == 1.84  # Shannon's S2-
    assert values["anion_charge"] == 2.0
    assert values["framework_charge"] == 5.0
    assert values["framework_radius_a"] == 0.38  # P5+ with six neighbors
    assert values["ions_per_anion"] == 0.75
    assert values["packing"] == pytest.approx(4 / 3 * np.pi * 1.84**3 * amounts["S"] / crystal.volume_a3)
    doubled = ionic_descriptors({symbol: 2 * n for symbol, n in amounts.items()}, 2 * crystal.volume_a3, "Li")
    np.testing.assert_allclose(doubled, list(values.values()))


def test_occupancies_count_where_they_were_refined():
    assert open_share(reference_compound("ref-Li6PS5Cl"), "Li") == 1.0
    assert np.isnan(open_share(ordered_model("ref-Li6PS5Cl"), "Li"))


def test_the_embedded_model_is_that_of_the_table(columns: dict):
    fitted, embedded = ConductivityModel.fit("Li", **columns), ConductivityModel.embedded()
    for own, other in zip(predict(fitted, columns), predict(embedded, columns), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-6)


@pytest.mark.long
def test_left_out_sets_of_elements_are_predicted_as_stated(columns: dict):
    n, groups = len(columns["log_sigma"]), columns["groups"]
    predictions = np.empty((3, n))
    for train, test in GroupKFold(10, shuffle=True, random_state=0).split(np.arange(n), groups=groups):
        model = ConductivityModel.fit("Li", **select_rows(columns, train))
        predicted = predict(model, select_rows(columns, test))
        predictions[:, test] = predicted.log_sigma, predicted.p_conductor, (predicted.lower + predicted.upper) / 2
    assert spearmanr(predictions[0], columns["log_sigma"])[0] > 0.78
    assert roc_auc_score(columns["log_sigma"] >= -4, predictions[1]) > 0.88


def test_a_lower_barrier_never_makes_a_worse_conductor(columns: dict):
    rows = np.arange(0, 478, 25)
    some, model = select_rows(columns, rows), ConductivityModel.embedded()
    easier = {**some, "numbers": {**some["numbers"], "barrier_3d_ev": some["numbers"]["barrier_3d_ev"] - 0.1}}
    assert (predict(model, easier).log_sigma > predict(model, some).log_sigma).all()
    assert (predict(model, easier).p_conductor >= predict(model, some).p_conductor).all()


def test_far_from_what_was_measured_the_score_counts_more(columns: dict):
    model = ConductivityModel.embedded()
    far = {**columns, "descriptors": columns["descriptors"] + 5 * columns["descriptors"].std(axis=0)}
    assert (predict(model, columns).weight > 0.99).mean() > 0.85
    assert np.isclose(predict(model, far).weight, PRIOR.least).mean() > 0.9
    predicted = predict(model, far)
    assert ((predicted.lower < predicted.upper) & (predicted.p_conductor >= 0) & (predicted.p_conductor <= 1)).all()
    assert (predicted.upper - predicted.lower).mean() > (lambda p: p.upper - p.lower)(predict(model, columns)).mean()


def test_a_damaged_model_is_refused(tmp_path: Path):
    ConductivityModel.embedded().save(tmp_path)
    again = ConductivityModel.load(tmp_path)
    assert again.refined.level == ConductivityModel.embedded().refined.level
    (tmp_path / "model.npz").write_bytes(b"not arrays")
    with pytest.raises(ModelError):
        ConductivityModel.load(tmp_path)
    (tmp_path / "model.json").write_text('{"format": 99}')
    with pytest.raises(ModelError, match="format"):
        ConductivityModel.load(tmp_path)


CRYSTALS = [reference_compound("ref-Li6PS5Cl"), reference_compound("ref-Li3PS4-Pmn2_1"), SALT, PHOSPHIDE]


def screen(folder: Path, **settings: object) -> pd.DataFrame:
    given = {"without": ("e_hull", "band_gap", "likely_metal"), **settings}
    result = verbs.screen(CRYSTALS, folder=folder, settings=ScreenSettings(**given), output=TABLES, executor=HERE)
    return result.table.set_index("material_id")


def test_conductors_come_first_and_what_is_not_known_is_noted(tmp_path: Path):
    table = screen(tmp_path / "run")
    assert table.index[0] == "ref-Li6PS5Cl"
    assert table["percolation"].to_dict() == {
        "ref-Li6PS5Cl": "computed", "ref-Li3PS4-Pmn2_1": "computed", "phosphide": "no parameters", "salt": "computed",
    }  # fmt: skip
    assert table.loc["salt", "sigma_basis"] == NO_DATA
    assert np.isnan(table.loc["salt", "p_conductor"])
    assert table.loc["salt", "barrier_3d_ev"] > 0
    assert table.loc["phosphide", [*BARRIERS, *PREDICTED[:-1]]].isna().all()
    assert table.loc["ref-Li6PS5Cl", "measured_sigma_s_cm"] == pytest.approx(1.3e-3)
    notes = (tmp_path / "run" / "run.toml").read_text()
    assert "1 no parameters" in notes
    written = pd.read_parquet(tmp_path / "run" / "ranked.parquet")
    assert {"p_conductor", "measured_doi", "sigma_basis"} <= set(written)


def test_a_card_says_of_what_it_is_sure_and_how_often_a_compound_was_measured(tmp_path: Path):
    screen(tmp_path / "run")
    contents = read_run(tmp_path / "run")
    card, salt = card_of(contents, "ref-Li6PS5Cl"), card_of(contents, "salt")
    assert (card.sure_of, salt.sure_of) == ("predicted conductivity", "band center")
    assert "Measured at room temperature: 0.0013 S/cm (the middle one of 3 measurements)." in card.sure
    assert {"measured conductivity": "0.0013 S/cm", "measurements": "3"}.items() <= dict(card.facts).items()
    assert "measured in" not in dict(salt.facts)
    assert contents.table.set_index("material_id")["measured_doi"].isna()["salt"]


def test_the_terminal_says_for_which_ion_a_probability_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = ScreenSettings(without=("e_hull", "band_gap", "likely_metal"))
    for crystals, said in ((CRYSTALS, True), (CRYSTALS[:2], False)):
        result = verbs.screen(crystals, folder=tmp_path / str(said), settings=settings, output=TABLES, executor=HERE)
        show_screening(result, tmp_path)
        assert ("for Li alone: there is none for Na" in " ".join(capsys.readouterr().out.split())) == said


def test_the_recipe_of_the_study_cuts_and_ranks_by_center(tmp_path: Path):
    table = screen(tmp_path / "run", recipe="study", percolation="none")
    assert "p_conductor" not in table
    ranked = table[table["passes"] & (table["ion"] == "Li")]
    assert ranked["band_center_mev"].is_monotonic_increasing
    study = ScreenSettings(recipe="study").criteria
    assert (study.max_center_mev, study.max_e_hull_ev, study.min_gap_ev, study.no_likely_metal) == (
        40.0,
        0.05,
        None,
        False,
    )
    conductors = ScreenSettings().criteria
    assert (conductors.max_center_mev, conductors.min_gap_ev) == (None, 1.0)


def test_percolation_of_all_includes_what_is_rejected(tmp_path: Path):
    rejected = screen(tmp_path / "some", ion="Na")
    assert (rejected.loc[rejected.index != "salt", "percolation"] == "not computed").all()
    everything = screen(tmp_path / "all", ion="Li", max_center_mev=1.0, percolation="all")
    assert not everything["passes"].any()
    assert everything.loc["ref-Li6PS5Cl", "percolation"] == "computed"


def test_any_column_and_weights_may_rank(tmp_path: Path):
    by_volume = screen(tmp_path / "volume", rank_by="volume_per_atom_a3", ion="Li")
    assert by_volume["volume_per_atom_a3"].is_monotonic_increasing
    weights = (("barrier_3d_ev", 1.0), ("volume_per_atom_a3", -2.0))
    weighted = screen(tmp_path / "weights", weights=weights, ion="Li")
    assert weighted["score"].dropna().is_monotonic_decreasing
    # of three crystals: the shares of those that each is better than, the lowest barrier and the smallest volume best
    candidates = weighted[weighted["passes"]]
    values = candidates.dropna(subset="score")
    expected = (-values["barrier_3d_ev"]).rank() / 2 - 2 * (-candidates["volume_per_atom_a3"]).rank()[values.index] / 3
    np.testing.assert_allclose(values["score"], expected)


@pytest.mark.parametrize("name", ["nonsense", "formula"])
def test_a_ranking_needs_a_column_of_numbers(name: str):
    with pytest.raises(SettingsError, match=name):
        Ranking(name)


def test_a_screen_without_percolation_ranks_by_center(tmp_path: Path):
    table = screen(tmp_path / "run", percolation="none", ion="Li")
    assert table.loc[table["passes"], "band_center_mev"].is_monotonic_increasing
    with pytest.raises(SettingsError, match=r"no column 'p_conductor'. Choose among .*band_center_mev"):
        screen(tmp_path / "again", percolation="none", rank_by="p_conductor")


def test_a_ranking_that_makes_no_sense_leaves_no_folder(tmp_path: Path):
    for arguments, message in (
        (["--rank-by", "nonsense"], "no column 'nonsense'"),
        (["--weights", "P=x"], "NAME=VALUE"),
    ):
        result = CliRunner().invoke(app, ["screen", *arguments, "-o", str(tmp_path / "run")])
        assert message in str(result.exception or result.output)
    assert not (tmp_path / "run").exists()


def test_a_column_that_a_screen_lacks_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="no column 'lowest_mode_mev'"):
        screen(tmp_path / "run", rank_by="lowest_mode_mev")


def test_finished_portions_are_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from phonolyte.screen.conduction import Task, describe_task
    from phonolyte.screen.describe import ModelSource, describe_batch
    from phonolyte.structures import Reading
    from phonolyte.structures.batches import plan_batches

    (batch,) = plan_batches(Reading(crystals=CRYSTALS))
    task = Task(describe_batch(batch, ModelSource()), (0, 3), ("Li", "Li"))
    first = describe_task(task, COARSE, tmp_path)
    monkeypatch.setattr(conduction, "compute_percolation", lambda *_: pytest.fail("computed again"))
    pd.testing.assert_frame_equal(describe_task(task, COARSE, tmp_path), first)


def test_one_bad_crystal_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = conduction.compute_percolation

    def describe_or_fail(crystal: Crystal, ion: str, settings: object):
        if "Cl" in crystal.symbols and "P" in crystal.symbols:
            raise ZeroDivisionError
        return real(crystal, ion, settings)

    monkeypatch.setattr(conduction, "compute_percolation", describe_or_fail)
    table = screen(tmp_path / "run")
    assert table.loc["ref-Li6PS5Cl", "percolation"] == "failed"
    assert table.loc["ref-Li3PS4-Pmn2_1", "percolation"] == "computed"


def test_words_say_what_was_measured_and_what_a_number_rests_on():
    row = {"sigma_basis": conduction.NEAR, "measured_sigma_s_cm": 1.2e-2, "measured_at_most": False,
           "percolation": "computed", "barrier_3d_ev": 0.3, "barrier_1d_ev": 0.25}  # fmt: skip
    said = conduction_words(row)
    assert said.startswith("Measured at room temperature: 0.012 S/cm. Compounds like it were measured")
    assert "For it: paths in three dimensions open at 0.30 eV" in said
    bound = conduction_words({**row, "measured_at_most": True, "sigma_basis": conduction.FAR, "barrier_3d_ev": 1.5})
    assert "at most 0.012 S/cm" in bound
    assert "Few compounds like it were measured" in bound  # it was itself, after all
    assert "Nothing like it was measured" in conduction_words({"sigma_basis": conduction.FAR})
    assert "Against it: paths in three dimensions open at 1.50 eV, and in one alone at 0.25 eV" in bound
    assert "no path" in conduction_words({**row, "percolation": conduction.NO_PATH})
    assert conduction_words({"sigma_basis": None}) == ""


def test_finished_portions_are_of_the_same_model_and_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = conduction.describe_conduction([SALT], ["Na"], COARSE, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(conduction, "compute_percolation", lambda *_: pytest.fail("computed again"))
        pd.testing.assert_frame_equal(conduction.describe_conduction([SALT], ["Na"], COARSE, tmp_path), first)
    monkeypatch.setattr(conduction, "DATA", conduction.DATA[1:])
    conduction._data_digest.cache_clear()
    conduction.describe_conduction([SALT], ["Na"], COARSE, tmp_path)
    conduction._data_digest.cache_clear()
    assert len(list(tmp_path.glob("conduction-*.parquet"))) == 2
