"""Settings of polarizations and transference numbers, as commands and files give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated

from phonolyte.errors import SettingsError
from phonolyte.impedance.batch import Reading as SpectrumReading
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.settings import ImpedanceSettings, check_named_files, read_named_number
from phonolyte.polarization.batch import Reading
from phonolyte.polarization.ionic import Total, read_totals
from phonolyte.polarization.transference import Initial


@dataclass(frozen=True, slots=True)
class PolarizationSettings:
    """Size of the pellet, and how files of polarization are read.

    Attributes
    ----------
    thickness_mm, diameter_mm, area_cm2, thickness_std_mm, diameter_std_mm, table
        As of :class:`ImpedanceSettings`.
    temperature_c, voltage_v
        Temperature in °C and voltage in V of all files, or ``NAME=VALUE`` of one.
    current_unit
        Unit of the current where files do not state it.
    floor_a
        Current that the instrument cannot distinguish from zero.
    sample
        Sample that all files are of.
    sigma_s_cm, spectra
        Total conductivity, or the run folder of ``phonolyte impedance`` that has it.
    """

    thickness_mm: Annotated[float | None, "Thickness of the pellet, mm."] = None
    diameter_mm: Annotated[float | None, "Diameter of the electrodes, mm."] = None
    area_cm2: Annotated[float | None, "Area of the electrodes, cm2, instead of the diameter."] = None
    thickness_std_mm: Annotated[float, "Standard deviation of the thickness, mm."] = 0.0
    diameter_std_mm: Annotated[float, "Standard deviation of the diameter, mm."] = 0.0
    temperature_c: Annotated[
        tuple[str, ...], "Temperature, C, of all files, or NAME=VALUE of one. Default: what files and names say."
    ] = ()
    voltage_v: Annotated[
        tuple[str, ...], "Voltage, V, of all files, or NAME=VALUE of one. Default: what files and names say."
    ] = ()
    current_unit: Annotated[str, "A, mA, uA, nA or pA, where files do not state it."] = ""
    floor_a: Annotated[float, "Current that the instrument cannot distinguish from zero, A."] = 0.0
    sample: Annotated[str, "Sample that all files are of. Default: their names without voltages."] = ""
    sigma_s_cm: Annotated[float | None, "Total conductivity, S/cm, for the ionic transference number."] = None
    spectra: Annotated[str, "Run folder of phonolyte impedance that has the total conductivity."] = ""
    table: Annotated[str, "CSV: file, and thickness_mm, diameter_mm, temperature_c, note of each."] = ""

    @property
    def pellet(self) -> ImpedanceSettings:
        """Size, temperatures and table, as settings of spectra have them."""
        return ImpedanceSettings(
            thickness_mm=self.thickness_mm, diameter_mm=self.diameter_mm, area_cm2=self.area_cm2,
            thickness_std_mm=self.thickness_std_mm, diameter_std_mm=self.diameter_std_mm,
            temperature_c=self.temperature_c, table=self.table,
        )  # fmt: skip

    @property
    def geometry(self) -> Geometry | None:
        """Size of the pellet, None where it is not given.

        Raises
        ------
        SettingsError
            For an incomplete or impossible size.
        """
        return self.pellet.geometry

    @property
    def reading(self) -> Reading:
        """How files are read.

        Raises
        ------
        SettingsError
            For what is not a voltage, a temperature, a current or a conductivity.
        """
        if not 0 <= self.floor_a < inf:
            raise SettingsError(f"--floor-a is {self.floor_a}", fix="Give a current in ampere, zero or above.")
        if self.sigma_s_cm is not None and not 0 < self.sigma_s_cm < inf:
            raise SettingsError(f"--sigma-s-cm is {self.sigma_s_cm}", fix="Give a conductivity above zero, S/cm.")
        if self.sigma_s_cm is not None and self.spectra:
            raise SettingsError("--sigma-s-cm and --spectra contradict each other", fix="Give one of them.")
        totals = read_totals(self.spectra) if self.spectra else ()
        return Reading(
            tuple(map(_read_voltage, self.voltage_v)), self.pellet.reading.temperatures_c, self.current_unit,
            self.sample, self.floor_a, self.pellet.pellets,
            (Total(self.sigma_s_cm),) if self.sigma_s_cm is not None else totals,
        )  # fmt: skip

    def check_names(self, files: Sequence[Path]) -> None:
        """Refuse a voltage, a temperature or a row of the table of a file that is not there.

        Raises
        ------
        SettingsError
            When there is one.
        """
        self.pellet.check_names(files, numbered=False)
        check_named_files("--voltage-v", tuple(map(_read_voltage, self.voltage_v)), files)


def _read_voltage(text: str) -> tuple[str, float]:
    name, volts = read_named_number(text)
    if not -inf < volts < inf:
        raise SettingsError(f"{text!r} is not a voltage", fix="Write 0.5, or NAME=0.5, in volt.")
    return name, volts


@dataclass(frozen=True, slots=True)
class TransferenceSettings:
    """How a transference number is measured.

    Attributes
    ----------
    voltage_mv
        Voltage against rest, None for that of the file.
    circuit
        Circuit of both spectra; empty for the simplest adequate one of each.
    interface
        Resistors of the interfaces; empty for those whose capacitance says so.
    initial
        What the initial current is.
    frequency_unit, impedance_unit, current_unit
        Units where files do not state them.
    """

    voltage_mv: Annotated[float | None, "Voltage against rest, mV. Default: what the file says."] = None
    circuit: Annotated[str, "Circuit of both spectra, as R0-p(R1,CPE1). Default: the simplest adequate one."] = ""
    interface: Annotated[
        tuple[str, ...], "Resistor of the interfaces, as R1. Repeatable. Default: by its capacitance."
    ] = ()
    initial: Annotated[
        Initial, "Initial current; auto is extrapolated to time zero where sampling allows, else by Ohm's law."
    ] = "auto"
    frequency_unit: Annotated[str, "Hz, kHz or MHz, where files do not state it."] = ""
    impedance_unit: Annotated[str, "ohm, kohm or Mohm, where files do not state it."] = ""
    current_unit: Annotated[str, "A, mA, uA, nA or pA, where the file does not state it."] = ""

    @property
    def voltage_v(self) -> float | None:
        """Voltage, V.

        Raises
        ------
        SettingsError
            For one that is zero, or not a number.
        """
        if self.voltage_mv is None:
            return None
        if not 0 < abs(self.voltage_mv) < inf:
            raise SettingsError(f"--voltage-mv is {self.voltage_mv}", fix="Give the voltage in millivolt.")
        return self.voltage_mv / 1e3

    @property
    def reading(self) -> SpectrumReading:
        """How the spectra are read.

        Raises
        ------
        SettingsError
            For what is not a circuit.
        """
        return ImpedanceSettings(
            circuit=self.circuit, frequency_unit=self.frequency_unit, impedance_unit=self.impedance_unit
        ).reading
