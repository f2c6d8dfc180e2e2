"""The command line: one command a verb, each a few lines over the API.

Exit codes: 0 done, 1 done but some materials failed, 2 bad usage or nothing could be done.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from phonolyte import __version__
from phonolyte.errors import Failure, PhonolyteError, SettingsError
from phonolyte.settings import SCREEN_DEFAULTS, read_toml, resolve, section

if TYPE_CHECKING:
    from phonolyte.screen import Criteria, Screening
    from phonolyte.structures import Reading
    from phonolyte.virtual import Space

app = typer.Typer(
    help="Find solid electrolytes: rank crystals by their predicted total phonon band center.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MANY_FILES = 200
"""From here on, separate processes that parse files pay for their start."""

Inputs = Annotated[
    list[str] | None,
    typer.Argument(help="Crystal files, folders, globs or tables: CIF, POSCAR, extXYZ, JSON, JSONL(.gz), Parquet."),
]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", help="Cores to use. Default: all.")]


def main() -> None:
    """Run the command line, turning errors into a message and exit code 2."""
    try:
        app(standalone_mode=True)
    except PhonolyteError as error:
        _console(stderr=True).print(f"[bold red]Error[/] {_escape(str(error))}", highlight=False)
        sys.exit(2)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"phonolyte {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def features(
    inputs: Inputs = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write: .parquet or .csv.")] = Path(
        "features.parquet"
    ),
    convention: Annotated[
        Literal["magpie", "matminer"], typer.Option(help="271 features, or matminer's 273.")
    ] = "magpie",
    jobs: Jobs = None,
) -> None:
    """Compute the Magpie features of crystals."""
    from phonolyte.features import featurize
    from phonolyte.runs import open_run, write_failures, write_parquet

    if output.suffix not in (".parquet", ".csv"):
        raise SettingsError(f"{output.name} is neither .parquet nor .csv", fix="Name the table so.")
    if output.is_dir():
        raise SettingsError(f"{output} is a folder", fix="Name a table.")
    folder = open_run(output.parent)
    reading = _read(_required(inputs), jobs)
    _load_kernels()
    with _threads(jobs) as executor, _bar("Features", len(reading.crystals)) as progress:
        table, failures = featurize(
            reading.crystals,
            convention=convention,
            executor=executor,
            progress=progress,
        )
    formulas = {crystal.material_id: crystal.formula for crystal in reading.crystals}
    table.insert(0, "formula", [formulas[name] for name in table.index])
    if output.suffix == ".csv":
        table.to_csv(output)
    else:
        write_parquet(table.reset_index(), output)
    everything = [*reading.failures, *failures]
    if everything or (folder / "failures.parquet").exists():  # an old one would mislead
        write_failures(folder, everything)
    _console().print(f"[bold]{len(table)}[/] crystals, {table.shape[1] - 1} features -> {output}")
    _finish(everything, nothing=table.empty, notes=reading.notes)


@app.command()
def train(
    data: Annotated[
        Path,
        typer.Option(help="Crystals with band_center_mev (meV) each, or a table of features with that column."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")] = Path("model"),
    algorithm: Annotated[
        str, typer.Option(help="Of the model kept: extra_trees, gradient_boosting, xgboost, decision_tree.")
    ] = "extra_trees",
    features: Annotated[
        str, typer.Option(help="Of the model kept: all (271), or selected (those that do not repeat another).")
    ] = "all",
    scan: Annotated[bool, typer.Option("--scan", help="Also try the usual scikit-learn regressors.")] = False,
    seed: Annotated[int, typer.Option(help="Of folds and estimators.")] = 0,
    description: Annotated[str, typer.Option(help="A sentence about the data, for the model card.")] = "",
    jobs: Jobs = None,
) -> None:
    """Fit a model of the band center, with its cross-validation, importances and card."""
    failures = _train(
        data, output, algorithm=algorithm, features=features, scan=scan, seed=seed, description=description, jobs=jobs
    )
    _finish(failures, nothing=False)


@app.command()
def screen(
    inputs: Inputs = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder for the results.")] = Path("out"),
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
    _screen(inputs or [], output, properties, model, resolve(SCREEN_DEFAULTS, arguments=given, table=table))


@app.command()
def phonons(
    inputs: Inputs = None,
    engine: Annotated[
        str,
        typer.Option(
            help="Source of forces: dpa4, sevennet, espresso, emt, or package.module:Class of an ASE calculator."
        ),
    ] = "dpa4",
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the engine as NAME=VALUE, such as checkpoint=FILE.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder for the results.")] = Path("out"),
    ion: Annotated[str | None, typer.Option(help="Mobile element, whose own band center is reported.")] = None,
    supercell: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Multiples of the primitive cell. Default: by length.")
    ] = None,
    min_length_a: Annotated[float, typer.Option(help="Least distance of an atom from its image, angstrom.")] = 8.0,
    displacement_a: Annotated[float, typer.Option(help="Displacement of an atom, angstrom.")] = 0.01,
    mesh: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Divisions of the q-point mesh. Default: by length, 100 A.")
    ] = None,
    relax: Annotated[bool, typer.Option(help="Relax cell and positions first, the symmetry kept.")] = True,
    tolerance_mev: Annotated[float, typer.Option(help="A mode below minus this makes a crystal unstable, meV.")] = 1.0,
    confirm: Annotated[
        bool, typer.Option(help="Look at an instability again that only interpolation shows, in a wider supercell.")
    ] = True,
    converge: Annotated[
        bool, typer.Option("--converge", help="Also find how centers change with a finer mesh and a wider supercell.")
    ] = False,
    figures: Annotated[bool, typer.Option(help="Draw bands and density of states of each crystal.")] = True,
    limit_s: Annotated[float | None, typer.Option(help="Seconds for one crystal. Default: no limit.")] = None,
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
    slurm_header: Annotated[
        Path | None, typer.Option(help="File with #SBATCH lines and modules for the script of --cluster.")
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Compute phonons: band centers in total and of each element, lowest mode, stability."""
    from phonolyte.figures import draw_campaign
    from phonolyte.forces import open_engine
    from phonolyte.phonons import PhononSettings
    from phonolyte.phonons.calibration import Calibration
    from phonolyte.phonons.campaign import campaign
    from phonolyte.phonons.cluster import Cluster, cluster_campaign
    from phonolyte.runs import open_run, write_failures, write_run
    from phonolyte.structures.reading import input_files
    from phonolyte.summary import phonons_table

    if slurm_header and not cluster:
        raise SettingsError("--slurm-header is of --cluster", fix="Add --cluster, or leave it out.")
    if converge and cluster:
        raise SettingsError(
            "--converge computes here", fix="Leave it out with --cluster, and vary the settings instead."
        )
    settings = PhononSettings(
        relax=relax, supercell=supercell, min_length_a=min_length_a, displacement_a=displacement_a,
        mesh=mesh or 100.0, tolerance_mev=tolerance_mev, confirm=confirm, limit_s=limit_s,
    )  # fmt: skip
    options = _options_of_engine(option or [])
    learned = Path(calibration) if calibration and calibration != "none" else None
    given = Calibration.load(learned) if learned else None
    there = Cluster.of(engine, options, slurm_header) if cluster else None
    folder = open_run(output)
    reading = _read(_required(inputs), jobs)
    with _console(stderr=True).status(f"Opening {engine}"):
        source = there.engine if there else open_engine(engine, **options)
    rule = given if calibration else Calibration.shipped(source)
    record = {"command": "phonons", "inputs": inputs, "engine": engine, "ion": ion, **_without_none(asdict(settings))}
    used = [*input_files(inputs or []), *([learned] if learned else [])]
    corrected = dict(rule.provenance) if rule else None
    write_run(folder, {**record, "engine_provenance": dict(source.provenance), "calibration": corrected}, used)
    waiting: list[str] = []
    with _bar("Phonons (atoms)", sum(map(len, reading.crystals))) as progress:
        if there:
            run = cluster_campaign(
                reading.crystals, there, folder, settings, ion=ion, calibration=rule, progress=progress
            )
            table, failures, waiting = run.table, run.failures, run.notes
        else:
            table, failures = campaign(
                reading.crystals, source, folder, settings,
                ion=ion, calibration=rule, converge=converge, progress=progress,
            )  # fmt: skip
    undrawn: list[Failure] = []
    if figures and len(table):
        with _bar("Figures", len(table)) as progress:
            undrawn = draw_campaign(folder, table, progress=progress)
    lost = [*reading.failures, *failures, *undrawn]
    write_failures(folder, lost)
    if len(table):
        _console().print(phonons_table(table))
    _console().print(
        f"{len(table)} of {len(reading.crystals) + len(reading.failures)} crystals -> {folder}/phonons.parquet"
    )
    elsewhere = len(reading.crystals) - len(table) - len(failures)
    if elsewhere and not there:
        waiting = [f"{elsewhere} crystals are with other processes; run again when they are done"]
    _finish(lost, nothing=table.empty and not (there and waiting), notes=[*reading.notes, *waiting])


