"""The whole command on 21,755 Li structures: read, featurise, predict, find duplicates, rank and write.

Usage: python benchmarks/screen.py [STRUCTURES.parquet PROPERTIES.csv.gz]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import SHARED, keep

REPEATS = 3


def main() -> None:
    given = sys.argv[1:] or [SHARED / "data" / "mp_li_structures.parquet", SHARED / "data" / "mp_li_table.csv.gz"]
    structures, properties = map(str, given)
    seconds = []
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(REPEATS):
            folder = Path(scratch) / str(repeat)
            start = time.perf_counter()
            command = ["phonolyte", "screen", structures, "--properties", properties, "--ion", "Li", "-o", str(folder)]
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(round(time.perf_counter() - start, 1))
        funnel = json.loads((folder / "funnel.json").read_text())
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    keep(
        "screen",
        {
            "seconds": seconds,
            "peak_gb": round(peak_kb / 1e6, 2),
            "materials": funnel["steps"][0]["kept"],
            "candidates": funnel["candidates"],
            "kept": {step["name"]: step["kept"] for step in funnel["steps"]},
        },
    )


if __name__ == "__main__":
    main()
