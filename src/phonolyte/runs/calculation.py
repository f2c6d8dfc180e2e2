"""What a tier computes of one crystal: the protocol that campaigns, studies, reports and terminals work with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from phonolyte.columns import Column, register
from phonolyte.counts import count
from phonolyte.errors import PhonolyteError
from phonolyte.runs.digest import digest_of
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import Record, Row
from phonolyte.runs.workload import Workload
from phonolyte.structures.ordering import METHOD as ORDERING

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd
    from matplotlib.figure import Figure

    from phonolyte.runs.run import Run
    from phonolyte.structures import Crystal


class Provenance(Protocol):
    """Engine as far as a run folder names it: name, and what decides its numbers."""

    @property
    def name(self) -> str:
        """Name of the engine."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Versions, checksum of the weights, settings."""

    @property
    def license(self) -> str:
        """License of its weights; empty where it has none."""

    @property
    def notes(self) -> Sequence[str]:
        """What a run has to say about it."""

    @property
    def cites(self) -> Sequence[str]:
        """Keys of ``data/cite.bib``."""

    @property
    def seconds_per_atom(self) -> float | None:
        """Seconds for the force on an atom on one core; None where it was not measured."""


class WaitingError(Exception):
    """Not a failure: output of other programs that a result needs is not there yet.

    Parameters
    ----------
    to_run
        Folders with input that has not been run.
    running
        Folders with a run that has begun and not ended.
    """

    def __init__(self, to_run: Sequence[Path], running: Sequence[Path]) -> None:
        super().__init__(f"{len(to_run)} folders to run, {len(running)} running")
        self.to_run, self.running = to_run, running

    def __reduce__(self) -> tuple[type, tuple[Sequence[Path], Sequence[Path]]]:
        return type(self), (self.to_run, self.running)


@dataclass(frozen=True, slots=True)
class NextStep:
    """Command that would show more about a candidate, and why one would run it.

    In the command ``{input}`` stands for the candidate, ``{ion}`` for its mobile ion, ``{engine}`` for the default
    engine, ``{run}`` for the folder of the run that it belongs to, and ``{run}/TIER/{name}`` for a folder of its own in
    it.
    """

    why: str
    command: str = ""


