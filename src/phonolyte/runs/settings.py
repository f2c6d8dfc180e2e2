"""Settings of every command that makes a run folder: where it computes, and what it writes besides tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from phonolyte.errors import SettingsError
from phonolyte.runs.executors import ExecutorSettings

__all__ = ["AS_USUAL", "ExecutorSettings", "FigureFiles", "OutputSettings"]

LEAST_DPI, MOST_DPI = 30, 2400
"""Resolutions of figures: below, nothing can be read; above, a page exceeds what PNG files are made with."""


@dataclass(frozen=True, slots=True)
class FigureFiles:
    """Files that figures are written as.

    Attributes
    ----------
    figure_format
        Formats; empty: those of each figure's own.
    dpi
        Resolution, dots per inch, of PNG and of what PDF and SVG have as images; None: 200.

    Raises
    ------
    SettingsError
        For other formats, and a resolution that makes no figure.
    """

    figure_format: Annotated[
        tuple[Literal["pdf", "png", "svg"], ...],
        "Format of figures: pdf, png or svg; several are possible. Reports show png. Default: PNG and PDF.",
    ] = ()
    dpi: Annotated[int | None, "Resolution of figures, dots per inch. Default: 200."] = None

    def __post_init__(self) -> None:
        """Refuse what cannot be written, and name a format once."""
        given: object = self.figure_format
        if isinstance(given, str):
            raise SettingsError(f"figure_format is {given!r}", fix='Give a list, such as ["pdf"].')
        unknown = [each for each in self.figure_format if each not in ("pdf", "png", "svg")]
        if unknown:
            raise SettingsError(f"figures cannot be written as {unknown[0]!r}", fix="Choose among pdf, png and svg.")
        if self.dpi is not None and not LEAST_DPI <= self.dpi <= MOST_DPI:
            fix = f"Give a number from {LEAST_DPI} to {MOST_DPI}."
            raise SettingsError(f"dpi is {self.dpi}", why="figures would be unreadable or too large", fix=fix)
        object.__setattr__(self, "figure_format", tuple(dict.fromkeys(self.figure_format)))

    def choose(self, usual: Sequence[str]) -> Sequence[str]:
        """Return the formats of a figure that is usually written as `usual`."""
        return self.figure_format or usual


AS_USUAL = FigureFiles()
"""Figures as each is usually written."""


@dataclass(frozen=True, slots=True)
class OutputSettings(FigureFiles):
    """What a run folder receives besides its tables.

    Attributes
    ----------
    figures
        Whether figures are drawn.
    report
        Whether ``report.html`` is written.
    overwrite
        Whether another run in the folder is replaced.
    """

    figures: Annotated[bool, "Draw figures."] = True
    report: Annotated[bool, "Write report.html, one page for all of it."] = True
    overwrite: Annotated[bool, "Replace the other run that the folder holds."] = False
