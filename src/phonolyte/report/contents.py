"""What a run folder holds, whichever commands have filled it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from phonolyte.chemistry.elements import ATOMIC_NUMBERS
from phonolyte.chemistry.formulas import composition_of
from phonolyte.chemistry.ions import MOBILE_IONS
from phonolyte.errors import SettingsError, StructureError
from phonolyte.impedance.overview import summarize_spectra
from phonolyte.loop.rounds import SUMMARY as ROUNDS
from phonolyte.polarization.overview import summarize_cells, summarize_samples
from phonolyte.report.evidence import add_evidence
from phonolyte.runs.records import FAILURE_COLUMNS, RELAXED
from phonolyte.runs.run import read_record, require_format
from phonolyte.screen.yardsticks import FILE as YARDSTICKS
from phonolyte.structures.run_results import CRYSTALS, ORDERINGS
from phonolyte.tiers import FOLLOWED, FOLLOWED_STEPS, TIERS, TO_THE_END, all_tiers, deciding_column, find_tier
from phonolyte.units import CONDUCTOR_S_CM

MAIN = {
    "ranked": "ranked.parquet", "best": "best.csv", "known": "cv_predictions.parquet", "spectra": "spectra.parquet",
    "electronic": "electronic.parquet", "transference": "transference.parquet",
}  # fmt: skip
"""Kinds of runs besides tiers, and the table that each is about; the first one there decides."""

SUMMARIES = {"spectra": summarize_spectra, "electronic": summarize_samples, "transference": summarize_cells}
"""Kinds of runs on measurements, and what makes their table of a page from the one that each is about."""

CARD_TABLES = {"spectra": ("spectra", "parameters", "curves"), "electronic": ("curves",)}
"""Further tables that the cards of measurements are made from."""


def main_tables() -> dict[str, str]:
    """Return the kinds of runs and the table that each is about; those of tiers have their names."""
    return MAIN | {name: tier.table for name, tier in all_tiers().items()}


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """A run folder, read.

    Attributes
    ----------
    folder
        Where it is.
    kind
        Kind of :func:`main_tables`.
    table
        What the run is about, a row a material, the best first.
    run
        ``run.toml``.
    computed
        Tables of tiers by their names, indexed by `material_id`.
    runs
        Folders of the runs of each tier.
    nearest
        The compounds learned from that are nearest to each material.
    yardsticks
        Known conductors of a screen, with the rank that each would have.
    failures
        What dropped out.
    records
        The JSON files of the run: ``funnel``, ``summary``, ``metrics``, ``followed``, ``rounds``; the tables of
        :data:`CARD_TABLES`.
    """

    folder: Path
    kind: str
    table: pd.DataFrame
    run: Mapping[str, Any]
    computed: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    runs: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    nearest: pd.DataFrame | None = None
    yardsticks: pd.DataFrame = field(default_factory=pd.DataFrame)
    failures: pd.DataFrame = field(default_factory=pd.DataFrame)
    records: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_measured(self) -> bool:
        """Whether the run is on measurements."""
        return self.kind in SUMMARIES

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the run."""
        settings: Mapping[str, Any] = self.run.get("settings", {})
        return settings

    @property
    def crystals_file(self) -> Path | None:
        """The crystal table of the run, if it kept one."""
        for name in (CRYSTALS, RELAXED):
            if (self.folder / name).is_file():
                return self.folder / name
        return None

    @property
    def orderings_file(self) -> Path | None:
        """The crystal table of the ordered representatives of disordered crystals, if there are any."""
        path = self.folder / ORDERINGS
        return path if path.is_file() else None

    @property
    def limits(self) -> dict[str, float]:
        """The criteria that are numbers, by the column they judge."""
        criteria = self.records.get("funnel", {}).get("criteria", {})
        named = {
            "max_center_mev": "band_center_mev", "max_e_hull_ev": "e_hull_ev", "min_gap_ev": "band_gap_ev",
            "max_price_usd_kg": "price_usd_kg", "max_reduction_v": "reduction_v", "min_oxidation_v": "oxidation_v",
        }  # fmt: skip
        values = {column: criteria.get(name) for name, column in named.items()}
        return {column: float(value) for column, value in values.items() if value is not None}

    @property
    def model(self) -> Mapping[str, Any]:
        """Where the model that predicted comes from, and its scores; empty when it cannot be found."""
        named = str(self.settings.get("model", ""))
        places = [self.folder if self.kind == "known" else self.folder / "model"]
        if named == "embedded":
            places.append(Path(str(files("phonolyte") / "data" / "model")))
        elif named:
            places.append(Path(named))
        file = next((path for place in places if (path := place / "model.json").is_file()), None)
        provenance: Mapping[str, Any] = _json(file).get("provenance", {}) if file else {}
        return provenance

    def ion_of(self, formula: str) -> str:
        """The mobile ion of a compound: that of the settings, else the first known one in its formula; may be empty."""
        chosen = str(self.settings.get("ion") or "any")
        if chosen in ATOMIC_NUMBERS:
            return chosen
        try:
            present = composition_of(formula)
        except StructureError:  # a run without formulas
            return ""
        return next((ion for ion in MOBILE_IONS if ion in present), "")

    def of(self, material_id: str) -> dict[str, Mapping[str, Any]]:
        """What was computed of a material, by method."""
        return {
            method: dict(table.loc[material_id])
            for method, table in self.computed.items()
            if material_id in table.index
        }


