"""Physical columns of virtual compounds without their structures: one list of neighbors for each parent.

Compounds of a parent differ in their elements and in the factor on all lengths. Sites of a slot with the same
surroundings are one kind of sites. Their lattice sums (:func:`phonolyte.features.springs.add_shell`) depend on the
factor alone, smoothly as long as no neighbor comes into reach or leaves it: a polynomial stands for them in each
narrow range of the factor, and neighbors that may be on either side of the reach are added one by one. The rest are
the equations of real crystals, with the nearest neighbors of a kind as shells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.features.elemental import Species, element_pairs, elemental_table
from phonolyte.features.physical import N_PHYSICAL, NEVER_ZERO, crystal_columns, physical_values
from phonolyte.features.shells import N_HARMONICS, N_SHAPE, Shells, harmonics, hoppe_weights, shell_shape
from phonolyte.features.springs import (
    N_QUANTITIES,
    N_SUMS,
    REACH_A,
    add_shell,
    neighbor_frequencies,
    quantities,
    site_quantities,
)
from phonolyte.structures.neighbors import Neighbors, bin_atoms, neighbors_within
from phonolyte.virtual.parents import Parent

LEAST_SCALE = 0.6
"""Smallest factor on the lengths of a parent for which neighbors are kept; below, compounds are built one by one."""

WIDTH = 1.0 / 64.0
"""Range of the logarithm of the factor that one polynomial covers."""

DEGREE = 7
"""Degree of the polynomials: columns then follow those of the built structures to about 1e-12, relative."""

TRIALS = 8
"""Random compounds in which sites must agree to be of one kind; the densest at :data:`LEAST_SCALE`."""

SAME_SURROUNDINGS = 1e-11
"""How far, relative to its size or to 1, a quantity of two sites of a kind may differ in a trial."""

SAME_DISTANCE_A = 1e-10
"""How far from the next the neighbors of a shell may be."""


class Neighborhood(NamedTuple):
    """Shells of neighbors around each kind of site, as in :class:`phonolyte.features.shells.Shells`.

    `start` (k, s) and `stop` (k, s) are the ranges of those of each kind of site in each slot, `kind` (m,) the kind of
    the sites in each shell.
    """

    start: Ints
    stop: Ints
    kind: Ints
    shells: Shells


class Cells(NamedTuple):
    """Lattice sums in c ranges of the factor on lengths.

    `number` (c,) are the ranges, ascending; `middle` and `half` (c,) their centers and half widths. `coefficients`
    (c, DEGREE + 1, k * s * 15 + k * k) are those of powers of (factor - middle) / half, first for the lattice sums of
    each kind over each slot, then for the first of them over the sites of each kind. `inner` and `outer` (c, k, s) are
    the ends of the shells that are within reach for all factors, and for any.
    """

    number: Ints
    middle: Floats
    half: Floats
    coefficients: Floats
    inner: Ints
    outer: Ints


@dataclass(frozen=True, slots=True, eq=False)
class PhysicalOfParent:
    """What the physical columns of all compounds of a parent share.

    Attributes
    ----------
    parent
        With s slots.
    slot_of_kind, copies
        Slot of each of the k kinds of sites, and how many sites are of it.
    neighborhood
        Neighbors of each kind.
    """

    parent: Parent
    slot_of_kind: Ints
    copies: Floats
    neighborhood: Neighborhood = field(repr=False)
    latest: list[Cells] = field(repr=False)
    """The ranges that were met so far."""

    @classmethod
    def from_parent(cls, parent: Parent) -> Self:
        """Group the sites of a parent into kinds and find their neighbors."""
        slot_of_site = parent.slot_of_site
        kind_of_site = _kinds(parent)
        _, first, copies = np.unique(kind_of_site, return_index=True, return_counts=True)
        neighborhood = _neighborhood(parent, first, kind_of_site)
        none = Cells._make(values[:0] for values in _cells([0], neighborhood))
        return cls(parent, slot_of_site[first], copies.astype(float), neighborhood, [none])

    def __call__(self, numbers: Ints, scale: Floats) -> Floats:
        """Columns (n, 129) of n compounds; NaN where an atom has no neighbors, or the scale is not positive.

        Parameters
        ----------
        numbers
            (n, s) atomic numbers on the slots.
        scale
            (n,) factors on the lengths of the parent; those below :data:`LEAST_SCALE` take as long as a real crystal.
        """
        scale, columns = np.asarray(scale, dtype=float), np.full((len(numbers), N_PHYSICAL), np.nan)
        rows = np.flatnonzero((scale >= LEAST_SCALE) & np.isfinite(scale))
        number = np.floor(np.log(scale[rows]) / WIDTH).astype(np.int64)
        order = np.argsort(number, kind="stable")  # coefficients of a range stay in the cache
        cells = self._cells_with(number)
        _fill_columns(
            columns, rows[order], np.searchsorted(cells.number, number[order]), numbers.astype(np.int64), scale, cells,
            self.neighborhood, self.slot_of_kind, self.copies, self.parent.counts, self._volume_a3, elemental_table(),
            element_pairs(), NEVER_ZERO,
        )  # fmt: skip
        for row in np.flatnonzero((scale > 0.0) & (scale < LEAST_SCALE)):
            columns[row] = self._built(numbers[row], float(scale[row]))
        return columns

    def _cells_with(self, number: Ints) -> Cells:
        """All ranges so far, those with the numbers (n,) among them; another thread may have met others meanwhile."""
        cells = self.latest[0]
        new = np.setdiff1d(number, cells.number)
        if len(new):
            both = zip(cells, _cells(new.tolist(), self.neighborhood), strict=True)
            joined = [np.concatenate(values) for values in both]
            order = np.argsort(joined[0])
            cells = self.latest[0] = Cells._make(values[order] for values in joined)
        return cells

    def _built(self, numbers: Ints, scale: float) -> Floats:
        """Columns (129,) of one compound, from its structure."""
        crystal = self.parent.crystal
        species = np.asarray(numbers, dtype=np.int64)[self.parent.slot_of_site]
        lattice = crystal.lattice * scale
        row: Floats = physical_values(lattice, crystal.frac_coords, species, elemental_table(), NEVER_ZERO)
        return row

    @property
    def _volume_a3(self) -> float:
        """Volume an atom in the parent."""
        crystal = self.parent.crystal
        return float(abs(np.linalg.det(crystal.lattice)) / len(crystal))


def _kinds(parent: Parent) -> Ints:
    """Kind of each site (n,), numbered in the order of their first sites.

    Sites of one slot are of a kind when all their quantities agree in compounds of made-up elements, which have
    properties at random, at several scales. A site without neighbors is a kind of its own.
    """
    crystal, slot_of_site = parent.crystal, parent.slot_of_site
    random = np.random.default_rng(0)
    trials = []
    for scale in np.linspace(LEAST_SCALE, 1.1, TRIALS):
        # mass, size and electronegativity of bond valences, radius, electronegativity, Badger's d, melting point
        low, high = [1.0, 0.3, 0.7, 0.3, 0.7, 0.0, 300.0], [240.0, 2.0, 4.0, 2.5, 4.0, 0.65, 3000.0]
        elements = random.uniform(low, high, size=(len(parent.slots), 7))
        trials.append(site_quantities(crystal.lattice * scale, crystal.frac_coords, slot_of_site, elements))
    values = np.hstack(trials)
    first: list[int] = []
    kinds = np.empty(len(crystal), dtype=np.int64)
    for site in range(len(crystal)):
        same = np.isclose(values[first], values[site], rtol=SAME_SURROUNDINGS, atol=SAME_SURROUNDINGS).all(axis=1)
        candidates = np.flatnonzero(same & (slot_of_site[first] == slot_of_site[site]))
        if len(candidates) == 0:
            first.append(site)
        kinds[site] = candidates[0] if len(candidates) else len(first) - 1
    return kinds


def _neighborhood(parent: Parent, sites: Ints, kind_of_site: Ints) -> Neighborhood:
    """Shells around `sites` (k,), one of each kind."""
    bins = bin_atoms(parent.crystal.lattice, parent.crystal.frac_coords)
    slot_of_kind, slots = parent.slot_of_site[sites], np.arange(len(parent.slots))
    parts, start, stop, m = [], [], [], 0
    for site in sites.tolist():
        near = neighbors_within(bins, site, REACH_A / LEAST_SCALE)
        kind, shells = _merge(kind_of_site[near.site], near)
        order = np.lexsort((shells.distance, slot_of_kind[kind]))
        slot = slot_of_kind[kind[order]]
        start.append(m + np.searchsorted(slot, slots))
        stop.append(m + np.searchsorted(slot, slots, side="right"))
        m += len(order)
        parts.append([values[order] for values in (kind, *shells)])
    kinds, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Neighborhood(np.array(start), np.array(stop), kinds, Shells(*columns))


def _merge(kind: Ints, near: Neighbors) -> tuple[Ints, Shells]:
    """Merge neighbors of one kind that are equally far; returns the kind of each shell, and the shells."""
    order = np.lexsort((near.distance, kind))
    kind, distance = kind[order], near.distance[order]
    new = (np.diff(kind, prepend=-1) != 0) | (np.diff(distance, prepend=0.0) > SAME_DISTANCE_A)
    first = np.flatnonzero(new)
    if len(first) == 0:
        return kind, Shells(distance, np.empty((0, N_SHAPE)), np.empty((0, N_HARMONICS)))
    columns = distance, *_directions(near.vector[order], distance)
    distance, shape, angular = (np.add.reduceat(column, first) for column in columns)
    return kind[first], Shells(distance / shape[:, 0], shape, angular)


@kernel
def _directions(vector: Floats, distance: Floats) -> tuple[Floats, Floats]:
    """Shape (m, 10) and harmonics (m, 34) of each neighbor."""
    m = len(distance)
    shape, angular = np.empty((m, N_SHAPE)), np.empty((m, N_HARMONICS))
    for f in range(m):
        shell_shape(vector, f, distance[f], shape, f)
        harmonics(shape, f, angular)
    return shape, angular


def _cells(numbers: Sequence[int], near: Neighborhood) -> Cells:
    """Fit the lattice sums in ranges of the factor at Chebyshev's points."""
    points = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    vandermonde = np.vander(points, increasing=True)
    margin = 1e-9  # a factor or a distance may be off by rounding
    cells = []
    for number in numbers:
        low, high = math.exp(number * WIDTH), math.exp((number + 1) * WIDTH)
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        inner, outer = _ends(near, (1.0 - margin) * REACH_A / high), _ends(near, (1.0 + margin) * REACH_A / low)
        samples = _lattice_sums(middle + half * points, near, inner)
        cells.append((number, middle, half, np.linalg.solve(vandermonde, samples), inner, outer))
    return Cells._make(np.array(values) for values in zip(*cells, strict=True))


