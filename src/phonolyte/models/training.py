"""From a table of known band centers to a model with its scores, importances and card."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.inspection import permutation_importance

from phonolyte import __version__
from phonolyte.arrays import Floats, Ints
from phonolyte.errors import TableError
from phonolyte.features import FeatureSet, Physical, feature_names, featurize
from phonolyte.features.feature_sets import named_sets
from phonolyte.features.fractions import fraction_names
from phonolyte.models.algorithms import SETS_OF, Fit, columns_of, fit_pipeline, pipeline, predictor_of
from phonolyte.models.card import model_card
from phonolyte.models.cells import RARE, STEP, Cells, predict_left_out, well_learned
from phonolyte.models.center import BandCenterModel
from phonolyte.models.compounds import LearningSet
from phonolyte.models.domain import CONFIDENCE, Domain, Intervals
from phonolyte.models.families import Families
from phonolyte.models.nearest import Learned
from phonolyte.models.quotient import QuotientModel
from phonolyte.models.selection import CorrelationSelector
from phonolyte.models.trees import TreeEnsemble
from phonolyte.models.validation import SPLITS, cross_validate, folds, metrics, n_folds
from phonolyte.models.volume import VolumeModel, scale_to_volume

FLOOR_MEV = 1.5
"""What is added to the process' deviation before it is scaled to an interval."""

CLUSTER_CONFIDENCE = 0.92
"""Share of the compounds of left-out clusters that the calibration covers: a little more than 90 %, since clusters
differ more from each other than a sample of them shows."""


