"""Ordered arrangements of a disordered crystal: supercells of whole atoms, neutral, low in electrostatic energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.errors import StructureError
from phonolyte.structures.crystal import Crystal
from phonolyte.structures.filling import fill_sites, likely_states
from phonolyte.structures.sites import EXCLUSION_A, is_full, sites_of, sum_shares
from phonolyte.structures.supercells import Cell, OrderingSettings, choose_supercell, deviation, repeat

METHOD = 1
"""Version of the orderings: raise it when the same crystal gives others."""

HYDROGEN_EXCLUSION_A = 0.6

CATION_A, CATION_EV = 2.3, 10.0
"""Cations nearer than this repel each other, by so much (unit charges) at :data:`EXCLUSION_A` and less beyond: lithium
ions of real conductors are 2.4 angstrom apart and more, point charges come as near as sites allow."""

ALTERNATIVE_A = 2.5
"""Sites of different disorder groups of one assembly that are nearer than this cannot both be occupied."""

LARGEST_CELL = 5000
"""Sites of a cell at most."""

ATTEMPTS = 2
"""Coolings, each four times as long as the one before, until no two occupied sites exclude each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """One ordered arrangement.

    Attributes
    ----------
    crystal
        The ordered crystal.
    energy_ev
        Electrostatic energy of the formal charges, with the repulsion of cations that are too near, eV an atom; NaN
        where there are none.
    charge
        Charge of the cell, elementary charges; NaN where there are none.
    deviation
        Half the sum over the elements of how far their share of the atoms is off.
    shortest_a
        Shortest distance between two atoms, angstrom.
    engine_ev
        Energy by an engine, positions relaxed, eV an atom; NaN where there is none.
    """

    crystal: Crystal
    energy_ev: float
    charge: float
    deviation: float
    shortest_a: float
    engine_ev: float = float("nan")


def order(crystal: Crystal, settings: OrderingSettings | None = None) -> list[Arrangement]:
    """Ordered arrangements of a disordered crystal, the lowest in electrostatic energy first.

    The smallest supercell whose whole numbers of atoms come near enough to the occupancies is filled, mobile ions are
    added or removed for a neutral cell, and a Monte Carlo of swaps cools it several times from different seeds.
    Charges are the likeliest oxidation states of the composition; a crystal without any is filled at random, less
    sites that exclude each other.

    Parameters
    ----------
    crystal
        A crystal with partial occupancies; an ordered one is its only arrangement.
    settings
        Sizes and tolerances.

    Raises
    ------
    StructureError
        When a cell is too large, holds nothing, or its sites exclude each other more than they can.
    """
    settings = settings or OrderingSettings()
    sites = sites_of(crystal)
    if len(sites.shares) > LARGEST_CELL:
        raise StructureError(
            f"the cell has {len(sites.shares)} sites",
            why=f"arrangements are limited to {LARGEST_CELL}",
            fix="Give its primitive cell.",
            kind="TooLarge",
        )
    states = likely_states(sites)
    cell = repeat(sites, (1, 1, 1)) if crystal.is_ordered else choose_supercell(sites, settings)
    task = _prepare(cell, fill_sites(cell, sites, states, settings), states)
    if len(task.active) > 4 * settings.most_sites:
        raise StructureError(
            f"{len(task.active)} sites are partly occupied",
            why=f"arrangements are limited to {4 * settings.most_sites} of them",
            fix="Give its primitive cell, or raise the limit.",
            kind="TooLarge",
        )
    if not task.is_ranked:
        nothing = np.empty(0)
        drawn = [_anneal(task, settings, number, nothing, crystal)[1] for number in range(settings.arrangements)]
        return _different([each for each in drawn if each is not None])
    by_energy: dict[float, Arrangement] = {}
    for number in range(settings.arrangements):
        energy, arrangement = _anneal(task, settings, number, np.array([*by_energy]), crystal)
        if arrangement is not None:
            by_energy[energy] = arrangement
    return [by_energy[energy] for energy in sorted(by_energy)]


def _different(arrangements: Sequence[Arrangement]) -> list[Arrangement]:
    """The arrangements less those that repeat an earlier one."""
    from phonolyte.structures.duplicates import IDENTICAL, fingerprint

    prints: list[Floats] = []
    different = []
    for each in arrangements:
        print_ = fingerprint(each.crystal)
        if not any(np.abs(print_ - other).max() < IDENTICAL for other in prints):
            prints.append(print_)
            different.append(each)
    return different


