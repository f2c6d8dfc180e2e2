"""What the page shows of polarizations and transference numbers: their cards, and their results at its head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any

import pandas as pd

from phonolyte.impedance.notes import merge_alike
from phonolyte.impedance.schematic import count_digits, write_interval, write_power, write_si
from phonolyte.polarization.drawing import name_figures
from phonolyte.polarization.ionic import write_share
from phonolyte.polarization.overview import label_samples
from phonolyte.polarization.tables import UA
from phonolyte.report.measurements import Cell, Listing, MeasurementCard, split_notes, write_celsius

Row = Mapping[Any, Any]

BOUND = "upper bound"
VALUE = ("", "Value, 95 % interval")
DECAYS = "Current against time at each voltage with its fit, and the steady currents against the voltage."


# Electronic conductivities


def list_samples(table: pd.DataFrame) -> Listing:
    """Results of all samples as they stand at the head of the page."""
    sized = table["sigma_electronic_high_s_cm"].notna().any()
    ionic = table["t_ion_low"].notna().any()
    heads = ("sample", "σ electronic" if sized else "R electronic", *(["t ion"] if ionic else []))
    rows: list[tuple[Cell, ...]] = []
    for row in table.to_dict("records"):
        ionic_share = [write_ionic(row)] if ionic else []
        rows.append((str(row["material_id"]), _write_sigma(row) if sized else _write_ohm(row), *ionic_share))
    return Listing(
        f"{'Electronic conductivity' if sized else 'Electronic resistance'}, 95 % intervals", heads, tuple(rows)
    )


def make_sample_cards(table: pd.DataFrame, curves: pd.DataFrame | None) -> list[MeasurementCard]:
    """Make the card of each sample.

    Parameters
    ----------
    table
        Table of the page.
    curves
        Table ``curves`` of the run; None for one that an earlier version of Phonolyte wrote without.
    """
    known = curves if curves is not None and "measurement" in curves else pd.DataFrame({"measurement": []})
    return [
        _make_sample_card(row, known[known["measurement"] == number].to_dict("records"))
        for number, row in enumerate(table.to_dict("records"), start=1)
    ]


def _make_sample_card(row: Row, curves: Sequence[Row]) -> MeasurementCard:
    sized = isfinite(row["sigma_electronic_high_s_cm"])
    value, below = _write_sigma(row) if sized else _write_ohm(row)
    at = write_celsius(row["temperature_k"])
    words = f"electronic {'conductivity' if sized else 'resistance'}{at}, {below}"
    cells: list[tuple[Cell, ...]] = [("σ electronic", _write_sigma(row))] if sized else []
    cells.append(("R electronic", _write_ohm(row)))
    if isfinite(row["t_ion_low"]):
        cells.append(("t ion", write_ionic(row)))
    if isfinite(row["sigma_s_cm"]):
        cells.append(("σ total, by impedance", write_power(row["sigma_s_cm"], "S/cm")))
    if isfinite(row["offset_ua"]):
        cells.append(("Current at zero voltage", _write_current(row, "offset")))
    cells += [("Ohmic", str(row["ohmic"])), ("Voltages of the slope", str(row["n"]))]
    tables = [Listing("Results", VALUE, tuple(cells))]
    if curves:
        heads = ("Voltage", "Current, 95 % interval", "Time")
        tables.append(Listing("Currents", heads, tuple(map(_list_curve, curves))))
    of_curves = ((curve["curve"], note) for curve in curves for note in curve["notes"].split("; ") if note)
    notes = (*split_notes(row["notes"]), *(f"{note}." for note in merge_alike(of_curves)))
    return MeasurementCard(value, words, tuple(tables), notes)


def _list_curve(curve: Row) -> tuple[Cell, ...]:
    end = (_minus(write_si(curve["current_end_ua"] / UA, "A")), "at the end, not settled")
    current = _write_current(curve, "current_steady") if curve["settled"] else end
    return _minus(f"{curve['voltage_v']:.4g} V"), current, _write_duration(curve["duration_s"])


def _write_duration(seconds: float) -> str:
    units = {"h": 3600.0, "min": 60.0}
    unit = next((unit for unit, scale in units.items() if seconds >= 2 * scale), "s")
    return f"{seconds / units.get(unit, 1.0):.3g} {unit}"


def _write_sigma(row: Row) -> tuple[str, str]:
    """Electronic conductivity and its interval; empty without the size of the pellet."""
    value, low, high = (row[f"sigma_electronic_{end}s_cm"] for end in ("", "low_", "high_"))
    if not isfinite(high):
        return "", ""
    if row["upper_bound"]:
        return f"≤ {write_power(high, 'S/cm', 2)}", BOUND
    digits = count_digits(low, high)
    return write_power(value, "S/cm", digits), " to ".join(write_power(end, "", digits) for end in (low, high))


def _write_ohm(row: Row) -> tuple[str, str]:
    value, low, high = (row[f"resistance_electronic_{end}ohm"] for end in ("", "low_", "high_"))
    if row["upper_bound"]:
        return f"≥ {write_si(low, 'Ω', 2)}", "lower bound"
    return write_si(value, "Ω", count_digits(low, high)), write_interval(low, high, "Ω")


def write_ionic(row: Row) -> tuple[str, str]:
    """Write an ionic transference number and its interval, or its bound; empty where it is not known."""
    value, low, high = row["t_ion"], row["t_ion_low"], row["t_ion_high"]
    if not isfinite(low):
        return "", ""
    return _write_between(value, low, high) if value == value else (write_share(value, low), "lower bound")


def _write_between(value: float, low: float, high: float) -> tuple[str, str]:
    """Value and interval, with decimals that distinguish its ends."""
    decimals = min(max(-floor(log10(max(high - low, 1e-12))), 3), 10)
    return f"{value:.{decimals}f}", f"{low:.{decimals}f} to {high:.{decimals}f}"


def _write_current(row: Row, key: str) -> tuple[str, str]:
    value, low, high = (row[f"{key}_{end}ua"] / UA for end in ("", "low_", "high_"))
    digits = count_digits(*sorted((abs(low), abs(high))))
    return _minus(write_si(value, "A", digits)), _minus(write_interval(low, high, "A", digits))


def _minus(text: str) -> str:
    return text.replace("-", "−")


def name_sample_figures(table: pd.DataFrame) -> dict[str, str]:
    """Return the stem of the figure of each sample by its `material_id`."""
    return dict(zip(table["material_id"].astype(str), name_figures(label_samples(table)), strict=True))


# Transference numbers


def list_cell(table: pd.DataFrame) -> Listing:
    """Result of a cell as it stands at the head of the page."""
    row = table.iloc[0].to_dict()
    rows = [*_list_numbers(row), *_list_currents(row)]
    rows += [(f"{name} {when}", cell) for name, *cells in _list_resistances(row)
             for when, cell in zip(("before", "after"), cells, strict=True)]  # fmt: skip
    return Listing("Transference number, 95 % intervals", ("quantity", "value"), tuple(rows))


def make_cell_card(row: Row) -> MeasurementCard:
    """Make the card of a cell."""
    value, below = write_number(row, "t_plus")
    words = f"transference number by Bruce and Vincent, {below}" if value else ""
    tables = (
        Listing("Transference number", VALUE, tuple(_list_numbers(row))),
        Listing("Currents", VALUE, tuple(_list_currents(row))),
        Listing("Resistances", ("", "Before", "After"), tuple(_list_resistances(row))),
    )
    circuits = f"circuits: {row['circuit']} before, {row['circuit_after']} after"
    return MeasurementCard(value, words, tables, split_notes(row["why"], row["notes"], circuits))


def _list_numbers(row: Row) -> Iterator[tuple[Cell, ...]]:
    for key, name in (("t_plus", "t+, Bruce and Vincent"), ("t_plus_watanabe", "t+, Watanabe")):
        value, below = write_number(row, key)
        yield (name, (value, below)) if value else (name, "none")


def write_number(row: Row, key: str) -> tuple[str, str]:
    """Write a transference number and its interval, or that it is a bound; empty where there is none."""
    value, low, high = (row[key + end] for end in ("", "_low", "_high"))
    if value == value:
        return _write_between(value, low, high) if isfinite(high - low) else (f"{value:.3f}", "no interval")
    return (f"≤ {high:.3f}", BOUND) if isfinite(high) else ("", "")


def _list_currents(row: Row) -> Iterator[tuple[Cell, ...]]:
    yield "Voltage", _minus(write_si(row["voltage_v"], "V"))
    by = "extrapolated" if row["initial_by"] == "extrapolated" else "Ohm's law"
    yield f"Initial current, {by}", _write_current(row, "current_initial")
    if by == "extrapolated":
        yield "Initial current, Ohm's law", _minus(write_si(row["current_ohm_ua"] / UA, "A", 4))
    name = "Steady current" if row["settled"] else "Steady current, extrapolated"
    yield name, _write_current(row, "current_steady")


def _list_resistances(row: Row) -> Iterator[tuple[Cell, ...]]:
    ends = [[row[f"interface_{when}_{end}ohm"] for end in ("", "low_", "high_")] for when in ("before", "after")]
    yield "Interfaces", *((write_si(v, "Ω", count_digits(a, b)), write_interval(a, b, "Ω")) for v, a, b in ends)
    yield "Electrolyte", *(write_si(row[f"electrolyte_{when}_ohm"], "Ω") for when in ("before", "after"))
