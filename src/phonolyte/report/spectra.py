"""What the page needs to draw measured spectra: their cards, their points, the fitted circuit as a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.errors import SpectrumError
from phonolyte.figures.nyquist import Complexes, find_window, name_decades
from phonolyte.impedance.circuits import Circuit, parse_circuit
from phonolyte.impedance.schematic import (
    UNITS,
    count_digits,
    draw_schematic,
    list_values,
    write_interval,
    write_power,
    write_si,
)
from phonolyte.impedance.spectrum import name_sweep
from phonolyte.impedance.tables import BOUNDS
from phonolyte.report.measurements import Cell, Listing, MeasurementCard, keep_filled, split_notes, write_celsius
from phonolyte.report.packing import Array
from phonolyte.units import ROOM_K, ZERO_C_K

CURVE_POINTS = 140
"""Frequencies at which a fitted circuit is drawn."""

SIZES_PX = {"wide": (560, 330), "small": (255, 215)}
"""Sizes of Nyquist plots on a card, for which the names of frequencies are placed: alone, and beside another."""

MARGIN = 1.12
"""Part of a plot that is filled: the inverse."""

LETTERS_PX = 10.0

LEAST_SHARE = 1e-4
"""Standard deviation of a conductivity, as a share of it, below which the number is not printed."""

PROCESSES = {"intercept": "Read off the axis", "at_least": "At least"}
"""Names of what is not a process of the circuit."""


def describe_spectra(
    names: Sequence[str], records: Mapping[str, pd.DataFrame | None]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the part of the page's data that cards of spectra are drawn from, and its arrays.

    Parameters
    ----------
    names
        Spectra in the order of the page.
    records
        Tables ``spectra``, ``parameters`` and ``curves`` of the run, by name; None for one that an earlier version of
        Phonolyte did not write.
    """
    parts = {name: _split(records.get(name)) for name in ("spectra", "parameters", "curves")}
    empty = pd.DataFrame()
    cards, rows, curves = [], [], []
    for name in names:
        processes, parameters = parts["spectra"].get(name, empty), parts["parameters"].get(name, empty)
        points = parts["curves"].get(name, empty)
        curve = _draw_curve(parameters, points)
        cards.append(asdict(_make_card(processes, parameters)))
        rows.append(_describe(parameters, points, curve))
        curves.append(curve)
    arrays = _pack([parts["curves"].get(name, empty) for name in names], curves)
    texts = {row["circuit"] for row in rows if row["circuit"]}
    circuits = {text: _draw(text) for text in sorted(texts)}
    return {"measured": cards, "spectra": {"rows": rows, "circuits": circuits}}, arrays


def list_lines(lines: Sequence[Mapping[str, Any]]) -> Listing:
    """Arrhenius lines as they stand at the head of the page: energies and conductivities with their intervals."""
    heads = ("process", "activation energy", "σ at 25 °C")
    return Listing("Arrhenius lines, ln(σT), 95 % intervals", heads, tuple(map(_list_line, lines)))


def _list_line(line: Mapping[str, Any]) -> tuple[Cell, ...]:
    if line["fault"]:
        return _name_line(line), f"none: {line['fault']}"
    low, high = (write_power(line[f"sigma_25c_{end}_s_cm"], "") for end in ("low", "high"))
    extrapolated = "" if line["from_k"] <= ROOM_K <= line["to_k"] else ", extrapolated"
    return (
        _name_line(line),
        (f"{line['ea_ev']:.3f} eV", f"{line['ea_low_ev']:.3f} to {line['ea_high_ev']:.3f}"),
        (write_power(line["sigma_25c_s_cm"], "S/cm"), f"{low} to {high}{extrapolated}"),
    )


def _name_line(line: Mapping[str, Any]) -> str:
    """Process of a line, with its temperatures where there are several."""
    name = str(line["process"]).replace("_", " ")
    low, high = (line[key] - ZERO_C_K for key in ("from_k", "to_k"))
    return name if line["regime"] == "1 of 1" else f"{name}, {low:.0f} to {high:.0f} °C"


