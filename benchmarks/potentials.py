"""Time of Nequix as Phonolyte computes it, beside the torch back end of its package, on one core.

Usage: python benchmarks/potentials.py [CHECKPOINT.nqx]

Both compute energy, forces and stress of the same cells in turns, in one process; the least of five calls counts.
"""

from __future__ import annotations

import copy
import sys
import time

import numpy as np
from ase import Atoms
from ase.build import bulk
from nequix.torch_impl.model import load_model
from record import keep

from phonolyte.forces.nequix import CHECKPOINT, convert, nequix, path_of
from phonolyte.references import ordered_model

N_CALLS, FEWEST_ATOMS = 5, 50


def main() -> None:
    checkpoint = sys.argv[1] if len(sys.argv) > 1 else CHECKPOINT
    ours = nequix(checkpoint).calculator
    theirs = copy.copy(ours)
    theirs.model = load_model(convert(path_of(checkpoint)), use_kernel=False)[0].eval().requires_grad_(False)
    keep("potentials", {name: compare(cell, ours, theirs) for name, cell in choose_cells().items()}, "torch", "nequix")


def choose_cells() -> dict[str, Atoms]:
    """Cells of at least 50 atoms, their atoms off their sites."""
    cells = {"NaCl": bulk("NaCl", "rocksalt", 5.64, cubic=True).repeat(2)}
    for name in ("ref-Li6PS5Cl", "ref-Li3PO4-Pnma", "ref-Li7La3Zr2O12"):
        cell = ordered_model(name).to_ase()
        while len(cell) < FEWEST_ATOMS:
            cell *= (1, 1, 2)
        cells[name] = cell
    for cell in cells.values():
        cell.rattle(0.02, seed=1)
    return cells


def compare(cell: Atoms, *calculators: object) -> dict[str, float | int]:
    """Time both calculators on a cell that moves a little between calls, and compare their last forces."""
    seconds: list[list[float]] = [[], []]
    forces = [np.empty(0), np.empty(0)]
    for call in range(N_CALLS + 1):
        cell.rattle(0.001, seed=call)
        for number, calculator in enumerate(calculators):
            cell.calc = calculator
            start = time.perf_counter()
            forces[number] = cell.get_forces()
            seconds[number].append(time.perf_counter() - start)
    ours, theirs = (min(each[1:]) for each in seconds)  # the first call compiles
    return {
        "n_atoms": len(cell), "seconds": round(ours, 4), "package_seconds": round(theirs, 4),
        "ratio": round(theirs / ours, 2), "milliseconds_an_atom": round(1000 * ours / len(cell), 2),
        "largest_difference_ev_a": float(f"{np.abs(forces[0] - forces[1]).max():.1e}"),
    }  # fmt: skip


if __name__ == "__main__":
    main()
