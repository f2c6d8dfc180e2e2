"""Tables of runs: calculations, studies, trainings and single candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from phonolyte.columns import Column, column
from phonolyte.counts import count
from phonolyte.summary.tables import SHOWN, add_material, format_cell, format_count, make_table
from phonolyte.tiers import all_tiers

if TYPE_CHECKING:
    from phonolyte.loop import Rounds
    from phonolyte.report import Card
    from phonolyte.runs.calculation import Calculation
    from phonolyte.study import Followed
    from phonolyte.train import Training

LINE = 80
"""Characters of a line in which a table has its headings on one line, if it can."""

_FOLLOWED = {
    "predicted_mev": "center", "percolation_ev": "sites", "band_center_mev": "phonons", "calibrated_mev": "calibrated",
    "barrier_ev": "NEB", "sigma_25c_s_cm": "σ",
}  # fmt: skip
"""Short headings of columns that a terminal has room for; of a tier that has none here, the first column is shown."""


def orderings_table(table: pd.DataFrame) -> Table:
    """The first arrangements of disordered crystals: size, energy, charge, deviation and shortest contact."""
    shown = table.head(SHOWN)
    keys = ("n_atoms", "ordering_ev", "engine_ev", "ordering_charge", "deviation", "shortest_a")
    columns = [column(key) for key in keys if key in table]
    drawn = make_table(f"First {len(shown)} of {count(len(table), 'arrangement')}", tight=True)
    add_material(drawn)
    for each in columns:
        drawn.add_column(each.label, justify="right", no_wrap=True)
    drawn.add_row("", *(each.unit for each in columns), style="dim")
    for row in shown.to_dict("records"):
        drawn.add_row(Text(str(row["material_id"])), *(format_cell(row[each.key], each) for each in columns))
    return drawn


def calculation_table(calculation: type[Calculation], results: pd.DataFrame) -> Table:
    """The results of a tier, the lowest first, from the columns that it shows in a terminal."""
    shown = results.sort_values(calculation.sort_by, na_position="last").head(SHOWN)
    table = make_table(f"{calculation.title} of {count(len(results), 'crystal')}", tight=True)
    keys = [key for key in calculation.terminal if key in shown and shown[key].notna().any()]
    columns = [column(key) for key in keys]
    wide = len(columns) < 6
    rows = shown.to_dict("records")
    cells = [[format_cell(row[each.key], each) for row in rows] for each in columns]
    add_material(table)
    table.add_column("formula", overflow="ellipsis", max_width=18 if wide else 11)  # cut where numbers need the room
    for each, width in zip(columns, _widths(columns, cells, names=36 if wide else 22), strict=True):
        is_text = each.kind in ("text", "choice")
        table.add_column(each.label, justify="left" if is_text else "right", width=None if is_text else width)
    table.add_row("", "", *(each.unit for each in columns), style="dim")
    for row, *texts in zip(rows, *cells, strict=True):
        table.add_row(Text(str(row["material_id"])), Text(str(row["formula"])), *map(Text, texts))
    notes = [f"{row['material_id']}: {row['why']}" for row in rows if row.get("why")]
    if len(results) > len(shown):
        notes.append(f"the first {len(shown)}; {calculation.table} has all")
    table.caption = "\n".join(filter(None, [calculation.caption(results), *notes[:SHOWN]])) or None
    return table


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], *, names: int) -> list[int]:
    """Widths of columns in which no number is cut: headings take one line where there is room, else several."""
    least = [max(map(len, [each.unit, *texts])) for each, texts in zip(columns, cells, strict=True)]
    full = [max(n, len(each.label)) for n, each in zip(least, columns, strict=True)]
    split = [max(n, *map(len, each.label.split())) for n, each in zip(least, columns, strict=True)]
    return full if names + sum(full) + 2 * len(columns) <= LINE else split


def scores_table(training: Training) -> Table:
    """Scores of the cross-validation with random folds."""
    table = make_table(f"Ten-fold cross-validation of {training.n} compounds, random folds")
    for name in ("algorithm", "features", "R2", "MAE (meV)", "RMSE (meV)"):
        table.add_column(name, justify="left" if name in ("algorithm", "features") else "right")
    for row in training.scores.to_dict("records"):
        if row["split"] == "random":
            table.add_row(
                str(row["algorithm"]), str(row["features"]), f"{row['r2']:.3f}", f"{row['mae_mev']:.2f}",
                f"{row['rmse_mev']:.2f}",
            )  # fmt: skip
    return table


def rounds_table(rounds: Rounds) -> Table:
    """What each round of a loop did."""
    caption = f"decision at {rounds.decision_mev:.1f} meV; stopped: {rounds.stopped}\nfailed or not reached: rounds.csv"
    table = make_table("Rounds", caption=caption, tight=True)
    keys = ("round", "chosen", "computed", "unstable", "mae_mev", "learned", "width_mev", "straddling", "crossed")
    columns = [column(key) for key in keys]
    for each in columns:
        table.add_column(each.label, justify="right")
    table.add_row(*(each.unit for each in columns), style="dim")
    for row in rounds.table.to_dict("records"):
        table.add_row(*(format_cell(row[each.key], each) for each in columns))
    return table


def followed_tables(followed: Followed) -> Iterator[Table]:
    """What each tier did, and how far the first candidates came."""
    steps = make_table("Followed", tight=True)
    steps.add_column("tier", min_width=30)
    for name in ("came", "kept", "rejected", "failed", "not reached", "min"):
        steps.add_column(name, justify="right", no_wrap=True)
    for step in followed.steps:
        counts = (step.came, step.kept, step.rejected, step.failed, step.not_reached)
        tier = Text.assemble(step.tier, "\n", (step.criterion, "dim"))
        steps.add_row(tier, *map(format_count, counts), f"{step.seconds / 60:.1f}")
    yield steps
    table = make_table(tight=True)
    add_material(table)
    table.add_column("formula", no_wrap=True, max_width=14)
    firsts = [next(iter(tier.followed)) for tier in all_tiers().values() if tier.followed]
    keys = [key for key in followed.table.columns if key in (*_FOLLOWED, *firsts)]
    columns = [column(key) for key in keys]
    for each in columns:
        table.add_column(_FOLLOWED.get(each.key, each.label), justify="right", no_wrap=True)
    table.add_column("how far", min_width=24)
    table.add_row("", "", *(each.unit for each in columns), "", style="dim")
    computed = [key for key in keys if key != "predicted_mev"]
    shown = followed.table[followed.table[computed].notna().any(axis=1)] if computed else followed.table
    for row in shown.head(SHOWN).to_dict("records"):
        cells = (Text(format_cell(row[each.key], each)) for each in columns)
        how_far = str(row["stopped"]).split(",")[0].replace("a barrier of ", "")
        table.add_row(Text(str(row["material_id"])), Text(str(row["formula"])), *cells, Text(how_far))
    yield table


def cutoffs_table(results: pd.DataFrame, formula: str, tolerance: float) -> Table:
    """Settings of ``pw.x`` with the errors of force and energy, and which is recommended."""
    table = make_table(f"Cutoffs for {formula}", tight=True)
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


def card_parts(card: Card) -> Iterator[RenderableType]:
    """One candidate: what is known, how sure, the nearest compounds, what was computed, what next."""
    name = "" if card.material_id == card.formula else f"  {card.material_id}"
    yield Text.assemble((card.formula, "bold"), name, "\n", (card.place, "dim"))
    yield _facts(card.facts)
    if card.level:
        yield Text.assemble("\n", (f"Confidence in the {card.sure_of}: {card.level}. ", "bold"), card.sure)
    if card.nearest:
        yield ""
        table = make_table("Nearest compounds with known phonons", caption=card.nearest_of)
        table.add_column("compound", no_wrap=True, max_width=22)
        table.add_column("name", no_wrap=True, max_width=30)
        table.add_column("center", justify="right", no_wrap=True)
        table.add_column("distance", justify="right", no_wrap=True)
        table.add_row("", "", "meV", "", style="dim")
        for formula, name, center, distance in card.nearest:
            table.add_row(Text(formula), Text(name), f"{center:.1f}", f"{distance:.1f}")
        yield table
    for title, facts in card.computed.items():
        yield Text(f"\n{title}", style="bold")
        yield _facts(facts)
    yield Text("\nWhat to do next", style="bold")
    for why, command in card.steps:
        yield Text(why)
        if command:
            yield Text(f"  {command}", style="cyan")


def _facts(facts: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in facts:
        table.add_row(Text(label), Text(value))
    return table
