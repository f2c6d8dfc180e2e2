from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phonolyte.impedance import Geometry, Spectrum, analyze_spectrum, list_resistances, read_spectrum
from phonolyte.impedance.analysis import compare_with_intercept
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.notes import list_series_notes

PELLET = Geometry.from_mm(1.0, diameter_mm=10.0)
F = np.logspace(6, -1, 60)
TWO = "p(R1,CPE1)-p(R2,CPE2)"


def make_spectrum(
    circuit: str, values: tuple[float, ...], f: np.ndarray = F, noise: float = 0.003, seed: int = 0
) -> Spectrum:
    rng = np.random.default_rng(seed)
    z = parse_circuit(circuit).impedance_ohm(values, f)
    return Spectrum.from_arrays(
        "x", f, z + np.abs(z) * noise * (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f)))
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("q", [1e-5, 1e-4])
def test_a_spectrum_that_ends_within_the_arc_of_electrodes_has_no_bound_above_the_total(q: float, seed: int):
    spectrum = make_spectrum(TWO, (1e3, 1e-10, 0.95, 1e5, q, 0.85), seed=seed)
    analysis = compare_with_intercept(analyze_spectrum(spectrum), PELLET)
    total = analysis.find_total(PELLET)
    assert total is not None
    assert total.ohm == pytest.approx(1e3, rel=0.01)
    assert analysis.intercept.complete
    assert analysis.intercept.ohm == pytest.approx(1e3, rel=0.02)
    assert not any("at least" in note for note in analysis.notes)
    assert compare_with_intercept(analysis, PELLET).notes == analysis.notes


def test_without_the_size_of_the_pellet_the_bound_stays():
    spectrum = make_spectrum(TWO, (1e3, 1e-10, 0.95, 1e5, 1e-5, 0.85))
    analysis = compare_with_intercept(analyze_spectrum(spectrum))
    assert not analysis.intercept.complete
    total = analysis.find_total()
    assert total is not None
    assert total.high_ohm > analysis.intercept.ohm


def test_extrapolation_is_of_the_resistor_that_is_extrapolated(shared: Path):
    spectrum = read_spectrum(shared / "cases" / "impedance" / "wrong_note_leaky_25C.csv")
    analysis = compare_with_intercept(analyze_spectrum(spectrum), PELLET)
    total = analysis.find_total(PELLET)
    assert total is not None
    assert (total.ohm, total.low_ohm, total.high_ohm) == pytest.approx((1000.3, 999.7, 1001.0), abs=0.2)
    notes = [note for note in analysis.notes if "extrapolated" in note]
    assert len(notes) == 1
    assert notes[0].startswith("R2 of the circuit")
    assert not any("total" in note and "extrapolated" in note for note in list_series_notes([analysis], PELLET, 3e-11))


def test_a_total_of_an_arc_that_has_hardly_begun_is_extrapolated():
    spectrum = make_spectrum(TWO, (1e4, 1e-10, 0.95, 5e4, 2e-8, 0.85), np.logspace(6, 3.5, 45))
    analysis = analyze_spectrum(spectrum)
    assert analysis.extrapolated == ("R2",)
    assert any("total of x is extrapolated" in note for note in list_series_notes([analysis], PELLET, 3e-11))


@pytest.mark.parametrize("seed", range(4))
def test_where_one_arc_is_as_likely_as_two_the_interval_of_the_bulk_covers_both(seed: int):
    f = np.logspace(6, 0, 40)
    values = (1e4, 1e-10, 0.95, 2e4, 1.7e-10, 0.95, 1e-6, 0.8)
    analysis = analyze_spectrum(make_spectrum(f"{TWO}-CPE0", values, f, 0.02, seed))
    shown = {one.process: one for one in list_resistances(analysis.fit, PELLET.constant_per_cm, rivals=analysis.tried)}
    assert shown["bulk"].low_ohm < 1e4 < shown["bulk"].high_ohm
    assert shown["total"].low_ohm * 0.99 < 3e4 < shown["total"].high_ohm * 1.01


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_a_single_arc_is_narrow_where_nothing_speaks_for_two(seed: int):
    analysis = analyze_spectrum(make_spectrum("p(R1,CPE1)-CPE0", (3e4, 2e-10, 0.9, 1e-6, 0.8), noise=0.005, seed=seed))
    bulk = list_resistances(analysis.fit, PELLET.constant_per_cm, rivals=analysis.tried)[0]
    assert bulk.high_ohm / bulk.low_ohm < 1.02
    assert bulk.low_ohm * 0.995 < 3e4 < bulk.high_ohm * 1.005


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ohm", [2e3, 2e4])
def test_a_tail_that_begins_as_a_diffusion_is_not_taken_for_a_second_arc(ohm: float, seed: int):
    analysis = analyze_spectrum(make_spectrum("p(R1,CPE1)-Wo0", (1e4, 1e-10, 0.95, ohm, 0.01), seed=seed))
    assert analysis.fit.circuit == "p(R1,CPE1)-Wo0"
    shown = {
        one.process: one.ohm for one in list_resistances(analysis.fit, PELLET.constant_per_cm, rivals=analysis.tried)
    }
    assert shown == pytest.approx({"bulk": 1e4, "total": 1e4}, rel=0.01)
