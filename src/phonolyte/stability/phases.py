"""Phases that a crystal competes with: their formation energies, and the chemical systems that they cover whole."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.systems import system_of
from phonolyte.errors import PhonolyteError, StabilityError
from phonolyte.files import as_number, as_numbers, parse_json, read_table
from phonolyte.runs.digest import digest_of
from phonolyte.runs.records import checksum, write_json, write_parquet
from phonolyte.stability.corrections import correction_ev_atom

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

TABLE, RECORD = "competing.parquet", "competing.json"
"""Files of competing phases: their table, and what is known about all of them."""

ON_HULL_EV = 1e-9
"""Energy above the hull, eV/atom, up to which a phase counts as stable."""

HUBBARD = frozenset({"V", "Cr", "Mn", "Fe", "Co", "Ni", "Mo", "W"})
"""Metals that the Materials Project gives a Hubbard U in oxides and fluorides."""

KEPT = 64
"""Phase diagrams that a process keeps."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase.

    Attributes
    ----------
    name
        Identifier of its crystal, or where it was measured.
    formula
        Formula; amounts may be fractions.
    formation_ev_atom
        Formation energy from the elements, eV/atom.
    e_hull_ev
        Energy above the hull of all phases of its chemical system, eV/atom; NaN where it is not known.
    """

    name: str
    formula: str
    formation_ev_atom: float
    e_hull_ev: float = math.nan

    @property
    def elements(self) -> frozenset[str]:
        """Elements of the phase."""
        return frozenset(composition_of(self.formula))

    @property
    def may_be_stable(self) -> bool:
        """Whether it is on the hull, as far as is known."""
        return not self.e_hull_ev > ON_HULL_EV

    @property
    def entry(self) -> PDEntry:
        """Entry of a phase diagram, named by its formula as pymatgen expects; its energy is the formation energy."""
        from pymatgen.analysis.phase_diagram import PDEntry
        from pymatgen.core.composition import Composition

        composition = Composition(dict(composition_of(self.formula)))
        return PDEntry(composition, self.formation_ev_atom * composition.num_atoms)


@dataclass(frozen=True, eq=False)
class CompetingPhases:
    """Phases whose energies are known on one scale.

    Attributes
    ----------
    phases
        All phases, the elements among them.
    systems
        Chemical systems that are covered whole, with all their subsystems: all phases of them that are known are here.
    elements_ev_atom
        Energy of each element by the engine, from which formation energies of crystals are computed, eV/atom.
    corrections
        Energy of each kind of corrected atom, eV (:mod:`phonolyte.stability.corrections`).
    voltage_error_v
        Difference from published voltages that 90 % are within, V; NaN where it has not been measured.
    hull_errors_ev
        Errors of an energy above the hull (known less computed) between which 90 % lie, eV/atom: of compounds of
        metals with a Hubbard U in their oxides (``hubbard``), and of all others (``other``); empty where not measured.
    provenance
        Engine with its weights, source of the crystals, license.
    """

    phases: tuple[Phase, ...]
    systems: tuple[frozenset[str], ...]
    elements_ev_atom: Mapping[str, float] = field(default_factory=dict)
    corrections: Mapping[str, float] = field(default_factory=dict)
    voltage_error_v: float = math.nan
    hull_errors_ev: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Digest of everything that decides a result."""
        return digest_of(
            sorted((phase.formula, round(phase.formation_ev_atom, 9)) for phase in self.phases if phase.may_be_stable),
            sorted(sorted(system) for system in self.systems),
            sorted(self.elements_ev_atom.items()), sorted(self.corrections.items()), self.voltage_error_v,
            {name: list(pair) for name, pair in self.hull_errors_ev.items()},
        )  # fmt: skip

    def without_unstable(self) -> Self:
        """Return the phases that decide a hull, which are a tenth of all and travel to other processes."""
        return replace(self, phases=tuple(phase for phase in self.phases if phase.may_be_stable))

    def covers(self, elements: Collection[str]) -> bool:
        """Whether all known phases of these elements are here."""
        return any(set(elements) <= system for system in self.systems)

    def missing_systems(self, elements: Collection[str]) -> list[str]:
        """Return the smallest chemical systems among these elements that are not covered, such as ``Co-S``."""
        missing: list[frozenset[str]] = []
        for size in range(1, len(elements) + 1):
            for subset in map(frozenset, combinations(sorted(elements), size)):
                if not any(known <= subset for known in missing) and not self.covers(subset):
                    missing.append(subset)
        return [system_of(subset) for subset in missing]

    def check_covered(self, elements: Collection[str]) -> None:
        """Refuse elements whose chemical system is not covered.

        Raises
        ------
        StabilityError
            For any other chemical system.
        """
        if self.covers(elements):
            return
        system = system_of(elements)
        raise StabilityError(
            f"the phases of {system} are not at hand",
            why=f"energies of {', '.join(self.missing_systems(elements))} are missing",
            fix=f"Fetch them (phonolyte fetch mp --what entries --chemical-systems {system}) and give the folder, or "
            "crystals of all phases, with --competing.",
            kind="NotCovered",
        )

    def formation_ev_atom(
        self, energy_ev_atom: float, amounts: Mapping[str, float], shares: Mapping[str, float]
    ) -> float:
        """Return the corrected formation energy of a crystal whose energy the engine of these phases gave.

        Parameters
        ----------
        energy_ev_atom
            Total energy, eV/atom.
        amounts
            Atoms of each element in any cell.
        shares
            Share of each kind of corrected atom.

        Raises
        ------
        StabilityError
            When the energy of an element is not known.
        """
        missing = set(amounts) - set(self.elements_ev_atom)
        if missing:
            raise StabilityError(
                f"the energy of the element {sorted(missing)[0]} is not at hand",
                why="formation energies start from the elements",
                fix="Give crystals of the elements with --competing.", kind="NotCovered",
            )  # fmt: skip
        elements = sum(n * self.elements_ev_atom[symbol] for symbol, n in amounts.items()) / sum(amounts.values())
        return energy_ev_atom - elements + correction_ev_atom(shares, self.corrections)

    def diagram(self, elements: Iterable[str]) -> PhaseDiagram:
        """Return the phase diagram of these elements from the phases that may be stable."""
        return _diagram(self, frozenset(elements))

    def hull_interval_ev(self, e_hull_ev: float, elements: Collection[str]) -> tuple[float, float]:
        """Return the 90 % interval of an energy above the hull, eV/atom; NaN where errors have not been measured."""
        low, high = self.hull_errors_ev.get(error_class(elements), (math.nan, math.nan))
        return (math.nan if math.isnan(low) else max(e_hull_ev + low, 0.0)), e_hull_ev + high

    def voltage_interval_v(self, voltage_v: float) -> tuple[float, float]:
        """Return the 90 % interval of a voltage, V; NaN where errors have not been measured."""
        return max(voltage_v - self.voltage_error_v, min(voltage_v, 0.0)), voltage_v + self.voltage_error_v

    def phase_of(self, formula: str) -> Phase | None:
        """Return the phase of lowest energy with a composition; None where there is none."""
        wanted = _fractions(formula)
        same = [phase for phase in self.phases if _fractions(phase.formula) == wanted]
        return min(same, key=lambda phase: phase.formation_ev_atom, default=None)

    def save(self, folder: Path) -> None:
        """Write table and record into a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(pd.DataFrame(
            [(p.name, p.formula, p.formation_ev_atom, p.e_hull_ev) for p in self.phases],
            columns=["material_id", "formula", "formation_ev_atom", "e_hull_ev"],
        ), folder / TABLE)  # fmt: skip
        record = asdict(replace(self, phases=()))
        record.pop("phases")
        record["systems"] = sorted(map(system_of, self.systems))
        write_json(folder / RECORD, {**record, "sha256": checksum(folder / TABLE)}, indent=1)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        StabilityError
            When a file is missing, damaged, or does not belong to the other.
        """
        try:
            record = parse_json((folder / RECORD).read_text(encoding="utf-8"))
            if record.pop("sha256") != checksum(folder / TABLE):
                raise ValueError(f"{TABLE} is not the one that {RECORD} describes")
            return cls(
                _phases(read_table(folder / TABLE)),
                tuple(_system(text) for text in record["systems"]),
                _numbers(record["elements_ev_atom"]),
                _numbers(record["corrections"]),
                as_number(record["voltage_error_v"]),
                {str(name)[:20]: (as_number(a), as_number(b)) for name, (a, b) in record["hull_errors_ev"].items()},
                dict(record["provenance"]),
            )
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, PhonolyteError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise StabilityError(
                f"{folder} does not have competing phases", why=why, fix="Make the folder again."
            ) from None


