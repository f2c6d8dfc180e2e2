"""What a source gives of one material, and the pages in which it gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.dos import PhononDos
from phonolyte.errors import DosError, Failure
from phonolyte.structures import Crystal
from phonolyte.structures.crystal import states_of
from phonolyte.structures.dictionaries import crystal_from_ase, crystal_from_pymatgen

T = TypeVar("T")

STAGE = "fetch"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One material of a source.

    Attributes
    ----------
    material_id, formula
        Its name, and its reduced formula.
    crystal
        Its crystal, None where there is none that can be used.
    properties
        Name with unit -> value, such as ``e_hull_ev``.
    dos
        Its phonon density of states, under the name and the formula of the crystal; None where there is none.
    """

    material_id: str
    formula: str
    crystal: Crystal | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    dos: PhononDos | None = None

    @classmethod
    def from_crystal(cls, crystal: Crystal, properties: Mapping[str, Any], *, dos: PhononDos | None = None) -> Self:
        """The entry of a crystal, with its density of states under its name.

        Raises
        ------
        DosError
            When the density of states says that it is of another formula.
        """
        name, formula = crystal.material_id, crystal.formula
        if dos is not None:
            if dos.formula not in ("", formula):
                raise DosError(f"{name} is {formula}, and its density of states is of {dos.formula}",
                               fix="Give both one name only if they belong together.")  # fmt: skip
            dos = replace(dos, material_id=name, formula=formula)
        return cls(name, formula, crystal, properties, dos)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The entry that :meth:`to_json` gave."""
        name, formula = data["material_id"], data["formula"]
        crystal = _crystal_from_row(data["crystal"]) if data["crystal"] else None
        dos = PhononDos(**data["dos"], material_id=name, formula=formula) if data["dos"] else None
        return cls(name, formula, crystal, data["properties"], dos)

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON; numbers keep all their digits."""
        return {
            "material_id": self.material_id,
            "formula": self.formula,
            "crystal": self.crystal.row() if self.crystal else None,
            "properties": dict(self.properties),
            "dos": _dos_to_json(self.dos) if self.dos else None,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer.

    Attributes
    ----------
    entries
        The materials.
    failures
        Materials, or crystals of materials, that cannot be used.
    next
        Request for the page after this one; empty when there is none.
    total
        How many materials the whole answer has, None where the source does not report it.
    """

    entries: Sequence[Entry]
    failures: Sequence[Failure] = ()
    next: str = ""
    total: int | None = None

    @classmethod
    def from_items(cls, items: Iterable[tuple[str, T]], read: Callable[[str, T], Entry], *, source: str = "") -> Self:
        """The page of what a source has under some names; what cannot be read becomes a failure.

        Parameters
        ----------
        items
            Names of materials, and what the source has of each.
        read
            Makes an entry of them; may raise anything, since anything can come from elsewhere.
        source
            Where failures say they come from.
        """
        entries: list[Entry] = []
        failures: list[Failure] = []
        for name, item in items:
            try:
                entries.append(read(name, item))
            except Exception as error:
                failures.append(Failure.from_error(error, material_id=name, stage=STAGE, source=source))
        return cls(entries, failures)

    @classmethod
    def from_pages(cls, pages: Iterable[Page]) -> Self:
        """Everything on some pages."""
        pages = list(pages)
        return cls([entry for page in pages for entry in page.entries], [f for page in pages for f in page.failures])

    def as_whole(self) -> Self:
        """The page as the only one of an answer."""
        return replace(self, total=self.n_materials)

    @property
    def n_materials(self) -> int:
        """Materials on the page; one that has properties, but whose crystal failed, counts once."""
        failed = {failure.material_id for failure in self.failures}
        return len(self.failures) + sum(e.crystal is not None or e.material_id not in failed for e in self.entries)

    def as_json(self) -> dict[str, Any]:
        """The page as JSON, for :meth:`of`."""
        entries = [entry.to_json() for entry in self.entries]
        failures = [asdict(failure) for failure in self.failures]
        return {"records": entries, "failures": failures, "next": self.next, "total": self.total}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The page that :meth:`as_json` gave."""
        entries = [Entry.from_json(record) for record in data["records"]]
        return cls(entries, [Failure(**row) for row in data["failures"]], data["next"], data["total"])


class Source(Protocol):
    """A provider of materials: a frozen dataclass whose fields are the settings of the question.

    Attributes
    ----------
    name
        What it is called in tables and messages.
    question
        Everything that decides the answer: the same question, the same fetch.
    online
        Whether it can only be reached over the network.
    phonons
        Whether it gives phonon densities of states.
    license
        License of its data.
    citation
        BibTeX of what made the data, and of nothing else.
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
    def license(self) -> str:
        """License of its data."""

    @property
    def citation(self) -> str:
        """BibTeX entries."""

    def version(self) -> str:
        """Version of the data, as the source reports it."""

    def pages(self, after: str) -> Iterator[Page]:
        """The pages after the one whose `next` is given; all of them after an empty one."""


def crystal_from_dict(name: str, data: Mapping[str, Any]) -> Crystal:
    """The crystal of a dictionary of pymatgen or ASE, under a name.

    Raises
    ------
    StructureError
        When it cannot be used as a crystal.
    """
    if "numbers" in data:
        return crystal_from_ase(data, material_id=name, properties={})
    return crystal_from_pymatgen(data, material_id=name, properties={})


def _crystal_from_row(row: Mapping[str, Any]) -> Crystal:
    """The crystal of its row, which was checked before it was written: to the last digit, without a second check."""
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in row["species"]], dtype=np.int64)
    lattice, coords = np.array(row["lattice"], float), np.array(row["frac_coords"], float)
    occupancies = np.array(row["occupancies"], float) if row.get("occupancies") else None
    return Crystal(
        row["material_id"], lattice.reshape(3, 3), numbers, coords.reshape(-1, 3), occupancies=occupancies,
        disorder_groups=tuple(row.get("disorder_groups") or ()),
        oxidation_states=states_of(row["species"], row.get("oxidation_states")),
    )  # fmt: skip


def _dos_to_json(dos: PhononDos) -> dict[str, Any]:
    """What a density needs to be made again, but for its name and its formula."""
    return {
        "energies_mev": dos.energies_mev.tolist(),
        "total": dos.total.tolist(),
        "per_element": {symbol: density.tolist() for symbol, density in dos.per_element.items()},
        "n_atoms": dos.n_atoms,
        "highest_bond_mode_mev": dos.highest_bond_mode_mev,
    }
