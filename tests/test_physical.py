from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from crystals import TRICLINIC
from hypothesis import given, settings
from hypothesis import strategies as st

from phonolyte.errors import StructureError
from phonolyte.features import Physical, PhysicalFeatures, featurize
from phonolyte.features.elemental import elemental_table
from phonolyte.features.physical import QUANTITIES, REFERENCE, WHOLE, logarithmic, physical_blocks, physical_names
from phonolyte.features.shells import N_HARMONICS, ORDERS, harmonics
from phonolyte.features.springs import N_QUANTITIES, eigenvalues
from phonolyte.structures import Crystal

ROCK_SALT = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2.0


def compute_values(crystal: Crystal) -> np.ndarray:
    return PhysicalFeatures().transform([crystal]).to_numpy()[0]


def make_rock_salt(cation: str, anion: str, edge_a: float) -> Crystal:
    return Crystal.from_arrays("", ROCK_SALT * edge_a, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def compute_column(crystal: Crystal, name: str) -> float:
    return float(PhysicalFeatures().transform([crystal])[name].iloc[0])


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(7)), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_order_of_sites_and_origin_do_not_matter(order: list[int], shift: list[float]):
    numbers, frac = TRICLINIC.numbers[order].tolist(), TRICLINIC.frac_coords[order] + shift
    moved = Crystal.from_arrays("moved", TRICLINIC.lattice, numbers, frac)
    np.testing.assert_allclose(compute_values(moved), compute_values(TRICLINIC), rtol=1e-9, atol=2e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=3, max_size=3), st.booleans(), st.integers(0, 10_000))
def test_choice_of_cell_and_orientation_do_not_matter(shear: list[int], mirrored: bool, seed: int):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    unimodular = np.array([[1, shear[0], shear[1]], [0, 1, shear[2]], [0, 0, 1]])
    lattice = unimodular @ TRICLINIC.lattice @ (-rotation if mirrored else rotation)
    frac = TRICLINIC.frac_coords @ np.linalg.inv(unimodular)
    other = Crystal.from_arrays("other", lattice, TRICLINIC.numbers.tolist(), frac)
    np.testing.assert_allclose(compute_values(other), compute_values(TRICLINIC), rtol=1e-8, atol=2e-8)


@pytest.mark.parametrize("repeat", [(2, 1, 1), (1, 2, 3)])
@pytest.mark.parametrize("crystal", [TRICLINIC, make_rock_salt("Na", "Cl", 5.64)], ids=["triclinic", "rock salt"])
def test_supercells_have_the_same_columns(repeat: tuple[int, int, int], crystal: Crystal):
    larger = Crystal.from_ase(crystal.to_ase().repeat(repeat))
    np.testing.assert_allclose(compute_values(larger), compute_values(crystal), rtol=1e-8, atol=2e-8)


@settings(max_examples=25, deadline=None)
@given(st.floats(1.002, 1.1))
def test_frequencies_fall_as_the_cell_grows(scale: float):
    larger = Crystal.from_arrays("larger", TRICLINIC.lattice * scale, TRICLINIC.numbers.tolist(), TRICLINIC.frac_coords)
    before, after = (PhysicalFeatures().transform([crystal]).iloc[0] for crystal in (TRICLINIC, larger))
    assert after["volume_a3"] == pytest.approx(before["volume_a3"] * scale**3)
    assert after["max_bond_length_a"] > before["max_bond_length_a"]
    falling = [name for name in before.index if name.endswith("_frequency_mev")]
    assert len(falling) == 3 * 10 + 2
    assert (after[falling] < before[falling]).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(-1e-4, 1e-4), st.integers(0, 6), st.integers(0, 2))
def test_columns_follow_small_shifts_of_an_atom(step: float, atom: int, axis: int):
    frac = TRICLINIC.frac_coords.copy()
    frac[atom, axis] += step
    shifted = Crystal.from_arrays("shifted", TRICLINIC.lattice, TRICLINIC.numbers.tolist(), frac)
    np.testing.assert_allclose(compute_values(shifted), compute_values(TRICLINIC), rtol=1e-2, atol=5e-3)


def test_spring_frequency_of_rock_salt_is_the_sum_over_its_neighbors():
    edge, sodium, fluorine = 4.6, elemental_table()[11], elemental_table()[9]
    steps = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    distance, unlike = np.linalg.norm(steps * edge / 2, axis=1), steps.sum(axis=1) % 2 == 1
    within = (distance > 0) & (distance < 6.5)
    difference = sodium[2] ** 0.5 - fluorine[2] ** 0.5
    bond = sodium[1] + fluorine[1]
    bond -= sodium[1] * fluorine[1] * difference**2 / (sodium[2] * sodium[1] + fluorine[2] * fluorine[1])
    frequencies = []
    for mass, size, *_ in (sodium, fluorine):
        length = np.where(unlike, bond, 2.0 * size)[within]
        spring = (np.exp((length - distance[within]) / 0.37) / distance[within] ** 2).sum()
        # hbar sqrt(k / m): 1 mdyn/angstrom is 100 N/m, u 1.66054e-27 kg, hbar 6.582120e-13 meV s
        frequencies.append(6.582120e-13 * (100.0 * spring / (mass * 1.66054e-27)) ** 0.5)
    frequency = compute_column(make_rock_salt("Na", "F", edge), "mean_valence_frequency_mev")
    assert frequency == pytest.approx(np.mean(frequencies), rel=1e-4)


