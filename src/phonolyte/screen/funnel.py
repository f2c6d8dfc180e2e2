"""The funnel: describe every crystal, apply named criteria, and rank what is left, with counts that add up.

Crystals are read and described batch by batch, so that a screen of any size needs little memory: a process holds one
batch, and the ranking holds a row a crystal without its atoms. Duplicates are compared within a composition only, by
fingerprints that the batches keep on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.centers import BY
from phonolyte.conduction import COLUMNS
from phonolyte.counts import count
from phonolyte.errors import Failure, TableError
from phonolyte.models import BandCenterModel
from phonolyte.models.nearest import Learned
from phonolyte.notebooks import Shown, range_text
from phonolyte.runs.executors import map_unordered
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run
from phonolyte.screen.computed import computed_note, replace_predicted
from phonolyte.screen.conduction import Which, add_conduction, conduction_notes
from phonolyte.screen.criteria import UNJUDGED, Criteria, Step, apply_criteria, mobile_ions
from phonolyte.screen.describe import CRYSTAL, ORDERED, Models, ModelSource, Part, describe_batch, symbols_of
from phonolyte.screen.properties import PROPERTY_COLUMNS, VOLTAGE_COLUMNS, notes_on_join, with_properties
from phonolyte.screen.ranking import SCORE, Ranking
from phonolyte.screen.repeats import find_repeats
from phonolyte.screen.yardsticks import FILE
from phonolyte.structures.batches import Batch, plan_batches
from phonolyte.structures.reading import Reading, Skipped, notes_on_skipped, renamed_note, unique_names
from phonolyte.structures.run_results import CRYSTALS, ORDERINGS

PARTS = ".parts"
"""Folder of a run with the described batches, while it is not finished."""

OF_MODELS = (
    "band_center_mev", "lower_mev", "upper_mev", "in_domain", "cell", "ion_center_mev", "ion_lower_mev",
    "ion_upper_mev",
)  # fmt: skip
"""Columns that the models predict."""

OF_ELEMENTS = ("price_usd_kg", "scarcest_element", "scarcest_mg_kg")
"""Columns of what the elements cost, and of the rarest one."""

TABLE = (
    "rank", "material_id", "formula", "ion", "family", "n_atoms", "volume_per_atom_a3", *OF_ELEMENTS, "duplicate_of",
    *OF_MODELS, BY, "n_orderings", "ordered_as", *PROPERTY_COLUMNS, *VOLTAGE_COLUMNS, "passes", "rejected_by", "reason",
)  # fmt: skip
"""Columns of the ranked table."""

KEPT = (
    "material_id", "formula", "family", "n_atoms", "volume_per_atom_a3", *OF_ELEMENTS, *OF_MODELS, "n_orderings",
    "disordered", "ordered_as", *PROPERTY_COLUMNS, "elements_low", "elements_high",
)  # fmt: skip
"""Columns of a part that the ranking needs."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Screening(Shown):
    """Result of a screen.

    Attributes
    ----------
    table
        Ranked table: every readable crystal has a row, the best first, one mobile ion after the other; ``rank`` is
        null where a criterion rejects it.
    funnel
        Steps with their counts.
    failures
        Materials that dropped out.
    notes
        What else is to be known.
    parts
        Described batches, in the order of the input.
    skipped
        Files of the input that are not structures.
    yardsticks
        Known conductors and the rank that each would have, as
        :func:`phonolyte.screen.yardsticks.place_conductors` gives them; empty until then.
    """

    table: pd.DataFrame
    funnel: list[Step]
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: Sequence[Part] = ()
    skipped: list[Skipped] = field(default_factory=list)
    yardsticks: pd.DataFrame = field(default_factory=pd.DataFrame)

    def _facts(self) -> dict[str, object]:
        passed = self.table[self.table["passes"].astype(bool)] if len(self.table) else self.table
        materials = count(len(self.table), "material")
        return {
            "candidates": f"{len(passed):,} of {materials}", "failures": len(self.failures) or None,
            "skipped files": len(self.skipped) or None,
            "first": ", ".join(map(str, passed["formula"].head(3))) if len(passed) else None,
            "band centers": range_text(passed, "band_center_mev"),
        }  # fmt: skip

    @property
    def n_ranked(self) -> int:
        """Number of candidates: what passed every criterion."""
        return int(self.table["passes"].sum())

    @property
    def unjudged(self) -> list[str]:
        """Names of the criteria that could not be applied, since no crystal has the property."""
        return [step.name for step in self.funnel if not step.applied and step.note in UNJUDGED]

    def elements_of(self, rows: pd.DataFrame) -> list[frozenset[str]]:
        """Return the element symbols of some rows of the table."""
        return [symbols_of(low, high) for low, high in zip(rows["elements_low"], rows["elements_high"], strict=True)]


