"""Published sets that are downloaded once: calculated phonons, and measured conductivities."""

from __future__ import annotations

import ast
import csv
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from phonolyte.dos import PhononDos
from phonolyte.dos.bonds import highest_bond_mode_mev
from phonolyte.errors import SourceError
from phonolyte.files import parse_json
from phonolyte.runs.records import checksum
from phonolyte.sources.cache import obtain
from phonolyte.sources.entry import Entry, Page, crystal_from_dict
from phonolyte.sources.registry import Dataset, RegisteredSource, dataset
from phonolyte.units import MEV_PER_INVERSE_CM

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Published(RegisteredSource):
    """A set of the registry; its files come from the cache, or from where they are published.

    Attributes
    ----------
    name
        Name of the set in the registry.
    offline
        Whether only the cache may be used.
    """

    name: str
    offline: bool = False

    online: ClassVar[bool] = False

    @property
    def question(self) -> Mapping[str, Any]:
        """Version of the set."""
        return {"version": self._dataset.version}

    @property
    def phonons(self) -> bool:
        """Whether it gives phonons."""
        return self.name == "petretto2018"

    def version(self) -> str:
        """As its publishers have it, with the beginning of the checksum of each file."""
        sums = (checksum(self._file(file.name))[:12] for file in self._dataset.files)
        return f"{self._dataset.version} ({', '.join(sums)})"

    def pages(self, after: str) -> Iterator[Page]:
        """All of the set on one page."""
        paths = {file.name: self._file(file.name) for file in self._dataset.files}
        yield PARSERS[self.name](paths)

    @property
    def _dataset(self) -> Dataset:
        return dataset(self.name)

    def _file(self, name: str) -> Path:
        return obtain(self.name, self._dataset.file(name), offline=self.offline)


def parse_phonon_csv(paths: Mapping[str, Path]) -> Page:
    """Crystals and densities of states of ``data.csv``.

    Columns `mp_id`, `structure` (a dictionary of ASE or pymatgen), `phfreq` (cm^-1), `phdos` (maximum 1) and
    perhaps `pdos` (a dictionary: element -> density, maximum 1 each).
    """
    rows = _rows(paths["data.csv"], {"mp_id", "structure", "phfreq", "phdos"})
    return Page.from_items(((row["mp_id"], row) for row in rows), _phonon_entry, source="data.csv").as_whole()


def parse_obelix(paths: Mapping[str, Path]) -> Page:
    """Conductivities of ``all.csv``, with the structures of ``all_cifs.tar.gz``."""
    cifs = _members(paths["all_cifs.tar.gz"])
    rows = list(_rows(paths["all.csv"], {"ID", "Reduced Composition", "Ionic conductivity (S cm-1)"}))
    texts = [(row["ID"], cifs.get(f"{row['ID']}.cif", "")) for row in rows]
    read = Page.from_items(texts, _read_cif, source="all_cifs.tar.gz")
    crystals = {entry.material_id: entry.crystal for entry in read.entries}
    entries = [
        Entry(row["ID"], row["Reduced Composition"].replace(" ", ""), crystals.get(row["ID"]), _conductivity(row))
        for row in rows
    ]
    return replace(read, entries=entries).as_whole()


PARSERS: dict[str, Callable[[Mapping[str, Path]], Page]] = {
    "petretto2018": parse_phonon_csv,
    "obelix": parse_obelix,
}
"""Set of the registry -> what reads its files."""


def _rows(path: Path, needed: set[str]) -> Iterator[Row]:
    """Rows of a CSV.

    Raises
    ------
    SourceError
        When it lacks a column.
    """
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:  # a row with it fails on its own
        rows = csv.DictReader(stream)
        try:
            missing = needed - set(rows.fieldnames or ())
            if missing:
                raise SourceError(
                    f"{path.name} has changed",
                    why=f"it lacks the columns {', '.join(sorted(missing))}",
                    fix="Remove it with phonolyte cache clear, or use the version that this Phonolyte knows.",
                )
            yield from rows
        except csv.Error as error:
            raise SourceError(
                f"{path.name} is not CSV", why=str(error), fix="phonolyte cache clear removes it."
            ) from None


def _phonon_entry(name: str, row: Row) -> Entry:
    scale = MEV_PER_INVERSE_CM
    crystal = crystal_from_dict(name, _literal(row["structure"]))
    parts = _literal(row.get("pdos") or "{}")
    dos = PhononDos(
        np.array(_literal(row["phfreq"]), float) * scale,
        np.array(_literal(row["phdos"]), float) / scale,
        {symbol: np.array(density, float) / scale for symbol, density in parts.items()},
        highest_bond_mode_mev=highest_bond_mode_mev(crystal),
    )
    return Entry.from_crystal(crystal, {}, dos=dos)


def _literal(text: str) -> Any:
    """A value written as JSON or as Python has it; never evaluated."""
    try:
        return parse_json(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        why = str(error).partition("\n")[0][:120] or type(error).__name__
        raise SourceError("a field is neither JSON nor Python", why=why, kind="BadField") from None


def _read_cif(name: str, text: str) -> Entry:
    from phonolyte.structures.cif import blocks_with_a_cell, crystal_from_cif

    blocks = blocks_with_a_cell(text)
    if not blocks:
        raise SourceError(f"{name} has no structure", why="the set has no CIF of it", kind="NoStructure")
    return Entry.from_crystal(crystal_from_cif(blocks[0], material_id=name), {})


def _members(path: Path) -> dict[str, str]:
    """File name -> text, of an archive; nothing is unpacked."""
    with tarfile.open(path) as archive:
        files = (member for member in archive if member.isfile())
        streams = ((Path(member.name).name, archive.extractfile(member)) for member in files)
        return {name: stream.read().decode("utf-8", errors="replace") for name, stream in streams if stream}


def _conductivity(row: Row) -> dict[str, Any]:
    """What OBELiX says of an entry; a conductivity below what could be measured is a bound of its own."""
    sigma, bound = _read_sigma(row["Ionic conductivity (S cm-1)"])
    return {
        "sigma_s_cm": sigma,
        "sigma_below_s_cm": bound,
        "sigma_total_s_cm": _read_sigma(row.get("IC (Total)", ""))[0],
        "sigma_bulk_s_cm": _read_sigma(row.get("IC (Bulk)", ""))[0],
        "space_group_number": int(row["Space group #"]) if row.get("Space group #", "").isdigit() else None,
        "family": row.get("Family") or None,
        "icsd_ids": " ".join(re.findall(r"\d+", row.get("ICSD ID", "").removesuffix(".0"))) or None,
        "doi": row.get("DOI") or None,
    }


def _read_sigma(text: str) -> tuple[float | None, float | None]:
    """A value, or the bound below which it lies."""
    number = text.strip()
    try:
        return (None, float(number[1:])) if number.startswith("<") else (float(number), None)
    except ValueError:
        return None, None
