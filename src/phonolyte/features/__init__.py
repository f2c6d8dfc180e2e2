"""Features of crystals: the 271 of Magpie, as scikit-learn transformers and in batches."""

from phonolyte.features.magpie import MagpieFeatures, feature_names, featurize

__all__ = ["MagpieFeatures", "feature_names", "featurize"]
