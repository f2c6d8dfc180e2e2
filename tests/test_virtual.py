from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from crystals import TRICLINIC
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.chemistry.ions import Ion, nearest_ions
from phonolyte.cli import app
from phonolyte.conduction import describe_conduction
from phonolyte.errors import ModelError, PhonolyteError, SettingsError
from phonolyte.features import featurize
from phonolyte.features.conduction import _states_of, ionic_descriptors
from phonolyte.features.elemental import elemental_table
from phonolyte.features.physical import NEVER_ZERO, physical_values
from phonolyte.models import BandCenterModel
from phonolyte.models.center import EMBEDDED
from phonolyte.percolation import COARSE
from phonolyte.references import ordered_model
from phonolyte.runs.progress import OpenBar
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal, read
from phonolyte.virtual import (
    BUILT_IN,
    Evaluator,
    Parent,
    ParentFeatures,
    PhysicalOfParent,
    Rules,
    SlotRule,
    Space,
    VirtualResult,
    built_in,
    built_in_rules,
    choose_spaces,
    default_rules,
    evaluate,
    parent_of,
    read_rules,
    run_virtual,
    write_structures,
)
from phonolyte.virtual.compounds import CompoundFeatures
from phonolyte.virtual.conduction import ConductionOfParent
from phonolyte.virtual.parents import orbit_labels
from phonolyte.virtual.physical import LEAST_SCALE
from phonolyte.virtual.plausibility import Plausibility, _of_ion
from phonolyte.virtual.rules import RuleFile
from phonolyte.virtual.run import builder
from phonolyte.virtual.stream import Evaluated, Tally, formulas

PEROVSKITE = Crystal.from_arrays("CaTiO3", np.eye(3) * 3.9, ["Ca", "Ti", "O", "O", "O"],
                        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])  # fmt: skip

LARGE = ("nasicon", "garnet")
PARENTS = [pytest.param(name, marks=pytest.mark.long) if name in LARGE else name for name in BUILT_IN]
"""Prototypes whose virtual compounds are compared with built ones; those of large cells take long."""


@pytest.fixture(scope="module")
def model() -> BandCenterModel:
    return BandCenterModel.embedded("virtual")


def make_space(rules: Rules, crystal: Crystal = PEROVSKITE) -> Space:
    return Space.from_rules(RuleFile(crystal.material_id, crystal, rules))


def run_into(folder: Path, spaces: list[Space], model: BandCenterModel, **more: Any) -> VirtualResult:
    with Run(folder, "virtual") as run:
        return run_virtual(run, spaces, model, **more)


def open_bars(**advances: Callable[[int], None]) -> OpenBar:
    """Open bars whose functions are given by their labels."""

    @contextmanager
    def open_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
        yield advances[label]

    return open_bar


@pytest.mark.parametrize("name", PARENTS)
def test_features_are_those_of_the_built_structures(name: str):
    space = Space.from_rules(built_in_rules(name))
    numbers = space.numbers(space.sample(40, seed=7))
    numbers[:8, 1] = numbers[:8, 0]  # one element on two slots
    numbers[4:12, -1] = numbers[4:12, -2]
    built, failures = featurize(
        [space.parent.substituted(row, material_id=str(i)) for i, row in enumerate(numbers.tolist())]
    )
    assert not failures
    np.testing.assert_allclose(
        ParentFeatures.from_parent(space.parent)(numbers), built.to_numpy(), rtol=0, atol=1.01e-10
    )


def test_features_of_slots_by_orbit_and_of_pure_elements():
    crystal = ordered_model("ref-Li6PS5Cl")
    parent = parent_of(crystal, {"bridge": ["S 4d"], "rest": ["S 16e"]})
    assert [slot.name for slot in parent.slots] == ["bridge", "rest", "Li", "P", "Cl"]
    numbers = np.array([[8, 16, 3, 15, 17], [16, 16, 3, 15, 16], [16, 16, 16, 16, 16], [34, 16, 11, 51, 35]])
    built, _ = featurize([parent.substituted(row, material_id=str(i)) for i, row in enumerate(numbers)])
    np.testing.assert_allclose(ParentFeatures.from_parent(parent)(numbers), built.to_numpy(), rtol=0, atol=1.01e-10)


def check_physical_columns(parent: Parent, numbers: np.ndarray, scale: np.ndarray) -> None:
    """Compare with the built structures: equal but for the last digit of the rounding, or to 1e-10.

    A compound in which an atom of the built structure is isolated has no columns.
    """
    columns = PhysicalOfParent.from_parent(parent)(numbers, scale)
    for row, elements, factor in zip(columns, numbers, scale.tolist(), strict=True):
        built = parent.substituted(elements, scale=factor)
        expected = physical_values(built.lattice, built.frac_coords, built.numbers, elemental_table(), NEVER_ZERO)
        expected = expected if np.isfinite(expected).all() else np.full(len(expected), np.nan)
        np.testing.assert_allclose(row, expected, rtol=1e-10, atol=1.01e-10)


def draw_elements(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.choice(np.flatnonzero(np.isfinite(elemental_table()).all(axis=1)), shape)


@pytest.mark.parametrize("name", PARENTS)
def test_physical_columns_are_those_of_the_built_structures(name: str):
    parent, random = parent_of(built_in(name)), np.random.default_rng(7)
    numbers = draw_elements(random, 60, len(parent.slots))
    numbers[:8, 1] = numbers[:8, 0]  # one element on two slots
    numbers[4:12, -1] = numbers[4:12, -2]
    scale = random.uniform(0.85, 1.2, len(numbers))
    assert np.isfinite(PhysicalOfParent.from_parent(parent)(numbers, scale)).all()
    check_physical_columns(parent, numbers, scale)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 3), st.floats(0.55, 1.5))
