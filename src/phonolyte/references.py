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
from phonolyte.structures.symmetry import primitive_crystal

SOURCE = "reference compounds of Phonolyte"
SAME_POSITION = 1e-3
"""Symmetry copies of a position that are nearer than this in each fractional coordinate are one."""


ORDERED, DISORDERED = "reference_compounds.toml", "disordered_compounds.toml"
"""Files of compounds; one that is in both is a disordered crystal, and an ordered model of it."""


@cache
def records(file: str) -> tuple[dict[str, Any], ...]:
    """The compounds of a file: space group, cell, sites, citation; `note` on disorder and `doi` where known."""
    text = (files("phonolyte") / "data" / file).read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["compound"])


def reference_compounds() -> Reading:
    """All reference compounds as crystals, in primitive cells; disordered ones as they were refined."""
    return Reading(crystals=[_primitive_crystal(name, file) for name, file in _refined().items()])


def reference_compound(name: str) -> Crystal:
    """One reference compound by its `material_id`."""
    return _primitive_crystal(name, _refined()[name])


def ordered_model(name: str) -> Crystal:
    """A reference compound by its `material_id`, the ordered model of a disordered one."""
    return _primitive_crystal(name, ORDERED)


def ordered_models() -> list[Crystal]:
    """The ordered reference compounds, and the ordered models of others, in primitive cells."""
    return [_primitive_crystal(record["id"], ORDERED) for record in records(ORDERED)]


def _refined() -> dict[str, str]:
    """Files by the compounds that are taken from them; a disordered one is as it was refined."""
    return {record["id"]: file for file in (ORDERED, DISORDERED) for record in records(file)}


@cache
def _primitive_crystal(name: str, file: str) -> Crystal:
    """The crystal of a record; spglib takes 10 ms for each."""
    record = next(record for record in records(file) if record["id"] == name)
    return primitive_crystal(conventional_cell(record))


def conventional_cell(record: dict[str, Any]) -> Crystal:
    """The crystal of a record in its conventional cell."""
    import spglib
    from ase.geometry import cellpar_to_cell

    symmetry = spglib.get_symmetry_from_database(record["hall"])
    symbols: list[str] = []
    positions: list[Floats] = []
    occupancies: list[float] = []
    for site in record["sites"]:
        copies = symmetry["rotations"] @ np.array(site["xyz"], dtype=float) + symmetry["translations"]
        apart = copies[:, None] - copies
        same = np.abs(apart - np.rint(apart)).max(axis=-1) <= SAME_POSITION
        orbit = copies[same.argmax(axis=1) == np.arange(len(copies))]
        symbols += [site["element"]] * len(orbit)
        positions += list(orbit)
        occupancies += [site.get("occupancy", 1.0)] * len(orbit)
    name, lattice = record.get("id", record["name"]), cellpar_to_cell(record["cell"])
    more = {key: record.get(key, "") for key in ("name", "ion", "note", "citation", "doi")}
    return Crystal.from_arrays(
        name, lattice, symbols, np.array(positions), properties=more, source=SOURCE, occupancies=occupancies
    )
