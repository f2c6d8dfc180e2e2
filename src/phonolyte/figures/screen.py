"""Figures of a screen: the funnel, and what the compounds and candidates are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.figures.compounds import (
    center_against_volume,
    center_histogram,
    conductivity_against_barrier,
    family_centers,
    hull_against_center,
    kinds,
)
from phonolyte.figures.migration import center_against_barrier
from phonolyte.figures.periodic_table import element_counts, periodic_table
from phonolyte.figures.style import (
    COLORS,
    FAINT,
    INK,
    STYLE,
    WASH,
    finite,
    new_figure,
    plain,
    say_nothing,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pandas as pd
    from matplotlib.figure import Figure


STEMS = (
    "funnel", "screen_centers", "screen_families", "hull_center", "screen_volumes", "screen_conductivity",
    "candidates_kinds", "candidates_elements",
)  # fmt: skip
"""Files of :func:`screen_figures`."""

FOLLOWED = (
    ("followed_percolation", "percolation_ev", "Barrier of site energies (eV)"),
    ("followed_barriers", "barrier_ev", "Barrier by NEB (eV)"),
)
"""Files of :func:`followed_figures`, the columns in them, and their labels."""

BAR = 0.4
"""Height of a bar; its words stand above it."""

MOST_NAMED = 15
"""Points that have their names beside them."""


def funnel(steps: Sequence[Mapping[str, Any]]) -> Figure:
    """What each step of a screen keeps, rejects, and cannot judge.

    Parameters
    ----------
    steps
        As ``funnel.json`` has them: `rule`, `applied`, `kept`, `rejected`, `missing`.
    """
    from matplotlib import rc_context

    kept, rejected, missing = (
        np.array([step[key] for step in steps], float) for key in ("kept", "rejected", "missing")
    )
    rows = np.arange(len(steps), dtype=float)
    with rc_context(STYLE):
        figure = new_figure(5.0, 0.35 + 0.38 * max(len(steps), 3))
        axes = figure.subplots()
        axes.set_axis_off()
        if not len(steps):
            say_nothing(axes)
            return figure
        most = max(1.0, kept.max())
        colors = [COLORS[0] if step["applied"] else FAINT for step in steps]
        axes.barh(rows, kept, color=colors, height=BAR)
        axes.barh(rows, missing, left=kept, color=COLORS[4], height=BAR)
        axes.barh(rows, rejected, left=kept + missing, color=WASH, height=BAR)
        for row, step in zip(rows, steps, strict=True):
            ink = INK if step["applied"] else FAINT
            rule = plain(step["rule"], 60) + ("" if step["applied"] else " (not applied)")
            axes.text(0, row - 0.64 * BAR, rule, va="bottom", fontsize=8, color=ink)
            axes.text(most, row - 0.64 * BAR, _counts(step), va="bottom", ha="right", fontsize=8, color=ink)
        axes.set(ylim=(len(steps) - 1 + BAR, -0.9), xlim=(0, most))
        _key(figure, unknown=bool(missing.any()))
    return figure


def screen_figures(
    table: pd.DataFrame,
    steps: Sequence[Mapping[str, Any]],
    *,
    ion: str | None = None,
    max_center_mev: float | None = None,
    max_e_hull_ev: float | None = None,
    yardsticks: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """Return the figures of a screen by the stem of their file; those without anything to show are left out.

    Parameters
    ----------
    table
        Ranked table with `elements` (sets of symbols); `crystal_system` of the candidates where it is known.
    steps
        As ``funnel.json`` has them.
    ion, max_center_mev, max_e_hull_ev
        Criteria.
    yardsticks
        Known conductors, as :func:`conductivity_against_barrier` takes them.
    """
    candidates = table[table["passes"].astype(bool)]
    drawn = {"funnel": funnel(steps)}
    if table["band_center_mev"].notna().any():
        symbol, holds = ion_subset(table["elements"], ion)
        drawn["screen_centers"] = center_histogram(
            table["band_center_mev"].to_numpy(float), holds if symbol else None, subset_name=f"with {symbol}",
            max_center_mev=max_center_mev, x_label="Predicted band center (meV)",
        )  # fmt: skip
        drawn["screen_families"] = family_centers(table, max_center_mev=max_center_mev)
        drawn["screen_volumes"] = center_against_volume(table, max_center_mev=max_center_mev)
    if (table["e_hull_ev"].notna() & table["band_center_mev"].notna()).any():
        drawn["hull_center"] = hull_against_center(table, max_center_mev=max_center_mev, max_e_hull_ev=max_e_hull_ev)
    if "sigma_predicted_s_cm" in candidates and candidates["sigma_predicted_s_cm"].notna().any():
        drawn["screen_conductivity"] = conductivity_against_barrier(candidates, yardsticks)
    if len(candidates):
        drawn["candidates_kinds"] = kinds(candidates)
        drawn["candidates_elements"] = periodic_table(
            element_counts(candidates["elements"]), label="Candidates with the element"
        )
    return drawn


def followed_figures(followed: pd.DataFrame) -> dict[str, Figure]:
    """Return how the barriers of followed candidates go with their centers, by the stem of the file.

    Parameters
    ----------
    followed
        As ``followed.csv`` has them.
    """
    center = followed["predicted_mev"]
    for column in ("band_center_mev", "calibrated_mev"):
        if column in followed:
            center = followed[column].fillna(center)
    drawn = {}
    for stem, column, label in FOLLOWED:
        if column not in followed:
            continue
        table = followed[["formula"]].assign(band_center_mev=center, barrier_ev=followed[column])
        of_tier = finite(table, "barrier_ev", "band_center_mev")
        if len(of_tier):
            names = "formula" if len(of_tier) <= MOST_NAMED else ""
            drawn[stem] = center_against_barrier(of_tier, names=names, label=label)
    return drawn


def ion_subset(elements: Iterable[Collection[str]], ion: str | None) -> tuple[str, Any]:
    """The mobile ion, the most frequent one unless it is given, and (n,) whether each compound holds it."""
    sets = list(elements)
    if ion in (None, "any"):
        counts = Counter({name: sum(name in symbols for symbols in sets) for name in MOBILE_IONS})
        ion = counts.most_common(1)[0][0] if any(counts.values()) else ""
    return ion or "", np.array([ion in symbols for symbols in sets], dtype=bool)


def _counts(step: Mapping[str, Any]) -> str:
    lost = [f"{step['missing']:,} unknown"] if step["missing"] else []
    lost += [f"{step['rejected']:,} rejected"] if step["rejected"] else []
    return "   ".join([*lost, f"{step['kept']:,}"])


def _key(figure: Figure, *, unknown: bool) -> None:
    from matplotlib.patches import Patch

    parts = [("kept", COLORS[0]), *([("property unknown", COLORS[4])] if unknown else []), ("rejected", WASH)]
    handles = [Patch(color=color, label=name) for name, color in parts]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, handlelength=1.0, columnspacing=1.2)
