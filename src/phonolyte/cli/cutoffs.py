"""``phonolyte cutoffs``: what forces of Quantum ESPRESSO need."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phonolyte.cli.engines import options_of
from phonolyte.cli.terminal import Output, bar, console, escape, read_crystals
from phonolyte.errors import SettingsError

if TYPE_CHECKING:
    from phonolyte.forces import Engine


def cutoffs(
    file: Annotated[Path, typer.Argument(help="A crystal: CIF, POSCAR, extXYZ, JSON; its primitive cell is used.")],
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the engine espresso as NAME=VALUE, such as pseudo_dir=FOLDER.")
    ] = None,
    output: Output = Path("out"),
    ecutwfc_ry: Annotated[
        list[float] | None, typer.Option(help="Cutoff of the wave functions, Ry; repeat it. Default: 40, 60, 80, 100.")
    ] = None,
    ratio: Annotated[
        list[float] | None, typer.Option(help="Density cutoff over that; repeat it. Default: 4, 8, 12.")
    ] = None,
    k_spacing_inv_a: Annotated[
        list[float] | None,
        typer.Option(help="Distance of k points, 1/angstrom; several are compared. Default: 0.5."),
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Largest relative error of the force.")] = 0.01,
) -> None:
    """Find the cutoffs of Quantum ESPRESSO that the force of a small displacement needs."""
    from phonolyte.forces import open_engine
    from phonolyte.forces.cells import primitive_cell
    from phonolyte.forces.cutoffs import Cutoffs, Ladder, cutoff_table
    from phonolyte.runs.records import open_run, write_run
    from phonolyte.summary import cutoffs_table

    given = {"ecutwfc_ry": ecutwfc_ry, "ratios": ratio, "k_spacings_inv_a": k_spacing_inv_a}
    ladder = Ladder(**{name: tuple(values) for name, values in given.items() if values})
    options = options_of(option or [])

    def engine_at(setting: Cutoffs) -> Engine:
        return open_engine("espresso", **{**options, **setting.options})

    source = engine_at(ladder.cutoffs[0])  # what is wrong with options is wrong with every setting
    folder = open_run(output, "cutoffs")
    reading = read_crystals([str(file)], None)
    if len(reading.crystals) != 1:
        why = reading.failures[0].message if reading.failures else f"it has {len(reading.crystals)}"
        raise SettingsError(f"{file} does not give one crystal", why=why, fix="Name a file of one crystal.")
    (crystal,) = reading.crystals
    with bar("Cutoffs", ladder.n_settings) as progress:
        table = cutoff_table(
            primitive_cell(crystal),
            engine_at,
            ladder,
            tolerance=tolerance,
            progress=progress,
        )
    table.to_csv(folder / "cutoffs.csv", index=False)
    record = {"command": "cutoffs", "tolerance": tolerance, **{name: list(v) for name, v in asdict(ladder).items()}}
    write_run(folder, {**record, "engine_provenance": dict(source.provenance)}, [file])
    console().print(cutoffs_table(table, crystal.formula, tolerance))
    failed = table["error"].ne("")
    console().print(f"{len(table) - failed.sum()} of {len(table)} settings -> {folder}/cutoffs.csv")
    if failed.any():
        console().print(escape(str(table.loc[failed, "error"].iloc[0])), highlight=False)
        raise typer.Exit(2 if failed.all() else 1)
