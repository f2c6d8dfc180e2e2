"""Disordered crystals of files, and their ordered arrangements as crystals of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.errors import Failure
from phonolyte.files import well_formed
from phonolyte.structures.crystal import Crystal, DisorderedError
from phonolyte.structures.ordering import Arrangement, OrderingSettings, Sites, merge_sites, order
from phonolyte.structures.readers import reader_for
from phonolyte.structures.reading import Reading, failure_of, from_object, named_records, read_file


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


def order_part(part: Any, settings: OrderingSettings) -> tuple[list[Ordered], list[Failure]]:
    """Order what :func:`phonolyte.structures.reading.expand` gives: a file, or crystals and failures at hand."""
    if isinstance(part, Path):
        return order_file(part, settings)
    return _order_all(from_object(part), [], Path(), settings)


def order_file(path: Path, settings: OrderingSettings) -> tuple[list[Ordered], list[Failure]]:
    """Order all crystals of a file; an ordered one is its only arrangement, and what cannot be ordered is a failure."""
    return _order_all(*read_disordered(path), path, settings)


def _order_all(
    reading: Reading, disordered: list[tuple[str, Callable[[], Sites]]], path: Path, settings: OrderingSettings
) -> tuple[list[Ordered], list[Failure]]:
    ordered, failures = [], list(reading.failures)
    whole: list[tuple[str, Callable[[], Sites]]] = [(c.material_id, partial(_whole, c)) for c in reading.crystals]
    for name, make in [*whole, *disordered]:
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
        ordered.append(Ordered(name, formula_of(sites), named, well_formed(path)))
    return ordered, failures


def read_disordered(path: Path) -> tuple[Reading, list[tuple[str, Callable[[], Sites]]]]:
    """What a file gives: the crystals and failures of a reading, and names and sites of the disordered crystals."""
    reading = read_file(path)
    partly = {failure.material_id for failure in reading.failures if failure.error == "PartialOccupancy"}
    if not partly:
        return reading, []
    reader = reader_for(path)
    records, _ = reader.records(path, None) if reader else ([], None)
    disordered: list[tuple[str, Callable[[], Sites]]] = []
    for name, make in named_records(records, path):
        if name not in partly:
            continue
        try:
            make(name)
        except DisorderedError as error:
            sites = partial(merge_sites, error.lattice, error.elements, error.frac_coords, error.occupancies)
            disordered.append((name, sites))
        except Exception:  # it is among the failures
            continue
    names = {name for name, _ in disordered}
    return replace(reading, failures=[f for f in reading.failures if f.material_id not in names]), disordered


def _whole(crystal: Crystal) -> Sites:
    return merge_sites(crystal.lattice, crystal.symbols, crystal.frac_coords, np.ones(len(crystal)))


def formula_of(sites: Sites) -> str:
    """Atoms of the cell, such as ``Li20.06Ge2P4S24``."""
    return "".join(f"{element}{round(amount, 3):g}" for element, amount in sites.counts.items())
