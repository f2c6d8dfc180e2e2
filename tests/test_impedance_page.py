"""The page of measured spectra: the circuit as a drawing, names of frequencies, points, and the card in a browser."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from chromium import open_page
from hypothesis import given
from hypothesis import strategies as st

from phonolyte import verbs
from phonolyte.columns import check_columns
from phonolyte.errors import SpectrumError
from phonolyte.figures.nyquist import find_window, name_decades, write_hertz
from phonolyte.impedance import Spectrum, analyze_spectrum
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.curves import COLUMNS, tabulate_curves
from phonolyte.impedance.schematic import (
    count_digits,
    draw_schematic,
    list_values,
    write_interval,
    write_power,
    write_si,
)
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.report import PAGE, write_report
from phonolyte.runs.settings import OutputSettings

F = np.logspace(6, 0, 43)

SCALES = """() => {
  const { xaxis, yaxis } = document.querySelector('#card .plots')._fullLayout;
  return [xaxis, yaxis].map((axis) => axis._length / (axis.range[1] - axis.range[0]));
}"""
"""Pixels an ohm of both axes of the first Nyquist plot."""


def make_spectrum(name: str = "x", ohm: float = 1e4, tail: float = 1e-6) -> Spectrum:
    """An arc and a blocking tail."""
    z = ohm / (1 + (2j * np.pi * F * 1e-9 * ohm) ** 0.9) + 1 / (tail * (2j * np.pi * F) ** 0.85)
    return Spectrum.from_arrays(name, F, z * (1 + 1e-3 * np.random.default_rng(0).normal(size=len(F))))


# The circuit as a drawing

CIRCUITS = ("R1", "p(R1,C1)", "L0-R0-p(R1,CPE1)-p(R2-Wo2,C2,R3-L3)-CPE0", "p(p(R1,C1)-R2,p(R3,C3,C4)-W1)")


@pytest.mark.parametrize("text", CIRCUITS)
def test_every_element_is_drawn_once_and_nothing_leaves_the_drawing(text: str):
    drawing = draw_schematic(text)
    assert sorted(label.element for label in drawing.labels) == sorted(e.name for e in parse_circuit(text).elements)
    points = np.array([point for stroke in drawing.strokes for point in stroke])
    assert points.min() >= 0
    assert points[:, 0].max() == pytest.approx(drawing.width)
    assert points[:, 1].max() < drawing.height
    middles = np.array([(label.x, label.y) for label in drawing.labels])
    apart = np.abs(middles[:, None] - middles[None]) + 10 * np.eye(len(middles))[:, :, None]
    assert ((apart[..., 0] >= 0.99) | (apart[..., 1] >= 0.4)).all()  # no symbol covers another


@pytest.mark.parametrize("text", CIRCUITS)
def test_wires_connect_all_symbols_from_end_to_end(text: str):
    drawing = draw_schematic(text)
    symbols = [((label.x - 0.21, label.y), (label.x + 0.21, label.y)) for label in drawing.labels]
    lines = [*((stroke[0], stroke[-1]) for stroke in drawing.strokes), *symbols]

    def touch(one: int, other: int) -> bool:
        (x, y), (u, v) = np.array(lines[other])
        return any(
            min(x, u) - 0.01 < px < max(x, u) + 0.01 and min(y, v) - 0.01 < py < max(y, v) + 0.01
            for px, py in lines[one]
        )

    graph = nx.Graph((i, j) for i in range(len(lines)) for j in range(len(lines)) if i == j or touch(i, j))
    left = min(range(len(lines)), key=lambda i: lines[i][0][0])
    right = max(range(len(lines)), key=lambda i: lines[i][1][0])
    reached = nx.node_connected_component(graph, left)
    assert right in reached
    assert reached >= set(range(len(drawing.strokes), len(lines)))


def test_what_is_not_a_circuit_has_no_drawing():
    with pytest.raises(SpectrumError, match="missing"):
        draw_schematic("R0-")


def test_values_stand_beside_elements_with_prefixes_and_units():
    circuit = parse_circuit("R0-p(R1,CPE1)-Wo2-C3")
    values = list_values(circuit, [12.0, 2.01e6, 1.55e-10, 0.787, 450.0, 0.0213, 4.7e-6])
    assert values == {
        "R0": ("12.0 Ω",), "R1": ("2.01 MΩ",), "CPE1": ("Q 155 pS·sᵅ", "α 0.787"), "Wo2": ("R 450 Ω", "τ 21.3 ms"),
        "C3": ("4.70 µF",),
    }  # fmt: skip


@given(st.floats(1e-15, 9.99e11))
def test_prefixes_change_no_value(value: float):
    number, _, unit = write_si(value, "F", 6).partition(" ")
    scale = {"f": -15, "p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}[unit.removesuffix("F")]
    assert float(number) * 10.0**scale == pytest.approx(value, rel=1e-5)
    assert 1 <= float(number) < 1000


def test_numbers_as_they_are_printed():
    assert write_si(999.9, "Ω") == "1.00 kΩ"
    assert write_si(0.0, "Ω") == "0 Ω"
    assert write_si(5.5e34, "Ω") == "5.5e+34 Ω"
    assert write_si(0.9, "") == "0.9"
    assert write_power(1.938e-7, "S/cm") == "1.94·10⁻⁷ S/cm"
    assert write_interval(12253.0, 12271.0, "Ω") == "12.25 to 12.27 kΩ"
    assert write_interval(999.0, 1010.0, "Ω") == "999 Ω to 1.01 kΩ"
    assert write_interval(0.94, 1.0, "") == "0.94 to 1"
    assert write_interval(1.0, np.inf, "Ω") == "1.00 to inf Ω"
    assert count_digits(1.0, 1.0) == 3


# Nyquist plots


def test_decades_are_named_and_no_two_names_cover_each_other():
    z = make_spectrum().impedance_ohm
    scale = float(np.ptp(z.real)) / 400
    named = name_decades(F, z, ohm_per_point=scale)
    assert [one.name for one in named] == ["1 MHz", "100 kHz", "10 kHz", "1 kHz", "100 Hz", "10 Hz", "1 Hz"]
    assert all(F[one.point] == pytest.approx(10.0 ** (6 - i), rel=0.01) for i, one in enumerate(named))
    assert sum(bool(one.side) for one in named) >= 5
    crowded = name_decades(F, z, ohm_per_point=scale * 1e3)  # all within half a point
    assert sum(bool(one.side) for one in crowded) <= 4


def test_frequencies_have_prefixes():
    assert [write_hertz(decade) for decade in (-3, -1, 0, 2, 3, 7, 9)] == [
        "1 mHz", "100 mHz", "1 Hz", "100 Hz", "1 kHz", "10 MHz", "1e9 Hz"
    ]  # fmt: skip


def test_only_arcs_that_a_tail_dwarfs_are_looked_at_closer():
    tail = 1e4 + 1 / (1e-6 * 2j * np.pi * F)
    window = find_window(tail, 100.0, 1e4, 2.0)
    assert window is not None
    assert window[0] < 100.0
    assert 10_100 < window[1] < 20_000
    assert find_window(np.array([0, 5e3 - 5e3j, 1e4]), 0.0, 1e4, 2.0) is None
    assert find_window(tail, 0.0, 0.0, 2.0) is None


# Points


def test_points_of_a_run_are_a_table_with_registered_columns():
    z = make_spectrum().impedance_ohm.copy()
    z[20] *= 1.3
    analysis = analyze_spectrum(Spectrum.from_arrays("x", F, z))
    table = tabulate_curves([analysis])
    assert tuple(table) == COLUMNS
    check_columns(table, where="curves.parquet")
    assert len(table) == len(F)
    np.testing.assert_array_equal(table["z_real_ohm"] + 1j * table["z_imag_ohm"], z)
    np.testing.assert_array_equal(np.flatnonzero(table["kk_off"]), [20])
    circuit = parse_circuit(analysis.fit.circuit).impedance_ohm(analysis.fit.values, F)
    np.testing.assert_allclose(table["fit_real_ohm"] + 1j * table["fit_imag_ohm"], circuit)
    assert tuple(tabulate_curves([])) == COLUMNS


# The page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spectra at four temperatures."""
    folder = tmp_path_factory.mktemp("spectra")
    for celsius in (25, 40, 60, 80):
        z = make_spectrum(ohm=3e6 * np.exp(-0.03 * celsius)).impedance_ohm
        table = pd.DataFrame({"freq (Hz)": F, "Re(Z) (ohm)": z.real, "Im(Z) (ohm)": z.imag})
        table.to_csv(folder / f"pellet_{celsius}C.csv", index=False)
    settings = ImpedanceSettings(thickness_mm=1.0, diameter_mm=10.0)
    verbs.impedance(folder, folder=folder / "out", settings=settings, output=OutputSettings(figures=False))
    return folder / "out"


