"""Electrostatic energies of many arrangements of ions over fixed sites: Ewald sums as a matrix, and Monte Carlo on it.

The energy of charges q at the sites is q A q / 2, where A is summed once (Ewald, Gaussian charges removed by a neutral
background). A swap of two ions then costs two columns of A instead of a sum over the crystal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from scipy import constants, special

from phonolyte.arrays import Floats, Ints
from phonolyte.units import KB_EV_K

EV_A: float = constants.e / (4 * math.pi * constants.epsilon_0) * 1e10
"""Energy of two elementary charges one angstrom apart, eV."""

ACCURACY = 1e-6
"""Relative size of what is left out of the two sums."""

PENALTY_EV = 50.0
"""Energy of two ions on sites that exclude each other."""

HOT_K, COLD_K = 20_000.0, 300.0
"""Temperatures between which the Monte Carlo cools."""


def ewald_matrix(lattice: Floats, frac_coords: Floats) -> Floats:
    """Matrix (n, n) of interactions of unit charges at sites of a crystal, eV.

    Parameters
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    frac_coords
        (n, 3) fractional coordinates.

    Returns
    -------
    numpy.ndarray
        Symmetric A: charges q (elementary charges, neutral in sum) have the energy q A q / 2.
    """
    volume = abs(np.linalg.det(lattice))
    n = len(frac_coords)
    eta = math.sqrt(math.pi) * (max(n, 1) / volume**2) ** (1 / 6) / 1.3
    reach = math.sqrt(-math.log(ACCURACY))
    real = _real_part(lattice, frac_coords, eta, reach / eta)
    waves = _waves(lattice, 2.0 * eta * reach)
    squares = np.einsum("ki,ki->k", waves @ _reciprocal(lattice), waves @ _reciprocal(lattice))
    weights = np.sqrt(4.0 * math.pi / volume * np.exp(-squares / (4.0 * eta**2)) / squares)
    phases = 2.0 * math.pi * (frac_coords @ waves.T)
    parts = np.concatenate([np.cos(phases) * weights, np.sin(phases) * weights], axis=1)
    matrix = real + 2.0 * (parts @ parts.T)  # half of the waves
    matrix[np.diag_indices(n)] -= 2.0 * eta / math.sqrt(math.pi)
    return np.asarray(EV_A * (matrix - math.pi / (volume * eta**2)))


def _reciprocal(lattice: Floats) -> Floats:
    return np.asarray(2.0 * math.pi * np.linalg.inv(lattice).T)


def _waves(lattice: Floats, reach: float) -> Floats:
    """Integer triples of one of each pair of opposite waves shorter than `reach`, 1/angstrom."""
    most = np.floor(reach * np.linalg.norm(lattice, axis=1) / (2.0 * math.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    first = (grid[:, 0] > 0) | ((grid[:, 0] == 0) & ((grid[:, 1] > 0) | ((grid[:, 1] == 0) & (grid[:, 2] > 0))))
    half = grid[first].astype(float)
    return half[np.linalg.norm(half @ _reciprocal(lattice), axis=1) <= reach]


def _real_part(lattice: Floats, frac_coords: Floats, eta: float, reach: float) -> Floats:
    """Sum of erfc(eta r) / r over images nearer than `reach`, angstrom."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    most = np.ceil(reach / heights + 0.5).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    offsets = frac_coords[:, None] - frac_coords[None]
    offsets -= np.round(offsets)
    total = np.zeros(offsets.shape[:2])
    for shift in shifts.astype(float):
        distance = np.linalg.norm((offsets + shift) @ lattice, axis=2)
        inside = (distance < reach) & (distance > 1e-8)
        total[inside] += special.erfc(eta * distance[inside]) / distance[inside]
    return total


@njit(cache=True, nogil=True)
def anneal(
    matrix: Floats,
    excluded: Any,
    charges: Floats,
    state: Ints,
    groups: Ints,
    steps: int,
    seed: int,
) -> tuple[float, float]:
    """Cool an arrangement by swaps within groups of sites; `state` becomes the best one that was met.

    Parameters
    ----------
    matrix
        (n, n) interactions of unit charges, eV.
    excluded
        (n, n) truth values: sites that cannot both be occupied.
    charges
        (s,) charge of each species, elementary charges; species 0 is a vacancy.
    state
        (n,) species of each site; changed in place.
    groups
        (n,) group of each site; ions are exchanged within a group only; negative where a site never changes.
    steps
        Attempted swaps.
    seed
        Seed of the random numbers.

    Returns
    -------
    tuple
        Electrostatic energy of the best arrangement (eV), and number of its pairs on sites that exclude each other.
    """
    np.random.seed(seed)
    n = len(state)
    active = np.flatnonzero(groups >= 0)
    q = np.empty(n)
    for i in range(n):
        q[i] = charges[state[i]]
    potential = matrix @ q
    crowd = np.zeros(n)
    for i in range(n):
        for j in range(n):
            if excluded[i, j] and state[j] > 0:
                crowd[i] += 1.0
    pairs = 0.0
    for i in range(n):
        if state[i] > 0:
            pairs += 0.5 * crowd[i]
    energy = 0.5 * np.dot(q, potential)
    best, best_energy, best_pairs = state.copy(), energy, pairs
    ratio = (COLD_K / HOT_K) ** (1.0 / max(steps, 1))
    temperature = HOT_K * KB_EV_K
    for _ in range(steps if len(active) > 1 else 0):
        temperature *= ratio
        i, j = active[np.random.randint(len(active))], active[np.random.randint(len(active))]
        if groups[i] != groups[j] or state[i] == state[j]:
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
        if energy + PENALTY_EV * pairs < best_energy + PENALTY_EV * best_pairs - 1e-9:
            best[:], best_energy, best_pairs = state, energy, pairs
    state[:] = best
    return best_energy, best_pairs
