"""What the page's script works on: the table and everything that belongs to its rows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.centers import BY, COMPUTED
from phonolyte.columns import Column, column, columns_of, first_of, format_value
from phonolyte.report.card import facts_of, nearest_of, steps_of
from phonolyte.report.confidence import confidence
from phonolyte.report.contents import Contents, names_of
from phonolyte.report.kinds import kind_of
from phonolyte.report.marks import marks_of
from phonolyte.report.packing import Array, packed, packed_columns
from phonolyte.report.window import window_of
from phonolyte.runs.records import file_name
from phonolyte.screen.yardsticks import WOULD_RANK
from phonolyte.tiers import find_tier

CLOUD = 12_000
"""Virtual compounds that are drawn behind the best, at random."""

MOST_DOS, POINTS = 300, 200
"""Densities of states that cards have, and the points of each."""

IMAGE_BYTES = 2_500_000
"""Images on cards."""


def columns_of_run(contents: Contents) -> list[Column]:
    """Return the columns of the table.

    The first one of a run on measurements is not called a material; where a center comes from is shown if any is
    computed.
    """
    kind = kind_of(contents.kind)
    shown = dict.fromkeys(kind.hidden, False) | kind.choose_columns(contents.table)
    if BY in contents.table and (contents.table[BY] == COMPUTED).any():
        shown[BY] = True
    return [
        replace(each, label=kind.labels.get(each.key, each.label), shown=shown.get(each.key, each.shown))
        for each in columns_of(contents.table)
    ]


def has_scatter(contents: Contents) -> bool:
    """Whether the page has a scatter."""
    return kind_of(contents.kind).has_scatter(contents.table, *_axes(contents))


def _axes(contents: Contents) -> list[str]:
    """Columns of the scatter at first, x and y."""
    return [first_of(columns_of(contents.table), *keys) for keys in kind_of(contents.kind).axes]


def data(contents: Contents, n_crystals: int) -> str:
    """The block of the page that has everything but crystals."""
    table, kind = contents.table, kind_of(contents.kind)
    columns = columns_of_run(contents)
    described, arrays = packed_columns(table, columns)
    extra, further = packed_columns(_derive(contents), DERIVED)
    lists, numbers = steps_of(contents)
    arrays |= further | {"steps": np.array(numbers, dtype="<u2")}
    header = {
        "n": len(table),
        "columns": [*described, *extra],
        "noun": kind.rank,
        "center": kind.center,
        "choosable": [
            c.key for c in columns if c.kind == "choice" and c.key in CHOOSABLE and table[c.key].nunique() > 1
        ],
        "toggles": _toggles(contents),
        "sorted": ["rank", False] if "rank" in table else [first_of(columns, *kind.sorted_by), False],
        "axes": _axes(contents),
        "views": kind.view(contents),
        "limits": contents.limits,
        "histogram": _histogram(table),
        "steps": [[[step.why, step.command] for step in steps] for steps in lists],
        "run": str(contents.folder),
        "computed": _describe_computed(contents),
        "images": _images(contents),
        "caveat": kind.caveat,
        "crystals": n_crystals,
        "no_crystal": "Its crystal is not in this page, which has the first ones.",
        "best": (best := kind.best(contents)),
        "marks": [marks_of(contents, row) for row in best],
        "best_by": kind.best_by,
    }
    extras = (_neighbors(contents), _cloud(contents), _yardsticks(contents), kind.cards(contents))
    for header_part, array_part in extras:
        header |= header_part
        arrays |= array_part
    return packed(header, arrays)


CHOOSABLE = ("family", "prototype", "method", "engine", "circuit", "kramers_kronig", "ohmic", BY)
DERIVED = [
    Column("level", "confidence", kind="choice", shown=False),
    Column("sure_of", "confidence in", kind="choice", shown=False),
    Column("sure", "how sure", kind="choice", shown=False),
    Column("mobile_ion", "mobile ion", kind="choice", shown=False),
]


def _derive(contents: Contents) -> pd.DataFrame:
    sure = confidence(contents)
    formulas = contents.table["formula"] if "formula" in contents.table else [""] * len(sure)
    return sure.assign(mobile_ion=[contents.ion_of(str(formula)) for formula in formulas])


def _toggles(contents: Contents) -> list[list[Any]]:
    """Flags that rows can be filtered by: column, label, and whether it is at first."""
    labels = {
        "passes": "Candidates only", "in_domain": "Known kind", "stable": "Stable",
        "charge_balanced": "Charges balanced", "converged": "Converged",
    }  # fmt: skip
    table = contents.table
    some = bool(table["passes"].any()) if "passes" in table else False
    return [[key, label, key == "passes" and some] for key, label in labels.items() if key in table]


def _histogram(table: pd.DataFrame) -> dict[str, Any]:
    """Centers of all rows, for the little picture on each card."""
    values = table["band_center_mev"].dropna().to_numpy(float) if "band_center_mev" in table else np.empty(0)
    end = float(np.ceil(max(np.quantile(values, 0.999), 50.0) / 10) * 10) if len(values) else 100.0
    counts, _ = np.histogram(values, bins=60, range=(0.0, end))
    return {"end": end, "counts": counts.tolist() if counts.any() else [1]}


def _describe_computed(contents: Contents) -> dict[str, dict[str, Any]]:
    """What was computed of a material, by its name: labels and values, densities of states, windows."""
    by_material: dict[str, dict[str, Any]] = {}
    for method, table in contents.computed.items():
        for i, (name, row) in enumerate(zip(table.index, table.to_dict("records"), strict=True)):
            entry: dict[str, Any] = {"facts": facts_of(method, {str(key): value for key, value in row.items()})}
            if method == "phonons" and i < MOST_DOS:
                entry["dos"] = _dos(contents, str(name), row)
            if "oxidation_v" in row:
                entry["window"] = window_of({str(key): value for key, value in row.items()})
            by_material.setdefault(str(name), {})[find_tier(method).title] = entry
    return by_material


def _dos(contents: Contents, name: str, row: Mapping[Any, Any]) -> dict[str, Any] | None:
    paths = (run / "dos" / f"{file_name(name)}.parquet" for run in contents.runs.get("phonons", ()))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    dos = pd.read_parquet(path)
    energies = dos["energy_mev"].to_numpy(float)
    grid = np.linspace(energies[0], energies[-1], POINTS)
    most = float(dos["total"].max()) or 1.0
    ion = str(row.get("ion") or "")

    def drawn(values: pd.Series) -> list[float]:
        heights: list[float] = np.round(np.interp(grid, energies, values.to_numpy(float)) / most, 4).tolist()
        return heights

    return {
        "energies": [float(energies[0]), float(energies[-1])],
        "total": drawn(dos["total"]),
        "ion": drawn(dos[ion]) if ion in dos else None,
        "symbol": ion,
        "center": float(row["band_center_mev"]),
    }


def _images(contents: Contents) -> dict[str, list[tuple[str, str]]]:
    """Figures of single materials, the best first, as many as fit; of measurements they are those of the page."""
    shared = kind_of(contents.kind).pictures(contents)
    if shared is not None:
        return shared
    by_material: dict[str, list[tuple[str, str]]] = {}
    size = 0
    for name in names_of(contents):
        for tier, row in contents.of(name).items():
            for run, (stem, caption) in product(contents.runs[tier], find_tier(tier).pictures(row).items()):
                path = run / file_name(name) / f"{stem}.png"
                if path.is_file() and (size := size + path.stat().st_size) <= IMAGE_BYTES:
                    by_material.setdefault(name, []).append((caption, image(path)))
    return by_material


def image(path: Path) -> str:
    """A PNG file as what an image element takes."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _neighbors(contents: Contents) -> tuple[dict[str, Any], dict[str, Array]]:
    """The nearest learned compounds of each row: their table once, and which they are for each row."""
    nearest = contents.nearest
    if nearest is None or not len(nearest):
        return {}, {}
    learned = nearest.drop_duplicates("learned_id").reset_index(drop=True)
    which = pd.Series(learned.index, index=learned["learned_id"])
    place = pd.Series(range(len(contents.table)), index=contents.table["material_id"])
    rows = place.reindex(nearest["material_id"]).to_numpy(float)
    known = ~np.isnan(rows)
    order = nearest.groupby("material_id", sort=False).cumcount().to_numpy()
    per_row = int(order.max()) + 1
    places = rows[known].astype(np.int64) * per_row + order[known]
    codes = np.full(len(contents.table) * per_row, 65535, dtype="<u2")
    distances = np.zeros(len(codes), dtype="<u2")
    codes[places] = which.reindex(nearest["learned_id"]).to_numpy()[known]
    distances[places] = np.minimum(np.round(100 * nearest["distance"].to_numpy()[known]), 65535)
    record = {
        "per_row": per_row,
        "names": learned["learned_id"].astype(str).tolist(),
        "formulas": learned["learned_formula"].astype(str).tolist(),
        "centers": learned["learned_center_mev"].round(2).tolist(),
        "from": nearest_of(contents),
        "usual": float(nearest["distance"].median()),
    }
    return {"learned": record}, {"nearest": codes, "distance": distances}


