from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.columns import Column, format_value
from phonolyte.errors import MissingExtraError, SettingsError, SpectrumError
from phonolyte.impedance import (
    Fit,
    Geometry,
    KramersKronig,
    Series,
    Spectrum,
    analyze_spectrum,
    check_kramers_kronig,
    choose_circuit,
    draw,
    fit_arrhenius,
    fit_circuit,
    fit_regimes,
    list_resistances,
    plot_spectrum,
    read_intercept,
    read_spectrum,
)
from phonolyte.impedance.analysis import compare_with_intercept
from phonolyte.impedance.arrhenius import count_temperatures, find_fault
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.elements import Grid
from phonolyte.impedance.fitting import choose_simplest
from phonolyte.impedance.notes import list_line_notes, list_series_notes
from phonolyte.impedance.problem import _widen
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.impedance.starts import Decomposition, from_misfit, from_simpler, from_spectrum
from phonolyte.impedance.tables import ArrheniusRow, fit_process, list_spectrum_rows, make_table, split_by_process
from phonolyte.impedance.temperature import find_temperature
from phonolyte.report import PAGE, read_run, write_report
from phonolyte.units import KB_EV_K

F = np.logspace(6, -1, 50)
TWO_ARCS = {"R1": 2e4, "CPE1_0": 2e-10, "CPE1_1": 0.9, "R2": 9e4, "CPE2_0": 3e-8, "CPE2_1": 0.85, "CPE0_0": 5e-6,
            "CPE0_1": 0.7}  # fmt: skip


def cpe(q: float, alpha: float, f: np.ndarray = F) -> np.ndarray:
    return 1 / (q * (2j * np.pi * f) ** alpha)


def arc(r: float, q: float, alpha: float, f: np.ndarray = F) -> np.ndarray:
    return 1 / (1 / r + 1 / cpe(q, alpha, f))


def two_arcs(f: np.ndarray = F) -> np.ndarray:
    """Bulk, grain boundaries and blocking electrodes."""
    p = TWO_ARCS
    return (
        arc(p["R1"], p["CPE1_0"], p["CPE1_1"], f) + arc(p["R2"], p["CPE2_0"], p["CPE2_1"], f)
        + cpe(p["CPE0_0"], p["CPE0_1"], f)
    )  # fmt: skip


def add_noise(z: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return z + np.abs(z) * share * (rng.normal(size=len(z)) + 1j * rng.normal(size=len(z)))


# Reading

Z = two_arcs(F)


def write_rows(
    separator: str = "\t", comma: bool = False, sign: float = 1.0, khz: float = 1.0, kohm: float = 1.0
) -> str:
    lines = (
        separator.join(f"{x:.6e}" for x in (f * khz, z.real * kohm, sign * z.imag * kohm))
        for f, z in zip(F, Z, strict=True)
    )
    text = "\n".join(lines)
    return text.replace(".", ",") if comma else text


FILES = {
    "plain.csv": "frequency (Hz),Z' (ohm),Z'' (ohm)\n" + write_rows(","),
    "minus.csv": "Frequency / Hz;Re(Z) / Ohm;-Im(Z) / Ohm\n" + write_rows(";", sign=-1),
    "decimal.csv": "Frequency (Hz);Z' (Ω);-Z'' (Ω)\n" + write_rows(";", comma=True, sign=-1),
    "zive.txt": "zive 25deg\nFixed value(s) :  AC Volt  [Vrms]=3.5e-02\n   Freq.[Hz]   \tZs'[ohm]  \tZs''[ohm]\n"
    + write_rows(),
    "zplot.z": '"ZPLOT2 ASCII","2"\n"  Freq(Hz)", "Z\'(a)", "Z\'\'(b)"\nEnd Comments\n' + write_rows(", "),
    "kilo.txt": "f/kHz\tZreal/kOhm\tZimag/kOhm\n" + write_rows(khz=1e-3, kohm=1e-3),
    "biologic.mpt": "EC-Lab ASCII FILE\nNb header lines : 3\nfreq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\n" + write_rows(sign=-1),
    "gamry.DTA": "EXPLAIN\nTAG\tEISPOT\nZCURVE\tTABLE\n\tFreq\tZreal\tZimag\n\tHz\tohm\tohm\n"
    + "\n".join("\t" + line for line in write_rows().split("\n")),
    "polar.csv": "Frequency (Hz),|Z| (ohm),Phase (deg)\n"
    + "\n".join(f"{f:.6e},{abs(z):.8e},{np.angle(z, deg=True):.8e}" for f, z in zip(F, Z, strict=True)),
    "zahner.txt": "Frequency/Hz\tImpedance/Ohm\tPhase/deg\n"
    + "\n".join(f"{f:.6e}\t{abs(z):.8e}\t{np.angle(z, deg=True):.8e}" for f, z in zip(F, Z, strict=True)),
    "bare.txt": write_rows(" "),
}


WHOLE = {
    "gamry": "EXPLAIN\nTAG\tEISPOT\nTITLE\tLABEL\tPotentiostatic EIS\nZCURVE\tTABLE\n"
    "\tPt\tTime\tFreq\tZreal\tZimag\tZsig\tZmod\tZphz\tIdc\tVdc\tIERange\n"
    "\t#\ts\tHz\tohm\tohm\tV\tohm\t°\tA\tV\t#\n"
    + "".join(
        f"\t{n}\t{n + 1}\t{f:.6e}\t{z.real:.6e}\t{z.imag:.6e}\t1\t{abs(z):.6e}\t{np.angle(z, deg=True):.4f}\t0\t0\t5\n"
        for n, (f, z) in enumerate(zip(F, Z, strict=True))
    ),
    "biologic": "EC-Lab ASCII FILE\nNb header lines : 5\n\nPotentio Electrochemical Impedance Spectroscopy\n"
    "freq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\t|Z|/Ohm\tPhase(Z)/deg\ttime/s\n"
    + "".join(
        f"{f:.6e}\t{z.real:.6e}\t{-z.imag:.6e}\t{abs(z):.6e}\t{np.angle(z, deg=True):.4f}\t{n}\n"
        for n, (f, z) in enumerate(zip(F, Z, strict=True))
    ),
    "zplot": "ZPLOT2 ASCII\n  Freq(Hz)\tAmpl\tBias\tTime(Sec)\tZ'(a)\tZ''(b)\tGD\tErr\tRange\nEnd Comments\n"
    + "".join(f"{f:.6e}\t0.1\t0\t{n}\t{z.real:.6e}\t{z.imag:.6e}\t0\t0\t1\n"
              for n, (f, z) in enumerate(zip(F, Z, strict=True))),
}  # fmt: skip


def write_points(row: Callable[[int, float, complex], str]) -> str:
    return "".join(row(n, f, z) for n, (f, z) in enumerate(zip(F, Z, strict=True)))


LAYOUTS = {
    "autolab-fra.txt": '"Z60W Data File: Version 1.1"\n""\n""\n0,2,0,1,0.1,1000000\n50\n'
    '"  Freq (Hz)    Ampl     Bias   Time(Sec)   Z\'(a)    Z\'\'(b)    GD   Err   Range"\n'
    + write_points(lambda n, f, z: f"{f:.6e},0,0,0,{z.real:.6e},{z.imag:.6e},0,0,0\n"),
    "autolab-nova.txt": "Index\tFrequency (Hz)\tZ' (Ω)\t-Z'' (Ω)\tZ (Ω)\t-Phase (°)\tTime (s)\n"
    + write_points(lambda n, f, z: f"{n}\t{f:.6e}\t{z.real:.6e}\t{-z.imag:.6e}\t{abs(z):.6e}\t"
                   f"{-np.angle(z, deg=True):.5f}\t{n}\n"),
    "nova-comma.csv": "Index;Frequency (Hz);-Z'' (Ω);Z (Ω);-Phase (°);Z' (Ω)\n"
    + write_points(lambda n, f, z: f"{n};{f:.6e};{-z.imag:.6e};{abs(z):.6e};{-np.angle(z, deg=True):.5f};"
                   f"{z.real:.6e}\n")
    .replace(".", ","),
    "versastudio.par": "<Application>\nName=VersaStudio\n</Application>\n<Segment1>\nType=2\n"
    "Definition=Segment #, Point #, E(V), I(A), Elapsed Time(s), Frequency(Hz), E Real, E Imag, I Real, I Imag, "
    "Z Real, Z Imag, E2 Status, Z2 Real, Z2 Imag\n"
    + write_points(lambda n, f, z: f"0,{n},0,0,{n},{f:.6e},0.01,0.02,0.03,0.04,{z.real:.6e},{z.imag:.6e},0,0,0\n")
    + "</Segment1>\n<Graph1>\nType=Unknown\n</Graph1>\n",
    "zahner-thales.txt": "Spectrum: sample.ism\nPotential: 0 V\n\nNumber\tFrequency/Hz\tImpedance/Ohm\tPhase/deg\t"
    "Significance\tTime/s\n"
    + write_points(lambda n, f, z: f"{n}\t{f:.6e}\t{abs(z):.8e}\t{np.angle(z, deg=True):.6f}\t0.999\t{n}\n"),
    "solartron-smart.csv": "Untitled\nExperiment start time : 12:00:00\n"
    "Result Number,Time (s),Frequency (Hz),Impedance Magnitude (Ohms),Impedance Phase Degrees ('),"
    "Admittance Magnitude (S),Admittance Phase Degrees ('),Capacitance Magnitude (F)\n"
    + write_points(lambda n, f, z: f"{n},{n},{f:.6e},{abs(z):.8e},{np.angle(z, deg=True):.6f},{1 / abs(z):.6e},"
                   f"{-np.angle(z, deg=True):.6f},1e-9,\n"),
    "solartron-real.csv": "Index,Sweep Number,Frequency (Hz),Admittance Real (S),Impedance Real (Ohms),"
    "Impedance Imaginary (Ohms)\n"
    + write_points(lambda n, f, z: f"{n},1,{f:.6e},{(1 / z).real:.6e},{z.real:.6e},{z.imag:.6e}\n"),
    "chi.txt": "Nov. 23, 2024   17:47:14\nA.C. Impedance\n\nFreq/Hz, Z'/ohm, Z\"/ohm, Z/ohm, Phase/deg\n\n"
    + write_points(lambda n, f, z: f"{f:.6e}, {z.real:.6e}, {z.imag:.6e}, {abs(z):.6e}, {np.angle(z, deg=True):.3f}\n"),
    "powersuite.txt": "Frequency\t Zre\t Zimg\n"
    + write_points(lambda n, f, z: f"{f:.6e}\t {z.real:.6e}\t {z.imag:.6e}\n"),
    "radians.csv": "Frequency (kHz),|Z| (kOhm),theta (rad)\n"
    + write_points(lambda n, f, z: f"{f / 1e3:.6e},{abs(z) / 1e3:.8e},{np.angle(z):.8e}\n"),
    "phase-without-unit.csv": "freq;Zmod;phase\n"
    + write_points(lambda n, f, z: f"{f:.6e};{abs(z):.8e};{np.angle(z):.8e}\n"),
    "deutsch.csv": "Frequenz [Hz];Re(Z) [Ohm];-Im(Z) [Ohm]\n"
    + write_points(lambda n, f, z: f"{f:.6e};{z.real:.6e};{-z.imag:.6e}\n").replace(".", ","),
    "gamry-with-ocv.DTA": "EXPLAIN\nTAG\tEISPOT\nTITLE\tLABEL\tPotentiostatic EIS\tTest &Identifier\n"
    "AREA\tQUANT\t1.00000E+000\t&Area (cm^2)\nOCVCURVE\tTABLE\t2\n\tPt\tT\tVf\tVm\tAch\tOver\tTemp\n"
    "\t#\ts\tV vs. Ref.\tV\tV\tbits\tdeg C\n\t0\t0.25\t-3.4E-1\t-3.4E-1\t-5.5E-4\t..........a\t-327.67\n"
    "\t1\t0.51\t-3.4E-1\t-3.4E-1\t-5.5E-4\t..........a\t-327.67\nZCURVE\tTABLE\n"
    "\tPt\tTime\tFreq\tZreal\tZimag\tZsig\tZmod\tZphz\tIdc\tVdc\tIERange\tTemp\n"
    "\t#\ts\tHz\tohm\tohm\tV\tohm\t°\tA\tV\t#\tdeg C\n"
    + write_points(lambda n, f, z: f"\t{n}\t{n}\t{f:.6e}\t{z.real:.6e}\t{z.imag:.6e}\t1\t{abs(z):.6e}\t"
                   f"{np.angle(z, deg=True):.4f}\t0\t0\t5\t-327.67\n"),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layouts_of_instruments_are_read(tmp_path: Path, name: str, encoding: str):
    text = LAYOUTS[name].replace("Ω", "Ohm") if encoding == "cp1252" else LAYOUTS[name]
    (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
    spectrum = read_spectrum(tmp_path / name)
    assert spectrum.frequency_hz == pytest.approx(F, rel=1e-5)
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-4)
    assert spectrum.temperature_k is None  # -327.67 is what stands where no sensor is connected


def test_a_phase_without_a_unit_is_reported(tmp_path: Path):
    (tmp_path / "x.csv").write_text(LAYOUTS["phase-without-unit.csv"])
    assert any("radians assumed" in note for note in read_spectrum(tmp_path / "x.csv").notes)


@pytest.mark.parametrize(
    ("stem", "kelvin"),
    [("LLZO-25C", 298.15), ("LLZO_-20C", 253.15), ("s04147-140deg", 413.15), ("a 300K", 300.0), ("60,5°C_b", 333.65),
     ("run_100kHz", None), ("200", None), ("pellet3", None), ("x_9999C", None)],
)  # fmt: skip
def test_temperatures_stand_in_names(stem: str, kelvin: float | None):
    temperature_k, notes = find_temperature(stem, (), None)
    assert temperature_k == (pytest.approx(kelvin) if kelvin else None)
    assert any("from the name" in note for note in notes) == (kelvin is not None)


def make_mpr(columns: dict[int, np.ndarray]) -> bytes:
    """A file as EC-Lab writes it: modules of settings and data, columns by their numbers."""

    def pack_module(name: bytes, version: int, data: bytes) -> bytes:
        return b"MODULE" + name.ljust(10) + name.ljust(25) + struct.pack("<II", len(data), version) + b"01/02/25" + data

    kinds = dict.fromkeys(columns, "<f4")
    table = np.rec.fromarrays([values.astype(kinds[number]) for number, values in columns.items()])
    head = struct.pack("<IB", len(table), len(columns)) + np.array(list(columns), "<u2").tobytes()
    data = head.ljust(405, b"\0") + table.tobytes()
    magic = b"BIO-LOGIC MODULAR FILE\x1a".ljust(48) + b"\0" * 4
    return magic + pack_module(b"VMP Set", 0, b"\0" * 8) + pack_module(b"VMP data", 2, data)


def test_binary_files_of_biologic_are_read(tmp_path: Path):
    pytest.importorskip("galvani")
    (tmp_path / "x_40C.mpr").write_bytes(make_mpr({32: F, 37: Z.real, 38: -Z.imag}))
    spectrum = read_spectrum(tmp_path / "x_40C.mpr")
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-5)
    assert spectrum.temperature_k == pytest.approx(313.15)


def test_without_galvani_there_is_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "galvani", None)
    (tmp_path / "x.mpr").write_bytes(make_mpr({32: F, 37: Z.real, 38: -Z.imag}))
    with pytest.raises(MissingExtraError, match="pip install galvani"):
        read_spectrum(tmp_path / "x.mpr")


