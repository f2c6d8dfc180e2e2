"""What all commands share: arguments, progress, the closing message."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from phonolyte.cli.failures import failure_lines
from phonolyte.counts import count
from phonolyte.errors import Failure, SettingsError

PIPED = 1000
"""Characters of a line where nobody has a terminal."""

MOST_NOTES = 10
"""Notes that are shown at the end of a command."""


def complete_engine(incomplete: str) -> list[str]:
    """Return the names of engines that begin with what was typed."""
    from phonolyte.forces.registry import ENGINES

    return [name for name in ENGINES if name.startswith(incomplete)]


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="Files, folders, globs, tables or runs of crystals: CIF, POSCAR, extXYZ, JSON, Parquet, inputs of other "
        "programs. INPUT#ID is one crystal of them.",
    ),
]
FrameOption = Annotated[
    Literal["first", "last", "all"] | None,
    typer.Option(help="Frames of trajectories to read. Default: all of extended XYZ, the last one of others."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="Folder of a model; or physical, relaxed, virtual or study, which come with Phonolyte."
    ),
]


def check_output(folder: Path) -> Path:
    """Refuse a folder that cannot be made, before anything is computed; what is made for that goes again.

    Raises
    ------
    SettingsError
        When it cannot be made.
    """
    from phonolyte.runs.run import make_folder

    path = folder.expanduser()
    missing = [each for each in (path, *path.parents) if not each.exists()]
    if missing:
        make_folder(path)
    with suppress(OSError):  # another command with the same folder has removed it, or writes into it
        for each in missing:
            each.rmdir()
    return folder


def _check_output(context: typer.Context, folder: Path) -> Path:
    """Check the folder, unless a shell completes a command."""
    return folder if context.resilient_parsing else check_output(folder)


Output = Annotated[Path, typer.Option("--output", "-o", help="Run folder for the results.", callback=_check_output)]
EngineName = Annotated[
    str,
    typer.Option(
        help="Source of forces: dpa4, nequix, sevennet, mace, espresso or another name, or MODULE:CLASS of an ASE "
        "calculator.",
        autocompletion=complete_engine,
    ),
]
EngineOptions = Annotated[
    list[str] | None, typer.Option(help="Option of the engine as NAME=VALUE, such as checkpoint=FILE.")
]
SlurmHeader = Annotated[
    Path | None, typer.Option(help="File with #SBATCH lines and modules for the script of --cluster.")
]


def require_inputs(inputs: list[str] | None, frame: str | None = None) -> list[str]:
    """Return the inputs of a command that has no default ones, with the frames that are requested of them."""
    if not inputs:
        raise SettingsError("no INPUT was given", fix="Name files, folders or tables of crystals.")
    return with_frame(inputs, frame)


def with_frame(inputs: list[str], frame: str | None) -> list[str]:
    """Inputs with the frames that are requested of them."""
    return [f"{name}#{frame}" if frame else name for name in inputs]


def open_named(name: str, options: dict[str, Any]) -> Any:
    """Open an engine, and say so meanwhile: weights take seconds to load."""
    from phonolyte.forces import open_engine

    with console(stderr=True).status(f"Opening {escape(name)}"):
        return open_engine(name, **options)


COMPILING = "Compiling (once after installation; minutes on a busy machine)"
"""What is said while functions are compiled."""


def load_kernels(*, screen: bool = False, packages: Sequence[str] = ("features",)) -> None:
    """Load the compiled functions before the clock of a progress bar starts; a new installation compiles them.

    Parameters
    ----------
    screen
        Whether those of a screen are compiled first, in two processes, where they are not.
    packages
        Packages whose functions the command needs: where one is not compiled and nobody watches a terminal, a line says
        that it will be.
    """
    from phonolyte.kernels import is_compiled, sources_of

    if not console(stderr=True).is_terminal and not all(map(is_compiled, sources_of(packages))):
        console(stderr=True).print(COMPILING, highlight=False)
    with console(stderr=True).status(COMPILING):
        if screen:
            from phonolyte.kernels import compile_screen

            compile_screen()
        from phonolyte.features import featurize
        from phonolyte.structures import Crystal
        from phonolyte.structures.duplicates import fingerprint

        lithium = Crystal.from_arrays("Li", [3.51, 0, 0, 0, 3.51, 0, 0, 0, 3.51], ["Li"] * 2, [0, 0, 0, 0.5, 0.5, 0.5])
        featurize([lithium])
        fingerprint(lithium)


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on the terminal; yields the function that advances it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda n: progress.advance(task, n)


def console(*, stderr: bool = False) -> Any:
    """Return the terminal; `stderr` for what is not a result. Lines of a file or a pipe are as long as they need."""
    from rich.console import Console

    made = Console(stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPED
    return made


def escape(text: object) -> str:
    """Return a text without what rich would take for its markup."""
    from rich import markup

    return markup.escape(str(text))


def say(text: str) -> None:
    """Print a line of plain text, such as one with a path."""
    console().print(escape(text), highlight=False, soft_wrap=True)


def say_beside(text: str) -> None:
    """Print a line of plain text that is not a result, on the standard error."""
    console(stderr=True).print(escape(text), highlight=False)


def read_notes(folder: Path) -> list[str]:
    """Return the notes of a run."""
    from phonolyte.runs.run import read_record

    notes: list[str] = (read_record(folder) or {}).get("notes", [])
    return notes


def finish(
    failures: Sequence[Failure], *, nothing: bool, folder: Path | None = None, notes: Sequence[str] = (),
    what: str = "material", plural: str = "",
) -> None:  # fmt: skip
    """Show notes and failures, say where the page is, and end with the exit code that fits."""
    from phonolyte.report import PAGE

    errors = console(stderr=True)
    if folder is not None and (folder / PAGE).is_file():
        say(f"All of it on one page -> {folder / PAGE}")
    shown = [*(read_notes(folder) if folder else ()), *notes]
    for note in shown[:MOST_NOTES]:
        errors.print(f"[yellow]Note[/] {escape(note)}", highlight=False)
    if len(shown) > MOST_NOTES:
        errors.print(f"  and {len(shown) - MOST_NOTES} more")
    if failures:
        errors.print(
            f"[yellow]{count(len(failures), what, plural)} failed[/] (failures.parquet has all):", highlight=False
        )
        for line in failure_lines(failures, plural or f"{what}s"):
            errors.print(f"  {escape(line)}", highlight=False)
    if nothing:
        raise typer.Exit(2)
    if failures:
        raise typer.Exit(1)
