"""What results look like in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from phonolyte.screen import Screening
from phonolyte.virtual import VirtualResult

SHOWN = 20


def funnel_table(result: Screening) -> Table:
    """The funnel: what each step asks, and how many it rejects, misses a property of, and keeps."""
    table = Table(title="Funnel", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False,
                  caption_justify="left")  # fmt: skip
    table.add_column("step")
    for name in ("rejected", "unknown", "kept"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in result.funnel:
        if step.applied:
            table.add_row(step.rule, _count(step.rejected), _count(step.missing), f"{step.kept:,}")
        else:
            table.add_row(f"{step.rule}*", "", "", f"{step.kept:,}", style="dim")
    if notes := dict.fromkeys(step.note for step in result.funnel if not step.applied):
        table.caption = f"* not asked: {', '.join(notes)}"
    return table


def candidates_table(result: Screening) -> Table:
    """The first candidates with their band center, its 90 % interval and what else is known."""
    shown = result.table.head(min(SHOWN, result.n_ranked))
    table = Table(title=f"First {len(shown)} candidates", title_justify="left", title_style="bold", box=SIMPLE_HEAD,
                  pad_edge=False,
        collapse_padding=True, caption_justify="left")  # fmt: skip
    if not shown["in_domain"].astype(bool).all():
        table.caption = "* unlike the compounds that the model learned from"
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("material", no_wrap=True, max_width=18)
    table.add_column("formula", no_wrap=True, max_width=18)
    table.add_column("family", no_wrap=True)
    table.add_column("center", justify="right", no_wrap=True)
    table.add_column("90 %", justify="right", no_wrap=True)
    known = [(column, name) for column, name in (("e_hull_ev", "e_hull"), ("band_gap_ev", "gap"))
             if shown[column].notna().any()]  # fmt: skip
    for _, name in known:
        table.add_column(name, justify="right", no_wrap=True)
    units = ["", "", "", "", "meV", "meV", *("eV/atom" if column == "e_hull_ev" else "eV" for column, _ in known)]
    table.add_row(*units, style="dim")
    for row in shown.to_dict("records"):
        table.add_row(
            str(row["rank"]),
            Text(str(row["material_id"])),
            Text(str(row["formula"])),
            str(row["family"]),
            f"{row['band_center_mev']:.1f}" + (" " if row["in_domain"] else "*"),
            f"{row['lower_mev']:.0f} - {row['upper_mev']:.0f}",
            *("-" if row[column] != row[column] else f"{row[column]:.2f}" for column, _ in known),
        )
    return table


def phonons_table(results: pd.DataFrame) -> Table:
    """Band centers, the range of the modes, and what is unstable, the softest crystals first."""
    shown = results.sort_values("band_center_mev").head(SHOWN)
    title = f"Phonons of {len(results)} crystal{'s' * (len(results) != 1)}"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD,
                  pad_edge=False, collapse_padding=True, caption_justify="left")  # fmt: skip
    ion = next((str(name) for name in shown["ion"].dropna()), "")
    columns = {
        "center": "band_center_mev",
        **({"calibrated": "calibrated_mev"} if shown["calibrated_mev"].notna().any() else {}),
        **({f"of {ion}": "ion_center_mev"} if ion else {}),
        "lowest": "lowest_mode_mev",
        "highest": "highest_mode_mev",
    }
    for name in ("material", "formula"):
        table.add_column(name, no_wrap=True, max_width=18 if len(columns) < 5 else 11)
    for name in (*columns, "time"):
        table.add_column(name, justify="right", no_wrap=True, min_width=max(6, len(name)))
    table.add_row("", "", *(["meV"] * len(columns)), "s", style="dim")
    for row in shown.to_dict("records"):
        numbers = [_decimal(row[column]) for column in columns.values()]
        numbers[-2] += " " if row["stable"] else "*"
        table.add_row(Text(str(row["material_id"])), Text(str(row["formula"])), *numbers, f"{row['seconds']:.0f}")
    notes = [] if shown["stable"].all() else ["* unstable"]
    if len(results) > len(shown):
        notes.append(f"the first {len(shown)}; phonons.parquet has all")
    table.caption = "\n".join(notes) or None
    return table


def cutoffs_table(results: pd.DataFrame, formula: str, tolerance: float) -> Table:
    """Settings of ``pw.x`` with the errors of force and energy, and which is recommended."""
    table = Table(title=f"Cutoffs for {formula}", title_justify="left", title_style="bold", box=SIMPLE_HEAD,
                  pad_edge=False, collapse_padding=True, caption_justify="left")  # fmt: skip
    units = {
        "wfc": "Ry", "rho": "Ry", "k": "1/A", "force": "eV/A", "error": "%", "of": "", "energy error": "meV/atom",
        "time": "s", "": "",
    }  # fmt: skip
    for name in units:
        table.add_column(name, justify="left" if name in ("of", "") else "right", no_wrap=True)
    table.add_row(*units.values(), style="dim")
    for row in results.to_dict("records"):
        setting = [f"{row[name]:g}" for name in ("ecutwfc_ry", "ecutrho_ry", "k_spacing_inv_a")]
        if row["error"]:
            table.add_row(*setting, "failed", *[""] * 5)
            continue
        force, error = f"{row['force_ev_a']:.4f}", f"{100 * row['force_error']:.2f}"
        energy, seconds = f"{row['energy_error_mev_atom']:.2f}", f"{row['seconds']:.0f}"
        note = "recommended" if row["recommended"] else ""
        table.add_row(*setting, force, error, str(row["element"]), energy, seconds, note)
    caption = f"errors against the highest setting; the force of a displacement is to be right to {100 * tolerance:g} %"
    cutoffs = results[results["varies"] == "cutoffs"]
    if not cutoffs["recommended"].any():
        caption += "\nno setting below the highest is: give higher ones"
    table.caption = caption
    return table


def virtual_tables(result: VirtualResult) -> Iterator[Table]:
    """Counts for each prototype, and the best compounds."""
    counts = Table(title="Virtual compounds", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    counts.add_column("prototype")
    for name in ("compounds", "charges\nbalanced", "below\n40 meV", "mean\nmeV", "r with\nmean row"):
        counts.add_column(name, justify="right")
    for name, of in result.summary["prototypes"].items():
        r = of["correlation_with_mean_row"]
        counts.add_row(
            Text(name), f"{of['compounds']:,}", f"{of['charge_balanced']:,}", f"{of['soft_share']:.0%}",
            f"{of['mean_center_mev']:.1f}", "-" if r is None else f"{r:.2f}",
        )  # fmt: skip
    yield counts
    best = Table(title="The best by score", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False,
                 caption="score: upper end of the interval + 5 meV a power of ten less plausible\n"
                 "* unlike what the model knows", caption_justify="left")  # fmt: skip
    for name, side in (("", "right"), ("formula", "left"), ("prototype", "left"), ("center", "right"),
                       ("90 %", "right"), ("plausible", "right"), ("score", "right")):  # fmt: skip
        best.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    for row in result.best.head(SHOWN).to_dict("records"):
        center = f"{row['band_center_mev']:.1f}" + (" " if row["in_domain"] else "*")
        interval = f"{row['lower_mev']:.0f} - {row['upper_mev']:.0f}"
        best.add_row(str(row["rank"]), Text(row["formula"]), Text(row["prototype"]), center, interval,
                     f"{row['plausibility']:.1e}", f"{row['score_mev']:.1f}")  # fmt: skip
    yield best


def _decimal(value: float) -> str:
    return "-" if value != value else f"{round(value, 1) + 0.0:.1f}"


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"
