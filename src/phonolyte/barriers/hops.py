"""Hops of the mobile ion between its sites: those that symmetry distinguishes, and which of them join into a path."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import MigrationError

if TYPE_CHECKING:
    import networkx as nx
    from ase import Atoms

Carrier = Literal["vacancy", "interstitial"]

_VACANCY: Carrier = "vacancy"
_INTERSTITIAL: Carrier = "interstitial"

SAME_A = 0.01
"""Lengths that differ by less than this are equal, angstrom."""

AROUND_A = 6.0
"""How far around the middle of a hop atoms are compared to distinguish it from others of its length."""

BETWEEN_A = 0.7
"""Nearer than this to another site of the ion, away from both ends, a hop is two hops."""

CROSSING_A = 0.5
"""Nearer than this to the core of a framework atom, the straight line of a hop crosses the atom."""


class Edge(NamedTuple):
    """A hop from a site in the home cell to a site in the cell at `image`."""

    start: int
    end: int
    image: tuple[int, int, int]

    @property
    def reverse(self) -> Edge:
        """The way back."""
        x, y, z = self.image
        return Edge(self.end, self.start, (-x, -y, -z))


@dataclass(frozen=True, slots=True)
class Hop:
    """Hops that are alike by symmetry.

    Attributes
    ----------
    name
        Ion and length in angstrom, with a letter where others have the same: ``Li-2.29``, ``Li-3.24b``. It comes from
        the geometry, not from the order of atoms or the choice of the cell.
    edges
        All of them in the primitive cell, each in one direction: from sites of the one kind to sites of the other.
    length_a
        Length of the straight line, angstrom.
    clearance_a
        Distance of the straight line from the nearest framework atom, angstrom.
    nearest
        Symbol of that atom.
    """

    name: str
    edges: tuple[Edge, ...] = field(repr=False)
    length_a: float
    clearance_a: float
    nearest: str

    @property
    def edge(self) -> Edge:
        """The one that is computed."""
        return self.edges[0]

    @property
    def crosses(self) -> bool:
        """Whether the straight line goes through a framework atom."""
        return self.clearance_a < CROSSING_A


@dataclass(frozen=True, slots=True)
class Network:
    """Sites of the mobile ion in a primitive cell, and the hops between them.

    Attributes
    ----------
    ion
        Symbol of the mobile element.
    carrier
        What moves: ``"vacancy"`` when ions hop into an empty site, ``"interstitial"`` when one more hops between sites
        that are empty otherwise.
    sites
        Indices of its atoms in the cell.
    kinds
        For each of the sites the first one that symmetry maps it to.
    hops
        From short to long.
    """

    ion: str
    sites: tuple[int, ...]
    kinds: Mapping[int, int]
    hops: tuple[Hop, ...]
    carrier: Carrier = "vacancy"

    def dimensions(self, hops: Iterable[Hop]) -> int:
        """In how many dimensions some of the hops carry an ion through the crystal: 0 to 3."""
        return max((rank for _, rank in components(self.sites, hops)), default=0)

    def shortest(self) -> tuple[Hop, ...]:
        """The hops up to the length at which they percolate in as many dimensions as all of them do."""
        reached = self.dimensions(self.hops)
        n = next(n for n in range(len(self.hops) + 1) if self.dimensions(self.hops[:n]) == reached)
        return self.hops[:n]

    def named(self, name: str) -> Hop:
        """The hop of a name.

        Raises
        ------
        MigrationError
            When there is none.
        """
        for hop in self.hops:
            if hop.name == name:
                return hop
        raise MigrationError(
            f"there is no hop {name!r}", fix=f"Choose among {', '.join(hop.name for hop in self.hops)}."
        )


def find_hops(
    cell: Atoms,
    ion: str,
    *,
    interstitials: Floats | None = None,
    cutoff_a: float = 5.0,
    symprec_a: float = 0.01,
) -> Network:
    """The hops between neighboring sites of an ion, one for all that symmetry makes alike.

    A hop that passes another site of the ion is left out: it is made of two.

    Parameters
    ----------
    cell
        A primitive cell.
    ion
        Symbol of the mobile element.
    interstitials
        Fractional coordinates (n, 3) of empty sites, between which an additional ion hops; vacancies hop between the
        sites of the ion unless given.
    cutoff_a
        Longest hop, angstrom.
    symprec_a
        Tolerance of symmetry, angstrom.

    Raises
    ------
    MigrationError
        Without the ion, or with no hop up to the cutoff.
    """
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    ions = tuple(i for i, symbol in enumerate(cell.symbols) if symbol == ion)
    if not ions:
        raise MigrationError(
            f"{cell.symbols.formula} has no {ion}", fix="Name the mobile ion of this crystal.", kind="NoMobileIon"
        )
    sites, name, carrier = ions, ion, _VACANCY
    if interstitials is not None:
        sites, name, carrier = tuple(range(len(cell), len(cell) + len(interstitials))), f"{ion}i", _INTERSTITIAL
        cell = cell + Atoms(f"X{len(interstitials)}", scaled_positions=interstitials, cell=cell.cell)
    starts, ends, images = neighbor_list("ijS", cell, cutoff_a)
    members = set(sites)
    edges = [
        Edge(int(i), int(j), (int(s[0]), int(s[1]), int(s[2])))
        for i, j, s in zip(starts, ends, images, strict=True)
        if i in members and j in members
    ]
    direct = [edge for edge in edges if not _passes_a_site(cell, edge, sites)]
    if not direct:
        raise MigrationError(
            f"{ion} in {cell.symbols.formula} has no {'interstitial ' * (carrier != _VACANCY)}site to hop to",
            why=f"its sites are farther apart than {cutoff_a:g} angstrom",
            fix="Raise the cutoff.",
            kind="NoHop",
        )
    operations = _operations(cell, symprec_a)
    classes = _classes(direct, operations)
    return Network(ion, sites, _kinds(sites, operations), _name_classes(cell, name, sites, classes), carrier)


def components(sites: Sequence[int], hops: Iterable[Hop]) -> list[tuple[frozenset[int], int]]:
    """Sites that hops join, and the number of dimensions each such group extends in.

    A tree of hops gives every site of a group the cell it is reached in. A hop to a site in another cell than that is
    a period; the rank of all periods is the dimension.
    """
    import networkx as nx

    edges = [edge for hop in hops for edge in hop.edges]
    graph = nx.Graph()
    graph.add_nodes_from(sites)
    for edge in edges:
        graph.add_edge(edge.start, edge.end, edge=edge)
    return [(frozenset(group), _rank(graph, group, edges)) for group in nx.connected_components(graph)]


def _rank(graph: nx.Graph, group: Collection[int], edges: Sequence[Edge]) -> int:
    """How many periods of the lattice a group of sites has that do not depend on one another."""
    import networkx as nx

    first = min(group)
    cell = {first: np.zeros(3, int)}
    for start, end in nx.bfs_edges(graph, first):
        edge = graph.edges[start, end]["edge"]
        cell[end] = cell[start] + np.array(edge.image if edge.start == start else edge.reverse.image)
    periods = [cell[edge.start] + np.array(edge.image) - cell[edge.end] for edge in edges if edge.start in cell]
    return int(np.linalg.matrix_rank(np.array(periods))) if periods else 0


def percolation_threshold(
    network: Network, saddles_ev: Mapping[str, float], sites_ev: Mapping[int, float], dimensions: int = 1
) -> tuple[float, tuple[str, ...]]:
    """The barrier of the crystal: the lowest one over which hops join into a path through it.

    Parameters
    ----------
    network
        Sites and hops.
    saddles_ev
        Energy of the saddle of each hop that is known.
    sites_ev
        Energy of the vacancy at each kind of site, on the same scale.
    dimensions
        That the path must extend in.

    Returns
    -------
    tuple
        Highest saddle on the path above the lowest site it joins, in eV, and the names of the hops up to there;
        infinity and none where the known hops do not percolate.
    """
    known = sorted((hop for hop in network.hops if hop.name in saddles_ev), key=lambda hop: saddles_ev[hop.name])
    for n in range(1, len(known) + 1):
        for group, rank in components(network.sites, known[:n]):
            if rank >= dimensions:
                lowest = min(sites_ev[network.kinds[site]] for site in group)
                inside = tuple(hop.name for hop in known[:n] if any(edge.start in group for edge in hop.edges))
                return saddles_ev[known[n - 1].name] - lowest, inside
    return float("inf"), ()


def _operations(cell: Atoms, symprec_a: float) -> list[tuple[Ints, Ints, Ints]]:
    """For each symmetry operation its rotation, and for each atom the one it goes to and in which cell that lies."""
    import spglib

    coords = cell.get_scaled_positions(wrap=False)
    symmetry = spglib.get_symmetry((cell.cell.array, coords, cell.numbers), symprec=symprec_a)
    if symmetry is None:
        return [(np.eye(3, dtype=int), np.arange(len(cell)), np.zeros((len(cell), 3), int))]
    operations = []
    for rotation, translation in zip(symmetry["rotations"], symmetry["translations"], strict=True):
        moved = coords @ rotation.T + translation
        apart = moved[:, None] - coords[None]
        off = np.linalg.norm((apart - np.rint(apart)) @ cell.cell.array, axis=-1)
        target = np.where(cell.numbers[:, None] == cell.numbers, off, np.inf).argmin(axis=1)
        operations.append((rotation, target, np.rint(apart[np.arange(len(cell)), target]).astype(int)))
    return operations


def _classes(edges: Sequence[Edge], operations: Sequence[tuple[Ints, Ints, Ints]]) -> list[tuple[Edge, ...]]:
    """Edges that symmetry maps on one another, each taken in one direction only."""
    left, classes = dict.fromkeys(edges), []
    while left:
        first = next(iter(left))
        images = dict.fromkeys(_map_edge(first, *operation) for operation in operations)
        members: dict[Edge, None] = {}
        for edge in images:
            if edge.reverse not in members:
                members[edge] = None
            left.pop(edge, None)
            left.pop(edge.reverse, None)
        classes.append(tuple(members))
    return classes


def _map_edge(edge: Edge, rotation: Ints, target: Ints, cells: Ints) -> Edge:
    x, y, z = rotation @ np.array(edge.image) + cells[edge.end] - cells[edge.start]
    return Edge(int(target[edge.start]), int(target[edge.end]), (int(x), int(y), int(z)))


def _kinds(sites: Sequence[int], operations: Sequence[tuple[Ints, Ints, Ints]]) -> dict[int, int]:
    return {site: min(int(target[site]) for _, target, _ in operations) for site in sites}


def _line(cell: Atoms, edge: Edge) -> tuple[Floats, Floats]:
    start = cell.positions[edge.start]
    return start, cell.positions[edge.end] + np.array(edge.image) @ cell.cell.array - start


def _passes_a_site(cell: Atoms, edge: Edge, sites: Sequence[int]) -> bool:
    start, line = _line(cell, edge)
    off, along = _off_the_line(cell, start, line, sites)
    inside = (along * np.linalg.norm(line) > BETWEEN_A) & ((1 - along) * np.linalg.norm(line) > BETWEEN_A)
    return bool((inside & (off < BETWEEN_A)).any())


def _off_the_line(cell: Atoms, start: Floats, line: Floats, atoms: Sequence[int]) -> tuple[Floats, Floats]:
    """Distances of atoms and their images from a straight line, and where along it (0 to 1) they are nearest."""
    reach = float(np.linalg.norm(line)) / 2 + AROUND_A
    points = _list_near(cell, start + line / 2, reach, atoms)[0] - start
    along = np.clip(points @ line / (line @ line), 0.0, 1.0)
    return np.linalg.norm(points - along[:, None] * line, axis=1), along


def _list_near(cell: Atoms, center: Floats, radius_a: float, atoms: Sequence[int]) -> tuple[Floats, Ints]:
    """Positions of atoms and their images within a radius of a point, and which atoms they are."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell.cell.array), axis=0)
    home = np.floor(center @ np.linalg.inv(cell.cell.array))
    reach = np.ceil(radius_a / heights).astype(int) + 1
    shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    wrapped = cell.get_scaled_positions(wrap=True)[list(atoms)]
    positions = ((wrapped[:, None] + (home + shifts)[None]) @ cell.cell.array).reshape(-1, 3)
    near = np.linalg.norm(positions - center, axis=1) <= radius_a
    return positions[near], np.repeat(np.array(atoms), len(shifts))[near]


