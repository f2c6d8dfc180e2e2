"""Ordered arrangements of a disordered crystal: supercells of whole atoms, neutral, low in electrostatic energy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.charges import balance_nearly, balance_states
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.errors import SettingsError, StructureError

if TYPE_CHECKING:
    from phonolyte.structures.crystal import Crystal

SAME_SITE_A = 0.1
"""Ions nearer than this share a site."""

FULL = 1e-3
"""Share by which the occupancies of a site may exceed 1, and miss it where the site counts as full."""

EXCLUSION_A = 1.35
"""Sites nearer than this cannot both be occupied: no two heavy atoms bond at less in a salt."""

HYDROGEN_EXCLUSION_A = 0.6

ATTEMPTS = 2
"""Coolings, each four times as long as the one before, until no two occupied sites exclude each other."""

NEARLY = 0.06
"""Charge that refined occupancies may leave, as a share of the charge of the cations."""

NONMETALS = frozenset("H C N O F P S Cl Se Br I".split())
"""Elements whose compounds have to be neutral."""


@dataclass(frozen=True, slots=True)
class OrderingSettings:
    """How a disordered crystal is ordered.

    Attributes
    ----------
    most_sites
        Sites of the supercell at most, empty ones among them.
    tolerance
        Deviation of the composition (share of all atoms) at which a smaller supercell is good enough.
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
    tolerance: Annotated[float, "Deviation of the composition at which a smaller supercell is good enough."] = 0.005
    adjust: Annotated[float, "Share of the mobile ions that may be added or removed for a neutral cell."] = 0.15
    sweeps: Annotated[int, "Attempted swaps a partly occupied site."] = 400
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
        Electrostatic energy of the formal charges, eV an atom; NaN where there are none.
    charge
        Charge of the cell, elementary charges; NaN where there are none.
    deviation
        Half the sum over the elements of how far their share of the atoms is off.
    shortest_a
        Shortest distance between two atoms, angstrom.
    """

    crystal: Crystal
    energy_ev: float
    charge: float
    deviation: float
    shortest_a: float


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Sites of a disordered cell: (3, 3) lattice, (n, 3) positions, and the share of each element at each site."""

    lattice: Floats
    positions: Floats
    shares: tuple[Mapping[str, float], ...]

    @property
    def counts(self) -> dict[str, float]:
        """Atoms of each element."""
        return _total(self.shares)


