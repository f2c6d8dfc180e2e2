"""An equivalent circuit as a drawing: where its symbols, wires and names are, and the values beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from phonolyte.figures.circuit import Label, Schematic, Stroke
from phonolyte.impedance.circuits import Circuit, Element, InSeries, Part, parse_circuit
from phonolyte.impedance.elements import Role

REACH, HALF = 0.21, 0.085
"""Half of the length and of the height of a symbol, in widths of an element."""

LEAD, TOP, LINE = 0.14, 0.34, 0.15
"""Wire beside a branch point, room above an element for its name, and the height of a line of values below it."""

SI = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}

SIGNS: dict[Role, str] = {
    "resistance": "R", "admittance": "Q", "inductance": "L", "modified_inductance": "L", "warburg": "σ", "time": "τ",
    "exponent": "α", "ratio": "φ",
}  # fmt: skip
"""Sign of a parameter by its role."""

UNITS = {
    "Ohm": "Ω", "Ohm^-1 sec^a": "S·sᵅ", "Ohm sec^-1/2": "Ω/√s", "sec": "s", "F sec^(gamma - 1)": "F·sᵞ⁻¹",
    "H sec": "H·s", "Ohm-m^2": "Ω·m²",
}  # fmt: skip
"""Units of parameters as they are printed."""


def draw_schematic(text: str) -> Schematic:
    """Lay out a circuit: parts in series from left to right, parallel branches below each other.

    Raises
    ------
    SpectrumError
        For what is not a circuit.
    """
    box = _lay_out(parse_circuit(text).part)
    y, end = box.up, box.width + 2 * LEAD
    drawing = _Drawing([((0.0, y), (LEAD, y)), ((end - LEAD, y), (end, y))], [])
    box.put(drawing, LEAD, y)
    labels = tuple(sorted(drawing.labels, key=lambda label: (label.x, label.y)))
    return Schematic(round(end, 4), round(box.up + box.down, 4), tuple(drawing.strokes), labels)


def list_values(circuit: Circuit, values: Sequence[float]) -> dict[str, tuple[str, ...]]:
    """Values of the parameters of each element, as they stand below its symbol, by its name."""
    named = dict(zip(circuit.names, values, strict=True))
    return {element.name: _write_values(element, named) for element in circuit.elements}


def write_si(value: float, unit: str, digits: int = 3) -> str:
    """Write a value with a prefix of the SI: ``17.4 nF``; without a unit, and beyond prefixes, as a plain number."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g} {unit}".strip()
    rounded = float(f"{value:.{digits - 1}e}")
    power = 3 * math.floor(math.log10(abs(rounded)) / 3)
    if not unit or power not in SI:
        return f"{value:.{digits}g} {unit}".strip()
    scaled = rounded / 10.0**power
    decimals = max(digits - 1 - math.floor(math.log10(abs(scaled)) + 1e-9), 0)
    return f"{scaled:.{decimals}f} {SI[power]}{unit}"


def write_interval(low: float, high: float, unit: str, digits: int | None = None) -> str:
    """Write the ends of an interval, with as many digits as distinguish them: ``2.198 to 2.203 kΩ``."""
    digits = count_digits(low, high) if digits is None else digits
    first, last = (write_si(end, unit, digits) for end in (low, high))
    prefix = last.partition(" ")[2]
    return f"{first.removesuffix(prefix).strip() if first.partition(' ')[2] == prefix else first} to {last}"


def count_digits(low: float, high: float) -> int:
    """Return the significant digits that the ends of an interval need to differ, 3 to 5."""
    if not 0 < low < high < math.inf:
        return 3
    return min(max(1 - math.floor(math.log10(math.log(high / low))), 3), 5)


def write_power(value: float, unit: str, digits: int = 3) -> str:
    """Write a value as a power of ten: ``1.94·10⁻⁷ S/cm``."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g} {unit}"
    factor, _, power = f"{value:.{digits - 1}e}".partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{factor}·10{raised} {unit}".strip()


def _write_values(element: Element, named: Mapping[str, float]) -> tuple[str, ...]:
    kind = element.kind
    if len(kind.units) == 1:
        return (write_si(named[element.name], UNITS.get(kind.units[0], kind.units[0])),)
    pairs = zip(kind.roles, kind.units, strict=True)
    return tuple(
        f"{SIGNS[role]} {write_si(named[f'{element.name}_{at}'], UNITS.get(unit, unit))}"
        for at, (role, unit) in enumerate(pairs)
    )


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Strokes and labels so far."""

    strokes: list[Stroke]
    labels: list[Label]


