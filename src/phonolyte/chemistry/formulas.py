"""Formulas as text, such as ``LiGe2(PO4)3``: which elements they name, and how many atoms of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.errors import StructureError

REMEMBERED = 2**16
"""Formulas whose composition is kept in memory."""


@lru_cache(REMEMBERED)
def composition_of(formula: str) -> Mapping[str, float]:
    """Atoms of each element in a formula, in order of appearance: ``Li(PO3)2`` has 1 Li, 2 P, 6 O.

    Parameters
    ----------
    formula
        Symbols and numbers, with or without brackets and spaces; numbers may be fractions (``Li0.5CoO2``).

    Raises
    ------
    StructureError
        For what is not a formula, and for what names anything else than elements up to lawrencium.
    """
    from pymatgen.core.composition import Composition

    try:
        atoms = {
            getattr(element, "name", str(element)): float(amount) for element, amount in Composition(formula).items()
        }
    except (TypeError, ValueError):
        atoms = {}
    if not atoms:
        raise StructureError(
            f"{formula!r:.60} is not a formula",
            why="it has to be made of element symbols and numbers",
            fix="Write it as in LiGe2(PO4)3.",
            kind="BadFormula",
        )
    unknown = [symbol for symbol in atoms if symbol not in ATOMIC_NUMBERS]
    if unknown:
        raise StructureError(
            f"{formula!r:.60} is not a formula",
            why=f"{unknown[0]} is not an element up to lawrencium",
            fix="Correct the symbol.",
            kind="UnknownElement",
        )
    return MappingProxyType(atoms)


def shares_of(formula: str) -> dict[str, float]:
    """Share of each element in a formula, adding up to 1.

    Raises
    ------
    StructureError
        As :func:`composition_of` does.
    """
    atoms = composition_of(formula)
    total = sum(atoms.values())
    return {symbol: amount / total for symbol, amount in atoms.items()}
