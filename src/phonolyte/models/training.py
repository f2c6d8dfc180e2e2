"""From a table of known band centers to a model with its scores, importances and card."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.inspection import permutation_importance

from phonolyte import __version__
from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.formulas import composition_of
from phonolyte.errors import Failure, StructureError, TableError
from phonolyte.features import feature_names, featurize
from phonolyte.files import as_number, as_numbers, column_names, plain_name, read_table
from phonolyte.models.algorithms import FEATURE_SETS, STUDY, pipeline
from phonolyte.models.card import model_card
from phonolyte.models.center import BandCenterModel
from phonolyte.models.domain import CONFIDENCE, Domain, Intervals
from phonolyte.models.nearest import Learned
from phonolyte.models.selection import CorrelationSelector
from phonolyte.models.trees import TreeEnsemble
from phonolyte.models.validation import SPLITS, cross_validate, folds, metrics, n_folds
from phonolyte.structures import Crystal, read
from phonolyte.structures.reading import input_files
from phonolyte.structures.run_results import is_run

TARGET = "band_center_mev"
STAGE = "train"


@dataclass(frozen=True, slots=True, eq=False)
class LearningSet:
    """Compounds with known band centers: features (n, m), centers (n,) in meV, and what they are made of."""

    table: pd.DataFrame
    target: Floats
    formulas: list[str]
    elements: list[frozenset[str]]
    sha256: str = ""
    crystals: Sequence[Crystal] = ()
    """The crystals themselves; none where a table of features was given."""

    @property
    def groups(self) -> pd.DataFrame:
        """Columns ``composition`` and ``chemical_system``, for folds that keep relatives together."""
        systems = ["-".join(sorted(symbols)) for symbols in self.elements]
        return pd.DataFrame({"composition": self.formulas, "chemical_system": systems}, index=self.table.index)


def read_learning_set(path: str | Path, *, executor: Executor | None = None) -> tuple[LearningSet, list[Failure]]:
    """Read crystals with a ``band_center_mev`` each, a table of features that has that column, or a run of phonons.

    Crystals that phonons have shown to be unstable are left out: what remains of such a center says less.

    Raises
    ------
    TableError
        When there is nothing to learn from.
    """
    path = Path(path)
    if not path.exists():
        raise TableError(f"{path} does not exist", fix="Give the table to learn from.")
    used = sorted(path.glob("*.parquet")) if is_run(path) else input_files([path])
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in used)).hexdigest()
    features = _feature_table(path)
    if features is not None:
        return _from_features(features, path, digest)
    reading = read(path, executor=executor)
    labelled = [c for c in reading.crystals if _is_labelled(c)]
    unlabelled = [_not_labelled(c) for c in reading.crystals if not _is_labelled(c)]
    if len(labelled) < 2:
        raise TableError(
            f"{path.name} has {len(labelled)} compounds with a band center",
            why=f"{len(reading.crystals)} crystals were read, and {TARGET!r} must be a number among their properties",
            fix=f"Add {TARGET} (meV) to the records, or give a table of features that has it.",
        )
    table, failures = featurize(labelled, executor=executor)
    by_id = {crystal.material_id: crystal for crystal in labelled}
    kept = [by_id[name] for name in table.index]
    target = np.array([_number(c.properties[TARGET]) for c in kept], dtype=float)
    elements = [frozenset(c.symbols) for c in kept]
    formulas = [c.formula for c in kept]
    return LearningSet(table, target, formulas, elements, digest, kept), reading.failures + unlabelled + failures


def train(
    data: LearningSet,
    folder: str | Path,
    *,
    algorithms: Sequence[str] = STUDY,
    feature_sets: Sequence[str] = FEATURE_SETS,
    final: tuple[str, str] = ("extra_trees", "all"),
    seed: int = 0,
    description: str = "",
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> BandCenterModel:
    """Cross-validate the algorithms, fit the final one on everything, and write all of it into a folder.

    Parameters
    ----------
    data
        The learning set.
    folder
        Receives ``metrics.json``, ``cv_predictions.parquet``, ``held_out.parquet``, ``importances.csv``, the model,
        ``learned.parquet`` and ``card.md``.
    algorithms, feature_sets
        What is cross-validated, over every split of :data:`phonolyte.models.validation.SPLITS`.
    final
        Algorithm and feature set of the model that is kept.
    seed
        Of folds and estimators: the same seed gives the same files.
    description
        A sentence about the data, for the card.
    executor
        Maps over the fits; use processes.
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
    predictions = cross_validate(
        data.table, data.target, data.groups,
        algorithms=algorithms, feature_sets=feature_sets, seed=seed, executor=executor, progress=progress,
    )  # fmt: skip
    scores = metrics(predictions)
    intervals, held_out = _calibrate(data, final, seed=seed)
    fitted = _fit(data, final, seed=seed)
    domain = _domain_of(data, np.arange(len(data.target)))
    provenance = {
        "algorithm": final[0],
        "feature_set": final[1],
        "seed": seed,
        "n": len(data.target),
        "data_sha256": data.sha256,
        "description": description,
        "versions": {
            "phonolyte": __version__,
            "scikit-learn": version("scikit-learn"),
            "numpy": version("numpy"),
        },
        "interval": _interval_scores(held_out),
        "scores": [row for row in scores if (row["algorithm"], row["features"]) == final],
    }
    names = tuple(fitted[:-1].get_feature_names_out(data.table.columns))
    model = BandCenterModel(TreeEnsemble.of(fitted[-1]), names, intervals, domain, provenance)
    model.save(folder)
    Learned.of(domain, data.table, data.formulas, data.target).save(folder)
    (folder / "metrics.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    predictions.to_parquet(folder / "cv_predictions.parquet", index=False)
    held_out_table(held_out, data).to_parquet(folder / "held_out.parquet", index=False)
    importances(data, final, seed=seed).to_csv(folder / "importances.csv", index=False)
    (folder / "card.md").write_text(model_card(model, data.target), encoding="utf-8")
    return model


def n_fits(data: LearningSet, algorithms: Sequence[str], feature_sets: Sequence[str]) -> int:
    """Number of fits in :func:`train`'s cross-validation."""
    return len(algorithms) * len(feature_sets) * sum(n_folds(split, data.groups) for split in SPLITS)


def importances(data: LearningSet, final: tuple[str, str], *, seed: int = 0) -> pd.DataFrame:
    """Importance of each feature: Gini, and by permutation on the held-out part of the representative split.

    Returns
    -------
    pandas.DataFrame
        ``feature, gini, permutation_mev, permutation_std_mev``: the permutation importance is the rise of the
        mean absolute error. Sorted by Gini importance, the largest first.
    """
    ((train_rows, test_rows),) = folds("representative", data.target, data.groups, seed=seed)
    model = clone(pipeline(*final, data.table, seed=seed)).fit(data.table.iloc[train_rows], data.target[train_rows])
    names = model[:-1].get_feature_names_out(data.table.columns)
    transformed = model[:-1].transform(data.table.iloc[test_rows])
    permuted = permutation_importance(
        model[-1], transformed, data.target[test_rows],
        scoring="neg_mean_absolute_error", n_repeats=5, random_state=seed,
    )  # fmt: skip
    table = pd.DataFrame(
        {
            "feature": names,
            "gini": model[-1].feature_importances_,
            "permutation_mev": permuted.importances_mean,
            "permutation_std_mev": permuted.importances_std,
        }
    )
    return table.sort_values("gini", ascending=False, ignore_index=True)


def held_out_table(held_out: pd.DataFrame, data: LearningSet) -> pd.DataFrame:
    """Each compound as it was predicted with its composition left out, with the interval: ``held_out.parquet``.

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


def _fit(data: LearningSet, final: tuple[str, str], *, seed: int, rows: Any = slice(None)) -> Any:
    model = clone(pipeline(*final, data.table, seed=seed))
    regressor = model[-1]
    if "n_jobs" in regressor.get_params():
        regressor.set_params(n_jobs=os.cpu_count())
    return model.fit(data.table.iloc[rows], data.target[rows])


def _calibrate(data: LearningSet, final: tuple[str, str], *, seed: int) -> tuple[Intervals, pd.DataFrame]:
    """Intervals from compounds whose composition no fit had seen: new compounds have new compositions."""
    held_out = pd.DataFrame({"center": data.target, "predicted": np.nan, "spread": np.nan, "in_domain": False})
    split = "composition" if n_folds("composition", data.groups) else "random"
    for train_rows, test_rows in folds(split, data.target, data.groups, seed=seed):
        model = _fit(data, final, seed=seed, rows=train_rows)
        ensemble = TreeEnsemble.of(model[-1])
        part = model[:-1].transform(data.table.iloc[test_rows])
        held_out.loc[test_rows, ["predicted", "spread"]] = np.column_stack(ensemble.predict_with_spread(part))
        inside = _domain_of(data, train_rows).contains(
            data.table.iloc[test_rows], [data.elements[i] for i in test_rows]
        )
        held_out.loc[test_rows.tolist(), "in_domain"] = inside
    residual = (held_out["center"] - held_out["predicted"]).to_numpy()
    spread = held_out["spread"].to_numpy() if final[0] == "extra_trees" else None
    intervals = Intervals.calibrate(residual, spread)
    held_out["inside_half"] = _cross_coverage(residual, spread, seed=seed)
    held_out["half_width"] = intervals.half_width(held_out["spread"].to_numpy())
    return intervals, held_out


def _domain_of(data: LearningSet, rows: Ints) -> Domain:
    table = data.table.iloc[rows]
    selected = table[CorrelationSelector().fit(table).get_feature_names_out()]
    return Domain.fit(selected, [data.elements[row] for row in rows])


def _cross_coverage(residual: Floats, spread: Floats | None, *, seed: int) -> Any:
    """Whether each compound lies inside an interval calibrated on the other half of the compounds."""
    half = np.random.default_rng(seed).permutation(len(residual)) % 2 == 0
    inside = np.zeros(len(residual), dtype=bool)
    for one in (half, ~half):
        rule = Intervals.calibrate(residual[one], None if spread is None else spread[one])
        widths = rule.half_width(np.zeros((~one).sum()) if spread is None else spread[~one])
        inside[~one] = np.abs(residual[~one]) <= widths
    return inside


def _interval_scores(held_out: pd.DataFrame) -> dict[str, Any]:
    error = (held_out["center"] - held_out["predicted"]).abs()
    inside = held_out["in_domain"]
    return {
        "confidence": CONFIDENCE,
        "coverage": float(held_out["inside_half"].mean()),
        "median_width_mev": float(2 * held_out["half_width"].median()),
        "mae_in_domain_mev": float(error[inside].mean()),
        "mae_out_of_domain_mev": float(error[~inside].mean()) if (~inside).any() else None,
        "n_out_of_domain": int((~inside).sum()),
    }


def _feature_table(path: Path) -> pd.DataFrame | None:
    """A table that holds features already, or None."""
    if not plain_name(path).endswith((".csv", ".tsv", ".parquet")):
        return None
    if not set(feature_names()[:16]) <= set(column_names(path)):
        return None
    return read_table(path)


def _from_features(table: pd.DataFrame, path: Path, digest: str) -> tuple[LearningSet, list[Failure]]:
    missing = {TARGET, "formula"} - set(table.columns)
    if missing:
        raise TableError(f"{path.name} lacks {' and '.join(sorted(missing))}", fix="Add them to the table of features.")
    if set(feature_names("matminer")) <= set(table.columns):
        raise TableError(
            f"{path.name} has features in matminer's convention",
            why="predictions compute Magpie's, which differ",
            fix="Compute the table with: phonolyte features INPUT -o TABLE.",
        )
    names = [name for name in feature_names() if name in table]
    if "material_id" in table:
        table = table.set_index("material_id")
    rows = (f"{path.name.partition('.')[0]}-{number}" for number in range(1, len(table) + 1))
    table.index = pd.Index([name or row for name, row in zip(table.index.astype(str), rows, strict=True)])
    table.index.name = "material_id"
    repeated = table.index[table.index.duplicated()]
    if len(repeated):
        raise TableError(
            f"{path.name} has more than one row of {len(repeated.unique())} materials",
            why=f"for example {repeated[0]}",
            fix="Keep one row a material.",
        )
    table, unreadable = _with_elements(table, path)
    numbers = table[[*names, TARGET]].apply(as_numbers).replace([np.inf, -np.inf], np.nan)
    usable = numbers.notna().all(axis=1)
    failures = [
        _no_center(str(name), table[TARGET][name], str(path))
        if np.isnan(numbers[TARGET][name])
        else _no_feature(str(name), str(numbers.loc[name].isna().idxmax()), str(path))
        for name in table.index[~usable]
    ]
    kept = numbers[usable]
    formulas, elements = table["formula"][usable].astype(str).tolist(), table["elements"][usable].tolist()
    data = LearningSet(kept[names], kept[TARGET].to_numpy(float), formulas, elements, digest)
    return data, unreadable + failures


def _with_elements(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[Failure]]:
    """The rows that have a formula, with a column of the elements in it."""
    elements: list[frozenset[str] | None] = []
    failures = []
    for name, formula in table["formula"].astype(str).items():
        try:
            elements.append(frozenset(composition_of(formula)))
        except StructureError as error:
            elements.append(None)
            failures.append(Failure(str(name), STAGE, error.kind, str(error), str(path)))
    column = pd.Series(elements, index=table.index, dtype=object)
    return table.assign(elements=column)[column.notna()], failures


def _is_labelled(crystal: Crystal) -> bool:
    """Whether a crystal has a center to learn from, and was not found to be unstable."""
    properties = crystal.properties
    return _number(properties.get(TARGET)) is not None and properties.get("stable") is not False


def _not_labelled(crystal: Crystal) -> Failure:
    if _number(crystal.properties.get(TARGET)) is None:
        return _no_center(crystal.material_id, crystal.properties.get(TARGET), crystal.source)
    message = "it has imaginary modes, and what remains of such a center says less. Leave it out."
    return Failure(crystal.material_id, STAGE, "Unstable", message, crystal.source)


def _no_center(name: str, value: Any, source: str) -> Failure:
    message = f"there is no band center to learn from: {TARGET} is {value!r}. Give it in meV, or leave the record out."
    return Failure(name, STAGE, "NoBandCenter", message, source)


def _no_feature(name: str, column: str, source: str) -> Failure:
    message = f"{column} is no finite number. Compute the features again, or leave the row out."
    return Failure(name, STAGE, "MissingFeature", message, source)


def _number(value: Any) -> float | None:
    number = as_number(value)
    return number if np.isfinite(number) else None
