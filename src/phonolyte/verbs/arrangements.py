"""The verb that orders disordered crystals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from phonolyte.errors import Failure
from phonolyte.forces import Engine, open_engine
from phonolyte.runs.executors import map_unordered
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import file_name, in_one_step
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.structures.reading import Skipped, expand, notes_on_skipped, renamed_note, unique_names
from phonolyte.structures.supercells import OrderingSettings
from phonolyte.verbs.opening import Where, list_files, list_names, open_workers, run_options

if TYPE_CHECKING:
    from phonolyte.structures.disordered import Ordered

CIFS = "cif"
"""Folder of a run with the arrangements as CIF."""

FEW_FILES = 20
"""Files that are ordered sooner than another process starts."""


class Orderings(NamedTuple):
    """Table of the arrangements, a row each, and what could not be ordered."""

    table: pd.DataFrame
    failures: list[Failure]


def order(
    inputs: Any,
    *,
    folder: str | Path = "out",
    settings: OrderingSettings | None = None,
    rank_with: str | Engine | None = None,
    options: Mapping[str, Any] | None = None,
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Orderings:
    """Order disordered crystals: arrangements of whole atoms, low in electrostatic energy, in a run folder.

    The folder receives ``orderings.parquet`` (and ``.csv``), ``crystals.parquet`` and a CIF of each arrangement; it is
    input for every other verb.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    folder
        Run folder.
    settings
        Sizes and tolerances.
    rank_with, options
        Engine that ranks the arrangements of each material by their energy with relaxed positions, or its name and its
        options; default: the electrostatic energy ranks them. The crystals that are written are not relaxed.
    output, executor, progress
        As :func:`screen` takes them.

    Raises
    ------
    SettingsError
        When the folder cannot be used.
    """
    output, settings = output or OutputSettings(), settings or OrderingSettings()
    files, parts = list_files(inputs), expand(inputs)
    engine = open_engine(rank_with, **dict(options or {})) if isinstance(rank_with, str) else rank_with
    record = {"inputs": list_names(inputs), "ordering": settings}
    closing = run_options(OutputSettings(figures=False, report=False, overwrite=output.overwrite))
    with Run(folder, "order", settings=record, inputs=files, engine=engine, **closing) as run:
        with (
            open_workers(executor, most=max(1, len(parts) // FEW_FILES)) as processes,
            progress("Ordering", len(parts)) as advance,
        ):
            ordered, failures, skipped = [], [], []
            for materials, lost, others in _each(parts, settings, processes):
                ordered += materials
                failures += lost
                skipped += others
                advance(1)
        names, renamed = unique_names(material.material_id for material in ordered)
        if engine is not None:
            with progress(f"Energies by {engine.name}", len(ordered)) as advance:
                ordered = [_rank(material, engine, failures, advance) for material in ordered]
        ordered = [material.named(name) for material, name in zip(ordered, names, strict=True)]
        table = pd.DataFrame([row for material in ordered for row in _rows(material)])
        run.add_failures(failures)
        run.add_skipped(skipped)
        for note in [*notes_on_skipped(skipped), *([renamed_note(renamed)] if renamed else [])]:
            run.add_note(note)
        crystals = [each.crystal for material in ordered for each in material.arrangements]
        if crystals:
            run.write_table("orderings.parquet", table, csv=True, float_format="%.6g")
            run.write_crystals(crystals)
            _write_cifs(run, ordered)
    return Orderings(table, failures)


def _each(
    items: Sequence[Any], settings: OrderingSettings, executor: Executor | None
) -> Iterator[tuple[list[Ordered], list[Failure], list[Skipped]]]:
    """What each part of the input gives, in their order."""
    from phonolyte.structures.disordered import order_part

    if executor is None:
        yield from (order_part(item, settings) for item in items)
        return
    done = dict(map_unordered(order_part, [(item, settings) for item in items], executor))
    yield from (done[number] for number in range(len(items)))


def _rank(material: Ordered, engine: Engine, failures: list[Failure], advance: Callable[[int], None]) -> Ordered:
    """The material with its arrangements in the order of their energies by an engine; as it was where that fails."""
    from phonolyte.forces.cells import relaxed_energy

    try:
        energies = [relaxed_energy(each.crystal.to_ase(), engine) for each in material.arrangements]
    except Exception as error:  # one bad material costs its ranking
        failures.append(Failure.from_error(error, material_id=material.material_id, stage="ranking"))
        return material
    finally:
        advance(1)
    ranked = [replace(each, engine_ev=energy) for each, energy in zip(material.arrangements, energies, strict=True)]
    return replace(material, arrangements=sorted(ranked, key=lambda each: each.engine_ev))


def _rows(material: Ordered) -> list[dict[str, Any]]:
    return [
        {
            "material_id": each.crystal.material_id,
            "formula": each.crystal.formula,
            "ordered_from": material.formula,
            "n_atoms": len(each.crystal),
            "ordering_ev": each.energy_ev,
            **({"engine_ev": each.engine_ev} if isfinite(each.engine_ev) else {}),
            "ordering_charge": each.charge,
            "deviation": each.deviation,
            "shortest_a": each.shortest_a,
        }
        for each in material.arrangements
    ]


def _write_cifs(run: Run, ordered: Sequence[Ordered]) -> None:
    folder = run.path(CIFS)
    folder.mkdir(exist_ok=True)
    for material in ordered:
        for each in material.arrangements:
            with in_one_step(folder / f"{file_name(each.crystal.material_id)}.cif") as partial:
                each.crystal.to_pymatgen().to(str(partial), fmt="cif")
