"""The model of the band center: predicts with an interval and says when it is out of its depth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonolyte.arrays import Floats, Ints, Matrix
from phonolyte.errors import ModelError
from phonolyte.features import feature_names, featurize_orderings
from phonolyte.files import parse_json, read_arrays
from phonolyte.models.domain import Domain, Intervals
from phonolyte.models.trees import TreeEnsemble, damaged
from phonolyte.structures import Crystal, read

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

FORMAT = 1
"""Version of the files of a model; a reader of another version says how to refit."""

NORMAL_90 = 1.6449
"""Half of the width of the 90 % interval of a normal distribution, in standard deviations."""

MANIFEST, ARRAYS = "model.json", "model.npz"
REFIT = "Fit it again: phonolyte train --data TABLE -o FOLDER."


@dataclass(frozen=True, slots=True, eq=False)
class BandCenterModel:
    """Predicts the total phonon band center (meV) of crystals from their features.

    Attributes
    ----------
    ensemble
        The trees.
    features
        Names of the features they use, in order.
    intervals, domain
        How sure a prediction is.
    provenance
        Where it comes from: algorithm, settings, data, versions, scores.
    """

    ensemble: TreeEnsemble
    features: tuple[str, ...]
    intervals: Intervals
    domain: Domain
    provenance: Mapping[str, Any] = field(default_factory=dict)

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
            below zero), ``in_domain``.

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
        center, spread = self.ensemble.predict_with_spread(table[list(self.features)])
        half_width = self.intervals.half_width(spread)
        return pd.DataFrame(
            {
                "band_center_mev": center,
                "lower_mev": np.maximum(center - half_width, 0.0),
                "upper_mev": center + half_width,
                "in_domain": self.domain.contains(table, elements),
            },
            index=table.index,
        )

    def predict_array(self, values: Floats, numbers: Ints) -> tuple[Floats, Floats, Matrix]:
        """Predict from an array, for many compounds and without a table.

        Parameters
        ----------
        values
            (n, 271) features, in the order of :func:`phonolyte.features.feature_names`.
        numbers
            (n, s) atomic numbers; an element may come more than once.

        Returns
        -------
        tuple
            Centers (n,) and half of the width (n,) of their 90 % intervals, in meV; whether each is in the domain (n,).
        """
        column = {name: i for i, name in enumerate(feature_names())}
        unknown = [name for name in (*self.features, *self.domain.features) if name not in column]
        if unknown:
            raise ModelError(f"the model looks at {unknown[0][:40]!r}", why="there is no such feature", fix=REFIT)
        used = values if self.features == tuple(column) else values[:, [column[name] for name in self.features]]
        center, spread = self.ensemble.predict_with_spread(used)
        of_domain = values[:, [column[name] for name in self.domain.features]]
        return center, self.intervals.half_width(spread), self.domain.contains_numbers(of_domain, numbers)

    def predict_crystals(self, crystals: Sequence[Crystal | Structure | Atoms]) -> pd.DataFrame:
        """Predict from crystals, also pymatgen's and ASE's; those that have no features are left out.

        The index is their `material_id`; one that comes twice is made unique as by :func:`phonolyte.structures.read`.
        """
        found = read(crystals).crystals
        table = featurize_orderings(found).table
        symbols = {crystal.material_id: set(crystal.symbols) for crystal in found}
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
        groups = predicted.assign(square=half**2).groupby(level=0, sort=False)
        center = groups["band_center_mev"].mean()
        spread = groups["band_center_mev"].std().fillna(0.0)
        width = np.sqrt(groups["square"].mean() + (NORMAL_90 * spread) ** 2)
        return pd.DataFrame(
            {
                "band_center_mev": center,
                "lower_mev": np.maximum(center - width, 0.0),
                "upper_mev": center + width,
                "in_domain": groups["in_domain"].all(),
                "n_orderings": groups.size(),
            }
        )

    @property
    def fingerprint(self) -> str:
        """sha256 of what decides a prediction."""
        digest = hashlib.sha256(repr((self.features, self.intervals)).encode())
        arrays = {**self.ensemble.arrays(), **self.domain.arrays()}
        for name in sorted(arrays):
            digest.update(arrays[name].tobytes())
        return digest.hexdigest()

    def save(self, folder: str | Path) -> None:
        """Write ``model.json`` and ``model.npz`` (plain arrays, no pickle) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {
            "format": FORMAT,
            "target": "total phonon band center, meV",
            "features": list(self.features),
            "intervals": {
                "factor": self.intervals.factor,
                "floor_mev": self.intervals.floor_mev,
                "per_spread": self.intervals.per_spread,
            },
            "provenance": dict(self.provenance),
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        with (folder / ARRAYS).open("wb") as stream:
            arrays: dict[str, Any] = {**self.ensemble.arrays(), **self.domain.arrays()}
            np.savez_compressed(stream, **arrays)

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
            stated = manifest["format"]
            if stated != FORMAT:
                raise ModelError(
                    f"the model in {folder} has format {str(stated)[:40]}",
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
        ensemble, domain = TreeEnsemble.from_arrays(arrays), Domain.from_arrays(arrays)
        names, provenance = manifest["features"], manifest["provenance"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise damaged("the list of features", "it is not a list of names")
        if len(set(names)) < len(names) or len(names) < ensemble.n_features:
            why = f"{MANIFEST} names {len(set(names))} features, and {ARRAYS} looks at {ensemble.n_features} or more"
            raise damaged("the list of features", why)
        if not isinstance(provenance, dict):
            raise damaged("the provenance", "it is not a table")
        intervals = Intervals.from_record(manifest["intervals"])
        return cls(ensemble, tuple(names), intervals, domain, provenance)

    @classmethod
    def embedded(cls) -> Self:
        """The model that comes with Phonolyte, fitted on the 1272 compounds of the founding study."""
        with as_file(files("phonolyte") / "data" / "model") as folder:
            return cls.load(folder)
