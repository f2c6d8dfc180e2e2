"""Which crystals to compute next: those whose phonons are worth most to a decision, for what they cost.

The worth of a crystal is the expected loss of a decision that is made by its predicted center (Raiffa and Schlaifer,
Applied Statistical Decision Theory (1961)): with the center c, the standard deviation s of its interval and a decision
at L, that is s (phi(u) - u Phi(-u)), u = abs(c - L) / s, with the density phi and the distribution Phi of the standard
normal. It is largest for wide intervals at the decision; without a decision it is s phi(0). Intervals outside of the
domain of the model are widened by as much as its errors were larger there.

A batch is chosen one by one. What has been chosen informs about its neighbors, too: the deviation of a crystal at the
distance d from the nearest chosen one is multiplied by sqrt(1 - rho^2), rho = exp(-d^2 / 2 l^2), as if both were values
of a Gaussian process with the length l.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.special import ndtr

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.errors import Failure, SettingsError
from phonolyte.features import featurize_orderings
from phonolyte.features.feature_sets import mean_over_orderings
from phonolyte.models import BandCenterModel
from phonolyte.models.domain import NORMAL_90, Domain
from phonolyte.models.nearest import whiten
from phonolyte.phonons.cost import phonon_cost_s
from phonolyte.structures import Crystal, Reading, read
from phonolyte.structures.families import family

THRIFT = 0.5
"""Default power of the cost by which gains are divided."""

WIDENING = 2.0
"""Factor on the intervals outside of the domain, of models that do not state their errors there."""

SAMPLE = 1000
"""Crystals by which the typical distance of neighbors is found."""

CHOSEN = (
    "choice", "material_id", "formula", "family", "n_atoms", "predicted_mev", "lower_mev", "upper_mev", "in_domain",
    "gain_mev", "cost_s",
)  # fmt: skip
"""Columns of a choice."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Crystals that are worth computing.

    Attributes
    ----------
    table
        One row a crystal, in the order of choice: the columns of :data:`CHOSEN`.
    failures
        Crystals that could not be judged.
    """

    table: pd.DataFrame
    failures: Sequence[Failure] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the crystals, in the order of choice."""
        return self.table["material_id"].astype(str).tolist()


def choose_crystals(
    model: BandCenterModel,
    crystals: Any,
    n: int,
    *,
    decision_mev: float | None = None,
    thrift: float = THRIFT,
    budget_s: float = np.inf,
    without: Collection[str] = (),
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Choice:
    """Choose crystals whose phonons are worth computing, for a model to learn from.

    Parameters
    ----------
    model
        Model of the band center that will learn.
    crystals
        Whatever :func:`phonolyte.structures.read` takes, or what it gave; only these are chosen from.
    n
        Largest number of crystals.
    decision_mev
        Center at which a decision is made; default: none, wide intervals count wherever they are.
    thrift
        Power of the cost by which gains are divided: 1 for gain a cpu-second, 0 to ignore the cost.
    budget_s
        Largest sum of the estimated costs, cpu-seconds.
    without
        Names of crystals that are not chosen: they have been computed.
    executor
        Threads that map over crystals.
    progress
        Called with the number of crystals featurized since the last call.

    Raises
    ------
    SettingsError
        For numbers that make no sense.
    """
    reading = crystals if isinstance(crystals, Reading) else read(crystals)
    known = set(without)
    left = [crystal for crystal in reading.crystals if crystal.material_id not in known]
    done = featurize_orderings(left, sets=model.sets, executor=executor, progress=progress)
    pool = Pool.describe(left, done.table, done.representatives)
    predicted = model.predict_orderings(done.table, pool.elements(done.table.index))
    table = pool.choose(
        model.domain, predicted, n, decision_mev=decision_mev, widening=widening_outside(model), thrift=thrift,
        budget_s=budget_s,
    )  # fmt: skip
    return Choice(table, [*reading.failures, *done.failures])


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Crystals to choose from, with what does not change when a model learns more.

    Attributes
    ----------
    table
        ``material_id, formula, family, n_atoms, cost_s`` (n rows).
    features
        Features (n, m), the mean over the orderings of each, indexed by `material_id`.
    symbols
        Elements of each crystal by its name.
    """

    table: pd.DataFrame
    features: pd.DataFrame
    symbols: dict[str, frozenset[str]]

    @classmethod
    def describe(
        cls, crystals: Sequence[Crystal], features: pd.DataFrame, representatives: Mapping[str, Crystal]
    ) -> Self:
        """Describe crystals by their features, a row each ordering, and by their ordered representatives.

        Crystals without features are left out.
        """
        means = mean_over_orderings(features)
        of_name = {crystal.material_id: crystal for crystal in crystals}
        described = [of_name[name] for name in means.index]
        ordered = [representatives[crystal.material_id] for crystal in described]
        table = pd.DataFrame(
            {
                "material_id": [crystal.material_id for crystal in described],
                "formula": [crystal.formula for crystal in described],
                "family": [family(crystal) for crystal in described],
                "n_atoms": [len(crystal) for crystal in ordered],
                "cost_s": phonon_cost_s(ordered),
            }
        )
        return cls(table, means, {crystal.material_id: frozenset(crystal.symbols) for crystal in described})

    def __len__(self) -> int:
        """Number of crystals."""
        return len(self.table)

    def elements(self, names: Sequence[str] | pd.Index) -> list[frozenset[str]]:
        """Elements of crystals by their names."""
        return [self.symbols[str(name)] for name in names]

    def choose(
        self, domain: Domain, predicted: pd.DataFrame, n: int, *, decision_mev: float | None = None,
        widening: float = WIDENING, thrift: float = THRIFT, budget_s: float = np.inf, allowed: Flags | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Choose up to n crystals, and return the columns :data:`CHOSEN` of them.

        Parameters
        ----------
        domain
            Domain of a model.
        predicted
            What the model predicts of all crystals, as :meth:`BandCenterModel.predict_orderings` does.
        n, decision_mev, thrift, budget_s
            As :func:`choose_crystals` takes them.
        widening
            Factor on the intervals of crystals outside of the domain.
        allowed
            Whether each crystal may be chosen; default: all.
        """
        rows = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed)
        predicted = predicted.loc[self.table["material_id"].iloc[rows]]
        center = predicted["band_center_mev"].to_numpy(float)
        factor = np.where(predicted["in_domain"].to_numpy(bool), 1.0, widening)
        deviation = factor * (predicted["upper_mev"].to_numpy(float) - center) / NORMAL_90
        gain = expected_loss_mev(center, deviation, decision_mev)
        points = whiten(domain, self.features.iloc[rows])
        cost = self.table["cost_s"].to_numpy(float)[rows]
        places = choose_batch(gain, cost, points, n, thrift=thrift, budget=budget_s)
        chosen = self.table.iloc[rows[places]].reset_index(drop=True)
        chosen_rows = predicted.iloc[places].reset_index(drop=True).rename(columns={"band_center_mev": "predicted_mev"})
        chosen = chosen.assign(
            **{name: chosen_rows[name] for name in ("predicted_mev", "lower_mev", "upper_mev", "in_domain")}
        )
        return chosen.assign(choice=np.arange(1, len(chosen) + 1), gain_mev=gain[places])[list(CHOSEN)]


