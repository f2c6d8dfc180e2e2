"""Prototypes of crystals, and candidates for a learning set made from them by replacing elements."""

from phonolyte.prototypes.candidates import candidates
from phonolyte.prototypes.library import Prototype, prototypes

__all__ = ["Prototype", "candidates", "prototypes"]
