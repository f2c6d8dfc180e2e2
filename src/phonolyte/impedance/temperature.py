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

_MINUS = r"(?:(?<![A-Za-z0-9])[-–]|−|(?<=[_ .])(?:minus|neg|m|n|N)(?=\d))?"  # a hyphen after a letter separates
_KELVIN = re.compile(r"(?<![\d.])(\d{2,4}(?:[.,]\d+)?)\s*_?K(?![A-Za-z])")
_CELSIUS = re.compile(
    rf"(?<![\d.])({_MINUS}\d{{1,4}}(?:[.,]\d+)?)\s*_?(?:°\s*C|º\s*C|deg(?:C|ree)?s?|grad|C)(?![A-Za-z])(?!_?rate)"
)
_BARE = re.compile(r"(?<![A-Za-z0-9])T[_=]?(\d{2,4}(?:[.,]\d+)?)(?![\d.,]*[A-Za-z°])")
_WORDS = re.compile(
    r"(?:\btemp(?:erature?|\.)?(?![a-z])\s*|(?<![A-Za-z])T\s*(?=[\[(:=/]))"
    r"[\[(/]?\s*(°\s*C|C|K)?[\])]?\s*[:=\s,;]\s*(-?\d+(?:[.,]\d+)?)\s*(°\s*C|deg\s*C|C|K)?(?![A-Za-z])",
    re.IGNORECASE,
)

_NOT_THEN = re.compile(
    r"(?:sinter|anneal|calcin|synth|heat|firing|fired|dry|dried|press(?:ed|ing)|pellet|fabricat|device|board|instrument"
    r"|limit|max|min(?:imum)?\b)[\w\s-]*$",
    re.IGNORECASE,
)
"""Words before a temperature or a pressure that is not that of the measurement."""

LEAST_BARE_K = 200.0
"""A number after a T in a name, as T500, is in kelvin from here on; below, it is as likely in Celsius."""


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
    kelvin = read_words(lines)
    return (kelvin, []) if kelvin is not None else read_name(stem)


def read_words(lines: Sequence[str]) -> float | None:
    """Temperature that lines of words state with its unit, K."""
    for line in lines[:LINES]:
        if (match := _WORDS.search(line)) and is_of_measurement(line[: match.start()]):
            unit = (match.group(1) or match.group(3) or "").upper().strip()
            kelvin = _number(match.group(2)) + (0.0 if unit == "K" else ZERO_C_K)
            if unit and COLDEST_K < kelvin < HOTTEST_K:
                return kelvin
    return None


def is_of_measurement(before: str) -> bool:
    """Whether the words before a temperature or a pressure leave it that of the measurement."""
    return _NOT_THEN.search(before) is None


def read_name(stem: str, *, several: bool = False) -> tuple[float | None, list[str]]:
    """Temperature in a name, K, and a note on it.

    Parameters
    ----------
    stem
        Name of a file, a sheet or a column.
    several
        Whether it is of a file with several spectra, which may have temperatures of their own.
    """
    for pattern, unit, offset in ((_CELSIUS, "°C", ZERO_C_K), (_KELVIN, "K", 0.0)):
        texts = list(dict.fromkeys(match.group(1) for match in pattern.finditer(stem)))
        kelvins = [kelvin for text in texts if COLDEST_K < (kelvin := _number(text) + offset) < HOTTEST_K]
        if len(kelvins) > 1:
            return None, [f"the name says several temperatures, {' and '.join(texts)} {unit}: none was taken"]
        if kelvins:
            each = ", of all of its spectra," if several else ""
            return kelvins[0], [f"the temperature{each or ','} {texts[0]} {unit}, is from the name of the file"]
    if (match := _BARE.search(stem)) and LEAST_BARE_K <= _number(match.group(1)) < HOTTEST_K:
        return _number(match.group(1)), [f"the temperature, {match.group(1)}, is from the name of the file: K assumed"]
    return None, []


def _number(text: str) -> float:
    sign = -1.0 if re.match(r"[-−–]|minus|neg|[mnN]", text) else 1.0
    return sign * float(re.sub(r"^\D+", "", text).replace(",", "."))
