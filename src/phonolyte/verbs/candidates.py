"""Verbs that find candidates: features, screen, training, virtual compounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from phonolyte.errors import Failure, SettingsError
from phonolyte.models.center import RELAXED_BY, RELAXED_MODEL
from phonolyte.references import reference_compounds
from phonolyte.relaxation import relax_crystals
from phonolyte.runs.citations import CONDUCTION, MODEL
from phonolyte.runs.executors import open_executor
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run, make_folder, plain_settings
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen import ModelSource, Screening, ScreenSettings, read_properties
from phonolyte.screen.run import run_screen
from phonolyte.structures import Reading
from phonolyte.verbs.opening import (
    Where,
    count_batches,
    list_files,
    list_given,
    list_names,
    most_workers,
    open_both,
    open_workers,
    read_inputs,
    refuse_threads,
    resolve_engine,
    run_options,
)

if TYPE_CHECKING:
    from phonolyte.forces import Engine
    from phonolyte.train import Training, TrainSettings
    from phonolyte.virtual import Recipe, Space, VirtualResult


def screen(
    inputs: Any = None,
    *,
    folder: str | Path = "out",
    settings: ScreenSettings | None = None,
    properties: str | Path | pd.DataFrame | None = None,
    model: str | Path | None = None,
    relax_with: str | Engine | None = None,
    options: Mapping[str, Any] | None = None,
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Screening:
    """Rank crystals as candidates for solid electrolytes, and write a run folder.

    Parameters
    ----------
    inputs
        Files, folders, globs, tables, pymatgen structures, ASE atoms; default: the reference compounds.
    folder
        Run folder.
    settings
        Criteria.
    properties
        Table with `material_id`, `e_hull_ev` (eV/atom), `band_gap_ev` (eV), or its file.
    model
        Folder of a model, or ``physical``, ``relaxed`` or ``study``, which come with Phonolyte; default: ``relaxed``
        for crystals that are relaxed, else ``physical``.
    relax_with, options
        Engine that relaxes the crystals first, or its name (or ``MODULE:CLASS`` of an ASE calculator) and its options;
        default: they are taken as they are. What does not relax is a failure.
    output
        What the folder receives besides tables.
    executor
        Where batches are described; default: processes on all cores.
    progress
        Opens a bar.

    Returns
    -------
    Screening
        Ranked table, funnel, failures and notes.

    Raises
    ------
    SettingsError
        When the folder cannot be used, or settings make no sense.
    TableError
        For properties that cannot be used.
    ModelError
        For a model that cannot be loaded.
    """
    output, settings = output or OutputSettings(), settings or ScreenSettings()
    engine = resolve_engine(relax_with, options) if relax_with is not None else None
    refuse_threads(executor, engine)
    source = ModelSource.from_option(model, default="relaxed" if engine else "physical")
    models = source.load()
    known = read_properties(properties) if isinstance(properties, (str, Path)) else properties
    used = [*list_files(inputs), *list_given(properties), *source.files]
    record = {"inputs": list_names(inputs), "model": str(model or "embedded"), **plain_settings(settings)}
    if engine:
        record |= {"relax_with": engine.name, "provenance": dict(engine.provenance)}
    cites = (*MODEL, *CONDUCTION)
    crystals = inputs if inputs is not None else reference_compounds()
    with Run(folder, "screen", settings=record, inputs=used, engine=engine, cites=cites, **run_options(output)) as run:
        if engine:
            crystals = _relax_first(crystals, engine, run, executor, progress)
            if source.name == RELAXED_MODEL and engine.name != RELAXED_BY:
                run.add_note(
                    f"the model of relaxed cells has learned cells by {RELAXED_BY}, and these are by {engine.name}"
                )
        with open_both(executor, count_batches(crystals)) as (processes, threads):
            return run_screen(
                run, crystals, settings, models=source if processes else models, properties=known,
                figures=output.figures, files=output, executor=processes, threads=threads, progress=progress,
            )  # fmt: skip


def _relax_first(inputs: Any, engine: Engine, run: Run, executor: Where, progress: OpenBar) -> Reading:
    reading = read_inputs(inputs, executor)
    with open_workers(executor, most=most_workers(engine, len(reading.crystals))) as workers:
        return relax_crystals(reading, engine, run, executor=workers, progress=progress)


def features(
    inputs: Any,
    *,
    file: str | Path | None = None,
    convention: Literal["magpie", "matminer"] = "magpie",
    sets: Sequence[str] = ("magpie",),
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> FeatureTable:
    """Compute features of crystals.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    file
        Table to write (``.parquet`` or ``.csv``), with `material_id` and `formula`; failures go beside it, into
        ``NAME.failures.parquet``. Default: nothing is written.
    convention
        Magpie's 271 features, or matminer's 273.
    sets
        Names of feature sets: ``magpie``, ``physical``, ``elements``, ``ion``.
    executor
        Executor of threads; default: on all cores.
    progress
        Opens a bar.

    Returns
    -------
    FeatureTable
        Table, failures, and notes.

    Raises
    ------
    SettingsError
        For a file of another kind, or an unknown feature set.
    """
    from phonolyte.features import Magpie, featurize
    from phonolyte.features.feature_sets import named_sets
    from phonolyte.runs.records import write_csv, write_failure_table, write_parquet

    chosen = [Magpie(convention) if isinstance(each, Magpie) else each for each in named_sets(list(sets))]
    path = Path(file).expanduser() if file else None
    if path is not None and (path.suffix not in (".parquet", ".csv") or path.is_dir()):
        raise SettingsError(f"{path.name} is not a table to write", fix="Name a file that ends with .parquet or .csv.")
    if path is not None:
        make_folder(path.parent)
    reading = read_inputs(inputs, executor)
    with open_workers(executor, threads=True) as threads, progress("Features", len(reading.crystals)) as advance:
        table, failures = featurize(reading.crystals, sets=chosen, executor=threads, progress=advance)
    formulas = {crystal.material_id: crystal.formula for crystal in reading.crystals}
    table.insert(0, "formula", [formulas[name] for name in table.index])
    lost = [*reading.failures, *failures]
    if path is not None:
        (write_csv if path.suffix == ".csv" else write_parquet)(table.reset_index(), path)
        beside = path.with_suffix(".failures.parquet")
        if lost or beside.exists():  # an old one would mislead
            write_failure_table(lost, beside)
    return FeatureTable(table, lost, reading.notes)


class FeatureTable(NamedTuple):
    """Features of crystals, (n, m + 1) indexed by `material_id`, the formula first; failures; and notes."""

    table: pd.DataFrame
    failures: list[Failure]
    notes: list[str]


def train(
    settings: TrainSettings | None = None,
    *,
    folder: str | Path = "model",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Training:
    """Fit a model of the band center, with its cross-validation, importances and card.

    Parameters
    ----------
    settings
        What is learned, and how.
    folder
        Run folder, which is the model's.
    output, executor, progress
        As :func:`screen` takes them.

    Raises
    ------
    TableError
        When there is too little to learn from.
    SettingsError
        When the folder cannot be used.
    """
    from phonolyte.train import TrainSettings, run_training

    output, settings = output or OutputSettings(), settings or TrainSettings()
    opened = Run(folder, "train", settings=settings, inputs=settings.files, cites=MODEL, **run_options(output))
    with opened as run, open_workers(executor) as processes, open_executor(threads=True) as threads:
        figures = run.path("figures") if output.figures else None
        return run_training(
            run, settings, figures=figures, files=output, executor=processes, threads=threads, progress=progress
        )


def virtual(
    spaces: Sequence[Space] | None = None,
    *,
    folder: str | Path = "out",
    top: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    recipe: Recipe = "conductors",
    known: Any = None,
    structures: str = "none",
    model: str | Path | None = None,
    inputs: Sequence[str | Path] = (),
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> VirtualResult:
    """Predict virtual compounds: other elements on the sites of known crystals, not relaxed.

    Parameters
    ----------
    spaces
        Space of each parent; default: the six prototypes of the founding study.
    folder
        Run folder.
    top, sample, seed
        Number of compounds that are kept, and looked at, of each parent (default: all), and the seed for the sample.
    recipe
        ``conductors``: by estimated conductivity and plausibility, and the first 200 of each parent by the probability
        that they conduct; ``study``: by band center and plausibility.
    known
        Known crystals: the best that are among them are marked.
    structures
        ``none``, ``cif`` or ``table``: whether the best are written as crystals, too.
    model, output, executor, progress
        As :func:`screen` takes them.
    inputs
        Files that the spaces were made from, for the record.

    Raises
    ------
    SettingsError
        When the rules allow no compound, or more than is sensible.
    """
    from phonolyte.figures import save_all, virtual_figures
    from phonolyte.figures.virtual import STEMS
    from phonolyte.virtual import best_crystals, choose_spaces, run_virtual, write_structures
    from phonolyte.virtual.run import read_trend

    output = output or OutputSettings()
    source = ModelSource.from_option(model, default="virtual")
    fitted = source.load().center
    spaces = spaces if spaces is not None else choose_spaces()
    crystals = read_inputs(known, executor).crystals if known else []
    if known and not crystals:
        raise SettingsError("--known gives no crystal", fix="Name files or tables of known materials.")
    record = {"parents": [space.parent.name for space in spaces], "top": top, "sample": sample, "seed": seed,
              "recipe": recipe, "structures": structures, "known": list_names(known),
              "model": str(model or "embedded")}  # fmt: skip
    identity = (record, [space.digest for space in spaces], fitted.fingerprint)
    used = [*inputs, *list_files(known), *source.files]
    cites = (*MODEL, *(CONDUCTION if recipe == "conductors" else ()), "hautier2011")
    opened = Run(folder, "virtual", settings=record, inputs=used, identity=identity, cites=cites,
                 **run_options(output))  # fmt: skip
    with opened as run, open_workers(executor, threads=True) as threads:
        result = run_virtual(
            run, spaces, fitted, top=top, sample=sample, seed=seed, recipe=recipe, known=crystals, executor=threads,
            progress=progress,
        )  # fmt: skip
        if output.figures:
            slots = {space.parent.name: space.slots for space in spaces}
            trend = read_trend(run.folder) if top is None else None
            drawn = virtual_figures(result.summary, slots=slots, compounds=trend)
            save_all(drawn, run.path("figures"), STEMS, files=output)
        if output.report:
            run.write_crystals(best_crystals(result, spaces, fitted))
        if structures != "none":
            write_structures(result, spaces, fitted, run, as_table=structures == "table")
        return result
