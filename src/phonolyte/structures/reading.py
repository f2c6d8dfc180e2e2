"""One door to crystals on disk: any mix of files, folders, globs and tables, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from glob import glob, has_magic
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast, get_args

from phonolyte.counts import count, were
from phonolyte.errors import Failure, ReadError, StructureError
from phonolyte.files import files_in, is_archive, plain_name, unpack_archive, well_formed
from phonolyte.notebooks import Shown
from phonolyte.structures.crystal import Crystal, as_crystal, is_material
from phonolyte.structures.crystal_table import Record
from phonolyte.structures.readers import Frame, reader_for
from phonolyte.structures.run_results import CRYSTALS, is_run, results_beside, with_results

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

STAGE = "structures"
NAMED = 5
"""Skipped files that a note names."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of a folder or an archive that is not a structure, and why it is none."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True, repr=False)
class Reading(Shown):
    """Crystals that were read, materials that could not be, files that are something else, and `notes`."""

    crystals: list[Crystal] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def _facts(self) -> dict[str, object]:
        lost = {"failures": len(self.failures), "skipped files": len(self.skipped), "notes": len(self.notes)}
        return {"crystals": len(self.crystals), **{label: n for label, n in lost.items() if n}}

    @classmethod
    def joined(cls, readings: Iterable[Reading]) -> Reading:
        """All of several readings, in their order."""
        readings = list(readings)
        return cls(
            [crystal for reading in readings for crystal in reading.crystals],
            [failure for reading in readings for failure in reading.failures],
            [note for reading in readings for note in reading.notes],
            [file for reading in readings for file in reading.skipped],
        )


Part = Failure | Skipped | Reading
"""What stands for an input that is not a file: why there is none, a file that is skipped, or crystals at hand."""


def read(
    inputs: str | Path | Crystal | Structure | Atoms | Iterable[str | Path | Crystal | Structure | Atoms],
    *,
    frame: Frame | None = None,
    executor: Executor | None = None,
) -> Reading:
    """Read crystals from files, folders (searched through), globs, tables, runs and objects, in their order.

    Parameters
    ----------
    inputs
        A path, a Crystal, a pymatgen ``Structure`` or ASE ``Atoms``, or any mix of them. In folders, what is hidden and
        the run folders of Phonolyte are left out; a run folder that is given gives its crystals, with its results as
        their properties. ``INPUT#MATERIAL_ID`` is one crystal of an input; ``INPUT#first``, ``#last`` and ``#all`` are
        frames of trajectories.
    frame
        Frames of trajectories that are read: ``"first"``, ``"last"`` or ``"all"``. Default: all of extended XYZ, the
        last one of any other trajectory.
    executor
        Maps over the files; use processes for many CIF files.

    Returns
    -------
    Reading
        Every structure is a crystal or a failure, every other file of a folder is `skipped`. Each crystal has a
        `material_id` of its own: a name that comes twice is made unique with ``~2``, ``~3``, ..., and `notes` says so.
    """
    parts = expand(inputs)
    paths = [item for item in parts if isinstance(item, Path)]
    of_path = iter((executor.map if executor else map)(partial(read_file, frame=frame), paths))
    return _with_unique_ids([next(of_path) if isinstance(item, Path) else from_object(item) for item in parts])


def read_file(path: Path, *, frame: Frame | None = None) -> Reading:
    """Read all crystals of one file; whatever goes wrong becomes a failure, and costs nothing read before it."""
    try:
        if is_archive(path):
            return _read_archive(path, frame)
        reader = reader_for(path)
        if reader is None:
            raise ReadError(
                f"{path.name} has an unknown format",
                why="neither its name nor its content is that of a structure file",
                fix="Give CIF, POSCAR, extended XYZ, JSON, JSONL, a crystal table, or the input of a known program.",
            )
        records, error = reader.records(path, frame)
        results = results_beside(path)
    except Exception as reason:  # a foreign parser can raise anything at a bad file
        records, error, results = [], reason, {}
    reading = Reading()
    if error is None and not records:
        error = ReadError(f"{path.name} holds no structure", why="it is empty", fix="Get the whole file.")
    if error is not None:
        reading.failures.append(failure_of(error, name_of(path), path))
    for name, make in named_records(records, path):
        try:
            reading.crystals.append(with_results(replace(make(name), source=well_formed(path)), results))
        except Exception as reason:
            reading.failures.append(failure_of(reason, name, path))
    return reading


