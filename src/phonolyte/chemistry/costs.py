"""Price and scarcity of compounds, from those of their elements.

The elements' own are in ``data/element_costs.csv``, with their sources. A price is that of the elements as they are
traded, not of the chemicals that a synthesis starts from.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, SYMBOLS, property_table

PRICE, ABUNDANCE = "price_usd_kg", "abundance_mg_kg"


@cache
def element_costs(name: str) -> Floats:
    """One property of all elements, (Z + 1,): row = atomic number, NaN where it is not listed.

    Parameters
    ----------
    name
        ``price_usd_kg``, or ``abundance_mg_kg``: the abundance in the Earth's crust.
    """
    text = (files("phonolyte") / "data" / "element_costs.csv").read_text(encoding="utf-8")
    values = np.full(len(SYMBOLS), np.nan)
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        values[ATOMIC_NUMBERS[row["symbol"]]] = float(row[name] or "nan")
    return values


def price_usd_kg(amounts: Floats) -> Floats:
    """Price (n,) of the elements in a kilogram of each compound, USD/kg: the sum of w_i p_i, w_i the mass fractions.

    Parameters
    ----------
    amounts
        (n, Z + 1) atoms of each element by atomic number, in any unit of the compound.

    Returns
    -------
    Floats
        NaN where an element of the compound has no price.
    """
    masses = amounts * np.nan_to_num(property_table()[: len(SYMBOLS), PROPERTIES.index("AtomicWeight")])
    prices = np.where(amounts > 0, masses * element_costs(PRICE), 0.0)
    return np.asarray(prices.sum(axis=1) / masses.sum(axis=1), dtype=float)


def scarcest_elements(amounts: Floats) -> tuple[list[str], Floats]:
    """Rarest element (n) of each compound in the Earth's crust, and its abundance (n,), mg/kg.

    An element whose abundance is not listed (technetium, promethium, those past uranium) is rarer than all others, and
    its abundance NaN.

    Parameters
    ----------
    amounts
        (n, Z + 1) atoms of each element by atomic number, in any unit of the compound.
    """
    abundance = element_costs(ABUNDANCE)
    present = np.where(amounts > 0, np.nan_to_num(abundance, nan=-1.0), np.inf)
    rarest = present.argmin(axis=1)
    return [SYMBOLS[z] for z in rarest.tolist()], abundance[rarest]
