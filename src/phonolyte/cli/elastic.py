"""``phonolyte elastic``: elastic moduli by finite strains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import EngineName, EngineOptions, FrameOption, Inputs, Output, bar, require_inputs
from phonolyte.cli.tier import run_here
from phonolyte.elastic.workflow import ElasticSettings
from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.runs.settings import ExecutorSettings, OutputSettings


@with_settings
def elastic(
    settings: ElasticSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    inputs: Inputs = None,
    frame: FrameOption = None,
    engine: EngineName = DEFAULT_ENGINE,
    option: EngineOptions = None,
    output: Output = Path("out"),
    ion: Annotated[str, typer.Option(help="Mobile element: the metal whose shear modulus is compared with.")] = "Li",
) -> None:
    """Compute elastic moduli by finite strains: bulk, shear, Young's, and whether it is stiffer than the metal."""
    from phonolyte.cli.terminal import open_named
    from phonolyte.elastic import ElasticCalculation
    from phonolyte.forces.engines import engine_options

    names, source = require_inputs(inputs, frame), open_named(engine, engine_options(option or []))
    run_here(ElasticCalculation(source, settings, ion), names, output, writes, where, bar)
