from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from phonolyte import verbs
from phonolyte.errors import SettingsError, StabilityError
from phonolyte.figures.stability import reaction_energies, window_chart
from phonolyte.forces import Engine, open_engine
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.settings import OutputSettings
from phonolyte.sources.entries import Entries
from phonolyte.stability import (
    CompetingPhases,
    Phase,
    StabilityCalculation,
    StabilityLimits,
    StabilitySettings,
)
from phonolyte.stability.accuracy import hull_errors, left_out_coverage, voltage_errors
from phonolyte.stability.assessment import assess, text_of
from phonolyte.stability.corrections import corrected_shares, correction_ev_atom, published_corrections
from phonolyte.stability.molecules import molecules
from phonolyte.stability.phases import with_hull_energies
from phonolyte.stability.reactions import react
from phonolyte.stability.reference import phases_from_entries
from phonolyte.stability.shipped import phases_folder
from phonolyte.stability.window import electrochemical_window, hull_distance
from phonolyte.structures import Crystal

FARADAY = 96.485  # kJ/mol for each volt and electron
HERE, TABLES = ExecutorSettings(jobs=1), OutputSettings(figures=False, report=False)

# standard enthalpies of formation of the CRC Handbook, kJ/mol
ENTHALPIES = {"LiCl": -408.6, "Li2O": -597.9, "LiOH": -487.5, "H2O": -285.8, "MgCl2": -641.3, "Li2S": -441.4}


def make_phase(formula: str, kj_mol: float, n_atoms: int) -> Phase:
    return Phase(formula, formula, kj_mol / FARADAY / n_atoms)


def make_competing(*phases: Phase, systems: tuple[str, ...]) -> CompetingPhases:
    symbols = sorted({symbol for system in systems for symbol in system.split("-")})
    elements = [Phase(symbol, symbol, 0.0) for symbol in symbols]
    whole = tuple(frozenset(system.split("-")) for system in systems)
    return CompetingPhases(with_hull_energies([*elements, *phases], whole), whole)


# windows


@pytest.mark.parametrize(
    ("formula", "n_atoms", "ion", "charge", "oxidation_v"),
    [("LiCl", 2, "Li", 1, 4.235), ("Li2O", 3, "Li", 1, 3.098), ("MgCl2", 3, "Mg", 2, 3.323)],
)
def test_a_salt_is_oxidized_at_the_voltage_of_its_enthalpy(formula, n_atoms, ion, charge, oxidation_v):
    anion = formula.removeprefix(ion).strip("0123456789")
    salt = make_phase(formula, ENTHALPIES[formula], n_atoms)
    competing = make_competing(salt, systems=(f"{ion}-{anion}",))
    window = electrochemical_window(competing.diagram({ion, anion}), salt, ion, charge)
    assert window.oxidation.voltage_v == pytest.approx(oxidation_v, abs=2e-3)  # -enthalpy / (electrons F)
    assert set(window.oxidation.products) <= {anion, f"{anion}2"}
    assert window.reduction.voltage_v == 0.0
    assert not window.reduction.products
    assert window.metal_reaction_ev == 0.0


def make_sulfides() -> CompetingPhases:
    """Li2S at -1.5, P2S5 at -0.4, Li3P at -1.0 and Li3PS4 at -1.4 eV/atom: round numbers."""
    solids = [Phase(f, f, e) for f, e in (("Li2S", -1.5), ("P2S5", -0.4), ("Li3P", -1.0), ("Li3PS4", -1.4))]
    return make_competing(*solids, systems=("Li-P-S",))


