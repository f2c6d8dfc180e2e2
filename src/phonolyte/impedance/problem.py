"""A circuit and a spectrum as a problem of least squares, and the fit that solves it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.special import stdtrit

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError
from phonolyte.impedance.circuits import Circuit, parse_circuit
from phonolyte.impedance.elements import Grid
from phonolyte.impedance.spectrum import Complexes, Spectrum

CONFIDENCE = 0.95
LEAST_ALPHA = 0.3
RESOLVED = 1.0
"""A resistance whose logarithm is less certain than this is not resolved, and the circuit has too many elements."""

FIRST_STEPS, FOLLOWED, LAST_STEPS = 10, 2, 100
"""Evaluations that each start has before the best few are followed to the end, and there."""

PRECISE = 1e-6
"""Change of the sum of squares, as a share of it, at which a fit ends: a hundredth of a standard deviation."""

CORRELATED = 3.0
"""Residuals whose correlation with their neighbors is this many times its standard deviation are not noise."""

Weighting = Literal["modulus", "unit"]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A circuit fitted to a spectrum.

    Attributes
    ----------
    circuit
        In the notation of impedance.py.
    names, units
        Names and units of the parameters: ``R1``, ``CPE1_0`` (Q), ``CPE1_1`` (alpha), ...
    values
        Fitted parameters, (k,).
    low, high
        Ends of their 95 % intervals, (k,), by Student's t.
    covariance
        Covariance of the logarithms of the parameters, (k, k).
    freedom
        Degrees of freedom: real and imaginary parts, less parameters.
    widened
        Factor on standard deviations, above one where residuals are a misfit of the circuit and no noise.
    bic
        Bayesian information criterion.
    lowest_hz
        Frequency of the spectrum.
    impedance_ohm
        Impedance of the circuit at the frequencies of the spectrum, (n,).
    rms
        Root mean square residual as a share of the modulus.
    """

    circuit: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Floats
    low: Floats
    high: Floats
    covariance: Floats = field(repr=False)
    freedom: int
    widened: float
    bic: float
    lowest_hz: float
    impedance_ohm: Complexes = field(repr=False)
    rms: float

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def relative_std(self, name: str) -> float:
        """Standard deviation of the logarithm of a parameter."""
        at = self.names.index(name)
        return float(np.sqrt(max(self.covariance[at, at], 0.0)))

    @property
    def resolved(self) -> bool:
        """Whether the spectrum determines all resistances."""
        return all(self.relative_std(name) < RESOLVED for name in self.names if name.startswith("R"))

    @property
    def arcs(self) -> list[tuple[str, float, float]]:
        """For each arc the name of its resistance, that in ohm, and its capacitance in farad, the fastest first.

        The capacitance is that of the arc's time constant (Hsu and Mansfeld, 10.5006/1.3280607).
        """
        arcs = []
        for number in parse_circuit(self.circuit).arcs:
            r = self[f"R{number}"]
            if f"C{number}" in self.names:
                arcs.append((f"R{number}", r, self[f"C{number}"]))
            else:
                q, alpha = self[f"CPE{number}_0"], self[f"CPE{number}_1"]
                arcs.append((f"R{number}", r, (q * r) ** (1 / alpha) / r))
        for name in self.names:
            if re.fullmatch(r"(?:Zarc|K)\d+_0", name):  # an arc that is one element, of resistance and time constant
                ohm, tau = self[name], self[f"{name[:-1]}1"]
                arcs.append((name, ohm, tau / ohm))
        return sorted(arcs, key=lambda arc: arc[1] * arc[2])


