"""Whole numbers of ions on the sites of a supercell, neutral where the occupancies nearly are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement, permutations

import numpy as np

from phonolyte.chemistry.charges import balance_nearly, balance_states
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.errors import StructureError
from phonolyte.structures.sites import Sites, is_full
from phonolyte.structures.supercells import Cell, OrderingSettings, whole_numbers

NEARLY = 0.06
"""Charge that refined occupancies may leave, as a share of the charge of the cations."""

NONMETALS = frozenset("H C N O F P S Cl Se Br I".split())
"""Elements whose compounds have to be neutral."""


def likely_states(sites: Sites) -> dict[str, float]:
    """Oxidation states of the composition; empty for an alloy.

    Raises
    ------
    StructureError
        For a compound whose occupancies are far from neutral.
    """
    counts = sites.counts
    amounts = {element: round(amount, 3) for element, amount in counts.items() if amount > 5e-4}
    states = balance_nearly(amounts, NEARLY) or balance_states(amounts)
    if states is None and NONMETALS & set(amounts):
        listed = " ".join(f"{element}{amount:.4g}" for element, amount in amounts.items())
        raise StructureError(
            "its occupancies are not neutral",
            why=f"no oxidation states of {listed} add up to zero",
            fix="Check the occupancies; ions may be missing.",
            kind="NotNeutral",
        )
    return states or {}


def fill_sites(
    cell: Cell, sites: Sites, states: Mapping[str, float], settings: OrderingSettings
) -> list[dict[str, int]]:
    """Atoms of each element on each kind of site, neutral where mobile ions can make it so."""
    numbers = [whole_numbers(share, int((cell.kinds == kind).sum())) for kind, share in enumerate(cell.shares)]
    if not states:
        return numbers
    charge = sum(states.get(element, 0.0) * number for filled in numbers for element, number in filled.items())
    mobile = next((ion for ion in MOBILE_IONS if ion in states and _is_partial(cell, ion)), None)
    if mobile is not None and abs(charge) > 0.5:
        wanted = -round(charge / states[mobile])
        most = max(1, round(settings.adjust * sites.counts[mobile] * cell.copies))
        numbers = _adjust(cell, numbers, mobile, int(np.clip(wanted, -most, most)))
        charge = sum(states.get(element, 0.0) * number for filled in numbers for element, number in filled.items())
    return _exchange(cell, numbers, states, charge) if abs(charge) > 0.5 else numbers


def _exchange(
    cell: Cell, numbers: list[dict[str, int]], states: Mapping[str, float], charge: float
) -> list[dict[str, int]]:
    """Exchange one or two ions for others of their sites, or for vacancies, where that makes the cell neutral.

    The exchange that comes nearest to the occupancies is made; none where no exchange is enough.
    """
    sizes = np.bincount(cell.kinds, minlength=len(cell.shares))
    moves = []
    for kind, share in enumerate(cell.shares):
        off = {element: numbers[kind].get(element, 0) - amount * sizes[kind] for element, amount in share.items()}
        if not is_full(share):
            off[""] = -sum(off.values())  # vacancies
        held = {**numbers[kind], "": sizes[kind] - sum(numbers[kind].values())}
        for old, new in permutations(off, 2):
            if held.get(old, 0) > 0:
                cost = abs(off[old] - 1) - abs(off[old]) + abs(off[new] + 1) - abs(off[new])
                moves.append((cost, kind, old, new, states.get(new, 0.0) - states.get(old, 0.0)))
    choices = [(move,) for move in moves] + list(combinations_with_replacement(moves, 2))
    neutral = [choice for choice in choices if abs(charge + sum(move[4] for move in choice)) < 0.5]
    if not neutral:
        return numbers
    changed = [dict(filled) for filled in numbers]
    for _, kind, old, new, _ in min(neutral, key=lambda choice: (sum(move[0] for move in choice), len(choice))):
        for element, step in ((old, -1), (new, 1)):
            if element:
                changed[kind][element] = changed[kind].get(element, 0) + step
    return changed if all(number >= 0 for filled in changed for number in filled.values()) else numbers


def _is_partial(cell: Cell, ion: str) -> bool:
    return any(ion in share and not is_full(share) for share in cell.shares)


def _adjust(cell: Cell, numbers: list[dict[str, int]], ion: str, change: int) -> list[dict[str, int]]:
    """Add or remove ions on the partly occupied sites of their own, where there is room."""
    numbers = [dict(filled) for filled in numbers]
    for _ in range(abs(change)):
        step = 1 if change > 0 else -1
        rooms = {}
        for kind, share in enumerate(cell.shares):
            if ion in share and not is_full(share):
                size = int((cell.kinds == kind).sum())
                free = size - sum(numbers[kind].values()) if step > 0 else numbers[kind].get(ion, 0)
                rooms[kind] = free
        kind = max(rooms, key=lambda each: rooms[each], default=-1)
        if kind < 0 or rooms[kind] <= 0:
            break
        numbers[kind][ion] = numbers[kind].get(ion, 0) + step
    return numbers
