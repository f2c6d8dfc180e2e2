"""The ions of a crystal among which one moves, and their charges."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phonolyte.chemistry.charges import COMPOSITION, FILE, balance_states, leave_neutral, single_charge
from phonolyte.errors import StructureError
from phonolyte.percolation.bond_valence import Framework, partners
from phonolyte.structures import Crystal
from phonolyte.structures.filling import NEARLY, likely_states
from phonolyte.structures.sites import Sites, is_full, sites_of

NEUTRAL = 1e-3
"""Charge that states of a file may leave in an ordered crystal, as a share of the charge of the cations."""

SITES_JOIN = 0.3116
"""Share of the sites of a simple cubic lattice from which on they join into paths (10.1103/PhysRevE.57.230)."""


def check_partners(crystal: Crystal, ion: str) -> None:
    """Refuse a crystal without the ion, or without an element that has bond-valence parameters beside it.

    Raises
    ------
    StructureError
        Kind ``NoMobileIon``; kind ``NoParameters`` for alloys, hydrides, phosphides and their like.
    """
    if ion not in crystal.symbols:
        raise StructureError(
            f"{crystal.material_id} has no {ion}", fix="Name the mobile ion of this crystal.", kind="NoMobileIon"
        )
    others = set(crystal.symbols) - {ion}
    if not partners(ion) & others:
        raise StructureError(
            f"{crystal.material_id} has no element with bond-valence parameters beside {ion}",
            why=f"softBV has {ion} with {', '.join(sorted(partners(ion))) or 'nothing'}",
            fix="Use --method neb.",
            kind="NoParameters",
        )


def framework_of(crystal: Crystal, ion: str) -> tuple[Framework, int, Mapping[str, float], str]:
    """The ions among which one moves, its charge, the states of all elements, and where these are from.

    Every ion counts by its occupancy. An element has one state, the mean where it has several: repulsion is linear in
    the charge, so that the mean of its ions repels as they do on average.

    Raises
    ------
    StructureError
        Without charges that balance, or without a single one for the mobile ion.
    """
    sites = sites_of(crystal)
    states, source = oxidation_states(crystal, sites)
    rest = [
        (place, (symbol, float(states.get(symbol, 0.0))), occupancy)
        for place, share in enumerate(sites.shares)
        if not _is_open(share, ion)
        for symbol, occupancy in share.items()
        if symbol != ion
    ]
    framework = Framework(
        crystal.lattice,
        sites.positions[np.array([place for place, _, _ in rest], dtype=np.int64)],
        [each for _, each, _ in rest],
        np.array([occupancy for _, _, occupancy in rest]),
    )
    return framework, single_charge(states, ion), states, source


def oxidation_states(crystal: Crystal, sites: Sites) -> tuple[Mapping[str, float], str]:
    """Oxidation state of each element: those of the file where they balance, else the likeliest of the composition.

    Raises
    ------
    StructureError
        When none balance.
    """
    if leave_neutral(crystal.oxidation_states, sites.counts, NEUTRAL if crystal.is_ordered else NEARLY):
        return crystal.oxidation_states, FILE
    if not crystal.is_ordered:
        return likely_states(sites), COMPOSITION
    states = balance_states(sites.counts)
    if states is None:
        raise StructureError(
            f"{crystal.material_id} has no oxidation states that balance",
            why="none that its elements have in the ICSD add up to zero, even with two states of one of them",
            fix="Use --method neb, which needs none.",
            kind="NoOxidationStates",
        )
    return states, COMPOSITION


def _is_open(share: Mapping[str, float], ion: str) -> bool:
    """Whether a mobile ion passes sites that it shares with others: some are empty, and those without others join.

    An average of the others would block every such site, where in the crystal the ion passes between them.
    """
    others = sum(occupancy for symbol, occupancy in share.items() if symbol != ion)
    return ion in share and not is_full(share) and 1.0 - others >= SITES_JOIN