@app.command()
def cutoffs(
    file: Annotated[Path, typer.Argument(help="A crystal: CIF, POSCAR, extXYZ, JSON; its primitive cell is used.")],
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the engine espresso as NAME=VALUE, such as pseudo_dir=FOLDER.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder for the results.")] = Path("out"),
    ecutwfc_ry: Annotated[
        list[float] | None, typer.Option(help="Cutoff of the wave functions, Ry; repeat it. Default: 40, 60, 80, 100.")
    ] = None,
    ratio: Annotated[
        list[float] | None, typer.Option(help="Density cutoff over that; repeat it. Default: 4, 8, 12.")
    ] = None,
    k_spacing_inv_a: Annotated[
        list[float] | None,
        typer.Option(help="Distance of k points, 1/angstrom; several are compared. Default: 0.5."),
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Largest relative error of the force.")] = 0.01,
) -> None:
    """Find the cutoffs of Quantum ESPRESSO that the force of a small displacement needs."""
    from phonolyte.forces import open_engine
    from phonolyte.forces.cutoffs import Cutoffs, Ladder, cutoff_table
    from phonolyte.forces.engines import Engine
    from phonolyte.phonons import PhononSettings
    from phonolyte.phonons.workflow import primitive_cell
    from phonolyte.runs import open_run, write_run
    from phonolyte.summary import cutoffs_table

    given = {"ecutwfc_ry": ecutwfc_ry, "ratios": ratio, "k_spacings_inv_a": k_spacing_inv_a}
    ladder = Ladder(**{name: tuple(values) for name, values in given.items() if values})
    options = _options_of_engine(option or [])

    def engine_at(setting: Cutoffs) -> Engine:
        return open_engine("espresso", **{**options, **setting.options})

    source = engine_at(ladder.cutoffs[0])  # what is wrong with options is wrong with every setting
    folder = open_run(output)
    reading = _read([str(file)], None)
    if len(reading.crystals) != 1:
        why = reading.failures[0].message if reading.failures else f"it has {len(reading.crystals)}"
        raise SettingsError(f"{file} does not give one crystal", why=why, fix="Name a file of one crystal.")
    (crystal,) = reading.crystals
    with _bar("Cutoffs", ladder.n_settings) as progress:
        table = cutoff_table(
            primitive_cell(crystal, PhononSettings().symprec_a),
            engine_at,
            ladder,
            tolerance=tolerance,
            progress=progress,
        )
    table.to_csv(folder / "cutoffs.csv", index=False)
    record = {"command": "cutoffs", "tolerance": tolerance, **{name: list(v) for name, v in asdict(ladder).items()}}
    write_run(folder, {**record, "engine_provenance": dict(source.provenance)}, [file])
    _console().print(cutoffs_table(table, crystal.formula, tolerance))
    failed = table["error"].ne("")
    _console().print(f"{len(table) - failed.sum()} of {len(table)} settings -> {folder}/cutoffs.csv")
    if failed.any():
        raise typer.Exit(2 if failed.all() else 1)


@app.command()
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
    figures: Annotated[bool, typer.Option(help="Draw histograms and the trend with the mean row.")] = True,
    model: Annotated[Path | None, typer.Option(help="Folder of a model. Default: the embedded one.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder for the results.")] = Path("out"),
    jobs: Jobs = None,
) -> None:
    """Predict virtual compounds: other elements on the sites of known crystals, not relaxed.

    Without options: the six prototypes of the founding study with long lists of elements.
    """
    from phonolyte.figures import draw_virtual
    from phonolyte.models import BandCenterModel
    from phonolyte.runs import open_run, write_run
    from phonolyte.summary import virtual_tables
    from phonolyte.virtual import run_virtual, write_structures

    for name, value in (("top", top), ("sample", sample)):
        if value is not None and value < 1:
            raise SettingsError(f"{name} is {value}", fix="Give a positive number.")
    fitted = BandCenterModel.load(model) if model else BandCenterModel.embedded()
    spaces = _spaces(prototype or [], parent, rules, ion)
    folder = open_run(output)
    crystals = _read(known, jobs).crystals if known else []
    _load_kernels()
    total = sum(min(len(space), sample or len(space)) for space in spaces)
    with _threads(jobs) as executor, _bar("Compounds", total) as progress:
        result = run_virtual(
            spaces, fitted, folder,
            top=top, sample=sample, seed=seed, known=crystals, executor=executor, progress=progress,
        )  # fmt: skip
    if figures:
        draw_virtual(folder, result.summary, whole=top is None)
    if structures != "none":
        write_structures(result, spaces, folder, as_table=structures == "table")
    record = {"command": "virtual", "prototype": prototype, "parent": str(parent or ""), "ion": ion, "top": top,
              "sample": sample, "seed": seed, "model": str(model or "embedded")}  # fmt: skip
    used = [path for path in (parent, rules, model and model / "model.json") if path]
    write_run(folder, record, used)
    for table in virtual_tables(result):
        _console().print(table)
    _console().print(
        f"{result.summary['total']['compounds']:,} compounds -> {folder}/virtual, the best -> {folder}/best.csv"
    )
    _console().print("[dim]Not relaxed, most never made: a map of where to look, not a list of materials.[/]")


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


