"""Bond-valence site energies of an ion in a framework, on a periodic grid (compiled).

An ion feels a Morse potential of every ion of opposite charge, and the screened Coulomb repulsion of every ion of its
own: H. Chen, L. L. Wong and S. Adams, Acta Cryst. B 75, 18 (2019), 10.1107/S2052520618015718. The energy is a sum over
the framework, so that sites which are partly occupied count by their occupancy.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from math import floor

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.compiling import kernel
from phonolyte.errors import StructureError
from phonolyte.structures.neighbors import reciprocal_lattice

COULOMB_EV_A = 14.4
"""Energy of two elementary charges one angstrom apart, eV, as softBV has it."""

SCREENING = 0.74
"""Screening length in units of the sum of the covalent radii."""

BINS = 16384
"""Intervals, equal in the square of the distance, of the tables of energies."""

NEAREST_A = 0.1
"""Energies nearer than this are those at it: no ion gets so near."""

SPHERES_A = (4.0, 6.0)
"""How far spheres of ions are looked for; the second only where the first leaves a nearest one uncertain."""

FELT_EV = 1e-9
"""Ions are felt up to where they have this energy at most, if that is nearer than the cutoff."""

TABLES = 256
"""Tables of energies that are held in memory, 130 kB each."""

MOSTLY = 0.5
"""Share of the ions of an element that parameters or radii have to be known for, where they have a mean charge."""


@dataclass(frozen=True, slots=True, eq=False)
class Framework:
    """The ions of a crystal among which another one moves.

    Attributes
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    positions
        (n, 3) fractional coordinates.
    ions
        Element and charge (elementary charges) of each; a charge between two whole ones is the mean of such ions.
    weights
        (n,) occupancies.
    """

    lattice: Floats
    positions: Floats
    ions: Sequence[tuple[str, float]]
    weights: Floats

    def kinds(self) -> tuple[list[tuple[str, float]], Ints]:
        """The different ions, and which of them each is (n,)."""
        different = list(dict.fromkeys(self.ions))
        return different, np.array([different.index(ion) for ion in self.ions], dtype=np.int64)


@cache
def parameters() -> Mapping[tuple[str, int, str, int], tuple[float, float, float]]:
    """Distance of the minimum (angstrom), steepness (1/angstrom) and depth (eV) of each pair of cation and anion."""
    text = (files("phonolyte") / "data" / "bond_valence.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        (row["cation"], int(row["cation_charge"]), row["anion"], int(row["anion_charge"])): (
            float(row["r_min"]), float(row["alpha"]), float(row["d0"]),
        )
        for row in rows
    }  # fmt: skip


@cache
def partners(symbol: str) -> frozenset[str]:
    """Elements whose ions have parameters beside an ion of an element; empty for one without any."""
    pairs = [(cation, anion) for cation, _, anion, _ in parameters()]
    return frozenset(other for pair in pairs for first, other in (pair, pair[::-1]) if first == symbol)


def site_energies(framework: Framework, ion: tuple[str, int], shape: tuple[int, int, int], cutoff_a: float) -> Floats:
    """Energies of an ion on a periodic grid, eV.

    Parameters
    ----------
    framework
        All ions but those of the mobile element.
    ion
        Element and charge of the mobile ion.
    shape
        Points along each lattice vector.
    cutoff_a
        How far ions are felt, angstrom.

    Raises
    ------
    StructureError
        Without parameters for an ion of opposite charge.
    """
    different, kinds = framework.kinds()
    pairs = [_table(ion, other, cutoff_a) for other in different]
    tables = np.array([energies for energies, _ in pairs]).reshape(-1, BINS + 2)
    reaches = np.array([reach for _, reach in pairs])
    grid = np.zeros(shape)
    _add(framework.lattice, framework.positions, kinds, framework.weights, tables, reaches, cutoff_a, grid)
    return grid


def free_radii(framework: Framework, shape: tuple[int, int, int]) -> Floats | None:
    """Distance of each point of a periodic grid from the nearest sphere of an ion, angstrom; None without radii.

    Spheres have the ionic radius of Shannon (10.1107/S0567739476001551), the mean over coordination numbers.
    """
    different, kinds = framework.kinds()
    radii = np.array([_ionic_radius(element, charge) for element, charge in different])
    if not radii.all():
        return None
    grid = np.empty(shape)
    for reach in SPHERES_A:
        grid[:] = reach
        _keep_nearest(framework.lattice, framework.positions, radii[kinds], reach, grid)
        if grid.max() <= reach - radii.max(initial=0.0):
            break
    return grid


@lru_cache(maxsize=TABLES)
def _table(ion: tuple[str, int], other: tuple[str, float], cutoff_a: float) -> tuple[Floats, float]:
    """Energies of two ions at distances whose squares are equally spaced (BINS + 2,), and how far they are felt."""
    distances = np.sqrt(np.arange(BINS + 2) * (cutoff_a**2 / BINS))
    energies = _energies(ion, other, distances.clip(min=NEAREST_A))
    energies.flags.writeable = False  # it is shared
    felt = distances[np.abs(energies) > FELT_EV].max(initial=0.0)
    return energies, min(cutoff_a, float(felt))


def _energies(ion: tuple[str, int], other: tuple[str, float], distances: Floats) -> Floats:
    """Energy of two ions at some distances, eV."""
    if ion[1] * other[1] < 0:
        return sum((share * _morse(*pair, distances) for share, pair in _pairs(ion, other)), np.zeros_like(distances))
    from scipy.special import erfc

    length = SCREENING * sum(_covalent_radius(element) for element in (ion[0], other[0]))
    strength = COULOMB_EV_A * ion[1] * other[1] / np.sqrt(_period(ion[0]) * _period(other[0]))
    return np.asarray(strength / distances * erfc(distances / length))


def _morse(r_min: float, alpha: float, depth: float, distances: Floats) -> Floats:
    return np.asarray(0.5 * depth * ((np.exp(alpha * (r_min - distances)) - 1.0) ** 2 - 1.0))


def _pairs(ion: tuple[str, int], other: tuple[str, float]) -> list[tuple[float, tuple[float, float, float]]]:
    """Parameters of an ion beside the ions of a mean charge, with their shares; those without parameters are left out.

    Raises
    ------
    StructureError
        Without parameters for most of them.
    """
    pairs = []
    for state, share in _whole(other[1]).items():
        cation, anion = (ion, (other[0], state)) if ion[1] > 0 else ((other[0], state), ion)
        if (pair := parameters().get((*cation, *anion))) is not None:
            pairs.append((share, pair))
    total = sum(share for share, _ in pairs)
    if total < MOSTLY:
        raise StructureError(
            f"there are no bond-valence parameters for {_in_words(ion)} beside {_in_words(other)}",
            why="softBV has none",
            fix="Use --method neb.",
            kind="NoParameters",
        )
    return [(share / total, pair) for share, pair in pairs]


def _whole(charge: float) -> dict[int, float]:
    """The whole charges next to a mean one, with their shares."""
    below = floor(charge)
    return {below: 1.0 - (charge - below), below + 1: charge - below} if charge != below else {below: 1.0}


def _in_words(ion: tuple[str, float]) -> str:
    return f"{ion[0]}{abs(ion[1]):.3g}{'+' if ion[1] > 0 else '-'}"


def _covalent_radius(element: str) -> float:
    from ase.data import covalent_radii

    return float(covalent_radii[ATOMIC_NUMBERS[element]])


@cache
def _ionic_radius(element: str, charge: float) -> float:
    """Shannon's ionic radius, angstrom, between those of the charges that he has; 0 where there is none near."""
    radii = {state: radius for state, radius in _shannon(element).items() if state * charge > 0}
    if not radii or not min(radii) - MOSTLY <= charge <= max(radii) + MOSTLY:
        return 0.0
    states = sorted(radii)
    return float(np.interp(charge, states, [radii[state] for state in states]))


