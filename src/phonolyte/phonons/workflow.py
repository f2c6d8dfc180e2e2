"""From a crystal to its phonons: relax, displace, force constants, density of states, verdict."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np

from phonolyte.arrays import Floats, Ints, Matrix
from phonolyte.dos import PhononDos
from phonolyte.errors import MissingExtraError, PhononError, SettingsError
from phonolyte.forces.cells import Clock, primitive_cell, relax, supercell_matrix
from phonolyte.structures import Crystal
from phonolyte.units import MEV_PER_THZ

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

    from phonolyte.forces import Engine

BINS = 501
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
        Largest number of steps of the relaxation.
    symprec_a
        Tolerance in angstrom within which symmetry is found.
    supercell
        Multiples of the primitive cell ((2, 2, 2) in the study), or None for the smallest that is `min_length_a` wide.
    min_length_a
        Least distance in angstrom between an atom and its images in the supercell.
    displacement_a
        In angstrom.
    mesh
        Three divisions ((25, 25, 25) in the study), or None for those by `mesh_length_a`.
    mesh_length_a
        Divisions of a reciprocal vector are this length in angstrom times the vector.
    force_constants
        ``"finite"``: from the displacements, symmetrized and with the acoustic sum rule; ``"symfc"``: fitted in a
        symmetry-adapted basis.
    tolerance_mev
        A crystal is unstable when a mode lies lower than minus this.
    confirm
        Whether an instability that only the interpolation between the wave vectors of the supercell shows is looked at
        again in a supercell 1.4 times as wide; not where `supercell` is given.
    limit_s
        Seconds after which a crystal is given up; None for no limit.
    """

    relax: Annotated[bool, "Relax cell and positions first, the symmetry kept."] = True
    fmax_ev_a: Annotated[float, "Largest force of the relaxed cell, eV/angstrom."] = 1e-3
    max_steps: Annotated[int, "Steps of the relaxation."] = 300
    symprec_a: Annotated[float, "Tolerance of the symmetry, angstrom."] = 0.01
    supercell: Annotated[tuple[int, int, int] | None, "Multiples of the primitive cell. Default: by length."] = None
    min_length_a: Annotated[float, "Least distance of an atom from its image, angstrom."] = 8.0
    displacement_a: Annotated[float, "Displacement of an atom, angstrom."] = 0.01
    mesh: Annotated[tuple[int, int, int] | None, "Divisions of the q-point mesh. Default: by length."] = None
    mesh_length_a: Annotated[float, "Length that sets the divisions of the mesh, angstrom."] = 100.0
    force_constants: Annotated[
        Literal["finite", "symfc"], "From displacements, or fitted in a symmetry-adapted basis."
    ] = "finite"
    tolerance_mev: Annotated[float, "A mode below minus this makes a crystal unstable, meV."] = 1.0
    confirm: Annotated[bool, "Look again, in a wider supercell, at an instability that only interpolation shows."] = (
        True
    )
    limit_s: Annotated[float | None, "Seconds for one crystal. Default: no limit."] = None

    def __post_init__(self) -> None:
        for name in (
            "fmax_ev_a",
            "max_steps",
            "symprec_a",
            "min_length_a",
            "displacement_a",
            "mesh_length_a",
            "tolerance_mev",
        ):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a positive number.")
        if self.force_constants not in ("finite", "symfc"):
            raise SettingsError(f"force_constants is {self.force_constants!r}", fix="Choose finite or symfc.")

    def supercell_of(self, primitive: Atoms) -> Ints:
        """Supercell (3, 3) of a primitive cell, rows in units of its vectors."""
        return supercell_matrix(
            primitive, supercell=self.supercell, min_length_a=self.min_length_a, symprec_a=self.symprec_a
        )


