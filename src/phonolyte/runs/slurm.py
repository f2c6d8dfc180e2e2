"""Job arrays for Slurm that work off folders of input; nothing is submitted from here.

Each call of a command reads what has been run since the last one, writes the input that comes next, and a script::

    OUT/jobs/submit.sh, tasks.txt      the script, and the folders that it works off
    OUT/jobs/pseudo/                   pseudopotentials, so that the folder can be copied elsewhere
    OUT/jobs/ID-DIGEST/.../            a folder of input each
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phonolyte.counts import count
from phonolyte.errors import SettingsError
from phonolyte.runs.calculation import WaitingError
from phonolyte.runs.records import checksum, write_text

JOBS, PSEUDO = "jobs", "pseudo"
SUBMIT, TASKS, RUNNING = "submit.sh", "tasks.txt", "pw.running"

LARGEST_ARRAY = 1000
"""Jobs of an array that Slurm takes unless configured otherwise; beyond it each works off several folders."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the script of a job array needs to know.

    Attributes
    ----------
    command
        Command that runs the program in a folder, such as ``srun pw.x``.
    source, output
        Names of the input and the output file in each folder.
    program
        Name of the program, for messages.
    header
        Lines for the head of the script: ``#SBATCH`` with account, partition and time, and modules to load.
    """

    command: str
    source: str
    output: str
    program: str
    header: str = ""


def read_header(path: Path) -> str:
    """Read a file with the head of a script.

    Raises
    ------
    SettingsError
        When it cannot be read, or sets the array.
    """
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read", why=str(error), fix="Check the path.") from None
    if any(re.match(r"#SBATCH\s+(--array|-a)\b", line) for line in lines):
        raise SettingsError(f"{path} sets the array", why="its size is the number of folders", fix="Leave it out.")
    return "\n".join(line for line in lines if not line.startswith("#!"))


def write_jobs(run: Path, waiting: Mapping[str, WaitingError], script: Script) -> list[str]:
    """Write the script for what waits, and return notes that say what to do next.

    Parameters
    ----------
    run
        Run folder.
    waiting
        Crystals that wait for runs of the program, by name.
    script
        What the script needs to know.
    """
    jobs = run / JOBS
    jobs.mkdir(exist_ok=True)
    tasks, running = (
        [path.relative_to(jobs).as_posix() for each in waiting.values() for path in getattr(each, kind)]
        for kind in ("to_run", "running")
    )
    write_script(jobs, tasks, script)
    notes = []
    if tasks:
        submit = f"cd {shlex.quote(str(jobs))} && sbatch {SUBMIT}"
        counts = f"{count(len(waiting), 'crystal')} waiting for {script.program} in {count(len(tasks), 'folder')}"
        notes.append(f"{counts}. Submit: {submit}; give this command again when it is done")
    if running:
        notes.append(
            f"{count(len(running), 'folder')} being run, such as {jobs / running[0]}; a job that was killed can leave "
            f"{RUNNING} there: delete it, and the output, to run the folder again"
        )
    return notes


def write_script(jobs: Path, tasks: Sequence[str], script: Script) -> None:
    """Write ``tasks.txt`` and ``submit.sh``; with nothing to run the list is empty and there is no script.

    The script carries the list itself. Slurm keeps a copy of it, so that a later call, which writes other lists, does
    not change what an array that waits in the queue will do.
    """
    listed = "".join(f"{task}\n" for task in tasks)
    write_text(jobs / TASKS, listed)
    if not tasks:
        (jobs / SUBMIT).unlink(missing_ok=True)
        return
    text = _SCRIPT.format(
        last=min(len(tasks), LARGEST_ARRAY), header=script.header, tasks=listed, command=script.command,
        input=script.source, output=script.output, running=RUNNING,
    )  # fmt: skip
    write_text(jobs / SUBMIT, text)


def copy_once(files: Iterable[Path], folder: Path) -> None:
    """Copy files into a folder that has none of their names with another content.

    Raises
    ------
    SettingsError
        When it has.
    """
    for path in files:
        target = folder / path.name
        if not target.exists():
            shutil.copyfile(path, target)
        elif checksum(target) != checksum(path):
            raise SettingsError(
                f"{target} is another file than {path}",
                why="runs that are not done yet may need it",
                fix="Choose another -o for the other pseudopotentials.",
            )


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