def _ends(near: Neighborhood, radius: float) -> Ints:
    """Ends (k, s) of the shells within a radius, angstrom."""
    ranges = zip(near.start.ravel().tolist(), near.stop.ravel().tolist(), strict=True)
    ends = [a + np.searchsorted(near.shells.distance[a:b], radius) for a, b in ranges]
    return np.array(ends).reshape(near.start.shape)


@kernel
def _lattice_sums(scales: Floats, near: Neighborhood, inner: Ints) -> Floats:
    """Lattice sums over the inner shells at each of n scales, (n, k * s * 15 + k * k)."""
    k, n_slots = inner.shape
    samples, last = np.zeros((len(scales), k * n_slots * N_SUMS + k * k)), inner.copy()
    for row in range(len(scales)):
        sums, reach = _split(samples[row], k, n_slots)
        _add_shells(near.start, inner, scales[row], near, sums, reach, last)
    return samples


@kernel
def _split(values: Floats, k: int, n_slots: int) -> tuple[Floats, Floats]:
    """Lattice sums (k, s, 15) over slots, and the first of them (k, k) over kinds, as they lie in one row."""
    n = k * n_slots * N_SUMS
    return values[:n].reshape(k, n_slots, N_SUMS), values[n:].reshape(k, k)


@kernel
def _add_shells(
    first: Ints, stop: Ints, scale: float, near: Neighborhood, sums: Floats, reach: Floats, last: Ints
) -> None:
    """Add the shells from `first` to `stop` (k, s) that are within reach; `last` (k, s) is set to their ends."""
    kind, shells = near.kind, near.shells
    for i in range(first.shape[0]):
        for t in range(first.shape[1]):
            f = first[i, t]
            while f < stop[i, t] and shells.distance[f] * scale <= REACH_A:
                reach[i, kind[f]] += add_shell(sums, i, t, shells.distance[f] * scale, shells.shape, f)
                f += 1
            last[i, t] = f


