"""Percolation of the mobile ion through its bond-valence site energies: a fraction of a second a crystal, no engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from scipy.ndimage import minimum_filter

from phonolyte.arrays import Floats
from phonolyte.errors import SettingsError, StructureError
from phonolyte.percolation.bond_valence import free_radii, site_energies
from phonolyte.percolation.framework import check_partners, framework_of
from phonolyte.percolation.thresholds import thresholds
from phonolyte.structures import Crystal
from phonolyte.structures.crystal import wrap
from phonolyte.structures.symmetry import primitive_crystal

if TYPE_CHECKING:
    from ase import Atoms

METHOD, ENGINE = "bvse", "softBV"
SITES = "Site energies"
"""Heading of the options of this method."""

HIGHEST_SITE_EV = 1.5
"""A minimum higher than this above the best site is not an interstitial site."""

MOST_ORBITS = 2
"""Kinds of interstitial sites that are looked at, the lowest first."""

ONE_SITE_A, OWN_SITE_A, FRAMEWORK_A = 1.0, 1.2, 1.5
"""Minima nearer than this to each other are one; nearer to a site of the ion, or another atom, they are not empty."""

JOINED_EV = 0.02
"""Barriers of more dimensions that are at most this far above the lowest are of the same network: what a grid of
0.2 angstrom leaves uncertain."""


@dataclass(frozen=True, slots=True)
class PercolationSettings:
    """How percolation is estimated.

    Attributes
    ----------
    resolution_a
        Distance between the points of the grid in angstrom. From 0.2 to 0.1 barriers fall by 0.03 eV at most.
    cutoff_a
        How far ions are felt, in angstrom.
    highest_ev
        Barriers above this are taken as none.
    limit_atoms
        Cells with more atoms than this are refused: the time grows with the volume squared.
    """

    resolution_a: Annotated[float, "Distance of grid points, angstrom.", SITES] = 0.2
    cutoff_a: Annotated[float, "Distance at which ions are felt, angstrom.", SITES] = 10.0
    highest_ev: Annotated[float, "Barriers above this are taken as none, eV.", SITES] = 5.0
    limit_atoms: Annotated[int, "Largest number of atoms in a primitive cell.", SITES] = 200

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise SettingsError(f"{name} is {value}", fix="Give a positive number.")


COARSE = PercolationSettings(resolution_a=0.3, cutoff_a=8.0)
"""Grid for screens: a quarter of the time, barriers within 0.02 eV (median) and 0.09 eV (95 %) of the default's."""


@dataclass(frozen=True, slots=True, eq=False)
class Percolation:
    """What bond-valence site energies say of the paths of an ion.

    Attributes
    ----------
    crystal
        The reduced primitive cell that was used.
    ion, charge
        The mobile ion.
    barriers_ev
        Energy above the best site at which its sites join into a path in one, two and three dimensions; infinite when
        they do not below the highest.
    radii_a
        Radius of the largest sphere that passes between the ionic spheres of the framework in one, two and three
        dimensions; None where ionic radii are unknown.
    oxidation
        Where the charges are from: ``"file"`` or ``"composition"``.
    states
        Oxidation state of each element, the mean where its ions have several.
    energies_ev
        On the periodic grid, (nx, ny, nz); the best site has zero.
    seconds
        Wall time.
    """

    crystal: Crystal
    ion: str
    charge: int
    barriers_ev: tuple[float, float, float]
    radii_a: tuple[float, float, float] | None
    oxidation: str
    states: Mapping[str, float]
    energies_ev: Floats = field(repr=False)
    seconds: float

    @property
    def barrier_ev(self) -> float:
        """The lowest energy at which there is a path through the crystal."""
        return self.barriers_ev[0]

    @property
    def dimensions(self) -> int:
        """In how many dimensions the ion moves at that energy; 0 where it does not."""
        return sum(barrier <= self.barrier_ev + JOINED_EV < np.inf for barrier in self.barriers_ev)

    @property
    def mean_charges(self) -> str:
        """Elements whose ions have several charges, with the mean: ``"Fe +2.67"``; empty where none has."""
        mean = {symbol: state for symbol, state in self.states.items() if not float(state).is_integer()}
        return ", ".join(f"{symbol} {state:+.3g}" for symbol, state in mean.items())

    def row(self) -> dict[str, Any]:
        """What a table shows of it; a barrier above the highest is empty."""
        barriers = [barrier if np.isfinite(barrier) else np.nan for barrier in self.barriers_ev]
        radii = self.radii_a or (np.nan, np.nan, np.nan)
        return {
            "material_id": self.crystal.material_id,
            "formula": self.crystal.formula,
            "method": METHOD,
            "engine": ENGINE,
            "ion": self.ion,
            "ion_charge": self.charge,
            "barrier_ev": barriers[0],
            "dimensions": self.dimensions,
            **{f"barrier_{n}d_ev": barrier for n, barrier in enumerate(barriers, 1)},
            **{f"radius_{n}d_a": radius for n, radius in enumerate(radii, 1)},
            "oxidation": self.oxidation,
            "mean_charges": self.mean_charges,
            "n_atoms": len(self.crystal),
            "seconds": self.seconds,
        }