def test_the_window_of_a_ternary_compound_is_that_of_its_reactions():
    competing = make_sulfides()
    window = electrochemical_window(competing.diagram({"Li", "P", "S"}), Phase("x", "Li3PS4", -1.4), "Li", 1)
    # Li3PS4 + 5 Li -> 4 Li2S + P: (12 x -1.5 + 8 x 1.4) / 5 electrons
    assert window.reduction.voltage_v == pytest.approx((12 * 1.5 - 8 * 1.4) / 5)
    assert window.reduction.products == pytest.approx({"Li2S": 4.0, "P": 1.0})
    # Li3PS4 -> 3 Li + 0.5 P2S5 + 1.5 S: (8 x 1.4 - 3.5 x 0.4) / 3 electrons
    assert window.oxidation.voltage_v == pytest.approx((8 * 1.4 - 3.5 * 0.4) / 3)
    assert window.oxidation.products == pytest.approx({"P2S5": 0.5, "S": 1.5})
    # with the metal: Li3PS4 + 8 Li -> 4 Li2S + Li3P, per atom of Li3PS4
    assert window.metal_reaction_ev == pytest.approx((-12 * 1.5 - 4 * 1.0 + 8 * 1.4) / 8)
    assert window.metal_products == pytest.approx({"Li2S": 4.0, "Li3P": 1.0})


@given(st.integers(1, 4), st.permutations(range(4)))
@settings(max_examples=10, deadline=None)
def test_a_window_knows_neither_the_size_of_the_formula_nor_the_order_of_phases(factor: int, order: list[int]):
    competing = make_sulfides()
    solids = [each for each in competing.phases if len(each.elements) > 1]
    shuffled = make_competing(*(solids[i] for i in order), systems=("Li-P-S",))
    formula = f"Li{3 * factor}P{factor}S{4 * factor}"
    window = electrochemical_window(shuffled.diagram({"Li", "P", "S"}), Phase("x", formula, -1.4), "Li", 1)
    first = electrochemical_window(competing.diagram({"Li", "P", "S"}), Phase("x", "Li3PS4", -1.4), "Li", 1)
    for end in ("reduction", "oxidation"):
        assert getattr(window, end).voltage_v == pytest.approx(getattr(first, end).voltage_v)
    assert window.metal_reaction_ev == pytest.approx(first.metal_reaction_ev)


def test_a_crystal_above_the_hull_has_the_window_of_what_it_decomposes_into():
    competing = make_sulfides()
    hull = hull_distance(competing.diagram({"Li", "P", "S"}), Phase("x", "Li7PS6", -1.3))
    # Li7PS6 -> Li3PS4 + 2 Li2S
    assert hull.e_hull_ev == pytest.approx((8 * 1.4 + 6 * 1.5) / 14 - 1.3)
    assert hull.products == pytest.approx({"Li3PS4": 1.0, "Li2S": 2.0})
    window = electrochemical_window(competing.diagram({"Li", "P", "S"}), Phase("x", "Li7PS6", -1.3), "Li", 1)
    assert window.reduction.voltage_v == pytest.approx((12 * 1.5 - 8 * 1.4) / 5)
    assert window.oxidation.voltage_v == pytest.approx(min(1.5 * 3 / 2, (8 * 1.4 - 3.5 * 0.4) / 3))


def test_a_new_ground_state_lies_below_the_hull_and_has_a_window_of_its_own():
    competing = make_sulfides()
    assessment = assess(Phase("new", "Li7PS6", -1.5), competing, "Li", ())
    assert assessment.hull.distance_ev < 0
    assert assessment.hull.e_hull_ev == 0.0
    # below the hull it is stable beyond the voltages of its parts: Li7PS6 + 8 Li -> 6 Li2S + Li3P
    assert assessment.window is not None
    assert assessment.window.reduction.voltage_v == pytest.approx((18 * 1.5 + 4 * 1.0 - 14 * 1.5) / 8)


