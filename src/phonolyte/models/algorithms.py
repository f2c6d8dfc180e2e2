"""The regressors: the quotient model, the four of the founding study, and the usual ones they were chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import BayesianRidge, ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from phonolyte.arrays import Floats
from phonolyte.errors import SettingsError
from phonolyte.features import feature_names
from phonolyte.features.feature_sets import PHYSICAL_NAMES
from phonolyte.models.process import FAINTEST
from phonolyte.models.quotient import QuotientModel
from phonolyte.models.selection import CorrelationSelector
from phonolyte.models.trees import TreeEnsemble

STUDY = ("extra_trees", "gradient_boosting", "xgboost", "decision_tree")
"""The four algorithms of the study (XT, GB, XGB, DT), with default hyperparameters."""

SCAN = (
    "random_forest", "hist_gradient_boosting", "bagging", "adaboost", "k_neighbors", "support_vector",
    "neural_network", "linear", "ridge", "bayesian_ridge", "lasso", "elastic_net",
)  # fmt: skip
"""The usual regressors of a preliminary scan; those that need it get standardized features."""

FEATURE_SETS = ("all", "selected", "selected_in_fold")
"""All features; those that the selection leaves on the whole table (as the study did: the test compounds
took part in the choice); those that it leaves on the training compounds of each fold."""

PHYSICAL, WITH_MODES = "physical", "modes"
"""All columns of the feature sets of the quotient model; the same and the modes of relaxed crystals."""

SETS_OF: Mapping[str, tuple[str, ...]] = {PHYSICAL: PHYSICAL_NAMES, WITH_MODES: (*PHYSICAL_NAMES, "modes")}
"""Names of the feature sets of features; others have Magpie's."""


class Fit(NamedTuple):
    """An algorithm, and the features it learns from."""

    algorithm: str
    features: str

    @property
    def set_names(self) -> tuple[str, ...]:
        """Names of the feature sets that it needs."""
        return SETS_OF.get(self.features, ("magpie",))


BEST = Fit("quotient", PHYSICAL)
"""The default model."""

RELAXED = Fit("quotient", WITH_MODES)
"""The model of crystals that an engine has relaxed."""

VIRTUAL = Fit("coarse_quotient", PHYSICAL)
"""The model of virtual compounds."""

COARSE = 2e-2
"""Directions in which the learned compounds differ by less, in units of the length, are left out of the process of
virtual compounds: a third fewer coordinates. At predicted volumes that costs nothing, at given ones 1 % in error."""


class QuotientRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """:class:`phonolyte.models.quotient.QuotientModel` as a scikit-learn estimator.

    Parameters
    ----------
    faintest
        Smallest difference, in units of the length, of directions in the process.
    random_state
        Seed.

    Attributes
    ----------
    model_
        Fitted model.
    feature_importances_
        (m,) share of each column in the splits of the boosted trees.
    """

    def __init__(self, *, faintest: float = FAINTEST, random_state: int = 0) -> None:
        self.faintest = faintest
        self.random_state = random_state

    def fit(self, X: Any, y: Any, errors: Any = None) -> Self:
        """Learn from columns (n, m), in the order of the feature sets, and band centers (n,) in meV.

        `errors` (n,) are known relative errors of the centers.
        """
        known = None if errors is None else np.asarray(errors, dtype=float)
        self.model_ = QuotientModel.fit(
            np.asarray(X, dtype=np.float64), np.asarray(y, float), errors=known, faintest=self.faintest,
            seed=self.random_state,
        )  # fmt: skip
        self.feature_importances_ = self.model_.importances
        return self

    def predict(self, X: Any) -> Floats:
        """Band centers (n,) in meV."""
        return self.model_.predict(np.asarray(X, dtype=np.float64)).center_mev


