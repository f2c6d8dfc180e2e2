"""One calculation for many crystals: each result a file, found again after a kill, on one core or on a cluster."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from phonolyte.columns import column
from phonolyte.counts import count, were
from phonolyte.errors import EngineError, Failure, PhonolyteError, SettingsError, first_line
from phonolyte.notebooks import Shown, range_text
from phonolyte.runs.calculation import Calculation, WaitingError
from phonolyte.runs.executors import IN_FLIGHT, n_workers
from phonolyte.runs.records import ITEMS, RELAXED, Record, file_name, read_json, write_json
from phonolyte.runs.workload import Workload, describe_workloads
from phonolyte.structures import Crystal
from phonolyte.structures.ordering import representative
from phonolyte.structures.run_results import ORDERINGS

if TYPE_CHECKING:
    import pandas as pd

    from phonolyte.runs.run import Run

CHUNK_S = 2.0
"""Duration that a chunk of crystals aims at, so that scheduling costs little beside it."""

STEPS = 2
"""Times that a crystal is computed in a row where its record says that something is left: a kill in the second step
leaves the first."""

CRASH = "WorkerDied"
"""Kind of the failure of a crystal whose computation killed its process twice."""


NOT_OF_THE_CRYSTAL = frozenset({
    "OSError", "FileNotFoundError", "PermissionError", "MemoryError", "ImportError", "ModuleNotFoundError",
    "MissingExtraError",
})  # fmt: skip
"""Kinds of failures by a full disk, little memory or a missing package: another run computes such crystals anew."""


@dataclass(frozen=True, slots=True)
class Item:
    """One crystal of a campaign, its record file, and the digest that says whose result is there."""

    crystal: Crystal
    path: Path
    digest: str

    @property
    def marker(self) -> Path:
        """File that is there while the crystal is being computed."""
        return self.path.with_suffix(".started")

    def read(self, calculation: Calculation) -> Record | Failure | None:
        """Return the result that is there: of this crystal and method, a failure of this time limit."""
        data = read_json(self.path)
        if data is None or data.get("digest") != self.digest:
            return None
        try:
            if "failure" in data:
                return Failure(**data["failure"]) if data.get("limit_s") == calculation.limit_s else None
            return Record.from_json(data)
        except (KeyError, TypeError, ValueError, PhonolyteError):  # not written by this program
            return None

    def write(self, result: Record | Failure, calculation: Calculation) -> None:
        """Write a result."""
        data = {"failure": asdict(result)} if isinstance(result, Failure) else result.to_json()
        key = {"digest": self.digest, "key": calculation.key, "limit_s": calculation.limit_s}
        write_json(self.path, {**data, **key})


MAIN = ("band_center_mev", "barrier_3d_ev", "barrier_ev", "e_hull_ev", "bulk_modulus_gpa", "sigma_25c_s_cm")
"""Columns of tiers whose range is shown of an outcome."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Outcome(Shown):
    """What a campaign gave: `table`, `failures`, `waiting` and `not_reached` together have every crystal once.

    Attributes
    ----------
    table
        Main table, one row a crystal, as in its file.
    failures
        Crystals that could not be computed.
    waiting
        Crystals that wait for other programs, by `material_id`.
    not_reached
        Names of crystals that the deadline left out.
    n_earlier
        Rows of `table` that are of an earlier run with other crystals.
    crystals
        Crystals that were computed, where the calculation keeps them: those of the rows of `table`.
    """

    table: pd.DataFrame
    failures: Sequence[Failure] = ()
    waiting: dict[str, WaitingError] = field(default_factory=dict)
    not_reached: Sequence[str] = ()
    n_earlier: int = 0
    crystals: Sequence[Crystal] = ()

    def _facts(self) -> dict[str, object]:
        left = {"failures": self.failures, "waiting": self.waiting, "not reached": self.not_reached}
        counts = {label: len(materials) for label, materials in left.items() if materials}
        ranges = {column(key).label: range_text(self.table, key) for key in MAIN if key in self.table}
        return {"crystals": len(self.table), **counts, **ranges}

    @property
    def notes(self) -> list[str]:
        """Notes for whoever reads the table."""
        notes = []
        if self.not_reached:
            notes.append(
                f"{count(len(self.not_reached), 'crystal')} {were(len(self.not_reached))} not reached before the time "
                "was up; run again to go on"
            )
        if self.n_earlier:
            notes.append(
                f"the table also has {count(self.n_earlier, 'crystal')} of earlier runs of the same calculation"
            )
        return notes


