"""Electronic conductivities from DC polarization: files, decays, lines, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.columns import column
from phonolyte.errors import CurveError, PhonolyteError, SettingsError
from phonolyte.impedance.geometry import Geometry
from phonolyte.polarization import (
    Curve,
    PolarizationSettings,
    Reading,
    Total,
    find_ionic_share,
    fit_conductance,
    fit_decay,
    measure_polarizations,
    plot_polarization,
    read_curves,
    read_totals,
)
from phonolyte.polarization.ionic import choose_total
from phonolyte.polarization.names import CURVES, read_column
from phonolyte.runs.settings import OutputSettings

HOUR = 3600.0


def diffuse(t: np.ndarray, tau: float) -> np.ndarray:
    """Yokota's series for a mixed conductor between blocking electrodes, as a share of the steady current."""
    return 1 + 2 * sum(np.exp(-(n**2) * t / tau) for n in range(1, 60))


def simulate(
    siemens: float, volts: float, *, hours: float = 6.0, n: int = 600, noise_a: float = 0.0, offset_a: float = 0.0
):
    t = np.linspace(0, hours * HOUR, n)
    noise = np.random.default_rng((7, round(1e6 * (1 + volts)))).normal(size=n)  # the same whichever tests came before
    return t, siemens * volts * diffuse(t + 20, HOUR) + offset_a + noise_a * noise


def write_csv(path: Path, t: np.ndarray, i: np.ndarray, v: float | None = None) -> Path:
    table = {"Time (s)": t, "Current (nA)": 1e9 * i} | ({} if v is None else {"Voltage (V)": np.full(len(t), v)})
    pd.DataFrame(table).to_csv(path, index=False)
    return path


# Headers


@pytest.mark.parametrize(
    ("name", "kind", "factor"),
    [("time/s", "time", 1.0), ("Time (min)", "time", 60.0), ("T", "time", 1.0), ("Elapsed Time / h", "time", 3600.0),
     ("I/mA", "current", 1e-3), ("<I>/mA", "current", 1e-3), ("Im", "current", 1.0), ("Current (nA)", "current", 1e-9),
     ("WE(1).Current (A)", "current", 1.0), ("i [µA]", "current", 1e-6), ("Ewe/V", "voltage", 1.0),
     ("<Ewe>/V", "voltage", 1.0), ("Vf", "voltage", 1.0), ("Potential (mV)", "voltage", 1e-3),
     ("WE(1).Potential (V)", "voltage", 1.0), ("control/V", "control", 1.0), ("Potential applied (V)", "control", 1.0),
     ("time_s", "time", 1.0), ("current_a", "current", 1.0), ("current_na", "current", 1e-9),
     ("I (ma)", "current", 1e-3), ("voltage_v", "voltage", 1.0), ("voltage_mv", "voltage", 1e-3),
     ("Potential (mv)", "voltage", 1e-3),
     ("Ns", "step", 1.0), ("mode", "mode", 1.0), ("T/°C", "temperature", 1.0), ("freq/Hz", "frequency", 1.0)],
)  # fmt: skip
def test_headers_of_instruments_are_understood(name: str, kind: str, factor: float):
    header = read_column(name, 3)
    assert header is not None
    assert (header.kind, header.factor, header.index) == (kind, factor, 3)


def test_a_unit_in_small_letters_is_known_and_an_article_is_not_one():
    assert read_column("current_a", 0).unit == "A"
    assert read_column("Current through a pellet", 0).unit == ""


@pytest.mark.parametrize("name", ["I Range", "Ns changes", "Pt", "Vu", "Over", "Ece/V", "(Q-Qo)/C", "IERange", "Sig"])
def test_headers_of_other_things_are_not(name: str):
    assert read_column(name, 0) is None


def test_a_spectrum_is_not_a_polarization():
    assert CURVES.read(["freq/Hz", "time/s", "<I>/mA", "<Ewe>/V"]) == []


# Files


