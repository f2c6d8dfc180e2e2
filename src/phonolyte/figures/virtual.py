"""Figures of virtual compounds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.figures.style import COLORS, INK, STYLE, WASH, finite, limit_line, new_figure, plain, say_nothing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SOFT_MEV = 40.0
WIDEST_MEV = 100

SYMBOLS_WIDE = 62
"""Characters of a line of the table of substitutions."""

LINE_IN = 0.155
"""Its height."""


def center_histograms(summary: Mapping[str, Any]) -> Figure:
    """Distribution of the predicted centers for each prototype, in meV, with the share that is soft.

    Parameters
    ----------
    summary
        Of ``summary.json``.
    """
    from matplotlib import rc_context

    prototypes = summary["prototypes"]
    with rc_context(STYLE):
        figure = new_figure(4.6, 0.6 + 0.62 * len(prototypes))
        rows = figure.subplots(len(prototypes), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, of), color in zip(rows, prototypes.items(), _cycle_colors(len(prototypes)), strict=True):
            counts = np.array(of["histogram_per_mev"][:WIDEST_MEV])
            axes.axvspan(0, SOFT_MEV, color=WASH, lw=0, zorder=0)
            axes.stairs(counts, np.arange(WIDEST_MEV + 1), fill=True, color=color, zorder=2)
            axes.set(yticks=[], xlim=(0, WIDEST_MEV))
            axes.spines["left"].set_visible(False)
            axes.text(0.99, 0.9, f"{plain(name)}\n{of['compounds']:,}, {of['soft_share']:.0%} below {SOFT_MEV:g} meV",
                      transform=axes.transAxes, ha="right", va="top", fontsize=8)  # fmt: skip
        rows[-1].set_xlabel("Predicted band center (meV)")
        figure.supylabel("Compounds a meV", fontsize=9)
    return figure


def row_trend(table: pd.DataFrame) -> Figure:
    """Predicted centers in meV against the mean row of the elements in the periodic table, with the correlation.

    Parameters
    ----------
    table
        Compounds with `mean_Row` and `band_center_mev`.
    """
    from matplotlib import rc_context

    known = finite(table, "mean_Row", "band_center_mev")
    x, y = known["mean_Row"].to_numpy(float), known["band_center_mev"].to_numpy(float)
    with rc_context(STYLE):
        figure = new_figure(4.6, 3.4)
        axes = figure.subplots()
        axes.set(xlabel="Mean row of the elements", ylabel="Predicted band center (meV)")
        if not len(x):
            say_nothing(axes)
            return figure
        cells = axes.hexbin(x, y, gridsize=45, bins="log", cmap="cividis_r", mincnt=1, lw=0.1, edgecolors="face")
        edges = np.arange(np.floor(x.min()), x.max() + 0.5, 0.5)
        place = np.digitize(x, edges)
        filled = [k for k in np.unique(place) if (place == k).sum() >= 20]
        axes.plot([x[place == k].mean() for k in filled], [np.median(y[place == k]) for k in filled],
                  color=COLORS[1], marker="o", ms=3.5, lw=1.2, label="median")  # fmt: skip
        limit_line(axes, y=SOFT_MEV)
        axes.set_ylim(0, None)
        varied = len(x) > 1 and min(np.ptp(x), np.ptp(y)) > 0
        r = f"\nr = {np.corrcoef(x, y)[0, 1]:.2f}" if varied else ""
        axes.text(0.98, 0.97, f"{len(x):,} compounds{r}", transform=axes.transAxes,
                  ha="right", va="top", color=INK, fontsize=8)  # fmt: skip
        axes.legend(loc="lower left")
        figure.colorbar(cells, label="Compounds", pad=0.02).outline.set_visible(False)
    return figure


def substitution_table(slots: Mapping[str, Mapping[str, Sequence[str]]]) -> Figure:
    """Which elements may take which slot of each prototype.

    Parameters
    ----------
    slots
        Prototype -> slot -> element symbols.
    """
    from matplotlib import rc_context

    lines = [line for name, of in slots.items() for line in _slot_lines(name, of)]
    with rc_context(STYLE):
        figure = new_figure(5.2, 0.1 + LINE_IN * max(len(lines), 3))
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(max(len(lines), 3), 0))
        axes.set_axis_off()
        for row, (prototype, slot, symbols) in enumerate(lines):
            if prototype and row:
                axes.axhline(row - 0.02, color=WASH, lw=0.8)
            words = ((0.0, prototype, INK, "bold"), (0.16, slot, COLORS[0], "normal"), (0.26, symbols, INK, "normal"))
            for x, text, color, weight in words:
                axes.text(x, row + 0.5, text, fontsize=8, color=color, fontweight=weight, va="center", in_layout=False)
        if not lines:
            say_nothing(axes)
    return figure


def _slot_lines(prototype: str, slots: Mapping[str, Sequence[str]]) -> list[tuple[str, str, str]]:
    """Lines of the table: prototype and slot stand on the first of theirs alone."""
    lines: list[tuple[str, str, str]] = []
    for name, symbols in slots.items():
        for number, line in enumerate(textwrap.wrap(" ".join(symbols), SYMBOLS_WIDE) or ["–"]):
            first = f"{plain(name, 10)} ({len(symbols)})" if number == 0 else ""
            lines.append(("" if lines else plain(prototype, 14), first, line))
    return lines


def virtual_figures(
    summary: Mapping[str, Any],
    *,
    slots: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    compounds: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """Return the figures of virtual compounds, by the stem of their file.

    Parameters
    ----------
    summary
        As ``summary.json`` has it.
    slots
        Prototype -> slot -> elements that may take it.
    compounds
        `mean_Row` and `band_center_mev` of all compounds, where they are kept.
    """
    drawn = {"histogram": center_histograms(summary)}
    if slots:
        drawn["substitutions"] = substitution_table(slots)
    if compounds is not None:
        drawn["row_trend"] = row_trend(compounds)
    return drawn


STEMS = ("histogram", "substitutions", "row_trend")
"""Files of :func:`virtual_figures`."""


def _cycle_colors(n: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(n)]
