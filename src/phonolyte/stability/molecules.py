"""Water and what it makes of crystals, by measured enthalpies: no potential for solids is trusted with molecules.

Standard enthalpies of formation at 298.15 K of the CRC Handbook of Chemistry and Physics, 95th edition (W. M. Haynes,
ed., 2014), as the package ``chemicals`` has them (MIT license).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from phonolyte.chemistry.formulas import composition_of
from phonolyte.stability.phases import Phase
from phonolyte.units import KJ_MOL_PER_EV


@dataclass(frozen=True, slots=True)
class Molecule:
    """A compound with a measured enthalpy of formation.

    Attributes
    ----------
    formula, state
        Formula; liquid, gas or solid.
    enthalpy_kj_mol
        Standard enthalpy of formation from the elements at 298.15 K, kJ/mol.
    """

    formula: str
    state: str
    enthalpy_kj_mol: float

    @property
    def phase(self) -> Phase:
        """The compound as a competing phase; entropies are left out, as for solids."""
        n_atoms = sum(composition_of(self.formula).values())
        return Phase(
            f"{self.formula} ({self.state}, measured)", self.formula, self.enthalpy_kj_mol / KJ_MOL_PER_EV / n_atoms
        )


@cache
def molecules() -> tuple[Molecule, ...]:
    """Return the compounds whose enthalpies come with the package."""
    text = files("phonolyte").joinpath("data/molecules.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(Molecule(row["formula"], row["state"], float(row["enthalpy_kj_mol"])) for row in rows)
