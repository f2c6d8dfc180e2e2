"""Ionic transference number of a ceramic: what of the conductivity by impedance is not electronic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, hypot, log10, nan
from pathlib import Path

import pandas as pd

from phonolyte.errors import SettingsError
from phonolyte.polarization.readers import name_sample

NEAR_K = 2.0
"""Temperatures that are nearer than this are one."""


@dataclass(frozen=True, slots=True)
class Total:
    """Total conductivity by impedance.

    Attributes
    ----------
    sigma_s_cm, std_s_cm
        Conductivity, which contains the electronic one, and its standard deviation.
    temperature_k
        Temperature, None where it is not known.
    name
        Spectrum that it is of.
    """

    sigma_s_cm: float
    std_s_cm: float = 0.0
    temperature_k: float | None = None
    name: str = ""


def read_totals(folder: str | Path) -> tuple[Total, ...]:
    """Read the total conductivities of a run folder of ``phonolyte impedance``.

    Raises
    ------
    SettingsError
        For a folder that is not one, and a run without conductivities.
    """
    path = Path(folder) / "spectra.parquet"
    try:
        table = pd.read_parquet(path)
        rows = table[(table["process"] == "total") & (table["sigma_s_cm"] > 0)]
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"{folder} is not a run folder of phonolyte impedance", why=str(error)[:100], fix="Name its -o."
        ) from None
    if rows.empty:
        raise SettingsError(
            f"{folder} has no total conductivity", fix="Run phonolyte impedance with the size of the pellet."
        )
    return tuple(
        Total(float(row["sigma_s_cm"]), float(row["sigma_std_s_cm"]),
              None if pd.isna(row["temperature_k"]) else float(row["temperature_k"]), str(row["file"]))
        for row in rows.to_dict("records")
    )  # fmt: skip


def choose_total(
    totals: Sequence[Total], sample: str, temperature_k: float | None
) -> tuple[Total | None, tuple[str, ...]]:
    """Total conductivity of a sample at a temperature, None where it is not clear which one that is, and notes.

    Parameters
    ----------
    totals
        Those that there are.
    sample
        Name of the sample. A spectrum is of it where one name is the other, or begins with it and goes on with what is
        neither letter nor digit. Where no name is like it, the spectrum of a single other sample is taken, with a note.
    temperature_k
        Temperature of the polarization, K.
    """
    if not totals:
        return None, ()
    named = [total_ for total_ in totals if _is_of(total_.name, sample)]
    others = {name_sample(total_.name) for total_ in totals}
    candidates = named or (totals if len(others) == 1 else ())
    near = [total_ for total_ in candidates if _is_near(total_.temperature_k, temperature_k)]
    if len(near) != 1:
        what = "no spectrum is" if not near else f"{len(near)} spectra are"
        return None, (f"{what} of {sample} at its temperature: there is no transference number of it",)
    (total,) = near
    notes = []
    if not named:
        notes.append(f"the total conductivity is that of {total.name}, the only sample of the run of impedance")
    if total.name and None in (total.temperature_k, temperature_k):
        notes.append(f"the temperature of {sample} or of {total.name} is not known: taken for one")
    return total, tuple(notes)


def _is_of(name: str, sample: str) -> bool:
    """Whether a spectrum is of a sample, by their names; one without a name is of any."""
    short, long = sorted((name, sample), key=len)
    return (long.startswith(short) and not long[len(short) : len(short) + 1].isalnum()) or not name


def _is_near(first: float | None, second: float | None) -> bool:
    return first is None or second is None or abs(first - second) <= NEAR_K


def find_ionic_share(
    electronic_s_cm: tuple[float, float, float], total: Total, quantile: float = 1.959964
) -> tuple[float, float, float, str]:
    """Ionic transference number, the ends of its 95 % interval, and why it is not one.

    The conductivity by impedance is that of ions and electrons together, so that t = 1 - sigma_e / sigma.

    Parameters
    ----------
    electronic_s_cm
        Electronic conductivity and the ends of its interval; the first is NaN where only the last, a bound, is known.
    total
        Conductivity by impedance.
    quantile
        Quantile of the normal distribution.
    """
    middle, low, high = electronic_s_cm
    spread = quantile * total.std_s_cm / total.sigma_s_cm
    share = middle / total.sigma_s_cm
    if middle != middle:  # an upper bound
        least = 1 - high / total.sigma_s_cm * (1 + spread)
        return nan, max(least, 0.0), 1.0, "" if least > 0 else "the bound is above the total conductivity"
    up, down = (abs(end - middle) / total.sigma_s_cm for end in (high, low))
    least, most = 1 - share - hypot(up, spread * share), 1 - share + hypot(down, spread * share)
    fault = "" if share <= 1 else "the electronic conductivity is above the total one"
    return 1 - share, least, min(most, 1.0), fault


def write_share(value: float, low: float) -> str:
    """Write an ionic transference number with the digits that tell it from 1, or its lower bound.

    Parameters
    ----------
    value, low
        Number, NaN for a bound, and the lower end of its interval, or the bound.
    """
    digits = min(max(1 - floor(log10(max(1 - low, 1e-12))), 2), 9)
    if value != value:
        return f"≥ {floor(low * 10**digits) / 10**digits:.{digits}f}"
    return f"{value:.{digits}f}"
