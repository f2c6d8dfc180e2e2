"""Features of virtual compounds, as a model wants them: those of the built structure at its predicted volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
from phonolyte.chemistry.elements import SYMBOLS
from phonolyte.errors import ModelError
from phonolyte.models import BandCenterModel
from phonolyte.virtual.features import ParentFeatures
from phonolyte.virtual.parents import Parent
from phonolyte.virtual.physical import PhysicalOfParent
from phonolyte.virtual.volumes import VolumeOfParent


@dataclass(frozen=True, slots=True, eq=False)
class CompoundFeatures:
    """Features of the compounds of one parent.

    Attributes
    ----------
    parent
        With s slots.
    set_names
        Feature sets, in their order.
    magpie
        Magpie's features.
    physical, volume
        Physical columns, and the volume at which they are taken; None for a model that does not know volumes.
    """

    parent: Parent
    set_names: tuple[str, ...]
    magpie: ParentFeatures
    physical: PhysicalOfParent | None = None
    volume: VolumeOfParent | None = None

    @classmethod
    def of(cls, parent: Parent, model: BandCenterModel) -> Self:
        """Prepare the features that a model needs.

        Raises
        ------
        ModelError
            When it needs a volume, and cannot predict one.
        """
        magpie = ParentFeatures.of(parent)
        if "physical" not in model.set_names:
            return cls(parent, model.set_names, magpie)
        if model.cells is None:
            raise ModelError(
                "the model cannot predict volumes",
                why="it did not learn from ordered crystals",
                fix="Train it on crystals, or choose a model that comes with Phonolyte.",
            )
        volume = VolumeOfParent.of(parent, model.cells.volumes)
        return cls(parent, model.set_names, magpie, PhysicalOfParent.of(parent), volume)

    def __call__(self, numbers: Ints) -> tuple[Floats, Flags]:
        """Features (n, m) of n compounds with atomic numbers (n, s) on the slots, and which of them have all (n,)."""
        parts: dict[str, Callable[[Ints], Floats]] = {
            "magpie": self.magpie, "elements": self._fractions, "physical": self._physical,
        }  # fmt: skip
        values = np.hstack([parts[name](numbers) for name in self.set_names])
        usable = np.isfinite(values[:, 0]) if self.physical else np.ones(len(values), dtype=bool)
        return values, usable

    def _physical(self, numbers: Ints) -> Floats:
        assert self.physical is not None
        assert self.volume is not None
        crystal = self.parent.crystal
        scale = (self.volume(numbers) * len(crystal) / crystal.volume_a3) ** (1.0 / 3.0)
        return self.physical(numbers, scale)

    def _fractions(self, numbers: Ints) -> Floats:
        fractions = np.zeros((len(numbers), len(SYMBOLS) - 1))
        rows, share = np.arange(len(numbers)), self.parent.counts / self.parent.counts.sum()
        for slot in range(numbers.shape[1]):
            fractions[rows, numbers[:, slot] - 1] += share[slot]
        return fractions
