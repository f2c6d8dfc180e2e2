"""Figures of a training: what it learned from, and how good it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from phonolyte.figures.compounds import center_against_volume, center_histogram, kinds
from phonolyte.figures.periodic_table import element_counts, periodic_table
from phonolyte.figures.scores import importance_bars, interval_parity, parity, score_bars
from phonolyte.figures.screen import ion_subset
from phonolyte.figures.style import remove, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from phonolyte.models.training import LearningSet

STEMS = (
    "parity", "intervals", "scores", "scores_composition", "importances", "learning_centers", "learning_elements",
    "learning_kinds", "learning_volumes",
)  # fmt: skip
"""Files of :func:`draw_training`."""

MOST_MODELS = 4
"""Models with a panel in the figure of parity."""


def draw_training(
    folder: Path, data: LearningSet, final: tuple[str, str], *, compounds: pd.DataFrame | None = None,
    figures: Path | None = None,
) -> list[Path]:  # fmt: skip
    """Draw the figures of a training from what it has written into its folder.

    Parameters
    ----------
    folder
        With ``metrics.json``, ``cv_predictions.parquet``, ``held_out.parquet`` and ``importances.csv``.
    data
        The learning set.
    final
        Algorithm and feature set of the model that is kept.
    compounds
        `family`, `crystal_system` and `volume_per_atom_a3` of its crystals, where there are any.
    figures
        Where they go, ``figures/`` of the folder unless given.

    Returns
    -------
    list of Path
        The files.
    """
    figures = figures or folder / "figures"
    remove(figures / stem for stem in STEMS)
    drawn = _of_scores(folder, final) | _of_data(data, compounds)
    return [path for stem, figure in drawn.items() for path in save(figure, figures / stem)]


def _of_scores(folder: Path, final: tuple[str, str]) -> dict[str, Figure]:
    from phonolyte.models.domain import CONFIDENCE

    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    held_out = pd.read_parquet(folder / "held_out.parquet")
    columns = [
        held_out[name].to_numpy(float) for name in ("band_center_mev", "predicted_mev", "lower_mev", "upper_mev")
    ]
    drawn = {
        "parity": cross_validated_parity(pd.read_parquet(folder / "cv_predictions.parquet"), final),
        "intervals": interval_parity(*columns, confidence=CONFIDENCE),
        "scores": score_bars(metrics),
        "importances": importance_bars(pd.read_csv(folder / "importances.csv")),
    }
    if any(row["split"] == "composition" for row in metrics):
        drawn["scores_composition"] = score_bars(metrics, split="composition")
    return drawn


def _of_data(data: LearningSet, compounds: pd.DataFrame | None) -> dict[str, Figure]:
    ion, holds = ion_subset(data.elements, None)
    drawn = {
        "learning_centers": center_histogram(data.target, holds if ion else None, subset_name=f"with {ion}"),
        "learning_elements": periodic_table(element_counts(data.elements)),
    }
    if compounds is not None:
        drawn["learning_kinds"] = kinds(compounds)
        drawn["learning_volumes"] = center_against_volume(compounds.assign(band_center_mev=data.target))
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
