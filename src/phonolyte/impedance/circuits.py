"""Equivalent circuits in impedance.py's notation, as functions that give the impedance and how it changes.

Resistors, capacitors, inductors, constant phase elements and Warburg's are computed here; any other element that
impedance.py has is taken from there, its slopes by differences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, NoReturn

import numpy as np

from phonolyte.arrays import Flags, Floats
from phonolyte.errors import MissingExtraError, SpectrumError
from phonolyte.impedance.spectrum import Complexes

STEP = 1e-5
"""Difference in the logarithm of a parameter, for the slopes of elements that have no formula here."""

Response = tuple[Complexes, Complexes]
"""An impedance (n,), and its slopes (k, n) in the logarithm of each parameter, in an exponent itself."""


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


def _resistor(p: Floats, grid: Grid) -> Response:
    z = np.full(len(grid.omega), p[0], dtype=complex)
    return z, z[None]


def _capacitor(p: Floats, grid: Grid) -> Response:
    z = -1j / (p[0] * grid.omega)
    return z, -z[None]


def _inductor(p: Floats, grid: Grid) -> Response:
    z = 1j * p[0] * grid.omega
    return z, z[None]


def _warburg(p: Floats, grid: Grid) -> Response:
    z = p[0] * (1 - 1j) / np.sqrt(grid.omega)
    return z, z[None]


def _constant_phase(p: Floats, grid: Grid) -> Response:
    z = np.exp(-p[1] * grid.log_j_omega) / p[0]
    slopes = np.empty((2, len(z)), dtype=complex)
    np.negative(z, out=slopes[0])
    np.multiply(slopes[0], grid.log_j_omega, out=slopes[1])
    return z, slopes


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of element: its impedance, the units of its parameters, and which of them are exponents."""

    respond: Callable[[Floats, Grid], Response]
    units: tuple[str, ...]
    exponents: tuple[bool, ...]


KINDS = {
    "R": Kind(_resistor, ("Ohm",), (False,)),
    "C": Kind(_capacitor, ("F",), (False,)),
    "L": Kind(_inductor, ("H",), (False,)),
    "W": Kind(_warburg, ("Ohm sec^-1/2",), (False,)),
    "CPE": Kind(_constant_phase, ("Ohm^-1 sec^a", ""), (False, True)),
}
"""Elements that are computed here."""


@dataclass(frozen=True, slots=True)
class Element:
    """A leaf of a circuit: its kind, and where its parameters begin."""

    kind: Kind
    first: int

    def respond(self, values: Floats, grid: Grid, slopes: Complexes) -> Complexes:
        """Its impedance; the slopes of its parameters go to their rows."""
        last = self.first + len(self.kind.units)
        z, slopes[self.first : last] = self.kind.respond(values[self.first : last], grid)
        return z


@dataclass(frozen=True, slots=True)
class InSeries:
    """Parts one after another."""

    parts: tuple[Part, ...]

    def respond(self, values: Floats, grid: Grid, slopes: Complexes) -> Complexes:
        """The sum."""
        z = self.parts[0].respond(values, grid, slopes)
        for part in self.parts[1:]:
            z = z + part.respond(values, grid, slopes)
        return z


@dataclass(frozen=True, slots=True)
class InParallel:
    """Parts side by side, with the first parameter of each, and the one after the last."""

    parts: tuple[Part, ...]
    edges: tuple[int, ...]

    def respond(self, values: Floats, grid: Grid, slopes: Complexes) -> Complexes:
        """The inverse of the sum of the inverses."""
        each = [part.respond(values, grid, slopes) for part in self.parts]
        inverse = 1 / each[0]
        for one in each[1:]:
            inverse = inverse + 1 / one
        z: Complexes = 1 / inverse
        for one, low, high in zip(each, self.edges[:-1], self.edges[1:], strict=True):
            slopes[low:high] *= (z / one) ** 2
        return z


Part = Element | InSeries | InParallel


