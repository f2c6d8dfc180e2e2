"""Stability: energies above the hull and windows of the phases that come with the package, against known ones.

Usage: python benchmarks/stability.py [ENGINE]

Energies above the hull are compared with those of the Materials Project in the reference data, without and with the
corrections of anions and transition metals, voltages with published ones. The errors of 90 % are also counted by
leaving out chemical systems. Nothing is computed with a potential.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from record import SHARED, keep

from phonolyte.stability import CompetingPhases
from phonolyte.stability.accuracy import hull_errors, left_out_coverage, voltage_errors
from phonolyte.stability.corrections import corrected_shares, correction_ev_atom
from phonolyte.stability.phases import with_hull_energies
from phonolyte.stability.shipped import CRYSTALS, phases_folder
from phonolyte.structures import read

STABLE_EV = 0.05


def main() -> None:
    engine = sys.argv[1] if len(sys.argv) > 1 else "dpa4"
    phases = CompetingPhases.load(phases_folder() / engine)
    known = pd.read_csv(SHARED / "data" / "mp_li_table.csv.gz").set_index("material_id")["e_hull_ev"]
    corrected, raw = hull_errors(phases, known), hull_errors(remove_corrections(phases), known)
    voltages = voltage_errors(phases)
    keep(
        f"stability-{engine}",
        {
            "engine": engine,
            "phases": len(phases.phases),
            "hull": score_by_kind(corrected),
            "hull_without_corrections": score_by_kind(raw),
            "hull_by_anion_ev": score_by_anion(corrected),
            "coverage_left_out_systems": left_out_coverage(corrected),
            "worst": list_worst(corrected, "other"),
            "worst_hubbard": list_worst(corrected, "hubbard"),
            "voltages": {doi: compute_scores(rows["error_v"]) for doi, rows in voltages.groupby("doi")},
            "voltages_all": compute_scores(voltages["error_v"]),
            "windows": voltages.round(3).to_dict("records"),
        },
        "pymatgen-core",
    )


def remove_corrections(phases: CompetingPhases) -> CompetingPhases:
    """Return the same phases with the uncorrected energies of the potential."""
    shares = {
        crystal.material_id: corrected_shares(crystal) for crystal in read([str(phases_folder() / CRYSTALS)]).crystals
    }
    raw = [
        replace(
            phase,
            formation_ev_atom=phase.formation_ev_atom
            - correction_ev_atom(shares.get(phase.name, {}), phases.corrections),
        )
        for phase in phases.phases
    ]
    return replace(phases, phases=with_hull_energies(raw, phases.systems))


def score_by_kind(errors: pd.DataFrame) -> dict[str, Mapping[str, float]]:
    """Score compounds with and without metals that have a Hubbard U, and all."""
    kinds = {str(kind): rows for kind, rows in errors.groupby("kind")}
    return {
        name: {**compute_scores(rows["error_ev"]), "f1": compute_f1(rows)}
        for name, rows in {**kinds, "all": errors}.items()
    }


def score_by_anion(errors: pd.DataFrame) -> dict[str, Mapping[str, float]]:
    """Score the most frequent chemical systems without such metals."""
    other = errors[errors["kind"] == "other"]
    names = {"sulfides": "S", "oxides": "O", "chlorides": "Cl", "bromides": "Br", "nitrides": "N", "hydrides": "H"}
    masks = {name: other["system"].str.split("-").map(lambda e, s=symbol: s in e) for name, symbol in names.items()}
    return {name: compute_scores(other.loc[rows, "error_ev"]) for name, rows in masks.items() if rows.sum() > 5}


def compute_scores(errors: pd.Series) -> dict[str, float]:
    """Return number, mean and median absolute error, and bias (known less computed)."""
    values = errors.to_numpy(float)
    return {
        "n": len(values),
        "mae": float(np.abs(values).mean()),
        "median": float(np.median(np.abs(values))),
        "bias": float(values.mean()),
    }


def compute_f1(errors: pd.DataFrame) -> float:
    """Compute F1 of being within 0.05 eV/atom of the hull."""
    predicted, known = (errors[name] <= STABLE_EV for name in ("e_hull_ev", "known_ev"))
    return 2 * float((predicted & known).sum()) / float(predicted.sum() + known.sum())


def list_worst(errors: pd.DataFrame, kind: str, n: int = 12) -> list[Any]:
    """Return the largest errors."""
    rows = errors[errors["kind"] == kind]
    order = rows["error_ev"].abs().sort_values(ascending=False).index[:n]
    return rows.loc[order, ["material_id", "formula", "e_hull_ev", "known_ev"]].round(3).to_dict("records")


if __name__ == "__main__":
    main()
