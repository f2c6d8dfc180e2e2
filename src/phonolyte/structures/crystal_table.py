"""The crystal table (Parquet), read and written here alone: column by column, since a screen has a million atoms.

Columns: `material_id`, `formula`, `lattice` (9, angstrom, rows are the vectors), `species` (n), `frac_coords` (3 n);
with disordered crystals also `occupancies` (n, null for an ordered crystal) and, where there are any, `disorder_groups`
(n); where sources state them, `oxidation_states` (n); further columns are properties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.chemistry.elements import SYMBOLS
from phonolyte.errors import ReadError, StructureError
from phonolyte.files import LARGEST_BYTES, well_formed
from phonolyte.structures.checks import check
from phonolyte.structures.crystal import Crystal, atomic_number, plain, states_of, wrap

NOT_ALWAYS = ("occupancies", "disorder_groups", "oxidation_states")
"""Columns that a table has where a crystal needs them."""

TABLE_COLUMNS = ("material_id", "formula", "lattice", "species", "frac_coords", *NOT_ALWAYS)
NEEDED = ("lattice", "species", "frac_coords")

Record = tuple[str, Callable[[str], Crystal]]
"""Name of a crystal, and what makes it under a name or raises."""


def crystal_table(crystals: Sequence[Crystal]) -> Any:
    """Return crystals as an Arrow table."""
    import pyarrow as pa

    ends = np.cumsum([0, *map(len, crystals)])
    numbers = _join([crystal.numbers for crystal in crystals]).astype(np.int8)
    symbols = pa.DictionaryArray.from_arrays(numbers, pa.array(list(SYMBOLS))).cast(pa.string())
    columns: dict[str, Any] = {
        "material_id": pa.array([crystal.material_id for crystal in crystals], pa.string()),
        "formula": pa.array([crystal.formula for crystal in crystals], pa.string()),
        "lattice": _lists(9 * np.arange(len(crystals) + 1), _join([crystal.lattice for crystal in crystals])),
        "species": _lists(ends, symbols),
        "frac_coords": _lists(3 * ends, _join([crystal.frac_coords for crystal in crystals])),
    }
    if not all(crystal.is_ordered for crystal in crystals):
        columns["occupancies"] = pa.array([crystal.occupancies for crystal in crystals], pa.list_(pa.float64()))
    if any(crystal.disorder_groups for crystal in crystals):
        groups = [list(crystal.disorder_groups) or None for crystal in crystals]
        columns["disorder_groups"] = pa.array(groups, pa.list_(pa.string()))
    states = [crystal.states for crystal in crystals]
    if any(each is not None for each in states):
        columns["oxidation_states"] = pa.array(states, pa.list_(pa.float64()))
    return pa.table(columns)


def with_all_columns(table: Any) -> Any:
    """Return a crystal table with the columns of :data:`NOT_ALWAYS`, null where it has none."""
    import pyarrow as pa

    for name in NOT_ALWAYS:
        if name not in table.column_names:
            kind = pa.string() if name == "disorder_groups" else pa.float64()
            table = table.append_column(name, pa.nulls(len(table), pa.list_(kind)))
    return table


def is_crystal_table(path: Path) -> bool:
    """Whether a file is Parquet."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return False


def count_rows(path: Path) -> int:
    """Return the number of rows of a crystal table.

    Raises
    ------
    ReadError
        When the table lacks a column.
    """
    file, ends = _open(str(path), path.stat().st_mtime_ns)
    _require_columns(file, path)
    return int(ends[-1])


def read_rows(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Record]:
    """Yield the records of some rows; a bad row raises when its crystal is made.

    Raises
    ------
    ReadError
        When the table lacks a column.
    """
    changed = path.stat().st_mtime_ns
    file, ends = _open(str(path), changed)
    _require_columns(file, path)
    stop = ends[-1] if stop is None else stop
    for group in range(1, len(ends)):
        low, high = max(start, ends[group - 1]), min(stop, ends[group])
        if low < high:
            table = _group(str(path), changed, group - 1)
            yield from records_of(table.slice(low - ends[group - 1], high - low))


def _require_columns(file: Any, path: Path) -> None:
    missing = set(NEEDED) - set(file.schema_arrow.names)
    if missing:
        raise ReadError(
            f"{path.name} is not a crystal table",
            why=f"it lacks the columns {', '.join(sorted(missing))}",
            fix=f"A crystal table has material_id, {', '.join(NEEDED)}.",
        )


