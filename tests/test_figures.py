from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from matplotlib.figure import Figure
from pymatgen.io.phonopy import get_ph_bs_symm_line
from pymatgen.io.vasp import Poscar

from phonolyte import figures
from phonolyte.figures import (
    CAPTIONS,
    caption_of,
    center_against_barrier,
    center_against_energy,
    center_against_volume,
    center_histogram,
    center_histograms,
    conductivity_against_barrier,
    cross_validated_parity,
    diffusion_arrhenius,
    element_counts,
    family_centers,
    followed_figures,
    funnel,
    hull_against_center,
    importance_bars,
    interval_parity,
    kinds,
    neb_profile,
    parity,
    periodic_table,
    phonon_bands,
    phonon_dos,
    row_trend,
    save,
    save_all,
    score_bars,
    screen,
    screen_figures,
    site_energy_map,
    substitution_table,
    training,
    virtual,
)
from phonolyte.figures.periodic_table import place_of
from phonolyte.figures.style import COLORS, FORMATS, plain, source_of, with_subscripts
from phonolyte.forces import open_engine
from phonolyte.phonons import PhononResult, PhononSettings, compute_phonons
from phonolyte.phonons.bands import BandStructure, band_structure, load_phonons, save_bands
from phonolyte.structures import Crystal
from phonolyte.tiers import all_tiers

MEV_PER_THZ = 4.135667696


@pytest.fixture(scope="module")
def copper() -> PhononResult:
    crystal = Crystal.from_ase(bulk("Cu", cubic=True), material_id="copper")
    return compute_phonons(crystal, open_engine("emt"), PhononSettings(min_length_a=7.0, mesh=(11, 11, 11)))


@pytest.fixture(scope="module")
def bands(copper: PhononResult) -> BandStructure:
    return band_structure(copper.phonopy)


def join_texts(figure: Figure) -> str:
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
    shown = join_texts(figure)
    assert f"{copper.band_center_mev:.1f} meV" in shown
    assert "Phonon energy (meV)" in shown
    assert "imaginary" not in shown
    assert figure.axes[0].get_ylim()[0] == 0.0


def test_imaginary_modes_are_shown_below_zero(bands: BandStructure, copper: PhononResult):
    lower = BandStructure(tuple((x, e - 5.0) for x, e in bands.parts), bands.labels, bands.positions)
    figure = phonon_bands(lower, copper.dos)
    assert "imaginary" in join_texts(figure)
    assert figure.axes[0].get_ylim()[0] < -5.0


def test_a_slight_instability_has_room_for_its_name(bands: BandStructure, copper: PhononResult):
    lower = BandStructure(tuple((x, e - 0.8) for x, e in bands.parts), bands.labels, bands.positions)
    bottom, top = phonon_bands(lower, copper.dos).axes[0].get_ylim()
    assert -bottom > 0.05 * (top - bottom)


def test_the_mobile_ion_has_one_color_in_all_figures(bands: BandStructure, copper: PhononResult):
    share = copper.dos.total / 2
    for other in ("Ag", "Zn"):
        dos = replace(copper.dos, per_element={other: share, "Cu": share})
        lines = {str(line.get_label()): line.get_color() for line in phonon_bands(bands, dos, ion="Cu").axes[1].lines}
        assert lines["Cu"] == COLORS[0]


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
    assert "300, 100% below 40 meV" in join_texts(center_histograms(summary))
    row = np.linspace(2, 5, 300)
    figure = row_trend(pd.DataFrame({"mean_Row": row, "band_center_mev": 60 - 10 * row}))
    assert "r = -1.00" in join_texts(figure)
    assert "Predicted band center (meV)" in join_texts(figure)


def test_equal_figures_have_equal_bytes(tmp_path: Path):
    reference = np.array([10.0, 20.0, 30.0])
    one = save(parity(reference, {"": reference}), tmp_path / "one", FORMATS)
    other = save(parity(reference, {"": reference}), tmp_path / "other", FORMATS)
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


