"""Blocks of numbers under the names of their columns, in the lines of a text; a file may have several."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError
from phonolyte.impedance.headers import Column, add_unit, read_header
from phonolyte.impedance.quantities import find_way
from phonolyte.impedance.spectrum import FEWEST

Split = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names of the columns of one kind of measurement.

    Attributes
    ----------
    read
        Columns of the cells of a header; none for a line that is not a header.
    add_unit
        A column with the unit of another text, such as that of a cell below its name.
    noun
        What the measurement is called.
    columns
        What its columns are called, for messages.
    kinds
        Names of these alone, to which the names of a file are compared.
    """

    read: Callable[[Sequence[str]], list[Column]]
    add_unit: Callable[[Column, str], Column]
    noun: str
    columns: str
    kinds: tuple[str, ...] = ()


_FOREIGN = re.compile(
    r"admittance|voltage|current|potential|permittivity|capacitance|conductance|susceptance|^[ym]\s*['\"’′]|^eps|^ε|^tan"
    r"|^time|^zeit|^[iue]\b|spannung|strom|admittanz|leitwert|kapazit"
)
"""What columns of other measurements are called."""

_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eEdD][-+]?\d+)?$|[-+]?nan$|[-+]?inf$", re.IGNORECASE)

_MISSING = re.compile(r"n\.?/?a\.?|#.*|[-–—.*]+|null|none|error|ovl|over(load|flow|range)?", re.IGNORECASE)
"""What stands in a cell instead of a number."""

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(,\d{3})+\.\d")
"""A number with commas between thousands."""

_POINT = re.compile(r'\s*"?[-+]?\d[\d.,eEdD+-]*"?\s*(?:[\t;, ]|$)')
"""Beginning of a line of numbers."""

TABLE_CELLS = 3
"""Words in a line from which on it is the header of another table, and not a caption."""


@dataclass(frozen=True, slots=True)
class Block:
    """Numbers under the names of columns.

    Attributes
    ----------
    columns
        Columns that are understood.
    rows
        Numbers, (n, width); NaN for an empty cell.
    above
        Cells of the line above the header.
    context
        Lines between the block before and this one, where a temperature may stand.
    notes
        What was guessed on the way.
    captioned
        Whether the block follows another one under the same header, below a line of words.
    title
        Name of the sheet or the curve, where there is one.
    """

    columns: tuple[Column, ...]
    rows: Floats
    above: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    captioned: bool = False
    title: str = ""


@dataclass(slots=True)
class _Run:
    """Lines of numbers without a line of words between them."""

    start: int
    rows: list[list[float]] = field(default_factory=list)
    end: int = 0
    filled: list[int] = field(default_factory=list)

    def add(self, at: int, row: list[float], filled: int = 0) -> None:
        """Add a row, that of a line, and how many cells of it are filled."""
        self.rows.append(row)
        self.filled.append(filled)
        self.end = at + 1


def find_blocks(lines: Sequence[str], name: str, vocabulary: Vocabulary | None = None) -> list[Block]:
    """Find the blocks of numbers of a text.

    Parameters
    ----------
    lines
        Lines of the text.
    name
        Name of the file, for messages.
    vocabulary
        Names of the columns; default: those of impedance, which three columns without names are taken for as well.

    Raises
    ------
    SpectrumError
        For a text that holds no spectrum.
    """
    notes: list[str] = []
    lines = _without_thousands(lines, notes)
    headed = False
    names = vocabulary or IMPEDANCE
    for split, heads in _list_heads(lines, names):
        headed = True
        blocks = list(_under_heads(lines, heads, split, names))
        if blocks:
            return [replace(blocks[0], notes=(*notes, *blocks[0].notes)), *blocks[1:]]
    if headed:
        raise SpectrumError(
            f"{name} holds no {names.noun}", why="below the names of its columns no line has "
            f"{'two' if vocabulary else 'three'} numbers", fix="Check what was exported.",
        )  # fmt: skip
    if vocabulary:
        raise _unknown_names(lines, name, vocabulary)
    _refuse_others(lines, name)
    return _without_head(lines, name, notes)