def _yardsticks(contents: Contents) -> tuple[dict[str, Any], dict[str, Array]]:
    """Known conductors: their formulas, what the scatter says of each, and the numbers that are known of them."""
    known = contents.yardsticks
    if not len(known):
        return {}, {}
    sigma = column("measured_sigma_s_cm")
    notes = [
        f"measured {format_value(row['measured_sigma_s_cm'], sigma)} {sigma.unit}"
        + ("" if pd.isna(row[WOULD_RANK]) else f"; would rank {int(row[WOULD_RANK]):,}")
        for row in known.to_dict("records")
    ]
    numbers = [name for name in known if name in contents.table and column(str(name)).kind == "number"]
    header = {"yardsticks": [list(pair) for pair in zip(known["formula"], notes, strict=True)]}
    return header, {f"yardstick {key}": known[key].to_numpy("<f4") for key in numbers}


def _cloud(contents: Contents) -> tuple[dict[str, Any], dict[str, Array]]:
    """A sample of all virtual compounds, where the run kept more than its best."""
    parts = sorted((contents.folder / "virtual").glob("*.parquet")) if contents.kind == "best" else []
    if not parts:
        return {}, {}
    columns = ["mean_Row", "band_center_mev", "score_mev", "plausibility"]
    all_compounds = pd.concat([pd.read_parquet(path, columns=columns) for path in parts], ignore_index=True)
    drawn = all_compounds.sample(min(CLOUD, len(all_compounds)), random_state=0)
    return {"cloud": len(all_compounds)}, {f"cloud {key}": drawn[key].to_numpy("<f4") for key in columns}
