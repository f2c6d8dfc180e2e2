"""Figures of distributions of relaxation times: arrays in, matplotlib figures out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.figures.style import COLORS, FAINT, INK, STYLE, WASH, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_TITLE = 100
"""Characters of a spectrum's name above its figure."""

STACKED = 0.6
"""Distance of two curves in a stack, where each is one high."""

MOST_NAMED = 16
"""Curves of a stack that are named."""


class Curve(NamedTuple):
    """Curve of a stack.

    Attributes
    ----------
    name
        Written at its end.
    tau_s, gamma_ohm
        Points, (m,).
    """

    name: str
    tau_s: Floats
    gamma_ohm: Floats


def distribution_figure(
    tau_s: Floats,
    gamma_ohm: Floats,
    *,
    low_ohm: Floats,
    high_ohm: Floats,
    peaks: Sequence[tuple[float, float]],
    measured_s: tuple[float, float],
    name: str = "",
) -> Figure:
    """A distribution of relaxation times with its interval, and the resistances of its peaks.

    Parameters
    ----------
    tau_s, gamma_ohm, low_ohm, high_ohm
        Distribution and interval, (m,).
    peaks
        Relaxation time and resistance of each peak.
    measured_s
        Times of the highest and the lowest frequency; what is beyond is extrapolated.
    name
        Written above.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(4.6, 3.2)
        axes = figure.subplots()
        inside = (tau_s >= measured_s[0]) & (tau_s <= measured_s[1])
        top = float(gamma_ohm[inside].max(initial=0.0)) or 1.0
        axes.axvspan(tau_s[0], measured_s[0], color=WASH, lw=0)
        axes.axvspan(measured_s[1], tau_s[-1], color=WASH, lw=0)
        axes.fill_between(tau_s, low_ohm, high_ohm, color=COLORS[0], alpha=0.25, lw=0)
        axes.semilogx(tau_s, gamma_ohm, color=COLORS[0])
        for tau, ohm in peaks:
            height = float(np.interp(np.log(tau), np.log(tau_s), gamma_ohm))
            axes.annotate(f"{ohm:.3g} Ω", (tau, height), (0, 4), textcoords="offset points", ha="center", fontsize=7.5)
        axes.set_xlim(tau_s[0], tau_s[-1])
        axes.set_ylim(0, 1.2 * top)
        axes.set_xlabel("Relaxation time (s)")
        axes.set_ylabel("γ (Ω per unit of ln τ)")
        axes.set_title(plain(name, LONGEST_TITLE), fontsize=9)
    return figure


def stack_figure(curves: Sequence[Curve]) -> Figure:
    """Distributions of relaxation times above each other, each over its largest value."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(5.0, min(2.0 + 0.35 * len(curves), 9.0))
        axes = figure.subplots()
        for number, curve in enumerate(curves):
            foot = STACKED * number
            height = foot + curve.gamma_ohm / (float(curve.gamma_ohm.max(initial=0.0)) or 1.0)
            axes.fill_between(curve.tau_s, foot, height, color="white", lw=0, zorder=-2 * number)
            axes.plot(curve.tau_s, height, color=COLORS[0], lw=1.0, zorder=-2 * number + 1)
            axes.axhline(foot, color=FAINT, lw=0.4, zorder=-2 * number + 1)
            if len(curves) <= MOST_NAMED:
                axes.annotate(plain(curve.name), (1.0, foot), (4, 2), xycoords=("axes fraction", "data"),
                              textcoords="offset points", fontsize=7, color=INK)  # fmt: skip
        axes.set_xscale("log")
        axes.margins(x=0)
        axes.set_ylim(0, None)
        axes.set_yticks([])
        axes.set_xlabel("Relaxation time (s)")
        axes.set_ylabel("γ over its largest value")
    return figure