def test_a_crystal_with_more_ions_than_any_compound_gives_off_metal():
    competing = make_competing(make_phase("Li2O", -597.9, 3), systems=("Li-O",))
    assessment = assess(Phase("rich", "Li4O", -0.5), competing, "Li", ())
    assert assessment.hull.products == pytest.approx({"Li2O": 1.0, "Li": 2.0})
    window = assessment.window
    assert window is not None
    assert (window.reduction.voltage_v, window.oxidation.voltage_v) == (0.0, 0.0)
    assert window.oxidation.products == pytest.approx({"Li2O": 1.0})
    assert window.metal_reaction_ev == 0.0


def test_without_the_ion_there_is_a_hull_and_no_window():
    assessment = assess(Phase("x", "P2S5", -0.3), make_sulfides(), "Li", ())
    assert assessment.window is None
    assert assessment.hull.e_hull_ev == pytest.approx(0.1)


# reactions


def test_lithium_oxide_takes_up_water():
    competing = make_competing(
        make_phase("Li2O", ENTHALPIES["Li2O"], 3),
        make_phase("H2O", ENTHALPIES["H2O"], 3),
        make_phase("LiOH", ENTHALPIES["LiOH"], 3),
        systems=("H-Li-O",),
    )
    oxide, water = competing.phase_of("Li2O"), competing.phase_of("H2O")
    assert oxide
    assert water
    strongest = react(competing, oxide, water).strongest
    assert strongest.share == pytest.approx(0.5)
    assert strongest.products == ("LiHO",)
    # 2 x -487.5 + 597.9 + 285.8 kJ/mol for six atoms
    assert strongest.energy_ev_atom == pytest.approx(-91.3 / FARADAY / 6, abs=1e-4)


def test_a_polymorph_above_the_hull_has_its_own_energy_in_reactions():
    competing = make_competing(
        make_phase("Li2O", -597.9, 3), make_phase("H2O", -285.8, 3), make_phase("LiOH", -487.5, 3), systems=("H-Li-O",)
    )
    oxide, water = competing.phase_of("Li2O"), competing.phase_of("H2O")
    assert oxide
    assert water
    polymorph = Phase("x", "Li4O2", oxide.formation_ev_atom + 0.02)
    stable, reaction = react(competing, oxide, water), react(competing, polymorph, water)
    assert reaction.strongest.energy_ev_atom == pytest.approx(stable.strongest.energy_ev_atom - 0.5 * 0.02)
    alone = next(each for each in reaction.mixtures if each.share == pytest.approx(1.0))
    assert alone.energy_ev_atom == pytest.approx(-0.02)


def test_a_reaction_names_the_systems_that_are_not_at_hand():
    competing = make_competing(make_phase("Li2O", -597.9, 3), make_phase("Li2S", -441.4, 3), systems=("Li-O", "Li-S"))
    oxide, sulfide = competing.phase_of("Li2O"), competing.phase_of("Li2S")
    assert oxide
    assert sulfide
    reaction = react(competing, oxide, sulfide)
    assert list(reaction.missing) == ["O-S"]
    assert reaction.strongest.energy_ev_atom == pytest.approx(0.0, abs=1e-9)


def test_what_is_not_at_hand_is_named_and_never_a_zero():
    competing = make_sulfides()
    with pytest.raises(StabilityError, match="Cl"):
        assess(Phase("x", "Li6PS5Cl", -1.0), competing, "Li", ())
    assessment = assess(Phase("x", "Li3PS4", -1.4), competing, "Li", ("LiCoO2",))
    assert list(assessment.absent) == ["LiCoO2"]
    assert not assessment.reactions
    assert assessment.cathode is None
    assert competing.missing_systems({"Li", "S", "Cl"}) == ["Cl"]


def test_products_are_written_as_a_chemist_writes_them():
    assert text_of({"Li2S": 4.0, "P": 1.0, "LiCl": 0.5}) == "4 Li2S + P + 0.5 LiCl"


# corrections


def make_crystal(name: str, symbols: str, positions: list[list[float]], edge_a: float) -> Crystal:
    return Crystal.from_arrays(name, np.eye(3) * edge_a, symbols.split(), positions)


