"""The elements: symbols, and the properties behind the Magpie features (10.1038/npjcompumats.2016.28)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import StructureError

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb "
    "Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf "
    "Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr"
).split()
"""Element symbols by atomic number; those past lawrencium have no elemental data to learn from."""

ATOMIC_NUMBERS = {symbol: z for z, symbol in enumerate(SYMBOLS) if z}

PROPERTIES = (
    "Number", "MendeleevNumber", "AtomicWeight", "MeltingT", "Column", "Row", "CovalentRadius",
    "Electronegativity", "NsValence", "NpValence", "NdValence", "NfValence", "NValance", "NsUnfilled",
    "NpUnfilled", "NdUnfilled", "NfUnfilled", "NUnfilled", "GSvolume_pa", "GSbandgap", "GSmagmom",
    "SpaceGroupNumber",
)  # fmt: skip
"""The 22 properties, spelled as Magpie spells them."""

MAX_STATES = 10
NO_STATE = -99


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with (files("phonolyte") / "data" / "elements.csv").open(encoding="utf-8") as stream:
        return tuple(csv.DictReader(stream))


@cache
def property_table() -> Floats:
    """Properties of each element, (Z + 1, 22): row = atomic number, NaN where there is no value."""
    table = np.full((len(_rows()) + 1, len(PROPERTIES)), np.nan)
    for z, row in enumerate(_rows(), start=1):
        table[z] = [float(row[name] or "nan") for name in PROPERTIES]
    return table


@cache
def electronegativity(symbol: str) -> float:
    """Pauling electronegativity; infinite for the noble gases that have none, so that they sort last."""
    value = float(property_table()[ATOMIC_NUMBERS[symbol], PROPERTIES.index("Electronegativity")])
    return value if value == value else float("inf")


@cache
def imputed_property_table() -> Floats:
    """The same with missing values replaced by the mean over the elements, as matminer does."""
    table = property_table().copy()
    means = np.nanmean(table, axis=0)
    return np.where(np.isnan(table), means, table)


@cache
def bond_valence_table() -> Floats:
    """Size (angstrom) and electronegativity of bond valences, (Z + 1, 2), NaN where there is none.

    They are those of O'Keeffe and Brese (10.1021/ja00009a002).
    """
    names = ("bond_valence_size", "bond_valence_electronegativity")
    return np.array([[np.nan] * len(names), *([float(row[name] or "nan") for name in names] for row in _rows())])


@cache
def sites_of_charges() -> dict[str, dict[int, float]]:
    """Sites of each element in the ICSD by their charge, as pymatgen counts them; neutral ones are left out."""
    pairs = {row["symbol"]: (pair.split(":") for pair in row["sites_of_charges"].split()) for row in _rows()}
    return {symbol: {int(charge): float(n) for charge, n in counts} for symbol, counts in pairs.items()}


@cache
def magpie_oxidation_states() -> Ints:
    """Magpie's oxidation states, (Z + 1, 10), padded with -99."""
    return _state_table([row["oxidation_states"].split() for row in _rows()])


@cache
def common_oxidation_states() -> Ints:
    """Common oxidation states as pymatgen lists them, (Z + 1, 10), padded with -99."""
    from pymatgen.core.periodic_table import Element

    return _state_table([Element(row["symbol"]).common_oxidation_states for row in _rows()])


def require_elemental_data(numbers: Ints, table: Floats, names: Sequence[str], *, fix: str) -> None:
    """Refuse elements that a table lacks values of.

    Parameters
    ----------
    numbers
        (n,) atomic numbers.
    table
        (Z + 1, m) elemental data; NaN where there is no value.
    names
        What the m columns are.
    fix
        What to do about it.

    Raises
    ------
    StructureError
        Names the first such element and what is missing.
    """
    if not np.isnan(table[numbers]).any():
        return
    for z in np.unique(numbers):
        missing = np.flatnonzero(np.isnan(table[z]))
        if len(missing):
            raise StructureError(
                f"no elemental data for {SYMBOLS[z]}",
                why=f"{', '.join(names[i] for i in missing.tolist())} of {SYMBOLS[z]} is not tabulated",
                fix=fix,
                kind="MissingElementalData",
            )


def _state_table(states: Sequence[Sequence[str | float]]) -> Ints:
    table = np.full((len(states) + 1, MAX_STATES), NO_STATE, np.int64)
    for z, of_element in enumerate(states, start=1):
        table[z, : len(of_element)] = [int(float(state)) for state in of_element]
    return table
