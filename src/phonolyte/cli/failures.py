"""Failures in the terminal: those that say the same are one line, with the materials that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from phonolyte.errors import Failure

MOST_MESSAGES = 5
"""Messages that are shown; ``failures.parquet`` has a row for each material."""

MOST_NAMES = 3
"""Materials that are named behind a message."""

SHORTEST_NAME = 4
"""Characters of a name that is looked for in messages; a shorter one may be an element."""


def failure_lines(failures: Sequence[Failure], what: str = "materials") -> Iterator[str]:
    """Return what is shown of failures: a line a message, those of most materials first.

    Messages that differ only in the name of the material are the same. Those that begin alike (``atoms overlap: ...``)
    share a line with the whole message of the first.

    Parameters
    ----------
    failures
        Failures of a run.
    what
        What failed, in the plural.
    """
    groups = _groups(failures)
    for group in groups[:MOST_MESSAGES]:
        yield _line(group, what)
    left = sum(map(len, groups[MOST_MESSAGES:]))
    if left:
        yield f"and {left:,} more"


def _groups(failures: Sequence[Failure]) -> list[list[Failure]]:
    groups: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in failures:
        beginning = _without_name(failure).partition(": ")[0]
        groups.setdefault((failure.stage, failure.error, beginning), []).append(failure)
    return sorted(groups.values(), key=len, reverse=True)  # which leaves those of one size in their order


def _line(group: Sequence[Failure], what: str) -> str:
    first, *others = group
    if not others:
        return f"{first.material_id}: {first.message}"
    message = _without_name(first)
    if all(_without_name(failure) == message for failure in others):
        return f"{len(group):,} {what}: {message} ({_names(group)})"
    return f"{first.material_id}: {first.message} ({len(others):,} more begin like this: {_names(others)})"


def _names(group: Sequence[Failure]) -> str:
    shown = ", ".join(failure.material_id for failure in group[:MOST_NAMES])
    return f"{shown} and {len(group) - MOST_NAMES:,} more" if len(group) > MOST_NAMES else shown


def _without_name(failure: Failure) -> str:
    """Return a message in which ``it`` stands for the material and its file."""
    named = {failure.source, Path(failure.source).name, failure.material_id}
    names = sorted((name for name in named if len(name) >= SHORTEST_NAME), key=len, reverse=True)
    if not names:
        return failure.message
    return re.sub(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, names))})(?![\w-])", "it", failure.message)
