"""The same crystal twice: found in any cell, supercell, setting, orientation or order of sites.

Two crystals are compared by distances that do not depend on how a crystal is described: the average
minimum distances of each element (Widdowson et al., 10.46793/match.87-3.529W) and how near each element
has each other. Mirror images count as the same crystal: their phonons are. Disordered crystals are compared by their
average structures: composition, volume, and how near each element has each other by occupancies.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.structures.crystal import Crystal
from phonolyte.structures.neighbors import Pairs, bin_atoms, cell_volume, list_distances, list_neighbors, list_pairs
from phonolyte.structures.sites import EXCLUSION_A
from phonolyte.structures.sorting import ascending, count_elements

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

TOLERANCE = 0.005
"""Largest difference of an average distance between two crystals that may be one, as a share of the atomic
spacing (about 0.01 angstrom): coarser than rounded coordinates, finer than most pairs of polymorphs."""

IDENTICAL = 1e-5
"""Below this difference two descriptions are one crystal beyond doubt."""

ELEMENT_TOLERANCE, NEARNESS_TOLERANCE = 0.02, 0.08
"""Shares by which the amount of an element, and how near it has another one, may differ between two refinements of one
disordered crystal."""

NEAREST = 24
REACH = 2.2
WIDTHS = (0.7, 1.1)


def find_duplicates(
    crystals: Sequence[Crystal], *, tolerance: float = TOLERANCE, executor: Executor | None = None
) -> list[str | None]:
    """For each crystal the `material_id` of the first crystal it repeats, or None for the first of its kind.

    Fingerprints propose, and pymatgen's ``StructureMatcher`` decides where they differ at all: orderings of
    cations over one framework can have nearly equal distances. Those of average structures decide.

    Parameters
    ----------
    crystals
        In the order in which the first of a kind is chosen.
    tolerance
        Largest difference of an average distance, in units of the atomic spacing (volume per atom)^(1/3).
    executor
        Maps the fingerprints; threads are enough, the kernel releases the GIL.
    """
    kinds: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, crystal in enumerate(crystals):
        composition = crystal.composition
        kinds[tuple(composition.items()) if crystal.is_ordered else ("average", *sorted(composition))].append(index)
    shared = [members for members in kinds.values() if len(members) > 1]
    compared = [index for members in shared for index in members]
    prints = (executor.map if executor else map)(fingerprint, [crystals[index] for index in compared])
    print_of = dict(zip(compared, prints, strict=True))
    duplicate_of: list[str | None] = [None] * len(crystals)
    for members in shared:
        prints_of_group = np.stack([print_of[i] for i in members])
        for place, first in _list_repeats([crystals[i] for i in members], prints_of_group, tolerance):
            duplicate_of[members[place]] = crystals[members[first]].material_id
    return duplicate_of


def fingerprint(crystal: Crystal) -> Floats:
    """Distances that characterize a crystal, whatever cell describes it.

    The first value is the logarithm of the atomic spacing in angstrom, the others are in units of that
    spacing: for each element (by atomic number) the mean distances to its 24 nearest atoms, then for each
    pair of elements how near the one has the other, by two Gaussian widths. Two crystals can be compared
    when their reduced compositions are equal.

    That of a disordered crystal has, after the spacing, the amounts of its elements and how near they have each other
    in the average structure, each scaled so that one tolerance serves; two can be compared when their elements are
    equal.
    """
    if crystal.occupancies is None:
        return _fingerprint(crystal.lattice, crystal.frac_coords, crystal.numbers)
    return _average_fingerprint(crystal)


def match_repeats(crystals: Sequence[Crystal], prints: Floats) -> list[tuple[int, int]]:
    """Return the places of crystals of one composition that repeat an earlier one, with the place of the first.

    Parameters
    ----------
    crystals
        Crystals (n); not needed where fingerprints decide.
    prints
        Fingerprints (n, m), as :func:`fingerprint` gives them.
    """
    return list(_list_repeats(crystals, prints, TOLERANCE))


def is_undecided(prints: Floats) -> bool:
    """Whether the fingerprints (n, m) of two crystals leave open if they are one."""
    differences = [np.abs(prints[place + 1 :] - print_).max(axis=1) for place, print_ in enumerate(prints[:-1])]
    return any(((each > IDENTICAL) & (each <= TOLERANCE)).any() for each in differences)


def _list_repeats(crystals: Sequence[Crystal], table: Floats, tolerance: float) -> Iterator[tuple[int, int]]:
    reduced = cache(lambda place: _reduce_crystal(crystals[place]))

    def match(first: int, place: int) -> bool:
        return not crystals[place].is_ordered or _match(reduced(first), reduced(place))

    firsts = [0]
    for place in range(1, len(table)):
        differences = np.abs(table[firsts] - table[place]).max(axis=1)
        for first, difference in zip(firsts, differences, strict=True):
            if difference <= IDENTICAL or (difference <= tolerance and match(first, place)):
                yield place, first
                break
        else:
            firsts.append(place)


def _match(first: Structure, second: Structure) -> bool:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return bool(StructureMatcher(scale=False).fit(first, second, skip_structure_reduction=True))


def _reduce_crystal(crystal: Crystal) -> Structure:
    """As ``StructureMatcher`` reduces a structure; its own cache compares structures in vain, half of its time."""
    return crystal.to_pymatgen().get_reduced_structure("niggli").get_primitive_structure()


def _average_fingerprint(crystal: Crystal) -> Floats:
    _, classes = np.unique(crystal.numbers, return_inverse=True)
    shares = np.asarray(crystal.occupancies)
    amounts = np.bincount(classes, weights=shares)
    near = _average_nearness(crystal.lattice, crystal.frac_coords, classes, shares, amounts)
    spacing = np.log(crystal.volume_a3 / amounts.sum()) / 3.0
    fractions = np.log(amounts / amounts.sum()) * (TOLERANCE / ELEMENT_TOLERANCE)
    return np.concatenate(([spacing], fractions, near.ravel() * (TOLERANCE / NEARNESS_TOLERANCE)))


@kernel
def _average_nearness(lattice: Floats, frac_coords: Floats, classes: Ints, shares: Floats, amounts: Floats) -> Floats:
    """Logarithm of 1 + the weight of neighbors of each pair of elements (k, k, 2), by occupancies."""
    total = 0.0
    for amount in amounts:
        total += amount
    spacing = (cell_volume(lattice) / total) ** (1 / 3)
    bins = bin_atoms(lattice, frac_coords)
    closeness = np.zeros((len(amounts), len(amounts), len(WIDTHS)))
    for atom in range(len(classes)):
        kind = classes[atom]
        near = list_neighbors(bins, atom, REACH * spacing)
        for k in range(len(near.distance)):
            other, x = near.site[k], near.distance[k] / spacing
            if x > REACH or (near.distance[k] < EXCLUSION_A and min(shares[atom], shares[other]) < 1.0):
                continue
            edge = 0.5 * (1.0 + np.cos(np.pi * x / REACH)) * shares[atom] * shares[other] / amounts[kind]
            for w, width in enumerate(WIDTHS):
                closeness[kind, classes[other], w] += edge * np.exp(-((x / width) ** 2))
    flat = closeness.reshape(-1)
    for i in range(len(flat)):
        flat[i] = math.log(1.0 + flat[i])
    return closeness


@kernel
def _fingerprint(lattice: Floats, frac_coords: Floats, numbers: Ints) -> Floats:
    n = len(numbers)
    elements, classes, counts = count_elements(numbers)
    spacing = (cell_volume(lattice) / n) ** (1 / 3)
    bins = bin_atoms(lattice, frac_coords)
    pairs = list_pairs(bins, REACH * spacing)
    near = list_distances(pairs, n)
    k = len(elements)
    values = np.zeros(1 + k * NEAREST + k * k * len(WIDTHS))
    values[0] = math.log(spacing)
    distances, closeness = values[1 : 1 + k * NEAREST].reshape(k, NEAREST), values[1 + k * NEAREST :]
    for atom in range(n):
        kind = classes[atom]
        nearest = near.distance[near.start[atom] : near.start[atom + 1]]
        radius = REACH * spacing
        while len(nearest) < NEAREST:
            radius *= 1.5
            nearest = list_neighbors(bins, atom, radius).distance
        order = ascending(nearest)
        for at in range(NEAREST):
            distances[kind, at] += nearest[order[at]] / spacing / counts[kind]
    _add_closeness(pairs, classes, counts, spacing, closeness.reshape(k, k, len(WIDTHS)))
    return values


@kernel
def _add_closeness(pairs: Pairs, classes: Ints, counts: Ints, spacing: float, closeness: Floats) -> None:
    """Add how near an atom of each of k elements has each other one, (k, k, 2), from the pairs within reach."""
    for f in range(len(pairs.distance)):
        a, b, x = classes[pairs.first[f]], classes[pairs.second[f]], pairs.distance[f] / spacing
        # a cosine brings the sum to zero smoothly where the neighbors end
        edge = 0.5 * (1.0 + np.cos(np.pi * min(x / REACH, 1.0)))
        for w, width in enumerate(WIDTHS):
            share = edge * np.exp(-((x / width) ** 2))
            closeness[a, b, w] += share / counts[a]
            closeness[b, a, w] += share / counts[b]