def test_physical_columns_of_any_parent_are_those_of_the_built_structures(
    seed: int, n_sites: int, n_slots: int, scale: float
):
    random = np.random.default_rng(seed)
    lattice = np.eye(3) * 5.0 + random.uniform(-0.6, 0.6, (3, 3))
    slots = random.integers(n_slots, size=n_sites)
    grid = np.stack(np.meshgrid([0.0, 0.5], [0.0, 0.5], [0.0, 0.5]), axis=-1).reshape(8, 3)[:n_sites]
    crystal = Crystal.from_arrays("random", lattice, ["Li"] * n_sites, grid + random.uniform(-0.08, 0.08, grid.shape))
    parent = parent_of(crystal, {f"slot {slot}": np.flatnonzero(slots == slot).tolist() for slot in set(slots)})
    numbers = draw_elements(random, 2, len(parent.slots))
    check_physical_columns(parent, numbers, np.array([scale, 1.0]))


def test_physical_columns_of_slots_by_orbit_supercells_and_pure_elements():
    orbits = parent_of(ordered_model("ref-Li6PS5Cl"), {"bridge": ["S 4d"], "rest": ["S 16e"]})
    numbers = np.array([[8, 16, 3, 15, 17], [16, 16, 3, 15, 16], [16, 16, 16, 16, 16], [34, 16, 11, 51, 35]])
    check_physical_columns(orbits, numbers, np.array([0.9, 1.0, 1.0, 1.1]))
    supercell = parent_of(Crystal.from_ase(TRICLINIC.to_ase().repeat((2, 1, 1))))
    assert len(PhysicalOfParent.from_parent(supercell).copies) == len(
        TRICLINIC
    )  # as many kinds of sites as in one cell
    check_physical_columns(supercell, np.array([[3, 15, 16, 8, 17], [11, 33, 34, 8, 8]]), np.array([1.0, 1.03]))


def test_sites_that_differ_only_beyond_the_reach_in_the_parent_are_of_different_kinds():
    chain = Crystal.from_arrays("chain", np.diag([3.0, 3.0, 30.0]), ["Li", "Li", "Li", "Na"],
                       [[0, 0, 0], [0, 0, 0.1], [0, 0, 0.2], [0, 0, 0.5]])  # fmt: skip
    check_physical_columns(parent_of(chain), np.array([[3, 35], [19, 9]]), np.array([1.0, LEAST_SCALE]))
    assert len(PhysicalOfParent.from_parent(parent_of(chain)).copies) == 4


def test_sites_that_are_equal_but_for_a_small_shift_are_of_different_kinds():
    shifted = PEROVSKITE.frac_coords.copy()
    shifted[2, 2] += 1e-7
    parent = parent_of(Crystal.from_arrays("nearly", PEROVSKITE.lattice, PEROVSKITE.numbers.tolist(), shifted))
    assert len(PhysicalOfParent.from_parent(parent_of(PEROVSKITE)).copies) == 3
    assert len(PhysicalOfParent.from_parent(parent).copies) == 4
    check_physical_columns(parent, np.array([[20, 22, 8], [56, 40, 16]]), np.array([1.0, 1.2]))


def test_compounds_with_an_isolated_atom_or_without_a_scale_have_no_physical_columns():
    columns = PhysicalOfParent.from_parent(parent_of(PEROVSKITE))
    numbers, scale = np.tile([20, 22, 8], (8, 1)), np.array([1.0, 3.4, np.nan, np.inf, 0.0, -1.0, 0.59, 1.5])
    rows = columns(numbers, scale)
    np.testing.assert_array_equal(np.isfinite(rows).all(axis=1), [True, False, False, False, False, False, True, True])
    np.testing.assert_array_equal(np.isnan(rows).all(axis=1), [False, True, True, True, True, True, False, False])
    assert columns(numbers[:0], scale[:0]).shape == (0, 129)
    lonely = PhysicalOfParent.from_parent(
        parent_of(Crystal.from_arrays("lonely", np.eye(3) * 12.0, ["Na"], [[0, 0, 0]]))
    )
    assert np.isnan(lonely(np.array([[11]]), np.array([1.0]))).all()
    assert np.isfinite(lonely(np.array([[11]]), np.array([0.5]))).all()


def test_physical_columns_are_the_same_in_any_order_and_with_threads():
    parent, random = parent_of(built_in("li3ps4")), np.random.default_rng(3)
    numbers, scale = draw_elements(random, 200, len(parent.slots)), random.uniform(0.9, 1.1, 200)
    whole, order = PhysicalOfParent.from_parent(parent)(numbers, scale), random.permutation(200)
    np.testing.assert_array_equal(PhysicalOfParent.from_parent(parent)(numbers[order], scale[order]), whole[order])
    shared = PhysicalOfParent.from_parent(parent)
    with ThreadPoolExecutor(3) as executor:
        parts = executor.map(shared, np.split(numbers, 8), np.split(scale, 8))
    np.testing.assert_array_equal(np.concatenate(list(parts)), whole)


def test_lithium_stays_and_there_are_as_many_compounds_as_in_the_study():
    spaces = choose_spaces()
    assert [space.parent.name for space in spaces] == list(BUILT_IN)
    assert {tuple(space.slots["Li"]) for space in spaces} == {("Li",)}
    assert sum(map(len, spaces)) >= 230_136


