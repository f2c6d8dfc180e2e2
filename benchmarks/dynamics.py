"""Molecular dynamics of fast and of poor conductors of lithium, separated by diffusivities with intervals.

Usage:
    phonolyte migrate CRYSTALS --method md --engine NAME --time-ps 100 -o RUN/
    python benchmarks/dynamics.py RUN/ [RUN/ ...]

The first can be killed and run again; the second puts diffusivities, activation energies, what each step cost, and
the bound where too few hops happened, into one table.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path

import pandas as pd
from record import keep

from phonolyte.figures import diffusion_arrhenius, save

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
DIGITS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    engines = []
    for run in options.runs:
        record = tomllib.loads((run / "run.toml").read_text())
        settings = record["settings"]["settings"]
        materials = pd.read_parquet(run / "dynamics.parquet")
        diffusivities = pd.read_parquet(run / "diffusivities.parquet")
        for name, rows in diffusivities.groupby("material_id"):
            short = str(name).removeprefix("ref-")
            save(diffusion_arrhenius(rows, title=short), FIGURES / f"md-{short}", ("png",))
        engines.append(
            {
                "engine": {key: Path(value).name for key, value in record["engine"].items()},
                "time_ps": settings["time_ps"],
                "timestep_fs": settings["timestep_fs"],
                "materials": round_rows(materials),
                "diffusivities": round_rows(diffusivities),
            }
        )
    keep("dynamics", {"runs": engines})


def round_rows(table: pd.DataFrame) -> list[dict[str, object]]:
    return [
        {name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for name, value in row.items()}
        for row in json.loads(table.to_json(orient="records", double_precision=15))
    ]


if __name__ == "__main__":
    main()
