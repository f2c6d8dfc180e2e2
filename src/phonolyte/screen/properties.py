"""Properties that criteria need: read, checked, and joined to crystals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from phonolyte.counts import count
from phonolyte.errors import TableError
from phonolyte.files import MISSING, as_number, as_numbers, read_table
from phonolyte.structures.crystal import PROPERTY_NAMES
from phonolyte.structures.run_results import OF_CRITERIA

PROPERTY_COLUMNS = OF_CRITERIA

VOLTAGE_COLUMNS = ("reduction_v", "oxidation_v")
"""Columns that only a table of properties has, one of ``phonolyte stability``; a screen has them where it is given."""


def read_properties(path: str | Path) -> pd.DataFrame:
    """Read a table of properties (CSV or Parquet), indexed by `material_id`; the names of mp-api are understood.

    Raises
    ------
    TableError
        When it cannot be read, has no `material_id`, or gives one material different values.
    """
    path = Path(path)
    table = read_table(path)
    if "material_id" not in table:
        raise TableError(
            f"{path.name} has no column 'material_id'",
            why=f"it has {', '.join(map(str, table.columns[:6]))}",
            fix="Name the column that identifies the materials.",
        )
    table = table.rename(columns={theirs: ours for theirs, ours in PROPERTY_NAMES.items() if ours not in table})
    columns = [column for column in (*PROPERTY_COLUMNS, *VOLTAGE_COLUMNS) if column in table]
    if not columns:
        raise TableError(f"{path.name} has none of {', '.join(PROPERTY_COLUMNS)}", fix="Name the columns so.")
    table = table[["material_id", *columns]].copy()
    for column in columns:
        table[column] = _numbers(table[column], table["material_id"], path)
    table = table[(table["material_id"] != "") | table[columns].notna().any(axis=1)].drop_duplicates()
    nameless = int((table["material_id"] == "").sum())
    if nameless:
        raise TableError(f"{path.name} has {nameless} rows without a material_id", fix="Name them or remove them.")
    repeated = table["material_id"][table["material_id"].duplicated()]
    if len(repeated):
        raise TableError(f"{path.name} gives {len(repeated)} materials two different rows",
                         why=f"for example {repeated.iloc[0]}", fix="Keep one row a material.")  # fmt: skip
    return table.set_index("material_id")


def _numbers(values: pd.Series, material_id: pd.Series, path: Path) -> pd.Series:
    """The values of a property as numbers, NaN where there is none.

    Raises
    ------
    TableError
        When one is something else.
    """
    values = values.astype(object).where(values.notna() & ~values.isin(MISSING), None)
    numbers = as_numbers(values)
    bad = values.notna() & ~np.isfinite(numbers)
    if bad.any():
        raise TableError(f"{values.name} of {material_id[bad].iloc[0]} is {str(values[bad].iloc[0])[:60]!r}",
                         fix=f"Give numbers in {path.name}, or leave the field empty.")  # fmt: skip
    return numbers


def number_of(value: object) -> float:
    """Return a property that came with a crystal as a number; NaN where it is not one."""
    return as_number(value)


def with_properties(table: pd.DataFrame, properties: pd.DataFrame | None) -> pd.DataFrame:
    """Replace the properties that came with the crystals by those given, where these are known."""
    for column in PROPERTY_COLUMNS:
        if properties is not None and column in properties:
            table[column] = table["material_id"].map(properties[column]).fillna(table[column])
    for column in VOLTAGE_COLUMNS:
        if properties is not None and column in properties:
            table[column] = table["material_id"].map(properties[column])
    return table


def notes_on_join(names: Sequence[str], properties: pd.DataFrame | None) -> list[str]:
    """Return what to say of a table of properties that knows few of the crystals.

    Raises
    ------
    TableError
        When it knows none of them.
    """
    if properties is None or not len(names):
        return []
    known = sum(name in properties.index for name in names)
    if known == 0:
        raise TableError(
            "the table of properties knows none of the crystals",
            why=f"it has ids such as {', '.join(map(str, properties.index[:2]))}, the crystals such as "
            f"{', '.join(names[:2])}",
            fix="Give both the same material_id.",
        )
    return [f"the properties know {known} of {count(len(names), 'crystal')}"] if known < len(names) else []