def read_data(run: Path) -> dict[str, Any]:
    text = (run / PAGE).read_text(encoding="utf-8").partition('id="data">')[2].partition("<")[0]
    blob = gzip.decompress(base64.b64decode(text))
    header: dict[str, Any] = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    return header


def test_the_page_has_points_values_and_notes_of_each_spectrum(run: Path):
    header = read_data(run)
    (text,) = header["spectra"]["circuits"]
    assert header["axes"] == ["inverse_temperature_1000", "sigma_s_cm"]
    assert header["arrays"]["points frequency_hz"][2] == 4 * len(F)
    parameters = pd.read_parquet(run / "parameters.parquet")
    for row, card in zip(header["spectra"]["rows"], header["measured"], strict=True):
        assert row["circuit"] == text
        processes, fitted = (table["rows"] for table in card["tables"])
        assert [name for name, *_ in fitted] == list(parse_circuit(text).names)
        assert any(note.startswith("The temperature") and note.endswith(".") for note in card["notes"])
        _, (ohm, interval), (sigma, _), *_ = next(cells for cells in processes if cells[0] == "Total")
        assert " to " in interval
        assert sigma.endswith(" S/cm")
        assert card["value"] == sigma
        assert f"°C; {ohm} ({interval})" in card["words"]
    assert len(parameters) == 4 * len(header["measured"][0]["tables"][1]["rows"])


