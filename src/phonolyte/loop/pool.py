"""What a loop chooses from: crystals of a screen that a better center could bring in, or throw out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from phonolyte.arrays import Flags
from phonolyte.errors import Failure, ModelError
from phonolyte.features import featurize
from phonolyte.features.feature_sets import named_sets
from phonolyte.loop.choosing import Pool
from phonolyte.loop.learning import Known
from phonolyte.models import BandCenterModel
from phonolyte.runs.digest import digest_of
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import in_one_step
from phonolyte.screen import Screening
from phonolyte.screen.describe import CRYSTAL, ORDERED
from phonolyte.structures import Crystal
from phonolyte.structures.crystal_table import records_of
from phonolyte.structures.duplicates import find_duplicates


def open_crystals(screening: Screening, ion: str = "") -> list[Crystal]:
    """Crystals whose place a center decides: candidates, and those that the limit of the center alone rejects.

    Parameters
    ----------
    screening
        Screen.
    ion
        Element that they contain; empty for any.

    Returns
    -------
    list
        Ordered crystals (of a disordered one its representative), the softest first.
    """
    table = screening.table
    decided = table["passes"].astype(bool) | ((table["rejected_by"] == "band_center") & table["duplicate_of"].isna())
    table = table[decided.to_numpy()].sort_values("band_center_mev", kind="stable")
    wanted = [
        name
        for name, symbols in zip(table["material_id"], screening.elements_of(table), strict=True)
        if not ion or ion in symbols
    ]
    names = screening.table["material_id"].sort_index().tolist()
    of_name = _load(screening, names, frozenset(wanted))
    return [of_name[name] for name in wanted]


def _load(screening: Screening, names: Sequence[str], wanted: frozenset[str]) -> dict[str, Crystal]:
    crystals: dict[str, Crystal] = {}
    start = 0
    for part in screening.parts:
        table = part.load([*CRYSTAL, *ORDERED])
        names_of_part = names[start : start + len(table)]
        start += len(table)
        ordered = table.select(list(ORDERED)).rename_columns([name.removeprefix("ordered_") for name in ORDERED])
        has_order = ordered.column(0).is_valid().to_pylist()
        pairs = zip(names_of_part, records_of(table.select(list(CRYSTAL))), records_of(ordered), has_order, strict=True)
        crystals |= {
            name: (make_ordered if is_there else make)(name)
            for name, (_, make), (_, make_ordered), is_there in pairs
            if name in wanted
        }
    return crystals


def leave_out_known(crystals: Sequence[Crystal], known: Sequence[Known]) -> list[Crystal]:
    """Crystals that neither have the name of a known one nor repeat it, or each other."""
    names = {each.crystal.material_id for each in known}
    left = [crystal for crystal in crystals if crystal.material_id not in names]
    formulas = {crystal.formula for crystal in left}
    first = [replace(each.crystal, material_id="") for each in known if each.crystal.formula in formulas]
    repeats = find_duplicates([*first, *left])[len(first) :]
    return [crystal for crystal, repeated in zip(left, repeats, strict=True) if repeated is None]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Crystals to choose from, and what models predict of them.

    Attributes
    ----------
    pool
        What does not change when a model learns more.
    crystals
        Crystals by name.
    failures
        Crystals without features.
    """

    pool: Pool
    crystals: dict[str, Crystal]
    failures: list[Failure]

    @classmethod
    def describe(
        cls, crystals: Sequence[Crystal], model: BandCenterModel, folder: Path, *, threads: Executor | None = None,
        progress: OpenBar = no_bar,
    ) -> Candidates:  # fmt: skip
        """Describe ordered crystals by the feature sets of a model; their features are kept in a folder.

        Raises
        ------
        ModelError
            For a model that scales crystals to volumes of its own.
        """
        if model.cells is not None and model.cells.rescale:
            raise ModelError(
                "a model of predicted volumes cannot learn in rounds",
                why="it sees no crystal as it is",
                fix="Use the recipe physical or study.",
            )
        file = folder / f"features-{digest_of(model.set_names, [c.identity for c in crystals])[:16]}.parquet"
        failures: list[Failure] = []
        if file.is_file():
            table = pd.read_parquet(file)
        else:
            with progress("Features", len(crystals)) as advance:
                table, failures = featurize(
                    crystals, sets=named_sets(model.set_names), executor=threads, progress=advance
                )
            with in_one_step(file) as partial:
                table.to_parquet(partial)
        of_name = {crystal.material_id: crystal for crystal in crystals}
        described = [of_name[name] for name in table.index]
        return cls(
            Pool.describe(described, table, of_name), {crystal.material_id: crystal for crystal in described}, failures
        )

    def predict(self, model: BandCenterModel, decision_mev: float, *, threads: Executor | None = None) -> Prediction:
        """Predict all of them."""
        table = self.pool.features
        further_sets = model.sets[len(model.set_names) :]
        if further_sets and len(table):
            more, _ = featurize([self.crystals[str(name)] for name in table.index], sets=further_sets, executor=threads)
            table = pd.concat([table, more], axis=1)
        predicted = model.predict_orderings(table, self.pool.elements(table.index))
        return Prediction(predicted, decision_mev)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model predicts of all that can be chosen, and what that says of a decision.

    Attributes
    ----------
    table
        Predictions, as :meth:`phonolyte.models.BandCenterModel.predict_orderings` gives them.
    decision_mev
        Center at which a decision is made, meV.
    """

    table: pd.DataFrame
    decision_mev: float

    @property
    def soft(self) -> Flags:
        """Whether each predicted center lies below the decision."""
        return np.asarray(self.table["band_center_mev"].to_numpy(float) <= self.decision_mev)

    @property
    def straddling(self) -> Flags:
        """Whether each interval contains the decision."""
        low, high = (self.table[name].to_numpy(float) for name in ("lower_mev", "upper_mev"))
        return np.asarray((low <= self.decision_mev) & (self.decision_mev <= high))

    @property
    def width_mev(self) -> float:
        """Median width of the intervals, meV."""
        return float((self.table["upper_mev"] - self.table["lower_mev"]).median()) if len(self.table) else 0.0