def test_biologic_steps_are_voltages(tmp_path: Path):
    t = np.arange(40.0)
    head = "EC-Lab ASCII FILE\nNb header lines : 3\nmode\tNs\ttime/s\tcontrol/V\tEwe/V\tI/mA\tI Range\n"
    rows = ["3\t0\t0,5\t0\t0,001\t0\t41"]
    for step, volts in enumerate((0.1, 0.2), start=1):
        rows += [f"2\t{step}\t{100 * step + s:g}\t{volts}\t{volts + 1e-4}\t{volts * 2e-6 * (1 + np.exp(-s)):.9e}\t41"
                 .replace(".", ",") for s in t]  # fmt: skip
    path = tmp_path / "LLZO_25C.mpt"
    path.write_text(head + "\n".join(rows) + "\n", encoding="cp1252")
    first, second = read_curves(path)
    assert [curve.label for curve in (first, second)] == ["LLZO_25C", "LLZO_25C#2"]
    assert first.voltage_v == pytest.approx(0.1001)
    assert second.current_a[0] == pytest.approx(0.2 * 2e-9 * 2)
    assert (len(first), second.time_s[0], second.time_s[-1]) == (40, 0, 39)
    assert first.temperature_k == pytest.approx(298.15)
    assert first.sample == "LLZO"
    assert any("1 rows at open circuit" in note for note in first.notes)


GAMRY = """EXPLAIN
TAG\tCHRONOA
OCVCURVE\tTABLE\t2
\tPt\tT\tVf\tVm\tAch
\t#\ts\tV vs. Ref.\tV\tV
\t0\t0.5\t1.0E-003\t1.0E-003\t0
\t1\t1.0\t1.0E-003\t1.0E-003\t0
CURVE\tTABLE\t11
\tPt\tT\tVf\tIm\tVu\tSig\tAch\tIERange\tOver
\t#\ts\tV vs. Ref.\tA\tV\tV\tV\t#\tbits
\t0\t0\t-5.4E-004\t-2.3E-008\t0\t0\t-6.6E-004\t6\t...........
"""


def test_gamry_units_stand_below_the_names_and_the_step_before_is_left_out(tmp_path: Path):
    rows = [
        f"\t{n}\t{30 * n}\t4.9966E-001\t{2e-9 + 8e-9 * 0.5**n:.6E}\t0\t0.5\t0\t6\t..........." for n in range(1, 13)
    ]
    (tmp_path / "x.DTA").write_text(GAMRY + "\n".join(rows) + "\n", encoding="utf-8")
    (curve,) = read_curves(tmp_path / "x.DTA")
    assert curve.voltage_v == pytest.approx(0.49966)
    assert len(curve) == 12
    assert curve.current_a[0] == pytest.approx(6e-9)
    assert any("1 row of voltages that were held" in note for note in curve.notes)


def test_measured_voltages_tell_holds_apart_and_drift_does_not(tmp_path: Path):
    t = np.arange(90.0)
    v = np.concatenate([0.1 + 1e-5 * t[:30], np.full(30, 0.2), np.full(30, -0.1)])
    table = {"t/s": t, "E/V": v, "I/A": v * 1e-9}
    pd.DataFrame(table).to_csv(tmp_path / "x.csv", index=False, sep=";")
    assert [round(curve.voltage_v, 3) for curve in read_curves(tmp_path / "x.csv")] == [0.1, 0.2, -0.1]


def test_a_voltage_is_given_or_in_the_name(tmp_path: Path):
    path = write_csv(tmp_path / "LPSC_200mV_30C.csv", *simulate(1e-8, 0.2))
    (curve,) = read_curves(path)
    assert (curve.voltage_v, curve.sample) == (pytest.approx(0.2), "LPSC")
    assert any("from the name" in note for note in curve.notes)
    assert read_curves(path, voltage_v=0.5)[0].voltage_v == 0.5


