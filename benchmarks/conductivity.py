"""The model of the conductivity: how well it orders measured compounds whose relatives are left out.

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
    for split, folds in splits(table, columns).items():
        found = predictions(table, columns, folds)
        record[split] = {
            name: {column: scores(found[column].to_numpy(float), table, chosen) for column in ORDERED_BY}
            for name, chosen in rows.items()
        } | {"reliability": reliability(found, table)}
        print(split, {name: record[split]["all"][name]["rho"] for name in ORDERED_BY}, flush=True)
    for name in ALONE:
        own = scores(-table[name].clip(upper=NO_PATH).to_numpy(float), table, rows["all"])
        record[name] = {key: value for key, value in own.items() if key != "mae"}
    keep("conductivity", record)


NO_PATH = 1e3
"""What the barrier of a crystal without a path counts as, eV."""

ALONE = ("barrier_1d_ev", "barrier_3d_ev", "band_center_mev")
"""Columns that order by themselves, low values first; nothing is learned from conductivities."""


ORDERED_BY = ("gated", "ordered", "score", "process", "trees")
"""Predictions: for refined crystals, for ordered ones, and the parts; trees on the same descriptors for comparison."""


def splits(table: pd.DataFrame, columns: Mapping[str, Any]) -> dict[str, list[tuple[Ints, Ints]]]:
    """Folds by name: rows to learn from, and rows to predict."""
    n = len(table)
    return {
        "random": list(KFold(10, shuffle=True, random_state=0).split(np.arange(n))),
        "element sets": list(
            GroupKFold(10, shuffle=True, random_state=0).split(np.arange(n), groups=columns["groups"])
        ),
        "families": list(left_out(table["family"].to_numpy(str))),
        **{f"clusters {k}": list(left_out(clusters(table, k))) for k in CLUSTERS},
    }


def left_out(groups: Any) -> Iterator[tuple[Ints, Ints]]:
    """Yield one fold a group."""
    for group in np.unique(groups):
        yield np.flatnonzero(groups != group), np.flatnonzero(groups == group)


def clusters(table: pd.DataFrame, k: int) -> Ints:
    """Clusters of compositions: k-means of Magpie's statistics of them, standardized."""
    from sklearn.cluster import KMeans

    values = np.array([statistics(composition_of(formula)) for formula in table["formula"]])
    spread = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(KMeans(k, n_init=5, random_state=0).fit_predict(standard))


def statistics(amounts: Mapping[str, float]) -> Floats:
    """Mean, mean deviation, highest and lowest of each elemental property of a composition."""
    own = np.nan_to_num(property_table()[[ATOMIC_NUMBERS[symbol] for symbol in amounts]])
    shares = np.array(list(amounts.values())) / sum(amounts.values())
    mean = shares @ own
    return np.concatenate([mean, shares @ np.abs(own - mean), own.max(axis=0), own.min(axis=0)])


def predictions(table: pd.DataFrame, columns: Mapping[str, Any], folds: list[tuple[Ints, Ints]]) -> pd.DataFrame:
    """Each compound as the folds that have not seen it predict it."""
    found = pd.DataFrame(index=table.index, columns=[*ORDERED_BY, "lower", "upper", "p", "distance"], dtype=float)
    for train, test in folds:
        model, rest = ConductivityModel.fit("Li", **taken(columns, train)), taken(columns, test)
        given = rest["numbers"], rest["descriptors"], rest["roots"]
        compounds = Compounds(standardize(rest["numbers"], model.refined.names), *given[1:])
        refined, parts = model.predict(*given), model.refined.parts(compounds)
        unknown = {**rest["numbers"], "open_share": np.full(len(test), np.nan)}
        trees = ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.4, random_state=0, n_jobs=1)
        trees.fit(columns["descriptors"][train], np.maximum(columns["log_sigma"][train], -10))
        values = {
            "gated": refined.log_sigma, "score": parts.score, "process": parts.process, "lower": refined.lower,
            "ordered": model.predict(unknown, *given[1:]).log_sigma, "upper": refined.upper, "p": refined.p_conductor,
            "distance": refined.distance, "trees": trees.predict(rest["descriptors"]),
        }  # fmt: skip
        for name, value in values.items():
            found.loc[test, name] = value
    return found


def taken(columns: Mapping[str, Any], rows: Ints) -> dict[str, Any]:
    """Some compounds of the columns that a model learns from."""
    numbers = {name: values[rows] for name, values in columns["numbers"].items()}
    return {"numbers": numbers, **{name: values[rows] for name, values in columns.items() if name != "numbers"}}


def scores(predicted: Floats, table: pd.DataFrame, chosen: Flags) -> dict[str, Any]:
    """Scores of a prediction (n,), with 90 % intervals of a bootstrap over papers."""
    papers = table["doi"].to_numpy(str)
    chosen = chosen & ~np.isnan(predicted)
    rows_of = [np.flatnonzero((papers == paper) & chosen) for paper in np.unique(papers)]
    random = np.random.default_rng(0)
    whole = values_of(predicted, table, np.flatnonzero(chosen))
    drawn = (random.integers(0, len(rows_of), len(rows_of)) for _ in range(RESAMPLED))
    again = [values_of(predicted, table, np.concatenate([rows_of[i] for i in papers])) for papers in drawn]
    return {"n": int(chosen.sum())} | {
        name: [round(float(each), 3) for each in (value, *np.nanpercentile([one[name] for one in again], [5, 95]))]
        for name, value in whole.items()
    }


def values_of(predicted: Floats, table: pd.DataFrame, rows: Ints) -> dict[str, float]:
    """Mean error (decades; of a bound only what lies above it), rank correlation, AUC, and enrichment."""
    measured_log = np.log10(table["sigma_s_cm"].to_numpy(float))[rows]
    own, bounds = predicted[rows], table["at_most"].to_numpy(bool)[rows]
    error = np.where(bounds, np.maximum(own - measured_log, 0.0), np.abs(own - measured_log))
    conducts = measured_log >= CONDUCTOR
    first = np.argsort(-own, kind="stable")[: max(1, round(len(own) / 10))]
    return {
        "mae": error.mean(), "rho": spearmanr(own, measured_log)[0], "auc_1e-4": auc(own, conducts),
        "auc_1e-5": auc(own, measured_log >= CONDUCTOR - 1), "enrichment": conducts[first].mean() / conducts.mean(),
    }  # fmt: skip


def auc(values: Floats, positive: Flags) -> float:
    n = positive.sum()
    rest = len(positive) - n
    return float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * rest)) if n and rest else np.nan


def reliability(found: pd.DataFrame, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Predicted probabilities beside the share that conducts, near measured compounds and far from them."""
    logs = np.log10(table["sigma_s_cm"])
    rows = []
    for name, chosen in (("near", found["distance"] < NEAR), ("far", found["distance"] >= NEAR)):
        own, conducts = found[chosen], logs[chosen] >= CONDUCTOR
        inside = (own["lower"] <= logs[chosen]) & ((logs[chosen] <= own["upper"]) | table["at_most"][chosen])
        bins = pd.cut(own["p"], [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0], include_lowest=True)
        parts = pd.DataFrame({"p": own["p"], "share": conducts}).groupby(bins, observed=True).agg(["mean", "size"])
        rows.append({
            "where": name, "n": int(chosen.sum()), "covered": round(float(inside.mean()), 3),
            "width_decades": round(float((own["upper"] - own["lower"]).mean()), 2),
            "bins": [
                [round(float(row["p", "mean"]), 3), round(float(row["share", "mean"]), 3), int(row["p", "size"])]
                for _, row in parts.iterrows()
            ],
        })  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
