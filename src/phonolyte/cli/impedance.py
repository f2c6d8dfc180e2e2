"""``phonolyte impedance``: measured spectra to conductivities and activation energies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import Output, bar, console, finish, say
from phonolyte.counts import count
from phonolyte.errors import SettingsError
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.runs.settings import ExecutorSettings, OutputSettings


@with_settings
def impedance(
    settings: ImpedanceSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    files: Annotated[list[str] | None, typer.Argument(help="Files of instruments, folders or globs.")] = None,
    output: Output = Path("out"),
) -> None:
    """Turn measured spectra into conductivities and activation energies: tables, figures, one HTML page."""
    from phonolyte import verbs
    from phonolyte.summary import arrhenius_table, conductivity_table

    if not files:
        raise SettingsError("no spectrum was given", fix="Name files of instruments, or a folder of them.")
    series = verbs.impedance(files, folder=output, settings=settings, output=writes, executor=where, progress=bar)
    if series.analyses:
        console().print(conductivity_table(series.spectra, known=series.is_sized))
    if len(series.arrhenius):
        console().print(arrhenius_table(series.arrhenius))
    total = count(len(series.analyses) + len(series.failures), "spectrum", "spectra")
    say(f"{len(series.analyses)} of {total} -> {output}/spectra.csv")
    finish(list(series.failures), nothing=not series.analyses, folder=output, what="spectrum", plural="spectra")
