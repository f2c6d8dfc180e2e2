"""What a column of a file holds, by its header: quantity, unit, sign, and what else its name says."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

_PRIME, _PRIMES = r"['’′]", r"(?:''|\"|”|’’|′′|″)"
_STOP = r"(?![a-z])"

_FIRST = {
    "sweep": r"^(?:cycle|loop|sweep|scan|segment|seg|run|repeat|repetition|zyklus)s?[\s_]*"
    r"(?:number|no\.?|nr\.?|index|idx|n|id|#)?\s*$",
    "admittance_phase": r"admittance\s*phase|(?:phase|arg|theta)\s*[(_]\s*y",
    "admittance_imaginary": rf"^y\s*_?{_PRIMES}|^y\s*_?im(?:ag)?{_STOP}|\bim(?:ag)?\s*[(\[]\s*y|admittance\s*imag"
    rf"|^b{_STOP}|susceptance",
    "admittance_real": rf"^y\s*_?{_PRIME}|^y\s*_?re(?:al)?{_STOP}|\bre(?:al)?\s*[(\[]\s*y|admittance\s*real"
    rf"|^gp?{_STOP}|conductance|leitwert",
    "admittance_modulus": r"\|\s*y\s*\||admittance\s*(?:mod|mag|abs)",
    "parallel_capacitance": rf"^c\s*_?p(?:ar)?{_STOP}|^parallel\s*cap\w*",
    "series_capacitance": rf"^c\s*_?s(?:er)?{_STOP}|^series\s*cap\w*",
    "loss": rf"^df?{_STOP}|dissipation(?:\s*factor)?|^tan\s*_?\(?\s*(?:d|δ)\w*\)?"
    r"|loss\s*(?:tangent|factor)|verlustfaktor",
    "quality": rf"^q{_STOP}|quality(?:\s*factor)?",
    "parallel_resistance": rf"^r\s*_?p(?:ar)?{_STOP}|^parallel\s*res\w*",
    "series_resistance": rf"^r\s*_?s(?:er)?{_STOP}|^esr{_STOP}|^series\s*res\w*",
    "electric_modulus_imaginary": rf"^m\s*_?{_PRIMES}|^m\s*_?im(?:ag)?{_STOP}",
    "electric_modulus_real": rf"^m\s*_?{_PRIME}|^m\s*_?re(?:al)?{_STOP}",
    "permittivity_imaginary": rf"^(?:eps\w*|ε\w*|permittivity)\s*_?(?:{_PRIMES}|imag\w*)",
    "permittivity_real": rf"^(?:eps\w*|ε\w*|permittivity)\s*_?(?:{_PRIME}|real)",
    "conductivity_imaginary": rf"^(?:sig(?:ma)?|σ|conductivity)\s*_?(?:{_PRIMES}|imag\w*)",
    "conductivity_real": rf"^(?:sig(?:ma)?|σ|conductivity)\s*_?(?:{_PRIME}|real)",
    "resistivity_imaginary": rf"^(?:rho|ρ|resistivity)\s*_?(?:{_PRIMES}|imag\w*)",
    "resistivity_real": rf"^(?:rho|ρ|resistivity)\s*_?(?:{_PRIME}|real)",
}
"""Names that stand before what is excluded below."""

_OTHER = re.compile(
    r"admittance|capacitance|permittivity|modulus\s+\(m|^[yc]['\"(_ ]|^z2\b|zce|zwe|^error|applied"
    r"|(?:^|[\s_(\[/.-])(?:fit|fitted|calc|calculated|model|sim|simulated|residuals?|std|stdev|err|error)(?=$|[\s_)\]./-])"
)
"""What looks like an impedance and is not, is that of another electrode, or was computed from it."""

_NAMES = {
    "angular_frequency": rf"^omega{_STOP}|^ω{_STOP}|angular\s*freq\w*|kreisfrequenz",
    "frequency": r"(?:frequency|freq|fre|frequenz|fréquence)(?![a-z])|^f(?![a-z])",
    "time": r"^(?:time|t\s*/\s*s|elapsed|zeit)",
    "temperature": r"^(?:(?:set|sample|stage|cell|chamber|oven|furnace|actual)[\s_-]*)?"
    r"(?:temperature|temperatur|température|temp|t\s*[/(\[]\s*(?:(?:°|deg)?\s*c|℃|k))(?![a-z])\.?",
    "pressure": r"^(?:(?:stack|cell|sample|set|actual)[\s_-]*)?(?:pressure|druck)(?![a-z])"
    r"|^p\s*[/(\[]\s*(?:[gmk]pa|k?bar)\b",
    "phase": r"phase|theta|zphz|phz|φ|ϕ|^-?\s*deg",
    "imaginary": rf"imagin(?:ä|ae)rteil|z\s*_?s?{_PRIMES}|z\s*_?(?:imaginary|imag|img|im){_STOP}"
    rf"|\bim(?:ag)?\s*[(\[]?\s*z\)?|impedance\s*imag\w*|^-?\s*imag\w*|^-?\s*im{_STOP}|reactance|^xs?{_STOP}",
    "real": rf"realteil|z\s*_?s?{_PRIME}|z\s*_?(?:real|re){_STOP}|\bre(?:al)?\s*[(\[]?\s*z\)?|impedance\s*real"
    rf"|^real{_STOP}|^re{_STOP}|^resistance\b|^r{_STOP}",
    "modulus": rf"^impedanz|^betrag|\|\s*z\s*\||z\s*_?(?:modulus|mod|magnitude|mag|abs){_STOP}|\bmodulus\b"
    r"|^impedance(?:\s*magnitude)?|^z\s*(?=[\[(/]|$)|magnitude",
}
"""What columns are called, the more special names first."""

OHMIC = frozenset({
    "real", "imaginary", "modulus", "parallel_resistance", "series_resistance", "resistivity_real",
    "resistivity_imaginary",
})  # fmt: skip
"""Kinds that are in ohm, or in ohm times an area or a length."""

_SIEMENS = ("admittance_", "conductivity_")
_PREFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "m": 1e-3, "µ": 1e-6, "μ": 1e-6, "u": 1e-6, "n": 1e-9,
             "p": 1e-12, "": 1.0}  # fmt: skip

_OHM = r"(?<![A-Za-z])([kKMGTmµμ]?)\s*(?:[oO][hH][mM][sS]?|OHMS?|Ω|Ω)"
_BASES = {
    "ohm": _OHM,
    "siemens": r"(?<![A-Za-z])([kmµμunp]?)(?:S|[Ss]iemens|[Mm]ho)(?![A-Za-z])",
    "farad": r"(?<![A-Za-z])([mµμunp]?)(?:F|[Ff]arads?)(?![A-Za-z])",
}
_PER = {"cm": 1.0, "m": 100.0, "mm": 0.1}
"""Lengths, cm."""

UNITS_MPA = {"gpa": 1e3, "mpa": 1.0, "kpa": 1e-3, "kbar": 100.0, "bar": 0.1}
"""Units of pressure, MPa, in small letters."""

_MINUS = re.compile(r"^\s*[(\[]?\s*(?:[-−–]|neg(?:ative)?\s|minus\s)\s*", re.IGNORECASE)
_LOGARITHM = re.compile(r"^\s*(log_?10|log|lg|ln)(?=[\s_(\[|]|f(?:re|\b|_|/)|ω|omega)[\s_(\[]*", re.IGNORECASE)
_DRIFT = re.compile(r"[\s_-]*\(?dr(?:ift)?[\s_-]*cor(?:r(?:ected)?)?\)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of a file holds.

    Attributes
    ----------
    kind
        Quantity: a key of the names above.
    index
        Position in the row.
    factor
        To hertz, ohm, siemens, farad or degrees; negative for ``-Z''`` and ``-phase``.
    unit
        As stated, empty when it is not.
    area, thickness
        Powers by which a value is multiplied to be that of the sample: -1 and 0 for ohm cm2, -1 and 1 for ohm cm.
    logarithm
        Base of the logarithm that the column holds, 0 where it holds none.
    name
        Header as it stands in the file.
    label
        What the header says beside quantity and unit, as ``25C`` in ``Z' 25C (ohm)``.
    corrected
        Whether the column is corrected for drift.
    doubt
        What is not understood of its unit, empty where all is.
    """

    kind: str
    index: int
    factor: float = 1.0
    unit: str = ""
    area: int = 0
    thickness: int = 0
    logarithm: float = 0.0
    name: str = ""
    label: str = ""
    corrected: bool = False
    doubt: str = ""

    @property
    def of_pellet(self) -> bool:
        """Whether the size of the pellet is part of its values."""
        return bool(self.area or self.thickness)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Values of some rows in the unit of the kind; those per area or length as they are."""
        values: np.ndarray = rows[:, self.index]
        if self.logarithm:
            with np.errstate(over="ignore"):
                values = self.logarithm**values
        return values * self.factor


def read_header(text: str, index: int) -> Column | None:
    """Column of a header, None where it is of nothing that an impedance is computed from."""
    name = text.strip().strip('"').strip()
    corrected = bool(_DRIFT.search(name))
    bare = _DRIFT.sub("", name)
    minus = bool(_MINUS.match(bare))
    bare = _MINUS.sub("", bare)
    logarithm = 0.0
    if match := _LOGARITHM.match(bare):
        logarithm = float(np.e) if match.group(1).lower() == "ln" else 10.0
        bare = bare[match.end() :]
    kind, start, end = _find_kind(bare)
    if not kind or (logarithm and kind not in ("frequency", "angular_frequency", "modulus")):
        return None
    column = Column(kind, index, name=name, corrected=corrected, logarithm=logarithm)
    column = _with_unit_of(column, bare)
    rest = bare[:start] + " " + bare[end:]
    label = re.sub(r"[()\[\]/|,:;\"']+", " ", rest.replace(column.unit, " ") if column.unit else rest)
    sign = -1.0 if minus and kind not in ("frequency", "temperature", "pressure", "sweep") else 1.0
    return replace(column, factor=sign * column.factor, label=" ".join(label.split()).strip(" -_."))


def _find_kind(text: str) -> tuple[str, int, int]:
    lower = text.lower()
    if re.search(r"rad\s*(?:/\s*s|[·*]?\s*s\s*(?:\^?-1|⁻¹))", lower) and not re.search("phase|theta", lower):
        return "angular_frequency", 0, len(text)
    for names in (_FIRST, _NAMES):
        if names is _NAMES and _OTHER.search(lower):
            return "", 0, 0
        for kind, pattern in names.items():
            if len(lower) == len(text) and (match := re.search(pattern, lower)):
                return kind, match.start(), match.end()
    return "", 0, 0


def _with_unit_of(column: Column, text: str) -> Column:
    """The column with the unit that a text states."""
    if column.kind in OHMIC:
        return _electrical(column, text, "ohm", 1)
    if column.kind.startswith(_SIEMENS) and column.kind != "admittance_phase":
        return _electrical(column, text, "siemens", -1)
    if column.kind.endswith("_capacitance"):
        return _electrical(column, text, "farad", -1)
    if column.kind == "frequency":
        return _of_frequency(column, text)
    if column.kind in ("phase", "admittance_phase"):
        match = re.search(r"(m?rad(?![a-z])|radian\w*|grad|deg|°)", text, re.IGNORECASE)
        unit = match.group(0) if match else ""
        turn = float(np.rad2deg(1e-3 if unit.lower().startswith("mrad") else 1.0))
        return replace(column, unit=unit, factor=turn if unit.lower().startswith(("rad", "mrad")) else 1.0)
    if column.kind == "temperature":
        match = re.search(r"(?<![A-Za-z])(?:(?:°|º|deg)?\s*([CFK])|℃)(?![A-Za-z])", re.sub(r"^[Tt]\w*", "", text))
        return replace(column, unit=match.group(0).strip() if match else "")
    if column.kind == "pressure":
        match = re.search(r"(?<![A-Za-z])(GPa|MPa|kPa|kbar|bar)(?![A-Za-z])", text, re.IGNORECASE)
        unit = match.group(1) if match else ""
        return replace(column, unit=unit, factor=UNITS_MPA.get(unit.lower(), 1.0))
    return column


def _of_frequency(column: Column, text: str) -> Column:
    match = re.search(r"(?<![A-Za-z])([kKMGmµμ]?)[hH][zZ]", text)
    return replace(column, unit=match.group(0), factor=_PREFIXES[match.group(1)]) if match else column


def _electrical(column: Column, text: str, base: str, power: int) -> Column:
    """The column with a unit of ohm, siemens or farad, and of an area or a length beside it.

    `power` is 1 for what is multiplied by them (ohm cm2), -1 for what is divided (S/cm).
    """
    match = re.search(_BASES[base], text)
    if not match:
        return column
    tail = re.split(r"[)\]},;\"]", text[match.end() :])[0]
    beside = re.sub(r"[\s·*⋅×.^]", "", tail.replace("²", "2").replace("⁻", "-").replace("−", "-").replace("¹", "1"))
    length, area = _length_beside(beside, power)
    if length is None:
        if beside.startswith("/") or re.fullmatch(r"-?[ckmµd]?m-?\d?", beside):
            return replace(column, unit=(match.group(0) + tail).strip(), doubt=(match.group(0) + tail).strip())
        return replace(column, unit=match.group(0).strip(), factor=_PREFIXES[match.group(1)])
    unit = (match.group(0) + tail).strip()
    scale = _PER[length] ** (2 if area else 1)
    factor = _PREFIXES[match.group(1)] * (scale if power > 0 else 1 / scale)
    return replace(column, unit=unit, factor=factor, area=-power, thickness=0 if area else power)


def _length_beside(text: str, power: int) -> tuple[str | None, bool]:
    """Length that stands beside a unit, and whether it is squared; None where none stands there."""
    pattern = r"-?([cm]?m)(2?)" if power > 0 else r"(?:/|per)([cm]?m)(2?)|([cm]?m)-([12])"
    match = re.fullmatch(pattern, text)
    if not match:
        return None, False
    groups = [group for group in match.groups() if group is not None]
    return groups[0], groups[1] == "2"


def add_unit(column: Column, text: str) -> Column:
    """The column with the unit of another text, such as that of a row below the headers, or of an option."""
    sign = -1.0 if column.factor < 0 else 1.0
    bare = replace(column, factor=1.0, unit="", area=0, thickness=0, doubt="")
    if column.kind == "frequency" and re.search(r"rad\s*/\s*s", text):
        return replace(bare, kind="angular_frequency", unit=text.strip())
    with_unit = _with_unit_of(bare, text)
    return replace(with_unit, factor=sign * with_unit.factor) if with_unit.unit else column
