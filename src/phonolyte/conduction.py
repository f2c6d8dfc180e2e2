"""Percolation, measured and predicted conductivities of crystals, as rows of a table.

They cost more than all else that is predicted of a crystal, so that they come last, for those that are left; portion by
portion, and each portion is a file, so that a killed run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phonolyte.arrays import Ints
from phonolyte.columns import Column, register
from phonolyte.errors import PhonolyteError
from phonolyte.features.conduction import ionic_descriptors, open_share, root_fractions
from phonolyte.measured import ION, load_measured
from phonolyte.models.conductivity import PRIOR, ConductivityModel
from phonolyte.percolation import PercolationSettings, compute_percolation
from phonolyte.runs.digest import digest_of
from phonolyte.runs.executors import map_tasks
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import checksum, in_one_step
from phonolyte.structures import Crystal

METHOD = 2
"""Version of what is computed: raise it when the same crystal gives another row."""

DATA = ("conductivity_model/model.json", "conductivity_model/model.npz", "measured/measured.csv", "bond_valence.csv")
"""Files of the package that a row rests on."""

BARRIERS = ("barrier_1d_ev", "barrier_2d_ev", "barrier_3d_ev", "radius_1d_a", "radius_2d_a", "radius_3d_a")
MEASURED = ("measured_sigma_s_cm", "measured_at_most", "measured_n", "measured_doi")
STATUS, BASIS = "percolation", "sigma_basis"
PREDICTED = ("p_conductor", "sigma_predicted_s_cm", "sigma_lower_s_cm", "sigma_upper_s_cm", "sigma_distance", BASIS)
COLUMNS = (STATUS, *BARRIERS, *PREDICTED, *MEASURED)
"""Columns that describe how a crystal conducts."""

NEAR, BETWEEN, FAR = "relatives were measured", "distant relatives were measured", "no relatives were measured"
NO_PERCOLATION, NO_DATA = "no percolation, no prediction", "no measured data for this ion"

PATH, NO_PATH, NOT_COMPUTED = "computed", "no path", "not computed"
KINDS = {
    "NoParameters": "no parameters", "NoOxidationStates": "no charges", "MixedCharges": "no charges",
    "TooLarge": "too large",
}  # fmt: skip
"""Status by the kind of the error; any other is ``failed``."""

register(
    Column("percolation", "percolation", kind="choice", shown=False,
           words="bond-valence percolation", hint="Whether bond-valence percolation could be "
           "computed, and why not: no parameters beside these ions, no charges that balance, too large."),
    Column("p_conductor", "P", digits=2,
           words="probability of ≥ 1e-4 S/cm", hint="Probability of 1e-4 S/cm or more at room temperature, for "
           "lithium alone, empty for other ions; tested with sets of elements and clusters of compositions left out.",
           high_is_good=True),
    Column("sigma_predicted_s_cm", "pred. σ", "S/cm", -2,
           words="predicted conductivity", hint="Predicted conductivity at room temperature.",
           high_is_good=True),
    Column("sigma_lower_s_cm", "σ from", "S/cm", -2, shown=False,
           words="predicted, 90 % from", hint="Lower end of the 90 % interval."),
    Column("sigma_upper_s_cm", "σ to", "S/cm", -2, shown=False,
           words="predicted, 90 % to", hint="Upper end of the 90 % interval."),
    Column("sigma_distance", "distance to measured", digits=2, shown=False,
           words="distance to measured compounds", hint="Distance to the nearest measured "
           "compounds, in standard deviations of descriptors."),
    Column("sigma_basis", "σ by", kind="choice", shown=False,
           words="basis of the prediction", hint="Whether relatives were measured: the learned model "
           "counts near them, percolation and the size of the anions far from them."),
    Column("measured_sigma_s_cm", "meas. σ", "S/cm", -2,
           words="measured conductivity", hint="Conductivity measured at room temperature, of the "
           "compound with this composition and structure.", high_is_good=True),
    Column("measured_at_most", "at most", kind="flag", shown=False,
           words="measured is an upper bound", hint="Whether the measured one is an upper bound."),
    Column("measured_n", "measurements", shown=False, hint="Number of measurements of this compound; of several the "
           "middle one is given."),
    Column("measured_doi", "measured in", kind="text", shown=False, hint="Paper with the measurement."),
)  # fmt: skip


def describe_conduction(
    crystals: Sequence[Crystal], ions: Sequence[str], settings: PercolationSettings, folder: Path | None = None
) -> pd.DataFrame:
    """Describe crystals, one row of :data:`COLUMNS` each; runs in a worker.

    Parameters
    ----------
    crystals
        A portion of them.
    ions
        Mobile ion of each.
    settings
        Grid of the percolation.
    folder
        Folder that keeps finished portions; nothing is kept without.
    """
    identity = [values for crystal in crystals for values in crystal.identity]
    digest = digest_of(METHOD, _data_digest(), settings, tuple(ions), identity)
    path = folder / f"conduction-{digest[:24]}.parquet" if folder else None
    if path is not None and (finished := _read_finished(path)) is not None:
        return finished
    table = pd.DataFrame([_percolation(crystal, ion, settings) for crystal, ion in zip(crystals, ions, strict=True)])
    table = table.assign(**_predict(crystals, ions, table), **_look_up_measured(crystals, ions))
    table = table[list(COLUMNS)]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with in_one_step(path) as partial:
            table.to_parquet(partial, index=False)
    return table


def gather_portions(
    describe: Callable[..., pd.DataFrame],
    tasks: Sequence[tuple[Any, ...]],
    rows: Sequence[Ints],
    *,
    executor: Executor | None = None,
    progress: OpenBar = no_bar,
) -> pd.DataFrame:
    """Describe portions of crystals, and return one row of :data:`COLUMNS` each, by the row that each is for.

    Parameters
    ----------
    describe
        Describes a portion from a task.
    tasks, rows
        Tasks, and the rows of a table that each is for.
    executor
        Executor of the tasks; default: one after the other.
    progress
        Opens a bar.
    """
    frames: list[pd.DataFrame] = []
    with progress("Percolation", sum(map(len, rows))) as advance:
        for number, portion in map_tasks(describe, tasks, executor):
            frames.append(portion.set_index(rows[number]))
            advance(len(portion))
    return pd.concat(frames) if frames else pd.DataFrame(columns=list(COLUMNS))


def join_conduction(table: pd.DataFrame, described: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns of the rows that are described, by their index in it."""
    joined = pd.concat([table, described.reindex(table.index)], axis=1)
    joined[STATUS] = joined[STATUS].fillna(NOT_COMPUTED)
    return joined