def test_sheets_of_a_workbook_are_read(tmp_path: Path):
    t, i = simulate(1e-8, 0.1, n=30)
    with pd.ExcelWriter(tmp_path / "x.xlsx") as book:
        for name, volts in (("first", 0.1), ("second", 0.3)):
            pd.DataFrame({"time/s": t, "I/A": i, "Ewe/V": volts}).to_excel(book, sheet_name=name, index=False)
    assert [curve.voltage_v for curve in read_curves(tmp_path / "x.xlsx")] == [0.1, 0.3]


ROWS = "\n".join(f"{n},{2e-9 + 1e-9 * 0.5**n},0.1" for n in range(20))
BAD = {
    "no unit": ("Time (s),Current,Voltage (V)\n" + ROWS, "has no unit"),
    "density": ("Time (s),Current (mA/cm2),Voltage (V)\n" + ROWS, "current density"),
    "no voltage": ("Time (s),Current (A),x\n" + ROWS, "voltage of bad.csv is not known"),
    "no current": ("Time (s),Voltage (V)\n1,2\n2,3\n", "holds no polarization curve"),
    "spectrum": ("freq/Hz,time/s,I/mA,Ewe/V\n1,2,3,4\n", "holds no polarization curve"),
    "no rows": ("Time (s),Current (A),Voltage (V)\n", "holds no polarization curve"),
    "short": ("Time (s),Current (A),Voltage (V)\n1,1e-9,0.1\n2,1e-9,0.1\n3,1e-9,0.1\n", "has 3 points"),
    "zero": ("Time (s),Current (A),Voltage (V)\n" + "\n".join(f"{n},0,0.1" for n in range(20)), "zero in every row"),
    "kiloampere": (
        "Time (s),Current (A),Voltage (V)\n" + "\n".join(f"{n},500,0.1" for n in range(20)),
        "comes to 500 A",
    ),
    "open circuit": ("mode,time/s,I/mA,Ewe/V\n" + "\n".join(f"3,{n},0,1" for n in range(20)), "holds no voltage"),
    "empty": ("", "holds no polarization curve"),
    "binary": ("\0\1\2\0\0", "not text"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_what_is_wrong(tmp_path: Path, name: str):
    text, message = BAD[name]
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CurveError, match=message) as caught:
        read_curves(tmp_path / "bad.csv")
    assert caught.value.fix


@pytest.mark.parametrize("unit", ["days", "day", "d"])
def test_times_in_days_are_understood(unit: str):
    column = read_column(f"Time ({unit})", 0)
    assert column is not None
    assert column.factor == 86400.0


def test_a_current_that_was_set_is_not_the_measured_one(tmp_path: Path):
    rows = "".join(f"{n},1,{n + 1},0.1\n" for n in range(20))
    (tmp_path / "x.csv").write_text(f"Time (s),Set Current (mA),Current (mA),Voltage (V)\n{rows}")
    (curve,) = read_curves(tmp_path / "x.csv")
    assert curve.current_a[1] == pytest.approx(2e-3)


@pytest.mark.parametrize(
    "name",
    ["current_density_ua_cm2", "Current_density_uA_cm2", "current_ua_per_cm2", "Current (uA cm⁻²)",
     "Current (uA / cm 2)", "Current density [uA]", "Current (mA cm^-2)", "Stromdichte (mA/cm²)"],
)  # fmt: skip
def test_a_current_density_is_not_a_current(tmp_path: Path, name: str):
    (tmp_path / "x.csv").write_text(BAD["density"][0].replace("Current (mA/cm2)", name), encoding="utf-8")
    with pytest.raises(CurveError):
        read_curves(tmp_path / "x.csv")


def test_columns_that_are_not_understood_are_named_with_the_nearest(tmp_path: Path):
    rows = "".join(f"{n};0.5;1\n" for n in range(20))
    (tmp_path / "x.csv").write_text(f"Tiem (s);Curent (A);Voltage (V)\n{rows}")
    message = r"its columns are 'Tiem \(s\)', 'Curent \(A\)', 'Voltage \(V\)': is 'Tiem \(s\)' time\?, is 'Curent"
    with pytest.raises(CurveError, match=message):
        read_curves(tmp_path / "x.csv")


def test_units_that_are_given_count(tmp_path: Path):
    (tmp_path / "x.csv").write_text(BAD["no unit"][0], encoding="utf-8")
    (curve,) = read_curves(tmp_path / "x.csv", current_unit="uA")
    assert curve.current_a[0] == pytest.approx(3e-15)
    for unit in ("volt", "mA/cm2"):
        with pytest.raises(CurveError, match="not a unit of current"):
            read_curves(tmp_path / "x.csv", current_unit=unit)


def test_formats_of_spectra_alone_are_refused(tmp_path: Path):
    (tmp_path / "x.pssession").write_text("{}", encoding="utf-8")
    with pytest.raises(CurveError, match="spectra only"):
        read_curves(tmp_path / "x.pssession")
    with pytest.raises(CurveError, match="cannot be read"):
        read_curves(tmp_path / "nothing.csv")


# Decays


def test_a_sum_of_exponentials_is_found_again():
    t = np.linspace(0, 10 * HOUR, 1500)
    i = 2e-9 + 5e-9 * np.exp(-t / 600) + 3e-9 * np.exp(-t / HOUR) + 1e-11 * np.random.default_rng(7).normal(size=len(t))
    fit = fit_decay(t, i)
    assert fit.settled
    assert fit.low_a < 2e-9 < fit.high_a
    assert fit.high_a - fit.low_a < 2e-11
    assert fit.taus_s == pytest.approx([600, HOUR], rel=0.05)
    assert fit.start_a == pytest.approx(10e-9, rel=0.02)
    assert fit.noise_a == pytest.approx(1e-11, rel=0.1)


def test_diffusion_between_blocking_electrodes_comes_to_its_steady_current():
    fit = fit_decay(*simulate(1e-8, 0.2, noise_a=1e-11))
    assert fit.settled
    assert fit.low_a < 2e-9 < fit.high_a
    assert fit.steady_a == pytest.approx(2e-9, rel=0.01)
    assert fit.taus_s[-1] == pytest.approx(HOUR, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "direction"),
    [(lambda s: 1 + 3 * np.exp(-s / 2), "falls"), (lambda s: (s + 0.01) ** -0.5, "falls"),
     (lambda s: 3 - np.log(s + 0.1), "falls"), (lambda s: 1 + 0.3 * s, "rises"), (lambda s: 2 - 0.4 * s, "falls")],
)  # fmt: skip
def test_what_has_not_settled_is_called_so_and_bounded_by_its_end(shape, direction: str):
    s = np.linspace(0, 2, 800)
    current = 1e-9 * (shape(s) + 2e-3 * np.random.default_rng(7).normal(size=len(s)))
    fit = fit_decay(s * HOUR, current)
    assert not fit.settled
    assert direction in fit.fault
    assert fit.rises == (direction == "rises")
    assert fit.bound_a == pytest.approx(np.inf if fit.rises else 1e-9 * abs(shape(1.9)), rel=0.05)