def error_class(elements: Collection[str]) -> str:
    """Return which errors of the hull are those of a compound: ``hubbard`` or ``other``."""
    return "hubbard" if HUBBARD & set(elements) and {"O", "F"} & set(elements) else "other"


def _phases(table: pd.DataFrame) -> tuple[Phase, ...]:
    energies, above = (as_numbers(table[name]).to_numpy(float) for name in ("formation_ev_atom", "e_hull_ev"))
    if not np.isfinite(energies).all():
        raise ValueError("a formation energy is missing")
    rows = zip(table["material_id"].astype(str), table["formula"].astype(str), energies, above, strict=True)
    phases = tuple(Phase(name, formula, float(energy), float(hull)) for name, formula, energy, hull in rows)
    for phase in phases:
        composition_of(phase.formula)
    return phases


def _system(text: str) -> frozenset[str]:
    elements = frozenset(text.split("-"))
    if not elements <= set(ATOMIC_NUMBERS):
        raise ValueError(f"{text[:40]} is not a chemical system")
    return elements


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(key)[:20]: as_number(value) for key, value in values.items()}


def _fractions(formula: str) -> frozenset[tuple[str, float]]:
    amounts = composition_of(formula)
    total = sum(amounts.values())
    return frozenset((symbol, round(n / total, 6)) for symbol, n in amounts.items())


@lru_cache(maxsize=KEPT)
def _diagram(competing: CompetingPhases, elements: frozenset[str]) -> PhaseDiagram:
    return make_diagram(competing.phases, elements)


def make_diagram(phases: Sequence[Phase], elements: frozenset[str]) -> PhaseDiagram:
    """Return the phase diagram of elements from those of the phases that consist of them and may be stable."""
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.core.periodic_table import Element

    entries = [phase.entry for phase in phases if phase.may_be_stable and phase.elements <= elements]
    return PhaseDiagram(entries, [Element(symbol) for symbol in sorted(elements)])


def with_hull_energies(phases: Sequence[Phase], systems: Iterable[frozenset[str]]) -> tuple[Phase, ...]:
    """Return the phases with their energies above the hull, computed once for each of the largest systems."""
    energies: dict[int, float] = {}
    for system in systems:
        in_system = [(i, phase) for i, phase in enumerate(phases) if phase.elements <= system]
        diagram = make_diagram([replace(phase, e_hull_ev=math.nan) for _, phase in in_system], system)
        for i, phase in in_system:
            if i not in energies:
                energies[i] = max(float(diagram.get_e_above_hull(phase.entry) or 0.0), 0.0)
    return tuple(replace(phase, e_hull_ev=energies.get(i, math.nan)) for i, phase in enumerate(phases))
