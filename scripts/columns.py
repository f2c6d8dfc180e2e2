"""Write docs/columns.md: every column of every result table, from the registry."""

from __future__ import annotations

from pathlib import Path

import phonolyte.conduction
import phonolyte.impedance
import phonolyte.polarization
import phonolyte.screen.ranking
import phonolyte.screen.yardsticks
from phonolyte.columns import list_columns
from phonolyte.tiers import all_tiers

PAGE = Path(__file__).parents[1] / "docs" / "columns.md"


def main() -> None:
    PAGE.write_text(render_page(), encoding="utf-8")


def render_page() -> str:
    all_tiers()  # which registers their columns, as the imports above did
    assert phonolyte
    lines = [
        "# Columns of result tables",
        "",
        "Written by `scripts/columns.py` from the registry that every table is checked against. A run folder has those",
        "of its own tables in `columns.csv`. Besides these there are `Li_center_mev` and the like, the band center of",
        "one element, and columns with the names of the slots of virtual compounds and of features.",
        "",
        "| column | unit | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{column.key}` | {column.unit} | {column.hint or column.label} |"
        for column in sorted(list_columns(), key=lambda column: column.key.lower())
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
