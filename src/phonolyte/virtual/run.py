"""Virtual compounds into a run folder: portion by portion, so that a kill costs one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phonolyte.arrays import Ints
from phonolyte.errors import ModelError, SettingsError
from phonolyte.files import parse_json, read_arrays
from phonolyte.models import BandCenterModel
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import file_name, in_one_step, write_parquet
from phonolyte.runs.run import Run
from phonolyte.structures import Crystal
from phonolyte.virtual.followed import choose_followed, describe_followed, order_followed
from phonolyte.virtual.space import Space
from phonolyte.virtual.stream import HIGHEST_MEV, Evaluated, Evaluator, Recipe, Tally, evaluate, table
from phonolyte.virtual.volumes import VolumeOfParent

PORTION = 2**20
"""Compounds between two writes."""

MOST_KEPT = 20_000_000
"""Compounds that are all written; more need a number of best ones, or a sample."""

LISTED = 1000
"""Best compounds in ``best.csv`` where all are kept."""

FOLDER, STATE = "virtual", ".virtual-state"

METHOD = 3
"""Version of what is computed of a compound: raise it when the same compound gets another row."""


@dataclass(frozen=True, slots=True, eq=False)
class VirtualResult:
    """The best compounds as a table, the best first, and the counts of ``summary.json``."""

    best: pd.DataFrame
    summary: dict[str, Any]


def run_virtual(
    run: Run,
    spaces: Sequence[Space],
    model: BandCenterModel,
    *,
    top: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    recipe: Recipe = "conductors",
    known: Sequence[Crystal] = (),
    executor: Executor | None = None,
    progress: OpenBar = no_bar,
) -> VirtualResult:
    """Evaluate spaces and write what is kept.

    Parameters
    ----------
    run
        Open run folder: receives ``virtual/*.parquet``, ``best.csv`` and ``summary.json``.
    spaces
        Space of each parent.
    model
        Model that predicts the band center.
    top
        Keep this many of each space, by score; all unless given.
    sample
        Look at this many of each space, at random; all unless given.
    seed
        Seed for the sample.
    recipe
        ``conductors``: by estimated conductivity and plausibility, and the best of these by the probability that they
        conduct; ``study``: by band center and plausibility.
    known
        Crystals that are known: compounds with their formula and structure are marked.
    executor
        Maps over blocks of compounds; use threads.
    progress
        Opens a bar.

    Raises
    ------
    SettingsError
        When more would be written than is sensible, the rules allow no compound at all, or for an unknown recipe.
    """
    if recipe not in get_args(Recipe):
        raise SettingsError(f"there is no recipe {recipe!r}", fix=f"Choose among {', '.join(get_args(Recipe))}.")
    if top is None and sum(min(len(space), sample or len(space)) for space in spaces) > MOST_KEPT:
        raise SettingsError(
            f"the rules span {sum(map(len, spaces)):,} compounds",
            why=f"at most {MOST_KEPT:,} are written",
            fix="Keep the best with --top, or look at a part with --sample.",
        )
    parts = run.path(FOLDER)
    parts.mkdir(exist_ok=True)
    run.path(STATE)
    best, summaries, written = [], {}, set()
    count = sum(min(len(space), sample or len(space)) for space in spaces)
    with progress("Compounds", count) as advance:
        for space in spaces:
            indices = space.sample(sample, seed=seed) if sample else range(len(space))
            work = _Work(space, model, run.folder, top, indices, recipe)
            with threadpool_limits(1, user_api="blas"):  # the executor's threads have the cores
                tally, best_of_space = work.done(executor, advance)
            summaries[space.parent.name] = tally.summary()
            rows = table(best_of_space, space, recipe)
            best.append(_mark(rows, space, best_of_space.index, known))
            written |= set(work.files)
            names = f"{FOLDER}/{file_name(space.parent.name)}-*.parquet"
            run.describe_table(names, rows, free=[slot.name for slot in space.parent.slots])
    for path in parts.glob("*.parquet"):
        if path.name not in written:  # of an earlier run with other rules
            path.unlink()
    for space in spaces:
        if not summaries[space.parent.name]["compounds"]:
            raise _nothing(space)
    joined = _order(pd.concat(best, ignore_index=True), recipe)
    if recipe == "conductors":
        joined = _with_followed(joined, spaces, model, folder=run.path(STATE), executor=executor, progress=progress)
    joined.insert(0, "rank", joined.index + 1)
    slots = {slot.name for space in spaces for slot in space.parent.slots}
    run.write_table("best.csv", joined, free=slots)
    record = {"recipe": recipe, "total": _total(summaries), "prototypes": summaries}
    run.write_json("summary.json", record)
    return VirtualResult(joined, record)


def write_structures(
    result: VirtualResult, spaces: Sequence[Space], model: BandCenterModel, run: Run, *, as_table: bool = False
) -> None:
    """Write the best compounds as ``structures/ID.cif``, or as the crystal table ``structures.parquet``.

    They are not relaxed; cells have the volumes at which the model predicts, or, for a model that does not depend on
    them, are scaled by the sum of the radii of the ions where these are known.
    """
    crystals = best_crystals(result, spaces, model)
    if as_table:
        run.write_crystals(crystals, "structures.parquet")
        return
    folder = run.path("structures")
    folder.mkdir(exist_ok=True)
    for crystal in crystals:
        with in_one_step(folder / f"{file_name(crystal.material_id)}.cif") as partial:
            crystal.to_pymatgen().to(str(partial), fmt="cif")


def best_crystals(result: VirtualResult, spaces: Sequence[Space], model: BandCenterModel) -> list[Crystal]:
    """The best compounds as crystals, in the order of their table; not relaxed, at the volumes that the model uses."""
    return _built(result.best, spaces, model)


def _built(best: pd.DataFrame, spaces: Sequence[Space], model: BandCenterModel) -> list[Crystal]:
    builders = {space.parent.name: builder(space, model) for space in spaces}
    names = best[["material_id", "prototype"]].itertuples(index=False)
    return [builders[prototype](int(name.rpartition("-")[2])) for name, prototype in names]


def builder(space: Space, model: BandCenterModel) -> Callable[[int], Crystal]:
    """Return what builds compounds by their numbers: not relaxed, at the volumes that the model uses."""
    if model.cells is None:
        return space.crystal
    volume = VolumeOfParent.from_parent(space.parent, model.cells.volumes)

    def build(index: int) -> Crystal:
        return volume.crystal(space.numbers(np.array([index]))[0], material_id=f"{space.parent.name}-{index}")

    return build


def _order(best: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The best of all prototypes as one table, in the order of a recipe."""
    if recipe == "study":
        return best.sort_values(["score_mev", "material_id"], ignore_index=True)
    by = ["score_log_sigma", "score_mev", "material_id"]
    return best.sort_values(by, ascending=[False, True, True], na_position="last", ignore_index=True)


def _with_followed(
    best: pd.DataFrame,
    spaces: Sequence[Space],
    model: BandCenterModel,
    *,
    folder: Path,
    executor: Executor | None,
    progress: OpenBar,
) -> pd.DataFrame:
    """Follow the best of each prototype, and put them first."""
    rows = choose_followed(best)
    if not rows:
        return best
    crystals = _built(best.loc[rows], spaces, model)
    with threadpool_limits(1, user_api="blas"):
        described = describe_followed(crystals, folder=folder, executor=executor, progress=progress)
    return order_followed(best, described.set_axis(pd.Index(rows)))


@dataclass(slots=True)
class _Work:
    """One space on its way through the portions."""

    space: Space
    model: BandCenterModel
    folder: Path
    top: int | None
    indices: Ints | range
    recipe: Recipe
    files: list[str] = field(default_factory=list)

    def done(self, executor: Executor | None, advance: Callable[[int], None]) -> tuple[Tally, Evaluated]:
        """Counts over the space, and its best compounds; portions that are done are not done again."""
        digest, limit = self._digest(), self.top or LISTED
        first, tally, best = self._resume(digest)
        if first:
            advance(min(first * PORTION, len(self.indices)))
        evaluator = Evaluator(self.space, self.model, recipe=self.recipe)
        for number in range(first, -(-len(self.indices) // PORTION)):
            portions = []
            for n_seen, evaluated in evaluate(
                evaluator, self.indices[number * PORTION : (number + 1) * PORTION], executor=executor
            ):
                tally.add(n_seen, evaluated)
                portions.append(evaluated.best(limit, self.recipe) if self.top else evaluated)
                if len(portions) > 64 and self.top:
                    portions = [Evaluated.joined(portions).best(limit, self.recipe)]
                advance(n_seen)
            portion = Evaluated.joined(portions)
            best = (Evaluated.joined([best, portion]) if best else portion).best(limit, self.recipe)
            if not self.top:
                self._write(portion, number)
            self._save(digest, number + 1, tally, best)
        assert best is not None  # a space has one choice at least
        if self.top:
            self._write(best, 0)
        else:
            self.files = [self._file(number) for number in range(-(-len(self.indices) // PORTION))]
        return tally, best

    def _file(self, number: int) -> str:
        return f"{file_name(self.space.parent.name)}-{number:05d}.parquet"

    def _write(self, evaluated: Evaluated, number: int) -> None:
        write_parquet(table(evaluated, self.space, self.recipe), self.folder / FOLDER / self._file(number))
        self.files.append(self._file(number))

    @property
    def _state(self) -> Path:
        return self.folder / STATE / f"{file_name(self.space.parent.name)}.npz"

    def _save(self, digest: str, portions: int, tally: Tally, best: Evaluated) -> None:
        self._state.parent.mkdir(exist_ok=True)
        record = json.dumps({"digest": digest, "portions": portions, "tally": tally.state()})
        with in_one_step(self._state) as partial, partial.open("wb") as stream:
            np.savez(stream, record=np.array(record), **{name: getattr(best, name) for name in Evaluated.__slots__})

    def _resume(self, digest: str) -> tuple[int, Tally, Evaluated | None]:
        try:
            arrays = read_arrays(self._state)
            record = parse_json(str(arrays["record"]))
            if record["digest"] != digest:
                return 0, Tally(), None
            best = Evaluated(*(arrays[name] for name in Evaluated.__slots__))
            return record["portions"], Tally.of_state(record["tally"]), best
        except (ModelError, OSError, ValueError, KeyError, TypeError):  # what is not whole is done again
            return 0, Tally(), None

    def _digest(self) -> str:
        """What decides the result."""
        digest = hashlib.sha256(
            repr((METHOD, self.recipe, self.model.fingerprint, self.space.digest, self.top)).encode()
        )
        digest.update(repr(self.indices).encode() if isinstance(self.indices, range) else self.indices.tobytes())
        return digest.hexdigest()


def read_trend(folder: Path) -> pd.DataFrame:
    """Return `mean_Row` and `band_center_mev` of all compounds that a run folder keeps."""
    columns = ["mean_Row", "band_center_mev"]
    return pd.concat([pd.read_parquet(path, columns=columns) for path in sorted((folder / FOLDER).glob("*.parquet"))])


def _mark(best: pd.DataFrame, space: Space, index: Ints, known: Sequence[Crystal]) -> pd.DataFrame:
    """Add `known_as`: the known crystal that has the formula of a compound and its structure."""
    by_formula: dict[str, list[Crystal]] = {}
    for crystal in known:
        by_formula.setdefault(crystal.formula, []).append(crystal)
    names = [
        next((other.material_id for other in by_formula.get(formula, ()) if _same(space.crystal(number), other)), None)
        for formula, number in zip(best["formula"], index.tolist(), strict=True)
    ]
    return best.assign(known_as=pd.Series(names, index=best.index, dtype=object))


def _same(first: Crystal, second: Crystal) -> bool:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return bool(StructureMatcher().fit(first.to_pymatgen(), second.to_pymatgen()))


def _nothing(space: Space) -> SettingsError:
    rules = space.rules
    why = [
        *(["charges that add up to zero"] if rules.charge == "balanced" else []),
        *([f"a radius window of {rules.radius_window:g}"] if rules.radius_window else []),
        *(["the order of electronegativities"] if rules.electronegativity_order else []),
    ]
    return SettingsError(
        f"the rules for {space.parent.name} allow no compound at all",
        why=f"none of {len(space):,} choices has {' and '.join(why)}",
        fix="Lengthen the lists, widen or leave out radius_window, or set charge = 'free'.",
    )


def _total(summaries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    counts = ("given", "compounds", "charge_balanced", "in_domain", "soft")
    record: dict[str, Any] = {name: sum(summary[name] for summary in summaries.values()) for name in counts}
    record["soft_share"] = record["soft"] / record["compounds"] if record["compounds"] else None
    histogram = np.zeros(HIGHEST_MEV, dtype=np.int64)
    for summary in summaries.values():
        histogram += summary["histogram_per_mev"]
    return record | {"histogram_per_mev": histogram.tolist()}
