"""The ground: run folders, campaigns over a toy calculation, executors, digests, records, citations."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase.calculators.emt import EMT
from rich.console import Console
from toy_tier import ToyCalculation, ToySettings
from typer.testing import CliRunner

import phonolyte
from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.columns import list_columns
from phonolyte.errors import EngineError, Failure, SettingsError, TableError
from phonolyte.forces import ENGINES, Engine
from phonolyte.references import reference_compounds
from phonolyte.report import card_of, read_run, write_report
from phonolyte.runs import campaign
from phonolyte.runs.calculation import Calculation
from phonolyte.runs.campaign import Outcome, run_campaign
from phonolyte.runs.citations import MODEL, bibtex, known_entries
from phonolyte.runs.digest import digest_of
from phonolyte.runs.executors import ExecutorSettings, open_executor
from phonolyte.runs.records import RELAXED, Record, file_name, in_one_step
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.structures import Crystal
from phonolyte.summary import calculation_table
from phonolyte.tiers import TIERS, all_tiers

FAILURE = Failure("m1", "toy", "ValueError", "it has no volume", "a.cif")


def make_crystal(name: str, a: float = 3.0, n: int = 1) -> Crystal:
    coords = [[i / n, 0.0, 0.0] for i in range(n)]
    return Crystal.from_arrays(name, np.eye(3) * a, ["Li"] * n, coords)


THREE = [make_crystal("one", 3.0), make_crystal("two", 4.0, n=2), make_crystal("three", 5.0, n=3)]


def read_run_record(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))


# Run folders


def test_a_run_is_written_before_anything_else_and_says_how_it_ended(tmp_path: Path):
    (tmp_path / "in.cif").write_text("abc")
    run = Run(tmp_path / "run", "toy", settings={"factor": 2.0, "ion": None}, inputs=[tmp_path / "in.cif"])
    assert not (tmp_path / "run").exists()
    with run:
        record = read_run_record(run.folder)
        assert record["state"] == "running"
        assert len(pd.read_parquet(run.folder / "failures.parquet")) == 0
        run.add_note("look here")
        run.add_note("look here")
    record = read_run_record(run.folder)
    assert (record["state"], record["command"], record["format"]) == ("finished", "toy", 2)
    assert record["settings"] == {"factor": 2.0}
    assert record["notes"] == ["look here"]
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256, from FIPS 180
    assert record["inputs"] == {str(tmp_path / "in.cif"): abc}


@pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt(), "stopped"), (ValueError("no"), "failed")])
def test_a_run_that_does_not_come_to_its_end_says_so(tmp_path: Path, error: BaseException, state: str):
    closed: list[Run] = []
    with pytest.raises(type(error)), Run(tmp_path, "toy", closing=closed.append):
        raise error
    assert read_run_record(tmp_path)["state"] == state
    assert not closed
    with Run(tmp_path, "toy", closing=closed.append) as run:  # the lock is free
        pass
    assert closed == [run]


def test_the_folder_of_another_command_is_refused(tmp_path: Path):
    with Run(tmp_path, "screen"):
        pass
    with pytest.raises(SettingsError, match=r"holds a run of phonolyte screen(?s:.*)--overwrite"), Run(tmp_path, "toy"):
        pass
    assert read_run_record(tmp_path)["command"] == "screen"


def test_another_run_of_the_same_command_is_refused_and_what_differs_is_named(tmp_path: Path):
    file = tmp_path / "in.cif"
    file.write_text("a")
    folder, settings = tmp_path / "run", {"factor": 2.0, "mesh": (1, 2, 3), "where": Path("x")}
    with Run(folder, "toy", settings=settings, inputs=[file]):
        pass
    with Run(folder, "toy", settings={**settings, "mesh": [1, 2, 3]}, inputs=[file]):
        pass  # the same, as TOML has it
    for other in ({"factor": 3.0}, {"factor": None}, {"more": True}):
        (name,) = other
        with pytest.raises(SettingsError, match=rf"with other settings \({name}\)"):
            Run(folder, "toy", settings={**settings, **other}, inputs=[file]).__enter__()
    file.write_text("b")
    with pytest.raises(SettingsError, match="another run of phonolyte toy, with other inputs"):
        Run(folder, "toy", settings=settings, inputs=[file]).__enter__()
    with Run(folder, "toy", settings=settings, inputs=[file], overwrite=True):
        pass
    assert read_run_record(folder)["state"] == "finished"


def test_a_folder_of_the_first_version_is_one_message(tmp_path: Path):
    (tmp_path / "run.toml").write_text('command = "toy"\nphonolyte = "0.1.0.dev0"\n')
    (tmp_path / "toy.parquet").write_text("")
    for overwrite in (False, True):
        with pytest.raises(SettingsError) as raised:
            Run(tmp_path, "toy", overwrite=overwrite).__enter__()
        assert "0.1.0.dev0" in str(raised.value)
        assert "Choose another -o" in str(raised.value)
    with pytest.raises(SettingsError, match=r"0\.1\.0\.dev0"):
        write_report(tmp_path)
    assert (tmp_path / "toy.parquet").exists()


HOLDS = """
import sys
from phonolyte.runs.run import Run
with Run(sys.argv[1], "toy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_one_run_s_until_its_process_dies(tmp_path: Path):
    with Run(tmp_path, "toy"), pytest.raises(SettingsError, match="is in use"):
        Run(tmp_path, "toy", overwrite=True).__enter__()
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SettingsError, match=r"is in use(?s:.*)another phonolyte"):
            Run(tmp_path, "toy").__enter__()
        assert read_run_record(tmp_path)["state"] == "running"
        other.kill()
        other.wait()
    with Run(tmp_path, "toy"):
        pass
    assert read_run_record(tmp_path)["state"] == "finished"


