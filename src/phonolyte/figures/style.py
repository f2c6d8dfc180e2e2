"""The one style of all figures: colours that colour-blind eyes tell apart, sizes that are readable at half a page."""

from __future__ import annotations

import os
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

_SOURCE = {"pdf": "Subject", "svg": "Source", "png": "Source"}


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure, without the global state of pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")


def save(figure: Figure, stem: str | Path, formats: Sequence[str] = FORMATS, *, source: str = "") -> list[Path]:
    """Write a figure as ``STEM.pdf`` and so on; equal figures give equal bytes.

    Parameters
    ----------
    figure
        To write.
    stem
        Path without suffix; its folder is made.
    formats
        Among pdf, svg and png.
    source
        What the figure shows, such as a checksum; goes into the metadata, where :func:`source_of` finds it.

    Returns
    -------
    list of Path
        The files, each written in one step.
    """
    from matplotlib import rc_context

    paths = [Path(f"{stem}.{kind}") for kind in formats]
    for path, kind in zip(paths, formats, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        metadata = {**_NO_DATES[kind], **({_SOURCE[kind]: source} if source else {})}
        with rc_context(STYLE):
            figure.savefig(partial, format=kind, metadata=metadata)
        os.replace(partial, path)
    return paths


def source_of(path: Path) -> str:
    """What a PNG file was drawn from; empty when it does not say, or is no image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return str(image.info.get("Source", ""))
    except (OSError, UnidentifiedImageError):
        return ""


def with_subscripts(formula: str) -> str:
    """A name with its numbers set low: formulas such as ``Li3PO4``, special points such as ``X1``."""
    return re.sub(r"(\d+)", r"$_{\1}$", formula)
