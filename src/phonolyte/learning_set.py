"""The learning set that comes with Phonolyte: crystals from prototypes, whose phonons it computed itself.

Two tables: ``crystals.parquet``, a crystal table with `prototype`, `band_center_mev` and more,
and ``dos.parquet`` with the density of states of each element in each crystal, in steps of one 65535th of its maximum.
A third, ``grown.parquet``, has crystals that were chosen by what their phonons would tell a model; ``grown.md`` is its
card.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.chemistry.systems import system_of
from phonolyte.dos import PhononDos
from phonolyte.dos.table import read_densities
from phonolyte.features import featurize
from phonolyte.features.fractions import ElementFractions
from phonolyte.features.ion_sites import IonSites
from phonolyte.structures import Reading, read

if TYPE_CHECKING:
    from phonolyte.models.domain import Domain
    from phonolyte.models.ion import IonPairs
    from phonolyte.models.nearest import Learned

DESCRIPTION = (
    "Learned from the learning set that comes with Phonolyte: crystals from prototypes, whose phonons Phonolyte "
    "computed with a machine-learned potential. No centers of density functional theory are in it."
)
"""What a model learned from it says of its data."""


def folder() -> Path:
    """Where the tables are."""
    return Path(str(files("phonolyte") / "data" / "learning_set"))


def crystals_file() -> Path:
    """The crystal table, to train on."""
    return folder() / "crystals.parquet"


def densities_file() -> Path:
    """The table of densities."""
    return folder() / "dos.parquet"


def grown_file() -> Path:
    """The crystal table of those that were chosen later, with centers calibrated to density functional theory."""
    return folder() / "grown.parquet"


def crystals() -> Reading:
    """The relaxed crystals; `band_center_mev`, `lowest_mode_mev`, `prototype` and more are among their properties."""
    return read(crystals_file())


def densities() -> Iterator[PhononDos]:
    """The densities of states, in total and of each element, one crystal at a time."""
    return read_densities(densities_file())


ION_LENGTH = 0.991
"""Lengths of today's cells of the Materials Project over those that the potential relaxes."""

ION_FACTOR = 1.0448
"""Centers of density functional theory over those of the potential: the common factor of its calibration."""


def ion_pairs() -> IonPairs:
    """Centers of the mobile ions in the relaxed crystals, to learn from.

    Cells are scaled to those of today's Materials Project, and centers to density functional theory.
    """
    from phonolyte.models.ion import IonPairs

    of_name = {dos.material_id: dos.element_centers_mev for dos in densities()}
    scaled = [replace(crystal, lattice=ION_LENGTH * crystal.lattice) for crystal in crystals().crystals]
    tables, centers = [], []
    for ion in MOBILE_IONS:
        chosen = [crystal for crystal in scaled if ion in of_name[crystal.material_id]]
        table, _ = featurize(chosen, sets=(IonSites(ion), ElementFractions()))
        tables.append(table)
        centers.append([ION_FACTOR * of_name[str(name)][ion] for name in table.index])
    systems = {crystal.material_id: system_of(crystal.symbols) for crystal in scaled}
    joined = pd.concat(tables)
    return IonPairs(joined, np.concatenate(centers), [systems[str(name)] for name in joined.index])


def load_learned(domain: Domain, *, executor: Executor | None = None) -> Learned:
    """The compounds as points in the space of a model's domain, to find those that are nearest to a crystal."""
    from phonolyte.models.nearest import Learned

    learned_crystals = crystals().crystals
    table, _ = featurize(learned_crystals, executor=executor)
    of_name = {crystal.material_id: crystal for crystal in learned_crystals}
    described = [of_name[name] for name in table.index]
    centers = np.array([float(crystal.properties["band_center_mev"]) for crystal in described])
    return Learned.from_features(domain, table, [crystal.formula for crystal in described], centers)