def test_overwriting_removes_what_runs_have_written_and_nothing_else(tmp_path: Path):
    folder = tmp_path / "run"
    (folder / "two").mkdir(parents=True)
    (folder / "two" / "mine.txt").write_text("a folder that was there before")
    (folder / "notes.txt").write_text("mine")
    with Run(folder, "toy", settings={"factor": 1.0}) as run:
        run_campaign(ToyCalculation(), THREE, run)
        run.path("figures").mkdir()
    assert (folder / "three" / "toy.txt").is_file()
    with Run(folder, "toy", settings={"factor": 2.0}, overwrite=True) as run:
        left = {path.name for path in folder.iterdir()}
        assert left == {"two", "notes.txt", "run.toml", "failures.parquet", ".lock"}
        run_campaign(ToyCalculation(ToySettings(2.0)), THREE[:1], run)
    assert (folder / "two" / "mine.txt").is_file()
    assert pd.read_parquet(folder / "toy.parquet")["toy_volume_a3"].tolist() == [54.0]


def test_what_runs_have_written_is_listed_once(tmp_path: Path):
    for _ in range(2):
        compute(tmp_path, THREE[:1])
    listed = (tmp_path / ".written").read_text().split()
    assert sorted(listed) == ["cite.bib", "columns.csv", "one", "toy.parquet", "toy_atoms.parquet"]


def test_a_manifest_of_a_stranger_removes_nothing_outside(tmp_path: Path):
    folder = tmp_path / "run"
    with Run(folder, "screen"):
        pass
    (tmp_path / "precious").mkdir()
    (folder / "kept").mkdir()
    (folder / ".written").write_text("..\n.\n/\n../precious\nkept/..\n\n" + str(tmp_path / "precious") + "\n")
    with Run(folder, "toy", overwrite=True):
        pass
    assert (tmp_path / "precious").is_dir()
    assert (folder / "kept").is_dir()


def test_failures_are_added_and_not_repeated(tmp_path: Path):
    with Run(tmp_path, "toy") as run:
        run.add_failures([FAILURE])
        run.add_failures([FAILURE, replace(FAILURE, material_id="m2")])
        assert pd.read_parquet(tmp_path / "failures.parquet")["material_id"].tolist() == ["m1", "m2"]
    row = pd.read_parquet(tmp_path / "failures.parquet").to_dict("records")[0]
    assert row == {"material_id": "m1", "stage": "toy", "error": "ValueError", "message": "it has no volume",
                   "source": "a.cif"}  # fmt: skip