def _total(shares: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Atoms of each element on sites with these shares."""
    total: dict[str, float] = {}
    for share in shares:
        for element, amount in share.items():
            total[element] = total.get(element, 0.0) + amount
    return total


def merge_sites(
    lattice: Floats, elements: Sequence[str], positions: Floats, occupancies: Sequence[float] | Floats
) -> Sites:
    """Join the ions that share a position.

    Raises
    ------
    StructureError
        When the occupancies of a site exceed 1.
    """
    offsets = positions[:, None] - positions[None]
    distances = np.linalg.norm((offsets - np.round(offsets)) @ lattice, axis=2)
    owner = np.argmax(distances < SAME_SITE_A, axis=1)  # the first of those that are there
    shares: dict[int, dict[str, float]] = {}
    for place, element, occupancy in zip(owner.tolist(), elements, np.asarray(occupancies).tolist(), strict=True):
        share = shares.setdefault(place, {})
        share[element] = share.get(element, 0.0) + occupancy
    for place, share in shares.items():
        total = sum(share.values())
        if total > 1.0 + 10 * FULL:
            held = ", ".join(f"{element}:{amount:.3g}" for element, amount in share.items())
            raise StructureError(
                "a site is more than full",
                why=f"site {place + 1} holds {held}",
                fix="Correct the occupancies.",
                kind="BadOccupancy",
            )
        if total > 1.0:
            shares[place] = {element: amount / total for element, amount in share.items()}
    kept = sorted(shares)
    return Sites(lattice, positions[kept], tuple(shares[place] for place in kept))


def order(sites: Sites, settings: OrderingSettings | None = None, *, material_id: str = "") -> list[Arrangement]:
    """Ordered arrangements of a disordered cell, the lowest in electrostatic energy first.

    The smallest supercell whose whole numbers of atoms come near enough to the occupancies is filled, mobile ions are
    added or removed for a neutral cell, and a Monte Carlo of swaps cools it several times from different seeds.
    Charges are the likeliest oxidation states of the composition; a crystal without any is filled at random, less
    sites that exclude each other.

    Parameters
    ----------
    sites
        Sites of the cell.
    settings
        Sizes and tolerances.
    material_id
        Name of the arrangements.

    Raises
    ------
    StructureError
        When a cell is too large, holds nothing, or its sites exclude each other more than they can.
    """
    settings = settings or OrderingSettings()
    if len(sites.shares) > 4 * settings.most_sites:
        raise StructureError(
            f"the cell has {len(sites.shares)} sites",
            why=f"arrangements are limited to {4 * settings.most_sites}",
            fix="Order it by hand, or raise the limit.",
            kind="TooLarge",
        )
    states = _states(sites)
    scaling = _choose_supercell(sites, settings)
    cell = _repeat(sites, scaling)
    task = _prepare(cell, _fill(cell, sites, states, settings), states)
    return _distinct([_anneal(task, settings, number, material_id) for number in range(settings.arrangements)])


def _states(sites: Sites) -> dict[str, float]:
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


def _choose_supercell(sites: Sites, settings: OrderingSettings) -> tuple[int, int, int]:
    """Repetitions along a, b and c: the smallest cell whose rounding is good enough, and the roundest of its size."""
    most = max(1, settings.most_sites // len(sites.shares))
    edges = np.linalg.norm(sites.lattice, axis=1)
    numbers = range(1, most + 1)
    choices = [(a, b, c) for a in numbers for b in numbers for c in numbers if a * b * c <= most]

    def roundness(repetitions: tuple[int, int, int]) -> float:
        lengths = edges * repetitions
        return float(lengths.max() / lengths.min())

    best = min(
        (max(_rounding(sites, int(np.prod(c))), settings.tolerance), int(np.prod(c)), roundness(c), c) for c in choices
    )
    return best[-1]


def _rounding(sites: Sites, copies: int) -> float:
    """Deviation of the composition when the atoms of each kind of site are rounded."""
    wanted = {element: amount * copies for element, amount in sites.counts.items()}
    whole: dict[str, float] = {}
    for share, n in _kinds(sites).items():
        for element, number in _whole_numbers(dict(share), n * copies).items():
            whole[element] = whole.get(element, 0.0) + number
    return _deviation(wanted, whole)


def _deviation(wanted: Mapping[str, float], whole: Mapping[str, float]) -> float:
    a, b = sum(wanted.values()), sum(whole.values())
    elements = {*wanted, *whole}
    return 0.5 * sum(abs(wanted.get(e, 0.0) / a - whole.get(e, 0.0) / b) for e in elements) if a and b else 1.0


def _kinds(sites: Sites) -> dict[tuple[tuple[str, float], ...], int]:
    """Number of sites of each kind: those with the same shares."""
    kinds: dict[tuple[tuple[str, float], ...], int] = {}
    for share in sites.shares:
        key = _key(share)
        kinds[key] = kinds.get(key, 0) + 1
    return kinds


def _key(share: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((element, round(amount, 6)) for element, amount in share.items()))


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
    """A supercell: lattice, positions, and the kind of each site."""

    lattice: Floats
    positions: Floats
    kinds: Ints
    shares: tuple[Mapping[str, float], ...]
    copies: int


def _repeat(sites: Sites, scaling: tuple[int, int, int]) -> Cell:
    shifts = np.array(list(product(*map(range, scaling))), dtype=float)
    positions = ((sites.positions[:, None] + shifts[None]) / np.array(scaling)).reshape(-1, 3)
    keys = list(dict.fromkeys(map(_key, sites.shares)))
    kinds = np.repeat([keys.index(_key(share)) for share in sites.shares], len(shifts))
    return Cell(sites.lattice * np.array(scaling)[:, None], positions, kinds, tuple(map(dict, keys)), len(shifts))


def _fill(cell: Cell, sites: Sites, states: Mapping[str, float], settings: OrderingSettings) -> list[dict[str, int]]:
    """Atoms of each element on each kind of site, neutral where mobile ions can make it so."""
    numbers = [_whole_numbers(share, int((cell.kinds == kind).sum())) for kind, share in enumerate(cell.shares)]
    if not states:
        return numbers
    charge = sum(states[element] * number for filled in numbers for element, number in filled.items())
    mobile = next((ion for ion in MOBILE_IONS if ion in states and _is_partial(cell, ion)), None)
    if mobile is None or abs(charge) < 0.5:
        return numbers
    wanted = -round(charge / states[mobile])
    most = max(1, round(settings.adjust * sites.counts[mobile] * cell.copies))
    return _adjust(cell, numbers, mobile, int(np.clip(wanted, -most, most)))


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
    """What a Monte Carlo needs: elements and charges by species (0 is a vacancy), interactions, and a filling."""

    cell: Cell
    elements: tuple[str, ...]
    charges: Floats
    matrix: Floats
    excluded: Flags
    filling: tuple[Ints, ...]

    @property
    def is_charged(self) -> bool:
        """Whether the elements have charges."""
        return bool(self.charges.any())


def _prepare(cell: Cell, filling: Sequence[Mapping[str, int]], states: Mapping[str, float]) -> Task:
    from phonolyte.structures.arrangement import ewald_matrix

    elements = ("", *sorted({element for filled in filling for element in filled}))
    species = []
    for kind, filled in enumerate(filling):
        listed = [elements.index(element) for element, number in filled.items() for _ in range(number)]
        listed += [0] * (int((cell.kinds == kind).sum()) - len(listed))
        species.append(np.array(listed, dtype=np.int64))
    charges = np.array([0.0, *(states.get(element, 0.0) for element in elements[1:])])
    n = len(cell.kinds)
    matrix = ewald_matrix(cell.lattice, cell.positions) if states else np.zeros((n, n))
    return Task(cell, elements, charges, matrix, _excluded(cell), tuple(species))


def _anneal(task: Task, settings: OrderingSettings, number: int, material_id: str) -> Arrangement:
    """The best arrangement of one cooling; one that leaves sites that exclude each other is cooled longer."""
    from phonolyte.structures.arrangement import anneal

    cell, n = task.cell, len(task.cell.kinds)
    energy, pairs, state = 0.0, 0.0, np.zeros(n, dtype=np.int64)
    for attempt in range(ATTEMPTS):
        seed = settings.seed + number + 1000 * attempt
        random = np.random.default_rng(seed)
        state, groups = np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
        for kind, species in enumerate(task.filling):
            places = np.flatnonzero(cell.kinds == kind)
            state[places] = random.permutation(species)
            groups[places] = kind if len(set(species.tolist())) > 1 else -1
        steps = settings.sweeps * int((groups >= 0).sum()) * 4**attempt
        energy, pairs = anneal(task.matrix, task.excluded, task.charges, state, groups, steps, seed)
        if pairs < 0.5:
            return _result(task, state, energy, material_id)
    removed = _make_room(task, state)
    if removed > max(1, settings.adjust * int((state > 0).sum())):
        raise StructureError(
            "its sites exclude each other",
            why=f"{pairs:.0f} pairs of occupied sites are nearer than {EXCLUSION_A:g} A in the best arrangement",
            fix="Check the occupancies of split sites.",
            kind="NoArrangement",
        )
    charges = task.charges[state]
    return _result(task, state, float(0.5 * charges @ task.matrix @ charges), material_id)


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


def _excluded(cell: Cell) -> Flags:
    """Pairs of sites (n, n) that cannot both be occupied."""
    offsets = cell.positions[:, None] - cell.positions[None]
    distances = np.linalg.norm((offsets - np.round(offsets)) @ cell.lattice, axis=2)
    hydrogen = np.array(["H" in cell.shares[kind] for kind in cell.kinds])
    full = np.array([sum(cell.shares[kind].values()) >= 1.0 - FULL for kind in cell.kinds])
    limits = np.where(hydrogen[:, None] | hydrogen[None], HYDROGEN_EXCLUSION_A, EXCLUSION_A)
    near = (distances < limits) & ~(full[:, None] | full[None])  # there is no way around a full site
    np.fill_diagonal(near, False)
    return np.asarray(near)


def _result(task: Task, state: Ints, energy: float, material_id: str) -> Arrangement:
    from phonolyte.structures.crystal import Crystal

    kept = np.flatnonzero(state > 0)
    if not len(kept):
        raise StructureError("no site is occupied", fix="Check the occupancies.", kind="EmptyCell")
    species = [task.elements[place] for place in state[kept]]
    crystal = Crystal.of(material_id, task.cell.lattice, species, task.cell.positions[kept])
    wanted = _total(task.cell.shares[kind] for kind in task.cell.kinds.tolist())
    whole = {element: float(species.count(element)) for element in set(species)}
    return Arrangement(
        crystal,
        energy / len(kept) if task.is_charged else float("nan"),
        float(task.charges[state].sum()) if task.is_charged else float("nan"),
        _deviation(wanted, whole),
        _shortest(crystal),
    )


def _shortest(crystal: Crystal) -> float:
    from phonolyte.structures.neighbours import shortest_contact

    distance, i, _ = shortest_contact(crystal.lattice, crystal.frac_coords, 6.0)
    return float(distance) if i >= 0 else float("nan")


def _distinct(arrangements: Sequence[Arrangement]) -> list[Arrangement]:
    """The arrangements by energy, less those that repeat an earlier one."""
    ranked = sorted(arrangements, key=lambda each: each.energy_ev if each.energy_ev == each.energy_ev else 0.0)
    distinct: list[Arrangement] = []
    for each in ranked:
        if not any(abs(each.energy_ev - other.energy_ev) < 1e-6 for other in distinct):
            distinct.append(each)
    return distinct
