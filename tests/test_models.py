from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core.structure import Structure
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

import phonolyte
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.chemistry.formulas import composition_of
from phonolyte.errors import ModelError, SettingsError, TableError
from phonolyte.features import feature_names
from phonolyte.features.feature_sets import named_sets
from phonolyte.learning_set import crystals_file
from phonolyte.models import BandCenterModel, quotient
from phonolyte.models.algorithms import BEST, FEATURE_SETS, SCAN, STUDY, Fit, regressor
from phonolyte.models.center import EMBEDDED
from phonolyte.models.compounds import LearningSet, read_learning_set
from phonolyte.models.domain import Domain, Intervals
from phonolyte.models.nearest import Learned
from phonolyte.models.selection import CorrelationSelector
from phonolyte.models.shallow import MOST_LEAVES, ShallowTrees, count_leaves, sum_leaves
from phonolyte.models.training import train
from phonolyte.models.trees import TreeEnsemble
from phonolyte.models.validation import SPLITS, cross_validate, folds, metrics, n_folds
from phonolyte.references import reference_compounds
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.run import read_record
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen import ScreenSettings
from phonolyte.structures import read
from phonolyte.train import TrainSettings

TREE, FOREST = Fit("decision_tree", "all"), Fit("extra_trees", "all")


@pytest.fixture(scope="module")
def learning_set() -> LearningSet:
    """Eighty made-up compounds whose center follows three of twelve features."""
    random = np.random.default_rng(1)
    table = pd.DataFrame(random.normal(size=(80, 12)), columns=feature_names()[:12])
    table.index = pd.Index([f"m{i}" for i in range(80)], name="material_id")
    target = 40 + 6 * table.iloc[:, 0] + 4 * table.iloc[:, 3] + 2 * np.abs(table.iloc[:, 5])
    formulas = random.choice(["Li2O", "LiF", "NaCl", "MgO", "ZnS", "Li3N", "AgI", "KBr", "CaF2", "Li2S",
                              "Na2S", "LiCl", "NaF", "CuI"], size=80).tolist()  # fmt: skip
    elements = [frozenset(composition_of(formula)) for formula in formulas]
    return LearningSet(table, target.to_numpy(), formulas, elements, "")


@parametrize_with_checks([CorrelationSelector()])
def test_the_selector_is_a_scikit_learn_transformer(estimator: object, check: object):
    check(estimator)  # type: ignore[operator]


def test_the_selection_leaves_the_study_s_63(shared: Path):
    table = pd.read_csv(shared / "data" / "magpie_features_1272.csv.gz", index_col="material_id", na_filter=False)
    table = table[feature_names()].astype(float)
    assert CorrelationSelector().fit(table).get_support().sum() == 63


def test_the_selection_drops_constant_and_repeating_columns():
    x = np.random.default_rng(0).normal(size=(200, 2))
    table = np.column_stack([x[:, 0], np.ones(200), -2 * x[:, 0], x[:, 1], np.exp(5 * x[:, 1])])
    # the last repeats the fourth by rank only
    assert CorrelationSelector().fit(table).get_support().tolist() == [True, False, False, True, False]


