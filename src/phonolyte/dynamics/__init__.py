"""Diffusion of the mobile ion by molecular dynamics."""

from phonolyte.dynamics.calculation import DynamicsCalculation
from phonolyte.dynamics.trajectory import DynamicsSettings

__all__ = ["DynamicsCalculation", "DynamicsSettings"]
