"""Which cutoffs phonons need: a test that looks at the force of a small displacement, not at the energy.

The energy of a crystal may stand still to a fraction of a meV while the force that a displacement of 0.01 angstrom
makes, all that phonons are made of, is still off by a tenth. So the force is measured on a ladder of settings, each
against the highest, and the energy is shown beside it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.errors import SettingsError
from phonolyte.forces.engines import Engine

if TYPE_CHECKING:
    from ase import Atoms

DISPLACEMENT_A = 0.01


@dataclass(frozen=True, slots=True, order=True)
class Cutoffs:
    """One setting; they sort by what they cost: k points, then wave functions, then density.

    Attributes
    ----------
    fineness
        Inverse of the k spacing in angstrom: the finer, the dearer.
    ecutwfc_ry, ecutrho_ry
        Cutoffs of wave functions and density in rydberg.
    """

    fineness: float
    ecutwfc_ry: float
    ecutrho_ry: float

    @property
    def k_spacing_inv_a(self) -> float:
        """Distance between k points in 1/angstrom (with the factor 2 pi)."""
        return round(1 / self.fineness, 9)

    @property
    def options(self) -> dict[str, float]:
        """The options of the engine ``espresso`` that it stands for."""
        return {
            "ecutwfc_ry": self.ecutwfc_ry,
            "ecutrho_ry": self.ecutrho_ry,
            "k_spacing_inv_a": self.k_spacing_inv_a,
        }


@dataclass(frozen=True, slots=True)
class Ladder:
    """What is tried.

    Attributes
    ----------
    ecutwfc_ry
        Cutoffs of the wave functions in rydberg.
    ratios
        Density cutoffs over those of the wave functions.
    k_spacings_inv_a
        Distances between k points in 1/angstrom (with 2 pi). All cutoffs are tried with the widest, because what a
        cutoff does hardly depends on k points; the others with the lowest `ecutwfc_ry` and the highest ratio.
    """

    ecutwfc_ry: Annotated[tuple[float, ...], "Cutoff of the wave functions, Ry; repeat it."] = (40.0, 60.0, 80.0, 100.0)
    ratios: Annotated[tuple[float, ...], "Density cutoff over that; repeat it.", "--ratio"] = (4.0, 8.0, 12.0)
    k_spacings_inv_a: Annotated[
        tuple[float, ...], "Distance of k points, 1/angstrom; several are compared.", "--k-spacing-inv-a"
    ] = (0.5,)

    def __post_init__(self) -> None:
        for name, values in asdict(self).items():
            if not values or min(values) <= 0:
                raise SettingsError(f"{name} is {list(values)}", fix="Give positive numbers.")
        if len(self.cutoffs) < 2:
            raise SettingsError("one setting is not a ladder", fix="Give more than one cutoff or ratio.")
        if min(self.ratios) < 4:
            raise SettingsError(
                f"the density cutoff cannot be {min(self.ratios):g} times that of the wave functions",
                why="the density is their square, which takes 4",
                fix="Give ratios of 4 and more.",
            )

    @property
    def cutoffs(self) -> list[Cutoffs]:
        """The settings that differ in cutoffs, the cheapest first."""
        widest = max(self.k_spacings_inv_a)
        pairs = {(wfc, wfc * ratio) for wfc, ratio in product(self.ecutwfc_ry, self.ratios)}
        return sorted(Cutoffs(1 / widest, wfc, rho) for wfc, rho in pairs)

    @property
    def k_points(self) -> list[Cutoffs]:
        """The settings that differ in k points, the cheapest first; none when one spacing is given."""
        spacings = sorted(set(self.k_spacings_inv_a), reverse=True)
        wfc = min(self.ecutwfc_ry)
        return [Cutoffs(1 / spacing, wfc, wfc * max(self.ratios)) for spacing in spacings] if len(spacings) > 1 else []

    @property
    def n_settings(self) -> int:
        """Rows of the table."""
        return len(self.cutoffs) + len(self.k_points)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one setting gives.

    Attributes
    ----------
    energy_ev_atom
        Energy of the crystal at rest, eV per atom.
    forces_ev_a
        For each element, the force (3,) that the displacement of one of its atoms makes on that atom.
    seconds
        Wall time.
    """

    energy_ev_atom: float
    forces_ev_a: Mapping[str, Floats]
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: what one setting gives, against the highest that worked.

    Attributes
    ----------
    varies
        What differs between the settings that it is compared with, ``cutoffs`` or ``k_points``.
    ecutwfc_ry, ecutrho_ry
        Cutoffs of wave functions and density in rydberg.
    k_spacing_inv_a
        Distance between k points in 1/angstrom (with the factor 2 pi).
    force_ev_a
        Size of the force that a displacement makes.
    force_error
        Relative error of that force.
    element
        Element displaced, of those with the largest error.
    energy_ev_atom
        Energy of the crystal at rest.
    energy_error_mev_atom
        Its error.
    seconds
        Wall time.
    recommended
        Whether it is the cheapest from which on all errors stay within the tolerance.
    error
        What a setting that failed says; its numbers are NaN.
    """

    varies: str
    ecutwfc_ry: float
    ecutrho_ry: float
    k_spacing_inv_a: float
    force_ev_a: float = math.nan
    force_error: float = math.nan
    element: str = ""
    energy_ev_atom: float = math.nan
    energy_error_mev_atom: float = math.nan
    seconds: float = math.nan
    recommended: bool = False
    error: str = ""


def cutoff_table(
    atoms: Atoms,
    engine_at: Callable[[Cutoffs], Engine],
    ladder: Ladder | None = None,
    *,
    tolerance: float = 0.01,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Measure the force of a displacement of 0.01 angstrom on a ladder of settings.

    Parameters
    ----------
    atoms
        A crystal, best its primitive cell; a cell of one atom is doubled, because to move all atoms makes no force.
    engine_at
        The engine with a setting, such as ``lambda s: open_engine("espresso", pseudo_dir=folder, **s.options)``.
    ladder
        What is tried. Default: :class:`Ladder`.
    tolerance
        Largest relative error of the force that is recommended.
    progress
        Called with 1 after each setting.

    Returns
    -------
    pandas.DataFrame
        One row a setting, the cheapest first, with the attributes of :class:`Row` as columns. None is recommended
        where only the highest is within the tolerance.

    Raises
    ------
    SettingsError
        When the tolerance is not positive.
    """
    if not tolerance > 0:
        raise SettingsError(f"tolerance is {tolerance}", fix="Give a positive share, such as 0.01.")
    ladder = ladder or Ladder()
    cell = atoms.repeat((2, 1, 1)) if len(atoms) == 1 else atoms
    results: dict[Cutoffs, Measured | str] = {}
    rows: list[Row] = []
    for varies, settings in (("cutoffs", ladder.cutoffs), ("k_points", ladder.k_points)):
        for setting in settings:
            if setting not in results:
                results[setting] = _try(cell, engine_at, setting)
            if progress:
                progress(1)
        rows += _compare({setting: results[setting] for setting in settings}, tolerance, varies)
    return pd.DataFrame([asdict(row) for row in rows])


