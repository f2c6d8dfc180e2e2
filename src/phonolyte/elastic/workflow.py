"""From a crystal to its elastic moduli: relax, strain, relax the ions, fit the stresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.elastic.stiffness import Stiffness, fit_stiffness, images_of
from phonolyte.errors import ElasticError, EngineError, SettingsError
from phonolyte.forces.cells import Clock, primitive_cell, relax, relax_positions
from phonolyte.structures import Crystal
from phonolyte.units import GPA_PER_EV_A3

if TYPE_CHECKING:
    from ase import Atoms

    from phonolyte.forces import Engine

SHARES = (0.5, -0.5, 1.0, -1.0)
"""Strains of each component, as shares of the largest one, in the order in which they are computed."""

COMPONENTS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Components of the strain, in Voigt's order."""

ALIKE = 1e-3
"""Share of a strain up to which two count as the same."""

NOT_LINEAR, NOT_ELASTIC = 0.2, 0.5
"""Residuals of the fit above which a remark says that stress is not linear in the strain, and above which it fails."""


@dataclass(frozen=True, slots=True)
class ElasticSettings:
    """How elastic moduli are computed.

    Attributes
    ----------
    strain
        Largest component of the strain tensor; each component is set to plus and minus this and half of it.
    relax_ions
        Whether ions relax in each strained cell. Moduli with clamped ions are those of no experiment, but a bound.
    fmax_ev_a
        Largest force in eV/angstrom of relaxed positions (and stress times volume per atom, in eV, of the cell).
    max_steps
        Steps of each relaxation.
    symprec_a
        Tolerance in angstrom within which symmetry is found.
    limit_s
        Seconds after which a crystal is given up; None for no limit.
    """

    strain: Annotated[float, "Largest component of the strain."] = 0.01
    relax_ions: Annotated[bool, "Relax ions in each strained cell; without: clamped ions, an upper bound."] = True
    fmax_ev_a: Annotated[float, "Largest force of relaxed positions, eV/angstrom."] = 3e-3
    max_steps: Annotated[int, "Steps of each relaxation."] = 300
    symprec_a: Annotated[float, "Tolerance of the symmetry, angstrom."] = 0.01
    limit_s: Annotated[float | None, "Seconds for one crystal. Default: no limit."] = None

    def __post_init__(self) -> None:
        for name in ("strain", "fmax_ev_a", "max_steps", "symprec_a"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", fix="Give a positive number.")
        if self.strain > 0.1:
            raise SettingsError(
                f"strain is {self.strain:g}", why="stress is not linear so far out", fix="Give 0.1 at most."
            )


@dataclass(frozen=True, slots=True, eq=False)
class ElasticResult:
    """Elasticity of one crystal.

    Attributes
    ----------
    crystal
        Standardized and relaxed primitive cell. The tensor is in its axes: a along x, b in the plane of x and y for
        the conventional cell of spglib.
    stiffness
        Stiffness tensor.
    residual
        Root mean square of the stress that the tensor does not explain, over that of the stress.
    strains, stresses_gpa
        (n, 3, 3) Green-Lagrange strains that were computed, and the stresses under them less that at rest, GPa.
    seconds
        Wall time.
    """

    crystal: Crystal
    stiffness: Stiffness
    residual: float
    strains: Floats
    stresses_gpa: Floats
    seconds: float

    @property
    def why(self) -> str:
        """What a reader must know of the moduli, or why there are none."""
        if not self.stiffness.is_stable:
            return f"mechanically unstable, an eigenvalue of {self.stiffness.lowest_gpa:.1f} GPa"
        if self.residual > NOT_LINEAR:
            return f"stress is not linear in the strain, the fit leaves {100 * self.residual:.0f} %"
        return ""

    def row(self) -> dict[str, Any]:
        """Return what a table shows of it."""
        return {
            "material_id": self.crystal.material_id,
            "formula": self.crystal.formula,
            **self.stiffness.averages(),
            "mechanically_stable": self.stiffness.is_stable,
            "lowest_stiffness_gpa": self.stiffness.lowest_gpa,
            "fit_residual": self.residual,
            "stiffness_gpa": self.stiffness.voigt_gpa.ravel().tolist(),
            "n_atoms": len(self.crystal),
            "n_strains": len(self.strains),
            "seconds": self.seconds,
            "why": self.why,
        }


def compute_elastic(crystal: Crystal, engine: Engine, settings: ElasticSettings | None = None) -> ElasticResult:
    """Compute the stiffness tensor of a crystal from the stresses of its strained primitive cell.

    The cell is relaxed first; strains that symmetry makes up are left out. Otherwise as de Jong et al. have it
    (10.1038/sdata.2015.9).

    Raises
    ------
    PhononError
        When a relaxation does not converge, or the time limit is reached.
    EngineError
        When the engine gives stresses that are not finite.
    ElasticError
        When the stresses are not those of an elastic crystal.
    StructureError
        For a disordered crystal.
    """
    settings = settings or ElasticSettings()
    clock = Clock(settings.limit_s, crystal.material_id)
    primitive = relax(
        primitive_cell(crystal, symprec_a=settings.symprec_a), engine, fmax_ev_a=settings.fmax_ev_a,
        max_steps=settings.max_steps, symprec_a=settings.symprec_a, check=clock.check,
    )  # fmt: skip
    relaxed = Crystal.from_ase(primitive, material_id=crystal.material_id, properties=crystal.properties)
    rotations = point_group(relaxed, settings.symprec_a)
    directions = needed_strains(rotations, settings.strain)
    strains = np.concatenate(directions)
    stresses = strained_stresses_gpa(primitive, directions, engine, settings, clock)
    stiffness, residual = fit_stiffness(strains, stresses, rotations)
    if residual > NOT_ELASTIC:
        raise ElasticError(
            f"the stresses of {crystal.material_id} under strain are not those of an elastic crystal",
            why=f"the fit leaves {100 * residual:.0f} % of them: ions leave their sites, as from the top of a barrier",
            fix="Compute its phonons; give a crystal without imaginary modes, or smaller strains.",
        )
    return ElasticResult(relaxed, stiffness, residual, strains, stresses, clock.seconds)


def needed_strains(rotations: Floats, largest: float) -> Sequence[Floats]:
    """Return the strains that a crystal must be put under, by their direction.

    A component is left out where the images of the others under the symmetry make it up, and the negative strains of
    one where they are images of the positive ones: stress is linear in the strain, and both turn with the crystal.

    Parameters
    ----------
    rotations
        (m, 3, 3) point group of the crystal in Cartesian coordinates.
    largest
        Largest component of the strain.

    Returns
    -------
    Sequence
        Green-Lagrange strains (n, 3, 3) of each direction.
    """
    from pymatgen.analysis.elasticity.strain import Strain

    spanned, directions = np.zeros((1, 9)), []
    for component in COMPONENTS:
        unit = np.asarray(Strain.from_index_amount(component, 1.0))
        if np.abs(unit.ravel() - unit.ravel() @ np.linalg.pinv(spanned, ALIKE) @ spanned).max() < ALIKE:
            continue
        images = images_of(unit[None], rotations)
        spanned = np.vstack([spanned, images.reshape(-1, 9)])
        both = np.abs(images + unit).max(axis=(1, 2)).min() < ALIKE
        shares = np.array([share for share in SHARES if share > 0 or not both])
        directions.append(largest * shares[:, None, None] * unit)
    return directions


def strained_stresses_gpa(
    primitive: Atoms, directions: Sequence[Floats], engine: Engine, settings: ElasticSettings, clock: Clock
) -> Floats:
    """Return stresses (n, 3, 3) in GPa under all strains less that at rest, positive where the crystal is pulled.

    They are second Piola-Kirchhoff stresses: their product with the Green-Lagrange strain is energy by volume at rest.
    Ions start where they would be if they moved in proportion to the strain, with the Hessian of the strain before.
    At rest they relax in the same way: potentials have the symmetry of the crystal only nearly.
    """
    from pymatgen.analysis.elasticity.strain import Strain
    from pymatgen.analysis.elasticity.stress import Stress

    cell, hessian = _settle(primitive, None, engine, settings, clock)
    rest, stress_at_rest, stresses = cell.get_scaled_positions(wrap=False), _stress_gpa(cell, engine), []
    for strains in directions:
        per_strain = np.zeros_like(rest)
        for strain in strains:
            size = np.vdot(strain, strains[0]) / np.vdot(strains[0], strains[0])
            deformation = np.asarray(Strain(strain).get_deformation_matrix(shape="symmetric"))
            cell = primitive.copy()
            cell.set_cell(primitive.cell.array @ deformation.T)
            cell.set_scaled_positions(rest + size * per_strain)
            cell, hessian = _settle(cell, hessian, engine, settings, clock)
            per_strain = (cell.get_scaled_positions(wrap=False) - rest) / size
            stress = np.asarray(Stress(_stress_gpa(cell, engine)).piola_kirchoff_2(deformation))
            stresses.append(stress - stress_at_rest)
    return np.array(stresses)


def _settle(
    cell: Atoms, hessian: Floats | None, engine: Engine, settings: ElasticSettings, clock: Clock
) -> tuple[Atoms, Floats | None]:
    """Relax the ions of a cell, where they are to relax."""
    clock.check()
    if not settings.relax_ions:
        return cell, None
    return relax_positions(
        cell, engine, fmax_ev_a=settings.fmax_ev_a, max_steps=settings.max_steps, hessian=hessian, check=clock.check
    )


def _stress_gpa(atoms: Atoms, engine: Engine) -> Floats:
    """Return the Cauchy stress (3, 3) in GPa, with the sign of ASE: positive where the cell wants to shrink."""
    atoms = atoms.copy()
    atoms.calc = engine.calculator
    stress = GPA_PER_EV_A3 * np.asarray(atoms.get_stress(voigt=False), dtype=float)
    if not np.isfinite(stress).all():
        raise EngineError(f"{engine.name} gives a stress that is not finite", fix="Try another engine.")
    return stress


def point_group(crystal: Crystal, symprec_a: float) -> Floats:
    """Return the rotations (n, 3, 3) of a crystal in Cartesian coordinates."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    operations = SpacegroupAnalyzer(crystal.to_pymatgen(), symprec=symprec_a).get_point_group_operations(cartesian=True)
    return np.array([operation.rotation_matrix for operation in operations])
