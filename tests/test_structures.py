from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from phonolyte.errors import StructureError
from phonolyte.runs.digest import digest_of
from phonolyte.runs.records import write_crystals
from phonolyte.screen.describe import CRYSTAL, ModelSource, describe_batch
from phonolyte.structures import Crystal, as_crystal, read
from phonolyte.structures.batches import plan_batches
from phonolyte.structures.crystal_table import records_of
from phonolyte.structures.dictionaries import crystal_from_ase, crystal_from_pymatgen
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.families import family
from phonolyte.structures.symmetry import system_of

SALT = Structure.from_spacegroup("Fm-3m", np.eye(3) * 5.64, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
RUTILE = Structure.from_spacegroup("P4_2/mnm", np.diag([4.59, 4.59, 2.96]), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]])


def write_cif(path: Path) -> None:
    SALT.to(str(path), fmt="cif")


def write_poscar(path: Path) -> None:
    SALT.to(str(path), fmt="poscar")


def write_extxyz(path: Path) -> None:
    ase.io.write(path, SALT.to_ase_atoms(), format="extxyz")


def write_pymatgen_json(path: Path) -> None:
    path.write_text(json.dumps(SALT.as_dict()))


def write_ase_json(path: Path) -> None:
    ase.io.write(path, SALT.to_ase_atoms(), format="json")


def write_jsonl_gz(path: Path) -> None:
    record = {"material_id": "salt", "structure": SALT.as_dict(), "band_gap_ev": 5.0}
    with gzip.open(path, "wt") as stream:
        stream.write(json.dumps(record) + "\n")


def write_table(path: Path) -> None:
    row = {
        "material_id": "salt",
        "formula": "NaCl",
        "lattice": SALT.lattice.matrix.ravel(),
        "species": [site.specie.symbol for site in SALT],
        "frac_coords": SALT.frac_coords.ravel(),
        "band_gap_ev": 5.0,
    }
    pd.DataFrame([row]).to_parquet(path)


