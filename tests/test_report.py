"""The report: what the page holds, and what it does in a browser."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pandas as pd
import pytest
from chromium import WAIT_MS
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.chemistry.elements import SYMBOLS
from phonolyte.cli import app
from phonolyte.columns import columns_of
from phonolyte.errors import SettingsError
from phonolyte.figures import neb_profile, save
from phonolyte.models import BandCenterModel
from phonolyte.models.nearest import Learned
from phonolyte.references import reference_compounds
from phonolyte.report import PAGE, card_of, libraries, payload, read_run, write_report
from phonolyte.report.card import facts_of
from phonolyte.report.kinds import kind_of, summarize
from phonolyte.report.marks import marks_of
from phonolyte.report.next_steps import all_steps, command_of
from phonolyte.report.packing import element, packed, packed_columns, packed_crystals
from phonolyte.report.page import choose_aspect, count_columns
from phonolyte.report.payload import columns_of_run
from phonolyte.report.provenance import list_record
from phonolyte.runs.records import file_name, write_crystals
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen.settings import ScreenSettings
from phonolyte.structures import Crystal, Reading, read
from phonolyte.structures.run_results import CRYSTALS
from phonolyte.tiers import TO_THE_END
from phonolyte.verbs.opening import write_own_report

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "javascript:window.hacked=1//'`${window.hacked=1}",
    "battery 🔋 ⚡",
    '=HYPERLINK("http://example.org")',
    "{{ 7 * 7 }}",
    "x" * 3000,
)
"""Long enough for a machine with a great deal else to do; nothing here measures time."""


def invoke(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A screen of the reference compounds, and of some with names that attack."""
    base = tmp_path_factory.mktemp("report")
    references = reference_compounds().crystals
    crystals = [*references, *(replace(references[i], material_id=name) for i, name in enumerate(HOSTILE))]
    (base / "in").mkdir()
    write_crystals(crystals, base / "in" / CRYSTALS)
    (base / "in" / "<img src=x onerror=window.hacked=1>.cif").write_text("no crystal")
    known = pd.DataFrame({"material_id": [crystal.material_id for crystal in crystals]})
    known["e_hull_ev"] = np.random.default_rng(0).exponential(0.03, len(known)).round(4)
    known["band_gap_ev"] = np.where(np.arange(len(known)) % 7, 3.0, np.nan)
    known.to_csv(base / "properties.csv", index=False)
    folder = base / "<b>run & 'run'"
    invoke("screen", base / "in", "--properties", base / "properties.csv", "-o", folder, code=1)
    return folder


