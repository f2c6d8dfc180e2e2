"""Figures of the crystals of a campaign: drawn once, anew for other results, and never at the cost of a material."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk

from phonolyte.drawing import DRAWN, draw_figures
from phonolyte.forces import open_engine
from phonolyte.phonons import PhononCalculation, PhononSettings
from phonolyte.runs.campaign import run_campaign
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal

CALCULATION = PhononCalculation(open_engine("emt"), PhononSettings(min_length_a=5.0, mesh=(7, 7, 7)), ion="Cu")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run(tmp_path / "run", "phonons") as opened:
        yield opened


@pytest.fixture
def table(run: Run) -> pd.DataFrame:
    """Phonons of copper and gold."""
    metals = [Crystal.from_ase(bulk(name), material_id=name) for name in ("Cu", "Au")]
    return run_campaign(CALCULATION, metals, run).table


def test_figures_are_drawn_once_and_anew_for_other_phonons(run: Run, table: pd.DataFrame):
    progress: list[int] = []
    draw_figures(CALCULATION, table, run, progress=progress.append)
    assert run.notes == []
    assert progress == [1, 1]
    figure = run.folder / "Cu" / "bands.png"
    first, time = figure.read_bytes(), figure.stat().st_mtime_ns
    draw_figures(CALCULATION, table, run)
    assert figure.stat().st_mtime_ns == time
    draw_figures(CALCULATION, table.assign(ion=None), run)
    assert figure.read_bytes() != first
    draw_figures(CALCULATION, table, run)
    assert figure.read_bytes() == first
    (run.folder / "dos" / "Cu.parquet").write_bytes((run.folder / "dos" / "Au.parquet").read_bytes())
    draw_figures(CALCULATION, table.assign(seconds=table["seconds"] + 1), run)  # computed anew
    assert figure.read_bytes() != first


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"source": 1}'])
def test_figures_that_are_damaged_are_drawn_anew(run: Run, table: pd.DataFrame, garbage: str):
    draw_figures(CALCULATION, table, run)
    figure = run.folder / "Cu" / "bands.png"
    first = figure.read_bytes()
    figure.with_suffix(".pdf").unlink()
    draw_figures(CALCULATION, table, run)
    assert figure.with_suffix(".pdf").is_file()
    figure.write_bytes(first[:1000])
    draw_figures(CALCULATION, table, run)
    assert figure.read_bytes() == first
    time = figure.stat().st_mtime_ns
    (figure.parent / DRAWN).write_text(garbage)
    draw_figures(CALCULATION, table, run)
    assert figure.stat().st_mtime_ns > time


def test_a_crystal_that_cannot_be_drawn_is_a_note_and_stops_no_other(run: Run, table: pd.DataFrame):
    (run.folder / "Cu" / "phonopy_params.yaml").write_text("not: phonons\n")
    with ThreadPoolExecutor(1) as executor:
        draw_figures(CALCULATION, table, run, executor=executor)
    (note,) = run.notes
    assert note.startswith("1 crystal has no figure, such as Cu: ")
    assert (run.folder / "Au" / "bands.png").is_file()
    assert not (run.folder / "Cu" / "bands.png").exists()