def test_columns_that_nobody_has_described_are_refused(tmp_path: Path):
    with Run(tmp_path, "toy") as run:
        with pytest.raises(TableError, match=r"toy.parquet has an unknown column 'color'"):
            run.write_table("toy.parquet", pd.DataFrame({"material_id": ["a"], "color": [1]}))
        assert not (tmp_path / "toy.parquet").exists()
        table = pd.DataFrame({"material_id": ["a"], "Li_center_mev": [1.0], "color": [1]})
        run.write_table("toy.parquet", table, csv=True, free=["color"])
    assert (tmp_path / "toy.csv").is_file()
    described = pd.read_csv(tmp_path / "columns.csv").set_index("column")
    assert described.loc["Li_center_mev", "unit"] == "meV"
    assert described.loc["Li_center_mev", "meaning"] == "Band center of Li alone."


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes there")
def test_names_of_files_can_be_any_bytes(tmp_path: Path):
    file = tmp_path / os.fsdecode(b"\xff.cif")
    file.write_text("abc")
    with Run(tmp_path / "run", "toy", settings={"inputs": [str(file)]}, inputs=[file]):
        pass
    assert read_run_record(tmp_path / "run")["state"] == "finished"


def test_a_place_that_cannot_be_a_run_folder_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be a folder for results"):
        Run(tmp_path / "file", "toy").__enter__()


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path: Path):
    write = (
        "import os, signal, sys; from pathlib import Path; from phonolyte.runs.records import in_one_step\n"
        "with in_one_step(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    (tmp_path / "figures").mkdir()
    (tmp_path / ".mine.partial").write_text("a user's own")
    subprocess.run([sys.executable, "-c", write, str(tmp_path / "figures" / "a.pdf")], check=False)
    assert len(list((tmp_path / "figures").iterdir())) == 1
    with Run(tmp_path, "toy"):
        pass
    assert not list((tmp_path / "figures").iterdir())
    assert (tmp_path / ".mine.partial").is_file()


def test_a_file_is_whole_or_as_it_was_and_nothing_stays_beside_it(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    for text, error in (("half, then \ud800", UnicodeEncodeError), (3, TypeError)):
        with pytest.raises(error), in_one_step(path) as partial:
            partial.write_text(text)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with in_one_step(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


# Names


@pytest.mark.parametrize(
    "name",
    ["phonons.parquet", "jobs", "JOBS", "items", "../../x", "/etc/passwd", ".", "..", ".lock", "run.toml", "con", "a/b",
     "", "a" * 300, "a\nb", "Ω", "\ud800", "a b"],
)  # fmt: skip
def test_a_crystal_of_any_name_has_a_file_of_its_own(name: str):
    safe = file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_.~+-]{1,100}", safe)
    assert safe not in ("phonons.parquet", "jobs", "items", "run.toml", "con")
    assert not safe.startswith(".")
    assert safe != name
    assert file_name(name) == safe != file_name(f"{name}x")


def test_ordinary_names_stay_as_they_are():
    for name in ("mp-149", "ref-Li2S", "Li3PS4_Pmn2_1", "COD.1000041", "a+b~c"):
        assert file_name(name) == name


def test_crystals_with_names_of_other_things_stay_in_the_run_folder(tmp_path: Path):
    names = ["toy.parquet", "jobs", "../../x", "run.toml", "items", ".."]
    folder = tmp_path / "a" / "b" / "run"
    outcome = compute(folder, [make_crystal(name) for name in names])
    assert outcome.table["material_id"].tolist() == names
    assert pd.read_parquet(folder / "toy.parquet")["material_id"].tolist() == names
    assert len(list((folder / "items").glob("*.json"))) == len(names)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["run"]
    assert read_run_record(folder)["command"] == "toy"


# Digests


@dataclass(frozen=True)
class Point:
    x: float
    y: float


def test_the_same_value_has_the_same_digest():
    assert digest_of(60) == digest_of(60.0) == digest_of(np.float64(60)) == digest_of(np.int32(60))
    assert digest_of(0.0) == digest_of(-0.0)
    assert digest_of({"a": 1, "b": [2, 3]}) == digest_of({"b": (2, 3), "a": 1})
    assert digest_of({1, 2, 3}) == digest_of(frozenset({3, 2, 1}))
    assert digest_of(Point(1, 2)) == digest_of(Point(1.0, 2.0))
    array = np.arange(6.0).reshape(2, 3)
    assert digest_of(array) == digest_of(np.asfortranarray(array)) == digest_of(array[:, ::-1][:, ::-1])
    assert re.fullmatch("[0-9a-f]{64}", digest_of())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, "1"),
        (None, "None"),
        (None, ""),
        (0.1, 0.1 + 1e-16 + 1e-17),
        ([1, 2], [2, 1]),
        ([[1], 2], [[1, 2]]),
        ({"a": 1}, {"a": 2}),
        ({"a": {"b": 1}}, {"a": 1, "b": 1}),
        (["a", "b"], ["a;str:b"]),
        (["a", "b"], ["ab"]),
        (np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)),
        (np.arange(3.0), np.arange(3.0) + 1e-15),
        (Point(1, 2), Point(2, 1)),
        (Path("a"), "a"),
    ],
)
def test_another_value_has_another_digest(one: object, other: object):
    assert digest_of(one) != digest_of(other)


