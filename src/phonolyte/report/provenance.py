"""Settings, model and versions of a run as names and values that can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

UNITS = (
    ("_ev_a", "eV/Å"), ("_mev", "meV"), ("_ev", "eV"), ("_a", "Å"), ("_k", "K"), ("_c", "°C"), ("_ps", "ps"),
    ("_fs", "fs"), ("_mm", "mm"), ("_cm2", "cm²"), ("_mv", "mV"), ("_v", "V"), ("_s_cm", "S/cm"),
    ("_usd_kg", "USD/kg"), ("_gpa", "GPa"),
)  # fmt: skip
"""Endings of the names of settings, the longer ones first where they share their end, and their units."""

AMPERE = ("floor_a",)
"""Settings that are currents, and end as those in angstrom do."""

NESTED = {"settings": "", "provenance": "engine"}
"""What stands before the names in a nested table; those of other tables have the name of the table."""


def list_record(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values of a record in words, those of nested tables on lines of their own.

    Empty values are left out; the unit of a value stands behind it.
    """
    lines = [(_name(path), _write(value)) for path, value in _flatten(record)]
    return [(name, f"{text} {unit}".rstrip()) for (name, unit), text in lines if text]


def _flatten(record: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths and values of all that is not a table."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, (*path, NESTED.get(str(name), str(name))))
        else:
            yield (*path, str(name)), value


def _name(path: tuple[str, ...]) -> tuple[str, str]:
    """Name of a setting without its unit, and the unit."""
    *tables, name = path
    if name in AMPERE:
        return " ".join((*filter(None, tables), name.removesuffix("_a"))), "A"
    ending, unit = next((known for known in UNITS if name.endswith(known[0])), ("", ""))
    return " ".join(word for word in (*tables, name.removesuffix(ending)) if word).replace("_", " "), unit


def _write(value: Any) -> str:
    """A value as text; empty for what is not set."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value + 0.0:.15g}"  # no minus before a zero
    if isinstance(value, Mapping):
        return " ".join(f"{' '.join(_name((str(name),))).rstrip()} {_write(inner)}" for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        between = "; " if any(isinstance(inner, (Mapping, list, tuple)) for inner in value) else ", "
        return between.join(filter(None, map(_write, value)))
    return str(value)
