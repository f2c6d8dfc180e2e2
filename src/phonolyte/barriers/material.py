"""A crystal made ready for hops: relaxed primitive cell, supercell, network of hops, and its barrier from theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.barriers.ends import Ends, interstitial_ends, vacancy_ends
from phonolyte.barriers.hops import Hop, Network, find_hops, percolation_threshold
from phonolyte.barriers.neb import NebSettings
from phonolyte.errors import MigrationError
from phonolyte.forces.cells import primitive_cell, relax
from phonolyte.percolation.site_energies import empty_sites
from phonolyte.runs.records import Record
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine

METHOD = "neb"
HOPS_TABLE = "hops.parquet"
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


def prepare(crystal: Crystal, ion: str, engine: Engine, settings: NebSettings) -> Material:
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


def chosen_hops(network: Network, settings: NebSettings) -> Sequence[Hop]:
    """The hops that are to be computed; those with a given path are among them."""
    chosen = [network.named(name) for name in settings.hops] if settings.hops else list(network.shortest())
    with_paths = [network.named(name) for name, _ in settings.paths]
    return chosen + [hop for hop in with_paths if hop not in chosen]


def record_of(material: Material, rows: Sequence[Mapping[str, Any]], engine: str, settings: NebSettings) -> Record:
    """Return the record of a crystal from the rows of its hops.

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
    return Record(row, {HOPS_TABLE: [{"material_id": name, **row} for row in rows]})


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
    barriers_ev = [barrier if np.isfinite(barrier) else np.nan for barrier, _ in barriers]
    lowest = min(rows, key=lambda row: max(row["barrier_ev"], row["reverse_ev"]))
    return {
        "material_id": material.crystal.material_id,
        "formula": material.crystal.formula,
        "method": METHOD,
        "engine": engine,
        "ion": network.ion,
        "barrier_ev": barriers_ev[0],
        "dimensions": network.dimensions(network.named(name) for name in path),
        **{f"barrier_{n}d_ev": barrier for n, barrier in enumerate(barriers_ev, 1)},
        "path": " ".join(path),
        "highest_hop": highest["hop"] if highest else "",
        "converged": all(row["converged"] for row in of_path or rows),
        "lowest_hop": lowest["hop"],
        "lowest_hop_ev": max(lowest["barrier_ev"], lowest["reverse_ev"]),
        "n_hops": len(rows),
        "carrier": network.carrier,
        "defect_charge": _charge(settings.charge),
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
    lowest_ev: dict[int, float] = {}
    for row in rows:
        edge = network.named(row["hop"]).edge
        sites = (edge.end, edge.start) if network.carrier == "vacancy" else (edge.start, edge.end)
        for site, energy in zip(sites, (row["start_ev"], row["end_ev"]), strict=True):
            kind = network.kinds[site]
            lowest_ev[kind] = min(energy, row["lowest_ev"], lowest_ev.get(kind, np.inf))
    return lowest_ev
