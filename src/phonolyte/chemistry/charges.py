"""Charges of ions: oxidation states of a crystal, and the charge of its mobile ion."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from phonolyte.errors import MigrationError, StructureError

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

BOND_VALENCE, COMPOSITION = "bond valence", "composition"
"""Where oxidation states come from."""

MOBILE_CHARGES = {"Cu": 1}
"""Charges of mobile ions whose most common oxidation state is another."""


def mobile_charge(ion: str) -> int:
    """Charge of a mobile ion, in elementary charges.

    Raises
    ------
    MigrationError
        For an element without a common oxidation state.
    """
    if ion in MOBILE_CHARGES:
        return MOBILE_CHARGES[ion]
    from pymatgen.core.periodic_table import Element

    states = Element(ion).common_oxidation_states
    if not states:
        raise MigrationError(f"the charge of {ion} is not known", fix="Name another ion.", kind="NoCharge")
    return int(states[0])


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
