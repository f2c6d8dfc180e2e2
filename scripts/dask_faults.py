"""Run commands on a Dask scheduler with three workers as processes of their own, and lose two workers on the way.

Usage: python scripts/dask_faults.py [TABLE.parquet [PROPERTIES.csv]]

A screen (of the table, or of the learning set that comes with Phonolyte), and campaigns of phonons and of barriers
with EMT: one worker is killed (SIGKILL) and another stopped (SIGSTOP) in the middle. The results must be those of one
process, byte by byte less the columns `seconds`, and each crystal must appear once. Where all workers survive, the time
is compared with local processes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kill import PROGRAM, ROOT, digest_files, prepare_phonons

WORKERS = 3
TTL_S = 15
"""Time after which the scheduler gives up a silent worker, s; Dask's default is five minutes."""


def main() -> None:
    learning_set = ROOT / "src/phonolyte/data/learning_set/crystals.parquet"
    table = [Path(name).resolve() for name in sys.argv[1:]] or [learning_set]
    properties = ["--properties", str(table[1])] if len(table) > 1 else []
    bare = ["--no-figures", "--no-report"]
    with tempfile.TemporaryDirectory() as scratch, prepare_phonons(Path(scratch)) as arguments:
        metals = arguments[1]
        cases = {
            "screen": ["screen", str(table[0]), *properties, *bare],
            "phonons": ["phonons", metals, "--engine", "emt", *bare],
            "barriers": ["migrate", f"{metals}/Cu-99.extxyz", f"{metals}/Cu-101.extxyz", f"{metals}/Cu-103.extxyz",
                         f"{metals}/Cu-97.extxyz", "--ion", "Cu", "--method", "neb", "--engine", "emt", *bare],
        }  # fmt: skip
        results = {name: compare(name, arguments, Path(scratch)) for name, arguments in cases.items()}
    print(json.dumps(results, indent=1))
    sys.exit(not all(result["same_bytes"] for result in results.values()))


def compare(name: str, arguments: Sequence[str], scratch: Path) -> dict[str, object]:
    single = run([*arguments, "--jobs", "1"], scratch / f"{name}-one")
    local = run([*arguments, "--jobs", str(WORKERS)], scratch / f"{name}-local")
    with start_cluster(scratch) as (address, _):
        dask = run([*arguments, "--executor", f"dask={address}"], scratch / f"{name}-dask")
    with start_cluster(scratch) as (address, workers):
        faulty = run([*arguments, "--executor", f"dask={address}"], scratch / f"{name}-faulty", workers, single / 3)
    expected = digest_files(scratch / f"{name}-one")
    folders = [scratch / f"{name}-{kind}" for kind in ("local", "dask", "faulty")]
    different = {folder.name: [n for n in expected if digest_files(folder).get(n) != expected[n]] for folder in folders}
    return {
        "seconds_one_process": single, "seconds_local": local, "seconds_dask": dask, "seconds_with_faults": faulty,
        "overhead": round(dask / local - 1, 3), "same_bytes": not any(different.values()),
        **({"different": different} if any(different.values()) else {}),
    }  # fmt: skip


def run(arguments: Sequence[str], folder: Path, workers: Sequence[subprocess.Popen] = (), after: float = 0.0) -> float:
    start = time.perf_counter()
    with subprocess.Popen([*PROGRAM, *arguments, "-o", str(folder)], stdout=subprocess.DEVNULL) as process:
        if workers:
            time.sleep(after)
            os.kill(workers[0].pid, signal.SIGKILL)
            os.kill(workers[1].pid, signal.SIGSTOP)
            print(f"{folder.name}: a worker killed, another stopped after {after:.1f} s", flush=True)
        code = process.wait()
    seconds = time.perf_counter() - start
    print(f"{folder.name}: exit {code}, {seconds:.1f} s", flush=True)
    return round(seconds, 1)


@contextmanager
def start_cluster(scratch: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Start a scheduler and its workers, each a process."""
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unbound.getsockname()[1]}"
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{TTL_S}s"}
    scheduler = start_process([sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port",
                               address.rpartition(":")[2], "--no-dashboard"], environment)  # fmt: skip
    time.sleep(3)
    workers = [
        start_process([sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny",
                       "--no-dashboard", "--local-directory", str(scratch)], environment)
        for _ in range(WORKERS)
    ]  # fmt: skip
    time.sleep(5)
    try:
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def start_process(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
