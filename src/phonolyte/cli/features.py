"""``phonolyte features``: the Magpie features of crystals as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from phonolyte.cli.terminal import Inputs, Jobs, bar, console, finish, load_kernels, read_crystals, required, threads
from phonolyte.errors import SettingsError


def features(
    inputs: Inputs = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write: .parquet or .csv.")] = Path(
        "features.parquet"
    ),
    convention: Annotated[
        Literal["magpie", "matminer"], typer.Option(help="271 features, or matminer's 273.")
    ] = "magpie",
    jobs: Jobs = None,
) -> None:
    """Compute the Magpie features of crystals."""
    from phonolyte.features import featurize
    from phonolyte.runs.records import open_run, write_failures, write_parquet

    if output.suffix not in (".parquet", ".csv"):
        raise SettingsError(f"{output.name} is neither .parquet nor .csv", fix="Name the table so.")
    if output.is_dir():
        raise SettingsError(f"{output} is a folder", fix="Name a table.")
    folder = open_run(output.parent)
    reading = read_crystals(required(inputs), jobs)
    load_kernels()
    with threads(jobs) as executor, bar("Features", len(reading.crystals)) as progress:
        table, failures = featurize(
            reading.crystals,
            convention=convention,
            executor=executor,
            progress=progress,
        )
    formulas = {crystal.material_id: crystal.formula for crystal in reading.crystals}
    table.insert(0, "formula", [formulas[name] for name in table.index])
    if output.suffix == ".csv":
        table.to_csv(output)
    else:
        write_parquet(table.reset_index(), output)
    everything = [*reading.failures, *failures]
    if everything or (folder / "failures.parquet").exists():  # an old one would mislead
        write_failures(folder, everything)
    console().print(f"[bold]{len(table)}[/] crystals, {table.shape[1] - 1} features -> {output}")
    finish(everything, nothing=table.empty, notes=reading.notes)
