"""Verbs that compute what a tier does: phonons, moduli, percolation, barriers, diffusion, and any other calculation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from phonolyte.drawing import compute_and_draw
from phonolyte.errors import SettingsError
from phonolyte.forces import DEFAULT_ENGINE, Engine, open_engine
from phonolyte.runs.calculation import Calculation
from phonolyte.runs.campaign import Outcome
from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run, plain_settings
from phonolyte.runs.settings import OutputSettings
from phonolyte.structures import read
from phonolyte.verbs.opening import (
    Where,
    list_files,
    list_names,
    most_workers,
    open_workers,
    read_inputs,
    refuse_threads,
    resolve_engine,
    run_options,
)

if TYPE_CHECKING:
    from phonolyte.barriers import NebSettings
    from phonolyte.dynamics import DynamicsSettings
    from phonolyte.elastic import ElasticSettings
    from phonolyte.forces.cutoffs import Ladder
    from phonolyte.percolation import PercolationSettings
    from phonolyte.phonons import PhononSettings
    from phonolyte.phonons.calibration import Calibration
    from phonolyte.stability import StabilitySettings


def phonons(
    inputs: Any,
    *,
    engine: str | Engine = DEFAULT_ENGINE,
    options: Mapping[str, Any] | None = None,
    settings: PhononSettings | None = None,
    ion: str | None = None,
    calibration: Calibration | None = None,
    converge: bool = False,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute phonons of crystals: band centers in total and of each element, lowest mode, stability.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    engine, options
        Engine, or its name (or ``MODULE:CLASS`` of an ASE calculator) and its options.
    settings
        How phonons are computed.
    ion
        Mobile element, whose own center is reported.
    calibration
        Correction of the centers, learned with this engine; default: none.
    converge
        Whether the change of centers with mesh and supercell is computed too.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``phonons.parquet`` and failures, together one row a crystal.
    """
    from phonolyte.phonons import PhononCalculation, PhononSettings

    calculation = PhononCalculation(
        resolve_engine(engine, options), settings or PhononSettings(), ion, calibration, converge
    )
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def elastic(
    inputs: Any,
    *,
    engine: str | Engine = DEFAULT_ENGINE,
    options: Mapping[str, Any] | None = None,
    settings: ElasticSettings | None = None,
    ion: str = "Li",
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute elastic moduli of crystals by finite strains: bulk, shear and Young's modulus, Poisson's ratio.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    engine, options
        As :func:`phonons` takes them; the engine has to give stresses.
    settings
        How moduli are computed.
    ion
        Mobile element: the metal of the electrode, whose shear modulus that of a crystal is compared with.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``elastic.parquet`` and failures, together one row a crystal.
    """
    from phonolyte.elastic import ElasticCalculation, ElasticSettings

    calculation = ElasticCalculation(resolve_engine(engine, options), settings or ElasticSettings(), ion)
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def percolate(
    inputs: Any,
    *,
    ion: str = "Li",
    settings: PercolationSettings | None = None,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Estimate the percolation of an ion through its bond-valence site energies.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    ion
        Mobile element.
    settings
        Settings of the grid.
    folder, output, executor, progress
        As :func:`screen` takes them.

    Returns
    -------
    Outcome
        Table of ``percolation.parquet`` and failures, together one row a crystal.
    """
    from phonolyte.percolation import PercolationCalculation, PercolationSettings

    wanted = (output or OutputSettings()).figures
    calculation = PercolationCalculation(ion, settings or PercolationSettings(), maps=wanted)
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def stability(
    inputs: Any,
    *,
    ion: str = "Li",
    engine: str | Engine = DEFAULT_ENGINE,
    options: Mapping[str, Any] | None = None,
    settings: StabilitySettings | None = None,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute the energy above the hull, the electrochemical window, and reactions with electrodes and moisture.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    ion
        Mobile element.
    engine, options
        As :func:`phonons` takes them.
    settings
        How stability is computed, with which competing phases. Of an engine without energies in the package they are
        computed first, from the crystals of the package, into ``competing/`` of the run folder.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``stability.parquet`` and failures, together one row a crystal; ``reactions.parquet`` has one row a
        mixture.
    """
    from phonolyte.stability import StabilityCalculation, StabilitySettings

    calculation = StabilityCalculation.from_settings(
        ion, resolve_engine(engine, options), settings or StabilitySettings()
    )
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def barriers(
    inputs: Any,
    *,
    ion: str = "Li",
    engine: str | Engine = DEFAULT_ENGINE,
    options: Mapping[str, Any] | None = None,
    settings: NebSettings | None = None,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute the barriers of the hops of an ion, and the one over which they join into a path.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    ion
        Mobile element.
    engine, options
        As :func:`phonons` takes them.
    settings
        How hops are computed.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``barriers.parquet`` and failures, together one row a crystal; ``hops.parquet`` has one row a hop.
    """
    from phonolyte.barriers import BarrierCalculation, NebSettings

    calculation = BarrierCalculation(ion, resolve_engine(engine, options), settings or NebSettings())
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def diffuse(
    inputs: Any,
    *,
    ion: str = "Li",
    engine: str | Engine = DEFAULT_ENGINE,
    options: Mapping[str, Any] | None = None,
    settings: DynamicsSettings | None = None,
    folder: str | Path = "out",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Outcome:
    """Compute diffusivities, an activation energy and a conductivity by molecular dynamics.

    Parameters
    ----------
    inputs
        Crystals, as :func:`screen` takes them.
    ion
        Mobile element.
    engine, options
        As :func:`phonons` takes them.
    settings
        How molecular dynamics is run.
    folder, output, executor, progress
        As :func:`screen` takes them; executors need processes.

    Returns
    -------
    Outcome
        Table of ``dynamics.parquet`` and failures, together one row a crystal; ``diffusivities.parquet`` has one row a
        temperature.
    """
    from phonolyte.dynamics import DynamicsCalculation, DynamicsSettings

    calculation = DynamicsCalculation(ion, resolve_engine(engine, options), settings or DynamicsSettings())
    return calculate(calculation, inputs, folder=folder, output=output, executor=executor, progress=progress)


def calculate(
    calculation: Calculation,
    inputs: Any,
    *,
    folder: str | Path = "out",
    command: str = "",
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
    announce: Callable[[str], None] | None = None,
) -> Outcome:
    """Run any calculation for many crystals into a run folder.

    Parameters
    ----------
    calculation
        Calculation for one crystal.
    inputs
        Crystals, as :func:`screen` takes them.
    folder
        Run folder.
    command
        Name of the run; default: that of the calculation.
    output, executor, progress
        As :func:`screen` takes them.
    announce
        Called with a sentence about what is to be computed and how long it takes, before it is.
    """
    output = output or OutputSettings()
    calculation.check()
    files = list_files(inputs)
    engine = calculation.engine_used
    refuse_threads(executor, engine)
    record = {"inputs": list_names(inputs), **calculation.decides()}
    opened = Run(
        folder, command or calculation.name, settings=record, inputs=files,
        identity=calculation.key, engine=engine, cites=calculation.cites,
        **run_options(output),
    )  # fmt: skip
    with opened as run:
        reading = read_inputs(inputs, executor)
        run.add_failures(reading.failures)
        run.add_skipped(reading.skipped)
        for note in reading.notes:
            run.add_note(note)
        if reading.crystals:
            run.write_crystals(reading.crystals)
        with open_workers(executor, most=most_workers(engine, len(reading.crystals))) as workers:
            ready = calculation.prepare(reading.crystals, run, executor=workers, progress=progress)
            outcome = compute_and_draw(
                ready, reading.crystals, run, executor=workers, figures=output if output.figures else None,
                progress=progress, announce=announce,
            )  # fmt: skip
    return replace(outcome, failures=[*reading.failures, *outcome.failures])


def cutoffs(
    file: str | Path,
    *,
    options: Mapping[str, Any],
    ladder: Ladder | None = None,
    tolerance: float = 0.01,
    folder: str | Path = "out",
    overwrite: bool = False,
    progress: OpenBar = no_bar,
) -> CutoffScan:
    """Find the cutoffs of Quantum ESPRESSO that the force of a small displacement needs.

    Parameters
    ----------
    file
        File of one crystal, whose primitive cell is used.
    options
        Options of the engine ``espresso``.
    ladder
        Cutoffs and k spacings that are tried.
    tolerance
        Largest relative error of the force.
    folder
        Run folder.
    overwrite
        Whether another run in the folder is replaced.
    progress
        Opens a bar.

    Raises
    ------
    SettingsError
        When the file does not give one crystal, and for options that make no sense.
    """
    from phonolyte.forces.cells import primitive_cell
    from phonolyte.forces.cutoffs import Cutoffs, Ladder, cutoff_table

    ladder = ladder or Ladder()

    def engine_at(setting: Cutoffs) -> Engine:
        return open_engine("espresso", **{**options, **setting.options})

    source = engine_at(ladder.cutoffs[0])  # what is wrong with options is wrong with every setting
    reading = read([file])
    if len(reading.crystals) != 1:
        why = reading.failures[0].message if reading.failures else f"it has {len(reading.crystals)}"
        raise SettingsError(f"{file} does not give one crystal", why=why, fix="Name a file of one crystal.")
    (crystal,) = reading.crystals
    record = {"file": str(file), "tolerance": tolerance, **plain_settings(ladder)}
    opened = Run(folder, "cutoffs", settings=record, inputs=[file], engine=source, overwrite=overwrite,
                 cites=("giannozzi2017", "larsen2017"))  # fmt: skip
    with opened as run, progress("Cutoffs", ladder.n_settings) as advance:
        table = cutoff_table(primitive_cell(crystal), engine_at, ladder, tolerance=tolerance, progress=advance)
        run.write_table("cutoffs.csv", table)
    return CutoffScan(table, crystal.formula)


class CutoffScan(NamedTuple):
    """Table of settings with the errors of force and energy, and the formula of the crystal."""

    table: pd.DataFrame
    formula: str
