"""Figures of moving ions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.figures.style import (
    COLORS,
    FAINT,
    INK,
    MANY,
    STYLE,
    finite,
    new_figure,
    plain,
    say_nothing,
    with_subscripts,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FINE = 200
"""Points of a smooth curve."""

HIGHEST_EV = 3.0
"""Site energies above this many times the barrier look the same."""


def neb_profile(path_a: Floats, energies_ev: Floats, *, title: str = "", note: str = "") -> Figure:
    """Energy along the path of a hop, above its start, with both barriers marked.

    Parameters
    ----------
    path_a
        Where the images are, angstrom, (n,).
    energies_ev
        Energies of the images, (n,).
    title, note
        Title of the figure; what is to be known besides, such as that it has not converged.
    """
    from matplotlib import rc_context
    from scipy.interpolate import PchipInterpolator

    energies = energies_ev - energies_ev[0]
    top = int(energies.argmax())
    fine = np.linspace(path_a[0], path_a[-1], FINE)
    with rc_context(STYLE):
        figure = new_figure(3.4, 2.7)
        axes = figure.subplots()
        axes.plot(fine, PchipInterpolator(path_a, energies)(fine), color=COLORS[0])
        axes.plot(path_a, energies, "o", color=COLORS[0], ms=4, mec="white", mew=0.6)
        axes.axhline(0.0, color=FAINT, lw=0.6)
        for at, base, where in ((path_a[0], 0.0, "left"), (path_a[-1], energies[-1], "right")):
            axes.annotate(
                f"{energies[top] - base:.2f} eV", (at, energies[top]), (0, 3), textcoords="offset points", ha=where,
                color=INK,
            )  # fmt: skip
            axes.plot([at, path_a[top]], [energies[top]] * 2, color=FAINT, lw=0.6, ls=":")
        axes.set_xlabel("Path (Å)")
        axes.set_ylabel("Energy above the start (eV)")
        axes.margins(y=0.14)
        axes.set_title(title)
        if note:
            axes.text(0.5, 0.03, note, transform=axes.transAxes, ha="center", fontsize=7, color=COLORS[1])
    return figure


def site_energy_map(
    energies_ev: Floats, lattice: Floats, barriers_ev: Sequence[float | None], *, title: str = ""
) -> Figure:
    """The lowest site energy of an ion along each of the three axes, with the outline of its paths.

    Parameters
    ----------
    energies_ev
        On the periodic grid (nx, ny, nz), the best site zero.
    lattice
        (3, 3), angstrom.
    barriers_ev
        Percolation in one, two and three dimensions; None where there is none.
    title
        Title of the figure.
    """
    from matplotlib import rc_context

    energies_ev = np.pad(energies_ev, ((0, 1), (0, 1), (0, 1)), mode="wrap")  # with the far faces of the cell
    finite_ev = [barrier for barrier in barriers_ev if barrier is not None]
    levels = sorted({round(barrier, 3) for barrier in finite_ev})
    ceiling = HIGHEST_EV * max(levels[-1], 0.3) if levels else HIGHEST_EV
    with rc_context(STYLE):
        figure = new_figure(6.6, 2.6)
        panels = figure.subplots(1, 3)
        image: Any = None
        for axis, axes in enumerate(panels):
            first, second = (a for a in range(3) if a != axis)
            x, y = _plane(lattice, first, second, (energies_ev.shape[first], energies_ev.shape[second]))
            lowest = energies_ev.min(axis=axis)
            image = axes.contourf(
                x, y, np.minimum(lowest, ceiling), levels=np.linspace(0, ceiling, 25), cmap="cividis_r", extend="max"
            )
            if levels:
                axes.contour(
                    x, y, lowest, levels=levels, colors=COLORS[1], linewidths=np.linspace(1.4, 0.6, len(levels))
                )
            axes.set_aspect("equal")
            axes.set_axis_off()
            axes.set_title(f"along {'abc'[axis]}", fontsize=9, loc="center")
        bar = figure.colorbar(image, ax=panels, shrink=0.8, ticks=np.linspace(0, ceiling, 4))
        bar.ax.set_yticklabels([f"{value:.1f}" for value in np.linspace(0, ceiling, 4)])
        bar.set_label("Site energy (eV)")
        bar.outline.set_visible(False)
        shown = ", ".join(f"{name} {barrier:.2f}" for name, barrier in zip(("1D", "2D", "3D"), barriers_ev, strict=True)
                          if barrier is not None)  # fmt: skip
        figure.suptitle(f"{title}   paths (orange): {shown} eV" if shown else f"{title}   no path",
                        x=0.01, ha="left", fontsize=10)  # fmt: skip
    return figure


def diffusion_arrhenius(runs: pd.DataFrame, *, title: str = "", energy_ev: Sequence[float] | None = None) -> Figure:
    """Diffusivities against the inverse temperature with their intervals; upper bounds where hops were too few.

    Parameters
    ----------
    runs
        Rows of ``diffusivities.parquet`` of one crystal.
    title
        Title of the figure.
    energy_ev
        Activation energy and the ends of its interval.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(3.4, 2.7)
        axes = figure.subplots()
        known = runs[runs["diffusivity_cm2_s"].notna()]
        x = 1000 / known["temperature_k"].to_numpy(float)
        middle = known["diffusivity_cm2_s"].to_numpy(float)
        if len(known):
            low, high = (known[f"diffusivity_{end}_cm2_s"].to_numpy(float) for end in ("low", "high"))
            axes.errorbar(x, middle, yerr=[middle - low, high - middle], fmt="o", color=COLORS[0], ms=4, capsize=2)
        if len(known) > 1:
            slope, start = np.polyfit(x, np.log(middle), 1)
            ends = np.array([x.min(), x.max()])
            axes.plot(ends, np.exp(start + slope * ends), color=COLORS[0])
        few = runs[runs["diffusivity_cm2_s"].isna()]
        if len(few):
            axes.plot(1000 / few["temperature_k"], few["below_cm2_s"].astype(float), "v", color=COLORS[1], ms=5,
                      label="below (too few hops)")  # fmt: skip
            axes.legend()
        axes.set_yscale("log")
        axes.set_xlabel("1000 / T (1/K)")
        axes.set_ylabel("Diffusivity (cm²/s)")
        axes.set_title(title)
        if energy_ev is not None:
            middle_ev, low_ev, high_ev = energy_ev
            axes.text(0.03, 0.05, f"{middle_ev:.2f} eV ({low_ev:.2f} to {high_ev:.2f})", transform=axes.transAxes)
    return figure


