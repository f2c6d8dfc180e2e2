"""A sequence of candidate crystals in which every kind has its share from the beginning."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, property_table
from phonolyte.errors import StructureError
from phonolyte.prototypes.library import MOST_ATOMS, MOST_SPECIES, prototypes
from phonolyte.prototypes.substitution import Substitution, substitutions
from phonolyte.structures import Crystal
from phonolyte.structures.families import FAMILY_OF_ANION

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher

FAMILY_SHARES = {
    "oxide": 0.23, "sulfide": 0.115, "selenide": 0.09, "telluride": 0.06, "nitride": 0.08, "halide": 0.18,
    "mixed": 0.055, "pnictide": 0.07, "hydride": 0.03, "intermetallic": 0.09,
}  # fmt: skip
"""Wanted share of each family, by the anions that a candidate is made with."""

LITHIUM_SHARE = 0.30

SCARCE = {
    **dict.fromkeys("Cr Mn Fe Co Ni".split(), 0.4),
    **dict.fromkeys("Pr Nd Sm Eu Tb Dy Ho Er Tm Yb Gd Ce".split(), 0.3),
    **dict.fromkeys("Hg Tl Be Au Os Ir Re Ru Rh Pd".split(), 0.6),
}
"""Elements wanted less often than others, which have 1: magnetic, of the 4f series, toxic or rare."""

SHORTEST = 0.75
LONGEST = 1.4
"""Shortest distance of a candidate in units of the sum of covalent radii: at least, and at most."""

CAP = 80
"""Candidates of one prototype."""

COST_OF_A_POLYMORPH = 0.4
"""A compound comes later for each other structure of it that is there."""

COST_OF_AN_ATOM = 0.06
CHEAP_ATOMS = 5
"""Cells larger than this cost so much an atom: the work on a crystal grows steeply with it."""


def candidates(*, seed: int = 0, cap: int = CAP, most_atoms: int = MOST_ATOMS) -> Iterator[Crystal]:
    """Candidate crystals, one after another: the known compounds first, all kinds mixed from the beginning.

    Equal seeds give equal sequences, and no crystal comes twice. Every choice balances families, lithium,
    elements and prototypes against what was chosen before.

    Parameters
    ----------
    seed
        Seed of the choice among substitutions that are equally good.
    cap
        Most candidates of one prototype.
    most_atoms
        In the primitive cell.
    """
    chance = np.random.default_rng(seed)
    mixer = _Mixer([s for shape in prototypes(most_atoms) for s in substitutions(shape, chance)], cap)
    seen: dict[str, list[Crystal]] = defaultdict(list)
    while (index := mixer.next()) is not None:
        crystal = _sound(mixer.pool[index])
        if crystal is not None and not _is_known(crystal, seen[crystal.formula]):
            seen[crystal.formula].append(crystal)
            mixer.accept(index)
            yield crystal


def _sound(substitution: Substitution) -> Crystal | None:
    """The crystal, unless its atoms are too near or too far from one another."""
    try:
        crystal = substitution.prototype.substituted(substitution.elements)
    except StructureError:
        return None
    return crystal if SHORTEST < shortest_bond(crystal) < LONGEST else None


def shortest_bond(crystal: Crystal) -> float:
    """The shortest distance between two atoms in units of the sum of their covalent radii."""
    from phonolyte.structures.neighbors import bin_atoms, neighbors_within

    radius = property_table()[:, PROPERTIES.index("CovalentRadius")] / 100.0  # picometer
    bins, reach = bin_atoms(crystal.lattice, crystal.frac_coords), LONGEST * 2 * radius[crystal.numbers].max()
    shortest = math.inf
    for atom, z in enumerate(crystal.numbers):
        near = neighbors_within(bins, atom, reach)
        if len(near.distance):
            shortest = min(shortest, float((near.distance / (radius[z] + radius[crystal.numbers[near.site]])).min()))
    return shortest


def _is_known(crystal: Crystal, others: Iterable[Crystal]) -> bool:
    structure = crystal.to_pymatgen()
    return any(
        other.material_id == crystal.material_id or _matcher().fit(structure, other.to_pymatgen()) for other in others
    )


@cache
def _matcher() -> StructureMatcher:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher()  # lengths within 20 %: such crystals may relax to one


@dataclass(slots=True)
class _Mixer:
    """Chooses the next of a pool, so that what was chosen has the wanted shares."""

    pool: list[Substitution]
    cap: int
    names: list[str] = field(init=False)
    cost: Floats = field(init=False)
    shape: Ints = field(init=False)
    family: Ints = field(init=False)
    lithium: Ints = field(init=False)
    parts: Ints = field(init=False)
    formula: Ints = field(init=False)
    repeats: Floats = field(init=False)
    chosen: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def __post_init__(self) -> None:
        self.names = list(dict.fromkeys(s.prototype.name for s in self.pool))
        names = {name: i for i, name in enumerate(self.names)}
        families = list(FAMILY_SHARES)
        atoms = np.array([len(s.prototype.crystal) for s in self.pool])
        self.cost = np.array([s.cost for s in self.pool]) + COST_OF_AN_ATOM * np.maximum(atoms - CHEAP_ATOMS, 0)
        self.shape = np.array([names[s.prototype.name] for s in self.pool])
        self.family = np.array([families.index(s.family) for s in self.pool])
        self.lithium = np.array([int("Li" in s.elements) for s in self.pool])
        self.parts = np.array([_pad(s.elements) for s in self.pool])
        formulas = [tuple(sorted(zip(s.elements, s.prototype.proportions, strict=True))) for s in self.pool]
        kinds = {formula: i for i, formula in enumerate(dict.fromkeys(formulas))}
        self.formula = np.array([kinds[formula] for formula in formulas])
        self.repeats = np.zeros(len(self.pool))

    def next(self) -> int | None:
        """Index of the best of the pool, taken out of it; None when nothing is left."""
        best = int(np.argmin(self.cost + self._crowding()))
        if not np.isfinite(self.cost[best]):
            return None
        self.cost[best] = np.inf
        return best

    def accept(self, index: int) -> None:
        """Count the candidate."""
        chosen = self.pool[index]
        self.total += 1
        self.chosen.update([f"family {chosen.family}", f"prototype {chosen.prototype.name}", *chosen.elements])
        self.repeats[self.formula == self.formula[index]] += COST_OF_A_POLYMORPH
        if self.chosen[f"prototype {chosen.prototype.name}"] >= self.cap:
            self.cost[self.shape == self.shape[index]] = np.inf

    def _crowding(self) -> Floats:
        """How much there is already of the kinds of each of the pool, (n,)."""
        wanted = self.total * np.array(list(FAMILY_SHARES.values()))
        families = 0.1 * (np.array([self.chosen[f"family {name}"] for name in FAMILY_SHARES]) - wanted)
        shapes = 0.03 * np.array([self.chosen[f"prototype {name}"] for name in self.names])
        lithium = 0.1 * (self.chosen["Li"] - LITHIUM_SHARE * self.total)
        elements = np.zeros(len(ATOMIC_NUMBERS) + 1)
        for symbol, z in ATOMIC_NUMBERS.items():
            if symbol not in FAMILY_OF_ANION and symbol not in ("Li", "H"):
                elements[z] = 0.012 * self.chosen[symbol] / SCARCE.get(symbol, 1.0)
        return np.asarray(
            families[self.family]
            + shapes[self.shape]
            + lithium * (2 * self.lithium - 1)
            + elements[self.parts].sum(axis=1)
            + self.repeats
        )


def _pad(elements: Sequence[str]) -> list[int]:
    return [ATOMIC_NUMBERS[symbol] for symbol in elements] + [0] * (MOST_SPECIES - len(elements))