def test_another_ion_or_any_takes_the_place_of_lithium():
    (sodium,), (anything,) = choose_spaces(["nasicon"], ion="Na"), choose_spaces(["nasicon"], ion="any")
    assert sodium.slots["Li"] == ["Na"]
    assert len(sodium) == len(choose_spaces(["nasicon"])[0])
    assert len(anything) == 12 * len(sodium)


def test_a_list_of_a_file_stands_for_its_elements(tmp_path: Path):
    file = tmp_path / "rules.toml"
    file.write_text('prototype = "li3ps4"\nlists.halogens = ["F", "Cl"]\nslots.S = ["S", "halogens"]\n')
    assert read_rules(file).rules.slots[0].elements == ("S", "F", "Cl")
    file.write_text('prototype = "li3ps4"\nlists = 3\nslots.S = ["S"]\n')
    with pytest.raises(SettingsError, match="lists is 3"):
        read_rules(file)


def test_numbers_of_compounds_are_decoded_and_sampled():
    space = make_space(Rules((SlotRule("Ca", ("Ca", "Sr")), SlotRule("Ti", ("Ti", "Zr", "Hf")))))
    assert len(space) == 6
    compounds = [tuple(row) for row in space.numbers(np.arange(6)).tolist()]
    assert compounds == [(20, 22, 8), (20, 40, 8), (20, 72, 8), (38, 22, 8), (38, 40, 8), (38, 72, 8)]
    assert space.sample(4, seed=1).tolist() == space.sample(4, seed=1).tolist()
    assert len(set(space.sample(5, seed=2).tolist())) == 5
    assert len(space.sample(99)) == 6


def test_orbits_have_labels():
    labels = orbit_labels(ordered_model("ref-LiGe2P3O12"))
    assert sorted(set(labels)) == ["Ge 12c", "Li 6b", "O 36f", "O 36f 2", "P 18e"]
    assert labels.count("O 36f 2") == 12


def test_charges_radii_and_electronegativities_leave_compounds_out():
    slots = (SlotRule("Ca", ("Ca", "K", "La")), SlotRule("Ti", ("Ti", "Nb", "Al", "S")))
    space = make_space(Rules(slots))
    numbers = space.numbers(np.arange(len(space)))
    allowed = space.allowed(numbers, space.balanced(numbers))
    made = dict(zip(formulas(numbers, space.parent.counts), allowed.tolist(), strict=True))
    assert made["CaTiO3"]
    assert made["KNbO3"]
    assert made["LaAlO3"]
    assert not made["KAlO3"]
    narrow = make_space(Rules(slots, charge="free", radius_window=1.2))
    within = narrow.allowed(numbers, narrow.balanced(numbers))
    assert within[0]
    assert not within.all()
    swapped = make_space(Rules((SlotRule("Ti", ("Ti", "F")),), charge="free", electronegativity_order=True))
    numbers = swapped.numbers(np.arange(2))
    assert swapped.allowed(numbers, swapped.balanced(numbers)).tolist() == [True, False]


def test_formulas_are_those_of_crystals():
    space = Space.from_rules(built_in_rules("argyrodite"))
    indices = space.sample(60, seed=3)
    assert formulas(space.numbers(indices), space.parent.counts) == [space.crystal(i).formula for i in indices.tolist()]


def test_the_parent_is_most_plausible_and_substitutions_are_pymatgen_s():
    from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
    from pymatgen.core.periodic_table import Species

    table, lithium = SubstitutionProbability(), Species("Li", 1)
    own = table.cond_prob(lithium, lithium)
    for symbol, z in (("Na", 11), ("Ag", 47), ("Cs", 55)):
        ratio = table.cond_prob(Species(symbol, 1), lithium) / own
        assert np.exp(_of_ion(Ion("Li", 1, 0.76))[z]) == pytest.approx(ratio)
    space = Space.from_rules(built_in_rules("nasicon"))
    numbers = np.array([[3, 32, 15, 8], [11, 40, 15, 8], [56, 82, 17, 53]])
    plausibility = Plausibility(space)(numbers, space.balanced(numbers))
    assert plausibility[0] == pytest.approx(1.0)
    assert 1.0 > plausibility[1] > 0.05 > plausibility[2]


def compute_by_the_book(
    *, balanced: bool, ratios: float, beyond: float, replaced: list[tuple[str, int, str, int]]
) -> float:
    """The plausibility as the documentation has it, with pymatgen's own probabilities.

    The largest factor between ratios of radii, and the tolerance factor over the nearest bound of 0.8 to 1.06.
    """
    from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
    from pymatgen.core.periodic_table import Species

    table = SubstitutionProbability()
    logs = [0.0, 0.0, 0.0]
    for slot, (new, charge, old, old_charge) in enumerate(replaced):
        before = Species(old, old_charge)
        ratio = table.cond_prob(Species(new, charge), before) / table.cond_prob(before, before)
        logs[slot] = min(float(np.log(ratio)), 0.0)
    sizes = np.exp(-0.5 * (np.log(ratios) / np.log(1.45)) ** 2)
    tilts = np.exp(-0.5 * (np.log(beyond) / 0.05) ** 2)
    return float((1.0 if balanced else 0.1) * sizes * tilts * np.exp(np.mean(logs)))


