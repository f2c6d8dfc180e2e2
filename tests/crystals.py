"""Crystals that several tests use."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk

from phonolyte.structures import Crystal

TRICLINIC = Crystal.from_arrays(
    "triclinic",
    [[5.1, 0.2, -0.4], [1.3, 4.7, 0.3], [-0.6, 1.1, 6.2]],
    ["Li", "P", "S", "S", "O", "Li", "Cl"],
    [[0.02, 0.1, 0.05], [0.5, 0.45, 0.5], [0.3, 0.7, 0.25], [0.75, 0.2, 0.7],
     [0.6, 0.75, 0.8], [0.1, 0.4, 0.7], [0.9, 0.8, 0.4]],
)  # fmt: skip


def make_sheared_salt() -> Atoms:
    """Lithium sulfide, its cell sheared and its atoms off their sites."""
    cell = bulk("Li2S", "fluorite", a=5.72, cubic=True)
    cell.rattle(0.08, seed=1)
    shear = np.array([[1.01, 0.02, 0.0], [0.0, 0.99, 0.03], [0.01, 0.0, 1.0]])
    cell.set_cell(cell.cell.array @ shear, scale_atoms=True)
    return cell
