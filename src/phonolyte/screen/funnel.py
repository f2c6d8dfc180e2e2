"""The funnel: predict every crystal, apply named criteria, and rank what is left, with counts that add up."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte import __version__
from phonolyte.errors import Failure, TableError
from phonolyte.features import featurize
from phonolyte.models import BandCenterModel
from phonolyte.models.nearest import Learned
from phonolyte.runs.records import write_crystals, write_parquet
from phonolyte.screen.criteria import Criteria, Step, apply_criteria
from phonolyte.screen.properties import notes_on_join, with_properties
from phonolyte.structures import Crystal
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.families import family
from phonolyte.structures.reading import Reading

SHARD = 2000
"""Crystals predicted between two writes: what a kill can cost."""

PREDICTED = ("band_center_mev", "lower_mev", "upper_mev", "in_domain")


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """Result of a screen: the ranked `table`, the `funnel`, what `failures` there were, and `notes`.

    `nearest` lists, where it was asked for, the compounds learned from that are nearest to each crystal
    (:meth:`phonolyte.models.nearest.Learned.named`).
    """

    table: pd.DataFrame
    funnel: list[Step]
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nearest: pd.DataFrame | None = None

    @property
    def n_ranked(self) -> int:
        """How many passed every criterion."""
        return int(self.table["passes"].sum())


def screen(
    reading: Reading,
    *,
    model: BandCenterModel | None = None,
    criteria: Criteria | None = None,
    properties: pd.DataFrame | None = None,
    learned: Learned | None = None,
    shards: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Screening:
    """Rank crystals as candidates for solid electrolytes.

    Parameters
    ----------
    reading
        What :func:`phonolyte.structures.read` gave.
    model
        The embedded one where none is given.
    criteria
        Of the study, plus a band gap, unless given.
    properties
        Indexed by `material_id`; columns ``e_hull_ev`` (eV/atom) and ``band_gap_ev`` (eV) serve criteria.
    learned
        Compounds among which the nearest to each crystal are looked up.
    shards
        Folder in which finished parts are kept, so that a killed run goes on; nothing is kept without.
    executor
        Maps over the crystals; threads are enough.
    progress
        Called with the number of crystals done since the last call.

    Returns
    -------
    Screening
        Every readable crystal has a row, the best first; ``rank`` is null where a criterion rejects it.

    Raises
    ------
    TableError
        When two crystals have one name, or `properties` know none of them.
    """
    model, criteria = model or BandCenterModel.embedded(), criteria or Criteria()
    crystals = reading.crystals
    repeated = [name for name, count in Counter(crystal.material_id for crystal in crystals).items() if count > 1]
    if repeated:
        raise TableError(
            f"{len(repeated)} material_ids occur more than once",
            why=f"for example {repeated[0]}",
            fix="Read the crystals with phonolyte.structures.read, which makes them unique.",
        )
    work = _Work(model, learned, shards, executor, progress)
    predicted, nearest, failures = work.done(crystals)
    table = _described(crystals, executor)
    table = table.join(predicted, on="material_id")
    table = with_properties(table, crystals, properties)
    table, funnel = apply_criteria(table, criteria)
    n_read = len(crystals) + len(reading.failures)
    first = Step("readable", "the structure can be read", True, len(reading.failures), 0, len(crystals))
    second = Step("features", "features can be computed", True, len(failures), 0, len(crystals) - len(failures))
    total = Step("input", "materials given", True, 0, 0, n_read)
    ranked = table.sort_values(["passes", "band_center_mev"], ascending=[False, True], kind="stable")
    ranked = ranked.reset_index(drop=True)
    ranked.insert(0, "rank", pd.Series(ranked.index + 1, dtype="Int64").where(ranked["passes"]))
    notes = [*reading.notes, *notes_on_join(crystals, properties)]
    lost = [*reading.failures, *failures]
    return Screening(ranked, [total, first, second, *funnel], lost, notes, nearest)


def funnel_record(screening: Screening, criteria: Criteria) -> dict[str, Any]:
    """What ``funnel.json`` holds: criteria, steps and families of the candidates."""
    passed = screening.table[screening.table["passes"]]
    families = passed["family"].value_counts()
    return {
        "criteria": asdict(criteria),
        "steps": [asdict(step) for step in screening.funnel],
        "families": {str(name): int(count) for name, count in families.items()},
        "candidates": screening.n_ranked,
        "duplicates": int(screening.table["duplicate_of"].notna().sum()),
        "failures": len(screening.failures),
        "out_of_domain_candidates": int((~passed["in_domain"].astype(bool)).sum()),
        "caveat": "The band center is a proxy: within a family a soft lattice goes with mobile ions; "
        "it is no conductivity.",
    }


def write_screening(
    screening: Screening, criteria: Criteria, folder: Path, *, crystals: Sequence[Crystal] = ()
) -> None:
    """Write ``ranked.parquet``, ``ranked.csv`` and ``funnel.json``, and ``nearest.parquet`` and ``crystals.parquet``.

    The last two where there are nearest compounds and `crystals`: a report can then be made from the folder alone.
    """
    table = screening.table.drop(columns="elements")
    write_parquet(table, folder / "ranked.parquet")
    table.to_csv(folder / "ranked.csv", index=False, float_format="%.6g")
    record = json.dumps(funnel_record(screening, criteria), indent=1)
    (folder / "funnel.json").write_text(record + "\n", encoding="utf-8")
    if screening.nearest is not None:
        write_parquet(screening.nearest, folder / "nearest.parquet")
    if crystals:
        write_crystals(crystals, folder)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Predicts crystals, a shard at a time."""

    model: BandCenterModel
    learned: Learned | None
    shards: Path | None
    executor: Executor | None
    progress: Callable[[int], None] | None

    def done(self, crystals: Sequence[Crystal]) -> tuple[pd.DataFrame, pd.DataFrame | None, list[Failure]]:
        """Predictions indexed by `material_id`, nearest compounds, and what failed."""
        parts = [crystals[start : start + SHARD] for start in range(0, len(crystals), SHARD)]
        if not parts:
            return pd.DataFrame(columns=list(PREDICTED), dtype=float).rename_axis("material_id"), None, []
        found = pd.concat([self._shard(part) for part in parts])
        failures = []
        if "error" in found:
            lost = found[found["error"].notna()]
            failures = [
                Failure(*row) for row in lost[["material_id", "stage", "error", "message", "source"]].to_numpy()
            ]
            found = found[found["error"].isna()]
        predicted = found.set_index("material_id")[list(PREDICTED)].astype({"in_domain": bool})
        return predicted, self._listed(found), failures

    def _shard(self, crystals: Sequence[Crystal]) -> pd.DataFrame:
        """Rows of crystals: what is predicted, or why it could not be."""
        path = self.shards / f"{self._digest(crystals)}.parquet" if self.shards else None
        done = _finished(path)
        if done is not None:
            if self.progress:
                self.progress(len(crystals))
            return done
        features, failed = featurize(crystals, executor=self.executor, progress=self.progress)
        by_id = {crystal.material_id: crystal for crystal in crystals}
        symbols = [set(by_id[name].symbols) for name in features.index]
        done = self.model.predict(features, symbols)
        if self.learned:
            places, distances = self.learned.nearest(features)
            done = done.assign(nearest=list(places), distance=list(distances))
        done = done.reset_index()
        rows = [asdict(failure) for failure in failed]
        done = pd.concat([done, pd.DataFrame(rows)]) if rows else done
        if path and self.shards:
            self.shards.mkdir(parents=True, exist_ok=True)
            write_parquet(done, path)
        return done

    def _listed(self, found: pd.DataFrame) -> pd.DataFrame | None:
        if self.learned is None or not len(found):
            return None
        places, distances = (np.vstack(found[name].to_list()) for name in ("nearest", "distance"))
        return self.learned.named(found["material_id"], places, distances)

    def _digest(self, crystals: Sequence[Crystal]) -> str:
        """A name for the work of one shard: the same crystals, model and version of Phonolyte give the same."""
        learned = self.learned.fingerprint if self.learned else ""
        digest = hashlib.sha256(f"{__version__} {self.model.fingerprint} {learned}".encode())
        for crystal in crystals:
            digest.update(crystal.material_id.encode() + b"\0")
            for values in (crystal.lattice, crystal.numbers, crystal.frac_coords):
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:24]


def _finished(path: Path | None) -> pd.DataFrame | None:
    """A part that an earlier run finished; one that a crash left unreadable is computed again."""
    try:
        return pd.read_parquet(path) if path and path.is_file() else None
    except (OSError, ValueError):
        return None


def _described(crystals: Sequence[Crystal], executor: Executor | None) -> pd.DataFrame:
    """What the table says of a crystal without a model."""
    run = executor.map if executor else map
    return pd.DataFrame(
        {
            "material_id": [crystal.material_id for crystal in crystals],
            "formula": [crystal.formula for crystal in crystals],
            "family": list(run(family, crystals)),
            "n_atoms": [len(crystal) for crystal in crystals],
            "volume_per_atom_a3": [crystal.volume_a3 / len(crystal) for crystal in crystals],
            "duplicate_of": pd.array(find_duplicates(crystals, executor=executor), dtype="object"),
            "elements": [frozenset(crystal.symbols) for crystal in crystals],
        }
    )
