"""Inputs in batches of bounded size: a worker reads its part of a large table, and no process holds all crystals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phonolyte.structures.crystal_table import count_rows, is_crystal_table, read_rows
from phonolyte.structures.reading import Reading, expand, failure_of, from_object, read_file
from phonolyte.structures.run_results import results_beside, with_results

SIZE = 1000
"""Crystals of a batch."""

FILES = 500
"""Files of a batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Materials that are read together.

    Attributes
    ----------
    size
        Number of materials, as far as it is known before they are read.
    files
        Files to read, or the one crystal table of which `rows` are read.
    rows
        First row of a crystal table, and the one after the last.
    reading
        Crystals, failures and skipped files that are at hand.
    """

    size: int
    files: tuple[Path, ...] = ()
    rows: tuple[int, int] | None = None
    reading: Reading = field(default_factory=Reading)

    def load(self) -> Reading:
        """Read the batch; names are those of the source, which may repeat."""
        if self.rows is not None:
            return _read_slice(self.files[0], *self.rows)
        return Reading.joined([self.reading, *map(read_file, self.files)])


def plan_batches(inputs: Any) -> list[Batch]:
    """Return the batches of files, folders, globs, tables and objects, in their order.

    Parameters
    ----------
    inputs
        As :func:`phonolyte.structures.read` takes them, or a Reading.
    """
    if isinstance(inputs, Reading):
        return _of_reading(inputs)
    batches: list[Batch] = []
    together: list[Path | Reading] = []
    for part in expand(inputs):
        if not isinstance(part, Path):
            together.append(from_object(part))
        elif not is_crystal_table(part):
            together.append(part)
        else:
            batches += [*_of_parts(together), *_of_table(part)]
            together = []
    return [*batches, *_of_parts(together)]


def _of_parts(parts: Sequence[Path | Reading]) -> list[Batch]:
    """Batches of files and readings that stand together."""
    batches = []
    for start in range(0, len(parts), FILES):
        chunk = parts[start : start + FILES]
        readings = [part for part in chunk if isinstance(part, Reading)]
        if len(readings) == len(chunk):  # objects
            joined = Reading.joined(readings)
            batches.append(Batch(len(joined.crystals) + len(joined.failures), reading=joined))
        else:
            batches += _alternate(chunk)
    return batches


def _alternate(parts: Sequence[Path | Reading]) -> list[Batch]:
    batches: list[Batch] = []
    files: list[Path] = []
    for part in parts:
        if isinstance(part, Path):
            files.append(part)
            continue
        batches += [Batch(len(files), tuple(files))] if files else []
        batches.append(Batch(len(part.crystals) + len(part.failures), reading=part))
        files = []
    return [*batches, *([Batch(len(files), tuple(files))] if files else [])]


def _of_table(path: Path) -> list[Batch]:
    try:
        n = count_rows(path)
    except Exception:  # a foreign parser can raise anything at a bad file
        n = 0
    if n < 2:  # reading it as a file says what is wrong, or names the one crystal after it
        return [Batch(1, (path,))]
    return [Batch(min(SIZE, n - start), (path,), (start, min(start + SIZE, n))) for start in range(0, n, SIZE)]


def _of_reading(reading: Reading) -> list[Batch]:
    first = [Batch(len(reading.failures), reading=Reading([], list(reading.failures)))] if reading.failures else []
    parts = [reading.crystals[start : start + SIZE] for start in range(0, len(reading.crystals), SIZE)]
    return [*first, *(Batch(len(part), reading=Reading(list(part))) for part in parts)]


def _read_slice(path: Path, start: int, stop: int) -> Reading:
    """Read some rows of a crystal table; whatever goes wrong becomes a failure."""
    reading = Reading()
    try:
        results = results_beside(path)
        for number, (name, make) in enumerate(read_rows(path, start, stop), start=start + 1):
            name = name or f"{path.stem}-{number}"
            try:
                reading.crystals.append(with_results(replace(make(name), source=str(path)), results))
            except Exception as error:  # a bad row costs one row
                reading.failures.append(failure_of(error, name, path))
    except Exception as error:
        reading.failures.append(failure_of(error, path.stem, path))
    return reading
