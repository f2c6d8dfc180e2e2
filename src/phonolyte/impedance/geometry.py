"""Size of a pellet between two electrodes: from resistances to conductivities, and from columns per area or length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from phonolyte.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size of a pellet between two electrodes.

    Attributes
    ----------
    thickness_cm, area_cm2
        Thickness of the pellet and area of the electrodes.
    thickness_std_cm, area_std_cm2
        Their standard deviations, zero where they are not known.
    """

    thickness_cm: float
    area_cm2: float
    thickness_std_cm: float = 0.0
    area_std_cm2: float = 0.0

    @classmethod
    def from_mm(
        cls,
        thickness_mm: float,
        *,
        diameter_mm: float | None = None,
        area_cm2: float | None = None,
        thickness_std_mm: float = 0.0,
        diameter_std_mm: float = 0.0,
    ) -> Self:
        """Geometry from what a calliper measures.

        Raises
        ------
        SettingsError
            Without an area or with two, and for lengths that are not above zero.
        """
        if (diameter_mm is None) == (area_cm2 is None):
            both = "is given twice" if area_cm2 is not None else "is missing"
            raise SettingsError(f"the area of the pellet {both}", fix="Give one of --diameter-mm and --area-cm2.")
        for name, value in (("thickness", thickness_mm), ("diameter", diameter_mm), ("area", area_cm2)):
            if value is not None and not 0 < value < np.inf:
                raise SettingsError(f"the {name} is {value}", fix="Give a number above zero.")
        for name, value in (("thickness", thickness_std_mm), ("diameter", diameter_std_mm)):
            if not 0 <= value < np.inf:
                raise SettingsError(f"the deviation of the {name} is {value}", fix="Give none, or one above zero.")
        area = area_cm2 if area_cm2 is not None else np.pi * ((diameter_mm or 0.0) / 20) ** 2
        spread = 2 * diameter_std_mm / diameter_mm * area if diameter_mm else 0.0
        return cls(thickness_mm / 10, float(area), thickness_std_mm / 10, float(spread))

    @property
    def constant_per_cm(self) -> float:
        """Thickness over area, 1/cm."""
        return self.thickness_cm / self.area_cm2

    @property
    def relative_std(self) -> float:
        """Standard deviation of thickness over area, as a share of it."""
        return float(np.hypot(self.thickness_std_cm / self.thickness_cm, self.area_std_cm2 / self.area_cm2))

    def conductivity_s_cm(self, ohm: float) -> float:
        """Conductivity of a resistance, S/cm; NaN for what is not one, which is not above zero."""
        return self.constant_per_cm / ohm if ohm > 0 else float("nan")
