"""The cache: downloaded files with their checksums, in one place that can be named, listed and cleared."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from phonolyte.errors import SettingsError, SourceError
from phonolyte.runs.records import checksum, in_one_step, read_json, write_json

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that can be downloaded.

    Attributes
    ----------
    name
        In the cache, under the name of its set.
    urls
        The place it comes from, and its mirrors.
    sha256, size_bytes
        What it must have; empty and 0 where nobody here has seen the file. Then the checksum of the first download is
        written down, and every later use of the file must have it.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cached:
    """A file in the cache, and what was written down when it came."""

    dataset: str
    path: Path
    url: str
    sha256: str
    size_bytes: int
    fetched: str


def cache_folder() -> Path:
    """Where the cache is: PHONOLYTE_CACHE, else the place the operating system has for caches."""
    from platformdirs import user_cache_path

    named = os.environ.get("PHONOLYTE_CACHE", "")
    return Path(named).expanduser() if named else user_cache_path("phonolyte", appauthor=False)


def cached_files() -> list[Cached]:
    """All files of the cache, by set and name."""
    found = []
    for note in sorted(cache_folder().glob("*/*.cached.json")):
        path, record = note.with_name(note.name.removesuffix(".cached.json")), read_json(note)
        if record and path.is_file():
            size = path.stat().st_size
            found.append(Cached(note.parent.name, path, record["url"], record["sha256"], size, record["fetched"]))
    return found


def clear_cache(dataset: str = "") -> int:
    """Remove what the cache has of a set, or of all; the number of bytes.

    Raises
    ------
    SettingsError
        When nothing is there of the set that is named.
    """
    files = [file for file in cached_files() if file.dataset == (dataset or file.dataset)]
    if dataset and not files:
        raise SettingsError(f"the cache has nothing of {dataset!r}", fix="phonolyte cache list shows what it has.")
    for folder in {file.path.parent for file in files}:
        shutil.rmtree(folder)
    return sum(file.size_bytes for file in files)


def obtain(dataset: str, file: RemoteFile, *, offline: bool = False) -> Path:
    """The file, from the cache or from where it comes.

    Parameters
    ----------
    dataset
        The set it belongs to.
    file
        What it must be.
    offline
        Never open a connection.

    Raises
    ------
    SourceError
        When no place has it, or what they have has another checksum.
    """
    path = cache_folder() / dataset / file.name
    note = path.with_name(f"{path.name}.cached.json")
    if path.is_file():
        record = read_json(note) or _write_note(note, path, "put there by hand")
        _check(path, file.sha256 or record["sha256"], f"{path} in the cache")
        return path
    if offline:
        raise SourceError(
            f"{dataset} is not in the cache", why=f"{path} is not there", fix="Run it once without --offline."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with in_one_step(path) as partial:
        _write_note(note, partial, _download(file, partial))
    return path


def _write_note(note: Path, path: Path, url: str) -> dict[str, str]:
    """Write down where a file came from, when, and its checksum."""
    fetched = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {"url": url, "sha256": checksum(path), "fetched": fetched}
    write_json(note, record)
    return record


def _download(file: RemoteFile, partial: Path) -> str:
    """Get a file from the first place that has it as it must be; that place."""
    from phonolyte.sources.web import PatientSession, in_words

    refused = []
    with PatientSession() as session:
        for url in file.urls:
            try:
                _save(session, url, partial)
                _check(partial, file.sha256, url, file.size_bytes)
                return url
            except SourceError as error:
                refused.append(error)
            except Exception as error:  # whatever a connection can die of
                refused.append(SourceError(url, why=in_words(error)))
            partial.unlink(missing_ok=True)
    raise SourceError(
        f"{file.name} cannot be had",
        why="; ".join(f"{error.what}: {error.why}" for error in refused),
        fix=f"Try again later, or put it into {partial.parent} by hand.",
    )


def _save(session: requests.Session, url: str, partial: Path) -> None:
    from phonolyte.sources.web import TIMEOUT_S

    response = session.get(url, timeout=TIMEOUT_S)  # whole, so that a broken connection is noticed and tried again
    if response.status_code != 200:
        raise SourceError(url, why=f"status {response.status_code}")
    partial.write_bytes(response.content)


def _check(path: Path, sha256: str, what: str, size_bytes: int = 0) -> None:
    """Refuse a file of another size or checksum."""
    size, found = path.stat().st_size, checksum(path)
    if size_bytes and size != size_bytes:
        raise SourceError(what, why=f"it has {size} bytes, and should have {size_bytes}", kind="WrongChecksum")
    if sha256 and found != sha256:
        raise SourceError(
            f"{what} is not the file it should be",
            why=f"its sha256 is {found}, and should be {sha256}",
            fix="phonolyte cache clear removes what is there; a file that comes so again is not to be trusted.",
            kind="WrongChecksum",
        )