def widening_outside(model: BandCenterModel) -> float:
    """Error of a model outside of its domain over that inside, in its cross-validation; at least 1."""
    scores = model.provenance.get("interval", {})
    outside, inside = scores.get("mae_out_of_domain_mev"), scores.get("mae_in_domain_mev")
    return max(float(outside / inside), 1.0) if outside and inside else WIDENING


def expected_loss_mev(center_mev: Floats, deviation_mev: Floats, decision_mev: float | None = None) -> Floats:
    """Expected loss (n,) of decisions by predicted centers (n,) with these standard deviations (n,), meV.

    A crystal on the wrong side of the decision loses as much as its center lies beyond it. None: every crystal counts
    as if its center lay at the decision.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = 0.0 if decision_mev is None else np.abs(center_mev - decision_mev) / deviation_mev
        loss = deviation_mev * (np.exp(-0.5 * np.square(distance)) / np.sqrt(2.0 * np.pi) - distance * ndtr(-distance))
    return np.asarray(np.where(deviation_mev > 0, np.maximum(loss, 0.0), 0.0))


def choose_batch(
    gain: Floats, cost: Floats, points: Floats, n: int, *, thrift: float = THRIFT, budget: float = np.inf,
    length: float | None = None,
) -> Ints:  # fmt: skip
    """Choose a batch one by one, the largest gain for its cost first, each by what the chosen ones leave of its gain.

    Parameters
    ----------
    gain
        (m,) gain of each candidate alone; what gains nothing is not chosen.
    cost
        (m,) cost of each candidate, above zero.
    points
        (m, d) candidates in a space where distances mean something.
    n
        Largest number to choose.
    thrift
        Power of the cost by which gains are divided.
    budget
        Largest sum of the costs.
    length
        Distance within which candidates inform about each other; default: :func:`typical_distance`.

    Returns
    -------
    numpy.ndarray
        Positions in the order of choice, up to n.

    Raises
    ------
    SettingsError
        For numbers that make no sense.
    """
    _check(n, thrift, budget, cost)
    length = typical_distance(points) if length is None else length
    value = gain / cost**thrift
    nearness, left, chosen = np.zeros(len(gain)), budget, list[int]()
    available = np.ones(len(gain), dtype=bool)
    while len(chosen) < n:
        score = np.where(available & (cost <= left), value * np.sqrt(1.0 - nearness**2), 0.0)
        best = int(score.argmax()) if len(score) else 0
        if not len(score) or not score[best] > 0:
            break
        chosen.append(best)
        available[best], left = False, left - cost[best]
        squares = np.square(points - points[best]).sum(axis=1)
        nearness = np.maximum(nearness, np.exp(-0.5 * squares / length**2))
    return np.array(chosen, dtype=np.int64)


def typical_distance(points: Floats) -> float:
    """Median distance of points (m, d) to the nearest other one that is not at the same place; 1 where there is none.

    Of many points it is that of a thousand of them, evenly spaced, to all.
    """
    sample = points[:: max(len(points) // SAMPLE, 1)]
    norms = np.square(points).sum(axis=1)
    nearest = []
    for point in sample:
        squares = norms + point @ point - 2.0 * points @ point
        apart = squares[squares > 1e-9 * (1.0 + point @ point)]
        nearest.append(apart.min() if len(apart) else np.nan)
    known = np.array(nearest)[~np.isnan(nearest)]
    return float(np.sqrt(np.median(known))) if len(known) else 1.0


def _check(n: int, thrift: float, budget: float, cost: Floats) -> None:
    if n < 1:
        raise SettingsError(f"{n} crystals cannot be chosen", fix="Give a whole number above zero.")
    for name, number in (("thrift", thrift), ("budget", budget)):
        if not number >= 0:
            raise SettingsError(f"{name} is {number}", fix="Give a number that is not negative.")
    if not (cost > 0).all():
        raise SettingsError("a crystal costs nothing", fix="Give costs above zero.")
