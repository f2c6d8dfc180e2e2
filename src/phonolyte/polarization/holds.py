"""Where one voltage ends and the next begins, in the rows of a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.counts import count, were
from phonolyte.polarization.curve import FEWEST

POTENTIOSTATIC = 2
"""Mode in files of EC-Lab in which the voltage is held; 1 holds the current, 3 is open circuit."""

LEAST_STEP_V, LEAST_SHARE, NOISES = 1e-3, 0.02, 8.0
"""A measured voltage that moves by more than each of these (V, share of it, its noise) is another one."""

BEHIND = 25
"""Points whose median a voltage is compared with, so that slow drift is not a step."""


def split_holds(
    time_s: Floats, voltage_v: Floats | None, control_v: Floats | None = None, steps: Sequence[Floats] = (),
    mode: Floats | None = None,
) -> tuple[list[Ints], list[str]]:  # fmt: skip
    """Split rows into holds: where time begins anew, a step number or the set voltage changes, or the measured one.

    Parameters
    ----------
    time_s
        Times, (n,).
    voltage_v, control_v
        Measured and set voltages, (n,); the measured ones decide where no set one is there.
    steps
        Columns that number steps, (n,) each.
    mode
        Mode of the instrument, (n,), as EC-Lab writes it.

    Returns
    -------
    tuple
        Indices of the rows of each hold of at least :data:`FEWEST` points, and notes.
    """
    rows, notes = _choose_rows(len(time_s), mode)
    if not len(rows):
        return [], notes
    cut = np.diff(rows, prepend=rows[0]) > 1
    cut |= np.diff(time_s[rows], prepend=time_s[rows[0]]) < 0
    for values in (*steps, *([] if control_v is None else [np.round(control_v, 5)])):
        level = np.nan_to_num(values[rows])
        cut |= np.diff(level, prepend=level[0]) != 0
    pieces: list[Ints] = [rows[block] for block in np.split(np.arange(len(rows)), np.flatnonzero(cut)) if len(block)]
    if voltage_v is not None and control_v is None:
        pieces = [piece for block in pieces for piece in _split_by_voltage(voltage_v, block)]
    holds = [piece for piece in pieces if len(piece) >= FEWEST]
    lost = sum(map(len, pieces)) - sum(map(len, holds))
    if lost and holds:
        notes.append(
            f"{count(lost, 'row')} of voltages that were held for fewer than {FEWEST} points {were(lost)} left out"
        )
    return holds or pieces, notes


def _choose_rows(n: int, mode: Floats | None) -> tuple[Ints, list[str]]:
    """Rows at which the voltage is held."""
    if mode is None:
        return np.arange(n), []
    held = np.flatnonzero(mode == POTENTIOSTATIC)
    other = n - len(held)
    return held, [f"{other} rows at open circuit or at a set current were left out"] if other and len(held) else []


def _split_by_voltage(voltage_v: Floats, rows: Ints) -> list[Ints]:
    """Pieces of some rows, each at one measured voltage."""
    v = voltage_v[rows]
    noise = 1.4826 * float(np.median(np.abs(np.diff(v)))) / np.sqrt(2) if len(v) > 2 else 0.0

    def width(level: float) -> float:
        return max(LEAST_STEP_V, LEAST_SHARE * abs(level), NOISES * noise)

    if np.ptp(v) <= width(float(np.median(v))):
        return [rows]
    starts = [0]
    for at in range(1, len(v)):
        level = float(np.median(v[max(starts[-1], at - BEHIND) : at]))
        if abs(v[at] - level) > width(level):
            starts.append(at)
    return list(np.split(rows, starts[1:]))