@dataclass(frozen=True, eq=False)
class Circuit:
    """A circuit.

    Attributes
    ----------
    text
        In the notation of impedance.py.
    names, units
        Names and units of its parameters: ``R1``, ``CPE1_0`` (Q), ``CPE1_1`` (alpha), ...
    exponents
        Which of them are exponents, (k,); all others are above zero.
    """

    text: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    exponents: Flags
    part: Part = field(repr=False)

    def respond(self, values: Floats, grid: Grid) -> Response:
        """The impedance (n,), and its slopes (k, n)."""
        slopes = np.empty((len(self.names), len(grid.omega)), dtype=complex)
        return self.part.respond(values, grid, slopes), slopes

    def impedance_ohm(self, values: Sequence[float] | Floats, frequency_hz: Floats) -> Complexes:
        """The impedance (n,) at frequencies in Hz."""
        return self.respond(np.asarray(values, float), Grid.from_frequencies(frequency_hz))[0]

    @cached_property
    def arcs(self) -> tuple[str, ...]:
        """Numbers of the resistors with a constant phase element, or a capacitor, of the same number beside them."""
        return tuple(found[0] for found in re.findall(r"p\(R(\d+),(CPE|C)\1\)", self.text))


@lru_cache(maxsize=256)
def parse_circuit(text: str) -> Circuit:
    """Read a circuit, such as ``R0-p(R1,CPE1)-CPE2``.

    Raises
    ------
    SpectrumError
        When it is not one.
    MissingExtraError
        For an element that impedance.py may have, without impedance.py.
    """
    reader = _Reader(re.findall(r"[A-Za-z]+\d*|[-(),]|\S", text))
    part = reader.series()
    if reader.tokens:
        reader.fail(f"there is a {reader.tokens[0]!r} too many")
    if len(set(reader.names)) < len(reader.names):
        reader.fail("two elements have one name")
    return Circuit(text, tuple(reader.names), tuple(reader.units), np.array(reader.exponents, dtype=bool), part)


class _Reader:
    """What is left of the text of a circuit, and the parameters so far."""

    def __init__(self, tokens: list[str]) -> None:
        self.text, self.tokens = "".join(tokens), tokens
        self.names: list[str] = []
        self.units: list[str] = []
        self.exponents: list[bool] = []

    def fail(self, why: str) -> NoReturn:
        raise SpectrumError(f"{self.text!r} is not a circuit", why=why, fix="Write it as R0-p(R1,CPE1)-CPE2.")

    def take(self, expected: str = "") -> str:
        if not self.tokens or (expected and self.tokens[0] != expected):
            self.fail(f"{expected or 'an element'} is missing")
        return self.tokens.pop(0)

    def series(self) -> Part:
        parts = [self.one()]
        while self.tokens and self.tokens[0] == "-":
            self.take("-")
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else InSeries(tuple(parts))

    def one(self) -> Part:
        name = self.take()
        if name != "p":
            return self.element(name)
        self.take("(")
        edges = [len(self.names)]
        parts = [self.series()]
        edges.append(len(self.names))
        while self.tokens and self.tokens[0] == ",":
            self.take(",")
            parts.append(self.series())
            edges.append(len(self.names))
        self.take(")")
        return InParallel(tuple(parts), tuple(edges))

    def element(self, name: str) -> Element:
        found = re.fullmatch(r"([A-Za-z]+)(\d*)", name)
        if not found:
            self.fail(f"{name!r} is not an element")
        kind = KINDS.get(name.rstrip("0123456789")) or _foreign(name.rstrip("0123456789"), self)
        first, many = len(self.names), len(kind.units) > 1
        self.names += [f"{name}_{i}" if many else name for i in range(len(kind.units))]
        self.units += kind.units
        self.exponents += kind.exponents
        return Element(kind, first)


def _foreign(name: str, reader: _Reader) -> Kind:
    """An element of impedance.py."""
    try:
        from impedance.models.circuits.elements import circuit_elements
    except ImportError:
        raise MissingExtraError(
            f"{name} is not an element of Phonolyte's own, and impedance.py is not installed",
            fix="pip install 'phonolyte[impedance]'",
        ) from None
    found: Any = circuit_elements.get(name) if name not in ("s", "p") else None
    if found is None or not hasattr(found, "units"):
        reader.fail(f"there is no element {name!r}")
    units = tuple(str(unit) for unit in found.units)

    def respond(p: Floats, grid: Grid) -> Response:
        def at(values: Floats) -> Complexes:
            return np.asarray(found(values.tolist(), grid.frequency_hz), dtype=np.complex128)

        slopes = [(at(p * np.exp(shift)) - at(p * np.exp(-shift))) / (2 * STEP) for shift in np.eye(len(p)) * STEP]
        return at(p), np.stack(slopes)

    # An exponent has no unit; its slope here is in its logarithm, which is why it is fitted as the others are.
    return Kind(respond, units, (False,) * len(units))