@cache
def _data_digest() -> str:
    """Digest of what rows rest on besides the crystals: model, measured compounds, bond-valence parameters."""
    data = Path(str(files("phonolyte") / "data"))
    return digest_of([checksum(data / name) for name in DATA])


def _predict(crystals: Sequence[Crystal], ions: Sequence[str], percolation: pd.DataFrame) -> dict[str, Any]:
    """Columns of the conductivity model, empty for ions without measured data and where nothing percolates."""
    model = ConductivityModel.embedded()
    columns: dict[str, Any] = {name: np.full(len(crystals), np.nan) for name in PREDICTED[:-1]}
    of_ion = np.array([ion == model.ion for ion in ions])
    basis = np.where(of_ion, NO_PERCOLATION, NO_DATA).astype(object)
    rows = np.flatnonzero(of_ion & percolation[STATUS].isin((PATH, NO_PATH)).to_numpy()).tolist()
    if len(rows):
        chosen = [crystals[row] for row in rows]
        described = np.array([ionic_descriptors(each.amounts, each.volume_a3, model.ion) for each in chosen])
        numbers = {
            "barrier_3d_ev": percolation["barrier_3d_ev"].to_numpy(float)[rows],
            "anion_radius_a": described[:, 0],
            "open_share": np.array([open_share(each, model.ion) for each in chosen]),
        }
        result = model.predict(numbers, described, np.array([root_fractions(each.amounts) for each in chosen]))
        values = (result.p_conductor, *(10.0**each for each in (result.log_sigma, result.lower, result.upper)))
        for name, value in zip(PREDICTED, (*values, result.distance), strict=False):
            columns[name][rows] = value
        basis[rows] = np.select([result.distance <= PRIOR.near, result.distance < PRIOR.far], [NEAR, BETWEEN], FAR)
    return {**columns, BASIS: basis}


def _look_up_measured(crystals: Sequence[Crystal], ions: Sequence[str]) -> dict[str, Any]:
    matches = [load_measured().match(each) if ion == ION else None for each, ion in zip(crystals, ions, strict=True)]
    return {
        "measured_sigma_s_cm": [match.sigma_s_cm if match else np.nan for match in matches],
        "measured_at_most": pd.array([match.at_most if match else None for match in matches], dtype="boolean"),
        "measured_n": pd.array([match.n if match else None for match in matches], dtype="Int64"),
        "measured_doi": pd.array([match.doi if match else None for match in matches], dtype="string"),
    }


def _percolation(crystal: Crystal, ion: str, settings: PercolationSettings) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(BARRIERS, np.nan)
    try:
        row = compute_percolation(crystal, ion, settings).row()
    except PhonolyteError as error:
        return {STATUS: KINDS.get(getattr(error, "kind", ""), "failed"), **nothing}
    except Exception:  # one bad crystal must not stop a screen
        return {STATUS: "failed", **nothing}
    status = PATH if np.isfinite(row["barrier_3d_ev"]) else NO_PATH
    return {STATUS: status, **{name: float(row[name]) for name in BARRIERS}}


def _read_finished(path: Path) -> pd.DataFrame | None:
    """A portion that an earlier run finished; one that a crash left unreadable is computed again."""
    try:
        return pd.read_parquet(path) if path.is_file() else None
    except (OSError, ValueError):
        return None
