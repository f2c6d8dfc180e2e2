"""A fetch into a run folder: page by page, so that a kill costs one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonolyte.errors import SourceError
from phonolyte.runs import citations
from phonolyte.runs.records import open_run, write_run
from phonolyte.sources.entry import Source
from phonolyte.sources.journal import FOLDER, Journal, finished
from phonolyte.sources.tables import ASKED, Tables, write_tables

Progress = Callable[[int, int | None], None]
"""Called with the number of materials that came, and the number of all where the source tells it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch gave: version and date of the source, and its tables; None when they had been there before."""

    version: str
    fetched: str
    tables: Tables | None

    @property
    def notes(self) -> list[str]:
        """What criteria ask for, and no material has."""
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
    """Ask a source for all it has to a question, and write it as tables.

    Pages are kept as they come; after a kill the same call goes on after the last of them, and ends with the tables
    of a call that was not killed. What is finished is not asked for again.

    Parameters
    ----------
    source
        With its question.
    folder
        The run folder: receives ``crystals.parquet``, ``properties.parquet`` (and ``.csv``), ``dos.parquet``,
        ``failures.parquet``, ``run.toml`` and ``cite.bib``.
    offline
        Never open a connection.
    anew
        Ask again, even when the folder has the answer.
    progress
        Called after each page.

    Raises
    ------
    SourceError
        When the source cannot be reached, gives nothing, or what cannot be understood.
    SettingsError
        When the folder has something else.
    """
    folder = open_run(folder)
    done = None if anew else finished(folder, source)
    if done:
        return Fetched(done["version"], done["fetched"], None)
    if offline and source.online:
        raise SourceError(
            f"{source.name} cannot be asked offline",
            why=f"{folder} has no finished fetch of this question",
            fix="Run it once without --offline.",
        )
    if anew:
        _forget(folder)
    journal = Journal.open(folder, source, source.version())
    _complete(journal, source, progress)
    provenance = {
        "source": source.name,
        "version": journal.version,
        "fetched": journal.fetched,
        "question": dict(source.question),
        "licence": source.licence,
    }
    tables = write_tables(journal.pages(), folder, phonons=source.phonons, provenance=provenance)
    write_run(folder, {"command": "fetch", **provenance}, [])
    _cite(folder, source)
    journal.close()
    return Fetched(journal.version, journal.fetched, tables)


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
            fix="Ask for something wider.",
        )


def _in_words(question: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in question.items() if value not in ("", None)})


def _forget(folder: Path) -> None:
    """Remove what says that a fetch is finished, and its pages."""
    (folder / "run.toml").unlink(missing_ok=True)
    Journal(folder / FOLDER, "", "").close()


def _cite(folder: Path, source: Source) -> None:
    """Add what the source wants cited."""
    with (folder / citations.FILE).open("a", encoding="utf-8") as stream:
        stream.write(source.citation.strip() + "\n" if source.citation else "")