@cache
def _shannon(element: str) -> dict[int, float]:
    """Shannon's ionic radius of each charge, angstrom, the mean over coordination numbers and spins."""
    from pymatgen.core.periodic_table import Element

    table = Element(element).data.get("Shannon radii") or {}
    entries = {
        int(charge): [entry["ionic_radius"] for by_spin in by_number.values() for entry in by_spin.values()]
        for charge, by_number in table.items()
        if charge  # europium has a line without one
    }
    return {charge: float(np.mean(radii)) for charge, radii in entries.items()}


@cache
def _period(element: str) -> int:
    from pymatgen.core.periodic_table import Element

    return Element(element).row


@kernel(error_model="numpy")
def _add(
    lattice: Floats, positions: Floats, kinds: Ints, weights: Floats, tables: Floats, reaches: Floats, cutoff: float,
    grid: Floats,
) -> None:  # fmt: skip
    """Add the values of tables around each ion to a periodic grid, row by row."""
    per_square = (tables.shape[1] - 2) / cutoff**2
    nx, ny, nz = grid.shape
    step = lattice[2] / nz
    square_c = step @ step * per_square
    inverse = _plane_densities(lattice)
    for atom in range(len(positions)):
        table, weight, f = tables[kinds[atom]], weights[atom], positions[atom]
        reach = reaches[kinds[atom]]
        for ix in range(*_span(f[0], reach * inverse[0], nx)):
            for iy in range(*_span(f[1], reach * inverse[1], ny)):
                square_a, along, first, last = _chord(lattice, f, ix / nx, iy / ny, step, reach)
                row, iz = grid[ix % nx, iy % ny], first % nz
                square_a *= per_square
                along *= 2.0 * per_square
                while first <= last:  # piece by piece of the row, each in one cell
                    count = min(last + 1 - first, nz - iz)
                    for k in range(count):
                        at = float(first + k)
                        place = square_a + at * (along + at * square_c)
                        below = np.int32(place)
                        row[iz + k] += weight * (table[below] + (place - below) * (table[below + 1] - table[below]))
                    first += count
                    iz = 0