ROCK_SALT = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5] * 3]


def test_corrections_count_anions_and_metals_of_oxides():
    assert corrected_shares(make_crystal("salt", "Li Li Li Li F F F F", ROCK_SALT, 4.03)) == {"F": 0.5}
    shares = corrected_shares(make_crystal("wustite", "Fe Fe Fe Fe O O O O", ROCK_SALT, 4.3))
    assert shares == {"oxide": 0.5, "Fe": 0.5}
    assert correction_ev_atom(shares, published_corrections()) == pytest.approx(0.5 * (-0.687 - 2.256))
    assert corrected_shares(make_crystal("metal", "Li Li", [[0, 0, 0], [0.5, 0.5, 0.5]], 3.4)) == {}


def test_a_peroxide_is_not_an_oxide():
    bond = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.0], [0.25, 0.25, 0.36]]  # O-O of 1.5 angstrom
    shares = corrected_shares(make_crystal("peroxide", "Li Li O O", bond, 4.1))
    assert shares == {"peroxide": 0.5}


# competing phases on disk


def test_competing_phases_come_back_from_disk(tmp_path: Path):
    competing = make_sulfides()
    competing.save(tmp_path)
    again = CompetingPhases.load(tmp_path)
    assert again.key == competing.key
    assert again.covers({"Li", "S"})
    assert len(again.without_unstable().phases) == 7


@pytest.mark.parametrize("damage", ["record", "table", "system", "number"])
def test_damaged_competing_phases_are_refused(tmp_path: Path, damage: str):
    make_sulfides().save(tmp_path)
    record = json.loads((tmp_path / "competing.json").read_text())
    if damage == "record":
        (tmp_path / "competing.json").write_text("{")
    elif damage == "table":
        pd.read_parquet(tmp_path / "competing.parquet").head(2).to_parquet(tmp_path / "competing.parquet")
    else:
        changed = {"system": {"systems": ["Li-Xx"]}, "number": {"elements_ev_atom": 3}}[damage]
        (tmp_path / "competing.json").write_text(json.dumps({**record, **changed}))
    with pytest.raises(StabilityError, match="competing phases"):
        CompetingPhases.load(tmp_path)


def test_energies_of_a_database_count_from_its_own_elements():
    table = pd.DataFrame(
        [("a", "Li", -1.9), ("b", "S", -4.0), ("c", "Li2S", -4.2), ("d", "S", -3.5)],
        columns=["material_id", "formula", "energy_ev_atom"],
    )
    competing = phases_from_entries(Entries(table, ("Li-S",)), {"Li": -2.0, "S": -4.5})
    assert competing.phase_of("Li2S").formation_ev_atom == pytest.approx(-4.2 - (2 * -1.9 - 4.0) / 3)
    # a crystal's energy counts from the elements of the engine, with the published correction of a sulfide
    own = competing.formation_ev_atom(-4.5, {"Li": 2, "S": 1}, {"S": 1 / 3})
    assert own == pytest.approx(-4.5 - (2 * -2.0 - 4.5) / 3 - 0.503 / 3)
    with pytest.raises(StabilityError, match="whole"):
        phases_from_entries(Entries(table), {})


def test_measured_molecules_have_their_enthalpies():
    water = next(each for each in molecules() if each.formula == "H2O")
    assert water.phase.formation_ev_atom == pytest.approx(-2.962 / 3, abs=1e-3)


# the calculation


@pytest.fixture(scope="module")
def emt() -> Engine:
    return open_engine("emt")


METALS = {"copper": bulk("Cu"), "gold": bulk("Au"), "silver": bulk("Ag")}
CORNERS = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
ALLOY = Crystal.from_arrays("alloy", np.eye(3) * 3.75, ["Au", "Cu", "Cu", "Cu"], CORNERS)


