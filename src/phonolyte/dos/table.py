"""Densities of states of many crystals in one small table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.dos.density import PhononDos

FINEST = 65_535
"""Steps of a density between zero and its maximum: what 16 bits hold."""

TOTAL = ""
"""What stands for an element where a density is not divided among the elements."""


def read_densities(path: str | Path) -> Iterator[PhononDos]:
    """Densities of states from a table, one crystal at a time; the total is the sum over the elements.

    Parameters
    ----------
    path
        Parquet with a row for each element of each crystal: `material_id`, `formula`, `element`, `n_atoms`,
        `first_mev` and `step_mev` of the grid, and `density` in units of `highest_per_mev` / 65535.
    """
    import pandas as pd

    for name, rows in pd.read_parquet(path).groupby("material_id", sort=False):
        first = rows.iloc[0]
        energies = first["first_mev"] + first["step_mev"] * np.arange(len(first["density"]))
        parts = {row["element"]: row["density"] * (row["highest_per_mev"] / FINEST) for row in rows.to_dict("records")}
        total = np.sum([*parts.values()], axis=0)
        parts.pop(TOTAL, None)
        n_atoms = float(first["n_atoms"]) or None
        yield PhononDos(energies, total, parts, n_atoms=n_atoms, material_id=str(name), formula=str(first["formula"]))


def read_density_file(path: Path, material_id: str, formula: str = "") -> PhononDos:
    """Density of states of one crystal, as runs keep it: `energy_mev`, `total`, and a column an element."""
    import pandas as pd

    table = pd.read_parquet(path)
    energies, total = table["energy_mev"].to_numpy(), table["total"].to_numpy()
    parts = {name: table[name].to_numpy() for name in table.columns[2:]}
    return PhononDos(energies, total, parts, formula=formula, material_id=material_id)


def write_densities(densities: Iterable[PhononDos], path: str | Path) -> None:
    """Write densities on even grids as :func:`read_densities` reads them."""
    import pandas as pd

    rows = [row for dos in densities for row in _rows(dos)]
    pd.DataFrame(rows).to_parquet(path, index=False, compression="zstd", compression_level=19)


def _rows(dos: PhononDos) -> Iterator[dict[str, Any]]:
    energies = dos.energies_mev
    for element, density in (dos.per_element or {TOTAL: dos.total}).items():
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
    return np.rint(density * (FINEST / highest if highest else 0.0)).astype(np.uint16)
