"""The Magpie attributes of one crystal, from its tessellation and its composition (compiled).

Structure attributes: Ward et al., Phys. Rev. B 96, 024104 (2017), 10.1103/PhysRevB.96.024104.
Composition attributes: Ward et al., npj Comput. Mater. 2, 16028 (2016), 10.1038/npjcompumats.2016.28.
"var" is the mean absolute deviation throughout, as in Magpie. Attributes carry no unit of length: they do not
change when a cell is scaled.
"""

from __future__ import annotations

import math

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.neutrality import can_be_neutral
from phonolyte.compiling import kernel
from phonolyte.features.tessellation import Tessellation, tessellate
from phonolyte.structures.sorting import count_elements

N_PROPERTIES = 22
N_STRUCTURE = 16 + 5 * N_PROPERTIES
N_COMPOSITION = 6 + 6 * N_PROPERTIES + 7
N_MAGPIE = N_STRUCTURE + N_COMPOSITION
N_ATTRIBUTES = N_MAGPIE + 2
"""Magpie's 271, and two ranges that only matminer lists."""

CAN_FORM_IONIC = N_MAGPIE - 3
"""Place of the attribute that says whether oxidation states can add up to zero."""

DECIMALS = 10
"""Attributes are rounded to this many decimals: the noise of equivalent descriptions of one crystal
(1e-14) must not decide a comparison in a tree."""

SCALE = 10.0**DECIMALS


@kernel
def attributes(
    lattice: Floats, frac_coords: Floats, numbers: Ints, properties: Floats, states: Ints, matminer: bool
) -> Floats:
    """All attributes of one crystal, (273,): Magpie's order, then matminer's two extra ranges.

    Parameters
    ----------
    lattice, frac_coords, numbers
        (3, 3) angstrom, (n, 3) and (n,) atomic numbers.
    properties
        (Z + 1, 22) elemental properties.
    states
        (Z + 1, 10) oxidation states, padded with -99.
    matminer
        Follow matminer's conventions where they differ from Magpie's.
    """
    values = np.empty(N_ATTRIBUTES)
    elements, classes, counts = count_elements(numbers)
    tessellation = tessellate(lattice, frac_coords)
    geometry(tessellation, values)
    of_shells = warren_cowley(tessellation, classes, counts, matminer)
    values[12], values[13], values[14] = of_shells[0], of_shells[1], of_shells[2]
    _neighbor_differences(tessellation, classes, elements, properties, values[16:N_STRUCTURE])
    composition_attributes(elements, counts, properties, states, matminer, values[N_STRUCTURE:N_MAGPIE])
    round_values(values)
    return values


@kernel
def round_values(values: Floats) -> None:
    """Round columns (m,) in place to :data:`DECIMALS`, without negative zeros."""
    for i in range(len(values)):
        values[i] = np.rint(values[i] * SCALE) / SCALE + 0.0


@kernel
def geometry(t: Tessellation, values: Floats) -> None:
    """Coordination, bond lengths, cell volumes and packing: attributes 0 to 11, 15, 271 and 272."""
    n = len(t.start) - 1
    coordination, length, variation = np.zeros(n), np.zeros(n), np.zeros(n)
    cell_volume, spheres = np.zeros(n), 0.0
    for i in range(n):
        surface, squares, nearest = 0.0, 0.0, np.inf
        for f in range(t.start[i], t.start[i + 1]):
            surface += t.area[f]
            squares += t.area[f] * t.area[f]
            length[i] += t.area[f] * t.distance[f]
            nearest = min(nearest, t.distance[f])
        cell_volume[i] = length[i] / 6.0
        coordination[i] = surface * surface / squares
        length[i] /= surface
        for f in range(t.start[i], t.start[i + 1]):
            variation[i] += t.area[f] * abs(t.distance[f] - length[i])
        variation[i] /= surface * length[i]
        spheres += 4.0 / 3.0 * math.pi * (0.5 * nearest) ** 3
    _divide(length, _mean(length))
    _divide(cell_volume, _mean(cell_volume))
    values[0], values[1], values[2], values[3] = _summary(coordination)
    _, values[4], values[5], values[6] = _summary(length)
    values[7], values[8], values[9], values[10] = _summary(variation)
    _, values[11], _, _ = _summary(cell_volume)
    values[15] = spheres / t.volume
    values[N_MAGPIE] = values[3] - values[2]
    values[N_MAGPIE + 1] = values[10] - values[9]


