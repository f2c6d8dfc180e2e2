"""Which compounds a model has learned from are nearest to a crystal, by the distance that decides its domain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import ModelError, TableError
from phonolyte.files import as_numbers, read_table
from phonolyte.models.domain import Domain

FILE = "learned.parquet"
"""File in a model's folder: the compounds that it has learned from, with the features that distances need."""

NEIGHBORS = 4
"""Nearest compounds that a screen keeps of each crystal."""

ROWS = 512
"""Crystals whose distances to all compounds are held at once."""

COLUMNS = ("material_id", "formula", "band_center_mev")


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Compounds with known band centers as points whose Euclidean distance is the Mahalanobis distance of a domain.

    Attributes
    ----------
    domain
        Domain of the model.
    table
        ``material_id, formula, band_center_mev`` (meV) of the n compounds.
    points
        (n, d), whitened features.
    """

    domain: Domain
    table: pd.DataFrame
    points: Floats

    @classmethod
    def from_features(cls, domain: Domain, features: pd.DataFrame, formulas: Sequence[str], center_mev: Floats) -> Self:
        """From the features (n, m) of compounds, indexed by their names, and their band centers (n,) in meV."""
        columns = zip(COLUMNS, (features.index.astype(str), list(formulas), center_mev), strict=True)
        return cls(domain, pd.DataFrame(dict(columns)), whiten(domain, features))

    def nearest(self, features: pd.DataFrame, *, n: int = NEIGHBORS) -> tuple[Ints, Floats]:
        """Positions in the table (m, n) of the nearest compounds to each of m crystals, and their distances (m, n)."""
        n, points = min(n, len(self.points)), whiten(self.domain, features)
        batches = [_nearest(points[i : i + ROWS], self.points, n) for i in range(0, len(points), ROWS)]
        places, distances = ([batch[k] for batch in batches] for k in (0, 1))
        return np.vstack([np.empty((0, n), np.int64), *places]), np.vstack([np.empty((0, n)), *distances])

    def named(self, material_ids: Sequence[str] | pd.Series, places: Ints, distances: Floats) -> pd.DataFrame:
        """What :meth:`nearest` found of m crystals as a table, a row each neighbor, the nearest first.

        Returns
        -------
        pandas.DataFrame
            ``material_id``, ``learned_id``, ``learned_formula``, ``learned_center_mev`` (meV),
            ``distance`` (in standard deviations).
        """
        compounds = self.table.iloc[places.ravel()]
        return pd.DataFrame(
            {
                "material_id": np.repeat(np.asarray(material_ids, dtype=object), places.shape[1]),
                "learned_id": compounds["material_id"].to_numpy(),
                "learned_formula": compounds["formula"].to_numpy(),
                "learned_center_mev": compounds["band_center_mev"].to_numpy(),
                "distance": distances.ravel(),
            }
        )

    @property
    def fingerprint(self) -> str:
        """sha256 of what decides who is nearest."""
        names = "\0".join(self.table["material_id"])
        return hashlib.sha256(names.encode() + np.ascontiguousarray(self.points).tobytes()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``learned.parquet`` beside a model."""
        points = pd.DataFrame(self.points.astype(np.float32), columns=[f"x{i}" for i in range(self.points.shape[1])])
        pd.concat([self.table, points], axis=1).to_parquet(folder / FILE, index=False)

    @classmethod
    def beside(cls, folder: Path, domain: Domain) -> Self | None:
        """What is written beside a model; None for one of before, or a domain that does not fit.

        Raises
        ------
        ModelError
            When the file is there and damaged.
        """
        if not (folder / FILE).is_file():
            return None
        try:
            table = read_table(folder / FILE)
            points = table.drop(columns=list(COLUMNS)).to_numpy(float)
        except (TableError, KeyError, ValueError, TypeError) as error:
            raise _damage_error(folder, str(error).strip('"')) from None
        known = table[list(COLUMNS)].assign(band_center_mev=as_numbers(table["band_center_mev"]))
        if not len(known) or not np.isfinite(points).all() or known["band_center_mev"].isna().any():
            raise _damage_error(folder, "it holds no points, or one that is not finite")
        return cls(domain, known, points) if points.shape[1] == len(domain.features) else None


def _nearest(points: Floats, learned: Floats, n: int) -> tuple[Ints, Floats]:
    """Places (m, n) of the learned points nearest to each of m points, the first one first, and distances (m, n)."""
    squares = (learned * learned).sum(axis=1) - 2.0 * points @ learned.T
    places = np.sort(np.argpartition(squares, n - 1, axis=1)[:, :n], axis=1)
    distances = np.linalg.norm(points[:, None] - learned[places], axis=2)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _damage_error(folder: Path, why: str) -> ModelError:
    return ModelError(f"{folder / FILE} is damaged", why=why, fix="Remove it, or fit the model again.")


def whiten(domain: Domain, features: pd.DataFrame) -> Floats:
    """Points (n, d) of crystals by their features (n, m): their Euclidean distances are the Mahalanobis distances."""
    z = (features[list(domain.features)].to_numpy(float) - domain.mean) / domain.scale
    return np.asarray(z @ np.linalg.cholesky(domain.precision))
