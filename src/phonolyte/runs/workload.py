"""How long a campaign will take: the force calculations that its crystals need, and the speed of the engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from phonolyte.counts import count

UNITS = ((48 * 3600.0, 86400.0, "days"), (90 * 60.0, 3600.0, "h"), (90.0, 60.0, "min"), (0.0, 1.0, "s"))
"""Shortest time in seconds that is said in a unit, and the length of that unit."""


class Workload(NamedTuple):
    """Force calculations of one crystal, the atoms of all of them together, and seconds for everything else."""

    forces: float
    atoms: float
    other_s: float = 0.0


def describe_workloads(
    workloads: Iterable[Workload | None], *, engine: str, seconds_per_atom: float | None, workers: int
) -> str:
    """Return what is to be computed, and how long it takes where the speed of the engine is known, in a sentence.

    Parameters
    ----------
    workloads
        One a crystal; those of crystals that nothing is known of (None) count as the mean of the others.
    engine
        Name of the engine.
    seconds_per_atom
        Seconds that it takes for the force on an atom, on one core.
    workers
        Processes that compute at a time.
    """
    each = list(workloads)
    known = [workload for workload in each if workload is not None]
    if not known:
        return ""
    forces, atoms, other = (sum(column) * len(each) / len(known) for column in zip(*known, strict=True))
    calculations = "1 force calculation" if round(forces) == 1 else f"some {_round(forces):,.0f} force calculations"
    text = f"{count(len(each), 'crystal')} to compute, {calculations} of {atoms / forces:,.0f} atoms"
    if seconds_per_atom is None:
        return f"{text}."
    processes = min(workers, len(each))
    seconds = (atoms * seconds_per_atom + other) / processes
    return f"{text}: about {say_time(seconds)} with {engine} on {count(processes, 'core')}."


def say_time(seconds: float) -> str:
    """Return a time to two digits in the unit that fits, such as ``14 min``."""
    length, unit = next((length, unit) for least, length, unit in UNITS if seconds >= least)
    return f"{_round(seconds / length):g} {unit}"


def _round(number: float) -> float:
    """A number to two digits."""
    return float(f"{number:.2g}")
