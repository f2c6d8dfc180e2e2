"""Make a learning set without a database: candidate crystals from prototypes, in a table.

Usage: python scripts/own_learning_set.py candidates OUT.parquet [--n 4000] [--seed 0]

The table has the columns of a crystal table (material_id, formula, lattice, species, frac_coords) and the prototype.
The crystals are to be relaxed before anything is computed with them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from phonolyte.families import family
from phonolyte.features import featurize
from phonolyte.prototypes import candidates
from phonolyte.prototypes.candidates import shortest_bond
from phonolyte.structures import Crystal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("candidates", help="write candidate crystals to a table")
    command.add_argument("out", type=Path)
    command.add_argument("--n", type=int, default=4000)
    command.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    crystals = list(islice(candidates(seed=options.seed), options.n))
    table(crystals).to_parquet(options.out, index=False)
    describe(crystals)


def table(crystals: Sequence[Crystal]) -> pd.DataFrame:
    """The crystal table, with a column for the prototype."""
    return pd.DataFrame(
        {
            "material_id": [crystal.material_id for crystal in crystals],
            "formula": [crystal.formula for crystal in crystals],
            "lattice": [crystal.lattice.ravel().tolist() for crystal in crystals],
            "species": [crystal.symbols for crystal in crystals],
            "frac_coords": [crystal.frac_coords.ravel().tolist() for crystal in crystals],
            "prototype": [crystal.properties["prototype"] for crystal in crystals],
        }
    )


def describe(crystals: Sequence[Crystal]) -> None:
    """Print what there is, and what cannot be used."""
    elements = Counter(symbol for crystal in crystals for symbol in crystal.composition)
    shapes = Counter(crystal.properties["prototype"] for crystal in crystals)
    atoms = Counter(len(crystal) for crystal in crystals)
    bonds = [shortest_bond(crystal) for crystal in crystals]
    _, failures = featurize(crystals)
    print(f"{len(crystals)} crystals, {len({crystal.formula for crystal in crystals})} formulas")
    print(f"{len(elements)} elements: " + " ".join(f"{s} {n}" for s, n in elements.most_common()))
    print("families: " + ", ".join(f"{f} {n}" for f, n in Counter(map(family, crystals)).most_common()))
    print(f"{len(shapes)} prototypes, most: " + ", ".join(f"{s} {n}" for s, n in shapes.most_common(12)))
    print(
        f"atoms, median {np.median([len(c) for c in crystals]):g}: "
        + ", ".join(f"{k}: {atoms[k]}" for k in sorted(atoms))
    )
    print(f"shortest distance over covalent radii: {min(bonds):.2f} to {max(bonds):.2f}, median {np.median(bonds):.2f}")
    print(f"{len(failures)} without features", *(f"{f.material_id}: {f.message}" for f in failures[:10]), sep="\n")


if __name__ == "__main__":
    main()
