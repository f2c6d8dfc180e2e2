"""Ions and metals that can take a site: charges, radii, and the elements left out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, electronegativity, property_table
from phonolyte.errors import SettingsError

MOBILE_IONS = ("Li", "Na", "K", "Mg", "Ca", "Zn", "Ag", "Cu")
"""Elements that may be the mobile ion of a solid electrolyte."""


def check_ion(symbol: str) -> None:
    """Refuse what is not the symbol of an element.

    Raises
    ------
    SettingsError
        For anything else; the symbol that was meant is named where the case is wrong.
    """
    if symbol not in ATOMIC_NUMBERS:
        meant = symbol.capitalize()
        hint = f"Did you mean {meant}?" if meant in ATOMIC_NUMBERS else "Give a symbol such as Li."
        raise SettingsError(f"{symbol!r} is not an element", fix=hint)


ANIONS = {
    "F": (-1, 1.33), "Cl": (-1, 1.81), "Br": (-1, 1.96), "I": (-1, 2.20), "H": (-1, 1.30), "O": (-2, 1.40),
    "S": (-2, 1.84), "Se": (-2, 1.98), "Te": (-2, 2.21), "N": (-3, 1.46), "P": (-3, 1.90), "As": (-3, 2.00),
    "Sb": (-3, 2.20), "Bi": (-3, 2.30), "C": (-4, 1.60), "Si": (-4, 2.10), "Ge": (-4, 2.10), "Sn": (-4, 2.25),
}  # fmt: skip
"""Charge and radius (angstrom): Shannon's, and for the anions he has none of those that give known bond lengths."""

SIMPLE_ANIONS = ("O", "S", "Se", "Te", "F", "Cl", "Br", "I", "N")
"""Elements that are anions in nearly all of their compounds with metals."""


def simple_anions(symbols: Collection[str]) -> frozenset[str]:
    """The anions among the elements of a compound; without any of :data:`SIMPLE_ANIONS` the most electronegative."""
    present = frozenset(symbols) & set(SIMPLE_ANIONS)
    return present or frozenset({most_electronegative(symbols)})


def most_electronegative(symbols: Collection[str]) -> str:
    """Return the most electronegative of some elements (Pauling), the first in the alphabet of equal ones."""
    return max(sorted(set(symbols)), key=electronegativity)


CATIONS = (
    "Li+1 Na+1 K+1 Rb+1 Cs+1 Cu+1 Ag+1 Tl+1 Au+1 Be+2 Mg+2 Ca+2 Sr+2 Ba+2 Zn+2 Cd+2 Hg+2 Sn+2 Pb+2 Ge+2 Pd+2 Pt+2 "
    "Mn+2 Fe+2 Co+2 Ni+2 Cr+2 V+2 Ti+2 Eu+2 Yb+2 B+3 Al+3 Ga+3 In+3 Sc+3 Y+3 La+3 Lu+3 Ce+3 Gd+3 Pr+3 Nd+3 Sm+3 "
    "Tb+3 Dy+3 Ho+3 Er+3 Tm+3 Ti+3 V+3 Cr+3 Fe+3 Rh+3 Ir+3 Ru+3 Mo+3 Nb+3 P+3 As+3 Sb+3 Bi+3 C+4 Si+4 Ge+4 Sn+4 Ti+4 "
    "Zr+4 Hf+4 V+4 Nb+4 Ta+4 Mo+4 W+4 Re+4 Ru+4 Os+4 Ir+4 Pd+4 Pt+4 P+5 As+5 Sb+5 V+5 Nb+5 Ta+5 Mo+6 W+6"
).split()
"""Cations with their common charges."""

HARD_ONLY = frozenset(
    "Cu+2 Au+3 Tl+3 Pb+4 Mn+3 Mn+4 Co+3 Ni+3 Ce+4 Bi+5 Cr+4 Cr+6 Rh+4 Os+5 Ru+5 Re+5 Re+6 Re+7 Os+6 S+6 Se+4 Se+6 "
    "Te+4 Te+6 N+5 I+5 I+7 Cl+7 Ir+5".split()
)
"""Charges that only oxides and fluorides reach."""

OXIDE_AND_FLUORIDE = frozenset({"O", "F"})

UNTABULATED_RADIUS_A = {"Sn+2": 1.18, "Re+4": 0.63, "Os+4": 0.63}

EXCLUDED = frozenset("He Ne Ar Kr Xe Rn Tc Pm Po At Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr".split())

