"""Percolation of disordered crystals as averages, and of their orderings, against measured conductivities.

Usage: python benchmarks/percolation_disorder.py

The 254 CIFs of OBELiX's training split (10.1039/D5DD00441A, CC BY 4.0; many of its coordinates carry random noise of
0.01) at 0.25 angstrom and a cutoff of 8. Spearman's rank correlation of the barrier with the conductivity at room
temperature (upper bounds count as values), and the area under the curve for 1e-4 S/cm; intervals of 95 % by a bootstrap
over papers.
"""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from record import SHARED, keep
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from phonolyte.arrays import Floats
from phonolyte.errors import PhonolyteError
from phonolyte.percolation import PercolationSettings, compute_percolation
from phonolyte.structures import Crystal
from phonolyte.structures.cif import blocks_with_a_cell, crystal_from_cif
from phonolyte.structures.ordering import representative

FOLDER = SHARED / "data" / "obelix"
SETTINGS = PercolationSettings(resolution_a=0.25, cutoff_a=8.0, limit_atoms=400)
NO_PATH_EV = 6.0
GOOD = -4.0
"""Decimal logarithm of the conductivity of a good conductor, S/cm."""

DRAWS = 2000


def main() -> None:
    rows = {row["ID"]: row for row in csv.DictReader(io.StringIO((FOLDER / "train.csv").read_text()))}
    table = [(crystal, rows[crystal.material_id]) for crystal in read_cifs() if crystal.material_id in rows]
    average = [compute_levels(crystal) for crystal, _ in table]
    ordered = [compute_levels(crystal, ordered=True) for crystal, _ in table]
    both = [k for k in range(len(table)) if average[k] is not None and ordered[k] is not None]
    sigma = np.array([read_log_sigma(table[k][1]) for k in both])
    papers = np.array([table[k][1]["DOI"] for k in both])
    disordered = np.array([not table[k][0].is_ordered for k in both])
    barriers = {
        name: np.array([levels[k] for k in both]) for name, levels in (("average", average), ("ordered", ordered))
    }
    record: dict[str, Any] = {
        "n": len(table),
        "computed": {"average": count_computed(average), "ordered": count_computed(ordered), "both": len(both)},
    }
    for name, chosen in (("all", np.ones(len(both), bool)), ("disordered", disordered)):
        chosen_barriers = {key: values[chosen] for key, values in barriers.items()}
        record[name] = {f"{d + 1}d": compare(chosen_barriers, d, sigma[chosen], papers[chosen]) for d in (0, 2)} | {
            "n": int(chosen.sum())
        }
    keep("percolation_disorder", record)


def read_cifs() -> list[Crystal]:
    crystals = []
    with tarfile.open(FOLDER / "train_cifs.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".cif") and (content := archive.extractfile(member)) is not None:
                (block,) = blocks_with_a_cell(content.read().decode())
                crystals.append(crystal_from_cif(block, material_id=Path(member.name).stem))
    return crystals


def compute_levels(crystal: Crystal, *, ordered: bool = False) -> list[float] | None:
    """Compute barriers of paths in one, two and three dimensions; None where it is impossible."""
    try:
        percolation = compute_percolation(representative(crystal) if ordered else crystal, "Li", SETTINGS)
    except PhonolyteError:
        return None
    return [barrier if np.isfinite(barrier) else NO_PATH_EV for barrier in percolation.barriers_ev]


def count_computed(levels: list[list[float] | None]) -> int:
    return sum(barriers is not None for barriers in levels)


def read_log_sigma(row: dict[str, str]) -> float:
    return float(np.log10(float(row["Ionic conductivity (S cm-1)"].replace("<", ""))))


def compare(barriers: dict[str, Floats], dimension: int, sigma: Floats, papers: Any) -> dict[str, Any]:
    """Compute both scores of both methods, and the intervals of their differences."""
    rng, names = np.random.default_rng(0), np.unique(papers)
    of_paper = {name: np.flatnonzero(papers == name) for name in names}
    values = {name: -levels[:, dimension] for name, levels in barriers.items()}
    differences = []
    for _ in range(DRAWS):
        drawn = np.concatenate([of_paper[name] for name in rng.choice(names, len(names))])
        if 0 < (sigma[drawn] >= GOOD).sum() < len(drawn):
            average_scores, ordered_scores = (
                compute_scores(values[name][drawn], sigma[drawn]) for name in ("average", "ordered")
            )
            differences.append([a - b for a, b in zip(average_scores, ordered_scores, strict=True)])
    low, high = np.percentile(differences, [2.5, 97.5], axis=0).round(2).tolist()
    return {
        **{
            name: dict(zip(("rho", "auc"), np.round(compute_scores(v, sigma), 3).tolist(), strict=True))
            for name, v in values.items()
        },
        "difference": {"rho": [low[0], high[0]], "auc": [low[1], high[1]]},
    }


def compute_scores(value: Floats, sigma: Floats) -> tuple[float, float]:
    return float(spearmanr(value, sigma).statistic), float(roc_auc_score(sigma >= GOOD, value))


if __name__ == "__main__":
    main()
