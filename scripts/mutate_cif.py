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
    """Read changed files; return counts of refused and equal ones, and the texts that gave another crystal."""
    rng, counts, wrong = random.Random(seed), Counter[tuple[str, str]](), []
    originals = [(text, read(text)) for text in make_cifs()]
    for _ in range(number):
        text, original = rng.choice(originals)
        name = rng.choice(list(CHANGES))
        lines = text.splitlines()
        CHANGES[name](lines, rng)
        changed = "\n".join(lines) + "\n"
        try:
            result = "equal" if are_equal(read(changed), original) else "OTHER"
        except PhonolyteError:
            result = "refused"
        counts[name, result] += 1
        if result == "OTHER":
            wrong.append(f"# {name}\n{changed}")
    return counts, wrong


def make_cifs() -> list[str]:
    """Make the CIFs of the reference compounds, with their symmetry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = [crystal for crystal in reference_compounds().crystals if len(crystal) <= LARGEST]
        return [str(CifWriter(crystal.to_pymatgen(), symprec=0.01)) for crystal in small]


def read(text: str) -> Crystal:
    """Read the crystal of a CIF of one block."""
    (block,) = blocks_with_a_cell(text)
    return crystal_from_cif(block, material_id="x")


def are_equal(a: Crystal, b: Crystal) -> bool:
    """Whether two crystals have the same cell, but for the last digits, and the same atoms at the same positions."""
    if len(a) != len(b) or not np.allclose(a.lattice, b.lattice, rtol=0.01, atol=0.05):
        return False
    offsets = a.frac_coords[:, None] - b.frac_coords[None]
    distances = np.linalg.norm((offsets - np.round(offsets)) @ b.lattice, axis=2)
    near = (distances < APART_A) & (a.numbers[:, None] == b.numbers[None])
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


def list_operations(lines: Lines) -> list[int]:
    """Return the numbers of the lines with an operation."""
    return [i for i, line in enumerate(lines) if re.match(r"\s*\d+\s+'", line)]


def list_sites(lines: Lines) -> list[int]:
    """Return the numbers of the lines with a site."""
    return [i for i, line in enumerate(lines) if re.match(r"\s+[A-Z][a-z]?\S*\s+[A-Z][a-z]?\d+\s+\d+\s", line)]


def change_operation(edit: Callable[[str, random.Random], str]) -> Change:
    def change(lines: Lines, rng: random.Random) -> None:
        line = rng.choice(list_operations(lines))
        number, triplet = lines[line].split("'")[:2]
        lines[line] = f"{number}'{edit(triplet, rng)}'"

    return change


def change_value(tag: str, edit: Callable[[float, random.Random], object]) -> Change:
    def change(lines: Lines, rng: random.Random) -> None:
        line = rng.choice([i for i, text in enumerate(lines) if text.startswith(tag)])
        name, value = lines[line].split()
        lines[line] = f"{name}   {edit(float(value), rng)}"

    return change


def change_site(column: int, values: tuple[str, ...]) -> Change:
    def change(lines: Lines, rng: random.Random) -> None:
        line = rng.choice(list_sites(lines))
        words = lines[line].split()
        words[column] = rng.choice([value for value in values if value != words[column]])
        lines[line] = "  " + "  ".join(words)

    return change


def remove_line(where: Callable[[Lines], list[int]]) -> Change:
    def change(lines: Lines, rng: random.Random) -> None:
        del lines[rng.choice(where(lines))]

    return change


def repeat_line(where: Callable[[Lines], list[int]]) -> Change:
    def change(lines: Lines, rng: random.Random) -> None:
        line = rng.choice(where(lines))
        lines.insert(line, lines[line])

    return change


def flip_sign(triplet: str, rng: random.Random) -> str:
    match = rng.choice(list(re.finditer(r"[+-]?[xyz]", triplet)))
    sign = "+" if match[0].startswith("-") else "-"
    return triplet[: match.start()] + sign + match[0][-1] + triplet[match.end() :]


def swap_letter(triplet: str, rng: random.Random) -> str:
    index = rng.choice([i for i, letter in enumerate(triplet) if letter in "xyz"])
    return triplet[:index] + rng.choice("xyz") + triplet[index + 1 :]


def change_fraction(triplet: str, rng: random.Random) -> str:
    parts = triplet.split(",")
    axis = rng.randrange(3)
    parts[axis] = re.sub(r"[+-]\d/\d", "", parts[axis]) + rng.choice(
        ["+1/2", "+1/4", "+1/3", "+1/6", "+1/5", "+0.3", ""]
    )
    return ",".join(parts)


def spoil(triplet: str, rng: random.Random) -> str:
    index = rng.randrange(len(triplet))
    return triplet[:index] + rng.choice("abcqw0*()?;~") + triplet[index + rng.randrange(2) :]


CHANGES: dict[str, Change] = {
    "operation missing": remove_line(list_operations),
    "operation twice": repeat_line(list_operations),
    "sign": change_operation(flip_sign),
    "letter": change_operation(swap_letter),
    "fraction": change_operation(change_fraction),
    "operation spoiled": change_operation(spoil),
    "edge": change_value("_cell_length", lambda value, rng: value * rng.choice([0.5, 0.9, 0.97, 1.03, 1.1, 2, 10])),
    "angle": change_value("_cell_angle", lambda value, rng: value + rng.choice([-60, -30, -5, -3, 3, 5, 30, 60])),
    "cell spoiled": change_value("_cell_", lambda _, rng: rng.choice("? . -1 0 nan 4..2 4,2 1e400".split())),
    "volume": change_value("_cell_volume", lambda value, rng: value * rng.choice([0.5, 2, 3, 4])),
    "Z": change_value("_cell_formula_units_Z", lambda value, rng: int(value * rng.choice([2, 3, 4]))),
    "site missing": remove_line(list_sites),
    "site twice": repeat_line(list_sites),
    "element": change_site(0, ("Li", "Na", "O", "S", "Cl", "Fe", "Zr")),
    "type spoiled": change_site(0, ("OH", "Wat", "Xx", "D", "?1", "Q", "CO", "Li/Na", "M")),
    "multiplicity": change_site(2, ("1", "2", "4", "7", "96")),
    "coordinate spoiled": change_site(4, (".", "?", "x", "0..5", "1/3", "nan", "1e999", "0.5x", "-")),
    "occupancy": change_site(6, ("0.5", "1.3", "-1", "x", "0", "0.98", "2")),
}  # fmt: skip


if __name__ == "__main__":
    main()
