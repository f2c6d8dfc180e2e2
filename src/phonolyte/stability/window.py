"""Energy above the hull, electrochemical window, and what a metal electrode does to a crystal.

A crystal in contact with a reservoir of its mobile ion takes up or gives off ions where that lowers the grand potential
(Zhu, He & Mo 2015, 10.1021/acsami.5b07517; Richards et al. 2016, 10.1021/acs.chemmater.5b04082). The voltage against
the metal is V = -(mu - mu_metal) / (z e); the window is the range of voltages in which nothing is taken up or given
off. For a crystal above the hull it is that of the phases it decomposes into, as in those papers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from phonolyte.chemistry.formulas import composition_of
from phonolyte.stability.phases import Phase

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PhaseDiagram

AMOUNT = 1e-5
"""Ions an atom of the crystal up to which nothing counts as exchanged, and share up to which a product is not named."""

Products = Mapping[str, float]
"""Reduced formula of each product -> its formula units for one formula unit of the crystal."""


@dataclass(frozen=True, slots=True)
class HullDistance:
    """Where a crystal lies next to the phases it competes with.

    Attributes
    ----------
    distance_ev
        Energy less that of the competing phases, eV/atom; negative for a crystal below all of them.
    products
        Phases that it decomposes into, or would.
    """

    distance_ev: float
    products: Products

    @property
    def e_hull_ev(self) -> float:
        """Energy above the hull of the competing phases and the crystal, eV/atom."""
        return max(self.distance_ev, 0.0)


@dataclass(frozen=True, slots=True)
class Limit:
    """End of a window.

    Attributes
    ----------
    voltage_v
        Voltage against the metal, V; infinite where no ion is left to give off.
    products
        Products beyond it; empty where there is no limit.
    """

    voltage_v: float
    products: Products = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """Electrochemical window of a crystal.

    Attributes
    ----------
    reduction
        Below its voltage the crystal takes up ions; at 0 V without products where it is stable against the metal.
    oxidation
        Above its voltage the crystal gives off ions.
    metal_reaction_ev
        Energy of the reaction with as much metal as reacts, eV per atom of the crystal; 0 where none does.
    metal_products
        Products of that reaction.
    """

    reduction: Limit
    oxidation: Limit
    metal_reaction_ev: float
    metal_products: Products


def hull_distance(diagram: PhaseDiagram, phase: Phase) -> HullDistance:
    """Return where a phase lies next to those of a diagram.

    Parameters
    ----------
    diagram
        Phase diagram of the elements of the phase, in formation energies.
    phase
        Phase, which need not be in the diagram.
    """
    entry = phase.entry
    decomposition, distance = diagram.get_decomp_and_e_above_hull(entry, allow_negative=True, check_stable=False)
    assert decomposition is not None  # it is None where an error is to be ignored
    assert distance is not None
    n_atoms = entry.composition.num_atoms
    products: dict[str, float] = {}
    for product, share in decomposition.items():  # shares are of atoms
        formula = product.composition.reduced_formula
        units = share * n_atoms / product.composition.reduced_composition.num_atoms
        products[formula] = products.get(formula, 0.0) + units
    return HullDistance(float(distance), _order(products))


def electrochemical_window(diagram: PhaseDiagram, phase: Phase, ion: str, charge: int) -> Window:
    """Return the window of a phase against the metal of its mobile ion.

    Parameters
    ----------
    diagram
        Phase diagram in formation energies, with the phase in it if it is stable.
    phase
        Phase whose composition is brought into contact with the metal; it contains the ion.
    ion, charge
        Mobile element and its charge, in elementary charges.
    """
    stages = [_Stage.from_profile(stage, ion) for stage in _profile(diagram, phase, ion)]
    n_atoms = sum(composition_of(phase.formula).values())
    resting = [i for i, stage in enumerate(stages) if abs(stage.uptake) <= AMOUNT * n_atoms]
    metal = _metal_reaction(stages[0], phase, n_atoms, diagram)
    if stages[0].uptake < -AMOUNT * n_atoms:  # more ions than any compound next to the metal takes: it gives off metal
        return Window(Limit(0.0), Limit(0.0, stages[0].products), *metal)
    if not resting:  # between two stages: the composition is in equilibrium at one voltage only
        below = max(i for i, stage in enumerate(stages) if stage.uptake > 0)
        voltage = _limit(stages[below], stages[below + 1], charge).voltage_v
        reduction, oxidation = (Limit(voltage, stages[i].products) for i in (below, below + 1))
        return Window(reduction, oxidation, *metal)
    first, last = resting[0], resting[-1]
    reduction = Limit(0.0) if first == 0 else _limit(stages[first - 1], stages[first], charge)
    oxidation = Limit(math.inf) if last == len(stages) - 1 else _limit(
        stages[last], stages[last + 1], charge, beyond=stages[last + 1].products
    )  # fmt: skip
    return Window(reduction, oxidation, *metal)


@dataclass(frozen=True, slots=True)
class _Stage:
    """Phases in equilibrium over a range of voltages, and the ions taken up for one formula unit of the crystal."""

    uptake: float
    products: Products
    energies: Mapping[str, float]
    """Formation energy of one formula unit of each product, eV."""

    @classmethod
    def from_profile(cls, stage: Mapping[str, Any], ion: str) -> _Stage:
        """Stage of pymatgen's element profile; the metal itself is not among the products."""
        energies = {
            entry.composition.reduced_formula: entry.energy_per_atom * entry.composition.reduced_composition.num_atoms
            for entry in stage["entries"]
        }
        reaction, products = stage["reaction"], {}
        for composition, coefficient in zip(reaction.all_comp, reaction.coeffs, strict=True):
            formula = composition.reduced_formula
            if coefficient > AMOUNT and formula != ion:
                products[formula] = float(coefficient) * composition.get_reduced_composition_and_factor()[1]
        return cls(float(stage["evolution"]), _order(products), energies)

    @property
    def energy_ev(self) -> float:
        """Energy of the products, eV for one formula unit of the crystal."""
        return sum(units * self.energies[formula] for formula, units in self.products.items())


def _profile(diagram: PhaseDiagram, phase: Phase, ion: str) -> Sequence[Mapping[str, Any]]:
    """Stages from the metal (most ions taken up) to the last ion given off."""
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    composition = Composition(dict(composition_of(phase.formula)))
    return diagram.get_element_profile(Element(ion), composition)


def _limit(lithiated: _Stage, delithiated: _Stage, charge: int, *, beyond: Products | None = None) -> Limit:
    """Voltage at which one stage turns into the other, by their energies: the metal's is zero."""
    ions = lithiated.uptake - delithiated.uptake
    voltage = -(lithiated.energy_ev - delithiated.energy_ev) / ions / charge
    return Limit(voltage, lithiated.products if beyond is None else beyond)


def _metal_reaction(stage: _Stage, phase: Phase, n_atoms: float, diagram: PhaseDiagram) -> tuple[float, Products]:
    """Energy in eV per atom of the crystal and products of the reaction with the metal; 0 without products."""
    if stage.uptake <= AMOUNT * n_atoms:
        return 0.0, {}
    return stage.energy_ev / n_atoms - phase.formation_ev_atom, stage.products


def _order(products: Mapping[str, float]) -> Products:
    """Products with more than a trace, the largest amount of atoms first."""
    atoms = {formula: units * sum(composition_of(formula).values()) for formula, units in products.items()}
    total = sum(atoms.values())
    order = sorted(products, key=lambda formula: (-atoms[formula], formula))
    return {formula: products[formula] for formula in order if atoms[formula] > AMOUNT * total}
