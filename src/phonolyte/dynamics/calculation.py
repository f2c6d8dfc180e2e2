"""Diffusion by molecular dynamics as a calculation for many crystals, temperature by temperature."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.chemistry.charges import mobile_charge
from phonolyte.chemistry.ions import check_ion
from phonolyte.columns import Column
from phonolyte.dynamics.diffusion import (
    FEWEST_HOPS,
    INTERVAL,
    MELTED_A,
    Diffusivity,
    arrhenius,
    conductivity_s_cm,
    diffusivity,
    require_kinisi,
)
from phonolyte.dynamics.trajectory import DynamicsSettings, read_frames, run_dynamics
from phonolyte.errors import MigrationError
from phonolyte.forces.cells import count_atoms, primitive_cell, relax
from phonolyte.runs.calculation import Calculation, NextStep, barrier_headline, barrier_sentences
from phonolyte.runs.digest import digest_of
from phonolyte.runs.records import Record, Row
from phonolyte.runs.workload import Workload
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from phonolyte.forces import Engine

METHOD = "md"
DIFFUSIVITIES = "diffusivities.parquet"
ACTIVATION = (
    "barrier_ev", "barrier_low_ev", "barrier_high_ev", "sigma_25c_s_cm", "sigma_25c_low_s_cm", "sigma_25c_high_s_cm",
)  # fmt: skip
"""Columns of the activation energy and the conductivity, with the ends of their 95 % intervals."""

REACHES_A = (5.0, 8.0, 12.0)
"""Distances within which sites are looked for, one after the other, until hops percolate."""


@dataclass(frozen=True, slots=True)
class DynamicsCalculation(Calculation):
    """Diffusion of an ion by molecular dynamics at several temperatures.

    Attributes
    ----------
    ion
        Symbol of the mobile element.
    engine
        Source of energies and forces.
    settings
        How molecular dynamics is run.
    """

    ion: str
    engine: Engine
    settings: DynamicsSettings = field(default_factory=DynamicsSettings)

    name: ClassVar = "dynamics"
    title: ClassVar = "Molecular dynamics"
    table: ClassVar = "dynamics.parquet"
    tables: ClassVar = (DIFFUSIVITIES,)
    sort_by: ClassVar = "barrier_ev"
    columns: ClassVar = (
        Column("barrier_low_ev", "barrier from", "eV", 2, shown=False, hint="Lower end of the 95 % interval."),
        Column("barrier_high_ev", "barrier to", "eV", 2, shown=False, hint="Upper end of the 95 % interval."),
        Column("n_ion_hops", "hops", hint="Hops of ions that were counted."),
        Column("time_ps", "time", "ps", 1, shown=False, hint="Time of each run."),
        Column("msd_a2", "MSD", "Å²", 2, hint="Mean square displacement over a run, the hottest one."),
        Column("diffusivity_cm2_s", "D", "cm²/s", -2, hint="Self-diffusivity."),
        Column("diffusivity_low_cm2_s", "D from", "cm²/s", -2, shown=False, hint="Lower end of the 95 % interval."),
        Column("diffusivity_high_cm2_s", "D to", "cm²/s", -2, shown=False, hint="Upper end of the 95 % interval."),
        Column("below_cm2_s", "D below", "cm²/s", -2, shown=False, hint="Bound where hops were too few."),
        Column("sigma_s_cm", "σ", "S/cm", -2, hint="Conductivity at the temperature."),
    )
    facts: ClassVar = (*ACTIVATION, "n_ion_hops", "msd_a2", "engine")
    terminal: ClassVar = ("barrier_ev", "barrier_low_ev", "barrier_high_ev", "n_ion_hops", "msd_a2", "sigma_25c_s_cm")
    axes: ClassVar = ("barrier_ev", "sigma_25c_s_cm")
    images: ClassVar = {"diffusivity": "Diffusion"}
    cites: ClassVar = ("mccluskey2024", "larsen2017")
    followed: ClassVar = {"sigma_25c_s_cm": "sigma_25c_s_cm"}
    next_step: ClassVar = NextStep(
        "How well does it conduct? Hours.",
        "phonolyte migrate {input} --ion {ion} --method md --engine {engine} -o {run}/dynamics/{name}",
    )

    settings_kind: ClassVar = DynamicsSettings
    top: ClassVar = 1

    @classmethod
    def for_study(cls, ion: str, engine: Engine, settings: DynamicsSettings, limits: None) -> DynamicsCalculation:
        """Return the calculation of a study."""
        return cls(ion, engine, settings)

    def decides(self) -> Mapping[str, object]:
        """Return ion, engine and settings."""
        return {**self._source, "settings": self.settings}

    def check(self) -> None:
        """Refuse an ion that is not an element, and say where kinisi is missing."""
        check_ion(self.ion)
        require_kinisi()

    def workload(self, crystal: Crystal) -> Workload:
        """Return the steps at all temperatures."""
        primitive = primitive_cell(crystal, symprec_a=self.settings.symprec_a)
        n = count_atoms(primitive, self.settings.supercell_of(primitive))
        steps = self.settings.steps * len(self.settings.temperatures_k)
        return Workload(steps, steps * n)

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Run the temperatures one after the other, and fit their diffusivities."""
        from ase.build import make_supercell

        start, settings = time.perf_counter(), self.settings
        primitive = primitive_cell(crystal, symprec_a=settings.symprec_a)
        shortest, longest = _hop_lengths(primitive, self.ion, settings)
        if settings.relax:
            primitive = relax(primitive, self.engine, symprec_a=settings.symprec_a)
        cell = make_supercell(primitive, settings.supercell_of(primitive))
        folder.mkdir(exist_ok=True)
        charge, n_ions, volume = mobile_charge(self.ion), list(cell.symbols).count(self.ion), float(cell.get_volume())
        rows, known = [], {}
        for temperature in settings.temperatures_k:
            file = folder / f"md-{temperature:g}K-{self._begun(crystal)[:8]}.traj"
            run_dynamics(cell, self.engine, temperature, settings, file)
            run = diffusivity(read_frames(file, settings), self.ion, settings, shortest, longest)
            if len(run.samples_cm2_s):
                known[temperature] = run.samples_cm2_s
            rows.append({"material_id": crystal.material_id, **_run_row(run, temperature, n_ions, charge, volume)})
        row: Row = {
            "material_id": crystal.material_id,
            "formula": crystal.formula,
            "method": METHOD,
            "engine": self.engine.name,
            "ion": self.ion,
            "n_ion_hops": sum(row["n_ion_hops"] for row in rows),
            "msd_a2": max(rows, key=lambda row: row["temperature_k"])["msd_a2"],
            "supercell_atoms": len(cell),
            "time_ps": settings.time_ps,
            "ion_charge": charge,
            **_activation(known, rows, n_ions, charge, volume),
            "seconds": time.perf_counter() - start,
        }
        return Record(row, {DIFFUSIVITIES: rows})

    @classmethod
    def judge(cls, row: Row, limits: None) -> str:
        """Reject what has no activation energy."""
        return str(row["why"]) if pd.isna(row["barrier_ev"]) else ""

    @property
    def criterion(self) -> str:
        """An activation energy."""
        return "an activation energy"

    @classmethod
    def headline(cls, table: pd.DataFrame) -> str:
        """Return how many crystals have a barrier."""
        return barrier_headline(table)

    @classmethod
    def summarize(cls, table: pd.DataFrame) -> list[str]:
        """Return the lowest barrier."""
        if len(table) and not table["barrier_ev"].notna().any():
            return [f"No activation energy is known. {table.iloc[0]['formula']}: {table.iloc[0]['why']}."]
        return barrier_sentences(table, "as an activation energy by molecular dynamics with {engine}")

    def draw(self, row: Row, run: Path) -> Mapping[str, Figure]:
        """Draw the diffusivities against the inverse temperature."""
        from phonolyte.figures.migration import diffusion_arrhenius
        from phonolyte.figures.style import with_subscripts

        runs = pd.read_parquet(run / DIFFUSIVITIES)
        runs = runs[runs["material_id"] == row["material_id"]]
        ends = [float(row[f"barrier{end}_ev"]) for end in ("", "_low", "_high")]
        energy = ends if np.isfinite(row["barrier_ev"]) else None
        return {"diffusivity": diffusion_arrhenius(runs, title=with_subscripts(str(row["formula"])), energy_ev=energy)}

    @property
    def _source(self) -> Mapping[str, object]:
        return {"ion": self.ion, "engine": self.engine.name, "provenance": dict(self.engine.provenance)}

    def _begun(self, crystal: Crystal) -> str:
        """Digest of what a run that a longer time, or another temperature, goes on from must have been made with."""
        rest = ("time_ps", "temperatures_k")
        settings = {
            each.name: getattr(self.settings, each.name) for each in fields(self.settings) if each.name not in rest
        }
        return digest_of(self._source, settings, crystal.lattice, crystal.numbers, crystal.frac_coords)


