"""``phonolyte order``: ordered arrangements of disordered crystals."""

from __future__ import annotations

from pathlib import Path

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import Inputs, Output, bar, console, finish, load_kernels, required, say
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.structures.ordering import OrderingSettings


@with_settings
def order(
    settings: OrderingSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    inputs: Inputs = None,
    output: Output = Path("out"),
) -> None:
    """Order disordered crystals: arrangements of whole atoms, low in electrostatic energy."""
    from phonolyte import verbs
    from phonolyte.summary import orderings_table

    load_kernels()
    table, failures = verbs.order(
        required(inputs), folder=output, settings=settings, output=writes, executor=where, progress=bar
    )
    if len(table):
        console().print(orderings_table(table))
    n = table["ordered_from"].count() if len(table) else 0
    say(f"{n} arrangements -> {output}/orderings.csv, {output}/cif/")
    finish(failures, nothing=table.empty, folder=output)
