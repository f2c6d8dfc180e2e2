"""A training as a run: learning set, cross-validation, model, figures."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from phonolyte import learning_set, make_callable
from phonolyte.errors import Failure, SettingsError, TableError
from phonolyte.features.feature_sets import named_sets
from phonolyte.figures import data_figures, save_all, score_figures
from phonolyte.figures.training import STEMS
from phonolyte.models import BandCenterModel
from phonolyte.models.algorithms import BEST, FEATURE_SETS, SCAN, STUDY, VIRTUAL, Fit
from phonolyte.models.compounds import LearningSet, read_learning_set
from phonolyte.models.domain import CONFIDENCE
from phonolyte.models.training import n_fits
from phonolyte.models.training import train as fit_models
from phonolyte.notebooks import Shown, random_error
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run
from phonolyte.runs.settings import AS_USUAL, FigureFiles
from phonolyte.structures.families import family
from phonolyte.structures.reading import input_files
from phonolyte.structures.symmetry import crystal_system

TABLES = ("cv_predictions.parquet", "held_out.parquet", "importances.csv")
"""Tables of a training."""

RECIPES = ("physical", "virtual", "study")
"""What is learned: the best model, the best one for crystals of unknown volume, or that of the founding study."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of a training.

    Attributes
    ----------
    data
        File to learn from; empty for the learning set that comes with Phonolyte.
    algorithm, features
        Algorithm and feature set of the model that the recipe of the study keeps.
    recipe
        ``physical`` (process and boosted trees on physical columns), ``virtual`` (the same at predicted volumes), or
        ``study`` (the founding study's models).
    compare
        Whether the study's other algorithms are cross-validated too.
    scan
        Whether the usual scikit-learn regressors are, too.
    seed
        Seed for folds and estimators.
    description
        Sentence about the data, for the model card.
    """

    data: Annotated[
        str,
        "Crystals with band_center_mev (meV) each, or a table of features with that column. "
        "Default: the learning set that comes with Phonolyte.",
    ] = ""
    algorithm: Annotated[
        str,
        "Algorithm of the recipe study: extra_trees (default), gradient_boosting, xgboost, decision_tree.",
    ] = ""
    features: Annotated[
        str,
        "Features of the recipe study: all (271, default), or selected (those that do not repeat another).",
    ] = ""
    recipe: Annotated[
        str,
        "physical: a Gaussian process and boosted trees on physical columns; virtual: the same at predicted volumes; "
        "study: the founding study's models on Magpie's features. Default: physical; study where one of its options is "
        "given.",
    ] = ""
    compare: Annotated[bool, "Cross-validate the study's other algorithms, too."] = True
    scan: Annotated[bool, "Also cross-validate the usual scikit-learn regressors."] = False
    seed: Annotated[int, "Seed for folds and estimators."] = 0
    description: Annotated[str, "Sentence about the data, for the model card."] = ""

    def __post_init__(self) -> None:
        if self.recipe not in ("", *RECIPES):
            raise SettingsError(f"there is no recipe {self.recipe!r}", fix=f"Choose among {', '.join(RECIPES)}.")
        if self.algorithm not in ("", *STUDY):
            raise SettingsError(
                f"there is no algorithm {self.algorithm!r} to keep", fix=f"Choose among {', '.join(STUDY)}."
            )
        if self.features not in ("", "all", "selected"):
            raise SettingsError(f"there is no feature set {self.features!r} to keep", fix="Choose all or selected.")
        if self.recipe in ("physical", "virtual") and (self.algorithm or self.features):
            raise SettingsError(
                f"the recipe {self.recipe} has its own algorithm and features",
                fix="Leave --algorithm and --features out, or choose --recipe study.",
            )

    @property
    def chosen(self) -> str:
        """Recipe that is meant: that of the study where its algorithm or features are named."""
        return self.recipe or ("study" if self.algorithm or self.features else "physical")

    @property
    def final(self) -> Fit:
        """Algorithm and features of the model that is kept."""
        of_study = Fit(self.algorithm or "extra_trees", self.features or "all")
        return {"physical": BEST, "virtual": VIRTUAL}.get(self.chosen, of_study)

    @property
    def fits(self) -> list[Fit]:
        """Algorithms and features that are cross-validated: the final one first."""
        study = self.chosen == "study"
        algorithms = [*(STUDY if self.compare else ()), *(SCAN if self.scan else ())]
        feature_sets = FEATURE_SETS if study and self.compare else [self.final.features if study else "all"]
        return list(dict.fromkeys([self.final, *(Fit(a, f) for f in feature_sets for a in algorithms)]))

    @property
    def file(self) -> Path:
        """File to learn from."""
        return Path(self.data).expanduser() if self.data else learning_set.crystals_file()

    @property
    def files(self) -> list[Path]:
        """Files to learn from, those of a folder one by one.

        Raises
        ------
        TableError
            When there is nothing.
        """
        if not self.file.exists():
            raise TableError(f"{self.file} does not exist", fix="Give the table to learn from.")
        return input_files([self.file])

    @property
    def about(self) -> str:
        """Description of the data."""
        return self.description or ("" if self.data else learning_set.DESCRIPTION)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Training(Shown):
    """Result of a training.

    Attributes
    ----------
    model
        Model that is kept.
    scores
        Rows of ``metrics.json``: `algorithm`, `features`, `split`, `n`, `r2`, `mae_mev`, `rmse_mev` and their spread.
    n
        Number of compounds.
    failures
        Records that could not be used.
    """

    model: BandCenterModel
    scores: pd.DataFrame
    n: int
    failures: list[Failure] = field(default_factory=list)

    def _facts(self) -> dict[str, object]:
        known = self.model.provenance
        return {
            "compounds": self.n, "failures": len(self.failures) or None, "model": known.get("algorithm"),
            "mean error, random folds": random_error(known),
        }  # fmt: skip


def run_training(
    run: Run,
    settings: TrainSettings | None = None,
    *,
    figures: Path | None = None,
    files: FigureFiles = AS_USUAL,
    executor: Executor | None = None,
    threads: Executor | None = None,
    progress: OpenBar = no_bar,
) -> Training:
    """Train as the settings say, into an open run folder.

    Parameters
    ----------
    run
        Open run folder: receives the model, its scores, importances and card.
    settings
        Settings of the training.
    figures
        Folder for the figures; default: none are drawn.
    files
        Formats and resolution of these.
    executor
        Executor of processes that map over the fits.
    threads
        Executor of threads that map over crystals.
    progress
        Opens a bar.

    Raises
    ------
    TableError
        When there is too little to learn from.
    """
    settings = settings or TrainSettings()
    fits, final = settings.fits, settings.final
    data, failures = read_learning_set(settings.file, sets=named_sets(final.set_names), executor=threads)
    run.add_failures(failures)
    with progress("Fits", n_fits(data, fits)) as advance:
        model = fit_models(
            data, run.folder, fits=fits, final=final, seed=settings.seed, description=settings.about,
            rescale=settings.chosen == "virtual", executor=executor, progress=advance,
        )  # fmt: skip
    for name in ("model.json", "model.npz", "metrics.json", "card.md", "learned.parquet"):
        run.path(name)
    for name in TABLES:
        path = run.folder / name
        run.describe_table(name, pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path))
    if figures:
        _draw(run.folder, data, final, figures, files)
    return Training(model, pd.DataFrame(_scores(run.folder)), len(data.target), failures)


def _draw(folder: Path, data: LearningSet, final: tuple[str, str], figures: Path, files: FigureFiles) -> None:
    rows: list[dict[str, Any]] = [
        {"family": family(c), "crystal_system": crystal_system(c), "volume_per_atom_a3": c.volume_a3 / len(c)}
        for c in data.crystals
    ]
    predictions, held_out = (pd.read_parquet(folder / f"{name}.parquet") for name in ("cv_predictions", "held_out"))
    importances = pd.read_csv(folder / "importances.csv")
    drawn = score_figures(_scores(folder), predictions, held_out, importances, final, confidence=CONFIDENCE)
    drawn |= data_figures(data.elements, data.target, pd.DataFrame(rows) if rows else None)
    save_all(drawn, figures, STEMS, files=files)


def _scores(folder: Path) -> list[dict[str, Any]]:
    scores: list[dict[str, Any]] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return scores


make_callable(__name__)