@pytest.mark.parametrize("instrument", WHOLE)
def test_whole_files_are_read_as_impedance_py_reads_them(tmp_path: Path, instrument: str):
    from impedance.preprocessing import readFile

    path = tmp_path / "file.txt"
    path.write_text(WHOLE[instrument], encoding="latin-1" if instrument == "biologic" else "utf-8")
    frequency, impedance = readFile(str(path), instrument=instrument)
    spectrum = read_spectrum(path)
    assert spectrum.frequency_hz == pytest.approx(frequency)
    assert spectrum.impedance_ohm == pytest.approx(impedance)
    assert spectrum.notes == (("units are not stated: ohm assumed",) if instrument == "zplot" else ())


def test_a_column_of_temperatures_is_taken(tmp_path: Path):
    lines = FILES["plain.csv"].split("\n")
    text = "\n".join([lines[0] + ",Temperature (°C)", *(line + ",80.0" for line in lines[1:])])
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    assert read_spectrum(tmp_path / "x.csv").temperature_k == pytest.approx(353.15)


@pytest.mark.parametrize("name", FILES)
def test_a_spectrum_is_the_same_from_the_file_of_any_instrument(tmp_path: Path, name: str):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    spectrum = read_spectrum(tmp_path / name)
    assert len(spectrum) == len(F)
    assert spectrum.frequency_hz == pytest.approx(F, rel=1e-5)
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-4)


def test_encodings_of_instruments_are_read(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(FILES["decimal.csv"].replace("Ω", "Ohm").encode("cp1252"))
    (tmp_path / "b.csv").write_bytes(FILES["decimal.csv"].encode("utf-16"))
    for name in ("a.csv", "b.csv"):
        assert read_spectrum(tmp_path / name).impedance_ohm == pytest.approx(Z, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "note"),
    [("bare.txt", "no header names the columns"), ("bare.txt", "Hz and ohm assumed"),
     ("kilo.txt", "frequency was in kHz"), ("zive.txt", "25 °C, is from the name")],
)  # fmt: skip
def test_guesses_are_reported(tmp_path: Path, name: str, note: str):
    (tmp_path / name.replace("zive", "zive-25deg")).write_text(FILES[name], encoding="utf-8")
    assert any(note in said for said in read_spectrum(tmp_path / name.replace("zive", "zive-25deg")).notes)


@pytest.mark.parametrize(
    ("text", "kelvin"), [("Temperature: 60 °C\n", 333.15), ("Temperature [K] = 310\n", 310.0), ("", None)]
)
def test_the_temperature_is_read_where_it_stands(tmp_path: Path, text: str, kelvin: float | None):
    (tmp_path / "x.csv").write_text(text + FILES["plain.csv"], encoding="utf-8")
    assert read_spectrum(tmp_path / "x.csv").temperature_k == (pytest.approx(kelvin) if kelvin else None)


@pytest.mark.parametrize(
    ("text", "why"),
    [("hello\nworld\n", "holds no spectrum"), ("", "holds no spectrum"), ("a,b\n1,2\n3,4\n", "holds no spectrum"),
     ("frequency (Hz),Z' (ohm),Z'' (ohm)\n1,2,-3\n2,3,-4\n4,5,-6\n", "has 3 points"),
     ("frequency (Hz),Z' (ohm),Z'' (ohm)\n" + "0,1,-1\n" * 9, "not above zero"),
     ("frequency (Hz),Z' (ohm),Z'' (ohm)\n" + "\n".join(f"{n},0,0" for n in range(1, 9)), "zero or all the same"),
     ("\0\1\2binary", "not text")],
)  # fmt: skip
def test_what_is_not_a_spectrum_says_so(tmp_path: Path, text: str, why: str):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(SpectrumError, match=why):
        read_spectrum(tmp_path / "x.csv")


def test_what_can_be_mended_is_mended_and_reported():
    order = np.random.default_rng(0).permutation(len(F))
    z = np.append(Z[order], [Z[3], np.nan])
    spectrum = Spectrum.from_arrays("x", np.append(F[order], [F[3], 1.0]), z.conj())
    assert spectrum.impedance_ohm == pytest.approx(Z)
    notes = " ".join(spectrum.notes)
    for part in (
        "1 of 52 points is not a number",
        "1 repeated",
        "not in order",
        "imaginary part is positive",
    ):
        assert part in notes


def test_units_can_be_given_and_are_checked(tmp_path: Path):
    (tmp_path / "x.txt").write_text(write_rows(" ", khz=1e-3, kohm=1e-3))
    spectrum = read_spectrum(tmp_path / "x.txt", frequency_unit="kHz", impedance_unit="kohm")
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-4)
    with pytest.raises(SpectrumError, match="not a unit"):
        read_spectrum(tmp_path / "x.txt", frequency_unit="parsec")


def read_cards(run: Path) -> dict[str, Any]:
    """Data that the script of the page works on."""
    text = (run / PAGE).read_text(encoding="utf-8").partition('id="data">')[2].partition("<")[0]
    blob = gzip.decompress(base64.b64decode(text))
    header: dict[str, Any] = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    return header


