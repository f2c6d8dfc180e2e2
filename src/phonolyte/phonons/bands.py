"""Phonon bands along the special points of the Brillouin zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.units import MEV_PER_THZ

if TYPE_CHECKING:
    from phonopy import Phonopy

POINTS_PER_INVERSE_A = 250.0
"""Wave vectors on a path of 1/angstrom (without the factor 2 pi): bands look smooth."""


@dataclass(frozen=True, slots=True, eq=False)
class BandStructure:
    """Phonon bands along a path of straight parts.

    Attributes
    ----------
    parts
        For each part of the path that hangs together the distances (n,) along it, in 1/angstrom, and the energies
        (n, m) of the m bands in meV, negative where imaginary.
    labels, positions
        Names of the special points and where they are; where the path jumps both names stand as ``K|U``.
    """

    parts: tuple[tuple[Floats, Floats], ...]
    labels: tuple[str, ...]
    positions: Floats

    @property
    def lowest_mev(self) -> float:
        """The lowest energy on the path."""
        return min(float(energies.min()) for _, energies in self.parts)

    @property
    def highest_mev(self) -> float:
        """The highest energy on the path."""
        return max(float(energies.max()) for _, energies in self.parts)


def band_structure(phonon: Phonopy) -> BandStructure:
    """Bands along the path of Setyawan and Curtarolo (10.1016/j.commatsci.2010.05.010), as ASE finds it for the cell.

    Parameters
    ----------
    phonon
        With force constants; the path is that of its primitive cell. Its own band structure is this one afterwards.
    """
    from ase.cell import Cell
    from ase.dft.kpoints import parse_path_string

    cell = Cell(phonon.primitive.cell)
    path = cell.bandpath(npoints=0, eps=1e-3)
    segments = parse_path_string(path.path)
    pairs = [pair for segment in segments for pair in pairwise(segment)]
    ends = [tuple(path.special_points[label] for label in pair) for pair in pairs]
    lengths = [np.linalg.norm(cell.reciprocal().T @ (end - start)) for start, end in ends]
    qpoints = [
        np.linspace(start, end, 2 + round(length * POINTS_PER_INVERSE_A))
        for (start, end), length in zip(ends, lengths, strict=True)
    ]
    connected = [k < len(segment) - 2 for segment in segments for k in range(len(segment) - 1)]
    names = [_greek(label) for segment in segments for label in segment]
    bands = phonon.run_band_structure(qpoints, path_connections=connected, labels=names)
    stops = np.cumsum([0, *(len(segment) - 1 for segment in segments)])
    joined = [
        (np.concatenate(bands.distances[i:j]), np.concatenate(bands.frequencies[i:j]) * MEV_PER_THZ)
        for i, j in pairwise(stops)
    ]
    places = [x for i, j in pairwise(stops) for x in (bands.distances[i][0], *(d[-1] for d in bands.distances[i:j]))]
    return BandStructure(tuple(joined), *_merge(names, np.array(places)))


def save_bands(phonon: Phonopy, folder: str | Path) -> None:
    """Write the band structure of a phonopy object as ``band.yaml``, which phonopy's and other tools plot.

    Beside it goes ``POSCAR``, the primitive cell that it belongs to, which sumo requires.
    """
    from phonopy.interface.vasp import write_vasp

    phonon.write_yaml_band_structure(filename=Path(folder) / "band.yaml")
    write_vasp(Path(folder) / "POSCAR", phonon.primitive, direct=True)


def load_phonons(folder: str | Path) -> Phonopy:
    """The phonopy object of ``phonopy_params.yaml`` in a folder."""
    import phonopy

    return phonopy.load(Path(folder) / "phonopy_params.yaml", produce_fc=False, log_level=0)


def _greek(label: str) -> str:
    return "Γ" if label == "G" else label


def _merge(labels: Sequence[str], positions: Floats) -> tuple[tuple[str, ...], Floats]:
    """Labels that stand at one place joined."""
    names: list[str] = []
    places: list[float] = []
    for label, place in zip(labels, positions, strict=True):
        if places and abs(place - places[-1]) < 1e-9:
            names[-1] = f"{names[-1]}|{label}"
        else:
            names.append(label)
            places.append(float(place))
    return tuple(names), np.array(places)
