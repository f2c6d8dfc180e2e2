"""The verbs of the Python API, which the command line calls as well: each opens a run folder, computes, and reports.

``phonolyte.screen(...)`` is :func:`screen` here, and so on; ``phonolyte.screen`` as a package has the parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from phonolyte.drawing import draw_figures
from phonolyte.errors import Failure, SettingsError
from phonolyte.forces import Engine, open_engine
from phonolyte.references import reference_compounds
from phonolyte.report import PAGE, write_report
from phonolyte.runs.calculation import Calculation
from phonolyte.runs.campaign import Outcome, run_campaign
from phonolyte.runs.citations import MODEL
from phonolyte.runs.executors import ExecutorSettings, open_executor
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen import ModelSource, Screening, ScreenSettings, read_properties
from phonolyte.screen.run import run_screen
from phonolyte.structures import Reading, read
from phonolyte.structures.reading import input_files
from phonolyte.train import Training, TrainSettings, run_training

if TYPE_CHECKING:
    from phonolyte.barriers import NebSettings
    from phonolyte.dynamics import DynamicsSettings
    from phonolyte.forces.cutoffs import Ladder
    from phonolyte.impedance import Series
    from phonolyte.impedance.settings import ImpedanceSettings
    from phonolyte.percolation import PercolationSettings
    from phonolyte.phonons import PhononSettings
    from phonolyte.phonons.calibration import Calibration
    from phonolyte.study import Followed, StudySettings
    from phonolyte.virtual import Space, VirtualResult

Where = Executor | ExecutorSettings | None
"""An executor, the settings of one, or None for the default of the verb."""

MANY_FILES = 200
"""From here on, separate processes that parse files pay for their start."""


def screen(
    inputs: Any = None,
    *,
    folder: str | Path = "out",
    settings: ScreenSettings | None = None,
    properties: str | Path | pd.DataFrame | None = None,
    model: str | Path | None = None,
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
        Folder of a model; default: the embedded one.
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
    source = ModelSource(Path(model).expanduser() if model else None)
    models = source.load()
    known = read_properties(properties) if isinstance(properties, (str, Path)) else properties
    used = [*_files(inputs), *_given(properties), *([Path(model) / "model.json"] if model else [])]
    record = {"inputs": _names(inputs), "model": str(model or "embedded"), **_fields(settings)}
    opened = Run(folder, "screen", settings=record, inputs=used, cites=MODEL, **_options(output))
    crystals = inputs if inputs is not None else reference_compounds()
    with opened as run, _open_both(executor, _n_batches(crystals)) as (processes, threads):
        return run_screen(
            run, crystals, settings, models=source if processes else models, properties=known, figures=output.figures,
            executor=processes, threads=threads, progress=progress,
        )  # fmt: skip


def features(
    inputs: Any,
    *,
    file: str | Path | None = None,
    convention: Literal["magpie", "matminer"] = "magpie",
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> FeatureTable:
    """Compute the Magpie features of crystals.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    file
        Table to write (``.parquet`` or ``.csv``), with `material_id` and `formula`; failures go beside it, into
        ``NAME.failures.parquet``. Default: nothing is written.
    convention
        Magpie's 271 features, or matminer's 273.
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
        For a file of another kind.
    """
    from phonolyte.features import featurize
    from phonolyte.runs.records import write_csv, write_failure_table, write_parquet

    path = Path(file).expanduser() if file else None
    if path is not None and (path.suffix not in (".parquet", ".csv") or path.is_dir()):
        raise SettingsError(f"{path.name} is not a table to write", fix="Name a file that ends with .parquet or .csv.")
    reading = _read(inputs, executor)
    with _open(executor, threads=True) as threads, progress("Features", len(reading.crystals)) as advance:
        table, failures = featurize(reading.crystals, convention=convention, executor=threads, progress=advance)
    formulas = {crystal.material_id: crystal.formula for crystal in reading.crystals}
    table.insert(0, "formula", [formulas[name] for name in table.index])
    lost = [*reading.failures, *failures]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
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
    output, settings = output or OutputSettings(), settings or TrainSettings()
    opened = Run(folder, "train", settings=settings, inputs=[settings.file], cites=MODEL, **_options(output))
    with opened as run, _open(executor) as processes, open_executor(threads=True) as threads:
        figures = run.path("figures") if output.figures else None
        return run_training(run, settings, figures=figures, executor=processes, threads=threads, progress=progress)


def virtual(
    spaces: Sequence[Space] | None = None,
    *,
    folder: str | Path = "out",
    top: int | None = None,
    sample: int | None = None,
    seed: int = 0,
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
    from phonolyte.virtual import BUILT_IN, Space, best_crystals, built_in_rules, run_virtual, write_structures
    from phonolyte.virtual.run import read_trend

    output = output or OutputSettings()
    fitted = ModelSource(Path(model).expanduser() if model else None).load().center
    spaces = spaces if spaces is not None else [Space.of(built_in_rules(name)) for name in BUILT_IN]
    crystals = _read(known, executor).crystals if known else []
    if known and not crystals:
        raise SettingsError("--known gives no crystal", fix="Name files or tables of known materials.")
    record = {"parents": [space.parent.name for space in spaces], "top": top, "sample": sample, "seed": seed,
              "structures": structures, "known": _names(known), "model": str(model or "embedded")}  # fmt: skip
    identity = (record, [space.digest for space in spaces], fitted.fingerprint)
    used = [*inputs, *_files(known), *([Path(model) / "model.json"] if model else [])]
    opened = Run(folder, "virtual", settings=record, inputs=used, identity=identity, cites=(*MODEL, "hautier2011"),
                 **_options(output))  # fmt: skip
    total = sum(min(len(space), sample or len(space)) for space in spaces)
    with opened as run, _open(executor, threads=True) as threads, progress("Compounds", total) as advance:
        result = run_virtual(
            run, spaces, fitted, top=top, sample=sample, seed=seed, known=crystals, executor=threads, progress=advance
        )
        if output.figures:
            slots = {space.parent.name: space.slots for space in spaces}
            trend = read_trend(run.folder) if top is None else None
            save_all(virtual_figures(result.summary, slots=slots, compounds=trend), run.path("figures"), STEMS)
        if output.report:
            run.write_crystals(best_crystals(result, spaces))
        if structures != "none":
            write_structures(result, spaces, run, as_table=structures == "table")
        return result


def phonons(
    inputs: Any,
    *,
    engine: str | Engine = "dpa4",
    options: Mapping[str, Any] | None = None,
    settings: PhononSettings | None = None,
    ion: str | None = None,
    calibration: Calibration | None = None,
    converge: bool = False,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute phonons of crystals: band centers in total and of each element, lowest mode, stability.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    engine, options
        Engine, or its name (or ``MODULE:CLASS`` of an ASE calculator) and its options.
    settings
        How phonons are computed.
    ion
        Mobile element, whose own center is reported.
    calibration
        Correction of the centers, learned with this engine; default: none.
    converge
        Whether the change of centers with mesh and supercell is computed too.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``phonons.parquet`` and failures, together one row a crystal.
    """
    from phonolyte.phonons import PhononCalculation, PhononSettings

    source = engine if isinstance(engine, Engine) else open_engine(engine, **dict(options or {}))
    calculation = PhononCalculation(source, settings or PhononSettings(), ion, calibration, converge)
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def percolate(
    inputs: Any,
    *,
    ion: str = "Li",
    settings: PercolationSettings | None = None,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Estimate the percolation of an ion through its bond-valence site energies.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    ion
        Mobile element.
    settings
        Settings of the grid.
    folder, output, executor, progress
        As :func:`screen` takes them.

    Returns
    -------
    Outcome
        Table of ``percolation.parquet`` and failures, together one row a crystal.
    """
    from phonolyte.percolation import PercolationCalculation, PercolationSettings

    wanted = (output or OutputSettings()).figures
    calculation = PercolationCalculation(ion, settings or PercolationSettings(), maps=wanted)
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def barriers(
    inputs: Any,
    *,
    ion: str = "Li",
    engine: str | Engine = "dpa4",
    options: Mapping[str, Any] | None = None,
    settings: NebSettings | None = None,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute the barriers of the hops of an ion, and the one over which they join into a path.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    ion
        Mobile element.
    engine, options
        As :func:`phonons` takes them.
    settings
        How hops are computed.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``barriers.parquet`` and failures, together one row a crystal; ``hops.parquet`` has one row a hop.
    """
    from phonolyte.barriers import BarrierCalculation, NebSettings

    source = engine if isinstance(engine, Engine) else open_engine(engine, **dict(options or {}))
    calculation = BarrierCalculation(ion, source, settings or NebSettings())
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def diffuse(
    inputs: Any,
    *,
    ion: str = "Li",
    engine: str | Engine = "dpa4",
    options: Mapping[str, Any] | None = None,
    settings: DynamicsSettings | None = None,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute diffusivities, an activation energy and a conductivity by molecular dynamics.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    ion
        Mobile element.
    engine, options
        As :func:`phonons` takes them.
    settings
        How molecular dynamics is run.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``dynamics.parquet`` and failures, together one row a crystal; ``diffusivities.parquet`` has one row a
        temperature.
    """
    from phonolyte.dynamics import DynamicsCalculation, DynamicsSettings

    source = engine if isinstance(engine, Engine) else open_engine(engine, **dict(options or {}))
    calculation = DynamicsCalculation(ion, source, settings or DynamicsSettings())
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def calculate(
    calculation: Calculation,
    inputs: Any,
    *,
    folder: str | Path = "out",
    command: str = "",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Run any calculation for many crystals into a run folder.

    Parameters
    ----------
    calculation
        Calculation for one crystal.
    inputs
        Crystals, as :func:`screen` takes them.
    folder
        Run folder.
    command
        Name of the run; default: that of the calculation.
    output, executor, progress
        As :func:`screen` takes them.
    """
    output = output or OutputSettings()
    calculation.check()
    files = _files(inputs)
    engine = calculation.engine_used
    opened = Run(
        folder, command or calculation.name, settings={"inputs": _names(inputs), **calculation.decides()}, inputs=files,
        identity=calculation.key, engine=engine, cites=(*calculation.cites, *([engine.name] if engine else [])),
        **_options(output),
    )  # fmt: skip
    with opened as run:
        reading = _read(inputs, executor)
        run.add_failures(reading.failures)
        for note in reading.notes:
            run.add_note(note)
        if reading.crystals:
            run.write_crystals(reading.crystals)
        most = min(len(reading.crystals), getattr(engine, "max_workers", None) or len(reading.crystals))
        with _open(executor, most=most) as workers:
            return _compute(calculation, reading, run, workers, output, progress)


def _compute(
    calculation: Calculation, reading: Reading, run: Run, workers: Executor | None, output: OutputSettings,
    progress: OpenBar,
) -> Outcome:  # fmt: skip
    with progress(f"{calculation.title} (atoms)", sum(map(len, reading.crystals))) as advance:
        outcome = run_campaign(calculation, reading.crystals, run, executor=workers, progress=advance)
    for note in outcome.notes:
        run.add_note(note)
    if output.figures and len(outcome.table):
        with progress("Figures", len(outcome.table)) as advance:
            draw_figures(calculation, outcome.table, run, executor=workers, progress=advance)
    return replace(outcome, failures=[*reading.failures, *outcome.failures])


def impedance(
    files: Sequence[str | Path] | str | Path,
    *,
    folder: str | Path = "out",
    settings: ImpedanceSettings | None = None,
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Series:
    """Turn measured spectra into conductivities and activation energies, and write a run folder.

    Parameters
    ----------
    files
        Files of instruments, folders and globs.
    folder
        Run folder.
    settings
        Size of the pellet, and how files are read and fitted.
    output, executor, progress
        As :func:`screen` takes them.

    Raises
    ------
    SettingsError
        When files are not there, and for settings that make no sense.
    """
    from phonolyte.impedance import analyze, draw, find_files
    from phonolyte.impedance.settings import ImpedanceSettings

    output, settings = output or OutputSettings(), settings or ImpedanceSettings()
    geometry, reading = settings.geometry, settings.reading
    paths = find_files([str(files)] if isinstance(files, (str, Path)) else list(map(str, files)))
    settings.check_names(paths)
    opened = Run(folder, "impedance", settings=settings, inputs=paths, cites=("schonleber2014", "murbach2020"),
                 **_options(output))  # fmt: skip
    with opened as run, _open(executor, most=max(1, len(paths) // FEW_SPECTRA)) as processes:
        with progress("Spectra", len(paths)) as advance:
            series = analyze(paths, geometry=geometry, reading=reading, executor=processes, progress=advance)
        for name in ("spectra", "parameters", "arrhenius"):
            run.write_table(f"{name}.parquet", getattr(series, name), csv=True)
        run.write_table("points.csv", series.points)
        run.add_failures(series.failures)
        for note in (*series.notes, *series.remarks):
            run.add_note(note)
        if output.figures:
            with progress("Figures", len(series.analyses)) as advance:
                drawings = draw(series, run.path("figures"), executor=processes, progress=advance)
            for failure in drawings.failures:
                run.add_note(f"no figure of {failure.material_id}: {failure.message}")
        return series


FEW_SPECTRA = 8
"""Spectra that are done sooner than another process starts."""


def cutoffs(
    file: str | Path,
    *,
    options: Mapping[str, Any],
    ladder: Ladder | None = None,
    tolerance: float = 0.01,
    folder: str | Path = "out",
    overwrite: bool = False,
    progress: OpenBar = no_bar,
) -> CutoffScan:
    """Find the cutoffs of Quantum ESPRESSO that the force of a small displacement needs.

    Parameters
    ----------
    file
        File of one crystal, whose primitive cell is used.
    options
        Options of the engine ``espresso``.
    ladder
        Cutoffs and k spacings that are tried.
    tolerance
        Largest relative error of the force.
    folder
        Run folder.
    overwrite
        Whether another run in the folder is replaced.
    progress
        Opens a bar.

    Raises
    ------
    SettingsError
        When the file does not give one crystal, and for options that make no sense.
    """
    from phonolyte.forces.cells import primitive_cell
    from phonolyte.forces.cutoffs import Cutoffs, Ladder, cutoff_table

    ladder = ladder or Ladder()

    def engine_at(setting: Cutoffs) -> Engine:
        return open_engine("espresso", **{**options, **setting.options})

    source = engine_at(ladder.cutoffs[0])  # what is wrong with options is wrong with every setting
    reading = read([file])
    if len(reading.crystals) != 1:
        why = reading.failures[0].message if reading.failures else f"it has {len(reading.crystals)}"
        raise SettingsError(f"{file} does not give one crystal", why=why, fix="Name a file of one crystal.")
    (crystal,) = reading.crystals
    record = {"file": str(file), "tolerance": tolerance, **_fields(ladder)}
    opened = Run(folder, "cutoffs", settings=record, inputs=[file], engine=source, overwrite=overwrite,
                 cites=("giannozzi2017", "larsen2017"))  # fmt: skip
    with opened as run, progress("Cutoffs", ladder.n_settings) as advance:
        table = cutoff_table(primitive_cell(crystal), engine_at, ladder, tolerance=tolerance, progress=advance)
        run.write_table("cutoffs.csv", table)
    return CutoffScan(table, crystal.formula)


class CutoffScan(NamedTuple):
    """Table of settings with the errors of force and energy, and the formula of the crystal."""

    table: pd.DataFrame
    formula: str


def study(
    settings: StudySettings | str | Path | None = None,
    *,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> StudyResult:
    """Run the whole story from one settings file: learn, cross-validate, screen, follow the best.

    Parameters
    ----------
    settings
        Settings, or their TOML file; default: what comes with Phonolyte.
    folder
        Run folder.
    output, progress
        As :func:`screen` takes them.
    executor
        As :func:`screen` takes it; default: what the settings say.
    """
    from phonolyte.study import StudySettings, read_study

    output = output or OutputSettings()
    plan = read_study(settings) if isinstance(settings, (str, Path)) else settings or StudySettings()
    inputs = list(plan.inputs) or None
    engine = _study_engine(plan)
    used = [*_files(inputs), *_given(plan.properties), *([plan.train.file] if plan.train else [])]
    record = {"inputs": _names(inputs), "train": plan.train, **_fields(plan.screen), "follow": plan.follow}
    opened = Run(
        folder, "study", settings=record, inputs=used, identity=(plan.train, plan.screen, _names(inputs)),
        engine=engine, cites=_study_cites(plan), **_options(output),
    )  # fmt: skip
    with opened as run:
        where = executor if executor is not None else plan.executor
        model = None
        if plan.train:
            own = replace(output, report=False, figures=False, overwrite=True)
            training = _train_within(run, plan.train, own, where, progress, figures=output.figures)
            run.add_failures(training.failures)
            model = run.folder / "model"
        crystals = inputs if inputs is not None else reference_compounds()
        with _open_both(where, _n_batches(crystals)) as (processes, threads):
            screening = run_screen(
                run, crystals, plan.screen, models=ModelSource(model), figures=output.figures,
                properties=read_properties(plan.properties) if plan.properties else None,
                executor=processes, threads=threads, progress=progress,
            )  # fmt: skip
        followed = _follow(run, plan, screening, engine, where, output, progress) if plan.follow else None
        return StudyResult(screening, followed)


class StudyResult:
    """Result of a study: the `screening`, and how far the best were `followed` (None where they were not)."""

    def __init__(self, screening: Screening, followed: Followed | None) -> None:
        self.screening, self.followed = screening, followed


def _train_within(
    run: Run, settings: TrainSettings, output: OutputSettings, executor: Where, progress: OpenBar, *, figures: bool
) -> Training:
    """Train into a folder of the study; figures go beside those of the screen."""
    opened = Run(run.path("model"), "train", settings=settings, inputs=[settings.file], cites=MODEL, **_options(output))
    with opened as own, _open(executor) as processes, open_executor(threads=True) as threads:
        drawn = run.path("figures") if figures else None
        return run_training(own, settings, figures=drawn, executor=processes, threads=threads, progress=progress)


def _follow(
    run: Run, plan: StudySettings, screening: Screening, engine: Engine | None, executor: Where, output: OutputSettings,
    progress: OpenBar,
) -> Followed:  # fmt: skip
    from phonolyte.figures import followed_figures, save_all
    from phonolyte.runs.records import CRYSTALS
    from phonolyte.structures.crystal_table import read_rows
    from phonolyte.study import follow_candidates

    ranked = screening.table.head(screening.n_ranked)
    wanted = set(ranked["material_id"])
    crystals = [make(name) for name, make in read_rows(run.folder / CRYSTALS) if name in wanted]
    assert plan.follow is not None
    followed = follow_candidates(
        run, crystals, ranked, [each.calculation(plan.ion, engine) for each in plan.plans], ion=plan.ion,
        tops=[each.top for each in plan.plans], budget_h=plan.follow.budget_h,
        open_tier=lambda n: _open(executor, most=n), figures=output.figures, progress=progress,
    )  # fmt: skip
    run.add_failures(followed.failures)
    if output.figures and len(followed.table):
        save_all(followed_figures(followed.table), run.path("figures"))
    return followed


def _study_engine(plan: StudySettings) -> Engine | None:
    from phonolyte.forces.engines import engine_options
    from phonolyte.tiers import find_tier

    if plan.follow is None or not any(find_tier(tier).needs_engine for tier in plan.follow.tiers):
        return None
    return open_engine(plan.follow.engine, **engine_options(plan.follow.options))


def _study_cites(plan: StudySettings) -> tuple[str, ...]:
    from phonolyte.tiers import find_tier

    tiers = plan.follow.tiers if plan.follow else ()
    engine = (plan.follow.engine,) if plan.follow else ()
    return (*MODEL, *(key for tier in tiers for key in find_tier(tier).cites), *engine)


def _options(output: OutputSettings) -> dict[str, Any]:
    """Options of a run that output settings decide."""

    def close(run: Run) -> None:
        (run.folder / PAGE).unlink(missing_ok=True)  # it would show what was there before
        if output.report:
            write_own_report(run)

    return {"overwrite": output.overwrite, "closing": close}


def write_own_report(run: Run) -> None:
    """Write the report of a run; one without a row has none, and one that fails costs a note."""
    try:
        write_report(run.folder)
        run.path(PAGE)
    except SettingsError as error:  # there is no table to report on
        run.add_note(f"there is no report: {error.what}")


@contextmanager
def _open(where: Where, *, most: int | None = None, threads: bool = False) -> Iterator[Executor | None]:
    """The executor that is given, or one by its settings."""
    if isinstance(where, Executor):
        yield where
        return
    with open_executor(where, most=most, threads=threads) as executor:
        yield executor


@contextmanager
def _open_both(where: Where, n_tasks: int) -> Iterator[tuple[Executor | None, Executor | None]]:
    """Executors for batches and, where this process describes them itself, for the crystals of one."""
    with ExitStack() as stack:
        if isinstance(where, ExecutorSettings) and where.executor == "threads":
            yield None, stack.enter_context(open_executor(where))
            return
        processes = stack.enter_context(_open(where, most=max(1, n_tasks // 2)))
        own = None if processes is not None else stack.enter_context(
            open_executor(where if isinstance(where, ExecutorSettings) else None, threads=True)
        )  # fmt: skip
        yield processes, own


def _n_batches(inputs: Any) -> int:
    from phonolyte.structures.batches import plan_batches

    return len(plan_batches(inputs))


def _read(inputs: Any, executor: Where) -> Reading:
    """Read crystals; many files are parsed by several processes."""
    if isinstance(inputs, Reading):
        return inputs
    if len(_files(inputs)) < MANY_FILES:
        return read(inputs)
    with _open(executor) as processes:
        return read(inputs, executor=processes)


def _files(inputs: Any) -> list[Path]:
    """Files behind inputs, listed before the run folder is there."""
    if inputs is None or isinstance(inputs, Reading):
        return []
    items = [inputs] if isinstance(inputs, (str, Path)) or not hasattr(inputs, "__iter__") else list(inputs)
    return input_files(item for item in items if isinstance(item, (str, Path)))


def _names(inputs: Any) -> list[str]:
    items = [inputs] if isinstance(inputs, (str, Path)) else inputs if isinstance(inputs, (list, tuple)) else []
    return [str(item) for item in items if isinstance(item, (str, Path))]


def _given(path: object) -> list[Path]:
    return [Path(path).expanduser()] if isinstance(path, (str, Path)) else []


def _fields(settings: object) -> dict[str, Any]:
    from phonolyte.runs.run import plain_settings

    return plain_settings(settings)
