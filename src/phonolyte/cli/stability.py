"""``phonolyte stability``: energy above the hull, electrochemical window, reactions with electrodes and moisture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import EngineName, EngineOptions, FrameOption, Inputs, Output, bar, require_inputs
from phonolyte.cli.tier import run_here
from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.stability.calculation import StabilitySettings


@with_settings
def stability(
    settings: StabilitySettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    inputs: Inputs = None,
    frame: FrameOption = None,
    ion: Annotated[str, typer.Option(help="Mobile element.")] = "Li",
    engine: EngineName = DEFAULT_ENGINE,
    option: EngineOptions = None,
    output: Output = Path("out"),
) -> None:
    """Compute stability: energy above the hull, electrochemical window, reactions with electrodes and moisture."""
    from phonolyte.cli.terminal import open_named
    from phonolyte.forces.engines import engine_options
    from phonolyte.stability.calculation import StabilityCalculation

    source = open_named(engine, engine_options(option or []))
    calculation = StabilityCalculation.from_settings(ion, source, settings)
    run_here(calculation, require_inputs(inputs, frame), output, writes, where, bar)