@pytest.mark.parametrize(
    "estimator",
    [
        ExtraTreesRegressor(n_estimators=20, random_state=0),
        RandomForestRegressor(n_estimators=20, random_state=0),
        GradientBoostingRegressor(random_state=0),
        DecisionTreeRegressor(random_state=0),
        regressor("xgboost"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_trees_as_arrays_predict_as_their_library_does(learning_set: LearningSet, estimator: object):
    estimator.fit(learning_set.table, learning_set.target)  # type: ignore[attr-defined]
    fresh = np.random.default_rng(2).normal(size=(500, 12))
    expected = estimator.predict(pd.DataFrame(fresh, columns=learning_set.table.columns))  # type: ignore[attr-defined]
    ensemble = TreeEnsemble.from_estimator(estimator)
    again = TreeEnsemble.from_arrays(ensemble.arrays())
    np.testing.assert_allclose(ensemble.predict(fresh), expected, rtol=2e-6)
    np.testing.assert_allclose(again.predict(fresh), expected, rtol=2e-6)


@pytest.mark.parametrize("n", [0, 1, 63, 65, 500])
def test_splits_that_strike_out_leaves_lead_where_a_walk_does(learning_set: LearningSet, n: int):
    forest = ExtraTreesRegressor(n_estimators=20, max_leaf_nodes=MOST_LEAVES, random_state=0)
    ensemble = TreeEnsemble.from_estimator(forest.fit(learning_set.table, learning_set.target))
    assert isinstance(ensemble.packed, ShallowTrees)
    assert count_leaves(ensemble.left, ensemble.right).max() == MOST_LEAVES
    rows = np.random.default_rng(2).normal(size=(n, 12)).astype(np.float32)
    rows[::7, 3], rows[::5, 4], rows[::3, 5] = np.nan, np.inf, -np.inf
    expected = np.zeros((2, n))
    for row in range(n):
        for root in ensemble.roots:
            node = root
            while ensemble.left[node] >= 0:
                right = rows[row, ensemble.feature[node]] > ensemble.threshold[node]
                node = (ensemble.right if right else ensemble.left)[node]
            expected[:, row] += ensemble.value[node], ensemble.value[node] ** 2
    np.testing.assert_allclose(sum_leaves(rows, ensemble.packed), expected, rtol=1e-13)


def test_what_is_not_a_tree_cannot_be_saved(learning_set: LearningSet):
    with pytest.raises(ModelError, match="not an ensemble of regression trees"):
        TreeEnsemble.from_estimator(Ridge().fit(learning_set.table, learning_set.target))


@pytest.mark.parametrize("split", ["composition", "chemical_system", "cluster"])
def test_relatives_share_a_fold(learning_set: LearningSet, split: str):
    groups = learning_set.groups[split]
    tested: list[int] = []
    for train_rows, test_rows in folds(split, learning_set.target, learning_set.groups, seed=0):
        assert not set(groups.iloc[train_rows]) & set(groups.iloc[test_rows])
        tested.extend(test_rows)
    assert sorted(tested) == list(range(80))


def test_a_learning_set_of_one_composition_has_no_folds_by_composition(learning_set: LearningSet, tmp_path: Path):
    alike = replace(learning_set, formulas=["Li2O"] * 80, elements=[frozenset(("Li", "O"))] * 80)
    train(alike, tmp_path, fits=[TREE], final=TREE)
    scores = json.loads((tmp_path / "metrics.json").read_text())
    assert [row["split"] for row in scores] == ["random", "cluster", "representative"]


def test_every_algorithm_of_the_scan_is_scored_in_mev(learning_set: LearningSet):
    scores = pd.DataFrame(metrics(cross_validate(
        learning_set.table, learning_set.target, learning_set.groups,
        fits=[Fit(algorithm, "all") for algorithm in SCAN], splits=("representative",),
    )))  # fmt: skip
    assert set(scores["algorithm"]) == set(SCAN)
    assert scores.set_index("algorithm").loc["linear", "mae_mev"] < 1.5
    assert (scores["rmse_mev"] >= scores["mae_mev"]).all()


def test_intervals_hold_as_often_as_they_say():
    random = np.random.default_rng(3)
    spread = random.uniform(0.5, 3.0, size=4000)
    residual = random.normal(size=4000) * spread
    rule = Intervals.calibrate(residual[:2000], spread[:2000])
    assert (rule.floor_mev, rule.per_spread) == (np.median(spread[:2000]), 1.0)
    inside = np.abs(residual[2000:]) <= rule.half_width(spread[2000:])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)


def test_an_interval_is_a_factor_times_the_spread_and_a_floor():
    assert Intervals(2.0, 1.5).half_width(np.array([0.0, 3.0])).tolist() == [3.0, 9.0]
    assert Intervals(2.0, 1.5, 0.0).half_width(np.array([0.0, 3.0])).tolist() == [3.0, 3.0]


def test_the_domain_ends_where_features_or_elements_are_strange(learning_set: LearningSet):
    domain = Domain.fit(learning_set.table, learning_set.elements)
    far = learning_set.table.iloc[:1] + 30.0
    near = learning_set.table.mean().to_frame().T
    assert domain.contains(near, [{"Li", "O"}]).tolist() == [True]
    assert domain.contains(far, [{"Li", "O"}]).tolist() == [False]
    assert domain.contains(near, [{"Li", "U"}]).tolist() == [False]


def test_the_domain_does_not_depend_on_units_and_takes_atomic_numbers(learning_set: LearningSet):
    table, rng = learning_set.table, np.random.default_rng(1)
    domain = Domain.fit(table, learning_set.elements)
    units = rng.uniform(0.1, 50.0, table.shape[1])
    other = Domain.fit(table * units + 7.0, learning_set.elements)
    np.testing.assert_allclose(other.distance(table * units + 7.0), domain.distance(table))
    known = sorted(domain.elements)
    symbols = [["Li", known[0]], ["Li", "U"], ["Li", known[-1]]]
    numbers = np.array([[ATOMIC_NUMBERS[symbol] for symbol in pair] for pair in symbols])
    rows = pd.concat([table.iloc[:2], table.iloc[:1] + 30.0])
    assert domain.contains(rows, symbols).tolist() == [True, False, False]
    assert domain.contains_numbers(rows.to_numpy(), numbers).tolist() == [True, False, False]


def test_without_a_spread_all_intervals_are_of_one_width():
    residual = np.random.default_rng(4).normal(size=4000)
    rule = Intervals.calibrate(residual, None)
    assert (rule.floor_mev, rule.per_spread) == (1.0, 0.0)
    # nine tenths of a normal distribution lie within 1.645 standard deviations
    assert rule.half_width(np.array([0.0, 9.0])) == pytest.approx([1.645, 1.645], abs=0.08)


def test_the_domain_holds_ninety_nine_of_a_hundred_it_has_learned_from():
    table = pd.DataFrame(np.random.default_rng(5).normal(size=(1000, 4)), columns=list("abcd"))
    domain = Domain.fit(table, [{"Li"}] * 1000)
    assert domain.contains(table, [{"Li"}] * 1000).sum() == 990


@pytest.mark.parametrize(("split", "n"), [("random", 10), ("composition", 10), ("representative", 1)])
def test_there_are_ten_folds_and_one_representative_split(learning_set: LearningSet, split: str, n: int):
    parts = list(folds(split, learning_set.target, learning_set.groups, seed=0))
    assert len(parts) == n == n_folds(split, learning_set.groups)
    if split == "representative":
        assert len(parts[0][1]) == 16  # a fifth of 80


def test_scores_are_what_their_names_say():
    table = pd.DataFrame({
        "algorithm": "a", "features": "all", "split": "random", "fold": [0, 0, 0, 1, 1],
        "band_center_mev": [10.0, 20.0, 30.0, 5.0, 15.0], "predicted_mev": [13.0, 20.0, 26.0, 5.0, 15.0],
    })  # fmt: skip
    (row,) = metrics(table)
    # errors of 3, 0 and -4 meV in the first fold, of nothing in the second
    assert row["n"] == 5
    assert row["r2"] == pytest.approx((1 - 25 / 200 + 1) / 2)
    assert row["mae_mev"] == pytest.approx(7 / 3 / 2)
    assert row["rmse_mev"] == pytest.approx((25 / 3) ** 0.5 / 2)
    assert row["mae_std_mev"] == pytest.approx(7 / 3 / 2**0.5)


def test_the_nearest_compounds_are_four_by_the_distance_of_the_domain(learning_set: LearningSet):
    domain = Domain.fit(learning_set.table, learning_set.elements)
    learned = Learned.from_features(domain, learning_set.table, learning_set.formulas, learning_set.target)
    unknown = learning_set.table.iloc[[3, 8]] + 0.2
    places, distances = learned.nearest(unknown)
    for row, (crystal, nearest, distance) in enumerate(zip(unknown.to_numpy(), places, distances, strict=True)):
        apart = (learning_set.table.to_numpy() - crystal) / domain.scale
        mahalanobis = np.sqrt([x @ domain.precision @ x for x in apart])
        assert nearest.tolist() == np.argsort(mahalanobis)[:4].tolist(), row
        np.testing.assert_allclose(distance, np.sort(mahalanobis)[:4])
    assert [part.shape for part in learned.nearest(unknown.iloc[:0])] == [(0, 4), (0, 4)]
    assert learned.nearest(unknown, n=99)[0].shape == (2, 80)
    assert learned.nearest(learning_set.table.iloc[[5]], n=1)[1].tolist() == [[0.0]]


def test_a_trained_model_is_read_back_and_has_its_card_and_metrics(learning_set: LearningSet, tmp_path: Path):
    model = train(learning_set, tmp_path, fits=[FOREST, Fit("extra_trees", "selected_in_fold")], final=FOREST)
    again = BandCenterModel.load(tmp_path)
    expected = model.predict(learning_set.table, learning_set.elements)
    pd.testing.assert_frame_equal(again.predict(learning_set.table, learning_set.elements), expected, rtol=1e-6)
    assert again.fingerprint == model.fingerprint
    scores = pd.DataFrame(json.loads((tmp_path / "metrics.json").read_text()))
    assert set(scores["split"]) == set(SPLITS)
    assert {"r2", "r2_std", "mae_mev", "mae_std_mev", "rmse_mev", "rmse_std_mev"} <= set(scores.columns)
    assert "meV" in (tmp_path / "card.md").read_text()
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".pkl", ".joblib", ".pickle")]
    assert expected["lower_mev"].le(expected["band_center_mev"]).all()
    important = pd.read_csv(tmp_path / "importances.csv")["feature"].head(2).tolist()
    assert set(important) == {feature_names()[0], feature_names()[3]}


