"""Crystals in JSON: dictionaries of pymatgen, ASE and OPTIMADE, records with properties, and lists of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from phonolyte.errors import ReadError, StructureError
from phonolyte.files import parse_json
from phonolyte.structures.crystal import Crystal, plain
from phonolyte.structures.crystal_table import Record
from phonolyte.structures.dictionaries import crystal_from_ase, crystal_from_optimade, crystal_from_pymatgen

ID_KEYS = ("material_id", "mp_id", "task_id", "id", "mat_id", "entry_id")
"""Keys that name a material, the first that is there counts."""

_FIX = "Give pymatgen's as_dict(), or a record with 'material_id' and 'structure'."


def records_in_json(text: str, name: str) -> Iterator[Record]:
    """Name and maker of each crystal in a text of JSON, or of JSON lines.

    Parameters
    ----------
    text
        Content of the file.
    name
        Name of the file, for messages.

    Raises
    ------
    ReadError
        For what is neither.
    """
    try:
        data = parse_json(text)
    except ValueError as error:
        if _is_first_line_whole(text):
            yield from records_in_lines(text, name)
            return
        raise ReadError(
            f"{name} cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix="Check that the file is complete, or write it again.",
        ) from None
    yield from _records_in(data, name)


def records_in_lines(text: str, name: str) -> Iterator[Record]:
    """Name and maker of each crystal in JSON lines; a bad line costs one row."""
    for number, line in enumerate(text.split("\n"), start=1):  # other ends of lines may stand in a name
        if line.strip():
            yield from _records_in_line(line, number, name)


def record_of(data: Mapping[str, Any]) -> Record:
    """Name and maker of a record with a ``structure``, whose other keys are properties."""
    beside = data.get("data")
    more = {**beside, **data} if isinstance(beside, dict) else data
    name = next((text_of(more[key]) for key in ID_KEYS if text_of(more.get(key))), "")
    properties = plain({key: value for key, value in more.items() if key not in ("structure", *ID_KEYS)})
    return name, lambda i: crystal_from_pymatgen(_structure(data["structure"]), material_id=i, properties=properties)


def fail_with(error: StructureError) -> Callable[[str], Crystal]:
    """The maker of a crystal that cannot be made."""

    def make(name: str) -> Crystal:
        raise error

    return make


def text_of(value: Any) -> str:
    """A material_id as text; empty where there is none. 0 is a name, NaN is what a table has for none."""
    return "" if value is None or value != value else str(value)


def _is_first_line_whole(text: str) -> bool:
    """Whether a text that is not JSON begins with a line that is."""
    first, _, rest = text.strip().partition("\n")
    try:
        return bool(rest.strip()) and isinstance(parse_json(first), (dict, list))
    except ValueError:
        return False


def _records_in_line(line: str, number: int, file: str) -> Iterator[Record]:
    name = f"{file.partition('.')[0]}-{number}"
    try:
        records = list(_records_in(parse_json(line), file))
    except ValueError as error:
        yield name, fail_with(ReadError(f"line {number} of {file} is not JSON", why=str(error), fix="Write it again."))
        return
    for inner, make in records:
        yield inner or name, make


def _records_in(data: Any, file: str) -> Iterator[Record]:
    if isinstance(data, list):
        for entry in data:
            yield from _records_in(entry, file)
    elif not isinstance(data, dict):
        yield "", fail_with(ReadError(f"{file} holds no structure", why=f"a record is {str(data)[:40]!r}", fix=_FIX))
    elif "ids" in data and "nextid" in data:
        yield from _ase_database(data, file)
    elif "attributes" in data and "id" in data:
        yield text_of(data["id"]), lambda i: crystal_from_optimade(data["attributes"], material_id=i)
    elif isinstance(data.get("structure"), (dict, str)):  # an entry of pymatgen has data beside it
        yield record_of(data)
    elif (held := _held_by(data)) is not None:
        yield from _records_in(held, file)
    elif "structure" in data:
        yield record_of(data)
    elif "lattice" in data and "sites" in data:
        yield "", lambda name: crystal_from_pymatgen(data, material_id=name)
    elif "positions" in data and "cell" in data:
        yield "", lambda name: crystal_from_ase(data, material_id=name)
    elif data and all(isinstance(value, dict) for value in data.values()):
        for name, value in data.items():
            for inner, make in _records_in(value, file):
                yield inner or str(name), make
    else:
        keys = ", ".join(list(map(str, data))[:6]) or "no keys"
        yield "", fail_with(ReadError(f"{file} holds no structure", why=f"a record has {keys}", fix=_FIX))


def _held_by(data: Mapping[str, Any]) -> Any:
    """What the answer of a server, or a file of entries, holds; None for what is neither."""
    return next((data[key] for key in ("data", "entries") if isinstance(data.get(key), (list, dict))), None)


def _structure(data: Any) -> Any:
    """The dictionary of a structure, which a table has as text."""
    if not isinstance(data, str):
        return data
    try:
        return parse_json(data)
    except ValueError as error:
        raise ReadError("the structure is not JSON", why=str(error), fix="Write it with json.dumps.") from None


def _ase_database(data: Mapping[str, Any], file: str) -> Iterator[Record]:
    """Rows of a database of ASE that was written as JSON; one that is listed and not there is a failure."""
    stem = file.rpartition(".")[0] or file
    keys = data["ids"] if isinstance(data["ids"], list) else [data["ids"]]
    for key in keys:
        row = data.get(str(key))
        if not isinstance(row, dict):
            yield f"{stem}-{key}", fail_with(ReadError(f"{file} has no row {key}", fix="Write it again."))
            continue
        pairs = row.get("key_value_pairs")
        pairs = pairs if isinstance(pairs, dict) else {}
        properties = plain({name: value for name, value in pairs.items() if name not in ID_KEYS})
        yield text_of(pairs.get("material_id")) or f"{stem}-{key}", _row_maker(row, properties)


def _row_maker(row: Mapping[str, Any], properties: Mapping[str, Any]) -> Callable[[str], Crystal]:
    return lambda name: crystal_from_ase(row, material_id=name, properties=properties)
