"""``phonolyte doctor``: what is installed, what runs here, and how to install what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Annotated

import typer

WIDTH, INDENT = 80, 13


def doctor(
    engines: Annotated[
        bool, typer.Option("--engines", help="Import the packages of each installed engine (seconds to a minute each).")
    ] = False,
) -> None:
    """Say what is installed, which engines run here, and the command that installs what is missing.

    The exit code is 2 where the libraries that Phonolyte always needs are not complete, else 0.
    """
    from phonolyte.doctor import examine, is_broken, needs_torch

    findings = examine(engines=engines)
    for heading, group in findings.items():
        typer.secho(heading, bold=True)
        for finding in group:
            for line in _lines(finding.name, finding.state, finding.remedy):
                typer.echo(line)
    if any(finding.remedy for group in findings.values() for finding in group):
        typer.echo("\nCommands behind -> are for a clone of Phonolyte.")
    if torch := needs_torch(findings):
        typer.echo(f"Before that of an engine, which else fetches CUDA:\n{torch}")
    if is_broken(findings):
        raise typer.Exit(2)


def _lines(name: str, state: str, remedy: Sequence[str]) -> Iterator[str]:
    """Lines of at most :data:`WIDTH` characters; a command stays whole, so that it can be copied."""
    indent = " " * INDENT
    first, *others = wrap(state, WIDTH - INDENT, break_on_hyphens=False) or [""]
    yield f"  {name:<{INDENT - 2}}{first}"
    yield from (indent + line for line in others)
    yield from (f"{indent}-> {command}" for command in remedy)