def _name_classes(cell: Atoms, name: str, sites: Sequence[int], classes: Sequence[tuple[Edge, ...]]) -> tuple[Hop, ...]:
    """Name the classes by length, and those of one length by what lies around their middle."""
    keyed = sorted(((*_key(cell, edges[0]), edges) for edges in classes), key=lambda key: key[:2])
    groups: list[list[tuple[float, tuple[float, ...], tuple[Edge, ...]]]] = []
    for each in keyed:
        if groups and each[0] - groups[-1][-1][0] < SAME_A:
            groups[-1].append(each)
        else:
            groups.append([each])
    hops = []
    for group in groups:
        letters = _letters(len(group))
        mean = sum(length for length, *_ in group) / len(group)
        for letter, (length, _, edges) in zip(letters, sorted(group, key=lambda each: each[1]), strict=True):
            start, line = _line(cell, edges[0])
            framework = [i for i in range(len(cell)) if i not in sites]
            clearance, nearest = _clearance(cell, start, line, framework)
            hops.append(Hop(f"{name}-{mean:.2f}{letter}", edges, length, clearance, nearest))
    return tuple(hops)


def _letters(n: int) -> list[str]:
    if n == 1:
        return [""]
    return [ascii_lowercase[i] if i < 26 else f"{ascii_lowercase[i % 26]}{i // 26}" for i in range(n)]


def _key(cell: Atoms, edge: Edge) -> tuple[float, tuple[float, ...]]:
    """Length, and distances and kinds of atoms around the middle, nearest first: the same for all hops alike."""
    start, line = _line(cell, edge)
    middle = start + line / 2
    positions, atoms = _list_near(cell, middle, AROUND_A, range(len(cell)))
    distances = np.round(np.linalg.norm(positions - middle, axis=1), 2)
    numbers = cell.numbers[atoms]
    order = np.lexsort((numbers, distances))
    around = np.stack((distances[order], numbers[order]), axis=1).ravel()
    return round(float(np.linalg.norm(line)), 6), tuple(around.tolist())


def _clearance(cell: Atoms, start: Floats, line: Floats, framework: Sequence[int]) -> tuple[float, str]:
    if not framework:
        return float("inf"), ""
    positions, atoms = _list_near(cell, start + line / 2, float(np.linalg.norm(line)) / 2 + AROUND_A, framework)
    along = np.clip((positions - start) @ line / (line @ line), 0.0, 1.0)
    off = np.linalg.norm(positions - start - along[:, None] * line, axis=1)
    nearest = int(off.argmin())
    return float(off[nearest]), str(cell.symbols[int(atoms[nearest])])
