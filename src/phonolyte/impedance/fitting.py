"""Circuits fitted to a spectrum without a value to start from, and the simplest adequate one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import t as student

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError
from phonolyte.impedance.circuits import Circuit, Grid, parse_circuit
from phonolyte.impedance.spectrum import Complexes, Spectrum
from phonolyte.impedance.starts import Decomposition, from_misfit, from_simpler, from_spectrum

CORES = ("R1-CPE0", "p(R1,CPE1)", "p(R1,CPE1)-p(R2,CPE2)", "p(R1,CPE1)-CPE0", "p(R1,CPE1)-p(R2,CPE2)-CPE0")
"""Circuits of solid electrolytes, in the notation of impedance.py, the simple ones first: arcs, and what blocks.

Each is tried with a resistor before it too, with an inductor where the spectrum shows one, and with a Warburg element
for what blocks where that has an exponent near a half, which is the same."""

BETTER = 10.0
"""Information criterion by which a further element must be better: odds of more than a hundred to one."""

CONFIDENCE = 0.95
LEAST_ALPHA = 0.3
RESOLVED = 1.0
"""A resistance whose logarithm is less certain than this is not resolved, and the circuit has too many elements."""

WARBURG = (0.4, 0.6)
"""Exponents between which a constant phase element may be a Warburg element."""

INDUCTIVE = 0.02
"""Share of the modulus at the highest frequency from which on an inductance is looked for."""

FIRST_STEPS, FOLLOWED, LAST_STEPS = 10, 2, 100
"""Evaluations that each start has before the best few are followed to the end, and there."""

PRECISE = 1e-6
"""Change of the sum of squares, as a share of it, at which a fit ends: a hundredth of a standard deviation."""

CORRELATED = 3.0
"""Residuals whose correlation with their neighbours is this many times its standard deviation are not noise."""

Weighting = Literal["modulus", "unit"]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A circuit fitted to a spectrum.

    Attributes
    ----------
    circuit
        In the notation of impedance.py.
    names, units
        Names and units of the parameters: ``R1``, ``CPE1_0`` (Q), ``CPE1_1`` (alpha), ...
    values
        Fitted parameters, (k,).
    low, high
        Ends of their 95 % intervals, (k,), by Student's t.
    covariance
        Covariance of the logarithms of the parameters, (k, k).
    freedom
        Degrees of freedom: real and imaginary parts, less parameters.
    widened
        Factor on standard deviations, above one where residuals are a misfit of the circuit and no noise.
    bic
        Bayesian information criterion.
    lowest_hz
        Frequency of the spectrum.
    impedance_ohm
        Impedance of the circuit at the frequencies of the spectrum, (n,).
    rms
        Root mean square residual as a share of the modulus.
    """

    circuit: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Floats
    low: Floats
    high: Floats
    covariance: Floats = field(repr=False)
    freedom: int
    widened: float
    bic: float
    lowest_hz: float
    impedance_ohm: Complexes = field(repr=False)
    rms: float

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def relative_std(self, name: str) -> float:
        """Standard deviation of the logarithm of a parameter."""
        at = self.names.index(name)
        return float(np.sqrt(max(self.covariance[at, at], 0.0)))

    @property
    def resolved(self) -> bool:
        """Whether the spectrum determines all resistances."""
        return all(self.relative_std(name) < RESOLVED for name in self.names if name.startswith("R"))

    @property
    def arcs(self) -> list[tuple[str, float, float]]:
        """For each arc the name of its resistance, that in ohm, and its capacitance in farad, the fastest first.

        The capacitance is that of the arc's time constant (Hsu and Mansfeld, 10.5006/1.3280607).
        """
        found = []
        for number in parse_circuit(self.circuit).arcs:
            r = self[f"R{number}"]
            if f"C{number}" in self.names:
                found.append((f"R{number}", r, self[f"C{number}"]))
            else:
                q, alpha = self[f"CPE{number}_0"], self[f"CPE{number}_1"]
                found.append((f"R{number}", r, (q * r) ** (1 / alpha) / r))
        return sorted(found, key=lambda arc: arc[1] * arc[2])


