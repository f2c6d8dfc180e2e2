"""Figures of how good predictions are, and of what they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.figures.style import COLORS, FAINT, INK, MANY, STYLE, finite, new_figure, plain, say_nothing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEATURES = {
    "physical": "physical columns and Magpie's", "modes": "the same and modes", "all": "all of Magpie's features",
    "selected": "selected features", "selected_in_fold": "selected in each fold",
}  # fmt: skip

IN_A_ROW = 3
"""Panels side by side; four stand two by two."""

SCORES = (("r2", "r2_std", "R²"), ("mae_mev", "mae_std_mev", "MAE (meV)"), ("rmse_mev", "rmse_std_mev", "RMSE (meV)"))

WORST = 2.5
"""Bars longer than this many times the median are cut: a regressor that failed must not flatten the rest."""

MOST_FEATURES = 15


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
        Name of a series -> its (n,) predictions; pairs that are not finite are left out.
    x_label, y_label
        Labels of the axes.
    """
    from matplotlib import rc_context

    reference = np.asarray(reference_mev, dtype=float)
    series = {name: np.asarray(values, dtype=float) for name, values in predicted_mev.items()}
    columns = 2 if len(series) == 4 else min(max(len(series), 1), IN_A_ROW)
    lines = max(math.ceil(len(series) / columns), 1)
    high = 1.04 * _highest(reference, *series.values())
    with rc_context(STYLE):
        figure = new_figure(
            0.7 + 2.9 * columns if lines == 1 else 0.6 + 2.4 * columns, 0.7 + (2.9 if lines == 1 else 2.5) * lines
        )
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[max(len(series), 1) :]:
            axes.set_axis_off()
        for axes, (name, values), color in zip(panels.flat, series.items(), _cycle_colors(len(series)), strict=False):
            good = np.isfinite(reference) & np.isfinite(values)
            _diagonal(axes, high)
            axes.scatter(reference[good], values[good], s=9, color=color, alpha=0.6, lw=0, zorder=2,
                         rasterized=good.sum() > MANY)  # fmt: skip
            axes.text(
                0.04, 0.96, _scores(reference[good], values[good]), transform=axes.transAxes, va="top", fontsize=8
            )
            axes.set_title(plain(name))
        for axes in panels[-1]:
            axes.set_xlabel(x_label)
        for axes in panels[:, 0]:
            axes.set_ylabel(y_label)
        if not series:
            say_nothing(panels[0, 0])
    return figure


def interval_parity(
    reference_mev: Floats,
    predicted_mev: Floats,
    lower_mev: Floats,
    upper_mev: Floats,
    *,
    confidence: float = 0.9,
    x_label: str = "Band center, known (meV)",
    y_label: str = "Predicted, with its interval (meV)",
) -> Figure:
    """Predictions with their intervals against reference band centers; those that miss stand out.

    Parameters
    ----------
    reference_mev, predicted_mev, lower_mev, upper_mev
        (n,) in meV; rows that are not finite are left out.
    confidence
        Share of the intervals that should hold the reference.
    x_label, y_label
        Labels of the axes.
    """
    from matplotlib import rc_context

    rows = np.column_stack([reference_mev, predicted_mev, lower_mev, upper_mev]).astype(float)
    reference, predicted, lower, upper = rows[np.isfinite(rows).all(axis=1)].T
    holds = (lower <= reference) & (reference <= upper)
    high = 1.04 * _highest(reference, upper)
    with rc_context(STYLE):
        figure = new_figure(3.6, 3.9)
        axes = figure.subplots()
        _diagonal(axes, high)
        for chosen, color, name in ((holds, COLORS[0], "holds"), (~holds, COLORS[1], "misses")):
            _intervals(
                axes,
                reference[chosen],
                predicted[chosen],
                lower[chosen],
                upper[chosen],
                color,
                f"{name}: {chosen.sum():,}",
            )
        axes.set(xlabel=x_label, ylabel=y_label)
        if len(reference):
            shown = (
                f"{holds.mean():.1%} inside ({confidence:.0%} nominal)\nmedian width {np.median(upper - lower):.1f} meV"
            )
            axes.text(0.04, 0.96, shown, transform=axes.transAxes, va="top", fontsize=8)
            figure.legend(loc="outside upper left", ncols=2, markerscale=1.5, handletextpad=0.2)
        else:
            say_nothing(axes)
    return figure


