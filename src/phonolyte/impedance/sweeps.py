"""Sweeps of the frequency: where one ends and the next begins, in rows of a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.impedance.spectrum import FEWEST

SHARED = 0.5
"""Share of the shorter of two runs of frequencies, in decades, from which on both are sweeps of their own."""

REPEATED = 0.2
"""Share of rows in no order that may repeat frequencies of others, as of one sweep."""

APART_K = 2.0
"""Temperatures of one file that are so far apart are different ones, and not drift."""


def split_sweeps(
    f: Floats, groups: Sequence[Floats] = (), temperature_k: Floats | None = None
) -> tuple[list[Ints], list[str]]:
    """Split rows into sweeps: by columns that number them, by temperature, and where the frequency turns back.

    Parameters
    ----------
    f
        Frequencies, Hz, (n,), above zero.
    groups
        Columns that number cycles, loops or sweeps, (n,) each.
    temperature_k
        Temperatures, K, (n,).

    Returns
    -------
    tuple
        Indices of the rows of each sweep, and notes.
    """
    notes: list[str] = []
    parts = _by_numbers(len(f), groups)
    parts = [piece for group in parts for piece in _by_temperature(f, group, temperature_k)]
    sweeps = [piece for group in parts for piece in _by_turns(f, group, notes)]
    return sorted(sweeps, key=lambda rows: int(rows[0])), list(dict.fromkeys(notes))


def _by_numbers(n: int, groups: Sequence[Floats]) -> list[Ints]:
    """Rows of one number each; a column that numbers points and not sweeps does not count."""
    parts = [np.arange(n)]
    for values in groups:
        filled = np.where(np.isfinite(values), values, -1.0)
        pieces = [group[filled[group] == value] for group in parts for value in _in_order(filled[group])]
        if max(len(piece) for piece in pieces) >= FEWEST:
            parts = pieces
    return parts


def _in_order(values: Floats) -> list[float]:
    """Distinct values in the order of their first."""
    return list(dict.fromkeys(values.tolist()))


def _by_temperature(f: Floats, points: Ints, temperature_k: Floats | None) -> list[Ints]:
    """Rows of one temperature each, where each of them has frequencies of its own that those of the others repeat.

    Slow drift along one sweep has not: there each frequency stands at one temperature.
    """
    if temperature_k is None or len(points) < 2 * FEWEST or not np.isfinite(temperature_k[points]).all():
        return [points]
    kelvin = temperature_k[points]
    sorted_k = np.sort(kelvin)
    edges = sorted_k[1:][np.diff(sorted_k) > APART_K]
    which = np.searchsorted(edges, kelvin, side="right")
    order = list(dict.fromkeys(which.tolist()))
    pieces = [points[which == number] for number in order]
    repeated = len(pieces) > 1 and all(len(piece) >= FEWEST for piece in pieces) and all(
        share_decades(f[pieces[0]], f[piece]) >= SHARED for piece in pieces[1:]
    )  # fmt: skip
    return pieces if repeated else [points]


def _by_turns(f: Floats, points: Ints, notes: list[str]) -> list[Ints]:
    """Rows between two turns of the frequency.

    A run that repeats less than half of the decades of the one before it belongs to the same sweep: an instrument
    changed its range there, or took a point again.
    """
    runs = _split_at_turns(f, points)
    if len(runs) == 1:
        return [points]
    if sum(len(run) for run in runs if len(run) >= FEWEST) < len(points) / 2:
        if len(np.unique(f[points])) < (1 - REPEATED) * len(points):
            return runs  # short sweeps, each of which is refused
        notes.append("frequencies are in no order: they were taken for one sweep")
        return [points]
    sweeps = [runs[0]]
    for run in runs[1:]:
        again = len(run) >= FEWEST or f[run[0]] == f[sweeps[-1][0]]  # a few points that begin anew were broken off
        if again and share_decades(f[sweeps[-1]], f[run]) >= SHARED:
            sweeps.append(run)
        else:
            sweeps[-1] = np.concatenate((sweeps[-1], run))
            notes.append(f"the frequency turns back at {f[run[0]]:.3g} Hz by too little to begin another sweep")
    return sweeps


def _split_at_turns(f: Floats, points: Ints) -> list[Ints]:
    """Runs of rows along which the frequency only falls, or only rises."""
    starts, direction, equal = [0], 0, 1
    values = f[points]
    for at in range(1, len(points)):
        step = int(np.sign(values[at] - values[at - 1]))
        if step and direction and step != direction:
            starts.append(at - equal // 2)  # half of the points where it turned are of the way back
            direction = 0
        elif step:
            direction = step
        equal = 1 if step else equal + 1
    return list(np.split(points, starts[1:]))


def share_decades(first: Floats, second: Floats) -> float:
    """Share of the shorter of two ranges of frequencies, in decades, that lies inside of the other."""
    low, high = max(first.min(), second.min()), min(first.max(), second.max())
    shorter = min(float(np.log(each.max() / each.min())) for each in (first, second))
    if shorter <= 0:
        return float(high >= low)
    return max(0.0, float(np.log(high / low))) / shorter if high > 0 else 0.0
