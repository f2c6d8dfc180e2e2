"""Whether a spectrum can be trusted: the linear Kramers-Kronig test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phonolyte.arrays import Flags, Floats
from phonolyte.impedance.spectrum import Complexes, Spectrum

SYSTEMATIC = (0.01, 0.03)
"""What is left over and is not noise, as a share of the modulus, up to which a spectrum is good, and doubtful."""

NOISE = (0.03, 0.1)
"""All that is left over, as a share of the modulus, up to which a spectrum is good, and doubtful."""

LEAST_MU = 0.5
"""Elements are added until resistances below zero weigh half as much as those above: then noise is being fitted."""

OUTLIER = 5.0
"""A point is off when its residual is this many times the standard deviation of the others, and above the good ones."""


@dataclass(frozen=True, slots=True, eq=False)
class KramersKronig:
    """The test of a spectrum.

    Attributes
    ----------
    real, imaginary
        Residuals as shares of the modulus, (n,).
    elements
        RC elements that were needed.
    off
        Indices of points that are off; they take no part in the test.
    """

    real: Floats
    imaginary: Floats
    elements: int
    off: tuple[int, ...]

    @property
    def rms(self) -> float:
        """Root mean square residual, as a share of the modulus, without points that are off."""
        kept = self._kept
        return float(np.sqrt(np.mean(self.real[kept] ** 2 + self.imaginary[kept] ** 2) / 2))

    @property
    def systematic(self) -> float:
        """The part of the residuals that neighbours share, as a share of the modulus: no noise, but drift and the like.

        Noise changes from point to point by the square root of two of itself; what changes less is not noise
        (von Neumann's ratio).
        """
        real, imaginary = self.real[self._kept], self.imaginary[self._kept]
        jumps = float(np.mean(np.diff(real) ** 2 + np.diff(imaginary) ** 2)) / 4
        return float(np.sqrt(max(self.rms**2 - jumps, 0.0)))

    @property
    def verdict(self) -> str:
        """``"good"``, ``"doubtful"`` or ``"bad"``."""
        limits = zip(("good", "doubtful"), SYSTEMATIC, NOISE, strict=True)
        return next((word for word, one, all_ in limits if self.systematic <= one and self.rms <= all_), "bad")

    @property
    def _kept(self) -> Flags:
        kept = np.ones(len(self.real), dtype=bool)
        kept[list(self.off)] = False
        return kept


def check_kramers_kronig(spectrum: Spectrum) -> KramersKronig:
    """Test a spectrum by the linear Kramers-Kronig test (Schönleber et al., 10.1016/j.electacta.2014.01.034).

    A chain of RC elements, which obeys the relations by itself, is fitted by linear least squares; what it cannot fit
    is noise, drift, or a sample that does not respond linearly. A capacitor in series stands for blocking electrodes,
    an inductor for the leads. The same as impedance.py's ``linKK`` of type complex, with ``c=0.5`` and ``add_cap``.
    Points that are far off are left out and the test is done again, lest they bend it.
    """
    f, z = spectrum.frequency_hz, spectrum.impedance_ohm
    kept = np.ones(len(f), dtype=bool)
    while True:
        chain, elements = _chain(f, z, kept)
        off = (z - chain) / np.abs(z)
        size = np.abs(off)
        sigma = float(np.median(size[kept])) / np.sqrt(np.log(4))  # of one part, where both are normal
        worst = int(np.argmax(np.where(kept, size, 0.0)))
        if size[worst] <= max(OUTLIER * sigma, SYSTEMATIC[0]) or kept.sum() <= max(5, 0.9 * len(f)):
            return KramersKronig(off.real, off.imag, elements, tuple(np.flatnonzero(~kept).tolist()))
        kept[worst] = False


def _chain(f: Floats, z: Complexes, kept: Flags) -> tuple[Complexes, int]:
    """The impedance of the chain that is fitted to some points, at all of them, and how many elements it has."""
    omega, scale = 2 * np.pi * f, 1 / np.abs(z)
    lines = np.stack((np.ones(len(f)), 1j * omega, -1j / omega), axis=1)
    low, high = np.log10(1 / omega.max()), np.log10(1 / omega.min())
    most = max(3, int(kept.sum()) - 2)
    for elements in range(1, most + 1):
        tau = np.logspace(low, high, elements) if elements > 1 else np.array([10**high])
        design = np.concatenate((1 / (1 + 1j * omega[:, None] * tau), lines), axis=1)
        weighted = design[kept] * scale[kept, None]
        stacked = np.concatenate((weighted.real, weighted.imag))
        norm = np.linalg.norm(stacked, axis=0)
        target = z[kept] * scale[kept]
        found = np.linalg.lstsq(stacked / norm, np.concatenate((target.real, target.imag)), rcond=None)[0] / norm
        r = found[:elements]
        if 1 - np.abs(r[r < 0]).sum() / max(np.abs(r[r >= 0]).sum(), 1e-300) <= LEAST_MU:
            break
    return design @ found, elements
