"""The ``.cell`` of CASTEP: read here, since ASE's reader starts the program to learn its keywords."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import ReadError
from phonolyte.structures.crystal import Crystal
from phonolyte.units import BOHR_A

A_PER_UNIT = {"ang": 1.0, "bohr": BOHR_A, "a0": BOHR_A, "nm": 10.0, "pm": 0.01, "cm": 1e8, "m": 1e10}


def crystal_from_castep(text: str, *, material_id: str = "") -> Crystal:
    """The crystal of a ``.cell``.

    Raises
    ------
    ReadError
        For a block that is missing, incomplete or not made of numbers, and a unit that is not one of lengths.
    """
    blocks = _blocks(text)
    lattice = _lattice(blocks)
    for name in ("positions_frac", "positions_abs"):
        if name in blocks:
            scale, rows = _unit(blocks[name])
            symbols = [re.split(r"[:\d]", row.split()[0])[0].capitalize() for row in rows]
            positions = np.array([_numbers(row.split()[1:4], name, 3) for row in rows]).reshape(-1, 3)
            if name == "positions_abs":
                positions = positions * scale @ np.linalg.pinv(lattice)
            occupancies = list(map(_occupancy, rows))
            return Crystal.from_arrays(material_id, lattice, symbols, positions, occupancies=occupancies)
    raise _incomplete("it has neither positions_frac nor positions_abs")


def _blocks(text: str) -> dict[str, list[str]]:
    """Lines of each block, less comments, by its name in small letters."""
    lines = [re.split(r"[!#;]", line)[0].strip() for line in text.splitlines()]
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in filter(None, lines):
        if match := re.fullmatch(r"%(end)?block\s+(\w+)", line, re.IGNORECASE):
            name = "" if match[1] else match[2].lower()
            if name:
                blocks[name] = []
        elif name:
            blocks[name].append(line)
    if name:
        raise _incomplete(f"the block {name} does not end")
    return blocks


def _lattice(blocks: dict[str, list[str]]) -> Floats:
    for name, width in (("lattice_cart", 3), ("lattice_abc", 3)):
        if name not in blocks:
            continue
        scale, rows = _unit(blocks[name])
        values = np.array([_numbers(row.split(), name, width) for row in rows])
        if values.shape == (3, 3) and name == "lattice_cart":
            return values * scale
        if values.shape == (2, 3) and name == "lattice_abc":
            from pymatgen.core.lattice import Lattice

            return np.array(Lattice.from_parameters(*(values[0] * scale), *values[1]).matrix)
        raise _incomplete(f"{name} has {len(values)} lines")
    raise _incomplete("it has neither lattice_cart nor lattice_abc")


def _occupancy(row: str) -> float:
    """Share of its site that an atom fills: ``MIXTURE:( 1 0.4)`` states it beside a number of the site."""
    if "mixture" not in row.lower():
        return 1.0
    match = re.search(r"mixture\s*[:=]?\s*\(?\s*\d+[\s,]+([\d.]+)\s*\)?", row, re.IGNORECASE)
    if match is None:
        raise _incomplete(f"a mixture is {row[:60]!r}")
    (share,) = _numbers([match[1]], "a mixture", 1)
    return share


def _unit(rows: Sequence[str]) -> tuple[float, Sequence[str]]:
    """Angstrom per unit of a block, and its other lines."""
    if rows and re.fullmatch(r"[A-Za-z]\w*", rows[0]):
        if rows[0].lower() not in A_PER_UNIT:
            raise _incomplete(f"{rows[0]!r:.20} is not a unit of length")
        return A_PER_UNIT[rows[0].lower()], rows[1:]
    return 1.0, rows


def _numbers(words: Sequence[str], name: str, count: int) -> list[float]:
    try:
        values = [float(re.sub(r"[dD]", "e", word)) for word in words[:count]]
    except ValueError:
        values = []
    if len(values) != count:
        raise _incomplete(f"a line of {name} is {' '.join(words)[:40]!r}")
    return values


def _incomplete(why: str) -> ReadError:
    return ReadError("the .cell of CASTEP cannot be read", why=why, fix="Correct the file, or write it again.")
