"""Progress of long work: whoever shows it gives a function that opens a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
"""Called with what was done since the last call."""

OpenBar = Callable[[str, int], AbstractContextManager[Advance]]
"""Opens a bar from its label and its total."""


@contextmanager
def no_bar(label: str, total: int) -> Iterator[Advance]:
    """Show nothing."""
    yield lambda done: None
