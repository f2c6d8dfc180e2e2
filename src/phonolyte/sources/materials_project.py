"""The Materials Project, through ``mp-api``: crystals with their properties, and phonon densities of states.

Properties and crystals come from the summary endpoint, page by page. Densities of states are not on the server: the
Materials Project keeps them as a table in its public store, where mp-api's own phonon client reads them one by one.
Here those of a whole page are read at once, since each reading has to go through the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import numpy as np

from phonolyte.dos import PhononDos
from phonolyte.errors import SourceError
from phonolyte.runs.citations import bibtex
from phonolyte.sources.connection import Connection
from phonolyte.sources.entry import Entry, Page, crystal_from_dict
from phonolyte.units import MEV_PER_THZ

SUMMARY, PHONON = "materials/summary", "materials/phonon"
STORE = "s3://materialsproject-parsed/phonon/electronic-structure/dos/"

FIELDS = ("material_id", "structure", "energy_above_hull", "band_gap", "is_metal", "database_IDs")
PHONON_FIELDS = (*FIELDS, "phonon_IDs")

METHODS = ("dfpt", "pheasy", "phonopy")
"""Ways in which phonons were calculated there, the first that a material has counts."""

PAGE_SIZE = {"structures": 1000, "phonons": 200}
"""Materials requested at once."""

GNOME = "gnome_r2scan_statics"
"""Batch of the materials of GNoME, which are not for commercial use."""


@dataclass(frozen=True, kw_only=True)
class MaterialsProject:
    """Materials that contain an ion.

    Attributes
    ----------
    ion
        Element that the materials contain; ``any`` for all materials.
    what
        All ``structures``, or only those with ``phonons``, with their densities of states.
    gnome
        Whether materials of GNoME are among them (CC BY-NC 4.0: not for commercial use).
    endpoint
        Address of the server. Default: the one of mp-api.
    page_size
        Materials requested at once. Default: :data:`PAGE_SIZE`.
    """

    ion: str = "Li"
    what: Literal["structures", "phonons"] = "structures"
    gnome: bool = False
    endpoint: str | None = None
    page_size: int | None = field(default=None, compare=False)

    name: ClassVar[str] = "mp"
    online: ClassVar[bool] = True

    @property
    def question(self) -> Mapping[str, Any]:
        """Ion, kind of data, and whether GNoME takes part."""
        return {"ion": self.ion, "what": self.what, "gnome": self.gnome, "endpoint": self.endpoint or ""}

    @property
    def phonons(self) -> bool:
        """Whether it gives phonons."""
        return self.what == "phonons"

    @property
    def license(self) -> str:
        """License of the database."""
        return "CC BY 4.0" + ("; materials of GNoME CC BY-NC 4.0" if self.gnome else "")

    @property
    def citation(self) -> str:
        """BibTeX citation of the database, of its phonons, and of GNoME, as far as they take part."""
        parts = {"jain2013": True, "petretto2018": self.phonons, "merchant2023": self.gnome}
        return bibtex(*(key for key, takes_part in parts.items() if takes_part))

    def version(self) -> str:
        """Version of the database."""
        return self._server.version()

    def pages(self, after: str) -> Iterator[Page]:
        """One page a request; `next` is the number and the size of the following one.

        Raises
        ------
        SourceError
            When the server gives no usable answer.
        """
        number, size = map(int, after.split("/")) if after else (1, self.page_size or PAGE_SIZE[self.what])
        total = self._count()
        while (number - 1) * size < total:
            documents = self._documents(number, size)
            following = f"{number + 1}/{size}" if number * size < total else ""
            yield self._page(documents, following, total)
            number += 1

    @cached_property
    def _server(self) -> Connection:
        return Connection(self.endpoint)

    def _count(self) -> int:
        criteria = {**self._criteria(), "_fields": "material_id", "_limit": 1}
        return int(self._server.ask(SUMMARY, lambda: self._server.rester.materials.summary.count(criteria)))

    def _criteria(self) -> dict[str, Any]:
        """What the materials must have, as the server spells it."""
        criteria = {
            "deprecated": False,
            "elements": None if self.ion == "any" else self.ion,
            "has_props": "phonon" if self.phonons else None,
            "batch_id_not_eq": None if self.gnome else GNOME,
        }
        return {name: value for name, value in criteria.items() if value is not None}

    def _documents(self, number: int, size: int) -> list[dict[str, Any]]:
        """One page of the summary."""
        fields = PHONON_FIELDS if self.phonons else FIELDS
        documents = self._server.ask(
            SUMMARY,
            lambda: self._server.rester.materials.summary.search(
                elements=None if self.ion == "any" else [self.ion], has_props=["phonon"] if self.phonons else None,
                include_gnome=self.gnome, deprecated=False, fields=list(fields), chunk_size=size, num_chunks=1,
                _page=number, _sort_fields="material_id",
            ),
        )  # fmt: skip
        if not documents:
            raise self._server.error(SUMMARY, f"page {number} is empty, though more materials were announced")
        for name in ("material_id", "structure"):
            if not any(document.get(name) for document in documents):
                raise self._server.error(
                    SUMMARY, f"no material on page {number} has a field {name!r}: its schema has changed"
                )
        return list(documents)

    def _page(self, documents: Sequence[dict[str, Any]], following: str, total: int) -> Page:
        densities = self._densities(documents) if self.phonons else {}
        items = ((str(document.get("material_id", "")), document) for document in documents)
        page = Page.from_items(items, partial(self._entry, densities=densities), source=SUMMARY)
        return replace(page, next=following, total=total)

    def _entry(self, name: str, document: Mapping[str, Any], *, densities: Mapping[str, Mapping[str, Any]]) -> Entry:
        if not document.get("structure"):
            raise SourceError(f"{name} has no structure", kind="NoStructure")
        crystal = crystal_from_dict(name, document["structure"])
        properties = _properties(document)
        if not self.phonons:
            return Entry.from_crystal(crystal, properties)
        method, identifier = _phonon_id(name, document.get("phonon_IDs"))
        dos = densities.get(_stored_id(identifier))
        if dos is None:
            raise SourceError(
                f"{name} has no density of states",
                why=f"{STORE} has none of {identifier}, database version {self.version()}", kind="NoPhonons",
            )  # fmt: skip
        return Entry.from_crystal(crystal, {**properties, "phonon_method": method}, dos=_dos(dos))

    def _densities(self, documents: Sequence[dict[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Stored identifier of a calculation -> its density of states, for all on a page."""
        wanted = []
        for document in documents:
            try:
                wanted.append(_phonon_id("", document.get("phonon_IDs")))
            except SourceError:
                continue  # becomes a failure where its entry is made
        if not wanted:
            return {}
        densities = self._server.ask(STORE, lambda: _read_store(wanted))
        bare = [identifier for identifier, dos in densities.items() if not dos.get("structure")]
        return densities | self._with_structures({identifier: densities[identifier] for identifier in bare})

    def _with_structures(self, densities: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Densities with the cells of their calculations, which give the element of each projection."""
        if not densities:
            return {}
        documents = self._server.ask(
            PHONON,
            lambda: self._server.rester.materials.phonon.search(
                identifiers=list(densities), fields=["identifier", "structure"]
            ),
        )
        cells = {_stored_id(str(document.get("identifier"))): document.get("structure") for document in documents}
        return {name: {**dos, "structure": cells.get(name)} for name, dos in densities.items()}


def _properties(document: Mapping[str, Any]) -> dict[str, Any]:
    numbers = (document.get("database_IDs") or {}).get("icsd") or []
    return {
        "e_hull_ev": document.get("energy_above_hull"),
        "band_gap_ev": document.get("band_gap"),
        "is_metal": document.get("is_metal"),
        "icsd_ids": " ".join(str(number).removeprefix("icsd-") for number in numbers) or None,
    }


def _phonon_id(name: str, identifiers: Any) -> tuple[str, str]:
    """Method and identifier of the phonon calculation that counts.

    Raises
    ------
    SourceError
        When there is none.
    """
    for method in METHODS:
        if named := (identifiers or {}).get(method):
            return method, str(named[0])
    raise SourceError(f"{name} names no phonon calculation", kind="NoPhonons")


def _read_store(wanted: Sequence[tuple[str, str]]) -> dict[str, Mapping[str, Any]]:
    """Densities of states of calculations (method, identifier), from the table in the public store."""
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    calculations = {(method, _stored_id(identifier)) for method, identifier in wanted}
    table = DeltaTable(STORE, storage_options={"AWS_SKIP_SIGNATURE": "true", "AWS_REGION": "us-east-1"})
    names = ", ".join(f"'{identifier}'" for _, identifier in sorted(calculations))
    query = f"SELECT identifier, phonon_method, dos FROM dos WHERE identifier IN ({names})"
    rows = pa.table(QueryBuilder().register("dos", table).execute(query).read_all())
    return {
        row["identifier"]: row["dos"]
        for row in rows.to_pylist(maps_as_pydicts="strict")
        if (row["phonon_method"], row["identifier"]) in calculations and row["dos"] is not None
    }


def _stored_id(identifier: str) -> str:
    """An identifier as the store spells it: ``mp-149`` and ``mp-aaaaaaft`` are the same."""
    from emmet.core.mpid import AlphaID

    return str(AlphaID(identifier.rpartition("-")[2], padlen=8))


def _dos(data: Mapping[str, Any]) -> PhononDos:
    """A density of states as emmet has it: THz, states per THz and cell, one projection for each atom."""
    scale = MEV_PER_THZ
    cell = crystal_from_dict("", data["structure"]) if data.get("structure") else None
    per_element: dict[str, Any] = {}
    projected = data.get("projected_densities") or []
    if cell and len(projected) == len(cell):
        for symbol, density in zip(cell.symbols, projected, strict=True):
            per_element[symbol] = per_element.get(symbol, 0.0) + np.array(density, float) / scale
    return PhononDos(
        np.array(data["frequencies"], float) * scale, np.array(data["densities"], float) / scale, per_element,
        n_atoms=float(len(cell)) if cell else None, formula=cell.formula if cell else "",
    )  # fmt: skip
