"""Distributions of relaxation times: known ones come back, and what is measured is not in the circuit alone."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phonolyte import verbs
from phonolyte.errors import SpectrumError
from phonolyte.impedance import (
    Geometry,
    Series,
    Spectrum,
    analyze_spectrum,
    compute_distribution,
    fit_circuit,
    plot_distribution,
)
from phonolyte.impedance.drt import _find_tops
from phonolyte.impedance.drt_drawing import draw_distributions
from phonolyte.impedance.drt_tables import name_process
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.runs.settings import OutputSettings

F = np.logspace(6, -1, 57)
W = 2 * np.pi * F
FAST, SLOW = (2e4, 1e-5), (5e4, 2e-3)
"""Resistance, ohm, and relaxation time, s, of two arcs."""


def zarc(ohm: float, tau: float, alpha: float = 1.0) -> np.ndarray:
    return ohm / (1 + (1j * W * tau) ** alpha)


def make_spectrum(z: np.ndarray, share: float = 0.003, seed: int = 0) -> Spectrum:
    rng = np.random.default_rng(seed)
    return Spectrum.from_arrays("x", F, z * (1 + share * (rng.normal(size=len(z)) + 1j * rng.normal(size=len(z)))))


def test_two_arcs_are_two_peaks_with_their_times_resistances_and_capacitances():
    distribution = compute_distribution(make_spectrum(100 + zarc(*FAST, 0.9) + zarc(*SLOW, 0.9)))
    assert [peak.resistance_ohm for peak in distribution.peaks] == pytest.approx([2e4, 5e4], rel=0.06)
    assert [peak.tau_s for peak in distribution.peaks] == pytest.approx([1e-5, 2e-3], rel=0.15)
    assert [peak.capacitance_f for peak in distribution.peaks] == pytest.approx([5e-10, 4e-8], rel=0.2)
    assert [peak.frequency_hz for peak in distribution.peaks] == pytest.approx([15915, 79.6], rel=0.15)
    assert all(peak.low_ohm < peak.resistance_ohm < peak.high_ohm for peak in distribution.peaks)


def test_the_distribution_is_that_of_a_depressed_arc():
    """Distribution of a ZARC (Cole and Cole, 10.1063/1.1750906, eq. 13)."""
    alpha = 0.7
    distribution = compute_distribution(make_spectrum(zarc(1e4, 1e-3, alpha), 0.001))
    x = np.log(distribution.tau_s / 1e-3)
    known = 1e4 / (2 * np.pi) * np.sin((1 - alpha) * np.pi) / (np.cosh(alpha * x) - np.cos((1 - alpha) * np.pi))
    inside = (distribution.tau_s > 1e-6) & (distribution.tau_s < 1)
    assert np.abs(distribution.gamma_ohm - known)[inside].max() < 0.06 * known.max()


def test_resistance_and_inductance_at_infinite_frequency_are_found():
    distribution = compute_distribution(make_spectrum(500 + 2e-5j * W + zarc(2e3, 1e-3, 0.9), 0.001))
    assert distribution.series_ohm == pytest.approx(500, rel=0.02)
    assert distribution.inductance_h == pytest.approx(2e-5, rel=0.02)
    assert np.trapezoid(distribution.gamma_ohm, np.log(distribution.tau_s)) == pytest.approx(2e3, rel=0.02)


def test_a_spectrum_in_other_units_has_the_same_peaks():
    spectrum = make_spectrum(zarc(*FAST, 0.9) + zarc(*SLOW, 0.9))
    one = compute_distribution(spectrum)
    scaled = compute_distribution(replace(spectrum, impedance_ohm=1e3 * spectrum.impedance_ohm))
    moved = compute_distribution(replace(spectrum, frequency_hz=10 * spectrum.frequency_hz))
    assert [peak.resistance_ohm for peak in scaled.peaks] == pytest.approx([1e3 * p.resistance_ohm for p in one.peaks])
    assert [peak.tau_s for peak in moved.peaks] == pytest.approx([peak.tau_s / 10 for peak in one.peaks])


def test_what_blocks_is_not_a_peak_where_the_circuit_has_it():
    spectrum = make_spectrum(zarc(*FAST, 0.9) + 1 / (1e-6 * (1j * W) ** 0.7))
    fit = fit_circuit(spectrum, "p(R1,CPE1)-CPE0")
    blocked = compute_distribution(spectrum, fit)
    assert [peak.resistance_ohm for peak in blocked.peaks] == pytest.approx([2e4], rel=0.05)
    bare = compute_distribution(spectrum)
    beyond = blocked.tau_s > 1e-3
    assert blocked.gamma_ohm[beyond].sum() < 0.1 * bare.gamma_ohm[beyond].sum()


def test_residuals_that_are_not_independent_do_not_shatter_the_distribution():
    wave = 1 + 0.002 * np.sin(3 * np.log(W))
    distribution = compute_distribution(Spectrum.from_arrays("x", F, wave * (zarc(*FAST, 0.85) + zarc(*SLOW, 0.85))))
    assert len(distribution.peaks) <= 3
    largest = sorted(distribution.peaks, key=lambda peak: -peak.resistance_ohm)[:2]
    assert [peak.resistance_ohm for peak in largest] == pytest.approx([5e4, 2e4], rel=0.1)


@pytest.mark.long
def test_most_spectra_of_one_and_two_arcs_show_as_many_peaks():
    right = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        r, alpha = 10 ** rng.uniform(3, 5, 2), rng.uniform(0.8, 1.0, 2)
        r[1] = r[0] * 10 ** rng.uniform(-0.5, 0.5)
        tau = 10 ** rng.uniform(-5.5, -4.5) * np.array([1.0, 10 ** rng.uniform(1.3, 2.5)])
        arcs = [zarc(*values) for values in zip(r, tau, alpha, strict=True)][: 1 + seed % 2]
        distribution = compute_distribution(make_spectrum(np.sum(arcs, axis=0), 10 ** rng.uniform(-3, -2), seed))
        right += len(distribution.peaks) == len(arcs)
    assert right >= 26


def test_shallow_dips_do_not_part_peaks_and_ends_that_rise_are_tops():
    assert _find_tops(np.array([0.0, 1.0, 0.95, 1.1, 0.0])) == [3]
    assert _find_tops(np.array([0.0, 1.0, 0.5, 1.1, 0.0])) == [1, 3]
    assert _find_tops(np.array([2.0, 1.0, 0.5, 1.1, 2.0])) == [0, 4]


@pytest.mark.skipif(find_spec("pyimpspec") is None, reason="pyimpspec (GPL-3) is not installed: pip install pyimpspec")
def test_peaks_are_where_those_of_pyimpspec_are():
    import pyimpspec

    spectrum = make_spectrum(100 + zarc(*FAST) + zarc(*SLOW), 0.001)
    result = pyimpspec.calculate_drt(pyimpspec.DataSet(F, spectrum.impedance_ohm), method="tr-nnls", num_procs=1)
    taus, heights = result.get_peaks(threshold=0.3)
    theirs = sorted(float(taus[at]) for at in np.argsort(heights)[-2:])
    assert [peak.tau_s for peak in compute_distribution(spectrum).peaks] == pytest.approx(theirs, rel=0.3)


# Series


def make_analyses() -> list:
    return [
        analyze_spectrum(replace(make_spectrum(zarc(r, 1e-4, 0.9), seed=n), name=f"{n}", temperature_k=300.0 + 10 * n))
        for n, r in enumerate((4e4, 2e4, 1e4))
    ]


def test_tables_have_a_row_a_peak_and_a_row_a_time(tmp_path: Path):
    series = Series.from_analyses(make_analyses(), Geometry.from_mm(1.0, diameter_mm=10.0))
    peaks = series.drt_peaks
    assert peaks["file"].tolist() == ["0", "1", "2"]
    assert peaks["peak"].tolist() == [1, 1, 1]
    assert peaks["resistance_ohm"].tolist() == pytest.approx([4e4, 2e4, 1e4], rel=0.05)
    assert (peaks["sigma_s_cm"] * peaks["resistance_ohm"]).tolist() == pytest.approx([0.1 / 0.785398] * 3, rel=1e-4)
    assert peaks["process"].tolist() == ["grain_boundary"] * 3  # 2.5 to 10 nF, times 0.127 per cm
    assert series.drt.groupby("file").size().tolist() == [109] * 3  # twelve a decade, over nine
    failures, notes = draw_distributions(series, tmp_path)
    assert not failures
    assert not notes
    assert sorted(path.name for path in (tmp_path / "drt").iterdir()) == ["0.png", "1.png", "2.png"]
    assert (tmp_path / "drt.png").is_file()


def test_capacitances_are_those_of_irvine_and_others():
    geometry = Geometry.from_mm(1.0, area_cm2=0.1)
    names = [name_process(c, geometry) for c in (1e-12, 1e-9, 1e-6)]
    assert names == ["bulk", "grain_boundary", "electrode"]
    assert name_process(1e-12, None) == ""


def test_a_spectrum_without_a_distribution_keeps_its_other_results(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise SpectrumError("x", why="it went round in circles", fix="Look.")

    monkeypatch.setattr("phonolyte.impedance.analysis.compute_distribution", fail)
    (first, *_) = make_analyses()
    assert first.distribution is None
    assert first.notes[-1] == "there is no distribution of relaxation times: it went round in circles"
    series = Series.from_analyses([first])
    assert series.drt.empty
    assert series.drt_peaks.empty
    with pytest.raises(ValueError, match="no distribution"):
        plot_distribution(first)


def test_a_run_has_the_tables_and_the_figure(tmp_path: Path):
    z = zarc(*FAST, 0.9)
    lines = [f"{f},{one.real},{one.imag}" for f, one in zip(F, z, strict=True)]
    (tmp_path / "a_25C.csv").write_text("\n".join(["Frequency (Hz),Z' (ohm),Z'' (ohm)", *lines]))
    out = tmp_path / "out"
    verbs.impedance(
        tmp_path / "a_25C.csv", folder=out, settings=ImpedanceSettings(), output=OutputSettings(report=False)
    )
    peaks = pd.read_parquet(out / "drt_peaks.parquet")
    assert peaks["resistance_ohm"].tolist() == pytest.approx([2e4], rel=0.02)
    assert peaks["sigma_s_cm"].isna().all()
    assert len(pd.read_parquet(out / "drt.parquet")) == 109
    assert (out / "figures" / "drt" / "a_25C.png").is_file()
