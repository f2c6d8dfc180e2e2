"""``phonolyte study``: learn, cross-validate, screen, follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phonolyte.cli.engines import open_named, options_of
from phonolyte.cli.report import NoReport, written
from phonolyte.cli.screen import screened
from phonolyte.cli.terminal import Output, bar, console, finish, listed, processes
from phonolyte.cli.train import trained
from phonolyte.errors import Failure, SettingsError
from phonolyte.settings import FOLLOW_DEFAULTS, SCREEN_DEFAULTS, TRAIN_DEFAULTS, read_toml, resolve, section

if TYPE_CHECKING:
    import pandas as pd

    from phonolyte.forces import Engine
    from phonolyte.screen import Screening
    from phonolyte.structures import Reading


def study(
    file: Annotated[Path | None, typer.Argument(help="TOML file with tables named train, screen, follow.")] = None,
    output: Output = Path("out"),
    figures: Annotated[bool, typer.Option(help="Draw the figures of each part.")] = True,
    report: NoReport = True,
) -> None:
    """Run the whole story: learn, cross-validate, screen, follow; from a TOML file, or on what comes with Phonolyte.

    The table screen takes the options of screen plus inputs and properties; train takes those of train, and its
    model is then used for the screen (the embedded one where there is no such table). With a table follow the best
    go on through percolation, phonons and nudged elastic bands, budget_h hours long; a second run goes on. Paths are
    relative to the file.
    """
    record = read_toml(file) if file else {"train": {"compare": False}}
    unknown = set(record) - {"train", "screen", "follow"}
    if unknown:
        raise SettingsError(f"there is no table [{sorted(unknown)[0]}]", fix="Use [train], [screen] and [follow].")
    further = _further(record) if "follow" in record else None
    source = open_named(further["engine"], options_of(further["options"])) if further else None
    from phonolyte.runs.records import write_failures

    base = file.parent if file else Path()
    model, lost = None, []
    if "train" in record:
        settings = resolve(TRAIN_DEFAULTS, arguments={}, table=section(record, "train"))
        if settings["data"]:
            settings["data"] = str(base / settings["data"])
        model = output / "model"
        lost = trained(model, settings, figures=output / "figures" if figures else None)
    options = section(record, "screen")
    inputs = [str(base / item) for item in listed(options.pop("inputs", []))]
    properties = options.pop("properties", None)
    settings = resolve(SCREEN_DEFAULTS, arguments={}, table=options)
    known = base / properties if properties else None
    screening, reading = screened(inputs, output, known, model, settings, figures=figures)
    lost += screening.failures
    if further and source:
        lost += _follow(screening, reading, source, output, further, figures=figures)
    write_failures(output, lost)
    written(output, wanted=report)
    finish(lost, nothing=screening.table.empty, notes=screening.notes)


def _further(record: dict[str, Any]) -> dict[str, Any]:
    """The settings of what follows; its ion is that of the screen unless it is named."""
    ion = section(record, "screen").get("ion", "any")
    table = section(record, "follow")
    options = table.get("options")
    if isinstance(options, dict):  # a table, whose values have types already; a list otherwise
        del table["options"]
    settings = resolve(FOLLOW_DEFAULTS, arguments={}, table=table if ion == "any" else {"ion": ion, **table})
    return {**settings, "options": settings["options"] or options} if isinstance(options, dict) else settings


def _follow(
    screening: Screening, reading: Reading, engine: Engine, folder: Path, settings: dict[str, Any], *, figures: bool
) -> Sequence[Failure]:
    from phonolyte.figures import draw_followed
    from phonolyte.runs.citations import cite
    from phonolyte.study import FollowSettings, follow
    from phonolyte.summary import followed_tables

    options = {name: value for name, value in settings.items() if name not in ("engine", "options")}
    with processes(None) as executor, ExitStack() as stack:

        def tier_bar(tier: str, total: int) -> Callable[[int], None]:
            stack.close()
            return stack.enter_context(bar(f"{tier} (atoms)", total))

        found = follow(
            reading.crystals, screening.table.head(screening.n_ranked), engine, folder, FollowSettings(**options),
            executor=executor, progress=tier_bar,
        )  # fmt: skip
    cite(folder, "screen", "bvse", "phonons", "neb", settings["engine"])
    failures = found.failures
    if figures:
        draw_followed(folder, found.table)
        failures = [*failures, *_drawn(folder, found.table)]
    for table in followed_tables(found):
        console().print(table)
    console().print(f"How far each candidate came -> {folder}/followed.csv")
    return failures


def _drawn(folder: Path, followed: pd.DataFrame) -> list[Failure]:
    """Draw site energies, bands and hops of the candidates that came as far as phonons; what could not be drawn."""
    import pandas as pd

    from phonolyte.figures import draw_campaign, draw_migration
    from phonolyte.report.contents import TIERS

    names = followed.loc[followed["band_center_mev"].notna(), "material_id"]
    failures: list[Failure] = []
    for method, file in TIERS.items():
        draw = draw_campaign if method == "phonons" else draw_migration
        path = folder / file
        rows = pd.read_parquet(path)
        if len(rows):
            rows = rows[rows["material_id"].isin(names)]
            with bar(f"Figures of {path.parent.name}", len(rows)) as progress:
                failures += draw(path.parent, rows, progress=progress)
    return failures
