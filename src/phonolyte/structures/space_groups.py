"""Space groups as lists of operations: parsed, checked to be a group, and looked up by the names that files give."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

import gemmi
import numpy as np

from phonolyte.arrays import Floats, Ints
from phonolyte.errors import ReadError, StructureError, first_line

LONGEST_OPERATION = 200
"""Characters of an operation, such as ``-x+1/2, y, z``, however its numbers are written."""

MOST_OPERATIONS = 192
"""Operations of the largest space groups in a conventional cell."""

METRIC_TOLERANCE = 0.01
"""Share of the product of two edges by which an operation may change their scalar product: cells are measured."""

_ORIGINS = {"s": "1", "o1": "1", "1": "1", "z": "2", "o2": "2", "2": "2", "h": "H", "r": "R", "hr": "R"}
"""Settings as the databases abbreviate them: ICSD writes S and Z for the origin choices, H and R for the axes."""


@dataclass(frozen=True, slots=True, eq=False)
class Operations:
    """The operations of a space group in one setting.

    Attributes
    ----------
    rotations
        (m, 3, 3) integers that act on fractional coordinates.
    translations
        (m, 3) fractions of the cell.
    name
        The setting, such as ``F d -3 m :2``, or where the operations come from.
    number
        Number of the space-group type, 1 to 230; 0 where it is not determined.
    """

    rotations: Ints
    translations: Floats
    name: str
    number: int = 0

    def __len__(self) -> int:
        return len(self.rotations)

    def leave(self, lattice: Floats) -> bool:
        """Whether they leave the metric of a cell, (3, 3) in angstrom, within :data:`METRIC_TOLERANCE`."""
        metric = lattice @ lattice.T
        edges = np.sqrt(np.diag(metric))
        turned = np.swapaxes(self.rotations, 1, 2) @ metric @ self.rotations
        return bool((np.abs(turned - metric) <= METRIC_TOLERANCE * np.outer(edges, edges)).all())


Settings = tuple[tuple[Operations, ...], ...]
"""Settings that a symbol can mean; those of a later tuple count only where none of an earlier one can be."""


@lru_cache(maxsize=4096)
def parse_operations(triplets: tuple[str, ...], centering: tuple[str, ...] = ()) -> Operations:
    """Parse operations such as ``-x+1/2, y, z``.

    Parameters
    ----------
    triplets
        The operations.
    centering
        Translations, such as ``x+1/2,y,z+1/2``, that each of them is to be followed by.

    Raises
    ------
    ReadError
        For a text that is not an operation.
    StructureError
        When they are not a group.
    """
    shifts = [_parse(triplet) for triplet in centering or ("x,y,z",)]
    turns = [_parse(triplet) for triplet in triplets]
    listed = [(shift * turn).wrap() for turn in turns for shift in shifts]
    operations = list({operation.triplet(): operation for operation in listed}.values())
    if not _is_group(operations):
        raise StructureError(
            "the symmetry operations are not a group",
            why=f"{len(operations)} are listed, and others follow from them",
            fix="Export the CIF with all its symmetry operations.",
            kind="UnknownSymmetry",
        )
    return _from_gemmi(operations, "the listed operations", _number_of(gemmi.GroupOps(operations)))


def _is_group(operations: list[gemmi.Op]) -> bool:
    """Whether any two of the operations, one after the other, are one of them."""
    if len(operations) > MOST_OPERATIONS:
        return False
    turns = np.array([operation.rot for operation in operations]) // gemmi.Op.DEN
    shifts = np.array([operation.tran for operation in operations])
    products = np.einsum("aij,bjk->abik", turns, turns)
    moved = np.einsum("aij,bj->abi", turns, shifts) + shifts[:, None]
    keys = set(map(tuple, np.concatenate([turns.reshape(-1, 9), shifts % gemmi.Op.DEN], axis=1).tolist()))
    both = np.concatenate([products.reshape(-1, 9), moved.reshape(-1, 3) % gemmi.Op.DEN], axis=1)
    return set(map(tuple, np.unique(both, axis=0).tolist())) <= keys


def _parse(triplet: str) -> gemmi.Op:
    text = triplet if len(triplet) <= LONGEST_OPERATION else triplet[:30] + "..."
    try:
        if len(triplet) > LONGEST_OPERATION:
            raise ValueError("it is too long")
        if not re.fullmatch(r"[-+xyzXYZ0-9/., \t]+", triplet):
            raise ValueError("it has other characters than x, y, z and numbers")
        operation = gemmi.Op(triplet)
    except (RuntimeError, ValueError) as error:
        fix = "Correct it, or export the CIF again."
        raise ReadError(f"{text!r} is not a symmetry operation", why=first_line(error), fix=fix) from None
    if abs(operation.det_rot()) != operation.DEN**3 or np.any(np.array(operation.rot) % operation.DEN):
        raise ReadError(
            f"{text!r} is not a symmetry operation", why="it does not map the lattice onto itself", fix="Correct it."
        )
    return operation


def _from_gemmi(operations: Iterable[gemmi.Op], name: str, number: int) -> Operations:
    listed = [operation.wrap() for operation in operations]
    rotations = np.array([operation.rot for operation in listed]) // gemmi.Op.DEN
    translations = np.array([operation.tran for operation in listed]) / gemmi.Op.DEN
    return Operations(rotations, translations, name, number)


def _number_of(group: gemmi.GroupOps) -> int:
    """Number of the space-group type, in whatever setting its operations are."""
    setting: gemmi.SpaceGroup | None = gemmi.find_spacegroup_by_ops(group)
    if setting is not None:
        return int(setting.number)
    import spglib

    operations = _from_gemmi(group, "", 0)
    try:
        kind = spglib.get_spacegroup_type_from_symmetry(operations.rotations, operations.translations)
    except Exception:  # newer versions raise an error of their own where older ones give None
        kind = None
    return int(kind.number) if kind is not None else 0


IDENTITY = parse_operations(("x,y,z",))


@lru_cache(maxsize=1024)
def settings_by_hall(symbol: str) -> Settings:
    """The setting of a Hall symbol; empty for a text that is not one."""
    try:
        group = gemmi.symops_from_hall(symbol.replace("_", " ").strip())
    except RuntimeError:
        return ()
    return ((_from_gemmi(group, f"Hall symbol {symbol}", _number_of(group)),),)


@lru_cache(maxsize=1024)
def settings_by_name(symbol: str) -> Settings:
    """The settings that a Hermann-Mauguin symbol can mean; empty for a text that is not one.

    International and ICSD spellings, short and full, are understood, old ones (``F d 3 m``) and underscores too. A
    symbol that leaves the origin or the axes open gives both.
    """
    base, choice = _split(symbol)
    group = gemmi.find_spacegroup_by_name(base)
    if not base:
        return ()
    return _rank(group, choice) if group is not None else _settings_by_full_name(base)


def _settings_by_full_name(symbol: str) -> Settings:
    """The settings of a full symbol, such as ``F 4/m -3 2/m``, which gemmi does not have."""
    import spglib

    halls = _full_names().get(re.sub(r"\s", "", symbol).lower(), ())
    databases = [(spglib.get_spacegroup_type(hall), spglib.get_symmetry_from_database(hall)) for hall in halls]
    settings = tuple(
        Operations(np.array(stored["rotations"]), np.array(stored["translations"]), symbol, kind.number)
        for kind, stored in databases
    )
    return (settings,) if settings else ()


@cache
def _full_names() -> dict[str, tuple[int, ...]]:
    """Hall numbers of spglib of each full Hermann-Mauguin symbol, without blanks and in small letters."""
    import spglib

    numbers: dict[str, tuple[int, ...]] = {}
    for hall in range(1, 531):
        name = re.sub(r"[\s_]", "", spglib.get_spacegroup_type(hall).international_full).lower()
        numbers[name] = (*numbers.get(name, ()), hall)
    return numbers


@lru_cache(maxsize=256)
def settings_by_number(number: int) -> Settings:
    """The settings of a group by its number, 1 to 230; the standard ones come first."""
    group = gemmi.find_spacegroup_by_number(number)
    return () if group is None else _rank(group, "")


def _rank(group: gemmi.SpaceGroup, choice: str) -> Settings:
    entries = [entry for entry in gemmi.spacegroup_table() if entry.number == group.number]
    same = [entry for entry in entries if entry.hm == group.hm]
    if choice:
        same = [entry for entry in same if entry.ext == choice]
        return (tuple(map(_setting, same)),) if same else ()
    others = [entry for entry in entries if entry.hm != group.hm and entry.short_name() == group.short_name()]
    rest = [entry for entry in entries if entry.hm != group.hm and entry not in others]
    return tuple(tuple(map(_setting, settings)) for settings in (same, others, rest) if settings)


def _setting(entry: gemmi.SpaceGroup) -> Operations:
    return _from_gemmi(entry.operations(), entry.xhm(), entry.number)


def _split(symbol: str) -> tuple[str, str]:
    """A symbol as gemmi spells it, and the origin or axes that it names."""
    text = re.sub(r"\\?bar\s*\{?\s*(\d)\s*\}?|\\-(\d)", r"-\1\2", symbol.strip())
    text = re.sub(r"[$'\"{}]", "", text)
    text = re.sub(r"(\d)\s*(?:_\s*|\()(\d)\)?", r"\1\2", text)  # 2_1 and 2(1) are 21
    text = re.sub(r"^([A-Za-z])_", r"\1 ", text).replace("_", "").strip()
    match = re.fullmatch(
        r"(.*?)\s*(?::\s*([12SZHRszhr])|\s(O?[12]|[SZHR]|HR|O[12])|\(?origin (?:choice )?([12])\)?)", text
    )
    if match and match.group(3) not in ("1", "2"):  # P m m 2 names no origin
        base, choice = match.group(1), next(choice_text for choice_text in match.groups()[1:] if choice_text)
        return _restore_case(base), _ORIGINS[choice.lower()]
    return _restore_case(text), ""


def _restore_case(symbol: str) -> str:
    return symbol[:1].upper() + symbol[1:].lower()


def images(operations: Operations, positions: Floats, lattice: Floats, within_a: float) -> list[Floats]:
    """The orbit of each position, (k, 3) fractional coordinates in the order of the operations.

    Parameters
    ----------
    operations
        A group.
    positions
        (n, 3) fractional coordinates.
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    within_a
        Images of one position that are nearer than this, in angstrom, are one: the position is moved to the middle
        of them, which is where the symmetry has it.

    Raises
    ------
    StructureError
        When the images that are nearer do not make up an orbit.
    """
    if len(operations) == 1:
        return list(positions[:, None])
    rotations, translations = operations.rotations.astype(float), operations.translations
    copies = np.einsum("mij,nj->nmi", rotations, positions) + translations
    offsets = copies - positions[:, None]
    offsets -= np.round(offsets)
    near = np.linalg.norm(offsets @ lattice, axis=2) < within_a
    orbits = list(copies)  # right for a general position, whose images are as many as the operations
    for place in np.flatnonzero(near.sum(axis=1) > 1).tolist():
        middle = positions[place] + offsets[place, near[place]].mean(axis=0)
        orbits[place] = _distinct(rotations @ middle + translations)
        if len(orbits[place]) * int(near[place].sum()) != len(operations):
            raise StructureError(
                f"symmetry puts images of site {place + 1} within {within_a:g} A of each other",
                why=f"the {len(operations)} operations give {len(orbits[place])} positions, which is not an orbit",
                fix="Give the site its special position, or more digits.",
                kind="OverlappingAtoms",
            )
    return orbits


def _distinct(copies: Floats) -> Floats:
    """Copies less those that are there, in order; copies are equal but for rounding."""
    keys = np.floor((copies + 3.7e-6) % 1.0 * 1e5).astype(np.int64)
    _, first = np.unique(keys, axis=0, return_index=True)
    return np.asarray(copies[np.sort(first)])
