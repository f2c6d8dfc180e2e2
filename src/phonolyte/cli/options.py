"""Options of commands, generated from dataclasses of settings: each default and each help is stated there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, get_args, get_origin, get_type_hints

import typer

from phonolyte.settings import Setting, read_toml, resolve_all, section, settings_of

FILE = "settings_file"
"""Parameter of every generated command: a TOML file with its options."""

SETTINGS_FILE = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML file with these options, in a table named like the command."),
]


def with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command whose parameters that are dataclasses of settings are options.

    Each field with a help becomes an option; what is not given comes from the environment, the table of the file given
    with ``--settings`` (named like the command; the table ``executor`` serves all), or the default.
    """
    hints = get_type_hints(function, include_extras=True)
    kinds: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters, options = _parameters(function, hints, kinds)

    @wraps(function)
    def command(**given: Any) -> None:
        file = given.pop(FILE)
        table = _table(read_toml(file), function.__name__) if file else {}
        arguments = {name: given.pop(name) for name in options}
        made = resolve_all(list(kinds.values()), arguments, table, where=function.__name__)
        function(**given, **dict(zip(kinds, made, strict=True)))

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _table(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {**section(record, "executor"), **section(record, name)}


def _parameters(
    function: Callable[..., None], hints: dict[str, Any], kinds: dict[str, Any]
) -> tuple[list[inspect.Parameter], list[str]]:
    """Parameters of the command, those of settings in place of the dataclasses, and the names of the latter."""
    parameters, options = [], dict[str, inspect.Parameter]()
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in kinds:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        for setting in settings_of(kinds[name]):
            if setting.help and setting.name not in options:
                options[setting.name] = _option(setting)
                parameters.append(options[setting.name])
    file = inspect.Parameter(FILE, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SETTINGS_FILE)
    return [*parameters, file], list(options)


def _option(setting: Setting) -> inspect.Parameter:
    flag = setting.flag or f"--{setting.name.replace('_', '-')}"
    names = [f"{flag}/--no-{flag[2:]}"] if setting.kind is bool else [flag]
    if setting.name == "jobs":
        names.append("-j")
    info = typer.Option(
        *names, help=f"{setting.help}{_default(setting)}", rich_help_panel=setting.panel or None, show_default=False,
        metavar=_metavar(setting),
    )  # fmt: skip
    kind: Any = Annotated[Optional[_type(setting)], info]  # noqa: UP045 (made at run time)
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _type(setting: Setting) -> Any:
    """Type of an option, as typer knows it."""
    if setting.item is not None:
        item: Any = str if get_origin(setting.item) is tuple else setting.item
        return list[item]
    if get_origin(setting.kind) in (tuple, Literal) or isinstance(setting.kind, type):
        return setting.kind
    return str


def _metavar(setting: Setting) -> str | None:
    arguments = get_args(setting.kind)
    is_row = get_origin(setting.kind) is tuple and setting.item is None
    return " ".join("N" for _ in arguments) if is_row else None


def _default(setting: Setting) -> str:
    value = setting.default
    if value is None or value == () or value == "" or "efault" in setting.help:
        return ""
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        shown = ", ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    else:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f" Default: {shown}."
