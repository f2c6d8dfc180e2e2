"""Add what the learning set of the package lacks: crystals that the loop chooses, with phonons by a licensed potential.

Usage:
    python scripts/grown_learning_set.py candidates LI_STRUCTURES.parquet LI_TABLE.csv.gz OUT.parquet [N]
    python scripts/grown_learning_set.py conductors OUT.parquet
    phonolyte phonons OUT.parquet --engine nequix --ion Li --calibration none -o RUN/
    python scripts/grown_learning_set.py pack CALIBRATION.json CRYSTALS.parquet RUN/ [CRYSTALS.parquet RUN/ ...]

The first chooses N (160) crystals by the embedded model's expected gain among compounds with hydrogen, carbon or
nitrogen and elpasolites of the Materials Project (CC BY 4.0; at most 0.1 eV/atom above the hull), and elpasolites,
double, nitride and hydride perovskites, antiperovskites and rock salts made here, their cells by ionic radii. The
second writes ordered models of the disordered conductors that come with the package. The last one writes the
crystals in their original cells, with calibrated centers; unstable ones stay, with the share of imaginary modes as a
known error. Runs may be unfinished, and are added to the existing crystals.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from ase.spacegroup import crystal as from_spacegroup

from phonolyte.centers import computed_centers
from phonolyte.chemistry.formulas import shares_of
from phonolyte.learning_set import grown_file
from phonolyte.loop import choose_crystals
from phonolyte.loop.learning import Known, read_known, write_known
from phonolyte.models import BandCenterModel
from phonolyte.phonons.calibration import Calibration
from phonolyte.references import DISORDERED, ordered_models, records, reference_compound
from phonolyte.runs.records import read_json, write_crystals
from phonolyte.stability.shipped import CRYSTALS, phases_folder
from phonolyte.structures import Crystal, read
from phonolyte.structures.families import HALOGENS, family, is_elpasolite
from phonolyte.structures.ordering import order

E_HULL_EV, MOST_ATOMS = 0.1, 40
HARD = ("H", "C", "N")
ALKALI, ALKALINE_EARTHS = ("Cs", "Rb", "K"), ("Ca", "Sr", "Ba")

RADII_A = {
    "Cs": 1.67, "Rb": 1.52, "K": 1.38, "Na": 1.02, "Li": 0.76, "Ag": 1.15, "Mg": 0.72, "Ca": 1.0, "Sr": 1.18,
    "Ba": 1.35, "Zn": 0.74, "Cd": 0.95, "Al": 0.535, "Ga": 0.62, "In": 0.8, "Sc": 0.745, "Y": 0.9, "La": 1.03,
    "Ce": 1.01, "Pr": 0.99, "Nd": 0.98, "Sm": 0.96, "Eu": 1.17, "Gd": 0.94, "Lu": 0.86, "Bi": 1.03, "Sb": 0.76,
    "Cr": 0.615, "W": 0.6, "Mo": 0.59, "Te": 0.56, "Re": 0.55, "Nb": 0.64, "Ta": 0.64, "Ti": 0.605, "Zr": 0.72,
    "Hf": 0.71, "As": 0.46, "P": 0.44, "Ge": 0.53, "Sn": 0.69, "F": 1.33, "Cl": 1.81, "Br": 1.96, "I": 2.2, "O": 1.4,
    "N": 1.46, "C": 1.6, "H": 1.4,
}  # fmt: skip
"""Radii of the starting cells, angstrom (Shannon's for six neighbors; Sb5+ has 0.6); relaxed afterward."""

CARD = """\
# Data card: crystals by which the learning set has grown

- **What**: {n} crystals ({unstable} with a mode below -1 meV), chosen by what their phonons would tell the embedded
  model of the band center: hydrides, carbides, nitrides, other compounds with these elements and elpasolites of the
  Materials Project (Jain et al., 10.1063/1.4812323, CC BY 4.0; at most 0.1 eV/atom above the hull), and elpasolites,
  double, nitride and hydride perovskites, antiperovskites and rock salts that were built. {conductors} are ordered
  models of disordered conductors.
- **Families**: {families}.
- **Phonons** by {engine}: the primitive cell relaxed with its symmetry, displacements of 0.01 angstrom, supercells
  of at least 8 angstrom (9 where that were the primitive cell of an elpasolite), no non-analytical correction.
  {failed} failed. {hours:.1f} hours on one core.
- **Columns** of `grown.parquet`: the crystal in the cell of the Materials Project (those that were built have the
  relaxed one times {length:.4f}, the ratio of both for the others), `band_center_mev`,
  calibrated to density functional theory ({mae:.2f} meV off on average in cross-validation),
  `center_error`, `stable`, `imaginary_share`, `engine`.
- **Unstable ones** have the mean of their real modes, which is too high; `center_error` is the share of the imaginary
  modes, by which counting those as zero would lower it.
- **License**: CC BY 4.0.
"""

Position = tuple[float, float, float]

CUBIC = [(0.5, 0.5, 0.5), (0, 0, 0), (0.5, 0, 0)]
"""Positions of A, B and X in a cubic perovskite."""


def main() -> None:
    step, *arguments = sys.argv[1:]
    if step == "candidates":
        structures, li_table, out, *number = arguments
        choose_candidates(structures, li_table, Path(out), int(*number) if number else 160)
    elif step == "conductors":
        write_conductors(Path(*arguments))
    else:
        pack(arguments[0], list(zip(arguments[1::2], arguments[2::2], strict=True)))


def choose_candidates(structures: str, li_table: str, out: Path, number: int) -> None:
    """Write the crystals whose phonons would improve the embedded model most."""
    near_hull = pd.read_csv(li_table).query("e_hull_ev <= @E_HULL_EV")["material_id"]
    grown = {each.crystal.material_id for each in read_known(grown_file())[0]}
    names = set(near_hull) - set(computed_centers().table["material_id"])
    of_name = {
        crystal.material_id: crystal
        for path in (structures, str(phases_folder() / CRYSTALS))
        for crystal in read([path]).crystals
        if len(crystal) <= MOST_ATOMS and is_hard(crystal) and (path != structures or crystal.material_id in names)
    }
    of_name |= {crystal.material_id: crystal for crystal in build_families()}
    choice = choose_crystals(BandCenterModel.embedded(), list(of_name.values()), number, without=grown)
    write_crystals([of_name[name] for name in choice.names], out)
    print(len(of_name), Counter(family(of_name[name]) for name in choice.names))


def write_conductors(out: Path) -> None:
    """Write an ordered model of each disordered reference compound, those from a paper as they are there."""
    of_paper = {crystal.material_id: crystal for crystal in ordered_models()}
    disordered = (reference_compound(record["id"]) for record in records(DISORDERED))
    models = [of_paper.get(crystal.material_id) or order(crystal)[0].crystal for crystal in disordered]
    write_crystals(sorted((each for each in models if len(each) <= MOST_ATOMS), key=len), out)


def is_hard(crystal: Crystal) -> bool:
    """Whether a crystal is a compound with hydrogen, carbon or nitrogen, or an elpasolite (halides A2BMX6)."""
    elements = set(crystal.symbols)
    return (len(elements) > 1 and not elements.isdisjoint(HARD)) or is_elpasolite(crystal)


def build_families() -> Iterator[Crystal]:
    """Yield crystals of families that the learning set lacks."""
    trivalent = ("Al", "In", "Sc", "Y", "La", "Bi", "Sb", "Cr")
    for a, b, m, x in product(ALKALI, ("Na", "K", "Ag"), trivalent, HALOGENS):
        if a != b:
            yield build_double_perovskite("elpasolite", a, b, m, x)
    pairs = [
        *product(("Mg", "Zn", "Ca", "Cd"), ("W", "Mo", "Te")),
        *product(("Y", "La", "In", "Sc"), ("Nb", "Ta", "Sb")),
    ]
    for a, (b, m) in product(("Ba", "Sr", "Ca"), pairs):
        if a != b:
            yield build_double_perovskite("double-perovskite", a, b, m, "O")
    rare_earths, divalent = ("La", "Ce", "Pr", "Nd", "Sm", "Gd", "Y", "Lu"), ("Ca", "Sr", "Ba", "Eu")
    for a, b in (*product(rare_earths, ("W", "Re", "Mo")), *product(divalent, ("Nb", "Ta"))):
        yield build_perovskite(f"nitride-perovskite-{a}{b}N3", a, b, "N", 0.98)
    for a, b in product(("Li", "Na", *ALKALI), ("Mg", "Ca", "Sr", "Ba")):
        yield build_perovskite(f"hydride-perovskite-{a}{b}H3", a, b, "H", 0.98)
    for m, x in product(("Ca", "Sr", "Ba", "Mg"), ("As", "Sb", "Bi", "P", "Ge", "Sn")):
        yield build_perovskite(f"nitride-antiperovskite-{m}3{x}N", x, "N", m, 1.0)
    for m, x in product(("Sc", "Ti", "Zr", "Hf", "Nb", "Ta", "Y", "La"), ("C", "N")):
        length = 2 * (RADII_A[m] + RADII_A[x])
        yield build_crystal(f"rock-salt-{m}{x}", [m, x], [(0, 0, 0), (0.5, 0.5, 0.5)], 225, length)


def build_double_perovskite(name: str, a: str, b: str, m: str, x: str) -> Crystal:
    """Build cubic A2BMX6."""
    short, long = RADII_A[b] + RADII_A[x], (0.6 if m == "Sb" and x == "O" else RADII_A[m]) + RADII_A[x]
    length = 2 * (short + long)
    positions = [(0.25, 0.25, 0.25), (0, 0, 0), (0.5, 0.5, 0.5), (short / length, 0, 0)]
    return build_crystal(f"{name}-{a}2{b}{m}{x}6", [a, b, m, x], positions, 225, length)


def build_perovskite(name: str, a: str, b: str, x: str, share: float) -> Crystal:
    """Build cubic ABX3; share is the ratio of the length to that by radii."""
    return build_crystal(name, [a, b, x], CUBIC, 221, share * 2 * (RADII_A[b] + RADII_A[x]))


def build_crystal(
    name: str, symbols: list[str], positions: list[tuple[float, float, float]], group: int, length: float
) -> Crystal:
    """Build the primitive cell of a cubic crystal."""
    atoms = from_spacegroup(
        symbols, positions, spacegroup=group, cellpar=[length, length, length, 90, 90, 90], primitive_cell=True
    )
    return Crystal.from_arrays(
        name, atoms.cell.array, atoms.get_chemical_symbols(), atoms.get_scaled_positions() % 1.0, source="Phonolyte"
    )


def pack(calibration_file: str, runs: list[tuple[str, str]]) -> None:
    """Add what runs have computed to the crystals of the package, and write the card."""
    calibration = Calibration.load(calibration_file)
    crystals = {crystal.material_id: crystal for path, _ in runs for crystal in read([path]).crystals}
    records = [read_json(file) for _, run in runs for file in sorted((Path(run) / "items").glob("*.json"))]
    computed = [record for record in records if record and record.get("row")]
    relaxed = {record["row"]["material_id"]: Crystal.from_row(record["crystal"]) for record in computed}
    ratios = [
        compute_length_a(crystals[name]) / compute_length_a(crystal)
        for name, crystal in relaxed.items()
        if is_from_mp(name)
    ]
    length = float(np.median(ratios))
    known = {each.crystal.material_id: each for each in read_known(grown_file())[0]} if grown_file().is_file() else {}
    for record in computed:
        row = record["row"]
        name = row["material_id"]
        cell = crystals[name] if is_from_mp(name) else replace(relaxed[name], lattice=length * relaxed[name].lattice)
        center = calibration.apply(row["band_center_mev"], shares_of(row["formula"]))
        known[name] = Known.from_phonons(cell, {**row, "calibrated_mev": center}, 0)
    write_known(list(known.values()), grown_file())
    families = Counter(family(each.crystal) for each in known.values()).most_common()
    text = CARD.format(
        n=len(known), conductors=sum(name.startswith("ref-") for name in known),
        unstable=sum(not each.stable for each in known.values()), failed=len(records) - len(computed),
        families=", ".join(f"{name} {n}" for name, n in families),
        engine=computed[0]["row"]["engine"], hours=sum(record["row"]["seconds"] for record in computed) / 3600,
        length=length, mae=calibration.provenance["calibrated"]["mae_mev"],
    )  # fmt: skip
    grown_file().with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def is_from_mp(name: str) -> bool:
    """Whether a crystal is one of the Materials Project."""
    return name.startswith("mp-")


def compute_length_a(crystal: Crystal) -> float:
    """Return the cube root of the volume per atom, angstrom."""
    return float(np.cbrt(crystal.volume_a3 / len(crystal)))


if __name__ == "__main__":
    main()