def choose_circuit(spectrum: Spectrum, *, weighting: Weighting = "modulus") -> tuple[Fit, list[Fit]]:
    """The simplest adequate circuit, and all that were tried.

    A circuit with more parameters must be better by `BETTER` in the Bayesian information criterion, and the spectrum
    must determine its resistances. Where it does so for none, the best one is taken, with wide intervals.

    Raises
    ------
    SpectrumError
        When there are fewer points than parameters of the simplest one.
    """
    parts = Decomposition.from_spectrum(spectrum)
    tried: dict[str, Fit] = {}

    def attempt(text: str, guesses: Sequence[Floats]) -> None:
        circuit = parse_circuit(text)
        if len(spectrum) > len(circuit.names) and guesses:
            tried[text] = _fitted(spectrum, circuit, guesses, weighting)

    for core in CORES:
        circuit = parse_circuit(core)
        attempt(core, [*from_spectrum(parts, circuit), *_from_tried(spectrum, circuit, tried)])
    for core in CORES[1:]:
        known, circuit = tried.get(core), parse_circuit(f"R0-{core}")
        grown = _grown(known, parts.series_ohm, 0.01 * parts.total_ohm) if known else []
        attempt(circuit.text, [*grown, *_from_tried(spectrum, circuit, tried)])
    if _inductive(spectrum, parts):
        for core in CORES:
            known = tried.get(f"R0-{core}" if core != CORES[0] else core)
            circuit = parse_circuit(f"L0-{known.circuit}" if known else f"L0-R0-{core}")
            grown = _grown(known, parts.inductance_h) if known else []
            more = [*from_spectrum(parts, circuit), *_from_tried(spectrum, circuit, tried)]
            attempt(circuit.text, [*grown, *more])
    before = choose_simplest(tried.values())
    if before and before.circuit.endswith("-CPE0") and WARBURG[0] < before["CPE0_1"] < WARBURG[1]:
        attempt(before.circuit.removesuffix("CPE0") + "W0", _warburg(before))
    best = choose_simplest(tried.values()) or min(tried.values(), key=lambda one: one.bic, default=None)
    if best is None:
        raise SpectrumError(
            f"no circuit can be fitted to {spectrum.name}", fix="Give more points, or a circuit of your own."
        )
    return best, [*tried.values()]


def fit_circuit(
    spectrum: Spectrum,
    circuit: str,
    start: Mapping[str, float] | None = None,
    *,
    weighting: Weighting = "modulus",
) -> Fit:
    """Fit a circuit, without values to start from.

    Parameters
    ----------
    spectrum
        To be fitted.
    circuit
        In the notation of impedance.py, such as ``R0-p(R1,CPE1)-CPE2``.
    start
        Values to start from, by the names of the parameters; default: found from the spectrum.
    weighting
        Residuals as shares of the modulus, or in ohm (``"unit"``).

    Raises
    ------
    SpectrumError
        For a circuit that does not exist, and one that has more parameters than the spectrum has values.
    """
    wanted = parse_circuit(circuit)
    parts = Decomposition.from_spectrum(spectrum)
    guesses = from_spectrum(parts, wanted)
    tried, simpler = _as_tried(spectrum, wanted, weighting), _arc_less(wanted)
    if simpler and not tried:
        tried = _from_tried(spectrum, wanted, {simpler: fit_circuit(spectrum, simpler, weighting=weighting)})
    guesses += tried
    for guess in guesses:
        for name, value in (start or {}).items():
            guess[wanted.names.index(name)] = value
    return _fitted(spectrum, wanted, guesses, weighting)


def _as_tried(spectrum: Spectrum, wanted: Circuit, weighting: Weighting) -> list[Floats]:
    """Values of the same circuit, where :func:`choose_circuit` tries it, whatever its tail is called."""
    same = re.sub(r"-CPE\d+$", "-CPE0", wanted.text)
    if same not in {core for plain in CORES for core in (plain, f"R0-{plain}", f"L0-{plain}", f"L0-R0-{plain}")}:
        return []
    try:
        _, tried = choose_circuit(spectrum, weighting=weighting)
    except SpectrumError:
        return []
    return [one.values.copy() for one in tried if one.circuit == same]


