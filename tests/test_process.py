from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, RationalQuadratic

from phonolyte import learning_set
from phonolyte.errors import ModelError
from phonolyte.features import featurize
from phonolyte.features.feature_sets import PHYSICAL
from phonolyte.models import likelihood, process
from phonolyte.models.likelihood import JITTER, Likelihood, Term
from phonolyte.models.process import GaussianProcess, Standard
from phonolyte.models.quotient import QuotientModel

TERMS = (Term("rational_quadratic", ("a", "b")), Term("linear", ("a", "b")), Term("rational_quadratic", ("c",)))
LAYOUT = {"a": slice(0, 3), "b": slice(3, 5), "c": slice(5, 9)}
START = np.log([0.8, 1.3, 0.9, 0.4, 1.1, 1.5, 0.02])


def make_toy(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    columns = random.normal(size=(n, 9))
    return columns, 5.0 + columns[:, 0] + 0.3 * np.sin(2 * columns[:, 6]) + 0.01 * random.normal(size=n)


def make_likelihood(columns: np.ndarray, target: np.ndarray, terms: tuple[Term, ...] = TERMS) -> Likelihood:
    blocks = {name: columns[:, where] for name, where in LAYOUT.items()}
    return Likelihood(terms, blocks, (target - target.mean()) / target.std())


def test_the_gradient_is_that_of_the_likelihood():
    of_logs = make_likelihood(*make_toy(40))
    steps = 1e-5 * np.eye(len(START))
    numeric = [(of_logs.loss(START + step)[0] - of_logs.loss(START - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(of_logs.loss(START)[1], numeric, rtol=1e-5, atol=1e-8)


def test_with_given_hyperparameters_it_is_that_of_scikit_learn(monkeypatch: pytest.MonkeyPatch):
    columns, target = make_toy(60)
    terms, new = (Term("rational_quadratic", ("a",)), Term("linear", ("a",))), make_toy(15, seed=1)[0][:, :3]
    variance, length, slope, noise = 0.8, 1.3, 0.4, 0.02
    logs = np.log([variance, length, slope, noise])
    monkeypatch.setattr(process, "search_hyperparameters", lambda *_, **__: logs)
    ours = GaussianProcess.fit(columns[:, :3], target, layout={"a": LAYOUT["a"]}, terms=terms)
    # distances are per column, of three here
    kernel = ConstantKernel(variance) * RationalQuadratic(length * 3**0.5, 2.0) + ConstantKernel(
        slope / 3
    ) * DotProduct(0.0, "fixed")
    theirs = GaussianProcessRegressor(kernel, alpha=noise + JITTER, optimizer=None, normalize_y=True)
    standard = Standard.fit(columns[:, :3])
    mean, deviation = theirs.fit(standard.apply(columns[:, :3]), target).predict(standard.apply(new), return_std=True)
    predicted = ours.predict(new)
    np.testing.assert_allclose(predicted[0], mean, rtol=2e-6)
    # with every point in the basis the variance is exact
    np.testing.assert_allclose(predicted[1], np.sqrt(deviation**2 + noise * target.std() ** 2), rtol=1e-3)
    value = make_likelihood(standard.apply(columns[:, :3]), target, terms).loss(logs)[0]
    assert value == pytest.approx(-theirs.log_marginal_likelihood_value_ / 60, rel=1e-6)


def test_known_errors_are_noise_of_their_points(monkeypatch: pytest.MonkeyPatch):
    """Compare with scikit-learn, which takes a variance for each point."""
    columns, target = make_toy(60)
    columns, new = columns[:, :3], make_toy(15, seed=1)[0][:, :3]
    errors = np.where(np.arange(60) % 3 == 0, np.linspace(0.0, 2.0, 60), 0.0)
    variance, length, noise = 0.8, 1.3, 0.02
    logs = np.log([variance, length, 1e-5, noise])
    monkeypatch.setattr(process, "search_hyperparameters", lambda *_, **__: logs)
    terms = (Term("rational_quadratic", ("a",)), Term("linear", ("a",)))
    ours = GaussianProcess.fit(columns, target, layout={"a": LAYOUT["a"]}, terms=terms, errors=errors)
    kernel = ConstantKernel(variance) * RationalQuadratic(length * 3**0.5, 2.0) + ConstantKernel(1e-5 / 3) * DotProduct(
        0.0, "fixed"
    )
    alpha = noise + JITTER + (errors / target.std()) ** 2
    theirs = GaussianProcessRegressor(kernel, alpha=alpha, optimizer=None, normalize_y=True)
    standard = Standard.fit(columns)
    mean, deviation = theirs.fit(standard.apply(columns), target).predict(standard.apply(new), return_std=True)
    predicted = ours.predict(new)
    np.testing.assert_allclose(predicted[0], mean, rtol=2e-6)
    np.testing.assert_allclose(predicted[1], np.sqrt(deviation**2 + noise * target.std() ** 2), rtol=1e-3)
    plain = GaussianProcess.fit(columns, target, layout={"a": LAYOUT["a"]}, terms=terms)
    assert np.abs(plain.predict(new)[0] - mean).max() > 0.01  # they matter here


def test_the_search_does_not_take_known_errors_for_noise():
    columns, target = make_toy(60)
    errors = np.where(np.arange(60) % 4 == 0, 1.5, 0.0)
    target = target + errors * np.random.default_rng(2).normal(size=60)
    blocks = {name: Standard.fit(columns).apply(columns)[:, where] for name, where in LAYOUT.items()}
    scaled, known = (target - target.mean()) / target.std(), (errors / target.std()) ** 2
    of_logs = Likelihood(TERMS, blocks, scaled, known)
    steps = 1e-5 * np.eye(len(START))
    numeric = [(of_logs.loss(START + step)[0] - of_logs.loss(START - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(of_logs.loss(START)[1], numeric, rtol=1e-5, atol=1e-8)
    unaware = Likelihood(TERMS, blocks, scaled).climb(START, 100)
    assert of_logs.climb(START, 100)[-1] < unaware[-1]


@pytest.mark.parametrize("sample", [pytest.param(500, marks=pytest.mark.long), 50])
def test_the_search_raises_the_likelihood_and_the_process_predicts_new_points(
    monkeypatch: pytest.MonkeyPatch, sample: int
):
    monkeypatch.setattr(likelihood, "SAMPLE", sample)
    (columns, target), (new, truth) = make_toy(120), make_toy(60, seed=1)
    of_logs = make_likelihood(Standard.fit(columns).apply(columns), target)
    logs = of_logs.climb(START, 100)
    assert of_logs.loss(logs)[0] < of_logs.loss(START)[0] - 0.1
    fitted = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS)
    mean, deviation = fitted.predict(new)
    assert np.abs(mean - truth).mean() < 0.15 * truth.std()
    assert 0.75 < np.mean(np.abs(mean - truth) < 1.645 * deviation) <= 1.0
    assert fitted.predict(50.0 + new)[1].min() > 1.2 * deviation.max()


def test_what_no_learned_point_has_widens_the_deviation():
    columns, target = make_toy(60)
    columns[:, 8] = 0.0
    fitted = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS, fixed=("c",))
    strange = columns.copy()
    strange[:, 8] = 9.0
    assert (fitted.predict(strange)[1] > 1.2 * fitted.predict(columns)[1]).all()


def test_fewer_points_in_the_basis_give_a_wider_deviation_and_the_same_mean(monkeypatch: pytest.MonkeyPatch):
    (columns, target), new = make_toy(90), make_toy(40, seed=1)[0]
    whole = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS)
    monkeypatch.setattr(process, "BASIS", 20)
    few = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS)
    np.testing.assert_allclose(few.predict(new)[0], whole.predict(new)[0], rtol=1e-5)
    assert (few.predict(new)[1] > 0.999 * whole.predict(new)[1]).all()
    assert (few.predict(new)[1] > 1.02 * whole.predict(new)[1]).any()


def test_faint_directions_are_left_out_and_hardly_matter():
    (columns, target), (new, truth) = make_toy(90), make_toy(40, seed=1)
    columns[:, 8], new[:, 8] = columns[:, 7] + 0.01 * columns[:, 8], new[:, 7] + 0.01 * new[:, 8]
    whole = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS, faintest=0.0)
    coarse = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS, faintest=0.02)
    assert coarse.starts[-1] < whole.starts[-1]
    assert np.abs(coarse.predict(new)[0] - whole.predict(new)[0]).max() < 0.1 * truth.std()


def test_a_row_is_predicted_alike_alone_and_among_others():
    columns, target = make_toy(50)
    fitted = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS)
    together = fitted.predict(columns)
    for row in range(7):
        mean, deviation = fitted.predict(columns[row : row + 1])
        np.testing.assert_allclose(mean, together[0][[row]])
        np.testing.assert_allclose(deviation, together[1][[row]])
    assert [part.shape for part in fitted.predict(columns[:0])] == [(0,), (0,)]


