"""What whoever reads the results of a series must know, each thing once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.impedance.analysis import Analysis
from phonolyte.impedance.arrhenius import FEWEST, count_temperatures
from phonolyte.impedance.conductivity import list_resistances
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.pressure import group_pressures
from phonolyte.impedance.tables import ON_LINES, split_by_pressure, split_by_process
from phonolyte.units import VACUUM_F_CM

if TYPE_CHECKING:
    import pandas as pd

USUAL_F_CM = {"bulk": (1e-13, 3e-11), "grain_boundary": (1e-11, 1e-8)}
"""Capacitances, times thickness over area, that arcs of bulk and of grain boundaries usually have (Irvine, Sinclair and
West, 10.1002/adma.19900020304: about 1e-12, and 1e-11 to 1e-8 F/cm)."""

HIGHEST_PERMITTIVITY = 1e4
"""No bulk of an ion conductor has more; the arc then is of something else, or a unit is wrong."""


def list_series_notes(analyses: Sequence[Analysis], geometry: Geometry | None, boundary_f_cm: float) -> list[str]:
    """What is missing for conductivities and activation energies, and what cannot be."""
    notes = []
    sized = [(analysis, size) for analysis in analyses if (size := analysis.spectrum.geometry or geometry)]
    bare = [analysis.name for analysis in analyses if not (analysis.spectrum.geometry or geometry)]
    if analyses and not sized:
        notes.append("without --thickness-mm and --diameter-mm there are resistances, and no conductivities")
    elif bare:
        notes.append(f"without the size of the pellet there are no conductivities of {_some(bare)}")
    notes += _notes_on_temperatures(analyses, sized=bool(sized))
    if sized:
        notes += _notes_on_arcs(sized, boundary_f_cm)
    far = [
        analysis.name
        for analysis in analyses
        if analysis.is_beyond(analysis.spectrum.geometry or geometry, boundary_f_cm)
    ]
    if far:
        notes.append(
            f"the total of {_some(far)} is extrapolated far beyond what was measured: "
            "so is its point on the Arrhenius line"
        )
    return notes


def list_line_notes(spectra: pd.DataFrame, lines: pd.DataFrame) -> list[str]:
    """What must be known of Arrhenius lines: which could not be fitted, and which are not, each process once."""
    each = (split_by_process(group) for _, group in split_by_pressure(spectra))
    parts, notes = {name for group in each for name in group}, []
    sigma = spectra["sigma_s_cm"].dropna()
    lost = int((~sigma.between(0, np.inf, inclusive="neither")).sum())
    if lost:
        notes.append(f"conductivities that are zero or infinite are on no Arrhenius line: {lost}")
    fitted = set(lines["process"])
    notes += [f"no Arrhenius line could be fitted to {_word(name)}" for name in ON_LINES if name in parts - fitted]
    faulty = lines[lines["fault"] != ""]
    notes += [
        f"{_word(process)}: no Arrhenius line, {fault}"
        for process, fault in zip(faulty["process"], faulty["fault"], strict=True)
    ]
    return notes


def merge_notes(analyses: Sequence[Analysis]) -> list[str]:
    """Notes on spectra, those that differ in numbers only once."""
    return merge_alike((analysis.name, note) for analysis in analyses for note in analysis.notes)


def merge_alike(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Notes with the name of what each is on, those that differ in numbers only once."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, note in notes:
        groups.setdefault(re.sub(r"[\d.,]+", "#", note), []).append((name, note))
    lines = []
    for alike in groups.values():
        name, note = alike[0]
        more = f" (and {len(alike) - 1} more alike)" if len(alike) > 1 else ""
        lines.append(f"{name}: {note}{more}")
    return lines


def _notes_on_temperatures(analyses: Sequence[Analysis], *, sized: bool) -> list[str]:
    notes = []
    warm = [analysis.spectrum.temperature_k for analysis in analyses if analysis.spectrum.temperature_k is not None]
    cold = [analysis.name for analysis in analyses if analysis.spectrum.temperature_k is None]
    if cold:
        notes.append(
            f"no temperature is stated for {_some(cold)}: write it into the name, as sample_25C, "
            f'or give --temperature-c "{cold[0]}=25"'
        )
    different = count_temperatures(warm)
    if sized and warm and different < FEWEST:
        notes.append(f"an activation energy needs three temperatures, there {_are(different)}")
    return [*notes, *_notes_on_pressures(analyses, repeated=1 < different < len(warm))]


def _notes_on_pressures(analyses: Sequence[Analysis], *, repeated: bool) -> list[str]:
    """Notes on pressures; `repeated` is whether temperatures are."""
    notes = []
    pressures = [analysis.spectrum.pressure_mpa for analysis in analyses if analysis.spectrum.pressure_mpa is not None]
    n = len(np.unique(group_pressures(pressures)))
    if n > 1:
        notes.append(f"spectra are at {n} pressures: each has Arrhenius lines of its own")
    if 0 < len(pressures) < len(analyses):
        bare = [analysis.name for analysis in analyses if analysis.spectrum.pressure_mpa is None]
        notes.append(f"no pressure is stated for {_some(bare)}: they are on no line with the others")
    if repeated and n < 2:
        notes.append("several spectra have the same temperature: each is a point of its own on the Arrhenius line")
    return notes


def _notes_on_arcs(sized: Sequence[tuple[Analysis, Geometry]], boundary_f_cm: float) -> list[str]:
    notes = []
    hidden = [analysis.name for analysis, size in sized if _is_hidden(analysis, size, boundary_f_cm)]
    if hidden:
        notes.append(
            f"the arc of the bulk is too fast to be seen in {_some(hidden)}: "
            "the resistor before the other arc, leads included, is taken for it"
        )
    strange = [analysis.name for analysis, size in sized if not _is_possible(analysis, size)]
    if strange:
        notes.append(
            f"the capacitance of the fastest arc of {_some(strange)} is not that of a solid: "
            "check the units of frequency and impedance, and the size of the pellet"
        )
    notes += [
        f"the arc called {_word(process)} of {_some(names)} has {first:.1e} F/cm, where {_word(process)} usually has "
        f"{USUAL_F_CM[process][0]:.0e} to {USUAL_F_CM[process][1]:.0e} (Irvine, Sinclair and West 1990): it may be of "
        "something else"
        for process, (names, first) in _unusual_arcs(sized, boundary_f_cm).items()
    ]
    return notes


def _unusual_arcs(
    sized: Sequence[tuple[Analysis, Geometry]], boundary_f_cm: float
) -> dict[str, tuple[list[str], float]]:
    """Spectra whose arc of a process has a capacitance that such arcs do not usually have, and the first of these.

    An arc of the bulk that no solid has is in the note on that already.
    """
    unusual: dict[str, tuple[list[str], float]] = {}
    for analysis, size in sized:
        for each in list_resistances(analysis.fit, size.constant_per_cm, boundary_f_cm=boundary_f_cm):
            value = each.capacitance_f * size.constant_per_cm
            low, high = USUAL_F_CM.get(each.process, (0.0, np.inf))
            if not np.isfinite(value) or low <= value <= high or not each.is_known:
                continue
            if each.process == "grain_boundary" or _is_possible(analysis, size):
                unusual.setdefault(each.process, ([], value))[0].append(analysis.name)
    return unusual


def _is_possible(analysis: Analysis, geometry: Geometry) -> bool:
    """Whether the fastest arc can be of a solid: its relative permittivity is one at least."""
    arcs = analysis.fit.arcs
    if not arcs:
        return True
    permittivity = arcs[0][2] * geometry.constant_per_cm / VACUUM_F_CM
    return 1 <= permittivity < HIGHEST_PERMITTIVITY or (permittivity >= 1 and "R0" in analysis.fit.names)


def _is_hidden(analysis: Analysis, geometry: Geometry, boundary_f_cm: float) -> bool:
    """Whether the bulk shows as a resistor only."""
    resistances = list_resistances(analysis.fit, geometry.constant_per_cm, boundary_f_cm=boundary_f_cm)
    return any(resistance.process == "bulk" and np.isnan(resistance.capacitance_f) for resistance in resistances)


def _word(process: str) -> str:
    return process.replace("_", " ")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _are(n: int) -> str:
    return "is one" if n == 1 else f"are {n}"
