"""Table of what was measured and what was made of it, point by point: for plots elsewhere, and for a run's page."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from phonolyte.impedance.analysis import Analysis

COLUMNS = (
    "file", "sweep", "frequency_hz", "z_real_ohm", "z_imag_ohm", "fit_real_ohm", "fit_imag_ohm", "kk_real", "kk_imag",
    "kk_off",
)  # fmt: skip


def tabulate_curves(analyses: Iterable[Analysis]) -> pd.DataFrame:
    """Return the table of ``curves.parquet``: one row a point of a spectrum, by falling frequency.

    Returns
    -------
    pandas.DataFrame
        Impedances as they were measured and as the circuit has them, residuals of the Kramers-Kronig test as shares of
        the modulus, and whether the point is off by it and was left out of the fit.
    """
    tables = [_tabulate(analysis) for analysis in analyses]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _tabulate(analysis: Analysis) -> pd.DataFrame:
    spectrum, fit, test = analysis.spectrum, analysis.fit, analysis.test
    off = np.isin(np.arange(len(spectrum)), test.off)
    values = (
        spectrum.name, spectrum.sweep, spectrum.frequency_hz, spectrum.impedance_ohm.real, spectrum.impedance_ohm.imag,
        fit.impedance_ohm.real, fit.impedance_ohm.imag, test.real, test.imaginary, off,
    )  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
