"""Starts for a chain of elements: the impedance is linear in the size of each part of the chain.

Of many shapes (time constants, exponents and ratios) of each part, one is exchanged after the other for the one that
leaves the least, with the sizes of all parts solved for anew (variable projection: Golub and Pereyra,
10.1137/0710036).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from phonolyte.arrays import Floats, Ints
from phonolyte.impedance.circuits import Circuit, InSeries, Part, leaves
from phonolyte.impedance.elements import Role
from phonolyte.impedance.problem import Problem

SWEEPS = 4
"""Times that each part is exchanged, at most."""

FAINTEST = 1e-3
"""Smallest size of a part, as a share of the spectrum, in a start: what is not seen at all does not move."""

RIDGE = 1e-12

POWERS: dict[Role, float] = {
    "resistance": 1.0, "warburg": 1.0, "inductance": 1.0, "admittance": -1.0, "time": 0.0, "exponent": 0.0,
    "ratio": 0.0,
}  # fmt: skip
"""How a parameter grows with the size of the impedance; that of a modified inductance by its exponent."""


class Link(NamedTuple):
    """A part of the chain, and where its parameters are."""

    part: Part
    parameters: slice


class Shapes(NamedTuple):
    """Shapes of each part of a chain, their impedance with the weights of the spectrum, as columns of unit length.

    Attributes
    ----------
    links
        Parts of the chain.
    values
        (m, k): m values of all k parameters of the circuit, each part of which is a shape.
    sizes
        (m, p): lengths of the columns.
    gram, target
        (p m, p m) and (p m,): products of the columns, and with the spectrum; those of a part are together.
    """

    links: Sequence[Link]
    values: Floats
    sizes: Floats
    gram: Floats
    target: Floats

    @classmethod
    def of_values(cls, problem: Problem, values: Floats) -> Shapes:
        """Shapes from values (m, k)."""
        links = chain(problem.circuit)
        slopes = np.empty((len(problem.circuit.names), len(problem.z)), dtype=complex)
        with np.errstate(all="ignore"):
            each = [[link.part.respond(row, problem.grid, slopes) for row in values] for link in links]
        columns = np.array(each) * problem.weight
        flat = np.nan_to_num(np.concatenate([columns.real, columns.imag], axis=2), posinf=0.0, neginf=0.0)
        sizes = np.maximum(np.linalg.norm(flat, axis=2), 1e-300)
        unit = (flat / sizes[:, :, None]).reshape(-1, flat.shape[2])
        off = problem.z * problem.weight
        target = unit @ np.concatenate([off.real, off.imag])
        return cls(links, values, sizes.T, unit @ unit.T, target)

    def combine(self, chosen: Ints) -> Floats:
        """Values (k,) of the parts with the numbers (p,), their sizes solved for."""
        at = np.arange(len(chosen)) * len(self.values) + chosen
        _, sizes = _fit(self.gram[np.ix_(at, at)][None], self.target[at][None])
        sizes = np.maximum(sizes[0], FAINTEST * np.abs(sizes).max()) / self.sizes[chosen, np.arange(len(chosen))]
        values = np.empty(self.values.shape[1])
        for link, row, size in zip(self.links, chosen, sizes, strict=True):
            values[link.parameters] = scale(link.part, self.values[row], size)[link.parameters]
        return values

    def exchange(self, chosen: Ints, random: Generator) -> tuple[float, Ints]:
        """Exchange parts, beginning with the numbers (p,), until none is better; what is explained, and the numbers."""
        chosen, explained = chosen.copy(), -np.inf
        for _ in range(SWEEPS):
            before = explained
            for part in random.permutation(len(chosen)):
                each = self._explain(chosen, part)
                chosen[part] = int(each.argmax())
                explained = float(each[chosen[part]])
            if explained <= before * (1 + 1e-9):
                break
        return explained, chosen

    def neighbors(self, few: int) -> list[Floats]:
        """The first values with one part exchanged for another, the few that explain most of each part."""
        first = np.zeros(len(self.links), dtype=np.int64)
        starts = list[Floats]()
        for part in range(len(first)):
            for number in self._explain(first, part)[1:].argsort()[::-1][:few] + 1:
                starts.append(self.combine(np.where(np.arange(len(first)) == part, number, first)))
        return starts

    def _explain(self, chosen: Ints, part: int) -> Floats:
        """What is explained with each shape (m,) of one part and the chosen ones of the others."""
        m = len(self.values)
        at = np.repeat((np.arange(len(chosen)) * m + chosen)[None], m, axis=0)
        at[:, part] = part * m + np.arange(m)
        explained, _ = _fit(self.gram[at[:, :, None], at[:, None, :]], self.target[at])
        return explained


def chain(circuit: Circuit) -> list[Link]:
    """Parts of the chain of a circuit; empty where an element has parameters whose role is not known."""
    if any(set(element.kind.roles) == {"ratio"} for element in circuit.elements):
        return []
    parts = circuit.part.parts if isinstance(circuit.part, InSeries) else (circuit.part,)
    links, first = [], 0
    for part in parts:
        last = first + sum(len(element.kind.units) for element in leaves(part))
        links.append(Link(part, slice(first, last)))
        first = last
    return links


def scale(part: Part, values: Floats, size: float) -> Floats:
    """Values (k,) of all parameters with the impedance of a part times a size."""
    scaled = values.copy()
    for element in leaves(part):
        roles = element.kind.roles
        own = slice(element.first, element.first + len(roles))
        for at, role in zip(range(own.start, own.stop), roles, strict=True):
            power = 1.0 / values[own][roles.index("exponent")] if role == "modified_inductance" else POWERS[role]
            scaled[at] *= size**power
    return scaled


def _fit(gram: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Non-negative least squares of m problems (m, p, p), (m, p): what each explains (m,), and its sizes (m, p).

    Sizes below zero are left out one by one, the most negative first, and do not come back.
    """
    p = target.shape[1]
    free = np.ones(target.shape, dtype=bool)
    sizes = np.zeros(target.shape)
    diagonal = np.arange(p)
    for _ in range(p):
        system = np.where(free[:, :, None] & free[:, None, :], gram, 0.0)
        system[:, diagonal, diagonal] = np.where(free, gram[:, diagonal, diagonal] + RIDGE, 1.0)
        sizes = np.linalg.solve(system, np.where(free, target, 0.0)[:, :, None])[:, :, 0]
        worst = sizes.argmin(axis=1)
        bad = sizes[np.arange(len(sizes)), worst] < 0
        if not bad.any():
            break
        free[bad, worst[bad]] = False
    sizes = np.maximum(np.where(free, sizes, 0.0), 0.0)
    explained = 2 * np.einsum("mp,mp->m", sizes, target) - np.einsum("mp,mpq,mq->m", sizes, gram, sizes)
    return explained, sizes