def _unknown_names(lines: Sequence[str], name: str, vocabulary: Vocabulary) -> SpectrumError:
    """Error for a text without a header that is understood: which columns it names, and what they are nearest to."""
    cells = next(
        (cells for line, below in pairwise(filter(str.strip, lines)) if (cells := _read_words(line, below))), []
    )
    if not cells:
        return SpectrumError(
            f"{name} holds no {vocabulary.noun}", why="no line names its columns", fix=f"Name {vocabulary.columns}."
        )
    words = {cell: re.split(r"[^a-zäöü]+", cell.lower().strip("<"))[0] for cell in cells}
    near = {cell: get_close_matches(word, vocabulary.kinds, n=1) for cell, word in words.items()}
    guesses = [f"is {cell!r} {match[0]}?" for cell, match in near.items() if match and match[0] != words[cell]]
    return SpectrumError(
        f"{name} holds no {vocabulary.noun}",
        why=f"its columns are {', '.join(map(repr, cells[:8]))}" + (f": {', '.join(guesses)}" if guesses else ""),
        fix=f"Name {vocabulary.columns}.",
    )


def _read_words(line: str, below: str) -> list[str]:
    """Cells of a line of names above a line of numbers; none where it is something else."""
    for split in _list_splits():
        cells = [cell.strip().strip('"') for cell in split(line) if cell.strip()]
        if len(cells) > 1 and all(_number(cell) is None for cell in cells):
            return cells if _is_point([cell for cell in split(below) if cell.strip()]) else []
    return []


def _list_splits() -> tuple[Split, ...]:
    """Ways in which the names of columns are apart, the surest first."""
    return _by("\t"), _by(";"), _by(","), _by_gaps, _by_spaces


def _list_heads(lines: Sequence[str], vocabulary: Vocabulary) -> Iterator[tuple[Split, list[int]]]:
    """Lines that name the columns of a measurement, by the way in which they are split."""
    for split in _list_splits():
        heads = [at for at, line in enumerate(lines) if not _POINT.match(line) and vocabulary.read(split(line))]
        if heads:
            yield split, heads


def _read_spectrum(cells: Sequence[str]) -> list[Column]:
    """Columns of a header that names those of a spectrum."""
    columns = _read_headers(cells) if len(cells) > 2 else []
    return columns if find_way(columns) is not None else []


def _read_headers(cells: Sequence[str]) -> list[Column]:
    """Columns by their names, without those that are of nothing known."""
    return [column for index, cell in enumerate(cells) if (column := read_header(cell, index))]


IMPEDANCE = Vocabulary(_read_spectrum, add_unit, "spectrum", "frequency, Z' and Z''")


def _under_heads(lines: Sequence[str], heads: Sequence[int], split: Split, vocabulary: Vocabulary) -> Iterator[Block]:
    """Blocks under each of some headers."""
    done = 0
    for at, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        names = split(lines[at])
        for cut in (split, _by(";"), _by(","), str.split):  # a header in quotes can stand above rows of another kind
            runs, unread = _find_runs([cut(line) or [line] for line in lines[at + 1 : end]], len(names))
            if not runs or (cut is not split and np.median(runs[0].filled) > len(names)):
                continue
            _check_width(names, runs[0], by_spaces=split in (_by_spaces, _by_gaps) or cut is str.split)
            columns = _with_row_of_units(
                vocabulary.read(names),
                next((split(line) for line in lines[at + 1 : end] if line.strip()), []),
                vocabulary,
            )
            above = tuple(split(lines[at - 1])) if at else ()
            notes = (_note_unread(unread),) if unread else ()
            for number, run in enumerate(runs):
                first = at + 1 + run.start
                context = (*lines[done:at], *lines[at + 1 : first]) if not number else lines[done:first]
                yield Block(tuple(columns), np.array(run.rows, dtype=float), above, tuple(context),
                            notes if not number else (), number > 0)  # fmt: skip
                done = at + 1 + run.end
            break


