"""Competing phases from the energies of their crystals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from phonolyte.chemistry.formulas import shares_of
from phonolyte.errors import StabilityError
from phonolyte.forces.cells import Clock
from phonolyte.runs.campaign import run_campaign
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run
from phonolyte.sources.entries import SYSTEMS, Entries, read_entries
from phonolyte.stability.corrections import corrected_shares, published_corrections
from phonolyte.stability.energies import EnergyCalculation, EnergySettings, compute_energy
from phonolyte.stability.molecules import molecules
from phonolyte.stability.phases import CompetingPhases, Phase, with_hull_energies
from phonolyte.stability.shipped import CRYSTALS, phases_folder, shipped_phases, shipped_systems
from phonolyte.structures import Crystal, read

if TYPE_CHECKING:
    from phonolyte.forces import Engine

FOLDER = "competing"
"""Folder of a run folder with competing phases that were computed there."""


def compute_phases(
    references: References,
    engine: Engine,
    run: Run,
    *,
    settings: EnergySettings | None = None,
    executor: Executor | None = None,
    progress: OpenBar = no_bar,
) -> CompetingPhases:
    """Compute the energies of crystals, each a file in a run folder of its own, and return them as competing phases.

    Parameters
    ----------
    references
        Crystals, those of the elements among them.
    engine
        Source of energies.
    run
        Open run folder, in which :data:`FOLDER` is made.
    settings
        How energies are computed; default: of the cells as they are.
    executor, progress
        Executor of processes, and what opens a bar.

    Without a crystal the result covers nothing.

    Raises
    ------
    StabilityError
        When an element has no crystal.
    """
    if not references.crystals:
        return CompetingPhases((), ())
    calculation, crystals = EnergyCalculation(engine, settings or EnergySettings(static=True)), references.crystals
    folder = run.path(FOLDER)
    opened = Run(folder, calculation.name, settings=calculation.decides(), identity=calculation.key, engine=engine)
    with opened as phase_run, progress("Competing phases (atoms)", sum(map(len, crystals))) as advance:
        outcome = run_campaign(calculation, crystals, phase_run, executor=executor, progress=advance)
    if outcome.failures:
        run.add_note(f"{len(outcome.failures)} competing phases could not be computed, such as "
                     f"{outcome.failures[0].material_id}: the hull may be too high there")  # fmt: skip
    run.add_note(f"the hull is made of {len(outcome.table):,} phases, and is as complete as they are")
    provenance = {"engine": engine.name, **engine.provenance, "n_failed": len(outcome.failures)}
    phases = phases_from_energies(
        outcome.table, crystals, corrections=published_corrections(), provenance=provenance, systems=references.systems
    )  # fmt: skip
    phases.save(folder)
    return phases


def is_fetch(folder: Path) -> bool:
    """Whether a folder has energies of whole chemical systems that were fetched."""
    return (folder / SYSTEMS).is_file()


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """Crystals whose energies become those of competing phases.

    Attributes
    ----------
    crystals
        Ordered crystals.
    systems
        Chemical systems that they cover whole.
    """

    crystals: Sequence[Crystal]
    systems: Sequence[frozenset[str]]

    @classmethod
    def read(cls, source: str, elements: Iterable[frozenset[str]]) -> Self:
        """Read those of a file or folder, or those of the package, that consist of one of the sets of elements.

        A source of the user is taken to have all phases of the elements that it has crystals of.

        Raises
        ------
        StabilityError
            When the source has no ordered crystal.
        """
        reading = read([source or str(phases_folder() / CRYSTALS)])
        ordered = [each for each in reading.crystals if each.is_ordered]
        if not ordered:
            raise StabilityError(
                f"{source} has no competing phases",
                why=reading.failures[0].message if reading.failures else "it has no ordered crystal",
                fix="Give a folder with their energies, a fetch of entries, or crystals.",
            )
        pure = frozenset(each.symbols[0] for each in ordered if len(set(each.symbols)) == 1)
        systems = [pure] if source else shipped_systems()
        wanted = set(elements)
        needed = [each for each in ordered if any(frozenset(each.symbols) <= elements_ for elements_ in wanted)]
        return cls(needed, [elements_ for elements_ in wanted if any(elements_ <= system for system in systems)])


def phases_from_energies(
    table: pd.DataFrame, crystals: Iterable[Crystal], *, corrections: Mapping[str, float],
    provenance: Mapping[str, Any], systems: Collection[frozenset[str]],
) -> CompetingPhases:  # fmt: skip
    """Return competing phases from the energies of their crystals and the measured molecules of the package.

    Parameters
    ----------
    table
        `material_id` and `energy_ev_atom`, by one engine.
    crystals
        Ordered crystals, among them those of the table.
    corrections
        Energy of each kind of corrected atom, eV.
    provenance
        Engine, weights, source of the crystals.
    systems
        Chemical systems that the crystals cover whole.

    Raises
    ------
    StabilityError
        When an element has no crystal.
    """
    energies = dict(zip(table["material_id"].astype(str), table["energy_ev_atom"].astype(float), strict=True))
    ordered = [crystal for crystal in crystals if crystal.material_id in energies]
    elements = element_energies(ordered, energies)
    bare = CompetingPhases((), tuple(systems), elements, corrections)
    solids = [
        Phase(each.material_id, each.formula, bare.formation_ev_atom(
            energies[each.material_id], each.amounts, corrected_shares(each)
        ))
        for each in ordered
    ]  # fmt: skip
    known = {symbol for system in systems for symbol in system}
    measured = [phase for phase in (molecule.phase for molecule in molecules()) if phase.elements <= known]
    further = {phase.elements for phase in measured}
    complete = (
        *systems,
        *(elements_of for elements_of in further if not any(elements_of <= system for system in systems)),
    )
    phases = with_hull_energies([*solids, *measured], complete)
    return CompetingPhases(phases, complete, elements, corrections, provenance=provenance)


def element_energies(crystals: Iterable[Crystal], energies: Mapping[str, float]) -> dict[str, float]:
    """Return the lowest energy of each element, eV/atom.

    Raises
    ------
    StabilityError
        When an element has no crystal.
    """
    lowest: dict[str, float] = {}
    present: set[str] = set()
    for crystal in crystals:
        symbols = frozenset(crystal.symbols)
        present |= symbols
        if len(symbols) == 1:
            (symbol,) = symbols
            lowest[symbol] = min(energies[crystal.material_id], lowest.get(symbol, float("inf")))
    if present - set(lowest):
        missing = sorted(present - set(lowest))
        raise StabilityError(
            f"no crystal of the element {missing[0]} is among the competing phases",
            why="formation energies start from the elements", fix=f"Add crystals of {', '.join(missing)}.",
        )  # fmt: skip
    return dict(sorted(lowest.items()))


def elements_of(systems: Iterable[str]) -> list[frozenset[str]]:
    """Return the elements of chemical systems by their names."""
    return [frozenset(name.split("-")) for name in systems]


def entries_as_phases(
    folder: Path, crystals: Iterable[Crystal], engine: Engine, settings: EnergySettings
) -> CompetingPhases:
    """Return the energies of a fetch as competing phases of crystals whose energies an engine gives.

    The energies of the elements by the engine are those of the package, or are computed from the crystals of the fetch.

    Raises
    ------
    TableError
        When the table of the fetch makes no sense.
    StabilityError
        When an element has no crystal, or no chemical system is known to be whole.
    """
    entries = read_entries(folder)
    shipped = shipped_phases(engine)
    elements = dict(shipped.elements_ev_atom) if shipped else {}
    wanted = {symbol for crystal in crystals for symbol in crystal.symbols if entries.covers({symbol})}
    missing = wanted - set(elements)
    if missing:
        pure = [each for each in read([str(folder)]).crystals if each.is_ordered and set(each.symbols) <= missing]
        alone = [each for each in pure if len(set(each.symbols)) == 1]
        clock = Clock(settings.limit_s * max(len(alone), 1), "the elements")
        energies = {each.material_id: compute_energy(each, engine, settings, clock).energy_ev_atom for each in alone}
        elements |= element_energies(alone, energies)
    return phases_from_entries(entries, elements)


def phases_from_entries(entries: Entries, elements_ev_atom: Mapping[str, float]) -> CompetingPhases:
    """Return competing phases from energies of a database, each counted from the elements of that database.

    Parameters
    ----------
    entries
        Energies with their corrections, and the chemical systems that they cover whole.
    elements_ev_atom
        Energy of each element by the engine of the crystals that will be compared, eV/atom.

    Raises
    ------
    StabilityError
        When no chemical system is known to be whole.
    """
    if not entries.systems:
        raise StabilityError(
            "it is not known which chemical systems the energies cover whole",
            why="there is no systems.csv beside them",
            fix="Give the folder that phonolyte fetch mp --what entries made.",
        )  # fmt: skip
    rows = list(zip(*(entries.table[name] for name in ("material_id", "formula", "energy_ev_atom")), strict=True))
    lowest: dict[str, float] = {}
    for _, formula, energy in rows:
        if len(shares := shares_of(str(formula))) == 1:
            (symbol,) = shares
            lowest[symbol] = min(float(energy), lowest.get(symbol, float("inf")))
    bare = CompetingPhases((), (), lowest)
    phases = [
        Phase(str(name), str(formula), bare.formation_ev_atom(float(energy), shares_of(str(formula)), {}))
        for name, formula, energy in rows
    ]
    systems = elements_of(entries.systems)
    return CompetingPhases(
        with_hull_energies(phases, systems), tuple(systems), elements_ev_atom, published_corrections(),
        provenance={"source": "energies of a database"},
    )  # fmt: skip
