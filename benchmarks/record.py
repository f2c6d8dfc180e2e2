"""Folders of reference data and of results, and functions that time commands and write results, for all benchmarks."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SHARED = Path(os.environ.get("PHONOLYTE_SHARED", Path(__file__).parents[2] / "shared"))
"""Folder of reference data, which is not part of the project."""


BARE = ("--no-figures", "--no-report")
"""Options with which a command writes only tables."""


def time_command(*arguments: object) -> float:
    """Return the seconds that a command of Phonolyte takes, including the start of Python, to 0.1.

    Exit code 1 means that some of the materials failed, as a few of any database do.
    """
    program = Path(sys.executable).with_name("phonolyte")
    start = time.perf_counter()
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False)
    if done.returncode not in (0, 1):
        done.check_returncode()
    return round(time.perf_counter() - start, 1)


def keep(name: str, result: dict[str, Any], *packages: str) -> None:
    """Write a result to ``results/NAME.json`` and print it, with processor and versions."""
    record = {
        "benchmark": name,
        **result,
        "cores": os.cpu_count(),
        "processor": _read_processor(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("phonolyte", "numpy", "numba", *packages)},
    }
    text = json.dumps(record, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def _read_processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