def _activation(
    samples: Mapping[float, Floats], runs: Sequence[Mapping[str, Any]], n_ions: int, charge: int, volume_a3: float
) -> dict[str, object]:
    try:
        fit = arrhenius(samples, n_ions, charge, volume_a3)
    except MigrationError as error:
        reasons = [f"{run['temperature_k']:g} K: {run['why']}" for run in runs if run["why"]]
        return {**dict.fromkeys(ACTIVATION, np.nan), "why": "; ".join(reasons) or str(error)}
    values = [value for column in fit for value in (np.median(column), *np.percentile(column, INTERVAL))]
    return {**dict(zip(ACTIVATION, map(float, values), strict=True)), "why": ""}


def _run_row(result: Diffusivity, temperature: float, n_ions: int, charge: int, volume_a3: float) -> dict[str, Any]:
    row: dict[str, Any] = {"temperature_k": temperature, "n_ion_hops": result.hops, "msd_a2": result.msd_a2}
    columns = ("diffusivity_cm2_s", "diffusivity_low_cm2_s", "diffusivity_high_cm2_s")
    if not len(result.samples_cm2_s):
        melted = result.framework_a >= MELTED_A
        why = (
            f"the crystal melts: all other atoms have moved by {result.framework_a:.1f} angstrom; run cooler"
            if melted
            else f"{result.hops} hops, fewer than {FEWEST_HOPS}: run longer or hotter"
        )
        return {
            **row,
            **dict.fromkeys(columns),
            "sigma_s_cm": None,
            "below_cm2_s": None if melted else result.below_cm2_s,
            "why": why,
        }
    middle = float(np.median(result.samples_cm2_s))
    values = (middle, *map(float, np.percentile(result.samples_cm2_s, INTERVAL)))
    sigma = float(conductivity_s_cm(np.array(middle), n_ions, charge, volume_a3, temperature))
    return {
        **row,
        **dict(zip(columns, values, strict=True)),
        "sigma_s_cm": sigma,
        "below_cm2_s": None,
        "why": "",
    }


def _hop_lengths(primitive: Atoms, ion: str, settings: DynamicsSettings) -> tuple[float, float]:
    """The shortest distance of sites in angstrom, and the longest that a path through the crystal needs."""
    from phonolyte.barriers.hops import find_hops, percolation_threshold

    for reach in REACHES_A:
        try:
            network = find_hops(primitive, ion, cutoff_a=reach, symprec_a=settings.symprec_a)
        except MigrationError:
            if reach == REACHES_A[-1]:
                raise
            continue
        lengths = {hop.name: hop.length_a for hop in network.hops}
        needed, _ = percolation_threshold(network, lengths, dict.fromkeys(network.kinds.values(), 0.0))
        if np.isfinite(needed):
            return min(lengths.values()), needed
    return min(lengths.values()), max(lengths.values())
