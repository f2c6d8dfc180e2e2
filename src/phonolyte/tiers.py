"""The tiers of a study: one line each. Studies, pages, terminals and the documentation iterate over them."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import cast

from phonolyte.errors import SettingsError
from phonolyte.runs.calculation import Calculation

FOLLOWED, FOLLOWED_STEPS = "followed.csv", "followed.json"
"""Files of a study: a row a followed candidate, and what each tier did with them."""

TO_THE_END = "followed to the end"
"""Why a candidate was not followed further, where all tiers were done."""

TIERS = {
    "percolation": "phonolyte.percolation.calculation:PercolationCalculation",
    "stability": "phonolyte.stability.calculation:StabilityCalculation",
    "phonons": "phonolyte.phonons.calculation:PhononCalculation",
    "elastic": "phonolyte.elastic.calculation:ElasticCalculation",
    "barriers": "phonolyte.barriers.calculation:BarrierCalculation",
    "dynamics": "phonolyte.dynamics.calculation:DynamicsCalculation",
}
"""Name of a tier -> where its calculation is, the cheap ones first."""


def find_tier(name: str) -> type[Calculation]:
    """Return the calculation of a tier.

    Raises
    ------
    SettingsError
        For a name that is not a tier.
    """
    if name not in TIERS:
        raise SettingsError(f"{name!r} is not a tier", fix=f"Choose among {', '.join(TIERS)}.")
    module, _, attribute = TIERS[name].partition(":")
    return cast("type[Calculation]", getattr(import_module(module), attribute))


def deciding_column(columns: Collection[str]) -> str:
    """Return the column that orders followed candidates, lowest first: that of the dearest tier, else the rank."""
    keys = [key for tier in all_tiers().values() for key, source in tier.followed.items() if source == tier.sort_by]
    return next((key for key in reversed(keys) if key in columns), "rank")


def all_tiers() -> dict[str, type[Calculation]]:
    """Return the calculations of all tiers by name, which registers their columns."""
    return {name: find_tier(name) for name in TIERS}
