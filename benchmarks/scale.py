"""Screens of 10^4, 10^5 and 10^6 crystals: seconds and peak memory of the whole command.

Usage: python benchmarks/scale.py [N ...]

The crystals are virtual compounds of argyrodite (13 atoms), written as a Parquet data set of 20,000 rows a file, as
people have large collections. Files stay in the folder of temporary files: a second call does not make them again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import psutil
import pyarrow.parquet as pq
from record import BARE, RESULTS, keep

from phonolyte.structures.crystal_table import crystal_table
from phonolyte.virtual import RuleFile, Rules, SlotRule, Space, built_in

SIZES = (10_000, 100_000, 1_000_000)
ROWS = 20_000
CATIONS = tuple("Na K Rb Cs Mg Ca Sr Ba Zn Cd Al Ga In Sc Y La Ti Zr Hf V Nb Ta Si Ge Sn P As Sb".split())
ANIONS = tuple("O S Se Te F Cl Br I N H P As Sb C Si Ge".split())


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or SIZES
    earlier = RESULTS / "scale.json"
    results = json.loads(earlier.read_text())["screens"] if earlier.is_file() else {}
    for size in sizes:
        folder = write_data_set(size)
        results[str(size)] = screen_folder(folder, size)
        print(size, results[str(size)], flush=True)
    keep("scale", {"screens": dict(sorted(results.items(), key=lambda item: int(item[0])))})


@cache
def make_space() -> Space:
    """Make the space of argyrodites whose five slots take almost anything: 700,000 compounds."""
    slots = (
        SlotRule("Li", CATIONS[:8]), SlotRule("P", CATIONS), SlotRule("bridge", ANIONS, sites=("S 4d",)),
        SlotRule("S", ANIONS, sites=("S 16e",)), SlotRule("Cl", ANIONS),
    )  # fmt: skip
    return Space.from_rules(RuleFile("argyrodite", built_in("argyrodite"), Rules(slots, charge="free")))


def write_data_set(size: int) -> Path:
    folder = Path(tempfile.gettempdir()) / f"phonolyte-scale-{size}"
    folder.mkdir(exist_ok=True)
    starts = [start for start in range(0, size, ROWS) if not (folder / f"{start:08d}.parquet").is_file()]
    with ProcessPoolExecutor() as executor:
        list(executor.map(write_file, [folder] * len(starts), starts, [size] * len(starts)))
    return folder


def write_file(folder: Path, start: int, size: int) -> None:
    # compounds beyond the space repeat earlier ones in a slightly larger cell
    numbers = range(start, min(start + ROWS, size))
    crystals = [make_space().crystal(number % len(make_space())) for number in numbers]
    path = folder / f"{start:08d}.parquet"
    pq.write_table(crystal_table(crystals), path.with_suffix(".partial"))
    path.with_suffix(".partial").rename(path)


def screen_folder(folder: Path, size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "phonolyte", "screen", folder, *BARE, "-o", f"{scratch}/run"]
        start = time.perf_counter()
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            peak = Peak(process.pid)
            code = process.wait()
        seconds = time.perf_counter() - start
        assert code == 0, code
        funnel = json.loads(Path(scratch, "run", "funnel.json").read_text())
    return {
        "seconds": round(seconds, 1), "ms_a_crystal": round(1000 * seconds / size, 3),
        "peak_gb_of_main": round(peak.main / 1e9, 2), "peak_gb_of_all": round(peak.total / 1e9, 2),
        "candidates": funnel["candidates"], "duplicates": funnel["duplicates"],
    }  # fmt: skip


class Peak:
    """Peak memory of a process, and of it with its children (unique set size), sampled twice a second."""

    def __init__(self, pid: int) -> None:
        self.main = self.total = 0
        self.process = psutil.Process(pid)
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        while True:
            try:
                sizes = [each.memory_full_info().uss for each in (self.process, *self.process.children(recursive=True))]
            except psutil.Error:
                if not self.process.is_running():
                    return
                continue
            self.main, self.total = max(self.main, sizes[0]), max(self.total, sum(sizes))
            time.sleep(0.5)


if __name__ == "__main__":
    main()
