"""The learning set that comes with Phonolyte: crystals from prototypes, whose phonons it computed itself.

Two tables: ``crystals.parquet``, a crystal table with `prototype`, `band_center_mev` and more,
and ``dos.parquet`` with the density of states of each element in each crystal, in steps of one 65535th of its maximum.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.dos import PhononDos
from phonolyte.dos.table import read_densities
from phonolyte.features import featurize
from phonolyte.structures import Reading, read

if TYPE_CHECKING:
    from phonolyte.models.domain import Domain
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


def crystals() -> Reading:
    """The relaxed crystals; `band_center_mev`, `lowest_mode_mev`, `prototype` and more are among their properties."""
    return read(crystals_file())


def densities() -> Iterator[PhononDos]:
    """The densities of states, in total and of each element, one crystal at a time."""
    return read_densities(densities_file())


def learned(domain: Domain, *, executor: Executor | None = None) -> Learned:
    """The compounds as points in the space of a model's domain, to find those that are nearest to a crystal."""
    from phonolyte.models.nearest import Learned

    found = crystals().crystals
    table, _ = featurize(found, executor=executor)
    of_name = {crystal.material_id: crystal for crystal in found}
    kept = [of_name[name] for name in table.index]
    centers = np.array([float(crystal.properties["band_center_mev"]) for crystal in kept])
    return Learned.of(domain, table, [crystal.formula for crystal in kept], centers)
