"""Repeated crystals of a screen, found without holding them: by composition, spacing, then fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats, Ints
from phonolyte.runs.executors import map_tasks
from phonolyte.screen.describe import CRYSTAL, Part, positions_of
from phonolyte.structures import Crystal
from phonolyte.structures.crystal_table import records_of
from phonolyte.structures.duplicates import TOLERANCE, is_undecided, match_repeats


def find_repeats(table: pd.DataFrame, parts: Sequence[Part], executor: Executor | None = None) -> Any:
    """Return for each row the `material_id` of the first crystal it repeats, or None.

    Only crystals of one composition (disordered ones: of the same elements) whose atomic spacings are within the
    tolerance of a neighbor's are compared: the spacing is the first value of their fingerprints.

    Parameters
    ----------
    table
        Rows of all crystals in the order of the input, with `material_id`, `formula`, `disordered`, `elements_low` and
        `elements_high`.
    parts
        Described batches that they come from, with their fingerprints and crystals.
    executor
        Processes that compare crystals where fingerprints do not decide.
    """
    store = PartStore(parts)
    names = table["material_id"].to_numpy(object)
    repeats = np.full(len(table), None, dtype=object)
    codes, _ = pd.factorize(_comparable(table))
    chains: list[Ints] = []
    tasks: list[tuple[list[Crystal], Floats]] = []
    for rows in _groups(codes):
        prints = store.fingerprints(rows)
        for near in _near_in_spacing(prints):
            members = np.sort(near)
            chain, undecided = rows[members], is_undecided(prints[members])
            chains.append(chain)
            tasks.append(([store.crystal(row) for row in chain.tolist()] if undecided else [], prints[members]))
    for number, pairs in _compare(tasks, executor):
        for place, first in pairs:
            repeats[chains[number][place]] = names[chains[number][first]]
    return repeats


def _compare(
    tasks: Sequence[tuple[list[Crystal], Floats]], executor: Executor | None
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield the number of each chain, and its places that repeat an earlier one; processes do those with crystals."""
    decided = [number for number, (crystals, _) in enumerate(tasks) if not crystals]
    rest = [number for number, (crystals, _) in enumerate(tasks) if crystals]
    for number in decided:
        yield number, match_repeats(*tasks[number])
    for place, pairs in map_tasks(match_repeats, [tasks[number] for number in rest], executor):
        yield rest[place], pairs


def _comparable(table: pd.DataFrame) -> pd.Series:
    """What crystals that may be one have in common: the formula, or the elements of disordered ones."""
    disordered = table["disordered"]
    if not disordered.any():
        return table["formula"]
    elements = table["elements_low"].astype(str) + " " + table["elements_high"].astype(str)
    return table["formula"].where(~disordered, elements)


def _groups(codes: Ints) -> Iterator[Ints]:
    """Rows of each composition that more than one crystal has."""
    order = np.argsort(codes, kind="stable")
    edges = np.flatnonzero(np.diff(codes[order])) + 1
    return (group for group in np.split(order, edges) if len(group) > 1)


def _near_in_spacing(prints: Floats) -> Iterator[Ints]:
    """Places whose spacings form a chain with steps within the tolerance."""
    order = np.argsort(prints[:, 0], kind="stable")
    edges = np.flatnonzero(np.diff(prints[order, 0]) > TOLERANCE) + 1
    return (chain for chain in np.split(order, edges) if len(chain) > 1)


class PartStore:
    """Fingerprints and crystals of the parts, loaded when they are needed."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts, self.starts = parts, positions_of(parts)
        self.loaded: dict[tuple[int, str], Any] = {}

    def fingerprints(self, rows: Ints) -> Floats:
        """Return the fingerprints (n, m) of rows of one composition."""
        return np.stack([self.fingerprint(row) for row in rows])

    def fingerprint(self, row: int) -> Floats:
        """Return the fingerprint (m,) of a row."""
        return np.asarray(self._column(row, "fingerprint"))

    def crystal(self, row: int) -> Crystal:
        """Return the crystal of a row."""
        number, place = self._place(row)
        table = self._table(number, CRYSTAL).slice(place, 1)
        (_, make) = next(iter(records_of(table)))
        return make("")

    def _column(self, row: int, name: str) -> Any:
        number, place = self._place(row)
        return self._table(number, (name,)).column(name)[place].values.to_numpy()

    def _place(self, row: int) -> tuple[int, int]:
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return number, row - int(self.starts[number])

    def _table(self, number: int, columns: Sequence[str]) -> Any:
        key = (number, columns[0])
        if key not in self.loaded:
            if len(self.loaded) > MOST_LOADED:
                self.loaded.pop(next(iter(self.loaded)))
            self.loaded[key] = self.parts[number].load(columns).combine_chunks()
        return self.loaded[key]


MOST_LOADED = 64
"""Parts whose fingerprints or crystals are held at a time."""