def test_eight_coarse_points_that_still_fall_have_not_settled():
    t = 30.0 * np.arange(8)
    i = np.array([14.0, 9.3, 7.5, 6.4, 5.4, 4.9, 4.4, 4.1]) * 1e-9
    assert "last quarter" in fit_decay(t, i).fault


def test_spikes_are_left_out():
    t, i = simulate(1e-8, 0.2, noise_a=1e-11)
    clean = fit_decay(t, i)
    i[[100, 300, 500]] += 1e-7
    fit = fit_decay(t, i)
    assert 3 <= fit.spikes <= 6  # neighbors of one may go with it
    assert fit.steady_a == pytest.approx(clean.steady_a, rel=2e-3)


def test_noise_alone_is_a_constant():
    i = 1e-9 + 1e-10 * np.random.default_rng(7).normal(size=400)  # the same whichever tests came before
    fit = fit_decay(np.arange(400.0), i)
    assert fit.settled
    assert fit.steady_a == pytest.approx(i.mean(), rel=1e-2)
    assert (fit.high_a - fit.low_a) / 2 == pytest.approx(1.97 * 1e-10 / np.sqrt(400), rel=0.5)


@settings(deadline=None, max_examples=15)
@given(st.floats(1e-12, 1e-3), st.sampled_from([-1, 1]), st.floats(1e-2, 1e3))
def test_units_and_signs_change_nothing(scale: float, sign: int, slower: float):
    t = np.linspace(0, 8, 120)
    i = 1 + 2 * np.exp(-t) + 0.02 * np.cos(37 * t)
    one, other = fit_decay(t, i), fit_decay(t * slower, sign * scale * i)
    assert other.steady_a == pytest.approx(sign * scale * one.steady_a, rel=1e-4)
    ends = sorted((sign * scale * one.low_a, sign * scale * one.high_a))
    assert [other.low_a, other.high_a] == pytest.approx(ends, rel=1e-3)
    assert other.settled == one.settled