def test_the_same_seed_gives_the_same_model(learning_set: LearningSet, tmp_path: Path):
    one, two = (train(learning_set, tmp_path / name, fits=[TREE], final=TREE) for name in "ab")
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.npz").unlink(), "model.npz is missing. Fit it again"),
        (lambda folder: (folder / "model.npz").write_bytes(b"rubbish"), "damaged"),
        (lambda folder: (folder / "model.json").write_text("{}"), "damaged"),
        (lambda folder: (folder / "model.json").write_text('{"format": 99}'), "format 99.*Fit it again"),
    ],
)
def test_a_damaged_model_says_how_to_refit(tmp_path: Path, damage: object, message: str):
    BandCenterModel.embedded().save(tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(ModelError, match=message):
        BandCenterModel.load(tmp_path)


def test_a_table_without_the_features_is_refused(learning_set: LearningSet):
    with pytest.raises(ModelError, match="lacks"):
        BandCenterModel.embedded().predict(learning_set.table[[]], learning_set.elements)


def test_too_few_compounds_are_refused(learning_set: LearningSet, tmp_path: Path):
    few = replace(learning_set, table=learning_set.table.iloc[:5], target=learning_set.target[:5])
    with pytest.raises(TableError, match="too few"):
        train(few, tmp_path, fits=[TREE], final=TREE)


def make_table(learning_set: LearningSet) -> pd.DataFrame:
    table = pd.DataFrame(0.0, index=learning_set.table.index, columns=feature_names())
    table[learning_set.table.columns] = learning_set.table
    return table.assign(formula=learning_set.formulas, band_center_mev=learning_set.target).reset_index()


def test_rows_that_cannot_be_learned_from_are_failures(learning_set: LearningSet, tmp_path: Path):
    table = make_table(learning_set).astype({"band_center_mev": object})
    table.loc[3, "band_center_mev"] = "n/a"
    table.loc[5, feature_names()[2]] = np.nan
    table.loc[7, "band_center_mev"] = np.inf
    table.to_csv(tmp_path / "t.csv", index=False)
    data, failures = read_learning_set(tmp_path / "t.csv")
    assert len(data.target) == 77
    assert {failure.material_id: failure.error for failure in failures} == {
        "m3": "NoBandCenter", "m5": "MissingFeature", "m7": "NoBandCenter",
    }  # fmt: skip
    assert feature_names()[2] in failures[1].message or feature_names()[2] in failures[0].message


def test_rows_whose_formula_is_not_one_are_failures(learning_set: LearningSet, tmp_path: Path):
    table = make_table(learning_set)
    table.loc[[2, 4, 6], "formula"] = ["Qq2O", "lithium", None]
    table.to_csv(tmp_path / "t.csv", index=False)
    data, failures = read_learning_set(tmp_path / "t.csv")
    assert len(data.target) == len(data.elements) == len(data.formulas) == 77
    assert {failure.material_id: failure.error for failure in failures} == {
        "m2": "UnknownElement", "m4": "BadFormula", "m6": "BadFormula",
    }  # fmt: skip


def test_crystals_without_a_center_are_failures_and_a_folder_will_do(tmp_path: Path):
    salt = Structure(np.eye(3) * 3, ["Na"], [[0, 0, 0]]).as_dict()
    centers = [20.0, None, 22.0, 23.0]
    records = [{"material_id": f"r{i}", "structure": salt, "band_center_mev": x} for i, x in enumerate(centers)]
    (tmp_path / "some.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    data, failures = read_learning_set(tmp_path)
    assert data.table.index.tolist() == ["r0", "r2", "r3"]
    assert [failure.material_id for failure in failures] == ["r1"]


def test_features_in_matminer_s_convention_are_refused(learning_set: LearningSet, tmp_path: Path):
    theirs = pd.DataFrame(0.0, index=range(80), columns=feature_names("matminer"))
    table = theirs.assign(formula=learning_set.formulas, band_center_mev=learning_set.target)
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match="matminer's convention"):
        read_learning_set(tmp_path / "t.csv")


def test_the_embedded_model_knows_its_learning_set(shared: Path):
    data, failures = read_learning_set(shared / "data" / "learning_set_1272.jsonl.gz")
    assert not failures
    predicted = BandCenterModel.embedded("study").predict(data.table, data.elements)
    # extra trees without bootstrap reproduce what they were fitted on
    np.testing.assert_allclose(predicted["band_center_mev"], data.target, atol=0.05)
    assert predicted["in_domain"].mean() > 0.98


def test_names_of_algorithms_and_feature_sets_are_documented():
    assert STUDY == ("extra_trees", "gradient_boosting", "xgboost", "decision_tree")
    assert FEATURE_SETS == ("all", "selected", "selected_in_fold")
    assert len(SCAN) >= 10


def test_a_repeated_name_in_a_table_of_features_is_refused(learning_set: LearningSet, tmp_path: Path):
    table = make_table(learning_set).replace({"material_id": {"m4": "m3"}}).astype({"band_center_mev": object})
    table.loc[3, "band_center_mev"] = "n/a"
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match=r"more than one row of 1 materials: for example m3"):
        read_learning_set(tmp_path / "t.csv")


