"""Whole commands, killed as a machine kills them, and given again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk

from phonolyte.structures import Crystal

COMMAND = [sys.executable, "-c", "from phonolyte.cli import main; main()"]
METALS = {"Al": 4.05, "Ni": 3.52, "Cu": 3.61, "Pd": 3.89, "Ag": 4.09, "Pt": 3.92, "Au": 4.08}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")


def make_alloys() -> list[Crystal]:
    """29 crystals: seven metals, 21 alloys as CuAu, and one that the engine does not know."""
    metals = [Crystal.from_ase(bulk(symbol, a=a), material_id=symbol) for symbol, a in METALS.items()]
    pairs = [(a, b) for a in METALS for b in METALS if a < b]
    made = []
    for one, other in pairs:
        a = (METALS[one] + METALS[other]) / 2
        made.append(
            Crystal.from_arrays(f"{one}{other}-CuAu", [a / 2**0.5, 0, 0, 0, a / 2**0.5, 0, 0, 0, a], [one, other],
                       [0, 0, 0, 0.5, 0.5, 0.5])
        )  # fmt: skip
    lithium = Crystal.from_ase(bulk("Li", "bcc", a=3.5), material_id="fails")
    return [*metals, *made, lithium]


def start_and_kill(arguments: list[str], when: Callable[[], bool]) -> None:
    """Start a command and kill it without a warning once something is true."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not when():
            assert process.poll() is None, "it was done before it could be killed"
            time.sleep(0.005)
        workers = list_children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    while any(map(is_alive, workers)):  # a worker that outlives its run would go on computing, or wait forever
        time.sleep(0.05)


def list_children(pid: int) -> list[int]:
    """Processes that a process has started; none where there is no /proc."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.is_file() else []


def is_alive(pid: int) -> bool:
    """Check whether a process computes or waits: a zombie does neither."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def finish(arguments: list[str]) -> int:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, check=False).returncode


@pytest.mark.long
def test_a_killed_campaign_ends_with_the_same_tables(tmp_path: Path):
    pd.DataFrame([crystal.row() for crystal in make_alloys()]).to_parquet(tmp_path / "alloys.parquet")
    common = ["phonons", str(tmp_path / "alloys.parquet"), "--engine", "emt", "--min-length-a", "5", "--no-confirm",
              "--mesh", "7", "7", "7", "--no-figures", "-o"]  # fmt: skip
    assert finish([*common, str(tmp_path / "whole"), "--jobs", "1"]) == 1
    items = tmp_path / "killed" / "items"
    for n in (9,):
        start_and_kill([*common, str(tmp_path / "killed")], lambda n=n: len([*items.glob("[!.]*.json")]) >= n)  # type: ignore[misc]
        assert len([*items.glob("[!.]*.json")]) < 29
    assert finish([*common, str(tmp_path / "killed"), "--jobs", "1"]) == 1
    for name in ("phonons", "failures"):
        whole, resumed = (pd.read_parquet(tmp_path / run / f"{name}.parquet") for run in ("whole", "killed"))
        pd.testing.assert_frame_equal(
            resumed.drop(columns="seconds", errors="ignore"), whole.drop(columns="seconds", errors="ignore")
        )
    assert len(whole) == 1
    assert len(pd.read_parquet(tmp_path / "killed" / "phonons.parquet")) == 28
    assert not [*items.glob("*.started")]


@pytest.mark.long
def test_a_killed_run_of_virtual_compounds_ends_with_the_same_files(tmp_path: Path):
    common = ["virtual", "--prototype", "li3ps4", "--prototype", "li2tio3", "--no-figures", "-o"]
    whole, resumed = tmp_path / "whole", tmp_path / "killed"
    assert finish([*common, str(whole)]) == 0
    start_and_kill([*common, str(resumed)], lambda: any((resumed / "virtual").glob("[!.]*.parquet")))
    assert finish([*common, str(resumed)]) == 0
    for file in (path.relative_to(whole) for path in whole.rglob("*") if path.is_file()):
        if file.name not in ("run.toml", "report.html"):  # which say where they are
            assert (resumed / file).read_bytes() == (whole / file).read_bytes(), file
