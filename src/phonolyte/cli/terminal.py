"""What all commands share: arguments, reading, workers, progress, the last words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phonolyte.errors import Failure, SettingsError

if TYPE_CHECKING:
    from phonolyte.structures import Reading

MANY_FILES = 200
"""From here on, separate processes that parse files pay for their start."""

MOST_NOTES = 10
"""Notes that are shown at the end of a command."""

Inputs = Annotated[
    list[str] | None,
    typer.Argument(help="Crystal files, folders, globs or tables: CIF, POSCAR, extXYZ, JSON, JSONL(.gz), Parquet."),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Run folder for the results.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", help="Cores to use. Default: all.")]


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """Settings that were given, as TOML knows no null."""
    return {name: value for name, value in values.items() if value is not None}


def required(inputs: list[str] | None) -> list[str]:
    """The inputs of a command that has no default ones."""
    if not inputs:
        raise SettingsError("no INPUT was given", fix="Name files, folders or tables of crystals.")
    return inputs


def check_element(symbol: str) -> None:
    """Refuse what is no symbol of an element."""
    from phonolyte.chemistry.elements import ATOMIC_NUMBERS

    if symbol not in ATOMIC_NUMBERS:
        raise SettingsError(f"there is no element {symbol!r}", fix="Give a symbol such as Li.")


def elsewhere(n: int) -> list[str]:
    """What to say of crystals that other processes are at."""
    return [f"{n} crystals are with other processes; run again when they are done"] if n else []


def listed(value: Any) -> list[str]:
    """One text, or a list of them, as a list."""
    return [value] if isinstance(value, str) else list(value)


def read_crystals(inputs: list[str], jobs: int | None) -> Reading:
    """Crystals of files and tables; many files are parsed by several processes."""
    from phonolyte.structures import read
    from phonolyte.structures.reading import input_files

    with console(stderr=True).status("Reading crystals"):
        if len(input_files(inputs)) < MANY_FILES:
            return read(inputs)
        with processes(jobs) as executor:
            return read(inputs, executor=executor)


def load_kernels() -> None:
    """Load the compiled functions before the clock of a progress bar starts; a new installation compiles them."""
    from phonolyte.features import featurize
    from phonolyte.structures import Crystal
    from phonolyte.structures.duplicates import fingerprint

    with console(stderr=True).status(
        "Loading compiled code (the first run after installation compiles: half a minute)"
    ):
        lithium = Crystal.of("Li", [3.51, 0, 0, 0, 3.51, 0, 0, 0, 3.51], ["Li"] * 2, [0, 0, 0, 0.5, 0.5, 0.5])
        featurize([lithium])
        fingerprint(lithium)


def cores(jobs: int | None) -> int:
    """Cores to use; all unless told."""
    return jobs if jobs and jobs > 0 else os.cpu_count() or 1


def processes(jobs: int | None) -> Executor:
    """Processes that start afresh: forked ones inherit the locks of OpenMP's threads, and can hang in XGBoost."""
    return ProcessPoolExecutor(cores(jobs), mp_context=get_context("spawn"))


@contextmanager
def threads(jobs: int | None) -> Iterator[Executor]:
    """Threads, for compiled code that lets go of the interpreter."""
    with ThreadPoolExecutor(cores(jobs)) as executor:
        yield executor


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on the terminal; yields the function that advances it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda n: progress.advance(task, n)


def console(*, stderr: bool = False) -> Any:
    """The terminal; `stderr` for what is no result."""
    from rich.console import Console

    return Console(stderr=stderr)


def escape(text: str) -> str:
    """A text without what rich would take for its markup."""
    from rich import markup

    return markup.escape(text)


def finish(
    failures: Sequence[Failure], *, nothing: bool, notes: Sequence[str] | None = None, what: str = "materials"
) -> None:
    """Say what was lost, and end with the exit code that fits."""
    errors = console(stderr=True)
    shown = notes or []
    for note in shown[:MOST_NOTES]:
        errors.print(f"[yellow]Note[/] {escape(note)}", highlight=False)
    if len(shown) > MOST_NOTES:
        errors.print(f"  and {len(shown) - MOST_NOTES} more")
    if failures:
        errors.print(f"[yellow]{len(failures)} {what} failed[/] (failures.parquet has all):", highlight=False)
        for failure in failures[:5]:
            errors.print(f"  {escape(failure.material_id)}: {escape(failure.message)}", highlight=False)
    if nothing:
        raise typer.Exit(2)
    if failures:
        raise typer.Exit(1)
