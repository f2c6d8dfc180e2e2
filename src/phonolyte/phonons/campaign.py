"""Phonons of many crystals: item by item, so that a kill costs one, and a bad crystal is a row."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phonolyte import __version__
from phonolyte.errors import Failure
from phonolyte.phonons.workflow import PhononResult, PhononSettings, phonons, require_phonopy
from phonolyte.runs import write_failures, write_parquet

if TYPE_CHECKING:
    from phonolyte.forces import Engine
    from phonolyte.structures import Crystal

STAGE = "phonons"
ITEMS, DOS = "items", "dos"


def campaign(
    crystals: Sequence[Crystal],
    engine: Engine,
    folder: Path,
    settings: PhononSettings | None = None,
    *,
    ion: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[pd.DataFrame, list[Failure]]:
    """Compute the phonons of many crystals into a run folder.

    Each crystal is written as soon as it is there: its row in ``items/``, its density of states in ``dos/``, its
    ``phonopy_params.yaml`` in a folder of its own. What an earlier run did with the same engine, settings and
    crystal is not done again. Several processes may work on one folder: each crystal is claimed by one.

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
    progress
        Called with the number of atoms done since the last call, which foretells the time left better than the
        number of crystals.

    Returns
    -------
    tuple
        The table of ``phonons.parquet``, and the failures; together one row a crystal.
    """
    require_phonopy()
    settings = settings or PhononSettings()
    for part in (folder / ITEMS, folder / DOS):
        part.mkdir(parents=True, exist_ok=True)
    names = _file_names(crystals)
    for crystal in crystals:
        digest = _digest(crystal, engine, settings)
        item = folder / ITEMS / f"{names[crystal.material_id]}.json"
        if not _is_done(item, digest) and _claim(item):
            try:
                record = _computed(crystal, engine, settings, folder, names[crystal.material_id], ion)
                _write_json(item, {"digest": digest, **record})
            finally:
                item.with_suffix(".claim").unlink(missing_ok=True)
        if progress:
            progress(len(crystal))
    return collect(crystals, folder)


def collect(crystals: Sequence[Crystal], folder: Path) -> tuple[pd.DataFrame, list[Failure]]:
    """Write ``phonons.parquet`` and ``failures.parquet`` from the items that are there."""
    rows, failures = [], []
    names = _file_names(crystals)
    for crystal in crystals:
        item = folder / ITEMS / f"{names[crystal.material_id]}.json"
        record = _read_json(item) or {}
        if "row" in record:
            rows.append(record["row"])
        elif "failure" in record:
            failures.append(Failure(**record["failure"]))
    table = pd.DataFrame(rows)
    write_parquet(table, folder / "phonons.parquet")
    write_failures(folder, failures)
    return table, failures


def _computed(
    crystal: Crystal, engine: Engine, settings: PhononSettings, folder: Path, name: str, ion: str | None
) -> dict[str, Any]:
    try:
        result = phonons(crystal, engine, settings)
        result.save(folder / name)
        _write_dos(result, folder / DOS / f"{name}.parquet")
    except Exception as error:  # a foreign engine or phonopy can raise anything, and the batch goes on
        failure = Failure.of(error, material_id=crystal.material_id, stage=STAGE, source=crystal.source)
        return {"failure": asdict(failure)}
    return {"row": {**result.row(ion=ion), "engine": engine.name}}


def _write_dos(result: PhononResult, path: Path) -> None:
    dos = result.dos
    columns = {"energy_mev": dos.energies_mev, "total": dos.total, **dos.per_element}
    write_parquet(pd.DataFrame(columns), path)


def _digest(crystal: Crystal, engine: Engine, settings: PhononSettings) -> str:
    """What decides a result: the same digest, the same phonons."""
    values = [__version__, engine.name, sorted(engine.provenance.items()), sorted(asdict(settings).items())]
    digest = hashlib.sha256(repr(values).encode())
    for array in (crystal.lattice, crystal.numbers, crystal.frac_coords):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _file_names(crystals: Sequence[Crystal]) -> dict[str, str]:
    """A file name for each `material_id`: itself where it can be one, with a checksum where it cannot."""
    return {name: name if _SAFE.fullmatch(name) else _made_safe(name) for name in (c.material_id for c in crystals)}


_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~+-]{0,99}")


def _made_safe(name: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _is_done(item: Path, digest: str) -> bool:
    return (_read_json(item) or {}).get("digest") == digest


def _claim(item: Path) -> bool:
    """Claim a crystal for this process; the claim of a process that is gone does not count."""
    claim = item.with_suffix(".claim")
    for _ in range(2):
        try:
            with claim.open("x") as stream:
                stream.write(str(os.getpid()))
        except FileExistsError:
            if _is_alive(claim):
                return False
            claim.unlink(missing_ok=True)
        else:
            return True
    return False


def _is_alive(claim: Path) -> bool:
    try:
        owner = int(claim.read_text())
        os.kill(owner, 0)
    except (OSError, ValueError):
        return False
    return owner != os.getpid()


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
