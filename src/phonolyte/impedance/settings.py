"""Settings of an analysis of spectra, as commands and files give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Annotated

from phonolyte.errors import SettingsError, SpectrumError
from phonolyte.impedance.batch import Reading
from phonolyte.impedance.corrections import Corrections, check_corrections, read_short
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.pellets import Pellet, check_pellets, list_some, read_pellets
from phonolyte.impedance.problem import Weighting
from phonolyte.units import ZERO_C_K


@dataclass(frozen=True, slots=True)
class ImpedanceSettings:
    """Size of the pellet, and how files are read and fitted.

    Attributes
    ----------
    thickness_mm, diameter_mm, area_cm2
        Thickness of the pellet; diameter or area of its electrodes.
    thickness_std_mm, diameter_std_mm
        Standard deviations.
    temperature_c
        Temperature of all files, or ``NAME=VALUE`` of one.
    circuit
        Circuit to fit; empty for the simplest adequate one.
    fix, start
        Parameters of the circuit, as ``NAME=VALUE``: those that are not fitted, and values to start from.
    weighting
        Weights of the residuals.
    frequency_unit, impedance_unit
        Units where files do not state them.
    table
        CSV file with the size, the temperature, the pressure and a note of each file.
    min_frequency_hz, max_frequency_hz
        Lowest and highest frequency of the points that are kept.
    short
        File of the shorted cell, whose impedance is subtracted.
    lead_ohm, lead_uh
        Resistance and inductance of the leads, which are subtracted.
    """

    thickness_mm: Annotated[float | None, "Thickness of the pellet, mm."] = None
    diameter_mm: Annotated[float | None, "Diameter of the electrodes, mm."] = None
    area_cm2: Annotated[float | None, "Area of the electrodes, cm2, instead of the diameter."] = None
    thickness_std_mm: Annotated[float, "Standard deviation of the thickness, mm."] = 0.0
    diameter_std_mm: Annotated[float, "Standard deviation of the diameter, mm."] = 0.0
    temperature_c: Annotated[
        tuple[str, ...], "Temperature, C, of all files, or NAME=VALUE of one. Default: what files and names say."
    ] = ()
    circuit: Annotated[str, "Circuit to fit, as R0-p(R1,CPE1). Default: the simplest adequate one."] = ""
    fix: Annotated[tuple[str, ...], "Parameter of the circuit that is not fitted, as R0=10. Repeatable."] = ()
    start: Annotated[tuple[str, ...], "Start value of a parameter of the circuit, as C1=1e-6. Repeatable."] = ()
    weighting: Annotated[Weighting, "Residuals as shares of the modulus, or in ohm."] = "modulus"
    frequency_unit: Annotated[str, "Hz, kHz or MHz, where files do not state it."] = ""
    impedance_unit: Annotated[str, "ohm, kohm, Mohm, ohm cm2 or ohm cm, where files do not state it."] = ""
    table: Annotated[str, "CSV: file, and thickness_mm, diameter_mm, temperature_c, pressure_mpa, note of each."] = ""
    min_frequency_hz: Annotated[float | None, "Lowest frequency of the points that are kept, Hz."] = None
    max_frequency_hz: Annotated[float | None, "Highest frequency of the points that are kept, Hz."] = None
    short: Annotated[str, "File of the shorted cell; its impedance is subtracted."] = ""
    lead_ohm: Annotated[float, "Resistance of the leads, ohm, which is subtracted."] = 0.0
    lead_uh: Annotated[float, "Inductance of the leads, microhenry, which is subtracted."] = 0.0

    @property
    def geometry(self) -> Geometry | None:
        """Size of the pellet, None where it is not given.

        Raises
        ------
        SettingsError
            For an incomplete or impossible size.
        """
        if self.table and (self.thickness_mm is None or (self.diameter_mm is None and self.area_cm2 is None)):
            return None  # what the table leaves empty
        if self.thickness_mm is None:
            if self.diameter_mm is not None or self.area_cm2 is not None:
                raise SettingsError("the thickness of the pellet is missing", fix="Give --thickness-mm.")
            return None
        return Geometry.from_mm(
            self.thickness_mm, diameter_mm=self.diameter_mm, area_cm2=self.area_cm2,
            thickness_std_mm=self.thickness_std_mm, diameter_std_mm=self.diameter_std_mm,
        )  # fmt: skip

    @property
    def reading(self) -> Reading:
        """How files are read.

        Raises
        ------
        SettingsError
            For what is not a temperature, what is not a circuit, and values of parameters that it does not have.
        SpectrumError
            For a file of the shorted cell that is not one.
        """
        fixed, start = _read_parameters("--fix", self.fix), _read_parameters("--start", self.start)
        _check_circuit(self.circuit, {**start, **fixed})
        temperatures = tuple(map(_temperature, self.temperature_c))
        return Reading(
            temperatures, self.frequency_unit, self.impedance_unit, self.circuit, self.weighting,
            fixed=tuple(fixed.items()), start=tuple(start.items()), pellets=self.pellets,
            corrections=self.corrections,
        )  # fmt: skip

    @property
    def pellets(self) -> tuple[Pellet, ...]:
        """Rows of the table of pellets.

        Raises
        ------
        SettingsError
            For a table that makes no sense.
        """
        if not self.table:
            return ()
        if self.area_cm2 is not None:
            raise SettingsError("--table and --area-cm2 contradict each other", fix="Give diameters.")
        return read_pellets(
            self.table, thickness_mm=self.thickness_mm, diameter_mm=self.diameter_mm,
            thickness_std_mm=self.thickness_std_mm, diameter_std_mm=self.diameter_std_mm,
        )  # fmt: skip

    @property
    def corrections(self) -> Corrections:
        """What is left out of every spectrum, and subtracted from it.

        Raises
        ------
        SettingsError
            For corrections that make no sense.
        SpectrumError
            For a file of the shorted cell that is not one.
        """
        check_corrections(self.min_frequency_hz, self.max_frequency_hz, self.short, self.lead_ohm, self.lead_uh)
        units = {"frequency_unit": self.frequency_unit, "impedance_unit": self.impedance_unit}
        return Corrections(
            self.min_frequency_hz or 0.0, inf if self.max_frequency_hz is None else self.max_frequency_hz,
            self.lead_ohm, self.lead_uh * 1e-6, read_short(self.short, **units) if self.short else None,
        )  # fmt: skip

    @property
    def other_files(self) -> list[Path]:
        """Files that results depend on, and that are not spectra of the sample: the table, the shorted cell."""
        return [Path(name) for name in (self.table, self.short) if name]

    def choose_files(self, files: Sequence[Path]) -> list[Path]:
        """Files without the table and the shorted cell, which may stand in their folder."""
        others = {path.resolve() for path in self.other_files}
        return [path for path in files if path.resolve() not in others]

    def check_names(self, files: Sequence[Path], *, numbered: bool = True) -> None:
        """Refuse a temperature or a row of the table of a file that is not there: its name was mistyped.

        Parameters
        ----------
        files
            Files that are measured.
        numbered
            Whether a temperature may be that of one sweep of a file, as ``NAME#2``.

        Raises
        ------
        SettingsError
            When there is one.
        """
        reading = self.reading
        if reading.pellets:
            check_pellets(reading.pellets, files, Path(self.table))
        check_named_files("--temperature-c", reading.temperatures_c, files, numbered=numbered)


def check_named_files(
    option: str, values: Sequence[tuple[str, float]], files: Sequence[Path], *, numbered: bool = False
) -> None:
    """Refuse a value of a file that is not there, since its name was mistyped, and two values of one file.

    Parameters
    ----------
    option
        Option that gave the values, for the message.
    values
        Name of a file, with its ending or without, and value; an empty name stands for all files.
    files
        Files that are there.
    numbered
        Whether a value may be that of one sweep of a file, as ``NAME#2``.

    Raises
    ------
    SettingsError
        When there is one.
    """
    names = {name for path in files for name in (path.stem, path.name)}
    for name, value in values:
        stem, mark, number = name.rpartition("#")
        sweep_of = stem if numbered and mark and number.isdigit() else ""
        if name and name not in names and sweep_of not in names:
            raise SettingsError(f"{option} {name}={value:g} names no file", fix=f"There are {list_some(files)}.")
    for name, n in Counter(name for name, _ in values).items():
        if n > 1:
            of = f"{name} " if name else ""
            raise SettingsError(
                f"{option} {of}is given {n} times", fix="Give it once, or as NAME=NUMBER for each file."
            )


def read_named_number(text: str) -> tuple[str, float]:
    """Name and number of ``NAME=NUMBER``; no name for ``NUMBER``, NaN for what is not a number."""
    name, _, value = text.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        return name, nan


def _temperature(text: str) -> tuple[str, float]:
    name, celsius = read_named_number(text)
    if not -ZERO_C_K < celsius < inf:
        raise SettingsError(f"{text!r} is not a temperature", fix="Write 25, or NAME=25, in Celsius.")
    return name, celsius


def _read_parameters(option: str, texts: Sequence[str]) -> dict[str, float]:
    """Values of parameters by name, from ``NAME=VALUE``."""
    values: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name.strip() in values:
            raise SettingsError(f"{option} {name.strip()} is given twice", fix="Give it once.")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            raise SettingsError(f"{option} {text}: {value!r} is not a number", fix="Write R0=10.") from None
    return values


def _check_circuit(circuit: str, values: Mapping[str, float]) -> None:
    """Refuse what is not a circuit once, and not once for every spectrum."""
    from phonolyte.impedance.circuits import parse_circuit

    if not circuit:
        if values:
            raise SettingsError(f"--fix and --start are without a circuit: {', '.join(values)}", fix="Give --circuit.")
        return
    try:
        parse_circuit(circuit).check(values)
    except SpectrumError as error:
        raise SettingsError(f"--circuit: {error.what}", why=error.why, fix=error.fix) from None
