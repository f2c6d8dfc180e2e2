"""Inputs in batches: slices of tables are the tables, a bad row costs one row, order and names are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phonolyte.structures import Crystal, Reading, batches, read
from phonolyte.structures.batches import plan_batches
from phonolyte.structures.crystal_table import count_rows, crystal_table, read_rows
from phonolyte.structures.reading import read_file


def make_cube(name: str, edge_a: float = 4.0, species: tuple[str, str] = ("Na", "Cl"), **properties: Any) -> Crystal:
    coords = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
    return Crystal.from_arrays(name, np.eye(3) * edge_a, list(species), coords, properties=properties)


CRYSTALS = [make_cube(f"m{i}", 4.0 + i / 10, e_hull_ev=i / 100) for i in range(11)]


def write_table(path: Path, crystals: list[Crystal] = CRYSTALS, *, rows: int = 3, **columns: list[Any]) -> Path:
    """Write a crystal table with row groups of so many rows; `columns` replace its own or are added."""
    table = crystal_table(crystals)
    extra = {"e_hull_ev": [crystal.properties.get("e_hull_ev") for crystal in crystals], **columns}
    for name, values in extra.items():
        kind = table.schema.field(name).type if name in table.column_names else None
        column = pa.array(values, kind)
        where = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, column) if where is None else table.set_column(where, name, column)
    pq.write_table(table, path, row_group_size=rows)
    return path


def load_batches(inputs: Any) -> Reading:
    """Crystals and failures of all batches."""
    readings = [batch.load() for batch in plan_batches(inputs)]
    return Reading([c for r in readings for c in r.crystals], [f for r in readings for f in r.failures])


def assert_same(one: list[Crystal], other: list[Crystal]) -> None:
    assert [crystal.material_id for crystal in one] == [crystal.material_id for crystal in other]
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.lattice, second.lattice)
        np.testing.assert_array_equal(first.numbers, second.numbers)
        np.testing.assert_array_equal(first.frac_coords, second.frac_coords)
        assert first.properties == second.properties
        assert first.source == second.source


@pytest.mark.parametrize("size", [1, 2, 4, 5, 11, 2000])
@pytest.mark.parametrize("rows", [1, 3, 11])
def test_the_slices_of_a_table_are_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, rows: int):
    monkeypatch.setattr(batches, "SIZE", size)
    path = write_table(tmp_path / "table.parquet", rows=rows)
    assert count_rows(path) == 11
    planned = plan_batches(path)
    assert [batch.size for batch in planned] == [size] * (11 // size) + [11 % size] * (11 % size > 0)
    assert_same(load_batches(path).crystals, read_file(path).crystals)
    assert [crystal.properties["e_hull_ev"] for crystal in load_batches(path).crystals] == [i / 100 for i in range(11)]


def test_a_table_comes_back_as_it_was_written(tmp_path: Path):
    odd = Crystal.from_arrays("odd", [[3, 0.1, 0], [0, 4, 0], [1, 0, 5]], ["Lr", "H", "Li"],
                     [[0.1, 0.2, 0.3], [0.5, 0.5, 0.5], [0.9, 0.1, 0.7]])  # fmt: skip
    crystals = [make_cube("a"), odd, make_cube("b", 5.0, ("Cs", "I"))]
    pq.write_table(crystal_table(crystals), tmp_path / "t.parquet")
    for before, after in zip(crystals, read_file(tmp_path / "t.parquet").crystals, strict=True):
        assert before.row() == after.row()
    assert len(crystal_table([])) == 0


def test_any_rows_can_be_read(tmp_path: Path):
    path = write_table(tmp_path / "table.parquet")
    for start, stop in ((0, 0), (2, 4), (3, 6), (5, 11), (10, 99)):
        assert [name for name, _ in read_rows(path, start, stop)] == [f"m{i}" for i in range(start, min(stop, 11))]


def test_a_table_that_has_changed_is_read_anew(tmp_path: Path):
    path = write_table(tmp_path / "table.parquet")
    assert len(load_batches(path).crystals) == 11
    write_table(path, CRYSTALS[:5])
    assert [crystal.material_id for crystal in load_batches(path).crystals] == [f"m{i}" for i in range(5)]


BAD: dict[str, tuple[str, Any, str]] = {
    # column, value of the bad row, part of the message
    "no_lattice": ("lattice", None, "null"),
    "short_lattice": ("lattice", [1.0] * 8, "not numbers of the right count"),
    "flat": ("lattice", [4.0, 0, 0, 0, 4.0, 0, 0, 4.0, 0], "degenerate"),
    "no_species": ("species", None, "null"),
    "no_atoms": ("species", [], "cannot be read|no atoms"),
    "one_atom_too_few": ("species", ["Na"], "1 species but 2 positions"),
    "unknown_element": ("species", ["Na", "Qq"], "unknown element 'Qq'"),
    "null_element": ("species", ["Na", None], "cannot be read"),
    "not_a_number": ("frac_coords", [0.0, 0, 0, float("nan"), 0, 0], "not a number"),
    "overlap": ("frac_coords", [0.0] * 6, "overlap"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("size", [2, 2000])
def test_a_bad_row_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int):
    monkeypatch.setattr(batches, "SIZE", size)
    column, value, message = BAD[name]
    values = crystal_table(CRYSTALS).column(column).to_pylist()
    values[4] = value
    path = write_table(tmp_path / "table.parquet", **{column: values})
    for reading in (read(path), load_batches(path)):
        assert [c.material_id for c in reading.crystals] == [f"m{i}" for i in range(11) if i != 4]
        (failure,) = reading.failures
        assert (failure.material_id, failure.stage, failure.source) == ("m4", "structures", str(path))
        assert any(part in failure.message for part in message.split("|")), failure.message


def test_rows_without_a_name_go_by_their_number_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "SIZE", 4)
    path = write_table(tmp_path / "table.parquet", material_id=[None] * 11)
    assert [c.material_id for c in load_batches(path).crystals] == [f"table-{i}" for i in range(1, 12)]
    assert_same(load_batches(path).crystals, read_file(path).crystals)
    alone = write_table(tmp_path / "alone.parquet", CRYSTALS[:1], material_id=[None])
    assert [c.material_id for c in load_batches(alone).crystals] == ["alone"]
    assert_same(load_batches(alone).crystals, read_file(alone).crystals)


@pytest.mark.parametrize("size", [2, 2000])
def test_a_table_that_is_not_one_of_crystals_is_one_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int):
    monkeypatch.setattr(batches, "SIZE", size)
    pq.write_table(pa.table({"material_id": ["a", "b", "c"], "lattice": [1, 2, 3]}), tmp_path / "other.parquet")
    pq.write_table(crystal_table([]), tmp_path / "empty.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    for name, message in (
        ("other", "lacks the columns frac_coords, species"), ("empty", "holds no structure"), ("cut", "cannot be read"),
    ):  # fmt: skip
        reading = load_batches(tmp_path / f"{name}.parquet")
        assert not reading.crystals
        (failure,) = reading.failures
        assert message in failure.message
        assert reading.failures == read(tmp_path / f"{name}.parquet").failures


def test_files_tables_and_objects_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "SIZE", 2)
    monkeypatch.setattr(batches, "FILES", 2)
    first = write_table(tmp_path / "1.parquet", CRYSTALS[:3])
    second = write_table(tmp_path / "2.parquet", CRYSTALS[3:5])
    files = []
    for crystal in CRYSTALS[5:8]:
        files.append(tmp_path / f"{crystal.material_id}.cif")
        crystal.to_pymatgen().to(str(files[-1]), fmt="cif")
    mixed = [files[0], first, CRYSTALS[8], files[1], tmp_path / "missing.cif", CRYSTALS[9], files[2], second]
    assert [c.material_id for c in load_batches(mixed).crystals] == [
        "m5", "m0", "m1", "m2", "m8", "m6", "m9", "m7", "m3", "m4",
    ]  # fmt: skip
    assert [failure.material_id for failure in load_batches(mixed).failures] == [str(tmp_path / "missing.cif")]
    whole = read(mixed)
    assert [c.material_id for c in whole.crystals] == [c.material_id for c in load_batches(mixed).crystals]
    assert sum(batch.size for batch in plan_batches(mixed)) == len(whole.crystals) + len(whole.failures)


def test_a_reading_is_taken_in_batches_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "SIZE", 4)
    failures = read("/nowhere.cif").failures
    reading = Reading(CRYSTALS, failures)
    assert [batch.size for batch in plan_batches(reading)] == [1, 4, 4, 3]
    assert_same(load_batches(reading).crystals, CRYSTALS)
    assert load_batches(reading).failures == failures
    assert plan_batches(Reading()) == []


KINDS = {
    "large lists": (pa.large_list(pa.float64()), pa.large_list(pa.large_string())),
    "lists of nine": (pa.list_(pa.float64(), 9), pa.list_(pa.string())),
    "single precision": (pa.list_(pa.float32()), pa.list_(pa.string())),
    "a dictionary": (pa.list_(pa.float64()), pa.list_(pa.dictionary(pa.int32(), pa.string()))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_may_have_other_lists_than_ours(tmp_path: Path, kind: str):
    table = crystal_table(CRYSTALS)
    for name, wanted in zip(("lattice", "species"), KINDS[kind], strict=True):
        where = table.column_names.index(name)
        table = table.set_column(where, name, pa.array(table.column(name).to_pylist(), wanted))
    pq.write_table(table, tmp_path / "table.parquet")
    reading = load_batches(tmp_path / "table.parquet")
    assert not reading.failures
    for before, after in zip(CRYSTALS, reading.crystals, strict=True):
        np.testing.assert_allclose(after.lattice, before.lattice, rtol=1e-7)
        assert after.symbols == before.symbols
