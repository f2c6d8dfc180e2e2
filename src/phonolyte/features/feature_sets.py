"""Feature sets of crystals, and tables of them: of many crystals, over the orderings of disordered ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.errors import Failure, SettingsError, StructureError
from phonolyte.features.fractions import ElementFractions
from phonolyte.features.ion_sites import IonSites
from phonolyte.features.magpie import Magpie
from phonolyte.features.modes import Modes
from phonolyte.features.physical import Physical
from phonolyte.structures import Crystal
from phonolyte.structures.ordering import order

STAGE = "features"
_CHUNK = 32


class FeatureSet(Protocol):
    """Named columns that are computed of crystals."""

    @property
    def names(self) -> list[str]:
        """Names of the m columns, in order."""

    def check(self, crystal: Crystal) -> None:
        """Raise a StructureError for a crystal that has no such features; before it is ordered."""

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Columns (m,) of one ordering of a crystal, and the crystal as it was given: the same where it is ordered."""


MAGPIE: tuple[FeatureSet, ...] = (Magpie(),)
"""The feature sets of the founding study."""


SETS: Mapping[str, FeatureSet] = {
    "magpie": Magpie(), "physical": Physical(), "elements": ElementFractions(), "ion": IonSites(),
    "modes": Modes(),
}  # fmt: skip
"""Feature sets by name."""

PHYSICAL_NAMES = ("physical", "magpie", "elements")
"""Names of the feature sets of the physical model, in the order of its columns."""

PHYSICAL = tuple(SETS[name] for name in PHYSICAL_NAMES)
"""The feature sets of the physical model."""


def named_sets(names: Sequence[str]) -> tuple[FeatureSet, ...]:
    """Feature sets by their names.

    Raises
    ------
    SettingsError
        For an unknown name.
    """
    unknown = [name for name in names if name not in SETS]
    if unknown:
        raise SettingsError(f"there is no feature set {unknown[0][:40]!r}", fix=f"Choose among {', '.join(SETS)}.")
    return tuple(SETS[name] for name in names)


class Rows(NamedTuple):
    """Features (k, m) of the k orderings of a crystal, and its representative, the ordering lowest in energy.

    An ordered crystal is its only ordering.
    """

    rows: Floats
    representative: Crystal


@dataclass(frozen=True, slots=True, eq=False)
class Featurized:
    """Features of many crystals.

    Attributes
    ----------
    table
        (n, m), one row an ordering, those of a crystal together; indexed by `material_id`.
    representatives
        Ordered crystal of each `material_id`.
    failures
        Crystals without features.
    """

    table: pd.DataFrame
    representatives: Mapping[str, Crystal]
    failures: list[Failure]

    def mean(self) -> pd.DataFrame:
        """Features with one row a crystal: the mean over its orderings."""
        return mean_over_orderings(self.table)


def mean_over_orderings(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose rows of one index are replaced by their mean; as it is where no index repeats."""
    return table if table.index.is_unique else table.groupby(level=0, sort=False).mean()


def featurize(
    crystals: Sequence[Crystal],
    *,
    sets: Sequence[FeatureSet] = MAGPIE,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[pd.DataFrame, list[Failure]]:
    """Features of many crystals, and the crystals that have none.

    Those of a disordered crystal are statistics of its true composition, and means over its orderings where they depend
    on the structure.

    Parameters
    ----------
    crystals
        What :func:`phonolyte.structures.read` gives, with a `material_id` each of its own.
    sets
        Feature sets whose columns the table has, one after the other.
    executor
        Maps over groups of crystals; threads are enough, the kernel releases the GIL.
    progress
        Called with the number of crystals done since the last call.

    Returns
    -------
    table, failures
        One row a crystal, (n, m), indexed by `material_id` in the order given; `failures` has the rest.
    """
    done = featurize_orderings(crystals, sets=sets, executor=executor, progress=progress)
    return done.mean(), done.failures


def featurize_orderings(
    crystals: Sequence[Crystal],
    *,
    sets: Sequence[FeatureSet] = MAGPIE,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Featurized:
    """Features of the orderings of many crystals; parameters as for :func:`featurize`."""
    chunks = [crystals[i : i + _CHUNK] for i in range(0, len(crystals), _CHUNK)]
    names: list[str] = []
    rows: list[Floats] = []
    representatives: dict[str, Crystal] = {}
    failures: list[Failure] = []
    run = executor.map if executor else map
    for chunk, results in zip(chunks, run(_try_each, chunks, [tuple(sets)] * len(chunks)), strict=True):
        for crystal, result in zip(chunk, results, strict=True):
            if isinstance(result, Failure):
                failures.append(result)
                continue
            names += [crystal.material_id] * len(result.rows)
            rows += list(result.rows)
            representatives[crystal.material_id] = result.representative
        if progress:
            progress(len(chunk))
    return Featurized(feature_table(names, rows, sets), representatives, failures)


def feature_rows(crystal: Crystal, sets: Sequence[FeatureSet] = MAGPIE) -> Rows:
    """Features of the orderings of one crystal.

    Raises
    ------
    StructureError
        When it has none, or cannot be ordered.
    """
    for each in sets:
        each.check(crystal)
    orderings = [crystal] if crystal.is_ordered else [arrangement.crystal for arrangement in order(crystal)]
    rows = [np.concatenate([each.values(ordered, crystal) for each in sets]) for ordered in orderings]
    return Rows(np.array(rows), orderings[0])


def feature_table(names: Sequence[str], rows: Sequence[Floats], sets: Sequence[FeatureSet]) -> pd.DataFrame:
    """Table of rows of features, indexed by `material_id`."""
    columns = [name for each in sets for name in each.names]
    index = pd.Index(names, name="material_id", dtype=str)
    return pd.DataFrame(np.array(rows).reshape(len(rows), len(columns)), columns=columns, index=index)


def _try_each(crystals: Sequence[Crystal], sets: Sequence[FeatureSet]) -> list[Rows | Failure]:
    results: list[Rows | Failure] = []
    for crystal in crystals:
        try:
            results.append(feature_rows(crystal, sets))
        except StructureError as error:
            results.append(
                Failure.from_error(error, material_id=crystal.material_id, stage=STAGE, source=crystal.source)
            )
    return results
