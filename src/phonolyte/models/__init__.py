"""Models of the band center: selection, cross-validation, intervals, domain, save and load."""

from phonolyte.models.center import BandCenterModel
from phonolyte.models.domain import Domain, Intervals
from phonolyte.models.trees import TreeEnsemble

__all__ = ["BandCenterModel", "Domain", "Intervals", "TreeEnsemble"]
