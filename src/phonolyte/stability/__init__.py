"""Stability: energy above the hull, electrochemical window, reactions with the electrodes and with moisture."""

from phonolyte import make_callable
from phonolyte.stability.calculation import StabilityCalculation, StabilityLimits, StabilitySettings
from phonolyte.stability.phases import CompetingPhases, Phase

make_callable(__name__)

__all__ = ["CompetingPhases", "Phase", "StabilityCalculation", "StabilityLimits", "StabilitySettings"]
