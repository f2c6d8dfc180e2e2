"""How well energies above the hull and voltages agree with known ones."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.systems import system_of
from phonolyte.stability.phases import CompetingPhases, Phase, error_class
from phonolyte.stability.window import electrochemical_window

LITHIUM, CHARGE = "Li", 1


def hull_errors(competing: CompetingPhases, known_ev: pd.Series) -> pd.DataFrame:
    """Compare the energies above the hull of phases with known ones.

    Parameters
    ----------
    competing
        Phases, with their energies above the hull.
    known_ev
        Known energies above the hull, eV/atom, by the names of phases.

    Returns
    -------
    DataFrame
        `material_id`, `formula`, `system`, `kind` (as :func:`error_class`), `e_hull_ev`, `known_ev`, and `error_ev`:
        known less computed.
    """
    rows = [
        (phase.name, phase.formula, system_of(phase.elements), error_class(phase.elements), phase.e_hull_ev)
        for phase in competing.phases
    ]
    table = pd.DataFrame(rows, columns=["material_id", "formula", "system", "kind", "e_hull_ev"])
    table["known_ev"] = table["material_id"].map(known_ev[~known_ev.index.duplicated()])
    table["error_ev"] = table["known_ev"] - table["e_hull_ev"]
    return table.dropna(subset=["error_ev"]).reset_index(drop=True)


def error_interval(errors_ev: Floats, *, coverage: float = 0.9) -> tuple[float, float]:
    """Return the central interval of errors, eV/atom."""
    outside = (1.0 - coverage) / 2
    low, high = np.quantile(errors_ev, (outside, 1.0 - outside))
    return float(low), float(high)


def left_out_coverage(errors: pd.DataFrame) -> float:
    """Return the share of errors within the interval of those of all other chemical systems, of the same kind."""
    inside = np.zeros(len(errors), bool)
    kinds, systems = (errors[name].to_numpy(str) for name in ("kind", "system"))
    values = errors["error_ev"].to_numpy(float)
    for kind, system in sorted({(str(k), str(s)) for k, s in zip(kinds, systems, strict=True)}):
        alike, same_system = kinds == kind, systems == system
        low, high = error_interval(values[alike & ~same_system])
        inside |= alike & same_system & (values >= low) & (values <= high)
    return float(inside.mean())


def published_windows() -> pd.DataFrame:
    """Return published windows against lithium: `compound`, `reduction_v`, `oxidation_v`, `doi`."""
    path = files("phonolyte").joinpath("data/phases/published_windows.csv")
    with path.open(encoding="utf-8") as stream:
        return pd.read_csv(stream, comment="#")


def voltage_errors(competing: CompetingPhases) -> pd.DataFrame:
    """Compare both ends of windows with published ones, where the phases of a compound are at hand.

    A compound that is not among the phases is taken to lie on the hull, as the authors do with what is above it.

    Returns
    -------
    DataFrame
        `compound`, `doi`, `end`, `published_v`, `voltage_v` and `error_v`. Ends that both put at 0 V are left out.
    """
    rows = []
    for known in published_windows().to_dict("records"):
        formula = str(known["compound"])
        elements = frozenset(composition_of(formula))
        if not competing.covers(elements):
            continue
        window = electrochemical_window(competing.diagram(elements), Phase("", formula, 0.0), LITHIUM, CHARGE)
        for end in ("reduction", "oxidation"):
            limit, published = getattr(window, end), float(known[f"{end}_v"])
            if limit.voltage_v or published:
                rows.append((formula, known["doi"], end, published, limit.voltage_v))
    table = pd.DataFrame(rows, columns=["compound", "doi", "end", "published_v", "voltage_v"])
    return table.assign(error_v=table["voltage_v"] - table["published_v"])
