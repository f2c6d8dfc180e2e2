"""The sites of a crystal: positions, and the share of each element there, however its ions are listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import StructureError
from phonolyte.structures.checks import OVERFULL
from phonolyte.structures.crystal import Crystal, wrap

SAME_SITE_A = 0.1
"""Ions nearer than this share a site."""

EXCLUSION_A = 1.35
"""Sites nearer than this cannot both be occupied, unless full: no two heavy atoms bond at less in a salt."""

FULL = 1e-3
"""Share by which occupancies may miss 1 where the site counts as full."""


Kind = tuple[tuple[str, float], ...]
"""What makes sites equal: elements and their shares."""


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Sites of a cell.

    Attributes
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    positions
        (n, 3) fractional coordinates.
    shares
        Share of each element at each site, at most 1 together.
    groups
        Disorder group of each site, as a crystal has them; () where there are none.
    """

    lattice: Floats
    positions: Floats
    shares: tuple[Mapping[str, float], ...]
    groups: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, float]:
        """Atoms of each element in the cell."""
        return sum_shares(self.shares)

    @property
    def kinds(self) -> Ints:
        """Kind of each site (n,): sites with the same shares are of one kind."""
        keys: dict[Kind, int] = {}
        return np.array([keys.setdefault(_kind_of(share), len(keys)) for share in self.shares], dtype=np.int64)

    @property
    def kind_sizes(self) -> dict[Kind, int]:
        """Number of sites of each kind, in the order of the kinds."""
        return dict(Counter(map(_kind_of, self.shares)))

    @property
    def spglib_cell(self) -> tuple[Floats, Floats, Ints]:
        """Lattice, positions and kinds, from 1 on, as spglib takes them."""
        return self.lattice, self.positions, self.kinds + 1

    def in_cell(self, cell: tuple[Floats, Floats, Ints]) -> Sites:
        """The sites of another cell that spglib made of :attr:`spglib_cell`."""
        lattice, positions, kinds = cell
        shares = dict(zip(self.kinds.tolist(), self.shares, strict=True))
        return Sites(lattice, wrap(positions), tuple(shares[int(kind) - 1] for kind in kinds))


def _kind_of(share: Mapping[str, float]) -> Kind:
    return tuple(sorted((element, round(amount, 6)) for element, amount in share.items()))


def is_full(share: Mapping[str, float]) -> bool:
    """Whether nothing is left of a site."""
    return sum(share.values()) >= 1.0 - FULL


def sum_shares(shares: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Atoms of each element on sites with these shares."""
    total: dict[str, float] = {}
    for share in shares:
        for element, amount in share.items():
            total[element] = total.get(element, 0.0) + amount
    return total


def sites_of(crystal: Crystal) -> Sites:
    """The sites of a crystal: ions that share a position are one site.

    Raises
    ------
    StructureError
        When the occupancies of a site exceed 1.
    """
    if crystal.occupancies is None:
        return Sites(crystal.lattice, crystal.frac_coords, tuple({symbol: 1.0} for symbol in crystal.symbols))
    owners = _owners(crystal.lattice, crystal.frac_coords)
    shares: dict[int, dict[str, float]] = {}
    for place, symbol, occupancy in zip(owners, crystal.symbols, crystal.occupancies.tolist(), strict=True):
        share = shares.setdefault(place, {})
        share[symbol] = share.get(symbol, 0.0) + occupancy
    places = sorted(shares)
    groups = tuple(crystal.disorder_groups[place] for place in places) if crystal.disorder_groups else ()
    shares_of_sites = tuple(_at_most_full(shares[place], place) for place in places)
    return Sites(crystal.lattice, crystal.frac_coords[places], shares_of_sites, groups)


def _at_most_full(share: dict[str, float], place: int) -> Mapping[str, float]:
    total = sum(share.values())
    if total > 1.0 + OVERFULL:
        held = ", ".join(f"{element}:{amount:.3g}" for element, amount in share.items())
        raise StructureError(
            "a site is more than full",
            why=f"site {place + 1} holds {held}",
            fix="Correct the occupancies.",
            kind="BadOccupancy",
        )
    return {element: amount / total for element, amount in share.items()} if total > 1.0 else share


def _owners(lattice: Floats, positions: Floats) -> Sequence[int]:
    """For each ion the first one of those at its position; a chain of near ones is one position."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    pairs = cKDTree(positions, boxsize=1.0).query_pairs(min(0.49, SAME_SITE_A / heights.min()), output_type="ndarray")
    n = len(positions)
    if not len(pairs):
        return range(n)
    apart = positions[pairs[:, 0]] - positions[pairs[:, 1]]
    first, second = pairs[np.linalg.norm((apart - np.round(apart)) @ lattice, axis=1) < SAME_SITE_A].T
    n_sites, site = connected_components(
        coo_array((np.ones(len(first)), (first, second)), shape=(n, n)), directed=False
    )
    owner = np.full(n_sites, n)
    np.minimum.at(owner, site, np.arange(n))
    return [int(place) for place in owner[site]]
