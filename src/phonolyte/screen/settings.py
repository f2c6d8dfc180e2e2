"""Settings of a screen, as commands and files give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from phonolyte.errors import SettingsError
from phonolyte.screen.criteria import CRITERIA, Criteria


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """Criteria of a screen.

    Attributes
    ----------
    ion
        Mobile ion, an element symbol, or ``any``.
    max_center_mev
        Largest band center, meV.
    max_e_hull_ev
        Largest energy above the hull, eV/atom.
    min_gap_ev
        Smallest band gap, eV.
    without
        Names of criteria that are left out.
    """

    ion: Annotated[str, "Mobile ion: Li, Na, K, Mg, Ca, Zn, Ag, ... or any."] = "any"
    max_center_mev: Annotated[float, "Largest band center, meV."] = 40.0
    max_e_hull_ev: Annotated[float, "Largest energy above the hull, eV/atom."] = 0.05
    min_gap_ev: Annotated[float, "Smallest band gap, eV."] = 1.0
    without: Annotated[tuple[str, ...], f"Criterion to leave out: {', '.join(CRITERIA)}."] = ()

    @property
    def criteria(self) -> Criteria:
        """Criteria that these settings mean.

        Raises
        ------
        SettingsError
            For a criterion that does not exist, and values that make no sense.
        """
        unknown = set(self.without) - set(CRITERIA)
        if unknown:
            raise SettingsError(
                f"there is no criterion {sorted(unknown)[0]!r}", fix=f"Choose among {', '.join(CRITERIA)}."
            )
        return Criteria(
            ion=None if "ion" in self.without else self.ion,
            max_center_mev=None if "band_center" in self.without else self.max_center_mev,
            max_e_hull_ev=None if "e_hull" in self.without else self.max_e_hull_ev,
            min_gap_ev=None if "band_gap" in self.without else self.min_gap_ev,
            no_likely_metal="likely_metal" not in self.without,
            no_radioactive="stable_elements" not in self.without,
            unique="unique" not in self.without,
        )
