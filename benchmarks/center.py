"""How well the band center of new compounds is predicted, by every informative split.

Usage: python benchmarks/center.py [CRYSTALS.parquet] [--seed 0] [--parts PART ...]

Parts: systems (the study's four algorithms in the same folds), clusters (with intervals), virtual (volumes are
predicted, too), elements (one left out), curve (of fewer compounds), polymorphs (pairs, both left out), ncrystal (an
independent set), families (mean absolute error of each), ion (centers of mobile ions in NCrystal's library, systems
left out). All of them by default; the others keep their last results.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import RESULTS, SHARED, keep

from phonolyte.features import featurize
from phonolyte.features.feature_sets import PHYSICAL
from phonolyte.features.fractions import ElementFractions
from phonolyte.features.ion_sites import IonSites, mobile_ion
from phonolyte.learning_set import ion_pairs
from phonolyte.models.algorithms import BEST, STUDY, VIRTUAL, Fit
from phonolyte.models.compounds import LearningSet, read_learning_set
from phonolyte.models.domain import Intervals
from phonolyte.models.ion import IonCenterModel
from phonolyte.models.quotient import QuotientModel
from phonolyte.models.training import CLUSTER_CONFIDENCE, FLOOR_MEV, at_volumes, volumes_left_out
from phonolyte.models.validation import cross_validate, folds
from phonolyte.structures.families import family

LEFT_OUT = ("Li", "O", "S", "F", "Cl", "Br", "I", "N", "H")
SHARES = (0.125, 0.25, 0.5, 1.0)


def main() -> None:
    parts: dict[str, Callable[[LearningSet, int], Any]] = {
        "systems": score_systems, "clusters": score_clusters, "virtual": score_virtual, "elements": score_elements,
        "curve": compute_learning_curve, "polymorphs": score_polymorphs, "ncrystal": score_ncrystal,
        "families": score_families, "ion": score_ion,
    }  # fmt: skip
    parser = argparse.ArgumentParser()
    parser.add_argument("crystals", nargs="?", default=SHARED / "data" / "learning_set_1265_current_geometry.parquet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="*", choices=list(parts), default=list(parts))
    options = parser.parse_args()
    data, failures = read_learning_set(Path(options.crystals), sets=PHYSICAL)
    assert not failures
    path = RESULTS / "center.json"
    earlier = json.loads(path.read_text()) if path.is_file() else {}
    result = {name: earlier[name] for name in parts if name in earlier}
    for name in options.parts:
        result[name] = parts[name](data, options.seed)
        keep("center", {"compounds": len(data.target), "seed": options.seed, **result}, "scikit-learn", "xgboost-cpu")


def predict_left_out(data: LearningSet, split: str, seed: int, fits: tuple[Fit, ...] = (BEST,)) -> pd.DataFrame:
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as executor:
        return cross_validate(
            data.table, data.target, data.groups, fits=fits, splits=(split,), seed=seed, executor=executor
        )


def score_systems(data: LearningSet, seed: int) -> dict[str, Any]:
    predictions = predict_left_out(
        data, "chemical_system", seed, (BEST, *(Fit(algorithm, "all") for algorithm in STUDY))
    )
    return {str(name): compute_scores(rows, data) for name, rows in predictions.groupby("algorithm", sort=False)}


def score_clusters(data: LearningSet, seed: int) -> dict[str, Any]:
    rows = predict_left_out(data, "cluster", seed)
    rows = rows[rows["algorithm"] == BEST.algorithm]
    error, spread = (rows["predicted_mev"] - rows["band_center_mev"]).to_numpy(), rows["spread_mev"].to_numpy()
    half_width_mev = np.empty(len(rows))
    for fold in rows["fold"].unique():
        in_fold = (rows["fold"] == fold).to_numpy()
        intervals = Intervals.calibrate(
            error[~in_fold], spread[~in_fold], floor_mev=FLOOR_MEV, confidence=CLUSTER_CONFIDENCE
        )
        half_width_mev[in_fold] = intervals.half_width(spread[in_fold])
    lithium = has_element(data, "Li", rows)
    return compute_scores(rows, data) | {
        "coverage": compute_share(np.abs(error) <= half_width_mev),
        "coverage_lithium": compute_share((np.abs(error) <= half_width_mev)[lithium]),
        "median_width_mev": round_value(2 * np.median(half_width_mev)),
        "median_width_lithium_mev": round_value(2 * np.median(half_width_mev[lithium])),
    }  # fmt: skip


def score_virtual(data: LearningSet, seed: int) -> dict[str, Any]:
    """Score the model of virtual compounds: volumes are predicted, too, each with its chemical system left out."""
    predicted = volumes_left_out(data)
    volumes = np.array([crystal.volume_a3 / len(crystal) for crystal in data.crystals])
    scaled = at_volumes(data, predicted, PHYSICAL)
    rows = predict_left_out(scaled, "chemical_system", seed, (VIRTUAL,))
    result = compute_scores(rows[rows["algorithm"] == VIRTUAL.algorithm], data)
    return result | {"volume_mae_percent": round_value(100 * np.abs(np.log(volumes / predicted)).mean())}


def score_elements(data: LearningSet, seed: int) -> dict[str, Any]:
    """Score predictions of compounds with an element by models that never saw the element."""
    errors_by_element = {}
    for symbol in LEFT_OUT:
        has_symbol = np.array([symbol in of_compound for of_compound in data.elements])
        values = data.table.to_numpy(float)
        model = QuotientModel.fit(values[~has_symbol], data.target[~has_symbol], seed=seed)
        errors_by_element[symbol] = compute_errors(
            model.predict(values[has_symbol]).center_mev, data.target[has_symbol]
        )
    return errors_by_element


def compute_learning_curve(data: LearningSet, seed: int) -> dict[str, Any]:
    """Compute errors in system folds of models that learn from a share of the other compounds."""
    values, random, errors_by_size = data.table.to_numpy(float), np.random.default_rng(seed), {}
    for share in SHARES:
        predicted, n = np.full(len(values), np.nan), []
        for train, test in folds("chemical_system", data.target, data.groups, seed=seed):
            rows = random.permutation(train)[: round(share * len(train))]
            n.append(len(rows))
            predicted[test] = QuotientModel.fit(values[rows], data.target[rows], seed=seed).predict(values[test])[0]
        errors_by_size[str(round(np.mean(n)))] = compute_errors(predicted, data.target)
    return errors_by_size


def score_polymorphs(data: LearningSet, seed: int) -> dict[str, Any]:
    """Count how often the sign of the difference of two polymorphs is right; their composition is left out."""
    rows = predict_left_out(data, "composition", seed)
    rows = rows[rows["algorithm"] == BEST.algorithm].set_index("material_id")
    formulas = pd.Series(data.formulas, index=data.table.index)
    pairs = [pair for _, names in formulas.groupby(formulas) for pair in combinations(names.index, 2)]
    known, predicted = (
        np.array([rows[name][a] - rows[name][b] for a, b in pairs]) for name in ("band_center_mev", "predicted_mev")
    )
    right = np.sign(known) == np.sign(predicted)
    return {
        str(least): {
            "pairs": int((np.abs(known) >= least).sum()),
            "right": compute_share(right[np.abs(known) >= least]),
        }
        for least in (0.0, 0.5, 1.0, 2.0)
    }


def score_ncrystal(data: LearningSet, seed: int) -> dict[str, Any]:
    """Score centers of NCrystal's library, of compositions that were not learned."""
    from phonolyte.sources.ncrystal import NCrystal

    entries = [entry for page in NCrystal().pages("") for entry in page.entries if entry.crystal and entry.dos]
    crystals = {
        entry.crystal.material_id: (entry.crystal, entry.dos.band_center_mev)
        for entry in entries
        if entry.crystal.formula not in data.formulas
    }
    table, failures = featurize([crystal for crystal, _ in crystals.values()], sets=PHYSICAL)
    known = np.array([crystals[str(name)][1] for name in table.index])
    model = QuotientModel.fit(data.table.to_numpy(float), data.target, seed=seed)
    predicted = model.predict(table.to_numpy(float)).center_mev
    elemental = np.array([len(set(crystals[str(name)][0].symbols)) == 1 for name in table.index])
    hydrogen = np.array(["H" in crystals[str(name)][0].symbols for name in table.index])
    return {
        "without_features": len(failures), "all": compute_errors(predicted, known),
        "compounds": compute_errors(predicted[~elemental], known[~elemental]),
        "compounds_without_hydrogen": compute_errors(predicted[~elemental & ~hydrogen], known[~elemental & ~hydrogen]),
        "elements": compute_errors(predicted[elemental], known[elemental]),
    }  # fmt: skip


