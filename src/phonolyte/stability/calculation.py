"""Stability as a calculation for many crystals: a relaxation, and the phase diagram of its elements."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
import pandas as pd

from phonolyte.chemistry.charges import mobile_charge
from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.ions import check_ion
from phonolyte.columns import Column
from phonolyte.counts import count
from phonolyte.errors import SettingsError, StructureError
from phonolyte.forces.cells import Clock
from phonolyte.runs.calculation import Calculation, NextStep
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import Record, Row
from phonolyte.runs.run import Run
from phonolyte.stability.assessment import WATER, assess
from phonolyte.stability.corrections import corrected_shares
from phonolyte.stability.energies import EnergySettings, compute_energy, decisions
from phonolyte.stability.phases import RECORD, CompetingPhases, Phase
from phonolyte.stability.reference import References, compute_phases, entries_as_phases, is_fetch
from phonolyte.stability.rows import assessment_row, empty_row, energy_row, reaction_rows
from phonolyte.stability.shipped import shipped_phases
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from phonolyte.forces import Engine

REACTIONS = "reactions.parquet"

CATHODES = {"Li": ("LiCoO2", "LiFePO4")}
"""Cathodes that crystals of an ion are brought into contact with, unless others are named."""


@dataclass(frozen=True, slots=True)
class StabilitySettings(EnergySettings):
    """How the stability of crystals is computed.

    Attributes
    ----------
    competing
        Phases that crystals compete with: a folder with their energies, that of ``fetch mp --what entries``, or
        crystals of whole chemical systems; empty for those that come with the package.
    against
        Formulas of cathodes and other materials that crystals are brought into contact with; moisture and the metal are
        among them without being named.
    """

    competing: Annotated[
        str,
        "Competing phases: a folder of their energies, a fetch of entries, or crystals. Default: those of the package.",
    ] = ""
    against: Annotated[
        tuple[str, ...], "Material in contact with the crystal, such as LiCoO2; repeat it. Default: LiCoO2, LiFePO4."
    ] = ()

    def __post_init__(self) -> None:
        EnergySettings.__post_init__(self)
        for formula in self.against:
            try:
                composition_of(formula)
            except StructureError as error:
                raise SettingsError(f"against: {error.what}", why=error.why, fix=error.fix) from None


@dataclass(frozen=True, slots=True)
class StabilityLimits:
    """What a study requires of stability.

    Attributes
    ----------
    max_e_hull_ev
        Largest energy above the hull of a candidate that goes on, eV/atom.
    min_oxidation_v, max_reduction_v
        Lowest oxidation and highest reduction voltage of a candidate that goes on, V; None for any.
    """

    max_e_hull_ev: Annotated[float | None, "Largest energy above the hull of a candidate that goes on, eV/atom."] = 0.05
    min_oxidation_v: Annotated[float | None, "Lowest oxidation voltage of a candidate that goes on, V."] = None
    max_reduction_v: Annotated[float | None, "Highest reduction voltage of a candidate that goes on, V."] = None


@dataclass(frozen=True, slots=True)
class StabilityCalculation(Calculation):
    """Energy above the hull, electrochemical window, and reactions of a crystal.

    Attributes
    ----------
    ion
        Mobile element.
    engine
        Source of the energy.
    competing
        Phases that crystals compete with; None where there are none for this engine, so that :meth:`prepare` computes
        them.
    settings
        How stability is computed.
    limits
        What a study requires.
    """

    ion: str
    engine: Engine
    competing: CompetingPhases | None
    settings: StabilitySettings = field(default_factory=StabilitySettings)
    limits: StabilityLimits = field(default_factory=StabilityLimits)

    name: ClassVar = "stability"
    title: ClassVar = "Stability"
    table: ClassVar = "stability.parquet"
    tables: ClassVar = (REACTIONS,)
    sort_by: ClassVar = "e_hull_ev"
    columns: ClassVar = (
        Column("e_hull_lower_ev", "e_hull from", "eV/atom", 3, shown=False, hint="Lower end of its 90 % interval."),
        Column("e_hull_upper_ev", "e_hull to", "eV/atom", 3, shown=False, hint="Upper end of its 90 % interval."),
        Column("decomposition_ev", "next to others", "eV/atom", 3, shown=False,
               hint="Energy next to the competing phases; negative for a crystal below all of them."),
        Column("decomposes_to", "decomposes to", kind="text", shown=False, hint="Phases of the hull there."),
        Column("reduction_lower_v", "reduction from", "V", 2, shown=False, hint="Lower end of its 90 % interval."),
        Column("reduction_upper_v", "reduction to", "V", 2, shown=False, hint="Upper end of its 90 % interval."),
        Column("reduces_to", "reduces to", kind="text", shown=False, hint="Products below the reduction voltage."),
        Column("oxidation_lower_v", "oxidation from", "V", 2, shown=False, hint="Lower end of its 90 % interval."),
        Column("oxidation_upper_v", "oxidation to", "V", 2, shown=False, hint="Upper end of its 90 % interval."),
        Column("oxidizes_to", "oxidizes to", kind="text", shown=False, hint="Products above the oxidation voltage."),
        Column("metal_reaction_ev", "with the metal", "eV/atom", 3, high_is_good=True,
               hint="Energy of the reaction with the metal of the ion, per atom of the crystal; 0: none."),
        Column("metal_products", "products with the metal", kind="text", shown=False,
               hint="Products of the reaction with the metal."),
        Column("cathode_reaction_ev", "with a cathode", "eV/atom", 3, shown=False, high_is_good=True,
               hint="Energy that the mixture with the worst cathode gains, per atom of the mixture."),
        Column("water_reaction_ev", "with water", "eV/atom", 3, shown=False, high_is_good=True,
               hint="Energy that the mixture with water gains, per atom of the mixture (enthalpies)."),
        Column("reacts_with", "reacts with", kind="text",
               hint="Materials with which a reaction gains more than 0.05 eV/atom."),
        Column("not_covered", "not covered", kind="text", shown=False,
               hint="Chemical systems of reactions whose phases are not at hand: reactions may gain more, never less."),
        Column("partner", "with", kind="choice", hint="Other material of a reaction."),
        Column("crystal_share", "share", digits=2, hint="Share of the crystal's atoms in a mixture."),
        Column("reaction_ev", "reaction", "eV/atom", 3, hint="Energy that a mixture gains, per atom of the mixture."),
        Column("products", "products", kind="text", hint="Products of the reaction."),
    )  # fmt: skip
    facts: ClassVar = (
        "e_hull_ev", "decomposes_to", "reduction_v", "reduces_to", "oxidation_v", "oxidizes_to", "metal_reaction_ev",
        "metal_products", "cathode_reaction_ev", "water_reaction_ev", "reacts_with", "not_covered", "engine",
    )  # fmt: skip
    terminal: ClassVar = ("e_hull_ev", "reduction_v", "oxidation_v", "metal_reaction_ev", "reacts_with")
    axes: ClassVar = ("oxidation_v", "reduction_v")
    images: ClassVar = {"reactions": "Reactions at the interface"}
    cites: ClassVar = ("zhu2015", "richards2016", "wang2021", "jain2013", "ong2013")
    followed: ClassVar = {name: name for name in ("e_hull_ev", "reduction_v", "oxidation_v", "metal_reaction_ev")}
    next_step: ClassVar = NextStep(
        "Does it exist, and at which voltages? Seconds with a machine-learned potential.",
        "phonolyte stability {input} --engine {engine} --ion {ion} -o {run}/stability/{name}",
    )

    settings_kind: ClassVar = StabilitySettings
    limits_kind: ClassVar = StabilityLimits
    top: ClassVar = 30

    @classmethod
    def for_study(cls, ion: str, engine: Engine, settings: StabilitySettings, limits: StabilityLimits) -> Any:
        """Return the calculation of a study, with the competing phases that its settings name."""
        return replace(cls.from_settings(ion, engine, settings), limits=limits)

    @classmethod
    def from_settings(cls, ion: str, engine: Engine, settings: StabilitySettings) -> Self:
        """Return the calculation with the competing phases that settings name, or those of the package."""
        return cls(ion, engine, phases_for(engine, settings), settings)

    def decides(self) -> Mapping[str, object]:
        """Return ion, engine, settings, and the digest of the competing phases."""
        known = decisions(self.engine, self.settings)
        key = self.competing.key if self.competing else ""
        return {**known, "ion": self.ion, "competing": key, "against": list(self.partners)}

    @property
    def partners(self) -> tuple[str, ...]:
        """Materials that crystals are brought into contact with, besides the metal."""
        return (*(self.settings.against or CATHODES.get(self.ion, ())), WATER)

    def check(self) -> None:
        """Refuse an ion that is not an element, and one whose charge is not known.

        Raises
        ------
        SettingsError
            For what is not an element.
        MigrationError
            When the charge of the ion is not known.
        """
        check_ion(self.ion)
        mobile_charge(self.ion)

    def prepare(
        self, crystals: Sequence[Crystal], run: Run, *, executor: Executor | None = None, progress: OpenBar = no_bar
    ) -> StabilityCalculation:
        """Take the energies of a fetch, or compute those of crystals of the same elements, where there are none."""
        if self.competing is not None:
            return self
        named = Path(self.settings.competing).expanduser()
        if self.settings.competing and is_fetch(named):
            fetched = entries_as_phases(named, crystals, self.engine, self.settings)
            return replace(self, competing=fetched.without_unstable())
        references = References.read(self.settings.competing, (frozenset(crystal.symbols) for crystal in crystals))
        computed = compute_phases(references, self.engine, run, executor=executor, progress=progress)
        return replace(self, competing=computed.without_unstable())

    @property
    def limit_s(self) -> float | None:
        """Seconds for one crystal."""
        return self.settings.limit_s

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Compute the energy of a crystal and what its competing phases say about it."""
        assert self.competing is not None
        competing, clock = self.competing, Clock(self.settings.limit_s, crystal.material_id)
        first = {"material_id": crystal.material_id, "formula": crystal.formula, "ion": self.ion}
        if not competing.covers(crystal.amounts):
            unknown = empty_row(competing.missing_systems(crystal.amounts))
            return Record({**first, **unknown, "engine": self.engine.name, "seconds": clock.seconds})
        energy = compute_energy(crystal, self.engine, self.settings, clock)
        computed = energy.crystal_of(crystal)
        formation = competing.formation_ev_atom(energy.energy_ev_atom, computed.amounts, corrected_shares(computed))
        phase = Phase(crystal.material_id, crystal.formula, formation)
        assessment = assess(phase, competing, self.ion, self.partners)
        row = {
            **first, **assessment_row(assessment, competing, self.ion), **energy_row(energy),
            "engine": self.engine.name, "seconds": clock.seconds,
        }  # fmt: skip
        return Record(row, tables={REACTIONS: reaction_rows(crystal, assessment)}, crystal=computed)

    @classmethod
    def judge(cls, row: Row, limits: StabilityLimits) -> str:
        """Reject what is unstable, and what decomposes at voltages it has to survive.

        A crystal whose phases are not at hand goes on, unless voltages are required.
        """
        e_hull, oxidation, reduction = (float(row[name]) for name in ("e_hull_ev", "oxidation_v", "reduction_v"))
        if math.isnan(e_hull):
            required = (limits.min_oxidation_v, limits.max_reduction_v) != (None, None)
            return f"no window: the phases of {row['not_covered']} are not at hand" if required else ""
        if limits.max_e_hull_ev is not None and e_hull > limits.max_e_hull_ev:
            return f"{e_hull:.3f} eV/atom above the hull"
        if limits.min_oxidation_v is not None and not oxidation >= limits.min_oxidation_v:
            return f"oxidized at {oxidation:.2f} V"
        if limits.max_reduction_v is not None and not reduction <= limits.max_reduction_v:
            return f"reduced at {reduction:.2f} V"
        return ""

    @property
    def criterion(self) -> str:
        """Largest energy above the hull, and the voltages."""
        parts = (
            ("at most {:g} eV/atom above the hull", self.limits.max_e_hull_ev),
            ("oxidation at {:g} V or more", self.limits.min_oxidation_v),
            ("reduction at {:g} V or less", self.limits.max_reduction_v),
        )
        return ", ".join(text.format(value) for text, value in parts if value is not None) or "a result"

    @classmethod
    def headline(cls, table: pd.DataFrame) -> str:
        """Return how many crystals are on the hull or near it."""
        near = int((table["e_hull_ev"] <= 0.05).sum()) if len(table) else 0
        return f"{near:,} of {count(len(table), 'crystal')} {'is' if near == 1 else 'are'} within " \
               "0.05 eV/atom of the hull"  # fmt: skip

    @classmethod
    def summarize(cls, table: pd.DataFrame) -> list[str]:
        """Return the widest window, and how many react with the metal."""
        if not len(table):
            return ["No crystal could be computed."]
        sentences = []
        widths = (table["oxidation_v"] - table["reduction_v"]).where(table["e_hull_ev"] <= 0.05)
        if widths.notna().any():
            best = table.iloc[int(np.nanargmax(widths.to_numpy(float)))]
            sentences.append(
                f"The widest window of those within 0.05 eV/atom of the hull is that of {best['formula']} "
                f"({best['material_id']}): {best['reduction_v']:.2f} to {best['oxidation_v']:.2f} V "
                f"against {best['ion']}."
            )
        stable = int((table["metal_reaction_ev"] == 0).sum())
        known = int(table["metal_reaction_ev"].notna().sum())
        if known:
            sentences.append(f"{stable:,} of {known:,} do not react with the metal of their ion.")
        sentences.append(
            "Windows are of equilibrium: what is slow, or ends in a film that insulates, may be used beyond them."
        )
        return sentences

    def draw(self, row: Row, run: Path) -> Mapping[str, Figure]:
        """Draw the energy of reactions against the mixing."""
        from phonolyte.figures.stability import reaction_energies

        table = pd.read_parquet(run / REACTIONS)
        rows = table[table["material_id"] == row["material_id"]]
        return {"reactions": reaction_energies(rows, str(row["formula"]))} if len(rows) else {}

    @classmethod
    def overview(cls, table: pd.DataFrame) -> Mapping[str, Figure]:
        """Draw the windows of the first crystals."""
        from phonolyte.figures.stability import window_chart

        known = table[table["oxidation_v"].notna()]
        return {"windows": window_chart(known)} if len(known) else {}


def phases_for(engine: Engine, settings: StabilitySettings) -> CompetingPhases | None:
    """Return the competing phases that settings name, or those of the package for an engine.

    None where their energies have to be computed: settings name crystals, or the package has none by this engine.

    Raises
    ------
    StabilityError
        When the folder that settings name is damaged.
    """
    if not settings.competing:
        return shipped_phases(engine)
    named = Path(settings.competing).expanduser()
    return CompetingPhases.load(named).without_unstable() if (named / RECORD).is_file() else None
