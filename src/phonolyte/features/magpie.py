"""The 271 Magpie features: a scikit-learn transformer from crystals to a named table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import (
    PROPERTIES,
    SYMBOLS,
    common_oxidation_states,
    imputed_property_table,
    magpie_oxidation_states,
    property_table,
)
from phonolyte.errors import Failure, StructureError
from phonolyte.features.attributes import N_MAGPIE, attributes
from phonolyte.features.orderings import order_features
from phonolyte.structures import Crystal, as_crystal

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

Convention = Literal["magpie", "matminer"]

STAGE = "features"
_CHUNK = 32


def feature_names(convention: Convention = "magpie") -> list[str]:
    """Names of the features, in order, as Magpie spells them; matminer's convention has two more.

    The prefixes are those of Magpie: ``var`` and ``dev`` are mean absolute deviations, ``most`` is the value
    of the most abundant element, ``maxdiff`` and ``range`` are maximum minus minimum.
    """
    names = [f"{s}_EffectiveCoordination" for s in ("mean", "var", "min", "max")]
    names += [f"{s}_MeanBondLength" for s in ("var", "min", "max")]
    names += [f"{s}_BondLengthVariation" for s in ("mean", "var", "min", "max")]
    names += [
        "var_CellVolume",
        *(f"mean_WCMagnitude_Shell{shell}" for shell in (1, 2, 3)),
        "MaxPackingEfficiency",
    ]
    names += [f"{s}_NeighDiff_shell1_{p}" for p in PROPERTIES for s in ("mean", "var", "min", "max", "range")]
    names += ["NComp", *(f"Comp_L{power}Norm" for power in (2, 3, 5, 7, 10))]
    names += [f"{s}_{p}" for p in PROPERTIES for s in ("mean", "maxdiff", "dev", "max", "min", "most")]
    names += [
        *(f"frac_{orbital}Valence" for orbital in "spdf"),
        "CanFormIonic",
        "MaxIonicChar",
        "MeanIonicChar",
    ]
    if convention == "matminer":
        names += ["range_EffectiveCoordination", "range_BondLengthVariation"]
    return names


class MagpieFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn crystals into Magpie features.

    Parameters
    ----------
    convention
        ``"magpie"`` (default): the 271 features as Magpie computes them; ``"matminer"``: 273, as matminer
        does where the two differ (Warren-Cowley shells 2 and 3, MeanIonicChar, CanFormIonic, most_X at a tie,
        imputed elemental data).

    Notes
    -----
    Sources: 10.1103/PhysRevB.96.024104 (structure), 10.1038/npjcompumats.2016.28 (composition). There is
    nothing to fit. Features are equal for every cell, supercell, orientation and order of one crystal, and
    do not change with its volume. Those of a disordered crystal: see :func:`featurize`.
    """

    def __init__(self, *, convention: Convention = "magpie") -> None:
        self.convention = convention

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing: the features have no parameters to learn."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Iterable[Crystal | Structure | Atoms]) -> pd.DataFrame:
        """Features (n, 271) of n crystals, indexed by `material_id`.

        Raises
        ------
        StructureError
            At the first crystal that cannot be used; :func:`featurize` goes on and lists them instead.
        """
        crystals = [as_crystal(material) for material in X]
        rows = [_features(crystal, self.convention).rows.mean(axis=0) for crystal in crystals]
        return _table([crystal.material_id for crystal in crystals], rows, self.convention)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:
        """Names of the columns."""
        return np.array(feature_names(self.convention), dtype=object)


class Rows(NamedTuple):
    """Features (k, 271) of the k orderings of a crystal, and its representative, the ordering lowest in energy.

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
        (n, 271), one row an ordering, those of a crystal together; indexed by `material_id`.
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
    convention: Convention = "magpie",
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
    convention
        See :class:`MagpieFeatures`.
    executor
        Maps over groups of crystals; threads are enough, the kernel releases the GIL.
    progress
        Called with the number of crystals done since the last call.

    Returns
    -------
    table, failures
        One row a crystal, (n, 271), indexed by `material_id` in the order given; `failures` has the rest.
    """
    done = featurize_orderings(crystals, convention=convention, executor=executor, progress=progress)
    return done.mean(), done.failures


def featurize_orderings(
    crystals: Sequence[Crystal],
    *,
    convention: Convention = "magpie",
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
    for chunk, results in zip(chunks, run(_try_each, chunks, [convention] * len(chunks)), strict=True):
        for crystal, result in zip(chunk, results, strict=True):
            if isinstance(result, Failure):
                failures.append(result)
                continue
            names += [crystal.material_id] * len(result.rows)
            rows += list(result.rows)
            representatives[crystal.material_id] = result.representative
        if progress:
            progress(len(chunk))
    return Featurized(_table(names, rows, convention), representatives, failures)


def _try_each(crystals: Sequence[Crystal], convention: Convention) -> list[Rows | Failure]:
    results: list[Rows | Failure] = []
    for crystal in crystals:
        try:
            results.append(_features(crystal, convention))
        except StructureError as error:
            results.append(Failure.of(error, material_id=crystal.material_id, stage=STAGE, source=crystal.source))
    return results


def _features(crystal: Crystal, convention: Convention) -> Rows:
    if convention == "matminer":
        properties, states = imputed_property_table(), common_oxidation_states()
    elif convention == "magpie":
        properties, states = property_table(), magpie_oxidation_states()
    else:
        raise ValueError(f"convention is {convention!r}: choose 'magpie' or 'matminer'")
    _require_elemental_data(crystal, properties)
    matminer = convention == "matminer"

    def compute(ordered: Crystal) -> Floats:
        return attributes(ordered.lattice, ordered.frac_coords, ordered.numbers, properties, states, matminer)

    if crystal.is_ordered:
        rows, orderings = compute(crystal)[None], [crystal]
    else:
        rows, orderings = order_features(crystal, compute, properties, states, matminer=matminer)
    return Rows(rows if matminer else rows[:, :N_MAGPIE], orderings[0])


def _require_elemental_data(crystal: Crystal, properties: Floats) -> None:
    for z in np.unique(crystal.numbers):
        missing = np.flatnonzero(np.isnan(properties[z]))
        if len(missing):
            raise StructureError(
                f"no elemental data for {SYMBOLS[z]}",
                why=f"{', '.join(PROPERTIES[i] for i in missing)} of {SYMBOLS[z]} is not tabulated",
                fix="Leave the compound out (matminer's convention puts in the mean of all elements).",
                kind="MissingElementalData",
            )


def _table(names: Sequence[str], rows: Sequence[Floats], convention: Convention) -> pd.DataFrame:
    columns = feature_names(convention)
    index = pd.Index(names, name="material_id", dtype=str)
    return pd.DataFrame(np.array(rows).reshape(len(rows), len(columns)), columns=columns, index=index)
