"""An impedance spectrum as a value: checked, sorted, and with every guess that was made on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats
from phonolyte.counts import count, were
from phonolyte.errors import SpectrumError
from phonolyte.impedance.geometry import Geometry

Complexes = NDArray[np.complex128]

FEWEST = 5
"""Points that a spectrum needs."""

MOST_BELOW = 0.2
"""Share of the points that may have a real part below zero, as noise makes it."""

LEAST_SPAN = 2.0
"""Ratio of the highest to the lowest frequency that a spectrum needs."""

LEAST_OHM, MOST_OHM = 1e-12, 1e24
"""Moduli beyond which a column is not an impedance in ohm; no instrument comes within decades of either."""

LATER = 0.5
"""Share of a sweep after which a frequency that is measured again was measured later."""

DRIFTED = 0.02
"""Change of points that are measured again later, as a share of the modulus, from which on the sample drifts."""

TURNED = 0.8
"""When more than this share of the points is on the inductive side, the sign is taken for a convention."""


def name_sweep(file: str, sweep: int) -> str:
    """Return the name of a sweep of a file: ``FILE``, and ``FILE#2`` for the second."""
    return file if sweep == 1 else f"{file}#{sweep}"


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """An impedance spectrum.

    Attributes
    ----------
    name
        As in every table; the file without its suffix.
    frequency_hz
        (n,), falling.
    impedance_ohm
        (n,), complex; capacitive arcs have a negative imaginary part.
    temperature_k
        Temperature of the sample, where it is known.
    notes
        What was guessed or mended when it was read, in sentences.
    source
        The file.
    sweep
        Number of the spectrum in its file, from 1.
    geometry
        Size of the pellet, where it is not that of the whole series.
    pressure_mpa
        Pressure on the sample, where it is known.
    """

    name: str
    frequency_hz: Floats
    impedance_ohm: Complexes
    temperature_k: float | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    sweep: int = 1
    geometry: Geometry | None = None
    pressure_mpa: float | None = None

    @classmethod
    def from_arrays(
        cls,
        name: str,
        frequency_hz: Sequence[float] | Floats,
        impedance_ohm: Sequence[complex] | Complexes,
        *,
        temperature_k: float | None = None,
        notes: Sequence[str] = (),
        source: str = "",
        sweep: int = 1,
    ) -> Spectrum:
        """Make a spectrum from plain values: sort it, mend what can be mended, and say so.

        Raises
        ------
        SpectrumError
            For too few points, values that are not a spectrum, and what cannot be mended without a guess.
        """
        f, z = np.asarray(frequency_hz, dtype=float), np.asarray(impedance_ohm, dtype=complex)
        messages = list(notes)
        f, z = _leave_out_missing(name, f, z, messages)
        f, z = _merge_repeated(f, z, messages)
        _check_frequencies(name, f)
        f, z = _sort(f, z, messages)
        _check_impedances(name, z)
        z = _turn(z, messages)
        _check_passive(name, z, messages)
        return cls(name, f, z, temperature_k, tuple(messages), source, sweep)

    @property
    def label(self) -> str:
        """Name of the spectrum among those of its file."""
        return name_sweep(self.name, self.sweep)

    def __len__(self) -> int:
        return len(self.frequency_hz)

    def with_points(self, frequency_hz: Floats, impedance_ohm: Complexes, notes: Sequence[str] = ()) -> Spectrum:
        """The spectrum with other points of falling frequency, and notes on why.

        Raises
        ------
        SpectrumError
            For points that are not a spectrum.
        """
        messages = [*self.notes, *notes]
        _check_frequencies(self.label, frequency_hz)
        _check_impedances(self.label, impedance_ohm)
        _check_passive(self.label, impedance_ohm, messages)
        return replace(self, frequency_hz=frequency_hz, impedance_ohm=impedance_ohm, notes=tuple(messages))

    def leave_out(self, points: Sequence[int]) -> Spectrum:
        """The spectrum without some points."""
        left = np.delete(np.arange(len(self)), list(points))
        return replace(self, frequency_hz=self.frequency_hz[left], impedance_ohm=self.impedance_ohm[left])