def test_what_has_no_stated_content_has_no_digest():
    with pytest.raises(TypeError, match="function has no digest"):
        digest_of({"a": compute})


# Campaigns


def compute(folder: Path, crystals: list[Crystal], calculation: Calculation | None = None, **more: Any) -> Outcome:
    """Outcome of the toy in a run folder that goes on under any settings."""
    with Run(folder, "toy", identity="toy") as run:
        return run_campaign(calculation or ToyCalculation(), crystals, run, **more)


def make_calculation(tmp_path: Path, **settings: Any) -> tuple[ToyCalculation, Path]:
    log = tmp_path / "log.txt"
    log.touch()
    return ToyCalculation(ToySettings(**settings), log=str(log)), log


def test_a_result_a_failure_and_what_waits_are_distinguished(tmp_path: Path):
    crystals = [make_crystal("fails-a"), *THREE, make_crystal("waits"), make_crystal("fails-b")]
    outcome = compute(tmp_path, crystals)
    assert outcome.table["toy_volume_a3"].tolist() == pytest.approx([27.0, 64.0, 125.0])
    assert [failure.material_id for failure in outcome.failures] == ["fails-a", "fails-b"]
    assert outcome.failures[0].error == "ValueError"
    assert outcome.failures[0].stage == "toy"
    assert outcome.failures[0].message == "fails-a has no volume"
    assert list(outcome.waiting) == ["waits"]
    assert len(outcome.table) + len(outcome.failures) + len(outcome.waiting) == len(crystals)
    assert len(pd.read_parquet(tmp_path / "toy_atoms.parquet")) == 6
    assert len(pd.read_parquet(tmp_path / "failures.parquet")) == 2
    assert not list((tmp_path / "items").glob("*.started"))


def test_a_campaign_that_was_stopped_goes_on(tmp_path: Path):
    calculation, log = make_calculation(tmp_path)
    crystals = [make_crystal("fails"), THREE[0], make_crystal("stops"), THREE[1]]
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path / "run", crystals, calculation)
    assert read_run_record(tmp_path / "run")["state"] == "stopped"
    outcome = compute(tmp_path / "run", crystals, calculation)
    assert log.read_text().split() == ["fails", "one", "stops", "stops", "two"]
    assert outcome.table["material_id"].tolist() == ["one", "stops", "two"]
    assert [failure.material_id for failure in outcome.failures] == ["fails"]
    assert len(pd.read_parquet(tmp_path / "run" / "failures.parquet")) == 1


