from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.formulas import composition_of
from phonolyte.errors import ModelError
from phonolyte.features.fractions import fraction_names
from phonolyte.models.families import Families


def compute_fractions(*formulas: str) -> np.ndarray:
    rows = np.zeros((len(formulas), len(fraction_names())))
    for row, formula in zip(rows, formulas, strict=True):
        amounts = composition_of(formula)
        for symbol, amount in amounts.items():
            row[ATOMIC_NUMBERS[symbol] - 1] = amount / sum(amounts.values())
    return rows


LEARNED = Families.fit(compute_fractions("KMgF3", "CaTiO3", "Cs2NaYBr6", "LiCl", "Li2O", "Li3PO4", "AlN", "Li3N"))


@pytest.mark.parametrize(
    ("formula", "inside"),
    [
        ("RbCaF3", True),  # as KMgF3
        ("SrZrO3", True),
        ("K2NaAlCl6", True),  # bromides and chlorides are alike
        ("K2NaAlF6", False),  # there is no fluoride A2BCX6
        ("LaWN3", False),  # nitrides of two metals were not learned
        ("LiBr", True),
        ("Li2S", False),  # no sulfide at all
        ("NaAlH4", False),
        ("Na3PO4", True),
        ("Na3AsO4", True),  # a metalloid as P
        ("Na3VO4", True),  # two metals and oxygen as CaTiO3, A3BO4 as Li3PO4
        ("Na3VS4", False),
        ("Li12P4O17", True),  # too long a formula to be known; its elements are
        ("Li12P4S17", False),
    ],
)
def test_compounds_are_of_learned_families_or_not(formula: str, inside: bool):
    assert LEARNED.contains(compute_fractions(formula)).tolist() == [inside]


def test_disordered_compositions_are_long_formulas():
    mixed = 0.985 * compute_fractions("Li2O") + 0.015 * compute_fractions("LiCl")
    assert LEARNED.contains(mixed).tolist() == [False]  # two anions were not learned
    assert LEARNED.contains(0.97 * compute_fractions("LiCl") + 0.03 * compute_fractions("Li2O")).tolist() == [False]
    other = compute_fractions("Li3PO4") * 0.96 + compute_fractions("Li2O") * 0.04
    assert LEARNED.contains(other).tolist() == [True]


def test_saved_families_are_read_back_and_damaged_ones_refused():
    arrays = LEARNED.arrays()
    again = Families.from_arrays(arrays)
    assert again.contains(compute_fractions("LiCl", "Li2S")).tolist() == [True, False]
    damaged: list[dict[str, Any]] = [
        {"family_formulas": arrays["family_formulas"][::-1]},
        {"family_formulas": arrays["family_formulas"].astype(float)},
        {"family_kinds": None},
        {"family_kinds": arrays["family_kinds"][None]},
    ]
    for change in damaged:
        with pytest.raises(ModelError):
            Families.from_arrays({**arrays, **change})
