"""Figures of how good a prediction is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.figures.style import COLOURS, FAINT, STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parity(
    reference_mev: Floats,
    predicted_mev: Mapping[str, Floats],
    *,
    x_label: str = "Band center, DFT (meV)",
    y_label: str = "Band center, predicted (meV)",
) -> Figure:
    """Predicted against reference band centers, with n, R2, mean absolute error and bias of each series.

    Parameters
    ----------
    reference_mev
        (n,) reference.
    predicted_mev
        Name of a series -> its (n,) predictions.
    x_label, y_label
        Of the axes.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(0.7 + 2.9 * len(predicted_mev), 3.6)
        panels = figure.subplots(1, len(predicted_mev), sharex=True, sharey=True, squeeze=False)[0]
        high = 1.04 * max(float(reference_mev.max()), *(float(values.max()) for values in predicted_mev.values()))
        for axes, (name, values), colour in zip(panels, predicted_mev.items(), COLOURS, strict=False):
            axes.plot([0, high], [0, high], color=FAINT, lw=0.8, zorder=1)
            axes.scatter(reference_mev, values, s=9, color=colour, alpha=0.6, lw=0, zorder=2)
            axes.text(0.04, 0.96, _scores(reference_mev, values), transform=axes.transAxes, va="top", fontsize=8)
            axes.set(xlim=(0, high), ylim=(0, high), aspect="equal", title=name, xlabel=x_label)
        panels[0].set_ylabel(y_label)
    return figure


def _scores(reference: Floats, predicted: Floats) -> str:
    error = predicted - reference
    r2 = 1 - (error**2).sum() / ((reference - reference.mean()) ** 2).sum()
    mae, bias = np.abs(error).mean(), error.mean()
    return f"n = {len(error)}\nR² = {r2:.3f}\nMAE = {mae:.2f} meV\nbias = {bias:+.2f} meV".replace("-", "−")
