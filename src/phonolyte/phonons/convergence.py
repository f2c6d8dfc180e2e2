"""How much a band center still changes with the mesh of wave vectors and with the supercell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phonolyte.errors import PhononError
from phonolyte.forces.cells import count_atoms
from phonolyte.phonons.workflow import PhononSettings, compute_phonons, spectrum
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from phonopy import Phonopy

    from phonolyte.forces import Engine

FINER = 1.5
"""How many times as many divisions the finer mesh has."""

STEP_A = 1.0
"""Steps in which a least length is raised until the supercell grows."""

STEPS = 20
"""Most of these steps."""


def convergence(
    crystal: Crystal, engine: Engine, settings: PhononSettings, supercell_atoms: int, phonon: Phonopy
) -> pd.DataFrame:
    """Band centers with a finer mesh, and with the next larger supercell.

    Parameters
    ----------
    crystal
        Relaxed, as the phonons were computed for it.
    engine, settings
        Engine and settings of these phonons.
    supercell_atoms
        Atoms in their supercell.
    phonon
        With their force constants.

    Returns
    -------
    pandas.DataFrame
        `of` (mesh, supercell), `setting`, `band_center_mev`, `change_mev` against the phonons that are there.

    Raises
    ------
    PhononError
        When there is no larger supercell, or the time limit is reached.
    EngineError
        When the engine fails.
    """
    center = spectrum(phonon, settings).dos.band_center_mev
    finer = _finer(settings)
    larger = _larger(crystal, settings, supercell_atoms)
    result = compute_phonons(crystal, engine, replace(larger, relax=False, confirm=False))
    changes = {
        "mesh": (finer.mesh or finer.mesh_length_a, spectrum(phonon, finer).dos.band_center_mev),
        "supercell": (f"{result.supercell_atoms} atoms", result.band_center_mev),
    }
    return pd.DataFrame(
        [
            {"of": kind, "setting": str(setting), "band_center_mev": value, "change_mev": value - center}
            for kind, (setting, value) in changes.items()
        ]
    )


def _finer(settings: PhononSettings) -> PhononSettings:
    if settings.mesh is None:
        return replace(settings, mesh_length_a=FINER * settings.mesh_length_a)
    x, y, z = (int(np.ceil(FINER * n)) for n in settings.mesh)
    return replace(settings, mesh=(x, y, z))


def _larger(crystal: Crystal, settings: PhononSettings, atoms: int) -> PhononSettings:
    """Settings whose supercell has more atoms.

    Raises
    ------
    PhononError
        When the supercell is as large as any that is tried.
    """
    if settings.supercell is not None:
        x, y, z = settings.supercell
        return replace(settings, supercell=(x + 1, y + 1, z + 1))
    primitive = crystal.to_ase()
    for _ in range(STEPS):
        settings = replace(settings, min_length_a=settings.min_length_a + STEP_A)
        if count_atoms(primitive, settings.supercell_of(primitive)) > atoms:
            return settings
    raise PhononError(
        f"there is no supercell larger than {atoms} atoms",
        why=f"{settings.min_length_a:g} angstrom between an atom and its images need no more",
        fix="Start from a smaller least length.",
    )