def test_other_settings_another_method_and_another_crystal_are_computed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calculation, log = make_calculation(tmp_path)
    compute(tmp_path / "run", THREE[:1], calculation)
    compute(tmp_path / "run", THREE[:1], calculation)
    assert log.read_text().split() == ["one"]
    other = replace(calculation, settings=ToySettings(2.0))
    assert compute(tmp_path / "run", THREE[:1], other).table["toy_volume_a3"].tolist() == pytest.approx([54.0])
    wider = make_crystal("one", 6.0)
    assert compute(tmp_path / "run", [wider], other).table["toy_volume_a3"].tolist() == pytest.approx([432.0])
    monkeypatch.setattr(ToyCalculation, "method", 2)
    compute(tmp_path / "run", [wider], other)
    assert log.read_text().split() == ["one"] * 4


def test_crystals_of_an_earlier_call_stay_in_the_table(tmp_path: Path):
    compute(tmp_path, THREE[:2])
    outcome = compute(tmp_path, THREE[2:])
    assert outcome.table["material_id"].tolist() == ["three", "one", "two"]
    assert outcome.n_earlier == 2
    assert "2 crystals of earlier runs" in outcome.notes[0]
    (tmp_path / RELAXED).write_bytes(b"cells of the settings before")
    other = compute(tmp_path, THREE[2:], ToyCalculation(ToySettings(3.0)))
    assert not (tmp_path / RELAXED).exists()
    assert other.table["material_id"].tolist() == ["three"]


def test_what_failed_is_tried_again_under_another_time_limit(tmp_path: Path):
    calculation, log = make_calculation(tmp_path, limit_s=1.0)
    for limit, failed in ((1.0, 1), (1.0, 1), (2.0, 1), (None, 0)):
        limited = replace(calculation, settings=ToySettings(limit_s=limit))
        outcome = compute(tmp_path / "run", [make_crystal("late"), THREE[0]], limited)
        assert len(outcome.failures) == failed
        assert len(outcome.table) == 2 - failed
    assert log.read_text().split() == ["late", "one", "late", "late"]


def test_a_full_disk_is_no_fault_of_a_crystal(tmp_path: Path):
    def fill(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ToyCalculation, "compute", fill)
        assert [failure.error for failure in compute(tmp_path, THREE).failures] == ["OSError"] * 3
    outcome = compute(tmp_path, THREE)
    assert not outcome.failures
    assert len(outcome.table) == 3


def test_after_the_deadline_no_crystal_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ticks = iter(range(1, 100))
    clock = SimpleNamespace(time=lambda: next(ticks), perf_counter=time.perf_counter)
    monkeypatch.setattr(campaign, "time", clock)
    done: list[int] = []
    outcome = compute(tmp_path, THREE, deadline=2.5, progress=done.append)
    assert outcome.table["material_id"].tolist() == ["one", "two"]
    assert outcome.not_reached == ["three"]
    assert "not reached" in outcome.notes[0]
    assert sum(done) == 3
    again = compute(tmp_path, THREE, progress=done.append)
    assert again.not_reached == []
    assert len(again.table) == 3


