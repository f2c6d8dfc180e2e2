"""The user's own crystals and densities of states, paired by name or by folder."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phonolyte.dos import PhononDos, read_dos
from phonolyte.dos.readers import read_all
from phonolyte.errors import DosError, Failure, SourceError
from phonolyte.files import files_in, read_bytes, well_formed
from phonolyte.sources.entry import STAGE, Entry, Page
from phonolyte.structures import Crystal
from phonolyte.structures.readers import reader_for
from phonolyte.structures.reading import RUN_RECORD, read_file

_NAMED_DOS = re.compile(r"(?i)(?:^|[._-])(?:(?:phonon|total|projected|partial|ph)[._-]?)?dos$|\.dos$|\.dat$")
_OF_SUPERCELLS = re.compile(r"(?i)^(?:SPOSCAR|POSCAR-\d+)")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with crystals and phonon densities of states.

    They belong together when one file has both; when each is the only one in a sub-folder; or when their files have
    one name, less the ending and less words such as ``_dos``.

    Attributes
    ----------
    path
        The folder.
    unit
        Of frequencies in two-column text: ``THz``, ``cm-1`` or ``meV``.
    """

    path: Path
    unit: str | None = None
    name: str = "folder"
    online: bool = False
    phonons: bool = True
    licence: str = "of their owner"
    citation: str = ""

    @property
    def question(self) -> Mapping[str, Any]:
        """Which folder."""
        return {"path": str(self.path), "unit": self.unit or ""}

    def version(self) -> str:
        """None: files have no version."""
        return ""

    def pages(self, after: str) -> Iterator[Page]:
        """All of the folder on one page.

        Raises
        ------
        SourceError
            When there is no such folder, or nothing in it.
        """
        if not self.path.is_dir():
            raise SourceError(f"{self.path} is no folder", fix="Give the folder with crystals and densities.")
        page = Page([])
        whole, groups = _sorted_files(self.path, page.failures)
        for path in whole:
            _add_whole(path, self.unit, page)
        for name, group in sorted(groups.items()):
            _add_pair(name, group, self.unit, page)
        if not page.n_materials:
            raise SourceError(f"{self.path} has neither crystals nor densities of states", fix="Check the path.")
        yield replace(page, total=page.n_materials)


@dataclass(slots=True)
class _Group:
    """Files of one name."""

    structures: list[Path] = field(default_factory=list)
    densities: list[Path] = field(default_factory=list)


def _sorted_files(root: Path, failures: list[Failure]) -> tuple[list[Path], dict[str, _Group]]:
    """Files that have crystals with their densities, and the others by the material they belong to."""
    whole: list[Path] = []
    folders: dict[Path, list[tuple[Path, bool]]] = defaultdict(list)
    for path in files_in(root, leave=lambda folder: (folder / RUN_RECORD).is_file()):
        try:
            has_crystal, has_dos = _content(path)
        except SourceError as error:
            if reader_for(path) or _NAMED_DOS.search(_plain_name(path)):
                failures.append(_failure(error, _stem(path), path))
            continue
        if has_crystal and has_dos:
            whole.append(path)
        elif has_crystal or has_dos:
            folders[path.parent].append((path, has_dos))
    groups: dict[str, _Group] = defaultdict(_Group)
    for folder, files in folders.items():
        place = "" if folder == root else folder.relative_to(root).as_posix()
        alone = place and sorted(has_dos for _, has_dos in files) == [False, True]
        for path, has_dos in files:
            group = groups[well_formed(place if alone else "/".join(filter(None, (place, _stem(path)))))]
            (group.densities if has_dos else group.structures).append(path)
    return whole, groups


def _content(path: Path) -> tuple[bool, bool]:
    """Whether a file has crystals, and whether it has densities of states."""
    raw = read_bytes(path, error=SourceError)
    is_json, is_csv = b'"densities"' in raw, b"phdos" in raw[:2000]
    has_dos = is_json or is_csv or bool(_NAMED_DOS.search(_plain_name(path)))
    has_crystal = b'"structure"' in raw if is_json else b"structure" in raw[:2000] if is_csv else not has_dos
    return has_crystal and not _OF_SUPERCELLS.match(path.name) and reader_for(path) is not None, has_dos


