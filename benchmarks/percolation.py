"""Percolation of lithium through known compounds, and how it goes with the band center.

Usage:
    python benchmarks/percolation.py pick PICKED.parquet [--n 1000] [--atoms 60]
    phonolyte migrate PICKED.parquet --method bvse --no-figures -o RUN/
    python benchmarks/percolation.py report RUN/ PICKED.parquet

The first takes compounds at random of those with at most 0.05 eV/atom above the hull, a gap of at least 1 eV, and at
most so many atoms; the second can be killed and run again; the third tells rate, failures and distribution, and
correlates the barriers with the band centers that the embedded model predicts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from record import SHARED, keep
from scipy.stats import spearmanr

from phonolyte.figures import center_against_barrier, save
from phonolyte.models import BandCenterModel
from phonolyte.structures import read
from phonolyte.structures.families import family

STRUCTURES = SHARED / "data" / "mp_li_structures.parquet"
PROPERTIES = SHARED / "data" / "mp_li_table.csv.gz"
FIGURES = Path(__file__).parents[1] / "docs" / "figures"
FEWEST = 20
"""Compounds of a family whose correlation is told."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    picking = commands.add_parser("pick")
    picking.add_argument("out", type=Path)
    picking.add_argument("--n", type=int, default=1000)
    picking.add_argument("--atoms", type=int, default=60)
    reporting = commands.add_parser("report")
    reporting.add_argument("run", type=Path)
    reporting.add_argument("picked", type=Path)
    options = parser.parse_args()
    if options.command == "pick":
        pick(options.out, options.n, options.atoms)
    else:
        report(options.run, options.picked)


def pick(out: Path, n: int, atoms: int) -> None:
    known = pd.read_csv(PROPERTIES)
    good = known[(known["e_hull_ev"] <= 0.05) & (known["band_gap_ev"] >= 1.0)]
    table = pd.read_parquet(STRUCTURES).merge(good[["material_id"]], on="material_id")
    table = table[table["species"].map(len) <= atoms]
    print(f"{len(good)} compounds are stable and insulating, {len(table)} of them have at most {atoms} atoms")
    table.sample(n, random_state=0).to_parquet(out, index=False)


def report(run: Path, picked: Path) -> None:
    barriers, failures = pd.read_parquet(run / "percolation.parquet"), pd.read_parquet(run / "failures.parquet")
    crystals = read(picked).crystals
    centers = BandCenterModel.embedded().predict_crystals(crystals)[["band_center_mev"]]
    table = barriers.join(centers, on="material_id")
    by_id = {crystal.material_id: crystal for crystal in crystals}
    table["family"] = [family(by_id[name]) for name in table["material_id"]]
    there = table[table["barrier_ev"].notna()]
    figure = center_against_barrier(there, by="family", label="Barrier of site energies (eV)")
    save(figure, FIGURES / "percolation-centers", ("png",))
    keep(
        "percolation",
        {
            "n": len(crystals),
            "computed": len(table),
            "failures": failures["error"].value_counts().to_dict(),
            "no_path_below_5_ev": int(table["barrier_ev"].isna().sum()),
            "seconds": quantiles(table["seconds"]),
            "atoms": quantiles(table["n_atoms"]),
            "barrier_ev": quantiles(there["barrier_ev"]),
            "barrier_3d_ev": quantiles(there["barrier_3d_ev"].dropna()),
            "dimensions": {str(k): v for k, v in table["dimensions"].value_counts().sort_index().to_dict().items()},
            "oxidation": table["oxidation"].value_counts().to_dict(),
            "rank_correlation_with_center": {
                "all": correlation(there),
                **{name: correlation(part) for name, part in there.groupby("family") if len(part) >= FEWEST},
            },
        },
    )


def quantiles(values: pd.Series) -> dict[str, float]:
    return {f"{q:.0%}": round(float(values.quantile(q)), 3) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}


def correlation(table: pd.DataFrame) -> dict[str, float]:
    found = spearmanr(table["barrier_ev"], table["band_center_mev"])
    return {"n": len(table), "spearman": round(float(found.statistic), 3), "p": float(f"{found.pvalue:.1e}")}


if __name__ == "__main__":
    main()
