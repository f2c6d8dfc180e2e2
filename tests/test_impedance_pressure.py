"""Pressure on a sample: where it is read, what it does to Arrhenius lines, and activation volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phonolyte import verbs
from phonolyte.errors import SettingsError, SpectrumError
from phonolyte.impedance import read_spectrum
from phonolyte.impedance.pellets import read_pellets
from phonolyte.impedance.pressure import (
    fit_activation_volume,
    group_pressures,
    name_pressures,
    read_pressure_name,
    read_pressure_words,
    split_isotherms,
)
from phonolyte.impedance.settings import ImpedanceSettings
from phonolyte.runs.settings import OutputSettings

F = np.logspace(6, 0, 25)
W = 2 * np.pi * F
PELLET = {"thickness_mm": 1.0, "area_cm2": 0.5, "circuit": "p(R1,CPE1)"}
R_J_MOL_K = 8.314462618


HEAD = "Frequency (Hz),Z' (ohm),Z'' (ohm)"


def write(path: Path, ohm: float, head: str = HEAD, more: str = "", top: str = "") -> Path:
    z = ohm / (1 + (1j * W * ohm * 1e-9) ** 0.95)
    lines = [f"{f},{one.real},{one.imag}{more}" for f, one in zip(F, z, strict=True)]
    path.write_text("\n".join([*([top] if top else []), head, *lines]))
    return path


@pytest.mark.parametrize(
    ("stem", "mpa"),
    [("a_50MPa_25C", 50.0), ("LPS 0.3 GPa", 300.0), ("x_1,5kbar", 150.0), ("x_10bar", 1.0), ("x_25C", None),
     ("x_50MPaX", None), ("pressed_300MPa_at_50MPa", None)],
)  # fmt: skip
def test_a_pressure_in_a_name(stem: str, mpa: float | None):
    pressure_mpa, notes = read_pressure_name(stem)
    assert pressure_mpa == (mpa if mpa is None else pytest.approx(mpa))
    assert len(notes) == ("MPa_" in stem or "Pa" in stem.rstrip("X") or "bar" in stem) * (stem != "x_50MPaX")


@pytest.mark.parametrize(
    ("line", "mpa"),
    [("Pressure: 100 MPa", 100.0), ("Stack pressure [MPa] = 12.5", 12.5), ("Druck: 2 kbar", 200.0),
     ("Pressure: 3", None), ("Pressure: 3 mbar", None), ("compression 100 MPa", None)],
)  # fmt: skip
def test_a_pressure_in_words_needs_its_unit(line: str, mpa: float | None):
    assert read_pressure_words([line]) == (mpa if mpa is None else pytest.approx(mpa))


def test_a_column_or_a_line_above_states_the_pressure(tmp_path: Path):
    in_column = read_spectrum(write(tmp_path / "a.csv", 1e4, f"{HEAD},Pressure (GPa)", ",0.25"))
    assert in_column.pressure_mpa == pytest.approx(250.0)
    assert read_spectrum(write(tmp_path / "b.csv", 1e4, top="Pressure: 80 MPa")).pressure_mpa == pytest.approx(80.0)
    bare = read_spectrum(write(tmp_path / "c.csv", 1e4, f"{HEAD},Pressure", ",0.25"))
    assert bare.pressure_mpa is None
    assert "the unit of the column 'Pressure' is not stated: the pressure was not taken" in bare.notes


def test_the_table_of_pellets_has_pressures(tmp_path: Path):
    table = tmp_path / "pellets.csv"
    table.write_text("file,pressure_mpa\na.csv,0\nb.csv,50\nc.csv,\n")
    assert [pellet.pressure_mpa for pellet in read_pellets(table)] == [0.0, 50.0, None]
    table.write_text("file,pressure_mpa\na.csv,-5\n")
    with pytest.raises(SettingsError, match="pressure_mpa is -5"):
        read_pellets(table)


def test_pressures_that_are_nearly_the_same_are_one():
    assert group_pressures([100.0, 100.5, 0.0, 0.04, 110.0]).tolist() == [100.0, 100.0, 0.0, 0.0, 110.0]
    assert np.isnan(group_pressures([np.nan, 5.0])[0])


def test_an_activation_volume_comes_back():
    p = np.array([10.0, 100.0, 200.0, 400.0])
    row = fit_activation_volume("total", 298.15, p, 1e-4 * np.exp(-2.5 * p / (R_J_MOL_K * 298.15)), np.full(4, 0.01))
    assert row.activation_volume_cm3_mol == pytest.approx(2.5)
    assert row.sigma_0mpa_s_cm == pytest.approx(1e-4)
    assert (row.n, row.from_mpa, row.to_mpa) == (4, 10.0, 400.0)
    with pytest.raises(SpectrumError, match="needs three pressures, there are 2"):
        fit_activation_volume("total", 298.15, p[:2], [1.0, 1.0], [0.01, 0.01])


@pytest.mark.long
def test_each_pressure_has_an_arrhenius_line_and_each_temperature_a_volume(tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    for mpa in (10, 200, 400):
        for celsius in (25, 50, 75):
            kelvin = celsius + 273.15
            rise = 0.3 / 8.617333e-5 * (1 / kelvin - 1 / 298.15) + 2.0 * mpa / (R_J_MOL_K * kelvin)
            write(folder / f"s_{mpa}MPa_{celsius}C.csv", 1e4 * kelvin / 298.15 * np.exp(rise))
    out = tmp_path / "out"
    bare = OutputSettings(report=False)
    series = verbs.impedance(folder, folder=out, settings=ImpedanceSettings(**PELLET), output=bare)
    lines = pd.read_parquet(out / "arrhenius.parquet")
    total = lines[lines["process"] == "total"]
    assert total["pressure_mpa"].tolist() == [10.0, 200.0, 400.0]
    expected = [0.3 + 2.0 * mpa / R_J_MOL_K * 8.617333e-5 for mpa in (10, 200, 400)]
    assert total["ea_ev"].tolist() == pytest.approx(expected, rel=1e-3)
    volumes = pd.read_parquet(out / "pressure.parquet").query("process == 'total'")
    assert volumes["temperature_k"].tolist() == pytest.approx([298.15, 323.15, 348.15])
    assert volumes["activation_volume_cm3_mol"].tolist() == pytest.approx([2.0, 2.0, 2.0], rel=1e-3)
    assert (out / "figures" / "pressure.png").is_file()
    assert "spectra are at 3 pressures: each has Arrhenius lines of its own" in series.notes
    spectra = series.spectra.query("process == 'total'")
    assert (spectra["area_resistance_ohm_cm2"] / spectra["resistance_ohm"]).tolist() == pytest.approx([0.5] * 9)
    named = name_pressures(series.points, lines["pressure_mpa"])
    assert set(named["process"]) >= {"total, 10 MPa", "total, 200 MPa", "total, 400 MPa"}


def test_one_temperature_gives_volumes_and_no_line(tmp_path: Path):
    for mpa in (10, 100, 200):
        write(tmp_path / f"s_{mpa}MPa_25C.csv", 1e4 * (1 + mpa / 1000))
    quiet = OutputSettings(figures=False, report=False)
    series = verbs.impedance(
        str(tmp_path / "*.csv"), folder=tmp_path / "out", settings=ImpedanceSettings(**PELLET), output=quiet
    )
    assert series.arrhenius.empty
    assert len(series.volumes.query("process == 'total'")) == 1


def test_temperatures_that_scatter_are_one_isotherm():
    kelvin = [298.15, 298.35, 298.55, 298.75, 310.0, 311.9, 313.8, 315.7]
    spectra = pd.DataFrame({
        "process": "total", "temperature_k": kelvin, "pressure_mpa": [0.1, 100.0, 200.0, 300.0] * 2,
        "sigma_s_cm": 1e-4, "sigma_std_s_cm": 1e-6,
    })  # fmt: skip
    (isotherm,) = [rows for _, rows in split_isotherms(spectra, ["total"])]  # the others are too far apart for one
    assert isotherm["temperature_k"].tolist() == kelvin[:4]
