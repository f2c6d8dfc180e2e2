"""What a run on measurements says, in words: headlines, summaries, and what must be known of the numbers."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from phonolyte.counts import are, count
from phonolyte.report.contents import Contents
from phonolyte.report.measurements import join_names
from phonolyte.report.polarizations import list_samples, write_ionic, write_number
from phonolyte.units import ZERO_C_K

OF_SPECTRA = (
    "Bulk, grain boundary and electrode are arcs, distinguished by their capacitance; the total is all but electrodes. "
    "Intervals cover noise and the choice of a circuit, not errors of the temperature, nor those of thickness and "
    "diameter unless they were given."
)

OF_POLARIZATIONS = (
    "Between electrodes that block ions the steady current is that of electrons. Intervals cover noise, the form of "
    "the decay and the scatter about the line, not errors of the temperature, nor those of thickness and diameter "
    "unless they were given."
)

OF_TRANSFERENCE = (
    "Intervals cover the errors of one measurement: a cell that is made again differs by more. In a concentrated "
    "electrolyte, or one with ion pairs, the number is the share of the current in the steady state, and not the "
    "transference number."
)


def headline_spectra(contents: Contents) -> str:
    """Return how many spectra could be fitted."""
    n, n_all = len(contents.table), len(contents.table) + len(contents.failures)
    return f"{n:,} of {_spectra(n_all)} could be fitted" if n_all > n else f"{_spectra(n)} fitted"


def _spectra(n: int) -> str:
    return count(n, "spectrum", "spectra")


def summarize_spectra(contents: Contents) -> list[str]:
    """Return what was fitted, over which temperatures, and whether the spectra can be trusted."""
    table = contents.table
    warm = table["temperature_k"].dropna()
    low, high = (f"{end - ZERO_C_K:.0f} °C" for end in (warm.min(), warm.max())) if len(warm) else ("", "")
    over = f", from {low} to {high}" if low != high else f", at {low}" if low else ""
    kinds = table["circuit"].nunique()
    verdicts = table["kramers_kronig"].value_counts()
    doubted = ", ".join(f"{verdicts[name]:,} {name}" for name in ("doubtful", "bad") if name in verdicts)
    fitted = "A circuit was" if kinds == 1 else f"{kinds} different circuits were"
    return [
        f"{fitted} fitted to {_spectra(len(table))}{over}.",
        f"By the Kramers-Kronig test {int(verdicts.get('good', 0)):,} of them {are(int(verdicts.get('good', 0)))} good"
        + (f", {doubted}." if doubted else "."),
    ]


def headline_samples(contents: Contents) -> str:
    """Return what is known of the samples: of a single one its value."""
    table = contents.table
    n, samples = len(table), table["sample"].nunique()
    if not n:
        return "No sample could be measured"
    what = "conductivity" if table["sigma_electronic_high_s_cm"].notna().any() else "resistance"
    if n > 1:
        measured = f" in {count(n, 'measurement')}" if n > samples else ""
        return f"Electronic {what} of {count(samples, 'sample')}{measured}"
    return f"Electronic {what} {_in_words(list_samples(table).rows[0][1][0])}"


def _in_words(value: str) -> str:
    """A value whose sign of a bound is in words."""
    return value.replace("≤", "at most").replace("≥", "at least")


def summarize_samples(contents: Contents) -> list[str]:
    """Return how far the conductivities reach, which are bounds, where the current settled, and what is ionic."""
    table, curves = contents.table, contents.records["curves"]
    if not len(table):
        return []
    sized = table["sigma_electronic_high_s_cm"].notna().any()
    bounds = table.loc[table["upper_bound"].astype(bool), "material_id"].tolist()
    bent = table.loc[table["ohmic"] == "no", "material_id"].tolist()
    side = "an upper bound" if sized else "a lower bound"
    return [
        _of_range(table, "sigma_electronic_s_cm" if sized else "resistance_electronic_ohm"),
        f"Of {join_names(bounds)} only {side} is known: the current has not settled, or is too small."
        if bounds
        else "",
        _of_currents(curves) if curves is not None and len(curves) else "",
        f"The currents of {join_names(bent)} are off the line: the slope is a mean." if bent else "",
        _of_ionic(table[table["t_ion_low"].notna()]),
    ]


def _of_range(table: pd.DataFrame, key: str) -> str:
    """The lowest and the highest of the results that are known; empty where there are bounds alone."""
    results = {name: cell for name, cell, *_ in list_samples(table).rows}
    order = table[table[key].notna()].sort_values(key, kind="stable")["material_id"].tolist()
    if len(order) < 2:
        return "".join(f"{name}: {results[name][0]}, 95 % interval {results[name][1]}." for name in order)
    low, high = (f"{results[name][0]} ({name})" for name in (order[0], order[-1]))
    return f"The lowest is {low}, the highest {high}."


def _of_currents(curves: pd.DataFrame) -> str:
    n, settled = len(curves), int(curves["settled"].sum())
    if n == 1:
        return f"The current was measured at 1 voltage, and {'settled' if settled else 'did not settle'}."
    at = "all" if settled == n else f"{settled:,}" if settled else "none"
    return f"The current was measured at {n:,} voltages, and settled at {at} of them."


def _of_ionic(known: pd.DataFrame) -> str:
    """The lowest ionic transference number of samples; empty where none is known."""
    if not len(known):
        return ""
    least = known.iloc[int(known["t_ion_low"].argmin())]
    value = _in_words(write_ionic(least.to_dict())[0])
    if len(known) == 1:
        return f"The ionic transference number of {least['material_id']} is {value}."
    return f"The lowest ionic transference number is that of {least['material_id']}, {value}."


def headline_cell(contents: Contents) -> str:
    """Return the transference number of a cell."""
    value = write_number(contents.table.iloc[0].to_dict(), "t_plus")[0]
    return f"Transference number {_in_words(value)}" if value else "No transference number"


def summarize_cell(contents: Contents) -> list[str]:
    """Return the transference number by both equations, and what the initial current is."""
    row = contents.table.iloc[0].to_dict()
    by = {
        name: write_number(row, key) for name, key in (("Bruce and Vincent", "t_plus"), ("Watanabe", "t_plus_watanabe"))
    }
    numbers = ", ".join(f"{_in_words(value)} ({below}) by {name}" for name, (value, below) in by.items() if value)
    initial = "extrapolated to time zero" if row["initial_by"] == "extrapolated" else "that of Ohm's law"
    why = str(row["why"] or "")
    return [
        f"It is {numbers}." if numbers else "",
        f"{why[0].upper()}{why[1:]}." if why else "",
        f"The cell was polarized by {abs(row['voltage_v']) * 1e3:.3g} mV; the initial current is {initial}.",
    ]


def list_remarks(contents: Contents) -> list[str]:
    """Return notes on the measurements of a run, as sentences."""
    if not contents.is_measured:
        return []
    names = set(contents.table["material_id"])
    notes = (str(note) for note in contents.run.get("notes", ()))
    return [_as_sentence(note, names) for note in notes if note]


def _as_sentence(note: str, names: Collection[str]) -> str:
    """A note as a sentence; the name of a spectrum with which it begins stays as it is."""
    return f"{note}." if note.partition(":")[0] in names else f"{note[0].upper()}{note[1:]}."