def test_names_in_a_table_of_features_stay_as_they_are(learning_set: LearningSet, tmp_path: Path):
    table = make_table(learning_set)
    table.loc[:3, "material_id"] = ["NaN", "0012", "12", ""]
    table.to_csv(tmp_path / "t.csv", index=False)
    data, failures = read_learning_set(tmp_path / "t.csv")
    assert data.table.index[:4].tolist() == ["NaN", "0012", "12", "t-4"]
    assert not failures


def test_columns_that_are_not_numbers_are_failures(learning_set: LearningSet, tmp_path: Path):
    table = make_table(learning_set)
    table[feature_names()[1]] = [[1.0]] + [[2.0, 3.0]] * 79
    table.to_parquet(tmp_path / "t.parquet")
    data, failures = read_learning_set(tmp_path / "t.parquet")
    assert len(data.target) == 0
    assert {failure.error for failure in failures} == {"MissingFeature"}


SMALL = ExtraTreesRegressor(n_estimators=5, max_depth=4, random_state=0)


@pytest.fixture(scope="module")
def small_model(learning_set: LearningSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    ensemble = TreeEnsemble.from_estimator(SMALL.fit(learning_set.table, learning_set.target))
    domain = Domain.fit(learning_set.table, learning_set.elements)
    BandCenterModel(ensemble, tuple(learning_set.table.columns), Intervals(1.0, 1.0), domain).save(folder)
    return folder


def spoil(folder: Path, target: Path, **arrays: object) -> Path:
    """A model with other arrays; one that is None is left out."""
    with np.load(folder / "model.npz") as stored:
        merged = {**stored, **arrays}
    (target / "model.json").write_bytes((folder / "model.json").read_bytes())
    np.savez(target / "model.npz", **{name: array for name, array in merged.items() if array is not None})
    return target


def make_change(name: str, at: int, value: float) -> object:
    def change(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        array = arrays[name].copy()
        array.reshape(-1)[at] = value
        return {name: array}

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (make_change("left", 0, 10**6), "a child before itself or in another tree"),
        (make_change("left", 0, 0), "a child before itself"),
        (make_change("left", 1, 0), "a child before itself"),
        (make_change("right", 0, 10**6), "a child before itself or in another tree"),
        (make_change("right", 0, 1), "child of none, or of several"),
        (make_change("left", 0, -1), "child of none, or of several"),
        (make_change("roots", 0, 1), "do not increase"),
        (make_change("roots", 1, 0), "do not increase"),
        (make_change("roots", -1, 10**6), "do not increase"),
        (make_change("roots", 1, 3), "another tree|child of none"),
        (make_change("feature", 0, -7), "its feature has the number -7"),
        (make_change("feature", 0, 12), "names 12 features, and model.npz looks at 13"),
        (make_change("feature", 0, 32_000), "names 12 features"),
        (make_change("threshold", 0, np.nan), "not a finite number"),
        (make_change("value", 3, np.inf), "not a finite number"),
        (lambda a: {"base": np.array(np.nan)}, "not a finite number"),
        (lambda a: {"weight": None}, "weight.*missing"),
        (lambda a: {"left": None}, "left.*missing"),
        (lambda a: {"left": a["left"].astype(float)}, "left.*float64"),
        (lambda a: {"left": a["left"][:-1]}, "arrays have"),
        (lambda a: {"value": a["value"][:, None]}, "value.*shape"),
        (lambda a: {"roots": a["roots"][:0]}, "roots"),
        (lambda a: {name: a[name][:0] for name in ("left", "right", "feature", "value", "threshold")}, "nodes"),
        (make_change("domain_scale", 0, 0.0), "not positive"),
        (make_change("domain_mean", 0, np.nan), "domain mean"),
        (make_change("domain_precision", 1, 1e9), "precision"),
        (lambda a: {"domain_precision": -a["domain_precision"]}, "precision"),
        (lambda a: {"domain_precision": a["domain_precision"][:1]}, "precision"),
        (lambda a: {"domain_elements": np.array(["Li", "Qq"])}, "names the element 'Qq'"),
        (lambda a: {"domain_elements": np.array([3, 4])}, "domain elements"),
        (lambda a: {"domain_features": a["domain_features"][[0, 0, 1]]}, "domain features"),
    ],
)
def test_arrays_that_make_up_no_model_are_refused(small_model: Path, tmp_path: Path, change: object, message: str):
    with np.load(small_model / "model.npz") as stored:
        arrays = change(dict(stored))  # type: ignore[operator]
    with pytest.raises(ModelError, match=f"is damaged: .*({message}).*Fit it again"):
        BandCenterModel.load(spoil(small_model, tmp_path, **arrays))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("features", ["a", "b"], "names 2 features"),
        ("features", ["mean_Row"] * 12, "names 1 features"),
        ("features", "abcdefghijkl", "list of names"),
        ("features", None, "list of names"),
        ("intervals", {"factor": 1.0}, "intervals.*floor_mev"),
        ("intervals", {"factor": "wide", "floor_mev": 1.0, "per_spread": 1.0}, "intervals.*wide"),
        ("intervals", {"factor": -1.0, "floor_mev": 1.0, "per_spread": 1.0}, "intervals.*-1"),
        ("intervals", [1, 2, 3], "intervals"),
        ("provenance", [], "provenance"),
        ("format", [1], "has format"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    small_model: Path, tmp_path: Path, key: str, value: object, message: str
):
    spoil(small_model, tmp_path)
    record = json.loads((tmp_path / "model.json").read_text()) | {key: value}
    (tmp_path / "model.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match=f"{message}.*Fit it again"):
        BandCenterModel.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "3", "[" * 99_999, '{"format": 1', '{"format": 1, "format": 1}', "\xff"])
