"""Engines and supercells as the options of commands name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phonolyte.cli.terminal import console

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


def open_named(name: str, options: Mapping[str, object]) -> Engine:
    """Open an engine, and say so meanwhile: weights take seconds to load."""
    from phonolyte.forces import open_engine

    with console(stderr=True).status(f"Opening {name}"):
        return open_engine(name, **options)


def options_of(given: Sequence[str] | Mapping[str, object]) -> dict[str, object]:
    """NAME=VALUE pairs, or a table of a settings file, as the options of an engine."""
    from phonolyte.forces import engine_options

    return engine_options(given)