def _plain_name(path: Path) -> str:
    """Name without the ending of a text file; ``.dos`` and ``.dat`` stay, since they say what is in it."""
    return re.sub(r"(?i)\.(?:gz|txt|json|csv)$", "", path.name.removesuffix(".gz"))


def _stem(path: Path) -> str:
    """What a file shares with those of the same material."""
    return _NAMED_DOS.sub("", path.name.partition(".")[0]) or path.name.partition(".")[0]


def _add_whole(path: Path, unit: str | None, page: Page) -> None:
    """Add the materials of a file that has both."""
    reading = read_file(path)
    densities, failures = read_all(path, unit=unit)
    page.failures.extend([*reading.failures, *failures])
    by_name: dict[str, list[PhononDos]] = defaultdict(list)
    for dos in densities:
        by_name[dos.material_id].append(dos)
    of_name = Counter(crystal.material_id for crystal in reading.crystals)
    failed = {failure.material_id for failure in page.failures}
    alone = len(reading.crystals) == len(densities) == 1
    for crystal in reading.crystals:
        found = densities if alone else by_name[crystal.material_id]
        try:
            if len(found) == 1 and of_name[crystal.material_id] == 1:
                page.records.append(Entry.of(crystal, {}, _named(found[0], crystal)).record())
            elif crystal.material_id not in failed or found:
                page.failures.append(_unpaired(crystal.material_id, "phonons", [path]))
        except DosError as error:
            page.failures.append(_failure(error, crystal.material_id, path))


def _add_pair(name: str, group: _Group, unit: str | None, page: Page) -> None:
    """Add the material that the files of a name make up."""
    if len(group.structures) != 1 or len(group.densities) != 1:
        missing = "structure" if len(group.structures) != 1 else "phonons"
        page.failures.append(_unpaired(name, missing, [*group.structures, *group.densities]))
        return
    (structure,), (density,) = group.structures, group.densities
    reading = read_file(structure)
    try:
        if len(reading.crystals) != 1:
            why = reading.failures[0].message if reading.failures else f"it has {len(reading.crystals)} crystals"
            raise SourceError(f"{structure.name} is not one crystal", why=why, kind="NoStructure")
        crystal = replace(reading.crystals[0], material_id=name)
        found = read_dos(density, unit=unit, symbols=crystal.symbols)
        if len(found) != 1:
            raise DosError(f"{density.name} has {len(found)} densities of states", fix="Give one a file.")
        page.records.append(Entry.of(crystal, {}, _named(found[0], crystal)).record())
    except (SourceError, DosError) as error:
        page.failures.append(_failure(error, name, density))


def _failure(error: Exception, name: str, path: Path) -> Failure:
    return Failure.of(error, material_id=well_formed(name), stage=STAGE, source=well_formed(path))


def _named(dos: PhononDos, crystal: Crystal) -> PhononDos:
    """The density under the name of its crystal.

    Raises
    ------
    DosError
        When it says that it is of another formula.
    """
    if dos.formula and dos.formula != crystal.formula:
        raise DosError(f"{crystal.material_id} is {crystal.formula}, and its density of states is of {dos.formula}",
                       fix="Give both one name only if they belong together.")  # fmt: skip
    return replace(dos, material_id=crystal.material_id, formula=crystal.formula)


def _unpaired(name: str, missing: str, paths: Iterable[Path]) -> Failure:
    there = ", ".join(path.name for path in paths)
    error = SourceError(
        f"{name} has not exactly one file of its {missing}",
        why=f"there are {there}",
        fix="Give crystal and density one name, or a folder of their own.",
        kind="NoStructure" if missing == "structure" else "NoPhonons",
    )
    return Failure.of(error, material_id=name, stage=STAGE)
