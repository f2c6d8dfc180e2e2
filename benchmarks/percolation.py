"""Percolation of lithium through known compounds: against bvlain, time and refusals of a screen, and the band center.

Usage:
    python benchmarks/percolation.py peers PEERS.jsonl [--n 300] [--resolution 0.3] [--cutoff 8]
    python benchmarks/percolation.py screen SCREEN.jsonl [--n 21755] [--resolution 0.2] [--cutoff 10]
    python benchmarks/percolation.py compare COARSE.jsonl FINE.jsonl
    python benchmarks/percolation.py pick PICKED.parquet [--n 1000] [--atoms 60]
    phonolyte migrate PICKED.parquet --method bvse --no-figures -o RUN/
    python benchmarks/percolation.py report RUN/ PICKED.parquet

``peers`` computes crystals drawn at random with bvlain and with Phonolyte, one after the other, on the same grid and
with the same charges. ``screen`` computes all compounds, or some drawn at random, and counts what is refused. Both go
crystal by crystal and can be killed and run again. ``compare`` reports how far the barriers of one grid are from those
of another. ``pick`` takes random compounds with at most 0.05 eV/atom above the hull, a gap of at least 1 eV, and at
most so many atoms; ``report`` prints rate, failures and distribution, and correlates the barriers with the band centers
that the embedded model predicts. Times are processor times: other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import RESULTS, SHARED, keep
from scipy.stats import spearmanr

from phonolyte.arrays import Floats
from phonolyte.errors import StructureError
from phonolyte.figures import center_against_barrier, save
from phonolyte.models import BandCenterModel
from phonolyte.percolation import PercolationSettings, compute_percolation
from phonolyte.percolation.bond_valence import free_radii, site_energies
from phonolyte.percolation.framework import check_partners, framework_of
from phonolyte.percolation.site_energies import reduce_cell
from phonolyte.percolation.thresholds import thresholds
from phonolyte.structures import Crystal, read
from phonolyte.structures.families import family

STRUCTURES = SHARED / "data" / "mp_li_structures.parquet"
PROPERTIES = SHARED / "data" / "mp_li_table.csv.gz"
FIGURES = Path(__file__).parents[1] / "docs" / "figures"
FEWEST = 20
"""Least number of compounds of a family whose correlation is reported."""

Row = dict[str, Any]
HIGHEST_EV = 5.0
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, n, resolution, cutoff in (("peers", 300, 0.3, 8.0), ("screen", 21755, 0.2, 10.0)):
        computing = commands.add_parser(name)
        computing.add_argument("out", type=Path)
        computing.add_argument("--n", type=int, default=n)
        computing.add_argument("--resolution", type=float, default=resolution)
        computing.add_argument("--cutoff", type=float, default=cutoff)
    comparing = commands.add_parser("compare")
    comparing.add_argument("coarse", type=Path)
    comparing.add_argument("fine", type=Path)
    picking = commands.add_parser("pick")
    picking.add_argument("out", type=Path)
    picking.add_argument("--n", type=int, default=1000)
    picking.add_argument("--atoms", type=int, default=60)
    reporting = commands.add_parser("report")
    reporting.add_argument("run", type=Path)
    reporting.add_argument("picked", type=Path)
    options = parser.parse_args()
    if options.command in ("peers", "screen"):
        settings = PercolationSettings(resolution_a=options.resolution, cutoff_a=options.cutoff)
        {"peers": compare_peers, "screen": screen_compounds}[options.command](options.out, options.n, settings)
    elif options.command == "compare":
        compare_grids(options.coarse, options.fine)
    elif options.command == "pick":
        pick_compounds(options.out, options.n, options.atoms)
    else:
        report_run(options.run, options.picked)


def draw_crystals() -> Iterator[Crystal]:
    """Return the crystals of all compounds in random order."""
    table = pd.read_parquet(STRUCTURES).sample(frac=1.0, random_state=SEED)
    return (Crystal.from_row(dict(row)) for _, row in table.iterrows())


def resume(
    out: Path, crystals: Iterable[Crystal], compute: Callable[[Crystal], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return rows of crystals, those that a file has already and those that are computed and appended to it."""
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []
    done = {row["material_id"] for row in rows}
    with out.open("a", encoding="utf-8") as stream:
        for crystal in crystals:
            if crystal.material_id not in done:
                rows.append({"material_id": crystal.material_id, **compute(crystal)})
                stream.write(json.dumps(rows[-1]) + "\n")
                stream.flush()
    return rows


