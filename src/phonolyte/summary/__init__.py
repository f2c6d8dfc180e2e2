"""What results look like in a terminal."""

from phonolyte.summary.measurements import (
    arrhenius_table,
    conductivity_table,
    electronic_table,
    steady_table,
    transference_table,
)
from phonolyte.summary.runs import (
    calculation_table,
    card_parts,
    cutoffs_table,
    followed_tables,
    orderings_table,
    rounds_table,
    scores_table,
)
from phonolyte.summary.screens import (
    candidates_table,
    funnel_table,
    virtual_tables,
    yardsticks_table,
)
from phonolyte.summary.sources import (
    cache_table,
    sources_tables,
)

__all__ = [
    "arrhenius_table",
    "cache_table",
    "calculation_table",
    "candidates_table",
    "card_parts",
    "conductivity_table",
    "cutoffs_table",
    "electronic_table",
    "followed_tables",
    "funnel_table",
    "orderings_table",
    "rounds_table",
    "scores_table",
    "sources_tables",
    "steady_table",
    "transference_table",
    "virtual_tables",
    "yardsticks_table",
]
