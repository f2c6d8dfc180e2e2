"""What is left out of a spectrum or subtracted from it before it is analyzed: frequencies, leads, the shorted cell."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.counts import count, were
from phonolyte.errors import SettingsError, SpectrumError
from phonolyte.impedance.readers import list_sweeps
from phonolyte.impedance.spectrum import FEWEST, Complexes, Spectrum

ROUNDED = 1e-3
"""Share by which a frequency may be outside of those of the shorted cell: instruments round them."""

CAPACITIVE = -0.1
"""Imaginary part at the highest frequency, as a share of the modulus, below which a spectrum is not that of a short."""


@dataclass(frozen=True, slots=True, eq=False)
class Short:
    """Spectrum of the shorted cell: what leads, contacts and the instrument add to every spectrum.

    Attributes
    ----------
    name
        Name of its file.
    frequency_hz, impedance_ohm
        Points, rising, (n,).
    """

    name: str
    frequency_hz: Floats
    impedance_ohm: Complexes

    def at(self, frequency_hz: Floats) -> Complexes:
        """Impedance at some frequencies, between points linear in log f.

        Raises
        ------
        SpectrumError
            For frequencies outside of those that were measured.
        """
        low, high = self.frequency_hz[0], self.frequency_hz[-1]
        if frequency_hz.min() < low * (1 - ROUNDED) or frequency_hz.max() > high * (1 + ROUNDED):
            raise SpectrumError(
                f"the shorted cell of {self.name} is measured from {low:.3g} to {high:.3g} Hz, "
                f"and the spectrum from {frequency_hz.min():.3g} to {frequency_hz.max():.3g} Hz",
                fix="Measure it at the same frequencies, or give --min-frequency-hz and --max-frequency-hz.",
            )
        x, known = np.log(frequency_hz), np.log(self.frequency_hz)
        return np.asarray(
            np.interp(x, known, self.impedance_ohm.real) + 1j * np.interp(x, known, self.impedance_ohm.imag)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """What is done to every spectrum before it is analyzed.

    Attributes
    ----------
    min_frequency_hz, max_frequency_hz
        Lowest and highest frequency that is kept.
    lead_ohm, lead_h
        Resistance and inductance of the leads, which are subtracted.
    short
        Spectrum of the shorted cell, which is subtracted.
    """

    min_frequency_hz: float = 0.0
    max_frequency_hz: float = inf
    lead_ohm: float = 0.0
    lead_h: float = 0.0
    short: Short | None = None

    def apply(self, spectrum: Spectrum) -> Spectrum:
        """The spectrum within the frequencies, less the leads, with notes on both.

        Raises
        ------
        SpectrumError
            When too few points are left, or what is left is not a spectrum.
        """
        f, z, notes = spectrum.frequency_hz, spectrum.impedance_ohm, []
        inside = (f >= self.min_frequency_hz) & (f <= self.max_frequency_hz)
        if not inside.all():
            limits = [f"below {self.min_frequency_hz:.6g} Hz"] if self.min_frequency_hz > 0 else []
            limits += [f"above {self.max_frequency_hz:.6g} Hz"] if self.max_frequency_hz < inf else []
            left = int(np.count_nonzero(~inside))
            points = count(len(f), "point")
            notes.append(f"{left} of {points} {' and '.join(limits)} {were(left)} left out, as was set")
            _check_number(spectrum, int(np.count_nonzero(inside)))
            f, z = f[inside], z[inside]
        if self.short is not None:
            subtracted = self.short.at(f)
            z = z - subtracted
            notes.append(
                f"the shorted cell of {self.short.name} was subtracted: {_describe(subtracted[0])} at {f[0]:.3g} Hz"
            )
        if self.lead_ohm or self.lead_h:
            z = z - self.lead_ohm - 2j * np.pi * f * self.lead_h
            notes.append(f"leads were subtracted: {self.lead_ohm:.6g} ohm and {self.lead_h * 1e6:.6g} uH in series")
        return spectrum.with_points(f, z, notes) if notes else spectrum


def _check_number(spectrum: Spectrum, n: int) -> None:
    if n < FEWEST:
        raise SpectrumError(
            f"{spectrum.label} has {n} points within the frequencies that were set",
            why=f"it has {spectrum.frequency_hz[-1]:.3g} to {spectrum.frequency_hz[0]:.3g} Hz",
            fix="Give others by --min-frequency-hz and --max-frequency-hz.",
        )


def _describe(z: complex) -> str:
    return f"{z.real:.3g} {'+' if z.imag >= 0 else '-'} {abs(z.imag):.3g}j ohm"


def read_short(path: str | Path, *, frequency_unit: str = "", impedance_unit: str = "") -> Short:
    """Read the spectrum of a shorted cell; its sign is that of its header, since it is inductive by its nature.

    Raises
    ------
    SpectrumError
        For a file that does not have one sweep, and for what cannot be of a short.
    """
    path = Path(path)
    sweeps = list_sweeps(path, frequency_unit=frequency_unit, impedance_unit=impedance_unit)
    if len(sweeps) > 1:
        raise SpectrumError(f"{path.name} holds {len(sweeps)} spectra", fix="Give one of the shorted cell.")
    f, z = sweeps[0].frequency_hz, sweeps[0].impedance_ohm
    good = np.isfinite(f) & np.isfinite(z) & (f > 0)
    known, which, counts = np.unique(f[good], return_inverse=True, return_counts=True)
    mean = np.zeros(len(known), np.complex128)
    np.add.at(mean, which, z[good] / counts[which])
    if len(known) < 2:
        raise SpectrumError(f"{path.name} has {len(known)} points", fix="Give a spectrum of the shorted cell.")
    if mean[-1].imag < CAPACITIVE * abs(mean[-1]):
        raise SpectrumError(
            f"{path.name} is not of a shorted cell",
            why=f"its imaginary part at {known[-1]:.3g} Hz is {mean[-1].imag:.3g} ohm, as of a capacitor",
            fix="Write -Z'' into its header if that is the column, or give another file.",
        )
    return Short(path.name, known, mean)


def check_corrections(
    min_frequency_hz: float | None, max_frequency_hz: float | None, short: str, lead_ohm: float, lead_uh: float
) -> None:
    """Refuse corrections that make no sense.

    Raises
    ------
    SettingsError
        For frequencies that leave nothing, leads below zero, and a short beside leads.
    """
    low, high = min_frequency_hz or 0.0, inf if max_frequency_hz is None else max_frequency_hz
    if not 0 <= low < high:
        raise SettingsError(
            f"no frequency is between --min-frequency-hz {low:g} and --max-frequency-hz {high:g}",
            fix="Give the lower one as --min-frequency-hz.",
        )
    if not (0 <= lead_ohm < inf and 0 <= lead_uh < inf):
        raise SettingsError(f"leads of {lead_ohm:g} ohm and {lead_uh:g} uH", fix="Give numbers above zero.")
    if short and (lead_ohm or lead_uh):
        raise SettingsError(
            "--short beside --lead-ohm or --lead-uh would subtract the leads twice", fix="Give one of them."
        )
