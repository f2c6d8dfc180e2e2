"""How often a user's circuit is fitted as well as it can be, without starting values.

Usage: python benchmarks/circuits.py [N [STARTS [SEED [ITEMS [JOBS]]]]]

N (default: 200) random circuits of two to four parts in series: resistors, arcs, Randles elements, loops of an
inductor beside an arc, Warburg's, Gerischer's and constant phase elements. Two in three are fitted to a spectrum of
their own with 0.5 % of noise on 61 points from 1 MHz to 1 Hz, the others to one of another circuit. A solution is the
best one when its sum of squares is within 0.1 % of the smallest that has been seen: by this fit, from STARTS
(default: 200) random starts, each followed to its end; every fourth circuit is also fitted by another search, with
random numbers of its own. Each circuit has its own random sequence, from SEED (default: 0) and its number. Finished
circuits are lines of the file ITEMS, if named: started again, the benchmark goes on with the others, JOBS (default: 1)
at a time.
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
"""Relative difference of sums of squares that does not matter; another search is run for one circuit in AGAIN, and
those with an element less are fitted for one in NESTED."""

OTHER_SEED = 1
"""Seed of the search that a fit is compared with; fits begin with 0."""


def main(n: int, starts: int, seed: int, items: str = "", jobs: str = "1") -> None:
    path = Path(items) if items else None
    done = [json.loads(line) for line in path.read_text().splitlines()] if path and path.is_file() else []
    remaining = sorted(set(range(n)) - {row["number"] for row in done})
    with ProcessPoolExecutor(int(jobs)) as pool:
        for running in as_completed([pool.submit(measure, number, starts, seed) for number in remaining]):
            done.append(running.result())
            if path:
                with path.open("a") as file:
                    file.write(json.dumps(done[-1]) + "\n")
            print(done[-1], flush=True)
    done = sorted((row for row in done if row["number"] < n), key=lambda row: row["number"])
    keep("circuits" if seed == 0 else f"circuits-seed-{seed}", summarize(done, starts, seed))


def measure(number: int, starts: int, seed: int) -> dict[str, Any]:
    """Fit one circuit, and look for a better solution from many random starts."""
    rng = np.random.default_rng((seed, number))
    circuit = make_circuit(rng)
    spectrum = make_spectrum(circuit if number % 3 else make_circuit(rng), rng)
    start = time.process_time()
    fit = fit_circuit(spectrum, circuit.text)
    seconds = time.process_time() - start
    problem = Problem(spectrum, circuit, "modulus")
    cost = compute_cost(problem, fit.values)
    again = None
    if number % AGAIN == 0:
        again = compute_cost(problem, problem.values(Search(spectrum, "modulus", {}, OTHER_SEED).find(circuit)))
    reference = min(follow_start(problem, draw_values(circuit, rng, wide=True)) for _ in range(starts))
    inner_costs = [compute_cost(Problem(spectrum, parse_circuit(text), "modulus"), fit_circuit(spectrum, text).values)
                   for text in (() if number % NESTED else circuit.simpler)]  # fmt: skip
    return {
        "number": number,
        "circuit": circuit.text,
        "own": bool(number % 3),
        "times_reference": round(cost / reference, 6),
        "times_again": None if again is None else round(cost / again, 6),
        "seconds": round(seconds, 3),
        "nested": all(cost <= inner_cost * (1 + CLOSE) for inner_cost in inner_costs) if inner_costs else None,
    }


def summarize(done: list[dict[str, Any]], starts: int, seed: int) -> dict[str, Any]:
    """Summarize the results of all circuits."""
    missed = [row for row in done if row["times_reference"] > 1 + CLOSE]
    again = [row["times_again"] for row in done if row["times_again"] is not None]
    checked = [row["nested"] for row in done if row["nested"] is not None]
    seconds = [row["seconds"] for row in done]
    return {
        "n": len(done),
        "starts": starts,
        "seed": seed,
        "best_solution": round(1 - len(missed) / len(done), 4),
        "best_solution_of_own_spectra": f"{sum(row['own'] for row in done) - sum(row['own'] for row in missed)} of "
        f"{sum(row['own'] for row in done)}",
        "never_worse_than_an_inner_circuit": f"{sum(checked)} of {len(checked)}",
        "as_good_as_another_search": f"{sum(times <= 1 + CLOSE for times in again)} of {len(again)}",
        "within_1_percent_of_another_search": f"{sum(times <= 1.01 for times in again)} of {len(again)}",
        "best_of_random_starts_alone": round(sum(row["times_reference"] >= 1 - CLOSE for row in done) / len(done), 4),
        "missed": [f"{row['circuit']}: {row['times_reference']:.3f}" for row in missed],
        "cpu_seconds_median": round(float(np.median(seconds)), 2),
        "cpu_seconds_95": round(float(np.quantile(seconds, 0.95)), 2),
    }


def make_circuit(rng: np.random.Generator) -> Circuit:
    """Make a random circuit of two to four parts in series."""
    chosen: list[str] = []
    for _ in range(rng.integers(2, 5)):
        templates = [template for template in PARTS if template not in ONCE or template not in chosen]
        chosen.append(templates[rng.integers(len(templates))])
    return parse_circuit("-".join(template.format(2 * index, 2 * index + 1) for index, template in enumerate(chosen)))


def make_spectrum(circuit: Circuit, rng: np.random.Generator) -> Spectrum:
    """Simulate a spectrum of a circuit with random values, with noise."""
    z = circuit.impedance_ohm(draw_values(circuit, rng, wide=False), F)
    z = z + np.abs(z) * 0.005 * (rng.normal(size=len(F)) + 1j * rng.normal(size=len(F)))
    return Spectrum.from_arrays("x", F, np.where(z.real > 0, z, 1e-3 * np.abs(z) + 1j * z.imag))


def draw_values(circuit: Circuit, rng: np.random.Generator, *, wide: bool) -> np.ndarray:
    """Draw random values with which each element has some impedance at some frequency."""
    values: list[float] = []
    for element in circuit.elements:
        omega, ohm = 10 ** rng.uniform(0.8, 6.8), 10 ** (rng.uniform(-1, 6) if wide else rng.uniform(2, 4))
        exponent, ratio = rng.uniform(0.5, 0.98), 10 ** rng.uniform(-1, 1)
        if "exponent" not in element.kind.roles:
            exponent = 1.0
        values_by_role: dict[Role, float] = {
            "resistance": ohm, "admittance": omega**-exponent / ohm, "inductance": ohm / omega, "time": 1 / omega,
            "warburg": ohm * omega**0.5, "modified_inductance": ohm / omega, "exponent": exponent, "ratio": ratio,
        }  # fmt: skip
        values += [values_by_role[role] for role in element.kind.roles]
    return np.array(values)


def follow_start(problem: Problem, values: np.ndarray) -> float:
    """Return the sum of squares that a fit from a start ends with; infinity if the start has no impedance."""
    with np.errstate(all="ignore"):
        try:
            return float(problem.solve(problem.free(values), 200).cost)
        except ValueError:
            return np.inf


def compute_cost(problem: Problem, values: np.ndarray) -> float:
    """Compute half the sum of squares from values: starting coordinates keep exponents away from one."""
    residuals = (problem.circuit.respond(values, problem.grid)[0] - problem.z) * problem.weight
    return float(np.sum(np.abs(residuals) ** 2)) / 2


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:4]]
    n, starts, seed = [*numbers, *(200, 200, 0)[len(numbers) :]]
    main(n, starts, seed, *sys.argv[4:6])
