"""The metals that a separator touches, and the criterion of Monroe and Newman.

The criterion (J. Electrochem. Soc. 152, A396, 2005, 10.1149/1.1850854) is a linear stability analysis of a flat
interface between two isotropic elastic solids: where the shear modulus of the separator is at least about twice that of
the metal, stress slows the deposition on bumps, and roughness does not grow. It knows no grain boundaries, pores,
cracks, loss of contact, plastic flow of the metal, or electronic current, along which lithium does grow through stiff
ceramics; and it assumes the molar volumes of ions in a polymer, where those of inorganic crystals may favor the soft
side instead (Ahmad and Viswanathan, 10.1103/PhysRevLett.119.056003).
"""

from __future__ import annotations

METALS_GPA = {"Li": 4.2, "Na": 3.3, "K": 1.3, "Mg": 17.0}
"""Shear moduli of the polycrystalline metals at room temperature, GPa, as WebElements (https://www.webelements.com) has
them; that of lithium is also the one of Deng et al. (10.1149/2.0061602jes).

Lithium is very anisotropic, and reports differ: Masias et al. (10.1007/s10853-018-2971-3) measured 2.8, Monroe and
Newman took 3.4.
"""

SHEAR_RATIO = 2.0
"""Least shear modulus of a separator that suppresses roughness, over that of the metal (10.1149/1.1850854)."""


def shear_ratio(shear_gpa: float, ion: str) -> float:
    """Return a shear modulus over that of the metal of an ion; NaN for a metal that is not listed."""
    return shear_gpa / METALS_GPA[ion] if ion in METALS_GPA else float("nan")


def meets_criterion(ratio: float) -> bool | None:
    """Whether a ratio of shear moduli meets the criterion of Monroe and Newman; None for an unknown one."""
    return None if ratio != ratio else ratio >= SHEAR_RATIO
