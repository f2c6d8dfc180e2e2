"""``phonolyte features``: features of crystals as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import FrameOption, Inputs, bar, console, finish, load_kernels, require_inputs
from phonolyte.counts import count
from phonolyte.runs.executors import ExecutorSettings


@with_settings
def features(
    where: ExecutorSettings,
    inputs: Inputs = None,
    frame: FrameOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write: .parquet or .csv.")] = Path(
        "features.parquet"
    ),
    convention: Annotated[
        Literal["magpie", "matminer"], typer.Option(help="271 features, or matminer's 273.")
    ] = "magpie",
    sets: Annotated[
        str,
        typer.Option(help="Feature sets, with commas: magpie, physical, elements, ion (of the mobile ion's sites)."),
    ] = "magpie",
) -> None:
    """Compute features of crystals: Magpie's, physical ones, fractions of the elements."""
    from phonolyte import verbs

    load_kernels()
    table, failures, notes = verbs.features(
        require_inputs(inputs, frame),
        file=output,
        convention=convention,
        sets=sets.split(","),
        executor=where,
        progress=bar,
    )
    console().print(f"{count(len(table), 'crystal')}, {table.shape[1] - 1} features -> ", end="")
    console().out(str(output), highlight=False)
    finish(failures, nothing=table.empty, notes=notes)
