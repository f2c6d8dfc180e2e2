"""Rounds of choosing, computing and learning against rounds at random, on compounds with known centers.

Usage: python benchmarks/loop.py [--folder FOLDER] [--splits 0 1 2 3 4]

The learning set that comes with Phonolyte is split in five ways: 600 compounds to begin with, none of which is a
hydride, carbide, nitride or fluoride or has hydrogen, carbon or nitrogen; 150 of those as a test set, whole chemical
systems, none of whose compounds is used otherwise; and a pool, the others of these classes alone (`hard`), or with all
remaining compounds (`mixed`). In each of three rounds 40 compounds of the pool are chosen, and their known centers are
learned. The model is the process of the quotient model with the hyperparameters of the first 600 compounds; there is no
cross-validation, so that intervals are its own deviation plus the usual floor. Random picking is repeated with five
seeds in each split. Each result is a file in FOLDER: a killed run goes on, and splits can be run one by one.
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
from phonolyte.chemistry.ions import most_electronegative
from phonolyte.chemistry.systems import system_of
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
N_START, N_TEST, N_CHOSEN, N_ROUNDS, N_SEEDS, N_SPLITS = 600, 150, 40, 3, 5, 5
STUDENT = 2.776
"""97.5 % quantile of Student's t with four degrees of freedom: five splits."""

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

    def list_candidates(self, kind: str) -> Ints:
        """Return the rows to choose from."""
        return self.hard_left if kind == "hard" else np.concatenate([self.hard_left, self.others])


class Process:
    """The process of the quotient model, and its domain; hyperparameters and columns are those of `first`, if any.

    Known relative errors of all centers, if any, are added as noise.
    """

    def __init__(self, data: Data, rows: Ints, first: Process | None = None, errors: Floats | None = None) -> None:
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
        known = np.zeros(len(rows)) if errors is None else np.square(errors[rows] / target.std())
        self.process = GaussianProcess._condition(standard, scaled, target, layout, terms, self.logs, FAINTEST, known)
        self.domain = Domain.fit(table[self.names], data.pool.elements(table.index))
        self.families = Families.fit(table[fraction_names()].to_numpy())

    def predict(self, data: Data) -> pd.DataFrame:
        """Predict all compounds, in the columns of a model of the band center."""
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
    parser.add_argument("--splits", type=int, nargs="*", default=range(N_SPLITS))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for number in options.splits:
        compute_split(number, options.folder)
    results = {
        (*job, number): read_result(options.folder, number, job) for number in range(N_SPLITS) for job in list_jobs()
    }
    if None not in results.values():
        keep("loop", summarize(results), "scikit-learn")


def list_jobs() -> list[tuple[str, str, int]]:
    """Return pool, way of choosing and seed of each run of a split."""
    ways = (
        [(f"thrift {thrift:g}", 0) for thrift in THRIFTS] + [("random", seed) for seed in range(N_SEEDS)] + [("all", 0)]
    )
    return [(kind, how, seed) for how, seed in ways for kind in ("mixed", "hard")]


def make_path(folder: Path, number: int, job: tuple[str, str, int]) -> Path:
    """Return the path of the file with the result of a run."""
    kind, how, seed = job
    return folder / f"{number}-{kind}-{how.replace(' ', '-')}-{seed}.json"


def read_result(folder: Path, number: int, job: tuple[str, str, int]) -> dict[str, Any] | None:
    """Read the result of a run; None where it is missing."""
    path = make_path(folder, number, job)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def compute_split(number: int, folder: Path) -> None:
    """Run what is missing of a split."""
    missing = [job for job in list_jobs() if read_result(folder, number, job) is None]
    if not missing:
        return
    data = split_compounds(folder / "features.parquet", number)
    first = Process(data, data.start)
    for job in missing:
        result = run_rounds(data, first, *job)
        make_path(folder, number, job).write_text(json.dumps(result), encoding="utf-8")
    print(f"split {number}: {time.process_time():.0f} cpu-s", flush=True)


