"""What a run says, in words: what came out, how sure it is, what to do next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.centers import BY, COMPUTED
from phonolyte.columns import column, format_value
from phonolyte.counts import are, count, have
from phonolyte.forces import DEFAULT_ENGINE
from phonolyte.report.conduction import LEVELS, conduction_words, levels
from phonolyte.report.contents import Contents, arrived
from phonolyte.report.measurements import join_names
from phonolyte.report.polarizations import list_samples, write_ionic, write_number
from phonolyte.runs.calculation import NextStep
from phonolyte.screen.yardsticks import WOULD_RANK
from phonolyte.tiers import TIERS, all_tiers, deciding_column, find_tier
from phonolyte.units import CONDUCTOR_S_CM, ZERO_C_K

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

OF_SPECTRA = (
    "Bulk, grain boundary and electrode are arcs, distinguished by their capacitance; the total is all but electrodes. "
    "Intervals cover noise and the choice of a circuit, not errors of the temperature, nor those of thickness and "
    "diameter unless they were given."
)


OF_POLARIZATIONS = (
    "Between electrodes that block ions the steady current is that of electrons. Intervals cover noise, the form of "
    "the decay and the scatter about the line, not errors of the temperature, nor those of thickness and diameter "
    "unless they were given."
)

OF_TRANSFERENCE = (
    "Intervals cover the errors of one measurement: a cell that is made again differs by more. In a concentrated "
    "electrolyte, or one with ion pairs, the number is the share of the current in the steady state, and not the "
    "transference number."
)


def caveat_of(kind: str) -> str:
    """Return what must be known of the numbers of a kind of run."""
    caveats = {
        "spectra": OF_SPECTRA, "known": OF_CENTERS, "ranked": OF_PROBABILITIES, "best": OF_PROBABILITIES,
        "electronic": OF_POLARIZATIONS, "transference": OF_TRANSFERENCE,
    }  # fmt: skip
    return caveats.get(kind, OF_TIERS)


WIDE = 1.5
"""An interval that is so many times as wide as the one in the middle is wide."""

NAMED = 3
"""Candidates that a sentence names."""

LEFT_OUT = "left out"
"""Note of a criterion that was not applied by choice."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of the funnel: what it asks, how many are left, and how many it took or could not judge."""

    label: str
    count: int
    note: str = ""


def headline(contents: Contents) -> str:
    """The result in one line."""
    table, n = contents.table, len(contents.table)
    if contents.kind == "ranked":
        return _of_candidates(int(table["passes"].sum()), _given(contents))
    if contents.kind == "best":
        total = contents.records["summary"]["total"]
        compounds, lie = count(total["compounds"], "virtual compound"), "lies" if total["soft"] == 1 else "lie"
        return f"{total['soft']:,} of {compounds} {lie} at 40 meV or less"
    if contents.kind in TIERS:
        return find_tier(contents.kind).headline(table)
    if contents.kind == "spectra":
        n_spectra = n + len(contents.failures)
        return f"{n:,} of {_spectra(n_spectra)} could be fitted" if n_spectra > n else f"{_spectra(n)} fitted"
    if contents.kind == "electronic":
        return _headline_of_samples(table)
    if contents.kind == "transference":
        value = write_number(table.iloc[0].to_dict(), "t_plus")[0]
        return f"Transference number {_in_words(value)}" if value else "No transference number"
    return f"A model learned from {count(n, 'compound')}"


def _headline_of_samples(table: pd.DataFrame) -> str:
    n, samples = len(table), table["sample"].nunique()
    if not n:
        return "No sample could be measured"
    what = "conductivity" if table["sigma_electronic_high_s_cm"].notna().any() else "resistance"
    if n > 1:
        measured = f" in {count(n, 'measurement')}" if n > samples else ""
        return f"Electronic {what} of {count(samples, 'sample')}{measured}"
    return f"Electronic {what} {_in_words(list_samples(table).rows[0][1][0])}"


def _in_words(value: str) -> str:
    """A value whose sign of a bound is in words."""
    return value.replace("≤", "at most").replace("≥", "at least")


def _of_candidates(n: int, total: int) -> str:
    verb = "is a candidate" if n == 1 else "are candidates"
    return f"{n:,} of {count(total, 'compound')} {verb}"


def summary(contents: Contents) -> list[str]:
    """What came out, the best ones, how sure, in sentences."""
    if contents.kind in TIERS:
        sentences = find_tier(contents.kind).summarize(contents.table)
    else:
        sentences = {
            "ranked": _of_screen, "best": _of_virtual, "known": _of_training, "spectra": _of_spectra,
            "electronic": _of_samples, "transference": _of_cell,
        }[contents.kind](contents)  # fmt: skip
    if n := len(contents.failures):
        measured = "measurement" if contents.is_measured else "material"
        failed = _spectra(n) if contents.kind == "spectra" else count(n, measured)
        rows = "its row" if n == 1 else "each row"
        sentences.append(f"{failed} failed: {rows} under “What failed” says why.")
    return [sentence for sentence in sentences if sentence]


