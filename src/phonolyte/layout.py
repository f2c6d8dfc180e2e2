"""Tables in a terminal: numbers and names of materials are whole, all else gives way to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

SHORTEST, NARROWEST = 5, 14
"""Characters that are left of texts that are cut or fold anywhere, and of texts that go on in the next line."""

_NUMBER = re.compile(r"[≥≤~]? ?-?\d[\d.,]*(e[+-]?\d+)?\*?( (to|-) .+)?")


class FittedTable(Table):
    """A table in which no number is cut, whatever the width of the terminal, and no text whose overflow is ``fold``.

    Where its columns need more room than there is, first headings of numbers take several lines, then texts are
    shortened, the longest first, then texts that fold take several lines, and last the columns of numbers farthest to
    the right are left out, and named below.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fitted = copy(self)
        fitted.columns = [copy(column) for column in self.columns]
        left_out = fitted.fit(console, options)
        yield from Table.__rich_console__(fitted, console, options)
        if left_out:
            yield Text(f"no room for {', '.join(left_out)}", style="dim")

    def fit(self, console: Console, options: ConsoleOptions) -> list[str]:
        """Give each column its width; returns the headings of columns that are left out."""
        left_out: list[str] = []
        self._widen(whole_headings=True)
        if self._excess(console, options) > 0:
            self._widen(whole_headings=False)
        while self._shorten(self._excess(console, options)):
            numbers = [column for column in self.columns if is_number(column)]
            if len(numbers) < 2:
                break
            self._leave_out(numbers[-1])
            left_out.insert(0, _plain(numbers[-1].header))
        return left_out

    def _leave_out(self, left: Column) -> None:
        self.columns = [column for column in self.columns if column is not left]
        for place, column in enumerate(self.columns):
            column._index = place
        self._widen(whole_headings=False)

    def _widen(self, *, whole_headings: bool) -> None:
        for column in self.columns:
            heading = _plain(column.header).split("\n" if whole_headings or not is_number(column) else None)
            column.no_wrap = column.no_wrap and not is_number(column)  # so that its heading may take several lines
            column.width = max([1, *map(cell_len, heading), *map(cell_len, _lines(column))])

    def _excess(self, console: Console, options: ConsoleOptions) -> int:
        """Characters by which the table is wider than there is room."""
        wide = options.update(max_width=100_000)
        return Table.__rich_measure__(self, console, wide).maximum - options.max_width

    def _shorten(self, excess: int) -> int:
        """Take characters from texts, the longest first, and last from those that fold; returns what is left."""
        texts = [column for column in self.columns if not is_number(column)]
        for folds in (False, True):
            excess = _narrow([column for column in texts if (column.overflow == "fold") == folds], excess)
        return excess


def _narrow(texts: Sequence[Column], excess: int) -> int:
    """Take characters from columns, the one with most to give first; returns what they could not give."""
    while excess > 0:
        column = max(texts, key=lambda each: (each.width or 0) - _least(each), default=None)
        if column is None or (column.width or 0) <= _least(column):
            return excess
        column.width = (column.width or 0) - 1
        excess -= 1
    return 0


def is_number(column: Column) -> bool:
    """Whether a column has numbers, which are set right, or intervals of numbers."""
    return column.justify == "right" or any(_NUMBER.fullmatch(line) for line in _lines(column))


def _least(column: Column) -> int:
    """The width down to which a text may be shortened."""
    short = column.no_wrap or column.max_width is not None or column.overflow == "fold"
    return SHORTEST if short else NARROWEST


def _lines(column: Column) -> Sequence[str]:
    return [line for cell in column.cells for line in _plain(cell).split("\n")]


def _plain(cell: Any) -> str:
    """The text of a cell without its markup."""
    return cell.plain if isinstance(cell, Text) else Text.from_markup(str(cell)).plain
