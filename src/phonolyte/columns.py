"""The columns of result tables: what they are called on a page, their unit, how many decimals, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    key
        Its name in the run folder.
    label, unit
        In words.
    digits
        Decimals of a number; negative for significant digits in powers of ten.
    kind
        ``number``, ``flag``, ``choice`` (few different values), ``text``.
    shown
        Whether the table shows it; all are on the card.
    hint
        What it means, in a sentence.
    """

    key: str
    label: str
    unit: str = ""
    digits: int = 0
    kind: str = "number"
    shown: bool = True
    hint: str = ""


_KNOWN = {
    column.key: column
    for column in (
        Column("rank", "rank", hint="Place among the candidates; empty where a criterion rejects."),
        Column("material_id", "material", kind="text"),
        Column("formula", "formula", kind="text"),
        Column("family", "family", kind="choice", hint="By the anions."),
        Column("prototype", "prototype", kind="choice", hint="The crystal whose elements were replaced."),
        Column("band_center_mev", "center", "meV", 1, hint="Total phonon band center: the mean phonon energy."),
        Column("lower_mev", "from", "meV", 1, shown=False, hint="Lower end of the 90 % interval."),
        Column("upper_mev", "to", "meV", 1, shown=False, hint="Upper end of the 90 % interval."),
        Column("predicted_mev", "predicted", "meV", 1, hint="By a fold that has not seen the compound."),
        Column("error_mev", "error", "meV", 1, hint="Predicted less known."),
        Column("calibrated_mev", "calibrated", "meV", 1, hint="Center from computed phonons, calibrated."),
        Column("ion_center_mev", "center of the ion", "meV", 1, hint="Band center of the mobile ion alone."),
        Column("e_hull_ev", "e_hull", "eV/atom", 3, hint="Energy above the convex hull: 0 is stable."),
        Column("band_gap_ev", "gap", "eV", 2, hint="Electronic band gap."),
        Column("in_domain", "known kind", kind="flag", hint="Whether the model has learned from compounds like it."),
        Column("passes", "candidate", kind="flag", shown=False, hint="Meets every criterion."),
        Column("reason", "rejected for", kind="text", shown=False),
        Column("rejected_by", "criterion", kind="choice", shown=False, hint="The first one that rejects it."),
        Column("duplicate_of", "same crystal as", kind="text", shown=False),
        Column("n_atoms", "atoms", hint="In the cell.", shown=False),
        Column("volume_per_atom_a3", "volume", "Å³/atom", 2, shown=False),
        Column("percolation_ev", "site energies", "eV", 2, hint="Barrier by bond-valence site energies."),
        Column("barrier_ev", "barrier", "eV", 2, hint="At which the ion finds a path through the crystal."),
        Column("stopped", "followed", kind="text", shown=False, hint="How far it was followed, and why no further."),
        Column("barrier_low_ev", "barrier from", "eV", 2, shown=False, hint="Lower end of the 95 % interval."),
        Column("barrier_high_ev", "barrier to", "eV", 2, shown=False, hint="Upper end of the 95 % interval."),
        Column("sigma_25c_s_cm", "σ at 25 °C", "S/cm", -2, hint="Conductivity, extrapolated to it."),
        Column("sigma_25c_low_s_cm", "σ from", "S/cm", -2, shown=False, hint="Lower end of the 95 % interval."),
        Column("sigma_25c_high_s_cm", "σ to", "S/cm", -2, shown=False, hint="Upper end of the 95 % interval."),
        Column("lowest_mode_mev", "lowest mode", "meV", 1, hint="Below zero: imaginary."),
        Column("highest_mode_mev", "highest mode", "meV", 1),
        Column("stable", "stable", kind="flag", hint="No imaginary mode beyond the tolerance."),
        Column("imaginary_share", "imaginary", digits=3, shown=False, hint="Share of the modes that are imaginary."),
        Column("plausibility", "plausibility", digits=-2, hint="Charges, radii and known substitutions; 1 is best."),
        Column("score_mev", "score", "meV", 1, hint="Upper end of the interval, dearer the less plausible."),
        Column("mean_Row", "mean row", digits=2, hint="Mean row of the elements in the periodic table."),
        Column("charge_balanced", "charges", kind="flag", hint="Whether the charges add up to zero."),
        Column("known_as", "known as", kind="text", shown=False),
        Column("ion", "ion", kind="choice", shown=False),
        Column("method", "method", kind="choice"),
        Column("engine", "engine", kind="choice"),
        Column("dimensions", "dimensions", hint="Of the net of paths."),
        Column("converged", "converged", kind="flag"),
        Column("path", "path", kind="text", shown=False),
        Column("highest_hop", "limiting hop", kind="text", shown=False, hint="The one with the barrier of the path."),
        Column("lowest_hop_ev", "easiest hop", "eV", 2, shown=False, hint="It alone may lead nowhere."),
        Column("seconds", "time", "s", shown=False),
    )
}

_UNITS = (
    ("_mev", "meV", 1), ("_ev", "eV", 2), ("_a3", "Å³", 2), ("_a", "Å", 2), ("_k", "K", 0), ("_s_cm", "S/cm", -2),
    ("_s", "s", 0),
)  # fmt: skip

FEW = 40
"""A column of text with at most so many different values is a choice."""

_HIDDEN = ("non_analytical_correction", "change_error")


def columns_of(table: pd.DataFrame) -> list[Column]:
    """The columns of a table, also of one that nobody knows here: those by the unit in their name."""
    return [
        _KNOWN.get(str(key)) or _guessed(str(key), table[key])
        for key in table.columns
        if key not in _HIDDEN and (key in ("material_id", "formula", "rank") or table[key].notna().any())
    ]


def _guessed(key: str, values: pd.Series) -> Column:
    if values.dtype == bool:
        return Column(key, _spoken(key), kind="flag", shown=False)
    if pd.api.types.is_numeric_dtype(values):
        suffix, unit, digits = next((known for known in _UNITS if key.endswith(known[0])), ("", "", 3))
        digits = 0 if pd.api.types.is_integer_dtype(values) else digits
        return Column(key, _spoken(key.removesuffix(suffix)), unit, digits, shown=False)
    few = values.nunique() <= FEW
    return Column(key, _spoken(key), kind="choice" if few else "text", shown=False)


def _spoken(key: str) -> str:
    return key.replace("_", " ")


def first_of(columns: Sequence[Column], *keys: str) -> str:
    """The first of some columns that is there, else the first number."""
    there = {column.key for column in columns}
    numbers = (column.key for column in columns if column.kind == "number")
    return next((key for key in keys if key in there), next(numbers, "material_id"))


def said(value: object, column: Column) -> str:
    """A value in words; a dash where there is none."""
    if value is None or value is pd.NA or value != value:
        return "–"
    if column.kind == "flag":
        return "yes" if value else "no"
    if column.kind != "number":
        return str(value)
    number = float(value)  # type: ignore[arg-type]
    text = f"{number:.{-column.digits}g}" if column.digits < 0 else f"{number:,.{column.digits}f}"
    return f"{text} {column.unit}".rstrip()