def test_too_few_points_are_refused():
    with pytest.raises(CurveError, match="3 points"):
        fit_decay([0, 1, 2], [1, 1, 1])
    with pytest.raises(CurveError, match="do not rise"):
        Curve.from_arrays("x", [0, 2, 1, 3, 4, 5, 6, 7], np.ones(8), 0.1)


# Lines


def fit_decays(volts, siemens=1e-8, **more):
    return [fit_decay(*simulate(siemens, v, **more)) for v in volts]


def test_the_slope_is_free_of_an_offset():
    volts = (-0.2, -0.1, 0.1, 0.2)
    line = fit_conductance(volts, fit_decays(volts, noise_a=2e-11, offset_a=5e-10))
    assert line.low_siemens < 1e-8 < line.high_siemens
    assert line.siemens == pytest.approx(1e-8, rel=0.02)
    assert line.offset_low_a < 5e-10 < line.offset_high_a
    assert line.ohmic is True
    assert any("at zero voltage" in note for note in line.notes)
    alone = fit_conductance(volts[-1:], fit_decays(volts[-1:], noise_a=2e-11, offset_a=5e-10))
    assert alone.siemens == pytest.approx(1.25e-8, rel=0.02)  # which a single voltage does not show
    assert any("one voltage" in note for note in alone.notes)


def test_a_line_is_that_of_least_squares():
    volts = np.array([0.1, 0.2, 0.3, 0.4])
    decays = fit_decays(volts, noise_a=2e-11)
    current = [decay.steady_a for decay in decays]
    line = fit_conductance(volts, decays)
    weights = [2 * 1.96 / (decay.high_a - decay.low_a) for decay in decays]
    slope, offset = np.polyfit(volts, current, 1, w=weights)
    assert line.siemens == pytest.approx(slope, rel=1e-6)
    assert line.offset_a == pytest.approx(offset, rel=1e-6, abs=1e-15)


def test_scatter_about_the_line_widens_its_interval():
    volts = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    off = np.array([1, -1, 0, -1, 1]) * 2e-10
    decays = [fit_decay(*simulate(1e-8, v, noise_a=1e-12, offset_a=o)) for v, o in zip(volts, off, strict=True)]
    line = fit_conductance(volts, decays)
    current = np.array([decay.steady_a for decay in decays])
    residual = current - np.polyval(np.polyfit(volts, current, 1), volts)
    expected = 3.1824 * np.sqrt(residual @ residual / 3 / 0.1)  # Student's t of three degrees of freedom
    assert line.high_siemens - line.siemens == pytest.approx(expected, rel=0.1)


def test_rectification_is_not_ohmic():
    volts = np.array([-0.3, -0.15, 0.15, 0.3, 0.45])
    decays = [fit_decay(*simulate(1e-8 * (np.exp(4 * v) - 1) / v, v, noise_a=1e-12)) for v in volts]
    line = fit_conductance(volts, decays)
    assert line.ohmic is False
    assert any("not ohmic" in note for note in line.notes)


