"""How values look at a prompt and in a notebook: a line of counts and units, and a small table."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any

from phonolyte.columns import column, format_value

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 60
"""Characters of a value that are shown."""


class Shown:
    """Base of values that show what they hold, and not all of it.

    A dataclass that derives from it is made with ``repr=False``.
    """

    __slots__ = ()

    def _facts(self) -> Mapping[str, object]:
        """Return what is shown, by label; what is None or empty is left out."""
        raise NotImplementedError

    def __repr__(self) -> str:
        facts = ", ".join(f"{label} {text}" for label, text in _texts(self._facts()).items())
        return f"<{type(self).__name__}: {facts}>" if facts else f"<{type(self).__name__}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th><td style='text-align:left'>{escape(text)}</td></tr>"
            for label, text in _texts(self._facts()).items()
        )
        return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"


def _texts(facts: Mapping[str, object]) -> dict[str, str]:
    return {label: _text(value) for label, value in facts.items() if value is not None and value != ""}


def _text(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def number_text(value: object, unit: str, digits: int = 1) -> str:
    """Return a number with its unit; empty for what is not a finite number, as a file from elsewhere may have it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return ""
    return f"{value:,.{digits}f} {unit}".rstrip()


def range_text(table: pd.DataFrame, key: str) -> str:
    """Return the lowest and highest value of a column with its unit; empty where it has none."""
    if key not in table:
        return ""
    values = table[key].dropna()
    if not len(values):
        return ""
    known = column(key)
    low, high = (format_value(value, known) for value in (values.min(), values.max()))
    return high if low == high else f"{low.removesuffix(known.unit).rstrip()} to {high}"


def random_error(provenance: Mapping[str, Any]) -> str:
    """Return the mean absolute error of a model of the band center, by random folds, with its unit."""
    scores = provenance.get("scores")
    rows = [row for row in scores if isinstance(row, dict)] if isinstance(scores, list) else []
    error = next((row.get("mae_mev") for row in rows if row.get("split") == "random"), None)
    return number_text(error, "meV", 2)