@dataclass(frozen=True, slots=True)
class _Box:
    """A part of a circuit: its size above and below the wire that it is on, and what puts it somewhere."""

    width: float
    up: float
    down: float
    put: Callable[[_Drawing, float, float], None]


def _lay_out(part: Part) -> _Box:
    if isinstance(part, Element):
        return _lay_out_element(part)
    boxes = [_lay_out(inner) for inner in part.parts]
    return _lay_out_series(boxes) if isinstance(part, InSeries) else _lay_out_parallel(boxes)


def _lay_out_element(element: Element) -> _Box:
    kind = re.sub(r"\d+$", "", element.name)
    symbol = SYMBOLS.get(kind)
    strokes = (symbol or _draw_box)()

    def put(drawing: _Drawing, x: float, y: float) -> None:
        middle = x + 0.5
        drawing.strokes.extend([((x, y), (middle - REACH, y)), ((middle + REACH, y), (x + 1, y))])
        drawing.strokes.extend(
            tuple((round(middle + px, 4), round(y + py, 4)) for px, py in stroke) for stroke in strokes
        )
        drawing.labels.append(Label(element.name, round(middle, 4), round(y, 4), "" if symbol else kind))

    return _Box(1.0, TOP, HALF + 0.05 + LINE * len(element.kind.units), put)


def _lay_out_series(boxes: Sequence[_Box]) -> _Box:
    def put(drawing: _Drawing, x: float, y: float) -> None:
        for box in boxes:
            box.put(drawing, x, y)
            x += box.width

    return _Box(sum(box.width for box in boxes), max(box.up for box in boxes), max(box.down for box in boxes), put)


def _lay_out_parallel(boxes: Sequence[_Box]) -> _Box:
    """Branches below each other, the wire at half of the height between the first and the last."""
    heights = np.cumsum([0.0, *(above.down + below.up for above, below in pairwise(boxes))])
    inner = max(box.width for box in boxes)
    middle = float(heights[-1]) / 2

    def put(drawing: _Drawing, x: float, y: float) -> None:
        left, right = x + LEAD, x + LEAD + inner
        top = y - middle
        drawing.strokes.extend([((x, y), (left, y)), ((right, y), (right + LEAD, y))])
        drawing.strokes.extend(((edge, top), (edge, top + float(heights[-1]))) for edge in (left, right))
        for box, at in zip(boxes, heights, strict=True):
            start = left + (inner - box.width) / 2
            row = top + float(at)
            drawing.strokes.extend([((left, row), (start, row)), ((start + box.width, row), (right, row))])
            box.put(drawing, start, row)

    return _Box(inner + 2 * LEAD, middle + boxes[0].up, middle + boxes[-1].down, put)


def _draw_resistor() -> tuple[Stroke, ...]:
    steps = np.linspace(-REACH, REACH, 13)
    heights = [0.0 if at in (0, 12) else -HALF * (-1) ** (at // 2) for at in range(13)]
    return (tuple((float(x), y) for at, (x, y) in enumerate(zip(steps, heights, strict=True)) if at % 2 or y == 0),)


def _draw_capacitor() -> tuple[Stroke, ...]:
    gap, plate = 0.035, 0.12
    wires = tuple(((side * REACH, 0.0), (side * gap, 0.0)) for side in (-1, 1))
    return (*wires, *(((side * gap, -plate), (side * gap, plate)) for side in (-1, 1)))


def _draw_constant_phase() -> tuple[Stroke, ...]:
    """Two plates bent to the right, as is usual for a constant phase element."""
    plate, bend = 0.12, 0.08
    chevrons = [((x - bend, -plate), (x, 0.0), (x - bend, plate)) for x in (0.0, 0.09)]
    return ((((-REACH, 0.0), (0.0, 0.0))), *chevrons, ((0.09, 0.0), (REACH, 0.0)))


def _draw_inductor() -> tuple[Stroke, ...]:
    turns, radius = 4, REACH / 4
    angles = np.linspace(math.pi, 0, 9)
    points = [
        (-REACH + (2 * turn + 1) * radius + radius * math.cos(angle), -1.5 * radius * math.sin(angle))
        for turn in range(turns)
        for angle in angles
    ]
    return (tuple(points),)


def _draw_box() -> tuple[Stroke, ...]:
    return (((-REACH, -HALF), (REACH, -HALF), (REACH, HALF), (-REACH, HALF), (-REACH, -HALF)),)


SYMBOLS: dict[str, Callable[[], tuple[Stroke, ...]]] = {
    "R": _draw_resistor, "C": _draw_capacitor, "CPE": _draw_constant_phase, "L": _draw_inductor,
}  # fmt: skip
"""Symbols by kind of element; the others are boxes with their letters."""
