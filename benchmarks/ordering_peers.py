"""Ordering of disordered crystals, beside packages that look for low Coulomb energies and longer searches of ours.

Usage: python benchmarks/ordering_peers.py CIFS [ID ...]

CIFS is the folder of OBELiX's CIFs. Each package (``pip install smol``; one that is missing is skipped) gets our
supercell, numbers of ions and charges, five seeds and a minute, and smol as many attempted swaps as we. "closed"
is the share of the gap between the mean of random arrangements and the best arrangement without sites too near. A run
that was stopped goes on: crystals in the results are not repeated.

The repulsion of near cations, which no peer has, is left out of ours here.

Last run, on a machine that was shared: ours takes 0.08 s (median) and closes 97.5% (mean; at least 82%). smol takes 22
s, and closes 99.9% of the 11 that it does within a minute. pymatgen orders 4 of 12, each to the best, in 0.06 to 27 s.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, keep

from phonolyte.arrays import Floats, Ints
from phonolyte.structures import Crystal, ordering, read
from phonolyte.structures.arrangement import COLD_K, HOT_K, ewald_matrix
from phonolyte.structures.filling import fill_sites, likely_states
from phonolyte.structures.ordering import Task, order
from phonolyte.structures.sites import sites_of
from phonolyte.structures.supercells import OrderingSettings, choose_supercell

IDS = "122 mtn 72f 7w5 z9y gas 9ph 9wf u0c dvn opo pwr".split()
"""Crystals of OBELiX: argyrodite, LGPS, two garnets, LATP, two perovskites, halide, two spinels, layered sulfide,
LISICON."""

SETTINGS = OrderingSettings()
SEEDS = range(SETTINGS.arrangements)
LIMIT_S = 60.0
STAGES = 50
"""Temperatures of an annealing that cools in stages."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Supercell, numbers of ions and charges of ours, the same for every peer."""

    task: Task
    matrix: Floats

    @property
    def steps(self) -> int:
        return SETTINGS.sweeps * sum(len(species) for species in self.task.filling if len(set(species)) > 1)

    def shuffle(self, seed: int) -> Ints:
        """Return the species of each site, at random."""
        random, state = np.random.default_rng(seed), np.zeros(len(self.task.cell.kinds), np.int64)
        for kind, species in enumerate(self.task.filling):
            state[self.task.cell.kinds == kind] = random.permutation(species)
        return state

    def compute_energy_ev(self, state: Ints) -> float:
        charges = self.task.charges[state]
        return float(0.5 * charges @ self.matrix @ charges / (state > 0).sum())

    def count_near_pairs(self, state: Ints) -> int:
        """Count pairs of occupied sites that exclude each other."""
        held = state[self.task.active] > 0
        return int((self.task.excluded & held[:, None] & held).sum()) // 2

    def compute_shares(self, kind: int) -> dict[int, float]:
        species = self.task.filling[kind]
        return {s: float(np.mean(species == s)) for s in sorted(set(species.tolist()))}

    def assign_species(self, symbols: Sequence[str], positions: Any) -> Ints:
        """Return the species of each site from atoms, with or without vacancies, and their fractional coordinates."""
        cell, state = self.task.cell, np.zeros(len(self.task.cell.kinds), np.int64)
        offsets = np.asarray(positions)[:, None] - cell.positions
        nearest = np.linalg.norm((offsets - np.round(offsets)) @ cell.lattice, axis=2).argmin(axis=1)
        elements = self.task.elements
        state[nearest] = [elements.index(symbol) if symbol in elements else 0 for symbol in symbols]
        return state

    def make_structure(self) -> Any:
        """Return pymatgen's disordered supercell; a spin distinguishes kinds of sites that hold the same elements."""
        from pymatgen.core import Lattice, Species, Structure

        task, kinds = self.task, self.task.cell.kinds
        held = [
            {
                Species(task.elements[s], task.charges[s], spin=kind): x
                for s, x in self.compute_shares(kind).items()
                if s
            }
            for kind in range(len(task.filling))
        ]
        sites = [site for site, kind in enumerate(kinds) if held[kind]]
        return Structure(Lattice(task.cell.lattice), [held[kinds[i]] for i in sites], task.cell.positions[sites])


def order_with_pymatgen(problem: Problem) -> list[Ints]:
    from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

    rankings = OrderDisorderedStructureTransformation().apply_transformation(problem.make_structure(), len(SEEDS))
    cells = [each["structure"] for each in rankings]
    return [problem.assign_species([site.specie.symbol for site in cell], cell.frac_coords) for cell in cells]


