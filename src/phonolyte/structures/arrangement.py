"""Electrostatic energies of many arrangements of ions over fixed sites: Ewald sums as a matrix, and Monte Carlo on it.

The energy of charges q at the sites is q A q / 2, where A is summed once (Ewald, Gaussian charges removed by a neutral
background). A swap of two ions then costs two columns of A instead of a sum over the crystal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import constants

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.structures.sorting import ascending
from phonolyte.units import KB_EV_K

EV_A: float = constants.e / (4 * math.pi * constants.epsilon_0) * 1e10
"""Energy of two elementary charges one angstrom apart, eV."""

ACCURACY = 1e-6
"""Relative size of what is left out of the two sums."""

SAME = 1e-4
"""Distance in angstrom below which two positions are one site."""

SAME_EV = 1e-4
"""Difference in energy below which two arrangements of a cell are equal, but for symmetry."""

BLOCK = 256
"""Rows of a matrix that is summed and not kept."""

PENALTY_EV = 50.0
"""Energy of two ions on sites that exclude each other."""

HOT_K, COLD_K = 20_000.0, 300.0
"""Temperatures between which the Monte Carlo cools."""


def ewald_matrix(lattice: Floats, rows: Floats, columns: Floats | None = None) -> Floats:
    """Matrix (m, n) of interactions of unit charges at sites of a crystal, eV.

    Parameters
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    rows
        (m, 3) fractional coordinates.
    columns
        (n, 3) fractional coordinates; default: those of the rows.

    Returns
    -------
    numpy.ndarray
        A: charges q (elementary charges, neutral in sum) at all sites have the energy q A q / 2.
    """
    columns = rows if columns is None else columns
    sums = _Sums.from_lattice(lattice, len(columns))
    real = _real_part(lattice, rows, columns, sums.eta, sums.cells, sums.reach)
    of_rows = sums.phases(rows)
    of_columns = of_rows if columns is rows else sums.phases(columns)
    return np.asarray(EV_A * (real + 2.0 * (of_rows @ of_columns.T) - sums.background))  # half of the waves


def ewald_energy(lattice: Floats, frac_coords: Floats, charges: Floats) -> float:
    """Energy of charges (elementary charges), neutral in sum or over a neutral background, eV."""
    if not len(charges):
        return 0.0
    sums = _Sums.from_lattice(lattice, len(charges))
    factors = charges @ sums.phases(frac_coords)
    real = 0.0
    for start in range(0, len(charges), BLOCK):
        rows = slice(start, start + BLOCK)
        near = _real_part(lattice, frac_coords[rows], frac_coords, sums.eta, sums.cells, sums.reach)
        real += float(charges[rows] @ near @ charges)
    return float(0.5 * EV_A * (real + 2.0 * factors @ factors - sums.background * charges.sum() ** 2))


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """What both sums of a cell need: width of the Gaussians (1/angstrom), reach and cells of the real sum, waves."""

    eta: float
    reach: float
    cells: Floats
    waves: Floats
    weights: Floats
    background: float

    @classmethod
    def from_lattice(cls, lattice: Floats, n: int) -> _Sums:
        volume = abs(np.linalg.det(lattice))
        eta = math.sqrt(math.pi) * (max(n, 1) / volume**2) ** (1 / 6) / 1.3
        accuracy = math.sqrt(-math.log(ACCURACY))
        waves = _waves(lattice, 2.0 * eta * accuracy)
        squares = np.einsum("ki,ki->k", waves @ _reciprocal(lattice), waves @ _reciprocal(lattice))
        weights = np.sqrt(4.0 * math.pi / volume * np.exp(-squares / (4.0 * eta**2)) / squares)
        reach = accuracy / eta
        return cls(eta, reach, _shifts(lattice, reach) @ lattice, waves, weights, math.pi / (volume * eta**2))

    def phases(self, frac_coords: Floats) -> Floats:
        """Weighted cosines and sines of all waves at positions, (n, 2 k)."""
        phases = 2.0 * math.pi * (frac_coords @ self.waves.T)
        return np.concatenate([np.cos(phases) * self.weights, np.sin(phases) * self.weights], axis=1)


def _reciprocal(lattice: Floats) -> Floats:
    return np.asarray(2.0 * math.pi * np.linalg.inv(lattice).T)


def _waves(lattice: Floats, reach: float) -> Floats:
    """Integer triples of one of each pair of opposite waves shorter than `reach`, 1/angstrom."""
    most = np.floor(reach * np.linalg.norm(lattice, axis=1) / (2.0 * math.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    first = (grid[:, 0] > 0) | ((grid[:, 0] == 0) & ((grid[:, 1] > 0) | ((grid[:, 1] == 0) & (grid[:, 2] > 0))))
    half = grid[first].astype(float)
    return half[np.linalg.norm(half @ _reciprocal(lattice), axis=1) <= reach]


def _shifts(lattice: Floats, reach: float) -> Floats:
    """Cells (k, 3) whose atoms can be nearer than `reach`, angstrom, to one whose offset lies within half a cell."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    most = np.floor(reach / heights + 0.5).astype(int)
    return np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3) * 1.0