WRITERS = {
    "salt.cif": write_cif,
    "POSCAR": write_poscar,
    "salt.vasp": write_poscar,
    "salt.extxyz": write_extxyz,
    "salt.json": write_pymatgen_json,
    "ase.json": write_ase_json,
    "salt.jsonl.gz": write_jsonl_gz,
    "salt.parquet": write_table,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_crystal_with_its_sites_in_order(tmp_path: Path, name: str):
    WRITERS[name](tmp_path / name)
    reading = read(tmp_path / name)
    assert not reading.failures
    (crystal,) = reading.crystals
    assert crystal.formula == "NaCl"
    assert crystal.source == str(tmp_path / name)
    np.testing.assert_allclose(crystal.lattice, SALT.lattice.matrix, atol=1e-5)
    if not name.endswith((".cif", "POSCAR", ".vasp")):  # those group sites by element or symmetry
        assert crystal.symbols == [site.specie.symbol for site in SALT]
        np.testing.assert_allclose(crystal.frac_coords, SALT.frac_coords % 1, atol=1e-6)


def test_files_folders_globs_tables_and_objects_can_be_mixed(tmp_path: Path):
    for folder in ("one/deep", "two"):
        (tmp_path / folder).mkdir(parents=True)
    write_cif(tmp_path / "one" / "deep" / "a.cif")
    (tmp_path / "one" / "notes.txt").write_text("nothing here")
    write_poscar(tmp_path / "two" / "POSCAR")
    write_table(tmp_path / "table.parquet")
    reading = read([tmp_path / "one", f"{tmp_path}/t*/POSCAR", tmp_path / "table.parquet", RUTILE, SALT.to_ase_atoms()])
    assert not reading.failures
    assert [c.material_id for c in reading.crystals] == ["a", "two", "salt", "TiO2", "NaCl"]
    assert reading.crystals[2].properties == {"band_gap_ev": 5.0}


def test_hidden_folders_and_run_folders_are_left_out(tmp_path: Path):
    for folder in (".ipynb_checkpoints", "out"):
        (tmp_path / folder).mkdir()
        write_cif(tmp_path / folder / "copy.cif")
    (tmp_path / "out" / "run.toml").write_text('phonolyte = "1"\n')
    write_cif(tmp_path / "salt.cif")
    write_poscar(tmp_path / "POSCAR.mp-1")
    assert sorted(crystal.material_id for crystal in read(tmp_path).crystals) == ["mp-1", "salt"]


def test_one_object_is_read_as_one():
    assert [c.formula for c in read(SALT).crystals] == ["NaCl"]
    assert [c.formula for c in read(SALT.to_ase_atoms()).crystals] == ["NaCl"]


def test_coordinates_are_wrapped_and_sites_keep_their_order():
    moved = Structure(SALT.lattice, SALT.species, SALT.frac_coords + np.array([3.0, -2.0, 1e-17]))
    crystal = as_crystal(moved)
    assert ((crystal.frac_coords >= 0) & (crystal.frac_coords < 1)).all()
    assert crystal.symbols == [site.specie.symbol for site in SALT]


def test_blocks_of_a_cif_are_crystals_of_their_own_and_a_bad_one_costs_one_row(tmp_path: Path):
    write_cif(tmp_path / "one.cif")
    text = (tmp_path / "one.cif").read_text()
    (tmp_path / "three.cif").write_text(text + text.replace("5.64", "?") + text)
    reading = read(tmp_path / "three.cif")
    assert [c.material_id for c in reading.crystals] == ["three-1", "three-3"]
    assert [f.material_id for f in reading.failures] == ["three-2"]


CIF_CELL = "\n".join(
    ["data_x", *(f"_cell_length_{axis} 5.64(2)" for axis in "abc"),
     *(f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma"))]
)  # fmt: skip
CIF_SITES = """
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 0 0 0 .
Cl1 0.5 0.5 0.5 1.0
"""
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "with a mark": lambda text: text.encode("utf-8-sig"),
    "of Windows, in capitals": lambda text: text.replace("\n", "\r\n").replace("data_", "DATA_").encode(),
}


@pytest.mark.parametrize(
    "group",
    [
        "_space_group_name_Hall '-F 4 2 3'",
        "_symmetry_space_group_name_H-M 'F m -3 m'",
        "_symmetry_space_group_name_H-M Fm-3m",
        "_space_group_name_H-M_alt 'F 4/m -3 2/m'",
        "_SYMMETRY_SPACE_GROUP_NAME_H-M 'F m -3 m'",
    ],
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_cif_that_only_names_its_group_is_expanded(tmp_path: Path, group: str, encoding: str):
    (tmp_path / "salt.cif").write_bytes(ENCODINGS[encoding](f"{CIF_CELL}\n{group}{CIF_SITES}"))
    (crystal,) = read(tmp_path / "salt.cif").crystals
    assert len(crystal) == 8
    assert crystal.formula == "NaCl"


def test_a_bad_frame_costs_one_row_and_integers_are_properties(tmp_path: Path):
    frame = '1\nLattice="4 0 0 0 4 0 0 0 4" material_id={} band_gap_ev=5\n{} 0 0 0\n'
    frames = [frame.format(f"f{i}", "Na" if i != 2 else "Na x") for i in range(4)]
    (tmp_path / "frames.xyz").write_text("".join(frames))
    reading = read(tmp_path / "frames.xyz")
    assert [crystal.material_id for crystal in reading.crystals] == ["f0", "f1", "f3"]
    assert [failure.material_id for failure in reading.failures] == ["f2"]
    assert reading.crystals[0].properties["band_gap_ev"] == 5


def test_a_bad_line_costs_one_row(tmp_path: Path):
    good = json.dumps({"material_id": "salt", "structure": SALT.as_dict()})
    (tmp_path / "some.jsonl").write_text(f'{good}\n{{"structure": 3}}\nrubbish\n\n[]\n{good}\n')
    reading = read(tmp_path / "some.jsonl")
    assert [c.material_id for c in reading.crystals] == ["salt", "salt~2"]
    assert len(reading.failures) == 2
    assert reading.notes


def test_the_li_table_is_read_whole(shared: Path):
    reading = read(shared / "data" / "mp_li_structures.parquet")
    assert len(reading.crystals) == 21_755
    assert not reading.failures
    assert len({crystal.material_id for crystal in reading.crystals}) == 21_755


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([SALT, RUTILE]))
def test_a_crystal_is_found_again_in_any_cell_order_origin_and_orientation(seed: int, structure: Structure):
    random = np.random.default_rng(seed)
    primitive = structure.get_primitive_structure()
    other = primitive * random.integers(1, 3, size=3)
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    order = random.permutation(len(other))
    shear = np.array([[1, random.integers(-1, 2), 0], [0, 1, random.integers(-1, 2)], [0, 0, 1]])
    frac = (other.frac_coords + random.random(3)) @ np.linalg.inv(shear)
    numbers = [other[i].specie.Z for i in order]
    disguised = Crystal.from_arrays("disguised", shear @ other.lattice.matrix @ rotation, numbers, frac[order])
    assert find_duplicates([Crystal.from_pymatgen(structure, material_id="first"), disguised]) == [None, "first"]


def test_a_polymorph_and_a_strained_crystal_are_not_duplicates():
    blende = Structure.from_spacegroup("F-43m", np.eye(3) * 5.409, ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    hexagonal = Lattice.hexagonal(3.823, 6.261)
    wurtzite = Structure.from_spacegroup("P6_3mc", hexagonal, ["Zn", "S"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]])
    strained = blende.copy()
    strained.scale_lattice(blende.volume * 1.06)
    assert find_duplicates([as_crystal(s) for s in (blende, wurtzite, strained)]) == [None, None, None]


def test_orderings_of_cations_over_one_framework_are_distinguished():
    cell = np.diag([4.0, 4.0, 16.0])
    z = (np.arange(4) + 0.5) / 4
    coords = [[0, 0, x] for x in z] + [[0.5, 0.5, x - 0.125] for x in z]
    orders = {"ABAB": ["Ni", "Mn", "Ni", "Mn"], "AABB": ["Ni", "Ni", "Mn", "Mn"]}
    crystals = [Crystal.from_arrays(name, cell, [*cations, *["O"] * 4], coords) for name, cations in orders.items()]
    assert find_duplicates(crystals) == [None, None]


@pytest.mark.parametrize(
    ("species", "coords", "expected"),
    [
        (["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]], "halide"),
        (["Li", "P"], [[0, 0, 0], [0.5, 0.5, 0.5]], "pnictide"),
        (["Li", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]], "hydride"),
        (["Li", "Au"], [[0, 0, 0], [0.5, 0.5, 0.5]], "intermetallic"),
        (["Li", "S", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]], "mixed"),
        (["Li", "S", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.15]], "oxide"),
    ],
)
def test_families_follow_the_anions(species: list[str], coords: list[list[float]], expected: str):
    assert family(Crystal.from_arrays("x", np.eye(3) * 4.1, species, coords)) == expected


def test_an_end_of_line_in_a_name_does_not_cut_a_record(tmp_path: Path):
    record = json.dumps({"material_id": "a\u2028b\x85", "structure": SALT.as_dict()}, ensure_ascii=False)
    (tmp_path / "some.jsonl").write_text(record + "\n" + record.replace("a\u2028b", "c") + "\n")
    reading = read(tmp_path / "some.jsonl")
    assert [crystal.material_id for crystal in reading.crystals] == ["a\u2028b\x85", "c\x85"]
    assert not reading.failures


@pytest.mark.parametrize("bad", ["1" * 9999, "[" * 99_999, '{"material_id": "x", "material_id": "y"}', "\ud800"])
def test_whatever_a_line_is_the_next_is_read(tmp_path: Path, bad: str):
    good = json.dumps({"material_id": "salt", "structure": SALT.as_dict()})
    (tmp_path / "some.jsonl").write_bytes(f"{good}\n{bad}\n{good}".encode("utf-8", "surrogatepass"))
    reading = read(tmp_path / "some.jsonl")
    assert [crystal.material_id for crystal in reading.crystals] == ["salt", "salt~2"]
    assert [failure.material_id for failure in reading.failures] == ["some-2"]


def test_a_row_of_a_table_with_too_many_cells_costs_one_crystal(tmp_path: Path):
    table = pd.DataFrame({"material_id": ["NaN", "0012", "0"], "structure": json.dumps(SALT.as_dict())})
    lines = table.to_csv(index=False).splitlines()
    (tmp_path / "t.csv").write_text("\n".join([*lines[:2], "a,b,c", "d", *lines[2:]]))
    reading = read(tmp_path / "t.csv")
    assert [crystal.material_id for crystal in reading.crystals] == ["NaN", "0012", "0"]
    assert len(reading.failures) == 2
    assert "more cells than the 2 columns" in reading.failures[0].message


def test_numbers_are_names_too(tmp_path: Path):
    row = {name: value for name, value in Crystal.from_pymatgen(SALT).row().items() if name != "material_id"}
    pd.DataFrame([row, row]).assign(material_id=[0, 12]).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "o.json").write_text(json.dumps({"material_id": 0, "structure": SALT.as_dict()}))
    assert [crystal.material_id for crystal in read(tmp_path / "t.parquet").crystals] == ["0", "12"]
    assert [crystal.material_id for crystal in read(tmp_path / "o.json").crystals] == ["0"]


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_dictionaries_give_the_crystals_of_pymatgen_and_ase(n: int, seed: int):
    random = np.random.default_rng(seed)
    grid = np.array(list(np.ndindex(2, 2, 2)))[:n] / 2 + random.uniform(0, 0.1, (n, 3))
    lattice = Lattice.from_parameters(*random.uniform(8, 10, 3), *random.uniform(80, 100, 3))
    structure = Structure(lattice, random.choice(["Li+", "O2-", "Fe"], n), grid)
    expected = Crystal.from_pymatgen(structure)
    atoms = structure.copy().remove_oxidation_states().to_ase_atoms()
    by_angles = structure.as_dict()
    del by_angles["lattice"]["matrix"]
    for crystal in (
        crystal_from_pymatgen(json.loads(json.dumps(structure.as_dict()))),
        crystal_from_pymatgen(by_angles),
        crystal_from_ase(json.loads(json.dumps({k: np.asarray(v).tolist() for k, v in atoms.todict().items()}))),
    ):
        assert crystal.symbols == expected.symbols
        np.testing.assert_allclose(crystal.lattice, expected.lattice, atol=1e-9)
        np.testing.assert_allclose(crystal.frac_coords, expected.frac_coords, atol=1e-9)


