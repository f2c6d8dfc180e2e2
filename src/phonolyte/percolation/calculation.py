"""Percolation as a calculation for many crystals: the first tier behind a screen, well under a second per crystal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.chemistry.ions import check_ion
from phonolyte.columns import Column
from phonolyte.percolation.site_energies import (
    METHOD,
    Percolation,
    PercolationSettings,
    compute_percolation,
)
from phonolyte.runs.calculation import Calculation, NextStep, barrier_headline, barrier_sentences
from phonolyte.runs.records import Record, Row, folder_of, in_one_step
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAP = "site_energy.npz"
"""File of a crystal with its site energies on a grid."""


@dataclass(frozen=True, slots=True)
class PercolationLimits:
    """What a study requires of percolation.

    Attributes
    ----------
    max_barrier_ev
        Highest percolation barrier of a candidate that goes on, eV.
    """

    max_barrier_ev: Annotated[float, "Highest barrier by site energies of a candidate that goes on, eV."] = 0.6


@dataclass(frozen=True, slots=True)
class PercolationCalculation(Calculation):
    """Percolation of an ion through its bond-valence site energies.

    Attributes
    ----------
    ion
        Symbol of the mobile element.
    settings
        Settings of the grid.
    maps
        Whether the energies on the grid are kept, for figures.
    limits
        What a study requires.
    """

    ion: str
    settings: PercolationSettings = field(default_factory=PercolationSettings)
    maps: bool = True
    limits: PercolationLimits = field(default_factory=PercolationLimits)

    name: ClassVar = "percolation"
    title: ClassVar = "Percolation by site energies"
    table: ClassVar = "percolation.parquet"
    sort_by: ClassVar = "barrier_ev"
    columns: ClassVar = (
        Column("barrier_1d_ev", "1D barrier", "eV", 2, shown=False,
               words="barrier of paths in 1D", hint="Energy of a path in one dimension."),
        Column("barrier_2d_ev", "2D", "eV", 2, shown=False,
               words="barrier of paths in 2D", hint="Energy of paths in two dimensions."),
        Column("barrier_3d_ev", "3D", "eV", 2, shown=False,
               words="barrier of paths in 3D", hint="Energy of paths in three dimensions."),
        Column("radius_1d_a", "radius", "Å", 2, shown=False,
               words="largest sphere on paths in 1D", hint="Largest sphere that passes in one dimension."),
        Column("radius_2d_a", "2D radius", "Å", 2, shown=False,
               words="largest sphere on paths in 2D", hint="Largest sphere that passes in two dimensions."),
        Column("radius_3d_a", "3D radius", "Å", 2, shown=False,
               words="largest sphere on paths in 3D", hint="Largest sphere that passes in three dimensions."),
        Column("ion_charge", "charge", "e", 0, shown=False, hint="Charge of the mobile ion."),
        Column("oxidation", "charges by", kind="choice", shown=False, hint="Where the oxidation states are from."),
        Column(
            "mean_charges",
            "mean charges",
            kind="text",
            shown=False,
            hint="Elements with several charges, and the mean.",
        ),
        Column("percolation_ev", "site energies", "eV", 2, hint="Barrier by bond-valence site energies."),
    )  # fmt: skip
    facts: ClassVar = ("barrier_ev", "barrier_1d_ev", "barrier_2d_ev", "barrier_3d_ev", "dimensions", "engine")
    terminal: ClassVar = ("barrier_ev", "dimensions", "barrier_2d_ev", "barrier_3d_ev", "radius_1d_a")
    axes: ClassVar = ("barrier_ev", "dimensions")
    images: ClassVar = {"site_energy": "Site energies"}
    cites: ClassVar = ("chen2019",)
    followed: ClassVar = {"percolation_ev": "barrier_ev"}
    next_step: ClassVar = NextStep(
        "Is there a path for the ion? Seconds.", "phonolyte migrate {input} --ion {ion} -o {run}/percolation/{name}"
    )

    settings_kind: ClassVar = PercolationSettings
    limits_kind: ClassVar = PercolationLimits
    top: ClassVar = 50
    needs_engine: ClassVar = False
    takes_disorder: ClassVar = True
    method: ClassVar = 3

    @classmethod
    def for_study(
        cls, ion: str, engine: object, settings: PercolationSettings, limits: PercolationLimits
    ) -> PercolationCalculation:
        """Return the calculation of a study."""
        return cls(ion, settings, limits=limits)

    def decides(self) -> Mapping[str, object]:
        """Return ion and settings."""
        return {"ion": self.ion, "maps": self.maps, "settings": self.settings}

    def check(self) -> None:
        """Refuse an ion that is not an element."""
        check_ion(self.ion)

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Compute the percolation of one crystal."""
        result = compute_percolation(crystal, self.ion, self.settings)
        if self.maps:
            folder.mkdir(exist_ok=True)
            write_map(result, folder / MAP)
        return Record(result.row())

    @classmethod
    def judge(cls, row: Row, limits: PercolationLimits) -> str:
        """Reject what has no path, or too high a barrier."""
        barrier = float(row["barrier_ev"])
        if np.isnan(barrier):
            return "no path below the highest energy"
        return f"a barrier of {barrier:.2f} eV" if barrier > limits.max_barrier_ev else ""

    @property
    def criterion(self) -> str:
        """The highest barrier."""
        return f"a barrier of at most {self.limits.max_barrier_ev:g} eV"

    @classmethod
    def headline(cls, table: pd.DataFrame) -> str:
        """Return how many crystals have a barrier."""
        return barrier_headline(table)

    @classmethod
    def summarize(cls, table: pd.DataFrame) -> list[str]:
        """Return the lowest barrier."""
        return barrier_sentences(
            table, "by bond-valence site energies, which order crystals but are not barriers of a calculation"
        )

    def draw(self, row: Row, run: Path) -> Mapping[str, Figure]:
        """Draw the map of site energies."""
        from phonolyte.figures.migration import site_energy_map
        from phonolyte.figures.style import with_subscripts

        if not self.maps:
            return {}
        energies, lattice = read_map(run, str(row["material_id"]))
        barriers = [None if np.isnan(row[f"barrier_{n}d_ev"]) else float(row[f"barrier_{n}d_ev"]) for n in (1, 2, 3)]
        title = with_subscripts(str(row["formula"]))
        return {"site_energy": site_energy_map(energies, lattice, barriers, title=title)}


def write_map(result: Percolation, path: Path) -> None:
    """Write the energies on the grid."""
    energies = np.minimum(result.energies_ev, np.finfo(np.float32).max)  # beside a nucleus they have no end
    with in_one_step(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, energies_ev=energies.astype(np.float32), lattice=result.crystal.lattice)


def read_map(run: Path, material_id: str) -> tuple[Floats, Floats]:
    """Return site energies in eV on the grid (nx, ny, nz) and the lattice (3, 3) in angstrom that a run folder has."""
    with np.load(folder_of(run, material_id) / MAP) as arrays:
        return arrays["energies_ev"], arrays["lattice"]


__all__ = ["METHOD", "PercolationCalculation", "PercolationLimits", "read_map", "write_map"]
