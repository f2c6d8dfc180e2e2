"""Disordered crystals of files, and their ordered arrangements as crystals of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phonolyte.errors import Failure
from phonolyte.structures.ordering import Arrangement, OrderingSettings, order
from phonolyte.structures.reading import Skipped, failure_of, from_object, read_file


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """Arrangements of one material.

    Attributes
    ----------
    material_id
        Name of the material.
    formula
        Its formula, with fractions.
    arrangements
        The lowest in energy first; their names are those of the material with ``-1``, ``-2``, ...
    """

    material_id: str
    formula: str
    arrangements: list[Arrangement]


def order_part(part: Any, settings: OrderingSettings) -> tuple[list[Ordered], list[Failure], list[Skipped]]:
    """Order all crystals of what :func:`phonolyte.structures.reading.expand` gives: a file, or crystals at hand.

    An ordered crystal is its only arrangement, and what cannot be ordered is a failure.
    """
    reading = read_file(part) if isinstance(part, Path) else from_object(part)
    ordered, failures = [], list(reading.failures)
    for crystal in reading.crystals:
        name = crystal.material_id
        try:
            arrangements = order(crystal, settings)
        except Exception as error:  # one bad material costs one row
            failures.append(failure_of(error, name, Path(crystal.source)))
            continue
        named = [
            replace(each, crystal=replace(each.crystal, material_id=f"{name}-{number}"))
            for number, each in enumerate(arrangements, start=1)
        ]
        ordered.append(Ordered(name, crystal.formula, named))
    return ordered, failures, reading.skipped
