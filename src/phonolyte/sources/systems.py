"""Chemical systems of crystals or of a table of formulas: those whose hulls the materials are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.systems import check_size, largest_systems
from phonolyte.errors import Failure, PhonolyteError, SettingsError
from phonolyte.files import column_names, read_table
from phonolyte.sources.entry import STAGE
from phonolyte.structures.reading import expand, read

TABLES = (".parquet", ".csv", ".tsv")


def systems_of(source: str | Path, *, ion: str = "any") -> tuple[tuple[str, ...], list[Failure]]:
    """Return the chemical systems of materials, less those that are part of another one, and what cannot be used.

    Parameters
    ----------
    source
        Table with a column `formula`, or any input of crystals: files, a folder, a run folder.
    ion
        Element that the materials contain; others do not count. Default: all count.

    Raises
    ------
    SettingsError
        When no material is left.
    """
    materials, failures = _formulas(source)
    systems = []
    for name, formula in materials.items():
        try:
            atoms = composition_of(formula)
            if ion in ("any", *atoms):
                systems.append(check_size(atoms))
        except PhonolyteError as error:
            failures.append(Failure.from_error(error, material_id=name, stage=STAGE, source=str(source)))
    if not systems:
        raise SettingsError(
            f"{source} has no chemical system",
            why=failures[0].message if failures else f"none of its {len(materials)} materials contains {ion}",
            fix="Give crystals, or a table with a column 'formula'.",
        )
    return largest_systems(systems), failures


def _formulas(source: str | Path) -> tuple[Mapping[str, str], list[Failure]]:
    """Formulas of materials by name; from the table alone where it has them."""
    parts = expand([source])
    if all(isinstance(part, Path) and _has_formulas(part) for part in parts):
        return dict(_rows(parts)), []
    reading = read(source)
    return {crystal.material_id: crystal.formula for crystal in reading.crystals}, reading.failures


def _has_formulas(path: Path) -> bool:
    return path.suffix.lower() in TABLES and "formula" in column_names(path)


def _rows(paths: Iterable[Path]) -> Iterable[tuple[str, str]]:
    """Name and formula of each row of some tables."""
    for path in paths:
        for number, formula in enumerate(read_table(path)["formula"], 1):
            yield f"{path.name}, row {number}", str(formula)