def map_spectra(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Data of the card of each spectrum, by its name."""
    names = next(column["values"] for column in data["columns"] if column["key"] == "material_id")
    return dict(zip(names, data["spectra"]["rows"], strict=True))


def map_processes(data: dict[str, Any], name: str) -> dict[str, list[Any]]:
    """Rows of the first table on the card of a spectrum, by their process."""
    names = next(column["values"] for column in data["columns"] if column["key"] == "material_id")
    return {row[0]: row for row in data["measured"][names.index(name)]["tables"][0]["rows"]}


def read_page(run: Path) -> str:
    """The page without its data and its scripts."""
    page = (run / PAGE).read_text(encoding="utf-8")
    return re.sub(r"<script[^>]*>[^<]*(?:<(?!/script>)[^<]*)*</script>", "", page)


# Validation and fit


CIRCUITS = ("R0-p(R1,CPE1)-p(R2,CPE2)-CPE0", "L0-R0-p(R1-W1,C1)-p(R2,CPE2,R3)", "R0-p(R1-Wo1,C1)", "R0-Zarc1", "R1")


@pytest.mark.parametrize("text", CIRCUITS)
def test_circuits_are_those_of_impedance_py_and_their_slopes_are_right(text: str):
    from impedance.models.circuits import CustomCircuit

    circuit, grid = parse_circuit(text), Grid.from_frequencies(F)
    values = np.where(circuit.exponents, 0.8, 10 ** np.random.default_rng(0).uniform(-1, 1, len(circuit.names)))
    theirs = CustomCircuit(text, initial_guess=values.tolist())
    assert theirs.get_param_names() == ([*circuit.names], [*circuit.units])
    with pytest.warns(UserWarning, match="initial"):
        expected = theirs.predict(F, use_initial=True)
    z, slopes = circuit.respond(values, grid)
    assert z == pytest.approx(expected, rel=1e-9)
    for at, exponent in enumerate(circuit.exponents):
        step = np.eye(len(values))[at] * 1e-6
        up, down = (values + step, values - step) if exponent else (values * np.exp(step), values * np.exp(-step))
        change = (circuit.respond(up, grid)[0] - circuit.respond(down, grid)[0]) / 2e-6
        assert slopes[at] == pytest.approx(change, abs=1e-6 * float(np.abs(z).max()))


@pytest.mark.parametrize(
    ("text", "why"),
    [("R0-p(R1,banana)", "no element 'banana'"), ("R0-", "missing"), ("p(R1,C1", "missing"), ("R0)", "too many"),
     ("R1-R1", "one name"), ("", "missing"), ("R1-?", "not an element")],
)  # fmt: skip
def test_what_is_not_a_circuit_says_why(text: str, why: str):
    with pytest.raises(SpectrumError, match=why):
        parse_circuit(text)


def test_the_kramers_kronig_test_is_that_of_impedance_py():
    from impedance.models.circuits.elements import circuit_elements
    from impedance.validation import linKK

    circuit_elements.setdefault("np", np)  # it evaluates text in which numbers of numpy 2 name that
    for seed, noise in enumerate((0.001, 0.005, 0.02)):
        z = add_noise(Z, noise, seed)
        with redirect_stdout(StringIO()):
            elements, _, _, real, imaginary = linKK(F, z, c=0.5, max_M=len(F) - 2, fit_type="complex", add_cap=True)
        check = check_kramers_kronig(Spectrum.from_arrays("x", F, z))
        assert check.elements == elements
        assert check.real == pytest.approx(real, abs=1e-6)
        assert check.imaginary == pytest.approx(imaginary, abs=1e-6)


def test_noise_alone_is_no_fault_and_a_point_that_is_off_is_left_out_of_the_fit():
    assert {
        check_kramers_kronig(Spectrum.from_arrays("x", F, add_noise(Z, 0.02, seed))).verdict for seed in range(10)
    } == {"good"}
    z = add_noise(Z, 0.003)
    z[20] *= 1.3
    analysis = analyze_spectrum(Spectrum.from_arrays("x", F, z))
    assert analysis.test.off == (20,)
    assert any("left out of the fit: 838 Hz" in note or "left out" in note for note in analysis.notes)
    assert analysis.fit["CPE0_1"] == pytest.approx(0.7, abs=0.02)
    assert len(analysis.fit.impedance_ohm) == len(F)


def test_a_measured_spectrum_passes_and_a_drifting_one_does_not():
    good = check_kramers_kronig(Spectrum.from_arrays("x", F, add_noise(Z, 0.001)))
    assert good.verdict == "good"
    assert good.rms < 0.003
    drifting = Z * np.linspace(1.0, 1.5, len(F)) * np.exp(0.15j * np.sin(np.linspace(0, 25, len(F))))
    assert check_kramers_kronig(Spectrum.from_arrays("x", F, drifting)).verdict != "good"


def test_two_arcs_and_blocking_electrodes_are_found_without_a_value_to_start_from():
    fit, tried = choose_circuit(Spectrum.from_arrays("x", F, add_noise(Z, 0.005)))
    assert fit.circuit == "p(R1,CPE1)-p(R2,CPE2)-CPE0"
    assert len(tried) >= 9
    by_process = {one.process: one for one in list_resistances(fit)}
    assert by_process["bulk"].ohm == pytest.approx(2e4, rel=0.05)
    assert by_process["grain_boundary"].ohm == pytest.approx(9e4, rel=0.05)
    assert by_process["total"].ohm == pytest.approx(1.1e5, rel=0.02)
    assert by_process["total"].relative_std < by_process["grain_boundary"].relative_std + 0.01


@pytest.mark.parametrize(
    ("z", "circuit"),
    [(arc(1e4, 1e-9, 0.9), "p(R1,CPE1)"), (100 + cpe(1e-6, 0.85), "R1-CPE0"),
     (arc(1e4, 1e-9, 0.9) + cpe(1e-5, 0.8), "p(R1,CPE1)-CPE0")],
)  # fmt: skip
def test_the_simplest_adequate_circuit_is_chosen(z: np.ndarray, circuit: str):
    fit, _ = choose_circuit(Spectrum.from_arrays("x", F, add_noise(z, 0.01)))
    assert fit.circuit == circuit


@pytest.mark.long
def test_intervals_hold_as_often_as_they_say():
    inside, n = 0, 40
    for seed in range(n):
        fit = fit_circuit(
            Spectrum.from_arrays("x", F, add_noise(arc(1e4, 1e-9, 0.9) + cpe(1e-5, 0.8), 0.01, seed)), "p(R1,CPE1)-CPE0"
        )
        at = fit.names.index("R1")
        inside += fit.low[at] < 1e4 < fit.high[at]
    assert inside >= 34  # 38 expected of 40


def test_the_user_has_a_circuit_of_their_own():
    fit = fit_circuit(Spectrum.from_arrays("x", F, 50 + arc(1e4, 1e-9, 1.0)), "R0-p(R1,C1)")
    assert fit["R0"] == pytest.approx(50, rel=1e-3)
    assert fit["C1"] == pytest.approx(1e-9, rel=1e-3)


def test_a_resistance_is_read_off_without_a_fit():
    shown = read_intercept(Spectrum.from_arrays("x", F, Z))
    assert shown.complete
    assert shown.ohm == pytest.approx(1.1e5, rel=0.1)
    short = read_intercept(Spectrum.from_arrays("x", F[:9], two_arcs(F[:9])))
    assert not short.complete
    notes = analyze_spectrum(Spectrum.from_arrays("x", F[:9], two_arcs(F[:9]))).notes
    assert any("resistance is at least" in note for note in notes)
    blocked = read_intercept(Spectrum.from_arrays("x", F, 100 + cpe(1e-6, 0.9)))
    assert blocked.complete
    assert blocked.ohm == pytest.approx(100, rel=0.05)


def test_a_bound_is_shown_as_one(tmp_path: Path):
    z = two_arcs(F[:9])
    table = pd.DataFrame({"freq (Hz)": F[:9], "Re(Z) (ohm)": z.real, "Im(Z) (ohm)": z.imag})
    table.to_csv(tmp_path / "short_25C.csv", index=False)
    out = tmp_path / "out"
    options = ("--thickness-mm", "1", "--diameter-mm", "10", "-o", str(out))
    result = CliRunner().invoke(app, ["impedance", str(tmp_path / "short_25C.csv"), *options])
    assert result.exit_code == 0, result.output
    spectra = pd.read_parquet(out / "spectra.parquet")
    (row,) = spectra[spectra["process"] == "at_least"].to_dict("records")
    assert f"≥ {row['resistance_ohm']:.3g}" in result.output
    assert f"≤ {row['sigma_s_cm']:.3g}" in result.output
    processes = map_processes(read_cards(out), "short_25C")
    assert processes["At least"][1][0].startswith("≥ ")
    assert processes["At least"][2][0].startswith("≤ ")
    assert not any(text.startswith(("≥", "≤")) for cell in processes["Total"] for text in cell)


def test_leads_and_a_tail_of_warburg_are_recognized():
    z = 2j * np.pi * F * 5e-7 + 3 + arc(50, 1e-7, 0.9) + cpe(1e-3, 0.8)
    fit, _ = choose_circuit(Spectrum.from_arrays("x", F, add_noise(z, 0.003)))
    assert fit.circuit == "L0-R0-p(R1,CPE1)-CPE0"
    assert fit["L0"] == pytest.approx(5e-7, rel=0.05)
    z = arc(1e4, 1e-9, 0.9) + 3e4 * (1 - 1j) / np.sqrt(2 * np.pi * F)
    tail, _ = choose_circuit(Spectrum.from_arrays("x", F, add_noise(z, 0.003)))
    assert tail.circuit == "p(R1,CPE1)-W0"


def test_intervals_widen_where_the_circuit_does_not_fit_and_where_another_fits_as_well():
    narrow = fit_circuit(Spectrum.from_arrays("x", F, add_noise(Z, 0.003)), "p(R1,CPE1)-p(R2,CPE2)-CPE0")
    assert narrow.widened == 1.0
    misfit = fit_circuit(Spectrum.from_arrays("x", F, add_noise(Z, 0.003)), "p(R1,CPE1)-CPE0")
    assert misfit.widened > 2
    f = np.logspace(6, 2.2, 50)  # ends upon the second arc
    z = add_noise(arc(968e3, 6e-11, 0.9, f) + arc(2e5, 4.7e-8, 0.88, f), 0.016)
    cut = analyze_spectrum(Spectrum.from_arrays("x", f, z))
    alone = {one.process: one for one in list_resistances(cut.fit)}["total"]
    among = {one.process: one for one in list_resistances(cut.fit, rivals=cut.tried)}["total"]
    assert among.high_ohm / among.low_ohm > alone.high_ohm / alone.low_ohm
    assert among.low_ohm < 1.168e6 < among.high_ohm


def test_an_arc_is_named_by_its_capacitance_and_alike_over_a_series():
    bulk = fit_circuit(Spectrum.from_arrays("x", F, arc(1e5, 5e-12, 1.0)), "p(R1,CPE1)")
    boundary = fit_circuit(Spectrum.from_arrays("x", F, 300 + arc(1e4, 2e-9, 0.95)), "R0-p(R1,CPE1)")
    electrode = fit_circuit(Spectrum.from_arrays("x", F, 300 + arc(1e4, 1e-5, 0.95)), "R0-p(R1,CPE1)")
    assert [one.process for one in list_resistances(bulk, 0.4)] == ["bulk", "total"]
    assert [one.process for one in list_resistances(boundary, 0.4)] == ["bulk", "grain_boundary", "total"]
    assert [one.process for one in list_resistances(electrode, 0.4)] == ["electrode", "series", "total"]
    assert list_resistances(electrode, 0.4)[-1].ohm == pytest.approx(300, rel=0.01)
    assert [one.process for one in list_resistances(bulk, 0.4, boundary_f_cm=1e-12)] == ["grain_boundary", "total"]


# Conductivity


def test_a_pellet_is_measured_in_any_way():
    round_one = Geometry.from_mm(2.0, diameter_mm=10.0, thickness_std_mm=0.1, diameter_std_mm=0.1)
    assert round_one.constant_per_cm == pytest.approx(0.2 / (np.pi * 0.25))
    assert round_one.relative_std == pytest.approx(np.hypot(0.05, 0.02))
    assert Geometry.from_mm(2.0, area_cm2=0.5).constant_per_cm == pytest.approx(0.4)
    for bad in ({}, {"diameter_mm": 1.0, "area_cm2": 1.0}, {"diameter_mm": -1.0}):
        with pytest.raises(SettingsError):
            Geometry.from_mm(2.0, **bad)


T = np.array([300.0, 320, 340, 360, 380, 400, 420, 440])


def make_conductivities(energy: float, t: np.ndarray = T, spread: float = 0.02, seed: int = 0) -> np.ndarray:
    return 1e4 / t * np.exp(-energy / (KB_EV_K * t)) * np.random.default_rng(seed).lognormal(0, spread, len(t))


def test_activation_energies_lie_in_their_intervals_as_often_as_stated():
    inside = 0
    for seed in range(100):
        line = fit_arrhenius(T, make_conductivities(0.4, seed=seed), np.full(len(T), 0.02))
        inside += line.ea_low_ev < 0.4 < line.ea_high_ev
    assert 88 <= inside <= 99
    assert line.sigma_25c_low_s_cm < 1e4 / 298.15 * np.exp(-0.4 / (KB_EV_K * 298.15)) * 1.1
    assert line.prefactor == pytest.approx(1e4, rel=0.5)
    other = fit_arrhenius(T, make_conductivities(0.4), np.full(len(T), 0.02), "ln_sigma")
    assert 0.35 < other.ea_ev < 0.4  # without the factor T


def test_a_point_off_the_line_is_shown_and_two_regimes_are_reported():
    sigma = make_conductivities(0.4)
    sigma[3] *= 2
    assert fit_arrhenius(T, sigma, np.full(len(T), 0.02)).outliers == (3,)
    kink = np.where(T < 370, make_conductivities(0.6) * np.exp(0.2 / (KB_EV_K * 370)), make_conductivities(0.4))
    low, high = fit_regimes(T, kink, np.full(len(T), 0.02))
    assert low.ea_ev == pytest.approx(0.6, abs=0.03)
    assert high.ea_ev == pytest.approx(0.4, abs=0.03)
    assert len(fit_regimes(T, make_conductivities(0.4), np.full(len(T), 0.02))) == 1
    with pytest.raises(SpectrumError, match="three temperatures"):
        fit_arrhenius(T[:2], sigma[:2], [0.01, 0.01])


def test_two_regimes_and_outliers_are_rare_on_straight_lines():
    two = off = 0
    for seed in range(200):
        sigma = make_conductivities(0.4, seed=seed)
        two += len(fit_regimes(T, sigma, np.full(len(T), 0.02))) == 2
        off += bool(fit_arrhenius(T, sigma, np.full(len(T), 0.02)).outliers)
    assert two <= 6
    assert off <= 12
    again = np.repeat(T[:4], 2)  # heating and cooling
    assert len(fit_regimes(again, make_conductivities(0.4, again), np.full(8, 0.02))) == 1


# The command


def test_the_measured_series_gives_both_arcs_at_every_temperature(shared: Path, tmp_path: Path):
    arguments = ["impedance", str(shared / "data" / "eis"), "--thickness-mm", "2.1", "--diameter-mm", "8"]
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    spectra = pd.read_parquet(tmp_path / "spectra.parquet")
    for process in ("bulk", "grain_boundary", "total"):
        part = spectra[spectra["process"] == process].sort_values("temperature_k")
        assert len(part) == 7
        assert (np.diff(part["sigma_s_cm"]) > 0).all()
    assert set(spectra["kramers_kronig"]) == {"good"}
    lines = pd.read_parquet(tmp_path / "arrhenius.parquet")
    assert set(lines["process"]) == {"bulk", "grain_boundary", "total"}
    assert (lines["ea_low_ev"] < lines["ea_high_ev"]).all()
    page, data = read_page(tmp_path), read_cards(tmp_path)
    assert "<li>s04147-140deg: the temperature, 140 °C, is from the name" in page  # names are not capitalized
    assert page.count("data:image/png;base64") == 2  # Arrhenius lines, distributions of relaxation times
    assert "<b>0.856 eV</b>" in page  # of the total, at the head
    assert sorted(map_spectra(data)) == sorted(set(spectra["file"]))
    assert data["images"] == {}  # cards are drawn from points
    assert not re.search(r"""(?:src|href)=["']?(?:http|//)""", page)
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "figures" / "spectra").glob("s*.png")}
    assert len(drawn) == 7
    assert CliRunner().invoke(app, [*arguments, "-o", str(tmp_path)]).exit_code == 0
    assert all(path.stat().st_mtime_ns == time for path, time in drawn.items())  # what is drawn is kept