def test_runs_of_before_have_a_page_without_plots(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "old")
    for name in ("curves.parquet", "curves.csv"):
        (tmp_path / "old" / name).unlink()
    write_report(tmp_path / "old")
    header = read_data(tmp_path / "old")
    assert header["arrays"]["points frequency_hz"][2] == 0
    assert [row["decades"] for row in header["spectra"]["rows"]] == [{}] * 4


@pytest.mark.parametrize("width", [1400, 390])
def test_a_card_draws_its_spectrum_and_saves_it(browser: Any, run: Path, width: int, tmp_path: Path):
    page, errors = open_page(browser, run / PAGE, width)
    page.locator("#window .row").first.click()
    page.locator("#card .plots .plot-container").first.wait_for(state="attached")
    axes = page.evaluate(SCALES)
    assert axes[0] == pytest.approx(axes[1], rel=0.01)  # equal
    assert page.locator("#card .circuit svg text").count() >= 4
    assert (
        page.evaluate("(() => { const c = document.querySelector('#card'); return c.scrollWidth - c.clientWidth; })()")
        <= 0
    )
    text = page.locator("#card").inner_text()
    assert "25 °C" in text
    assert "-0.0" not in text
    assert "{" not in text
    with page.expect_download() as saved:
        page.locator("#card").get_by_role("button", name="Save CSV").click()
    saved.value.save_as(tmp_path / "one.csv")
    table, whole = pd.read_csv(tmp_path / "one.csv"), pd.read_parquet(run / "curves.parquet")
    first = whole[whole["file"] == "pellet_25C"].reset_index(drop=True)
    np.testing.assert_allclose(table["z_real_ohm"], first["z_real_ohm"], rtol=1e-6)
    np.testing.assert_allclose(table["fit_imag_ohm"], first["fit_imag_ohm"], rtol=1e-6)
    with page.expect_download() as saved:
        page.locator("#card").get_by_role("button", name="Save PNG").click()
    saved.value.save_as(tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    page.keyboard.press("Escape")
    assert errors == []
    page.close()