@pytest.mark.parametrize(
    ("lattice", "positions", "kind"),
    [
        (np.eye(3) * 9, [[0, 0, 0], [0.49 / 9, 0, 0]], "OverlappingAtoms"),
        (np.eye(3) * 9, [[0, 0, 0], [0.51 / 9, 0, 0]], ""),
        (np.diag([20.0, 20.0, 25.1]), [[0, 0, 0]], "HugeCell"),  # 10,040 cubic angstrom
        (np.diag([20.0, 20.0, 24.9]), [[0, 0, 0]], ""),
        # a volume of 0.9 and of 1.1 thousandths of the product of the edges, 56.3 angstrom the third
        ([[100, 0, 0], [0, 100, 0], [31, 47, 0.9e-3 * 56.3]], [[0, 0, 0]], "DegenerateCell"),
        ([[100, 0, 0], [0, 100, 0], [31, 47, 1.1e-3 * 56.3]], [[0, 0, 0]], ""),
    ],
)
def test_a_crystal_is_refused_beyond_the_bounds_of_what_there_is(
    lattice: object, positions: list[list[float]], kind: str
):
    error_kind = ""
    try:
        Crystal.from_arrays("x", lattice, ["Li"] * len(positions), positions)  # type: ignore[arg-type]
    except StructureError as error:
        error_kind = error.kind
    assert error_kind == kind


