"""The command line: one command a verb, a module each, each a few lines over the API.

Exit codes: 0 done, 1 done but some materials failed, 2 bad usage or nothing could be done.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from phonolyte import __version__
from phonolyte.cli.cutoffs import cutoffs
from phonolyte.cli.features import features
from phonolyte.cli.fetch import cache, fetch
from phonolyte.cli.impedance import impedance
from phonolyte.cli.migrate import migrate
from phonolyte.cli.phonons import phonons
from phonolyte.cli.report import report, show
from phonolyte.cli.screen import screen
from phonolyte.cli.study import study
from phonolyte.cli.terminal import console, escape
from phonolyte.cli.train import train
from phonolyte.cli.virtual import virtual
from phonolyte.errors import PhonolyteError

app = typer.Typer(
    help="Find solid electrolytes: rank crystals by their predicted total phonon band center.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _verb, _panel in (
    (screen, "Find candidates"),
    (virtual, "Find candidates"),
    (train, "Find candidates"),
    (features, "Find candidates"),
    (study, "Find candidates"),
    (phonons, "Follow the best"),
    (migrate, "Follow the best"),
    (cutoffs, "Follow the best"),
    (impedance, "Measure"),
    (report, "Results and data"),
    (show, "Results and data"),
):
    app.command(rich_help_panel=_panel)(_verb)
for _group in (fetch, cache):
    app.add_typer(_group, rich_help_panel="Results and data")


def main() -> None:
    """Run the command line, turning errors into a message and exit code 2."""
    try:
        app(standalone_mode=True)
    except PhonolyteError as error:
        console(stderr=True).print(f"[bold red]Error[/] {escape(str(error))}", highlight=False)
        sys.exit(2)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"phonolyte {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
