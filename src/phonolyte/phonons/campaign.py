"""Phonons of many crystals: item by item, so that a kill costs one, and a bad crystal is a row."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import pandas as pd

from phonolyte import __version__
from phonolyte.dos import PhononDos
from phonolyte.errors import Failure
from phonolyte.phonons.bands import load_phonons
from phonolyte.phonons.calibration import Calibration, shares_of
from phonolyte.phonons.convergence import convergence
from phonolyte.phonons.workflow import PhononResult, PhononSettings, phonons, require_phonopy
from phonolyte.runs import write_failures, write_parquet
from phonolyte.structures import Crystal
from phonolyte.structures.readers import TABLE_COLUMNS

if TYPE_CHECKING:
    from phonolyte.forces import Engine

STAGE = "phonons"
ITEMS, DOS = "items", "dos"
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
    items = [Item.of(crystal, engine, settings, folder) for crystal in crystals]
    for item in items:
        if not item.is_done(converge=converge):
            with _claimed(item.path) as claimed:
                if claimed and not item.is_done(converge=converge):  # another process may just have done it
                    _complete(item, engine, settings, folder, converge=converge)
        if progress:
            progress(len(item.crystal))
    return collected(items, folder, ion, calibration)


@dataclass(frozen=True, slots=True)
class Item:
    """One crystal of a campaign: the file its result goes to, and the digest that tells whose result is there."""

    crystal: Crystal
    path: Path
    digest: str
    limit_s: float | None

    @classmethod
    def of(cls, crystal: Crystal, engine: Engine, settings: PhononSettings, folder: Path) -> Self:
        """The item of a crystal in a run folder."""
        path = folder / ITEMS / f"{_file_name(crystal.material_id)}.json"
        return cls(crystal, path, _digest(crystal, engine, settings), settings.limit_s)

    @property
    def record(self) -> dict[str, Any] | None:
        """What is there of this crystal, engine and settings; a failure counts under the same time limit only."""
        record = _read_json(self.path) or {}
        done = "row" in record or ("failure" in record and record.get("limit_s") == self.limit_s)
        return record if done and record.get("digest") == self.digest else None

    def is_done(self, *, converge: bool) -> bool:
        """Whether nothing is left to compute."""
        record = self.record
        return record is not None and ("failure" in record or not converge or self._has_changes(record))

    def _has_changes(self, record: Mapping[str, Any]) -> bool:
        """Whether changes were found, or failed under the same time limit."""
        failed = CHANGE_ERROR in record.get("changes", {})
        return "changes" in record and not (failed and record.get("limit_s") != self.limit_s)

    def write(self, found: Mapping[str, Any]) -> None:
        """Keep a record of this crystal, engine and settings."""
        _write_json(self.path, {**found, "digest": self.digest, "limit_s": self.limit_s})


def _complete(item: Item, engine: Engine, settings: PhononSettings, folder: Path, *, converge: bool) -> None:
    """Compute what is missing of a crystal, and write the phonons before their convergence is looked at."""
    record = item.record
    if record is None:
        (folder / item.path.stem / CONVERGENCE).unlink(missing_ok=True)  # of other settings
        record = _computed(item.crystal, engine, settings, folder, item.path.stem)
        item.write(record)
    if converge and "row" in record:
        item.write({**record, "changes": _changes(record, engine, settings, folder / item.path.stem)})


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


def folder_of(run: Path, material_id: str) -> Path:
    """Where a run folder has the files of a crystal."""
    return run / _file_name(material_id)


def density_file(run: Path, material_id: str) -> Path:
    """Where a run folder has the density of states of a crystal."""
    return run / DOS / f"{_file_name(material_id)}.parquet"


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
    rows, cells, failures = [], [], []
    for item in items:
        record = item.record or {}
        if "row" in record:
            rows.append(_row(record, ion, calibration))
            cells.append(record["crystal"])
        elif "failure" in record:
            failures.append(Failure(**record["failure"]))
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
        return failed(error, crystal)


def saved(result: PhononResult, engine: str, folder: Path, name: str) -> dict[str, Any]:
    """Write the files of a result into the run folder; the record of its item."""
    result.save(folder / name)
    _write_dos(result, folder / DOS / f"{name}.parquet")
    return {
        "row": {**result.row(), "engine": engine},
        "element_centers_mev": result.dos.element_centers_mev,
        "crystal": result.crystal.row(),
    }


def failed(error: Exception, crystal: Crystal) -> dict[str, Any]:
    """The record of an item that failed."""
    return {"failure": asdict(Failure.of(error, material_id=crystal.material_id, stage=STAGE, source=crystal.source))}


def _write_dos(result: PhononResult, path: Path) -> None:
    dos = result.dos
    columns = {"energy_mev": dos.energies_mev, "total": dos.total, **dos.per_element}
    write_parquet(pd.DataFrame(columns), path)


def _digest(crystal: Crystal, engine: Engine, settings: PhononSettings) -> str:
    """What decides a result: the same digest, the same phonons."""
    known = {name: value for name, value in asdict(settings).items() if name != "limit_s"}
    values = [__version__, engine.name, sorted(engine.provenance.items()), sorted(known.items())]
    digest = hashlib.sha256(repr(values).encode())
    for array in (crystal.lattice, crystal.numbers, crystal.frac_coords):
        digest.update(array.tobytes())
    return digest.hexdigest()


_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~+-]{0,99}")


def _file_name(material_id: str) -> str:
    """A file name for a `material_id`: itself where it can be one, with a checksum where it cannot."""
    if _SAFE.fullmatch(material_id) and material_id not in (ITEMS, DOS):
        return material_id
    checksum = hashlib.sha256(material_id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', material_id)[:60]}-{checksum}"


@contextmanager
def _claimed(item: Path) -> Iterator[bool]:
    """Whether this process has a crystal to itself; the lock goes with the process, however that ends."""
    lock = item.with_suffix(".lock")
    with lock.open("w") as stream:
        claimed = _is_ours(stream)
        try:
            yield claimed
        finally:
            if claimed and sys.platform != "win32":  # which cannot remove an open file
                lock.unlink(missing_ok=True)


def _is_ours(stream: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks: to compute a crystal twice does no harm
        return True
    return True


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _write_json(path: Path, record: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(record, default=float), encoding="utf-8")
    os.replace(partial, path)