class Problem:
    """Residuals and slopes of a circuit in free coordinates: logarithms, and for exponents the angle of a sine.

    Parameters
    ----------
    spectrum, circuit
        What is fitted by what.
    weighting
        Residuals as shares of the modulus, or in ohm (``"unit"``).
    fixed
        Values of parameters that are not fitted, by name.

    Raises
    ------
    SpectrumError
        When the spectrum has no more values than the circuit has free parameters, and when it has none.
    """

    def __init__(
        self, spectrum: Spectrum, circuit: Circuit, weighting: Weighting, fixed: Mapping[str, float] | None = None
    ) -> None:
        self.circuit, self.grid, self.z = circuit, Grid.from_frequencies(spectrum.frequency_hz), spectrum.impedance_ohm
        size = np.abs(self.z)
        self.weight = 1 / (size if weighting == "modulus" else np.full_like(size, size.mean()))
        self._held = np.array([(fixed or {}).get(name, np.nan) for name in circuit.names])
        self.moving = np.isnan(self._held)
        self._exponents = circuit.exponents[self.moving]
        self._x: Floats | None = None
        _check_freedom(spectrum, circuit, len(self._exponents))

    def free(self, values: Floats) -> Floats:
        """Coordinates of values of all parameters (k,): those of the parameters that are fitted."""
        values, e = values[self.moving], self._exponents
        x = np.empty(len(values))
        x[~e] = np.log(np.clip(values[~e], 1e-30, 1e30))
        share = (values[e] - LEAST_ALPHA) / (1 - LEAST_ALPHA)
        x[e] = np.arcsin(np.clip(2 * share - 1, -0.99, 0.99))  # at its ends a sine has no slope
        return x

    def values(self, x: Floats) -> Floats:
        """Values of all parameters (k,)."""
        e, fitted = self._exponents, np.empty(len(x))
        fitted[~e] = np.exp(np.clip(x[~e], -80, 80))
        fitted[e] = LEAST_ALPHA + (1 - LEAST_ALPHA) * (np.sin(x[e]) + 1) / 2
        values = self._held.copy()
        values[self.moving] = fitted
        return values

    def residuals(self, x: Floats) -> Floats:
        """(2n,), real parts first; the slopes are kept for :meth:`slopes`, which is called next."""
        z, slopes = self.circuit.respond(self.values(x), self.grid)
        self._slopes = slopes[self.moving]
        self._x = x.copy()
        off = (z - self.z) * self.weight
        return np.concatenate((off.real, off.imag))

    def slopes(self, x: Floats) -> Floats:
        """(2n, k) of the parameters that are fitted."""
        if self._x is None or (x != self._x).any():
            self.residuals(x)
        scaled = self._slopes * self.weight
        e = self._exponents
        scaled[e] *= ((1 - LEAST_ALPHA) * np.cos(x[e]) / 2)[:, None]
        return np.concatenate((scaled.real, scaled.imag), axis=1).T

    def solve(self, x: Floats, steps: int) -> Any:
        """Least squares from some coordinates, with so many evaluations at most."""
        return least_squares(self.residuals, x, self.slopes, method="lm", x_scale="jac", ftol=PRECISE, max_nfev=steps)

    def solve_from(self, guesses: Sequence[Floats]) -> Floats:
        """Coordinates of the best solution from several starts, values of all parameters (k,) each."""
        followed = len(guesses) > FOLLOWED
        begun = [self.solve(self.free(guess), FIRST_STEPS if followed else LAST_STEPS) for guess in guesses]
        begun.sort(key=lambda solution: float(solution.cost))
        ends = [start if start.status > 0 else self.solve(start.x, LAST_STEPS) for start in begun[:FOLLOWED]]
        best: Floats = min(ends, key=lambda solution: float(solution.cost)).x
        return best

    def fit(self, x: Floats) -> Fit:
        """The fit at some coordinates."""
        values, off = self.values(x), self.residuals(x)
        k, count, n = len(x), len(off), len(self.z)
        slopes = self._slopes * self.weight
        slopes[self._exponents] *= values[self.moving][self._exponents, None]
        jac = np.concatenate((slopes.real, slopes.imag), axis=1).T
        square = float(off @ off)
        widened = _widen(off[:n], off[n:])
        covariance = np.zeros((len(values), len(values)))
        covariance[np.ix_(self.moving, self.moving)] = _inverse(jac) * square / (count - k) * widened**2
        wide = np.minimum(stdtrit(count - k, 0.5 + CONFIDENCE / 2) * np.sqrt(np.maximum(np.diag(covariance), 0)), 50)
        low, high = values * np.exp(-wide), values * np.exp(wide)
        high[self.circuit.exponents] = np.minimum(high[self.circuit.exponents], 1.0)
        z = self.circuit.respond(values, self.grid)[0]
        return Fit(
            circuit=self.circuit.text,
            names=self.circuit.names,
            units=self.circuit.units,
            values=values,
            low=low,
            high=high,
            covariance=covariance,
            freedom=count - k,
            widened=widened,
            bic=float(count * np.log(max(square, 1e-300) / count) + k * np.log(count)),
            lowest_hz=float(self.grid.frequency_hz.min()),
            impedance_ohm=z,
            rms=float(np.sqrt(np.mean(np.abs((z - self.z) / self.z) ** 2) / 2)),
        )


def _check_freedom(spectrum: Spectrum, circuit: Circuit, free: int) -> None:
    if free >= 2 * len(spectrum):
        raise SpectrumError(
            f"{circuit.text} has {free} parameters, {spectrum.name} {len(spectrum)} points",
            fix="Take a simpler circuit.",
        )
    if not free:
        raise SpectrumError(f"all parameters of {circuit.text} are fixed", fix="Leave one of them free.")


def _inverse(jac: Floats) -> Floats:
    """Inverse of the normal equations (k, k); infinite variances of parameters that change nothing."""
    size = np.linalg.norm(jac, axis=0)
    shown = size > 1e-9 * max(float(size.max()), 1e-300)
    inverse = np.diag(np.where(shown, 0.0, np.inf))
    scaled = jac[:, shown] / size[shown]
    inverse[np.ix_(shown, shown)] = np.linalg.pinv(scaled.T @ scaled, hermitian=True) / np.outer(
        size[shown], size[shown]
    )
    return inverse


def _widen(real: Floats, imaginary: Floats) -> float:
    """Factor on standard deviations where residuals follow their neighbors: fewer of them count than there are.

    With a correlation r of neighbors, n residuals are worth n (1 - r) / (1 + r) independent ones.
    """
    square = float(real @ real + imaginary @ imaginary)
    if square <= 0:
        return 1.0
    r = float(real[1:] @ real[:-1] + imaginary[1:] @ imaginary[:-1]) / square
    if r < CORRELATED / np.sqrt(2 * len(real)):
        return 1.0
    r = min(r, 0.95)
    return float(np.sqrt((1 + r) / (1 - r)))
