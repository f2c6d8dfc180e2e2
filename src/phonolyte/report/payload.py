"""What the page's script works on: the table and everything that belongs to its rows."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.centers import BY, COMPUTED
from phonolyte.columns import Column, column, columns_of, first_of, format_value
from phonolyte.report.card import facts_of, nearest_of, steps_of
from phonolyte.report.contents import Contents, arrived, names_of
from phonolyte.report.marks import marks_of
from phonolyte.report.packing import Array, packed, packed_columns
from phonolyte.report.polarizations import make_cell_card, make_sample_cards, name_sample_figures
from phonolyte.report.sentences import caveat_of, confidence
from phonolyte.report.spectra import describe_spectra
from phonolyte.report.window import window_of
from phonolyte.runs.records import file_name
from phonolyte.screen.yardsticks import WOULD_RANK
from phonolyte.tiers import TIERS, find_tier

NOUNS = {
    "ranked": ("candidate", "compounds"), "best": ("rank", "virtual compounds"), "known": ("number", "compounds"),
    "spectra": ("number", "spectra"), "electronic": ("number", "measurements"), "transference": ("number", "cells"),
}  # fmt: skip
"""What a rank counts, and what the rows are."""

HEADINGS = {"best": "The best, prototype by prototype", "known": "Known and predicted", "transference": "The cell"}

AXES = {
    "ranked": (("barrier_3d_ev", "band_center_mev"), ("p_conductor", "e_hull_ev", "band_gap_ev", "volume_per_atom_a3")),
    "best": (("mean_Row",), ("band_center_mev",)),
    "known": (("band_center_mev",), ("predicted_mev",)),
    "spectra": (("inverse_temperature_1000",), ("sigma_s_cm", "resistance_ohm")),
    "electronic": (("inverse_temperature_1000",), ("sigma_electronic_s_cm", "resistance_electronic_ohm")),
    "transference": (("voltage_v",), ("t_plus",)),
}
"""Columns of the scatter at first, x and y."""

ELECTRONIC = (
    "sigma_electronic_s_cm", "sigma_electronic_low_s_cm", "sigma_electronic_high_s_cm", "resistance_electronic_ohm",
    "resistance_electronic_low_ohm", "resistance_electronic_high_ohm",
)  # fmt: skip
"""Conductivities of samples, and the resistances that the table shows where no size of a pellet is known."""

FEWEST = 3
"""Samples at different temperatures that make a scatter."""

LABELS = {
    "spectra": {"material_id": "spectrum"},
    "electronic": {"material_id": "sample", "n": "voltages", "sigma_s_cm": "σ total"},
    "transference": {"material_id": "cell", "voltage_v": "voltage"},
}
"""Headings of columns that mean something special in some kinds of runs."""

LEFT_TO_CARD = {
    "electronic": ("sample", "n", "upper_bound", "ohmic", "sigma_s_cm"),
    "transference": ("upper_bound", "initial_by", "settled"),
}
"""Columns that the table leaves to the card, though the registry shows them."""

CLOUD = 12_000
"""Virtual compounds that are drawn behind the best, at random."""

MOST_DOS, POINTS = 300, 200
"""Densities of states that cards have, and the points of each."""

FIGURE = "figure-"
"""What the name of an image element on the page begins with, before the stem of its file."""

IMAGE_BYTES = 2_500_000
"""Images on cards."""

BEST = 6

TIER_NOUNS = ("number", "crystals")


def nouns_of(kind: str) -> tuple[str, str]:
    """Return what a rank counts, and what the rows are."""
    return NOUNS.get(kind, TIER_NOUNS)


def axes_of(kind: str) -> Sequence[Sequence[str]]:
    """Return the columns that the scatter may show at first, for each axis the first that is there."""
    return AXES[kind] if kind in AXES else [(key,) for key in find_tier(kind).axes]


def sorted_by(kind: str) -> tuple[str, ...]:
    """Return the columns that may order the table at first."""
    return SORTED[kind] if kind in SORTED else (find_tier(kind).sort_by,)


def columns_of_run(contents: Contents) -> list[Column]:
    """Return the columns of the table.

    The first one of a run on measurements is not called a material; where a center comes from is shown if any is
    computed.
    """
    labels, shown = LABELS.get(contents.kind, {}), dict.fromkeys(LEFT_TO_CARD.get(contents.kind, ()), False)
    if BY in contents.table and (contents.table[BY] == COMPUTED).any():
        shown[BY] = True
    if contents.kind == "electronic":
        sized = bool(contents.table["sigma_electronic_high_s_cm"].notna().any())
        shown |= {key: ("sigma" in key) == sized for key in ELECTRONIC}
    return [
        replace(each, label=labels.get(each.key, each.label), shown=shown.get(each.key, each.shown))
        for each in columns_of(contents.table)
    ]


def has_scatter(contents: Contents) -> bool:
    """Whether the page has a scatter: of polarizations only where there is a dependence on the temperature."""
    if contents.kind not in ("electronic", "transference"):
        return True
    x, y = (first_of(columns_of(contents.table), *keys) for keys in axes_of(contents.kind))
    return bool(contents.table.loc[contents.table[y].notna(), x].round(3).nunique() >= FEWEST)


def data(contents: Contents, n_crystals: int) -> str:
    """The block of the page that has everything but crystals."""
    table = contents.table
    columns = columns_of_run(contents)
    described, arrays = packed_columns(table, columns)
    extra, further = packed_columns(_derive(contents), DERIVED)
    lists, numbers = steps_of(contents)
    arrays |= further | {"steps": np.array(numbers, dtype="<u2")}
    header = {
        "n": len(table),
        "columns": [*described, *extra],
        "noun": nouns_of(contents.kind)[0],
        "center": _center_by(contents),
        "choosable": [
            c.key for c in columns if c.kind == "choice" and c.key in CHOOSABLE and table[c.key].nunique() > 1
        ],
        "toggles": _toggles(contents),
        "sorted": ["rank", False] if "rank" in table else [first_of(columns, *sorted_by(contents.kind)), False],
        "axes": [first_of(columns, *keys) for keys in axes_of(contents.kind)],
        "views": _views(contents),
        "limits": contents.limits,
        "histogram": _histogram(table),
        "steps": [[[step.why, step.command] for step in steps] for steps in lists],
        "run": str(contents.folder),
        "computed": _describe_computed(contents),
        "images": _images(contents),
        "caveat": caveat_of(contents.kind),
        "crystals": n_crystals,
        "no_crystal": "Its crystal is not in this page, which has the first ones.",
        "best": (best := _best(contents)),
        "marks": [marks_of(contents, row) for row in best],
        "best_by": sorted_by(contents.kind)[0] if contents.kind in TIERS and contents.kind != "phonons" else "",
    }
    extras = (_neighbors(contents), _cloud(contents), _yardsticks(contents), _measurements(contents))
    for header_part, array_part in extras:
        header |= header_part
        arrays |= array_part
    return packed(header, arrays)


SORTED = {
    "ranked": ("rank",), "best": ("rank",), "known": ("error_mev",), "spectra": ("temperature_k",),
    "electronic": ("material_id",), "transference": ("material_id",),
}  # fmt: skip
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


def _views(contents: Contents) -> dict[str, list[float]]:
    """Where the scatter looks at first: what matters, without the far tails; a double click shows all."""
    views = {"barrier_3d_ev": [0.0, 2.0], "p_conductor": [0.0, 1.0]} if contents.kind == "ranked" else {}
    limits = contents.limits
    if contents.kind == "ranked" and "band_center_mev" in limits:
        views["band_center_mev"] = [0.0, max(2.5 * limits["band_center_mev"], 10.0)]
    if contents.kind == "ranked" and "e_hull_ev" in limits and limits["e_hull_ev"] > 0:
        views["e_hull_ev"] = [-0.08 * limits["e_hull_ev"], 5 * limits["e_hull_ev"]]
    return views


def _histogram(table: pd.DataFrame) -> dict[str, Any]:
    """Centers of all rows, for the little picture on each card."""
    values = table["band_center_mev"].dropna().to_numpy(float) if "band_center_mev" in table else np.empty(0)
    end = float(np.ceil(max(np.quantile(values, 0.999), 50.0) / 10) * 10) if len(values) else 100.0
    counts, _ = np.histogram(values, bins=60, range=(0.0, end))
    return {"end": end, "counts": counts.tolist() if counts.any() else [1]}


def _center_by(contents: Contents) -> str:
    return {"phonons": "band center, computed from phonons", "known": "known band center"}.get(contents.kind, "")


def _best(contents: Contents) -> list[int]:
    """The places of the best few rows."""
    table = contents.table
    if contents.kind == "ranked":  # those that a study followed to the end, then by rank
        places = [*arrived(table).index, *range(int(table["passes"].sum()))]
        return list(dict.fromkeys(map(int, places)))[:BEST]
    if contents.kind in TIERS:
        return list(range(min(BEST, int(table[find_tier(contents.kind).sort_by].notna().sum()))))
    return [] if contents.is_measured or contents.kind == "known" else list(range(min(BEST, len(table))))


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


def _measurements(contents: Contents) -> tuple[dict[str, Any], dict[str, Array]]:
    """What cards of measurements are made from."""
    if contents.kind == "spectra":
        return describe_spectra(names_of(contents), contents.records)
    cards = []
    if contents.kind == "electronic":
        cards = make_sample_cards(contents.table, contents.records["curves"])
    elif contents.kind == "transference":
        cards = [make_cell_card(row) for row in contents.table.to_dict("records")]
    return {"measured": [asdict(card) for card in cards]} if cards else {}, {}


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
    if contents.kind == "electronic":
        return {
            name: [("Currents against time and voltage", f"#{FIGURE}{stem}")]
            for name, stem in name_sample_figures(contents.table).items()
        }
    if contents.kind == "transference":
        return {name: [("Spectra and current", f"#{FIGURE}transference")] for name in names_of(contents)}
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
