"""What the page needs to show measurements: their result in words, tables and notes, whichever method they are by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from phonolyte.units import ZERO_C_K

Cell = str | tuple[str, str]
"""A text, or a text with a smaller one below it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A small table of texts; the last cell of a short row takes the rest of its width.

    Attributes
    ----------
    title
        Heading above the table.
    heads
        Headings of the columns.
    rows
        Cells, the first of each row its name.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class MeasurementCard:
    """The card of one measurement.

    Attributes
    ----------
    value, words
        Result in large letters, and what it is; empty where there is none.
    tables
        All values.
    notes
        What else is to be known, in sentences.
    """

    value: str
    words: str
    tables: tuple[Listing, ...]
    notes: tuple[str, ...]


def keep_filled(listing: Listing) -> Listing:
    """Return a listing without its columns that are empty."""
    filled = [at for at in range(len(listing.heads)) if any(row[at] not in ("", ("", "")) for row in listing.rows)]
    rows = tuple(tuple(row[at] for at in filled) for row in listing.rows)
    return Listing(listing.title, tuple(listing.heads[at] for at in filled), rows)


def write_celsius(temperature_k: float) -> str:
    """Write a temperature as the end of a phrase: `` at 25 °C``; empty where it is not known."""
    if temperature_k != temperature_k:
        return ""
    celsius = round(temperature_k - ZERO_C_K)
    return f" at {'−' * (celsius < 0)}{abs(celsius)} °C"


def split_notes(*texts: str) -> tuple[str, ...]:
    """Return the notes of rows of a table as sentences, each once."""
    notes = (note for text in texts for note in text.split("; ") if note)
    return tuple(dict.fromkeys(map(_as_sentence, notes)))


def _as_sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}{'' if re.search('[.!?]$', note) else '.'}"


def cut(listing: Listing, most: int) -> Listing:
    """Return a listing with its first rows alone, and how many more there are."""
    if len(listing.rows) <= most:
        return listing
    more = len(listing.rows) - most
    return Listing(listing.title, listing.heads, (*listing.rows[:most], (f"and {more:,} more", "in the table below")))


def join_names(names: Sequence[str], most: int = 3) -> str:
    """Join names in a sentence, the first few of many: ``A, B and C``."""
    shown = [*names[:most], *([f"{len(names) - most:,} more"] if len(names) > most else [])]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