def _try(cell: Atoms, engine_at: Callable[[Cutoffs], Engine], setting: Cutoffs) -> Measured | str:
    """What a setting gives, or why it gives nothing."""
    try:
        return _measure(cell, engine_at(setting))
    except Exception as error:  # a foreign engine can raise anything, and the ladder goes on
        return str(error) or type(error).__name__


def _measure(cell: Atoms, engine: Engine) -> Measured:
    start = time.perf_counter()
    (at_rest,) = engine.forces([cell])
    energy = float(engine.calculator.get_potential_energy(cell)) / len(cell)
    forces = {}
    for element in sorted(set(cell.symbols)):
        atom = cell.get_chemical_symbols().index(element)
        moved = cell.copy()
        moved.positions[atom, 0] += DISPLACEMENT_A
        (pushed,) = engine.forces([moved])
        forces[element] = pushed[atom] - at_rest[atom]
    return Measured(energy, forces, time.perf_counter() - start)


def _compare(results: Mapping[Cutoffs, Measured | str], tolerance: float, varies: str) -> list[Row]:
    """Rows of settings, the cheapest first, against the highest that worked."""
    best = next((result for result in reversed(list(results.values())) if isinstance(result, Measured)), None)
    rows = {setting: _row(varies, setting, result, best) for setting, result in results.items()}
    chosen = _recommend({setting: row.force_error for setting, row in rows.items()}, tolerance)
    return [replace(row, recommended=setting == chosen) for setting, row in rows.items()]


def _row(varies: str, setting: Cutoffs, result: Measured | str, best: Measured | None) -> Row:
    row = Row(varies, setting.ecutwfc_ry, setting.ecutrho_ry, setting.k_spacing_inv_a)
    if isinstance(result, str) or best is None:
        return replace(row, error=str(result))
    errors = {
        element: float(np.linalg.norm(force - best.forces_ev_a[element]) / np.linalg.norm(best.forces_ev_a[element]))
        for element, force in result.forces_ev_a.items()
    }
    worst = max(errors, key=errors.__getitem__)
    return replace(
        row,
        force_ev_a=float(np.linalg.norm(result.forces_ev_a[worst])),
        force_error=errors[worst],
        element=worst,
        energy_ev_atom=result.energy_ev_atom,
        energy_error_mev_atom=1000 * (result.energy_ev_atom - best.energy_ev_atom),
        seconds=result.seconds,
    )


def _recommend(errors: Mapping[Cutoffs, float], tolerance: float) -> Cutoffs | None:
    """The cheapest setting from which on all errors are within the tolerance: one alone may be so by chance.

    The highest is the reference, and proves nothing about itself.
    """
    worked = {setting: error for setting, error in errors.items() if error == error}
    for setting in list(worked)[:-1]:
        if all(error <= tolerance for other, error in worked.items() if _reaches(other, setting)):
            return setting
    return None


def _reaches(cutoffs: Cutoffs, other: Cutoffs) -> bool:
    return all(mine >= its for mine, its in zip(astuple(cutoffs), astuple(other), strict=True))
