"""Write ``bond_valence.csv`` from the parameters that bvlain (MIT) took from softBV (10.1107/S2052520618015718).

pip install bvlain
python scripts/bond_valence_table.py src/phonolyte/data/bond_valence.csv
"""

from __future__ import annotations

import pickle
import sys
from importlib.resources import files
from pathlib import Path

from ase.data import chemical_symbols

HEADER = """\
# Parameters of bond-valence site energies: H. Chen, L. L. Wong and S. Adams, Acta Cryst. B 75, 18 (2019),
# 10.1107/S2052520618015718, as in bvlain by A. Dembitskiy (MIT license). Distances in angstrom, alpha in 1/angstrom,
# d0 in eV.
cation,cation_charge,anion,anion_charge,r_min,alpha,d0
"""


def main(path: str) -> None:
    table = pickle.loads((files("bvlain") / "data" / "cation.pkl").read_bytes())
    lines = [
        f"{chemical_symbols[cation]},{charge},{chemical_symbols[anion]},{anion_charge},"
        f"{values['r_min']:.8g},{values['alpha']:.8g},{values['d0']:.8g}\n"
        for cation, of_charge in sorted(table.items())
        for charge, of_anion in sorted(of_charge.items())
        for anion, of_anion_charge in sorted(of_anion.items())
        for anion_charge, values in sorted(of_anion_charge.items())
    ]
    Path(path).write_text(HEADER + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
