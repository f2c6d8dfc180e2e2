"""Figures of a training: what it learned from, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.figures.compounds import center_against_volume, center_histogram, kinds
from phonolyte.figures.periodic_table import element_counts, periodic_table
from phonolyte.figures.scores import importance_bars, interval_parity, parity, score_bars
from phonolyte.figures.screen import ion_subset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEMS = (
    "parity", "intervals", "scores", "scores_composition", "importances", "learning_centers", "learning_elements",
    "learning_kinds", "learning_volumes",
)  # fmt: skip
"""Files of :func:`score_figures` and :func:`data_figures`."""

MOST_MODELS = 4
"""Models with a panel in the figure of parity."""


def score_figures(
    metrics: Sequence[Mapping[str, Any]], predictions: pd.DataFrame, held_out: pd.DataFrame, importances: pd.DataFrame,
    final: tuple[str, str], *, confidence: float,
) -> dict[str, Figure]:  # fmt: skip
    """Return the figures of how good a model is, by the stem of their file.

    Parameters
    ----------
    metrics
        Rows of ``metrics.json``.
    predictions, held_out, importances
        Tables of ``cv_predictions.parquet``, ``held_out.parquet`` and ``importances.csv``.
    final
        Algorithm and feature set of the model that is kept.
    confidence
        Confidence of its intervals.
    """
    columns = [
        held_out[name].to_numpy(float) for name in ("band_center_mev", "predicted_mev", "lower_mev", "upper_mev")
    ]
    drawn = {
        "parity": cross_validated_parity(predictions, final),
        "intervals": interval_parity(*columns, confidence=confidence),
        "scores": score_bars(metrics),
        "importances": importance_bars(importances),
    }
    if any(row["split"] == "composition" for row in metrics):
        drawn["scores_composition"] = score_bars(metrics, split="composition")
    return drawn


def data_figures(
    elements: Sequence[Collection[str]], target: Floats, compounds: pd.DataFrame | None = None
) -> dict[str, Figure]:
    """Return the figures of what a model learns from, by the stem of their file.

    Parameters
    ----------
    elements
        Symbols of each compound.
    target
        Band centers, meV, (n,).
    compounds
        `family`, `crystal_system` and `volume_per_atom_a3` of the crystals, where there are any.
    """
    ion, holds = ion_subset(elements, None)
    drawn = {
        "learning_centers": center_histogram(target, holds if ion else None, subset_name=f"with {ion}"),
        "learning_elements": periodic_table(element_counts(elements)),
    }
    if compounds is not None:
        drawn["learning_kinds"] = kinds(compounds)
        drawn["learning_volumes"] = center_against_volume(compounds.assign(band_center_mev=target))
    return drawn


def cross_validated_parity(predictions: pd.DataFrame, final: tuple[str, str], *, split: str = "random") -> Figure:
    """Parity of the models of a cross-validation, the one that is kept first.

    Parameters
    ----------
    predictions
        As ``cv_predictions.parquet`` has them.
    final
        Algorithm and feature set of the model that is kept; the others are shown on the same features.
    split
        Which of its splits.
    """
    rows = predictions[(predictions["split"] == split) & (predictions["features"] == final[1])]
    wide = rows.pivot_table(index="material_id", columns="algorithm", values="predicted_mev")
    known = rows.groupby("material_id")["band_center_mev"].first().reindex(wide.index)
    errors = wide.sub(known, axis=0).abs().mean()
    names = sorted(wide.columns, key=lambda name: (name != final[0], errors[name]))
    series = {name.replace("_", " "): wide[name].to_numpy(float) for name in names[:MOST_MODELS]}
    return parity(known.to_numpy(float), series, x_label="Band center, known (meV)", y_label="Predicted (meV)")