def test_a_manifest_that_is_not_a_record_is_refused(small_model: Path, tmp_path: Path, text: str):
    spoil(small_model, tmp_path)
    (tmp_path / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match="Fit it again"):
        BandCenterModel.load(tmp_path)


def test_whatever_is_changed_in_a_model_it_predicts_numbers_or_is_refused(
    small_model: Path, learning_set: LearningSet, tmp_path: Path
):
    """Compiled code that follows a wrong link would end the interpreter, and these tests with it."""
    random = np.random.default_rng(0)
    with np.load(small_model / "model.npz") as stored:
        arrays = dict(stored)
    n_refused = 0
    for _ in range(300):
        name = str(random.choice(["roots", "feature", "left", "right", "threshold", "value"]))
        array = arrays[name].copy()
        raw = array.view(np.uint8).reshape(-1)
        raw[random.integers(len(raw), size=random.integers(1, 4))] = random.integers(256)
        try:
            model = BandCenterModel.load(spoil(small_model, tmp_path, **{name: array}))
        except ModelError:
            n_refused += 1
            continue
        predictions = model.predict(learning_set.table, learning_set.elements)
        assert np.isfinite(predictions["band_center_mev"]).all()
    assert 100 < n_refused < 300


@pytest.mark.parametrize("name", ["model.npz", "model.json"])
def test_bytes_that_change_on_the_way_are_noticed_or_harmless(
    small_model: Path, learning_set: LearningSet, tmp_path: Path, name: str
):
    random = np.random.default_rng(1)
    raw = (small_model / name).read_bytes()
    spoil(small_model, tmp_path)
    for number in range(150):
        damaged = bytearray(raw)
        if number % 3 == 0:
            del damaged[random.integers(len(raw)) :]
        else:
            damaged[random.integers(len(raw))] ^= 1 << random.integers(8)
        (tmp_path / name).write_bytes(damaged)
        try:
            model = BandCenterModel.load(tmp_path)
            model.predict(learning_set.table, learning_set.elements)
        except ModelError:
            continue


