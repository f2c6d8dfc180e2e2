"""The band center of the mobile ion (Muy et al. 2018, 10.1039/C7EE03364H): of its own density of states.

It is a spring frequency of the ion's sites times a quotient, whose logarithm a Gaussian process learns from (crystal,
ion) pairs. The process sees the mean of each site quantity over the ion's sites, which ion it is, and the square roots
of the element fractions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.errors import ModelError
from phonolyte.features.fractions import fraction_names
from phonolyte.features.ion_sites import NUMBER, ion_site_names
from phonolyte.features.physical import QUANTITIES
from phonolyte.files import parse_json, read_arrays
from phonolyte.models.domain import Intervals, over_orderings
from phonolyte.models.likelihood import Term
from phonolyte.models.process import GaussianProcess
from phonolyte.models.quotient import ROOT_FRACTION
from phonolyte.models.trees import damaged

FORMAT = 1
MANIFEST, ARRAYS = "ion.json", "ion.npz"

REFERENCE = "ion_valence_frequency_mev"
"""Column by which the center is divided before its logarithm is learned."""

TERMS = (Term("rational_quadratic", ("sites", "ion", "elements")), Term("linear", ("sites",)))
"""Covariance of the process."""

DOUBTFUL = 0.3
"""Standard deviation, relative to the center, from which on there is no prediction."""

_LOGARITHMIC = np.array([quantity.positive for quantity in QUANTITIES])
_N = len(QUANTITIES)
_IONS = np.array([ATOMIC_NUMBERS[symbol] for symbol in MOBILE_IONS])
LAYOUT = {
    "sites": slice(0, _N), "ion": slice(_N, _N + len(_IONS)),
    "elements": slice(_N + len(_IONS), _N + len(_IONS) + len(fraction_names())),
}  # fmt: skip
"""Columns of each block."""


class IonPairs(NamedTuple):
    """Features (n, m) of n pairs of a crystal and its ion, the ion's band centers (n,) in meV, and chemical systems."""

    table: pd.DataFrame
    center_mev: Floats
    systems: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class IonCenterModel:
    """Predicts the band center of the mobile ion, meV.

    Attributes
    ----------
    process
        Gaussian process of the logarithm of center / spring frequency.
    intervals
        How sure a prediction is.
    provenance
        Where it comes from.
    """

    process: GaussianProcess
    intervals: Intervals = field(default_factory=lambda: Intervals(1.645, 0.0))
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fit(cls, table: pd.DataFrame, center_mev: Floats, *, seed: int = 0) -> Self:
        """Learn from the columns of n pairs, as :meth:`predict` takes them, and the ion's band centers (n,) in meV."""
        target = np.log(center_mev / table[REFERENCE].to_numpy(float))
        fixed = ("ion", "elements")
        return cls(GaussianProcess.fit(_columns(table), target, layout=LAYOUT, terms=TERMS, fixed=fixed, seed=seed))

    def predict_with_spread(self, table: pd.DataFrame) -> tuple[Floats, Floats]:
        """Centers (n,) and their standard deviations (n,), meV.

        NaN where a crystal has no ion that was learned from, or its sites are too unlike those that were.
        """
        center, deviation = np.full(len(table), np.nan), np.full(len(table), np.nan)
        usable = np.isfinite(table[REFERENCE].to_numpy(float)) & np.isin(table[NUMBER].to_numpy(float), _IONS)
        rows = table[usable]
        quotient, spread = self.process.predict(_columns(rows))
        spread[spread > DOUBTFUL] = np.nan
        center[usable] = rows[REFERENCE].to_numpy(float) * np.exp(quotient)
        deviation[usable] = center[usable] * spread
        center[np.isnan(deviation)] = np.nan
        return center, deviation

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Predict from a table of features, which may have a row for each ordering of a crystal.

        Parameters
        ----------
        table
            (n, m) with the columns of :class:`phonolyte.features.ion_sites.IonSites` and of
            :class:`phonolyte.features.fractions.ElementFractions`.

        Returns
        -------
        pandas.DataFrame
            One row a crystal: ``ion_center_mev``, ``ion_lower_mev`` and ``ion_upper_mev`` (90 % interval).
        """
        center, deviation = self.predict_with_spread(table)
        half = pd.Series(self.intervals.half_width(deviation), index=table.index)
        mean, width = over_orderings(pd.Series(center, index=table.index), half)
        return pd.DataFrame(
            {
                "ion_center_mev": mean,
                "ion_lower_mev": np.maximum(mean - width, 0.0),
                "ion_upper_mev": mean + width,
            }
        )

    @property
    def fingerprint(self) -> str:
        """sha256 of what decides a prediction."""
        digest = hashlib.sha256(repr(self.intervals).encode())
        for name, array in sorted(self.process.arrays().items()):
            digest.update(name.encode() + array.tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``ion.json`` and ``ion.npz`` into a folder."""
        manifest = {
            "format": FORMAT, "target": "phonon band center of the mobile ion, meV",
            "intervals": self.intervals.record(), "provenance": dict(self.provenance),
        }  # fmt: skip
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        with (folder / ARRAYS).open("wb") as stream:
            arrays: dict[str, Any] = dict(self.process.arrays())
            np.savez_compressed(stream, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model from a folder.

        Raises
        ------
        ModelError
            When the folder holds none, or a damaged one.
        """
        fix = "Install Phonolyte again."
        try:
            manifest = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise damaged("the format", f"it is {str(manifest['format'])[:40]}, and not {FORMAT}")
            intervals = Intervals.from_record(manifest["intervals"])
            return cls._from_parts(read_arrays(folder / ARRAYS), intervals, manifest["provenance"])
        except ModelError as error:
            raise ModelError(f"the model in {folder} is damaged", why=f"{error.what}: {error.why}", fix=fix) from None
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise ModelError(f"the model in {folder} is damaged", why=str(error), fix=fix) from None

    @classmethod
    def _from_parts(cls, arrays: Mapping[str, NDArray[Any]], intervals: Intervals, provenance: Any) -> Self:
        process = GaussianProcess.from_arrays(arrays)
        if len(process.standard.mean) != LAYOUT["elements"].stop:
            raise damaged("the process", f"it looks at {len(process.standard.mean)} columns")
        return cls(process, intervals, provenance)

    @classmethod
    def embedded(cls) -> Self:
        """The model that comes with Phonolyte, learned from its own learning set."""
        with as_file(files("phonolyte") / "data" / "ion_model") as folder:
            return cls.load(folder)


def _columns(table: pd.DataFrame) -> Floats:
    """Columns (n, d) of the process, in the order of :data:`LAYOUT`."""
    sites = table[ion_site_names()[1:]].to_numpy(float)
    sites[:, _LOGARITHMIC] = np.log(sites[:, _LOGARITHMIC])
    one_hot = (table[NUMBER].to_numpy(float)[:, None] == _IONS).astype(float)
    fractions = table[fraction_names()].to_numpy(float)
    return np.hstack([sites, one_hot, np.sqrt(fractions) / ROOT_FRACTION])
