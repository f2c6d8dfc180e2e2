"""Compute the table of known conductors in the package: measured reference compounds, as a screen ranks them.

Usage: python scripts/yardsticks.py

Run it again when a model, percolation or the reading of disordered crystals changes.
"""

from __future__ import annotations

import pandas as pd

from phonolyte.conduction import COLUMNS
from phonolyte.measured import ION, folder, load_measured
from phonolyte.references import reference_compounds
from phonolyte.screen import Criteria, ModelSource, rank_crystals
from phonolyte.screen.ranking import Ranking
from phonolyte.screen.yardsticks import CENTERS, FILE

HEAD = """\
# Reference compounds of Phonolyte that OBELiX has measurements of (F. Therrien et al., Digital Discovery (2025),
# https://doi.org/10.1039/D5DD00441A, CC BY 4.0), with what Phonolyte predicts of them.
"""

NO_CRITERIA = Criteria(
    ion=ION, max_center_mev=None, max_e_hull_ev=None, min_gap_ev=None, no_likely_metal=False, no_radioactive=False,
    unique=False,
)  # fmt: skip


def main() -> None:
    crystals = [crystal for crystal in reference_compounds().crystals if load_measured().match(crystal)]
    table = pd.DataFrame()
    for model, name in CENTERS.items():
        source = ModelSource(name=model)
        ranked = rank_crystals(
            crystals, models=source, criteria=NO_CRITERIA, ranking=Ranking("band_center_mev"),
            percolation="none" if len(table) else "all",
        ).table.set_index("material_id")  # fmt: skip
        if not len(table):
            table = ranked[["formula", "ion", *COLUMNS]]
        table = table.assign(**{name: ranked["band_center_mev"]})
    table = table.sort_values("measured_sigma_s_cm", ascending=False)
    text = table.to_csv()
    (folder() / FILE).write_text(HEAD + text, encoding="utf-8")


if __name__ == "__main__":
    main()