def funnel(contents: Contents) -> list[Bar]:
    """The steps from what came in to what is left."""
    if contents.kind == "ranked":
        steps = [step for step in contents.records["funnel"].get("steps", ()) if step["applied"]]
        hidden = ("readable", "features")  # most runs lose nothing there
        return [_step(step) for step in steps if step["name"] not in hidden or step["rejected"] or step["missing"]]
    if contents.kind == "best":
        total = contents.records["summary"]["total"]
        return [
            Bar("choices of elements", total["given"]),
            Bar("allowed by the substitution rules", total["compounds"]),
            Bar("band center at most 40 meV", total["soft"], "of the allowed ones"),
            Bar("charges balanced", total["charge_balanced"], "of the allowed ones"),
            Bar("inside the domain of the model", total["in_domain"], "of the allowed ones"),
        ]
    if contents.is_measured or contents.kind == "known":
        return []
    n = len(contents.table)
    bars = [Bar("crystals", n + len(contents.failures)), Bar("computed", n)]
    if contents.kind == "phonons" and n:
        return [*bars, Bar("dynamically stable", int(contents.table["stable"].sum()))]
    return bars


def followed(contents: Contents) -> list[Bar]:
    """What each tier of a study did with the candidates."""
    return [
        Bar(f"{step['tier']}: {step['criterion']}", step["kept"], ", ".join(
            f"{step[name]:,} {name.replace('_', ' ')}" for name in ("rejected", "failed", "not_reached") if step[name]
        ))
        for step in contents.records["followed"].get("steps", ())
    ]  # fmt: skip


FROM_PHONONS = (
    "This center is computed, not predicted: from phonons of this crystal by a machine-learned potential. Its interval "
    "is that of the calibration."
)

CENTER, CONDUCTIVITY = "band center", "predicted conductivity"
"""What a level of confidence is of."""


def confidence(contents: Contents) -> pd.DataFrame:
    """How sure each prediction is: ``level`` (high, medium, low, or empty), of what, and ``sure``, a few sentences."""
    table = contents.table
    if not {"lower_mev", "upper_mev", "in_domain"} <= set(table.columns):
        return pd.DataFrame({"level": "", "sure_of": CENTER, "sure": ""}, index=table.index)
    of = np.full(len(table), CENTER, object)
    width = (table["upper_mev"] - table["lower_mev"]).to_numpy(float)
    inside = table["in_domain"].fillna(False).astype(bool).to_numpy()
    wide = width > WIDE * np.nanmedian(width) if len(width) else np.zeros(0, bool)
    known = ~np.isnan(width)
    level = np.select([~known, ~inside, wide], ["", "low", "medium"], "high")
    sentences = {
        "": "There is no prediction for this compound.",
        "low": "Take the center as a guess: the model has learned from no compound like this one.",
        "medium": "Medium confidence: the model has learned from such compounds, but its interval is wider than usual.",
        "high": "High confidence: the model has learned from such compounds, and its interval is as narrow as usual.",
    }
    sure = pd.Series(level).map(sentences).to_numpy(object)
    limit = contents.limits.get("band_center_mev")
    if limit is not None:
        low, high = table["lower_mev"].to_numpy(float), table["upper_mev"].to_numpy(float)
        sure = sure + np.select(
            [(high <= limit) & known, (low > limit) & known, known],
            [
                f" Even the upper end of the interval is below {limit:g} meV.",
                f" Even the lower end of the interval is above {limit:g} meV.",
                f" The interval crosses {limit:g} meV: it may lie on either side.",
            ],
            "",
        )
    if "cell" in table:
        cell = table["cell"].fillna("").astype(str).to_numpy(object)
        unlike = [f" Its cell is unusually {size} for its elements, which widens the interval: check its volume."
                  for size in ("small", "large")]  # fmt: skip
        sure = sure + np.select([(cell == "small") & known, (cell == "large") & known], unlike, "")
    if "ordered_as" in table:
        disordered = table["ordered_as"].fillna("").astype(str).to_numpy(object) != ""
        sure = sure + np.where(
            disordered & known, " It is disordered: the interval holds the spread of its orderings.", ""
        )
    if BY in table:
        from_phonons = (table[BY] == COMPUTED).to_numpy(bool)
        level, sure = np.where(from_phonons, "high", level), np.where(from_phonons, FROM_PHONONS, sure)
    if "computed_mev" in table:
        level, sure = _computed_confidence(table, level, sure)
    if "sigma_basis" in table and contents.settings.get("recipe") != "study":
        words = [conduction_words({str(key): value for key, value in row.items()}) for row in table.to_dict("records")]
        sure = np.array(
            [
                f"{conduction} Of the center: {old}" if conduction else old
                for conduction, old in zip(words, sure, strict=True)
            ],
            object,
        )
        level = levels(table, level)
        of = np.where(table["sigma_basis"].isin(LEVELS), CONDUCTIVITY, of)
    return pd.DataFrame({"level": level, "sure_of": of, "sure": sure}, index=table.index)


