"""Elastic moduli of a crystal by finite strains, over any engine of `forces` that gives stresses."""

from phonolyte import make_callable
from phonolyte.elastic.calculation import ElasticCalculation, ElasticLimits
from phonolyte.elastic.metals import METALS_GPA, SHEAR_RATIO
from phonolyte.elastic.stiffness import Stiffness
from phonolyte.elastic.workflow import ElasticResult, ElasticSettings, compute_elastic

__all__ = [
    "METALS_GPA",
    "SHEAR_RATIO",
    "ElasticCalculation",
    "ElasticLimits",
    "ElasticResult",
    "ElasticSettings",
    "Stiffness",
    "compute_elastic",
]

make_callable(__name__)