HOSTILE = (
    "Li$3$",
    r"$\frac{1}{",
    "<script>alert(1)</script>",
    "Li_6^{PS}",
    "💎 crystal",
    "a" * 300,
    "tab\tline\n",
    "\x00",
)


def draw(figure: Figure, folder: Path) -> Figure:
    """A figure after it was written: only then does matplotlib read its texts."""
    (path,) = save(figure, folder / "drawn", ("svg",))
    assert path.stat().st_size > 1_000
    return figure


def make_compounds(n: int, *, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    families = ["oxide", "sulfide", "halide", "intermetallic"]
    return pd.DataFrame(
        {
            "material_id": [f"m{i}" for i in range(n)],
            "formula": [HOSTILE[i % len(HOSTILE)] for i in range(n)],
            "family": [families[i % 4] for i in range(n)],
            "crystal_system": [("cubic", "unknown")[i % 2] for i in range(n)],
            "band_center_mev": rng.uniform(10, 90, n),
            "e_hull_ev": rng.exponential(0.1, n),
            "volume_per_atom_a3": rng.uniform(8, 40, n),
            "barrier_ev": rng.uniform(0.1, 1.0, n),
            "ea_ev": rng.uniform(0.1, 1.0, n),
            "mean_Row": rng.uniform(2, 5, n),
        }
    )


OF_COMPOUNDS = {
    "family_centers": family_centers,
    "hull_against_center": hull_against_center,
    "center_against_volume": lambda table: center_against_volume(table, named=set(table["material_id"][:3])),
    "kinds": kinds,
    "center_against_barrier": lambda table: center_against_barrier(table, by="family"),
    "center_against_barrier, named": lambda table: center_against_barrier(table[:20], names="formula"),
    "center_against_energy": lambda table: center_against_energy(table[:20]),
    "row_trend": row_trend,
    "center_histogram": lambda table: center_histogram(
        table["band_center_mev"].to_numpy(), table["family"].to_numpy() == "oxide", subset_name=HOSTILE[1]
    ),
}
"""Figures of a table of compounds, each as a function of it alone."""


@pytest.mark.parametrize("name", OF_COMPOUNDS)
@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_a_figure_can_be_drawn_of_any_number_of_compounds(name: str, n: int, tmp_path: Path):
    draw(OF_COMPOUNDS[name](make_compounds(n)), tmp_path)


def test_hostile_names_can_be_written_in_every_format(tmp_path: Path):
    table = make_compounds(len(HOSTILE))
    figure = center_against_volume(table.assign(family=table["formula"]), named=set(table["material_id"]))
    for path in save(figure, tmp_path / "hostile", FORMATS):
        assert path.stat().st_size > 1_000
    ElementTree.parse(tmp_path / "hostile.svg")


@pytest.mark.parametrize("name", OF_COMPOUNDS)
def test_what_is_not_known_is_left_out_of_a_figure(name: str, tmp_path: Path):
    table = make_compounds(40)
    numbers = table.select_dtypes("number").columns
    table.loc[::3, numbers] = np.nan
    table.loc[1, numbers] = np.inf
    draw(OF_COMPOUNDS[name](table), tmp_path)
    draw(OF_COMPOUNDS[name](table.assign(**dict.fromkeys(numbers, np.nan))), tmp_path)


@pytest.mark.parametrize("name", OF_COMPOUNDS)
def test_every_axis_of_a_figure_has_its_unit(name: str):
    for axes in OF_COMPOUNDS[name](make_compounds(40)).axes:
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert label in ("", "Compounds", "Mean row of the elements") or "(" in label


@pytest.mark.filterwarnings("ignore:Glyph")  # of a name that is an emoji
@pytest.mark.parametrize("name", OF_COMPOUNDS)
def test_the_compounds_are_within_the_axes(name: str):
    figure = OF_COMPOUNDS[name](make_compounds(40))
    figure.draw_without_rendering()
    for axes in figure.axes[:1]:
        for points in axes.collections:
            offsets = np.asarray(points.get_offsets())
            inside = axes.viewLim.padded(1e-9).contains
            assert all(inside(x, y) for x, y in offsets[offsets.any(axis=1)])


def test_twenty_thousand_compounds_make_small_files(tmp_path: Path):
    for path in save(hull_against_center(make_compounds(20_000)), tmp_path / "hull"):
        assert path.stat().st_size < 1_500_000


def test_the_hull_figure_has_each_compound_once_and_says_what_is_beyond_its_axis():
    table = make_compounds(1000)
    whole, near = hull_against_center(table, max_e_hull_ev=0.05).axes
    shown = whole.collections[0].get_offsets()
    beyond = int(whole.get_title(loc="left").split(", ")[1].split()[0])
    assert len(shown) + beyond == 1000
    assert len(near.collections[0].get_offsets()) == (table["e_hull_ev"] <= 0.1).sum()
    assert shown[:, 1].max() == pytest.approx(1000 * table["e_hull_ev"].sort_values().iloc[len(shown) - 1])
    assert {line.get_ydata()[0] for line in near.lines if len(set(line.get_ydata())) == 1} == {50.0}


def test_a_family_has_one_color_in_all_figures():
    from matplotlib.colors import to_hex

    table = make_compounds(8).assign(family="sulfide")
    figures = (hull_against_center(table), center_against_volume(table), family_centers(table))
    colors = {to_hex(figure.axes[0].collections[0].get_facecolor()[0]) for figure in figures}
    assert len(colors) == 1


def test_families_are_ordered_by_their_medians_with_their_numbers():
    table = pd.DataFrame({"family": ["oxide"] * 5 + ["sulfide"] * 6, "band_center_mev": [60.0] * 5 + [30.0] * 6})
    (axes,) = family_centers(table, max_center_mev=40.0).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sulfide", "oxide"]
    assert [text.get_text() for text in axes.texts] == ["6", "5"]


def test_a_histogram_counts_every_finite_center():
    centers = np.array([10.0, 10.2, 35.0, np.nan, np.inf])
    (axes,) = center_histogram(centers, np.array([True, False, True, True, True]), subset_name="with Li").axes
    heights = [sum(patch.get_height() for patch in bars) for bars in axes.containers]
    assert heights == [3, 2]


def test_bars_of_kinds_are_the_counts():
    family, system = kinds(make_compounds(10)).axes
    assert [bar.get_width() for bar in family.patches] == [3, 3, 2, 2]
    assert [label.get_text() for label in system.get_yticklabels()] == ["cubic", "unknown"]


def test_the_periodic_table_has_each_element_in_its_place():
    assert [place_of(z) for z in (1, 2, 3, 10, 21, 57, 70, 71, 79, 103)] == [
        (1, 1), (18, 1), (1, 2), (18, 2), (3, 4), (3, 8.3), (16, 8.3), (3, 6), (11, 6), (3, 7),
    ]  # fmt: skip
    assert len({place_of(z) for z in range(1, 104)}) == 103
    columns = {z: place_of(z)[0] for z in (5, 9, 17, 30, 31, 55, 56, 72)}
    assert columns == {5: 13, 9: 17, 17: 17, 30: 12, 31: 13, 55: 1, 56: 2, 72: 4}


def test_the_periodic_table_shows_counts(tmp_path: Path):
    counts = element_counts([{"Li", "O"}, {"Li", "S"}, ["Li", "Li"]])
    assert counts == {"Li": 3, "O": 1, "S": 1}
    shown = [text.get_text() for text in draw(periodic_table(counts), tmp_path).axes[0].texts]
    assert shown[shown.index("Li") + 1] == "3"
    assert "Og" not in shown
    for odd in ({}, {"Li": 1}, {"Li": 3_000_000, "Xx": 5}):
        draw(periodic_table(odd), tmp_path)


STEPS = (
    {"rule": "materials given", "applied": True, "kept": 10, "rejected": 0, "missing": 0},
    {"rule": HOSTILE[1], "applied": True, "kept": 4, "rejected": 5, "missing": 1},
    {"rule": "band gap", "applied": False, "kept": 4, "rejected": 0, "missing": 0},
)


def test_the_funnel_adds_up(tmp_path: Path):
    (axes,) = draw(funnel(STEPS), tmp_path).axes
    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(3, 3)
    assert widths.sum(axis=0).tolist() == [10, 10, 4]
    shown = " ".join(text.get_text() for text in axes.texts)
    assert "1 unknown   5 rejected   4" in shown
    assert "band gap (not applied)" in shown
    draw(funnel(()), tmp_path)
    draw(funnel([STEPS[0] | {"kept": 0}]), tmp_path)


METRICS = [
    {"algorithm": algorithm, "features": features, "n": 100, "r2": r2, "mae_mev": 3.0 - r2, "rmse_mev": 5.0,
     "r2_std": 0.1, "mae_std_mev": 0.2, "rmse_std_mev": None, "split": "random"}
    for algorithm, r2 in (("xgboost", 0.8), ("extra_trees", 0.9)) for features in ("all", "selected")
]  # fmt: skip


def test_bars_of_scores_are_the_scores_the_best_on_top(tmp_path: Path):
    r2, mae, _ = draw(score_bars(METRICS), tmp_path).axes
    assert [label.get_text() for label in r2.get_yticklabels()] == ["extra trees", "xgboost"]
    assert [bar.get_width() for bar in r2.patches] == [0.9, 0.8, 0.9, 0.8]
    assert mae.get_xlabel() == "MAE (meV)"


def test_a_regressor_that_failed_does_not_flatten_the_others(tmp_path: Path):
    bad = METRICS[0] | {"algorithm": HOSTILE[1], "r2": -1e9, "mae_mev": 1e9, "rmse_mev": None, "mae_std_mev": None}
    r2, mae, _ = draw(score_bars([*METRICS, bad]), tmp_path).axes
    assert r2.get_xlim()[0] >= -1.0
    assert mae.get_xlim()[1] < 10
    draw(score_bars([]), tmp_path)
    draw(score_bars(METRICS[:1]), tmp_path)


def test_importances_are_shown_the_largest_first(tmp_path: Path):
    table = pd.DataFrame(
        {"feature": [f"mean_{name}" for name in HOSTILE] * 4, "gini": np.linspace(0.3, 0.0, 32),
         "permutation_mev": 1.0, "permutation_std_mev": 0.1}
    )  # fmt: skip
    left, _ = draw(importance_bars(table, most=10), tmp_path).axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx(100 * table["gini"][:10])
    draw(importance_bars(table[:0]), tmp_path)


def test_intervals_that_miss_are_counted(tmp_path: Path):
    known = np.array([10.0, 20.0, 30.0, np.nan])
    figure = draw(interval_parity(known, known + 1, known - 1, known + np.array([2, -0.5, 2, 2])), tmp_path)
    assert "66.7% inside (90% nominal)" in figure.axes[0].texts[0].get_text()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["holds: 2", "misses: 1"]
    nothing = np.array([])
    draw(interval_parity(nothing, nothing, nothing, nothing), tmp_path)


def test_parity_has_a_panel_for_each_series(tmp_path: Path):
    known = np.linspace(10, 60, 30)
    for n in (0, 1, 2, 4, 5, 9):
        figure = draw(parity(known, {f"{HOSTILE[i % 8]}{i}": known + i for i in range(n)}), tmp_path)
        assert len([axes for axes in figure.axes if axes.axison]) == max(n, 1)
    odd = parity(np.array([10.0, np.nan]), {"one": np.array([11.0, 5.0]), "none": np.full(2, np.nan)})
    assert "n = 1\nMAE" in draw(odd, tmp_path).axes[0].texts[0].get_text()
    assert odd.axes[1].texts[0].get_text() == "n = 0"


def test_parity_of_a_cross_validation_begins_with_the_model_that_is_kept():
    rows = [
        {"algorithm": algorithm, "features": "all", "split": "random", "fold": 0, "material_id": f"m{i}",
         "band_center_mev": 10.0 * i, "predicted_mev": 10.0 * i + error}
        for algorithm, error in (("xgboost", 1.0), ("extra_trees", 2.0)) for i in range(5)
    ]  # fmt: skip
    figure = cross_validated_parity(pd.DataFrame(rows), ("extra_trees", "all"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["extra trees", "xgboost"]
    assert "MAE = 2.00 meV" in figure.axes[0].texts[0].get_text()


def test_the_density_of_states_marks_the_center_of_each_element(copper: PhononResult, tmp_path: Path):
    dos = replace(copper.dos, per_element={"Ag": copper.dos.total * 0.4, "Cu": copper.dos.total * 0.6})
    figure = draw(phonon_dos(dos, ion="Cu"), tmp_path)
    marks = {line.get_label(): line.get_xdata()[0] for line in figure.axes[0].lines if "." in str(line.get_label())}
    assert marks[f"total {dos.band_center_mev:.1f}"] == pytest.approx(copper.band_center_mev)
    assert marks[f"Cu {dos.element_centers_mev['Cu']:.1f}"] == pytest.approx(dos.element_centers_mev["Cu"])
    draw(phonon_dos(replace(dos, per_element={}, formula=HOSTILE[1])), tmp_path)
    imaginary = replace(dos, energies_mev=dos.energies_mev - 5.0, per_element={})
    assert draw(phonon_dos(imaginary), tmp_path).axes[0].get_xlim()[0] < 0


def test_the_table_of_substitutions_names_every_element(tmp_path: Path):
    slots = {"nasicon": {"Li": ["Li", "Na"], "Ge": [*"HBCNOFPSK"] * 12}, HOSTILE[1]: {HOSTILE[5]: []}}
    (axes,) = draw(substitution_table(slots), tmp_path).axes
    shown = " ".join(text.get_text() for text in axes.texts)
    assert "Ge (108)" in shown
    assert shown.count("K") == 12
    draw(substitution_table({}), tmp_path)


def test_activation_energies_have_their_intervals():
    table = make_compounds(3).assign(ea_low_ev=[0.1, np.nan, 0.2], ea_high_ev=[0.3, np.nan, 0.4])
    (axes,) = center_against_energy(table).axes
    assert len(axes.lines[0].get_xdata()) == 3
    assert len(axes.collections[0].get_segments()) == 2


def test_hostile_names_are_shown_as_they_are():
    assert plain("Li$3$") == r"Li\$3\$"
    assert plain("a" * 300, 10) == "a" * 9 + "…"
    assert plain("a\nb\x00") == "a\ufffdb\ufffd"
    assert with_subscripts("$Li3") == r"\$Li$_{3}$"


def test_every_figure_that_a_run_draws_has_a_caption():
    stems = [*screen.STEMS, *(stem for stem, *_ in screen.FOLLOWED), *training.STEMS, *virtual.STEMS]
    stems += [stem for tier in all_tiers().values() for stem in tier.images]
    assert set(stems) <= set(CAPTIONS)
    assert all(caption[0].isupper() and caption.endswith(".") for caption in CAPTIONS.values())
    assert caption_of("run/x/Li-2.85.png").startswith("Energy of the mobile ion")
    assert caption_of("run/x/notes.png") == ""


def make_ranked(n: int, passes: bool) -> pd.DataFrame:
    """A ranked table of compounds of lithium and of sodium, without energies above the hull."""
    elements = [frozenset({("Li", "Na")[i % 2], "O"}) for i in range(n)]
    return make_compounds(n).assign(passes=passes, elements=elements, e_hull_ev=np.nan)


def test_measured_conductivities_are_rings_with_a_line_to_what_is_predicted():
    table = make_compounds(4).assign(
        barrier_3d_ev=[0.3, 0.5, 0.7, np.nan],
        sigma_predicted_s_cm=[1e-3, 1e-5, 1e-6, 1e-7],
        measured_sigma_s_cm=[2e-3, np.nan, np.nan, 1e-9],
    )
    (axes,) = conductivity_against_barrier(table).axes
    (rings,) = (line for line in axes.get_lines() if line.get_marker() == "o")
    np.testing.assert_allclose(rings.get_xydata(), [[0.3, 2e-3]])
    (points, lines) = axes.collections
    assert sorted(points.get_offsets()[:, 0].tolist()) == [0.3, 0.5, 0.7]
    np.testing.assert_allclose(lines.get_segments()[0][:, 1], [1e-3, 2e-3])
    assert axes.get_yscale() == "log"
    drawn = screen_figures(make_ranked(4, True).assign(**table[["barrier_3d_ev", "sigma_predicted_s_cm",
                                                                "measured_sigma_s_cm"]]), STEPS)  # fmt: skip
    assert "screen_conductivity" in drawn


@pytest.mark.figures
def test_a_screen_has_the_figures_that_show_something_and_an_earlier_run_leaves_none(tmp_path: Path):
    figures_of_run = screen_figures(make_ranked(6, True), STEPS, ion="Li", max_center_mev=40.0)
    everything = {"funnel", "screen_centers", "screen_families", "screen_volumes", "candidates_kinds",
                  "candidates_elements"}  # fmt: skip
    assert set(figures_of_run) == everything
    save_all(figures_of_run, tmp_path, screen.STEMS)
    assert {path.stem for path in tmp_path.glob("*.pdf")} == everything
    (tmp_path / "parity.png").write_text("of the training")
    save_all(screen_figures(make_ranked(6, False), STEPS), tmp_path, screen.STEMS)
    candidates = {"candidates_kinds", "candidates_elements"}
    assert {path.stem for path in tmp_path.glob("*.png")} == (everything - candidates) | {"parity"}
    assert set(screen_figures(make_ranked(6, True).assign(e_hull_ev=0.01), STEPS)) == everything | {"hull_center"}
    assert set(screen_figures(make_ranked(0, True), STEPS)) == {"funnel"}


def test_followed_candidates_are_drawn_where_they_have_barriers():
    table = make_compounds(4).assign(
        predicted_mev=30.0, calibrated_mev=np.nan, percolation_ev=[0.2, 0.3, np.nan, 0.4], barrier_ev=np.nan
    )
    drawn_figures = followed_figures(table)
    assert set(drawn_figures) == {"followed_percolation"}
    (axes,) = drawn_figures["followed_percolation"].axes
    assert len(axes.collections[0].get_offsets()) == 3
    with_both = followed_figures(table.assign(barrier_ev=[0.3, np.nan, np.nan, np.nan]))
    assert set(with_both) == {"followed_percolation", "followed_barriers"}
    assert followed_figures(table.drop(columns=["percolation_ev", "barrier_ev"])) == {}


def test_a_profile_marks_both_barriers():
    figure = neb_profile(np.array([0.0, 1.0, 2.0]), np.array([-1.0, -0.5, -1.1]), note="not converged")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.50 eV", "0.60 eV", "not converged"]


def test_a_map_without_a_path_says_so():
    figure = site_energy_map(np.random.default_rng(0).random((5, 6, 7)), np.eye(3) * 5, [None, None, None], title="LiF")
    assert figure.get_suptitle() == "LiF   no path"


def test_diffusivities_and_bounds_are_drawn_apart():
    runs = pd.DataFrame(
        {
            "temperature_k": [600.0, 800.0, 1000.0],
            "diffusivity_cm2_s": [None, 1e-6, 1e-5],
            "diffusivity_low_cm2_s": [None, 5e-7, 8e-6],
            "diffusivity_high_cm2_s": [None, 2e-6, 2e-5],
            "below_cm2_s": [1e-7, None, None],
        }
    )
    axes = diffusion_arrhenius(runs, title="x", energy_ev=(0.3, 0.2, 0.4)).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_legend().get_texts()[0].get_text() == "below (too few hops)"


def test_the_gallery_shows_every_figure():
    text = (Path(__file__).parents[1] / "docs" / "gallery.md").read_text(encoding="utf-8")
    functions = [name for name in figures.__all__ if name.islower() and not name.endswith("_figures")]
    for name in set(functions) - {"save", "save_all", "caption_of", "element_counts"}:
        assert f"`{name}`" in text, name
    for picture in re.findall(r"\]\((figures/[^)]+)\)", text):
        path = Path(__file__).parents[1] / "docs" / picture
        assert path.stat().st_size < 150_000, picture
