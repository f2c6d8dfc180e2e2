"""Diffusion of the mobile ion by molecular dynamics."""

from phonolyte.dynamics.calculation import DynamicsSettings, dynamics_campaign

__all__ = ["DynamicsSettings", "dynamics_campaign"]
