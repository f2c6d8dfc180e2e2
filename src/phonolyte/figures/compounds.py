"""Figures of many compounds: their centers, families, crystal systems, volumes and energies above the hull."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Flags, Floats
from phonolyte.figures.style import (
    COLORS,
    FAINT,
    INK,
    MANY,
    STYLE,
    finite,
    limit_line,
    new_figure,
    plain,
    say_nothing,
    with_subscripts,
)
from phonolyte.units import CONDUCTOR_S_CM

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILY_COLORS: Mapping[str, str] = {
    "oxide": COLORS[1], "sulfide": COLORS[4], "selenide": COLORS[3], "telluride": COLORS[6], "halide": COLORS[2],
    "nitride": COLORS[0], "mixed": COLORS[5],
}  # fmt: skip
"""The same in all figures; the other families are gray."""

BINS = 60
"""Most bars of a histogram."""

WIDTHS_MEV = (0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 50.0)

SHOWN_SHARE = 0.97
"""Share of the compounds that is within the axis of the energy above the hull."""

LEAST_S_CM, WIDEST_EV = 1e-11, 3.0
"""Lowest conductivity and widest barrier that are drawn."""

LABELS_APART, LABELS_RIGHT = 0.07, 45.0
"""Least distance of two labels, as a share of the axis, and how far right of their points they stand, in pixels."""

WIDE = 8.0
"""Volumes that differ by more than this factor are shown on a logarithmic axis."""

BOX = 0.34
"""Half the height of a box, and of the strip of points behind it."""


def center_histogram(
    centers_mev: Floats,
    subset: Flags | None = None,
    *,
    subset_name: str = "",
    max_center_mev: float | None = None,
    x_label: str = "Band center (meV)",
) -> Figure:
    """Distribution of band centers, with a part of the compounds, such as those with the mobile ion.

    Parameters
    ----------
    centers_mev
        (n,) in meV; what is not finite is left out.
    subset
        (n,) whether a compound belongs to the part.
    subset_name
        What the part is.
    max_center_mev
        A limit to draw.
    x_label
        Label of the axis.
    """
    from matplotlib import rc_context

    centers = np.asarray(centers_mev, dtype=float)
    good = np.isfinite(centers)
    with rc_context(STYLE):
        figure = new_figure(3.5, 2.7)
        axes = figure.subplots()
        axes.set(xlabel=x_label, ylabel="Compounds")
        if not good.any():
            say_nothing(axes)
            return figure
        edges = _edges(centers[good])
        chosen = good if subset is None else np.asarray(subset, dtype=bool) & good
        if chosen.sum() < good.sum():
            axes.hist(centers[good], edges, color=FAINT, alpha=0.55, label=f"all: {good.sum():,}")
        name = plain(subset_name) if subset is not None else "all"
        axes.hist(centers[chosen], edges, color=COLORS[0], label=f"{name}: {chosen.sum():,}")
        axes.set_xlim(0, None)
        limit_line(axes, x=max_center_mev)
        figure.legend(loc="outside upper left", ncols=2, handlelength=1.0, columnspacing=1.2)
        _count_axis(axes)
    return figure


def kinds(table: pd.DataFrame, columns: Sequence[str] = ("family", "crystal_system")) -> Figure:
    """How many compounds are of each family and of each crystal system.

    Parameters
    ----------
    table
        With those of the columns that there are.
    columns
        A panel each.
    """
    from matplotlib import rc_context

    counts = [table[column].dropna().astype(str).value_counts() for column in columns if column in table]
    counts = [count for count in counts if len(count)]
    names = [column for column in columns if column in table and table[column].notna().any()]
    rows = max((len(count) for count in counts), default=1)
    with rc_context(STYLE):
        figure = new_figure(max(2.6 * len(counts), 3.5), 0.75 + 0.22 * rows)
        panels = figure.subplots(1, max(len(counts), 1), squeeze=False)[0]
        for axes, name, count in zip(panels, names, counts, strict=False):
            colors = [_color(kind) if name == "family" else COLORS[0] for kind in count.index]
            bars = axes.barh([plain(kind) for kind in count.index], count, height=0.72, color=colors)
            axes.bar_label(bars, [f"{n:,}" for n in count], padding=3, fontsize=8)
            axes.set(title=name.replace("_", " ").capitalize(), xlabel="Compounds", xlim=(0, 1.25 * count.max()))
            axes.set_ylim(rows - 0.5, -0.5)
            axes.tick_params(axis="y", length=0)
            _count_axis(axes, of="x")
        if not counts:
            say_nothing(panels[0])
    return figure


def family_centers(table: pd.DataFrame, *, max_center_mev: float | None = None) -> Figure:
    """Band centers of each family: every compound, with the median and the middle half as a box; softest on top.

    Parameters
    ----------
    table
        With `family` and `band_center_mev`.
    max_center_mev
        A limit to draw.
    """
    from matplotlib import rc_context

    known = finite(table, "band_center_mev")
    groups = {str(name): centers.to_numpy() for name, centers in known.groupby("family")["band_center_mev"]}
    order = sorted(groups, key=lambda name: float(np.median(groups[name])))
    random = np.random.default_rng(0)
    with rc_context(STYLE):
        figure = new_figure(3.8, 0.75 + 0.29 * max(len(order), 3))
        axes = figure.subplots()
        for row, name in enumerate(order):
            _strip(axes, row, groups[name], _color(name), random)
            axes.text(
                1.01, row, f"{len(groups[name]):,}", transform=axes.get_yaxis_transform(), va="center", fontsize=8
            )
        axes.set_yticks(range(len(order)), [plain(name) for name in order])
        axes.set(xlabel="Band center (meV)", ylim=(max(len(order), 1) - 0.5, -0.5), xlim=(0, None))
        axes.tick_params(axis="y", length=0)
        limit_line(axes, x=max_center_mev)
        if not len(order):
            say_nothing(axes)
    return figure


def hull_against_center(
    table: pd.DataFrame, *, max_center_mev: float | None = 40.0, max_e_hull_ev: float | None = 0.05
) -> Figure:
    """Energy above the hull against the band center: all compounds, and those near the hull, by family.

    Parameters
    ----------
    table
        With `band_center_mev`, `e_hull_ev` (eV/atom) and `family`.
    max_center_mev, max_e_hull_ev
        Limits to draw; the second panel ends at twice the one of the energy.
    """
    from matplotlib import rc_context

    known = finite(table, "band_center_mev", "e_hull_ev")
    limit = None if max_e_hull_ev is None else 1000 * max_e_hull_ev
    near = 2 * (limit or 50.0)
    energies = 1000 * known["e_hull_ev"]
    top = max(float(energies.quantile(SHOWN_SHARE)), 2 * near) if len(known) else near
    beyond = int((energies > top).sum())
    with rc_context(STYLE):
        figure = new_figure(5.6, 3.0)
        panels = figure.subplots(1, 2, sharex=True)
        for axes, end, title in (
            (panels[0], top, f"{len(known):,} compounds" + (f", {beyond:,} higher" if beyond else "")),
            (panels[1], near, f"{int((energies <= near).sum()):,} near the hull"),
        ):
            shown = known[energies <= end]
            _scatter(axes, shown["band_center_mev"], 1000 * shown["e_hull_ev"], shown["family"])
            limit_line(axes, x=max_center_mev, y=limit)
            axes.set_title(title, fontsize=9)
            axes.set(xlabel="Band center (meV)", xlim=(0, None), ylim=(-0.03 * end, end))
        panels[0].set_ylabel("Energy above the hull (meV/atom)")
        _family_legend(figure, known["family"])
    return figure


def center_against_volume(
    table: pd.DataFrame, *, named: Collection[str] = (), max_center_mev: float | None = None
) -> Figure:
    """Band center against the volume per atom, by family.

    Parameters
    ----------
    table
        With `volume_per_atom_a3`, `band_center_mev` and `family`; `material_id` and `formula` where some are named.
    named
        `material_id` of compounds that are marked and labeled with their formula, such as one series.
    max_center_mev
        A limit to draw.
    """
    from matplotlib import rc_context

    known = finite(table, "volume_per_atom_a3", "band_center_mev")
    with rc_context(STYLE):
        figure = new_figure(3.8, 3.3)
        axes = figure.subplots()
        _scatter(axes, known["volume_per_atom_a3"], known["band_center_mev"], known["family"])
        limit_line(axes, y=max_center_mev)
        axes.set(xlabel="Volume per atom (Å³)", ylabel="Band center (meV)", ylim=(0, None))
        _volume_axis(axes, known["volume_per_atom_a3"])
        marked = known[known["material_id"].isin(named)] if len(named) else known.iloc[:0]
        _name_series(axes, marked)
        _family_legend(figure, known["family"])
    return figure


def conductivity_against_barrier(table: pd.DataFrame, yardsticks: pd.DataFrame | None = None) -> Figure:
    """Predicted conductivity against the barrier of percolation, by family; measured ones as rings above and below.

    Parameters
    ----------
    table
        With `barrier_3d_ev`, `sigma_predicted_s_cm`, `measured_sigma_s_cm` (S/cm) and `family`.
    yardsticks
        Known conductors, drawn as diamonds at what was measured: `barrier_3d_ev` and `measured_sigma_s_cm`.
    """
    from matplotlib import rc_context

    known = finite(table, "barrier_3d_ev", "sigma_predicted_s_cm")
    measured = finite(known, "measured_sigma_s_cm")
    with rc_context(STYLE):
        figure = new_figure(3.8, 3.3)
        axes = figure.subplots()
        _scatter(axes, known["barrier_3d_ev"], known["sigma_predicted_s_cm"], known["family"])
        x, predicted, value = (
            measured[name].to_numpy(float) for name in ("barrier_3d_ev", "sigma_predicted_s_cm", "measured_sigma_s_cm")
        )
        value = np.maximum(value, LEAST_S_CM)
        axes.vlines(x, predicted, value, color=INK, lw=0.5, alpha=0.5, zorder=3)
        axes.plot(x, value, "o", ms=4, mfc="none", mec=INK, mew=0.8, zorder=4, label=f"measured ({len(measured)})")
        _draw_conductors(axes, yardsticks)
        axes.set(xlabel="Percolation barrier in 3D (eV)", ylabel="Conductivity at 25 °C (S/cm)", yscale="log")
        axes.set(xlim=(0.0, WIDEST_EV), ylim=(LEAST_S_CM / 2, None))
        limit_line(axes, y=CONDUCTOR_S_CM)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper right")
        _family_legend(figure, known["family"])
    return figure


def _draw_conductors(axes: Axes, yardsticks: pd.DataFrame | None) -> None:
    """Diamonds at what was measured of known conductors."""
    if yardsticks is None or not len(yardsticks):
        return
    known = finite(yardsticks, "barrier_3d_ev", "measured_sigma_s_cm")
    known = known[known["measured_sigma_s_cm"] >= CONDUCTOR_S_CM]
    axes.plot(known["barrier_3d_ev"], known["measured_sigma_s_cm"], "D", ms=4.5, mfc=INK, mec="white", mew=0.6,
              zorder=5, label=f"known conductors ({len(known)})")  # fmt: skip


def _color(family: object) -> str:
    return FAMILY_COLORS.get(str(family), FAINT)


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, families: pd.Series) -> None:
    """Points in random order, so that no family hides another."""
    if not len(x):
        say_nothing(axes)
        return
    order = np.random.default_rng(0).permutation(len(x))
    many = len(x) > MANY
    colors = np.array([_color(name) for name in families])[order]
    size = 1.8 if len(x) > 3000 else 6 if many else 16
    axes.scatter(x.to_numpy()[order], y.to_numpy()[order], s=size, c=colors, lw=0, alpha=0.55 if many else 0.85,
                 rasterized=many, zorder=2)  # fmt: skip


def _name_series(axes: Axes, marked: pd.DataFrame) -> None:
    """Rings around some points, their formulas in a column beside them with lines to each."""
    if not len(marked):
        return
    marked = marked.sort_values("band_center_mev")
    x, y = marked["volume_per_atom_a3"].to_numpy(), marked["band_center_mev"].to_numpy()
    axes.plot(x, y, "o", ms=6, mfc="none", mec=INK, zorder=5)
    at, apart = y.copy(), LABELS_APART * float(np.diff(axes.get_ylim())[0])
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + apart)
    right, _ = axes.transData.transform((x.max(), y.max()))
    column, _ = axes.transData.inverted().transform((right + LABELS_RIGHT, 0.0))
    for formula, center, volume, height in zip(marked["formula"], y, x, at, strict=True):
        axes.annotate(
            with_subscripts(formula), (volume, center), (column, height), va="center", fontsize=8, zorder=6,
            arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.6, "shrinkA": 0, "shrinkB": 3},
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        )  # fmt: skip


def _volume_axis(axes: Axes, volumes: pd.Series) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    if len(volumes) and volumes.min() > 0 and volumes.max() > WIDE * volumes.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _family_legend(figure: Figure, families: pd.Series) -> None:
    from matplotlib.lines import Line2D

    present = {str(name) for name in families}
    if not present:
        return
    shown = [name for name in FAMILY_COLORS if name in present]
    labels = [(name, FAMILY_COLORS[name]) for name in shown] + ([("other", FAINT)] if present - set(shown) else [])
    handles = [Line2D([], [], marker="o", ls="", ms=5, color=color, label=name) for name, color in labels]
    columns = 8 if figure.get_figwidth() > 5 else 4
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, handletextpad=0.1, columnspacing=0.9)


def _strip(axes: Axes, row: int, centers: Floats, color: str, random: np.random.Generator) -> None:
    jitter = random.uniform(-BOX, BOX, len(centers))
    axes.scatter(centers, row + jitter, s=3 if len(centers) > MANY else 8, color=color, lw=0,
                 alpha=0.25 if len(centers) > MANY else 0.7, rasterized=len(centers) > MANY, zorder=2)  # fmt: skip
    if len(centers) >= 5:
        low, middle, high = np.percentile(centers, (25, 50, 75))
        axes.broken_barh([(low, high - low)], (row - BOX, 2 * BOX), facecolor="none", edgecolor=INK, lw=0.9, zorder=3)
        axes.plot([middle, middle], [row - BOX, row + BOX], color=INK, lw=1.8, zorder=3, solid_capstyle="butt")


def _edges(centers: Floats) -> list[float]:
    low, high = float(centers.min()), float(centers.max())
    width = next((w for w in WIDTHS_MEV if (high - low) / w <= BINS), (high - low) / BINS)
    first = np.floor(low / width) * width
    return [float(edge) for edge in np.arange(first, high + 1.5 * width, width)]


def _count_axis(axes: Axes, *, of: str = "y") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.yaxis if of == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(5 if of == "y" else 4, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