def order_with_smol(problem: Problem) -> list[Ints]:
    from smol.cofe import ClusterSubspace
    from smol.cofe.extern import EwaldTerm
    from smol.moca import Ensemble, Sampler
    from smol.moca.processor import EwaldProcessor

    subspace = ClusterSubspace.from_cutoffs(problem.make_structure(), {})
    subspace.add_external_term(EwaldTerm())
    processor = EwaldProcessor(subspace, np.eye(3, dtype=int), EwaldTerm())
    positions, species_symbols = processor.structure.frac_coords, problem.task.elements
    sites = [int(problem.assign_species([species_symbols[1]], [xyz]).argmax()) for xyz in positions]
    elements = [
        [s.symbol if s.symbol in species_symbols else "" for s in species] for species in processor.allowed_species
    ]
    starts = [
        [each.index(species_symbols[state[i]]) for each, i in zip(elements, sites, strict=True)]
        for state in map(problem.shuffle, SEEDS)
    ]
    sampler = Sampler.from_ensemble(Ensemble(processor), HOT_K, nwalkers=len(SEEDS), seeds=list(SEEDS))
    steps = max(problem.steps // STAGES, 20)
    sampler.anneal(np.geomspace(HOT_K, COLD_K, STAGES), steps, np.array(starts, np.int32), thin_by=steps // 20)
    energies, codes = sampler.samples.get_energies(flat=False), sampler.samples.get_occupancies(flat=False)
    best = [codes[energies[:, walker].argmin(), walker] for walker in SEEDS]
    return [problem.assign_species([e[c] for e, c in zip(elements, code, strict=True)], positions) for code in best]


PEERS: dict[str, tuple[str, Callable[[Problem], list[Ints]]]] = {
    "pymatgen": ("pymatgen.transformations.standard_transformations", order_with_pymatgen),
    "smol": ("smol.moca", order_with_smol),
}


def main() -> None:
    warnings.simplefilter("ignore")
    folder, *names = sys.argv[1:]
    peers = {}
    for name, (module, work) in PEERS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            print(f"{name} is not installed, and skipped")
        else:
            peers[name] = work
    path = RESULTS / "ordering_peers.json"
    crystals = json.loads(path.read_text())["crystals"] if path.is_file() else {}
    for name in names or IDS:
        if name not in crystals:  # a run that was stopped goes on
            (crystal,) = read(Path(folder) / f"{name}.cif").crystals
            crystals[name] = round_values(compare(crystal, peers))
            keep("ordering_peers", {"limit_s": LIMIT_S, "crystals": crystals}, *peers)


def compare(crystal: Crystal, peers: dict[str, Callable[[Problem], list[Ints]]]) -> dict[str, Any]:
    """Compare ours by default and with longer searches with the peers; energies in eV an atom."""
    ordering.CATION_EV = 0.0
    sites = sites_of(crystal)
    states = likely_states(sites)
    cell = choose_supercell(sites, SETTINGS)
    task = ordering._prepare(cell, fill_sites(cell, sites, states, SETTINGS), states)
    problem = Problem(task, ewald_matrix(cell.lattice, cell.positions))
    uncharged = replace(task, charges=np.zeros_like(task.charges))
    chance = [ordering._anneal(uncharged, SETTINGS, seed, np.empty(0), crystal)[1] for seed in range(20)]
    at_random = [each.crystal for each in chance if each is not None]
    random_ev = float(
        np.mean([problem.compute_energy_ev(problem.assign_species(c.symbols, c.frac_coords)) for c in at_random])
    )
    order(crystal)  # compiles
    start = time.perf_counter()
    ours_ev = order(crystal)[0].energy_ev
    seconds = time.perf_counter() - start
    longer = {}
    for sweeps, seeds in ((1_000, 20), (10_000, 20)):
        settings = OrderingSettings(sweeps=sweeps, arrangements=seeds)
        longer[f"{sweeps} sweeps, {seeds} seeds"] = order(crystal, settings)[0].energy_ev
    rows = {"ours": {"seconds": seconds, "energy_ev": ours_ev}, **{k: run_peer(f, problem) for k, f in peers.items()}}
    allowed = [row["energy_ev"] for row in rows.values() if row.get("pairs_too_near") == 0]
    best_ev = min([*longer.values(), *allowed])
    for row in rows.values():
        if "energy_ev" in row:
            row["closed"] = (random_ev - row["energy_ev"]) / (random_ev - best_ev)
    return {"sites": len(cell.kinds), "random_ev": random_ev, "longer_ev": longer, **rows}


def round_values(table: dict[str, Any]) -> dict[str, Any]:
    return {
        k: round_values(v) if isinstance(v, dict) else round(v, 4) if isinstance(v, float) else v
        for k, v in table.items()
    }


def run_peer(work: Callable[[Problem], list[Ints]], problem: Problem) -> dict[str, Any]:
    """Return seconds and lowest energy of a peer, of its arrangements with the fewest pairs of sites too near."""
    start = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        try:
            states = pool.apply_async(work, (problem,)).get(LIMIT_S)
        except Exception as error:  # whatever a peer raises, and TimeoutError
            return {"failed": f"{type(error).__name__}: {str(error)[-120:]}"}
    seconds = time.perf_counter() - start
    pairs, energy_ev = min((problem.count_near_pairs(state), problem.compute_energy_ev(state)) for state in states)
    return {"seconds": seconds, "energy_ev": energy_ev, "pairs_too_near": pairs}


if __name__ == "__main__":
    main()
