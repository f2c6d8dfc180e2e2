"""Rate of reading CIFs and a crystal table, in one process, beside pymatgen's and ASE's readers of CIF.

Usage: python benchmarks/reading.py [N]

The CIFs are crystals of the reference data as pymatgen writes them, every other one with its symmetry. The peers read a
tenth of them. Files stay in the folder of temporary files: a second call does not write them again.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from record import SHARED, keep

from phonolyte.structures import Crystal, read
from phonolyte.structures.reading import read_file

TABLE = SHARED / "data" / "mp_li_structures.parquet"
PEERS = 10
"""Each peer reads one file in so many."""

FIRST = 200
"""Files read before the clock starts, so that everything is imported and compiled."""


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    files = write(number)
    some = files[:: PEERS + 1]
    milliseconds = {
        "phonolyte": rate(lambda path: len(read_file(path).crystals), files),
        "pymatgen": rate(by_pymatgen, some),
        "ase": rate(by_ase, some),
    }
    own = milliseconds["phonolyte"]
    start = time.perf_counter()
    crystals = len(read(TABLE).crystals)
    seconds = time.perf_counter() - start
    keep(
        "reading",
        {
            "cifs": number,
            "ms_a_cif": milliseconds,
            "times_faster_than": {name: round(ms / own, 1) for name, ms in milliseconds.items() if name != "phonolyte"},
            "failed": sum(not read_file(path).crystals for path in files),
            "table": {
                "crystals": crystals,
                "seconds": round(seconds, 2),
                "ms_a_crystal": round(1e3 * seconds / crystals, 3),
            },
        },
    )


def write(number: int) -> list[Path]:
    """The CIFs, written where they are not there yet."""
    folder = Path(tempfile.gettempdir()) / f"phonolyte-cifs-{number}"
    folder.mkdir(exist_ok=True)
    files = [folder / f"{place:05d}.cif" for place in range(number)]
    missing = [place for place, file in enumerate(files) if not file.is_file()]
    if missing:
        crystals = read(TABLE).crystals
        with ProcessPoolExecutor() as executor:
            wanted = [crystals[place] for place in missing]
            list(executor.map(write_one, wanted, [files[place] for place in missing], missing, chunksize=50))
    return files


def write_one(crystal: Crystal, file: Path, place: int) -> None:
    from pymatgen.io.cif import CifWriter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = str(CifWriter(crystal.to_pymatgen(), symprec=0.01 if place % 2 else None))
    file.with_suffix(".partial").write_text(text)
    file.with_suffix(".partial").rename(file)


def by_pymatgen(path: Path) -> int:
    from pymatgen.io.cif import CifParser

    return len(CifParser(path).parse_structures(primitive=False))


def by_ase(path: Path) -> int:
    from ase.io import read as read_with_ase

    return len(read_with_ase(path, format="cif"))


def rate(read_one: Callable[[Path], int], files: Sequence[Path]) -> float:
    """Milliseconds a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in files[: min(FIRST, len(files) // 10)]:
            read_one(path)
        start = time.perf_counter()
        for path in files:
            read_one(path)
    return round(1e3 * (time.perf_counter() - start) / len(files), 3)


if __name__ == "__main__":
    main()