def compare_peers(out: Path, n: int, settings: PercolationSettings) -> None:
    warnings.simplefilter("ignore")
    comparable = islice(select_whole_anions(draw_crystals()), n)
    compute_both(next(select_whole_anions(draw_crystals())), settings)  # compiles
    rows = resume(out, comparable, lambda crystal: compute_both(crystal, settings))
    both = [row for row in rows if "bvlain" in row]
    record: dict[str, Any] = {
        "n": len(both),
        "refused_by_bvlain": dict(Counter(row["error"] for row in rows if "error" in row)),
        "resolution_a": settings.resolution_a,
        "cutoff_a": settings.cutoff_a,
        "largest_energy_difference_ev": compute_quantiles(pd.Series([row["energies"] for row in both])),
    }
    for name, unit in (("barriers", "ev"), ("radii", "a")):
        for d in range(3):
            theirs, ours = (
                np.array([row[program][name][d] for row in both], float) for program in ("bvlain", "phonolyte")
            )
            finite = np.isfinite(theirs) & np.isfinite(ours)
            record[f"{name}_{d + 1}d_{unit}"] = {
                "n": int(finite.sum()),
                "one_has_none": int((np.isfinite(theirs) != np.isfinite(ours)).sum()),
                "difference": compute_quantiles(pd.Series(np.abs(theirs - ours)[finite])),
            }
    ratios = pd.Series([row["bvlain"]["seconds"] / row["phonolyte"]["seconds"] for row in both])
    record["seconds"] = {
        program: round(sum(row[program]["seconds"] for row in both), 2) for program in ("bvlain", "phonolyte")
    }
    record["times_faster"] = compute_quantiles(ratios)
    keep_section("peers", record, "bvlain")


def select_whole_anions(crystals: Iterable[Crystal]) -> Iterator[Crystal]:
    """Yield reduced cells whose ions bvlain knows: with parameters, and anions of one charge."""
    for crystal in crystals:
        try:
            check_partners(crystal, "Li")
            cell = reduce_cell(crystal)
            framework, charge, states, _ = framework_of(cell, "Li")
            site_energies(framework, ("Li", charge), (1, 1, 1), 1.0)
        except StructureError:
            continue
        if all(state > 0 or state.is_integer() for state in states.values()):
            yield cell


def compute_both(cell: Crystal, settings: PercolationSettings) -> Row:
    _, _, states, _ = framework_of(cell, "Li")
    try:
        theirs, field = compute_with_bvlain(cell, states, settings)
    except Exception as error:
        return {"error": type(error).__name__}
    ours, energies = compute_with_phonolyte(cell, field.shape, settings.cutoff_a)
    low = field < field.min() + HIGHEST_EV
    return {"bvlain": theirs, "phonolyte": ours, "energies": float(np.abs(energies - field)[low].max())}


def compute_with_bvlain(
    cell: Crystal, states: Mapping[str, float], settings: PercolationSettings
) -> tuple[Row, Floats]:
    from bvlain import Lain

    structure = cell.to_pymatgen().add_oxidation_state_by_element(dict(states))
    around = len(cell) / cell.volume_a3 * 4 / 3 * np.pi * settings.cutoff_a**3
    start = time.process_time()
    lain = Lain(verbose=False)
    lain.read_structure(structure, oxi_check=False)
    field = lain.bvse_distribution(
        mobile_ion="Li1+", r_cut=settings.cutoff_a, resolution=settings.resolution_a, k=int(1.5 * around) + 50
    )
    barriers = lain.percolation_barriers(encut=HIGHEST_EV)
    lain.void_distribution(mobile_ion="Li1+", r_cut=6.0, resolution=settings.resolution_a, k=10)
    radii = lain.percolation_radii()
    seconds = time.process_time() - start
    result = {"barriers": list(barriers.values()), "radii": list(radii.values()), "seconds": seconds}
    return result, field[:-1, :-1, :-1]  # its far faces repeat the near ones


def compute_with_phonolyte(cell: Crystal, shape: tuple[int, ...], cutoff_a: float) -> tuple[Row, Floats]:
    nx, ny, nz = shape
    start = time.process_time()
    framework, charge, _, _ = framework_of(cell, "Li")
    energies = site_energies(framework, ("Li", charge), (nx, ny, nz), cutoff_a)
    barriers = thresholds(energies - energies.min(), HIGHEST_EV)
    room = free_radii(framework, (nx, ny, nz))
    radii = np.full(3, np.nan) if room is None else np.maximum(-thresholds(-room, 0.0), 0.0)
    seconds = time.process_time() - start
    return {"barriers": barriers.tolist(), "radii": radii.tolist(), "seconds": seconds}, energies


def screen_compounds(out: Path, n: int, settings: PercolationSettings) -> None:
    compute_percolation(next(draw_crystals()), "Li", settings)  # compiles
    rows = resume(out, islice(draw_crystals(), n), lambda crystal: compute_crystal(crystal, settings))
    seconds = pd.Series([row["seconds"] for row in rows])
    errors = Counter(row["error"] for row in rows if "error" in row)
    anions = [row for row in rows if row.get("error") != "NoParameters" or row["has_partners"]]
    record = {
        "n": len(rows),
        "computed": len(rows) - errors.total(),
        "refused": dict(errors),
        "without_an_anion_of_softbv": len(rows) - len(anions),
        "refused_of_the_others": round(sum("error" in row for row in anions) / len(anions), 4),
        "mean_charges": sum(bool(row.get("mean_charges")) for row in rows),
        "without_radii": sum(row.get("radii") is None for row in rows if "error" not in row),
        "seconds": compute_quantiles(seconds),
        "core_minutes": round(float(seconds.sum()) / 60, 2),
        "core_minutes_of_21755": round(float(seconds.mean()) * 21755 / 60, 2),
    }
    keep_section(f"screen_{settings.resolution_a:g}_{settings.cutoff_a:g}", record)


