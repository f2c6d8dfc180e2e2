"""Disordered crystals on their way through every command."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from pymatgen.core import Lattice, Structure

from phonolyte import verbs
from phonolyte.errors import StructureError
from phonolyte.features import MagpieFeatures, feature_names, featurize
from phonolyte.features.attributes import N_STRUCTURE
from phonolyte.models import BandCenterModel
from phonolyte.phonons import PhononSettings
from phonolyte.runs.records import Record, write_crystals
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen.funnel import rank_crystals
from phonolyte.structures import Crystal, read
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.ordering import order, representative
from phonolyte.structures.sites import sites_of
from phonolyte.structures.supercells import OrderingSettings
from phonolyte.structures.symmetry import crystal_system

FACES = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
PLAIN = OutputSettings(figures=False, report=False)


def make_salt(cations: dict[str, float], name: str = "salt", edge: float = 5.4, anion: str = "Cl") -> Crystal:
    """Rock salt whose cations share their sites."""
    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), [cations, anion], [[0, 0, 0], [0.5] * 3])
    return Crystal.from_pymatgen(structure, material_id=name)


MIXED = make_salt({"Na": 0.5, "Mg": 0.25}, "mixed")
WHOLE = make_salt({"Na": 1.0}, "whole")


def are_same(a: Crystal, b: Crystal) -> bool:
    return a.formula == b.formula and np.allclose(a.lattice, b.lattice) and _count_sites(a) == _count_sites(b)


def _count_sites(crystal: Crystal) -> Counter[tuple[object, ...]]:
    shares = np.ones(len(crystal)) if crystal.occupancies is None else crystal.occupancies
    places = np.round(crystal.frac_coords, 5) % 1.0
    return Counter(
        (symbol, *place, round(share, 6))
        for symbol, place, share in zip(crystal.symbols, places.tolist(), shares.tolist(), strict=True)
    )


def write_extxyz(crystal: Crystal, path: Path) -> None:
    atoms = Atoms(crystal.symbols, scaled_positions=crystal.frac_coords, cell=crystal.lattice, pbc=True)
    atoms.set_array("occupancies", np.asarray(crystal.occupancies))
    write(path, atoms, format="extxyz")


def write_cell(crystal: Crystal, path: Path) -> None:
    vectors = [" ".join(map(str, row)) for row in crystal.lattice.tolist()]
    rows = ["%BLOCK LATTICE_CART", *vectors, "%ENDBLOCK LATTICE_CART", "%BLOCK POSITIONS_FRAC"]
    shares = np.asarray(crystal.occupancies).tolist()
    for number, (symbol, place, share) in enumerate(zip(crystal.symbols, crystal.frac_coords, shares, strict=True)):
        mixture = f" MIXTURE:( {number // 2 + 1} {share:.6f})" if share < 1.0 else ""
        rows.append(f"{symbol} {' '.join(f'{x:.8f}' for x in place)}{mixture}")
    path.write_text("\n".join([*rows, "%ENDBLOCK POSITIONS_FRAC"]))


def write_optimade(crystal: Crystal, path: Path) -> None:
    structure = crystal.to_pymatgen()
    species = [
        {"name": f"s{i}", "chemical_symbols": [str(e) for e in site.species], "concentration": [*site.species.values()]}
        for i, site in enumerate(structure)
    ]
    attributes = {
        "lattice_vectors": crystal.lattice.tolist(), "cartesian_site_positions": structure.cart_coords.tolist(),
        "species": species, "species_at_sites": [each["name"] for each in species], "structure_features": ["disorder"],
    }  # fmt: skip
    path.write_text(json.dumps({"data": [{"id": "mixed", "attributes": attributes}]}))


WRITERS = {
    "mixed.cif": lambda crystal, path: crystal.to_pymatgen().to(str(path), fmt="cif"),
    "mixed.json": lambda crystal, path: path.write_text(json.dumps(crystal.to_pymatgen().as_dict())),
    "mixed.extxyz": write_extxyz,
    "mixed.cell": write_cell,
    "answer.json": write_optimade,
    "mixed.parquet": lambda crystal, path: write_crystals([WHOLE, crystal], path),
}


@pytest.mark.parametrize("file", WRITERS)
def test_every_format_that_knows_occupancies_keeps_them(file: str, tmp_path: Path):
    WRITERS[file](MIXED, tmp_path / file)
    reading = read(tmp_path / file)
    assert not reading.failures
    assert are_same(reading.crystals[-1], MIXED)


def test_a_table_without_disorder_has_the_columns_it_had(tmp_path: Path):
    write_crystals([WHOLE], tmp_path / "some.parquet")
    assert pd.read_parquet(tmp_path / "some.parquet").columns.tolist() == [
        "material_id", "formula", "lattice", "species", "frac_coords",
    ]  # fmt: skip


def test_disorder_groups_are_read_and_kept(tmp_path: Path):
    text = """data_x
