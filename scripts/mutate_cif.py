"""Change operations, cells and sites of CIFs at random: each file must be refused, or give the same crystal.

Usage: python scripts/mutate_cif.py [NUMBER [SEED]]

The files are those of the reference compounds as pymatgen writes them with their symmetry. What moves a site along a
coordinate that symmetry leaves free is another crystal, which no reader can distinguish from the right one, and is left
out.
"""

from __future__ import annotations

import random
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
from pymatgen.io.cif import CifWriter

from phonolyte.errors import PhonolyteError
from phonolyte.references import reference_compounds
from phonolyte.structures import Crystal
from phonolyte.structures.cif import blocks_with_a_cell, crystal_from_cif

Lines = list[str]
Change = Callable[[Lines, random.Random], None]

LARGEST = 60
"""Atoms of the largest crystal that is written."""

APART_A = 0.1

FRACTIONS = ("+1/2", "+1/4", "+1/3", "+1/6", "+1/5", "+0.3", "")


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    counts, wrong = mutate(number, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for (change, result), n in sorted(counts.items()):
        print(f"{change:20s} {result:10s} {n}")
    for text in wrong[:3]:
        print(text)
    sys.exit(bool(wrong))


def mutate(number: int, seed: int) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Read changed files: how often each change was refused or harmless, and the texts that gave another crystal."""
    chosen, counts, wrong = random.Random(seed), Counter[tuple[str, str]](), []
    originals = [(text, read(text)) for text in texts()]
    for _ in range(number):
        text, original = chosen.choice(originals)
        name = chosen.choice(list(CHANGES))
        lines = text.splitlines()
        CHANGES[name](lines, chosen)
        changed = "\n".join(lines) + "\n"
        try:
            result = "equal" if are_equal(read(changed), original) else "OTHER"
        except PhonolyteError:
            result = "refused"
        counts[name, result] += 1
        if result == "OTHER":
            wrong.append(f"# {name}\n{changed}")
    return counts, wrong


def texts() -> list[str]:
    """CIFs of the reference compounds, with their symmetry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = [crystal for crystal in reference_compounds().crystals if len(crystal) <= LARGEST]
        return [str(CifWriter(crystal.to_pymatgen(), symprec=0.01)) for crystal in small]


def read(text: str) -> Crystal:
    """The crystal of a CIF of one block."""
    (block,) = blocks_with_a_cell(text)
    return crystal_from_cif(block, material_id="x")


def are_equal(a: Crystal, b: Crystal) -> bool:
    """Whether two crystals have the same cell, but for the last digits, and the same atoms at the same places."""
    if len(a) != len(b) or not np.allclose(a.lattice, b.lattice, rtol=0.01, atol=0.05):
        return False
    offsets = a.frac_coords[:, None] - b.frac_coords[None]
    distances = np.linalg.norm((offsets - np.round(offsets)) @ b.lattice, axis=2)
    near = (distances < APART_A) & (a.numbers[:, None] == b.numbers[None])
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


def operations(lines: Lines) -> list[int]:
    """Numbers of the lines with an operation."""
    return [i for i, line in enumerate(lines) if re.match(r"\s*\d+\s+'", line)]


def sites(lines: Lines) -> list[int]:
    """Numbers of the lines with a site."""
    return [i for i, line in enumerate(lines) if re.match(r"\s+[A-Z][a-z]?\S*\s+[A-Z][a-z]?\d+\s+\d+\s", line)]


def of_operation(edit: Callable[[str, random.Random], str]) -> Change:
    def change(lines: Lines, chosen: random.Random) -> None:
        line = chosen.choice(operations(lines))
        number, triplet = lines[line].split("'")[:2]
        lines[line] = f"{number}'{edit(triplet, chosen)}'"

    return change


def of_value(tag: str, edit: Callable[[float, random.Random], object]) -> Change:
    def change(lines: Lines, chosen: random.Random) -> None:
        line = chosen.choice([i for i, text in enumerate(lines) if text.startswith(tag)])
        name, value = lines[line].split()
        lines[line] = f"{name}   {edit(float(value), chosen)}"

    return change


def of_site(column: int, values: tuple[str, ...]) -> Change:
    def change(lines: Lines, chosen: random.Random) -> None:
        line = chosen.choice(sites(lines))
        words = lines[line].split()
        words[column] = chosen.choice([value for value in values if value != words[column]])
        lines[line] = "  " + "  ".join(words)

    return change


def without_a_line(where: Callable[[Lines], list[int]]) -> Change:
    def change(lines: Lines, chosen: random.Random) -> None:
        del lines[chosen.choice(where(lines))]

    return change


def with_a_line_twice(where: Callable[[Lines], list[int]]) -> Change:
    def change(lines: Lines, chosen: random.Random) -> None:
        line = chosen.choice(where(lines))
        lines.insert(line, lines[line])

    return change


def flip_sign(triplet: str, chosen: random.Random) -> str:
    match = chosen.choice(list(re.finditer(r"[+-]?[xyz]", triplet)))
    sign = "+" if match[0].startswith("-") else "-"
    return triplet[: match.start()] + sign + match[0][-1] + triplet[match.end() :]


def swap_letter(triplet: str, chosen: random.Random) -> str:
    place = chosen.choice([i for i, letter in enumerate(triplet) if letter in "xyz"])
    return triplet[:place] + chosen.choice("xyz") + triplet[place + 1 :]


def change_fraction(triplet: str, chosen: random.Random) -> str:
    parts = triplet.split(",")
    axis = chosen.randrange(3)
    parts[axis] = re.sub(r"[+-]\d/\d", "", parts[axis]) + chosen.choice(
        ["+1/2", "+1/4", "+1/3", "+1/6", "+1/5", "+0.3", ""]
    )
    return ",".join(parts)


def spoil(triplet: str, chosen: random.Random) -> str:
    place = chosen.randrange(len(triplet))
    return triplet[:place] + chosen.choice("abcqw0*()?;~") + triplet[place + chosen.randrange(2) :]


CHANGES: dict[str, Change] = {
    "operation missing": without_a_line(operations),
    "operation twice": with_a_line_twice(operations),
    "sign": of_operation(flip_sign),
    "letter": of_operation(swap_letter),
    "fraction": of_operation(change_fraction),
    "operation spoilt": of_operation(spoil),
    "edge": of_value("_cell_length", lambda value, chosen: value * chosen.choice([0.5, 0.9, 0.97, 1.03, 1.1, 2, 10])),
    "angle": of_value("_cell_angle", lambda value, chosen: value + chosen.choice([-60, -30, -5, -3, 3, 5, 30, 60])),
    "cell spoilt": of_value("_cell_", lambda _, chosen: chosen.choice("? . -1 0 nan 4..2 4,2 1e400".split())),
    "volume": of_value("_cell_volume", lambda value, chosen: value * chosen.choice([0.5, 2, 3, 4])),
    "Z": of_value("_cell_formula_units_Z", lambda value, chosen: int(value * chosen.choice([2, 3, 4]))),
    "site missing": without_a_line(sites),
    "site twice": with_a_line_twice(sites),
    "element": of_site(0, ("Li", "Na", "O", "S", "Cl", "Fe", "Zr")),
    "type spoilt": of_site(0, ("OH", "Wat", "Xx", "D", "?1", "Q", "CO", "Li/Na", "M")),
    "multiplicity": of_site(2, ("1", "2", "4", "7", "96")),
    "coordinate spoilt": of_site(4, (".", "?", "x", "0..5", "1/3", "nan", "1e999", "0.5x", "-")),
    "occupancy": of_site(6, ("0.5", "1.3", "-1", "x", "0", "0.98", "2")),
}  # fmt: skip


if __name__ == "__main__":
    main()
