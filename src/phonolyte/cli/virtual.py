"""``phonolyte virtual``: other elements on the sites of known crystals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from phonolyte.cli.report import NoReport, written
from phonolyte.cli.terminal import Jobs, Output, bar, console, load_kernels, read_crystals, threads
from phonolyte.errors import SettingsError

if TYPE_CHECKING:
    from phonolyte.virtual import Space


def virtual(
    prototype: Annotated[
        list[str] | None,
        typer.Option(help="Built-in parent: nasicon, garnet, li2tio3, argyrodite, lgps, li3ps4. Default: all six."),
    ] = None,
    parent: Annotated[Path | None, typer.Option(help="File with the crystal whose elements are replaced.")] = None,
    rules: Annotated[Path | None, typer.Option(help="TOML file: slots, their elements, charges, radii.")] = None,
    ion: Annotated[str | None, typer.Option(help="Only this mobile ion. Default: all of the rules.")] = None,
    top: Annotated[int | None, typer.Option(help="Keep this many of each parent, by score. Default: all.")] = None,
    sample: Annotated[int | None, typer.Option(help="Look at this many of each parent, at random.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    known: Annotated[
        list[str] | None, typer.Option(help="Known crystals: the best that are among them are marked.")
    ] = None,
    structures: Annotated[
        Literal["none", "cif", "table"], typer.Option(help="Also write the best as CIF files or as a crystal table.")
    ] = "none",
    figures: Annotated[
        bool, typer.Option(help="Draw the substitutions, histograms, and the trend with the mean row.")
    ] = True,
    model: Annotated[Path | None, typer.Option(help="Folder of a model. Default: the embedded one.")] = None,
    output: Output = Path("out"),
    report: NoReport = True,
    jobs: Jobs = None,
) -> None:
    """Predict virtual compounds: other elements on the sites of known crystals, not relaxed.

    Without options: the six prototypes of the founding study with long lists of elements.
    """
    from phonolyte.figures import draw_virtual
    from phonolyte.models import BandCenterModel
    from phonolyte.runs.records import open_run, write_crystals, write_run
    from phonolyte.summary import virtual_tables
    from phonolyte.virtual import best_crystals, run_virtual, write_structures

    for name, value in (("top", top), ("sample", sample)):
        if value is not None and value < 1:
            raise SettingsError(f"{name} is {value}", fix="Give a positive number.")
    fitted = BandCenterModel.load(model) if model else BandCenterModel.embedded()
    spaces = _spaces(prototype or [], parent, rules, ion)
    folder = open_run(output, "virtual")
    crystals = read_crystals(known, jobs).crystals if known else []
    if known and not crystals:
        raise SettingsError("--known gives no crystal", fix="Name files or tables of known materials.")
    load_kernels()
    total = sum(min(len(space), sample or len(space)) for space in spaces)
    with threads(jobs) as executor, bar("Compounds", total) as progress:
        result = run_virtual(
            spaces, fitted, folder,
            top=top, sample=sample, seed=seed, known=crystals, executor=executor, progress=progress,
        )  # fmt: skip
    if figures:
        draw_virtual(
            folder, result.summary, whole=top is None, slots={space.parent.name: space.slots for space in spaces}
        )
    if report:
        write_crystals(best_crystals(result, spaces), folder)
    if structures != "none":
        write_structures(result, spaces, folder, as_table=structures == "table")
    record = {"command": "virtual", "prototype": prototype, "parent": str(parent or ""), "ion": ion, "top": top,
              "sample": sample, "seed": seed, "model": str(model or "embedded")}  # fmt: skip
    used = [path for path in (parent, rules, model and model / "model.json") if path]
    write_run(folder, record, used)
    for table in virtual_tables(result):
        console().print(table)
    console().print(
        f"{result.summary['total']['compounds']:,} compounds -> {folder}/virtual, the best -> {folder}/best.csv"
    )
    written(folder, wanted=report)
    console().print("[dim]Not relaxed, most never made: a map of where to look, not a list of materials.[/]")


def _spaces(prototypes: list[str], parent: Path | None, rules: Path | None, ion: str | None) -> list[Space]:
    from phonolyte.virtual import BUILT_IN, Space, built_in, built_in_rules, default_rules, one_crystal, read_rules

    if parent and prototypes:
        raise SettingsError("both --parent and --prototype were given", fix="Give one of them.")
    if len(prototypes) > 1 and rules:
        raise SettingsError("one file of rules cannot serve several prototypes", fix="Run them one by one.")
    if rules:
        crystal = one_crystal(parent) if parent else built_in(prototypes[0]) if prototypes else None
        files = [read_rules(rules, crystal=crystal)]
    elif parent:
        files = [default_rules(one_crystal(parent))]
    else:
        files = [built_in_rules(name) for name in prototypes or BUILT_IN]
    if ion:
        files = [replace(file, rules=file.rules.with_ion(ion)) for file in files]
    return [Space.of(file) for file in files]