_cell_length_a 5
_cell_length_b 5
_cell_length_c 5
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
_atom_site_disorder_assembly
_atom_site_disorder_group
Li1 0.3 0.5 0.5 0.5 A 1
Li2 0.6 0.5 0.5 0.5 A 2
Cl1 0 0 0 1 . .
"""
    (tmp_path / "x.cif").write_text(text)
    (crystal,) = read(tmp_path / "x.cif").crystals
    assert crystal.disorder_groups == ("A/1", "A/2", "")
    write_crystals([crystal, WHOLE], tmp_path / "both.parquet")
    assert read(tmp_path / "both.parquet").crystals[0].disorder_groups == ("A/1", "A/2", "")


def test_atoms_of_ase_keep_what_its_reader_of_cifs_notes(tmp_path: Path):
    from ase.io import read as read_ase

    WRITERS["mixed.cif"](MIXED, tmp_path / "mixed.cif")
    atoms = read_ase(tmp_path / "mixed.cif")
    assert are_same(Crystal.from_ase(atoms), MIXED)
    del atoms.arrays["spacegroup_kinds"]
    with pytest.raises(StructureError, match="cannot be assigned"):
        Crystal.from_ase(atoms)
    with pytest.raises(StructureError, match="partial occupancy"):
        MIXED.to_ase()


def test_formulas_count_by_full_sites():
    assert make_salt({"Na": 0.75, "K": 0.25}).formula == "K0.25Na0.75Cl"
    assert MIXED.formula == "Na0.5Mg0.25Cl"
    assert MIXED.composition == pytest.approx({"Na": 0.5, "Mg": 0.25, "Cl": 1.0})
    assert MIXED.n_atoms == 7.0
    assert crystal_system(MIXED) == "cubic"
    assert representative(WHOLE) is WHOLE


def test_a_record_keeps_the_ordering_that_was_computed():
    ordered = representative(MIXED)
    record = Record({"material_id": "mixed"}, ordering=ordered)
    again = Record.from_json(json.loads(json.dumps(record.to_json())))
    assert again.ordering is not None
    assert are_same(again.ordering, ordered)


def test_ions_of_one_charge_have_orderings_too():
    orderings = order(make_salt({"Na": 0.5, "K": 0.5}), OrderingSettings(tolerance=0.0, most_sites=64))
    assert len({each.energy_ev for each in orderings}) == 1
    assert find_duplicates([each.crystal for each in orderings]) == [None] * len(orderings)


def test_traces_of_an_element_have_no_say_in_an_ordering():
    places = [[0, 0, 0], [0.5] * 3, [0, 0, 0], [0.5] * 3]
    doped = Crystal.from_arrays(
        "t", np.eye(3) * 5.1, ["Li", "Cl", "Na", "Br"], places, occupancies=[0.9996, 0.5, 4e-4, 0.5]
    )
    first = order(doped)[0]
    assert set(first.crystal.symbols) == {"Li", "Cl", "Br"}
    assert first.charge == 0.0


def test_a_chain_of_near_ions_is_one_site():
    places = [[0, 0, 0], [0.0137, 0, 0], [0.0274, 0, 0], [0.5] * 3]  # 0.07 angstrom apart
    crystal = Crystal.from_arrays(
        "t", np.eye(3) * 5.1, ["Li", "Na", "K", "Cl"], places, occupancies=[0.4, 0.3, 0.3, 1.0]
    )
    assert sites_of(crystal).shares == ({"Li": 0.4, "Na": 0.3, "K": 0.3}, {"Cl": 1.0})
    with pytest.raises(StructureError, match="more than full"):
        sites_of(replace(crystal, occupancies=np.array([0.5, 0.4, 0.4, 1.0])))


def test_features_are_true_compositions_and_means_over_orderings():
    table, failures = featurize([MIXED, WHOLE])
    assert not failures
    names = feature_names()
    number = table.loc["mixed", "mean_Number"]
    assert number == pytest.approx((0.5 * 11 + 0.25 * 12 + 17) / 1.75)
    orderings = [arrangement.crystal for arrangement in order(MIXED)]
    assert len(orderings) > 1
    own = MagpieFeatures().transform(orderings)[names[:N_STRUCTURE]].mean()
    assert table.loc["mixed", names[:N_STRUCTURE]].to_numpy(float) == pytest.approx(own.to_numpy(float))
    alone, _ = featurize([WHOLE])
    assert alone.loc["whole"].tolist() == table.loc["whole"].tolist()


def test_predictions_have_the_spread_of_the_orderings():
    model = BandCenterModel.embedded()
    predicted = model.predict_crystals([MIXED, WHOLE])
    assert predicted["n_orderings"].tolist() == [len(order(MIXED)), 1]
    each = model.predict_crystals([replace(o.crystal, material_id=f"o{i}") for i, o in enumerate(order(MIXED))])
    spread = each["band_center_mev"].std()
    half = predicted["upper_mev"] - predicted["band_center_mev"]
    assert half["mixed"] >= 1.64 * spread
    alone = model.predict_crystals([WHOLE])
    numbers = ["band_center_mev", "lower_mev", "upper_mev"]
    assert alone.loc["whole", numbers].tolist() == pytest.approx(predicted.loc["whole", numbers].tolist(), rel=1e-6)
    assert alone.loc["whole"].drop(numbers).tolist() == predicted.loc["whole"].drop(numbers).tolist()


def test_a_screen_ranks_disordered_crystals_and_keeps_their_orderings(tmp_path: Path):
    bad = make_salt({"Na": 0.3}, "bad")
    result = verbs.screen([MIXED, WHOLE, bad], folder=tmp_path / "run", output=PLAIN)
    table = result.table.set_index("material_id")
    assert len(table) == 3
    assert table.loc["mixed", "n_orderings"] == len(order(MIXED))
    assert table.loc["mixed", "ordered_as"] == representative(MIXED).cell_formula
    assert table.loc["whole", "ordered_as"] is None
    masses = {"Na": 0.5 * 22.990, "Mg": 0.25 * 24.305, "Cl": 35.45}
    prices = {"Na": 2.57, "Mg": 2.32, "Cl": 0.082}  # USD/kg
    expected = sum(mass * prices[symbol] for symbol, mass in masses.items()) / sum(masses.values())
    assert table.loc["mixed", "price_usd_kg"] == pytest.approx(expected, rel=1e-3)
    assert table.loc["bad", "ordered_as"] is None
    assert [(failure.material_id, failure.error) for failure in result.failures] == [("bad", "NotNeutral")]
    crystals = {crystal.material_id: crystal for crystal in read(tmp_path / "run").crystals}
    assert are_same(crystals["mixed"], MIXED)
    assert crystals["whole"].is_ordered
    (ordering,) = read(tmp_path / "run" / "orderings.parquet").crystals
    assert are_same(ordering, representative(MIXED))


def test_a_screen_keeps_the_disorder_of_what_cannot_be_ordered(tmp_path: Path):
    bad = make_salt({"Na": 0.3}, "bad")
    verbs.screen([bad], folder=tmp_path / "run", output=PLAIN)
    (crystal,) = read(tmp_path / "run").crystals
    assert are_same(crystal, bad)


def test_a_screen_without_disorder_writes_what_it_wrote(tmp_path: Path):
    verbs.screen([WHOLE], folder=tmp_path / "run", output=PLAIN)
    assert not (tmp_path / "run" / "orderings.parquet").exists()
    assert "occupancies" not in pd.read_parquet(tmp_path / "run" / "crystals.parquet")


def test_a_tier_computes_the_representative(tmp_path: Path):
    gold = bulk("Au", cubic=True)
    alloy = Crystal.from_arrays(
        "alloy", gold.cell.array, ["Au", "Cu"] * 4, np.repeat(FACES, 2, axis=0), occupancies=[0.5] * 8
    )
    quick = PhononSettings(relax=False, supercell=(1, 1, 1), mesh=(3, 3, 3))
    outcome = verbs.phonons([alloy], engine="emt", settings=quick, folder=tmp_path / "run", output=PLAIN)
    row = outcome.table.iloc[0]
    assert (row["material_id"], row["formula"]) == ("alloy", "Cu0.5Au0.5")
    assert row["ordered_as"] == representative(alloy).cell_formula
    (ordering,) = read(tmp_path / "run" / "orderings.parquet").crystals
    assert are_same(ordering, representative(alloy))
    again = verbs.phonons([alloy], engine="emt", settings=quick, folder=tmp_path / "run", output=PLAIN)
    assert again.table["seconds"].tolist() == outcome.table["seconds"].tolist()


def test_two_refinements_of_one_compound_are_one():
    first = make_salt({"Na": 0.75, "K": 0.25}, "first")
    refined = make_salt({"Na": 0.747, "K": 0.253}, "refined", edge=5.404)
    other = make_salt({"Na": 0.65, "K": 0.35}, "other")
    larger = Crystal.from_pymatgen(first.to_pymatgen() * (2, 1, 1), material_id="larger")
    turned = Crystal.from_pymatgen(first.to_pymatgen().get_primitive_structure(), material_id="turned")
    crystals = [first, refined, other, larger, turned, WHOLE]
    assert find_duplicates(crystals) == [None, "first", None, "first", "first", None]
    table = rank_crystals(crystals).table.set_index("material_id")
    assert table["duplicate_of"].reindex([c.material_id for c in crystals]).tolist() == find_duplicates(crystals)


def test_a_split_site_is_the_site_it_splits():
    """One refinement puts lithium on a site, another on two halves of it, 0.4 angstrom apart."""
    lattice = np.eye(3) * 4.0
    whole = Crystal.from_arrays("whole", lattice, ["S", "Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
                       occupancies=[1.0, 0.9, 1.0])  # fmt: skip
    split = Crystal.from_arrays("split", lattice, ["S", "Li", "Li", "Cl"],
                       [[0, 0, 0], [0.45, 0.5, 0.5], [0.55, 0.5, 0.5], [0.5, 0.5, 0]],
                       occupancies=[1.0, 0.45, 0.45, 1.0])  # fmt: skip
    assert find_duplicates([whole, split]) == [None, "whole"]


def test_an_engine_ranks_the_arrangements_on_request(tmp_path: Path):
    layers = [[0, 0, z / 4] for z in range(4)] + [[0.5, 0.5, z / 4] for z in range(4)]
    cell = np.diag([2.8, 2.8, 12.0])
    alloy = Crystal.from_arrays("alloy", cell, ["Au", "Cu"] * 8, np.repeat(layers, 2, axis=0), occupancies=[0.5] * 16)
    result = verbs.order([alloy], folder=tmp_path / "run", rank_with="emt", settings=OrderingSettings(tolerance=0.0))
    assert result.table["engine_ev"].is_monotonic_increasing
    assert result.table["material_id"].tolist() == [f"alloy-{i + 1}" for i in range(len(result.table))]


def test_equal_names_of_several_files_are_distinguished(tmp_path: Path):
    result = verbs.order([MIXED, MIXED], folder=tmp_path / "run", settings=OrderingSettings(arrangements=1))
    assert result.table["material_id"].tolist() == ["mixed-1", "mixed~2-1"]
