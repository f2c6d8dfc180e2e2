"""Elastic moduli as a calculation for many crystals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import pandas as pd

from phonolyte.chemistry.ions import check_ion
from phonolyte.columns import Column
from phonolyte.counts import are, count
from phonolyte.elastic.metals import METALS_GPA, SHEAR_RATIO, meets_criterion, shear_ratio
from phonolyte.elastic.workflow import ElasticSettings, compute_elastic
from phonolyte.errors import SettingsError
from phonolyte.runs.calculation import Calculation, NextStep
from phonolyte.runs.records import Record, Row
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from phonolyte.forces import Engine


@dataclass(frozen=True, slots=True)
class ElasticLimits:
    """What a study requires of elasticity.

    Attributes
    ----------
    min_shear_gpa
        Least shear modulus of a candidate that goes on, GPa; None for any.
    max_young_gpa
        Largest Young's modulus of a candidate that goes on, GPa: soft ones are pressed without sintering; None for any.
    mechanically_stable
        Whether crystals that a strain lowers in energy go no further. They have no moduli.
    """

    min_shear_gpa: Annotated[float | None, "Least shear modulus of a candidate that goes on, GPa."] = None
    max_young_gpa: Annotated[float | None, "Largest Young's modulus of a candidate that goes on, GPa."] = None
    mechanically_stable: Annotated[bool, "Whether mechanically unstable crystals go no further."] = True


@dataclass(frozen=True, slots=True)
class ElasticCalculation(Calculation):
    """Elastic moduli of a crystal by finite strains.

    Attributes
    ----------
    engine
        Source of forces and stresses.
    settings
        How moduli are computed.
    ion
        Mobile element: the metal of the electrode, whose shear modulus that of the crystal is compared with.
    limits
        What a study requires.
    """

    engine: Engine
    settings: ElasticSettings = field(default_factory=ElasticSettings)
    ion: str = "Li"
    limits: ElasticLimits = field(default_factory=ElasticLimits)

    name: ClassVar = "elastic"
    title: ClassVar = "Elastic moduli"
    table: ClassVar = "elastic.parquet"
    sort_by: ClassVar = "young_modulus_gpa"
    columns: ClassVar = (
        Column("bulk_modulus_gpa", "bulk", "GPa", 1, hint="Bulk modulus K of a dense polycrystal (Voigt-Reuss-Hill)."),
        Column("shear_modulus_gpa", "shear", "GPa", 1, hint="Shear modulus G of it (Voigt-Reuss-Hill)."),
        Column("young_modulus_gpa", "Young", "GPa", 1, hint="Young's modulus of it, 9KG/(3K+G)."),
        Column("poisson_ratio", "Poisson", digits=2, hint="Poisson's ratio of it."),
        Column("pugh_ratio", "K/G", digits=2, hint="Pugh's ratio, bulk over shear modulus: above 1.75 ductile."),
        Column("universal_anisotropy", "anisotropy", digits=2, shown=False,
               hint="Universal elastic anisotropy; 0 for an isotropic crystal."),
        Column("shear_ratio_to_metal", "G/G metal", digits=1,
               words="shear modulus over that of the metal",
               hint="Shear modulus over that of the metal of the mobile ion."),
        Column("monroe_newman", "stiff enough", kind="flag",
               hint=f"Shear modulus at least {SHEAR_RATIO:g} times that of the metal (Monroe and Newman): a flat "
               "interface stays flat. It knows no cracks, pores or grain boundaries."),
        Column("mechanically_stable", "mechanically stable", kind="flag",
               hint="No strain lowers the energy; else there are no moduli."),
        Column("lowest_stiffness_gpa", "lowest stiffness", "GPa", 1, shown=False,
               hint="Lowest eigenvalue of the stiffness tensor; at or below zero: unstable."),
        Column("fit_residual", "residual", digits=3, shown=False,
               hint="Stress that the tensor does not explain, as a share of the stress (root mean squares)."),
        Column("n_strains", "strains", shown=False, hint="Strained cells that were computed."),
        Column("stiffness_gpa", "stiffness", "GPa", 1, "list", shown=False,
               hint="Stiffness tensor in Voigt's notation, 36 numbers by rows; axes as in relaxed.parquet."),
    )  # fmt: skip
    facts: ClassVar = (
        "bulk_modulus_gpa", "shear_modulus_gpa", "young_modulus_gpa", "poisson_ratio", "pugh_ratio",
        "shear_ratio_to_metal", "monroe_newman", "mechanically_stable", "engine",
    )  # fmt: skip
    terminal: ClassVar = (
        "bulk_modulus_gpa", "shear_modulus_gpa", "young_modulus_gpa", "pugh_ratio", "shear_ratio_to_metal",
        "monroe_newman", "seconds",
    )  # fmt: skip
    axes: ClassVar = ("bulk_modulus_gpa", "shear_modulus_gpa")
    cites: ClassVar = ("monroe2005", "dejong2015", "ong2013", "larsen2017")
    followed: ClassVar = {name: name for name in ("shear_modulus_gpa", "monroe_newman", "mechanically_stable")}
    next_step: ClassVar = NextStep(
        "Is it soft enough to be pressed, and stiff against the metal? Minutes with a machine-learned potential.",
        "phonolyte elastic {input} --engine {engine} --ion {ion} -o {run}/elastic/{name}",
    )

    settings_kind: ClassVar = ElasticSettings
    limits_kind: ClassVar = ElasticLimits

    @classmethod
    def for_study(
        cls, ion: str, engine: Engine, settings: ElasticSettings, limits: ElasticLimits
    ) -> ElasticCalculation:
        """Return the calculation of a study."""
        return cls(engine, settings, ion, limits)

    def decides(self) -> Mapping[str, object]:
        """Return engine and settings; the ion is compared with whatever moduli are there."""
        known = {
            each.name: getattr(self.settings, each.name) for each in fields(self.settings) if each.name != "limit_s"
        }
        return {"engine": self.engine.name, "provenance": dict(self.engine.provenance), "settings": known}

    def check(self) -> None:
        """Refuse an ion that is not an element, and an engine without stresses.

        Raises
        ------
        SettingsError
            For either.
        """
        check_ion(self.ion)
        known = getattr(self.engine.calculator, "implemented_properties", None)
        if known and "stress" not in known:
            raise SettingsError(
                f"engine {self.engine.name} gives no stresses", why="elastic moduli are fitted to them",
                fix="Choose another engine.",
            )  # fmt: skip

    @property
    def limit_s(self) -> float | None:
        """Seconds for one crystal."""
        return self.settings.limit_s

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Compute the moduli of one crystal."""
        result = compute_elastic(crystal, self.engine, self.settings)
        fitted = {"strains": result.strains.tolist(), "stresses_gpa": result.stresses_gpa.tolist()}
        return Record({**result.row(), "engine": self.engine.name}, crystal=result.crystal, details=fitted)

    def row(self, record: Record) -> Row:
        """Return the row, compared with the metal of this run, whichever run computed the moduli."""
        ratio = shear_ratio(float(record.row["shear_modulus_gpa"]), self.ion)
        return {
            **record.row,
            "ion": self.ion,
            "shear_ratio_to_metal": ratio,
            "monroe_newman": meets_criterion(ratio),
        }

    @classmethod
    def judge(cls, row: Row, limits: ElasticLimits) -> str:
        """Reject what is unstable, too soft against shear, or too stiff."""
        if not row["mechanically_stable"]:
            lowest = f"mechanically unstable, an eigenvalue of {row['lowest_stiffness_gpa']:.1f} GPa"
            return lowest if limits.mechanically_stable or _asks_for_moduli(limits) else ""
        shear, young = float(row["shear_modulus_gpa"]), float(row["young_modulus_gpa"])
        if limits.min_shear_gpa is not None and shear < limits.min_shear_gpa:
            return f"a shear modulus of {shear:.1f} GPa"
        if limits.max_young_gpa is not None and young > limits.max_young_gpa:
            return f"a Young's modulus of {young:.0f} GPa"
        return ""

    @property
    def criterion(self) -> str:
        """Stability and the limits of moduli."""
        limits = self.limits
        required = [
            "mechanically stable" if limits.mechanically_stable else "",
            "" if limits.min_shear_gpa is None else f"a shear modulus of at least {limits.min_shear_gpa:g} GPa",
            "" if limits.max_young_gpa is None else f"a Young's modulus of at most {limits.max_young_gpa:g} GPa",
        ]
        return ", ".join(filter(None, required)) or "any moduli"

    @classmethod
    def headline(cls, table: pd.DataFrame) -> str:
        """Return how many crystals are mechanically stable."""
        stable = int(table["mechanically_stable"].sum()) if len(table) else 0
        return f"{stable:,} of {count(len(table), 'crystal')} {are(stable)} mechanically stable"

    @classmethod
    def caption(cls, table: pd.DataFrame) -> str:
        """Return which metal the shear modulus is compared with."""
        metal = str(table["ion"].iloc[0]) if len(table) and "ion" in table else ""
        return f"metal: {metal}, G = {METALS_GPA[metal]:g} GPa" if metal in METALS_GPA else ""

    @classmethod
    def summarize(cls, table: pd.DataFrame) -> list[str]:
        """Return the softest crystal, how many are unstable, and how many meet the criterion of Monroe and Newman."""
        stable = table[table["mechanically_stable"].astype(bool)] if len(table) else table
        if not len(stable):
            return ["No crystal has elastic moduli."]
        best, unstable = stable.iloc[0], len(table) - len(stable)
        sentences = [
            f"The softest is {best['formula']} ({best['material_id']}), with a Young's modulus of "
            f"{best['young_modulus_gpa']:.0f} GPa and a shear modulus of {best['shear_modulus_gpa']:.1f} GPa by "
            f"{best['engine']}."
        ]
        if unstable:
            has = "crystal has" if unstable == 1 else "crystals have"
            sentences.append(f"{unstable:,} {has} no moduli: a strain lowers the energy.")
        metal = str(best["ion"])
        if metal in METALS_GPA:
            enough = int(stable["monroe_newman"].astype(bool).sum())
            sentences.append(
                f"{enough:,} of {len(stable):,} have at least {SHEAR_RATIO:g} times the shear modulus of {metal} metal "
                f"({METALS_GPA[metal]:g} GPa), as Monroe and Newman require of a flat interface; cracks, pores and "
                "grain boundaries, along which metal grows all the same, are not in this criterion."
            )
        return sentences


def _asks_for_moduli(limits: ElasticLimits) -> bool:
    return limits.min_shear_gpa is not None or limits.max_young_gpa is not None
