"""From a crystal to its phonons: relax, displace, force constants, density of states, verdict."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import permutations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints, Matrix
from phonolyte.dos import PhononDos, mev_per
from phonolyte.errors import MissingExtraError, PhononError, SettingsError
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

    from phonolyte.forces import Engine

MEV_PER_THZ = mev_per("THz")
BINS = 501
MOST = 8
"""Most multiples of an edge that are tried."""

SLACK_A = 0.1
"""A supercell this much shorter than asked for will do."""

WIDER = 1.4
"""How much wider the supercell is in which an interpolated instability is looked at again."""

MARGIN = 0.02
"""How far the grid of the density of states goes beyond the modes, as a share of their range."""


@dataclass(frozen=True, slots=True)
class PhononSettings:
    """How phonons are computed.

    Attributes
    ----------
    relax
        Whether the primitive cell is relaxed first, its symmetry kept.
    fmax_ev_a
        Largest force in eV/angstrom (and stress times volume per atom, in eV) of a relaxed cell.
    max_steps
        Of the relaxation.
    symprec_a
        Tolerance in angstrom within which symmetry is found.
    supercell
        Multiples of the primitive cell ((2, 2, 2) in the study), or None for the smallest that is `min_length_a` wide.
    min_length_a
        Least distance in angstrom between an atom and its images in the supercell.
    displacement_a
        In angstrom.
    mesh
        Three divisions ((25, 25, 25) in the study), or a length in angstrom: divisions of a reciprocal vector
        are that length times the vector.
    force_constants
        ``"finite"``: from the displacements, symmetrised and with the acoustic sum rule; ``"symfc"``: fitted in a
        symmetry-adapted basis.
    tolerance_mev
        A crystal is unstable when a mode lies lower than minus this.
    confirm
        Whether an instability that only the interpolation between the wave vectors of the supercell shows is looked at
        again in a supercell 1.4 times as wide; not where `supercell` is given.
    limit_s
        Seconds after which a crystal is given up; None for no limit.
    """

    relax: bool = True
    fmax_ev_a: float = 1e-3
    max_steps: int = 300
    symprec_a: float = 0.01
    supercell: tuple[int, int, int] | None = None
    min_length_a: float = 8.0
    displacement_a: float = 0.01
    mesh: tuple[int, int, int] | float = 100.0
    force_constants: Literal["finite", "symfc"] = "finite"
    tolerance_mev: float = 1.0
    confirm: bool = True
    limit_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("fmax_ev_a", "max_steps", "symprec_a", "min_length_a", "displacement_a", "tolerance_mev"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a positive number.")
        if self.force_constants not in ("finite", "symfc"):
            raise SettingsError(f"force_constants is {self.force_constants!r}", fix="Choose finite or symfc.")


@dataclass(frozen=True, slots=True, eq=False)
class PhononResult:
    """Phonons of one crystal.

    Attributes
    ----------
    crystal
        The standardised and relaxed primitive cell.
    dos
        Total and per element, normalised to 3 states an atom.
    lowest_mode_mev, lowest_at
        The lowest mode (negative when imaginary) on mesh and zone centre, and its q point in reduced coordinates.
    lowest_commensurate_mev
        The lowest mode at the wave vectors that fit into the supercell, where nothing is interpolated.
    highest_mode_mev
        The highest mode.
    stable
        Whether no mode lies below minus the tolerance.
    n_displacements, supercell_atoms
        What had to be computed.
    seconds
        Wall time.
    phonopy
        The phonopy object, for whatever else is wanted.
    """

    crystal: Crystal
    dos: PhononDos
    lowest_mode_mev: float
    lowest_at: tuple[float, float, float]
    lowest_commensurate_mev: float
    highest_mode_mev: float
    stable: bool
    n_displacements: int
    supercell_atoms: int
    seconds: float
    phonopy: Phonopy = field(repr=False)

    @property
    def band_center_mev(self) -> float:
        """Total band center in meV."""
        return self.dos.band_center_mev

    def row(self) -> dict[str, Any]:
        """What a table shows of it."""
        return {
            "material_id": self.crystal.material_id,
            "formula": self.crystal.formula,
            "band_center_mev": self.band_center_mev,
            "lowest_mode_mev": self.lowest_mode_mev,
            "lowest_at": " ".join(f"{x:.3f}" for x in self.lowest_at),
            "lowest_commensurate_mev": self.lowest_commensurate_mev,
            "highest_mode_mev": self.highest_mode_mev,
            "stable": self.stable,
            "imaginary_share": self.dos.imaginary_share,
            "non_analytical_correction": False,
            "n_atoms": len(self.crystal),
            "supercell_atoms": self.supercell_atoms,
            "n_displacements": self.n_displacements,
            "seconds": self.seconds,
        }

    def save(self, folder: str | Path) -> None:
        """Write ``phonopy_params.yaml``, which phonopy opens, and Euphonic for a symmetric matrix of the supercell."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.phonopy.save(folder / "phonopy_params.yaml", settings={"force_constants": True, "force_sets": True})