def named_records(records: Sequence[Record], path: Path) -> list[Record]:
    """Records of a file, those without a name named by the file and their number."""
    several = len(records) > 1
    return [
        (well_formed(name or name_of(path) + (f"-{number}" if several else "")), make)
        for number, (name, make) in enumerate(records, start=1)
    ]


def _read_archive(path: Path, frame: Frame | None) -> Reading:
    """Read the files of an archive of several as those of a folder."""
    with TemporaryDirectory() as scratch:
        folder = unpack_archive(path, Path(scratch))
        parts = [
            read_file(part, frame=frame) if isinstance(part, Path) else from_object(part)
            for part in expand_item(folder)
        ]
        reading = Reading.joined(parts)

        def named(file: str) -> str:
            return file.replace(str(folder), str(path))

        return Reading(
            [replace(crystal, source=named(crystal.source)) for crystal in reading.crystals],
            [replace(f, source=named(f.source), message=named(f.message)) for f in reading.failures],
            reading.notes,
            [Skipped(named(file.file), file.reason) for file in reading.skipped],
        )


def expand(inputs: Any) -> list[Any]:
    """Return the files, objects and failures (inputs that are not there) behind inputs, in their order."""
    items = [inputs] if isinstance(inputs, (str, Path)) or is_material(inputs) else list(inputs)
    return [part for item in items for part in expand_item(item)]


def expand_item(
    item: str | Path | Crystal | Structure | Atoms,
) -> Sequence[Path | Part | Crystal | Structure | Atoms]:
    """Files behind one input; an input that is not there, or holds nothing, is a failure."""
    if not isinstance(item, (str, Path)):
        return [item]
    try:
        return _files_of(item)
    except (OSError, RuntimeError) as error:  # a name that is too long, a home that is not there, no permission
        return [_nothing(item, str(error))]


def _files_of(item: str | Path) -> Sequence[Path | Part | Crystal | Structure | Atoms]:
    path = Path(item).expanduser()
    if path.is_file():
        return [path]
    if is_run(path) and (path / CRYSTALS).is_file():
        return [path / CRYSTALS]
    if path.is_dir():
        files = sorted(files_in(path, leave=is_run))
        inside: list[Path | Part] = [
            path if reader_for(path) or is_archive(path) else Skipped(well_formed(path), _reason(path))
            for path in files
        ]
        if not any(isinstance(part, Path) for part in inside):
            inside.append(_nothing(item, _none_in([part for part in inside if isinstance(part, Skipped)])))
        return inside
    if has_magic(str(path)):
        matches = [Path(p) for p in sorted(glob(str(path), recursive=True))]
        return [part for match in matches for part in expand_item(match)] or [_nothing(item, "no file matches")]
    path_part, mark, choice = str(item).rpartition("#")
    if not mark:
        return [_nothing(item, "there is no such file or folder")]
    if choice in get_args(Frame):
        return [_with_frame(part, cast(Frame, choice)) for part in expand_item(path_part)]
    return [_choose(item, path_part, choice)]


def _with_frame(
    part: Path | Part | Crystal | Structure | Atoms, frame: Frame
) -> Path | Part | Crystal | Structure | Atoms:
    """Requested frames of a trajectory; anything else as it is."""
    reader = reader_for(part) if isinstance(part, Path) else None
    return read_file(cast(Path, part), frame=frame) if reader is not None and reader.frame is not None else part


def _choose(item: str | Path, path: str, material_id: str) -> Reading | Failure:
    """The one crystal of an input that ``INPUT#MATERIAL_ID`` names."""
    reading = read(path)
    crystals = [crystal for crystal in reading.crystals if crystal.material_id == material_id]
    failures = [failure for failure in reading.failures if failure.material_id in (material_id, path)]
    if crystals or failures:
        return Reading(crystals, failures)
    return _nothing(item, f"{path} has no crystal {material_id}")


def _none_in(files: Sequence[Skipped]) -> str:
    """Why a folder gives no structure."""
    if not files:
        return "the folder is empty"
    return f"the folder holds {count(len(files), 'file')}, none a structure: {_list_skipped(files)}"


def _reason(path: Path) -> str:
    """Why a file is not a structure."""
    return "empty" if not path.stat().st_size else "unknown format"


def _nothing(item: str | Path, why: str) -> Failure:
    name = well_formed(item)
    error = ReadError(f"{name} gives no structure", why=why, fix="Check the path.", kind="NothingToRead")
    return Failure.from_error(error, material_id=name, stage=STAGE, source=name)


