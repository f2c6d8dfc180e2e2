"""Where a setting comes from: argument, else environment, else TOML file, else default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phonolyte.errors import SettingsError

SCREEN_DEFAULTS: dict[str, Any] = {
    "ion": "any",
    "max_center_mev": 40.0,
    "max_e_hull_ev": 0.05,
    "min_gap_ev": 1.0,
    "without": [],
    "jobs": 0,
}
"""Settings of a screen; ``jobs`` 0 uses every core."""

TRAIN_DEFAULTS: dict[str, Any] = {
    "data": "",
    "algorithm": "extra_trees",
    "features": "all",
    "compare": True,
    "scan": False,
    "seed": 0,
    "description": "",
    "jobs": 0,
}
"""Settings of a training; no data stands for the learning set of the package."""

FOLLOW_DEFAULTS: dict[str, Any] = {
    "ion": "Li",
    "engine": "dpa4",
    "options": [],
    "budget_h": 1.0,
    "percolation_top": 50,
    "phonons_top": 10,
    "neb_top": 3,
    "max_barrier_ev": 0.6,
    "max_center_mev": 40.0,
    "stable": False,
    "images": 5,
    "min_length_a": 8.0,
}
"""Settings of what follows a screen; ``options`` are those of the engine, as NAME=VALUE."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a settings file.

    Raises
    ------
    SettingsError
        When it is missing or no TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read", why=error.strerror or "", fix="Check the path.") from None
    except RecursionError:
        raise SettingsError(f"{path} is no TOML", why="it is nested too deeply", fix="Write it again.") from None
    except ValueError as error:  # no TOML, no text, or a number of thousands of digits
        raise SettingsError(f"{path} is no TOML", why=str(error)[:200], fix="Repair the line it names.") from None


def section(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table of a settings file; empty when it is not there.

    Raises
    ------
    SettingsError
        When the name stands for something else.
    """
    table = record.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{name} is {table!r}", fix=f"Write it as a table: [{name}].")
    return dict(table)


def resolve(
    defaults: Mapping[str, Any], *, arguments: Mapping[str, Any], table: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Settle every setting in `defaults`.

    Parameters
    ----------
    defaults
        Name -> value; the type of the value is the type of the setting.
    arguments
        What the caller gave; None counts as not given.
    table
        A section of a TOML file.

    Raises
    ------
    SettingsError
        For names that are no settings, and values of another type.
    """
    unknown = set(table or ()) - set(defaults)
    if unknown:
        raise SettingsError(f"there is no setting {sorted(unknown)[0]!r}", fix=f"Choose among {', '.join(defaults)}.")
    resolved = {}
    for name, default in defaults.items():
        environment = os.environ.get(f"PHONOLYTE_{name.upper()}") or None  # empty is not set
        for value in (arguments.get(name), environment, (table or {}).get(name), default):
            if value is not None:
                resolved[name] = as_type_of(default, value, name)
                break
    return resolved


def as_type_of(default: Any, value: Any, name: str) -> Any:
    """A setting as the type of its default; a text where a list is due is split at commas.

    Raises
    ------
    SettingsError
        When it cannot be that.
    """
    try:
        if isinstance(default, list):
            return [part.strip() for part in value.split(",")] if isinstance(value, str) else list(value)
        if isinstance(default, bool):
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(default, int) and isinstance(value, float) and not value.is_integer():
            raise ValueError
        if isinstance(value, bool) or (isinstance(default, str) and not isinstance(value, str)):
            raise TypeError
        return type(default)(value)
    except (TypeError, ValueError, KeyError):
        raise SettingsError(f"{name} is {value!r}", fix=f"Give {_kind(default)}.") from None


def _kind(default: Any) -> str:
    return {bool: "true or false", float: "a number", int: "a whole number", str: "a word", list: "a list"}[
        type(default)
    ]