def test_saved_processes_predict_the_same_and_damaged_ones_are_refused():
    columns, target = make_toy(50)
    fitted = GaussianProcess.fit(columns, target, layout=LAYOUT, terms=TERMS)
    arrays = fitted.arrays()
    again = GaussianProcess.from_arrays(arrays)
    for ours, theirs in zip(fitted.predict(columns), again.predict(columns), strict=True):
        np.testing.assert_array_equal(theirs, ours)
    starts = arrays["process_starts"]
    damages: list[dict[str, Any]] = [
        {name: array[:-1]} for name, array in arrays.items() if name not in ("process_mean", "process_scale")
    ] + [
        {"process_starts": starts + 1},
        {"process_starts": starts[::-1].copy()},
        {"process_starts": starts.astype(float)},
        {"process_variances": -arrays["process_variances"]},
        {"process_scale": np.zeros_like(arrays["process_scale"])},
        {"process_noise": np.array([0.0, 1.0, 1.0])},
        {"process_points": np.full_like(arrays["process_points"], np.nan)},
        {"process_weights": arrays["process_weights"].astype(str)},
        {"process_basis": None},
    ]
    for damage in damages:
        with pytest.raises(ModelError):
            GaussianProcess.from_arrays({**arrays, **damage})


def test_a_column_that_never_changes_is_left_out():
    values = np.column_stack([np.arange(5.0), np.full(5, 0.1)])
    standardized = Standard.fit(values).apply(values + np.array([0.0, 7.0]))
    assert (standardized[:, 1] == 0).all()
    assert standardized[:, 0].std() == pytest.approx(1.0)


