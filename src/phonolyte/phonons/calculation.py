"""Phonons as a calculation for many crystals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import pandas as pd

from phonolyte.chemistry.formulas import shares_of
from phonolyte.chemistry.ions import check_ion
from phonolyte.columns import Column
from phonolyte.counts import are, count
from phonolyte.dos import PhononDos
from phonolyte.dos.table import read_density_file
from phonolyte.phonons.bands import band_structure, load_phonons, save_bands
from phonolyte.phonons.calibration import Calibration
from phonolyte.phonons.convergence import convergence
from phonolyte.phonons.cost import phonon_workload
from phonolyte.phonons.workflow import PhononResult, PhononSettings, compute_phonons, require_phonopy
from phonolyte.runs.calculation import Calculation, NextStep
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import Record, Row, file_name, folder_of, write_csv, write_parquet
from phonolyte.runs.workload import Workload
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from matplotlib.figure import Figure

    from phonolyte.forces import Engine
    from phonolyte.runs.run import Run

DOS = "dos"
"""Folder of a run folder with the density of states of each crystal."""

CONVERGENCE = "convergence.csv"
CHANGES = ("mesh_change_mev", "supercell_change_mev")
CHANGE_ERROR = "change_error"
"""Key of the details, and column: why the requested changes of a center are not known."""


@dataclass(frozen=True, slots=True)
class PhononLimits:
    """What a study requires of phonons.

    Attributes
    ----------
    max_center_mev
        Highest band center, calibrated where it can be, of a candidate that goes on, meV; None for any.
    stable
        Whether dynamically unstable crystals go no further. Ordered models of disordered conductors are often unstable.
    """

    max_center_mev: Annotated[float | None, "Highest computed band center of a candidate that goes on, meV."] = None
    stable: Annotated[bool, "Whether unstable crystals go no further."] = False


@dataclass(frozen=True, slots=True)
class PhononCalculation(Calculation):
    """Phonons of a crystal by finite displacements.

    Attributes
    ----------
    engine
        Source of the forces.
    settings
        How phonons are computed.
    ion
        Mobile element, whose own center goes into the table.
    calibration
        Correction of the centers, learned with this engine.
    converge
        Whether the change of each center with a finer mesh and a wider supercell is computed too; where that fails,
        `change_error` says why.
    limits
        What a study requires.
    """

    engine: Engine
    settings: PhononSettings = field(default_factory=PhononSettings)
    ion: str | None = None
    calibration: Calibration | None = None
    converge: bool = False
    limits: PhononLimits = field(default_factory=PhononLimits)

    name: ClassVar = "phonons"
    title: ClassVar = "Phonons"
    table: ClassVar = "phonons.parquet"
    folders: ClassVar = (DOS,)
    sort_by: ClassVar = "band_center_mev"
    columns: ClassVar = (
        Column("calibrated_mev", "calibrated", "meV", 1, hint="Center from computed phonons, calibrated."),
        Column("lowest_mode_mev", "lowest mode", "meV", 1, hint="Lowest mode; below zero: imaginary."),
        Column("highest_mode_mev", "highest mode", "meV", 1, hint="Highest mode."),
        Column("stable", "stable", kind="flag", hint="No imaginary mode beyond the tolerance."),
        Column("imaginary_share", "imaginary", digits=3, shown=False, hint="Share of the modes that are imaginary."),
        Column("lowest_at", "lowest at", kind="text", shown=False, hint="Reduced wave vector of the lowest mode."),
        Column(
            "lowest_commensurate_mev", "lowest, commensurate", "meV", 1, shown=False,
            hint="Lowest mode at wave vectors that fit into the supercell, where nothing is interpolated.",
        ),
        Column("non_analytical_correction", "LO-TO", kind="flag", shown=False,
               hint="Whether the non-analytical correction was applied."),
        Column("n_displacements", "displacements", shown=False, hint="Displaced supercells that were computed."),
        Column("mesh_change_mev", "change with mesh", "meV", 2, shown=False,
               hint="Change of the center with a finer mesh."),
        Column("supercell_change_mev", "change with supercell", "meV", 2, shown=False,
               hint="Change of the center with a wider supercell."),
        Column("change_error", "no change for", kind="text", shown=False, hint="Why the changes are not known."),
        Column("of", "varied", kind="choice", shown=False, hint="What was varied: mesh or supercell."),
        Column("setting", "setting", kind="text", shown=False, hint="Value it was varied to."),
        Column("change_mev", "change", "meV", 2, shown=False, hint="Change of the center."),
    )  # fmt: skip
    facts: ClassVar = (
        "band_center_mev", "calibrated_mev", "ion_center_mev", "lowest_mode_mev", "highest_mode_mev", "stable",
        "engine",
    )  # fmt: skip
    terminal: ClassVar = (
        "band_center_mev", "calibrated_mev", "ion_center_mev", "lowest_mode_mev", "highest_mode_mev", "stable",
        "seconds",
    )  # fmt: skip
    axes: ClassVar = ("band_center_mev", "lowest_mode_mev")
    images: ClassVar = {"bands": "Bands and density of states"}
    cites: ClassVar = ("jaafreh2024", "muy2018", "togo2023", "larsen2017")
    followed: ClassVar = {name: name for name in ("band_center_mev", "calibrated_mev", "lowest_mode_mev", "stable")}
    next_step: ClassVar = NextStep(
        "Is the lattice as soft as predicted, and stable? Minutes with a machine-learned potential.",
        "phonolyte phonons {input} --engine {engine} --ion {ion} -o {run}/phonons/{name}",
    )

    settings_kind: ClassVar = PhononSettings
    limits_kind: ClassVar = PhononLimits

    @classmethod
    def for_study(cls, ion: str, engine: Engine, settings: PhononSettings, limits: PhononLimits) -> PhononCalculation:
        """Return the calculation of a study, calibrated where Phonolyte has a calibration for the engine."""
        return cls(engine, settings, ion=ion, calibration=Calibration.shipped(engine), limits=limits)

    def prepare(
        self, crystals: Sequence[Crystal], run: Run, *, executor: Executor | None = None, progress: OpenBar = no_bar
    ) -> PhononCalculation:
        """Say where centers are not calibrated."""
        if self.calibration is None:
            run.add_note(f"centers are as {self.engine.name} gives them, without a calibration of these weights")
        return self

    def decides(self) -> Mapping[str, object]:
        """Return engine and settings; ion and calibration are applied to whatever phonons are there."""
        known = {
            each.name: getattr(self.settings, each.name) for each in fields(self.settings) if each.name != "limit_s"
        }
        return {"engine": self.engine.name, "provenance": dict(self.engine.provenance), "settings": known}

    def check(self) -> None:
        """Refuse what concerns every crystal.

        Raises
        ------
        SettingsError
            For an ion that is not an element.
        ModelError
            When the calibration was learned with another engine.
        MissingExtraError
            When phonopy is not installed.
        """
        require_phonopy()
        if self.ion:
            check_ion(self.ion)
        if self.calibration:
            self.calibration.check(self.engine)

    @property
    def limit_s(self) -> float | None:
        """Seconds for one crystal."""
        return self.settings.limit_s

    def workload(self, crystal: Crystal) -> Workload:
        """Return the displacements, and what the relaxation takes as a rule."""
        return phonon_workload(crystal, self.settings)

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Compute the phonons of one crystal; where they are there already, how they change."""
        if earlier is None:
            (folder / CONVERGENCE).unlink(missing_ok=True)  # of other settings
            return save_result(compute_phonons(crystal, self.engine, self.settings), self.engine.name, folder)
        return Record(
            earlier.row, crystal=earlier.crystal, details={**earlier.details, **self._changes(earlier, folder)}
        )

    def is_done(self, record: Record) -> bool:
        """Whether the changes are known, where they are requested, or have failed under the same time limit."""
        changes = record.details.get("changes")
        failed = changes is not None and CHANGE_ERROR in changes
        return not self.converge or (
            changes is not None and not (failed and record.details.get("changes_limit_s") != self.limit_s)
        )

    def row(self, record: Record) -> Row:
        """Return the row, with ion and calibration of this run, whichever run computed the phonons."""
        row, centers = record.row, record.details["element_centers_mev"]
        center = float(row["band_center_mev"])
        calibrated = self.calibration.apply(center, shares_of(str(row["formula"]))) if self.calibration else None
        changes = record.details.get("changes", {})
        first = {
            "material_id": row["material_id"],
            "formula": row["formula"],
            "band_center_mev": center,
            "ion": self.ion if self.ion in centers else None,
            "ion_center_mev": _float(centers.get(self.ion)),
            "calibrated_mev": _float(calibrated),
        }
        known = {**{name: _float(changes.get(name)) for name in CHANGES}, CHANGE_ERROR: changes.get(CHANGE_ERROR, "")}
        return {**first, **{name: value for name, value in row.items() if name not in first}, **known}

    @classmethod
    def judge(cls, row: Row, limits: PhononLimits) -> str:
        """Reject what is not soft, and what is unstable where that is required."""
        calibrated = row["calibrated_mev"]
        center = float(row["band_center_mev"] if pd.isna(calibrated) else calibrated)
        if limits.max_center_mev is not None and center > limits.max_center_mev:
            return f"a band center of {center:.1f} meV"
        if limits.stable and not row["stable"]:
            return f"unstable, a mode at {row['lowest_mode_mev']:.1f} meV"
        return ""

    @property
    def criterion(self) -> str:
        """The highest center, and stability."""
        highest = self.limits.max_center_mev
        wanted = ["any center" if highest is None else f"a center of at most {highest:g} meV"]
        return ", ".join([*wanted, *(["stable"] if self.limits.stable else [])])

    @classmethod
    def headline(cls, table: pd.DataFrame) -> str:
        """Return how many crystals are stable."""
        stable = int(table["stable"].sum()) if len(table) else 0
        return f"{stable:,} of {count(len(table), 'crystal')} {are(stable)} dynamically stable"

    @classmethod
    def summarize(cls, table: pd.DataFrame) -> list[str]:
        """Return the softest crystal, and how many are unstable."""
        if not len(table):
            return ["No crystal could be computed."]
        best, unstable = table.iloc[0], len(table) - int(table["stable"].sum())
        sentences = [
            f"The softest is {best['formula']} ({best['material_id']}), with its band center at "
            f"{best['band_center_mev']:.1f} meV by {best['engine']}."
        ]
        if unstable:
            has = "crystal has" if unstable == 1 else "crystals have"
            sentences.append(
                f"{unstable:,} {has} imaginary modes: either the crystal distorts, or it is an ordered model of one "
                "that is disordered. What is left of such a center says less."
            )
        if table["calibrated_mev"].notna().any():
            sentences.append("Centers are also given corrected for what this engine gets wrong on average.")
        return sentences

    def draw(self, row: Row, run: Path) -> Mapping[str, Figure]:
        """Draw bands and density of states; the bands themselves go into ``band.yaml``, the cell into ``POSCAR``."""
        from phonolyte.figures.phonons import phonon_bands

        name, folder = str(row["material_id"]), folder_of(run, str(row["material_id"]))
        phonon = load_phonons(folder)
        ion = row["ion"] if isinstance(row["ion"], str) else None
        figure = phonon_bands(band_structure(phonon), read_density(run, name, str(row["formula"])), ion=ion)
        save_bands(phonon, folder)
        return {"bands": figure}

    def _changes(self, record: Record, folder: Path) -> Mapping[str, object]:
        """Changes of the center with mesh and supercell in meV, or why they cannot be computed."""
        assert record.crystal is not None
        atoms = int(record.row["supercell_atoms"])
        try:
            table = convergence(record.crystal, self.engine, self.settings, atoms, load_phonons(folder))
            write_csv(table, folder / CONVERGENCE)
        except Exception as error:  # a foreign engine can raise anything; the phonons themselves are there and stay
            return {"changes": {CHANGE_ERROR: str(error) or type(error).__name__}, "changes_limit_s": self.limit_s}
        pairs = zip(table["of"], table["change_mev"], strict=True)
        return {"changes": {f"{kind}_change_mev": change for kind, change in pairs}, "changes_limit_s": self.limit_s}


def save_result(result: PhononResult, engine: str, folder: Path) -> Record:
    """Write the files of a result beside the folder of its crystal, and return its record."""
    result.save(folder)
    densities = folder.parent / DOS
    densities.mkdir(exist_ok=True)
    dos = result.dos
    columns = {"energy_mev": dos.energies_mev, "total": dos.total, **dos.per_element}
    write_parquet(pd.DataFrame(columns), densities / f"{folder.name}.parquet")
    row = {**result.row(), "engine": engine}
    return Record(row, crystal=result.crystal, details={"element_centers_mev": result.dos.element_centers_mev})


def density_file(run: Path, material_id: str) -> Path:
    """Return the file of a run folder with the density of states of a crystal."""
    return run / DOS / f"{file_name(material_id)}.parquet"


def read_density(run: Path, material_id: str, formula: str = "") -> PhononDos:
    """Read a density of states of a run folder, ``dos/ID.parquet``."""
    return read_density_file(density_file(run, material_id), material_id, formula)


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
