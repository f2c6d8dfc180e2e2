"""Crystals and phonons from elsewhere: databases, published sets, and the user's own folders, as tables."""

from phonolyte.sources.centers import Centers
from phonolyte.sources.entries import Entries, read_entries
from phonolyte.sources.entry import Entry, Page, Source
from phonolyte.sources.folder import Folder
from phonolyte.sources.materials_project import MaterialsProject
from phonolyte.sources.ncrystal import NCrystal
from phonolyte.sources.optimade import Optimade
from phonolyte.sources.phases import MaterialsProjectPhases
from phonolyte.sources.published import Published
from phonolyte.sources.run import Fetched, fetch

__all__ = [
    "Centers",
    "Entries",
    "Entry",
    "Fetched",
    "Folder",
    "MaterialsProject",
    "MaterialsProjectPhases",
    "NCrystal",
    "Optimade",
    "Page",
    "Published",
    "Source",
    "fetch",
    "read_entries",
]
