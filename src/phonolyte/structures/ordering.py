"""Ordered arrangements of a disordered crystal: supercells of whole atoms, neutral, low in electrostatic energy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, permutations, product
from typing import Annotated, Any

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.charges import balance_nearly, balance_states
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.errors import SettingsError, StructureError
from phonolyte.structures.crystal import Crystal, wrap
from phonolyte.structures.sites import FULL, Sites, key_of, sites_of, sum_shares

METHOD = 1
"""Version of the orderings: raise it when the same crystal gives others."""

EXCLUSION_A = 1.35
"""Sites nearer than this cannot both be occupied: no two heavy atoms bond at less in a salt."""

HYDROGEN_EXCLUSION_A = 0.6

CATION_A, CATION_EV = 2.3, 10.0
"""Cations nearer than this repel each other, by so much (unit charges) at :data:`EXCLUSION_A` and less beyond: lithium
ions of real conductors are 2.4 angstrom apart and more, point charges come as near as sites allow."""

ALTERNATIVE_A = 2.5
"""Sites of different disorder groups of one assembly that are nearer than this cannot both be occupied."""

LARGEST_CELL = 5000
"""Sites of a cell at most."""

LONGEST = 3.0
"""Longest edge of a supercell in units of its least height, unless every supercell is longer."""

COMPOSITION_WEIGHT = 4.0
"""What a wrong composition counts beside atoms on wrong sites, in the choice of a supercell."""

SYMPREC_A = 0.01
"""Tolerance of symmetry, angstrom."""

ATTEMPTS = 2
"""Coolings, each four times as long as the one before, until no two occupied sites exclude each other."""

NEARLY = 0.06
"""Charge that refined occupancies may leave, as a share of the charge of the cations."""

NONMETALS = frozenset("H C N O F P S Cl Se Br I".split())
"""Elements whose compounds have to be neutral."""


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
    cell = _repeat(sites, (1, 1, 1)) if crystal.is_ordered else _choose_supercell(sites, settings)
    task = _prepare(cell, _fill(cell, sites, states, settings), states)
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
    found: dict[float, Arrangement] = {}
    for number in range(settings.arrangements):
        energy, arrangement = _anneal(task, settings, number, np.array([*found]), crystal)
        if arrangement is not None:
            found[energy] = arrangement
    return [found[energy] for energy in sorted(found)]


def _different(arrangements: Sequence[Arrangement]) -> list[Arrangement]:
    """The arrangements less those that repeat an earlier one."""
    from phonolyte.structures.duplicates import IDENTICAL, fingerprint

    prints: list[Floats] = []
    different = []
    for each in arrangements:
        own = fingerprint(each.crystal)
        if not any(np.abs(own - other).max() < IDENTICAL for other in prints):
            prints.append(own)
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


def likely_states(sites: Sites) -> dict[str, float]:
    """Oxidation states of the composition; empty for an alloy.

    Raises
    ------
    StructureError
        For a compound whose occupancies are far from neutral.
    """
    counts = sites.counts
    whole = {element: round(amount, 3) for element, amount in counts.items() if amount > 5e-4}
    balance = balance_nearly(whole, NEARLY) or balance_states(whole)
    if balance is None and NONMETALS & set(whole):
        listed = " ".join(f"{element}{amount:.4g}" for element, amount in whole.items())
        raise StructureError(
            "its occupancies are not neutral",
            why=f"no oxidation states of {listed} add up to zero",
            fix="Check the occupancies; ions may be missing.",
            kind="NotNeutral",
        )
    return dict(balance.states) if balance else {}


def _choose_supercell(sites: Sites, settings: OrderingSettings) -> Cell:
    """The supercell with the fewest sites whose rounding is good enough, and the roundest of its size.

    Supercells of the cell that is given, of the conventional and of the primitive one are tried, so that the choice
    does not depend on how the crystal is described.
    """
    best: tuple[tuple[bool, float, int, float], Sites, Shape] | None = None
    for unit in (sites, *_reduced(sites)):
        for copies in range(1, max(1, settings.most_sites // len(unit.shares)) + 1):
            misplaced = _misplaced(unit, copies)
            shape, elongation = _choose_shape(unit.lattice, copies)
            size = copies * len(unit.shares)
            is_poor = elongation > LONGEST or size < settings.fewest_sites
            key = (is_poor, max(misplaced, settings.tolerance), size, round(elongation, 3))
            if best is None or key < best[0]:
                best = key, unit, shape
            if misplaced <= settings.tolerance and not is_poor:
                break
    assert best is not None
    return _repeat(best[1], best[2])


def _reduced(sites: Sites) -> Iterator[Sites]:
    """Conventional and primitive cell of the average structure, in the same orientation."""
    import spglib

    if sites.groups:  # spglib would mix up which of them belong together
        return
    kinds, shares = sites.kinds, sites.shares
    of_kind = {int(kind): shares[place] for place, kind in enumerate(kinds)}
    for to_primitive in (False, True):
        cell = (sites.lattice, sites.positions, kinds + 1)
        found = spglib.standardize_cell(cell, to_primitive=to_primitive, no_idealize=True, symprec=SYMPREC_A)
        if found is not None:
            yield Sites(found[0], wrap(found[1]), tuple(of_kind[int(kind) - 1] for kind in found[2]))


def _choose_shape(lattice: Floats, copies: int) -> tuple[Shape, float]:
    """Repetitions along a, b and c of the roundest supercell, and its longest edge over its least height."""

    def elongation(shape: Shape) -> float:
        cell = lattice * np.array(shape)[:, None]
        return float(np.linalg.norm(cell, axis=1).max() * np.linalg.norm(np.linalg.inv(cell), axis=0).max())

    numbers = [n for n in range(1, copies + 1) if copies % n == 0]
    shapes = [(a, b, copies // (a * b)) for a in numbers for b in numbers if copies % (a * b) == 0]
    roundest = min(shapes, key=lambda shape: (round(elongation(shape), 6), shape))
    return roundest, elongation(roundest)


def _misplaced(sites: Sites, copies: int) -> float:
    """Share of the atoms on other sites than the occupancies say, when those of each kind are rounded.

    Atoms that the composition has too many or too few of count :data:`COMPOSITION_WEIGHT` times.
    """
    off, total = 0.0, {element: -amount * copies for element, amount in sites.counts.items()}
    for share, n in _kinds(sites).items():
        whole = _whole_numbers(dict(share), n * copies)
        exact = {element: amount * n * copies for element, amount in share}
        exact[""] = n * copies - sum(exact.values())
        whole[""] = n * copies - sum(whole.values())
        off += sum(abs(whole.get(element, 0) - amount) for element, amount in exact.items())
        for element, _ in share:
            total[element] += whole.get(element, 0)
    changed = sum(map(abs, total.values()))
    return 0.5 * max(off, COMPOSITION_WEIGHT * changed) / (copies * sum(sites.counts.values()))


def _deviation(wanted: Mapping[str, float], whole: Mapping[str, float]) -> float:
    a, b = sum(wanted.values()), sum(whole.values())
    elements = {*wanted, *whole}
    return 0.5 * sum(abs(wanted.get(e, 0.0) / a - whole.get(e, 0.0) / b) for e in elements) if a and b else 1.0


def _kinds(sites: Sites) -> dict[tuple[tuple[str, float], ...], int]:
    """Number of sites of each kind: those with the same shares."""
    kinds: dict[tuple[tuple[str, float], ...], int] = {}
    for share in sites.shares:
        key = key_of(share)
        kinds[key] = kinds.get(key, 0) + 1
    return kinds


def _whole_numbers(share: Mapping[str, float], n: int) -> dict[str, int]:
    """Atoms of each element on n sites: what is left over goes to the largest remainders, vacancies among them."""
    parts = {**share, "": max(0.0, 1.0 - sum(share.values()))}
    if parts[""] < FULL:
        parts[""] = 0.0
    exact = {element: amount * n for element, amount in parts.items()}
    whole = {element: int(np.floor(amount + 1e-6)) for element, amount in exact.items()}
    left = n - sum(whole.values())
    for element in sorted(exact, key=lambda e: (whole[e] - exact[e], e))[: max(left, 0)]:
        whole[element] += 1
    return {element: number for element, number in whole.items() if element and number}


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A supercell: lattice, positions, kind and disorder group of each site, and the shares of each kind."""

    lattice: Floats
    positions: Floats
    kinds: Ints
    groups: tuple[str, ...]
    shares: tuple[Mapping[str, float], ...]
    copies: int


