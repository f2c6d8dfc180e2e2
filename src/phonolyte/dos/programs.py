"""Densities of states as CASTEP and ABINIT write them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from phonolyte.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.dos.frequency import MEV_PER_UNIT, mev_per
from phonolyte.dos.numbers import number_table
from phonolyte.errors import DosError, MissingExtraError, PhonolyteError, first_line

CASTEP_MARK = "BEGIN DOS"
HDF5_MARK, CLASSIC_MARK = b"\x89HDF", b"CDF"
"""How files of netCDF 4 and 3 begin."""


def castep_dos(text: str, source: str) -> dict[str, Any]:
    """Arguments of a PhononDos from CASTEP's ``.phonon_dos``: in total and of each element.

    Raises
    ------
    DosError
        When the block of the density is missing or cut short.
    """
    match = re.search(rf"(?ms)^\s*{CASTEP_MARK}(?P<head>[^\n]*)\n(?P<rows>.*?)^\s*END DOS", text)
    if match is None:
        raise DosError(f"{source} is cut short", why="its block of the DOS does not end", fix="Get the whole file.")
    table = number_table([line for line in match["rows"].splitlines() if line.strip()], source)
    scale = mev_per(unit.group(1) if (unit := re.search(r"\(([^)]*)\)", match["head"])) else None, source=source)
    elements = [word for word in match["head"].split() if word in ATOMIC_NUMBERS]
    atoms = re.search(r"(?m)^\s*Number of ions\s+(\d{1,9})", text)
    if elements and len(elements) != table.shape[1] - 2:
        raise DosError(
            f"{source} names {len(elements)} elements", why=f"it has {table.shape[1] - 2} densities for them"
        )
    return {
        "energies_mev": table[:, 0] * scale,
        "total": table[:, 1] / scale,
        "per_element": {element: table[:, 2 + i] / scale for i, element in enumerate(elements)},
        "n_atoms": float(atoms.group(1)) if atoms else None,
    }


def abinit_dos(raw: bytes, source: str) -> dict[str, Any]:
    """Arguments of a PhononDos from ABINIT's ``PHDOS.nc``, whose energies are eV.

    Raises
    ------
    DosError
        For netCDF without a phonon DOS.
    MissingExtraError
        For netCDF 4 without h5py.
    """
    names = ("wmesh", "phdos", "pjdos_type", "atomic_numbers", "atom_species")
    try:
        variables = _classic(raw, names) if raw.startswith(CLASSIC_MARK) else _hdf5(raw, names)
    except PhonolyteError:
        raise
    except Exception as error:  # SciPy and h5py have errors of their own for a damaged file
        raise DosError(f"{source} is damaged", why=first_line(error)[:200], fix="Copy it again.") from None
    missing = [name for name in names[:2] if name not in variables]
    if missing:
        raise DosError(f"{source} is not a PHDOS.nc of ABINIT", why=f"it has no {missing[0]}", fix="Give PHDOS.nc.")
    scale = MEV_PER_UNIT["eV"]
    numbers = variables.get("atomic_numbers", np.empty(0)).astype(int).tolist()
    projected = variables.get("pjdos_type", np.empty((0, 0)))
    elements = [SYMBOLS[z] for z in numbers if 0 < z < len(SYMBOLS)]
    named = zip(elements, projected, strict=True) if len(elements) == len(projected) else ()
    species = variables.get("atom_species")
    return {
        "energies_mev": variables["wmesh"] * scale,
        "total": variables["phdos"] / scale,
        "per_element": {element: density / scale for element, density in named},
        "n_atoms": float(len(species)) if species is not None else None,
    }


def _classic(raw: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    from scipy.io import netcdf_file

    with netcdf_file(io.BytesIO(raw), mmap=False) as file:
        return {name: np.array(file.variables[name][:], float) for name in names if name in file.variables}


def _hdf5(raw: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py is not installed", fix="pip install 'phonolyte[phonons]'") from None
    with h5py.File(io.BytesIO(raw), "r") as file:
        return {name: np.array(file[name], float) for name in names if name in file}


def is_netcdf(path: Path, raw: bytes) -> bool:
    """Whether a file is netCDF, by its content and name: HDF5 holds much else."""
    return raw.startswith(CLASSIC_MARK) or (raw.startswith(HDF5_MARK) and path.name.lower().endswith(".nc"))
