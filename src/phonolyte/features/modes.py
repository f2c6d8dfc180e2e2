"""Modes of a relaxed crystal in a small supercell, which an engine has computed, as a feature set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import StructureError
from phonolyte.structures import Crystal

MODES = ("mode_mean_mev", "mode_rms_mev", "mode_atoms")
"""Columns, and properties of a crystal: mean and root mean square of its modes, and the atoms of the supercell."""


@dataclass(frozen=True, slots=True)
class Modes:
    """What :func:`phonolyte.relaxation.relax_crystals` leaves among the properties of a crystal."""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(MODES)

    def check(self, crystal: Crystal) -> None:
        """Refuse a crystal without modes.

        Raises
        ------
        StructureError
            Says which option computes them.
        """
        values = [_number(crystal.properties, name) for name in MODES]
        if not np.isfinite(values).all():
            raise StructureError(
                f"the modes of {crystal.material_id} are not known",
                why="the model of relaxed cells needs them",
                fix="Screen with --relax-with ENGINE, or with another model.",
                kind="NoModes",
            )

    def values(self, ordered: Crystal, crystal: Crystal) -> Floats:
        """Columns (3,) of a crystal."""
        return np.array([_number(crystal.properties, name) for name in MODES])


def _number(properties: Mapping[str, object], name: str) -> float:
    value = properties.get(name)
    return float(value) if isinstance(value, (int, float)) else np.nan
