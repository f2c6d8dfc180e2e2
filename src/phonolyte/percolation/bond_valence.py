"""Bond-valence site energies of an ion in a framework, on a periodic grid (compiled).

An ion feels a Morse potential of every ion of opposite charge, and the screened Coulomb repulsion of every ion of its
own: H. Chen, L. L. Wong and S. Adams, Acta Cryst. B 75, 18 (2019), 10.1107/S2052520618015718. The energy is a sum over
the framework, so that sites which are partly occupied count by their occupancy.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import erfc

import numpy as np
from numba import njit

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.errors import StructureError

COULOMB_EV_A = 14.4
"""Energy of two elementary charges one angstrom apart, eV, as softBV has it."""

SCREENING = 0.74
"""Screening length in units of the sum of the covalent radii."""

BINS = 16384
"""Intervals, equal in the square of the distance, of the tables of energies."""

NEAREST_A = 0.1
"""Energies nearer than this are those at it: no ion gets so near."""

SPHERES_A = 6.0
"""How far spheres of ions are looked for."""


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
        Element and charge (elementary charges) of each.
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
    tables = np.array([_energies(ion, other, _distances(cutoff_a)) for other in different]).reshape(-1, BINS + 2)
    grid = np.zeros(shape)
    _spread(framework.lattice, framework.positions, kinds, framework.weights, tables, grid, cutoff_a, False)
    return grid


def free_radii(framework: Framework, shape: tuple[int, int, int]) -> Floats | None:
    """Distance of each point of a periodic grid from the nearest sphere of an ion, angstrom; None without radii.

    Spheres have the ionic radius of Shannon (10.1107/S0567739476001551), the mean over coordination numbers.
    """
    different, kinds = framework.kinds()
    radii = [_ionic_radius(element, charge) for element, charge in different]
    if not all(radii):
        return None
    tables = np.array([_distances(SPHERES_A) - radius for radius in radii]).reshape(-1, BINS + 2)
    grid = np.full(shape, SPHERES_A)
    _spread(framework.lattice, framework.positions, kinds, framework.weights, tables, grid, SPHERES_A, True)
    return grid


def _distances(cutoff_a: float) -> Floats:
    """Distances whose squares are equally spaced up to the cutoff, (BINS + 2,)."""
    return np.asarray(np.sqrt(np.arange(BINS + 2) * (cutoff_a**2 / BINS)))


def _energies(ion: tuple[str, int], other: tuple[str, float], distances: Floats) -> Floats:
    """Energy of two ions at some distances, eV."""
    distances = distances.clip(min=NEAREST_A)
    if ion[1] * other[1] < 0:
        r_min, alpha, depth = _pair(ion, other)
        return np.asarray(0.5 * depth * ((np.exp(alpha * (r_min - distances)) - 1.0) ** 2 - 1.0))
    if not other[1]:
        return np.zeros_like(distances)
    length = SCREENING * sum(_covalent_radius(element) for element in (ion[0], other[0]))
    strength = COULOMB_EV_A * ion[1] * other[1] / np.sqrt(_period(ion[0]) * _period(other[0]))
    return np.array([strength / r * erfc(r / length) for r in distances])


def _pair(ion: tuple[str, int], other: tuple[str, float]) -> tuple[float, float, float]:
    cation, anion = (ion, other) if ion[1] > 0 else (other, ion)
    known = parameters().get((cation[0], int(cation[1]), anion[0], int(anion[1])))
    if known is None or not float(other[1]).is_integer():
        raise StructureError(
            f"there are no bond-valence parameters for {_in_words(ion)} beside {_in_words(other)}",
            why="softBV has none",
            fix="Use --method neb.",
            kind="NoParameters",
        )
    return known


def _in_words(ion: tuple[str, float]) -> str:
    return f"{ion[0]}{abs(ion[1]):g}{'+' if ion[1] > 0 else '-'}"


def _covalent_radius(element: str) -> float:
    from ase.data import covalent_radii

    return float(covalent_radii[ATOMIC_NUMBERS[element]])


@cache
def _ionic_radius(element: str, charge: float) -> float:
    """Shannon's ionic radius, angstrom, the mean over coordination numbers and spins; 0 where there is none."""
    from pymatgen.core.periodic_table import Element

    known = (Element(element).data.get("Shannon radii") or {}).get(f"{charge:g}", {})
    radii = [entry["ionic_radius"] for by_spin in known.values() for entry in by_spin.values()]
    return float(np.mean(radii)) if radii else 0.0


def _period(element: str) -> int:
    from pymatgen.core.periodic_table import Element

    return Element(element).row


@njit(cache=True, nogil=True)
def _spread(
    lattice: Floats, positions: Floats, kinds: Ints, weights: Floats, tables: Floats, grid: Floats, cutoff: float,
    lowest: bool,
) -> None:  # fmt: skip
    """Add the values of tables around each ion to a periodic grid, or keep the lowest of them."""
    per_square = (tables.shape[1] - 2) / cutoff**2
    reach = cutoff * np.sqrt((np.linalg.inv(lattice) ** 2).sum(axis=0))  # in fractional coordinates
    nx, ny, nz = grid.shape
    step = lattice[2] / nz
    square_c = step @ step
    for atom in range(len(positions)):
        table, weight, f = tables[kinds[atom]], weights[atom], positions[atom]
        for ix in range(int(np.ceil((f[0] - reach[0]) * nx)), int(np.floor((f[0] + reach[0]) * nx)) + 1):
            for iy in range(int(np.ceil((f[1] - reach[1]) * ny)), int(np.floor((f[1] + reach[1]) * ny)) + 1):
                start = (ix / nx - f[0]) * lattice[0] + (iy / ny - f[1]) * lattice[1] - f[2] * lattice[2]
                along, square_a = start @ step, start @ start
                root = along * along - square_c * (square_a - cutoff * cutoff)  # of |start + k step| = cutoff
                if root <= 0.0:
                    continue
                first = int(np.ceil((-along - np.sqrt(root)) / square_c))
                last = int(np.floor((-along + np.sqrt(root)) / square_c))
                row, iz = grid[ix % nx, iy % ny], first % nz
                for k in range(first, last + 1):
                    place = (square_a + k * (2.0 * along + k * square_c)) * per_square
                    below = int(place)
                    value = table[below] + (place - below) * (table[below + 1] - table[below])
                    row[iz] = min(row[iz], value) if lowest else row[iz] + weight * value
                    iz = iz + 1 if iz + 1 < nz else 0