@kernel
def _plane_densities(lattice: Floats) -> Floats:
    """Inverse distances (3,) of the planes of a lattice."""
    inverse, reciprocal = np.empty(3), reciprocal_lattice(lattice)
    for axis in range(3):
        inverse[axis] = np.sqrt(reciprocal[0, axis] ** 2 + reciprocal[1, axis] ** 2 + reciprocal[2, axis] ** 2)
    return inverse


@kernel(error_model="numpy")
def _keep_nearest(lattice: Floats, positions: Floats, radii: Floats, reach: float, grid: Floats) -> None:
    """Lower the values of a periodic grid to the distance from the sphere of each ion, where that is nearer."""
    nx, ny, nz = grid.shape
    step = lattice[2] / nz
    square_c = step @ step
    inverse = _plane_densities(lattice)
    for atom in range(len(positions)):
        f, radius = positions[atom], radii[atom]
        for ix in range(*_span(f[0], reach * inverse[0], nx)):
            for iy in range(*_span(f[1], reach * inverse[1], ny)):
                square_a, along, first, last = _chord(lattice, f, ix / nx, iy / ny, step, reach)
                row, iz = grid[ix % nx, iy % ny], first % nz
                while first <= last:
                    count = min(last + 1 - first, nz - iz)
                    for k in range(count):
                        at = float(first + k)
                        square = square_a + at * (2.0 * along + at * square_c)
                        row[iz + k] = min(row[iz + k], np.sqrt(max(square, 0.0)) - radius)
                    first += count
                    iz = 0


@kernel
def _span(middle: float, reach: float, n: int) -> tuple[int, int]:
    """First point of an axis within reach, in fractions of the cell, and the one after the last."""
    return int(np.ceil((middle - reach) * n)), int(np.floor((middle + reach) * n)) + 1


@kernel
def _chord(lattice: Floats, f: Floats, x: float, y: float, step: Floats, reach: float) -> tuple[float, float, int, int]:
    """Where the row of the grid through fractions (x, y, 0) is within reach of an ion.

    The square of the distance of point k from the ion is a + 2 b k + c k^2, with c that of a step: returned are a, b,
    and the first and the last point within reach.
    """
    square_a, along, square_c = 0.0, 0.0, 0.0
    for axis in range(3):
        start = (x - f[0]) * lattice[0, axis] + (y - f[1]) * lattice[1, axis] - f[2] * lattice[2, axis]
        square_a += start * start
        along += start * step[axis]
        square_c += step[axis] * step[axis]
    root = along * along - square_c * (square_a - reach * reach)
    if root <= 0.0:
        return square_a, along, 0, -1
    root = np.sqrt(root)
    return square_a, along, int(np.ceil((-along - root) / square_c)), int(np.floor((-along + root) / square_c))
