"""Files as they should not be: each becomes one row that says what, why and what to do."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from phonolyte.cli import app, main
from phonolyte.cli.terminal import check_output
from phonolyte.errors import ReadError, SettingsError
from phonolyte.structures import read

CIF = """data_salt
_cell_length_a {a}
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha {alpha}
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""
SALT = "Na1 Na 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1"


def make_cif(sites: str = SALT, *, a: object = 5.64, alpha: object = 90) -> str:
    return CIF.format(sites=sites, a=a, alpha=alpha)


def make_structure(
    species: list[str], coords: list[list[object]], matrix: object = None, **more: object
) -> dict[str, object]:
    """A pymatgen structure as its JSON has it."""
    sites = [
        {"species": [{"element": s, "occu": more.get("occu", 1)}], "abc": x, "label": s}
        for s, x in zip(species, coords, strict=True)
    ]
    lattice = {"matrix": matrix if matrix is not None else (np.eye(3) * 4).tolist()}
    return {"@module": "pymatgen.core.structure", "@class": "Structure", "lattice": lattice, "sites": sites}


def dump_structure(*args: object, **more: object) -> str:
    return json.dumps(make_structure(*args, **more))  # type: ignore[arg-type]


POSCAR = "salt\n1.0\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
CUBE = "4 0 0 0 4 0 0 0 4"
ZERO = [[0.0, 0.0, 0.0]]
TWO = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]

