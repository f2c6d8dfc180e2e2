from __future__ import annotations

import io
import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core.structure import Structure
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.formulas import composition_of
from phonolyte.cli import app
from phonolyte.errors import SettingsError, TableError
from phonolyte.runs.executors import ExecutorSettings, open_executor
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen import (
    CRITERIA,
    Criteria,
    ModelSource,
    Screening,
    describe,
    rank_crystals,
    read_properties,
    repeats,
)
from phonolyte.screen.criteria import NONMETALS, apply_criteria
from phonolyte.screen.properties import with_properties
from phonolyte.structures import Crystal, Reading, batches, read
from phonolyte.structures.crystal_table import crystal_table
from phonolyte.summary import candidates_table, funnel_table


def make_rock_salt(name: str, cation: str, anion: str, a: float, **properties: float) -> Crystal:
    structure = Structure.from_spacegroup("Fm-3m", np.eye(3) * a, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return Crystal.from_pymatgen(structure.get_primitive_structure(), material_id=name, properties=properties)


LIBRARY = [
    make_rock_salt("lithium-iodide", "Li", "I", 6.0, e_hull_ev=0.0, band_gap_ev=4.0),
    make_rock_salt("again", "Li", "I", 6.0, e_hull_ev=0.0, band_gap_ev=4.0),
    make_rock_salt("lithium-fluoride", "Li", "F", 4.03, e_hull_ev=0.0, band_gap_ev=9.0),
    make_rock_salt("salt", "Na", "Cl", 5.64, e_hull_ev=0.0, band_gap_ev=5.0),
    make_rock_salt("unstable", "Li", "Br", 5.5, e_hull_ev=0.2, band_gap_ev=5.0),
    make_rock_salt("metal", "Li", "Ag", 5.4, e_hull_ev=0.0, band_gap_ev=0.0),
    make_rock_salt("unknown", "Li", "Cl", 5.13, e_hull_ev=0.0),
    make_rock_salt("radium", "Ra", "Se", 6.6, e_hull_ev=0.0, band_gap_ev=3.0),
    make_rock_salt("helium", "Li", "He", 4.0, e_hull_ev=0.0, band_gap_ev=3.0),
]
READING = Reading(crystals=LIBRARY)


def test_each_material_is_rejected_by_the_first_criterion_it_fails():
    result = rank_crystals(READING, criteria=Criteria(ion="Li"))
    verdict = result.table.set_index("material_id")[["passes", "rejected_by", "reason"]]
    assert verdict["rejected_by"].to_dict() == {
        "lithium-iodide": "", "again": "unique", "lithium-fluoride": "band_center", "salt": "ion",
        "unstable": "e_hull", "metal": "band_gap", "unknown": "band_gap", "radium": "ion", "helium": "features",
    }  # fmt: skip
    on_request = {"reduction", "oxidation", "price"}  # which nobody limits here
    assert [step.name for step in result.funnel][3:] == [name for name in CRITERIA if name not in on_request]
    assert verdict.loc["again", "reason"] == "the same crystal as lithium-iodide"
    assert verdict.loc["unstable", "reason"] == "energy above hull 0.2 eV/atom"
    assert verdict.loc["unknown", "reason"] == "band gap unknown"
    assert result.table["rank"].tolist()[0] == 1
    assert result.table["rank"].isna().sum() == len(LIBRARY) - 1


def test_counts_add_up_and_missing_properties_have_a_count_of_their_own():
    result = rank_crystals(READING)
    for before, step in pairwise(result.funnel):
        assert step.kept + step.rejected + step.missing == before.kept
    gap = next(step for step in result.funnel if step.name == "band_gap")
    assert gap.missing == 1
    assert [failure.material_id for failure in result.failures] == ["helium"]
    assert len(result.table) == len(LIBRARY)


def test_any_mobile_ion_and_radioactive_elements():
    def judge(criteria: Criteria) -> pd.DataFrame:
        return rank_crystals(READING, criteria=criteria).table.set_index("material_id")

    assert judge(Criteria(max_center_mev=None))["rejected_by"]["salt"] == ""
    assert judge(Criteria(ion=None, max_center_mev=None))["reason"]["radium"] == "radioactive: Ra"
    assert judge(Criteria(ion=None, max_center_mev=None, no_radioactive=False))["passes"]["radium"]


def judge_compounds(
    criteria: Criteria, *, elements: list[set[str]] | None = None, **columns: list[float]
) -> pd.DataFrame:
    """Verdicts on compounds that all criteria like but for what is given."""
    sets = elements or [{"Li", "O"}] * len(next(iter(columns.values())))
    numbers = [{ATOMIC_NUMBERS[symbol] for symbol in symbols} for symbols in sets]
    table = pd.DataFrame({
        "material_id": [f"m{i}" for i in range(len(sets))], "duplicate_of": None,
        "elements_low": np.array([sum(2**z for z in of_one if z < 64) for of_one in numbers], np.uint64),
        "elements_high": np.array([sum(2 ** (z - 64) for z in of_one if z >= 64) for of_one in numbers], np.uint64),
        **({"band_center_mev": 30.0, "e_hull_ev": 0.0, "band_gap_ev": 5.0, "price_usd_kg": 9.0} | columns),
    })  # fmt: skip
    return apply_criteria(table, criteria)[0]


def test_technetium_promethium_and_what_follows_bismuth_are_radioactive():
    unstable = ["Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Lr"]
    stable = ["Mo", "Ru", "Nd", "Sm", "Pb", "Bi", "H"]
    compounds = [{"Li", symbol} for symbol in (*unstable, *stable)]
    table = judge_compounds(Criteria(), elements=compounds)
    assert table["passes"].tolist() == [False] * len(unstable) + [True] * len(stable)
    assert table["reason"].tolist()[:3] == ["radioactive: Tc", "radioactive: Pm", "radioactive: Po"]
    assert judge_compounds(Criteria(no_radioactive=False), elements=compounds)["passes"].all()


def test_the_criteria_of_the_study_include_their_bounds():
    assert judge_compounds(Criteria(), band_center_mev=[39.9, 40.0, 40.1])["passes"].tolist() == [True, True, False]
    assert judge_compounds(Criteria(), e_hull_ev=[0.049, 0.05, 0.051])["passes"].tolist() == [True, True, False]
    assert judge_compounds(Criteria(), band_gap_ev=[0.99, 1.0, 1.01])["passes"].tolist() == [False, True, True]


def test_a_price_may_be_limited_and_is_not_by_default():
    """LiI: (6.94 x 81.4 + 126.904 x 35) / 133.84 = 37.4 USD/kg; LiF: 23.1."""
    table = rank_crystals(READING).table.set_index("material_id")
    assert table.loc["lithium-iodide", "price_usd_kg"] == pytest.approx(37.41, abs=0.01)
    assert table.loc["lithium-iodide", ["scarcest_element", "scarcest_mg_kg"]].tolist() == ["I", 0.45]
    assert np.isnan(table.loc["radium", "price_usd_kg"])
    dear = [10.0, 10.1, np.nan]
    assert judge_compounds(Criteria(), price_usd_kg=dear)["passes"].all()
    limited = judge_compounds(Criteria(max_price_usd_kg=10), price_usd_kg=dear)
    assert limited["passes"].tolist() == [True, False, False]
    assert limited["reason"].tolist()[1:] == ["price of the elements 10.1 USD/kg", "price of the elements unknown"]
    loose = Criteria(ion=None, max_center_mev=None, min_gap_ev=None, no_radioactive=False, max_price_usd_kg=30)
    result = rank_crystals(READING, criteria=loose)
    step = next(step for step in result.funnel if step.name == "price")
    assert (step.rejected, step.missing) == (3, 1)  # two of LiI, LiAg; radium
    assert result.table.set_index("material_id").loc["lithium-fluoride", "passes"]


def test_prices_that_no_crystal_has_are_not_applied_and_reported():
    radium = Reading(crystals=[crystal for crystal in LIBRARY if crystal.material_id == "radium"])
    result = rank_crystals(radium, criteria=Criteria(ion=None, no_radioactive=False, max_price_usd_kg=30))
    assert result.unjudged == ["price"]
    assert next(step for step in result.funnel if step.name == "price").note.endswith("element without a price")


def test_eight_elements_are_mobile_ions():
    mobile = ["Li", "Na", "K", "Mg", "Ca", "Zn", "Ag", "Cu"]
    compounds = [{symbol, "O"} for symbol in (*mobile, "Rb", "Cs", "Al", "Be", "Sr")]
    assert judge_compounds(Criteria(), elements=compounds)["passes"].tolist() == [True] * 8 + [False] * 5


def test_elements_and_intermetallics_are_not_candidates_where_no_gap_is_known():
    compounds = [{"Li", "Al"}, {"Li"}, {"S"}, {"Li", "Sn", "Sb"}, {"Li", "S"}, {"Li", "As"}]
    unknown = judge_compounds(Criteria(ion=None), elements=compounds, band_gap_ev=[np.nan] * 6)
    assert unknown["rejected_by"].tolist() == ["likely_metal"] * 4 + ["", ""]
    assert unknown["reason"].tolist()[:3] == ["intermetallic", "element", "element"]
    known = judge_compounds(Criteria(), elements=compounds[:1] * 2, band_gap_ev=[2.0, np.nan])
    assert known["rejected_by"].tolist() == ["", "likely_metal"]
    assert judge_compounds(Criteria(no_likely_metal=False), elements=compounds[:1], band_gap_ev=[np.nan])[
        "passes"
    ].all()


def test_the_error_of_likely_metal_is_as_stated(shared: Path):
    table = pd.read_csv(shared / "data" / "mp_li_table.csv.gz").dropna(subset="band_gap_ev")
    metal = np.array([not set(composition_of(formula)) & set(NONMETALS) for formula in table["formula"]])
    gap = table["band_gap_ev"].to_numpy()
    assert (len(table), metal.sum()) == (18_590, 1_528)
    assert round((gap[metal] < 0.05).mean(), 2) == 0.89
    assert ((gap >= 1.0) & metal).sum() == 23
    assert (gap >= 1.0).sum() == 8_545


@pytest.mark.long
def test_candidates_of_one_ion_stand_together():
    crystals = [
        make_rock_salt("potassium-iodide", "K", "I", 7.07), make_rock_salt("lithium-fluoride", "Li", "F", 4.03),
        make_rock_salt("lithium-iodide", "Li", "I", 6.0), make_rock_salt("salt", "Na", "Cl", 5.64),
    ]  # fmt: skip
    table = rank_crystals(Reading(crystals=crystals), criteria=Criteria(max_center_mev=None)).table
    assert table["material_id"].tolist() == ["lithium-iodide", "lithium-fluoride", "salt", "potassium-iodide"]
    assert table["ion"].tolist() == ["Li", "Li", "Na", "K"]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    one = rank_crystals(Reading(crystals=crystals), criteria=Criteria(ion="Li")).table
    assert one.loc[one["passes"], "ion"].unique().tolist() == ["Li"]


def test_a_property_nobody_has_is_not_applied_and_reported():
    bare = Reading(
        crystals=[Crystal.from_arrays(c.material_id, c.lattice, c.numbers.tolist(), c.frac_coords) for c in LIBRARY]
    )
    result = rank_crystals(bare)
    steps = {step.name: step for step in result.funnel}
    assert not steps["e_hull"].applied
    assert "--properties" in steps["band_gap"].note
    assert result.n_ranked > 0
    assert result.unjudged == ["e_hull", "band_gap"]


def test_a_repetition_cannot_push_its_kind_out_of_the_funnel():
    bare, known = (
        make_rock_salt("bare", "Li", "I", 6.0),
        make_rock_salt("known", "Li", "I", 6.0, e_hull_ev=0.0, band_gap_ev=4.0),
    )
    other = make_rock_salt("other", "Li", "Br", 5.5, e_hull_ev=0.0, band_gap_ev=4.0)
    for order in ([bare, known, other], [known, bare, other], [other, known, bare]):
        table = rank_crystals(Reading(crystals=order)).table.set_index("material_id")
        assert table["passes"].to_dict() == {"bare": False, "known": True, "other": True}


def test_properties_that_know_no_crystal_are_an_error_and_few_are_noted():
    with pytest.raises(TableError, match="knows none of the crystals: it has ids such as 12"):
        rank_crystals(READING, properties=pd.DataFrame({"e_hull_ev": [0.0]}, index=["12"]))
    result = rank_crystals(READING, properties=pd.DataFrame({"e_hull_ev": [0.0]}, index=["salt"]))
    assert result.notes == [f"the properties know 1 of {len(LIBRARY)} crystals"]


def test_numbers_as_ids_are_text(tmp_path: Path):
    pd.DataFrame({"material_id": [12], "e_hull_ev": [0.9]}).to_parquet(tmp_path / "p.parquet")
    assert read_properties(tmp_path / "p.parquet").loc["12", "e_hull_ev"] == 0.9


def test_an_id_for_two_crystals_is_made_unique_and_noted():
    result = rank_crystals(Reading(crystals=[LIBRARY[0], LIBRARY[3], LIBRARY[0]]))
    assert sorted(result.table["material_id"]) == ["lithium-iodide", "lithium-iodide~2", "salt"]
    assert result.table.set_index("material_id").loc["lithium-iodide~2", "duplicate_of"] == "lithium-iodide"
    assert result.notes == ["1 crystal repeats the material_id of an earlier one: '~2', '~3', ... was added"]


def test_given_properties_come_before_those_of_the_file():
    given = pd.DataFrame({"band_gap_ev": [7.0, np.nan]}, index=["unknown", "salt"])
    table = rank_crystals(READING, properties=given).table.set_index("material_id")
    assert table.loc["unknown", "band_gap_ev"] == 7.0
    assert table.loc["salt", "band_gap_ev"] == 5.0


def test_order_of_input_does_not_change_what_is_predicted():
    backwards = Reading(crystals=[crystal for crystal in LIBRARY[::-1] if crystal.material_id != "again"])
    one, two = (rank_crystals(r).table.set_index("material_id")["band_center_mev"] for r in (READING, backwards))
    pd.testing.assert_series_equal(one[two.index], two)


def test_nothing_at_all_is_an_empty_table():
    result = rank_crystals(Reading())
    assert result.table.empty
    assert result.n_ranked == 0
    assert [step.kept for step in result.funnel] == [0] * len(result.funnel)


def test_a_killed_screen_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "SIZE", 2)
    real, calls = describe.featurize_orderings, []

    def die_in_the_third(crystals: list[Crystal], **more: object) -> object:
        calls.append([crystal.formula for crystal in crystals])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(crystals, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(describe, "featurize_orderings", die_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        rank_crystals(READING, parts=tmp_path)
    half_written = next(tmp_path.glob("*.parquet"))
    resumed = rank_crystals(READING, parts=tmp_path)
    assert calls[3:] == [["LiBr", "LiAg"], ["LiCl", "RaSe"], ["LiHe"]]
    pd.testing.assert_frame_equal(resumed.table, rank_crystals(READING).table)
    assert resumed.failures == rank_crystals(READING).failures
    half_written.write_bytes(b"")
    pd.testing.assert_frame_equal(rank_crystals(READING, parts=tmp_path).table, resumed.table)


def test_threads_change_nothing():
    with ThreadPoolExecutor(3) as executor:
        threaded = rank_crystals(READING, threads=executor)
    pd.testing.assert_frame_equal(threaded.table, rank_crystals(READING).table)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library as a Parquet data set of several files, with a row that cannot be used; repetitions are far apart."""
    folder = tmp_path_factory.mktemp("data_set")
    apart = [LIBRARY[i] for i in (0, 2, 3, 4, 5, 6, 7, 8, 1)]
    for number, start in enumerate((0, 4, 7)):
        crystals = apart[start : (4, 7, 9)[number]]
        table = crystal_table(crystals)
        if number == 1:
            lattices = table.column("lattice").to_pylist()
            table = pa.concat_tables([table, table.slice(0, 1).set_column(
                2, "lattice", pa.array([[0.0] * len(lattices[0])], table.schema.field("lattice").type)
            ).set_column(0, "material_id", pa.array(["flat"]))])  # fmt: skip
        for name in ("e_hull_ev", "band_gap_ev"):
            values = [crystal.properties.get(name) for crystal in crystals]
            table = table.append_column(name, pa.array([*values, *[None] * (len(table) - len(values))], pa.float64()))
        pq.write_table(table, folder / f"part-{number}.parquet", row_group_size=2)
    return folder


def assert_same_screening(one: Screening, other: Screening) -> None:
    pd.testing.assert_frame_equal(one.table, other.table)
    assert one.funnel == other.funnel
    assert [f.material_id for f in one.failures] == [f.material_id for f in other.failures]


@pytest.mark.parametrize("size", [1, 2, 2000])
def test_batches_of_a_data_set_change_nothing(data_set: Path, monkeypatch: pytest.MonkeyPatch, size: int):
    whole = rank_crystals(read(data_set))
    monkeypatch.setattr(batches, "SIZE", size)
    monkeypatch.setattr(repeats, "MOST_LOADED", 1)
    result = rank_crystals(data_set)
    assert_same_screening(result, rank_crystals(data_set, models=ModelSource().load()))
    pd.testing.assert_frame_equal(
        result.table.sort_values("material_id", ignore_index=True),
        whole.table.sort_values("material_id", ignore_index=True),
    )
    assert result.table.set_index("material_id")["duplicate_of"].dropna().to_dict() == {"again": "lithium-iodide"}
    assert result.table.set_index("material_id").loc["again", "rejected_by"] == "unique"
    assert {failure.material_id for failure in result.failures} == {"flat", "helium"}
    assert result.funnel == whole.funnel
    assert [step.kept for step in result.funnel][:3] == [10, 9, 8]
    for before, step in pairwise(result.funnel):
        assert step.kept + step.rejected + step.missing == before.kept


@pytest.mark.long
def test_threads_and_processes_give_the_table_of_this_process(
    data_set: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(batches, "SIZE", 2)
    expected = rank_crystals(data_set)
    with ThreadPoolExecutor(3) as threads:
        assert_same_screening(rank_crystals(data_set, threads=threads), expected)
        assert_same_screening(rank_crystals(data_set, executor=threads), expected)
    done: list[int] = []
    with open_executor(ExecutorSettings(jobs=2)) as processes:
        apart = rank_crystals(data_set, executor=processes, progress=lambda label, total: nullcontext(done.append))
        assert_same_screening(apart, expected)
        in_parts = rank_crystals(data_set, executor=processes, parts=tmp_path / "parts")
        assert_same_screening(in_parts, expected)
    assert sum(done) == 9
    assert apart.failures == expected.failures
    # the crystals themselves are kept, too, in the order of the input
    for one, other in ((apart, expected), (in_parts, expected)):
        of_one, of_other = (
            [name for part in result.parts for name in part.load(["material_id"]).column(0).to_pylist()]
            for result in (one, other)
        )
        assert of_one == of_other == [LIBRARY[i].material_id for i in (0, 2, 3, 4, 5, 6, 7, 8, 1)]


@pytest.mark.long
def test_a_run_by_processes_writes_the_same_tables(data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "SIZE", 3)
    output = OutputSettings(figures=False, report=False)
    for name, where in (("threads", ExecutorSettings("threads", 2)), ("processes", ExecutorSettings(jobs=2))):
        verbs.screen(data_set, folder=tmp_path / name, output=output, executor=where)
    for table in ("ranked", "crystals", "nearest", "failures"):
        one, two = (pd.read_parquet(tmp_path / name / f"{table}.parquet") for name in ("threads", "processes"))
        pd.testing.assert_frame_equal(one, two)
    assert (tmp_path / "threads" / "ranked.csv").read_bytes() == (tmp_path / "processes" / "ranked.csv").read_bytes()
    crystals = read(tmp_path / "processes" / "crystals.parquet").crystals
    assert [crystal.material_id for crystal in crystals] == [
        LIBRARY[i].material_id for i in (0, 2, 3, 4, 5, 6, 7, 8, 1)
    ]


def test_batches_in_which_nothing_can_be_used_cost_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "SIZE", 1)
    (tmp_path / "a.cif").write_text("no crystal")
    inputs = [tmp_path / "a.cif", LIBRARY[0], tmp_path / "missing.cif", LIBRARY[8]]
    result = rank_crystals(inputs)
    assert result.table["material_id"].tolist() == ["lithium-iodide", "helium"]
    assert [failure.material_id for failure in result.failures] == ["a", str(tmp_path / "missing.cif"), "helium"]
    assert [step.kept for step in result.funnel][:3] == [4, 2, 1]
    nothing = rank_crystals([tmp_path / "a.cif", tmp_path / "missing.cif"])
    assert nothing.table.empty
    assert [step.kept for step in nothing.funnel][:2] == [2, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,e_hull_ev\na,0\n", "no column 'material_id'"),
        ("material_id,color\na,red\n", "none of e_hull_ev, band_gap_ev"),
        ("material_id,e_hull_ev\na,low\n", "'low'"),
        ("material_id,e_hull_ev\na,0\na,1\n", "two different rows"),
    ],
)
def test_bad_property_tables_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_properties(tmp_path / "table.csv")


def test_bad_criteria_are_refused():
    with pytest.raises(SettingsError, match="no element 'Xx'"):
        Criteria(ion="Xx")
    with pytest.raises(SettingsError, match="max_center_mev is nan"):
        Criteria(max_center_mev=float("nan"))
    with pytest.raises(SettingsError, match="max_price_usd_kg is inf"):
        Criteria(max_price_usd_kg=float("inf"))


def test_the_summary_fits_a_narrow_terminal():
    from rich.console import Console

    console = Console(width=80, record=True, file=io.StringIO())
    result = rank_crystals(READING, criteria=Criteria(max_center_mev=200))
    console.print(funnel_table(result))
    console.print(candidates_table(result))
    text = console.export_text()
    assert "lithium-iodide" in text
    assert "energy above hull at most 0.05 eV/atom" in text
    assert "…" not in text


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.long
def test_the_command_without_arguments_ranks_the_reference_compounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    output = run("screen")
    assert "candidates" in output
    table = pd.read_csv(tmp_path / "out" / "ranked.csv")
    assert len(table) >= 60
    record = tomllib.loads((tmp_path / "out" / "run.toml").read_text())
    assert record["settings"]["model"] == "embedded"
    assert "jaafreh2024" in (tmp_path / "out" / "cite.bib").read_text()
    assert pd.read_parquet(tmp_path / "out" / "failures.parquet").empty
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock", ".written", "cite.bib", "columns.csv", "crystals.parquet", "failures.parquet", "figures",
        "funnel.json", "nearest.parquet", "orderings.parquet", "ranked.csv", "ranked.parquet", "report.html",
        "run.toml", "yardsticks.csv",
    ]  # fmt: skip


@pytest.mark.long
def test_options_environment_file_and_default_come_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "[screen]\nion = 'Na'\nmax_center_mev = 50\nmin_gap_ev = 2\nmax_price_usd_kg = 80\n"
    (tmp_path / "s.toml").write_text(text)
    monkeypatch.setenv("PHONOLYTE_MAX_CENTER_MEV", "45")
    run("screen", "--settings", tmp_path / "s.toml", "--ion", "Zn", "--max-usd-kg", 70, "-o", tmp_path / "run")
    criteria = json.loads((tmp_path / "run" / "funnel.json").read_text())["criteria"]
    assert criteria["ion"] == "Zn"
    assert criteria["max_center_mev"] == 45
    assert criteria["min_gap_ev"] == 2
    assert criteria["max_price_usd_kg"] == 70
    assert criteria["max_e_hull_ev"] == 0.05


def test_every_criterion_can_be_left_out(data_set: Path, tmp_path: Path):
    without = [part for name in CRITERIA for part in ("--without", name)]
    run("screen", data_set, *without, "--no-figures", "--no-report", "-o", tmp_path / "run", code=1)
    funnel = json.loads((tmp_path / "run" / "funnel.json").read_text())
    assert not [step["name"] for step in funnel["steps"] if step["name"] in CRITERIA and step["applied"]]
    assert funnel["candidates"] == min(step["kept"] for step in funnel["steps"] if step["name"] not in CRITERIA)
    assert funnel["candidates"] == len(LIBRARY) - 1  # one row is a repetition


@pytest.mark.parametrize("name", ["f.parquet", "f.csv"])
def test_features_of_a_table_of_crystals(tmp_path: Path, name: str):
    for crystal in LIBRARY[:4]:
        crystal.to_pymatgen().to(str(tmp_path / f"{crystal.material_id}.cif"), fmt="cif")
    run("features", tmp_path, "-o", tmp_path / "out" / name)
    path = tmp_path / "out" / name
    table = pd.read_parquet(path) if name.endswith("parquet") else pd.read_csv(path)
    assert table.shape == (4, 2 + 271)
    assert list(table.columns[:2]) == ["material_id", "formula"]
    assert sorted(table["material_id"]) == sorted(read(tmp_path).crystals[i].material_id for i in range(4))


@pytest.mark.long
def test_a_study_trains_a_model_and_screens_with_it(tmp_path: Path):
    random = np.random.default_rng(0)
    pairs = [(c, a) for c in ("Li", "Na", "K", "Rb", "Mg", "Ca", "Zn") for a in ("F", "Cl", "Br", "I", "O", "S")]
    records = [
        {
            "material_id": f"{c}{a}",
            "structure": make_rock_salt("x", c, a, 4 + random.random()).to_pymatgen().as_dict(),
            "band_center_mev": 20 + 30 * random.random(),
        }
        for c, a in pairs[:24]
    ]
    records.append({"material_id": "broken", "structure": {}, "band_center_mev": 30.0})
    (tmp_path / "data.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    (tmp_path / "s.toml").write_text(
        "[train]\ndata = 'data.jsonl'\nalgorithm = 'decision_tree'\nfeatures = 'selected'\ncompare = false\n"
        "[screen]\ninputs = ['data.jsonl']\nion = 'Li'\nmax_center_mev = 100\n"
    )
    output = run("study", tmp_path / "s.toml", "-o", tmp_path / "run", code=1)
    assert set(pd.read_parquet(tmp_path / "run" / "failures.parquet")["material_id"]) == {"broken"}
    assert "decision_tree" in output
    assert (tmp_path / "run" / "model" / "card.md").is_file()
    ranked = pd.read_parquet(tmp_path / "run" / "ranked.parquet")
    assert ranked["passes"].sum() == sum(c == "Li" for c, _ in pairs[:24])
    truth = {record["material_id"]: record["band_center_mev"] for record in records}
    np.testing.assert_allclose(ranked["band_center_mev"], ranked["material_id"].map(truth), atol=1e-3)


def test_a_material_may_be_called_nan_or_have_zeros_before_its_number(tmp_path: Path):
    (tmp_path / "p.csv").write_text("material_id,e_hull_ev\nNaN,0.01\nNA,0.02\nNone,0.03\n0012,0.04\n12,None\n,\n")
    table = read_properties(tmp_path / "p.csv")
    assert table["e_hull_ev"].dropna().to_dict() == {"NaN": 0.01, "NA": 0.02, "None": 0.03, "0012": 0.04}
    assert np.isnan(table.loc["12", "e_hull_ev"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (",0.1\n", "1 rows without a material_id"),
        ("a,inf\n", "e_hull_ev of a is 'inf'"),
        ("a,1_0\n", "e_hull_ev of a is '1_0'"),
        ("a,true\n", "e_hull_ev of a is '[Tt]rue'"),
        ("a,0.1,0.2\nb,0.3\n", "cannot be read"),
    ],
)
def test_what_is_not_a_property_is_refused(tmp_path: Path, rows: str, message: str):
    (tmp_path / "p.csv").write_text("material_id,e_hull_ev\n" + rows)
    with pytest.raises(TableError, match=message):
        read_properties(tmp_path / "p.csv")


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, pd.Timestamp(0), True, b"x"])
def test_columns_of_other_things_are_refused(tmp_path: Path, value: object):
    pd.DataFrame({"material_id": ["a"], "e_hull_ev": [value]}).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(TableError, match="e_hull_ev of a is"):
        read_properties(tmp_path / "p.parquet")


def test_voltages_are_judged_where_a_table_of_stability_has_them():
    known = judge_compounds(Criteria(min_oxidation_v=2.0, max_reduction_v=1.0), oxidation_v=[2.5, 1.9, 2.5, None])
    assert known["rejected_by"].tolist() == ["", "oxidation", "", "oxidation"]
    assert known["reason"].tolist()[1::2] == ["oxidation 1.9 V", "oxidation unknown"]
    both = judge_compounds(Criteria(max_reduction_v=1.0), reduction_v=[0.0, 1.7, 1.0, None])
    assert both["passes"].tolist() == [True, False, True, False]


def test_properties_may_have_voltages(tmp_path: Path):
    table = pd.DataFrame({"material_id": ["lithium-iodide"], "oxidation_v": [2.8], "e_hull_ev": [0.0]})
    table.to_csv(tmp_path / "stability.csv", index=False)
    properties = read_properties(tmp_path / "stability.csv")
    assert properties.loc["lithium-iodide", "oxidation_v"] == 2.8
    joined = with_properties(
        pd.DataFrame({"material_id": ["lithium-iodide", "x"], "e_hull_ev": [1.0, 1.0]}), properties
    )
    assert joined["oxidation_v"].tolist()[0] == 2.8
    assert np.isnan(joined["oxidation_v"].tolist()[1])
    assert joined["e_hull_ev"].tolist() == [0.0, 1.0]
