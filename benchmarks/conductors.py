"""Where known conductors rank in a screen of the Materials Project when nothing like them was learned from.

Usage: python benchmarks/conductors.py RUN CRYSTALS.parquet

RUN is a folder of phonolyte screen CRYSTALS.parquet --ion Li. The model of the conductivity is fitted
again without the set of elements of each conductor, and without its family; its rank is that of its probability among
the candidates of the screen.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from conductivity import select_rows
from record import keep

from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.systems import system_of
from phonolyte.features.conduction import ionic_descriptors, root_fractions
from phonolyte.measured import learning_columns, load_measured
from phonolyte.models.conductivity import ConductivityModel
from phonolyte.percolation import COARSE, compute_percolation
from phonolyte.structures import Crystal, read

CONDUCTORS = {
    "Li10GeP2S12": ("mp-696128", "LGPS"), "Li10SnP2S12": ("mp-696123", "LGPS"),
    "Li7P3S11": ("mp-641703", "thio-LISICON"), "beta-Li3PS4": ("mp-985583", "thio-LISICON"),
    "Li7La3Zr2O12": ("mp-942733", "garnet"), "LiTi2(PO4)3": ("mp-18640", "NASICON"),
    "Li6PS5Cl": ("mp-985592", "argyrodites"), "Li3InCl6": ("mp-676109", "halides"),
    "Li3ErCl6": ("mp-676361", "halides"), "Li3YBr6": ("mp-1147619", "halides"),
    "Li3OCl": ("mp-985585", "antiperovskite"), "Li3N": ("mp-2251", "nitrides"),
}  # fmt: skip
"""Material IDs of the Materials Project, and families."""


def main() -> None:
    run, crystals = Path(sys.argv[1]), Path(sys.argv[2])
    ranked = pd.read_parquet(run / "ranked.parquet").set_index("material_id")
    of_name = {each.material_id: each for each in read(crystals).crystals}
    table = load_measured().table
    columns = learning_columns(table)
    elements = np.array([system_of(composition_of(str(formula))) for formula in table["formula"]])
    families = table["family"].to_numpy(str)
    record: dict[str, Any] = {"candidates": int(ranked["passes"].sum())}
    for name, (material_id, family) in CONDUCTORS.items():
        crystal, row = of_name[material_id], ranked.loc[material_id]
        barrier_ev = compute_percolation(crystal, "Li", COARSE).barriers_ev[2]
        system = system_of(crystal.symbols)
        other = elements != system
        learned = {
            "everything": elements != "", "no such elements": other, "no such family": (families != family) & other,
        }  # fmt: skip
        record[name] = {
            "material_id": material_id, "rejected_by": row["rejected_by"] or None,
            "barrier_3d_ev": round(barrier_ev, 3),
            **{kind: rank_conductor(crystal, barrier_ev, select_rows(columns, np.flatnonzero(rows)), ranked)
               for kind, rows in learned.items()},
        }  # fmt: skip
        print(name, record[name], flush=True)
    keep("conductors", record)


def rank_conductor(
    crystal: Crystal, barrier_ev: float, learned: dict[str, Any], ranked: pd.DataFrame
) -> dict[str, float]:
    """Return the probability of a crystal by a model of what is left, and its rank among the candidates."""
    descriptors = ionic_descriptors(crystal.amounts, crystal.volume_a3, "Li")
    numbers = {
        "barrier_3d_ev": np.array([barrier_ev]),
        "anion_radius_a": descriptors[:1],
        "open_share": np.array([np.nan]),
    }
    prediction = ConductivityModel.fit("Li", **learned).predict(
        numbers, descriptors[None], root_fractions(crystal.amounts)[None]
    )
    p = float(prediction.p_conductor[0])
    others = ranked[ranked["passes"] & (ranked.index != crystal.material_id)]["p_conductor"]
    return {
        "p": round(p, 3),
        "log_sigma": round(float(prediction.log_sigma[0]), 2),
        "place": 1 + int((others > p).sum()),
    }


if __name__ == "__main__":
    main()
