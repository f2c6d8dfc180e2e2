"""Current against time at one voltage as a value, checked, with every guess that was made on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.counts import count, were
from phonolyte.errors import CurveError
from phonolyte.impedance.geometry import Geometry
from phonolyte.impedance.spectrum import name_sweep

FEWEST = 8
"""Points that the current of one voltage needs."""

MOST_A = 100.0
"""No pellet carries more; a unit is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Current against time while one voltage is held.

    Attributes
    ----------
    name
        Name of the file without its suffix.
    number
        Number of the hold in its file, from 1.
    time_s
        Time since the voltage was applied, (n,), rising from 0.
    current_a
        Current, (n,).
    voltage_v
        Voltage of the hold.
    voltage_std_v
        Standard deviation of the measured voltage within the hold, zero where only a set one is known.
    temperature_k
        Temperature of the sample, where it is known.
    notes
        What was guessed, chosen or left out.
    source
        Path of the file.
    sample
        Name of the sample: curves of one sample make one line of current against voltage.
    geometry
        Size of the pellet, where it is known.
    """

    name: str
    number: int
    time_s: Floats
    current_a: Floats
    voltage_v: float
    voltage_std_v: float = 0.0
    temperature_k: float | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    sample: str = ""
    geometry: Geometry | None = None

    @classmethod
    def from_arrays(
        cls, name: str, time_s: Sequence[float] | Floats, current_a: Sequence[float] | Floats, voltage_v: float,
        *, number: int = 1, voltage_std_v: float = 0.0, temperature_k: float | None = None,
        notes: Sequence[str] = (), source: str = "", sample: str = "", geometry: Geometry | None = None,
    ) -> Curve:  # fmt: skip
        """Make a curve from plain values: rows without a number are left out, equal times are kept.

        Raises
        ------
        CurveError
            For too few points, times that do not rise, and currents that cannot be in ampere.
        """
        t, i = np.asarray(time_s, dtype=float), np.asarray(current_a, dtype=float)
        if len(t) != len(i):
            raise CurveError(f"{name} has {len(t)} times and {len(i)} currents", fix="Check the columns.")
        good, all_notes = np.isfinite(t) & np.isfinite(i), list(notes)
        if not good.all():
            all_notes.append(f"{count(n := int(np.count_nonzero(~good)), 'row')} without a number {were(n)} left out")
        t, i = t[good], i[good]
        _check_points(name, t, i)
        if not np.isfinite(voltage_v):
            raise CurveError(f"the voltage of {name} is {voltage_v}", fix="Give --voltage-v.")
        return cls(name, number, t - t[0], i, float(voltage_v), voltage_std_v, temperature_k, tuple(all_notes), source,
                   sample or name, geometry)  # fmt: skip

    @property
    def label(self) -> str:
        """Name of the curve in tables: ``FILE``, and ``FILE#2`` for the second hold."""
        return name_sweep(self.name, self.number)

    @property
    def duration_s(self) -> float:
        """Time from the first point to the last."""
        return float(self.time_s[-1])

    def __len__(self) -> int:
        return len(self.time_s)


def _check_points(name: str, t: Floats, i: Floats) -> None:
    if len(t) < FEWEST:
        raise CurveError(
            f"{name} has {len(t)} points at one voltage", why=f"a steady state needs {FEWEST}",
            fix="Hold the voltage for longer, or record more often.",
        )  # fmt: skip
    if (np.diff(t) < 0).any() or t[-1] <= t[0]:
        raise CurveError(f"the times of {name} do not rise", fix="Check the column of time.")
    if np.abs(i).max() > MOST_A:
        raise CurveError(
            f"the current of {name} comes to {np.abs(i).max():.3g} A", why="no pellet carries that",
            fix="Check the unit of the current, or give --current-unit.",
        )  # fmt: skip
    if not i.any():
        raise CurveError(
            f"the current of {name} is zero in every row", why="it is below what the instrument resolves",
            fix="Measure in a smaller current range; what the instrument resolves is the bound.",
        )  # fmt: skip
