from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from phonolyte.cli import app
from phonolyte.errors import SettingsError, SpectrumError
from phonolyte.impedance import Spectrum, analyze_spectrum, fit_circuit, list_resistances, read_spectrum
from phonolyte.impedance.analysis import compare_with_intercept
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.elements import KINDS, Grid

F = np.logspace(5, -1, 40)
RANDLES, VALUES = "R0-p(R1-W1,C1)", (10.0, 100.0, 20.0, 1e-5)


def make_spectrum(circuit: str, values: tuple[float, ...], noise: float = 0.002) -> Spectrum:
    rng = np.random.default_rng(0)
    z = parse_circuit(circuit).impedance_ohm(values, F)
    return Spectrum.from_arrays("x", F, z + np.abs(z) * noise * (rng.normal(size=40) + 1j * rng.normal(size=40)))


@pytest.mark.parametrize("name", KINDS)
def test_elements_are_those_of_impedance_py_and_their_slopes_are_right(name: str):
    from impedance.models.circuits.elements import circuit_elements

    circuit, grid = parse_circuit(f"{name}1"), Grid.from_frequencies(F)
    theirs = circuit_elements[name]
    assert circuit.units == tuple(theirs.units)
    for seed in range(3):
        values = 10 ** np.random.default_rng(seed).uniform(-1, 1, len(circuit.names))
        values[circuit.exponents] = 0.8
        z, slopes = circuit.respond(values, grid)
        assert z == pytest.approx(theirs(values.tolist(), F.tolist()), rel=1e-8)
        for at, exponent in enumerate(circuit.exponents):
            step = np.eye(len(values))[at] * 1e-6
            up, down = (values + step, values - step) if exponent else (values * np.exp(step), values * np.exp(-step))
            change = (circuit.respond(up, grid)[0] - circuit.respond(down, grid)[0]) / 2e-6
            assert slopes[at] == pytest.approx(change, abs=1e-6 * float(np.abs(z).max()))


@pytest.mark.parametrize(
    ("circuit", "simpler"),
    [("R0-p(R1,C1)", {"p(R1,C1)", "R0-C1"}),  # R0-R1 is R0
     (RANDLES, {"p(R1-W1,C1)", "R0-p(W1,C1)", "R0-p(R1,C1)"}),
     ("L0-R0", {"L0", "R0"}), ("R0", set())],
)  # fmt: skip
def test_circuits_with_an_element_less(circuit: str, simpler: set[str]):
    assert set(parse_circuit(circuit).simpler) == simpler


@pytest.mark.long
def test_a_circuit_is_never_worse_than_one_it_contains():
    spectrum = make_spectrum("R0-p(R1,CPE1)-p(R2,C2)-W3", (20.0, 50.0, 1e-5, 0.85, 80.0, 1e-3, 5.0), 0.01)
    larger = fit_circuit(spectrum, "R0-p(R1,CPE1)-p(R2,CPE2)-W3")
    for inner in ("R0-p(R1,CPE1)-W3", "p(R1,CPE1)-p(R2,CPE2)-W3", "R0-p(R1,CPE1)-p(R2,C2)-W3"):
        assert larger.rms <= fit_circuit(spectrum, inner).rms * 1.001
    assert larger.rms == pytest.approx(0.01, rel=0.25)  # what was put in


@pytest.mark.parametrize("seed", range(3))
def test_an_inductive_loop_at_low_frequencies_is_fitted(seed: int):
    rng = np.random.default_rng(seed)
    values = (10.0, 200.0, 1e-6 * 10 ** rng.uniform(-1, 1), 100 * 10 ** rng.uniform(-0.3, 0.3), 50.0)
    spectrum = make_spectrum("R0-p(R1,C1,R2-L2)", values)
    assert fit_circuit(spectrum, "R0-p(R1,C1,R2-L2)").values == pytest.approx(values, rel=0.03)


@pytest.mark.long
def test_the_solution_of_a_published_cell_is_better_than_the_documented_one(shared: Path):
    spectrum = read_spectrum(shared / "cases" / "impedance" / "given_circuit_exampleData.csv")
    circuit = "R0-p(R1,C1)-p(R2-Wo1,C2)"
    analysis = analyze_spectrum(spectrum, circuit, weighting="unit")
    documented = (1.65e-2, 8.69e-3, 3.28, 5.39e-3, 6.31e-2, 2.33e2, 2.2e-1)  # of impedance.py, R0 to C2
    below = spectrum.impedance_ohm.imag <= 0
    theirs = parse_circuit(circuit).impedance_ohm(documented, spectrum.frequency_hz)
    left = [np.linalg.norm((z - spectrum.impedance_ohm)[below]) for z in (analysis.fit.impedance_ohm, theirs)]
    assert left[0] < 0.9 * left[1]
    assert analysis.fit["R0"] == pytest.approx(documented[0], rel=0.01)
    assert sorted((analysis.fit["R1"], analysis.fit["R2"])) == pytest.approx([documented[3], documented[1]], rel=0.06)
    assert any("9 points" in note and "no inductor" in note for note in analysis.notes)


