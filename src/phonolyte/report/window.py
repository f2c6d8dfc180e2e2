"""What a card shows of an electrochemical window: a bar, and both ends in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

AXIS_V = 6.0
"""Length of the axis of voltages, unless a window is longer."""


def window_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the window in a row of a stability table; None where the row has none."""
    low, high = _number(row, "reduction_v"), _number(row, "oxidation_v")
    if low is None or high is None:
        return None
    ends = [_number(row, f"{name}_{end}_v") for name in ("reduction", "oxidation") for end in ("lower", "upper")]
    longest = max(AXIS_V, *(math.ceil(value) for value in (high, *ends) if value is not None))
    return {"low": low, "high": high, "ends": ends, "most": longest, "ion": str(row["ion"]), "words": words_of(row)}


def words_of(row: Mapping[str, Any]) -> list[str]:
    """Return what happens at both ends of a window and with the metal, in sentences."""
    ion, words = str(row["ion"]), []
    if row["reduces_to"]:
        words.append(f"Below {row['reduction_v']:.2f} V it takes up {ion} and becomes {row['reduces_to']}.")
    else:
        words.append(f"It is stable against {ion} metal.")
    if row["oxidizes_to"]:
        words.append(f"Above {row['oxidation_v']:.2f} V it gives off {ion} and becomes {row['oxidizes_to']}.")
    if row["metal_reaction_ev"] < 0:
        gain = -float(row["metal_reaction_ev"])
        words.append(f"{ion} metal turns it into {row['metal_products']}, which gains {gain:.2f} eV an atom.")
    return words


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    return None if value is None or math.isnan(value) else float(value)
