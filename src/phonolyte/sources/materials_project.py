"""The Materials Project, through ``mp-api``: crystals with their properties, and phonon densities of states.

Properties and crystals come from the summary endpoint, page by page. Densities of states are no part of the server: the
Materials Project keeps them as a table in its public store, where mp-api's own phonon client reads them one by one.
Here those of a whole page are read at once, since each reading has to go through the table.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from phonolyte.dos import PhononDos
from phonolyte.errors import DosError, Failure, MissingExtraError, SettingsError, SourceError
from phonolyte.sources.entry import STAGE, Entry, Page, Record
from phonolyte.structures import Crystal
from phonolyte.structures.dictionaries import crystal_from_pymatgen
from phonolyte.units import MEV_PER_THZ

T = TypeVar("T")

SUMMARY, PHONON = "materials/summary", "materials/phonon"
STORE = "s3://materialsproject-parsed/phonon/electronic-structure/dos/"

FIELDS = ("material_id", "structure", "energy_above_hull", "band_gap", "is_metal", "database_IDs")
PHONON_FIELDS = (*FIELDS, "phonon_IDs")

METHODS = ("dfpt", "pheasy", "phonopy")
"""Ways in which phonons were calculated there, the first that a material has counts."""

PAGE_SIZE = {"structures": 1000, "phonons": 200}
"""Materials asked for at once."""

PAUSES_S = [2.0, 10.0, 30.0]
"""Before further attempts; mp-api has already made three, and heeded Retry-After."""

FINAL = re.compile(r"status code (?:400|401|403|404|405|413|422)|does not support the request|invalid fields")
"""Answers that do not change when one asks again."""

LIMITED = "it limits the rate of requests"

GNOME = "gnome_r2scan_statics"
"""Batch of the materials of GNoME, which are not for commercial use."""


@dataclass(frozen=True)
class MaterialsProject:
    """Materials that contain an ion.

    Attributes
    ----------
    ion
        Element symbol; ``any`` for all materials.
    what
        ``structures``, or ``phonons``: only materials with phonons, with their densities of states.
    gnome
        Whether materials of GNoME are among them.
    endpoint
        Of the server; the one of mp-api unless given.
    page_size
        Materials asked for at once.
    """

    ion: str = "Li"
    what: Literal["structures", "phonons"] = "structures"
    gnome: bool = False
    endpoint: str | None = None
    page_size: int | None = field(default=None, compare=False)
    name: str = "mp"
    online: bool = True

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
        """The database is in every ``cite.bib``; its phonons, too."""
        return ""

    def version(self) -> str:
        """Version of the database."""
        version = str(self._rester.db_version or "")
        if not version:
            raise self._error("heartbeat", "it does not tell the version of its database")
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
        client = _client()

        def connect() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about deprecated attributes, and about an experimental version
                return client(self._key, endpoint=self.endpoint, use_document_model=False, mute_progress_bars=True)

        return self._asked("heartbeat", connect)

    def _count(self) -> int:
        criteria = {**self._criteria(), "_fields": "material_id", "_limit": 1}
        return int(self._asked(SUMMARY, lambda: self._rester.materials.summary.count(criteria)))

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
        documents = self._asked(
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
        records: list[Record] = []
        failures: list[Failure] = []
        for document in documents:
            name = str(document.get("material_id", ""))
            try:
                records.append(self._entry(name, document, densities).record())
            except Exception as error:  # a document can hold anything
                failures.append(Failure.of(error, material_id=name, stage=STAGE, source=SUMMARY))
        return Page(records, failures, following, total)

    def _entry(self, name: str, document: Mapping[str, Any], densities: Mapping[str, Mapping[str, Any]]) -> Entry:
        crystal = _crystal(name, document.get("structure"))
        properties = _properties(document)
        if not self.phonons:
            return Entry.of(crystal, properties)
        method, identifier = _phonon_id(name, document.get("phonon_IDs"))
        dos = densities.get(_stored_id(identifier))
        if dos is None:
            raise SourceError(
                f"{name} has no density of states",
                why=f"{STORE} has none of {identifier}, database version {self.version()}", kind="NoPhonons",
            )  # fmt: skip
        return Entry.of(crystal, {**properties, "phonon_method": method}, _dos(crystal, dos))

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
        found = self._asked(STORE, lambda: _read_store(wanted))
        bare = [identifier for identifier, dos in found.items() if not dos.get("structure")]
        return found | self._with_structures({identifier: found[identifier] for identifier in bare})

    def _with_structures(self, densities: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Densities with the cells of their calculations, which tell the element of each projection."""
        if not densities:
            return {}
        documents = self._asked(
            PHONON,
            lambda: self._rester.materials.phonon.search(
                identifiers=list(densities), fields=["identifier", "structure"]
            ),
        )
        cells = {_stored_id(str(document.get("identifier"))): document.get("structure") for document in documents}
        return {name: {**dos, "structure": cells.get(name)} for name, dos in densities.items()}

    def _asked(self, endpoint: str, ask: Callable[[], T]) -> T:
        """What the server says; asked again when that may help."""
        for pause in (*PAUSES_S, None):
            try:
                return ask()
            except (MissingExtraError, SettingsError):
                raise
            except Exception as error:  # mp-api lets through whatever its libraries raise
                said = _in_words(error, self._key)
                if pause is None or FINAL.search(said):
                    raise self._error(endpoint, said) from None
                time.sleep(pause)
        raise AssertionError  # the last attempt returns or raises

    def _error(self, endpoint: str, why: str) -> SourceError:
        """An error that says which endpoint of which version of the database it was."""
        rester = self.__dict__.get("_rester")
        version = getattr(rester, "db_version", "") or "unknown"
        fix = "Give the same command again later: it goes on where it is."
        if "status code 401" in why or "status code 403" in why:
            fix = "Check the key (MP_API_KEY): materialsproject.org/api shows it."
        elif why == LIMITED:
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


