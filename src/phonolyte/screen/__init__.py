"""Rank crystals as candidates: criteria, the funnel and its counts, properties."""

from phonolyte import make_callable
from phonolyte.screen.criteria import CRITERIA, Criteria, Step, apply_criteria
from phonolyte.screen.describe import Models, ModelSource
from phonolyte.screen.funnel import Screening, rank_crystals, write_screening
from phonolyte.screen.properties import read_properties
from phonolyte.screen.settings import ScreenSettings

__all__ = [
    "CRITERIA",
    "Criteria",
    "ModelSource",
    "Models",
    "ScreenSettings",
    "Screening",
    "Step",
    "apply_criteria",
    "rank_crystals",
    "read_properties",
    "write_screening",
]

make_callable(__name__)
