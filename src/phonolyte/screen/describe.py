"""One batch of a screen: read, featurized, predicted, described; what a worker does, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.arrays import Floats
from phonolyte.chemistry.costs import price_usd_kg, scarcest_elements
from phonolyte.chemistry.elements import SYMBOLS
from phonolyte.errors import Failure
from phonolyte.features import FeatureSet, featurize_orderings
from phonolyte.features.feature_sets import mean_over_orderings
from phonolyte.features.fractions import ElementFractions
from phonolyte.features.ion_sites import IonSites
from phonolyte.learning_set import ION_LENGTH
from phonolyte.models import BandCenterModel
from phonolyte.models.cells import UNKNOWN
from phonolyte.models.center import EMBEDDED, MANIFEST
from phonolyte.models.ion import IonCenterModel
from phonolyte.models.nearest import Learned
from phonolyte.runs.digest import digest_of
from phonolyte.runs.records import in_one_step
from phonolyte.screen.properties import PROPERTY_COLUMNS, number_of
from phonolyte.structures import Crystal, Reading
from phonolyte.structures.batches import Batch
from phonolyte.structures.crystal_table import NOT_ALWAYS, crystal_table, with_all_columns
from phonolyte.structures.duplicates import fingerprint
from phonolyte.structures.families import family
from phonolyte.structures.reading import Skipped

METHOD = 5
"""Version of what is computed of a crystal: raise it when the same crystal gives another row."""

CRYSTAL = ("lattice", "species", "frac_coords", *NOT_ALWAYS)
"""Columns of a part that are the crystal itself."""

ORDERED = ("ordered_lattice", "ordered_species", "ordered_frac_coords")
"""Columns of a part that are the representative of a disordered crystal; null for an ordered one."""

PREDICTED = ("band_center_mev", "lower_mev", "upper_mev", "ion_center_mev", "ion_lower_mev", "ion_upper_mev")
"""Columns of numbers that models predict."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Models that every worker loads by itself.

    Attributes
    ----------
    folder
        Folder of the model of the band center; None for one that comes with Phonolyte.
    name
        Name of that one.
    mobile
        Symbol of the mobile ion; ``any``: the first that a crystal has.
    """

    folder: Path | None = None
    name: str = "physical"
    mobile: str = "any"

    @classmethod
    def from_option(cls, model: str | Path | None, *, default: str = "physical") -> ModelSource:
        """The source that an option names: a folder, or one of the models that come with Phonolyte."""
        if model is None:
            return cls(name=default)
        if str(model) in EMBEDDED and not Path(model).exists():
            return cls(name=str(model))
        return cls(Path(model).expanduser())

    @property
    def files(self) -> list[Path]:
        """Files of a model that did not come with Phonolyte."""
        return [self.folder / MANIFEST] if self.folder else []

    def load(self) -> Models:
        """Return the model and the compounds it has learned from; loaded once in a process."""
        return replace(_load_models(self.folder, self.name), mobile=self.mobile)


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """Models that describe crystals.

    Attributes
    ----------
    center
        Model of the band center.
    learned
        Compounds among which the nearest are looked up; None: they are not.
    ion
        Model of the mobile ion's center; None: it is not predicted.
    mobile
        Symbol of the mobile ion; ``any``: the first that a crystal has.
    name
        Name of the model of the band center, where it comes with Phonolyte.
    """

    center: BandCenterModel
    learned: Learned | None = None
    ion: IonCenterModel | None = None
    mobile: str = "any"
    name: str = ""

    @property
    def sets(self) -> tuple[FeatureSet, ...]:
        """Feature sets that the models need; those of the band center first."""
        sets = self.center.sets
        if self.ion is None:
            return sets
        elements = () if "elements" in self.center.set_names else (ElementFractions(),)
        relaxed = "modes" in self.center.set_names
        return (*sets, *elements, IonSites(self.mobile, ION_LENGTH if relaxed else 1.0))

    def load(self) -> Models:
        """Return itself."""
        return self

    @property
    def fingerprint(self) -> str:
        """Digest of what decides a row."""
        learned, ion = (each.fingerprint if each else "" for each in (self.learned, self.ion))
        return digest_of(METHOD, self.center.fingerprint, learned, ion, self.mobile)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a batch gave.

    Attributes
    ----------
    path
        File with the described crystals, None where they are in `table`.
    table
        Arrow table of the described crystals, None where it is in a file.
    failures
        Materials that could not be read, or have no features; the latter have a row in the table, too.
    n_read, n_unreadable
        Crystals of the batch, and materials that are not.
    skipped
        Files of the batch that are not structures.
    """

    path: Path | None
    table: Any
    failures: list[Failure]
    n_read: int
    n_unreadable: int
    skipped: list[Skipped] = field(default_factory=list)

    def load(self, columns: Sequence[str] | None = None) -> Any:
        """Return the described crystals as an Arrow table."""
        import pyarrow.parquet as pq

        if self.path is not None:
            return pq.read_table(self.path, columns=list(columns) if columns else None)
        return self.table.select(list(columns)) if columns else self.table


