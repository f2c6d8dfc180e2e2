"""What a screen looks like in a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from phonolyte.screen import Screening

SHOWN = 20


def funnel_table(result: Screening) -> Table:
    """The funnel: what each step asks, and how many it rejects, misses a property of, and keeps."""
    table = Table(title="Funnel", title_justify="left", header_style="bold")
    for name, justify in (
        ("step", "left"),
        ("rule", "left"),
        ("rejected", "right"),
        ("missing", "right"),
        ("kept", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for step in result.funnel:
        if step.applied:
            table.add_row(step.name, step.rule, f"{step.rejected:,}", f"{step.missing:,}", f"{step.kept:,}")
        else:
            table.add_row(step.name, f"not applied: {step.note}", "", "", f"{step.kept:,}", style="dim")
    return table


def candidates_table(result: Screening) -> Table:
    """The first candidates with their band center, its 90 % interval and what else is known."""
    table = Table(title=f"First {min(SHOWN, result.n_ranked)} candidates", title_justify="left", header_style="bold")
    columns = ("rank", "material", "formula", "family", "center meV", "90 % interval", "e_hull eV", "gap eV", "")
    for name in columns:
        table.add_column(name, justify="left" if name in ("material", "formula", "family", "") else "right")
    for row in result.table.head(min(SHOWN, result.n_ranked)).itertuples():
        table.add_row(
            str(row.rank),
            Text(str(row.material_id)),
            Text(str(row.formula)),
            str(row.family),
            f"{row.band_center_mev:.1f}",
            f"{row.lower_mev:.0f} - {row.upper_mev:.0f}",
            _number(row.e_hull_ev),
            _number(row.band_gap_ev),
            "" if row.in_domain else "unlike the learning set",
        )
    return table


def _number(value: object) -> str:
    number = float(value)  # type: ignore[arg-type]
    return "-" if number != number else f"{number:.3g}"
