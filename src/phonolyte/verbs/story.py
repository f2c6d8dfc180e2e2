"""The verb of the whole story: learn, cross-validate, screen, follow the best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from phonolyte.forces import Engine, open_engine
from phonolyte.references import reference_compounds
from phonolyte.runs.citations import CONDUCTION, MODEL
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run, plain_settings
from phonolyte.runs.settings import OutputSettings
from phonolyte.screen import ModelSource, Screening, read_properties
from phonolyte.screen.run import run_screen
from phonolyte.verbs.looping import open_loop_engine, run_loop, train_within
from phonolyte.verbs.opening import (
    Where,
    count_batches,
    list_files,
    list_given,
    list_names,
    open_both,
    open_workers,
    refuse_threads,
    run_options,
)

if TYPE_CHECKING:
    from phonolyte.loop import Rounds
    from phonolyte.study import Followed, StudySettings
    from phonolyte.train import Training


def study(
    settings: StudySettings | str | Path | None = None,
    *,
    rounds: int | None = None,
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
    rounds
        Rounds of choosing, computing and learning, 0 for none; default: what the settings say.
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
    plan = plan if rounds is None else plan.with_rounds(rounds)
    engine = _open_study_engine(plan)
    refuse_threads(executor if executor is not None else plan.executor, engine)
    known = read_properties(plan.properties) if plan.properties else None
    used = [*list_files(inputs), *list_given(plan.properties), *(plan.train.files if plan.train else ())]
    record = {
        "inputs": list_names(inputs),
        "train": plan.train,
        **plain_settings(plan.screen),
        "loop": plan.loop,
        "follow": plan.follow,
    }
    opened = Run(
        folder, "study", settings=record, inputs=used, identity=(plan.train, plan.screen, list_names(inputs)),
        engine=engine, cites=_study_cites(plan), **run_options(output),
    )  # fmt: skip
    with opened as run:
        where = executor if executor is not None else plan.executor
        model = training = looped = None
        crystals = inputs if inputs is not None else reference_compounds()
        if plan.loop and plan.loop.rounds:
            looped, training = run_loop(run, plan, crystals, known, engine, where, output, progress)
            model = run.folder / "model"
        elif plan.train:
            quiet = replace(output, report=False, figures=False, overwrite=True)
            training = train_within(run, plan.train, quiet, where, progress, figures=output.figures)
            run.add_failures(training.failures)
            model = run.folder / "model"
        with open_both(where, count_batches(crystals)) as (processes, threads):
            screening = run_screen(
                run, crystals, plan.screen, models=ModelSource(model), figures=output.figures, files=output,
                properties=known, executor=processes, threads=threads, progress=progress,
            )  # fmt: skip
        followed = _follow_best(run, plan, screening, engine, where, output, progress) if plan.follow else None
        return StudyResult(screening, training, followed, looped)


class StudyResult(NamedTuple):
    """Result of a study: the screening; the training, how far the best were followed, and rounds; None for none."""

    screening: Screening
    training: Training | None
    followed: Followed | None
    rounds: Rounds | None = None


def _follow_best(
    run: Run, plan: StudySettings, screening: Screening, engine: Engine | None, executor: Where, output: OutputSettings,
    progress: OpenBar,
) -> Followed:  # fmt: skip
    from phonolyte.figures import followed_figures, save_all
    from phonolyte.structures.crystal_table import read_rows
    from phonolyte.structures.run_results import CRYSTALS
    from phonolyte.study import follow_candidates

    ranked = screening.table.head(screening.n_ranked)
    wanted = set(ranked["material_id"])
    crystals = [make(name) for name, make in read_rows(run.folder / CRYSTALS) if name in wanted]
    assert plan.follow is not None
    followed = follow_candidates(
        run, crystals, ranked, [each.calculation(plan.ion, engine) for each in plan.plans], ion=plan.ion,
        tops=[each.top for each in plan.plans], budget_h=plan.follow.budget_h,
        open_tier=lambda n: open_workers(executor, most=n), figures=output if output.figures else None,
        progress=progress,
    )  # fmt: skip
    run.add_failures(followed.failures)
    if output.figures and len(followed.table):
        save_all(followed_figures(followed.table), run.path("figures"), files=output)
    return followed


def _open_study_engine(plan: StudySettings) -> Engine | None:
    from phonolyte.forces.engines import engine_options
    from phonolyte.tiers import find_tier

    if plan.follow is None or not any(find_tier(tier).needs_engine for tier in plan.follow.tiers):
        return open_loop_engine(plan, None)
    return open_engine(plan.follow.engine, **engine_options(plan.follow.options))


def _study_cites(plan: StudySettings) -> tuple[str, ...]:
    from phonolyte.tiers import find_tier

    tiers = [*(plan.follow.tiers if plan.follow else ()), *(["phonons"] if plan.loop and plan.loop.rounds else [])]
    return (*MODEL, *CONDUCTION, *(key for tier in tiers for key in find_tier(tier).cites))
