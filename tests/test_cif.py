"""CIF: what is one crystal is read as that crystal, and all else is refused with the reason."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import gemmi
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from phonolyte.errors import PhonolyteError, StructureError
from phonolyte.structures import Crystal, as_crystal
from phonolyte.structures.cif import blocks_with_a_cell, crystal_from_cif
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.reading import read_file
from phonolyte.structures.space_groups import parse_operations, settings_by_name
from phonolyte.structures.species import charge_of, element_of

CELL = "_cell_length_a {0}\n_cell_length_b {1}\n_cell_length_c {2}\n" + "".join(
    f"_cell_angle_{angle} {{{i}}}\n" for i, angle in enumerate(("alpha", "beta", "gamma"), start=3)
)
SITES = "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
CUBE = (4.2, 4.2, 4.2, 90, 90, 90)


def write_cif(sites: str, *, head: str = "", cell: tuple[float, ...] = CUBE, columns: str = "") -> str:
    return f"data_x\n{CELL.format(*cell)}{head}\n{SITES}{columns}{sites}\n"


def read(text: str) -> Crystal:
    (block,) = blocks_with_a_cell(text)
    return crystal_from_cif(block, material_id="x")


def count_atoms(crystal: Crystal) -> dict[str, int]:
    return {symbol: crystal.symbols.count(symbol) for symbol in dict.fromkeys(crystal.symbols)}


RIGHT: dict[str, dict[str, int] | str] = {
    "01-dot-coordinates": "H1 has no coordinates", "02-unicode-minus": {"Li": 1, "F": 1},
    "03-origin-Fd-3m-no-setting": {"Si": 8}, "04-R-3m-rhombohedral-cell": {"As": 2},
    "04b-R-setting-on-hexagonal-cell": "does not have the symmetry", "05-only-identity-with-Fm-3m": {"Na": 4, "Cl": 4},
    "05b-repeated-centring": "not a group", "06-unknown-operations-question-mark": {"As": 2},
    "06b-unquoted-operations": {"As": 2}, "07-OH-site-dropped": "unknown element 'OH1'",
    "07b-isotope-7Li-dropped": {"Li": 1, "Cl": 1}, "07d-attached-hydrogens": "hydrogens of O1 are missing",
    "08-semicolon-in-text-swallows-operations": {"Li": 2, "F": 2}, "08c-hash-in-quotes": {"Li": 1, "F": 1},
    "09-data_-in-text": {"Si": 8}, "10-three-digit-coordinates": {"Al": 2, "N": 2},
    "11-occupancy-0.9999": {"Li": 1, "F": 1}, "11b-occupancy-1.02": "occupancy of Li1 is 1.02",
    "16-empty-H-M": r"space group \(empty\) are unknown", "16b-empty-H-M-number-1": {"Li": 1, "Cl": 1},
    "17-R-3m-H-icsd-style": {"As": 6}, "17c-Fd3m-old-style": {"Si": 8}, "22-cartesian": "Cartesian coordinates only",
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_that_was_read_wrongly_gives_what_is_right(shared: Path, name: str):
    reading = read_file(shared / "cases" / "crystals" / f"{name}.cif")
    right = RIGHT[name]
    if isinstance(right, str):
        (failure,) = reading.failures
        with pytest.raises(AssertionError, match=right):
            raise AssertionError(failure.message)
        return
    (crystal,) = reading.crystals
    assert count_atoms(crystal) == right


def test_coordinates_of_unusual_spellings(shared: Path):
    folder = shared / "cases" / "crystals"
    (minus,) = read_file(folder / "02-unicode-minus.cif").crystals
    assert minus.frac_coords[1].tolist() == pytest.approx([0.7, 0.5, 0.5])
    (question,) = read_file(folder / "06-unknown-operations-question-mark.cif").crystals
    assert np.allclose(sorted(question.frac_coords.tolist()), [[0.1, 0.2, 0.227], [0.9, 0.8, 0.773]])
    (rounded,) = read_file(folder / "10-three-digit-coordinates.cif").crystals
    assert rounded.frac_coords[0, :2].tolist() == pytest.approx([1 / 3, 2 / 3], abs=1e-12)
    (magnetic,) = read_file(folder / "21-empty-loop.mcif").crystals
    assert count_atoms(magnetic) == {"Cs": 1, "Cl": 1}
    assert magnetic.oxidation_states == {"Cs": 1.0, "Cl": 1.0}


def list_operations(group: gemmi.SpaceGroup) -> tuple[np.ndarray, np.ndarray]:
    listed = list(group.operations())
    return np.array([o.rot for o in listed]) / 24, np.array([o.tran for o in listed]) / 24


def make_random_cell(rotations: np.ndarray, random: np.random.Generator) -> gemmi.UnitCell:
    """A cell that a group leaves as it is, and that nothing else does."""
    vectors = np.diag(random.uniform(8, 12, 3)) + random.uniform(-2, 2, (3, 3))
    metric = np.mean(np.swapaxes(rotations, 1, 2) @ (vectors @ vectors.T) @ rotations, axis=0)
    edges = np.sqrt(np.diag(metric))
    pairs = ((1, 2), (0, 2), (0, 1))
    return gemmi.UnitCell(*edges, *(np.degrees(np.arccos(metric[i, j] / edges[i] / edges[j])) for i, j in pairs))


def make_random_sites(group: gemmi.SpaceGroup, seed: int) -> tuple[gemmi.UnitCell, np.ndarray, np.ndarray]:
    """Cell, two positions, and their images (2, m, 3), of which no two are near."""
    random = np.random.default_rng(seed)
    rotations, translations = list_operations(group)
    cell = make_random_cell(rotations, random)
    for _ in range(200):
        positions = random.uniform(0, 1, (2, 3)).round(6)
        images = np.einsum("mij,nj->nmi", rotations, positions) + translations
        flat = images.reshape(-1, 3)
        offsets = flat[:, None] - flat[None]
        cart = (offsets - np.round(offsets)) @ np.array(cell.orth.mat.tolist()).T
        if (np.linalg.norm(cart, axis=2) + 9 * np.eye(len(flat))).min() > 0.55:
            return cell, positions, images
        cell = gemmi.UnitCell(cell.a * 1.05, cell.b * 1.05, cell.c * 1.05, cell.alpha, cell.beta, cell.gamma)
    raise AssertionError(group.xhm())


def is_that(crystal: Crystal, images: np.ndarray) -> bool:
    symbols = np.array(crystal.symbols)
    for symbol, orbit in zip(("Na", "Cl"), images, strict=True):
        own = crystal.frac_coords[symbols == symbol]
        offsets = own[:, None] - orbit[None]
        apart = np.abs(offsets - np.round(offsets)).max(axis=2)
        if len(own) != len(orbit) or apart.min(axis=0).max() > 1e-4 or apart.min(axis=1).max() > 1e-4:
            return False
    return True


def write_by_gemmi(group: gemmi.SpaceGroup, cell: gemmi.UnitCell, positions: np.ndarray) -> str:
    small = gemmi.SmallStructure()
    small.cell, small.spacegroup_hm, small.name = cell, group.xhm(), "x"
    for symbol, position in zip(("Na", "Cl"), positions, strict=True):
        site = gemmi.SmallStructure.Site()
        site.label, site.type_symbol, site.element = f"{symbol}1", symbol, gemmi.Element(symbol)
        site.fract = gemmi.Fractional(*position)
        small.add_site(site)
    small.determine_and_set_spacegroup("h.")
    return str(small.make_cif_block().as_string())


@pytest.mark.parametrize("part", range(6))
def test_any_group_in_any_setting_comes_back(part: int):
    for number, group in list(enumerate(gemmi.spacegroup_table()))[part::6]:
        cell, positions, images = make_random_sites(group, number)
        rows = "".join(
            f"{s}1 {s} {x:.6f} {y:.6f} {z:.6f}\n" for s, (x, y, z) in zip(("Na", "Cl"), positions, strict=True)
        )
        size = (cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)
        listed = "".join(f"'{operation.triplet()}'\n" for operation in group.operations())
        heads = {
            "operations": f"loop_\n_space_group_symop_operation_xyz\n{listed}",
            "Hall symbol": f"_space_group_name_Hall '{group.hall}'",
            "name with its setting": f"_space_group_name_H-M_alt '{group.xhm()}'",
            "name": f"_space_group_name_H-M_alt '{group.hm}'",
            "short name": f"_space_group_name_H-M_alt '{group.short_name()}'\n_cell_formula_units_Z {len(images[0])}",
        }
        texts = {name: write_cif(rows, head=head, cell=size) for name, head in heads.items()}
        for name, text in {**texts, "gemmi": write_by_gemmi(group, cell, positions)}.items():
            try:
                crystal = read(text)
            except StructureError as error:
                crystal, message = None, str(error)
            if crystal is None:  # a name may leave the origin or the axes open
                assert name in ("name", "short name"), (group.xhm(), name, message)
                assert "leaves its symmetry open" in message, (group.xhm(), name)
            else:
                assert is_that(crystal, images), (group.xhm(), name)


@pytest.mark.parametrize("number", range(2, 231, 9))
def test_a_group_comes_back_from_pymatgen(number: int):
    group = gemmi.find_spacegroup_by_number(number)
    cell, _, images = make_random_sites(group, number)
    lattice = Lattice.from_parameters(cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)
    structure = Structure(lattice, ["Na"] * len(images[0]) + ["Cl"] * len(images[1]), images.reshape(-1, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = str(CifWriter(structure, symprec=0.001))
    crystal = read(text)
    assert len(crystal) == len(structure) or len(crystal) == len(structure.get_primitive_structure()) * round(
        crystal.volume_a3 / structure.get_primitive_structure().volume
    )
    assert find_duplicates([as_crystal(structure, material_id="a"), crystal]) == [None, "a"]


def test_a_changed_file_is_refused_or_the_same_crystal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    from mutate_cif import CHANGES, mutate

    results, wrong = mutate(25 * len(CHANGES), seed=5)
    assert not wrong
    assert {change for change, result in results if result == "refused"} == {*CHANGES} - {"operation twice"}
    sys.modules.pop("mutate_cif")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,y,z'\n'x,-y,z'", "not a group: 3 are listed"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'x+1/5,y,z'", "not a symmetry operation"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\n'x,x,z'", "does not map the lattice onto itself"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\n'h,k,l'", "other characters than x, y, z"),
        ("_symmetry_space_group_name_H-M 'Q m -3 m'", "operations of space group Q m -3 m are unknown"),
        ("_symmetry_space_group_name_H-M 'F d -3 m'", "leaves its symmetry open"),
        ("_cell_volume 80", "does not have its volume: the file says 80"),
        ("_cell_formula_units_Z 2\n_chemical_formula_sum 'Li Cl'", "do not fill the cell"),
        ("_exptl_crystal_density_diffrn 3.0", "do not make up the density"),
        ("_cell_modulation_dimension 1", "modulated"),
    ],
)
def test_what_is_not_one_crystal_is_refused(head: str, message: str):
    with pytest.raises(PhonolyteError, match=message):
        read(write_cif("Li1 Li 0 0 0\nCl1 Cl 0.5 0.5 0.5", head=head))


def test_a_tag_that_comes_twice_counts_where_it_says_one_thing():
    rows = "Li1 Li 0 0 0\nCl1 Cl 0.5 0.5 0.5"
    assert len(read(write_cif(rows, head="_chemical_formula_sum 'Li Cl'\n_chemical_formula_sum ''"))) == 2
    assert len(read(write_cif(rows, head="_chemical_formula_sum ?\n_chemical_formula_sum 'Li Cl'"))) == 2
    assert len(read(write_cif(rows, head="_cell_length_a 4.2"))) == 2
    with pytest.raises(PhonolyteError, match="gives _cell_length_a twice"):
        read(write_cif(rows, head="_cell_length_a 4.3"))


def test_what_a_file_says_decides_between_settings():
    rows = "Si1 Si 0.125 0.125 0.125"
    named = "_symmetry_space_group_name_H-M 'F d -3 m'"
    cell = (5.431, 5.431, 5.431, 90, 90, 90)
    for evidence in ("_chemical_formula_sum Si\n_cell_formula_units_Z 8", "_exptl_crystal_density_diffrn 2.33"):
        assert len(read(write_cif(rows, head=f"{named}\n{evidence}", cell=cell))) == 8
    assert (
        len(
            read(write_cif(rows.replace("0.125", "0"), head=f"{named} \n_exptl_crystal_density_diffrn 2.33", cell=cell))
        )
        == 8
    )


def test_a_name_that_contradicts_the_operations_is_decided_by_the_rest_or_refused():
    head = "_symmetry_space_group_name_H-M 'F m -3 m'\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'"
    with pytest.raises(StructureError, match="several settings are possible"):
        read(write_cif("Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5", head=head))
    faces = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
    rows = "".join(f"Na Na {x} {y} {z}\nCl Cl {x + 0.5} {y} {z}\n" for x, y, z in faces)
    assert count_atoms(read(write_cif(rows, head=head, cell=(5.64, 5.64, 5.64, 90, 90, 90)))) == {"Na": 4, "Cl": 4}


def test_magnetic_operations_move_atoms_and_centering_repeats_them():
    head = (
        "loop_\n_space_group_symop_magn_operation.id\n_space_group_symop_magn_operation.xyz\n"
        "1 x,y,z,+1\n2 -x,-y,-z,-1\nloop_\n_space_group_symop_magn_centering.id\n"
        "_space_group_symop_magn_centering.xyz\n1 x,y,z,+1\n2 x+1/2,y+1/2,z,-1"
    )
    crystal = read(write_cif("Mn1 Mn 0.1 0.2 0.3\nO1 O 0.4 0.1 0.8", head=head))
    assert count_atoms(crystal) == {"Mn": 4, "O": 4}


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (("P21/c", "P 1 21/c 1", "P 2_1/c", "P2(1)/c", "p 21/c"), 14),
        (("R -3 m H", "R-3m:H", "R -3 m :H"), 166),
        (("F d -3 m Z", "Fd-3m:2", "F d -3 m O2", "F d 3 m :2", r"F d \bar{3} m Z"), 227),
        (("F d -3 m S", "F d -3 m (origin 1)", "Fd-3m:1"), 227),
        (("F m -3 m", "Fm3m", "F 4/m -3 2/m", "FM-3M", "F m 3 m"), 225),
        (("P m m 2",), 25),
        (("P n m a", "P 21/n 21/m 21/a"), 62),
    ],
)
def test_spellings_of_a_name_mean_the_same_group(names: tuple[str, ...], number: int):
    readings = [settings_by_name(name) for name in names]
    assert {settings[0][0].number for settings in readings} == {number}
    sizes = {tuple(len(operations) for operations in settings[0]) for settings in readings}
    assert len(sizes) == 1
    assert settings_by_name("Q m -3 m") == settings_by_name("") == ()


def test_a_name_without_its_origin_means_both_settings():
    both = settings_by_name("F d -3 m")[0]
    assert [len(settings_by_name(f"F d -3 m :{origin}")[0]) for origin in (1, 2)] == [1, 1]
    assert {operations.name for operations in both} == {"F d -3 m:1", "F d -3 m:2"}
    assert parse_operations(("x,y,z", "-x,-y,-z")).number == 2


@pytest.mark.parametrize(
    ("type_symbol", "label", "in_formula", "element"),
    [
        ("Li", "X1", (), "Li"), ("Li1+", "", (), "Li"), ("Fe3+", "", (), "Fe"), ("O-2", "", (), "O"),
        ("7Li", "", (), "Li"), ("LI", "", (), "Li"), ("CO", "", ("Co", "O"), "Co"), ("", "Li1A", (), "Li"),
        ("", "CL2", (), "Cl"), ("", "SI1", ("Si", "O"), "Si"), ("", "O(1)", (), "O"), ("Li1", "Li1", (), "Li"),
        ("Ho", "", (), "Ho"),
    ],
)  # fmt: skip
def test_the_element_of_a_site(type_symbol: str, label: str, in_formula: tuple[str, ...], element: str):
    assert element_of(type_symbol, label, frozenset(in_formula)) == element


@pytest.mark.parametrize(
    ("type_symbol", "label", "in_formula"),
    [
        ("OH", "O1", ()), ("Wat", "O1", ()), ("D", "D1", ()), ("", "D2", ()), ("2H", "", ()), ("CO", "", ()),
        ("CO", "", ("C", "O")), ("", "OW1", ()), ("", "SI1", ()), ("", "SI1", ("S", "I")), ("M", "M1", ()),
        ("", "", ()), ("H2", "H1", ()), ("Li/Na", "Li1", ()), ("Xx", "", ()),
    ],
)  # fmt: skip
def test_what_is_not_an_element_is_refused(type_symbol: str, label: str, in_formula: tuple[str, ...]):
    with pytest.raises(StructureError):
        element_of(type_symbol, label, frozenset(in_formula))


@pytest.mark.parametrize(("symbol", "charge"), [("Fe3+", 3), ("O2-", -2), ("Cl-", -1), ("O-2", -2), ("Li", None)])
def test_the_charge_in_a_symbol(symbol: str, charge: int | None):
    assert charge_of(symbol) == charge


def test_a_split_site_near_a_special_position_stays_split_where_the_file_says_so():
    columns = "_atom_site_occupancy\n_atom_site_symmetry_multiplicity\n"
    head = "_symmetry_space_group_name_H-M 'P -1'"
    for multiplicity in (1, 2):
        text = write_cif(f"Li1 Li 0.005 0 0 0.5 {multiplicity}\nCl1 Cl 0.5 0.5 0.5 1 1", head=head, columns=columns)
        assert read(text).amounts == {"Li": 0.5 * multiplicity, "Cl": 1.0}
    with pytest.raises(StructureError, match="another multiplicity"):
        read(write_cif("Li1 Li 0.25 0 0 1 7\nCl1 Cl 0.5 0.5 0.5 1 1", head=head, columns=columns))