def regressor(algorithm: str, *, seed: int = 0) -> Any:
    """An unfitted regressor with default hyperparameters.

    Raises
    ------
    SettingsError
        For an unknown name.
    """
    if algorithm == "xgboost":
        from xgboost import XGBRegressor  # a second to import: only where it is used

        return XGBRegressor(random_state=seed, n_jobs=1)
    makers: dict[str, Any] = {
        "quotient": lambda: QuotientRegressor(random_state=seed),
        "coarse_quotient": lambda: QuotientRegressor(faintest=COARSE, random_state=seed),
        "extra_trees": lambda: ExtraTreesRegressor(random_state=seed),
        "gradient_boosting": lambda: GradientBoostingRegressor(random_state=seed),
        "decision_tree": lambda: DecisionTreeRegressor(random_state=seed),
        "random_forest": lambda: RandomForestRegressor(random_state=seed),
        "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(random_state=seed),
        "bagging": lambda: BaggingRegressor(random_state=seed),
        "adaboost": lambda: AdaBoostRegressor(random_state=seed),
        "k_neighbors": lambda: make_pipeline(StandardScaler(), KNeighborsRegressor()),
        "support_vector": lambda: make_pipeline(StandardScaler(), SVR()),
        "neural_network": lambda: make_pipeline(StandardScaler(), MLPRegressor(max_iter=2000, random_state=seed)),
        "linear": lambda: make_pipeline(StandardScaler(), LinearRegression()),
        "ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
        "bayesian_ridge": lambda: make_pipeline(StandardScaler(), BayesianRidge()),
        "lasso": lambda: make_pipeline(StandardScaler(), Lasso(max_iter=10_000)),
        "elastic_net": lambda: make_pipeline(StandardScaler(), ElasticNet(max_iter=10_000)),
    }
    if algorithm not in makers:
        raise SettingsError(f"there is no algorithm {algorithm!r}", fix=f"Choose among {', '.join([*STUDY, *SCAN])}.")
    return makers[algorithm]()


def columns_of(features: str, table: pd.DataFrame) -> list[str]:
    """Columns of a table that one of the :data:`FEATURE_SETS`, or of :data:`SETS_OF`, is made of."""
    return list(table.columns) if features in SETS_OF else [name for name in feature_names() if name in table]


def pipeline(fit: Fit, table: pd.DataFrame, *, seed: int = 0) -> Pipeline:
    """Selection, if any, and regressor.

    Parameters
    ----------
    fit
        Algorithm and features.
    table
        All compounds (n, n_features): "selected" looks at the whole of it.
    seed
        Seed for the regressor.

    Raises
    ------
    SettingsError
        For unknown features.
    """
    model = regressor(fit.algorithm, seed=seed)
    if fit.features in ("all", *SETS_OF):
        return make_pipeline("passthrough", model)
    if fit.features == "selected":
        names = CorrelationSelector().fit(table).get_feature_names_out()
        chosen = ColumnTransformer([("selected", "passthrough", list(names))], verbose_feature_names_out=False)
        return make_pipeline(chosen, model).set_output(transform="pandas")
    if fit.features == "selected_in_fold":
        return make_pipeline(CorrelationSelector(), model).set_output(transform="pandas")
    raise SettingsError(f"there is no feature set {fit.features!r}", fix=f"Choose among {', '.join(FEATURE_SETS)}.")


def fit_pipeline(model: Pipeline, table: pd.DataFrame, target: Floats, errors: Floats | None = None) -> Pipeline:
    """Fit what :func:`pipeline` made; relative errors (n,) of the centers are for the quotient model alone."""
    name, regressor = model.steps[-1]
    known = errors is not None and isinstance(regressor, QuotientRegressor)
    fitted: Pipeline = model.fit(table, target, **({f"{name}__errors": errors} if known else {}))
    return fitted


def predictor_of(estimator: Any) -> TreeEnsemble | QuotientModel:
    """Fitted regressor as plain arrays.

    Raises
    ------
    ModelError
        For one that cannot be saved.
    """
    return estimator.model_ if isinstance(estimator, QuotientRegressor) else TreeEnsemble.from_estimator(estimator)


def predict_held_out(model: Pipeline, table: pd.DataFrame) -> dict[str, Floats]:
    """Predictions (n,) of a fitted pipeline, meV.

    Returns
    -------
    dict
        ``center``, ``spread`` (NaN where it means nothing), and of the quotient model its two parts.
    """
    regressor, values = model[-1], model[:-1].transform(table)
    if isinstance(regressor, QuotientRegressor):
        predicted = regressor.model_.predict(np.asarray(values, dtype=np.float64))
        parts = {"gaussian_process": predicted.process_mev, "boosted_quotient": predicted.boosted_mev}
        return {"center": predicted.center_mev, "spread": predicted.deviation_mev, **parts}
    center = regressor.predict(values)
    if isinstance(regressor, ExtraTreesRegressor):
        return {"center": center, "spread": TreeEnsemble.from_estimator(regressor).predict_with_spread(values)[1]}
    return {"center": center, "spread": np.full(len(center), np.nan)}
