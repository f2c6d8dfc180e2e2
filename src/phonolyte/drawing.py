"""Figures of the crystals of a campaign, into the folder of each."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from phonolyte.figures.style import save
from phonolyte.runs.calculation import Calculation
from phonolyte.runs.digest import digest_of
from phonolyte.runs.progress import Advance
from phonolyte.runs.records import folder_of, write_text
from phonolyte.runs.run import Run

DRAWN = ".drawn"
"""File of a crystal with the digest of what its figures were drawn from."""


def draw_figures(
    calculation: Calculation, table: pd.DataFrame, run: Run, *, executor: Executor | None = None,
    progress: Advance | None = None,
) -> None:  # fmt: skip
    """Draw the figures of every crystal of a table (PNG and PDF); those that are up to date stay.

    A figure that cannot be drawn costs a note, and no material.
    """
    draw = partial(draw_crystal, calculation, run.folder)
    rows = table.to_dict("records")
    lost = []
    for row, why in zip(rows, executor.map(draw, rows) if executor else map(draw, rows), strict=True):
        if why:
            lost.append(f"{row['material_id']}: {why}")
        if progress:
            progress(1)
    if lost:
        run.add_note(f"{len(lost)} crystals have no figure, such as {lost[0]}")


def draw_crystal(calculation: Calculation, run: Path, row: Mapping[Any, Any]) -> str:
    """Draw the figures of one crystal; what went wrong, empty where nothing did."""
    named = {str(name): value for name, value in row.items()}
    folder = folder_of(run, str(named["material_id"]))
    source = digest_of(calculation.key, {name: str(value) for name, value in named.items()})
    try:
        if (folder / DRAWN).is_file() and (folder / DRAWN).read_text(encoding="utf-8") == source:
            return ""
        for stem, figure in calculation.draw(named, run).items():
            save(figure, folder / stem, ("png", "pdf"))
        if folder.is_dir():
            write_text(folder / DRAWN, source)
    except Exception as error:  # matplotlib, phonopy and ASE can raise anything
        return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return ""
