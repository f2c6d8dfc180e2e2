"""Rounds of choosing crystals, computing their phonons, and learning again, until nothing is left to decide.

Every step is found again after a kill: phonons crystal by crystal, models by what they have learned, and choices, since
the same model makes the same ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from phonolyte.drawing import OpenTier, run_tier
from phonolyte.errors import Failure
from phonolyte.loop.choosing import widening_outside
from phonolyte.loop.learning import FILE, Known, write_known
from phonolyte.loop.pool import Candidates, Prediction, leave_out_known
from phonolyte.loop.settings import LoopSettings
from phonolyte.models import BandCenterModel
from phonolyte.runs.calculation import Calculation, first_sentence
from phonolyte.runs.campaign import Outcome
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import write_csv
from phonolyte.runs.run import Run, make_folder
from phonolyte.structures import Crystal

ROUNDS, CHOSEN_FILE = "rounds", "chosen.csv"
"""Folder of a study with its rounds, and table of what one of them chose."""

TABLE, SUMMARY = "rounds.csv", "rounds.json"
"""Files of a study with what each round did."""

Learn = Callable[[Path, Path], BandCenterModel]
"""Learns from a learning set (a file) into a folder, or finds the model that has."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did; `computed`, `failed` and `not_reached` add up to `chosen`.

    Attributes
    ----------
    round
        Its number; 0 is what was there before.
    chosen, computed, unstable, failed, not_reached
        Crystals; the unstable ones are among those computed.
    mae_mev
        Mean absolute error of the predictions that were made before the crystals were computed; None without any.
    within
        Share of the computed centers within the predicted 90 % interval.
    learned
        Compounds in the learning set after it.
    width_mev
        Median width of the intervals of all that can be chosen, after learning.
    straddling
        How many of these intervals contain the decision.
    crossed
        How many predicted centers came to the other side of the decision.
    seconds
        Wall time of this run.
    """

    round: int
    chosen: int
    computed: int
    unstable: int
    failed: int
    not_reached: int
    mae_mev: float | None
    within: float | None
    learned: int
    width_mev: float
    straddling: int
    crossed: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    """Result of a loop.

    Attributes
    ----------
    rounds
        What each round did, the state before the first one first.
    model, folder
        Model that has learned all of it, and its folder.
    decision_mev
        Center at which a decision was made.
    stopped
        Why there was no further round.
    failures
        Crystals that could not be described or computed.
    """

    rounds: Sequence[Round]
    model: BandCenterModel
    folder: Path
    decision_mev: float
    stopped: str
    failures: Sequence[Failure]

    @property
    def table(self) -> pd.DataFrame:
        """One row a round, as in ``rounds.csv``."""
        return pd.DataFrame([asdict(each) for each in self.rounds])


@dataclass(slots=True, eq=False)
class _State:
    """What a loop knows so far."""

    known: list[Known]
    model: BandCenterModel
    folder: Path
    prediction: Prediction
    rounds: list[Round]
    tried: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """How a loop learns and computes.

    Attributes
    ----------
    settings
        How many rounds, of how many crystals.
    learn
        Learns from a file.
    calculation
        Phonons of a crystal.
    limit_mev
        Limit of the band center in the screen; None for none.
    open_tier
        Opens the executor of the phonons; None: this process.
    threads
        Threads that map over crystals.
    progress
        Opens a bar.
    """

    settings: LoopSettings
    learn: Learn
    calculation: Calculation
    limit_mev: float | None = None
    open_tier: OpenTier | None = None
    threads: Executor | None = None
    progress: OpenBar = no_bar

    def run(self, run: Run, crystals: Sequence[Crystal], known: Sequence[Known], *, model: BandCenterModel) -> Rounds:
        """Choose, compute and learn, round by round, in an open run folder of a study; a second call goes on.

        Parameters
        ----------
        run
            Open run folder; ``rounds/`` in it has a folder for each round, and that of the phonons.
        crystals
            Ordered crystals to choose from; those that repeat a known one are left out.
        known
            Learning set to begin with.
        model
            Model that has learned it (:meth:`begin`).
        """
        folder = run.path(ROUNDS)
        left = leave_out_known(crystals, known)
        candidates = Candidates.describe(left, model, folder, threads=self.threads, progress=self.progress)
        decision = self.decision(candidates.predict(model, 0.0, threads=self.threads))
        prediction = candidates.predict(model, decision, threads=self.threads)
        width, straddling = prediction.width_mev, int(prediction.straddling.sum())
        first = Round(0, 0, 0, 0, 0, 0, None, None, len(known), width, straddling, 0, 0.0)
        state = _State([*known], model, folder / "0" / "model", prediction, [first], failures=[*candidates.failures])
        end, stopped = time.time() + 3600.0 * self.settings.budget_h, ""
        self._write(run, state, decision, "not finished")
        for number in range(1, self.settings.rounds + 1):
            stopped = self._run_round(number, candidates, state, folder, end)
            self._write(run, state, decision, stopped or "not finished")
            if stopped:
                break
        stopped = stopped or "all rounds are done"
        self._write(run, state, decision, stopped)
        return Rounds(state.rounds, state.model, state.folder, decision, stopped, state.failures)

    def begin(self, known: Sequence[Known], folder: Path) -> BandCenterModel:
        """Learn what there is to begin with, in the folder of rounds."""
        return self._learn(known, folder / "0")

    def decision(self, prediction: Prediction) -> float:
        """Center at which a decision is made: as it is set, the limit of the screen, or that at the cut, meV."""
        if self.settings.decision_mev is not None:
            return self.settings.decision_mev
        if self.limit_mev is not None:
            return self.limit_mev
        centers = np.sort(prediction.table["band_center_mev"].to_numpy(float))
        return float(centers[min(self.settings.cut, len(centers)) - 1]) if len(centers) else 0.0

    def _learn(self, known: Sequence[Known], folder: Path) -> BandCenterModel:
        make_folder(folder)
        write_known(known, folder / FILE)
        return self.learn(folder / FILE, folder / "model")

    def _run_round(self, number: int, candidates: Candidates, state: _State, folder: Path, end: float) -> str:
        """Do one round; return why there is none."""
        start, before = time.time(), state.prediction
        if not before.straddling.any():
            return "no interval contains the decision"
        if start >= end:
            return "the time was up"
        choice = candidates.pool.choose(
            state.model.domain, before.table, self.settings.crystals, decision_mev=before.decision_mev,
            widening=widening_outside(state.model), thrift=self.settings.thrift,
            allowed=~candidates.pool.table["material_id"].isin(state.tried).to_numpy(bool),
        )  # fmt: skip
        if choice.empty:
            return "nothing is left to choose"
        round_folder = folder / str(number)
        make_folder(round_folder)
        write_csv(choice, round_folder / CHOSEN_FILE)  # predictions are there before their phonons
        chosen = [candidates.crystals[name] for name in choice["material_id"]]
        outcome = self._compute(folder, chosen, start + (end - start) / (self.settings.rounds + 1 - number))
        results = (
            outcome.table[outcome.table["material_id"].isin(choice["material_id"])] if len(outcome.table) else None
        )
        rows = [] if results is None else [{str(key): row[key] for key in row} for row in results.to_dict("records")]
        new = [Known.from_phonons(candidates.crystals[str(row["material_id"])], row, number) for row in rows]
        choice = _with_outcome(choice, new, outcome)
        write_csv(choice, round_folder / CHOSEN_FILE)
        state.tried |= {*choice["material_id"]} - {*outcome.not_reached}
        state.failures += outcome.failures
        if new:
            state.known += new
            state.model, state.folder = self._learn(state.known, round_folder), round_folder / "model"
            state.prediction = candidates.predict(state.model, before.decision_mev, threads=self.threads)
        state.rounds.append(_summary(number, choice, new, outcome, before, state, time.time() - start))
        return ""

    def _compute(self, folder: Path, crystals: Sequence[Crystal], deadline: float) -> Outcome:
        return run_tier(
            self.calculation, crystals, folder / self.calculation.name, open_tier=self.open_tier, deadline=deadline,
            figures=None, progress=self.progress,
        )  # fmt: skip

    @staticmethod
    def _write(run: Run, state: _State, decision: float, stopped: str) -> None:
        rows = [asdict(each) for each in state.rounds]
        run.write_table(TABLE, pd.DataFrame(rows))
        run.write_json(SUMMARY, {"decision_mev": decision, "stopped": stopped, "rounds": rows})


def _with_outcome(choice: pd.DataFrame, new: Sequence[Known], outcome: Outcome) -> pd.DataFrame:
    """The choice with what came of each crystal: its center, whether it is stable, or why there is none."""
    of_name = {each.crystal.material_id: each for each in new}
    why = {failure.material_id: f"failed: {first_sentence(failure.message)}" for failure in outcome.failures}
    computed = [of_name.get(str(name)) for name in choice["material_id"]]
    words = [
        why.get(str(name), "not reached") if each is None else "stable" if each.stable else "unstable"
        for name, each in zip(choice["material_id"], computed, strict=True)
    ]
    centers = np.array([np.nan if each is None else each.center_mev for each in computed])
    return choice.assign(computed_mev=centers, error_mev=choice["predicted_mev"] - centers, outcome=words)


def _summary(
    number: int, choice: pd.DataFrame, new: Sequence[Known], outcome: Outcome, before: Prediction, state: _State,
    seconds: float,
) -> Round:  # fmt: skip
    done = choice[choice["computed_mev"].notna()]
    inside = (done["lower_mev"] <= done["computed_mev"]) & (done["computed_mev"] <= done["upper_mev"])
    failed = len({failure.material_id for failure in outcome.failures})
    after, error = state.prediction, float(done["error_mev"].abs().mean()) if len(done) else None
    return Round(
        number, chosen=len(choice), computed=len(new), unstable=sum(not each.stable for each in new), failed=failed,
        not_reached=len(choice) - len(new) - failed, mae_mev=error,
        within=float(inside.mean()) if len(done) else None, learned=len(state.known), width_mev=after.width_mev,
        straddling=int(after.straddling.sum()), crossed=int((before.soft != after.soft).sum()), seconds=seconds,
    )  # fmt: skip
