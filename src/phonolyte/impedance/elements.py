"""Elements of circuits as impedance.py defines them: their impedance, and how it changes with each parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.impedance.spectrum import Complexes

Response = tuple[Complexes, Complexes]
"""An impedance (n,), and its slopes (k, n) in the logarithm of each parameter, in an exponent itself."""

Role = Literal[
    "resistance", "admittance", "inductance", "modified_inductance", "warburg", "time", "exponent", "ratio"
]  # fmt: skip
"""What a parameter is, whence it takes its scale."""


class Grid(NamedTuple):
    """Frequencies, with what elements need of them.

    Attributes
    ----------
    frequency_hz, omega
        (n,), and times 2 pi.
    log_j_omega
        Logarithm of the imaginary unit times omega.
    """

    frequency_hz: Floats
    omega: Floats
    log_j_omega: Complexes

    @classmethod
    def from_frequencies(cls, frequency_hz: Floats) -> Grid:
        """The grid of some frequencies."""
        omega = 2 * np.pi * frequency_hz
        return cls(frequency_hz, omega, np.log(omega) + 0.5j * np.pi)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of element: its impedance, and the units and roles of its parameters."""

    respond: Callable[[Floats, Grid], Response]
    units: tuple[str, ...]
    roles: tuple[Role, ...]


def _resistor(p: Floats, grid: Grid) -> Response:
    z = np.full(len(grid.omega), p[0], dtype=complex)
    return z, z[None]


def _capacitor(p: Floats, grid: Grid) -> Response:
    z = -1j / (p[0] * grid.omega)
    return z, -z[None]


def _inductor(p: Floats, grid: Grid) -> Response:
    z = 1j * p[0] * grid.omega
    return z, z[None]


def _modified_inductor(p: Floats, grid: Grid) -> Response:
    """(j omega L)^alpha, as the function of impedance.py has it."""
    log_x = grid.log_j_omega + np.log(p[0])
    z = np.exp(p[1] * log_x)
    return z, np.stack((p[1] * z, log_x * z))


def _constant_phase(p: Floats, grid: Grid) -> Response:
    z = np.exp(-p[1] * grid.log_j_omega) / p[0]
    slopes = np.empty((2, len(z)), dtype=complex)
    np.negative(z, out=slopes[0])
    np.multiply(slopes[0], grid.log_j_omega, out=slopes[1])
    return z, slopes


def _warburg(p: Floats, grid: Grid) -> Response:
    z = p[0] * (1 - 1j) / np.sqrt(grid.omega)
    return z, z[None]


def _open_warburg(p: Floats, grid: Grid) -> Response:
    x = np.sqrt(1j * grid.omega * p[1])
    z, slope = _coth_over(x)
    return p[0] * z, p[0] * np.stack((z, slope * x / 2))


def _short_warburg(p: Floats, grid: Grid) -> Response:
    x = np.sqrt(1j * grid.omega * p[1])
    tanh = np.tanh(x)
    z = p[0] * tanh / x
    return z, np.stack((z, (p[0] * (1 - tanh**2) - z) / 2))


def _gerischer(p: Floats, grid: Grid) -> Response:
    x = 1j * grid.omega * p[1]
    z = p[0] / np.sqrt(1 + x)
    return z, np.stack((z, -z * x / (1 + x) / 2))


def _finite_gerischer(p: Floats, grid: Grid) -> Response:
    """R coth(phi s) / s, where s is the root of 1 + j omega tau."""
    x = 1j * grid.omega * p[1]
    s = np.sqrt(1 + x)
    z, slope = _coth_over(p[2] * s)
    by_phi = slope * p[2] * s  # slope in the logarithm of the argument
    scale = p[0] * p[2]
    return scale * z, scale * np.stack((z, by_phi * x / (1 + x) / 2, z + by_phi))


def _relaxation(p: Floats, grid: Grid) -> Response:
    x = 1j * grid.omega * p[1]
    z = p[0] / (1 + x)
    return z, np.stack((z, -z * x / (1 + x)))


def _zarc(p: Floats, grid: Grid) -> Response:
    log_x = grid.log_j_omega + np.log(p[1])
    x = np.exp(p[2] * log_x)
    z = p[0] / (1 + x)
    slope = -z * x / (1 + x)
    return z, np.stack((z, p[2] * slope, log_x * slope))


def _transmission_line(p: Floats, grid: Grid) -> Response:
    """R coth(x) / x, where x is the root of R Q (j omega)^gamma."""
    x = np.sqrt(p[0] * p[1]) * np.exp(p[2] * grid.log_j_omega / 2)
    z, slope = _coth_over(x)
    by_x = p[0] * slope * x / 2
    return p[0] * z, np.stack((p[0] * z + by_x, by_x, by_x * grid.log_j_omega))


def _porous_electrode(p: Floats, grid: Grid) -> Response:
    """A coth(x) / x + B / (x sinh(x)), where x is the root of a + j omega b."""
    x = np.sqrt(p[2] + 1j * grid.omega * p[3])
    first, slope = _coth_over(x)
    second = 1 / (x * _sinh(x))
    by_x = p[0] * slope + p[1] * second * (-1 / x - first * x)
    slopes = (p[0] * first, p[1] * second, by_x * p[2] / x / 2, by_x * 1j * grid.omega * p[3] / x / 2)
    return p[0] * first + p[1] * second, np.stack(slopes)


def _coth_over(x: Complexes) -> tuple[Complexes, Complexes]:
    """coth(x) / x and its slope in x."""
    coth = 1 / np.tanh(x)
    return coth / x, (1 - coth**2 - coth / x) / x


def _sinh(x: Complexes) -> Complexes:
    """Hyperbolic sine, where it is too large for anything to be left of its inverse a large number."""
    sinh: Complexes = np.sinh(np.minimum(x.real, 300.0) + 1j * x.imag)
    return sinh


KINDS = {
    "R": Kind(_resistor, ("Ohm",), ("resistance",)),
    "C": Kind(_capacitor, ("F",), ("admittance",)),
    "L": Kind(_inductor, ("H",), ("inductance",)),
    "La": Kind(_modified_inductor, ("H sec", ""), ("modified_inductance", "exponent")),
    "CPE": Kind(_constant_phase, ("Ohm^-1 sec^a", ""), ("admittance", "exponent")),
    "W": Kind(_warburg, ("Ohm sec^-1/2",), ("warburg",)),
    "Wo": Kind(_open_warburg, ("Ohm", "sec"), ("resistance", "time")),
    "Ws": Kind(_short_warburg, ("Ohm", "sec"), ("resistance", "time")),
    "G": Kind(_gerischer, ("Ohm", "sec"), ("resistance", "time")),
    "Gs": Kind(_finite_gerischer, ("Ohm", "sec", ""), ("resistance", "time", "ratio")),
    "K": Kind(_relaxation, ("Ohm", "sec"), ("resistance", "time")),
    "Zarc": Kind(_zarc, ("Ohm", "sec", ""), ("resistance", "time", "exponent")),
    "TLMQ": Kind(_transmission_line, ("Ohm", "F sec^(gamma - 1)", ""), ("resistance", "admittance", "exponent")),
    "T": Kind(_porous_electrode, ("Ohm-m^2", "Ohm-m^2", "", "sec"), ("resistance", "resistance", "ratio", "time")),
}
"""Elements that are computed here, by name."""
