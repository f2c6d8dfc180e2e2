"""Resistances of a symmetric cell from its spectrum: electrolyte and interfaces, distinguished by capacitances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError
from phonolyte.impedance.analysis import Analysis
from phonolyte.impedance.problem import RESOLVED, Fit

LEAST_F, MOST_F = 1e-8, 1e-3
"""Capacitances between which an arc is of interfaces: a layer of some nanometers has 1e-7 to 1e-5 F on a cm2, the
electrolyte between the electrodes 1e-11 to 1e-9 F, and diffusion acts as more than 1e-3 F."""

NORMAL = 1.959964


@dataclass(frozen=True, slots=True, eq=False)
class CellResistances:
    """Resistances of a symmetric cell.

    Attributes
    ----------
    electrolyte_ohm, interface_ohm
        Resistance of the electrolyte, leads included, and of both interfaces together, ohm.
    interfaces, electrolyte
        Names of the resistors of the circuit that are summed.
    charging_s
        Largest time constant of the interfaces.
    fit
        Fit of the spectrum.
    notes
        What was assumed.
    """

    electrolyte_ohm: float
    interface_ohm: float
    interfaces: tuple[str, ...]
    electrolyte: tuple[str, ...]
    charging_s: float
    fit: Fit = field(repr=False)
    notes: tuple[str, ...] = ()

    def draw(self, generator: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Random electrolyte and interface resistances, (n,) each, by the covariance of the fit."""
        names = (*self.electrolyte, *self.interfaces)
        at = [self.fit.names.index(name) for name in names]
        middle, covariance = np.log(self.fit.values[at]), self.fit.covariance[np.ix_(at, at)]
        logs = generator.multivariate_normal(middle, covariance, n, check_valid="ignore", method="eigh")
        ohm = np.exp(np.clip(logs, -50, 50))
        return ohm[:, : len(self.electrolyte)].sum(axis=1), ohm[:, len(self.electrolyte) :].sum(axis=1)

    def interval(self, names: Sequence[str]) -> tuple[float, float]:
        """Ends of the 95 % interval of the sum of some resistors, by the delta method on its logarithm."""
        at = [self.fit.names.index(name) for name in names]
        ohm = float(self.fit.values[at].sum())
        if not at:
            return ohm, ohm
        slope = self.fit.values[at] / ohm
        variance = float(slope @ self.fit.covariance[np.ix_(at, at)] @ slope)
        wide = float(np.exp(min(NORMAL * max(variance, 0.0) ** 0.5, 50.0)))
        return ohm / wide, ohm * wide


def find_resistances(analysis: Analysis, interfaces: Sequence[str] = ()) -> CellResistances:
    """Find the resistances of electrolyte and interfaces in the circuit of a spectrum of a symmetric cell.

    Parameters
    ----------
    analysis
        Spectrum with its fit.
    interfaces
        Names of the resistors of the interfaces, such as ``R1``; default: the arcs whose capacitance is between
        :data:`LEAST_F` and :data:`MOST_F`.

    Raises
    ------
    SpectrumError
        Without an interface, for resistors that the circuit lacks, and for those that the spectrum does not determine.
    """
    fit, name = analysis.fit, analysis.name
    arcs = {arc: (ohm, farad) for arc, ohm, farad in fit.arcs}
    if interfaces:
        chosen = _check_names(interfaces, fit, name)
    else:
        chosen = [arc for arc, (_, farad) in arcs.items() if LEAST_F <= farad < MOST_F]
    slow = [arc for arc, (_, farad) in arcs.items() if farad >= MOST_F and arc not in chosen]
    if not chosen:
        listed = ", ".join(f"{arc} with {farad:.1e} F" for arc, (_, farad) in arcs.items()) or "none"
        raise SpectrumError(
            f"{name} shows no arc of interfaces", why=f"its arcs are {listed}, and those of interfaces have "
            f"{LEAST_F:g} to {MOST_F:g} F", fix="Name the resistor with --interface, as R1, and give --circuit.",
        )  # fmt: skip
    rest = [each for each in fit.names if each.startswith("R") and each not in (*chosen, *slow)]
    vague = [each for each in chosen if fit.relative_std(each) >= RESOLVED]
    if vague:
        raise SpectrumError(
            f"{name} does not determine {vague[0]}, the resistance of an interface", why="its interval is wider than "
            f"a factor of {np.exp(2 * RESOLVED):.1f}", fix="Measure to lower frequencies, or give a simpler --circuit.",
        )  # fmt: skip
    notes = [f"{name}: {', '.join(slow)} is of diffusion, and not of interfaces"] if slow else []
    charging = max((ohm * farad for arc, (ohm, farad) in arcs.items() if arc in chosen), default=0.0)
    return CellResistances(
        float(sum(fit[each] for each in rest)), float(sum(fit[each] for each in chosen)), tuple(chosen), tuple(rest),
        charging, fit, tuple(notes),
    )  # fmt: skip


def _check_names(interfaces: Sequence[str], fit: Fit, name: str) -> list[str]:
    missing = [each for each in interfaces if each not in fit.names or not each.startswith("R")]
    if missing:
        listed = ", ".join(each for each in fit.names if each.startswith("R"))
        raise SpectrumError(f"the circuit of {name} has no resistor {missing[0]}", fix=f"It has {listed}.")
    return list(interfaces)
