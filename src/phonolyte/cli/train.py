"""``phonolyte train``: a model of the band center, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import bar, console, finish, load_kernels, say
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.train import TrainSettings


@with_settings
def train(
    settings: TrainSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")] = Path("model"),
) -> None:
    """Fit a model of the band center, with its cross-validation, importances and card."""
    from phonolyte import verbs
    from phonolyte.summary import scores_table

    load_kernels()
    result = verbs.train(settings, folder=output, output=writes, executor=where, progress=bar)
    console().print(scores_table(result))
    say(f"Model, metrics of every split, importances and card: {output}")
    finish(result.failures, nothing=False, folder=output)