def score_families(data: LearningSet, seed: int) -> dict[str, Any]:
    rows = predict_left_out(data, "chemical_system", seed)
    rows = rows[rows["algorithm"] == BEST.algorithm].set_index("material_id").loc[data.table.index]
    error = (rows["predicted_mev"] - rows["band_center_mev"]).abs().to_numpy()
    of_crystal = np.array([family(crystal) for crystal in data.crystals])
    classes = {name: of_crystal == name for name in np.unique(of_crystal)}
    classes |= {f"with {symbol}": has_element(data, symbol) for symbol in ("H", "B", "C", "N", "F", "Cl", "Br", "I")}
    return {
        str(name): {"n": int(chosen.sum()), "mae_mev": round_value(error[chosen].mean())}
        for name, chosen in classes.items()
        if chosen.any()
    }


def score_ion(data: LearningSet, seed: int) -> dict[str, Any]:
    """Score centers of mobile ions in NCrystal's cells; compounds of the same elements are left out of learning."""
    from phonolyte.sources.ncrystal import NCrystal

    pairs, sets = ion_pairs(), (IonSites(), ElementFractions())
    entries = [entry for page in NCrystal().pages("") for entry in page.entries if entry.crystal and entry.dos]
    wanted = [(e.crystal, mobile_ion(set(e.crystal.symbols)), e.dos.element_centers_mev) for e in entries]
    wanted = [(crystal, name, centers[name]) for crystal, name, centers in wanted if name in centers]
    systems = [set(crystal.symbols) for crystal, _, _ in wanted]
    learned = [not any(set(system.split("-")) <= elements for elements in systems) for system in pairs.systems]
    model = IonCenterModel.fit(pairs.table[learned], pairs.center_mev[learned], seed=seed)
    table, failures = featurize([crystal for crystal, _, _ in wanted], sets=sets)
    predicted = model.predict(table)["ion_center_mev"].to_numpy()
    known = np.array([center for _, _, center in wanted])
    assert not failures
    named = {
        crystal.formula: {"ion": name, "ncrystal_mev": round_value(center), "predicted_mev": round_value(prediction)}
        for (crystal, name, center), prediction in zip(wanted, predicted, strict=True)
        if name == "Li"
    }
    usable = np.isfinite(predicted)
    return {"learned": int(np.sum(learned)), **compute_errors(predicted[usable], known[usable]), "lithium": named}