@app.command()
def study(
    file: Annotated[Path | None, typer.Argument(help="TOML file with tables named train and screen.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder for the results.")] = Path("out"),
) -> None:
    """Run the whole story from a TOML file, or on the embedded default without one.

    The table screen takes the options of screen plus inputs and properties; train takes data, algorithm,
    features and seed, and its model is then used for the screen. Paths are relative to the file.
    """
    record = read_toml(file) if file else {}
    unknown = set(record) - {"train", "screen"}
    if unknown:
        raise SettingsError(f"there is no table [{sorted(unknown)[0]}]", fix="Use [train] and [screen].")
    base = file.parent if file else Path()
    model, lost = None, []
    if "train" in record:
        options = section(record, "train")
        if not isinstance(options.get("data"), str):
            raise SettingsError("[train] names no data", fix="Add: data = 'TABLE'.")
        model = output / "model"
        allowed = ("algorithm", "features", "seed", "description")
        lost = _train(base / options.pop("data"), model, **_only(options, allowed))
    options = section(record, "screen")
    inputs = [str(base / item) for item in _listed(options.pop("inputs", []))]
    properties = options.pop("properties", None)
    settings = resolve(SCREEN_DEFAULTS, arguments={}, table=options)
    _screen(inputs, output, base / properties if properties else None, model, settings, lost=lost)


