"""Energies of phases as a table for convex hulls, and the chemical systems of which it has every phase."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.systems import parse_system, subsystems, system_of
from phonolyte.errors import Failure, StructureError, TableError
from phonolyte.files import as_numbers, read_table
from phonolyte.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

ENERGY = "energy_ev_atom"

PROPERTIES, SYSTEMS = "properties.parquet", "systems.csv"
"""Files of the run folder of a fetch: a row a phase, and a row a chemical system that came whole."""

THEIR_NAMES = {"energy_per_atom": ENERGY, "formula_pretty": "formula", "energy_above_hull": "e_hull_ev"}
"""Columns as documents of the Materials Project name them."""

FIX = "phonolyte fetch mp --what entries makes such a table."


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Energies of phases, all on one scale.

    Attributes
    ----------
    table
        One row a phase: `material_id`, `formula`, `energy_ev_atom` (total energy with its corrections, eV/atom),
        `chemical_system`, and whatever else came along.
    systems
        Chemical systems of which the table has every phase of its source, subsystems included; empty where nothing
        says so.
    """

    table: pd.DataFrame
    systems: tuple[str, ...] = ()

    def covers(self, elements: Collection[str]) -> bool:
        """Whether a hull over these elements has every phase of the source."""
        return any(set(elements) <= set(system.split("-")) for system in self.systems)


def read_entries(path: str | Path) -> Entries:
    """Read energies of phases from the run folder of a fetch, or from a table (CSV, Parquet or JSONL).

    The systems come from ``systems.csv`` beside the table. The names of mp-api's documents are understood.

    Parameters
    ----------
    path
        Run folder, or table with `material_id`, `formula` and `energy_ev_atom` (eV/atom).

    Raises
    ------
    TableError
        When a column is missing, an energy is not a finite number, a formula cannot be read, a material comes twice,
        the energies are of several types, or an element of a system that is listed as whole has no energy.
    """
    path = Path(path).expanduser()
    file = path / PROPERTIES if path.is_dir() else path
    table = read_table(file)
    table = table.rename(columns={theirs: ours for theirs, ours in THEIR_NAMES.items() if ours not in table})
    _check_names(table, file)
    table[ENERGY] = _energies(table, file)
    table["chemical_system"] = _systems_of_rows(table, file)
    _check_type(table, file)
    return Entries(table.reset_index(drop=True), _read_systems(file.parent / SYSTEMS, table))


def write_systems(run: Run, systems: Sequence[str], failures: Sequence[Failure]) -> None:
    """Write the chemical systems that came whole, with the number of phases of each, to ``systems.csv``.

    Parameters
    ----------
    run
        Run whose ``properties.parquet`` is there already.
    systems
        Chemical systems that were requested.
    failures
        Failures of the fetch; a system that one of them names did not come whole.
    """
    import pandas as pd

    failed = {failure.material_id for failure in failures}
    complete = [system for system in systems if system not in failed]
    table = pd.read_parquet(run.folder / PROPERTIES)
    run.describe_table(PROPERTIES, table)
    counts = table["chemical_system"].value_counts()
    n_phases = [int(counts.reindex(subsystems(system), fill_value=0).sum()) for system in complete]
    run.write_table(SYSTEMS, pd.DataFrame({"chemical_system": complete, "n_phases": n_phases}))


def _check_names(table: pd.DataFrame, file: Path) -> None:
    """Refuse a table without the columns that are needed, and one in which a material has no name, or comes twice."""
    missing = [name for name in ("material_id", "formula", ENERGY) if name not in table]
    if missing:
        columns = ", ".join(map(str, table.columns[:8]))
        raise TableError(f"{file} has no column {missing[0]!r}", why=f"it has {columns}", fix=FIX)
    names = table["material_id"]
    if (names == "").any():
        raise TableError(f"{file} has {(names == '').sum()} rows without a material_id", fix="Name them.")
    twice = names[names.duplicated()]
    if len(twice):
        raise TableError(f"{file} has {twice.iloc[0]} more than once", fix="Keep one row a phase.")
    if table.empty:
        raise TableError(f"{file} is empty", fix=FIX)


def _energies(table: pd.DataFrame, file: Path) -> pd.Series:
    energies = as_numbers(table[ENERGY])
    wrong = ~np.isfinite(energies.to_numpy(float))
    if wrong.any():
        name, value = table.loc[wrong, ["material_id", ENERGY]].iloc[0]
        raise TableError(
            f"{file} has {wrong.sum()} phases without a usable energy",
            why=f"that of {name} is {value}", fix="Give them in eV/atom; a hull without these phases would be wrong.",
        )  # fmt: skip
    return energies


def _systems_of_rows(table: pd.DataFrame, file: Path) -> list[str]:
    """Chemical system of each phase, by its formula."""
    try:
        return [system_of(composition_of(formula)) for formula in table["formula"]]
    except StructureError as error:
        raise TableError(f"{file} has a phase without a usable formula", why=error.what, fix=error.fix) from None


def _check_type(table: pd.DataFrame, file: Path) -> None:
    """Refuse energies of several types, whose scales differ by electronvolts."""
    types = sorted(table["thermo_type"].dropna().unique()) if "thermo_type" in table else []
    if len(types) > 1:
        raise TableError(
            f"{file} has energies of several types",
            why=f"they are {', '.join(types)}, which are on different scales", fix="Keep those of one type.",
        )  # fmt: skip


def _read_systems(file: Path, table: pd.DataFrame) -> tuple[str, ...]:
    """The chemical systems that came whole; the table must have all their elements."""
    if not file.is_file():
        return ()
    systems = read_table(file)
    if "chemical_system" not in systems:
        raise TableError(f"{file} has no column 'chemical_system'", fix="Fetch again with --anew.")
    names = tuple(parse_system(str(name)) for name in systems["chemical_system"])
    present = set(table["chemical_system"])
    for name in names:
        missing = [symbol for symbol in name.split("-") if symbol not in present]
        if missing:
            raise TableError(
                f"the energies beside {file} do not cover {name}",
                why=f"there is none of {', '.join(missing)}", fix="Fetch again with --anew.",
            )  # fmt: skip
    return names
