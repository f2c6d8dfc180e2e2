"""A study: learn, screen, and follow the best through ever more certain evidence, from one settings file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd

from phonolyte import make_callable
from phonolyte.drawing import OpenTier, run_tier
from phonolyte.errors import Failure, SettingsError
from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.loop.settings import LoopSettings, read_loop
from phonolyte.runs.calculation import Calculation, first_sentence
from phonolyte.runs.campaign import Outcome
from phonolyte.runs.executors import ExecutorSettings
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run
from phonolyte.runs.settings import AS_USUAL, FigureFiles
from phonolyte.screen import ScreenSettings
from phonolyte.settings import read_toml, resolve, section, settings_of
from phonolyte.structures import Crystal
from phonolyte.tiers import FOLLOWED, FOLLOWED_STEPS, TIERS, TO_THE_END, deciding_column, find_tier
from phonolyte.train import TrainSettings

if TYPE_CHECKING:
    from phonolyte.forces import Engine


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """How far candidates are followed.

    Attributes
    ----------
    ion
        Mobile element; empty for that of the screen, or Li.
    engine
        Engine of the tiers that need one.
    options
        Options of the engine.
    budget_h
        Hours for all tiers together; each may take an equal share of what is left when it begins. A crystal that has
        begun is finished.
    tiers
        Tiers in their order, each takes what the one before keeps.
    """

    ion: Annotated[str, "Mobile element. Default: that of the screen."] = ""
    engine: Annotated[str, "Source of energies and forces."] = DEFAULT_ENGINE
    options: Mapping[str, Any] | tuple[str, ...] = ()
    budget_h: Annotated[float, "Hours for all tiers together."] = 1.0
    tiers: Annotated[tuple[str, ...], "Tiers in their order."] = ("percolation", "stability", "phonons", "barriers")

    def __post_init__(self) -> None:
        if not self.budget_h > 0:
            raise SettingsError(f"budget_h is {self.budget_h}", fix="Give a positive number.")
        for tier in self.tiers:
            find_tier(tier)


@dataclass(frozen=True, slots=True)
class TierPlan:
    """One tier of a study.

    Attributes
    ----------
    name
        Name of the tier.
    top
        Largest number of candidates that it takes.
    settings, limits
        Settings of its calculation, and what it requires of a candidate.
    """

    name: str
    top: int
    settings: Any
    limits: Any

    def calculation(self, ion: str, engine: Engine | None) -> Calculation:
        """Return the calculation of the tier."""
        return find_tier(self.name).for_study(ion, engine, self.settings, self.limits)


@dataclass(frozen=True, slots=True)
class StudySettings:
    """Settings of a study, as its file has them.

    Attributes
    ----------
    train
        Training whose model the screen uses; None for the embedded model.
    screen
        Criteria of the screen.
    inputs, properties
        Crystals to screen (the reference compounds where none are named), and a table of their properties.
    follow
        How the best are followed; None for not at all.
    plans
        Tiers they are followed through.
    loop
        Rounds of choosing, computing and learning before that; None for none.
    executor
        Where work runs.
    """

    train: TrainSettings | None = field(default_factory=lambda: TrainSettings(compare=False))
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    inputs: tuple[str, ...] = ()
    properties: Path | None = None
    follow: FollowSettings | None = None
    plans: tuple[TierPlan, ...] = ()
    loop: LoopSettings | None = None
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)

    @property
    def ion(self) -> str:
        """Mobile ion of what is followed."""
        named = self.follow.ion if self.follow else ""
        return named or (self.screen.ion if self.screen.ion != "any" else "Li")

    def with_rounds(self, rounds: int) -> StudySettings:
        """Return the same study with another number of rounds."""
        return replace(self, loop=replace(self.loop or LoopSettings(), rounds=rounds))


@dataclass(frozen=True, slots=True)
class Step:
    """What a tier did; the counts add up to those that came.

    Attributes
    ----------
    tier, criterion
        Name of the tier, and what it requires.
    came, kept, rejected, failed, not_reached
        Candidates; `not_reached` when the time was up or there was room for no more.
    seconds
        Wall time of this run.
    """

    tier: str
    criterion: str
    came: int
    kept: int
    rejected: int
    failed: int
    not_reached: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """How far each candidate came.

    Attributes
    ----------
    table
        One row a candidate, as in ``followed.csv``; `stopped` says where it stopped and why.
    steps
        What each tier did.
    failures
        Failures of all tiers.
    """

    table: pd.DataFrame
    steps: Sequence[Step]
    failures: Sequence[Failure]


def read_study(file: str | Path) -> StudySettings:
    """Read the settings of a study from a TOML file; paths in it are relative to the file.

    Raises
    ------
    SettingsError
        For what is not a setting, and values that make no sense.
    """
    file = Path(file).expanduser()
    record, base = read_toml(file), file.parent
    unknown = set(record) - {"train", "screen", "loop", "follow", "executor"}
    if unknown:
        raise SettingsError(
            f"there is no table [{sorted(unknown)[0]}]", fix="Use [train], [screen], [loop], [follow] and [executor]."
        )
    train = resolve(TrainSettings, table=section(record, "train"), where="train") if "train" in record else None
    if train is not None and train.data:
        train = replace(train, data=str(_locate(train.data, base)))
    table = section(record, "screen")
    inputs, properties = table.pop("inputs", ()), table.pop("properties", None)
    screen = resolve(ScreenSettings, table=table, where="screen")
    follow, plans = _read_follow(section(record, "follow"), screen) if "follow" in record else (None, ())
    return StudySettings(
        train=train,
        screen=screen,
        inputs=tuple(str(_locate(item, base)) for item in ([inputs] if isinstance(inputs, str) else inputs)),
        properties=_locate(properties, base) if properties else None,
        follow=follow,
        plans=plans,
        loop=read_loop(section(record, "loop")) if "loop" in record else None,
        executor=resolve(ExecutorSettings, table=section(record, "executor"), where="executor"),
    )


def _locate(path: str, base: Path) -> Path:
    return base / Path(str(path)).expanduser()


def _read_follow(table: dict[str, Any], screen: ScreenSettings) -> tuple[FollowSettings, tuple[TierPlan, ...]]:
    """Settings of ``[follow]``: its own, ``TIER_top``, the limits of tiers, and a table ``[follow.TIER]`` of each."""
    names = {setting.name for setting in settings_of(FollowSettings)}
    follow = resolve(FollowSettings, table={k: v for k, v in table.items() if k in names}, where="follow")
    shared = {name: value for name, value in asdict(screen.criteria).items() if value is not None}
    plans, known = [], names | set(TIERS)
    for name in follow.tiers:
        tier = find_tier(name)
        limits = [setting.name for setting in settings_of(tier.limits_kind)] if tier.limits_kind else []
        limits_in_file = {key: table[key] for key in limits if key in table}
        defaults = {key: shared[key] for key in limits if key in shared}
        plans.append(
            TierPlan(
                name,
                top=_whole(table.get(f"{name}_top", tier.top), f"{name}_top"),
                settings=resolve(tier.settings_kind, table=section(table, name), where=f"follow.{name}"),
                limits=resolve(tier.limits_kind, table={**defaults, **limits_in_file}) if tier.limits_kind else None,
            )
        )
        known |= {f"{name}_top", *limits}
    unknown = set(table) - known
    if unknown:
        raise SettingsError(
            f"[follow] has no setting {sorted(unknown)[0]!r}", fix=f"Choose among {', '.join(sorted(known))}."
        )
    return follow, tuple(plans)


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingsError(f"{name} is {value!r}", fix="Give a whole number above zero.")
    return value


def follow_candidates(
    run: Run,
    crystals: Sequence[Crystal],
    ranked: pd.DataFrame,
    calculations: Sequence[Calculation],
    *,
    ion: str,
    tops: Sequence[int],
    budget_h: float = 1.0,
    open_tier: OpenTier | None = None,
    figures: FigureFiles | None = AS_USUAL,
    progress: OpenBar = no_bar,
) -> Followed:
    """Follow the candidates of a screen, the best first, until the time is up; a second call goes on.

    Parameters
    ----------
    run
        Open run folder of the study; each tier has a run folder in it.
    crystals
        Candidates, in any order.
    ranked
        Candidates in their order (those without the ion are left out): `material_id`, `band_center_mev`.
    calculations, tops
        Calculation of each tier in their order, and the largest number of candidates it takes.
    ion
        Mobile element.
    budget_h
        Hours for all tiers together.
    open_tier
        Opens the executor of a tier; default: this process.
    figures
        Files of the figures of the crystals; None for no figures.
    progress
        Opens a bar.

    Raises
    ------
    SettingsError
        When no candidate has the ion.
    """
    rows = _first_rows(crystals, ranked, ion)
    by_name = {crystal.material_id: crystal for crystal in crystals}
    left = [by_name[name] for name in rows]
    end = time.time() + 3600 * budget_h
    steps: list[Step] = []
    failures: list[Failure] = []
    for number, (calculation, top) in enumerate(zip(calculations, tops, strict=True)):
        start = time.time()
        deadline = start + max((end - start) / (len(calculations) - number), 0.0)
        outcome = run_tier(
            calculation, left[:top], run.path(calculation.name), open_tier=open_tier, deadline=deadline,
            figures=figures, progress=progress,
        )  # fmt: skip
        verdicts = _verdicts(calculation, outcome, rows)
        for place, crystal in enumerate(left):
            why = verdicts.get(crystal.material_id, "no room" if place >= top else "time was up")
            rows[crystal.material_id]["stopped"] = f"{calculation.name}: {why}" if why else ""
        steps.append(_step(calculation, left, verdicts, outcome, time.time() - start))
        failures += outcome.failures
        left = [crystal for crystal in left if verdicts.get(crystal.material_id) == ""]
    table = _table_of(rows, calculations)
    run.write_table(FOLLOWED, table)
    run.write_json(FOLLOWED_STEPS, {"steps": [asdict(step) for step in steps]})
    return Followed(table, steps, failures)


def _first_rows(crystals: Sequence[Crystal], ranked: pd.DataFrame, ion: str) -> dict[str, dict[str, Any]]:
    """Rows of the candidates with the ion, by name, in their order."""
    by_name = {crystal.material_id: crystal for crystal in crystals}
    with_ion = ranked[[ion in by_name[name].symbols for name in ranked["material_id"]]]
    if len(ranked) and not len(with_ion):
        raise SettingsError(
            f"no candidate contains {ion}, the ion to follow",
            why=f"the first is {by_name[ranked['material_id'].iloc[0]].formula}",
            fix="Name another one as ion in the table [follow].",
        )
    pairs = zip(with_ion["material_id"], with_ion["band_center_mev"], strict=True)
    return {
        name: {"rank": rank, "predicted_mev": center, "formula": by_name[name].formula, "stopped": ""}
        for rank, (name, center) in enumerate(pairs, start=1)
    }


def _verdicts(calculation: Calculation, outcome: Outcome, rows: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Why each candidate that a tier has looked at goes no further; empty where it does."""
    verdicts = {}
    for row in outcome.table.to_dict("records"):
        name = str(row["material_id"])
        if name not in rows:  # of an earlier run
            continue
        named = {str(key): value for key, value in row.items()}
        rows[name].update({column: named[source] for column, source in calculation.followed.items()})
        verdicts[name] = calculation.verdict(named)
    return verdicts | {f.material_id: f"failed, {first_sentence(f.message)}" for f in outcome.failures}


def _step(
    calculation: Calculation, left: Sequence[Crystal], verdicts: Mapping[str, str], outcome: Outcome, seconds: float
) -> Step:
    names = {crystal.material_id for crystal in left}
    judged = {name: why for name, why in verdicts.items() if name in names}
    failed = len(outcome.failures)
    rejected = sum(bool(why) for why in judged.values()) - failed
    passed = sum(not why for why in judged.values())
    return Step(
        calculation.name, calculation.criterion, len(left), passed, rejected, failed, len(left) - len(judged), seconds
    )


def _table_of(rows: Mapping[str, dict[str, Any]], calculations: Sequence[Calculation]) -> pd.DataFrame:
    computed = list(dict.fromkeys(column for calculation in calculations for column in calculation.followed))
    columns = ["rank", "material_id", "formula", "predicted_mev", *computed, "stopped"]
    table = pd.DataFrame([{"material_id": name, **row} for name, row in rows.items()]).reindex(columns=columns)
    table["stopped"] = table["stopped"].replace("", TO_THE_END)
    order = list(dict.fromkeys((deciding_column(columns), "rank")))
    return table.sort_values(order, na_position="last", ignore_index=True)


make_callable(__name__)
