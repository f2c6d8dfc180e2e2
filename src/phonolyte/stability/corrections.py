"""Corrections of formation energies for what a density functional gets wrong about anions.

Compounds are corrected by an energy for each atom that acts as an anion (oxide, peroxide, sulfide, chloride, ...) and
for each transition metal of an oxide or fluoride, as in the Materials Project's scheme of 2020 (Wang et al., Sci. Rep.
11, 15496, 2021, 10.1038/s41598-021-94550-5), in pymatgen's implementation. It fits engines that have learned from
calculations with the settings of the Materials Project, as those of OMat24 have.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

_KIND = re.compile(r"\((\w+)\)$")


def corrected_shares(crystal: Crystal) -> dict[str, float]:
    """Return the share of atoms that a correction applies to, by its kind (``oxide``, ``S``, ``Cl``, ``Fe``, ...).

    Parameters
    ----------
    crystal
        Ordered crystal; peroxides and polysulfides are recognized by their bonds.
    """
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    if len(set(crystal.symbols)) == 1:
        return {}
    structure = Structure(Lattice(crystal.lattice), list(crystal.symbols), crystal.frac_coords)
    known = {"run_type": "GGA", "software": "potential", "hubbards": _hubbards(structure.composition)}
    entry = ComputedStructureEntry(structure, 0.0, parameters=known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where no oxidation states are possible, the most electronegative is the anion
        adjustments = _scheme().get_adjustments(entry)
    shares: dict[str, float] = {}
    for adjustment in adjustments:
        match = _KIND.search(adjustment.name)
        assert match is not None, adjustment.name
        shares[match.group(1)] = float(adjustment.n_atoms) / len(structure)
    return shares


def published_corrections() -> dict[str, float]:
    """Return the energies of the Materials Project's scheme of 2020, eV for each atom of a kind."""
    scheme = _scheme()
    metals = scheme.u_corrections["O"]
    return {**{kind: float(value) for kind, value in scheme.comp_correction.items()}, **dict(metals)}


def correction_ev_atom(shares: Mapping[str, float], corrections: Mapping[str, float]) -> float:
    """Return the correction of an energy, eV/atom; kinds without one count as zero."""
    return sum(share * corrections.get(kind, 0.0) for kind, share in shares.items())


@cache
def _scheme() -> MaterialsProject2020Compatibility:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    return MaterialsProject2020Compatibility(check_potcar=False)


def _hubbards(composition: Any) -> dict[str, float]:
    """Values of U that the scheme expects, as calculations of the Materials Project have them."""
    from pymatgen.core.periodic_table import Element

    most_electronegative = max(composition.elements, key=lambda element: Element(element.symbol).X).symbol
    values = _scheme().u_settings.get(most_electronegative, {})
    return {e.symbol: float(values[e.symbol]) for e in composition.elements if e.symbol in values}
