"""The one style of all figures: colours that colour-blind eyes tell apart, sizes that are readable at half a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, FAINT, WASH = "#22272e", "#8a929c", "#e8ebef"
"""Text and lines; what stands behind; areas."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a")
"""Okabe and Ito's, the strongest first."""

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "phonolyte",
    "pdf.fonttype": 42,
}

FORMATS = ("pdf", "svg", "png")

_NO_DATES: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "ModDate": None},
    "svg": {"Date": None},
    "png": {"Software": None},
}


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure, without the global state of pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")


def save(figure: Figure, stem: str | Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a figure as ``STEM.pdf`` and so on; equal figures give equal bytes."""
    from matplotlib import rc_context

    paths = [Path(f"{stem}.{kind}") for kind in formats]
    for path, kind in zip(paths, formats, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with rc_context(STYLE):
            figure.savefig(path, metadata=_NO_DATES[kind])
    return paths


def with_subscripts(formula: str) -> str:
    """A formula for a title: ``Li3PO4`` with its numbers set low."""
    return re.sub(r"(\d+)", r"$_{\1}$", formula)
