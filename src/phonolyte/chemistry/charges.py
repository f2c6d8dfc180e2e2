"""Charges of ions: oxidation states of a crystal, and the charge of its mobile ion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from math import log

from phonolyte.chemistry.elements import (
    ATOMIC_NUMBERS,
    NO_STATE,
    common_oxidation_states,
    electronegativity,
    sites_of_charges,
)
from phonolyte.errors import MigrationError, StructureError

FILE, COMPOSITION = "file", "composition"
"""Where oxidation states come from."""

MIXED = 0.25
"""How likely two states of one element are by the product of their shares, beside one state each of all elements."""

BESIDE_OXYGEN, REDUCED = 2.3, 0.02
"""Beside oxygen, an element with a lower electronegativity than this is rarely negative: by this factor."""

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
def state_shares(symbol: str) -> dict[int, float]:
    """Share of each oxidation state among the charged sites of an element in the ICSD, the most common first.

    The common states of an element that pymatgen does not count, such as platinum and gold, have equal shares.
    """
    counts = sites_of_charges().get(symbol) or {state: 1.0 for state in common_states(symbol) if state}
    total = sum(counts.values())
    return {state: counts[state] / total for state in sorted(counts, key=lambda state: (-counts[state], state))}


def balance_states(atoms: Mapping[str, float]) -> dict[str, float] | None:
    """The likeliest oxidation states that make a composition neutral, by the product of their shares in the ICSD.

    Two states of one element count where they are likelier than one of each: ``Fe3O4`` has Fe 8/3, ``LiMn2O4`` Mn 3.5.

    Parameters
    ----------
    atoms
        Atoms of each element; fractions, of sites that are partly occupied, are fine.

    Returns
    -------
    dict or None
        State of each element, the mean of two where it has two; None where nothing balances.
    """
    if len(atoms) < 2 or not all(state_shares(symbol) for symbol in atoms):
        return None
    shares = _shares_in(atoms)
    choices = [choice for symbol in atoms for choice in _with_two_states(atoms, shares, symbol)]
    if 0 in (sums := _likeliest(atoms, shares)):
        choices.append(sums[0])
    return max(choices, key=lambda choice: choice[0])[1] if choices else None


def balance_nearly(atoms: Mapping[str, float], tolerance: float) -> dict[str, float] | None:
    """The likeliest whole states, one an element, that leave a composition of refined occupancies nearly neutral.

    Parameters
    ----------
    atoms
        Atoms of each element, which need not be whole.
    tolerance
        Charge that may be left, as a share of the charge of the cations.

    Returns
    -------
    dict or None
        State of each element; None where no states come so near.
    """
    if len(atoms) < 2 or not all(state_shares(symbol) for symbol in atoms):
        return None
    near = []
    for charge, (likelihood, states) in _likeliest(atoms, _shares_in(atoms)).items():
        positive = sum(atoms[symbol] * state for symbol, state in states.items() if state > 0)
        if positive and abs(charge) / 1000 <= tolerance * positive:
            near.append((likelihood, -abs(charge), states))
    return max(near, key=lambda each: each[:2])[2] if near else None


def _shares_in(atoms: Mapping[str, float]) -> dict[str, dict[int, float]]:
    """Shares of the states of each element of a composition, lower for what is hardly an anion beside oxygen."""
    shares = {symbol: state_shares(symbol) for symbol in atoms}
    if "O" not in atoms:
        return shares
    return {
        symbol: {state: share * (REDUCED if state < 0 else 1.0) for state, share in of_element.items()}
        if electronegativity(symbol) < BESIDE_OXYGEN
        else of_element
        for symbol, of_element in shares.items()
    }


def _likeliest(
    atoms: Mapping[str, float], shares: Mapping[str, Mapping[int, float]]
) -> dict[int, tuple[float, dict[str, float]]]:
    """For each charge of the composition, in thousandths, the logarithm of the likelihood of the likeliest states."""
    sums: dict[int, tuple[float, dict[str, float]]] = {0: (0.0, {})}
    for symbol, amount in atoms.items():
        longer: dict[int, tuple[float, dict[str, float]]] = {}
        for charge, (likelihood, states) in sums.items():
            for state, share in shares[symbol].items():
                total, value = charge + round(1000 * amount * state), likelihood + log(share)
                if total not in longer or value > longer[total][0]:
                    longer[total] = (value, {**states, symbol: float(state)})
        sums = longer
    return sums


def _with_two_states(
    atoms: Mapping[str, float], shares: Mapping[str, Mapping[int, float]], symbol: str
) -> Iterator[tuple[float, dict[str, float]]]:
    """States with two of the same sign for one element, its mean, and the logarithm of their likelihood."""
    others = {other: amount for other, amount in atoms.items() if other != symbol}
    states_of_symbol = shares[symbol]
    for charge, (likelihood, states) in _likeliest(others, shares).items():
        mean = -charge / 1000 / atoms[symbol]
        below = max((state for state in states_of_symbol if state < mean), default=None)
        above = min((state for state in states_of_symbol if state > mean), default=None)
        if below is not None and above is not None and below * above > 0:
            yield likelihood + log(MIXED * states_of_symbol[below] * states_of_symbol[above]), {**states, symbol: mean}


def leave_neutral(states: Mapping[str, float], atoms: Mapping[str, float], tolerance: float) -> bool:
    """Whether oxidation states, one an element, make a composition neutral.

    Parameters
    ----------
    states
        State of each element.
    atoms
        Atoms of each element.
    tolerance
        Charge that may be left, as a share of the charge of the cations.
    """
    if not set(atoms) <= set(states):
        return False
    charges = [states[symbol] * amount for symbol, amount in atoms.items()]
    return abs(sum(charges)) <= tolerance * sum(charge for charge in charges if charge > 0)


def single_charge(states: Mapping[str, float], ion: str) -> int:
    """Charge of an ion by the oxidation states of a crystal, in elementary charges.

    Raises
    ------
    StructureError
        When it has none, or a broken one: the mean of several.
    """
    charge = states.get(ion, 0.0)
    if not charge or not float(charge).is_integer():
        raise StructureError(
            f"{ion} has no single charge", why=f"it is {charge:+.3g} in the mean", fix="Name another ion.",
            kind="MixedCharges",
        )  # fmt: skip
    return int(charge)
