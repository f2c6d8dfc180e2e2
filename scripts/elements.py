"""Write src/phonolyte/data/elements.csv: the elemental properties behind the Magpie features.

The values are those of Magpie (Ward et al., npj Comput. Mater. 2, 16028, 2016), read from the tables that
matminer distributes; the oxidation states are Magpie's own, one list per element. Run it with matminer
installed; the file it writes is part of the package.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matminer.utils.data import MagpieData
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
        rows.append(row)
    pd.DataFrame(rows).to_csv(TARGET, index=False, float_format="%.10g")


if __name__ == "__main__":
    main()
