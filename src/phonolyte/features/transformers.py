"""Feature sets as scikit-learn transformers from crystals to named tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from phonolyte.features.feature_sets import FeatureSet, feature_rows, feature_table
from phonolyte.features.magpie import Convention, Magpie
from phonolyte.features.physical import Physical
from phonolyte.structures import Crystal, as_crystal

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure


class _CrystalFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer that has nothing to fit."""

    def _feature_set(self) -> FeatureSet:
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing: the features have no parameters to learn."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Iterable[Crystal | Structure | Atoms]) -> pd.DataFrame:
        """Features (n, m) of n crystals, indexed by `material_id`.

        Raises
        ------
        StructureError
            At the first crystal that cannot be used; :func:`phonolyte.features.featurize` goes on and lists them.
        """
        crystals = [as_crystal(material) for material in X]
        sets = (self._feature_set(),)
        rows = [feature_rows(crystal, sets).rows.mean(axis=0) for crystal in crystals]
        return feature_table([crystal.material_id for crystal in crystals], rows, sets)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:
        """Names of the columns."""
        return np.array(self._feature_set().names, dtype=object)


class MagpieFeatures(_CrystalFeatures):
    """Turn crystals into Magpie features.

    Parameters
    ----------
    convention
        Magpie's 271 features (default), or matminer's 273: see :class:`phonolyte.features.magpie.Magpie`.

    Notes
    -----
    Sources: 10.1103/PhysRevB.96.024104 (structure), 10.1038/npjcompumats.2016.28 (composition). There is
    nothing to fit. Features are equal for every cell, supercell, orientation and order of one crystal, and
    do not change with its volume. Those of a disordered crystal: see :func:`phonolyte.features.featurize`.
    """

    def __init__(self, *, convention: Convention = "magpie") -> None:
        self.convention = convention

    def _feature_set(self) -> FeatureSet:
        return Magpie(self.convention)


class PhysicalFeatures(_CrystalFeatures):
    """Turn crystals into the physical columns of :mod:`phonolyte.features.physical`; they change with the volume."""

    def _feature_set(self) -> FeatureSet:
        return Physical()
