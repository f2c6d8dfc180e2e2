"""Figures of virtual compounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.figures.style import COLOURS, FAINT, INK, STYLE, WASH, new_figure, save

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SOFT_MEV = 40.0
WIDEST_MEV = 100


def center_histograms(summary: Mapping[str, Any]) -> Figure:
    """Distribution of the predicted centers for each prototype, in meV, with the share that is soft.

    Parameters
    ----------
    summary
        Of ``summary.json``.
    """
    from matplotlib import rc_context

    prototypes = summary["prototypes"]
    with rc_context(STYLE):
        figure = new_figure(4.6, 0.6 + 0.62 * len(prototypes))
        rows = figure.subplots(len(prototypes), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, of), colour in zip(rows, prototypes.items(), _cycled(len(prototypes)), strict=True):
            counts = np.array(of["histogram_per_mev"][:WIDEST_MEV])
            axes.axvspan(0, SOFT_MEV, color=WASH, lw=0, zorder=0)
            axes.stairs(counts, np.arange(WIDEST_MEV + 1), fill=True, color=colour, zorder=2)
            axes.set(yticks=[], xlim=(0, WIDEST_MEV))
            axes.spines["left"].set_visible(False)
            axes.text(0.99, 0.9, f"{name}\n{of['compounds']:,}, {of['soft_share']:.0%} below {SOFT_MEV:g} meV",
                      transform=axes.transAxes, ha="right", va="top", fontsize=8)  # fmt: skip
        rows[-1].set_xlabel("Predicted band center (meV)")
        figure.supylabel("Compounds a meV", fontsize=9)
    return figure


def row_trend(table: pd.DataFrame) -> Figure:
    """Predicted centers in meV against the mean row of the elements in the periodic table, with the correlation.

    Parameters
    ----------
    table
        Compounds with `mean_Row` and `band_center_mev`.
    """
    from matplotlib import rc_context

    x, y = table["mean_Row"].to_numpy(), table["band_center_mev"].to_numpy()
    with rc_context(STYLE):
        figure = new_figure(4.6, 3.4)
        axes = figure.subplots()
        cells = axes.hexbin(x, y, gridsize=45, bins="log", cmap="cividis_r", mincnt=1, lw=0.1, edgecolors="face")
        edges = np.arange(np.floor(x.min()), x.max() + 0.5, 0.5)
        place = np.digitize(x, edges)
        filled = [k for k in np.unique(place) if (place == k).sum() >= 20]
        axes.plot([x[place == k].mean() for k in filled], [np.median(y[place == k]) for k in filled],
                  color=COLOURS[1], marker="o", ms=3.5, lw=1.2, label="median")  # fmt: skip
        axes.axhline(SOFT_MEV, color=FAINT, lw=0.8, ls=(0, (4, 2)))
        axes.set(xlabel="Mean row of the elements", ylabel="Predicted band center (meV)", ylim=(0, None))
        axes.text(0.98, 0.97, f"{len(x):,} compounds\nr = {np.corrcoef(x, y)[0, 1]:.2f}", transform=axes.transAxes,
                  ha="right", va="top", color=INK, fontsize=8)  # fmt: skip
        axes.legend(loc="lower left")
        figure.colorbar(cells, label="Compounds", pad=0.02).outline.set_visible(False)
    return figure


def draw_virtual(run: Path, summary: Mapping[str, Any], *, whole: bool) -> None:
    """Draw ``figures/histogram`` and, where the whole is kept, ``figures/row_trend`` of a run folder.

    Parameters
    ----------
    run
        The run folder.
    summary
        Of its ``summary.json``.
    whole
        Whether ``virtual/`` holds every compound.
    """
    import pandas as pd

    save(center_histograms(summary), run / "figures" / "histogram", ("pdf", "png"))
    if whole:
        columns = ["mean_Row", "band_center_mev"]
        parts = [pd.read_parquet(path, columns=columns) for path in sorted((run / "virtual").glob("*.parquet"))]
        save(row_trend(pd.concat(parts)), run / "figures" / "row_trend", ("pdf", "png"))


def _cycled(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]
