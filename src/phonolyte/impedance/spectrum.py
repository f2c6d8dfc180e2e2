"""An impedance spectrum as a value: checked, sorted, and with every guess that was made on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError

Complexes = NDArray[np.complex128]

FEWEST = 5
"""Points that a spectrum needs."""

MOST_BELOW = 0.2
"""Share of the points that may have a real part below zero, as noise makes it."""

TURNED = 0.8
"""When more than this share of the points is on the inductive side, the sign is taken for a convention."""


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
        Of the sample, where it is known.
    notes
        What was guessed or mended when it was read, in sentences.
    source
        The file.
    """

    name: str
    frequency_hz: Floats
    impedance_ohm: Complexes
    temperature_k: float | None = None
    notes: tuple[str, ...] = ()
    source: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        frequency_hz: Sequence[float] | Floats,
        impedance_ohm: Sequence[complex] | Complexes,
        *,
        notes: Sequence[str] = (),
        **more: Any,
    ) -> Spectrum:
        """Make a spectrum from plain values: sort it, mend what can be mended, and say so.

        Raises
        ------
        SpectrumError
            For too few points, values that are no spectrum, and what cannot be mended without a guess.
        """
        f, z = np.asarray(frequency_hz, dtype=float), np.asarray(impedance_ohm, dtype=complex)
        said = list(notes)
        if len(f) != len(z):
            raise SpectrumError(f"{name} has {len(f)} frequencies and {len(z)} impedances", fix="Check the columns.")
        good = np.isfinite(f) & np.isfinite(z)
        if not good.all():
            said.append(f"{np.count_nonzero(~good)} of {len(f)} points are not numbers and were left out")
            f, z = f[good], z[good]
        if (f <= 0).any():
            raise SpectrumError(
                f"{name} has frequencies that are not above zero", why="a column may be another one than it seems",
                fix="Name the columns in the header.",
            )  # fmt: skip
        f, z, repeated = _merged(f, z)
        if repeated:
            said.append(f"{repeated} repeated frequencies were averaged")
        if len(f) < FEWEST:
            raise SpectrumError(
                f"{name} has {len(f)} points",
                why=f"a spectrum needs {FEWEST} at least",
                fix="Measure more frequencies." if len(f) else "Look at the file: no line has three numbers.",
            )
        if not (np.diff(f) < 0).all():
            order = np.argsort(-f)
            if not (np.diff(f) > 0).all():
                said.append("frequencies were not in order and were sorted")
            f, z = f[order], z[order]
        if (np.abs(z) == 0).any() or np.ptp(z.real) == np.ptp(z.imag) == 0:
            raise SpectrumError(
                f"{name} is no spectrum", why="its impedances are zero or all the same", fix="Check the columns."
            )
        if np.mean(z.imag > 0) > TURNED:
            said.append("the imaginary part is positive: it was taken for -Z''")
            z = z.conj()
        below = np.count_nonzero(z.real < 0)
        if below > MOST_BELOW * len(z):
            raise SpectrumError(
                f"{name} is no spectrum of a passive sample", why=f"{below} of {len(z)} real parts are below zero",
                fix="Check which column is Z' and which is Z''.",
            )  # fmt: skip
        if below:
            said.append(f"{below} of {len(z)} real parts are below zero")
        return cls(name, f, z, notes=tuple(said), **more)

    def __len__(self) -> int:
        return len(self.frequency_hz)

    def without(self, points: Sequence[int]) -> Spectrum:
        """The spectrum without some points."""
        kept = np.delete(np.arange(len(self)), list(points))
        return replace(self, frequency_hz=self.frequency_hz[kept], impedance_ohm=self.impedance_ohm[kept])


def _merged(f: Floats, z: Complexes) -> tuple[Floats, Complexes, int]:
    """Means over repeated frequencies, in the order of their first; how many frequencies came more than once."""
    distinct, first, which, counts = np.unique(f, return_index=True, return_inverse=True, return_counts=True)
    if len(distinct) == len(f):
        return f, z, 0
    means = np.zeros(len(distinct), np.complex128)
    np.add.at(means, which, z / counts[which])
    order = np.argsort(first)
    return distinct[order], means[order], int(np.count_nonzero(counts > 1))