def _train(
    data: Path,
    output: Path,
    *,
    algorithm: str = "extra_trees",
    features: str = "all",
    scan: bool = False,
    seed: int = 0,
    description: str = "",
    jobs: int | None = None,
) -> list[Failure]:
    from phonolyte.models.algorithms import FEATURE_SETS, SCAN, STUDY
    from phonolyte.models.training import n_fits, read_learning_set
    from phonolyte.models.training import train as fit
    from phonolyte.runs import open_run, write_failures, write_run

    if algorithm not in STUDY:
        raise SettingsError(f"there is no algorithm {algorithm!r} to keep", fix=f"Choose among {', '.join(STUDY)}.")
    if features not in ("all", "selected"):
        raise SettingsError(f"there is no feature set {features!r} to keep", fix="Choose all or selected.")
    folder = open_run(output)
    _load_kernels()
    with _threads(jobs) as executor:
        learning_set, failures = read_learning_set(data, executor=executor)
    algorithms = [*STUDY, *(SCAN if scan else ())]
    total = n_fits(learning_set, algorithms, FEATURE_SETS)
    with _processes(jobs) as executor, _bar("Fits", total) as progress:
        fit(
            learning_set, folder,
            algorithms=algorithms, final=(algorithm, features), seed=seed, description=description,
            executor=executor, progress=progress,
        )  # fmt: skip
    settings = {"command": "train", "algorithm": algorithm, "features": features, "seed": seed, "scan": scan}
    write_run(folder, settings, [data])
    write_failures(folder, failures)
    _show_scores(folder, len(learning_set.target))
    return failures


