"""Equivalent circuits in impedance.py's notation, as functions that give the impedance and how it changes.

Those of `elements` are computed there; any other that is registered with impedance.py is taken from there, and its
slopes by differences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NoReturn

import numpy as np

from phonolyte.arrays import Flags, Floats
from phonolyte.errors import MissingExtraError, SpectrumError
from phonolyte.impedance.elements import KINDS, Grid, Kind, Response, Role
from phonolyte.impedance.spectrum import Complexes

STEP = 1e-5
"""Difference in the logarithm of a parameter, for the slopes of elements that have no formula here."""


@dataclass(frozen=True, slots=True)
class Element:
    """A leaf of a circuit: its name, its kind, and where its parameters begin."""

    name: str
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
        for impedance in each[1:]:
            inverse = inverse + 1 / impedance
        z: Complexes = 1 / inverse
        for impedance, low, high in zip(each, self.edges[:-1], self.edges[1:], strict=True):
            slopes[low:high] *= (z / impedance) ** 2
        return z


IDEAL = {"CPE": "C", "Zarc": "K"}
"""What an element is with an exponent of one; the other parameters are the same."""

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

    def check(self, values: Mapping[str, float]) -> None:
        """Refuse values of parameters that are not there, and those that none can have.

        Raises
        ------
        SpectrumError
            For a name that it does not have, and a value that is not above zero, or of an exponent above one.
        """
        for name, value in values.items():
            if name not in self.names:
                raise SpectrumError(
                    f"{name!r} is not a parameter of {self.text}", fix=f"It has {', '.join(self.names)}."
                )
            most = 1.0 if self.exponents[self.names.index(name)] else np.inf
            if not 0 < value <= most or not np.isfinite(value):
                raise SpectrumError(
                    f"{name} is {value:g}",
                    why="an exponent is above 0 and at most 1, any other parameter above 0",
                    fix="Give another value.",
                )

    @property
    def is_inductive(self) -> bool:
        """Whether its impedance can be above the real axis, where that of an inductor is."""
        return any(element.name.startswith("L") for element in self.elements)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """Its leaves, in the order of their parameters."""
        return tuple(leaves(self.part))

    @cached_property
    def groups(self) -> tuple[tuple[Element, ...], ...]:
        """Each of its leaves, and the leaves of each part of its chain that has several."""
        parts = self.part.parts if isinstance(self.part, InSeries) else ()
        several = (tuple(leaves(part)) for part in parts if not isinstance(part, Element))
        return (*((element,) for element in self.elements), *several)

    @cached_property
    def simpler(self) -> tuple[str, ...]:
        """The circuits that it is with an element less; without those in which two elements are as one."""
        texts = (_render(_without(self.part, element)) for element in self.elements)
        return tuple(dict.fromkeys(text for text in texts if text and not _is_redundant(text)))

    @cached_property
    def shorter(self) -> tuple[str, ...]:
        """The circuits that it is without one of the parts of its chain."""
        parts = self.part.parts if isinstance(self.part, InSeries) else ()
        texts = ("-".join(_render(other) for other in parts if other != part) for part in parts)
        return tuple(text for text in texts if not _is_redundant(text))

    @cached_property
    def ideal(self) -> tuple[tuple[str, str, str], ...]:
        """The circuits that it is with an exponent of one, the element that had it, and the one in its place."""
        simpler = []
        for element in self.elements:
            kind = element.name.rstrip("0123456789")
            name = element.name.replace(kind, IDEAL.get(kind, ""))
            if kind in IDEAL and name not in {other.name for other in self.elements}:
                simpler.append((re.sub(rf"\b{element.name}\b", name, self.text), element.name, name))
        return tuple(simpler)

    @cached_property
    def arcs(self) -> tuple[str, ...]:
        """Numbers of the resistors with a constant phase element, or a capacitor, of the same number beside them."""
        return tuple(match[0] for match in re.findall(r"p\(R(\d+),(CPE|C)\1\)", self.text))


def leaves(part: Part) -> Iterator[Element]:
    """Elements of a part, in the order of their parameters."""
    if isinstance(part, Element):
        yield part
    else:
        for inner in part.parts:
            yield from leaves(inner)


def _without(part: Part, element: Element) -> Part | None:
    """A part without one of its elements, None where nothing is left."""
    if isinstance(part, Element):
        return None if part == element else part
    inner = tuple(left for inside in part.parts if (left := _without(inside, element)))
    if len(inner) < 2:
        return inner[0] if inner else None
    return InSeries(inner) if isinstance(part, InSeries) else InParallel(inner, ())


def _render(part: Part | None) -> str:
    """A part in the notation of impedance.py."""
    if part is None:
        return ""
    if isinstance(part, Element):
        return part.name
    if isinstance(part, InParallel):
        return f"p({','.join(map(_render, part.parts))})"
    return "-".join(map(_render, part.parts))


def _is_redundant(text: str) -> bool:
    """Whether two elements with a single parameter, of one kind, are side by side or one after another."""

    def check(part: Part) -> bool:
        if isinstance(part, Element):
            return False
        single = [
            element.kind for element in part.parts if isinstance(element, Element) and len(element.kind.units) == 1
        ]
        return any(single.count(kind) > 1 for kind in single) or any(map(check, part.parts))

    return check(parse_circuit(text).part)


@lru_cache(maxsize=1024)
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
        match = re.fullmatch(r"([A-Za-z]+)(\d*)", name)
        if not match:
            self.fail(f"{name!r} is not an element")
        kind = KINDS.get(name.rstrip("0123456789")) or _foreign(name.rstrip("0123456789"), self)
        first, many = len(self.names), len(kind.units) > 1
        self.names += [f"{name}_{i}" if many else name for i in range(len(kind.units))]
        self.units += kind.units
        self.exponents += [role == "exponent" for role in kind.roles]
        return Element(name, kind, first)


def _foreign(name: str, reader: _Reader) -> Kind:
    """An element of impedance.py."""
    try:
        from impedance.models.circuits.elements import circuit_elements
    except ImportError:
        raise MissingExtraError(
            f"{name} is not an element of Phonolyte's own, and impedance.py is not installed",
            fix="pip install 'phonolyte[impedance]'",
        ) from None
    element: Any = circuit_elements.get(name) if name not in ("s", "p") else None
    if element is None or not hasattr(element, "units"):
        reader.fail(f"there is no element {name!r}")
    units = tuple(str(unit) for unit in element.units)

    def respond(p: Floats, grid: Grid) -> Response:
        def at(values: Floats) -> Complexes:
            return np.asarray(element(values.tolist(), grid.frequency_hz), dtype=np.complex128)

        slopes = [(at(p * np.exp(shift)) - at(p * np.exp(-shift))) / (2 * STEP) for shift in np.eye(len(p)) * STEP]
        return at(p), np.stack(slopes)

    # An exponent has no unit; its slope here is in its logarithm, which is why it is fitted as the others are.
    roles = tuple[Role, ...]("ratio" for _ in units)
    return Kind(respond, units, roles)
