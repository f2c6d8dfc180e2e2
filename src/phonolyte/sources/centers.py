"""The computed band centers that come with Phonolyte, as a source: crystals and what was computed of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phonolyte.centers import computed_centers
from phonolyte.sources.entry import Entry, Page
from phonolyte.sources.registry import RegisteredSource
from phonolyte.structures import Crystal

OF_CRYSTAL = ("material_id", "formula", "lattice", "species", "frac_coords")


@dataclass(frozen=True, slots=True)
class Centers(RegisteredSource):
    """Computed centers of stable insulating lithium compounds of the Materials Project."""

    name: ClassVar[str] = "centers"
    online: ClassVar[bool] = False
    phonons: ClassVar[bool] = False

    @property
    def question(self) -> Mapping[str, Any]:
        """None: the table is one."""
        return {}

    def version(self) -> str:
        """Version of Phonolyte, which brings the table."""
        from phonolyte import __version__

        return __version__

    def pages(self, after: str) -> Iterator[Page]:
        """All compounds on one page."""
        rows = computed_centers().table.to_dict("records")
        items = ((str(row["material_id"]), {str(key): value for key, value in row.items()}) for row in rows)
        yield Page.from_items(items, _entry, source="computed centers").as_whole()


def _entry(name: str, row: Mapping[str, Any]) -> Entry:
    known = {key: value for key, value in row.items() if key not in OF_CRYSTAL}
    return Entry.from_crystal(Crystal.from_row(row), known)