def phonons(crystal: Crystal, engine: Engine, settings: PhononSettings | None = None) -> PhononResult:
    """Compute the phonons of a crystal by finite displacements in its primitive cell.

    Raises
    ------
    PhononError
        When the relaxation does not converge, or the time limit is reached.
    EngineError
        When the engine fails.
    MissingExtraError
        Without phonopy.
    """
    require_phonopy()
    settings = settings or PhononSettings()
    clock = _Clock(settings.limit_s, crystal.material_id)
    primitive = primitive_cell(crystal, settings.symprec_a)
    if settings.relax:
        primitive = relaxed(primitive, engine, settings, clock=clock)

    def net_forces(phonon: Phonopy) -> Floats:
        cells = [atoms_of(cell) for cell in phonon.supercells_with_displacements]
        return np.array(_forces(cells, engine, clock)) - forces_at_rest(phonon, engine)

    return replace(phonons_from(crystal, primitive, net_forces, settings), seconds=clock.seconds)


def phonons_from(
    crystal: Crystal, primitive: Atoms, net_forces: Callable[[Phonopy], Floats], settings: PhononSettings
) -> PhononResult:
    """The phonons of a crystal from the forces of its displacements, wherever those come from.

    Parameters
    ----------
    crystal
        Whose name and properties the result has.
    primitive
        Its relaxed primitive cell.
    net_forces
        Forces (displacements, n, 3) in eV/angstrom on the displaced supercells of a phonopy object, those at rest
        taken off. Called a second time, with a wider supercell, where an instability is to be confirmed.
    settings
        How phonons are computed.

    Returns
    -------
    PhononResult
        Its `seconds` are 0: only the caller knows what the forces took.
    """
    phonon, found = _vibrations(primitive, net_forces, settings)
    unstable = found.lowest_mode_mev < -settings.tolerance_mev
    if unstable and found.lowest_commensurate_mev >= -settings.tolerance_mev and _may_widen(settings):
        wider = replace(settings, min_length_a=WIDER * settings.min_length_a)
        with suppress(PhononError):  # no time left: what is known stands
            phonon, found = _vibrations(primitive, net_forces, wider)
    result = Crystal.from_ase(primitive, material_id=crystal.material_id, properties=crystal.properties)
    return PhononResult(
        crystal=result,
        dos=replace(found.dos, material_id=result.material_id, formula=result.formula),
        lowest_mode_mev=found.lowest_mode_mev,
        lowest_at=found.lowest_at,
        lowest_commensurate_mev=found.lowest_commensurate_mev,
        highest_mode_mev=found.highest_mode_mev,
        stable=found.lowest_mode_mev >= -settings.tolerance_mev,
        n_displacements=len(phonon.forces),
        supercell_atoms=len(phonon.supercell),
        seconds=0.0,
        phonopy=phonon,
    )


def _may_widen(settings: PhononSettings) -> bool:
    return settings.confirm and settings.supercell is None


def _vibrations(
    primitive: Atoms, net_forces: Callable[[Phonopy], Floats], settings: PhononSettings
) -> tuple[Phonopy, Spectrum]:
    phonon = displaced(primitive, settings)
    phonon.forces = net_forces(phonon)
    _produce_force_constants(phonon, settings)
    return phonon, spectrum(phonon, settings)


def require_phonopy() -> None:
    """Say how to install phonopy where it is missing.

    Raises
    ------
    MissingExtraError
        Without phonopy.
    """
    if find_spec("phonopy") is None:
        raise MissingExtraError("phonopy is not installed", fix="pip install 'phonolyte[phonons]'")


def primitive_cell(crystal: Crystal, symprec_a: float) -> Atoms:
    """The standardised primitive cell, by spglib."""
    import spglib
    from ase import Atoms

    cell = (crystal.lattice, crystal.frac_coords, crystal.numbers)
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=False, symprec=symprec_a)
    lattice, positions, numbers = cell if found is None else found
    return Atoms(numbers=numbers, cell=lattice, scaled_positions=positions, pbc=True)


def relaxed(atoms: Atoms, engine: Engine, settings: PhononSettings, *, clock: _Clock | None = None) -> Atoms:
    """Relax cell and positions, keeping the symmetry.

    Raises
    ------
    PhononError
        When forces stay above the threshold.
    """
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    atoms = atoms.copy()
    atoms.calc = engine.calculator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms.set_constraint(FixSymmetry(atoms, symprec=settings.symprec_a))
        optimizer = BFGS(FrechetCellFilter(atoms), logfile=None)
        for _ in optimizer.irun(fmax=settings.fmax_ev_a, steps=settings.max_steps):
            if clock:
                clock.check()
    if not optimizer.converged(optimizer.optimizable.get_gradient()):
        raise PhononError(
            "the relaxation does not converge",
            why=f"forces stay above {settings.fmax_ev_a:g} eV/angstrom after {settings.max_steps} steps",
            fix="Allow more steps, start from a better structure, or try another engine.",
        )
    atoms.set_constraint()
    return atoms


