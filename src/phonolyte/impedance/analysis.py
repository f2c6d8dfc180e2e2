"""One spectrum: tested, fitted, its resistance read off without a fit, and what must be known of the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from phonolyte.errors import SpectrumError
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.conductivity import (
    BOUNDARY_F_CM,
    ELECTRODE_F_CM,
    Geometry,
    Intercept,
    Resistance,
    list_conducting,
    list_resistances,
    read_intercept,
)
from phonolyte.impedance.drt import Distribution, compute_distribution
from phonolyte.impedance.fitting import choose_circuit, fit_circuit
from phonolyte.impedance.problem import Fit, Weighting
from phonolyte.impedance.spectrum import FEWEST, Spectrum
from phonolyte.impedance.validation import KramersKronig, check_kramers_kronig

FAR_BEYOND = 3.0
"""Resistances that add up to so many times what was measured are a guess of the circuit."""

FAR_APART = 2.0
"""Factor between the total and what is read off the axis from which on one of both is wrong."""

ABOVE = (
    "{} points at the highest frequencies are inductive, and {} has no inductor: they were left out of the fit "
    "(L0 in series would be one)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that is made of one spectrum.

    Attributes
    ----------
    spectrum
        As it was measured.
    test
        Kramers-Kronig test of it.
    fit
        Circuit that was given, or the simplest adequate one.
    tried
        All circuits that were fitted.
    intercept
        Resistance that is read off without a fit.
    notes
        What whoever reads the result must know, in sentences.
    distribution
        Distribution of relaxation times; None where there is none, as the notes say.
    """

    spectrum: Spectrum
    test: KramersKronig
    fit: Fit
    tried: tuple[Fit, ...]
    intercept: Intercept
    notes: tuple[str, ...]
    distribution: Distribution | None = None

    @property
    def name(self) -> str:
        """Name of the spectrum, with its number in a file of several."""
        return self.spectrum.label

    @property
    def largest_ohm(self) -> float:
        """Largest impedance that was measured."""
        return float(np.abs(self.spectrum.impedance_ohm).max())

    @property
    def extrapolated(self) -> tuple[str, ...]:
        """Names of the resistors that are a guess of the circuit, where all add up to far more than was measured.

        They are those that are larger than that themselves.
        """
        ohm = {name: self.fit[name] for name in self.fit.names if name.startswith("R")}
        if sum(ohm.values()) <= FAR_BEYOND * self.largest_ohm:
            return ()
        return tuple(name for name in ohm if ohm[name] > min(self.largest_ohm, 0.99 * max(ohm.values())))

    def is_beyond(self, geometry: Geometry | None = None, boundary_f_cm: float = BOUNDARY_F_CM) -> bool:
        """Whether the total, of which electrodes are not a part, is far larger than anything that was measured."""
        total = self.find_total(geometry, boundary_f_cm)
        return total is not None and total.ohm > FAR_BEYOND * self.largest_ohm

    def find_total(self, geometry: Geometry | None = None, boundary_f_cm: float = BOUNDARY_F_CM) -> Resistance | None:
        """The total, where the circuit has one."""
        constant = geometry.constant_per_cm if geometry else None
        resistances = list_resistances(self.fit, constant, boundary_f_cm=boundary_f_cm, rivals=self.tried)
        return next((resistance for resistance in resistances if resistance.process == "total"), None)


def analyze_spectrum(
    spectrum: Spectrum,
    circuit: str = "",
    *,
    weighting: Weighting = "modulus",
    fixed: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
) -> Analysis:
    """Test a spectrum, fit it, and read its resistance off without a fit.

    Parameters
    ----------
    spectrum
        To be analyzed.
    circuit
        The one to fit; default: the simplest adequate one.
    weighting
        Residuals as shares of the modulus, or in ohm (``"unit"``).
    fixed, start
        Values of parameters of the circuit that are not fitted, and those to start from, by name.

    Raises
    ------
    SpectrumError
        For a circuit that does not exist, and spectra that none can be fitted to.
    """
    test = check_kramers_kronig(spectrum)
    clean = spectrum.leave_out(test.off)
    above = _list_inductive(clean, circuit)
    if circuit:
        best = fit_circuit(clean.leave_out(above), circuit, start, fixed=fixed, weighting=weighting)
        tried = [best]
    else:
        best, tried = choose_circuit(clean, weighting=weighting)
    best = replace(best, impedance_ohm=parse_circuit(best.circuit).impedance_ohm(best.values, spectrum.frequency_hz))
    analysis = Analysis(spectrum, test, best, tuple(tried), read_intercept(clean), spectrum.notes)
    inductive = [ABOVE.format(len(above), circuit)] if above else []
    distribution, failed = _find_distribution(clean, best)
    notes = (*spectrum.notes, *inductive, *_list_remarks(analysis), *failed)
    return replace(analysis, notes=notes, distribution=distribution)


def _find_distribution(spectrum: Spectrum, fit: Fit) -> tuple[Distribution | None, list[str]]:
    """Distribution of relaxation times, or a note that there is none: the other results stand without it."""
    try:
        return compute_distribution(spectrum, fit), []
    except SpectrumError as error:
        return None, [f"there is no distribution of relaxation times: {error.why}"]


