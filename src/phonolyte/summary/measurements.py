"""Tables of measurements: impedance, polarization, and transference numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from rich.table import Table
from rich.text import Text

from phonolyte.summary.tables import format_significant, make_table
from phonolyte.units import ROOM_K, ZERO_C_K

if TYPE_CHECKING:
    from phonolyte.polarization import Transference

SHOWN_ROWS = 60
"""Rows of a table of measurements at most."""


def conductivity_table(spectra: pd.DataFrame, *, known: bool) -> Table:
    """Resistances of each spectrum by process, conductivities where the pellet is known; 95 % intervals of the last."""
    from phonolyte.impedance.spectrum import name_sweep
    from phonolyte.impedance.tables import BOUNDS

    table = make_table(
        f"Spectra, 95 % intervals of {'σ' if known else 'R'}", caption=_say_cut(spectra, "spectra.csv"), tight=True
    )
    table.add_column("spectrum", no_wrap=True, max_width=24)
    table.add_column("T", justify="right", no_wrap=True)
    table.add_column("process", no_wrap=True)
    values, ends = ["resistance_ohm", "capacitance_f"], "resistance_{}_ohm"
    if known:
        values, ends = [*values, "sigma_s_cm"], "sigma_{}_s_cm"
    for name in ("R", "C", "σ")[: len(values)]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_row("", "°C", "", *("Ω", "F", "S/cm")[: len(values)], "", style="dim")
    last = None
    for row in spectra.head(SHOWN_ROWS).to_dict("records"):
        name = name_sweep(row["file"], row["sweep"])
        same, last = name == last, name
        warmth = "" if pd.isna(row["temperature_k"]) else f"{row['temperature_k'] - ZERO_C_K:.0f}"
        signs = BOUNDS if row["process"] == "at_least" else {}
        low, high = (row[ends.format(end)] for end in ("low", "high"))
        table.add_row(
            "" if same else Text(name),
            "" if same else warmth,
            str(row["process"]).replace("_", " "),
            *(f"{signs.get(key, '')}{format_significant(row[key])}" if pd.notna(row[key]) else "" for key in values),
            f"{format_significant(low)} to {format_significant(high)}" if pd.notna(low) else "",
        )
    return table


def _say_cut(rows: pd.DataFrame, file: str) -> str | None:
    """Caption of a table that does not show all of its rows."""
    return f"the first {SHOWN_ROWS} of {len(rows):,} rows; {file} has all" if len(rows) > SHOWN_ROWS else None


def arrhenius_table(lines: pd.DataFrame) -> Table:
    """Activation energies from ln(sigma T), with intervals."""
    from phonolyte.impedance.pressure import name_pressures

    if "pressure_mpa" in lines:
        lines = name_pressures(lines, lines["pressure_mpa"].to_numpy(float))
    table = make_table("Arrhenius, ln(σT), 95 % intervals")
    for name, side in (("process", "left"), ("Ea", "right"), ("", "left"), ("σ at 25 °C", "right"), ("", "left")):
        table.add_column(name, justify="left" if side == "left" else "right", no_wrap=True)
    table.add_row("", "eV", "", "S/cm", "", style="dim")
    for row in lines.to_dict("records"):
        regime = (
            "" if row["regime"] == "1 of 1" else f", {row['from_k'] - ZERO_C_K:.0f} to {row['to_k'] - ZERO_C_K:.0f} °C"
        )
        name = str(row["process"]).replace("_", " ") + regime
        if row["fault"]:
            table.add_row(name, "none", "no Arrhenius line", "", "")
            continue
        low, high = (format_significant(row[f"sigma_25c_{end}_s_cm"], 2) for end in ("low", "high"))
        table.add_row(
            name, f"{row['ea_ev']:.3f}", f"{row['ea_low_ev']:.3f} to {row['ea_high_ev']:.3f}",
            format_significant(row["sigma_25c_s_cm"], 2) + ("" if row["from_k"] <= ROOM_K <= row["to_k"] else "*"),
            f"{low} to {high}",
        )  # fmt: skip
    if not ((lines["from_k"] <= ROOM_K) & (lines["to_k"] >= ROOM_K)).all():
        table.caption = "* extrapolated: 25 °C is not within the temperatures; intervals assume that the line goes on"
    return table


def steady_table(curves: pd.DataFrame) -> Table:
    """Steady current at each voltage with its interval, or why there is none."""
    table = make_table("Steady currents, 95 % intervals", caption=_say_cut(curves, "curves.csv"), tight=True)
    table.add_column("sample", no_wrap=True, max_width=22)
    for name in ("T", "V", "time", "I"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    factor, unit = _find_unit(curves["current_end_ua"].abs().median())
    table.add_row("", "°C", "V", "h", unit, "", style="dim")
    last = None
    for row in curves.head(SHOWN_ROWS).to_dict("records"):
        warmth = "" if pd.isna(row["temperature_k"]) else f"{row['temperature_k'] - ZERO_C_K:.0f}"
        same, last = (row["sample"], warmth) == last, (row["sample"], warmth)
        low, high = (format_significant(row[f"current_steady_{end}_ua"] * factor, 4) for end in ("low", "high"))
        shown = ("steady", f"{low} to {high}") if row["settled"] else ("end", "at the end: not settled")
        table.add_row(
            "" if same else Text(str(row["sample"])), "" if same else warmth, f"{row['voltage_v']:.4g}",
            f"{row['duration_s'] / 3600:.3g}", format_significant(row[f"current_{shown[0]}_ua"] * factor, 4),
            shown[1],
        )  # fmt: skip
    return table


def _find_unit(microampere: float) -> tuple[float, str]:
    """Factor from microampere to the unit in which a current is easy to read, and its name."""
    units = ((1e-3, "mA"), (1.0, "µA"), (1e3, "nA"), (1e6, "pA"))
    return next((unit for unit in units if microampere * unit[0] >= 1), units[-1])


def electronic_table(electronic: pd.DataFrame, *, sized: bool) -> Table:
    """Electronic conductivities of samples, resistances where no pellet is known, and ionic transference numbers."""
    kind, key = "R electronic", "resistance_electronic_{}ohm"
    if sized:
        kind, key = "σ electronic", "sigma_electronic_{}s_cm"
    from phonolyte.polarization.ionic import write_share

    table = make_table(f"{kind}, 95 % intervals", caption=_say_cut(electronic, "electronic.csv"), tight=True)
    table.add_column("sample", no_wrap=True, max_width=22)
    ionic = electronic["t_ion_low"].notna().any()
    for name in ("T", "voltages", kind.split()[0], "", "ohmic", *(["t ion"] if ionic else [])):
        table.add_column(name, justify="left" if name in ("", "ohmic", "t ion") else "right", no_wrap=True)
    table.add_row("", "°C", "", "S/cm" if sized else "Ω", "", "", *([""] if ionic else []), style="dim")
    for row in electronic.head(SHOWN_ROWS).to_dict("records"):
        middle, low, high = (row[key.format(end)] for end in ("", "low_", "high_"))
        bound = f"≤ {format_significant(high, 2)}" if sized else f"≥ {format_significant(low, 2)}"
        value = "" if pd.isna(high) else bound if row["upper_bound"] else format_significant(middle, 2)
        interval = (
            ""
            if pd.isna(low) or row["upper_bound"]
            else f"{format_significant(low, 2)} to {format_significant(high, 2)}"
        )
        table.add_row(
            Text(str(row["sample"])), "" if pd.isna(row["temperature_k"]) else f"{row['temperature_k'] - ZERO_C_K:.0f}",
            str(row["n"]), value, interval, "" if row["ohmic"] == "not tested" else row["ohmic"],
            *(["" if pd.isna(row["t_ion_low"]) else write_share(row["t_ion"], row["t_ion_low"])] if ionic else []),
        )  # fmt: skip
    return table


def transference_table(result: Transference) -> Table:
    """A transference number with what it is made of."""
    table = make_table(
        f"Transference number, {abs(result.curve.voltage_v) * 1e3:.3g} mV", tight=True, caption=result.fault
    )
    for name, side in (("", "left"), ("value", "right"), ("95 % interval", "left"), ("unit", "left")):
        table.add_column(name, justify="left" if side == "left" else "right", no_wrap=True)
    for name, number in (("t+, Bruce and Vincent", result.t_plus), ("t+, Watanabe", result.t_plus_watanabe)):
        value, interval = f"{number.value:.3f}", f"{number.low:.3f} to {number.high:.3f}"
        if result.upper_bound:
            value, interval = f"≤ {number.high:.3f}", "the current has not settled"
        table.add_row(name, value, interval, "")
    by = "extrapolated" if result.initial_by == "extrapolated" else "Ohm's law"
    for name, each in ((f"initial current, {by}", result.initial_a), ("steady current", result.steady_a)):
        value, low, high = (format_significant(ampere * 1e6, 4) for ampere in each)
        table.add_row(name, value, f"{low} to {high}", "µA")
    for when, cell in (("before", result.before), ("after", result.after)):
        low, high = (format_significant(end, 4) for end in cell.interval(cell.interfaces))
        table.add_row(f"interfaces {when}", format_significant(cell.interface_ohm, 4), f"{low} to {high}", "Ω")
        low, high = (format_significant(end, 4) for end in cell.interval(cell.electrolyte))
        table.add_row(f"electrolyte {when}", format_significant(cell.electrolyte_ohm, 4), f"{low} to {high}", "Ω")
    return table