@pytest.fixture
def references(tmp_path: Path) -> Path:
    folder = tmp_path / "references"
    folder.mkdir()
    for name, atoms in METALS.items():
        if name != "silver":
            atoms.write(folder / f"{name}.cif")
    return folder


def compute(inputs: list[Crystal], emt: Engine, references: Path, folder: Path, **options) -> verbs.calculate:
    return verbs.stability(
        inputs, ion="Cu", engine=emt, settings=StabilitySettings(competing=str(references), **options), folder=folder,
        output=TABLES, executor=HERE,
    )  # fmt: skip


def test_competing_phases_are_computed_where_an_engine_has_none(emt: Engine, references: Path, tmp_path: Path):
    outcome = compute([ALLOY], emt, references, tmp_path / "run", static=True)
    (row,) = outcome.table.to_dict("records")

    def compute_energy(atoms) -> float:
        atoms = atoms.copy()
        atoms.calc = emt.calculator
        return atoms.get_potential_energy() / len(atoms)

    alloy = bulk("Cu", cubic=True)
    alloy.symbols[0] = "Au"
    alloy.set_cell([3.75] * 3, scale_atoms=True)
    expected = compute_energy(alloy) - 0.75 * compute_energy(METALS["copper"]) - 0.25 * compute_energy(METALS["gold"])
    assert row["formation_ev_atom"] == pytest.approx(expected, abs=1e-6)
    assert row["decomposition_ev"] == pytest.approx(expected, abs=1e-6)
    assert row["e_hull_ev"] == pytest.approx(max(expected, 0.0), abs=1e-6)
    table = pd.read_parquet(tmp_path / "run" / "competing" / "competing.parquet")
    assert sorted(table["formula"]) == ["Au", "Cu"]
    again = compute([ALLOY], emt, tmp_path / "run" / "competing", tmp_path / "again", static=True)
    assert again.table["e_hull_ev"].tolist() == outcome.table["e_hull_ev"].tolist()


def test_a_relaxed_crystal_is_lower_and_is_kept(emt: Engine, references: Path, tmp_path: Path):
    outcome = compute([ALLOY], emt, references, tmp_path / "run")
    (row,) = outcome.table.to_dict("records")
    assert row["energy_ev_atom"] < row["static_ev_atom"]
    assert row["converged"]
    (relaxed,) = outcome.crystals
    assert relaxed.volume_a3 == pytest.approx(ALLOY.volume_a3 * (1 + row["volume_change"]))


def test_a_crystal_of_another_system_is_a_row_that_says_so(emt: Engine, references: Path, tmp_path: Path):
    foreign = Crystal.from_arrays("foreign", np.eye(3) * 4.0, ["Ag", "Cu", "Cu", "Cu"], CORNERS)
    outcome = compute([ALLOY, foreign], emt, references, tmp_path / "run", static=True)
    rows = outcome.table.set_index("material_id")
    assert rows.loc["foreign", "not_covered"] == "Ag"
    assert math.isnan(rows.loc["foreign", "e_hull_ev"])
    assert rows.loc["alloy", "not_covered"] == "H2O"  # water is not among the phases
    judge = StabilityCalculation.judge
    row = rows.loc["foreign"].to_dict()
    assert judge(row, StabilityLimits()) == ""
    assert "Ag" in judge(row, StabilityLimits(min_oxidation_v=2.0))


