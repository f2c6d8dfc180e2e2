"""Crystals: read, check, identify and convert them."""

from phonolyte.structures.checks import check
from phonolyte.structures.crystal import Crystal, as_crystal
from phonolyte.structures.reading import Reading, read, read_file

__all__ = ["Crystal", "Reading", "as_crystal", "check", "read", "read_file"]
