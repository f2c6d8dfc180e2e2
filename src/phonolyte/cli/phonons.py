"""``phonolyte phonons``: band centers and stability from computed phonons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import (
    EngineName,
    EngineOptions,
    FrameOption,
    Inputs,
    Output,
    SlurmHeader,
    bar,
    require_inputs,
)
from phonolyte.cli.tier import check_cluster, run_here, run_on_cluster
from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.phonons.workflow import PhononSettings
from phonolyte.runs.settings import ExecutorSettings, OutputSettings


@with_settings
def phonons(
    settings: PhononSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    inputs: Inputs = None,
    frame: FrameOption = None,
    engine: EngineName = DEFAULT_ENGINE,
    option: EngineOptions = None,
    output: Output = Path("out"),
    ion: Annotated[str | None, typer.Option(help="Mobile element, whose own band center is reported.")] = None,
    converge: Annotated[
        bool,
        typer.Option("--converge", help="Also compute how centers change with a finer mesh and wider supercell."),
    ] = False,
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
) -> None:
    """Compute phonons: band centers in total and of each element, lowest mode, stability."""
    from phonolyte.cli.terminal import open_named
    from phonolyte.forces.engines import engine_options
    from phonolyte.phonons import PhononCalculation
    from phonolyte.phonons.calibration import Calibration
    from phonolyte.phonons.cluster import COMMAND, PhononsOnCluster, pw_script

    names, options = require_inputs(inputs, frame), engine_options(option or [])
    learned = Calibration.load(Path(calibration)) if calibration and calibration != "none" else None
    job = check_cluster(cluster, engine, options, slurm_header, COMMAND)
    source = job.engine if job else open_named(engine, options)
    rule = learned if calibration else Calibration.shipped(source)
    if job:
        elsewhere = PhononsOnCluster(source, settings, ion, rule, converge, waves=job.waves)
        run_on_cluster(elsewhere, names, output, writes, pw_script(job.command, job.header))
    else:
        run_here(PhononCalculation(source, settings, ion, rule, converge), names, output, writes, where, bar)