def read_run(folder: str | Path) -> Contents:
    """Read a run folder.

    Raises
    ------
    SettingsError
        When there is none, or nothing in it that a report could be about.
    """
    folder = Path(folder)
    record = read_record(folder)
    if record is not None:
        require_format(folder, record)
    kind = next((kind for kind, name in main_tables().items() if (folder / name).is_file()), None)
    if kind is None:
        raise _nothing(folder)
    try:
        table, runs = _main_table(folder, kind), _runs_of_tiers(folder, kind)
        computed = _read_computed(runs, kind, table)
        if kind == "ranked" and "rank" in table:
            table = add_evidence(table, computed, _json(folder / "funnel.json").get("criteria", {}))
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(f"the tables of {folder} cannot be read", why=str(error), fix="Run it again.") from None
    if "material_id" not in table and "formula" in table:
        table.insert(0, "material_id", table["formula"])
    return Contents(
        folder=folder,
        kind=kind,
        table=table,
        run=record or {},
        computed=computed,
        runs=runs,
        nearest=_parquet(folder / "nearest.parquet"),
        yardsticks=_conductors(folder),
        failures=_failures(folder),
        records={
            "funnel": _json(folder / "funnel.json"),
            "summary": _json(folder / "summary.json"),
            "metrics": _json(folder / "metrics.json") or _json(folder / "model" / "metrics.json"),
            "followed": _json(folder / FOLLOWED_STEPS),
            "rounds": _json(folder / ROUNDS),
            "arrhenius": _rows(folder / "arrhenius.parquet"),
            **{name: _parquet(folder / f"{name}.parquet") for name in CARD_TABLES.get(kind, ())},
        },
    )


def _nothing(folder: Path) -> SettingsError:
    if not folder.is_dir():
        return SettingsError(f"{folder} is not a folder", fix="Name the run folder of a command.")
    return SettingsError(
        f"{folder} is not a run folder that a report can be made of",
        why=f"it has none of {', '.join(main_tables().values())}",
        fix="Name the folder that was given with -o.",
    )