@kernel
def _summary(x: Floats) -> tuple[float, float, float, float]:
    """Mean, mean absolute deviation, minimum, maximum."""
    mean, deviation, least, most = _mean(x), 0.0, np.inf, -np.inf
    for i in range(len(x)):
        deviation += abs(x[i] - mean)
        least, most = min(least, x[i]), max(most, x[i])
    return mean, deviation / len(x), least, most


@kernel
def _mean(x: Floats) -> float:
    return _sum(x) / len(x)


@kernel
def _sum(x: Floats) -> float:
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@kernel
def _divide(x: Floats, by: float) -> None:
    """Divide in place."""
    for i in range(len(x)):
        x[i] /= by


@kernel
def warren_cowley(t: Tessellation, classes: Ints, counts: Ints, matminer: bool) -> Floats:
    """Mean over sites and elements of abs(1 - w / x) in shells 1, 2 and 3, (3,).

    w is the share of an element among the ends of walks of 1, 2 and 3 steps over faces that never return to
    a visited atom, x its fraction in the crystal. In Magpie each step chooses by face area among the steps
    still allowed; in matminer the weight of a step is its area over the largest face of the site, whatever
    is allowed.
    """
    n, n_classes = len(classes), len(counts)
    magnitude = np.zeros(3)
    if n_classes == 1:
        return magnitude
    by_class, scale = np.zeros((n, n_classes)), np.zeros(n)
    for i in range(n):
        for f in range(t.start[i], t.start[i + 1]):
            by_class[i, classes[t.neighbor[f]]] += t.area[f]
            scale[i] = max(scale[i], t.area[f]) if matminer else scale[i] + t.area[f]
    for i in range(n):
        reached = _walks(t, i, classes, by_class, scale, matminer)
        for shell in range(3):
            total = _sum(reached[shell])
            for c in range(n_classes):
                magnitude[shell] += abs(1.0 - reached[shell, c] / total * n / counts[c])
    _divide(magnitude, n * n_classes)
    return magnitude


@kernel
def _walks(t: Tessellation, i: int, classes: Ints, by_class: Floats, scale: Floats, matminer: bool) -> Floats:
    """Weights with which walks from site `i` end on each class of site, (3, n_classes).

    The third step needs no loop: it ends as the faces of the second atom are, less the faces back to the
    two atoms visited before it.
    """
    n_classes = by_class.shape[1]
    reached = np.zeros((3, n_classes))
    for c in range(n_classes):
        reached[0, c] = by_class[i, c]
    for f in range(t.start[i], t.start[i + 1]):
        j, back = t.neighbor[f], t.area[f]
        first = back / scale[i] / (scale[j] if matminer else scale[j] - back)
        for g in range(t.start[j], t.start[j + 1]):
            k = t.neighbor[g]
            x = t.image[f, 0] + t.image[g, 0]
            y = t.image[f, 1] + t.image[g, 1]
            z = t.image[f, 2] + t.image[g, 2]
            if k == i and x == 0 and y == 0 and z == 0:
                continue
            weight = first * t.area[g]
            reached[1, classes[k]] += weight
            closing = _area_towards(t, i, k, x, y, z)
            weight /= scale[k] if matminer else scale[k] - t.area[g] - closing
            for c in range(n_classes):
                reached[2, c] += weight * by_class[k, c]
            reached[2, classes[j]] -= weight * t.area[g]
            reached[2, classes[i]] -= weight * closing
    return reached


@kernel
def _area_towards(t: Tessellation, i: int, k: int, x: int, y: int, z: int) -> float:
    """Area of the face between site `i` and site `k` in image (x, y, z), 0 where they share none."""
    for f in range(t.start[i], t.start[i + 1]):
        if t.neighbor[f] == k and t.image[f, 0] == x and t.image[f, 1] == y and t.image[f, 2] == z:
            return float(t.area[f])
    return 0.0


