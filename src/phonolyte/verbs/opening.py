"""What all verbs share: inputs, executors, and what a run folder receives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from phonolyte.errors import SettingsError
from phonolyte.forces import Engine, open_engine
from phonolyte.report import PAGE, write_report
from phonolyte.runs.executors import ExecutorSettings, open_executor
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.structures import Reading, read
from phonolyte.structures.batches import plan_batches
from phonolyte.structures.reading import input_files, nothing_in

Where = Executor | ExecutorSettings | None
"""An executor, the settings of one, or None for the default of the verb."""

MANY_FILES = 200
"""From here on, separate processes that parse files pay for their start."""


def run_options(output: OutputSettings) -> dict[str, Any]:
    """Options of a run that output settings decide."""

    def close(run: Run) -> None:
        (run.folder / PAGE).unlink(missing_ok=True)  # it would show what was there before
        if output.report:
            write_own_report(run)

    return {"overwrite": output.overwrite, "closing": close}


def write_own_report(run: Run) -> None:
    """Write the report of a run; one without a row has none, and one that fails costs a note."""
    try:
        write_report(run.folder)
        run.path(PAGE)
    except SettingsError as error:  # there is no table to report on
        run.add_note(f"there is no report: {error.what}")


def resolve_engine(engine: str | Engine, options: Mapping[str, Any] | None) -> Engine:
    """Return the engine that is given, or open the one of that name with its options."""
    return engine if isinstance(engine, Engine) else open_engine(engine, **dict(options or {}))


def most_workers(engine: object, n_crystals: int) -> int:
    """Return the most processes that a calculation of so many crystals can use; some engines allow few."""
    return min(n_crystals, getattr(engine, "max_workers", None) or n_crystals)


def refuse_threads(where: Where, engine: object) -> None:
    """Make sure that no engine is shared by threads.

    Raises
    ------
    SettingsError
        When there is an engine, and threads are to use it: its calculator knows one crystal at a time, so that results
        would be those of other crystals.
    """
    named = isinstance(where, ExecutorSettings) and where.executor == "threads" and where.cores > 1
    if engine is not None and (named or isinstance(where, ThreadPoolExecutor)):
        raise SettingsError(
            "threads cannot share an engine",
            why="its calculator holds one crystal at a time",
            fix="Choose the executor local, whose processes have an engine each.",
        )


@contextmanager
def open_workers(where: Where, *, most: int | None = None, threads: bool = False) -> Iterator[Executor | None]:
    """The executor that is given, or one by its settings."""
    if isinstance(where, Executor):
        yield where
        return
    with open_executor(where, most=most, threads=threads) as executor:
        yield executor


@contextmanager
def open_both(where: Where, n_tasks: int) -> Iterator[tuple[Executor | None, Executor | None]]:
    """Executors for batches and, where this process describes them itself, for the crystals of one."""
    with ExitStack() as stack:
        if isinstance(where, ExecutorSettings) and where.executor == "threads":
            yield None, stack.enter_context(open_executor(where))
            return
        processes = stack.enter_context(open_workers(where, most=max(1, n_tasks // 2)))
        threads = None if processes is not None else stack.enter_context(
            open_executor(where if isinstance(where, ExecutorSettings) else None, threads=True)
        )  # fmt: skip
        yield processes, threads


def count_batches(inputs: Any) -> int:
    """Return the number of batches that inputs make."""
    return len(plan_batches(inputs))


def read_inputs(inputs: Any, executor: Where) -> Reading:
    """Read crystals; many files are parsed by several processes."""
    if isinstance(inputs, Reading):
        return inputs
    if len(list_files(inputs)) < MANY_FILES:
        return read(inputs)
    with open_workers(executor) as processes:
        return read(inputs, executor=processes)


def list_files(inputs: Any) -> list[Path]:
    """Files behind inputs, listed before the run folder is there.

    Raises
    ------
    ReadError
        When inputs are named, and none of them gives a file or an object.
    """
    if inputs is None or isinstance(inputs, Reading):
        return []
    items = [inputs] if isinstance(inputs, (str, Path)) or not hasattr(inputs, "__iter__") else list(inputs)
    named = [item for item in items if isinstance(item, (str, Path))]
    files = input_files(named)
    if named and not files and len(named) == len(items):
        raise nothing_in(named)
    return files


def list_names(inputs: Any) -> list[str]:
    """Return the files, folders and globs among inputs, as they were given."""
    items = [inputs] if isinstance(inputs, (str, Path)) else inputs if isinstance(inputs, (list, tuple)) else []
    return [str(item) for item in items if isinstance(item, (str, Path))]


def list_given(path: object) -> list[Path]:
    """Return a path that was given as a list; empty where none was."""
    return [Path(path).expanduser()] if isinstance(path, (str, Path)) else []
