"""``phonolyte report`` and ``phonolyte show``: what a run folder holds, on a page; one candidate, in the terminal."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.terminal import console, say

RunFolder = Annotated[Path, typer.Argument(help="Run folder: what was given with -o.")]


def report(
    folder: RunFolder = Path("out"),
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write report.html of a run folder again, from nothing but the folder."""
    from phonolyte.report import write_report

    path = write_report(folder)
    say(f"One page that opens without a network -> {path}")
    if open_page and not webbrowser.open(path.resolve().as_uri()):
        console(stderr=True).print("[yellow]Note[/] no browser could be started here", highlight=False)


def show(
    material_id: Annotated[str, typer.Argument(help="Name of the candidate, as the tables have it.")],
    folder: RunFolder = Path("out"),
    cif: Annotated[
        Path | None, typer.Option(help="Also write its crystal to this file, in P1 with a label for each atom.")
    ] = None,
) -> None:
    """Show one candidate: prediction, how sure, what it was learned from, what was computed, what to do next."""
    from phonolyte.report import card_of, read_run
    from phonolyte.summary import card_parts

    contents = read_run(folder)
    for part in card_parts(card_of(contents, material_id)):
        console().print(part, highlight=False)
    if cif:
        _write_cif(contents.crystals_file, material_id, cif)
        say(f"Its crystal in P1, for VESTA or as INPUT of the commands above -> {cif}")


def _write_cif(crystals: Path | None, material_id: str, path: Path) -> None:
    from phonolyte.errors import SettingsError
    from phonolyte.structures import read

    matches = [crystal for crystal in read(crystals).crystals if crystal.material_id == material_id] if crystals else []
    if not matches:
        raise SettingsError(f"the run has no crystal of {material_id}", fix="Take it from the input of the run.")
    matches[0].to_pymatgen().to(str(path), fmt="cif")