def _computed_confidence(table: pd.DataFrame, level: Any, sure: Any) -> tuple[Any, Any]:
    """Level and sentences where the center was computed: how it compares with the prediction."""
    computed, low, high = (table[name].to_numpy(float) for name in ("computed_mev", "lower_mev", "upper_mev"))
    known, unstable = ~np.isnan(computed), ~table["confirmed"].str.contains("phonons").to_numpy(bool)
    inside = (low <= computed) & (computed <= high)
    for row in np.flatnonzero(known):
        where = "inside" if inside[row] else "outside"
        sure[row] = (
            f"Computed: {computed[row]:.1f} meV, {where} the interval of the prediction ({low[row]:.0f} to "
            f"{high[row]:.0f} meV)."
        )
        if unstable[row] and table["passes"].iloc[row]:
            sure[row] += " It has imaginary modes: it distorts, or it is an ordered model of what is disordered."
    return np.where(known, np.where(unstable, "low", "high"), level), sure


IMPEDANCE = NextStep(
    "Once there is a pellet: its spectra become conductivities.",
    "phonolyte impedance measured/ --thickness-mm 1 --diameter-mm 10 -o impedance/",
)


def all_steps() -> dict[str, NextStep]:
    """Return what can be done with a candidate, by tier, the cheap ones first."""
    steps = {name: tier.next_step for name, tier in all_tiers().items()} | {"impedance": IMPEDANCE}
    return {
        name: replace(step, command=step.command.replace("{engine}", DEFAULT_ENGINE)) for name, step in steps.items()
    }


KNOWN_BY_TABLE = ("e_hull", "band_gap", "likely_metal")
"""Criteria whose property is known from a table."""


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


def _of_screen(contents: Contents) -> list[str]:
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


SHORT = {"e_hull": "energy above hull", "band_gap": "band gap", "likely_metal": "likely metals",
         "band_center": "band center", "stable_elements": "radioactive elements", "unique": "repetitions"}  # fmt: skip
"""What a criterion judges, in two words."""


def _of_unapplied(steps: Sequence[Mapping[str, Any]], without: Collection[str]) -> str:
    """Criteria that did not judge: those whose property is unknown of every compound, and those left out on request."""
    unapplied = [step for step in steps if not step["applied"]]
    unknown = [step for step in unapplied if step.get("note", "") not in ("", LEFT_OUT)]
    chosen = [step for step in unapplied if step["name"] in without and step not in unknown]
    reasons = ((unknown, "unknown for all compounds"), (chosen, "left out by the settings"))
    named = [f"{_join([_short(step) for step in of])} ({why})" for of, why in reasons if of]
    return f"Not judged by {', nor by '.join(named)}." if named else ""


def _short(step: Mapping[str, Any]) -> str:
    name = str(step["name"])
    return SHORT.get(name, name.replace("_", " "))