def test_bad_files_are_rows_and_names_run_nothing(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(6):
        (folder / f"good {n}.csv").write_text(FILES["plain.csv"], encoding="utf-8")
    (folder / "<script>alert(1)<.csv").write_text(FILES["plain.csv"], encoding="utf-8")
    (folder / "bad.csv").write_text("nothing")
    result = CliRunner().invoke(app, ["impedance", str(folder), "--temperature-c", "25", "-o", str(tmp_path / "out")])
    assert result.exit_code == 1, result.output
    assert "7 of 8 spectra" in result.output
    assert pd.read_parquet(tmp_path / "out" / "failures.parquet")["material_id"].tolist() == ["bad"]
    spectra = pd.read_parquet(tmp_path / "out" / "spectra.parquet")
    assert spectra["sigma_s_cm"].isna().all()
    assert spectra["temperature_k"].unique().tolist() == [298.15]
    assert "<script>alert" not in (tmp_path / "out" / PAGE).read_text()
    assert len(map_spectra(read_cards(tmp_path / "out"))) == 7
    assert len(pd.read_parquet(tmp_path / "out" / "parameters.parquet")) == 7 * 8


@pytest.mark.parametrize(
    ("more", "what"),
    [(["--diameter-mm", "8"], "thickness"), (["--thickness-mm", "1"], "area"), (["--temperature-c", "warm"], "warm")],
)
def test_options_that_make_no_sense_are_reported(tmp_path: Path, more: list[str], what: str):
    (tmp_path / "x.csv").write_text(FILES["plain.csv"], encoding="utf-8")
    result = CliRunner().invoke(app, ["impedance", str(tmp_path / "x.csv"), *more, "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, SettingsError)
    assert what in str(result.exception)


def test_a_given_circuit_is_found_as_the_chosen_one_is_whatever_its_tail_is_called():
    rng = np.random.default_rng(1)
    for _ in range(10):
        r0, r1, q1, q2 = 10 ** rng.uniform((0, 2, -10, -7), (3, 6, -7, -5))
        z = r0 + arc(r1, q1, rng.uniform(0.8, 1.0)) + cpe(q2, rng.uniform(0.7, 0.95))
        z *= 1 + 0.003 * (rng.normal(size=len(F)) + 1j * rng.normal(size=len(F)))
        assert fit_circuit(Spectrum.from_arrays("x", F, z), "R0-p(R1,CPE1)-CPE2").rms < 0.006


def write_table(path: Path, head: str, rows: list[str]) -> Path:
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    return path


def test_a_unit_does_not_begin_in_the_name_before_it(tmp_path: Path):
    z = two_arcs()
    rows = [f"{f:.6g}\t{one.real:.6g}\t{one.imag:.6g}" for f, one in zip(F, z, strict=True)]
    read = read_spectrum(write_table(tmp_path / "a.txt", "Freq Hz\tZre ohm\tZim ohm", rows))
    assert read.impedance_ohm == pytest.approx(z, rel=1e-4)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_decimal_commas_under_german_names(tmp_path: Path, mark: str):
    z = two_arcs()
    rows = [mark.join((f"{f:.6g}", f"{one.real:.6g}", f"{one.imag:.6g}")) for f, one in zip(F, z, strict=True)]
    head = mark.join(("Frequenz [Hz]", "Realteil Z [Ohm]", "Imaginärteil Z [Ohm]"))
    read = read_spectrum(write_table(tmp_path / "a.csv", head, [row.replace(".", ",") for row in rows]))
    assert read.impedance_ohm == pytest.approx(z, rel=1e-4)
    unknown = write_table(tmp_path / "b.csv", mark.join("xyz"), [row.replace(".", ",") for row in rows])
    assert read_spectrum(unknown).impedance_ohm == pytest.approx(z, rel=1e-4)


def test_empty_lines_and_cells_do_not_end_a_spectrum(tmp_path: Path):
    rows = [f"{f:.6g},{one.real:.6g},{one.imag:.6g}" for f, one in zip(F, two_arcs(), strict=True)]
    rows[12:12] = [""]
    rows[20] = rows[20].split(",")[0] + ",,"
    read = read_spectrum(write_table(tmp_path / "a.csv", "freq (Hz),Z' (ohm),Z'' (ohm)", rows))
    assert len(read) == len(F) - 1
    assert any("1 of 50 points" in note for note in read.notes)


@pytest.mark.parametrize("head", ["Frequency (Hz),d' (pC/N),d'' (pC/N)", "Time (s),Voltage (V),Current (A)"])
def test_columns_of_another_measurement_are_not_spectrum(tmp_path: Path, head: str):
    rows = [f"{f:.6g},{1e-3 * f:.6g},{2e-3 * f:.6g}" for f in F]
    with pytest.raises(SpectrumError, match="holds no impedance"):
        read_spectrum(write_table(tmp_path / "a.csv", head, rows))


def test_temperatures_that_differ_by_rounding_are_one():
    t = np.array([298.15, 298.15000000000003, 298.1499999999999])
    with pytest.raises(SpectrumError, match="there are 1"):
        fit_arrhenius(t, np.full(3, 1e-6), np.full(3, 0.01))
    t = np.array([298.15, 298.15000000000003, 318.15, 318.1499999999999, 338.15])
    line = fit_arrhenius(t, np.exp(-0.4 / (KB_EV_K * t)) / t, np.full(5, 0.01))
    assert line.ea_ev == pytest.approx(0.4)


def test_a_temperature_for_no_file_is_reported(tmp_path: Path):
    rows = [f"{f:.6g},{one.real:.6g},{one.imag:.6g}" for f, one in zip(F, two_arcs(), strict=True)]
    path = write_table(tmp_path / "pellet.csv", "freq (Hz),Z' (ohm),Z'' (ohm)", rows)
    for given, said in (
        ("nosuch=25", "names no file"),
        ("-400", "not a temperature"),
        ("pellet#x=25", "names no file"),
    ):
        result = CliRunner().invoke(
            app, ["impedance", str(path), "--temperature-c", given, "-o", str(tmp_path / "out")]
        )
        assert isinstance(result.exception, SettingsError)
        assert said in str(result.exception)
    command = ["impedance", str(path), "--temperature-c", "25", "--temperature-c", "40", "-o", str(tmp_path / "out")]
    assert "--temperature-c is given 2 times" in str(CliRunner().invoke(app, command).exception)
    command = ["impedance", str(path), "--temperature-c", "pellet.csv=40", "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert pd.read_parquet(tmp_path / "out" / "spectra.parquet")["temperature_k"].iloc[0] == pytest.approx(313.15)


def test_resistances_beyond_the_data_are_noted_as_extrapolated():
    f = F[F > 10]
    notes = analyze_spectrum(Spectrum.from_arrays("x", f, arc(1e6, 1e-11, 1.0, f) + arc(1e9, 1e-10, 1.0, f))).notes
    assert any("extrapolated" in note for note in notes)
    assert not any("extrapolated" in note for note in analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs())).notes)


def test_thousands_and_lines_that_follow_a_table_are_reported(tmp_path: Path):
    z = two_arcs()
    rows = [f"{f:,.1f};{one.real:,.1f};{one.imag:,.1f}" for f, one in zip(F, z, strict=True) if f > 10]
    spectrum = read_spectrum(write_table(tmp_path / "a.csv", "Frequency (Hz);Z' (ohm);Z'' (ohm)", rows))
    assert spectrum.impedance_ohm == pytest.approx(z[F > 10], rel=1e-3)
    assert any("thousands" in note for note in spectrum.notes)
    rows = [f"{f:.6g},{one.real:.6g},{one.imag:.6g}" for f, one in zip(F, z, strict=True)]
    rows[30:30] = ["the second sweep"]
    rows[20] = rows[20].split(",")[0] + ",n/a,n/a"
    spectrum = read_spectrum(write_table(tmp_path / "b.csv", "freq (Hz),Z' (ohm),Z'' (ohm)", rows))
    assert len(spectrum) == 29
    assert any("20 more lines of numbers are unread" in note for note in spectrum.notes)
    with pytest.raises(SpectrumError, match="no line has three numbers"):
        read_spectrum(write_table(tmp_path / "c.csv", "freq (Hz),Z' (ohm),Z'' (ohm)", []))


def make_sigma_table(sigma: np.ndarray, process: str = "total", t: np.ndarray = T) -> pd.DataFrame:
    return pd.DataFrame({"file": [f"at {k:.0f}" for k in t], "sweep": 1, "temperature_k": t, "process": process,
                         "sigma_s_cm": sigma, "sigma_std_s_cm": 0.02 * sigma})  # fmt: skip


def test_what_is_not_a_line_is_reported_in_words_and_warns_of_nothing():
    falling, scattered = make_conductivities(-0.2), make_conductivities(0.5, spread=30.0)
    for sigma, why in ((falling, "does not rise"), (scattered, "says nothing")):
        (line,) = fit_process("total", make_sigma_table(sigma))
        assert why in line.row.fault
        assert why in line.row.fault_ln_sigma
    assert find_fault(0.4, 0.3, 0.5) == ""
    zero, none = make_conductivities(0.4) * (T > 310), make_table([], ArrheniusRow)
    assert len(split_by_process(make_sigma_table(zero))["total"]) == len(T) - 1  # what has no logarithm is not a point
    assert fit_process("total", make_sigma_table(zero)) == []
    assert any("on no Arrhenius line: 1" in note for note in list_line_notes(make_sigma_table(zero), none))
    assert list_line_notes(make_sigma_table(make_conductivities(0.4)), none) == [
        "no Arrhenius line could be fitted to total"
    ]


def test_two_regimes_differ_by_an_energy_that_matters():
    t = np.linspace(300, 440, 40)
    for step, n in ((0.02, 1), (0.06, 2)):
        kink = 0.4 + step * (t < 370)
        sigma = 1e4 / t * np.exp(-kink * (1 / t - 1 / 370) / KB_EV_K)
        assert len(fit_regimes(t, sigma * (1 + 1e-4 * np.sin(7 * np.arange(40))), np.full(40, 0.01))) == n


def test_a_total_far_from_the_axis_is_reported_and_a_total_beyond_the_data_is_in_the_words():
    one = analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs()))
    assert compare_with_intercept(one) is one
    wrong = compare_with_intercept(replace(one, intercept=one.intercept._replace(ohm=1e4)))
    assert "far from what is read off" in wrong.notes[-1]
    assert compare_with_intercept(wrong) is wrong
    f = F[F > 10]
    far = analyze_spectrum(Spectrum.from_arrays("y", f, arc(1e6, 1e-11, 1.0, f) + arc(1e9, 1e-10, 1.0, f)))
    assert any("total of y is extrapolated" in note for note in list_series_notes([one, far], None, 3e-11))