def unpack(text: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Unpack data as the script of the page does."""
    blob = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + length])
    arrays = {
        name: np.frombuffer(blob, dtype=f"<{kind}", count=size, offset=8 + length + start)
        for name, (kind, start, size) in header["arrays"].items()
    }
    return header, arrays


def test_columns_come_back_as_they_were():
    table = pd.DataFrame(
        {
            "material_id": ["a", "</script>", "c"],
            "band_center_mev": [12.34567, np.nan, 40.0],
            "plausibility": [1e-9, 0.5, np.nan],
            "in_domain": [True, False, True],
            "family": ["oxide", None, "oxide"],
            "rank": pd.array([1, 2, None], dtype="Int64"),
        }
    )
    described, arrays = packed_columns(table, columns_of(table))
    header, back = unpack(packed({"columns": described}, arrays))
    of = {column["key"]: column for column in header["columns"]}
    assert of["material_id"]["values"] == ["a", "</script>", "c"]
    np.testing.assert_allclose(back["band_center_mev"], [12.346, np.nan, 40.0], rtol=1e-6)
    np.testing.assert_allclose(back["plausibility"], [1e-9, 0.5, np.nan], rtol=1e-6)
    assert back["in_domain"].tolist() == [1, 0, 1]
    assert [of["family"]["choices"][code] for code in back["family"]] == ["oxide", "", "oxide"]
    np.testing.assert_array_equal(back["rank"], [1, 2, np.nan])


@settings(deadline=None)
@given(
    cell=st.tuples(*[st.floats(2, 60)] * 3, *[st.floats(65, 115)] * 3),
    sites=st.lists(st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3), min_size=1, max_size=6),
)
def test_crystals_keep_their_distances(cell: tuple[float, ...], sites: list[tuple[float, ...]]):
    from ase.geometry import cellpar_to_cell

    crystal = Crystal("it", cellpar_to_cell(cell), np.full(len(sites), 3), np.array(sites))
    folder = Path(os.environ.get("PYTEST_TMP", "/tmp")) / f"crystals-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    write_crystals([crystal], folder / CRYSTALS)
    text, n = packed_crystals(folder / CRYSTALS, ["it", "missing"])
    header, arrays = unpack(text)
    assert n == 1
    assert arrays["ends"].tolist() == [len(sites), len(sites)]
    steps = [header["steps"]["length"]] * 3 + [header["steps"]["angle"]] * 3
    np.testing.assert_allclose(arrays["cells"][:6] * steps, cell, atol=0.002)
    coords = (arrays["high"].astype(int) << 8 | arrays["low"]).reshape(-1, 3) / 65536
    off = coords - np.array(sites)
    assert np.abs(off - np.rint(off)).max() <= 0.5 / 65536 + 1e-9
    shutil.rmtree(folder)


def test_more_crystals_than_fit_leave_the_last_ones_out(tmp_path: Path):
    crystals = reference_compounds().crystals
    write_crystals(crystals, tmp_path / CRYSTALS)
    names = [crystal.material_id for crystal in crystals]
    whole, n = packed_crystals(tmp_path / CRYSTALS, names)
    assert n == len(names)
    text, n = packed_crystals(tmp_path / CRYSTALS, names, most_bytes=len(whole) // 3)
    assert 0 < n < len(names)
    assert len(text) * 3 / 4 <= len(whole) // 3
    assert unpack(text)[1]["ends"][n - 1] == sum(len(crystal) for crystal in crystals[:n])


def test_the_crystal_table_is_read_as_it_was_written(tmp_path: Path):
    crystals = reference_compounds().crystals[:20]
    write_crystals(crystals, tmp_path / CRYSTALS)
    for before, after in zip(crystals, read(tmp_path / CRYSTALS).crystals, strict=True):
        assert before.row() == after.row()
    write_crystals([], tmp_path / CRYSTALS)
    assert len(pd.read_parquet(tmp_path / CRYSTALS)) == 0


def test_nearest_is_by_the_distance_of_the_domain(tmp_path: Path):
    from scipy.spatial.distance import cdist

    domain = BandCenterModel.embedded().domain
    random = np.random.default_rng(1)

    def make_features(n: int) -> pd.DataFrame:
        values = domain.mean + domain.scale * random.normal(size=(n, len(domain.features)))
        return pd.DataFrame(values, columns=list(domain.features), index=[f"m{i}" for i in range(n)])

    known, unknown = make_features(50), make_features(7)
    learned = Learned.from_features(domain, known, known.index.tolist(), np.arange(50.0))
    places, distances = learned.nearest(unknown, n=3)
    scaled = [(table - domain.mean) / domain.scale for table in (unknown, known)]
    oracle = cdist(*scaled, metric="mahalanobis", VI=domain.precision)
    np.testing.assert_allclose(distances, np.sort(oracle, axis=1)[:, :3], rtol=1e-8)
    np.testing.assert_array_equal(places, np.argsort(oracle, axis=1)[:, :3])
    learned.save(tmp_path)
    again = Learned.beside(tmp_path, domain)
    assert again is not None
    np.testing.assert_array_equal(again.nearest(unknown, n=3)[0], places)
    assert Learned.beside(tmp_path / "nowhere", domain) is None


def test_a_screen_finds_a_known_compound_next_to_itself(run: Path):
    nearest = pd.read_parquet(run / "nearest.parquet")
    first = nearest.groupby("material_id").head(1).set_index("material_id")
    assert first.loc["ref-LiCl", "learned_formula"] == "LiCl"
    assert first.loc["ref-LiCl", "distance"] == pytest.approx(0.0, abs=0.05)
    assert (nearest.groupby("material_id")["distance"].apply(lambda d: d.is_monotonic_increasing)).all()


def test_the_card_says_what_is_known_and_what_to_do(run: Path):
    contents = read_run(run)
    row = contents.table.iloc[0]
    shown = invoke("show", row["material_id"], run)
    assert f"{row['band_center_mev']:.1f} meV" in shown
    assert "candidate 1 of" in shown
    assert "Nearest compounds with known phonons" in shown
    assert f"#{row['material_id']}' --ion" in "".join(shown.split("\n")).replace("  ", " ")
    assert max(map(len, shown.splitlines())) <= 80
    rejected = contents.table[~contents.table["passes"]].iloc[0]
    assert rejected["reason"] in " ".join(invoke("show", rejected["material_id"], run).split())


def test_the_crystal_of_a_card_can_be_written(run: Path, tmp_path: Path):
    invoke("show", "ref-LiCl", run, "--cif", tmp_path / "it.cif")
    (crystal,) = read(tmp_path / "it.cif").crystals
    assert crystal.formula == "LiCl"


def test_cifs_are_in_p1_with_a_label_for_each_atom(run: Path, tmp_path: Path):
    crystals = read(run / "crystals.parquet").crystals
    disordered = next(crystal for crystal in crystals if not crystal.is_ordered)
    for crystal in (crystals[0], disordered):
        shown = invoke("show", crystal.material_id, run, "--cif", tmp_path / "it.cif")
        assert "Its crystal in P1" in shown
        block = gemmi.cif.read(str(tmp_path / "it.cif")).sole_block()
        labels = [*block.find_values("_atom_site_label")]
        assert len({*labels}) == len(labels) == len(crystal)
        assert [*block.find_values("_symmetry_equiv_pos_as_xyz")] == ["'x, y, z'"]


def test_a_page_is_opened_where_that_is_wanted(run: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or False)
    invoke("report", run)
    assert not opened
    assert "no browser could be started" in invoke("report", run, "--open")
    assert opened == [(run / "report.html").resolve().as_uri()]


def test_an_unknown_name_is_reported_with_those_that_are_close(run: Path):
    with pytest.raises(SettingsError, match="ref-LiCl"):
        card_of(read_run(run), "ref-LiC")
    with pytest.raises(SettingsError, match="ref-LiCl"):
        card_of(read_run(run), "licl")


def test_commands_quote_names_for_a_shell():
    command = command_of(all_steps()["percolation"], "my run", "a b", "Li")
    assert shlex.split(command) == ["phonolyte", "migrate", "my run#a b", "--ion", "Li", "-o", "my run/percolation/a_b"]
    assert "--ion" not in command_of(all_steps()["percolation"], "run", "a", "")


@pytest.mark.parametrize(("file", "said"), [(None, "not a folder"), ("x.txt", "none of")])
def test_what_is_not_a_run_folder_is_reported(tmp_path: Path, file: str | None, said: str):
    folder = tmp_path / "it"
    if file:
        folder.mkdir()
        (folder / file).write_text("")
    with pytest.raises(SettingsError, match=said):
        write_report(folder)


def test_commands_write_the_page_unless_requested_otherwise(tmp_path: Path):
    arguments = ("virtual", "--prototype", "li3ps4", "--sample", 50, "--no-figures", "-o", tmp_path / "out")
    invoke(*arguments, "--no-report")
    page = tmp_path / "out" / PAGE
    assert not page.exists()
    assert "one page" in invoke(*arguments)
    assert "of the best percolation was computed" in summarize(read_run(tmp_path / "out"))[1]
    first = page.read_bytes()
    page.unlink()
    invoke("report", tmp_path / "out")
    assert page.read_bytes() == first


def test_computed_phonons_are_on_the_card(tmp_path: Path):
    copper = tmp_path / "copper.cif"
    from ase.build import bulk
    from ase.io import write

    write(copper, bulk("Cu", cubic=True))
    invoke("phonons", copper, "--engine", "emt", "--ion", "Cu", "--min-length-a", 5, "-o", tmp_path / "out")
    contents = read_run(tmp_path / "out")
    card = card_of(contents, "copper")
    assert dict(card.computed["Phonons"])["stable"] == "yes"
    assert "1 of 1 crystal is" in (tmp_path / "out" / PAGE).read_text()


def test_small_conductivities_do_not_become_zero():
    table = pd.DataFrame({"sigma_25c_s_cm": [3e-15, np.nan]})
    _, arrays = packed_columns(table, columns_of(table))
    assert arrays["sigma_25c_s_cm"][0] == pytest.approx(3e-15)


def test_a_folder_of_another_command_is_refused(run: Path):
    result = CliRunner().invoke(app, ["virtual", "--prototype", "li3ps4", "--sample", "5", "-o", str(run)])
    assert isinstance(result.exception, SettingsError)
    assert "holds a run of phonolyte screen" in str(result.exception)


def test_what_failed_is_known_by_show(run: Path):
    name = pd.read_parquet(run / "failures.parquet")["material_id"][0]
    with pytest.raises(SettingsError, match="failed in"):
        card_of(read_run(run), name)


def test_without_a_report_none_of_before_stays(tmp_path: Path):
    arguments = ("virtual", "--prototype", "li3ps4", "--sample", 5, "--no-figures", "-o", tmp_path / "out")
    invoke(*arguments)
    assert (tmp_path / "out" / PAGE).is_file()
    invoke(*arguments, "--no-report")
    assert not (tmp_path / "out" / PAGE).exists()


def test_a_run_without_a_table_has_a_note_in_place_of_a_report(tmp_path: Path):
    with Run(tmp_path / "out", "phonons", closing=write_own_report) as run:
        pass
    assert not (tmp_path / "out" / PAGE).exists()
    (note,) = run.notes
    assert note.startswith("there is no report: ")


def test_a_candidate_that_was_followed_to_the_end_comes_first(run: Path, tmp_path: Path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    name, formula = read_run(run).table.loc[3, ["material_id", "formula"]]
    row = {"material_id": name, "percolation_ev": 0.2, "calibrated_mev": 30.0, "barrier_ev": 0.314}
    pd.DataFrame([row | {"stopped": TO_THE_END}]).to_csv(folder / "followed.csv", index=False)
    (folder / "barriers").mkdir()
    hop = {"barrier_ev": 0.314, "path": "Li-3.10", "highest_hop": "Li-3.10"}
    pd.DataFrame([{"material_id": name} | hop]).to_parquet(folder / "barriers" / "barriers.parquet")
    profile = neb_profile(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.314, 0.0]))
    (picture,) = save(profile, folder / "barriers" / file_name(name) / "Li-3.10", ("png",))
    contents = read_run(folder)
    assert f"Followed to the end (barrier): {formula} ({name}) with 0.31 eV." in " ".join(summarize(contents))
    header, _ = unpack(payload.data(contents, 0))
    assert header["images"] == {name: [["The hop Li-3.10, which decides", payload.image(picture)]]}
    assert header["best"][0] == 0
    assert contents.table["material_id"][0] == name
    assert dict(card_of(contents, name).computed["Nudged elastic band"])["limiting hop"] == "Li-3.10"


def test_conductivities_of_molecular_dynamics_have_their_unit_on_the_card():
    facts = dict(facts_of("dynamics", {"barrier_ev": 0.3, "sigma_25c_s_cm": 6.02e-4, "sigma_25c_low_s_cm": 4e-5}))
    assert facts == {"barrier": "0.30 eV", "σ at 25 °C": "0.00060 S/cm", "σ from": "4.0e-05 S/cm"}


def test_names_are_in_no_markup(run: Path):
    text = (run / PAGE).read_text()
    assert "<script>window" not in text
    assert "<img src=x" not in text
    assert text.count("<script") == text.count("</script>")


A_POINT_APART = """() => {
  const plot = document.querySelector('#scatter'), { xaxis, yaxis } = plot._fullLayout, trace = plot._fullData[2];
  plot.scrollIntoView({ block: 'center', behavior: 'instant' });
  const inside = (axis, value) => axis.l2p(value) > 5 && axis.l2p(value) < axis._length - 5;
  const points = [...trace.x.keys()].map((i) => [xaxis.l2p(trace.x[i]), yaxis.l2p(trace.y[i])]);
  const apart = (i) => points.every(([u, v], j) => i === j || Math.hypot(points[i][0] - u, points[i][1] - v) > 15);
  const i = [...trace.x.keys()].find((i) => inside(xaxis, trace.x[i]) && inside(yaxis, trace.y[i]) && apart(i));
  const box = plot.getBoundingClientRect();
  return { barrier: trace.x[i], p: trace.y[i],
    x: box.x + xaxis._offset + points[i][0], y: box.y + yaxis._offset + points[i][1] };
}"""
"""Where in the scatter is a point that has no other near it, and its values."""

NAMELESS = """() => {
  const name = (node) => node.getAttribute('aria-label') || node.labels?.length || node.textContent.trim() || node.alt
    || document.getElementById(node.getAttribute('aria-labelledby'))?.textContent;
  const used = 'button, input, select, a[href], [role=img], [role=grid], [role=dialog], img';
  return [...document.querySelectorAll(used)].filter((node) => !node.closest('.modebar-container') && !name(node))
    .map((node) => node.outerHTML.slice(0, 120));
}"""
"""What can be used, or says something, and has no accessible name."""


SPEED_HINT = "Canvas2D: Multiple readback operations"
"""What Chromium says of a drawing library that reads its canvas a second time, soon enough on a loaded machine."""


class Opened:
    """A page in the browser, and what went wrong on it."""

    def __init__(self, browser: Any, run: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        self.context.set_default_timeout(WAIT_MS)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))
        self.page.goto((run / PAGE).as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(SPEED_HINT):
            self.errors.append(message.text)

    def read_column(self, name: str) -> list[str]:
        """Cells of a column of the table that are drawn."""
        names = self.page.locator("#head .name").all_inner_texts()
        cells = f".cell:nth-child({names.index(name) + 1})"
        return self.page.locator(f"#window .row {cells}").all_inner_texts()

    def count_rows(self) -> int:
        """Number of rows of the table."""
        return int(self.page.locator("#grid").get_attribute("aria-rowcount")) - 1

    def find_heading(self, name: str) -> Any:
        return self.page.locator("#head button", has=self.page.locator(".name", has_text=name))


@pytest.fixture(scope="module")
def opened(browser: Any, run: Path) -> Iterator[Opened]:
    it = Opened(browser, run)
    yield it
    it.context.close()


@pytest.fixture
def table(opened: Opened, run: Path) -> pd.DataFrame:
    """The table of the run; the page as it is at first, with nothing filtered."""
    opened.page.keyboard.press("Escape")
    opened.page.click("#clear")
    opened.page.wait_for_function(f"document.querySelector('#grid').ariaRowCount === '{len(read_run(run).table) + 1}'")
    opened.find_heading("rank").click()
    if opened.page.locator("[aria-sort]").get_attribute("aria-sort") == "descending":
        opened.find_heading("rank").click()
    return read_run(run).table


def test_the_page_opens_without_error_or_request(browser: Any, run: Path):
    it = Opened(browser, run)
    assert it.errors == []
    assert it.requests == [(run / PAGE).as_uri()]
    candidates = int(read_run(run).table["passes"].sum())
    assert (
        it.page.locator("h1").inner_text()
        == f"{candidates} of {len(reference_compounds().crystals) + 9} compounds are candidates"
    )
    assert it.count_rows() == candidates
    it.context.close()


def test_sorting_gives_the_order_of_the_values(opened: Opened, table: pd.DataFrame):
    opened.find_heading("e_hull").click()
    expected = table.sort_values("e_hull_ev", kind="stable")
    first = opened.read_column("e_hull")
    assert first == [f"{value:.3f}" for value in expected["e_hull_ev"].head(len(first))]
    opened.find_heading("e_hull").click()
    expected = table.sort_values("e_hull_ev", kind="stable", ascending=False)
    assert opened.read_column("e_hull")[:5] == [f"{value:.3f}" for value in expected["e_hull_ev"].head(5)]
    opened.find_heading("gap").click()
    opened.page.locator("#grid").press("End")
    assert opened.read_column("gap")[-1] == "–"  # what has no value comes last


def test_searching_gives_the_rows_with_all_words(opened: Opened, table: pd.DataFrame):
    opened.page.fill("#search", "ref-li oxide")
    expected = table[table["material_id"].str.lower().str.contains("ref-li") & (table["family"] == "oxide")]
    assert opened.count_rows() == len(expected) > 5
    assert opened.read_column("material")[:5] == expected["material_id"].head(5).tolist()
    assert f"{len(expected)} of {len(table)}" in opened.page.locator("#count").inner_text()
    opened.page.fill("#search", "nothing is called so")
    assert "Nothing fits" in opened.page.locator("#window").inner_text()


def test_filters_add_up(opened: Opened, table: pd.DataFrame):
    opened.page.check("[data-flag=passes]")
    opened.page.select_option("[data-key=family]", label="sulfide")
    expected = table[table["passes"] & (table["family"] == "sulfide")]
    assert opened.count_rows() == len(expected) > 3
    opened.page.click("#ranges summary")
    opened.page.fill("[data-range=band_center_mev][data-end=to]", "30")
    assert opened.count_rows() == int((expected["band_center_mev"] <= 30).sum())
    opened.page.keyboard.press("Escape")


def test_a_click_in_the_scatter_opens_the_card(opened: Opened, table: pd.DataFrame):
    point = opened.page.evaluate(A_POINT_APART)
    opened.page.mouse.move(point["x"] - 3, point["y"])
    opened.page.mouse.move(point["x"], point["y"])
    opened.page.locator("#tip").wait_for(state="visible")
    opened.page.mouse.click(point["x"], point["y"])
    opened.page.locator("#card-title").wait_for(state="visible")
    off = (table["barrier_3d_ev"] - point["barrier"]).abs() + (table["p_conductor"] - point["p"]).abs()
    assert table.loc[off.idxmin(), "material_id"] in opened.page.locator("#card .who").inner_text()
    assert opened.page.locator("#window .row.active").count() == 1


def test_the_crystal_is_drawn(opened: Opened, table: pd.DataFrame):
    from PIL import Image

    opened.page.fill("#search", "ref-Li3PO4-Pnma")
    opened.page.click("#window .row >> nth=0")
    opened.page.locator("#card .crystal canvas").first.wait_for(state="attached")
    opened.page.wait_for_timeout(1000)
    picture = Image.open(io.BytesIO(opened.page.locator("#card .crystal").screenshot())).convert("RGB")
    colors = picture.getcolors(1 << 20)
    assert colors is not None
    assert len(colors) > 500  # shaded spheres in three colors
    background = max(colors)[0]
    assert 0.01 < 1 - background / (picture.width * picture.height) < 0.9
    assert opened.errors == []


SCRIPTS = tuple((Path(libraries.__file__).parent / name).read_text() for name in ("data.js", "colors.js", "crystal.js"))

CELLS = """async (names) => {
  const crystals = new Crystals(await unpacked('crystals'));
  return names.map((name, row) => {
    const shown = conventional(crystals.of(row)), held = joined(shown.sites), { atoms, bonds } = drawing(shown);
    const counts = atoms.map(() => 0);
    for (const pair of bonds) for (const end of pair) counts[end]++;
    const inside = ({ site, shift }) => held[site].at.every((x, k) => Math.abs(x + shift[k] - 0.5) < 0.53);
    const cations = atoms.map((atom, i) => [atom.element.symbol, counts[i]])
      .filter((_, i) => atoms[i].element.bonds < 2 && inside(atoms[i]));
    return { sites: shown.sites.length, edges: shown.vectors.map((v) => Math.hypot(...v)), cations };
  });
}"""
"""Of each crystal of a page: the cell that is shown, and how many bonds each cation in it and on its faces has."""

COLORS = """(crystals) => crystals.map((elements) => [...colorsOf(elements, elements[0].symbol).values()].map(labOf))"""


def run_scripts(page: Any, function: str, argument: Any) -> Any:
    """Result of a function in JavaScript that uses those of the report."""
    return page.evaluate(f"(argument) => {{ {' '.join(SCRIPTS)} return ({function})(argument); }}", argument)


def draw_cells(browser: Any, crystals: list[Crystal], folder: Path, *, standardize: bool) -> list[dict[str, Any]]:
    write_crystals(crystals, folder / CRYSTALS)
    names = [crystal.material_id for crystal in crystals]
    text, _ = packed_crystals(folder / CRYSTALS, names, standardize=standardize)
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    page.set_content(f'<script type="x" id="crystals">{text}</script>')
    cells: list[dict[str, Any]] = run_scripts(page, CELLS, names)
    page.close()
    return cells


def test_cells_are_conventional_and_the_coordination_of_cations_is_closed(browser: Any, tmp_path: Path):
    of_name = {crystal.material_id: crystal for crystal in reference_compounds().crystals}
    salt = of_name["ref-LiCl"]
    wide = Crystal.from_ase(salt.to_ase() * (3, 1, 1), material_id="wide")
    crystals = [salt, of_name["ref-MgAl2O4"], of_name["ref-Li6PS5Cl"], wide]
    first, spinel, argyrodite, again = draw_cells(browser, crystals, tmp_path, standardize=True)
    for shown in (first, again):
        assert shown["sites"] == 8
        assert shown["edges"] == pytest.approx([(4 * salt.volume_a3) ** (1 / 3)] * 3, abs=0.02)
        assert {tuple(each) for each in shown["cations"]} == {("Li", 6)}
        assert len(shown["cations"]) in (13, 14)  # edges and center, or corners and faces
    assert spinel["sites"] == 56
    assert {tuple(each) for each in spinel["cations"]} == {("Mg", 4), ("Al", 6)}
    assert {n for symbol, n in argyrodite["cations"] if symbol == "P"} == {4}
    as_they_are = draw_cells(browser, crystals, tmp_path, standardize=False)
    assert [as_they_are[i]["sites"] for i in (0, 3)] == [2, 6]


def test_no_two_elements_of_a_crystal_look_alike(browser: Any):
    elements = [element(symbol) for symbol in SYMBOLS[1:93]]
    rng, page = np.random.default_rng(0), browser.new_page()
    crystals = [rng.choice(np.array(elements), size=rng.integers(2, 8), replace=False).tolist() for _ in range(300)]
    for crystal, colors in zip(crystals, run_scripts(page, COLORS, crystals), strict=True):
        lab = np.array(colors)
        apart = np.linalg.norm(lab[:, None] - lab, axis=2)[np.triu_indices(len(lab), 1)]
        assert apart.min() > 25.0, [each["symbol"] for each in crystal]
    page.close()


@pytest.mark.long
def test_a_disordered_crystal_is_shown_as_refined_and_as_ordered(opened: Opened, table: pd.DataFrame, run: Path):
    row = table.set_index("material_id").loc["ref-Li6PS5Cl"]
    opened.page.fill("#search", "ref-Li6PS5Cl")
    opened.page.click("#window .row >> nth=0")
    box, canvas = opened.page.locator("#card"), opened.page.locator("#card .crystal")
    canvas.locator("canvas").first.wait_for(state="attached")
    assert box.get_by_role("button", name="As refined").get_attribute("aria-pressed") == "true"
    assert row["ordered_as"] in box.inner_text().replace("\n", "")
    assert f"{row['n_orderings']} orderings" in box.inner_text()
    for name, crystals in (("As refined", "crystals.parquet"), ("Ordered", "orderings.parquet")):
        box.get_by_role("button", name=name).click()
        shown = next(c for c in read(run / crystals).crystals if c.material_id == "ref-Li6PS5Cl")
        assert f"{len(shown)} ions" in canvas.get_attribute("aria-label")
        with opened.page.expect_download() as download:
            opened.page.click("#cif")
        download.value.save_as(run.parent / "saved.cif")
        (saved,) = read(run.parent / "saved.cif").crystals
        assert saved.amounts == pytest.approx(shown.amounts, abs=0.05)
        assert saved.is_ordered == shown.is_ordered
    opened.page.keyboard.press("Escape")
    opened.page.fill("#search", "ref-LiI")
    opened.page.click("#window .row >> nth=0")
    assert not box.get_by_role("button", name="Ordered").count()
    assert opened.errors == []


def test_the_card_has_everything(opened: Opened, table: pd.DataFrame, run: Path):
    opened.page.fill("#search", "ref-LiI")
    opened.page.click("#window .row >> nth=0")
    name = opened.read_column("material")[0]
    card, text = card_of(read_run(run), name), opened.page.locator("#card").inner_text()
    assert f"confidence in the {card.sure_of}: {card.level}" in text
    assert card.sure in text
    for formula, learned, center, _ in card.nearest:
        assert learned in text
        assert f"{center:.1f}" in text
        assert formula in text.replace("\n", "")
    for why, command in card.steps:
        assert why in text
        assert command in text
    with opened.page.expect_download() as download:
        opened.page.click("#cif")
    path = run.parent / "saved.cif"
    download.value.save_as(path)
    (crystal,) = read(path).crystals
    assert crystal.formula == card.formula


def test_everything_can_be_done_by_keyboard(opened: Opened, table: pd.DataFrame):
    page = opened.page
    page.focus("#grid")
    for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    active = page.locator("#grid").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-rowindex") == "3"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "close"
    assert table["material_id"].iloc[1] in page.locator("#card .who").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#card").is_hidden()
    assert page.evaluate("document.activeElement.id") == "grid"
    page.keyboard.press("End")
    assert opened.read_column("material")[-1] == table["material_id"].iloc[-1]


def test_all_that_can_be_used_has_a_name(opened: Opened, table: pd.DataFrame):
    opened.page.click("#window .row >> nth=0")
    nameless = opened.page.evaluate(NAMELESS)
    assert nameless == []
    assert opened.page.locator("h1").count() == 1
    assert opened.page.get_attribute("html", "lang") == "en"
    snapshot = opened.page.locator("body").aria_snapshot()
    for role in ("banner", "navigation", "main", "grid", "columnheader", "dialog", "searchbox", "contentinfo"):
        assert role in snapshot


def test_hostile_names_are_text_and_run_nothing(opened: Opened, table: pd.DataFrame, run: Path):
    page = opened.page
    for name in HOSTILE:
        page.fill("#search", name.split()[0].lower()[:60])
        rows = page.locator("#window .row", has_text=name[:30])
        rows.first.wait_for()
        rows.first.click(position={"x": 60, "y": 10})  # the card of the one before covers the rest
        assert name in page.locator("#card .who").inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img:not([src^='data:'])").count() == 0
    assert page.locator(".run").inner_text() == run.name
    assert "onerror" in page.locator("#failures").inner_text()
    assert opened.errors == []


def test_the_policy_stops_what_gets_in(browser: Any, run: Path):
    it = Opened(browser, run)
    it.page.evaluate(
        """() => {
          const box = document.createElement('div');
          box.innerHTML = '<img src="data:," onerror="window.hacked = 1"><button onclick="window.hacked = 1">';
          document.body.append(box);
          box.querySelector('button').click();
          const script = document.createElement('script');
          script.textContent = 'window.hacked = 1';
          document.body.append(script);
        }"""
    )
    it.page.wait_for_timeout(300)
    assert it.page.evaluate("window.hacked") is None
    assert it.page.evaluate("fetch('https://example.org').then(() => 1, () => 0)") == 0
    it.context.close()


def test_a_phone_shows_it_all_without_scrolling_sideways(browser: Any, run: Path):
    it = Opened(browser, run, viewport={"width": 390, "height": 844}, has_touch=True)
    assert it.page.evaluate("document.documentElement.scrollWidth") <= 390
    it.page.locator("#window .row >> nth=0").tap()
    assert it.page.locator("#card").bounding_box()["width"] == 390
    assert it.page.evaluate("document.activeElement.id") == "close"
    it.context.close()


def test_dark_follows_the_system_and_can_be_turned(browser: Any, run: Path):
    it = Opened(browser, run, color_scheme="dark")
    dark = it.page.evaluate("getComputedStyle(document.body).backgroundColor")
    it.page.click("#theme")
    light = it.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark, light) == ("rgb(20, 23, 27)", "rgb(255, 255, 255)")
    it.context.close()


def test_print_and_no_script_show_the_first_rows(opened: Opened, browser: Any, run: Path):
    opened.page.emulate_media(media="print")
    assert opened.page.locator(".static").is_visible()
    assert not opened.page.locator("#explore").is_visible()
    opened.page.emulate_media(media="screen")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((run / PAGE).as_uri())
    assert page.locator(".static tbody tr").count() == 40
    assert page.locator(".static").is_visible()
    context.close()


# Evidence: what tiers have computed of candidates


def run_screen(folder: Path) -> Path:
    """A screen of three Li halides without limits."""
    crystals = [
        Crystal.from_arrays(
            name, np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * edge / 2, ["Li", anion], [[0, 0, 0], [0.5] * 3]
        )
        for name, anion, edge in (("lii", "I", 6.0), ("libr", "Br", 5.5), ("lif", "F", 4.03))
    ]
    settings = ScreenSettings(recipe="study", max_center_mev=50.0)
    verbs.screen(Reading(crystals=crystals), folder=folder, settings=settings, output=OutputSettings(figures=False))
    return folder


def compute(screen: Path, name: str, center: float, *, stable: bool = True, calibrated: float | None = None) -> None:
    row = {"material_id": name, "formula": "LiX", "band_center_mev": center, "calibrated_mev": calibrated,
           "stable": stable, "lowest_mode_mev": 0.0 if stable else -9.0, "engine": "emt"}  # fmt: skip
    with Run(screen / "phonons" / name, "phonons") as run:
        run.write_table("phonons.parquet", pd.DataFrame([row]))


def test_what_was_computed_changes_the_order_and_the_confidence(tmp_path: Path):
    screen = run_screen(tmp_path / "out")
    before = read_run(screen).table
    assert before["material_id"].tolist() == ["lii", "libr", "lif"]
    assert "computed_mev" not in before
    compute(screen, "libr", 38.0, calibrated=39.0)
    contents = read_run(screen)
    assert contents.table["material_id"].tolist() == ["libr", "lii", "lif"]
    assert contents.table["rank"].tolist() == [1, 2, 3]
    assert contents.table["computed_mev"].tolist()[0] == 39.0
    assert contents.table["confirmed"].tolist() == ["phonons", "", ""]
    card = card_of(contents, "libr")
    assert card.level == "high"
    assert "Computed: 39.0 meV, outside the interval" in card.sure or "inside the interval" in card.sure


def test_a_candidate_that_is_too_hard_is_one_no_longer_and_an_unstable_one_comes_last(tmp_path: Path):
    screen = run_screen(tmp_path / "out")
    compute(screen, "lii", 20.0, stable=False)
    compute(screen, "libr", 60.0)
    contents = read_run(screen)
    table = contents.table.set_index("material_id")
    assert table["passes"].to_dict() == {"lif": True, "lii": True, "libr": False}
    assert table.index.tolist() == ["lif", "lii", "libr"]
    assert table["rejected_by"]["libr"] == "phonons"
    assert "60.0 meV" in table["reason"]["libr"]
    assert table["confirmed"]["lii"] == ""
    card = card_of(contents, "lii")
    assert card.level == "low"
    assert "imaginary modes" in card.sure
    assert write_report(screen).is_file()


def test_suggested_commands_run_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run_screen(Path("out"))
    commands = [command for _, command in card_of(read_run("out"), "libr").steps]
    assert commands[0] == "phonolyte migrate 'out#libr' --ion Li -o out/percolation/libr"
    words = shlex.split(commands[0])[1:]
    result = CliRunner().invoke(app, [*words, "--no-figures", "--no-report"])
    assert result.exit_code == 0, result.output
    contents = read_run("out")
    assert "percolation" in card_of(contents, "libr").computed or "Percolation" in str(
        card_of(contents, "libr").computed
    )
    assert len(card_of(contents, "libr").steps) == 3
    assert "percolation" not in " ".join(command for _, command in card_of(contents, "libr").steps)


def test_unstable_and_computed_ones_are_marked_among_the_best(tmp_path: Path):
    screen = run_screen(tmp_path / "out")
    compute(screen, "lii", 20.0, stable=False)
    contents = read_run(screen)
    names = contents.table["material_id"].tolist()
    marks = {name: marks_of(contents, row) for row, name in enumerate(names)}
    assert marks == {"lii": [("low", "imaginary modes")], "libr": [], "lif": []}
    by = ["computed" if name == "libr" else "predicted" for name in names]
    contents = replace(contents, table=contents.table.assign(center_by=by))
    assert marks_of(contents, names.index("libr")) == [("high", "computed center")]
    assert next(each for each in columns_of_run(contents) if each.key == "center_by").shown
    contents = replace(contents, table=contents.table.assign(center_by="predicted"))
    assert not next(each for each in columns_of_run(contents) if each.key == "center_by").shown


def test_criteria_that_did_not_judge_are_in_the_first_sentence(tmp_path: Path):
    contents = read_run(run_screen(tmp_path / "out"))
    assert summarize(contents)[0] == "Not judged by energy above hull (unknown for all compounds)."
    chosen = replace(contents, run={"settings": {"without": ["unique"]}})
    steps = [step | {"applied": False, "note": "left out"} if step["name"] == "unique" else step
             for step in contents.records["funnel"]["steps"]]  # fmt: skip
    chosen = replace(chosen, records={**contents.records, "funnel": {"steps": steps}})
    assert summarize(chosen)[0].endswith(", nor by repetitions (left out by the settings).")


def test_one_is_not_many(tmp_path: Path):
    contents = read_run(run_screen(tmp_path / "out"))
    table = contents.table.assign(passes=contents.table["material_id"] == "lii")
    assert kind_of(contents.kind).headline(replace(contents, table=table)) == "1 of 3 compounds is a candidate"
    assert kind_of(contents.kind).headline(contents) == "3 of 3 compounds are candidates"


def test_settings_are_names_and_values_without_tables():
    record = {
        "inputs": ["a.cif", "b.cif"], "table": "", "none": None, "floor_a": 1e-11, "length_a": 2.0,
        "settings": {"fmax_ev_a": 0.05, "temperatures_k": [800.0, 900.0], "relax": True, "shift": -0.0, "paths": []},
        "provenance": {"ase": "3.29.0"}, "phonons": {"limits": {"max_center_mev": 40.0}},
    }  # fmt: skip
    assert list_record(record) == [
        ("inputs", "a.cif, b.cif"), ("floor", "1e-11 A"), ("length", "2 Å"),
        ("fmax", "0.05 eV/Å"), ("temperatures", "800, 900 K"), ("relax", "yes"),
        ("shift", "0"), ("engine ase", "3.29.0"), ("phonons limits max center", "40 meV"),
    ]  # fmt: skip


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (7, 4), (8, 4), (9, 3)])
def test_figures_leave_few_gaps(n: int, columns: int):
    assert count_columns(n) == columns


def test_frames_are_as_high_as_the_highest_figure_within_limits():
    assert choose_aspect([2.0, 2.1]) == 2.0
    assert choose_aspect([2.0, 0.5]) == choose_aspect([]) == pytest.approx(4 / 3)
    assert choose_aspect([5.0]) == 2.2


def test_figures_are_of_one_height_and_open_in_full(browser: Any, run: Path, tmp_path: Path):
    from PIL import Image

    folder = shutil.copytree(run, tmp_path / "out")
    (folder / "figures").mkdir(exist_ok=True)
    for name, size in (("funnel", (300, 100)), ("screen_centers", (100, 300)), ("screen_families", (200, 200))):
        Image.new("RGB", size, "teal").save(folder / "figures" / f"{name}.png")
    write_report(folder)
    it = Opened(browser, folder)
    figures = it.page.locator("#figures figure")
    boxes = [figures.nth(i).bounding_box() for i in range(figures.count())]
    assert len(boxes) >= 3
    assert len({(round(box["width"]), round(box["height"])) for box in boxes}) == 1
    pictures = it.page.locator(".enlarge")
    heights = {round(pictures.nth(i).bounding_box()["height"]) for i in range(pictures.count())}
    assert len(heights) == 1  # captions begin at one height
    it.page.locator(".enlarge").first.click()
    assert "What each step of the screen keeps" in it.page.locator("#enlarged").inner_text()
    it.page.keyboard.press("Escape")
    assert it.page.locator("#enlarged").is_hidden()
    assert it.errors == []
    it.context.close()
