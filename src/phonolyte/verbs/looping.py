"""The loop of a study: training within it, what it may choose from, and the model that it leaves."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonolyte.errors import SettingsError
from phonolyte.forces import DEFAULT_ENGINE, Engine, open_engine
from phonolyte.runs.citations import MODEL
from phonolyte.runs.executors import open_executor
from phonolyte.runs.progress import OpenBar
from phonolyte.runs.run import Run, read_record
from phonolyte.runs.settings import OutputSettings
from phonolyte.verbs.opening import Where, count_batches, open_both, open_workers, run_options

if TYPE_CHECKING:
    import pandas as pd

    from phonolyte.loop import Rounds
    from phonolyte.models import BandCenterModel
    from phonolyte.structures import Crystal
    from phonolyte.study import StudySettings
    from phonolyte.train import Training, TrainSettings


def train_within(
    run: Run, settings: TrainSettings, output: OutputSettings, executor: Where, progress: OpenBar, *, figures: bool,
    folder: Path | None = None,
) -> Training:  # fmt: skip
    """Train into a folder of the study (default: ``model``); figures go beside those of the screen."""
    from phonolyte.train import run_training

    opened = Run(
        folder or run.path("model"), "train", settings=settings, inputs=settings.files, cites=MODEL,
        **run_options(output),
    )  # fmt: skip
    with opened as training_run, open_workers(executor) as processes, open_executor(threads=True) as threads:
        drawn = run.path("figures") if figures else None
        return run_training(
            training_run, settings, figures=drawn, files=output, executor=processes, threads=threads, progress=progress
        )


def run_loop(
    run: Run, plan: StudySettings, crystals: Any, known: pd.DataFrame | None, engine: Engine | None, executor: Where,
    output: OutputSettings, progress: OpenBar,
) -> tuple[Rounds, Training | None]:  # fmt: skip
    """Run the rounds of a study, and copy the last model into its folder ``model``.

    Returns
    -------
    rounds, training
        What each round did; the last training, None where all models were there already.
    """
    from phonolyte.loop import Loop
    from phonolyte.loop.learning import read_given
    from phonolyte.loop.rounds import ROUNDS
    from phonolyte.phonons import PhononCalculation
    from phonolyte.phonons.calibration import Calibration
    from phonolyte.screen.run import remove_parts

    settings = plan.loop
    trainings: list[Training] = []
    assert settings is not None
    if plan.train and plan.train.chosen == "virtual":
        raise SettingsError(
            "the recipe virtual cannot learn in rounds", why="it sees no crystal as it is",
            fix="Use the recipe physical or study, or no rounds.",
        )  # fmt: skip
    known_before, failures = read_given(plan.train.data if plan.train else "")
    run.add_failures(failures)
    loop_engine = open_loop_engine(plan, engine)
    assert loop_engine is not None
    calibration = Calibration.shipped(loop_engine)
    if calibration is None:
        run.add_note(f"centers by {loop_engine.name} are learned as they are: Phonolyte has no calibration for it")

    def learn(file: Path, folder: Path) -> BandCenterModel:
        return _learn(run, plan, file, folder, output, executor, progress, trainings)

    with open_executor(threads=True) as threads:
        loop = Loop(
            settings, learn, PhononCalculation(loop_engine, settings.phonons, plan.ion, calibration),
            limit_mev=plan.screen.criteria.max_center_mev, open_tier=lambda n: open_workers(executor, most=n),
            threads=threads, progress=progress,
        )  # fmt: skip
        model = loop.begin(known_before, run.path(ROUNDS))
        crystals = _screen_once(run, plan, crystals, known, model, executor, progress)
        rounds = loop.run(run, crystals, known_before, model=model)
    remove_parts(run.path(ROUNDS))
    shutil.copytree(rounds.folder, run.path("model"), dirs_exist_ok=True)
    run.add_failures(rounds.failures)
    return rounds, trainings[-1] if trainings else None


def _learn(
    run: Run, plan: StudySettings, file: Path, folder: Path, output: OutputSettings, executor: Where,
    progress: OpenBar, trainings: list[Training],
) -> BandCenterModel:  # fmt: skip
    """Train on a file, unless the folder has the model of the same file and settings."""
    from phonolyte.models import BandCenterModel
    from phonolyte.train import TrainSettings

    settings = plan.train or TrainSettings(compare=False)
    settings = replace(settings, data=str(file), description=settings.about)
    record = read_record(folder) or {}
    same = Run(folder, "train", settings=settings, inputs=settings.files).identity
    if record.get("state") == "finished" and record.get("identity") == same:
        return BandCenterModel.load(folder)
    quiet = replace(output, report=False, figures=False, overwrite=True)
    training = train_within(run, settings, quiet, executor, progress, figures=output.figures, folder=folder)
    run.add_failures(training.failures)
    trainings.append(training)
    return training.model


def _screen_once(
    run: Run, plan: StudySettings, crystals: Any, known: pd.DataFrame | None, model: BandCenterModel, executor: Where,
    progress: OpenBar,
) -> list[Crystal]:  # fmt: skip
    """Crystals of a screen whose place a center decides."""
    from phonolyte.loop.pool import open_crystals
    from phonolyte.loop.rounds import ROUNDS
    from phonolyte.screen.describe import Models
    from phonolyte.screen.funnel import PARTS, rank_crystals

    folder = run.path(ROUNDS) / PARTS
    ion = plan.follow.ion if plan.follow else ""
    with open_both(executor, count_batches(crystals)) as (processes, threads):
        screening = rank_crystals(
            crystals, models=Models(model), criteria=plan.screen.criteria, properties=known, parts=folder,
            executor=processes, threads=threads, progress=progress,
        )  # fmt: skip
    return open_crystals(screening, ion)


def open_loop_engine(plan: StudySettings, engine: Engine | None) -> Engine | None:
    """Engine of the rounds: that of the study, unless they name one of their own; None where there are no rounds."""
    from phonolyte.forces.engines import engine_options

    if plan.loop is None or not plan.loop.rounds:
        return None
    named, options = plan.loop.engine, plan.loop.options
    if not named and engine is not None:
        return engine
    if not named and plan.follow is not None:
        named, options = plan.follow.engine, plan.follow.options
    return open_engine(named or DEFAULT_ENGINE, **engine_options(options))
