"""The run folder: settings and inputs, what came out, what failed, and the place to go on after a kill."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import tomli_w
from filelock import FileLock, Timeout

import phonolyte
from phonolyte.columns import check_columns, describe_columns
from phonolyte.errors import Failure, SettingsError
from phonolyte.runs import records
from phonolyte.runs.calculation import Provenance
from phonolyte.runs.citations import FILE as CITE_FILE
from phonolyte.runs.citations import bibtex
from phonolyte.runs.digest import digest_of
from phonolyte.runs.records import FAILURES, ITEMS, Row
from phonolyte.settings import read_toml
from phonolyte.structures import Crystal
from phonolyte.structures.reading import Skipped
from phonolyte.structures.run_results import CRYSTALS, RUN_RECORD

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
"""Layout of run folders; that of 0.1.0.dev0 had no number."""

COLUMNS_FILE = "columns.csv"
"""File of a run folder that says what each column of its tables means, and in which unit."""

MANIFEST = ".written"
"""File of a run folder that lists what runs have written into it: what `overwrite` may remove."""

LOCK = ".lock"

_RECORDED = ("numpy", "pandas", "scikit-learn", "numba", "pymatgen-core", "ase")


class Run:
    """A run folder that is being written, a context manager.

    Opening it refuses the folder of another command and of another run of the same command, takes a lock, and writes
    ``run.toml`` before anything else; leaving it writes the state (`finished`, `failed`, `stopped`), the seconds and
    ``cite.bib``. The same command in the same folder goes on where it was killed.

    Parameters
    ----------
    folder
        Path of the run folder, made where it is not there.
    command
        Command with its method, such as ``migrate --method neb``.
    settings
        Settings to record, a dataclass or a mapping; None is left out.
    inputs
        Files that the results depend on; their checksums are recorded.
    identity
        What makes two runs the same one; default: settings and inputs.
    engine
        Engine whose provenance, license, notes and citations are recorded.
    cites
        Further keys of ``data/cite.bib``, and BibTeX entries that begin with ``@``.
    overwrite
        Whether an earlier run in the folder is removed first.
    restart
        Whether the same run is removed first, too.
    replacing
        Option of the command that means `overwrite`, for messages.
    closing
        Called with the run after a successful run, while the folder is still locked: writes its report.

    Raises
    ------
    SettingsError
        When the folder cannot be written, is in use, or has another run.
    """

    def __init__(
        self,
        folder: str | Path,
        command: str,
        *,
        settings: object = None,
        inputs: Iterable[str | Path] = (),
        identity: object = None,
        engine: Provenance | None = None,
        cites: Sequence[str] = (),
        overwrite: bool = False,
        restart: bool = False,
        replacing: str = "--overwrite",
        closing: Callable[[Run], object] | None = None,
    ) -> None:
        self.folder, self.command = Path(folder).expanduser(), command
        self.settings = plain_settings(settings)
        self.inputs = {str(path): records.checksum(path) for path in inputs}
        self.identity = digest_of(identity if identity is not None else (self.settings, self.inputs))
        self.engine, self.closing = engine, closing
        self.cites = (*cites, *(engine.cites if engine is not None else ()))
        self.overwrite, self.restart, self.replacing = overwrite, restart, replacing
        self.provenance: dict[str, Any] = {}
        self.notes = list(engine.notes) if engine is not None else []
        self.failures: list[Failure] = []
        self.tables: dict[str, list[str]] = {}
        self._lock = FileLock(self.folder / LOCK, timeout=0)
        self._started, self._clock, self._written = "", 0.0, set[str]()

    def __enter__(self) -> Self:
        """Open the folder."""
        make_folder(self.folder)
        self._take_lock()
        try:
            self._refuse_others()
            records.remove_parts(self.folder)
            self._written = set(self._read_manifest())
            self._started, self._clock = _now(), time.perf_counter()
            self._write_record("running")
            self._write_failures()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the folder."""
        try:
            if error is None:
                self._write_descriptions()
                self._write_record("finished")
                if self.closing:
                    self.closing(self)
            else:
                self._write_record("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        except OSError:
            if error is None:  # else the first error matters more
                raise
        finally:
            self._lock.release()

    def write_table(
        self, name: str, table: pd.DataFrame, *, csv: bool = False, float_format: str | None = None,
        free: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Write a table (Parquet; CSV beside it), its columns but the `free` ones checked against the registry.

        Raises
        ------
        TableError
            For a column that the registry does not know.
        """
        self.describe_table(name, table, free=free)
        if name.endswith(".csv"):
            records.write_csv(table, self.path(name), float_format=float_format)
            return
        records.write_parquet(table, self.path(name))
        if csv:
            records.write_csv(table, self.path(Path(name).with_suffix(".csv").name), float_format=float_format)

    def describe_table(self, name: str, table: pd.DataFrame, *, free: Collection[str] = ()) -> None:
        """Check the columns of a table, and describe them in ``columns.csv``: for one that is written elsewhere.

        Raises
        ------
        TableError
            For a column that the registry does not know.
        """
        check_columns(table, where=name, free=free)
        self.tables[name] = list(map(str, table.columns))
        self.path(name)

    def write_rows(self, name: str, rows: Sequence[Row]) -> pd.DataFrame:
        """Write a table from its rows, and return it."""
        import pandas as pd

        table = pd.DataFrame([dict(row) for row in rows])
        self.write_table(name, table)
        return table

    def write_crystals(self, crystals: Sequence[Crystal], name: str = CRYSTALS) -> None:
        """Write a crystal table."""
        self.tables[name] = records.write_crystals(crystals, self.path(name))

    def write_parts(self, name: str, parts: Iterable[Any]) -> None:
        """Write Arrow tables of one schema as one Parquet file, a part at a time."""
        from pyarrow.parquet import ParquetWriter

        writer = None
        with records.in_one_step(self.path(name)) as partial:
            for table in parts:
                writer = writer or ParquetWriter(partial, table.schema, compression="zstd")
                writer.write_table(table)
                self.tables[name] = table.column_names
            if writer:
                writer.close()

    def write_json(self, name: str, record: object) -> None:
        """Write a JSON file."""
        records.write_json(self.path(name), record, indent=1)

    def path(self, name: str) -> Path:
        """Return the path of a file or folder of the run, which is noted as written by it."""
        self._note_written([Path(name).parts[0]])
        return self.folder / name

    def claim(self, names: Iterable[str]) -> None:
        """Note folders that a calculation is about to make as written by the run, but those that are there already."""
        self._note_written(name for name in names if not (self.folder / name).exists())

    def _note_written(self, names: Iterable[str]) -> None:
        new = [name for name in dict.fromkeys(names) if name not in self._written]
        if new:
            self._written.update(new)
            with (self.folder / MANIFEST).open("a", encoding="utf-8") as stream:
                stream.writelines(f"{name}\n" for name in new)

    def add_failures(self, failures: Iterable[Failure]) -> None:
        """Add failures to ``failures.parquet``; one that is there already is not added again."""
        known = set(self.failures)
        self.failures += [failure for failure in failures if failure not in known]
        self._write_failures()

    def add_skipped(self, files: Sequence[Skipped]) -> None:
        """Write the files of the input that are not structures to ``skipped.csv``, where there are any."""
        import pandas as pd

        if files:
            self.write_table(
                "skipped.csv", pd.DataFrame({"file": [f.file for f in files], "why": [f.reason for f in files]})
            )

    def add_note(self, note: str) -> None:
        """Add a note that is recorded, and shown at the end of the command."""
        if note not in self.notes:
            self.notes.append(note)

    def _take_lock(self) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            raise SettingsError(
                f"{self.folder} is in use",
                why="another phonolyte is writing into it",
                fix="Wait for it, or choose another -o.",
            ) from None
        except OSError as error:
            raise SettingsError(
                f"{self.folder} cannot be written", why=error.strerror or str(error), fix="Choose another -o."
            ) from None

    def _refuse_others(self) -> None:
        """Refuse the folder of another command or run, unless it may be overwritten."""
        record = read_record(self.folder)
        if record is None:
            return
        why = _why_another(record, self)
        if not why and not self.restart:
            return
        if (why and not self.overwrite) or record.get("format") != FORMAT:
            again = "" if record.get("format") != FORMAT else f", or replace it with {self.replacing}"
            raise SettingsError(f"{self.folder} holds {why}", fix=f"Choose another -o{again}.")
        self._remove()

    def _remove(self) -> None:
        """Remove what earlier runs have written."""
        for name in {*self._read_manifest(), RUN_RECORD, FAILURES, ITEMS}:
            path = self.folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (self.folder / MANIFEST).unlink(missing_ok=True)

    def _read_manifest(self) -> list[str]:
        """Names in the folder of what runs have written into it, and of nothing outside of it."""
        manifest = self.folder / MANIFEST
        text = manifest.read_text(encoding="utf-8", errors="replace") if manifest.is_file() else ""
        return [name for name in text.split("\n") if name not in ("", "..") and Path(name).name == name]

    def _write_record(self, state: str) -> None:
        record: dict[str, Any] = {
            "format": FORMAT,
            "command": self.command,
            "state": state,
            "phonolyte": phonolyte.__version__,
            "commit": commit(),
            "python": platform.python_version(),
            "started": self._started,
            "seconds": round(time.perf_counter() - self._clock, 3),
            "identity": self.identity,
            "notes": self.notes,
            "settings": self.settings,
            "versions": {name: version(name) for name in _RECORDED},
            "inputs": self.inputs,
        }
        if self.provenance:
            record["provenance"] = plain_settings(self.provenance)
        if self.engine is not None:
            licensed = {"license": self.engine.license} if self.engine.license else {}
            record["engine"] = {"name": self.engine.name, **self.engine.provenance, **licensed}
        with records.in_one_step(self.folder / RUN_RECORD) as partial:
            partial.write_bytes(tomli_w.dumps(record).encode("utf-8", "replace"))  # names of files can be anything

    def _write_failures(self) -> None:
        records.write_failure_table(self.failures, self.folder / FAILURES)

    def _write_descriptions(self) -> None:
        """Write ``cite.bib``, and what the columns of the tables mean."""
        records.write_text(self.path(CITE_FILE), bibtex(*self.cites))
        if self.tables:
            records.write_csv(describe_columns(self.tables), self.path(COLUMNS_FILE))


def make_folder(folder: Path) -> None:
    """Make a folder for results.

    Raises
    ------
    SettingsError
        When it cannot be one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # a file system that takes no folders, such as /proc
        above = next(each for each in folder.absolute().parents if each.exists())
        raise SettingsError(
            f"{folder} cannot be a folder for results", why=f"none can be made in {above}", fix="Choose another -o."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be a folder for results", why=error.strerror or str(error), fix="Choose another -o."
        ) from None


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return ``run.toml`` of a folder, None where there is none that can be read."""
    try:
        return read_toml(folder / RUN_RECORD)
    except SettingsError:
        return None


def require_format(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuse a run folder of a version with another layout.

    Raises
    ------
    SettingsError
        When it is one.
    """
    if record.get("format") != FORMAT:
        raise SettingsError(
            f"{folder} holds {_of_another_version(record)}", fix="Run the command again into a new folder."
        )


def _of_another_version(record: Mapping[str, Any]) -> str:
    return f"a run of phonolyte {record.get('phonolyte', '0.1.0.dev0')}, whose layout this version does not read"


def _why_another(record: Mapping[str, Any], run: Run) -> str:
    """Return what an earlier run is, as a phrase; empty where it is the same one."""
    if record.get("format") != FORMAT:
        return _of_another_version(record)
    if record.get("command") != run.command:
        return f"a run of phonolyte {record.get('command')}"
    if record.get("identity") == run.identity:
        return ""
    earlier = record.get("settings", {})
    other = [name for name in {**earlier, **run.settings} if earlier.get(name) != run.settings.get(name)]
    what = f"other settings ({', '.join(sorted(other)[:3])})" if other else "other inputs"
    return f"another run of phonolyte {run.command}, with {what}"


def plain_settings(settings: object) -> dict[str, Any]:
    """Return settings as TOML takes them: plain values, None left out."""
    if is_dataclass(settings) and not isinstance(settings, type):
        settings = {each.name: getattr(settings, each.name) for each in fields(settings)}
    if not isinstance(settings, Mapping):
        return {}
    return {str(name): _plain(value) for name, value in settings.items() if value is not None}


def _plain(value: object) -> Any:
    if is_dataclass(value) or isinstance(value, Mapping):
        return plain_settings(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value if item is not None]
    return value if isinstance(value, (bool, int, float, str)) else str(value)


@cache
def commit() -> str:
    """Return the commit of this program where it runs from a checkout, else an empty text."""
    root = Path(phonolyte.__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        git = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return git.stdout.strip()


def _now() -> str:
    """UTC, to the second; SOURCE_DATE_EPOCH replaces the clock."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(float(epoch) if epoch.isdigit() else time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
