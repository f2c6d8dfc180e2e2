"""The phonon density of states as a value, its band centers, and whether it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.errors import DosError
from phonolyte.notebooks import Shown

STILL_HIGH = 0.01
"""A grid that ends where the density exceeds this share of its maximum ends too early."""

FEWEST_STATES = 2.85
"""States per atom below which modes are missing; a whole spectrum has 3 (5 % for smearing and coarse grids)."""

RIPPLE = 0.02
"""Negative densities down to this share of the maximum are ripples of a smearing, and are set to zero."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PhononDos(Shown):
    """A phonon density of states.

    Attributes
    ----------
    energies_mev
        (n,) phonon energies in meV, increasing; imaginary modes are negative.
    total
        (n,) density in states per meV. Only its shape enters the band center; a whole density that is
        normalized to its crystal integrates to 3 states an atom.
    per_element
        Element symbol -> (n,) density of its atoms.
    n_atoms
        Number of atoms the density is normalized to, None where the source does not report it.
    highest_bond_mode_mev
        Estimate of the highest mode from the bonds of the crystal, None without a structure.
    material_id, formula
        Whose it is.

    Raises
    ------
    DosError
        When the axis does not increase, the lengths differ, values are not finite or clearly negative, or
        there is no density at positive energies.
    """

    energies_mev: Floats
    total: Floats
    per_element: Mapping[str, Floats] = field(default_factory=dict)
    n_atoms: float | None = None
    highest_bond_mode_mev: float | None = None
    material_id: str = ""
    formula: str = ""

    def _facts(self) -> dict[str, object]:
        return {
            "name": self.material_id, "formula": self.formula, "energies": len(self.energies_mev),
            "up to": f"{self.energies_mev[-1]:.1f} meV", "elements": ", ".join(self.per_element),
            "band center": f"{self.band_center_mev:.1f} meV", "imaginary": f"{self.imaginary_share:.1%}",
        }  # fmt: skip

    def __post_init__(self) -> None:
        name = self.material_id or "the phonon DOS"
        energies = _vector(self.energies_mev, f"the energies of {name}")
        if len(energies) < 3:
            raise DosError(f"{name} has {len(energies)} points", fix="Give at least three.")
        if (np.diff(energies) <= 0).any():
            at = int(np.argmax(np.diff(energies) <= 0))
            raise DosError(
                f"the energies of {name} do not increase",
                why=f"point {at + 2} is not above point {at + 1}",
                fix="Sort the file, or give one DOS at a time.",
            )
        object.__setattr__(self, "energies_mev", energies)
        object.__setattr__(self, "total", _density(self.total, energies, name))
        parts = {s: _density(g, energies, f"{s} in {name}", total=self.total) for s, g in self.per_element.items()}
        object.__setattr__(self, "per_element", parts)
        if not _moment(energies, self.total, 0) > 0.0:
            raise DosError(
                f"{name} has no density at positive energies",
                why="it is zero everywhere" if not self.total.any() else "all of it is imaginary",
                fix="Check the columns and the calculation.",
            )

    @property
    def band_center_mev(self) -> float:
        """Total phonon band center in meV: integral of w g(w) over integral of g(w), trapezoid, w >= 0.

        Equation (1) of 10.1155/2024/2138847. Where the grid steps over zero, g is interpolated there.
        """
        return _center(self.energies_mev, self.total)

    @property
    def element_centers_mev(self) -> dict[str, float]:
        """Band center of each element in meV; elements without density at positive energies are left out."""
        parts = {s: g for s, g in self.per_element.items() if _moment(self.energies_mev, g, 0) > 0.0}
        return {symbol: _center(self.energies_mev, density) for symbol, density in parts.items()}

    @property
    def imaginary_share(self) -> float:
        """Share of the states at w < 0, between 0 and 1."""
        positive = _moment(self.energies_mev, self.total, 0)
        negative = _moment(-self.energies_mev[::-1], self.total[::-1], 0)
        return negative / (negative + positive)

    @property
    def states_per_atom(self) -> float | None:
        """Integral of the density per atom, 3 for a whole spectrum; None without a known normalization."""
        if self.n_atoms is None:
            return None
        return float(np.trapezoid(self.total, self.energies_mev)) / self.n_atoms

    @property
    def cut_reason(self) -> str:
        """Why the DOS is taken to end before the spectrum does; empty when it is whole."""
        end, states = float(self.energies_mev[-1]), self.states_per_atom
        height = self.total[-1] / self.total.max()
        if height > STILL_HIGH:
            return f"the grid ends at {end:.4g} meV, where the density is {height:.0%} of its maximum"
        if states is not None:
            return f"{states:.2f} states per atom instead of 3" if states < FEWEST_STATES else ""
        if self.highest_bond_mode_mev is not None and self.highest_bond_mode_mev > end:
            return f"the grid ends at {end:.4g} meV, and bonds vibrate up to about {self.highest_bond_mode_mev:.0f} meV"
        return ""

    @property
    def is_cut(self) -> bool:
        """Whether the DOS ends before the spectrum does, so that its center is too low."""
        return bool(self.cut_reason)

    def row(self) -> dict[str, Any]:
        """What a table of band centers shows of it."""
        return {
            "material_id": self.material_id,
            "formula": self.formula,
            "band_center_mev": self.band_center_mev,
            **{f"{symbol}_center_mev": center for symbol, center in self.element_centers_mev.items()},
            "imaginary_share": self.imaginary_share,
            "is_cut": self.is_cut,
            "cut_reason": self.cut_reason,
        }


def _center(energies: Floats, density: Floats) -> float:
    return _moment(energies, density, 1) / _moment(energies, density, 0)


def _moment(energies: Floats, density: Floats, power: int) -> float:
    """Trapezoid integral of w^power g(w) over w >= 0."""
    positive = energies >= 0.0
    w, g = energies[positive], density[positive]
    if len(w) and w[0] > 0.0 and not positive[0]:
        w = np.concatenate(([0.0], w))
        g = np.concatenate(([np.interp(0.0, energies, density)], g))
    return float(np.trapezoid(w**power * g, w))


def _density(values: Any, energies: Floats, name: str, *, total: Floats | None = None) -> Floats:
    density = _vector(values, f"the density of {name}")
    if len(density) != len(energies):
        raise DosError(
            f"{name} has {len(energies)} energies but {len(density)} densities",
            fix="Give one density a point.",
        )
    largest = float((density if total is None else total).max())
    if density.min() < -RIPPLE * abs(largest):
        raise DosError(
            f"the density of {name} is negative",
            why=f"it falls to {density.min():.3g}, its maximum is {largest:.3g}",
            fix="Check that the columns are frequency and density.",
        )
    clipped = np.maximum(density, 0.0)
    clipped.flags.writeable = False
    return clipped


def _vector(values: Any, name: str) -> Floats:
    try:
        vector = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise DosError(f"{name} are not numbers", fix="Give a list of numbers.") from None
    if vector.ndim != 1:
        raise DosError(f"{name} have {vector.ndim} dimensions", fix="Give a list of numbers.")
    if not np.isfinite(vector).all():
        raise DosError(f"{name} hold NaN or infinity", fix="Repair the file.")
    vector.flags.writeable = False
    return vector
