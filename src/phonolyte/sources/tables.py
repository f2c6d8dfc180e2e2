"""The tables of a fetch: crystals, properties, densities of states, failures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.dos import PhononDos
from phonolyte.dos.table import write_densities
from phonolyte.errors import Failure, SourceError
from phonolyte.runs.records import in_one_step
from phonolyte.sources.entry import STAGE, Entry, Page

Row = dict[str, Any]
"""A row of a table."""

ROWS = 10_000
"""Crystals in a group of rows; so the file is the same whatever the size of the pages was."""

ASKED = ("e_hull_ev", "band_gap_ev")
"""Columns that every table of properties has, since criteria need them."""

TARGET = "band_center_mev"
"""Column of the crystal table that a model learns."""

UNEVEN = 1e-6
"""A grid whose steps differ by more than this share is put onto an even one, as the table of densities needs."""

MISSED = 0.02
"""Densities of elements whose sum misses the total by more than this share of its maximum have scales of their own."""


@dataclass(slots=True)
class Tables:
    """What was written.

    Attributes
    ----------
    n_materials
        Rows of the answer; each has a row of properties or a failure.
    n_crystals, n_densities
        Rows of the crystal table, and crystals in the table of densities.
    known
        Property -> number of materials that have it.
    failures
        What cannot be used.
    """

    n_materials: int = 0
    n_crystals: int = 0
    n_densities: int = 0
    known: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def write_tables(pages: Iterable[Page], folder: Path, *, phonons: bool, provenance: Mapping[str, Any]) -> Tables:
    """Write ``crystals.parquet``, ``properties.parquet`` and ``.csv``, ``dos.parquet`` and ``failures.parquet``.

    Parameters
    ----------
    pages
        Pages of the answer, in order.
    folder
        The run folder.
    phonons
        Whether the source gives densities of states; crystals then have their `band_center_mev`.
    provenance
        Source, version, date and question, which tables carry as metadata.
    """
    tables = Tables()
    properties: list[Row] = []
    densities: list[PhononDos] = []
    crystals = _crystal_rows(_unique(pages, tables), properties, densities)
    tables.n_crystals = _write_crystals(crystals, folder / "crystals.parquet", phonons, provenance)
    tables.known = _write_properties(properties, folder, provenance)
    if phonons:
        tables.n_densities = len(densities)
        with in_one_step(folder / "dos.parquet") as partial:
            write_densities(densities, partial)
    return tables


def _unique(pages: Iterable[Page], tables: Tables) -> Iterator[Entry]:
    """The entries, each `material_id` once; what comes again is a failure."""
    seen: set[str] = set()
    for page in pages:
        tables.n_materials += page.n_materials
        tables.failures.extend(page.failures)
        for entry in page.entries:
            name = entry.material_id
            if name not in seen:
                seen.add(name)
                yield entry
                continue
            error = SourceError(f"{name} comes more than once", fix="Its first record is kept.")
            tables.failures.append(Failure.from_error(error, material_id=name, stage=STAGE))


def _crystal_rows(entries: Iterable[Entry], properties: list[Row], densities: list[PhononDos]) -> Iterator[Row]:
    """Rows of the crystal table; what else the entries have goes to the lists."""
    for entry in entries:
        row: Row = {"material_id": entry.material_id, "formula": entry.formula, **dict.fromkeys(ASKED)}
        row |= entry.properties
        if entry.dos:
            row |= entry.dos.row()
            densities.append(_storable(entry.dos))
        properties.append(row)
        if entry.crystal:
            yield {**entry.crystal.row(), TARGET: row.get(TARGET)}


def _write_crystals(rows: Iterator[Row], path: Path, phonons: bool, provenance: Mapping[str, Any]) -> int:
    """Write the crystal table group by group, so that millions of crystals need no memory; the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [
        ("material_id", pa.string()), ("formula", pa.string()), ("lattice", pa.list_(pa.float64())),
        ("species", pa.list_(pa.string())), ("frac_coords", pa.list_(pa.float64())),
        ("occupancies", pa.list_(pa.float64())), ("disorder_groups", pa.list_(pa.string())),
        ("oxidation_states", pa.list_(pa.float64())),
    ]  # fmt: skip
    schema = pa.schema([*columns, (TARGET, pa.float64())] if phonons else columns, _metadata(provenance))
    n_rows = 0
    with in_one_step(path) as partial, pq.ParquetWriter(partial, schema) as writer:
        while group := list(islice(rows, ROWS)):
            n_rows += len(group)
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    return n_rows


def _write_properties(rows: Sequence[Row], folder: Path, provenance: Mapping[str, Any]) -> dict[str, int]:
    """Write the table of properties; how many materials have each of them."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    names = sorted(
        dict.fromkeys(["material_id", "formula", *ASKED, *(n for row in rows for n in row)]), key=_of_element
    )
    columns: dict[str, Any] = {name: pa.array([row.get(name) for row in rows]) for name in names}
    known = {name: len(column) - column.null_count for name, column in columns.items()}
    for name in ASKED:
        columns[name] = columns[name].cast(pa.float64())
    written = {name: column for name, column in columns.items() if known[name] or name in ASKED}
    table = pa.table(written).replace_schema_metadata(_metadata(provenance))
    with in_one_step(folder / "properties.parquet") as partial:
        pq.write_table(table, partial)
    with in_one_step(folder / "properties.csv") as partial:
        pyarrow.csv.write_csv(table, partial)
    return known


def _of_element(column: str) -> str:
    """What sorts the columns: those of elements come last, in the order of the alphabet."""
    return column if re.fullmatch(r"[A-Z][a-z]?_center_mev", column) else ""


def _metadata(provenance: Mapping[str, Any]) -> Any:
    return {"phonolyte": json.dumps(provenance)}


def _storable(dos: PhononDos) -> PhononDos:
    """The density on an even grid; without its parts where they do not add up to it."""
    parts = np.sum([*dos.per_element.values()], axis=0) if dos.per_element else dos.total
    if np.abs(parts - dos.total).max() > MISSED * dos.total.max():
        dos = replace(dos, per_element={})
    steps = np.diff(dos.energies_mev)
    if np.ptp(steps) <= UNEVEN * steps.max():
        return dos
    even = np.linspace(dos.energies_mev[0], dos.energies_mev[-1], len(dos.energies_mev))
    per_element = {s: np.interp(even, dos.energies_mev, g) for s, g in dos.per_element.items()}
    return replace(dos, energies_mev=even, total=np.interp(even, dos.energies_mev, dos.total), per_element=per_element)
