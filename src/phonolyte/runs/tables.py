"""The tables of a run folder of any method: what came out of each crystal, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from phonolyte.errors import Failure
from phonolyte.runs.campaign import Item, outcomes
from phonolyte.runs.records import write_failures, write_parquet

TABLE = "barriers.parquet"


def collected(
    items: Sequence[Item], folder: Path, further: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, list[Failure]]:
    """Write ``barriers.parquet`` and ``failures.parquet`` from the items that are there.

    Parameters
    ----------
    items
        All of them.
    folder
        The run folder.
    further
        Tables with several rows a crystal: the name of the file, and the key of a record that has them.

    Returns
    -------
    tuple
        The table, and the failures.
    """
    records, failures = outcomes(items)
    table = pd.DataFrame([record["row"] for record in records])
    write_parquet(table, folder / TABLE)
    for file, key in (further or {}).items():
        write_parquet(pd.DataFrame([row for record in records for row in record.get(key, ())]), folder / file)
    write_failures(folder, failures)
    return table, failures