def _repeat(sites: Sites, scaling: Shape) -> Cell:
    shifts = np.array(list(product(*map(range, scaling))), dtype=float)
    positions = ((sites.positions[:, None] + shifts[None]) / np.array(scaling)).reshape(-1, 3)
    copies = len(shifts)
    groups = tuple(group for group in sites.groups for _ in range(copies))
    lattice, kinds = sites.lattice * np.array(scaling)[:, None], np.repeat(sites.kinds, copies)
    return Cell(lattice, positions, kinds, groups, tuple(map(dict, _kinds(sites))), copies)


def _fill(cell: Cell, sites: Sites, states: Mapping[str, float], settings: OrderingSettings) -> list[dict[str, int]]:
    """Atoms of each element on each kind of site, neutral where mobile ions can make it so."""
    numbers = [_whole_numbers(share, int((cell.kinds == kind).sum())) for kind, share in enumerate(cell.shares)]
    if not states:
        return numbers
    charge = sum(states[element] * number for filled in numbers for element, number in filled.items())
    mobile = next((ion for ion in MOBILE_IONS if ion in states and _is_partial(cell, ion)), None)
    if mobile is not None and abs(charge) > 0.5:
        wanted = -round(charge / states[mobile])
        most = max(1, round(settings.adjust * sites.counts[mobile] * cell.copies))
        numbers = _adjust(cell, numbers, mobile, int(np.clip(wanted, -most, most)))
        charge = sum(states[element] * number for filled in numbers for element, number in filled.items())
    return _exchange(cell, numbers, states, charge) if abs(charge) > 0.5 else numbers