def representative(crystal: Crystal) -> Crystal:
    """The ordering of a disordered crystal that is lowest in energy, and an ordered crystal itself.

    Raises
    ------
    StructureError
        When the crystal cannot be ordered.
    """
    return crystal if crystal.is_ordered else order(crystal)[0].crystal


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a Monte Carlo needs.

    Attributes
    ----------
    cell
        The supercell of n sites.
    elements, charges
        Element and charge of each species; species 0 is a vacancy.
    filling
        Species on the sites of each kind, in any order.
    state
        (n,) species of each site that never changes, 0 elsewhere.
    active
        (m,) sites that change.
    matrix, field
        (m, m) interactions of unit charges at these, eV, and (m,) potential of the others, volt; with the repulsion of
        cations.
    fixed_ev
        Energy of the others.
    excluded
        (m, m) pairs of sites that cannot both be occupied.
    """

    cell: Cell
    elements: tuple[str, ...]
    charges: Floats
    filling: tuple[Ints, ...]
    state: Ints
    active: Ints
    matrix: Floats
    field: Floats
    fixed_ev: float
    excluded: Flags

    @property
    def is_charged(self) -> bool:
        """Whether the elements have charges."""
        return bool(self.charges.any())

    @property
    def is_ranked(self) -> bool:
        """Whether arrangements differ in energy: ions of different charge, or vacancies, share sites."""
        kinds = np.unique(self.cell.kinds[self.active])
        return any(len(set(self.charges[self.filling[kind]].tolist())) > 1 for kind in kinds)

    def energy(self, filling: Ints) -> float:
        """Energy (eV) of species (m,) on the active sites."""
        q = self.charges[filling]
        return float(self.fixed_ev + q @ self.field + 0.5 * q @ self.matrix @ q)


def _prepare(cell: Cell, filling: Sequence[Mapping[str, int]], states: Mapping[str, float]) -> Task:
    from phonolyte.structures.arrangement import ewald_energy, ewald_matrix

    elements = ("", *sorted({element for filled in filling for element in filled}))
    charges = np.array([0.0, *(states.get(element, 0.0) for element in elements[1:])])
    state = np.zeros(len(cell.kinds), dtype=np.int64)
    species, active = [], []
    for kind, filled in enumerate(filling):
        places = np.flatnonzero(cell.kinds == kind)
        listed = [elements.index(element) for element, number in filled.items() for _ in range(number)]
        listed += [0] * (len(places) - len(listed))
        species.append(np.array(listed, dtype=np.int64))
        is_partial = any(listed) and not is_full(cell.shares[kind])  # it may exclude others
        if is_partial or len(set(listed)) > 1:
            active += places.tolist()
        else:
            state[places] = listed[0]
    places = np.array(active, dtype=np.int64)
    m, active_positions = len(places), cell.positions[places]
    matrix, field, fixed_ev = np.zeros((m, m)), np.zeros(m), 0.0
    if states:
        fixed = np.flatnonzero(state)
        known = [
            [states[element] for element in share if element in states] for share in cell.shares
        ]  # traces have none
        is_cation = np.array([min(each, default=0.0) > 0 for each in known])[cell.kinds]
        matrix = ewald_matrix(cell.lattice, active_positions) + _repulsion(cell, is_cation, places, places)
        between = ewald_matrix(cell.lattice, active_positions, cell.positions[fixed]) + _repulsion(
            cell, is_cation, places, fixed
        )
        field = between @ charges[state[fixed]]
        fixed_ev = ewald_energy(cell.lattice, cell.positions[fixed], charges[state[fixed]])
    return Task(cell, elements, charges, tuple(species), state, places, matrix, field, fixed_ev, _exclude(cell, places))


def _repulsion(cell: Cell, is_cation: Flags, rows: Ints, columns: Ints) -> Floats:
    """Matrix (m, n) of repulsions of unit charges at near sites of cations, eV: point charges alone come too near."""
    distances = _least_distances(cell.lattice, cell.positions[rows], cell.positions[columns])
    both = is_cation[rows][:, None] & is_cation[columns][None] & (distances > 1e-3)
    return np.where(both, CATION_EV * np.clip((CATION_A - distances) / (CATION_A - EXCLUSION_A), 0.0, 1.0), 0.0)


def _least_distances(lattice: Floats, rows: Floats, columns: Floats) -> Floats:
    """Distances (m, n) of the nearest images, angstrom, in a cell that is not much sheared."""
    offsets = rows[:, None] - columns[None]
    return np.asarray(np.linalg.norm((offsets - np.round(offsets)) @ lattice, axis=2))


def _anneal(
    task: Task, settings: OrderingSettings, number: int, known: Floats, crystal: Crystal
) -> tuple[float, Arrangement | None]:
    """Energy and the best arrangement of one cooling, None where there are no others than the known ones.

    A cooling that leaves ions on sites that exclude each other is repeated, and takes longer.
    """
    from phonolyte.structures.arrangement import anneal

    kinds = task.cell.kinds[task.active]
    energy, pairs, assignment = 0.0, 0.0, np.zeros(len(kinds), dtype=np.int64)
    for attempt in range(ATTEMPTS):
        seed = settings.seed + number + 1000 * attempt
        random = np.random.default_rng(seed)
        for kind in np.unique(kinds):
            assignment[kinds == kind] = random.permutation(task.filling[kind])
        steps = settings.sweeps * len(kinds) * 4**attempt
        energy, pairs = anneal(
            task.matrix, task.field, task.excluded, task.charges, assignment, kinds, known, steps, seed
        )  # fmt: skip
        if not np.isfinite(energy):
            return energy, None
        if pairs < 0.5:
            return energy, _result(task, assignment, crystal)
    removed = _make_room(task, assignment)
    if removed > max(1, settings.adjust * int((assignment > 0).sum())):
        raise StructureError(
            "its sites exclude each other",
            why=f"{pairs:.0f} pairs of occupied sites are nearer than {EXCLUSION_A:g} A in the best arrangement",
            fix="Check the occupancies of split sites.",
            kind="NoArrangement",
        )
    return energy, _result(task, assignment, crystal)


def _make_room(task: Task, state: Ints) -> int:
    """Remove ions until no two sites exclude each other: occupancies of split sites may add up to more than 1."""
    removed = 0
    while True:
        occupied = state > 0
        crowd = (task.excluded & occupied[:, None] & occupied[None]).sum(axis=1)
        if not crowd.any():
            return removed
        state[int(np.argmax(crowd))] = 0
        removed += 1


def _exclude(cell: Cell, places: Ints) -> Flags:
    """Pairs (m, m) of places in a cell that cannot both be occupied."""
    distances = _least_distances(cell.lattice, cell.positions[places], cell.positions[places])
    kinds = cell.kinds[places]
    hydrogen = np.array(["H" in share for share in cell.shares])[kinds]
    full = np.array([is_full(share) for share in cell.shares])[kinds]
    limits = np.where(hydrogen[:, None] | hydrogen[None], HYDROGEN_EXCLUSION_A, EXCLUSION_A)
    near = (distances < limits) & ~(full[:, None] | full[None])  # there is no way around a full site
    if cell.groups:
        near |= _alternatives(np.array(cell.groups)[places]) & (distances < ALTERNATIVE_A)
    np.fill_diagonal(near, False)
    return np.asarray(near)


def _alternatives(groups: Any) -> Flags:
    """Pairs (m, m) of different disorder groups of one assembly."""
    assemblies = np.array([group.rpartition("/")[0] for group in groups])
    has_group = groups != ""
    same = (assemblies[:, None] == assemblies[None]) & has_group[:, None] & has_group[None]
    return np.asarray(same & (groups[:, None] != groups[None]))


def _result(task: Task, assignment: Ints, crystal: Crystal) -> Arrangement:
    state = task.state.copy()
    state[task.active] = assignment
    occupied = np.flatnonzero(state > 0)
    if not len(occupied):
        raise StructureError("no site is occupied", fix="Check the occupancies.", kind="EmptyCell")
    species = [task.elements[place] for place in state[occupied]]
    states = {element: float(charge) for element, charge in zip(task.elements, task.charges, strict=True) if element}
    ordered = Crystal.from_arrays(
        crystal.material_id, task.cell.lattice, species, task.cell.positions[occupied], properties=crystal.properties,
        source=crystal.source, oxidation_states=states if task.is_charged else crystal.oxidation_states,
    )  # fmt: skip
    wanted = sum_shares(task.cell.shares[kind] for kind in task.cell.kinds.tolist())
    amounts = {element: float(species.count(element)) for element in set(species)}
    return Arrangement(
        ordered,
        task.energy(assignment) / len(occupied) if task.is_charged else float("nan"),
        float(task.charges[state].sum()) if task.is_charged else float("nan"),
        deviation(wanted, amounts),
        _shortest(ordered),
    )


def _shortest(crystal: Crystal) -> float:
    from phonolyte.structures.neighbors import shortest_contact

    distance, i, _ = shortest_contact(crystal.lattice, crystal.frac_coords, 6.0)
    return float(distance) if i >= 0 else float("nan")
