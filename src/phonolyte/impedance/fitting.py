"""Circuits fitted to a spectrum without a value to start from, and the simplest adequate one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import SpectrumError
from phonolyte.impedance.circuits import Circuit, parse_circuit
from phonolyte.impedance.problem import Fit, Problem, Weighting
from phonolyte.impedance.search import ANYWHERE, WITHIN, Search
from phonolyte.impedance.spectrum import Spectrum
from phonolyte.impedance.starts import Decomposition, from_misfit, from_simpler, from_spectrum

CORES = ("R1-CPE0", "p(R1,CPE1)", "p(R1,CPE1)-p(R2,CPE2)", "p(R1,CPE1)-CPE0", "p(R1,CPE1)-p(R2,CPE2)-CPE0")
"""Circuits of solid electrolytes, in the notation of impedance.py, the simple ones first: arcs, and what blocks.

Each is tried with a resistor before it too, with an inductor where the spectrum shows one, with a Warburg element for
what blocks where that has an exponent near a half, which is the same, and with one of finite length for a second arc
and what blocks."""

BETTER = 10.0
"""Information criterion by which a further element must be better: odds of more than a hundred to one."""

WARBURG = (0.4, 0.6)
"""Exponents between which a constant phase element may be a Warburg element."""

TAIL = "-p(R2,CPE2)-CPE0"
"""What a blocking tail that begins as a diffusion is taken for, unless it is tried as one."""

INDUCTIVE = 0.02
"""Share of the modulus at the highest frequency from which on an inductance is looked for."""


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
            problem = Problem(spectrum, circuit, weighting)
            tried[text] = problem.fit(problem.solve_from(guesses))

    for core in CORES:
        circuit = parse_circuit(core)
        attempt(core, [*from_spectrum(parts, circuit), *_from_tried(spectrum, circuit, tried)])
    for core in CORES[1:]:
        known, circuit = tried.get(core), parse_circuit(f"R0-{core}")
        grown = _grow(known, parts.series_ohm, 0.01 * parts.total_ohm) if known else []
        attempt(circuit.text, [*grown, *_from_tried(spectrum, circuit, tried)])
    if _inductive(spectrum, parts):
        for core in CORES:
            known = tried.get(f"R0-{core}" if core != CORES[0] else core)
            circuit = parse_circuit(f"L0-{known.circuit}" if known else f"L0-R0-{core}")
            grown = _grow(known, parts.inductance_h) if known else []
            more = [*from_spectrum(parts, circuit), *_from_tried(spectrum, circuit, tried)]
            attempt(circuit.text, [*grown, *more])
    before = choose_simplest(tried.values())
    if before and before.circuit.endswith("-CPE0") and WARBURG[0] < before["CPE0_1"] < WARBURG[1]:
        attempt(before.circuit.removesuffix("CPE0") + "W0", _warburg(before))
    if before and before.circuit.endswith(TAIL):
        attempt(before.circuit.removesuffix(TAIL) + "-Wo0", _open_warburg(before))
    best = choose_simplest(tried.values()) or min(tried.values(), key=lambda fit: fit.bic, default=None)
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
    fixed: Mapping[str, float] | None = None,
    weighting: Weighting = "modulus",
) -> Fit:
    """Fit a circuit, without values to start from.

    Circuits with an element less are fitted first, and it starts from them, too, with the element not to be seen: so it
    fits no worse than they do.

    Parameters
    ----------
    spectrum
        To be fitted.
    circuit
        In the notation of impedance.py, such as ``R0-p(R1,CPE1)-CPE2``.
    start
        Values to start from, by the names of the parameters. They decide between solutions that are as good, such as
        two arcs in either order; what is better than they lead to is taken.
    fixed
        Values of parameters that are not fitted, by their names.
    weighting
        Residuals as shares of the modulus, or in ohm (``"unit"``).

    Raises
    ------
    SpectrumError
        For a circuit that does not exist, names that are none of its parameters', values that are not above zero, and
        a circuit that has more parameters than the spectrum has values.
    """
    wanted = parse_circuit(circuit)
    start, fixed = dict(start or {}), dict(fixed or {})
    wanted.check({**start, **fixed})
    guesses = from_spectrum(Decomposition.from_spectrum(spectrum), wanted)
    tried = _as_tried(spectrum, wanted, weighting)
    search = Search(spectrum, weighting, fixed)
    best = search.find(wanted, [*guesses, *tried], WITHIN if tried and not fixed else ANYWHERE)
    return search.problem(wanted).fit(search.prefer(wanted, best, start) if start else best)


def _as_tried(spectrum: Spectrum, wanted: Circuit, weighting: Weighting) -> list[Floats]:
    """Values of the same circuit, where :func:`choose_circuit` tries it, whatever its tail is called."""
    same = re.sub(r"-CPE\d+$", "-CPE0", wanted.text)
    if same not in {core for plain in CORES for core in (plain, f"R0-{plain}", f"L0-{plain}", f"L0-R0-{plain}")}:
        return []
    try:
        _, tried = choose_circuit(spectrum, weighting=weighting)
    except SpectrumError:
        return []
    return [fit.values.copy() for fit in tried if fit.circuit == same]


def choose_simplest(fits: Iterable[Fit]) -> Fit | None:
    """The one with the fewest parameters that none with more is better than by much."""
    ordered = sorted((fit for fit in fits if fit.resolved), key=lambda fit: (len(fit.names), fit.bic))
    best = ordered[0] if ordered else None
    for fit in ordered[1:]:
        if best and fit.bic < best.bic - (BETTER if len(fit.names) > len(best.names) else 0.0):
            best = fit
    return best


def _grow(known: Fit, *guesses: float) -> list[Floats]:
    """Values to start from: those of a circuit without its first resistor or inductor, with guesses of that."""
    return [np.insert(known.values, 0, max(guess, 1e-12)) for guess in guesses]


def _inductive(spectrum: Spectrum, parts: Decomposition) -> bool:
    """Whether the highest frequencies show an inductance, more of it than noise."""
    share = 2 * np.pi * spectrum.frequency_hz[0] * parts.inductance_h / np.abs(spectrum.impedance_ohm[0])
    return bool(share > max(INDUCTIVE, 3 * parts.rms))


def _warburg(best: Fit) -> list[Floats]:
    """Values to start from for a Warburg element where a constant phase element was, the last one."""
    return [np.append(best.values[:-2], 1 / (best.values[-2] * np.sqrt(2)))]


def _open_warburg(best: Fit) -> list[Floats]:
    """Values to start from for a Warburg element of finite length where an arc and a tail were, the slower arc.

    At low frequencies that is a third of its resistance, and its time over that resistance as capacitance.
    """
    (fast, _, _), (_, slow_ohm, _) = best.arcs
    q = f"CPE{fast[1:]}"
    names = [*(name for name in best.names if name in ("L0", "R0")), fast, f"{q}_0", f"{q}_1"]
    before = [best[name] for name in names]
    return [np.array([*before, 3 * slow_ohm, 3 * slow_ohm * best["CPE0_0"] * scale]) for scale in (0.3, 1.0, 3.0)]


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