def test_unsettled_currents_leave_the_line_or_bound_it():
    short = fit_decay(*simulate(1e-8, 0.3, hours=0.8))
    volts = (0.1, 0.2, 0.3)
    line = fit_conductance(volts, [*fit_decays(volts[:2], noise_a=1e-11), short])
    assert line.n == 2
    assert line.siemens == pytest.approx(1e-8, rel=0.02)
    bound = fit_conductance([0.3], [short])
    assert bound.upper_bound
    assert np.isnan(bound.siemens)
    assert bound.high_siemens == pytest.approx(short.bound_a / 0.3)
    assert bound.high_siemens > 1e-8


def test_a_rising_current_bounds_nothing():
    t = np.arange(0.0, 3000.0, 5.0)
    rising = fit_decay(t, 1e-8 - 9e-9 * np.exp(-t / 4000.0))
    with pytest.raises(CurveError, match="still rises"):
        fit_conductance([0.5], [rising])
    falling = fit_decay(*simulate(1e-8, 0.2, hours=0.8))
    assert fit_conductance([0.5, 0.2], [rising, falling]).high_siemens == pytest.approx(falling.bound_a / 0.2)


def test_a_floor_and_noise_make_bounds():
    volts = (0.1, 0.2)
    line = fit_conductance(volts, fit_decays(volts, noise_a=1e-12), floor_a=1e-8)
    assert line.upper_bound
    assert line.high_siemens == pytest.approx(1e-8 / 0.1)
    t = np.arange(400.0)
    noises = [fit_decay(t, 1e-12 * np.random.default_rng(seed).normal(size=400)) for seed in range(20)]
    nothing = [fit_conductance([0.1], [noise]) for noise in noises]  # against the voltage as often as not
    assert sum(each.upper_bound for each in nothing) >= 18
    assert all(5e-13 < each.high_siemens < 1e-11 for each in nothing)
    alone = fit_conductance([0.2], fit_decays([0.2], noise_a=1e-12), floor_a=1e-10)
    assert alone.high_siemens - alone.siemens == pytest.approx(1e-10 / 0.2, rel=0.1)


def test_a_current_against_its_voltage_and_no_voltage_are_refused():
    with pytest.raises(CurveError, match="against the voltage"):
        fit_conductance([-0.2], fit_decays([0.2]))
    with pytest.raises(CurveError, match="no voltage was applied"):
        fit_conductance([0.0], fit_decays([0.2]))


def test_the_size_of_the_pellet_and_its_deviations_count():
    line = fit_conductance([0.2], fit_decays([0.2], noise_a=1e-13))
    pellet = Geometry.from_mm(1.0, diameter_mm=10.0)
    middle, low, high = line.conductivity_s_cm(pellet)
    assert middle == pytest.approx(1e-8 * 0.1 / (np.pi * 0.25), rel=5e-3)
    rough = line.conductivity_s_cm(Geometry.from_mm(1.0, diameter_mm=10.0, thickness_std_mm=0.05))
    assert (rough[2] - rough[1]) / 2 == pytest.approx(np.hypot((high - low) / 2, 1.96 * 0.05 * middle), rel=1e-3)
    assert line.ohm()[0] == pytest.approx(1 / line.siemens)


# Ionic transference numbers


def test_the_ionic_share_is_what_is_not_electronic():
    assert find_ionic_share((1e-9, 0.9e-9, 1.2e-9), Total(1e-4))[:3] == pytest.approx((0.99999, 0.999988, 0.999991))
    value, low, high, fault = find_ionic_share((float("nan"), float("nan"), 1e-8), Total(1e-4))
    assert np.isnan(value)
    assert (low, high, fault) == (pytest.approx(0.9999), 1.0, "")
    assert find_ionic_share((2e-4, 1e-4, 3e-4), Total(1e-4))[3]
    wide = find_ionic_share((1e-5, 1e-5, 1e-5), Total(1e-4, 1e-5))
    assert wide[1] == pytest.approx(0.9 - 1.96 * 0.1 * 0.1, rel=1e-4)


