"""Read the CIFs of a folder, and compare each block site by site with gemmi and ASE.

Usage: python scripts/compare_cifs.py FOLDER

Each block is `equal` (the atoms that gemmi or ASE has, within 0.1 angstrom), `refused` with its reason, or `differs`.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import gemmi
import numpy as np
from ase.io import read as read_with_ase

from phonolyte.arrays import Floats
from phonolyte.errors import PhonolyteError, first_line
from phonolyte.structures.asymmetric_unit import Contents
from phonolyte.structures.cif import blocks_with_a_cell, contents_from_cif

APART_A = 0.1

Sites = tuple[Sequence[str], Floats]


def main() -> None:
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    for path in sorted(Path(sys.argv[1]).rglob("*.*cif")):
        for result, why in compare(path):
            counts[result] += 1
            if result not in ("equal to gemmi and ASE", "equal to gemmi"):
                print(f"{path.name}: {result} {why}")
    print(dict(counts))


def compare(path: Path) -> Iterator[tuple[str, str]]:
    text = path.read_text(errors="replace")
    try:
        blocks = blocks_with_a_cell(text)
        peers = {"gemmi": list(list_gemmi_sites(text)), "ASE": list(list_ase_sites(path))}
    except PhonolyteError as error:
        yield "refused", str(error)
        return
    for number, block in enumerate(blocks):
        try:
            contents = contents_from_cif(block)
        except PhonolyteError as error:
            yield "refused", str(error)
            continue
        same = [name for name, sites in peers.items() if number < len(sites) and are_equal(contents, sites[number])]
        yield (f"equal to {' and '.join(same)}" if same else "differs"), f"{len(contents.elements)} sites"


def list_gemmi_sites(text: str) -> Iterator[Sites]:
    for block in gemmi.cif.read_string(text.encode("ascii", "replace"), 0):
        if not block.find_value("_cell_length_a"):
            continue
        sites = gemmi.make_small_structure_from_block(block).get_all_unit_cell_sites()
        yield [site.element.name for site in sites], np.array([site.fract.tolist() for site in sites]).reshape(-1, 3)


def list_ase_sites(path: Path) -> Iterator[Sites]:
    try:
        frames = read_with_ase(path, index=":", format="cif")
    except Exception as error:  # whatever ASE raises at a file that it cannot read
        print(f"{path.name}: ASE: {first_line(error)[:80]}", file=sys.stderr)
        return
    for atoms in frames:
        yield atoms.get_chemical_symbols(), atoms.get_scaled_positions()


def are_equal(contents: Contents, sites: Sites) -> bool:
    """Whether each site of one crystal has one of the other at its position, of the same element."""
    symbols, positions = sites
    if not symbols:
        return False
    offsets = contents.positions[:, None] - positions[None]
    near = np.linalg.norm((offsets - np.round(offsets)) @ contents.lattice, axis=2) < APART_A
    near &= np.array(contents.elements)[:, None] == np.array(symbols)[None]
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


if __name__ == "__main__":
    main()
