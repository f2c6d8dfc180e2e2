"""The space of compounds that rules span over a parent: numbered, never listed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS, common_oxidation_states, electronegativity
from phonolyte.chemistry.ions import Ion, nearest_ions, twelvefold_radius_a
from phonolyte.chemistry.neutrality import can_be_neutral
from phonolyte.compiling import kernel
from phonolyte.errors import SettingsError
from phonolyte.runs.digest import digest_of
from phonolyte.structures import Crystal
from phonolyte.virtual.parents import BUILT_IN, Parent, built_in
from phonolyte.virtual.perovskite import Framework
from phonolyte.virtual.rules import RuleFile, Rules, built_in_rules, default_rules, one_crystal, read_rules

OWN_ION = "Li"
"""Mobile ion of the built-in parents."""

MOST = 2**62
"""Compounds that can be numbered."""


@dataclass(frozen=True, eq=False)
class Space:
    """All choices of one candidate for each slot, numbered from 0; the last slot changes fastest.

    Attributes
    ----------
    parent
        With s slots.
    rules
        What is left out.
    candidates
        Atomic numbers that may take each slot.
    """

    parent: Parent
    rules: Rules
    candidates: tuple[Ints, ...]

    @classmethod
    def from_rules(cls, file: RuleFile) -> Space:
        """The space of a rule file.

        Raises
        ------
        SettingsError
            When a slot has no candidate, or the space is too large to be numbered.
        """
        parent = file.rules.parent(file.crystal, name=file.name)
        candidates = tuple(np.array(file.rules.candidates(slot)) for slot in parent.slots)
        if math.prod(map(len, candidates)) > MOST:
            raise SettingsError(
                f"the rules for {file.name} allow more than {MOST:.0e} compounds", fix="Shorten the lists."
            )
        return cls(parent, file.rules, candidates)

    def __len__(self) -> int:
        return math.prod(map(len, self.candidates))

    @property
    def digest(self) -> str:
        """Digest of parent, rules and candidates: what decides which compound a number stands for."""
        rules, crystal = self.rules, self.parent.crystal
        order = [rules.exclude, rules.charge, rules.radius_window, rules.electronegativity_order]
        arrays = (crystal.lattice, crystal.numbers, crystal.frac_coords, self.parent.slot_of_site, *self.candidates)
        return digest_of(self.parent.name, order, arrays)

    @property
    def slots(self) -> dict[str, list[str]]:
        """Symbols that may take each slot, by its name."""
        pairs = zip(self.parent.slots, self.candidates, strict=True)
        return {slot.name: [SYMBOLS[z] for z in numbers] for slot, numbers in pairs}

    def numbers(self, indices: Ints) -> Ints:
        """Atomic numbers (n, s) of compounds by their numbers in the space (n,)."""
        numbers = np.empty((len(indices), len(self.candidates)), dtype=np.int64)
        rest = np.asarray(indices, dtype=np.int64)
        for slot in range(len(self.candidates) - 1, -1, -1):
            rest, digit = np.divmod(rest, len(self.candidates[slot]))
            numbers[:, slot] = self.candidates[slot][digit]
        return numbers

    def sample(self, n: int, *, seed: int = 0) -> Ints:
        """Numbers of n different compounds at random, in increasing order."""
        return np.array(sorted(random.Random(seed).sample(range(len(self)), min(n, len(self)))), dtype=np.int64)

    def crystal(self, index: int) -> Crystal:
        """A compound as a crystal: not relaxed, but scaled by the sum of the radii of its ions where they are known.

        At the volume that a model predicts: :meth:`phonolyte.virtual.volumes.VolumeOfParent.crystal`.
        """
        numbers = self.numbers(np.array([index]))
        name = f"{self.parent.name}-{index}"
        return self.parent.substituted(numbers[0], material_id=name, scale=float(self.scale(numbers)[0]))

    def scale(self, numbers: Ints) -> Floats:
        """Factor (n,) on the lengths of the parent by the sums of the radii of the ions; 1 where one is not known."""
        counts = self.parent.counts
        radii = self._radius_a[np.arange(numbers.shape[1]), numbers]
        ratio = (counts * radii).sum(axis=1) / (counts * self._parent_radius_a).sum()
        return np.where(np.isfinite(ratio), ratio, 1.0)

    def balanced(self, numbers: Ints) -> Flags:
        """Whether charges of the parent's signs, one for each slot, add up to zero in n compounds (n, s)."""
        return np.asarray(_are_balanced(numbers, self.parent.counts, self._signs, common_oxidation_states()))

    def allowed(self, numbers: Ints, balanced: Flags) -> Flags:
        """Whether the rules allow each of n compounds (n, s)."""
        is_allowed = balanced.copy() if self.rules.charge == "balanced" else np.ones(len(numbers), dtype=bool)
        if self.rules.radius_window:
            is_allowed &= self.mismatch(numbers) <= math.log(self.rules.radius_window)
        if self.rules.electronegativity_order:
            values = _electronegativities()[numbers]
            is_allowed &= values[:, self._signs < 0].min(axis=1, initial=np.inf) > values[:, self._signs > 0].max(
                axis=1, initial=-np.inf
            )
        return is_allowed

    def mismatch(self, numbers: Ints) -> Floats:
        """Logarithm of the largest factor between a ratio of radii and the parent's, (n,); infinite where unknown."""
        ratio = np.log(self._radius_a / self._parent_radius_a[:, None])[np.arange(numbers.shape[1]), numbers]
        spread = ratio.max(axis=1) - ratio.min(axis=1)
        return np.where(np.isfinite(spread), spread, np.inf)

    def tolerance_factor(self, numbers: Ints) -> Floats | None:
        """Goldschmidt's tolerance factor of n compounds (n, s), (n,), nan where a radius is unknown.

        None where the parent is not a perovskite or antiperovskite.
        """
        if self._framework is None:
            return None
        return self._framework.tolerance_factor(self._radius_a, self._wide_radius_a, numbers)

    @cached_property
    def _framework(self) -> Framework | None:
        return Framework.from_parent(self.parent)

    @cached_property
    def _signs(self) -> Ints:
        return np.array(
            [0 if slot.ion is None else int(math.copysign(1, slot.ion.charge)) for slot in self.parent.slots]
        )

    @cached_property
    def _parent_radius_a(self) -> Floats:
        return np.array([np.nan if slot.ion is None else slot.ion.radius_a for slot in self.parent.slots])

    @cached_property
    def _radius_a(self) -> Floats:
        """Radius of each element in each slot (s, Z + 1), as the ion of the parent's sign whose charge is nearest."""
        return self._table_of(lambda ion: ion.radius_a)

    @cached_property
    def _wide_radius_a(self) -> Floats:
        """The same with twelve neighbors."""
        return self._table_of(twelvefold_radius_a)

    def _table_of(self, radius: Callable[[Ion], float]) -> Floats:
        table = np.full((len(self.parent.slots), len(SYMBOLS)), np.nan)
        for row, slot in zip(table, self.parent.slots, strict=True):
            for symbol, ion in (nearest_ions(slot.ion.charge) if slot.ion else {}).items():
                row[ATOMIC_NUMBERS[symbol]] = radius(ion)
        return table


