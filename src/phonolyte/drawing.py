"""A campaign with its figures: of the crystals, into the folder of each, and of all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from phonolyte.counts import count, have
from phonolyte.errors import first_line
from phonolyte.figures.style import remove, save
from phonolyte.runs.calculation import Calculation
from phonolyte.runs.campaign import Outcome, run_campaign
from phonolyte.runs.digest import digest_of
from phonolyte.runs.progress import Advance, OpenBar, no_bar
from phonolyte.runs.records import checksum, folder_of, read_json, write_json
from phonolyte.runs.run import Run
from phonolyte.runs.settings import AS_USUAL, FigureFiles
from phonolyte.structures import Crystal

OpenTier = Callable[[int], AbstractContextManager[Executor | None]]
"""Opens the executor of a tier for a number of crystals."""

FIGURES = "figures"
"""Folder of a run folder with the figures of all crystals together."""

"""Formats of the figures of a campaign, where none are chosen."""

DRAWN = ".drawn"
"""File of a crystal with the digest of what its figures were drawn from, and the checksum of each."""


def compute_and_draw(
    calculation: Calculation, crystals: Sequence[Crystal], run: Run, *, executor: Executor | None = None,
    deadline: float | None = None, figures: FigureFiles | None = AS_USUAL, progress: OpenBar = no_bar,
    announce: Callable[[str], None] | None = None,
) -> Outcome:  # fmt: skip
    """Compute many crystals into a run folder, note what is to be known of the result, and draw its figures.

    Parameters
    ----------
    calculation, crystals, run, executor, deadline, announce
        As :func:`phonolyte.runs.campaign.run_campaign` takes them.
    figures
        How figures are written; None for none.
    progress
        Opens a bar.

    Raises
    ------
    SettingsError, EngineError
        As :func:`phonolyte.runs.campaign.run_campaign` does.
    """
    with progress(f"{calculation.title} (atoms)", sum(map(len, crystals))) as advance:
        outcome = run_campaign(
            calculation, crystals, run, executor=executor, deadline=deadline, progress=advance, announce=announce
        )
    for note in outcome.notes:
        run.add_note(note)
    if figures and len(outcome.table):
        with progress(f"Figures of {calculation.name}", len(outcome.table)) as advance:
            draw_figures(calculation, outcome.table, run, executor=executor, progress=advance, files=figures)
    return outcome


def run_tier(
    calculation: Calculation, crystals: Sequence[Crystal], folder: Path, *, open_tier: OpenTier | None = None,
    deadline: float | None = None, figures: FigureFiles | None = AS_USUAL, progress: OpenBar = no_bar,
) -> Outcome:  # fmt: skip
    """Compute a tier of a larger run into a run folder of its own, and draw its figures.

    Parameters
    ----------
    calculation, crystals, deadline, figures, progress
        As :func:`compute_and_draw` takes them.
    folder
        Run folder.
    open_tier
        Opens the executor for a number of crystals; default: this process.
    """
    opened = Run(
        folder, calculation.name, settings=calculation.decides(), identity=calculation.name,
        engine=calculation.engine_used, cites=calculation.cites,
    )  # fmt: skip
    with opened as run, open_tier(len(crystals)) if open_tier else nullcontext() as executor:
        ready = calculation.prepare(crystals, run, executor=executor, progress=progress)
        return compute_and_draw(
            ready, crystals, run, executor=executor, deadline=deadline, figures=figures, progress=progress
        )


def draw_figures(
    calculation: Calculation, table: pd.DataFrame, run: Run, *, executor: Executor | None = None,
    progress: Advance | None = None, files: FigureFiles = AS_USUAL,
) -> None:  # fmt: skip
    """Draw the figures of every crystal of a table, and those of all; what is up to date stays. Default: PNG, PDF.

    A figure that cannot be drawn costs a note, and no material.
    """
    for stem, figure in calculation.overview(table.sort_values(calculation.sort_by)).items():
        remove([run.path(FIGURES) / stem])
        save(figure, run.path(FIGURES) / stem, files=files)
    draw = partial(draw_crystal, calculation, run.folder, files=files)
    rows = table.to_dict("records")
    lost = []
    for row, why in zip(rows, executor.map(draw, rows) if executor else map(draw, rows), strict=True):
        if why:
            lost.append(f"{row['material_id']}: {why}")
        if progress:
            progress(1)
    if lost:
        run.add_note(f"{count(len(lost), 'crystal')} {have(len(lost))} no figure, such as {lost[0]}")


def draw_crystal(calculation: Calculation, run: Path, row: Mapping[Any, Any], *, files: FigureFiles = AS_USUAL) -> str:
    """Draw the figures of one crystal; what went wrong, empty where nothing did."""
    named = {str(name): value for name, value in row.items()}
    folder = folder_of(run, str(named["material_id"]))
    chosen = [files] if files.figure_format or files.dpi else []
    source = digest_of(calculation.key, {name: str(value) for name, value in named.items()}, *map(repr, chosen))
    try:
        if _is_drawn(folder, source):
            return ""
        figures = calculation.draw(named, run)
        remove(folder / stem for stem in figures)
        paths = [path for stem, fig in figures.items() for path in save(fig, folder / stem, files=files)]
        if paths:
            write_json(folder / DRAWN, {"source": source, "files": {path.name: checksum(path) for path in paths}})
    except Exception as error:  # matplotlib, phonopy and ASE can raise anything
        return first_line(error)[:200]
    return ""


def _is_drawn(folder: Path, source: str) -> bool:
    """Whether all figures of this source are there, and whole."""
    record = read_json(folder / DRAWN) or {}
    files = record.get("files")
    return (
        record.get("source") == source
        and isinstance(files, dict)
        and all((folder / name).is_file() and checksum(folder / name) == known for name, known in files.items())
    )
