"""Counts with their nouns and verbs, as messages say them: one crystal is, two crystals are."""

from __future__ import annotations


def count(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural (default: with an s) unless it is one."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def are(n: int) -> str:
    """Return the verb of a count: is or are."""
    return "is" if n == 1 else "are"


def were(n: int) -> str:
    """Return the verb of a count: was or were."""
    return "was" if n == 1 else "were"


def have(n: int) -> str:
    """Return the verb of a count: has or have."""
    return "has" if n == 1 else "have"
