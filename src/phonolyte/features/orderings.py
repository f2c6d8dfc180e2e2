"""Features of a disordered crystal: composition by its occupancies, structure by its orderings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.features.attributes import CAN_FORM_IONIC, N_COMPOSITION, N_MAGPIE, N_STRUCTURE, composition_attributes
from phonolyte.structures import Crystal
from phonolyte.structures.ordering import order

AMOUNTS = 1000
"""Parts of an atom in which the amounts of a disordered cell are counted."""


def order_features(
    crystal: Crystal, compute: Callable[[Crystal], Floats], properties: Floats, states: Ints, *, matminer: bool
) -> tuple[Floats, list[Crystal]]:
    """Features (k, m) of the k orderings of a disordered crystal, and these.

    Parameters
    ----------
    crystal
        With partial occupancies.
    compute
        Gives the features of an ordered crystal.
    properties, states, matminer
        As :func:`phonolyte.features.attributes.attributes` takes them.

    Raises
    ------
    StructureError
        When the crystal cannot be ordered.
    """
    ordered = [arrangement.crystal for arrangement in order(crystal)]
    rows = np.array([compute(each) for each in ordered])
    amounts = {ATOMIC_NUMBERS[symbol]: amount for symbol, amount in crystal.amounts.items()}
    elements = np.array(sorted(amounts), dtype=np.int64)
    counts = np.array([max(1, round(AMOUNTS * amounts[z])) for z in elements.tolist()], dtype=np.int64)
    composition = np.empty(N_COMPOSITION)
    composition_attributes(elements, counts, properties, states, matminer, composition)
    neutral = rows[:, CAN_FORM_IONIC].copy()  # refined occupancies never add up to zero
    rows[:, N_STRUCTURE:N_MAGPIE] = composition
    rows[:, CAN_FORM_IONIC] = neutral
    return rows, ordered
