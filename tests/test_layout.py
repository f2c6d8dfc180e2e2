"""Tables in a terminal: no number is cut, at any width."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from phonolyte.cli.terminal import console
from phonolyte.columns import column
from phonolyte.layout import FittedTable
from phonolyte.summary import arrhenius_table, calculation_table, conductivity_table
from phonolyte.summary.tables import add_material, make_table
from phonolyte.tiers import all_tiers

NAME, FORMULA = "a-name-of-forty-characters-or-a-few-more", "Li6.55La2.85Zr1.65Ta0.35Al0.15O12"


def render_lines(table: Table, width: int) -> list[str]:
    terminal = Console(width=width, force_terminal=False, color_system=None)
    with terminal.capture() as captured:
        terminal.print(table)
    return captured.get().splitlines()


def make_fitted_table(texts: list[str], headings: list[str], values: list[str]) -> FittedTable:
    table = FittedTable(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("material", max_width=16)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for text in texts:
        table.add_row(text, *values)
    return table


words = st.text("abcdefghij", min_size=1, max_size=12)
numbers = st.floats(-1e9, 1e9).map(lambda value: f"{value:,.3f}")


columns_of_numbers = st.lists(st.tuples(words, numbers), min_size=1, max_size=8, unique_by=lambda pair: pair[1])


@settings(max_examples=60, deadline=None)
@given(columns_of_numbers, st.integers(40, 160))
def test_numbers_are_whole_or_named_as_left_out(columns: list[tuple[str, str]], width: int):
    headings = [f"{title}{place}" for place, (title, _) in enumerate(columns)]
    lines = render_lines(make_fitted_table([NAME], headings, [value for _, value in columns]), width)
    assert max(map(len, lines)) <= width
    shown, _, names = " ".join(lines).partition("no room for ")
    left_out = [name.strip() for name in names.split(",")] if names else []
    for heading, (_, value) in zip(headings, columns, strict=True):
        assert (value in shown.split()) != (heading in left_out)
    assert left_out == headings[len(headings) - len(left_out) :]  # those farthest to the right


def test_names_are_whole_where_there_is_room_and_give_way_where_there_is_none():
    table = make_fitted_table([NAME], ["center"], ["31.2"])
    assert NAME in render_lines(table, 80)[-2]
    (row,) = [line for line in render_lines(table, 30) if "31.2" in line]
    assert row.startswith(" a-name-of-f")
    assert "…" in row
    assert NAME in render_lines(table, 80)[-2]  # a table can be shown again


def test_names_of_materials_are_whole_and_formulas_give_way_to_them():
    def make_named_table(name: str) -> Table:
        table = make_table()
        add_material(table)
        table.add_column("formula", max_width=16)
        table.add_column("center", justify="right")
        table.add_row(name, FORMULA, "31.2")
        return table

    (row,) = [line for line in render_lines(make_named_table("ref-Li10GeP2S12"), 40) if "31.2" in line]
    assert "ref-Li10GeP2S12 " in row
    assert "…" in row
    rows = render_lines(make_named_table(NAME), 40)
    assert "31.2" in " ".join(rows)
    assert NAME in "".join(row.split()[0] for row in rows if row.strip())


def test_headings_take_several_lines_before_names_are_shortened():
    lines = render_lines(make_fitted_table(["x" * 20], ["lowest mode of all"], ["1.00"]), 32)
    assert "x" * 20 in " ".join(lines)
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("tier", all_tiers())
@pytest.mark.parametrize("size", [1.0, -99.0])
def test_tables_of_tiers_have_their_numbers_at_eighty_columns(tier: str, size: float):
    calculation = all_tiers()[tier]
    kinds = {key: column(key) for key in {*calculation.terminal, calculation.sort_by}}
    values = {
        "number": 1.2345 * size,
        "flag": True,
        "choice": "interstitial",
        "text": "a text that goes on",
        "list": None,
    }
    row = {key: values[known.kind] for key, known in kinds.items()} | {"material_id": NAME, "formula": FORMULA}
    table = calculation_table(calculation, pd.DataFrame([row]))
    shown = " ".join(render_lines(table, 80))
    assert "no room for" not in shown
    for each in table.columns:
        if each.justify == "right":
            assert all(str(cell) in shown for cell in each.cells), each.header


def test_tables_of_spectra_have_their_numbers_at_eighty_columns():
    row = {"file": f"{NAME}.csv", "sweep": 12, "temperature_k": 398.15, "resistance_ohm": 1.234e7,
           "resistance_low_ohm": 1.224e7, "resistance_high_ohm": 1.244e7, "capacitance_f": 1.23e-12,
           "sigma_s_cm": 1.25e-12, "sigma_low_s_cm": 1.24e-12, "sigma_high_s_cm": 1.26e-12}  # fmt: skip
    spectra = pd.DataFrame([{**row, "process": "grain_boundary"}, {**row, "process": "at_least"}])
    shown = " ".join(render_lines(conductivity_table(spectra, known=True), 80))
    for text in ("125", "1.23e+07", "≥ 1.23e+07", "1.23e-12", "≤ 1.25e-12", "1.24e-12 to 1.26e-12"):
        assert text in shown
    assert "1.22e+07 to 1.24e+07" in " ".join(render_lines(conductivity_table(spectra, known=False), 80))
    many = pd.concat([spectra] * 70, ignore_index=True)
    assert f"the first 60 of {len(many)} rows" in " ".join(render_lines(conductivity_table(many, known=True), 80))
    line = {"process": "grain_boundary", "regime": "1 of 2", "from_k": 298.15, "to_k": 498.15, "fault": "",
            "ea_ev": 0.345, "ea_low_ev": 0.32, "ea_high_ev": 0.35, "sigma_25c_s_cm": 1.2e-12,
            "sigma_25c_low_s_cm": 1.1e-12, "sigma_25c_high_s_cm": 1.3e-12}  # fmt: skip
    shown = " ".join(render_lines(arrhenius_table(pd.DataFrame([line])), 80))
    for text in ("0.345", "0.320 to 0.350", "1.2e-12", "1.1e-12 to 1.3e-12"):
        assert text in shown


def test_what_is_piped_has_long_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("COLUMNS", raising=False)
    console().print(make_fitted_table([NAME * 3], [f"number {i}" for i in range(12)], ["1,234,567.890"] * 12))
    assert NAME * 3 in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    console().print(make_fitted_table([NAME * 3], ["number"], ["1.0"]))
    assert max(map(len, capsys.readouterr().out.splitlines())) == 80
