"""Percolation of the mobile ion through its bond-valence site energies."""

from phonolyte.percolation.site_energies import Percolation, PercolationSettings, percolation, percolation_campaign

__all__ = ["Percolation", "PercolationSettings", "percolation", "percolation_campaign"]
