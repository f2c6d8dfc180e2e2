"""The element behind what files write at a site: symbols with charges and isotopes, and labels such as ``Li1A``."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.errors import StructureError

_TYPE = re.compile(r"(\d{0,3})([A-Za-z]+)(?:\d*\.?\d*[+-]|[+-]\d*\.?\d*|0)?")
"""A symbol with an isotope before it and a charge after it: ``7Li``, ``Fe3+``, ``O-2``, ``Cl-``."""

_LABEL = re.compile(r"([A-Za-z]+)")
"""The first part of a label, up to its number; labels of the dictionary begin with the element."""

HYDROGENS = ("D", "T")


@lru_cache(maxsize=8192)
def element_of(type_symbol: str, label: str, in_formula: Collection[str] = frozenset()) -> str:
    """Element of a site by its type symbol, or by its label where it has none.

    Parameters
    ----------
    type_symbol, label
        As the file has them; empty where it has none.
    in_formula
        Elements of the formula in the file, which decide whether ``CO`` is cobalt; empty where there is none.

    Raises
    ------
    StructureError
        For deuterium and tritium, groups such as ``OH``, dummies, and what could be more than one element.
    """
    if type_symbol and type_symbol != label:
        match = _TYPE.fullmatch(type_symbol.strip())
        letters = match.group(2) if match else ""
    else:
        match = _LABEL.match(label.strip())
        letters = match.group(1) if match else ""
    symbol = letters.capitalize()
    if symbol in HYDROGENS or (symbol == "H" and type_symbol[:1] in ("2", "3")):
        raise StructureError(
            f"{type_symbol or label} is an isotope of hydrogen",
            why="the model knows elements with their natural mass only, and phonons depend on the mass",
            fix="Replace it by H if hydrogen's values will do.",
            kind="UnknownElement",
        )
    if symbol in ATOMIC_NUMBERS and (letters == symbol or not _is_ambiguous(letters, symbol, in_formula)):
        return symbol
    raise _unknown(type_symbol, label, symbol in ATOMIC_NUMBERS)


def charge_of(type_symbol: str) -> float | None:
    """Charge in a type symbol, such as 3 of ``Fe3+`` and -1 of ``Cl-``; None where it has none."""
    match = re.search(r"(\d*\.?\d*)([+-])(\d*\.?\d*)$", type_symbol.strip())
    if match is None:
        return None
    size = match.group(1) or match.group(3)
    return float(f"{match.group(2)}{size if size not in ('', '.') else 1}")


def _is_ambiguous(letters: str, symbol: str, in_formula: Collection[str]) -> bool:
    """Whether letters in odd capitals, such as ``CO``, could be another element or a group of atoms."""
    if in_formula:
        return symbol not in in_formula
    return len(letters) > 1 and all(letter.upper() in ATOMIC_NUMBERS for letter in letters)


def _unknown(type_symbol: str, label: str, could_be: bool) -> StructureError:
    text = (type_symbol or label)[:40]
    why = "its capitals leave open whether it is one element or several" if could_be else ""
    return StructureError(
        f"unknown element {text!r}",
        why=why or "it is not an element up to lawrencium (groups, water, dummies and mixed sites cannot be used)",
        fix="Give the site the symbol of its element.",
        kind="UnknownElement",
    )
