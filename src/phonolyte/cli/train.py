"""``phonolyte train``: a model of the band center, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phonolyte.cli.report import NoReport, written
from phonolyte.cli.terminal import Jobs, bar, console, finish, load_kernels, processes, threads
from phonolyte.errors import Failure, SettingsError
from phonolyte.settings import TRAIN_DEFAULTS, resolve

if TYPE_CHECKING:
    from phonolyte.models.training import LearningSet


def train(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Crystals with band_center_mev (meV) each, or a table of features with that column. "
            "Default: the learning set that comes with Phonolyte."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")] = Path("model"),
    algorithm: Annotated[
        str | None,
        typer.Option(
            help="Of the model kept: extra_trees, gradient_boosting, xgboost, decision_tree. Default: extra_trees."
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="Of the model kept: all (271), or selected (those that do not repeat another). Default: all."
        ),
    ] = None,
    compare: Annotated[
        bool | None,
        typer.Option(
            "--compare/--no-compare", help="Cross-validate the study's other algorithms, too. Default: they are."
        ),
    ] = None,
    scan: Annotated[
        bool | None, typer.Option("--scan", help="Also cross-validate the usual scikit-learn regressors.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of folds and estimators. Default: 0.")] = None,
    description: Annotated[str | None, typer.Option(help="A sentence about the data, for the model card.")] = None,
    figures: Annotated[bool, typer.Option(help="Draw scores, parity, importances, and what the compounds are.")] = True,
    report: NoReport = True,
    jobs: Jobs = None,
) -> None:
    """Fit a model of the band center, with its cross-validation, importances and card."""
    given = {
        "data": str(data) if data else None, "algorithm": algorithm, "features": features, "compare": compare,
        "scan": scan, "seed": seed, "description": description, "jobs": jobs,
    }  # fmt: skip
    settled = resolve(TRAIN_DEFAULTS, arguments=given)
    failures = trained(output, settled, figures=output / "figures" if figures else None)
    written(output, wanted=report)
    finish(failures, nothing=False)


def trained(output: Path, settings: dict[str, Any], *, figures: Path | None) -> list[Failure]:
    """Train as the settings say, write and show what came out; the records that could not be used.

    Figures go into a folder of their own, if at all.
    """
    from phonolyte import learning_set as own
    from phonolyte.models.algorithms import FEATURE_SETS, SCAN, STUDY
    from phonolyte.models.training import n_fits, read_learning_set
    from phonolyte.models.training import train as fit
    from phonolyte.runs.records import open_run, write_failures, write_run

    algorithm, features, jobs = settings["algorithm"], settings["features"], settings["jobs"]
    if algorithm not in STUDY:
        raise SettingsError(f"there is no algorithm {algorithm!r} to keep", fix=f"Choose among {', '.join(STUDY)}.")
    if features not in ("all", "selected"):
        raise SettingsError(f"there is no feature set {features!r} to keep", fix="Choose all or selected.")
    folder = open_run(output, "train")
    load_kernels()
    data = Path(settings["data"] or own.crystals_file())
    description = settings["description"] or ("" if settings["data"] else own.DESCRIPTION)
    with threads(jobs) as executor:
        learning_set, failures = read_learning_set(data, executor=executor)
    algorithms = [*(STUDY if settings["compare"] else [algorithm]), *(SCAN if settings["scan"] else ())]
    feature_sets = FEATURE_SETS if settings["compare"] else [features]
    total = n_fits(learning_set, algorithms, feature_sets)
    with processes(jobs) as executor, bar("Fits", total) as progress:
        fit(
            learning_set, folder,
            algorithms=algorithms, feature_sets=feature_sets, final=(algorithm, features), seed=settings["seed"],
            description=description, executor=executor, progress=progress,
        )  # fmt: skip
    write_run(folder, {"command": "train", **settings, "description": description}, [data])
    write_failures(folder, failures)
    if figures:
        _draw(folder, learning_set, (algorithm, features), figures)
    _show_scores(folder, len(learning_set.target))
    return failures


def _draw(folder: Path, learning_set: LearningSet, final: tuple[str, str], figures: Path) -> None:
    import pandas as pd

    from phonolyte.figures import draw_training
    from phonolyte.structures.families import family
    from phonolyte.structures.symmetry import crystal_system

    with console(stderr=True).status("Drawing figures"):
        rows = [
            {"material_id": c.material_id, "family": family(c), "crystal_system": crystal_system(c),
             "volume_per_atom_a3": c.volume_a3 / len(c)}
            for c in learning_set.crystals
        ]  # fmt: skip
        draw_training(folder, learning_set, final, compounds=pd.DataFrame(rows) if rows else None, figures=figures)


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
    console().print(table)
    console().print(f"Model, metrics of every split, importances and card: {folder}")