def test_a_source_without_crystals_is_refused(emt: Engine, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for source in ("empty", "missing"):
        with pytest.raises(StabilityError, match=f"{source} has no competing phases"):
            compute([ALLOY], emt, tmp_path / source, tmp_path / f"run-{source}")


def test_without_any_phase_of_the_package_nothing_is_covered(emt: Engine, tmp_path: Path):
    outcome = verbs.stability([ALLOY], ion="Cu", engine=emt, folder=tmp_path / "run", output=TABLES, executor=HERE)
    assert outcome.table["not_covered"].tolist() == ["Au, Cu"]


@pytest.mark.parametrize("wrong", [{"fmax_ev_a": 0.0}, {"limit_s": -1.0}, {"against": ("Foo",)}])
def test_settings_that_make_no_sense_are_refused(wrong: dict):
    with pytest.raises(SettingsError):
        StabilitySettings(**wrong)


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        (StabilityLimits(), ""),
        (StabilityLimits(max_e_hull_ev=0.01), "0.030 eV/atom above the hull"),
        (StabilityLimits(min_oxidation_v=2.5), "oxidized at 2.30 V"),
        (StabilityLimits(max_reduction_v=1.0), "reduced at 1.70 V"),
    ],
)
def test_limits_reject_with_the_value(limits: StabilityLimits, verdict: str):
    row = {"e_hull_ev": 0.03, "oxidation_v": 2.3, "reduction_v": 1.7, "not_covered": ""}
    assert StabilityCalculation.judge(row, limits) == verdict


def test_figures_show_windows_and_reactions():
    table = pd.DataFrame(
        {"formula": ["Li3PS4", "Li2S"], "ion": "Li", "reduction_v": [1.7, 0.0], "oxidation_v": [2.3, 2.1]}
    )
    for end in ("reduction", "oxidation"):
        table[f"{end}_lower_v"], table[f"{end}_upper_v"] = table[f"{end}_v"] - 0.1, table[f"{end}_v"] + 0.1
    (axes,) = window_chart(table).axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert np.array(bars) == pytest.approx(np.array([(1.7, 0.6), (0.0, 2.1)]))
    mixtures = pd.DataFrame(
        {"partner": "LiCoO2", "crystal_share": [0.0, 0.4, 1.0], "reaction_ev": [0, -0.2, 0], "not_covered": "Co-S"}
    )
    (axes,) = reaction_energies(mixtures, "Li3PS4").axes
    (line, _) = axes.lines
    assert line.get_ydata().tolist() == [0, -0.2, 0]
    assert "at least" in axes.get_legend().get_texts()[0].get_text()


# what comes with the package


@pytest.fixture(scope="module")
def shipped() -> CompetingPhases:
    return CompetingPhases.load(phases_folder() / "dpa4")


def test_shipped_windows_are_near_the_published_ones(shipped: CompetingPhases):
    errors = voltage_errors(shipped)
    zhu = errors[errors["doi"] == "10.1021/acsami.5b07517"]
    assert len(zhu) >= 20
    assert zhu["error_v"].abs().mean() < 0.15
    assert zhu[zhu["end"] == "reduction"]["error_v"].abs().max() < 0.15


def test_shipped_energies_are_near_those_of_the_materials_project(shipped: CompetingPhases, shared: Path):
    known = pd.read_csv(shared / "data" / "mp_li_table.csv.gz").set_index("material_id")["e_hull_ev"]
    errors = hull_errors(shipped, known)
    assert len(errors) > 1400
    other = errors[errors["kind"] == "other"]
    assert other["error_ev"].abs().mean() < 0.02
    assert 0.85 < left_out_coverage(errors) < 0.95


def test_lithium_reduces_a_thiophosphate_and_hardly_a_garnet(shipped: CompetingPhases):
    metal = {}
    for formula in ("Li10GeP2S12", "Li7La3Zr2O12"):
        elements = Phase("", formula, 0.0).elements
        on_hull = Phase(
            "", formula, shipped.diagram(elements).get_hull_energy_per_atom(Phase("", formula, 0.0).entry.composition)
        )
        metal[formula] = electrochemical_window(shipped.diagram(elements), on_hull, "Li", 1).metal_reaction_ev
    assert metal["Li10GeP2S12"] == pytest.approx(-1.25, abs=0.05)  # Zhu 2015: -1.25 eV/atom
    assert -0.03 < metal["Li7La3Zr2O12"] <= 0.0  # Zhu 2015: -0.021 eV/atom
