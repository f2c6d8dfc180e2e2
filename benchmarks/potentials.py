"""Time of potentials on one core, and of Nequix and SevenNet beside their packages' own torch code.

Usage: python benchmarks/potentials.py ENGINE [OPTION=VALUE ...]

Energy, forces and stress of the same cells, whose atoms move a little between calls; the least of five calls counts.
An engine and its package compute in turns, in one process.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from record import keep

from phonolyte.forces import ENGINES, Engine, open_engine
from phonolyte.references import ordered_model

N_CALLS, FEWEST_ATOMS = 5, 50


def main() -> None:
    name, *options = sys.argv[1:]
    engine = open_engine(name, **dict(option.split("=", 1) for option in options))
    package = PACKAGES.get(name)
    calculators = [engine.calculator, *([package(engine)] if package else [])]
    result = {cell_name: compare(cell, calculators) for cell_name, cell in choose_cells().items()}
    keep(f"potentials-{name}", {"provenance": engine.provenance, "cells": result}, *ENGINES[name].packages)


def open_nequix(engine: Engine) -> Calculator:
    """Open the checkpoint of an engine Nequix with the model of its package as it is."""
    from nequix.torch_impl.model import load_model

    from phonolyte.forces.nequix import convert, path_of

    calculator = copy.copy(engine.calculator)
    file = convert(path_of(str(engine.opening.options["checkpoint"])))
    calculator.model = load_model(file, use_kernel=False)[0].eval().requires_grad_(False)
    return calculator


def open_sevennet(engine: Engine) -> Calculator:
    """Open the model of an engine SevenNet with the calculator of its package."""
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(model=engine.opening.options["model"], device="cpu")


PACKAGES: dict[str, Callable[[Engine], Calculator]] = {"nequix": open_nequix, "sevennet": open_sevennet}


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


def compare(cell: Atoms, calculators: list[Calculator]) -> dict[str, float | int]:
    """Time calculators on a cell, and compare the last forces of two."""
    seconds: list[list[float]] = [[] for _ in calculators]
    forces = [np.empty(0) for _ in calculators]
    for call in range(N_CALLS + 1):
        cell.rattle(0.001, seed=call)
        for number, calculator in enumerate(calculators):
            cell.calc = calculator
            start = time.perf_counter()
            forces[number] = cell.get_forces()
            seconds[number].append(time.perf_counter() - start)
    least, *package = (min(each[1:]) for each in seconds)  # the first call compiles
    result = {
        "n_atoms": len(cell),
        "seconds": round(least, 4),
        "milliseconds_an_atom": round(1000 * least / len(cell), 2),
    }
    if package:
        result |= {
            "package_seconds": round(package[0], 4), "ratio": round(package[0] / least, 2),
            "largest_difference_ev_a": float(f"{np.abs(forces[0] - forces[1]).max():.1e}"),
        }  # fmt: skip
    return result


if __name__ == "__main__":
    main()
