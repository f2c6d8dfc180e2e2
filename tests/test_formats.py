"""Formats of other programs, packed files, trajectories, runs as input, and what is skipped in a folder."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.db import connect
from ase.io import write
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.errors import ReadError
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal, read
from phonolyte.structures.batches import plan_batches
from phonolyte.structures.castep import crystal_from_castep
from phonolyte.structures.poscar import crystal_from_poscar
from phonolyte.structures.reading import read_file
from phonolyte.tiers import all_tiers
from phonolyte.units import BOHR_A

EDGE = 5.64
SALT = Atoms(
    "NaCl",
    positions=[[0, 0, 0], [EDGE / 2, 0, 0]],
    cell=np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * EDGE / 2,
    pbc=True,
)
TWO = [SALT, SALT.copy()]
TWO[1].set_cell(SALT.cell * 1.01, scale_atoms=True)

PW_INPUT = {"pseudopotentials": {"Na": "Na.upf", "Cl": "Cl.upf"}}


def write_by_ase(kind: str, **more: object) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(path, SALT, format=kind, **more)

    return make


def write_phonopy_yaml(path: Path, *, length: str = "angstrom", scale: float = 1.0) -> None:
    rows = "\n".join(f"  - {row}" for row in (SALT.cell.array / scale).tolist())
    points = "\n".join(
        f"  - symbol: {s}\n    coordinates: {x}\n    mass: 1.0"
        for s, x in zip(SALT.get_chemical_symbols(), SALT.get_scaled_positions().tolist(), strict=True)
    )
    calculator = "  calculator: qe\n" if length == "au" else ""
    head = f'phonopy:\n  version: 2.7.0\n{calculator}physical_unit:\n  length: "{length}"\n'
    path.write_text(f"{head}unit_cell:\n  lattice:\n{rows}\n  points:\n{points}\n")


FORMATS: dict[str, Callable[[Path], None]] = {
    "salt.xsf": write_by_ase("xsf"),
    "geometry.in": write_by_ase("aims"),
    "salt.cell": write_by_ase("castep-cell"),
    "salt.abi": write_by_ase("abinit-in"),
    "pw.in": write_by_ase("espresso-in", **PW_INPUT),
    "salt.traj": write_by_ase("traj"),
    "XDATCAR": write_by_ase("vasp-xdatcar"),
    "salt.db": lambda path: connect(path).write(SALT, material_id="salt"),
    "phonopy.yaml": write_phonopy_yaml,
    "phonopy_disp.yaml": lambda path: write_phonopy_yaml(path, length="au", scale=BOHR_A),
    "salt.extxyz": write_by_ase("extxyz"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_inputs_of_other_programs_are_read(tmp_path: Path, name: str):
    FORMATS[name](tmp_path / name)
    (crystal,) = read(tmp_path / name).crystals
    assert crystal.symbols == ["Na", "Cl"]
    assert np.allclose(crystal.lattice @ crystal.lattice.T, SALT.cell.array @ SALT.cell.array.T, atol=1e-5)
    assert np.allclose(crystal.frac_coords, SALT.get_scaled_positions(), atol=1e-6)


def test_the_output_of_espresso_gives_its_last_cell(shared: Path, tmp_path: Path):
    text = (shared / "cases" / "crystals" / "14-mixed-folder" / "NaCl.in").read_text()
    (tmp_path / "NaCl.in").write_text(text)
    (crystal,) = read(tmp_path / "NaCl.in").crystals
    assert len(crystal) == 8
    assert crystal.lattice[0, 0] == pytest.approx(5.6903014761756712)


CELL = """! a salt
%BLOCK lattice_abc
bohr
{0} {0} {0}
90 90 90
%ENDBLOCK lattice_abc
%block positions_{1}
Na:1 0 0 0 SPIN= 0.0
CL2  {2} {2} {2}  # the anion
%endblock positions_{1}
kpoint_mp_spacing 0.05
"""


def test_the_cell_of_castep_in_its_units():
    edge = 3.5 / BOHR_A
    for text in (CELL.format(edge, "frac", 0.5), CELL.format(edge, "abs", 1.75)):
        crystal = crystal_from_castep(text)
        assert crystal.symbols == ["Na", "Cl"]
        assert np.allclose(crystal.lattice, np.eye(3) * 3.5)
        assert np.allclose(crystal.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]])
    for bad, message in (("bohr", "inch"), ("90 90 90\n", ""), ("%endblock positions_frac\n", ""), ("0 0 0", "0 x 0")):
        with pytest.raises(ReadError, match=r"the \.cell of CASTEP cannot be read"):
            crystal_from_castep(CELL.format(edge, "frac", 0.5).replace(bad, message))


def write_xdatcar_frame(atoms: Atoms) -> str:
    rows = "\n".join(" ".join(f"{x:.8f}" for x in vector) for vector in atoms.cell.array)
    sites = "\n".join(" ".join(f"{x:.8f}" for x in site) for site in atoms.get_scaled_positions())
    return f"salt\n1.0\n{rows}\nNa Cl\n1 1\nDirect configuration= 1\n{sites}\n"


@pytest.mark.parametrize("name", ["salt.traj", "salt.extxyz", "XDATCAR"])
def test_frames_of_a_trajectory(tmp_path: Path, name: str):
    if name == "XDATCAR":  # older versions of ASE write the first cell alone
        (tmp_path / name).write_text("".join(map(write_xdatcar_frame, TWO)))
    else:
        write(tmp_path / name, TWO)
    path = str(tmp_path / name)
    volumes = [frame.cell.volume for frame in TWO]
    default = volumes if name == "salt.extxyz" else volumes[-1:]
    for choice, wanted in {"": default, "#first": volumes[:1], "#last": volumes[-1:], "#all": volumes}.items():
        crystals = read(path + choice).crystals
        assert [crystal.volume_a3 for crystal in crystals] == pytest.approx(wanted, rel=1e-5)
    assert len(read_file(tmp_path / name, frame="all").crystals) == 2


def test_the_command_takes_frames(tmp_path: Path):
    write(tmp_path / "salt.traj", TWO)
    for frame, n in (("first", 1), ("all", 2)):
        out = tmp_path / f"{frame}.parquet"
        result = CliRunner().invoke(app, ["features", str(tmp_path / "salt.traj"), "--frame", frame, "-o", str(out)])
        assert result.exit_code == 0, result.output
        assert len(pd.read_parquet(out)) == n


PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("ending", [*PACKERS, ".zip"])
def test_packed_files_are_read(tmp_path: Path, ending: str):
    write_by_ase("xsf")(tmp_path / "salt.xsf")
    content = (tmp_path / "salt.xsf").read_bytes()
    packed = tmp_path / f"salt.xsf{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("salt.xsf", content)
    else:
        packed.write_bytes(PACKERS[ending](content))
    (crystal,) = read(packed).crystals
    assert crystal.material_id == "salt"
    packed.write_bytes(packed.read_bytes()[:40])
    assert not read(packed).crystals
    assert len(read(packed).failures) == 1


def test_a_packed_file_that_is_far_larger_inside_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phonolyte.files.SMALL_BYTES", 1000)
    for ending, pack in PACKERS.items():
        (tmp_path / f"a.json{ending}").write_bytes(pack(b"[" + b" " * 2_000_000))
        (failure,) = read(tmp_path / f"a.json{ending}").failures
        assert "too large unpacked" in failure.message
    with zipfile.ZipFile(tmp_path / "two.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b" " * 2_000_000)
        archive.writestr("b.json", b" " * 2_000_000)
    (failure,) = read(tmp_path / "two.zip").failures
    assert "cannot be unpacked" in failure.message


def test_an_archive_of_several_files_is_read_as_a_folder(tmp_path: Path):
    write_by_ase("xsf")(tmp_path / "a.xsf")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("a.xsf", "../b.xsf"):
            archive.writestr(name, (tmp_path / "a.xsf").read_bytes())
        archive.writestr("notes.txt", "hello")
    reading = read(tmp_path / "all.zip")
    assert [crystal.material_id for crystal in reading.crystals] == ["a", "b"]
    assert all(crystal.source.startswith(str(tmp_path / "all.zip")) for crystal in reading.crystals)
    assert [Path(file.file).name for file in reading.skipped] == ["notes.txt"]
    assert not (tmp_path.parent / "b.xsf").exists()


def test_files_of_a_folder_that_are_not_structures_are_named(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_by_ase("xsf")(folder / "salt.xsf")
    (folder / "notes.txt").write_text("hello")
    (folder / "empty.txt").write_bytes(b"")
    reading = read(folder)
    assert {Path(file.file).name: file.reason for file in reading.skipped} == {
        "notes.txt": "unknown format", "empty.txt": "empty",
    }  # fmt: skip
    assert any("2 files are not structures" in note and "notes.txt" in note for note in reading.notes)
    assert sum(batch.size for batch in plan_batches(folder)) == 1
    result = CliRunner().invoke(
        app, ["screen", str(folder), "-o", str(tmp_path / "run"), "--no-figures", "--no-report"]
    )
    assert result.exit_code == 0, result.output
    assert "2 files are not structures" in result.output.replace("\n", " ")
    assert len(pd.read_csv(tmp_path / "run" / "skipped.csv")) == 2
    assert pd.read_parquet(tmp_path / "run" / "failures.parquet").empty


POSCAR = "{first}\n{scale}\n4 0 0\n0 4 0\n0 0 4\n{species}{counts}\nDirect\n0 0 0{a}\n0.5 0.5 0.5{b}\n"


def make_poscar(**changes: str) -> str:
    return POSCAR.format(
        **{"first": "salt", "scale": "1.0", "species": "Na Cl\n", "counts": "1 1", "a": "", "b": ""} | changes
    )


@pytest.mark.parametrize(
    "text",
    [
        make_poscar(first="Na Cl", species=""), make_poscar(first="NaCl", species=""),
        make_poscar(species="", a=" Na", b=" Cl"), make_poscar(species="Na_pv Cl/1a2b\n"),
        make_poscar(species="Na Cl ! two\n", counts="1 1 # of each", a=" ! first"),
        make_poscar(a=" T T F Na", b=" F F F Cl"), make_poscar(scale="-64"), make_poscar(scale="1 1 1"),
    ],
)  # fmt: skip
def test_poscars_as_vasp_reads_them(text: str):
    crystal = crystal_from_poscar(text)
    assert crystal.symbols == ["Na", "Cl"]
    assert np.allclose(crystal.lattice, 4 * np.eye(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (make_poscar(species=""), "names no elements"), (make_poscar(first="Na Cl K", species=""), "names no elements"),
        (make_poscar(first="NaCl2", species=""), "names no elements"), (make_poscar(species="na cl\n"), "Na would be"),
        (make_poscar(a=" Cl", b=" Na"), "has two elements"), (make_poscar(counts="1 2"), "counts 3 atoms"),
        (make_poscar(scale="1 2"), "not be read|scale factor"), (make_poscar(scale="x"), "line 2 .*scale factor"),
        ("\n" + make_poscar(), "Remove the empty line"), (make_poscar().replace("Direct", "Dir"), ""),
        (make_poscar().replace("Direct\n", ""), "Direct or Cartesian"),
    ],
)  # fmt: skip
def test_poscars_that_are_not(text: str, message: str):
    if not message:
        assert crystal_from_poscar(text).symbols == ["Na", "Cl"]
        return
    with pytest.raises(Exception, match=message):
        crystal_from_poscar(text)


def test_cases_of_poscars(shared: Path):
    folder = shared / "cases" / "crystals"
    right = {"18-POSCAR-unitcell": "CaTiO3", "19-POSCAR-three-scales": "LiCl", "19b-POSCAR-comments": "LiCl"}
    for name, formula in right.items():
        (crystal,) = read(folder / name).crystals
        assert crystal.formula == formula
    (scaled,) = read(folder / "19-POSCAR-three-scales").crystals
    assert np.allclose(scaled.lattice, np.diag([4.1, 4.1, 5.0]))
    wrong = {"19c-POSCAR-too-few": "counts 3 atoms", "19d-POSCAR-empty-first-line": "empty line",
             "19e-POSCAR-lower-case": "Li would be"}  # fmt: skip
    for name, message in wrong.items():
        (failure,) = read(folder / name).failures
        assert message in failure.message


def test_documents_and_answers_of_servers(shared: Path):
    folder = shared / "cases" / "crystals"
    first = read(folder / "13-mp-documents.json").crystals[0]
    assert {"e_hull_ev", "band_gap_ev"} <= set(first.properties)
    assert first.properties["e_hull_ev"] == first.properties["energy_above_hull"]
    for name in ("23-optimade-response.json", "23b-ase-encoded.json", "23c-charges.extxyz"):
        (crystal,) = read(folder / name).crystals
        assert crystal.formula == "LiCl"
        assert crystal.volume_a3 == pytest.approx(4.1**3)


def test_repeated_values_of_abinit_are_written_out(tmp_path: Path):
    (tmp_path / "in.abi").write_text(
        "acell 3*10 Bohr\nrprim 0 .5 .5 .5 0 .5 .5 .5 0\nntypat 2\nznucl 3 17\nnatom 2\ntypat 1 2\nxred\n3*0.0\n3*0.5\n"
    )
    (crystal,) = read(tmp_path / "in.abi").crystals
    assert crystal.formula == "LiCl"
    assert crystal.volume_a3 == pytest.approx((10 * BOHR_A) ** 3 / 4)


def test_entries_of_pymatgen_have_their_data_as_properties(tmp_path: Path):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    entries = [
        ComputedStructureEntry(salt, -1.0, entry_id="first", data={"e_above_hull": 0.02, "elements": ["Li", "Cl"]}),
        ComputedStructureEntry(salt, -2.0, data={"mat_id": "agm1"}),
    ]
    dictionaries = [entry.as_dict() for entry in entries]
    contents = {"one.json": dictionaries[0], "list.json": dictionaries, "entries.json": {"entries": dictionaries}}
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
        reading = read(tmp_path / name)
        assert not reading.failures
        assert [each.material_id for each in reading.crystals] == ["first", "agm1"][: len(reading.crystals)]
        assert reading.crystals[0].properties["e_hull_ev"] == 0.02
        assert reading.crystals[0].properties["energy"] == -1.0


def test_names_of_mp_api_serve_in_a_table_of_properties(tmp_path: Path):
    pd.DataFrame({"material_id": ["a"], "energy_above_hull": [0.01], "band_gap": [2.0], "is_metal": [False]}).to_csv(
        tmp_path / "p.csv", index=False
    )
    from phonolyte.screen.properties import read_properties

    assert read_properties(tmp_path / "p.csv").loc["a"].to_dict() == {"e_hull_ev": 0.01, "band_gap_ev": 2.0}


all_tiers()  # their columns are known from here on


def run_of(folder: Path, command: str, table: str, results: dict[str, list[object]]) -> Path:
    crystals = [
        Crystal.from_arrays(name, np.eye(3) * edge, ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for name, edge in (("a", 4.1), ("b", 4.3))
    ]
    with Run(folder, command) as run:
        run.write_crystals(crystals)
        run.write_table(table, pd.DataFrame({"material_id": ["a", "b"], **results}))
    return folder


def test_a_run_is_input_with_its_results(tmp_path: Path):
    results: dict[str, list[object]] = {
        "band_center_mev": [20.0, 30.0],
        "calibrated_mev": [21.0, None],
        "stable": [True, False],
    }
    run = run_of(tmp_path / "phonons", "phonons", "phonons.parquet", results)
    first, second = read(run).crystals
    assert (first.properties["band_center_mev"], first.properties["uncalibrated_mev"]) == (21.0, 20.0)
    assert (second.properties["band_center_mev"], second.properties["stable"]) == (30.0, False)
    (chosen,) = read(f"{run}#b").crystals
    assert chosen.material_id == "b"
    (failure,) = read(f"{run}#c").failures
    assert "has no crystal c" in failure.message
    assert len(verbs.screen(run, folder=tmp_path / "again").table) == 2


def test_predictions_of_a_screen_are_not_taken_for_results(tmp_path: Path):
    run = run_of(
        tmp_path / "screen", "screen", "ranked.parquet",
        {"band_center_mev": [20.0, 30.0], "e_hull_ev": [0.0, 0.1], "band_gap_ev": [2.0, 3.0]},
    )  # fmt: skip
    first, _ = read(run).crystals
    assert first.properties == {"e_hull_ev": 0.0, "band_gap_ev": 2.0}


def test_an_entry_of_optimade_that_is_not_whole_is_refused(tmp_path: Path):
    attributes = {
        "lattice_vectors": np.diag([4.1] * 3).tolist(), "cartesian_site_positions": [[0, 0, 0]],
        "species_at_sites": ["Li"], "species": [{"name": "Li", "chemical_symbols": ["Li"], "concentration": [1.0]}],
    }  # fmt: skip
    changes: list[tuple[dict[str, object], str]] = [
        ({}, ""), ({"species_at_sites": ["Na"]}, "not among its species"),
        ({"lattice_vectors": None}, "no lattice_vectors"),
        ({"nperiodic_dimensions": 2}, "periodic in 2"), ({"lattice_vectors": [[1, 0, 0]] * 3}, "no volume"),
        ({"species": [{"name": "Li", "chemical_symbols": ["Li", "Na"], "concentration": [0.7, 0.5]}]}, "more than"),
        ({"species": ["Li"]}, "not a list of records"),
        ({"structure_features": ["disorder"]}, "occupancies of the entry are missing"),
    ]  # fmt: skip
    for change, message in changes:
        (tmp_path / "a.json").write_text(json.dumps({"data": [{"id": "x", "attributes": attributes | change}]}))
        reading = read(tmp_path / "a.json")
        assert len(reading.crystals) == (not message)
        assert not message or message in reading.failures[0].message
