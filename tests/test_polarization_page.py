"""The pages of polarizations and transference numbers: samples with the numbers of the table, bounds, what failed."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chromium import open_page
from test_polarization import write_samples
from test_transference import make_curve, write_cell
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.columns import column, format_cell
from phonolyte.polarization.overview import summarize_cells, summarize_samples
from phonolyte.report import PAGE, card_of, read_run, write_report
from phonolyte.report.kinds import kind_of, summarize
from phonolyte.report.measurements import Listing, cut, join_names, keep_filled, write_celsius
from phonolyte.report.payload import has_scatter
from phonolyte.runs.settings import OutputSettings


def invoke(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def read_data(run: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of the page."""
    text = (run / PAGE).read_text(encoding="utf-8").partition('id="data">')[2].partition("<")[0]
    blob = gzip.decompress(base64.b64decode(text))
    start = 8 + int.from_bytes(blob[:8], "little")
    header: dict[str, Any] = json.loads(blob[8:start])
    places = header["arrays"].items()
    return header, {name: np.frombuffer(blob, f"<{kind}", n, start + at) for name, (kind, at, n) in places}


def read_cells(run: Path) -> dict[str, list[str]]:
    """Cells of the table that stands on the page itself, by their first one."""
    html = (run / PAGE).read_text(encoding="utf-8").partition('id="first-title"')[2].partition("</table>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in html.partition("<tbody>")[2].split("</tr>")]
    return {row[0]: row for row in rows if row}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample at three voltages, one whose current has not settled, and a file that cannot be read."""
    folder = tmp_path_factory.mktemp("polarization")
    write_samples(folder)
    options = ("--thickness-mm", 1, "--diameter-mm", 10, "--sigma-s-cm", "1e-4", "-o", folder / "out")
    assert f"All of it on one page -> {folder / 'out' / PAGE}" in invoke("polarization", folder, *options, code=1)
    return folder / "out"


def test_the_page_has_each_sample_once_with_the_numbers_of_the_table(run: Path):
    header, arrays = read_data(run)
    table = pd.read_parquet(run / "electronic.parquet")
    (names,) = (each["values"] for each in header["columns"] if each["key"] == "material_id")
    assert names == ["LLZO 25C", "LPSC 25C"]
    for key in ("sigma_electronic_s_cm", "sigma_electronic_high_s_cm", "resistance_electronic_ohm", "temperature_k"):
        np.testing.assert_allclose(arrays[key], table[key], rtol=1e-6)
    np.testing.assert_allclose(1 - arrays["t_ion"], 1 - table["t_ion"], rtol=1e-4)  # near 1, 32 bits are too few
    assert list(read_cells(run)) == names
    first, second = header["measured"]
    assert first["value"] == "1.27·10⁻⁹ S/cm"
    assert [row[0] for row in first["tables"][1]["rows"]] == ["−0.2 V", "0.1 V", "0.2 V"]
    assert len(second["tables"][1]["rows"]) == 1
    figures = {f"figure-{path.stem}" for path in (run / "figures").glob("*.png")}
    assert {image[1:] for ((_, image),) in header["images"].values()} == figures
    html = (run / PAGE).read_text(encoding="utf-8")
    assert all(html.count(f'id="{figure}"') == 1 for figure in figures)


def test_a_bound_is_a_bound_wherever_it_stands(run: Path):
    table = pd.read_parquet(run / "electronic.parquet")
    bound = f"{table['sigma_electronic_high_s_cm'][1]:.1e}"
    assert np.isnan(table["sigma_electronic_s_cm"][1])
    assert read_cells(run)["LPSC 25C"][2] == f"≤ {bound}"
    assert "≥ 0.99996" in " ".join(read_cells(run)["LPSC 25C"])
    assert "≤" not in " ".join(read_cells(run)["LLZO 25C"])
    _, card = read_data(run)[0]["measured"]
    assert card["value"].startswith(f"≤ {bound[:3]}·10")
    assert card["words"].endswith("upper bound")
    assert card["tables"][1]["rows"][0][1][1] == "at the end, not settled"
    assert summarize(read_run(run))[1].startswith("Of LPSC 25C only an upper bound is known")


def test_what_failed_is_on_the_page(run: Path):
    html = (run / PAGE).read_text(encoding="utf-8").partition('id="failures"')[2].partition("</section>")[0]
    assert '<th scope="row">bad</th>' in html
    assert "current density" in html
    assert "1 measurement failed: its row" in summarize(read_run(run))[-1]


def test_the_page_is_made_again_from_the_folder(run: Path):
    before = (run / PAGE).read_bytes()
    (run / PAGE).unlink()
    invoke("report", run)
    assert (run / PAGE).read_bytes() == before
    assert dict(card_of(read_run(run), "LLZO 25C").facts)["ohmic"] == "yes"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(browser: Any, run: Path, width: int, tmp_path: Path):
    page, errors = open_page(browser, run / PAGE, width)
    assert not page.locator("#scatter").count()  # of one temperature
    sigma = page.locator("#window .row .cell:nth-child(3)")
    assert sigma.all_inner_texts()[1].startswith("≤ ")
    page.locator("#head button", has_text="σ electronic").click()
    page.locator("#head button", has_text="σ electronic").click()
    assert sigma.all_inner_texts()[0].startswith("≤ ")  # the highest one
    with page.expect_download() as saved:
        page.click("#save")
    saved.value.save_as(tmp_path / "one.csv")
    table = pd.read_csv(tmp_path / "one.csv").set_index("material_id")
    whole = pd.read_parquet(run / "electronic.parquet")
    for key in ("sigma_electronic_s_cm", "sigma_electronic_high_s_cm"):
        np.testing.assert_allclose(table.loc[["LLZO 25C", "LPSC 25C"], key], whole[key], rtol=1e-6)
    page.click("#ranges summary")
    page.fill("[data-range=sigma_electronic_s_cm][data-end=to]", "1")
    assert len(sigma.all_inner_texts()) == 2
    page.fill("[data-range=sigma_electronic_s_cm][data-end=from]", "1e-30")
    assert len(sigma.all_inner_texts()) == 1  # at most 1e-8 can be less than that
    page.fill("[data-range=sigma_electronic_s_cm][data-end=from]", "")
    page.keyboard.press("Escape")
    page.locator("#window .row").first.click()
    card = page.locator("#card")
    assert "upper bound" in card.inner_text()
    assert card.locator("img").count() == 1
    assert card.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0
    assert errors == []
    page.close()


def test_several_temperatures_are_measurements_with_a_scatter(run: Path):
    table = pd.concat([pd.read_parquet(run / "electronic.parquet").head(1)] * 4, ignore_index=True)
    table["temperature_k"] = [298.15, 313.15, 333.15, 333.15]
    names = summarize_samples(table)["material_id"].tolist()
    assert names == ["LLZO 25C", "LLZO 40C", "LLZO 60C", "LLZO 60C (2)"]
    folder = run.parent / "warm"
    folder.mkdir()
    table.to_parquet(folder / "electronic.parquet")
    contents = read_run(folder)
    assert kind_of(contents.kind).headline(contents) == "Electronic conductivity of 1 sample in 4 measurements"
    assert has_scatter(contents)
    assert not has_scatter(read_run(run))
    write_report(folder)  # without curves and figures
    assert len(read_data(folder)[0]["measured"]) == 4


def test_bounds_point_to_their_values_in_the_scatter(browser: Any, run: Path, tmp_path: Path):
    value, bound = (pd.read_parquet(run / "electronic.parquet").iloc[[row]] for row in (0, 1))
    table = pd.concat([value, value, bound], ignore_index=True)
    table["temperature_k"] = [298.15, 313.15, 333.15]
    table.to_parquet(tmp_path / "electronic.parquet")
    write_report(tmp_path)
    page, errors = open_page(browser, tmp_path / PAGE, 1280)
    page.wait_for_selector("#scatter[data-ready]")
    shown = page.evaluate("document.getElementById('scatter').data[2]", None)
    assert dict(zip(shown["marker"]["symbol"], shown["y"], strict=True)) == pytest.approx(
        {"circle": value["sigma_electronic_s_cm"].item(), "triangle-down": bound["sigma_electronic_high_s_cm"].item()},
        rel=1e-6,
    )
    assert "Triangles: bounds" in page.inner_text("#scatter-note")
    assert errors == []
    page.close()


def test_nothing_measured_is_a_page_too(run: Path):
    folder = run.parent / "nothing"
    folder.mkdir()
    pd.read_parquet(run / "electronic.parquet").head(0).to_parquet(folder / "electronic.parquet")
    write_report(folder)
    assert "No sample could be measured" in (folder / PAGE).read_text(encoding="utf-8")


def test_a_cell_has_a_page_with_both_numbers(tmp_path: Path):
    files = write_cell(tmp_path)
    arguments = [part for name, path in files.items() for part in (f"--{name}", path)]
    out = tmp_path / "out"
    assert f"All of it on one page -> {out / PAGE}" in invoke("transference", *arguments, "-o", out)
    (row,) = pd.read_parquet(out / "transference.parquet").to_dict("records")
    header, _ = read_data(out)
    (card,) = header["measured"]
    assert card["value"] == f"{row['t_plus']:.3f}"
    assert kind_of("transference").headline(read_run(out)) == f"Transference number {row['t_plus']:.3f}"
    (_, (_, interval)), (_, (other, _)) = card["tables"][0]["rows"]
    assert [float(end) for end in interval.split(" to ")] == pytest.approx(
        [row["t_plus_low"], row["t_plus_high"]], abs=6e-4
    )
    assert float(other) == pytest.approx(row["t_plus_watanabe"], abs=6e-4)
    assert card["tables"][2]["rows"][0][1][0] == f"{row['interface_before_ohm']:.1f} Ω"
    assert header["images"] == {"curve": [["Spectra and current", "#figure-transference"]]}


def test_a_cell_that_has_not_settled_has_a_bound(tmp_path: Path):
    files = write_cell(tmp_path)
    curve = make_curve(hours=3.0)
    pd.DataFrame({"time/s": curve.time_s, "Ewe/V": 0.01, "I/A": curve.current_a}).to_csv(files["curve"], index=False)
    verbs.transference(**files, folder=tmp_path / "out", output=OutputSettings(figures=False))
    (row,) = pd.read_parquet(tmp_path / "out" / "transference.parquet").to_dict("records")
    contents = read_run(tmp_path / "out")
    assert kind_of(contents.kind).headline(contents) == f"Transference number at most {row['t_plus_high']:.3f}"
    assert read_data(tmp_path / "out")[0]["measured"][0]["value"] == f"≤ {row['t_plus_high']:.3f}"
    assert read_cells(tmp_path / "out")["curve"][1] == f"≤ {row['t_plus_high']:.3f}"
    none = pd.DataFrame([row | {"upper_bound": False, "t_plus_high": np.inf, "t_plus_low": -np.inf, "why": "wrong"}])
    assert summarize_cells(none)[["t_plus_low", "t_plus_high"]].isna().all(axis=None)


def test_bounds_have_their_sign_and_lower_ones_are_rounded_down():
    sigma, share = column("sigma_electronic_s_cm"), column("t_ion")
    nan = float("nan")
    assert format_cell({sigma.key: 1e-9, "sigma_electronic_high_s_cm": 2e-9}, sigma) == "1.0e-09 S/cm"
    assert format_cell({sigma.key: nan, "sigma_electronic_high_s_cm": 2e-9}, sigma) == "≤ 2.0e-09 S/cm"
    assert format_cell({sigma.key: nan, "sigma_electronic_high_s_cm": nan}, sigma) == "–"
    assert format_cell({share.key: nan, "t_ion_low": 0.9999999996}, share) == "≥ 0.999999999"


def test_words_and_small_tables():
    assert join_names(["a"]) == "a"
    assert join_names(["a", "b", "c"]) == "a, b and c"
    assert join_names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert write_celsius(298.15) == " at 25 °C"
    assert write_celsius(263.15) == " at −10 °C"
    assert write_celsius(float("nan")) == ""
    listing = Listing("x", ("a", "b", "c"), (("1", ("", ""), "2"), ("3", "", "4")))
    assert keep_filled(listing) == Listing("x", ("a", "c"), (("1", "2"), ("3", "4")))
    assert cut(listing, 1).rows == (("1", ("", ""), "2"), ("and 1 more", "in the table below"))
    assert cut(listing, 2) == listing
