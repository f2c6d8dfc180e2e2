"""The steps from what came in to what is left, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phonolyte.report.contents import Contents

HIDDEN = ("readable", "features")
"""Steps that are shown only where they lose something: in most runs they lose nothing."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of the funnel: what it asks, how many are left, and how many it took or could not judge."""

    label: str
    count: int
    note: str = ""


def list_criteria(contents: Contents) -> list[Bar]:
    """Return the steps of a screen."""
    steps = [step for step in contents.records["funnel"].get("steps", ()) if step["applied"]]
    return [_step(step) for step in steps if step["name"] not in HIDDEN or step["rejected"] or step["missing"]]


def list_virtual(contents: Contents) -> list[Bar]:
    """Return the steps of a virtual space."""
    total = contents.records["summary"]["total"]
    return [
        Bar("choices of elements", total["given"]),
        Bar("allowed by the substitution rules", total["compounds"]),
        Bar("band center at most 40 meV", total["soft"], "of the allowed ones"),
        Bar("charges balanced", total["charge_balanced"], "of the allowed ones"),
        Bar("inside the domain of the model", total["in_domain"], "of the allowed ones"),
    ]


def list_computed(contents: Contents) -> list[Bar]:
    """Return what a tier has computed."""
    n = len(contents.table)
    return [Bar("crystals", n + len(contents.failures)), Bar("computed", n)]


def list_stable(contents: Contents) -> list[Bar]:
    """Return what phonons were computed for, and what is stable."""
    bars = list_computed(contents)
    return [*bars, Bar("dynamically stable", int(contents.table["stable"].sum()))] if len(contents.table) else bars


def list_followed(contents: Contents) -> list[Bar]:
    """Return what each tier of a study did with the candidates."""
    return [
        Bar(f"{step['tier']}: {step['criterion']}", step["kept"], ", ".join(
            f"{step[name]:,} {name.replace('_', ' ')}" for name in ("rejected", "failed", "not_reached") if step[name]
        ))
        for step in contents.records["followed"].get("steps", ())
    ]  # fmt: skip


def _step(step: Mapping[str, Any]) -> Bar:
    lost = [f"{step[name]:,} {word}" for name, word in (("rejected", "rejected"), ("missing", "unknown")) if step[name]]
    return Bar(step["rule"], step["kept"], ", ".join(lost))
