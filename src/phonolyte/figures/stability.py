"""Figures of stability: electrochemical windows of many crystals, and reactions of one against the mixing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phonolyte.figures.style import COLORS, FAINT, INK, STYLE, WASH, new_figure, with_subscripts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 20
"""Crystals whose windows are drawn."""


def window_chart(table: pd.DataFrame) -> Figure:
    """Draw the electrochemical windows of the first crystals as bars, with their 90 % intervals.

    Parameters
    ----------
    table
        `formula`, `ion`, `e_hull_ev`, `reduction_v`, `oxidation_v` and their intervals, in the order of the bars.
    """
    from matplotlib import rc_context

    first = table.head(MOST)
    with rc_context(STYLE):
        figure = new_figure(6.4, 0.9 + 0.24 * len(first))
        axes = figure.add_subplot()
        places = np.arange(len(first))
        width = (first["oxidation_v"] - first["reduction_v"]).to_numpy(float)
        axes.barh(places, np.maximum(width, 0.01), left=first["reduction_v"], height=0.62, color=COLORS[0])
        for name in ("reduction", "oxidation"):
            _intervals(axes, places, first, name)
        axes.set_yticks(places, [with_subscripts(str(formula)) for formula in first["formula"]])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        ions = sorted(set(first["ion"]))
        axes.set_xlabel(f"voltage against {ions[0] if len(ions) == 1 else 'the metal of the ion'} (V)")
        axes.grid(axis="x", color=WASH, zorder=0)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
    return figure


def reaction_energies(table: pd.DataFrame, formula: str) -> Figure:
    """Draw the energy that mixtures of a crystal with other materials gain, against the share of the crystal.

    Parameters
    ----------
    table
        Rows of one crystal in ``reactions.parquet``.
    formula
        Formula of the crystal.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(4.4, 3.0)
        axes = figure.add_subplot()
        for color, (partner, rows) in zip(COLORS, table.groupby("partner", sort=False), strict=False):
            rows = rows.sort_values("crystal_share")
            axes.plot(rows["crystal_share"], rows["reaction_ev"], "o-", ms=3, color=color, label=_label(partner, rows))
        axes.axhline(0, color=FAINT, lw=0.8, zorder=0)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"share of {with_subscripts(formula)} in the mixture (atoms)")
        axes.set_ylabel("energy gained (eV/atom)")
        axes.legend(loc="best")
    return figure


def _label(partner: object, rows: pd.DataFrame) -> str:
    """Name of a material, with a note where phases of its mixtures are missing."""
    return with_subscripts(str(partner)) + (" (at least)" if rows["not_covered"].astype(bool).any() else "")


def _intervals(axes: Axes, places: np.ndarray, table: pd.DataFrame, name: str) -> None:
    low, high = (table[f"{name}_{end}_v"].to_numpy(float) for end in ("lower", "upper"))
    known = np.isfinite(low) & np.isfinite(high) & (high > low)
    axes.hlines(places[known], low[known], high[known], color=INK, lw=0.9)
