"""A tier in one module: settings, limits, columns and calculation; crystals of certain names make trouble."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from phonolyte.columns import Column
from phonolyte.runs.calculation import Calculation, NextStep, WaitingError
from phonolyte.runs.records import Record, Row
from phonolyte.structures import Crystal


@dataclass(frozen=True, slots=True)
class ToySettings:
    factor: Annotated[float, "Factor on the volume."] = 1.0
    limit_s: Annotated[float | None, "Seconds for one crystal. Default: no limit."] = None


@dataclass(frozen=True, slots=True)
class ToyLimits:
    max_toy_a3: Annotated[float, "Largest volume of a candidate that goes on."] = 1e9


@dataclass(frozen=True, slots=True)
class ToyCalculation(Calculation):
    """Volume of a crystal times a factor; each computation adds a line to a log."""

    settings: ToySettings = field(default_factory=ToySettings)
    limits: ToyLimits = field(default_factory=ToyLimits)
    log: str = ""

    name: ClassVar = "toy"
    title: ClassVar = "Toy volumes"
    table: ClassVar = "toy.parquet"
    tables: ClassVar = ("toy_atoms.parquet",)
    sort_by: ClassVar = "toy_volume_a3"
    columns: ClassVar = (
        Column("toy_volume_a3", "toy volume", "Å³", 1, hint="Volume of a crystal times a factor."),
        Column("toy_atom", "toy atom", kind="choice", hint="Symbol of an atom."),
    )
    facts: ClassVar = ("toy_volume_a3",)
    terminal: ClassVar = ("toy_volume_a3",)
    axes: ClassVar = ("toy_volume_a3", "n_atoms")
    followed: ClassVar = {"toy_volume_a3": "toy_volume_a3"}
    next_step: ClassVar = NextStep("How large is it, for a toy?", "phonolyte toy {input}")
    settings_kind: ClassVar = ToySettings
    limits_kind: ClassVar = ToyLimits
    needs_engine: ClassVar = False

    @classmethod
    def for_study(cls, ion: str, engine: object, settings: ToySettings, limits: ToyLimits) -> ToyCalculation:
        return cls(settings, limits)

    def decides(self) -> Mapping[str, object]:
        return {"factor": self.settings.factor}

    @property
    def limit_s(self) -> float | None:
        return self.settings.limit_s

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        name = crystal.material_id
        if self.log:
            with Path(self.log).open("a") as stream:
                stream.write(f"{name}\n")
        if name.startswith("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("fails"):
            raise ValueError(f"{name} has no volume")
        if name.startswith("late") and self.settings.limit_s is not None:
            raise TimeoutError("too late")
        if name.startswith("waits"):
            raise WaitingError([folder], [])
        if name.startswith("stops") and Path(self.log).read_text().count(name) == 1:
            raise KeyboardInterrupt
        volume = self.settings.factor * float(abs(np.linalg.det(crystal.lattice)))
        row = {"material_id": name, "formula": crystal.formula, "toy_volume_a3": volume, "n_atoms": len(crystal)}
        atoms = [{"material_id": name, "toy_atom": symbol} for symbol in crystal.symbols]
        folder.mkdir(exist_ok=True)
        (folder / "toy.txt").write_text(f"{volume}\n")
        return Record(row, {"toy_atoms.parquet": atoms})

    @classmethod
    def judge(cls, row: Row, limits: ToyLimits) -> str:
        volume = float(row["toy_volume_a3"])
        return f"a volume of {volume:.0f} Å³" if volume > limits.max_toy_a3 else ""

    @property
    def criterion(self) -> str:
        return f"a volume of at most {self.limits.max_toy_a3:g} Å³"


def make_pool() -> ThreadPoolExecutor:
    """Executor that ``--executor toy_tier:make_pool`` opens."""
    return ThreadPoolExecutor(2)


def make_nothing() -> int:
    """Object that is not an executor."""
    return 3
