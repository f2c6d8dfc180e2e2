"""Write src/phonolyte/data/elements.csv: the elemental properties behind the Magpie features, and ions of elements.

The values are those of Magpie (Ward et al., npj Comput. Mater. 2, 16028, 2016), read from the tables that
matminer distributes; the oxidation states are Magpie's own, one list per element. From pymatgen's tables, which take
a second to read, come size (angstrom) and electronegativity of bond valences (O'Keeffe and Brese, 10.1021/ja00009a002),
and how many sites of the ICSD have each charge. Run it with matminer installed; the file it writes is part of the
package.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matminer.utils.data import MagpieData
from pymatgen.analysis.bond_valence import BV_PARAMS
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element

from phonolyte.chemistry.elements import PROPERTIES

TARGET = Path(__file__).parents[1] / "src" / "phonolyte" / "data" / "elements.csv"
SPELLED_BY_MAGPIE = {"NValance": "NValence"}
HEAVIEST = 103


def main() -> None:
    source = MagpieData(impute_nan=False)
    rows = []
    for z in range(1, HEAVIEST + 1):
        element = Element.from_Z(z)
        row: dict[str, object] = {"symbol": element.symbol}
        for name in PROPERTIES:
            row[name] = source.get_elemental_property(element, SPELLED_BY_MAGPIE.get(name, name))
        row["oxidation_states"] = " ".join(f"{state:g}" for state in source.get_oxidation_states(element))
        bond_valence = BV_PARAMS.get(element, {})
        row["bond_valence_size"], row["bond_valence_electronegativity"] = map(bond_valence.get, ("r", "c"))
        row["sites_of_charges"] = " ".join(f"{charge:+d}:{n}" for charge, n in count_sites(element.symbol).items())
        rows.append(row)
    pd.DataFrame(rows).to_csv(TARGET, index=False, float_format="%.10g")


def count_sites(symbol: str) -> dict[int, int]:
    """Sites of an element in the ICSD by their charge, as pymatgen counts them; neutral ones are left out."""
    Composition({"Li": 1, "F": 1}).oxi_state_guesses()  # which reads the table
    counts = {species: int(n) for species, n in (Composition.oxi_prob or {}).items() if species.symbol == symbol}
    return {int(species.oxi_state): n for species, n in counts.items() if species.oxi_state}


if __name__ == "__main__":
    main()