def split_compounds(cache: Path, number: int) -> Data:
    """Split the learning set; cells and centers are scaled to today's cells and density functional theory."""
    crystals = [replace(crystal, lattice=ION_LENGTH * crystal.lattice) for crystal in own_crystals().crystals]
    if not cache.is_file():
        featurize(crystals, sets=PHYSICAL)[0].to_parquet(cache)
    pool = Pool.describe(crystals, pd.read_parquet(cache), {crystal.material_id: crystal for crystal in crystals})
    of_name = {crystal.material_id: crystal for crystal in crystals}
    names = pool.table["material_id"]
    center = ION_FACTOR * np.array([float(of_name[name].properties["band_center_mev"]) for name in names])
    symbols = pool.elements(names)
    anions = np.array([most_electronegative(elements) for elements in symbols])
    hard = np.isin(anions, HARD_ANIONS) | np.array([bool(elements & HARD_ELEMENTS) for elements in symbols])
    systems = np.array([system_of(elements) for elements in symbols])
    rng, test = np.random.default_rng(number), np.empty(0, dtype=np.int64)
    for system in rng.permutation(np.unique(systems[hard])):
        if len(test) < N_TEST:
            test = np.concatenate([test, np.flatnonzero(systems == system)])
    easy = rng.permutation(np.flatnonzero(~hard & ~np.isin(systems, systems[test])))
    hard_left = np.setdiff1d(np.flatnonzero(hard), test)
    return Data(pool, center, hard, easy[:N_START], test, hard_left, easy[N_START:])


def run_rounds(data: Data, first: Process, kind: str, how: str, seed: int) -> dict[str, Any]:
    """Run rounds, and return the errors of the test set after each and what was chosen."""
    rng, rows, left = np.random.default_rng(seed), data.start, data.list_candidates(kind)
    if how == "all":
        rows, left = np.concatenate([rows, left]), left[:0]
    records: list[dict[str, Any]] = []
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
        records.append(record)
        before = error
        chosen = pick_batch(data, model, predicted, left, how, rng) if len(left) else left
        rows, left = np.concatenate([rows, chosen]), np.setdiff1d(left, chosen)
    sizes = {"test": len(data.test), "pool": len(data.list_candidates(kind)), "hard_in_pool": len(data.hard_left)}
    return {"rounds": records, "cpu_s": time.process_time() - start, **sizes}


def pick_batch(data: Data, model: Process, predicted: pd.DataFrame, left: Ints, how: str, rng: Any) -> Ints:
    """Choose the rows of the next batch."""
    if how == "random":
        return np.asarray(rng.permutation(left)[:N_CHOSEN])
    allowed = np.isin(np.arange(len(data.pool)), left)
    thrift = float(how.removeprefix("thrift "))
    table = data.pool.choose(model.domain, predicted, N_CHOSEN, allowed=allowed, thrift=thrift)
    return np.asarray(data.pool.features.index.get_indexer(table["material_id"]))


def summarize(results: dict[tuple[str, str, int, int], dict[str, Any]]) -> dict[str, Any]:
    """Summarize the errors of each way by round: means over the splits, and the gain over random picking."""
    record: dict[str, Any] = {"start": N_START, "a_round": N_CHOSEN, "splits": N_SPLITS, "seeds_of_random": N_SEEDS}
    for kind in ("mixed", "hard"):
        ways = list(dict.fromkeys(how for _, how, _ in list_jobs()))
        of_way = {how: [_average(results, kind, how, number) for number in range(N_SPLITS)] for how in ways}
        errors = {how: np.array([each["mae_mev"] for each in runs]) for how, runs in of_way.items()}
        record[kind] = {name: [run[name] for (of, _, seed, _), run in results.items() if of == kind and seed == 1]
                        for name in ("test", "pool", "hard_in_pool")}  # fmt: skip
        for how, runs in of_way.items():
            means = {name: _round_values(np.mean([each[name] for each in runs], axis=0)) for name in runs[0]}
            if how.startswith("thrift"):
                gain_mev = errors["random"] - errors[how]
                half = STUDENT * gain_mev.std(axis=0, ddof=1) / np.sqrt(N_SPLITS)
                means |= {
                    "less_than_random_mev": _round_values(gain_mev.mean(axis=0)),
                    "half_width_mev": _round_values(half),
                }
            record[kind][how] = {**means, "mae_of_splits_mev": [_round_values(each) for each in errors[how]]}
    record["cpu_s_a_run"] = round(float(np.mean([run["cpu_s"] for run in results.values()])), 1)
    return record


def _average(results: dict[Any, dict[str, Any]], kind: str, how: str, number: int) -> dict[str, Floats]:
    """Return the values of each round in a split; of random picking the mean over its seeds."""
    runs = [run["rounds"] for (of, way, _, split), run in results.items() if (of, way, split) == (kind, how, number)]
    names = ("mae_mev", "rmse_mev", "chosen_hard", "chosen_cost_s")
    return {name: np.mean([[each[name] for each in run] for run in runs], axis=0) for name in names}


def _round_values(values: Floats) -> list[float]:
    return [round(float(value), 3) for value in values]


if __name__ == "__main__":
    main()