HOSTILE: dict[str, tuple[str | bytes, str]] = {
    # name of the file: what is in it, and a part of the message
    "truncated_in_cell.cif": (make_cif()[:60], "the CIF cannot be read: line 4"),
    "truncated_in_loop.cif": (make_cif()[:330], "cannot be read"),
    "without_sites.cif": (make_cif(""), "no atom sites"),
    "nan_edge.cif": (make_cif(a="nan"), "no complete cell: 'nan'"),
    "question_mark.cif": (make_cif(a="?"), "no complete cell"),
    "negative_edge.cif": (make_cif(a=-5.64), "impossible: edges -5.64"),
    "zero_edge.cif": (make_cif(a=0), "impossible: edges 0"),
    "impossible_angle.cif": (make_cif(alpha=200), "impossible: .*angles 200"),
    "empty_sites.cif": (make_cif("Na1 Na 0 0 0 0.01\nCl1 Cl 0.5 0.5 0.5 0.01"), "no site is filled"),
    "two_on_a_site.cif": (make_cif("Na1 Na 0 0 0 0.7\nK1 K 0 0 0 0.5\nCl1 Cl 0.5 0.5 0.5 1"), "more than full"),
    "overfull.cif": (make_cif("Na1 Na 0 0 0 2.5\nCl1 Cl 0.5 0.5 0.5 1"), "occupancy of Na1 is 2.5"),
    "deuterium.cif": (make_cif("D1 D 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1"), "isotope of hydrogen"),
    "dummy.cif": (make_cif("X1 X 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1"), "unknown element"),
    "unknown_element.cif": (make_cif("Qq1 Qq 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1"), "unknown element"),
    "POSCAR_nanometers": (POSCAR.replace("1.0", "10.0"), "far too large"),
    "overlapping.cif": (make_cif("Na1 Na 0 0 0 1\nCl1 Cl 0.03 0 0 1"), "overlap"),
    "letters_for_numbers.cif": (make_cif("Na1 Na zero 0 0 1"), "Na1 has no coordinates: x"),
    "long_operation.cif": (make_cif().replace("loop_",
                           f"loop_\n_symmetry_equiv_pos_as_xyz\n 'x, y, z' {'1' * 5000}\nloop_"),
                           "not a symmetry operation: it is too long"),
    "unknown_group.cif": (make_cif().replace("F m -3 m", "Q m -3 m"), "operations of space group"),
    "no_hydrogen.cif": (make_cif().replace("loop_", "_chemical_formula_sum 'H2 Na1 Cl1 O1'\nloop_"), "do not make up"),
    "empty.cif": ("", "no structure"),
    "rubbish.cif": (bytes(range(256)) * 20, "binary"),
    "prose.cif": ("Dear colleague, the structure is attached.\n" * 9, "cannot be read: line 1: expected block header"),
    "page.cif": ("<!DOCTYPE html><html><body>404 Not Found</body></html>", "expected block header"),
    "picture.vasp": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
    "POSCAR_short": ("salt\n1.0\n4 0 0\n", "ends too early: line 4"),
    "POSCAR_vasp4": (POSCAR.replace("Na Cl\n", ""), "names no elements"),
    "POSCAR_counts": (POSCAR.replace("1 1", "1 7"), "counts 8 atoms and has 2 lines"),
    "POSCAR_billion": (POSCAR.replace("1 1", "1 1000000000"), "line 7 of the file has to count the atoms"),
    "wide.xyz": (f'1\nLattice="{CUBE}" Properties=species:S:1:pos:R:3:x:R:999999999\nNa 0 0 0', "1,000,000,003 col"),
    "superscript.xyz": ("²\nLattice\n", "cannot be read"),
    "deep.json": ("[" * 99_999, "nested too deeply"),
    "deep_and_whole.json": ("[" * 900 + "3" + "]" * 900, "holds no structure"),
    "digits.json": ("1" * 9999, "too many digits"),
    "twice.json": ('{"a": {"structure": 1}, "a": {"structure": 2}}', "the key 'a' comes twice"),
    "true_element.json": (dump_structure([True], ZERO), "element of site 1 is 'True'"),
    "no_species.json": (dump_structure(["Na"], ZERO).replace('"species"', '"kinds"'), "site 1 has no list of species"),
    "no_abc.json": (dump_structure(["Na"], ZERO).replace('"abc"', '"xyz"'), "'abc' of site 1 is missing"),
    "huge_integer.json": (dump_structure(["Na"], [[10**400, 0, 0]]), "not made of numbers"),
    "site_is_text.json": ('{"lattice": {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]}, "sites": "Na"}',
                          "at least 1 site"),
    "lattice_is_text.json": ('{"lattice": "cubic", "sites": [{"species": [{"element": "Na"}], "abc": [0, 0, 0]}]}',
                             "neither a matrix nor edges and angles"),
    "ase_cut.json": ('{"numbers": [11], "positions": [[0, 0, 0]], "cell": [[4, 0], [0, 4]]}', "not what ASE writes"),
    "POSCAR_flat": (POSCAR.replace("0 0 4", "4 0 0"), "degenerate"),
    "POSCAR_nan": (POSCAR.replace("0.5 0.5 0.5", "nan 0.5 0.5"), "line 10 of the file has to be a position"),
    "POSCAR_element": (POSCAR.replace("Na Cl", "Na Zz"), "'Zz' is not one"),
    "molecule.xyz": ("3\nwater\nO 0 0 0\nH 0 0 1\nH 0 1 0\n", "not a crystal"),
    "slab.extxyz": (f'1\nLattice="{CUBE}" pbc="T T F" Properties=species:S:1:pos:R:3\nNa 0 0 0\n', "not a crystal"),
    "count.xyz": (f'9\nLattice="{CUBE}" Properties=species:S:1:pos:R:3\nNa 0 0 0\n', "cannot be read"),
    "nan_lattice.json": (dump_structure(["Na"], ZERO, [[float("nan"), 0, 0], [0, 4, 0], [0, 0, 4]]), "not a number"),
    "infinite.json": (dump_structure(["Na"], [[float("inf"), 0, 0]]), "not a number"),
    "zero_volume.json": (dump_structure(["Na"], ZERO, [[1, 0, 0], [2, 0, 0], [0, 0, 4]]), "degenerate"),
    "no_atoms.json": (dump_structure([], []), "at least 1 site"),
    "twice_full.json": (dump_structure(["Na"], ZERO, occu=2.0), "occupancy of site 1"),
    "isotope.json": (dump_structure(["T", "Cl"], TWO), "isotope"),
    "dummy.json": (dump_structure(["Xx", "Cl"], TWO), "unknown element|cannot be read"),
    "two_coordinates.json": (dump_structure(["Na"], [[0, 0]]), "cannot be read"),
    "cut.json": (dump_structure(["Na"], ZERO)[:80], "JSONDecodeError"),
    "other.json": ('{"answer": 42}', "holds no structure"),
    "number.json": ("42", "holds no structure"),
    "nothing.json": ("[]", "holds no structure"),
    "cut.jsonl.gz": (gzip.compress(dump_structure(["Na"], ZERO).encode())[:40], "cannot be read"),
    "damaged.cif.gz": (gzip.compress(make_cif().encode())[:30] + bytes(60), "cannot be read|no kind"),
    "not_zipped.jsonl.gz": ("plain text", "Not a gzipped file"),
    "cut.parquet": (b"PAR1 and no more", "cannot be read"),
    "wrong_ending.parquet": (make_cif(a="?"), "no complete cell"),
    "prose.csv": ("name,value\nsalt,1\n", "no column 'structure'"),
    "spectrum.dta": ("FREQ Z\n1 2\n", "unknown format"),
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name, (content, _) in HOSTILE.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_file_is_one_row_that_says_what_why_and_what_to_do(hostile: Path, name: str):
    reading = read(hostile / name)
    assert not reading.crystals
    (failure,) = reading.failures
    assert failure.source == str(hostile / name)
    assert failure.stage == "structures"
    assert pd.Series([failure.message]).str.contains(HOSTILE[name][1]).all(), failure.message
    assert failure.message.endswith(".")
    assert "Traceback" not in failure.message
    assert len(failure.message) < 500


def test_one_good_crystal_among_bad_ones_is_ranked_and_the_counts_add_up(hostile: Path, tmp_path: Path):
    (tmp_path / "salt.cif").write_text(make_cif())
    result = CliRunner().invoke(app, ["screen", str(tmp_path / "salt.cif"), *map(str, hostile.iterdir()),
                                      "-o", str(tmp_path / "run")])  # fmt: skip
    assert result.exit_code == 1
    failures = pd.read_parquet(tmp_path / "run" / "failures.parquet")
    assert len(failures) == len(HOSTILE)
    steps = json.loads((tmp_path / "run" / "funnel.json").read_text())["steps"]
    assert steps[0]["kept"] == len(HOSTILE) + 1
    for before, step in pairwise(steps):
        assert step["kept"] + step["rejected"] + step["missing"] == before["kept"]
    assert pd.read_parquet(tmp_path / "run" / "ranked.parquet")["formula"].tolist() == ["NaCl"]


@pytest.mark.long
def test_ten_thousand_atoms_are_not_trouble(tmp_path: Path):
    rows = [f"{'Na' if sum(x) % 2 else 'Cl'} {2.8 * x[0]} {2.8 * x[1]} {2.8 * x[2]}" for x in np.ndindex(22, 22, 22)]
    lattice = f"{2.8 * 22} 0 0 0 {2.8 * 22} 0 0 0 {2.8 * 22}"
    (tmp_path / "large.xyz").write_text(
        f'{len(rows)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3\n' + "\n".join(rows) + "\n"
    )
    (tmp_path / "salt.cif").write_text(make_cif(a=5.6).replace("5.64", "5.6"))
    result = CliRunner().invoke(app, ["screen", str(tmp_path), "-o", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(tmp_path / "run" / "ranked.parquet").set_index("material_id")
    assert table.loc["salt", "duplicate_of"] == "large"
    assert table.loc["large", "band_center_mev"] == pytest.approx(table.loc["salt", "band_center_mev"], rel=1e-3)


def test_an_id_given_twice_is_made_unique_and_noted(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "salt.cif").write_text(make_cif().replace("5.64", "5.64" if folder == "a" else "5.7"))
    reading = read(tmp_path)
    assert [crystal.material_id for crystal in reading.crystals] == ["salt", "salt~2"]
    assert reading.notes[0].startswith("1 crystal repeats the material_id")


Arguments = Callable[[Path], list[str]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda t: ["screen", str(t / "empty")], "the folder is empty"),
        (lambda t: ["study", str(t / "empty.toml")], "the folder is empty"),
        (lambda t: ["screen", str(t / "missing.cif")], "no such file"),
        (lambda t: ["screen", str(t / "*.nothing")], "no file matches"),
        (lambda t: ["screen", "--ion", "Xx"], "there is no element 'Xx'"),
        (lambda t: ["screen", "--max-center-mev", "nan"], "max_center_mev is nan"),
        (lambda t: ["screen", "--without", "luck"], "luck"),
        (lambda t: ["screen", "--model", str(t / "empty")], "model"),
        (lambda t: ["screen", "--properties", str(t / "missing.csv")], "cannot be read"),
        (lambda t: ["screen", "--properties", str(t / "no_id.csv")], "no column 'material_id'"),
        (lambda t: ["screen", "--properties", str(t / "words.csv")], "'low'"),
        (lambda t: ["screen", "--properties", str(t / "twice.csv")], "two different rows"),
        (lambda t: ["screen", "--settings", str(t / "bad.toml")], "is not TOML"),
        (lambda t: ["screen", "--settings", str(t / "unknown.toml")], "has no setting 'color'"),
        (lambda t: ["screen", "-o", str(t / "no_id.csv")], "no_id.csv cannot be a folder for results"),
        (lambda t: ["virtual", "-o", str(t / "no_id.csv" / "run")], "run cannot be a folder for results"),
        (lambda t: ["study", str(t / "missing.toml")], "cannot be read"),
        (lambda t: ["study", str(t / "properties.toml")], "none.csv cannot be read"),
        (lambda t: ["study", str(t / "data.toml")], "none.csv does not exist"),
        (lambda t: ["study", str(t / "table.toml")], "there is no table"),
        (lambda t: ["study", str(t / "number.toml")], "Write it as a table"),
        (lambda t: ["screen", "--settings", str(t / "flag.toml")], "max_center_mev is True"),
        (
            lambda t: ["features", str(t / "salt.cif"), "-o", str(t / "no_id.csv" / "f.csv")],
            "no_id.csv cannot be a folder for results",
        ),
        (lambda t: ["train", "--data", str(t / "missing.csv"), "-o", str(t / "m")], "does not exist"),
        (lambda t: ["train", "--data", str(t / "no_id.csv"), "-o", str(t / "m")], "column|band center"),
        (lambda t: ["features"], "no INPUT was given"),
        (lambda t: ["features", str(t / "no_id.csv"), "-o", str(t / "f.xlsx")], "is not a table to write"),
    ],
)
def test_bad_usage_ends_with_a_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: Arguments, message: str,
):  # fmt: skip
    (tmp_path / "empty").mkdir()
    (tmp_path / "no_id.csv").write_text("name,e_hull_ev\nsalt,0\n")
    (tmp_path / "words.csv").write_text("material_id,e_hull_ev\nsalt,low\n")
    (tmp_path / "twice.csv").write_text("material_id,e_hull_ev\nsalt,0\nsalt,1\n")
    (tmp_path / "number.toml").write_text("screen = 5\n")
    (tmp_path / "flag.toml").write_text("[screen]\nmax_center_mev = true\n")
    (tmp_path / "bad.toml").write_text("[screen\n")
    (tmp_path / "unknown.toml").write_text("[screen]\ncolor = 'red'\n")
    (tmp_path / "table.toml").write_text("[dance]\n")
    (tmp_path / "properties.toml").write_text("[screen]\nproperties = 'none.csv'\n")
    (tmp_path / "empty.toml").write_text("[screen]\ninputs = 'empty'\n")
    (tmp_path / "data.toml").write_text("[train]\ndata = 'none.csv'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["phonolyte", *arguments(tmp_path)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert pd.Series([" ".join(said.split())]).str.contains(message).all(), said
    assert "Traceback" not in said


def test_inputs_that_give_nothing_end_with_the_message_alone(tmp_path: Path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("hello")
    names = [str(tmp_path / "notes"), str(tmp_path / "missing.cif")]
    result = CliRunner().invoke(app, ["screen", *names, "-o", str(tmp_path / "run")])
    assert isinstance(result.exception, ReadError)
    assert "none of the 2 inputs gives a structure" in str(result.exception)
    assert "holds 1 file, none a structure: a.txt (unknown format)" in str(result.exception)
    assert not result.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a system with /proc")
def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phonolyte.cli.virtual.load_kernels", lambda **_: pytest.fail("it compiles"))
    result = CliRunner().invoke(app, ["virtual", "-o", "/proc/out"])
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception) == (
        "/proc/out cannot be a folder for results: none can be made in /proc. Choose another -o."
    )


def test_a_check_of_the_folder_leaves_nothing(tmp_path: Path):
    assert check_output(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_another_command_fills_or_removes_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fill(folder: Path) -> None:
        folder.mkdir()
        (folder / "run.toml").touch()

    monkeypatch.setattr("phonolyte.runs.run.make_folder", fill)
    check_output(tmp_path / "filled")
    assert (tmp_path / "filled" / "run.toml").is_file()
    monkeypatch.setattr("phonolyte.runs.run.make_folder", lambda folder: None)
    assert check_output(tmp_path / "removed") == tmp_path / "removed"


def test_a_file_whose_name_is_not_text_is_screened(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / b"caf\xe9.cif".decode("utf-8", "surrogateescape")).write_text(make_cif())
    result = CliRunner().invoke(app, ["screen", str(tmp_path / "in"), "-o", str(tmp_path / "run")])
    assert result.exit_code == 0, result.exception
    assert pd.read_parquet(tmp_path / "run" / "ranked.parquet")["material_id"].tolist() == ["caf?"]
    assert 'caf?.cif" = ' in (tmp_path / "run" / "run.toml").read_text()