class Calculation(Protocol):
    """A calculation for one crystal; a picklable frozen dataclass fulfills it.

    Subclass it: what has a body here is a default. A tier is a package with such a class and a line in
    :data:`phonolyte.tiers.TIERS`.

    Attributes
    ----------
    name
        Name of the tier: stage of its failures, and its folder in a study.
    title
        Heading on pages and cards.
    method
        Version of the method: raise it when the same settings give another result.
    table
        File of the main table in the run folder.
    tables
        Files of further tables, several rows a crystal.
    folders
        Folders in the run folder, besides those of crystals, that it writes files into.
    sort_by
        Column of the main table that orders it on pages, the lowest first.
    columns
        Columns that this tier adds to the registry.
    facts
        Columns that a card shows, in their order.
    terminal
        Columns that the terminal shows.
    axes
        Columns of the scatter on its page.
    images
        Stem of a figure in the folder of a crystal -> caption.
    cites
        Keys of ``data/cite.bib``.
    next_step
        Command to run this tier on a candidate.
    followed
        Column of ``followed.csv`` -> column of the main table.
    settings_kind, limits_kind
        Dataclasses of its settings, and of what a study requires of a candidate.
    top
        Largest number of candidates that a study gives it, unless its file says another one.
    needs_engine
        Whether it needs an engine.
    takes_disorder
        Whether it computes disordered crystals as they are; else it is given an ordered representative of each.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    method: ClassVar[int] = 1
    table: ClassVar[str]
    tables: ClassVar[Sequence[str]] = ()
    folders: ClassVar[Sequence[str]] = ()
    sort_by: ClassVar[str]
    columns: ClassVar[Sequence[Column]] = ()
    facts: ClassVar[Sequence[str]] = ()
    terminal: ClassVar[Sequence[str]] = ()
    axes: ClassVar[tuple[str, str]]
    images: ClassVar[Mapping[str, str]] = {}
    cites: ClassVar[Sequence[str]] = ()
    next_step: ClassVar[NextStep]
    followed: ClassVar[Mapping[str, str]] = {}
    settings_kind: ClassVar[type]
    limits_kind: ClassVar[type | None] = None
    top: ClassVar[int] = 10
    needs_engine: ClassVar[bool] = True
    takes_disorder: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Register the columns of a tier."""
        super().__init_subclass__()
        register(*cls.columns)

    @classmethod
    def for_study(cls, ion: str, engine: Any, settings: Any, limits: Any) -> Calculation:
        """Return the calculation of a study: `settings` and `limits` are of the kinds of this tier."""
        raise NotImplementedError

    def decides(self) -> Mapping[str, object]:
        """Return all but the crystal that decides a result: settings, engine with its provenance."""
        raise NotImplementedError

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Compute one crystal.

        Parameters
        ----------
        crystal
            Crystal to compute.
        folder
            Folder of its files, which the calculation makes when it needs one.
        earlier
            Record of the same crystal and method that :meth:`is_done` found wanting: of an earlier run, or of the step
            before, which has been written by then.

        Raises
        ------
        WaitingError
            When results of other programs are not there yet.
        Exception
            Anything else becomes a failure of this crystal.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Raise what concerns every crystal (a missing extra, an engine that cannot do it) before any is computed."""

    def prepare(
        self, crystals: Sequence[Crystal], run: Run, *, executor: Executor | None = None, progress: OpenBar = no_bar
    ) -> Calculation:
        """Return the calculation as it is for these crystals, after what all of them need has been computed.

        Parameters
        ----------
        crystals
            Crystals that will be computed.
        run
            Open run folder.
        executor, progress
            Executor of processes, and what opens a bar.
        """
        return self

    def workload(self, crystal: Crystal) -> Workload | None:
        """Return about how much is to be computed for an ordered crystal; None where that is not known beforehand."""
        return None

    @property
    def engine_used(self) -> Provenance | None:
        """Engine of the calculation, its field `engine`; None where it needs none."""
        return getattr(self, "engine", None)

    @property
    def limit_s(self) -> float | None:
        """Time limit in seconds under which a failure counts: under another one it is computed again."""
        return None

    @property
    def retries_failures(self) -> bool:
        """Whether what failed is tried again: output of other programs may have been mended."""
        return False

    def digest(self, crystal: Crystal) -> str:
        """Return the digest of the result for a crystal."""
        how = () if crystal.is_ordered else (ORDERING,)
        return digest_of(self.key, *crystal.identity, *how)

    @property
    def key(self) -> str:
        """Digest of everything but the crystal."""
        return digest_of(self.name, self.method, self.decides())

    def is_done(self, record: Record) -> bool:
        """Whether nothing is left to do where this record is."""
        return True

    def row(self, record: Record) -> Row:
        """Return the row of the main table for a record."""
        return record.row

    def verdict(self, row: Row) -> str:
        """Return why a study follows a candidate no further; empty where it does."""
        return self.judge(row, getattr(self, "limits", None))

    @classmethod
    def judge(cls, row: Row, limits: Any) -> str:
        """Return why a result rules a candidate out by limits of this tier; empty where it does not."""
        return ""

    @property
    def criterion(self) -> str:
        """What :meth:`verdict` requires, as a phrase."""
        return "a result"

    @classmethod
    def headline(cls, table: pd.DataFrame) -> str:
        """Return the result for many crystals in one line."""
        return f"{cls.title} of {count(len(table), 'crystal')}"

    @classmethod
    def caption(cls, table: pd.DataFrame) -> str:
        """Return what must be known to read its table in a terminal; empty where there is nothing."""
        return ""

    @classmethod
    def summarize(cls, table: pd.DataFrame) -> list[str]:
        """Return what came out for many crystals, the first row the best, in sentences."""
        return []

    @classmethod
    def pictures(cls, row: Row) -> Mapping[str, str]:
        """Return the figures of a crystal that a card shows: stem of the file -> caption."""
        return cls.images

    @classmethod
    def overview(cls, table: pd.DataFrame) -> Mapping[str, Figure]:
        """Return the figures of many crystals (stem of the file -> figure), the first row the best."""
        return {}

    def draw(self, row: Row, run: Path) -> Mapping[str, Figure]:
        """Return the figures of a crystal (stem of the file -> figure) from what the run folder has of it."""
        return {}


def first_sentence(error: PhonolyteError | str) -> str:
    """Return the beginning of a message, for tables."""
    return str(error).split(". ")[0]


def barrier_headline(table: pd.DataFrame) -> str:
    """Return how many crystals of a table have a `barrier_ev`, in one line."""
    n = int(table["barrier_ev"].notna().sum()) if len(table) else 0
    return f"{n:,} of {count(len(table), 'crystal')} {'has' if n == 1 else 'have'} a barrier"


def barrier_sentences(table: pd.DataFrame, how: str) -> list[str]:
    """Return the lowest barrier of a table in a sentence; ``{engine}`` in `how` stands for its engine."""
    known = table[table["barrier_ev"].notna()] if len(table) else table
    if not len(known):
        return ["No path through any crystal could be found."]
    best = known.iloc[0]
    by = how.replace("{engine}", str(best["engine"]))
    return [f"The lowest is that of {best['ion']} in {best['formula']}: {best['barrier_ev']:.2f} eV, {by}."]