@pytest.mark.parametrize(
    ("more", "what"),
    [(["--circuit", "R0-banana"], "--circuit: 'R0-banana' is not a circuit"),
     (["--thickness-mm", "1", "--diameter-mm", "8", "--area-cm2", "1"], "given twice"),
     (["--thickness-mm", "nan", "--diameter-mm", "8"], "thickness is nan"),
     (["--thickness-mm", "1", "--diameter-mm", "8", "--diameter-std-mm", "-1"], "deviation of the diameter"),
     (["--diameter-mm", "0"], "thickness"), (["--temperature-c", "y=25"], "There are x.csv")],
)  # fmt: skip
def test_settings_are_refused_before_the_run(tmp_path: Path, more: list[str], what: str):
    (tmp_path / "x.csv").write_text(FILES["plain.csv"], encoding="utf-8")
    result = CliRunner().invoke(app, ["impedance", str(tmp_path / "x.csv"), *more, "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, SettingsError)
    assert what in str(result.exception)
    assert not (tmp_path / "out").exists()


def run_files(folder: Path, files: dict[str, str], *, code: int = 0) -> Path:
    """The run folder of files with these names and contents."""
    (folder / "in").mkdir()
    for name, text in files.items():
        (folder / "in" / name).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["impedance", str(folder / "in"), "-o", str(folder / "out")])
    assert result.exit_code == code, result.output
    return folder / "out"


def test_the_report_leads_from_rows_to_spectra_and_says_why_files_failed(tmp_path: Path):
    names = [f"a_<b>\"'_{n}" for n in range(2)]
    good = {f"{name}.csv": FILES["plain.csv"] for name in names}
    out = run_files(tmp_path, {**good, "p.csv": "\0\1\2binary", "q.csv": "hello\nworld\n"}, code=1)
    page, data = read_page(out), read_cards(out)
    assert "2 of 4 spectra" in page
    assert "What failed: 2" in page
    for name, why in (("p", "not text"), ("q", "holds no spectrum")):
        assert re.search(rf'<th scope="row">{name}</th><td>impedance</td><td>[^<]*{why}', page)
    assert '<b>"' not in (out / PAGE).read_text(encoding="utf-8")
    assert all(name in unescape(page) for name in names)
    assert sorted(map_spectra(data)) == names  # as they are, underscores too
    assert {"Bulk", "Grain boundary", "Total"} <= set(map_processes(data, names[0]))
    assert data["columns"][0]["label"] == "spectrum"
    assert data["steps"] == [[]]  # what was measured is not computed next


def test_spectra_without_a_temperature_have_a_report(tmp_path: Path):
    out = run_files(tmp_path, dict.fromkeys(("a.csv", "b.csv"), FILES["plain.csv"]))
    contents, data = read_run(out), read_cards(out)
    assert contents.table["temperature_k"].isna().all()
    assert "2 spectra" in read_page(out)
    assert sorted(map_spectra(data)) == ["a", "b"]
    assert "temperature_k" not in [column["key"] for column in data["columns"]]
    assert data["axes"][1] == "resistance_ohm"  # there is no pellet, either


def test_a_damaged_run_folder_is_refused_by_the_name_of_its_file(tmp_path: Path):
    out = run_files(tmp_path, {"a.csv": FILES["plain.csv"]})
    for name in ("failures.parquet", "arrhenius.parquet"):
        whole = (out / name).read_bytes()
        (out / name).write_bytes(whole[:-9])
        with pytest.raises(SettingsError, match=f"{name} cannot be read"):
            write_report(out)
        (out / name).write_bytes(whole)
    pd.DataFrame({"process": ["total"]}).to_parquet(out / "arrhenius.parquet")
    with pytest.raises(SettingsError, match="are damaged: KeyError: 'fault'"):
        write_report(out)


def test_arcs_are_seen_beside_a_long_tail():
    short = analyze_spectrum(Spectrum.from_arrays("x", F, add_noise(arc(1e3, 1e-9, 1.0) + cpe(1e-6, 0.9), 0.003)))
    (arcs,) = (axes for axes in plot_spectrum(short).axes if axes.get_xlabel().endswith("the arcs"))
    assert arcs.get_xlabel().startswith("Z' (kΩ)")
    left, right = arcs.get_xlim()
    assert left < 0
    assert 1.2 < right < 2.5  # the arc is 1 kilohm wide, the tail ends at 1e6 ohm
    whole = analyze_spectrum(Spectrum.from_arrays("x", F, add_noise(arc(1e5, 1e-9, 1.0), 0.003)))
    assert not any(axes.get_xlabel().endswith("the arcs") for axes in plot_spectrum(whole).axes)


def test_numbers_keep_the_digits_they_have():
    column = Column("x", "x", "Ω", -3)
    texts = [format_value(value, column) for value in (7e-12, 1e-5, 100.0, 0.5, 0.0)]
    assert texts == ["7.00e-12 Ω", "1.00e-05 Ω", "100 Ω", "0.500 Ω", "0 Ω"]


def test_a_folder_of_another_command_is_refused(tmp_path: Path):
    (tmp_path / "run.toml").write_text('format = 2\ncommand = "screen"\n', encoding="utf-8")
    (tmp_path / "x.csv").write_text(FILES["plain.csv"], encoding="utf-8")
    result = CliRunner().invoke(app, ["impedance", str(tmp_path / "x.csv"), "-o", str(tmp_path)])
    assert isinstance(result.exception, SettingsError)
    assert "holds a run of phonolyte screen" in str(result.exception)


# Spectra that are not what they should be


OMEGA = 2 * np.pi * F
CAPACITOR = 1 / (1j * OMEGA * 1e-9)
DEGENERATE = {
    "capacitor": (F, CAPACITOR),
    "capacitor of five points": (F[::12], CAPACITOR[::12]),
    "inductor": (F, 1j * OMEGA * 1e-6),
    "capacitor and inductor": (F, CAPACITOR + 1j * OMEGA * 1e-6),
    "resistor": (F, np.full(len(F), 100.0) + np.linspace(0, 1e-3, len(F)) + 0j),
    "warburg": (F, 1e3 * (1 - 1j) / np.sqrt(OMEGA)),
    "few negative real parts": (F, CAPACITOR + np.where(np.arange(len(F)) < 5, -1.0, 1.0)),
    "repeated frequencies": (np.repeat(F[:9], 2), np.repeat(CAPACITOR[:9], 2)),
    "all off": (F, 1e3 * np.exp(5 * np.sin(7.0 * np.arange(50)) - 1j * (0.75 + 0.7 * np.cos(5.0 * np.arange(50))))),
}
PELLET = ImpedanceSettings(thickness_mm=1.0, diameter_mm=10.0)
HOPELESS = {
    "negative real parts": (F, CAPACITOR - 100.0, "real parts are below zero"),
    "two points": (F[:2], CAPACITOR[:2], "has 2 points"),
    "constant": (F, np.full(len(F), 5 - 3j), "zero or all the same"),
    "zero": (F, np.zeros(len(F), complex), "zero or all the same"),
    "huge": (F, CAPACITOR * 1e150, "its impedances are 1.59e+152"),
    "tiny": (F, CAPACITOR * 1e-150, "its impedances are 1.59e-148"),
    "one frequency": (np.full(len(F), 1e3), CAPACITOR, "has 1 point:"),
    "frequencies close together": (1e3 + np.arange(50.0), CAPACITOR, "1000 to 1049 Hz, are nearly the same"),
}


def export_spectrum(folder: Path, name: str, f: np.ndarray, z: np.ndarray) -> Path:
    rows = [f"{hz:.12g},{ohm.real:.12g},{ohm.imag:.12g}" for hz, ohm in zip(f, z, strict=True)]
    return write_table(folder / f"{name}.csv", "frequency (Hz),Z' (ohm),Z'' (ohm)", rows)


@pytest.mark.long
def test_no_spectrum_ends_a_batch(tmp_path: Path):
    files = [export_spectrum(tmp_path, f"{name}_25C", f, z) for name, (f, z) in DEGENERATE.items()]
    files.insert(1, export_spectrum(tmp_path, "good_40C", F, two_arcs()))
    files.append(export_spectrum(tmp_path, "resistor_50C", *DEGENERATE["resistor"]))
    series = verbs.impedance(files, folder=tmp_path / "out", settings=PELLET)
    assert [one.name for one in series.analyses] == [file.stem for file in files]
    assert not series.failures
    assert len(series.parameters) > 0
    assert (series.spectra["sigma_s_cm"].dropna() > 0).all()
    good = series.spectra.query("file == 'good_40C' and process == 'total'")
    assert good["resistance_ohm"].item() == pytest.approx(1.1e5, rel=0.01)
    assert set(series.points["file"]) <= {file.stem for file in files}
    assert all(isinstance(note, str) for note in (*series.notes, *series.remarks))
    data = read_cards(tmp_path / "out")
    assert data["n"] == len(files)
    assert sorted(map_spectra(data)) == sorted(file.stem for file in files)
    assert "no figure" not in (tmp_path / "out" / "run.toml").read_text(encoding="utf-8")


def test_what_is_hopeless_is_a_failure_that_says_why(tmp_path: Path):
    files = [export_spectrum(tmp_path, name, f, z) for name, (f, z, _) in HOPELESS.items()]
    series = verbs.impedance(files, folder=tmp_path / "out", settings=PELLET)
    assert [failure.material_id for failure in series.failures] == list(HOPELESS)
    for failure, (_, _, why) in zip(series.failures, HOPELESS.values(), strict=True):
        assert failure.error == "SpectrumError"
        assert why in failure.message
    for table in (series.spectra, series.parameters, series.arrhenius, series.points):
        assert table.empty
        assert len(table.columns) > 5
    page = read_page(tmp_path / "out")
    assert f"0 of {len(HOPELESS)} spectra" in page
    assert f"What failed: {len(HOPELESS)}" in page
    assert all(why in unescape(page) for _, _, why in HOPELESS.values())


def test_a_capacitor_has_no_resistance_and_the_result_says_so():
    series = Series.from_analyses([analyze_spectrum(Spectrum.from_arrays("x", F, CAPACITOR))], Geometry(0.1, 0.785))
    assert {"total", "at_least"} <= set(series.spectra["process"])
    assert series.spectra[["resistance_ohm", "sigma_s_cm"]].isna().all(axis=None)
    assert any("does not determine all resistances" in note for note in series.remarks)
    assert any("no resistance can be read off: the real part is 0 ohm" in note for note in series.remarks)
    assert not any("resistance is at least" in note for note in series.remarks)


def test_a_spectrum_that_has_no_rows_or_no_figure_costs_no_other_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one = analyze_spectrum(Spectrum.from_arrays("good", F, two_arcs(), source="in/good.csv"))
    broken = replace(one, fit=replace(one.fit, names=()), spectrum=replace(one.spectrum, name="broken"))
    series = Series.from_analyses([broken, one])
    assert [analysis.name for analysis in series.analyses] == ["good"]
    assert [(failure.material_id, failure.source) for failure in series.failures] == [("broken", "in/good.csv")]

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no room for axes")

    monkeypatch.setattr("phonolyte.figures.impedance.spectrum_figure", refuse)
    drawings = draw(series, tmp_path / "figures")
    assert drawings.spectra == (None,)
    assert [(one.material_id, one.stage) for one in drawings.failures] == [("good", "figures")]
    out = run_files(tmp_path, {"good.csv": FILES["plain.csv"]})
    assert "No figure of good: no room for axes" in read_page(out)
    assert read_cards(out)["n"] == 1


# Tables


def test_a_process_has_one_row_with_both_forms_and_a_file_its_sweep():
    (line,) = fit_process("total", make_sigma_table(make_conductivities(0.4, spread=0.0)))
    assert line.row.regime == "1 of 1"
    assert line.row.ea_ev == pytest.approx(0.4, rel=1e-9)
    assert line.row.sigma_25c_s_cm == pytest.approx(1e4 / 298.15 * np.exp(-0.4 / (8.617333262e-5 * 298.15)), rel=1e-6)
    slope = np.polyfit(1 / T, np.log(make_conductivities(0.4, spread=0.0)), 1)[0]
    assert line.row.ea_ln_sigma_ev == pytest.approx(-slope * 8.617333262e-5, rel=1e-9)
    assert 0 < line.row.ea_ln_sigma_std_ev < 0.01
    kink = np.where(T < 370, make_conductivities(0.6) * np.exp(0.2 / (KB_EV_K * 370)), make_conductivities(0.4))
    cold, warm = fit_process("bulk", make_sigma_table(kink, "bulk"))
    assert (cold.row.regime, warm.row.regime) == ("1 of 2", "2 of 2")
    assert (cold.row.to_k, warm.row.from_k) == (360.0, 380.0)
    assert [point.temperature_k for line in (cold, warm) for point in line.points] == T.tolist()
    series = Series.from_analyses([analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs()))])
    assert series.spectra["sweep"].tolist() == [1] * len(series.spectra)
    assert series.spectra["temperature_k"].dtype == float


