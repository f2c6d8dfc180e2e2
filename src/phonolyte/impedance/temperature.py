"""The temperature of a sample: from a column, the text of a file, or its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.units import ZERO_C_K

COLDEST_K, HOTTEST_K = 1.0, 2500.0
"""What is outside is not a temperature: instruments write such numbers where no sensor is connected."""

LINES = 200
"""Lines of a file in which a temperature is looked for."""

_MINUS = r"(?:(?<![A-Za-z0-9])-)?"  # after a letter or a digit it separates
_KELVIN = re.compile(r"(?<![\d.])(\d{2,4}(?:[.,]\d+)?)\s*_?K(?![A-Za-z])")
_CELSIUS = re.compile(
    rf"(?<![\d.])({_MINUS}\d{{1,4}}(?:[.,]\d+)?)\s*_?(?:°\s*C|º\s*C|deg(?:C|ree)?s?|grad|C)(?![A-Za-z])"
)
_WORDS = re.compile(
    r"\btemp(?:erature?|\.)?\b\s*(?:\[|\()?(°\s*C|C|K)?(?:\]|\))?\s*[:=\s]\s*(-?\d+(?:[.,]\d+)?)\s*(°\s*C|deg\s*C|C|K)?\b",
    re.IGNORECASE,
)


def find_temperature(stem: str, lines: Sequence[str], column: Floats | None) -> tuple[float | None, list[str]]:
    """A temperature in kelvin and what must be noted about it.

    Parameters
    ----------
    stem
        Name of the file.
    lines
        Its text.
    column
        Temperatures in kelvin at each frequency, where the file has them.
    """
    if column is not None:
        good = column[np.isfinite(column) & (column > COLDEST_K) & (column < HOTTEST_K)]
        if len(good):
            drift = [f"the temperature moved by {np.ptp(good):.1f} K"] if np.ptp(good) > 2 else []
            return float(good.mean()), drift
    for line in lines[:LINES]:
        if found := _WORDS.search(line):
            unit = (found.group(1) or found.group(3) or "").upper().strip()
            kelvin = _number(found.group(2)) + (0.0 if unit == "K" else ZERO_C_K)
            if unit and COLDEST_K < kelvin < HOTTEST_K:
                return kelvin, []
    return _from_name(stem)


def _from_name(stem: str) -> tuple[float | None, list[str]]:
    for pattern, unit, offset in ((_CELSIUS, "°C", ZERO_C_K), (_KELVIN, "K", 0.0)):
        if found := pattern.search(stem):
            kelvin = _number(found.group(1)) + offset
            if COLDEST_K < kelvin < HOTTEST_K:
                return kelvin, [f"the temperature, {found.group(1)} {unit}, is from the name of the file"]
    return None, []


def _number(text: str) -> float:
    return float(text.replace(",", "."))
