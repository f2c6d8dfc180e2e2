"""Where a setting comes from: argument, else environment, else TOML file, else the default of its dataclass.

A command has a frozen dataclass of settings. Its fields state each default once, and, as the first text of an
``Annotated`` type, the help of the option that is generated from them::

    min_length_a: Annotated[float, "Least distance of an atom from its image, angstrom."] = 8.0

The environment variable of a field is ``PHONOLYTE_`` and its name in capitals; lists there are split at commas.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from phonolyte.errors import SettingsError
from phonolyte.files import usual_recursion

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of a dataclass of settings.

    Attributes
    ----------
    name
        Name of the field.
    kind
        Type of its value, without ``None`` and ``Annotated``.
    default
        Default value.
    help
        Description; empty for a field that has no option.
    panel
        Heading of the help under which the option stands.
    flag
        Name of the option where it is not that of the field.
    """

    name: str
    kind: Any
    default: Any
    help: str = ""
    panel: str = ""
    flag: str = ""

    @property
    def item(self) -> Any:
        """Type of the items of a setting that takes any number of values, None for another one."""
        arguments = get_args(self.kind)
        is_list = get_origin(self.kind) is tuple and arguments[1:] == (...,)
        return arguments[0] if is_list else None


@cache
def settings_of(kind: Any) -> tuple[Setting, ...]:
    """Return the fields of a dataclass of settings, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_setting(each, hints[each.name]) for each in fields(kind) if each.init)


def _setting(each: Any, hint: Any) -> Setting:
    notes: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        notes = tuple(note for note in rest if isinstance(note, str))
    default = each.default if each.default is not MISSING else None
    if each.default_factory is not MISSING:
        default = each.default_factory()
    texts = [note for note in notes if not note.startswith("--")]
    flag = next((note for note in notes if note.startswith("--")), "")
    text, panel = (*texts, "", "")[:2]
    return Setting(each.name, _without_none(hint), default, text, panel, flag)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return kinds[0] if len(kinds) == 1 else Union[tuple(kinds)]  # noqa: UP007 (made at run time)
    return hint


def resolve(
    kind: type[S],
    arguments: Mapping[str, Any] | None = None,
    table: Mapping[str, Any] | None = None,
    *,
    where: str = "",
) -> S:
    """Make settings from what was given, in this order: argument, environment, TOML table, default.

    Parameters
    ----------
    kind
        Dataclass of settings.
    arguments
        Values by name; None counts as not given.
    table
        Table of a TOML file.
    where
        Name of the table, for messages.

    Raises
    ------
    SettingsError
        For names that are not settings, and values of another type or outside what the dataclass allows.
    """
    fields_of: Any = kind
    known = settings_of(fields_of)
    _refuse_unknown(table, [setting.name for setting in known], where)
    values = {}
    for setting in known:
        environment = os.environ.get(f"PHONOLYTE_{setting.name.upper()}") or None  # empty is not set
        for value in ((arguments or {}).get(setting.name), environment, (table or {}).get(setting.name)):
            if value is not None:
                values[setting.name] = convert(setting, value)
                break
    return kind(**values)


def resolve_all(
    kinds: Sequence[type],
    arguments: Mapping[str, Any] | None = None,
    table: Mapping[str, Any] | None = None,
    *,
    where: str = "",
) -> list[Any]:
    """Make several dataclasses of settings that share arguments and a table, as :func:`resolve` makes one.

    Raises
    ------
    SettingsError
        For a name in the table that none of them has, and what :func:`resolve` refuses.
    """
    names = {kind: [setting.name for setting in settings_of(kind)] for kind in kinds}
    known = list(dict.fromkeys(name for each in names.values() for name in each))
    _refuse_unknown(table, known, where)
    return [
        resolve(kind, arguments, {name: value for name, value in (table or {}).items() if name in names[kind]})
        for kind in kinds
    ]


def _refuse_unknown(table: Mapping[str, Any] | None, known: Sequence[str], where: str) -> None:
    unknown = set(table or ()) - set(known)
    if unknown:
        what = f"[{where}] has no setting" if where else "there is no setting"
        raise SettingsError(f"{what} {sorted(unknown)[0]!r}", fix=f"Choose among {', '.join(known)}.")


def convert(setting: Setting, value: Any) -> Any:
    """Return a value as the type of its setting.

    Raises
    ------
    SettingsError
        When it cannot be that.
    """
    try:
        return _convert(setting.kind, value)
    except (TypeError, ValueError, KeyError):
        raise SettingsError(f"{setting.name} is {value!r}", fix=f"Give {_describe(setting.kind)}.") from None


def value_as(kind: Any, value: Any, name: str) -> Any:
    """Return a value as a type.

    Raises
    ------
    SettingsError
        When it cannot be that; the message has the name.
    """
    return convert(Setting(name, kind, None), value)


def _convert(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        if value not in arguments:
            raise ValueError
        return value
    if origin in (Union, UnionType):
        return _first_that_fits(arguments, value)
    if origin in (tuple, list, Sequence):
        return _sequence(origin, arguments, value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):  # dict(["ab"]) would be {"a": "b"}
            raise TypeError
        return dict(value)
    if kind is bool:
        return {"true": True, "false": False}[str(value).lower()]
    if isinstance(value, bool):
        raise TypeError
    if kind is int:
        if isinstance(value, float) and not value.is_integer():
            raise ValueError
        return int(value)
    if kind is str and not isinstance(value, str):
        raise TypeError
    if kind is Path:
        return Path(str(value)).expanduser()
    return kind(value)


def _first_that_fits(kinds: Sequence[Any], value: Any) -> Any:
    for kind in kinds:
        try:
            return _convert(kind, value)
        except (TypeError, ValueError, KeyError):
            continue
    raise TypeError


def _sequence(origin: Any, arguments: Sequence[Any], value: Any) -> Any:
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else list(value)
    made = tuple if origin is tuple else list
    if not arguments:
        return made(items)
    if arguments[-1] is ... and get_origin(arguments[0]) is tuple:  # NAME=VALUE
        items = [item.split("=", 1) if isinstance(item, str) else item for item in items]
    if arguments[-1] is ... or made is list:
        return made(_convert(arguments[0], item) for item in items)
    if len(items) != len(arguments):
        raise ValueError
    return made(_convert(kind, item) for kind, item in zip(arguments, items, strict=True))


def _describe(kind: Any) -> str:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(map(_describe, arguments))
    if origin is tuple and get_origin(arguments[0]) is tuple:
        return f"NAME=VALUE, the value {_describe(get_args(arguments[0])[1])}"
    if origin is tuple and get_origin(arguments[0]) is Literal:
        return f"a list of {_describe(arguments[0])}"
    if origin in (tuple, list, Sequence):
        return f"{len(arguments)} numbers" if arguments and arguments[-1] is not ... and origin is tuple else "a list"
    names = {bool: "true or false", float: "a number", int: "a whole number", str: "a text", Path: "a path"}
    return names.get(kind, "a table")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a settings file.

    Raises
    ------
    SettingsError
        When it is missing or not TOML.
    """
    try:
        with usual_recursion():
            return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read", why=error.strerror or "", fix="Check the path.") from None
    except RecursionError:
        raise SettingsError(f"{path} is not TOML", why="it is nested too deeply", fix="Write it again.") from None
    except ValueError as error:  # not TOML, not text, or a number of thousands of digits
        raise SettingsError(f"{path} is not TOML", why=str(error)[:200], fix="Repair the line it names.") from None


def section(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a table of a settings file; empty when it is not there.

    Raises
    ------
    SettingsError
        When the name stands for something else.
    """
    table = record.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{name} is {table!r}", fix=f"Write it as a table: [{name}].")
    return dict(table)
