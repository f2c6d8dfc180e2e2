"""Potentials soften: a correction of the band center, learned against those of density functional theory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.formulas import shares_of
from phonolyte.errors import ModelError, TableError
from phonolyte.files import as_number, as_numbers, parse_json, read_table
from phonolyte.forces.engines import IDENTITY
from phonolyte.runs.records import checksum
from phonolyte.settings import read_toml, section

if TYPE_CHECKING:
    from phonolyte.forces import Engine

FEWEST = 10
INTERVAL = (0.05, 0.95)
RIDGE = 1.0
"""Strength of the pull of an element's factor toward the common one, in compounds."""

Kind = Literal["factor", "elements"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A factor on the band center: one for all, times one for each element to the power of its share.

    Attributes
    ----------
    factor
        Common factor: the median ratio of the reference to the engine.
    elements
        Logarithm of the further factor of each element; empty for a common factor alone.
    provenance
        Engine, data, number of compounds, scores by cross-validation.
    """

    factor: float
    elements: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def learn(cls, raw_mev: Floats, reference_mev: Floats, shares: Sequence[Mapping[str, float]], kind: Kind) -> Self:
        """Learn from centers (n,) of an engine and of the reference, in meV, and the shares of the elements.

        Raises
        ------
        TableError
            For fewer than ten compounds, and centers that are not positive.
        """
        if len(raw_mev) < FEWEST:
            raise TableError(
                f"{len(raw_mev)} compounds are too few", why=f"a calibration needs {FEWEST}", fix="Add more."
            )
        if not ((raw_mev > 0).all() and (reference_mev > 0).all()):
            raise TableError("a band center is not positive", fix="Leave that compound out.")
        ratio = np.log(reference_mev / raw_mev)
        common = float(np.median(ratio))
        if kind == "factor":
            return cls(float(np.exp(common)))
        symbols = sorted({symbol for share in shares for symbol in share})
        table = np.array([[share.get(symbol, 0.0) for symbol in symbols] for share in shares])
        weights = np.linalg.solve(table.T @ table + RIDGE * np.eye(len(symbols)), table.T @ (ratio - common))
        return cls(float(np.exp(common)), dict(zip(symbols, weights.tolist(), strict=True)))

    def apply(self, raw_mev: float, share: Mapping[str, float]) -> float:
        """The calibrated center in meV of a crystal with these shares of elements (adding up to 1)."""
        further = sum(self.elements.get(symbol, 0.0) * fraction for symbol, fraction in share.items())
        return float(raw_mev * self.factor * np.exp(further))

    @classmethod
    def shipped(cls, engine: Engine) -> Self | None:
        """The one that comes with Phonolyte for this engine with these weights, or None."""
        for path in sorted(shipped_folder().glob("*.json")):
            rule = cls.load(path)
            if engine.is_known_by(rule.provenance):
                return rule
        return None

    def check(self, engine: Engine) -> None:
        """Make sure that it was learned with this engine, as far as its provenance states it.

        Raises
        ------
        ModelError
            When it was learned with another engine, or other weights.
        """
        for key, of_engine in (("engine", engine.name), *((name, engine.provenance.get(name)) for name in IDENTITY)):
            learned = self.provenance.get(key)
            if learned and learned != of_engine:
                raise ModelError(
                    f"the calibration was not learned with {engine.name} as it is here",
                    why=f"its {key} is {learned}, here it is {of_engine}",
                    fix="Learn one with this engine, or leave the calibration out.",
                )

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read it from JSON.

        Raises
        ------
        ModelError
            When the file is missing or no calibration.
        """
        try:
            record = parse_json(Path(path).read_text(encoding="utf-8"))
            rule = cls(_factor(record.pop("factor")), _elements(record.pop("elements", {})), **record)
            if not isinstance(rule.provenance, dict):
                raise ValueError("its provenance is not a table")
            return rule
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ModelError(f"{path} is not a calibration", why=why, fix="Learn it again.") from None


def _factor(value: Any) -> float:
    """A common factor from JSON.

    Raises
    ------
    ValueError
        When it is not a positive number.
    """
    factor = as_number(value)
    if not (0.0 < factor < np.inf):
        raise ValueError(f"its factor is {str(value)[:40]}")
    return factor


def _elements(values: Any) -> dict[str, float]:
    """Factors of elements from JSON.

    Raises
    ------
    ValueError
        When they are not a number each, or not of elements.
    """
    if not isinstance(values, dict):
        raise ValueError("its elements are not a table")
    factors = {symbol: as_number(value) for symbol, value in values.items()}
    wrong = [symbol for symbol, value in factors.items() if symbol not in ATOMIC_NUMBERS or not np.isfinite(value)]
    if wrong:
        raise ValueError(f"its factor of {wrong[0][:20]} is {str(values[wrong[0]])[:40]}")
    return factors


def shipped_folder() -> Path:
    """Where the calibrations of the package are."""
    return Path(str(files("phonolyte") / "data" / "calibrations"))


def learn_from_run(folder: str | Path, data: str | Path, kind: Kind = "factor", *, seed: int = 0) -> Calibration:
    """Learn from the run folder of ``phonolyte phonons`` and a table of reference centers.

    Unstable crystals are left out: what is imaginary is missing from their center.

    Parameters
    ----------
    folder
        With ``phonons.parquet`` and ``run.toml``.
    data
        CSV, Parquet or JSONL(.gz) with `material_id` and `band_center_mev`, in meV.
    kind
        One factor for all (``"factor"``), or also one for each element (``"elements"``).
    seed
        Seed of the folds that score it.

    Returns
    -------
    Calibration
        Its provenance has the engine, checksums of weights and data, the number of compounds, the scores of raw
        and, by ten-fold cross-validation, calibrated centers, and the interval of the ratios of reference to these
        that holds nine tenths of them.

    Raises
    ------
    TableError
        When a table cannot be read or lacks a column, or fewer than ten compounds are in both.
    """
    folder = Path(folder)
    engine = section(read_toml(folder / "run.toml"), "engine")
    both = _table(folder / "phonons.parquet", ("material_id", "formula", "band_center_mev", "stable")).merge(
        _table(Path(data), ("material_id", "band_center_mev")), on="material_id", suffixes=("", "_reference")
    )
    both = both[both["stable"].astype(bool) & both["band_center_mev_reference"].notna()]
    raw, reference = (both[name].to_numpy(float) for name in ("band_center_mev", "band_center_mev_reference"))
    shares = [shares_of(formula) for formula in both["formula"]]
    rule = Calibration.learn(raw, reference, shares, kind)
    unseen = cross_validated(raw, reference, shares, kind, seed=seed)
    provenance = {
        "engine": engine.get("name", ""),
        **{key: value for key, value in engine.items() if key in IDENTITY},
        "data": Path(data).name,
        "data_sha256": checksum(data),
        "kind": kind,
        "n": len(raw),
        "raw": scores(raw, reference),
        "calibrated": scores(unseen, reference),
        "interval": np.quantile(reference / unseen, INTERVAL).round(4).tolist(),
    }
    return Calibration(rule.factor, rule.elements, provenance)


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_table(path)
    missing = set(columns) - set(table)
    if missing:
        raise TableError(f"{path.name} has no column {sorted(missing)[0]!r}", fix=f"It needs {', '.join(columns)}.")
    table = table[list(columns)].assign(band_center_mev=as_numbers(table["band_center_mev"])).drop_duplicates()
    repeated = table["material_id"][table["material_id"].duplicated()]
    if len(repeated):
        raise TableError(
            f"{path.name} gives {len(repeated)} materials two different rows",
            why=f"for example {repeated.iloc[0]}",
            fix="Keep one row a material.",
        )
    return table[table["material_id"] != ""]


def cross_validated(
    raw_mev: Floats,
    reference_mev: Floats,
    shares: Sequence[Mapping[str, float]],
    kind: Kind,
    *,
    n_folds: int = 10,
    seed: int = 0,
) -> Floats:
    """Calibrated centers (n,) in meV, each by a calibration that had not seen the compound."""
    fold = np.random.default_rng(seed).permutation(len(raw_mev)) % n_folds
    calibrated = np.empty(len(raw_mev))
    for number in range(n_folds):
        known, new = np.flatnonzero(fold != number).tolist(), np.flatnonzero(fold == number).tolist()
        rule = Calibration.learn(raw_mev[known], reference_mev[known], [shares[i] for i in known], kind)
        calibrated[new] = [rule.apply(raw_mev[i], shares[i]) for i in new]
    return calibrated


def scores(predicted_mev: Floats, reference_mev: Floats) -> dict[str, float]:
    """Mean absolute error, median absolute error, RMSE and bias in meV, bias in percent, and R2."""
    error = predicted_mev - reference_mev
    return {
        "mae_mev": float(np.abs(error).mean()),
        "median_mev": float(np.median(np.abs(error))),
        "rmse_mev": float(np.sqrt((error**2).mean())),
        "bias_mev": float(error.mean()),
        "bias_percent": float(100 * (error / reference_mev).mean()),
        "r2": float(1 - (error**2).sum() / ((reference_mev - reference_mev.mean()) ** 2).sum()),
    }