def describe_batch(
    batch: Batch,
    models: Models | ModelSource,
    folder: Path | None = None,
    *,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Part:
    """Read a batch, and describe each of its crystals by a row.

    Parameters
    ----------
    batch
        Batch to read.
    models
        Models, or where a worker finds them.
    folder
        Folder that keeps finished parts, so that a killed run goes on; nothing is kept without.
    executor
        Threads that map over the crystals of the batch.
    progress
        Called with the number of crystals done since the last call.
    """
    loaded, reading = models.load(), batch.load()
    n_bad = len(reading.failures)
    path = folder / f"{_digest(reading.crystals, loaded)}.parquet" if folder else None
    if path is not None and (table := _read_finished(path)) is not None:
        if progress:
            progress(len(reading.crystals))
        return Part(path, None, [*reading.failures, *_lost(table)], len(reading.crystals), n_bad, reading.skipped)
    table = _describe(reading, loaded, executor, progress)
    failures = [*reading.failures, *_lost(table)]
    if path is None:
        return Part(None, table, failures, len(reading.crystals), n_bad, reading.skipped)
    _write(table, path)
    return Part(path, None, failures, len(reading.crystals), n_bad, reading.skipped)


def _describe(
    reading: Reading, models: Models, executor: Executor | None, progress: Callable[[int], None] | None
) -> Any:
    import pyarrow as pa

    crystals = reading.crystals
    places = [replace(crystal, material_id=str(place)) for place, crystal in enumerate(crystals)]  # names may repeat
    described = featurize_orderings(places, sets=models.sets, executor=executor, progress=progress)
    table = described.table
    predicted = models.center.predict_orderings(table, [set(crystals[int(row)].symbols) for row in table.index])
    if models.ion is not None:
        predicted = predicted.join(models.ion.predict(table))
    rows = predicted.index.astype(int).to_numpy()
    ordered = [described.representatives.get(str(place), crystal) for place, crystal in enumerate(crystals)]
    run = executor.map if executor else map
    columns: dict[str, Any] = {
        "n_atoms": np.array([round(crystal.n_atoms) for crystal in crystals], dtype=np.int64),
        "volume_per_atom_a3": np.array([crystal.volume_a3 / crystal.n_atoms for crystal in crystals]),
        **_costs(crystals),
        "family": list(run(family, ordered)),
        "elements_low": np.array([element_mask(crystal)[0] for crystal in crystals], dtype=np.uint64),
        "elements_high": np.array([element_mask(crystal)[1] for crystal in crystals], dtype=np.uint64),
        "fingerprint": _list_column([np.asarray(values) for values in run(fingerprint, crystals)]),
        "own_source": [crystal.source for crystal in crystals],
        "disordered": np.array([not crystal.is_ordered for crystal in crystals], dtype=bool),
        **_representatives(crystals, ordered),
    }
    for name in PROPERTY_COLUMNS:
        columns[name] = np.array([number_of(crystal.properties.get(name)) for crystal in crystals], dtype=float)
    spread = pd.DataFrame(index=range(len(crystals))).join(predicted.set_index(rows))
    for name in PREDICTED:
        columns[name] = spread[name].to_numpy(float) if name in spread else np.full(len(crystals), np.nan)
    columns["cell"] = spread["cell"].fillna(UNKNOWN).astype(str).tolist()
    columns["in_domain"] = spread["in_domain"].eq(True).to_numpy(bool)  # a crystal without features is outside
    columns["n_orderings"] = spread["n_orderings"].fillna(0).to_numpy(np.int64)
    if models.learned is not None:
        columns |= _nearest(models.learned, mean_over_orderings(table), rows, len(crystals))
    errors = {int(failure.material_id): failure for failure in described.failures}
    for name in ("error", "message"):
        columns[name] = pa.array([getattr(errors.get(i), name, None) for i in range(len(crystals))], pa.string())
    part = with_all_columns(crystal_table(crystals))
    for name, values in columns.items():
        part = part.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
    return part


def _costs(crystals: Sequence[Crystal]) -> dict[str, Any]:
    """Columns of what the elements of crystals cost, and of the rarest one."""
    amounts = np.zeros((len(crystals), len(SYMBOLS)))
    for row, crystal in zip(amounts, crystals, strict=True):
        np.add.at(row, crystal.numbers, 1.0 if crystal.occupancies is None else crystal.occupancies)
    symbols, abundance = scarcest_elements(amounts)
    return {"price_usd_kg": price_usd_kg(amounts), "scarcest_mg_kg": abundance, "scarcest_element": symbols}


def _representatives(crystals: Sequence[Crystal], ordered: Sequence[Crystal]) -> dict[str, Any]:
    """Columns of the ordered representatives of disordered crystals."""
    import pyarrow as pa

    rows = [
        each.row() if each.is_ordered and not crystal.is_ordered else {}
        for crystal, each in zip(crystals, ordered, strict=True)
    ]
    kinds = (pa.list_(pa.float64()), pa.list_(pa.string()), pa.list_(pa.float64()))
    names = (name.removeprefix("ordered_") for name in ORDERED)
    contents = [
        each.cell_formula if each.is_ordered and not crystal.is_ordered else None
        for crystal, each in zip(crystals, ordered, strict=True)
    ]
    columns = {
        name: pa.array([row.get(key) for row in rows], kind)
        for name, key, kind in zip(ORDERED, names, kinds, strict=True)
    }
    return {"ordered_as": pa.array(contents, pa.string()), **columns}


def _nearest(learned: Learned, features: pd.DataFrame, rows: Any, n: int) -> dict[str, Any]:
    places, distances = learned.nearest(features)
    of_place: list[Any] = [np.empty(0, np.int64)] * n
    of_distance: list[Any] = [np.empty(0)] * n
    for row, place, distance in zip(rows, places, distances, strict=True):
        of_place[row], of_distance[row] = place, distance
    return {"nearest": _list_column(of_place), "nearest_distance": _list_column(of_distance)}


def _list_column(parts: Sequence[Any]) -> Any:
    import pyarrow as pa

    ends: Any = pa.array(np.cumsum([0, *map(len, parts)]).astype(np.int32))
    values: Any = pa.array(np.concatenate(parts) if parts else np.empty(0))
    return pa.ListArray.from_arrays(ends, values)


def element_mask(crystal: Crystal) -> tuple[int, int]:
    """Elements of a crystal as bits: those up to Z = 63, and those from 64 on."""
    low = high = 0
    for z in set(crystal.numbers.tolist()):
        if z < 64:
            low |= 1 << z
        else:
            high |= 1 << (z - 64)
    return low, high


def symbols_of(low: int, high: int) -> frozenset[str]:
    """Symbols of the elements whose bits are set."""
    return frozenset(SYMBOLS[z] for z in range(1, len(SYMBOLS)) if (low >> z if z < 64 else high >> (z - 64)) & 1)


def _lost(table: Any) -> list[Failure]:
    """Failures of crystals without features."""
    wanted = table.select(["material_id", "own_source", "error", "message"]).to_pandas()
    lost = wanted[wanted["error"].notna()]
    return [
        Failure(str(name), "features", str(error), str(message), str(source))
        for name, source, error, message in lost.itertuples(index=False)
    ]


def _digest(crystals: Sequence[Crystal], models: Models) -> str:
    """Name for the work of one batch: the same crystals and models give the same."""
    named = [(c.material_id, c.source, [c.properties.get(name) for name in PROPERTY_COLUMNS]) for c in crystals]
    arrays = [values for c in crystals for values in c.identity]
    return digest_of(models.fingerprint, [str(values) for values in named], arrays)[:24]


def _write(table: Any, path: Path) -> None:
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    with in_one_step(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def _read_finished(path: Path) -> Any:
    """Failures of a part that an earlier run finished; one that a crash left unreadable is computed again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return (
            pq.read_table(path, columns=["material_id", "own_source", "error", "message"]) if path.is_file() else None
        )
    except (OSError, ValueError, pa.ArrowException):
        return None


@lru_cache(maxsize=4)
def _load_models(folder: Path | None, name: str) -> Models:
    from phonolyte import learning_set

    ion = IonCenterModel.embedded()
    if folder is None:
        model = BandCenterModel.embedded(name)
        return Models(model, learning_set.load_learned(model.domain), ion, name=name)
    model = BandCenterModel.load(folder)
    return Models(model, Learned.beside(folder, model.domain), ion)


def positions_of(parts: Sequence[Part]) -> Floats:
    """First row of each part in the joined table."""
    return np.concatenate(([0], np.cumsum([part.n_read for part in parts])))
