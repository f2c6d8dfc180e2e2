"""Charges that add up to zero: whether there are some, and which ions have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from phonolyte.arrays import Ints
from phonolyte.chemistry.elements import NO_STATE
from phonolyte.chemistry.ions import HARD_ONLY, Ion, anions, cations
from phonolyte.compiling import kernel

NARROWEST_KNOWN_BOND = -0.35
"""Electronegativity by which an anion exceeds every cation in known compounds; lead and tellurium are an extreme."""

FEW_CHOICES = 256
"""Up to so many choices of oxidation states are tried one by one; more are counted by the charges they reach."""


def neutral_ions(elements: Sequence[str], counts: Sequence[int], signs: Sequence[bool] = ()) -> tuple[Ion, ...]:
    """Ions of the elements whose charges add up to zero, common charges first; empty where there are none.

    Parameters
    ----------
    elements, counts
        The composition.
    signs
        Which are cations; without it any may be.
    """
    options = [_ions_of(symbol, signs[i : i + 1]) for i, symbol in enumerate(elements)]
    neutral = [
        ions
        for ions in product(*options)
        if sum(ion.charge * n for ion, n in zip(ions, counts, strict=True)) == 0 and _gap(ions) >= NARROWEST_KNOWN_BOND
    ]
    return max(neutral, key=_gap, default=())


def _ions_of(symbol: str, sign: Sequence[bool]) -> list[Ion]:
    """Ions of an element, those of most compounds first and of these the one with the highest charge."""
    ions = [ion for ion in (*anions(), *cations(hard=True)) if ion.symbol == symbol]
    ions.sort(key=lambda ion: (f"{symbol}+{ion.charge}" in HARD_ONLY, -ion.charge))
    return [ion for ion in ions if not sign or (ion.charge > 0) == sign[0]]


def _gap(ions: Sequence[Ion]) -> float:
    """Electronegativity of the anions over that of the cations, at least."""
    positive = max(ion.electronegativity for ion in ions if ion.charge > 0)
    return min(ion.electronegativity for ion in ions if ion.charge < 0) - positive


@kernel
def can_be_neutral(elements: Ints, counts: Ints, signs: Ints, states: Ints) -> bool:
    """Whether oxidation states, one for each of k places, can add up to no charge (compiled).

    Parameters
    ----------
    elements, counts
        (k,) atomic number in each place, which may repeat, and how many atoms are there.
    signs
        (k,) sign that the state must not be opposite to, 0 for any.
    states
        (Z + 1, m) oxidation states of each element, padded with -99.
    """
    choices = 1
    for i in range(len(elements)):
        allowed = 0
        for at in range(states.shape[1]):
            if states[elements[i], at] == NO_STATE:
                break
            allowed += states[elements[i], at] * signs[i] >= 0
        choices = min(choices * allowed, FEW_CHOICES + 1)
    if choices > FEW_CHOICES:
        return _is_reached(elements, counts, signs, states)
    return choices > 0 and _is_chosen(elements, counts, signs, states)


@kernel
def _is_chosen(elements: Ints, counts: Ints, signs: Ints, states: Ints) -> bool:
    """Whether a choice adds up to no charge, by trying the states of the places one after another, as an odometer."""
    chosen = np.full(len(elements), -1)
    place, charge = 0, 0
    while place >= 0:
        z, at = elements[place], chosen[place]
        if at >= 0:
            charge -= counts[place] * states[z, at]
        at += 1
        while at < states.shape[1] and states[z, at] != NO_STATE and states[z, at] * signs[place] < 0:
            at += 1
        if at == states.shape[1] or states[z, at] == NO_STATE:
            chosen[place] = -1
            place -= 1
            continue
        chosen[place] = at
        charge += counts[place] * states[z, at]
        if place < len(elements) - 1:
            place += 1
        elif charge == 0:
            return True
    return False


@kernel
def _is_reached(elements: Ints, counts: Ints, signs: Ints, states: Ints) -> bool:
    """The same by the charges that the first places reach: work that grows with the atoms, not with the choices."""
    divisor, reach = 0, 0
    for count in counts:
        divisor = math.gcd(divisor, count)
    for i in range(len(elements)):
        highest = 0
        for state in states[elements[i]]:
            if state != NO_STATE:
                highest = max(highest, abs(state))
        reach += counts[i] // divisor * highest
    charges = np.zeros(2 * reach + 1, np.bool_)
    charges[reach] = True
    for i in range(len(elements)):
        reached = np.zeros(2 * reach + 1, np.bool_)
        for state in states[elements[i]]:
            if state == NO_STATE:
                break
            if state * signs[i] < 0:
                continue
            shift = state * (counts[i] // divisor)
            for charge in range(max(0, -shift), min(len(charges), len(charges) - shift)):
                if charges[charge]:
                    reached[charge + shift] = True
        charges = reached
    return bool(charges[reach])
