"""Make the table of computed centers that comes with the package, from a run folder of phonons.

Usage:
    python scripts/centers.py crystals LI_STRUCTURES.parquet LI_TABLE.csv.gz CRYSTALS.parquet
    phonolyte phonons CRYSTALS.parquet --engine nequix --ion Li --calibration none -o RUN/
    python scripts/centers.py table CRYSTALS.parquet RUN/ CALIBRATION.json

The first writes the stable insulators of the Materials Project (CC BY 4.0) that are not in the table yet, the cheap
ones first. RUN may be unfinished: the third adds what has been computed to the table. The calibration is learned by
scripts/calibration.py; centers of lithium are multiplied by its common factor, and the interval is the ratio of nine
tenths of its compounds.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.centers import CARD, FILE, computed_centers, folder
from phonolyte.chemistry.formulas import shares_of
from phonolyte.conduction import BARRIERS, STATUS, describe_conduction
from phonolyte.percolation import COARSE
from phonolyte.phonons.calibration import Calibration
from phonolyte.phonons.cost import phonon_cost_s
from phonolyte.runs.records import read_json, write_crystals
from phonolyte.structures import Crystal, read

ION = "Li"
E_HULL_EV, GAP_EV = 0.001, 1.0
"""Highest energy above the hull of a stable crystal, eV/atom, and lowest band gap of an insulator, eV."""

HEAD = """\
# Computed band centers of {n} stable insulating lithium compounds

- **What**: total phonon band center, center of lithium, lowest mode and dynamic stability; barriers and radii of
  bond-valence percolation of lithium.
- **Crystals**: energy above the hull at most 0.001 eV/atom and band gap at least 1 eV in the Materials Project (Jain et
  al., 10.1063/1.4812323, CC BY 4.0), the cheap ones first. The cells in the table are those of the Materials Project;
  phonons are those of cells that the potential has relaxed.
- **How**: {engine} ({weights}), finite displacements of 0.01 angstrom, supercells of at least 8 angstrom, no
  non-analytical correction. Centers are calibrated by {n_calibrated} compounds of Petretto et al. (density
  functional perturbation theory, PBEsol, 10.1038/sdata.2018.65) that were not in its training: a common factor of
  {factor:.3f} and one of each element; those of lithium by the common factor alone.
- **How good**: for those, {mae:.2f} meV off on average (ten-fold cross-validation); intervals hold nine tenths.
- **Unstable**: {unstable} have a mode below -1 meV. They keep their row and their mark; a screen does not use them.
- **Percolation**: barriers (eV) and radii (angstrom) on the cell of the Materials Project.
- **License**: CC BY 4.0. Please cite Phonolyte, the Materials Project and the potential ({cite}).
"""


def main() -> None:
    step, *arguments = sys.argv[1:]
    {"crystals": take_crystals, "table": make_table}[step](*arguments)


def take_crystals(structures: str, li_table: str, path: str) -> None:
    """Write the stable insulators that the table lacks, ordered by the estimated cost of their phonons."""
    properties = pd.read_csv(li_table)
    chosen = properties[(properties["e_hull_ev"] <= E_HULL_EV) & (properties["band_gap_ev"] >= GAP_EV)]
    names = set(chosen["material_id"]) - set(computed_centers().table["material_id"])
    crystals = [crystal for crystal in read([structures]).crystals if crystal.material_id in names]
    order = np.lexsort([[crystal.material_id for crystal in crystals], phonon_cost_s(crystals)])
    write_crystals([crystals[index] for index in order], Path(path))
    print(len(crystals))


def make_table(path: str, folder_of_run: str, calibration_file: str) -> None:
    """Add what a run has computed to the table, and write the card."""
    cells, run, calibration = pd.read_parquet(path), Path(folder_of_run), Calibration.load(calibration_file)
    engine = tomllib.loads((run / "run.toml").read_text(encoding="utf-8"))["engine"]
    of_name = {str(row["material_id"]): Crystal.from_row(row) for row in cells.to_dict("records")}
    low, high = calibration.provenance["interval"]
    rows = [make_row(record, of_name, calibration, low, high) for record in read_records(run)]
    crystals = [of_name[row["material_id"]] for row in rows]
    conduction = describe_conduction(crystals, [ION] * len(rows), COARSE)[[STATUS, *BARRIERS]]
    table = pd.concat([pd.DataFrame([crystal.row() for crystal in crystals]).drop(columns=["formula"]),
                       pd.DataFrame(rows).drop(columns="material_id"), conduction], axis=1)  # fmt: skip
    earlier = computed_centers().table
    table = pd.concat([earlier[~earlier["material_id"].isin(table["material_id"])], table], ignore_index=True)
    table.to_parquet(folder() / FILE, index=False, compression="zstd")
    text = HEAD.format(
        n=len(table), engine=engine["name"], weights=engine.get("checkpoint", ""), factor=calibration.factor,
        n_calibrated=calibration.provenance["n"], mae=calibration.provenance["calibrated"]["mae_mev"],
        unstable=int((~table["stable"]).sum()), cite="10.48550/arXiv.2508.16067",
    )  # fmt: skip
    (folder() / CARD).write_text(text, encoding="utf-8")
    print(text)


def read_records(run: Path) -> list[dict[str, Any]]:
    """Read the records of a run, without failures."""
    records = (read_json(file) for file in sorted((run / "items").glob("*.json")))
    return [record for record in records if record and "row" in record and record["row"]]


def make_row(
    record: Any, crystals: dict[str, Crystal], calibration: Calibration, low: float, high: float
) -> dict[str, Any]:
    """Make a row of the table; low and high are the ends of the interval as shares of the calibrated center."""
    row = record["row"]
    center = calibration.apply(row["band_center_mev"], shares_of(row["formula"]))
    ion = calibration.factor * record["details"]["element_centers_mev"][ION]
    return {
        "material_id": row["material_id"], "formula": crystals[row["material_id"]].formula,
        "raw_mev": row["band_center_mev"],
        "band_center_mev": center, "lower_mev": low * center, "upper_mev": high * center,
        "ion_center_mev": ion, "ion_lower_mev": low * ion, "ion_upper_mev": high * ion,
        "lowest_mode_mev": row["lowest_mode_mev"], "imaginary_share": row["imaginary_share"],
        "stable": bool(row["stable"]), "engine": row["engine"],
    }  # fmt: skip


if __name__ == "__main__":
    main()
