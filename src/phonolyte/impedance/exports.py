"""One CSV a spectrum for programs that plot: points, fit, residuals, distribution of relaxation times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phonolyte.impedance.drawing import spectrum_stem

if TYPE_CHECKING:
    from phonolyte.impedance.analysis import Analysis

FOLDER = "csv"
"""Folder of a run folder that has the files."""


def tabulate_spectrum(analysis: Analysis) -> pd.DataFrame:
    """Table of a spectrum: a row a point, and beside them a row a relaxation time; cells of the shorter are empty.

    Impedances are in ohm, residuals in percent of the modulus, measured less fitted; points that took no part in the
    fit have a 1 in `left_out`.
    """
    spectrum, fit, test = analysis.spectrum, analysis.fit, analysis.test
    z, size = spectrum.impedance_ohm, np.abs(spectrum.impedance_ohm)
    off = 100 * (z - fit.impedance_ohm) / size
    left_out = np.zeros(len(z), dtype=int)
    left_out[list(test.off)] = 1
    points = {
        "frequency_hz": spectrum.frequency_hz,
        "z_real_ohm": z.real,
        "z_imag_ohm": z.imag,
        "minus_z_imag_ohm": -z.imag,
        "modulus_ohm": size,
        "phase_deg": np.angle(z, deg=True),
        "fit_real_ohm": fit.impedance_ohm.real,
        "fit_imag_ohm": fit.impedance_ohm.imag,
        "minus_fit_imag_ohm": -fit.impedance_ohm.imag,
        "fit_residual_real_percent": off.real,
        "fit_residual_imag_percent": off.imag,
        "kramers_kronig_residual_real_percent": 100 * test.real,
        "kramers_kronig_residual_imag_percent": 100 * test.imaginary,
        "left_out": left_out,
    }
    distribution = analysis.distribution
    times = {} if distribution is None else {
        "relaxation_time_s": distribution.tau_s,
        "gamma_ohm": distribution.gamma_ohm,
        "gamma_low_ohm": distribution.low_ohm,
        "gamma_high_ohm": distribution.high_ohm,
    }  # fmt: skip
    table = pd.concat([pd.DataFrame(points), pd.DataFrame(times)], axis=1)
    return table.astype({"left_out": "Int64"})


def csv_path(folder: Path, name: str) -> Path:
    """Path of the CSV of a spectrum in a run folder; what file systems do not take in a name is replaced."""
    return folder / FOLDER / f"{spectrum_stem(folder, name).name}.csv"
