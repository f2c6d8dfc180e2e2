from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.stats import norm

from phonolyte.errors import SettingsError
from phonolyte.loop.choosing import CHOSEN, choose_batch, choose_crystals, expected_loss_mev, typical_distance
from phonolyte.models import BandCenterModel
from phonolyte.phonons.cost import displacements_and_atoms
from phonolyte.references import reference_compounds
from phonolyte.structures import Crystal

REFERENCES = {crystal.material_id: crystal for crystal in reference_compounds().crystals}
N = 12
GAINS = arrays(float, N, elements=st.floats(0.01, 10.0))
COSTS = arrays(float, N, elements=st.floats(1.0, 100.0))
POINTS = arrays(float, (N, 3), elements=st.floats(-5.0, 5.0))


@pytest.mark.parametrize(("center", "deviation"), [(38.0, 3.0), (40.0, 1.5), (55.0, 9.0)])
def test_the_loss_is_what_lies_beyond_the_decision(center: float, deviation: float):
    """Compare with the integral of the density over the wrong side."""
    side = np.sign(center - 40.0) or 1.0
    expected, _ = quad(lambda x: max(side * (40.0 - x), 0.0) * norm.pdf(x, center, deviation), -60, 160, points=[40])
    loss = expected_loss_mev(np.array([center]), np.array([deviation]), 40.0)
    assert loss == pytest.approx([expected], abs=1e-7)


def test_without_a_decision_every_center_counts_as_if_it_lay_there():
    centers, deviations = np.array([10.0, 90.0]), np.array([2.0, 4.0])
    assert expected_loss_mev(centers, deviations) == pytest.approx([2 * 0.398942, 4 * 0.398942], rel=1e-5)
    for number in (0, 1):
        at_its_center = expected_loss_mev(centers, deviations, float(centers[number]))
        assert at_its_center[number] == pytest.approx(expected_loss_mev(centers, deviations)[number])
    assert expected_loss_mev(np.array([40.0, 41.0]), np.zeros(2), 40.0).tolist() == [0.0, 0.0]


@given(st.floats(1.0, 100.0), st.floats(0.1, 20.0), st.floats(1.01, 3.0))
def test_a_wider_interval_is_worth_more_and_a_decision_farther_away_less(center: float, deviation: float, more: float):
    one = expected_loss_mev(np.array([center]), np.array([deviation]), 40.0)
    assert expected_loss_mev(np.array([center]), np.array([more * deviation]), 40.0) >= one
    farther = 40.0 + more * (center - 40.0)
    assert expected_loss_mev(np.array([farther]), np.array([deviation]), 40.0) <= one


@given(GAINS, COSTS, POINTS, st.integers(1, N + 3))
def test_a_batch_repeats_nothing_and_begins_with_the_best_for_its_cost(gain, cost, points, n: int):
    chosen = choose_batch(gain, cost, points, n, thrift=1.0)
    assert len(set(chosen.tolist())) == len(chosen) <= min(n, N)
    assert gain[chosen[0]] / cost[chosen[0]] == (gain / cost).max()
    assert chosen.tolist() == choose_batch(gain, cost, points, N, thrift=1.0)[:n].tolist()  # a prefix of a larger one


@given(GAINS, COSTS, POINTS, st.permutations(range(N)))
def test_the_order_of_candidates_does_not_matter(gain, cost, points, order):
    order = np.array(order)
    first = choose_batch(gain, cost, points, 1, length=2.0)
    again = choose_batch(gain[order], cost[order], points[order], 1, length=2.0)
    value = gain / np.sqrt(cost)
    assert value[order][again] == value[first]


@given(GAINS, COSTS, POINTS, st.floats(1.0, 300.0))
def test_the_budget_is_kept(gain, cost, points, budget: float):
    chosen = choose_batch(gain, cost, points, N, budget=budget)
    assert cost[chosen].sum() <= budget + 1e-9
    if not len(chosen):
        assert cost.min() > budget


@given(GAINS, POINTS)
def test_units_of_gain_cost_and_space_do_not_matter(gain, points):
    points = points + 10.0 * np.arange(N)[:, None]  # no two at one place, whose distances would be rounding
    cost = np.ones(N)
    assert (
        choose_batch(gain, cost, points, 5, length=3.0).tolist()
        == choose_batch(8.0 * gain, 4.0 * cost, 2.0 * points, 5, length=6.0).tolist()
    )


