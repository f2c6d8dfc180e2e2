"""Make a learning set without a database: from prototypes, over phonons, to the tables in the package.

Usage:
    python scripts/own_learning_set.py candidates OUT.parquet [--n 4000] [--seed 0]
    phonolyte phonons OUT.parquet --engine dpa4 --limit-s 300 -o RUN/
    python scripts/own_learning_set.py pack OUT.parquet RUN/

The first writes candidate crystals, a crystal table with the prototype of each, which are to be relaxed before anything
is computed with them. The second takes hours, and can be killed and run again. The third
selects what is dynamically stable and not a repetition, and writes the tables that come with the package, with their
card.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte import learning_set
from phonolyte.dos.table import FINEST, write_densities
from phonolyte.features import featurize
from phonolyte.learning_set import crystals_file, densities_file, folder
from phonolyte.phonons.calculation import read_density
from phonolyte.prototypes import candidates
from phonolyte.prototypes.candidates import shortest_bond
from phonolyte.structures import Crystal, read
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.families import family

SOFTEST_MEV = 2.0
"""Highest mode below which atoms do not hold together (the softest solids have 8 meV)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("candidates", help="write candidate crystals to a table")
    command.add_argument("out", type=Path)
    command.add_argument("--n", type=int, default=4000)
    command.add_argument("--seed", type=int, default=0)
    command = commands.add_parser("pack", help="write the tables of the package from a run folder of phonons")
    command.add_argument("candidates", type=Path)
    command.add_argument("run", type=Path)
    options = parser.parse_args()
    if options.command == "candidates":
        crystals = list(islice(candidates(seed=options.seed), options.n))
        make_table(crystals).to_parquet(options.out, index=False)
        print_summary(crystals)
    else:
        pack(options.candidates, options.run)


def make_table(crystals: Sequence[Crystal]) -> pd.DataFrame:
    """Make the crystal table, with a column for the prototype."""
    return pd.DataFrame([{**crystal.row(), "prototype": crystal.properties["prototype"]} for crystal in crystals])


def pack(candidates: Path, run: Path) -> None:
    """Select the stable crystals that repeat no other, and write them, their densities and the card."""
    prototype = pd.read_parquet(candidates, columns=["material_id", "prototype"]).set_index("material_id")["prototype"]
    phonons = pd.read_parquet(run / "phonons.parquet").set_index("material_id")
    relaxed = {crystal.material_id: crystal for crystal in read(run / "relaxed.parquet").crystals}
    cohesive = phonons["highest_mode_mev"] >= SOFTEST_MEV
    stable = [relaxed[name] for name in phonons.index[phonons["stable"] & cohesive]]
    unique = [crystal for crystal, first in zip(stable, find_duplicates(stable), strict=True) if not first]
    rows = []
    for crystal in unique:
        values = phonons.loc[crystal.material_id]
        rows.append(
            {
                **crystal.row(),
                "prototype": prototype[crystal.material_id],
                **{name: float(values[name]) for name in ("band_center_mev", "lowest_mode_mev", "highest_mode_mev")},
            }
        )
    folder().mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(crystals_file(), index=False, compression="zstd", compression_level=19)
    densities = (read_density(run, crystal.material_id, crystal.formula) for crystal in unique)
    write_densities(
        (replace(dos, n_atoms=float(len(crystal))) for dos, crystal in zip(densities, unique, strict=True)),
        densities_file(),
    )
    counts = {
        "computed": len(phonons),
        "failed": len(pd.read_parquet(run / "failures.parquet")),
        "unstable": int((~phonons["stable"]).sum()),
        "apart": int((phonons["stable"] & ~cohesive).sum()),
        "repetitions": len(stable) - len(unique),
    }
    record = tomllib.loads((run / "run.toml").read_text())
    (folder() / "card.md").write_text(render_card(unique, pd.DataFrame(rows), counts, record), encoding="utf-8")
    print_summary(learning_set.crystals().crystals)
    print(counts, {path.name: path.stat().st_size for path in folder().iterdir()})


def render_card(crystals: Sequence[Crystal], rows: pd.DataFrame, counts: dict[str, int], run: dict[str, Any]) -> str:
    """Return the data card, from ``run.toml`` of the phonons."""
    engine, settings = run["engine"], run["settings"]["settings"]
    families = Counter(map(family, crystals))
    elements = Counter(symbol for crystal in crystals for symbol in crystal.composition)
    center = rows["band_center_mev"]
    return f"""# Data card: the learning set of Phonolyte

{len(rows)} crystals, {rows["formula"].nunique()} formulas, {len(elements)} elements, {elements["Li"]} crystals with Li;
total phonon band centers of {center.min():.1f} to {center.max():.1f} meV (mean {center.mean():.1f}, standard deviation
{center.std():.1f}). All of it was computed by Phonolyte; nothing was taken from a database.

## How it was made

1. **Candidates** by `scripts/own_learning_set.py candidates`: prototypes (pymatgen's AFLOW prototypes and the reference
   compounds of Phonolyte) with their own elements, and with others that are likely in their place; cells of at most
   16 atoms, scaled to the sum of ionic radii.
2. **Phonons** by `phonolyte phonons --engine {engine["name"]}` (weights {engine.get("weights", "?")}, sha256
   {engine.get("weights_sha256", "?")}; deepmd-kit {engine.get("deepmd-kit", "?")}): the primitive cell relaxed to
   {settings["fmax_ev_a"]:g} eV/angstrom with its symmetry kept; displacements of {settings["displacement_a"]:g}
   angstrom in supercells with images at least {settings["min_length_a"]:g} angstrom apart; density of states by
   tetrahedra on a mesh of {settings["mesh_length_a"]:g} angstrom. No non-analytical correction.
3. **Kept** is what has no mode below -{settings["tolerance_mev"]:g} meV and repeats no other crystal. Of
   {counts["computed"] + counts["failed"]} candidates {counts["failed"]} failed (mostly relaxations that did not
   converge, or took longer than they may), {counts["unstable"]} were dynamically unstable,
   {counts["apart"]} had come apart (no mode above {SOFTEST_MEV:g} meV), and {counts["repetitions"]} repeated another.

## What is in it

`crystals.parquet`: a crystal table (angstrom) with `prototype`, `band_center_mev`, `lowest_mode_mev` and
`highest_mode_mev`. `dos.parquet`: the density of each element, {FINEST} being `highest_per_mev`; the total is their
sum, 3 states an atom. Read both with `phonolyte.learning_set`.

- **Families**: {", ".join(f"{name} {n}" for name, n in families.most_common())}.
- **Elements**: {", ".join(f"{name} {n}" for name, n in elements.most_common())}.

## What it is not

The potential is a model of density functional theory (PBE), not that theory: its centers were a few percent below those
of PBEsol phonons of the same compounds, and some elements are worse than others. Prototypes are small and ordered;
most crystals in it have never been made, and that they are dynamically stable does not mean that they can be. The
symmetry was kept, so a lower-symmetry ground state was not looked for. Magnetism was not treated.
"""


def print_summary(crystals: Sequence[Crystal]) -> None:
    """Print numbers of crystals and elements, and what cannot be used."""
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