def choose_simplest(fits: Iterable[Fit]) -> Fit | None:
    """The one with the fewest parameters that none with more is better than by much."""
    ordered = sorted((one for one in fits if one.resolved), key=lambda one: (len(one.names), one.bic))
    best = ordered[0] if ordered else None
    for one in ordered[1:]:
        if best and one.bic < best.bic - (BETTER if len(one.names) > len(best.names) else 0.0):
            best = one
    return best


def _grown(known: Fit, *guesses: float) -> list[Floats]:
    """Values to start from: those of a circuit without its first resistor or inductor, with guesses of that."""
    return [np.insert(known.values, 0, max(guess, 1e-12)) for guess in guesses]


def _inductive(spectrum: Spectrum, parts: Decomposition) -> bool:
    """Whether the highest frequencies show an inductance, more of it than noise."""
    share = 2 * np.pi * spectrum.frequency_hz[0] * parts.inductance_h / np.abs(spectrum.impedance_ohm[0])
    return bool(share > max(INDUCTIVE, 3 * parts.rms))


def _warburg(best: Fit) -> list[Floats]:
    """Values to start from for a Warburg element where a constant phase element was, the last one."""
    return [np.append(best.values[:-2], 1 / (best.values[-2] * np.sqrt(2)))]


def _arc_less(circuit: Circuit) -> str:
    """The circuit without its last arc, where it has two of constant phase elements."""
    numbers = [number for number in circuit.arcs if f"CPE{number}_0" in circuit.names]
    arc = f"-p(R{numbers[-1]},CPE{numbers[-1]})" if len(numbers) > 1 else ""
    return circuit.text.replace(arc, "", 1) if arc and arc in circuit.text else ""


def _from_tried(spectrum: Spectrum, circuit: Circuit, tried: Mapping[str, Fit]) -> list[Floats]:
    """Values to start from: those of the circuit with an arc less, with an arc added or split."""
    known = tried.get(_arc_less(circuit))
    if known is None:
        before, core = circuit.text[: circuit.text.find("p(")], "p(R1,CPE1)"
        arcs = tried.get(f"{before}{core}-p(R2,CPE2)")
        return [_as_tail(arcs)] if arcs and circuit.text == f"{before}{core}-CPE0" else []
    simpler = parse_circuit(known.circuit)
    split = from_simpler(simpler, known.values, known.arcs[-1][0][1:], circuit)
    return [*split, *from_misfit(spectrum, simpler, known.values, circuit)]


def _as_tail(known: Fit) -> Floats:
    """Values of a circuit with two arcs for one with an arc and a tail: the slower arc without its resistance."""
    fast, slow = (name[1:] for name, _, _ in known.arcs)
    names = [f"R{fast}", f"CPE{fast}_0", f"CPE{fast}_1", f"CPE{slow}_0", f"CPE{slow}_1"]
    before = [name for name in known.names if name in ("L0", "R0")]
    return np.array([known[name] for name in before + names])


def _fitted(spectrum: Spectrum, circuit: Circuit, guesses: Sequence[Floats], weighting: Weighting) -> Fit:
    """The best of the fits from several starts."""
    k, count = len(circuit.names), 2 * len(spectrum)
    if k >= count:
        raise SpectrumError(
            f"{circuit.text} has {k} parameters, {spectrum.name} {len(spectrum)} points", fix="Take a simpler circuit."
        )
    problem = _Problem(spectrum, circuit, weighting)
    followed = len(guesses) > FOLLOWED
    begun = [problem.solve(problem.free(guess), FIRST_STEPS if followed else LAST_STEPS) for guess in guesses]
    begun.sort(key=lambda found: float(found.cost))
    ends = [one if one.status > 0 else problem.solve(one.x, LAST_STEPS) for one in begun[:FOLLOWED]]
    return problem.fit(min(ends, key=lambda found: float(found.cost)).x)