def rank_crystals(
    inputs: Any,
    *,
    models: Models | ModelSource | None = None,
    criteria: Criteria | None = None,
    ranking: Ranking | None = None,
    percolation: Which = "none",
    computed: bool = False,
    properties: pd.DataFrame | None = None,
    parts: Path | None = None,
    executor: Executor | None = None,
    threads: Executor | None = None,
    progress: OpenBar = no_bar,
) -> Screening:
    """Rank crystals as candidates for solid electrolytes.

    Parameters
    ----------
    inputs
        Files, folders, globs, tables and objects, as :func:`phonolyte.structures.read` takes them, or what it gave.
    models
        Models; default: the embedded one.
    criteria
        What a candidate must be; default: as the study, plus a band gap.
    ranking
        What orders the candidates of one ion; default: the band center.
    percolation
        Crystals whose percolation and conductivity are added: the candidates, all, or none.
    computed
        Whether computed centers that come with Phonolyte stand in the place of predicted ones.
    properties
        Table indexed by `material_id`; columns ``e_hull_ev`` (eV/atom) and ``band_gap_ev`` (eV) serve criteria.
    parts
        Folder in which described batches are kept, so that a killed run goes on; default: a temporary one.
    executor
        Executor of processes that map over batches and share the file system; default: this process.
    threads
        Executor of threads that map over the crystals of a batch, where this process does the work.
    progress
        Opens a bar.

    Raises
    ------
    TableError
        When `properties` know none of the crystals.
    SettingsError
        For a ranking by a column that the table does not have.
    EngineError
        When the executor is lost.
    """
    ranking = ranking or Ranking("band_center_mev")
    unknown = [name for name in VOLTAGE_COLUMNS if properties is None or name not in properties]
    ranking.check([*(name for name in TABLE if name not in unknown), *(COLUMNS if percolation != "none" else ())])
    batches = plan_batches(inputs)
    criteria = criteria or Criteria()
    models = replace(models or ModelSource(), mobile=criteria.ion or "any")
    scratch = nullcontext(parts) if parts is not None or executor is None else TemporaryDirectory()
    with scratch as name:
        folder = Path(name) if name else None
        with progress("Screening", sum(batch.size for batch in batches)) as advance:
            described = _describe(batches, models, folder, executor, threads, advance)
        table, funnel, failures, notes = _judge(described, criteria, properties, executor, computed=computed)
        if percolation != "none":
            wanted = table["passes"].to_numpy(bool) | (percolation == "all")
            table = add_conduction(table, described, wanted, folder=folder, executor=executor, progress=progress)
            notes += conduction_notes(table)
        table = _order(table, ranking)
        if parts is None and described and described[0].path is not None:  # the folder goes
            described = [replace(part, path=None, table=part.load()) for part in described]
        notes = [*(inputs.notes if isinstance(inputs, Reading) else ()), *notes]
        skipped = [file for part in described for file in part.skipped]
        return Screening(table, funnel, failures, notes, described, skipped)


def _describe(
    batches: Sequence[Batch],
    models: Models | ModelSource,
    folder: Path | None,
    executor: Executor | None,
    threads: Executor | None,
    progress: Callable[[int], None] | None,
) -> list[Part]:
    """Describe all batches; the parts in the order of the input."""
    if executor is None:
        return [describe_batch(batch, models, folder, executor=threads, progress=progress) for batch in batches]
    by_number: dict[int, Part] = {}
    tasks = [(batch, models, folder) for batch in batches]
    for number, part in map_unordered(describe_batch, tasks, executor):
        by_number[number] = part
        if progress:
            progress(part.n_read)
    return [by_number[number] for number in range(len(batches))]


def _judge(
    parts: list[Part], criteria: Criteria, properties: pd.DataFrame | None, executor: Executor | None, *, computed: bool
) -> tuple[pd.DataFrame, list[Step], list[Failure], list[str]]:
    """Table in the order of the input with what the criteria say, the funnel, failures, and notes."""
    table = pd.concat([part.load(KEPT).to_pandas() for part in parts], ignore_index=True) if parts else _empty()
    names, renamed = unique_names(table["material_id"].astype(str))
    table["material_id"] = names
    failures = [failure for part in parts for failure in part.failures]
    table["duplicate_of"] = find_repeats(table, parts, executor)
    if computed:
        table = replace_predicted(table, parts)
    table = with_properties(table, properties)
    table, funnel = apply_criteria(table, criteria)
    table["ion"], table["order"] = mobile_ions(table, criteria.ion)
    n_read, n_bad = len(table), sum(part.n_unreadable for part in parts)
    n_failed = len(failures) - n_bad
    first = [
        Step("input", "materials given", True, 0, 0, n_read + n_bad),
        Step("readable", "the structure can be read", True, n_bad, 0, n_read),
        Step("features", "features can be computed", True, n_failed, 0, n_read - n_failed),
    ]
    skipped = [file for part in parts for file in part.skipped]
    renamed_notes = [renamed_note(renamed)] if renamed else []
    notes = [*renamed_notes, *notes_on_skipped(skipped), *notes_on_join(names, properties)]
    if computed:
        notes += computed_note(table)
    return table, [*first, *funnel], failures, notes