class Done(NamedTuple):
    """Crystals that a worker is through with, in atoms, the seconds it took, and which of them wait."""

    names: Sequence[str]
    atoms: int
    seconds: float
    waiting: dict[str, WaitingError]


def run_campaign(
    calculation: Calculation,
    crystals: Sequence[Crystal],
    run: Run,
    *,
    executor: Executor | None = None,
    deadline: float | None = None,
    progress: Callable[[int], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> Outcome:
    """Compute many crystals into a run folder.

    Each result is written as soon as it is there. What an earlier run has of the same crystal and method is not
    computed again; what failed is tried again under another time limit. A crystal that kills its process twice is a
    failure.

    Parameters
    ----------
    calculation
        Calculation for one crystal.
    crystals
        Crystals with a `material_id` each of its own.
    run
        Open run folder.
    executor
        Executor of processes that share the file system; default: this process.
    deadline
        Time (:func:`time.time`) after which no further crystal is begun.
    progress
        Called with the number of atoms done since the last call, which foretells the time left better than crystals.
    announce
        Called with a sentence about what is to be computed and how long it takes, before it is.

    Raises
    ------
    SettingsError
        When the calculation cannot travel to another process.
    EngineError
        When the executor is lost.
    """
    calculation.check()
    (run.folder / ITEMS).mkdir(exist_ok=True)
    items = [item_of(calculation, crystal, run.folder) for crystal in crystals]
    run.claim([*calculation.folders, *(item.path.stem for item in items)])
    results = {item.path: _keep(item, calculation) for item in items}
    pending = [item for item in items if not _is_done(results[item.path], calculation)]
    _report(progress, sum(len(item.crystal) for item in items) - sum(len(item.crystal) for item in pending))
    if announce and (estimate := estimate_time(calculation, [item.crystal for item in pending], executor)):
        announce(estimate)
    reached: set[str] = set()
    waiting: dict[str, WaitingError] = {}
    work = partial(compute_items, calculation, run.folder, deadline=deadline)
    for done in _complete(pending, work, calculation, executor):
        reached.update(done.names)
        waiting.update(done.waiting)
        _report(progress, done.atoms)
    left = [item.crystal.material_id for item in pending if item.crystal.material_id not in reached]
    return _collect(calculation, items, run, waiting, left)


def estimate_time(calculation: Calculation, crystals: Sequence[Crystal], executor: Executor | None = None) -> str:
    """Return what the calculation of some crystals takes, in a sentence; empty where nothing is known of that."""
    engine = calculation.engine_used
    if engine is None:
        return ""
    return describe_workloads(
        [_workload(calculation, crystal) for crystal in crystals],
        engine=engine.name, seconds_per_atom=engine.seconds_per_atom, workers=n_workers(executor) if executor else 1,
    )  # fmt: skip


def _workload(calculation: Calculation, crystal: Crystal) -> Workload | None:
    with suppress(Exception):  # what is wrong with a crystal is its failure when it is computed
        return calculation.workload(crystal) if crystal.is_ordered else None
    return None


def item_of(calculation: Calculation, crystal: Crystal, folder: Path) -> Item:
    """Return the item of a crystal in a run folder."""
    return Item(crystal, folder / ITEMS / f"{file_name(crystal.material_id)}.json", calculation.digest(crystal))


def compute_items(
    calculation: Calculation, folder: Path, items: Sequence[Item], *, deadline: float | None = None
) -> Done:
    """Compute some crystals and write their records; runs in a worker."""
    start, names, waiting = time.perf_counter(), [], {}
    for item in items:
        if deadline is not None and time.time() > deadline:
            break
        try:
            _compute(calculation, item, folder / item.path.stem)
        except WaitingError as unfinished:
            waiting[item.crystal.material_id] = unfinished
        names.append(item.crystal.material_id)
    atoms = sum(len(item.crystal) for item in items[: len(names)])
    return Done(names, atoms, time.perf_counter() - start, waiting)


def _compute(calculation: Calculation, item: Item, folder: Path) -> None:
    """Compute one crystal; whatever foreign code raises is its failure, and the campaign goes on."""
    earlier = item.read(calculation)
    if _is_done(earlier, calculation):  # another worker, presumed dead, has come to its end
        return
    item.marker.touch()
    try:
        record = earlier if isinstance(earlier, Record) else None
        crystal = item.crystal if calculation.takes_disorder else representative(item.crystal)
        for _ in range(STEPS):
            record = _name_record(calculation.compute(crystal, folder, record), item.crystal, crystal)
            item.write(record, calculation)
            if calculation.is_done(record):
                break
    except WaitingError:
        item.path.unlink(missing_ok=True)  # a failure that has been mended
        raise
    except SettingsError:  # concerns every crystal
        raise
    except Exception as error:
        item.write(_failure(error, item.crystal, calculation.name), calculation)
    finally:
        item.marker.unlink(missing_ok=True)


def _name_record(record: Record, crystal: Crystal, computed: Crystal) -> Record:
    """The record of a disordered crystal, which has its formula, and the ordering that was computed."""
    if crystal.is_ordered:
        return record
    row = {**record.row, "formula": crystal.formula}
    if computed is crystal:
        return replace(record, row=row)
    return replace(record, row={**row, "ordered_as": computed.cell_formula}, ordering=computed)


def _failure(error: Exception, crystal: Crystal, stage: str) -> Failure:
    return Failure.from_error(error, material_id=crystal.material_id, stage=stage, source=crystal.source)


def _keep(item: Item, calculation: Calculation) -> Record | Failure | None:
    """Return the result that is there; a failure that is not of the crystal is forgotten, since it may be mended."""
    result = item.read(calculation)
    if isinstance(result, Failure) and result.error in NOT_OF_THE_CRYSTAL:
        item.path.unlink(missing_ok=True)
        return None
    return result


def _is_done(result: Record | Failure | None, calculation: Calculation) -> bool:
    if isinstance(result, Failure):
        return not calculation.retries_failures
    return result is not None and calculation.is_done(result)


def _report(progress: Callable[[int], None] | None, atoms: int) -> None:
    if progress and atoms:
        progress(atoms)


Work = Callable[[Sequence[Item]], Done]


def _complete(
    pending: Sequence[Item], work: Work, calculation: Calculation, executor: Executor | None
) -> Iterator[Done]:
    """Yield what is done, as it finishes; crystals whose worker died are computed once more, one at a time."""
    if executor is None:
        yield from (work([item]) for item in pending)
        return
    _check_travels(calculation)
    for item in pending:
        item.marker.unlink(missing_ok=True)  # of a run that was killed as a whole
    left = list(pending)
    while left:
        lost: list[Item] = []
        yield from _in_chunks(left, work, executor, lost)
        suspects = [item for item in lost if item.marker.exists()]
        if lost and not suspects and len(lost) == len(left):
            raise _lost("no worker answers any more")
        for item in suspects:
            yield _compute_alone(item, work, calculation, executor)
        left = [item for item in lost if item not in suspects]


def _in_chunks(items: Sequence[Item], work: Work, executor: Executor, lost: list[Item]) -> Iterator[Done]:
    """Submit chunks that last seconds, a few for each worker at a time; `lost` receives those of dead workers."""
    queue = list(reversed(items))
    flying: dict[Future[Done], list[Item]] = {}
    seconds, n_done = 0.0, 0
    while queue or flying:
        workers = n_workers(executor)
        while queue and len(flying) < IN_FLIGHT * workers:
            size = int(CHUNK_S * n_done / seconds) if seconds else 1
            size = max(1, min(size, len(queue) // (2 * workers)))
            chunk = [queue.pop() for _ in range(size)]
            flying[_submit(executor, work, chunk)] = chunk
        for future in wait(flying, return_when=FIRST_COMPLETED).done:
            chunk = flying.pop(future)
            done = _result(future)
            if done is None:
                lost += chunk
                continue
            seconds, n_done = seconds + done.seconds, n_done + len(done.names)
            yield done


def _compute_alone(item: Item, work: Work, calculation: Calculation, executor: Executor) -> Done:
    done = _result(_submit(executor, work, [item]))
    if done is not None:
        return done
    error = EngineError(
        f"{item.crystal.material_id} kills the process that computes it",
        why="it died twice, the second time with nothing else to do",
        fix="Give it more memory, a smaller supercell, or another engine.",
    )
    failure = _failure(error, item.crystal, calculation.name)
    item.write(Failure(failure.material_id, failure.stage, CRASH, failure.message, failure.source), calculation)
    item.marker.unlink(missing_ok=True)
    return Done([item.crystal.material_id], len(item.crystal), 0.0, {})


def _submit(executor: Executor, work: Work, items: Sequence[Item]) -> Future[Done]:
    """Submit some crystals.

    Raises
    ------
    EngineError
        When the executor takes no more, as a pool of the user's does once a worker has died.
    """
    try:
        return executor.submit(work, items)
    except Exception as error:  # BrokenProcessPool, RuntimeError after a shutdown, and whatever else executors raise
        raise _lost(first_line(error)) from error


def _lost(why: str) -> EngineError:
    return EngineError(
        "the executor is lost",
        why=why,
        fix="Start the workers again, then this command: it goes on. In a script of yours that computes in several "
        'processes, put the call under if __name__ == "__main__".',
    )


def _result(future: Future[Done]) -> Done | None:
    """Return what a worker did, None where it died; what concerns every crystal is raised."""
    try:
        return future.result()
    except PhonolyteError:
        raise
    except Exception:  # BrokenProcessPool, KilledWorker of Dask, and whatever else an executor has for it
        return None


def _check_travels(calculation: Calculation) -> None:
    try:
        pickle.dumps(calculation)
    except Exception as error:  # anything can refuse to be pickled
        raise SettingsError(
            f"{calculation.name} cannot be sent to another process",
            why=first_line(error),
            fix="Open the engine by name or as MODULE:CLASS, or compute in this process (--jobs 1).",
        ) from None


def _collect(
    calculation: Calculation, items: Sequence[Item], run: Run, waiting: dict[str, WaitingError], left: Sequence[str]
) -> Outcome:
    """Write the tables from the records that are there, those of earlier runs of the same calculation after them."""
    results = [item.read(calculation) for item in items]
    earlier = _earlier(calculation, {item.path for item in items}, run.folder)
    records = [*(result for result in results if isinstance(result, Record)), *earlier]
    failures = [result for result in results if isinstance(result, Failure)]
    table = run.write_rows(calculation.table, [calculation.row(record) for record in records])
    for file in calculation.tables:
        run.write_rows(file, [row for record in records for row in record.tables.get(file, ())])
    relaxed = [record.crystal for record in records if record.crystal is not None]
    orderings = [record.ordering for record in records if record.ordering is not None]
    for file, crystals in ((RELAXED, relaxed), (ORDERINGS, orderings)):
        if crystals:
            run.write_crystals(crystals, file)
        else:
            (run.folder / file).unlink(missing_ok=True)  # of an earlier run with other settings
    run.add_failures(failures)
    return Outcome(table, failures, waiting, left, len(earlier), relaxed)


def _earlier(calculation: Calculation, current: set[Path], folder: Path) -> list[Record]:
    """Records of crystals that are not in this run, made by the same calculation."""
    records = []
    for path in sorted((folder / ITEMS).glob("*.json")):
        data = None if path in current else read_json(path)
        if data and data.get("key") == calculation.key and "failure" not in data:
            with suppress(KeyError, TypeError, ValueError, PhonolyteError):
                records.append(Record.from_json(data))
    return records