@pytest.mark.parametrize(("distance_a", "expected"), [(2.03, "oxide"), (2.07, "mixed")])
def test_sulfur_bonded_to_oxygen_is_not_an_anion(distance_a: float, expected: str):
    # covalent radii of 1.05 and 0.66 angstrom; bonds up to 1.2 times their sum, 2.052
    cell = np.eye(3) * 9.0
    assert (
        family(Crystal.from_arrays("x", cell, ["Li", "S", "O"], [[0.5, 0.5, 0.5], [0, 0, 0], [distance_a / 9, 0, 0]]))
        == expected
    )


def test_space_groups_belong_to_the_systems_of_the_international_tables():
    last = {"triclinic": 2, "monoclinic": 15, "orthorhombic": 74, "tetragonal": 142, "trigonal": 167, "hexagonal": 194}
    first = 1
    for system, number in {**last, "cubic": 230}.items():
        assert {system_of(first), system_of(number)} == {system}
        first = number + 1


# Oxidation states


def test_oxidation_states_of_a_source_come_through_tables_and_rows(tmp_path: Path):
    sites = {"Li+": [0, 0, 0], "Mn4+": [0.5, 0, 0], "Fe2+": [0, 0.5, 0], "O2-": [0.5, 0.5, 0.5]}
    stated = Crystal.from_pymatgen(Structure(np.eye(3) * 4.2, [*sites], [*sites.values()]), material_id="stated")
    plain = replace(stated, material_id="plain", oxidation_states={})
    disordered = Crystal.from_arrays(
        "half", np.eye(3) * 4.2, ["Li", "Cl"], [[0, 0, 0], [0.5] * 3], occupancies=[0.5, 1.0],
        oxidation_states={"Li": 2.0, "Cl": -1.0},
    )  # fmt: skip
    write_crystals([plain, stated, disordered], tmp_path / "crystals.parquet")
    again = read(tmp_path / "crystals.parquet").crystals
    for crystals in (again, [Crystal.from_row(crystal.row()) for crystal in (plain, stated)]):
        assert dict(crystals[0].oxidation_states) == {}
        assert crystals[1].oxidation_states == {"Li": 1.0, "Mn": 4.0, "Fe": 2.0, "O": -2.0}
    assert again[2].oxidation_states == disordered.oxidation_states
    assert digest_of(stated.identity) != digest_of(plain.identity)


def test_a_screen_takes_the_oxidation_states_that_a_file_states(tmp_path: Path):
    structure = Structure.from_spacegroup("Fm-3m", np.eye(3) * 4.2, ["Li+", "Br-"], [[0, 0, 0], [0.5] * 3])
    part = describe_batch(plan_batches([structure])[0], ModelSource(), tmp_path)
    (record,) = records_of(part.load(CRYSTAL))
    assert record[1]("x").oxidation_states == {"Li": 1.0, "Br": -1.0}