METALLOIDS = tuple("B C Si Ge Sn P As Sb Bi".split())

METALS = tuple(
    "Li Na K Rb Cs Be Mg Ca Sr Ba Sc Y La Lu Ti Zr Hf V Nb Ta Cr Mo W Mn Re Fe Ru Os Co Rh Ir Ni Pd Pt Cu Ag Au Zn Cd "
    "Hg Al Ga In Tl Pb Gd Yb".split()
)

VOLUMES_A3 = {
    "H": 5.0, "B": 7.0, "C": 7.0, "N": 9.0, "O": 10.0, "F": 11.0, "Na": 30.0, "Si": 15.0, "P": 14.0, "S": 17.0,
    "Cl": 22.0, "K": 55.0, "Ca": 35.0, "Ga": 17.0, "Ge": 17.0, "As": 18.0, "Se": 20.0, "Br": 27.0, "Rb": 68.0,
    "Sr": 46.0, "Sn": 23.5, "Sb": 26.0, "Te": 29.0, "I": 36.0, "Cs": 84.0, "Ba": 50.0, "Bi": 31.0,
}  # fmt: skip
"""Cubic angstrom an atom takes in compounds with metals, where that is not its volume in the elemental solid."""


@dataclass(frozen=True, slots=True)
class Ion:
    """An element with a charge (in elementary charges) and a radius (angstrom, for six neighbors)."""

    symbol: str
    charge: int
    radius_a: float

    @property
    def electronegativity(self) -> float:
        """Pauling's."""
        return electronegativity(self.symbol)


@cache
def anions() -> tuple[Ion, ...]:
    """All anions."""
    return tuple(Ion(symbol, charge, radius) for symbol, (charge, radius) in ANIONS.items())


@cache
def cations(*, hard: bool) -> tuple[Ion, ...]:
    """All cations, with the charges that only oxides and fluorides reach or without."""
    names = CATIONS + (sorted(HARD_ONLY) if hard else [])
    parsed = ((name, *name.split("+")) for name in names)
    return tuple(Ion(symbol, int(charge), _radius_a(name, symbol, charge)) for name, symbol, charge in parsed)


@cache
def nearest_ions(charge: int) -> dict[str, Ion]:
    """The ions with the sign of a charge, by symbol: of each element the one whose charge is nearest to it."""
    nearest: dict[str, Ion] = {}
    for ion in anions() if charge < 0 else cations(hard=True):
        if ion.symbol not in nearest or abs(ion.charge - charge) < abs(nearest[ion.symbol].charge - charge):
            nearest[ion.symbol] = ion
    return nearest


@cache
def twelvefold_radius_a(ion: Ion) -> float:
    """Radius of an ion for twelve neighbors, or the number nearest to that that Shannon has, angstrom."""
    if ion.charge < 0:
        return ion.radius_a
    return _radius_a(f"{ion.symbol}+{ion.charge}", ion.symbol, str(ion.charge), 12)


def _radius_a(name: str, symbol: str, charge: str, coordination: int = 6) -> float:
    """Shannon's ionic radius for a number of neighbors, or the number nearest to it that he has."""
    from pymatgen.core.periodic_table import Element

    if name in UNTABULATED_RADIUS_A:
        return UNTABULATED_RADIUS_A[name]
    by_coordination = Element(symbol).data["Shannon radii"][charge]
    nearest = min(by_coordination, key=lambda text: abs(COORDINATIONS[text.rstrip("SQPY")] - coordination))
    return max(float(next(iter(by_coordination[nearest].values()))["ionic_radius"]), SMALLEST_RADIUS_A)


COORDINATIONS = dict(zip("I II III IV V VI VII VIII IX X XI XII XIV".split(), (*range(1, 13), 14), strict=True))

SMALLEST_RADIUS_A = 0.1
"""Shannon's radii of C+4 and N+5 come out near zero or below it."""


@cache
def atomic_volume_a3(symbol: str) -> float:
    """Volume of an atom in compounds with metals, cubic angstrom."""
    row = property_table()[ATOMIC_NUMBERS[symbol]]
    return VOLUMES_A3.get(symbol, float(row[PROPERTIES.index("GSvolume_pa")]))


def metallic_radius_a(symbol: str) -> float:
    """Half the edge of a cube with the volume of an atom, angstrom."""
    return float(0.5 * atomic_volume_a3(symbol) ** (1 / 3))