def _check_width(names: Sequence[str], run: _Run, *, by_spaces: bool) -> None:
    """Refuse rows with more cells than names: which of them have none is not known; by spaces also with fewer."""
    cells = int(np.median(run.filled))
    if cells > len(names) or (by_spaces and cells < len(names)):
        raise SpectrumError(
            f"the header has {len(names)} names, and the rows below it {cells} cells",
            why=f"the names are {', '.join(name.strip() for name in names[:6])}", fix="Name every column.",
        )  # fmt: skip


def _note_unread(n: int) -> str:
    return f"the table ends before the file: {n} more lines of numbers are unread"


def _find_runs(cells: Sequence[Sequence[str]], width: int) -> tuple[list[_Run], int]:
    """Runs of lines of numbers, as wide as the header, and how many further lines of numbers belong to none of them.

    A row of a point that is not there, its cells empty or words such as ``n/a``, does not end a run, nor does an empty
    line. A line that names other columns ends the table.
    """
    runs: list[_Run] = []
    run: _Run | None = None
    for at, row in enumerate(cells):
        filled = [cell for cell in row if cell.strip()]
        if _is_point(filled):
            if run is None:
                run = _Run(at)
                runs.append(run)
            padded = [_number(cell) for cell in row]
            row_of_width = [np.nan if number is None else number for number in (padded + [None] * width)[:width]]
            run.add(at, row_of_width, len(filled))
        elif run and filled and all(_number(cell) is not None or _MISSING.fullmatch(cell.strip()) for cell in filled):
            run.add(at, [np.nan] * width)
        elif filled and runs:
            if len(filled) >= TABLE_CELLS:
                return runs, sum(_is_point([cell for cell in later if cell.strip()]) for later in cells[at:])
            run = None
    return runs, 0


def _with_row_of_units(columns: Sequence[Column], cells: Sequence[str], vocabulary: Vocabulary) -> list[Column]:
    """The columns with the units of the line below their names, where that is one of units, as Gamry writes it."""
    return [
        vocabulary.add_unit(column, cells[column.index])
        if column.index < len(cells) and not column.unit and _number(cells[column.index]) is None
        else column
        for column in columns
    ]


def _without_head(lines: Sequence[str], name: str, notes: list[str]) -> list[Block]:
    """Blocks of three columns or more that no header names: as wide as the longest one."""
    commas = not any(";" in line or "\t" in line for line in lines)  # else they stand in numbers
    runs = _find_bare_runs([re.split(r"[;,\s]+" if commas else r"[;\s]+", line.strip()) for line in lines])
    longest = max(runs, key=lambda run: len(run.rows), default=None)
    if longest is None:
        raise SpectrumError(
            f"{name} holds no spectrum",
            why="no line names a frequency and an impedance, and there are no three columns of numbers",
            fix="Export it as text with a header such as: frequency (Hz), Z' (ohm), Z'' (ohm).",
        )
    width = len(longest.rows[0])
    read = [run for run in runs if len(run.rows[0]) == width and (run is longest or len(run.rows) >= FEWEST)]
    notes.append(
        "no header names the columns: the first three were taken for frequency, Z' and Z'' "
        "(write a header where they are |Z| and phase)"
    )
    unread = sum(len(run.rows) for run in runs if not any(run is block for block in read))
    notes += [f"{unread} lines of numbers are unread"] if unread else []
    columns = tuple(Column(kind, index, name=f"column {index + 1}")
                    for index, kind in enumerate(("frequency", "real", "imaginary")))  # fmt: skip
    blocks, done = [], 0
    for number, run in enumerate(read):
        blocks.append(Block(columns, np.array(run.rows, dtype=float), context=tuple(lines[done : run.start]),
                            notes=tuple(notes) if not number else (), captioned=number > 0))  # fmt: skip
        done = run.end
    return blocks