@pytest.mark.long
def test_the_plausibility_is_the_product_that_the_documentation_has():
    space = make_space(
        Rules((SlotRule("Ca", ("Ca", "Sr", "Mg", "Ba")), SlotRule("Ti", ("Ti", "Zr", "Al"))), charge="free")
    )
    numbers = space.numbers(np.arange(len(space)))
    values = Plausibility(space)(numbers, space.balanced(numbers))
    plausibilities = dict(zip(formulas(numbers, space.parent.counts), values.tolist(), strict=True))
    root = 2**0.5
    # radii of Shannon for six neighbors: Ca 1.00, Sr 1.18, Mg 0.72, Ba 1.35, Ti 0.605, Zr 0.72, Al 0.535; O 1.40
    expected = {
        "CaTiO3": 1.0,
        "SrTiO3": compute_by_the_book(balanced=True, ratios=1.18, beyond=1.0, replaced=[("Sr", 2, "Ca", 2)]),
        # for more neighbors Mg has 0.89, so that the factor is below 0.8
        "MgZrO3": compute_by_the_book(
            balanced=True, ratios=(0.72 / 0.605) / (0.72 / 1.00), beyond=(0.89 + 1.40) / root / (0.72 + 1.40) / 0.8,
            replaced=[("Mg", 2, "Ca", 2), ("Zr", 4, "Ti", 4)],
        ),
        # for twelve neighbors Ba has 1.61, so that the factor is above 1.06
        "BaAlO3": compute_by_the_book(
            balanced=False, ratios=1.35 / (0.535 / 0.605), beyond=(1.61 + 1.40) / root / (0.535 + 1.40) / 1.06,
            replaced=[("Ba", 2, "Ca", 2), ("Al", 3, "Ti", 4)],
        ),
    }  # fmt: skip
    assert {formula: plausibilities[formula] for formula in expected} == pytest.approx(expected)


