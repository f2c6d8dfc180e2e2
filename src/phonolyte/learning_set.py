"""The learning set that comes with Phonolyte: crystals from prototypes, whose phonons it computed itself.

Two tables: ``crystals.parquet``, a crystal table with `band_center_mev`, `ion_center_mev` (of the mobile ion) and more,
and ``dos.parquet`` with the density of states of each element in each crystal, in steps of one 65535th of its maximum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.dos import PhononDos
from phonolyte.structures import Reading, read

FINEST = 65_535
"""Steps of a density between zero and its maximum: what 16 bits hold."""


def folder() -> Path:
    """Where the tables are."""
    return Path(str(files("phonolyte") / "data" / "learning_set"))


def crystals_file() -> Path:
    """The crystal table, to train on."""
    return folder() / "crystals.parquet"


def crystals() -> Reading:
    """The relaxed crystals; `band_center_mev`, `lowest_mode_mev`, `prototype` and more are among their properties."""
    return read(crystals_file())


def densities(path: str | Path | None = None) -> Iterator[PhononDos]:
    """The densities of states, in total and of each element, one crystal at a time.

    Parameters
    ----------
    path
        Folder with ``dos.parquet``; that of the package unless given.
    """
    import pandas as pd

    table = pd.read_parquet(Path(path or folder()) / "dos.parquet")
    for name, parts in table.groupby("material_id", sort=False):
        first = parts.iloc[0]
        energies = first["first_mev"] + first["step_mev"] * np.arange(len(first["density"]))
        per_element = {
            row["element"]: row["density"] * (row["highest_per_mev"] / FINEST) for row in parts.to_dict("records")
        }
        yield PhononDos(
            energies,
            np.sum([*per_element.values()], axis=0),
            per_element,
            n_atoms=float(first["n_atoms"]),
            material_id=str(name),
            formula=str(first["formula"]),
        )


def write_densities(densities: Iterable[PhononDos], path: Path) -> None:
    """Write densities on even grids into ``dos.parquet`` of a folder."""
    import pandas as pd

    rows = [row for dos in densities for row in _rows(dos)]
    pd.DataFrame(rows).to_parquet(path / "dos.parquet", index=False, compression="zstd", compression_level=19)


def _rows(dos: PhononDos) -> Iterator[dict[str, Any]]:
    energies = dos.energies_mev
    for element, density in dos.per_element.items():
        highest = float(density.max())
        yield {
            "material_id": dos.material_id,
            "formula": dos.formula,
            "element": element,
            "n_atoms": int(dos.n_atoms or 0),
            "first_mev": float(energies[0]),
            "step_mev": float((energies[-1] - energies[0]) / (len(energies) - 1)),
            "highest_per_mev": highest,
            "density": _steps(density, highest),
        }


def _steps(density: Floats, highest: float) -> Any:
    return np.rint(np.maximum(density, 0.0) * (FINEST / highest if highest else 0.0)).astype(np.uint16)
