"""``phonolyte virtual``: other elements on the sites of known crystals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import ModelOption, Output, bar, console, finish, load_kernels, say
from phonolyte.counts import count
from phonolyte.errors import SettingsError
from phonolyte.runs.settings import ExecutorSettings, OutputSettings


@with_settings
def virtual(
    where: ExecutorSettings,
    writes: OutputSettings,
    prototype: Annotated[
        list[str] | None,
        typer.Option(help="Built-in parent: nasicon, garnet, li2tio3, argyrodite, lgps, li3ps4. Default: all six."),
    ] = None,
    parent: Annotated[Path | None, typer.Option(help="File with the crystal whose elements are replaced.")] = None,
    rules: Annotated[Path | None, typer.Option(help="TOML file: slots, their elements, charges, radii.")] = None,
    ion: Annotated[
        str | None, typer.Option(help="Mobile ion, or any of the rules. Default: Li in built-in parents, else any.")
    ] = None,
    top: Annotated[int | None, typer.Option(help="Keep this many of each parent, by score. Default: all.")] = None,
    sample: Annotated[int | None, typer.Option(help="Look at this many of each parent, at random.")] = None,
    seed: Annotated[int, typer.Option(help="Seed for the sample.")] = 0,
    recipe: Annotated[
        Literal["conductors", "study"],
        typer.Option(
            help="conductors: by predicted conductivity and plausibility; study: by band center and plausibility."
        ),
    ] = "conductors",
    known: Annotated[
        list[str] | None, typer.Option(help="Known crystals: the best that are among them are marked.")
    ] = None,
    structures: Annotated[
        Literal["none", "cif", "table"], typer.Option(help="Also write the best as CIF files or as a crystal table.")
    ] = "none",
    model: ModelOption = None,
    output: Output = Path("out"),
) -> None:
    """Predict virtual compounds: other elements on the sites of known crystals, not relaxed.

    Without options: the six prototypes of the founding study, lithium kept, with long lists of elements.
    """
    from phonolyte import verbs
    from phonolyte.summary import virtual_tables
    from phonolyte.virtual import choose_spaces

    for name, value in (("top", top), ("sample", sample)):
        if value is not None and value < 1:
            raise SettingsError(f"{name} is {value}", fix="Give a positive number.")
    spaces = choose_spaces(prototype or [], parent=parent, rules=rules, ion=ion)
    load_kernels(packages=("features", "virtual", "models"))
    result = verbs.virtual(
        spaces, folder=output, top=top, sample=sample, seed=seed, recipe=recipe, known=known, structures=structures,
        model=model, inputs=[path for path in (parent, rules) if path], output=writes, executor=where, progress=bar,
    )  # fmt: skip
    for table in virtual_tables(result):
        console().print(table)
    n = result.summary["total"]["compounds"]
    say(f"{count(n, 'compound')} -> {output}/virtual, the best -> {output}/best.csv")
    console().print("[dim]Not relaxed, most never made: a map of where to look, not a list of materials.[/]")
    finish([], nothing=False, folder=output)
