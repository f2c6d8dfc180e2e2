"""Features against matminer, both on one core in one run, on the reference structures.

Usage: python benchmarks/features.py [STRUCTURES.json]

Phonolyte computes matminer's 273 values in matminer's convention, so that both do the same work; the largest
relative difference of the values (floor 1e-2) is part of the result.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from matminer.featurizers.base import MultipleFeaturizer
from matminer.featurizers.composition import ElementProperty, IonProperty, Stoichiometry, ValenceOrbital
from matminer.featurizers.structure import (
    ChemicalOrdering,
    MaximumPackingEfficiency,
    SiteStatsFingerprint,
    StructuralHeterogeneity,
    StructureComposition,
)
from pymatgen.core.structure import Structure
from record import SHARED, keep

from phonolyte.features import Magpie, featurize
from phonolyte.structures import as_crystal

REPEATS = 7


def make_matminer_featurizer() -> MultipleFeaturizer:
    composition = [Stoichiometry(), ElementProperty.from_preset("magpie"), ValenceOrbital(props=["frac"]),
                   IonProperty(fast=True)]  # fmt: skip
    return MultipleFeaturizer(
        [
            SiteStatsFingerprint.from_preset("CoordinationNumber_ward-prb-2017"),
            StructuralHeterogeneity(),
            ChemicalOrdering(),
            MaximumPackingEfficiency(),
            SiteStatsFingerprint.from_preset("LocalPropertyDifference_ward-prb-2017"),
            *(StructureComposition(featurizer) for featurizer in composition),
        ]
    )


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "reference" / "structures.json"
    structures = [Structure.from_dict(record) for record in json.loads(path.read_text()).values()]
    crystals = [as_crystal(structure, material_id=str(i)) for i, structure in enumerate(structures)]
    featurize(crystals, sets=(Magpie("matminer"),))  # compiled functions are loaded once in a process
    ours = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        table, failures = featurize(crystals, sets=(Magpie("matminer"),))
        ours.append(time.perf_counter() - start)
    assert not failures

    theirs = make_matminer_featurizer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        rows = [theirs.featurize(structure) for structure in structures]
        seconds = time.perf_counter() - start

    # the two name columns differently: sorted values of a structure are compared
    difference = np.abs(np.sort(np.array(rows, float), axis=1) - np.sort(table.to_numpy(), axis=1))
    scale = np.maximum(np.abs(np.sort(np.array(rows, float), axis=1)), 1e-2)
    keep(
        "features",
        {
            "structures": len(structures),
            "values": int(table.shape[1]),
            "phonolyte_structures_per_second": round(len(structures) / min(ours), 1),
            "phonolyte_slowest_of_seven": round(len(structures) / max(ours), 1),
            "matminer_structures_per_second": round(len(structures) / seconds, 3),
            "ratio": round(seconds / min(ours)),
            "largest_relative_difference": float((difference / scale).max()),
        },
        "matminer",
    )


if __name__ == "__main__":
    main()
