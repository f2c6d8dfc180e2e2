"""Compounds with known band centers, to learn from: read from crystals, tables of features and runs of phonons."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats, Ints
from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.systems import system_of
from phonolyte.errors import Failure, StructureError, TableError
from phonolyte.features import FeatureSet, feature_names, featurize
from phonolyte.features.feature_sets import MAGPIE
from phonolyte.files import as_flag, as_number, as_numbers, column_names, plain_name, read_table
from phonolyte.structures import Crystal, read
from phonolyte.structures.reading import input_files
from phonolyte.structures.run_results import is_run

TARGET = "band_center_mev"
ERROR = "center_error"
"""Column with the known relative error of a center, in tables that have one."""

STAGE = "train"

CLUSTERS = 50
"""Clusters of compounds."""


@dataclass(frozen=True, eq=False)
class LearningSet:
    """Compounds with known band centers: features (n, m), centers (n,) in meV, and what they are made of."""

    table: pd.DataFrame
    target: Floats
    formulas: list[str]
    elements: list[frozenset[str]]
    sha256: str = ""
    crystals: Sequence[Crystal] = ()
    """The crystals themselves; none where a table of features was given."""
    errors: Floats | None = None
    """Known relative error (n,) of each center, 0 where none is known; None where no record has one."""

    @property
    def all_ordered(self) -> bool:
        """Whether the crystals are at hand, and none of them is disordered."""
        return bool(self.crystals) and all(crystal.is_ordered for crystal in self.crystals)

    @cached_property
    def groups(self) -> pd.DataFrame:
        """Columns ``composition``, ``chemical_system`` and ``cluster``, for folds that keep relatives together."""
        systems = [system_of(symbols) for symbols in self.elements]
        columns = {"composition": self.formulas, "chemical_system": systems, "cluster": clusters(self.table)}
        return pd.DataFrame(columns, index=self.table.index)


def clusters(table: pd.DataFrame) -> Ints:
    """Cluster (n,) of each compound: k-means of the standardized features (n, m), into at most 50."""
    from sklearn.cluster import KMeans

    values = table.to_numpy(float)
    spread = values.std(axis=0)
    standardized = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    distinct = len(np.unique(standardized.round(9), axis=0))
    means = KMeans(max(min(CLUSTERS, len(table) // 5, distinct), 1), n_init=5, random_state=0)
    return np.asarray(means.fit_predict(standardized), dtype=np.int64)


def read_learning_set(
    path: str | Path, *, sets: Sequence[FeatureSet] = MAGPIE, executor: Executor | None = None
) -> tuple[LearningSet, list[Failure]]:
    """Read crystals with a ``band_center_mev`` each, a table of features that has that column, or a run of phonons.

    Crystals that phonons have shown to be unstable are left out: what remains of such a center says less. Those whose
    record has a ``center_error``, the relative error of the center, stay.

    Parameters
    ----------
    path
        File, folder of structures, or run folder.
    sets
        Feature sets that are computed, or that a table of features must have.
    executor
        Threads that map over crystals.

    Raises
    ------
    TableError
        When there is nothing to learn from.
    """
    path = Path(path)
    if not path.exists():
        raise TableError(f"{path} does not exist", fix="Give the table to learn from.")
    used = sorted(path.glob("*.parquet")) if is_run(path) else input_files([path])
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in used)).hexdigest()
    features = _feature_table(path)
    if features is not None:
        return _from_features(features, sets, path, digest)
    reading = read(path, executor=executor)
    faults = [find_label_fault(c) for c in reading.crystals]
    labeled = [c for c, fault in zip(reading.crystals, faults, strict=True) if fault is None]
    unlabeled = [fault for fault in faults if fault is not None]
    if len(labeled) < 2:
        raise TableError(
            f"{path.name} has {len(labeled)} compounds with a band center",
            why=f"{len(reading.crystals)} crystals were read, and {TARGET!r} must be a number among their properties",
            fix=f"Add {TARGET} (meV) to the records, or give a table of features that has it.",
        )
    table, failures = featurize(labeled, sets=sets, executor=executor)
    by_id = {crystal.material_id: crystal for crystal in labeled}
    described = [by_id[name] for name in table.index]
    target = np.array([finite_number(c.properties[TARGET]) for c in described], dtype=float)
    elements = [frozenset(c.symbols) for c in described]
    formulas = [c.formula for c in described]
    data = LearningSet(table, target, formulas, elements, digest, described, _errors(described))
    return data, reading.failures + unlabeled + failures


def _feature_table(path: Path) -> pd.DataFrame | None:
    """A table that holds features already, or None."""
    if not plain_name(path).endswith((".csv", ".tsv", ".parquet")):
        return None
    if not set(feature_names()[:16]) <= set(column_names(path)):
        return None
    return read_table(path)


def _from_features(
    table: pd.DataFrame, sets: Sequence[FeatureSet], path: Path, digest: str
) -> tuple[LearningSet, list[Failure]]:
    missing = {TARGET, "formula"} - set(table.columns)
    if missing:
        raise TableError(f"{path.name} lacks {' and '.join(sorted(missing))}", fix="Add them to the table of features.")
    if set(feature_names("matminer")) <= set(table.columns):
        raise TableError(
            f"{path.name} has features in matminer's convention",
            why="predictions compute Magpie's, which differ",
            fix="Compute the table with: phonolyte features INPUT -o TABLE.",
        )
    names = [name for each in sets for name in each.names if name in table]
    lacking = [each for each in sets if each not in MAGPIE and not set(each.names) <= set(table.columns)]
    if lacking:
        raise TableError(
            f"{path.name} lacks {lacking[0].names[0]} and other columns",
            why="the physical model learns from more than Magpie's features",
            fix="Give the crystals themselves, or choose the study's models with --recipe study.",
        )
    if "material_id" in table:
        table = table.set_index("material_id")
    rows = (f"{path.name.partition('.')[0]}-{number}" for number in range(1, len(table) + 1))
    table.index = pd.Index([name or row for name, row in zip(table.index.astype(str), rows, strict=True)])
    table.index.name = "material_id"
    repeated = table.index[table.index.duplicated()]
    if len(repeated):
        raise TableError(
            f"{path.name} has more than one row of {len(repeated.unique())} materials",
            why=f"for example {repeated[0]}",
            fix="Keep one row a material.",
        )
    table, unreadable = _with_elements(table, path)
    numbers = table[[*names, TARGET]].apply(as_numbers).replace([np.inf, -np.inf], np.nan)
    usable = numbers.notna().all(axis=1)
    failures = [
        _no_center(str(name), table[TARGET][name], str(path))
        if np.isnan(numbers[TARGET][name])
        else _no_feature(str(name), str(numbers.loc[name].isna().idxmax()), str(path))
        for name in table.index[~usable]
    ]
    usable_rows = numbers[usable]
    formulas, elements = table["formula"][usable].astype(str).tolist(), table["elements"][usable].tolist()
    data = LearningSet(usable_rows[names], usable_rows[TARGET].to_numpy(float), formulas, elements, digest)
    return data, unreadable + failures


def _with_elements(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[Failure]]:
    """The rows that have a formula, with a column of the elements in it."""
    elements: list[frozenset[str] | None] = []
    failures = []
    for name, formula in table["formula"].astype(str).items():
        try:
            elements.append(frozenset(composition_of(formula)))
        except StructureError as error:
            elements.append(None)
            failures.append(Failure(str(name), STAGE, error.kind, str(error), str(path)))
    column = pd.Series(elements, index=table.index, dtype=object)
    return table.assign(elements=column)[column.notna()], failures


def _errors(crystals: Sequence[Crystal]) -> Floats | None:
    known = [finite_number(crystal.properties.get(ERROR)) or 0.0 for crystal in crystals]
    return np.array(known) if any(known) else None


def find_label_fault(crystal: Crystal) -> Failure | None:
    """Why nothing can be learned from a crystal: it has no center, or is unstable without a known error; else None."""
    properties = crystal.properties
    if finite_number(properties.get(TARGET)) is None:
        return _no_center(crystal.material_id, properties.get(TARGET), crystal.source)
    if as_flag(properties.get("stable")) is not False or finite_number(properties.get(ERROR)) is not None:
        return None
    message = "it has imaginary modes, and what remains of such a center says less. Leave it out."
    return Failure(crystal.material_id, STAGE, "Unstable", message, crystal.source)


def _no_center(name: str, value: Any, source: str) -> Failure:
    message = f"there is no band center to learn from: {TARGET} is {value!r}. Give it in meV, or leave the record out."
    return Failure(name, STAGE, "NoBandCenter", message, source)


def _no_feature(name: str, column: str, source: str) -> Failure:
    message = f"{column} is not a finite number. Compute the features again, or leave the row out."
    return Failure(name, STAGE, "MissingFeature", message, source)


def finite_number(value: Any) -> float | None:
    """The value as a number, also one written as text; None where it is not a finite one."""
    number = as_number(value)
    return number if np.isfinite(number) else None
