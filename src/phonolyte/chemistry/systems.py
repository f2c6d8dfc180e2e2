"""Chemical systems, such as ``Cl-Li-P-S``: all phases of some elements, which one convex hull is made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import combinations

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.errors import SettingsError

MOST_ELEMENTS = 10
"""Elements of a chemical system; it then has 1,023 subsystems."""


def system_of(elements: Iterable[str]) -> str:
    """Return the name of a chemical system: its elements in the order of the alphabet."""
    return "-".join(sorted(set(elements)))


def parse_system(text: str) -> str:
    """Return the name of a chemical system that is written in any order, such as ``Li-P-S-Cl``.

    Raises
    ------
    SettingsError
        For what is not an element, and for more than :data:`MOST_ELEMENTS` of them.
    """
    symbols = [symbol.strip() for symbol in text.split("-")]
    unknown = next((symbol for symbol in symbols if symbol not in ATOMIC_NUMBERS), None)
    if unknown is not None:
        raise SettingsError(
            f"{text!r:.60} is not a chemical system",
            why=f"{unknown!r:.20} is not an element",
            fix="Write its elements as in Li-P-S-Cl.",
        )
    return check_size(symbols)


def check_size(elements: Collection[str]) -> str:
    """Return the name of a chemical system, refused where it is too large.

    Raises
    ------
    SettingsError
        For more than :data:`MOST_ELEMENTS`.
    """
    name = system_of(elements)
    size = name.count("-") + 1
    if size > MOST_ELEMENTS:
        raise SettingsError(
            f"the chemical system {name} is too large",
            why=f"it has {size} elements, thus {2**size - 1:,} subsystems, and the limit is {MOST_ELEMENTS}",
            fix="Leave elements out.",
        )
    return name


def subsystems(system: str) -> list[str]:
    """Return a chemical system and all parts of it: its elements first, itself last."""
    symbols = system.split("-")
    return ["-".join(subset) for size in range(1, len(symbols) + 1) for subset in combinations(symbols, size)]


def largest_systems(systems: Iterable[str]) -> tuple[str, ...]:
    """Return those of some chemical systems that are not part of another one, in the order of the alphabet."""
    names = sorted(set(systems), key=lambda name: (-name.count("-"), name))
    parts: set[str] = set()
    largest = []
    for name in names:
        if name not in parts:
            largest.append(name)
            parts.update(subsystems(name))
    return tuple(sorted(largest))
