"""Impedances from the columns that a file has: Z, Y, |Z| and phase, capacitance and loss, modulus, resistivity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.headers import OHMIC, Column
from phonolyte.impedance.spectrum import Complexes
from phonolyte.units import VACUUM_F_CM

QUARTER_TURN = 1.7
"""No phase of a capacitive spectrum is larger in radians; in degrees all are larger somewhere."""

Compute = Callable[[Complexes, Complexes, Complexes], Complexes]


@dataclass(frozen=True, slots=True)
class Way:
    """Two kinds of columns that make an impedance.

    Attributes
    ----------
    kinds
        Kinds of both columns.
    compute
        Impedance, ohm, from the angular frequency, 1/s, and both columns.
    name
        What both are called in a note.
    of_pellet
        Whether values are times or per thickness over area by their nature, as permittivities are.
    """

    kinds: tuple[str, str]
    compute: Compute
    name: str
    of_pellet: bool = False


def _polar(w: Complexes, modulus: Complexes, degrees: Complexes) -> Complexes:
    z: Complexes = modulus * np.exp(1j * np.pi / 180 * degrees)
    return z


WAYS = (
    Way(("real", "imaginary"), lambda w, a, b: a + 1j * b, "Z' and Z''"),
    Way(("modulus", "phase"), _polar, "|Z| and phase"),
    Way(("series_resistance", "imaginary"), lambda w, a, b: a + 1j * b, "Rs and Xs"),
    Way(("resistivity_real", "resistivity_imaginary"), lambda w, a, b: a + 1j * b, "rho' and rho''"),
    Way(("admittance_real", "admittance_imaginary"), lambda w, a, b: 1 / (a + 1j * b), "Y' and Y''"),
    Way(("admittance_modulus", "admittance_phase"), lambda w, a, b: 1 / _polar(w, a, b), "|Y| and its phase"),
    Way(("parallel_capacitance", "loss"), lambda w, c, d: 1 / (1j * w * c * (1 - 1j * d)), "Cp and D"),
    Way(("parallel_capacitance", "quality"), lambda w, c, q: 1 / (1j * w * c * (1 - 1j / q)), "Cp and Q"),
    Way(("parallel_capacitance", "parallel_resistance"), lambda w, c, r: 1 / (1 / r + 1j * w * c), "Cp and Rp"),
    Way(("parallel_capacitance", "admittance_real"), lambda w, c, g: 1 / (g + 1j * w * c), "Cp and G"),
    Way(("series_capacitance", "series_resistance"), lambda w, c, r: r + 1 / (1j * w * c), "Cs and Rs"),
    Way(("series_capacitance", "loss"), lambda w, c, d: (d - 1j) / (w * c), "Cs and D"),
    Way(("series_capacitance", "quality"), lambda w, c, q: (1 / q - 1j) / (w * c), "Cs and Q"),
    Way(("conductivity_real", "conductivity_imaginary"), lambda w, a, b: 1 / (a + 1j * b), "sigma' and sigma''"),
    Way(("permittivity_real", "permittivity_imaginary"),
        lambda w, a, b: 1 / (1j * w * VACUUM_F_CM * (a - 1j * b)), "eps' and eps''", of_pellet=True),
    Way(("permittivity_real", "loss"),
        lambda w, a, d: 1 / (1j * w * VACUUM_F_CM * a * (1 - 1j * d)), "eps' and tan delta", of_pellet=True),
    Way(("electric_modulus_real", "electric_modulus_imaginary"),
        lambda w, a, b: (a + 1j * b) / (1j * w * VACUUM_F_CM), "M' and M''", of_pellet=True),
)  # fmt: skip
"""Ways to an impedance, the direct ones first."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Columns of one spectrum.

    Attributes
    ----------
    frequency, first, second
        Frequency, and the two columns that make the impedance.
    way
        How they make it.
    notes
        What was chosen or assumed.
    """

    frequency: Column
    first: Column
    second: Column
    way: Way
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, Column, Column]:
        """The three columns."""
        return self.frequency, self.first, self.second


def find_way(columns: Sequence[Column]) -> Way | None:
    """First way for which there are columns, None where there is none or no frequency."""
    kinds = {column.kind for column in columns}
    if not kinds & {"frequency", "angular_frequency"}:
        return None
    return next((way for way in WAYS if kinds.issuperset(way.kinds)), None)


def compute_impedance(
    chosen: Selection, rows: Floats, geometry: Geometry | None
) -> tuple[Floats, Complexes, list[str]]:
    """Frequencies in hertz, impedances in ohm, and what must be noted of them.

    Raises
    ------
    SpectrumError
        For columns that need the size of the pellet where it is not known, and units that contradict each other.
    """
    chosen, notes = _settle_units(chosen, rows)
    f = chosen.frequency.read(rows)
    if chosen.frequency.kind == "angular_frequency":
        f = f / (2 * np.pi)
        notes.append(f"the column {chosen.frequency.name!r} is an angular frequency: it was divided by 2 pi")
    if chosen.frequency.logarithm:
        notes.append(f"the column {chosen.frequency.name!r} is a logarithm: frequencies are its powers")
    first, second = (_of_sample(column, column.read(rows), geometry) for column in (chosen.first, chosen.second))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = chosen.way.compute(*(values.astype(np.complex128) for values in (2 * np.pi * f, first, second)))
        if chosen.way.of_pellet:
            z = z * _constant(chosen.first, geometry)
    if chosen.way not in WAYS[:2]:
        notes.append(f"impedances were computed from {chosen.way.name}")
    if chosen.first.of_pellet:
        notes.append(f"{chosen.first.name!r} was converted to ohm with the size of the pellet")
    return f, z, [*chosen.notes, *notes]


def _of_sample(column: Column, values: Floats, geometry: Geometry | None) -> Floats:
    if column.doubt:
        raise SpectrumError(
            f"the unit of the column {column.name!r} is not understood: {column.doubt}",
            fix="Write ohm, ohm cm2, ohm cm, S, S/cm or F, or one of them with a prefix such as k.",
        )
    if not column.of_pellet:
        return values
    size = geometry or _refuse_without_size(column)
    return values * (size.area_cm2**column.area * size.thickness_cm**column.thickness)


def _constant(column: Column, geometry: Geometry | None) -> float:
    return (geometry or _refuse_without_size(column)).constant_per_cm


def _refuse_without_size(column: Column) -> Geometry:
    unit = f" ({column.unit})" if column.unit and column.unit not in column.name else ""
    raise SpectrumError(
        f"the column {column.name!r}{unit} depends on the size of the pellet", why="which is not given",
        fix="Give --thickness-mm and --diameter-mm, or export the impedance in ohm.",
    )  # fmt: skip


def _settle_units(chosen: Selection, rows: Floats) -> tuple[Selection, list[str]]:
    """Columns whose units do not contradict each other, and notes on units that are not stated."""
    notes: list[str] = []
    first, second = chosen.first, chosen.second
    families = [("ohm" if each.kind in OHMIC else each.kind.split("_")[0]) for each in (first, second)]
    if families[0] == families[1] in ("ohm", "admittance", "conductivity") and not second.kind.endswith("phase"):
        first, second = _share_unit(first, second, notes), _share_unit(second, first, notes)
        if (first.area, first.thickness) != (second.area, second.thickness):
            raise SpectrumError(
                f"the units of {first.name!r} and {second.name!r} contradict each other",
                why=f"one is {first.unit}, the other {second.unit}", fix="Write both in the same unit.",
            )  # fmt: skip
    if second.kind.endswith("phase"):
        second = _settle_phase(second, rows, notes)
    for column in (first, second):
        if column.kind.startswith(("resistivity", "conductivity")) and not column.of_pellet:
            raise SpectrumError(
                f"the unit of the column {column.name!r} is {'not stated' if not column.unit else column.unit}",
                why="it may be per centimeter or per meter", fix="Write it into the header, as ohm cm or S/cm.",
            )  # fmt: skip
    notes += _list_assumed(chosen.frequency, first, second)
    return replace(chosen, first=first, second=second), notes


def _share_unit(column: Column, other: Column, notes: list[str]) -> Column:
    """The column with the unit of its partner where it has none itself."""
    if column.unit or not other.unit:
        return column
    notes.append(f"the unit of {column.name!r} is not stated: that of {other.name!r}, {other.unit}, was taken")
    sign = -1.0 if column.factor < 0 else 1.0
    return replace(column, unit=other.unit, factor=sign * abs(other.factor), area=other.area, thickness=other.thickness)


def _settle_phase(column: Column, rows: Floats, notes: list[str]) -> Column:
    """The column of phases; where it states no unit, by what values say."""
    if column.unit:
        return column
    values = np.abs(rows[:, column.index])
    radians = bool(np.isfinite(values).any() and np.nanmax(values) <= QUARTER_TURN)
    notes.append(f"the unit of the phase is not stated: {'radians' if radians else 'degrees'} assumed from its values")
    return replace(column, factor=column.factor * float(np.rad2deg(1.0))) if radians else column


def _list_assumed(frequency: Column, first: Column, second: Column) -> list[str]:
    """Notes on units that are not stated, and on those that are not the usual ones."""
    names = []
    if not frequency.unit and frequency.kind == "frequency":
        names.append("Hz")
    for column in (first, second):
        if not column.unit:
            base = "ohm" if column.kind in OHMIC else "S" if column.kind.startswith("admittance") else ""
            base = "F" if column.kind.endswith("capacitance") else base
            names += [base] if base and not column.kind.endswith("phase") else []
    notes = [f"units are not stated: {' and '.join(dict.fromkeys(names))} assumed"] if names else []
    scaled = (each for each in (frequency, first) if abs(each.factor) != 1.0 and each.unit and not each.of_pellet)
    return [*notes, *(f"{each.kind.replace('_', ' ')} was in {each.unit}" for each in scaled)]
