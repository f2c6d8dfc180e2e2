"""Frequencies that are left out, leads and the shorted cell that are subtracted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phonolyte import verbs
from phonolyte.errors import SettingsError, SpectrumError
from phonolyte.impedance import Spectrum
from phonolyte.impedance.corrections import Corrections, Short, read_short
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.runs.settings import OutputSettings

F = np.logspace(6, 0, 61)
W = 2 * np.pi * F
SAMPLE = 50 + 1e3 / (1 + (1j * W * 1e-4) ** 0.9)
LEADS = 2.5 + 1.2e-6j * W
TABLES = OutputSettings(figures=False, report=False)


def write(path: Path, z: np.ndarray, f: np.ndarray = F, head: str = "Frequency (Hz),Z' (ohm),Z'' (ohm)") -> Path:
    path.write_text("\n".join([head, *(f"{x},{one.real},{one.imag}" for x, one in zip(f, z, strict=True))]))
    return path


def make_spectrum(z: np.ndarray = SAMPLE) -> Spectrum:
    return Spectrum.from_arrays("x", F, z)


def test_points_outside_of_the_frequencies_are_left_out_and_counted():
    corrected = Corrections(10.0, 1e5).apply(make_spectrum())
    assert corrected.frequency_hz[[0, -1]] == pytest.approx([1e5, 10.0])
    assert corrected.notes == ("20 of 61 points below 10 Hz and above 100000 Hz were left out, as was set",)
    whole = make_spectrum()
    assert Corrections(0.5, 1e7).apply(whole) is whole
    with pytest.raises(SpectrumError, match=r"x has 3 points within.*it has 1 to 1e\+06 Hz"):
        Corrections(1.0, 1.6).apply(make_spectrum())


def test_a_window_of_inductive_points_is_not_turned():
    inductive = Corrections(min_frequency_hz=1e5).apply(make_spectrum(SAMPLE + 1e-4j * W))
    assert (inductive.impedance_ohm.imag > 0).all()


def test_leads_and_the_shorted_cell_are_subtracted():
    by_leads = Corrections(lead_ohm=2.5, lead_h=1.2e-6).apply(make_spectrum(SAMPLE + LEADS))
    assert by_leads.impedance_ohm == pytest.approx(SAMPLE)
    assert by_leads.notes == ("leads were subtracted: 2.5 ohm and 1.2 uH in series",)
    other = np.logspace(6, 0, 301)
    short = Short("short.csv", other[::-1], (2.5 + 2.4e-6j * np.pi * other)[::-1])
    by_short = Corrections(short=short).apply(make_spectrum(SAMPLE + LEADS))
    assert by_short.impedance_ohm == pytest.approx(SAMPLE, rel=1e-4)
    assert by_short.notes == ("the shorted cell of short.csv was subtracted: 2.5 + 7.54j ohm at 1e+06 Hz",)


def test_the_shorted_cell_is_not_extrapolated(tmp_path: Path):
    short = read_short(write(tmp_path / "s.csv", LEADS[5:], F[5:]))
    with pytest.raises(SpectrumError, match=r"the shorted cell of s.csv is measured from 1 to 3.16e\+05 Hz"):
        Corrections(short=short).apply(make_spectrum())
    assert len(Corrections(max_frequency_hz=1e5, short=short).apply(make_spectrum())) == 51


def test_a_short_keeps_its_sign_and_a_capacitor_is_not_one(tmp_path: Path):
    short = read_short(write(tmp_path / "s.csv", LEADS))
    assert short.impedance_ohm == pytest.approx(LEADS[::-1])
    turned = read_short(write(tmp_path / "t.csv", LEADS.conj(), head="Frequency (Hz),Z' (ohm),-Z'' (ohm)"))
    assert turned.impedance_ohm == pytest.approx(LEADS[::-1])
    with pytest.raises(SpectrumError, match=r"is not of a shorted cell.*as of a capacitor"):
        read_short(write(tmp_path / "c.csv", LEADS.conj()))


def test_leads_that_are_larger_than_the_sample_are_refused():
    with pytest.raises(SpectrumError, match="real parts are below zero"):
        Corrections(lead_ohm=2e3).apply(make_spectrum())


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"min_frequency_hz": 10.0, "max_frequency_hz": 1.0}, "no frequency is between"),
        ({"lead_ohm": -1.0}, "leads of -1 ohm"),
        ({"lead_ohm": 1.0, "short": "s.csv"}, "subtract the leads twice"),
    ],
)
def test_corrections_that_make_no_sense_are_refused(given: dict[str, float], what: str):
    with pytest.raises(SettingsError, match=what):
        _ = ImpedanceSettings(**given).reading


def test_a_run_subtracts_the_short_that_stands_in_its_folder(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.csv", SAMPLE + LEADS)
    short = write(folder / "short.csv", LEADS)
    settings = ImpedanceSettings(short=str(short), circuit="R0-p(R1,CPE1)", min_frequency_hz=2.0)
    series = verbs.impedance(folder, folder=tmp_path / "out", settings=settings, output=TABLES)
    assert [one.name for one in series.analyses] == ["a"]
    values = pd.read_parquet(tmp_path / "out" / "parameters.parquet").set_index("parameter")["value"]
    assert values["R0"] == pytest.approx(50, rel=1e-3)
    assert "short.csv" in (tmp_path / "out" / "run.toml").read_text()
    assert any("points below 2 Hz were left out" in note for note in series.remarks)
