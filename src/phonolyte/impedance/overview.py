"""One row a spectrum: what a page shows of a series."""

from __future__ import annotations

import pandas as pd

from phonolyte.impedance.spectrum import name_sweep

SHARED = ("temperature_k", "kramers_kronig", "kramers_kronig_rms", "circuit", "fit_rms", "notes")
TOTAL = ("sigma_s_cm", "resistance_ohm", "resistance_low_ohm", "resistance_high_ohm")


def summarize_spectra(spectra: pd.DataFrame) -> pd.DataFrame:
    """Return one row a spectrum from the table of ``spectra.parquet``, which has one a process.

    Returns
    -------
    pandas.DataFrame
        `material_id` (name of the spectrum), `temperature_k`, conductivity and resistance in total, conductivities of
        bulk and grain boundaries, verdict of the Kramers-Kronig test, circuit, inverse temperature and notes.
    """
    rows = []
    for (file, sweep), rows_of_sweep in spectra.groupby(["file", "sweep"], sort=False):
        by_process = rows_of_sweep.drop_duplicates("process").set_index("process")
        total = by_process.loc["total"] if "total" in by_process.index else None
        row: dict[str, object] = {"material_id": name_sweep(str(file), int(str(sweep)))}
        row |= {key: rows_of_sweep[key].iloc[0] for key in SHARED}
        row["inverse_temperature_1000"] = 1000 / float(rows_of_sweep["temperature_k"].iloc[0])
        row |= {key: float("nan") if total is None else total[key] for key in TOTAL}
        for process in ("bulk", "grain_boundary"):
            known = process in by_process.index
            row[f"sigma_{process}_s_cm"] = by_process.loc[process, "sigma_s_cm"] if known else float("nan")
        rows.append(row)
    keys = ("material_id", "temperature_k", "sigma_s_cm", "sigma_bulk_s_cm", "sigma_grain_boundary_s_cm",
            "resistance_ohm", "resistance_low_ohm", "resistance_high_ohm", "kramers_kronig", "kramers_kronig_rms",
            "circuit", "fit_rms", "inverse_temperature_1000", "notes")  # fmt: skip
    return pd.DataFrame(rows, columns=list(keys))
