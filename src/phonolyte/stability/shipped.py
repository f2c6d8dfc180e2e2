"""Crystals of competing phases that come with the package, and their energies by the engines they were computed with.

The crystals are the phases of 41 chemical systems around the known solid electrolytes, of the Materials Project (CC BY
4.0; A. Jain et al., APL Mater. 1, 011002, 2013, 10.1063/1.4812323).
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from phonolyte.stability.phases import RECORD, CompetingPhases

if TYPE_CHECKING:
    from phonolyte.forces import Engine

CRYSTALS, SYSTEMS = "crystals.parquet", "systems.json"
"""Crystals, and the chemical systems that they cover whole."""


def phases_folder() -> Path:
    """Return the folder with the crystals, and a folder for each engine with their energies."""
    return Path(str(files("phonolyte") / "data" / "phases"))


def shipped_systems() -> list[frozenset[str]]:
    """Return the chemical systems that the crystals of the package cover whole."""
    names = json.loads((phases_folder() / SYSTEMS).read_text(encoding="utf-8"))
    return [frozenset(name.split("-")) for name in names]


def shipped_phases(engine: Engine) -> CompetingPhases | None:
    """Return the competing phases of the package by this engine with these weights; None where there are none."""
    for record in sorted(phases_folder().glob(f"*/{RECORD}")):
        competing = _load(record.parent)
        if engine.is_known_by(competing.provenance):
            return competing
    return None


@cache
def _load(folder: Path) -> CompetingPhases:
    return CompetingPhases.load(folder).without_unstable()
