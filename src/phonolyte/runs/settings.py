"""Settings of every command that makes a run folder: where it computes, and what it writes besides tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from phonolyte.runs.executors import ExecutorSettings

__all__ = ["ExecutorSettings", "OutputSettings"]


@dataclass(frozen=True, slots=True)
class OutputSettings:
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
