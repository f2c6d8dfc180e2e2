"""The verbs of DC polarization."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonolyte.runs.progress import OpenBar, no_bar
from phonolyte.runs.run import Run
from phonolyte.runs.settings import OutputSettings
from phonolyte.verbs.opening import run_options

if TYPE_CHECKING:
    from phonolyte.polarization import Polarizations, PolarizationSettings, Transference, TransferenceSettings

HEBB_WAGNER = ("hebb1952", "yokota1961")
BRUCE_VINCENT = ("bruce1987", "evans1987", "watanabe1988")


def polarization(
    files: Sequence[str | Path] | str | Path,
    *,
    folder: str | Path = "out",
    settings: PolarizationSettings | None = None,
    output: OutputSettings | None = None,
    progress: OpenBar = no_bar,
) -> Polarizations:
    """Turn currents against time at one or several voltages into electronic conductivities, in a run folder.

    The folder receives ``electronic.parquet`` (a row a sample and temperature), ``curves.parquet`` (a row a voltage),
    both as CSV too, a figure of each sample, and a report.

    Parameters
    ----------
    files
        Files of instruments, folders and globs.
    folder
        Run folder.
    settings
        Size of the pellet, and how files are read.
    output, progress
        As :func:`screen` takes them.

    Raises
    ------
    SettingsError
        When files are not there, and for settings that make no sense.
    """
    from phonolyte.impedance import find_files
    from phonolyte.polarization import PolarizationSettings, measure_polarizations
    from phonolyte.polarization.drawing import draw_samples

    output, settings = output or OutputSettings(), settings or PolarizationSettings()
    geometry, reading = settings.geometry, settings.reading
    all_paths = find_files(files)
    paths = settings.pellet.choose_files(all_paths)
    settings.check_names(paths)
    inputs = [*paths, *([Path(settings.table)] if settings.table else [])]
    if settings.spectra:
        inputs.append(Path(settings.spectra) / "spectra.parquet")
    opened = Run(
        folder, "polarization", settings=settings, inputs=inputs, cites=HEBB_WAGNER, **run_options(output)
    )  # fmt: skip
    with opened as run:
        with progress("Files", len(paths)) as advance:
            result = measure_polarizations(paths, geometry=geometry, reading=reading, progress=advance)
        run.write_table("electronic.parquet", result.electronic, csv=True)
        run.write_table("curves.parquet", result.curves, csv=True)
        run.add_failures(result.failures)
        for note in result.notes:
            run.add_note(note)
        if output.figures:
            for failure in draw_samples(result.samples, run.path("figures"), files=output):
                run.add_note(f"no figure of {failure.material_id}: {failure.message}")
        return result


def transference(
    *,
    before: str | Path,
    after: str | Path,
    curve: str | Path,
    folder: str | Path = "out",
    settings: TransferenceSettings | None = None,
    output: OutputSettings | None = None,
) -> Transference:
    """Measure the transference number of a symmetric cell by Bruce and Vincent, in a run folder.

    The folder receives ``transference.parquet`` and ``.csv``, a row, a figure, and a report.

    Parameters
    ----------
    before, after
        Files of the spectra before the polarization and in the steady state; ``FILE#2`` is the second sweep of a file.
    curve
        File of the polarization.
    folder
        Run folder.
    settings
        How it is measured.
    output
        As :func:`screen` takes it.

    Raises
    ------
    SettingsError
        When files are not there.
    SpectrumError, CurveError
        For spectra and a curve that cannot be used.
    """
    from phonolyte.figures.style import save
    from phonolyte.impedance.tables import make_table
    from phonolyte.polarization import TransferenceSettings, measure_cell, plot_transference
    from phonolyte.polarization.cell import split_name
    from phonolyte.polarization.tables import TransferenceRow, make_transference_row

    output, settings = output or OutputSettings(), settings or TransferenceSettings()
    files = [split_name(name)[0] for name in (before, after, curve)]
    record = {"before": str(before), "after": str(after), "curve": str(curve), "measure": settings}
    opened = Run(
        folder, "transference", settings=record, inputs=files, cites=BRUCE_VINCENT, **run_options(output)
    )  # fmt: skip
    with opened as run:
        result, old, new = measure_cell(before, after, curve, settings)
        table = make_table([make_transference_row(result)], TransferenceRow)
        run.write_table("transference.parquet", table, csv=True)
        for note in result.notes:
            run.add_note(note)
        if output.figures:
            save(plot_transference(result, old, new), run.path("figures") / "transference", files=output)
        return result