def compute_percolation(
    crystal: Crystal, ion: str, settings: PercolationSettings | None = None, *, primitive: bool = False
) -> Percolation:
    """Estimate the percolation of an ion through a crystal from its bond-valence site energies.

    The energies are those of :mod:`phonolyte.percolation.bond_valence`: the other mobile ions are left out, so that the
    ion may go wherever the framework lets it. The levels at which they percolate are exact on the grid. The framework
    of a disordered crystal is its average: every ion counts by its occupancy.

    Parameters
    ----------
    crystal
        Ordered or disordered.
    ion
        Symbol of the mobile element.
    settings
        The defaults unless given.
    primitive
        Whether the cell is primitive already: it is then only reduced, and its origin stays where it is.

    Raises
    ------
    StructureError
        Without the ion, without charges that balance, without parameters for the ions, for a cell that is too large.
    """
    settings = settings or PercolationSettings()
    start = time.perf_counter()
    check_partners(crystal, ion)
    cell = _niggli(crystal) if primitive else reduce_cell(crystal)
    if len(cell) > settings.limit_atoms:
        raise StructureError(
            f"the primitive cell of {crystal.material_id} has {len(cell)} atoms",
            why=f"the limit is {settings.limit_atoms}",
            fix="Raise the limit of atoms, and allow minutes.",
            kind="TooLarge",
        )
    framework, charge, states, source = framework_of(cell, ion)
    nx, ny, nz = np.ceil(np.linalg.norm(cell.lattice, axis=1) / settings.resolution_a).astype(int).tolist()
    shape = (nx, ny, nz)
    energies = site_energies(framework, (ion, charge), shape, settings.cutoff_a)
    energies -= energies.min()
    room = free_radii(framework, shape)
    in_1d, in_2d, in_3d = thresholds(energies, settings.highest_ev)
    return Percolation(
        crystal=cell,
        ion=ion,
        charge=charge,
        barriers_ev=(float(in_1d), float(in_2d), float(in_3d)),
        radii_a=None if room is None else _radii(room),
        oxidation=source,
        states=states,
        energies_ev=energies,
        seconds=time.perf_counter() - start,
    )


def empty_sites(cell: Atoms, ion: str, settings: PercolationSettings | None = None) -> Floats:
    """Interstitial sites of an ion: minima of its bond-valence site energies where no atom is.

    Parameters
    ----------
    cell
        A primitive cell.
    ion
        Symbol of the mobile element.
    settings
        Settings of the grid; default: those of :class:`PercolationSettings`.

    Returns
    -------
    numpy.ndarray
        Fractional coordinates (n, 3) in the cell, all that symmetry makes of the lowest minima.

    Raises
    ------
    StructureError
        As :func:`compute_percolation` does, and where there is no such minimum.
    """
    percolation = compute_percolation(Crystal.from_ase(cell), ion, settings, primitive=True)
    energies = percolation.energies_ev
    lowest = energies == minimum_filter(energies, size=3, mode="wrap")
    places = np.argwhere(lowest & (energies < HIGHEST_SITE_EV)) / energies.shape
    order = np.argsort(energies[tuple((places * energies.shape).round().astype(int).T)])
    sites: list[Floats] = []
    orbits = 0
    for place in places[order] @ percolation.crystal.lattice @ np.linalg.inv(cell.cell.array):
        orbit = _orbit(cell, place)
        if orbits < MOST_ORBITS and _is_empty(cell, orbit, ion) and not _meets(cell, orbit, sites):
            sites.extend(orbit)
            orbits += 1
    if not sites:
        raise StructureError(
            f"{ion} has no interstitial site in {cell.symbols.formula}",
            why="no minimum of its site energies is free",
            fix="Take the vacancy as the carrier.",
            kind="NoInterstitial",
        )
    return np.array(sites)


def _orbit(cell: Atoms, place: Floats) -> list[Floats]:
    """All places that symmetry makes of one; those that are nearer to each other than a grid can resolve are one."""
    import spglib

    symmetry = spglib.get_symmetry((cell.cell.array, cell.get_scaled_positions(), cell.numbers), symprec=1e-2)
    images = np.array([r @ place + t for r, t in zip(symmetry["rotations"], symmetry["translations"], strict=True)])
    orbit: list[Floats] = []
    for image in images:
        apart = images - image
        near = apart - np.rint(apart)
        middle = image + near[np.linalg.norm(near @ cell.cell.array, axis=1) < ONE_SITE_A].mean(axis=0)
        if not _meets(cell, [middle], orbit):
            orbit.append(middle % 1.0)
    return orbit


def _meets(cell: Atoms, places: Sequence[Floats], others: Sequence[Floats]) -> bool:
    if not others:
        return False
    apart = np.array(places)[:, None] - np.array(others)[None]
    return bool((np.linalg.norm((apart - np.rint(apart)) @ cell.cell.array, axis=-1) < ONE_SITE_A / 2).any())


def _is_empty(cell: Atoms, places: Sequence[Floats], ion: str) -> bool:
    apart = np.array(places)[:, None] - cell.get_scaled_positions()[None]
    distances = np.linalg.norm((apart - np.rint(apart)) @ cell.cell.array, axis=-1)
    return bool((distances > np.where(cell.symbols == ion, OWN_SITE_A, FRAMEWORK_A)).all())


def reduce_cell(crystal: Crystal) -> Crystal:
    """The primitive cell in Niggli's form; of a disordered crystal that of its average."""
    return _niggli(primitive_crystal(crystal))


def _niggli(crystal: Crystal) -> Crystal:
    """The same cell in Niggli's form, whose edges are short: the grid is as even as it can be."""
    import spglib

    niggli = spglib.niggli_reduce(crystal.lattice)
    if niggli is None:
        return crystal
    coords = crystal.frac_coords @ crystal.lattice @ np.linalg.inv(niggli)
    return replace(crystal, lattice=niggli, frac_coords=wrap(coords))


def _radii(room: Floats) -> tuple[float, float, float]:
    """Radii of the largest spheres that pass in one, two and three dimensions; 0 where none does."""
    in_1d, in_2d, in_3d = (max(-level, 0.0) for level in thresholds(-room, 0.0).tolist())
    return in_1d, in_2d, in_3d
