"""What can be done next with a material of a run, and the commands of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.runs.calculation import NextStep
from phonolyte.tiers import TIERS, all_tiers

IMPEDANCE = NextStep(
    "Once there is a pellet: its spectra become conductivities.",
    "phonolyte impedance measured/ --thickness-mm 1 --diameter-mm 10 -o impedance/",
)

KNOWN_BY_TABLE = ("e_hull", "band_gap", "likely_metal")
"""Criteria whose property is known from a table."""


def all_steps() -> dict[str, NextStep]:
    """Return what can be done with a candidate, by tier, the cheap ones first."""
    steps = {name: tier.next_step for name, tier in all_tiers().items()} | {"impedance": IMPEDANCE}
    return {
        name: replace(step, command=step.command.replace("{engine}", DEFAULT_ENGINE)) for name, step in steps.items()
    }


def next_steps(done: Sequence[str], *, rejected: str = "", inputs: Sequence[str] = ()) -> list[NextStep]:
    """What has not been done yet, three steps at most; of what a criterion rejects, what could change that."""
    if rejected:
        return [_after_rejection(rejected, inputs)]
    return [step for method, step in all_steps().items() if method not in done][:3]


def command_of(step: NextStep, run: str, material_id: str, ion: str) -> str:
    """The command of a step for one candidate of a run folder, quoted for a shell."""
    command = step.command.replace("{input}", shlex.quote(f"{run}#{material_id}"))
    folder = re.sub(r"[^\w.+-]", "_", material_id, flags=re.ASCII)[:60].lstrip(".-") or "crystal"
    command = re.sub(r"\{run\}(\S*)\{name\}", lambda match: shlex.quote(f"{run}{match[1]}{folder}"), command)
    return command.replace("{ion}", ion) if ion else command.replace(" --ion {ion}", "")


def _after_rejection(criterion: str, inputs: Sequence[str]) -> NextStep:
    if criterion == "features":
        return NextStep("Its features could not be computed: failures.parquet says why.")
    if criterion in TIERS:
        return NextStep(
            f"Ruled out by what was computed ({criterion}); its limits can be moved in the file of a study."
        )
    names = " ".join(map(shlex.quote, inputs))
    return NextStep(
        "Rejected. A criterion that does not fit your question can be left out"
        + (", and a property that is unknown can be given with --properties." if criterion in KNOWN_BY_TABLE else "."),
        f"phonolyte screen {names}{' ' if names else ''}--without {criterion} -o again/",
    )