def displaced(primitive: Atoms, settings: PhononSettings) -> Phonopy:
    """The phonopy object with its symmetry-reduced displacements."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    unit = PhonopyAtoms(
        symbols=primitive.get_chemical_symbols(),
        cell=primitive.cell.array,
        scaled_positions=primitive.get_scaled_positions(),
    )
    phonon = Phonopy(
        unit, supercell_matrix(primitive, settings).T, primitive_matrix="P", symprec=settings.symprec_a / 10
    )
    phonon.generate_displacements(distance=settings.displacement_a)
    return phonon


def supercell_matrix(primitive: Atoms, settings: PhononSettings) -> Ints:
    """The supercell (3, 3) whose rows are lattice vectors in units of the primitive ones.

    By length, it is the smallest multiple of the primitive or the conventional cell in which no atom is nearer to an
    image of itself than the least length. Edges of equal length are multiplied alike, which keeps the symmetry.
    """
    if settings.supercell is not None:
        return np.diag(settings.supercell)
    lattice = primitive.cell.array
    bases = (np.eye(3, dtype=int), _conventional(primitive, settings.symprec_a))
    found = [_multiple(base, lattice, settings.min_length_a) for base in bases]
    return _symmetric(min(found, key=lambda matrix: abs(round(np.linalg.det(matrix)))))


def _symmetric(matrix: Ints) -> Ints:
    """The same supercell with its vectors ordered and signed so that the matrix is symmetric, where they can be.

    Euphonic 2.1 takes phonopy's matrix for its transpose, and opens no other.
    """
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            found = np.array(signs)[:, None] * matrix[list(order)]
            if (found == found.T).all() and np.linalg.det(found) > 0:
                return found
    return matrix


def _conventional(primitive: Atoms, symprec_a: float) -> Ints:
    """Vectors of the conventional cell as rows, in units of the primitive ones."""
    import spglib

    cell = (primitive.cell.array, primitive.get_scaled_positions(), primitive.numbers)
    found = spglib.standardize_cell(cell, to_primitive=False, no_idealize=True, symprec=symprec_a)
    if found is None:
        return np.eye(3, dtype=int)
    return np.asarray(np.rint(found[0] @ np.linalg.inv(primitive.cell.array)), dtype=int)


def _multiple(base: Ints, lattice: Floats, length_a: float) -> Ints:
    """The smallest multiple of a cell with no lattice vector shorter than the length."""
    from phonolyte.structures.neighbours import reduce_lattice

    edges = np.linalg.norm(base @ lattice, axis=1)
    alike = np.abs(edges[:, None] - edges) < 1e-3 * edges
    counts = sorted(np.ndindex(MOST, MOST, MOST), key=lambda n: np.prod(np.add(n, 1)))
    for count in np.array(counts) + 1:
        if (alike & (count[:, None] != count)).any():
            continue
        matrix = np.diag(count) @ base
        if np.linalg.norm(reduce_lattice(matrix @ lattice), axis=1).min() >= length_a - SLACK_A:
            return matrix
    return np.diag(np.full(3, MOST)) @ base


class Spectrum(NamedTuple):
    """Density of states, lowest mode and where it lies, lowest mode that is not interpolated, highest mode."""

    dos: PhononDos
    lowest_mode_mev: float
    lowest_at: tuple[float, float, float]
    lowest_commensurate_mev: float
    highest_mode_mev: float


def spectrum(phonon: Phonopy, settings: PhononSettings) -> Spectrum:
    """Total and per-element density of states by the tetrahedron method, from force constants.

    Atoms of one element carry the same share of a mode all over a star of q points, so the irreducible part of the mesh
    will do. Tetrahedra lack the symmetry of some lattices, which moves centers by about 0.1 % at the default mesh.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skewed cells get another mesh of the same density, which is as good
        phonon.run_mesh(settings.mesh, with_eigenvectors=True, is_mesh_symmetry=True, is_gamma_center=True)
    mesh, symbols = phonon.mesh, phonon.primitive.symbols
    frequencies = mesh.frequencies
    low, high = float(frequencies.min()), float(frequencies.max())
    margin = MARGIN * (high - low)
    edges = np.linspace(min(low - margin, 0.0), high + margin, BINS + 1)
    shares = element_shares(mesh.eigenvectors, symbols)
    per_mev = np.maximum(_density(mesh, np.stack([*shares.values()], axis=-1), edges), 0.0) / MEV_PER_THZ
    row, _ = np.unravel_index(int(frequencies.argmin()), frequencies.shape)
    x, y, z = (float(q) for q in mesh.qpoints[row])
    dos = PhononDos(
        0.5 * (edges[1:] + edges[:-1]) * MEV_PER_THZ,
        per_mev.sum(axis=1),
        dict(zip(shares, per_mev.T, strict=True)),
        n_atoms=float(len(symbols)),
    )
    return Spectrum(dos, low * MEV_PER_THZ, (x, y, z), _lowest_commensurate(phonon) * MEV_PER_THZ, high * MEV_PER_THZ)