def _screen(
    inputs: list[str],
    output: Path,
    properties: Path | None,
    model: Path | None,
    settings: dict[str, Any],
    *,
    lost: Sequence[Failure] = (),
) -> None:
    from phonolyte.models import BandCenterModel
    from phonolyte.references import reference_compounds
    from phonolyte.runs import open_run, write_failures, write_run
    from phonolyte.screen import criteria_from, read_properties, write_screening
    from phonolyte.screen import screen as run_screen
    from phonolyte.structures.reading import input_files

    criteria = criteria_from(settings)
    fitted = BandCenterModel.load(model) if model else BandCenterModel.embedded()
    known = read_properties(properties) if properties else None
    folder = open_run(output)
    jobs = settings["jobs"]
    reading = _read(inputs, jobs) if inputs else reference_compounds()
    _load_kernels()
    shards = folder / ".shards"
    with _threads(jobs) as executor, _bar("Screening", len(reading.crystals)) as progress:
        result = run_screen(
            reading, model=fitted, criteria=criteria, properties=known, shards=shards, executor=executor,
            progress=progress,
        )  # fmt: skip
    write_screening(result, criteria, folder)
    write_failures(folder, [*lost, *result.failures])
    used = [*input_files(inputs), *([properties] if properties else []), *([model / "model.json"] if model else [])]
    write_run(folder, {"command": "screen", "inputs": inputs, "model": str(model or "embedded"), **settings}, used)
    shutil.rmtree(shards, ignore_errors=True)  # a hidden folder of our own
    _show_screening(result, criteria, folder)
    _finish([*lost, *result.failures], nothing=result.table.empty, notes=result.notes)


