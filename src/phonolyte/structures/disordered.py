"""Disordered crystals of files, and their ordered arrangements as crystals of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phonolyte.errors import Failure
from phonolyte.structures.ordering import Arrangement, order
from phonolyte.structures.reading import Skipped, failure_of, from_object, read_file
from phonolyte.structures.supercells import OrderingSettings


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
        The lowest in energy first.
    """

    material_id: str
    formula: str
    arrangements: list[Arrangement]

    def named(self, name: str) -> Ordered:
        """The material under a name, its arrangements under this name with ``-1``, ``-2``, ..."""
        arrangements = [
            replace(each, crystal=replace(each.crystal, material_id=f"{name}-{number}"))
            for number, each in enumerate(self.arrangements, start=1)
        ]
        return Ordered(name, self.formula, arrangements)


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
        ordered.append(Ordered(name, crystal.formula, arrangements))
    return ordered, failures, reading.skipped