def _exchange(
    cell: Cell, numbers: list[dict[str, int]], states: Mapping[str, float], charge: float
) -> list[dict[str, int]]:
    """Exchange one or two ions for others of their sites, or for vacancies, where that makes the cell neutral.

    The exchange that comes nearest to the occupancies is made; none where no exchange is enough.
    """
    sizes = np.bincount(cell.kinds, minlength=len(cell.shares))
    moves = []
    for kind, share in enumerate(cell.shares):
        off = {element: numbers[kind].get(element, 0) - amount * sizes[kind] for element, amount in share.items()}
        if sum(share.values()) < 1.0 - FULL:
            off[""] = -sum(off.values())  # vacancies
        held = {**numbers[kind], "": sizes[kind] - sum(numbers[kind].values())}
        for old, new in permutations(off, 2):
            if held.get(old, 0) > 0:
                cost = abs(off[old] - 1) - abs(off[old]) + abs(off[new] + 1) - abs(off[new])
                moves.append((cost, kind, old, new, states.get(new, 0.0) - states.get(old, 0.0)))
    choices = [(move,) for move in moves] + list(combinations_with_replacement(moves, 2))
    neutral = [choice for choice in choices if abs(charge + sum(move[4] for move in choice)) < 0.5]
    if not neutral:
        return numbers
    changed = [dict(filled) for filled in numbers]
    for _, kind, old, new, _ in min(neutral, key=lambda choice: (sum(move[0] for move in choice), len(choice))):
        for element, step in ((old, -1), (new, 1)):
            if element:
                changed[kind][element] = changed[kind].get(element, 0) + step
    return changed if all(number >= 0 for filled in changed for number in filled.values()) else numbers


def _is_partial(cell: Cell, ion: str) -> bool:
    return any(ion in share and sum(share.values()) < 1.0 - FULL for share in cell.shares)


