"""How well the model of the conductivity orders measured compounds whose relatives are left out.

Usage: python benchmarks/conductivity.py

Every compound of the table that comes with the package is predicted by folds that have not seen it: at random, with its
set of elements, its family, or its cluster of compositions left out. Intervals are bootstraps over papers. Nothing is
chosen here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from record import keep
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold, KFold

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, property_table
from phonolyte.chemistry.formulas import composition_of
from phonolyte.measured import learning_columns, load_measured
from phonolyte.models.conductivity import CONDUCTOR, Compounds, ConductivityModel, standardize

RESAMPLED = 500
CLUSTERS = (50, 20, 10)
NEAR = 0.3


def main() -> None:
    table = load_measured().table
    columns = learning_columns(table)
    rows = {"all": np.ones(len(table), bool), "with a barrier": table["barrier_3d_ev"].notna().to_numpy()}
    record: dict[str, Any] = {}
    for split, folds in make_splits(table, columns).items():
        predictions = predict_left_out(table, columns, folds)
        record[split] = {
            name: {column: compute_scores(predictions[column].to_numpy(float), table, chosen) for column in ORDERED_BY}
            for name, chosen in rows.items()
        } | {"reliability": measure_reliability(predictions, table)}
        print(split, {name: record[split]["all"][name]["rho"] for name in ORDERED_BY}, flush=True)
    for name in ALONE:
        scores = compute_scores(-table[name].clip(upper=NO_PATH).to_numpy(float), table, rows["all"])
        record[name] = {key: value for key, value in scores.items() if key != "mae"}
    keep("conductivity", record)


NO_PATH = 1e3
"""Barrier assigned to a crystal without a path, eV."""

ALONE = ("barrier_1d_ev", "barrier_3d_ev", "band_center_mev")
"""Columns that order by themselves, low values first; nothing is learned from conductivities."""


ORDERED_BY = ("gated", "ordered", "score", "process", "trees")
"""Predictions: for refined crystals, for ordered ones, and the parts; trees on the same descriptors for comparison."""


def make_splits(table: pd.DataFrame, columns: Mapping[str, Any]) -> dict[str, list[tuple[Ints, Ints]]]:
    """Return folds by name: rows to learn from, and rows to predict."""
    n = len(table)
    return {
        "random": list(KFold(10, shuffle=True, random_state=0).split(np.arange(n))),
        "element sets": list(
            GroupKFold(10, shuffle=True, random_state=0).split(np.arange(n), groups=columns["groups"])
        ),
        "families": list(leave_out(table["family"].to_numpy(str))),
        **{f"clusters {k}": list(leave_out(cluster_compositions(table, k))) for k in CLUSTERS},
    }


def leave_out(groups: Any) -> Iterator[tuple[Ints, Ints]]:
    """Yield one fold for each group."""
    for group in np.unique(groups):
        yield np.flatnonzero(groups != group), np.flatnonzero(groups == group)


def cluster_compositions(table: pd.DataFrame, k: int) -> Ints:
    """Cluster compositions by k-means of Magpie's statistics, standardized."""
    from sklearn.cluster import KMeans

    values = np.array([compute_statistics(composition_of(formula)) for formula in table["formula"]])
    spread = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(KMeans(k, n_init=5, random_state=0).fit_predict(standard))


def compute_statistics(amounts: Mapping[str, float]) -> Floats:
    """Compute mean, mean deviation, maximum and minimum of each elemental property of a composition."""
    properties = np.nan_to_num(property_table()[[ATOMIC_NUMBERS[symbol] for symbol in amounts]])
    shares = np.array(list(amounts.values())) / sum(amounts.values())
    mean = shares @ properties
    return np.concatenate([mean, shares @ np.abs(properties - mean), properties.max(axis=0), properties.min(axis=0)])


