"""The 271 Magpie features of a crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import (
    ATOMIC_NUMBERS,
    PROPERTIES,
    common_oxidation_states,
    imputed_property_table,
    magpie_oxidation_states,
    property_table,
    require_elemental_data,
)
from phonolyte.features.attributes import (
    CAN_FORM_IONIC,
    N_COMPOSITION,
    N_MAGPIE,
    N_STRUCTURE,
    attributes,
    composition_attributes,
)
from phonolyte.structures import Crystal

Convention = Literal["magpie", "matminer"]

AMOUNTS = 1000
"""Parts of an atom in which the amounts of a disordered cell are counted."""


def feature_names(convention: Convention = "magpie") -> list[str]:
    """Names of the features, in order, as Magpie spells them; matminer's convention has two more.

    The prefixes are those of Magpie: ``var`` and ``dev`` are mean absolute deviations, ``most`` is the value
    of the most abundant element, ``maxdiff`` and ``range`` are maximum minus minimum.
    """
    names = [f"{s}_EffectiveCoordination" for s in ("mean", "var", "min", "max")]
    names += [f"{s}_MeanBondLength" for s in ("var", "min", "max")]
    names += [f"{s}_BondLengthVariation" for s in ("mean", "var", "min", "max")]
    names += [
        "var_CellVolume",
        *(f"mean_WCMagnitude_Shell{shell}" for shell in (1, 2, 3)),
        "MaxPackingEfficiency",
    ]
    names += [f"{s}_NeighDiff_shell1_{p}" for p in PROPERTIES for s in ("mean", "var", "min", "max", "range")]
    names += ["NComp", *(f"Comp_L{power}Norm" for power in (2, 3, 5, 7, 10))]
    names += [f"{s}_{p}" for p in PROPERTIES for s in ("mean", "maxdiff", "dev", "max", "min", "most")]
    names += [
        *(f"frac_{orbital}Valence" for orbital in "spdf"),
        "CanFormIonic",
        "MaxIonicChar",
        "MeanIonicChar",
    ]
    if convention == "matminer":
        names += ["range_EffectiveCoordination", "range_BondLengthVariation"]
    return names


@dataclass(frozen=True, slots=True)
class Magpie:
    """The Magpie features as a feature set.

    Attributes
    ----------
    convention
        ``"magpie"``: the 271 features as Magpie computes them; ``"matminer"``: 273, as matminer does where the two
        differ (Warren-Cowley shells 2 and 3, MeanIonicChar, CanFormIonic, most_X at a tie, imputed elemental data).

    Raises
    ------
    ValueError
        For another convention.
    """

    convention: Convention = "magpie"

    def __post_init__(self) -> None:
        if self.convention not in ("magpie", "matminer"):
            raise ValueError(f"convention is {self.convention!r}: choose 'magpie' or 'matminer'")

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return feature_names(self.convention)

    @property
    def _elemental(self) -> tuple[Floats, Ints]:
        if self.convention == "matminer":
            return imputed_property_table(), common_oxidation_states()
        return property_table(), magpie_oxidation_states()

    def check(self, crystal: Crystal) -> None:
        """Refuse a crystal with an element that lacks elemental data.

        Raises
        ------
        StructureError
            Names the element and what is missing.
        """
        fix = "Leave the compound out (matminer's convention puts in the mean of all elements)."
        require_elemental_data(crystal.numbers, self._elemental[0], PROPERTIES, fix=fix)

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Features (271,), or (273,), of one ordering of a crystal, with statistics of the true composition."""
        properties, states = self._elemental
        matminer = self.convention == "matminer"
        row: Floats = attributes(ordered.lattice, ordered.frac_coords, ordered.numbers, properties, states, matminer)
        if not crystal.is_ordered:
            neutral = row[CAN_FORM_IONIC]  # refined occupancies never add up to zero
            row[N_STRUCTURE:N_MAGPIE] = _composition(crystal, properties, states, matminer)
            row[CAN_FORM_IONIC] = neutral
        return row if matminer else row[:N_MAGPIE]


def _composition(crystal: Crystal, properties: Floats, states: Ints, matminer: bool) -> Floats:
    """Attributes of the composition of a disordered crystal, by its occupancies."""
    amounts = {ATOMIC_NUMBERS[symbol]: amount for symbol, amount in crystal.amounts.items()}
    elements = np.array(sorted(amounts), dtype=np.int64)
    counts = np.array([max(1, round(AMOUNTS * amounts[z])) for z in elements.tolist()], dtype=np.int64)
    values = np.empty(N_COMPOSITION)
    composition_attributes(elements, counts, properties, states, matminer, values)
    return values
