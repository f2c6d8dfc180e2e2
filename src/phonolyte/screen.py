"""The funnel: predict every crystal, apply named criteria, and rank what is left, with counts that add up."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte import __version__
from phonolyte.arrays import Flags
from phonolyte.elements import ATOMIC_NUMBERS, SYMBOLS
from phonolyte.errors import Failure, SettingsError, TableError
from phonolyte.families import MOBILE_IONS, family
from phonolyte.features import featurize
from phonolyte.models import BandCenterModel
from phonolyte.runs import write_parquet
from phonolyte.structures import Crystal
from phonolyte.structures.duplicates import find_duplicates
from phonolyte.structures.reading import Reading

SHARD = 2000
"""Crystals predicted between two writes: what a kill can cost."""

PROPERTY_COLUMNS = ("e_hull_ev", "band_gap_ev")
CRITERIA = ("ion", "stable_elements", "e_hull", "band_gap", "band_center", "unique")


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a candidate must be. None leaves a criterion out.

    Attributes
    ----------
    ion
        The mobile ion, an element symbol, or ``"any"`` for one of Li, Na, K, Mg, Ca, Zn, Ag, Cu.
    max_center_mev
        Largest band center in meV; 40 is the study's.
    max_e_hull_ev
        Largest energy above the convex hull in eV/atom; 0.05 is the study's.
    min_gap_ev
        Smallest band gap in eV: an electrolyte must not conduct electrons.
    no_radioactive
        Whether Tc, Pm and the elements from Po on rule a compound out.
    unique
        Whether, of crystals that are the same, only the first that meets all other criteria is kept.
    """

    ion: str | None = "any"
    max_center_mev: float | None = 40.0
    max_e_hull_ev: float | None = 0.05
    min_gap_ev: float | None = 1.0
    no_radioactive: bool = True
    unique: bool = True

    def __post_init__(self) -> None:
        if self.ion is not None and self.ion != "any" and self.ion not in ATOMIC_NUMBERS:
            raise SettingsError(f"there is no element {self.ion!r}", fix="Give a symbol such as Li, or any.")
        for name in ("max_center_mev", "max_e_hull_ev", "min_gap_ev"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value):
                raise SettingsError(f"{name} is {value}", fix="Give a number.")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the funnel: `kept` + `rejected` + `missing` is what the step before kept.

    `missing` counts materials without the property; a step with `applied` False kept everything, and
    `note` says why.
    """

    name: str
    rule: str
    applied: bool
    rejected: int
    missing: int
    kept: int
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """Result of a screen: the ranked `table`, the `funnel`, what `failures` there were, and `notes`."""

    table: pd.DataFrame
    funnel: list[Step]
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def n_ranked(self) -> int:
        """How many passed every criterion."""
        return int(self.table["passes"].sum())


def screen(
    reading: Reading,
    *,
    model: BandCenterModel | None = None,
    criteria: Criteria | None = None,
    properties: pd.DataFrame | None = None,
    shards: Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Screening:
    """Rank crystals as candidates for solid electrolytes.

    Parameters
    ----------
    reading
        What :func:`phonolyte.structures.read` gave.
    model
        The embedded one where none is given.
    criteria
        Of the study, plus a band gap, unless given.
    properties
        Indexed by `material_id`; columns ``e_hull_ev`` (eV/atom) and ``band_gap_ev`` (eV) serve criteria.
    shards
        Folder in which finished parts are kept, so that a killed run goes on; nothing is kept without.
    executor
        Maps over the crystals; threads are enough.
    progress
        Called with the number of crystals done since the last call.

    Returns
    -------
    Screening
        Every readable crystal has a row, the best first; ``rank`` is null where a criterion rejects it.

    Raises
    ------
    TableError
        When two crystals have one name, or `properties` know none of them.
    """
    model, criteria = model or BandCenterModel.embedded(), criteria or Criteria()
    crystals = reading.crystals
    repeated = [name for name, count in Counter(crystal.material_id for crystal in crystals).items() if count > 1]
    if repeated:
        raise TableError(
            f"{len(repeated)} material_ids occur more than once",
            why=f"for example {repeated[0]}",
            fix="Read the crystals with phonolyte.structures.read, which makes them unique.",
        )
    predicted, failures = _predict(crystals, model, shards, executor, progress)
    table = _described(crystals, executor)
    table = table.join(predicted, on="material_id")
    table = _with_properties(table, crystals, properties)
    table, funnel = apply_criteria(table, criteria)
    n_read = len(crystals) + len(reading.failures)
    first = Step("readable", "the structure can be read", True, len(reading.failures), 0, len(crystals))
    second = Step("features", "features can be computed", True, len(failures), 0, len(crystals) - len(failures))
    total = Step("input", "materials given", True, 0, 0, n_read)
    ranked = table.sort_values(["passes", "band_center_mev"], ascending=[False, True], kind="stable")
    ranked = ranked.reset_index(drop=True)
    ranked.insert(0, "rank", pd.Series(ranked.index + 1, dtype="Int64").where(ranked["passes"]))
    notes = [*reading.notes, *_notes_on_join(crystals, properties)]
    return Screening(ranked, [total, first, second, *funnel], [*reading.failures, *failures], notes)


def apply_criteria(table: pd.DataFrame, criteria: Criteria) -> tuple[pd.DataFrame, list[Step]]:
    """Add ``passes``, ``rejected_by`` and ``reason`` to a table of predictions, and count each step.

    A material without the property that a criterion asks for does not pass, and is counted as missing; a
    property that the whole table lacks leaves its criterion out, and the step says so.
    """
    alive = table["band_center_mev"].notna().to_numpy()
    rejected_by = np.where(alive, "", "features").astype(object)
    reason = np.where(alive, "", "features could not be computed").astype(object)
    steps = []
    for judge in _judges(table, criteria):
        verdict = judge(alive)
        if verdict.holds is None:
            steps.append(Step(verdict.name, verdict.rule, False, 0, 0, int(alive.sum()), verdict.note))
            continue
        missing = alive & verdict.missing
        out = alive & (verdict.missing | ~verdict.holds)
        rejected_by[out] = verdict.name
        reason[out] = [verdict.reason(i) for i in np.flatnonzero(out).tolist()]
        alive = alive & ~out
        lost = int(missing.sum())
        steps.append(Step(verdict.name, verdict.rule, True, int(out.sum()) - lost, lost, int(alive.sum())))
    return table.assign(passes=alive, rejected_by=rejected_by, reason=reason), steps


@dataclass(frozen=True, slots=True, eq=False)
class _Verdict:
    """What a criterion says of each material.

    Whether it `holds` (None: left out, `note` says why) or cannot be judged for a `missing` property, and
    the `reason` for which the i-th material is rejected.
    """

    name: str
    rule: str
    holds: Flags | None
    missing: Flags
    reason: Callable[[int], str]
    note: str = "left out"


Judge = Callable[[Flags], _Verdict]
"""From the materials still in the funnel to a verdict on all."""


def _judges(table: pd.DataFrame, criteria: Criteria) -> list[Judge]:
    ions = {None: (), "any": MOBILE_IONS}.get(criteria.ion, (criteria.ion,))
    e_hull = _bounded(table, "e_hull", "e_hull_ev", criteria.max_e_hull_ev, "energy above hull", "eV/atom")
    gap = _bounded(table, "band_gap", "band_gap_ev", criteria.min_gap_ev, "band gap", "eV", least=True)
    center = _bounded(table, "band_center", "band_center_mev", criteria.max_center_mev, "band center", "meV")
    return [
        lambda _: _has_ion(table, ions),
        lambda _: _stable_elements(table, applied=criteria.no_radioactive),
        lambda _: e_hull,
        lambda _: gap,
        lambda _: center,
        lambda alive: _unique(table, alive, applied=criteria.unique),
    ]


def _has_ion(table: pd.DataFrame, ions: Sequence[str | None]) -> _Verdict:
    holds = np.array([any(ion in symbols for ion in ions) for symbols in table["elements"]], dtype=bool)
    rule = f"contains {_or(ions)}" if ions else "contains a mobile ion"
    return _Verdict("ion", rule, holds if ions else None, np.zeros(len(table), bool), lambda _: f"no {_or(ions)}")


def _stable_elements(table: pd.DataFrame, *, applied: bool) -> _Verdict:
    found = [sorted(filter(_is_radioactive, symbols)) for symbols in table["elements"]]
    holds = np.array([not symbols for symbols in found], dtype=bool) if applied else None
    rule, nothing = "no radioactive element", np.zeros(len(table), bool)
    return _Verdict("stable_elements", rule, holds, nothing, lambda i: f"radioactive: {', '.join(found[i])}")


def _unique(table: pd.DataFrame, alive: Flags, *, applied: bool) -> _Verdict:
    """Of the materials still alive, the first of each kind: a repetition cannot push its kind out of the funnel."""
    ids = table["material_id"]
    kind = table["duplicate_of"].fillna(ids)
    holds = ~(kind.where(alive).duplicated() & alive).to_numpy()
    first = dict(zip(kind[alive & holds], ids[alive & holds], strict=True))
    rule, nothing = "no repetition of another crystal", np.zeros(len(table), bool)
    return _Verdict(
        "unique", rule, holds if applied else None, nothing, lambda i: f"the same crystal as {first[kind.iloc[i]]}"
    )


def _bounded(
    table: pd.DataFrame, name: str, column: str, bound: float | None, what: str, unit: str, *, least: bool = False
) -> _Verdict:
    values = table[column].to_numpy(float)
    missing = np.isnan(values)
    sign = "at least" if least else "at most"
    rule = what if bound is None else f"{what} {sign} {bound:g} {unit}"
    holds, note = None, "left out"
    if bound is not None and missing.all() and len(values):
        note = "no crystal's value is known (give it with --properties)"
    elif bound is not None:
        holds = (values >= bound) if least else (values <= bound)
    return _Verdict(name, rule, holds, missing, lambda i: _shortfall(what, values[i], unit), note)


def _shortfall(what: str, value: float, unit: str) -> str:
    return f"{what} unknown" if np.isnan(value) else f"{what} {value:.3g} {unit}"


def _or(words: Sequence[str | None]) -> str:
    *first, last = map(str, words)
    return f"{', '.join(first)} or {last}" if first else last


def _notes_on_join(crystals: Sequence[Crystal], properties: pd.DataFrame | None) -> list[str]:
    """What to say of a table of properties that knows few of the crystals, or none."""
    if properties is None or not crystals:
        return []
    known = sum(crystal.material_id in properties.index for crystal in crystals)
    if known == 0:
        raise TableError(
            "the table of properties knows none of the crystals",
            why=f"it has ids such as {', '.join(map(str, properties.index[:2]))}, the crystals such as "
            f"{', '.join(crystal.material_id for crystal in crystals[:2])}",
            fix="Give both the same material_id.",
        )
    return [f"the properties know {known} of {len(crystals)} crystals"] if known < len(crystals) else []


def read_properties(path: str | Path) -> pd.DataFrame:
    """Read a table of properties (CSV or Parquet), indexed by `material_id`.

    Raises
    ------
    TableError
        When it cannot be read, has no `material_id`, or gives one material different values.
    """
    path = Path(path)
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"material_id": str})
    except Exception as error:  # a foreign parser can raise anything at a bad file
        raise TableError(f"{path} cannot be read", why=str(error).splitlines()[0], fix="Give CSV or Parquet.") from None
    if "material_id" not in table:
        raise TableError(
            f"{path.name} has no column 'material_id'",
            why=f"it has {', '.join(map(str, table.columns[:6]))}",
            fix="Name the column that identifies the materials.",
        )
    columns = [column for column in PROPERTY_COLUMNS if column in table]
    if not columns:
        raise TableError(f"{path.name} has none of {', '.join(PROPERTY_COLUMNS)}", fix="Name the columns so.")
    table = table[["material_id", *columns]].astype({"material_id": str}).drop_duplicates()
    for column in columns:
        values = pd.to_numeric(table[column], errors="coerce")
        bad = table[column].notna() & values.isna()
        if bad.any():
            raise TableError(f"{column} of {table['material_id'][bad].iloc[0]} is {table[column][bad].iloc[0]!r}",
                             fix=f"Give numbers in {path.name}, or leave the field empty.")  # fmt: skip
        table[column] = values
    repeated = table["material_id"][table["material_id"].duplicated()]
    if len(repeated):
        raise TableError(f"{path.name} gives {len(repeated)} materials two different rows",
                         why=f"for example {repeated.iloc[0]}", fix="Keep one row a material.")  # fmt: skip
    return table.set_index("material_id").astype(float)


def funnel_record(screening: Screening, criteria: Criteria) -> dict[str, Any]:
    """What ``funnel.json`` holds: criteria, steps and families of the candidates."""
    passed = screening.table[screening.table["passes"]]
    families = passed["family"].value_counts()
    return {
        "criteria": asdict(criteria),
        "steps": [asdict(step) for step in screening.funnel],
        "families": {str(name): int(count) for name, count in families.items()},
        "candidates": screening.n_ranked,
        "duplicates": int(screening.table["duplicate_of"].notna().sum()),
        "failures": len(screening.failures),
        "out_of_domain_candidates": int((~passed["in_domain"].astype(bool)).sum()),
        "caveat": "The band center is a proxy: within a family a soft lattice goes with mobile ions; "
        "it is no conductivity.",
    }


def write_screening(screening: Screening, criteria: Criteria, folder: Path) -> None:
    """Write ``ranked.parquet``, ``ranked.csv`` and ``funnel.json``."""
    table = screening.table.drop(columns="elements")
    write_parquet(table, folder / "ranked.parquet")
    table.to_csv(folder / "ranked.csv", index=False, float_format="%.6g")
    record = json.dumps(funnel_record(screening, criteria), indent=1)
    (folder / "funnel.json").write_text(record + "\n", encoding="utf-8")


def _predict(
    crystals: Sequence[Crystal],
    model: BandCenterModel,
    shards: Path | None,
    executor: Executor | None,
    progress: Callable[[int], None] | None,
) -> tuple[pd.DataFrame, list[Failure]]:
    tables, failures = [], []
    for start in range(0, len(crystals), SHARD):
        part = crystals[start : start + SHARD]
        table, failed = _predict_shard(part, model, shards, executor, progress)
        tables.append(table)
        failures.extend(failed)
    empty = pd.DataFrame(columns=["band_center_mev", "lower_mev", "upper_mev", "in_domain"], dtype=float)
    return (pd.concat(tables) if tables else empty.rename_axis("material_id")), failures


def _predict_shard(
    crystals: Sequence[Crystal],
    model: BandCenterModel,
    shards: Path | None,
    executor: Executor | None,
    progress: Callable[[int], None] | None,
) -> tuple[pd.DataFrame, list[Failure]]:
    path = shards / f"{_digest(crystals, model)}.parquet" if shards else None
    done = _finished(path)
    if done is not None:
        if progress:
            progress(len(crystals))
    else:
        features, failed = featurize(crystals, executor=executor, progress=progress)
        by_id = {crystal.material_id: crystal for crystal in crystals}
        symbols = [set(by_id[name].symbols) for name in features.index]
        done = model.predict(features, symbols).reset_index()
        rows = [asdict(failure) for failure in failed]
        done = pd.concat([done, pd.DataFrame(rows)]) if rows else done
        if path and shards:
            shards.mkdir(parents=True, exist_ok=True)
            write_parquet(done, path)
    failures = []
    if "error" in done:
        lost = done[done["error"].notna()]
        failures = [Failure(*row) for row in lost[["material_id", "stage", "error", "message", "source"]].to_numpy()]
        done = done[done["error"].isna()]
    columns = ["band_center_mev", "lower_mev", "upper_mev", "in_domain"]
    return done.set_index("material_id")[columns].astype({"in_domain": bool}), failures


def _finished(path: Path | None) -> pd.DataFrame | None:
    """A part that an earlier run finished; one that a crash left unreadable is computed again."""
    try:
        return pd.read_parquet(path) if path and path.is_file() else None
    except (OSError, ValueError):
        return None


def _digest(crystals: Sequence[Crystal], model: BandCenterModel) -> str:
    """A name for the work of one shard: the same crystals, model and version of Phonolyte give the same."""
    digest = hashlib.sha256(f"{__version__} {model.fingerprint}".encode())
    for crystal in crystals:
        digest.update(crystal.material_id.encode() + b"\0")
        for values in (crystal.lattice, crystal.numbers, crystal.frac_coords):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:24]


def _described(crystals: Sequence[Crystal], executor: Executor | None) -> pd.DataFrame:
    """What the table says of a crystal without a model."""
    run = executor.map if executor else map
    return pd.DataFrame(
        {
            "material_id": [crystal.material_id for crystal in crystals],
            "formula": [crystal.formula for crystal in crystals],
            "family": list(run(family, crystals)),
            "n_atoms": [len(crystal) for crystal in crystals],
            "volume_per_atom_a3": [crystal.volume_a3 / len(crystal) for crystal in crystals],
            "duplicate_of": pd.array(find_duplicates(crystals, executor=executor), dtype="object"),
            "elements": [frozenset(crystal.symbols) for crystal in crystals],
        }
    )


def _with_properties(table: pd.DataFrame, crystals: Sequence[Crystal], properties: pd.DataFrame | None) -> pd.DataFrame:
    """Add the properties of criteria: those given, else those that came with the crystals."""
    for column in PROPERTY_COLUMNS:
        own = pd.to_numeric(pd.Series([crystal.properties.get(column) for crystal in crystals]), errors="coerce")
        values = own.astype(float)
        if properties is not None and column in properties:
            values = table["material_id"].map(properties[column]).fillna(values)
        table[column] = values
    return table


def _is_radioactive(symbol: str) -> bool:
    return symbol in ("Tc", "Pm") or ATOMIC_NUMBERS[symbol] >= SYMBOLS.index("Po")


def criteria_from(settings: Mapping[str, Any]) -> Criteria:
    """Criteria from resolved settings; ``without`` lists the names of criteria to leave out.

    Raises
    ------
    SettingsError
        For a criterion that does not exist.
    """
    without = set(settings.get("without") or ())
    unknown = without - set(CRITERIA)
    if unknown:
        raise SettingsError(f"there is no criterion {sorted(unknown)[0]!r}", fix=f"Choose among {', '.join(CRITERIA)}.")
    return Criteria(
        ion=None if "ion" in without else settings["ion"],
        max_center_mev=None if "band_center" in without else settings["max_center_mev"],
        max_e_hull_ev=None if "e_hull" in without else settings["max_e_hull_ev"],
        min_gap_ev=None if "band_gap" in without else settings["min_gap_ev"],
        no_radioactive="stable_elements" not in without,
        unique="unique" not in without,
    )