def test_a_table_of_fewer_columns_than_the_trees_look_at_is_refused(learning_set: LearningSet):
    ensemble = TreeEnsemble.from_estimator(SMALL.fit(learning_set.table, learning_set.target))
    with pytest.raises(ModelError, match="look at 12 features"):
        ensemble.predict(learning_set.table.iloc[:, :3])
    with pytest.raises(ModelError, match="look at 12 features"):
        ensemble.predict(np.zeros(12))


def test_damaged_neighbors_are_refused(learning_set: LearningSet, tmp_path: Path):
    domain = Domain.fit(learning_set.table, learning_set.elements)
    Learned.from_features(domain, learning_set.table, learning_set.formulas, learning_set.target).save(tmp_path)
    raw = (tmp_path / "learned.parquet").read_bytes()
    assert Learned.beside(tmp_path, domain)
    table = pd.read_parquet(tmp_path / "learned.parquet")
    for damage in (raw[: len(raw) // 2], b"", b"PAR1"):
        (tmp_path / "learned.parquet").write_bytes(damage)
        with pytest.raises(ModelError, match=r"learned\.parquet is damaged"):
            Learned.beside(tmp_path, domain)
    for spoilt in (table.drop(columns="formula"), table.assign(x0="far"), table.assign(x0=np.nan), table.iloc[:0]):
        spoilt.to_parquet(tmp_path / "learned.parquet")
        with pytest.raises(ModelError, match=r"learned\.parquet is damaged"):
            Learned.beside(tmp_path, domain)


def write_small_data(path: Path, n: int = 24) -> Path:
    """Rocksalt crystals with made-up centers, and one record that cannot be used."""
    random = np.random.default_rng(5)
    pairs = [(c, a) for c in ("Li", "Na", "K", "Rb", "Mg", "Ca") for a in ("F", "Cl", "Br", "I", "O", "S")]
    records: list[dict[str, object]] = [
        {
            "material_id": f"{cation}{anion}",
            "structure": Structure.from_spacegroup(
                "Fm-3m", np.eye(3) * (4 + random.random()), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]]
            ).as_dict(),
            "band_center_mev": 20 + 30 * random.random(),
        }
        for cation, anion in pairs[:n]
    ]
    records.append({**records[0], "material_id": "unknown", "band_center_mev": None})
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


