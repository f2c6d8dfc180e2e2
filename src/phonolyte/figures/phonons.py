"""Figures of phonons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.dos import PhononDos
from phonolyte.figures.style import (
    COLORS,
    DASHED,
    FAINT,
    INK,
    STYLE,
    WASH,
    new_figure,
    with_subscripts,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.05
"""Space above the highest band, as a share of the range."""

IMAGINARY = 0.07
"""Least height of the region below zero where a mode is imaginary, as a share of the highest energy: for its name."""

APART = 0.11
"""Labels of centers that are nearer than this share of the range are moved apart."""


class Bands(Protocol):
    """Phonon bands along a path of straight parts, as :class:`phonolyte.phonons.bands.BandStructure` has them."""

    @property
    def parts(self) -> Sequence[tuple[Floats, Floats]]:
        """Distances (n,) in 1/angstrom and energies (n, m) in meV of each part."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the special points."""

    @property
    def positions(self) -> Floats:
        """Where they are."""

    @property
    def lowest_mev(self) -> float:
        """Lowest energy, meV."""

    @property
    def highest_mev(self) -> float:
        """Highest energy, meV."""


def phonon_bands(bands: Bands, dos: PhononDos, *, ion: str | None = None) -> Figure:
    """Bands beside the density of states, total and of each element, with the band centers marked.

    Parameters
    ----------
    bands, dos
        Phonon bands and densities of states of one crystal, in meV.
    ion
        The mobile element, whose own center is marked too.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(6.3, 3.6)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.3, 1.0))
        low, high = bands.lowest_mev, max(bands.highest_mev, float(dos.energies_mev[-1]))
        if dos.imaginary_share > 1e-4:
            low = min(low, float(dos.energies_mev[0]))
        bottom = min(low * 1.08, -IMAGINARY * high) if low < -0.5 else 0.0
        _draw_bands(left, bands)
        colors = _colors(dos, ion)
        _draw_density(right, dos, colors)
        _mark_centers(right, dos, ion, colors, high - bottom)
        for axes in (left, right):
            if bottom < 0:
                axes.axhspan(bottom, 0.0, color=WASH, lw=0, zorder=0)
                axes.axhline(0.0, color=FAINT, lw=0.6, zorder=1)
        if bottom < 0:
            right.text(0.97, 0.95 * bottom, "imaginary", color=FAINT, fontsize=8, va="bottom", ha="right",
                       transform=right.get_yaxis_transform())  # fmt: skip
        left.set_ylim(bottom, high + MARGIN * (high - bottom))
        left.set_ylabel("Phonon energy (meV)")
        left.set_title(with_subscripts(dos.formula), loc="left", fontsize=11, fontweight="bold")
    return figure


def phonon_dos(dos: PhononDos, *, ion: str | None = None) -> Figure:
    """The density of states, total and of each element, with the band center of each marked.

    Parameters
    ----------
    dos
        Densities of states of one crystal, in meV.
    ion
        The mobile element, which has the first color.
    """
    from matplotlib import rc_context

    colors, centers = _colors(dos, ion), dos.element_centers_mev
    with rc_context(STYLE):
        figure = new_figure(3.8, 2.9)
        axes = figure.subplots()
        axes.fill_between(dos.energies_mev, 0.0, dos.total, color=WASH, lw=0, zorder=1)
        axes.plot(dos.energies_mev, dos.total, color=FAINT, lw=0.8, zorder=2)
        for element, color in colors.items():
            axes.plot(dos.energies_mev, dos.per_element[element], color=color, lw=1.1, zorder=3)
        top = 1.08 * _high(dos.total)
        axes.axvline(
            dos.band_center_mev, color=INK, lw=1.2, ls=DASHED, zorder=4, label=f"total {dos.band_center_mev:.1f}"
        )
        for element, center in centers.items():
            axes.plot([center], [0.0], "^", color=colors[element], ms=7, mec="white", mew=0.6, clip_on=False, zorder=5,
                      label=f"{element} {center:.1f}")  # fmt: skip
        low, high = _span(dos)
        if low < 0:
            axes.axvspan(low, 0.0, color=WASH, lw=0, zorder=0)
            axes.axvline(0.0, color=FAINT, lw=0.6, zorder=1)
        axes.set(xlim=(low, high), ylim=(0.0, top), yticks=[], xlabel="Phonon energy (meV)", ylabel="DOS (states/meV)")
        figure.suptitle(with_subscripts(dos.formula), x=0.02, ha="left", fontsize=11, fontweight="bold")
        figure.legend(loc="outside right upper", title="center (meV)", alignment="left", handlelength=1.2)
    return figure


def _high(density: Any) -> float:
    """The height that all but the sharpest peak keep."""
    return float(np.sort(density)[int(0.998 * len(density)) - 1])


def _span(dos: PhononDos) -> tuple[float, float]:
    """Energies between which there are states, and a little around them; from zero where none is imaginary."""
    occupied = dos.energies_mev[dos.total > 1e-3 * dos.total.max()]
    low = 1.05 * float(occupied[0]) if dos.imaginary_share > 1e-4 else 0.0
    return min(low, 0.0), 1.04 * float(occupied[-1])


def _draw_bands(axes: Any, bands: Bands) -> None:
    for distances, energies in bands.parts:
        axes.plot(distances, energies, color=INK, lw=0.9, zorder=2)
    for place in bands.positions:
        axes.axvline(place, color=FAINT, lw=0.5, zorder=1)
    axes.set_xticks(bands.positions, _spread_labels(bands.labels, bands.positions))
    axes.set_xlim(bands.positions[0], bands.positions[-1])
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("Wave vector")


def _spread_labels(labels: Sequence[str], positions: Any) -> list[str]:
    """Labels with every second of two that would touch set a line lower."""
    near = 0.045 * (positions[-1] - positions[0])
    texts, lowered = [], False
    for i, label in enumerate(labels):
        lowered = i > 0 and positions[i] - positions[i - 1] < near * max(1, len(label) / 2) and not lowered
        texts.append(("\n" if lowered else "") + with_subscripts(label))
    return texts


def _colors(dos: PhononDos, ion: str | None) -> dict[str, str]:
    """A color for each element, the mobile ion first: it has the same one in all figures."""
    elements = sorted(dos.per_element, key=lambda element: (element != ion, element))
    return {element: COLORS[i % len(COLORS)] for i, element in enumerate(elements)}


def _draw_density(axes: Any, dos: PhononDos, colors: Mapping[str, str]) -> None:
    axes.fill_betweenx(dos.energies_mev, 0.0, dos.total, color=WASH, lw=0, zorder=1)
    axes.plot(dos.total, dos.energies_mev, color=FAINT, lw=0.8, zorder=2, label="total")
    for element, color in colors.items():
        axes.plot(dos.per_element[element], dos.energies_mev, color=color, lw=1.1, zorder=3, label=element)
    axes.set_xlim(0.0, 1.15 * _high(dos.total))
    axes.set_xticks([])
    axes.set_xlabel("DOS (states/meV)")
    # above the panel, beside the title: the space on the right is for the names of centers, which can be anywhere
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=8, handlelength=1.0, columnspacing=1.2)


def _mark_centers(axes: Any, dos: PhononDos, ion: str | None, colors: Mapping[str, str], span_mev: float) -> None:
    marks = [("band center", dos.band_center_mev, INK)]
    if ion in dos.element_centers_mev:
        marks.append((f"{ion} center", dos.element_centers_mev[ion], colors[ion]))
    apart = APART * span_mev
    close = len(marks) == 2 and abs(marks[0][1] - marks[1][1]) < apart
    for name, center, color in marks:
        shift = 0.5 * apart * np.sign(2 * center - sum(mark[1] for mark in marks)) if close else 0.0
        axes.axhline(center, color=color, lw=1.0, ls=DASHED, zorder=4)
        axes.annotate(f"{name}\n{center:.1f} meV", (1.0, center + shift), xycoords=axes.get_yaxis_transform(),
                      xytext=(4, 0), textcoords="offset points", ha="left", va="center", color=color, fontsize=8,
                      annotation_clip=False)  # fmt: skip
