"""Named criteria: what a candidate must be, judged one after the other, with counts that add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from phonolyte.arrays import Flags, Ints
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.errors import SettingsError

RADIOACTIVE = ("Tc", "Pm", *SYMBOLS[SYMBOLS.index("Po") :])
"""Elements without a stable isotope that rule a compound out."""

UNKNOWN = "no crystal's value is known (give it with --properties)"
"""Note of a criterion that could not be applied."""

NO_PRICE = "every crystal has an element without a price"
"""Note of the criterion of the price, where it could not be applied."""

NO_WINDOW = "no crystal's window is known (give stability.parquet with --properties)"
"""Note of the criteria of voltages, where they could not be applied."""

VOLTAGES = ("max_reduction_v", "min_oxidation_v")

UNJUDGED = (UNKNOWN, NO_PRICE, NO_WINDOW)
"""Notes of criteria that could not be applied, whatever the reason."""

NONMETALS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I")
"""Elements one of which insulating compounds have, with few exceptions. Of 18,590 Li compounds of the Materials Project
with a known band gap 1,528 have none of them: 89 % of those are metals, and 23 have a gap of 1 eV or more, as 8,545 of
all have."""

CRITERIA = (
    "ion", "stable_elements", "e_hull", "likely_metal", "band_gap", "band_center", "reduction", "oxidation", "price",
    "unique",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a candidate must be. None leaves a criterion out.

    Attributes
    ----------
    ion
        The mobile ion, an element symbol, or ``"any"`` for one of Li, Na, K, Mg, Ca, Zn, Ag, Cu.
    max_center_mev
        Largest band center in meV; 40 is the study's.
    max_e_hull_ev
        Largest energy above the convex hull in eV/atom; 0.05 is the study's.
    min_gap_ev
        Smallest band gap in eV: an electrolyte must not conduct electrons.
    max_reduction_v, min_oxidation_v
        Highest reduction and lowest oxidation voltage against the metal of the ion, V, as ``phonolyte stability``
        computes them.
    max_price_usd_kg
        Largest price of the elements, USD per kg of the compound.
    no_likely_metal
        Whether elements and intermetallic compounds are ruled out where no band gap is known.
    no_radioactive
        Whether Tc, Pm and the elements from Po on rule a compound out.
    unique
        Whether, of crystals that are the same, only the first that meets all other criteria is kept.
    """

    ion: str | None = "any"
    max_center_mev: float | None = 40.0
    max_e_hull_ev: float | None = 0.05
    min_gap_ev: float | None = 1.0
    max_reduction_v: float | None = None
    min_oxidation_v: float | None = None
    max_price_usd_kg: float | None = None
    no_likely_metal: bool = True
    no_radioactive: bool = True
    unique: bool = True

    def __post_init__(self) -> None:
        if self.ion is not None and self.ion != "any" and self.ion not in ATOMIC_NUMBERS:
            raise SettingsError(f"there is no element {self.ion!r}", fix="Give a symbol such as Li, or any.")
        for name in ("max_center_mev", "max_e_hull_ev", "min_gap_ev", *VOLTAGES, "max_price_usd_kg"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value):
                raise SettingsError(f"{name} is {value}", fix="Give a number.")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the funnel: `kept` + `rejected` + `missing` is what the step before kept.

    `missing` counts materials without the property; a step with `applied` False kept everything, and
    `note` says why.
    """

    name: str
    rule: str
    applied: bool
    rejected: int
    missing: int
    kept: int
    note: str = ""


def apply_criteria(table: pd.DataFrame, criteria: Criteria) -> tuple[pd.DataFrame, list[Step]]:
    """Add ``passes``, ``rejected_by`` and ``reason`` to a table of predictions, and count each step.

    The table has `material_id`, `band_center_mev`, `e_hull_ev`, `band_gap_ev`, `price_usd_kg`, `duplicate_of`, and the
    elements as the bits of `elements_low` (Z up to 63) and `elements_high` (Z - 64).

    A material without the property that a criterion needs does not pass, and is counted as missing; a
    property that the whole table lacks leaves its criterion out, and the step says so.
    """
    alive = table["band_center_mev"].notna().to_numpy()
    rejected_by = np.where(alive, "", "features").astype(object)
    reason = np.where(alive, "", "features could not be computed").astype(object)
    steps = []
    for judge in _judges(table, criteria):
        verdict = judge(alive)
        if verdict.holds is None:
            steps.append(Step(verdict.name, verdict.rule, False, 0, 0, int(alive.sum()), verdict.note))
            continue
        missing = alive & verdict.missing
        out = alive & (verdict.missing | ~verdict.holds)
        rejected_by[out] = verdict.name
        reason[out] = [verdict.reason(i) for i in np.flatnonzero(out).tolist()]
        alive = alive & ~out
        lost = int(missing.sum())
        steps.append(Step(verdict.name, verdict.rule, True, int(out.sum()) - lost, lost, int(alive.sum())))
    return table.assign(passes=alive, rejected_by=rejected_by, reason=reason), steps


@dataclass(frozen=True, slots=True, eq=False)
class _Verdict:
    """What a criterion says of each material.

    Whether it `holds` (None: left out, `note` says why) or cannot be judged for a `missing` property, and
    the `reason` for which the i-th material is rejected.
    """

    name: str
    rule: str
    holds: Flags | None
    missing: Flags
    reason: Callable[[int], str]
    note: str = "left out"


Judge = Callable[[Flags], _Verdict]
"""From the materials still in the funnel to a verdict on all."""


def _judges(table: pd.DataFrame, criteria: Criteria) -> list[Judge]:
    ions = {None: (), "any": MOBILE_IONS}.get(criteria.ion, (criteria.ion,))
    e_hull = _bound(table, "e_hull", "e_hull_ev", criteria.max_e_hull_ev, "energy above hull", "eV/atom")
    gap = _bound(table, "band_gap", "band_gap_ev", criteria.min_gap_ev, "band gap", "eV", least=True)
    center = _bound(table, "band_center", "band_center_mev", criteria.max_center_mev, "band center", "meV")
    reduction = _bound(table, "reduction", "reduction_v", criteria.max_reduction_v, "reduction", "V", unknown=NO_WINDOW)
    oxidation = _bound(
        table, "oxidation", "oxidation_v", criteria.min_oxidation_v, "oxidation", "V", least=True, unknown=NO_WINDOW
    )
    price = _bound(
        table, "price", "price_usd_kg", criteria.max_price_usd_kg, "price of the elements", "USD/kg", unknown=NO_PRICE
    )
    bounds = (criteria.max_reduction_v, criteria.min_oxidation_v, criteria.max_price_usd_kg)
    on_request = [each for each, bound in zip((reduction, oxidation, price), bounds, strict=True) if bound is not None]
    return [
        lambda _: _has_ion(table, ions),
        lambda _: _stable_elements(table, applied=criteria.no_radioactive),
        lambda _: e_hull,
        lambda _: _likely_metal(table, applied=criteria.no_likely_metal),
        lambda _: gap,
        lambda _: center,
        *(partial(_given, verdict) for verdict in on_request),
        lambda alive: _unique(table, alive, applied=criteria.unique),
    ]


def _given(verdict: _Verdict, _: Flags) -> _Verdict:
    """The verdict itself: it does not depend on which materials are still in the funnel."""
    return verdict


def _has_ion(table: pd.DataFrame, ions: Sequence[str | None]) -> _Verdict:
    low, high = _bits(str(ion) for ion in ions)
    holds = _any_of(table, low, high)
    rule = f"contains {_or(ions)}" if ions else "contains a mobile ion"
    return _Verdict("ion", rule, holds if ions else None, np.zeros(len(table), bool), lambda _: f"no {_or(ions)}")


def mobile_ions(table: pd.DataFrame, ion: str | None) -> tuple[list[str], Ints]:
    """The mobile ion of each material, the first of the possible ones that it contains, and its place among them.

    A material with none of them has an empty one, and the last place.
    """
    ions = MOBILE_IONS if ion in (None, "any") else (str(ion),)
    place = np.full(len(table), len(ions))
    for number, symbol in reversed(list(enumerate(ions))):
        place[_any_of(table, *_bits([symbol]))] = number
    return [(*ions, "")[number] for number in place], place


def _stable_elements(table: pd.DataFrame, *, applied: bool) -> _Verdict:
    low, high = _bits(RADIOACTIVE)
    holds = ~_any_of(table, low, high) if applied else None
    rule, nothing = "no radioactive element", np.zeros(len(table), bool)
    masks = [table[name].to_numpy(np.uint64) for name in ("elements_low", "elements_high")]

    def why(row: int) -> str:
        present = (
            s for s in sorted(RADIOACTIVE) if _bits([s])[0] & int(masks[0][row]) or _bits([s])[1] & int(masks[1][row])
        )
        return f"radioactive: {', '.join(present)}"

    return _Verdict("stable_elements", rule, holds, nothing, why)


def _likely_metal(table: pd.DataFrame, *, applied: bool) -> _Verdict:
    """Elements and compounds of metals and metalloids alone, where the band gap is unknown."""
    is_element = (
        sum(np.bitwise_count(table[name].to_numpy(np.uint64)) for name in ("elements_low", "elements_high")) < 2
    )
    unknown = table["band_gap_ev"].isna().to_numpy()
    holds = ~(unknown & (is_element | ~_any_of(table, *_bits(NONMETALS))))
    rule, nothing = "no likely metal, where the band gap is unknown", np.zeros(len(table), bool)
    return _Verdict(
        "likely_metal",
        rule,
        holds if applied else None,
        nothing,
        lambda i: "element" if is_element[i] else "intermetallic",
    )


def _any_of(table: pd.DataFrame, low: int, high: int) -> Flags:
    """Whether each material has one of the elements whose bits are set."""
    masks = (table[name].to_numpy(np.uint64) & np.uint64(bits)
             for name, bits in (("elements_low", low), ("elements_high", high)))  # fmt: skip
    return np.asarray(np.any([mask != 0 for mask in masks], axis=0), dtype=bool)


def _bits(symbols: Iterable[str]) -> tuple[int, int]:
    """Elements as bits: those up to Z = 63, and those from 64 on."""
    low = high = 0
    for z in (ATOMIC_NUMBERS[symbol] for symbol in symbols):
        low, high = (low | 1 << z, high) if z < 64 else (low, high | 1 << (z - 64))
    return low, high


def _unique(table: pd.DataFrame, alive: Flags, *, applied: bool) -> _Verdict:
    """First material of each kind still in the funnel: a repetition cannot push its kind out of it."""
    ids = table["material_id"]
    kind = table["duplicate_of"].fillna(ids)
    holds = ~(kind.where(alive).duplicated() & alive).to_numpy()
    first = dict(zip(kind[alive & holds], ids[alive & holds], strict=True))
    rule, nothing = "no repetition of another crystal", np.zeros(len(table), bool)
    return _Verdict(
        "unique", rule, holds if applied else None, nothing, lambda i: f"the same crystal as {first[kind.iloc[i]]}"
    )


def _bound(
    table: pd.DataFrame,
    name: str,
    column: str,
    bound: float | None,
    what: str,
    unit: str,
    *,
    least: bool = False,
    unknown: str = UNKNOWN,
) -> _Verdict:
    values = table[column].to_numpy(float) if column in table else np.full(len(table), np.nan)
    missing = np.isnan(values)
    sign = "at least" if least else "at most"
    rule = what if bound is None else f"{what} {sign} {bound:g} {unit}"
    holds, note = None, "left out"
    if bound is not None and missing.all() and len(values):
        note = unknown
    elif bound is not None:
        holds = (values >= bound) if least else (values <= bound)
    return _Verdict(name, rule, holds, missing, lambda i: _shortfall(what, values[i], unit), note)


def _shortfall(what: str, value: float, unit: str) -> str:
    return f"{what} unknown" if np.isnan(value) else f"{what} {value:.3g} {unit}"


def _or(words: Sequence[str | None]) -> str:
    *first, last = map(str, words)
    return f"{', '.join(first)} or {last}" if first else last
