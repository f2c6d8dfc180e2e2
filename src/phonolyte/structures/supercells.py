"""Supercells of a disordered crystal: the one whose whole numbers of atoms come near enough to the occupancies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import SettingsError
from phonolyte.structures.sites import FULL, Sites

LONGEST = 3.0
"""Longest edge of a supercell in units of its least height, unless every supercell is longer."""

COMPOSITION_WEIGHT = 4.0
"""What a wrong composition counts beside atoms on wrong sites, in the choice of a supercell."""

SYMPREC_A = 0.01
"""Tolerance of symmetry, angstrom."""

Shape = tuple[int, int, int]
"""Repetitions of a cell along a, b and c."""


@dataclass(frozen=True, slots=True)
class OrderingSettings:
    """How a disordered crystal is ordered.

    Attributes
    ----------
    most_sites, fewest_sites
        Sites of the supercell at most and, as far as that allows, at least, empty ones among them.
    tolerance
        Share of the atoms that may be on other sites than the occupancies say; a quarter of it may be missing or too
        many.
    adjust
        Share of the mobile ions that may be added or removed for a neutral cell.
    sweeps
        Attempted swaps a partly occupied site.
    arrangements
        Arrangements that are returned at most.
    seed
        Seed of the random numbers.
    """

    most_sites: Annotated[int, "Sites of the supercell at most, empty ones among them."] = 200
    fewest_sites: Annotated[int, "Sites of the supercell at least: small ones order too much."] = 24
    tolerance: Annotated[float, "Share of the atoms that may be on other sites than the occupancies say."] = 0.02
    adjust: Annotated[float, "Share of the mobile ions that may be added or removed for a neutral cell."] = 0.15
    sweeps: Annotated[int, "Attempted swaps a partly occupied site."] = 1000
    arrangements: Annotated[int, "Arrangements of a crystal at most."] = 5
    seed: Annotated[int, "Seed of the random numbers."] = 0

    def __post_init__(self) -> None:
        for name in ("most_sites", "sweeps", "arrangements"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a number of at least 1.")
        if not 0.0 <= self.tolerance < 1.0 or not 0.0 <= self.adjust <= 1.0:
            raise SettingsError("tolerance and adjust are shares", fix="Give numbers from 0 to 1.")


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A supercell: lattice, positions, kind and disorder group of each site, and the shares of each kind."""

    lattice: Floats
    positions: Floats
    kinds: Ints
    groups: tuple[str, ...]
    shares: tuple[Mapping[str, float], ...]
    copies: int


def choose_supercell(sites: Sites, settings: OrderingSettings) -> Cell:
    """The supercell with the fewest sites whose rounding is good enough, and the roundest of its size.

    Supercells of the cell that is given, of the conventional and of the primitive one are tried, so that the choice
    does not depend on how the crystal is described.
    """
    best: tuple[tuple[bool, float, int, float], Sites, Shape] | None = None
    for unit in (sites, *_list_reduced(sites)):
        for copies in range(1, max(1, settings.most_sites // len(unit.shares)) + 1):
            misplaced = _count_misplaced(unit, copies)
            shape, elongation = _choose_shape(unit.lattice, copies)
            size = copies * len(unit.shares)
            is_poor = elongation > LONGEST or size < settings.fewest_sites
            key = (is_poor, max(misplaced, settings.tolerance), size, round(elongation, 3))
            if best is None or key < best[0]:
                best = key, unit, shape
            if misplaced <= settings.tolerance and not is_poor:
                break
    assert best is not None
    return repeat(best[1], best[2])


def _list_reduced(sites: Sites) -> Iterator[Sites]:
    """Conventional and primitive cell of the average structure, in the same orientation."""
    import spglib

    if sites.groups:  # spglib would mix up which of them belong together
        return
    for to_primitive in (False, True):
        cell = spglib.standardize_cell(
            sites.spglib_cell, to_primitive=to_primitive, no_idealize=True, symprec=SYMPREC_A
        )
        if cell is not None:
            yield sites.in_cell(cell)


def _choose_shape(lattice: Floats, copies: int) -> tuple[Shape, float]:
    """Repetitions along a, b and c of the roundest supercell, and its longest edge over its least height."""

    def elongation(shape: Shape) -> float:
        cell = lattice * np.array(shape)[:, None]
        return float(np.linalg.norm(cell, axis=1).max() * np.linalg.norm(np.linalg.inv(cell), axis=0).max())

    numbers = [n for n in range(1, copies + 1) if copies % n == 0]
    shapes = [(a, b, copies // (a * b)) for a in numbers for b in numbers if copies % (a * b) == 0]
    roundest = min(shapes, key=lambda shape: (round(elongation(shape), 6), shape))
    return roundest, elongation(roundest)


def _count_misplaced(sites: Sites, copies: int) -> float:
    """Share of the atoms on other sites than the occupancies say, when those of each kind are rounded.

    Atoms that the composition has too many or too few of count :data:`COMPOSITION_WEIGHT` times.
    """
    off, total = 0.0, {element: -amount * copies for element, amount in sites.counts.items()}
    for share, n in sites.kind_sizes.items():
        counts = whole_numbers(dict(share), n * copies)
        exact = {element: amount * n * copies for element, amount in share}
        exact[""] = n * copies - sum(exact.values())
        counts[""] = n * copies - sum(counts.values())
        off += sum(abs(counts.get(element, 0) - amount) for element, amount in exact.items())
        for element, _ in share:
            total[element] += counts.get(element, 0)
    changed = sum(map(abs, total.values()))
    return 0.5 * max(off, COMPOSITION_WEIGHT * changed) / (copies * sum(sites.counts.values()))


def deviation(wanted: Mapping[str, float], placed: Mapping[str, float]) -> float:
    """Half the sum over the elements of how far their share of the atoms is off."""
    a, b = sum(wanted.values()), sum(placed.values())
    elements = {*wanted, *placed}
    return 0.5 * sum(abs(wanted.get(e, 0.0) / a - placed.get(e, 0.0) / b) for e in elements) if a and b else 1.0


def whole_numbers(share: Mapping[str, float], n: int) -> dict[str, int]:
    """Atoms of each element on n sites: what is left over goes to the largest remainders, vacancies among them."""
    parts = {**share, "": max(0.0, 1.0 - sum(share.values()))}
    if parts[""] < FULL:
        parts[""] = 0.0
    exact = {element: amount * n for element, amount in parts.items()}
    counts = {element: int(np.floor(amount + 1e-6)) for element, amount in exact.items()}
    left = n - sum(counts.values())
    for element in sorted(exact, key=lambda e: (counts[e] - exact[e], e))[: max(left, 0)]:
        counts[element] += 1
    return {element: number for element, number in counts.items() if element and number}


def repeat(sites: Sites, scaling: Shape) -> Cell:
    """The supercell of some repetitions."""
    shifts = np.array(list(product(*map(range, scaling))), dtype=float)
    positions = ((sites.positions[:, None] + shifts[None]) / np.array(scaling)).reshape(-1, 3)
    copies = len(shifts)
    groups = tuple(group for group in sites.groups for _ in range(copies))
    lattice, kinds = sites.lattice * np.array(scaling)[:, None], np.repeat(sites.kinds, copies)
    return Cell(lattice, positions, kinds, groups, tuple(map(dict, sites.kind_sizes)), copies)
