"""Whether a spectrum can be trusted: the linear Kramers-Kronig test."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.impedance.spectrum import FEWEST, Complexes, Spectrum

VERDICTS = ("good", "doubtful", "bad")
"""What a test can say."""

SYSTEMATIC = (0.002, 0.03)
"""What is left over and is not noise, as a share of the modulus, up to which a spectrum is good, and doubtful. A chain
of elements follows drift and a response that is not linear to 0.5 %; clean spectra leave 0.06 % at most."""

NOISE = (0.03, 0.1)
"""All that is left over, as a share of the modulus, up to which a spectrum is good, and doubtful."""

LEAST_MU = 0.5
"""Resistances below zero may weigh half as much as those above: with more, an arc falls between two elements, or noise
is being fitted."""

DENSE = 4.0
"""Elements in a decade from which on more of them change nothing that is not noise."""

SURE = 3.0
"""Residuals are not noise when their correlation with neighbors is this many times its standard deviation."""

OUTLIER = 5.0
"""A point is off when its residual is this many times the standard deviation of the others, and above `LEAST_OFF`."""

LEAST_OFF = 0.01
"""Residual, as a share of the modulus, below which no point is off."""

MOST_OFF, LONGEST_RUN = 0.1, 2
"""Share of the points that can be off, and how many of them side by side: with more, the spectrum is what is off."""


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
        is_used = self._kept
        return float(np.sqrt(np.mean(self.real[is_used] ** 2 + self.imaginary[is_used] ** 2) / 2))

    @property
    def systematic(self) -> float:
        """The part of the residuals that neighbors share, as a share of the modulus: no noise, but drift and the like.

        Noise changes from point to point by the square root of two of itself; what changes less is not noise
        (von Neumann's ratio).
        """
        real, imaginary = self.real[self._kept], self.imaginary[self._kept]
        jumps = float(np.mean(np.diff(real) ** 2 + np.diff(imaginary) ** 2)) / 4
        return float(np.sqrt(max(self.rms**2 - jumps, 0.0)))

    @property
    def is_noise(self) -> bool:
        """Whether neighbors share no more of the residuals than those of noise do by chance.

        The part that 2n values of noise share has the standard deviation 1 / sqrt(2n), as a share of their variance
        (von Neumann, 10.1214/aoms/1177731677).
        """
        return self.systematic**2 <= SURE * self.rms**2 / float(np.sqrt(2 * np.count_nonzero(self._kept)))

    @property
    def verdict(self) -> str:
        """``"good"``, ``"doubtful"`` or ``"bad"``."""
        systematic = min(self.systematic, SYSTEMATIC[0]) if self.is_noise else self.systematic
        limits = zip(VERDICTS, SYSTEMATIC, NOISE, strict=False)
        return next(
            (word for word, part_limit, all_ in limits if systematic <= part_limit and self.rms <= all_), VERDICTS[-1]
        )

    @property
    def _kept(self) -> Flags:
        is_used = np.ones(len(self.real), dtype=bool)
        is_used[list(self.off)] = False
        return is_used


def check_kramers_kronig(spectrum: Spectrum) -> KramersKronig:
    """Test a spectrum by the linear Kramers-Kronig test (Boukamp, 10.1149/1.2044210).

    A chain of RC elements, which obeys the relations by itself, is fitted by linear least squares; what it cannot fit
    is noise, drift, or a sample that does not respond linearly. A capacitor in series stands for blocking electrodes,
    an inductor for the leads. Elements are added until resistances below zero weigh more than `LEAST_MU` (Schönleber
    et al., 10.1016/j.electacta.2014.01.034), as in impedance.py's ``linKK`` of type complex with ``c=0.5`` and
    ``add_cap``, and beyond that until the residuals are noise, or there are `DENSE` elements in a decade: an arc with
    one time constant, which falls between those of the chain, has resistances below zero from the start.

    Single points that are far off are left out and the test is done again, lest they bend it. Many of them, or some
    side by side, are not single points but a fault of the spectrum, and stay.
    """
    of_all = _test(spectrum, ())
    test = of_all
    while (worst := _find_worst(test)) is not None:
        test = _test(spectrum, (*test.off, worst))
        if len(test.off) > max(1, MOST_OFF * len(spectrum)) or _longest_run(test.off) > LONGEST_RUN:
            return of_all
    return of_all if _is_worse(test, of_all) else test


def _find_worst(test: KramersKronig) -> int | None:
    """The point that is farthest off, if one is."""
    size = np.hypot(test.real, test.imaginary)
    used = np.delete(np.arange(len(size)), list(test.off))
    sigma = float(np.median(size[used])) / np.sqrt(np.log(4))  # of one part, where both are normal
    worst = int(used[np.argmax(size[used])])
    return worst if size[worst] > max(OUTLIER * sigma, LEAST_OFF) and len(used) > FEWEST else None


def _longest_run(points: tuple[int, ...]) -> int:
    """How many of some points are side by side."""
    places = enumerate(sorted(points))
    return max(len(list(run)) for _, run in groupby(places, lambda place: place[1] - place[0]))


def _is_worse(test: KramersKronig, other: KramersKronig) -> bool:
    """Whether one test leaves more than another."""
    return VERDICTS.index(test.verdict) > VERDICTS.index(other.verdict) or test.rms > other.rms


def _test(spectrum: Spectrum, off: tuple[int, ...]) -> KramersKronig:
    """The test of a spectrum without some of its points."""
    omega, z = 2 * np.pi * spectrum.frequency_hz, spectrum.impedance_ohm
    used = np.delete(np.arange(len(z)), list(off))
    most, dense = max(3, len(used) - 2), DENSE * np.log10(omega.max() / omega.min())
    for elements in range(1, most + 1):
        chain, mu = _fit_chain(omega, z, used, elements)
        left = (z - chain) / np.abs(z)
        test = KramersKronig(left.real, left.imag, elements, off)
        if mu <= LEAST_MU and (elements >= dense or test.is_noise):
            break
    return test


def _fit_chain(omega: Floats, z: Complexes, used: Ints, elements: int) -> tuple[Complexes, float]:
    """The impedance of the chain that is fitted to some points, at all of them, and its mu.

    That is one less the ratio of resistances below zero to those above (eq. 21 of Schönleber et al.).
    """
    scale = 1 / np.abs(z)
    tau = np.geomspace(1 / omega.max(), 1 / omega.min(), elements) if elements > 1 else np.array([1 / omega.min()])
    lines = np.stack((np.ones(len(z)), 1j * omega, -1j / omega), axis=1)
    design = np.concatenate((1 / (1 + 1j * omega[:, None] * tau), lines), axis=1)
    weighted = design[used] * scale[used, None]
    stacked = np.concatenate((weighted.real, weighted.imag))
    norm = np.linalg.norm(stacked, axis=0)
    target = z[used] * scale[used]
    values = np.linalg.lstsq(stacked / norm, np.concatenate((target.real, target.imag)), rcond=None)[0] / norm
    r = values[:elements]
    return design @ values, float(1 - np.abs(r[r < 0]).sum() / max(np.abs(r[r >= 0]).sum(), 1e-300))
