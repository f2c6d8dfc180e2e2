"""``phonolyte order``: ordered arrangements of disordered crystals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import (
    EngineOptions,
    Inputs,
    Output,
    bar,
    console,
    finish,
    load_kernels,
    open_named,
    require_inputs,
    say,
)
from phonolyte.counts import count
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.structures.supercells import OrderingSettings


@with_settings
def order(
    settings: OrderingSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    inputs: Inputs = None,
    rank_with: Annotated[
        str | None,
        typer.Option(help="Engine that ranks the arrangements of a crystal, positions relaxed: dpa4, nequix, ..."),
    ] = None,
    option: EngineOptions = None,
    output: Output = Path("out"),
) -> None:
    """Order disordered crystals: arrangements of whole atoms, low in electrostatic energy."""
    from phonolyte import verbs
    from phonolyte.forces.engines import engine_options
    from phonolyte.summary import orderings_table

    load_kernels()
    engine = open_named(rank_with, engine_options(option or [])) if rank_with else None
    table, failures = verbs.order(
        require_inputs(inputs), folder=output, settings=settings, rank_with=engine, output=writes, executor=where,
        progress=bar,
    )  # fmt: skip
    if len(table):
        console().print(orderings_table(table))
    n = table["ordered_from"].count() if len(table) else 0
    say(f"{count(n, 'arrangement')} -> {output}/orderings.csv, {output}/cif/")
    finish(failures, nothing=table.empty, folder=output)
