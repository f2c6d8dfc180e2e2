"""The command line: one command a verb, a module each, a few lines over :mod:`phonolyte.verbs`.

A command is imported when it is used, so that ``phonolyte --help`` is there at once. Exit codes: 0 done, 1 done but
some materials failed, 2 bad usage or nothing could be done.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from phonolyte import __version__
from phonolyte.errors import PhonolyteError

FIND, FOLLOW, MEASURE, RESULTS = "Find candidates", "Follow the best", "Measure", "Results and data"


class Entry(NamedTuple):
    """A command: its module, its name there, the panel and the line of the help."""

    module: str
    attribute: str
    panel: str
    help: str


COMMANDS = {
    "screen": Entry("screen", "screen", FIND, "Rank crystals as candidates for solid electrolytes."),
    "virtual": Entry(
        "virtual", "virtual", FIND, "Predict compounds with other elements on the sites of known crystals."
    ),
    "train": Entry("train", "train", FIND, "Fit a model of the band center, with its cross-validation and card."),
    "features": Entry("features", "features", FIND, "Compute features of crystals: Magpie's, physical ones, elements."),
    "study": Entry("study", "study", FIND, "Run the whole workflow from a TOML file: learn, screen, follow the best."),
    "order": Entry("order", "order", FOLLOW, "Order disordered crystals into arrangements of whole atoms."),
    "stability": Entry("stability", "stability", FOLLOW, "Compute energy above the hull, window, and reactions."),
    "phonons": Entry("phonons", "phonons", FOLLOW, "Compute phonons: band centers, lowest mode, stability."),
    "elastic": Entry("elastic", "elastic", FOLLOW, "Compute elastic moduli: bulk, shear, Young's, Poisson's ratio."),
    "migrate": Entry("migrate", "migrate", FOLLOW, "Compute how an ion moves: percolation, barriers, diffusion."),
    "cutoffs": Entry("cutoffs", "cutoffs", FOLLOW, "Find the cutoffs of Quantum ESPRESSO that a force needs."),
    "impedance": Entry("impedance", "impedance", MEASURE, "Turn measured spectra into conductivities."),
    "polarization": Entry(
        "polarization", "polarization", MEASURE, "Turn DC polarization into electronic conductivities."
    ),
    "transference": Entry(
        "transference", "transference", MEASURE, "Measure a transference number by Bruce and Vincent."
    ),
    "report": Entry("report", "report", RESULTS, "Write report.html of a run folder again."),
    "show": Entry("report", "show", RESULTS, "Show one candidate of a run."),
    "fetch": Entry("fetch", "fetch", RESULTS, "Get crystals and phonons from databases, published sets or a folder."),
    "doctor": Entry("doctor", "doctor", RESULTS, "Say what is installed, what runs here, and how to get the rest."),
    "cache": Entry("fetch", "cache", RESULTS, "List, locate or remove files that were downloaded."),
}


class LazyGroup(TyperGroup):
    """Commands that are imported when one of them runs; the list of them, and its completion, need none."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or what the list of commands shows of it."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if self.listing:
            return TyperCommand(cmd_name, help=entry.help, rich_help_panel=entry.panel)
        verb = getattr(import_module(f"phonolyte.cli.{entry.module}"), entry.attribute)
        if isinstance(verb, typer.Typer):
            return typer.main.get_command(verb)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=HELP)
        single.command(cmd_name)(verb)
        return typer.main.get_command(single)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        with self._as_list():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands, and options of all, that begin with what was typed."""
        with self._as_list():
            return list(super().shell_complete(ctx, incomplete))

    @contextmanager
    def _as_list(self) -> Iterator[None]:
        self.listing = True
        try:
            yield
        finally:
            self.listing = False


HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=LazyGroup,
    help="Find solid electrolytes: rank crystals by the probability that they conduct, and follow the best.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP,
)


def main() -> None:
    """Run the command line, turning errors into a message and exit code 2."""
    try:
        app(standalone_mode=True)
    except PhonolyteError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in _PLACES:
            raise
        _fail(f"{error.filename or 'a file'} cannot be written: {_PLACES[error.errno]}")


_PLACES = {
    errno.ENOSPC: "the disk is full. Free some space, then give the same command again: it goes on.",
    errno.EDQUOT: "the quota is used up. Free some space, then give the same command again: it goes on.",
    errno.EROFS: "the file system is read-only. Choose another -o.",
    errno.EACCES: "permission denied. Choose another -o.",
    errno.EPERM: "not permitted. Choose another -o.",
}
"""Errors of the place where results go, and what to do."""


def _fail(message: str) -> None:
    from phonolyte.cli.terminal import console, escape

    console(stderr=True).print(f"[bold red]Error[/] {escape(message)}", highlight=False)
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
