"""The Materials Project, through ``mp-api``: crystals with their properties, and phonon densities of states.

Properties and crystals come from the summary endpoint, page by page. Densities of states are no part of the server: the
Materials Project keeps them as a table in its public store, where mp-api's own phonon client reads them one by one.
Here those of a whole page are read at once, since each reading has to go through the table.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from phonolyte.dos import PhononDos
from phonolyte.errors import MissingExtraError, PhonolyteError, SettingsError, SourceError
from phonolyte.runs.citations import bibtex
from phonolyte.sources.entry import Entry, Page, crystal_from_dict
from phonolyte.units import MEV_PER_THZ

T = TypeVar("T")

HEARTBEAT, SUMMARY, PHONON = "heartbeat", "materials/summary", "materials/phonon"
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
    def licence(self) -> str:
        """Of the database."""
        return "CC BY 4.0" + ("; materials of GNoME CC BY-NC 4.0" if self.gnome else "")

    @property
    def citation(self) -> str:
        """Of the database, of its phonons, and of GNoME, as far as they take part."""
        parts = {"jain2013": True, "petretto2018": self.phonons, "merchant2023": self.gnome}
        return bibtex(*(key for key, takes_part in parts.items() if takes_part))

    def version(self) -> str:
        """Version of the database."""
        version = str(self._rester.db_version or "")
        if not version:
            raise self._error(HEARTBEAT, "it does not tell the version of its database")
        return version

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
    def _key(self) -> str:
        return api_key()

    @cached_property
    def _rester(self) -> Any:
        from phonolyte.sources.web import make_patient

        client = _import_client().MPRester

        def connect() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about deprecated attributes, and about an experimental version
                return client(self._key, endpoint=self.endpoint, use_document_model=False, mute_progress_bars=True)

        rester = self._ask(HEARTBEAT, connect)
        make_patient(rester.session)  # which all endpoints share; of its own it gives up at 500 and at a broken body
        return rester

    def _count(self) -> int:
        criteria = {**self._criteria(), "_fields": "material_id", "_limit": 1}
        return int(self._ask(SUMMARY, lambda: self._rester.materials.summary.count(criteria)))

    def _criteria(self) -> dict[str, Any]:
        """What the materials must have, as the server spells it."""
        asked = {
            "deprecated": False,
            "elements": None if self.ion == "any" else self.ion,
            "has_props": "phonon" if self.phonons else None,
            "batch_id_not_eq": None if self.gnome else GNOME,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def _documents(self, number: int, size: int) -> list[dict[str, Any]]:
        """One page of the summary."""
        fields = PHONON_FIELDS if self.phonons else FIELDS
        documents = self._ask(
            SUMMARY,
            lambda: self._rester.materials.summary.search(
                elements=None if self.ion == "any" else [self.ion], has_props=["phonon"] if self.phonons else None,
                include_gnome=self.gnome, deprecated=False, fields=list(fields), chunk_size=size, num_chunks=1,
                _page=number, _sort_fields="material_id",
            ),
        )  # fmt: skip
        if not documents:
            raise self._error(SUMMARY, f"page {number} is empty, though more materials were announced")
        for name in ("material_id", "structure"):
            if not any(document.get(name) for document in documents):
                raise self._error(SUMMARY, f"no material on page {number} has a field {name!r}: its schema has changed")
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
        found = self._ask(STORE, lambda: _read_store(wanted))
        bare = [identifier for identifier, dos in found.items() if not dos.get("structure")]
        return found | self._with_structures({identifier: found[identifier] for identifier in bare})

    def _with_structures(self, densities: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Densities with the cells of their calculations, which tell the element of each projection."""
        if not densities:
            return {}
        documents = self._ask(
            PHONON,
            lambda: self._rester.materials.phonon.search(
                identifiers=list(densities), fields=["identifier", "structure"]
            ),
        )
        cells = {_stored_id(str(document.get("identifier"))): document.get("structure") for document in documents}
        return {name: {**dos, "structure": cells.get(name)} for name, dos in densities.items()}

    def _ask(self, endpoint: str, ask: Callable[[], T]) -> T:
        """What the server answers; what remains after the patience of the session is repeated here.

        That is an answer that cannot be understood, the public store, and the heartbeat, which goes past the session.
        """
        from requests.exceptions import RequestException

        from phonolyte.sources.web import in_words, persist

        final: tuple[type[Exception], ...] = (PhonolyteError, _import_client().core.MPRestError)
        if endpoint != HEARTBEAT:
            final += (RequestException,)
        try:
            return persist(ask, may_pass=lambda error: not isinstance(error, final))
        except PhonolyteError:
            raise
        except Exception as error:  # mp-api lets through whatever its libraries raise
            why = in_words(error, secret=self._key)
            why = "it answers with null instead of data" if "NoneType" in why else why
            raise self._error(endpoint, why) from None

    def _error(self, endpoint: str, why: str) -> SourceError:
        """An error that says which endpoint of which version of the database it was."""
        rester = self.__dict__.get("_rester")
        version = getattr(rester, "db_version", "") or "unknown"
        fix = "Give the same command again later: it goes on where it is."
        if "status code 401" in why or "status code 403" in why:
            fix = "Check the key (MP_API_KEY): materialsproject.org/api shows it."
        elif "limits the rate" in why:
            fix = "Wait some minutes; the same command goes on where it is."
        return SourceError(
            "the Materials Project gives no usable answer",
            why=f"endpoint {endpoint}, database version {version}: {why}", fix=fix,
        )  # fmt: skip


