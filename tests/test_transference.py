"""Transference numbers by Bruce and Vincent: simulated cells with a known one, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from phonolyte import verbs
from phonolyte.cli import app
from phonolyte.columns import column
from phonolyte.errors import CurveError, SettingsError, SpectrumError
from phonolyte.impedance import Analysis, Spectrum, analyze_spectrum
from phonolyte.polarization import (
    Curve,
    Transference,
    TransferenceSettings,
    bruce_vincent,
    find_resistances,
    measure_transference,
    watanabe,
)
from phonolyte.polarization.settings import TransferenceSettings as Settings
from phonolyte.runs.settings import OutputSettings

F = np.logspace(6, -1, 50)
VOLTS, BULK, BEFORE, AFTER = 0.01, 100.0, 150.0, 165.0
FIRST = VOLTS / (BULK + BEFORE)
CIRCUIT = "R0-p(R1,CPE1)"


def make_spectrum(name: str, ohm: float, *, bulk: float = BULK, noise: float = 0.002, farad: float = 3e-6) -> Spectrum:
    rng = np.random.default_rng(len(name))
    z = bulk + ohm / (1 + (2j * np.pi * F * ohm * farad) ** 0.9)
    return Spectrum.from_arrays(name, F, z * (1 + noise * (rng.normal(size=len(F)) + 1j * rng.normal(size=len(F)))))


def analyze(name: str, ohm: float, **more) -> Analysis:
    return analyze_spectrum(make_spectrum(name, ohm, **more), CIRCUIT)


@pytest.fixture(scope="module")
def spectra() -> tuple[Analysis, Analysis]:
    return analyze("before", BEFORE), analyze("after", AFTER)


def solve_steady(number: float) -> float:
    """Steady current of a cell with a transference number: the equation solved for it."""
    return number * FIRST * VOLTS / (VOLTS - FIRST * BEFORE + number * FIRST * AFTER)


def make_curve(
    number: float = 0.3, *, noise: float = 0.002, volts: float = VOLTS, hours: float = 16.0, step: float = 30.0
):
    t = np.arange(0, hours * 3600, step)
    steady = solve_steady(number) * volts / VOLTS
    first = FIRST * volts / VOLTS
    rng = np.random.default_rng(5)
    i = steady + (first - steady) * np.exp(-t / 7200) + noise * abs(first) * rng.normal(size=len(t))
    return Curve.from_arrays("curve", t, i, volts)


def test_the_equations_are_those_of_the_papers():
    # by hand: I0 = 40 uA, Iss = 20 uA, 10 mV: 20 (10 - 6) / (40 (10 - 3.3)) = 80 / 268
    assert bruce_vincent(0.01, 40e-6, 20e-6, 150.0, 165.0) == pytest.approx(80 / 268, rel=1e-12)
    assert watanabe(0.01, 20e-6, 100.0, 165.0) == pytest.approx(100 / (500 - 165), rel=1e-12)
    assert bruce_vincent(0.01, 40e-6, 40e-6, 150.0, 150.0) == pytest.approx(1.0)
    assert bruce_vincent(1.0, 2.0, 0.5, 0.0, 0.0) == pytest.approx(0.25)  # without interfaces the ratio of currents


@pytest.mark.parametrize("volts", [VOLTS, -VOLTS])
@pytest.mark.parametrize("number", [0.1, 0.3, 0.8])
def test_a_simulated_cell_gives_its_number_back(spectra, number: float, volts: float):
    result = measure_transference(make_curve(number, volts=volts), *spectra)
    assert result.initial_by == "extrapolated"
    assert result.t_plus.value == pytest.approx(number, rel=0.02)
    assert result.t_plus_watanabe.value == pytest.approx(number, rel=0.02)
    assert result.t_plus.low < number * 1.005
    assert result.t_plus.high > number * 0.995
    assert result.initial_a.value * volts > 0
    assert not result.fault
    assert not result.notes


def test_the_interval_is_that_of_the_delta_method(spectra):
    result = measure_transference(make_curve(noise=0.02), *spectra)
    old, new = result.before, result.after
    point = np.array([result.initial_a.value, result.steady_a.value, old.interface_ohm, new.interface_ohm])
    stds = np.array([result.decay.start_std_a, result.decay.steady_std_a,
                     *(np.ptp(cell.interval(cell.interfaces)) / 2 / 1.96 for cell in (old, new))])  # fmt: skip
    slopes = []
    for at in range(4):
        ends = [bruce_vincent(VOLTS, *(point + sign * 1e-4 * point[at] * np.eye(4)[at])) for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2e-4 * point[at]))
    expected = 1.96 * np.linalg.norm(np.array(slopes) * stds)
    assert (result.t_plus.high - result.t_plus.low) / 2 == pytest.approx(expected, rel=0.1)


def test_slow_sampling_takes_the_initial_current_of_ohms_law(spectra):
    curve = make_curve(step=4500.0, hours=40.0)
    result = measure_transference(curve, *spectra)
    assert result.initial_by == "ohm"
    assert any("sampling is too slow" in note for note in result.notes)
    assert result.t_plus.value == pytest.approx(result.t_plus_watanabe.value, rel=1e-9)
    assert measure_transference(make_curve(), *spectra, initial="ohm").initial_by == "ohm"


def test_charging_of_the_interfaces_is_not_the_initial_current(spectra):
    curve = make_curve(step=1e-3, hours=0.2e-3)  # 0.7 s, in which the interfaces of 0.45 ms charge
    charging = curve.current_a + 1e-4 * np.exp(-curve.time_s / 4.5e-4)
    result = measure_transference(Curve.from_arrays("c", curve.time_s, charging, VOLTS), *spectra)
    assert result.decay.from_s >= 5 * result.before.charging_s
    assert result.initial_a.value == pytest.approx(FIRST, rel=0.01)


def test_an_unsettled_current_gives_an_upper_bound(spectra):
    result = measure_transference(make_curve(hours=3.0), *spectra)
    assert result.upper_bound
    assert np.isnan(result.t_plus.value)
    assert result.t_plus.high > 0.3
    assert any("upper bound" in note for note in result.notes)


def test_a_current_that_still_rises_gives_no_number(spectra):
    t = np.arange(0.0, 3000.0, 5.0)
    rising = FIRST * (1 - 0.9 * np.exp(-t / 4000.0))
    result = measure_transference(Curve.from_arrays("x", t, rising, VOLTS), *spectra)
    assert np.isnan([*result.t_plus, *result.t_plus_watanabe]).all()
    assert "still rises" in result.fault
    assert not result.upper_bound


def test_what_is_not_between_zero_and_one_is_flagged(spectra):
    t = np.arange(0, 50000, 30.0)
    rising = FIRST * (1.6 - 0.6 * np.exp(-t / 5000))
    result = measure_transference(Curve.from_arrays("x", t, rising, VOLTS), *spectra)
    assert result.fault
    wrong = measure_transference(Curve.from_arrays("x", t, 3 * rising, VOLTS), *spectra)
    assert "take more than the voltage" in wrong.fault
    assert np.isnan(wrong.t_plus.value)


def test_large_voltages_and_changes_of_the_cell_are_noted(spectra):
    assert any("linear range" in note for note in measure_transference(make_curve(volts=0.05), *spectra).notes)
    other = analyze("changed", 400.0, bulk=130.0)
    notes = " ".join(measure_transference(make_curve(), spectra[0], other).notes)
    assert "electrolyte changed from" in notes
    assert "interfaces changed from" in notes
    half = Curve.from_arrays("x", make_curve().time_s, make_curve().current_a / 2, VOLTS)
    assert any("not that of Ohm's law" in note for note in measure_transference(half, *spectra).notes)


def test_a_current_against_its_voltage_is_refused(spectra):
    curve = make_curve()
    with pytest.raises(CurveError, match="against its voltage"):
        measure_transference(Curve.from_arrays("x", curve.time_s, -curve.current_a, VOLTS), *spectra)
    with pytest.raises(CurveError, match="0 V"):
        measure_transference(Curve.from_arrays("x", curve.time_s, curve.current_a, 0.0), *spectra)


def test_arcs_are_distinguished_by_their_capacitance(spectra):
    cell = find_resistances(spectra[0])
    assert (cell.interfaces, cell.electrolyte) == (("R1",), ("R0",))
    assert cell.interface_ohm == pytest.approx(BEFORE, rel=0.02)
    assert cell.electrolyte_ohm == pytest.approx(BULK, rel=0.02)
    low, high = cell.interval(cell.interfaces)
    assert low < cell.interface_ohm < high
    electrolyte, interface = cell.draw(np.random.default_rng(0), 4000)
    assert electrolyte.mean() == pytest.approx(BULK, rel=0.02)
    assert np.quantile(interface, [0.025, 0.975]) == pytest.approx([low, high], rel=2e-3)
    bulk_alone = analyze("bulk", 150.0, farad=1e-10)
    with pytest.raises(SpectrumError, match="no arc of interfaces"):
        find_resistances(bulk_alone)
    assert find_resistances(bulk_alone, ["R1"]).interfaces == ("R1",)
    with pytest.raises(SpectrumError, match="no resistor R7"):
        find_resistances(bulk_alone, ["R7"])


def write_cell(folder: Path) -> dict[str, Path]:
    files = {name: folder / f"{name}.csv" for name in ("before", "after", "curve")}
    for name, ohm in (("before", BEFORE), ("after", AFTER)):
        z = make_spectrum(name, ohm).impedance_ohm
        pd.DataFrame({"freq/Hz": F, "Re(Z)/Ohm": z.real, "-Im(Z)/Ohm": -z.imag}).to_csv(files[name], index=False)
    curve = make_curve()
    pd.DataFrame({"time/s": curve.time_s, "Ewe/V": VOLTS, "I/mA": curve.current_a * 1e3}).to_csv(
        files["curve"], index=False
    )
    return files


@pytest.mark.figures
def test_a_run_folder_has_the_number_its_figure_and_what_it_stands_on(tmp_path: Path):
    files = write_cell(tmp_path)
    arguments = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["transference", *arguments, "-o", str(out)], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.stdout.splitlines() if "->" not in line) <= 80
    assert "0.30" in result.stdout
    table = pd.read_parquet(out / "transference.parquet")
    assert table.loc[0, "t_plus"] == pytest.approx(0.3, rel=0.02)
    assert table.loc[0, "interface_before_ohm"] == pytest.approx(BEFORE, rel=0.02)
    assert all(column(key).hint for key in table)
    assert (out / "figures" / "transference.pdf").is_file()
    assert "10.1016/0022-0728(87)80001-3" in (out / "cite.bib").read_text(encoding="utf-8")


def test_files_that_are_not_there_or_hold_several_are_refused(tmp_path: Path):
    files = write_cell(tmp_path)
    with pytest.raises(SettingsError, match="nowhere is not a file"):
        verbs.transference(**{**files, "before": "nowhere"}, folder=tmp_path / "out")
    two = pd.concat([pd.read_csv(files["before"])] * 2)
    two.to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(SpectrumError, match="holds 2 spectra"):
        verbs.transference(**{**files, "before": tmp_path / "two.csv"}, folder=tmp_path / "out2")
    second = verbs.transference(
        **{**files, "before": f"{tmp_path / 'two.csv'}#2"},
        folder=tmp_path / "out3",
        output=OutputSettings(figures=False),
    )
    assert isinstance(second, Transference)
    with pytest.raises(SpectrumError, match="not number 3"):
        verbs.transference(**{**files, "before": f"{tmp_path / 'two.csv'}#3"}, folder=tmp_path / "out4")
    with pytest.raises(SettingsError, match="--voltage-mv"):
        verbs.transference(**files, folder=tmp_path / "out5", settings=TransferenceSettings(voltage_mv=0.0))


def test_a_missing_file_is_named():
    result = CliRunner().invoke(app, ["transference", "--before", "x"])
    assert isinstance(result.exception, SettingsError)
    assert "--after" in result.exception.fix


def test_a_voltage_that_is_given_counts(tmp_path: Path):
    files = write_cell(tmp_path)
    result = verbs.transference(
        **files, folder=tmp_path / "out", settings=Settings(voltage_mv=13.0), output=OutputSettings(figures=False)
    )
    assert result.curve.voltage_v == pytest.approx(0.013)
    assert any("Ohm's law" in note for note in result.notes)