def _list_inductive(spectrum: Spectrum, circuit: str) -> list[int]:
    """The points above the real axis at high frequencies, where the circuit that was given has no inductor for them."""
    if not circuit or parse_circuit(circuit).is_inductive:
        return []
    below = np.flatnonzero(spectrum.impedance_ohm.imag <= 0)
    first = int(below[0]) if len(below) else 0
    return list(range(first)) if len(spectrum) - first >= FEWEST else []


def _list_remarks(analysis: Analysis) -> list[str]:
    """What whoever reads the result must know."""
    return [*_remarks_on_test(analysis), *_remarks_on_fit(analysis), *_remarks_on_intercept(analysis.intercept)]


def _remarks_on_test(analysis: Analysis) -> list[str]:
    spectrum, test = analysis.spectrum, analysis.test
    remarks = []
    if test.off:
        where = ", ".join(f"{spectrum.frequency_hz[point]:.3g}" for point in test.off)
        remarks.append(f"points off by the Kramers-Kronig test were left out of the fit: {where} Hz")
    if test.verdict != "good":
        remarks.append(
            f"the Kramers-Kronig test is {test.verdict}: {test.rms:.1%} of the modulus is left over, "
            f"{test.systematic:.1%} of it is not noise"
        )
    return remarks


def _remarks_on_fit(analysis: Analysis) -> list[str]:
    remarks = []
    if analysis.fit.widened > 1:
        remarks.append(
            f"the circuit leaves {analysis.fit.rms:.2%} of the modulus, more than noise: "
            f"intervals are {analysis.fit.widened:.1f} times as wide for it"
        )
    if not analysis.fit.resolved:
        remarks.append("the spectrum does not determine all resistances of any circuit: mind the intervals")
    for name in analysis.extrapolated:
        times = analysis.fit[name] / analysis.largest_ohm
        remarks.append(
            f"{name} of the circuit is {times:.2g} times the largest impedance that was measured: it is extrapolated"
        )
    return remarks


def _remarks_on_intercept(point: Intercept) -> list[str]:
    if not point.is_resistance:
        return [
            f"no resistance can be read off: the real part is {point.ohm:.3g} ohm where the spectrum is nearest to "
            "the real axis, as of a capacitor or an inductor alone"
        ]
    if not point.complete:
        return [f"the spectrum ends before it meets the real axis: the resistance is at least {point.ohm:.3g} ohm"]
    return []


def compare_with_intercept(
    analysis: Analysis, geometry: Geometry | None = None, boundary_f_cm: float = BOUNDARY_F_CM
) -> Analysis:
    """The analysis with total and intercept of the same thing, and a note where both are far apart all the same.

    What is of the sample is known only of a whole series: with the pellet's size arcs of electrodes are not part of the
    total, and a spectrum that ends within such an arc says nothing of "at least".
    """
    total = analysis.find_total(geometry, boundary_f_cm)
    if total is None and (others := list_conducting(analysis.fit)):
        return _add_note(
            analysis, f"there is no total: {' and '.join(others)} of the circuit conduct besides its resistors"
        )
    if total is None or not analysis.intercept.is_resistance:
        return analysis
    if not analysis.intercept.complete and total.high_ohm < analysis.intercept.ohm:
        return _read_before_electrodes(analysis, total, geometry)
    point = analysis.intercept
    if not point.complete or analysis.is_beyond(geometry, boundary_f_cm):
        return analysis
    if 1 / FAR_APART <= total.ohm / point.ohm <= FAR_APART:
        return analysis
    return _add_note(
        analysis,
        f"the total of the circuit, {total.ohm:.3g} ohm, is far from what is read off the real axis, "
        f"{point.ohm:.3g} ohm",
    )


def _read_before_electrodes(analysis: Analysis, total: Resistance, geometry: Geometry | None) -> Analysis:
    """The analysis with what can be read off before the arcs of electrodes, in place of a bound that includes them."""
    constant = geometry.constant_per_cm if geometry else 0.0
    slow = [(ohm, c) for _, ohm, c in analysis.fit.arcs if c * constant >= ELECTRODE_F_CM]
    # between the time constants of an electrode with its own resistance and with that of the sample it blocks most
    blocked = min((c * np.sqrt(ohm * total.ohm) for ohm, c in slow), default=np.inf)
    after = np.flatnonzero(2 * np.pi * analysis.spectrum.frequency_hz * blocked < 1)
    left = analysis.spectrum.leave_out(sorted({*analysis.test.off, *after.tolist()}))
    point = read_intercept(left) if slow and len(left) >= FEWEST else analysis.intercept
    if point.complete:
        notes = tuple(note for note in analysis.notes if note not in _remarks_on_intercept(analysis.intercept))
        note = f"the spectrum ends within the arc of the electrodes: {point.ohm:.3g} ohm is read off before it"
        return _add_note(replace(analysis, intercept=point, notes=notes), note)
    return _add_note(
        analysis,
        f"the total of the circuit, {total.ohm:.3g} ohm, is below what the spectrum ends at, "
        f"{analysis.intercept.ohm:.3g} ohm: the circuit takes the difference for electrodes",
    )


def _add_note(analysis: Analysis, note: str) -> Analysis:
    return analysis if note in analysis.notes else replace(analysis, notes=(*analysis.notes, note))
