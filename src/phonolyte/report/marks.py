"""Marks on the best materials of a run: what must be seen before their numbers are used."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from phonolyte.centers import BY, COMPUTED
from phonolyte.report.contents import Contents

WARNINGS = {
    "stable": "imaginary modes",
    "mechanically_stable": "mechanically unstable",
    "converged": "not converged",
}
"""Flags that warn where they are false, and the words for that."""


def marks_of(contents: Contents, row: int) -> list[tuple[str, str]]:
    """Return the marks of a row: ``low`` for a warning or ``high`` for what strengthens it, and the words."""
    row_of_table = contents.table.iloc[row]
    records = [row_of_table, *map(pd.Series, contents.of(str(row_of_table["material_id"])).values())]
    warnings = dict.fromkeys(words for record in records for words in _warnings(record))
    computed = [("high", "computed center")] if row_of_table.get(BY) == COMPUTED else []
    return [*(("low", words) for words in warnings), *computed]


def _warnings(record: pd.Series) -> Iterator[str]:
    for flag, words in WARNINGS.items():
        value = record.get(flag)
        if value is not None and pd.notna(value) and not value:
            yield words
