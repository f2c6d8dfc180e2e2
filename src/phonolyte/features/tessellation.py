"""Voronoi tessellation of periodic crystals: the faces between neighboring atoms.

Each face is found on its own: the bisector plane of a pair of atoms, clipped as a polygon by the
bisectors of all nearer pairs. Nothing depends on a shared list of vertices, so the degenerate
vertices of highly symmetric crystals, triclinic cells and one-atom cells need no special case.
A face is complete once no atom beyond twice its farthest vertex is left to cut it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel
from phonolyte.structures.neighbors import Bins, Neighbors, bin_atoms, cell_volume, grown, neighbors_within
from phonolyte.structures.sorting import accumulate


class Tessellation(NamedTuple):
    """Faces of all Voronoi cells of a crystal, sorted by site (compressed rows).

    Face `f` with ``start[i] <= f < start[i + 1]`` lies between site `i` and site `neighbor[f]` in the
    periodic image `image[f]` (lattice vectors of the reduced cell), `distance[f]` angstrom apart, and
    has `area[f]` square angstrom. `volume` is the cell volume in cubic angstrom.
    """

    start: Ints
    neighbor: Ints
    image: Ints
    area: Floats
    distance: Floats
    volume: float


@kernel
def tessellate(lattice: Floats, frac_coords: Floats) -> Tessellation:
    """Tessellate a crystal.

    Parameters
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    frac_coords
        (n, 3) fractional coordinates; any image of an atom will do.
    """
    n = len(frac_coords)
    bins = bin_atoms(lattice, frac_coords)
    volume = cell_volume(bins.lattice)
    farthest = np.zeros(n)
    first, second = np.empty(10 * n, np.int64), np.empty(10 * n, np.int64)
    image = np.empty((10 * n, 3), np.int64)
    area, distance = np.empty(10 * n), np.empty(10 * n)
    count, radius = 0, 2.5 * (volume / n) ** (1 / 3)
    for atom in range(n):
        near, areas, radius = _cell_of(bins, atom, radius, farthest)
        for j in range(len(areas)):
            if areas[j] <= 0.0:
                continue
            if count == len(first):
                first, second, image = (
                    grown(first, 2 * count),
                    grown(second, 2 * count),
                    grown(image, 2 * count),
                )
                area, distance = grown(area, 2 * count), grown(distance, 2 * count)
            first[count], second[count] = atom, near.site[j]
            area[count], distance[count] = areas[j], near.distance[j]
            for axis in range(3):
                image[count, axis] = near.image[j, axis]
            count += 1
    return _both_ways(n, first[:count], second[:count], image, area, distance, volume)


@kernel
def _both_ways(
    n: int, first: Ints, second: Ints, image: Ints, area: Floats, distance: Floats, volume: float
) -> Tessellation:
    """List each face, found once, under both of its sites."""
    count = len(first)
    start = np.zeros(n + 1, np.int64)
    for f in range(count):
        start[first[f] + 1] += 1
        start[second[f] + 1] += 1
    accumulate(start)
    end = start.copy()
    both = Tessellation(
        start, np.empty(2 * count, np.int64), np.empty((2 * count, 3), np.int64),
        np.empty(2 * count), np.empty(2 * count), volume,
    )  # fmt: skip
    for f in range(count):
        for here, there, sign in ((first[f], second[f], 1), (second[f], first[f], -1)):
            to = end[here]
            end[here] += 1
            both.neighbor[to], both.area[to], both.distance[to] = there, area[f], distance[f]
            for axis in range(3):
                both.image[to, axis] = sign * image[f, axis]
    return both


@kernel
def _cell_of(bins: Bins, atom: int, radius: float, farthest: Floats) -> tuple[Neighbors, Floats, float]:
    """Neighbors and face areas of one atom's cell, and a search radius that suits the next atom.

    `farthest` (n,) is the farthest vertex found so far in each cell; it is updated for both cells of a face.
    """
    while True:
        near = neighbors_within(bins, atom, radius)
        areas = np.zeros(len(near.distance))
        polygon = np.empty((5, 64))  # two rows for the corners, three to work in
        reach = np.zeros(len(near.distance))
        for j in range(len(near.distance)):
            if _is_ours(atom, near.site[j], near.image[j]):
                areas[j], reach[j] = _face(near, j, 2.0 * radius, polygon)
        needed = farthest[atom] if len(reach) else max(farthest[atom], radius)
        for j in range(len(reach)):
            needed = max(needed, reach[j])
        needed *= 2.0
        if needed <= radius:
            farthest[atom] = 0.5 * needed
            for j in range(len(reach)):
                farthest[near.site[j]] = max(farthest[near.site[j]], reach[j])
            return near, areas, max(1.1 * needed, 0.5 * radius)
        # Grow gently: a cell still open reports the corners of its starting squares, far outside.
        radius = min(1.0001 * needed, 1.5 * radius)


@kernel
def _is_ours(atom: int, site: int, image: Ints) -> bool:
    """Whether the face is this atom's to find: each is found once, from its lower site or image."""
    if site != atom:
        return site > atom
    for axis in range(3):
        if image[axis] != 0:
            return bool(image[axis] > 0)
    return False