def has_element(data: LearningSet, symbol: str, rows: pd.DataFrame | None = None) -> np.ndarray:
    of_name = pd.Series([symbol in of_compound for of_compound in data.elements], index=data.table.index)
    return (of_name if rows is None else of_name[rows["material_id"]]).to_numpy()


def compute_scores(rows: pd.DataFrame, data: LearningSet) -> dict[str, float]:
    predicted, known, lithium = rows["predicted_mev"], rows["band_center_mev"], has_element(data, "Li", rows)
    of_lithium = compute_errors(predicted[lithium], known[lithium])
    return compute_errors(predicted, known) | {f"{name}_lithium": value for name, value in of_lithium.items()}


def compute_errors(predicted: Any, known: Any) -> dict[str, float]:
    error, known = np.asarray(predicted) - np.asarray(known), np.asarray(known)
    r2 = 1.0 - (error**2).sum() / ((known - known.mean()) ** 2).sum()
    statistics = {"mae_mev": np.abs(error).mean(), "r2": r2, "bias_mev": error.mean()}
    return {"n": len(error)} | {name: round_value(value) for name, value in statistics.items()}


def round_value(value: float) -> float:
    return round(float(value), 4)


def compute_share(flags: np.ndarray) -> float:
    return round_value(np.mean(flags))


if __name__ == "__main__":
    main()
