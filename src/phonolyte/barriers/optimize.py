"""Optimizers of ASE with errors of ours, over a calculator that computes nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from phonolyte.errors import EngineError, PhonolyteError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from phonolyte.forces import Engine

LONGEST_STEP_A = 0.1
"""Longest step of an atom, angstrom."""


class Step(NamedTuple):
    """Where an optimization stands."""

    number: int
    done: bool


def run_steps(optimizer: Any, fmax_ev_a: float, most: int, engine: Engine) -> Iterator[Step]:
    """The steps of an optimizer, the state before the first one included, with errors of ours."""
    try:
        for number, done in enumerate(optimizer.irun(fmax=fmax_ev_a, steps=most)):
            yield Step(number, bool(done))
    except PhonolyteError:
        raise
    except Exception as error:  # a foreign engine can raise anything
        raise EngineError(f"{engine.name} failed", why=str(error).split("\n")[0]) from error


def remember(calculator: Calculator) -> Calculator:
    """A calculator of one image over the one of all: what it has computed is not computed again.

    Optimizers request the forces of an NEB path several times a step. Numbers that are not finite are an error here.
    """
    from ase.calculators.calculator import Calculator, all_changes

    class Remembering(Calculator):  # type: ignore[misc]
        implemented_properties = ("energy", "forces")

        def calculate(
            self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            forces = np.array(calculator.get_forces(self.atoms), dtype=float)
            energy = float(calculator.get_potential_energy(self.atoms))
            if not (np.isfinite(energy) and np.isfinite(forces).all()):
                raise EngineError(
                    "the engine gives energies or forces that are not finite",
                    fix="Look at the path, or try another engine.",
                )
            self.results = {"energy": energy, "forces": forces}

    return Remembering()
