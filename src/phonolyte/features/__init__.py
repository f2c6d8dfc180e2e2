"""Features of crystals: the 271 of Magpie, as scikit-learn transformers and in batches."""

from phonolyte import make_callable
from phonolyte.features.magpie import MagpieFeatures, feature_names, featurize, featurize_orderings

__all__ = ["MagpieFeatures", "feature_names", "featurize", "featurize_orderings"]

make_callable(__name__)
