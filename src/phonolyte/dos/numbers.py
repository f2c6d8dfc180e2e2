"""Columns of numbers in text, whatever separates them and whatever the decimal mark is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import DosError

_STUCK = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))([+-]\d{3})$")
"""A number whose exponent of three digits left no room for its letter: Fortran writes 1.0-101."""

_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eEdD][+-]?\d+)?")


def number_table(rows: Sequence[str], name: str) -> Floats:
    """The rows (n, columns) as numbers, separated by blanks, tabs, semicolons or commas.

    A comma is a decimal mark where other separators stand between the columns and no number has a point.

    Raises
    ------
    DosError
        When they are not a table of two columns, or a comma can be either.
    """
    cells = [_cells(row) for row in rows]
    if any("," in cell for row in cells for cell in row):
        cells = _without_commas(rows, cells, name)
    try:
        numbers = [[_number(cell) for cell in row] for row in cells]
        table = np.array(numbers, dtype=float)
    except (ValueError, OverflowError) as error:
        raise DosError(
            f"{name} is not a table of numbers", why=str(error)[:120], fix="Give columns of frequency and density."
        ) from None
    if table.ndim != 2 or table.shape[1] < 2:
        raise DosError(f"{name} has fewer than two columns", fix="Give frequency and density.")
    return table


def _cells(row: str) -> list[str]:
    """Cells between blanks, tabs and semicolons; a comma with a blank beside it separates as well."""
    return [cell for cell in re.split(r"\s*,\s+|\s+,\s*|[;\s]+", row.strip().rstrip(",")) if cell]


def _without_commas(rows: Sequence[str], cells: list[list[str]], name: str) -> list[list[str]]:
    """The cells, with commas between digits taken for what they are."""
    if all(len(row) == 1 for row in cells):  # nothing but commas separates
        split = [[cell.strip() for cell in row.split(",")] for (row,) in cells]
        if all(len(row) > 2 and all(re.fullmatch(r"[+-]?\d+", cell) for cell in row) for row in split):
            raise _ambiguous(name, rows[0])
        return split
    with_comma = [cell for row in cells for cell in row if "," in cell]
    if not all(_WITH_COMMA.fullmatch(cell) for cell in with_comma) or any("." in cell for row in cells for cell in row):
        raise _ambiguous(name, next(row for row in rows if "," in row))
    return [[cell.replace(",", ".") for cell in row] for row in cells]


def _ambiguous(name: str, row: str) -> DosError:
    return DosError(
        f"the commas of {name} can be decimal marks or stand between columns",
        why=f"a row is {row.strip()[:60]!r}",
        fix="Write numbers with points, and separate the columns by blanks.",
    )


def _number(cell: str) -> float:
    if "_" in cell:  # which Python would take
        raise ValueError(f"{cell[:40]!r} stands for a number")
    return float(_STUCK.sub(r"\1E\2", cell.upper().replace("D", "E")))