QUICK = {"recipe": "study", "algorithm": "decision_tree", "compare": False}
TABLES_ALONE = OutputSettings(figures=False, report=False)
ONE = ExecutorSettings(jobs=1)


@pytest.mark.long
def test_a_training_is_a_run(tmp_path: Path):
    data = write_small_data(tmp_path / "data.jsonl")
    settings = TrainSettings(str(data), description="Made up.", **QUICK)  # type: ignore[arg-type]
    result = phonolyte.train(settings, folder=tmp_path / "model", executor=ONE)
    assert result.n == 24
    assert [failure.material_id for failure in result.failures] == ["unknown"]
    assert set(result.scores["algorithm"]) == {"decision_tree"}
    folder = tmp_path / "model"
    record = read_record(folder)
    assert record is not None
    assert (record["command"], record["state"]) == ("train", "finished")
    assert record["settings"]["algorithm"] == "decision_tree"
    assert list(record["inputs"]) == [str(data)]
    assert pd.read_parquet(folder / "failures.parquet")["material_id"].tolist() == ["unknown"]
    assert "Made up." in (folder / "card.md").read_text()
    assert BandCenterModel.load(folder).fingerprint == result.model.fingerprint
    assert (folder / "report.html").is_file()
    assert (folder / "figures" / "importances.png").is_file()
    screened = phonolyte.screen(
        data, folder=tmp_path / "screen", model=folder, settings=ScreenSettings(max_center_mev=100),
        output=TABLES_ALONE, executor=ONE,
    )  # fmt: skip
    assert len(screened.table) == 25


@pytest.mark.long
def test_another_training_is_refused_and_the_same_one_gives_the_same_model(tmp_path: Path):
    data = write_small_data(tmp_path / "data.jsonl")
    same = TrainSettings(str(data), **QUICK)  # type: ignore[arg-type]
    more = {"folder": tmp_path / "model", "executor": ONE}
    first = phonolyte.train(same, output=TABLES_ALONE, **more)
    again = phonolyte.train(same, output=TABLES_ALONE, **more)
    assert again.model.fingerprint == first.model.fingerprint
    other = replace(same, seed=1)
    with pytest.raises(SettingsError, match=r"another run of phonolyte train, with other settings \(seed\)"):
        phonolyte.train(other, output=TABLES_ALONE, **more)
    write_small_data(data, n=25)
    with pytest.raises(SettingsError, match="with other inputs"):
        phonolyte.train(same, output=TABLES_ALONE, **more)
    replaced = phonolyte.train(other, output=replace(TABLES_ALONE, overwrite=True), **more)
    assert replaced.n == 25


@pytest.mark.long
def test_a_folder_of_crystals_can_be_learned_from(tmp_path: Path):
    (tmp_path / "in").mkdir()
    write_small_data(tmp_path / "in" / "data.jsonl")
    settings = TrainSettings(str(tmp_path / "in"), **QUICK)  # type: ignore[arg-type]
    result = phonolyte.train(settings, folder=tmp_path / "model", output=TABLES_ALONE, executor=ONE)
    assert result.n == 24


