"""``phonolyte polarization``: currents against time to electronic conductivities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import Output, bar, console, finish, say
from phonolyte.counts import count
from phonolyte.errors import SettingsError
from phonolyte.polarization.settings import PolarizationSettings
from phonolyte.runs.settings import OutputSettings


@with_settings
def polarization(
    settings: PolarizationSettings,
    writes: OutputSettings,
    files: Annotated[list[str] | None, typer.Argument(help="Files of instruments, folders or globs.")] = None,
    output: Output = Path("out"),
) -> None:
    """Turn DC polarization into electronic conductivities: current against time at one or several voltages."""
    from phonolyte import verbs
    from phonolyte.summary import electronic_table, steady_table

    if not files:
        raise SettingsError("no file was given", fix="Name files of current against time, or a folder of them.")
    result = verbs.polarization(files, folder=output, settings=settings, output=writes, progress=bar)
    if result.samples:
        console().print(steady_table(result.curves))
        console().print(electronic_table(result.electronic, sized=result.is_sized))
    n = sum(len(sample.curves) for sample in result.samples)
    say(f"{count(n, 'voltage')} of {count(len(result.samples), 'sample')} -> {output}/electronic.csv")
    finish(list(result.failures), nothing=not result.samples, folder=output, what="curve")
