"""Which elements may replace those of a prototype, and how far each replacement is from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from phonolyte.chemistry.elements import electronegativity
from phonolyte.chemistry.ions import (
    EXCLUDED,
    METALLOIDS,
    METALS,
    OXIDE_AND_FLUORIDE,
    Ion,
    anions,
    cations,
    metallic_radius_a,
)
from phonolyte.prototypes.library import Prototype
from phonolyte.structures.families import FAMILY_OF_ANION, PNICTOGENS

RATIO_WINDOW = 1.45
"""The ratio of two radii may differ from that in the prototype by this factor, up or down."""

METAL_WINDOW = 1.12
"""The same for metals."""

METAL_ELECTRONEGATIVITY = 0.45
"""By how much the electronegativity of a metal may differ from that of the one it replaces."""

NARROWEST_BOND = 0.2
"""Electronegativity by which an anion exceeds every cation."""

NARROWEST_NITRIDE_BOND = 1.0
"""The same for nitrogen: few nitrides of noble metals are known."""

POOL = 250
"""Substitutions kept for one prototype, and as many again with lithium."""

KNOWN_BONUS = 1.5
"""How much sooner known compounds come than others."""

OWN_BONUS = 1.0
"""How much sooner those come whose own cell and positions are known."""


@dataclass(frozen=True, slots=True)
class Substitution:
    """Elements for a prototype; the lower the cost, the nearer to a compound that is known."""

    prototype: Prototype
    elements: tuple[str, ...]
    family: str
    cost: float


def substitutions(prototype: Prototype, chance: np.random.Generator) -> list[Substitution]:
    """Known compounds of a prototype, and a sample of the compounds it may have.

    Parameters
    ----------
    prototype
        What is substituted.
    chance
        Decides among substitutions that are about equally good.
    """
    real = [e for e in dict.fromkeys((prototype.species, *prototype.real)) if not EXCLUDED & set(e)]
    cost = {e: chance.random() - KNOWN_BONUS for e in real}
    if prototype.species in cost:
        cost[prototype.species] -= OWN_BONUS
    new = sorted((c + chance.random(), e) for e, c in dict(_made(prototype)).items() if e not in cost)
    with_lithium = [item for item in new if "Li" in item[1]][:POOL]
    others = [item for item in new if "Li" not in item[1]][:POOL]
    chosen = [(c, e) for e, c in cost.items()] + with_lithium + others
    return [Substitution(prototype, e, family_of(prototype, e), c) for c, e in chosen]


def _made(prototype: Prototype) -> Iterator[tuple[tuple[str, ...], float]]:
    """Elements of substitutions by the rule of the prototype, with their costs."""
    if prototype.kind == "ionic":
        return _ionic(prototype)
    return _metallic(prototype) if prototype.kind == "metallic" else iter(())


def family_of(prototype: Prototype, elements: Sequence[str]) -> str:
    """Family by the elements on the sites of anions, or by all elements where a prototype has none."""
    present = set(elements)
    if prototype.ions:
        present = {symbol for symbol, ion in zip(elements, prototype.ions, strict=True) if ion.charge < 0}
    families = {FAMILY_OF_ANION[symbol] for symbol in present if symbol in FAMILY_OF_ANION}
    if len(families) == 1:
        return families.pop()
    if families:
        return "mixed"
    return "hydride" if "H" in elements else "pnictide" if set(elements) & set(PNICTOGENS) else "intermetallic"


def _ionic(prototype: Prototype) -> Iterator[tuple[tuple[str, ...], float]]:
    """Ions of the same signs, with no charge left over and about the same ratios of radii."""
    old, counts = prototype.ions, prototype.counts
    negative = [i for i, ion in enumerate(old) if ion.charge < 0]
    positive = [i for i, ion in enumerate(old) if ion.charge > 0]
    for chosen in product(anions(), repeat=len(negative)):
        if len(set(chosen)) < len(chosen) or not _ratios_fit(chosen, [old[i] for i in negative]):
            continue
        new: dict[int, Ion] = dict(zip(negative, chosen, strict=True))
        charge = sum(ion.charge * counts[i] for i, ion in new.items())
        for taken in _cations_for(prototype, positive, chosen, -charge):
            ions = [(new | dict(zip(positive, taken, strict=True)))[i] for i in range(len(old))]
            elements = tuple(ion.symbol for ion in ions)
            if len(set(elements)) == len(elements):
                yield elements, _distance(ions, old)


def _cations_for(
    prototype: Prototype, sites: Sequence[int], chosen: Sequence[Ion], charge: int
) -> Iterator[tuple[Ion, ...]]:
    """Cations on `sites` that balance the charge of the anions and keep the order of the charges."""
    old = [prototype.ions[i] for i in sites]
    n = [prototype.counts[i] for i in sites]
    anion = min(chosen, key=lambda ion: ion.electronegativity)
    before = max((ion for ion in prototype.ions if ion.charge < 0), key=lambda ion: ion.radius_a)
    now = max(chosen, key=lambda ion: ion.radius_a)
    gap = NARROWEST_NITRIDE_BOND if any(ion.symbol == "N" for ion in chosen) else NARROWEST_BOND
    hard = all(ion.symbol in OXIDE_AND_FLUORIDE for ion in chosen)
    options = [
        [
            ion
            for ion in cations(hard=hard)
            if anion.electronegativity - ion.electronegativity >= gap
            and abs(math.log(ion.radius_a / now.radius_a * before.radius_a / site.radius_a)) < math.log(RATIO_WINDOW)
        ]
        for site in old
    ]
    last: dict[int, list[Ion]] = {}
    for ion in options[-1]:
        last.setdefault(ion.charge * n[-1], []).append(ion)
    for first in product(*options[:-1]):
        rest = charge - sum(ion.charge * k for ion, k in zip(first, n, strict=False))
        for ion in last.get(rest, ()):
            taken = (*first, ion)
            if _is_ordered(taken, old) and _ratios_fit(taken, old):
                yield taken


def _ratios_fit(new: Sequence[Ion], old: Sequence[Ion]) -> bool:
    """Whether each pair has about the ratio of radii that it has in the prototype."""
    pairs = combinations(range(len(old)), 2)
    return all(
        abs(math.log(new[i].radius_a / new[j].radius_a * old[j].radius_a / old[i].radius_a)) < math.log(RATIO_WINDOW)
        for i, j in pairs
    )


def _is_ordered(new: Sequence[Ion], old: Sequence[Ion]) -> bool:
    """Whether no pair of charges is in the opposite order."""
    pairs = combinations(range(len(old)), 2)
    return all((new[i].charge - new[j].charge) * (old[i].charge - old[j].charge) >= 0 for i, j in pairs)


def _distance(new: Sequence[Ion], old: Sequence[Ion]) -> float:
    """How much the ratios of radii and the order of electronegativities differ from the prototype's."""
    total = 0.0
    pairs = list(combinations(range(len(old)), 2))
    for i, j in pairs:
        total += abs(math.log(new[i].radius_a / new[j].radius_a * old[j].radius_a / old[i].radius_a))
        before = old[i].electronegativity - old[j].electronegativity
        total += 0.3 * abs(new[i].electronegativity - new[j].electronegativity - before)
    return total / max(len(pairs), 1)


def _metallic(prototype: Prototype) -> Iterator[tuple[tuple[str, ...], float]]:
    """Metals of about the same radii, up to a common scale, and of about the same electronegativities."""
    options = [[other for other in _class_of(symbol) if _similar(other, symbol)] for symbol in prototype.species]
    for elements in product(*options):
        if len(set(elements)) == len(elements):
            ratios = [
                math.log(metallic_radius_a(e) / metallic_radius_a(s))
                for e, s in zip(elements, prototype.species, strict=True)
            ]
            if max(ratios) - min(ratios) < math.log(METAL_WINDOW):
                yield elements, 3.0 * (max(ratios) - min(ratios)) + 0.3


def _class_of(symbol: str) -> tuple[str, ...]:
    return METALLOIDS if symbol in METALLOIDS else METALS


def _similar(first: str, second: str) -> bool:
    return abs(electronegativity(first) - electronegativity(second)) < METAL_ELECTRONEGATIVITY