@kernel
def _neighbor_differences(t: Tessellation, classes: Ints, elements: Ints, properties: Floats, values: Floats) -> None:
    """Area-weighted property differences across faces: mean, var, min, max and range for each property."""
    n, n_classes = len(classes), len(elements)
    shares = np.zeros((n, n_classes))
    for i in range(n):
        for f in range(t.start[i], t.start[i + 1]):
            shares[i, classes[t.neighbor[f]]] += t.area[f]
        _divide(shares[i], _sum(shares[i]))
    difference = np.empty(n)
    for p in range(N_PROPERTIES):
        for i in range(n):
            of_site, sum_ = properties[elements[classes[i]], p], 0.0
            for c in range(n_classes):
                sum_ += shares[i, c] * abs(properties[elements[c], p] - of_site)
            difference[i] = sum_
        mean, deviation, least, most = _summary(difference)
        values[5 * p], values[5 * p + 1] = mean, deviation
        values[5 * p + 2], values[5 * p + 3], values[5 * p + 4] = least, most, most - least


@kernel
def composition_attributes(
    elements: Ints, counts: Ints, properties: Floats, states: Ints, matminer: bool, values: Floats
) -> None:
    """The 145 composition attributes."""
    fractions, powers = np.empty(len(counts)), np.empty(len(counts))
    for e in range(len(counts)):
        fractions[e] = counts[e]
    _divide(fractions, _sum(fractions))
    values[0] = len(elements)
    for slot, power in enumerate((2.0, 3.0, 5.0, 7.0, 10.0)):
        for e in range(len(counts)):
            powers[e] = fractions[e] ** power
        values[1 + slot] = _sum(powers) ** (1.0 / power)
    for p in range(N_PROPERTIES):
        _statistics(properties, p, elements, fractions, counts, matminer, values[6 + 6 * p : 12 + 6 * p])
    tail = 6 + 6 * N_PROPERTIES
    for orbital in range(4):  # the means of NsValence .. NfValence over that of NValance
        values[tail + orbital] = values[6 + 6 * (8 + orbital)] / values[6 + 6 * 12]
    values[tail + 4] = _can_form_ionic(elements, counts, states, matminer)
    values[tail + 5], values[tail + 6] = _ionic_character(elements, properties, fractions, matminer)


@kernel
def _statistics(
    properties: Floats, p: int, elements: Ints, fractions: Floats, counts: Ints, matminer: bool, values: Floats
) -> None:
    """Mean, range, deviation, maximum, minimum of a property, and the value of the most abundant element.

    Where elements are equally abundant Magpie takes the mean of their values, matminer the least.
    """
    mean, least, most = 0.0, np.inf, -np.inf
    abundant, n_abundant, least_abundant, highest = 0.0, 0, np.inf, counts[0]
    for e in range(1, len(counts)):
        highest = max(highest, counts[e])
    for e in range(len(elements)):
        x = properties[elements[e], p]
        mean += fractions[e] * x
        least, most = min(least, x), max(most, x)
        if counts[e] == highest:
            abundant += x
            n_abundant += 1
            least_abundant = min(least_abundant, x)
    deviation = 0.0
    for e in range(len(elements)):
        deviation += fractions[e] * abs(properties[elements[e], p] - mean)
    values[0], values[1], values[2] = mean, most - least, deviation
    values[3], values[4] = most, least
    values[5] = least_abundant if matminer else abundant / n_abundant


@kernel
def _can_form_ionic(elements: Ints, counts: Ints, states: Ints, matminer: bool) -> float:
    """1 where one oxidation state per element can add up to no charge, else 0.

    A pure element gives 0 in Magpie, 1 in matminer.
    """
    if len(elements) == 1:
        return 1.0 if matminer else 0.0
    return 1.0 if can_be_neutral(elements, counts, np.zeros(len(counts), np.int64), states) else 0.0


@kernel
def _ionic_character(elements: Ints, properties: Floats, fractions: Floats, matminer: bool) -> tuple[float, float]:
    """Largest and mean Pauling ionic character 1 - exp(-(dX)^2 / 4).

    The mean runs over ordered pairs in Magpie, over unordered pairs in matminer.
    """
    largest, mean = 0.0, 0.0
    for a in range(len(fractions)):
        for b in range(a):
            difference = properties[elements[a], 7] - properties[elements[b], 7]
            character = 1.0 - math.exp(-0.25 * difference * difference)
            largest = max(largest, character)
            mean += fractions[a] * fractions[b] * character
    return largest, mean if matminer else 2.0 * mean
