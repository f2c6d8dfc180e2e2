"""All phases of chemical systems in the Materials Project, with their corrected energies: what a convex hull needs.

A hull is made of every phase of a chemical system, compounds without the mobile ion and elements included, so whole
systems are fetched, never the materials with one ion. The energies are those of the thermo endpoint, of one type:

``GGA_GGA+U``
    Default. GGA and GGA+U with the published corrections of 2020 (Wang et al.,
    https://doi.org/10.1038/s41598-021-94550-5), one scale for all chemical systems, and the type with most phases.
``R2SCAN``
    r2SCAN alone, also one scale; fewer phases.
``GGA_GGA+U_R2SCAN``
    Both, mixed (Kingsbury et al., https://doi.org/10.1038/s41524-022-00881-w). The mixing has a scale of its own in
    each chemical system, so the documents of subsystems do not fit together; the energies are those of the phase
    diagram that the Materials Project has built of the one system, from its public store.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.systems import largest_systems, parse_system, subsystems, system_of
from phonolyte.errors import Failure, SettingsError, SourceError
from phonolyte.runs.citations import bibtex
from phonolyte.sources.connection import Connection
from phonolyte.sources.entry import STAGE, Entry, Page, crystal_from_dict

ThermoType = Literal["GGA_GGA+U", "R2SCAN", "GGA_GGA+U_R2SCAN"]

MIXED: ThermoType = "GGA_GGA+U_R2SCAN"

THERMO, DIAGRAMS = "materials/thermo", "s3://materialsproject-build/objects/phase-diagrams/"

REQUIRED = ("material_id", "formula_pretty", "thermo_type", "energy_per_atom")
FIELDS = (
    *REQUIRED, "uncorrected_energy_per_atom", "formation_energy_per_atom", "energy_above_hull", "builder_meta",
    "entries",
)  # fmt: skip

BATCH = 50
"""Chemical systems requested at once; more would make addresses longer than servers take."""

PAGE_SIZE = 500
"""Phases in one answer, each with its structure."""

NOT_COMMERCIAL = "BY-NC"
"""License of the materials of GNoME, as the server spells it."""


@dataclass(frozen=True, kw_only=True)
class MaterialsProjectPhases:
    """All phases of chemical systems and of their subsystems, with energies of one type.

    Attributes
    ----------
    systems
        Chemical systems such as ``Li-P-S-Cl``; kept in the order of the alphabet, without those that are part of
        another one.
    thermo_type
        Type of the energies, see above.
    gnome
        Whether materials of GNoME are among them (CC BY-NC 4.0: not for commercial use); there are none with GGA.
        `e_hull_ev` is that of the database in either case.
    endpoint
        Address of the server. Default: the one of mp-api.

    Raises
    ------
    SettingsError
        For no system, for one that is not a chemical system, and for several systems with mixed energies.
    """

    systems: tuple[str, ...]
    thermo_type: ThermoType = "GGA_GGA+U"
    gnome: bool = False
    endpoint: str | None = None

    name: ClassVar[str] = "mp"
    online: ClassVar[bool] = True
    phonons: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Bring the systems into their form."""
        systems = largest_systems(map(parse_system, self.systems))
        if not systems:
            raise SettingsError(
                "no chemical system is given for the energies of phases",
                why="a convex hull needs all phases of a system, elements and compounds without the ion included",
                fix="Give --chemical-systems Li-P-S-Cl, or --systems-of INPUT for those of your crystals.",
            )
        if self.thermo_type == MIXED and len(systems) > 1:
            raise SettingsError(
                f"mixed energies can be fetched of one chemical system, not of {len(systems)}",
                why="their scale differs from system to system, so that one table of several would be wrong",
                fix="Fetch each into a folder of its own, or take --thermo-type GGA_GGA+U.",
            )
        object.__setattr__(self, "systems", systems)

    @property
    def question(self) -> Mapping[str, Any]:
        """Chemical systems, type of the energies, and whether GNoME takes part."""
        return {
            "what": "entries", "chemical_systems": list(self.systems), "thermo_type": self.thermo_type,
            "gnome": self.gnome, "endpoint": self.endpoint or "",
        }  # fmt: skip

    @property
    def license(self) -> str:
        """License of the database."""
        return "CC BY 4.0" + ("; materials of GNoME CC BY-NC 4.0" if self.gnome else "")

    @property
    def citation(self) -> str:
        """BibTeX of the database, of the corrections and the mixing, and of GNoME, as far as they take part."""
        parts = {"jain2013": True, "wang2021": self.thermo_type != "R2SCAN", "kingsbury2022": self.thermo_type == MIXED,
                 "merchant2023": self.gnome}  # fmt: skip
        return bibtex(*(key for key, takes_part in parts.items() if takes_part))

    def version(self) -> str:
        """Version of the database."""
        return self._server.version()

    def pages(self, after: str) -> Iterator[Page]:
        """The elements on the first page, then :data:`BATCH` subsystems a page; `next` is the number of those done.

        Raises
        ------
        SourceError
            When the server gives no usable answer, or every system lacks the energy of an element.
        """
        names = self._subsystems()
        n_elements = sum("-" not in name for name in names)
        first = int(after or 0)
        while first < len(names):
            last = len(names) if self.thermo_type == MIXED else first + BATCH if first else n_elements
            documents = self._documents(names[first:last])
            page = _page(documents)
            if first == 0:
                page = replace(page, failures=[*self._without_element(documents), *page.failures])
            yield replace(page, next=str(last) if last < len(names) else "")
            first = last

    @cached_property
    def _server(self) -> Connection:
        return Connection(self.endpoint)

    def _subsystems(self) -> list[str]:
        """All chemical systems to fetch: elements first, each once."""
        names = {name for system in self.systems for name in subsystems(system)}
        return sorted(names, key=lambda name: ("-" in name, name))

    def _documents(self, systems: Sequence[str]) -> list[dict[str, Any]]:
        """All phases of some chemical systems, checked."""
        mixed = self.thermo_type == MIXED
        endpoint, documents = (DIAGRAMS, self._diagram()) if mixed else (THERMO, self._search(systems))
        for document in documents:
            why = _fault(document, systems, self.thermo_type)
            if why:
                raise self._server.error(endpoint, why)
        return [document for document in documents if self.gnome or not _is_of_gnome(document)]

    def _search(self, systems: Sequence[str]) -> list[dict[str, Any]]:
        """Documents of the thermo endpoint; fewer than it counts are an error."""
        of_type = "r2SCAN" if self.thermo_type == "R2SCAN" else self.thermo_type  # as the server has it
        criteria = {"chemsys": ",".join(systems), "thermo_types": of_type, "_fields": "material_id", "_limit": 1}
        announced = self._server.ask(THERMO, lambda: int(self._server.rester.materials.thermo.count(criteria)))
        documents = self._server.ask(
            THERMO,
            lambda: list(
                self._server.rester.materials.thermo.search(
                    chemsys=list(systems), thermo_types=[self.thermo_type], fields=list(FIELDS), chunk_size=PAGE_SIZE
                )
            ),
        )
        n_different = len({document.get("material_id") for document in documents})
        if not len(documents) == n_different == announced:
            raise self._server.error(THERMO, f"{n_different} phases came, and {announced} were announced")
        return documents

    def _diagram(self) -> list[dict[str, Any]]:
        """Phases of the phase diagram that the Materials Project has built, in the form of thermo documents."""
        (system,) = self.systems

        def read() -> Any:
            return self._server.rester.materials.thermo.get_phase_diagram_from_chemsys(system, thermo_type=MIXED)

        diagram = self._server.ask(DIAGRAMS, read)
        if diagram is None:
            raise self._server.error(DIAGRAMS, f"it has no mixed phase diagram of {system}")
        return [_document_of(entry, diagram) for entry in diagram.all_entries]

    def _without_element(self, documents: Sequence[Mapping[str, Any]]) -> list[Failure]:
        """Systems of which an element has no energy, as failures.

        Raises
        ------
        SourceError
            When there is no other system.
        """
        present = {system_of(composition_of(document["formula_pretty"])) for document in documents}
        errors = []
        for system in self.systems:
            missing = [symbol for symbol in system.split("-") if symbol not in present]
            if missing:
                errors.append((system, self._no_element(system, missing)))
        if len(errors) == len(self.systems):
            raise errors[0][1]
        return [Failure.from_error(error, material_id=system, stage=STAGE, source=THERMO) for system, error in errors]

    def _no_element(self, system: str, missing: Sequence[str]) -> SourceError:
        version = self._server.version()
        return SourceError(
            f"the chemical system {system} has no hull",
            why=f"the Materials Project, version {version}, has no {self.thermo_type} energy of {', '.join(missing)}",
            fix="Leave that element out, or choose another --thermo-type.", kind="NoElement",
        )  # fmt: skip


