"""Files of impedance as labs have them: many spectra in one, other quantities and units, tables of pellets."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_impedance import make_mpr
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.errors import MissingExtraError, PhonolyteError, SettingsError, SpectrumError
from phonolyte.impedance import Geometry, Spectrum, read_spectra, read_spectrum
from phonolyte.impedance.headers import read_header
from phonolyte.impedance.pellets import Pellet
from phonolyte.impedance.pressure import read_pressure_words
from phonolyte.impedance.readers import list_sweeps
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.impedance.sweeps import split_sweeps
from phonolyte.impedance.temperature import read_name, read_words
from phonolyte.runs.settings import OutputSettings

F = np.logspace(6, 0, 31)
W = 2 * np.pi * F
SIZE = Geometry.from_mm(1.0, diameter_mm=10.0)
AREA, THICKNESS = 0.25 * np.pi, 0.1  # cm2, cm
PELLET = ImpedanceSettings(thickness_mm=1.0, diameter_mm=10.0)
TABLES = OutputSettings(figures=False)
EPSILON_0 = 8.8541878128e-14  # F/cm


def simulate(ohm: float = 1e3) -> np.ndarray:
    """An arc and a blocking electrode, capacitances in farad."""
    return ohm / (1 + 1j * W * ohm * 1e-10) + 1 / (1e-6 * (1j * W) ** 0.8)


Z = simulate()
CELSIUS = (25.0, 40.0, 55.0, 70.0)
HOT = [simulate(1e5 / 2**n) for n in range(4)]
"""Four spectra, as at four temperatures."""


def write(path: Path, head: str, *columns: np.ndarray, mark: str = ",") -> Path:
    path.write_text("\n".join([head, *join_rows(*columns, mark=mark)]) + "\n", encoding="utf-8")
    return path


def join_rows(*columns: np.ndarray, mark: str = ",") -> list[str]:
    return [mark.join(f"{value:.12g}" for value in row) for row in zip(*columns, strict=True)]


def list_columns(z: np.ndarray, *more: np.ndarray) -> tuple[np.ndarray, ...]:
    return (F, z.real, z.imag, *more)


# What people bring


@pytest.fixture(scope="session")
def cases(shared: Path) -> Path:
    folder = shared / "cases" / "impedance"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} must be there in CI")
        pytest.skip(f"the cases of impedance are not at {folder}")
    return folder


FIRST_POINT = {  # points, hertz, ohm, degrees Celsius
    "given_circuit_exampleData.csv": (66, 1e4, 0.0165, None),
    "kk_false_bad_RC_25C.csv": (50, 1e6, 2202.778 - 3.53228j, 25),
    "lcr_Cp_D_25C.csv": (31, 1e6, 86.0089 - 124.951j, 25),
    "log_frequency_25C.csv": (55, 1e7, 777.3616 - 383.0337j, 25),
    "minus_Z_header_25C.csv": (57, 1e7, 775.5401 - 377.941j, 25),
    "novocontrol.txt": (31, 1e6, 86.0089 - 124.951j, 25),
    "ohm_cm2_25C.csv": (57, 1e7, (609.1077 - 296.8341j) / 0.785398163, 25),
    "omega_rad_s_25C.csv": (57, 1e7, 775.5401 - 377.941j, 25),
    "resistivity_ohm_cm_25C.csv": (57, 1e7, (6091.267 - 2968.434j) * 0.1 / 0.785398163, 25),
    "six_temperatures_one_file.csv": (57, 1e7, 190.8532 - 1941.746j, 25),
    "wrong_note_leaky_25C.csv": (57, 1e7, 771.2568 - 381.1976j, 25),
    "zero_rows_and_10_loops.csv": (89, 7000018.5, 50.752583 * np.exp(-20.75998j * np.pi / 180), None),
}


@pytest.mark.parametrize("name", FIRST_POINT)
def test_a_case_is_read_with_its_quantities_and_units(cases: Path, name: str):
    n, hertz, ohm, celsius = FIRST_POINT[name]
    spectrum = read_spectra(cases / name, geometry=SIZE)[0]
    assert len(spectrum) == n
    if name.startswith("given"):
        assert spectrum.impedance_ohm[-1].real > spectrum.impedance_ohm[0].real > 0.01
        return
    assert spectrum.frequency_hz[0] == pytest.approx(hertz, rel=1e-6)
    assert spectrum.impedance_ohm[0] == pytest.approx(ohm, rel=2e-5)
    assert spectrum.temperature_k == (None if celsius is None else pytest.approx(celsius + 273.15))


def test_every_case_has_its_row(cases: Path):
    assert {path.name for path in cases.iterdir()} == set(FIRST_POINT)


CONDUCTIVITIES = {
    "six_temperatures_one_file.csv": (1.27e-6, 2.33e-6, 4.02e-6, 6.60e-6, 1.04e-5, 1.57e-5),
    "ohm_cm2_25C.csv": (1.27e-4,),
    "resistivity_ohm_cm_25C.csv": (1.27e-4,),
    "omega_rad_s_25C.csv": (1.27e-4,),
    "log_frequency_25C.csv": (1.27e-4,),
    "minus_Z_header_25C.csv": (1.27e-4,),
}


@pytest.mark.parametrize("name", CONDUCTIVITIES)
def test_a_case_has_its_conductivities(cases: Path, tmp_path: Path, name: str):
    series = verbs.impedance(cases / name, folder=tmp_path / "out", output=TABLES, settings=PELLET)
    assert not series.failures
    total = series.spectra.query("process == 'total'").sort_values("sweep")
    assert total["sweep"].tolist() == list(range(1, len(CONDUCTIVITIES[name]) + 1))
    assert total["sigma_s_cm"].tolist() == pytest.approx(CONDUCTIVITIES[name], rel=0.01)
    if len(total) == 6:
        assert len(series.arrhenius.query("process == 'total'")) == 1
        assert series.arrhenius.query("process == 'total'")["n"].item() == 6


@pytest.mark.parametrize("name", ["ohm_cm2_25C.csv", "resistivity_ohm_cm_25C.csv"])
def test_what_depends_on_the_size_is_refused_without_it(cases: Path, name: str):
    with pytest.raises(SpectrumError, match=r"the column .*ohm cm.* depends on the size of the pellet.*--thickness-mm"):
        read_spectra(cases / name)


def test_ten_loops_are_ten_spectra_and_open_circuit_is_left_out(cases: Path):
    spectra = read_spectra(cases / "zero_rows_and_10_loops.csv")
    assert [one.sweep for one in spectra] == list(range(1, 11))
    assert all("10 rows at 0 Hz are of open circuit and were left out" in one.notes for one in spectra)
    assert not any("averaged" in note for one in spectra for note in one.notes)
    assert [one.label for one in spectra][:2] == ["zero_rows_and_10_loops", "zero_rows_and_10_loops#2"]


def test_the_series_of_seven_temperatures_is_what_it_was(shared: Path, tmp_path: Path):
    settings_of_it = ImpedanceSettings(thickness_mm=2.1, diameter_mm=8.0)
    series = verbs.impedance(shared / "data" / "eis", folder=tmp_path / "out", output=TABLES, settings=settings_of_it)
    total = series.spectra.query("process == 'total'")
    assert total["sigma_s_cm"].tolist() == pytest.approx(
        [1.935567e-07, 3.337566e-07, 5.594252e-07, 9.201115e-07, 1.476966e-06, 2.320302e-06, 3.556095e-06], rel=1e-4
    )
    assert series.arrhenius["ea_ev"].tolist() == pytest.approx([0.608291, 0.889589, 0.856043], rel=1e-4)


# One spectrum, written in many ways


def log10(values: np.ndarray) -> np.ndarray:
    return np.log10(values)


def list_ways(z: np.ndarray) -> dict[str, tuple[str, tuple[np.ndarray, ...]]]:
    """The same impedance in other quantities and units, by what their definitions say."""
    y = 1 / z
    cp, cs, d = y.imag / W, -1 / (W * z.imag), -z.real / z.imag
    epsilon = y / (1j * W * EPSILON_0 * AREA / THICKNESS)
    modulus = 1 / epsilon
    sigma, rho = y * THICKNESS / AREA, z * AREA / THICKNESS
    degrees = np.rad2deg(np.angle(z))
    return {
        "ohm": ("Frequency (Hz),Z' (ohm),Z'' (ohm)", (F, z.real, z.imag)),
        "kohm": ("f/kHz,Re(Z)/kOhm,-Im(Z)/kOhm", (F / 1e3, z.real / 1e3, -z.imag / 1e3)),
        "Mohm": ("Freq (MHz),Zreal (MΩ),Zimag (MΩ)", (F / 1e6, z.real / 1e6, z.imag / 1e6)),
        "minus both": ("Frequency (Hz),-Z' (ohm),-Z'' (ohm)", (F, -z.real, -z.imag)),
        "ohm cm2": ("Frequency (Hz),Z' (ohm cm2),-Z'' (ohm cm2)", (F, z.real * AREA, -z.imag * AREA)),
        "kohm cm²": ("Frequency (Hz),Z' (kΩ·cm²),Z'' (kΩ·cm²)", (F, z.real * AREA / 1e3, z.imag * AREA / 1e3)),
        "ohm m2": ("Frequency (Hz),Z' [Ohm*m^2],Z'' [Ohm*m^2]", (F, z.real * AREA / 1e4, z.imag * AREA / 1e4)),
        "ohm cm": ("Frequency (Hz),rho' (ohm cm),rho'' (ohm cm)", (F, rho.real, rho.imag)),
        "ohm m": ("Frequency (Hz),ρ' (Ω m),ρ'' (Ω m)", (F, rho.real / 100, rho.imag / 100)),
        "degrees": ("Frequency (Hz),|Z| (ohm),Phase (deg)", (F, abs(z), degrees)),
        "minus degrees": ("Frequency (Hz),|Z| (kohm),-Phase (°)", (F, abs(z) / 1e3, -degrees)),
        "radians": ("Frequency (Hz),|Z| (ohm),theta (rad)", (F, abs(z), np.angle(z))),
        "log |Z|": ("Frequency (Hz),log |Z| (ohm),Phase (deg)", (F, log10(abs(z)), degrees)),
        "siemens": ("Frequency (Hz),Y' (S),Y'' (S)", (F, y.real, y.imag)),
        "millisiemens": ("Frequency (Hz),Y' (mS),Y'' (mS)", (F, y.real * 1e3, y.imag * 1e3)),
        "G and B": ("Frequency (Hz),G (S),B (S)", (F, y.real, y.imag)),
        "|Y|": ("Frequency (Hz),|Y| (S),Admittance Phase (deg)", (F, abs(y), -degrees)),
        "S/cm": ("Frequency (Hz),Sig' (S/cm),Sig'' (S/cm)", (F, sigma.real, sigma.imag)),
        "S/m": ("Frequency (Hz),sigma' (S/m),sigma'' (S/m)", (F, sigma.real * 100, sigma.imag * 100)),
        "S cm-1": ("Frequency (Hz),σ' (mS cm⁻¹),σ'' (mS cm⁻¹)", (F, sigma.real * 1e3, sigma.imag * 1e3)),
        "Cp and D": ("Frequency (Hz),Cp (F),D", (F, cp, y.real / y.imag)),
        "Cp and Q": ("Frequency (Hz),Cp (nF),Q", (F, cp * 1e9, y.imag / y.real)),
        "Cp and Rp": ("Frequency (Hz),Cp (pF),Rp (ohm)", (F, cp * 1e12, 1 / y.real)),
        "Cp and G": ("Frequency (Hz),Cp (µF),G (S)", (F, cp * 1e6, y.real)),
        "Cs and Rs": ("Frequency (Hz),Cs (F),Rs (ohm)", (F, cs, z.real)),
        "Cs and D": ("Frequency (Hz),Cs (F),D", (F, cs, d)),
        "R and X": ("Frequency (Hz),R (ohm),X (ohm)", (F, z.real, z.imag)),
        "M": ("Frequency (Hz),M',M''", (F, modulus.real, modulus.imag)),
        "permittivity": ("Frequency (Hz),Eps',Eps''", (F, epsilon.real, -epsilon.imag)),
        "eps and tan": ("Frequency (Hz),eps',tan(delta)", (F, epsilon.real, y.real / y.imag)),
        "omega": ("omega (rad/s),Z' (ohm),Z'' (ohm)", (W, z.real, z.imag)),
        "by its unit": ("Angular frequency (rad s⁻¹),Z' (ohm),Z'' (ohm)", (W, z.real, z.imag)),
        "log f": ("log Freq,Z' (ohm),Z'' (ohm)", (log10(F), z.real, z.imag)),
        "log10(f/Hz)": ("log10(f/Hz),Z' (ohm),Z'' (ohm)", (log10(F), z.real, z.imag)),
        "ln f": ("ln f (Hz),Z' (ohm),Z'' (ohm)", (np.log(F), z.real, z.imag)),
        "log omega": ("log(omega),Z' (ohm),Z'' (ohm)", (log10(W), z.real, z.imag)),
    }  # fmt: skip


@pytest.mark.parametrize("way", list_ways(Z))
def test_a_spectrum_is_the_same_in_any_quantity_and_unit(tmp_path: Path, way: str):
    head, columns = list_ways(Z)[way]
    spectrum = read_spectrum(write(tmp_path / "a.csv", head, *columns), geometry=SIZE)
    assert spectrum.frequency_hz == pytest.approx(F, rel=1e-9)
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-6)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    exponent=st.floats(0.55, 0.95), ohm=st.floats(1.0, 1e7), farad=st.floats(1e-12, 1e-6),
    mark=st.sampled_from([",", ";", "\t"]), upwards=st.booleans(),
)  # fmt: skip
def test_any_spectrum_is_the_same_in_ten_ways(
    tmp_path: Path, exponent: float, ohm: float, farad: float, mark: str, upwards: bool
):
    z = ohm / (1 + (1j * W * ohm * farad) ** exponent)
    order = slice(None, None, -1 if upwards else 1)
    for head, columns in list_ways(z).values():
        table = [column[order] for column in columns]
        path = write(tmp_path / "a.csv", head.replace(",", mark), *table, mark=mark)
        assert read_spectrum(path, geometry=SIZE).impedance_ohm == pytest.approx(z, rel=1e-5)


@pytest.mark.parametrize(
    ("head", "unit", "kind", "factor"),
    [("Z' (kOhm)", "kOhm", "real", 1e3), ("Z'' [Ω]", "Ω", "imaginary", 1.0), ("-Im(Z)/Ohm", "Ohm", "imaginary", -1.0),
     ("Freq. [Hz]", "Hz", "frequency", 1.0), ("Frequency (mHz)", "mHz", "frequency", 1e-3), ("G (µS)", "µS",
     "admittance_real", 1e-6), ("Cs (pF)", "pF", "series_capacitance", 1e-12), ("Temp. [°C]", "°C", "temperature", 1.0),
     ("T/K", "K", "temperature", 1.0), ("Z' 25C (MOhm)", "MOhm", "real", 1e6)],
)  # fmt: skip
def test_headers_name_quantity_and_unit(head: str, unit: str, kind: str, factor: float):
    column = read_header(head, 0)
    assert column is not None
    assert (column.kind, column.unit) == (kind, unit)
    assert column.factor == pytest.approx(factor)


@pytest.mark.parametrize(
    "head", ["Z' fit (ohm)", "Zreal_calc", "Capacitance (F)", "Z2 Real", "Ewe/V", "Time stamp", "Significance", "Zce"]
)
def test_headers_of_what_was_not_measured_are_none(head: str):
    column = read_header(head, 0)
    assert column is None or column.kind == "time"


@pytest.mark.parametrize(
    ("head", "why"),
    [("Frequency (Hz),Z' (ohm/cm2),Z'' (ohm/cm2)", r"Z' \(ohm/cm2\).*is not understood"),
     ("Frequency (Hz),Z' (ohm cm3),Z'' (ohm cm3)", "is not understood"),
     ("Frequency (Hz),rho',rho''", "unit of the column \"rho'\" is not stated"),
     ("Frequency (Hz),Sig',Sig''", "unit of the column \"Sig'\" is not stated"),
     ("Frequency (Hz),Z' (ohm cm2),Z'' (ohm)", "contradict each other"),
     ("log f,log Z',log Z''", "its columns are log f, log Z', log Z''"),
     ("f (Hz),Z' (ohm)", r"its columns are f \(Hz\), Z' \(ohm\)"),
     ("Frequency (Hz),C (F),D", r"its columns are Frequency \(Hz\), C \(F\), D")],
)  # fmt: skip
def test_doubtful_columns_are_refused_by_their_names(tmp_path: Path, head: str, why: str):
    with pytest.raises(SpectrumError, match=why):
        read_spectrum(write(tmp_path / "a.csv", head, F, Z.real, Z.imag), geometry=SIZE)


def test_a_unit_of_one_column_is_that_of_its_partner_and_is_noted(tmp_path: Path):
    spectrum = read_spectrum(write(tmp_path / "a.csv", "f (Hz),Z' (kohm),Z''", F, Z.real / 1e3, Z.imag / 1e3))
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-9)
    assert any("the unit of \"Z''\" is not stated" in note for note in spectrum.notes)


def test_columns_corrected_for_drift_are_preferred_and_noted(tmp_path: Path):
    head = "Freq (Hz),Zreal (ohm),Zimag (ohm),ZrealDrCor (ohm),ZimagDrCor (ohm)"
    spectrum = read_spectrum(write(tmp_path / "a.csv", head, F, 2 * Z.real, 2 * Z.imag, Z.real, Z.imag))
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-9)
    assert any("corrected for drift were taken: ZrealDrCor" in note for note in spectrum.notes)


def test_rows_with_more_cells_than_names_are_refused(tmp_path: Path):
    path = write(tmp_path / "a.csv", "f (Hz),Z' (ohm),Z'' (ohm)", np.arange(31.0), *list_columns(Z))
    with pytest.raises(SpectrumError, match="header has 3 names, and the rows below it 4 cells"):
        read_spectrum(path)


def test_names_between_spaces_keep_their_units(tmp_path: Path):
    spectrum = read_spectrum(
        write(tmp_path / "a.txt", "f (kHz) Z' (kohm) Z'' (kohm)", *(c / 1e3 for c in list_columns(Z)), mark=" ")
    )
    assert spectrum.frequency_hz == pytest.approx(F, rel=1e-9)
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-9)


def test_fitted_columns_are_not_measured_ones(tmp_path: Path):
    head = "Freq (Hz),Z' fit (ohm),Z'' fit (ohm),Z' (ohm),Z'' (ohm)"
    spectrum = read_spectrum(write(tmp_path / "a.csv", head, F, 2 * Z.real, 2 * Z.imag, Z.real, Z.imag))
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-9)


def test_units_that_are_given_may_have_an_area(tmp_path: Path):
    path = write(tmp_path / "a.csv", "Frequency (Hz),Z',Z''", F, Z.real * AREA / 1e3, Z.imag * AREA / 1e3)
    assert read_spectrum(path, impedance_unit="kohm cm2", geometry=SIZE).impedance_ohm == pytest.approx(Z, rel=1e-9)
    with pytest.raises(SpectrumError, match="not a unit"):
        read_spectrum(path, impedance_unit="ohm/cm2", geometry=SIZE)


# Many spectra in a file


HEAD = "Frequency (Hz),Z' (ohm),Z'' (ohm)"


def stack_spectra(*more: Sequence[float]) -> tuple[np.ndarray, ...]:
    """Rows of the four spectra below each other, and columns with one value for each spectrum."""
    z = np.concatenate(HOT)
    return (np.tile(F, 4), z.real, z.imag, *(np.repeat(values, len(F)) for values in more))


def write_captioned(caption: str, head: str = "") -> str:
    parts = [[caption.format(celsius=celsius, number=number), *([head] if head else []), *join_rows(*list_columns(z))]
             for number, (celsius, z) in enumerate(zip(CELSIUS, HOT, strict=True), start=1)]  # fmt: skip
    return "\n".join(line for part in parts for line in part)


def write_side_by_side(head: Callable[[float], str], *, frequencies: bool) -> str:
    names = [head(celsius) for celsius in CELSIUS]
    columns = [column for z in HOT for column in (list_columns(z) if frequencies else list_columns(z)[1:])]
    first = () if frequencies else (F,)
    return "\n".join([",".join([*(() if frequencies else ("Frequency (Hz)",)), *names]), *join_rows(*first, *columns)])


def write_table(*columns: np.ndarray, head: str) -> str:
    return "\n".join([head, *join_rows(*columns)])


def write_by_frequency() -> str:
    """All temperatures of one frequency, then those of the next one."""
    order = np.argsort(np.tile(np.arange(len(F)), 4), kind="stable")
    return write_table(*(column[order] for column in stack_spectra(CELSIUS)), head=f"{HEAD},Temperature (C)")


GAMRY = "EXPLAIN\nTAG\tEISPOT\nTITLE\tLABEL\tseries\n" + "".join(
    f"ZCURVE{number}\tTABLE\t{len(F)}\n\tPt\tFreq\tZreal\tZimag\n\t#\tHz\tohm\tohm\n"
    + "".join(f"\t{at}\t{f:.9g}\t{z[at].real:.9g}\t{z[at].imag:.9g}\n" for at, f in enumerate(F))
    for number, z in enumerate(HOT, start=1)
)
MPT = (
    "EC-Lab ASCII FILE\nNb header lines : 4\nLoop 0 from point number 0 to 30\n"
    "freq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\tcycle number\n"
    + "\n".join(join_rows(*(c * s for c, s in zip(stack_spectra((1, 2, 3, 4)), (1, 1, -1, 1), strict=True)), mark="\t"))
)
MANY = {  # text, and whether it says the temperatures
    "temperature.csv": (write_table(*stack_spectra(CELSIUS), head=f"{HEAD},Temperature (C)"), True),
    "kelvin.csv": (write_table(*stack_spectra([c + 273.15 for c in CELSIUS]), head=f"{HEAD},T/K"), True),
    "by_frequency.csv": (write_by_frequency(), True),
    "cycle.csv": (write_table(*stack_spectra((1, 2, 3, 4)), head=f"{HEAD},cycle number"), False),
    "loop.csv": (write_table(*stack_spectra((0, 1, 2, 3)), head=f"{HEAD},loop_index"), False),
    "turns.csv": (write_table(*stack_spectra(), head=HEAD), False),
    "blank.csv": (HEAD + "\n" + "\n\n".join("\n".join(join_rows(*list_columns(z))) for z in HOT), False),
    "captions.csv": (HEAD + "\n" + write_captioned("Cycle {number}"), False),
    "warm_captions.csv": (HEAD + "\n" + write_captioned("T = {celsius} °C"), True),
    "headers.csv": (write_captioned("Cycle {number}", HEAD), False),
    "warm_headers.csv": (write_captioned("Temperature: {celsius} C", HEAD), True),
    "side.csv": (write_side_by_side(lambda c: f"Z' {c:g}C (ohm),Z'' {c:g}C (ohm)", frequencies=False), True),
    "side_f.csv": (write_side_by_side(lambda c: "f (Hz),Z' (ohm),Z'' (ohm)", frequencies=True), False),
    "joined_cells.csv": (",".join(f"{c:g} °C,," for c in CELSIUS) + "\n"
                         + write_side_by_side(lambda c: "f (Hz),Z' (ohm),Z'' (ohm)", frequencies=True), True),
    "gamry.DTA": (GAMRY, False),
    "loops.mpt": (MPT, False),
    "bare.txt": ("\n\n".join("\n".join(join_rows(*list_columns(z), mark=" ")) for z in HOT), False),
    "elchemea.i2b": ("\n".join(f"line {n}" for n in range(6)) + "\n"
                     + "\n".join(join_rows(*list_columns(HOT[0]), mark=" ")) + "\n"
                     + "\n".join(join_rows(*list_columns(HOT[1]), mark=" ")), False),
    "novocontrol.txt": ("Sample: pellet\n"
                        + write_captioned("Fixed value(s) :  Temp. [°C]={celsius:.2f} AC Volt [Vrms]=0.1", HEAD), True),
}  # fmt: skip


@pytest.mark.parametrize("name", MANY)
def test_each_spectrum_of_a_file_is_read(tmp_path: Path, name: str):
    text, warm = MANY[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    spectra = read_spectra(tmp_path / name)
    expected = HOT[:2] if name.endswith(".i2b") else HOT
    assert [one.sweep for one in spectra] == list(range(1, len(expected) + 1))
    for one, z, celsius in zip(spectra, expected, CELSIUS, strict=False):
        assert one.frequency_hz == pytest.approx(F, rel=1e-8)
        assert one.impedance_ohm == pytest.approx(z, rel=1e-7)
        assert one.temperature_k == (pytest.approx(celsius + 273.15) if warm else None)
        assert not any("averaged" in note or "unread" in note for note in one.notes)
    with pytest.raises(SpectrumError, match=rf"holds {len(expected)} spectra"):
        read_spectrum(tmp_path / name)


def test_sweeps_down_and_up_are_two(tmp_path: Path):
    table = [np.concatenate((column, column[::-1])) for column in list_columns(Z)]
    down, up = read_spectra(write(tmp_path / "a.csv", HEAD, *table))
    assert down.impedance_ohm == pytest.approx(Z)
    assert up.impedance_ohm == pytest.approx(Z)


def test_a_change_of_range_or_a_point_taken_again_is_one_sweep(tmp_path: Path):
    low = np.concatenate((np.arange(20), np.arange(17, len(F))))  # three points twice
    spectrum = read_spectrum(write(tmp_path / "a.csv", HEAD, *(column[low] for column in list_columns(Z))))
    assert len(spectrum) == len(F)
    assert any("turns back" in note for note in spectrum.notes)
    assert any("3 repeated frequencies were averaged" in note for note in spectrum.notes)


def test_a_sweep_that_was_broken_off_is_a_failure_and_the_others_are_analyzed(tmp_path: Path):
    z = np.concatenate((*HOT, HOT[0][:3]))
    path = write(tmp_path / "a.csv", HEAD, np.concatenate((np.tile(F, 4), F[:3])), z.real, z.imag)
    series = verbs.impedance(path, folder=tmp_path / "out", output=TABLES, settings=PELLET)
    assert [one.name for one in series.analyses] == ["a", "a#2", "a#3", "a#4"]
    assert [failure.material_id for failure in series.failures] == ["a#5"]
    assert "has 3 points" in series.failures[0].message


def test_repeated_points_of_one_sweep_are_averaged_and_their_scatter_is_noted(tmp_path: Path):
    f, z = np.repeat(F, 2), np.repeat(Z, 2) * np.tile([0.98, 1.02], len(F))
    spectrum = read_spectrum(write(tmp_path / "a.csv", HEAD, f, z.real, z.imag))
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-9)
    assert "31 repeated frequencies were averaged: points are up to 2.0% off the mean" in spectrum.notes


def test_rows_in_no_order_are_one_sweep_and_that_is_noted(tmp_path: Path):
    order = np.random.default_rng(0).permutation(len(F))
    spectrum = read_spectrum(write(tmp_path / "a.csv", HEAD, *(column[order] for column in list_columns(Z))))
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-9)
    assert any("in no order" in note for note in spectrum.notes)


def test_sweeps_too_short_for_a_spectrum_are_refused_and_not_averaged(tmp_path: Path):
    some = np.concatenate([31 * n + np.arange(4) for n in range(4)])
    with pytest.raises(SpectrumError, match="has 4 points"):
        read_spectra(write(tmp_path / "a.csv", HEAD, *(column[some] for column in stack_spectra())))


def test_sweeps_are_numbered_as_they_stand(tmp_path: Path):
    z = np.concatenate((*HOT, *HOT[::-1]))
    celsius = np.repeat([*CELSIUS, *CELSIUS[::-1]], len(F))
    spectra = read_spectra(write(tmp_path / "a.csv", f"{HEAD},Set Temp (C)", np.tile(F, 8), z.real, z.imag, celsius))
    assert [one.temperature_k for one in spectra] == pytest.approx([c + 273.15 for c in (*CELSIUS, *CELSIUS[::-1])])


def test_slow_drift_along_a_sweep_is_not_several_temperatures():
    kelvin = np.linspace(300, 320, len(F))
    assert len(split_sweeps(F, (), kelvin)[0]) == 1
    again = np.tile(F, 2)
    assert len(split_sweeps(again, (), np.full(2 * len(F), 300.0))[0]) == 2


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 6), lengths=st.lists(st.integers(8, 40), min_size=6, max_size=6), upwards=st.booleans(),
    numbered=st.booleans(),
)  # fmt: skip
def test_sweeps_are_found_whatever_their_lengths(n: int, lengths: list[int], upwards: bool, numbered: bool):
    parts = [np.geomspace(1e6, 1.0, length)[:: -1 if upwards else 1] for length in lengths[:n]]
    groups = [np.repeat(np.arange(n, dtype=float), lengths[:n])] if numbered else []
    sweeps, notes = split_sweeps(np.concatenate(parts), groups)
    assert [len(part) for part in sweeps] == lengths[:n]
    assert np.concatenate(sweeps).tolist() == list(range(sum(lengths[:n])))
    assert notes == []


def test_columns_that_number_points_do_not_split():
    assert len(split_sweeps(F, [np.arange(len(F), dtype=float)])[0]) == 1


def test_columns_side_by_side_that_cannot_be_paired_are_refused(tmp_path: Path):
    path = write(
        tmp_path / "a.csv", "f (Hz),Z' A (ohm),Z'' B (ohm),Z' C (ohm),Z'' D (ohm)", *list_columns(Z), Z.real, Z.imag
    )
    with pytest.raises(SpectrumError, match=r"cannot be paired: there are \"Z' A"):
        read_spectra(path)


def test_one_spectrum_in_two_units_is_one(tmp_path: Path):
    head = "f (Hz),Z' (ohm cm2),Z'' (ohm cm2),Z' (ohm),Z'' (ohm)"
    spectrum = read_spectrum(write(tmp_path / "a.csv", head, F, Z.real * AREA, Z.imag * AREA, Z.real, Z.imag))
    assert spectrum.impedance_ohm == pytest.approx(Z, rel=1e-9)
    assert any("were taken, and not Z' (ohm cm2)" in note for note in spectrum.notes)


def test_a_table_of_something_else_below_is_unread_and_that_is_noted(tmp_path: Path):
    text = "\n".join(
        [HEAD, *join_rows(*list_columns(Z)), "Time (s),Voltage (V),Current (A)", *join_rows(*list_columns(Z))]
    )
    (tmp_path / "a.csv").write_text(text)
    spectrum = read_spectrum(tmp_path / "a.csv")
    assert len(spectrum) == len(F)
    assert any("31 more lines of numbers are unread" in note for note in spectrum.notes)


def test_one_file_gives_one_arrhenius_line_and_rows_by_sweep(tmp_path: Path):
    (tmp_path / "series.csv").write_text(MANY["temperature.csv"][0])
    command = ["impedance", str(tmp_path / "series.csv"), "--thickness-mm", "1", "--diameter-mm", "10"]
    result = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "4 of 4 spectra" in result.output
    spectra = pd.read_parquet(tmp_path / "out" / "spectra.parquet")
    assert set(spectra["file"]) == {"series"}
    total = spectra.query("process == 'total'")
    assert total["sweep"].tolist() == [1, 2, 3, 4]
    assert total["temperature_k"].tolist() == pytest.approx([298.15, 313.15, 328.15, 343.15])
    assert total["resistance_ohm"].tolist() == pytest.approx([1e5, 5e4, 2.5e4, 1.25e4], rel=0.01)
    lines = pd.read_parquet(tmp_path / "out" / "arrhenius.parquet")
    assert lines.query("process == 'total'")["n"].tolist() == [4]
    assert len(list((tmp_path / "out" / "figures" / "spectra").glob("*.png"))) == 4
    assert set(pd.read_parquet(tmp_path / "out" / "parameters.parquet")["sweep"]) == {1, 2, 3, 4}


def test_a_temperature_is_given_to_one_sweep(tmp_path: Path):
    (tmp_path / "a.csv").write_text(MANY["turns.csv"][0])
    chosen = ImpedanceSettings(temperature_c=("10", "a#3=99"))
    series = verbs.impedance(tmp_path / "a.csv", folder=tmp_path / "out", output=TABLES, settings=chosen)
    assert [one.spectrum.temperature_k for one in series.analyses] == pytest.approx([283.15, 283.15, 372.15, 283.15])
    beyond = ImpedanceSettings(temperature_c=("a#9=99",))
    series = verbs.impedance(tmp_path / "a.csv", folder=tmp_path / "out2", output=TABLES, settings=beyond)
    assert "a.csv has 4 sweeps, and not the sweep 9" in series.failures[0].message


def test_spectra_of_one_name_keep_names_that_differ(tmp_path: Path):
    from phonolyte.impedance import Series, analyze_spectrum

    one = analyze_spectrum(Spectrum.from_arrays("x", F, Z))
    two = analyze_spectrum(Spectrum.from_arrays("x", F, Z, sweep=2))
    named = analyze_spectrum(Spectrum.from_arrays("x#2", F, Z))
    names = [analysis.name for analysis in Series.from_analyses([one, two, named, one]).analyses]
    assert len(set(names)) == 4


# Temperatures


@pytest.mark.parametrize(
    ("name", "kelvin"),
    [("LLZO_T500", 500.0), ("T298.15_a", 298.15), ("T25", None), ("LLZO_1200C_25C", None), ("TEST500", None),
     ("T500C", 773.15), ("25C_25C", 298.15)],
)  # fmt: skip
def test_temperatures_in_names(name: str, kelvin: float | None):
    temperature_k, notes = read_name(name)
    assert temperature_k == (None if kelvin is None else pytest.approx(kelvin))
    assert ("K assumed" in "".join(notes)) is (name in ("LLZO_T500", "T298.15_a"))


@pytest.mark.parametrize(
    ("line", "kelvin"),
    [("Fixed value(s) :  Temp. [°C]=25.00 AC Volt [Vrms]=0.1", 298.15), ("T = 313 K", 313.0), ("T(°C): 80", 353.15),
     ("Temperature: 60 °C", 333.15), ("T = 3", None), ("Temp: 40", None), ("dT = 3 K", None)],
)  # fmt: skip
def test_temperatures_in_words(line: str, kelvin: float | None):
    assert read_words([line]) == (None if kelvin is None else pytest.approx(kelvin))


def test_a_column_of_temperatures_without_a_unit_is_flagged(tmp_path: Path):
    head = f"{HEAD},Temperature"
    warm = read_spectrum(write(tmp_path / "a.csv", head, *list_columns(Z, np.full(len(F), 80.0))))
    assert warm.temperature_k == pytest.approx(353.15)
    assert any("Celsius assumed" in note for note in warm.notes)
    doubtful = read_spectrum(write(tmp_path / "b.csv", head, *list_columns(Z, np.full(len(F), 298.0))))
    assert doubtful.temperature_k is None
    assert any("may be in kelvin" in note for note in doubtful.notes)


def test_a_temperature_that_is_stated_once_for_several_spectra_is_flagged(tmp_path: Path):
    said = "the temperature is stated once, and was taken for several spectra"
    for name, noted in (("turns.csv", True), ("headers.csv", True), ("warm_headers.csv", False)):
        (tmp_path / name).write_text("T = 30 °C\n" + MANY[name][0], encoding="utf-8")
        assert all((said in one.notes) is noted for one in read_spectra(tmp_path / name))
        if noted:
            assert [one.temperature_k for one in read_spectra(tmp_path / name)] == pytest.approx([303.15] * 4)


# Other files


def make_session() -> str:
    """Two measurements of impedance and one of voltammetry."""

    def make_array(kind: str, values: np.ndarray) -> dict[str, object]:
        return {"Unit": {"Type": f"PalmSens.Units.{kind}"}, "DataValues": [{"V": float(value)} for value in values]}

    def make_measurement(title: str, z: np.ndarray) -> dict[str, object]:
        values = [make_array("Time", F), make_array("Hertz", F), make_array("ZRe", z.real), make_array("ZIm", -z.imag)]
        return {"Title": title, "DataSet": {"Type": "EIS", "Values": values}}

    other = {"Title": "CV", "DataSet": {"Type": "CV", "Values": [make_array("Volt", F)]}}
    return json.dumps({"Measurements": [make_measurement("at 25C", HOT[0]), other, make_measurement("at 40C", HOT[1])]})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_measurements_of_a_palmsens_session(tmp_path: Path, encoding: str):
    (tmp_path / "a.pssession").write_bytes(
        make_session().encode(encoding) + "\ufeff".encode(encoding.replace("-16", "-16-le"))
    )
    spectra = read_spectra(tmp_path / "a.pssession")
    assert [one.temperature_k for one in spectra] == pytest.approx([298.15, 313.15])
    assert spectra[1].impedance_ohm == pytest.approx(HOT[1], rel=1e-12)


@pytest.mark.parametrize(("suffix", "module"), [(".xlsx", "openpyxl"), (".ods", "odf")])
def test_sheets_of_a_workbook(tmp_path: Path, suffix: str, module: str):
    pytest.importorskip(module)
    path = tmp_path / f"a{suffix}"
    with pd.ExcelWriter(path, engine=module) as book:
        pd.DataFrame({"a": ["about the sample"]}).to_excel(book, sheet_name="notes", index=False)
        for celsius, z in zip(CELSIUS, HOT, strict=True):
            table = pd.DataFrame({"Frequency (Hz)": F, "Z' (ohm)": z.real, "Z'' (ohm)": z.imag})
            table.to_excel(book, sheet_name=f"{celsius:g}C", index=False)
    spectra = read_spectra(path)
    assert [one.temperature_k for one in spectra] == pytest.approx([celsius + 273.15 for celsius in CELSIUS])
    for one, z in zip(spectra, HOT, strict=True):
        assert one.impedance_ohm == pytest.approx(z, rel=1e-12)
        assert "without a spectrum: notes" in one.notes


@pytest.mark.parametrize(
    ("suffix", "module", "hint"),
    [(".xlsx", "openpyxl", r"phonolyte\[sheets\]"), (".ods", "odf", r"phonolyte\[sheets\]"),
     (".dfr", "pyimpspec", "pip install pyimpspec"), (".idf", "pyimpspec", "pip install pyimpspec")],
)  # fmt: skip
def test_what_needs_another_package_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, module: str, hint: str
):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / f"a{suffix}").write_bytes(b"PK")
    with pytest.raises(MissingExtraError, match=hint):
        read_spectra(tmp_path / f"a{suffix}")


def test_loops_of_a_binary_file_of_biologic(tmp_path: Path):
    pytest.importorskip("galvani")
    f, real, imaginary = (column.astype(float) for column in stack_spectra())
    zero = np.insert(np.arange(len(f)), 31, -1)
    f = np.where(zero < 0, 0.0, f[zero])
    (tmp_path / "a.mpr").write_bytes(make_mpr({32: f, 37: real[zero], 38: -imaginary[zero]}))
    spectra = read_spectra(tmp_path / "a.mpr")
    assert len(spectra) == 4
    for one, z in zip(spectra, HOT, strict=True):
        assert one.impedance_ohm == pytest.approx(z, rel=1e-5)
        assert any("1 row at 0 Hz" in note for note in one.notes)


DAMAGED = {
    **{name: text.encode() for name, (text, _) in MANY.items()},
    "a.pssession": make_session().encode("utf-16"),
    "a.mpr": make_mpr({32: F, 37: Z.real, 38: -Z.imag}),
}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(DAMAGED)), seed=st.integers(0, 2**32 - 1))
def test_a_damaged_file_gives_a_message_or_spectra(tmp_path: Path, name: str, seed: int):
    rng = np.random.default_rng(seed)
    raw = bytearray(DAMAGED[name])
    for _ in range(rng.integers(1, 8)):
        at = int(rng.integers(0, len(raw)))
        if rng.random() < 0.5:
            raw[at] = int(rng.integers(0, 256))
        else:
            del raw[at : at + int(rng.integers(1, 200))]
    (tmp_path / name).write_bytes(raw)
    sweeps = []
    with suppress(PhonolyteError):  # any other exception fails
        sweeps = list_sweeps(tmp_path / name)
    for sweep in sweeps:
        with suppress(SpectrumError):
            assert np.isfinite(sweep.to_spectrum().impedance_ohm).all()


# Tables of pellets


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, z in zip("abc", HOT, strict=False):
        write(folder / f"{name}.csv", HEAD, *list_columns(z))
    return folder


def test_each_file_has_the_size_and_temperature_of_its_row(files: Path, tmp_path: Path):
    (files / "pellets.csv").write_text(
        "file,thickness_mm,diameter_mm,temperature_c,note\na.csv,1,10,25,pressed\nb,2,,40,\nc.csv,,,60,hot\n"
    )
    out = tmp_path / "out"
    command = ["impedance", str(files), "--table", str(files / "pellets.csv"), "--diameter-mm", "5", "-o", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "3 of 3 spectra" in result.output
    total = pd.read_parquet(out / "spectra.parquet").query("process == 'total'").set_index("file")
    assert total["temperature_k"].tolist() == pytest.approx([298.15, 313.15, 333.15])
    assert total.loc["a", "sigma_s_cm"] == pytest.approx(0.1 / (0.25 * np.pi) / 1e5, rel=0.01)
    assert total.loc["b", "sigma_s_cm"] == pytest.approx(0.2 / (0.0625 * np.pi) / 5e4, rel=0.01)
    assert np.isnan(total.loc["c", "sigma_s_cm"])
    assert "pressed" in total.loc["a", "notes"]
    assert "no conductivities of c" in (out / "run.toml").read_text(encoding="utf-8")


def test_sizes_of_a_table_convert_columns_per_area(files: Path, tmp_path: Path):
    write(files / "a.csv", "f (Hz),Z' (ohm cm2),Z'' (ohm cm2)", F, HOT[0].real, HOT[0].imag)
    (tmp_path / "t.csv").write_text("file;thickness_mm;diameter_mm\na;1,5;10\nb;1;10\nc;1;10\n")
    series = verbs.impedance(
        files, folder=tmp_path / "out", output=TABLES, settings=ImpedanceSettings(table=str(tmp_path / "t.csv"))
    )
    total = series.spectra.query("process == 'total' and file == 'a'")
    assert total["sigma_s_cm"].item() == pytest.approx(0.15 / 1e5, rel=0.01)  # thickness over ohm cm2


@pytest.mark.parametrize(
    ("table", "why"),
    [("file,thickness_mm\na,1\nb,1\nc,1\n", "has no diameter"), ("file\na\nb\n", r"no row of c\.csv: 2 of 3 files"),
     ("file\na\nb\nc\nd\n", "'d' in t.csv names no file"), ("file\na\na.csv\nb\nc\n", "several rows of a.csv"),
     ("file,mass\na,1\n", "the column 'mass'"), ("name\na\n", "'name'"), ("file,note\na,b,c\n", "has 3 cells"),
     ("file,thickness_mm,diameter_mm\na,1,x\n", "diameter_mm is 'x'"),
     ("file,thickness_mm,diameter_mm\na,-1,8\n", "above zero"), ("file,temperature_c\na,-400\n", "not a temperature"),
     ("", "no column 'file'"), ("file\n", "has no row"), ("file,note\n,x\n", "names no file"),
     ("file,file\na,a\n", "twice")],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused_before_the_run(files: Path, tmp_path: Path, table: str, why: str):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(SettingsError, match=why):
        verbs.impedance(
            files, folder=tmp_path / "out", output=TABLES, settings=ImpedanceSettings(table=str(tmp_path / "t.csv"))
        )
    assert not (tmp_path / "out").exists()


def test_a_row_may_be_of_one_sweep(tmp_path: Path):
    (tmp_path / "a.csv").write_text(MANY["turns.csv"][0])
    (tmp_path / "t.csv").write_text("file,temperature_c\na,20\na#2,30\n")
    chosen = ImpedanceSettings(table=str(tmp_path / "t.csv"))
    series = verbs.impedance(tmp_path / "a.csv", folder=tmp_path / "out", output=TABLES, settings=chosen)
    assert [one.spectrum.temperature_k for one in series.analyses] == pytest.approx([293.15, 303.15, 293.15, 293.15])
    (tmp_path / "t.csv").write_text("file,temperature_c\na#9,30\n")
    series = verbs.impedance(tmp_path / "a.csv", folder=tmp_path / "out2", output=TABLES, settings=chosen)
    assert "not the sweep 9" in series.failures[0].message


# Names, units and words that were misread


def make_rows(separator: str = " ") -> tuple[str, np.ndarray]:
    f = np.logspace(6, 0, 25)
    z = 50 + 1000 / (1 + 2j * np.pi * f * 1e-6)
    columns = np.c_[f, z.real, -z.imag, abs(z), np.degrees(np.angle(z))]
    return "\n".join(separator.join(f"{value:.8g}" for value in row) for row in columns), z


@pytest.mark.parametrize("separator", [" ", "\t"])
@pytest.mark.parametrize(
    "header",
    ["f /Hz Z' /Ohm -Z'' /Ohm |Z| /Ohm phase /deg", "f / Hz Z' / Ohm -Z'' / Ohm |Z| / Ohm phase / deg",
     "freq Hz Re(Z) Ohm -Im(Z) Ohm |Z| Ohm Phase(Z) deg"],
)  # fmt: skip
def test_units_after_a_space_are_not_columns(tmp_path: Path, header: str, separator: str):
    rows, z = make_rows(separator)
    (tmp_path / "x.txt").write_text(f"{header}\n{rows}\n")
    assert read_spectrum(tmp_path / "x.txt").impedance_ohm == pytest.approx(z, rel=1e-6)


def test_more_names_than_cells_are_refused_where_spaces_separate(tmp_path: Path):
    rows, _ = make_rows()
    (tmp_path / "x.txt").write_text(f"Frequency (Hz) Z real (Ohm) Z imag (Ohm) mod ph\n{rows}\n")
    with pytest.raises(SpectrumError, match="7 names, and the rows below it 5 cells"):
        read_spectrum(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("line", "kelvin"),
    [("# Sintering temperature: 1100 °C", None), ("# annealing Temp. 550 C, 5 h", None),
     ("Device temperature: 38.5 °C", None), ("Sample temperature: 25 °C", 298.15), ("Set temperature: 25 °C", 298.15)],
)  # fmt: skip
def test_a_temperature_of_another_time_or_thing_is_not_that_of_the_measurement(line: str, kelvin: float | None):
    assert read_words([line]) == (None if kelvin is None else pytest.approx(kelvin))


def test_a_pressure_of_the_press_is_not_that_of_the_measurement():
    assert read_pressure_words(["# Pelletizing pressure: 380 MPa"]) is None
    assert read_pressure_words(["Stack pressure: 5 MPa"]) == 5.0


@pytest.mark.parametrize(
    "name", ["LPS_minus20C", "LPS_m20C", "LPS_neg20C", "LPS_N20C", "LPS_\N{MINUS SIGN}20C", "LPS_-20C"]
)
def test_temperatures_below_zero_keep_their_sign(name: str):
    assert read_name(name)[0] == pytest.approx(253.15)
    assert read_name("LPS_0.1C_rate")[0] is None


@pytest.mark.parametrize(
    ("header", "kind", "factor"),
    [("p (MPa)", "pressure", 1.0), ("P / MPa", "pressure", 1.0), ("p [kPa]", "pressure", 1e-3),
     ("p [GPa]", "pressure", 1e3),
     ("T(degC)", "temperature", 1.0), ("T (deg C)", "temperature", 1.0), ("T/℃", "temperature", 1.0)],
)  # fmt: skip
def test_short_names_of_pressure_and_temperature(header: str, kind: str, factor: float):
    column = read_header(header, 0)
    assert column is not None
    assert (column.kind, column.factor) == (kind, factor)


def test_the_row_of_a_sweep_leaves_the_size_to_that_of_its_file():
    whole = Pellet("two.csv", geometry=Geometry(0.1, 1.0), temperature_c=25.0, note="cold pressed")
    row = Pellet("two.csv", 2, temperature_c=40.0).filled(whole)
    assert (row.geometry, row.temperature_c, row.note) == (whole.geometry, 40.0, "cold pressed")
    assert row.filled(None) == row