def _order(table: pd.DataFrame, ranking: Ranking) -> pd.DataFrame:
    """The table in the order of a ranking, with the rank of the candidates.

    Candidates of one ion stand together: a soft K halide says nothing about a Li sulfide.
    """
    if ranking.weights:
        candidates = table[table["passes"].astype(bool)]
        table = table.assign(**{SCORE: pd.Series(ranking.score(candidates), index=candidates.index)})
    table = table.iloc[ranking.places(table, (~table["passes"].to_numpy(bool), table["order"].to_numpy()))]
    ranks = pd.Series(range(1, len(table) + 1), index=table.index, dtype="Int64").where(table["passes"])
    table.insert(0, "rank", ranks)
    return table


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=float) for name in KEPT})


def write_screening(screening: Screening, criteria: Criteria, run: Run, learned: Learned | None = None) -> None:
    """Write ``ranked.parquet``, ``ranked.csv``, ``funnel.json``, ``crystals.parquet`` and ``nearest.parquet``.

    Where there are disordered crystals, ``orderings.parquet`` has their ordered representatives; where there are
    candidates of lithium, ``yardsticks.csv`` has the known conductors.
    """
    columns = [name for name in (*TABLE[:4], SCORE, *COLUMNS, *TABLE[4:]) if name in screening.table]
    run.write_table("ranked.parquet", screening.table[columns], csv=True, float_format="%.6g")
    if len(screening.yardsticks):
        run.write_table(FILE, screening.yardsticks, float_format="%.6g")
    run.write_json("funnel.json", funnel_record(screening, criteria))
    names = screening.table["material_id"].sort_index().tolist()
    _write_crystals(screening.parts, names, run, disordered=bool(screening.table["disordered"].any()))
    if learned is not None:
        _write_nearest(screening.parts, names, learned, run)


@dataclass(frozen=True, slots=True)
class FunnelRecord:
    """Contents of ``funnel.json``: criteria, steps and families of the candidates."""

    criteria: Criteria
    steps: list[Step]
    families: dict[str, int]
    candidates: int
    duplicates: int
    failures: int
    out_of_domain_candidates: int
    caveat: str = (
        "Nothing here is a measurement but what is called so: probabilities were tested on relatives of measured "
        "compounds, and percolation and the band center are hints."
    )


def funnel_record(screening: Screening, criteria: Criteria) -> dict[str, Any]:
    """Return what ``funnel.json`` holds."""
    passed = screening.table[screening.table["passes"]]
    families = {str(name): int(count) for name, count in passed["family"].value_counts().items()}
    return asdict(
        FunnelRecord(
            criteria, screening.funnel, families, screening.n_ranked,
            int(screening.table["duplicate_of"].notna().sum()), len(screening.failures),
            int((~passed["in_domain"].astype(bool)).sum()),
        )
    )  # fmt: skip


def _write_crystals(parts: Sequence[Part], names: Sequence[str], run: Run, *, disordered: bool) -> None:
    """Write the crystal tables part by part: the crystals, and the ordered representatives of disordered ones."""
    import pyarrow as pa

    if not names:
        return
    of_part = np.split(np.array(names, dtype=object), np.cumsum([part.n_read for part in parts])[:-1])
    columns = ["formula", *(CRYSTAL if disordered else CRYSTAL[:3])]
    run.write_parts(
        CRYSTALS,
        (
            part.load(columns).add_column(0, "material_id", pa.array(names_of_part, pa.string()))
            for part, names_of_part in zip(parts, of_part, strict=True)
        ),
    )
    if disordered:
        run.write_parts(
            ORDERINGS, (_orderings(part, names_of_part) for part, names_of_part in zip(parts, of_part, strict=True))
        )


def _orderings(part: Part, names: Any) -> Any:
    """Crystal table of the ordered representatives of a part."""
    import pyarrow as pa

    table = part.load(["formula", *ORDERED]).add_column(0, "material_id", pa.array(names, pa.string()))
    columns = [name.removeprefix("ordered_") for name in table.column_names]
    return table.rename_columns(columns).filter(table.column(ORDERED[0]).is_valid())


def _write_nearest(parts: Sequence[Part], names: Sequence[str], learned: Learned, run: Run) -> None:
    """Write the compounds nearest to each crystal, part by part."""
    tables, start = [], 0
    for part in parts:
        table = part.load(["nearest", "nearest_distance"]).to_pandas()
        names_of_part = np.array(names[start : start + len(table)], dtype=object)
        start += len(table)
        known = table["nearest"].map(len).to_numpy() > 0
        if known.any():
            places, distances = (np.vstack(table.loc[known, name]) for name in ("nearest", "nearest_distance"))
            tables.append(learned.named(names_of_part[known], places.astype(int), distances))
    if tables:
        run.write_table("nearest.parquet", pd.concat(tables, ignore_index=True))


__all__ = ["PARTS", "BandCenterModel", "Screening", "TableError", "funnel_record", "rank_crystals", "write_screening"]