def test_a_point_off_the_line_is_marked_where_it_is_drawn():
    sigma = make_conductivities(0.4)
    sigma[3] *= 2
    (line,) = fit_process("total", make_sigma_table(sigma))
    assert line.row.outliers == "at 360"
    assert [point.file for point in line.points if point.off_line] == ["at 360"]


# Criteria: each is met on one side, and not on the other


def test_limits_of_a_spectrum():
    z = 1e3 + cpe(1e-6, 0.8)
    for n, accepted in ((4, False), (5, True)):
        assert _accepts(F[:: len(F) // n][:n], z[:: len(F) // n][:n]) is accepted
    for below, accepted in ((10, True), (11, False)):  # a fifth of 50
        assert _accepts(F, np.where(np.arange(50) < below, -1.0, 1.0) * z.real + 1j * z.imag) is accepted
    for inductive, turned in ((40, False), (41, True)):  # four fifths of 50
        shown = Spectrum.from_arrays("x", F, z.real + 1j * np.where(np.arange(50) < inductive, 1, -1) * abs(z.imag))
        assert bool(shown.notes) is turned
    for ratio, accepted in ((1.9, False), (2.1, True)):
        f = np.geomspace(ratio * 1e3, 1e3, 50)
        assert _accepts(f, z) is accepted
    for ohm, accepted in ((7e-13, False), (1.5e-12, True), (7e23, True), (1.5e24, False)):
        assert _accepts(F, ohm * np.exp(-1j * np.linspace(0.1, 1.5, 50))) is accepted


def _accepts(f: np.ndarray, z: np.ndarray) -> bool:
    try:
        return bool(Spectrum.from_arrays("x", f, z))
    except SpectrumError:
        return False


def test_limits_of_a_temperature():
    assert find_temperature("x_2400K", (), None)[0] == 2400.0
    assert find_temperature("x_2600K", (), None)[0] is None
    assert find_temperature("x", ["Temperature: 1.5 K"], None)[0] == 1.5
    assert find_temperature("x", ["Temperature: 0.7 K"], None)[0] is None
    lines = [*[""] * 199, "Temperature: 300 K"]
    assert find_temperature("x", lines, None)[0] == 300.0
    assert find_temperature("x", ["", *lines], None)[0] is None


def test_limits_of_a_file(tmp_path: Path):
    for radians, said in ((1.65, "radians assumed"), (1.75, "degrees assumed")):
        rows = [f"{f:.6e};{1e3 + n};{-radians * n / 49}" for n, f in enumerate(F)]
        notes = read_spectrum(write_table(tmp_path / "x.csv", "freq;Zmod;phase", rows)).notes
        assert any(said in note for note in notes)
    for size, why in ((49_000_000, "not text"), (51_000_000, "too large")):
        with (tmp_path / "large.csv").open("wb") as stream:
            stream.write(b"binary")
            stream.truncate(size)
        with pytest.raises(SpectrumError, match=why):
            read_spectrum(tmp_path / "large.csv")


@pytest.mark.parametrize(
    ("share", "sign", "verdict"),
    [(0.0018, 1, "good"), (0.0022, 1, "doubtful"), (0.029, 1, "doubtful"), (0.031, 1, "bad"),
     (0.029, -1, "good"), (0.031, -1, "doubtful"), (0.099, -1, "doubtful"), (0.101, -1, "bad")],
)  # fmt: skip
def test_verdicts_on_drift_and_on_noise(share: float, sign: int, verdict: str):
    left_over = share * np.power(float(sign), np.arange(50))  # the same everywhere, or up and down
    assert KramersKronig(left_over, left_over, 5, ()).verdict == verdict


def test_a_point_is_off_from_five_standard_deviations():
    z = two_arcs()
    rng = np.random.default_rng(3)
    noise = 0.01 * np.exp(2j * np.pi * rng.random(50))  # all of one size: the median of it is known
    sigma = 0.01 / np.sqrt(np.log(4))
    for times, off in ((5.5, False), (6.5, True)):  # the chain takes some of it: 4.6 and 8.0 are left
        noise[20] = times * sigma
        check = check_kramers_kronig(Spectrum.from_arrays("x", F, z * (1 + noise)))
        assert (20 in check.off) is off


def make_fit(circuit: str, values: dict[str, float], *, std: float = 0.01, bic: float = 0.0, hz: float = 0.1) -> Fit:
    """A fit with known uncertainties, of 90 degrees of freedom."""
    known = np.array(list(values.values()))
    return Fit(circuit, parse_circuit(circuit).names, parse_circuit(circuit).units, known, known, known,
               np.diag(np.full(len(known), std**2)), 90, 1.0, bic, hz, np.ones(50, complex), 0.01)  # fmt: skip


def test_an_arc_is_known_by_its_capacitance():
    for capacitance, process in ((2e-11, "bulk"), (4.5e-11, "grain_boundary")):
        shown = list_resistances(make_fit("p(R1,C1)", {"R1": 1e5, "C1": capacitance}), 1.0)
        assert [one.process for one in shown] == [process, "total"]
    for capacitance, process in ((7e-8, "grain_boundary"), (1.4e-7, "electrode")):
        shown = list_resistances(make_fit("R0-p(R1,C1)", {"R0": 10.0, "R1": 1e5, "C1": capacitance}), 1.0)
        assert process in [one.process for one in shown]


def test_arcs_are_joined_unless_two_are_better_by_ten():
    simple = make_fit("p(R1,C1)", {"R1": 1e4, "C1": 1e-9})
    for bic, circuit in ((-9.0, "p(R1,C1)"), (-11.0, "p(R1,C1)-p(R2,C2)")):
        both = make_fit("p(R1,C1)-p(R2,C2)", {"R1": 5e3, "C1": 1e-9, "R2": 5e3, "C2": 2e-9}, bic=bic)
        best = choose_simplest([simple, both])
        assert best is not None
        assert best.circuit == circuit


def test_a_resistance_is_resolved_to_a_factor_of_e():
    assert make_fit("p(R1,C1)", {"R1": 1e4, "C1": 1e-9}, std=0.9).resolved
    assert not make_fit("p(R1,C1)", {"R1": 1e4, "C1": 1e-9}, std=1.1).resolved


def test_a_resistance_that_could_be_anything_is_not_in_the_table():
    one = analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs()))
    for std, known in ((9.0, True), (11.0, False), (np.inf, False)):
        fit = make_fit("p(R1,C1)", {"R1": 1e4, "C1": 1e-9}, std=std)
        total = Series.from_analyses([replace(one, fit=fit, tried=(fit,))]).spectra.query("process == 'total'")
        assert bool(total["resistance_ohm"].notna().item()) is known