def _options_of_engine(given: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; what reads as a number, true or false becomes that."""
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise SettingsError(f"{pair!r} is no option of an engine", fix="Write NAME=VALUE.")
        found[name] = _number_or_text(value)
    return found


def _number_or_text(text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _required(inputs: list[str] | None) -> list[str]:
    if not inputs:
        raise SettingsError("no INPUT was given", fix="Name files, folders or tables of crystals.")
    return inputs


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _only(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    unknown = set(options) - set(names)
    if unknown:
        raise SettingsError(f"there is no setting {sorted(unknown)[0]!r} in [train]", fix=f"Use {', '.join(names)}.")
    return options


def _read(inputs: list[str], jobs: int | None) -> Reading:
    from phonolyte.structures import read
    from phonolyte.structures.reading import input_files

    with _console(stderr=True).status("Reading crystals"):
        if len(input_files(inputs)) < MANY_FILES:
            return read(inputs)
        with _processes(jobs) as executor:
            return read(inputs, executor=executor)


def _load_kernels() -> None:
    """Load the compiled functions before the clock of a progress bar starts; a new installation compiles them."""
    from phonolyte.features import featurize
    from phonolyte.structures import Crystal
    from phonolyte.structures.duplicates import fingerprint

    with _console(stderr=True).status(
        "Loading compiled code (the first run after installation compiles: half a minute)"
    ):
        lithium = Crystal.of("Li", [3.51, 0, 0, 0, 3.51, 0, 0, 0, 3.51], ["Li"] * 2, [0, 0, 0, 0.5, 0.5, 0.5])
        featurize([lithium])
        fingerprint(lithium)


def _cores(jobs: int | None) -> int:
    return jobs if jobs and jobs > 0 else os.cpu_count() or 1


def _processes(jobs: int | None) -> Executor:
    """Processes that start afresh: forked ones inherit the locks of OpenMP's threads, and can hang in XGBoost."""
    return ProcessPoolExecutor(_cores(jobs), mp_context=get_context("spawn"))


@contextmanager
def _threads(jobs: int | None) -> Iterator[Executor]:
    with ThreadPoolExecutor(_cores(jobs)) as executor:
        yield executor


@contextmanager
def _bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on the terminal; yields the function that advances it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda n: progress.advance(task, n)


def _console(*, stderr: bool = False) -> Any:
    from rich.console import Console

    return Console(stderr=stderr)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _show_scores(folder: Path, n: int) -> None:
    import json

    from rich.table import Table

    table = Table(title=f"Ten-fold cross-validation of {n} compounds, random folds", title_justify="left")
    for name in ("algorithm", "features", "R2", "MAE (meV)", "RMSE (meV)"):
        table.add_column(name, justify="left" if name in ("algorithm", "features") else "right")
    for row in json.loads((folder / "metrics.json").read_text()):
        if row["split"] == "random":
            scores = (f"{row[k]:.3f}" if k == "r2" else f"{row[k]:.2f}" for k in ("r2", "mae_mev", "rmse_mev"))
            table.add_row(row["algorithm"], row["features"], *scores)
    _console().print(table)
    _console().print(f"Model, metrics of every split, importances and card: {folder}")


def _show_screening(result: Screening, criteria: Criteria, folder: Path) -> None:
    from phonolyte.summary import candidates_table, funnel_table

    console = _console()
    console.print(funnel_table(result))
    if result.n_ranked:
        console.print(candidates_table(result))
    console.print(f"{result.n_ranked} candidates of {result.funnel[0].kept} materials -> {folder}/ranked.csv")
    console.print("[dim]The band center is a proxy for ion mobility within a family, not a conductivity.[/]")


def _finish(failures: list[Failure], *, nothing: bool, notes: list[str] | None = None) -> None:
    """Say what was lost, and end with the exit code that fits."""
    console = _console(stderr=True)
    for note in notes or []:
        console.print(f"[yellow]Note[/] {_escape(note)}", highlight=False)
    if failures:
        console.print(f"[yellow]{len(failures)} materials failed[/] (failures.parquet has all):", highlight=False)
        for failure in failures[:5]:
            console.print(f"  {_escape(failure.material_id)}: {_escape(failure.message)}", highlight=False)
    if nothing:
        raise typer.Exit(2)
    if failures:
        raise typer.Exit(1)
