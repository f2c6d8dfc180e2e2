"""The learning set of a loop: crystals with centers on one scale, those that were given and those of its rounds.

Convention: centers are on the scale of density functional theory (those of an engine with a calibration are
calibrated), and a crystal has the cell in which it was given, since that is what a screen predicts from; a disordered
one is its ordered representative. A crystal with imaginary modes stays: its center is the mean of the modes that are
left, and has the share of the imaginary ones as a known relative error, since counting those as zero would lower it by
that share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from phonolyte import learning_set
from phonolyte.centers import SOURCE, computed_centers
from phonolyte.errors import Failure, PhonolyteError, TableError
from phonolyte.files import as_flag
from phonolyte.models.compounds import ERROR, STAGE, TARGET, find_label_fault, finite_number
from phonolyte.runs.records import in_one_step
from phonolyte.structures import Crystal, read
from phonolyte.structures.crystal_table import crystal_table
from phonolyte.structures.ordering import representative

FILE = "learning_set.parquet"
"""Crystal table of a round with everything that is known after it, to train on."""

PROPERTIES = (TARGET, ERROR, "stable", "imaginary_share", "engine", "round")
"""Columns of that file besides those of a crystal table; `round` is 0 for what was given."""

FEWEST = 20
"""Compounds that a training needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A crystal with what is known of it.

    Attributes
    ----------
    crystal
        Crystal as the model sees it, ordered.
    center_mev
        Band center, meV.
    error
        Known relative error of the center.
    stable, imaginary_share
        Whether it has no imaginary modes, and their share.
    engine
        Engine that computed it; empty for what was given.
    round
        Round in which it was computed; 0 for what was given.
    """

    crystal: Crystal
    center_mev: float
    error: float = 0.0
    stable: bool = True
    imaginary_share: float = 0.0
    engine: str = ""
    round: int = 0

    @classmethod
    def from_phonons(cls, crystal: Crystal, row: Mapping[str, Any], number: int) -> Known:
        """Make what is known of a crystal from its phonons, from their row in ``phonons.parquet``."""
        calibrated = row["calibrated_mev"]
        center = float(row["band_center_mev"] if pd.isna(calibrated) else calibrated)
        stable, share = bool(row["stable"]), float(row["imaginary_share"])
        error = 0.0 if stable else share
        return cls(crystal, center, error, stable, share, str(row["engine"]), number)


def read_given(data: str | Path) -> tuple[list[Known], list[Failure]]:
    """Read the crystals to begin with; empty for the learning set that comes with Phonolyte.

    That one has its cells and centers scaled as those of today's Materials Project and density functional theory; the
    crystals by which it has grown, and those of the table of computed centers, are as they were given, their centers
    calibrated.

    Returns
    -------
    known, failures
        Crystals with their centers; records that cannot be read, have no center, or cannot be ordered.

    Raises
    ------
    TableError
        When fewer than twenty crystals have a band center.
    """
    if not str(data):
        scaled = (replace(c, lattice=learning_set.ION_LENGTH * c.lattice) for c in learning_set.crystals().crystals)
        made = [Known(c, learning_set.ION_FACTOR * float(c.properties[TARGET])) for c in scaled]
        return [*made, *read_known(learning_set.grown_file())[0], *_computed()], []
    known, failures = read_known(data)
    if len(known) < FEWEST:
        raise TableError(
            f"{Path(data).name} has {len(known)} stable crystals with a band center",
            why=f"a loop learns from crystals, at least {FEWEST}, each with {TARGET} (meV)",
            fix="Give crystals, not a table of features, or leave data out.",
        )
    return known, failures


def _computed() -> Iterator[Known]:
    """What the table of computed centers knows; of unstable ones where the share of imaginary modes is."""
    for record in computed_centers().table.to_dict("records"):
        row = {str(key): value for key, value in record.items()}
        if row["stable"] or not pd.isna(row["imaginary_share"]):
            crystal = Crystal.from_row(row, source=SOURCE)
            yield Known.from_phonons(crystal, row | {"calibrated_mev": row[TARGET]}, 0)


def read_known(data: str | Path) -> tuple[list[Known], list[Failure]]:
    """Read crystals with a band center, and what cannot be learned from; unstable ones need an error of theirs."""
    reading = read(data)
    known, failures = [], [*reading.failures]
    for crystal in reading.crystals:
        fault = find_label_fault(crystal)
        if fault is None:
            try:
                known.append(_given(crystal))
            except PhonolyteError as error:
                name = crystal.material_id
                fault = Failure.from_error(error, material_id=name, stage=STAGE, source=crystal.source)
        if fault is not None:
            failures.append(fault)
    return known, failures


def _given(crystal: Crystal) -> Known:
    properties = crystal.properties
    error, share, number = (finite_number(properties.get(name)) or 0.0 for name in (ERROR, "imaginary_share", "round"))
    return Known(
        representative(crystal), float(properties[TARGET]), error, as_flag(properties.get("stable")) is not False,
        share, str(properties.get("engine") or ""), int(number),
    )  # fmt: skip


def write_known(known: Sequence[Known], path: Path) -> None:
    """Write a learning set as a crystal table with :data:`PROPERTIES`; the same crystals give the same bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    table = crystal_table([each.crystal for each in known])
    columns = ("center_mev", "error", "stable", "imaginary_share", "engine", "round")
    for name, key in zip(PROPERTIES, columns, strict=True):
        table = table.append_column(name, pa.array([getattr(each, key) for each in known]))
    with in_one_step(path) as partial:
        parquet.write_table(table, partial, compression="zstd")
