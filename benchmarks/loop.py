"""Rounds of choosing, computing and learning against rounds at random, on compounds with known centers.

Usage: python benchmarks/loop.py [--folder FOLDER]

The learning set that comes with Phonolyte is split: 600 compounds to begin with, none of which is a hydride, carbide,
nitride or fluoride or has hydrogen, carbon or nitrogen; 150 of those as a test set, whole chemical systems, none of
whose compounds is used otherwise; and a pool, the others of these classes alone (`hard`), or with all remaining
compounds (`mixed`). In each of three rounds 40 compounds of the pool are chosen, and their known centers are learned.
The model is the process of the quotient model with the hyperparameters of the first 600 compounds; there is no
cross-validation, so that intervals are its own deviation plus the usual floor. Random picking is repeated with five seeds. Each result is
a file in FOLDER: a killed run goes on.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import keep

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import electronegativity
from phonolyte.features import feature_names, featurize
from phonolyte.features.feature_sets import PHYSICAL
from phonolyte.features.fractions import fraction_names
from phonolyte.learning_set import ION_FACTOR, ION_LENGTH
from phonolyte.learning_set import crystals as own_crystals
from phonolyte.loop.choosing import Pool
from phonolyte.models import quotient
from phonolyte.models.domain import NORMAL_90, Domain
from phonolyte.models.families import Families
from phonolyte.models.likelihood import search_hyperparameters
from phonolyte.models.process import FAINTEST, GaussianProcess, Standard
from phonolyte.models.selection import CorrelationSelector
from phonolyte.models.training import FLOOR_MEV

HARD_ANIONS, HARD_ELEMENTS = ("H", "C", "N", "F"), frozenset("HCN")
N_START, N_TEST, N_CHOSEN, N_ROUNDS, N_SEEDS = 600, 150, 40, 3, 5
THRIFTS = (0.5, 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Compounds with known centers, and how they are split."""

    pool: Pool
    center_mev: Floats
    hard: Any
    start: Ints
    test: Ints
    hard_left: Ints
    others: Ints

    def candidates(self, kind: str) -> Ints:
        """Rows to choose from."""
        return self.hard_left if kind == "hard" else np.concatenate([self.hard_left, self.others])


