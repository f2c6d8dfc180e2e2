"""The verb of measured spectra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.records import write_csv
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.verbs.opening import Where, open_workers, run_options

if TYPE_CHECKING:
    from phonolyte.impedance import Series
    from phonolyte.impedance.settings import ImpedanceSettings

FEW_SPECTRA = 8
"""Spectra that are done sooner than another process starts."""


def impedance(
    files: Sequence[str | Path] | str | Path,
    *,
    folder: str | Path = "out",
    settings: ImpedanceSettings | None = None,
    output: OutputSettings | None = None,
    executor: Where = None,
    progress: OpenBar = no_bar,
) -> Series:
    """Turn measured spectra into conductivities and activation energies, and write a run folder.

    Parameters
    ----------
    files
        Files of instruments, folders and globs.
    folder
        Run folder.
    settings
        Size of the pellet, and how files are read and fitted.
    output, executor, progress
        As :func:`screen` takes them.

    Raises
    ------
    SettingsError
        When files are not there, and for settings that make no sense.
    """
    from phonolyte.impedance import analyze, draw, find_files
    from phonolyte.impedance.curves import tabulate_curves
    from phonolyte.impedance.drt_drawing import draw_distributions
    from phonolyte.impedance.pressure_drawing import draw_pressures
    from phonolyte.impedance.settings import ImpedanceSettings

    output, settings = output or OutputSettings(), settings or ImpedanceSettings()
    geometry, reading = settings.geometry, settings.reading
    paths = find_files(files)
    paths = settings.choose_files(paths)
    settings.check_names(paths)
    opened = Run(folder, "impedance", settings=settings, inputs=[*paths, *settings.other_files],
                 cites=("schonleber2014", "wan2015", "murbach2020"), **run_options(output))  # fmt: skip
    with opened as run, open_workers(executor, most=max(1, len(paths) // FEW_SPECTRA)) as processes:
        with progress("Spectra", len(paths)) as advance:
            series = analyze(paths, geometry=geometry, reading=reading, executor=processes, progress=advance)
        for name in ("spectra", "parameters", "arrhenius", "drt_peaks"):
            run.write_table(f"{name}.parquet", getattr(series, name), csv=True)
        run.write_table("points.csv", series.points)
        run.write_table("curves.parquet", tabulate_curves(series.analyses), csv=True)
        if len(series.volumes):
            run.write_table("pressure.parquet", series.volumes, csv=True)
        run.write_table("drt.parquet", series.drt)
        _write_exports(series, run)
        run.add_failures(series.failures)
        for note in (*series.notes, *series.remarks):
            run.add_note(note)
        if output.figures:
            with progress("Figures", len(series.analyses)) as advance:
                drawings = draw(series, run.path("figures"), executor=processes, progress=advance, files=output)
            failures, left = draw_distributions(series, run.path("figures"), files=output)
            pressures = draw_pressures(series, run.path("figures"), files=output)
            for failure in (*drawings.failures, *failures, *pressures):
                run.add_note(f"no figure of {failure.material_id}: {failure.message}")
            for note in left:
                run.add_note(note)
        return series


def _write_exports(series: Series, run: Run) -> None:
    """Write the CSV of each spectrum."""
    from phonolyte.impedance.exports import FOLDER, csv_path, tabulate_spectrum

    for analysis in series.analyses:
        table, path = tabulate_spectrum(analysis), csv_path(run.folder, analysis.name)
        run.describe_table(f"{FOLDER}/*.csv", table)
        path.parent.mkdir(exist_ok=True)
        write_csv(table, path)