def _leave_out_missing(name: str, f: Floats, z: Complexes, messages: list[str]) -> tuple[Floats, Complexes]:
    if len(f) != len(z):
        raise SpectrumError(f"{name} has {len(f)} frequencies and {len(z)} impedances", fix="Check the columns.")
    good = np.isfinite(f) & np.isfinite(z)
    if good.all():
        return f, z
    n = int(np.count_nonzero(~good))
    is_none = "is not a number" if n == 1 else "are not numbers"
    messages.append(f"{n} of {count(len(f), 'point')} {is_none} and {were(n)} left out")
    return f[good], z[good]


def _merge_repeated(f: Floats, z: Complexes, messages: list[str]) -> tuple[Floats, Complexes]:
    """Means over repeated frequencies, in the order of their first."""
    distinct, first, which, counts = np.unique(f, return_index=True, return_inverse=True, return_counts=True)
    if len(distinct) == len(f):
        return f, z
    means = np.zeros(len(distinct), np.complex128)
    np.add.at(means, which, z / counts[which])
    order = np.argsort(first)
    apart = float((np.abs(z - means[which]) / np.maximum(np.abs(means[which]), np.finfo(float).tiny)).max())
    messages.append(
        f"{np.count_nonzero(counts > 1)} repeated frequencies were averaged: points are up to {apart:.1%} off the mean"
    )
    messages += _compare_later(f, z)
    return distinct[order], means[order]


def _compare_later(f: Floats, z: Complexes) -> list[str]:
    """Note on points that are measured again at the end of a sweep, and are not what they were."""
    places = [np.flatnonzero(f == value) for value in np.unique(f)]
    again = [(place[0], place[-1]) for place in places if place[-1] - place[0] >= LATER * len(f)]
    if not again:
        return []
    change = float(np.abs(np.mean([z[last] / z[first] - 1 for first, last in again if z[first] != 0] or [0.0])))
    if change < DRIFTED:
        return []
    return [
        f"{len(again)} frequencies measured again at the end are {change:.1%} off the first time: the sample drifts"
    ]


def _check_frequencies(name: str, f: Floats) -> None:
    if (f <= 0).any():
        raise SpectrumError(
            f"{name} has frequencies that are not above zero", why="a column may be another one than it seems",
            fix="Name the columns in the header, a logarithm as log f.",
        )  # fmt: skip
    if len(f) < FEWEST:
        raise SpectrumError(
            f"{name} has {count(len(f), 'point')}",
            why=f"a spectrum needs {FEWEST} at least",
            fix="Measure more frequencies." if len(f) else "Look at the file: no line has three numbers.",
        )
    if f.max() < LEAST_SPAN * f.min():
        raise SpectrumError(
            f"{name} is not a spectrum",
            why=f"its frequencies, {f.min():.6g} to {f.max():.6g} Hz, are nearly the same",
            fix="Check which column is the frequency, or measure over more decades.",
        )


def _sort(f: Floats, z: Complexes, messages: list[str]) -> tuple[Floats, Complexes]:
    """Points by falling frequency."""
    if (np.diff(f) < 0).all():
        return f, z
    order = np.argsort(-f)
    if not (np.diff(f) > 0).all():
        messages.append("frequencies were not in order and were sorted")
    return f[order], z[order]


def _check_impedances(name: str, z: Complexes) -> None:
    size = np.abs(z)
    if (size == 0).any() or np.ptp(z.real) == np.ptp(z.imag) == 0:
        raise SpectrumError(
            f"{name} is not a spectrum", why="its impedances are zero or all the same", fix="Check the columns."
        )
    if not LEAST_OHM < size.min() <= size.max() < MOST_OHM:
        raise SpectrumError(
            f"{name} is not a spectrum", why=f"its impedances are {size.min():.3g} to {size.max():.3g} ohm",
            fix="Check the columns and their units.",
        )  # fmt: skip


def _turn(z: Complexes, messages: list[str]) -> Complexes:
    """Impedances with capacitive arcs below the real axis."""
    if np.mean(z.imag > 0) <= TURNED:
        return z
    messages.append("the imaginary part is positive: it was taken for -Z''")
    return z.conj()


def _check_passive(name: str, z: Complexes, messages: list[str]) -> None:
    below = np.count_nonzero(z.real < 0)
    if below > MOST_BELOW * len(z):
        raise SpectrumError(
            f"{name} is not a spectrum of a passive sample", why=f"{below} of {len(z)} real parts are below zero",
            fix="Check which column is Z' and which is Z''.",
        )  # fmt: skip
    if below:
        messages.append(f"{below} of {len(z)} real parts are below zero")