def api_key() -> str:
    """The key: ``MP_API_KEY``, else pymatgen's setting ``PMG_MAPI_KEY``. It is handed to mp-api and to nobody else.

    Raises
    ------
    SettingsError
        When there is none, or it cannot be one.
    """
    from pymatgen.core import SETTINGS

    key = str(os.environ.get("MP_API_KEY") or SETTINGS.get("PMG_MAPI_KEY") or "").strip()
    if not key:
        raise SettingsError(
            "there is no key for the Materials Project",
            why="neither MP_API_KEY nor PMG_MAPI_KEY in pymatgen's settings is set",
            fix="Get one at materialsproject.org/api, and set MP_API_KEY. Without a key: phonolyte fetch optimade.",
        )
    if not re.fullmatch(r"[A-Za-z0-9]{32}", key):  # anything else would be refused, and shown, by the HTTP library
        raise SettingsError(
            "the key for the Materials Project cannot be one",
            why=f"it has {len(key)} characters, and must have 32 letters and digits",
            fix="Copy it again from materialsproject.org/api.",
        )
    return key


def _import_client() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about each other
            import mp_api.client.core
    except ImportError:
        raise MissingExtraError("mp-api is not installed", fix="pip install 'phonolyte[mp]'") from None
    return mp_api.client


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
        if found := (identifiers or {}).get(method):
            return method, str(found[0])
    raise SourceError(f"{name} names no phonon calculation", kind="NoPhonons")


def _read_store(wanted: Sequence[tuple[str, str]]) -> dict[str, Mapping[str, Any]]:
    """Densities of states of calculations (method, identifier), from the table in the public store."""
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    asked = {(method, _stored_id(identifier)) for method, identifier in wanted}
    table = DeltaTable(STORE, storage_options={"AWS_SKIP_SIGNATURE": "true", "AWS_REGION": "us-east-1"})
    names = ", ".join(f"'{identifier}'" for _, identifier in sorted(asked))
    query = f"SELECT identifier, phonon_method, dos FROM dos WHERE identifier IN ({names})"
    rows = pa.table(QueryBuilder().register("dos", table).execute(query).read_all())
    return {
        row["identifier"]: row["dos"]
        for row in rows.to_pylist(maps_as_pydicts="strict")
        if (row["phonon_method"], row["identifier"]) in asked and row["dos"] is not None
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
