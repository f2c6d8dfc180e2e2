"""Paths of hops as lists of images: the first guess, and their files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.barriers.ends import Ends
from phonolyte.barriers.hops import Hop
from phonolyte.errors import MigrationError
from phonolyte.runs.records import in_one_step

if TYPE_CHECKING:
    from ase import Atoms


SAME_CELL_A = 0.05
"""Cells whose vectors differ by less, angstrom, are one: numbers in files are rounded."""


def write_path(images: Sequence[Atoms], file: Path, info: Mapping[str, str] | None = None) -> None:
    """Write a path as extended XYZ, energies and forces with it, in one step."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frozen = []
    for image in images:
        still = image.copy()
        still.info.update(info or {})
        if image.calc is not None and image.calc.results:
            known = {name: image.calc.results[name] for name in ("energy", "forces") if name in image.calc.results}
            still.calc = SinglePointCalculator(still, **known)
        frozen.append(still)
    with in_one_step(file) as partial:
        write(partial, frozen, format="extxyz")


def read_path(file: Path) -> list[Atoms]:
    """Read a path that :func:`write_path` or anything else wrote.

    Raises
    ------
    MigrationError
        When there is none in the file.
    """
    from ase.io import read

    try:
        images = read(file, index=":")
    except Exception as error:  # ASE's readers can raise anything
        raise MigrationError(f"{file} has no path", why=str(error), fix="Give the images as extended XYZ.") from None
    return list(images)


def lengths_a(images: Sequence[Atoms]) -> Floats:
    """How far each image is along the path in angstrom, all atoms counted, (n,)."""
    steps = [np.linalg.norm(after.positions - before.positions) for before, after in pairwise(images)]
    return np.concatenate(([0.0], np.cumsum(steps)))


def first_path(hop: Hop, ends: Ends, n_images: int, files: Mapping[str, str]) -> list[Atoms]:
    """A path between the ends: as given, else from image-dependent pair potentials (10.1063/1.4878664).

    Raises
    ------
    MigrationError
        When the straight line goes through an atom, and no path is given, or a given one has other atoms or another
        cell than the ends.
    """
    from ase.mep.neb import idpp_interpolate, interpolate

    file = files.get(hop.name)
    if file is not None:
        given = [ends.start.copy(), *read_path(Path(file).expanduser())[1:-1], ends.end.copy()]
        check_atoms(given, ends)
        _check_cells(given, ends, file)
        put_into_one_cell(given, ends)
        return given
    if hop.crosses:
        raise MigrationError(
            f"{hop.name} crosses an atom",
            why=f"{hop.nearest} is {hop.clearance_a:.2f} angstrom off the straight line",
            fix=f"Give a path around it: --path {hop.name}=FILE.",
            kind="CrossesAtom",
        )
    images = [ends.start.copy(), *(ends.start.copy() for _ in range(n_images)), ends.end.copy()]
    interpolate(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tangents, which pair potentials do not mind
        idpp_interpolate(images, traj=None, log=None, fmax=0.1)
    return images


def check_atoms(images: Sequence[Atoms], ends: Ends) -> None:
    """Refuse a path with other atoms than its ends, or without an image between them."""
    for image in images:
        if len(image) != len(ends.start) or (image.numbers != ends.start.numbers).any():
            raise MigrationError(
                "the path has other atoms than the ends",
                why=f"{image.symbols.formula} beside {ends.start.symbols.formula}",
                fix="Give images with the atoms of the supercell with its vacancy, in their order.",
                kind="OtherAtoms",
            )
    if len(images) < 3:
        raise MigrationError("the path has no image between its ends", fix="Give one at least.", kind="NoImages")


def _check_cells(images: Sequence[Atoms], ends: Ends, file: str) -> None:
    """Refuse images of another cell than that of the ends; a file without cells has none of its own."""
    cell = ends.start.cell.array
    for image in images:
        if image.cell.rank == 3 and np.abs(image.cell.array - cell).max() > SAME_CELL_A:
            raise MigrationError(
                f"the cell of an image in {file} is not that of the ends",
                why=f"edges of {_write_edges(image)} beside {_write_edges(ends.start)} angstrom",
                fix="Give images in the supercell of the hop, as start.xyz has it.",
                kind="OtherCell",
            )


def _write_edges(atoms: Atoms) -> str:
    return ", ".join(f"{edge:.2f}" for edge in atoms.cell.lengths())


def put_into_one_cell(images: Sequence[Atoms], ends: Ends) -> None:
    """Give images that were read the cell of the ends, and let no atom jump over a border from one to the next."""
    cell = ends.start.cell.array
    before = ends.start.positions
    for image in images:
        image.set_cell(cell)
        image.pbc = True
        steps = (image.positions - before) @ np.linalg.inv(cell)
        image.positions -= np.rint(steps) @ cell
        before = image.positions
