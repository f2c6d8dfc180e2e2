"""The table of Arrhenius lines: a row a process, ln(sigma T) in the main columns, ln(sigma) in columns of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phonolyte.impedance.tables import ArrheniusRow, fit_lines, make_table

T = np.array([298.15, 323.15, 348.15, 373.15, 398.15])
KB = 8.617333262e-5
ENERGIES = {"bulk": 0.30, "grain_boundary": 0.45, "total": 0.42}


def make_spectra() -> pd.DataFrame:
    parts = [
        pd.DataFrame({
            "file": [f"s{kelvin:.0f}" for kelvin in T], "sweep": 1, "temperature_k": T, "pressure_mpa": np.nan,
            "process": process, "sigma_s_cm": 1e5 / T * np.exp(-ev / (KB * T)), "sigma_std_s_cm": 1e-12,
        })
        for process, ev in {**ENERGIES, "electrode": 0.6}.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_each_of_three_processes_has_one_row_with_both_forms():
    rows = make_table((line.row for line in fit_lines(make_spectra())), ArrheniusRow)
    assert rows["process"].tolist() == ["bulk", "grain_boundary", "total"]
    assert rows["regime"].tolist() == ["1 of 1"] * 3
    assert rows["ea_ev"].tolist() == pytest.approx([0.30, 0.45, 0.42], rel=1e-6)
    at_25c = [1e5 / 298.15 * np.exp(-ev / (KB * 298.15)) for ev in ENERGIES.values()]
    assert rows["sigma_25c_s_cm"].tolist() == pytest.approx(at_25c, rel=1e-6)
    assert rows["prefactor"].tolist() == pytest.approx([1e5] * 3, rel=1e-6)
    for row, ev in zip(rows.to_dict("records"), ENERGIES.values(), strict=True):
        slope, start = np.polyfit(1 / T, np.log(1e5 / T * np.exp(-ev / (KB * T))), 1)
        assert row["ea_ln_sigma_ev"] == pytest.approx(-slope * KB, rel=1e-6)
        assert row["sigma_25c_ln_sigma_s_cm"] == pytest.approx(np.exp(start + slope / 298.15), rel=1e-6)
        assert row["ea_ev"] - row["ea_ln_sigma_ev"] == pytest.approx(KB * 345, rel=0.02)  # kT of the mean temperature
    assert not (rows["fault"] + rows["fault_ln_sigma"]).any()