def test_the_total_is_that_of_the_sample_and_temperature():
    totals = (
        Total(1e-4, 0, 298.15, "LLZO_25C"),
        Total(2e-4, 0, 323.15, "LLZO_50C"),
        Total(3e-4, 0, 323.15, "LPSC_50C"),
    )
    assert choose_total(totals, "LLZO", 298.0)[0] == totals[0]
    assert choose_total(totals, "LLZO", 323.15)[0] == totals[1]
    for kelvin in (350.0, None):
        total, notes = choose_total(totals, "other", kelvin)
        assert total is None
        assert "no transference number" in notes[0]
    assert choose_total((), "LLZO", None) == (None, ())


def test_a_total_of_another_sample_is_refused_or_named():
    cold, hot = Total(1e-2, 0, 298.15, "LGPS_25C"), Total(2e-2, 0, 333.15, "LGPS_60C")
    total, notes = choose_total((cold, hot), "LLZO", 298.15)  # one sample alone, whatever it is called
    assert total == cold
    assert "is that of LGPS_25C" in notes[0]
    assert choose_total((cold, Total(1e-4, 0, 333.15, "LLZO_60C")), "LLZO", 298.15)[0] is None
    ten, one = Total(1e-3, 0, 298.15, "LLZO10_25C"), Total(1e-4, 0, 298.15, "LLZO-1_25C")
    assert choose_total((ten, one), "LLZO1", 298.15)[0] is None
    assert choose_total((ten, one), "LLZO10", 298.15) == (ten, ())
    assert choose_total((Total(1e-3),), "LLZO10", 298.15) == (Total(1e-3), ())


def test_totals_come_from_a_run_of_impedance(tmp_path: Path):
    rows = {"file": ["a", "a"], "process": ["bulk", "total"], "sigma_s_cm": [2e-4, 1e-4],
            "sigma_std_s_cm": [1e-6, 2e-6], "temperature_k": [298.15, 298.15]}  # fmt: skip
    pd.DataFrame(rows).to_parquet(tmp_path / "spectra.parquet")
    assert read_totals(tmp_path) == (Total(1e-4, 2e-6, 298.15, "a"),)
    with pytest.raises(SettingsError, match="not a run folder"):
        read_totals(tmp_path / "no")


# Runs


def write_samples(folder: Path) -> list[Path]:
    files = [write_csv(folder / f"LLZO_{v}V_25C.csv", *simulate(1e-8, v, noise_a=1e-11), v) for v in (0.1, 0.2, -0.2)]
    files.append(write_csv(folder / "LPSC_0.1V_25C.csv", *simulate(1e-8, 0.1, hours=0.5), 0.1))
    (folder / "bad.csv").write_text(BAD["density"][0], encoding="utf-8")
    return [*files, folder / "bad.csv"]


def test_files_of_one_sample_make_one_line_and_a_bad_one_is_a_failure(tmp_path: Path):
    files = write_samples(tmp_path)
    result = measure_polarizations(
        files, geometry=Geometry.from_mm(1, diameter_mm=10), reading=Reading(totals=(Total(1e-4),))
    )
    assert [(sample.name, len(sample.curves)) for sample in result.samples] == [("LLZO", 3), ("LPSC", 1)]
    assert [failure.material_id for failure in result.failures] == ["bad"]
    first, second = result.electronic.to_dict("records")
    sigma = 1e-8 * 0.1 / (np.pi * 0.25)
    assert first["sigma_electronic_low_s_cm"] < sigma < first["sigma_electronic_high_s_cm"]
    assert first["t_ion"] == pytest.approx(1 - sigma / 1e-4, rel=1e-7)
    assert (first["ohmic"], first["upper_bound"], second["upper_bound"]) == ("yes", False, True)
    assert np.isnan(second["sigma_electronic_s_cm"])
    assert second["sigma_electronic_high_s_cm"] > sigma
    assert second["t_ion_low"] < 1 - sigma / 1e-4
    assert list(result.curves["settled"]) == [True, True, True, False]
    assert plot_polarization(result.samples[0]).axes[0].get_ylabel() == "Current (nA)"