@pytest.mark.parametrize("executor", ["none", "local", "threads", "toy_tier:make_pool"])
def test_every_executor_gives_the_same_tables(tmp_path: Path, executor: str):
    crystals = [make_crystal(f"m{i}", 3 + i / 10, n=1 + i % 3) for i in range(12)]
    crystals.insert(5, make_crystal("fails", n=4))
    expected = compute(tmp_path / "expected", crystals)
    settings = ExecutorSettings("local", jobs=1) if executor == "none" else ExecutorSettings(executor, jobs=2)
    done: list[int] = []
    with open_executor(settings) as opened:
        assert (opened is None) == (executor == "none")
        outcome = compute(tmp_path / "run", crystals, executor=opened, progress=done.append)
    pd.testing.assert_frame_equal(outcome.table, expected.table)
    assert outcome.failures == expected.failures
    for file in ("toy.parquet", "toy_atoms.parquet", "failures.parquet", "columns.csv"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "expected" / file).read_bytes()
    assert sum(done) == sum(len(each) for each in crystals) == 28
    done.clear()
    compute(tmp_path / "run", crystals, progress=done.append)
    assert sum(done) == 28  # what is there already counts, too


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_crystal_that_kills_its_worker_twice_is_a_failure_and_the_rest_goes_on(tmp_path: Path):
    calculation, log = make_calculation(tmp_path)
    crystals = [*THREE, make_crystal("dies"), *(make_crystal(f"m{i}", 3 + i) for i in range(5))]
    done: list[int] = []
    with open_executor(ExecutorSettings("local", jobs=2)) as executor:
        outcome = compute(tmp_path / "run", crystals, calculation, executor=executor, progress=done.append)
    (failure,) = outcome.failures
    assert (failure.material_id, failure.error, failure.stage) == ("dies", "WorkerDied", "toy")
    assert "died twice" in failure.message
    assert outcome.table["material_id"].tolist() == [each.material_id for each in crystals if each is not crystals[3]]
    assert sum(done) == sum(map(len, crystals))
    assert log.read_text().split().count("dies") == 2
    again = compute(tmp_path / "run", crystals, calculation)  # here it would kill this process
    assert again.failures == [failure]
    assert not list((tmp_path / "run" / "items").glob("*.started"))


class Recording(ThreadPoolExecutor):
    """Threads that keep the size of each chunk."""

    def __init__(self) -> None:
        super().__init__(2)
        self.sizes: list[int] = []

    def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
        self.sizes.append(len(args[0]))
        return super().submit(fn, *args, **more)


def test_quick_crystals_travel_in_chunks(tmp_path: Path):
    crystals = [make_crystal(f"m{i}") for i in range(120)]
    with Recording() as executor:
        outcome = compute(tmp_path, crystals, executor=executor)
    assert len(outcome.table) == sum(executor.sizes) == 120
    assert executor.sizes[0] == 1
    assert 1 < max(executor.sizes) <= 30  # two for each of two workers are left at least
    assert len(executor.sizes) < 60


class Refusing(Executor):
    """A pool whose worker has died."""

    def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
        raise RuntimeError("the pool is broken")


class Silent(Executor):
    """A pool that loses all that it takes."""

    def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(RuntimeError("lost"))
        return future


@pytest.mark.parametrize(("executor", "why"), [(Refusing(), "the pool is broken"), (Silent(), "no worker answers")])
def test_an_executor_that_is_lost_is_one_message(tmp_path: Path, executor: Executor, why: str):
    with pytest.raises(EngineError, match=rf"the executor is lost(?s:.*){why}(?s:.*)it goes on"):
        compute(tmp_path, THREE, executor=executor)
    assert read_run_record(tmp_path)["state"] == "failed"
    assert len(compute(tmp_path, THREE).table) == 3


def test_a_calculation_that_cannot_travel_is_refused_before_anything_is_computed(tmp_path: Path):
    stuck = ToyCalculation(log=lambda: None)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as executor, pytest.raises(SettingsError, match="toy cannot be sent to another process"):
        compute(tmp_path, THREE, stuck, executor=executor)


@pytest.mark.parametrize(
    "settings", [{"executor": "dream"}, {"executor": "toy_tier:nothing_there"}, {"executor": "toy_tier:make_nothing"},
                 {"executor": "no_such_module_at_all:x"}, {"jobs": -1}],
)  # fmt: skip
def test_what_is_not_an_executor_is_reported(settings: dict[str, Any]):
    with pytest.raises(SettingsError), open_executor(ExecutorSettings(**settings)):
        pass


