"""A space of compounds streamed through the model: block by block, with the best kept and the rest only counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.elements import SYMBOLS, electronegativity
from phonolyte.models import BandCenterModel
from phonolyte.virtual.compounds import CompoundFeatures
from phonolyte.virtual.conduction import ConductionOfParent
from phonolyte.virtual.features import first_slot_with_the_same
from phonolyte.virtual.plausibility import Plausibility
from phonolyte.virtual.space import Space

Recipe = Literal["conductors", "study"]
"""What compounds are ranked by: predicted conductivity and plausibility, or the founding study's band center."""

BLOCK = 1024
"""Compounds whose features are made at once: they stay in the cache."""

BLOCKS_PER_TASK = 8
"""Blocks that one task of an executor works on."""

PRICE_MEV = 5.0
"""What the score adds for each power of ten that a compound is less plausible than its parent, and for one unlike those
that the model has learned from."""

LEAST_PLAUSIBILITY = 1e-12
"""A lower one counts as this."""

BEHIND = 1e6
"""What puts compounds without a predicted conductivity behind those with one."""

KEPT_BYTES = 30 * 2**20
"""Memory that a process keeps when it is freed: a block needs less, and to get it anew took a tenth of the time."""

SOFT_MEV = 40.0
HIGHEST_MEV = 200


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What is known of n compounds.

    Attributes
    ----------
    index
        (n,) numbers in the space.
    numbers
        (n, s) atomic numbers on the slots.
    center_mev, half_width_mev
        (n,) predicted band center, and half of its 90 % interval.
    in_domain, balanced
        (n,) flags.
    mean_row
        (n,) mean row of the elements in the periodic table.
    plausibility
        (n,) between 0 and 1.
    log_sigma
        (n,) log10 of the predicted conductivity in S/cm, at the parent's percolation barrier; NaN for none.
    """

    index: Ints
    numbers: Ints
    center_mev: Floats
    half_width_mev: Floats
    in_domain: Flags
    balanced: Flags
    mean_row: Floats
    plausibility: Floats
    log_sigma: Floats

    def __len__(self) -> int:
        return len(self.index)

    @property
    def doubt(self) -> Floats:
        """Powers of ten (n,) less plausible than the parent, and one for what is unlike the compounds learned from."""
        return np.asarray(-np.log10(np.maximum(self.plausibility, LEAST_PLAUSIBILITY)) + ~self.in_domain)

    @property
    def score_mev(self) -> Floats:
        """Score (n,) of the study's recipe, the lowest first: upper end of the interval and price of doubt."""
        return np.asarray(self.center_mev + self.half_width_mev + PRICE_MEV * self.doubt)

    @property
    def score_log_sigma(self) -> Floats:
        """Score (n,) of conductors, the highest first: decades of the predicted conductivity, less those of doubt."""
        return np.asarray(self.log_sigma - self.doubt)

    def cost(self, recipe: Recipe) -> Floats:
        """Number (n,) that orders compounds, the lowest first; without a predicted conductivity the study's."""
        if recipe == "study":
            return self.score_mev
        score = self.score_log_sigma
        return np.where(np.isfinite(score), -score, BEHIND + self.score_mev)

    @classmethod
    def joined(cls, portions: Sequence[Self]) -> Self:
        """Several as one."""
        return cls(*(np.concatenate([getattr(portion, f.name) for portion in portions]) for f in fields(cls)))

    def taken(self, rows: Any) -> Self:
        """Some of them."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    def best(self, n: int, recipe: Recipe) -> Self:
        """The n best of a recipe, the best first; of equals the one that comes first in the space."""
        cost = self.cost(recipe)
        if n < len(self):
            chosen = np.argpartition(cost, n - 1)[:n]
            chosen = np.flatnonzero(cost <= cost[chosen].max())
        else:
            chosen = np.arange(len(self))
        return self.taken(chosen[np.lexsort((self.index[chosen], cost[chosen]))][:n])


@dataclass(slots=True)
class Tally:
    """Counts over compounds that are not kept.

    Attributes
    ----------
    given, compounds, balanced, in_domain, soft
        Choices that were looked at, those that the rules allow, and of these those with balanced charges, in the
        domain, and with a center of at most 40 meV.
    histogram
        Compounds in each meV from 0; the last one holds what lies beyond.
    sums
        Sums of center, mean row, their squares and their product.
    """

    given: int = 0
    compounds: int = 0
    balanced: int = 0
    in_domain: int = 0
    soft: int = 0
    histogram: Ints = field(default_factory=lambda: np.zeros(HIGHEST_MEV, dtype=np.int64))
    sums: Floats = field(default_factory=lambda: np.zeros(5))

    def add(self, n_choices: int, evaluated: Evaluated) -> None:
        """Count a block of which `evaluated` is what the rules allow."""
        x, y = evaluated.center_mev, evaluated.mean_row
        self.given += n_choices
        self.compounds += len(evaluated)
        self.balanced += int(evaluated.balanced.sum())
        self.in_domain += int(evaluated.in_domain.sum())
        self.soft += int((x <= SOFT_MEV).sum())
        self.histogram += np.bincount(np.minimum(x.astype(np.int64), HIGHEST_MEV - 1), minlength=HIGHEST_MEV)
        self.sums += (x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())

    def summary(self) -> dict[str, Any]:
        """Counts, share at most 40 meV, mean center, and the correlation of center and mean row (Pearson)."""
        n = self.compounds
        x, y, xx, yy, xy = (self.sums / n).tolist() if n else [0.0] * 5
        spread = ((xx - x * x) * (yy - y * y)) ** 0.5 if n else 0.0
        return {
            "given": self.given,
            "compounds": n,
            "charge_balanced": self.balanced,
            "in_domain": self.in_domain,
            "soft": self.soft,
            "soft_share": self.soft / n if n else None,
            "mean_center_mev": x if n else None,
            "correlation_with_mean_row": (xy - x * y) / spread if spread > 0 else None,
            "histogram_per_mev": self.histogram.tolist(),
        }

    def state(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {f.name: np.asarray(getattr(self, f.name)).tolist() for f in fields(self)}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        values: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in state.items()}
        return cls(**values)


class Evaluator:
    """Evaluates compounds of one space, at the volumes that the model predicts for them.

    Parameters
    ----------
    space
        Its compounds.
    model
        Model of the band center.
    recipe
        Whether conductivities are predicted, too.
    """

    def __init__(self, space: Space, model: BandCenterModel, *, recipe: Recipe = "conductors") -> None:
        self.space, self.model = space, model
        self.features = CompoundFeatures.from_parent(space.parent, model)
        self.plausibility = Plausibility(space)
        self.conduction = ConductionOfParent.from_space(space) if recipe == "conductors" else None
        self.mean_row = model.columns.index("mean_Row")
        _keep_freed_memory()

    def __call__(self, indices: Ints) -> Evaluated:
        """What the rules allow of compounds with these numbers (n,), evaluated."""
        parts = [self._block(indices[i : i + BLOCK]) for i in range(0, len(indices), BLOCK)]
        return Evaluated.joined(parts)

    def _block(self, indices: Ints) -> Evaluated:
        numbers = self.space.numbers(indices)
        balanced = self.space.balanced(numbers)
        allowed = self.space.allowed(numbers, balanced)
        if not allowed.all():
            indices, numbers, balanced = indices[allowed], numbers[allowed], balanced[allowed]
        volume_a3 = self.features.volume_a3(numbers)
        values, usable = self.features(numbers, volume_a3)
        log_sigma = self._log_sigma(numbers, volume_a3)
        if not usable.all():
            indices, numbers, balanced, values = indices[usable], numbers[usable], balanced[usable], values[usable]
            log_sigma = log_sigma[usable]
        center, half_width, in_domain = self.model.predict_array(values, numbers)
        plausibility = self.plausibility(numbers, balanced)
        mean_row = values[:, self.mean_row].copy()
        return Evaluated(indices, numbers, center, half_width, in_domain, balanced, mean_row, plausibility, log_sigma)

    def _log_sigma(self, numbers: Ints, volume_a3: Floats | None) -> Floats:
        if self.conduction is None:
            return np.full(len(numbers), np.nan)
        if volume_a3 is None:
            parent = self.space.parent.crystal
            volume_a3 = self.space.scale(numbers) ** 3 * parent.volume_a3 / len(parent)
        return self.conduction(numbers, volume_a3)


def _keep_freed_memory() -> None:
    """Free a large array: from then on glibc keeps what is freed, up to twice its size, and other systems go on."""
    np.empty(KEPT_BYTES, dtype=np.uint8)


def evaluate(
    evaluator: Evaluator, indices: Ints | range, *, executor: Executor | None = None
) -> Iterator[tuple[int, Evaluated]]:
    """Evaluate compounds of a space in order, a bounded number of them at a time.

    Parameters
    ----------
    evaluator
        Evaluator of the space.
    indices
        Numbers of the compounds.
    executor
        Maps over the compounds; threads are enough, the kernels release the GIL.

    Yields
    ------
    tuple
        How many were looked at, and what the rules allow of them.
    """
    size = BLOCK * BLOCKS_PER_TASK
    tasks = (np.asarray(indices[i : i + size]) for i in range(0, len(indices), size))
    run = _in_order(evaluator, tasks, executor) if executor else ((len(task), evaluator(task)) for task in tasks)
    yield from run


def _in_order(
    work: Callable[[Ints], Evaluated], tasks: Iterator[Ints], executor: Executor
) -> Iterator[tuple[int, Evaluated]]:
    """Results in the order of the tasks, of which few are under way: millions of futures would fill the memory."""
    ahead = 2 * getattr(executor, "_max_workers", 8)
    waiting: deque[tuple[int, Future[Evaluated]]] = deque()
    for task in tasks:
        waiting.append((len(task), executor.submit(work, task)))
        if len(waiting) > ahead:
            n, future = waiting.popleft()
            yield n, future.result()
    for n, future in waiting:
        yield n, future.result()


def table(evaluated: Evaluated, space: Space, recipe: Recipe) -> pd.DataFrame:
    """Compounds as a table, with formulas, the symbols on the slots, and what a recipe ranks by."""
    symbols = np.array(SYMBOLS, dtype=object)[evaluated.numbers]
    factor = space.tolerance_factor(evaluated.numbers)
    columns: dict[str, Any] = {
        "material_id": [f"{space.parent.name}-{i}" for i in evaluated.index.tolist()],
        "prototype": space.parent.name,
        "formula": formulas(evaluated.numbers, space.parent.counts),
        **{slot.name: symbols[:, k] for k, slot in enumerate(space.parent.slots)},
        "band_center_mev": evaluated.center_mev,
        "lower_mev": np.maximum(evaluated.center_mev - evaluated.half_width_mev, 0.0),
        "upper_mev": evaluated.center_mev + evaluated.half_width_mev,
        "in_domain": evaluated.in_domain,
        "mean_Row": evaluated.mean_row,
        **({} if factor is None else {"tolerance_factor": factor}),
        "charge_balanced": evaluated.balanced,
        "plausibility": evaluated.plausibility,
        "score_mev": evaluated.score_mev,
    }
    if recipe == "conductors":
        columns |= {"sigma_estimate_s_cm": 10.0**evaluated.log_sigma, "score_log_sigma": evaluated.score_log_sigma}
    return pd.DataFrame(columns)


def formulas(numbers: Ints, counts: Ints) -> list[str]:
    """Reduced formulas (n,) of compounds with atomic numbers (n, s) on slots of so many sites (s,), cations first."""
    first = first_slot_with_the_same(numbers)
    totals = np.zeros_like(numbers)
    for slot in range(numbers.shape[1]):
        np.add.at(totals, (np.arange(len(numbers)), first[:, slot]), counts[slot])
    divisor = np.gcd.reduce(totals, axis=1, keepdims=True)
    reduced = totals // divisor
    order = np.argsort(_precedence()[numbers], axis=1, kind="stable")
    pieces = _pieces(int(counts.sum()))[np.take_along_axis(numbers, order, 1), np.take_along_axis(reduced, order, 1)]
    joined = pieces[:, 0]
    for slot in range(1, numbers.shape[1]):
        joined = joined + pieces[:, slot]
    return [str(formula) for formula in joined]


@cache
def _precedence() -> Ints:
    """Place of each element (Z + 1,) in a formula."""
    order = sorted(range(1, len(SYMBOLS)), key=lambda z: (electronegativity(SYMBOLS[z]), SYMBOLS[z]))
    place = np.zeros(len(SYMBOLS), dtype=np.int64)
    place[order] = np.arange(1, len(SYMBOLS))
    return place


@cache
def _pieces(most: int) -> Any:
    """Part of a formula for each element and number of atoms, (Z + 1, most + 1); nothing for none."""
    table = np.empty((len(SYMBOLS), most + 1), dtype=object)
    for z, symbol in enumerate(SYMBOLS):
        table[z] = ["", symbol, *(f"{symbol}{count}" for count in range(2, most + 1))]
    return table
