"""Write ``element_costs.csv``: price and crustal abundance of each element, from the tables of mendeleev (MIT).

pip install mendeleev
python scripts/element_costs.py src/phonolyte/data/element_costs.csv
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from mendeleev.fetch import fetch_table

HEADER = f"""\
# Elements as in mendeleev {version("mendeleev")} by L. M. Mentel (MIT license). price_usd_kg: USD/kg, from "Prices of
# chemical elements", English Wikipedia, revision 1262554464 (about December 2024); the lower end of a range, and the
# cheaper of isotopes. abundance_mg_kg: mg/kg in the Earth's crust, from W. M. Haynes (ed.), CRC Handbook of Chemistry
# and Physics, 95th ed., 2014. Empty: not listed.
symbol,price_usd_kg,abundance_mg_kg
"""

HEAVIEST = 103


def main(path: str) -> None:
    table = fetch_table("elements").set_index("atomic_number").loc[1:HEAVIEST]
    rows = table[["symbol", "price_per_kg", "abundance_crust"]].to_csv(index=False, header=False, float_format="%.10g")
    Path(path).write_text(HEADER + rows, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