@kernel
def _fill_columns(
    columns: Floats, rows: Ints, places: Ints, numbers: Ints, scale: Floats, cells: Cells, near: Neighborhood,
    slot_of_kind: Ints, copies: Floats, counts: Ints, volume: float, elemental: Floats, pairs: Floats,
    never_zero: Flags,
) -> None:  # fmt: skip
    """Fill in the columns (n, 129) of some rows, whose factors are in the cells at these places."""
    k, n_slots = len(copies), numbers.shape[1]
    values = np.empty((k, N_QUANTITIES))
    work = np.empty(cells.coefficients.shape[2])
    sums, reach = _split(work, k, n_slots)
    shells, first, last = near.shells, near.start, np.empty((k, n_slots), np.int64)
    shares, shortest = np.empty(len(near.kind)), np.empty(k)
    for row, cell in zip(rows, places):  # noqa: B905, numba knows no strict
        factor, species = scale[row], Species(numbers[row], elemental, pairs)
        _evaluate(cells.coefficients[cell], (factor - cells.middle[cell]) / cells.half[cell], work)
        _add_shells(cells.inner[cell], cells.outer[cell], factor, near, sums, reach, last)
        hoppe_weights(slot_of_kind, factor, species, shells, first, last, shares, shortest)
        if shortest.max() < np.inf:
            quantities(slot_of_kind, factor, species, sums, shells, first, last, shares, shortest, values)
            neighbor_frequencies(slot_of_kind, species, reach, values)
            volume_a3 = volume * factor**3
            crystal_columns(values, copies, elemental, numbers[row], counts, volume_a3, never_zero, columns[row])


@kernel
def _evaluate(coefficients: Floats, x: float, values: Floats) -> None:
    """Polynomials with coefficients (DEGREE + 1, m) at `x`, into `values` (m,)."""
    values[:] = coefficients[DEGREE]
    for power in range(DEGREE - 1, -1, -1):
        for m in range(len(values)):
            values[m] = values[m] * x + coefficients[power, m]
