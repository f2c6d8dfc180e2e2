"""What orders the candidates of a screen: one column after the other, or a weighted sum of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats, Ints
from phonolyte.columns import Column, column, register
from phonolyte.errors import SettingsError, TableError

SCORE = "score"
"""Column with the weighted sum, where weights are given."""

register(Column(SCORE, "score", digits=3, hint="Weighted sum of the shares of candidates that it is better than.",
                high_is_good=True))  # fmt: skip

FALLBACKS = ("barrier_3d_ev", "band_center_mev")
"""Columns that order what the first one leaves equal, or has no value for."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Order of candidates.

    Attributes
    ----------
    by
        Key of the column that orders them, the good values first; what has none comes last.
    weights
        Keys of columns and their weights: candidates are ordered by the weighted sum of the shares of candidates that
        they are better than (worse, for a negative weight) in each column. Empty: by the column alone.
    """

    by: str
    weights: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for key in (self.by, *(key for key, _ in self.weights)):
            _number_column(key)
        for key, weight in self.weights:
            if not np.isfinite(weight):
                raise SettingsError(f"the weight of {key} is {weight}", fix="Give a number.")

    def check(self, columns: Sequence[str]) -> None:
        """Refuse a ranking by a column that a screen with these columns does not have.

        Raises
        ------
        SettingsError
            Names the column.
        """
        for key in [key for key, _ in self.weights] or [self.by]:
            if key not in columns:
                numbers = [name for name in columns if _is_number(name)]
                raise SettingsError(f"this screen has no column {key!r}", fix=f"Choose among {', '.join(numbers)}.")

    def score(self, table: pd.DataFrame) -> Floats:
        """Weighted sum (n,) of each row; NaN where a value is unknown."""
        total = np.zeros(len(table))
        for key, weight in self.weights:
            total += weight * _values(table, key).rank(pct=True).to_numpy(float)
        return total

    def places(self, table: pd.DataFrame, first: Sequence[Floats | Ints] = ()) -> Ints:
        """Rows (n,) of a table in their order.

        Parameters
        ----------
        table
            Table with the columns of the ranking, and :data:`SCORE` where there are weights.
        first
            Keys (n,) that come before it, ascending.
        """
        keys = [SCORE] if self.weights else [self.by]
        keys += [key for key in FALLBACKS if key not in keys and key in table]
        ascending = [-_values(table, key).to_numpy(float) for key in keys]
        return np.lexsort([*reversed([*first, *ascending])])  # NaN comes last


def _values(table: pd.DataFrame, key: str) -> pd.Series:
    """Values of a column, high where they are good."""
    values = table[key].astype(float)
    return values if _number_column(key).high_is_good else -values


def _number_column(key: str) -> Column:
    try:
        known = column(key)
    except TableError:
        raise SettingsError(f"there is no column {key!r} to rank by", fix="See docs/columns.md.") from None
    if not _is_number(key):
        raise SettingsError(f"{key} is not a number to rank by", fix="Name a column of numbers.")
    return known


def _is_number(key: str) -> bool:
    return column(key).kind in ("number", "flag") and key != "rank"
