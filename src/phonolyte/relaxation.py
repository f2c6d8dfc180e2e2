"""Relaxation of many crystals by an engine, and their modes in a small supercell: what the model of relaxed cells uses.

Cells are then those of the engine's minimum and not of their source. The modes at the few wave vectors that fit into a
small supercell cost a fraction of phonons, and the model learns what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from phonolyte.columns import Column
from phonolyte.features.modes import MODES
from phonolyte.forces.cells import Clock, primitive_cell, relax
from phonolyte.phonons.workflow import PhononSettings, commensurate_modes, require_phonopy
from phonolyte.runs.calculation import Calculation, NextStep
from phonolyte.runs.campaign import run_campaign
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import Record
from phonolyte.structures import Crystal, Reading

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine
    from phonolyte.runs.run import Run


SMALL = 8
"""Primitive cells of up to so many atoms are multiplied until images are :data:`APART_A` apart; others stay alone."""

APART_A = 5.0


@dataclass(frozen=True, slots=True)
class RelaxationSettings:
    """How crystals are relaxed.

    Attributes
    ----------
    fmax_ev_a
        Largest force of a relaxed crystal, eV/angstrom (and stress times volume per atom, eV).
    max_steps
        Largest number of steps.
    limit_s
        Seconds after which a crystal is given up.
    """

    fmax_ev_a: float = 5e-3
    max_steps: int = 300
    limit_s: float = 600.0


@dataclass(frozen=True, slots=True)
class RelaxationCalculation(Calculation):
    """Relaxation of cell and positions in the primitive cell, keeping the symmetry.

    Attributes
    ----------
    engine
        Source of forces and stress.
    settings
        How crystals are relaxed.
    """

    engine: Engine
    settings: RelaxationSettings = field(default_factory=RelaxationSettings)

    name: ClassVar = "relaxation"
    title: ClassVar = "Relaxation"
    table: ClassVar = "relaxation.parquet"
    sort_by: ClassVar = "volume_change"
    columns: ClassVar = (
        Column("volume_change", "volume change", digits=3, shown=False, hint="Relative, by relaxation."),
        Column("mode_mean_mev", "mean mode", "meV", 1, shown=False, hint="Mean of the modes of a small supercell, but "
               "for its translations."),
        Column("mode_rms_mev", "rms mode", "meV", 1, shown=False, hint="Root of their mean square; imaginary ones "
               "count as negative squares."),
        Column("mode_atoms", "atoms of modes", shown=False, hint="Atoms in that supercell."),
    )  # fmt: skip

    axes: ClassVar = ("volume_change", "energy_ev_atom")
    next_step: ClassVar = NextStep("What is the cell of its minimum? Seconds with a machine-learned potential.")

    settings_kind: ClassVar = RelaxationSettings

    @classmethod
    def for_study(cls, ion: str, engine: Engine, settings: RelaxationSettings, limits: object) -> RelaxationCalculation:
        """Return the calculation of a study."""
        return cls(engine, settings)

    def check(self) -> None:
        """Refuse to begin without phonopy.

        Raises
        ------
        MissingExtraError
            When it is not installed.
        """
        require_phonopy()

    def decides(self) -> Mapping[str, object]:
        """Return engine and settings."""
        tolerances = {"fmax_ev_a": self.settings.fmax_ev_a, "max_steps": self.settings.max_steps}
        return {"engine": self.engine.name, "provenance": dict(self.engine.provenance), "settings": tolerances}

    @property
    def limit_s(self) -> float | None:
        """Seconds for one crystal."""
        return self.settings.limit_s

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Relax one crystal; the relaxed one keeps name, source and properties."""
        clock = Clock(self.settings.limit_s, crystal.material_id)
        start = primitive_cell(crystal)
        end = relax(
            start, self.engine, fmax_ev_a=self.settings.fmax_ev_a, max_steps=self.settings.max_steps, check=clock.check
        )
        energy = float(end.get_potential_energy()) / len(end)
        modes = modes_of(end, self.engine, clock)
        relaxed = Crystal.from_arrays(
            crystal.material_id, end.cell.array, end.get_chemical_symbols(), end.get_scaled_positions(),
            properties=crystal.properties, source=crystal.source, oxidation_states=crystal.oxidation_states,
        )  # fmt: skip
        row = {
            "material_id": crystal.material_id,
            "formula": crystal.formula,
            "engine": self.engine.name,
            "volume_change": end.get_volume() / start.get_volume() - 1.0,
            "energy_ev_atom": energy,
            **modes,
            "n_atoms": len(end),
            "seconds": clock.seconds,
        }
        return Record(row, crystal=relaxed)


def modes_of(relaxed: Atoms, engine: Engine, clock: Clock) -> dict[str, float]:
    """Mean, root mean square and lowest mode of a relaxed primitive cell in a small supercell, meV; and its atoms.

    The three translations of the supercell are left out of the means.
    """
    small = len(relaxed) <= SMALL
    settings = PhononSettings(min_length_a=APART_A) if small else PhononSettings(supercell=(1, 1, 1))
    modes = commensurate_modes(relaxed, engine, settings, clock)
    n = max(modes.size - 3, 1)
    return {
        "mode_mean_mev": float(modes.sum()) / n,
        "mode_rms_mev": math.sqrt(max(float((np.sign(modes) * modes**2).sum()) / n, 0.0)),
        "lowest_commensurate_mev": float(modes.min()),
        "mode_atoms": modes.size // 3,
    }


def relax_crystals(
    reading: Reading, engine: Engine, run: Run, *, executor: Executor | None = None, progress: OpenBar = no_bar
) -> Reading:
    """Relax what was read, each crystal a file in an open run folder, so that a killed run goes on.

    Parameters
    ----------
    reading
        Crystals; of a disordered one its representative is relaxed.
    engine
        Source of forces and stress.
    run
        Open run folder; receives ``relaxation.parquet`` and ``relaxed.parquet``.
    executor
        Executor of processes that share the file system; default: this process.
    progress
        Opens a bar.

    Returns
    -------
    Reading
        Relaxed crystals in their order; what does not relax is among the failures.

    Raises
    ------
    EngineError
        When the executor is lost.
    """
    crystals = {crystal.material_id: crystal for crystal in reading.crystals}
    with progress("Relaxation (atoms)", sum(map(len, crystals.values()))) as advance:
        outcome = run_campaign(
            RelaxationCalculation(engine), reading.crystals, run, executor=executor, progress=advance
        )
    modes = {row["material_id"]: {name: float(row[name]) for name in MODES} for row in outcome.table.to_dict("records")}
    relaxed = [
        replace(crystal, properties={**original.properties, **modes[crystal.material_id]}, source=original.source)
        for crystal in outcome.crystals
        if (original := crystals.get(crystal.material_id)) is not None
    ]
    return replace(reading, crystals=relaxed, failures=[*reading.failures, *outcome.failures])
