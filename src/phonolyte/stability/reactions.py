"""Reactions of a crystal with another material at their interface, by pymatgen's interfacial reactivity.

Both are mixed in all proportions, and the mixture may decompose into the phases of lowest energy; the mixture that
gains most is reported (Richards et al. 2016, 10.1021/acs.chemmater.5b04082).
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phonolyte.chemistry.formulas import composition_of
from phonolyte.stability.phases import CompetingPhases, Phase, make_diagram

if TYPE_CHECKING:
    from pymatgen.analysis.interface_reactions import InterfacialReactivity

TRACE = 1e-4
"""Amount in a reaction up to which a product is not named."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture of a crystal with another material.

    Attributes
    ----------
    share
        Share of the crystal's atoms.
    energy_ev_atom
        Energy gained by the mixture, eV/atom, negative; above the hull what the crystal gains by its own decomposition,
        or as a more stable polymorph, counts too.
    products
        Reduced formulas of the products.
    """

    share: float
    energy_ev_atom: float
    products: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reaction:
    """Reaction of a crystal with another material.

    Attributes
    ----------
    partner
        Formula of the other material.
    mixtures
        Mixtures at which the products change, from the other material alone to the crystal alone.
    missing
        Chemical systems of the mixture whose phases are not at hand: with them it may gain more, never less.
    """

    partner: str
    mixtures: Sequence[Mixture]
    missing: Sequence[str] = ()

    @property
    def strongest(self) -> Mixture:
        """Mixture that gains most."""
        return min(self.mixtures, key=lambda mixture: mixture.energy_ev_atom)


def react(competing: CompetingPhases, phase: Phase, partner: Phase) -> Reaction:
    """Return the reaction of a phase with another one.

    Parameters
    ----------
    competing
        Phases that the mixture may decompose into.
    phase
        Phase with its formation energy on the scale of `competing`.
    partner
        Other material, one of `competing`.
    """
    from pymatgen.analysis.interface_reactions import InterfacialReactivity
    from pymatgen.core.composition import Composition

    elements = phase.elements | partner.elements
    diagram = make_diagram([*competing.phases, _certain(phase), _certain(partner)], elements)
    mixture = Composition(dict(composition_of(phase.formula))), Composition(dict(composition_of(partner.formula)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reactivity = InterfacialReactivity(*mixture, diagram, norm=True)
    mixtures = _mixtures(reactivity, _excess_ev_atom(competing, phase))
    return Reaction(partner.formula, mixtures, _missing(competing, phase.elements, partner.elements))


def _certain(phase: Phase) -> Phase:
    """The phase without its energy above the hull, so that a diagram takes it in."""
    return Phase(phase.name, phase.formula, phase.formation_ev_atom)


def _excess_ev_atom(competing: CompetingPhases, phase: Phase) -> float:
    """Energy of a phase above the lowest one of its composition, from which interfacial reactivity counts."""
    lowest = competing.phase_of(phase.formula)
    return max(phase.formation_ev_atom - lowest.formation_ev_atom, 0.0) if lowest else 0.0


def _mixtures(reactivity: InterfacialReactivity, excess_ev_atom: float) -> list[Mixture]:
    return [
        Mixture(float(share), min(float(energy) - float(share) * excess_ev_atom, 0.0), _products(reaction))
        for _, share, energy, reaction, _ in reactivity.get_kinks()
    ]


def _products(reaction: object) -> tuple[str, ...]:
    pairs = zip(reaction.all_comp, reaction.coeffs, strict=True)  # type: ignore[attr-defined]
    products = sorted(
        ((float(n) * compound.num_atoms, compound.reduced_formula) for compound, n in pairs if n > TRACE),
        reverse=True,
    )
    return tuple(dict.fromkeys(formula for _, formula in products))


def _missing(competing: CompetingPhases, first: Collection[str], second: Collection[str]) -> list[str]:
    """Systems of the mixture that are not covered; what lies within one of the two does not matter to a reaction."""
    return [
        system
        for system in competing.missing_systems({*first, *second})
        if not (set(system.split("-")) <= set(first) or set(system.split("-")) <= set(second))
    ]