def _client() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about each other
            from mp_api.client import MPRester
    except ImportError:
        raise MissingExtraError("mp-api is not installed", fix="pip install 'phonolyte[mp]'") from None
    return MPRester


def _in_words(error: Exception, key: str) -> str:
    """What an exception says, in one line of at most 300 characters, the key taken out before."""
    text = " ".join(str(error).replace(key, "(key)").split()) or type(error).__name__
    if "NoneType" in text:
        return "it answers with null instead of data"
    if "too many 429" in text or "status code 429" in text:
        return LIMITED
    if "Max retries exceeded" in text:
        return "no connection"
    return text[:300]


def _crystal(name: str, structure: Any) -> Crystal:
    if not structure:
        raise SourceError(f"{name} has no structure", kind="NoStructure")
    return crystal_from_pymatgen(structure, material_id=name, properties={})


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


def _dos(crystal: Crystal, data: Mapping[str, Any]) -> PhononDos:
    """A density of states as emmet has it: THz, states per THz and cell, one projection for each atom."""
    scale = MEV_PER_THZ
    cell = _crystal(crystal.material_id, data["structure"]) if data.get("structure") else None
    if cell and cell.formula != crystal.formula:
        raise DosError(f"{crystal.material_id} is {crystal.formula}, and its phonons are of {cell.formula}")
    per_element: dict[str, Any] = {}
    projected = data.get("projected_densities") or []
    if cell and len(projected) == len(cell):
        for symbol, density in zip(cell.symbols, projected, strict=True):
            per_element[symbol] = per_element.get(symbol, 0.0) + np.array(density, float) / scale
    return PhononDos(
        np.array(data["frequencies"], float) * scale, np.array(data["densities"], float) / scale, per_element,
        n_atoms=float(len(cell)) if cell else None, material_id=crystal.material_id, formula=crystal.formula,
    )  # fmt: skip
