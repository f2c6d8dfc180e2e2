"""Tables of screens: the funnel, the candidates, known conductors, and virtual compounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from phonolyte.columns import Column, column
from phonolyte.counts import count
from phonolyte.summary.tables import SHOWN, add_material, format_cell, format_count, make_table
from phonolyte.units import CONDUCTOR_S_CM

if TYPE_CHECKING:
    from phonolyte.screen import Screening
    from phonolyte.virtual import VirtualResult

YARDSTICKS = 5
"""Known conductors below the candidates."""

FEWEST_OF_ION = 3
"""Candidates of each mobile ion that are shown at least."""

OF_CANDIDATES = (
    "score", "p_conductor", "sigma_predicted_s_cm", "measured_sigma_s_cm", "barrier_3d_ev", "band_center_mev",
    "e_hull_ev", "band_gap_ev",
)  # fmt: skip
"""Columns of candidates in a terminal."""

OF_TABLES = ("e_hull_ev", "band_gap_ev")
"""Those that leave no room for names beside a probability; every candidate meets their criteria."""

SHORT = {
    "p_conductor": "P", "sigma_predicted_s_cm": "σ", "measured_sigma_s_cm": "measured", "barrier_3d_ev": "3D",
    "band_gap_ev": "gap",
}  # fmt: skip
"""Headings of columns in a narrow table."""


def funnel_table(result: Screening) -> Table:
    """The funnel: the criterion of each step, and how many it rejects, misses a property of, and keeps."""
    table = make_table("Funnel")
    table.add_column("step")
    for name in ("rejected", "unknown", "kept"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in result.funnel:
        if step.applied:
            table.add_row(step.rule, format_count(step.rejected), format_count(step.missing), f"{step.kept:,}")
        else:
            table.add_row(f"{step.rule}*", "", "", f"{step.kept:,}", style="dim")
    notes = dict[str, list[str]]()
    for step in result.funnel:
        if not step.applied:
            notes.setdefault(step.note, []).append(step.name.replace("_", " "))
    if notes:
        table.caption = "* not applied: " + "; ".join(f"{', '.join(names)}: {note}" for note, names in notes.items())
    return table


def candidates_table(result: Screening) -> Table:
    """The first candidates of each ion with what ranks them and what else is known."""
    passed = result.table[result.table["passes"].astype(bool)]
    ions = passed["ion"].nunique()
    shown = passed.groupby("ion", sort=False).head(max(SHOWN // ions, FEWEST_OF_ION))
    title = f"First {count(len(shown), 'candidate')}" if ions < 2 else f"First candidates of each of {ions} mobile ions"
    table = make_table(title, tight=True)
    if not shown["in_domain"].astype(bool).all():
        table.caption = "* center unlike those that the model learned from"
    keys = [key for key in OF_CANDIDATES if key in shown and shown[key].notna().any()]
    keys = [key for key in keys if key not in OF_TABLES or "p_conductor" not in keys]
    columns = [replace(column(key), label=SHORT.get(key, column(key).label)) for key in keys]
    rows = shown.to_dict("records")
    cells = [[format_cell(row[each.key], each) + _mark(row, each) for row in rows] for each in columns]
    table.add_column("rank", justify="right", width=max(4, len(str(len(passed)))))
    add_material(table)
    table.add_column("formula", overflow="ellipsis", max_width=16)  # cut where numbers need the room
    if ions > 1:
        table.add_column("ion", width=3)
    for each, values in zip(columns, cells, strict=True):
        table.add_column(each.label, justify="right", width=max(map(len, (each.label, each.unit, *values))))
    table.add_row(*[""] * (4 if ions > 1 else 3), *(each.unit for each in columns), style="dim")
    for row, *values in zip(rows, *cells, strict=True):
        names = [Text(str(row[key])) for key in ("material_id", "formula", "ion")[: 3 if ions > 1 else 2]]
        table.add_row(str(row["rank"]), *names, *values)
    return table


def yardsticks_table(result: Screening) -> Table:
    """The best known conductors, and the rank that each would have among the candidates."""
    known = result.yardsticks
    shown = known[known["measured_sigma_s_cm"] >= CONDUCTOR_S_CM].head(YARDSTICKS)
    table = make_table("Known conductors, whether or not they are in the input", tight=True)
    table.add_column("would rank", justify="right")
    table.add_column("formula", overflow="ellipsis", max_width=24)
    columns = [column(key) for key in OF_CANDIDATES if key in shown and shown[key].notna().any()]
    for each in columns:
        table.add_column(SHORT.get(each.key, each.label), justify="right", no_wrap=True)
    table.add_row("", "", *(each.unit for each in columns), style="dim")
    for row in shown.to_dict("records"):
        place = "–" if pd.isna(row["would_rank"]) else f"{row['would_rank']:,}"
        table.add_row(place, Text(str(row["formula"])), *(format_cell(row[each.key], each) for each in columns))
    if len(known) > len(shown):
        table.caption = f"the first {len(shown)}; yardsticks.csv has {len(known)}, poor conductors among them"
    return table


def _mark(row: Mapping[Any, Any], column: Column) -> str:
    """A star behind a center outside of the domain of the model."""
    return "" if column.key != "band_center_mev" else " " if row["in_domain"] else "*"


def virtual_tables(result: VirtualResult) -> Iterator[Table]:
    """Counts for each prototype, and the best compounds."""
    counts = make_table("Virtual compounds")
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
    yield _best_conductors(result.best) if result.summary["recipe"] == "conductors" else _best_of_study(result.best)


def _best_conductors(best: pd.DataFrame) -> Table:
    """The best virtual compounds by probability and plausibility; those not followed have an estimate alone."""
    table = make_table(
        "The best by probability that they conduct, times plausibility",
        caption="P: of 1e-4 S/cm or more at room temperature; ~ by the parent's percolation\n"
        "* unlike what the model of the center knows",
    )
    _add_columns(table, "", "formula", "prototype", "P", "S/cm", "center", "plausible")
    for row in best.head(SHOWN).to_dict("records"):
        followed = pd.notna(row.get("p_conductor"))
        sigma = row["sigma_predicted_s_cm"] if followed else row["sigma_estimate_s_cm"]
        table.add_row(
            str(row["rank"]), Text(row["formula"]), Text(row["prototype"]),
            f"{row['p_conductor']:.2f}" if followed else "-",
            "-" if pd.isna(sigma) else f"{'' if followed else '~'}{sigma:.1e}", _center(row),
            f"{row['plausibility']:.1e}",
        )  # fmt: skip
    return table


def _best_of_study(best: pd.DataFrame) -> Table:
    """The best virtual compounds by band center and plausibility."""
    table = make_table(
        "The best by score",
        caption="score: upper end of the interval + 5 meV a power of ten less plausible\n* unlike what the model knows",
    )
    _add_columns(table, "", "formula", "prototype", "center", "90 %", "plausible", "score")
    for row in best.head(SHOWN).to_dict("records"):
        interval = f"{row['lower_mev']:.0f} - {row['upper_mev']:.0f}"
        table.add_row(str(row["rank"]), Text(row["formula"]), Text(row["prototype"]), _center(row), interval,
                      f"{row['plausibility']:.1e}", f"{row['score_mev']:.1f}")  # fmt: skip
    return table


def _add_columns(table: Table, *names: str) -> None:
    for name in names:
        table.add_column(name, justify="left" if name in ("formula", "prototype") else "right", no_wrap=True)


def _center(row: Mapping[Any, Any]) -> str:
    return f"{row['band_center_mev']:.1f}" + (" " if row["in_domain"] else "*")
