"""The stiffness tensor of a crystal: its fit to stresses under strain, its stability, its isotropic averages."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phonolyte.arrays import Floats

MODULI = (
    "bulk_modulus_gpa", "shear_modulus_gpa", "young_modulus_gpa", "poisson_ratio", "pugh_ratio", "universal_anisotropy",
)  # fmt: skip
"""Columns of the isotropic averages."""

KELVIN = np.sqrt(np.outer([1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]))
"""Factors from Voigt's to Kelvin's matrix of a stiffness tensor, whose eigenvalues no rotation changes."""


@dataclass(frozen=True, slots=True, eq=False)
class Stiffness:
    """Stiffness tensor of a crystal.

    Attributes
    ----------
    voigt_gpa
        (6, 6) in Voigt's notation (xx, yy, zz, yz, xz, xy; engineering shear strains), symmetric, GPa.
    """

    voigt_gpa: Floats

    @property
    def lowest_gpa(self) -> float:
        """Lowest eigenvalue of the tensor in Kelvin's notation, GPa: stiffness against the easiest strain."""
        return float(np.linalg.eigvalsh(self.voigt_gpa * KELVIN).min())

    @property
    def is_stable(self) -> bool:
        """Whether every strain costs energy: all eigenvalues above zero (10.1103/PhysRevB.90.224104)."""
        return self.lowest_gpa > 0

    def averages(self) -> Mapping[str, float]:
        """Return the moduli of a dense polycrystal without texture, by Voigt, Reuss and Hill.

        Returns
        -------
        Mapping
            :data:`MODULI`: bulk modulus K, shear modulus G and Young's modulus 9KG/(3K+G) in GPa, Poisson's ratio
            (3K-2G)/(6K+2G), Pugh's ratio K/G, and the universal anisotropy 5 G_V/G_R + K_V/K_R - 6
            (10.1103/PhysRevLett.101.055504). K and G are means of Voigt's (strain alike in all grains) and Reuss's
            (stress alike). All are NaN for an unstable crystal, of which Reuss's average makes no sense.
        """
        from pymatgen.analysis.elasticity.elastic import ElasticTensor

        if not self.is_stable:
            return dict.fromkeys(MODULI, float("nan"))
        tensor = ElasticTensor.from_voigt(self.voigt_gpa)
        bulk, shear = float(tensor.k_vrh), float(tensor.g_vrh)
        return {
            "bulk_modulus_gpa": bulk,
            "shear_modulus_gpa": shear,
            "young_modulus_gpa": 9 * bulk * shear / (3 * bulk + shear),
            "poisson_ratio": float(tensor.homogeneous_poisson),
            "pugh_ratio": bulk / shear,
            "universal_anisotropy": float(tensor.universal_anisotropy),
        }


def fit_stiffness(strains: Floats, stresses_gpa: Floats, rotations: Floats) -> tuple[Stiffness, float]:
    """Fit the stiffness tensor to stresses under strain, by least squares.

    Each pair stands for all that the symmetry of the crystal makes of it, so that the tensor has this symmetry.

    Parameters
    ----------
    strains
        (n, 3, 3) strains, of which these images span all directions.
    stresses_gpa
        (n, 3, 3) stresses less that at rest, GPa; positive where the crystal is pulled.
    rotations
        (m, 3, 3) point group of the crystal in Cartesian coordinates.

    Returns
    -------
    tuple
        The tensor, and the residual: root mean square of the stress that it does not explain, over that of the stress.
    """
    from pymatgen.analysis.elasticity.elastic import ElasticTensor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that such a fit is not for what VASP gives
        tensor = ElasticTensor.from_pseudoinverse(images_of(strains, rotations), images_of(stresses_gpa, rotations))
    voigt = np.asarray(tensor.voigt, dtype=float)
    stiffness = Stiffness((voigt + voigt.T) / 2)
    symmetric = ElasticTensor.from_voigt(stiffness.voigt_gpa)
    missed = stresses_gpa - [symmetric.calculate_stress(strain) for strain in strains]
    return stiffness, float(np.linalg.norm(missed) / np.linalg.norm(stresses_gpa))


def images_of(tensors: Floats, rotations: Floats) -> Floats:
    """Return tensors (n, 3, 3) under all rotations (m, 3, 3), as (n m, 3, 3)."""
    return np.asarray(np.einsum("mij,njk,mlk->nmil", rotations, tensors, rotations)).reshape(-1, 3, 3)
