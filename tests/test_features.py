from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crystals import TRICLINIC
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.structure import Structure

from phonolyte.errors import StructureError
from phonolyte.features import MagpieFeatures, feature_names, featurize
from phonolyte.features.tessellation import tessellate
from phonolyte.structures import Crystal, read

MAGPIE_DROPS_FACES = {
    ("mp-3748", "min_NeighDiff_shell1_NdValence"),
    ("mp-5488", "var_EffectiveCoordination"),
    ("mp-5488", "var_NeighDiff_shell1_MeltingT"),
}
"""In these two crystals Magpie keeps some and drops others of small faces that are equal by symmetry."""


def test_values_have_ten_decimals():
    features = compute_values(TRICLINIC)
    assert (features == np.round(features, 10)).all()
    assert (features != np.round(features, 9)).any()


def compute_values(crystal: Crystal) -> np.ndarray:
    return MagpieFeatures().transform([crystal]).to_numpy()[0]


def test_the_learning_set_has_magpie_s_own_values(shared: Path):
    reading = read(shared / "data" / "learning_set_1272.jsonl.gz")
    table, failures = featurize(reading.crystals)
    assert not reading.failures
    assert not failures
    theirs = pd.read_csv(shared / "data" / "magpie_features_1272.csv.gz", index_col="material_id", na_filter=False)
    theirs = theirs.loc[table.index, table.columns].astype(float)
    error = ((table - theirs).abs() / theirs.abs().clip(lower=1e-2)).stack()
    assert set(error.index[error > 1e-3]) == MAGPIE_DROPS_FACES
    assert len(error) == 1272 * 271


@pytest.mark.parametrize("name", ["structures.json", "structures_raw.json"])
def test_matminer_s_convention_gives_matminer_s_values(shared: Path, name: str):
    reference = shared / "reference"
    structures = json.loads((reference / name).read_text())
    translation = json.loads((reference / "name_map_magpie_to_matminer.json").read_text())
    translation = translation["structural"] | translation["composition"]
    crystals = [
        Crystal.from_pymatgen(Structure.from_dict(s), material_id=material_id) for material_id, s in structures.items()
    ]
    ours = MagpieFeatures(convention="matminer").transform(crystals)
    theirs = pd.read_parquet(reference / "matminer_features.parquet").loc[list(structures)]
    theirs = theirs[[translation[column] for column in ours.columns]].astype(float)
    np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=1e-6, atol=1e-8)


def test_names_are_magpie_s(shared: Path):
    inventory = json.loads((shared / "reference" / "feature_inventory_271.json").read_text())
    assert feature_names() == inventory["order"]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(7)), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_order_of_sites_and_origin_do_not_matter(order: list[int], shift: list[float]):
    moved = Crystal.from_arrays(
        "moved",
        TRICLINIC.lattice,
        TRICLINIC.numbers[order].tolist(),
        TRICLINIC.frac_coords[order] + shift,
    )
    np.testing.assert_allclose(compute_values(moved), compute_values(TRICLINIC), atol=2e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=3, max_size=3), st.floats(0.2, 5.0), st.integers(0, 10_000))
def test_choice_of_cell_orientation_and_scale_do_not_matter(shear: list[int], scale: float, seed: int):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    unimodular = np.array([[1, shear[0], shear[1]], [0, 1, shear[2]], [0, 0, 1]])
    lattice = scale * unimodular @ TRICLINIC.lattice @ rotation
    frac = TRICLINIC.frac_coords @ np.linalg.inv(unimodular)
    if scale < 0.4:  # the atoms would overlap in angstrom
        return
    other = Crystal.from_arrays("other", lattice, TRICLINIC.numbers.tolist(), frac)
    np.testing.assert_allclose(compute_values(other), compute_values(TRICLINIC), atol=2e-8)


@pytest.mark.parametrize("repeat", [(2, 1, 1), (1, 2, 3)])
def test_supercells_have_the_same_features(repeat: tuple[int, int, int]):
    larger = TRICLINIC.to_ase().repeat(repeat)
    np.testing.assert_allclose(compute_values(Crystal.from_ase(larger)), compute_values(TRICLINIC), atol=2e-9)


@pytest.mark.parametrize(
    ("lattice", "faces", "volume"),
    [
        (np.eye(3) * 3.0, 6, 27.0),
        (np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.0, 12, 16.0),
        (np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) * 1.5, 14, 13.5),
    ],
    ids=["cubic", "fcc", "bcc"],
)
def test_one_atom_cells_have_their_known_polyhedra(lattice: np.ndarray, faces: int, volume: float):
    tessellation = tessellate(lattice.astype(float), np.array([[0.3, 0.9, -0.2]]))
    assert (tessellation.area > 1e-9).sum() == faces
    assert (tessellation.area * tessellation.distance).sum() / 6 == pytest.approx(volume)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_cells_of_random_crystals_fill_space_and_faces_are_mutual(seed: int, n: int):
    random = np.random.default_rng(seed)
    lattice = np.eye(3) * 6.0 + random.normal(size=(3, 3)) * 1.2
    tessellation = tessellate(lattice, random.random((n, 3)))
    filled = (tessellation.area * tessellation.distance).sum() / 6
    assert filled == pytest.approx(abs(np.linalg.det(lattice)), rel=1e-9)
    sites = np.repeat(np.arange(n), np.diff(tessellation.start))
    forward = sorted(zip(sites, tessellation.neighbor, *tessellation.image.T, strict=True))
    back = sorted(zip(tessellation.neighbor, sites, *-tessellation.image.T, strict=True))
    assert forward == back


def test_missing_elemental_data_is_a_row_in_a_batch_and_an_error_alone():
    helium = Crystal.from_arrays("he", np.eye(3) * 3, ["He"], [[0, 0, 0]])
    table, failures = featurize([TRICLINIC, helium, replace(TRICLINIC, material_id="again")])
    assert list(table.index) == ["triclinic", "again"]
    assert [(f.material_id, f.error) for f in failures] == [("he", "MissingElementalData")]
    with pytest.raises(StructureError, match="MeltingT"):
        MagpieFeatures().transform([helium])
    assert np.isfinite(MagpieFeatures(convention="matminer").transform([helium]).to_numpy()).all()


def test_the_transformer_takes_pymatgen_and_ase_and_names_its_columns():
    table = MagpieFeatures().fit_transform([TRICLINIC.to_pymatgen(), TRICLINIC.to_ase()])
    assert list(table.columns) == list(MagpieFeatures().get_feature_names_out())
    np.testing.assert_allclose(*table.to_numpy(), atol=1e-9)
