"""The phonons of the NCrystal library: a density of states of each element in about 100 compounds, in the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.dos import PhononDos
from phonolyte.errors import MissingExtraError, SourceError
from phonolyte.sources.entry import Entry, Page
from phonolyte.sources.registry import RegisteredSource
from phonolyte.structures import Crystal

STEP_MEV = 0.05
"""Step of the common grid onto which the curves of a compound are put, meV."""

STATES = 3.0
"""States an atom has: one in each direction."""


@dataclass(frozen=True, slots=True)
class NCrystal(RegisteredSource):
    """The library of NCrystal; compounds whose every element has a phonon curve."""

    name: ClassVar[str] = "ncrystal"
    online: ClassVar[bool] = False
    phonons: ClassVar[bool] = True

    @property
    def question(self) -> Mapping[str, Any]:
        """None: the library is one."""
        return {}

    def version(self) -> str:
        """Version of the package that brings the data."""
        return str(_library().__version__)

    def pages(self, after: str) -> Iterator[Page]:
        """All compounds on one page."""
        files = sorted((str(file.name), file) for file in _library().browseFiles(factory="stdlib"))
        items = [(name.removesuffix(".ncmat"), file.fullKey) for name, file in files]
        yield Page.from_items(items, _read, source="NCrystal").as_whole()


def _library() -> Any:
    try:
        import NCrystal
    except ImportError:
        raise MissingExtraError("NCrystal is not installed", fix="pip install 'phonolyte[ncrystal]'") from None
    return NCrystal


def _read(name: str, key: str) -> Entry:
    """A material of the library.

    Raises
    ------
    SourceError
        When it is not a crystal with a phonon curve of each element.
    StructureError
        When its atoms cannot be used.
    """
    library = _library()
    info = library.createInfo(key)
    if not (info.isSinglePhase() and info.hasStructureInfo() and info.hasAtomInfo()):
        raise SourceError("not a crystal", why="the library has no cell of it", kind="NotPeriodic")
    missing = [
        f"{dynamics.atomData.displayLabel()} by {type(dynamics).__name__.removeprefix('DI_')}"
        for dynamics in info.dyninfos
        if not isinstance(dynamics, library.Info.DI_VDOS)
    ]
    if missing:
        raise SourceError("not every element has a phonon curve", why=", ".join(missing), kind="NoPhonons")
    crystal = _crystal(info, name)
    space_group = info.structure_info["spacegroup"] or None
    return Entry.from_crystal(crystal, {"space_group_number": space_group}, dos=_dos(info, crystal))


def _crystal(info: Any, name: str) -> Crystal:
    from ase.geometry import cellpar_to_cell

    cell = info.structure_info
    lattice = cellpar_to_cell([cell[key] for key in ("a", "b", "c", "alpha", "beta", "gamma")])
    sites = [(_element(atom.atomData), position) for atom in info.atominfos for position in atom.positions]
    return Crystal.from_arrays(
        name, lattice, [symbol for symbol, _ in sites], np.array([position for _, position in sites]),
        source="NCrystal",
    )  # fmt: skip


def _element(atom: Any) -> str:
    """Symbol of an element in its natural mixture of isotopes.

    Raises
    ------
    SourceError
        For isotopes and mixtures, which have other masses.
    """
    if not atom.isNaturalElement():
        raise SourceError(
            f"{atom.displayLabel()} is not a natural element", why="phonons depend on the mass", kind="UnknownElement"
        )
    return str(atom.elementName())


def _dos(info: Any, crystal: Crystal) -> PhononDos:
    """The curves of all elements on one grid, each with three states for each of its atoms, and their sum."""
    curves = {_element(dynamics.atomData): _curve(dynamics) for dynamics in info.dyninfos}
    highest = max(energies[-1] for energies, _ in curves.values())
    grid = np.arange(0.0, highest + 2 * STEP_MEV, STEP_MEV)
    per_element = {}
    for symbol, (energies, density) in curves.items():
        values = np.interp(grid, energies, density, right=0.0)
        start = energies[0]
        below = grid < start
        values[below] = density[0] * (grid[below] / start) ** 2  # as sound waves have it
        count = crystal.symbols.count(symbol)
        per_element[symbol] = values * (STATES * count / np.trapezoid(values, grid))
    return PhononDos(grid, np.sum([*per_element.values()], axis=0), per_element, n_atoms=len(crystal))


def _curve(dynamics: Any) -> tuple[Floats, Floats]:
    """Energies (n,) in meV and density (n,) of one element, as the library has them."""
    ends, density = dynamics.vdosOrigEgrid(), np.asarray(dynamics.vdosOrigDensity(), float)
    energies = np.linspace(ends[0], ends[1], len(density)) if len(ends) == 2 else np.asarray(ends, float)
    return energies * 1000.0, density
