"""Formulas, ions and charges: what pymatgen and plain arithmetic say, too."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonolyte.chemistry.charges import (
    balance_states,
    common_states,
    leave_neutral,
    mobile_charge,
    nearest_state,
    single_charge,
    state_shares,
)
from phonolyte.chemistry.costs import element_costs, price_usd_kg, scarcest_elements
from phonolyte.chemistry.elements import (
    ATOMIC_NUMBERS,
    NO_STATE,
    SYMBOLS,
    bond_valence_table,
    common_oxidation_states,
    magpie_oxidation_states,
    sites_of_charges,
)
from phonolyte.chemistry.formulas import composition_of, shares_of
from phonolyte.chemistry.ions import (
    EXCLUDED,
    atomic_volume_a3,
    cations,
    metallic_radius_a,
    nearest_ions,
    twelvefold_radius_a,
)
from phonolyte.chemistry.neutrality import can_be_neutral, neutral_ions
from phonolyte.errors import MigrationError, StructureError
from phonolyte.screen.criteria import RADIOACTIVE

# Formulas


@pytest.mark.parametrize(
    ("formula", "atoms"),
    [
        ("Li3PO4", {"Li": 3, "P": 1, "O": 4}),
        ("LiGe2(PO4)3", {"Li": 1, "Ge": 2, "P": 3, "O": 12}),
        ("Li48 P16 S61", {"Li": 48, "P": 16, "S": 61}),
        ("Li0.5CoO2", {"Li": 0.5, "Co": 1, "O": 2}),
        ("CH3COOH", {"C": 2, "H": 4, "O": 2}),
        ("NaN", {"Na": 1, "N": 1}),
        ("Co", {"Co": 1}),
        ("CO", {"C": 1, "O": 1}),
    ],
)
def test_a_formula_has_atoms_in_the_order_of_their_elements(formula: str, atoms: dict[str, float]):
    assert list(composition_of(formula).items()) == list(atoms.items())


@pytest.mark.parametrize(
    ("formula", "kind"),
    [
        ("", "BadFormula"),
        ("nan", "BadFormula"),
        ("li2o", "BadFormula"),
        ("Li2(O", "BadFormula"),
        ("Li-2", "BadFormula"),
        ("Li2O*3H2O", "BadFormula"),
        ("Li0", "BadFormula"),
        ("D2O", "UnknownElement"),
        ("Qq2O", "UnknownElement"),
        ("X", "UnknownElement"),
        ("LiRf", "UnknownElement"),
    ],
)
def test_what_is_not_a_formula_has_a_message(formula: str, kind: str):
    with pytest.raises(StructureError, match="is not a formula") as error:
        composition_of(formula)
    assert error.value.kind == kind
    assert error.value.fix


def test_a_composition_is_shared_and_cannot_be_changed():
    with pytest.raises(TypeError):
        composition_of("LiCl")["Li"] = 2.0  # type: ignore[index]


def test_shares_add_up_to_one():
    assert shares_of("Li3PO4") == {"Li": 0.375, "P": 0.125, "O": 0.5}
    assert sum(shares_of("Li10GeP2S12").values()) == pytest.approx(1.0)


# Charges


def test_common_states_are_the_most_common_first():
    assert common_states("Li") == (1,)
    assert common_states("Fe") == (2, 3)
    assert common_states("Cu") == (2,)
    assert common_states("Ne") == ()
    assert common_states("Xx") == ()


@pytest.mark.parametrize(
    ("symbol", "charge", "state"),
    [("Fe", 4, 3), ("Fe", 1, 2), ("S", -1, -2), ("S", 1, 2), ("S", 6, 6), ("O", 2, 0), ("Ne", 1, 0), ("N", -3, -3)],
)
def test_the_state_nearest_to_a_charge_has_its_sign(symbol: str, charge: int, state: int):
    assert nearest_state(symbol, charge) == state


def test_mobile_ions_have_one_charge():
    charges = {ion: mobile_charge(ion) for ion in ("Li", "Na", "K", "Mg", "Ca", "Zn", "Ag", "Cu")}
    assert charges == {"Li": 1, "Na": 1, "K": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Ag": 1, "Cu": 1}
    for nothing in ("Ne", "Xx"):
        with pytest.raises(MigrationError, match="not known"):
            mobile_charge(nothing)


# Neutrality


def check_neutral(symbols: str, counts: list[int], *, signs: list[int] | None = None) -> bool:
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols.split()])
    return bool(
        can_be_neutral(numbers, np.array(counts), np.array(signs or [0] * len(counts)), common_oxidation_states())
    )


def test_charges_add_up_or_not():
    assert check_neutral("Li O", [2, 1])
    assert not check_neutral("Li O", [1, 1])
    assert check_neutral("Li Ge P O", [1, 2, 3, 12])
    assert check_neutral("Li La Zr O", [7, 3, 2, 12])
    assert not check_neutral("Fe O", [3, 4])  # magnetite has iron of two charges
    assert not check_neutral("Ne O", [1, 1])
    assert check_neutral("N S", [2, 3])
    assert not check_neutral("N S", [2, 3], signs=[-1, -1])
    assert check_neutral("N S", [2, 3], signs=[1, -1])


PLACES = st.lists(
    st.tuples(st.integers(1, 103), st.integers(1, 6), st.sampled_from([-1, 0, 1])), min_size=1, max_size=6
)


@given(PLACES, st.sampled_from(["common", "magpie"]))
@settings(deadline=None)
def test_whether_charges_add_up_is_what_trying_all_says(places: list[tuple[int, int, int]], table: str):
    states = common_oxidation_states() if table == "common" else magpie_oxidation_states()
    numbers, counts, signs = (np.array(column) for column in zip(*places, strict=True))
    choices = [[s for s in states[z].tolist() if s != NO_STATE and s * sign >= 0] for z, _, sign in places]
    by_hand = any(np.dot(choice, counts) == 0 for choice in product(*choices))
    assert can_be_neutral(numbers, counts, signs, states) == by_hand


@pytest.mark.parametrize(("oxygens", "is_neutral"), [(3, False), (4, True), (13, True), (28, True), (29, False)])
def test_many_choices_are_counted_by_the_charges_they_reach(oxygens: int, is_neutral: bool):
    symbols = ("Mn", "Tc", "Re", "Ru", "O")
    states = np.full((104, 10), NO_STATE)
    for symbol in symbols[:-1]:
        states[ATOMIC_NUMBERS[symbol], :7] = range(1, 8)
    states[8, 0] = -2
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols])
    counts = np.array([2, 2, 2, 2, oxygens])
    # 7^4 choices are more than are tried one by one; the metals have between 8 and 56 positive charges, all even
    assert can_be_neutral(numbers, counts, np.zeros(5, int), states) == is_neutral


def test_neutral_ions_are_the_common_ones():
    assert [ion.charge for ion in neutral_ions(("Li", "P", "S", "Cl"), (6, 1, 5, 1))] == [1, 5, -2, -1]
    assert [ion.charge for ion in neutral_ions(("Bi", "Te", "I"), (1, 1, 1))] == [3, -2, -1]
    assert [ion.charge for ion in neutral_ions(("Fe", "Cu", "S"), (1, 1, 2))] == [3, 1, -2]
    assert neutral_ions(("Na", "Cl"), (1, 2)) == ()
    assert neutral_ions(("Ti", "O"), (1, 2), (False, True)) == ()


def test_lead_telluride_is_a_compound_of_ions_and_silver_carbide_is_not():
    assert [ion.charge for ion in neutral_ions(("Pb", "Te"), (1, 1))] == [2, -2]  # 2.10 - 2.33 of electronegativity
    assert neutral_ions(("Au", "Ge"), (4, 1)) == ()  # 2.01 - 2.54


# Ions


def test_every_cation_has_a_radius():
    for ion in cations(hard=True):
        assert 0.05 < ion.radius_a < 1.9, ion


def test_the_nearest_ion_of_each_element_has_the_sign_of_the_charge():
    positive, negative = nearest_ions(4), nearest_ions(-2)
    assert (positive["Sn"].charge, positive["P"].charge, positive["Li"].charge) == (4, 3, 1)
    assert (negative["Sn"].charge, negative["S"].charge, negative["Cl"].charge) == (-4, -2, -1)
    assert "O" not in positive
    assert "Li" not in negative


def test_radii_are_shannon_s():
    radii = {f"{ion.symbol}+{ion.charge}": ion.radius_a for ion in cations(hard=True)}
    assert radii["Li+1"] == 0.76
    assert radii["Na+1"] == 1.02
    assert radii["Zr+4"] == 0.72
    assert radii["P+5"] == 0.38
    assert radii["C+4"] == 0.16
    assert radii["Sn+2"] == 1.18  # not in his table for six neighbors: the text says where it is from
    twelve = {f"{ion.symbol}+{ion.charge}": twelvefold_radius_a(ion) for ion in cations(hard=False)}
    assert twelve["Ca+2"] == 1.34
    assert twelve["Cs+1"] == 1.88
    assert twelve["Ti+4"] == 0.74  # eight is the most he has


def test_volumes_of_atoms_in_compounds():
    assert atomic_volume_a3("O") == 10.0
    assert atomic_volume_a3("Cs") == 84.0
    assert atomic_volume_a3("Cu") == pytest.approx(11.07, abs=0.01)  # of the metal, as Magpie has it
    assert metallic_radius_a("Cu") == pytest.approx(0.5 * 11.07 ** (1 / 3), abs=0.01)


def test_noble_gases_and_radioactive_elements_are_left_out():
    assert {"He", "Kr", "Tc", "Pm", "Po", "U", "Lr"} <= EXCLUDED
    assert not {"Bi", "Mo", "Nd", "Li", "H"} & EXCLUDED
    assert len(EXCLUDED) == 27


def test_what_is_left_out_is_what_the_screen_calls_radioactive_and_the_noble_gases():
    assert set(RADIOACTIVE) | {"He", "Ne", "Ar", "Kr", "Xe"} == EXCLUDED


@pytest.mark.parametrize(
    ("formula", "states"),
    [
        ("Li10GeP2S12", {"Li": 1, "Ge": 4, "P": 5, "S": -2}), ("Li6PS5Cl", {"Li": 1, "P": 5, "S": -2, "Cl": -1}),
        ("Li7La3Zr2O12", {"Li": 1, "La": 3, "Zr": 4, "O": -2}), ("Li4P2S6", {"Li": 1, "P": 4, "S": -2}),
        ("FeS2", {"Fe": 2, "S": -1}), ("Li2O2", {"Li": 1, "O": -1}), ("LiFePO4", {"Li": 1, "Fe": 2, "P": 5, "O": -2}),
        ("Li1.3Al0.3Ti1.7P3O12", {"Li": 1, "Al": 3, "Ti": 4, "P": 5, "O": -2}), ("LiBH4", {"Li": 1, "B": 3, "H": -1}),
        ("Fe3O4", {"Fe": 8 / 3, "O": -2}), ("LiMn2O4", {"Li": 1, "Mn": 3.5, "O": -2}), ("Li3N", {"Li": 1, "N": -3}),
    ],
)  # fmt: skip
def test_oxidation_states_balance_as_a_chemist_would_have_them(formula: str, states: dict[str, float]):
    assert balance_states(composition_of(formula)) == pytest.approx(states)


def test_metals_and_elements_have_no_balance():
    assert balance_states({"Li": 1.0, "Al": 1.0, "Ga": 1.0}) is None
    assert balance_states({"Li": 1.0}) is None
    assert balance_states({"He": 1.0, "O": 1.0}) is None


def test_states_of_one_element_are_mixed_rather_than_rare():
    """Manganese of Mn3+ and Mn4+, not Mn+ with peroxide; antimony in an oxide is not an anion."""
    assert balance_states(composition_of("Li5Mn3O8")) == pytest.approx({"Li": 1, "Mn": 11 / 3, "O": -2})
    assert balance_states(composition_of("Li8Cr3SbO12")) == pytest.approx({"Li": 1, "Cr": 11 / 3, "Sb": 5, "O": -2})


def test_elements_that_the_statistics_lack_have_their_common_states():
    assert state_shares("Au") == {3: 1.0}
    assert balance_states(composition_of("K2LiAuF6")) == pytest.approx({"K": 1, "Li": 1, "Au": 3, "F": -1})


@pytest.mark.parametrize(
    ("states", "tolerance", "is_neutral"),
    [
        ({"Cs": 1.0, "Cl": -1.0}, 0.0, True), ({"Cs": 1.0, "Cl": 1.0}, 0.1, False), ({"Cs": 1.0}, 1.0, False),
        ({"Cs": 1.0, "Cl": -0.95}, 0.06, True), ({"Cs": 1.0, "Cl": -0.95}, 0.04, False), ({}, 1.0, False),
    ],
)  # fmt: skip
def test_states_of_a_file_count_where_they_are_neutral(states: dict[str, float], tolerance: float, is_neutral: bool):
    assert leave_neutral(states, {"Cs": 2.0, "Cl": 2.0}, tolerance) == is_neutral


def test_a_mobile_ion_has_one_charge_or_is_refused():
    assert single_charge({"Cu": 1.0, "S": -2.0}, "Cu") == 1
    for states in ({"Cu": 1.5, "S": -2.0}, {"S": -2.0}):
        with pytest.raises(StructureError, match="no single charge"):
            single_charge(states, "Cu")


# Costs


def count_atoms(*formulas: str) -> np.ndarray:
    """Atoms of each element by atomic number, a row a formula."""
    amounts = np.zeros((len(formulas), len(SYMBOLS)))
    for row, formula in zip(amounts, formulas, strict=True):
        for symbol, amount in composition_of(formula).items():
            row[ATOMIC_NUMBERS[symbol]] = amount
    return amounts


def test_a_compound_costs_what_the_masses_of_its_elements_do():
    """Values: 6.94, 30.974, 32.06, 22.990, 35.45, 72.630 g/mol; 81.4, 2.69, 0.0926, 2.57, 0.082, 914 USD/kg."""
    thiophosphate = (3 * 6.94 * 81.4 + 30.974 * 2.69 + 4 * 32.06 * 0.0926) / (3 * 6.94 + 30.974 + 4 * 32.06)
    salt = (22.990 * 2.57 + 35.45 * 0.082) / (22.990 + 35.45)
    lgps = (10 * 6.94 * 81.4 + 72.630 * 914 + 2 * 30.974 * 2.69 + 12 * 32.06 * 0.0926) / (
        10 * 6.94 + 72.630 + 2 * 30.974 + 12 * 32.06
    )
    prices = price_usd_kg(count_atoms("Li3PS4", "NaCl", "Li10GeP2S12", "Ge"))
    assert prices == pytest.approx([thiophosphate, salt, lgps, 914], rel=1e-3)


@given(st.dictionaries(st.sampled_from(["Li", "Na", "P", "S", "Cl", "Zr", "O"]), st.floats(0.01, 30), min_size=1))
@settings(deadline=None)
def test_a_price_is_that_of_no_amount_and_lies_between_its_elements(amounts: dict[str, float]):
    row = np.zeros((1, len(SYMBOLS)))
    for symbol, amount in amounts.items():
        row[0, ATOMIC_NUMBERS[symbol]] = amount
    price = price_usd_kg(row)[0]
    own = element_costs("price_usd_kg")[[ATOMIC_NUMBERS[symbol] for symbol in amounts]]
    assert own.min() * (1 - 1e-9) <= price <= own.max() * (1 + 1e-9)
    assert price_usd_kg(7 * row)[0] == pytest.approx(price)


def test_an_element_without_a_price_leaves_the_compound_without_one():
    prices = price_usd_kg(count_atoms("Ra2O", "Li2O", "LiAt", "Rn"))
    assert np.isnan(prices).tolist() == [True, False, True, True]


def test_the_scarcest_element_is_the_one_the_crust_has_least_of():
    symbols, abundance = scarcest_elements(count_atoms("Li7La3Zr2O12", "Li10GeP2S12", "Li3InCl6", "NaCl", "LiTcO4"))
    assert symbols == ["Li", "Ge", "In", "Cl", "Tc"]
    assert abundance[:4].tolist() == [20, 1.5, 0.25, 145]  # CRC Handbook of Chemistry and Physics, mg/kg
    assert np.isnan(abundance[4])  # technetium does not occur there


def test_every_stable_element_has_a_price_and_an_abundance():
    stable = [z for symbol, z in ATOMIC_NUMBERS.items() if symbol not in RADIOACTIVE]
    for name in ("price_usd_kg", "abundance_mg_kg"):
        assert (element_costs(name)[stable] > 0).all()
        assert np.isnan(element_costs(name)[ATOMIC_NUMBERS["At"]])


def test_tables_of_ions_are_those_of_pymatgen():
    from pymatgen.analysis.bond_valence import BV_PARAMS
    from pymatgen.core.composition import Composition

    Composition({"Li": 1, "F": 1}).oxi_state_guesses()  # which reads the table
    sites = {element: counts for element, counts in sites_of_charges().items() if counts}
    expected: dict[str, dict[int, float]] = {}
    for species, n in Composition.oxi_prob.items():
        if species.oxi_state:
            expected.setdefault(species.symbol, {})[int(species.oxi_state)] = n
    assert sites == expected
    table = bond_valence_table()
    known = {element.symbol: (each["r"], each["c"]) for element, each in BV_PARAMS.items()}
    assert {SYMBOLS[z] for z in np.flatnonzero(~np.isnan(table[:, 0]))} == set(known) & set(SYMBOLS)
    for symbol in set(known) & set(SYMBOLS):
        np.testing.assert_allclose(table[ATOMIC_NUMBERS[symbol]], known[symbol])
