"""What the columns of a polarization file hold, by their headers: time, current, voltage, step, mode, temperature."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from phonolyte.impedance.blocks import Vocabulary
from phonolyte.impedance.headers import Column

_END = r"\s*(?=$|[/(\[,_ ])"
_NAMES = {
    "frequency": r"^freq|^f/hz|^omega",
    "temperature": rf"^(?:temperature|temp){_END}|^t\s*[/(\[]\s*(?:°?\s*c|k)\b",
    "step": r"^(?:ns|step(?:[\s_]*(?:number|no\.?|index|id))?|segment|(?:half[\s_]*)?cycle(?:[\s_]*number)?)\s*$",
    "mode": r"^mode\s*$",
    "control": r"^control|(?:set|applied|nominal)\b.*(?:volt|poten|spannung)|(?:volt|poten)\w*\s*(?:applied|set)",
    "time": rf"^(?:(?:test|step|elapsed|corrected|total)[\s_]*)?(?:time|zeit){_END}|^t{_END}",
    "current": rf"^(?:we\(\d\)\.)?(?:current|strom){_END}|^<?i(?:m|we)?>?{_END}|\bcurrent\s*(?=$|[/(\[,])",
    "voltage": rf"^(?:we\(\d\)\.)?(?:voltage|potential|spannung|cell\s*voltage){_END}"
    rf"|^<?(?:ewe|ecell|vf|e|u|v)>?{_END}|^ewe-ece",
}
"""What columns are called, the more special names first."""

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e-3, "µ": 1e-6, "μ": 1e-6, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "ms": 1e-3,
    "min": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
_AMPERE = re.compile(r"(?<![A-Za-z])([kmµμunpf]?)(?:A|amps?|amperes?)(?![A-Za-z])(.*)")
_VOLT = re.compile(r"(?<![A-Za-z])([kmµμun]?)(?:V|volts?)(?![A-Za-z])")
_TIME = re.compile(r"(?<![A-Za-z])(ms|s|sec|min|h|hr|hour|day|d)(?:onds?|utes?|s)?(?![A-Za-z])")
_DEGREES = re.compile(r"(?<![A-Za-z])(?:°|º|deg)?\s*([CK])(?![A-Za-z])")
_SMALL = re.compile(r"(?<=[/(\[_])(\s*[kmµμunpf]?)([av])(?![A-Za-z])")
"""Units of current and voltage in small letters, such as those of ``current_na`` and ``voltage_mv``."""

_DENSITY = re.compile(r"[\s_]*(?:/|per|·|\*)?[\s_]*[cm]?m[\s_]*\^?\(?[-−⁻]?[2²]|.*cm-2")
_DENSE = re.compile(r"densit|dichte", re.IGNORECASE)
"""Names of a current density, whose unit may be that of a current."""


def read_column(text: str, index: int) -> Column | None:
    """Column of a header, None where it is of nothing that a polarization needs."""
    name = text.strip().strip('"').strip()
    kind = next((kind for kind, pattern in _NAMES.items() if re.search(pattern, name.lower())), "")
    if not kind or "range" in name.lower():
        return None
    beside = re.sub(r"^(?:WE\(\d\)\.)?<?[A-Za-z-]+>?", "", name)
    capital = _SMALL.sub(lambda match: match.group(1) + match.group(2).upper(), beside)
    return add_unit(Column(kind, index, name=name), capital)


def add_unit(column: Column, text: str) -> Column:
    """The column with the unit that a text states: of time s to d, of current and voltage with any prefix."""
    if column.kind == "time" and (match := _TIME.search(text)):
        return replace(column, unit=match.group(0), factor=_SECONDS[match.group(1)])
    if column.kind == "current" and (match := _AMPERE.search(text)):
        doubt = ""
        if _DENSITY.match(match.group(2)) or _DENSE.search(column.name):
            doubt = match.group(0).strip(" )]") if match.group(2).strip(" )]") else column.name
        return replace(column, unit=f"{match.group(1)}A", factor=_PREFIXES[match.group(1)], doubt=doubt)
    if column.kind in ("voltage", "control") and (match := _VOLT.search(text)):
        return replace(column, unit=match.group(0), factor=_PREFIXES[match.group(1)])
    if column.kind == "temperature" and (match := _DEGREES.search(text)):
        return replace(column, unit=match.group(1))
    return column


def _read_header(cells: Sequence[str]) -> list[Column]:
    """Columns of a header with time and current, but not with frequencies: those are spectra."""
    columns = [column for index, cell in enumerate(cells) if (column := read_column(cell, index))]
    kinds = {column.kind for column in columns}
    return columns if {"time", "current"} <= kinds and "frequency" not in kinds else []


CURVES = Vocabulary(
    _read_header, add_unit, "polarization curve", "time (s), current (A) and voltage (V)",
    ("time", "current", "voltage"),
)  # fmt: skip
"""Names of the columns of current against time."""
