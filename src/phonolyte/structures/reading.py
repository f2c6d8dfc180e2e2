"""One door to crystals on disk: any mix of files, folders, globs and tables, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonolyte.errors import Failure, ReadError, StructureError
from phonolyte.files import files_in, well_formed
from phonolyte.structures.crystal import Crystal, as_crystal, is_material
from phonolyte.structures.crystal_table import Record
from phonolyte.structures.readers import reader_for

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

STAGE = "structures"
RUN_RECORD = "run.toml"
"""A folder with this file is a run folder."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Crystals that were read, materials that could not be, and `notes` about names that were changed."""

    crystals: list[Crystal] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(
    inputs: str | Path | Crystal | Structure | Atoms | Iterable[str | Path | Crystal | Structure | Atoms],
    *,
    executor: Executor | None = None,
) -> Reading:
    """Read crystals from files, folders (searched through), globs, tables and objects, in their order.

    Parameters
    ----------
    inputs
        A path, a Crystal, a pymatgen ``Structure`` or ASE ``Atoms``, or any mix of them. In folders, what is
        hidden and the run folders of Phonolyte are left out.
    executor
        Maps over the files; use processes for many CIF files.

    Returns
    -------
    Reading
        Every structure is a crystal or a failure. Each crystal has a `material_id` of its own: a name that
        comes twice is made unique with ``~2``, ``~3``, ..., and `notes` says so.
    """
    found = expand(inputs)
    paths = [part for part in found if isinstance(part, Path)]
    of_path = iter((executor.map if executor else map)(read_file, paths))
    parts = []
    for part in found:
        if isinstance(part, Path):
            parts.append(next(of_path))
        else:
            parts.append(from_object(part))
    return _with_unique_ids(parts)


def read_file(path: Path) -> Reading:
    """Read all crystals of one file; whatever goes wrong becomes a failure, and costs nothing read before it."""
    reading = Reading()
    records: list[Record] = []
    try:
        reader = reader_for(path)
        if reader is None:
            raise ReadError(
                f"{path.name} is of no kind that can be read",
                why="neither its name nor its content is that of a structure file",
                fix="Give CIF, POSCAR, extended XYZ, pymatgen or ASE JSON, JSONL(.gz) or a crystal table.",
            )
        records.extend(reader(path))
        if not records:
            raise ReadError(f"{path.name} holds no structure", why="it is empty", fix="Get the whole file.")
    except Exception as error:  # a foreign parser can raise anything at a bad file
        reading.failures.append(failure_of(error, _name_of(path), path))
    for number, (name, make) in enumerate(records, start=1):
        name = well_formed(name or _name_of(path) + (f"-{number}" if len(records) > 1 else ""))
        try:
            reading.crystals.append(replace(make(name), source=well_formed(path)))
        except Exception as error:
            reading.failures.append(failure_of(error, name, path))
    return reading


def expand(inputs: Any) -> list[Any]:
    """Return the files, objects and failures (inputs that are not there) behind inputs, in their order."""
    items = [inputs] if isinstance(inputs, (str, Path)) or is_material(inputs) else list(inputs)
    return [part for item in items for part in expand_item(item)]


def expand_item(
    item: str | Path | Crystal | Structure | Atoms,
) -> Sequence[Path | Failure | Crystal | Structure | Atoms]:
    """Files behind one input; an input that is not there, or holds nothing, is a failure."""
    if not isinstance(item, (str, Path)):
        return [item]
    try:
        return _files_of(item)
    except (OSError, RuntimeError) as error:  # a name that is too long, a home that is not there, no permission
        return [_nothing(item, str(error))]


def _files_of(item: str | Path) -> Sequence[Path | Failure | Crystal | Structure | Atoms]:
    path = Path(item).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(files_in(path, leave=_is_run))
        readable = [p for p in files if reader_for(p)]
        return readable or [_nothing(item, f"the folder holds {len(files)} files, none a structure")]
    if has_magic(str(path)):
        matches = [Path(p) for p in sorted(glob(str(path), recursive=True))]
        return [part for match in matches for part in expand_item(match)] or [_nothing(item, "no file matches")]
    return [_nothing(item, "there is no such file or folder")]


def _is_run(folder: Path) -> bool:
    """Whether a folder is what an earlier run wrote."""
    return (folder / RUN_RECORD).is_file()


def _nothing(item: str | Path, why: str) -> Failure:
    name = well_formed(item)
    error = ReadError(f"{name} gives no structure", why=why, fix="Check the path.", kind="NothingToRead")
    return Failure.of(error, material_id=name, stage=STAGE, source=name)


def from_object(item: Crystal | Structure | Atoms | Failure) -> Reading:
    """Return what one object of :func:`expand` gives."""
    if isinstance(item, Failure):
        return Reading(failures=[item])
    try:
        return Reading(crystals=[as_crystal(item)])
    except StructureError as error:
        return Reading(failures=[Failure.of(error, material_id=type(item).__name__, stage=STAGE)])


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
    return Failure.of(error, material_id=well_formed(name), stage=STAGE, source=well_formed(path))


def _name_of(path: Path) -> str:
    """File name without its ending; POSCAR and CONTCAR go by their folder, POSCAR.mp-1 is mp-1."""
    name = path.name.removesuffix(".gz")
    if name.upper() in ("POSCAR", "CONTCAR"):
        return path.resolve().parent.name or name
    first, _, rest = name.partition(".")
    if first.upper() in ("POSCAR", "CONTCAR"):
        return rest if rest.lower() != "vasp" else path.resolve().parent.name
    return name.rpartition(".")[0] or name


def _with_unique_ids(parts: Iterable[Reading]) -> Reading:
    """Join readings, giving each crystal an id of its own."""
    parts = list(parts)
    crystals = [crystal for part in parts for crystal in part.crystals]
    names, renamed = unique_names(crystal.material_id for crystal in crystals)
    own = [
        c if c.material_id == name else replace(c, material_id=name) for c, name in zip(crystals, names, strict=True)
    ]
    notes = [renamed_note(renamed)] if renamed else []
    return Reading(own, [failure for part in parts for failure in part.failures], notes)


def renamed_note(renamed: int) -> str:
    """Return the note on names that were changed."""
    return f"{renamed} crystals repeat the material_id of an earlier one: '~2', '~3', ... was added"


def unique_names(names: Iterable[str]) -> tuple[list[str], int]:
    """Add ``~2``, ``~3``, ... to names that repeat an earlier one; the names, and how many were changed."""
    seen: dict[str, int] = {}
    taken: set[str] = set()
    unique, renamed = [], 0
    for name in names:
        own = name
        seen[name] = seen.get(name, 0) + 1
        if own in taken:
            while own in taken:
                own = f"{name}~{seen[name]}"
                seen[name] += own in taken
            renamed += 1
        taken.add(own)
        unique.append(own)
    return unique, renamed


def input_files(inputs: Iterable[str | Path]) -> list[Path]:
    """The files behind inputs, as :func:`read` finds them."""
    return [part for item in inputs for part in expand_item(item) if isinstance(part, Path)]
