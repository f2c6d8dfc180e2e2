"""The best of a screen followed further: percolation, phonons, nudged elastic bands, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phonolyte.barriers import NebSettings, barrier_campaign
from phonolyte.errors import Failure, SettingsError
from phonolyte.percolation import percolation_campaign
from phonolyte.phonons import PhononSettings
from phonolyte.phonons.calibration import Calibration
from phonolyte.phonons.campaign import campaign
from phonolyte.runs.campaign import write_json
from phonolyte.runs.records import FOLLOWED, TO_THE_END
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from phonolyte.forces import Engine

TABLE, STEPS = FOLLOWED
TIERS = ("percolation", "phonons", "neb")
"""The cheap tier first: each takes what the one before has kept, and writes a run folder of its name."""

COLUMNS = (
    "rank", "material_id", "formula", "predicted_mev", "percolation_ev", "band_center_mev", "calibrated_mev",
    "lowest_mode_mev", "stable", "barrier_ev", "barrier_dimensions", "stopped",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """How far candidates are followed.

    Attributes
    ----------
    ion
        The mobile element.
    budget_h
        Hours for all tiers together; each may take an equal share of what is left when it begins. A crystal that has
        begun is finished.
    percolation_top, phonons_top, neb_top
        Most candidates of each tier.
    max_barrier_ev
        Candidates with a higher percolation barrier by bond-valence site energies go no further, nor do those whose
        barrier cannot be told.
    max_center_mev
        Candidates whose computed band center, calibrated where it can be, is higher go no further.
    stable
        Whether dynamically unstable crystals go no further. Ordered models of disordered conductors are often unstable.
    images, min_length_a
        Of the bands.
    """

    ion: str = "Li"
    budget_h: float = 1.0
    percolation_top: int = 50
    phonons_top: int = 10
    neb_top: int = 3
    max_barrier_ev: float = 0.6
    max_center_mev: float = 40.0
    stable: bool = False
    images: int = 5
    min_length_a: float = 8.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name not in ("ion", "stable") and not value > 0:
                raise SettingsError(f"{name} is {value}", fix="Give a positive number.")


@dataclass(frozen=True, slots=True)
class Step:
    """What a tier did; the counts add up to those that came.

    Attributes
    ----------
    tier, asked
        Which, and its criterion in words.
    came, kept, rejected, failed, not_reached
        Candidates; `not_reached` when the time was up or there was room for no more.
    seconds
        Wall time of this run.
    """

    tier: str
    asked: str
    came: int
    kept: int
    rejected: int
    failed: int
    not_reached: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Followed:
    """How far each candidate came.

    Attributes
    ----------
    table
        One row a candidate, as in ``followed.csv``; `stopped` says where it stopped and why.
    steps
        The tiers.
    failures
        Of all of them.
    """

    table: pd.DataFrame
    steps: Sequence[Step]
    failures: Sequence[Failure]


def follow(
    crystals: Sequence[Crystal],
    ranked: pd.DataFrame,
    engine: Engine,
    folder: Path,
    settings: FollowSettings | None = None,
    *,
    executor: Executor | None = None,
    progress: Callable[[str, int], Callable[[int], None]] | None = None,
) -> Followed:
    """Follow the candidates of a screen, the best first, until the time is up; a second call goes on.

    Parameters
    ----------
    crystals
        All that were screened.
    ranked
        The candidates in their order (those without the ion are left out), with `material_id` and `band_center_mev`.
    engine
        For phonons and bands.
    folder
        The run folder of the screen; each tier has a folder in it.
    settings
        The defaults unless given.
    executor
        Of processes, for percolation.
    progress
        Called with the name of a tier and its number of atoms; gives what is called with those done.
    """
    settings = settings or FollowSettings()
    known = {crystal.material_id: crystal for crystal in crystals}
    left = [known[name] for name in ranked["material_id"] if settings.ion in known[name].symbols]
    if len(ranked) and not left:
        raise SettingsError(
            f"no candidate contains {settings.ion}, the ion to follow",
            why=f"the first is {known[ranked['material_id'].iloc[0]].formula}",
            fix="Name another one as ion in the table [follow].",
        )
    centers = dict(zip(ranked["material_id"], ranked["band_center_mev"], strict=True))
    rows: dict[str, dict[str, Any]] = {
        crystal.material_id: {
            "rank": rank,
            "predicted_mev": centers[crystal.material_id],
            "formula": crystal.formula,
        }
        for rank, crystal in enumerate(left, start=1)
    }
    end = time.monotonic() + 3600 * settings.budget_h
    steps, failures = [], []
    for tiers_left, tier in zip((3, 2, 1), TIERS, strict=True):
        start = time.monotonic()
        share = max((end - start) / tiers_left, 0.0)
        room = getattr(settings, f"{tier}_top")
        taken = left[:room]
        told = progress(tier, sum(map(len, taken))) if progress else None
        table, failed = _run(tier, taken, engine, folder / tier, settings, share, executor, told)
        verdicts = _verdicts(tier, table, failed, settings, rows)
        kept = [crystal for crystal in taken if verdicts.get(crystal.material_id) == ""]
        for crystal in left:
            why = verdicts.get(crystal.material_id, "no room" if crystal not in taken else "time was up")
            rows[crystal.material_id]["stopped"] = f"{tier}: {why}" if why else ""
        out = sum(1 for why in verdicts.values() if why)
        steps.append(
            Step(
                tier,
                _asked(tier, settings),
                came=len(left),
                kept=len(kept),
                rejected=out - len(failed),
                failed=len(failed),
                not_reached=len(left) - len(verdicts),
                seconds=time.monotonic() - start,
            )
        )
        failures += failed
        left = kept
    found = pd.DataFrame([{"material_id": name, **row} for name, row in rows.items()]).reindex(columns=list(COLUMNS))
    found["stopped"] = found["stopped"].replace("", TO_THE_END)
    found = found.sort_values(["barrier_ev", "rank"], na_position="last", ignore_index=True)
    found.to_csv(folder / TABLE, index=False)
    record = {"settings": asdict(settings), "engine": engine.name, "engine_provenance": dict(engine.provenance)}
    write_json(folder / STEPS, {**record, "steps": [asdict(step) for step in steps]})
    return Followed(found, steps, failures)


def _run(
    tier: str,
    crystals: Sequence[Crystal],
    engine: Engine,
    folder: Path,
    settings: FollowSettings,
    share_s: float,
    executor: Executor | None,
    progress: Callable[[int], None] | None,
) -> tuple[pd.DataFrame, list[Failure]]:
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + share_s
    if tier == "percolation":
        return percolation_campaign(
            crystals, settings.ion, folder, maps=True, executor=executor, progress=progress, until=until
        )
    if tier == "phonons":
        calibration = Calibration.shipped(engine)
        return campaign(
            crystals, engine, folder, PhononSettings(), ion=settings.ion, calibration=calibration, progress=progress,
            until=until,
        )  # fmt: skip
    bands = NebSettings(images=settings.images, min_length_a=settings.min_length_a)
    return barrier_campaign(crystals, settings.ion, engine, folder, bands, progress=progress, until=until)


def _verdicts(
    tier: str,
    table: pd.DataFrame,
    failed: Sequence[Failure],
    settings: FollowSettings,
    rows: Mapping[str, dict[str, Any]],
) -> dict[str, str]:
    """Why each candidate that a tier has looked at goes no further; empty where it does."""
    verdicts = {}
    for found in table.to_dict("records"):
        name = str(found["material_id"])
        row, why = rows[name], ""
        if tier == "percolation":
            row["percolation_ev"] = found["barrier_ev"]
            if pd.isna(found["barrier_ev"]):
                why = "no path below the highest energy"
            elif found["barrier_ev"] > settings.max_barrier_ev:
                why = f"a barrier of {found['barrier_ev']:.2f} eV"
        elif tier == "phonons":
            row |= {key: found[key] for key in ("band_center_mev", "calibrated_mev", "lowest_mode_mev", "stable")}
            center = found["band_center_mev"] if pd.isna(found["calibrated_mev"]) else found["calibrated_mev"]
            if center > settings.max_center_mev:
                why = f"a band center of {center:.1f} meV"
            elif settings.stable and not found["stable"]:
                why = f"unstable, a mode at {found['lowest_mode_mev']:.1f} meV"
        else:
            row |= {"barrier_ev": found["barrier_ev"], "barrier_dimensions": found["dimensions"]}
            if pd.isna(found["barrier_ev"]):
                why = "the hops that could be computed do not percolate"
        verdicts[name] = why
    return verdicts | {failure.material_id: f"failed, {failure.message.split('. ')[0]}" for failure in failed}


def _asked(tier: str, settings: FollowSettings) -> str:
    return {
        "percolation": f"a barrier of at most {settings.max_barrier_ev:g} eV",
        "phonons": f"a center of at most {settings.max_center_mev:g} meV{', stable' if settings.stable else ''}",
        "neb": "a path over hops of vacancies",
    }[tier]
