"""Charges of ions: oxidation states of a crystal, and the charge of its mobile ion."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import log
from typing import TYPE_CHECKING

from phonolyte.chemistry.elements import ATOMIC_NUMBERS, NO_STATE, common_oxidation_states
from phonolyte.errors import MigrationError, StructureError

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

FILE, COMPOSITION, BOND_VALENCE = "file", "composition", "bond valence"
"""Where oxidation states come from."""

RARE = 0.03
"""Share of a state in the ICSD below which bond valences are preferred to the composition."""

NEUTRAL = 0.01
"""Charge an atom up to which a crystal is neutral, in elementary charges."""

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


@cache
def _occurrences() -> dict[str, dict[int, float]]:
    """Sites of each element in each oxidation state in the ICSD, as pymatgen counts them; neutral ones are left out."""
    from pymatgen.core.composition import Composition

    Composition({"Li": 1, "F": 1}).oxi_state_guesses()  # which reads the table
    counts: dict[str, dict[int, float]] = {}
    for species, count in (Composition.oxi_prob or {}).items():
        if species.oxi_state:
            counts.setdefault(species.symbol, {})[int(species.oxi_state)] = float(count)
    return counts


@cache
def state_shares(symbol: str) -> dict[int, float]:
    """Share of each oxidation state among the charged sites of an element in the ICSD, the most common first."""
    counts = _occurrences().get(symbol, {})
    total = sum(counts.values())
    return {state: counts[state] / total for state in sorted(counts, key=lambda state: (-counts[state], state))}


@dataclass(frozen=True, slots=True)
class Balance:
    """Oxidation states that make a composition neutral.

    Attributes
    ----------
    states
        State of each element; the mean of two where one element has several.
    rarest
        Smallest share in the ICSD of a state that is used.
    """

    states: Mapping[str, float]
    rarest: float

    @property
    def is_single(self) -> bool:
        """Whether each element has one state."""
        return all(float(state).is_integer() for state in self.states.values())


def balance_states(atoms: Mapping[str, float]) -> Balance | None:
    """The likeliest oxidation states of a composition, as products of their shares in the ICSD.

    Where one state an element does not balance, two of one element do: ``Fe3O4`` gives Fe 8/3.

    Parameters
    ----------
    atoms
        Atoms of each element; fractions, of sites that are partly occupied, are fine.

    Returns
    -------
    Balance or None
        None where nothing balances.
    """
    if len(atoms) < 2 or not all(state_shares(symbol) for symbol in atoms):
        return None
    exact = _likeliest(atoms).get(0)
    if exact is not None:
        return Balance(exact[1], min(state_shares(symbol)[int(state)] for symbol, state in exact[1].items()))
    mixed = [balance for symbol in atoms for balance in _with_two_states(atoms, symbol)]
    return max(mixed, key=lambda pair: pair[0])[1] if mixed else None


def balance_nearly(atoms: Mapping[str, float], tolerance: float) -> Balance | None:
    """The likeliest whole states, one an element, that leave a composition of refined occupancies nearly neutral.

    Parameters
    ----------
    atoms
        Atoms of each element, which need not be whole.
    tolerance
        Charge that may be left, as a share of the charge of the cations.

    Returns
    -------
    Balance or None
        None where no states come so near.
    """
    if len(atoms) < 2 or not all(state_shares(symbol) for symbol in atoms):
        return None
    near = []
    for charge, (likelihood, states) in _likeliest(atoms).items():
        positive = sum(atoms[symbol] * state for symbol, state in states.items() if state > 0)
        if positive and abs(charge) / 1000 <= tolerance * positive:
            near.append((likelihood, -abs(charge), states))
    if not near:
        return None
    states = max(near, key=lambda each: each[:2])[2]
    return Balance(states, min(state_shares(symbol)[int(state)] for symbol, state in states.items()))


def _likeliest(atoms: Mapping[str, float]) -> dict[int, tuple[float, dict[str, float]]]:
    """For each charge of the composition, in thousandths, the logarithm of the likelihood of the likeliest states."""
    sums: dict[int, tuple[float, dict[str, float]]] = {0: (0.0, {})}
    for symbol, amount in atoms.items():
        longer: dict[int, tuple[float, dict[str, float]]] = {}
        for charge, (likelihood, states) in sums.items():
            for state, share in state_shares(symbol).items():
                total, value = charge + round(1000 * amount * state), likelihood + log(share)
                if total not in longer or value > longer[total][0]:
                    longer[total] = (value, {**states, symbol: float(state)})
        sums = longer
    return sums


def _with_two_states(atoms: Mapping[str, float], symbol: str) -> Iterator[tuple[float, Balance]]:
    """Balances in which one element has two states of the same sign, with the logarithm of their likelihood."""
    others = {other: amount for other, amount in atoms.items() if other != symbol}
    shares = state_shares(symbol)
    for charge, (likelihood, states) in _likeliest(others).items():
        mean = -charge / 1000 / atoms[symbol]
        below = max((state for state in shares if state < mean), default=None)
        above = min((state for state in shares if state > mean), default=None)
        if below is None or above is None or below * above < 0:
            continue
        rarest = min(shares[below], shares[above], *(state_shares(o)[int(states[o])] for o in others))
        yield likelihood + log(shares[below] * shares[above]), Balance({**states, symbol: mean}, rarest)


def with_oxidation_states(
    structure: Structure, name: str, stated: Mapping[str, float] | None = None
) -> tuple[Structure, str]:
    """Decorate a structure with oxidation states: those of its file, else by composition, else by bond valences.

    Parameters
    ----------
    structure
        Fully ordered.
    name
        Name of the material in an error message.
    stated
        States that its file gives, an element; they count where they balance.

    Returns
    -------
    tuple
        The decorated structure, and :data:`FILE`, :data:`COMPOSITION` or :data:`BOND_VALENCE`.

    Raises
    ------
    StructureError
        When no oxidation states balance.
    """
    atoms = {str(symbol): float(amount) for symbol, amount in structure.composition.get_el_amt_dict().items()}
    if (
        stated
        and set(stated) == set(atoms)
        and abs(sum(atoms[s] * stated[s] for s in atoms)) < NEUTRAL * len(structure)
    ):
        return structure.add_oxidation_state_by_element(dict(stated)), FILE
    balance = balance_states(atoms)
    is_certain = balance is not None and balance.is_single and balance.rarest >= RARE
    by_bonds = None if is_certain else _by_bond_valence(structure)
    if by_bonds is not None:
        return by_bonds, BOND_VALENCE
    if balance is None:
        raise StructureError(
            f"{name} has no oxidation states that balance",
            why="neither its composition nor its bond valences give any",
            fix="Use --method neb, which needs none.",
            kind="NoOxidationStates",
        )
    return structure.add_oxidation_state_by_element(dict(balance.states)), COMPOSITION


def _by_bond_valence(structure: Structure) -> Structure | None:
    from pymatgen.analysis.bond_valence import BVAnalyzer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return BVAnalyzer(forbidden_species=["O-", "P3-"]).get_oxi_state_decorated_structure(structure)
        except ValueError:
            return None


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
