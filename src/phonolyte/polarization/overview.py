"""One row a sample or a cell: what a page shows of polarizations and transference numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phonolyte.polarization.batch import name_sample

FIRST = (
    "material_id", "temperature_k", "sigma_electronic_s_cm", "sigma_electronic_low_s_cm", "sigma_electronic_high_s_cm",
    "t_ion", "t_plus", "t_plus_low", "t_plus_high", "t_plus_watanabe",
)  # fmt: skip
"""Columns of a page that a narrow screen shows."""


def summarize_samples(electronic: pd.DataFrame) -> pd.DataFrame:
    """Return the table of ``electronic.parquet`` with a name for each row, and the inverse temperature.

    Returns
    -------
    pandas.DataFrame
        `material_id` (name of the sample with its temperature, numbered where several have one), then the columns of
        the table, `inverse_temperature_1000`; infinite ends of intervals are empty.
    """
    labels = label_samples(electronic)
    count = pd.Series(labels).groupby(labels).cumcount()
    names = [f"{label} ({n + 1})" if n else label for label, n in zip(labels, count, strict=True)]
    table = _without_infinities(electronic)
    return _put_first(table.assign(material_id=names, inverse_temperature_1000=1000 / table["temperature_k"]))


def label_samples(electronic: pd.DataFrame) -> list[str]:
    """Return the label of the sample of each row, as :attr:`Sample.label` has it."""
    pairs = zip(electronic["sample"], electronic["temperature_k"], strict=True)
    return [name_sample(str(name), None if pd.isna(kelvin) else float(kelvin)) for name, kelvin in pairs]


def summarize_cells(transference: pd.DataFrame) -> pd.DataFrame:
    """Return the table of ``transference.parquet``, its curve as `material_id`, without infinite ends of intervals."""
    return _put_first(_without_infinities(transference).rename(columns={"curve": "material_id"}))


def _put_first(table: pd.DataFrame) -> pd.DataFrame:
    return table[[*(key for key in FIRST if key in table), *(key for key in table if key not in FIRST)]]


def _without_infinities(table: pd.DataFrame) -> pd.DataFrame:
    numbers = table.select_dtypes("number")
    return table.assign(**{str(key): numbers[key].where(np.isfinite(numbers[key])) for key in numbers})