def records_of(table: Any) -> Iterator[Record]:
    """Yield the records of an Arrow table."""
    names = table.column_names
    ids = table.column("material_id").to_pylist() if "material_id" in names else [None] * len(table)
    extra = {name: table.column(name).to_pylist() for name in names if name not in TABLE_COLUMNS}
    arrays = _Arrays.from_table(table)
    regular = np.ones(len(table), bool)
    for name in set(NOT_ALWAYS) & set(names):
        regular &= table.column(name).is_null().to_numpy()
    for row in range(len(table)):
        properties = plain({name: values[row] for name, values in extra.items()})
        maker = _maker(arrays if regular[row] else None, table, row, properties)
        yield well_formed("" if ids[row] is None else ids[row]), maker


def _maker(arrays: _Arrays | None, table: Any, row: int, properties: Mapping[str, Any]) -> Callable[[str], Crystal]:
    def make(name: str) -> Crystal:
        if arrays is not None:
            return arrays.crystal(row, name, properties)
        lattice, species, coords = (table.column(key)[row].as_py() for key in NEEDED)
        occupancies, groups, states = (
            table.column(key)[row].as_py() if key in table.column_names else None for key in NOT_ALWAYS
        )
        if lattice is None or species is None or coords is None:
            raise ReadError(
                "the row is empty", why="lattice, species or frac_coords is null", fix="Fill it or remove it."
            )
        return Crystal.from_arrays(
            name, lattice, species, coords, properties=properties, occupancies=occupancies,
            disorder_groups=groups or (), oxidation_states=states_of(species, states),
        )  # fmt: skip

    return make


class _Arrays:
    """The columns of a regular table as flat arrays: no Python object for each of a million atoms."""

    def __init__(self, lattice: Any, numbers: Any, coords: Any, ends: Any) -> None:
        self.lattice, self.numbers, self.coords, self.ends = lattice, numbers, coords, ends

    @classmethod
    def from_table(cls, table: Any) -> _Arrays | None:
        """Return the arrays, None where a row is odd: rows are then made one by one, and say what is wrong."""
        columns = [table.column(name).combine_chunks() for name in NEEDED]
        if any(column.null_count or column.flatten().null_count for column in columns):
            return None
        lattice, species, coords = columns
        counts = species.value_lengths().to_numpy()
        regular = (lattice.value_lengths().to_numpy() == 9).all() and counts.all() if len(table) else False
        if not regular or (coords.value_lengths().to_numpy() != 3 * counts).any():
            return None
        encoded = species.flatten().dictionary_encode()
        try:
            of_symbol = np.array([atomic_number(symbol) for symbol in encoded.dictionary.to_pylist()], dtype=np.int64)
            cells = np.asarray(lattice.flatten(), dtype=float).reshape(-1, 3, 3)
            positions = np.asarray(coords.flatten(), dtype=float).reshape(-1, 3)
        except (StructureError, TypeError, ValueError):
            return None
        numbers = of_symbol[encoded.indices.to_numpy()]
        return cls(cells, numbers, wrap(positions), np.concatenate(([0], np.cumsum(counts))))

    def crystal(self, row: int, name: str, properties: Mapping[str, Any]) -> Crystal:
        """Return one crystal, checked."""
        atoms = slice(self.ends[row], self.ends[row + 1])
        crystal = Crystal(name, self.lattice[row].copy(), self.numbers[atoms], self.coords[atoms].copy(), properties)
        check(crystal)
        return (
            crystal
            if name
            else Crystal(crystal.formula, crystal.lattice, crystal.numbers, crystal.frac_coords, properties)
        )


@lru_cache(maxsize=8)
def _open(path: str, changed: int) -> tuple[Any, list[int]]:
    import pyarrow.parquet as pq

    file, ends = pq.ParquetFile(path), [0]
    size = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
    if size > max(LARGEST_BYTES, 100 * Path(path).stat().st_size):
        raise ReadError(
            f"{Path(path).name} is too large unpacked", why=f"it states {size:,} bytes", fix="Write it again."
        )
    for group in range(file.metadata.num_row_groups):
        ends.append(ends[-1] + file.metadata.row_group(group).num_rows)
    return file, ends


@lru_cache(maxsize=2)
def _group(path: str, changed: int, group: int) -> Any:
    """One row group: batches that lie in it are read one after the other."""
    return _open(path, changed)[0].read_row_group(group)


def _join(arrays: Sequence[Any]) -> Any:
    return np.concatenate([array.ravel() for array in arrays]) if arrays else np.empty(0)


def _lists(ends: Any, values: Any) -> Any:
    """Values as one Arrow column of lists, without a Python object each."""
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), values)