@pytest.mark.parametrize(
    ("cation", "anion", "length"), [("Na", "Cl", 2.15), ("Li", "O", 1.466), ("Mg", "O", 1.693), ("Ca", "F", 1.842)]
)
def test_a_bond_of_the_tabulated_length_has_one_valence_unit(cation: str, anion: str, length: float):
    """R0 of Brese and O'Keeffe (10.1107/S0108768190011041), which the elements' parameters meet to 0.07 angstrom."""
    from phonolyte.chemistry.elements import ATOMIC_NUMBERS
    from phonolyte.features.elemental import bond_valence_length

    a, b = (elemental_table()[ATOMIC_NUMBERS[symbol], 1:3] for symbol in (cation, anion))
    assert bond_valence_length(*a, *b) == pytest.approx(length, abs=0.07)


def test_rock_salt_has_no_asymmetry_and_ordinary_estimates():
    table = PhysicalFeatures().transform([make_rock_salt("Na", "Cl", 5.64)]).iloc[0]
    assert table["mean_valence_asymmetry"] == 0.0
    assert table["mean_bond_order_2"] == pytest.approx(0.0, abs=1e-9)
    assert table["density_g_cm3"] == pytest.approx(2.16, abs=0.02)
    assert table["mean_axial_frequency_mev"] > table["mean_moment_frequency_mev"] > 0
    assert 5 < table["bulk_modulus_gpa"] < 100  # 24 measured
    assert 5 < table["melting_frequency_mev"] < 40


def test_diamond_has_four_neighbors_at_the_corners_of_a_tetrahedron():
    """Bond orders of a tetrahedron: l = 3, 4, 6 (10.1103/PhysRevB.28.784 has their derivation)."""
    diamond = Crystal.from_arrays("", ROCK_SALT * 3.567, ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    table = PhysicalFeatures().transform([diamond]).iloc[0]
    assert table["mean_coordination"] == pytest.approx(4.0, abs=1e-3)
    assert table["mean_bond_length_a"] == pytest.approx(1.5446, abs=1e-3)
    assert table["mean_bond_order_2"] == pytest.approx(0.0, abs=1e-6)
    assert table["mean_bond_order_3"] == pytest.approx(0.745**2, abs=1e-3)
    assert table["mean_bond_order_4"] == pytest.approx(0.509**2, abs=1e-3)
    assert table["mean_bond_order_6"] == pytest.approx(0.628**2, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_products_of_harmonics_are_legendre_polynomials(seed: int):
    rows = np.zeros((2, 10))
    rows[:, 1:4] = np.random.default_rng(seed).normal(size=(2, 3))
    rows[:, 1:4] /= np.linalg.norm(rows[:, 1:4], axis=1, keepdims=True)
    angular = np.empty((2, N_HARMONICS))
    for row in range(2):
        harmonics(rows, row, angular)
    cosine = rows[0, 1:4] @ rows[1, 1:4]
    ends = np.cumsum([2 * order + 1 for order in ORDERS])
    for order, products in zip(ORDERS, np.split(angular[0] * angular[1], ends[:-1]), strict=True):
        expected = np.polynomial.Legendre.basis(order)(cosine)
        assert products.sum() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-7, 1e-12, 0.0])
@pytest.mark.parametrize("values", [(1.0, 1.0, 3.0), (1.0, 3.0, 3.0), (2.0, 2.0, 2.0)])
def test_eigenvalues_are_exact_where_they_nearly_coincide(values: tuple[float, float, float], gap: float):
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    exact = np.sort(np.array(values) + np.array([0.0, gap, 0.0]))
    t = rotation @ np.diag(exact) @ rotation.T
    assert eigenvalues(t[0, 0], t[1, 1], t[2, 2], t[0, 1], t[0, 2], t[1, 2]) == pytest.approx(exact, abs=5e-15)


def test_names_blocks_and_logarithms_belong_together():
    names = physical_names()
    assert len(QUANTITIES) == N_QUANTITIES
    assert len(set(names)) == len(names) == len(physical_blocks()) == len(logarithmic()) == 129
    assert REFERENCE in names
    assert (compute_values(TRICLINIC)[logarithmic()] > 0).all()
    assert all(quantity.equation for quantity in (*QUANTITIES, *WHOLE))


def test_crystals_without_columns_are_rows_in_a_batch_and_errors_alone():
    helium = Crystal.from_arrays("he", np.eye(3) * 3, ["He"], [[0, 0, 0]])
    lonely = Crystal.from_arrays("lonely", np.eye(3) * 9, ["Na"], [[0, 0, 0]])
    table, failures = featurize([helium, TRICLINIC, lonely], sets=(Physical(),))
    assert list(table.index) == ["triclinic"]
    kinds = {failure.material_id: failure.error for failure in failures}
    assert kinds == {"he": "MissingElementalData", "lonely": "IsolatedAtom"}
    with pytest.raises(StructureError, match="He"):
        PhysicalFeatures().transform([helium])


def test_the_transformer_takes_pymatgen_and_ase_and_names_its_columns():
    table = PhysicalFeatures().fit_transform([TRICLINIC.to_pymatgen(), TRICLINIC.to_ase()])
    assert list(table.columns) == list(PhysicalFeatures().get_feature_names_out())
    np.testing.assert_allclose(*table.to_numpy(), rtol=1e-9, atol=1e-9)


def test_the_page_of_features_is_that_of_the_code():
    root = Path(__file__).parents[1]
    script = f"import runpy; print(runpy.run_path({str(root / 'scripts' / 'features.py')!r})['render_page'](), end='')"
    shown = subprocess.run([sys.executable, "-X", "utf8", "-c", script], capture_output=True, check=True)
    assert (root / "docs" / "features.md").read_bytes() == shown.stdout
