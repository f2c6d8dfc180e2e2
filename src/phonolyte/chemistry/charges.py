"""Charges of ions: oxidation states of a crystal, and the charge of its mobile ion."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

from phonolyte.chemistry.elements import ATOMIC_NUMBERS, NO_STATE, common_oxidation_states
from phonolyte.errors import MigrationError, StructureError

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

BOND_VALENCE, COMPOSITION = "bond valence", "composition"
"""Where oxidation states come from."""

MOBILE_CHARGES = {"Cu": 1}
"""Charges of mobile ions whose most common oxidation state is another."""


@cache
def common_states(symbol: str) -> tuple[int, ...]:
    """Common oxidation states of an element as pymatgen lists them, the most common first; empty for what has none."""
    z = ATOMIC_NUMBERS.get(symbol, 0)
    return tuple(int(state) for state in common_oxidation_states()[z] if state != NO_STATE)


def nearest_state(symbol: str, charge: int) -> int:
    """Common oxidation state of an element with the sign of a charge and nearest to it; 0 where it has none."""
    states = [state for state in common_states(symbol) if state * charge > 0]
    return min(states, key=lambda state: abs(state - charge), default=0)


def mobile_charge(ion: str) -> int:
    """Charge of a mobile ion, in elementary charges.

    Raises
    ------
    MigrationError
        For an element without a common oxidation state.
    """
    states = common_states(ion)
    if not states:
        raise MigrationError(f"the charge of {ion} is not known", fix="Name another ion.", kind="NoCharge")
    return MOBILE_CHARGES.get(ion, states[0])


def with_oxidation_states(structure: Structure, name: str) -> tuple[Structure, str]:
    """Decorate a structure with oxidation states, by bond valences or else by its composition.

    Parameters
    ----------
    structure
        Fully ordered.
    name
        Name of the material in an error message.

    Returns
    -------
    tuple
        The decorated structure, and :data:`BOND_VALENCE` or :data:`COMPOSITION`.

    Raises
    ------
    StructureError
        When no oxidation states balance.
    """
    from pymatgen.analysis.bond_valence import BVAnalyzer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            analyzer = BVAnalyzer(forbidden_species=["O-", "P3-"])
            return analyzer.get_oxi_state_decorated_structure(structure), BOND_VALENCE
        except ValueError:
            structure.add_oxidation_state_by_guess(max_sites=-1)
    if not any(site.specie.oxi_state for site in structure):
        raise StructureError(
            f"{name} has no oxidation states that balance",
            why="neither bond valences nor the composition give any",
            fix="Use --method neb, which needs none.",
            kind="NoOxidationStates",
        )
    return structure, COMPOSITION


def single_charge(structure: Structure, ion: str) -> int:
    """Charge of an ion in a decorated structure, in elementary charges.

    Raises
    ------
    StructureError
        When its sites have several charges, none, or a broken one.
    """
    charges = sorted({float(site.specie.oxi_state or 0.0) for site in structure if site.specie.symbol == ion})
    if len(charges) != 1 or not charges[0] or not charges[0].is_integer():
        shown = ", ".join(f"{charge:+g}" for charge in charges)
        raise StructureError(
            f"{ion} has no single charge", why=f"its sites have {shown}", fix="Name another ion.", kind="MixedCharges"
        )
    return int(charges[0])
