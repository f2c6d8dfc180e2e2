"""``phonolyte cutoffs``: what forces of Quantum ESPRESSO need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import Output, bar, console, escape, say
from phonolyte.counts import count
from phonolyte.forces.cutoffs import Ladder


@with_settings
def cutoffs(
    ladder: Ladder,
    file: Annotated[Path, typer.Argument(help="A crystal: CIF, POSCAR, extXYZ, JSON; its primitive cell is used.")],
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the engine espresso as NAME=VALUE, such as pseudo_dir=FOLDER.")
    ] = None,
    output: Output = Path("out"),
    tolerance: Annotated[float, typer.Option(help="Largest relative error of the force.")] = 0.01,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another run that the folder holds.")] = False,
) -> None:
    """Find the cutoffs of Quantum ESPRESSO that the force of a small displacement needs."""
    from phonolyte import verbs
    from phonolyte.forces.engines import engine_options
    from phonolyte.summary import cutoffs_table

    result = verbs.cutoffs(
        file, options=engine_options(option or []), ladder=ladder, tolerance=tolerance, folder=output,
        overwrite=overwrite, progress=bar,
    )  # fmt: skip
    table = result.table
    console().print(cutoffs_table(table, result.formula, tolerance))
    failed = table["error"].ne("")
    say(f"{len(table) - failed.sum()} of {count(len(table), 'setting')} -> {output}/cutoffs.csv")
    if failed.any():
        console().print(escape(table.loc[failed, "error"].iloc[0]), highlight=False)
        raise typer.Exit(2 if failed.all() else 1)
