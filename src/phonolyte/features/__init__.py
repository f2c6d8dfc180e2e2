"""Features of crystals: the 271 of Magpie and physical columns, in batches and as scikit-learn transformers."""

from typing import TYPE_CHECKING, Any

from phonolyte import make_callable
from phonolyte.features.feature_sets import FeatureSet, featurize, featurize_orderings
from phonolyte.features.magpie import Magpie, feature_names
from phonolyte.features.physical import Physical, physical_names

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    if name in ("MagpieFeatures", "PhysicalFeatures"):
        from phonolyte.features import transformers  # scikit-learn takes a second to import

        return getattr(transformers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
