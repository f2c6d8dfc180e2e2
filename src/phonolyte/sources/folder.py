"""The user's own crystals and densities of states, paired by name or by folder."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from phonolyte.dos import PhononDos, read_dos
from phonolyte.dos.readers import read_all
from phonolyte.dos.table import read_density_file
from phonolyte.errors import DosError, Failure, SourceError
from phonolyte.files import files_in, plain_name, read_bytes, well_formed
from phonolyte.runs.records import file_name
from phonolyte.sources.entry import STAGE, Entry, Page
from phonolyte.structures import Crystal
from phonolyte.structures.readers import reader_for
from phonolyte.structures.reading import read_file
from phonolyte.structures.run_results import CRYSTALS, is_run

_NAMED_DOS = re.compile(r"(?i)(?:^|[._-])(?:(?:phonon|total|projected|partial|ph)[._-]?)?dos$|\.dos$|\.dat$")
_OF_SUPERCELLS = re.compile(r"(?i)^(?:SPOSCAR|POSCAR-\d+)")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with crystals and phonon densities of states.

    They belong together when one file has both; when each is the only one in a sub-folder; or when their files have
    one name, less the ending and less words such as ``_dos``. A run of phonons gives its crystals with its results.

    Attributes
    ----------
    path
        Folder with crystals and phonon densities of states.
    unit
        Unit of frequencies in two-column text: ``THz``, ``cm-1`` or ``meV``.
    """

    path: Path
    unit: str | None = None

    name: ClassVar[str] = "folder"
    online: ClassVar[bool] = False
    phonons: ClassVar[bool] = True
    license: ClassVar[str] = "of their owner"
    citation: ClassVar[str] = ""

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
            raise SourceError(f"{self.path} is not a folder", fix="Give the folder with crystals and densities.")
        if is_run(self.path):
            yield _read_run(self.path).as_whole()
            return
        complete, groups, lost = _sort_files(self.path)
        pages = [Page([], lost)]
        pages += [_read_whole(path, self.unit) for path in complete]
        pages += [_read_pair(name, group, self.unit) for name, group in sorted(groups.items())]
        page = Page.from_pages(pages)
        if not page.n_materials:
            raise SourceError(f"{self.path} has neither crystals nor densities of states", fix="Check the path.")
        yield page.as_whole()


@dataclass(slots=True)
class _Group:
    """Files of one name."""

    structures: list[Path] = field(default_factory=list)
    densities: list[Path] = field(default_factory=list)


def _sort_files(root: Path) -> tuple[list[Path], dict[str, _Group], list[Failure]]:
    """Files that have crystals with their densities, the others by the material they belong to, and the unreadable."""
    complete: list[Path] = []
    lost: list[Failure] = []
    folders: dict[Path, list[tuple[Path, bool]]] = defaultdict(list)
    for path in files_in(root, leave=is_run):
        try:
            has_crystal, has_dos = _content(path)
        except SourceError as error:
            if reader_for(path) or _NAMED_DOS.search(_plain_name(path)):
                name, source = well_formed(_stem(path)), well_formed(path)
                lost.append(Failure.from_error(error, material_id=name, stage=STAGE, source=source))
            continue
        if has_crystal and has_dos:
            complete.append(path)
        elif has_crystal or has_dos:
            folders[path.parent].append((path, has_dos))
    groups: dict[str, _Group] = defaultdict(_Group)
    for folder, files in folders.items():
        place = "" if folder == root else folder.relative_to(root).as_posix()
        alone = place and sorted(has_dos for _, has_dos in files) == [False, True]
        for path, has_dos in files:
            group = groups[well_formed(place if alone else "/".join(filter(None, (place, _stem(path)))))]
            (group.densities if has_dos else group.structures).append(path)
    return complete, groups, lost


def _content(path: Path) -> tuple[bool, bool]:
    """Whether a file has crystals, and whether it has densities of states."""
    raw = read_bytes(path, error=SourceError)
    is_json, is_csv = b'"densities"' in raw, b"phdos" in raw[:2000]
    has_dos = is_json or is_csv or bool(_NAMED_DOS.search(_plain_name(path)))
    has_crystal = b'"structure"' in raw if is_json else b"structure" in raw[:2000] if is_csv else not has_dos
    return has_crystal and not _OF_SUPERCELLS.match(path.name) and reader_for(path) is not None, has_dos


