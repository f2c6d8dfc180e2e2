"""Times of libraries and of our own code for the same work: where ours is worth its lines.

Usage: python benchmarks/libraries.py

Formulas are those of 21,755 crystals of the Materials Project and of 239,480 virtual compounds; pymatgen against a
regular expression. Neighbors are searched among the 1,272 compounds of the learning set with scikit-learn, against a
matrix product written by hand. Components of hops are computed with networkx, and by a walk written by hand.
Percolation thresholds are computed by bisection with SciPy's labels, which misses paths that wind through more than two
cells before they close, and in one pass.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core.composition import Composition
from record import SHARED, keep
from scipy import ndimage

from phonolyte.arrays import Floats, Ints
from phonolyte.barriers.hops import Hop, Network, components, find_hops
from phonolyte.errors import MigrationError
from phonolyte.forces.cells import primitive_cell
from phonolyte.models import BandCenterModel
from phonolyte.models.compounds import read_learning_set
from phonolyte.models.nearest import Learned
from phonolyte.percolation.thresholds import thresholds
from phonolyte.references import reference_compounds
from phonolyte.virtual import BUILT_IN, Space, built_in_rules
from phonolyte.virtual.stream import formulas

REPEATS = 3
GRID = 40
"""Points along each side of the field that percolates."""

PRECISION = 1e-4
"""Tolerance of the bisection, as a share of the range of the field."""


def main() -> None:
    keep(
        "libraries",
        {"formulas": time_parsing(), "nearest": time_neighbors(), "components": time_components(),
         "thresholds": time_thresholds()},
        "pymatgen-core", "scikit-learn", "networkx", "scipy",
    )  # fmt: skip


def time_best(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of the fastest of some repeats, and the result."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def compare_times(library_s: float, ours_s: float, **more: Any) -> dict[str, Any]:
    """Return a record of both times and their ratio."""
    return {"library_s": round(library_s, 4), "ours_s": round(ours_s, 4), "ratio": round(library_s / ours_s, 1), **more}


def time_parsing() -> dict[str, Any]:
    known = pd.read_csv(SHARED / "data" / "mp_li_table.csv.gz", keep_default_na=False)["formula"].tolist()
    made: list[str] = []
    for name in BUILT_IN:
        space = Space.from_rules(built_in_rules(name))
        made += formulas(space.numbers(np.arange(len(space))), space.parent.counts)
    results = {}
    for name, texts in (("materials_project", known), ("virtual", made)):
        library_s, theirs = time_best(lambda texts=texts: [list(Composition(text).as_dict()) for text in texts])
        ours_s, ours = time_best(lambda texts=texts: [_parse_symbols(text) for text in texts])
        results[name] = compare_times(library_s, ours_s, formulas=len(texts), equal=theirs == ours)
    return results


def _parse_symbols(formula: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[A-Z][a-z]?", formula)))


def time_neighbors() -> dict[str, Any]:
    model = BandCenterModel.embedded()
    data, _ = read_learning_set(SHARED / "data" / "learning_set_1272.jsonl.gz")
    learned = Learned.from_features(model.domain, data.table, data.formulas, data.target)
    noise = np.random.default_rng(0)
    rows = noise.integers(0, len(data.table), 20_000)
    queries = data.table.iloc[rows] + noise.normal(0, 0.1, (20_000, 1)) * data.table.std().to_numpy()
    library_s, (indices, distances) = time_best(lambda: learned.nearest(queries))
    whitened = (queries[list(model.domain.features)].to_numpy(float) - model.domain.mean) / model.domain.scale
    points = whitened @ np.linalg.cholesky(model.domain.precision)
    ours_s, (own_indices, own_distances) = time_best(lambda: _search_neighbors(learned.points, points))
    largest = float(np.abs(distances - own_distances).max())
    return compare_times(
        library_s, ours_s, crystals=len(queries), equal=bool((indices == own_indices).all()), largest_difference=largest
    )


def _search_neighbors(points: Floats, queries: Floats, n: int = 4) -> tuple[Ints, Floats]:
    squares = (points**2).sum(axis=1)
    indices, distances = np.empty((len(queries), n), np.int64), np.empty((len(queries), n))
    for start in range(0, len(queries), 2048):
        batch = queries[start : start + 2048]
        d2 = squares - 2 * batch @ points.T + (batch**2).sum(axis=1, keepdims=True)
        near = np.argpartition(d2, n - 1, axis=1)[:, :n]
        order = np.argsort(np.take_along_axis(d2, near, axis=1), axis=1, kind="stable")
        rows = slice(start, start + len(batch))
        indices[rows] = np.take_along_axis(near, order, axis=1)
        distances[rows] = np.sqrt(np.maximum(np.take_along_axis(d2, indices[rows], axis=1), 0.0))
    return indices, distances


def time_components() -> dict[str, Any]:
    networks: list[Network] = []
    for crystal in reference_compounds().crystals:
        if "Li" in crystal.symbols:
            with suppress(MigrationError):
                networks.append(find_hops(primitive_cell(crystal), "Li"))
    library_s, theirs = time_best(lambda: [components(network.sites, network.hops) for network in networks])
    ours_s, ours = time_best(lambda: [_find_components(network.sites, network.hops) for network in networks])
    return compare_times(
        library_s, ours_s, networks=len(networks), equal=[set(x) for x in theirs] == [set(x) for x in ours]
    )


def _find_components(sites: Sequence[int], hops: Iterable[Hop]) -> list[tuple[frozenset[int], int]]:
    """Return components and their dimensions by a walk that gives every site the cell where it is first reached."""
    edges: dict[int, list[tuple[int, Ints]]] = {site: [] for site in sites}
    for hop in hops:
        for edge in hop.edges:
            for direction in (edge, edge.reverse):
                edges[direction.start].append((direction.end, np.array(direction.image)))
    groups, cells = [], dict[int, Ints]()
    for first in sites:
        if first in cells:
            continue
        cells[first] = np.zeros(3, int)
        group, stack, periods = {first}, [first], []
        while stack:
            site = stack.pop()
            for end, image in edges[site]:
                cell = cells[site] + image
                if end in cells:
                    periods.append(cell - cells[end])
                else:
                    cells[end] = cell
                    group.add(end)
                    stack.append(end)
        rank = int(np.linalg.matrix_rank(np.array(periods))) if periods else 0
        groups.append((frozenset(group), rank))
    return groups


def time_thresholds() -> dict[str, Any]:
    noise = np.random.default_rng(0).normal(size=(GRID, GRID, GRID))
    field = ndimage.gaussian_filter(noise, 2.0, mode="wrap")
    thresholds(field)  # compiled
    ours_s, ours = time_best(lambda: thresholds(field))
    start = time.perf_counter()
    theirs = [_bisect_level(field, dimensions) for dimensions in (1, 2, 3)]
    library_s = time.perf_counter() - start
    largest = float(np.abs(ours - theirs).max() / np.ptp(field))
    return compare_times(library_s, ours_s, points=GRID**3, largest_difference_of_the_range=round(largest, 6))


def _bisect_level(field: Floats, dimensions: int) -> float:
    low, high = float(field.min()), float(field.max())
    while high - low > PRECISION * np.ptp(field):
        middle = (low + high) / 2
        low, high = (low, middle) if _count_axes(field <= middle) >= dimensions else (middle, high)
    return high


def _count_axes(inside: Any) -> int:
    """Count the axes along which a component continues into the next cell, by labels of two cells along each."""
    labels, _ = ndimage.label(np.tile(inside, (2, 2, 2)), structure=np.ones((3, 3, 3)))
    n = len(inside)
    first = labels[:n, :n, :n]
    along = [first == neighbor for neighbor in (labels[n:, :n, :n], labels[:n, n:, :n], labels[:n, :n, n:])]
    counts = np.zeros(labels.max() + 1, int)
    for same in along:
        counts[np.unique(first[same & inside])] += 1
    return int(counts.max())


if __name__ == "__main__":
    main()
