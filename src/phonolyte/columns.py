"""The registry of columns: label, unit, digits, kind and meaning of every column of every result table.

Terminal, report, ``columns.csv`` of a run folder and the reference page of the documentation are made from it, and
tables are checked against it when they are written. A tier registers its own columns (:attr:`Calculation.columns`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, isfinite
from typing import TYPE_CHECKING, Any, Literal

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "flag", "choice", "text", "list"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result table.

    Attributes
    ----------
    key
        Name of the column.
    label, unit
        Heading, and unit of a number.
    digits
        Decimals of a number; negative for significant digits in powers of ten.
    kind
        ``number``, ``flag``, ``choice`` (few different values), ``text``, or ``list`` (in Parquet only).
    shown
        Whether the table of a page shows it; all are on the card.
    hint
        Meaning, in a sentence.
    words
        Label in plain words, on the card of a material, where there is room for it; default: the label.
    high_is_good
        Whether a ranking by it has the high values first.
    bound
        Sign, and key of the column that has the bound where there is no value; None for a column without bounds.
    """

    key: str
    label: str
    unit: str = ""
    digits: int = 0
    kind: Kind = "number"
    shown: bool = True
    hint: str = ""
    words: str = ""
    high_is_good: bool = False
    bound: tuple[str, str] | None = None


_REGISTRY: dict[str, Column] = {}


def register(*columns: Column) -> None:
    """Add columns to the registry.

    Raises
    ------
    TableError
        For a key that another column has already.
    """
    for column in columns:
        known = _REGISTRY.setdefault(column.key, column)
        if known != column:
            raise TableError(
                f"two columns are called {column.key!r}",
                why=f"one is {known.hint or known.label!r}, the other {column.hint or column.label!r}",
                fix="Give one of them another name.",
            )


def column(key: str) -> Column:
    """Return a column by its key.

    Raises
    ------
    TableError
        For one that is not registered.
    """
    entry = _REGISTRY.get(key) or _of_element(key)
    if entry is None:
        raise TableError(f"{key!r} is not a registered column", fix="Register it with its unit and meaning.")
    return entry


def list_columns() -> tuple[Column, ...]:
    """Return all columns, in the order of their registration."""
    return tuple(_REGISTRY.values())


def check_columns(table: pd.DataFrame, *, where: str, free: Collection[str] = ()) -> None:
    """Refuse a table with a column that nobody has described.

    Parameters
    ----------
    table
        Table that is about to be written.
    where
        Name of its file.
    free
        Names of columns that come from the user: slots of a prototype, features.

    Raises
    ------
    TableError
        For a column that is not registered.
    """
    for key in map(str, table.columns):
        if key not in _REGISTRY and key not in free and _of_element(key) is None:
            raise TableError(
                f"{where} has an unknown column {key!r}", why="the registry of columns does not describe it",
                fix="Register the column with its unit and meaning.",
            )  # fmt: skip


