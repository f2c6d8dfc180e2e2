"""The cells that a model wants: volumes like those it has learned from, or predicted ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.features import FeatureSet, Physical
from phonolyte.files import as_number
from phonolyte.models.trees import damaged
from phonolyte.models.volume import PREDICTED, AtPredictedVolume, PredictedVolume, VolumeModel
from phonolyte.structures import Crystal

GIVEN = "volume_a3"
"""Column of the given volume an atom, among the physical ones."""

OFTEN = 20
"""Learned compounds that an element needs for its volumes to count as known."""

RARE = 0.005
"""Share of learned cells, predicted with their chemical system left out, beyond each of both limits."""

STEP = 0.01
"""Change of the volume over which the slope of the center is taken."""

USUAL, SMALL, LARGE, UNKNOWN = "usual", "small", "large", "not known"
"""Sizes of a cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What a model knows of volumes.

    Attributes
    ----------
    volumes
        Model of the volume.
    rescale
        Whether crystals are scaled to their predicted volume before they are predicted.
    low, high
        Limits of ln(V / predicted V) of cells like those that were learned.
    slope
        d ln(center) / d ln(V) of the model, the median over the learned compounds.
    elements
        Symbols of the elements whose volumes are known.
    """

    volumes: VolumeModel
    rescale: bool
    low: float
    high: float
    slope: float
    elements: frozenset[str]

    def sets(self, sets: Sequence[FeatureSet]) -> tuple[FeatureSet, ...]:
        """The feature sets that crystals need, given those of the model."""
        if self.rescale:
            return tuple(AtPredictedVolume(self.volumes, s) if isinstance(s, Physical) else s for s in sets)
        return (*sets, PredictedVolume(self.volumes))

    def compare(self, table: pd.DataFrame, elements: Sequence[Collection[str]]) -> tuple[NDArray[Any], Floats]:
        """Compare the volumes of n crystals with their predicted ones.

        Parameters
        ----------
        table
            (n, m) with the columns of :meth:`sets`.
        elements
            Element symbols of each crystal.

        Returns
        -------
        tuple
            Size of each cell, ``usual``, ``small``, ``large`` or ``not known``, (n,); and the share by which its
            center may be off for that, (n,): ln(V / predicted V) times the slope where the cell is small or large.
        """
        if self.rescale or PREDICTED not in table:
            return np.full(len(table), UNKNOWN, dtype=object), np.zeros(len(table))
        ratio = np.log(table[GIVEN].to_numpy(float) / table[PREDICTED].to_numpy(float))
        known = np.array([self.elements.issuperset(of_crystal) for of_crystal in elements], dtype=bool)
        verdict = np.select(
            [~known | np.isnan(ratio), ratio < self.low, ratio > self.high], [UNKNOWN, SMALL, LARGE], USUAL
        )
        unlike = np.isin(verdict, (SMALL, LARGE))
        return verdict.astype(object), np.where(unlike, np.abs(ratio * self.slope), 0.0)

    def record(self) -> dict[str, Any]:
        """Everything but arrays, for JSON."""
        numbers = {"rescale": self.rescale, "low": self.low, "high": self.high, "slope": self.slope}
        return {**numbers, "elements": sorted(self.elements)}

    @classmethod
    def from_record(cls, record: Any, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`record`, with the arrays of the volumes.

        Raises
        ------
        ModelError
            When a part is missing or makes no sense.
        """
        if not isinstance(record, Mapping) or set(record) != {"rescale", "low", "high", "slope", "elements"}:
            raise damaged("the record of cells", "it needs rescale, low, high, slope and elements")
        low, high, slope = (as_number(record[name]) for name in ("low", "high", "slope"))
        elements, rescale = record["elements"], record["rescale"]
        if not (low < high and np.isfinite([low, high, slope]).all()) or not isinstance(rescale, bool):
            raise damaged("the record of cells", "its limits are not finite, or rescale is neither true nor false")
        if not isinstance(elements, list) or not all(symbol in ATOMIC_NUMBERS for symbol in map(str, elements)):
            raise damaged("the record of cells", "its elements are not a list of symbols")
        return cls(VolumeModel.from_arrays(arrays), rescale, low, high, slope, frozenset(map(str, elements)))


def well_learned(elements: Sequence[Collection[str]]) -> frozenset[str]:
    """Elements that enough of the compounds have."""
    times = Counter(symbol for of_compound in elements for symbol in of_compound)
    return frozenset(symbol for symbol, n in times.items() if n >= OFTEN)


def predict_left_out(crystals: Sequence[Crystal], folds: Sequence[tuple[Any, Any]]) -> Floats:
    """Predicted volume an atom (n,) of each crystal, cubic angstrom, from the other folds."""
    volumes = np.full(len(crystals), np.nan)
    for train, test in folds:
        model = VolumeModel.fit([crystals[row] for row in train])
        volumes[test] = [model.volume_a3(crystals[row]) for row in test]
    return volumes
