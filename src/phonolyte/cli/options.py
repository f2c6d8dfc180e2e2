"""Options of commands, generated from dataclasses of settings: each default and each help is stated there."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Sequence
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
    def command(**values: Any) -> None:
        file = values.pop(FILE)
        table = _table(read_toml(file), function.__name__) if file else {}
        arguments = {name: values.pop(name) for name in options}
        made = resolve_all(list(kinds.values()), arguments, table, where=function.__name__)
        function(**values, **dict(zip(kinds, made, strict=True)))

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
    alike = _by_name(kinds.values())
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in kinds:
            annotation = _describe_option(hints[name], parameter.default)
            parameters.append(parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        for setting in settings_of(kinds[name]):
            if setting.help and setting.name not in options:
                options[setting.name] = _option(alike[setting.name])
                parameters.append(options[setting.name])
    file = inspect.Parameter(FILE, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SETTINGS_FILE)
    return [*parameters, file], list(options)


def _by_name(kinds: Iterable[Any]) -> dict[str, list[Setting]]:
    """Settings by name: several dataclasses may have one, of different meaning."""
    alike: dict[str, list[Setting]] = {}
    for setting in (setting for kind in kinds for setting in settings_of(kind) if setting.help):
        alike.setdefault(setting.name, []).append(setting)
    return alike


def _option(alike: Sequence[Setting]) -> inspect.Parameter:
    """Option of the settings of one name."""
    setting, *_ = alike
    flag = setting.flag or f"--{setting.name.replace('_', '-')}"
    names = [f"{flag}/--no-{flag[2:]}"] if setting.kind is bool else [flag]
    if setting.name == "jobs":
        names.append("-j")
    panels = dict.fromkeys(each.panel for each in alike if each.panel)
    info = typer.Option(
        *names, help=_help(alike), rich_help_panel=" / ".join(panels) or None, show_default=False,
        metavar=_metavar(setting.kind, setting.item),
    )  # fmt: skip
    kind: Any = Annotated[Optional[_type(setting)], info]  # noqa: UP045 (made at run time)
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _help(alike: Sequence[Setting]) -> str:
    """Description and default of an option; for each panel where they differ."""
    texts = {f"{each.help}{_default(each.help, each.default)}": each.panel for each in reversed(alike)}
    if len(texts) == 1:
        return next(iter(texts))
    return " ".join(f"{panel}: {text}" for text, panel in reversed(texts.items()))


def _describe_option(hint: Any, default: object) -> Any:
    """Type of a parameter that a command has itself, its option described as the generated ones are."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, info, *_ = get_args(hint)
    if not isinstance(info, typer.models.OptionInfo):
        return hint
    info = copy.copy(info)
    metavar = _metavar(kind, _item(kind))
    info.metavar = metavar if info.metavar is None else info.metavar
    if default is not False:  # a flag without its opposite
        info.help = f"{info.help}{_default(info.help or '', default)}"
    info.show_default = False
    return Annotated[kind, info]


def _item(kind: Any) -> Any:
    """Type of the items of a list, None for what is not one."""
    lists = [each for each in (kind, *get_args(kind)) if get_origin(each) is list]
    return get_args(lists[0])[0] if lists else None


def _type(setting: Setting) -> Any:
    """Type of an option, as typer knows it."""
    if setting.item is not None:
        item: Any = str if get_origin(setting.item) in (tuple, Literal) else setting.item
        return list[item]
    if get_origin(setting.kind) in (tuple, Literal) or isinstance(setting.kind, type):
        return setting.kind
    return str


def _metavar(kind: Any, item: Any) -> str | None:
    """Placeholder for the value of an option; None for that of its type."""
    if kind is bool:
        return ""
    if get_origin(item) is Literal:
        return "|".join(get_args(item))
    if item is not None:
        return "NAME=VALUE" if get_origin(item) is tuple else f"<{item.__name__}>"
    return " ".join("N" for _ in get_args(kind)) if get_origin(kind) is tuple else None


def _default(text: str, value: object) -> str:
    """Default of an option as the end of its help; empty where that says it already, and where there is none."""
    if value is None or value == () or value == "" or "efault" in text:
        return ""
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        shown = ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    else:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f" Default: {shown}."
