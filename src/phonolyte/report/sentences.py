"""What a screen, a virtual space or a trained model says, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from phonolyte.columns import column, format_value
from phonolyte.counts import are, count, have
from phonolyte.report.contents import Contents, arrived
from phonolyte.report.measurements import join_names
from phonolyte.screen.yardsticks import WOULD_RANK
from phonolyte.tiers import deciding_column
from phonolyte.units import CONDUCTOR_S_CM

OF_PROBABILITIES = (
    "A probability is not a measurement: it was tested on compounds whose relatives were measured, and far from them "
    "it rests on percolation and the size of the anions. The band center separates oxides from sulfides, and little "
    "within them. Defects, grain boundaries and electronic conduction are not included."
)

OF_CENTERS = (
    "The band center is a property of the perfect crystal. It separates oxides from sulfides, and little within them. "
    "It is not a conductivity."
)

OF_TIERS = "These are properties of the bulk crystal: grain boundaries and electronic conduction are not included."

NAMED = 3
"""Candidates that a sentence names."""

LEFT_OUT = "left out"
"""Note of a criterion that was not applied by choice."""

SHORT = {"e_hull": "energy above hull", "band_gap": "band gap", "likely_metal": "likely metals",
         "band_center": "band center", "stable_elements": "radioactive elements", "unique": "repetitions"}  # fmt: skip
"""What a criterion judges, in two words."""


def headline_screen(contents: Contents) -> str:
    """Return how many compounds are candidates."""
    n = int(contents.table["passes"].sum())
    steps = contents.records["funnel"].get("steps", ())
    total = int(steps[0]["kept"]) if steps else len(contents.table)
    return f"{n:,} of {count(total, 'compound')} {'is a candidate' if n == 1 else 'are candidates'}"


def summarize_screen(contents: Contents) -> list[str]:
    """Return what came out, the best ones, and how sure it is."""
    table = contents.table
    passed = table[table["passes"]]
    record = contents.records["funnel"]
    missing = sum(step["missing"] for step in record.get("steps", ()))
    sentences = [_of_unapplied(record.get("steps", ()), contents.settings.get("without", ()))]
    if len(passed):
        sentences.append(_of_best(passed.iloc[0]))
        sentences += [_of_measured(passed), _of_yardsticks(contents.yardsticks)]
        width = float((passed["upper_mev"] - passed["lower_mev"]).median())
        unlike = int((~passed["in_domain"].astype(bool)).sum())
        error = _typical_error(contents)
        sentences.append(
            f"Band centers: {error}the 90 % intervals of the candidates are {width:.1f} meV wide (median)."
            + (f" {count(unlike, 'candidate')} {are(unlike)} outside the domain of the model." if unlike else "")
        )
    else:
        sentences.append("No compound meets all criteria. The table says which one rejected each, and by how much.")
    if missing:
        sentences.append(
            f"{count(missing, 'compound')} {have(missing)} an unknown property that a criterion needs, and "
            f"{'does' if missing == 1 else 'do'} not pass."
        )
    if "stopped" in table:
        sentences.append(_of_arrived(arrived(table)))
    return sentences


def _of_unapplied(steps: Sequence[Mapping[str, Any]], without: Collection[str]) -> str:
    """Criteria that did not judge: those whose property is unknown of every compound, and those left out on request."""
    unapplied = [step for step in steps if not step["applied"]]
    unknown = [step for step in unapplied if step.get("note", "") not in ("", LEFT_OUT)]
    chosen = [step for step in unapplied if step["name"] in without and step not in unknown]
    reasons = ((unknown, "unknown for all compounds"), (chosen, "left out by the settings"))
    named = [f"{join_names([_short(step) for step in of], len(of))} ({why})" for of, why in reasons if of]
    return f"Not judged by {', nor by '.join(named)}." if named else ""


def _short(step: Mapping[str, Any]) -> str:
    name = str(step["name"])
    return SHORT.get(name, name.replace("_", " "))


def _of_best(best: pd.Series) -> str:
    """The first candidate, by what ranks it."""
    name = f"{best['formula']} ({best['material_id']})"
    if pd.notna(best.get("p_conductor")):
        sigma = format_value(best["sigma_predicted_s_cm"], column("sigma_predicted_s_cm"))
        low, high = (f"{best[f'sigma_{end}_s_cm']:.0e}".replace("e-0", "e-") for end in ("lower", "upper"))
        return (
            f"First comes {name}: with a probability of {best['p_conductor']:.2f} it reaches 1e-4 S/cm at room "
            f"temperature. Its predicted conductivity is {sigma} (90 % interval {low} to {high})."
        )
    return (
        f"First comes {name}, with a predicted band center of {best['band_center_mev']:.1f} meV; nine times out of ten "
        f"such a center lies in the interval, here {best['lower_mev']:.0f} to {best['upper_mev']:.0f} meV."
    )


def _of_measured(passed: pd.DataFrame) -> str:
    """Where the candidates stand that were measured: the yardsticks of a screen."""
    if "measured_sigma_s_cm" not in passed or not passed["measured_sigma_s_cm"].notna().any():
        return ""
    known = passed[passed["measured_sigma_s_cm"].notna()]
    good = known[known["measured_sigma_s_cm"] >= CONDUCTOR_S_CM]
    if not len(good):
        return f"{count(len(known), 'candidate')} {have(len(known))} been measured, none at 1e-4 S/cm or more."
    first = int((good["rank"] <= max(1, len(passed) // 10)).sum())
    return (
        f"{count(len(known), 'candidate')} {have(len(known))} been measured; of the {len(good):,} at 1e-4 S/cm or "
        f"more, {first:,} {are(first)} in the first tenth. The model has learned from these measurements: a "
        "yardstick, and not a test."
    )


def _of_yardsticks(known: pd.DataFrame) -> str:
    """Where the best known conductors would stand among the candidates."""
    placed = known[known[WOULD_RANK].notna()] if len(known) else known
    if not len(placed):
        return ""
    named = join_names(
        [f"{row['formula']} at {int(row[WOULD_RANK]):,}" for row in placed.head(NAMED).to_dict("records")]
    )
    return f"For comparison, known conductors that need not be in the input would rank: {named}."


def _of_arrived(table: pd.DataFrame) -> str:
    if not len(table):
        return "No candidate was followed to the end: the table says how far each came."
    known = column(deciding_column(table.columns))
    named = [
        f"{row['formula']} ({row['material_id']}) with {format_value(row[known.key], known)}"
        for row in table.head(NAMED).to_dict("records")
    ]
    more = f" and {len(table) - NAMED:,} more" if len(table) > NAMED else ""
    return f"Followed to the end ({known.label}): {', '.join(named)}{more}."


def _typical_error(contents: Contents) -> str:
    scores = [row for row in contents.model.get("scores", ()) if row["split"] == "composition"]
    if not scores:
        return ""
    return f"for new compositions the model is off by {scores[0]['mae_mev']:.1f} meV on average; "


def headline_virtual(contents: Contents) -> str:
    """Return how many virtual compounds are soft."""
    total = contents.records["summary"]["total"]
    compounds, lie = count(total["compounds"], "virtual compound"), "lies" if total["soft"] == 1 else "lie"
    return f"{total['soft']:,} of {compounds} {lie} at 40 meV or less"


def summarize_virtual(contents: Contents) -> list[str]:
    """Return the best compound, and what the list is worth."""
    total, best = contents.records["summary"]["total"], contents.table.iloc[0]
    share = total["charge_balanced"] / total["compounds"] if total["compounds"] else 0.0
    unlikely = f"Most cannot exist: charges add up to zero in {total['charge_balanced']:,} ({share:.0%})."
    last = "None is relaxed, and few were ever made: a map of where to look, not a list of materials."
    if contents.records["summary"].get("recipe") == "conductors":
        return [*_of_virtual_conductors(contents.table), unlikely, last]
    return [
        f"The best by score is {best['formula']} ({best['prototype']}): a predicted center of "
        f"{best['band_center_mev']:.1f} meV ({best['lower_mev']:.0f} to {best['upper_mev']:.0f}), plausibility "
        f"{best['plausibility']:.2g}.",
        f"{unlikely} The rank goes by the upper end of the interval, and adds 5 meV for each power of ten that a "
        "compound is less plausible.",
        last,
    ]


def _of_virtual_conductors(table: pd.DataFrame) -> list[str]:
    """The first compounds, how they came to be first, and which of the best were measured."""
    best, order = table.iloc[0], "estimated conductivity, less a decade for each power of ten less plausible"
    name = f"{best['formula']} ({best['prototype']})"
    if pd.isna(best.get("p_conductor")):
        return [f"First comes {name}, plausibility {best['plausibility']:.2g}. The order is that of the {order}."]
    followed = table["p_conductor"].notna()
    measured = int(table["measured_sigma_s_cm"].notna().sum())
    return [
        f"First comes {name}: with a probability of {best['p_conductor']:.2f} it reaches 1e-4 S/cm at room "
        f"temperature, plausibility {best['plausibility']:.2g}, a center of {best['band_center_mev']:.1f} meV.",
        f"All were ordered by {order}. For {followed.sum():,} of the best percolation was computed, and the product of "
        "probability and plausibility puts these first.",
        f"{measured:,} of them have the composition and structure of compounds that were measured: the model knows "
        "them, so that they show where the list is right, and do not test it." if measured else "",
    ]  # fmt: skip


def headline_training(contents: Contents) -> str:
    """Return from how many compounds a model has learned."""
    return f"A model learned from {count(len(contents.table), 'compound')}"


def summarize_training(contents: Contents) -> list[str]:
    """Return the errors of the model in cross-validation."""
    error = contents.table["error_mev"]
    provenance = contents.model
    interval = provenance.get("interval", {})
    return [
        f"In ten-fold cross-validation, {str(provenance.get('algorithm', 'the model')).replace('_', ' ')} "
        f"{'is' if len(error) else ''} wrong by {error.abs().mean():.2f} meV on average, and by more than "
        f"{error.abs().quantile(0.95):.1f} meV for one compound in twenty.",
        f"Its 90 % intervals hold {interval['coverage']:.0%} of compounds of unseen composition, and are "
        f"{interval['median_width_mev']:.1f} meV wide (median)." if interval else "",
        str(provenance.get("description", "")),
    ]  # fmt: skip
