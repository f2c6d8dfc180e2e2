"""How near NEB barriers of an engine come to published ones of density functional theory, for one hop each.

Usage:
    python benchmarks/migration_pairs.py run RUN/ ENGINE [NAME=VALUE ...]
    python benchmarks/migration_pairs.py compare RUN/ [RUN/ ...]

The first takes relaxed end points with the barrier between them, the small cells first, each a file in RUN, so that it
can be killed and run again. Ends are relaxed at the cell of the first one (six published pairs have two cells), five
images lie between them. The second makes a result of each engine's numbers, not of single pairs, whose published
barriers are not ours to pass on.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import SHARED, keep

from phonolyte.barriers.ends import Ends, relax_ends
from phonolyte.barriers.hops import Hop
from phonolyte.barriers.neb import NebSettings, climb
from phonolyte.errors import PhonolyteError
from phonolyte.forces import Engine, open_engine
from phonolyte.forces.engines import engine_options
from phonolyte.runs.records import read_json, write_json
from phonolyte.structures import Crystal

PAIRS = SHARED / "data" / "migration_pairs.jsonl.gz"
MOST_ATOMS = 130
SETTINGS = NebSettings(images=5, fmax_ev_a=0.1, ends_fmax_ev_a=0.03, max_steps=150)
LOW_EV = 0.5
"""Barrier below which an ion counts as mobile, eV: a prediction is right if it lies on the same side."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run")
    command.add_argument("run", type=Path)
    command.add_argument("engine")
    command.add_argument("options", nargs="*")
    command = commands.add_parser("compare")
    command.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "run":
        run(options.run, open_engine(options.engine, **engine_options(options.options)))
    else:
        compare(options.runs)


def read_pairs() -> list[dict[str, Any]]:
    """Read the pairs of at most :data:`MOST_ATOMS` atoms, the small ones first."""
    with gzip.open(PAIRS, "rt") as file:
        pairs = [json.loads(line) for line in file]
    small = [pair for pair in pairs if len(pair["initial"]["species"]) <= MOST_ATOMS]
    return sorted(small, key=lambda pair: len(pair["initial"]["species"]))


def run(folder: Path, engine: Engine) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "engine.json", {"engine": engine.name, **engine.provenance})
    for pair in read_pairs():
        file = folder / f"{pair['pair_id']}.json"
        if not file.is_file():
            row = compute_pair(pair, engine)
            write_json(file, row)
            print(row["pair_id"], row["formula"], row["dft_ev"], row.get("barrier_ev"), row["why"], flush=True)


