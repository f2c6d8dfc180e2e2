"""The one style of all figures: colors that color-blind eyes distinguish, sizes that are readable at half a page."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonolyte.runs.records import in_one_step
from phonolyte.runs.settings import AS_USUAL, FigureFiles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, WASH = "#22272e", "#8a929c", "#e8ebef"
"""Text and lines; what stands behind; areas."""

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a")
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

USUAL = ("pdf", "png")
"""Formats where none are chosen."""

DASHED = (0, (4, 2))
"""Lines of limits."""

MANY = 300
"""Points from here on are drawn as an image within PDF and SVG, which 20,000 vector points would make heavy."""

LONGEST = 32
"""Characters of a name that are shown."""

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


def save(
    figure: Figure,
    stem: str | Path,
    formats: Sequence[str] = (),
    *,
    source: str = "",
    files: FigureFiles = AS_USUAL,
) -> list[Path]:
    """Write a figure as ``STEM.pdf`` and so on; equal figures give equal bytes.

    Parameters
    ----------
    figure
        To write.
    stem
        Path without suffix; its folder is made.
    formats
        Among pdf, svg and png; those of `files`, where it has any, take their place. Default: :data:`USUAL`.
    source
        What the figure shows, such as a checksum; goes into the metadata, where :func:`source_of` finds it.
    files
        Formats and resolution that were chosen.

    Returns
    -------
    list of Path
        The files, each written in one step.
    """
    from matplotlib import rc_context

    formats = files.choose(formats or USUAL)
    style = STYLE if files.dpi is None else {**STYLE, "savefig.dpi": files.dpi}
    paths = [Path(f"{stem}.{kind}") for kind in formats]
    _settle(figure)
    for path, kind in zip(paths, formats, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {**_NO_DATES[kind], **({_SOURCE[kind]: source} if source else {})}
        with in_one_step(path) as partial, rc_context(style), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # an emoji in a name is a box
            figure.savefig(partial, format=kind, metadata=metadata)
    return paths


def _settle(figure: Figure) -> None:
    """Lay the figure out once, and not again for each file; an engine that is left would have savefig draw twice."""
    from matplotlib import rc_context

    engine = figure.get_layout_engine()
    if engine is None:
        return
    settings = {**STYLE, "figure.autolayout": False, "figure.constrained_layout.use": False}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        engine.execute(figure)
        figure.set_layout_engine(None)


def source_of(path: Path) -> str:
    """What a PNG file was drawn from; empty when it does not say, or is not an image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return str(image.info.get("Source", ""))
    except (OSError, UnidentifiedImageError):
        return ""


def plain(text: object, most: int = LONGEST) -> str:
    """A name from outside as matplotlib takes it: no formula in its dollars, nothing unprintable, not too long."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    shown = shown if len(shown) <= most else shown[: most - 1] + "…"
    return shown.replace("$", r"\$")


def with_subscripts(formula: str, most: int = LONGEST) -> str:
    """A name with its numbers set low: formulas such as ``Li3PO4``, special points such as ``X1``."""
    return re.sub(r"(\d+(?:\.\d+)?)", r"$_{\1}$", plain(formula, most))


def finite(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows with a finite number in each of some columns; none where a column is missing."""
    import numpy as np
    import pandas as pd

    if not set(columns) <= set(table.columns):
        return table.iloc[:0].reindex(columns=[*table.columns, *(c for c in columns if c not in table)])
    numbers = table[[*columns]].apply(pd.to_numeric, errors="coerce").astype(float)
    is_finite = np.isfinite(numbers.to_numpy()).all(axis=1)
    rows: pd.DataFrame = table[is_finite]
    return rows.assign(**{name: numbers.loc[is_finite, name] for name in columns})


def say_nothing(axes: Axes, why: str = "nothing to show") -> None:
    """Say on empty axes that they are."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=FAINT)


def limit_line(axes: Axes, *, x: float | None = None, y: float | None = None) -> None:
    """A limit that was set, as a dashed line."""
    if x is not None:
        axes.axvline(x, color=INK, lw=0.8, ls=DASHED, zorder=4)
    if y is not None:
        axes.axhline(y, color=INK, lw=0.8, ls=DASHED, zorder=4)


def remove(stems: Iterable[Path]) -> None:
    """Delete the files of figures that an earlier run has drawn."""
    for stem in stems:
        for kind in FORMATS:
            stem.with_name(f"{stem.name}.{kind}").unlink(missing_ok=True)


def save_all(
    figures: Mapping[str, Figure], folder: Path, stems: Iterable[str] = (), *, files: FigureFiles = AS_USUAL
) -> None:
    """Save figures by the stem of their file; those of `stems` that an earlier run has drawn are removed first."""
    remove(folder / stem for stem in stems)
    for stem, figure in figures.items():
        save(figure, folder / stem, files=files)