def test_temperatures_and_pellets_keep_lines_apart(tmp_path: Path):
    files = [write_csv(tmp_path / f"x_0.2V_{t}C.csv", *simulate(g, 0.2), 0.2) for t, g in ((25, 1e-8), (60, 1e-7))]
    result = measure_polarizations(files)
    assert [round(sample.conductance.siemens * 1e8) for sample in result.samples] == [1, 10]
    assert np.isnan(result.electronic["sigma_electronic_s_cm"]).all()
    assert any("size of the pellet" in note for note in result.notes)
    both = measure_polarizations(files, reading=Reading(temperatures_c=(("", 25.0),)))
    assert len(both.samples) == 1


@pytest.mark.figures
def test_a_run_folder_has_tables_figures_and_what_they_stand_on(tmp_path: Path):
    (tmp_path / "in").mkdir()
    write_samples(tmp_path / "in")
    options = ["--thickness-mm", "1", "--diameter-mm", "10", "--sigma-s-cm", "1e-4", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["polarization", str(tmp_path / "in"), *options], env={"COLUMNS": "80"})
    assert result.exit_code == 1, result.output  # one file failed
    assert max(len(line) for line in result.stdout.splitlines() if "->" not in line) <= 80
    assert "≤" in result.stdout
    assert "1.3e-09" in result.stdout
    out = tmp_path / "out"
    assert {"electronic.csv", "curves.parquet", "cite.bib", "run.toml"} <= {path.name for path in out.iterdir()}
    assert {path.suffix for path in (out / "figures").iterdir()} == {".png", ".pdf"}
    assert "10.1063/1.1700165" in (out / "cite.bib").read_text(encoding="utf-8")
    for name in ("electronic", "curves"):
        table = pd.read_parquet(out / f"{name}.parquet")
        assert all(column(key).hint for key in table)
    assert pd.read_parquet(out / "failures.parquet")["message"].str.contains("current density").all()
    again = CliRunner().invoke(app, ["polarization", str(tmp_path / "in"), *options[:-4], "-o", str(out)])
    assert isinstance(again.exception, SettingsError)


def test_a_table_of_pellets_has_sizes_and_temperatures(tmp_path: Path):
    file = write_csv(tmp_path / "a.csv", *simulate(1e-8, 0.2), 0.2)
    table = tmp_path / "pellets.csv"
    table.write_text("file,thickness_mm,diameter_mm,temperature_c,note\na.csv,2,10,40,pressed\n", encoding="utf-8")
    result = verbs.polarization(
        [file, table],
        folder=tmp_path / "out",
        settings=PolarizationSettings(table=str(table)),
        output=OutputSettings(figures=False),
    )
    (row,) = result.electronic.to_dict("records")
    assert row["temperature_k"] == pytest.approx(313.15)
    assert row["sigma_electronic_s_cm"] == pytest.approx(1e-8 * 0.2 / (np.pi * 0.25), rel=0.02)
    assert any("pressed" in note for note in result.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"voltage_v": ("x=y",)}, "not a voltage"), ({"voltage_v": ("b=1",)}, "names no file"),
     ({"temperature_c": ("a#1=40",)}, "--temperature-c a#1=40 names no file"),
     ({"voltage_v": ("a=1", "a=2")}, "--voltage-v a is given 2 times"),
     ({"floor_a": -1.0}, "--floor-a"), ({"sigma_s_cm": -1.0}, "--sigma-s-cm"), ({"diameter_mm": 10.0}, "thickness"),
     ({"sigma_s_cm": 1.0, "spectra": "x"}, "contradict"), ({"spectra": "nowhere"}, "not a run folder")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, options: dict, message: str):
    file = write_csv(tmp_path / "a.csv", *simulate(1e-8, 0.2, n=40), 0.2)
    with pytest.raises(PhonolyteError, match=message):
        verbs.polarization(file, folder=tmp_path / "out", settings=PolarizationSettings(**options))
    assert not (tmp_path / "out").exists()
