"""Make the competing phases that come with the package: crystals, energies by an engine, and their errors.

Usage: python scripts/competing_phases.py crystals PHASES.parquet LI_STRUCTURES.parquet
       python scripts/competing_phases.py energies RUN ENGINE [NAME=VALUE ...]
       python scripts/competing_phases.py build RUN NAME LI_TABLE.csv.gz

The first step takes crystals of the Materials Project (CC BY 4.0) into the package: all phases of the chemical systems
of PHASES, and what LI_STRUCTURES has of the same systems beside them. The second computes their energies into a run
folder, each crystal a file, so that a killed run goes on. The third makes the energies of engine NAME from it, with
their errors against the energies above the hull of LI_TABLE and against published windows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from phonolyte import verbs
from phonolyte.chemistry.systems import largest_systems, system_of
from phonolyte.forces import open_engine
from phonolyte.forces.engines import IDENTITY, engine_options
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.records import write_crystals
from phonolyte.runs.settings import OutputSettings
from phonolyte.settings import read_toml
from phonolyte.stability.accuracy import error_interval, hull_errors, left_out_coverage, voltage_errors
from phonolyte.stability.corrections import published_corrections
from phonolyte.stability.energies import EnergyCalculation, EnergySettings
from phonolyte.stability.reference import elements_of, phases_from_energies
from phonolyte.stability.shipped import CRYSTALS, SYSTEMS, phases_folder, shipped_systems
from phonolyte.structures import read

EMPTY_WITH_LI = ("As-Li-Sn", "Cl-Li-Y", "Cl-Li-Zr", "Li-O-Si-Zr", "Li-P-Si-Zr")
"""Systems whose phases without Li are among the others, and that have no phase with Li in LI_STRUCTURES."""


def main() -> None:
    step, *arguments = sys.argv[1:]
    {"crystals": take_crystals, "energies": compute_energies, "build": build_phases}[step](*arguments)


def take_crystals(phases: str, li_structures: str) -> None:
    """Write crystals and systems into the package, small cells first."""
    crystals = list(read([phases]).crystals)
    systems = elements_of(largest_systems(system_of(crystal.symbols) for crystal in crystals))
    phase_ids = {crystal.material_id for crystal in crystals}
    crystals += [
        crystal
        for crystal in read([li_structures]).crystals
        if crystal.material_id not in phase_ids and any(set(crystal.symbols) <= system for system in systems)
    ]
    crystals.sort(key=lambda crystal: (len(crystal), crystal.material_id))
    phases_folder().mkdir(exist_ok=True)
    write_crystals(crystals, phases_folder() / CRYSTALS)
    names = sorted({*map(system_of, systems), *EMPTY_WITH_LI})
    (phases_folder() / SYSTEMS).write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    print(len(crystals), len(names))


def compute_energies(run: str, engine: str, *options: str) -> None:
    """Compute the energies of the crystals, without relaxing them."""
    calculation = EnergyCalculation(open_engine(engine, **engine_options(options)), EnergySettings(static=True))
    verbs.calculate(
        calculation, [str(phases_folder() / CRYSTALS)], folder=run, executor=ExecutorSettings(jobs=1),
        output=OutputSettings(figures=False, report=False),
    )  # fmt: skip


def build_phases(run: str, name: str, li_table: str) -> None:
    """Make the competing phases of an engine from a run, and measure their errors."""
    table = pd.read_parquet(Path(run) / "energies.parquet")
    crystals = read([str(phases_folder() / CRYSTALS)]).crystals
    engine = read_toml(Path(run) / "run.toml")["engine"]
    provenance: Mapping[str, Any] = {
        "engine": engine["name"], **{key: engine[key] for key in IDENTITY if key in engine},
        "source": "Materials Project, https://doi.org/10.1063/1.4812323, CC BY 4.0", "n": len(table),
        "cells": "as the Materials Project has them, not relaxed",
    }  # fmt: skip
    phases = phases_from_energies(
        table, crystals, corrections=published_corrections(), provenance=provenance, systems=shipped_systems()
    )
    known = pd.read_csv(li_table).set_index("material_id")["e_hull_ev"]
    errors = hull_errors(phases, known)
    intervals = {str(kind): error_interval(rows["error_ev"].to_numpy(float)) for kind, rows in errors.groupby("kind")}
    voltages = voltage_errors(phases)
    voltage_error = float(voltages["error_v"].abs().quantile(0.9))
    phases = replace(phases, hull_errors_ev=intervals, voltage_error_v=voltage_error)
    record = {
        "hull": {str(kind): describe(rows) for kind, rows in errors.groupby("kind")},
        "coverage_left_out_systems": left_out_coverage(errors),
        "voltages": {
            "n": len(voltages),
            "mae_v": float(voltages["error_v"].abs().mean()),
            "within_90_v": voltage_error,
        },
    }
    replace(phases, provenance={**provenance, "errors": record}).save(phases_folder() / name)
    print(json.dumps(record, indent=1))


def describe(errors: pd.DataFrame) -> dict[str, float]:
    """Compute scores of energies above the hull."""
    predicted, known = (errors[name] <= 0.05 for name in ("e_hull_ev", "known_ev"))
    both = float((predicted & known).sum())
    return {
        "n": len(errors),
        "mae_ev": float(errors["error_ev"].abs().mean()),
        "median_ev": float(errors["error_ev"].abs().median()),
        "bias_ev": float(-errors["error_ev"].mean()),
        "f1_at_0.05": 2 * both / float(predicted.sum() + known.sum()),
    }


if __name__ == "__main__":
    main()
