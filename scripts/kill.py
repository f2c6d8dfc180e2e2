"""Kill each command that makes a run folder at random moments, repeat it, and compare with an uninterrupted run.

Usage: python scripts/kill.py [--moments N] [COMMAND ...]

The commands are screen, virtual, fetch, phonons and impedance. Every process of a command is killed with SIGKILL.
Files must then be the same, byte by byte, except for what states the time: ``run.toml``, the report, and
`seconds` in tables and records.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from ase.build import bulk
from ase.io import write

PROGRAM = [sys.executable, "-m", "phonolyte"]
ROOT = Path(__file__).parents[1]
TIMES = ("run.toml", "report.html", "impedance.html", ".lock", ".written", ".drawn")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("commands", nargs="*", default=[*CASES])
    options = parser.parse_args()
    rng = random.Random(options.seed)
    n_different = 0
    for name in options.commands:
        with tempfile.TemporaryDirectory() as scratch, CASES[name](Path(scratch)) as arguments:
            n_different += try_command(name, arguments, Path(scratch), options.moments, rng)
    sys.exit(bool(n_different))


def try_command(name: str, arguments: list[str], scratch: Path, moments: int, rng: random.Random) -> int:
    whole = scratch / "whole"
    start = time.perf_counter()
    code = subprocess.run([*PROGRAM, *arguments, "-o", whole], capture_output=True, check=False).returncode
    if code < 0:
        sys.exit(f"{name}: the run that was to be left alone was ended by signal {-code}")
    seconds = time.perf_counter() - start
    expected, different, unfinished = digest_files(whole), [], 0
    for moment in range(moments):
        folder = scratch / f"killed-{moment}"
        after = rng.uniform(0.1, seconds)
        unfinished += kill_after([*PROGRAM, *arguments, "-o", str(folder)], after)
        again = subprocess.run([*PROGRAM, *arguments, "-o", folder], capture_output=True, check=False, text=True)
        digests = digest_files(folder)
        if digests != expected or again.returncode != code:
            names = sorted(path for path in {*digests, *expected} if digests.get(path) != expected.get(path))[:5]
            different.append(f"after {after:.2f} s: exit {again.returncode}, {', '.join(names)} {again.stderr[-300:]}")
    counts = f"{moments} kills ({unfinished} before its end), {len(different)} differ"
    print(f"{name}: {seconds:.1f} s, {counts}", flush=True)
    for line in different:
        print(f"  {line}")
    return len(different)


def kill_after(command: list[str], seconds: float) -> bool:
    """Start a command, kill all its processes after some time, and return whether it had not ended."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
    return False


def digest_files(folder: Path) -> dict[str, str]:
    """Compute the digest of each file, without what states the time."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.name not in TIMES and not name.startswith("items/"):
            digests[name] = digest_file(path)
    return digests


def digest_file(path: Path) -> str:
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        if "seconds" in table:
            return hashlib.sha256(table.drop(columns="seconds").to_csv().encode()).hexdigest()
    if path.suffix == ".json":
        record = json.loads(path.read_text())
        if isinstance(record, dict) and "seconds" in record:
            return hashlib.sha256(json.dumps(record | {"seconds": None}).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def prepare_screen(scratch: Path) -> Iterator[list[str]]:
    yield ["screen", str(ROOT / "src/phonolyte/data/learning_set/crystals.parquet"), "--jobs", "2"]


@contextmanager
def prepare_virtual(scratch: Path) -> Iterator[list[str]]:
    yield ["virtual", "--prototype", "li3ps4", "--prototype", "lgps"]


@contextmanager
def prepare_phonons(scratch: Path) -> Iterator[list[str]]:
    folder = scratch / "metals"
    folder.mkdir()
    for symbol in ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"):
        for percent in range(97, 104, 2):
            atoms = bulk(symbol)
            atoms.set_cell(atoms.cell * percent / 100, scale_atoms=True)
            write(folder / f"{symbol}-{percent}.extxyz", atoms)
    yield ["phonons", str(folder), "--engine", "emt", "--jobs", "2"]


@contextmanager
def prepare_impedance(scratch: Path) -> Iterator[list[str]]:
    folder, random_numbers = scratch / "spectra", np.random.default_rng(0)
    folder.mkdir()
    frequency = np.logspace(6, 0, 49)
    for celsius in range(0, 100, 5):
        ohm = 1e4 * np.exp(4000 * (1 / (celsius + 273.15) - 1 / 298.15))
        impedance = 20 + ohm / (1 + (1j * 2 * np.pi * frequency * ohm * 1e-11) ** 0.95)
        impedance = impedance + 1 / (1e-6 * (1j * 2 * np.pi * frequency) ** 0.9)
        noise = 1 + 1e-3 * (random_numbers.normal(size=(2, len(frequency))))
        columns = {"f (Hz)": frequency, "Z' (ohm)": impedance.real * noise[0], "Z'' (ohm)": impedance.imag * noise[1]}
        pd.DataFrame(columns).to_csv(folder / f"pellet_{celsius}C.csv", index=False)
    yield ["impedance", str(folder), "--thickness-mm", "1", "--diameter-mm", "10"]


@contextmanager
def prepare_fetch(scratch: Path) -> Iterator[list[str]]:
    """Start an OPTIMADE server of the tests on this machine, and yield the arguments."""
    sys.path.insert(0, str(ROOT / "tests"))
    from optimade_server import salt, serving

    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    with serving(scratch, [salt(number) for number in range(2000)]) as url:
        yield ["fetch", "optimade", "--base-url", url, "--page-size", "100"]


CASES: dict[str, Callable] = {
    "screen": prepare_screen, "virtual": prepare_virtual, "fetch": prepare_fetch, "phonons": prepare_phonons,
    "impedance": prepare_impedance,
}  # fmt: skip


if __name__ == "__main__":
    main()
