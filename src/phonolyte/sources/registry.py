"""The registry: published sets and databases, with their places, licenses, citations and checksums."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from phonolyte.errors import SettingsError
from phonolyte.runs.citations import bibtex
from phonolyte.sources.cache import RemoteFile


@dataclass(frozen=True, slots=True)
class Dataset:
    """A published set.

    Attributes
    ----------
    name
        Name that fetches it.
    title
        What is in it, in one line.
    license, citation, homepage
        License, citation and homepage of the set; the citation in BibTeX names what made the data.
    version
        As its publishers have it.
    files
        What is downloaded; none where an installed package has the data.
    extra
        The extra of Phonolyte that installs it.
    """

    name: str
    title: str
    license: str
    citation: str
    homepage: str
    version: str = ""
    files: tuple[RemoteFile, ...] = ()
    extra: str = ""

    def file(self, name: str) -> RemoteFile:
        """One of its files."""
        return next(file for file in self.files if file.name == name)


@dataclass(frozen=True, slots=True)
class Provider:
    """A database that speaks OPTIMADE."""

    name: str
    title: str
    base_url: str
    license: str
    citation: str


def datasets() -> dict[str, Dataset]:
    """Published sets by name."""
    return {name: _dataset(name, record) for name, record in _records()["dataset"].items()}


def dataset(name: str) -> Dataset:
    """A published set.

    Raises
    ------
    SettingsError
        When there is none of that name.
    """
    known = datasets()
    if name not in known:
        raise SettingsError(f"there is no set {name!r}", fix=f"Choose among {', '.join(known)}.")
    return known[name]


class RegisteredSource:
    """Base of the sources that are published sets: license and citation are those of the registry."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Name of the set."""
        raise NotImplementedError

    @property
    def license(self) -> str:
        """License of the set."""
        return dataset(self.name).license

    @property
    def citation(self) -> str:
        """BibTeX citation of the set."""
        return dataset(self.name).citation


def providers() -> dict[str, Provider]:
    """Databases whose OPTIMADE address is known here, by name."""
    return {name: Provider(name, **_cite(record)) for name, record in _records()["optimade"].items()}


def optimade_fields() -> dict[str, list[str]]:
    """Property -> names that databases have for it, a dot before a key inside."""
    return dict(_records()["optimade_fields"])


def _dataset(name: str, record: dict[str, Any]) -> Dataset:
    files_ = tuple(
        RemoteFile(file["name"], tuple(file["urls"]), file.get("sha256", ""), file.get("size_bytes", 0))
        for file in record.get("files", ())
    )
    return Dataset(name, **{**_cite(record), "files": files_})


def _cite(record: dict[str, Any]) -> dict[str, Any]:
    """A record with the BibTeX of its keys in place of them."""
    return {**{key: value for key, value in record.items() if key != "cite"}, "citation": bibtex(*record["cite"])}


@cache
def _records() -> dict[str, Any]:
    text = (files("phonolyte") / "data" / "sources.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
