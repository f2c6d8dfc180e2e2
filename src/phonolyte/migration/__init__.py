"""How ions move: percolation of site energies, hops between sites, nudged elastic bands, molecular dynamics."""

from phonolyte.migration.barriers import barrier_campaign
from phonolyte.migration.bvse import Percolation, PercolationSettings, percolation, percolation_campaign
from phonolyte.migration.dynamics import DynamicsSettings, dynamics_campaign
from phonolyte.migration.neb import NebSettings

__all__ = [
    "DynamicsSettings",
    "NebSettings",
    "Percolation",
    "PercolationSettings",
    "barrier_campaign",
    "dynamics_campaign",
    "percolation",
    "percolation_campaign",
]
