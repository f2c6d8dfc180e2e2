"""What whoever reads the results of a series must know, each thing once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.impedance.arrhenius import distinct
from phonolyte.impedance.conductivity import Geometry, resistances
from phonolyte.impedance.run import FAR_BEYOND, Analysis, boundary_f_cm, series
from phonolyte.units import VACUUM_F_CM

if TYPE_CHECKING:
    import pandas as pd

HIGHEST_PERMITTIVITY = 1e4
"""No bulk of an ion conductor has more; the arc then is of something else, or a unit is wrong."""


def series_notes(analyses: Sequence[Analysis], geometry: Geometry | None) -> list[str]:
    """What is missing for conductivities and activation energies, and what cannot be."""
    said = []
    if geometry is None:
        said.append("without --thickness-mm and --diameter-mm there are resistances, and no conductivities")
    warm = [one.spectrum.temperature_k for one in analyses if one.spectrum.temperature_k is not None]
    cold = [one.spectrum.name for one in analyses if one.spectrum.temperature_k is None]
    if cold:
        said.append(
            f"no temperature is stated for {_some(cold)}: write it into the name, as sample_25C, "
            f'or give --temperature-c "{cold[0]}=25"'
        )
    different = distinct(warm)
    if geometry and warm and different < 3:
        said.append(f"an activation energy needs three temperatures, there {_are(different)}")
    if 1 < different < len(warm):
        said.append("several spectra have the same temperature: each is a point of its own on the Arrhenius line")
    hidden = [
        one.spectrum.name
        for one in analyses
        if geometry and _is_hidden(one, geometry, boundary_f_cm(analyses, geometry))
    ]
    if hidden:
        said.append(
            f"the arc of the bulk is too fast to be seen in {_some(hidden)}: "
            "the resistor before the other arc, leads included, is taken for it"
        )
    strange = [one.spectrum.name for one in analyses if geometry and not _is_possible(one, geometry)]
    if strange:
        said.append(
            f"the capacitance of the fastest arc of {_some(strange)} is no solid's: "
            "check the units of frequency and impedance, and the size of the pellet"
        )
    far = [one.spectrum.name for one in analyses if one.beyond > FAR_BEYOND]
    if far:
        said.append(
            f"the total of {_some(far)} is extrapolated far beyond what was measured: "
            "so is its point on the Arrhenius line"
        )
    return said


def line_notes(spectra: pd.DataFrame, lines: pd.DataFrame) -> list[str]:
    """What must be known of Arrhenius lines: which there are none of, and which are none, each process once."""
    parts, said = series(spectra), []
    fitted = set(lines["process"]) if len(lines) else set()
    sigma = spectra["sigma_s_cm"].dropna()
    lost = int((~sigma.between(0, np.inf, inclusive="neither")).sum())
    if lost:
        said.append(f"conductivities that are zero or infinite are on no Arrhenius line: {lost}")
    said += [f"no Arrhenius line could be fitted to {_process(name)}" for name in parts if name not in fitted]
    shown = lines[(lines["form"] == "ln_sigma_t") & (lines["fault"] != "")] if len(lines) else lines
    said += [f"{_process(row['process'])}: no Arrhenius line, {row['fault']}" for row in shown.to_dict("records")]
    return said


def _process(name: str) -> str:
    return name.replace("_", " ")


def together(analyses: Sequence[Analysis]) -> list[str]:
    """Notes on spectra, those that differ in numbers only told once."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in analyses:
        for note in one.notes:
            found.setdefault(re.sub(r"[\d.,]+", "#", note), []).append((one.spectrum.name, note))
    lines = []
    for alike in found.values():
        name, note = alike[0]
        more = f" (and {len(alike) - 1} more alike)" if len(alike) > 1 else ""
        lines.append(f"{name}: {note}{more}")
    return lines


def _is_possible(one: Analysis, geometry: Geometry) -> bool:
    """Whether the fastest arc can be of a solid: its relative permittivity is one at least."""
    arcs = one.fit.arcs
    if not arcs:
        return True
    permittivity = arcs[0][2] * geometry.constant_per_cm / VACUUM_F_CM
    return 1 <= permittivity < HIGHEST_PERMITTIVITY or (permittivity >= 1 and "R0" in one.fit.names)


def _is_hidden(one: Analysis, geometry: Geometry, boundary: float) -> bool:
    """Whether the bulk shows as a resistor only."""
    found = resistances(one.fit, geometry.constant_per_cm, boundary_f_cm=boundary)
    return any(part.process == "bulk" and np.isnan(part.capacitance_f) for part in found)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _are(n: int) -> str:
    return "is one" if n == 1 else f"are {n}"
