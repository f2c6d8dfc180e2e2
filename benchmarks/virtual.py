"""Virtual compounds: the six prototypes as one command, features against matminer, and a stream of 102,629,376.

Usage: python benchmarks/virtual.py [SECONDS]

The stream is a garnet whose oxygen and lanthanum positions change one by one; it runs for SECONDS (default:
60), keeps the best 10,000, and the time for all is estimated from the rate. matminer computes the same 273 values
of a sample of the built structures.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
from features import make_matminer_featurizer
from record import BARE, keep, time_command

from phonolyte.models import BandCenterModel
from phonolyte.runs.run import Run
from phonolyte.virtual import BUILT_IN, ParentFeatures, SlotRule, Space, built_in_rules, run_virtual

REPEATS = 3
SAMPLE = 3
"""Structures of each prototype for matminer."""

PEAK_OF_CHILD = resource.RUSAGE_CHILDREN


def main() -> None:
    limit_s = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    keep(
        "virtual",
        {
            "command": time_runs(),
            "features": time_features(),
            "stream": time_stream(limit_s, "virtual"),
            "stream_of_the_study_s_model": time_stream(limit_s, "study"),
        },
        "matminer",
        "pymatgen-core",
    )


def time_runs() -> dict[str, object]:
    """Return the seconds of the whole command, including the start of Python."""
    seconds, bare = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(REPEATS):
            seconds.append(time_command("virtual", "-o", f"{scratch}/{repeat}"))
            bare.append(time_command("virtual", *BARE, "-o", f"{scratch}/{repeat}-bare"))
        table = pd.concat(pd.read_parquet(path) for path in Path(scratch, "0", "virtual").glob("*.parquet"))
    peak_gb = round(resource.getrusage(PEAK_OF_CHILD).ru_maxrss / 1e6, 2)
    return {
        "seconds": seconds, "seconds_without_figures_and_report": bare, "peak_gb": peak_gb, "compounds": len(table)
    }  # fmt: skip


def time_features() -> dict[str, float]:
    """Return microseconds for the features of a compound, and seconds of matminer for its structure, on one core."""
    spaces = [Space.from_rules(built_in_rules(name)) for name in BUILT_IN]
    n, ours_s, matminer_s, built = 0, 0.0, 0.0, 0
    featurizer = make_matminer_featurizer()
    for space in spaces:
        kernel, numbers = ParentFeatures.from_parent(space.parent), space.numbers(space.sample(20 * 1024))
        kernel(numbers[:1024])
        start = time.perf_counter()
        for i in range(0, len(numbers), 1024):
            kernel(numbers[i : i + 1024])
        ours_s += time.perf_counter() - start
        n += len(numbers)
        structures = [space.crystal(i).to_pymatgen() for i in space.sample(SAMPLE, seed=1).tolist()]
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for structure in structures:
                featurizer.featurize(structure)
        matminer_s += time.perf_counter() - start
        built += SAMPLE
    each_s, matminer_each_s = ours_s / n, matminer_s / built
    return {
        "us_each": round(1e6 * each_s, 2),
        "matminer_s_each": round(matminer_each_s, 2),
        "ratio": round(matminer_each_s / each_s),
    }


def time_stream(limit_s: float, name: str) -> dict[str, object]:
    """Return compounds per second and the memory over time, while the best 10,000 stay in memory."""
    file = built_in_rules("garnet")
    lists = {slot.name: slot for slot in file.rules.slots}
    ions = (*lists["Li"].elements, "Rb", "Cs", "Sr", "Ba")
    slots = [replace(lists["Li"], elements=ions), lists["Zr"]]
    slots += [SlotRule(f"La{i}", lists["La"].elements, (site,)) for i, site in enumerate(("La 8b", "La 16e"))]
    slots += [SlotRule(f"O{i}", lists["O"].elements, (site,)) for i, site in enumerate(("O 32g", "O 32g 2", "O 32g 3"))]
    space = Space.from_rules(replace(file, rules=replace(file.rules, slots=tuple(slots))))
    model = BandCenterModel.embedded(name)
    start, done, memory = time.perf_counter(), 0, [(0.0, read_resident_gb())]

    def count(n: int) -> None:
        nonlocal done
        done += n
        now = time.perf_counter() - start
        if now > memory[-1][0] + limit_s / 12:
            memory.append((round(now, 1), read_resident_gb()))
        if now > limit_s:
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as executor:
        with suppress(KeyboardInterrupt), Run(scratch, "virtual") as run:
            run_virtual(run, [space], model, top=10_000, executor=executor, progress=lambda *_: nullcontext(count))
        seconds = time.perf_counter() - start
    rate = done / seconds
    return {
        "compounds_of_the_rules": len(space),
        "done": done,
        "seconds": round(seconds, 1),
        "per_second": round(rate),
        "seconds_for_1e8": round(1e8 / rate),
        "memory_gb_at_s": memory,
    }


def read_resident_gb() -> float:
    """Return the current memory of this process, GB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e9, 3)


if __name__ == "__main__":
    main()
