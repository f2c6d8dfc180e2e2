"""Fit the model that comes with the package on the 1272 compounds of the founding study.

Usage: python scripts/embedded_model.py LEARNING_SET.jsonl.gz

Only the fitted model goes into the package; the compounds stay where they are.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from phonolyte.models.training import read_learning_set, train

TARGET = Path(__file__).parents[1] / "src" / "phonolyte" / "data" / "model"
DESCRIPTION = (
    "The model that comes with Phonolyte. The band centers are those of the phonon densities of states of "
    "Petretto et al., Sci. Data 5, 180065 (2018), https://doi.org/10.1038/sdata.2018.65, and the crystals those of "
    "the Materials Project, https://materialsproject.org (both CC BY 4.0), for the 1272 compounds of Jaafreh et al., "
    "Int. J. Energy Res. (2024). The compounds themselves are not part of the model."
)


def main() -> None:
    data, _ = read_learning_set(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(mp_context=get_context("spawn")) as executor:
        train(data, scratch, description=DESCRIPTION, executor=executor)
        TARGET.mkdir(parents=True, exist_ok=True)
        for name in ("model.json", "model.npz", "card.md", "metrics.json", "importances.csv"):
            shutil.copy(Path(scratch) / name, TARGET / name)


if __name__ == "__main__":
    main()
