"""One candidate: what is known, what was computed, how sure, what next."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from phonolyte.columns import Column, columns_of, format_value
from phonolyte.errors import SettingsError
from phonolyte.report.confidence import confidence
from phonolyte.report.contents import Contents, names_of
from phonolyte.report.next_steps import command_of, next_steps
from phonolyte.runs.calculation import NextStep
from phonolyte.tiers import find_tier

Facts = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Card:
    """One candidate of a run.

    Attributes
    ----------
    material_id, formula, place
        Which it is, and its place in a sentence.
    facts
        Labels and values of its row.
    level, sure_of, sure
        How sure the prediction is: high, medium, low or empty; what is predicted; and in words.
    nearest
        Formula, name, band center in meV, and distance of the compounds learned from that are nearest.
    nearest_of
        Whose learning set these are from.
    computed
        Labels and values by what was computed.
    steps
        What to do next: why, and the command.
    """

    material_id: str
    formula: str
    place: str
    facts: Facts
    level: str
    sure_of: str
    sure: str
    nearest: list[tuple[str, str, float, float]]
    nearest_of: str
    computed: Mapping[str, Facts]
    steps: list[tuple[str, str]]


def card_of(contents: Contents, material_id: str) -> Card:
    """The card of one material.

    Raises
    ------
    SettingsError
        When the run has no such material; the nearest names are given.
    """
    names = names_of(contents)
    if material_id not in names:
        raise _unknown(contents, material_id)
    place = names.index(material_id)
    row = contents.table.iloc[place]
    sure = confidence(contents).iloc[place]
    done = contents.of(material_id)
    formula = str(row.get("formula", material_id))
    ion = contents.ion_of(formula)
    steps = _steps(contents, tuple(done), str(row.get("rejected_by", "") or ""))
    return Card(
        material_id=material_id,
        formula=formula,
        place=_place(contents, row, place),
        facts=_facts(row, columns_of(contents.table)),
        level=str(sure["level"]),
        sure_of=str(sure["sure_of"]),
        sure=str(sure["sure"]),
        nearest=_nearest(contents, material_id),
        nearest_of=nearest_of(contents),
        computed={find_tier(method).title: facts_of(method, values) for method, values in done.items()},
        steps=[(step.why, command_of(step, str(contents.folder), material_id, ion)) for step in steps],
    )


def nearest_of(contents: Contents) -> str:
    """Whose compounds the nearest ones are."""
    if contents.settings.get("model", "") == "embedded":
        return (
            "From the learning set that comes with Phonolyte: the embedded model has learned from another one, of the "
            "same kind, that may not be passed on. Their centers are computed, not predicted."
        )
    return "From the compounds that this model has learned from, with their known centers."


def facts_of(method: str, row: Mapping[str, Any]) -> Facts:
    """What one method says of a material."""
    frame = pd.DataFrame([{key: row[key] for key in find_tier(method).facts if key in row}])
    return _facts(frame.iloc[0], columns_of(frame), skip=())


def steps_of(contents: Contents) -> tuple[list[list[NextStep]], list[int]]:
    """What to do next for each row of the table: the different lists of steps, and which of them each row has."""
    table = contents.table
    rejected = table["rejected_by"].fillna("").astype(str).tolist() if "rejected_by" in table else [""] * len(table)
    lists: dict[tuple[tuple[str, ...], str], int] = {}
    kinds: list[list[NextStep]] = []
    numbers = []
    done: dict[str, tuple[str, ...]] = {}
    for method, tier_table in contents.computed.items():
        for name in map(str, tier_table.index):
            done[name] = (*done.get(name, ()), method)
    for name, criterion in zip(names_of(contents), rejected, strict=True):
        key = (done.get(name, ()), criterion)  # rows with the same past have the same future
        if key not in lists:
            lists[key] = len(kinds)
            kinds.append(_steps(contents, *key))
        numbers.append(lists[key])
    return kinds, numbers


def _steps(contents: Contents, done: Sequence[str], rejected: str) -> list[NextStep]:
    if contents.is_measured:  # no tier computes on it
        return []
    if contents.kind == "known":
        command = f"phonolyte screen --model {shlex.quote(str(contents.folder))} -o run/"
        return [NextStep("Use the model: on the reference compounds, or on the crystals that you add.", command)]
    return next_steps(done, rejected=rejected, inputs=contents.settings.get("inputs", ()))


_NOT_FACTS = ("material_id", "formula", "rank", "rejected_by", "passes")


def _facts(row: pd.Series, columns: Sequence[Column], *, skip: Sequence[str] = _NOT_FACTS) -> Facts:
    return [
        (column.words or column.label, format_value(row[column.key], column))
        for column in columns
        if column.key not in skip and format_value(row[column.key], column) not in ("–", "")
    ]


def _place(contents: Contents, row: pd.Series, place: int) -> str:
    if contents.kind == "ranked":
        if row["passes"]:
            return f"candidate {int(row['rank'])} of {int(contents.table['passes'].sum()):,}"
        return f"rejected: {row['reason']}"
    return f"{place + 1} of {len(contents.table):,}"


def _nearest(contents: Contents, material_id: str) -> list[tuple[str, str, float, float]]:
    if contents.nearest is None:
        return []
    rows = contents.nearest[contents.nearest["material_id"] == material_id]
    columns = ("learned_formula", "learned_id", "learned_center_mev", "distance")
    return [tuple(row) for row in rows[list(columns)].itertuples(index=False)]


def _unknown(contents: Contents, material_id: str) -> SettingsError:
    names = names_of(contents)
    lost = contents.failures[contents.failures["material_id"] == material_id]
    if len(lost):
        return SettingsError(f"{material_id} failed in {contents.folder}", why=str(lost["message"].iloc[0]))
    close = difflib.get_close_matches(material_id, names, n=4, cutoff=0.6)
    if "formula" in contents.table:
        of_formula = contents.table["formula"].astype(str).str.lower() == material_id.lower()
        close = [*contents.table.loc[of_formula, "material_id"].astype(str).head(4), *close][:5]
    fix = f"Did you mean {', '.join(dict.fromkeys(close))}?" if close else "The table of the run has all names."
    return SettingsError(f"{contents.folder} has no material {material_id!r}", fix=fix)
