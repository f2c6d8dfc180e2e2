"""Starts by exchanging the shapes of parts: sizes against scipy's non-negative least squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from phonolyte.impedance import Spectrum
from phonolyte.impedance.circuits import parse_circuit
from phonolyte.impedance.elements import KINDS, Kind
from phonolyte.impedance.exchange import FAINTEST, Shapes, chain, scale
from phonolyte.impedance.problem import Problem
from phonolyte.impedance.search import Search

F = np.logspace(5, -1, 40)
CHAINS = ("R0-p(R1,C1)-CPE2", "Zarc0-p(R1-Wo1,CPE1)-L2-G3", "p(R0,CPE0,R1-La1)-Ws2", "p(R0,C0)")


def make_problem(text: str, seed: int = 0) -> tuple[Problem, Search]:
    """A random spectrum of the circuit itself, and its search."""
    circuit, rng = parse_circuit(text), np.random.default_rng(seed)
    flat = Spectrum.from_arrays("x", F, 100.0 - 10j / F)
    values = Search(flat, "modulus", {}, seed)._draw(circuit, (-0.5, 0.5))
    z = circuit.impedance_ohm(values, F)
    z = z + 0.01 * np.abs(z) * (rng.normal(size=len(F)) + 1j * rng.normal(size=len(F)))
    spectrum = Spectrum.from_arrays("x", F, np.where(z.real > 0, z, np.abs(z) + 1j * z.imag))
    return Problem(spectrum, circuit, "modulus"), Search(spectrum, "modulus", {}, seed)


def respond(problem: Problem, values: np.ndarray) -> list[np.ndarray]:
    """The impedance of each part of the chain."""
    slopes = np.empty((len(values), len(F)), dtype=complex)
    return [link.part.respond(values, problem.grid, slopes).copy() for link in chain(problem.circuit)]


@pytest.mark.parametrize("text", [*CHAINS, *(f"R0-{kind}1" for kind in KINDS)])
def test_a_scaled_part_has_its_impedance_times_the_size(text: str):
    problem, search = make_problem(text)
    values = search._draw(problem.circuit, (-0.5, 0.5))
    for number, link in enumerate(chain(problem.circuit)):
        scaled = respond(problem, scale(link.part, values, 3.7))
        for at, (before, after) in enumerate(zip(respond(problem, values), scaled, strict=True)):
            np.testing.assert_allclose(after, before * (3.7 if at == number else 1.0), rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", CHAINS)
def test_sizes_are_those_of_non_negative_least_squares(text: str, seed: int):
    problem, search = make_problem(text, seed)
    shapes = Shapes.of_values(problem, search._draw_many(problem.circuit, 5))
    chosen = np.random.default_rng(seed).integers(5, size=len(shapes.links))
    values = np.empty(len(problem.circuit.names))
    for link, row in zip(shapes.links, chosen, strict=True):
        values[link.parameters] = shapes.values[row, link.parameters]
    weighted = np.array(respond(problem, values)) * problem.weight
    columns = np.concatenate([weighted.real, weighted.imag], axis=1).T
    target = np.concatenate([(problem.z * problem.weight).real, (problem.z * problem.weight).imag])
    lengths = np.linalg.norm(columns, axis=0)
    sizes, _ = nnls(columns / lengths, target)
    expected = np.maximum(sizes, FAINTEST * sizes.max()) / lengths
    ratios = [np.abs(after / before).mean() for before, after in zip(
        respond(problem, values), respond(problem, shapes.combine(chosen)), strict=True)]  # fmt: skip
    off = target - columns @ np.array(ratios)
    least = target - columns @ expected
    assert off @ off <= least @ least * 1.05 + 1e-9  # a size left out does not come back


@pytest.mark.parametrize("text", CHAINS)
def test_exchanging_explains_more_and_neighbors_differ_in_one_part(text: str):
    problem, search = make_problem(text)
    shapes, random = Shapes.of_values(problem, search._draw_many(problem.circuit, 40)), np.random.default_rng(1)
    first = np.zeros(len(shapes.links), dtype=np.int64)
    before = shapes._explain(first, 0)[0]
    explained, chosen = shapes.exchange(first, random)
    assert explained >= before
    for part in range(len(first)):
        assert shapes._explain(chosen, part).max() <= explained * (1 + 1e-9)  # no exchange of one part is better
    assert len(shapes.neighbors(3)) == 3 * len(first)


def test_chains_that_cannot_be_scaled_are_left_to_other_starts(monkeypatch: pytest.MonkeyPatch):
    links = chain(parse_circuit("R0-p(R1,CPE1)-W2"))
    assert [link.parameters for link in links] == [slice(0, 1), slice(1, 4), slice(4, 5)]
    monkeypatch.setitem(KINDS, "Q", Kind(KINDS["CPE"].respond, ("ohm", ""), ("ratio", "ratio")))  # as a foreign one
    assert not chain(parse_circuit("R0-Q5"))
