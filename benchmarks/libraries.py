"""Where a library does the work, and where ours is kept because it is faster: the measured ratios.

Usage: python benchmarks/libraries.py

Formulas are those of 21,755 crystals of the Materials Project and of 239,480 virtual compounds; pymatgen against a
regular expression. Neighbors are looked up among the 1,272 compounds of the learning set with scikit-learn, against a
matrix product written by hand. Components of hops are found with networkx, and by a walk written by hand. Levels of
percolation are found with SciPy's labels by bisection, which misses what winds through more than two cells before it
comes back, and in one pass.
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
        {"formulas": parsing(), "nearest": neighbors(), "components": groups(), "thresholds": levels()},
        "pymatgen-core", "scikit-learn", "networkx", "scipy",
    )  # fmt: skip


def best_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the fastest of some repeats, and what comes out."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def ratio(library_s: float, ours_s: float, **more: Any) -> dict[str, Any]:
    """A record of both times."""
    return {"library_s": round(library_s, 4), "ours_s": round(ours_s, 4), "ratio": round(library_s / ours_s, 1), **more}


def parsing() -> dict[str, Any]:
    known = pd.read_csv(SHARED / "data" / "mp_li_table.csv.gz", keep_default_na=False)["formula"].tolist()
    made: list[str] = []
    for name in BUILT_IN:
        space = Space.from_rules(built_in_rules(name))
        made += formulas(space.numbers(np.arange(len(space))), space.parent.counts)
    found = {}
    for name, texts in (("materials_project", known), ("virtual", made)):
        library_s, theirs = best_of(lambda texts=texts: [list(Composition(text).as_dict()) for text in texts])
        ours_s, ours = best_of(lambda texts=texts: [_symbols(text) for text in texts])
        found[name] = ratio(library_s, ours_s, formulas=len(texts), equal=theirs == ours)
    return found


def _symbols(formula: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[A-Z][a-z]?", formula)))


def neighbors() -> dict[str, Any]:
    model = BandCenterModel.embedded()
    data, _ = read_learning_set(SHARED / "data" / "learning_set_1272.jsonl.gz")
    learned = Learned.from_features(model.domain, data.table, data.formulas, data.target)
    noise = np.random.default_rng(0)
    rows = noise.integers(0, len(data.table), 20_000)
    queries = data.table.iloc[rows] + noise.normal(0, 0.1, (20_000, 1)) * data.table.std().to_numpy()
    library_s, (places, distances) = best_of(lambda: learned.nearest(queries))
    whitened = (queries[list(model.domain.features)].to_numpy(float) - model.domain.mean) / model.domain.scale
    points = whitened @ np.linalg.cholesky(model.domain.precision)
    ours_s, (by_hand, apart) = best_of(lambda: _by_hand(learned.points, points))
    largest = float(np.abs(distances - apart).max())
    return ratio(
        library_s, ours_s, crystals=len(queries), equal=bool((places == by_hand).all()), largest_difference=largest
    )


def _by_hand(points: Floats, queries: Floats, n: int = 4) -> tuple[Ints, Floats]:
    squares = (points**2).sum(axis=1)
    places, distances = np.empty((len(queries), n), np.int64), np.empty((len(queries), n))
    for start in range(0, len(queries), 2048):
        part = queries[start : start + 2048]
        d2 = squares - 2 * part @ points.T + (part**2).sum(axis=1, keepdims=True)
        near = np.argpartition(d2, n - 1, axis=1)[:, :n]
        order = np.argsort(np.take_along_axis(d2, near, axis=1), axis=1, kind="stable")
        rows = slice(start, start + len(part))
        places[rows] = np.take_along_axis(near, order, axis=1)
        distances[rows] = np.sqrt(np.maximum(np.take_along_axis(d2, places[rows], axis=1), 0.0))
    return places, distances


def groups() -> dict[str, Any]:
    networks: list[Network] = []
    for crystal in reference_compounds().crystals:
        if "Li" in crystal.symbols:
            with suppress(MigrationError):
                networks.append(find_hops(primitive_cell(crystal), "Li"))
    library_s, theirs = best_of(lambda: [components(network.sites, network.hops) for network in networks])
    ours_s, ours = best_of(lambda: [_by_walk(network.sites, network.hops) for network in networks])
    return ratio(library_s, ours_s, networks=len(networks), equal=[set(x) for x in theirs] == [set(x) for x in ours])


def _by_walk(sites: Sequence[int], hops: Iterable[Hop]) -> list[tuple[frozenset[int], int]]:
    """Groups by a walk, which gives every site the cell it is first met in."""
    ways: dict[int, list[tuple[int, Ints]]] = {site: [] for site in sites}
    for hop in hops:
        for edge in hop.edges:
            for way in (edge, edge.reverse):
                ways[way.start].append((way.end, np.array(way.image)))
    found, met = [], dict[int, Ints]()
    for first in sites:
        if first in met:
            continue
        met[first] = np.zeros(3, int)
        group, waiting, periods = {first}, [first], []
        while waiting:
            site = waiting.pop()
            for end, image in ways[site]:
                cell = met[site] + image
                if end in met:
                    periods.append(cell - met[end])
                else:
                    met[end] = cell
                    group.add(end)
                    waiting.append(end)
        rank = int(np.linalg.matrix_rank(np.array(periods))) if periods else 0
        found.append((frozenset(group), rank))
    return found


def levels() -> dict[str, Any]:
    noise = np.random.default_rng(0).normal(size=(GRID, GRID, GRID))
    field = ndimage.gaussian_filter(noise, 2.0, mode="wrap")
    thresholds(field)  # compiled
    ours_s, ours = best_of(lambda: thresholds(field))
    start = time.perf_counter()
    theirs = [_level(field, dimensions) for dimensions in (1, 2, 3)]
    library_s = time.perf_counter() - start
    largest = float(np.abs(ours - theirs).max() / np.ptp(field))
    return ratio(library_s, ours_s, points=GRID**3, largest_difference_of_the_range=round(largest, 6))


def _level(field: Floats, dimensions: int) -> float:
    low, high = float(field.min()), float(field.max())
    while high - low > PRECISION * np.ptp(field):
        middle = (low + high) / 2
        low, high = (low, middle) if _extent(field <= middle) >= dimensions else (middle, high)
    return high


def _extent(inside: Any) -> int:
    """Along how many axes a group goes on into the next cell, by SciPy's labels of two cells along each."""
    labels, _ = ndimage.label(np.tile(inside, (2, 2, 2)), structure=np.ones((3, 3, 3)))
    n = len(inside)
    first = labels[:n, :n, :n]
    along = [first == part for part in (labels[n:, :n, :n], labels[:n, n:, :n], labels[:n, :n, n:])]
    counts = np.zeros(labels.max() + 1, int)
    for same in along:
        counts[np.unique(first[same & inside])] += 1
    return int(counts.max())


if __name__ == "__main__":
    main()