def test_what_a_chosen_crystal_tells_of_is_not_chosen_with_it():
    gain, points = np.array([5.0, 4.9, 1.0]), np.array([[0.0], [0.1], [9.0]])
    assert choose_batch(gain, np.ones(3), points, 2, length=1.0).tolist() == [0, 2]
    assert choose_batch(gain, np.ones(3), points, 2, length=1e-3).tolist() == [0, 1]
    twins = choose_batch(gain, np.ones(3), np.zeros((3, 1)), 3)
    assert twins.tolist() == [0]  # the others are at the same place: nothing is left to learn


def test_thrift_weighs_the_cost():
    gain, cost, points = np.array([10.0, 4.0]), np.array([100.0, 1.0]), np.array([[0.0], [9.0]])
    assert choose_batch(gain, cost, points, 1, thrift=0.0).tolist() == [0]
    assert choose_batch(gain, cost, points, 1, thrift=1.0).tolist() == [1]


def test_nothing_to_choose_from_gives_nothing():
    assert choose_batch(np.empty(0), np.empty(0), np.empty((0, 2)), 3).tolist() == []
    assert choose_batch(np.zeros(2), np.ones(2), np.zeros((2, 1)), 3).tolist() == []


@pytest.mark.parametrize(
    ("settings", "message"), [({"n": 0}, "0 crystals"), ({"thrift": -1.0}, "thrift"), ({"budget": np.nan}, "budget")]
)
def test_numbers_that_make_no_sense_are_refused(settings, message: str):
    with pytest.raises(SettingsError, match=message):
        choose_batch(np.ones(2), np.ones(2), np.zeros((2, 1)), **{"n": 1, **settings})


def test_the_typical_distance_is_that_of_neighbors_at_other_places():
    points = np.array([[0.0], [0.0], [2.0], [4.0], [6.0]])
    assert typical_distance(points) == pytest.approx(2.0)
    assert typical_distance(np.zeros((3, 2))) == 1.0


@pytest.mark.parametrize("name", ["ref-LiF", "ref-Li2S", "ref-Li3N", "ref-Li2CO3", "ref-LiNbO3", "ref-LiAlO2-gamma"])
def test_displacements_and_atoms_are_near_those_of_phonopy(name: str):
    from phonolyte.forces.cells import primitive_cell
    from phonolyte.phonons.workflow import PhononSettings, prepare_displacements

    phonon = prepare_displacements(primitive_cell(REFERENCES[name]), PhononSettings())
    n, atoms = displacements_and_atoms(REFERENCES[name])
    assert atoms == len(phonon.supercell)
    assert n == pytest.approx(len(phonon.supercells_with_displacements), rel=0.2)


def test_crystals_are_chosen_with_what_was_expected_of_them():
    names = ["ref-LiF", "ref-NaBH4", "ref-Li2S", "ref-LiYO3"]
    model = BandCenterModel.embedded()
    choice = choose_crystals(model, [REFERENCES[name] for name in names], 3, without=["ref-Li2S"])
    assert choice.table.columns.tolist() == list(CHOSEN)
    assert choice.table["choice"].tolist() == [1, 2, 3]
    assert set(choice.names) == set(names) - {"ref-Li2S"}
    assert choice.names[0] == "ref-NaBH4"  # a hydride, of which the model knows least
    own = model.predict_crystals([REFERENCES["ref-LiF"]]).loc["ref-LiF"]
    row = choice.table.set_index("material_id").loc["ref-LiF"]
    assert row["predicted_mev"] == pytest.approx(own["band_center_mev"])
    assert row["in_domain"] == own["in_domain"]
    near = choose_crystals(model, [REFERENCES[name] for name in names], 1, decision_mev=41.0, thrift=0.0)
    assert near.names == ["ref-LiYO3"]  # 37.5 meV, with the widest interval


def test_a_disordered_crystal_costs_what_its_representative_does():
    mixed = Crystal.from_arrays(
        "mixed", 5.6 * np.eye(3), ["Na", "K", "Na", "Na", "Na", *["Cl"] * 4],
        [[0, 0, 0], [0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0],
         [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]],
        occupancies=[0.5, 0.5, 1, 1, 1, 1, 1, 1, 1],
    )  # fmt: skip
    (row,) = choose_crystals(BandCenterModel.embedded(), [mixed], 2).table.to_dict("records")
    assert row["formula"] == mixed.formula
    assert row["n_atoms"] % 8 == 0
