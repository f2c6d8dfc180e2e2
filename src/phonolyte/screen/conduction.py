"""Percolation, measured and predicted conductivities of the crystals that a screen is left with.

They cost more than all that comes before, so that they come after the criteria; in processes, portion by portion, and
each portion is a file, so that a killed run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from phonolyte.arrays import Flags, Ints
from phonolyte.conduction import KINDS, NO_PATH, PATH, STATUS, describe_conduction, gather_portions, join_conduction
from phonolyte.counts import count, were
from phonolyte.percolation import COARSE, PercolationSettings
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.screen.describe import CRYSTAL, Part, positions_of
from phonolyte.structures import Crystal
from phonolyte.structures.crystal_table import records_of

Which = Literal["candidates", "all", "none"]
"""Crystals of a screen that are described."""

PORTION = 64
"""Crystals of a task: about two seconds."""


@dataclass(frozen=True, slots=True)
class Task:
    """Crystals of one part: their places in it, and the mobile ion of each."""

    part: Part
    places: tuple[int, ...]
    ions: tuple[str, ...]

    @property
    def crystals(self) -> list[Crystal]:
        """The crystals, without their names."""
        table = self.part.load(CRYSTAL).take(list(self.places))
        return [make("") for _, make in records_of(table)]


def add_conduction(
    table: pd.DataFrame,
    parts: Sequence[Part],
    wanted: Flags,
    *,
    settings: PercolationSettings = COARSE,
    folder: Path | None = None,
    executor: Executor | None = None,
    progress: OpenBar = no_bar,
) -> pd.DataFrame:
    """Add percolation, measurements and the columns of the conductivity model to some rows of a table.

    Parameters
    ----------
    table
        One row a crystal, in the order of the input, with its mobile ion as `ion`.
    parts
        Described batches that the rows come from.
    wanted
        (n,) which rows.
    settings
        Grid of the percolation.
    folder
        Folder that keeps finished portions; nothing is kept without.
    executor
        Executor of processes; default: this process.
    progress
        Opens a bar.
    """
    rows = np.flatnonzero(wanted & (table["ion"] != "").to_numpy())
    tasks, placed = _tasks(rows, table["ion"].to_numpy(object), parts)
    described = gather_portions(
        describe_task, [(task, settings, folder) for task in tasks], placed, executor=executor, progress=progress
    )
    return join_conduction(table, described)


def _tasks(rows: Ints, ions: Any, parts: Sequence[Part]) -> tuple[list[Task], list[Ints]]:
    """Tasks, and the rows of the table that each is for."""
    starts, tasks, placed = positions_of(parts), [], []
    for part, start, end in zip(parts, starts[:-1], starts[1:], strict=True):
        rows_of_part = rows[(rows >= start) & (rows < end)]
        for first in range(0, len(rows_of_part), PORTION):
            chosen = rows_of_part[first : first + PORTION]
            places = tuple(int(row - start) for row in chosen)
            tasks.append(Task(part, places, tuple(ions[chosen].tolist())))
            placed.append(chosen)
    return tasks, placed


def conduction_notes(table: pd.DataFrame) -> list[str]:
    """Return how many crystals have no percolation, and why; which of them were measured."""
    counts = table[STATUS].value_counts()
    lost = [f"{counts[name]:,} {name}" for name in (*dict.fromkeys(KINDS.values()), "failed") if name in counts]
    computed = int(sum(counts.get(name, 0) for name in (PATH, NO_PATH)))
    measured_ones = int(table["measured_sigma_s_cm"].notna().sum())
    return [
        *(
            [f"percolation of {count(computed, 'crystal')} could be computed; of others not: {', '.join(lost)}"]
            if lost
            else []
        ),
        *([f"{measured_ones:,} of the crystals {were(measured_ones)} measured"] if measured_ones else []),
    ]


def describe_task(task: Task, settings: PercolationSettings, folder: Path | None = None) -> pd.DataFrame:
    """Describe the crystals of a task, one row each; runs in a worker."""
    return describe_conduction(task.crystals, task.ions, settings, folder)
