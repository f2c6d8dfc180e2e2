"""Phonon bands along the special points of the Brillouin zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.dos import mev_per

if TYPE_CHECKING:
    from phonopy import Phonopy

POINTS_PER_INVERSE_A = 50.0
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
        With force constants; the path is that of its primitive cell.
    """
    from ase.cell import Cell

    path = Cell(phonon.primitive.cell).bandpath(density=POINTS_PER_INVERSE_A, eps=1e-3)
    distances, positions, labels = path.get_linear_kpoint_axis()
    phonon.run_qpoints(path.kpts)
    energies = phonon.qpoints.frequencies * mev_per("THz")
    jumps = np.flatnonzero(np.diff(distances) <= 0.0) + 1
    parts = zip(np.split(distances, jumps), np.split(energies, jumps), strict=True)
    names, places = _merged(labels, positions)
    return BandStructure(tuple(parts), names, places)


def load_phonons(folder: str | Path) -> Phonopy:
    """The phonopy object of ``phonopy_params.yaml`` in a folder."""
    import phonopy

    return phonopy.load(Path(folder) / "phonopy_params.yaml", produce_fc=False, log_level=0)


def _merged(labels: Sequence[str], positions: Floats) -> tuple[tuple[str, ...], Floats]:
    """Labels that stand at one place joined."""
    names: list[str] = []
    places: list[float] = []
    for label, place in zip(labels, positions, strict=True):
        name = "Γ" if label == "G" else label
        if places and abs(place - places[-1]) < 1e-9:
            names[-1] = f"{names[-1]}|{name}"
        else:
            names.append(name)
            places.append(float(place))
    return tuple(names), np.array(places)