def predict_left_out(table: pd.DataFrame, columns: Mapping[str, Any], folds: list[tuple[Ints, Ints]]) -> pd.DataFrame:
    """Predict each compound by the folds that have not seen it."""
    predictions = pd.DataFrame(index=table.index, columns=[*ORDERED_BY, "lower", "upper", "p", "distance"], dtype=float)
    for train, test in folds:
        model, rest = ConductivityModel.fit("Li", **select_rows(columns, train)), select_rows(columns, test)
        inputs = rest["numbers"], rest["descriptors"], rest["roots"]
        compounds = Compounds(standardize(rest["numbers"], model.refined.names), *inputs[1:])
        refined, parts = model.predict(*inputs), model.refined.parts(compounds)
        unknown = {**rest["numbers"], "open_share": np.full(len(test), np.nan)}
        trees = ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.4, random_state=0, n_jobs=1)
        trees.fit(columns["descriptors"][train], np.maximum(columns["log_sigma"][train], -10))
        values = {
            "gated": refined.log_sigma, "score": parts.score, "process": parts.process, "lower": refined.lower,
            "ordered": model.predict(unknown, *inputs[1:]).log_sigma, "upper": refined.upper, "p": refined.p_conductor,
            "distance": refined.distance, "trees": trees.predict(rest["descriptors"]),
        }  # fmt: skip
        for name, value in values.items():
            predictions.loc[test, name] = value
    return predictions


def select_rows(columns: Mapping[str, Any], rows: Ints) -> dict[str, Any]:
    """Select some compounds of the columns that a model learns from."""
    numbers = {name: values[rows] for name, values in columns["numbers"].items()}
    return {"numbers": numbers, **{name: values[rows] for name, values in columns.items() if name != "numbers"}}


def compute_scores(predicted: Floats, table: pd.DataFrame, chosen: Flags) -> dict[str, Any]:
    """Compute scores of a prediction (n,), with 90 % intervals of a bootstrap over papers."""
    papers = table["doi"].to_numpy(str)
    chosen = chosen & ~np.isnan(predicted)
    rows_of = [np.flatnonzero((papers == paper) & chosen) for paper in np.unique(papers)]
    random = np.random.default_rng(0)
    scores = score_rows(predicted, table, np.flatnonzero(chosen))
    drawn = (random.integers(0, len(rows_of), len(rows_of)) for _ in range(RESAMPLED))
    samples = [score_rows(predicted, table, np.concatenate([rows_of[i] for i in papers])) for papers in drawn]
    return {"n": int(chosen.sum())} | {
        name: [
            round(float(number), 3)
            for number in (value, *np.nanpercentile([sample[name] for sample in samples], [5, 95]))
        ]
        for name, value in scores.items()
    }


def score_rows(predicted: Floats, table: pd.DataFrame, rows: Ints) -> dict[str, float]:
    """Compute mean error (decades; for a bound only the excess over it), rank correlation, AUC, and enrichment."""
    measured_log = np.log10(table["sigma_s_cm"].to_numpy(float))[rows]
    values, bounds = predicted[rows], table["at_most"].to_numpy(bool)[rows]
    error = np.where(bounds, np.maximum(values - measured_log, 0.0), np.abs(values - measured_log))
    conducts = measured_log >= CONDUCTOR
    first = np.argsort(-values, kind="stable")[: max(1, round(len(values) / 10))]
    return {
        "mae": error.mean(), "rho": spearmanr(values, measured_log)[0], "auc_1e-4": compute_auc(values, conducts),
        "auc_1e-5": compute_auc(values, measured_log >= CONDUCTOR - 1),
        "enrichment": conducts[first].mean() / conducts.mean(),
    }  # fmt: skip


def compute_auc(values: Floats, positive: Flags) -> float:
    n = positive.sum()
    rest = len(positive) - n
    return float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * rest)) if n and rest else np.nan


def measure_reliability(predictions: pd.DataFrame, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Compare predicted probabilities with the share that conducts, near measured compounds and far from them."""
    logs = np.log10(table["sigma_s_cm"])
    rows = []
    for name, chosen in (("near", predictions["distance"] < NEAR), ("far", predictions["distance"] >= NEAR)):
        group, conducts = predictions[chosen], logs[chosen] >= CONDUCTOR
        inside = (group["lower"] <= logs[chosen]) & ((logs[chosen] <= group["upper"]) | table["at_most"][chosen])
        bins = pd.cut(group["p"], [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0], include_lowest=True)
        parts = pd.DataFrame({"p": group["p"], "share": conducts}).groupby(bins, observed=True).agg(["mean", "size"])
        rows.append({
            "where": name, "n": int(chosen.sum()), "covered": round(float(inside.mean()), 3),
            "width_decades": round(float((group["upper"] - group["lower"]).mean()), 2),
            "bins": [
                [round(float(row["p", "mean"]), 3), round(float(row["share", "mean"]), 3), int(row["p", "size"])]
                for _, row in parts.iterrows()
            ],
        })  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