def compute_pair(pair: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """Compute the barrier of one pair by NEB, or return why there is none."""
    ends = make_ends(pair)
    row = {
        "pair_id": pair["pair_id"], "family": pair["family"], "formula": pair["formula"], "dft_ev": pair["barrier_ev"],
        "ion": str(ends.start.symbols[ends.ion]), "n_atoms": len(ends.start),
    }  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        relaxed = relax_ends(ends, engine, fmax_ev_a=SETTINGS.ends_fmax_ev_a, max_steps=SETTINGS.max_steps)
        line = relaxed.end.positions[relaxed.ion] - relaxed.start.positions[relaxed.ion]
        hop = Hop(f"{row['ion']}-{np.linalg.norm(line):.2f}", (), float(np.linalg.norm(line)), math.inf, "")
        path = climb(hop, relaxed, engine, SETTINGS)
        row |= {
            "barrier_ev": compute_barrier_ev(path.energies_ev), "forward_ev": path.barrier_ev,
            "reverse_ev": path.reverse_ev, "converged": path.converged, "steps": path.steps, "why": path.why,
        }  # fmt: skip
    except PhonolyteError as error:
        row |= {"why": str(error), "converged": False}
    return row | {"seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def compute_barrier_ev(energies_ev: Any) -> float:
    """Return the highest energy relative to the lowest, eV, the definition of the published barriers."""
    return float(np.max(energies_ev) - np.min(energies_ev))


def make_ends(pair: Mapping[str, Any]) -> Ends:
    """Return both ends in the cell of the first, the second without jumps across boundaries; the ion moves most."""
    start, end = (Crystal.from_row({"material_id": name, **pair[name]}).to_ase() for name in ("initial", "final"))
    displacements = end.get_scaled_positions(wrap=False) - start.get_scaled_positions(wrap=False)
    displacements -= np.rint(displacements)
    end.cell = start.cell
    end.positions = start.positions + displacements @ start.cell.array
    return Ends(start, end, int(np.linalg.norm(displacements @ start.cell.array, axis=1).argmax()))


def compare(runs: list[Path]) -> None:
    engines, tables = [read_json(folder / "engine.json") for folder in runs], [read_run(folder) for folder in runs]
    shared = set.intersection(*(set(table["pair_id"]) for table in tables))
    for engine, table in zip(engines, tables, strict=True):
        parts = {"pairs_with_one_cell": table[~table["pair_id"].isin(list_pairs_of_two_cells())]}
        if len(tables) > 1:
            parts["pairs_of_all_engines"] = table[table["pair_id"].isin(shared)]
        keep(
            f"migration-pairs-{engine['engine']}",
            {
                "engine": engine, "settings": {"images": SETTINGS.images, "fmax_ev_a": SETTINGS.fmax_ev_a},
                **summarize(table), **{name: summarize(part) for name, part in parts.items()},
            },
        )  # fmt: skip


def list_pairs_of_two_cells() -> list[str]:
    """Return the pairs whose ends were published in different cells."""
    return [pair["pair_id"] for pair in read_pairs()
            if not np.allclose(pair["initial"]["lattice"], pair["final"]["lattice"], atol=0.005)]  # fmt: skip


def read_run(folder: Path) -> pd.DataFrame:
    return pd.DataFrame([read_json(file) for file in sorted(folder.glob("pair-*.json"))])


def summarize(table: pd.DataFrame) -> dict[str, Any]:
    """Compute the errors, and count pairs with a barrier and converged ones."""
    known = table[table["barrier_ev"].notna()]
    error = (known["barrier_ev"] - known["dft_ev"]).to_numpy(float)
    spread = ((known["dft_ev"] - known["dft_ev"].mean()) ** 2).sum()
    right = (known["barrier_ev"] < LOW_EV) == (known["dft_ev"] < LOW_EV)
    return {
        "n": len(table), "with_barrier": len(known), "converged": int(known["converged"].sum()),
        "mae_ev": round(float(np.abs(error).mean()), 3), "bias_ev": round(float(error.mean()), 3),
        "median_absolute_ev": round(float(np.median(np.abs(error))), 3),
        "r2": round(1.0 - float((error**2).sum() / spread), 3), "right_at_0.5_ev": round(float(right.mean()), 3),
        "low_n": int((known["dft_ev"] < LOW_EV).sum()),
        "calibrated_mae_ev": {name: round(float(np.abs(each).mean()), 3) for name, each in leave_out(known).items()},
        "families": known["family"].nunique(), "cpu_s_mean": round(float(table["cpu_s"].mean()), 1),
        "cpu_s_median": round(float(table["cpu_s"].median()), 1),
    }  # fmt: skip


def leave_out(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Compute errors with one factor, or one shift, learned from the other families of crystals."""
    computed, published = table["barrier_ev"].to_numpy(float), table["dft_ev"].to_numpy(float)
    errors = {"factor": np.empty(len(table)), "shift": np.empty(len(table))}
    for family in table["family"].unique():
        new = (table["family"] == family).to_numpy()
        a, b = computed[~new], published[~new]
        errors["factor"][new] = computed[new] * (a @ b) / (a @ a) - published[new]
        errors["shift"][new] = computed[new] + (b - a).mean() - published[new]
    return errors


if __name__ == "__main__":
    main()
