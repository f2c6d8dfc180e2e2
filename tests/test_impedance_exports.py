"""One CSV a spectrum: what it says is what was measured and fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phonolyte import verbs
from phonolyte.impedance import Spectrum, analyze_spectrum
from phonolyte.impedance.exports import csv_path, tabulate_spectrum
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.runs.settings import OutputSettings

F = np.logspace(6, 0, 31)
Z = 100 + 1e4 / (1 + 2j * np.pi * F * 1e-4)


def test_a_file_a_spectrum_has_points_fit_residuals_and_distribution(tmp_path: Path):
    rows = "\n".join(f"{f},{z.real},{z.imag}" for f, z in zip(F, Z, strict=True))
    (tmp_path / "a.csv").write_text("Frequency (Hz),Z' (ohm),Z'' (ohm)\n" + f"{rows}\n{rows}")
    out, quiet = tmp_path / "out", OutputSettings(figures=False, report=False)
    settings = ImpedanceSettings(circuit="R0-p(R1,C1)")
    series = verbs.impedance(tmp_path / "a.csv", folder=out, settings=settings, output=quiet)
    assert [one.name for one in series.analyses] == ["a", "a#2"]
    assert sorted(path.name for path in (out / "csv").iterdir()) == ["a.csv", csv_path(out, "a#2").name]
    table = pd.read_csv(out / "csv" / "a.csv")
    points = table.iloc[: len(F)]
    assert points["frequency_hz"].to_numpy() == pytest.approx(F)
    assert (points["z_real_ohm"] - 1j * points["minus_z_imag_ohm"]).to_numpy() == pytest.approx(Z)
    assert (points["fit_real_ohm"] + 1j * points["fit_imag_ohm"]).to_numpy() == pytest.approx(Z, rel=1e-6)
    assert table["relaxation_time_s"].notna().sum() == 97  # twelve a decade, over eight
    assert "csv/*.csv" in pd.read_csv(out / "columns.csv").to_csv()


def test_residuals_are_percent_of_the_modulus_and_points_left_out_are_marked():
    z = Z.copy()
    z[10] *= 1.2
    analysis = analyze_spectrum(Spectrum.from_arrays("a", F, z), "R0-p(R1,C1)")
    table = tabulate_spectrum(analysis).iloc[: len(F)]
    assert table["left_out"].tolist() == [int(at == 10) for at in range(len(F))]
    off = table.loc[10, ["fit_residual_real_percent", "fit_residual_imag_percent"]].to_numpy(float)
    assert np.hypot(*off) == pytest.approx(100 * 0.2 / 1.2, rel=1e-3)
    kk = table.loc[10, ["kramers_kronig_residual_real_percent", "kramers_kronig_residual_imag_percent"]].to_numpy(float)
    assert np.hypot(*kk) == pytest.approx(100 * 0.2 / 1.2, rel=1e-2)
