"""Magpie features of virtual compounds without their structures: one tessellation for each parent.

On a fixed geometry the 271 features depend on the elements in a few ways only. Those of faces, cells and packing are
constant. The neighbor differences need the share of each slot in the surface of each kind of site. Warren-Cowley
parameters need to know which slots hold the same element, and nothing else. The rest is composition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import magpie_oxidation_states, property_table
from phonolyte.compiling import kernel
from phonolyte.features.attributes import (
    N_MAGPIE,
    N_PROPERTIES,
    N_STRUCTURE,
    composition_attributes,
    geometry,
    round_values,
    warren_cowley,
)
from phonolyte.features.tessellation import Tessellation, tessellate
from phonolyte.virtual.parents import Parent

SAME_SURROUNDINGS = 1e-12
"""Sites of one slot whose shares of neighbors differ by less are of one kind."""


@dataclass(frozen=True, slots=True, eq=False)
class ParentFeatures:
    """What the features of all compounds of a parent share.

    Attributes
    ----------
    constant
        (16,) features of the geometry; the Warren-Cowley parameters among them are of no use.
    slot_of_kind, share, weight
        For each of the k kinds of sites its slot, the shares (k, s) of the slots in its surface, and its share of all
        sites.
    counts
        (s,) sites of each slot.
    """

    constant: Floats
    slot_of_kind: Ints
    share: Floats
    weight: Floats
    counts: Ints
    tessellation: Tessellation = field(repr=False)
    slot_of_site: Ints = field(repr=False)
    warren_cowley_of: dict[tuple[int, ...], Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def from_parent(cls, parent: Parent) -> Self:
        """Tessellate a parent."""
        tessellation = tessellate(parent.crystal.lattice, parent.crystal.frac_coords)
        constant = np.zeros(N_MAGPIE + 2)
        geometry(tessellation, constant)
        slot_of_site = parent.slot_of_site
        shares = _shares(tessellation, slot_of_site, len(parent.slots))
        keys = np.column_stack([slot_of_site, np.rint(shares / SAME_SURROUNDINGS)])
        _, first, copies = np.unique(keys, axis=0, return_index=True, return_counts=True)
        return cls(
            constant=constant[:16],
            slot_of_kind=slot_of_site[first],
            share=shares[first],
            weight=copies / len(slot_of_site),
            counts=parent.counts,
            tessellation=tessellation,
            slot_of_site=slot_of_site,
        )

    def __call__(self, numbers: Ints) -> Floats:
        """Features (n, 271) of n compounds with atomic numbers (n, s) on the slots."""
        patterns = first_slot_with_the_same(numbers)
        codes = patterns @ (numbers.shape[1] ** np.arange(numbers.shape[1]))
        _, first, pattern = np.unique(codes, return_index=True, return_inverse=True)
        magnitudes = np.array([self._warren_cowley(kind) for kind in patterns[first]]).reshape(len(first), 3)
        return _features(
            numbers, magnitudes[pattern], self.constant, self.slot_of_kind, self.share, self.weight,
            self.counts, property_table(), magpie_oxidation_states(),
        )  # fmt: skip

    def _warren_cowley(self, pattern: Ints) -> Floats:
        """Warren-Cowley parameters (3,) where slots hold the same elements as their first partners do."""
        key = tuple(pattern.tolist())
        if key not in self.warren_cowley_of:
            _, classes = np.unique(pattern[self.slot_of_site], return_inverse=True)
            values = warren_cowley(self.tessellation, classes, np.bincount(classes), False)
            self.warren_cowley_of[key] = values
        return self.warren_cowley_of[key]


@kernel
def first_slot_with_the_same(numbers: Ints) -> Ints:
    """For each slot the first one that holds the same element, (n, s)."""
    first_slot = np.empty_like(numbers)
    for row in range(len(numbers)):
        for slot in range(numbers.shape[1]):
            first = 0
            while numbers[row, first] != numbers[row, slot]:
                first += 1
            first_slot[row, slot] = first
    return first_slot


@kernel
def _shares(t: Tessellation, slot_of_site: Ints, n_slots: int) -> Floats:
    """Share of each slot in the surface of each site, (n, s)."""
    shares = np.zeros((len(slot_of_site), n_slots))
    for i in range(len(slot_of_site)):
        for f in range(t.start[i], t.start[i + 1]):
            shares[i, slot_of_site[t.neighbor[f]]] += t.area[f]
        shares[i] /= shares[i].sum()
    return shares


@kernel
def _features(
    numbers: Ints,
    magnitude: Floats,
    constant: Floats,
    slot_of_kind: Ints,
    share: Floats,
    weight: Floats,
    counts: Ints,
    properties: Floats,
    states: Ints,
) -> Floats:
    n, n_slots = numbers.shape
    values = np.empty((n, N_MAGPIE))
    elements, totals = np.empty(n_slots, np.int64), np.empty(n_slots, np.int64)
    for row in range(n):
        out = values[row]
        out[:16] = constant
        out[12:15] = magnitude[row]
        _differences(numbers[row], slot_of_kind, share, weight, properties, out[16:N_STRUCTURE])
        k = _merge(numbers[row], counts, elements, totals)
        composition_attributes(elements[:k], totals[:k], properties, states, False, out[N_STRUCTURE:])
        round_values(out)
    return values


@kernel
def _differences(
    numbers: Ints, slot_of_kind: Ints, share: Floats, weight: Floats, properties: Floats, values: Floats
) -> None:
    """Area-weighted property differences across faces: mean, var, min, max and range for each property."""
    n_kinds, n_slots = share.shape
    difference = np.empty(n_kinds)
    for p in range(N_PROPERTIES):
        mean, least, most = 0.0, np.inf, -np.inf
        for kind in range(n_kinds):
            of_slot, total = properties[numbers[slot_of_kind[kind]], p], 0.0
            for slot in range(n_slots):
                total += share[kind, slot] * abs(properties[numbers[slot], p] - of_slot)
            difference[kind] = total
            mean += weight[kind] * total
            least, most = min(least, total), max(most, total)
        deviation = 0.0
        for kind in range(n_kinds):
            deviation += weight[kind] * abs(difference[kind] - mean)
        values[5 * p] = mean
        values[5 * p + 1] = deviation
        values[5 * p + 2] = least
        values[5 * p + 3] = most
        values[5 * p + 4] = most - least


@kernel
def _merge(numbers: Ints, counts: Ints, elements: Ints, totals: Ints) -> int:
    """Elements, the lightest first, and how many atoms there are of each; returns how many elements there are."""
    k = 0
    for slot in range(len(numbers)):
        at = 0
        while at < k and elements[at] < numbers[slot]:
            at += 1
        if at < k and elements[at] == numbers[slot]:
            totals[at] += counts[slot]
            continue
        for later in range(k, at, -1):
            elements[later], totals[later] = elements[later - 1], totals[later - 1]
        elements[at], totals[at] = numbers[slot], counts[slot]
        k += 1
    return k
