"""Disordered crystals of files, and their ordered arrangements as crystals of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phonolyte.errors import Failure
from phonolyte.files import read_bytes, well_formed
from phonolyte.structures.cif import CifBlock, blocks_with_a_cell, contents_from_cif
from phonolyte.structures.crystal import Crystal
from phonolyte.structures.ordering import Arrangement, OrderingSettings, Sites, merge_sites, order
from phonolyte.structures.reading import failure_of, name_of, read_file

CIF_ENDINGS = (".cif", ".mcif")


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """Arrangements of one material.

    Attributes
    ----------
    material_id
        Name of the material.
    formula
        Atoms in the cell of the file, with fractions.
    arrangements
        The lowest in energy first; their names are those of the material with ``-1``, ``-2``, ...
    source
        File of the material.
    """

    material_id: str
    formula: str
    arrangements: list[Arrangement]
    source: str


def order_file(path: Path, settings: OrderingSettings) -> tuple[list[Ordered], list[Failure]]:
    """Order all crystals of a file; an ordered one is its only arrangement, and what cannot be ordered is a failure."""
    if not path.name.lower().removesuffix(".gz").endswith(CIF_ENDINGS):
        reading = read_file(path)
        makers = [(crystal.material_id, _sites_maker(crystal)) for crystal in reading.crystals]
        return _order_all(makers, path, settings, list(reading.failures))
    try:
        blocks = blocks_with_a_cell(read_bytes(path).decode("utf-8-sig", errors="replace"))
    except Exception as error:  # whatever a foreign file makes a parser raise
        return [], [failure_of(error, name_of(path), path)]
    names = [name_of(path) + (f"-{number}" if len(blocks) > 1 else "") for number in range(1, len(blocks) + 1)]
    return _order_all(list(zip(names, map(_block_maker, blocks), strict=True)), path, settings, [])


def _order_all(
    makers: Sequence[tuple[str, Callable[[], Sites]]], path: Path, settings: OrderingSettings, failures: list[Failure]
) -> tuple[list[Ordered], list[Failure]]:
    ordered = []
    for name, make in makers:
        try:
            sites = make()
            arrangements = order(sites, settings, material_id=name)
        except Exception as error:  # one bad material costs one row
            failures.append(failure_of(error, name, path))
            continue
        named = [
            replace(each, crystal=replace(each.crystal, material_id=f"{name}-{number}", source=str(path)))
            for number, each in enumerate(arrangements, start=1)
        ]
        ordered.append(Ordered(well_formed(name), formula_of(sites), named, well_formed(path)))
    return ordered, failures


def _block_maker(block: CifBlock) -> Callable[[], Sites]:
    def make() -> Sites:
        contents = contents_from_cif(block)
        return merge_sites(contents.lattice, contents.elements, contents.positions, contents.occupancies)

    return make


def _sites_maker(crystal: Crystal) -> Callable[[], Sites]:
    return lambda: merge_sites(crystal.lattice, crystal.symbols, crystal.frac_coords, np.ones(len(crystal)))


def formula_of(sites: Sites) -> str:
    """Atoms of the cell, such as ``Li20.06Ge2P4S24``."""
    return "".join(f"{element}{round(amount, 3):g}" for element, amount in sites.counts.items())
