"""Phonons by Quantum ESPRESSO on a cluster: folders of input to run there, and results from their output.

Nothing is computed here, and ``pw.x`` need not be on this machine. Each call reads what has been run since the last
one, writes the input that comes next, and a script for Slurm that runs what is left::

    OUT/jobs/submit.sh, tasks.txt      the script, and the folders that it works off
    OUT/jobs/pseudo/                   the pseudopotentials, so that the folder can be copied elsewhere
    OUT/jobs/ID-DIGEST/relax/          pw.in, and pw.out after the run; relax-2, ... where the cell moved much
    OUT/jobs/ID-DIGEST/rest/           the relaxed cell, before any atom is displaced
    OUT/jobs/ID-DIGEST/disp-001/ ...   the displaced supercells; wide-001, ... where an instability is confirmed

The digest tells crystal, settings and pseudopotentials: other settings have folders of their own. It is also the title
of each input, which ``pw.x`` repeats in its output.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from phonolyte.errors import Failure, SettingsError
from phonolyte.forces import Engine
from phonolyte.forces.espresso import PlaneWaves
from phonolyte.phonons.calibration import Calibration
from phonolyte.phonons.campaign import DOS, STAGE, collected, item_of, saved
from phonolyte.phonons.jobs import INPUT, OUTPUT, PSEUDO, RUNNING, Job, UnfinishedError
from phonolyte.phonons.workflow import (
    PhononSettings,
    require_phonopy,
)
from phonolyte.runs.campaign import ITEMS, Item, failed
from phonolyte.structures import Crystal

COMMAND = "srun pw.x"
JOBS = "jobs"
SUBMIT, TASKS = "submit.sh", "tasks.txt"

LARGEST_ARRAY = 1000
"""Jobs of an array that Slurm takes unless configured otherwise; beyond it each works off several folders."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What runs on the cluster, and how.

    Attributes
    ----------
    waves
        Settings of ``pw.x``.
    command
        How a job starts ``pw.x``.
    header
        Lines for the head of the script: ``#SBATCH`` with account, partition and time, and modules to load.
    """

    waves: PlaneWaves
    command: str = COMMAND
    header: str = ""

    @classmethod
    def of(cls, engine: str, options: Mapping[str, Any], header: Path | None = None, *, command: str = COMMAND) -> Self:
        """From an engine by name with its options, a file with the head of the script, and how a job is started.

        Raises
        ------
        SettingsError
            For another engine than ``espresso``, options that it has not, and a header that cannot be read or that
            sets the array.
        """
        if engine != "espresso":
            raise SettingsError(
                f"{engine} does not run as jobs on a cluster", fix="Add --engine espresso, or leave --cluster out."
            )
        rest = {name: value for name, value in options.items() if name != "command"}
        return cls(
            PlaneWaves.from_options(rest), str(options.get("command", command)), _header(header) if header else ""
        )

    @property
    def engine(self) -> Engine:
        """The engine by whose name and provenance results are known, the same as where it runs here."""
        return self.waves.engine(self.command)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterRun:
    """How far a campaign is; `table`, `failures` and `waiting` together have every crystal once.

    Attributes
    ----------
    table
        As in ``phonons.parquet``.
    failures
        Crystals of which a run failed.
    waiting
        Names of the crystals that wait for runs of ``pw.x``.
    tasks
        Folders still to run, as in ``tasks.txt``, relative to `jobs`.
    running
        Folders with a run that has begun and not ended.
    jobs
        Folder of the script.
    program
        What runs in the folders.
    """

    table: pd.DataFrame
    failures: list[Failure]
    waiting: list[str]
    tasks: list[str]
    running: list[str]
    jobs: Path
    program: str = "pw.x"

    @property
    def notes(self) -> list[str]:
        """What is to be done next, in sentences."""
        found = []
        if self.tasks:
            todo = f"cd {shlex.quote(str(self.jobs))} && sbatch {SUBMIT}"
            waiting, folders = _count(len(self.waiting), "crystal"), _count(len(self.tasks), "folder")
            found.append(
                f"{waiting} waiting for {self.program} in {folders}. "
                f"Submit: {todo}; give this command again when it is done"
            )
        if self.running:
            found.append(
                f"{_count(len(self.running), 'folder')} being run, such as {self.jobs / self.running[0]}; a job that "
                f"was killed can leave {RUNNING} there: delete it, and the output, to run the folder again"
            )
        return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def cluster_campaign(
    crystals: Sequence[Crystal],
    cluster: Cluster,
    folder: Path,
    settings: PhononSettings | None = None,
    *,
    ion: str | None = None,
    calibration: Calibration | None = None,
    progress: Callable[[int], None] | None = None,
) -> ClusterRun:
    """Take the phonons of many crystals one step on: read the output that is there, write the input that comes next.

    Results are those of :func:`phonolyte.phonons.campaign.campaign`, in the same files, except that cells are relaxed
    by ``pw.x`` itself and `seconds` are the wall time of its runs.

    Parameters
    ----------
    crystals
        With a `material_id` each of its own.
    cluster
        Settings of ``pw.x`` and of the script.
    folder
        The run folder.
    settings
        The defaults of :class:`PhononSettings` unless given.
    ion, calibration, progress
        As of :func:`~phonolyte.phonons.campaign.campaign`.

    Raises
    ------
    SettingsError
        With a time limit, which is Slurm's business, and where ``jobs/pseudo`` has other files of the same names.
    ModelError
        When the calibration was learned with another engine.
    MissingExtraError
        When phonopy is not installed.
    """
    require_phonopy()
    settings = settings or PhononSettings()
    if settings.limit_s is not None:
        raise SettingsError("limit_s does not bound jobs of a cluster", fix="Put #SBATCH --time into the header.")
    if calibration:
        calibration.check(cluster.engine)
    jobs = folder / JOBS
    for part in (folder / ITEMS, folder / DOS, jobs / PSEUDO):
        part.mkdir(parents=True, exist_ok=True)
    engine = cluster.engine
    items = [item_of(crystal, engine, settings, folder) for crystal in crystals]
    waiting: dict[str, UnfinishedError] = {}
    for item in items:
        unfinished = _advance(item, cluster.waves, settings, folder)
        if unfinished:
            waiting[item.crystal.material_id] = unfinished
        if progress:
            progress(len(item.crystal))
    tasks, running = (
        [path.relative_to(jobs).as_posix() for each in waiting.values() for path in getattr(each, kind)]
        for kind in ("to_run", "running")
    )
    write_script(jobs, tasks, cluster)
    table, failures = collected(items, folder, ion, calibration)
    return ClusterRun(table, failures, list(waiting), tasks, running, jobs)


def _advance(item: Item, waves: PlaneWaves, settings: PhononSettings, folder: Path) -> UnfinishedError | None:
    """Read and write what is there of one crystal; what it waits for, or nothing when it is done or has failed."""
    if "row" in (item.record or {}):
        return None
    try:
        result = Job.of(item.crystal, waves, settings, folder / JOBS, item.name).result()
        item.write(saved(result, "espresso", folder, item.name))
    except UnfinishedError as unfinished:
        if item.record:  # a failure that has been mended
            item.path.unlink()
        return unfinished
    except SettingsError:  # concerns every crystal
        raise
    except Exception as error:  # phonopy, and ASE's reader, can raise anything, and the batch goes on
        item.write(failed(error, item.crystal, STAGE))
    return None


def _header(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read", why=str(error), fix="Check the path.") from None
    if any(re.match(r"#SBATCH\s+(--array|-a)\b", line) for line in lines):
        raise SettingsError(f"{path} sets the array", why="its size is the number of folders", fix="Leave it out.")
    return "\n".join(line for line in lines if not line.startswith("#!"))


def write_script(
    jobs: Path, tasks: Sequence[str], cluster: Cluster, *, source: str = INPUT, output: str = OUTPUT
) -> None:
    """Write ``tasks.txt`` and ``submit.sh``; with nothing to run the list is empty and there is no script.

    The script carries the list itself. Slurm keeps a copy of it, so that a later call, which writes other lists, does
    not change what an array that waits in the queue will do.
    """
    listed = "".join(f"{task}\n" for task in tasks)
    (jobs / TASKS).write_text(listed, encoding="utf-8")
    if not tasks:
        (jobs / SUBMIT).unlink(missing_ok=True)
        return
    script = _SCRIPT.format(
        last=min(len(tasks), LARGEST_ARRAY),
        header=cluster.header,
        tasks=listed,
        command=cluster.command,
        input=source,
        output=output,
        running=RUNNING,
    )
    (jobs / SUBMIT).write_text(script, encoding="utf-8")


_SCRIPT = """#!/bin/bash
#SBATCH --job-name=phonolyte
#SBATCH --array=1-{last}
{header}

# Written by Phonolyte. Submit it in its own folder: sbatch submit.sh
# Without Slurm: SLURM_ARRAY_TASK_ID=1 bash submit.sh runs the first folder.
set -u
cd "${{SLURM_SUBMIT_DIR:-$(dirname "$0")}}" || exit 1
root=$PWD

run() {{ # one folder; a folder that another job is at, or has done, is left alone
    cd "$root/$1" || return 1
    grep -qs "JOB DONE" {output} && return 0
    (set -o noclobber; echo "${{SLURM_JOB_ID:-$$}}" > {running}) 2>/dev/null || return 0
    trap 'rm -f {running}' EXIT
    {command} -in {input} > {output} 2> pw.err
    grep -q "JOB DONE" {output}
}}

status=0
line=0
while read -r folder; do
    line=$((line + 1))
    if [ $(((line - 1) % {last} + 1)) -eq "$SLURM_ARRAY_TASK_ID" ]; then
        (run "$folder" < /dev/null) || status=1
    fi
done << 'TASKS'
{tasks}TASKS
exit $status
"""