@pytest.fixture(scope="module")
def crystals() -> tuple[np.ndarray, np.ndarray]:
    chosen = learning_set.crystals().crystals[::15]
    table, failures = featurize(chosen, sets=PHYSICAL)
    assert not failures
    return table.to_numpy(float), np.array([float(crystal.properties["band_center_mev"]) for crystal in chosen])


def test_centers_of_new_crystals_are_predicted_and_the_unit_is_theirs(crystals: tuple[np.ndarray, np.ndarray]):
    values, center = crystals
    learned, new = np.arange(len(center)) % 4 > 0, np.arange(len(center)) % 4 == 0
    model = QuotientModel.fit(values[learned], center[learned])
    predicted = model.predict(values[new])
    by_mean = np.abs(center[learned].mean() - center[new]).mean()
    assert np.abs(predicted.center_mev - center[new]).mean() < 0.2 * by_mean
    np.testing.assert_allclose(predicted.center_mev**2, predicted.process_mev * predicted.boosted_mev)
    assert (predicted.deviation_mev > 0).all()
    doubled = QuotientModel.fit(values[learned], 2.0 * center[learned]).predict(values[new])
    np.testing.assert_allclose(doubled.process_mev, 2.0 * predicted.process_mev, rtol=1e-3)


def test_a_saved_model_predicts_the_same_and_a_damaged_one_is_refused(crystals: tuple[np.ndarray, np.ndarray]):
    values, center = crystals
    model = QuotientModel.fit(values, center, seed=3)
    arrays = model.arrays()
    again = QuotientModel.from_arrays(arrays).predict(values)
    np.testing.assert_allclose(again.center_mev, model.predict(values).center_mev, rtol=1e-6)
    columns = {name: array[:-1] for name, array in arrays.items() if name in ("process_mean", "process_scale")}
    for damage in (columns, {"feature": arrays["feature"] + 1000}, {"process_points": None}):
        with pytest.raises(ModelError):
            QuotientModel.from_arrays({**arrays, **damage})


def test_modes_are_columns_of_their_own(crystals: tuple[np.ndarray, np.ndarray]):
    values, center = crystals
    random = np.random.default_rng(5)
    mean = center * np.exp(0.02 * random.normal(size=len(center)))  # nearly the center itself
    modes = np.column_stack([values, mean, 1.2 * mean, np.full(len(center), 16.0)])
    learned, new = np.arange(len(center)) % 4 > 0, np.arange(len(center)) % 4 == 0
    plain, better = (QuotientModel.fit(table[learned], center[learned]) for table in (values, modes))
    assert better.n_features == plain.n_features + 3
    assert len(better.importances) == better.n_features
    assert better.importances.sum() == pytest.approx(1.0)
    errors = [
        np.abs(model.predict(table[new]).process_mev - center[new]).mean()
        for model, table in ((plain, values), (better, modes))
    ]
    assert errors[1] < 0.7 * errors[0]
    again = QuotientModel.from_arrays(better.arrays()).predict(modes)
    np.testing.assert_allclose(again.center_mev, better.predict(modes).center_mev, rtol=1e-6)