def test_a_training_that_cannot_be_leaves_no_folder(tmp_path: Path):
    with pytest.raises(TableError, match="does not exist"):
        phonolyte.train(TrainSettings(str(tmp_path / "missing.csv")), folder=tmp_path / "model")
    assert not (tmp_path / "model").exists()
    for change, message in (({"algorithm": "luck"}, "no algorithm 'luck'"), ({"features": "few"}, "feature set 'few'")):
        with pytest.raises(SettingsError, match=message):
            TrainSettings(**change)


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotient, "BOOSTING", quotient.BOOSTING | {"n_estimators": 20})


def write_own_data(path: Path, n: int = 40) -> Path:
    """Crystals of the learning set that comes with Phonolyte."""
    table = pd.read_parquet(crystals_file())
    table.iloc[:: len(table) // n].to_parquet(path)
    return path


@pytest.mark.long
@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("recipe", ["physical", "virtual"])
def test_the_physical_recipe_learns_volumes_families_and_intervals(tmp_path: Path, recipe: str):
    data = write_own_data(tmp_path / "data.parquet")
    settings = TrainSettings(str(data), recipe=recipe, compare=False)
    with ThreadPoolExecutor(1) as here:  # processes would not know of the few trees
        result = phonolyte.train(settings, folder=tmp_path / "model", output=TABLES_ALONE, executor=here)
    quotient = {"physical": "quotient", "virtual": "coarse_quotient"}[recipe]
    assert set(result.scores["algorithm"]) == {quotient, "gaussian_process", "boosted_quotient"}
    assert set(result.scores["split"]) == set(SPLITS)
    model = BandCenterModel.load(tmp_path / "model")
    assert model.fingerprint == result.model.fingerprint
    assert model.cells is not None
    assert model.families is not None
    assert model.cells.rescale is (recipe == "virtual")
    crystals = read(data).crystals[:4]
    large = [replace(crystal, lattice=1.25 * crystal.lattice) for crystal in crystals]
    known = replace(model, cells=replace(model.cells, elements=frozenset(SYMBOLS)))
    usual, widened = known.predict_crystals(crystals), known.predict_crystals(large)
    if recipe == "virtual":
        np.testing.assert_allclose(widened["band_center_mev"], usual["band_center_mev"], rtol=1e-5)
        assert set(widened["cell"]) == {"not known"}
    else:
        assert set(widened["cell"]) == {"large"}
        assert (widened["band_center_mev"] < usual["band_center_mev"]).all()
        relative = [(rows["upper_mev"] / rows["band_center_mev"]).to_numpy() for rows in (usual, widened)]
        assert (relative[1] > relative[0] + 0.1).all()
    card = (tmp_path / "model" / "card.md").read_text()
    assert "Gaussian process" in card
    assert "cluster left out" in " ".join(card.split())


def test_the_physical_recipe_needs_crystals(learning_set: LearningSet, tmp_path: Path):
    make_table(learning_set).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match="choose the study's models with --recipe study"):
        read_learning_set(tmp_path / "t.csv", sets=named_sets(BEST.set_names))


def test_recipes_are_chosen_by_name_or_by_an_algorithm():
    assert TrainSettings().chosen == "physical"
    assert TrainSettings(algorithm="xgboost").final == Fit("xgboost", "all")
    assert TrainSettings(features="selected").final == Fit("extra_trees", "selected")
    assert len(TrainSettings().fits) == 5  # the study's four beside it
    with pytest.raises(SettingsError, match="physical, virtual, study"):
        TrainSettings(recipe="alchemy")
    with pytest.raises(SettingsError, match="has its own algorithm"):
        TrainSettings(recipe="virtual", algorithm="xgboost")


@pytest.mark.parametrize("name", [name for name in EMBEDDED if name != "relaxed"])
def test_models_that_come_with_phonolyte_predict_known_compounds(name: str):
    crystals = [c for c in reference_compounds().crystals if c.material_id in ("ref-Li2S", "ref-LiI", "ref-MgO")]
    predicted = BandCenterModel.embedded(name).predict_crystals(crystals)
    # NCrystal's library has 47.8 meV for MgO, phonons of DFT (10.1038/sdata.2018.65) 37.1 for Li2S
    assert predicted.loc["ref-Li2S", "band_center_mev"] == pytest.approx(37.1, abs=1.5)
    assert predicted.loc["ref-MgO", "band_center_mev"] == pytest.approx(47.8, abs=2.5)
    assert predicted.loc["ref-LiI", "band_center_mev"] < predicted.loc["ref-Li2S", "band_center_mev"]
    assert predicted["in_domain"].all()


def test_there_is_no_other_embedded_model():
    with pytest.raises(ModelError, match="physical, relaxed, virtual, study"):
        BandCenterModel.embedded("magic")
