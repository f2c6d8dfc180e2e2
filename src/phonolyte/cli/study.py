"""``phonolyte study``: learn, cross-validate, screen, follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.screen import show_screening
from phonolyte.cli.terminal import Output, bar, console, finish, load_kernels, say
from phonolyte.runs.settings import OutputSettings
from phonolyte.settings import resolve


def study(
    file: Annotated[
        Path | None, typer.Argument(help="TOML file with tables train, screen, loop, follow, executor.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=0, help="Rounds of choosing crystals, computing their phonons, and learning them.")
    ] = None,
    output: Output = Path("out"),
    figures: Annotated[bool, typer.Option(help="Draw the figures of each part.")] = True,
    figure_format: Annotated[
        list[str] | None,
        typer.Option(metavar="pdf|png|svg", help="Format of figures: pdf, png or svg; several are possible."),
    ] = None,
    dpi: Annotated[int | None, typer.Option(help="Resolution of figures, dots per inch.")] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html, one page for all of it.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the other run that the folder holds.")
    ] = False,
) -> None:
    """Run the whole story: learn, cross-validate, screen, follow; from a TOML file, or on what comes with Phonolyte.

    The table screen takes the options of screen plus inputs and properties; train takes those of train, and its
    model is then used for the screen (the embedded one where there is no such table). With a table follow the best
    go on through the tiers, budget_h hours long; a second run goes on. With a table loop, or --rounds, crystals whose
    phonons are worth most are computed and learned before that. Paths are relative to the file.
    """
    from phonolyte import verbs
    from phonolyte.summary import followed_tables, rounds_table, scores_table

    load_kernels()
    drawn = {"figure_format": figure_format, "dpi": dpi, "figures": figures, "report": report, "overwrite": overwrite}
    writes = resolve(OutputSettings, drawn)
    result = verbs.study(file, rounds=rounds, folder=output, output=writes, progress=bar)
    if result.training is not None:
        console().print(scores_table(result.training))
    if result.rounds is not None:
        console().print(rounds_table(result.rounds))
    show_screening(result.screening, output)
    if result.followed is not None:
        for table in followed_tables(result.followed):
            console().print(table)
        say(f"How far each candidate came -> {output}/followed.csv")
    stages = (result.screening, result.rounds, result.followed)
    failures = [failure for stage in stages if stage is not None for failure in stage.failures]
    finish(failures, nothing=result.screening.table.empty, folder=output)
