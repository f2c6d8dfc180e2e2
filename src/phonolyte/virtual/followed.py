"""The best virtual compounds, followed: built at their predicted volumes, with percolation and conductivities."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd

from phonolyte.conduction import describe_conduction, gather_portions, join_conduction
from phonolyte.models.conductivity import ConductivityModel
from phonolyte.percolation import COARSE
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.structures import Crystal

FOLLOWED = 200
"""Best compounds of each prototype that are followed."""

PORTION = 8
"""Compounds of a task."""


def choose_followed(best: pd.DataFrame) -> list[int]:
    """Return the rows of the compounds that are followed: the best of each prototype that have an estimate."""
    estimated = best[best["score_log_sigma"].notna()]
    return sorted(estimated.groupby("prototype", sort=False).head(FOLLOWED).index.tolist())


def describe_followed(
    crystals: Sequence[Crystal],
    *,
    folder: Path | None = None,
    executor: Executor | None = None,
    progress: OpenBar = no_bar,
) -> pd.DataFrame:
    """Return percolation and conductivities of crystals, one row of :data:`phonolyte.conduction.COLUMNS` each.

    Parameters
    ----------
    crystals
        Ordered ones, of the ion that the model of the conductivity knows.
    folder
        Folder that keeps finished portions; nothing is kept without.
    executor
        Executor of threads; default: this one.
    progress
        Opens a bar.
    """
    ion, starts = ConductivityModel.embedded().ion, range(0, len(crystals), PORTION)
    portions = [crystals[start : start + PORTION] for start in starts]
    tasks = [(portion, (ion,) * len(portion), COARSE, folder) for portion in portions]
    rows = [np.arange(start, min(start + PORTION, len(crystals))) for start in starts]
    return gather_portions(describe_conduction, tasks, rows, executor=executor, progress=progress).sort_index()


def order_followed(best: pd.DataFrame, followed: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of the followed rows of a table, and put these first: by probability times plausibility.

    Parameters
    ----------
    best
        Table in the order of the estimates.
    followed
        Columns of the followed rows, by their index in it.
    """
    joined = join_conduction(best, followed)
    merit = (joined["p_conductor"].astype(float) * joined["plausibility"]).sort_values(
        ascending=False, kind="stable", na_position="last"
    )
    return joined.loc[merit.index].reset_index(drop=True)
