"""From pairs of crystals and mobile ions to the model of the ion's band center, with its scores and card."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import GroupKFold

from phonolyte import __version__
from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.features.ion_sites import NUMBER
from phonolyte.models.compounds import clusters
from phonolyte.models.domain import CONFIDENCE, Intervals
from phonolyte.models.ion import IonCenterModel, IonPairs
from phonolyte.models.validation import FOLDS


def train_ion(pairs: IonPairs, folder: Path, *, seed: int = 0) -> IonCenterModel:
    """Fit the model on all pairs, calibrate its intervals on left-out clusters, and write it with its card.

    Parameters
    ----------
    pairs
        What :func:`phonolyte.learning_set.ion_pairs` gives.
    folder
        Folder that receives ``ion.json``, ``ion.npz`` and ``card.md``.
    seed
        Seed for folds and fits.
    """
    table, center = pairs.table, pairs.center_mev
    by_system, _ = predict_left_out(table, center, pairs.systems, seed=seed)
    groups = clusters(table).tolist()
    by_cluster, spread = predict_left_out(table, center, groups, seed=seed)
    intervals = Intervals.calibrate(center - by_cluster, spread)
    inside = np.abs(center - by_cluster) <= _half_widths(center - by_cluster, spread, groups, seed=seed)
    provenance = {
        "n": len(center), "seed": seed, "confidence": CONFIDENCE, "coverage": float(inside.mean()),
        "median_width_mev": float(2.0 * np.median(intervals.half_width(spread))),
        "scores": {"chemical_system": _scores(table, center, by_system),
                   "cluster": _scores(table, center, by_cluster)},
        "versions": {name: version(name) for name in ("scikit-learn", "numpy")} | {"phonolyte": __version__},
    }  # fmt: skip
    process = IonCenterModel.fit(table, center, seed=seed).process
    model = IonCenterModel(process, intervals, provenance)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder)
    (folder / "card.md").write_text(_card(model), encoding="utf-8")
    return model


def predict_left_out(
    table: pd.DataFrame, center_mev: Floats, groups: Sequence[Any], *, seed: int = 0
) -> tuple[Floats, Floats]:
    """Centers (n,) and standard deviations (n,), meV, of pairs whose group the model has not seen."""
    center, spread = np.full(len(table), np.nan), np.full(len(table), np.nan)
    split = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in split.split(center, groups=groups):
        model = IonCenterModel.fit(table.iloc[train], center_mev[train], seed=seed)
        center[test], spread[test] = model.predict_with_spread(table.iloc[test])
    return center, spread


def _half_widths(residual: Floats, spread: Floats, groups: Sequence[Any], *, seed: int) -> Floats:
    """Half of the interval's width (n,) of each pair, calibrated on the other folds."""
    widths = np.empty(len(residual))
    split = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in split.split(residual, groups=groups):
        widths[test] = Intervals.calibrate(residual[train], spread[train]).half_width(spread[test])
    return widths


def _scores(table: pd.DataFrame, center: Floats, predicted: Floats) -> dict[str, dict[str, float]]:
    """Number of pairs, R2 and mean absolute error (meV), of all pairs and of each ion."""
    number = table[NUMBER].to_numpy()
    rows = {"all": np.ones(len(number), dtype=bool)} | {ion: number == ATOMIC_NUMBERS[ion] for ion in MOBILE_IONS}
    return {
        name: {
            "n": int(chosen.sum()),
            "r2": float(r2_score(center[chosen], predicted[chosen])),
            "mae_mev": float(mean_absolute_error(center[chosen], predicted[chosen])),
        }
        for name, chosen in rows.items()
    }


def _card(model: IonCenterModel) -> str:
    facts = model.provenance
    lines = [
        f"| {ion} | {row['n']} | {row['r2']:.3f} | {row['mae_mev']:.2f} | {cluster['r2']:.3f} "
        f"| {cluster['mae_mev']:.2f} |"
        for (ion, row), cluster in zip(
            facts["scores"]["chemical_system"].items(), facts["scores"]["cluster"].values(), strict=True
        )
    ]
    table = "\n".join(lines)
    return f"""# Model card: band center of the mobile ion

- **Predicts** the mean energy of the mobile ion's own density of states in meV (Muy et al. 2018, 10.1039/C7EE03364H)
  for {", ".join(MOBILE_IONS)}.
- **Algorithm**: a Gaussian process of the logarithm of the center over a spring frequency of the ion's sites, from the
  mean of 30 quantities over these sites, the ion, and the fractions of the elements.
- **Learned from** {facts["n"]} pairs of a crystal and an ion in the learning set of Phonolyte, whose phonons it
  computed itself; cells scaled by 0.991 to those of today's Materials Project, centers by 1.0448 to density functional
  theory (the common factor of the potential's calibration; computed centers of `phonolyte phonons` are without it).

| ion | pairs | R2, chemical system left out | MAE (meV) | R2, cluster left out | MAE (meV) |
|---|---|---|---|---|---|
{table}

Much of the R2 of all ions together is the difference between ions.

- **{facts["confidence"]:.0%} intervals** held {facts["coverage"]:.1%} of pairs with their cluster left out (calibrated
  on the other folds); median width {facts["median_width_mev"]:.1f} meV.

Hard cases are hydrides, metals, and LiF, which is predicted too low.
"""
