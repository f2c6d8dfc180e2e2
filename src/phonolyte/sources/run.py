"""A fetch into a run folder: page by page, so that a kill costs one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonolyte.errors import SourceError
from phonolyte.runs.run import Run, read_record
from phonolyte.sources.entries import write_systems
from phonolyte.sources.entry import Source
from phonolyte.sources.journal import FOLDER, Journal
from phonolyte.sources.tables import ASKED, Tables, write_tables

Progress = Callable[[int, int | None], None]
"""Called with the number of materials that came, and the number of all where the source reports it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch gave: version and date of the source, and its tables; None when they had been there before."""

    version: str
    fetched: str
    tables: Tables | None

    @property
    def notes(self) -> list[str]:
        """What criteria need, and no material has."""
        known = self.tables.known if self.tables else dict.fromkeys(ASKED, 1)
        missing = [name for name in ASKED if not known.get(name)]
        return [f"no material has {' or '.join(missing)}: a screen counts them as unknown"] if missing else []


def fetch(
    source: Source,
    folder: str | Path,
    *,
    offline: bool = False,
    anew: bool = False,
    progress: Progress | None = None,
) -> Fetched:
    """Request all that a source has to a question, and write it as tables.

    Pages are kept as they come; after a kill the same call goes on after the last of them, and ends with the tables
    of a call that was not killed. What is finished is not requested again.

    Parameters
    ----------
    source
        With its question.
    folder
        The run folder: receives ``crystals.parquet``, ``properties.parquet`` (and ``.csv``), ``dos.parquet``,
        ``failures.parquet``, ``run.toml`` and ``cite.bib``; of chemical systems, ``systems.csv`` names those that came
        whole.
    offline
        Never open a connection.
    anew
        Request it again, even when the folder has the answer.
    progress
        Called after each page.

    Raises
    ------
    SourceError
        When the source cannot be reached, gives nothing, or what cannot be understood.
    SettingsError
        When the folder has something else.
    """
    query = {"source": source.name, "question": dict(source.question)}
    run = Run(folder, "fetch", settings=query, identity=query, cites=(source.citation,), overwrite=anew, restart=anew,
              replacing="--anew")  # fmt: skip
    done = None if anew else _finished(run)
    if done:
        return Fetched(str(done["version"]), str(done["fetched"]), None)
    if offline and source.online:
        raise SourceError(
            f"{source.name} cannot be reached offline",
            why=f"{folder} has no finished fetch of this question",
            fix="Run it once without --offline.",
        )
    with run:
        return _fetch_into(run, source, progress)


def _fetch_into(run: Run, source: Source, progress: Progress | None) -> Fetched:
    journal = Journal.open(run.path(FOLDER), source, source.version())
    _complete(journal, source, progress)
    provenance = {
        "source": source.name,
        "version": journal.version,
        "fetched": journal.fetched,
        "question": dict(source.question),
        "license": source.license,
    }
    run.provenance = provenance
    for name in ("crystals.parquet", "properties.parquet", "properties.csv", "dos.parquet"):
        run.path(name)
    tables = write_tables(journal.pages(), run.folder, phonons=source.phonons, provenance=provenance)
    run.add_failures(tables.failures)
    systems = source.question.get("chemical_systems", ())
    if systems:
        write_systems(run, systems, tables.failures)
    journal.close()
    return Fetched(journal.version, journal.fetched, tables)


def _finished(run: Run) -> Mapping[str, Any] | None:
    """Provenance of a finished fetch of the same question in the folder."""
    record = read_record(run.folder) or {}
    done = record.get("state") == "finished" and record.get("identity") == run.identity
    provenance: Mapping[str, Any] = record.get("provenance", {})
    return provenance if done else None


def _complete(journal: Journal, source: Source, progress: Progress | None) -> None:
    """Get the pages that are not there yet."""
    last = journal.last()
    came = 0
    if last is not None:
        came = journal.n_materials()
        if progress:
            progress(came, last.total)
        if not last.next:
            return
    for page in source.pages(last.next if last else ""):
        journal.append(page)
        came += page.n_materials
        if progress:
            progress(page.n_materials, page.total)
    if not came:
        journal.close()
        raise SourceError(
            f"{source.name} has nothing that fits",
            why=f"it answers {_in_words(source.question)} with no material, version {journal.version}",
            fix="Widen the request.",
        )


def _in_words(question: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in question.items() if value not in ("", None)})
