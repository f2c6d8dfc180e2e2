"""Calculators by import path: ``package.module:Class``, the module installed or a file in the working folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from phonolyte.errors import EngineError, MissingExtraError, SettingsError
from phonolyte.runs.records import checksum

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

METHODS = ("get_forces", "get_potential_energy")
"""What makes an object an ASE calculator here."""


def make_calculator(path: str, options: Mapping[str, Any], folder: str) -> tuple[Calculator, dict[str, str]]:
    """A calculator by import path, and its provenance.

    Parameters
    ----------
    path
        ``package.module:Class``.
    options
        Keyword arguments of the class.
    folder
        Where modules are looked for too, after everything that is installed.

    Raises
    ------
    MissingExtraError
        When the module is not importable.
    EngineError
        When module or class fail.
    SettingsError
        When the path is not one, the module has no such class, or the class is not an ASE calculator.
    """
    module_name, _, attribute = path.partition(":")
    if not (module_name and attribute):
        raise SettingsError(f"{path!r} is not an import path", fix="Give package.module:Class.")
    with _searching(folder):
        module = _import(module_name)
        if not hasattr(module, attribute):
            raise SettingsError(f"{module_name} has no {attribute!r}", fix="Give package.module:Class.")
        try:
            calculator = getattr(module, attribute)(**options)
        except Exception as error:  # a foreign constructor can raise anything
            raise EngineError(f"{path} cannot be made", why=first_line(error), fix="Check its options.") from error
    missing = [method for method in METHODS if not callable(getattr(calculator, method, None))]
    if missing:
        raise SettingsError(
            f"{path} is not an ASE calculator", why=f"it has no {missing[0]}", fix=f"Give a class with {missing[0]}."
        )
    return calculator, {**_origin(module), **{key: _state_value(value) for key, value in options.items()}}


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def _searching(folder: str) -> Iterator[None]:
    """Let imports look into a folder too; last, so that a file there cannot stand for an installed package."""
    importlib.invalidate_caches()  # the file may be younger than the last look into its folder
    sys.path.append(folder)
    try:
        yield
    finally:
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]


def _import(name: str) -> ModuleType:
    _refuse_namesake(name.partition(".")[0])
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a module can raise anything, and a script may end itself
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise MissingExtraError(
                f"{name} is not importable from here",
                why=first_line(error),
                fix=f"It takes a file {name.partition('.')[0]}.py in the working folder, or an installed package that "
                "has it: look at the name, and where you are.",
            ) from None
        raise EngineError(
            f"{name} fails as it is imported",
            why=f"{type(error).__name__}: {first_line(error)}",
            fix="Repair it, or install what it needs.",
        ) from error


def _refuse_namesake(name: str) -> None:
    """Refuse a module that this process has already loaded from another file: Python would give that one."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    spec = PathFinder.find_spec(name) if loaded else None
    if spec and spec.has_location and spec.origin and Path(spec.origin).resolve() != Path(str(loaded)).resolve():
        raise EngineError(
            f"this process has loaded another {name} already",
            why=f"it is {loaded}, not {spec.origin}",
            fix="Start a new process, or rename one of them.",
        )


def _origin(module: ModuleType) -> dict[str, str]:
    """Version of the package that a module is from; of a module that is from none, the content of its file."""
    package = module.__name__.partition(".")[0]
    try:
        owner = packages_distributions().get(package, [package])[0]
        return {owner: version(owner)}
    except PackageNotFoundError:
        file = getattr(module, "__file__", None)
        return {"source": _content(file)} if file else {}


@lru_cache
def _content(file: str) -> str:
    """The file of a module as it was when this process first opened it, since that is what the process runs."""
    return f"{Path(file).name} sha256:{checksum(file)}"


def _state_value(value: Any) -> str:
    """An option as provenance states it: a file, such as one of weights, by its name and content."""
    path = Path(str(value))
    return f"{path.name} sha256:{checksum(path)}" if path.is_file() else str(value)