def _page(documents: Sequence[Mapping[str, Any]]) -> Page:
    """The page of some phases; one without a usable crystal keeps its energy, and is a failure too."""
    named = {str(document["material_id"]): document for document in documents}
    page = Page.from_items(named.items(), _entry, source=THERMO)
    bare = [_bare_entry(failure.material_id, named[failure.material_id]) for failure in page.failures]
    return replace(page, entries=[*page.entries, *bare])


def _entry(name: str, document: Mapping[str, Any]) -> Entry:
    structures = [entry.get("structure") for entry in (document.get("entries") or {}).values()]
    if not structures or not structures[0]:
        raise SourceError(f"{name} has no structure", fix="Its energy is there.", kind="NoStructure")
    return Entry.from_crystal(crystal_from_dict(name, structures[0]), _bare_entry(name, document).properties)


def _bare_entry(name: str, document: Mapping[str, Any]) -> Entry:
    """A phase without its crystal."""
    formula = str(document["formula_pretty"])
    properties = {
        "chemical_system": system_of(composition_of(formula)),
        "energy_ev_atom": float(document["energy_per_atom"]),
        "uncorrected_energy_ev_atom": document.get("uncorrected_energy_per_atom"),
        "formation_ev_atom": document.get("formation_energy_per_atom"),
        "e_hull_ev": document.get("energy_above_hull"),
        "thermo_type": _thermo_type(document),
    }
    return Entry(name, formula, properties=properties)