def test_which_circuits_widen_the_interval_of_a_total():
    chosen = make_fit("p(R1,C1)", {"R1": 1e4, "C1": 1e-9})
    (_, alone) = list_resistances(chosen)

    def make_rival(*, bic: float, turns: float) -> Fit:
        slow = turns / (2 * np.pi * 0.1)  # time constant, s, against the lowest frequency, 0.1 Hz
        values = {"R1": 1e4, "C1": 1e-9, "R2": 1e4, "C2": slow / 1e4}
        return make_fit("p(R1,C1)-p(R2,C2)", values, bic=bic)

    for bic, turns, counts in ((0.0, 8.0, True), (0.0, 12.0, False), (10.0, 8.0, True), (11.2, 8.0, False)):
        total = list_resistances(chosen, rivals=[make_rival(bic=bic, turns=turns)])[-1]
        assert (total[1:5] != alone[1:5]) is counts


def test_intervals_are_those_of_student():
    quantile = 1.98667  # of 0.975 with 90 degrees of freedom, from a table
    (one, _) = list_resistances(make_fit("p(R1,C1)", {"R1": 1e4, "C1": 1e-9}, std=0.1))
    assert one.high_ohm == pytest.approx(1e4 * np.exp(0.1 * quantile), rel=1e-5)
    assert one.low_ohm == pytest.approx(1e4 / np.exp(0.1 * quantile), rel=1e-5)
    z = add_noise(1e3 + arc(1e4, 1e-9, 0.9), 0.01)[:47]
    fit = fit_circuit(Spectrum.from_arrays("x", F[:47], z), "R0-p(R1,CPE1)")
    assert fit.freedom == 90
    wide = np.log(fit.high / fit.values)[:3]
    assert wide == pytest.approx([quantile * fit.relative_std(name) for name in fit.names[:3]], rel=1e-5)
    t = np.linspace(300, 400, 7)
    line = fit_arrhenius(t, make_conductivities(0.4, t), np.full(7, 0.02))
    assert line.ea_high_ev - line.ea_ev == pytest.approx(2.57058 * line.ea_std_ev, rel=1e-5)  # five degrees


@pytest.mark.parametrize(("degrees", "complete"), [(2.5, True), (3.2, False)])
def test_a_spectrum_that_ends_within_a_twentieth_of_the_axis_has_met_it(degrees: float, complete: bool):
    z = 1e3 * np.exp(-1j * np.deg2rad(np.linspace(80, degrees, 50)))
    assert read_intercept(Spectrum.from_arrays("x", F, z)).complete is complete


@pytest.mark.parametrize(("rise", "complete"), [(1.5, False), (2.5, True)])
def test_a_minimum_of_the_phase_is_two_degrees_deep(rise: float, complete: bool):
    phase = np.concatenate((np.linspace(60, 20, 30), np.full(5, 20.0), np.linspace(20, 20 + rise, 15)))
    z = 1e3 * np.exp(-1j * np.deg2rad(phase))
    assert read_intercept(Spectrum.from_arrays("x", F, z)).complete is complete


@pytest.mark.parametrize(("alpha", "tried"), [(0.38, False), (0.43, True), (0.57, True), (0.62, False)])
def test_exponents_near_a_half_may_be_of_warburg(alpha: float, tried: bool):
    _, fits = choose_circuit(Spectrum.from_arrays("x", F, add_noise(1e4 + cpe(1e-5, alpha), 0.002)))
    assert any("W0" in one.circuit for one in fits) is tried


@pytest.mark.parametrize(("share", "tried"), [(0.013, False), (0.03, True)])
def test_an_inductance_is_looked_for_from_two_percent_of_the_modulus(share: float, tried: bool):
    z = 100 + cpe(1e-2, 0.9) + 1j * 100 * share * F / F[0]
    _, fits = choose_circuit(Spectrum.from_arrays("x", F, z))
    assert any("L0" in one.circuit for one in fits) is tried


@pytest.mark.parametrize(("alpha", "expected"), [(0.25, 0.3), (0.35, 0.35)])
def test_exponents_end_at_three_tenths(alpha: float, expected: float):
    fitted = fit_circuit(Spectrum.from_arrays("x", F, 100 + cpe(1e-5, alpha)), "R1-CPE0")
    assert fitted["CPE0_1"] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("correlation", "factor"), [(0.25, 1.0), (0.36, 1.4577)])
def test_neighbors_alike_widen_intervals(correlation: float, factor: float):
    turn = np.arccos(correlation * 50 / 49) * np.arange(50)  # 50 points: three standard deviations are 0.3
    assert _widen(np.cos(turn), np.sin(turn)) == pytest.approx(factor, rel=1e-3)


