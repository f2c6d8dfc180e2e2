"""Well-known ionic conductors and reference compounds, written from their published crystallography."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.structures import Crystal
from phonolyte.structures.reading import Reading

SOURCE = "reference compounds of Phonolyte"
SAME_POSITION = 1e-3
"""Symmetry copies of a position that are nearer than this in each fractional coordinate are one."""


@cache
def records() -> tuple[dict[str, Any], ...]:
    """The compounds as written: space group, cell, sites, citation; `note` on disorder and `doi` where known."""
    text = (files("phonolyte") / "data" / "reference_compounds.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["compound"])


def reference_compounds() -> Reading:
    """All reference compounds as crystals, in primitive cells."""
    return Reading(crystals=[_crystal(record) for record in records()])


def reference_compound(name: str) -> Crystal:
    """One reference compound by its `material_id`."""
    return next(_crystal(record) for record in records() if record["id"] == name)


def conventional_cell(record: dict[str, Any]) -> tuple[Floats, list[str], Floats]:
    """Lattice (3, 3) in angstrom, symbols and fractional coordinates (n, 3) of a record's conventional cell."""
    import spglib
    from ase.geometry import cellpar_to_cell

    symmetry = spglib.get_symmetry_from_database(record["hall"])
    symbols, positions = [], []
    for site in record["sites"]:
        orbit: list[Floats] = []
        for x in symmetry["rotations"] @ np.array(site["xyz"], dtype=float) + symmetry["translations"]:
            if all(np.abs(x - y - np.rint(x - y)).max() > SAME_POSITION for y in orbit):
                orbit.append(x)
        symbols += [site["element"]] * len(orbit)
        positions += orbit
    return cellpar_to_cell(record["cell"]), symbols, np.array(positions)


def _crystal(record: dict[str, Any]) -> Crystal:
    import spglib

    lattice, symbols, positions = conventional_cell(record)
    elements = sorted(set(symbols))
    primitive = spglib.find_primitive((lattice, positions, [elements.index(symbol) for symbol in symbols]))
    if primitive is not None:
        lattice, positions, kinds = primitive
        symbols = [elements[kind] for kind in kinds]
    more = {key: record.get(key, "") for key in ("name", "ion", "note", "citation", "doi")}
    return Crystal.of(record["id"], lattice, symbols, positions, properties=more, source=SOURCE)
