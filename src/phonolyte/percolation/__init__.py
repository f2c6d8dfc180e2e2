"""Percolation of the mobile ion through its bond-valence site energies."""

from phonolyte.percolation.calculation import PercolationCalculation, PercolationLimits
from phonolyte.percolation.site_energies import Percolation, PercolationSettings, compute_percolation

__all__ = [
    "Percolation",
    "PercolationCalculation",
    "PercolationLimits",
    "PercolationSettings",
    "compute_percolation",
]