def _fault(document: Mapping[str, Any], systems: Sequence[str], thermo_type: ThermoType) -> str:
    """What is wrong with a document, as a phrase; empty where nothing is."""
    name = document.get("material_id")
    missing = next((field for field in REQUIRED if document.get(field) is None), None)
    if missing:
        return f"{name} has no field {missing!r}: its schema has changed"
    energy = document["energy_per_atom"]
    if not isinstance(energy, (int, float)) or not math.isfinite(energy):
        return f"the energy of {name} is {energy!r}"
    if _thermo_type(document) != thermo_type:
        return f"{name} has an energy of type {document['thermo_type']}, and {thermo_type} was requested"
    if system_of(composition_of(document["formula_pretty"])) not in systems:
        return f"{name} is {document['formula_pretty']}, which is not of the requested chemical systems"
    return ""


def _thermo_type(document: Mapping[str, Any]) -> str:
    """The type of an energy; r2SCAN has two spellings."""
    name = str(document["thermo_type"])
    return "R2SCAN" if name == "r2SCAN" else name


def _is_of_gnome(document: Mapping[str, Any]) -> bool:
    return (document.get("builder_meta") or {}).get("license") == NOT_COMMERCIAL


def _document_of(entry: Any, diagram: Any) -> dict[str, Any]:
    """A phase of a phase diagram of pymatgen, in the form of a thermo document."""
    structure = getattr(entry, "structure", None)
    return {
        "material_id": entry.data.get("material_id"),
        "formula_pretty": entry.composition.reduced_formula,
        "thermo_type": MIXED,
        "energy_per_atom": float(entry.energy_per_atom),
        "uncorrected_energy_per_atom": float(entry.uncorrected_energy_per_atom),
        "formation_energy_per_atom": float(diagram.get_form_energy_per_atom(entry)),
        "energy_above_hull": diagram.get_e_above_hull(entry, on_error="ignore"),
        "builder_meta": {"license": entry.data.get("license")},
        "entries": {MIXED: {"structure": structure.as_dict() if structure else None}},
    }
