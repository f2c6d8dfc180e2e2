"""Ordering: energies beside pymatgen's, whole atoms, neutral cells, and what cannot be ordered."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.chemistry.charges import balance_nearly
from phonolyte.cli import app
from phonolyte.errors import SettingsError, StructureError
from phonolyte.structures import Crystal, read
from phonolyte.structures.arrangement import anneal, ewald_energy, ewald_matrix
from phonolyte.structures.disordered import order_part
from phonolyte.structures.ordering import order
from phonolyte.structures.supercells import OrderingSettings

CUBE = np.eye(3) * 5.64
FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def make_rock_salt(cations: dict[str, float], anions: dict[str, float]) -> Crystal:
    elements, positions, shares = [], [], []
    for place, species in ((FACES, cations), (FACES + 0.5, anions)):
        for element, share in species.items():
            elements += [element] * 4
            positions += place.tolist()
            shares += [share] * 4
    return Crystal.from_arrays("", CUBE, elements, np.array(positions), occupancies=shares)


@pytest.mark.parametrize("seed", range(4))
def test_energies_are_those_of_pymatgen(seed: int):
    random = np.random.default_rng(seed)
    lattice = Lattice.from_parameters(*random.uniform(4, 9, 3), *random.uniform(70, 110, 3))
    charges = [1.0, 1.0, 4.0, -2.0, -2.0, -2.0]
    structure = Structure(lattice, ["Li", "Li", "Ge", "S", "S", "S"], random.random((6, 3)))
    structure.add_oxidation_state_by_site(charges)
    matrix = ewald_matrix(np.array(lattice.matrix), structure.frac_coords)
    energy = ewald_energy(np.array(lattice.matrix), structure.frac_coords, np.array(charges))
    assert np.allclose(matrix, matrix.T)
    assert np.array(charges) @ matrix @ charges / 2 == pytest.approx(EwaldSummation(structure).total_energy, rel=1e-5)
    assert energy == pytest.approx(np.array(charges) @ matrix @ charges / 2)


def test_incremental_energies_are_those_of_the_whole_sum():
    random = np.random.default_rng(1)
    positions = random.random((24, 3))
    matrix = ewald_matrix(CUBE * 2, positions)
    excluded = np.zeros((24, 24), dtype=bool)
    excluded[0, 1] = excluded[1, 0] = True
    charges = np.array([0.0, 1.0, -1.0])
    state = np.array([1] * 8 + [2] * 8 + [0] * 8)
    field = ewald_matrix(CUBE * 2, positions, random.random((3, 3))) @ np.array([1.0, 1.0, -2.0])
    energy, pairs = anneal(matrix, field, excluded, charges, state, np.zeros(24, dtype=np.int64), np.array([]), 3000, 7)
    q = charges[state]
    assert energy == pytest.approx(q @ matrix @ q / 2 + q @ field)
    assert pairs == float(state[0] > 0 and state[1] > 0)
    assert sorted(Counter(state.tolist()).items()) == [(0, 8), (1, 8), (2, 8)]


def test_the_lowest_arrangement_is_found():
    """Rock salt with every other cation missing."""
    sites = make_rock_salt({"Mg": 0.5}, {"Cl": 1.0})
    arrangements = order(sites, OrderingSettings(arrangements=3))
    assert arrangements[0].crystal.formula == "MgCl2"
    assert arrangements[0].energy_ev == min(each.energy_ev for each in arrangements)
    again = order(sites, OrderingSettings(arrangements=3))
    assert [each.energy_ev for each in again] == [each.energy_ev for each in arrangements]


def test_counts_are_whole_and_near_the_occupancies():
    (first, *_) = order(
        make_rock_salt({"Li": 0.6, "Na": 0.4}, {"Cl": 0.9, "Br": 0.1}), OrderingSettings(most_sites=200)
    )
    counts = Counter(first.crystal.symbols)
    assert counts["Li"] + counts["Na"] == counts["Cl"] + counts["Br"]
    assert counts["Li"] / (counts["Li"] + counts["Na"]) == pytest.approx(0.6, abs=0.02)
    assert first.deviation < 0.005
    assert first.charge == pytest.approx(0.0)


def test_mobile_ions_make_a_cell_neutral():
    """Refined occupancies rarely balance: 0.7 Li on four sites and one S in the cell, of which 1.6 Li are missing."""
    positions = [[0.25, 0.25, 0.25], [0.75, 0.75, 0.75], [0.25, 0.75, 0.75], [0, 0, 0]]
    crystal = Crystal.from_arrays(
        "", np.eye(3) * 4.0, ["Li", "Li", "Li", "S"], positions, occupancies=[0.65, 0.65, 0.65, 1.0]
    )
    first = order(crystal, OrderingSettings(arrangements=1))[0]
    counts = Counter(first.crystal.symbols)
    assert counts["Li"] == 2 * counts["S"]
    assert first.charge == 0.0


def test_an_ordered_crystal_is_its_only_arrangement():
    (only,) = order(make_rock_salt({"Na": 1.0}, {"Cl": 1.0}))
    assert len(only.crystal) == 8
    assert only.deviation == 0.0
    assert only.energy_ev * 8 == pytest.approx(-35.694057, rel=1e-5)


def test_sites_that_exclude_each_other_are_not_both_occupied():
    split = [[0.05, 0, 0], [0.95, 0, 0]]  # 0.5 A apart
    crystal = Crystal.from_arrays(
        "", np.eye(3) * 5.0, ["Li", "Li", "Cl"], [*split, [0.5] * 3], occupancies=[0.5, 0.5, 1.0]
    )
    first = order(crystal)[0]
    assert Counter(first.crystal.symbols)["Li"] == Counter(first.crystal.symbols)["Cl"]
    assert first.shortest_a > 1.35


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_rock_salt({"Na": 0.7, "K": 0.6}, {"Cl": 1.0}), "more than full"),
        (lambda: make_rock_salt({"Na": 0.01}, {"Cl": 0.01}), "no site is filled"),
        (lambda: make_rock_salt({"Na": -0.5}, {"Cl": 1.0}), "a number from 0 to 1"),
        (lambda: make_rock_salt({"Na": 0.3}, {"Cl": 1.0}), "not neutral"),
        (lambda: make_random_mixture(2000), "2000 sites are partly occupied"),
        (lambda: make_large_salt(11, np.array([0.5])), "10648 sites"),
    ],
)
def test_what_cannot_be_ordered_is_refused(make: Callable[[], Crystal], message: str):
    with pytest.raises(StructureError, match=message):
        order(make())


def make_large_salt(n: int, cations: np.ndarray) -> Crystal:
    """n x n x n cubic cells of rock salt, with the occupancies of its cations."""
    shifts = np.array(list(product(range(n), repeat=3)))
    positions = np.concatenate([(basis[None] + shifts[:, None]).reshape(-1, 3) / n for basis in (FACES, FACES + 0.5)])
    elements = ["Na"] * (4 * n**3) + ["Cl"] * (4 * n**3)
    occupancies = np.ones(8 * n**3)
    occupancies[: len(cations)] = cations
    return Crystal.from_arrays("", CUBE * n, elements, positions, occupancies=occupancies)


def make_random_mixture(n: int) -> Crystal:
    positions = np.random.default_rng(0).random((n, 3)).repeat(2, axis=0)
    return Crystal.from_arrays("", CUBE * 9, ["Li", "Cl"] * n, positions, occupancies=[0.5] * (2 * n))


def test_one_partial_site_among_two_thousand_atoms():
    (only,) = order(make_large_salt(6, np.array([0.5])))[:1]
    assert len(only.crystal) in (1727, 1728)
    assert only.energy_ev * 2 == pytest.approx(-35.694057 / 4, rel=2e-3)


def test_more_combinations_than_can_be_listed():
    """1 of 10 and 9 of 20 on a hundred sites each: 10^13 ways to place K, 10^29 to place F."""
    first = order(make_rock_salt({"K": 0.1, "Na": 0.9}, {"Cl": 0.55, "F": 0.45}), OrderingSettings(arrangements=1))[0]
    counts = Counter(first.crystal.symbols)
    assert counts["K"] / (counts["K"] + counts["Na"]) == pytest.approx(0.1, abs=0.01)
    assert counts["F"] / (counts["Cl"] + counts["F"]) == pytest.approx(0.45, abs=0.01)


def test_settings_that_make_no_sense_are_refused():
    for change in ({"arrangements": 0}, {"tolerance": 2.0}, {"most_sites": 0}):
        with pytest.raises(SettingsError):
            OrderingSettings(**change)  # type: ignore[arg-type]


def test_states_of_refined_occupancies_are_whole():
    states = balance_nearly({"Li": 47.96, "La": 16.01, "Sr": 7.99, "Sb": 16.0, "O": 96.0}, 0.06)
    assert states == {"Li": 1, "La": 3, "Sr": 2, "Sb": 5, "O": -2}
    assert balance_nearly({"Na": 1.0, "Cl": 3.0}, 0.06) is None


def test_lgps_and_llzo_are_ordered(shared: Path):
    wanted = {
        "15-LGPS-partial.cif": {"Li": 20, "Ge": 2, "P": 4, "S": 24},
        "15b-LLZO-partial.cif": {"La": 12, "Zr": 8, "O": 48},
    }
    for name, counts in wanted.items():
        ((material,), failures, _) = order_part(shared / "cases" / "crystals" / name, OrderingSettings())
        assert not failures
        first = material.arrangements[0]
        amounts = Counter(first.crystal.symbols)
        assert {element: amounts[element] for element in counts} == counts
        assert abs(first.charge) < 0.5
        assert first.shortest_a > 1.4


def test_measured_conductors_are_ordered(shared: Path, tmp_path: Path):
    with tarfile.open(shared / "data" / "obelix" / "train_cifs.tar.gz") as archive:
        members = sorted((m for m in archive if m.name.endswith(".cif")), key=lambda m: m.name)[::16]
        for member in members:
            content = archive.extractfile(member)
            assert content is not None
            (tmp_path / Path(member.name).name).write_bytes(content.read())
    result = verbs.order([tmp_path], folder=tmp_path / "run", settings=OrderingSettings(arrangements=2))
    assert len(result.failures) <= 1
    assert (result.table["deviation"] < 0.03).all()
    assert len(read(tmp_path / "run").crystals) == len(result.table)


def test_the_command_writes_what_other_commands_read(shared: Path, tmp_path: Path):
    file, out = shared / "cases" / "crystals" / "15-LGPS-partial.cif", tmp_path / "ordered"
    result = CliRunner().invoke(app, ["order", str(file), "-o", str(out), "--arrangements", "2"])
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(out / "orderings.parquet")
    assert table["formula"].tolist() == ["Li10Ge(PS6)2"] * len(table) or len(set(table["formula"])) == 1
    assert {path.name for path in (out / "cif").iterdir()} == {f"{name}.cif" for name in table["material_id"]}
    crystals = read(out).crystals
    assert crystals[0].properties["ordering_charge"] == 0.0
    assert [len(crystal) for crystal in read(out / "cif").crystals] == [len(crystal) for crystal in crystals]


def test_disordered_crystals_of_json_are_ordered_too(tmp_path: Path):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.4), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    record = {"material_id": "mixed", "structure": salt.as_dict()}
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, (record, {**record, "material_id": "again"}))))
    attributes = {
        "lattice_vectors": (np.eye(3) * 4.0).tolist(), "cartesian_site_positions": [[0, 0, 0], [2, 2, 2]],
        "species_at_sites": ["M", "Cl"],
        "species": [{"name": "M", "chemical_symbols": ["Cs", "Rb", "vacancy"], "concentration": [0.5, 0.5, 0.0]},
                    {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]}],
    }  # fmt: skip
    (tmp_path / "answer.json").write_text(json.dumps({"data": [{"id": "o", "attributes": attributes}]}))
    for file, names in (("some.jsonl", ["mixed", "again"]), ("answer.json", ["o"])):
        assert not any(crystal.is_ordered for crystal in read(tmp_path / file).crystals)
        ordered, failures, _ = order_part(tmp_path / file, OrderingSettings(arrangements=1))
        assert not failures
        assert [material.material_id for material in ordered] == names
        counts = Counter(ordered[0].arrangements[0].crystal.symbols)
        assert len(set(counts.values())) == 2
        assert sum(counts.values()) == 2 * counts["Cl"]


def test_a_file_of_ordered_and_disordered_crystals_loses_nothing(tmp_path: Path):
    whole = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    half = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), [{"Na": 0.3}, "Cl"], [[0, 0, 0], [0.5] * 3])
    records = [{"material_id": name, "structure": s.as_dict()} for name, s in (("whole", whole), ("half", half))]
    (tmp_path / "some.json").write_text(json.dumps([*records, {"material_id": "bad", "structure": 3}]))
    ordered, failures, _ = order_part(tmp_path / "some.json", OrderingSettings())
    assert [material.material_id for material in ordered] == ["whole"]
    assert {failure.material_id: failure.error for failure in failures} == {"half": "NotNeutral", "bad": "ReadError"}


def test_every_input_is_ordered_or_accounted_for(shared: Path, tmp_path: Path):
    file, folder = shared / "cases" / "crystals" / "15-LGPS-partial.cif", tmp_path / "in"
    folder.mkdir()
    (folder / "lgps.cif").write_bytes(file.read_bytes())
    (folder / "notes.txt").write_text("hello")
    one = OrderingSettings(arrangements=2)
    first = verbs.order(folder, folder=tmp_path / "first", settings=one)
    assert len(pd.read_csv(tmp_path / "first" / "skipped.csv")) == 1
    chosen = first.table["material_id"][0]
    result = verbs.order(
        [f"{tmp_path / 'first'}#{chosen}", tmp_path / "missing.cif"], folder=tmp_path / "second", settings=one
    )
    assert result.table["material_id"].tolist() == [f"{chosen}-1"]
    assert [failure.error for failure in result.failures] == ["NothingToRead"]


def test_orderings_do_not_depend_on_the_description_of_the_crystal():
    salt = make_rock_salt({"Li": 0.5, "Na": 0.5}, {"Cl": 1.0})
    large = Crystal.from_pymatgen(salt.to_pymatgen() * (2, 1, 1), material_id="large")
    primitive = Crystal.from_pymatgen(salt.to_pymatgen().get_primitive_structure(), material_id="primitive")
    orderings = [order(crystal) for crystal in (salt, large, primitive)]
    assert len({len(each.crystal) for arrangements in orderings for each in arrangements}) == 1
    lowest = [arrangements[0].energy_ev for arrangements in orderings]
    assert lowest == pytest.approx([lowest[0]] * 3, abs=1e-4)


def test_orderings_are_distinct_and_rise_in_energy():
    energies = [each.energy_ev for each in order(make_rock_salt({"Li": 0.25, "Mg": 0.375}, {"Cl": 1.0}))]
    assert len(energies) == 5
    assert all(b > a + 1e-6 for a, b in pairwise(energies))


def test_alternatives_of_a_cif_are_not_both_there():
    """Sites 1.6 angstrom apart, of two groups of one assembly."""
    positions = [[0.34, 0.5, 0.5], [0.66, 0.5, 0.5], [0.0, 0.0, 0.0]]
    for groups, n in (((), 2), (("A/1", "A/2", ""), 1), (("A/1", "B/2", ""), 2)):
        crystal = Crystal.from_arrays(
            "", np.eye(3) * 5.0, ["Cl", "Cl", "Mg"], positions, occupancies=[0.99, 0.99, 0.999], disorder_groups=groups
        )
        first = order(crystal, OrderingSettings(arrangements=1, tolerance=0.9, adjust=1.0))[0].crystal
        assert first.amounts["Cl"] == n * first.amounts["Mg"]