@cache
def _electronegativities() -> Floats:
    return np.array([np.nan, *(electronegativity(symbol) for symbol in SYMBOLS[1:])])


@kernel
def _are_balanced(numbers: Ints, counts: Ints, signs: Ints, states: Ints) -> Flags:
    is_balanced = np.zeros(len(numbers), np.bool_)
    for row in range(len(numbers)):
        is_balanced[row] = can_be_neutral(numbers[row], counts, signs, states)
    return is_balanced


def total(spaces: Sequence[Space]) -> int:
    """Compounds in several spaces."""
    return sum(map(len, spaces))


def choose_spaces(
    prototypes: Sequence[str] = (), *, parent: Path | None = None, rules: Path | None = None, ion: str | None = None
) -> list[Space]:
    """Return the spaces that options mean: of prototypes, of a parent crystal, or of a file of rules.

    Parameters
    ----------
    prototypes
        Names of built-in parents; default: all of them.
    parent
        File with the crystal whose elements are replaced.
    rules
        TOML file of rules.
    ion
        Mobile ion; ``any`` for all that the rules name. Default: lithium in built-in parents, else all.

    Raises
    ------
    SettingsError
        For options that exclude each other.
    """
    if parent and prototypes:
        raise SettingsError("both --parent and --prototype were given", fix="Give one of them.")
    if len(prototypes) > 1 and rules:
        raise SettingsError("one file of rules cannot serve several prototypes", fix="Run them one by one.")
    if rules:
        crystal = one_crystal(parent) if parent else built_in(prototypes[0]) if prototypes else None
        files = [read_rules(rules, crystal=crystal)]
    elif parent:
        files = [default_rules(one_crystal(parent))]
    else:
        files = [built_in_rules(name) for name in prototypes or BUILT_IN]
        ion = ion or OWN_ION
    if ion and ion != "any":
        files = [replace(file, rules=file.rules.with_ion(ion)) for file in files]
    return [Space.from_rules(file) for file in files]
