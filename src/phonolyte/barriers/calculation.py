"""Barriers of many crystals by nudged elastic bands: hop by hop, so that a kill costs a few steps of one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats, Ints
from phonolyte.barriers.hops import Hop, Network, find_hops, percolation_threshold
from phonolyte.barriers.neb import (
    Ends,
    NebResult,
    NebSettings,
    climb,
    interstitial_ends,
    read_path,
    relax_ends,
    vacancy_ends,
    write_path,
)
from phonolyte.errors import EngineError, Failure, MigrationError
from phonolyte.forces.cells import primitive_cell, relax
from phonolyte.percolation.site_energies import empty_sites
from phonolyte.runs.campaign import ITEMS, Item, attempt, complete, read_json, write_json
from phonolyte.runs.tables import collected
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine

STAGE = "neb"
METHOD = "neb"
HOPS_TABLE = "hops.parquet"
FURTHER = {HOPS_TABLE: "hops"}
"""The table of hops, and where a record has them."""

TIME_LIMIT = "TimeLimit"
"""Kind of error of a hop that took longer than it may."""

NEUTRAL = "neutral cell"


@dataclass(frozen=True, slots=True)
class Material:
    """A crystal made ready: relaxed primitive cell, supercell, network of hops, interstitial sites if they count."""

    crystal: Crystal
    primitive: Atoms
    supercell: Ints
    network: Network
    interstitials: Floats | None = None

    def ends(self, hop: Hop) -> Ends:
        """Both ends of a hop, not relaxed."""
        if self.interstitials is None:
            return vacancy_ends(self.primitive, self.supercell, hop.edge)
        first, lattice = self.network.sites[0], self.primitive.cell.array
        start = self.interstitials[hop.edge.start - first] @ lattice
        end = (self.interstitials[hop.edge.end - first] + np.array(hop.edge.image)) @ lattice
        return interstitial_ends(self.primitive, self.supercell, start, end - start, self.network.ion)


def prepared(crystal: Crystal, ion: str, engine: Engine, settings: NebSettings) -> Material:
    """Relax the primitive cell of a crystal, and find its hops.

    Raises
    ------
    MigrationError
        Without the ion, or without a hop.
    PhononError
        When the relaxation does not converge.
    """
    primitive = primitive_cell(crystal, symprec_a=settings.symprec_a)
    if settings.carrier == "vacancy":
        find_hops(primitive, ion, cutoff_a=settings.cutoff_a)  # says at once what has none
    if settings.relax:
        primitive = relax(primitive, engine, symprec_a=settings.symprec_a)
    empty = empty_sites(primitive, ion) if settings.carrier == "interstitial" else None
    network = find_hops(primitive, ion, interstitials=empty, cutoff_a=settings.cutoff_a, symprec_a=settings.symprec_a)
    return Material(crystal, primitive, settings.supercell_of(primitive), network, empty)


def barrier_campaign(
    crystals: Sequence[Crystal],
    ion: str,
    engine: Engine,
    folder: Path,
    settings: NebSettings | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    until: float | None = None,
) -> tuple[pd.DataFrame, list[Failure]]:
    """Compute the hops of many crystals, and the barrier over which they join into a path, into a run folder.

    Each hop is written as soon as it is there: its row in ``ID/HOP.json``, its path in ``ID/HOP.xyz``, which is also
    where a hop that was killed goes on from.

    Parameters
    ----------
    crystals
        With a `material_id` each of its own.
    ion
        Symbol of the mobile element.
    engine
        Source of energies and forces.
    folder
        The run folder.
    settings
        The defaults unless given.
    progress
        Called with the number of atoms done since the last call.
    until
        Time of the monotonic clock, in seconds, after which no further crystal is begun; those left are in no table.

    Returns
    -------
    tuple
        The table of ``barriers.parquet``, and the failures; together one row a crystal. ``hops.parquet`` has one row a
        hop, those that could not be computed too.
    """
    settings = settings or NebSettings()
    if settings.charge is not None:
        engine.with_charge(settings.charge)  # says at once where it cannot
    (folder / ITEMS).mkdir(parents=True, exist_ok=True)
    decides = (METHOD, ion, engine.name, sorted(engine.provenance.items()), settings.deciding)
    items = [Item.of(crystal, folder, decides, settings.limit_s) for crystal in crystals]

    def compute(item: Item) -> dict[str, Any]:
        return _material(item, ion, engine, settings, folder / item.name)

    work = partial(attempt, compute=compute, stage=STAGE)
    complete(items, work, is_done=_is_done, progress=progress, until=until)
    return collected(items, folder, FURTHER)


def _is_done(item: Item) -> bool:
    """Whether nothing is left to do: a hop that took too long is tried again under another limit."""
    record = item.record
    late = record is not None and any(row["kind"] == TIME_LIMIT for row in record.get("hops", ()))
    return record is not None and not (late and record.get("limit_s") != item.limit_s)


def _material(item: Item, ion: str, engine: Engine, settings: NebSettings, folder: Path) -> dict[str, Any]:
    """The record of a crystal: its row, and those of its hops."""
    start = time.perf_counter()
    material = prepared(item.crystal, ion, engine, settings)
    folder.mkdir(exist_ok=True)
    source = engine if settings.charge is None else engine.with_charge(settings.charge)
    rows = [
        _hop(hop, material, source, settings, folder, item.digest) for hop in chosen_hops(material.network, settings)
    ]
    record = record_of(material, rows, engine.name, settings)
    record["row"]["seconds"] = time.perf_counter() - start
    return record


def chosen_hops(network: Network, settings: NebSettings) -> Sequence[Hop]:
    """The hops that are to be computed; those with a given path are among them."""
    chosen = [network.named(name) for name in settings.hops] if settings.hops else list(network.shortest())
    given = [network.named(name) for name, _ in settings.paths]
    return chosen + [hop for hop in given if hop not in chosen]


def record_of(
    material: Material, rows: Sequence[Mapping[str, Any]], engine: str, settings: NebSettings
) -> dict[str, Any]:
    """The record of a crystal from the rows of its hops.

    Raises
    ------
    MigrationError
        When none could be computed.
    """
    computed = [row for row in rows if not row["error"]]
    if not computed:
        raise MigrationError(
            f"no hop of {material.network.ion} could be computed",
            why="; ".join(f"{row['hop']}: {row['error']}" for row in rows),
            kind=rows[0]["kind"],
        )
    name = material.crystal.material_id
    row = _summary(material, computed, engine, settings)
    return {"row": row, "hops": [{"material_id": name, **row} for row in rows]}


def _summary(
    material: Material, rows: Sequence[Mapping[str, Any]], engine: str, settings: NebSettings
) -> dict[str, Any]:
    """The row of a crystal: the threshold of percolation over the hops that are known."""
    network = material.network
    saddles = {row["hop"]: row["saddle_ev"] for row in rows}
    sites = site_energies(network, rows)
    barriers = [percolation_threshold(network, saddles, sites, n) for n in (1, 2, 3)]
    path = barriers[0][1]
    of_path = [row for row in rows if row["hop"] in path]
    highest = max(of_path, key=lambda row: row["saddle_ev"], default=None)
    found = [barrier if np.isfinite(barrier) else None for barrier, _ in barriers]
    lowest = min(rows, key=lambda row: max(row["barrier_ev"], row["reverse_ev"]))
    return {
        "material_id": material.crystal.material_id,
        "formula": material.crystal.formula,
        "method": METHOD,
        "engine": engine,
        "ion": network.ion,
        "barrier_ev": found[0],
        "dimensions": network.dimensions(network.named(name) for name in path),
        **{f"barrier_{n}d_ev": barrier for n, barrier in enumerate(found, 1)},
        "path": " ".join(path),
        "highest_hop": highest["hop"] if highest else "",
        "converged": all(row["converged"] for row in of_path or rows),
        "lowest_hop": lowest["hop"],
        "lowest_hop_ev": max(lowest["barrier_ev"], lowest["reverse_ev"]),
        "n_hops": len(rows),
        "carrier": network.carrier,
        "charge": _charge(settings.charge),
        "supercell_atoms": rows[0]["supercell_atoms"],
        "seconds": sum(row["seconds"] for row in rows),
    }


def _charge(charge: float | None) -> str:
    if charge is None:
        return NEUTRAL
    return f"{charge:+g} over a uniform background"


def site_energies(network: Network, rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Lowest energy in eV of the carrier at each kind of site, from the ends of hops.

    A vacancy is at the end where the ion is not. Where the path falls below its ends, the carrier rests there.
    """
    found: dict[int, float] = {}
    for row in rows:
        edge = network.named(row["hop"]).edge
        sites = (edge.end, edge.start) if network.carrier == "vacancy" else (edge.start, edge.end)
        for site, energy in zip(sites, (row["start_ev"], row["end_ev"]), strict=True):
            kind = network.kinds[site]
            found[kind] = min(energy, row["lowest_ev"], found.get(kind, np.inf))
    return found


