"""``phonolyte phonons``: band centers and stability from computed phonons."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.engines import EngineOptions, MinLength, Relax, SlurmHeader, Supercell, open_named, options_of
from phonolyte.cli.report import NoReport, written
from phonolyte.cli.terminal import (
    Inputs,
    Jobs,
    Output,
    bar,
    console,
    elsewhere,
    finish,
    read_crystals,
    required,
    without_none,
)
from phonolyte.errors import Failure, SettingsError


def phonons(
    inputs: Inputs = None,
    engine: Annotated[
        str,
        typer.Option(
            help="Source of forces: dpa4, sevennet, espresso, emt, or package.module:Class of an ASE calculator."
        ),
    ] = "dpa4",
    option: EngineOptions = None,
    output: Output = Path("out"),
    ion: Annotated[str | None, typer.Option(help="Mobile element, whose own band center is reported.")] = None,
    supercell: Supercell = None,
    min_length_a: MinLength = 8.0,
    displacement_a: Annotated[float, typer.Option(help="Displacement of an atom, angstrom.")] = 0.01,
    mesh: Annotated[
        tuple[int, int, int] | None,
        typer.Option(metavar="N N N", min=1, help="Divisions of the q-point mesh. Default: by length, 100 A."),
    ] = None,
    relax: Relax = True,
    tolerance_mev: Annotated[float, typer.Option(help="A mode below minus this makes a crystal unstable, meV.")] = 1.0,
    confirm: Annotated[
        bool, typer.Option(help="Look at an instability again that only interpolation shows, in a wider supercell.")
    ] = True,
    converge: Annotated[
        bool, typer.Option("--converge", help="Also find how centers change with a finer mesh and a wider supercell.")
    ] = False,
    figures: Annotated[bool, typer.Option(help="Draw bands and density of states of each crystal.")] = True,
    limit_s: Annotated[float | None, typer.Option(help="Seconds for one crystal. Default: no limit.")] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Correction of the centers learned with this engine, a JSON file, or none. "
            "Default: Phonolyte's own for these weights, if there is one."
        ),
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Compute nothing here: write jobs for Slurm, read what they have done.")
    ] = False,
    slurm_header: SlurmHeader = None,
    report: NoReport = True,
    jobs: Jobs = None,
) -> None:
    """Compute phonons: band centers in total and of each element, lowest mode, stability."""
    from phonolyte.figures import draw_campaign
    from phonolyte.phonons import PhononSettings
    from phonolyte.phonons.calibration import Calibration
    from phonolyte.phonons.campaign import campaign
    from phonolyte.phonons.cluster import Cluster, cluster_campaign
    from phonolyte.runs.records import open_run, write_failures, write_run
    from phonolyte.structures.reading import input_files
    from phonolyte.summary import phonons_table

    if slurm_header and not cluster:
        raise SettingsError("--slurm-header is of --cluster", fix="Add --cluster, or leave it out.")
    if converge and cluster:
        raise SettingsError(
            "--converge computes here", fix="Leave it out with --cluster, and vary the settings instead."
        )
    settings = PhononSettings(
        relax=relax, supercell=supercell, min_length_a=min_length_a, displacement_a=displacement_a,
        mesh=mesh or 100.0, tolerance_mev=tolerance_mev, confirm=confirm, limit_s=limit_s,
    )  # fmt: skip
    options = options_of(option or [])
    learned = Path(calibration) if calibration and calibration != "none" else None
    given = Calibration.load(learned) if learned else None
    there = Cluster.of(engine, options, slurm_header) if cluster else None
    folder = open_run(output, "phonons")
    reading = read_crystals(required(inputs), jobs)
    source = there.engine if there else open_named(engine, options)
    rule = given if calibration else Calibration.shipped(source)
    record = {"command": "phonons", "inputs": inputs, "engine": engine, "ion": ion, **without_none(asdict(settings))}
    used = [*input_files(inputs or []), *([learned] if learned else [])]
    corrected = dict(rule.provenance) if rule else None
    write_run(folder, {**record, "engine_provenance": dict(source.provenance), "calibration": corrected}, used)
    waiting: list[str] = []
    with bar("Phonons (atoms)", sum(map(len, reading.crystals))) as progress:
        if there:
            run = cluster_campaign(
                reading.crystals, there, folder, settings, ion=ion, calibration=rule, progress=progress
            )
            table, failures, waiting = run.table, run.failures, run.notes
        else:
            table, failures = campaign(
                reading.crystals, source, folder, settings,
                ion=ion, calibration=rule, converge=converge, progress=progress,
            )  # fmt: skip
    undrawn: list[Failure] = []
    if figures and len(table):
        with bar("Figures", len(table)) as progress:
            undrawn = draw_campaign(folder, table, progress=progress)
    lost = [*reading.failures, *failures, *undrawn]
    write_failures(folder, lost)
    if len(table):
        console().print(phonons_table(table))
    console().print(
        f"{len(table)} of {len(reading.crystals) + len(reading.failures)} crystals -> {folder}/phonons.parquet"
    )
    written(folder, wanted=report)
    if not there:
        waiting = elsewhere(len(reading.crystals) - len(table) - len(failures))
    finish(lost, nothing=table.empty and not (there and waiting), notes=[*reading.notes, *waiting])
