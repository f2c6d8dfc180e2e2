"""``phonolyte report`` and ``phonolyte show``: what a run folder holds, on a page; one candidate, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.terminal import console, escape

NoReport = Annotated[bool, typer.Option("--report/--no-report", help="Write report.html, one page for all of it.")]
"""Option of every command that makes a run folder."""

RunFolder = Annotated[Path, typer.Argument(help="Run folder: what was given with -o.")]


def report(folder: RunFolder = Path("out")) -> None:
    """Write report.html of a run folder again, from nothing but the folder."""
    from phonolyte.report import write_report

    path = write_report(folder)
    console().print(f"One page that opens without a network -> {path}", highlight=False, soft_wrap=True)


def show(
    material_id: Annotated[str, typer.Argument(help="Name of the candidate, as the tables have it.")],
    folder: RunFolder = Path("out"),
    cif: Annotated[Path | None, typer.Option(help="Also write its crystal to this file.")] = None,
) -> None:
    """Show one candidate: prediction, how sure, what it was learned from, what was computed, what to do next."""
    from phonolyte.report import card_of, read_run
    from phonolyte.summary import card_parts

    contents = read_run(folder)
    for part in card_parts(card_of(contents, material_id)):
        console().print(part, highlight=False)
    if cif:
        _write_cif(contents.crystals_file, material_id, cif)
        console().print(f"Its crystal -> {escape(str(cif))}", highlight=False, soft_wrap=True)


def written(folder: Path, *, wanted: bool) -> None:
    """The report at the end of a command; a run without a row has none."""
    from phonolyte.errors import SettingsError
    from phonolyte.report import PAGE, write_report

    if not wanted:
        (folder / PAGE).unlink(missing_ok=True)  # it would show what was there before
        return
    try:
        path = write_report(folder)
    except SettingsError:  # there is no table to report on, which the command has said
        return
    console().print(f"All of it on one page -> {path}", highlight=False, soft_wrap=True)


def _write_cif(crystals: Path | None, material_id: str, path: Path) -> None:
    from phonolyte.errors import SettingsError
    from phonolyte.structures import read

    found = [crystal for crystal in read(crystals).crystals if crystal.material_id == material_id] if crystals else []
    if not found:
        raise SettingsError(f"the run has no crystal of {material_id}", fix="Take it from the input of the run.")
    found[0].to_pymatgen().to(str(path), fmt="cif")
