"""Cross-validation of the band center: random folds, and folds that keep relatives together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, StratifiedShuffleSplit

from phonolyte.arrays import Floats, Ints
from phonolyte.models.algorithms import Fit, columns_of, fit_pipeline, pipeline, predict_held_out

Split = Literal["random", "composition", "chemical_system", "cluster", "representative"]
SPLITS: tuple[Split, ...] = ("random", "composition", "chemical_system", "cluster", "representative")
"""How the compounds are split: at random (as the study did); with all polymorphs of one composition, all compounds of
one chemical system, or all of one cluster of similar compounds, in one fold (relatives leak otherwise); and one 80:20
split whose two parts have the same distribution of centers."""

FOLDS = 10


class Fold(NamedTuple):
    """One fit of a cross-validation and what it is to be fitted and tested on."""

    fit: Fit
    split: str
    number: int
    train: Ints
    test: Ints


def n_folds(split: str, groups: pd.DataFrame) -> int:
    """Number of folds: ten, or as many as there are groups; none for a single group."""
    if split == "representative":
        return 1
    n = FOLDS if split == "random" else min(FOLDS, groups[split].nunique())
    return n if n > 1 else 0


def folds(split: str, target: Floats, groups: pd.DataFrame, *, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Training and test rows of each fold.

    Parameters
    ----------
    split
        One of :data:`SPLITS`.
    target
        (n,) band centers in meV.
    groups
        Columns ``composition``, ``chemical_system`` and ``cluster``.
    seed
        Seed of the shuffling.
    """
    rows = np.arange(len(target))
    if split == "random":
        return iter(KFold(FOLDS, shuffle=True, random_state=seed).split(rows))
    if split == "representative":
        deciles = pd.qcut(target, min(10, len(target) // 5), labels=False, duplicates="drop")
        return iter(StratifiedShuffleSplit(1, test_size=0.2, random_state=seed).split(rows, deciles))
    n = n_folds(split, groups)
    return iter(GroupKFold(n, shuffle=True, random_state=seed).split(rows, groups=groups[split]) if n else ())


def cross_validate(
    table: pd.DataFrame,
    target: Floats,
    groups: pd.DataFrame,
    *,
    fits: Sequence[Fit],
    splits: Sequence[str] = SPLITS,
    errors: Floats | None = None,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Fit and test every algorithm on its features over every split; `errors` (n,) are relative ones of the centers.

    Returns
    -------
    pandas.DataFrame
        One row a held-out compound and fit: ``algorithm, features, split, fold, material_id,
        band_center_mev, predicted_mev, spread_mev``; the spread is null where it means nothing.
    """
    plan = [
        Fold(fit, split, number, train, test)
        for split in splits
        for number, (train, test) in enumerate(folds(split, target, groups, seed=seed))
        for fit in fits
    ]
    jobs = [(fold, table, target, errors, seed) for fold in plan]
    folds_done = []
    for scored in (executor.map if executor else map)(_held_out, jobs):
        folds_done.append(scored)
        if progress:
            progress(1)
    return pd.concat(folds_done, ignore_index=True)


def _held_out(job: tuple[Fold, pd.DataFrame, Floats, Floats | None, int]) -> pd.DataFrame:
    fold, table, target, errors, seed = job
    table = table[columns_of(fold.fit.features, table)]
    model = clone(pipeline(fold.fit, table, seed=seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # default hyperparameters are what is compared
        known = None if errors is None else errors[fold.train]
        fit_pipeline(model, table.iloc[fold.train], target[fold.train], known)
    predicted = predict_held_out(model, table.iloc[fold.test])
    common = {
        "features": fold.fit.features, "split": fold.split, "fold": fold.number,
        "material_id": table.index[fold.test], "band_center_mev": target[fold.test],
    }  # fmt: skip
    names = [fold.fit.algorithm, *(name for name in predicted if name not in ("center", "spread"))]
    parts = [
        pd.DataFrame({"algorithm": name, **common, "predicted_mev": predicted["center" if at == 0 else name],
                      "spread_mev": predicted["spread"] if at == 0 else np.nan})
        for at, name in enumerate(names)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def metrics(predictions: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean and standard deviation over the folds of R2, MAE and RMSE (meV), a row for each fit.

    A spread of nothing (the representative split is one fold) is None; a fold of one compound has no R2.
    """
    rows = []
    for (algorithm, features, split), fits in predictions.groupby(["algorithm", "features", "split"], sort=False):
        scores = pd.DataFrame([_scores(fold) for _, fold in fits.groupby("fold")])
        row = {"algorithm": algorithm, "features": features, "n": len(fits)}
        for name in ("r2", "mae_mev", "rmse_mev"):
            row[name] = _finite(scores[name].mean())
            row[name.replace("_mev", "_std_mev") if "_mev" in name else f"{name}_std"] = _finite(scores[name].std())
        rows.append(row | {"split": split})
    return rows


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _scores(fold: pd.DataFrame) -> dict[str, float]:
    truth, predicted = fold["band_center_mev"], fold["predicted_mev"]
    return {
        "r2": r2_score(truth, predicted) if len(fold) > 1 else np.nan,
        "mae_mev": mean_absolute_error(truth, predicted),
        "rmse_mev": root_mean_squared_error(truth, predicted),
    }
