"""Values to start a fit from, found in the spectrum itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from phonolyte.arrays import Floats
from phonolyte.impedance.circuits import Circuit
from phonolyte.impedance.elements import Grid
from phonolyte.impedance.spectrum import Spectrum

PER_DECADE = 6
"""Time constants of the decomposition in a decade."""

ALPHAS = (0.9, 0.7)
"""Exponents of arcs to start from."""

SHARES, APART, SPLIT_ALPHA = (0.2, 0.5, 0.8), 20.0, 0.85
"""An arc that may be two: shares of its resistance, ratio of the time constants, exponent of both to start from."""

TRIED, TAKEN = 3, 3
"""Time constants in a decade at which a further arc is tried, and how many of them a fit starts from."""


@dataclass(frozen=True, slots=True, eq=False)
class Decomposition:
    """A spectrum as a sum of RC elements, a resistance, an inductance and a blocking capacitance.

    Attributes
    ----------
    tau_s, resistance_ohm
        Time constants and resistances of the elements, (m,).
    series_ohm, inductance_h
        At infinite frequency.
    capacitance_f
        In series; infinite where nothing blocks.
    frequency_hz
        The lowest measured.
    rms
        What is left over, as a share of the modulus.
    """

    tau_s: Floats
    resistance_ohm: Floats
    series_ohm: float
    inductance_h: float
    capacitance_f: float
    frequency_hz: float
    rms: float

    @classmethod
    def from_spectrum(cls, spectrum: Spectrum) -> Decomposition:
        """Decompose a spectrum by non-negative least squares: linear, with one solution, nothing to start from."""
        f, size = spectrum.frequency_hz, np.abs(spectrum.impedance_ohm)
        omega = 2 * np.pi * f
        decades = np.log10(f[0] / f[-1]) + 2
        tau = np.logspace(np.log10(0.1 / omega[0]), np.log10(10 / omega[-1]), max(8, round(PER_DECADE * decades)))
        ones = np.ones((len(f), 1))
        columns = np.concatenate(
            (1 / (1 + 1j * omega[:, None] * tau), ones, 1j * omega[:, None], -1j / omega[:, None]), axis=1
        )
        columns = columns / size[:, None]
        target = spectrum.impedance_ohm / size
        stacked = np.concatenate((columns.real, columns.imag))
        scale = np.linalg.norm(stacked, axis=0)
        design, wanted = stacked / scale, np.concatenate((target.real, target.imag))
        try:
            amounts, left = nnls(design, wanted, maxiter=20 * len(scale))
        except RuntimeError:  # it can go round in circles where there is no noise
            amounts = np.maximum(np.linalg.lstsq(design, wanted, rcond=1e-3)[0], 0.0)
            left = float(np.linalg.norm(design @ amounts - wanted))
        parts = amounts / scale
        blocking = float(1 / parts[-1]) if parts[-1] > 0 else np.inf
        return cls(
            tau,
            parts[:-3],
            float(parts[-3]),
            float(parts[-2]),
            blocking,
            float(f[-1]),
            float(left / np.sqrt(2 * len(f))),
        )

    @property
    def total_ohm(self) -> float:
        """Sum of all resistances."""
        return max(self.series_ohm + float(self.resistance_ohm.sum()), 1e-12)

    @property
    def blocking_f(self) -> float:
        """What blocks; a capacitance that would not show where nothing does."""
        unseen = 10 / (2 * np.pi * self.frequency_hz * self.total_ohm)
        return self.capacitance_f if np.isfinite(self.capacitance_f) else unseen

    def arcs(self, n: int) -> list[tuple[float, float]]:
        """Resistance and time constant of n arcs, groups of elements between the deepest gaps."""
        reach = 1 / (2 * np.pi * self.frequency_hz)
        seen = self.resistance_ohm * (self.tau_s < 3 * reach)
        inside = seen if seen.sum() > 0 else self.resistance_ohm
        total = float(inside.sum())
        if n == 0 or total <= 0:
            return [(self.total_ohm, reach)] * n
        smooth = np.convolve(inside, [0.25, 0.5, 0.25], mode="same")
        below = np.cumsum(inside) / total
        gaps = [
            (smooth[i] / min(below[i], 1 - below[i]), i) for i in range(1, len(below) - 1) if 0.02 < below[i] < 0.98
        ]
        cuts = sorted(i for _, i in sorted(gaps)[: n - 1])
        arcs = []
        for group in np.split(np.arange(len(below)), [cut + 1 for cut in cuts]):
            weight = inside[group]
            if weight.sum() > 0:
                tau = float(np.exp(np.average(np.log(self.tau_s[group]), weights=weight)))
                arcs.append((float(weight.sum()), tau))
        while len(arcs) < n:
            arcs.append((0.3 * arcs[-1][0], 10 * arcs[-1][1]))
        return arcs


def from_spectrum(parts: Decomposition, circuit: Circuit) -> list[Floats]:
    """Values to start from: arcs at the peaks of a decomposition."""
    arcs = dict(zip(circuit.arcs, parts.arcs(len(circuit.arcs)), strict=True))
    return [np.array([_guess(name, parts, arcs, alpha) for name in circuit.names]) for alpha in ALPHAS]


def from_simpler(simpler: Circuit, values: Floats, slowest: str, circuit: Circuit) -> list[Floats]:
    """Values to start from where an arc of a simpler circuit is two: shares of its resistance, apart in time.

    Parameters
    ----------
    simpler, values
        A circuit with an arc less, and its fitted parameters.
    slowest
        Number of its arc that may be two.
    circuit
        The circuit to start.
    """
    known = dict(zip(simpler.names, values.tolist(), strict=True))
    resistance, alpha = known[f"R{slowest}"], known[f"CPE{slowest}_1"]
    tau = (known[f"CPE{slowest}_0"] * resistance) ** (1 / alpha)
    (new,) = set(circuit.arcs) - set(simpler.arcs)
    starts = []
    for share in SHARES:
        fast = _arc(new, share * resistance, tau / APART**0.5)
        slow = _arc(slowest, (1 - share) * resistance, tau * APART**0.5)
        guess = {**known, **fast, **slow}
        starts.append(np.array([guess[name] for name in circuit.names]))
    return starts


def from_misfit(spectrum: Spectrum, simpler: Circuit, values: Floats, circuit: Circuit) -> list[Floats]:
    """Values to start from where a simpler circuit leaves an arc out: where one would take most of the misfit.

    For each time constant an arc is added, and all are solved for at once in linear approximation.

    Parameters
    ----------
    spectrum
        To be fitted.
    simpler, values
        A circuit with an arc less, and its fitted parameters.
    circuit
        The circuit to start.
    """
    grid, weight = Grid.from_frequencies(spectrum.frequency_hz), 1 / np.abs(spectrum.impedance_ohm)
    z, slopes = simpler.respond(values, grid)
    off = (spectrum.impedance_ohm - z) * weight
    target = np.concatenate((off.real, off.imag))
    decades = np.log10(grid.omega[0] / grid.omega[-1])
    taus = np.logspace(np.log10(1 / grid.omega[0]), np.log10(1 / grid.omega[-1]), max(4, round(TRIED * decades)))
    (new,) = set(circuit.arcs) - set(simpler.arcs)
    tried = []
    for tau in taus:
        arc = 1 / (1 + np.exp(SPLIT_ALPHA * (grid.log_j_omega + np.log(tau))))
        design = np.concatenate((slopes, arc[None])) * weight
        stacked = np.concatenate((design.real, design.imag), axis=1).T
        norm = np.maximum(np.linalg.norm(stacked, axis=0), 1e-300)
        change = np.linalg.lstsq(stacked / norm, target, rcond=1e-8)[0]
        left = target - stacked / norm @ change
        tried.append((float(left @ left), float(change[-1] / norm[-1]), float(tau)))
    known = dict(zip(simpler.names, values.tolist(), strict=True))
    best = [
        trial
        for at, trial in enumerate(tried)
        if trial[1] > 0 and trial[0] <= min(near[0] for near in tried[max(at - 1, 0) : at + 2])
    ]
    starts = []
    for _, r, tau in sorted(best)[:TAKEN]:
        guess = {**known, **_arc(new, r, tau)}
        starts.append(np.array([guess[name] for name in circuit.names]))
    return starts


def _arc(number: str, r: float, tau: float) -> dict[str, float]:
    """Parameters of an arc with the exponent to start from."""
    return {f"R{number}": r, f"CPE{number}_0": tau**SPLIT_ALPHA / r, f"CPE{number}_1": SPLIT_ALPHA}


def _guess(name: str, parts: Decomposition, arcs: dict[str, tuple[float, float]], alpha: float) -> float:
    kind, number, which = re.findall(r"([A-Za-z]+)(\d*)(?:_(\d+))?", name)[0]
    if kind == "CPE" and which == "1":
        return alpha
    if kind in ("R", "CPE", "C") and number in arcs:
        r, tau = arcs[number]
        return r if kind == "R" else float(tau ** (alpha if kind == "CPE" else 1.0) / r)
    if kind == "R":
        return max(parts.series_ohm, 1e-3 * parts.total_ohm)
    if kind in ("CPE", "C"):
        return parts.blocking_f
    if kind == "L":
        return max(parts.inductance_h, 1e-9)
    if kind == "W":
        return float(np.sqrt(2 * np.pi * parts.frequency_hz) * parts.total_ohm * 0.1)
    return parts.total_ohm
