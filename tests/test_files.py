from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core.structure import Structure

import phonolyte.files as files
from phonolyte.dos import read_all
from phonolyte.errors import DosError, ModelError, ReadError, TableError
from phonolyte.files import as_number, as_numbers, files_in, parse_json, read_arrays, read_bytes, read_table
from phonolyte.sources import Folder
from phonolyte.sources.published import parse_phonon_csv
from phonolyte.structures import read

SALT = Structure.from_spacegroup("Fm-3m", np.eye(3) * 5.64, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
GRID = np.arange(0.0, 10.0, 0.1)


@pytest.fixture
def named_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that leaves a file called ``ran`` when it is imported."""
    (tmp_path / "modules").mkdir()
    marker = tmp_path / "ran"
    (tmp_path / "modules" / "stranger.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(sys.modules, "stranger", raising=False)
    return "stranger"


def make_record(name: str) -> dict[str, object]:
    """A structure that names a module wherever a dictionary may stand."""
    thing = {"@module": name, "@class": "Thing"}
    record = json.loads(json.dumps(SALT.as_dict()))
    record["properties"] = {"thing": thing, "e_hull_ev": 0.1}
    record["lattice"] |= thing
    for site in record["sites"]:
        site["properties"] = {"thing": thing}
        site["species"] = [{**site["species"][0], **thing, "oxidation_state": 1, "properties": {"spin": thing}}]
    return record


def test_no_file_makes_a_module_be_imported(tmp_path: Path, named_module: str):
    structure = make_record(named_module)
    dos = {"@module": named_module, "@class": "Thing", "frequencies": GRID.tolist(), "densities": np.sin(GRID / 3.2)
           .clip(0).tolist(), "structure": structure}  # fmt: skip
    row = {"mp_id": "a", "structure": json.dumps(structure), "phfreq": str((33 * GRID).tolist()),
           "phdos": str(np.sin(GRID / 3.2).clip(0).tolist())}  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.json").write_text(json.dumps(structure))
    (tmp_path / "in" / "several.jsonl").write_text(json.dumps({"material_id": "b", "structure": structure}))
    (tmp_path / "in" / "table.csv").write_text(pd.DataFrame([row]).to_csv(index=False))
    (tmp_path / "in" / "both_dos.json").write_text(json.dumps(dos))
    reading = read([tmp_path / "in" / name for name in ("one.json", "several.jsonl", "table.csv", "both_dos.json")])
    assert [crystal.formula for crystal in reading.crystals] == ["NaCl"] * 4
    densities, failures = read_all([tmp_path / "in" / name for name in ("both_dos.json", "table.csv")])
    assert not failures
    assert [dos.formula for dos in densities] == ["NaCl"] * 2
    assert next(Folder(tmp_path / "in").pages("")).entries
    assert len(parse_phonon_csv({"data.csv": tmp_path / "in" / "table.csv"}).entries) == 1
    assert named_module not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_the_module_of_these_tests_would_have_left_its_mark(tmp_path: Path, named_module: str):
    Structure.from_dict(make_record(named_module))
    assert (tmp_path / "ran").exists()


def test_a_database_of_ase_is_read_as_numbers_and_makes_no_array_of_a_stated_size(tmp_path: Path):
    cell = {"__ase_objtype__": "cell", "array": {"__ndarray__": [[3, 3], "float64", [4.0, 0, 0, 0, 4.0, 0, 0, 0, 4.0]]}}
    row = {"cell": cell, "positions": {"__ndarray__": [[1, 3], "float64", [0, 0, 0]]}, "pbc": [True] * 3,
           "numbers": {"__ndarray__": [[1], "int64", [11]]}, "key_value_pairs": {"material_id": "sodium"}}  # fmt: skip
    huge = {**row, "positions": {"__ndarray__": [[10**12, 3], "float64", [0, 0, 0]]}}
    path = {"cell": {"__ase_objtype__": "bandpath", "labelseq": "G"}}
    data = {"1": row, "2": huge, "3": {**row, **path}, "ids": [1, 2, 3, 4], "nextid": 5}
    (tmp_path / "some.json").write_text(json.dumps(data))
    reading = read(tmp_path / "some.json")
    assert [crystal.material_id for crystal in reading.crystals] == ["sodium"]
    assert [failure.material_id for failure in reading.failures] == ["sodium", "sodium", "some-4"]
    assert "not its shape" in reading.failures[0].message


def write_bomb(path: Path, n_bytes: int) -> Path:
    with gzip.open(path, "wb") as stream:
        for _ in range(n_bytes // 2**20):
            stream.write(bytes(2**20))
    return path


def test_what_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path):
    path = write_bomb(tmp_path / "zeros.json.gz", 80 * 2**20)
    with pytest.raises(ReadError, match=r"too large unpacked: .*67,108,864"):
        read_bytes(path)
    with pytest.raises(DosError, match="too large unpacked"):
        read_bytes(path, error=DosError)
    assert "too large unpacked" in read(path).failures[0].message
    assert "too large unpacked" in read_all(path)[1][0].message
    assert "too large unpacked" in next(Folder(tmp_path).pages("")).failures[0].message
    for name in ("t.csv.gz", "t.jsonl.gz"):
        with pytest.raises(TableError, match="too large unpacked"):
            read_table(path.rename(tmp_path / name))
        path = tmp_path / name


def test_a_packed_file_has_an_end_however_well_it_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "random.gz").write_bytes(gzip.compress(np.random.default_rng(0).bytes(5000)))
    assert len(read_bytes(tmp_path / "random.gz")) == 5000
    monkeypatch.setattr(files, "LARGEST_BYTES", 4000)
    with pytest.raises(ReadError, match="more than 4,000"):
        read_bytes(tmp_path / "random.gz")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("1" * 5000, "too many digits"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "the key 'b' comes twice"),
        ("{'a': 1}", "line 1 column 2"),
        ("", "line 1 column 1"),
    ],
)
def test_what_is_not_json_says_why(text: str, why: str, tmp_path: Path):
    with pytest.raises(ValueError, match=why):
        parse_json(text)
    (tmp_path / "a.json").write_text(text)
    reading = read(tmp_path / "a.json")
    assert len(reading.failures) == 1
    (tmp_path / "a_dos.json").write_text(text)
    assert len(read_all(tmp_path / "a_dos.json")[1]) == 1


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(
    st.text(), s)))  # fmt: skip
def test_json_comes_as_it_went(value: object):
    assert parse_json(json.dumps(value)) == value


def test_arrays_of_a_damaged_file_are_refused(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(100.0))
    raw = path.read_bytes()
    assert read_arrays(path)["x"].tolist() == np.arange(100.0).tolist()
    for damage in (b"", raw[: len(raw) // 2], raw[:-5], raw[:60] + b"\xff" * 20 + raw[80:], b"rubbish"):
        path.write_bytes(damage)
        with pytest.raises(ModelError, match="damaged"):
            read_arrays(path)
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError, match="damaged"):
        read_arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "text")
    with pytest.raises(ModelError, match="not an array"):
        read_arrays(path)


def test_arrays_that_state_more_than_memory_holds_are_refused(tmp_path: Path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    with pytest.raises(ModelError, match="damaged"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".jsonl", ".parquet"])
def test_names_stay_as_they_are_written(tmp_path: Path, ending: str):
    names = ["NaN", "0012", "NA", "None", "1e5", "TRUE", "null", "1.0"]
    table = pd.DataFrame({"material_id": names, "value": np.arange(8.0)})
    path = tmp_path / f"t{ending}"
    if ending == ".parquet":
        table.to_parquet(path)
    elif ending == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if ending == ".tsv" else ",")
    reading = read_table(path)
    assert reading["material_id"].tolist() == names
    assert as_numbers(reading["value"]).tolist() == list(range(8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("material_id,a,a\nx,1,2\n", "two columns 'a'"),
        ("material_id,a\nx,1,2\ny,3\n", "cannot be read"),
        ("material_id,a\nx,1\ny,3,4\n", "cannot be read"),
        ('material_id,a\n"x,1\n', "cannot be read"),
        (b"PAR1 and no more", "cannot be read|no column"),
    ],
)
def test_a_table_that_would_lose_cells_is_refused(tmp_path: Path, content: str | bytes, message: str):
    path = tmp_path / ("t.parquet" if isinstance(content, bytes) else "t.csv")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TableError, match=message):
        read_table(path)


def test_commas_at_the_ends_of_rows_do_not_shift_columns(tmp_path: Path):
    (tmp_path / "t.csv").write_text("material_id,a\nx,1,\ny,2,\n")
    assert read_table(tmp_path / "t.csv").to_dict("list") == {"material_id": ["x", "y"], "a": [1, 2]}


@pytest.mark.parametrize("value", [True, "1_000", "low", "0x10", [1], None, pd.Timestamp(0), pd.NaT, pd.NA, 1j,
                                   10**400, np.datetime64(0, "s"), np.bool_(True)])  # fmt: skip
def test_what_is_not_a_number_is_none(value: object):
    assert np.isnan(as_number(value))


def test_links_that_lead_back_are_not_followed(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        SALT.to(str(tmp_path / name / f"{name}.cif"))
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    paths = [path.relative_to(tmp_path).as_posix() for path in files_in(tmp_path, leave=lambda _: False)]
    assert paths == ["a/a.cif", "a/to_b/b.cif", "b/b.cif", "b/to_a/a.cif"]


def test_a_name_that_no_table_can_hold_is_mended(tmp_path: Path):
    path = tmp_path / b"caf\xe9.json".decode("utf-8", "surrogateescape")
    path.write_text(json.dumps({"material_id": "half \ud800", "structure": SALT.as_dict()}))
    (tmp_path / b"b\xe9.cif".decode("utf-8", "surrogateescape")).write_text("data_x\n_cell_length_a 1\n")
    reading = read(tmp_path)
    assert [crystal.material_id for crystal in reading.crystals] == ["half ?"]
    for text in (reading.crystals[0].source, reading.failures[0].material_id, reading.failures[0].source):
        assert "?" in text
        text.encode()


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x.cif", "x" * 5000, "a\0b.cif"])
def test_a_path_that_cannot_be_is_a_failure(name: str):
    assert [failure.error for failure in read([name]).failures] == ["NothingToRead"]


def test_deep_nesting_is_refused_however_high_the_limit_of_recursion_is():
    code = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from phonolyte.files import parse_json\n"
        "try: parse_json('[' * 99_999)\n"
        "except ValueError as error: print(error, sys.getrecursionlimit())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "it is nested too deeply 100000"