@kernel
def _face(near: Neighbors, j: int, half_width: float, polygon: Floats) -> tuple[float, float]:
    """Clip the bisector plane of neighbor `j` by all others: its area and its farthest vertex."""
    half = 0.5 * near.distance[j]
    nx, ny, nz = near.vector[j, 0], near.vector[j, 1], near.vector[j, 2]
    ux, uy, uz, vx, vy, vz = _plane_basis(nx / (2 * half), ny / (2 * half), nz / (2 * half))
    for m in range(4):
        polygon[0, m] = half_width if m in (1, 2) else -half_width
        polygon[1, m] = half_width if m > 1 else -half_width
    corners, width = np.int64(4), 2.0 * half_width * half_width
    reach = math.sqrt(width + half * half)
    for k in range(len(near.distance)):
        if 0.5 * near.distance[k] >= reach:  # farther bisectors cannot touch the polygon
            break
        if k == j:
            continue
        x, y, z = near.vector[k, 0], near.vector[k, 1], near.vector[k, 2]
        a = ux * x + uy * y + uz * z
        b = vx * x + vy * y + vz * z
        c = 0.5 * (near.distance[k] * near.distance[k] - nx * x - ny * y - nz * z)
        if c * c >= (a * a + b * b) * width:  # the whole polygon is on one side
            if c < 0.0:
                return 0.0, 0.0
            continue
        clipped = _clip(polygon, corners, a, b, c)
        if clipped == 0:
            return 0.0, 0.0
        if clipped > 0:
            corners = clipped
            width = _farthest_squared(polygon, corners)
            reach = math.sqrt(width + half * half)
    return _area(polygon, corners), reach


@kernel
def _clip(polygon: Floats, corners: int, a: float, b: float, c: float) -> int:
    """Keep the part of a convex polygon where a x + b y <= c, in place.

    Returns the new number of corners, 0 when nothing is left, -1 when nothing was cut.
    """
    x, y, height, kept_x, kept_y = polygon
    if corners + 2 > len(x):  # no crystal has faces of 60 corners; never write past the end
        return -1
    outside = 0
    for m in range(corners):
        height[m] = a * x[m] + b * y[m] - c
        outside += height[m] > 0.0
    if outside == 0:
        return -1
    if outside == corners:
        return 0
    count = 0
    for m in range(corners):
        n = m + 1 if m + 1 < corners else 0
        if height[m] <= 0.0:
            kept_x[count], kept_y[count] = x[m], y[m]
            count += 1
        if (height[m] > 0.0) != (height[n] > 0.0):
            t = height[m] / (height[m] - height[n])
            kept_x[count], kept_y[count] = x[m] + t * (x[n] - x[m]), y[m] + t * (y[n] - y[m])
            count += 1
    for m in range(count):
        x[m], y[m] = kept_x[m], kept_y[m]
    return count if count >= 3 else 0


@kernel
def _plane_basis(x: float, y: float, z: float) -> tuple[float, float, float, float, float, float]:
    """Two unit vectors that span the plane normal to a unit vector (10.1080/2165347X.2012.689606)."""
    sign = math.copysign(1.0, z)
    p = -1.0 / (sign + z)
    q = x * y * p
    return 1.0 + sign * x * x * p, sign * q, -sign * x, q, sign + y * y * p, -y


@kernel
def _farthest_squared(polygon: Floats, corners: int) -> float:
    farthest = 0.0
    for m in range(corners):
        farthest = max(farthest, polygon[0, m] ** 2 + polygon[1, m] ** 2)
    return farthest


@kernel
def _area(polygon: Floats, corners: int) -> float:
    doubled = 0.0
    for m in range(corners):
        n = m + 1 if m + 1 < corners else 0
        doubled += polygon[0, m] * polygon[1, n] - polygon[0, n] * polygon[1, m]
    return 0.5 * doubled
