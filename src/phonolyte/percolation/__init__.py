"""Percolation of the mobile ion through its bond-valence site energies."""

from phonolyte.percolation.calculation import PercolationCalculation, PercolationLimits
from phonolyte.percolation.site_energies import COARSE, Percolation, PercolationSettings, compute_percolation

__all__ = [
    "COARSE",
    "Percolation",
    "PercolationCalculation",
    "PercolationLimits",
    "PercolationSettings",
    "compute_percolation",
]