def _hop(
    hop: Hop, material: Material, engine: Engine, settings: NebSettings, folder: Path, digest: str
) -> dict[str, Any]:
    """The row of a hop: what is there already, or computed now; a hop that cannot be computed says why."""
    digest = hashlib.sha256(f"{digest} {hop.name}".encode()).hexdigest()
    file = folder / f"{hop.name}.json"
    record = read_json(file) or {}
    if record.get("digest") == digest and (not record["error"] or record.get("limit_s") == settings.limit_s):
        return {name: value for name, value in record.items() if name not in ("digest", "limit_s")}
    known = {"hop": hop.name, "length_a": hop.length_a, "clearance_a": hop.clearance_a, "error": "", "kind": ""}
    try:
        row = {**known, **_computed(hop, material, engine, settings, folder / f"{hop.name}.xyz", digest).row()}
    except EngineError as error:
        row = {**known, "error": str(error), "kind": getattr(error, "kind", type(error).__name__)}
    write_json(file, {**row, "digest": digest, "limit_s": settings.limit_s})
    return row


def _computed(
    hop: Hop, material: Material, engine: Engine, settings: NebSettings, file: Path, digest: str
) -> NebResult:
    start = time.perf_counter()

    def check() -> None:
        if settings.limit_s is not None and time.perf_counter() - start > settings.limit_s:
            raise MigrationError(
                f"{hop.name} takes longer than the limit",
                why=f"the limit is {settings.limit_s:.0f} s",
                fix="Run again with a higher limit: the path so far is kept.",
                kind=TIME_LIMIT,
            )

    info = {"hop": hop.name, "digest": digest}
    path = _kept(file, digest)
    if path is None:
        ends = relax_ends(material.ends(hop), engine, settings, check)
    else:
        ends = Ends(path[0], path[-1], _moved(path))
    result = climb(
        hop,
        ends,
        engine,
        settings,
        path=path,
        save=lambda images: write_path(images, file, info),
        check=check,
    )
    write_path(result.images, file, info)
    return result


def _kept(file: Path, digest: str) -> list[Atoms] | None:
    """The path that a killed run has left of the same hop and settings."""
    if not file.is_file():
        return None
    try:
        path = read_path(file)
    except MigrationError:
        return None
    return path if path[0].info.get("digest") == digest else None


def _moved(path: Sequence[Atoms]) -> int:
    """The atom that goes farthest from end to end."""
    return int(np.linalg.norm(path[-1].positions - path[0].positions, axis=1).argmax())
