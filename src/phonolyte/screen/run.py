"""A screen as a run: what is read, ranked, written and drawn."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.arrays import Ints
from phonolyte.figures import save_all, screen_figures
from phonolyte.figures.screen import STEMS
from phonolyte.runs.executors import map_tasks
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run
from phonolyte.runs.settings import AS_USUAL, FigureFiles
from phonolyte.screen.criteria import Criteria
from phonolyte.screen.describe import CRYSTAL, Models, ModelSource, Part, positions_of
from phonolyte.screen.funnel import PARTS, Screening, rank_crystals, write_screening
from phonolyte.screen.settings import ScreenSettings
from phonolyte.screen.yardsticks import place_conductors
from phonolyte.structures.crystal_table import records_of
from phonolyte.structures.symmetry import crystal_system

MOST_DRAWN = 200_000
"""Compounds of a screen whose elements are drawn; the figures of larger ones show the candidates alone."""


def run_screen(
    run: Run,
    inputs: Any,
    settings: ScreenSettings | None = None,
    *,
    models: Models | ModelSource | None = None,
    properties: pd.DataFrame | None = None,
    figures: bool = True,
    files: FigureFiles = AS_USUAL,
    executor: Executor | None = None,
    threads: Executor | None = None,
    progress: OpenBar = no_bar,
) -> Screening:
    """Screen as the settings say, into an open run folder.

    Parameters
    ----------
    run
        Open run folder.
    inputs
        Files, folders, globs, tables and objects, or what :func:`phonolyte.structures.read` gave.
    settings
        Criteria.
    models
        Models; default: the embedded one.
    properties
        Table of :func:`phonolyte.screen.read_properties`.
    figures
        Whether figures are drawn.
    files
        Formats and resolution of these.
    executor, threads
        As :func:`rank_crystals` takes them.
    progress
        Opens a bar.
    """
    settings, models = settings or ScreenSettings(), models or ModelSource()
    loaded = models.load()
    screening = rank_crystals(
        inputs, models=models, criteria=settings.criteria, ranking=settings.ranking, percolation=settings.percolation,
        computed=settings.computed and loaded.name == ModelSource().name, properties=properties, parts=run.path(PARTS),
        executor=executor, threads=threads, progress=progress,
    )  # fmt: skip
    run.add_failures(screening.failures)
    run.add_skipped(screening.skipped)
    for note in screening.notes:
        run.add_note(note)
    screening = replace(screening, yardsticks=place_conductors(screening.table, settings.ranking, model=loaded.name))
    write_screening(screening, settings.criteria, run, loaded.learned)
    if figures:
        draw_screen(screening, settings.criteria, run.path("figures"), executor, files=files)
    remove_parts(run.folder)
    return screening


def draw_screen(
    screening: Screening, criteria: Criteria, folder: Path, executor: Executor | None = None, *,
    files: FigureFiles = AS_USUAL,
) -> None:  # fmt: skip
    """Draw the figures of a screen; the executor's processes find the symmetry of the candidates."""
    table = screening.table
    if len(table) > MOST_DRAWN:
        table = table[table["passes"].astype(bool)]
    table = table.assign(elements=pd.Series(screening.elements_of(table), index=table.index, dtype=object))
    table["crystal_system"] = pd.Series(candidate_systems(screening, executor))
    steps = [asdict(step) for step in screening.funnel]
    drawn = screen_figures(
        table, steps, ion=criteria.ion, max_center_mev=criteria.max_center_mev, max_e_hull_ev=criteria.max_e_hull_ev,
        yardsticks=screening.yardsticks,
    )  # fmt: skip
    save_all(drawn, folder, STEMS, files=files)


def candidate_systems(screening: Screening, executor: Executor | None = None) -> dict[int, str]:
    """Return the crystal systems of the candidates, by their place in the input."""
    candidates = np.sort(screening.table.index[screening.table["passes"].astype(bool)].to_numpy(int))
    starts = positions_of(screening.parts)
    of_part = np.split(candidates, np.searchsorted(candidates, starts[1:-1]))
    tasks = [
        (part, places - start)
        for part, places, start in zip(screening.parts, of_part, starts[:-1], strict=True)
        if len(places)
    ]
    by_task = dict(map_tasks(crystal_systems, tasks, executor))
    systems = [system for number in range(len(tasks)) for system in by_task[number]]
    return dict(zip(candidates.tolist(), systems, strict=True))


def crystal_systems(part: Part, places: Ints) -> list[str]:
    """Return the crystal systems of some crystals of a part."""
    return [crystal_system(make("")) for _, make in records_of(part.load(CRYSTAL).take(places))]


def remove_parts(folder: Path) -> None:
    """Remove the described batches of a finished screen."""
    import shutil

    shutil.rmtree(folder / PARTS, ignore_errors=True)  # a hidden folder of our own
