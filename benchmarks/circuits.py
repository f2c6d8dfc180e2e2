"""How often a circuit that was given is fitted as well as it can be, without a value to start from.

Usage: python benchmarks/circuits.py [N [STARTS [SEED [ITEMS [JOBS]]]]]

N (200 unless given) random circuits of two to four parts in series: resistors, arcs, Randles elements, loops of an
inductor beside an arc, Warburg's, Gerischer's and constant phase elements. Two in three are fitted to a spectrum of
their own with 0.5 % of noise on 61 points from 1 MHz to 1 Hz, the others to one of another circuit. A solution is the
best one when its sum of squares is within 0.1 % of the smallest that has been seen: by this fit, from STARTS (200
unless given) random starts, each followed to its end; each fourth circuit is also given to another search, with
random numbers of its own. Each circuit has a random sequence of its own, by SEED (0) and its number. Finished ones
are lines of the file ITEMS, where one is named: started again, the benchmark goes on with the others, JOBS (1) at a
time.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from record import keep

from phonolyte.impedance import Spectrum, fit_circuit
from phonolyte.impedance.circuits import Circuit, parse_circuit
from phonolyte.impedance.elements import Role
from phonolyte.impedance.problem import Problem
from phonolyte.impedance.search import Search

F = np.logspace(6, 0, 61)
PARTS = (
    "R{0}", "p(R{0},C{0})", "p(R{0},CPE{0})", "p(R{0}-W{0},C{0})", "p(R{0}-Wo{0},CPE{0})", "p(R{0}-Ws{0},C{0})",
    "p(R{0},CPE{0},R{1}-L{0})", "CPE{0}", "W{0}", "Wo{0}", "Zarc{0}", "G{0}", "p(CPE{0},R{0}-CPE{1})",
)  # fmt: skip
ONCE = ("R{0}", "CPE{0}", "W{0}", "Wo{0}", "G{0}")
CLOSE, AGAIN, NESTED = 1e-3, 4, 16
"""Share of a sum of squares that does not matter; of every so many circuits another search is done, and those with an
element less are fitted."""

OTHER_SEED = 1
"""Of the search that a fit is compared with; fits begin with 0."""


def main(n: int, starts: int, seed: int, items: str = "", jobs: str = "1") -> None:
    path = Path(items) if items else None
    done = [json.loads(line) for line in path.read_text().splitlines()] if path and path.is_file() else []
    left = sorted(set(range(n)) - {one["number"] for one in done})
    with ProcessPoolExecutor(int(jobs)) as pool:
        for running in as_completed([pool.submit(measure, number, starts, seed) for number in left]):
            done.append(running.result())
            if path:
                with path.open("a") as file:
                    file.write(json.dumps(done[-1]) + "\n")
            print(done[-1], flush=True)
    done = sorted((one for one in done if one["number"] < n), key=lambda one: one["number"])
    keep("circuits" if seed == 0 else f"circuits-seed-{seed}", summarize(done, starts, seed))


def measure(number: int, starts: int, seed: int) -> dict[str, Any]:
    """Fit one circuit, and look for a better solution from many random starts."""
    rng = np.random.default_rng((seed, number))
    circuit = make_circuit(rng)
    spectrum = make_spectrum(circuit if number % 3 else make_circuit(rng), rng)
    begun = time.process_time()
    found = fit_circuit(spectrum, circuit.text)
    seconds = time.process_time() - begun
    problem = Problem(spectrum, circuit, "modulus")
    cost = compute_cost(problem, found.values)
    again = None
    if number % AGAIN == 0:
        again = compute_cost(problem, problem.values(Search(spectrum, "modulus", {}, OTHER_SEED).find(circuit)))
    reference = min(follow(problem, draw(circuit, rng, wide=True)) for _ in range(starts))
    inner = [compute_cost(Problem(spectrum, parse_circuit(text), "modulus"), fit_circuit(spectrum, text).values)
             for text in (() if number % NESTED else circuit.simpler)]  # fmt: skip
    return {
        "number": number,
        "circuit": circuit.text,
        "own": bool(number % 3),
        "times_reference": round(cost / reference, 6),
        "times_again": None if again is None else round(cost / again, 6),
        "seconds": round(seconds, 3),
        "nested": all(cost <= one * (1 + CLOSE) for one in inner) if inner else None,
    }


def summarize(done: list[dict[str, Any]], starts: int, seed: int) -> dict[str, Any]:
    """What all circuits say together."""
    missed = [one for one in done if one["times_reference"] > 1 + CLOSE]
    again = [one["times_again"] for one in done if one["times_again"] is not None]
    checked = [one["nested"] for one in done if one["nested"] is not None]
    seconds = [one["seconds"] for one in done]
    return {
        "n": len(done),
        "starts": starts,
        "seed": seed,
        "best_solution": round(1 - len(missed) / len(done), 4),
        "best_solution_of_own_spectra": f"{sum(one['own'] for one in done) - sum(one['own'] for one in missed)} of "
        f"{sum(one['own'] for one in done)}",
        "never_worse_than_an_inner_circuit": f"{sum(checked)} of {len(checked)}",
        "as_good_as_another_search": f"{sum(times <= 1 + CLOSE for times in again)} of {len(again)}",
        "within_1_percent_of_another_search": f"{sum(times <= 1.01 for times in again)} of {len(again)}",
        "best_of_random_starts_alone": round(sum(one["times_reference"] >= 1 - CLOSE for one in done) / len(done), 4),
        "missed": [f"{one['circuit']}: {one['times_reference']:.3f}" for one in missed],
        "cpu_seconds_median": round(float(np.median(seconds)), 2),
        "cpu_seconds_95": round(float(np.quantile(seconds, 0.95)), 2),
    }


def make_circuit(rng: np.random.Generator) -> Circuit:
    """A random circuit of two to four parts in series."""
    chosen: list[str] = []
    for _ in range(rng.integers(2, 5)):
        left = [part for part in PARTS if part not in ONCE or part not in chosen]
        chosen.append(left[rng.integers(len(left))])
    return parse_circuit("-".join(part.format(2 * at, 2 * at + 1) for at, part in enumerate(chosen)))


def make_spectrum(circuit: Circuit, rng: np.random.Generator) -> Spectrum:
    """Spectrum of a circuit with random values, and noise."""
    z = circuit.impedance_ohm(draw(circuit, rng, wide=False), F)
    z = z + np.abs(z) * 0.005 * (rng.normal(size=len(F)) + 1j * rng.normal(size=len(F)))
    return Spectrum.from_arrays("x", F, np.where(z.real > 0, z, 1e-3 * np.abs(z) + 1j * z.imag))


def draw(circuit: Circuit, rng: np.random.Generator, *, wide: bool) -> np.ndarray:
    """Random values: each element has some impedance at some frequency."""
    values: list[float] = []
    for element in circuit.elements:
        omega, ohm = 10 ** rng.uniform(0.8, 6.8), 10 ** (rng.uniform(-1, 6) if wide else rng.uniform(2, 4))
        exponent, ratio = rng.uniform(0.5, 0.98), 10 ** rng.uniform(-1, 1)
        if "exponent" not in element.kind.roles:
            exponent = 1.0
        known: dict[Role, float] = {
            "resistance": ohm, "admittance": omega**-exponent / ohm, "inductance": ohm / omega, "time": 1 / omega,
            "warburg": ohm * omega**0.5, "modified_inductance": ohm / omega, "exponent": exponent, "ratio": ratio,
        }  # fmt: skip
        values += [known[role] for role in element.kind.roles]
    return np.array(values)


def follow(problem: Problem, values: np.ndarray) -> float:
    """The sum of squares where a start leads to."""
    with np.errstate(all="ignore"):
        try:
            return float(problem.solve(problem.free(values), 200).cost)
        except ValueError:  # the start has no impedance
            return np.inf


def compute_cost(problem: Problem, values: np.ndarray) -> float:
    """Half the sum of squares; from values, since coordinates keep exponents away from one to start from."""
    off = (problem.circuit.respond(values, problem.grid)[0] - problem.z) * problem.weight
    return float(np.sum(np.abs(off) ** 2)) / 2


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:4]]
    n, starts, seed = [*given, *(200, 200, 0)[len(given) :]]
    main(n, starts, seed, *sys.argv[4:6])
