"""``phonolyte transference``: a transference number from two spectra and a polarization between them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import Output, console, finish, say
from phonolyte.errors import SettingsError
from phonolyte.polarization.settings import TransferenceSettings
from phonolyte.runs.settings import OutputSettings


@with_settings
def transference(
    settings: TransferenceSettings,
    writes: OutputSettings,
    before: Annotated[
        str | None, typer.Option(help="Spectrum before the polarization; FILE#2 is the second of a file.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Spectrum in the steady state.")] = None,
    curve: Annotated[str | None, typer.Option(help="Current against time at one small voltage.")] = None,
    output: Output = Path("out"),
) -> None:
    """Measure the transference number of a symmetric cell by Bruce and Vincent."""
    from phonolyte import verbs
    from phonolyte.summary import transference_table

    if before is None or after is None or curve is None:
        raise SettingsError(
            "a transference number is of three files", fix="Give two spectra and a polarization: "
            "--before, --after and --curve.",
        )  # fmt: skip
    result = verbs.transference(
        before=before, after=after, curve=curve, folder=output, settings=settings, output=writes
    )
    console().print(transference_table(result))
    say(f"1 cell -> {output}/transference.csv")
    finish([], nothing=bool(result.fault), folder=output)