def _split(table: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """Rows of a table by the name of their spectrum."""
    if table is None or not len(table):
        return {}
    groups = table.groupby(["file", "sweep"], sort=False)
    return {name_sweep(str(file), int(str(sweep))): points for (file, sweep), points in groups}


def _make_card(processes: pd.DataFrame, parameters: pd.DataFrame) -> MeasurementCard:
    """Total, values and notes of one spectrum."""
    heads = ("Process", "R, 95 % interval", "σ, standard deviation", "C")
    rows = tuple(_list_process(row) for row in processes.to_dict("records"))
    listed = keep_filled(Listing("Resistances and conductivities", heads, rows))
    fitted = Listing("Parameters of the circuit", ("Parameter", "Value", "95 % interval"),
                     tuple(_list_parameter(row) for row in parameters.to_dict("records")))  # fmt: skip
    notes = split_notes(str(processes["notes"].iloc[0])) if len(processes) else ()
    value, words = "", ""
    total = next((row for row in rows if row[0] == "Total"), None)
    if total and total[1][0]:
        _, (ohm, interval), (sigma, _), _ = total
        at = write_celsius(float(processes["temperature_k"].iloc[0]))
        value = sigma or ohm
        words = f"total conductivity{at}; {ohm} ({interval})" if sigma else f"in total{at}; {interval}"
    return MeasurementCard(value, words, tuple(table for table in (listed, fitted) if table.rows), notes)


def _describe(parameters: pd.DataFrame, points: pd.DataFrame, curve: Complexes) -> dict[str, Any]:
    """Circuit of one spectrum, and where its plots look."""
    circuit = _parse(parameters)
    window, decades = _look_closer(circuit, parameters, points, curve)
    return {
        "circuit": circuit.text if circuit else "",
        "values": list_values(circuit, parameters["value"].tolist()) if circuit else {},
        "window": window,
        "decades": decades,
    }


def _parse(parameters: pd.DataFrame) -> Circuit | None:
    """The circuit whose parameters these are; None where it is of an element that is not installed here."""
    try:
        circuit = parse_circuit(str(parameters["circuit"].iloc[0])) if len(parameters) else None
    except SpectrumError:
        return None
    return circuit if circuit and list(circuit.names) == parameters["parameter"].tolist() else None


def _list_process(row: Mapping[Any, Any]) -> tuple[str, tuple[str, str], tuple[str, str], str]:
    """Name, resistance with its interval, conductivity with its deviation, and capacitance of a process."""
    signs = BOUNDS if row["process"] == "at_least" else {}
    process = str(row["process"])

    low, high = (float(row[f"resistance_{end}_ohm"]) for end in ("low", "high"))

    def write(key: str, unit: str, digits: int = 3) -> str:
        return signs.get(key, "") + write_si(row[key], unit, digits) if row[key] == row[key] else ""

    sigma, spread = row["sigma_s_cm"], row["sigma_std_s_cm"]
    return (
        PROCESSES.get(process, process.replace("_", " ").capitalize()),
        (write("resistance_ohm", "Ω", count_digits(low, high)), write_interval(low, high, "Ω") if low == low else ""),
        (
            signs.get("sigma_s_cm", "") + write_power(sigma, "S/cm") if sigma == sigma else "",
            _write_share(spread / sigma) if spread == spread and sigma > 0 else "",
        ),
        write("capacitance_f", "F"),
    )


def _write_share(share: float) -> str:
    return f"± {100 * share:.2g} %" if share >= LEAST_SHARE else f"± less than {100 * LEAST_SHARE:g} %"


def _list_parameter(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Name, value and interval of a parameter; fixed ones have none."""
    unit = UNITS.get(row["unit"], row["unit"])
    value, low, high = (float(row[key]) for key in ("value", "low", "high"))
    interval = write_interval(low, high, unit) if low < high else "fixed"
    return str(row["parameter"]), write_si(value, unit, count_digits(low, high)), interval


def _draw_curve(parameters: pd.DataFrame, points: pd.DataFrame) -> Complexes:
    """Impedance of the fitted circuit over the spectrum, (CURVE_POINTS,); empty where it is not known."""
    circuit = _parse(parameters)
    if circuit is None or not len(points):
        return np.empty(0, dtype=np.complex128)
    f = points["frequency_hz"].to_numpy(float)
    return circuit.impedance_ohm(parameters["value"].to_numpy(float), np.geomspace(f[0], f[-1], CURVE_POINTS))


def _look_closer(
    circuit: Circuit | None, parameters: pd.DataFrame, points: pd.DataFrame, curve: Complexes
) -> tuple[list[float] | None, dict[str, list[list[Any]]]]:
    """Where the arcs are, if the whole spectrum makes them small; and the names of frequencies, plot by plot."""
    if not len(points):
        return None, {}
    f = points["frequency_hz"].to_numpy(float)
    z = points["z_real_ohm"].to_numpy(float) + 1j * points["z_imag_ohm"].to_numpy(float)
    decades = {name: _name(f, z, np.concatenate((z, curve)), size) for name, size in SIZES_PX.items()}
    if circuit is None:
        return None, decades
    resistors = {name: ohm for name, ohm in zip(parameters["parameter"], parameters["value"], strict=True)
                 if name.startswith("R")}  # fmt: skip
    across = sum(resistors[f"R{number}"] for number in circuit.arcs)
    width, height = SIZES_PX["wide"]
    window = find_window(z, sum(resistors.values()) - across, across, width / height)
    if window is None:
        return None, decades
    seen = z[(z.real >= window[0]) & (z.real <= window[1])]
    if len(seen) < 3:
        return None, decades
    tall = 0.95 * MARGIN * (window[1] - window[0]) * SIZES_PX["small"][1] / SIZES_PX["small"][0]
    decades["arcs"] = _name(f, z, np.array([window[0], window[1] - 1j * tall]), SIZES_PX["small"])
    return list(window), decades


def _name(f: Array, z: Complexes, shown: Complexes, size_px: tuple[int, int]) -> list[list[Any]]:
    """Decades of a plot that shows some impedances: point, name and side of each."""
    shown = shown[np.isfinite(shown)]
    scale = MARGIN * max(np.ptp(shown.real) / size_px[0], np.ptp(shown.imag) / size_px[1])
    decades = name_decades(f, z, ohm_per_point=float(scale) or 1.0, size_pt=LETTERS_PX, shown_ohm=shown)
    return [[decade.point, decade.name, decade.side] for decade in decades]


def _draw(text: str) -> dict[str, Any]:
    """A circuit as a path of SVG and its labels, 100 units an element."""
    drawing = draw_schematic(text)
    path = "".join("M" + "L".join(f"{100 * x:.1f},{100 * y:.1f}" for x, y in stroke) for stroke in drawing.strokes)
    labels = [
        [label.element, round(100 * label.x, 1), round(100 * label.y, 1), label.inside] for label in drawing.labels
    ]
    return {"width": 100 * drawing.width, "height": 100 * drawing.height, "path": path, "labels": labels}


def _pack(points: Sequence[pd.DataFrame], curves: Sequence[Complexes]) -> dict[str, Array]:
    """Points and curves of all spectra behind each other, and where those of each end."""
    known = [frame for frame in points if len(frame)]
    table = pd.concat(known) if known else pd.DataFrame()
    arrays: dict[str, Array] = {"points ends": np.cumsum([len(frame) for frame in points]).astype("<u4")}
    for key in ("frequency_hz", "z_real_ohm", "z_imag_ohm", "fit_real_ohm", "fit_imag_ohm", "kk_real", "kk_imag"):
        arrays[f"points {key}"] = (table[key] if known else pd.Series(dtype=float)).to_numpy("<f4")
    arrays["points kk_off"] = (table["kk_off"] if known else pd.Series(dtype=bool)).to_numpy("u1")
    joined = np.concatenate(curves) if curves else np.empty(0, dtype=np.complex128)
    arrays["curve ends"] = np.cumsum([len(curve) for curve in curves]).astype("<u4")
    return arrays | {"curve real": joined.real.astype("<f4"), "curve imag": joined.imag.astype("<f4")}
