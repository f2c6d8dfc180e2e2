"""The regressors: the four of the founding study, and the usual ones they were chosen from."""

from __future__ import annotations

from typing import Any

import pandas as pd
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

from phonolyte.errors import SettingsError
from phonolyte.models.selection import CorrelationSelector

STUDY = ("extra_trees", "gradient_boosting", "xgboost", "decision_tree")
"""The four algorithms of the study (XT, GB, XGB, DT), with default hyperparameters."""

SCAN = (
    "random_forest", "hist_gradient_boosting", "bagging", "adaboost", "k_neighbours", "support_vector",
    "neural_network", "linear", "ridge", "bayesian_ridge", "lasso", "elastic_net",
)  # fmt: skip
"""The usual regressors of a preliminary scan; those that need it get standardised features."""

FEATURE_SETS = ("all", "selected", "selected_in_fold")
"""All features; those that the selection leaves on the whole table (as the study did: the test compounds
took part in the choice); those that it leaves on the training compounds of each fold."""


def regressor(algorithm: str, *, seed: int = 0) -> Any:
    """An unfitted regressor with default hyperparameters.

    Raises
    ------
    SettingsError
        For a name that is neither in :data:`STUDY` nor in :data:`SCAN`.
    """
    if algorithm == "xgboost":
        from xgboost import XGBRegressor  # a second to import: only where it is used

        return XGBRegressor(random_state=seed, n_jobs=1)
    makers: dict[str, Any] = {
        "extra_trees": lambda: ExtraTreesRegressor(random_state=seed),
        "gradient_boosting": lambda: GradientBoostingRegressor(random_state=seed),
        "decision_tree": lambda: DecisionTreeRegressor(random_state=seed),
        "random_forest": lambda: RandomForestRegressor(random_state=seed),
        "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(random_state=seed),
        "bagging": lambda: BaggingRegressor(random_state=seed),
        "adaboost": lambda: AdaBoostRegressor(random_state=seed),
        "k_neighbours": lambda: make_pipeline(StandardScaler(), KNeighborsRegressor()),
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


def pipeline(algorithm: str, features: str, table: pd.DataFrame, *, seed: int = 0) -> Pipeline:
    """Selection, if any, and regressor.

    Parameters
    ----------
    algorithm
        A name in :data:`STUDY` or :data:`SCAN`.
    features
        One of :data:`FEATURE_SETS`.
    table
        All compounds (n, n_features): "selected" looks at the whole of it.
    seed
        Of the regressor.
    """
    model = regressor(algorithm, seed=seed)
    if features == "all":
        return make_pipeline("passthrough", model)
    if features == "selected":
        names = CorrelationSelector().fit(table).get_feature_names_out()
        chosen = ColumnTransformer([("selected", "passthrough", list(names))], verbose_feature_names_out=False)
        return make_pipeline(chosen, model).set_output(transform="pandas")
    if features == "selected_in_fold":
        return make_pipeline(CorrelationSelector(), model).set_output(transform="pandas")
    raise SettingsError(f"there is no feature set {features!r}", fix=f"Choose among {', '.join(FEATURE_SETS)}.")