def test_what_is_not_known_of_ions_makes_a_compound_less_plausible():
    from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
    from pymatgen.core.periodic_table import Species

    calcium = Species("Ca", 2)
    itself = SubstitutionProbability().get_lambda(calcium, calcium)
    assert np.exp(_of_ion(Ion("Ca", 2, 1.0))[36]) == pytest.approx(np.exp(-5.0 - itself))  # krypton is not in the table
    alloy = Crystal.from_arrays("TiNi", np.eye(3) * 3.01, ["Ti", "Ni"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    space = make_space(Rules((SlotRule("Ti", ("Ti", "Zr")),), charge="free"), alloy)
    # 0.1 for unknown radii, 1e-3 for unknown substitutions, and 0.1 where charges do not add up
    plausibility = Plausibility(space)(np.array([[40, 28], [40, 28]]), np.array([True, False]))
    assert plausibility == pytest.approx([1e-4, 1e-5])


def make_perovskite(*, stretch: float = 1.0, shift: float = 0.0) -> Space:
    cell = np.diag([3.9, 3.9, 3.9 * stretch])
    sites = [[shift, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return make_space(Rules(), Crystal.from_arrays("p", cell, ["Ca", "Ti", "O", "O", "O"], sites))


def test_octahedra_of_a_perovskite_may_be_stretched_and_the_large_ion_off_its_place():
    own = np.array([[20, 22, 8]])
    # bonds up to 1.25 times the shortest
    assert make_perovskite(stretch=1.24).tolerance_factor(own) is not None
    assert make_perovskite(stretch=1.26).tolerance_factor(own) is None
    # eight neighbors up to 1.5 times the nearest: sqrt((x^2 + 1/2) / ((1/2 - x)^2 + 1/4)) is 1.49 and 1.53
    assert make_perovskite(shift=0.34).tolerance_factor(own) is not None
    assert make_perovskite(shift=0.36).tolerance_factor(own) is None


def test_a_slot_without_a_list_takes_ions_whose_radius_is_within_a_factor():
    calcium = set(make_space(Rules((SlotRule("Ca"),))).slots["Ca"])
    # Ca has 1.00, so that ions of 0.69 to 1.45 angstrom are alike
    assert {"K", "Li", "Mg", "Zr"} <= calcium  # 1.38, 0.76, 0.72, 0.72
    assert not {"Rb", "Cs", "Al", "Ga"} & calcium  # 1.52, 1.67, 0.535, 0.62


def test_more_than_twenty_million_compounds_are_not_all_written(model: BandCenterModel, tmp_path: Path):
    elements = (*SYMBOLS[19:36], *SYMBOLS[37:43], *SYMBOLS[44:50])  # 29 with all their properties
    slots = tuple(SlotRule(f"s{i}", elements, (i,)) for i in range(5))
    space = make_space(Rules(slots, charge="free"))
    assert len(space) == 20_511_149
    with pytest.raises(SettingsError, match="at most 20,000,000 are written"):
        run_into(tmp_path, [space], model, progress=open_bars(Compounds=lambda _: pytest.fail("it has begun")))


def test_a_space_that_cannot_be_numbered_is_refused():
    crystal = ordered_model("ref-Li3PS4-Pnma")
    elements = (*SYMBOLS[19:36], *SYMBOLS[37:43], *SYMBOLS[44:50])
    slots = tuple(SlotRule(f"s{i}", elements, (i,)) for i in range(13))
    assert len(make_space(Rules(slots[:12], charge="free"), crystal)) == 29**12
    with pytest.raises(SettingsError, match="more than 5e"):
        make_space(Rules(slots, charge="free"), crystal)


def make_evaluated(
    center_mev: list[float], *, half_width_mev: float = 4.0, plausibility: float = 1.0, in_domain: bool = True
) -> Evaluated:
    n = len(center_mev)
    flags, numbers = np.full(n, in_domain), np.tile([3, 8], (n, 1))
    return Evaluated(
        index=np.arange(n), numbers=numbers, center_mev=np.array(center_mev), half_width_mev=np.full(n, half_width_mev),
        in_domain=flags, balanced=np.full(n, True), mean_row=np.full(n, 2.0), plausibility=np.full(n, plausibility),
        log_sigma=np.full(n, -3.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("plausibility", "in_domain", "score_mev", "score_log_sigma"),
    [
        (1.0, True, 34.0, -3.0),  # the upper end of the interval, and the estimate
        (0.1, True, 39.0, -4.0),  # 5 meV and a decade for a power of ten
        (0.01, True, 44.0, -5.0),
        (0.01, False, 49.0, -6.0),  # and 5 meV and a decade outside the domain
        (0.0, True, 94.0, -15.0),  # at most twelve powers
    ],
)
def test_a_score_adds_five_mev_or_a_decade_for_each_power_of_ten_of_plausibility(
    plausibility: float, in_domain: bool, score_mev: float, score_log_sigma: float
):
    evaluation = make_evaluated([30.0], plausibility=plausibility, in_domain=in_domain)
    assert evaluation.score_mev == pytest.approx([score_mev])
    assert evaluation.score_log_sigma == pytest.approx([score_log_sigma])


def test_compounds_without_an_estimate_come_last_in_the_order_of_the_study():
    evaluation = replace(make_evaluated([30.0, 20.0, 60.0, 50.0]), log_sigma=np.array([np.nan, np.nan, -5.0, -4.0]))
    assert evaluation.best(4, "conductors").index.tolist() == [3, 2, 1, 0]
    assert evaluation.best(3, "conductors").index.tolist() == [3, 2, 1]
    assert evaluation.best(4, "study").index.tolist() == [1, 0, 3, 2]


@pytest.mark.parametrize("name", ["argyrodite", "nasicon", "lgps"])
def test_descriptors_of_conduction_are_those_of_the_compositions(name: str):
    space = choose_spaces([name])[0]
    slots, counts = space.parent.slots, space.parent.counts
    numbers = space.numbers(space.sample(20_000, seed=5))
    numbers = np.vstack([[[ATOMIC_NUMBERS[slot.element] for slot in slots]], numbers])
    numbers = numbers[space.balanced(numbers)]
    volume_a3, compared = np.linspace(12.0, 25.0, len(numbers)), 0
    values = ConductionOfParent.from_space(space).descriptors(numbers, volume_a3)
    for row, descriptors, volume in zip(numbers.tolist(), values, volume_a3.tolist(), strict=True):
        amounts, states = Counter(), set()
        for z, slot in zip(row, slots, strict=True):
            amounts[SYMBOLS[z]] += len(slot.sites)
            ion = nearest_ions(slot.ion.charge).get(SYMBOLS[z])
            states.add((SYMBOLS[z], ion and ion.charge))
        if states == set(_states_of(tuple(sorted(amounts.items()))).items()):
            np.testing.assert_allclose(descriptors, ionic_descriptors(amounts, volume * counts.sum(), "Li"), atol=1e-6)
            compared += 1
    assert compared > 100


@pytest.mark.parametrize("name", ["argyrodite", "garnet"])
def test_the_estimate_of_a_parent_is_what_the_model_predicts_for_it(name: str, model: BandCenterModel):
    space = choose_spaces([name])[0]
    evaluator = Evaluator(space, model)
    own = [list(candidates).index(ATOMIC_NUMBERS[slot.element])
           for candidates, slot in zip(space.candidates, space.parent.slots, strict=True)]  # fmt: skip
    index = int(np.ravel_multi_index(own, [len(candidates) for candidates in space.candidates]))
    evaluation = evaluator(np.array([index]))
    crystal = builder(space, model)(index)
    assert crystal.formula == space.parent.crystal.formula
    row = describe_conduction([crystal], ["Li"], COARSE).iloc[0]
    # the percolation barrier alone differs: that of the parent, or that at the predicted volume
    assert evaluation.log_sigma[0] == pytest.approx(np.log10(row["sigma_predicted_s_cm"]), abs=0.4)


def test_estimates_are_for_lithium_and_for_parents_of_lithium(model: BandCenterModel):
    sodium, anything = (choose_spaces(["li3ps4"], ion=ion)[0] for ion in ("Na", "any"))
    assert np.isnan(Evaluator(sodium, model)(np.arange(50)).log_sigma).all()
    evaluation = Evaluator(anything, model)(anything.sample(2000, seed=1))
    lithium = evaluation.numbers[:, [slot.name for slot in anything.parent.slots].index("Li")] == 3
    assert np.isfinite(evaluation.log_sigma).tolist() == lithium.tolist()
    assert lithium.any()
    for other in (make_space(Rules()), Space.from_rules(default_rules(ordered_model("ref-NaCl")))):
        assert ConductionOfParent.from_space(other) is None
    assert np.isnan(Evaluator(choose_spaces(["li3ps4"])[0], model, recipe="study")(np.arange(50)).log_sigma).all()


def test_the_best_are_followed_and_come_in_the_order_of_probability_and_plausibility(
    model: BandCenterModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("phonolyte.virtual.followed.FOLLOWED", 12)
    spaces = choose_spaces(["li3ps4", "li2tio3"])
    with ThreadPoolExecutor(2) as executor:
        best = run_into(tmp_path / "run", spaces, model, top=30, executor=executor).best
    followed = best[best["percolation"] != "not computed"]
    assert followed["prototype"].value_counts().to_dict() == {"li3ps4": 12, "li2tio3": 12}
    merit = (followed["p_conductor"] * followed["plausibility"]).dropna()
    assert merit.index.tolist() == list(range(len(merit)))
    assert merit.is_monotonic_decreasing
    assert len(merit) > 12
    rest = best.iloc[len(merit) :]
    assert rest["score_log_sigma"].is_monotonic_decreasing
    built = builder(spaces[0], model)
    row = followed[followed["formula"] == "Li3PSe4"].iloc[0]
    again = describe_conduction([built(int(row["material_id"].rpartition("-")[2]))], ["Li"], COARSE).iloc[0]
    assert row["p_conductor"] == pytest.approx(again["p_conductor"])
    assert row["barrier_3d_ev"] == pytest.approx(again["barrier_3d_ev"])
    monkeypatch.setattr("phonolyte.conduction.compute_percolation", lambda *_: pytest.fail("computed again"))
    pd.testing.assert_frame_equal(run_into(tmp_path / "run", spaces, model, top=30).best, best)


def test_the_recipe_of_the_study_is_by_band_center_and_another_result(model: BandCenterModel, tmp_path: Path):
    spaces = choose_spaces(["li3ps4"])
    study = run_into(tmp_path, spaces, model, top=40, recipe="study")
    assert study.summary["recipe"] == "study"
    assert study.best["score_mev"].is_monotonic_increasing
    assert not {"p_conductor", "score_log_sigma"} & set(study.best)
    conductors = run_into(tmp_path, spaces, model, top=40)
    assert conductors.best["p_conductor"].notna().any()
    assert set(conductors.best["material_id"]) != set(study.best["material_id"])


def test_a_tally_counts_up_to_forty_mev_as_soft_and_keeps_a_histogram_to_two_hundred():
    tally = Tally()
    tally.add(7, make_evaluated([39.9, 40.0, 40.1, 198.5, 199.5, 250.0]))
    summary = tally.summary()
    assert (summary["given"], summary["compounds"], summary["soft"]) == (7, 6, 2)
    histogram = summary["histogram_per_mev"]
    assert len(histogram) == 200
    assert {mev: n for mev, n in enumerate(histogram) if n} == {39: 1, 40: 2, 198: 1, 199: 2}


def test_streaming_is_in_order_and_the_same_with_threads(model: BandCenterModel):
    evaluator = Evaluator(Space.from_rules(built_in_rules("li2tio3")), model)
    indices = range(0, 5616, 3)
    plain = list(evaluate(evaluator, indices))
    with ThreadPoolExecutor(3) as executor:
        threaded = list(evaluate(evaluator, indices, executor=executor))
    assert [n for n, _ in plain] == [n for n, _ in threaded]
    for (_, one), (_, other) in zip(plain, threaded, strict=True):
        np.testing.assert_array_equal(one.center_mev, other.center_mev)
        np.testing.assert_array_equal(one.index, other.index)
    predicted = model.predict_crystals([evaluator.space.crystal(i) for i in (0, 3, 6)])
    np.testing.assert_allclose(plain[0][1].center_mev[:3], predicted["band_center_mev"], atol=0.05)
    np.testing.assert_array_equal(plain[0][1].in_domain[:3], predicted["in_domain"])


def test_the_model_of_relaxed_cells_knows_no_virtual_compounds():
    with pytest.raises(ModelError, match="needs relaxed crystals"):
        CompoundFeatures.from_parent(parent_of(built_in("li3ps4")), BandCenterModel.embedded("relaxed"))


@pytest.mark.parametrize("parent", ["argyrodite", "lgps"])
@pytest.mark.parametrize("name", [name for name in EMBEDDED if name != "relaxed"])
def test_predictions_are_those_of_the_built_structures(name: str, parent: str):
    model, space = BandCenterModel.embedded(name), Space.from_rules(built_in_rules(parent))
    streamed = Evaluator(space, model)(space.sample(24, seed=3))
    build = builder(space, model)
    built = model.predict_crystals([build(index) for index in streamed.index.tolist()])
    np.testing.assert_allclose(streamed.center_mev, built["band_center_mev"], rtol=1e-5)
    np.testing.assert_allclose(streamed.center_mev + streamed.half_width_mev, built["upper_mev"], rtol=1e-5)
    np.testing.assert_array_equal(streamed.in_domain, built["in_domain"])


def test_the_best_are_those_of_the_whole_list(model: BandCenterModel, tmp_path: Path):
    spaces = choose_spaces(["li3ps4", "li2tio3"])
    everything = run_into(tmp_path / "all", spaces, model)
    best = run_into(tmp_path / "best", spaces, model, top=25)
    whole = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "all" / "virtual").glob("*.parquet")))
    assert len(whole) == sum(map(len, spaces)) == everything.summary["total"]["compounds"]
    assert everything.best["prototype"].value_counts().to_dict() == {"li3ps4": 864, "li2tio3": 864}
    for space in spaces:
        of_space = whole[whole["prototype"] == space.parent.name]
        of_space = of_space.sort_values("score_log_sigma", ascending=False, kind="stable").head(25)
        best_of_space = best.best[best.best["prototype"] == space.parent.name].sort_values(
            "score_log_sigma", ascending=False
        )
        assert best_of_space["material_id"].tolist() == of_space["material_id"].tolist()
    assert best.summary["total"] == everything.summary["total"]
    assert best.best["rank"].tolist() == list(range(1, 51))
    counted = whole["band_center_mev"] <= 40
    assert everything.summary["total"]["soft"] == int(counted.sum())
    by_hand = whole[whole["prototype"] == "li3ps4"][["band_center_mev", "mean_Row"]].corr().iloc[0, 1]
    assert everything.summary["prototypes"]["li3ps4"]["correlation_with_mean_row"] == pytest.approx(by_hand)


def test_a_killed_run_goes_on(model: BandCenterModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phonolyte.virtual.run.PORTION", 256)
    spaces = choose_spaces(["li3ps4"])
    run_into(tmp_path / "whole", spaces, model, top=50)
    calls = 0

    def die(n: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path / "killed", spaces, model, top=50, progress=open_bars(Compounds=die))
    done: list[int] = []
    followed: list[int] = []
    bar = open_bars(Compounds=done.append, Percolation=followed.append)
    run_into(tmp_path / "killed", spaces, model, top=50, progress=bar)
    assert done[0] == 512
    assert sum(done) == len(spaces[0])
    assert sum(followed) == 50
    for name in ("best.csv", "summary.json", "virtual/li3ps4-00000.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_known_compounds_are_marked(model: BandCenterModel, tmp_path: Path):
    rules = Rules((SlotRule("Ca", ("Ca", "Sr")), SlotRule("Ti", ("Ti", "Zr"))))
    other_structure = Crystal.from_arrays(
        "spread", np.eye(3) * 9, ["Sr", "Zr", "O", "O", "O"], np.arange(15).reshape(5, 3) / 17
    )
    strontium = make_space(rules).parent.substituted([38, 22, 8], material_id="known-SrTiO3", scale=1.05)
    best = run_into(tmp_path, [make_space(rules)], model, known=[strontium, other_structure]).best
    marked = best.set_index("formula")["known_as"]
    assert marked["SrTiO3"] == "known-SrTiO3"
    assert marked.drop("SrTiO3").isna().all()


@pytest.mark.long
def test_perovskites_have_the_tolerance_factor_of_shannon_s_radii(model: BandCenterModel, tmp_path: Path):
    space = make_space(Rules((SlotRule("Ca", ("Ca", "Sr", "Ba", "Mg")), SlotRule("Ti", ("Ti", "Zr")))))
    run_into(tmp_path, [space], model)
    table = pd.concat(map(pd.read_parquet, (tmp_path / "virtual").glob("*.parquet"))).set_index("formula")
    factors = table["tolerance_factor"]
    assert factors["CaTiO3"] == pytest.approx((1.34 + 1.40) / (2**0.5 * (0.605 + 1.40)))
    assert factors["SrTiO3"] == pytest.approx((1.44 + 1.40) / (2**0.5 * (0.605 + 1.40)))
    assert factors["MgZrO3"] < 0.8
    assert table["plausibility"]["MgZrO3"] < 0.1 * table["plausibility"]["SrTiO3"]
    of_others = (
        "ref-MgTiO3",
        "ref-LiNbO3",
        "ref-Li6PS5Cl",
        "ref-LiCoO2",
    )  # ilmenite has octahedra, but they share edges
    assert all(Space.from_rules(default_rules(ordered_model(name))).tolerance_factor(np.zeros((0, 1))) is None
               for name in of_others)  # fmt: skip
    anti = Space.from_rules(default_rules(ordered_model("ref-Li3OCl")))
    lithium, oxygen, chlorine = ([slot.name for slot in anti.parent.slots].index(name) for name in ("Li", "O", "Cl"))
    numbers = np.zeros((1, 3), dtype=int)
    numbers[0, [lithium, oxygen, chlorine]] = 3, 8, 17
    assert anti.tolerance_factor(numbers) == pytest.approx((1.81 + 0.76) / (2**0.5 * (1.40 + 0.76)))


def test_bad_rules_are_reported(model: BandCenterModel, tmp_path: Path):
    with pytest.raises(SettingsError, match="not an element"):
        Rules((SlotRule("Ca", ("Xx",)),))
    with pytest.raises(SettingsError, match="which CaTiO3 does not have"):
        make_space(Rules((SlotRule("Fe", ("Fe",)),)))
    with pytest.raises(SettingsError, match="nothing may take slot Ca"):
        make_space(Rules((SlotRule("Ca", ("Sr",)),), exclude=frozenset({"Sr"})))
    with pytest.raises(SettingsError, match="no compound at all"):
        run_into(tmp_path, [make_space(Rules((SlotRule("Ca", ("F", "Cl")),)))], model)
    with pytest.raises(SettingsError, match="no recipe 'softest'"):
        run_into(tmp_path, [make_space(Rules())], model, recipe="softest")
    with pytest.raises(SettingsError, match="in the slots"):
        parent_of(PEROVSKITE, {"one": ["O"], "two": [2]})
    with pytest.raises(SettingsError, match="gaps"):
        make_space(Rules((SlotRule("Ca", ("Pm", "At")),), charge="free"))
    with pytest.raises(SettingsError, match="there is no prototype"):
        built_in("olivine")


def test_defaults_for_any_parent_keep_charges_and_know_the_mobile_ion():
    file = default_rules(ordered_model("ref-Li6PS5Cl"))
    space = Space.from_rules(file)
    names = [slot.name for slot in space.parent.slots]
    candidates = dict(zip(names, space.candidates, strict=True))
    assert {11, 12} <= set(candidates["Li"].tolist())
    assert set(candidates["Cl"].tolist()) >= {17, 35}
    fixed = Space.from_rules(RuleFile(file.name, file.crystal, file.rules.with_ion("Na")))
    assert fixed.candidates[names.index("Li")].tolist() == [11]


RULES = """
prototype = "li3ps4"
charge = "balanced"
exclude = ["Tl"]
[slots.Li]
mobile = true
elements = ["Li", "Na"]
[slots.P]
elements = ["P", "As", "Sb"]
"""


@pytest.mark.figures
def test_the_command_takes_rules_and_writes_structures(tmp_path: Path):
    (tmp_path / "rules.toml").write_text(RULES)
    arguments = ["virtual", "--rules", str(tmp_path / "rules.toml"), "-o", str(tmp_path / "run"), "--structures", "cif"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    best = pd.read_csv(tmp_path / "run" / "best.csv")
    assert len(best) == 6
    assert set(best["Li"]) == {"Li", "Na"}
    assert (tmp_path / "run" / "figures" / "histogram.png").stat().st_size > 5_000
    assert (tmp_path / "run" / "figures" / "row_trend.pdf").stat().st_size > 5_000
    crystals = read(tmp_path / "run" / "structures").crystals
    assert {crystal.formula for crystal in crystals} == set(best["formula"])
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["total"]["compounds"] == 6
    again = [*arguments, "--ion", "K", "--top", "2"]
    refused = CliRunner().invoke(app, again).exception
    assert isinstance(refused, SettingsError)
    assert "another run of phonolyte virtual, with other settings (top)" in str(refused)
    assert len(pd.read_csv(tmp_path / "run" / "best.csv")) == 6
    result = CliRunner().invoke(app, [*again, "--overwrite"])
    assert result.exit_code == 0, result.output
    assert set(pd.read_csv(tmp_path / "run" / "best.csv")["Li"]) == {"K"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prototype = 'nasicom'", "there is no prototype"),
        ("charge = 'free'", "need one of prototype and parent"),
        ("prototype = 'nasicon'\n[slots.Li]\nelements = []", "has no elements"),
        ("prototype = 'nasicon'\n[slots.Li]\nelements = ['Lithium']", "not an element"),
        ("prototype = 'nasicon'\n[slots.Li]\nelement = ['Li']", "means nothing"),
        ("prototype = 'nasicon'\ncharges = 'free'", "means nothing"),
        ("prototype = 'nasicon'\ncharge = 'odd'", "balanced or free"),
        ("prototype = 'nasicon'\n[slots.A]\nsites = ['Li 7z']", "does not have"),
        ("prototype = 'nasicon'\nslots = 3", "Write a table"),
        ("prototype = 'nasicon'\nradius_window = 0.5", "factor above 1"),
        ("prototype = 'nasicon'\nradius_window = 'wide'", "Give a number"),
        ("prototype = 'nasicon'\nelectronegativity_order = 'no'", "Give true or false"),
        ("prototype = 'nasicon'\nexclude = 3", "Give a list"),
        ("prototype = 'nasicon'\nexclude = [['Li']]", "exclude has"),
        ("prototype = 'nasicon'\n[slots.Li]\nelements = [['Li']]", "elements of slot Li has"),
        ("prototype = 'nasicon'\n[slots.Li]\nsites = [['Li']]", "sites of slot Li has"),
        ("prototype = 'nasicon'\n[slots.Li]\nsites = [true]", "sites of slot Li has 'True'"),
        ("prototype = 'nasicon'\nradius_window = nan", "factor above 1"),
        ("prototype = 'nasicon'\nradius_window = inf", "factor above 1"),
        ("prototype = 'nasicon'\nname = ['a']", "name is ['a']"),
        ("prototype = " + "[" * 9999, "nested too deeply"),
        ("prototype = " + "1" * 9999, "is not TOML"),
        ("prototype = 'nasicon'\n[slots.Li]\nmobile = 'perhaps'", "mobile of slot Li is 'perhaps'"),
    ],
)
def test_bad_files_of_rules_get_a_message(text: str, message: str, tmp_path: Path):
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(PhonolyteError) as caught:
        choose_spaces(rules=tmp_path / "rules.toml")
    assert message in str(caught.value)


def test_a_command_with_a_bad_file_of_rules_writes_nothing(tmp_path: Path):
    (tmp_path / "rules.toml").write_text("prototype = 'nasicon'\ncharge = 'odd'")
    result = CliRunner().invoke(app, ["virtual", "--rules", str(tmp_path / "rules.toml"), "-o", str(tmp_path / "run")])
    assert isinstance(result.exception, PhonolyteError)
    assert "balanced or free" in str(result.exception)
    assert not (tmp_path / "run" / "best.csv").exists()


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/b", ".."])
def test_a_name_does_not_lead_out_of_the_run_folder(model: BandCenterModel, tmp_path: Path, name: str):
    (tmp_path / "rules.toml").write_text(f"name = '{name}'\n" + RULES)
    space = Space.from_rules(read_rules(tmp_path / "rules.toml"))
    folder = tmp_path / "deep" / "run"
    with Run(folder, "virtual") as run:
        result = run_virtual(run, [space], model)
        write_structures(result, [space], model, run)
    files = {path for path in tmp_path.rglob("*") if path.is_file()} - {tmp_path / "rules.toml"}
    assert all(folder in path.parents for path in files)
    assert len(list((folder / "structures").glob("*.cif"))) == len(result.best)
    assert len(list((folder / "virtual").iterdir())) == 1
    assert run_into(folder, [space], model).best.equals(result.best)
