"""The model card: what a model is, how good it is, and what it must not be used for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.models.quotient import QuotientModel

if TYPE_CHECKING:
    from phonolyte.models.center import BandCenterModel


def model_card(model: BandCenterModel, target: Floats) -> str:
    """The card of a fitted model as Markdown.

    Parameters
    ----------
    model
        The model with its provenance.
    target
        (n,) band centers it learned, in meV.
    """
    facts = model.provenance
    interval = facts["interval"]
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return f"""# Model card: total phonon band center

{facts["description"] or "A model of the total phonon band center."}

- **Predicts** the total phonon band center in meV (the mean phonon energy, weighted by the density of states)
  of a crystal, from {len(model.features)} features ({", ".join(model.set_names)}); of a disordered one, the mean over
  its orderings.
- **Algorithm**: {_algorithm(model)}; seed {facts["seed"]}, feature set "{facts["feature_set"]}".
- **Geometry**: {facts["geometry"] or "cells as in the learning set"}.
- **Learned from** {facts["n"]} compounds, {np.min(target):.1f} to {np.max(target):.1f} meV
  (mean {np.mean(target):.1f}, standard deviation {np.std(target):.1f});
  sha256 of the table {facts["data_sha256"] or "unknown"}.
- **Versions**: {versions}. The files are plain arrays; no pickle, no need for the library that grew the trees.

## How good it is

{_score_table(facts["scores"])}

Ten-fold, mean ± standard deviation over the folds. Compounds of one composition (polymorphs), of one chemical system,
or of one cluster of similar compounds share a fold in the second to fourth row: the honest figures for a new material.

- **{interval["confidence"]:.0%} intervals** held {interval["coverage"]:.1%} of compounds with their
  {interval["split"].replace("_", " ")} left out (calibrated on the other folds); median width
  {interval["median_width_mev"]:.1f} meV.
- **Domain**: mean absolute error {interval["mae_in_domain_mev"]:.2f} meV inside,
  {_or_none(interval["mae_out_of_domain_mev"])} meV for the {interval["n_out_of_domain"]} compounds outside.

## What it is not

The band center is not a conductivity. There are series in which a soft lattice goes with mobile ions
(10.1039/C7EE03364H); of 13 families of measured lithium conductors that is clear in one, and in one the opposite.
Metals have band centers too: look at the band gap. Defects and temperature are not in it.
"""


def _algorithm(model: BandCenterModel) -> str:
    if isinstance(model.predictor, QuotientModel):
        return (
            "geometric mean of a Gaussian process and of boosted trees (XGBoost), both of the logarithm of the center "
            "over a spring frequency; hyperparameters of the process by marginal likelihood"
        )
    return f"{model.provenance['algorithm']}, default hyperparameters"


def _score_table(scores: list[dict[str, Any]]) -> str:
    lines = ["| split | R2 | MAE (meV) | RMSE (meV) |", "|---|---|---|---|"]
    for row in scores:
        cells = [_pm(row["r2"], row["r2_std"], 3), _pm(row["mae_mev"], row["mae_std_mev"], 2)]
        cells.append(_pm(row["rmse_mev"], row["rmse_std_mev"], 2))
        lines.append(f"| {row['split']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pm(value: float, spread: float | None, digits: int) -> str:
    return f"{value:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def _or_none(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
