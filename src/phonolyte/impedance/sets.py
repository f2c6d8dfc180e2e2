"""Columns side by side: which of them make one spectrum, and which another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from phonolyte.errors import SpectrumError
from phonolyte.impedance.headers import Column
from phonolyte.impedance.quantities import Selection, find_way


@dataclass(frozen=True, slots=True)
class ColumnSet:
    """Columns of one spectrum, or of several below each other.

    Attributes
    ----------
    chosen
        Columns of frequency and impedance.
    temperature
        Column of temperatures, where there is one.
    pressure
        Column of pressures, where there is one.
    sweeps
        Columns of cycles, loops or sweeps.
    label
        What headers say beside quantity and unit, where there are several sets.
    """

    chosen: Selection
    temperature: Column | None = None
    sweeps: tuple[Column, ...] = ()
    pressure: Column | None = None
    label: str = ""


def list_sets(columns: Sequence[Column], above: Sequence[str] = ()) -> list[ColumnSet]:
    """List the sets of columns that are spectra side by side.

    A column of frequencies begins a set; under one column of frequencies several pairs of the same two quantities are
    sets too.

    Parameters
    ----------
    columns
        Columns of a block.
    above
        Cells of the line above the headers, where temperatures or samples may stand.

    Raises
    ------
    SpectrumError
        For columns that cannot be paired.
    """
    slices = [slice_ for slice_ in _slice(columns) if find_way(slice_)] or [_keep_plain_frequency(columns)]
    sets = [each for slice_ in slices for each in _pair(slice_, columns)]
    if len(sets) == 1:
        return sets
    return [replace(each, label=each.label or _find_above(each.chosen.first.index, above)) for each in sets]


def _slice(columns: Sequence[Column]) -> list[list[Column]]:
    """Columns from each column of frequencies to the next one; in front of it where it stands last."""
    starts = [at for at, column in enumerate(columns) if column.kind.endswith("frequency")]
    if len(starts) < 2:
        return [list(columns)]
    if any(column.kind not in ("time", "temperature", "pressure", "sweep") for column in columns[: starts[0]]):
        ends = [at + 1 for at in starts]
        return [list(columns[a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return [list(columns[a:b]) for a, b in zip(starts, [*starts[1:], len(columns)], strict=True)]


def _keep_plain_frequency(columns: Sequence[Column]) -> list[Column]:
    """The columns with one of frequencies alone: that in hertz, not an angular one or a logarithm."""
    frequencies = [column for column in columns if column.kind.endswith("frequency")]
    best = min(frequencies, key=lambda column: (column.logarithm > 0, column.kind != "frequency"))
    return [column for column in columns if column is best or not column.kind.endswith("frequency")]


def _pair(slice_: Sequence[Column], columns: Sequence[Column]) -> list[ColumnSet]:
    """Sets of the columns that have one column of frequencies."""
    way = find_way(slice_)
    if way is None:
        raise SpectrumError("the columns of a spectrum cannot be found", fix="Name frequency, Z' and Z'' in a header.")
    frequency = next(column for column in slice_ if column.kind.endswith("frequency"))
    firsts, seconds = ([column for column in slice_ if column.kind == kind] for kind in way.kinds)
    notes: list[str] = []
    firsts, seconds = _prefer_corrected(firsts, seconds, notes)
    pairs = _match(firsts, seconds, notes)
    temperatures = [candidate for each in (slice_, columns) for candidate in each if candidate.kind == "temperature"]
    temperature = next(
        (candidate for candidate in temperatures if "set" not in candidate.name.lower()), next(iter(temperatures), None)
    )
    pressure = next(
        (candidate for each in (slice_, columns) for candidate in each if candidate.kind == "pressure"), None
    )
    sweeps = tuple(column for column in columns if column.kind == "sweep")
    several = len(pairs) > 1
    return [
        ColumnSet(Selection(frequency, first, second, way, tuple(notes)), temperature, sweeps, pressure,
                  first.label or (frequency.label if not several else ""))
        for first, second in pairs
    ]  # fmt: skip


def _prefer_corrected(
    firsts: list[Column], seconds: list[Column], notes: list[str]
) -> tuple[list[Column], list[Column]]:
    """Columns corrected for drift, where there are such; else the others."""
    corrected = [[column for column in each if column.corrected] for each in (firsts, seconds)]
    if all(corrected):
        notes.append(f"columns corrected for drift were taken: {corrected[0][0].name} and {corrected[1][0].name}")
        return corrected[0], corrected[1]
    plain = [[column for column in each if not column.corrected] for each in (firsts, seconds)]
    return plain[0] or firsts, plain[1] or seconds


def _match(firsts: Sequence[Column], seconds: Sequence[Column], notes: list[str]) -> list[tuple[Column, Column]]:
    """Pairs of columns that belong together: by what their headers say beside the quantity, else by their order."""
    if len(firsts) == len(seconds) == 1:
        return [(firsts[0], seconds[0])]
    left, right = _by_label(firsts), _by_label(seconds)
    shared = [label for label in left if label in right]
    if shared and all(len(left[label]) == len(right[label]) == 1 for label in shared):
        pairs = [(left[label][0], right[label][0]) for label in shared]
    elif len(left) == len(right) == 1 and len(firsts) == len(seconds):
        pairs = list(zip(firsts, seconds, strict=True))
        if len({(first.unit, first.area, first.thickness) for first in firsts}) > 1:  # one spectrum in several units
            pairs = [min(pairs, key=lambda pair: pair[0].of_pellet)]
    elif len(firsts) == 1 or len(seconds) == 1:
        pairs = [(firsts[0], seconds[0])]
    else:
        raise SpectrumError(
            "columns of spectra side by side cannot be paired",
            why=f"there are {', '.join(repr(column.name) for column in (*firsts, *seconds)[:6])}",
            fix="Give both columns of a spectrum the same words, as: Z' 25C, Z'' 25C, Z' 40C, Z'' 40C.",
        )
    used = {id(column) for pair in pairs for column in pair}
    left_out = [column.name for column in (*firsts, *seconds) if id(column) not in used]
    if left_out:
        notes.append(f"of several columns of one quantity {pairs[0][0].name} and {pairs[0][1].name} were taken, "
                     f"and not {', '.join(left_out)}")  # fmt: skip
    return pairs


def _by_label(columns: Sequence[Column]) -> dict[str, list[Column]]:
    groups: defaultdict[str, list[Column]] = defaultdict(list)
    for column in columns:
        groups[column.label.lower()].append(column)
    return groups


def _find_above(index: int, above: Sequence[str]) -> str:
    """What stands above a column, or left of that, as in cells that were joined."""
    cells = [cell.strip().strip('"') for cell in above[: index + 1]]
    return next((cell for cell in reversed(cells) if cell), "")
