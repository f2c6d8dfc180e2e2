"""Learn the calibration of an engine that comes with the package, from the 1272 compounds of the founding study.

Usage: python scripts/calibration.py RUN LEARNING_SET.jsonl.gz NAME [factor | elements]

RUN is a run folder of ``phonolyte phonons`` with some of the compounds; benchmarks/phonons.py picks them. Only the
factors go into the package.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from phonolyte.phonons.calibration import learn_from_run, shipped_folder

SOURCE = (
    "Band centers of the phonon densities of states of Petretto et al., Sci. Data 5, 180065 (2018), "
    "https://doi.org/10.1038/sdata.2018.65 (CC BY 4.0): density functional perturbation theory, PBEsol."
)


def main() -> None:
    run, data, name, kind = (*sys.argv[1:4], sys.argv[4] if len(sys.argv) > 4 else "elements")
    calibration = learn_from_run(run, data, kind)
    shipped_folder().mkdir(exist_ok=True)
    replace(calibration, provenance={**calibration.provenance, "source": SOURCE}).save(
        shipped_folder() / f"{name}.json"
    )
    print(calibration.factor, calibration.provenance["raw"], calibration.provenance["calibrated"], sep="\n")


if __name__ == "__main__":
    main()
