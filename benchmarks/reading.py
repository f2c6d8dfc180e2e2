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
"""Each peer reads one in so many files."""

FIRST = 200
"""Files read before the clock starts, so that everything is imported and compiled."""


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    files = write_cifs(number)
    sample = files[:: PEERS + 1]
    milliseconds = {
        "phonolyte": measure_ms(lambda path: len(read_file(path).crystals), files),
        "pymatgen": measure_ms(count_with_pymatgen, sample),
        "ase": measure_ms(count_with_ase, sample),
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


def write_cifs(number: int) -> list[Path]:
    """Write the CIFs that are missing, and return all paths."""
    folder = Path(tempfile.gettempdir()) / f"phonolyte-cifs-{number}"
    folder.mkdir(exist_ok=True)
    files = [folder / f"{index:05d}.cif" for index in range(number)]
    missing = [index for index, file in enumerate(files) if not file.is_file()]
    if missing:
        crystals = read(TABLE).crystals
        with ProcessPoolExecutor() as executor:
            chosen = [crystals[index] for index in missing]
            list(executor.map(write_cif, chosen, [files[index] for index in missing], missing, chunksize=50))
    return files


def write_cif(crystal: Crystal, file: Path, index: int) -> None:
    from pymatgen.io.cif import CifWriter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = str(CifWriter(crystal.to_pymatgen(), symprec=0.01 if index % 2 else None))
    file.with_suffix(".partial").write_text(text)
    file.with_suffix(".partial").rename(file)


def count_with_pymatgen(path: Path) -> int:
    from pymatgen.io.cif import CifParser

    return len(CifParser(path).parse_structures(primitive=False))


def count_with_ase(path: Path) -> int:
    from ase.io import read as read_with_ase

    return len(read_with_ase(path, format="cif"))


def measure_ms(count_crystals: Callable[[Path], int], files: Sequence[Path]) -> float:
    """Return the milliseconds per file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in files[: min(FIRST, len(files) // 10)]:
            count_crystals(path)
        start = time.perf_counter()
        for path in files:
            count_crystals(path)
    return round(1e3 * (time.perf_counter() - start) / len(files), 3)


if __name__ == "__main__":
    main()
