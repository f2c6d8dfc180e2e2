"""Families of compounds by their anions, judged by who is bonded to whom."""

from __future__ import annotations

import numpy as np

from phonolyte.chemistry.elements import PROPERTIES, SYMBOLS, property_table
from phonolyte.chemistry.ions import most_electronegative
from phonolyte.structures import Crystal

HALOGENS = ("F", "Cl", "Br", "I")
PNICTOGENS = ("P", "As", "Sb")

FAMILY_OF_ANION = {
    "O": "oxide", "S": "sulfide", "Se": "selenide", "Te": "telluride", "N": "nitride",
    **dict.fromkeys(HALOGENS, "halide"),
}  # fmt: skip

BOND_STRETCH = 1.2
"""Atoms nearer than this times the sum of their covalent radii are bonded."""


def family(crystal: Crystal) -> str:
    """Family of a crystal by its anions.

    Oxide, sulfide, selenide, telluride, nitride or halide; mixed for several of them. An element counts as
    an anion unless its atoms are bonded to a more electronegative one: the sulfur of a sulfate, the nitrogen
    of a nitrate and the chlorine of a perchlorate are none. Without any of these anions a compound with
    hydrogen is a hydride, one with P, As or Sb a pnictide, and any other intermetallic.
    """
    present = [z for z in np.unique(crystal.numbers).tolist() if SYMBOLS[z] in FAMILY_OF_ANION]
    if len(present) > 1:
        present = [z for z in present if not _is_center_of_an_oxoanion(crystal, z)]
    families = {FAMILY_OF_ANION[SYMBOLS[z]] for z in present}
    if not families:
        symbols = set(crystal.symbols)
        return "hydride" if "H" in symbols else "pnictide" if symbols & set(PNICTOGENS) else "intermetallic"
    return families.pop() if len(families) == 1 else "mixed"


def is_elpasolite(crystal: Crystal) -> bool:
    """Whether a crystal has the composition of an elpasolite, a halide A2BMX6."""
    counts = np.unique(crystal.numbers, return_counts=True)[1]
    shares = sorted(counts // np.gcd.reduce(counts))
    return shares == [1, 1, 2, 6] and most_electronegative(crystal.symbols) in HALOGENS


def _is_center_of_an_oxoanion(crystal: Crystal, z: int) -> bool:
    from phonolyte.structures.neighbors import bin_atoms, neighbors_within

    table = property_table()
    radius = table[:, PROPERTIES.index("CovalentRadius")] / 100.0  # picometer
    electronegativity = table[:, PROPERTIES.index("Electronegativity")]
    bins = bin_atoms(crystal.lattice, crystal.frac_coords)
    for atom in np.flatnonzero(crystal.numbers == z):
        near = neighbors_within(bins, int(atom), 2.6)
        others = crystal.numbers[near.site]
        bonded = near.distance < BOND_STRETCH * (radius[z] + radius[others])
        if (bonded & ((others == 8) | (others == 9)) & (electronegativity[others] > electronegativity[z])).any():
            return True
    return False
