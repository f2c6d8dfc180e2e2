"""The cache: downloaded files with their checksums, in one folder that can be named, listed and cleared."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from phonolyte.errors import SettingsError, SourceError
from phonolyte.runs.records import read_json, write_json

NOTE = ".cached.json"
"""Ending of the note beside a file, which has its `url`, `sha256` and the date when it was `fetched`."""

BY_HAND = "put there by hand"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that can be downloaded.

    Attributes
    ----------
    name
        In the cache, under the name of its set.
    urls
        Address, and those of its mirrors, which are tried in this order.
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
    """Folder of the cache: PHONOLYTE_CACHE, else the place the operating system has for caches."""
    import pooch

    named = os.environ.get("PHONOLYTE_CACHE", "")
    return Path(named or pooch.os_cache("phonolyte")).expanduser()


def cached_files() -> list[Cached]:
    """All files of the cache, by set and name."""
    files = []
    for note in sorted(cache_folder().glob(f"*/*{NOTE}")):
        path, record = note.with_name(note.name.removesuffix(NOTE)), read_json(note)
        if record and path.is_file():
            size = path.stat().st_size
            files.append(Cached(note.parent.name, path, record["url"], record["sha256"], size, record["fetched"]))
    return files


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
    """The file, from the cache or from where it comes; processes that want it at once wait for one download.

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
        When no address has it, or what they have has another checksum.
    SettingsError
        When the cache cannot be written.
    """
    from filelock import FileLock

    path = cache_folder() / dataset / file.name
    note = path.with_name(path.name + NOTE)
    if not path.is_file() and offline:
        raise SourceError(
            f"{dataset} is not in the cache", why=f"{path} is not there", fix="Run it once without --offline."
        )
    if not (path.is_file() and note.is_file()):
        _make_folder(path.parent)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.is_file():
                _download(file, path, note)
    _check(path, file.sha256 or _noted_sha256(note, path))
    return path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why, fix = error.strerror or str(error), "Let PHONOLYTE_CACHE name another folder."
        raise SettingsError(f"{folder} cannot be in the cache", why=why, fix=fix) from None


def _download(file: RemoteFile, path: Path, note: Path) -> None:
    """Get a file from the first address that has it as it must be."""
    refusals = []
    for url in file.urls:
        try:
            downloaded = _retrieve(url, file, path.parent)
        except SourceError as error:
            refusals.append(error)
            continue
        _write_note(note, downloaded, url)
        os.replace(downloaded, path)
        return
    raise SourceError(
        f"{file.name} cannot be had",
        why="; ".join(f"{error.what}: {error.why}" for error in refusals),
        fix=f"Try again later, or put it into {path.parent} by hand.",
        kind="WrongChecksum" if any(error.kind == "WrongChecksum" for error in refusals) else "",
    )


def _retrieve(url: str, file: RemoteFile, folder: Path) -> Path:
    """Download from one address, under a name that is not yet that of the file.

    Raises
    ------
    SourceError
        When that fails, or gives another file.
    """
    import pooch

    from phonolyte.sources.web import in_words

    pooch.get_logger().setLevel("WARNING")  # it would announce each download
    try:
        return Path(
            pooch.retrieve(
                url, file.sha256 or None, f"{file.name}.whole", folder,
                downloader=partial(_save, size_bytes=file.size_bytes),
            )
        )  # fmt: skip
    except OSError as error:  # those of requests are among them
        raise SourceError(url, why=in_words(error)) from None
    except ValueError as error:  # of pooch, for another checksum
        raise SourceError(url, why=str(error).partition(". ")[0], kind="WrongChecksum") from None


def _save(url: str, output: str, _pooch: object, *, size_bytes: int) -> None:
    """Download as pooch wants it done, but with patience, which its own downloader does not have."""
    from phonolyte.sources.web import PatientSession

    with PatientSession() as session:
        response = session.get(url)
    if response.status_code != 200:
        raise SourceError(url, why=f"status {response.status_code}")
    if size_bytes and len(response.content) != size_bytes:
        why = f"it has {len(response.content)} bytes, and should have {size_bytes}"
        raise SourceError(url, why=why, kind="WrongChecksum")
    Path(output).write_bytes(response.content)


def _noted_sha256(note: Path, path: Path) -> str:
    """The checksum that was written down; that of the file as it is, where nothing was."""
    record = read_json(note) or _write_note(note, path, BY_HAND)
    return str(record["sha256"])


def _write_note(note: Path, path: Path, url: str) -> dict[str, str]:
    """Write down where a file came from, when, and its checksum."""
    import pooch

    fetched = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {"url": url, "sha256": pooch.file_hash(str(path)), "fetched": fetched}
    write_json(note, record)
    return record


def _check(path: Path, sha256: str) -> None:
    """Refuse a file of another checksum."""
    import pooch

    actual = pooch.file_hash(str(path))
    if actual != sha256:
        raise SourceError(
            f"{path} in the cache is not the file it should be",
            why=f"its sha256 is {actual}, and should be {sha256}",
            fix="phonolyte cache clear removes what is there; a file that comes so again is not to be trusted.",
            kind="WrongChecksum",
        )
