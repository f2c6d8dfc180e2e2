from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from crystals import TRICLINIC

from phonolyte import learning_set
from phonolyte.errors import ModelError, StructureError
from phonolyte.features import Physical
from phonolyte.models.cells import Cells, predict_left_out, well_learned
from phonolyte.models.volume import PREDICTED, AtPredictedVolume, PredictedVolume, VolumeModel, scale_to_volume
from phonolyte.structures import Crystal
from phonolyte.virtual import BUILT_IN, built_in, parent_of
from phonolyte.virtual.volumes import VolumeOfParent

OWN = learning_set.crystals().crystals[::6]


@pytest.fixture(scope="module")
def volumes() -> VolumeModel:
    return VolumeModel.fit(OWN)


def get_volume_per_atom(crystal: Crystal) -> float:
    return crystal.volume_a3 / len(crystal)


def test_volumes_of_left_out_crystals_are_predicted():
    rows = np.arange(len(OWN))
    predicted = predict_left_out(OWN, [(rows[rows % 5 != k], rows[rows % 5 == k]) for k in range(5)])
    error = np.abs(np.log(predicted / [get_volume_per_atom(crystal) for crystal in OWN]))
    by_mean = np.abs(
        np.log([get_volume_per_atom(crystal) for crystal in OWN]) - np.log([get_volume_per_atom(c) for c in OWN]).mean()
    )
    assert np.median(error) < 0.05
    assert error.mean() < 0.25 * by_mean.mean()


def test_a_predicted_volume_is_that_of_every_description_of_a_crystal(volumes: VolumeModel):
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    order = np.random.default_rng(4).permutation(len(TRICLINIC))
    coords, symbols = TRICLINIC.frac_coords, np.array(TRICLINIC.symbols)
    doubled = np.vstack([coords * [0.5, 1, 1], coords * [0.5, 1, 1] + [0.5, 0, 0]])
    others = {
        "scaled": replace(TRICLINIC, lattice=1.7 * TRICLINIC.lattice),
        "rotated": replace(TRICLINIC, lattice=TRICLINIC.lattice @ rotation),
        "shifted": replace(TRICLINIC, frac_coords=coords + np.array([0.3, 0.1, 0.7])),
        "in another order": Crystal.from_arrays("t", TRICLINIC.lattice, symbols[order].tolist(), coords[order]),
        "doubled": Crystal.from_arrays("t", TRICLINIC.lattice * [[2], [1], [1]], [*symbols, *symbols], doubled),
    }
    expected = volumes.volume_a3(TRICLINIC)
    assert {name: volumes.volume_a3(crystal) for name, crystal in others.items()} == pytest.approx(
        dict.fromkeys(others, expected), rel=1e-7
    )


@pytest.mark.parametrize("name", BUILT_IN)
def test_volumes_of_virtual_compounds_are_those_of_the_built_ones(volumes: VolumeModel, name: str):
    parent = parent_of(built_in(name))
    of_parent = VolumeOfParent.from_parent(parent, volumes)
    numbers = np.random.default_rng(2).choice(
        [3, 8, 9, 11, 13, 14, 16, 17, 22, 30, 34, 40, 53], (12, len(parent.slots))
    )
    built = [volumes.volume_a3(parent.substituted(row)) for row in numbers]
    np.testing.assert_allclose(of_parent(numbers), built, rtol=1e-6)
    assert get_volume_per_atom(of_parent.crystal(numbers[0])) == pytest.approx(built[0], rel=1e-6)


def test_columns_at_the_predicted_volume_do_not_know_the_given_one(volumes: VolumeModel):
    features = AtPredictedVolume(volumes, Physical())
    large = replace(TRICLINIC, lattice=1.3 * TRICLINIC.lattice)
    np.testing.assert_allclose(features.values(large, large), features.values(TRICLINIC, TRICLINIC), rtol=1e-6)
    assert features.values(large, large)[-9] == pytest.approx(volumes.volume_a3(large), rel=1e-6)  # volume_a3
    assert features.names == Physical().names
    strange = replace(TRICLINIC, numbers=np.full_like(TRICLINIC.numbers, 98))
    assert np.isnan(PredictedVolume(volumes).values(strange, strange)).all()
    with pytest.raises(StructureError, match="cannot be predicted"):
        features.values(strange, strange)


def test_cells_that_are_too_small_or_large_are_flagged_where_their_elements_are_known(volumes: VolumeModel):
    cells = Cells(volumes, False, -0.1, 0.15, -1.2, frozenset(("Li", "O")))
    table = pd.DataFrame({"volume_a3": [10.0, 8.0, 12.0, 12.0, 12.0], PREDICTED: [10.0, 10.0, 10.0, 10.0, np.nan]})
    verdict, off = cells.compare(table, [{"Li", "O"}, {"Li", "O"}, {"Li", "O"}, {"Li", "S"}, {"Li", "O"}])
    assert verdict.tolist() == ["usual", "small", "large", "not known", "not known"]
    assert off == pytest.approx([0.0, 1.2 * np.log(1.25), 1.2 * np.log(1.2), 0.0, 0.0])
    assert well_learned([{"Li", "O"}] * 20 + [{"Na", "O"}] * 19) == {"Li", "O"}


def test_scaled_crystals_have_the_volume():
    assert get_volume_per_atom(scale_to_volume(TRICLINIC, 17.0)) == pytest.approx(17.0)


def test_saved_cells_are_read_back_and_damaged_ones_refused(volumes: VolumeModel):
    cells = Cells(volumes, False, -0.1, 0.15, -1.2, frozenset(("Li", "O")))
    arrays, record = volumes.arrays(), cells.record()
    again = Cells.from_record(record, arrays)
    assert (again.record(), again.volumes.volume_a3(TRICLINIC)) == (record, volumes.volume_a3(TRICLINIC))
    damaged: list[Any] = [
        None, [], {"rescale": True}, record | {"low": 0.2}, record | {"slope": "steep"}, record | {"rescale": 1},
        record | {"elements": "LiO"}, record | {"elements": ["Qq"]}, record | {"high": float("inf")},
    ]  # fmt: skip
    for other in damaged:
        with pytest.raises(ModelError):
            Cells.from_record(other, arrays)
    for name, array in (
        ("volume_valence", -arrays["volume_valence"]), ("volume_shift_a", arrays["volume_shift_a"][1:]),
        ("volume_log_factor", np.array(np.nan)), ("volume_valence", None),
    ):  # fmt: skip
        with pytest.raises(ModelError):
            Cells.from_record(record, {**arrays, name: array})
