"""The model of the band center: predicts with an interval and says when it is out of its depth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints, Matrix
from phonolyte.errors import ModelError
from phonolyte.features import FeatureSet, featurize_orderings
from phonolyte.features.feature_sets import named_sets
from phonolyte.features.fractions import fraction_names
from phonolyte.files import parse_json, read_arrays
from phonolyte.models.cells import UNKNOWN, Cells
from phonolyte.models.domain import Domain, Intervals, over_orderings
from phonolyte.models.families import Families
from phonolyte.models.quotient import QuotientModel
from phonolyte.models.trees import TreeEnsemble, damaged
from phonolyte.notebooks import Shown, number_text, random_error
from phonolyte.structures import Crystal, read

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

_T = TypeVar("_T")

FORMAT = 2
"""Version of the files of a model; a reader of another version says how to refit."""

MANIFEST, ARRAYS = "model.json", "model.npz"
REFIT = "Fit it again: phonolyte train --data TABLE -o FOLDER."


RELAXED_MODEL, RELAXED_BY = "relaxed", "dpa4"
"""Name of the model of relaxed cells, and of the engine that relaxed what it has learned."""

EMBEDDED = {"physical": "model", RELAXED_MODEL: "relaxed_model", "virtual": "virtual_model", "study": "study_model"}
"""Models that come with Phonolyte, and their folders."""


KINDS: Mapping[str, type[TreeEnsemble | QuotientModel]] = {"trees": TreeEnsemble, "quotient": QuotientModel}
"""Predictors by the name that a manifest has for them."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandCenterModel(Shown):
    """Predicts the total phonon band center (meV) of crystals from their features.

    Attributes
    ----------
    predictor
        Trees, or a process and trees.
    features
        Names of the features they use, in order.
    intervals, domain
        How sure a prediction is.
    provenance
        Where it comes from: algorithm, settings, data, versions, scores.
    set_names
        Names of the feature sets that have these features.
    families
        Families of compounds that were learned; None for a model without fractions of elements.
    cells
        What it knows of volumes; None for a model that does not depend on them.
    """

    predictor: TreeEnsemble | QuotientModel
    features: tuple[str, ...]
    intervals: Intervals
    domain: Domain
    provenance: Mapping[str, Any] = field(default_factory=dict)
    set_names: tuple[str, ...] = ("magpie",)
    families: Families | None = None
    cells: Cells | None = None

    def _facts(self) -> dict[str, object]:
        known, interval = self.provenance, self.provenance.get("interval")
        width = interval.get("median_width_mev") if isinstance(interval, dict) else None
        return {
            "algorithm": known.get("algorithm"), "features": len(self.features), "compounds learned": known.get("n"),
            "mean error, random folds": random_error(known), "median 90 % interval": number_text(width, "meV"),
        }  # fmt: skip

    @property
    def sets(self) -> tuple[FeatureSet, ...]:
        """Feature sets that a crystal's prediction needs."""
        sets = named_sets(self.set_names)
        return sets if self.cells is None else self.cells.sets(sets)

    @property
    def columns(self) -> list[str]:
        """Names of all columns of its own feature sets."""
        return _columns(self.set_names)

    def predict(self, table: pd.DataFrame, elements: Sequence[Collection[str]]) -> pd.DataFrame:
        """Predict from a table of features.

        Parameters
        ----------
        table
            (n, m) with at least the features of the model, as :func:`phonolyte.features.featurize` gives.
        elements
            The element symbols of each of the n crystals.

        Returns
        -------
        pandas.DataFrame
            Indexed as `table`: ``band_center_mev``, ``lower_mev`` and ``upper_mev`` (90 % interval, never
            below zero), ``in_domain``, and ``cell``: whether the volume is ``usual``, ``small``, ``large`` or
            ``not known``. A cell that is too small or large widens the interval.

        Raises
        ------
        ModelError
            When the table lacks features.
        """
        missing = [name for name in self.features if name not in table]
        if missing:
            raise ModelError(
                f"the table lacks {len(missing)} of the {len(self.features)} features of the model",
                why=f"for example {', '.join(missing[:3])}",
                fix="Compute it with: phonolyte features INPUT -o TABLE.",
            )
        center, spread = self.predictor.predict_with_spread(table[list(self.features)])
        half_width, cell = self.intervals.half_width(spread), np.full(len(table), UNKNOWN, dtype=object)
        if self.cells is not None:
            cell, off = self.cells.compare(table, elements)
            half_width = np.hypot(half_width, center * off)
        return pd.DataFrame(
            {
                "band_center_mev": center,
                "lower_mev": np.maximum(center - half_width, 0.0),
                "upper_mev": center + half_width,
                "in_domain": self._contains(table, elements),
                "cell": cell,
            },
            index=table.index,
        )

    def _contains(self, table: pd.DataFrame, elements: Sequence[Collection[str]]) -> Matrix:
        inside = self.domain.contains(table, elements)
        return inside if self.families is None else inside & self.families.contains(table[fraction_names()].to_numpy())

    def predict_array(self, values: Floats, numbers: Ints) -> tuple[Floats, Floats, Matrix]:
        """Predict from an array, for many compounds and without a table.

        Parameters
        ----------
        values
            (n, m) features, in the order of :attr:`columns`.
        numbers
            (n, s) atomic numbers; an element may come more than once.

        Returns
        -------
        tuple
            Centers (n,) and half of the width (n,) of their 90 % intervals, in meV; whether each is in the domain (n,).
        """
        center, spread = self.predictor.predict_with_spread(values[:, _places(self.set_names, self.features)])
        inside = self.domain.contains_numbers(values[:, _places(self.set_names, self.domain.features)], numbers)
        if self.families is not None:
            inside &= self.families.contains(values[:, _places(self.set_names, tuple(fraction_names()))])
        return center, self.intervals.half_width(spread), inside

    def predict_crystals(self, crystals: Sequence[Crystal | Structure | Atoms]) -> pd.DataFrame:
        """Predict from crystals, also pymatgen's and ASE's; those that have no features are left out.

        The index is their `material_id`; one that comes twice is made unique as by :func:`phonolyte.structures.read`.
        """
        read_crystals = read(crystals).crystals
        table = featurize_orderings(read_crystals, sets=self.sets).table
        symbols = {crystal.material_id: set(crystal.symbols) for crystal in read_crystals}
        return self.predict_orderings(table, [symbols[name] for name in table.index])

    def predict_orderings(self, table: pd.DataFrame, elements: Sequence[Collection[str]]) -> pd.DataFrame:
        """Predict from a table of features with a row for each ordering of a crystal, whose index then repeats.

        Returns
        -------
        pandas.DataFrame
            As that of :meth:`predict`, with one row a crystal and ``n_orderings``: the center is the mean over the
            orderings, the interval has their spread added in quadrature, as that of a normal distribution, and a
            crystal is in the domain when all of them are.
        """
        predicted = self.predict(table, elements)
        if table.index.is_unique:
            return predicted.assign(n_orderings=1)
        half = predicted["upper_mev"] - predicted["band_center_mev"]
        center, width = over_orderings(predicted["band_center_mev"], half)
        groups = predicted.groupby(level=0, sort=False)
        return pd.DataFrame(
            {
                "band_center_mev": center,
                "lower_mev": np.maximum(center - width, 0.0),
                "upper_mev": center + width,
                "in_domain": groups["in_domain"].all(),
                "cell": groups["cell"].first(),
                "n_orderings": groups.size(),
            }
        )

    @property
    def fingerprint(self) -> str:
        """sha256 of what decides a prediction."""
        digest = hashlib.sha256(repr((self.set_names, self.features, self.intervals)).encode())
        digest.update(repr(self.cells.record() if self.cells else None).encode())
        arrays = self._arrays()
        for name in sorted(arrays):
            digest.update(arrays[name].tobytes())
        return digest.hexdigest()

    def _arrays(self) -> dict[str, Any]:
        families = self.families.arrays() if self.families else {}
        volumes = self.cells.volumes.arrays() if self.cells else {}
        return {**self.predictor.arrays(), **self.domain.arrays(), **families, **volumes}

    def save(self, folder: str | Path) -> None:
        """Write ``model.json`` and ``model.npz`` (plain arrays, no pickle) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {
            "format": FORMAT,
            "target": "total phonon band center, meV",
            "kind": next(name for name, kind in KINDS.items() if isinstance(self.predictor, kind)),
            "sets": list(self.set_names),
            "families": self.families is not None,
            "cells": self.cells.record() if self.cells else None,
            "features": list(self.features),
            "intervals": self.intervals.record(),
            "provenance": dict(self.provenance),
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        with (folder / ARRAYS).open("wb") as stream:
            np.savez_compressed(stream, **self._arrays())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model from a folder.

        Raises
        ------
        ModelError
            When the folder holds no model, or one of another format.
        """
        folder = Path(folder)
        try:
            manifest = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
            version = manifest["format"]
            if version != FORMAT:
                raise ModelError(
                    f"the model in {folder} has format {str(version)[:40]}",
                    why=f"this version of Phonolyte reads format {FORMAT}",
                    fix=REFIT,
                )
            return cls._from_parts(manifest, read_arrays(folder / ARRAYS))
        except FileNotFoundError as error:
            raise ModelError(
                f"{folder} holds no model", why=f"{Path(error.filename).name} is missing", fix=REFIT
            ) from None
        except ModelError as error:
            if error.fix == REFIT:
                raise
            why = f"{error.what}: {error.why}"
            raise ModelError(f"the model in {folder} is damaged", why=why, fix=REFIT) from None
        except (KeyError, TypeError, ValueError, OSError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ModelError(f"the model in {folder} is damaged", why=why, fix=REFIT) from None

    @classmethod
    def _from_parts(cls, manifest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The model of what its two files hold.

        Raises
        ------
        ModelError
            When they do not belong together.
        """
        predictor = _one_of(KINDS, manifest["kind"], "kind").from_arrays(arrays)
        domain = Domain.from_arrays(arrays)
        set_names, names, provenance = manifest["sets"], manifest["features"], manifest["provenance"]
        for listed in (set_names, names):
            if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
                raise damaged("the list of features", "it is not a list of names")
        if len(set(names)) < len(names) or len(names) < predictor.n_features:
            why = f"{MANIFEST} names {len(set(names))} features, and {ARRAYS} looks at {predictor.n_features} or more"
            raise damaged("the list of features", why)
        if not isinstance(provenance, dict):
            raise damaged("the provenance", "it is not a table")
        intervals = Intervals.from_record(manifest["intervals"])
        families = Families.from_arrays(arrays) if manifest["families"] else None
        cells = None if manifest["cells"] is None else Cells.from_record(manifest["cells"], arrays)
        model = cls(predictor, tuple(names), intervals, domain, provenance, tuple(set_names), families, cells)
        model._check_columns()
        return model

    def _check_columns(self) -> None:
        """Make sure that the feature sets have what the model looks at.

        Raises
        ------
        ModelError
            When they do not.
        """
        columns = set(self.columns)
        unknown = [name for name in (*self.features, *self.domain.features) if name not in columns]
        if unknown:
            raise ModelError(f"the model looks at {unknown[0][:40]!r}", why="there is no such feature", fix=REFIT)
        if self.families is not None and not columns.issuperset(fraction_names()):
            raise damaged("the families", "the feature sets have no fractions of elements")
        if isinstance(self.predictor, QuotientModel) and list(self.features) != self.columns:
            raise damaged("the list of features", "it is not that of the feature sets")

    @classmethod
    def embedded(cls, name: str = "physical") -> Self:
        """A model that comes with Phonolyte.

        Parameters
        ----------
        name
            ``physical``; ``relaxed``, for cells that the engine dpa4 has relaxed; ``virtual``, which scales crystals to
            a predicted volume; or ``study``, that of the founding study.

        Raises
        ------
        ModelError
            For another name.
        """
        with as_file(files("phonolyte") / "data" / _one_of(EMBEDDED, name, "name")) as folder:
            return cls.load(folder)


def _columns(set_names: Sequence[str]) -> list[str]:
    return [name for each in named_sets(set_names) for name in each.names]


@cache
def _places(set_names: tuple[str, ...], names: tuple[str, ...]) -> Ints | slice:
    """Places of some columns among those of feature sets; a slice where they follow each other."""
    place = {name: i for i, name in enumerate(_columns(set_names))}
    places = np.array([place[name] for name in names])
    return slice(places[0], places[-1] + 1) if (np.diff(places) == 1).all() else places


def _one_of(known: Mapping[str, _T], name: Any, what: str) -> _T:
    if name not in known:
        raise damaged(f"the {what}", f"it is {str(name)[:40]!r}, and not one of {', '.join(known)}")
    return known[name]