def center_against_barrier(
    table: pd.DataFrame, *, by: str = "", label: str = "Barrier (eV)", names: str = "", most: int = 6
) -> Figure:
    """Barriers of an ion against the band centers of their crystals.

    Parameters
    ----------
    table
        With `band_center_mev` and `barrier_ev`.
    by
        Column by which points have colors; the rest beyond the largest `most` groups is gray.
    label
        Label of the axis of barriers.
    names
        Column with what is written beside the points; none unless given.
    most
        Groups that have a color.
    """
    from matplotlib import rc_context

    known = finite(table, "band_center_mev", "barrier_ev")
    with rc_context(STYLE):
        figure = new_figure(3.6, 3.2 if by else 3.0)
        axes = figure.subplots()
        groups = known[by].value_counts().index[:most] if by else ()
        rest = known[~known[by].isin(groups)] if by else known
        size, many = (28 if len(known) < 30 else 6), len(known) > MANY
        for color, group in zip(COLORS, groups, strict=False):
            of_group = known[known[by] == group]
            axes.scatter(
                of_group["band_center_mev"], of_group["barrier_ev"], s=size, color=color, lw=0, alpha=0.8,
                rasterized=many, label=plain(group),
            )  # fmt: skip
        axes.scatter(
            rest["band_center_mev"], rest["barrier_ev"], s=size, color=FAINT if by else COLORS[0], lw=0, alpha=0.8,
            rasterized=many, label="other" if len(groups) and len(rest) else None,
        )  # fmt: skip
        if len(groups):
            figure.legend(loc="outside upper left", markerscale=1 if size > 6 else 2, handletextpad=0.1, ncols=4,
                          columnspacing=0.8)  # fmt: skip
        if names:
            _name_points(axes, known, "barrier_ev", names)
        axes.set_xlabel("Phonon band center (meV)")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        if not len(known):
            say_nothing(axes)
    return figure


def center_against_energy(
    table: pd.DataFrame, *, names: str = "formula", label: str = "Activation energy (eV)"
) -> Figure:
    """Activation energies, measured or from molecular dynamics, against the band centers of their crystals.

    Parameters
    ----------
    table
        With `band_center_mev` and `ea_ev`; `ea_low_ev` and `ea_high_ev` where intervals are known.
    names
        Column with what is written beside the points; none for an empty one.
    label
        Label of the axis of energies.
    """
    from matplotlib import rc_context

    known = finite(table, "band_center_mev", "ea_ev")
    with rc_context(STYLE):
        figure = new_figure(3.6, 3.0)
        axes = figure.subplots()
        axes.plot(known["band_center_mev"], known["ea_ev"], "o", ms=5, color=COLORS[0], mec="white", mew=0.6, zorder=3)
        sure = finite(known, "ea_low_ev", "ea_high_ev")
        axes.vlines(sure["band_center_mev"], sure["ea_low_ev"], sure["ea_high_ev"], color=COLORS[0], lw=1.0, zorder=2)
        if names:
            _name_points(axes, known, "ea_ev", names)
        axes.set(xlabel="Phonon band center (meV)", ylabel=label)
        axes.set_ylim(bottom=0)
        if not len(known):
            say_nothing(axes)
    return figure


def _name_points(axes: Any, table: pd.DataFrame, y: str, names: str) -> None:
    """Names beside points; on the left of those that have the right edge near."""
    x = table["band_center_mev"].to_numpy(float)
    axes.margins(x=0.16)
    right = x.min(initial=np.inf) + 0.7 * np.ptp(x) if len(x) > 1 else np.inf
    for row in table.to_dict("records"):
        left = row["band_center_mev"] > right
        axes.annotate(
            with_subscripts(str(row[names])), (row["band_center_mev"], row[y]), (-5 if left else 5, 3),
            textcoords="offset points", fontsize=7.5, ha="right" if left else "left",
        )  # fmt: skip


def _plane(lattice: Floats, first: int, second: int, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Points of a grid over two lattice vectors, drawn flat."""
    a, b = lattice[first], lattice[second]
    length = np.linalg.norm(a)
    along = a @ b / length
    height = np.sqrt(max(b @ b - along**2, 0.0))
    u, v = np.meshgrid(np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1]), indexing="ij")
    return u * length + v * along, v * height