def test_fits_start_where_they_are_set_to():
    spectrum = Spectrum.from_arrays("x", F, add_noise(Z, 0.003))
    parts = Decomposition.from_spectrum(spectrum)
    assert len(parts.tau_s) == 54  # six a decade, over seven decades and one on either side
    one, two = parse_circuit("p(R1,CPE1)-CPE0"), parse_circuit("p(R1,CPE1)-p(R2,CPE2)-CPE0")
    assert [guess[two.names.index("CPE1_1")] for guess in from_spectrum(parts, two)] == [0.9, 0.7]
    values = np.array([1e4, 1e-9, 1.0, 1e-6, 0.8])  # a time constant of 10 us
    shares, ratios = [], []
    for guess in from_simpler(one, values, "1", two):
        known = dict(zip(two.names, guess, strict=True))
        fast, slow = ((known[f"R{n}"] * known[f"CPE{n}_0"]) ** (1 / 0.85) for n in "21")
        assert (known["CPE1_1"], known["CPE2_1"]) == (0.85, 0.85)
        shares.append(known["R2"] / (known["R1"] + known["R2"]))
        ratios.append(slow / fast)
    noisier = Spectrum.from_arrays("x", F, add_noise(Z, 0.1))
    misfits = [dict(zip(two.names, guess, strict=True)) for guess in from_misfit(
        noisier, one, fit_circuit(noisier, "p(R1,CPE1)-CPE0").values, two
    )]  # fmt: skip
    turns = [(known["R2"] * known["CPE2_0"]) ** (1 / 0.85) * 2 * np.pi * 1e6 for known in misfits]
    assert np.log10(turns) == pytest.approx([3.85, 1.4])  # two of 21 steps over seven decades
    assert shares == pytest.approx([0.2, 0.5, 0.8])
    assert ratios == pytest.approx([20.0] * 3)


def test_a_total_is_extrapolated_from_three_times_what_was_measured():
    one = analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs()))
    largest = float(np.abs(one.spectrum.impedance_ohm).max())
    for times, extrapolated in ((2.7, False), (3.3, True)):
        values = one.fit.values * np.where([name.startswith("R") for name in one.fit.names], times * largest / 1.1e5, 1)
        far = replace(one, fit=replace(one.fit, values=values))
        assert any("extrapolated" in note for note in list_series_notes([far], None, 3e-11)) is extrapolated


def test_a_total_is_far_from_the_axis_from_a_factor_of_two():
    one = analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs()))
    for times, far in ((0.45, True), (0.55, False), (1.8, False), (2.2, True)):
        moved = compare_with_intercept(replace(one, intercept=one.intercept._replace(ohm=1.1e5 * times)))
        assert (len(moved.notes) > len(one.notes)) is far


def test_an_arc_of_unusual_capacitance_is_noted_with_what_is_usual():
    one = analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs()))
    for boundary_f, unusual in ((2e-12, True), (2e-11, False), (9e-9, False), (2e-8, True)):
        fit = make_fit("p(R1,C1)-p(R2,C2)", {"R1": 1e4, "C1": 1e-12, "R2": 1e5, "C2": boundary_f})
        notes = list_series_notes([replace(one, fit=fit)], Geometry(1.0, 1.0), 3e-11)
        text = f"grain boundary of x has {boundary_f:.1e} F/cm, where grain boundary usually has 1e-11 to 1e-08"
        assert any(text in note for note in notes) is unusual
        assert not any("called bulk" in note for note in notes)


def test_the_interval_of_a_conductivity_is_that_of_the_resistance_and_the_size():
    spectrum = replace(Spectrum.from_arrays("x", F, two_arcs()), geometry=Geometry(0.1, 0.5))
    (exact,) = [row for row in list_spectrum_rows(analyze_spectrum(spectrum)) if row.process == "total"]
    assert exact.sigma_low_s_cm == pytest.approx(exact.sigma_s_cm * exact.resistance_ohm / exact.resistance_high_ohm)
    assert exact.sigma_high_s_cm == pytest.approx(exact.sigma_s_cm * exact.resistance_ohm / exact.resistance_low_ohm)
    sized = replace(spectrum, geometry=Geometry(0.1, 0.5, thickness_std_cm=0.01))
    (wide,) = [row for row in list_spectrum_rows(analyze_spectrum(sized)) if row.process == "total"]
    assert np.log(wide.sigma_high_s_cm / wide.sigma_s_cm) == pytest.approx(0.196, rel=0.02)  # 10 % of the thickness


def test_a_permittivity_of_a_solid_is_between_one_and_ten_thousand():
    one = analyze_spectrum(Spectrum.from_arrays("x", F, arc(1e5, 1e-11, 1.0)))
    for permittivity, strange in ((0.9, True), (1.1, False), (9e3, False), (1.1e4, True)):
        fit = make_fit("p(R1,C1)", {"R1": 1e5, "C1": permittivity * 8.8541878e-14})  # F/cm
        notes = list_series_notes([replace(one, fit=fit)], Geometry(1.0, 1.0), 3e-11)
        assert any("is not that of a solid" in note for note in notes) is strange


@pytest.mark.figures
def test_many_spectra_have_no_pdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one = analyze_spectrum(Spectrum.from_arrays("x", F, two_arcs()))
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr("phonolyte.impedance.drawing.draw_spectrum", lambda _, __, formats, **___: seen.append(formats))
    for n, formats in ((50, ("pdf", "png")), (51, ("png",))):
        draw(Series.from_analyses([one] * n), tmp_path)
        assert seen[-1] == formats


# Arrhenius


def make_line(t: np.ndarray, scatter: np.ndarray, energy: float = 0.4) -> np.ndarray:
    return 1e4 / t * np.exp(-energy / (KB_EV_K * t) + scatter)


def test_temperatures_within_a_twentieth_of_a_kelvin_are_one():
    for apart, n in ((0.04, 2), (0.06, 3)):
        assert count_temperatures([300.0, 300.0 + apart, 320.0]) == n


def test_conductivities_weigh_by_their_uncertainty_down_to_one_percent():
    rng = np.random.default_rng(0)
    sigma = make_line(T, 0.02 * rng.normal(size=8))
    for coarse, fine, weights in ((0.02, 0.01, (0.5, 1.0)), (0.01, 0.001, (1.0, 1.0)), (0.01, 0.007, (1.0, 1.0))):
        spread, weight = np.where(np.arange(8) % 2, fine, coarse), np.where(np.arange(8) % 2, weights[1], weights[0])
        slope = np.polyfit(1 / T, np.log(sigma * T), 1, w=weight)[0]
        assert fit_arrhenius(T, sigma, spread).ea_ev == pytest.approx(-slope * KB_EV_K, rel=1e-9)


def test_a_point_is_off_in_two_percent_of_straight_lines():
    scatter = np.array([0.01, -0.013, 0.004, 0.0, 0.011, -0.009, 0.003, -0.006])
    limit = 5.6041  # Student's t of 1 - 0.02 / 16, five degrees of freedom
    x, others = 1 / T, np.arange(8) != 3

    def studentize(bump: float) -> float:
        y = np.log(make_line(T, scatter + bump * (~others)) * T)
        design = np.stack((np.ones(7), x[others]), axis=1)
        solution, square = np.linalg.lstsq(design, y[others], rcond=None)[:2]
        at = np.array([1.0, x[3]])
        freedom = 1 + at @ np.linalg.inv(design.T @ design) @ at
        return float((y[3] - at @ solution) / np.sqrt(square[0] / 5 * freedom))

    size = 1.0 / (studentize(1.0) - studentize(0.0))
    for times, off in ((0.97, ()), (1.03, (3,))):
        bump = (times * limit - studentize(0.0)) * size
        assert fit_arrhenius(T, make_line(T, scatter + bump * (~others)), np.full(8, 0.02)).outliers == off


def test_an_interval_of_two_electronvolts_says_nothing():
    assert find_fault(0.5, -0.45, 1.45) == ""
    assert "says nothing" in find_fault(0.5, -0.55, 1.55)


@pytest.mark.parametrize(("n", "lines"), [(5, 1), (6, 2)])
def test_three_temperatures_on_either_side_make_two_regimes(n: int, lines: int):
    t = np.linspace(300, 400, n)
    scatter = 1e-3 * np.array([1.0, -2, 1, 1, -2, 1])[:n]
    sigma = make_line(t, scatter) * np.exp(np.minimum(0.0, -0.3 * (1 / t - 1 / 350) / KB_EV_K))
    assert len(fit_regimes(t, sigma, np.full(n, 0.02))) == lines


@pytest.mark.parametrize(("step", "lines"), [(0.025, 1), (0.035, 2)])
def test_two_regimes_differ_by_three_hundredths_of_an_electronvolt(step: float, lines: int):
    t = np.linspace(300, 440, 40)
    kink = np.where(t < 370, -step * (1 / t - 1 / 370) / KB_EV_K, 0.0)
    sigma = make_line(t, kink + 1e-4 * np.sin(7.0 * np.arange(40)))
    assert len(fit_regimes(t, sigma, np.full(40, 0.01))) == lines


def compute_gain(t: np.ndarray, sigma: np.ndarray) -> float:
    """Gain in the information criterion by the best two lines: a break has three parameters more."""
    x, y, n = 1 / t, np.log(sigma * t), len(t)

    def sum_squares(part: slice) -> float:
        return float(
            np.sum((y[part] - np.polyval(np.polyfit(x[part] - x.mean(), y[part], 1), x[part] - x.mean())) ** 2)
        )

    two = min(sum_squares(slice(0, cut)) + sum_squares(slice(cut, n)) for cut in range(3, n - 2))
    return float(n * np.log(sum_squares(slice(0, n)) / two) - 3 * np.log(n))


@pytest.mark.parametrize(("gain", "lines"), [(9.0, 1), (11.0, 2)])
def test_two_lines_are_better_than_one_by_ten(gain: float, lines: int):
    t = np.linspace(300, 440, 40)
    scatter, kink = np.sin(7.0 * np.arange(40)), np.where(t < 370, -0.2 * (1 / t - 1 / 370) / KB_EV_K, 0.0)
    size = brentq(lambda size: compute_gain(t, make_line(t, kink + size * scatter)) - gain, 0.01, 3.0)
    assert len(fit_regimes(t, make_line(t, kink + size * scatter), np.full(40, 0.01))) == lines


def test_a_step_between_lines_whose_energies_may_be_one_is_not_two_regimes():
    t, scatter = np.linspace(300, 440, 12), 0.1 * np.random.default_rng(4).normal(size=12)
    sigma = make_line(t, np.where(t < 370, 0.0, 1.5) + scatter)
    assert compute_gain(t, sigma) > 20
    cold, warm = (fit_arrhenius(t[part], sigma[part], np.full(6, 0.01)) for part in (slice(0, 6), slice(6, 12)))
    assert abs(cold.ea_ev - warm.ea_ev) > 0.03  # by chance: each is less certain than that
    assert len(fit_regimes(t, sigma, np.full(12, 0.01))) == 1