@kernel
def _real_part(lattice: Floats, rows: Floats, columns: Floats, eta: float, cells: Floats, reach: float) -> Floats:
    """Sum of erfc(eta r) / r over images nearer than `reach`, less the energy of each Gaussian with itself."""
    total = np.zeros((len(rows), len(columns)))
    for i in range(len(rows)):
        for j in range(len(columns)):
            x, y, z = 0.0, 0.0, 0.0
            for axis in range(3):
                offset = rows[i, axis] - columns[j, axis]
                offset -= np.rint(offset)
                x += offset * lattice[axis, 0]
                y += offset * lattice[axis, 1]
                z += offset * lattice[axis, 2]
            for k in range(len(cells)):
                dx, dy, dz = x + cells[k, 0], y + cells[k, 1], z + cells[k, 2]
                square = dx * dx + dy * dy + dz * dz
                if square < SAME**2:
                    total[i, j] -= 2.0 * eta / math.sqrt(math.pi)
                elif square < reach * reach:
                    distance = math.sqrt(square)
                    total[i, j] += math.erfc(eta * distance) / distance
    return total


@kernel
def anneal(
    matrix: Floats,
    field: Floats,
    excluded: Any,
    charges: Floats,
    state: Ints,
    groups: Ints,
    known: Floats,
    steps: int,
    seed: int,
) -> tuple[float, float]:
    """Cool an arrangement by swaps within groups of sites; `state` becomes the best one that was met.

    Parameters
    ----------
    matrix
        (n, n) interactions of unit charges, eV.
    field
        (n,) potential of the ions that never change, volt.
    excluded
        (n, n) truth values: sites that cannot both be occupied.
    charges
        (s,) charge of each species, elementary charges; species 0 is a vacancy.
    state
        (n,) species of each site; changed in place.
    groups
        (n,) group of each site; ions are exchanged within a group only.
    known
        Energies (eV) of arrangements that do not count as the best, since they are known.
    steps
        Attempted swaps.
    seed
        Seed of the random numbers.

    Returns
    -------
    tuple
        Electrostatic energy of the best arrangement (eV), infinite where every one was known, and number of its pairs
        on sites that exclude each other.
    """
    np.random.seed(seed)
    n = len(state)
    q = np.empty(n)
    for i in range(n):
        q[i] = charges[state[i]]
    potential = field.copy()
    for i in range(n):
        for j in range(n):
            potential[i] += matrix[i, j] * q[j]
    crowd = np.zeros(n)
    for i in range(n):
        for j in range(n):
            if excluded[i, j] and state[j] > 0:
                crowd[i] += 1.0
    pairs = 0.0
    for i in range(n):
        if state[i] > 0:
            pairs += 0.5 * crowd[i]
    energy = 0.0
    for i in range(n):
        energy += 0.5 * q[i] * (potential[i] + field[i])
    best, best_energy, best_pairs = state.copy(), np.inf, pairs
    if not _is_known(energy, known):
        best_energy = energy
    ratio = (COLD_K / HOT_K) ** (1.0 / max(steps, 1))
    temperature = HOT_K * KB_EV_K
    by_group = ascending(groups * 1.0)  # sites of a group stand together
    first, size, begin = np.empty(n, np.int64), np.empty(n, np.int64), 0
    for at in range(n + 1):
        if at == n or groups[by_group[at]] != groups[by_group[begin]]:
            for k in range(begin, at):
                first[by_group[k]], size[by_group[k]] = begin, at - begin
            begin = at
    for _ in range(steps if n > 1 else 0):
        temperature *= ratio
        i = np.random.randint(n)
        j = by_group[first[i] + np.random.randint(size[i])]
        if state[i] == state[j]:
            continue
        di, dj = q[j] - q[i], q[i] - q[j]
        delta = (di * potential[i] + dj * potential[j] + 0.5 * (matrix[i, i] * di * di + matrix[j, j] * dj * dj)
                 + matrix[i, j] * di * dj)  # fmt: skip
        oi, oj = 1.0 if state[i] > 0 else 0.0, 1.0 if state[j] > 0 else 0.0
        change = 0.0
        if oi != oj:
            change = (oj - oi) * (crowd[i] - crowd[j])
            if excluded[i, j]:
                change -= 1.0  # the one that leaves was counted at the other
        if delta + PENALTY_EV * change > 0.0 and np.random.random() >= math.exp(
            -(delta + PENALTY_EV * change) / temperature
        ):
            continue
        state[i], state[j] = state[j], state[i]
        q[i] += di
        q[j] += dj
        energy += delta
        pairs += change
        for k in range(n):
            potential[k] += matrix[k, i] * di + matrix[k, j] * dj
        if oi != oj:
            for k in range(n):
                if excluded[k, i]:
                    crowd[k] += oj - oi
                if excluded[k, j]:
                    crowd[k] += oi - oj
        if energy + PENALTY_EV * pairs < best_energy + PENALTY_EV * best_pairs - 1e-9 and not _is_known(energy, known):
            best_energy, best_pairs = energy, pairs
            for k in range(n):
                best[k] = state[k]
    for k in range(n):
        state[k] = best[k]
    return best_energy, best_pairs


@kernel
def _is_known(energy: float, known: Floats) -> bool:
    for each in known:  # noqa: SIM110 (numba)
        if abs(each - energy) < SAME_EV:
            return True
    return False