def test_parameters_can_be_fixed_and_are_then_exact():
    spectrum = make_spectrum(RANDLES, VALUES)
    fit = fit_circuit(spectrum, RANDLES, fixed={"R0": 12.0})
    at = fit.names.index("R0")
    assert (fit.values[at], fit.low[at], fit.high[at]) == (12.0, 12.0, 12.0)
    free = fit_circuit(spectrum, RANDLES)
    assert fit.freedom == free.freedom + 1
    assert fit.rms > free.rms
    right = fit_circuit(spectrum, RANDLES, fixed={"R0": 10.0, "W1": 20.0})
    assert right["R1"] == pytest.approx(100.0, rel=0.01)
    assert right.high[1] - right.low[1] < free.high[1] - free.low[1]


@pytest.mark.long
def test_starts_choose_between_solutions_that_are_as_good_and_hold_none_back():
    spectrum = make_spectrum("p(R1,C1)-p(R2,C2)", (100.0, 1e-6, 50.0, 1e-3))
    for r1, c1, r2 in ((100.0, 1e-6, 50.0), (50.0, 1e-3, 100.0)):
        fit = fit_circuit(spectrum, "p(R1,C1)-p(R2,C2)", {"R1": r1, "C1": c1})
        assert fit["R1"] == pytest.approx(r1, rel=0.02)
        assert fit["R2"] == pytest.approx(r2, rel=0.02)
    far = fit_circuit(spectrum, "p(R1,C1)-p(R2,C2)", {"R1": 1e9, "C1": 1e3})
    assert far.rms == pytest.approx(fit.rms, rel=1e-3)


@pytest.mark.parametrize(
    ("given", "why"), [({"R9": 1.0}, "not a parameter"), ({"R1": -1.0}, "R1 is -1"), ({"CPE1_1": 1.2}, "CPE1_1 is 1.2")]
)
def test_values_that_no_parameter_has_are_refused(given: dict[str, float], why: str):
    with pytest.raises(SpectrumError, match=why):
        fit_circuit(make_spectrum(RANDLES, VALUES), "R0-p(R1,CPE1)", fixed=given)


def test_the_command_fixes_and_starts(tmp_path: Path):
    spectrum = make_spectrum(RANDLES, VALUES)
    z = spectrum.impedance_ohm
    table = pd.DataFrame({"freq (Hz)": F, "Re(Z) (ohm)": z.real, "Im(Z) (ohm)": z.imag})
    table.to_csv(tmp_path / "x_25C.csv", index=False)
    command = ["impedance", str(tmp_path / "x_25C.csv"), "-o", str(tmp_path / "out"), "--no-figures", "--no-report"]
    result = CliRunner().invoke(app, [*command, "--circuit", RANDLES, "--fix", "R0=10", "--start", "C1=1e-5"])
    assert result.exit_code == 0, result.output
    values = pd.read_parquet(tmp_path / "out" / "parameters.parquet").set_index("parameter")
    assert values.loc["R0", ["value", "low", "high"]].tolist() == [10.0, 10.0, 10.0]
    assert values.loc["R1", "value"] == pytest.approx(100.0, rel=0.02)
    for more, what in ((["--circuit", RANDLES, "--fix", "R7=1"], "'R7' is not a parameter"),
                       (["--fix", "R0=1"], "without a circuit"),
                       (["--circuit", RANDLES, "--start", "R0=x"], "'x' is not a number"),
                       (["--circuit", RANDLES, "--fix", "R0=1", "--fix", "R0=2"], "R0 is given twice")):  # fmt: skip
        refused = CliRunner().invoke(app, [*command, *more])
        assert isinstance(refused.exception, SettingsError)
        assert what in str(refused.exception)


@pytest.mark.parametrize("arc", ["Zarc1", "K1"])
def test_an_arc_that_is_one_element_counts_as_resistor_and_capacitor(arc: str):
    f = np.logspace(6, 0, 61)
    z = 50 + 1000 / (1 + 2j * np.pi * f * 1e-8) + 1 / (2j * np.pi * f * 1e-5)
    fit = fit_circuit(Spectrum.from_arrays("x", f, z), f"R0-{arc}-C2")
    assert [name for name, _, _ in fit.arcs] == [f"{arc}_0"]
    assert fit.arcs[0][2] == pytest.approx(1e-11, rel=0.01)
    by_process = {each.process: each.ohm for each in list_resistances(fit)}
    assert by_process["total"] == pytest.approx(1050, rel=0.01)
    assert by_process["bulk"] == pytest.approx(1000, rel=0.01)


def test_there_is_no_total_with_what_conducts_besides_resistors():
    f = np.logspace(5, -2, 71)
    z = 50 + parse_circuit("Gs1").impedance_ohm([100.0, 0.1, 0.5], f)
    analysis = analyze_spectrum(Spectrum.from_arrays("x", f, z), circuit="R0-Gs1")
    assert "total" not in {each.process for each in list_resistances(analysis.fit)}
    assert any("there is no total: Gs1" in note for note in compare_with_intercept(analysis).notes)