@pytest.mark.parametrize(
    "change",
    [
        lambda record: "{",
        lambda record: "",
        lambda record: "[]",
        lambda record: "\x00\xff",
        lambda record: json.dumps({"digest": record["digest"]}),
        lambda record: json.dumps({**record, "row": 3}),
        lambda record: json.dumps({**record, "crystal": {"material_id": "x"}}),
        lambda record: json.dumps({**record, "crystal": "x"}),
        lambda record: json.dumps({"digest": record["digest"], "limit_s": None, "failure": {"color": 1}}),
        lambda record: json.dumps({"digest": record["digest"], "limit_s": None, "failure": 3}),
        lambda record: json.dumps({**record, "digest": "another"}),
    ],
)
def test_a_record_that_is_garbage_is_computed_again(tmp_path: Path, change: Any):
    calculation, log = make_calculation(tmp_path)
    whole = compute(tmp_path / "run", THREE, calculation)
    file = tmp_path / "run" / "items" / "one.json"
    file.write_text(change(json.loads(file.read_text())))
    again = compute(tmp_path / "run", THREE, calculation)
    assert log.read_text().split() == ["one", "two", "three", "one"]
    pd.testing.assert_frame_equal(again.table, whole.table)
    file.write_text(change(json.loads(file.read_text())))
    rest = compute(tmp_path / "run", THREE[1:], calculation)  # as a record of an earlier call
    assert set(rest.table["material_id"]) <= {"one", "two", "three"}


def test_a_record_comes_back_from_its_file():
    record = Record({"material_id": "a", "x": 0.1}, {"t.parquet": [{"material_id": "a"}]}, THREE[1], {"n": [1, 2]})
    again = Record.from_json(json.loads(json.dumps(record.to_json(), default=list)))
    assert (again.row, again.tables, again.details) == (record.row, record.tables, record.details)
    assert again.crystal is not None
    assert np.array_equal(again.crystal.lattice, THREE[1].lattice)


