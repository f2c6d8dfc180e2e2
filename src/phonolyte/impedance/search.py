"""The best solution of a circuit that was given: from its simpler circuits, from anywhere, and from other solutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.impedance.circuits import Circuit, Element, parse_circuit
from phonolyte.impedance.elements import Role
from phonolyte.impedance.exchange import Shapes, chain
from phonolyte.impedance.problem import FIRST_STEPS, LAST_STEPS, Problem, Weighting
from phonolyte.impedance.spectrum import Spectrum

ANYWHERE, WITHIN = 80, 8
"""Random starts of the circuit that was given, and of each simpler one."""

BEGUN, BEGUN_WITHIN = 40, 8
"""Starts that make the first steps, those with the smallest sums of squares."""

BATCHES, SHAPES, EXCHANGED, TAKEN = 8, 150, 20, 8
"""Times that shapes of the parts of a chain are drawn, their number, how often they are exchanged from another
beginning, and how many of the ends are taken."""

MOVED, NEIGHBORS, IDLE = 8, 4, 3
"""Solutions from which parts are moved, shapes to which each part is moved, and rounds without a better solution after
which the search ends."""

PLACES = 4
"""Frequencies at which an element is added to a simpler circuit."""

FOLLOWED, FOLLOWED_WITHIN = 24, 6
"""Starts that are followed to the end, of the circuit that was given, and of each simpler one."""

FURTHER_STEPS = 20
"""Steps of the starts of the circuit that was given before those are chosen; circuits of many elements are slow to
separate good from bad."""

UNSEEN = 1e6
"""Factor between the impedance of an element that is not to be seen and that of the spectrum."""

FEW = 5
"""Elements up to which a simpler circuit is made simpler by each of its elements; else by parts of the chain."""

SPREADS = ((-1.5, 0.5), (-3.0, 3.0))
"""Random elements have the modulus of the spectrum at their frequency times ten to a power between these, in turn.

