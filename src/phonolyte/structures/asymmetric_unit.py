"""The sites that a file lists, and the cell that a space group makes of them: checked against all else in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from phonolyte.arrays import Floats
from phonolyte.chemistry.elements import ATOMIC_NUMBERS, PROPERTIES, property_table
from phonolyte.errors import StructureError
from phonolyte.structures.checks import SHORTEST_DISTANCE_A
from phonolyte.structures.crystal import wrap
from phonolyte.structures.space_groups import Operations, Settings, images
from phonolyte.units import G_CM3_PER_DALTON_A3

SAME_POSITION_A = 0.1
"""Images of one site that are nearer than this, in angstrom, are one atom: files round 1/3 to 0.333."""

SPLIT_POSITION_A = 0.005
"""The same for partial sites that formula or multiplicity say to be split: beyond what rounding does."""

FORMULA_TOLERANCE = 5e-3
"""Share of the atoms by which the sites may miss the formula."""

AMOUNT_TOLERANCE, ROUNDED = 0.005, 0.01
"""Share, and number in a formula unit, by which an element may miss a formula with refined fractions."""

COUNT_TOLERANCE = 0.02
"""Share by which the number of atoms may miss the one that formula and Z give."""

DENSITY_TOLERANCE = 0.25
"""Share by which the density may miss the one in the file; two settings of a group differ by 50 % at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Atoms of a cell, or the sites of its asymmetric unit.

    Attributes
    ----------
    lattice
        (3, 3) lattice vectors as rows, angstrom.
    elements
        Symbol of each of n sites.
    positions
        (n, 3) fractional coordinates.
    occupancies
        (n,) share of each site that its element fills, above 0 and up to 1.
    states
        Oxidation state of each site; None where the file gives none.
    groups
        Disorder group of each site, as ``ASSEMBLY/GROUP``; empty where it is in none.
    """

    lattice: Floats
    elements: tuple[str, ...]
    positions: Floats
    occupancies: Floats
    states: tuple[float | None, ...]
    groups: tuple[str, ...]

    def counts(self) -> dict[str, float]:
        """Atoms of each element."""
        total: dict[str, float] = {}
        for element, occupancy in zip(self.elements, self.occupancies.tolist(), strict=True):
            total[element] = total.get(element, 0.0) + occupancy
        return total

    def density_g_cm3(self) -> float:
        """Density with the natural masses of the elements."""
        masses = property_table()[:, PROPERTIES.index("AtomicWeight")]
        mass = sum(count * masses[ATOMIC_NUMBERS[element]] for element, count in self.counts().items())
        return float(G_CM3_PER_DALTON_A3 * mass / abs(np.linalg.det(self.lattice)))


@dataclass(frozen=True, slots=True, eq=False)
class Stated:
    """What a file says of the contents of its cell; None or empty where it does not.

    Attributes
    ----------
    formula
        Atoms of each element in a formula unit.
    formula_text
        The formula as it is written.
    z
        Formula units of the cell.
    density_g_cm3
        Density.
    multiplicities
        Images in the cell of each site of the asymmetric unit.
    """

    formula: Mapping[str, float] = field(default_factory=dict)
    formula_text: str = ""
    z: float | None = None
    density_g_cm3: float | None = None
    multiplicities: tuple[int, ...] = ()


def fill_cell(unit: Contents, settings: Settings, stated: Stated) -> Contents:
    """The contents of the cell, with the operations of the one setting that agrees with all that is stated.

    Parameters
    ----------
    unit
        Sites of the asymmetric unit.
    settings
        Settings that the file can mean; those of a later tuple count only where none of an earlier one can be.
    stated
        What the file says of the result.

    Raises
    ------
    StructureError
        When no setting agrees with the cell and what is stated, or several do, and give different crystals.
    """
    problems: list[StructureError] = []
    for tier in settings:
        fitting = []
        for operations in (setting for setting in tier if setting.leave(unit.lattice)):
            try:
                contents = _expand(unit, operations, stated)
                fitting.append((operations, contents))
            except StructureError as error:
                problems.append(error)
        if fitting:
            first = fitting[0][1]
            if all(_are_equal(first, contents) for _, contents in fitting[1:]):
                return first
            raise _ambiguous(fitting, stated)
    raise problems[0] if problems else _no_setting(unit.lattice, [s for tier in settings for s in tier])


def _expand(unit: Contents, operations: Operations, stated: Stated) -> Contents:
    """The cell, where what is stated decides whether images that are very near are one atom or a split site."""
    problems = []
    for within_a in (SAME_POSITION_A, SPLIT_POSITION_A):
        orbits = images(operations, unit.positions, unit.lattice, within_a)
        sizes = [len(orbit) for orbit in orbits]
        contents = Contents(
            unit.lattice,
            tuple(element for element, size in zip(unit.elements, sizes, strict=True) for _ in range(size)),
            wrap(np.concatenate(orbits)),
            np.repeat(unit.occupancies, sizes),
            tuple(state for state, size in zip(unit.states, sizes, strict=True) for _ in range(size)),
            tuple(group for group, size in zip(unit.groups, sizes, strict=True) for _ in range(size)),
        )
        problem = next(_problems(contents, sizes, len(operations), stated), None)
        if problem is None:
            return contents
        problems.append(problem)
    raise problems[0]


def _problems(contents: Contents, sizes: Sequence[int], order: int, stated: Stated) -> Iterator[StructureError]:
    counts = contents.counts()
    if stated.formula and not _has_formula(counts, stated.formula):
        yield StructureError(
            "the sites do not make up the formula",
            why=f"the file says {stated.formula_text}, its sites give {_in_words(counts)}",
            fix="Add the sites that are missing (often hydrogen), or correct the formula.",
            kind="FormulaMismatch",
        )
    elif stated.formula and stated.z:
        atoms = sum(counts.values())
        if _is_refined(stated.formula) and not _has_amounts(counts, stated.formula, stated.z):
            yield StructureError(
                "the sites do not make up the formula",
                why=f"the file says {stated.z:g} x {stated.formula_text}, its sites give {_in_words(counts)}",
                fix="Add the sites that are missing, or correct occupancies or formula.",
                kind="FormulaMismatch",
            )
        if not any(abs(atoms / wanted - 1.0) < COUNT_TOLERANCE for wanted in _atoms_stated(stated.formula, stated.z)):
            yield StructureError(
                "the sites do not fill the cell",
                why=f"the file says {stated.z:g} x {stated.formula_text}, its sites give {_in_words(counts)}",
                fix="Correct the sites, the symmetry or Z in the file.",
                kind="FormulaMismatch",
            )
    if stated.density_g_cm3 and abs(contents.density_g_cm3() / stated.density_g_cm3 - 1.0) > DENSITY_TOLERANCE:
        yield StructureError(
            "the sites do not make up the density",
            why=f"the file says {stated.density_g_cm3:g} g/cm3, its sites give {contents.density_g_cm3():.3g}",
            fix="Correct the sites, the symmetry or the density in the file.",
            kind="FormulaMismatch",
        )
    pairs = list(zip(sizes, stated.multiplicities, strict=False))
    wrong = [place for place, (size, multiplicity) in enumerate(pairs) if multiplicity != size]
    if wrong and any(multiplicity != order // size for size, multiplicity in pairs):  # SHELX writes that of the group
        size, multiplicity = pairs[wrong[0]]
        yield StructureError(
            f"site {wrong[0] + 1} has another multiplicity",
            why=f"the file says {multiplicity}, its operations give {size}",
            fix="Correct the coordinates or the symmetry of the site.",
            kind="SymmetryMismatch",
        )
    from phonolyte.structures.neighbors import shortest_contact

    full = contents.occupancies == 1.0  # parts that exclude each other may lie close
    distance, i, j = shortest_contact(contents.lattice, contents.positions[full], SHORTEST_DISTANCE_A)
    if i >= 0:
        elements = [element for element, is_full in zip(contents.elements, full, strict=True) if is_full]
        yield StructureError(
            "atoms overlap",
            why=f"{elements[i]} and {elements[j]} are {distance:.3f} A apart",
            fix="Remove repeated or alternative positions; coordinates may also be in the wrong unit.",
            kind="OverlappingAtoms",
        )


def _has_formula(counts: Mapping[str, float], formula: Mapping[str, float]) -> bool:
    atoms, unit = sum(counts.values()), sum(formula.values())
    elements = {*counts, *formula}
    return all(abs(counts.get(e, 0.0) / atoms - formula.get(e, 0.0) / unit) <= FORMULA_TOLERANCE for e in elements)


def _is_refined(formula: Mapping[str, float]) -> bool:
    """Whether a formula has the fractions that were refined, and not the whole numbers that were meant."""
    return any(abs(amount - round(amount)) > 1e-6 for amount in formula.values())


def _has_amounts(counts: Mapping[str, float], formula: Mapping[str, float], z: float) -> bool:
    """Whether a cell has the amounts of Z formula units, or of one: some programs write the cell as the formula."""
    return any(
        all(
            abs(counts.get(e, 0.0) - units * amount) <= AMOUNT_TOLERANCE * units * amount + ROUNDED * units
            for e, amount in formula.items()
        )
        for units in (z, 1.0)
    )


def _atoms_stated(formula: Mapping[str, float], z: float) -> list[float]:
    """Atoms that a cell of Z formula units can have: some programs write the whole cell as the formula, and Z too."""
    unit = sum(formula.values())
    is_whole = all(abs(round(amount / z) - amount / z) < 0.01 or amount % 1.0 for amount in formula.values())
    return [z * unit, unit] if is_whole else [z * unit]


def _are_equal(a: Contents, b: Contents) -> bool:
    """Whether two settings put the same atoms at the same places."""
    if a.elements != b.elements or not np.allclose(a.occupancies, b.occupancies):
        return False
    offsets = a.positions[:, None] - b.positions[None]
    offsets -= np.round(offsets)
    near = np.linalg.norm(offsets @ a.lattice, axis=2) < SAME_POSITION_A
    same = np.array(a.elements)[:, None] == np.array(b.elements)[None]
    return bool((near & same).any(axis=0).all() and (near & same).any(axis=1).all())


def _in_words(counts: Mapping[str, float]) -> str:
    return " ".join(f"{element}{count:.4g}" for element, count in counts.items())


def _format_amounts(values: Floats) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _ambiguous(fitting: Sequence[tuple[Operations, Contents]], stated: Stated) -> StructureError:
    choices = "; ".join(f"{operations.name}: {_in_words(contents.counts())}" for operations, contents in fitting)
    lacks = "neither Z nor a density" if stated.formula else "neither a formula nor a density"
    return StructureError(
        "the file leaves its symmetry open",
        why=f"several settings are possible ({choices}), and it has {lacks} that would decide"
        if not (stated.z or stated.density_g_cm3)
        else f"several settings agree with what it says ({choices})",
        fix="Export the CIF with its symmetry operations, or add _cell_formula_units_Z.",
        kind="UnknownSymmetry",
    )


def _no_setting(lattice: Floats, settings: Sequence[Operations]) -> StructureError:
    edges = np.linalg.norm(lattice, axis=1)
    unit = lattice / edges[:, None]
    angles = np.degrees(np.arccos(np.clip([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]], -1.0, 1.0)))
    names = ", ".join(dict.fromkeys(setting.name for setting in settings))
    return StructureError(
        "the cell does not have the symmetry of its space group",
        why=f"edges {_format_amounts(edges)} A and angles {_format_amounts(angles)} degrees change under {names}",
        fix="Correct the cell, or export the CIF with its symmetry operations.",
        kind="SymmetryMismatch",
    )
