"""POSCAR, CONTCAR and XDATCAR as VASP reads them, and those of version 4 where something names the elements."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.formulas import composition_of
from phonolyte.errors import ReadError, StructureError
from phonolyte.structures.crystal import Crystal

MOST_DIGITS = 9
"""Digits of a number of atoms that can be one."""


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The lines before the positions.

    Attributes
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    scale
        (3,) factors of Cartesian components.
    symbols
        Element of each kind of atoms; empty where line 6 does not name them.
    counts
        Atoms of each kind.
    comment
        Line 1.
    lines
        Number of lines that it takes.
    """

    lattice: Floats
    scale: Floats
    symbols: tuple[str, ...]
    counts: tuple[int, ...]
    comment: str
    lines: int


def crystal_from_poscar(text: str, *, material_id: str = "") -> Crystal:
    """The crystal of a POSCAR or CONTCAR.

    Raises
    ------
    ReadError
        For a line that is not what it has to be, and for a file that names no elements.
    """
    lines = text.splitlines()
    header = _header(lines)
    start = header.lines
    if (_words(lines, start) or [""])[0][:1] in ("s", "S"):
        start += 1
    mode = (_words(lines, start) or [""])[0][:1]
    if mode not in ("d", "D", "c", "C", "k", "K"):
        raise _wrong(start, lines, "has to say Direct or Cartesian")
    positions, names = _sites(lines, start + 1, sum(header.counts))
    species = _species(header, names)
    if mode in ("c", "C", "k", "K"):
        positions = positions * header.scale @ np.linalg.inv(header.lattice)
    return Crystal.from_arrays(material_id, header.lattice, species, positions)


def frames_of_xdatcar(text: str) -> list[Callable[[str], Crystal]]:
    """What makes the crystal of each frame of an XDATCAR under a name; it raises for a frame that is cut short.

    Raises
    ------
    ReadError
        For a header that cannot be read, and a file without frames.
    """
    lines = text.splitlines()
    header = _header(lines)
    frames: list[Callable[[str], Crystal]] = []
    line = header.lines
    while line < len(lines):
        if not lines[line].strip():
            line += 1
        elif re.match(r"\s*direct configuration\s*=", lines[line], re.IGNORECASE):
            frames.append(partial(_frame, lines, header, line + 1))
            line += 1 + sum(header.counts)
        else:  # a cell that changes has a header of its own in each frame
            header = _header(lines[line:])
            line += header.lines
    if not frames:
        raise ReadError("the XDATCAR holds no frame", why="it ends after its header", fix="Get the whole file.")
    return frames


def _frame(lines: Sequence[str], header: Header, start: int, material_id: str) -> Crystal:
    positions, names = _sites(lines, start, sum(header.counts))
    return Crystal.from_arrays(material_id, header.lattice, _species(header, names), positions)


def _header(lines: Sequence[str]) -> Header:
    scale = _numbers(lines, 1, (1, 3), "has to be a scale factor, or three")
    if len(scale) != len(_words(lines, 1)):
        raise _wrong(1, lines, "has to be a scale factor, or three")
    lattice = np.array([_numbers(lines, line, (3,), "has to be a lattice vector")[:3] for line in (2, 3, 4)])
    if len(scale) == 1 and scale[0] < 0.0:  # the volume
        determinant = abs(np.linalg.det(lattice))
        scale = np.array([np.cbrt(-scale[0] / determinant) if determinant else 1.0])
    factors = np.broadcast_to(scale, 3)
    words = _words(lines, 5)
    symbols: tuple[str, ...] = ()
    if words and not words[0].isdecimal():
        symbols = tuple(_element(word) for word in words)
    at = 6 if symbols else 5
    counts = _words(lines, at)
    if not counts or not all(word.isdecimal() and len(word) <= MOST_DIGITS for word in counts):
        raise _wrong(at, lines, "has to count the atoms of each element")
    if symbols and len(symbols) != len(counts):
        raise ReadError(
            "elements and counts do not fit", why=f"{len(symbols)} elements, {len(counts)} counts", fix="Correct them."
        )
    return Header(lattice * factors, factors, symbols, tuple(map(int, counts)), lines[0].strip(), at + 1)


