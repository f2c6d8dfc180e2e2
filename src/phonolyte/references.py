"""Well-known ionic conductors and reference compounds, written from their published crystallography."""

from __future__ import annotations

import tomllib
import warnings
from functools import cache
from importlib.resources import files
from typing import Any

from phonolyte.structures import Crystal
from phonolyte.structures.reading import Reading

SOURCE = "reference compounds of Phonolyte"


@cache
def records() -> tuple[dict[str, Any], ...]:
    """The compounds as written: space group, cell, sites, how disorder was resolved, citation."""
    text = (files("phonolyte") / "data" / "reference_compounds.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["compound"])


def reference_compounds() -> Reading:
    """All reference compounds as crystals, in primitive cells."""
    return Reading(crystals=[_crystal(record) for record in records()])


def _crystal(record: dict[str, Any]) -> Crystal:
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = Structure.from_spacegroup(
            record["space_group"],
            Lattice.from_parameters(*record["cell"]),
            [site["element"] for site in record["sites"]],
            [site["xyz"] for site in record["sites"]],
        ).get_primitive_structure()
    more = {"name": record["name"], "citation": record["citation"], "doi": record["doi"]}
    return Crystal.from_pymatgen(structure, material_id=record["id"], properties=more, source=SOURCE)