# A new tier


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line by which a package becomes a tier."""
    monkeypatch.setitem(TIERS, "toy", "toy_tier:ToyCalculation")


@pytest.mark.usefixtures("toy")
def test_a_new_tier_is_in_the_registries_and_in_the_terminal():
    assert list(all_tiers())[-1] == "toy"
    (known,) = [column for column in list_columns() if column.key == "toy_volume_a3"]  # what the docs list
    assert (known.unit, known.hint) == ("Å³", "Volume of a crystal times a factor.")
    out = io.StringIO()
    rows = [{"material_id": "a", "formula": "Li", "toy_volume_a3": 27.04}]
    Console(file=out, width=80).print(calculation_table(ToyCalculation, pd.DataFrame(rows)))
    assert "Toy volumes of 1 crystal" in out.getvalue()
    assert "toy volume" in " ".join(out.getvalue().split())
    assert "27.0" in out.getvalue()


@pytest.mark.usefixtures("toy")
def test_a_new_tier_has_a_page_of_its_own(tmp_path: Path):
    outcome = verbs.calculate(
        ToyCalculation(), [*THREE, make_crystal("fails")], folder=tmp_path / "run", executor=ExecutorSettings(jobs=1)
    )
    assert len(outcome.table) == 3
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Toy volumes of 3 crystals" in page
    assert "fails has no volume" in page
    shown = CliRunner().invoke(app, ["show", "two", str(tmp_path / "run")])
    assert shown.exit_code == 0, shown.output
    assert "toy volume" in shown.output
    assert "64.0" in shown.output


@pytest.mark.long
@pytest.mark.usefixtures("toy")
def test_a_new_tier_is_followed_in_a_study(tmp_path: Path):
    references = {each.material_id: each for each in reference_compounds().crystals}
    for name in ("ref-Li2O", "ref-LiF"):
        references[name].to_pymatgen().to(str(tmp_path / f"{name}.cif"), fmt="cif")
    (tmp_path / "study.toml").write_text(
        '[screen]\ninputs = ["ref-Li2O.cif", "ref-LiF.cif"]\nion = "Li"\nmax_center_mev = 200\n'
        'without = ["e_hull", "band_gap"]\n'
        '[follow]\ntiers = ["toy"]\nmax_toy_a3 = 40\ntoy_top = 5\n[follow.toy]\nfactor = 2.0\n'
    )
    result = CliRunner().invoke(app, ["study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "a volume of at most 40 Å³" in result.output
    followed = pd.read_csv(tmp_path / "out" / "followed.csv").set_index("material_id")
    volumes = {name: 2 * references[name].volume_a3 for name in followed.index}
    assert followed["toy_volume_a3"].to_dict() == pytest.approx(volumes, rel=0.01)
    assert followed["toy_volume_a3"].is_monotonic_increasing
    assert followed["stopped"].to_dict() == {"ref-LiF": "followed to the end", "ref-Li2O": "toy: a volume of 49 Å³"}
    for volume in followed["toy_volume_a3"]:
        assert f"{volume:.1f}" in result.output
    assert "toy volume" in result.output
    page = (tmp_path / "out" / "report.html").read_text()
    for text in ("toy: a volume of at most 40", "toy volume", "Å³", "Followed to the end (toy volume): LiF"):
        assert text in page, text
    card = card_of(read_run(tmp_path / "out"), "ref-LiF")
    assert card.computed == {"Toy volumes": [("toy volume", f"{followed.loc['ref-LiF', 'toy_volume_a3']:.1f} Å³")]}
    assert "How large is it, for a toy?" not in str(card.steps)  # it is done
    described = pd.read_csv(tmp_path / "out" / "toy" / "columns.csv").set_index("column")
    assert described.loc["toy_volume_a3", "meaning"] == "Volume of a crystal times a factor."
    assert read_run_record(tmp_path / "out" / "toy")["command"] == "toy"


@pytest.mark.usefixtures("toy")
def test_a_study_refuses_what_is_not_a_setting_of_its_tiers(tmp_path: Path):
    lines = {"[follow.toy]\ncolor = 1": "color", "toy_top = 0": "toy_top", "toy_max = 1": "toy_max"}
    for line, message in lines.items():
        (tmp_path / "study.toml").write_text(f'[follow]\ntiers = ["toy"]\n{line}\n')
        with pytest.raises(SettingsError, match=message):
            verbs.study(tmp_path / "study.toml", folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Citations


def list_keys(text: str) -> list[str]:
    return re.findall(r"(?m)^@\w+\{([\w:-]+),", text)


def test_every_key_that_is_cited_has_its_entry_once():
    known = known_entries()
    sources = [path.read_text() for path in Path(phonolyte.__file__).parent.rglob("*.py")]
    named = {key for text in sources for key in re.findall(r'"([a-z]+(?:19|20)\d\d)"', text)}
    assert named
    assert named <= set(known)
    cited = [*MODEL, *(key for entry in ENGINES.values() for key in entry.cites)]
    cited += [key for tier in all_tiers().values() for key in tier.cites]
    assert set(cited) <= set(known)
    keys = list_keys(bibtex(*cited, *cited))
    assert len(keys) == len(set(keys)) == len(set(cited))


def test_a_run_cites_what_it_used_and_no_more(tmp_path: Path):
    entry = "@misc{mine,\n  title = {Mine}\n}"
    engine = Engine("espresso", EMT())
    with Run(tmp_path, "toy", engine=engine, cites=("mccluskey2024", "larsen2017", entry, entry)):
        pass
    text = (tmp_path / "cite.bib").read_text()
    assert sorted(list_keys(text)) == ["giannozzi2017", "larsen2017", "mccluskey2024", "mine"]
    assert "kinisi" in text
    assert "jaafreh2024" not in text


def test_what_a_run_folder_gets_besides_tables_can_be_left_out(tmp_path: Path):
    quiet = OutputSettings(figures=False, report=False)
    verbs.calculate(ToyCalculation(), THREE, folder=tmp_path, output=quiet, executor=ExecutorSettings(jobs=1))
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / "cite.bib").read_text() == ""


def test_threads_that_would_share_an_engine_are_refused(tmp_path: Path):
    from concurrent.futures import ThreadPoolExecutor

    from phonolyte.references import reference_compound

    crystal = reference_compound("ref-LiF")
    with ThreadPoolExecutor(2) as pool:
        for where in (ExecutorSettings("threads", 2), pool):
            with pytest.raises(SettingsError, match="threads cannot share an engine"):
                verbs.phonons([crystal], engine="emt", folder=tmp_path / "run", executor=where)
    assert not (tmp_path / "run").exists()