def _adjust(cell: Cell, numbers: list[dict[str, int]], ion: str, change: int) -> list[dict[str, int]]:
    """Add or remove ions on the partly occupied sites of their own, where there is room."""
    numbers = [dict(filled) for filled in numbers]
    for _ in range(abs(change)):
        step = 1 if change > 0 else -1
        rooms = {}
        for kind, share in enumerate(cell.shares):
            if ion in share and sum(share.values()) < 1.0 - FULL:
                size = int((cell.kinds == kind).sum())
                free = size - sum(numbers[kind].values()) if step > 0 else numbers[kind].get(ion, 0)
                rooms[kind] = free
        kind = max(rooms, key=lambda each: rooms[each], default=-1)
        if kind < 0 or rooms[kind] <= 0:
            break
        numbers[kind][ion] = numbers[kind].get(ion, 0) + step
    return numbers


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

    def energy(self, own: Ints) -> float:
        """Energy (eV) of species (m,) on the active sites."""
        q = self.charges[own]
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
        is_partial = any(listed) and sum(cell.shares[kind].values()) < 1.0 - FULL  # it may exclude others
        if is_partial or len(set(listed)) > 1:
            active += places.tolist()
        else:
            state[places] = listed[0]
    places = np.array(active, dtype=np.int64)
    m, own = len(places), cell.positions[places]
    matrix, field, fixed_ev = np.zeros((m, m)), np.zeros(m), 0.0
    if states:
        fixed = np.flatnonzero(state)
        is_cation = np.array([min(states[e] for e in share) > 0 for share in cell.shares])[cell.kinds]
        matrix = ewald_matrix(cell.lattice, own) + _repulsion(cell, is_cation, places, places)
        between = ewald_matrix(cell.lattice, own, cell.positions[fixed]) + _repulsion(cell, is_cation, places, fixed)
        field = between @ charges[state[fixed]]
        fixed_ev = ewald_energy(cell.lattice, cell.positions[fixed], charges[state[fixed]])
    return Task(
        cell, elements, charges, tuple(species), state, places, matrix, field, fixed_ev, _excluded(cell, places)
    )


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
    energy, pairs, own = 0.0, 0.0, np.zeros(len(kinds), dtype=np.int64)
    for attempt in range(ATTEMPTS):
        seed = settings.seed + number + 1000 * attempt
        random = np.random.default_rng(seed)
        for kind in np.unique(kinds):
            own[kinds == kind] = random.permutation(task.filling[kind])
        steps = settings.sweeps * len(kinds) * 4**attempt
        energy, pairs = anneal(
            task.matrix, task.field, task.excluded, task.charges, own, kinds, known, steps, seed
        )  # fmt: skip
        if not np.isfinite(energy):
            return energy, None
        if pairs < 0.5:
            return energy, _result(task, own, crystal)
    removed = _make_room(task, own)
    if removed > max(1, settings.adjust * int((own > 0).sum())):
        raise StructureError(
            "its sites exclude each other",
            why=f"{pairs:.0f} pairs of occupied sites are nearer than {EXCLUSION_A:g} A in the best arrangement",
            fix="Check the occupancies of split sites.",
            kind="NoArrangement",
        )
    return energy, _result(task, own, crystal)


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


def _excluded(cell: Cell, places: Ints) -> Flags:
    """Pairs (m, m) of places in a cell that cannot both be occupied."""
    distances = _least_distances(cell.lattice, cell.positions[places], cell.positions[places])
    kinds = cell.kinds[places]
    hydrogen = np.array(["H" in share for share in cell.shares])[kinds]
    full = np.array([sum(share.values()) >= 1.0 - FULL for share in cell.shares])[kinds]
    limits = np.where(hydrogen[:, None] | hydrogen[None], HYDROGEN_EXCLUSION_A, EXCLUSION_A)
    near = (distances < limits) & ~(full[:, None] | full[None])  # there is no way around a full site
    if cell.groups:
        near |= _alternatives(np.array(cell.groups)[places]) & (distances < ALTERNATIVE_A)
    np.fill_diagonal(near, False)
    return np.asarray(near)


def _alternatives(groups: Any) -> Flags:
    """Pairs (m, m) of different disorder groups of one assembly."""
    assemblies = np.array([group.rpartition("/")[0] for group in groups])
    given = groups != ""
    same = (assemblies[:, None] == assemblies[None]) & given[:, None] & given[None]
    return np.asarray(same & (groups[:, None] != groups[None]))


def _result(task: Task, own: Ints, crystal: Crystal) -> Arrangement:
    state = task.state.copy()
    state[task.active] = own
    kept = np.flatnonzero(state > 0)
    if not len(kept):
        raise StructureError("no site is occupied", fix="Check the occupancies.", kind="EmptyCell")
    species = [task.elements[place] for place in state[kept]]
    states = {element: float(charge) for element, charge in zip(task.elements, task.charges, strict=True) if element}
    ordered = Crystal.of(
        crystal.material_id, task.cell.lattice, species, task.cell.positions[kept], properties=crystal.properties,
        source=crystal.source, oxidation_states=states if task.is_charged else crystal.oxidation_states,
    )  # fmt: skip
    wanted = sum_shares(task.cell.shares[kind] for kind in task.cell.kinds.tolist())
    whole = {element: float(species.count(element)) for element in set(species)}
    return Arrangement(
        ordered,
        task.energy(own) / len(kept) if task.is_charged else float("nan"),
        float(task.charges[state].sum()) if task.is_charged else float("nan"),
        _deviation(wanted, whole),
        _shortest(ordered),
    )


def _shortest(crystal: Crystal) -> float:
    from phonolyte.structures.neighbours import shortest_contact

    distance, i, _ = shortest_contact(crystal.lattice, crystal.frac_coords, 6.0)
    return float(distance) if i >= 0 else float("nan")
