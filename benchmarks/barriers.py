"""NEB barriers of lithium in known conductors, beside those that the founding study prints.

Usage:
    phonolyte migrate CRYSTALS --method neb --engine NAME -o RUN/
    phonolyte phonons CRYSTALS --engine NAME -o PHONONS/
    python benchmarks/barriers.py PHONONS/ RUN/ [RUN/ ...] [--name NAME]

The first two can be killed and run again; the third puts the barriers, the band centers and the study's barriers into
one table, and draws the profile of the highest hop on the path of each crystal, and barriers against centers. With a
name (of another engine) the result has it, and nothing is drawn.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from record import keep
from scipy.stats import spearmanr

from phonolyte.barriers.paths import lengths_a, read_path
from phonolyte.figures import center_against_barrier, neb_profile, save
from phonolyte.runs.records import folder_of

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
STUDY_EV = {"Li2CO3": 0.998, "Li3PO4": 0.723, "Li3PS4": 0.296, "LiBiO2": 0.271}
"""As printed, 2x2x2 supercells, 10 images, Quantum ESPRESSO; the polymorph of Li3PO4 is not stated."""

COLUMNS = (
    "material_id", "barrier_ev", "barrier_2d_ev", "barrier_3d_ev", "dimensions", "path", "highest_hop", "lowest_hop_ev",
    "converged", "n_hops", "supercell_atoms", "seconds", "band_center_mev", "study_ev",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phonons", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--name", default="")
    options = parser.parse_args()
    table = pd.concat([pd.read_parquet(run / "barriers.parquet") for run in options.runs], ignore_index=True)
    hops = pd.concat([pd.read_parquet(run / "hops.parquet") for run in options.runs], ignore_index=True)
    phonons = pd.read_parquet(options.phonons / "phonons.parquet").set_index("material_id")
    centers = phonons["calibrated_mev"].fillna(phonons["band_center_mev"])
    table["band_center_mev"] = table["material_id"].map(centers)
    table["study_ev"] = table["formula"].map(STUDY_EV)
    table = table.sort_values("barrier_ev", ignore_index=True)
    with_center = table[table["band_center_mev"].notna() & table["barrier_ev"].notna()]
    if not options.name:
        draw_profiles(table, hops, options.runs)
        save(center_against_barrier(with_center, names="formula"), FIGURES / "barriers-centers", ("png",))
    with_study = table[table["study_ev"].notna() & table["barrier_ev"].notna()]
    keep(
        f"barriers-{options.name}" if options.name else "barriers",
        {
            "engine": tomllib.loads((options.runs[0] / "run.toml").read_text())["engine"],
            "materials": json.loads(table[[*COLUMNS]].round(4).to_json(orient="records")),
            "hops": hops[["material_id", "hop", "barrier_ev", "reverse_ev", "converged", "steps", "seconds", "error"]]
            .round(4)
            .to_dict("records"),
            "rank_correlation_with_study": round(
                float(spearmanr(with_study["barrier_ev"], with_study["study_ev"]).statistic), 3
            ),
            "rank_correlation_with_center": round(
                float(spearmanr(with_center["barrier_ev"], with_center["band_center_mev"]).statistic), 3
            ),
        },
    )


def draw_profiles(table: pd.DataFrame, hops: pd.DataFrame, runs: Sequence[Path]) -> None:
    """Draw the highest hop on the path of each crystal."""
    for row in table.to_dict("records"):
        run = next(run for run in runs if folder_of(run, row["material_id"]).is_dir())
        file = folder_of(run, row["material_id"]) / f"{row['highest_hop']}.xyz"
        hop = hops[(hops["material_id"] == row["material_id"]) & (hops["hop"] == row["highest_hop"])].iloc[0]
        name = str(row["material_id"]).removeprefix("ref-")
        images = read_path(file)
        energies = np.array([image.get_potential_energy() for image in images])
        profile = neb_profile(lengths_a(images), energies, title=f"{name}, {hop['hop']} Å", note=str(hop["why"]))
        save(profile, FIGURES / f"neb-{name}", ("png",))


if __name__ == "__main__":
    main()
