from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phonolyte.impedance import Spectrum, check_kramers_kronig, read_spectrum
from phonolyte.impedance.circuits import parse_circuit

F = np.logspace(6, -1, 50)
LEAKY = ("p(R1,C1)-p(R2,C2)-C0", (2e4, 2.3e-10, 9e4, 3.1e-8, 5e-6))


def make_spectrum(
    circuit: str, values: tuple[float, ...], noise: float, seed: int = 0, factor: np.ndarray | float = 1.0
) -> Spectrum:
    rng = np.random.default_rng(seed)
    z = parse_circuit(circuit).impedance_ohm(values, F) * factor
    return Spectrum.from_arrays("x", F, z + np.abs(z) * noise * (rng.normal(size=50) + 1j * rng.normal(size=50)))


@pytest.mark.parametrize("tau_s", np.geomspace(1e-5, 1e-1, 9))
def test_an_ideal_arc_is_good_wherever_it_falls_between_the_elements(tau_s: float):
    spectrum = make_spectrum("R0-p(R1,C1)", (10.0, 1e4, tau_s / 1e4), 0.002)
    test = check_kramers_kronig(spectrum)
    assert test.verdict == "good"
    assert test.rms == pytest.approx(0.002, rel=0.3)  # what was put in


def test_the_false_alarm_of_an_ideal_arc_is_gone(shared: Path):
    test = check_kramers_kronig(read_spectrum(shared / "cases" / "impedance" / "kk_false_bad_RC_25C.csv"))
    assert test.verdict == "good"
    assert test.rms == pytest.approx(0.0018, abs=5e-4)


@pytest.mark.parametrize("size", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("at", [15, 25, 35])
def test_a_contact_that_changes_is_not_hidden_by_leaving_its_points_out(at: int, size: float):
    step = 1 + size * (np.arange(50) >= at)
    test = check_kramers_kronig(make_spectrum(*LEAKY, 0.002, factor=step))
    assert test.verdict != "good"
    assert test.off == ()


@pytest.mark.parametrize("points", [(20,), (12, 40), (8, 9, 30)])
def test_single_points_are_left_out_and_the_rest_is_good(points: tuple[int, ...]):
    factor = np.ones(50)
    factor[list(points)] = 1.25
    test = check_kramers_kronig(make_spectrum(*LEAKY, 0.003, factor=factor))
    assert sorted(test.off) == sorted(points)
    assert test.verdict == "good"
    assert test.rms == pytest.approx(0.003, rel=0.3)


@pytest.mark.parametrize("seed", range(20))
def test_points_that_are_left_out_never_make_it_worse(seed: int):
    rng = np.random.default_rng(seed)
    factor = np.exp(rng.uniform(0, 0.05) * rng.standard_t(2, size=50))
    spectrum = make_spectrum(*LEAKY, 0.003, seed, factor)
    test = check_kramers_kronig(spectrum)
    order = ["good", "doubtful", "bad"]
    whole = np.hypot(test.real, test.imaginary)
    assert test.rms <= np.sqrt(np.mean(whole**2) / 2) + 1e-12
    assert order.index(test.verdict) <= order.index(check_kramers_kronig_of_all(spectrum))


def check_kramers_kronig_of_all(spectrum: Spectrum) -> str:
    from phonolyte.impedance.validation import _test

    return _test(spectrum, ()).verdict


def test_noise_of_a_spectrum_of_few_points_is_not_a_fault():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        f = np.logspace(6, 0, 20)
        z = parse_circuit("p(R1,CPE1)-CPE0").impedance_ohm((1e4, 1e-9, 0.9, 1e-6, 0.8), f)
        z = z + np.abs(z) * 0.02 * (rng.normal(size=20) + 1j * rng.normal(size=20))
        assert check_kramers_kronig(Spectrum.from_arrays("x", f, z)).verdict == "good"


@pytest.mark.parametrize("seed", range(1, 4))
def test_drift_that_a_chain_of_elements_nearly_follows_is_doubtful(seed: int):
    elapsed = np.cumsum(3 / F + 0.3)
    circuit = parse_circuit("p(R1,CPE1)-p(R2,CPE2)")
    z = np.array([
        circuit.impedance_ohm((2e4 * grown, 2e-10, 0.9, 9e4 * grown, 3e-8, 0.85), np.array([f]))[0]
        for f, grown in zip(F, 1 + 0.2 * elapsed / elapsed[-1], strict=True)
    ])  # fmt: skip
    rng = np.random.default_rng(seed)
    spectrum = Spectrum.from_arrays("x", F, z + np.abs(z) * 0.001 * (rng.normal(size=50) + 1j * rng.normal(size=50)))
    test = check_kramers_kronig(spectrum)
    assert test.systematic < 0.005
    assert test.verdict == "doubtful"


def test_points_that_are_measured_again_at_the_end_show_drift():
    again = np.concatenate((F, F[:3]))
    z = 100 + 1e4 / (1 + 2j * np.pi * again * 1e-4)
    z[-3:] *= 1.05
    (note,) = [note for note in Spectrum.from_arrays("x", again, z).notes if "drifts" in note]
    assert note == "3 frequencies measured again at the end are 5.0% off the first time: the sample drifts"
    z[-3:] /= 1.05
    assert not any("drifts" in note for note in Spectrum.from_arrays("x", again, z).notes)
    at_once = np.repeat(F, 2)  # each point twice
    twice = 1e4 / (1 + 2j * np.pi * at_once * 1e-4) * np.tile([1.0, 1.05], len(F))
    assert not any("drifts" in note for note in Spectrum.from_arrays("x", at_once, twice).notes)
