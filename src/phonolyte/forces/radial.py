"""Functions of a distance, such as the radial network of a potential, as a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonolyte.compiling import kernel

N_INTERVALS = 1000
"""Intervals of a table: for 6 angstrom, cubics are as near to a network as its single precision is."""

NEAREST_A = 1e-6
"""Distance in place of zero, where derivatives of sin(x) / x are not computed."""


class RadialTable(NamedTuple):
    """Smooth functions of a distance by piecewise cubics with their values and derivatives at equal steps.

    A network of one number is computed for each bond again, with hundreds of outputs from tens of hidden ones. A cubic
    of each output takes a tenth of the time.

    Attributes
    ----------
    cubics
        (n_intervals, 4, n_functions) coefficients of each interval, constants first, in shares of an interval.
    per_a
        Intervals an angstrom. Beyond the last one its cubic goes on.
    """

    cubics: NDArray[np.float32]
    per_a: float

    @classmethod
    def from_function(
        cls, function: Callable[[Tensor], Tensor], cutoff_a: float, n_intervals: int = N_INTERVALS
    ) -> RadialTable:
        """Tabulate functions of a distance.

        Parameters
        ----------
        function
            Takes distances (n,) in double precision, and returns (n, n_functions); torch must know its derivative.
        cutoff_a
            Largest distance, angstrom.
        n_intervals
            Intervals of the table.
        """
        distances = torch.linspace(0.0, cutoff_a, n_intervals + 1, dtype=torch.float64)
        distances[0] = NEAREST_A
        computed = torch.func.jvp(function, (distances,), (torch.ones_like(distances),))
        values, slopes = (each.detach().numpy() for each in computed)
        slopes = slopes * (cutoff_a / n_intervals)
        rise, left, right = values[1:] - values[:-1], slopes[:-1], slopes[1:]
        cubics = np.stack([values[:-1], left, 3.0 * rise - 2.0 * left - right, left + right - 2.0 * rise], axis=1)
        return cls(cubics.astype(np.float32), n_intervals / cutoff_a)


@kernel(fastmath=True, error_model="numpy")
def find_cubic(distance: float, n_intervals: int, per_a: float) -> Any:
    """Return the interval with a distance (angstrom), and where in it the distance is."""
    place = np.float64(distance) * per_a
    interval = min(int(place), n_intervals - 1)
    return np.uint64(interval), np.float32(place - interval)


@kernel(fastmath=True, error_model="numpy")
def value_of(a: float, b: float, c: float, d: float, share: float) -> Any:
    """Return the value of the cubic with coefficients a (constant) to d."""
    return ((d * share + c) * share + b) * share + a


@kernel(fastmath=True, error_model="numpy")
def slope_of(b: float, c: float, d: float, share: float) -> Any:
    """Return the derivative by the share of the interval of the cubic with coefficients b (linear) to d."""
    return (np.float32(3.0) * d * share + np.float32(2.0) * c) * share + b
