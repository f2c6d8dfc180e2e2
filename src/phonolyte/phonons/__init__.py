"""Phonons of a crystal by finite displacements, over any engine of `forces`."""

from phonolyte import make_callable
from phonolyte.phonons.calculation import PhononCalculation, PhononLimits
from phonolyte.phonons.workflow import PhononResult, PhononSettings, compute_phonons

__all__ = ["PhononCalculation", "PhononLimits", "PhononResult", "PhononSettings", "compute_phonons"]

make_callable(__name__)
