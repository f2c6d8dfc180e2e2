"""How tables in a terminal look: their style, and numbers in their cells."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from phonolyte.columns import Column, format_value
from phonolyte.layout import FittedTable

SHOWN = 20
"""Rows of a table at most."""


def make_table(title: str = "", *, caption: str | None = None, tight: bool = False) -> Table:
    """A table as all of them look; a tight one has less space between its columns."""
    return FittedTable(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False,
                       collapse_padding=tight, caption=caption, caption_justify="left")  # fmt: skip


def add_material(table: Table) -> None:
    """Add the column of names of materials, which are never cut: ``phonolyte show`` takes them."""
    table.add_column("material", overflow="fold")


def format_cell(value: Any, known: Column) -> str:
    """A value as its column shows it, without the unit."""
    text = format_value(value, known)
    return text.removesuffix(f" {known.unit}") if known.unit else text


def format_significant(value: float, digits: int = 3) -> str:
    """A number with as many digits as any other, zeros at its end too."""
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"


def format_count(number: int) -> str:
    """A count, a dash for none."""
    return f"{number:,}" if number else "-"