class _Problem:
    """Residuals and slopes of a circuit in free coordinates: logarithms, and for exponents the angle of a sine."""

    def __init__(self, spectrum: Spectrum, circuit: Circuit, weighting: Weighting) -> None:
        self.circuit, self.grid, self.z = circuit, Grid.from_frequencies(spectrum.frequency_hz), spectrum.impedance_ohm
        size = np.abs(self.z)
        self.weight = 1 / (size if weighting == "modulus" else np.full_like(size, size.mean()))
        self.exponents, self.others = np.flatnonzero(circuit.exponents), np.flatnonzero(~circuit.exponents)
        self._x: Floats | None = None

    def free(self, values: Floats) -> Floats:
        x = np.empty(len(values))
        x[self.others] = np.log(np.clip(values[self.others], 1e-30, 1e30))
        share = (values[self.exponents] - LEAST_ALPHA) / (1 - LEAST_ALPHA)
        x[self.exponents] = np.arcsin(np.clip(2 * share - 1, -0.99, 0.99))  # at its ends a sine has no slope
        return x

    def values(self, x: Floats) -> Floats:
        values = np.empty(len(x))
        values[self.others] = np.exp(np.clip(x[self.others], -80, 80))
        values[self.exponents] = LEAST_ALPHA + (1 - LEAST_ALPHA) * (np.sin(x[self.exponents]) + 1) / 2
        return values

    def residuals(self, x: Floats) -> Floats:
        """(2n,), real parts first; the slopes are kept for :meth:`slopes`, which is called next."""
        z, self._slopes = self.circuit.respond(self.values(x), self.grid)
        self._x = x.copy()
        off = (z - self.z) * self.weight
        return np.concatenate((off.real, off.imag))

    def slopes(self, x: Floats) -> Floats:
        if self._x is None or (x != self._x).any():
            self.residuals(x)
        scaled = self._slopes * self.weight
        scaled[self.exponents] *= ((1 - LEAST_ALPHA) * np.cos(x[self.exponents]) / 2)[:, None]
        return np.concatenate((scaled.real, scaled.imag), axis=1).T

    def solve(self, x: Floats, steps: int) -> Any:
        return least_squares(self.residuals, x, self.slopes, method="lm", x_scale="jac", ftol=PRECISE, max_nfev=steps)

    def fit(self, x: Floats) -> Fit:
        values, off = self.values(x), self.residuals(x)
        k, count, n = len(values), len(off), len(self.z)
        slopes = self._slopes * self.weight
        slopes[self.exponents] *= values[self.exponents, None]
        jac = np.concatenate((slopes.real, slopes.imag), axis=1).T
        square = float(off @ off)
        widened = _widened(off[:n], off[n:])
        covariance = _inverse(jac) * square / (count - k) * widened**2
        wide = np.minimum(
            student.ppf(0.5 + CONFIDENCE / 2, count - k) * np.sqrt(np.maximum(np.diag(covariance), 0)), 50
        )
        low, high = values * np.exp(-wide), values * np.exp(wide)
        high[self.exponents] = np.minimum(high[self.exponents], 1.0)
        z = self.circuit.respond(values, self.grid)[0]
        return Fit(
            circuit=self.circuit.text,
            names=self.circuit.names,
            units=self.circuit.units,
            values=values,
            low=low,
            high=high,
            covariance=covariance,
            freedom=count - k,
            widened=widened,
            bic=float(count * np.log(max(square, 1e-300) / count) + k * np.log(count)),
            lowest_hz=float(self.grid.frequency_hz.min()),
            impedance_ohm=z,
            rms=float(np.sqrt(np.mean(np.abs((z - self.z) / self.z) ** 2) / 2)),
        )


def _inverse(jac: Floats) -> Floats:
    """Inverse of the normal equations (k, k); infinite variances of parameters that change nothing."""
    size = np.linalg.norm(jac, axis=0)
    shown = size > 1e-9 * max(float(size.max()), 1e-300)
    inverse = np.diag(np.where(shown, 0.0, np.inf))
    part = jac[:, shown] / size[shown]
    inverse[np.ix_(shown, shown)] = np.linalg.pinv(part.T @ part, hermitian=True) / np.outer(size[shown], size[shown])
    return inverse


def _widened(real: Floats, imaginary: Floats) -> float:
    """Factor on standard deviations where residuals follow their neighbours: fewer of them count than there are.

    With a correlation r of neighbours, n residuals are worth n (1 - r) / (1 + r) independent ones.
    """
    square = float(real @ real + imaginary @ imaginary)
    if square <= 0:
        return 1.0
    r = float(real[1:] @ real[:-1] + imaginary[1:] @ imaginary[:-1]) / square
    if r < CORRELATED / np.sqrt(2 * len(real)):
        return 1.0
    r = min(r, 0.95)
    return float(np.sqrt((1 + r) / (1 - r)))
