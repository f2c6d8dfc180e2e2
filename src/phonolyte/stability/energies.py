"""Total energies of many crystals by an engine: of candidates and of the phases that they compete with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from phonolyte.columns import Column
from phonolyte.errors import EngineError, PhonolyteError, SettingsError, first_line
from phonolyte.forces.cells import Clock, primitive_cell, relax_steps
from phonolyte.runs.calculation import Calculation, NextStep
from phonolyte.runs.records import Record
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine


@dataclass(frozen=True, slots=True)
class EnergySettings:
    """How energies are computed.

    Attributes
    ----------
    static
        Whether crystals are computed as they are given instead of relaxed.
    fmax_ev_a
        Largest force of a relaxed crystal, eV/angstrom (and stress times volume per atom, eV).
    max_steps
        Largest number of steps of a relaxation; where it does not converge, its last energy counts, which is an upper
        bound, and `converged` says so.
    limit_s
        Seconds after which a crystal is given up.
    """

    static: Annotated[bool, "Take crystals as they are instead of relaxing them."] = False
    fmax_ev_a: Annotated[float, "Largest force of a relaxed crystal, eV/angstrom."] = 0.02
    max_steps: Annotated[int, "Largest number of steps of a relaxation."] = 100
    limit_s: Annotated[float, "Seconds for one crystal."] = 600.0

    def __post_init__(self) -> None:
        for name in ("fmax_ev_a", "max_steps", "limit_s"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a positive number.")


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """Energy of one crystal.

    Attributes
    ----------
    cell
        Primitive cell, relaxed unless the settings are static.
    energy_ev_atom
        Energy of that cell, eV/atom.
    static_ev_atom
        Energy of the cell as given, eV/atom.
    volume_change
        Relative change of the volume by the relaxation.
    converged
        Whether forces are below the threshold; None for a static energy.
    """

    cell: Atoms
    energy_ev_atom: float
    static_ev_atom: float
    volume_change: float = 0.0
    converged: bool | None = None

    def crystal_of(self, crystal: Crystal) -> Crystal:
        """Return the cell as a crystal with name, source and properties of the one that was given."""
        return Crystal.from_arrays(
            crystal.material_id, self.cell.cell.array, self.cell.get_chemical_symbols(),
            self.cell.get_scaled_positions(), properties=crystal.properties, source=crystal.source,
            oxidation_states=crystal.oxidation_states,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class EnergyCalculation(Calculation):
    """Total energies of crystals by an engine.

    Attributes
    ----------
    engine
        Source of energies, forces and stress.
    settings
        How energies are computed.
    """

    engine: Engine
    settings: EnergySettings = field(default_factory=EnergySettings)

    name: ClassVar = "energies"
    title: ClassVar = "Energies"
    table: ClassVar = "energies.parquet"
    sort_by: ClassVar = "energy_ev_atom"
    columns: ClassVar = (
        Column("static_ev_atom", "energy as given", "eV/atom", 4, shown=False, hint="Energy of the cell as given."),
    )
    axes: ClassVar = ("energy_ev_atom", "static_ev_atom")
    next_step: ClassVar = NextStep("What is its energy?")
    settings_kind: ClassVar = EnergySettings

    def decides(self) -> Mapping[str, object]:
        """Return engine and settings."""
        return decisions(self.engine, self.settings)

    def check(self) -> None:
        """Let every crystal be computed: nothing concerns all of them."""
        return

    @classmethod
    def for_study(cls, ion: str, engine: Engine, settings: EnergySettings, limits: object) -> EnergyCalculation:
        """Return the calculation of a study."""
        return cls(engine, settings)

    @property
    def limit_s(self) -> float | None:
        """Seconds for one crystal."""
        return self.settings.limit_s

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Compute the energy of one crystal."""
        clock = Clock(self.settings.limit_s, crystal.material_id)
        energy = compute_energy(crystal, self.engine, self.settings, clock)
        row = {
            "material_id": crystal.material_id,
            "formula": crystal.formula,
            "engine": self.engine.name,
            "energy_ev_atom": energy.energy_ev_atom,
            "static_ev_atom": energy.static_ev_atom,
            "volume_change": energy.volume_change,
            "converged": energy.converged,
            "n_atoms": len(energy.cell),
            "seconds": clock.seconds,
        }
        return Record(row)


def decisions(engine: Engine, settings: EnergySettings) -> dict[str, object]:
    """Return what decides an energy besides the crystal."""
    known = {"static": True} if settings.static else {**asdict(settings), "limit_s": None}
    return {"engine": engine.name, "provenance": dict(engine.provenance), "settings": known}


def compute_energy(crystal: Crystal, engine: Engine, settings: EnergySettings, clock: Clock) -> Energy:
    """Return the energy of the primitive cell of a crystal, relaxed with its symmetry unless `settings` are static.

    Raises
    ------
    StructureError
        For a disordered crystal.
    EngineError
        When the engine fails, or gives an energy that is not finite.
    """
    start = primitive_cell(crystal)
    start.calc = engine.calculator
    static = energy_per_atom(start, engine)
    if settings.static:
        return Energy(start, static, static)
    end, converged = relax_steps(
        start, engine, fmax_ev_a=settings.fmax_ev_a, max_steps=settings.max_steps, check=clock.check
    )
    energy = energy_per_atom(end, engine)
    return Energy(end, energy, static, end.get_volume() / start.get_volume() - 1.0, converged)


def energy_per_atom(atoms: Atoms, engine: Engine) -> float:
    """Return the energy of atoms with a calculator, eV/atom.

    Raises
    ------
    EngineError
        When the engine fails, or gives an energy that is not finite.
    """
    try:
        energy = float(atoms.get_potential_energy()) / len(atoms)
    except PhonolyteError:
        raise
    except Exception as error:  # a foreign engine can raise anything
        raise EngineError(f"{engine.name} failed", why=first_line(error)) from error
    if not math.isfinite(energy):
        raise EngineError(f"{engine.name} gives an energy that is not finite", fix="Try another engine.")
    return energy