def _plain_name(path: Path) -> str:
    """Name without the ending of a text file; ``.dos`` and ``.dat`` stay, since they say what is in it."""
    return re.sub(r"(?i)\.(?:gz|txt|json|csv)$", "", plain_name(path))


def _stem(path: Path) -> str:
    """What a file shares with those of the same material."""
    return _NAMED_DOS.sub("", path.name.partition(".")[0]) or path.name.partition(".")[0]


def _read_run(run: Path) -> Page:
    """The materials of a run of phonons, with what it has computed of them."""
    reading = read_file(run / CRYSTALS)

    def pair(name: str, crystal: Crystal) -> Entry:
        path = run / "dos" / f"{file_name(name)}.parquet"
        properties = {key: value for key, value in crystal.properties.items() if key.endswith(("_ev", "_mev"))}
        dos = read_density_file(path, name, crystal.formula) if path.is_file() else None
        return Entry.from_crystal(crystal, properties, dos=dos)

    page = Page.from_items([(crystal.material_id, crystal) for crystal in reading.crystals], pair, source=str(run))
    return replace(page, failures=[*reading.failures, *page.failures])


def _read_whole(path: Path, unit: str | None) -> Page:
    """The materials of a file that has both."""
    reading = read_file(path)
    densities, failures = read_all(path, unit=unit)
    by_name: dict[str, list[PhononDos]] = defaultdict(list)
    alone = len(reading.crystals) == len(densities) == 1
    for dos in densities:
        by_name[reading.crystals[0].material_id if alone else dos.material_id].append(dos)
    failures = [*reading.failures, *failures]
    failed = {failure.material_id for failure in failures}
    counts = Counter(crystal.material_id for crystal in reading.crystals)

    def pair(name: str, crystal: Crystal) -> Entry:
        if len(by_name.get(name, ())) != 1 or counts[name] != 1:
            raise _unpaired_error(name, "phonons", [path])
        return Entry.from_crystal(crystal, {}, dos=by_name[name][0])

    named = [(crystal.material_id, crystal) for crystal in reading.crystals]
    wanted = [(name, crystal) for name, crystal in named if name in by_name or name not in failed]
    page = Page.from_items(wanted, pair, source=str(path))
    return replace(page, failures=[*failures, *page.failures])


def _read_pair(name: str, group: _Group, unit: str | None) -> Page:
    """The material that the files of a name make up."""
    files = [*group.structures, *group.densities]

    def pair(name: str, group: _Group) -> Entry:
        for paths, what in ((group.structures, "structure"), (group.densities, "phonons")):
            if len(paths) != 1:
                raise _unpaired_error(name, what, files)
        crystal = _read_crystal(name, group.structures[0])
        return Entry.from_crystal(crystal, {}, dos=_read_density(group.densities[0], unit, crystal))

    return Page.from_items([(name, group)], pair, source=str(files[-1]))


def _read_crystal(name: str, path: Path) -> Crystal:
    reading = read_file(path)
    if len(reading.crystals) != 1:
        why = reading.failures[0].message if reading.failures else f"it has {len(reading.crystals)} crystals"
        raise SourceError(f"{path.name} is not one crystal", why=why, kind="NoStructure")
    return replace(reading.crystals[0], material_id=name)


def _read_density(path: Path, unit: str | None, crystal: Crystal) -> PhononDos:
    densities = read_dos(path, unit=unit, symbols=crystal.symbols)
    if len(densities) != 1:
        raise DosError(f"{path.name} has {len(densities)} densities of states", fix="Give one a file.")
    return densities[0]


def _unpaired_error(name: str, missing: str, paths: Iterable[Path]) -> SourceError:
    names = ", ".join(path.name for path in paths)
    return SourceError(
        f"{name} has not exactly one file of its {missing}",
        why=f"there are {names}",
        fix="Give crystal and density one name, or a folder of their own.",
        kind="NoStructure" if missing == "structure" else "NoPhonons",
    )
