"""Functions of a distance, such as the radial network of a potential, as a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from phonolyte.arrays import Floats
from phonolyte.compiling import kernel

N_INTERVALS = 1000
"""Intervals of a table: for 6 angstrom, cubics are as near to a network as its single precision is."""

NEAREST_A = 1e-6
"""Distance in place of zero, where derivatives of sin(x) / x are not computed."""


class RadialTable(torch.nn.Module):  # type: ignore[misc]
    """Smooth functions of a distance by piecewise cubics with their values and derivatives at equal steps.

    A network of one number is computed for each bond again, with hundreds of outputs from tens of hidden ones. A cubic
    of each output takes a tenth of the time.

    Parameters
    ----------
    cubics
        (n_intervals, 4, n_functions) coefficients of each interval, constants first, in shares of an interval.
    cutoff_a
        End of the last interval, angstrom; beyond it the last cubic goes on.
    """

    def __init__(self, cubics: Floats, cutoff_a: float) -> None:
        super().__init__()
        self.cubics, self.per_a = cubics.astype(np.float32), len(cubics) / cutoff_a

    @classmethod
    def from_function(cls, function: Callable[[Tensor], Tensor], cutoff_a: float, n: int = N_INTERVALS) -> Self:
        """Tabulate functions of a distance.

        Parameters
        ----------
        function
            Takes distances (m,) in double precision, and returns (m, n_functions); torch must know its derivative.
        cutoff_a
            Largest distance, angstrom.
        n
            Intervals of the table.
        """
        distances = torch.linspace(0.0, cutoff_a, n + 1, dtype=torch.float64)
        distances[0] = NEAREST_A
        values, slopes = (
            each.detach().numpy() for each in torch.func.jvp(function, (distances,), (torch.ones_like(distances),))
        )
        slopes = slopes * (cutoff_a / n)
        rise = values[1:] - values[:-1]
        left, right = slopes[:-1], slopes[1:]
        return cls(
            np.stack([values[:-1], left, 3.0 * rise - 2.0 * left - right, left + right - 2.0 * rise], 1), cutoff_a
        )

    def forward(self, distances: Tensor) -> Tensor:
        """Return the functions (n, n_functions) of distances (n,), float32 on the CPU."""
        return _Interpolation.apply(distances, self.cubics, self.per_a)


class _Interpolation(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(context: Any, distances: Tensor, cubics: Floats, per_a: float) -> Tensor:
        context.save_for_backward(distances)
        context.table = cubics, per_a
        values = np.empty((len(distances), cubics.shape[2]), dtype=np.float32)
        _interpolate(distances.numpy(), cubics, per_a, values)
        return torch.from_numpy(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (distances,) = context.saved_tensors
        of_distances = np.empty(len(distances), dtype=np.float32)
        _differentiate(distances.numpy(), *context.table, gradient.contiguous().numpy(), of_distances)
        return torch.from_numpy(of_distances), None, None


@kernel(fastmath=True, error_model="numpy")
def _interpolate(distances: Any, cubics: Any, per_a: float, values: Any) -> None:
    """Write the functions of distances (n,) to `values` (n, n_functions)."""
    for at in range(len(distances)):
        place = distances[at] * per_a
        interval = min(int(place), len(cubics) - 1)
        share, cubic, value = np.float32(place - interval), cubics[interval], values[at]
        for k in range(len(value)):
            value[k] = ((cubic[3, k] * share + cubic[2, k]) * share + cubic[1, k]) * share + cubic[0, k]


@kernel(fastmath=True, error_model="numpy")
def _differentiate(distances: Any, cubics: Any, per_a: float, of_values: Any, of_distances: Any) -> None:
    """Write what a gradient (n, n_functions) of the functions is for the distances to `of_distances` (n,)."""
    two, three = np.float32(2.0), np.float32(3.0)
    for at in range(len(distances)):
        place = distances[at] * per_a
        interval = min(int(place), len(cubics) - 1)
        share, cubic, of_value = np.float32(place - interval), cubics[interval], of_values[at]
        total = np.float32(0.0)
        for k in range(len(of_value)):
            total += of_value[k] * ((three * cubic[3, k] * share + two * cubic[2, k]) * share + cubic[1, k])
        of_distances[at] = total * per_a
