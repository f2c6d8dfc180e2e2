"""Phonolyte: find solid electrolytes, from a crystal to a measured impedance.

Each verb of the command line is a function here, with typed settings and a typed result::

    phonolyte.screen(["my_cifs/"], folder="run/")
    phonolyte.phonons(["best/*.cif"], engine="nequix", ion="Li", folder="phonons/")

The verbs are `read`, `order`, `features`, `train`, `screen`, `virtual`, `percolate`, `stability`, `phonons`,
`elastic`, `barriers`, `diffuse`, `impedance`, `polarization`, `transference` and `study`; :mod:`phonolyte.verbs`
documents them. Packages of the same names hold their parts. Nothing is imported before it is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

VERBS = {
    "read": "phonolyte.structures",
    **dict.fromkeys(
        (
            "features",
            "train",
            "order",
            "screen",
            "virtual",
            "percolate",
            "stability",
            "phonons",
            "elastic",
            "barriers",
            "diffuse",
            "impedance",
            "polarization",
            "transference",
            "study",
        ),
        "phonolyte.verbs",
    ),
}
"""Verb -> module that has its function."""

CALLABLE = (
    "features", "train", "screen", "virtual", "stability", "phonons", "elastic", "barriers", "impedance",
    "polarization", "study",
)  # fmt: skip
"""Verbs that packages have the name of: those modules can be called."""


class VerbModule(ModuleType):
    """Module that is also a verb: ``phonolyte.screen(...)`` is the function, ``phonolyte.screen.Criteria`` a part."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the verb."""
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(VERBS[name]), name)(*args, **kwargs)


def make_callable(name: str) -> None:
    """Let a module be called as the verb of its name; called by the module itself."""
    sys.modules[name].__class__ = VerbModule


def __getattr__(name: str) -> Any:
    if name in CALLABLE:
        return import_module(f"phonolyte.{name}")
    if name in VERBS:
        return getattr(import_module(VERBS[name]), name)
    raise AttributeError(f"module 'phonolyte' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *VERBS])