@dataclass(frozen=True, slots=True, eq=False)
class PhononResult:
    """Phonons of one crystal.

    Attributes
    ----------
    crystal
        The standardized and relaxed primitive cell.
    dos
        Total and per element, normalized to 3 states an atom.
    lowest_mode_mev, lowest_at
        The lowest mode (negative when imaginary) on mesh and zone center, and its q point in reduced coordinates.
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


def compute_phonons(crystal: Crystal, engine: Engine, settings: PhononSettings | None = None) -> PhononResult:
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
    clock = Clock(settings.limit_s, crystal.material_id)
    primitive = primitive_cell(crystal, symprec_a=settings.symprec_a)
    if settings.relax:
        primitive = relax(
            primitive, engine, fmax_ev_a=settings.fmax_ev_a, max_steps=settings.max_steps,
            symprec_a=settings.symprec_a, check=clock.check,
        )  # fmt: skip

    def forces(phonon: Phonopy) -> Floats:
        return net_forces(phonon, engine, clock)

    return replace(phonons_from(crystal, primitive, forces, settings), seconds=clock.seconds)


def net_forces(phonon: Phonopy, engine: Engine, clock: Clock) -> Floats:
    """Forces (displacements, n, 3) in eV/angstrom on displaced supercells, those at rest taken off."""
    cells = [atoms_of(cell) for cell in phonon.supercells_with_displacements]
    return np.array(_forces(cells, engine, clock)) - forces_at_rest(phonon, engine)


def commensurate_modes(primitive: Atoms, engine: Engine, settings: PhononSettings, clock: Clock) -> Floats:
    """Modes (q points, 3 n) of a relaxed crystal at the wave vectors that fit into its supercell, meV.

    Nothing is interpolated, so that small supercells do. Imaginary ones are negative.

    Raises
    ------
    PhononError
        When the time limit is reached.
    EngineError
        When the engine fails.
    MissingExtraError
        Without phonopy.
    """
    require_phonopy()
    phonon = prepare_displacements(primitive, settings)
    phonon.forces = net_forces(phonon, engine, clock)
    _produce_force_constants(phonon, settings)
    return _commensurate(phonon) * MEV_PER_THZ


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
    phonon, modes = _vibrations(primitive, net_forces, settings)
    unstable = modes.lowest_mode_mev < -settings.tolerance_mev
    if unstable and modes.lowest_commensurate_mev >= -settings.tolerance_mev and _may_widen(settings):
        wider = replace(settings, min_length_a=WIDER * settings.min_length_a)
        with suppress(PhononError):  # no time left: what is known stands
            phonon, modes = _vibrations(primitive, net_forces, wider)
    result = Crystal.from_ase(primitive, material_id=crystal.material_id, properties=crystal.properties)
    return PhononResult(
        crystal=result,
        dos=replace(modes.dos, material_id=result.material_id, formula=result.formula),
        lowest_mode_mev=modes.lowest_mode_mev,
        lowest_at=modes.lowest_at,
        lowest_commensurate_mev=modes.lowest_commensurate_mev,
        highest_mode_mev=modes.highest_mode_mev,
        stable=modes.lowest_mode_mev >= -settings.tolerance_mev,
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
    phonon = prepare_displacements(primitive, settings)
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


def prepare_displacements(primitive: Atoms, settings: PhononSettings) -> Phonopy:
    """The phonopy object with its symmetry-reduced displacements."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    unit = PhonopyAtoms(
        symbols=primitive.get_chemical_symbols(),
        cell=primitive.cell.array,
        scaled_positions=primitive.get_scaled_positions(),
    )
    phonon = Phonopy(unit, settings.supercell_of(primitive).T, primitive_matrix="P", symprec=settings.symprec_a / 10)
    phonon.generate_displacements(distance=settings.displacement_a)
    return phonon


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
        phonon.run_mesh(
            settings.mesh or settings.mesh_length_a, with_eigenvectors=True, is_mesh_symmetry=True, is_gamma_center=True
        )
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
    return Spectrum(
        dos, low * MEV_PER_THZ, (x, y, z), float(_commensurate(phonon).min()) * MEV_PER_THZ, high * MEV_PER_THZ
    )


def _commensurate(phonon: Phonopy) -> Floats:
    """Frequencies (q points, modes) at the wave vectors that fit into the supercell, THz."""
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    phonon.run_qpoints(get_commensurate_points(phonon.supercell_matrix))
    return np.asarray(phonon.qpoints.frequencies)


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


def _forces(cells: list[Atoms], engine: Engine, clock: Clock) -> list[Floats]:
    """Forces on all cells, in portions between which the clock is looked at."""
    portion = 8 if engine.batch else 1
    all_forces: list[Floats] = []
    for start in range(0, len(cells), portion):
        clock.check()
        all_forces.extend(engine.forces(cells[start : start + portion]))
    return all_forces


def forces_at_rest(phonon: Phonopy, engine: Engine) -> Floats:
    """Forces (n, 3) in eV/angstrom on the atoms of the supercell before any is displaced.

    They would vanish in a relaxed crystal, or by symmetry, if potentials had the symmetry of space. Some have it only
    nearly: 0.01 eV/angstrom on an atom that no force may act on is half of what a displacement of 0.01 angstrom makes,
    and would turn a stable crystal into an unstable one. The primitive cell shows them.
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