class Process:
    """The process of the quotient model, and its domain; hyperparameters and columns are those of `first`, if given."""

    def __init__(self, data: Data, rows: Ints, first: Process | None = None) -> None:
        table = data.pool.features.iloc[rows]
        values = table.to_numpy(float)
        target = np.log(data.center_mev[rows] / quotient._reference_mev(values))
        columns, layout, terms = (
            quotient._columns(values), quotient._layout(values.shape[1]), quotient._terms(values.shape[1])
        )  # fmt: skip
        standard = Standard.fit(columns)
        standard.mean[layout["elements"]], standard.scale[layout["elements"]] = 0.0, 1.0
        scaled = standard.apply(columns)
        if first is None:
            blocks = {name: scaled[:, where] for name, where in layout.items()}
            self.logs = search_hyperparameters(blocks, (target - target.mean()) / target.std(), terms=terms)
            magpie = table[[name for name in feature_names() if name in table]]
            self.names = list(CorrelationSelector().fit(magpie).get_feature_names_out())
        else:
            self.logs, self.names = first.logs, first.names
        known = np.zeros(len(rows))
        self.process = GaussianProcess._condition(standard, scaled, target, layout, terms, self.logs, FAINTEST, known)
        self.domain = Domain.fit(table[self.names], data.pool.elements(table.index))
        self.families = Families.fit(table[fraction_names()].to_numpy())

    def predict(self, data: Data) -> pd.DataFrame:
        """Predictions of all compounds, as a model of the band center gives them."""
        table = data.pool.features
        values = table.to_numpy(float)
        mean, deviation = self.process.predict(quotient._columns(values))
        center = quotient._reference_mev(values) * np.exp(mean)
        half = NORMAL_90 * np.hypot(center * deviation, FLOOR_MEV / 2)
        inside = self.domain.contains(table, data.pool.elements(table.index))
        inside &= self.families.contains(table[fraction_names()].to_numpy())
        columns = {"band_center_mev": center, "lower_mev": center - half, "upper_mev": center + half}
        return pd.DataFrame({**columns, "in_domain": inside}, index=table.index)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("loop_runs"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    data = split(folder / "features.parquet")
    jobs = [(kind, f"thrift {thrift:g}", 0) for thrift in THRIFTS for kind in ("mixed", "hard")]
    jobs += [(kind, "random", seed) for seed in range(N_SEEDS) for kind in ("mixed", "hard")]
    jobs += [(kind, "all", 0) for kind in ("mixed", "hard")]
    first = Process(data, data.start)
    for kind, how, seed in jobs:
        path = folder / f"{kind}-{how.replace(' ', '-')}-{seed}.json"
        if not path.is_file():
            path.write_text(json.dumps(rounds(data, first, kind, how, seed)), encoding="utf-8")
            print(path, flush=True)
    found = {
        job: json.loads((folder / f"{job[0]}-{job[1].replace(' ', '-')}-{job[2]}.json").read_text()) for job in jobs
    }
    keep("loop", result(data, found), "scikit-learn")


def split(cache: Path) -> Data:
    """Split the learning set; cells and centers are scaled to today's cells and density functional theory."""
    given = [replace(crystal, lattice=ION_LENGTH * crystal.lattice) for crystal in own_crystals().crystals]
    if not cache.is_file():
        featurize(given, sets=PHYSICAL)[0].to_parquet(cache)
    pool = Pool.describe(given, pd.read_parquet(cache), {crystal.material_id: crystal for crystal in given})
    of_name = {crystal.material_id: crystal for crystal in given}
    names = pool.table["material_id"]
    center = ION_FACTOR * np.array([float(of_name[name].properties["band_center_mev"]) for name in names])
    symbols = pool.elements(names)
    anions = np.array([max(sorted(own), key=lambda symbol: electronegativity(symbol) or 0.0) for own in symbols])
    hard = np.isin(anions, HARD_ANIONS) | np.array([bool(own & HARD_ELEMENTS) for own in symbols])
    systems = np.array(["-".join(sorted(own)) for own in symbols])
    rng, test = np.random.default_rng(0), np.empty(0, dtype=np.int64)
    for system in rng.permutation(np.unique(systems[hard])):
        if len(test) < N_TEST:
            test = np.concatenate([test, np.flatnonzero(systems == system)])
    easy = rng.permutation(np.flatnonzero(~hard & ~np.isin(systems, systems[test])))
    hard_left = np.setdiff1d(np.flatnonzero(hard), test)
    return Data(pool, center, hard, easy[:N_START], test, hard_left, easy[N_START:])


def rounds(data: Data, first: Process, kind: str, how: str, seed: int) -> dict[str, Any]:
    """Errors of the test set after each round, and what was chosen."""
    rng, rows, left = np.random.default_rng(seed), data.start, data.candidates(kind)
    if how == "all":
        rows, left = np.concatenate([rows, left]), left[:0]
    found: list[dict[str, Any]] = []
    chosen, before, start = np.empty(0, dtype=np.int64), np.empty(0), time.process_time()
    cost = data.pool.table["cost_s"].to_numpy(float)
    for number in range(1 if how == "all" else N_ROUNDS + 1):
        model = first if rows is data.start else Process(data, rows, first)
        predicted = model.predict(data)
        error = np.abs(predicted["band_center_mev"].to_numpy(float) - data.center_mev)
        tested = error[data.test]
        record = {
            "learned": len(rows), "mae_mev": tested.mean(), "rmse_mev": np.sqrt(np.mean(tested**2)),
            "chosen_hard": int(data.hard[chosen].sum()), "chosen_cost_s": cost[chosen].sum(),
            "chosen_mae_before_mev": before[chosen].mean() if number else None,
        }  # fmt: skip
        found.append(record)
        before = error
        chosen = pick(data, model, predicted, left, how, rng) if len(left) else left
        rows, left = np.concatenate([rows, chosen]), np.setdiff1d(left, chosen)
    return {"rounds": found, "cpu_s": time.process_time() - start}


def pick(data: Data, model: Process, predicted: pd.DataFrame, left: Ints, how: str, rng: Any) -> Ints:
    """Rows of the next batch."""
    if how == "random":
        return np.asarray(rng.permutation(left)[:N_CHOSEN])
    allowed = np.isin(np.arange(len(data.pool)), left)
    thrift = float(how.removeprefix("thrift "))
    table = data.pool.choose(model.domain, predicted, N_CHOSEN, allowed=allowed, thrift=thrift)
    return np.asarray(data.pool.features.index.get_indexer(table["material_id"]))


def result(data: Data, found: dict[tuple[str, str, int], dict[str, Any]]) -> dict[str, Any]:
    """Errors of each way, round by round; of random picking the mean and a 95 % interval over seeds."""
    record: dict[str, Any] = {
        "compounds": len(data.pool), "start": len(data.start), "test": len(data.test), "a_round": N_CHOSEN,
        "pools": {kind: len(data.candidates(kind)) for kind in ("hard", "mixed")}, "hard_in_pools": len(data.hard_left),
    }  # fmt: skip
    for kind in ("mixed", "hard"):
        own = {how: runs["rounds"] for (of, how, seed), runs in found.items() if of == kind and how != "random"}
        random = [runs["rounds"] for (of, how, _), runs in found.items() if of == kind and how == "random"]
        maes = np.array([[each["mae_mev"] for each in run] for run in random])
        half = 2.776 * maes.std(axis=0, ddof=1) / np.sqrt(N_SEEDS)  # Student's t of four degrees of freedom
        record[kind] = {
            **{how: [_rounded(each) for each in run] for how, run in own.items()},
            "random": {
                "mae_mev": maes.mean(axis=0).round(3).tolist(), "half_width_mev": half.round(3).tolist(),
                "seeds_mae_mev": maes.round(3).tolist(),
                "chosen_hard": np.mean([[each["chosen_hard"] for each in run] for run in random], axis=0).tolist(),
                "chosen_cost_s": np.mean([[each["chosen_cost_s"] for each in run] for run in random], axis=0).tolist(),
            },
        }  # fmt: skip
    record["cpu_s_a_run"] = round(float(np.mean([run["cpu_s"] for run in found.values()])), 1)
    return record


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


if __name__ == "__main__":
    main()