The wider ones find solutions of circuits that do not fit, which do without some of their elements."""

EXPONENT = 0.85
"""Exponent to start from."""

AS_GOOD = 1e-3
"""Sums of squares that differ by less than this share are as good."""

EXPONENTS = (0.4, 0.98)
"""Exponents to start from, where they are random."""

PLACES_MOVED = 6
"""Frequencies that each element of the best solution is moved to."""


class Place(NamedTuple):
    """Where an element matters: an angular frequency, 1/s, the impedance that it has there, ohm, and an exponent."""

    omega: float
    ohm: float
    exponent: float = EXPONENT
    ratio: float = 1.0


VALUES: dict[Role, Callable[[Place], float]] = {
    "resistance": lambda at: at.ohm,
    "admittance": lambda at: at.omega**-at.exponent / at.ohm,
    "inductance": lambda at: at.ohm / at.omega,
    "modified_inductance": lambda at: at.ohm ** (1 / at.exponent) / at.omega,
    "warburg": lambda at: at.ohm * at.omega**0.5,
    "time": lambda at: 1 / at.omega,
    "exponent": lambda at: at.exponent,
    "ratio": lambda at: at.ratio,
}
"""Value of a parameter by its role."""


class Search:
    """Solutions of circuits on one spectrum, each found once.

    Parameters
    ----------
    spectrum
        To be fitted.
    weighting
        Weighting of the residuals.
    fixed
        Values of parameters that are not fitted, by name.
    seed
        Seed of the random starts.
    """

    def __init__(self, spectrum: Spectrum, weighting: Weighting, fixed: Mapping[str, float], seed: int = 0) -> None:
        self.spectrum, self.weighting, self.fixed = spectrum, weighting, fixed
        self._omega, self._size = 2 * np.pi * spectrum.frequency_hz, np.abs(spectrum.impedance_ohm)
        self._random = np.random.default_rng(seed)
        self._known: dict[str, Floats] = {}

    def problem(self, circuit: Circuit) -> Problem:
        """The circuit and the spectrum as a problem of least squares."""
        return Problem(self.spectrum, circuit, self.weighting, self.fixed)

    def find(self, circuit: Circuit, guesses: Sequence[Floats] = (), number: int = ANYWHERE) -> Floats:
        """Coordinates of the best solution.

        Parameters
        ----------
        circuit
            To be fitted.
        guesses
            Values of all its parameters to start from.
        number
            Number of random starts.
        """
        problem, outer = self.problem(circuit), number == ANYWHERE
        drawn = [*guesses, *self._draw_many(circuit, number)]
        exchanged = self._exchange(problem, BATCHES if outer else 1) if self._is_scaled(circuit) else []
        simpler = circuit.simpler if outer or len(circuit.elements) <= FEW else circuit.shorter
        nested = [start for text in simpler for start in self._grow(circuit, text)] if outer or not exchanged else []
        bent = [self._bend(circuit, *ideal) for ideal in circuit.ideal] if outer else []
        few = BEGUN if outer else BEGUN_WITHIN
        kinds = (drawn, [*nested, *bent], exchanged)
        starts = [start for kind in kinds for start in self._pick(problem, kind, few)]
        ends = self._follow(problem, starts, outer=outer)
        return self._relocate(problem, ends) if outer else ends[0]

    def _exchange(self, problem: Problem, batches: int) -> list[Floats]:
        """Values to start from: of random shapes of each part of the chain those that leave least together."""
        starts = list[Floats]()
        for _ in range(batches):
            shapes, ends = Shapes.of_values(problem, self._draw_many(problem.circuit, SHAPES)), dict[Any, float]()
            for _ in range(EXCHANGED):
                chosen = self._random.integers(SHAPES, size=len(shapes.links))
                explained, end = shapes.exchange(chosen, self._random)
                ends[tuple(end.tolist())] = explained
            best = sorted(ends, key=ends.__getitem__, reverse=True)[:TAKEN]
            starts += [shapes.combine(np.array(end)) for end in best]
        return starts

    def _relocate(self, problem: Problem, ends: list[Floats]) -> Floats:
        """The best solution that is reached from others by moving one element or one part of the chain elsewhere."""
        circuit, idle = problem.circuit, 0
        while idle < IDLE:
            best, values = _cost(problem, ends[0]), [problem.values(x) for x in ends[:MOVED]]
            moved = self._pick(problem, list(self._move(circuit, values[0])), BEGUN)
            for known in values if self._is_scaled(circuit) else ():
                shapes = Shapes.of_values(problem, np.vstack([known, self._draw_many(circuit, SHAPES)]))
                moved += self._pick(problem, shapes.neighbors(NEIGHBORS), len(shapes.links) * NEIGHBORS)
            led = self._follow(problem, moved, outer=True)
            ends = _pick_distinct(problem, [*ends, *led], FOLLOWED)
            idle = 0 if _cost(problem, ends[0]) < best * (1 - AS_GOOD / 10) else idle + 1
        return ends[0]

    def _is_scaled(self, circuit: Circuit) -> bool:
        """Whether sizes of the parts of the chain can be solved for: nothing is fixed, and all elements are known."""
        return not self.fixed and bool(chain(circuit))

    def _draw_many(self, circuit: Circuit, number: int) -> Floats:
        return np.array([self._draw(circuit, SPREADS[at % len(SPREADS)]) for at in range(number)])

    def _move(self, circuit: Circuit, values: Floats) -> Iterator[Floats]:
        """Values with an element, or all elements of a part of the chain, not to be seen, or at another frequency."""
        known = dict(zip(circuit.names, values.tolist(), strict=True))
        for elements in circuit.groups:
            for place in self._places(PLACES_MOVED):
                new = [value for element in elements for value in _at(element, place).items()]
                yield np.array([{**known, **dict(new)}[name] for name in circuit.names])

    def _pick(self, problem: Problem, starts: Sequence[Floats], few: int) -> list[Floats]:
        """Coordinates of the few starts with the smallest sums of squares."""
        with np.errstate(all="ignore"):
            ranked = [(_cost(problem, x), at, x) for at, x in enumerate(map(problem.free, starts))]
        return [x for cost, _, x in sorted(ranked, key=lambda entry: entry[:2])[:few] if np.isfinite(cost)]

    def prefer(self, circuit: Circuit, best: Floats, start: Mapping[str, float]) -> Floats:
        """The solution that some values lead to, where it is as good as the best; else that."""
        problem = self.problem(circuit)
        known = dict(zip(circuit.names, problem.values(best).tolist(), strict=True))
        drawn = [dict(zip(circuit.names, self._draw(circuit, SPREADS[0]).tolist(), strict=True)) for _ in range(WITHIN)]
        guesses = [
            np.array([{**known_values, **start}[name] for name in circuit.names]) for known_values in (known, *drawn)
        ]
        led = self._follow(problem, [problem.free(guess) for guess in guesses])[0]
        return led if _cost(problem, led) <= _cost(problem, best) * (1 + AS_GOOD) else best

    def _follow(self, problem: Problem, starts: Sequence[Floats], *, outer: bool = False) -> list[Floats]:
        """The ends of some starts, the best first: all make the first steps, the best of them the last."""
        steps, few = (FURTHER_STEPS, FOLLOWED) if outer else (FIRST_STEPS, FOLLOWED_WITHIN)
        with np.errstate(all="ignore"):
            begun = sorted((problem.solve(x, steps) for x in starts), key=lambda solution: float(solution.cost))
            distinct = [
                solution
                for at, solution in enumerate(begun)
                if not at or solution.cost > begun[at - 1].cost * (1 + AS_GOOD)
            ]
            ends = [
                solution if solution.status > 0 else problem.solve(solution.x, LAST_STEPS)
                for solution in distinct[:few]
            ]
        return [solution.x for solution in sorted(ends, key=lambda solution: float(solution.cost))]

    def _solve(self, text: str) -> dict[str, float]:
        """Values of a simpler circuit, by name."""
        circuit = parse_circuit(text)
        if text not in self._known:
            free = set(circuit.names) - set(self.fixed)
            x = self.find(circuit, number=WITHIN) if free else np.empty(0)
            values = self.problem(circuit).values(x) if free else np.array([self.fixed[n] for n in circuit.names])
            self._known[text] = values
        return dict(zip(circuit.names, self._known[text].tolist(), strict=True))

    def _grow(self, circuit: Circuit, text: str) -> Iterator[Floats]:
        """Values to start from: those of a circuit with an element less, the new one unseen, and here and there."""
        known = self._solve(text)
        new = [element for element in circuit.elements if element.name not in _names(text)]
        for place in self._places(PLACES):
            values = dict(known)
            for element in new:
                values |= _at(element, place)
            yield np.array([values[name] for name in circuit.names])

    def _bend(self, circuit: Circuit, text: str, name: str, ideal: str) -> Floats:
        """Values to start from: those of a circuit in which an exponent is one."""
        known = self._solve(text)
        names = [f"{ideal}_{number}" if f"{ideal}_{number}" in known else ideal for number in range(2)]
        values = {**known, **{f"{name}_{number}": known[inner] for number, inner in enumerate(dict.fromkeys(names))}}
        return np.array([values.get(inner, 1.0) for inner in circuit.names])

    def _places(self, number: int) -> list[Place]:
        """Where an element may matter: nowhere, in series and beside others, and at a number of frequencies."""
        unseen = [Place(float(np.median(self._omega)), ohm) for ohm in self._unseen]
        at = np.linspace(0, len(self._omega) - 1, number).astype(int)
        return [*unseen, *(Place(float(self._omega[i]), 0.3 * float(self._size[i])) for i in at)]

    @property
    def _unseen(self) -> tuple[float, float]:
        """Impedances of an element that is not to be seen, in series and beside others."""
        return float(self._size.min()) / UNSEEN, float(self._size.max()) * UNSEEN

    def _draw(self, circuit: Circuit, spread: tuple[float, float]) -> Floats:
        """Random values: each element matters at some frequency."""
        values: dict[str, float] = {}
        for element in circuit.elements:
            at = int(self._random.integers(len(self._omega)))
            ohm = float(self._size[at]) * 10 ** self._random.uniform(*spread)
            exponent, ratio = self._random.uniform(*EXPONENTS), 10 ** self._random.uniform(-1, 1)
            values |= _at(element, Place(float(self._omega[at]), ohm, exponent, ratio))
        return np.array([values[name] for name in circuit.names])


def _at(element: Element, place: Place) -> dict[str, float]:
    """Values of the parameters of an element at a place, by name."""
    exact = place if "exponent" in element.kind.roles else place._replace(exponent=1.0)
    values = [VALUES[role](exact) for role in element.kind.roles]
    names = [element.name] if len(values) == 1 else [f"{element.name}_{number}" for number in range(len(values))]
    return dict(zip(names, values, strict=True))


def _names(text: str) -> set[str]:
    return {element.name for element in parse_circuit(text).elements}


def _cost(problem: Problem, x: Floats) -> float:
    off = problem.residuals(x)
    return float(off @ off) / 2


def _pick_distinct(problem: Problem, ends: Sequence[Floats], few: int) -> list[Floats]:
    """The best few solutions, of those that are as good only one."""
    costs = sorted((_cost(problem, x), at) for at, x in enumerate(ends))
    picked, last = list[Floats](), 0.0
    for cost, at in costs:
        if not picked or cost > last * (1 + AS_GOOD / 5):
            picked.append(ends[at])
            last = cost
    return picked[:few]