def _main_table(folder: Path, kind: str) -> pd.DataFrame:
    path = folder / main_tables()[kind]
    table = (
        pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"material_id": str})
        if path.suffix == ".csv"
        else pd.read_parquet(path)
    )
    if kind == "ranked" and (folder / FOLLOWED).is_file():
        followed = pd.read_csv(folder / FOLLOWED, keep_default_na=False, na_values=[""], dtype={"material_id": str})
        known = [name for name in followed if name == "material_id" or name not in (*table, "predicted_mev")]
        return table.merge(followed[known], on="material_id", how="left")
    if kind in TIERS and len(table):
        return table.sort_values(find_tier(kind).sort_by, na_position="last", ignore_index=True)
    if kind in SUMMARIES:
        return SUMMARIES[kind](table)
    if kind == "known":
        return _of_one_model(table, folder)
    return table


def _conductors(folder: Path) -> pd.DataFrame:
    """Known conductors beside a screen; none in the folders of other runs."""
    path = folder / YARDSTICKS
    if not path.is_file():
        return pd.DataFrame()
    known = pd.read_csv(path)
    return known[known["measured_sigma_s_cm"] >= CONDUCTOR_S_CM]


def _of_one_model(predictions: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Random folds of the model that is kept, with how far each prediction is off."""
    provenance = _json(folder / "model.json")["provenance"]
    chosen = predictions
    for column, name in (("algorithm", "algorithm"), ("features", "feature_set")):
        chosen = chosen[chosen[column] == provenance[name]]
    chosen = chosen[chosen["split"] == "random"].drop(columns=["algorithm", "features", "split"])
    error = chosen["predicted_mev"] - chosen["band_center_mev"]
    return chosen.assign(error_mev=error).sort_values("error_mev", key=lambda values: -values.abs(), ignore_index=True)


def _runs_of_tiers(folder: Path, kind: str) -> dict[str, list[Path]]:
    """Folders of the runs of each tier: the run itself, or ``TIER`` and ``TIER/*`` in it."""
    return {
        name: [
            path
            for path in ([folder] if name == kind else [folder / name, *sorted((folder / name).glob("*"))])
            if (path / tier.table).is_file()
        ]
        for name, tier in all_tiers().items()
    }


def _read_computed(runs: Mapping[str, Sequence[Path]], kind: str, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    by_tier: dict[str, list[pd.DataFrame]] = {}
    for name, folders in runs.items():
        tables = [table] if name == kind else [_parquet(path / find_tier(name).table) for path in folders]
        by_tier[name] = [frame for frame in tables if frame is not None and len(frame)]
    return {
        name: pd.concat(frames).drop_duplicates("material_id").set_index("material_id")
        for name, frames in by_tier.items()
        if frames
    }


def _failures(folder: Path) -> pd.DataFrame:
    failures = _parquet(folder / "failures.parquet")
    return failures if failures is not None else pd.DataFrame(columns=list(FAILURE_COLUMNS))


def _parquet(path: Path) -> pd.DataFrame | None:
    """A table; None where it is not there.

    Raises
    ------
    SettingsError
        When it cannot be read.
    """
    try:
        return pd.read_parquet(path) if path.is_file() else None
    except (OSError, ValueError, NotImplementedError) as error:  # those of Arrow are among them
        raise _read_error(path, error) from None


def _rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a table; none where it is not there."""
    table = _parquet(path)
    rows: list[dict[str, Any]] = [] if table is None else table.to_dict("records")  # type: ignore[assignment]
    return rows


def _json(path: Path) -> Any:
    """Contents of a JSON file; empty where there is none, or half of one.

    Raises
    ------
    SettingsError
        When it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, RecursionError) as error:
        raise _read_error(path, error) from None


def _read_error(path: Path, error: Exception) -> SettingsError:
    return SettingsError(f"{path} cannot be read", why=str(error)[:200], fix="Run the command again.")


def names_of(contents: Contents) -> Sequence[str]:
    """The materials of a run, in the order of its table."""
    return [str(name) for name in contents.table["material_id"]]


def arrived(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of candidates that a study followed to the end, the best by the last tier first."""
    if "stopped" not in table:
        return table.iloc[:0]
    return table[table["stopped"] == TO_THE_END].sort_values(deciding_column(table.columns), kind="stable")