def _lowest_commensurate(phonon: Phonopy) -> float:
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    phonon.run_qpoints(get_commensurate_points(phonon.supercell_matrix))
    return float(phonon.qpoints.frequencies.min())


def element_shares(eigenvectors: Matrix, symbols: Sequence[str]) -> dict[str, Floats]:
    """Share of each element in each mode, (q points, modes), from eigenvectors (q points, 3 atoms, modes)."""
    of_atoms = (np.abs(eigenvectors) ** 2).reshape(len(eigenvectors), len(symbols), 3, -1).sum(axis=2)
    return {
        element: of_atoms[:, [symbol == element for symbol in symbols]].sum(axis=1) for element in sorted(set(symbols))
    }


def _density(mesh: Any, shares: Floats, edges: Floats) -> Floats:
    """Mean density per THz between edges, (bins, elements), of modes with shares (q points, modes, elements).

    The states below each edge are counted, and their differences taken: the density at points would miss the bands of
    molecules, which are narrower than any grid, or count them many times.
    """
    from phonopy.phonon.tetrahedron_method import get_integration_weights

    bz = mesh.bz_grid
    irreducible = np.searchsorted(mesh.ir_grid_points, mesh.grid_mapping_table)
    weights = get_integration_weights(
        edges,
        mesh.frequencies,
        bz,
        grid_points=bz.grg2bzg[mesh.ir_grid_points],
        bzgp2irgp_map=irreducible[bz.bzg2grg],
        function="J",
    )
    below = np.zeros((len(edges), shares.shape[-1]))
    for weight, share, copies in zip(weights, shares, mesh.weights, strict=True):
        below += weight @ (share * copies)
    return np.diff(below, axis=0) / np.diff(edges)[:, None] / float(np.prod(bz.D_diag))


class _Clock:
    """Wall time of one crystal, and its limit."""

    def __init__(self, limit_s: float | None, name: str) -> None:
        self.start, self.limit_s, self.name = time.perf_counter(), limit_s, name

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def check(self) -> None:
        if self.limit_s is not None and self.seconds > self.limit_s:
            raise PhononError(
                f"{self.name} takes longer than the limit",
                why=f"{self.seconds:.0f} s have passed, the limit is {self.limit_s:.0f} s",
                fix="Raise the limit, or shorten the supercell.",
            )


def _forces(cells: list[Atoms], engine: Engine, clock: _Clock) -> list[Floats]:
    """Forces on all cells, in portions between which the clock is looked at."""
    portion = 8 if engine.batch else 1
    found: list[Floats] = []
    for start in range(0, len(cells), portion):
        clock.check()
        found.extend(engine.forces(cells[start : start + portion]))
    return found


def forces_at_rest(phonon: Phonopy, engine: Engine) -> Floats:
    """Forces (n, 3) in eV/angstrom on the atoms of the supercell before any is displaced.

    They would vanish in a relaxed crystal, or by symmetry, if potentials had the symmetry of space. Some have it only
    nearly: 0.01 eV/angstrom on an atom that no force may act on is half of what a displacement of 0.01 angstrom makes,
    and would turn a stable crystal into an unstable one. The primitive cell tells them.
    """
    (forces,) = engine.forces([atoms_of(phonon.unitcell)])
    return on_supercell(phonon, forces)


def on_supercell(phonon: Phonopy, forces: Floats) -> Floats:
    """Forces (n, 3) on the atoms of the supercell from those on the primitive cell."""
    supercell = phonon.supercell
    return forces[[supercell.u2u_map[atom] for atom in supercell.s2u_map]]


def _produce_force_constants(phonon: Phonopy, settings: PhononSettings) -> None:
    """Those between the atoms of the primitive cell and all others: the rest repeats them, and makes large files."""
    if settings.force_constants == "symfc":
        phonon.produce_force_constants(fc_calculator="symfc", calculate_full_force_constants=False, show_drift=False)
    else:
        phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
        phonon.symmetrize_force_constants(show_drift=False)


def atoms_of(cell: Any) -> Atoms:
    """A cell of phonopy as ASE has it."""
    from ase import Atoms

    return Atoms(symbols=cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)
