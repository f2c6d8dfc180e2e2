"""Barriers as a calculation for many crystals: hop by hop, so that a kill costs a few steps of one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from phonolyte.barriers.ends import Ends, relax_ends
from phonolyte.barriers.hops import Hop, find_hops
from phonolyte.barriers.material import HOPS_TABLE, Material, chosen_hops, prepare, record_of
from phonolyte.barriers.neb import NebResult, NebSettings, climb
from phonolyte.barriers.paths import lengths_a, read_path, write_path
from phonolyte.chemistry.ions import check_ion
from phonolyte.columns import Column
from phonolyte.errors import EngineError, MigrationError
from phonolyte.forces.cells import count_atoms, primitive_cell
from phonolyte.runs.calculation import Calculation, NextStep, barrier_headline, barrier_sentences
from phonolyte.runs.digest import digest_of
from phonolyte.runs.records import Record, Row, folder_of, read_json, write_json
from phonolyte.runs.workload import Workload
from phonolyte.structures import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

    from phonolyte.forces import Engine

TIME_LIMIT = "TimeLimit"
"""Kind of error of a hop that took longer than it may."""

STEPS_OF_ENDS, STEPS_OF_PATHS = 30, 50
"""Force calculations that an end of a hop, and each image of its path, take as a rule: 260 to 390 a hop of five images
were measured on six crystals."""


@dataclass(frozen=True, slots=True)
class BarrierCalculation(Calculation):
    """Barriers of the hops of an ion, and the one over which they join into a path.

    Each hop is written as soon as it is there: its row in ``ID/HOP.json``, its path in ``ID/HOP.xyz``, which is also
    where a hop that was killed goes on from.

    Attributes
    ----------
    ion
        Symbol of the mobile element.
    engine
        Source of energies and forces.
    settings
        How hops are computed.
    """

    ion: str
    engine: Engine
    settings: NebSettings = field(default_factory=NebSettings)

    name: ClassVar = "barriers"
    title: ClassVar = "Nudged elastic band"
    table: ClassVar = "barriers.parquet"
    tables: ClassVar = (HOPS_TABLE,)
    sort_by: ClassVar = "barrier_ev"
    columns: ClassVar = (
        Column("path", "path", kind="text", shown=False, hint="Hops of the path with the lowest barrier."),
        Column("highest_hop", "limiting hop", kind="text", shown=False, hint="Hop that has the barrier of the path."),
        Column("lowest_hop", "easiest hop", kind="text", shown=False, hint="Hop with the lowest barrier of all."),
        Column("lowest_hop_ev", "its barrier", "eV", 2, shown=False, hint="Barrier of it; it alone may lead nowhere."),
        Column("n_hops", "hops", shown=False, hint="Hops that were computed."),
        Column("carrier", "carrier", kind="choice", shown=False, hint="What moves: a vacancy or an interstitial."),
        Column("defect_charge", "cell charge", kind="choice", shown=False, hint="Charge of the cell with the defect."),
        # of each hop
        Column("hop", "hop", kind="text", hint="Name of a hop: ion and length in angstrom."),
        Column("length_a", "length", "Å", 2, hint="Length of the straight line."),
        Column("clearance_a", "clearance", "Å", 2, shown=False, hint="Distance of the line from the framework."),
        Column("kind", "kind", kind="choice", shown=False, hint="Kind of the error; empty where there is none."),
        Column("reverse_ev", "reverse", "eV", 2, hint="Barrier of the way back."),
        Column("start_ev", "start", "eV", 3, shown=False, hint="Total energy of the start."),
        Column("end_ev", "end", "eV", 3, shown=False, hint="Total energy of the end."),
        Column("saddle_ev", "saddle", "eV", 3, shown=False, hint="Total energy of the highest image."),
        Column("lowest_ev", "lowest", "eV", 3, shown=False, hint="Lowest energy on the path."),
        Column("saddle_image", "saddle at", shown=False, hint="Number of the highest image."),
        Column("steps", "steps", shown=False, hint="Steps of the path."),
        Column("max_force_ev_a", "force", "eV/Å", 3, shown=False, hint="Largest force that is left."),
        Column("n_images", "images", shown=False, hint="Images between the ends."),
    )  # fmt: skip
    facts: ClassVar = ("barrier_ev", "dimensions", "path", "highest_hop", "lowest_hop_ev", "converged", "engine")
    terminal: ClassVar = ("barrier_ev", "dimensions", "barrier_2d_ev", "barrier_3d_ev", "converged", "path")
    axes: ClassVar = ("barrier_ev", "dimensions")
    cites: ClassVar = ("henkelman2000", "smidstrup2014", "larsen2017")
    followed: ClassVar = {"barrier_ev": "barrier_ev", "barrier_dimensions": "dimensions"}
    next_step: ClassVar = NextStep(
        "How high is the barrier? An hour or so.",
        "phonolyte migrate {input} --ion {ion} --method neb --engine {engine} -o {run}/barriers/{name}",
    )

    settings_kind: ClassVar = NebSettings
    top: ClassVar = 3

    @classmethod
    def for_study(cls, ion: str, engine: Engine, settings: NebSettings, limits: None) -> BarrierCalculation:
        """Return the calculation of a study."""
        return cls(ion, engine, settings)

    def decides(self) -> Mapping[str, object]:
        """Return ion, engine and settings, files by their content."""
        return {
            "ion": self.ion,
            "engine": self.engine.name,
            "provenance": dict(self.engine.provenance),
            "settings": self.settings.deciding,
        }

    def check(self) -> None:
        """Refuse an ion that is not an element, and a charge that the engine does not know."""
        check_ion(self.ion)
        if self.settings.charge is not None:
            self.engine.with_charge(self.settings.charge)

    @property
    def limit_s(self) -> float | None:
        """Seconds for one hop."""
        return self.settings.limit_s

    def is_done(self, record: Record) -> bool:
        """Whether nothing is left to do: a hop that took too long is tried again under another limit."""
        late = any(row["kind"] == TIME_LIMIT for row in record.tables.get(HOPS_TABLE, ()))
        return not (late and record.details.get("limit_s") != self.limit_s)

    def workload(self, crystal: Crystal) -> Workload | None:
        """Return the force calculations of the hops of vacancies that are seen in the crystal before it is relaxed."""
        settings = self.settings
        if settings.carrier != "vacancy":
            return None
        primitive = primitive_cell(crystal, symprec_a=settings.symprec_a)
        network = find_hops(primitive, self.ion, cutoff_a=settings.cutoff_a, symprec_a=settings.symprec_a)
        n = count_atoms(primitive, settings.supercell_of(primitive))
        forces = len(chosen_hops(network, settings)) * (2 * STEPS_OF_ENDS + settings.images * STEPS_OF_PATHS)
        return Workload(forces, forces * n)

    def compute(self, crystal: Crystal, folder: Path, earlier: Record | None = None) -> Record:
        """Compute the hops of one crystal."""
        start, settings = time.perf_counter(), self.settings
        material = prepare(crystal, self.ion, self.engine, settings)
        folder.mkdir(exist_ok=True)
        engine = self.engine if settings.charge is None else self.engine.with_charge(settings.charge)
        digest = self.digest(crystal)
        rows = [
            compute_hop(hop, material, engine, settings, folder, digest)
            for hop in chosen_hops(material.network, settings)
        ]
        record = record_of(material, rows, self.engine.name, settings)
        row = {**record.row, "seconds": time.perf_counter() - start}
        return Record(row, record.tables, details={"limit_s": self.limit_s})

    @classmethod
    def judge(cls, row: Row, limits: None) -> str:
        """Reject what does not percolate over the hops that could be computed."""
        return "the hops that could be computed do not percolate" if pd.isna(row["barrier_ev"]) else ""

    @property
    def criterion(self) -> str:
        """A path."""
        return "a path over hops of vacancies"

    @classmethod
    def headline(cls, table: pd.DataFrame) -> str:
        """Return how many crystals have a barrier."""
        return barrier_headline(table)

    @classmethod
    def summarize(cls, table: pd.DataFrame) -> list[str]:
        """Return the lowest barrier."""
        return barrier_sentences(table, "by NEB with {engine}")

    @classmethod
    def pictures(cls, row: Row) -> Mapping[str, str]:
        """Return the profile of the hop that decides the barrier."""
        hop = row.get("highest_hop")
        return {hop: f"The hop {hop}, which decides"} if isinstance(hop, str) and hop else {}

    def draw(self, row: Row, run: Path) -> Mapping[str, Figure]:
        """Draw the profile of each hop."""
        hops = pd.read_parquet(run / HOPS_TABLE)
        name = str(row["material_id"])
        computed = hops[(hops["material_id"] == name) & (hops["error"] == "")]
        return {str(hop["hop"]): _profile(hop, folder_of(run, name), str(row["formula"]))
                for hop in computed.to_dict("records")}  # fmt: skip


def _profile(row: Mapping[Any, Any], folder: Path, formula: str) -> Figure:
    from phonolyte.figures.migration import neb_profile
    from phonolyte.figures.style import with_subscripts

    images = read_path(folder / f"{row['hop']}.xyz")
    energies = np.array([image.get_potential_energy() for image in images])
    title = f"{with_subscripts(formula)}, {row['hop']} Å"
    return neb_profile(lengths_a(images), energies, title=title, note=str(row["why"]))


def compute_hop(
    hop: Hop, material: Material, engine: Engine, settings: NebSettings, folder: Path, digest: str
) -> dict[str, Any]:
    """Return the row of a hop: what is there already, or computed now; a hop that cannot be computed says why."""
    digest = digest_of(digest, hop.name)
    file = folder / f"{hop.name}.json"
    record = read_json(file) or {}
    if record.get("digest") == digest and (not record["error"] or record.get("limit_s") == settings.limit_s):
        return {name: value for name, value in record.items() if name not in ("digest", "limit_s")}
    known = {"hop": hop.name, "length_a": hop.length_a, "clearance_a": hop.clearance_a, "error": "", "kind": ""}
    try:
        row = {**known, **_compute_hop(hop, material, engine, settings, folder / f"{hop.name}.xyz", digest).row()}
    except EngineError as error:
        row = {**known, "error": str(error), "kind": getattr(error, "kind", type(error).__name__)}
    write_json(file, {**row, "digest": digest, "limit_s": settings.limit_s})
    return row


def _compute_hop(
    hop: Hop, material: Material, engine: Engine, settings: NebSettings, file: Path, digest: str
) -> NebResult:
    start = time.perf_counter()

    def check() -> None:
        if settings.limit_s is not None and time.perf_counter() - start > settings.limit_s:
            raise MigrationError(
                f"{hop.name} takes longer than the limit",
                why=f"the limit is {settings.limit_s:.0f} s",
                fix="Run again with a higher limit: the path so far is kept.",
                kind=TIME_LIMIT,
            )

    info = {"hop": hop.name, "digest": digest}
    path = _read_kept_path(file, digest)
    if path is None:
        ends = relax_ends(
            material.ends(hop), engine, fmax_ev_a=settings.ends_fmax_ev_a, max_steps=settings.max_steps, check=check
        )
    else:
        ends = Ends(path[0], path[-1], _find_moving_atom(path))
    result = climb(
        hop,
        ends,
        engine,
        settings,
        path=path,
        save=lambda images: write_path(images, file, info),
        check=check,
    )
    write_path(result.images, file, info)
    return result


def _read_kept_path(file: Path, digest: str) -> list[Atoms] | None:
    """The path that a killed run has left of the same hop and settings."""
    if not file.is_file():
        return None
    try:
        path = read_path(file)
    except MigrationError:
        return None
    return path if path[0].info.get("digest") == digest else None


def _find_moving_atom(path: Sequence[Atoms]) -> int:
    """The atom that goes farthest from end to end."""
    return int(np.linalg.norm(path[-1].positions - path[0].positions, axis=1).argmax())
