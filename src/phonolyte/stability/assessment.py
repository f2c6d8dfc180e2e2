"""All that competing phases say about one crystal: hull, window, reactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phonolyte.chemistry.charges import mobile_charge
from phonolyte.stability.phases import CompetingPhases, Phase, make_diagram
from phonolyte.stability.reactions import Reaction, react
from phonolyte.stability.window import HullDistance, Window, electrochemical_window, hull_distance

REACTIVE_EV = 0.05
"""Energy that a reaction gains, eV/atom, from which a material counts as reactive: about two room-temperature kT."""

WATER = "H2O"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Stability of one crystal.

    Attributes
    ----------
    phase
        Crystal as a phase.
    hull
        Where it lies next to the phases it competes with.
    window
        Electrochemical window; None without the mobile ion.
    reactions
        Reactions with other materials, by their formula.
    absent
        Materials to react with whose energy is not at hand.
    """

    phase: Phase
    hull: HullDistance
    window: Window | None
    reactions: Mapping[str, Reaction]
    absent: Sequence[str] = ()

    @property
    def cathode(self) -> Reaction | None:
        """Reaction with the cathode that gains most; None where none is known."""
        cathodes = [reaction for name, reaction in self.reactions.items() if name != WATER]
        return min(cathodes, key=lambda reaction: reaction.strongest.energy_ev_atom, default=None)

    def reactive_with(self, metal: str) -> list[str]:
        """Return the materials that it reacts with by more than :data:`REACTIVE_EV`, the metal first."""
        with_metal = self.window is not None and self.window.metal_reaction_ev < -REACTIVE_EV
        others = (name for name, each in self.reactions.items() if each.strongest.energy_ev_atom < -REACTIVE_EV)
        return [*([metal] if with_metal else []), *others]


def assess(phase: Phase, competing: CompetingPhases, ion: str, partners: Sequence[str]) -> Assessment:
    """Assess a phase whose formation energy is on the scale of its competing phases.

    Parameters
    ----------
    phase
        Crystal.
    competing
        Phases it competes with.
    ion
        Mobile element.
    partners
        Formulas of other materials, each a phase of `competing`.

    Raises
    ------
    StabilityError
        When the phases of its chemical system are not at hand.
    """
    competing.check_covered(phase.elements)
    hull = hull_distance(competing.diagram(phase.elements), phase)
    window = None
    if ion in phase.elements and len(phase.elements) > 1:
        diagram = competing.diagram(phase.elements)
        if hull.distance_ev < 0:
            assessed = Phase(phase.name, phase.formula, phase.formation_ev_atom)
            diagram = make_diagram([*competing.phases, assessed], phase.elements)
        window = electrochemical_window(diagram, phase, ion, mobile_charge(ion))
    known = {formula: competing.phase_of(formula) for formula in partners}
    return Assessment(
        phase, hull, window,
        {formula: react(competing, phase, partner) for formula, partner in known.items() if partner is not None},
        [formula for formula, partner in known.items() if partner is None],
    )  # fmt: skip


def text_of(products: Mapping[str, float]) -> str:
    """Return products as text: ``0.5 P2S5 + 1.5 Li2S``."""
    amounts = ((f"{units:.3g}", formula) for formula, units in products.items())
    return " + ".join(formula if amount == "1" else f"{amount} {formula}" for amount, formula in amounts)
