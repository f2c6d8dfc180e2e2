"""What a fetch that is not finished keeps in its run folder: when it began, and the pages that are there."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from phonolyte.errors import SettingsError, SourceError
from phonolyte.runs.records import in_one_step, read_json, write_json
from phonolyte.sources.entry import Page, Source

FOLDER = ".fetch"
"""The part of a run folder that is there while a fetch is not finished."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The pages of one fetch, and what was written down when it began.

    Attributes
    ----------
    folder
        Folder of the pages.
    version
        Version of the source when the fetch began.
    fetched
        When it began, UTC; SOURCE_DATE_EPOCH replaces the clock.
    """

    folder: Path
    version: str
    fetched: str

    @classmethod
    def open(cls, folder: Path, source: Source, version: str) -> Self:
        """Take up the fetch that a run folder has, or begin one.

        Raises
        ------
        SettingsError
            When the folder has a fetch of another question.
        SourceError
            When the source has another version than the pages that are there.
        """
        begun = read_json(folder / "begun.json")
        if begun is None:
            folder.mkdir(exist_ok=True)
            begun = {"source": source.name, "question": dict(source.question), "version": version, "fetched": _now()}
            write_json(folder / "begun.json", begun)
        if (begun["source"], begun["question"]) != (source.name, dict(source.question)):
            raise SettingsError(
                f"{folder.parent} has another fetch that is not finished",
                why=f"{begun['source']}: {begun['question']}",
                fix="Finish it, choose another -o, or begin anew with --anew.",
            )
        if version and begun["version"] != version:
            raise SourceError(
                f"{source.name} has changed since this fetch began",
                why=f"its version was {begun['version']}, and now is {version}",
                fix="Begin anew with --anew.",
            )
        return cls(folder, begun["version"], begun["fetched"])

    def pages(self) -> Iterator[Page]:
        """The pages that are there, in their order."""
        for path in self._paths():
            with gzip.open(path, "rt", encoding="utf-8") as stream:
                yield Page.from_json(json.load(stream))

    def last(self) -> Page | None:
        """The last page that is there."""
        paths = self._paths()
        if not paths:
            return None
        with gzip.open(paths[-1], "rt", encoding="utf-8") as stream:
            return Page.from_json(json.load(stream))

    def n_materials(self) -> int:
        """Materials on all pages."""
        return sum(page.n_materials for page in self.pages())

    def append(self, page: Page) -> None:
        """Keep a page, in one step."""
        path = self.folder / f"{len(self._paths()):06d}.json.gz"
        with in_one_step(path) as partial, gzip.open(partial, "wt", encoding="utf-8", compresslevel=1) as stream:
            json.dump(page.as_json(), stream)

    def close(self) -> None:
        """Remove the pages, once the tables have everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json.gz"))


def _now() -> str:
    """UTC, to the second."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = float(epoch) if epoch.isdigit() else time.time()
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