def _join(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


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
    named = _join([f"{row['formula']} at {int(row[WOULD_RANK]):,}" for row in placed.head(NAMED).to_dict("records")])
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


def _of_virtual(contents: Contents) -> list[str]:
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


def _of_spectra(contents: Contents) -> list[str]:
    """What was fitted, over which temperatures, and whether the spectra can be trusted."""
    table = contents.table
    warm = table["temperature_k"].dropna()
    low, high = (f"{end - ZERO_C_K:.0f} °C" for end in (warm.min(), warm.max())) if len(warm) else ("", "")
    over = f", from {low} to {high}" if low != high else f", at {low}" if low else ""
    kinds = table["circuit"].nunique()
    verdicts = table["kramers_kronig"].value_counts()
    doubted = ", ".join(f"{verdicts[name]:,} {name}" for name in ("doubtful", "bad") if name in verdicts)
    fitted = "A circuit was" if kinds == 1 else f"{kinds} different circuits were"
    return [
        f"{fitted} fitted to {_spectra(len(table))}{over}.",
        f"By the Kramers-Kronig test {int(verdicts.get('good', 0)):,} of them {are(int(verdicts.get('good', 0)))} good"
        + (f", {doubted}." if doubted else "."),
    ]


def _of_samples(contents: Contents) -> list[str]:
    """How far the conductivities reach, which are bounds, where the current settled, and what is ionic."""
    table, curves = contents.table, contents.records["curves"]
    if not len(table):
        return []
    sized = table["sigma_electronic_high_s_cm"].notna().any()
    bounds = table.loc[table["upper_bound"].astype(bool), "material_id"].tolist()
    bent = table.loc[table["ohmic"] == "no", "material_id"].tolist()
    side = "an upper bound" if sized else "a lower bound"
    return [
        _of_range(table, "sigma_electronic_s_cm" if sized else "resistance_electronic_ohm"),
        f"Of {join_names(bounds)} only {side} is known: the current has not settled, or is too small."
        if bounds
        else "",
        _of_currents(curves) if curves is not None and len(curves) else "",
        f"The currents of {join_names(bent)} are off the line: the slope is a mean." if bent else "",
        _of_ionic(table[table["t_ion_low"].notna()]),
    ]


def _of_range(table: pd.DataFrame, key: str) -> str:
    """The lowest and the highest of the results that are known; empty where there are bounds alone."""
    results = {name: cell for name, cell, *_ in list_samples(table).rows}
    order = table[table[key].notna()].sort_values(key, kind="stable")["material_id"].tolist()
    if len(order) < 2:
        return "".join(f"{name}: {results[name][0]}, 95 % interval {results[name][1]}." for name in order)
    low, high = (f"{results[name][0]} ({name})" for name in (order[0], order[-1]))
    return f"The lowest is {low}, the highest {high}."


def _of_currents(curves: pd.DataFrame) -> str:
    n, settled = len(curves), int(curves["settled"].sum())
    if n == 1:
        return f"The current was measured at 1 voltage, and {'settled' if settled else 'did not settle'}."
    at = "all" if settled == n else f"{settled:,}" if settled else "none"
    return f"The current was measured at {n:,} voltages, and settled at {at} of them."


def _of_ionic(known: pd.DataFrame) -> str:
    """The lowest ionic transference number of samples; empty where none is known."""
    if not len(known):
        return ""
    least = known.iloc[int(known["t_ion_low"].argmin())]
    value = _in_words(write_ionic(least.to_dict())[0])
    if len(known) == 1:
        return f"The ionic transference number of {least['material_id']} is {value}."
    return f"The lowest ionic transference number is that of {least['material_id']}, {value}."


def _of_cell(contents: Contents) -> list[str]:
    """The transference number by both equations, and what the initial current is."""
    row = contents.table.iloc[0].to_dict()
    by = {
        name: write_number(row, key) for name, key in (("Bruce and Vincent", "t_plus"), ("Watanabe", "t_plus_watanabe"))
    }
    numbers = ", ".join(f"{_in_words(value)} ({below}) by {name}" for name, (value, below) in by.items() if value)
    initial = "extrapolated to time zero" if row["initial_by"] == "extrapolated" else "that of Ohm's law"
    why = str(row["why"] or "")
    return [
        f"It is {numbers}." if numbers else "",
        f"{why[0].upper()}{why[1:]}." if why else "",
        f"The cell was polarized by {abs(row['voltage_v']) * 1e3:.3g} mV; the initial current is {initial}.",
    ]


def remarks(contents: Contents) -> list[str]:
    """Notes on the measurements of a run, as sentences."""
    if not contents.is_measured:
        return []
    names = set(contents.table["material_id"])
    notes = (str(note) for note in contents.run.get("notes", ()))
    return [_as_sentence(note, names) for note in notes if note]


def _as_sentence(note: str, names: Collection[str]) -> str:
    """A note as a sentence; the name of a spectrum with which it begins stays as it is."""
    return f"{note}." if note.partition(":")[0] in names else f"{note[0].upper()}{note[1:]}."


def _of_training(contents: Contents) -> list[str]:
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


def _typical_error(contents: Contents) -> str:
    scores = [row for row in contents.model.get("scores", ()) if row["split"] == "composition"]
    if not scores:
        return ""
    return f"for new compositions the model is off by {scores[0]['mae_mev']:.1f} meV on average; "


def _step(step: Mapping[str, Any]) -> Bar:
    lost = [f"{step[name]:,} {word}" for name, word in (("rejected", "rejected"), ("missing", "unknown")) if step[name]]
    return Bar(step["rule"], step["kept"], ", ".join(lost))


def _given(contents: Contents) -> int:
    steps = contents.records["funnel"].get("steps", ())
    return int(steps[0]["kept"]) if steps else len(contents.table)


def _spectra(n: int) -> str:
    return count(n, "spectrum", "spectra")
