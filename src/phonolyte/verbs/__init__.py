"""The verbs of the Python API, which the command line calls as well: each opens a run folder, computes, and reports.

``phonolyte.screen(...)`` is :func:`screen` here, and so on; ``phonolyte.screen`` as a package has the parts.
"""

from phonolyte.verbs.arrangements import Orderings, order
from phonolyte.verbs.candidates import FeatureTable, features, screen, train, virtual
from phonolyte.verbs.following import (
    CutoffScan,
    barriers,
    calculate,
    cutoffs,
    diffuse,
    elastic,
    percolate,
    phonons,
    stability,
)
from phonolyte.verbs.measured import impedance
from phonolyte.verbs.polarized import polarization, transference
from phonolyte.verbs.story import StudyResult, study

__all__ = [
    "CutoffScan",
    "FeatureTable",
    "Orderings",
    "StudyResult",
    "barriers",
    "calculate",
    "cutoffs",
    "diffuse",
    "elastic",
    "features",
    "impedance",
    "order",
    "percolate",
    "phonons",
    "polarization",
    "screen",
    "stability",
    "study",
    "train",
    "transference",
    "virtual",
]