def compute_crystal(crystal: Crystal, settings: PercolationSettings) -> Row:
    start = time.process_time()
    row: Row
    try:
        percolation = compute_percolation(crystal, "Li", settings)
        row = {
            "barriers": percolation.barriers_ev,
            "radii": percolation.radii_a,
            "mean_charges": percolation.mean_charges,
        }
    except StructureError as error:
        row = {"error": error.kind, "has_partners": "bond-valence parameters for Li1+" in str(error)}
    return row | {"seconds": time.process_time() - start}


def compare_grids(coarse: Path, fine: Path) -> None:
    """Compare the barriers and radii that two grids give for the crystals in both files."""
    coarse_rows, fine_rows = (
        {row["material_id"]: row for row in map(json.loads, path.open())} for path in (coarse, fine)
    )
    both = [
        (coarse_rows[name], fine_rows[name])
        for name in coarse_rows
        if name in fine_rows and "error" not in coarse_rows[name]
    ]
    record: dict[str, Any] = {"n": len(both)}
    for name in ("barriers", "radii"):
        values = [(a[name], b[name]) for a, b in both if a[name] and b[name]]
        for d in range(3):
            a, b = np.array([(x[d], y[d]) for x, y in values], float).T
            finite = np.isfinite(a) & np.isfinite(b)
            record[f"{name}_{d + 1}d"] = {
                "one_has_none": int((np.isfinite(a) != np.isfinite(b)).sum()),
                "mean": round(float((a[finite] - b[finite]).mean()), 4),
                "difference": compute_quantiles(pd.Series(np.abs(a[finite] - b[finite]))),
                "spearman": round(float(spearmanr(a[finite], b[finite]).statistic), 4),
            }
    keep_section(f"{coarse.stem}_against_{fine.stem}", record)


def keep_section(name: str, section: dict[str, Any], *packages: str) -> None:
    """Write a section of the result, and leave the others unchanged."""
    earlier = json.loads((RESULTS / "percolation.json").read_text())
    for key in ("benchmark", "cores", "processor", "python", "versions"):
        earlier.pop(key)
    keep("percolation", {**earlier, name: section}, *packages)


def pick_compounds(out: Path, n: int, atoms: int) -> None:
    properties = pd.read_csv(PROPERTIES)
    stable_insulators = properties[(properties["e_hull_ev"] <= 0.05) & (properties["band_gap_ev"] >= 1.0)]
    table = pd.read_parquet(STRUCTURES).merge(stable_insulators[["material_id"]], on="material_id")
    table = table[table["species"].map(len) <= atoms]
    print(
        f"{len(stable_insulators)} compounds are stable and insulating, {len(table)} of them have at most {atoms} atoms"
    )
    table.sample(n, random_state=0).to_parquet(out, index=False)


def report_run(run: Path, picked: Path) -> None:
    barriers, failures = pd.read_parquet(run / "percolation.parquet"), pd.read_parquet(run / "failures.parquet")
    crystals = read(picked).crystals
    centers = BandCenterModel.embedded().predict_crystals(crystals)[["band_center_mev"]]
    table = barriers.join(centers, on="material_id")
    by_id = {crystal.material_id: crystal for crystal in crystals}
    table["family"] = [family(by_id[name]) for name in table["material_id"]]
    with_path = table[table["barrier_ev"].notna()]
    figure = center_against_barrier(with_path, by="family", label="Barrier of site energies (eV)")
    save(figure, FIGURES / "percolation-centers", ("png",))
    keep_section(
        "center",
        {
            "n": len(crystals),
            "computed": len(table),
            "failures": failures["error"].value_counts().to_dict(),
            "no_path_below_5_ev": int(table["barrier_ev"].isna().sum()),
            "seconds": compute_quantiles(table["seconds"]),
            "atoms": compute_quantiles(table["n_atoms"]),
            "barrier_ev": compute_quantiles(with_path["barrier_ev"]),
            "barrier_3d_ev": compute_quantiles(with_path["barrier_3d_ev"].dropna()),
            "dimensions": {str(k): v for k, v in table["dimensions"].value_counts().sort_index().to_dict().items()},
            "oxidation": table["oxidation"].value_counts().to_dict(),
            "rank_correlation_with_center": {
                "all": correlate(with_path),
                **{name: correlate(group) for name, group in with_path.groupby("family") if len(group) >= FEWEST},
            },
        },
    )


def compute_quantiles(values: pd.Series) -> dict[str, float]:
    return {f"{q:.0%}": float(f"{values.quantile(q):.3g}") for q in (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)}


def correlate(table: pd.DataFrame) -> dict[str, float]:
    rank_correlation = spearmanr(table["barrier_ev"], table["band_center_mev"])
    return {
        "n": len(table),
        "spearman": round(float(rank_correlation.statistic), 3),
        "p": float(f"{rank_correlation.pvalue:.1e}"),
    }


if __name__ == "__main__":
    main()
