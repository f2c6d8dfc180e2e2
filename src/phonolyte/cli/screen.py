"""``phonolyte screen``: crystals ranked as candidates for solid electrolytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phonolyte.cli.options import with_settings
from phonolyte.cli.terminal import (
    EngineOptions,
    FrameOption,
    Inputs,
    ModelOption,
    Output,
    bar,
    console,
    finish,
    load_kernels,
    open_named,
    say,
    with_frame,
)  # fmt: skip
from phonolyte.counts import count
from phonolyte.errors import SettingsError
from phonolyte.forces.engines import engine_options
from phonolyte.runs.settings import ExecutorSettings, OutputSettings
from phonolyte.screen.settings import ScreenSettings

if TYPE_CHECKING:
    from phonolyte.screen import Screening


@with_settings
def screen(
    criteria: ScreenSettings,
    where: ExecutorSettings,
    writes: OutputSettings,
    inputs: Inputs = None,
    frame: FrameOption = None,
    output: Output = Path("out"),
    properties: Annotated[
        Path | None, typer.Option(help="CSV or Parquet: material_id, e_hull_ev (eV/atom), band_gap_ev (eV).")
    ] = None,
    model: ModelOption = None,
    relax_with: Annotated[
        str | None,
        typer.Option(help="Engine that relaxes the crystals first (seconds each); the model of relaxed cells is used."),
    ] = None,
    option: EngineOptions = None,
) -> None:
    """Rank crystals as candidates for solid electrolytes.

    Without INPUT the reference compounds that come with Phonolyte are ranked.
    """
    from phonolyte import verbs

    if option and not relax_with:
        raise SettingsError("--option is for the engine of --relax-with", fix="Name the engine, or leave it out.")
    load_kernels(screen=True)
    engine = open_named(relax_with, engine_options(option or [])) if relax_with else None
    result = verbs.screen(
        with_frame(inputs or [], frame) or None, folder=output, settings=criteria, properties=properties, model=model,
        relax_with=engine, output=writes, executor=where, progress=bar,
    )  # fmt: skip
    show_screening(result, output)
    finish(result.failures, nothing=result.table.empty, folder=output)


def show_screening(result: object, folder: Path) -> None:
    """Show the funnel and the first candidates."""
    from phonolyte.screen import Screening
    from phonolyte.summary import candidates_table, funnel_table, yardsticks_table

    assert isinstance(result, Screening)
    terminal = console()
    terminal.print(funnel_table(result))
    if result.n_ranked:
        terminal.print(candidates_table(result))
    if len(result.yardsticks):
        terminal.print(yardsticks_table(result))
    unjudged = f", not judged by {' and '.join(result.unjudged)} (unknown)" if result.unjudged else ""
    of = count(result.funnel[0].kept, "material")
    say(f"{count(result.n_ranked, 'candidate')} of {of}{unjudged} -> {folder}/ranked.csv")
    if "p_conductor" in result.table and result.table["p_conductor"].notna().any():
        terminal.print(
            f"[dim]P: probability of 1e-4 S/cm or more at room temperature{_ions_of_model(result)}; σ: predicted; "
            "3D: barrier of percolation, which is a hint and not a calculation.[/]"
        )
    else:
        terminal.print("[dim]The band center is a hint, and not a conductivity.[/]")


def _ions_of_model(result: Screening) -> str:
    """Ion whose conductivities the model has learned from, where there are candidates of other ones too."""
    from phonolyte.measured import ION

    others = [ion for ion in dict.fromkeys(result.table.loc[result.table["passes"].astype(bool), "ion"]) if ion != ION]
    return f", for {ION} alone: there is none for {', '.join(others)}" if others else ""