def score_bars(metrics: Sequence[Mapping[str, Any]], *, split: str = "random") -> Figure:
    """R2, mean absolute and root mean square error of each algorithm and feature set, with their spread over folds.

    Parameters
    ----------
    metrics
        As ``metrics.json`` has them.
    split
        Which of its splits.
    """
    from matplotlib import rc_context

    rows = [row for row in metrics if row["split"] == split]
    order = sorted({row["algorithm"] for row in rows}, key=lambda name: _best(rows, name))
    features = list(dict.fromkeys(row["features"] for row in rows))
    with rc_context(STYLE):
        figure = new_figure(6.3, 0.9 + (0.2 + 0.19 * len(features)) * max(len(order), 2))
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (key, spread, label) in zip(panels, SCORES, strict=True):
            for number, name in enumerate(features):
                by_algorithm = {row["algorithm"]: row for row in rows if row["features"] == name}
                bars = [by_algorithm.get(algorithm, {}) for algorithm in order]
                at = np.arange(len(order), dtype=float) + (number - (len(features) - 1) / 2) * 0.8 / max(
                    len(features), 1
                )
                _bars(axes, at, _values(bars, key), _values(bars, spread), 0.8 / len(features), COLORS[number], name)
            axes.set_xlabel(label)
            axes.tick_params(axis="y", length=0)
            _cut(axes, _values(rows, key), share=key == "r2")
        panels[0].set_yticks(range(len(order)), [plain(name.replace("_", " ")) for name in order])
        panels[0].set_ylim(max(len(order), 1) - 0.5, -0.5)
        if rows:
            handles, names = panels[0].get_legend_handles_labels()
            labels = [FEATURES.get(name, plain(name)) for name in names]
            figure.legend(handles, labels, loc="outside upper left", ncols=4, handlelength=1.0)
        else:
            say_nothing(panels[1])
    return figure


def importance_bars(importances: pd.DataFrame, *, most: int = MOST_FEATURES) -> Figure:
    """The features that matter most: share of the trees' splits, and error added when one is shuffled.

    Parameters
    ----------
    importances
        As ``importances.csv`` has them, sorted by Gini importance.
    most
        Features to show.
    """
    from matplotlib import rc_context

    shown = finite(importances, "gini").head(most)
    rows = range(len(shown))
    with rc_context(STYLE):
        figure = new_figure(5.2, 0.7 + 0.2 * max(len(shown), 4))
        left, right = figure.subplots(1, 2, sharey=True)
        left.barh(rows, 100 * shown["gini"], color=COLORS[0], height=0.72)
        left.set_yticks(rows, [plain(str(name).replace("_", " "), 40) for name in shown["feature"]])
        left.set(ylim=(max(len(shown), 1) - 0.4, -0.6), xlabel="Gini importance (%)")
        right.barh(rows, shown["permutation_mev"].astype(float), xerr=shown["permutation_std_mev"].astype(float),
                   color=COLORS[2], height=0.72, error_kw={"ecolor": INK, "elinewidth": 0.8})  # fmt: skip
        right.set_xlabel("Error if shuffled (meV)")
        for axes in (left, right):
            axes.tick_params(axis="y", length=0)
        if not len(shown):
            say_nothing(left)
    return figure


def _scores(reference: Floats, predicted: Floats) -> str:
    if not len(reference):
        return "n = 0"
    error = predicted - reference
    spread = ((reference - reference.mean()) ** 2).sum()
    r2 = f"\nR² = {1 - (error**2).sum() / spread:.3f}" if spread > 0 else ""
    mae, bias = np.abs(error).mean(), error.mean()
    return f"n = {len(error):,}{r2}\nMAE = {mae:.2f} meV\nbias = {bias:+.2f} meV".replace("-", "−")


def _highest(*values: Floats) -> float:
    together = np.concatenate([np.ravel(values_of_set) for values_of_set in values])
    good = together[np.isfinite(together)]
    return max(float(good.max()), 1.0) if len(good) else 1.0


def _diagonal(axes: Axes, high: float) -> None:
    axes.plot([0, high], [0, high], color=FAINT, lw=0.8, zorder=1)
    axes.set(xlim=(0, high), ylim=(0, high), aspect="equal")


def _intervals(axes: Axes, x: Floats, middle: Floats, lower: Floats, upper: Floats, color: str, label: str) -> None:
    many = len(x) > MANY
    axes.vlines(x, lower, upper, color=color, lw=0.7, alpha=0.3 if many else 0.7, rasterized=many, zorder=2)
    axes.scatter(x, middle, s=6, color=color, lw=0, alpha=0.8, rasterized=many, zorder=3, label=label)


def _bars(axes: Axes, at: Floats, values: Floats, spread: Floats, height: float, color: str, label: str) -> None:
    axes.barh(at, values, height=0.9 * height, color=color, label=plain(label), zorder=2)
    known = np.isfinite(spread) & np.isfinite(values)
    axes.errorbar(values[known], at[known], xerr=spread[known], fmt="none", ecolor=INK, elinewidth=0.8, zorder=3)


def _cut(axes: Axes, values: Floats, *, share: bool) -> None:
    """An axis that the few worst do not stretch."""
    good = values[np.isfinite(values)]
    if not len(good):
        return
    if share:
        axes.set_xlim(min(0.0, max(float(good.min()) * 1.05, -1.0)), 1.0)
    elif good.max() > WORST * np.median(good):
        axes.set_xlim(0, WORST * float(np.median(good)))


def _values(rows: Sequence[Mapping[str, Any]], key: str) -> Floats:
    return np.array([np.nan if row.get(key) is None else row[key] for row in rows], dtype=float)


def _best(rows: Sequence[Mapping[str, Any]], algorithm: str) -> tuple[float, str]:
    """Smallest error of an algorithm: what bars are ordered by."""
    errors = [row["mae_mev"] for row in rows if row["algorithm"] == algorithm and row["mae_mev"] is not None]
    return min(errors, default=math.inf), algorithm


def _cycle_colors(n: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(n)]
