"""The periodic table of the elements in a set of compounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from phonolyte.chemistry.elements import SYMBOLS
from phonolyte.figures.style import FAINT, INK, STYLE, WASH, new_figure, say_nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.05
"""Between two cells, as a share of one."""

F_BLOCK_AT = 8.3
"""Row of the lanthanides, below the table."""

DARK = 0.55
"""Share of the color scale from which symbols are white."""


def element_counts(elements: Iterable[Collection[str]]) -> Counter[str]:
    """How many compounds hold each element, from the elements of each compound."""
    return Counter(symbol for symbols in elements for symbol in sorted(set(symbols)))


def periodic_table(counts: Mapping[str, int], *, label: str = "Compounds with the element") -> Figure:
    """How many compounds hold each element, as colors on a logarithmic scale in the periodic table.

    Parameters
    ----------
    counts
        Element symbol -> number of compounds; :func:`element_counts` makes it. Symbols past lawrencium are left out.
    label
        Label of the colors.
    """
    from matplotlib import colormaps, rc_context
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    known = {symbol: n for symbol, n in counts.items() if symbol in SYMBOLS[1:] and n > 0}
    with rc_context(STYLE):
        figure = new_figure(5.2, 2.85)
        axes = figure.subplots()
        axes.set(xlim=(0.4, 18.6), ylim=(9.9, 0.4), aspect="equal")
        axes.set_axis_off()
        if not known:
            say_nothing(axes)
            return figure
        norm, colors = LogNorm(1, max(2, *known.values())), colormaps["YlGnBu"]
        for z, symbol in enumerate(SYMBOLS[1:], start=1):
            n = known.get(symbol, 0)
            _cell(axes, place_of(z), symbol, n, colors(norm(n)) if n else WASH, dark=n > 0 and norm(n) > DARK)
        bar = axes.inset_axes((0.19, 0.92, 0.4, 0.035))
        figure.colorbar(ScalarMappable(norm, colors), cax=bar, orientation="horizontal").outline.set_visible(False)
        bar.set_title(label, fontsize=8, loc="left", pad=3)
        bar.minorticks_off()
        bar.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        bar.tick_params(length=2, pad=1.5, labelsize=7)
    return figure


def place_of(z: int) -> tuple[float, float]:
    """Column, from 1 to 18, and row of an element; lanthanides and actinides are below the table."""
    if 57 <= z <= 70 or 89 <= z <= 102:
        first, row = (57, F_BLOCK_AT) if z < 89 else (89, F_BLOCK_AT + 1)
        return float(z - first + 3), row
    noble = (0, 2, 10, 18, 36, 54, 86, 118)
    row = next(i for i, last in enumerate(noble) if z <= last)
    from_start, from_end = z - noble[row - 1], noble[row] - z
    return float(from_start if from_start <= 2 and z != 2 else 18 - from_end), float(row)


def _cell(axes: Axes, place: tuple[float, float], symbol: str, n: int, color: object, *, dark: bool) -> None:
    from matplotlib.patches import Rectangle

    column, row = place
    side = 1 - 2 * GAP
    axes.add_patch(Rectangle((column - side / 2, row - side / 2), side, side, fc=color, ec="none"))
    ink = "white" if dark else INK if n else FAINT
    axes.text(column, row - (0.13 if n else 0), symbol, ha="center", va="center", fontsize=7.5, color=ink)
    if n:
        axes.text(column, row + 0.28, _short(n), ha="center", va="center", fontsize=4.6, color=ink)


def _short(n: int) -> str:
    return f"{n}" if n < 10_000 else f"{n / 1000:.0f}k" if n < 1_000_000 else f"{n / 1e6:.0f}M"