def describe_columns(tables: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return what the columns of tables mean: `table`, `column`, `unit`, `meaning`."""
    import pandas as pd

    rows = [(name, key, column(key)) for name, keys in tables.items() for key in keys if _is_known(key)]
    return pd.DataFrame(
        [(name, key, known.unit, known.hint or known.label) for name, key, known in rows],
        columns=["table", "column", "unit", "meaning"],
    )


def columns_of(table: pd.DataFrame) -> list[Column]:
    """Return the columns of a table that a page shows: no lists; those not written here by the unit in their name."""
    return [
        column(str(key)) if _is_known(str(key)) else _guess_column(str(key), table[key])
        for key in table.columns
        if _is_shown(str(key)) and (key in ("material_id", "formula", "rank") or have_values(table, str(key)).any())
    ]


def have_values(table: pd.DataFrame, key: str) -> pd.Series:
    """Return which rows (n,) have a value in a column, or a bound of one."""
    bound = _REGISTRY[key].bound if key in _REGISTRY else None
    keys = [key, *([bound[1]] if bound and bound[1] in table else [])]
    return table[keys].notna().any(axis=1)


def first_of(columns: Sequence[Column], *keys: str) -> str:
    """Return the first of some keys that is there, else the first number."""
    present = {column.key for column in columns}
    numbers = (column.key for column in columns if column.kind == "number")
    return next((key for key in keys if key in present), next(numbers, "material_id"))


def format_value(value: object, column: Column) -> str:
    """Return a value with its unit as text; a dash where there is none."""
    if _is_missing(value):
        return "–"
    if column.kind == "flag":
        return "yes" if value else "no"
    if column.kind != "number":
        return str(value)
    number = float(value)  # type: ignore[arg-type]
    if column.digits >= 0:
        number = round(number, column.digits) + 0.0  # no minus before a zero
    text = _significant(number, -column.digits) if column.digits < 0 else f"{number:,.{column.digits}f}"
    return f"{text} {column.unit}".rstrip()


def format_cell(row: Mapping[str, Any], column: Column) -> str:
    """Return the value of a row as :func:`format_value` does; where only a bound is known, that with its sign.

    A lower bound that has decimals is rounded down: 0.9999996 is at least 0.999999.
    """
    bound = row.get(column.bound[1]) if column.bound and _is_missing(row[column.key]) else None
    if column.bound is None or bound is None or not isfinite(bound):
        return format_value(row[column.key], column)
    sign, scale = column.bound[0], 10.0 ** max(column.digits, 0)
    rounded = floor(bound * scale) / scale if sign == "≥" and column.digits >= 0 else bound
    return f"{sign} {format_value(rounded, column)}"


def _is_missing(value: object) -> bool:
    return value is None or str(value) == "<NA>" or value != value


def _significant(number: float, digits: int) -> str:
    """A number with so many digits, also where they are zeros."""
    return f"{number:#.{digits}g}".removesuffix(".") if number else "0"


def _is_shown(key: str) -> bool:
    return key not in _HIDDEN and not (key in _REGISTRY and _REGISTRY[key].kind == "list")


def _is_known(key: str) -> bool:
    return key in _REGISTRY or _of_element(key) is not None


_ELEMENT_CENTER = re.compile(r"([A-Z][a-z]?)_center_mev")


def _of_element(key: str) -> Column | None:
    """Return the column of the band center of one element, such as ``Li_center_mev``."""
    match = _ELEMENT_CENTER.fullmatch(key)
    if match is None or match.group(1) not in ATOMIC_NUMBERS:
        return None
    symbol = match.group(1)
    return Column(key, f"center of {symbol}", "meV", 1, shown=False, hint=f"Band center of {symbol} alone.")


FEW = 40
"""A column of text with at most so many different values is a choice."""

_HIDDEN = ("non_analytical_correction", "change_error")

_UNITS = (
    ("_mev", "meV", 1), ("_ev", "eV", 2), ("_a3", "Å³", 2), ("_a", "Å", 2), ("_k", "K", 0), ("_s_cm", "S/cm", -2),
    ("_s", "s", 0), ("_gpa", "GPa", 1),
)  # fmt: skip


def _guess_column(key: str, values: pd.Series) -> Column:
    import pandas as pd

    label = key.replace("_", " ")
    if values.dtype == bool:
        return Column(key, label, kind="flag", shown=False)
    if pd.api.types.is_numeric_dtype(values):
        suffix, unit, digits = next((known for known in _UNITS if key.endswith(known[0])), ("", "", 3))
        digits = 0 if pd.api.types.is_integer_dtype(values) else digits
        return Column(key, key.removesuffix(suffix).replace("_", " "), unit, digits, shown=False)
    return Column(key, label, kind="choice" if values.nunique() <= FEW else "text", shown=False)


def _hidden(columns: Sequence[Column]) -> Iterator[Column]:
    """Columns that the table of a page leaves to the card."""
    for each in columns:
        yield replace(each, shown=False)


register(
    Column("rank", "rank", hint="Place among the candidates; empty where a criterion rejects."),
    Column("material_id", "material", kind="text", hint="Name of the material, unique in a run."),
    Column("formula", "formula", kind="text", hint="Reduced formula."),
    Column("ion", "ion", kind="choice", hint="Mobile ion."),
    Column("family", "family", kind="choice", hint="Family by the anions."),
    Column("prototype", "prototype", kind="choice", hint="Crystal whose elements were replaced."),
    # band centers
    Column("band_center_mev", "center", "meV", 1,
           words="total phonon band center", hint="Total phonon band center: the mean phonon energy."),
    Column("ion_center_mev", "center of the ion", "meV", 1,
           words="phonon band center of the ion", hint="Band center of the mobile ion alone."),
    Column("computed_mev", "computed", "meV", 1, hint="Center by computed phonons, calibrated where it can be."),
    Column("confirmed", "confirmed by", kind="choice", hint="Tiers whose results confirm the candidate."),
    Column("predicted_mev", "predicted", "meV", 1, hint="Center predicted by a model that has not seen the compound."),
    Column("spread_mev", "spread", "meV", 2, shown=False, hint="Standard deviation that the model itself states."),
    Column("error_mev", "error", "meV", 1, hint="Predicted less known."),
    Column("in_domain", "known kind", kind="flag",
           words="model knows such compounds", hint="Whether the model has learned from compounds like it."),
    # rounds of choosing, computing and learning
    Column("choice", "choice", hint="Place in the order of choice."),
    Column("gain_mev", "gain", "meV", 2, hint="Expected loss of a decision by the predicted center."),
    Column("cost_s", "cost", "s", 0, hint="Estimated cpu-seconds of its phonons, by a potential as fast as DPA4."),
    Column("outcome", "outcome", kind="text", hint="What came of a chosen crystal."),
    Column("center_error", "relative error", digits=3, shown=False, hint="Known relative error of a center."),
    Column("round", "round", hint="Number of the round; 0 is what was there before."),
    Column("chosen", "chosen", hint="Crystals that were chosen."),
    Column("computed", "computed", hint="Chosen crystals whose phonons were computed, unstable ones too."),
    Column("unstable", "unstable", hint="Computed crystals with imaginary modes."),
    Column("failed", "failed", hint="Chosen crystals that could not be computed."),
    Column("not_reached", "not reached", hint="Chosen crystals that the time did not suffice for."),
    Column("mae_mev", "error before", "meV", 2, hint="Mean absolute error of predictions made before computing."),
    Column("within", "within", digits=2, hint="Share of computed centers within the predicted 90 % interval."),
    Column("learned", "learned", hint="Compounds in the learning set."),
    Column("width_mev", "median width", "meV", 2, hint="Median width of the 90 % intervals of what can be chosen."),
    Column("straddling", "open", hint="Intervals that contain the decision."),
    Column("crossed", "crossed", hint="Predicted centers that came to the other side of the decision."),
    # stability and gap, from a table of properties
    Column("e_hull_ev", "e_hull", "eV/atom", 3,
           words="energy above the hull", hint="Energy above the convex hull: 0 is stable."),
    Column("band_gap_ev", "gap", "eV", 2, words="band gap", hint="Electronic band gap.", high_is_good=True),
    Column("formation_ev_atom", "formation", "eV/atom", 3, hint="Energy of formation from the elements."),
    Column("uncorrected_energy_ev_atom", "uncorrected", "eV/atom", 4, hint="Energy without corrections."),
    Column("thermo_type", "functionals", kind="choice", hint="Type of the energies; those of different types do not "
           "go together."),
    Column("chemical_system", "system", kind="choice", hint="Elements, in the order of the alphabet."),
    Column("n_phases", "phases", hint="Phases of a chemical system and of its subsystems."),
    # electrochemical windows, from a tier or a table of properties
    Column("reduction_v", "reduction", "V", 2, hint="Voltage against the metal below which it takes up ions."),
    Column("oxidation_v", "oxidation", "V", 2, hint="Voltage against the metal above which it gives off ions.",
           high_is_good=True),
    # tiers share these
    Column("method", "method", kind="choice", hint="Method of the calculation."),
    Column("engine", "engine", kind="choice", hint="Source of energies and forces."),
    Column("barrier_ev", "barrier", "eV", 2, hint="Energy at which the ion finds a path through the crystal."),
    Column("dimensions", "dimensions", hint="Dimensions in which the paths cross the crystal."),
    Column("converged", "converged", kind="flag", hint="Whether forces are below the threshold."),
    # conductivities, measured and computed
    Column("temperature_k", "T", "K", 0, hint="Temperature."),
    Column("sigma_s_cm", "σ", "S/cm", -2, hint="Conductivity at the temperature."),
    Column("sigma_25c_s_cm", "σ at 25 °C", "S/cm", -2, hint="Conductivity, extrapolated to 25 C."),
    Column("sigma_25c_low_s_cm", "σ from", "S/cm", -2, shown=False, hint="Lower end of the 95 % interval."),
    Column("sigma_25c_high_s_cm", "σ to", "S/cm", -2, shown=False, hint="Upper end of the 95 % interval."),
    # virtual compounds
    Column("mean_Row", "mean row", digits=2, hint="Mean row of the elements in the periodic table."),
    Column("tolerance_factor", "tolerance", digits=3, hint="Goldschmidt's tolerance factor of a perovskite."),
    Column("charge_balanced", "charges", kind="flag", hint="Whether the charges add up to zero."),
    Column(
        "plausibility",
        "plausibility",
        digits=-2,
        hint="Charges, radii and known substitutions; 1 is best.",
        high_is_good=True,
    ),
    Column("score_mev", "score", "meV", 1, hint="Upper end of the interval, plus 5 meV a power of ten less plausible."),
    Column("sigma_estimate_s_cm", "est. σ", "S/cm", -2, hint="Predicted conductivity by composition, predicted volume "
           "and the percolation barrier of the parent.", high_is_good=True),
    Column("score_log_sigma", "log score", "decades", 2, hint="Logarithm of the estimated conductivity, less one for "
           "each power of ten less plausible and for what is unlike the model's compounds.", high_is_good=True),
    Column("barrier_dimensions", "in", "D", 0, hint="Dimensions of the paths with the computed barrier."),
    # cutoffs
    Column("recommended", "recommended", kind="flag", hint="The cheapest setting within the tolerance."),
)  # fmt: skip

register(
    *_hidden((
        Column("lower_mev", "from", "meV", 1, words="center, 90 % from", hint="Lower end of the 90 % interval."),
        Column("upper_mev", "to", "meV", 1, words="center, 90 % to", hint="Upper end of the 90 % interval."),
        Column("ion_lower_mev", "ion from", "meV", 1,
               words="center of the ion, 90 % from", hint="Lower end of the 90 % interval of the ion's center."),
        Column("ion_upper_mev", "ion to", "meV", 1,
               words="center of the ion, 90 % to", hint="Upper end of the 90 % interval of the ion's center."),
        Column("cell", "cell", kind="choice",
               words="cell volume for its elements", hint="Whether the volume is as that of crystals the model knows; "
               "a small or large one widens the interval."),
        Column("passes", "candidate", kind="flag", hint="Whether it meets every criterion."),
        Column("reason", "rejected for", kind="text", hint="Value for which a criterion rejects it."),
        Column("rejected_by", "criterion", kind="choice", hint="First criterion that rejects it."),
        Column("n_orderings", "orderings",
               words="orderings averaged", hint="Orderings whose mean the features are; 1 for an ordered crystal."),
        Column("ordered_as", "ordered as", kind="text", hint="Atoms of the ordering of a disordered crystal that was "
               "computed, or is the lowest in energy; empty for an ordered crystal."),
        Column("duplicate_of", "same crystal as", kind="text", hint="First crystal of the run that it repeats."),
        Column("n_atoms", "atoms", words="atoms in the cell", hint="Atoms in the cell."),
        Column("ordered_from", "ordered from", kind="text", hint="Formula of the disordered crystal."),
        Column("ordering_ev", "energy", "eV/atom", 3, hint="Electrostatic energy of formal charges."),
        Column("engine_ev", "by the engine", "eV/atom", 4, hint="Energy by the engine, positions relaxed."),
        Column("ordering_charge", "charge", "e", 1, hint="Charge of the cell, elementary charges."),
        Column("deviation", "deviation", digits=4, hint="Half the sum of how far the shares of the elements are off."),
        Column("shortest_a", "shortest", "Å", 2, hint="Shortest distance between two atoms."),
        Column("volume_per_atom_a3", "volume", "Å³/atom", 2, words="volume per atom", hint="Volume per atom."),
        Column("price_usd_kg", "price", "USD/kg", -3,
               words="price of its elements", hint="Price of the elements in a kilogram of the compound, by "
               "Wikipedia's list of about December 2024 (through mendeleev); empty where an element has none."),
        Column("scarcest_mg_kg", "its abundance", "mg/kg", -3,
               words="abundance of that element", hint="Abundance of the scarcest element in the Earth's "
               "crust, by the CRC Handbook of 2014 (through mendeleev); empty where it has none.", high_is_good=True),
        Column("scarcest_element", "scarcest element", kind="choice", hint="Element of the compound that is rarest in "
               "the Earth's crust; what has no abundance there is rarer than all else."),
        Column("known_as", "known as", kind="text", hint="Known crystal with this formula and structure."),
        Column("seconds", "time", "s", hint="Wall time of the calculation."),
        Column("why", "remark", kind="text", hint="What else is to be known, or why there is no value."),
        Column("supercell_atoms", "supercell", hint="Atoms in the supercell."),
        Column("stopped", "followed", kind="text", hint="How far a study followed it, and why no further."),
        # crystals and densities of states
        Column("lattice", "lattice", "Å", 4, "list", hint="Lattice vectors as rows, nine numbers."),
        Column("species", "species", kind="list", hint="Element of each atom."),
        Column("frac_coords", "coordinates", kind="list", hint="Fractional coordinates, three numbers an atom."),
        Column("occupancies", "occupancies", kind="list", hint="Share of its site that each ion fills."),
        Column("disorder_groups", "disorder groups", kind="list", hint="Alternative that each ion belongs to."),
        Column("oxidation_states", "oxidation states", kind="list", hint="Oxidation state of each ion, where stated."),
        Column("energy_mev", "energy", "meV", 2, hint="Phonon energy; below zero: imaginary."),
        Column("total", "density", "1/meV", 4, hint="Density of states; beside it that of each element."),
        # nearest compounds
        Column("learned_id", "compound", kind="text", hint="Compound that the model has learned from."),
        Column("learned_formula", "its formula", kind="text", hint="Formula of that compound."),
        Column("learned_center_mev", "its center", "meV", 1, hint="Known band center of that compound."),
        Column("distance", "distance", digits=1, hint="Distance in feature space, in standard deviations."),
        # training
        Column("algorithm", "algorithm", kind="choice", hint="Learning algorithm."),
        Column("features", "features", kind="choice", hint="Feature set."),
        Column("split", "split", kind="choice", hint="What the folds keep apart."),
        Column("fold", "fold", hint="Number of the fold."),
        Column("feature", "feature", kind="text", hint="Name of a feature."),
        Column("gini", "importance", digits=4, hint="Share of a feature in what the splits of the trees gain."),
        Column("permutation_mev", "permutation", "meV", 3, hint="Rise of the error where a feature is shuffled."),
        Column("permutation_std_mev", "its spread", "meV", 3, hint="Standard deviation of it over the shuffles."),
        # failures
        Column("stage", "stage", kind="choice", hint="Step at which a material dropped out."),
        Column("error", "error", kind="choice", hint="Kind of the error."),
        Column("message", "message", kind="text", hint="What happened, why, and what to do."),
        Column("source", "source", kind="text", hint="File it came from."),
        # cutoffs
        Column("varies", "varies", kind="choice", hint="What the setting varies: cutoffs or k points."),
        Column("ecutwfc_ry", "wave functions", "Ry", 0, hint="Cutoff of the wave functions."),
        Column("ecutrho_ry", "density", "Ry", 0, hint="Cutoff of the density."),
        Column("k_spacing_inv_a", "k spacing", "1/Å", 3, hint="Distance of k points, with the factor 2 pi."),
        Column("force_ev_a", "force", "eV/Å", 4, hint="Force of the displaced atom."),
        Column("force_error", "force error", digits=4, hint="Relative error of the force against the highest setting."),
        Column("element", "element", kind="choice", hint="Element whose force is worst."),
        Column("energy_ev_atom", "energy", "eV/atom", 4, hint="Energy of the crystal at rest; of a "
               "database, with its corrections."),
        Column("energy_error_mev_atom", "energy error", "meV/atom", 2, hint="Error of the energy per atom."),
    ))
)  # fmt: skip
