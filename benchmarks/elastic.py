"""Elastic moduli of solid electrolytes by an engine, compared with density functional theory.

Usage:
    phonolyte elastic COMPOUNDS --engine NAME -o RUN/
    python benchmarks/elastic.py RUN/ [RUN/ ...]

COMPOUNDS are reference compounds of the package, the disordered ones as ordered models; without a run
`python benchmarks/elastic.py --write FOLDER/` writes them as a table of crystals. The first can be killed and run
again; the second puts moduli, literature, errors and seconds into one table.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
from record import keep

from phonolyte.references import ordered_models
from phonolyte.runs.records import write_crystals

DOI = "10.1149/2.0061602jes"
PBESOL_GPA = {
    "ref-Li2O": (83.9, 72.5, 169.0), "ref-Li2S": (43.2, 34.4, 81.6), "ref-Na2S": (30.3, 18.5, 46.2),
    "ref-LiTi2P3O12": (95.0, 57.6, 143.7), "ref-NaZr2P3O12": (86.3, 47.7, 120.9),
    "ref-Li3PO4-Pnma": (72.5, 40.9, 103.4), "ref-Li7La3Zr2O12": (127.4, 68.9, 175.1),
    "ref-Li3OCl": (55.7, 41.5, 99.7), "ref-Li3OBr": (52.3, 38.5, 92.8),
    "ref-Na3OCl": (36.4, 24.6, 60.2), "ref-Na3OBr": (34.0, 23.6, 57.4),
    "ref-Li3PS4-Pmn2_1": (32.9, 12.6, 33.4), "ref-Na3PS4-cubic": (21.5, 13.1, 32.6),
    "ref-Li3PS4-Pnma": (23.3, 11.4, 29.5), "ref-Li6PS5Cl": (28.7, 8.1, 22.1), "ref-Li6PS5Br": (29.0, 9.3, 25.3),
    "ref-Li6PS5I": (29.9, 11.3, 30.0), "ref-Li10GeP2S12": (27.3, 7.9, 21.7),
}  # fmt: skip
"""Bulk, shear and Young's modulus by PBEsol (Deng et al. 2016, tables I and III), GPa. Ordered there as here: lithium
on 24g in the argyrodites, on 4b in Li3PS4, Li10GeP2S12 in P4_2mc, sodium on 6b in Na3PS4."""

MEASURED_GPA = {"ref-Li2O": (81.7, 69.8, 162.9), "ref-Li7La3Zr2O12": (102.8, 59.6, 149.8)}
"""The same as measured, collected by Deng et al.: a crystal of Li2O at 293 K, and a ceramic of cubic
Li6.24La3Zr2Al0.24O11.98 with 3 % of pores (10.1007/s10853-012-6687-5)."""

KEYS = ("bulk_modulus_gpa", "shear_modulus_gpa", "young_modulus_gpa")
COLUMNS = (
    "material_id", "formula", *KEYS, "poisson_ratio", "pugh_ratio", "universal_anisotropy", "shear_ratio_to_metal",
    "monroe_newman", "mechanically_stable", "lowest_stiffness_gpa", "fit_residual", "n_atoms", "n_strains", "seconds",
    "why",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    if options.write:
        write_compounds(options.write)
        return
    table = pd.concat([pd.read_parquet(run / "elastic.parquet") for run in options.runs], ignore_index=True)
    rows = [make_row({str(key): value for key, value in row.items()}) for row in table.to_dict("records")]
    failures = pd.concat([pd.read_parquet(run / "failures.parquet") for run in options.runs], ignore_index=True)
    known = [row for row in rows if "pbesol_gpa" in row and row["mechanically_stable"]]
    keep(
        "elastic",
        {
            "engine": tomllib.loads((options.runs[0] / "run.toml").read_text())["engine"],
            "literature": DOI,
            "materials": rows,
            "failed": failures[["material_id", "error", "message"]].to_dict("records"),
            **compute_errors(known),
        },
        "ase",
        "pymatgen",
    )


def write_compounds(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [crystal for crystal in ordered_models() if crystal.material_id in PBESOL_GPA]
    write_crystals(chosen, folder / "compounds.parquet")


def make_row(row: dict[str, object]) -> dict[str, object]:
    name = str(row["material_id"])
    values = {key: round(value, 4) if isinstance(value := row[key], float) else value for key in COLUMNS}
    sources = {"pbesol_gpa": PBESOL_GPA.get(name), "measured_gpa": MEASURED_GPA.get(name)}
    clean = {key: None if value != value else value for key, value in values.items()}
    return {**clean, **{key: value for key, value in sources.items() if value}}


def compute_errors(rows: list[dict[str, object]]) -> dict[str, object]:
    """Compute the mean relative error, and its mean magnitude, of each modulus."""
    moduli = np.array([[float(str(row[key])) for key in KEYS] for row in rows])
    relative_errors = moduli / np.array([row["pbesol_gpa"] for row in rows], dtype=float) - 1
    return {
        "n": len(rows),
        "mean_relative_error": dict(zip(KEYS, relative_errors.mean(axis=0).round(3).tolist(), strict=True)),
        "mean_absolute_relative_error": dict(
            zip(KEYS, np.abs(relative_errors).mean(axis=0).round(3).tolist(), strict=True)
        ),
    }


if __name__ == "__main__":
    main()
