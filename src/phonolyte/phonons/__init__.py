"""Phonons of a crystal by finite displacements, over any engine of `forces`."""

from phonolyte.phonons.workflow import PhononResult, PhononSettings, phonons

__all__ = ["PhononResult", "PhononSettings", "phonons"]