def from_object(item: Crystal | Structure | Atoms | Part) -> Reading:
    """Return what one object of :func:`expand` gives."""
    if isinstance(item, Failure):
        return Reading(failures=[item])
    if isinstance(item, Reading):
        return item
    if isinstance(item, Skipped):
        return Reading(skipped=[item])
    try:
        return Reading(crystals=[as_crystal(item)])
    except StructureError as error:
        return Reading(failures=[Failure.from_error(error, material_id=type(item).__name__, stage=STAGE)])


def failure_of(error: Exception, name: str, path: Path) -> Failure:
    """Return the failure of a record of a file, whatever a foreign parser raised."""
    if not isinstance(error, StructureError):
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error  # pymatgen wraps the reason
        reason = well_formed(str(error).strip().splitlines()[0].rstrip(".")[:200]) if str(error).strip() else ""
        error = ReadError(
            f"{well_formed(path.name)} cannot be read",
            why=f"{type(error).__name__}: {reason}" if reason else type(error).__name__,
            fix="Check that the file is complete and of the kind its name says.",
        )
    return Failure.from_error(error, material_id=well_formed(name), stage=STAGE, source=well_formed(path))


def name_of(path: Path) -> str:
    """Name of the material of a file, without its ending; POSCAR goes by its folder, POSCAR.mp-1 is mp-1."""
    name = plain_name(path)
    if name.upper() in ("POSCAR", "CONTCAR", "XDATCAR"):
        return path.resolve().parent.name or name
    first, _, rest = name.partition(".")
    if first.upper() in ("POSCAR", "CONTCAR", "XDATCAR"):
        return rest if rest.lower() != "vasp" else path.resolve().parent.name
    return name.rpartition(".")[0] or name


def _with_unique_ids(parts: Iterable[Reading]) -> Reading:
    """Join readings, giving each crystal an id of its own."""
    reading = Reading.joined(parts)
    names, renamed = unique_names(crystal.material_id for crystal in reading.crystals)
    crystals = [
        c if c.material_id == name else replace(c, material_id=name)
        for c, name in zip(reading.crystals, names, strict=True)
    ]
    notes = [*reading.notes, *([renamed_note(renamed)] if renamed else []), *notes_on_skipped(reading.skipped)]
    return Reading(crystals, reading.failures, notes, reading.skipped)


def notes_on_skipped(files: Sequence[Skipped]) -> list[str]:
    """Return the note on files that are not structures, naming the first of them; empty where there is none."""
    if not files:
        return []
    is_none = "is not a structure" if len(files) == 1 else "are not structures"
    return [f"{count(len(files), 'file')} {is_none} and {were(len(files))} skipped: {_list_skipped(files)}"]


def _list_skipped(files: Sequence[Skipped]) -> str:
    named = ", ".join(f"{Path(file.file).name} ({file.reason})" for file in files[:NAMED])
    return f"{named} and {len(files) - NAMED:,} more" if len(files) > NAMED else named


def renamed_note(renamed: int) -> str:
    """Return the note on names that were changed."""
    repeat = "repeats" if renamed == 1 else "repeat"
    return f"{count(renamed, 'crystal')} {repeat} the material_id of an earlier one: '~2', '~3', ... was added"


def unique_names(names: Iterable[str]) -> tuple[list[str], int]:
    """Add ``~2``, ``~3``, ... to names that repeat an earlier one; the names, and how many were changed."""
    seen: dict[str, int] = {}
    taken: set[str] = set()
    unique, renamed = [], 0
    for name in names:
        candidate = name
        seen[name] = seen.get(name, 0) + 1
        if candidate in taken:
            while candidate in taken:
                candidate = f"{name}~{seen[name]}"
                seen[name] += candidate in taken
            renamed += 1
        taken.add(candidate)
        unique.append(candidate)
    return unique, renamed


def input_files(inputs: Iterable[str | Path]) -> list[Path]:
    """The files behind inputs, as :func:`read` finds them; those of ``INPUT#CHOICE`` are those of the whole input."""
    return [part for item in _whole(inputs) for part in expand_item(item) if isinstance(part, Path)]


def _whole(inputs: Iterable[str | Path]) -> list[str | Path]:
    """Inputs without the choice among their crystals."""
    return [item if "#" not in str(item) or Path(item).exists() else str(item).rpartition("#")[0] for item in inputs]


def nothing_in(inputs: Iterable[str | Path]) -> ReadError:
    """Return the error for inputs that give no file at all."""
    messages = [part.message for item in _whole(inputs) for part in expand_item(item) if isinstance(part, Failure)]
    if len(messages) == 1:
        return ReadError(messages[0])
    return ReadError(f"none of the {len(messages)} inputs gives a structure", why=messages[0])
