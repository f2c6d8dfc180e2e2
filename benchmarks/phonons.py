"""How near the phonons of an engine come to band centers of density functional theory.

Usage:
    python benchmarks/phonons.py pick PICKED.parquet [--n 400] [--crystals CRYSTALS.jsonl.gz]
    phonolyte phonons PICKED.parquet --engine NAME --limit-s 600 --no-figures -o RUN/
    python benchmarks/phonons.py parity RUN/ [--crystals CRYSTALS.jsonl.gz]

The first takes as many crystals from each percentile of the known centers, the second can be killed and run again, the
third compares, and calibrates by ten-fold cross-validation: with one factor, and with one of each element besides.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from record import SHARED, keep

from phonolyte.chemistry.formulas import shares_of
from phonolyte.figures import parity, save
from phonolyte.phonons.calibration import Kind, cross_validated, scores
from phonolyte.structures import Crystal, read

KNOWN = SHARED / "data" / "learning_set_1272.jsonl.gz"
FIGURES = Path(__file__).parents[1] / "docs" / "figures"
PERCENTILES = 100
CALIBRATIONS: tuple[Kind, ...] = ("factor", "elements")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    pick = commands.add_parser("pick")
    pick.add_argument("out", type=Path)
    pick.add_argument("--n", type=int, default=400)
    compare = commands.add_parser("parity")
    compare.add_argument("run", type=Path)
    for command in (pick, compare):
        command.add_argument("--crystals", type=Path, default=KNOWN)
    options = parser.parse_args()
    crystals = read(options.crystals).crystals
    if options.command == "pick":
        pd.DataFrame([crystal.row() for crystal in stratify(crystals, options.n)]).to_parquet(options.out)
    else:
        compare_run(options.run, {crystal.material_id: read_center_mev(crystal) for crystal in crystals})


def stratify(crystals: Sequence[Crystal], n: int) -> list[Crystal]:
    """Pick as many from each percentile of the centers, round after round, so that any head covers the range."""
    rng = np.random.default_rng(0)
    by_center = np.argsort([read_center_mev(crystal) for crystal in crystals])
    shuffled = [rng.permutation(percentile) for percentile in np.array_split(by_center, PERCENTILES)]
    rounds = ([percentile[i] for percentile in shuffled if i < len(percentile)] for i in range(max(map(len, shuffled))))
    order = [i for indices in rounds for i in rng.permutation(indices)]
    return [crystals[i] for i in order[:n]]


def read_center_mev(crystal: Crystal) -> float:
    return float(crystal.properties["band_center_mev"])


def compare_run(run: Path, known: dict[str, float]) -> None:
    table = pd.read_parquet(run / "phonons.parquet")
    failed = len(pd.read_parquet(run / "failures.parquet"))
    engine = tomllib.loads((run / "run.toml").read_text())["engine"]
    reference = table["material_id"].map(known).to_numpy(float)
    raw = table["band_center_mev"].to_numpy(float)
    shares = [shares_of(formula) for formula in table["formula"]]
    series = {"raw": raw, **{kind: cross_validated(raw, reference, shares, kind) for kind in CALIBRATIONS}}
    subsets = {"all": np.ones(len(table), dtype=bool), "stable": table["stable"].to_numpy(bool)}
    name = f"phonons-{engine['name']}"
    keep(
        name,
        {
            "engine": engine,
            "n": len(table),
            "failed": failed,
            "unstable": int((~subsets["stable"]).sum()),
            "seconds_median": round(float(table["seconds"].median()), 2),
            "seconds_mean": round(float(table["seconds"].mean()), 2),
            **{
                subset: {label: round_values(scores(values[rows], reference[rows])) for label, values in series.items()}
                for subset, rows in subsets.items()
            },
        },
        "phonopy",
    )
    titles = {"raw": engine["name"], "factor": "one factor", "elements": "a factor of each element"}
    figure = parity(reference, {titles[label]: values for label, values in series.items()}, y_label="Computed (meV)")
    save(figure, FIGURES / f"{name}-parity", formats=("png",))


def round_values(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
