"""An equivalent circuit on axes, from the strokes and labels of its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phonolyte.figures.style import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST_IN = 0.95
"""Width of an element, at most; a drawing that is wider than its axes is scaled to fit."""


Stroke = tuple[tuple[float, float], ...]
"""Points of a line, in widths of an element; x to the right, y down."""


@dataclass(frozen=True, slots=True)
class Label:
    """Text of a drawing.

    Attributes
    ----------
    element
        Element that is named.
    x, y
        Middle of its symbol, in widths of an element.
    inside
        Letters in its box, for an element without a symbol of its own; else empty.
    """

    element: str
    x: float
    y: float
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Schematic:
    """Drawing of a circuit.

    Attributes
    ----------
    width, height
        Size of the drawing, in widths of an element.
    strokes
        Wires and symbols.
    labels
        One an element: its name stands above the symbol, its values below it.
    """

    width: float
    height: float
    strokes: tuple[Stroke, ...]
    labels: tuple[Label, ...]


def draw_circuit(
    axes: Axes, drawing: Schematic, values: Mapping[str, Sequence[str]], *, width_in: float, height_in: float
) -> None:
    """Draw a circuit with the values of its elements into axes of a known size, from their left edge.

    Parameters
    ----------
    axes
        Get no frame.
    drawing
        Strokes and labels.
    values
        Lines below each symbol, by the name of the element.
    width_in, height_in
        Size of the axes, inches.
    """
    inch = min(LARGEST_IN, width_in / drawing.width, height_in / drawing.height)
    size = 8.0 * min(1.0, inch / 0.8)
    axes.set_axis_off()
    axes.set_xlim(0, width_in / inch)
    axes.set_ylim(drawing.height, drawing.height - height_in / inch)
    for stroke in drawing.strokes:
        axes.plot(*zip(*stroke, strict=True), color=INK, lw=1.0, solid_capstyle="round", solid_joinstyle="round")
    for label in drawing.labels:
        axes.text(label.x, label.y - 0.13, name_element(label.element), ha="center", va="bottom", fontsize=size)
        if label.inside:
            axes.text(label.x, label.y, label.inside, ha="center", va="center_baseline", fontsize=size)
        lines = "\n".join(values.get(label.element, ()))
        axes.text(label.x, label.y + 0.13, lines, ha="center", va="top", fontsize=0.85 * size, color=FAINT,
                  linespacing=1.1)  # fmt: skip


def name_element(name: str) -> str:
    """The name of an element with its number set low, by characters: formulas of matplotlib are slow."""
    letters = name.rstrip("0123456789")
    return letters + name[len(letters) :].translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
