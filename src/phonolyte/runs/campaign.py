"""Work that is done crystal by crystal: each result a file, claimed by one process, found again after a kill."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

from phonolyte import __version__
from phonolyte.errors import Failure
from phonolyte.runs.records import in_one_step
from phonolyte.structures import Crystal

ITEMS = "items"
"""The part of a run folder that has the results."""


@dataclass(frozen=True, slots=True)
class Item:
    """One crystal of a campaign: the file its result goes to, and the digest that tells whose result is there.

    A record in the file has `row` where the crystal could be computed, `failure` where it could not.
    """

    crystal: Crystal
    path: Path
    digest: str
    limit_s: float | None

    @classmethod
    def of(cls, crystal: Crystal, folder: Path, decides: Sequence[Any], limit_s: float | None = None) -> Self:
        """The item of a crystal in a run folder.

        Parameters
        ----------
        crystal
            To be computed.
        folder
            The run folder.
        decides
            Everything but the crystal that decides the result: engine, settings.
        limit_s
            The time limit, under which a failure counts.
        """
        path = folder / ITEMS / f"{file_name(crystal.material_id)}.json"
        return cls(crystal, path, _digest(crystal, decides), limit_s)

    @property
    def name(self) -> str:
        """What files and folders of this crystal are called."""
        return self.path.stem

    @property
    def record(self) -> dict[str, Any] | None:
        """What is there of this crystal, engine and settings; a failure counts under the same time limit only."""
        record = read_json(self.path) or {}
        done = "row" in record or ("failure" in record and record.get("limit_s") == self.limit_s)
        return record if done and record.get("digest") == self.digest else None

    def write(self, found: Mapping[str, Any]) -> None:
        """Keep a record of this crystal, engine and settings."""
        write_json(self.path, {**found, "digest": self.digest, "limit_s": self.limit_s})


def complete(
    items: Sequence[Item],
    work: Callable[[Item], None],
    *,
    is_done: Callable[[Item], bool] | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
    until: float | None = None,
) -> None:
    """Do the work on each item that is not done, and that no other process is at.

    Parameters
    ----------
    items
        All of them.
    work
        Computes an item and writes its record.
    is_done
        Whether nothing is left to do; a record is enough unless given.
    executor
        Of processes, to which `work` must be able to travel; items are done one by one here unless given.
    progress
        Called with the number of atoms done since the last call, which foretells the time left better than the
        number of crystals.
    until
        Time of the monotonic clock, in seconds, after which no further item is begun; those left have no record.
    """
    take = partial(_take, work=work, is_done=is_done or _has_record, until=until)
    for size in executor.map(take, items) if executor else map(take, items):
        if progress:
            progress(size)


def _take(item: Item, work: Callable[[Item], None], is_done: Callable[[Item], bool], until: float | None) -> int:
    """Do one item, unless it is done or the time is up; its number of atoms."""
    if not is_done(item) and (until is None or time.monotonic() < until):
        with _claimed(item.path) as claimed:
            if claimed and not is_done(item):  # another process may just have done it
                work(item)
    return len(item.crystal)


def _has_record(item: Item) -> bool:
    return item.record is not None


def attempt(item: Item, compute: Callable[[Item], Mapping[str, Any]], stage: str) -> None:
    """Write the record computed of an item, or why it failed: the batch goes on whatever foreign code raises."""
    try:
        item.write(compute(item))
    except Exception as error:
        item.write(failed(error, item.crystal, stage))


def outcomes(items: Sequence[Item]) -> tuple[list[dict[str, Any]], list[Failure]]:
    """The records of items that could be computed, and the failures; those that nobody has done are in neither."""
    records = [item.record or {} for item in items]
    computed = [record for record in records if "row" in record]
    return computed, [Failure(**record["failure"]) for record in records if "row" not in record and "failure" in record]


def failed(error: Exception, crystal: Crystal, stage: str) -> dict[str, Any]:
    """The record of an item that failed."""
    return {"failure": asdict(Failure.of(error, material_id=crystal.material_id, stage=stage, source=crystal.source))}


_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~+-]{0,99}")

_TAKEN = (ITEMS, "dos")
"""Folders of a run that are no crystal's."""


def file_name(material_id: str) -> str:
    """A file name for a `material_id`: itself where it can be one, with a checksum where it cannot."""
    if _SAFE.fullmatch(material_id) and material_id not in _TAKEN:
        return material_id
    checksum = hashlib.sha256(material_id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', material_id)[:60]}-{checksum}"


def folder_of(run: Path, material_id: str) -> Path:
    """Where a run folder has the files of a crystal."""
    return run / file_name(material_id)


def read_json(path: Path) -> dict[str, Any] | None:
    """The record in a file, or None where there is none that can be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record in one step."""
    with in_one_step(path) as partial:
        partial.write_text(json.dumps(record, default=float), encoding="utf-8")


def _digest(crystal: Crystal, decides: Sequence[Any]) -> str:
    """The same digest, the same result."""
    digest = hashlib.sha256(repr([__version__, *decides]).encode())
    for array in (crystal.lattice, crystal.numbers, crystal.frac_coords):
        digest.update(array.tobytes())
    return digest.hexdigest()


@contextmanager
def _claimed(item: Path) -> Iterator[bool]:
    """Whether this process has a crystal to itself; the lock goes with the process, however that ends."""
    lock = item.with_suffix(".lock")
    with lock.open("w") as stream:
        claimed = _is_ours(stream)
        try:
            yield claimed
        finally:
            if claimed and sys.platform != "win32":  # which cannot remove an open file
                lock.unlink(missing_ok=True)


def _is_ours(stream: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks: to compute a crystal twice does no harm
        return True
    return True
