"""Percolation of the mobile ion through its bond-valence site energies."""

from phonolyte.percolation.calculation import PercolationCalculation, PercolationLimits
from phonolyte.percolation.site_energies import Percolation, PercolationSettings, compute_percolation
from phonolyte.percolation.table import COARSE, percolation_table

__all__ = [
    "COARSE",
    "Percolation",
    "PercolationCalculation",
    "PercolationLimits",
    "PercolationSettings",
    "compute_percolation",
    "percolation_table",
]
