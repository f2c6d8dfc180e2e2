"""Ordering of the disordered CIFs of OBELiX's training set, beside pymatgen's transformation on some of them.

Usage: python benchmarks/ordering.py

Five arrangements a crystal on one core. pymatgen orders one crystal in 24, with the same oxidation states, in its
own cell and for at most half a minute; where it succeeds the energies of both (its Ewald sum, eV an atom) are compared.
"""

from __future__ import annotations

import multiprocessing
import tarfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import SHARED, keep

from phonolyte.chemistry.charges import balance_nearly
from phonolyte.errors import PhonolyteError
from phonolyte.structures.asymmetric_unit import Contents
from phonolyte.structures.cif import blocks_with_a_cell, contents_from_cif
from phonolyte.structures.ordering import Arrangement, merge_sites, order

PEER = 24
LIMIT_S = 30.0


def main() -> None:
    warnings.simplefilter("ignore")
    crystals = [(name, contents) for name, contents in cifs() if (contents.occupancies < 1.0).any()]
    order_one(crystals[0][1])  # compiles
    done: dict[str, tuple[float, list[Arrangement]]] = {}
    failed = []
    for name, contents in crystals:
        start = time.perf_counter()
        try:
            arrangements = order_one(contents)
        except PhonolyteError as error:
            failed.append(f"{name}: {error.what}")
            continue
        done[name] = (time.perf_counter() - start, arrangements)
    seconds = np.array([each[0] for each in done.values()])
    first = [each[1][0] for each in done.values()]
    deviations, atoms = [each.deviation for each in first], [len(each.crystal) for each in first]
    peers = [by_pymatgen(name, contents) for name, contents in crystals[::PEER]]
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
            "pymatgen": {"crystals": len(peers), "limit_s": LIMIT_S, "results": peers},
        },
        "pymatgen-core",
    )  # fmt: skip


def cifs() -> Iterator[tuple[str, Contents]]:
    with tarfile.open(SHARED / "data" / "obelix" / "train_cifs.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".cif") and (content := archive.extractfile(member)) is not None:
                (block,) = blocks_with_a_cell(content.read().decode())
                yield Path(member.name).stem, contents_from_cif(block)


def order_one(contents: Contents) -> list[Arrangement]:
    return order(merge_sites(contents.lattice, contents.elements, contents.positions, contents.occupancies))


def by_pymatgen(name: str, contents: Contents) -> dict[str, Any]:
    """What pymatgen makes of a crystal within the limit."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=transform, args=(contents, sender))
    start = time.perf_counter()
    process.start()
    result: dict[str, Any] = receiver.recv() if receiver.poll(LIMIT_S) else {"failed": f"more than {LIMIT_S:.0f} s"}
    process.kill()
    process.join()
    return {"crystal": name, "seconds": round(time.perf_counter() - start, 2), **result}


def transform(contents: Contents, sender: Any) -> None:
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core import Lattice, Structure
    from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

    try:
        balance = balance_nearly(contents.counts(), 0.06)
        sites = merge_sites(contents.lattice, contents.elements, contents.positions, contents.occupancies)
        structure = Structure(Lattice(sites.lattice), list(map(dict, sites.shares)), sites.positions)
        structure.add_oxidation_state_by_element(dict(balance.states) if balance else {})
        found = OrderDisorderedStructureTransformation().apply_transformation(structure)
        theirs = EwaldSummation(found).total_energy / len(found)
        first = order_one(contents)[0].crystal.to_pymatgen()
        first.add_oxidation_state_by_element(dict(balance.states) if balance else {})
        sender.send(
            {
                "energy_ev": round(theirs, 3),
                "phonolyte_energy_ev": round(EwaldSummation(first).total_energy / len(first), 3),
            }
        )
    except Exception as error:  # whatever pymatgen raises
        sender.send({"failed": f"{type(error).__name__}: {str(error)[:80]}"})


if __name__ == "__main__":
    main()
