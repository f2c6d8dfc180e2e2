"""Ordering of the disordered CIFs of OBELiX's training set, beside pymatgen's transformation on some of them.

Usage: python benchmarks/ordering.py

Five arrangements a crystal on one core. pymatgen orders one crystal in 24, with the same oxidation states, in its
own cell and for at most half a minute; where it succeeds the energies of both (its Ewald sum, eV an atom) are compared.
"""

from __future__ import annotations

import multiprocessing
import resource
import tarfile
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from record import SHARED, keep

from phonolyte.errors import PhonolyteError
from phonolyte.structures import Crystal
from phonolyte.structures.cif import blocks_with_a_cell, crystal_from_cif
from phonolyte.structures.filling import likely_states
from phonolyte.structures.ordering import Arrangement, order
from phonolyte.structures.sites import sites_of

PEER = 24
LIMIT_S = 30.0


def main() -> None:
    warnings.simplefilter("ignore")
    crystals = [crystal for crystal in read_cifs() if not crystal.is_ordered]
    for crystal in crystals[:40]:  # compiles the kernels
        with suppress(PhonolyteError):
            order(crystal)
    done: dict[str, tuple[float, list[Arrangement]]] = {}
    failed = []
    for crystal in crystals:
        start = time.perf_counter()
        try:
            arrangements = order(crystal)
        except PhonolyteError as error:
            failed.append(f"{crystal.material_id}: {error.what}")
            continue
        done[crystal.material_id] = (time.perf_counter() - start, arrangements)
    seconds = np.array([each[0] for each in done.values()])
    first = [each[1][0] for each in done.values()]
    deviations, atoms = [each.deviation for each in first], [len(each.crystal) for each in first]
    peers = [order_with_pymatgen(crystal) for crystal in crystals[::PEER]]
    keep(
        "ordering",
        {
            "crystals": len(crystals),
            "ordered": len(done),
            "failed": failed,
            "seconds": {"median": round(float(np.median(seconds)), 3), "largest": round(float(seconds.max()), 2)},
            "arrangements": round(float(np.mean([len(each[1]) for each in done.values()])), 1),
            "neutral": round(float(np.mean([abs(each.charge) < 0.5 for each in first])), 3),
            "deviation": {"median": float(np.median(deviations)), "largest": max(deviations)},
            "shortest_a": round(min(each.shortest_a for each in first), 2),
            "atoms": {"median": int(np.median(atoms)), "largest": max(atoms)},
            "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
            "pymatgen": {"crystals": len(peers), "limit_s": LIMIT_S, "results": peers},
        },
        "pymatgen-core",
    )  # fmt: skip


def read_cifs() -> Iterator[Crystal]:
    with tarfile.open(SHARED / "data" / "obelix" / "train_cifs.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".cif") and (content := archive.extractfile(member)) is not None:
                (block,) = blocks_with_a_cell(content.read().decode())
                yield crystal_from_cif(block, material_id=Path(member.name).stem)


def order_with_pymatgen(crystal: Crystal) -> dict[str, Any]:
    """Order a crystal with pymatgen, and return the result or why it failed within the limit."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=transform, args=(crystal, sender))
    start = time.perf_counter()
    process.start()
    result: dict[str, Any] = receiver.recv() if receiver.poll(LIMIT_S) else {"failed": f"more than {LIMIT_S:.0f} s"}
    process.kill()
    process.join()
    return {"crystal": crystal.material_id, "seconds": round(time.perf_counter() - start, 2), **result}


def transform(crystal: Crystal, sender: Any) -> None:
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

    try:
        structure, states = crystal.to_pymatgen(), likely_states(sites_of(crystal))
        structure.add_oxidation_state_by_element(states)
        ordered = OrderDisorderedStructureTransformation().apply_transformation(structure)
        first = order(crystal)[0].crystal.to_pymatgen()
        first.add_oxidation_state_by_element(states)
        sender.send(
            {
                "energy_ev": round(EwaldSummation(ordered).total_energy / len(ordered), 3),
                "phonolyte_energy_ev": round(EwaldSummation(first).total_energy / len(first), 3),
            }
        )
    except Exception as error:  # whatever pymatgen raises
        sender.send({"failed": f"{type(error).__name__}: {str(error)[:80]}"})


if __name__ == "__main__":
    main()
