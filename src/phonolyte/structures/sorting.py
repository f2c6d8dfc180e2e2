"""Sorting and counting in compiled functions: loops, since NumPy's take numba several times as long to compile."""

from __future__ import annotations

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel


@kernel
def ascending(values: Floats) -> Ints:
    """Order (n,) in which values (n,) ascend, equal ones as they stand; a Shell sort with Ciura's gaps."""
    order = np.arange(len(values))
    for gap in (1750, 701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(gap, len(values)):
            place, to = order[i], i
            value = values[place]
            while to >= gap:
                other = order[to - gap]
                if values[other] < value or (values[other] == value and other < place):
                    break
                order[to] = other
                to -= gap
            order[to] = place
    return order


@kernel
def accumulate(counts: Ints) -> None:
    """Add to each of some counts (n,) all before it, in place."""
    for at in range(1, len(counts)):
        counts[at] += counts[at - 1]


@kernel
def count_elements(numbers: Ints) -> tuple[Ints, Ints, Ints]:
    """Elements (k,) of sites with atomic numbers (n,), ascending; the place of each site's among them; their counts."""
    last = 0
    for i in range(len(numbers)):
        last = max(last, int(numbers[i]))
    of_number = np.zeros(last + 1, np.int64)
    for number in numbers:
        of_number[number] += 1
    k = 0
    for count in of_number:
        if count > 0:
            k += 1
    elements, counts, classes = np.empty(k, np.int64), np.empty(k, np.int64), np.empty(len(numbers), np.int64)
    k = 0
    for number in range(last + 1):
        if of_number[number] > 0:
            elements[k], counts[k] = number, of_number[number]
            of_number[number] = k  # from here on its place
            k += 1
    for i in range(len(numbers)):
        classes[i] = of_number[numbers[i]]
    return elements, classes, counts
