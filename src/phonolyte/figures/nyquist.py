"""What a Nyquist plot needs to be read: where to look closer, and which frequencies to name, without a collision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonolyte.arrays import Floats

Complexes = NDArray[np.complex128]

SMALL, BESIDE = 0.3, 0.35
"""Share of the plot below which arcs are looked at closer, and what is then shown beyond them, as a share of them."""

NEAR_DECADE = 0.12
"""Decades by which a frequency may be off a power of ten that it is named for."""

MOST_COVERED, EDGE_PT = 5, 12.0
"""Points of the spectrum that a name may not cover, and how far it may stand beyond them, points."""

SIDES = {"top": (0.0, 1.0), "left": (-1.0, 0.0), "bottom": (0.0, -1.0), "right": (1.0, 0.0)}
"""Where a name can stand beside its point, the usual place first."""


class Decade(NamedTuple):
    """A frequency that is a power of ten: its point, its name, and where that stands; empty where there is no room."""

    point: int
    name: str
    side: str


def find_window(
    impedance_ohm: Complexes, before_ohm: float, across_ohm: float, aspect: float
) -> tuple[float, float] | None:
    """Resistances between which the arcs are, where the whole spectrum would make them too small to be seen.

    Parameters
    ----------
    impedance_ohm
        The spectrum, (n,).
    before_ohm, across_ohm
        Resistance before the arcs, and that of all arcs.
    aspect
        Width of the plot, as a multiple of its height.
    """
    z = impedance_ohm
    width = max(np.ptp(z.real), aspect * np.ptp(z.imag))
    if not 0 < across_ohm < SMALL * width:
        return None
    beside = BESIDE * across_ohm
    return before_ohm - min(beside, before_ohm) - 0.05 * across_ohm, before_ohm + across_ohm + beside


def name_decades(
    frequency_hz: Floats,
    impedance_ohm: Complexes,
    *,
    ohm_per_point: float,
    size_pt: float = 7.5,
    shown_ohm: Complexes | None = None,
) -> list[Decade]:
    """Name the powers of ten among the frequencies of a spectrum, each name where it covers least.

    Parameters
    ----------
    frequency_hz, impedance_ohm
        The spectrum, (n,), frequencies falling.
    ohm_per_point
        Scale of the plot, of both axes: ohm in a typographic point.
    size_pt
        Size of the letters, points.
    shown_ohm
        Impedances that the plot shows; default: the spectrum. A name does not stand far beyond them.
    """
    f = frequency_hz
    at = np.stack((impedance_ohm.real, -impedance_ohm.imag), axis=1) / ohm_per_point
    shown = (impedance_ohm if shown_ohm is None else shown_ohm) / ohm_per_point
    left, right, top = shown.real.min() - EDGE_PT, shown.real.max() + EDGE_PT, -shown.imag.min() + EDGE_PT
    boxes: list[tuple[Floats, Floats]] = []
    named: list[Decade] = []
    for decade in range(int(np.ceil(np.log10(f[0]))), int(np.floor(np.log10(f[-1]))) - 1, -1):
        near = int(np.abs(np.log10(f) - decade).argmin())
        if abs(np.log10(f[near]) - decade) >= NEAR_DECADE:
            continue
        name = write_hertz(decade)
        half = np.array([0.29 * len(name) * size_pt + 1, 0.55 * size_pt])
        tried = []
        for rank, (side, way) in enumerate(SIDES.items()):
            middle = at[near] + np.array(way) * (half + 4)
            covered = (np.abs(at - middle) < half + 2).all(axis=1).sum()
            clashes = sum(bool((np.abs(middle - other) < half + size).all()) for other, size in boxes)
            low, high = middle - half, middle + half
            outside = bool(low[0] < left or high[0] > right or high[1] > top)
            tried.append((MOST_COVERED * (clashes + outside) + int(covered), rank, side, middle))
        cost, _, side, middle = min(tried, key=lambda choice: choice[:2])
        if cost < MOST_COVERED:
            boxes.append((middle, half))
        named.append(Decade(near, name, side if cost < MOST_COVERED else ""))
    return named


def write_hertz(decade: int) -> str:
    """A power of ten in hertz: ``10 kHz``."""
    if not -3 <= decade < 9:
        return f"1e{decade} Hz"
    return f"{10 ** (decade % 3)} {('mHz', 'Hz', 'kHz', 'MHz')[decade // 3 + 1]}"
