"""Phonons of many crystals: item by item, so that a kill costs one, and a bad crystal is a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phonolyte.chemistry.formulas import shares_of
from phonolyte.dos import PhononDos
from phonolyte.errors import Failure
from phonolyte.phonons.bands import load_phonons
from phonolyte.phonons.calibration import Calibration
from phonolyte.phonons.convergence import convergence
from phonolyte.phonons.workflow import PhononResult, PhononSettings, phonons, require_phonopy
from phonolyte.runs.campaign import ITEMS, Item, complete, failed, file_name, outcomes
from phonolyte.runs.records import write_failures, write_parquet
from phonolyte.structures import Crystal
from phonolyte.structures.readers import TABLE_COLUMNS

if TYPE_CHECKING:
    from phonolyte.forces import Engine

STAGE = "phonons"
DOS = "dos"
CONVERGENCE = "convergence.csv"
FIRST_COLUMNS = ("material_id", "formula", "band_center_mev", "ion", "ion_center_mev", "calibrated_mev")

CHANGES = ("mesh_change_mev", "supercell_change_mev")
CHANGE_ERROR = "change_error"
"""Why the changes of a crystal are not known, where they were asked for; empty where nothing failed."""


def campaign(
    crystals: Sequence[Crystal],
    engine: Engine,
    folder: Path,
    settings: PhononSettings | None = None,
    *,
    ion: str | None = None,
    calibration: Calibration | None = None,
    converge: bool = False,
    progress: Callable[[int], None] | None = None,
    until: float | None = None,
) -> tuple[pd.DataFrame, list[Failure]]:
    """Compute the phonons of many crystals into a run folder.

    Each crystal is written as soon as it is there: its row in ``items/``, its density of states in ``dos/``, its
    ``phonopy_params.yaml`` in a folder of its own. What an earlier run did with the same engine, settings and
    crystal is not done again; what failed is tried again under another time limit. Several processes may work on one
    folder: each crystal is claimed by one, and what others have not finished is in no table yet.

    Parameters
    ----------
    crystals
        With a `material_id` each of its own.
    engine
        Source of the forces.
    folder
        The run folder.
    settings
        The defaults of :class:`PhononSettings` unless given.
    ion
        The mobile element, whose own center goes into the table.
    calibration
        Corrects the centers; must have been learned with this engine.
    converge
        Whether the change of each center with a finer mesh and a wider supercell is found, too, into the columns
        `mesh_change_mev` and `supercell_change_mev`; where that fails, `change_error` says why.
    progress
        Called with the number of atoms done since the last call, which foretells the time left better than the
        number of crystals.
    until
        Time of the monotonic clock, in seconds, after which no further crystal is begun; those left are in no table.

    Returns
    -------
    tuple
        The table of ``phonons.parquet``, and the failures; together one row a crystal. The relaxed crystals are in
        ``relaxed.parquet``, a crystal table.

    Raises
    ------
    ModelError
        When the calibration was learned with another engine.
    MissingExtraError
        When phonopy is not installed.
    """
    require_phonopy()
    settings = settings or PhononSettings()
    if calibration:
        calibration.check(engine)
    for part in (folder / ITEMS, folder / DOS):
        part.mkdir(parents=True, exist_ok=True)
    items = [item_of(crystal, engine, settings, folder) for crystal in crystals]
    complete(
        items,
        lambda item: _complete(item, engine, settings, folder, converge=converge),
        is_done=lambda item: _is_done(item, converge=converge),
        progress=progress,
        until=until,
    )
    return collected(items, folder, ion, calibration)


def item_of(crystal: Crystal, engine: Engine, settings: PhononSettings, folder: Path) -> Item:
    """The item of a crystal in a run folder."""
    known = {name: value for name, value in asdict(settings).items() if name != "limit_s"}
    decides = (engine.name, sorted(engine.provenance.items()), sorted(known.items()))
    return Item.of(crystal, folder, decides, settings.limit_s)


def _is_done(item: Item, *, converge: bool) -> bool:
    record = item.record
    return record is not None and ("failure" in record or not converge or _has_changes(record, item.limit_s))


def _has_changes(record: Mapping[str, Any], limit_s: float | None) -> bool:
    """Whether changes were found, or failed under the same time limit."""
    failed = CHANGE_ERROR in record.get("changes", {})
    return "changes" in record and not (failed and record.get("limit_s") != limit_s)


def _complete(item: Item, engine: Engine, settings: PhononSettings, folder: Path, *, converge: bool) -> None:
    """Compute what is missing of a crystal, and write the phonons before their convergence is looked at."""
    record = item.record
    if record is None:
        (folder / item.name / CONVERGENCE).unlink(missing_ok=True)  # of other settings
        record = _computed(item.crystal, engine, settings, folder, item.name)
        item.write(record)
    if converge and "row" in record:
        item.write({**record, "changes": _changes(record, engine, settings, folder / item.name)})


def _changes(record: Mapping[str, Any], engine: Engine, settings: PhononSettings, folder: Path) -> dict[str, Any]:
    """Changes of the center with mesh and supercell in meV, or why they cannot be found."""
    kept = record["crystal"]
    crystal = Crystal.of(kept["material_id"], kept["lattice"], kept["species"], kept["frac_coords"])
    try:
        table = convergence(crystal, engine, settings, int(record["row"]["supercell_atoms"]), load_phonons(folder))
        table.to_csv(folder / CONVERGENCE, index=False)
    except Exception as error:  # as in `_computed`; the phonons themselves are there and stay
        return {CHANGE_ERROR: str(error) or type(error).__name__}
    return {f"{kind}_change_mev": change for kind, change in zip(table["of"], table["change_mev"], strict=True)}


def density_file(run: Path, material_id: str) -> Path:
    """Where a run folder has the density of states of a crystal."""
    return run / DOS / f"{file_name(material_id)}.parquet"


def read_density(run: Path, material_id: str, formula: str = "") -> PhononDos:
    """A density of states of a run folder, ``dos/ID.parquet``."""
    table = pd.read_parquet(density_file(run, material_id))
    energies, total = table["energy_mev"].to_numpy(), table["total"].to_numpy()
    parts = {name: table[name].to_numpy() for name in table.columns[2:]}
    return PhononDos(energies, total, parts, formula=formula, material_id=material_id)


def collected(
    items: Sequence[Item], folder: Path, ion: str | None, calibration: Calibration | None
) -> tuple[pd.DataFrame, list[Failure]]:
    """Write ``phonons.parquet``, ``relaxed.parquet`` and ``failures.parquet`` from the items that are there."""
    records, failures = outcomes(items)
    rows = [_row(record, ion, calibration) for record in records]
    cells = [record["crystal"] for record in records]
    table = pd.DataFrame(rows, columns=None if rows else list(FIRST_COLUMNS))
    table = table.astype({name: float for name in (*FIRST_COLUMNS[4:], *CHANGES) if name in table})
    write_parquet(table, folder / "phonons.parquet")
    write_parquet(pd.DataFrame(cells, columns=list(TABLE_COLUMNS)), folder / "relaxed.parquet")
    write_failures(folder, failures)
    return table, failures


def _row(record: Mapping[str, Any], ion: str | None, calibration: Calibration | None) -> dict[str, Any]:
    """A row of ``phonons.parquet``; ion and calibration are of this run, whichever run computed the phonons."""
    row, centers = record["row"], record["element_centers_mev"]
    further = {
        "ion": ion if ion in centers else None,
        "ion_center_mev": centers.get(ion),
        "calibrated_mev": calibration.apply(row["band_center_mev"], shares_of(row["formula"])) if calibration else None,
    }
    known = record.get("changes", {})
    changes = {**{name: known.get(name) for name in CHANGES}, CHANGE_ERROR: known.get(CHANGE_ERROR, "")}
    return {**{name: {**row, **further}[name] for name in FIRST_COLUMNS}, **row, **changes}


def _computed(crystal: Crystal, engine: Engine, settings: PhononSettings, folder: Path, name: str) -> dict[str, Any]:
    try:
        return saved(phonons(crystal, engine, settings), engine.name, folder, name)
    except Exception as error:  # a foreign engine or phonopy can raise anything, and the batch goes on
        return failed(error, crystal, STAGE)


def saved(result: PhononResult, engine: str, folder: Path, name: str) -> dict[str, Any]:
    """Write the files of a result into the run folder; the record of its item."""
    result.save(folder / name)
    _write_dos(result, folder / DOS / f"{name}.parquet")
    return {
        "row": {**result.row(), "engine": engine},
        "element_centers_mev": result.dos.element_centers_mev,
        "crystal": result.crystal.row(),
    }


def _write_dos(result: PhononResult, path: Path) -> None:
    dos = result.dos
    columns = {"energy_mev": dos.energies_mev, "total": dos.total, **dos.per_element}
    write_parquet(pd.DataFrame(columns), path)
