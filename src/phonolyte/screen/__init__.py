"""Rank crystals as candidates: criteria, the funnel and its counts, properties."""

from phonolyte.screen.criteria import CRITERIA, Criteria, Step, apply_criteria, criteria_from
from phonolyte.screen.funnel import Screening, screen, write_screening
from phonolyte.screen.properties import read_properties

__all__ = [
    "CRITERIA",
    "Criteria",
    "Screening",
    "Step",
    "apply_criteria",
    "criteria_from",
    "read_properties",
    "screen",
    "write_screening",
]
