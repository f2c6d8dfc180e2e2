from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from matplotlib.figure import Figure
from pymatgen.io.phonopy import get_ph_bs_symm_line
from pymatgen.io.vasp import Poscar

from phonolyte.figures import center_histograms, draw_campaign, parity, phonon_bands, row_trend, save
from phonolyte.figures.style import COLOURS, source_of, with_subscripts
from phonolyte.forces import open_engine
from phonolyte.phonons import PhononResult, PhononSettings, phonons
from phonolyte.phonons.bands import BandStructure, band_structure, load_phonons, save_bands
from phonolyte.phonons.campaign import campaign
from phonolyte.structures import Crystal

MEV_PER_THZ = 4.135667696


@pytest.fixture(scope="module")
def copper() -> PhononResult:
    crystal = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
    return phonons(crystal, open_engine("emt"), PhononSettings(min_length_a=7.0, mesh=(11, 11, 11)))


@pytest.fixture(scope="module")
def bands(copper: PhononResult) -> BandStructure:
    return band_structure(copper.phonopy)


def texts(figure: Figure) -> str:
    return " ".join(
        text.get_text()
        for axes in figure.axes
        for text in (*axes.texts, *axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label, axes.title)
    )


def test_bands_follow_the_path_of_the_lattice(bands: BandStructure, copper: PhononResult):
    assert bands.labels[:5] == ("Γ", "X", "W", "K", "Γ")
    assert "U|K" in bands.labels or "K|U" in bands.labels
    assert len(bands.parts) == 2
    at_gamma = bands.parts[0][1][0]
    np.testing.assert_allclose(at_gamma, 0.0, atol=0.05)
    assert bands.highest_mev == pytest.approx(copper.highest_mode_mev, rel=0.02)
    at_x = bands.parts[0][1][np.argmin(np.abs(bands.parts[0][0] - bands.positions[1]))]
    copper.phonopy.run_qpoints([[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(at_x, copper.phonopy.qpoints.frequencies[0] * MEV_PER_THZ, atol=1e-6)


def test_bands_of_a_saved_result_are_the_same(bands: BandStructure, copper: PhononResult, tmp_path: Path):
    copper.save(tmp_path)
    phonon = load_phonons(tmp_path)
    again = band_structure(phonon)
    save_bands(phonon, tmp_path)
    np.testing.assert_allclose(again.parts[0][1], bands.parts[0][1], atol=1e-6)
    plotted = get_ph_bs_symm_line(tmp_path / "band.yaml", labels_dict={})  # as pymatgen and sumo read it
    highest = plotted.bands.max() * MEV_PER_THZ
    assert highest == pytest.approx(bands.highest_mev, abs=1e-3)
    assert len(Poscar.from_file(tmp_path / "POSCAR").structure) == len(copper.crystal)


def test_the_figure_of_bands_has_units_and_its_center(bands: BandStructure, copper: PhononResult):
    figure = phonon_bands(bands, copper.dos, ion="Cu")
    shown = texts(figure)
    assert f"{copper.band_center_mev:.1f} meV" in shown
    assert "Phonon energy (meV)" in shown
    assert "imaginary" not in shown
    assert figure.axes[0].get_ylim()[0] == 0.0


def test_imaginary_modes_are_shown_below_zero(bands: BandStructure, copper: PhononResult):
    lower = BandStructure(tuple((x, e - 5.0) for x, e in bands.parts), bands.labels, bands.positions)
    figure = phonon_bands(lower, copper.dos)
    assert "imaginary" in texts(figure)
    assert figure.axes[0].get_ylim()[0] < -5.0


def test_a_slight_instability_has_room_for_its_name(bands: BandStructure, copper: PhononResult):
    lower = BandStructure(tuple((x, e - 0.8) for x, e in bands.parts), bands.labels, bands.positions)
    bottom, top = phonon_bands(lower, copper.dos).axes[0].get_ylim()
    assert -bottom > 0.05 * (top - bottom)


def test_the_mobile_ion_has_one_colour_in_all_figures(bands: BandStructure, copper: PhononResult):
    share = copper.dos.total / 2
    for other in ("Ag", "Zn"):
        dos = replace(copper.dos, per_element={other: share, "Cu": share})
        lines = {str(line.get_label()): line.get_color() for line in phonon_bands(bands, dos, ion="Cu").axes[1].lines}
        assert lines["Cu"] == COLOURS[0]


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """A run folder with the phonons of copper and gold, and its table."""
    metals = [Crystal.from_ase(bulk(name), material_id=name) for name in ("Cu", "Au")]
    settings = PhononSettings(min_length_a=5.0, mesh=(7, 7, 7))
    return tmp_path, campaign(metals, open_engine("emt"), tmp_path, settings, ion="Cu")[0]


def test_figures_of_a_campaign_are_drawn_once_and_anew_for_other_phonons(run: tuple[Path, pd.DataFrame]):
    folder, table = run
    assert draw_campaign(folder, table) == []
    figure = folder / "Cu" / "bands.png"
    first, time = figure.read_bytes(), figure.stat().st_mtime_ns
    draw_campaign(folder, table)
    assert figure.stat().st_mtime_ns == time
    draw_campaign(folder, table.assign(ion=None))
    assert figure.read_bytes() != first
    (folder / "Cu" / "bands.pdf").unlink()
    figure.write_bytes(first[:1000])  # half a file, as of a program without one step
    draw_campaign(folder, table)
    assert figure.read_bytes() == first
    assert (folder / "Cu" / "bands.pdf").is_file()
    (folder / "dos" / "Cu.parquet").write_bytes((folder / "dos" / "Au.parquet").read_bytes())
    draw_campaign(folder, table)
    assert figure.read_bytes() != first


def test_a_crystal_that_cannot_be_drawn_stops_no_other(run: tuple[Path, pd.DataFrame]):
    folder, table = run
    (folder / "Cu" / "phonopy_params.yaml").write_text("not: phonons\n")
    (failure,) = draw_campaign(folder, table)
    assert (failure.material_id, failure.stage) == ("Cu", "figures")
    assert (folder / "Au" / "bands.png").is_file()
    assert not (folder / "Cu" / "bands.png").exists()


def test_parity_states_its_scores():
    reference = np.array([10.0, 20.0, 30.0])
    figure = parity(reference, {"raw": reference - 1.0, "calibrated": reference})
    assert "MAE = 1.00 meV" in figure.axes[0].texts[0].get_text()
    assert "bias = −1.00 meV" in figure.axes[0].texts[0].get_text()
    assert "R² = 1.000" in figure.axes[1].texts[0].get_text()


def test_histograms_state_counts_and_the_trend_its_correlation():
    histogram = [0] * 200
    histogram[12] = 300
    summary = {"prototypes": {"nasicon": {"compounds": 300, "soft_share": 1.0, "histogram_per_mev": histogram}}}
    assert "300, 100% below 40 meV" in texts(center_histograms(summary))
    row = np.linspace(2, 5, 300)
    figure = row_trend(pd.DataFrame({"mean_Row": row, "band_center_mev": 60 - 10 * row}))
    assert "r = -1.00" in texts(figure)
    assert "Predicted band center (meV)" in texts(figure)


def test_equal_figures_have_equal_bytes(tmp_path: Path):
    reference = np.array([10.0, 20.0, 30.0])
    one = save(parity(reference, {"": reference}), tmp_path / "one")
    other = save(parity(reference, {"": reference}), tmp_path / "other")
    assert [path.suffix for path in one] == [".pdf", ".svg", ".png"]
    for path, same in zip(one, other, strict=True):
        assert path.read_bytes() == same.read_bytes()


def test_numbers_of_a_formula_are_set_low():
    assert with_subscripts("Li3PO4") == "Li$_{3}$PO$_{4}$"


def test_a_figure_says_what_it_was_drawn_from(tmp_path: Path):
    reference = np.array([10.0, 20.0, 30.0])
    png = save(parity(reference, {"": reference}), tmp_path / "one", source="abc Li")[-1]
    assert source_of(png) == "abc Li"
    assert source_of(tmp_path / "missing.png") == ""
    assert not list(tmp_path.glob("*.partial"))
