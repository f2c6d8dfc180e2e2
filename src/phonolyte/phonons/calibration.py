"""Potentials soften: a correction of the band center, learned against calculated ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import ModelError, TableError

FEWEST = 10
RIDGE = 1.0
"""Strength of the pull of an element's factor towards the common one, in compounds."""

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
        further = sum(self.elements.get(symbol, 0.0) * part for symbol, part in share.items())
        return float(raw_mev * self.factor * np.exp(further))

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
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{path} is no calibration", why=str(error), fix="Learn it again.") from None


def shares_of(composition: Mapping[str, int]) -> dict[str, float]:
    """Shares of the elements, adding up to 1."""
    total = sum(composition.values())
    return {symbol: count / total for symbol, count in composition.items()}


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
    found = np.empty(len(raw_mev))
    for number in range(n_folds):
        known, new = np.flatnonzero(fold != number).tolist(), np.flatnonzero(fold == number).tolist()
        rule = Calibration.learn(raw_mev[known], reference_mev[known], [shares[i] for i in known], kind)
        found[new] = [rule.apply(raw_mev[i], shares[i]) for i in new]
    return found


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
