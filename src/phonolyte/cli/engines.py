"""Engines and supercells as the options of commands name them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phonolyte.cli.terminal import console
from phonolyte.errors import SettingsError

if TYPE_CHECKING:
    from phonolyte.forces import Engine


EngineOptions = Annotated[
    list[str] | None, typer.Option(help="Option of the engine as NAME=VALUE, such as checkpoint=FILE.")
]
Supercell = Annotated[
    tuple[int, int, int] | None,
    typer.Option(metavar="N N N", help="Multiples of the primitive cell. Default: by length."),
]
MinLength = Annotated[float, typer.Option(help="Least distance of an atom from its image, angstrom.")]
Relax = Annotated[bool, typer.Option(help="Relax cell and positions first, the symmetry kept.")]
SlurmHeader = Annotated[
    Path | None, typer.Option(help="File with #SBATCH lines and modules for the script of --cluster.")
]


def open_named(name: str, options: dict[str, Any]) -> Engine:
    """Open an engine, and say so meanwhile: weights take seconds to load."""
    from phonolyte.forces import open_engine

    with console(stderr=True).status(f"Opening {name}"):
        return open_engine(name, **options)


def options_of(given: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; what reads as a number, true or false becomes that."""
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise SettingsError(f"{pair!r} is no option of an engine", fix="Write NAME=VALUE.")
        found[name] = _number_or_text(value)
    return found


def _number_or_text(text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
