"""Engines as the options of commands name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phonolyte.cli.terminal import console
from phonolyte.errors import SettingsError

if TYPE_CHECKING:
    from phonolyte.forces import Engine


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
