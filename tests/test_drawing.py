"""Figures of the crystals of a campaign: drawn once, anew for other results, and never at the cost of a material."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk
from PIL import Image

from phonolyte.drawing import DRAWN, draw_figures
from phonolyte.errors import SettingsError
from phonolyte.forces import open_engine
from phonolyte.phonons import PhononCalculation, PhononSettings
from phonolyte.runs.campaign import run_campaign
from phonolyte.runs.run import Run
from phonolyte.runs.settings import FigureFiles, OutputSettings
from phonolyte.settings import resolve
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


@pytest.mark.long
@pytest.mark.figures
def test_figures_that_are_damaged_are_drawn_anew(run: Run, table: pd.DataFrame):
    draw_figures(CALCULATION, table, run)
    figure = run.folder / "Cu" / "bands.png"
    first = figure.read_bytes()
    figure.with_suffix(".pdf").unlink()
    draw_figures(CALCULATION, table, run)
    assert figure.with_suffix(".pdf").is_file()
    figure.write_bytes(first[:1000])
    draw_figures(CALCULATION, table, run)
    assert figure.read_bytes() == first
    for garbage in ("", "{", "[]", '{"source": 1}'):
        time = figure.stat().st_mtime_ns
        (figure.parent / DRAWN).write_text(garbage)
        draw_figures(CALCULATION, table[table["material_id"] == "Cu"], run)
        assert figure.stat().st_mtime_ns > time


def test_a_crystal_that_cannot_be_drawn_is_a_note_and_stops_no_other(run: Run, table: pd.DataFrame):
    (run.folder / "Cu" / "phonopy_params.yaml").write_text("not: phonons\n")
    with ThreadPoolExecutor(1) as executor:
        draw_figures(CALCULATION, table, run, executor=executor)
    (note,) = run.notes
    assert note.startswith("1 crystal has no figure, such as Cu: ")
    assert (run.folder / "Au" / "bands.png").is_file()
    assert not (run.folder / "Cu" / "bands.png").exists()


@pytest.mark.figures
def test_figures_are_written_in_the_formats_and_the_resolution_that_are_chosen(run: Run, table: pd.DataFrame):
    folder = run.folder / "Cu"
    draw_figures(CALCULATION, table, run)
    assert {path.suffix for path in folder.glob("bands.*")} == {".png", ".pdf"}
    draw_figures(CALCULATION, table, run, files=FigureFiles(("svg",)))
    assert {path.suffix for path in folder.glob("bands.*")} == {".svg"}  # none of before, which could be out of date
    sizes = []
    for dpi in (None, 200, 100):
        draw_figures(CALCULATION, table, run, files=FigureFiles(("png",), dpi))
        with Image.open(folder / "bands.png") as image:
            sizes.append(image.width)
    assert sizes[0] == sizes[1] == pytest.approx(2 * sizes[2], abs=1)


def test_formats_are_options_variables_and_settings(monkeypatch: pytest.MonkeyPatch):
    assert resolve(OutputSettings, {"figure_format": ["svg", "svg", "pdf"]}).figure_format == ("svg", "pdf")
    table = {"figure_format": ["pdf"], "dpi": 600, "figures": True}
    assert resolve(OutputSettings, {"dpi": 300}, table) == OutputSettings(figure_format=("pdf",), dpi=300)
    monkeypatch.setenv("PHONOLYTE_FIGURE_FORMAT", "png,svg")
    assert resolve(OutputSettings).figure_format == ("png", "svg")
    assert OutputSettings().choose(("png",)) == ("png",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"figure_format": ["eps"]}, "figure_format is .*eps.*pdf or png or svg"),
        ({"figure_format": ["../x"]}, "figure_format"),
        ({"figure_format": [""]}, "figure_format"),
        ({"dpi": 0}, "dpi is 0"),
        ({"dpi": -200}, "dpi is -200"),
        ({"dpi": 10**9}, "dpi is 1000000000.*too large"),
        ({"dpi": float("inf")}, "dpi is inf"),
        ({"dpi": float("nan")}, "dpi is nan"),
        ({"dpi": "many"}, "dpi is 'many'"),
    ],
)
def test_formats_and_resolutions_that_make_no_figure_are_refused(given: dict[str, object], said: str):
    with pytest.raises(SettingsError, match=said):
        resolve(OutputSettings, given)


def test_formats_given_in_python_are_checked_too():
    for given in ("pdf", ("eps",)):
        with pytest.raises(SettingsError):
            FigureFiles(given)  # type: ignore[arg-type]
