"""The whole command on 21,755 Li structures: read, featurize, predict, find duplicates, rank, draw and write.

Usage: python benchmarks/screen.py [STRUCTURES.parquet PROPERTIES.csv.gz]
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path

from record import BARE, SHARED, keep, time_command

REPEATS = 3


def main() -> None:
    paths = sys.argv[1:] or [SHARED / "data" / "mp_li_structures.parquet", SHARED / "data" / "mp_li_table.csv.gz"]
    structures, properties = map(str, paths)
    seconds, bare = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(REPEATS):
            folder = Path(scratch) / str(repeat)
            command = ("screen", structures, "--properties", properties, "--ion", "Li", "-o", folder)
            seconds.append(time_command(*command))
            bare.append(time_command(*command, *BARE, "-o", f"{folder}-bare"))
        funnel = json.loads((folder / "funnel.json").read_text())
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    keep(
        "screen",
        {
            "seconds": seconds,
            "seconds_without_figures_and_report": bare,
            "peak_gb": round(peak_kb / 1e6, 2),
            "materials": funnel["steps"][0]["kept"],
            "candidates": funnel["candidates"],
            "kept": {step["name"]: step["kept"] for step in funnel["steps"]},
        },
    )


if __name__ == "__main__":
    main()
