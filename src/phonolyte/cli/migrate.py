"""``phonolyte migrate``: how an ion moves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from phonolyte.barriers.neb import NEB, NebSettings
from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import (
    EngineName,
    EngineOptions,
    FrameOption,
    Inputs,
    Output,
    SlurmHeader,
    bar,
    open_named,
    require_inputs,
)
from phonolyte.cli.tier import check_cluster, run_here, run_on_cluster
from phonolyte.dynamics.trajectory import MD, DynamicsSettings
from phonolyte.errors import SettingsError
from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.percolation.site_energies import PercolationSettings
from phonolyte.runs.settings import ExecutorSettings, OutputSettings


@with_settings
def migrate(
    percolation: PercolationSettings,
    hops: NebSettings,
    dynamics: DynamicsSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    inputs: Inputs = None,
    frame: FrameOption = None,
    method: Annotated[
        Literal["bvse", "neb", "md"],
        typer.Option(help="bvse: percolation, 0.1 s per crystal; neb: barriers of hops; md: diffusivity."),
    ] = "bvse",
    ion: Annotated[str, typer.Option(help="Mobile element.")] = "Li",
    engine: EngineName = DEFAULT_ENGINE,
    option: EngineOptions = None,
    output: Output = Path("out"),
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster", help="With espresso: write jobs of neb.x for Slurm, read what they have done.",
            rich_help_panel=NEB,
        ),
    ] = False,
    slurm_header: SlurmHeader = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="One run of 5 ps at 1000 K: minutes, displacements only, for questions of doping.",
            rich_help_panel=MD,
        ),
    ] = False,
) -> None:  # fmt: skip
    """Compute how an ion moves: by percolation of site energies, NEB, or molecular dynamics."""
    from phonolyte.barriers import BarrierCalculation
    from phonolyte.barriers.cluster import COMMAND, BarriersOnCluster, neb_script
    from phonolyte.dynamics import DynamicsCalculation
    from phonolyte.forces.engines import engine_options
    from phonolyte.percolation import PercolationCalculation

    names, options, command = require_inputs(inputs, frame), engine_options(option or []), f"migrate --method {method}"
    if quick and method != "md":
        raise SettingsError(f"--quick does not go with --method {method}", fix="Add --method md.")
    if (cluster or slurm_header) and method != "neb":
        raise SettingsError(f"--cluster does not go with --method {method}", fix="Leave it out.")
    if method == "bvse":
        calculation = PercolationCalculation(ion, percolation, maps=writes.figures)
        run_here(calculation, names, output, writes, where, bar, command)
        return
    job = check_cluster(cluster, engine, options, slurm_header, COMMAND)
    source = job.engine if job else open_named(engine, options)
    if job:
        elsewhere = BarriersOnCluster(ion, source, hops, waves=job.waves)
        run_on_cluster(elsewhere, names, output, writes, neb_script(job.command, job.header), command)
    elif method == "neb":
        run_here(BarrierCalculation(ion, source, hops), names, output, writes, where, bar, command)
    else:
        dynamics = dynamics.shorten() if quick else dynamics
        run_here(DynamicsCalculation(ion, source, dynamics), names, output, writes, where, bar, command)
