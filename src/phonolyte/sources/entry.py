"""What a source gives of one material, and the pages in which it gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from phonolyte.dos import PhononDos
from phonolyte.errors import Failure
from phonolyte.structures import Crystal

STAGE = "fetch"

Record = dict[str, Any]
"""An entry as JSON: `material_id`, `formula`, `properties`, `crystal` (its row of the crystal table), `dos`."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One material of a source: its crystal and its phonon density of states where there are such."""

    material_id: str
    formula: str
    crystal: Crystal | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    dos: PhononDos | None = None

    @classmethod
    def of(cls, crystal: Crystal, properties: Mapping[str, Any], dos: PhononDos | None = None) -> Entry:
        """The entry of a crystal."""
        return cls(crystal.material_id, crystal.formula, crystal, properties, dos)

    def record(self) -> Record:
        """The entry as JSON; numbers keep all their digits."""
        row = self.crystal.row() if self.crystal else None
        return {
            "material_id": self.material_id,
            "formula": self.formula,
            "crystal": row,
            "properties": dict(self.properties),
            "dos": _dos_record(self.dos) if self.dos else None,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer.

    Attributes
    ----------
    records
        The entries, as :meth:`Entry.record` has them.
    failures
        Materials that cannot be used.
    next
        How the source is asked for the page after this one; empty when there is none.
    total
        How many materials the whole answer has, None where the source does not tell.
    """

    records: list[Record]
    failures: list[Failure] = field(default_factory=list)
    next: str = ""
    total: int | None = None

    @property
    def n_materials(self) -> int:
        """Materials on the page; one that has properties, but whose crystal failed, counts once."""
        failed = {failure.material_id for failure in self.failures}
        return len(self.failures) + sum(bool(r["crystal"]) or r["material_id"] not in failed for r in self.records)

    def as_json(self) -> dict[str, Any]:
        """The page as JSON, for :meth:`of`."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Page:
        """The page that :meth:`as_json` gave."""
        return cls(data["records"], [Failure(**row) for row in data["failures"]], data["next"], data["total"])


class Source(Protocol):
    """Something that can be asked for materials.

    Attributes
    ----------
    name
        What it is called in tables and messages.
    question
        Everything that decides the answer: the same question, the same fetch.
    online
        Whether it can only be asked over the network.
    phonons
        Whether it gives phonon densities of states.
    licence
        Of its data.
    citation
        BibTeX.
    """

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def question(self) -> Mapping[str, Any]:
        """What decides the answer."""

    @property
    def online(self) -> bool:
        """Whether only the network has it."""

    @property
    def phonons(self) -> bool:
        """Whether it gives phonons."""

    @property
    def licence(self) -> str:
        """Of its data."""

    @property
    def citation(self) -> str:
        """BibTeX entries."""

    def version(self) -> str:
        """Version of the data, as the source tells it."""

    def pages(self, after: str) -> Iterator[Page]:
        """The pages after the one whose `next` is given; all of them after an empty one."""


def dos_of(record: Record) -> PhononDos | None:
    """The density of states in a record."""
    data = record["dos"]
    if data is None:
        return None
    return PhononDos(
        np.array(data["energies_mev"]),
        np.array(data["total"]),
        {symbol: np.array(density) for symbol, density in data["per_element"].items()},
        n_atoms=data["n_atoms"],
        highest_bond_mode_mev=data["highest_bond_mode_mev"],
        material_id=record["material_id"],
        formula=record["formula"],
    )


def _dos_record(dos: PhononDos) -> dict[str, Any]:
    return {
        "energies_mev": dos.energies_mev.tolist(),
        "total": dos.total.tolist(),
        "per_element": {symbol: density.tolist() for symbol, density in dos.per_element.items()},
        "n_atoms": dos.n_atoms,
        "highest_bond_mode_mev": dos.highest_bond_mode_mev,
    }
