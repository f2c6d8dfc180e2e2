"""Features of crystals: the 271 of Magpie and physical columns, in batches and as scikit-learn transformers."""

from phonolyte import make_callable
from phonolyte.features.feature_sets import FeatureSet, featurize, featurize_orderings
from phonolyte.features.magpie import Magpie, feature_names
from phonolyte.features.physical import Physical, physical_names
from phonolyte.features.transformers import MagpieFeatures, PhysicalFeatures

__all__ = [
    "FeatureSet",
    "Magpie",
    "MagpieFeatures",
    "Physical",
    "PhysicalFeatures",
    "feature_names",
    "featurize",
    "featurize_orderings",
    "physical_names",
]

make_callable(__name__)