def train(
    data: LearningSet,
    folder: str | Path,
    *,
    fits: Sequence[Fit],
    final: Fit,
    seed: int = 0,
    description: str = "",
    geometry: str = "",
    rescale: bool = False,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> BandCenterModel:
    """Cross-validate the algorithms, fit the final one on everything, and write all of it into a folder.

    Parameters
    ----------
    data
        Learning set.
    folder
        Folder that receives ``metrics.json``, ``cv_predictions.parquet``, ``held_out.parquet``, ``importances.csv``,
        the model, ``learned.parquet`` and ``card.md``.
    fits
        Algorithms and features that are cross-validated, over every split of
        :data:`phonolyte.models.validation.SPLITS`.
    final
        Algorithm and features of the model that is kept; one of `fits`.
    seed
        Seed for folds and estimators: the same seed gives the same files.
    description
        Sentence about the data, for the card.
    geometry
        Where the cells come from, for the card: a crystal that is predicted should have one of the same kind.
    rescale
        Whether the model is to scale crystals to a predicted volume first; compounds are then learned at volumes
        that were predicted with their chemical systems left out.
    executor
        Executor of processes that maps over the fits.
    progress
        Called with the number of fits done since the last call; there are :func:`n_fits`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if len(data.target) < 20:
        raise TableError(
            f"{len(data.target)} compounds are too few",
            why="ten folds need at least 20",
            fix="Give more data.",
        )
    volumes = volumes_left_out(data) if "physical" in final.set_names else np.empty(0)
    if rescale:
        data = at_volumes(data, volumes, named_sets(final.set_names))
    predictions = cross_validate(
        data.table, data.target, data.groups, fits=fits, errors=data.errors, seed=seed, executor=executor,
        progress=progress,
    )  # fmt: skip
    scores = metrics(predictions)
    split = "cluster" if final.features in SETS_OF else "composition"
    split = split if n_folds(split, data.groups) else "random"
    intervals, held_out = _calibrate(data, final, predictions, split, seed=seed)
    fitted = _fit(data, final, seed=seed)
    domain = _domain_of(data, np.arange(len(data.target)))
    provenance = {
        "algorithm": final.algorithm,
        "feature_set": final.features,
        "seed": seed,
        "n": len(data.target),
        "data_sha256": data.sha256,
        "description": description,
        "geometry": geometry,
        "versions": {name: version(name) for name in ("scikit-learn", "numpy")} | {"phonolyte": __version__},
        "interval": _interval_scores(held_out, split),
        "scores": [row for row in scores if (row["algorithm"], row["features"]) == tuple(final)],
    }
    names = tuple(fitted[:-1].get_feature_names_out(columns_of(final.features, data.table)))
    predictor = predictor_of(fitted[-1])
    cells = _cells_of(data, predictor, volumes, rescale=rescale)
    model = BandCenterModel(
        predictor, names, intervals, domain, provenance, final.set_names, _families_of(data, final), cells
    )
    model.save(folder)
    Learned.from_features(domain, data.table, data.formulas, data.target).save(folder)
    (folder / "metrics.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    predictions.to_parquet(folder / "cv_predictions.parquet", index=False)
    held_out_table(held_out, data).to_parquet(folder / "held_out.parquet", index=False)
    importances(data, final, seed=seed).to_csv(folder / "importances.csv", index=False)
    (folder / "card.md").write_text(model_card(model, data.target), encoding="utf-8")
    return model


def n_fits(data: LearningSet, fits: Sequence[Fit]) -> int:
    """Number of fits in :func:`train`'s cross-validation."""
    return len(fits) * sum(n_folds(split, data.groups) for split in SPLITS)


def importances(data: LearningSet, final: Fit, *, seed: int = 0) -> pd.DataFrame:
    """Importance of each feature: of the trees, and by permutation on the held-out part of the representative split.

    Returns
    -------
    pandas.DataFrame
        ``feature, gini, permutation_mev, permutation_std_mev``: the permutation importance is the rise of the
        mean absolute error. Sorted by Gini importance (of boosted trees: gain), the largest first.
    """
    ((train_rows, test_rows),) = folds("representative", data.target, data.groups, seed=seed)
    table = data.table[columns_of(final.features, data.table)]
    known = None if data.errors is None else data.errors[train_rows]
    model = fit_pipeline(
        clone(pipeline(final, table, seed=seed)), table.iloc[train_rows], data.target[train_rows], known
    )
    names = model[:-1].get_feature_names_out(table.columns)
    transformed = model[:-1].transform(table.iloc[test_rows])
    permuted = permutation_importance(
        model[-1], transformed, data.target[test_rows],
        scoring="neg_mean_absolute_error", n_repeats=5, random_state=seed,
    )  # fmt: skip
    importance = pd.DataFrame(
        {
            "feature": names,
            "gini": model[-1].feature_importances_,
            "permutation_mev": permuted.importances_mean,
            "permutation_std_mev": permuted.importances_std,
        }
    )
    return importance.sort_values("gini", ascending=False, ignore_index=True)


def held_out_table(held_out: pd.DataFrame, data: LearningSet) -> pd.DataFrame:
    """Each compound as it was predicted with its relatives left out, with the interval: ``held_out.parquet``.

    Returns
    -------
    pandas.DataFrame
        ``material_id, formula, band_center_mev, predicted_mev, lower_mev, upper_mev, in_domain``.
    """
    width = held_out["half_width"].to_numpy(float)
    predicted = held_out["predicted"].to_numpy(float)
    return pd.DataFrame(
        {
            "material_id": data.table.index.astype(str),
            "formula": data.formulas,
            "band_center_mev": held_out["center"].to_numpy(float),
            "predicted_mev": predicted,
            "lower_mev": np.maximum(predicted - width, 0.0),
            "upper_mev": predicted + width,
            "in_domain": held_out["in_domain"].to_numpy(bool),
        }
    )


def _fit(data: LearningSet, final: Fit, *, seed: int) -> Any:
    table = data.table[columns_of(final.features, data.table)]
    model = clone(pipeline(final, table, seed=seed))
    regressor = model[-1]
    if "n_jobs" in regressor.get_params():
        regressor.set_params(n_jobs=os.cpu_count())
    return fit_pipeline(model, table, data.target, data.errors)


def _calibrate(
    data: LearningSet, final: Fit, predictions: pd.DataFrame, split: str, *, seed: int
) -> tuple[Intervals, pd.DataFrame]:
    """Intervals from compounds that no fit had seen, and neither their relatives."""
    of_final = (predictions[["algorithm", "features", "split"]] == (*final, split)).all(axis=1)
    rows = predictions[of_final].set_index("material_id").loc[data.table.index]
    held_out = pd.DataFrame(
        {
            "center": data.target, "predicted": rows["predicted_mev"].to_numpy(), "fold": rows["fold"].to_numpy(),
            "spread": rows["spread_mev"].to_numpy(), "in_domain": False,
        }
    )  # fmt: skip
    for train_rows, test_rows in folds(split, data.target, data.groups, seed=seed):
        table = data.table.iloc[test_rows]
        inside = _domain_of(data, train_rows).contains(table, [data.elements[row] for row in test_rows])
        families = _families_of(data, final, train_rows)
        if families is not None:
            inside &= families.contains(table[fraction_names()].to_numpy())
        held_out.loc[test_rows.tolist(), "in_domain"] = inside
    intervals = _calibrated(held_out, final)
    held_out["half_width"] = intervals.half_width(held_out["spread"].fillna(0.0).to_numpy())
    held_out["inside"] = _cross_coverage(held_out, final)
    return intervals, held_out


def _calibrated(held_out: pd.DataFrame, final: Fit) -> Intervals:
    residual, spread = (held_out["center"] - held_out["predicted"]).to_numpy(), held_out["spread"].to_numpy()
    if final.features in SETS_OF:
        return Intervals.calibrate(residual, spread, floor_mev=FLOOR_MEV, confidence=CLUSTER_CONFIDENCE)
    return Intervals.calibrate(residual, None if np.isnan(spread).any() else spread)


def _domain_of(data: LearningSet, rows: Ints) -> Domain:
    table = data.table.iloc[rows]
    table = table[[name for name in feature_names() if name in table]]
    selected = table[CorrelationSelector().fit(table).get_feature_names_out()]
    return Domain.fit(selected, [data.elements[row] for row in rows])


def _families_of(data: LearningSet, final: Fit, rows: Any = slice(None)) -> Families | None:
    if "elements" not in final.set_names:
        return None
    return Families.fit(data.table[fraction_names()].to_numpy()[rows])


def volumes_left_out(data: LearningSet) -> Floats:
    """Volume an atom (n,), cubic angstrom, of each compound, predicted with its chemical system left out.

    There are none where compounds are not ordered crystals, or of a single system.
    """
    parts = list(folds("chemical_system", data.target, data.groups, seed=0))
    if not data.all_ordered or not parts:
        return np.empty(0)
    return predict_left_out(data.crystals, parts)


def at_volumes(data: LearningSet, volumes: Floats, sets: Sequence[FeatureSet]) -> LearningSet:
    """The compounds at other volumes an atom (n,).

    Raises
    ------
    TableError
        When there are no volumes.
    """
    if not len(volumes):
        raise TableError(
            "volumes cannot be predicted",
            why="compounds must be ordered crystals of more than one chemical system",
            fix="Give such crystals, or leave the recipe out.",
        )
    crystals = [scale_to_volume(crystal, volume) for crystal, volume in zip(data.crystals, volumes, strict=True)]
    table, failures = featurize(crystals, sets=sets)
    if failures:
        raise TableError(f"{failures[0].material_id} has no features at its predicted volume", why=failures[0].message)
    return replace(data, table=table, crystals=crystals)


def _cells_of(
    data: LearningSet, predictor: TreeEnsemble | QuotientModel, volumes: Floats, *, rescale: bool
) -> Cells | None:
    """What the model knows of volumes, from those that were predicted."""
    if not len(volumes) or not isinstance(predictor, QuotientModel):
        return None
    volumes_of_cells = np.array([crystal.volume_a3 / len(crystal) for crystal in data.crystals])
    low, high = np.quantile(np.log(volumes_of_cells / volumes), (RARE, 1.0 - RARE)) if not rescale else (-1.0, 1.0)
    centers = []
    for factor in (1.0 - STEP, 1.0 + STEP):
        larger = [
            scale_to_volume(crystal, factor * v) for crystal, v in zip(data.crystals, volumes_of_cells, strict=True)
        ]
        physical, _ = featurize(larger, sets=(Physical(),))
        table = data.table.assign(**{str(name): physical[name] for name in physical})
        centers.append(predictor.predict_with_spread(table)[0])
    slope = float(np.median(np.log(centers[1] / centers[0]))) / np.log((1.0 + STEP) / (1.0 - STEP))
    volume_model = VolumeModel.fit(data.crystals)
    return Cells(volume_model, rescale, float(low), float(high), float(slope), well_learned(data.elements))


def _cross_coverage(held_out: pd.DataFrame, final: Fit) -> Any:
    """Whether each compound lies inside an interval that is calibrated on the other folds."""
    inside = np.zeros(len(held_out), dtype=bool)
    for fold in held_out["fold"].unique():
        here = (held_out["fold"] == fold).to_numpy()
        widths = _calibrated(held_out[~here], final).half_width(held_out["spread"].fillna(0.0).to_numpy()[here])
        inside[here] = (held_out["center"] - held_out["predicted"]).abs()[here] <= widths
    return inside


def _interval_scores(held_out: pd.DataFrame, split: str) -> dict[str, Any]:
    error = (held_out["center"] - held_out["predicted"]).abs()
    inside = held_out["in_domain"]
    return {
        "confidence": CONFIDENCE,
        "split": split,
        "coverage": float(held_out["inside"].mean()),
        "median_width_mev": float(2 * held_out["half_width"].median()),
        "mae_in_domain_mev": float(error[inside].mean()),
        "mae_out_of_domain_mev": float(error[~inside].mean()) if (~inside).any() else None,
        "n_out_of_domain": int((~inside).sum()),
    }