def _sites(lines: Sequence[str], start: int, count: int) -> tuple[Floats, list[str]]:
    """Positions (n, 3), and the element at the end of each line; empty where there is none."""
    if start + count > len(lines):
        raise ReadError(
            "the file ends too early",
            why=f"it counts {count} atoms and has {max(len(lines) - start, 0)} lines of positions",
            fix="Copy it again, or correct the counts.",
        )
    positions = np.array([_numbers(lines, line, (3,), "has to be a position") for line in range(start, start + count)])
    ends = [_words(lines, line)[3:] for line in range(start, start + count)]
    ends = [end[3:] if end[:3] and set(end[:3]) <= {"T", "F"} and len(end) > 2 else end for end in ends]
    return positions.reshape(-1, 3), [end[-1] if end and end[-1] in ATOMIC_NUMBERS else "" for end in ends]


def _species(header: Header, names: Sequence[str]) -> list[str]:
    """Element of each atom: from line 6, else from line 1 or the ends of the lines where they fit the counts.

    Raises
    ------
    ReadError
        Where nothing names the elements, or what does contradicts.
    """
    symbols = header.symbols or _of_comment(header)
    if not symbols and all(names):
        symbols = tuple(names[index] for index in np.cumsum((0, *header.counts[:-1])))
    if not symbols:
        raise ReadError(
            "the file names no elements",
            why="line 6 gives counts only, as in VASP 4, and line 1 does not fit them",
            fix="Write the element symbols on a line before the counts (VASP 5 format).",
        )
    species = [symbol for symbol, count in zip(symbols, header.counts, strict=True) for _ in range(count)]
    wrong = next((i for i, (a, b) in enumerate(zip(species, names, strict=True)) if b and a != b), None)
    if wrong is not None:
        raise ReadError(
            f"atom {wrong + 1} has two elements",
            why=f"the head of the file says {species[wrong]}, its line ends with {names[wrong]}",
            fix="Correct the one that is wrong.",
        )
    return species


def _of_comment(header: Header) -> tuple[str, ...]:
    """Elements of line 1: symbols, or a formula, that fit the counts; empty where it is something else."""
    words = header.comment.split()
    if len(words) == len(header.counts) and all(word in ATOMIC_NUMBERS for word in words):
        return tuple(words)
    try:
        formula = composition_of(header.comment)
    except StructureError:
        return ()
    ratios = {count / amount for count, amount in zip(header.counts, formula.values(), strict=False)}
    return tuple(formula) if len(formula) == len(header.counts) and len(ratios) == 1 else ()


def _element(word: str) -> str:
    """Element of a word of line 6, which may go on as names of potentials do: ``Li_sv``, ``O/a1b2c3``."""
    symbol = re.split(r"[_/.]", word)[0]
    if symbol in ATOMIC_NUMBERS:
        return symbol
    hint = f": {symbol.capitalize()} would be" if symbol.capitalize() in ATOMIC_NUMBERS else ""
    raise ReadError(
        f"line 6 has to name the elements, and {word[:20]!r} is not one{hint}", fix="Correct the symbol in the file."
    )


def _words(lines: Sequence[str], line: int) -> list[str]:
    """Words of a line, less a comment."""
    return re.split(r"[!#]", lines[line])[0].split() if line < len(lines) else []


def _numbers(lines: Sequence[str], line: int, lengths: tuple[int, ...], why: str) -> Floats:
    """The leading numbers of a line, as many as one of the lengths."""
    values = []
    for word in _words(lines, line):
        try:
            values.append(float(re.sub(r"[dD]", "e", word)))
        except ValueError:
            break
    length = max((length for length in lengths if length <= len(values)), default=0)
    if not length or not np.isfinite(values[:length]).all():
        raise _wrong(line, lines, why)
    return np.array(values[:length])


def _wrong(line: int, lines: Sequence[str], why: str) -> ReadError:
    if line >= len(lines):
        return ReadError("the file ends too early", why=f"line {line + 1} is missing: it {why}", fix="Copy it again.")
    text = lines[line].strip()[:40]
    empty = line == 1 and not lines[0].strip()
    fix = "Remove the empty line before the comment." if empty else "Correct the line."
    return ReadError(f"line {line + 1} of the file {why}", why=f"it is {text!r}", fix=fix)
