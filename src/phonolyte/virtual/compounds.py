"""Features of virtual compounds, as a model wants them: those of the built structure at its predicted volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from phonolyte.arrays import Flags, Floats, Ints
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
    def from_parent(cls, parent: Parent, model: BandCenterModel) -> Self:
        """Prepare the features that a model needs.

        Raises
        ------
        ModelError
            When it needs a volume, and cannot predict one.
        """
        if "modes" in model.set_names:
            raise ModelError(
                "the model needs relaxed crystals", why="virtual compounds are not relaxed",
                fix="Choose --model virtual, physical or study.",
            )  # fmt: skip
        magpie = ParentFeatures.from_parent(parent)
        if "physical" not in model.set_names:
            return cls(parent, model.set_names, magpie)
        if model.cells is None:
            raise ModelError(
                "the model cannot predict volumes",
                why="it did not learn from ordered crystals",
                fix="Train it on crystals, or choose a model that comes with Phonolyte.",
            )
        volume = VolumeOfParent.from_parent(parent, model.cells.volumes)
        return cls(parent, model.set_names, magpie, PhysicalOfParent.from_parent(parent), volume)

    def volume_a3(self, numbers: Ints) -> Floats | None:
        """Predicted volume an atom (n,) of compounds (n, s); None for a model that does not know volumes."""
        return None if self.volume is None else self.volume(numbers)

    def __call__(self, numbers: Ints, volume_a3: Floats | None = None) -> tuple[Floats, Flags]:
        """Features of compounds.

        Parameters
        ----------
        numbers
            Atomic numbers (n, s) on the slots.
        volume_a3
            Their volumes an atom (n,), as :meth:`volume_a3` gives them; default: they are predicted.

        Returns
        -------
        tuple
            Features (n, m), and which compounds have all of them (n,).
        """
        volume_a3 = self.volume_a3(numbers) if volume_a3 is None else volume_a3
        parts: dict[str, Callable[[], Floats]] = {
            "magpie": lambda: self.magpie(numbers),
            "elements": lambda: self.parent.fractions(numbers)[:, 1:],
            "physical": lambda: self._physical(numbers, volume_a3),
        }
        values = np.hstack([parts[name]() for name in self.set_names])
        usable = np.isfinite(values[:, 0]) if self.physical else np.ones(len(values), dtype=bool)
        return values, usable

    def _physical(self, numbers: Ints, volume_a3: Floats | None) -> Floats:
        assert self.physical is not None
        assert volume_a3 is not None
        crystal = self.parent.crystal
        return self.physical(numbers, (volume_a3 * len(crystal) / crystal.volume_a3) ** (1.0 / 3.0))
