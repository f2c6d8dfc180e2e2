"""What a model of the conductivity sees of a crystal: sizes, charges and amounts of its ions, and how they are packed.

Everything is counted an anion, since refinements miss light cations and not anions. Radii are those of
:mod:`phonolyte.chemistry.ions`, and oxidation states the likeliest of the composition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.charges import balance_nearly, balance_states
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, SYMBOLS, electronegativity, property_table
from phonolyte.chemistry.ions import ANIONS, nearest_ions
from phonolyte.structures import Crystal
from phonolyte.structures.sites import is_full, sites_of

DESCRIPTORS = (
    "anion_radius_a", "anion_radius_spread_a", "anion_electronegativity", "anion_charge", "ions_per_anion",
    "framework_per_anion", "framework_radius_a", "framework_radius_spread_a", "framework_charge",
    "framework_charge_spread", "framework_electronegativity", "framework_electronegativity_spread",
    "volume_per_anion_a3", "packing",
)  # fmt: skip
"""Descriptors of the ions: means and standard deviations over the anions, and over the cations but the mobile ones."""

NEARLY_NEUTRAL = 0.06
"""Charge that a refined composition may miss, as a share of that of its cations."""

UNKNOWN_ANION_A, IONIC_SHARE = 1.8, 0.6
"""Radius of an anion without one, and radius of a cation without one over its covalent radius."""

NO_FRAMEWORK = (0.6, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Radius, charge and electronegativity, and their spreads, where there is no other cation."""


def ionic_descriptors(amounts: Mapping[str, float], volume_a3: float, ion: str) -> Floats:
    """The :data:`DESCRIPTORS` (14,) of a cell.

    Parameters
    ----------
    amounts
        Atoms of each element in the cell.
    volume_a3
        Its volume.
    ion
        Symbol of the mobile ion.
    """
    states = _states_of(tuple(sorted(amounts.items())))
    anions = {symbol: amount for symbol, amount in amounts.items() if states[symbol] < 0}
    framework = {symbol: amount for symbol, amount in amounts.items() if states[symbol] >= 0 and symbol != ion}
    n_anions = sum(anions.values())
    weights = list(anions.values())
    radii = [anion_radius_a(symbol) for symbol in anions]
    spheres = sum(4 / 3 * math.pi * r**3 * n for r, n in zip(radii, weights, strict=True))
    return np.array([
        *_mean_and_spread(radii, weights),
        np.average([electronegativity(symbol) for symbol in anions], weights=weights),
        np.average([-states[symbol] for symbol in anions], weights=weights), amounts.get(ion, 0.0) / n_anions,
        sum(framework.values()) / n_anions, *_of_framework(framework, states), volume_a3 / n_anions,
        spheres / volume_a3,
    ])  # fmt: skip


def root_fractions(amounts: Mapping[str, float]) -> Floats:
    """Square roots of the fractions of elements (104,), by atomic number."""
    roots = np.zeros(len(SYMBOLS))
    total = sum(amounts.values())
    for symbol, amount in amounts.items():
        roots[ATOMIC_NUMBERS[symbol]] = math.sqrt(amount / total)
    return roots


def open_share(crystal: Crystal, ion: str) -> float:
    """Share of the sites with a mobile ion that are partly empty; NaN for an ordered crystal."""
    if crystal.is_ordered:
        return math.nan
    shares = [share for share in sites_of(crystal).shares if ion in share]
    return float(np.mean([not is_full(share) for share in shares])) if shares else math.nan


def _of_framework(framework: Mapping[str, float], states: Mapping[str, float]) -> Sequence[float]:
    if not framework:
        return NO_FRAMEWORK
    weights = list(framework.values())
    columns = (
        [cation_radius_a(symbol, states[symbol]) for symbol in framework],
        [states[symbol] for symbol in framework],
        [electronegativity(symbol) for symbol in framework],
    )
    return [value for column in columns for value in _mean_and_spread(column, weights)]


def _mean_and_spread(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    mean = np.average(values, weights=weights)
    return float(mean), float(np.sqrt(np.average((np.asarray(values) - mean) ** 2, weights=weights)))


def anion_radius_a(symbol: str) -> float:
    """Radius of an element as an anion, angstrom."""
    return ANIONS[symbol][1] if symbol in ANIONS else UNKNOWN_ANION_A


def cation_radius_a(symbol: str, state: float) -> float:
    """Radius of an element as a cation with the charge that is nearest to a state, angstrom."""
    known = nearest_ions(max(round(state), 1)).get(symbol)
    if known is not None:
        return known.radius_a
    covalent_pm = property_table()[ATOMIC_NUMBERS[symbol], PROPERTIES.index("CovalentRadius")]
    return float(IONIC_SHARE * covalent_pm / 100)


@lru_cache(4096)
def _states_of(items: tuple[tuple[str, float], ...]) -> Mapping[str, float]:
    """Oxidation states of a composition; where none balance, the most electronegative element is the anion."""
    amounts = dict(items)
    present = {symbol: round(amount, 3) for symbol, amount in items if amount > 5e-4}
    states = balance_nearly(present, NEARLY_NEUTRAL) or balance_states(present)
    if states and min(states.values()) < 0:
        return {symbol: states.get(symbol, 0.0) for symbol in amounts}
    anion = max(sorted(amounts), key=electronegativity)
    charge = ANIONS[anion][0] if anion in ANIONS else -1
    return {symbol: float(charge) if symbol == anion else 1.0 for symbol in amounts}
