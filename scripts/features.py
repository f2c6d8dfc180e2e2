"""Write docs/features.md: the physical columns, with equations and sources, from the code that computes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from phonolyte.features.fractions import fraction_names
from phonolyte.features.physical import N_PHYSICAL, QUANTITIES, WHOLE, Quantity

PAGE = Path(__file__).parents[1] / "docs" / "features.md"

HEAD = f"""# Features

Written by `scripts/features.py` from the code.

**Magpie's 271** ([Ward et al. 2016](https://doi.org/10.1038/npjcompumats.2016.28),
[2017](https://doi.org/10.1103/PhysRevB.96.024104)) are those of the original program: statistics of elemental
properties, and attributes of the Voronoi tessellation. They do not change with the volume.

**Physical columns** ({N_PHYSICAL}) have units, and change with the volume, as they should. Each site has the quantities
of the first table; columns are their mean, spread (standard deviation over mean; plain where a quantity may be zero),
minimum and maximum over the sites. The crystal as a whole has those of the second table. i is a site, j runs over its
neighbors within 6.5 angstrom at the distance d, m are masses, k springs. They are equal for every cell, supercell,
orientation, origin and order of one crystal.

**Fractions of the elements** ({len(fraction_names())}), and of the mobile ion the means of the site quantities over its
sites, are what the models see besides. `phonolyte features --sets magpie,physical,elements,ion` computes any of them.
"""


def main() -> None:
    PAGE.write_text(render_page(), encoding="utf-8")


def render_page() -> str:
    sections = [HEAD, "## Of each site", _render_table(QUANTITIES), "## Of the crystal", _render_table(WHOLE)]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _render_table(quantities: Iterable[Quantity]) -> str:
    rows = (f"| `{q.name}` | {q.block} | {q.equation} | {_link_source(q.source)} |" for q in quantities)
    return "\n".join(["| quantity | block | equation | source |", "|---|---|---|---|", *rows])


def _link_source(source: str) -> str:
    return f"[{source}](https://doi.org/{source})" if source.startswith("10.") else source


if __name__ == "__main__":
    main()
