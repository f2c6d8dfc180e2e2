"""Properties that criteria ask for: read, checked, and joined to crystals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from phonolyte.errors import TableError

PROPERTY_COLUMNS = ("e_hull_ev", "band_gap_ev")


def read_properties(path: str | Path) -> pd.DataFrame:
    """Read a table of properties (CSV or Parquet), indexed by `material_id`.

    Raises
    ------
    TableError
        When it cannot be read, has no `material_id`, or gives one material different values.
    """
    path = Path(path)
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"material_id": str})
    except Exception as error:  # a foreign parser can raise anything at a bad file
        raise TableError(f"{path} cannot be read", why=str(error).splitlines()[0], fix="Give CSV or Parquet.") from None
    if "material_id" not in table:
        raise TableError(
            f"{path.name} has no column 'material_id'",
            why=f"it has {', '.join(map(str, table.columns[:6]))}",
            fix="Name the column that identifies the materials.",
        )
    columns = [column for column in PROPERTY_COLUMNS if column in table]
    if not columns:
        raise TableError(f"{path.name} has none of {', '.join(PROPERTY_COLUMNS)}", fix="Name the columns so.")
    table = table[["material_id", *columns]].astype({"material_id": str}).drop_duplicates()
    for column in columns:
        values = pd.to_numeric(table[column], errors="coerce")
        bad = table[column].notna() & values.isna()
        if bad.any():
            raise TableError(f"{column} of {table['material_id'][bad].iloc[0]} is {table[column][bad].iloc[0]!r}",
                             fix=f"Give numbers in {path.name}, or leave the field empty.")  # fmt: skip
        table[column] = values
    repeated = table["material_id"][table["material_id"].duplicated()]
    if len(repeated):
        raise TableError(f"{path.name} gives {len(repeated)} materials two different rows",
                         why=f"for example {repeated.iloc[0]}", fix="Keep one row a material.")  # fmt: skip
    return table.set_index("material_id").astype(float)


def number_of(value: object) -> float:
    """Return a property that came with a crystal as a number; NaN where it is not one."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def with_properties(table: pd.DataFrame, properties: pd.DataFrame | None) -> pd.DataFrame:
    """Replace the properties that came with the crystals by those given, where these are known."""
    for column in PROPERTY_COLUMNS:
        if properties is not None and column in properties:
            table[column] = table["material_id"].map(properties[column]).fillna(table[column])
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
    return [f"the properties know {known} of {len(names)} crystals"] if known < len(names) else []
