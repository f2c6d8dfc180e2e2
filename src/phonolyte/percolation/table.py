"""Percolation of many crystals at once, without the maps: for a whole screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

import pandas as pd

from phonolyte.errors import Failure
from phonolyte.percolation.site_energies import PercolationSettings, compute_percolation
from phonolyte.structures import Crystal

STAGE = "percolation"
GROUP = 64
"""Crystals that a worker computes at a time: about a second."""

COARSE = PercolationSettings(resolution_a=0.3, cutoff_a=8.0)
"""Grid for screens: barriers are those of 0.2 angstrom within 0.02 eV in the median, and within 0.1 eV for 95 %."""

Outcome = dict[str, Any] | Failure


def percolation_table(
    crystals: Sequence[Crystal],
    ion: str,
    settings: PercolationSettings = COARSE,
    *,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[pd.DataFrame, list[Failure]]:
    """Percolation of an ion through many crystals, and the crystals that have none.

    Parameters
    ----------
    crystals
        Ordered or disordered, with a `material_id` each of its own.
    ion
        Symbol of the mobile element.
    settings
        Settings of the grid, a coarse one by default.
    executor
        Maps over groups of crystals; default: one after the other.
    progress
        Called with the number of crystals done since the last call.

    Returns
    -------
    table, failures
        One row a crystal, indexed by `material_id` in the order given, with the columns of
        :meth:`phonolyte.percolation.Percolation.row`; `failures` has the rest. Those without parameters are of kind
        ``NoParameters``.
    """
    groups = [crystals[start : start + GROUP] for start in range(0, len(crystals), GROUP)]
    run = executor.map if executor else map
    outcomes: list[Outcome] = []
    for group in run(_try_each, groups, [ion] * len(groups), [settings] * len(groups)):
        outcomes += group
        if progress:
            progress(len(group))
    rows = [outcome for outcome in outcomes if not isinstance(outcome, Failure)]
    table = pd.DataFrame(rows).set_index("material_id") if rows else pd.DataFrame()
    return table, [outcome for outcome in outcomes if isinstance(outcome, Failure)]


def _try_each(crystals: Sequence[Crystal], ion: str, settings: PercolationSettings) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for crystal in crystals:
        try:
            outcomes.append(compute_percolation(crystal, ion, settings).row())
        except Exception as error:  # one bad crystal costs one row
            outcomes.append(Failure.of(error, material_id=crystal.material_id, stage=STAGE, source=crystal.source))
    return outcomes
