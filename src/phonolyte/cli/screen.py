"""``phonolyte screen``: crystals ranked as candidates for solid electrolytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phonolyte.cli.report import NoReport, written
from phonolyte.cli.terminal import Inputs, Jobs, Output, bar, console, finish, load_kernels, read_crystals, threads
from phonolyte.settings import SCREEN_DEFAULTS, read_toml, resolve, section

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from phonolyte.models import BandCenterModel
    from phonolyte.models.nearest import Learned
    from phonolyte.screen import Criteria, Screening
    from phonolyte.structures import Reading


def screen(
    inputs: Inputs = None,
    output: Output = Path("out"),
    properties: Annotated[
        Path | None, typer.Option(help="CSV or Parquet: material_id, e_hull_ev (eV/atom), band_gap_ev (eV).")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of a model. Default: the embedded one.")] = None,
    ion: Annotated[
        str | None, typer.Option(help="Mobile ion: Li, Na, K, Mg, Ca, Zn, Ag, ... or any. Default: any.")
    ] = None,
    max_center_mev: Annotated[float | None, typer.Option(help="Largest band center, meV. Default: 40.")] = None,
    max_e_hull_ev: Annotated[
        float | None, typer.Option(help="Largest energy above the hull, eV/atom. Default: 0.05.")
    ] = None,
    min_gap_ev: Annotated[float | None, typer.Option(help="Smallest band gap, eV. Default: 1.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave a criterion out: unique, ion, stable_elements, e_hull, band_gap, band_center."),
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with these options in a table named screen.")] = None,
    figures: Annotated[bool, typer.Option(help="Draw the funnel, and what compounds and candidates are.")] = True,
    report: NoReport = True,
    jobs: Jobs = None,
) -> None:
    """Rank crystals as candidates for solid electrolytes.

    Without INPUT the reference compounds that come with Phonolyte are ranked.
    """
    given = {
        "ion": ion, "max_center_mev": max_center_mev, "max_e_hull_ev": max_e_hull_ev, "min_gap_ev": min_gap_ev,
        "without": without or None, "jobs": jobs,
    }  # fmt: skip
    table = section(read_toml(settings), "screen") if settings else {}
    settled = resolve(SCREEN_DEFAULTS, arguments=given, table=table)
    result, _ = screened(inputs or [], output, properties, model, settled, figures=figures)
    written(output, wanted=report)
    finish(result.failures, nothing=result.table.empty, notes=result.notes)


def screened(
    inputs: list[str],
    output: Path,
    properties: Path | None,
    model: Path | None,
    settings: dict[str, Any],
    *,
    figures: bool = True,
) -> tuple[Screening, Reading]:
    """Screen as the settings say, write and show what came out."""
    from phonolyte.models import BandCenterModel
    from phonolyte.references import reference_compounds
    from phonolyte.runs.records import FOLLOWED, open_run, write_failures, write_run
    from phonolyte.screen import criteria_from, read_properties, write_screening
    from phonolyte.screen import screen as run_screen
    from phonolyte.structures.reading import input_files

    criteria = criteria_from(settings)
    fitted = BandCenterModel.load(model) if model else BandCenterModel.embedded()
    known = read_properties(properties) if properties else None
    folder = open_run(output, "screen")
    for file in FOLLOWED:  # what a study has followed is not of this screen
        (folder / file).unlink(missing_ok=True)
    jobs = settings["jobs"]
    reading = read_crystals(inputs, jobs) if inputs else reference_compounds()
    load_kernels()
    shards = folder / ".shards"
    with threads(jobs) as executor:
        learned = learned_by(model, fitted, executor)
    with threads(jobs) as executor, bar("Screening", len(reading.crystals)) as progress:
        result = run_screen(
            reading, model=fitted, criteria=criteria, properties=known, learned=learned, shards=shards,
            executor=executor, progress=progress,
        )  # fmt: skip
    write_screening(result, criteria, folder, crystals=reading.crystals)
    write_failures(folder, result.failures)
    used = [*input_files(inputs), *([properties] if properties else []), *([model / "model.json"] if model else [])]
    write_run(folder, {"command": "screen", "inputs": inputs, "model": str(model or "embedded"), **settings}, used)
    shutil.rmtree(shards, ignore_errors=True)  # a hidden folder of our own
    if figures:
        _draw(result, reading, criteria, folder)
    _show_screening(result, criteria, folder)
    return result, reading


def _draw(result: Screening, reading: Reading, criteria: Criteria, folder: Path) -> None:
    from phonolyte.figures import draw_screen
    from phonolyte.structures.symmetry import crystal_system

    found = set(result.table["material_id"][result.table["passes"].astype(bool)])
    with console(stderr=True).status("Drawing figures"):
        systems = {c.material_id: crystal_system(c) for c in reading.crystals if c.material_id in found}
        draw_screen(folder, result, criteria, crystal_systems=systems)


def learned_by(folder: Path | None, model: BandCenterModel, executor: Executor) -> Learned | None:
    """The compounds that a model has learned from; Phonolyte's own learning set for the embedded one."""
    from phonolyte import learning_set
    from phonolyte.models.nearest import Learned

    return Learned.beside(folder, model.domain) if folder else learning_set.learned(model.domain, executor=executor)


def _show_screening(result: Screening, criteria: Criteria, folder: Path) -> None:
    from phonolyte.summary import candidates_table, funnel_table

    terminal = console()
    terminal.print(funnel_table(result))
    if result.n_ranked:
        terminal.print(candidates_table(result))
    terminal.print(f"{result.n_ranked} candidates of {result.funnel[0].kept} materials -> {folder}/ranked.csv")
    terminal.print("[dim]The band center is a proxy for ion mobility within a family, not a conductivity.[/]")
