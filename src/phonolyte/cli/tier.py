"""What the commands of all tiers share: compute here or on a cluster, and show the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonolyte.cli.terminal import console, finish, say, say_beside
from phonolyte.counts import count
from phonolyte.errors import SettingsError

if TYPE_CHECKING:
    from phonolyte.forces import Engine
    from phonolyte.forces.espresso import PlaneWaves
    from phonolyte.runs.calculation import Calculation
    from phonolyte.runs.campaign import Outcome
    from phonolyte.runs.progress import OpenBar
    from phonolyte.runs.settings import ExecutorSettings, OutputSettings
    from phonolyte.runs.slurm import Script


@dataclass(frozen=True, slots=True, eq=False)
class ClusterJob:
    """What runs on a cluster: plane waves, the command that starts the program, and the head of the script."""

    waves: PlaneWaves
    command: str
    header: str

    @property
    def engine(self) -> Engine:
        """Engine by whose name and provenance results are known, the same as where it runs here."""
        return self.waves.engine(self.command)


def check_cluster(
    cluster: bool, engine: str, options: Mapping[str, Any], header: Path | None, command: str
) -> ClusterJob | None:
    """Return what runs on the cluster; None without ``--cluster``.

    Raises
    ------
    SettingsError
        For another engine than ``espresso``, and a header without ``--cluster``.
    """
    from phonolyte.forces.espresso import PlaneWaves
    from phonolyte.runs.slurm import read_header

    if not cluster:
        if header:
            raise SettingsError("--slurm-header needs --cluster", fix="Add --cluster, or leave it out.")
        return None
    if engine != "espresso":
        raise SettingsError(
            f"{engine} does not run as jobs on a cluster", fix="Add --engine espresso, or leave --cluster out."
        )
    rest = {name: value for name, value in options.items() if name != "command"}
    text = read_header(header) if header else ""
    return ClusterJob(PlaneWaves.from_options(rest), str(options.get("command", command)), text)


def run_here(
    calculation: Calculation, inputs: list[str], folder: Path, writes: OutputSettings, where: ExecutorSettings,
    progress: OpenBar, command: str = "",
) -> None:  # fmt: skip
    """Compute a tier, and show its table."""
    from phonolyte import verbs

    outcome = verbs.calculate(
        calculation, inputs, folder=folder, command=command, output=writes, executor=where, progress=progress,
        announce=say_beside,
    )  # fmt: skip
    show(type(calculation), outcome, folder)
    finish(list(outcome.failures), nothing=outcome.table.empty, folder=folder)


def run_on_cluster(
    calculation: Calculation, inputs: list[str], folder: Path, writes: OutputSettings, script: Script, command: str = ""
) -> None:
    """Take a tier one step on, write the script for what waits, and show what is there."""
    from phonolyte import verbs
    from phonolyte.cli.terminal import bar
    from phonolyte.runs.executors import ExecutorSettings
    from phonolyte.runs.slurm import write_jobs

    outcome = verbs.calculate(
        calculation, inputs, folder=folder, command=command, output=writes, executor=ExecutorSettings(jobs=1),
        progress=bar,
    )  # fmt: skip
    notes = write_jobs(folder, outcome.waiting, script)
    show(type(calculation), outcome, folder)
    finish(list(outcome.failures), nothing=outcome.table.empty and not notes, folder=folder, notes=notes)


def show(calculation: type[Calculation], outcome: Outcome, folder: Path) -> None:
    """Show the table of a tier."""
    from phonolyte.summary import calculation_table

    if len(outcome.table):
        console().print(calculation_table(calculation, outcome.table))
    n = len(outcome.table) - outcome.n_earlier
    total = n + len(outcome.failures) + len(outcome.waiting) + len(outcome.not_reached)
    say(f"{n} of {count(total, 'crystal')} -> {folder}/{calculation.table}")
