"""What the mobile ion of a crystal feels: the mean of each site quantity over its sites, as a feature set."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.features.attributes import round_values
from phonolyte.features.physical import QUANTITIES, quantities_of_sites, require_springs
from phonolyte.structures import Crystal

NUMBER = "ion_number"
"""Column with the atomic number of the ion; 0 where a crystal has none."""


def ion_site_names() -> list[str]:
    """Names of the columns: the ion's atomic number, and each quantity of its sites."""
    return [NUMBER, *(f"ion_{quantity.name}" for quantity in QUANTITIES)]


def mobile_ion(symbols: Collection[str], ion: str = "any") -> str:
    """The mobile ion among the elements of a crystal: the first of :data:`MOBILE_IONS`, or the given one; or none."""
    return next((symbol for symbol in (MOBILE_IONS if ion == "any" else (ion,)) if symbol in symbols), "")


@dataclass(frozen=True, slots=True)
class IonSites:
    """Site quantities of the mobile ion, the mean over its sites.

    Attributes
    ----------
    ion
        Symbol of the ion; ``any``: the first of :data:`phonolyte.chemistry.ions.MOBILE_IONS` that a crystal has.
    scale
        Factor on all lengths: cells that an engine relaxed are scaled to those that a model learned.
    """

    ion: str = "any"
    scale: float = 1.0

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return ion_site_names()

    def check(self, crystal: Crystal) -> None:
        """Refuse a crystal with an element that lacks elemental data.

        Raises
        ------
        StructureError
            Names the element.
        """
        require_springs(crystal)

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Columns (31,) of one ordering of a crystal; NaN where it has no such ion, or a site has no neighbors."""
        row = np.full(1 + len(QUANTITIES), np.nan)
        number = ATOMIC_NUMBERS.get(mobile_ion(set(crystal.symbols), self.ion), 0)
        of_ion = ordered.numbers == number
        row[0] = number if of_ion.any() else 0
        if row[0]:
            scaled = ordered if self.scale == 1.0 else replace(ordered, lattice=self.scale * ordered.lattice)
            row[1:] = quantities_of_sites(scaled)[of_ion].mean(axis=0)
            round_values(row)
        return row
