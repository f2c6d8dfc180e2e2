"""Rows of the tables of stability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from phonolyte.runs.records import Row
from phonolyte.stability.assessment import WATER, Assessment, text_of
from phonolyte.stability.energies import Energy
from phonolyte.stability.phases import CompetingPhases
from phonolyte.structures import Crystal

NUMBERS = (
    "e_hull_ev", "e_hull_lower_ev", "e_hull_upper_ev", "decomposition_ev", "formation_ev_atom", "reduction_v",
    "reduction_lower_v", "reduction_upper_v", "oxidation_v", "oxidation_lower_v", "oxidation_upper_v",
    "metal_reaction_ev", "cathode_reaction_ev", "water_reaction_ev", "energy_ev_atom", "static_ev_atom",
    "volume_change", "n_atoms",
)  # fmt: skip
SHOWN_EV = 1e-3
"""Energy above the hull from which the phases there are named, eV/atom."""

TEXTS = ("decomposes_to", "reduces_to", "oxidizes_to", "metal_products", "reacts_with", "not_covered")
"""Columns of a result, besides those that say what was computed and how."""


def empty_row(missing: Sequence[str]) -> dict[str, Any]:
    """Return the result of a crystal whose phases are not at hand, which names the missing chemical systems."""
    known = {"not_covered": ", ".join(missing), "converged": None}
    return {**dict.fromkeys(NUMBERS, math.nan), **dict.fromkeys(TEXTS, ""), **known}


def assessment_row(assessment: Assessment, competing: CompetingPhases, ion: str) -> dict[str, Any]:
    """Return the columns that an assessment fills."""
    e_hull = assessment.hull.e_hull_ev
    low, high = competing.hull_interval_ev(e_hull, assessment.phase.elements)
    water, cathode = assessment.reactions.get(WATER), assessment.cathode
    missing = dict.fromkeys(system for each in assessment.reactions.values() for system in each.missing)
    return {
        "e_hull_ev": e_hull,
        "e_hull_lower_ev": low,
        "e_hull_upper_ev": high,
        "decomposition_ev": assessment.hull.distance_ev,
        "decomposes_to": text_of(assessment.hull.products) if e_hull >= SHOWN_EV else "",
        "formation_ev_atom": assessment.phase.formation_ev_atom,
        **_window_columns(assessment, competing),
        "cathode_reaction_ev": cathode.strongest.energy_ev_atom if cathode else math.nan,
        "water_reaction_ev": water.strongest.energy_ev_atom if water else math.nan,
        "reacts_with": ", ".join(assessment.reactive_with(ion)),
        "not_covered": ", ".join([*missing, *assessment.absent]),
    }


def energy_row(energy: Energy) -> dict[str, Any]:
    """Return the columns that an energy fills."""
    return {
        "energy_ev_atom": energy.energy_ev_atom,
        "static_ev_atom": energy.static_ev_atom,
        "volume_change": energy.volume_change,
        "n_atoms": len(energy.cell),
        "converged": energy.converged,
    }


def reaction_rows(crystal: Crystal, assessment: Assessment) -> list[Row]:
    """Return the rows of ``reactions.parquet``: one a mixture."""
    return [
        {
            "material_id": crystal.material_id,
            "formula": crystal.formula,
            "partner": reaction.partner,
            "crystal_share": mixture.share,
            "reaction_ev": mixture.energy_ev_atom,
            "products": ", ".join(mixture.products),
            "not_covered": ", ".join(reaction.missing),
        }
        for reaction in assessment.reactions.values()
        for mixture in reaction.mixtures
    ]


def _window_columns(assessment: Assessment, competing: CompetingPhases) -> dict[str, Any]:
    window, columns = assessment.window, dict[str, Any]()
    for name, beyond in (("reduction", "reduces_to"), ("oxidation", "oxidizes_to")):
        limit = getattr(window, name) if window else None
        voltage = limit.voltage_v if limit and math.isfinite(limit.voltage_v) else math.nan
        low, high = competing.voltage_interval_v(voltage) if voltage > 0 else (voltage, voltage)
        columns |= {f"{name}_v": voltage, f"{name}_lower_v": low, f"{name}_upper_v": high}
        columns[beyond] = text_of(limit.products) if limit else ""
    columns["metal_reaction_ev"] = window.metal_reaction_ev if window else math.nan
    columns["metal_products"] = text_of(window.metal_products) if window else ""
    return columns
