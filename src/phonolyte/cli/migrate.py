"""``phonolyte migrate``: how an ion moves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from phonolyte.cli.engines import EngineOptions, MinLength, Relax, SlurmHeader, Supercell, open_named, options_of
from phonolyte.cli.report import NoReport, written
from phonolyte.cli.terminal import (
    Inputs,
    Jobs,
    Output,
    bar,
    check_element,
    console,
    elsewhere,
    finish,
    processes,
    read_crystals,
    required,
    without_none,
)
from phonolyte.errors import Failure, SettingsError

NEB, MD, SITES = "Nudged elastic bands", "Molecular dynamics", "Site energies"


def migrate(
    inputs: Inputs = None,
    method: Annotated[
        Literal["bvse", "neb", "md"],
        typer.Option(help="bvse: percolation, seconds a crystal; neb: barriers of hops; md: diffusivity."),
    ] = "bvse",
    ion: Annotated[str, typer.Option(help="Mobile element.")] = "Li",
    engine: Annotated[
        str,
        typer.Option(
            help="Of neb and md: dpa4, sevennet, espresso, emt, or package.module:Class of an ASE calculator."
        ),
    ] = "dpa4",
    option: EngineOptions = None,
    output: Output = Path("out"),
    supercell: Supercell = None,
    min_length_a: MinLength = 8.0,
    relax: Relax = True,
    images: Annotated[int, typer.Option(help="Images between the ends of a hop.", rich_help_panel=NEB)] = 5,
    fmax_ev_a: Annotated[
        float, typer.Option(help="Largest force of a converged path, eV/A.", rich_help_panel=NEB)
    ] = 0.05,
    max_steps: Annotated[int, typer.Option(help="Steps of a band.", rich_help_panel=NEB)] = 200,
    cutoff_a: Annotated[float, typer.Option(help="Longest hop, angstrom.", rich_help_panel=NEB)] = 5.0,
    hop: Annotated[
        list[str] | None,
        typer.Option(help="Name of a hop, such as Li-2.85. Default: the shortest that percolate.", rich_help_panel=NEB),
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(
            help="First path of a hop as HOP=FILE (extXYZ), instead of an interpolation; repeat it.",
            rich_help_panel=NEB,
        ),
    ] = None,
    temperature_k: Annotated[
        list[float] | None, typer.Option(help="Temperature, K; repeat it. Default: 600, 800, 1000.", rich_help_panel=MD)
    ] = None,
    time_ps: Annotated[float, typer.Option(help="Time of each run, ps.", rich_help_panel=MD)] = 20.0,
    timestep_fs: Annotated[float, typer.Option(help="Time step, fs; 0.5 with H.", rich_help_panel=MD)] = 2.0,
    seed: Annotated[int, typer.Option(help="Of the first velocities.", rich_help_panel=MD)] = 0,
    carrier: Annotated[
        Literal["vacancy", "interstitial"],
        typer.Option(help="What moves, a vacancy or one more ion.", rich_help_panel=NEB),
    ] = "vacancy",
    charge: Annotated[
        float | None,
        typer.Option(
            help="With espresso: charge of the cell with the defect, -1 for Li+ removed.", rich_help_panel=NEB
        ),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="With espresso: write jobs of neb.x for Slurm, read what they have done.",
            rich_help_panel=NEB,
        ),
    ] = False,
    slurm_header: SlurmHeader = None,
    resolution_a: Annotated[
        float, typer.Option(help="Distance of grid points, angstrom.", rich_help_panel=SITES)
    ] = 0.2,
    limit_s: Annotated[
        float | None, typer.Option(help="Seconds for one hop. Default: no limit.", rich_help_panel=NEB)
    ] = None,
    figures: Annotated[bool, typer.Option(help="Draw the map of site energies, or the profile of each hop.")] = True,
    report: NoReport = True,
    jobs: Jobs = None,
) -> None:
    """Find how an ion moves: by percolation of site energies, nudged elastic bands, or molecular dynamics."""
    from phonolyte.barriers import NebSettings, barrier_campaign
    from phonolyte.barriers.cluster import COMMAND as NEB_COMMAND
    from phonolyte.barriers.cluster import neb_cluster_campaign
    from phonolyte.dynamics import DynamicsSettings, dynamics_campaign
    from phonolyte.figures import draw_migration
    from phonolyte.percolation import PercolationSettings, percolation_campaign
    from phonolyte.phonons.cluster import Cluster
    from phonolyte.runs.records import open_run, write_crystals, write_failures, write_run
    from phonolyte.structures.reading import input_files
    from phonolyte.summary import barriers_table

    settings: NebSettings | PercolationSettings | DynamicsSettings
    if method == "bvse":
        settings = PercolationSettings(resolution_a=resolution_a)
    elif method == "neb":
        settings = NebSettings(
            supercell=supercell, min_length_a=min_length_a, images=images, fmax_ev_a=fmax_ev_a, max_steps=max_steps,
            cutoff_a=cutoff_a, hops=tuple(hop) if hop else None, relax=relax, carrier=carrier,
            charge=charge, paths=_paths(path or []), limit_s=limit_s,
        )  # fmt: skip
    else:
        temperatures = tuple(temperature_k) if temperature_k else DynamicsSettings().temperatures_k
        settings = DynamicsSettings(
            temperatures_k=temperatures, time_ps=time_ps, timestep_fs=timestep_fs, supercell=supercell,
            min_length_a=min_length_a, relax=relax, seed=seed,
        )  # fmt: skip
    if (cluster or slurm_header) and method != "neb":
        raise SettingsError(f"--cluster does not go with --method {method}", fix="Leave it out.")
    options = options_of(option or [])
    there = Cluster.of(engine, options, slurm_header, command=NEB_COMMAND) if cluster else None
    check_element(ion)
    folder = open_run(output, f"migrate --method {method}")
    reading = read_crystals(required(inputs), jobs)
    crystals = reading.crystals
    write_crystals(crystals, folder)
    record: dict[str, Any] = {"command": "migrate", "inputs": inputs, "method": method, "ion": ion}
    source = None if method == "bvse" else there.engine if there else open_named(engine, options)
    waiting: list[str] = []
    if source:
        record |= {"engine": engine, "engine_provenance": dict(source.provenance)}
    with processes(jobs) as executor, bar(f"{method} (atoms)", sum(map(len, crystals))) as progress:
        if isinstance(settings, NebSettings) and there:
            run = neb_cluster_campaign(crystals, ion, there, folder, settings, progress=progress)
            table, failures, waiting = run.table, run.failures, run.notes
        elif isinstance(settings, NebSettings) and source:
            table, failures = barrier_campaign(crystals, ion, source, folder, settings, progress=progress)
        elif isinstance(settings, DynamicsSettings) and source:
            table, failures = dynamics_campaign(crystals, ion, source, folder, settings, progress=progress)
        elif isinstance(settings, PercolationSettings):
            table, failures = percolation_campaign(
                crystals, ion, folder, settings, maps=figures, executor=executor, progress=progress
            )
    write_run(folder, {**record, **without_none(asdict(settings))}, input_files(inputs or []))
    undrawn: list[Failure] = []
    if figures and len(table):
        with bar("Figures", len(table)) as progress:
            undrawn = draw_migration(folder, table, progress=progress)
    lost = [*reading.failures, *failures, *undrawn]
    write_failures(folder, lost)
    if len(table):
        console().print(barriers_table(table))
    if not there:
        waiting = elsewhere(len(crystals) - len(table) - len(failures))
    n = len(reading.crystals) + len(reading.failures)
    console().print(f"{len(table)} of {n} crystals -> {folder}/barriers.parquet")
    written(folder, wanted=report)
    finish(lost, nothing=table.empty and not (there and waiting), notes=[*reading.notes, *waiting])


def _paths(given: list[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for pair in given:
        hop, equals, file = pair.partition("=")
        if not (hop and equals and file):
            raise SettingsError(f"{pair!r} is no path of a hop", fix="Write HOP=FILE, such as Li-2.85=path.xyz.")
        found.append((hop, file))
    return tuple(found)
