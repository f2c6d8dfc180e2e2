"""Sources: the phonons of NCrystal's library against those of density functional theory, and a fetch that is killed.

Usage: python benchmarks/sources.py ncrystal [CRYSTALS.jsonl.gz]
       python benchmarks/sources.py optimade

The first compares compounds that both have: the same reduced formula and space group, and by pymatgen's matcher the
same structure. The second fetches 5,000 crystals from the reference server of OPTIMADE on this machine, kills a second
fetch twice, and compares the bytes of the tables.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from record import SHARED, keep

from phonolyte.sources import NCrystal
from phonolyte.structures import read

TESTS = Path(__file__).parents[1] / "tests"
COMMAND = [sys.executable, "-c", "from phonolyte.cli import main; main()"]
N_SALTS = 5000


def main() -> None:
    {"ncrystal": compare_ncrystal, "optimade": compare_fetches}[sys.argv[1]]()


def compare_ncrystal() -> None:
    import spglib
    from pymatgen.analysis.structure_matcher import StructureMatcher

    path = sys.argv[2] if len(sys.argv) > 2 else SHARED / "data" / "learning_set_1272.jsonl.gz"
    calculated = defaultdict(list)
    for crystal in read(path).crystals:
        calculated[crystal.formula].append(crystal)
    page = next(NCrystal().pages(""))
    matcher, rows = StructureMatcher(), []
    for entry in page.entries:
        structure = entry.crystal.to_pymatgen()
        for other in calculated[entry.formula]:
            symmetry = spglib.get_symmetry_dataset((other.lattice, other.frac_coords, other.numbers), symprec=1e-2)
            if symmetry.number == entry.properties["space_group_number"] and matcher.fit(
                structure, other.to_pymatgen()
            ):
                center = float(other.properties["band_center_mev"])
                rows.append((entry.material_id, other.material_id, entry.dos.band_center_mev, center))
                break
    ncrystal_mev, dft_mev = (np.array([row[i] for row in rows]) for i in (2, 3))
    differences = ncrystal_mev - dft_mev
    worst = sorted(rows, key=lambda row: -abs(row[2] - row[3]))[:5]
    keep(
        "sources-ncrystal",
        {
            "n_library": page.n_materials,
            "n_with_curve_of_each_element": len(page.entries),
            "n_with_lithium": sum("Li" in entry.crystal.symbols for entry in page.entries),
            "n_same_formula": sum(bool(calculated[entry.formula]) for entry in page.entries),
            "n_compared": len(rows),
            "mae_mev": round(float(np.abs(differences).mean()), 3),
            "median_absolute_mev": round(float(np.median(np.abs(differences))), 3),
            "bias_mev": round(float(differences.mean()), 3),
            "rmse_mev": round(float(np.sqrt((differences**2).mean())), 3),
            "r2": round(float(1 - (differences**2).sum() / ((dft_mev - dft_mev.mean()) ** 2).sum()), 4),
            "worst": [
                {"ncrystal": a, "reference": b, "ncrystal_mev": round(x, 2), "reference_mev": round(y, 2)}
                for a, b, x, y in worst
            ],
        },
        "ncrystal",
        "pymatgen-core",
    )


def compare_fetches() -> None:
    sys.path.insert(0, str(TESTS))
    import optimade_server

    entries = [optimade_server.salt(number) for number in range(N_SALTS)] + optimade_server.of_the_package()
    with TemporaryDirectory() as scratch, optimade_server.serving(Path(scratch), entries) as url:
        folder = Path(scratch)
        run = [
            sys.executable,
            "-c",
            "from phonolyte.cli import main; main()",
            "fetch",
            "optimade",
            "--base-url",
            url,
            "--page-size",
            "500",
            "-o",
        ]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1790000000"}
        start = time.monotonic()
        subprocess.run([*run, folder / "whole"], env=environment, capture_output=True, check=False)
        seconds = time.monotonic() - start
        for n in (2, 6):
            with subprocess.Popen([*run, folder / "killed"], env=environment, stderr=subprocess.DEVNULL) as process:
                while len([*(folder / "killed" / ".fetch").glob("0*.json.gz")]) < n:
                    time.sleep(0.01)
                os.kill(process.pid, signal.SIGKILL)
        subprocess.run([*run, folder / "killed"], env=environment, capture_output=True, check=False)
        tables = sorted(path.name for path in (folder / "whole").iterdir())
        same = {
            name: (folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes() for name in tables
        }
        crystals = len(read(folder / "whole" / "crystals.parquet").crystals)
    keep(
        "sources-optimade",
        {
            "n_entries": len(entries),
            "n_crystals": crystals,
            "seconds_whole": round(seconds, 1),
            "kills": 2,
            "same": same,
        },
        "optimade",
    )


if __name__ == "__main__":
    main()