def _find_bare_runs(cells: Sequence[Sequence[str]]) -> list[_Run]:
    runs: list[_Run] = []
    run: _Run | None = None
    for at, row in enumerate(cells):
        numbers = [number for number in map(_number, row) if number is not None]
        if len(numbers) < 3 or len(numbers) < len(row):
            run = run if not any(row) else None  # an empty line does not end it
            continue
        if run is None or len(run.rows[0]) != len(numbers):
            run = _Run(at)
            runs.append(run)
        run.add(at, numbers)
    return runs


def _refuse_others(lines: Sequence[str], name: str) -> None:
    """Columns of numbers are a spectrum only where no header says that they are something else."""
    for line in lines:
        cells = [cell.strip() for cell in re.split(r"[;,\t]|\s{2,}", line) if cell.strip()]
        columns = _read_headers(cells)
        foreign = sum(bool(_FOREIGN.search(cell.lower())) for cell in cells)
        frequency = any(column.kind.endswith("frequency") for column in columns)
        other = any(not column.kind.endswith(("frequency", "time")) for column in columns) or len(cells) > 2
        named = frequency and other and not any(_number(cell) is not None for cell in cells)
        if len(cells) > 1 and (foreign > 1 or named):
            raise SpectrumError(
                f"{name} holds no impedance",
                why=f"its columns are {', '.join(cells[:6])}",
                fix="Export frequency, Z' and Z'', or |Z| and phase, or Cp and D, named so.",
            )


def _without_thousands(lines: Sequence[str], notes: list[str]) -> Sequence[str]:
    """The lines without commas between thousands, where a comma and a point in one number show that they are such."""
    separated = [at for at, line in enumerate(lines) if ";" in line or "\t" in line]
    if not any(_THOUSANDS.search(lines[at]) for at in separated):
        return lines
    notes.append("commas in numbers were taken for separators of thousands")
    cleaned = list(lines)
    for at in separated:
        cleaned[at] = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", lines[at])
    return cleaned


def _is_point(filled: Sequence[str]) -> bool:
    """Whether the cells of a row are numbers, but for a few."""
    numbers = sum(_number(cell) is not None for cell in filled)
    return len(filled) >= 2 and numbers >= max(2, len(filled) - 3)


def _number(cell: str) -> float | None:
    text = cell.strip().strip('"')
    if not _NUMBER.match(text):
        return None
    return float(text.replace(",", ".").replace("D", "E").replace("d", "e"))


def _by(mark: str) -> Split:
    return lambda line: line.split(mark) if mark in line else []


def _by_gaps(line: str) -> list[str]:
    """Cells between two spaces or more, so that names may have one."""
    text = line.strip().strip('"').strip()
    return re.split(r"\s{2,}|\t", text) if "  " in text and not _has_marks(text) else []


def _by_spaces(line: str) -> list[str]:
    """Cells between spaces; a unit, in brackets, after a slash or by itself, belongs to the cell before it."""
    if _has_marks(line):
        return []
    first, *rest = re.split(r"\s+(?![(\[])", line.strip())
    cells = [first]
    for word in rest:
        if _UNIT.fullmatch(word) or cells[-1].endswith("/"):
            cells[-1] += f" {word}"
        else:
            cells.append(word)
    return cells


_UNIT = re.compile(
    r"/|/\s*[A-Za-zΩ°µμ%].*|[kKMGmµμ]?(?:Hz|[oO]hms?|OHM|Ω|Ω)(?:[./*·]?c?m\^?-?\d?)?|deg(?:rees?)?|°|°C|degC|[GMk]Pa|rad(?:/s)?"
)
"""Words that are a unit, and not the name of a column."""


def _has_marks(line: str) -> bool:
    """Whether a line has other separators, by which it was split before."""
    return max(line.count(mark) for mark in ",;\t") > 1
