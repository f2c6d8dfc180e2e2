"""The run folder: what was asked for, what came out, what failed, and the same place to go on after a kill."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tomli_w

from phonolyte import __version__
from phonolyte.chemistry.elements import SYMBOLS
from phonolyte.errors import Failure, SettingsError
from phonolyte.runs.citations import cite
from phonolyte.settings import read_toml, section

if TYPE_CHECKING:
    from phonolyte.structures import Crystal

CRYSTALS = "crystals.parquet"
"""Of a run folder: the crystals that its tables name, as a crystal table."""

FOLLOWED = ("followed.csv", "followed.json")
"""Of a run folder of a study: how far candidates were followed, and what each tier did."""

TO_THE_END = "followed to the end"
"""What the first says of a candidate that came through every tier."""

FAILURE_COLUMNS = ("material_id", "stage", "error", "message", "source")
_RECORDED = ("numpy", "pandas", "scikit-learn", "numba", "pymatgen-core", "ase")


def open_run(folder: str | Path, command: str = "") -> Path:
    """Make a run folder, or take up one that is there.

    Parameters
    ----------
    folder
        Its path.
    command
        What is about to write into it; a folder of another one is refused, whose results it would mix with its own.

    Raises
    ------
    SettingsError
        When the path is a file, cannot be written, or holds a run of another command.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be a run folder", why=error.strerror or str(error), fix="Choose another -o."
        ) from None
    earlier = _command_in(folder / "run.toml")
    if command and earlier and earlier != command:
        raise SettingsError(f"{folder} holds a run of phonolyte {earlier}", fix="Choose another -o.")
    return folder


def _command_in(path: Path) -> str:
    """The command that wrote a ``run.toml``, with its method; empty where there is none that can be read."""
    try:
        settings = section(read_toml(path), "settings")
    except SettingsError:
        return ""
    return " --method ".join(str(settings[name]) for name in ("command", "method") if name in settings)


def write_run(folder: Path, settings: Mapping[str, Any], inputs: Iterable[str | Path]) -> None:
    """Write ``run.toml``: settings, versions, and a checksum of every input file; and ``cite.bib``."""
    record = {
        "phonolyte": __version__,
        "python": platform.python_version(),
        "settings": {key: value for key, value in settings.items() if value is not None},
        "versions": {name: version(name) for name in _RECORDED},
        "inputs": {str(path): checksum(path) for path in inputs},
    }
    (folder / "run.toml").write_bytes(tomli_w.dumps(record).encode(errors="replace"))  # names of files can be no text
    cite(folder, *(settings.get(name) for name in ("command", "method", "engine")))


def write_failures(folder: Path, failures: Iterable[Failure]) -> None:
    """Write ``failures.parquet``, also when there are none: an empty table says so."""
    table = pd.DataFrame([asdict(failure) for failure in failures], columns=list(FAILURE_COLUMNS), dtype=str)
    write_parquet(table, folder / "failures.parquet")


@contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """A file to write, which then takes the place of another: a kill leaves the old one or the new one, never half."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    yield partial
    os.replace(partial, path)


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table in one step."""
    with in_one_step(path) as partial:
        table.to_parquet(partial, index=False)


def write_crystals(crystals: Sequence[Crystal], folder: Path) -> None:
    """Write ``crystals.parquet``, the crystal table of a run, column by column: a screen has a million atoms."""
    import pyarrow as pa
    from pyarrow import parquet

    ends = np.cumsum([0, *map(len, crystals)])
    numbers = _joined([crystal.numbers for crystal in crystals]).astype(np.int8)
    symbols = pa.DictionaryArray.from_arrays(numbers, pa.array(list(SYMBOLS))).cast(pa.string())
    table = pa.table(
        {
            "material_id": pa.array([crystal.material_id for crystal in crystals], pa.string()),
            "formula": pa.array([crystal.formula for crystal in crystals], pa.string()),
            "lattice": _lists(9 * np.arange(len(crystals) + 1), _joined([crystal.lattice for crystal in crystals])),
            "species": _lists(ends, symbols),
            "frac_coords": _lists(3 * ends, _joined([crystal.frac_coords for crystal in crystals])),
        }
    )
    with in_one_step(folder / CRYSTALS) as partial:
        parquet.write_table(table, partial, compression="zstd")


def _joined(parts: Sequence[Any]) -> Any:
    return np.concatenate([part.ravel() for part in parts]) if parts else np.empty(0)


def _lists(ends: Any, values: Any) -> Any:
    """Values as one Arrow column of lists, without a Python object each."""
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), values)


def checksum(path: str | Path) -> str:
    """sha256 of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
